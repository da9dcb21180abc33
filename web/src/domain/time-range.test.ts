/** Periods: what a person types, what the address says, and the arithmetic between. */
import { expect, test } from 'vitest';

import {
  between,
  DEFAULT_RANGE,
  gridOf,
  periodOf,
  presetId,
  PRESETS,
  rangeFromQuery,
  rangeQuery,
  readTyped,
  spanMs,
  stepMs,
  stepped,
  typedProblem,
  zoomedOut,
  type TimeRange,
  type TypedProblem,
} from './time-range.ts';
import { typedPeriodText } from './units.ts';

const HOUR_MS = 3_600_000;
/** 2026-09-02 12:30 UTC, a Wednesday. */
const NOW_MS = Date.UTC(2026, 8, 2, 12, 30);

function utc(day: number, hour = 0, minute = 0): number {
  return Date.UTC(2026, 8, day, hour, minute);
}
const absolute = (from_ms: number, to_ms: number): TimeRange => ({
  kind: 'absolute',
  from_ms,
  to_ms,
});

test.each<[string, TimeRange | null]>([
  ['3h', { kind: 'last', span_ms: 3 * HOUR_MS }],
  ['  90 min ', { kind: 'last', span_ms: 1.5 * HOUR_MS }],
  ['last 2 days', { kind: 'last', span_ms: 48 * HOUR_MS }],
  ['最近3小时', { kind: 'last', span_ms: 3 * HOUR_MS }],
  ['过去 2 天', { kind: 'last', span_ms: 48 * HOUR_MS }],
  ['1周', { kind: 'last', span_ms: 168 * HOUR_MS }],
  ['live', DEFAULT_RANGE],
  ['live 15 min', { kind: 'live', span_ms: HOUR_MS / 4 }],
  ['实时 15 分钟', { kind: 'live', span_ms: HOUR_MS / 4 }],
  ['live 3d', null],
  ['30m ago', { kind: 'last', span_ms: HOUR_MS / 2 }],
  ['30 分钟前', { kind: 'last', span_ms: HOUR_MS / 2 }],
  ['last week', absolute(Date.UTC(2026, 7, 24), Date.UTC(2026, 7, 31))],
  ['上周', absolute(Date.UTC(2026, 7, 24), Date.UTC(2026, 7, 31))],
  ['this week', absolute(Date.UTC(2026, 7, 31), utc(7))],
  ['today', absolute(utc(2), utc(3))],
  ['yesterday', absolute(utc(1), utc(2))],
  ['昨天', absolute(utc(1), utc(2))],
  ['前天', absolute(Date.UTC(2026, 7, 31), utc(1))],
  ['昨天 08:00 到 10:00', absolute(utc(1, 8), utc(1, 10))],
  ['yesterday 22:00 to today 02:00', absolute(utc(1, 22), utc(2, 2))],
  ['08:00 to 10:00', absolute(utc(2, 8), utc(2, 10))],
  ['08:00 – now', absolute(utc(2, 8), NOW_MS)],
  ['8:00至今', absolute(utc(2, 8), NOW_MS)],
  ['13:00 至今', null],
  ['2026-09-01', absolute(utc(1), utc(2))],
  ['2026-09-01 08:00 to 10:00', absolute(utc(1, 8), utc(1, 10))],
  ['2026-09-01 08:00 to 2026-09-02 09:30', absolute(utc(1, 8), utc(2, 9, 30))],
  ['2026-09-01T08:00 to 2026-09-01T10:00', absolute(utc(1, 8), utc(1, 10))],
  ['2026-09-01 - 2026-09-01', absolute(utc(1), utc(2))],
  ['2026年9月1日 08:00 到 10:00', absolute(utc(1, 8), utc(1, 10))],
  ['2026-09-01 08:00', absolute(utc(1, 8), NOW_MS)],
  ['', null],
  ['soon', null],
  ['3 parsecs', null],
  ['99999 d', null],
  ['10:00 to 08:00', null],
  ['2026-13-01', null],
  ['1 to 2 to 3', null],
])('typed “%s”', (text, range) => {
  expect(readTyped(text, NOW_MS, 'utc')).toEqual(range);
});

test.each<[string, TypedProblem]>([
  ['10:00 to 08:00', 'disordered'],
  ['13:00 至今', 'disordered'],
  ['5s', 'short'],
  ['live 3s', 'short'],
  ['100y', 'long'],
  ['live 3d', 'live_long'],
  ['soon', 'unknown'],
  ['', 'unknown'],
  ['1 to 2 to 3', 'unknown'],
])('typed “%s” is %s', (text, problem) => {
  expect(readTyped(text, NOW_MS, 'utc')).toBeNull();
  expect(typedProblem(text, NOW_MS, 'utc')).toBe(problem);
});

test('what is written for a period can be typed again', () => {
  const range = absolute(utc(1, 8), utc(2, 9, 30));
  expect(readTyped(typedPeriodText(utc(1, 8), utc(2, 9, 30), 'utc'), NOW_MS, 'utc')).toEqual(range);
});

test('in the zone of the browser a day begins at its own midnight', () => {
  const range = readTyped('2026-09-01', NOW_MS, 'browser');
  expect(range).toEqual(absolute(new Date(2026, 8, 1).getTime(), new Date(2026, 8, 2).getTime()));
});

test.each<TimeRange>([
  ...PRESETS.map(({ range }) => range),
  { kind: 'last', span_ms: 90 * 60_000 },
  { kind: 'live', span_ms: 45_000 },
  absolute(utc(1), utc(2)),
])('the address keeps %j', (range) => {
  const query = new URLSearchParams();
  for (const [key, value] of Object.entries(rangeQuery(range)))
    if (value !== null) query.set(key, value);
  expect(rangeFromQuery(query)).toEqual(range);
});

test.each(['range=x', 'from=5', 'from=9&to=3', 'from=a&to=b', 'range=live-', ''])(
  'the address “%s” shows the default',
  (query) => expect(rangeFromQuery(new URLSearchParams(query))).toEqual(DEFAULT_RANGE),
);

test('each preset knows its name', () => {
  for (const { id, range } of PRESETS) expect(presetId(range)).toBe(id);
  expect(presetId(absolute(0, HOUR_MS))).toBeNull();
});

test('points stand on whole steps of five seconds, about 720 of them', () => {
  expect(stepMs(300_000)).toBe(5_000);
  expect(stepMs(HOUR_MS)).toBe(5_000);
  expect(stepMs(6 * HOUR_MS)).toBe(30_000);
  expect(stepMs(24 * HOUR_MS)).toBe(120_000);
});

test('a long period over young data is fine-grained, and ends with the newest point', () => {
  const day = { from_ms: NOW_MS - 24 * HOUR_MS, to_ms: NOW_MS + 7_000 };
  const born_ms = NOW_MS - 900_000;
  const young = gridOf(day, born_ms, null);
  expect(young).toEqual({ from_ms: born_ms, to_ms: NOW_MS + 5_000, step_ms: 5_000 });
  const unknown = gridOf(day, null, null);
  expect(unknown.step_ms).toBe(125_000);
  expect(unknown.from_ms - day.from_ms).toBeGreaterThanOrEqual(0);
  expect(unknown.from_ms - day.from_ms).toBeLessThan(unknown.step_ms);
  // Data older than the period makes no difference.
  expect(gridOf(day, day.from_ms - 1, null)).toEqual(unknown);
});

test('reading again keeps the points where they are, unless their distance changes', () => {
  const at = (now_ms: number) => ({ from_ms: now_ms - 6 * HOUR_MS, to_ms: now_ms });
  const first = gridOf(at(NOW_MS), null, null);
  const next = gridOf(at(NOW_MS + 42_000), null, first);
  expect(next.to_ms).toBe(first.to_ms + 30_000);
  expect(gridOf(at(NOW_MS + 42_000), null, { ...first, step_ms: 5_000 }).to_ms).toBe(
    NOW_MS + 40_000,
  );
});

test('stepping and zooming', () => {
  const hour: TimeRange = { kind: 'last', span_ms: HOUR_MS };
  expect(stepped(hour, -1, NOW_MS)).toEqual(
    absolute(NOW_MS - 1.5 * HOUR_MS, NOW_MS - 0.5 * HOUR_MS),
  );
  const wide = zoomedOut(hour, NOW_MS);
  expect(spanMs(wide)).toBe(2 * HOUR_MS);
  expect(periodOf(wide, NOW_MS).to_ms).toBe(NOW_MS);
  const past = zoomedOut(absolute(utc(1), utc(1, 2)), NOW_MS);
  expect(past).toEqual(absolute(Date.UTC(2026, 7, 31, 23), utc(1, 3)));
});

test('a selection of nothing becomes ten seconds', () => {
  expect(between(5_000, 5_000)).toEqual(absolute(0, 10_000));
  expect(between(60_000, 20_000)).toEqual(absolute(20_000, 60_000));
});
