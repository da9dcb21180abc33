/** Containers, disks' health and graphics processors as rows, from samples at one moment. Pure. */
import { quoted } from './promql-text.ts';

interface Sample {
  labels: Record<string, string>;
  value: number;
}

type Told = Record<string, readonly Sample[]>;

function lookUp(told: Told, label: string, id: string): (name: string) => number | null {
  return (name) => told[name]?.find(({ labels }) => labels[label] === id)?.value ?? null;
}

export interface Container {
  id: string;
  name: string;
  image: string;
  cpu_percent: number | null;
  memory_bytes: number | null;
  /** Memory in percent of its limit; null where it has none. */
  limit_percent: number | null;
  processes: number | null;
  oom_kills: number | null;
}

/** The expressions behind `containersOf`. */
export function containerQueries(instance: string): Record<string, string> {
  const host = `job="node",instance=${quoted(instance)}`;
  const metric = (name: string): string => `muster_container_${name}{${host}}`;
  return {
    info: metric('info'),
    cpu: `100 * rate(${metric('cpu_seconds_total')}[2m])`,
    memory: metric('memory_bytes'),
    limit: metric('memory_limit_bytes'),
    processes: metric('processes'),
    oom_kills: metric('oom_kills_total'),
  };
}

/** The containers, those that take most memory first. */
export function containersOf(told: Told): Container[] {
  const names = told['info'] ?? told['memory'] ?? [];
  return names
    .map(({ labels }): Container => {
      const id = labels['container'] ?? '';
      const of = lookUp(told, 'container', id);
      const memory = of('memory');
      const limit = of('limit');
      const limited = memory !== null && limit !== null && limit > 0 && Number.isFinite(limit);
      return {
        id,
        name: labels['name'] || id.slice(0, 12),
        image: labels['image'] ?? '',
        cpu_percent: of('cpu'),
        memory_bytes: memory,
        limit_percent: limited ? (100 * memory) / limit : null,
        processes: of('processes'),
        oom_kills: of('oom_kills'),
      };
    })
    .sort((one, other) => (other.memory_bytes ?? 0) - (one.memory_bytes ?? 0));
}

export interface DiskHealth {
  device: string;
  model: string;
  healthy: boolean | null;
  temperature: number | null;
  powered_s: number | null;
  bad_sectors: number | null;
}

export interface Gpu {
  id: string;
  name: string;
  driver: string;
  use_percent: number | null;
  memory_bytes: number | null;
  memory_percent: number | null;
  temperature: number | null;
  power_watts: number | null;
  processes: number | null;
  ecc_errors: number | null;
}

/** The expressions behind `diskHealthOf` and `gpusOf`. */
export function partQueries(instance: string): Record<string, string> {
  const host = `job="node",instance=${quoted(instance)}`;
  const smart = (name: string): string => `muster_disk_smart_${name}{${host}}`;
  const gpu = (name: string): string => `muster_gpu_${name}{${host}}`;
  return {
    healthy: smart('healthy'),
    disk_temperature: smart('temperature_celsius'),
    powered: smart('power_on_seconds'),
    bad_sectors: smart('bad_sectors'),
    gpu: gpu('info'),
    use: `100 * ${gpu('utilization_ratio')}`,
    gpu_memory: gpu('memory_used_bytes'),
    gpu_memory_total: gpu('memory_total_bytes'),
    gpu_temperature: gpu('temperature_celsius'),
    power: gpu('power_watts'),
    gpu_processes: gpu('processes'),
    ecc: `sum by (gpu) (${gpu('ecc_errors_total')})`,
  };
}

/** The disks that tell of their health, the ill first. */
export function diskHealthOf(told: Told): DiskHealth[] {
  const devices = new Map<string, string>();
  for (const name of ['healthy', 'disk_temperature', 'powered', 'bad_sectors']) {
    for (const { labels } of told[name] ?? []) {
      devices.set(labels['device'] ?? '', labels['model'] ?? '');
    }
  }
  return Array.from(devices, ([device, model]): DiskHealth => {
    const of = lookUp(told, 'device', device);
    const healthy = of('healthy');
    return {
      device,
      model,
      healthy: healthy === null ? null : healthy === 1,
      temperature: of('disk_temperature'),
      powered_s: of('powered'),
      bad_sectors: of('bad_sectors'),
    };
  }).sort(
    (one, other) =>
      Number(one.healthy ?? true) - Number(other.healthy ?? true) ||
      one.device.localeCompare(other.device),
  );
}

/** The graphics processors, by number. */
export function gpusOf(told: Told): Gpu[] {
  return (told['gpu'] ?? [])
    .map(({ labels }): Gpu => {
      const id = labels['gpu'] ?? '';
      const of = lookUp(told, 'gpu', id);
      const memory = of('gpu_memory');
      const total = of('gpu_memory_total');
      return {
        id,
        name: labels['name'] ?? '',
        driver: labels['driver'] ?? '',
        use_percent: of('use'),
        memory_bytes: memory,
        memory_percent:
          memory !== null && total !== null && total > 0 ? (100 * memory) / total : null,
        temperature: of('gpu_temperature'),
        power_watts: of('power'),
        processes: of('gpu_processes'),
        ecc_errors: of('ecc'),
      };
    })
    .sort((one, other) => one.id.localeCompare(other.id));
}

/** The expressions behind `machineText`. */
export function machineQueries(instance: string): Record<string, string> {
  const host = `job="node",instance=${quoted(instance)}`;
  return { machine: `node_dmi_info{${host}}`, cpu: `topk(1, node_cpu_info{${host}})` };
}

/** The names of the machine and of its processors. */
export function machineText(told: Told): string {
  const machine = told['machine']?.[0]?.labels ?? {};
  const cpu = told['cpu']?.[0]?.labels['model_name'] ?? '';
  const name = [machine['system_vendor'], machine['product_name']].filter(Boolean).join(' ');
  return [name, cpu.replace(/\((?:R|TM)\)/g, '').replace(/\s+/g, ' ')].filter(Boolean).join(', ');
}
