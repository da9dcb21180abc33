/**
 * Services as a screen lists them: a page of them, read again every few seconds, and the course of
 * their states over the period shown.
 */
import { untrack } from 'svelte';

import { ApiError } from '../api/client.ts';
import { queryRange } from '../api/prometheus.ts';
import { readServices, type ServicesWanted } from '../api/services.ts';
import type { ServiceList } from '../api/types.ts';
import {
  lookOf,
  processesQuery,
  segmentsOf,
  serviceId,
  statesQuery,
  timelineGrid,
  type LookPoints,
  type Segment,
  type ServiceKey,
} from '../domain/services.ts';
import { periodOf, type Period, type TimeRange } from '../domain/time-range.ts';
import { pauseInSight } from './attention.ts';
import { clock } from './clock.svelte.ts';
import { connection, isAbsence } from './connection.svelte.ts';

const LIST_EVERY_MS = 5_000;
const COURSES_EVERY_MS = 30_000;

/** What is listed, and the period of the courses. */
export interface Listed {
  wanted: ServicesWanted;
  range: TimeRange;
}

export class Services {
  list = $state.raw<ServiceList | null>(null);
  failed = $state.raw<ApiError | null>(null);
  /** The courses by `serviceId`, over `period`. */
  courses = $state.raw<ReadonlyMap<string, Segment[]>>(new Map());
  period = $state.raw<Period>({ from_ms: 0, to_ms: 1 });
  #listed: () => Listed;
  #drawn = '';
  #drawn_ms = 0;

  /** Follows what is listed for as long as the component that makes it is on the page. */
  constructor(listed: () => Listed) {
    this.#listed = listed;
    $effect(() => {
      const now = listed();
      const stop = new AbortController();
      untrack(() => void this.#follow(now, stop.signal));
      return () => stop.abort();
    });
  }

  /** Reads again at once, after a failure. */
  again(): void {
    void this.#read(this.#listed(), new AbortController().signal);
  }

  async #follow(listed: Listed, signal: AbortSignal): Promise<void> {
    this.period = periodOf(listed.range, clock.exact());
    while (!signal.aborted) {
      await this.#read(listed, signal);
      await pauseInSight(LIST_EVERY_MS, signal);
    }
  }

  async #read({ wanted, range }: Listed, signal: AbortSignal): Promise<void> {
    try {
      const list = await readServices(wanted, signal);
      if (signal.aborted) return;
      clock.follow(list.now_ms);
      connection.heard();
      this.list = list;
      this.failed = null;
      await this.#draw(list, range, signal);
    } catch (error) {
      if (isAbsence(error)) connection.missed();
      else if (error instanceof ApiError) this.failed = error;
    }
  }

  /** Reads the courses, where other services are shown, another period, or the last ones are old. */
  async #draw(list: ServiceList, range: TimeRange, signal: AbortSignal): Promise<void> {
    const ids = list.services.map(serviceId).sort();
    const asked = JSON.stringify([ids, range]);
    const fresh = clock.exact() - this.#drawn_ms < COURSES_EVERY_MS;
    if (ids.length === 0 || (asked === this.#drawn && fresh)) return;
    const period = periodOf(range, clock.exact());
    const grid = timelineGrid(period);
    const of = (kind: 'unit' | 'process'): ServiceKey[] =>
      list.services.filter((service) => service.kind === kind);
    const points = new Map<string, LookPoints[]>();
    const add = (labels: Record<string, string>, one: LookPoints): void => {
      const id = serviceId({ instance: labels['instance'] ?? '', name: labels['name'] ?? '' });
      points.set(id, [...(points.get(id) ?? []), one]);
    };
    const ask = (query: string): ReturnType<typeof queryRange> =>
      query === '' ? Promise.resolve([]) : queryRange(query, grid, grid.step_ms, signal);
    const [units, processes] = await Promise.all([
      ask(statesQuery(of('unit'), grid.step_ms)),
      ask(processesQuery(of('process'), grid.step_ms)),
    ]);
    if (signal.aborted) return;
    for (const { metric, values } of units) {
      const times_ms = values.map(([time_s]) => time_s * 1000);
      add(metric, { look: lookOf(metric['state'] ?? ''), times_ms });
    }
    for (const { metric, values } of processes) {
      for (const runs of [true, false]) {
        const held = values.filter(([, text]) => Number(text) > 0 === runs);
        const times_ms = held.map(([time_s]) => time_s * 1000);
        add(metric, { look: lookOf(runs ? 'active' : 'missing'), times_ms });
      }
    }
    this.courses = new Map(Array.from(points, ([id, found]) => [id, segmentsOf(found, grid)]));
    this.period = { from_ms: grid.from_ms, to_ms: grid.to_ms };
    this.#drawn = asked;
    this.#drawn_ms = clock.exact();
  }
}
