/** Silences as a form: from an alert to a specification, and back to words. */

export interface Matcher {
  name: string;
  value: string;
  isRegex: boolean;
  isEqual?: boolean;
}

export interface Recurrence {
  weekdays: number[];
  from: string;
  to: string;
  time_zone: string;
}

export interface Spec {
  matchers: Matcher[];
  starts_at_ms: number;
  ends_at_ms: number;
  comment: string;
  recurrence?: Recurrence | null;
  until_resolved?: boolean;
}

/** For how long a silence may be asked with one click. */
export const PRESETS = ['1h', '4h', 'morning', 'resolved'] as const;
export type Preset = (typeof PRESETS)[number];

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
/** A silence until its alerts are resolved ends by itself after a week at the latest. */
const LONGEST_UNTIL_RESOLVED_MS = 7 * DAY_MS;
const MORNING_HOUR = 9;

/** The end of a preset from a moment on; mornings are those of this browser's time zone. */
export function presetEnd(preset: Preset, now_ms: number): number {
  if (preset === '1h') return now_ms + HOUR_MS;
  if (preset === '4h') return now_ms + 4 * HOUR_MS;
  if (preset === 'resolved') return now_ms + LONGEST_UNTIL_RESOLVED_MS;
  const morning = new Date(now_ms);
  morning.setHours(MORNING_HOUR, 0, 0, 0);
  // By the calendar, so that a day on which the clocks change is no exception.
  if (morning.getTime() <= now_ms) morning.setDate(morning.getDate() + 1);
  return morning.getTime();
}

/** Labels that say which of several things on a host is meant stand after these. */
const FIRST = ['alertname', 'instance'];
/** Labels that a silence should not hang on: the same trouble may become more or less severe. */
const LEFT_OUT = new Set(['severity', 'job', '__name__']);

/** The matchers that hide this alert and its like on the same thing. */
export function matchersOf(labels: Record<string, string>): Matcher[] {
  const place = (name: string): number => {
    const found = FIRST.indexOf(name);
    return found < 0 ? FIRST.length : found;
  };
  return Object.entries(labels)
    .filter(([name]) => !LEFT_OUT.has(name))
    .sort(([one], [other]) => place(one) - place(other) || one.localeCompare(other))
    .map(([name, value]) => ({ name, value, isRegex: false, isEqual: true }));
}

/** A matcher as Alertmanager writes it. */
export function matcherText({ name, value, isRegex, isEqual = true }: Matcher): string {
  const sign = isRegex ? (isEqual ? '=~' : '!~') : isEqual ? '=' : '!=';
  return `${name}${sign}${JSON.stringify(value)}`;
}

const MATCHER = /^([a-zA-Z_][\w]*)\s*(=~|!~|!=|=)\s*(.*)$/;

/** Reads matchers, one a line; lines that are none come back as `wrong`. */
export function readMatchers(text: string): { matchers: Matcher[]; wrong: string[] } {
  const matchers: Matcher[] = [];
  const wrong: string[] = [];
  for (const line of text.split('\n').map((part) => part.trim())) {
    if (line === '') continue;
    const [, name = '', sign = '', rest = ''] = MATCHER.exec(line) ?? [];
    const value = unquoted(rest.replace(/,$/, '').trim());
    if (name === '' || value === null) wrong.push(line);
    else matchers.push({ name, value, isRegex: sign.endsWith('~'), isEqual: sign[0] === '=' });
  }
  return { matchers, wrong };
}

function unquoted(text: string): string | null {
  if (!text.startsWith('"')) return text;
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'string' ? value : null;
  } catch {
    return null;
  }
}
