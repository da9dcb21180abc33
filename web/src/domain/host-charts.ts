/**
 * The charts of a host's overview as one visible table: title, unit, and the PromQL behind each
 * line. Queries are written for node_exporter's metric names, which Muster's agent uses as well.
 */
import type { MessageKey } from './messages.ts';
import { quoted } from './promql-text.ts';
import type { Unit } from './units.ts';

/** How a query reads counters and gauges at the detail of the chart. */
export interface Detail {
  /** The label matchers that choose the host, without braces. */
  host: string;
  /** Increase per second of a counter. */
  rate: (selector: string) => string;
  /** The same for a counter that is read twice a minute, which a short window would miss. */
  slowRate: (selector: string) => string;
  /** A gauge; between two points of a coarse chart its highest value, so that no spike is lost. */
  peak: (selector: string) => string;
}

export interface ChartQuery {
  promql: (detail: Detail) => string;
  /**
   * A line is named by a message, or by the values of labels where a query gives several; `suffix` tells
   * the lines of several queries of a chart apart.
   */
  name: { message: MessageKey } | { label: string | string[]; suffix?: MessageKey };
  /** A place in the palette other than the query's own, from 0. */
  color?: number;
  /** Drawn below the axis, for the other direction of a flow. */
  mirrored?: boolean;
}

export interface ChartDefinition {
  id: string;
  title: MessageKey;
  unit: Unit;
  stacked?: boolean;
  /** The axis reaches at least this far, so that a quiet host looks quiet. */
  at_least?: number;
  queries: ChartQuery[];
  /** Percentages from which a line is a warning or critical, drawn as thresholds. */
  limits?: { warning: number; critical: number };
  /** Draws the number of processors as a line of reference. */
  against_cpus?: boolean;
  /** Not there at all where it has no lines: what a machine lacks is absent. */
  if_any?: boolean;
}

/** The palette's grey, for what is only the rest. */
export const QUIET = 4;
const RATE_POINTS = 4;
const SHORTEST_WINDOW_S = 20;
const AGENT_STEP_S = 5;
/** Slow collectors run every half minute: four of their samples. */
const SLOW_WINDOW_S = 120;

/** The detail of a chart whose points stand `step_s` seconds apart, or of a live one. */
export function detailFor(instance: string, step_s: number, live: boolean): Detail {
  const host = `job="node",instance=${quoted(instance)}`;
  const window_s = Math.max(RATE_POINTS * step_s, SHORTEST_WINDOW_S);
  return {
    host,
    rate: (selector) =>
      live ? `irate(${selector}[${SHORTEST_WINDOW_S}s])` : `rate(${selector}[${window_s}s])`,
    slowRate: (selector) => `rate(${selector}[${Math.max(window_s, SLOW_WINDOW_S)}s])`,
    peak: (selector) =>
      live || step_s <= AGENT_STEP_S ? selector : `max_over_time(${selector}[${step_s}s])`,
  };
}

/** When a host's data begins, in seconds since 1970, within `span_s` seconds before the moment asked. */
export function dataStart(instance: string, span_s: number): string {
  const selector = `node_load1{job="node",instance=${quoted(instance)}}`;
  return `min(ts_of_first_over_time(${selector}[${Math.max(1, Math.ceil(span_s))}s]))`;
}

export const VIRTUAL_DISKS = 'device!~"loop.*|ram.*|zram.*|sr.*|fd.*|dm-.*|md.*"';
export const VIRTUAL_LINKS =
  'device!~"lo|veth.*|docker.*|br-.*|virbr.*|cni.*|flannel.*|cali.*|tap.*|ifb.*|dummy.*"';
export const PSEUDO_SYSTEMS =
  'fstype!~"tmpfs|ramfs|devtmpfs|squashfs|overlay|iso9660|efivarfs|fuse[.].*|nsfs"';

/** A mode of all CPUs, in percent of them. */
function mode(message: MessageKey, modes: string): ChartQuery {
  return {
    name: { message },
    promql: ({ host, rate }) =>
      `100 * avg(sum by (cpu) (${rate(`node_cpu_seconds_total{${host},mode=~"${modes}"}`)}))`,
  };
}

/** The share of time that some work waited for a resource. */
export function pressure(message: MessageKey, metric: string): ChartQuery {
  return {
    name: { message },
    promql: ({ host, rate }) =>
      `100 * ${rate(`node_pressure_${metric}_waiting_seconds_total{${host}}`)}`,
  };
}

/** The eight charts, in reading order. */
export const HOST_CHARTS: readonly ChartDefinition[] = [
  {
    id: 'cpu',
    title: 'chart.cpu',
    unit: 'percent',
    stacked: true,
    at_least: 100,
    queries: [
      mode('cpu.user', 'user|nice'),
      mode('cpu.system', 'system'),
      mode('cpu.iowait', 'iowait'),
      mode('cpu.interrupts', 'irq|softirq'),
      mode('cpu.steal', 'steal'),
    ],
  },
  {
    id: 'load',
    title: 'chart.load',
    unit: 'plain',
    at_least: 1,
    against_cpus: true,
    queries: [
      { name: { message: 'load.one' }, promql: ({ host, peak }) => peak(`node_load1{${host}}`) },
      { name: { message: 'load.five' }, promql: ({ host, peak }) => peak(`node_load5{${host}}`) },
      {
        name: { message: 'load.fifteen' },
        promql: ({ host, peak }) => peak(`node_load15{${host}}`),
      },
    ],
  },
  {
    id: 'memory',
    title: 'chart.memory',
    unit: 'bytes',
    stacked: true,
    queries: [
      {
        name: { message: 'memory.used' },
        promql: ({ host }) =>
          ['MemFree', 'Buffers', 'Cached', 'SReclaimable'].reduce(
            (left, part) => `${left} - node_memory_${part}_bytes{${host}}`,
            `node_memory_MemTotal_bytes{${host}}`,
          ),
      },
      {
        name: { message: 'memory.cached' },
        promql: ({ host }) =>
          `node_memory_Cached_bytes{${host}} + node_memory_SReclaimable_bytes{${host}}`,
      },
      {
        name: { message: 'memory.buffers' },
        promql: ({ host }) => `node_memory_Buffers_bytes{${host}}`,
      },
      {
        name: { message: 'memory.free' },
        color: QUIET,
        promql: ({ host }) => `node_memory_MemFree_bytes{${host}}`,
      },
    ],
  },
  {
    id: 'pressure',
    title: 'chart.pressure',
    unit: 'percent',
    at_least: 5,
    queries: [
      pressure('pressure.cpu', 'cpu'),
      pressure('pressure.memory', 'memory'),
      pressure('pressure.io', 'io'),
    ],
  },
  {
    id: 'disk-throughput',
    title: 'chart.disk_throughput',
    unit: 'disk_rate',
    at_least: 1024,
    queries: [
      {
        name: { message: 'disk.read' },
        promql: ({ host, rate }) =>
          `sum(${rate(`node_disk_read_bytes_total{${host},${VIRTUAL_DISKS}}`)})`,
      },
      {
        name: { message: 'disk.written' },
        mirrored: true,
        promql: ({ host, rate }) =>
          `sum(${rate(`node_disk_written_bytes_total{${host},${VIRTUAL_DISKS}}`)})`,
      },
    ],
  },
  {
    id: 'disk-busy',
    title: 'chart.disk_busy',
    unit: 'percent',
    at_least: 10,
    queries: [
      {
        name: { label: 'device' },
        promql: ({ host, rate }) =>
          `100 * ${rate(`node_disk_io_time_seconds_total{${host},${VIRTUAL_DISKS}}`)}`,
      },
    ],
  },
  {
    id: 'filesystems',
    title: 'chart.filesystems',
    unit: 'percent',
    at_least: 100,
    limits: { warning: 85, critical: 95 },
    queries: [
      {
        name: { label: 'mountpoint' },
        promql: ({ host }) => {
          const bytes = (what: string): string =>
            `node_filesystem_${what}_bytes{${host},${PSEUDO_SYSTEMS}}`;
          const used = `(${bytes('size')} - ${bytes('free')})`;
          // As `df` counts: what is kept for root is neither used nor available.
          return `max by (mountpoint) (100 * ${used} / (${used} + ${bytes('avail')}))`;
        },
      },
    ],
  },
  {
    id: 'network',
    title: 'chart.network',
    unit: 'network_rate',
    at_least: 1000,
    queries: [
      {
        name: { label: 'device' },
        promql: ({ host, rate }) =>
          rate(`node_network_receive_bytes_total{${host},${VIRTUAL_LINKS}}`),
      },
      {
        name: { label: 'device' },
        mirrored: true,
        promql: ({ host, rate }) =>
          rate(`node_network_transmit_bytes_total{${host},${VIRTUAL_LINKS}}`),
      },
    ],
  },
];
