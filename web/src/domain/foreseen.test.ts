/** How the way ahead of a line is made, and how far a chart looks. */
import { expect, test } from 'vitest';

import type { FileSystemFacts } from './file-systems.ts';
import { aheadMs, wayToFull, type Foreseen } from './foreseen.ts';

const NOW_MS = 1_790_000_000_000;
const DAY_MS = 86_400_000;

const growth = {
  kind: 'steady',
  bytes_per_day: 10,
  full_ms: NOW_MS + 4 * DAY_MS,
  early_ms: NOW_MS + 3 * DAY_MS,
  late_ms: NOW_MS + 6 * DAY_MS,
} as const;
const system = {
  read_only: false,
  failed: false,
  available_bytes: 40,
  growth,
} as FileSystemFacts & {
  growth: typeof growth;
};
const used = { key: '', query: 0, labels: {}, times_ms: [1, NOW_MS], values: [5, 60] };

test('the way goes from the last point to what is left', () => {
  expect(wayToFull(system, used)).toEqual({
    from_ms: NOW_MS,
    from: 60,
    to: 100,
    early_ms: growth.early_ms,
    at_ms: growth.full_ms,
    late_ms: growth.late_ms,
  });
  expect(wayToFull({ ...system, read_only: true }, used)).toBeNull();
  expect(wayToFull(system, undefined)).toBeNull();
  expect(wayToFull(system, { ...used, values: [5, null] })).toBeNull();
});

test.each<[number | null, number, number]>([
  [2, 30, 2.1],
  [6, 7, 3.5],
  [null, 30, 8.4],
])('with an end in %s days a chart of %s days looks %s days ahead', (late, span, expected) => {
  const late_ms = late === null ? null : NOW_MS + late * DAY_MS;
  const at_ms = NOW_MS + 4 * DAY_MS;
  const way: Foreseen = { from_ms: NOW_MS, from: 0, to: 1, early_ms: at_ms, at_ms, late_ms };
  expect(aheadMs(way, NOW_MS, span * DAY_MS) / DAY_MS).toBeCloseTo(expected);
  expect(aheadMs(null, NOW_MS, span * DAY_MS)).toBe(0);
});
