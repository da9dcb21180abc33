/** Numbers, durations and dates as a person reads them. */
import { expect, test } from 'vitest';

import {
  axisText,
  clockText,
  countText,
  durationText,
  figureText,
  momentText,
  typedPeriodText,
  type Unit,
} from './units.ts';

test.each<[number | null, Unit, string]>([
  [null, 'percent', '–'],
  [Number.NaN, 'bytes', '–'],
  [Number.POSITIVE_INFINITY, 'plain', '–'],
  [0, 'percent', '0.0%'],
  [12.34, 'percent', '12.3%'],
  [99.94, 'percent', '99.9%'],
  [99.96, 'percent', '100%'],
  [0, 'bytes', '0 B'],
  [1023, 'bytes', '1023 B'],
  [1023.6, 'bytes', '1.00 KiB'],
  [1024 ** 3, 'bytes', '1.00 GiB'],
  [31.2 * 1024 ** 3, 'bytes', '31.2 GiB'],
  [512 * 1024 ** 3, 'bytes', '512 GiB'],
  [999.6 * 1024, 'disk_rate', '1000 KiB/s'],
  [999, 'network_rate', '999 B/s'],
  [999.6, 'network_rate', '1.00 kB/s'],
  [12_345_678, 'network_rate', '12.3 MB/s'],
  [1e30, 'network_rate', '1000000000000 EB/s'],
  [0.5, 'plain', '0.50'],
  [123.4, 'plain', '123'],
  [0.0004, 'plain', '4.00e-4'],
  [1_795_358_681, 'plain', '1795358681'],
  [-2.5, 'plain', '-2.50'],
  [0, 'seconds', '0 s'],
  [0.0843, 'seconds', '84.3 ms'],
  [2e-7, 'seconds', '200 ns'],
  [5.678, 'seconds', '5.68 s'],
  [600, 'seconds', '10.0 min'],
  [-7_200, 'seconds', '-2.00 h'],
  [86_400 * 23, 'seconds', '23.0 d'],
  [0.25, 'per_second', '0.25/s'],
  [12_300, 'per_second', '12.3 k/s'],
  [41.5, 'celsius', '41.5 °C'],
])('%s as %s is %s', (value, unit, text) => {
  expect(figureText(value, unit).replaceAll('\u00a0', ' ')).toBe(text);
});

test('an axis leaves needless zeroes out', () => {
  expect(axisText(50, 'percent')).toBe('50%');
  expect(axisText(2.5, 'percent')).toBe('2.5%');
  expect(axisText(4 * 1024 ** 3, 'bytes')).toBe('4\u00a0GiB');
  expect(axisText(100, 'plain')).toBe('100');
});

test.each([
  [-5, '0 s', '0 秒'],
  [999, '0 s', '0 秒'],
  [61_000, '1 min 1 s', '1 分钟 1 秒'],
  [3_600_000, '1 h', '1 小时'],
  [3_600_000 + 5_000, '1 h', '1 小时'],
  [90_061_000, '1 d 1 h', '1 天 1 小时'],
])('%i ms in words', (duration_ms, en, zh) => {
  expect(durationText(duration_ms, 'en').replaceAll('\u00a0', ' ')).toBe(en);
  expect(durationText(duration_ms, 'zh').replaceAll('\u00a0', ' ')).toBe(zh);
});

test('one part of a duration', () => {
  expect(durationText(200_000, 'en', 1)).toBe('3\u00a0min');
});

test('moments in the zone asked for', () => {
  const moment_ms = Date.UTC(2026, 8, 1, 8, 5, 9);
  expect(clockText(moment_ms, 'utc')).toBe('08:05:09');
  expect(clockText(moment_ms, 'utc', false)).toBe('08:05');
  expect(momentText(moment_ms, 'en', 'utc')).toBe('1 Sept 2026, 08:05:09');
  expect(momentText(moment_ms, 'zh', 'utc')).toBe('2026年9月1日 08:05:09');
});

test('a period is written as it would be typed', () => {
  const from_ms = Date.UTC(2026, 8, 1, 8);
  expect(typedPeriodText(from_ms, from_ms + 7_200_000, 'utc')).toBe('2026-09-01 08:00 – 10:00');
  expect(typedPeriodText(from_ms, from_ms + 86_400_000, 'utc')).toBe(
    '2026-09-01 08:00 – 2026-09-02 08:00',
  );
});

test('counts are grouped', () => {
  expect(countText(12_345, 'en')).toBe('12,345');
});
