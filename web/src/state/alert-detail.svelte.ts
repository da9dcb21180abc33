/** One alert with its paper trail, read again as often as the list changes. */
import { readAlert, readHistory } from '../api/alerts.ts';
import { ApiError } from '../api/client.ts';
import type { AlertDetail, AlertEpisode } from '../api/types.ts';
import { periodOf, type TimeRange } from '../domain/time-range.ts';
import { pauseInSight } from './attention.ts';
import { clock } from './clock.svelte.ts';
import { connection, isAbsence } from './connection.svelte.ts';
import { Following } from './host-reading.svelte.ts';

const EVERY_MS = 4_000;

export class AlertReading {
  value = $state.raw<AlertDetail | null>(null);
  failed = $state.raw<ApiError | null>(null);
  readonly #id: string;

  constructor(id: string) {
    this.#id = id;
  }

  /** Reads again and again; returns what ends it. */
  follow(): () => void {
    const stop = new AbortController();
    void this.#run(stop.signal);
    return () => stop.abort();
  }

  /** Reads now. */
  async load(signal?: AbortSignal): Promise<void> {
    try {
      this.value = await readAlert(this.#id, signal);
      this.failed = null;
      connection.heard();
    } catch (error) {
      if (isAbsence(error)) connection.missed();
      else if (error instanceof ApiError) this.failed = error;
    }
  }

  async #run(stopped: AbortSignal): Promise<void> {
    while (!stopped.aborted) {
      await this.load(stopped);
      await pauseInSight(EVERY_MS, stopped);
    }
  }
}

const MOST_EPISODES = 200;

/** The alerts of a host within a period, for the marks on its charts. */
export class HostEpisodes extends Following<
  { instance: string; range: TimeRange },
  AlertEpisode[]
> {
  protected async read(
    { instance, range }: { instance: string; range: TimeRange },
    signal: AbortSignal,
  ): Promise<AlertEpisode[]> {
    const { from_ms, to_ms } = periodOf(range, clock.exact());
    const bounds = { from_ms: Math.round(from_ms), to_ms: Math.round(to_ms) };
    return (await readHistory({ instance, ...bounds, limit: MOST_EPISODES }, signal)).episodes;
  }
}
