/** What alerts mean: their words in a language, their order, the incidents they form, and filters over them. */
import { ABSENT, axisText, figureText, type Language, type Unit } from './units.ts';

export type Severity = 'critical' | 'warning' | 'info';
export type Hush = 'silenced' | 'inhibited' | 'muted' | 'flapping' | 'no_receiver';

/** The part of an alert that these judgements read; the API's `Alert` has it all. */
export interface AlertFacts {
  id: string;
  name: string;
  severity: Severity;
  state: 'pending' | 'firing' | 'resolved';
  instance: string | null;
  labels: Record<string, string>;
  annotations: Record<string, string>;
  value: number | null;
  threshold: number | null;
  unit: string;
  active_at_ms: number;
  starts_at_ms: number | null;
  hush: Hush | null;
  incident: string;
  acknowledged: object | null;
  assignee: string | null;
}

/** The severities, the most urgent first. */
export const SEVERITIES: readonly Severity[] = ['critical', 'warning', 'info'];

/** A text of an alert in a language; English where there is none in Chinese, nothing where there is none at all. */
export function annotation(
  annotations: Record<string, string>,
  key: 'summary' | 'description' | 'action',
  language: Language,
): string {
  const own = language === 'zh' ? annotations[`${key}_zh`] : undefined;
  return own !== undefined && own !== '' ? own : (annotations[key] ?? '');
}

/** What is the matter, as a sentence; the name where nobody wrote one. */
export function sentence(
  alert: Pick<AlertFacts, 'name' | 'annotations'>,
  language: Language,
): string {
  return annotation(alert.annotations, 'summary', language) || alert.name;
}

const UNITS: Record<string, Unit> = {
  percent: 'percent',
  seconds: 'seconds',
  bytes: 'bytes',
  bytes_per_second: 'disk_rate',
  celsius: 'celsius',
  hertz: 'hertz',
  count: 'count',
  per_second: 'per_second',
};

/** The page's unit for the word that the server has. */
export function unitOf(word: string): Unit {
  return UNITS[word] ?? 'plain';
}

/** A value or threshold with its unit. */
export function valueText(value: number | null, unit: string): string {
  if (unit === 'days' && value !== null) return `${figureText(value, 'plain')}\u00a0d`;
  return value === null ? ABSENT : figureText(value, unitOf(unit));
}

/** A threshold in its rule's unit: somebody chose the number, so it has no needless zeroes. */
export function thresholdText(threshold: number | null, unit: string): string {
  if (unit === 'days' && threshold !== null) return `${axisText(threshold, 'plain')}\u00a0d`;
  return threshold === null ? ABSENT : axisText(threshold, unitOf(unit));
}

/**
 * Whether something keeps an alert from people. That no receiver wants it is no such thing: nobody chose
 * quiet, so it still calls for attention on the page, and the server counts it so too.
 */
export function isHushed({ hush }: Pick<AlertFacts, 'hush'>): boolean {
  return hush !== null && hush !== 'no_receiver';
}

/** Whether somebody should look: it fires, nothing hushes it, and nobody has taken note of it. */
export function isUrgent(alert: AlertFacts): boolean {
  return alert.state === 'firing' && !isHushed(alert) && alert.severity === 'critical';
}

const WEIGHT: Record<Severity, number> = { critical: 3, warning: 2, info: 1 };

/** How far in front an alert stands: what is told before what is hushed, then by severity. */
function weight(alert: AlertFacts): number {
  const told = alert.state === 'firing' && !isHushed(alert) ? 10 : 0;
  return told + (alert.state === 'firing' ? 5 : 0) + WEIGHT[alert.severity];
}

/** The moment from which an alert counts. */
export function since(alert: Pick<AlertFacts, 'starts_at_ms' | 'active_at_ms'>): number {
  return alert.starts_at_ms ?? alert.active_at_ms;
}

function before(one: AlertFacts, other: AlertFacts): number {
  return weight(other) - weight(one) || since(other) - since(one) || one.id.localeCompare(other.id);
}

/** The alerts of one cause: the one that explains, and those that it explains. */
export interface Incident<A extends AlertFacts> {
  id: string;
  head: A;
  others: A[];
}

/** Incidents, the one with the most urgent and newest alert first; its cause leads each. */
export function incidentsOf<A extends AlertFacts>(alerts: readonly A[]): Incident<A>[] {
  const groups = new Map<string, A[]>();
  for (const alert of alerts.toSorted(before)) {
    const group = groups.get(alert.incident);
    if (group === undefined) groups.set(alert.incident, [alert]);
    else group.push(alert);
  }
  return Array.from(groups, ([id, members]) => {
    const head = members.find((alert) => alert.id === id) ?? members[0];
    return head === undefined
      ? []
      : [{ id, head, others: members.filter((alert) => alert !== head) }];
  }).flat();
}

/** What a person wants to see of the alerts; what is null or empty does not narrow them. */
export interface AlertFilter {
  words: string;
  severity: Severity | null;
  /** Only those that are told, only the hushed ones, or those that wait to fire. */
  show: 'told' | 'hushed' | 'pending' | null;
}

/** The filter that an address tells. */
export function filterFromAddress(query: URLSearchParams): AlertFilter {
  const severity = query.get('severity');
  const show = query.get('show');
  return {
    words: query.get('filter') ?? '',
    severity: SEVERITIES.find((one) => one === severity) ?? null,
    show: (['told', 'hushed', 'pending'] as const).find((one) => one === show) ?? null,
  };
}

/** Whether the filter keeps an alert: each word stands in its name, its sentence or a label. */
export function keeps(filter: AlertFilter, alert: AlertFacts): boolean {
  if (alert.state === 'resolved') return false;
  if (filter.severity !== null && alert.severity !== filter.severity) return false;
  const told = alert.state === 'firing' && !isHushed(alert);
  if (filter.show === 'told' && !told) return false;
  if (filter.show === 'hushed' && (alert.state !== 'firing' || !isHushed(alert))) return false;
  if (filter.show === 'pending' && alert.state !== 'pending') return false;
  const texts = [
    alert.name,
    alert.assignee ?? '',
    ...Object.values(alert.labels),
    ...Object.values(alert.annotations),
  ];
  const all = texts.join('\n').toLowerCase();
  return filter.words
    .toLowerCase()
    .split(/\s+/)
    .every((word) => all.includes(word));
}

/** How many alerts of a host fire unhushed, and how urgent the worst is. */
export interface HostAlerts {
  count: number;
  worst: Severity;
}

/** The alerts that fire and that nothing hushes, by host. */
export function byHost(alerts: readonly AlertFacts[]): ReadonlyMap<string, HostAlerts> {
  const found = new Map<string, HostAlerts>();
  for (const alert of alerts) {
    const { instance, state, severity } = alert;
    if (instance === null || state !== 'firing' || isHushed(alert)) continue;
    const known = found.get(instance);
    const worse = known === undefined || WEIGHT[severity] > WEIGHT[known.worst];
    found.set(instance, {
      count: (known?.count ?? 0) + 1,
      worst: worse ? severity : known.worst,
    });
  }
  return found;
}

/** One number for how much a host's alerts matter: the worst first, then how many there are. */
export function urgencyOf({ count, worst }: HostAlerts): number {
  return WEIGHT[worst] * 100_000 + count;
}
