/** The file systems of a host as rows: how full, how fast they fill, and what is wrong with them. Pure. */
import { PSEUDO_SYSTEMS } from './host-charts.ts';
import { quoted } from './promql-text.ts';

interface Sample {
  labels: Record<string, string>;
  value: number;
}

export interface FileSystem {
  mountpoint: string;
  device: string;
  fstype: string;
  size_bytes: number;
  /** As `df` counts it; null where the size is not told. */
  used_percent: number | null;
  available_bytes: number | null;
  /** Share of the inodes in use; null where the file system has none. */
  inodes_percent: number | null;
  /** What its use grows by in a day, by the last six hours; negative where it shrinks. */
  growth_bytes: number | null;
  read_only: boolean;
  /** It does not answer. */
  hangs: boolean;
}

/** The expressions behind the rows, by their names. */
export function fileSystemQueries(instance: string): Record<string, string> {
  const host = `job="node",instance=${quoted(instance)},${PSEUDO_SYSTEMS}`;
  const metric = (name: string): string => `node_filesystem_${name}{${host}}`;
  return {
    size: metric('size_bytes'),
    free: metric('free_bytes'),
    available: metric('avail_bytes'),
    files: metric('files'),
    files_free: metric('files_free'),
    read_only: metric('readonly'),
    hangs: metric('device_error'),
    growth: `-86400 * deriv(${metric('avail_bytes')}[6h])`,
  };
}

/** The rows, the fullest first. */
export function fileSystemsOf(told: Record<string, readonly Sample[]>): FileSystem[] {
  const value = (name: string, mountpoint: string, device: string): number | null =>
    told[name]?.find(
      ({ labels }) => labels['mountpoint'] === mountpoint && labels['device'] === device,
    )?.value ?? null;
  const any = told['hangs'] ?? told['size'] ?? [];
  return any
    .map(({ labels }): FileSystem => {
      const { mountpoint = '', device = '', fstype = '' } = labels;
      const of = (name: string): number | null => value(name, mountpoint, device);
      const size = of('size') ?? 0;
      const free = of('free');
      const available = of('available');
      const used = free === null || available === null ? null : size - free;
      const usable = used === null || available === null ? 0 : used + available;
      const files = of('files') ?? 0;
      const files_free = of('files_free');
      return {
        mountpoint,
        device,
        fstype,
        size_bytes: size,
        used_percent: used === null || usable <= 0 ? null : (100 * used) / usable,
        available_bytes: available,
        inodes_percent:
          files > 0 && files_free !== null ? (100 * (files - files_free)) / files : null,
        growth_bytes: of('growth'),
        read_only: of('read_only') === 1,
        hangs: of('hangs') === 1,
      };
    })
    .sort((one, other) => (other.used_percent ?? -1) - (one.used_percent ?? -1));
}
