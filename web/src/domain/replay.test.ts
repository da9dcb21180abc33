/** What a rule's replay is drawn over, from expressions and texts as people write them. */
import { expect, test } from 'vitest';

import { firstAlert, judgedBy, worstOf } from './replay.ts';

test('the worst is the highest, or the lowest where a rule holds below its threshold', () => {
  expect(worstOf('up', false)).toBe('max(up)');
  expect(worstOf('up', true)).toBe('min(up)');
});

test.each([
  ['a > 5', 'max(a)', 5],
  ['a >= 0.5', 'max(a)', 0.5],
  ['sum by (x) (rate(a{b=~">|<"}[5m])) < 1e-3', 'min(sum by (x) (rate(a{b=~">|<"}[5m])))', 0.001],
  ['(a and b) > -2', 'max((a and b))', -2],
  ['a == 1', 'max(a == 1)', null],
  ['a > b', 'max(a > b)', null],
  ['a and b > 5', 'max(a and b > 5)', null],
  ['a > 1 < 5', 'max(a > 1 < 5)', null],
  ['absent(up)', 'max(absent(up))', null],
  ['', 'max()', null],
])('%s', (expression, line, threshold) => {
  expect(judgedBy(expression)).toEqual({ expression: line, threshold });
});

const rules = (...lines: string[]): string =>
  `groups:\n  - name: x\n    rules:\n${lines.join('\n')}`;

test.each([
  ['a line', rules('      - alert: A', '        expr: a > 1 # why', '        for: 5m'), 'a > 1'],
  ['quotes', rules('      - alert: A', `        expr: 'a{b="c"} > 1'`), 'a{b="c"} > 1'],
  [
    'a block',
    rules(
      '      - alert: A',
      '        expr: |',
      '          a',
      '            > 1',
      '        for: 1m',
    ),
    'a > 1',
  ],
  ['expr first', rules('      - expr: a', '        alert: A'), 'a'],
  [
    'after a record',
    rules('      - record: r', '        expr: b', '      - alert: A', '        expr: a'),
    'a',
  ],
  ['none of its own', rules('      - alert: A', '      - record: r', '        expr: b'), null],
  ['no alert', rules('      - record: r', '        expr: b'), null],
  ['no rules', 'nonsense', null],
])('the first alert: %s', (_, yaml, expression) => {
  expect(firstAlert(yaml)).toBe(expression);
});
