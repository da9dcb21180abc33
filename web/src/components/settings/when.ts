/** When something was or will be, in words, for the lists of the settings. */
import { ABSENT, durationText, momentText } from '../../domain/units.ts';
import { clock } from '../../state/clock.svelte.ts';
import { language, t } from '../../state/language.svelte.ts';

/** Below this age a moment is now. */
const NOW_MS = 90_000;

/** A moment that has passed: `3 h ago`; what is on record to the minute is `just now` for a minute. */
export function agoText(at_ms: number | null | undefined): string {
  if (at_ms === null || at_ms === undefined) return ABSENT;
  const age_ms = clock.now_ms - at_ms;
  if (age_ms < NOW_MS) return t('settings.just_now');
  return t('explore.ago', { duration: durationText(age_ms, language.current, 1) });
}

/** A moment to come: `in 3 h`, or that it has passed. */
export function untilText(at_ms: number): string {
  const left_ms = at_ms - clock.now_ms;
  if (left_ms <= 0) return t('settings.over');
  return t('settings.in', { duration: durationText(left_ms, language.current, 1) });
}

/** The whole moment, for who points at it. */
export function wholeText(at_ms: number | null | undefined): string {
  return at_ms === null || at_ms === undefined
    ? ''
    : momentText(at_ms, language.current, 'browser');
}
