/** Alerts in the language of the page: how urgent, in which state, and why nobody is told. */
import type { Alert, Severity, TrailKind } from '../../api/types.ts';
import { since, type Hush } from '../../domain/alerts.ts';
import type { MessageKey } from '../../domain/messages.ts';
import { durationText } from '../../domain/units.ts';
import { language, t } from '../../state/language.svelte.ts';

export type AlertLevel = 'fine' | 'info' | 'warning' | 'critical' | 'unknown';

const SEVERITY: Record<Severity, MessageKey> = {
  critical: 'severity.critical',
  warning: 'severity.warning',
  info: 'severity.info',
};

const HUSH: Record<Hush, MessageKey> = {
  silenced: 'hush.silenced',
  inhibited: 'hush.inhibited',
  muted: 'hush.muted',
  flapping: 'hush.flapping',
  no_receiver: 'hush.no_receiver',
};

const TRAIL: Record<TrailKind, { text: MessageKey; level: AlertLevel }> = {
  pending: { text: 'trail.pending', level: 'unknown' },
  firing: { text: 'trail.firing', level: 'critical' },
  resolved: { text: 'trail.resolved', level: 'fine' },
  dropped: { text: 'trail.dropped', level: 'fine' },
  grouped: { text: 'trail.grouped', level: 'unknown' },
  silenced: { text: 'trail.silenced', level: 'unknown' },
  inhibited: { text: 'trail.inhibited', level: 'unknown' },
  muted: { text: 'trail.muted', level: 'unknown' },
  flapping: { text: 'trail.flapping', level: 'warning' },
  unhushed: { text: 'trail.unhushed', level: 'info' },
  queued: { text: 'trail.queued', level: 'info' },
  sent: { text: 'trail.sent', level: 'info' },
  failed: { text: 'trail.failed', level: 'warning' },
  given_up: { text: 'trail.given_up', level: 'critical' },
  summed_up: { text: 'trail.summed_up', level: 'info' },
  acknowledged: { text: 'trail.acknowledged', level: 'info' },
  assigned: { text: 'trail.assigned', level: 'info' },
  escalated: { text: 'trail.escalated', level: 'warning' },
  no_receiver: { text: 'trail.no_receiver', level: 'warning' },
  unchanged: { text: 'trail.unchanged', level: 'unknown' },
};

const ANSWERS: Record<string, MessageKey> = {
  told: 'why.told',
  silenced: 'why.silenced',
  inhibited: 'why.inhibited',
  muted: 'why.muted',
  flapping: 'why.flapping',
  no_receiver: 'why.no_receiver',
  pending: 'why.pending',
  not_firing: 'why.not_firing',
  waiting: 'why.waiting',
  failed: 'why.failed',
  unchanged: 'why.unchanged',
  unknown_rule: 'why.unknown_rule',
  not_evaluated: 'why.not_evaluated',
};

export function severityText(severity: Severity): string {
  return t(SEVERITY[severity]);
}

/** Why nobody is told of it now; empty where somebody is. */
export function hushText(hush: Hush | null): string {
  return hush === null ? '' : t(HUSH[hush]);
}

/** The name of a step of the trail, and the shape that goes with it. */
export function trailLook(kind: TrailKind): { text: string; level: AlertLevel } {
  const { text, level } = TRAIL[kind];
  return { text: t(text), level };
}

/** The answer to "why was I not told"; a word that the page does not know in the server's English. */
export function whyText(code: string, answer: string): string {
  const key = ANSWERS[code];
  return key === undefined ? answer : t(key);
}

/** The mark of an alert: how urgent it is while it fires, and calm while it waits or is over. */
export function alertLevel(alert: Pick<Alert, 'state' | 'severity'>): AlertLevel {
  if (alert.state === 'resolved') return 'fine';
  return alert.state === 'pending' ? 'unknown' : alert.severity;
}

/** The state of an alert in words: "firing for 3 min", "not told: silenced". */
export function stateWords(alert: Alert, now_ms: number): string {
  const length = (from_ms: number, to_ms: number): string =>
    durationText(to_ms - from_ms, language.current);
  if (alert.state === 'resolved') {
    const end_ms = alert.ends_at_ms ?? now_ms;
    return t('alerts.was_firing', { duration: length(since(alert), end_ms) });
  }
  if (alert.state === 'pending') {
    return t('alerts.pending_for', { duration: length(alert.active_at_ms, now_ms) });
  }
  const duration = length(since(alert), now_ms);
  if (alert.hush !== null) {
    return t('alerts.firing_hushed', { duration, why: hushText(alert.hush) });
  }
  return t('alerts.firing_for', { duration });
}
