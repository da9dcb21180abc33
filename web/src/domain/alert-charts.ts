/** The charts beside an alert: the value that was judged, and what its host did around that moment. */
import type { Severity } from './alerts.ts';
import type { ChartDefinition } from './host-charts.ts';
import { HOST_CHARTS } from './host-charts.ts';
import { between, type TimeRange } from './time-range.ts';
import { labelText, quoted } from './promql-text.ts';
import type { Unit } from './units.ts';

/** How much time is shown around an alert's beginning. */
export const AROUND = ['5m', '1h', '24h'] as const;
export type Around = (typeof AROUND)[number];

const SPANS: Record<Around, { before_ms: number; after_ms: number }> = {
  '5m': { before_ms: 180_000, after_ms: 120_000 },
  '1h': { before_ms: 2_400_000, after_ms: 1_200_000 },
  '24h': { before_ms: 64_800_000, after_ms: 21_600_000 },
};

/** The period around an alert's beginning, no further than now. */
export function rangeAround(around: Around, at_ms: number, now_ms: number): TimeRange {
  const { before_ms, after_ms } = SPANS[around];
  return between(at_ms - before_ms, Math.min(at_ms + after_ms, Math.max(at_ms, now_ms)));
}

const NEVER_MS = Number.POSITIVE_INFINITY;

/**
 * The firings as bands behind the lines of charts; infos are no news there. Where several fire at once
 * there is one band, of the worst: colours laid over each other would say how many fire, not how bad it is.
 */
export function bandsOf(
  episodes: readonly { starts_at_ms: number; ends_at_ms: number | null; severity: Severity }[],
): { from_ms: number; to_ms: number | null; level: 'warning' | 'critical' }[] {
  const firings = episodes.flatMap(({ starts_at_ms, ends_at_ms, severity }) =>
    severity === 'info' ? [] : [{ from_ms: starts_at_ms, to_ms: ends_at_ms ?? NEVER_MS, severity }],
  );
  const edges = [...new Set(firings.flatMap(({ from_ms, to_ms }) => [from_ms, to_ms]))];
  edges.sort((one, other) => one - other);
  const bands: { from_ms: number; to_ms: number; level: 'warning' | 'critical' }[] = [];
  for (const [index, from_ms] of edges.entries()) {
    const over = firings.filter((firing) => firing.from_ms <= from_ms && firing.to_ms > from_ms);
    if (over.length === 0) continue;
    const level = over.some(({ severity }) => severity === 'critical') ? 'critical' : 'warning';
    const to_ms = edges[index + 1] ?? NEVER_MS;
    const last = bands.at(-1);
    if (last?.to_ms === from_ms && last.level === level) last.to_ms = to_ms;
    else bands.push({ from_ms, to_ms, level });
  }
  return bands.map((band) => ({ ...band, to_ms: band.to_ms === NEVER_MS ? null : band.to_ms }));
}

/** Labels of an alert that no measured series has. */
const NOT_MEASURED = new Set(['alertname', 'severity', 'instance', 'job', '__name__']);

/** The values of an expression that bear these labels: those of the one thing that an alert is about. */
function onlyOf(expression: string, labels: Record<string, string>, names: string[]): string {
  if (names.length === 0) return expression;
  // A dollar sign would stand for a part of what is replaced.
  const put = (vector: string, name: string): string =>
    `label_replace(${vector}, ${quoted(name)}, ${quoted((labels[name] ?? '').replaceAll('$', '$$$$'))}, "", "")`;
  return `(${expression}) and on (${names.map(labelText).join(', ')}) ${names.reduce(put, 'vector(1)')}`;
}

/**
 * The chart of an alert's expression; a line is named by the labels that tell one thing of a host from another. Where
 * all of the labels are `measured`, and none was added by a rule, only that thing is drawn.
 */
export function valueChart(
  expression: string,
  unit: Unit,
  labels: Record<string, string>,
  measured: boolean,
): ChartDefinition {
  const telling = Object.keys(labels).filter((name) => !NOT_MEASURED.has(name));
  const own = 'instance' in labels ? ['instance', ...telling] : telling;
  const promql = measured ? onlyOf(expression, labels, own) : expression;
  const name =
    telling.length > 0
      ? { label: telling }
      : labels['instance'] === undefined
        ? ({ message: 'alerts.value' } as const)
        : { label: 'instance' };
  return {
    id: 'value',
    title: 'alerts.value_chart',
    unit,
    queries: [{ name, promql: () => promql }],
  };
}

const BESIDE = ['cpu', 'memory', 'pressure', 'disk-busy'];

/** What the host did meanwhile. */
export const CHARTS_BESIDE: readonly ChartDefinition[] = HOST_CHARTS.filter(({ id }) =>
  BESIDE.includes(id),
);

/** A recorded process is looked for this long before the moment. */
const TOP_WINDOW = '2m';
const TOP_COUNT = 8;

/** The busiest processes of a host at a moment, by processor and by memory. */
export function topQueries(instance: string): Record<'cpu' | 'memory', string> {
  const top = (metric: string): string =>
    `topk(${TOP_COUNT}, max by (pid, program) (max_over_time(${metric}{instance=${quoted(instance)}}[${TOP_WINDOW}])))`;
  return {
    cpu: top('muster_top_process_cpu_ratio'),
    memory: top('muster_top_process_memory_bytes'),
  };
}
