/** What a chart draws, told without a canvas. */
import { expect, test } from 'vitest';

import { align, lonely, stacked, statistics, valueAt } from './align.ts';
import { faded, plotOptions, timeTexts, valueRange, type ChartShape } from './options.ts';
import { chartCsv } from './save.ts';
import { drawn, isolated, legendRows, sortedLegend, toggled, type ChartSeries } from './series.ts';

const line = (times_ms: number[], values: (number | null)[]) => ({ times_ms, values });

test('lines with different moments are joined, not broken', () => {
  const { times_s, columns } = align([line([0, 2_000], [1, 3]), line([1_000], [9])], 5_000);
  expect(times_s).toEqual([0, 1, 2]);
  expect(columns).toEqual([
    [1, undefined, 3],
    [null, 9, null],
  ]);
});

test('a silence is a gap, for one line and for all', () => {
  const all = align([line([0, 60_000], [1, 2])], 15_000);
  expect(all.times_s).toEqual([0, 30, 60]);
  expect(all.columns).toEqual([[1, null, 2]]);
  const one = align([line([0, 20_000], [1, 2]), line([0, 10_000, 20_000], [5, 6, 7])], 15_000);
  expect(one.columns[0]).toEqual([1, null, 2]);
  expect(one.columns[1]).toEqual([5, 6, 7]);
});

test('every point of every line is kept, so no spike is lost', () => {
  const times = Array.from({ length: 5_000 }, (_, index) => index * 1_000);
  const values = times.map((time) => (time === 2_345_000 ? 1e9 : 1));
  const { columns } = align([line(times, values)], 5_000);
  expect(columns[0]).toEqual(values);
});

test('no lines make an empty axis', () => {
  expect(align([], 5_000)).toEqual({ times_s: [], columns: [] });
});

test('areas add up; a joined moment holds, absence adds nothing, absence of all breaks', () => {
  expect(
    stacked([
      [1, undefined, 3, null],
      [10, 20, null, null],
    ]),
  ).toEqual([
    [1, 1, 3, null],
    [11, 21, 3, null],
  ]);
});

test.each([
  [[5], [0]],
  [[5, undefined, 6], []],
  [[null, 5, undefined, null, 6, 7], [1]],
  [[null, undefined], []],
])('values of %j without a neighbour stand at %j', (column, places) => {
  expect(lonely(column)).toEqual(places);
});

test('statistics pass over what is absent', () => {
  expect(statistics([2, null, 4, undefined])).toEqual({ min: 2, avg: 3, max: 4, last: 4 });
  expect(statistics([null])).toEqual({ min: null, avg: null, max: null, last: null });
  expect(valueAt([1, undefined, null], 1)).toBe(1);
  expect(valueAt([1, undefined, null], 2)).toBeNull();
});

const shape: ChartShape = {
  width: 500,
  height: 200,
  unit: 'percent',
  stacked: true,
  at_least: 100,
  fitted: false,
  thresholds: [],
  marks: [],
  foreseen: null,
  bands: [],
  series: [
    { name: 'a', color: 'rgb(1, 2, 3)', mirrored: false },
    { name: 'b', color: 'rgb(4, 5, 6)', mirrored: false },
  ],
  zone: 'utc',
  language: 'en',
};

test('the value axis', () => {
  expect(valueRange(shape, 0, 140)).toEqual([0, 100]);
  expect(valueRange({ ...shape, at_least: 10 }, 0, 200)).toEqual([0, 212]);
  expect(valueRange({ ...shape, unit: 'plain', at_least: 1 }, null, null)).toEqual([0, 1]);
  const mirrored = shape.series.map((series) => ({ ...series, mirrored: true }));
  const [low, high] = valueRange(
    { unit: 'network_rate', at_least: 10, fitted: false, series: mirrored },
    -100,
    5,
  );
  expect(low).toBeCloseTo(-106);
  expect(high).toBe(10);
});

test.each<[number | null, number | null, number, number]>([
  [0, 100, 0, 106],
  [-50, 50, -56, 56],
  [-20, -10, -20.6, 0],
  [1_000, 1_010, 999.4, 1_010.6],
  [7, 7, 0, 7.42],
  [0, 0, 0, 1],
  [-3, -3, -3.18, 0],
  [null, null, 0, 1],
])('an axis fitted to values from %s to %s', (lowest, highest, from, to) => {
  const [low, high] = valueRange({ ...shape, fitted: true }, lowest, highest);
  expect(low).toBeCloseTo(from);
  expect(high).toBeCloseTo(to);
});

test('a chart saved as CSV has a row for each moment and a column for each line', () => {
  const one = { key: 'a', name: 'a', full: 'm{i="a"}', color: 0, mirrored: false };
  const series = [{ ...one, times_ms: [0, 2_000], values: [1, null] }];
  const other = { ...series[0]!, name: 'b', full: 'b', times_ms: [1_000], values: [5] };
  const text = chartCsv([...series, other], drawn([...series, other], 5_000, false));
  expect(text).toBe(
    'time,"m{i=""a""}",b\r\n1970-01-01T00:00:00.000Z,1,\r\n1970-01-01T00:00:01.000Z,1,5\r\n1970-01-01T00:00:02.000Z,,\r\n',
  );
});

test('the time axis', () => {
  const midnight_s = Date.UTC(2026, 8, 1) / 1000;
  expect(timeTexts([midnight_s + 3_600], 10, 'utc', 'en')).toEqual(['01:00:00']);
  expect(timeTexts([midnight_s, midnight_s + 3_600], 3_600, 'utc', 'en')).toEqual([
    '1 Sept',
    '01:00',
  ]);
  expect(timeTexts([midnight_s], 86_400, 'utc', 'zh')).toEqual(['9月1日']);
});

test('stacked areas are filled between each other', () => {
  const options = plotOptions(shape, { text: '', grid: '', axis: '' }, {});
  expect(options.bands).toEqual([{ series: [2, 1] }]);
  expect(options.series).toHaveLength(3);
  expect(
    plotOptions({ ...shape, stacked: false }, { text: '', grid: '', axis: '' }, {}).bands,
  ).toEqual([]);
});

test('colours fade only where they are understood', () => {
  expect(faded('rgb(1, 2, 3)', 0.5)).toBe('rgba(1, 2, 3, 0.5)');
  expect(faded('red', 0.5)).toBe('red');
});

function series(key: string, values: number[], mirrored = false): ChartSeries {
  return { key, name: key, color: 0, mirrored, times_ms: values.map((_, index) => index), values };
}
const small = series('small', [1, 2]);
const large = series('large', [8, 4]);

test('mirrored lines are drawn below and read as measured', () => {
  const { columns, plain } = drawn([series('out', [5, 0], true)], 10, false);
  expect(columns).toEqual([[-5, 0]]);
  expect(plain).toEqual([[5, 0]]);
});

test('the legend tells the value under the crosshair, else the last, and keeps hidden lines', () => {
  const { plain } = drawn([large], 10, false);
  const rows = legendRows([small, large], [large], plain, plain.map(statistics), 0);
  expect(rows.map(({ now, last, hidden }) => [now, last, hidden])).toEqual([
    [null, null, true],
    [8, 4, false],
  ]);
  expect(legendRows([large], [large], plain, plain.map(statistics), null)[0]?.now).toBe(4);
  expect(sortedLegend(rows, 'max').map((row) => row.series.key)).toEqual(['large', 'small']);
  expect(sortedLegend(rows, null)).toEqual(rows);
});

test('a click isolates and a second brings all back; Ctrl-click never hides the last', () => {
  const keys = ['a', 'b', 'c'];
  const alone = isolated(keys, new Set(), 'a');
  expect(alone).toEqual(new Set(['b', 'c']));
  expect(isolated(keys, alone, 'a')).toEqual(new Set());
  expect(isolated(['a'], new Set(), 'a')).toEqual(new Set());
  expect(toggled(keys, new Set(), 'a')).toEqual(new Set(['a']));
  expect(toggled(keys, new Set(['a']), 'a')).toEqual(new Set());
  expect(toggled(keys, alone, 'a')).toEqual(alone);
});
