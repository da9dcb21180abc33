/** What the screen Explore asks: its queries in order, and how they stand in the address. */
import type { TimeRange } from './time-range.ts';

export interface ExploreQuery {
  expression: string;
  /** Kept, but not asked. */
  off: boolean;
}

export const VIEWS = ['graph', 'table'] as const;
export type ExploreView = (typeof VIEWS)[number];

/** The period of a bare address. */
export const EXPLORE_RANGE: TimeRange = { kind: 'last', span_ms: 3_600_000 };

/** More than this no screen shows. */
export const MOST_QUERIES = 12;

/** The name of a query by its place, from 0: A, B, C … */
export function letterOf(place: number): string {
  return String.fromCharCode(65 + place);
}

/** The queries of an address: `q` for each that is asked, `off` for each that is not, in order. */
export function queriesFromAddress(query: URLSearchParams): ExploreQuery[] {
  return [...query]
    .filter(([name]) => name === 'q' || name === 'off')
    .slice(0, MOST_QUERIES)
    .map(([name, expression]) => ({ expression, off: name === 'off' }));
}

/** The queries' part of an address; empty ones at the end are left out. */
export function queryPairs(queries: readonly ExploreQuery[]): [string, string][] {
  const last = queries.findLastIndex(({ expression }) => expression.trim() !== '');
  return queries
    .slice(0, last + 1)
    .map(({ expression, off }) => [off ? 'off' : 'q', expression.trim()]);
}

/** The view of an address. */
export function viewFromAddress(query: URLSearchParams): ExploreView {
  return query.get('view') === 'table' ? 'table' : 'graph';
}

/** Whether a query is to be asked. */
export function isAsked({ expression, off }: ExploreQuery): boolean {
  return !off && expression.trim() !== '';
}

/** Queries that say something on any fleet with one host, from the first minute on. */
export const EXAMPLES = [
  {
    title: 'explore.example_cpu',
    expression: '100 * (1 - avg by (instance) (rate(node_cpu_seconds_total{mode="idle"}[1m])))',
  },
  {
    title: 'explore.example_memory',
    expression: 'topk(5, node_memory_MemTotal_bytes - node_memory_MemAvailable_bytes)',
  },
  {
    title: 'explore.example_network',
    expression: 'sum by (instance) (rate(node_network_receive_bytes_total{device!="lo"}[1m]))',
  },
  {
    title: 'explore.example_disk',
    expression:
      'sort_desc(100 * (1 - node_filesystem_avail_bytes{fstype!="tmpfs"} / node_filesystem_size_bytes))',
  },
  { title: 'explore.example_load', expression: 'node_load1' },
  { title: 'explore.example_up', expression: 'count by (job) (up == 1)' },
] as const;
