/** Who needs somebody, in which order, and what a filter keeps. */
import { expect, test } from 'vitest';

import {
  judge,
  levelOf,
  readFilter,
  readSort,
  sortAfterClick,
  sortedInstances,
  SORTS,
  sortText,
  summarise,
  unknownField,
  DEFAULT_SORT,
  type HostFacts,
} from './hosts.ts';

function host(instance: string, facts: Partial<HostFacts> = {}): HostFacts {
  return {
    instance,
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
    ...facts,
  };
}
const disk = (used_percent: number) => ({ worst_disk: { mountpoint: '/', used_percent } });

test.each<[Partial<HostFacts>, string, string | null]>([
  [{}, 'fine', null],
  [{ cpu_percent: null, memory_percent: null, worst_disk: null }, 'fine', null],
  [{ state: 'silent', ...disk(99) }, 'critical', 'silent'],
  [disk(85), 'warning', 'disk'],
  [disk(95), 'critical', 'disk'],
  [{ memory_percent: 98, ...disk(90) }, 'critical', 'memory'],
  [{ cpu_percent: 100 }, 'fine', null],
])('judging %j', (facts, level, reason) => {
  expect(judge(host('a', facts))).toEqual({ level, reason });
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
  expect(sortedInstances(hosts, DEFAULT_SORT)).toEqual([
    'gone',
    'full',
    'warm',
    'new',
    'web-9',
    'web-10',
  ]);
  const byCpu = sortedInstances(hosts, { column: 'cpu', descending: false });
  expect(byCpu.at(-1)).toBe('new');
  expect(sortedInstances(hosts, { column: 'cpu', descending: true }).at(-1)).toBe('new');
});

test('small changes do not move rows', () => {
  const before = sortedInstances(
    [host('a', { cpu_percent: 41 }), host('b', { cpu_percent: 44 })],
    DEFAULT_SORT,
  );
  const after = sortedInstances(
    [host('a', { cpu_percent: 44 }), host('b', { cpu_percent: 41 })],
    DEFAULT_SORT,
  );
  expect(after).toEqual(before);
});

test('every column sorts, and its address leads back to it', () => {
  const hosts = [host('b', { load1: 2, boot_time_ms: 5 }), host('a')];
  for (const column of SORTS) {
    for (const descending of [true, false]) {
      const sort = { column, descending };
      expect(readSort(sortText(sort))).toEqual(sort);
      expect(sortedInstances(hosts, sort)).toHaveLength(2);
    }
  }
  expect(readSort('-nonsense')).toEqual(DEFAULT_SORT);
  expect(sortedInstances(hosts, { column: 'uptime', descending: true })).toEqual(['b', 'a']);
});

test('a second click turns the order round', () => {
  const first = sortAfterClick(DEFAULT_SORT, 'host');
  expect(first).toEqual({ column: 'host', descending: false });
  expect(sortAfterClick(first, 'host').descending).toBe(true);
  expect(sortAfterClick(first, 'cpu').descending).toBe(true);
});

test.each<[string, string[]]>([
  ['', ['web-1', 'db-1', 'db-2']],
  ['WEB', ['web-1']],
  ['db cpu>50', ['db-2']],
  ['cpu>=80%', ['db-2']],
  ['cpu<=10', ['web-1', 'db-1']],
  ['disk>90', ['db-1']],
  ['state:attention', ['db-1', 'db-2']],
  ['state:silent', ['db-2']],
  ['state:critical', ['db-1', 'db-2']],
  ['cpu>', []],
  ['nowhere>3', []],
])('filter “%s”', (text, names) => {
  const hosts = [
    host('web-1'),
    host('db-1', disk(97)),
    host('db-2', { state: 'silent', cpu_percent: 80 }),
  ];
  expect(hosts.filter(readFilter(text)).map((one) => one.instance)).toEqual(names);
});

test.each<[string, string | null]>([
  ['web cpu>80', null],
  ['dsik>80', 'dsik'],
  ['web cpus<2', 'cpus'],
  ['status:silent', 'status'],
  ['state:silent', null],
  ['db-1:9100', null],
])('the unknown field of “%s” is %s', (text, field) => {
  expect(unknownField(text)).toBe(field);
});

test('the summary counts each host once, by its worst reason and level', () => {
  const hosts = [
    host('a'),
    host('b', disk(86)),
    host('c', disk(99)),
    host('d', { state: 'silent', ...disk(99) }),
  ];
  expect(summarise(hosts)).toEqual({
    total: 4,
    attention: 3,
    reasons: [
      { reason: 'silent', level: 'critical', count: 1 },
      { reason: 'disk', level: 'critical', count: 2 },
    ],
  });
});
