/** Alerts in words, in order, as incidents and under filters; silences as a form. */
import { expect, test } from 'vitest';

import {
  byHost,
  filterFromAddress,
  incidentsOf,
  keeps,
  sentence,
  thresholdText,
  valueText,
  type AlertFacts,
} from './alerts.ts';
import { bandsOf } from './alert-charts.ts';
import { iconWithCount, titleWithCount } from './alert-count.ts';
import { matcherText, matchersOf, presetEnd, readMatchers } from './silences.ts';

function alert(id: string, more: Partial<AlertFacts> = {}): AlertFacts {
  return {
    id,
    name: 'DiskFull',
    severity: 'warning',
    state: 'firing',
    instance: 'web-1',
    labels: { alertname: 'DiskFull', instance: 'web-1' },
    annotations: { summary: 'Disk is full' },
    value: 97,
    threshold: 95,
    unit: 'percent',
    active_at_ms: 0,
    starts_at_ms: 1,
    hush: null,
    incident: id,
    acknowledged: null,
    assignee: null,
    ...more,
  };
}

test('a sentence is in the language asked for, else in English, else the name', () => {
  const both = alert('a', { annotations: { summary: 'Disk is full', summary_zh: '磁盘已满' } });
  expect(sentence(both, 'zh')).toBe('磁盘已满');
  expect(sentence(both, 'en')).toBe('Disk is full');
  expect(sentence(alert('a'), 'zh')).toBe('Disk is full');
  expect(sentence(alert('a', { annotations: { summary_zh: '' } }), 'zh')).toBe('DiskFull');
});

test('an incident is led by what explains it, and the most urgent comes first', () => {
  const alerts = [
    alert('old', { starts_at_ms: 1 }),
    alert('swallowed', { incident: 'down', hush: 'inhibited', severity: 'critical' }),
    alert('hushed', { hush: 'silenced', severity: 'critical' }),
    alert('new', { starts_at_ms: 9 }),
    alert('down', { severity: 'critical' }),
  ];
  const told = incidentsOf(alerts).map(({ head, others }) => [head.id, others.map(({ id }) => id)]);
  expect(told).toEqual([
    ['down', ['swallowed']],
    ['new', []],
    ['old', []],
    ['hushed', []],
  ]);
  expect(incidentsOf([])).toEqual([]);
});

test('an incident whose cause is filtered away is led by its worst', () => {
  const [only] = incidentsOf([
    alert('mild', { incident: 'gone' }),
    alert('bad', { incident: 'gone', severity: 'critical' }),
  ]);
  expect(only?.head.id).toBe('bad');
});

function kept(address: string, more: Partial<AlertFacts>): boolean {
  return keeps(filterFromAddress(new URLSearchParams(address)), alert('a', more));
}

test('filters read the address', () => {
  expect(kept('', {})).toBe(true);
  expect(kept('', { state: 'resolved' })).toBe(false);
  expect(kept('severity=critical', {})).toBe(false);
  expect(kept('severity=nonsense', {})).toBe(true);
  expect(kept('show=told', { hush: 'muted' })).toBe(false);
  expect(kept('show=hushed', { hush: 'muted' })).toBe(true);
  expect(kept('show=hushed', {})).toBe(false);
  expect(kept('show=pending', { state: 'pending' })).toBe(true);
  expect(kept('show=told', { state: 'pending' })).toBe(false);
  expect(kept('filter=WEB-1+full', {})).toBe(true);
  expect(kept('filter=web-2', {})).toBe(false);
  expect(kept('filter=alice', { assignee: 'alice' })).toBe(true);
});

test('a host has the count of what is told, and its worst', () => {
  const found = byHost([
    alert('a'),
    alert('b', { severity: 'critical' }),
    alert('c', { hush: 'silenced', severity: 'critical' }),
    alert('d', { state: 'pending' }),
    alert('e', { instance: null }),
  ]);
  expect([...found]).toEqual([['web-1', { count: 2, worst: 'critical' }]]);
  const unheard = byHost([alert('f', { hush: 'no_receiver' })]);
  expect(unheard.get('web-1')).toEqual({ count: 1, worst: 'warning' });
});

test('firings at once are one band of the worst', () => {
  const at = (
    starts_at_ms: number,
    ends_at_ms: number | null,
    severity: AlertFacts['severity'],
  ) => ({
    starts_at_ms,
    ends_at_ms,
    severity,
  });
  expect(bandsOf([at(0, 10, 'warning'), at(4, 6, 'critical'), at(8, 12, 'warning')])).toEqual([
    { from_ms: 0, to_ms: 4, level: 'warning' },
    { from_ms: 4, to_ms: 6, level: 'critical' },
    { from_ms: 6, to_ms: 12, level: 'warning' },
  ]);
  expect(bandsOf([at(5, null, 'critical'), at(7, 9, 'warning'), at(1, 2, 'info')])).toEqual([
    { from_ms: 5, to_ms: null, level: 'critical' },
  ]);
});

test('a threshold has no needless zeroes', () => {
  expect(thresholdText(9, 'seconds')).toBe('9\u00a0s');
  expect(thresholdText(2.5, 'percent')).toBe('2.5%');
  expect(thresholdText(3, 'days')).toBe('3\u00a0d');
  expect(thresholdText(null, 'percent')).toBe('–');
});

test('values have the unit of their rule', () => {
  expect(valueText(97.26, 'percent')).toBe('97.3%');
  expect(valueText(3.5, 'days')).toBe('3.50\u00a0d');
  expect(valueText(null, 'percent')).toBe('–');
  expect(valueText(7, 'no such unit')).toBe('7.00');
});

test('the title counts', () => {
  expect(titleWithCount('Fleet', 0)).toBe('Fleet');
  expect(titleWithCount('Fleet', 3)).toBe('(3) Fleet');
  expect(titleWithCount('Fleet', 1000)).toBe('(99+) Fleet');
  expect(decodeURIComponent(iconWithCount(7))).toContain('>7</text>');
  expect(decodeURIComponent(iconWithCount(100))).toContain('>99+</text>');
});

test('a silence from an alert hangs on what it is about, not on how bad it is', () => {
  const labels = { severity: 'warning', job: 'node', device: 'sda', instance: 'a', alertname: 'X' };
  expect(matchersOf(labels).map(matcherText)).toEqual([
    'alertname="X"',
    'instance="a"',
    'device="sda"',
  ]);
});

test('matchers are read as they are written', () => {
  const text = 'a="x, y"\nb!="2"\nc=~"web-.*"\nd!~"q\\"r"';
  const read = readMatchers(text);
  expect(read.wrong).toEqual([]);
  expect(read.matchers.map(matcherText).join('\n')).toBe(text);
  expect(readMatchers('plain=word').matchers[0]?.value).toBe('word');
  expect(readMatchers('nonsense\n"x').wrong).toEqual(['nonsense', '"x']);
  expect(readMatchers('a="open').wrong).toEqual(['a="open']);
});

test('presets end when they say', () => {
  const now_ms = new Date(2026, 10, 22, 8, 0).getTime();
  expect(presetEnd('1h', now_ms) - now_ms).toBe(3_600_000);
  expect(presetEnd('4h', now_ms) - now_ms).toBe(4 * 3_600_000);
  expect(presetEnd('morning', now_ms)).toBe(new Date(2026, 10, 22, 9, 0).getTime());
  const later_ms = new Date(2026, 10, 22, 9, 0).getTime();
  expect(presetEnd('morning', later_ms)).toBe(new Date(2026, 10, 23, 9, 0).getTime());
});
