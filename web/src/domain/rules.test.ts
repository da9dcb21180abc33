/** Grades under layers, and the form over them and back. */
import { expect, test } from 'vitest';

import { changesOf, formOf, gradesUnder, type Grade, type Layer } from './rules.ts';

const GRADES: Grade[] = [
  { severity: 'critical', enabled: true, threshold: 95, for_ms: 60_000 },
  { severity: 'warning', enabled: true, threshold: 90, for_ms: 300_000 },
];
const ALL: Layer = { scope: 'all', target: '', levels: { warning: { enabled: false } } };
const GROUP: Layer = {
  scope: 'group',
  target: 'db',
  levels: { warning: { enabled: true, threshold: 0, for_ms: null }, critical: { for_ms: 0 } },
};

test('later layers hold over earlier ones, grade by grade', () => {
  expect(gradesUnder(GRADES, []).map(({ threshold }) => threshold)).toEqual([95, 90]);
  const [critical, warning] = gradesUnder(GRADES, [ALL, GROUP]);
  expect(critical).toEqual({ severity: 'critical', enabled: true, threshold: 95, for_ms: 0 });
  expect(warning).toEqual({ severity: 'warning', enabled: true, threshold: 0, for_ms: 300_000 });
});

test('a form tells the changes that it was made from', () => {
  expect(changesOf(formOf(GRADES, undefined))).toEqual({});
  expect(changesOf(formOf(GRADES, GROUP))).toEqual({
    warning: { enabled: true, threshold: 0 },
    critical: { for_ms: 0 },
  });
});

test('what is no number changes nothing', () => {
  const typed = {
    severity: 'critical',
    enabled: 'inherit',
    threshold: ' x ',
    for_s: '1.5',
  } as const;
  expect(changesOf([typed])).toEqual({ critical: { for_ms: 1500 } });
});
