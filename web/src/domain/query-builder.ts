/**
 * A question without PromQL: which metric, of what, how read, how summed up. It becomes PromQL here,
 * and `query-reader.ts` reads the same shapes back.
 */
import { alternation, isPlainMetric, labelText, quoted } from './promql-text.ts';

/** How a filter compares. `is` and `is_not` take texts as they are, the others one regular expression. */
export const OPERATORS = ['is', 'is_not', 'matches', 'matches_not'] as const;
export type Operator = (typeof OPERATORS)[number];

export interface Filter {
  label: string;
  operator: Operator;
  /** Of `matches` and `matches_not` only the first counts. */
  values: string[];
}

/** What may be asked of a series over a window of time. */
export const RANGE_FUNCTIONS = [
  'rate',
  'increase',
  'avg_over_time',
  'max_over_time',
  'min_over_time',
] as const;
export type RangeFunction = (typeof RANGE_FUNCTIONS)[number];

export const AGGREGATIONS = ['sum', 'avg', 'max', 'min', 'count'] as const;
export type Aggregation = (typeof AGGREGATIONS)[number];

export const ENDS = ['topk', 'bottomk'] as const;
export type End = (typeof ENDS)[number];

/** Windows offered; any other that PromQL knows is kept as it is. */
export const WINDOWS = ['1m', '5m', '15m', '1h', '6h', '1d'] as const;

export interface BuiltQuery {
  /** Empty until one is chosen. */
  metric: string;
  filters: Filter[];
  /** Null: the values as they were measured. */
  read: RangeFunction | null;
  /** A duration of PromQL, used where `read` is. */
  window: string;
  /** Null: every series by itself. */
  aggregation: Aggregation | null;
  /** Labels that stay apart in an aggregation. */
  by: string[];
  /** Only so many series, the highest or lowest at each moment. */
  keep: { end: End; count: number } | null;
}

export const NOTHING_BUILT: BuiltQuery = {
  metric: '',
  filters: [],
  read: null,
  window: '5m',
  aggregation: null,
  by: [],
  keep: null,
};

function filterText({ label, operator, values }: Filter): string {
  const name = labelText(label);
  const [first = ''] = values;
  if (operator === 'matches') return `${name}=~${quoted(first)}`;
  if (operator === 'matches_not') return `${name}!~${quoted(first)}`;
  const equal = operator === 'is';
  if (values.length > 1) return `${name}${equal ? '=~' : '!~'}${quoted(alternation(values))}`;
  return `${name}${equal ? '=' : '!='}${quoted(first)}`;
}

/** Whether a filter says anything yet. */
function isWhole({ label, values }: Filter): boolean {
  return label !== '' && values.length > 0;
}

/** The series that a query chooses, as PromQL; empty while no metric is chosen. */
export function selectorText({ metric, filters }: Pick<BuiltQuery, 'metric' | 'filters'>): string {
  if (metric === '') return '';
  const parts = filters.filter(isWhole).map(filterText);
  if (!isPlainMetric(metric)) return `{${[quoted(metric), ...parts].join(', ')}}`;
  return parts.length === 0 ? metric : `${metric}{${parts.join(', ')}}`;
}

/** The query as PromQL; empty while no metric is chosen. */
export function queryText(query: BuiltQuery): string {
  let text = selectorText(query);
  if (text === '') return '';
  if (query.read !== null) text = `${query.read}(${text}[${query.window}])`;
  if (query.aggregation !== null) {
    const by = query.by.length === 0 ? '' : ` by (${query.by.map(labelText).join(', ')}) `;
    text = `${query.aggregation}${by}(${text})`;
  }
  if (query.keep !== null) text = `${query.keep.end}(${query.keep.count}, ${text})`;
  return text;
}

/** The query after a metric was chosen: a counter is read as a rate, what cannot be is not. */
export function withMetric(query: BuiltQuery, metric: string, counter: boolean): BuiltQuery {
  const growing = query.read === 'rate' || query.read === 'increase';
  const read = counter ? (growing ? query.read : 'rate') : growing ? null : query.read;
  return { ...query, metric, filters: query.metric === metric ? query.filters : [], read };
}
