/** Services in words: their state, how they ended, and what a transition was. */
import type { Service, ServiceHealth } from '../../api/types.ts';
import type { MessageKey } from '../../domain/messages.ts';
import { endingWords, type Look } from '../../domain/services.ts';
import { durationText } from '../../domain/units.ts';
import { language, t } from '../../state/language.svelte.ts';

const STATES: Record<string, MessageKey> = {
  active: 'unit.active',
  inactive: 'unit.inactive',
  failed: 'unit.failed',
  missing: 'unit.missing',
  activating: 'unit.activating',
  deactivating: 'unit.deactivating',
  reloading: 'unit.reloading',
};

/** One of systemd's states in the page's language; an unknown one as it is. */
export function unitStateText(state: string): string {
  const key = STATES[state];
  return key === undefined ? state : t(key);
}

const HEALTHS: Record<ServiceHealth, MessageKey> = {
  failed: 'health.failed',
  flapping: 'health.flapping',
  changing: 'health.changing',
  inactive: 'health.inactive',
  active: 'health.active',
};

/** A health in a word. */
export function healthText(health: ServiceHealth): string {
  return t(HEALTHS[health]);
}

/** How serious a health is. */
export function healthLevel(health: ServiceHealth): 'critical' | 'warning' | 'fine' | 'unknown' {
  if (health === 'failed') return 'critical';
  if (health === 'flapping' || health === 'changing') return 'warning';
  return health === 'active' ? 'fine' : 'unknown';
}

const LOOK_TEXTS: Record<Look, MessageKey> = {
  failed: 'unit.failed',
  changing: 'unit.changing',
  inactive: 'unit.inactive',
  active: 'unit.active',
};

/** What a piece of a course says. */
export function lookText(look: Look | null): string {
  return look === null ? t('unit.unknown') : t(LOOK_TEXTS[look]);
}

/** How a service ended the last time, and how long ago where that is known; empty where nothing went wrong. */
export function endingText(service: Service, now_ms: number): string {
  const words = endingWords(service);
  if (words === null) return '';
  const text = t(words.key, words.gaps);
  if (service.since_ms === null) return text;
  const age = durationText(now_ms - service.since_ms, language.current, 1);
  // A service that runs again tells when that began, which is right after its end.
  return t('ending.ago', { ending: text, duration: age });
}
