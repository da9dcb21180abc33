/** The charts of a host's disks and of its network. */
import {
  HOST_CHARTS,
  VIRTUAL_DISKS,
  VIRTUAL_LINKS,
  type ChartDefinition,
  type ChartQuery,
  type Detail,
} from './host-charts.ts';
import type { MessageKey } from './messages.ts';

type Expression = (detail: Detail) => string;

function disk(metric: string): Expression {
  return ({ host, rate }) => rate(`node_disk_${metric}{${host},${VIRTUAL_DISKS}}`);
}

function link(metric: string): Expression {
  return ({ host, rate }) => rate(`node_network_${metric}{${host},${VIRTUAL_LINKS}}`);
}

/** Reading above the axis, writing below. */
function readAndWritten(read: Expression, written: Expression): ChartQuery[] {
  return [
    { name: { label: 'device', suffix: 'disk.read' }, promql: read },
    { name: { label: 'device', suffix: 'disk.written' }, mirrored: true, promql: written },
  ];
}

function bothWays(metric: string): ChartQuery[] {
  return [
    { name: { label: 'device' }, promql: link(`receive_${metric}_total`) },
    { name: { label: 'device' }, mirrored: true, promql: link(`transmit_${metric}_total`) },
  ];
}

/** How long one operation took: the time spent on all, over their number. */
function latency(time: string, operations: string): Expression {
  return (detail) => `${disk(time)(detail)} / (${disk(operations)(detail)} > 0)`;
}

function tcp(message: MessageKey, field: string): ChartQuery {
  return {
    name: { message },
    promql: ({ host, rate }) => rate(`node_netstat_${field}{${host}}`),
  };
}

export const DISK_CHARTS: readonly ChartDefinition[] = [
  {
    id: 'disk-throughput-each',
    title: 'chart.disk_throughput',
    unit: 'disk_rate',
    at_least: 1024,
    queries: readAndWritten(disk('read_bytes_total'), disk('written_bytes_total')),
  },
  ...HOST_CHARTS.filter((chart) => chart.id === 'disk-busy'),
  {
    id: 'disk-latency',
    title: 'chart.disk_latency',
    unit: 'seconds',
    queries: readAndWritten(
      latency('read_time_seconds_total', 'reads_completed_total'),
      latency('write_time_seconds_total', 'writes_completed_total'),
    ),
  },
  {
    id: 'disk-operations',
    title: 'chart.disk_operations',
    unit: 'per_second',
    queries: readAndWritten(disk('reads_completed_total'), disk('writes_completed_total')),
  },
  {
    id: 'disk-queue',
    title: 'chart.disk_queue',
    unit: 'plain',
    at_least: 1,
    queries: [{ name: { label: 'device' }, promql: disk('io_time_weighted_seconds_total') }],
  },
  ...HOST_CHARTS.filter((chart) => chart.id === 'filesystems'),
];

export const NETWORK_CHARTS: readonly ChartDefinition[] = [
  ...HOST_CHARTS.filter((chart) => chart.id === 'network'),
  {
    id: 'network-packets',
    title: 'chart.packets',
    unit: 'per_second',
    queries: bothWays('packets'),
  },
  {
    id: 'network-errors',
    title: 'chart.network_errors',
    unit: 'per_second',
    at_least: 1,
    queries: [
      {
        name: { label: 'device', suffix: 'network.errors' },
        promql: (detail) =>
          `${link('receive_errs_total')(detail)} + ${link('transmit_errs_total')(detail)}`,
      },
      {
        name: { label: 'device', suffix: 'network.drops' },
        mirrored: true,
        promql: (detail) =>
          `${link('receive_drop_total')(detail)} + ${link('transmit_drop_total')(detail)}`,
      },
    ],
  },
  {
    id: 'tcp-states',
    title: 'chart.tcp_states',
    unit: 'count',
    stacked: true,
    at_least: 1,
    queries: [
      {
        name: { label: 'state' },
        promql: ({ host, peak }) => peak(`node_tcp_connection_states{${host}}`),
      },
    ],
  },
  {
    id: 'tcp-trouble',
    title: 'chart.tcp_trouble',
    unit: 'per_second',
    at_least: 1,
    queries: [
      tcp('network.retransmits', 'Tcp_RetransSegs'),
      tcp('network.timeouts', 'TcpExt_TCPTimeouts'),
      tcp('network.listen_drops', 'TcpExt_ListenDrops'),
    ],
  },
  {
    id: 'tcp-opens',
    title: 'chart.tcp_opens',
    unit: 'per_second',
    queries: [
      tcp('network.accepted', 'Tcp_PassiveOpens'),
      tcp('network.dialled', 'Tcp_ActiveOpens'),
    ],
  },
  {
    id: 'conntrack',
    title: 'chart.conntrack',
    unit: 'percent',
    at_least: 10,
    limits: { warning: 75, critical: 90 },
    queries: [
      {
        name: { message: 'network.tracked' },
        promql: ({ host, peak }) =>
          `100 * ${peak(`node_nf_conntrack_entries{${host}}`)} / node_nf_conntrack_entries_limit{${host}}`,
      },
    ],
  },
  {
    id: 'sockets',
    title: 'chart.sockets',
    unit: 'count',
    queries: [
      {
        name: { message: 'network.sockets' },
        promql: ({ host, peak }) => peak(`node_sockstat_sockets_used{${host}}`),
      },
      {
        name: { message: 'network.udp' },
        promql: ({ host, peak }) => peak(`node_sockstat_UDP_inuse{${host}}`),
      },
    ],
  },
];
