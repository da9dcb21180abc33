/** An invented fleet: values that follow from host, metric and time alone, so that history and stream agree. */

function hash(text) {
  let value = 2166136261;
  for (let index = 0; index < text.length; index += 1) {
    value = Math.imul(value ^ text.charCodeAt(index), 16777619);
  }
  return (value >>> 0) / 4294967296;
}

/** Smooth noise in 0 to 1 with a wave of `period_s`, and a little roughness from second to second. */
function wave(seed, time_ms, period_s) {
  const at = time_ms / 1000 / period_s;
  const cell = Math.floor(at);
  const part = at - cell;
  const ease = part * part * (3 - 2 * part);
  const low = hash(`${seed}${cell}`);
  const high = hash(`${seed}${cell + 1}`);
  const rough = hash(`${seed}r${Math.floor(time_ms / 1000)}`) - 0.5;
  return Math.min(1, Math.max(0, low + (high - low) * ease + rough * 0.08));
}

const ROLES = ['web', 'db', 'cache', 'queue', 'build', 'edge', 'store'];
const GIB = 2 ** 30;

/** Hosts as the API gives them. */
export function makeHosts(count, now_ms) {
  const made = Array.from({ length: count }, (_, place) => {
    const role = count === 1 ? 'atlas' : ROLES[place % ROLES.length];
    const instance = count === 1 ? 'atlas' : `${role}-${Math.floor(place / ROLES.length) + 1}`;
    const memory_bytes = [8, 16, 32, 64, 256][Math.floor(hash(`${instance}m`) * 5)] * GIB;
    return {
      instance,
      groups: [hash(`${instance}g`) < 0.7 ? 'production' : 'staging'],
      tags: [role, ...(hash(`${instance}ssd`) < 0.5 ? ['ssd'] : [])],
      state: count > 20 && hash(`${instance}s`) < 0.03 ? 'silent' : 'up',
      state_since_ms: now_ms - Math.floor(hash(`${instance}t`) * 4e6) - 40_000,
      last_sample_ms: now_ms - 1200,
      agent_version: hash(`${instance}v`) < 0.9 ? '0.1.0' : '0.0.9',
      os: ['Debian GNU/Linux 12', 'Ubuntu 24.04.3 LTS', 'Rocky Linux 9.6'][
        Math.floor(hash(`${instance}o`) * 3)
      ],
      kernel: '6.1.0-28-amd64',
      architecture: 'x86_64',
      cpus: [4, 8, 16, 32][Math.floor(hash(`${instance}c`) * 4)],
      memory_bytes,
      boot_time_ms: now_ms - Math.floor(hash(`${instance}b`) ** 3 * 4e10) - 400_000,
      worst_disk: null,
      next_full: null,
    };
  });
  return made.map((host) => moved(host, now_ms));
}

/** The host with its values of a moment. */
export function moved(host, now_ms) {
  if (host.state === 'silent' && host.cpu_percent !== undefined) return host;
  const share = (metric) => wave(host.instance + metric, now_ms, 40);
  const busy =
    hash(`${host.instance}busy`) ** 3 * (0.6 + 0.5 * wave(`${host.instance}b`, now_ms, 9));
  const full =
    12 + 80 * hash(`${host.instance}disk`) + (hash(`${host.instance}full`) < 0.02 ? 12 : 0);
  const size_bytes = 200 * GIB;
  const used_percent = Math.min(99, full);
  return Object.assign(host, {
    last_sample_ms: host.state === 'silent' ? host.state_since_ms : now_ms - 900,
    cpu_percent: Math.min(100, 2 + 94 * busy * (0.7 + 0.6 * share('cpu')) + 5 * share('cpu')),
    memory_percent: Math.min(98, 14 + 76 * hash(`${host.instance}mem`) + 5 * share('mem')),
    swap_percent: 3 * share('swap'),
    load1: host.cpus * (0.03 + busy * (0.6 + 0.5 * share('cpu'))),
    receive_bytes_per_second:
      10 ** (3 + 4.6 * hash(`${host.instance}rx`)) * (0.15 + wave(`${host.instance}rx`, now_ms, 8)),
    transmit_bytes_per_second:
      10 ** (3 + 4.4 * hash(`${host.instance}tx`)) * (0.15 + wave(`${host.instance}tx`, now_ms, 8)),
    worst_disk: {
      mountpoint: ['/', '/var', '/srv/data'][Math.floor(hash(`${host.instance}p`) * 3)],
      used_percent,
      size_bytes,
      available_bytes: size_bytes * (1 - used_percent / 100),
    },
  });
}

/** All file systems: each host's fullest, and its root. */
export function fileSystems(hosts, now_ms) {
  return hosts
    .filter((host) => host.state === 'up')
    .flatMap((host) =>
      [host.worst_disk.mountpoint, '/boot'].map((mountpoint, place) => {
        const days = 400 * hash(`${host.instance}${mountpoint}days`) ** 3 + 0.2;
        const steady = place === 0 && days < 200;
        const used_percent = place === 0 ? host.worst_disk.used_percent : 31;
        const size_bytes = place === 0 ? host.worst_disk.size_bytes : GIB;
        return {
          instance: host.instance,
          mountpoint,
          device: place === 0 ? '/dev/nvme0n1p2' : '/dev/nvme0n1p1',
          fstype: 'ext4',
          network: false,
          read_only: false,
          failed: false,
          size_bytes,
          available_bytes: size_bytes * (1 - used_percent / 100),
          used_percent,
          inodes: 1e7,
          inodes_used_percent: used_percent / 4,
          growth: {
            kind: steady ? 'steady' : 'none',
            bytes_per_day: steady ? (size_bytes * (1 - used_percent / 100)) / days : null,
            full_ms: steady ? now_ms + days * 86_400_000 : null,
            early_ms: steady ? now_ms + 0.7 * days * 86_400_000 : null,
            late_ms: steady && days < 100 ? now_ms + 1.5 * days * 86_400_000 : null,
            confidence: steady ? (days < 100 ? 'medium' : 'low') : null,
          },
        };
      }),
    );
}

const MODES = [
  ['user|nice', 26, 7],
  ['"system', 8, 3],
  ['iowait', 9, 0.4],
  ['softirq', 1.4, 0.3],
  ['steal', 0.5, 0],
];

/** Series of a page's query at a moment; it knows the queries by their metrics only. */
export function evaluate(hosts, expression, time_ms) {
  const instance = /instance="([^"]+)"/.exec(expression)?.[1];
  const has = (text) => expression.includes(text);
  if (instance === undefined) {
    const silent = hosts.filter((host) => host.state === 'silent' && host.state_since_ms < time_ms);
    return silent.length === 0 ? [] : [{ metric: {}, value: silent.length }];
  }
  const host = hosts.find((one) => one.instance === instance);
  if (host === undefined || (host.state === 'silent' && time_ms > host.state_since_ms)) return [];
  // A hole in the past, so that gaps are seen, and no data from before the first boot.
  const minute = Math.floor(time_ms / 60_000) % 97;
  if (minute === 40 && Date.now() - time_ms > 60_000) return [];
  const level = (seed, period_s = 45) => wave(instance + seed, time_ms, period_s);
  const one = (value, metric = {}) => [{ metric, value }];
  if (has('node_cpu')) {
    const [name, size, base] = MODES.find(([modes]) => has(modes)) ?? MODES[0];
    const spike = hash(`${instance}${name}${Math.floor(time_ms / 7000)}`) < 0.02 ? size : 0;
    return one(base + size * level(name) + spike);
  }
  if (has('node_load')) {
    const span = has('load15') ? 900 : has('load5') ? 300 : 60;
    return one(host.cpus * (0.2 + 0.5 * wave(`${instance}load`, time_ms, span)));
  }
  if (has('node_memory')) {
    const total = host.memory_bytes;
    const used = total * (0.42 + 0.06 * level('used', 200));
    const cached = total * (0.3 + 0.03 * level('cached', 300));
    if (has('MemTotal')) return one(used);
    if (has('Cached')) return one(cached);
    return one(has('Buffers') ? total * 0.04 : total * 0.96 - used - cached);
  }
  if (has('pressure'))
    return one((has('_io') ? 14 : has('_cpu') ? 6 : 0.4) * level(expression) ** 3);
  if (has('mountpoint=')) {
    const used = 20 * GIB * (0.6 + 0.05 * level('full', 4000));
    return one(has('files') ? 31 : has('free') ? used : 20 * GIB);
  }
  if (has('filesystem')) {
    return ['/', '/boot', '/var', '/srv/data'].map((mountpoint, place) => ({
      metric: { mountpoint },
      value: [41, 22, 67, 88][place] + level(mountpoint, 3000),
    }));
  }
  if (has('io_time')) {
    return ['nvme0n1', 'nvme1n1', 'sda'].map((device, place) => ({
      metric: { device },
      value: [40, 12, 4][place] * level(device) ** 2,
    }));
  }
  if (has('disk_read')) return one(6e7 * level('read') ** 3);
  if (has('disk_written')) return one(9e7 * level('write') ** 2);
  const sent = has('transmit');
  return ['eth0', 'eth1'].map((device, place) => ({
    metric: { device },
    value: [4e7, 3e6][place] * level(`${device}${sent}`) ** 2 * (sent ? 0.5 : 1),
  }));
}
