/** A host's state in a few words. */
import type { Host } from '../api/types.ts';
import type { HostAlerts } from '../domain/alerts.ts';
import { judge } from '../domain/hosts.ts';
import { durationText, figureText } from '../domain/units.ts';
import { language, t } from '../state/language.svelte.ts';

const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

/** How long it is until a file system is full: `6 d`, `1 d 4 h`, or that it is full now. */
export function leftText(full_ms: number, now_ms: number): string {
  if (full_ms - now_ms < MINUTE_MS) return t('disk.now');
  const left_ms = full_ms - now_ms;
  const close = left_ms >= DAY_MS && left_ms < 3 * DAY_MS;
  return durationText(left_ms, language.current, close ? 2 : 1);
}

/** What is worst about a host, or that it reports. */
export function stateText(host: Host, now_ms: number, told?: HostAlerts): string {
  switch (judge(host, now_ms, told).reason) {
    case 'silent': {
      const duration = durationText(now_ms - host.state_since_ms, language.current, 1);
      return t('state.silent', { duration });
    }
    case 'alerts':
      return t('state.alerts', { count: told?.count ?? 0 });
    case 'disk':
      return t('state.disk');
    case 'full':
      return t('state.full', { duration: leftText(host.next_full?.full_ms ?? now_ms, now_ms) });
    case 'memory':
      return t('state.memory');
    case null:
      return t('state.reporting');
  }
}

/** The same as a sentence for a host's own screen, with the number that says it. */
export function stateSentence(host: Host, now_ms: number, told?: HostAlerts): string {
  const age_ms = now_ms - host.state_since_ms;
  // Below an hour one unit says enough, and seconds would fidget.
  const duration = durationText(age_ms, language.current, age_ms < HOUR_MS ? 1 : 2);
  const disk = host.worst_disk;
  switch (judge(host, now_ms, told).reason) {
    case 'alerts':
      return t('state.alerts', { count: told?.count ?? 0 });
    case 'silent':
      return t('sentence.silent', { duration });
    case 'disk':
      return t('sentence.disk', {
        mountpoint: disk?.mountpoint ?? '',
        percent: figureText(disk?.used_percent ?? null, 'percent'),
        left: figureText(disk?.available_bytes ?? null, 'bytes'),
      });
    case 'full':
      return t('sentence.full', {
        mountpoint: host.next_full?.mountpoint ?? '',
        duration: leftText(host.next_full?.full_ms ?? now_ms, now_ms),
      });
    case 'memory':
      return t('sentence.memory', { percent: figureText(host.memory_percent, 'percent') });
    case null:
      return t('sentence.reporting', { duration });
  }
}
