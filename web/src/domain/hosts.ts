/** What a host's numbers mean: whether it needs somebody, and in which order hosts are listed. */
import { urgencyOf, type HostAlerts } from './alerts.ts';

/** The part of a host that these judgements read; the API's `Host` has it all. */
export interface HostFacts {
  instance: string;
  groups: string[];
  tags: string[];
  state: 'up' | 'silent';
  state_since_ms: number;
  agent_version: string | null;
  os: string | null;
  kernel: string | null;
  cpus: number | null;
  boot_time_ms: number | null;
  cpu_percent: number | null;
  memory_percent: number | null;
  swap_percent: number | null;
  load1: number | null;
  receive_bytes_per_second: number | null;
  transmit_bytes_per_second: number | null;
  worst_disk: { mountpoint: string; used_percent: number } | null;
  next_full: { mountpoint: string; full_ms: number } | null;
}

/** How much something matters, worst last. */
export type Level = 'fine' | 'warning' | 'critical';

/** Why a host needs somebody; the worst reason of a host names its state. */
export type Reason = 'silent' | 'alerts' | 'disk' | 'full' | 'memory';

export interface Judgement {
  level: Level;
  reason: Reason | null;
}

/**
 * Percentages from which a resource is a warning, and from which it is critical. A busy processor
 * is none: work comes and goes, and only its duration would tell.
 */
export const LIMITS: Record<'disk' | 'memory', { warning: number; critical: number }> = {
  disk: { warning: 85, critical: 95 },
  memory: { warning: 90, critical: 97 },
};

const WEIGHT: Record<Level, number> = { fine: 0, warning: 1, critical: 2 };

/** The level of one resource at a percentage; an unknown one is fine. */
export function levelOf(resource: keyof typeof LIMITS, percent: number | null): Level {
  if (percent === null || percent < LIMITS[resource].warning) return 'fine';
  return percent < LIMITS[resource].critical ? 'warning' : 'critical';
}

const DAY_MS = 86_400_000;
/** A file system that is full sooner than this is a warning, or critical. */
export const FULL_WITHIN_MS = { warning: 7 * DAY_MS, critical: DAY_MS } as const;

/** The level of a file system that will be full at a moment; null where none is foreseen. */
export function levelOfFull(full_ms: number | null, now_ms: number): Level {
  if (full_ms === null || full_ms - now_ms >= FULL_WITHIN_MS.warning) return 'fine';
  return full_ms - now_ms < FULL_WITHIN_MS.critical ? 'critical' : 'warning';
}

/** How urgent a host's alerts are; a mere note needs nobody. */
function levelOfAlerts(told: HostAlerts | undefined): Level {
  return told === undefined || told.worst === 'info' ? 'fine' : told.worst;
}

/** The worst that is to be said of a host, of which `told` are the alerts that fire and are told. */
export function judge(host: HostFacts, now_ms: number, told?: HostAlerts): Judgement {
  if (host.state === 'silent') return { level: 'critical', reason: 'silent' };
  const levels: [Reason, Level][] = [
    ['disk', levelOf('disk', host.worst_disk?.used_percent ?? null)],
    ['full', levelOfFull(host.next_full?.full_ms ?? null, now_ms)],
    ['memory', levelOf('memory', host.memory_percent)],
    // What the other reasons say as well they say in more words.
    ['alerts', levelOfAlerts(told)],
  ];
  let worst: Judgement = { level: 'fine', reason: null };
  for (const [reason, level] of levels) {
    if (WEIGHT[level] > WEIGHT[worst.level]) worst = { level, reason };
  }
  return worst;
}

/** The columns by which hosts can be sorted, as they are named in the address. */
export const SORTS = [
  'state',
  'host',
  'alerts',
  'cpu',
  'memory',
  'disk',
  'full',
  'in',
  'out',
  'load',
  'uptime',
  'agent',
] as const;
export type SortColumn = (typeof SORTS)[number];

/** A column and its direction; text ascends at first, numbers and state descend. */
export interface Sort {
  column: SortColumn;
  descending: boolean;
}

export const DEFAULT_SORT: Sort = { column: 'state', descending: true };

/** Text, and what is worst when it is least. */
const ASCENDING: ReadonlySet<SortColumn> = new Set(['host', 'agent', 'full']);

function startsDescending(column: SortColumn): boolean {
  return !ASCENDING.has(column);
}

/** The sort after a click on a column's head: its first direction, then the other. */
export function sortAfterClick(sort: Sort, column: SortColumn): Sort {
  const first = startsDescending(column);
  return { column, descending: sort.column === column ? !sort.descending : first };
}

/** The address form: the column, with a minus where the direction is not its first. */
export function sortText(sort: Sort): string | null {
  if (sort.column === DEFAULT_SORT.column && sort.descending) return null;
  return `${sort.descending === startsDescending(sort.column) ? '' : '-'}${sort.column}`;
}

/** Reads the address form; anything unknown is the default. */
export function readSort(text: string | null): Sort {
  const reversed = text?.startsWith('-') ?? false;
  const column = SORTS.find((name) => name === (reversed ? text?.slice(1) : text));
  if (column === undefined) return DEFAULT_SORT;
  return { column, descending: startsDescending(column) !== reversed };
}

/**
 * One number for how bad a host is: its level, then its fullest resource. Percentages are taken in
 * steps of five so that rows do not change places at every tick.
 */
function badness(host: HostFacts, now_ms: number, told?: HostAlerts): number {
  const { level, reason } = judge(host, now_ms, told);
  const fullest = Math.max(
    host.cpu_percent ?? 0,
    host.memory_percent ?? 0,
    host.worst_disk?.used_percent ?? 0,
  );
  const silent = reason === 'silent' ? 1_000 : 0;
  return WEIGHT[level] * 10_000 + silent + Math.floor(fullest / 5);
}

function sortValue(
  host: HostFacts,
  column: SortColumn,
  now_ms: number,
  alerts: ReadonlyMap<string, HostAlerts>,
): number | string | null {
  switch (column) {
    case 'state':
      return badness(host, now_ms, alerts.get(host.instance));
    case 'host':
      return host.instance;
    case 'alerts': {
      const told = alerts.get(host.instance);
      return told === undefined ? null : urgencyOf(told);
    }
    case 'agent':
      return host.agent_version;
    case 'cpu':
      return host.cpu_percent;
    case 'memory':
      return host.memory_percent;
    case 'disk':
      return host.worst_disk?.used_percent ?? null;
    case 'full':
      return host.next_full?.full_ms ?? null;
    case 'in':
      return host.receive_bytes_per_second;
    case 'out':
      return host.transmit_bytes_per_second;
    case 'load':
      return host.load1;
    case 'uptime':
      return host.boot_time_ms === null ? null : -host.boot_time_ms;
  }
}

/** Compares names as people count: `web-9` before `web-10`. */
const NAMES = new Intl.Collator('en', { numeric: true });

/** Each name's place among all of them, as people count. */
export function placesOf(names: Iterable<string>): ReadonlyMap<string, number> {
  return new Map([...names].sort(NAMES.compare).map((name, place) => [name, place]));
}

/**
 * The hosts' names in order; unknown values come last in both directions, equals by name. `places` are
 * those of at least these names, which are worth keeping where there are thousands.
 */
export function sortedInstances(
  hosts: readonly HostFacts[],
  sort: Sort,
  now_ms: number,
  places = placesOf(hosts.map((host) => host.instance)),
  alerts: ReadonlyMap<string, HostAlerts> = new Map(),
): string[] {
  const rows = hosts.map((host) => ({
    name: host.instance,
    place: places.get(host.instance) ?? 0,
    value: sortValue(host, sort.column, now_ms, alerts),
  }));
  const sign = sort.descending ? -1 : 1;
  if (sort.column === 'host') {
    return rows.sort((one, other) => sign * (one.place - other.place)).map((row) => row.name);
  }
  rows.sort((one, other) => {
    if (one.value === null || other.value === null) {
      if (one.value !== other.value) return one.value === null ? 1 : -1;
    } else if (typeof one.value === 'number' && typeof other.value === 'number') {
      if (one.value !== other.value) return sign * (one.value - other.value);
    } else {
      const order = NAMES.compare(String(one.value), String(other.value));
      if (order !== 0) return sign * order;
    }
    return one.place - other.place;
  });
  return rows.map((row) => row.name);
}

/** How many hosts there are, how many need somebody, and for which worst reason. */
export interface FleetSummary {
  total: number;
  attention: number;
  reasons: { reason: Reason; level: Level; count: number }[];
}

/** Sums a fleet up for the first line of the screen. */
export function summarise(
  hosts: Iterable<HostFacts>,
  now_ms: number,
  alerts: ReadonlyMap<string, HostAlerts> = new Map(),
): FleetSummary {
  const order: Reason[] = ['silent', 'alerts', 'disk', 'full', 'memory'];
  const counts = new Map<Reason, { level: Level; count: number }>();
  let total = 0;
  let attention = 0;
  for (const host of hosts) {
    total += 1;
    const { level, reason } = judge(host, now_ms, alerts.get(host.instance));
    if (reason === null) continue;
    attention += 1;
    const before = counts.get(reason);
    const worse = before !== undefined && WEIGHT[before.level] > WEIGHT[level];
    counts.set(reason, { level: worse ? before.level : level, count: (before?.count ?? 0) + 1 });
  }
  const reasons = order.flatMap((reason) => {
    const found = counts.get(reason);
    return found === undefined ? [] : [{ reason, ...found }];
  });
  return { total, attention, reasons };
}
