/** One host of the fleet with its last minute, and what all that show a fleet ask of it. */
import type { HostAlerts } from '../domain/alerts.ts';
import type { Host, Hosts, RecentHosts } from '../api/types.ts';
import type { FleetSummary } from '../domain/hosts.ts';
import { drawOn, pointsOf, type RecentPoint } from '../domain/recent.ts';

/** The values that have a line of their last minute. */
const RECENT = {
  cpu: (host: Host) => host.cpu_percent,
  load: (host: Host) => host.load1,
  receive: (host: Host) => host.receive_bytes_per_second,
  transmit: (host: Host) => host.transmit_bytes_per_second,
} as const;
export type RecentName = keyof typeof RECENT;

const RECENT_NAMES = Object.keys(RECENT) as RecentName[];

type Figures = NonNullable<Hosts['figures']>;

/** One host, followed by everything that shows it. */
export class HostRow {
  host: Host;
  /** The small lines; what draws them follows the time of the last event. */
  readonly recent: Record<RecentName, RecentPoint[]> = {
    cpu: [],
    load: [],
    receive: [],
    transmit: [],
  };

  constructor(host: Host) {
    this.host = $state.raw(host);
  }

  /** Takes the figures that stand at a place of the columns. */
  take(figures: Figures, place: number): void {
    const at = (column: readonly (number | null)[]): number | null => column[place] ?? null;
    this.host = {
      ...this.host,
      cpu_percent: at(figures.cpu_percent),
      memory_percent: at(figures.memory_percent),
      swap_percent: at(figures.swap_percent),
      load1: at(figures.load1),
      receive_bytes_per_second: at(figures.receive_bytes_per_second),
      transmit_bytes_per_second: at(figures.transmit_bytes_per_second),
    };
  }

  /** Draws the lines on by the values that hold at a moment. */
  tick(now_ms: number): void {
    const silent = this.host.state === 'silent';
    for (const name of RECENT_NAMES) {
      drawOn(this.recent[name], now_ms, silent ? null : RECENT[name](this.host));
    }
  }

  /** Puts the past before what has been told since. */
  prepend(told: RecentHosts): void {
    const lines = told.hosts[this.host.instance];
    if (lines === undefined) return;
    for (const name of RECENT_NAMES) {
      const own = this.recent[name];
      const first_ms = own[0]?.time_ms ?? Number.POSITIVE_INFINITY;
      const past = pointsOf(
        lines[name].map((value) => value ?? null),
        told.first_ms,
        told.step_ms,
      );
      own.unshift(...past.filter((point) => point.time_ms < first_ms));
    }
  }
}

/** A fleet as the table and the tiles show it: now and alive, or at a moment of the past. */
export interface FleetView {
  readonly loaded: boolean;
  /** The server's time of what is shown, which is the right edge of the small lines. */
  readonly told_ms: number;
  readonly summary: FleetSummary;
  /** Each name's place among all of them. */
  readonly places: ReadonlyMap<string, number>;
  /** The alerts of each host that somebody is told of; none of the past. */
  readonly alerts: ReadonlyMap<string, HostAlerts>;
  hosts(): Host[];
  row(instance: string): HostRow | undefined;
}
