/**
 * The answers to what the screen Explore asks. Every change ends the questions under way and asks
 * anew; a period that ends now is asked again as it moves on, less often where answers take long.
 */
import { untrack } from 'svelte';

import { ApiError } from '../api/client.ts';
import { queryInstant, queryRangeTold } from '../api/prometheus.ts';
import type { InstantResult } from '../api/types.ts';
import type { Sample } from '../domain/answer-table.ts';
import { isAsked, type ExploreQuery, type ExploreView } from '../domain/explore.ts';
import { linesFrom, type Line } from '../domain/lines.ts';
import { gridOf, periodOf, type Grid, type Period, type TimeRange } from '../domain/time-range.ts';
import { pauseInSight, seen } from './attention.ts';
import { clock } from './clock.svelte.ts';
import { connection, isAbsence } from './connection.svelte.ts';

/** What came of one query. */
export interface QueryAnswer {
  status: 'idle' | 'loading' | 'ready' | 'failed' | 'cancelled';
  /** The expression that this answers. */
  expression: string;
  /** Of the graph. */
  lines: Line[];
  /** Of the table. */
  samples: Sample[];
  /** How many series came, and whether the server has more. */
  series: number;
  more: boolean;
  taken_ms: number | null;
  warnings: string[];
  infos: string[];
  error: string;
}

export interface Asked {
  queries: ExploreQuery[];
  range: TimeRange;
  view: ExploreView;
}

/** More lines than this are not asked for: no browser draws them and no eye reads them. */
const MOST_LINES = 1_000;
const MOST_SAMPLES = 10_000;
/** What the server says where a limit cut the answer. */
const CUT = 'results truncated due to limit';
const LIVE_MS = 5_000;
const REFRESH_MS = 30_000;
/** An answer that took long is asked for again only after this many times as long. */
const PATIENCE = 10;
/** Fewer points make a chart of steps, more are not told apart. */
const FEWEST_POINTS = 200;
const MOST_POINTS = 1_200;

const NOTHING: QueryAnswer = {
  status: 'idle',
  expression: '',
  lines: [],
  samples: [],
  series: 0,
  more: false,
  taken_ms: null,
  warnings: [],
  infos: [],
  error: '',
};

function samplesFrom(query: number, data: InstantResult): Sample[] {
  const one = (labels: Record<string, string>, [time_s, text]: [number, string]): Sample => ({
    query,
    labels,
    time_ms: Math.round(time_s * 1000),
    text,
  });
  switch (data.resultType) {
    case 'vector':
      return data.result.map(({ metric, value }) => one(metric, value));
    case 'matrix':
      return data.result.flatMap(({ metric, values }) => values.map((value) => one(metric, value)));
    default:
      return [one({}, data.result)];
  }
}

export class ExploreRun {
  answers = $state.raw<QueryAnswer[]>([]);
  /** What the charts' time axes span. */
  period = $state.raw<Period>({ from_ms: 0, to_ms: 1 });
  /** The distance of points in the answers drawn now. */
  step_ms = $state(5_000);
  /** Whether a question that a person asked is under way. */
  running = $state(false);
  /** While somebody points at a chart it holds still. */
  held = $state(false);
  #asked: () => Asked;
  #width: () => number;
  #stop = new AbortController();
  #grid: Grid | null = null;

  /** Follows what is asked while the component that makes it is shown; `width` is the chart's, in pixels. */
  constructor(asked: () => Asked, width: () => number) {
    this.#asked = asked;
    this.#width = width;
    $effect(() => {
      const now = asked();
      untrack(() => this.#ask(now));
      return () => this.#stop.abort();
    });
  }

  /** Asks everything anew. */
  again(): void {
    this.#ask(this.#asked());
  }

  /** Ends what is under way; what was answered before stays to be seen. */
  cancel(): void {
    this.#stop.abort();
    this.running = false;
    this.answers = this.answers.map((answer) =>
      answer.status === 'loading' ? { ...answer, status: 'cancelled' } : answer,
    );
  }

  #ask({ queries, range, view }: Asked): void {
    this.#stop.abort();
    const stop = new AbortController();
    this.#stop = stop;
    this.#grid = null;
    this.held = false;
    const before = this.answers;
    // What is asked as before keeps its lines until the new ones come, so that nothing jumps.
    this.answers = queries.map((query, place) => {
      if (!isAsked(query)) return NOTHING;
      const { expression } = query;
      const old = before[place]?.expression === expression ? before[place] : NOTHING;
      return { ...old, expression, status: 'loading' };
    });
    this.period = periodOf(range, clock.exact());
    this.running = queries.some(isAsked);
    if (this.running) void this.#follow(queries, range, view, stop.signal);
  }

  async #follow(
    queries: ExploreQuery[],
    range: TimeRange,
    view: ExploreView,
    signal: AbortSignal,
  ): Promise<void> {
    while (!signal.aborted) {
      const started_ms = performance.now();
      const period = periodOf(range, clock.exact());
      const points = Math.min(MOST_POINTS, Math.max(FEWEST_POINTS, this.#width()));
      const grid = gridOf(period, null, this.#grid, points);
      this.#grid = grid;
      const all = queries.map((query, place) =>
        isAsked(query) ? this.#answer(place, query.expression, view, grid, signal) : undefined,
      );
      await Promise.all(all);
      if (signal.aborted) return;
      this.running = false;
      if (!this.held) [this.period, this.step_ms] = [period, grid.step_ms];
      if (range.kind === 'absolute') return;
      const usual_ms = range.kind === 'live' ? LIVE_MS : Math.max(REFRESH_MS, grid.step_ms);
      const taken_ms = performance.now() - started_ms;
      await pauseInSight(Math.max(usual_ms, PATIENCE * taken_ms), signal);
      while (this.held && !signal.aborted) await pauseInSight(LIVE_MS / 5, signal);
    }
  }

  async #answer(
    place: number,
    expression: string,
    view: ExploreView,
    grid: Grid,
    signal: AbortSignal,
  ): Promise<void> {
    const started_ms = performance.now();
    const tell = (news: Partial<QueryAnswer>): void => {
      const old = this.answers[place];
      if (signal.aborted || old === undefined) return;
      const taken_ms = performance.now() - started_ms;
      this.answers = this.answers.with(place, { ...old, taken_ms, error: '', ...news });
    };
    try {
      const found = await (view === 'graph' ? graph : table)(place, expression, grid, signal);
      connection.heard();
      tell({ ...found, status: 'ready' });
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof Error && error.name === 'AbortError') {
        // The page was put away meanwhile; when it is returned to, the answer is still wanted.
        await seen(signal);
        await this.#answer(place, expression, view, grid, signal);
        return;
      }
      if (isAbsence(error)) connection.missed();
      // What was answered before stays while the server is away; the screen says so above.
      if (isAbsence(error) && this.answers[place]?.status === 'ready') return;
      const words = error instanceof ApiError ? error.message : String(error);
      tell({ ...NOTHING, expression, status: 'failed', error: words });
    }
  }
}

type Found = Pick<QueryAnswer, 'lines' | 'samples' | 'series' | 'more' | 'warnings' | 'infos'>;

async function graph(
  place: number,
  expression: string,
  grid: Grid,
  signal: AbortSignal,
): Promise<Found> {
  const told = await queryRangeTold(expression, grid, grid.step_ms, MOST_LINES, signal);
  const lines = linesFrom(place, told.data);
  return { lines, samples: [], series: lines.length, ...said(told) };
}

async function table(
  place: number,
  expression: string,
  grid: Grid,
  signal: AbortSignal,
): Promise<Found> {
  const told = await queryInstant(expression, grid.to_ms, MOST_SAMPLES, signal);
  const samples = samplesFrom(place, told.data).slice(0, MOST_SAMPLES);
  const { resultType, result } = told.data;
  const series = resultType === 'vector' || resultType === 'matrix' ? result.length : 1;
  return { lines: [], samples, series, ...said(told) };
}

/** What the server said beside; that it cut the answer is told by the count of series. */
function said(told: {
  warnings: string[];
  infos: string[];
}): Pick<Found, 'more' | 'warnings' | 'infos'> {
  const notes = [...told.warnings, ...told.infos];
  const more = notes.some((note) => note.includes(CUT));
  const others = (all: string[]): string[] => all.filter((note) => !note.includes(CUT));
  return { more, warnings: others(told.warnings), infos: others(told.infos) };
}
