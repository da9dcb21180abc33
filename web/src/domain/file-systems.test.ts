/** How bad file systems are, in which order they stand, and what their filter keeps. */
import { expect, test } from 'vitest';

import {
  DISK_SORTS,
  diskLanguage,
  diskSortAfterClick,
  diskSortText,
  levelOfSystem,
  readDiskSort,
  sortedSystems,
  summariseSystems,
  trendQueries,
  type FileSystemFacts,
} from './file-systems.ts';
import { readFilter } from './filter.ts';

const NOW_MS = 1_790_000_000_000;
const DAY_MS = 86_400_000;
const GIB = 1024 ** 3;
const NO_GROWTH = { kind: 'none', bytes_per_day: null, full_ms: null } as const;

function system(mountpoint: string, facts: Partial<FileSystemFacts> = {}): FileSystemFacts {
  return {
    instance: 'web-1',
    mountpoint,
    device: '/dev/sda1',
    fstype: 'ext4',
    network: false,
    read_only: false,
    failed: false,
    size_bytes: 100 * GIB,
    available_bytes: 60 * GIB,
    used_percent: 40,
    inodes: 1e6,
    inodes_used_percent: 3,
    growth: NO_GROWTH,
    ...facts,
  };
}
function filling(days: number): Partial<FileSystemFacts> {
  return {
    growth: { kind: 'steady', bytes_per_day: 2 * GIB, full_ms: NOW_MS + days * DAY_MS },
  };
}
const gone = {
  failed: true,
  size_bytes: null,
  available_bytes: null,
  used_percent: null,
  inodes_used_percent: null,
  fstype: 'nfs4',
  network: true,
};

const ALL = [
  system('/', { used_percent: 30 }),
  system('/var', filling(40)),
  system('/data', filling(3)),
  system('/full', { used_percent: 96 }),
  system('/nfs', gone),
  system('/ro', { read_only: true, used_percent: 100, ...filling(1) }),
];

test.each<[Partial<FileSystemFacts>, string]>([
  [{}, 'fine'],
  [gone, 'critical'],
  [filling(6), 'warning'],
  [filling(0.5), 'critical'],
  [{ used_percent: 86 }, 'warning'],
  [{ inodes_used_percent: 96 }, 'critical'],
  [{ read_only: true, used_percent: 100, ...filling(1) }, 'fine'],
])('%j is %s', (facts, level) => {
  expect(levelOfSystem(system('/', facts), NOW_MS)).toBe(level);
});

test('first what does not answer, then by the day, then by how full it is', () => {
  const names = sortedSystems(ALL, readDiskSort(null)).map((one) => one.mountpoint);
  expect(names).toEqual(['/nfs', '/data', '/var', '/ro', '/full', '/']);
});

test('every column sorts, unknown comes last, and its address leads back to it', () => {
  for (const column of DISK_SORTS) {
    for (const descending of [true, false]) {
      const sort = { column, descending };
      expect(readDiskSort(diskSortText(sort))).toEqual(sort);
      expect(sortedSystems(ALL, sort)).toHaveLength(ALL.length);
    }
  }
  expect(sortedSystems(ALL, { column: 'used', descending: true }).at(-1)?.mountpoint).toBe('/nfs');
  expect(sortedSystems(ALL, { column: 'used', descending: false }).at(-1)?.mountpoint).toBe('/nfs');
  expect(diskSortAfterClick(readDiskSort(null), 'used')).toEqual({
    column: 'used',
    descending: true,
  });
});

test.each<[string, string[]]>([
  ['full<7d', ['/data']],
  ['used>95', ['/full', '/ro']],
  ['-state:readonly used>95', ['/full']],
  ['state:failed', ['/nfs']],
  ['state:network', ['/nfs']],
  ['mount:/da*', ['/data']],
  ['type:nfs4', ['/nfs']],
  ['growth>1G', ['/var', '/data', '/ro']],
  ['free<1T -state:fine', ['/data', '/full']],
  ['sda1 /var', ['/var']],
])('“%s” keeps %j', (text, mounts) => {
  const { keeps, problems } = readFilter(diskLanguage(NOW_MS), text);
  expect(problems).toEqual([]);
  expect(ALL.filter(keeps).map((one) => one.mountpoint)).toEqual(mounts);
});

test('the summary counts each once and names the one that is full first', () => {
  const summary = summariseSystems(ALL, NOW_MS);
  expect(summary.total).toBe(6);
  expect(summary.attention).toBe(3);
  expect(summary.first?.mountpoint).toBe('/data');
  expect(summary.counts).toEqual([
    { state: 'failed', count: 1 },
    { state: 'critical', count: 1 },
    { state: 'warning', count: 1 },
  ]);
  expect(summariseSystems([], NOW_MS).first).toBeNull();
});

test('a trend asks for one file system, whatever it is called', () => {
  const { used } = trendQueries({ instance: 'a"b', mountpoint: '/' });
  expect(used).toContain('instance="a\\"b",mountpoint="/"');
});
