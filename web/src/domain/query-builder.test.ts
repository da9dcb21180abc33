/** The builder: what it writes, and that it reads back what it wrote. */
import { expect, test } from 'vitest';

import { alternation, alternatives, unquoted } from './promql-text.ts';
import {
  AGGREGATIONS,
  ENDS,
  NOTHING_BUILT,
  OPERATORS,
  queryText,
  RANGE_FUNCTIONS,
  selectorText,
  withMetric,
  type BuiltQuery,
} from './query-builder.ts';
import { readQuery } from './query-reader.ts';

const built = (parts: Partial<BuiltQuery>): BuiltQuery => ({ ...NOTHING_BUILT, ...parts });

test.each<[Partial<BuiltQuery>, string]>([
  [{}, ''],
  [{ metric: 'up' }, 'up'],
  [
    { metric: 'up', filters: [{ label: 'job', operator: 'is', values: ['node'] }] },
    'up{job="node"}',
  ],
  [
    { metric: 'm', filters: [{ label: 'd', operator: 'is', values: ['a.b', 'c|d'] }] },
    'm{d=~"a\\\\.b|c\\\\|d"}',
  ],
  [
    { metric: 'm', filters: [{ label: 'd', operator: 'is_not', values: ['a', 'b'] }] },
    'm{d!~"a|b"}',
  ],
  [{ metric: 'm', filters: [{ label: 'd', operator: 'matches', values: ['sd.'] }] }, 'm{d=~"sd."}'],
  [{ metric: 'm', filters: [{ label: 'd', operator: 'is', values: [] }] }, 'm'],
  [{ metric: 'http.requests', read: 'rate' }, 'rate({"http.requests"}[5m])'],
  [
    { metric: 'c_total', read: 'rate', window: '1m', aggregation: 'sum', by: ['a', 'b.c'] },
    'sum by (a, "b.c") (rate(c_total[1m]))',
  ],
  [{ metric: 'm', aggregation: 'max' }, 'max(m)'],
  [{ metric: 'm', keep: { end: 'topk', count: 5 } }, 'topk(5, m)'],
])('%j is written as %s and read back', (parts, text) => {
  expect(queryText(built(parts))).toBe(text);
  const whole = {
    ...parts,
    filters: (parts.filters ?? []).filter(({ values }) => values.length > 0),
  };
  expect(readQuery(text)).toEqual(built(whole));
});

test.each<[string, Partial<BuiltQuery>]>([
  [
    '  sum(rate(c_total{a="b",}[5m])) by (x) ',
    {
      metric: 'c_total',
      read: 'rate',
      aggregation: 'sum',
      by: ['x'],
      filters: [{ label: 'a', operator: 'is', values: ['b'] }],
    },
  ],
  [
    "up{job='no\\'de'}",
    { metric: 'up', filters: [{ label: 'job', operator: 'is', values: ["no'de"] }] },
  ],
  [
    'up{job=`a\\d`}',
    { metric: 'up', filters: [{ label: 'job', operator: 'is', values: ['a\\d'] }] },
  ],
  ['up{}', { metric: 'up' }],
  ['rate', { metric: 'rate' }],
])('%s is understood', (text, parts) => {
  expect(readQuery(text)).toEqual(built(parts));
});

test.each([
  'a + b',
  'a offset 5m',
  'sum(a) / sum(b)',
  'sum without (x) (a)',
  'rate(a[5m:1m])',
  'rate(a[5m]) > 1',
  'histogram_quantile(0.9, a)',
  'a[5m]',
  '{job="node"}',
  'm{__name__="x"}',
  'm{a="\\x41"}',
  'sum(',
  'rate(a)',
  '"text"',
  '5',
  '# nothing',
])('%s is too rich for the builder', (text) => {
  expect(readQuery(text)).toBeNull();
});

/** Numbers from a seed, from 0 up to a bound. */
function draws(seed: number): (bound: number) => number {
  let state = seed;
  return (bound) => {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
    return Math.floor((state / 2_147_483_648) * bound);
  };
}

const TEXTS = ['', 'a', 'a|b', '/var/lib', 'eth0', 'x.y', '"', '\\', '\n', '主机', '^$', "'", '`'];

test('whatever is built is read back as it was', () => {
  const draw = draws(20_260_902);
  const pick = <T>(all: readonly T[]): T => all[draw(all.length)] as T;
  for (let turn = 0; turn < 2_000; turn += 1) {
    const filters = Array.from({ length: draw(3) }, () => {
      const operator = pick(OPERATORS);
      const several = operator === 'is' || operator === 'is_not' ? 1 + draw(3) : 1;
      const values = Array.from({ length: several }, () => pick(TEXTS));
      // A regular expression that is a plain choice is shown as one.
      const plain = several === 1 && (alternatives(values[0] ?? '')?.length ?? 0) > 1;
      const kept = plain && operator.startsWith('matches') ? ['a.*'] : values;
      return { label: pick(['instance', 'device', 'a b', 'by']), operator, values: kept };
    });
    const aggregation = pick([null, ...AGGREGATIONS]);
    const read = pick([null, ...RANGE_FUNCTIONS]);
    const query = built({
      metric: pick(['up', 'node_load1', 'sum', 'rate', 'by', 'dotted.name', 'a:b']),
      filters,
      read,
      window: read === null ? '5m' : pick(['1m', '5m', '1h30m', '250ms']),
      aggregation,
      by: aggregation === null ? [] : pick([[], ['instance'], ['a', 'b c', 'by']]),
      keep: pick([null, { end: pick(ENDS), count: 1 + draw(20) }]),
    });
    const text = queryText(query);
    expect([text, readQuery(text)]).toEqual([text, query]);
  }
});

test('nothing a person can type makes the reader fail otherwise than by refusing', () => {
  const draw = draws(7);
  const pieces = [
    'sum',
    '(',
    ')',
    ' by ',
    '{',
    '}',
    '[',
    ']',
    '5m',
    '"a"',
    '=',
    ',',
    'm',
    '"',
    '3',
  ];
  for (let turn = 0; turn < 3_000; turn += 1) {
    const text = Array.from({ length: draw(12) }, () => pieces[draw(pieces.length)]).join('');
    const query = readQuery(text);
    if (query !== null) expect(readQuery(queryText(query))).toEqual(query);
  }
});

test('a regular expression of plain texts is a choice of them', () => {
  expect(alternatives(alternation(['a.b', 'c|d', '\\']))).toEqual(['a.b', 'c|d', '\\']);
  expect(alternatives('sd.')).toBeNull();
  expect(alternatives('(a|b)')).toBeNull();
  expect(unquoted('"a\\u0041"')).toBeNull();
});

test('a counter is read as a rate, and a gauge as it is', () => {
  const gauge = withMetric(built({ read: 'rate' }), 'node_load1', false);
  expect(gauge.read).toBeNull();
  expect(withMetric(gauge, 'x_total', true).read).toBe('rate');
  expect(withMetric(built({ read: 'increase' }), 'x_total', true).read).toBe('increase');
  expect(withMetric(built({ read: 'max_over_time' }), 'm', false).read).toBe('max_over_time');
  expect(selectorText(built({}))).toBe('');
});
