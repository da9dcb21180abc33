/**
 * What a host's screen reads beside its charts: values at the end of the period, and the events within
 * it. Read again while the period moves.
 */
import { untrack } from 'svelte';

import { ApiError } from '../api/client.ts';
import { queryInstant, queryRange } from '../api/prometheus.ts';
import { eventQueries, eventsOf, type EventSeries, type HostEvent } from '../domain/host-events.ts';
import { periodOf, type TimeRange } from '../domain/time-range.ts';
import { pauseInSight } from './attention.ts';
import { clock } from './clock.svelte.ts';
import { connection, isAbsence } from './connection.svelte.ts';

const EVERY_MS = 15_000;
const MOST_SERIES = 2_000;

/** Something read of a period, again and again while it moves. */
export abstract class Following<Wanted extends { range: TimeRange }, T> {
  value = $state.raw<T | null>(null);
  failed = $state.raw<ApiError | null>(null);

  constructor(wanted: () => Wanted) {
    $effect(() => {
      const now = wanted();
      const stop = new AbortController();
      untrack(() => void this.#follow(now, stop.signal));
      return () => stop.abort();
    });
  }

  protected abstract read(wanted: Wanted, signal: AbortSignal): Promise<T>;

  async #follow(wanted: Wanted, signal: AbortSignal): Promise<void> {
    this.value = null;
    while (!signal.aborted) {
      try {
        const value = await this.read(wanted, signal);
        if (signal.aborted) return;
        connection.heard();
        this.value = value;
        this.failed = null;
        if (wanted.range.kind === 'absolute') return;
      } catch (error) {
        if (isAbsence(error)) connection.missed();
        else if (error instanceof ApiError) this.failed = error;
      }
      await pauseInSight(EVERY_MS, signal);
    }
  }
}

/** One series at one moment. */
export interface Sample {
  labels: Record<string, string>;
  value: number;
}

/** Several expressions by name, at the end of a period. */
export interface AtEnd {
  range: TimeRange;
  expressions: Record<string, string>;
}

/** The values of several expressions at the end of a period. */
export class ValuesAtEnd extends Following<AtEnd, Record<string, Sample[]>> {
  protected async read(
    { range, expressions }: AtEnd,
    signal: AbortSignal,
  ): Promise<Record<string, Sample[]>> {
    const at_ms = periodOf(range, clock.exact()).to_ms;
    const answers = Object.entries(expressions).map(async ([name, expression]) => {
      const { data } = await queryInstant(expression, at_ms, MOST_SERIES, signal);
      if (data.resultType !== 'vector') return [name, []] as const;
      const samples = data.result.map(({ metric, value }) => ({
        labels: metric,
        value: Number(value[1]),
      }));
      return [name, samples] as const;
    });
    return Object.fromEntries(await Promise.all(answers));
  }
}

/** A host, and the period of its events. */
export interface EventsOf {
  instance: string;
  range: TimeRange;
}

/** How many steps the period of a log of events has: the more, the more exact its times. */
const STEPS = 720;
const SHORTEST_STEP_MS = 30_000;

/** The events of a host within a period, the newest first. */
export class HostEvents extends Following<EventsOf, HostEvent[]> {
  protected async read({ instance, range }: EventsOf, signal: AbortSignal): Promise<HostEvent[]> {
    const period = periodOf(range, clock.exact());
    const wanted_ms = (period.to_ms - period.from_ms) / STEPS;
    const step_ms = Math.max(SHORTEST_STEP_MS, Math.ceil(wanted_ms / 1000) * 1000);
    const grid = { ...period, step_ms };
    const answers = await Promise.all(
      eventQueries(instance, step_ms).map(async (query): Promise<EventSeries[]> => {
        const series = await queryRange(query, period, step_ms, signal);
        return series.map(({ metric, values }) => ({
          labels: metric,
          times_ms: values.map(([time_s]) => Math.round(time_s * 1000)),
          values: values.map(([, text]) => Number(text)),
        }));
      }),
    );
    return eventsOf(answers, grid);
  }
}
