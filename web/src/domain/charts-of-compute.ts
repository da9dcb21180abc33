/** The charts of a host's processors and of its memory. */
import { HOST_CHARTS, pressure, type ChartDefinition, type ChartQuery } from './host-charts.ts';
import type { MessageKey } from './messages.ts';

/** A chart of the overview that a tab shows as well. */
function ofOverview(id: string): ChartDefinition[] {
  return HOST_CHARTS.filter((chart) => chart.id === id);
}

function rateOf(message: MessageKey, metric: string): ChartQuery {
  return { name: { message }, promql: ({ host, rate }) => rate(`${metric}{${host}}`) };
}

function gaugeOf(message: MessageKey, metric: string): ChartQuery {
  return { name: { message }, promql: ({ host, peak }) => peak(`${metric}{${host}}`) };
}

export const CPU_CHARTS: readonly ChartDefinition[] = [
  ...ofOverview('cpu'),
  {
    id: 'cpu-cores',
    title: 'chart.cpu_cores',
    unit: 'percent',
    at_least: 100,
    queries: [
      {
        name: { label: 'cpu' },
        promql: ({ host, rate }) =>
          `clamp_min(100 * (1 - ${rate(`node_cpu_seconds_total{${host},mode="idle"}`)}), 0)`,
      },
    ],
  },
  ...ofOverview('load'),
  {
    id: 'cpu-pressure',
    title: 'chart.cpu_pressure',
    unit: 'percent',
    at_least: 5,
    queries: [pressure('pressure.cpu', 'cpu')],
  },
  {
    id: 'cpu-frequency',
    title: 'chart.cpu_frequency',
    unit: 'hertz',
    queries: [
      {
        name: { label: 'cpu' },
        promql: ({ host, peak }) => peak(`node_cpu_scaling_frequency_hertz{${host}}`),
      },
    ],
  },
  {
    id: 'cpu-switches',
    title: 'chart.cpu_switches',
    unit: 'per_second',
    queries: [
      rateOf('cpu.switches', 'node_context_switches_total'),
      rateOf('cpu.interrupts', 'node_intr_total'),
    ],
  },
  {
    id: 'cpu-queue',
    title: 'chart.cpu_queue',
    unit: 'plain',
    at_least: 1,
    against_cpus: true,
    queries: [
      gaugeOf('cpu.running', 'node_procs_running'),
      gaugeOf('cpu.blocked', 'node_procs_blocked'),
    ],
  },
  {
    id: 'cpu-forks',
    title: 'chart.cpu_forks',
    unit: 'per_second',
    queries: [rateOf('cpu.forks', 'node_forks_total')],
  },
];

export const MEMORY_CHARTS: readonly ChartDefinition[] = [
  ...ofOverview('memory'),
  {
    id: 'memory-swap',
    title: 'chart.swap',
    unit: 'bytes',
    at_least: 1024 * 1024,
    queries: [
      {
        name: { message: 'memory.used' },
        promql: ({ host }) =>
          `node_memory_SwapTotal_bytes{${host}} - node_memory_SwapFree_bytes{${host}}`,
      },
      {
        name: { message: 'memory.swap_size' },
        promql: ({ host }) => `node_memory_SwapTotal_bytes{${host}}`,
      },
    ],
  },
  {
    id: 'memory-pressure',
    title: 'chart.memory_pressure',
    unit: 'percent',
    at_least: 5,
    queries: [
      pressure('pressure.some', 'memory'),
      {
        name: { message: 'pressure.all' },
        promql: ({ host, rate }) =>
          `100 * ${rate(`node_pressure_memory_stalled_seconds_total{${host}}`)}`,
      },
    ],
  },
  {
    id: 'memory-faults',
    title: 'chart.page_faults',
    unit: 'per_second',
    queries: [
      rateOf('memory.faults', 'node_vmstat_pgfault'),
      rateOf('memory.major_faults', 'node_vmstat_pgmajfault'),
    ],
  },
  {
    id: 'memory-swapping',
    title: 'chart.swapping',
    unit: 'per_second',
    at_least: 1,
    queries: [
      rateOf('memory.swapped_in', 'node_vmstat_pswpin'),
      { ...rateOf('memory.swapped_out', 'node_vmstat_pswpout'), mirrored: true },
    ],
  },
  {
    id: 'memory-oom',
    title: 'chart.oom',
    unit: 'count',
    at_least: 1,
    queries: [gaugeOf('memory.oom', 'node_vmstat_oom_kill')],
  },
  {
    id: 'memory-dirty',
    title: 'chart.dirty',
    unit: 'bytes',
    queries: [
      gaugeOf('memory.dirty', 'node_memory_Dirty_bytes'),
      gaugeOf('memory.writeback', 'node_memory_Writeback_bytes'),
    ],
  },
  {
    id: 'memory-kernel',
    title: 'chart.kernel_memory',
    unit: 'bytes',
    stacked: true,
    queries: [
      gaugeOf('memory.reclaimable', 'node_memory_SReclaimable_bytes'),
      gaugeOf('memory.unreclaimable', 'node_memory_SUnreclaim_bytes'),
      gaugeOf('memory.page_tables', 'node_memory_PageTables_bytes'),
      gaugeOf('memory.stacks', 'node_memory_KernelStack_bytes'),
    ],
  },
];
