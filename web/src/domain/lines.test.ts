/** Lines filled from a range and drawn on by the stream. */
import { expect, test } from 'vitest';

import { drawnOn, joinedAt, linesFrom, since } from './lines.ts';

const past = linesFrom(0, [
  {
    metric: { device: 'eth0' },
    values: [
      [1, '10'],
      [6, 'NaN'],
    ],
  },
]);

test('a range answer becomes a line; what is no number is absent', () => {
  expect(past).toEqual([
    {
      key: '0 [["device","eth0"]]',
      query: 0,
      labels: { device: 'eth0' },
      times_ms: [1_000, 6_000],
      values: [10, null],
    },
  ]);
});

test('points go to the line of their query and labels, in any order of labels', () => {
  const two = linesFrom(1, [{ metric: { a: '1', b: '2' }, values: [[1, '5']] }]);
  const next = drawnOn(two, 2_000, [
    { query: 1, labels: { b: '2', a: '1' }, value: 6 },
    { query: 0, labels: { a: '1' }, value: 7 },
  ]);
  expect(next.map((line) => [line.query, line.values])).toEqual([
    [0, [7]],
    [1, [5, 6]],
  ]);
});

test('a moment that is drawn already is not drawn again', () => {
  const point = [{ query: 0, labels: { device: 'eth0' }, value: 3 }];
  expect(drawnOn(past, 6_000, point)).toEqual(past);
});

test('a late past goes before what the stream told', () => {
  const told = drawnOn(
    drawnOn([], 5_500, [{ query: 0, labels: { device: 'eth0' }, value: 1 }]),
    7_000,
    [
      { query: 0, labels: { device: 'eth0' }, value: 2 },
      { query: 0, labels: { device: 'eth1' }, value: 9 },
    ],
  );
  const [eth0, eth1] = joinedAt(past, told);
  expect(eth0?.times_ms).toEqual([1_000, 6_000, 7_000]);
  expect(eth0?.values).toEqual([10, null, 2]);
  expect(eth1?.values).toEqual([9]);
});

test('what is older than the period goes', () => {
  expect(since(past, 2_000)[0]?.times_ms).toEqual([6_000]);
  expect(since(past, 7_000)).toEqual([]);
  expect(since(past, 0)[0]).toBe(past[0]);
});
