/**
 * The period a screen shows: its form in the address, the words a person types for it, and the
 * arithmetic of stepping and zooming. Everything is pure; the moment `now_ms` is an argument.
 */
import type { Zone } from './units.ts';

/** Live moves with the clock at one-second detail; `last` moves in steps; `absolute` stands still. */
export type TimeRange =
  | { kind: 'live'; span_ms: number }
  | { kind: 'last'; span_ms: number }
  | { kind: 'absolute'; from_ms: number; to_ms: number };

/** Both ends of a period, in milliseconds since 1970. */
export interface Period {
  from_ms: number;
  to_ms: number;
}

const SECOND_MS = 1_000;
const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;
/** Nothing shorter is worth drawing, and a slip of the mouse is not a zoom. */
const SHORTEST_MS = 10 * SECOND_MS;
const LONGEST_MS = 4_000 * DAY_MS;
/** Points asked for one chart: about one a pixel column of a wide chart. */
const POINTS = 720;
const FASTEST_STEP_MS = 5_000;

export const DEFAULT_RANGE: TimeRange = { kind: 'live', span_ms: 5 * MINUTE_MS };

/** The ranges offered as buttons, in order; `id` is their form in the address. */
export const PRESETS: readonly { id: string; range: TimeRange }[] = [
  { id: 'live-5m', range: { kind: 'live', span_ms: 5 * MINUTE_MS } },
  { id: 'live-15m', range: { kind: 'live', span_ms: 15 * MINUTE_MS } },
  { id: '1h', range: { kind: 'last', span_ms: HOUR_MS } },
  { id: '6h', range: { kind: 'last', span_ms: 6 * HOUR_MS } },
  { id: '24h', range: { kind: 'last', span_ms: DAY_MS } },
  { id: '7d', range: { kind: 'last', span_ms: 7 * DAY_MS } },
  { id: '30d', range: { kind: 'last', span_ms: 30 * DAY_MS } },
  { id: '90d', range: { kind: 'last', span_ms: 90 * DAY_MS } },
  { id: '1y', range: { kind: 'last', span_ms: 365 * DAY_MS } },
];

const WORDS: Record<string, number> = {
  s: SECOND_MS,
  sec: SECOND_MS,
  second: SECOND_MS,
  seconds: SECOND_MS,
  秒: SECOND_MS,
  秒钟: SECOND_MS,
  m: MINUTE_MS,
  min: MINUTE_MS,
  mins: MINUTE_MS,
  minute: MINUTE_MS,
  minutes: MINUTE_MS,
  分: MINUTE_MS,
  分钟: MINUTE_MS,
  h: HOUR_MS,
  hr: HOUR_MS,
  hour: HOUR_MS,
  hours: HOUR_MS,
  小时: HOUR_MS,
  个小时: HOUR_MS,
  时: HOUR_MS,
  d: DAY_MS,
  day: DAY_MS,
  days: DAY_MS,
  天: DAY_MS,
  日: DAY_MS,
  w: 7 * DAY_MS,
  week: 7 * DAY_MS,
  weeks: 7 * DAY_MS,
  周: 7 * DAY_MS,
  星期: 7 * DAY_MS,
  个星期: 7 * DAY_MS,
  month: 30 * DAY_MS,
  months: 30 * DAY_MS,
  个月: 30 * DAY_MS,
  y: 365 * DAY_MS,
  year: 365 * DAY_MS,
  years: 365 * DAY_MS,
  年: 365 * DAY_MS,
};

/** A typed length of any size; null where it is none. */
function lengthOf(text: string): number | null {
  const found = /^(\d+(?:\.\d+)?)\s*(\p{L}+)$/u.exec(text);
  const unit_ms = WORDS[found?.[2] ?? ''];
  if (found === null || unit_ms === undefined) return null;
  return Math.round(Number(found[1]) * unit_ms);
}

function spanOf(text: string): number | null {
  const span_ms = lengthOf(text) ?? 0;
  return span_ms >= SHORTEST_MS && span_ms <= LONGEST_MS ? span_ms : null;
}

function spanId(span_ms: number): string {
  if (span_ms % (365 * DAY_MS) === 0) return `${span_ms / (365 * DAY_MS)}y`;
  if (span_ms % DAY_MS === 0 && span_ms > 3 * DAY_MS) return `${span_ms / DAY_MS}d`;
  if (span_ms % HOUR_MS === 0) return `${span_ms / HOUR_MS}h`;
  return span_ms % MINUTE_MS === 0 ? `${span_ms / MINUTE_MS}m` : `${span_ms / SECOND_MS}s`;
}

/** The period a range covers at a moment. */
export function periodOf(range: TimeRange, now_ms: number): Period {
  if (range.kind === 'absolute') return { from_ms: range.from_ms, to_ms: range.to_ms };
  return { from_ms: now_ms - range.span_ms, to_ms: now_ms };
}

/** The length of what a range shows. */
export function spanMs(range: TimeRange): number {
  return range.kind === 'absolute' ? range.to_ms - range.from_ms : range.span_ms;
}

/**
 * The distance of a chart's points over a span that has data: a whole multiple of the five seconds at
 * which agents sample, so that each point stands on samples of its own. `points` is how many there are
 * at most.
 */
export function stepMs(span_ms: number, points = POINTS): number {
  const wanted = span_ms / points;
  return Math.max(FASTEST_STEP_MS, Math.ceil(wanted / FASTEST_STEP_MS) * FASTEST_STEP_MS);
}

/** The times a chart asks for. */
export interface Grid extends Period {
  step_ms: number;
}

/**
 * The grid of a period whose data begins at `data_ms` (null where that is not known): fine-grained
 * where there is data, and with its last point on the newest sample. Where `before` has the same step
 * its points are kept, so that reading again moves none of them.
 */
export function gridOf(
  period: Period,
  data_ms: number | null,
  before: Grid | null,
  points = POINTS,
): Grid {
  const start_ms = Math.min(Math.max(period.from_ms, data_ms ?? period.from_ms), period.to_ms);
  const step_ms = stepMs(period.to_ms - start_ms, points);
  const newest_ms = Math.floor(period.to_ms / FASTEST_STEP_MS) * FASTEST_STEP_MS;
  const kept = before !== null && before.step_ms === step_ms;
  const late_ms = kept ? (newest_ms - before.to_ms) % step_ms : 0;
  const to_ms = newest_ms - late_ms;
  // No point stands before the first sample: it would be drawn from one before the period.
  const steps = Math.max(0, Math.floor((to_ms - start_ms) / step_ms));
  return { from_ms: to_ms - steps * step_ms, to_ms, step_ms };
}

const AROUND_MS = 10 * MINUTE_MS;

/** Ten minutes to either side of a moment, as far as they are past. */
export function around(at_ms: number, now_ms: number): TimeRange {
  return between(at_ms - AROUND_MS, Math.min(at_ms + AROUND_MS, Math.max(now_ms, at_ms)));
}

/** An absolute range from two ends in any order, never shorter than is worth drawing. */
export function between(first_ms: number, second_ms: number): TimeRange {
  const from_ms = Math.round(Math.min(first_ms, second_ms));
  const to_ms = Math.round(Math.max(first_ms, second_ms));
  const lack_ms = Math.max(0, SHORTEST_MS - (to_ms - from_ms));
  return {
    kind: 'absolute',
    from_ms: from_ms - Math.floor(lack_ms / 2),
    to_ms: to_ms + Math.ceil(lack_ms / 2),
  };
}

/** The neighbouring period: half a length earlier (-1) or later (1). */
export function stepped(range: TimeRange, direction: -1 | 1, now_ms: number): TimeRange {
  const { from_ms, to_ms } = periodOf(range, now_ms);
  const shift_ms = (direction * (to_ms - from_ms)) / 2;
  return between(from_ms + shift_ms, to_ms + shift_ms);
}

/** Twice the period around the same middle, ending now at the latest. */
export function zoomedOut(range: TimeRange, now_ms: number): TimeRange {
  const { from_ms, to_ms } = periodOf(range, now_ms);
  const half_ms = (to_ms - from_ms) / 2;
  const last_ms = Math.max(to_ms, Math.min(now_ms, to_ms + half_ms));
  return between(last_ms - 4 * half_ms, last_ms);
}

/** The range's part of the address; the screen's default leaves the address bare. */
export function rangeQuery(
  range: TimeRange,
  fallback = DEFAULT_RANGE,
): Record<'range' | 'from' | 'to', string | null> {
  if (range.kind === 'absolute') {
    return { range: null, from: String(range.from_ms), to: String(range.to_ms) };
  }
  const id = `${range.kind === 'live' ? 'live-' : ''}${spanId(range.span_ms)}`;
  return { range: id === presetId(fallback) ? null : id, from: null, to: null };
}

/** The preset that a range is, if it is one. */
export function presetId(range: TimeRange): string | null {
  const same = PRESETS.find(
    (preset) => preset.range.kind === range.kind && spanMs(preset.range) === spanMs(range),
  );
  return range.kind === 'absolute' ? null : (same?.id ?? null);
}

/** Reads the address; what makes no sense becomes the screen's default. */
export function rangeFromQuery(query: URLSearchParams, fallback = DEFAULT_RANGE): TimeRange {
  const from_ms = Number(query.get('from') ?? Number.NaN);
  const to_ms = Number(query.get('to') ?? Number.NaN);
  if (Number.isFinite(from_ms) && Number.isFinite(to_ms) && from_ms < to_ms) {
    return between(from_ms, to_ms);
  }
  const id = query.get('range') ?? '';
  const live = id.startsWith('live-');
  const span_ms = spanOf(live ? id.slice(5) : id);
  return span_ms === null ? fallback : { kind: live ? 'live' : 'last', span_ms };
}

function moment(days: number[], clock: number[], zone: Zone): number | null {
  const [year = 0, month = 1, day = 1] = days;
  const [hour = 0, minute = 0, second = 0] = clock;
  if (month < 1 || month > 12 || day < 1 || day > 31 || hour > 24 || minute > 59 || second > 59) {
    return null;
  }
  const time_ms =
    zone === 'utc'
      ? Date.UTC(year, month - 1, day, hour, minute, second)
      : new Date(year, month - 1, day, hour, minute, second).getTime();
  return Number.isFinite(time_ms) ? time_ms : null;
}

function dayStart(now_ms: number, days_ago: number, zone: Zone): number[] {
  const now = new Date(now_ms);
  const day =
    zone === 'utc'
      ? new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth(), now.getUTCDate() - days_ago))
      : new Date(now.getFullYear(), now.getMonth(), now.getDate() - days_ago);
  return zone === 'utc'
    ? [day.getUTCFullYear(), day.getUTCMonth() + 1, day.getUTCDate()]
    : [day.getFullYear(), day.getMonth() + 1, day.getDate()];
}

const DAYS: Record<string, number> = {
  today: 0,
  今天: 0,
  今日: 0,
  yesterday: 1,
  昨天: 1,
  昨日: 1,
  前天: 2,
};

interface Typed {
  days: number[] | null;
  clock: number[] | null;
}

/** Reads `2026-09-01 08:00`, either half of it, or a named day with or without a time. */
function readMoment(text: string, now_ms: number, zone: Zone): Typed | null {
  const found =
    /^(?:(\d{4})[-/.年](\d{1,2})[-/.月](\d{1,2})日?|(\p{L}+))?[\st]*(?:(\d{1,2})[:：](\d{2})(?:[:：](\d{2}))?)?$/u.exec(
      text,
    );
  if (found === null || text === '') return null;
  const named = found[4] === undefined ? undefined : DAYS[found[4]];
  if (found[4] !== undefined && named === undefined) return null;
  const numbers = (parts: (string | undefined)[]): number[] =>
    parts.map((part) => Number(part ?? 0));
  const dated = found[1] === undefined ? null : numbers(found.slice(1, 4));
  return {
    days: named === undefined ? dated : dayStart(now_ms, named, zone),
    clock: found[5] === undefined ? null : numbers(found.slice(5, 8)),
  };
}

/** What stands between the ends of a period, and what stands for now. */
const PERIOD_DASH = /\s*(?:–|—|~|\bto\b|到|至)\s*|\s+-\s+/;
const NOW_WORD = /^(?:now|现在|今)$/;

/** How many weeks back a named week begins. */
const WEEKS: Record<string, number> = {
  'this week': 0,
  本周: 0,
  这周: 0,
  'last week': 1,
  上周: 1,
  上星期: 1,
};

/** A calendar week, Monday to Sunday. */
function readWeek(text: string, now_ms: number, zone: Zone): TimeRange | null {
  const weeks = WEEKS[text];
  if (weeks === undefined) return null;
  const now = new Date(now_ms);
  const weekday = ((zone === 'utc' ? now.getUTCDay() : now.getDay()) + 6) % 7;
  const from_ms = moment(dayStart(now_ms, weekday + 7 * weeks, zone), [], zone);
  const to_ms = moment(dayStart(now_ms, weekday + 7 * weeks - 7, zone), [], zone);
  return from_ms === null || to_ms === null ? null : between(from_ms, to_ms);
}

/** What stands before and after a length: `last 3h`, `30m ago`, `最近 3 小时`, `30 分钟前`. */
function bareLength(text: string): string {
  return text.replace(/^(?:last|past|最近|过去|近)\s*/, '').replace(/\s*(?:ago|以前|之前|前)$/, '');
}

function readPeriod(
  first: string,
  last: string | null,
  now_ms: number,
  zone: Zone,
): TimeRange | null {
  const start = readMoment(first, now_ms, zone);
  if (start === null) return null;
  const days = start.days ?? dayStart(now_ms, 0, zone);
  const from_ms = moment(days, start.clock ?? [], zone);
  if (from_ms === null) return null;
  let to_ms: number | null;
  if (last !== null && NOW_WORD.test(last)) {
    to_ms = now_ms;
  } else if (last !== null) {
    const end = readMoment(last, now_ms, zone);
    if (end === null) return null;
    // A bare day at the end means all of that day.
    to_ms = moment(end.days ?? days, end.clock ?? [24], zone);
  } else {
    to_ms = start.clock === null ? moment(days, [24], zone) : now_ms;
  }
  return to_ms === null || to_ms <= from_ms ? null : between(from_ms, to_ms);
}

/**
 * Understands what a person types: `3h`, `live 5 min`, `yesterday`, `昨天`, `最近 3 小时`,
 * `2026-09-01 08:00 to 10:00`, `08:00 – now`. Returns null where it does not.
 */
export function readTyped(text: string, now_ms: number, zone: Zone): TimeRange | null {
  const clean = text.trim().toLowerCase().replace(/\s+/g, ' ');
  const live = /^(?:live|实时)\s*(.*)$/.exec(clean);
  if (live !== null) {
    const span_ms = live[1] === '' ? spanMs(DEFAULT_RANGE) : spanOf(live[1] ?? '');
    return span_ms === null || span_ms > HOUR_MS ? null : { kind: 'live', span_ms };
  }
  const week = readWeek(clean, now_ms, zone);
  if (week !== null) return week;
  const span_ms = spanOf(bareLength(clean));
  if (span_ms !== null) return { kind: 'last', span_ms };
  const parts = clean.split(PERIOD_DASH);
  if (parts.length > 2) return null;
  return readPeriod(parts[0] ?? '', parts[1] ?? null, now_ms, zone);
}

/** Why what was typed is no period. */
export type TypedProblem = 'unknown' | 'disordered' | 'short' | 'long' | 'live_long';

/** Says of a text that `readTyped` refuses what is wrong with it. */
export function typedProblem(text: string, now_ms: number, zone: Zone): TypedProblem {
  const clean = text.trim().toLowerCase().replace(/\s+/g, ' ');
  const live = /^(?:live|实时)\s*(.+)$/.exec(clean)?.[1];
  const span_ms = lengthOf(live ?? bareLength(clean));
  if (span_ms !== null) {
    if (span_ms < SHORTEST_MS) return 'short';
    return live === undefined ? 'long' : 'live_long';
  }
  const parts = clean.split(PERIOD_DASH);
  const readable = parts.every(
    (part, place) => (place > 0 && NOW_WORD.test(part)) || readMoment(part, now_ms, zone) !== null,
  );
  return readable && parts.length <= 2 ? 'disordered' : 'unknown';
}
