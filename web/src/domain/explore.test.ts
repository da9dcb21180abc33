/** Explore's pure parts: the address, the history, names, units, errors and the table. */
import { expect, test } from 'vitest';

import { exploreAddress, matchScreen } from '../routes.ts';
import {
  csvText,
  nextSort,
  sortedSamples,
  tableCsv,
  tableOf,
  type Sample,
} from './answer-table.ts';
import { exploreCharts, highest } from './explore-charts.ts';
import { EXAMPLES, isAsked, letterOf, queriesFromAddress, queryPairs } from './explore.ts';
import { expressionUnit } from './expression-unit.ts';
import type { Line } from './lines.ts';
import { historyFrom, MOST_KEPT, remembered, searched, withStar } from './query-history.ts';
import { problemIn } from './query-problem.ts';
import { seriesText, shortNames, varyingLabels } from './series-names.ts';

test('the address carries the queries, in order, with those switched off', () => {
  const queries = [
    { expression: 'rate(a[5m]) & "x=1"', off: false },
    { expression: 'b', off: true },
    { expression: '', off: false },
    { expression: 'c + 1', off: false },
  ];
  const trailing = { expression: ' ', off: false };
  const address = exploreAddress(queryPairs([...queries, trailing]), {
    view: 'table',
    range: null,
  });
  const url = new URL(address, 'http://muster');
  expect(matchScreen(url.pathname)).toEqual({ name: 'explore' });
  expect(queriesFromAddress(url.searchParams)).toEqual(queries);
  expect(url.searchParams.get('view')).toBe('table');
  expect(exploreAddress([], {})).toBe('/explore');
  expect(queries.map(isAsked)).toEqual([true, false, false, true]);
  expect([0, 1, 11].map(letterOf)).toEqual(['A', 'B', 'L']);
});

test('the history keeps each query once, the newest first, and what is starred for ever', () => {
  let history = remembered([], ['a', 'b', 'a', ' '], 1);
  expect(history.map(({ expression }) => expression)).toEqual(['a', 'b']);
  history = withStar(history, 'b', true);
  for (let turn = 0; turn < 80; turn += 1) history = remembered(history, [`q${turn}`], turn);
  expect(history).toHaveLength(MOST_KEPT + 1);
  expect(history.at(-1)).toMatchObject({ expression: 'b', starred: true });
  history = remembered(history, ['b'], 99);
  expect(history[0]).toEqual({ expression: 'b', at_ms: 99, starred: true });
  expect(searched(history, 'Q7 ')).toHaveLength(10);
  expect(searched(history, '')[0]?.expression).toBe('b');
  expect(historyFrom(JSON.stringify(history))).toEqual(history);
  expect(historyFrom('{"a":1}')).toEqual([]);
  expect(historyFrom('[{"expression":1}, null]')).toEqual([]);
  expect(historyFrom('nonsense')).toEqual([]);
});

test.each([
  ['sum(node_load1) +', '1:18: parse error: the end', 'the end', '+', true],
  [
    'foo{a=b}',
    'invalid parameter "query": 1:7: parse error: unexpected b',
    'unexpected b',
    'b',
    true,
  ],
  ['a +\n主机 + ]', '2:6: parse error: odd', 'odd', ']', true],
  [
    'nope(3) + x',
    "unknown function with name 'nope'",
    "unknown function with name 'nope'",
    'nope',
    true,
  ],
  ['1 + {}', 'needs a matcher', 'needs a matcher', '1 + {}', false],
])('in %j the error %j stands at its place', (expression, error, message, part, placed) => {
  const problem = problemIn(expression, error);
  expect(problem).toMatchObject({ message, placed });
  expect(expression.slice(problem.from, problem.to)).toBe(part);
});

test.each([
  ['', '1:1: parse error: empty'],
  ['a', '9:99: parse error: beyond'],
])('an error beyond %j stays inside', (expression, error) => {
  const { from, to } = problemIn(expression, error);
  expect(from).toBeGreaterThanOrEqual(0);
  expect(to).toBeLessThanOrEqual(expression.length);
});

test('a series is named by what sets it apart', () => {
  const a = { __name__: 'm', job: 'node', device: 'sda' };
  const b = { __name__: 'm', job: 'node', device: 'sdb' };
  expect(shortNames([a, b], 'expr')).toEqual(['sda', 'sdb']);
  expect(shortNames([{ ...a, cpu: '0' }, b], 'expr')).toEqual(['cpu=0 device=sda', 'device=sdb']);
  expect(shortNames([a], 'expr')).toEqual(['m{job="node", device="sda"}']);
  expect(shortNames([{}], 'a + b')).toEqual(['a + b']);
  expect(shortNames([], 'a')).toEqual([]);
  expect(varyingLabels([a, { ...b, __name__: 'n' }])).toEqual(['__name__', 'device']);
  expect(seriesText({ __name__: 'up' })).toBe('up');
});

test.each([
  ['node_memory_MemTotal_bytes - node_memory_MemFree_bytes{a="*"}', 'bytes'],
  ['sum by (instance) (rate(node_network_receive_bytes_total[5m]))', 'network_rate'],
  ['rate(node_disk_read_bytes_total[5m])', 'disk_rate'],
  ['increase(node_disk_read_bytes_total[5m])', 'bytes'],
  ['rate(node_context_switches_total[5m])', 'per_second'],
  ['rate(node_cpu_seconds_total[5m])', 'plain'],
  ['100 * (1 - avg(rate(node_cpu_seconds_total[5m])))', 'percent'],
  ['topk(5, 100 * x)', 'percent'],
  ['probe_duration_seconds', 'seconds'],
  ['node_boot_time_seconds', 'plain'],
  ['count(node_filesystem_size_bytes)', 'plain'],
  ['node_memory_MemFree_bytes / node_memory_MemTotal_bytes', 'plain'],
  ['node_hwmon_temp_celsius', 'celsius'],
  ['node_load1', 'plain'],
  ['1', 'plain'],
  ['', 'plain'],
])('%s is measured in %s', (expression, unit) => {
  expect(expressionUnit(expression)).toBe(unit);
});

const sample = (device: string, text: string, query = 0): Sample => ({
  query,
  labels: { device },
  time_ms: 0,
  text,
});

test('a table sorts by what is clicked, and turns', () => {
  const all = [sample('sda10', '2'), sample('sda9', 'NaN'), sample('sda2', '+Inf')];
  const by = (column: string, turns: number): string[] => {
    let sort = nextSort(null, column);
    for (let turn = 1; turn < turns; turn += 1) sort = nextSort(sort, column);
    return sortedSamples(all, sort).map(({ labels }) => labels['device'] ?? '');
  };
  expect(by('label:device', 1)).toEqual(['sda2', 'sda9', 'sda10']);
  expect(by('label:device', 2)).toEqual(['sda10', 'sda9', 'sda2']);
  expect(by('label:device', 3)).toEqual(['sda10', 'sda9', 'sda2']);
  expect(
    sortedSamples([sample('a', '1'), sample('b', '3')], nextSort(null, 'value'))[0]?.text,
  ).toBe('3');
});

test('CSV quotes what needs it, and holds nothing a spreadsheet would run', () => {
  expect(csvText([['a,b', 'say "x"', '-1.5', '=1+1', '-cmd', 'a\nb']])).toBe(
    `"a,b","say ""x""",-1.5,'=1+1,'-cmd,"a\nb"\r\n`,
  );
  const table = tableOf([sample('sda', '1'), sample('sdb', '2', 1)]);
  expect(tableCsv(table, letterOf)).toBe(
    'query,device,time,value\r\nA,sda,1970-01-01T00:00:00.000Z,1\r\nB,sdb,1970-01-01T00:00:00.000Z,2\r\n',
  );
  const wide = Object.fromEntries(Array.from({ length: 9 }, (_, place) => [`l${place}`, 'x']));
  expect(tableOf([{ ...sample('a', '1'), labels: wide }]).labels).toBeNull();
});

test('every example is one line, with a title', () => {
  for (const { expression } of EXAMPLES) expect(expression).not.toMatch(/\n/);
});

function line(place: number, labels: Record<string, string>, values: (number | null)[]): Line {
  const times_ms = values.map((_, index) => index * 1_000);
  return { key: `${place} ${JSON.stringify(labels)}`, query: place, labels, times_ms, values };
}

test('lines of one unit share a chart, and each unit has its own', () => {
  const charts = exploreCharts(
    [
      {
        place: 0,
        expression: 'node_load1',
        lines: [line(0, { i: 'a' }, [1]), line(0, { i: 'b' }, [2])],
      },
      { place: 1, expression: 'x_bytes', lines: [line(1, { i: 'a' }, [3])] },
      { place: 2, expression: 'node_load5', lines: [line(2, {}, [4])] },
      { place: 3, expression: 'nothing', lines: [] },
    ],
    50,
  );
  expect(
    charts.map(({ unit, title, lines }) => [unit, title, lines.map(({ name }) => name)]),
  ).toEqual([
    ['plain', 'A  node_load1   C  node_load5', ['A  a', 'A  b', 'C  node_load5']],
    ['bytes', 'B  x_bytes', ['B  {i="a"}']],
  ]);
  expect(charts[0]?.lines.map(({ color }) => color)).toEqual([0, 1, 2]);
});

test('of too many lines those with the highest peaks are drawn, in their order', () => {
  const lines = [5, 1, 9, null, 7].map((value, place) =>
    line(0, { i: String(place) }, [0, value, 0]),
  );
  const [chart] = exploreCharts([{ place: 0, expression: 'm', lines }], 3);
  expect(chart?.lines.map(({ name }) => name)).toEqual(['0', '2', '4']);
  const negative = [line(0, { i: 'a' }, [-5]), line(0, { i: 'b' }, [null])];
  expect([...highest(negative, 1)][0]?.labels['i']).toBe('a');
});
