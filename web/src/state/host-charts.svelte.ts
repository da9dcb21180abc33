/**
 * The lines of a host's charts for the period shown. A live period is filled by range queries, then
 * drawn on by the one-second stream; a period ending now is read again as it moves on.
 */
import { untrack } from 'svelte';

import { ApiError } from '../api/client.ts';
import { liveQueryStream } from '../api/hosts.ts';
import { queryNumber, queryRange } from '../api/prometheus.ts';
import type { LivePoints } from '../api/types.ts';
import { dataStart, detailFor, type ChartDefinition } from '../domain/host-charts.ts';
import { drawnOn, joinedAt, linesFrom, since, type Line } from '../domain/lines.ts';
import {
  gridOf,
  periodOf,
  spanMs,
  stepMs,
  type Grid,
  type Period,
  type TimeRange,
} from '../domain/time-range.ts';
import { pauseInSight } from './attention.ts';
import { clock } from './clock.svelte.ts';
import { connection, isAbsence } from './connection.svelte.ts';
import { LiveStream } from './live-stream.svelte.ts';

export interface ChartLines {
  status: 'loading' | 'ready' | 'failed';
  lines: Line[];
  error: string;
}

/** A period that ends now is read again this often at least. */
const REFRESH_MS = 15_000;
/** After no answer the same is asked again this soon. */
const RETRY_MS = 3_000;

interface Slot {
  chart: number;
  query: number;
  expression: string;
}

function slots({ instance, charts }: Wanted, step_ms: number, live: boolean): Slot[] {
  const detail = detailFor(instance, step_ms / 1000, live);
  return charts.flatMap((definition, chart) =>
    definition.queries.map((query, index) => ({
      chart,
      query: index,
      expression: query.promql(detail),
    })),
  );
}

interface View {
  definitions: readonly ChartDefinition[];
  /** One for each definition. */
  charts: ChartLines[];
  /** What the charts' time axes span. */
  period: Period;
}

/** Which charts, of which host, and when. */
export interface Wanted {
  instance: string;
  range: TimeRange;
  charts: readonly ChartDefinition[];
}

export class HostCharts {
  /** What is drawn; it stands still while somebody points at it. */
  view = $state.raw<View>({ definitions: [], charts: [], period: { from_ms: 0, to_ms: 1 } });
  /** The distance of points in the answer drawn now, by which gaps are told. */
  step_ms = $state(5_000);
  stream = $state.raw<LiveStream | null>(null);
  paused = $state(false);
  #latest: View = this.view;
  /** The grid of the last answer, and where its data began. */
  #grid: Grid | null = null;
  #start_ms: number | null = null;
  #instance = '';
  #stop = new AbortController();
  #wanted: () => Wanted;

  /** Follows what is wanted for as long as the component that makes it is on the page. */
  constructor(wanted: () => Wanted) {
    this.#wanted = wanted;
    $effect(() => {
      const now = wanted();
      untrack(() => this.#show(now));
      return () => this.#end();
    });
  }

  /** Asks for everything anew, after a failure. */
  again(): void {
    this.#show(this.#wanted());
  }

  #show(wanted: Wanted): void {
    const { instance, range, charts: definitions } = wanted;
    this.#end();
    const stop = new AbortController();
    this.#stop = stop;
    this.step_ms = stepMs(spanMs(range));
    this.#grid = null;
    this.#start_ms = null;
    this.paused = false;
    // Another period may begin with the old lines; another host, or other charts, must not.
    const kept = instance === this.#instance && definitions === this.#latest.definitions;
    const charts = definitions.map((_, index): ChartLines => ({
      status: 'loading',
      lines: kept ? (this.#latest.charts[index]?.lines ?? []) : [],
      error: '',
    }));
    this.#instance = instance;
    this.#tell({ definitions, charts, period: periodOf(range, clock.exact()) });
    if (definitions.length === 0) void this.#walk(range, stop.signal);
    else if (range.kind === 'live') this.#listen(wanted, stop.signal);
    else void this.#follow(wanted, stop.signal);
  }

  /** Ends all requests; the lines stay as they are. */
  #end(): void {
    this.#stop.abort();
    this.stream?.stop();
    this.stream = null;
  }

  /** Holds the drawing still, or lets it catch up with what came meanwhile. */
  hold(paused: boolean): void {
    if (paused === this.paused) return;
    this.paused = paused;
    if (!paused) this.view = this.#latest;
  }

  #tell(news: Partial<View>): void {
    this.#latest = { ...this.#latest, ...news };
    if (!this.paused) this.view = this.#latest;
  }

  /** Moves the period on where there are no charts to move it. */
  async #walk(range: TimeRange, signal: AbortSignal): Promise<void> {
    while (range.kind !== 'absolute' && !signal.aborted) {
      await pauseInSight(REFRESH_MS, signal);
      if (!signal.aborted) this.#tell({ period: periodOf(range, clock.exact()) });
    }
  }

  #listen(wanted: Wanted, signal: AbortSignal): void {
    const { instance, range, charts } = wanted;
    const all = slots(wanted, this.step_ms, true);
    let told: Line[][] = charts.map(() => []);
    let filling = new AbortController();
    this.stream = new LiveStream({
      path: liveQueryStream(
        instance,
        all.map((slot) => slot.expression),
      ),
      attempt: () => {
        told = charts.map(() => []);
        filling.abort();
        filling = new AbortController();
        const until = AbortSignal.any([signal, filling.signal]);
        void this.#fillOnce(wanted, until, () => told);
      },
      event: ({ name, data }) => {
        if (name !== 'points') return false;
        const points = JSON.parse(data) as LivePoints;
        told = this.#take(all, points, told, range);
        // A silent host still has its moments, only without values.
        return points.results.some((result) => result.series.length > 0);
      },
    });
    this.stream.start();
  }

  /** Draws a second's points on; returns all that this connection has told, for a late filling. */
  #take(all: Slot[], points: LivePoints, told: Line[][], range: TimeRange): Line[][] {
    const time_ms = points.timestamp_ms;
    const from_ms = time_ms - spanMs(range);
    const byChart = this.#latest.definitions.map((_, chart) =>
      points.results.flatMap((result) => {
        const slot = all[result.query];
        if (slot?.chart !== chart) return [];
        return result.series.map((series) => ({ ...series, query: slot.query }));
      }),
    );
    const charts = this.#latest.charts.map((chart, index) =>
      chart.status !== 'ready'
        ? chart
        : { ...chart, lines: since(drawnOn(chart.lines, time_ms, byChart[index] ?? []), from_ms) },
    );
    this.#tell({ charts, period: { from_ms, to_ms: time_ms } });
    return told.map((lines, index) =>
      since(drawnOn(lines, time_ms, byChart[index] ?? []), from_ms),
    );
  }

  async #follow(wanted: Wanted, signal: AbortSignal): Promise<void> {
    const { range } = wanted;
    while (!signal.aborted) {
      const filled = await this.#fill(wanted, signal, () => []);
      if (filled && range.kind === 'absolute') return;
      // A host that has only just joined has its first points within seconds.
      const settled = filled && this.#start_ms !== null;
      const wait_ms = settled ? Math.max(REFRESH_MS, this.step_ms) : RETRY_MS;
      await pauseInSight(wait_ms, signal);
    }
  }

  /** Fills what the stream does not tell; asks until there is an answer. */
  async #fillOnce(wanted: Wanted, signal: AbortSignal, told: () => Line[][]): Promise<void> {
    while (!signal.aborted && !(await this.#fill(wanted, signal, told))) {
      await pauseInSight(RETRY_MS, signal);
    }
  }

  /** Where the data of a period begins; null where that cannot be told. */
  async #begin(instance: string, period: Period, signal: AbortSignal): Promise<number | null> {
    if (this.#start_ms !== null) return this.#start_ms;
    const span_s = (period.to_ms - period.from_ms) / 1000;
    try {
      const start_s = await queryNumber(dataStart(instance, span_s), period.to_ms, signal);
      return start_s === null ? null : start_s * 1000;
    } catch (error) {
      if (isAbsence(error)) connection.missed();
      return null;
    }
  }

  /** Reads all charts; false where the server was not there to answer. */
  async #fill(wanted: Wanted, signal: AbortSignal, told: () => Line[][]): Promise<boolean> {
    const { instance, range, charts } = wanted;
    const shown = periodOf(range, clock.exact());
    const live = range.kind === 'live';
    const start_ms = live ? null : await this.#begin(instance, shown, signal);
    if (signal.aborted) return false;
    this.#start_ms = start_ms;
    const grid = gridOf(shown, start_ms, this.#grid);
    this.#grid = grid;
    this.step_ms = grid.step_ms;
    const all = slots(wanted, grid.step_ms, live);
    const answered = await Promise.all(
      charts.map(async (_, chart) => {
        const asked = all.filter((slot) => slot.chart === chart);
        const next = await this.#read(asked, grid, signal);
        if (signal.aborted || next === null) return false;
        const lines = joinedAt(next.lines, told()[chart] ?? []);
        this.#tell({ charts: this.#latest.charts.with(chart, { ...next, lines }) });
        // Once the stream speaks, its own clock moves the axis.
        if (this.stream?.status !== 'live') this.#tell({ period: shown });
        return true;
      }),
    );
    return answered.every((one) => one);
  }

  /** One chart's lines; null where no answer came, so that what is drawn stays. */
  async #read(asked: Slot[], grid: Grid, signal: AbortSignal): Promise<ChartLines | null> {
    try {
      const answers = await Promise.all(
        asked.map(async (slot) =>
          linesFrom(slot.query, await queryRange(slot.expression, grid, grid.step_ms, signal)),
        ),
      );
      connection.heard();
      return { status: 'ready', lines: answers.flat(), error: '' };
    } catch (error) {
      if (!(error instanceof ApiError)) return null;
      if (isAbsence(error)) connection.missed();
      return isAbsence(error) ? null : { status: 'failed', lines: [], error: error.message };
    }
  }
}
