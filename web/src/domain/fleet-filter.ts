/** What the fleet's filter understands. */
import type { HostAlerts } from './alerts.ts';
import type { Field, FilterLanguage } from './filter.ts';
import { readCount, readLength, readPercent, readRate, readVersion } from './filter-values.ts';
import { judge, type HostFacts } from './hosts.ts';

function number(
  parse: (text: string) => number | null,
  read: (host: HostFacts) => number | null,
  example: string,
): Field<HostFacts> {
  return { kind: 'number', measures: [{ parse, read }], example };
}

function words(
  read: (host: HostFacts) => readonly (string | null)[],
  whole: boolean,
): Field<HostFacts> {
  const known = (host: HostFacts): string[] => read(host).filter((word) => word !== null);
  return { kind: 'words', read: known, whole };
}

/** The words of `state:`: a level, a reason, or that it needs somebody. */
const STATES = [
  'attention',
  'critical',
  'warning',
  'fine',
  'silent',
  'alerts',
  'disk',
  'full',
  'memory',
  'up',
] as const;

function statesOf(host: HostFacts, now_ms: number, told?: HostAlerts): string[] {
  const { level, reason } = judge(host, now_ms, told);
  const found: string[] = [level, host.state];
  if (reason !== null) found.push(reason);
  if (level !== 'fine') found.push('attention');
  return found;
}

/** The language at a moment, on which days until full and uptimes depend; with the hosts' alerts that are told. */
export function fleetLanguage(
  now_ms: number,
  alerts: ReadonlyMap<string, HostAlerts> = new Map(),
): FilterLanguage<HostFacts> {
  const left = (host: HostFacts): number | null =>
    host.next_full === null ? null : Math.max(0, host.next_full.full_ms - now_ms);
  const uptime = (host: HostFacts): number | null =>
    host.boot_time_ms === null ? null : now_ms - host.boot_time_ms;
  return {
    fields: {
      state: {
        kind: 'words',
        read: (host) => statesOf(host, now_ms, alerts.get(host.instance)),
        whole: true,
        choices: STATES,
      },
      tag: words((host) => host.tags, true),
      group: words((host) => host.groups, true),
      cpu: number(readPercent, (host) => host.cpu_percent, '80'),
      mem: number(readPercent, (host) => host.memory_percent, '90'),
      disk: {
        kind: 'number',
        measures: [
          { parse: readPercent, read: (host) => host.worst_disk?.used_percent ?? null },
          { parse: readLength, read: left },
        ],
        example: '85, 7d',
      },
      swap: number(readPercent, (host) => host.swap_percent, '50'),
      load: number(readCount, (host) => host.load1, '4'),
      in: number(readRate, (host) => host.receive_bytes_per_second, '10MB/s'),
      out: number(readRate, (host) => host.transmit_bytes_per_second, '10MB/s'),
      cpus: number(readCount, (host) => host.cpus, '8'),
      uptime: number(readLength, uptime, '1h'),
      version: number(
        readVersion,
        (host) => (host.agent_version === null ? null : readVersion(host.agent_version)),
        '0.2',
      ),
      os: words((host) => [host.os], false),
      kernel: words((host) => [host.kernel], false),
      name: words((host) => [host.instance], false),
    },
    aliases: { memory: 'mem', groups: 'group', tags: 'tag', agent: 'version', host: 'name' },
    text: (host) =>
      [host.instance, host.os, host.kernel, host.agent_version, ...host.groups, ...host.tags]
        .join(' ')
        .toLowerCase(),
  };
}
