/** The charts of what a host has beside its four resources: programs, sensors, graphics processors, containers. */
import type { ChartDefinition, ChartQuery, Detail } from './host-charts.ts';
import type { Unit } from './units.ts';

/** How many programs are drawn; the others stand together in the list. */
const TOP = 8;

/** The programs with the highest values over the last hour, so that their lines stay while others come and go. */
function top(expression: (detail: Detail) => string): ChartQuery[] {
  return [
    { name: { label: 'program' }, promql: (detail) => `topk(${TOP}, ${expression(detail)})` },
  ];
}

export const PROGRAM_CHARTS: readonly ChartDefinition[] = [
  {
    id: 'program-cpu',
    title: 'chart.program_cpu',
    unit: 'percent',
    stacked: true,
    queries: top(
      ({ host, slowRate }) => `100 * ${slowRate(`muster_program_cpu_seconds_total{${host}}`)}`,
    ),
  },
  {
    id: 'program-memory',
    title: 'chart.program_memory',
    unit: 'bytes',
    stacked: true,
    queries: top(({ host }) => `muster_program_memory_bytes{${host}}`),
  },
  {
    id: 'program-io',
    title: 'chart.program_io',
    unit: 'disk_rate',
    stacked: true,
    queries: top(
      ({ host, slowRate }) =>
        `${slowRate(`muster_program_read_bytes_total{${host}}`)} + ${slowRate(`muster_program_written_bytes_total{${host}}`)}`,
    ),
  },
  {
    id: 'process-states',
    title: 'chart.process_states',
    unit: 'count',
    queries: [{ name: { label: 'state' }, promql: ({ host }) => `node_processes_state{${host}}` }],
  },
];

/** A sensor's own name where the driver tells one, else its number. */
function sensor(metric: string): ChartQuery {
  return {
    name: { label: ['chip', 'label'] },
    promql: ({ host }) => {
      const on = 'on (instance, chip, sensor)';
      const named = `${metric}{${host}} * ${on} group_left (label) node_hwmon_sensor_label{${host}}`;
      const numbered = `label_replace(${metric}{${host}}, "label", "$1", "sensor", "(.*)")`;
      const all = `${named} or ${on} ${numbered}`;
      return `label_replace(${all}, "chip", "$1", "chip", "(?:platform|pci[^_]*|thermal|nvme)_(.*)")`;
    },
  };
}

function sensors(
  id: string,
  title: ChartDefinition['title'],
  unit: Unit,
  queries: ChartQuery[],
): ChartDefinition {
  return { id, title, unit, queries, if_any: true };
}

function gauge(metric: string, label: string | string[], factor = ''): ChartQuery {
  return {
    name: { label },
    promql: ({ host, peak }) => `${factor}${peak(`${metric}{${host}}`)}`,
  };
}

export const SENSOR_CHARTS: readonly ChartDefinition[] = [
  sensors('temperatures', 'chart.temperatures', 'celsius', [sensor('node_hwmon_temp_celsius')]),
  sensors('zones', 'chart.thermal_zones', 'celsius', [
    gauge('node_thermal_zone_temp', ['type', 'zone']),
  ]),
  sensors('fans', 'chart.fans', 'rpm', [sensor('node_hwmon_fan_rpm')]),
  sensors('voltages', 'chart.voltages', 'volt', [sensor('node_hwmon_in_volts')]),
  sensors('power', 'chart.power', 'watt', [
    sensor('node_hwmon_power_average_watt'),
    sensor('node_hwmon_power_input_watt'),
  ]),
  sensors('disk-temperatures', 'chart.disk_temperatures', 'celsius', [
    gauge('muster_disk_smart_temperature_celsius', ['device', 'model']),
  ]),
];

export const GPU_CHARTS: readonly ChartDefinition[] = [
  sensors('gpu-use', 'chart.gpu_use', 'percent', [
    gauge('muster_gpu_utilization_ratio', 'gpu', '100 * '),
  ]),
  sensors('gpu-memory', 'chart.gpu_memory', 'bytes', [
    gauge('muster_gpu_memory_used_bytes', 'gpu'),
  ]),
  sensors('gpu-temperature', 'chart.gpu_temperature', 'celsius', [
    gauge('muster_gpu_temperature_celsius', 'gpu'),
  ]),
  sensors('gpu-power', 'chart.gpu_power', 'watt', [gauge('muster_gpu_power_watts', 'gpu')]),
];

export const CONTAINER_CHARTS: readonly ChartDefinition[] = [
  sensors('container-cpu', 'chart.container_cpu', 'percent', [
    {
      name: { label: 'name' },
      promql: ({ host, slowRate }) =>
        `100 * ${slowRate(`muster_container_cpu_seconds_total{${host}}`)}`,
    },
  ]),
  sensors('container-memory', 'chart.container_memory', 'bytes', [
    gauge('muster_container_memory_bytes', 'name'),
  ]),
  sensors('container-read', 'chart.container_read', 'disk_rate', [
    {
      name: { label: 'name' },
      promql: ({ host, slowRate }) => slowRate(`muster_container_read_bytes_total{${host}}`),
    },
  ]),
  sensors('container-written', 'chart.container_written', 'disk_rate', [
    {
      name: { label: 'name' },
      promql: ({ host, slowRate }) => slowRate(`muster_container_written_bytes_total{${host}}`),
    },
  ]),
];
