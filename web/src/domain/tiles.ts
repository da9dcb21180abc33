/** The fleet as tiles: how they are grouped, how large they can be, and what their shade says. */
import type { HostAlerts } from './alerts.ts';
import { judge, levelOf, levelOfFull, type HostFacts, type Level } from './hosts.ts';

/** What tiles are grouped by. */
export const TILE_GROUPS = ['none', 'group', 'tag', 'state'] as const;
export type TileGroup = (typeof TILE_GROUPS)[number];

/** What tiles are coloured by. */
export const TILE_SHADES = ['state', 'cpu', 'memory', 'disk', 'full', 'load', 'in', 'out'] as const;
export type TileShade = (typeof TILE_SHADES)[number];

export interface TileSection<Host> {
  /** Empty for hosts without a group or tag. */
  name: string;
  hosts: Host[];
}

const LEVELS: readonly Level[] = ['critical', 'warning', 'fine'];
const NAMES = new Intl.Collator('en', { numeric: true });

/** Hosts in sections, in the order given; a host with several tags stands under each of them. */
export function tileSections<Host extends HostFacts>(
  hosts: readonly Host[],
  by: TileGroup,
  now_ms: number,
  alerts: ReadonlyMap<string, HostAlerts> = new Map(),
): TileSection<Host>[] {
  if (by === 'none') return [{ name: '', hosts: [...hosts] }];
  const sections = new Map<string, Host[]>();
  for (const host of hosts) {
    const own = by === 'group' ? host.groups : by === 'tag' ? host.tags : [];
    const names =
      by === 'state'
        ? [judge(host, now_ms, alerts.get(host.instance)).level]
        : own.length === 0
          ? ['']
          : own;
    for (const name of names) {
      const section = sections.get(name);
      if (section === undefined) sections.set(name, [host]);
      else section.push(host);
    }
  }
  const found = [...sections].map(([name, of]) => ({ name, hosts: of }));
  if (by === 'state') {
    return found.sort(
      (one, other) => LEVELS.indexOf(one.name as Level) - LEVELS.indexOf(other.name as Level),
    );
  }
  // Those without a name come last.
  return found.sort((one, other) => {
    if (one.name === '' || other.name === '') return one.name === '' ? 1 : -1;
    return NAMES.compare(one.name, other.name);
  });
}

/** How large tiles are, in pixels. */
export interface TileSize {
  width: number;
  height: number;
  gap: number;
  /** Whether name and value stand in the tile. */
  worded: boolean;
}

/** The sizes that tiles have, the largest first; the first ones have room for words. */
const SIZES: readonly TileSize[] = [
  { width: 190, height: 68, gap: 8, worded: true },
  { width: 148, height: 56, gap: 6, worded: true },
  { width: 116, height: 46, gap: 5, worded: true },
  { width: 92, height: 40, gap: 4, worded: true },
  { width: 40, height: 28, gap: 4, worded: false },
  { width: 28, height: 22, gap: 3, worded: false },
  { width: 20, height: 20, gap: 3, worded: false },
  { width: 14, height: 14, gap: 2, worded: false },
  { width: 10, height: 10, gap: 2, worded: false },
];
/** What the head of a section takes. */
export const SECTION_HEAD = 34;

function heightOf(counts: readonly number[], size: TileSize, width: number): number {
  const columns = Math.max(1, Math.floor((width + size.gap) / (size.width + size.gap)));
  const head = counts.length > 1 ? SECTION_HEAD : 0;
  return counts.reduce(
    (sum, count) => sum + head + Math.ceil(count / columns) * (size.height + size.gap),
    0,
  );
}

/** The largest size at which sections of so many tiles fit into a box; the smallest where none does. */
export function tileSize(counts: readonly number[], width: number, height: number): TileSize {
  const smallest = SIZES[SIZES.length - 1] as TileSize;
  return SIZES.find((size) => heightOf(counts, size, width) <= height) ?? smallest;
}

/** The value that a tile is shaded by; null where it is not known, and for states. */
export function tileValue(host: HostFacts, by: TileShade, now_ms: number): number | null {
  switch (by) {
    case 'state':
      return null;
    case 'cpu':
      return host.cpu_percent;
    case 'memory':
      return host.memory_percent;
    case 'disk':
      return host.worst_disk?.used_percent ?? null;
    case 'full':
      return host.next_full === null ? null : Math.max(0, host.next_full.full_ms - now_ms);
    case 'load':
      return host.load1;
    case 'in':
      return host.receive_bytes_per_second;
    case 'out':
      return host.transmit_bytes_per_second;
  }
}

/** How many shades there are between nothing and all. */
export const SHADES = 8;
/** Rates are shaded by their size: a shade is a third of a decade, from 10 kB/s on. */
const RATE_FROM = 10_000;
const MONTH_DAYS = 30;

/** How much of all a value is, from 0 to 1. */
function share(host: HostFacts, by: TileShade, value: number): number {
  switch (by) {
    case 'load':
      return value / Math.max(1, host.cpus ?? 1);
    case 'in':
    case 'out':
      return value <= RATE_FROM ? 0 : Math.log10(value / RATE_FROM) / 4;
    case 'full':
      return 1 - value / (MONTH_DAYS * 86_400_000);
    default:
      return value / 100;
  }
}

/**
 * The class of a tile: a state where the value is one that needs somebody, else `shade-0` to
 * `shade-7` by how much it is, or `unknown`. Colour means state; how much is told by lightness.
 */
export function tileClass(
  host: HostFacts,
  by: TileShade,
  now_ms: number,
  told?: HostAlerts,
): string {
  if (host.state === 'silent') return 'silent';
  if (by === 'state') return judge(host, now_ms, told).level;
  const value = tileValue(host, by, now_ms);
  if (by === 'full') {
    const level = levelOfFull(host.next_full?.full_ms ?? null, now_ms);
    if (level !== 'fine') return level;
    if (value === null) return 'shade-0';
  }
  if (value === null) return 'unknown';
  if (by === 'memory' || by === 'disk') {
    const level = levelOf(by, value);
    if (level !== 'fine') return level;
  }
  const part = Math.min(1, Math.max(0, share(host, by, value)));
  return `shade-${Math.min(SHADES - 1, Math.floor(part * SHADES))}`;
}
