/** What services' states mean, in which words they ended, and their courses as segments of a line. */
import type { MessageKey } from './messages.ts';
import { alternation, quoted } from './promql-text.ts';

/** How a course is drawn; worst first. */
export const LOOKS = ['failed', 'changing', 'inactive', 'active'] as const;
export type Look = (typeof LOOKS)[number];

const LOOK_OF: Record<string, Look> = {
  failed: 'failed',
  missing: 'failed',
  active: 'active',
  inactive: 'inactive',
};

/** The look of one of systemd's states; all states on the way to another look the same. */
export function lookOf(state: string): Look {
  return LOOK_OF[state] ?? 'changing';
}

const SIGNALS: Record<number, string> = {
  1: 'SIGHUP',
  2: 'SIGINT',
  3: 'SIGQUIT',
  4: 'SIGILL',
  6: 'SIGABRT',
  7: 'SIGBUS',
  8: 'SIGFPE',
  9: 'SIGKILL',
  10: 'SIGUSR1',
  11: 'SIGSEGV',
  12: 'SIGUSR2',
  13: 'SIGPIPE',
  14: 'SIGALRM',
  15: 'SIGTERM',
  24: 'SIGXCPU',
  31: 'SIGSYS',
};

/** A signal by its name on Linux, or by its number where it has none. */
export function signalName(signal: number): string {
  return SIGNALS[signal] ?? `signal ${signal}`;
}

/** What is known of a service's last end. */
export interface Ending {
  result: string | null;
  exit_code: number | null;
  exit_signal: number | null;
}

/** A text of the page with what fills its gaps. */
export interface Words {
  key: MessageKey;
  gaps: Record<string, string | number>;
}

const RESULTS: Record<string, MessageKey> = {
  'oom-kill': 'ending.oom',
  watchdog: 'ending.watchdog',
  timeout: 'ending.timeout',
  'start-limit-hit': 'ending.start_limit',
  resources: 'ending.resources',
  protocol: 'ending.protocol',
};

/** How a service ended the last time, in words; null where nothing went wrong. */
export function endingWords({ result, exit_code, exit_signal }: Ending): Words | null {
  const known = result === null ? undefined : RESULTS[result];
  if (known !== undefined) return { key: known, gaps: {} };
  if (result === null || result === 'success') return null;
  if (exit_signal !== null && result !== 'exit-code') {
    const key = result === 'core-dump' ? 'ending.core_dump' : 'ending.signal';
    return { key, gaps: { signal: signalName(exit_signal) } };
  }
  if (exit_code !== null) return { key: 'ending.exit_code', gaps: { code: exit_code } };
  return { key: 'ending.other', gaps: { result } };
}

/** One service of one host. */
export interface ServiceKey {
  instance: string;
  name: string;
}

/** A text for a service that no other service has. */
export function serviceId({ instance, name }: ServiceKey): string {
  return `${instance}\n${name}`;
}

/** Selectors that choose exactly these services: one for each name or for each host, whichever are fewer. */
function selectors(metric: string, services: readonly ServiceKey[]): string[] {
  const by = (own: keyof ServiceKey, other: keyof ServiceKey): string[] => {
    const groups = new Map<string, string[]>();
    for (const service of services) {
      groups.set(service[own], [...(groups.get(service[own]) ?? []), service[other]]);
    }
    return Array.from(
      groups,
      ([value, others]) =>
        `${metric}{job="node",${own}=${quoted(value)},${other}=~${quoted(alternation(others))}}`,
    );
  };
  const names = by('name', 'instance');
  const hosts = by('instance', 'name');
  return names.length < hosts.length ? names : hosts;
}

/** The states of units within each step, no state lost however short it was. */
export function statesQuery(services: readonly ServiceKey[], step_ms: number): string {
  return selectors('node_systemd_unit_state', services)
    .map((selector) => `max_over_time(${selector}[${windowOf(step_ms)}]) > 0`)
    .join(' or ');
}

/** How many processes of these names ran at least within each step. */
export function processesQuery(services: readonly ServiceKey[], step_ms: number): string {
  return selectors('muster_named_processes', services)
    .map((selector) => `min_over_time(${selector}[${windowOf(step_ms)}])`)
    .join(' or ');
}

/** States are read twice a minute: a shorter window would often be empty. */
const SHORTEST_WINDOW_S = 35;

function windowOf(step_ms: number): string {
  return `${Math.max(SHORTEST_WINDOW_S, Math.ceil(step_ms / 1000))}s`;
}

/** A stretch of time in one look; null where nothing is known. */
export interface Segment {
  from_ms: number;
  to_ms: number;
  look: Look | null;
}

/** The moments of one look, in ascending order. */
export interface LookPoints {
  look: Look;
  times_ms: readonly number[];
}

/** The courses as segments: the worst look of each step, equal neighbours joined. A point speaks for the step before it. */
export function segmentsOf(
  points: readonly LookPoints[],
  grid: { from_ms: number; to_ms: number; step_ms: number },
): Segment[] {
  const worst = new Map<number, Look>();
  const rank = (look: Look): number => LOOKS.indexOf(look);
  for (const { look, times_ms } of points) {
    for (const time_ms of times_ms) {
      const step = Math.round((time_ms - grid.from_ms) / grid.step_ms);
      const known = worst.get(step);
      if (known === undefined || rank(look) < rank(known)) worst.set(step, look);
    }
  }
  const segments: Segment[] = [];
  const steps = Math.round((grid.to_ms - grid.from_ms) / grid.step_ms);
  for (let step = 1; step <= steps; step += 1) {
    const look = worst.get(step) ?? null;
    const to_ms = grid.from_ms + step * grid.step_ms;
    const last = segments.at(-1);
    if (last !== undefined && last.look === look) last.to_ms = to_ms;
    else segments.push({ from_ms: to_ms - grid.step_ms, to_ms, look });
  }
  return segments;
}

/** How many steps a line of states has at most. */
const MOST_STEPS = 120;
const SHORTEST_STEP_MS = 10_000;

/** The steps of a line of states over a period. */
export function timelineGrid(period: { from_ms: number; to_ms: number }): {
  from_ms: number;
  to_ms: number;
  step_ms: number;
} {
  const wanted_ms = (period.to_ms - period.from_ms) / MOST_STEPS;
  const step_ms = Math.max(
    SHORTEST_STEP_MS,
    Math.ceil(wanted_ms / SHORTEST_STEP_MS) * SHORTEST_STEP_MS,
  );
  const steps = Math.max(1, Math.floor((period.to_ms - period.from_ms) / step_ms));
  return { from_ms: period.to_ms - steps * step_ms, to_ms: period.to_ms, step_ms };
}
