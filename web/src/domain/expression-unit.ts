/**
 * What an expression's values measure, guessed from the names in it: metric names end in their unit.
 * Where that does not tell, values are plain numbers.
 */
import type { Unit } from './units.ts';

/** Moments rather than lengths, though counted in seconds. */
const MOMENT = /(?:_boot_time|_timestamp|_time|_start_time|_not_after|_expiry)_seconds$/;
const PER_SECOND = new Set(['rate', 'irate', 'deriv']);
const SAME_UNIT = new Set([
  ...['sum', 'avg', 'min', 'max', 'topk', 'bottomk', 'quantile', 'stddev', 'sort', 'sort_desc'],
  ...['avg_over_time', 'max_over_time', 'min_over_time', 'sum_over_time', 'last_over_time'],
  ...[
    'quantile_over_time',
    'increase',
    'delta',
    'idelta',
    'abs',
    'clamp',
    'clamp_min',
    'clamp_max',
  ],
  ...['predict_linear', 'label_replace', 'label_join', 'limitk', 'ceil', 'floor', 'round'],
  ...['histogram_quantile', 'stddev_over_time'],
]);
const WORD = /[a-zA-Z_:][\w:]*(\s*\()?/g;

/** The unit that a metric's name ends in. */
function metricUnit(metric: string): Unit {
  const name = metric.replace(/_(?:total|sum|bucket)$/, '');
  if (name.endsWith('_bytes')) return 'bytes';
  if (name.endsWith('_celsius')) return 'celsius';
  if (name.endsWith('_percent')) return 'percent';
  return name.endsWith('_seconds') && !MOMENT.test(name) ? 'seconds' : 'plain';
}

/** The unit of a metric's increase per second. */
function rateUnit(metric: string): Unit {
  switch (metricUnit(metric)) {
    case 'bytes':
      return /network|net_|receive|transmit/.test(metric) ? 'network_rate' : 'disk_rate';
    case 'plain':
      return 'per_second';
    default:
      return 'plain';
  }
}

/** The expression without what holds no metric: texts, comments, label lists, windows. */
function bare(expression: string): string {
  return expression
    .replace(/"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|`[^`]*`/g, '')
    .replace(/#.*/g, '')
    .replace(/\{[^}]*\}|\[[^\]]*\]/g, '')
    .replace(/\b(?:by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)/g, '')
    .replace(/\b(?:offset\s+-?\w+|bool|group_left|group_right|and|or|unless)\b/g, ' ');
}

/** What the values of an expression measure. */
export function expressionUnit(expression: string): Unit {
  const text = bare(expression);
  if (/^\s*\(*\s*(?:sort(?:_desc)?|topk|bottomk)?[\s(\d,]*100\s*\*/.test(text)) return 'percent';
  if (/[*/^%]|[<>=!]=?\s*bool/.test(text)) return 'plain';
  const words = [...text.matchAll(WORD)].map(([word]) => word);
  const functions = words
    .filter((word) => word.endsWith('('))
    .map((word) => word.slice(0, -1).trim());
  const metrics = words.filter((word) => !word.endsWith('('));
  if (functions.some((name) => !SAME_UNIT.has(name) && !PER_SECOND.has(name))) return 'plain';
  const perSecond = functions.some((name) => PER_SECOND.has(name));
  const units = new Set(metrics.map(perSecond ? rateUnit : metricUnit));
  const [unit = 'plain'] = units;
  return units.size === 1 ? unit : 'plain';
}
