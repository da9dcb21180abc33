/** What is to be said of file systems: how bad each is, in which order they are listed, what a filter keeps. */
import type { FilterLanguage } from './filter.ts';
import { readLength, readPercent, readSize } from './filter-values.ts';
import { levelOf, levelOfFull, type Level } from './hosts.ts';
import { quoted } from './promql-text.ts';

/** The part of a file system that these judgements read. */
export interface FileSystemFacts {
  instance: string;
  mountpoint: string;
  device: string;
  fstype: string;
  network: boolean;
  read_only: boolean;
  failed: boolean;
  size_bytes: number | null;
  available_bytes: number | null;
  used_percent: number | null;
  inodes: number | null;
  inodes_used_percent: number | null;
  growth: {
    kind: 'unknown' | 'none' | 'steady';
    bytes_per_day: number | null;
    full_ms: number | null;
  };
}

/** One of all, by host and place; the form in the address. */
export function keyOf(system: { instance: string; mountpoint: string }): string {
  return `${system.instance}:${system.mountpoint}`;
}

const WEIGHT: Record<Level, number> = { fine: 0, warning: 1, critical: 2 };

/** When it will be full, where that matters: what cannot be written does not fill. */
export function fullMs(system: FileSystemFacts): number | null {
  return system.read_only || system.failed ? null : system.growth.full_ms;
}

/** How bad it is: that it does not answer, how full it is, how soon it will be, how few files it can take. */
export function levelOfSystem(system: FileSystemFacts, now_ms: number): Level {
  if (system.failed) return 'critical';
  if (system.read_only) return 'fine';
  const levels = [
    levelOf('disk', system.used_percent),
    levelOf('disk', system.inodes_used_percent),
    levelOfFull(fullMs(system), now_ms),
  ];
  return levels.reduce((worst, level) => (WEIGHT[level] > WEIGHT[worst] ? level : worst));
}

/** The columns, as they are named in the address. */
export const DISK_SORTS = [
  'full',
  'host',
  'mount',
  'device',
  'size',
  'used',
  'free',
  'inodes',
  'growth',
] as const;
export type DiskSortColumn = (typeof DISK_SORTS)[number];

export interface DiskSort {
  column: DiskSortColumn;
  descending: boolean;
}

export const DEFAULT_DISK_SORT: DiskSort = { column: 'full', descending: false };

/** Numbers are worst when they are most; dates, free space and text begin with the least. */
const DESCENDING: ReadonlySet<DiskSortColumn> = new Set(['size', 'used', 'inodes', 'growth']);

/** The sort after a click on a column's head: its first direction, then the other. */
export function diskSortAfterClick(sort: DiskSort, column: DiskSortColumn): DiskSort {
  const first = DESCENDING.has(column);
  return { column, descending: sort.column === column ? !sort.descending : first };
}

/** The address form: the column, with a minus where the direction is not its first. */
export function diskSortText(sort: DiskSort): string | null {
  if (sort.column === DEFAULT_DISK_SORT.column && !sort.descending) return null;
  return `${sort.descending === DESCENDING.has(sort.column) ? '' : '-'}${sort.column}`;
}

/** Reads the address form; anything unknown is the default. */
export function readDiskSort(text: string | null): DiskSort {
  const reversed = text?.startsWith('-') ?? false;
  const column = DISK_SORTS.find((name) => name === (reversed ? text?.slice(1) : text));
  if (column === undefined) return DEFAULT_DISK_SORT;
  return { column, descending: DESCENDING.has(column) !== reversed };
}

const NAMES = new Intl.Collator('en', { numeric: true });

function sortValue(system: FileSystemFacts, column: DiskSortColumn): number | string | null {
  switch (column) {
    case 'full':
      return system.failed ? Number.NEGATIVE_INFINITY : fullMs(system);
    case 'host':
      return system.instance;
    case 'mount':
      return system.mountpoint;
    case 'device':
      return system.device;
    case 'size':
      return system.size_bytes;
    case 'used':
      return system.used_percent;
    case 'free':
      return system.available_bytes;
    case 'inodes':
      return system.inodes_used_percent;
    case 'growth':
      return system.growth.bytes_per_day;
  }
}

/** In order; what is not known comes last in both directions, then the fullest, then by name. */
export function sortedSystems<System extends FileSystemFacts>(
  systems: readonly System[],
  { column, descending }: DiskSort,
): System[] {
  const rows = systems.map((system) => ({ system, value: sortValue(system, column) }));
  const sign = descending ? -1 : 1;
  rows.sort((one, other) => {
    if (one.value !== other.value) {
      if (one.value === null || other.value === null) return one.value === null ? 1 : -1;
      if (typeof one.value === 'number' && typeof other.value === 'number') {
        return sign * (one.value - other.value);
      }
      const order = NAMES.compare(String(one.value), String(other.value));
      if (order !== 0) return sign * order;
    }
    const fuller = (other.system.used_percent ?? -1) - (one.system.used_percent ?? -1);
    if (column !== 'host' && fuller !== 0) return fuller;
    return (
      NAMES.compare(one.system.instance, other.system.instance) ||
      NAMES.compare(one.system.mountpoint, other.system.mountpoint)
    );
  });
  return rows.map((row) => row.system);
}

const STATES = [
  'attention',
  'critical',
  'warning',
  'fine',
  'filling',
  'failed',
  'readonly',
  'network',
  'local',
] as const;

function statesOf(system: FileSystemFacts, now_ms: number): string[] {
  const level = levelOfSystem(system, now_ms);
  const found: string[] = [level, system.network ? 'network' : 'local'];
  if (level !== 'fine') found.push('attention');
  if (fullMs(system) !== null) found.push('filling');
  if (system.failed) found.push('failed');
  if (system.read_only) found.push('readonly');
  return found;
}

/** What the filter over file systems understands, at a moment. */
export function diskLanguage(now_ms: number): FilterLanguage<FileSystemFacts> {
  const left = (system: FileSystemFacts): number | null => {
    const full_ms = fullMs(system);
    return full_ms === null ? null : Math.max(0, full_ms - now_ms);
  };
  return {
    fields: {
      state: {
        kind: 'words',
        read: (system) => statesOf(system, now_ms),
        whole: true,
        choices: STATES,
      },
      host: { kind: 'words', read: (system) => [system.instance], whole: false },
      mount: { kind: 'words', read: (system) => [system.mountpoint], whole: true },
      type: { kind: 'words', read: (system) => [system.fstype], whole: true },
      used: {
        kind: 'number',
        measures: [{ parse: readPercent, read: (system) => system.used_percent }],
        example: '85',
      },
      full: { kind: 'number', measures: [{ parse: readLength, read: left }], example: '7d' },
      inodes: {
        kind: 'number',
        measures: [{ parse: readPercent, read: (system) => system.inodes_used_percent }],
        example: '85',
      },
      size: {
        kind: 'number',
        measures: [{ parse: readSize, read: (system) => system.size_bytes }],
        example: '100G',
      },
      free: {
        kind: 'number',
        measures: [{ parse: readSize, read: (system) => system.available_bytes }],
        example: '20G',
      },
      growth: {
        kind: 'number',
        measures: [{ parse: readSize, read: (system) => system.growth.bytes_per_day }],
        example: '1G',
      },
    },
    aliases: { disk: 'used', name: 'host', fstype: 'type', mountpoint: 'mount' },
    text: (system) =>
      `${system.instance} ${system.mountpoint} ${system.device} ${system.fstype}`.toLowerCase(),
  };
}

/** How many file systems there are, how many will be full within a week or are full, and which do not answer. */
export interface DiskSummary {
  total: number;
  attention: number;
  /** The one that is full first, of those with a date. */
  first: FileSystemFacts | null;
  counts: { state: 'failed' | 'critical' | 'warning'; count: number }[];
}

/** Sums all file systems up for the first line of the screen. */
export function summariseSystems(systems: readonly FileSystemFacts[], now_ms: number): DiskSummary {
  const counts = { failed: 0, critical: 0, warning: 0 };
  let first: FileSystemFacts | null = null;
  for (const system of systems) {
    const level = levelOfSystem(system, now_ms);
    if (system.failed) counts.failed += 1;
    else if (level !== 'fine') counts[level] += 1;
    const full_ms = fullMs(system);
    if (full_ms !== null && full_ms < (first === null ? Infinity : (fullMs(first) ?? Infinity))) {
      first = system;
    }
  }
  const states = ['failed', 'critical', 'warning'] as const;
  return {
    total: systems.length,
    attention: counts.failed + counts.critical + counts.warning,
    first,
    counts: states.flatMap((state) =>
      counts[state] === 0 ? [] : [{ state, count: counts[state] }],
    ),
  };
}

/** The expressions behind the trend of one file system. */
export interface TrendQueries {
  used: string;
  size: string;
  inodes: string;
  /** When its data begins, in seconds since 1970, within so many seconds. */
  start: (span_s: number) => string;
}

/** What is used and how large it is, in bytes, and the files it holds, in percent, over time. */
export function trendQueries(system: { instance: string; mountpoint: string }): TrendQueries {
  const labels = `job="node",instance=${quoted(system.instance)},mountpoint=${quoted(system.mountpoint)}`;
  const metric = (name: string): string => `max(node_filesystem_${name}{${labels}})`;
  return {
    used: `${metric('size_bytes')} - ${metric('free_bytes')}`,
    size: metric('size_bytes'),
    inodes: `100 * (1 - ${metric('files_free')} / (${metric('files')} > 0))`,
    start: (span_s) =>
      `min(ts_of_first_over_time(node_filesystem_size_bytes{${labels}}[${Math.ceil(span_s)}s]))`,
  };
}
