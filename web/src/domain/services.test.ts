/** Services: in which words they ended, how their courses are drawn, and what their logs tell. */
import { expect, test } from 'vitest';

import { messageText } from './messages.ts';
import {
  endingWords,
  lookOf,
  segmentsOf,
  signalName,
  statesQuery,
  timelineGrid,
  type Look,
} from './services.ts';
import { transitionsOf, type Told } from './transitions.ts';

test.each([
  ['oom-kill', null, 9, 'killed for lack of memory'],
  ['signal', null, 11, 'killed by SIGSEGV'],
  ['signal', null, 40, 'killed by signal 40'],
  ['core-dump', null, 6, 'crashed with SIGABRT'],
  ['exit-code', 3, null, 'exited with status 3'],
  ['exit-code', 3, 15, 'exited with status 3'],
  ['watchdog', null, 6, 'hung, its watchdog ended it'],
  ['start-limit-hit', 1, null, 'given up: restarted too often'],
  ['exec-condition', null, null, 'ended: exec-condition'],
  ['success', 0, null, null],
  [null, null, null, null],
])('a service that ended by %s, status %s, signal %s', (result, exit_code, exit_signal, text) => {
  const words = endingWords({ result, exit_code, exit_signal });
  expect(words === null ? null : messageText('en', words.key, words.gaps)).toBe(text);
});

test('signals have names', () => {
  expect([signalName(9), signalName(15), signalName(64)]).toEqual([
    'SIGKILL',
    'SIGTERM',
    'signal 64',
  ]);
});

test('states on the way look the same', () => {
  expect(
    ['activating', 'reloading', 'failed', 'missing', 'active', 'inactive'].map(lookOf),
  ).toEqual(['changing', 'changing', 'failed', 'failed', 'active', 'inactive']);
});

test('a course is made of the worst look of each step, and knows where nothing is known', () => {
  const grid = { from_ms: 0, to_ms: 60, step_ms: 10 };
  const points = (look: Look, times_ms: number[]): { look: Look; times_ms: number[] } => ({
    look,
    times_ms,
  });
  const course = segmentsOf(
    [points('active', [10, 20, 30, 60]), points('failed', [30]), points('changing', [20, 30])],
    grid,
  );
  expect(course).toEqual([
    { from_ms: 0, to_ms: 10, look: 'active' },
    { from_ms: 10, to_ms: 20, look: 'changing' },
    { from_ms: 20, to_ms: 30, look: 'failed' },
    { from_ms: 30, to_ms: 50, look: null },
    { from_ms: 50, to_ms: 60, look: 'active' },
  ]);
  expect(segmentsOf([], grid)).toEqual([{ from_ms: 0, to_ms: 60, look: null }]);
});

test('the steps of a course fill its period up to its end', () => {
  for (const span_ms of [60_000, 300_000, 21_600_000, 604_800_000]) {
    const grid = timelineGrid({ from_ms: 1_000_000, to_ms: 1_000_000 + span_ms });
    expect(grid.to_ms).toBe(1_000_000 + span_ms);
    expect((grid.to_ms - grid.from_ms) % grid.step_ms).toBe(0);
    expect(grid.from_ms - 1_000_000).toBeLessThan(grid.step_ms);
    expect((grid.to_ms - grid.from_ms) / grid.step_ms).toBeLessThanOrEqual(120);
  }
});

test('a query of states asks for exactly the services shown, by whichever are fewer', () => {
  const one_host = ['a.service', 'b.mount'].map((name) => ({ instance: 'h', name }));
  expect(statesQuery(one_host, 60_000)).toBe(
    'max_over_time(node_systemd_unit_state{job="node",instance="h",name=~"a\\\\.service|b\\\\.mount"}[60s]) > 0',
  );
  const one_name = ['h1', 'h2'].map((instance) => ({ instance, name: 'a' }));
  expect(statesQuery(one_name, 1_000)).toContain('name="a",instance=~"h1|h2"}[35s]');
  expect(statesQuery([], 1_000)).toBe('');
});

function told(value: string, values: string): Told {
  return {
    value,
    points: [...values].map((holds, index) => [1000 * index, Number(holds)] as const),
  };
}

test('a log tells each change with what ended the service, the newest first', () => {
  const states = [
    told('active', '1100011'),
    told('failed', '0011000'),
    told('activating', '0000100'),
  ];
  const results = [told('oom-kill', '0001100'), told('success', '1100011')];
  const restarts = [...'0000111'].map((count, index) => [1000 * index, Number(count)] as const);
  expect(transitionsOf(states, results, restarts)).toEqual([
    { at_ms: 5000, from: 'activating', to: 'active', result: null, restarts: 0 },
    { at_ms: 4000, from: 'failed', to: 'activating', result: 'oom-kill', restarts: 1 },
    { at_ms: 2000, from: 'active', to: 'failed', result: 'oom-kill', restarts: 0 },
  ]);
});

test('a state that never changed has no log, and no samples have none', () => {
  expect(transitionsOf([told('active', '1111')], [], [])).toEqual([]);
  expect(transitionsOf([], [], [])).toEqual([]);
});
