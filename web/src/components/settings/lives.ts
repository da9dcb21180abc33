/** How long a token may live, as offered; null is without end. */
import { durationText } from '../../domain/units.ts';
import { language, t } from '../../state/language.svelte.ts';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

export const LIVES = {
  hour: HOUR_MS,
  day: DAY_MS,
  week: 7 * DAY_MS,
  month: 30 * DAY_MS,
  quarter: 90 * DAY_MS,
  year: 365 * DAY_MS,
  ever: null,
} as const;
export type Life = keyof typeof LIVES;

/** Lives to choose from. */
export function lifeOptions<T extends Life>(lives: readonly T[]): { id: T; text: string }[] {
  return lives.map((id) => {
    const life_ms = LIVES[id];
    const text = life_ms === null ? t('tokens.never') : durationText(life_ms, language.current, 1);
    return { id, text };
  });
}
