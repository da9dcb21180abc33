/**
 * The queries behind the fleet's small lines. They fill the first minute of what the live stream then
 * draws on, so they must measure what the server's list of hosts measures.
 */

/** Links inside a host, whose traffic is no traffic of the network. */
const INNER_LINKS = 'device!~"lo|veth.*|docker.*|br-.*|virbr.*|cni.*|flannel.*|cali.*"';

function network(direction: 'receive' | 'transmit'): string {
  const counter = `node_network_${direction}_bytes_total{job="node",${INNER_LINKS}}`;
  return `sum by (instance) (irate(${counter}[30s]))`;
}

/** By the value's name: one series for each host. */
export const FLEET_QUERIES = {
  cpu: '100 * (1 - avg by (instance) (irate(node_cpu_seconds_total{job="node",mode="idle"}[30s])))',
  load: 'node_load1{job="node"}',
  in: network('receive'),
  out: network('transmit'),
} as const;
