/** The tabs of a host's screen: their order, their names in the address, and the charts of each. */
import { CPU_CHARTS, MEMORY_CHARTS } from './charts-of-compute.ts';
import { CONTAINER_CHARTS, GPU_CHARTS, PROGRAM_CHARTS, SENSOR_CHARTS } from './charts-of-parts.ts';
import { DISK_CHARTS, NETWORK_CHARTS } from './charts-of-traffic.ts';
import { HOST_CHARTS, type ChartDefinition } from './host-charts.ts';
import type { MessageKey } from './messages.ts';
import { DEFAULT_RANGE, type TimeRange } from './time-range.ts';

export const HOST_TABS = [
  'overview',
  'cpu',
  'memory',
  'disks',
  'network',
  'processes',
  'services',
  'sensors',
  'containers',
  'events',
] as const;
export type HostTab = (typeof HOST_TABS)[number];

/** What each tab is called. */
export const TAB_TITLES: Record<HostTab, MessageKey> = {
  overview: 'tab.overview',
  cpu: 'tab.cpu',
  memory: 'tab.memory',
  disks: 'tab.disks',
  network: 'tab.network',
  processes: 'tab.processes',
  services: 'services.title',
  sensors: 'tab.sensors',
  containers: 'tab.containers',
  events: 'tab.events',
};

/** The charts of each tab, in reading order. */
export const TAB_CHARTS: Record<HostTab, readonly ChartDefinition[]> = {
  overview: HOST_CHARTS,
  cpu: CPU_CHARTS,
  memory: MEMORY_CHARTS,
  disks: DISK_CHARTS,
  network: NETWORK_CHARTS,
  processes: PROGRAM_CHARTS,
  services: [],
  sensors: [...SENSOR_CHARTS, ...GPU_CHARTS],
  containers: CONTAINER_CHARTS,
  events: [],
};

/** What would fill a tab whose charts all lack lines. */
export const TAB_EMPTY: Record<HostTab, MessageKey> = {
  overview: 'chart.empty',
  cpu: 'chart.empty',
  memory: 'chart.empty',
  disks: 'chart.empty',
  network: 'chart.empty',
  processes: 'processes.no_history',
  services: 'services.none_on_host',
  sensors: 'sensors.none',
  containers: 'containers.none',
  events: 'events.none',
};

const SIX_HOURS: TimeRange = { kind: 'last', span_ms: 6 * 3_600_000 };

/** The period that a tab shows where the address names none: what happens seldom needs a longer one. */
export function tabRange(tab: HostTab): TimeRange {
  return tab === 'services' || tab === 'events' ? SIX_HOURS : DEFAULT_RANGE;
}

/** The tab of an address; the overview for anything unknown. */
export function tabOf(text: string | null): HostTab {
  return HOST_TABS.find((tab) => tab === text) ?? 'overview';
}
