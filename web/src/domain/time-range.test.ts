/** Periods: what a person types, what the address says, and the arithmetic between. */
import { expect, test } from 'vitest';

import {
  between,
  DEFAULT_RANGE,
  periodOf,
  presetId,
  PRESETS,
  rangeFromQuery,
  rangeQuery,
  readTyped,
  spanMs,
  stepMs,
  stepped,
  zoomedOut,
  type TimeRange,
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
  expect(stepMs({ kind: 'live', span_ms: 300_000 })).toBe(5_000);
  expect(stepMs({ kind: 'last', span_ms: HOUR_MS })).toBe(5_000);
  expect(stepMs({ kind: 'last', span_ms: 6 * HOUR_MS })).toBe(30_000);
  expect(stepMs({ kind: 'last', span_ms: 24 * HOUR_MS })).toBe(120_000);
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
