/** The tables of a host: processes, file systems, containers, parts; and the charts of its tabs. */
import { expect, test } from 'vitest';

import { fileSystemQueries, fileSystemsOf } from './host-file-systems.ts';
import { detailFor } from './host-charts.ts';
import { HOST_TABS, TAB_CHARTS, tabOf, tabRange } from './host-tabs.ts';
import { containersOf, diskHealthOf, gpusOf, machineText } from './parts.ts';
import { searchedProcesses, sortedProcesses, treeOf, type ProcessFacts } from './processes.ts';

function process(pid: number, parent: number, rest: Partial<ProcessFacts> = {}): ProcessFacts {
  return {
    pid,
    parent,
    user: 'root',
    program: `p${pid}`,
    command: `/usr/bin/p${pid} --serve`,
    state: 'S',
    threads: 1,
    started_ms: 1000 * pid,
    cpu_ratio: 0,
    memory_bytes: 0,
    read_bytes_per_second: null,
    written_bytes_per_second: null,
    ...rest,
  };
}

const ROWS = [
  process(1, 0, { cpu_ratio: 0.1, memory_bytes: 5 }),
  process(7, 1, { cpu_ratio: 0.9, user: 'www', read_bytes_per_second: 3 }),
  process(3, 1, { memory_bytes: 9 }),
  process(9, 7, { cpu_ratio: 0.2 }),
];

test.each([
  ['cpu', false, [7, 9, 1, 3]],
  ['cpu', true, [3, 1, 9, 7]],
  ['memory', false, [3, 1, 7, 9]],
  ['pid', false, [1, 3, 7, 9]],
  ['user', false, [1, 3, 9, 7]],
  ['read', false, [7, 1, 3, 9]],
  ['age', false, [1, 3, 7, 9]],
] as const)('processes by %s, reversed %s', (sort, reversed, pids) => {
  expect(sortedProcesses(ROWS, sort, reversed).map(({ pid }) => pid)).toEqual(pids);
});

test('processes are found by number, user and arguments', () => {
  const found = (text: string): number[] => searchedProcesses(ROWS, text).map(({ pid }) => pid);
  expect(found('WWW')).toEqual([7]);
  expect(found('p9 --serve')).toEqual([9]);
  expect(found('')).toHaveLength(4);
  expect(found('nothing')).toEqual([]);
});

test('a tree has children below their parents, and loses no process', () => {
  expect(treeOf(ROWS).map(({ row, depth }) => [row.pid, depth])).toEqual([
    [1, 0],
    [7, 1],
    [9, 2],
    [3, 1],
  ]);
  const orphan = [process(5, 4), process(6, 6)];
  expect(treeOf(orphan).map(({ depth }) => depth)).toEqual([0, 0]);
});

function sample(
  labels: Record<string, string>,
  value: number,
): { labels: Record<string, string>; value: number } {
  return { labels, value };
}

test('file systems are as full as df says, the fullest first', () => {
  const root = { mountpoint: '/', device: 'sda1', fstype: 'ext4' };
  const hung = { mountpoint: '/srv', device: 'nas:/x', fstype: 'nfs4' };
  const rows = fileSystemsOf({
    size: [sample(root, 100)],
    free: [sample(root, 20)],
    available: [sample(root, 15)],
    files: [sample(root, 10)],
    files_free: [sample(root, 4)],
    hangs: [sample(hung, 1), sample(root, 0)],
    read_only: [sample(root, 1)],
  });
  expect(rows.map(({ mountpoint, hangs, read_only }) => [mountpoint, hangs, read_only])).toEqual([
    ['/', false, true],
    ['/srv', true, false],
  ]);
  expect(rows[0]?.used_percent).toBeCloseTo(84.21);
  expect(rows[0]?.inodes_percent).toBeCloseTo(60);
  expect(rows[1]?.used_percent).toBeNull();
  expect(fileSystemsOf({})).toEqual([]);
  expect(Object.keys(fileSystemQueries('h'))).toHaveLength(8);
});

test('containers, disks and graphics processors are rows', () => {
  const info = { container: 'abc', name: 'web', image: 'nginx:1' };
  const told = {
    info: [sample(info, 1)],
    memory: [sample({ container: 'abc', name: 'web' }, 50)],
    limit: [sample({ container: 'abc', name: 'web' }, 200)],
  };
  expect(containersOf(told)[0]).toMatchObject({ name: 'web', image: 'nginx:1', limit_percent: 25 });
  const disks = diskHealthOf({
    healthy: [sample({ device: 'sda', model: 'A' }, 1), sample({ device: 'sdb', model: 'B' }, 0)],
    bad_sectors: [sample({ device: 'sdb', model: 'B' }, 7)],
  });
  expect(disks.map(({ device, healthy }) => [device, healthy])).toEqual([
    ['sdb', false],
    ['sda', true],
  ]);
  expect(gpusOf({ gpu: [sample({ gpu: '0', name: 'T4' }, 1)] })[0]).toMatchObject({
    name: 'T4',
    memory_percent: null,
  });
});

test('a machine is called by its maker and its processors, as far as they are told', () => {
  const machine = [sample({ system_vendor: 'Dell Inc.', product_name: 'R740' }, 1)];
  const cpu = [sample({ model_name: 'Intel(R) Xeon(R)  Gold 6230' }, 1)];
  expect(machineText({ machine, cpu })).toBe('Dell Inc. R740, Intel Xeon Gold 6230');
  expect(machineText({})).toBe('');
});

test('every tab has a name of its own in the address, and its charts fit a live stream', () => {
  for (const tab of HOST_TABS) {
    expect(tabOf(tab)).toBe(tab);
    const charts = TAB_CHARTS[tab];
    expect(new Set(charts.map(({ id }) => id)).size).toBe(charts.length);
    const queries = charts.flatMap((chart) => chart.queries);
    // The server takes 64 expressions a stream.
    expect(queries.length).toBeLessThanOrEqual(64);
    for (const live of [true, false]) {
      for (const { promql } of queries) {
        expect(promql(detailFor('h', 60, live))).toContain('instance="h"');
      }
    }
  }
  expect(tabOf('nonsense')).toBe('overview');
  expect(tabRange('events')).not.toEqual(tabRange('cpu'));
});
