/** What happened on a host, read from its series: starts, silences, failures, kills, clocks, mounts. Pure. */
import type { Level } from './hosts.ts';
import type { MessageKey } from './messages.ts';
import { quoted } from './promql-text.ts';

export const EVENT_KINDS = [
  'reboot',
  'clock',
  'unsynchronised',
  'silent',
  'failed',
  'missing',
  'restarts',
  'oom',
  'read_only',
  'hangs',
] as const;
export type EventKind = (typeof EVENT_KINDS)[number];

export interface HostEvent {
  kind: EventKind;
  /** When it began. */
  at_ms: number;
  /** When it was over; null while it lasts, or where it has no length. */
  end_ms: number | null;
  /** Of what: a unit, a mount point, a program; empty for the host. */
  subject: string;
  /** How often, or how much. */
  count: number;
}

/** How much an event matters, and its words. */
export const EVENT_LOOKS: Record<EventKind, { level: Level; text: MessageKey }> = {
  reboot: { level: 'warning', text: 'event.reboot' },
  clock: { level: 'warning', text: 'event.clock' },
  unsynchronised: { level: 'warning', text: 'event.unsynchronised' },
  silent: { level: 'critical', text: 'event.silent' },
  failed: { level: 'critical', text: 'event.failed' },
  missing: { level: 'critical', text: 'event.missing' },
  restarts: { level: 'warning', text: 'event.restarts' },
  oom: { level: 'critical', text: 'event.oom' },
  read_only: { level: 'critical', text: 'event.read_only' },
  hangs: { level: 'critical', text: 'event.hangs' },
};

/** The points of one series: each stands for the step before it. */
export interface EventSeries {
  labels: Record<string, string>;
  times_ms: readonly number[];
  values: readonly number[];
}

type Shape = 'boot' | 'holds' | 'counts';

/** The expressions behind the events; `s` is the length of a step in seconds. */
const SOURCES: readonly {
  kind: EventKind;
  shape: Shape;
  subject: string;
  promql: (host: string, s: number) => string;
}[] = [
  {
    kind: 'reboot',
    shape: 'boot',
    subject: '',
    promql: (host) => `node_boot_time_seconds{${host}}`,
  },
  {
    kind: 'unsynchronised',
    shape: 'holds',
    subject: '',
    promql: (host) => `node_timex_sync_status{${host}} == 0`,
  },
  {
    kind: 'silent',
    shape: 'holds',
    subject: '',
    promql: (host, s) => `min_over_time(up{${host}}[${s}s]) == 0`,
  },
  {
    kind: 'failed',
    shape: 'holds',
    subject: 'name',
    promql: (host, s) =>
      `max_over_time(node_systemd_unit_state{${host},state="failed"}[${s}s]) > 0`,
  },
  {
    kind: 'missing',
    shape: 'holds',
    subject: 'name',
    promql: (host, s) => `min_over_time(muster_named_processes{${host}}[${s}s]) == 0`,
  },
  {
    kind: 'restarts',
    shape: 'counts',
    subject: 'name',
    promql: (host, s) => growth(`node_systemd_service_restart_total{${host}}`, s),
  },
  {
    kind: 'oom',
    shape: 'counts',
    subject: 'program',
    promql: (host, s) => growth(`muster_oom_kills_total{${host}}`, s),
  },
  {
    kind: 'read_only',
    shape: 'holds',
    subject: 'mountpoint',
    promql: (host, s) =>
      `max_over_time(node_filesystem_readonly{${host},fstype!~"squashfs|iso9660|tmpfs|ramfs|overlay"}[${s}s]) > 0`,
  },
  {
    kind: 'hangs',
    shape: 'holds',
    subject: 'mountpoint',
    promql: (host, s) => `max_over_time(node_filesystem_device_error{${host}}[${s}s]) > 0`,
  },
];

/** What a counter has grown by in a step, where it has; the difference is exact, and a start anew is none. */
function growth(selector: string, s: number): string {
  return `(${selector} - ${selector} offset ${s}s) > 0`;
}

/** One expression for each source, in their order. */
export function eventQueries(instance: string, step_ms: number): string[] {
  const host = `job="node",instance=${quoted(instance)}`;
  return SOURCES.map(({ promql }) => promql(host, Math.ceil(step_ms / 1000)));
}

/** Restarts and kills that follow each other this closely are one event. */
const ONE_EVENT_MS = 600_000;
/** A start time that moves by less than this is the kernel's rounding. */
const CLOCK_STEP_S = 2;

interface Grid {
  from_ms: number;
  to_ms: number;
  step_ms: number;
}

/** The runs of points that follow each other within `gap_ms`. */
function runs(series: EventSeries, gap_ms: number): { first: number; last: number }[] {
  const found: { first: number; last: number }[] = [];
  for (const [index, time_ms] of series.times_ms.entries()) {
    const run = found.at(-1);
    const near = run !== undefined && time_ms - (series.times_ms[run.last] ?? 0) <= gap_ms;
    if (run !== undefined && near) run.last = index;
    else found.push({ first: index, last: index });
  }
  return found;
}

/** Starts of the host, and steps of its clock: both move the time at which it started. */
function boots(series: EventSeries): HostEvent[] {
  return series.values.flatMap((boot_s, index): HostEvent[] => {
    const before_s = series.values[index - 1];
    const before_ms = series.times_ms[index - 1];
    const at_ms = series.times_ms[index];
    if (before_s === undefined || before_ms === undefined || at_ms === undefined) return [];
    const moved_s = boot_s - before_s;
    if (Math.abs(moved_s) < CLOCK_STEP_S) return [];
    // A start cannot be before the last sample of the run before it.
    if (boot_s * 1000 > before_ms - CLOCK_STEP_S * 1000) {
      return [{ kind: 'reboot', at_ms: boot_s * 1000, end_ms: null, subject: '', count: 1 }];
    }
    return [{ kind: 'clock', at_ms, end_ms: null, subject: '', count: moved_s }];
  });
}

function ofSeries(
  kind: EventKind,
  shape: Shape,
  subject: string,
  series: EventSeries,
  grid: Grid,
): HostEvent[] {
  if (shape === 'boot') return boots(series);
  const gap_ms =
    shape === 'counts' ? Math.max(ONE_EVENT_MS, 1.5 * grid.step_ms) : 1.5 * grid.step_ms;
  return runs(series, gap_ms).flatMap(({ first, last }): HostEvent[] => {
    const begin_ms = (series.times_ms[first] ?? 0) - grid.step_ms;
    const end_ms = series.times_ms[last] ?? 0;
    const lasts = end_ms > grid.to_ms - 1.5 * grid.step_ms;
    const sum = series.values.slice(first, last + 1).reduce((all, value) => all + value, 0);
    const count = shape === 'counts' ? Math.round(sum) : 1;
    // What already was when the period began did not happen in it.
    if (shape === 'holds' && begin_ms <= grid.from_ms) return [];
    if (shape === 'counts' && kind === 'restarts' && count < 1) return [];
    return [
      {
        kind,
        at_ms: Math.max(grid.from_ms, begin_ms),
        end_ms: lasts || (shape === 'counts' && first === last) ? null : end_ms,
        subject: series.labels[subject] ?? '',
        count,
      },
    ];
  });
}

/** The events that the answers to `eventQueries` tell, the newest first. */
export function eventsOf(answers: readonly (readonly EventSeries[])[], grid: Grid): HostEvent[] {
  return SOURCES.flatMap(({ kind, shape, subject }, index) =>
    (answers[index] ?? []).flatMap((series) => ofSeries(kind, shape, subject, series, grid)),
  ).sort((one, other) => other.at_ms - one.at_ms);
}
