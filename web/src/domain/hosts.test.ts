/** Who needs somebody, and in which order. */
import { expect, test } from 'vitest';

import {
  judge,
  levelOf,
  readSort,
  sortAfterClick,
  sortedInstances,
  SORTS,
  sortText,
  summarise,
  DEFAULT_SORT,
  type HostFacts,
} from './hosts.ts';

function host(instance: string, facts: Partial<HostFacts> = {}): HostFacts {
  return {
    instance,
    groups: [],
    tags: [],
    state: 'up',
    state_since_ms: 0,
    agent_version: '0.1.0',
    os: 'Debian 12',
    kernel: '6.1.0',
    cpus: 4,
    boot_time_ms: 1_000,
    cpu_percent: 10,
    memory_percent: 20,
    swap_percent: 0,
    load1: 0.5,
    receive_bytes_per_second: 1,
    transmit_bytes_per_second: 1,
    worst_disk: { mountpoint: '/', used_percent: 30 },
    next_full: null,
    ...facts,
  };
}
const disk = (used_percent: number) => ({ worst_disk: { mountpoint: '/', used_percent } });
const NOW_MS = 1_790_000_000_000;
const DAY_MS = 86_400_000;
const fullIn = (days: number) => ({
  next_full: { mountpoint: '/', full_ms: NOW_MS + days * DAY_MS },
});

test.each<[Partial<HostFacts>, string, string | null]>([
  [{}, 'fine', null],
  [{ cpu_percent: null, memory_percent: null, worst_disk: null }, 'fine', null],
  [{ state: 'silent', ...disk(99) }, 'critical', 'silent'],
  [disk(85), 'warning', 'disk'],
  [disk(95), 'critical', 'disk'],
  [{ memory_percent: 98, ...disk(90) }, 'critical', 'memory'],
  [fullIn(6.9), 'warning', 'full'],
  [fullIn(7), 'fine', null],
  [{ ...fullIn(0.5), ...disk(90) }, 'critical', 'full'],
  [{ ...fullIn(-1), ...disk(99) }, 'critical', 'disk'],
  [{ cpu_percent: 100 }, 'fine', null],
])('judging %j', (facts, level, reason) => {
  expect(judge(host('a', facts), NOW_MS)).toEqual({ level, reason });
});

test('levels turn at their limits', () => {
  expect(levelOf('disk', 84.9)).toBe('fine');
  expect(levelOf('disk', null)).toBe('fine');
  expect(levelOf('memory', 90)).toBe('warning');
});

test('worst first, names as people count, unknown last', () => {
  const hosts = [
    host('web-10'),
    host('web-9'),
    host('full', disk(96)),
    host('warm', disk(88)),
    host('gone', { state: 'silent' }),
    host('new', { cpu_percent: null }),
  ];
  expect(sortedInstances(hosts, DEFAULT_SORT, NOW_MS)).toEqual([
    'gone',
    'full',
    'warm',
    'new',
    'web-9',
    'web-10',
  ]);
  const byCpu = sortedInstances(hosts, { column: 'cpu', descending: false }, NOW_MS);
  expect(byCpu.at(-1)).toBe('new');
  expect(sortedInstances(hosts, { column: 'cpu', descending: true }, NOW_MS).at(-1)).toBe('new');
});

test('small changes do not move rows', () => {
  const before = sortedInstances(
    [host('a', { cpu_percent: 41 }), host('b', { cpu_percent: 44 })],
    DEFAULT_SORT,
    NOW_MS,
  );
  const after = sortedInstances(
    [host('a', { cpu_percent: 44 }), host('b', { cpu_percent: 41 })],
    DEFAULT_SORT,
    NOW_MS,
  );
  expect(after).toEqual(before);
});

test('every column sorts, and its address leads back to it', () => {
  const hosts = [host('b', { load1: 2, boot_time_ms: 5 }), host('a')];
  for (const column of SORTS) {
    for (const descending of [true, false]) {
      const sort = { column, descending };
      expect(readSort(sortText(sort))).toEqual(sort);
      expect(sortedInstances(hosts, sort, NOW_MS)).toHaveLength(2);
    }
  }
  expect(readSort('-nonsense')).toEqual(DEFAULT_SORT);
  expect(sortedInstances(hosts, { column: 'uptime', descending: true }, NOW_MS)).toEqual([
    'b',
    'a',
  ]);
});

test('a second click turns the order round', () => {
  const first = sortAfterClick(DEFAULT_SORT, 'host');
  expect(first).toEqual({ column: 'host', descending: false });
  expect(sortAfterClick(first, 'host').descending).toBe(true);
  expect(sortAfterClick(first, 'cpu').descending).toBe(true);
});

test('the summary counts each host once, by its worst reason and level', () => {
  const hosts = [
    host('a'),
    host('b', disk(86)),
    host('c', disk(99)),
    host('d', { state: 'silent', ...disk(99) }),
  ];
  expect(summarise(hosts, NOW_MS)).toEqual({
    total: 4,
    attention: 3,
    reasons: [
      { reason: 'silent', level: 'critical', count: 1 },
      { reason: 'disk', level: 'critical', count: 2 },
    ],
  });
});

test('a host with an alert needs somebody, and says what is worst', () => {
  const told = new Map([
    ['a', { count: 2, worst: 'critical' as const }],
    ['b', { count: 1, worst: 'warning' as const }],
    ['c', { count: 1, worst: 'info' as const }],
    ['d', { count: 1, worst: 'warning' as const }],
  ]);
  const hosts = [host('a'), host('b', disk(99)), host('c'), host('d', disk(86)), host('e')];
  const reasonOf = (name: string): string | null => {
    const one = hosts.find(({ instance }) => instance === name) ?? host(name);
    return judge(one, NOW_MS, told.get(name)).reason;
  };
  expect(['a', 'b', 'c', 'd', 'e'].map(reasonOf)).toEqual(['alerts', 'disk', null, 'disk', null]);
  expect(summarise(hosts, NOW_MS, told)).toEqual({
    total: 5,
    attention: 3,
    reasons: [
      { reason: 'alerts', level: 'critical', count: 1 },
      { reason: 'disk', level: 'critical', count: 2 },
    ],
  });
  const worstFirst = sortedInstances(hosts, DEFAULT_SORT, NOW_MS, undefined, told);
  expect(worstFirst.slice(0, 3).toSorted()).toEqual(['a', 'b', 'd']);
});

test('hosts are sorted by their alerts, those without any last', () => {
  const told = new Map([
    ['a', { count: 5, worst: 'warning' as const }],
    ['c', { count: 1, worst: 'critical' as const }],
  ]);
  const hosts = [host('a'), host('b'), host('c')];
  const by = (descending: boolean): string[] =>
    sortedInstances(hosts, { column: 'alerts', descending }, 0, undefined, told);
  expect(by(true)).toEqual(['c', 'a', 'b']);
  expect(by(false)).toEqual(['a', 'c', 'b']);
});
