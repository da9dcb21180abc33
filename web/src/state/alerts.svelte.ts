/**
 * The alerts that are there now. A stream tells their counts and that something changed; then the list is
 * read anew, at most once in a while.
 */
import { ALERTS_STREAM, readAlerts } from '../api/alerts.ts';
import { ApiError } from '../api/client.ts';
import type { AlertCounts, AlertList } from '../api/types.ts';
import { byHost, type HostAlerts } from '../domain/alerts.ts';
import { pause } from './attention.ts';
import { clock } from './clock.svelte.ts';
import { LiveStream } from './live-stream.svelte.ts';

/** A storm of changes reads the list no oftener than this. */
const LEAST_PAUSE_MS = 1_500;

class Alerts {
  counts = $state.raw<AlertCounts | null>(null);
  list = $state.raw<AlertList | null>(null);
  failed = $state.raw<unknown>(null);
  /** The alerts of each host that somebody is told of. */
  readonly hosts: ReadonlyMap<string, HostAlerts> = $derived(byHost(this.list?.alerts ?? []));
  #reading: Promise<void> | null = null;
  #wanted = false;

  /** How many fire and are told: what the tab's title carries. */
  get firing(): number {
    return (this.counts?.critical ?? 0) + (this.counts?.warning ?? 0);
  }

  /** Follows the alerts; returns what ends it and forgets them. */
  listen(): () => void {
    const stop = new AbortController();
    const stream = new LiveStream({
      path: ALERTS_STREAM,
      attempt: () => this.#changed(stop.signal),
      event: ({ name, data }) => {
        if (name === 'counts') this.counts = JSON.parse(data) as AlertCounts;
        else if (name === 'changed') this.#changed(stop.signal);
        else return false;
        return true;
      },
    });
    stream.start();
    return () => {
      stop.abort();
      stream.stop();
      this.list = null;
      this.counts = null;
    };
  }

  /** Reads at once, after something that a person did. */
  async load(): Promise<void> {
    try {
      const list = await readAlerts();
      clock.follow(list.at_ms);
      this.list = list;
      this.counts = list.counts;
      this.failed = null;
    } catch (error) {
      if (error instanceof ApiError) this.failed = error;
    }
  }

  #changed(stopped: AbortSignal): void {
    this.#wanted = true;
    this.#reading ??= this.#catchUp(stopped).finally(() => (this.#reading = null));
  }

  async #catchUp(stopped: AbortSignal): Promise<void> {
    while (this.#wanted && !stopped.aborted) {
      this.#wanted = false;
      await this.load();
      await pause(LEAST_PAUSE_MS, stopped);
    }
  }
}

export const alerts = new Alerts();
