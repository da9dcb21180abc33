/**
 * A stream that stays: it reconnects with growing pauses, gives up on a connection that has gone
 * quiet, lets go while nobody can see the page, and says how fresh what it told is.
 */
import { ApiError } from '../api/client.ts';
import { readEvents } from '../api/event-stream.ts';
import type { StreamEvent } from '../domain/event-text.ts';
import { inSight, onUnseen, pause, seen } from './attention.ts';
import { connection, isAbsence } from './connection.svelte.ts';

export type StreamStatus = 'connecting' | 'live' | 'lost';

/** The server speaks at least every ten seconds; after this silence the connection is dead. */
const QUIET_MS = 15_000;
const FIRST_PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 8_000;

export interface StreamOptions {
  path: string;
  /** Takes an event; false where it told nothing new, so that what is shown goes on ageing. */
  event: (event: StreamEvent) => boolean;
  /** Before each attempt to connect: the moment to fill what was missed. */
  attempt?: () => void;
}

export class LiveStream {
  status = $state<StreamStatus>('connecting');
  /** When the last event came, by this machine's clock; 0 before the first. */
  event_ms = $state(0);
  /** When listening began. */
  readonly started_ms = Date.now();
  /** What the server said when it refused the stream. */
  error = $state.raw<ApiError | null>(null);
  #stop = new AbortController();
  #options: StreamOptions;

  constructor(options: StreamOptions) {
    this.#options = options;
  }

  start(): void {
    void this.#run(this.#stop.signal);
  }

  stop(): void {
    this.#stop.abort();
  }

  async #run(stopped: AbortSignal): Promise<void> {
    let pause_ms = FIRST_PAUSE_MS;
    while (!stopped.aborted) {
      const opened = await this.#connection(stopped);
      if (stopped.aborted) return;
      this.status = 'lost';
      if (!inSight()) {
        await seen(stopped);
        continue;
      }
      // A connection that had worked begins again with short pauses.
      pause_ms = opened ? FIRST_PAUSE_MS : Math.min(2 * pause_ms, LONGEST_PAUSE_MS);
      // Half of the pause is chance, so that all pages do not return to a restarted server at once.
      await pause(pause_ms * (0.5 + Math.random() / 2), stopped);
    }
  }

  async #connection(stopped: AbortSignal): Promise<boolean> {
    const ended = new AbortController();
    const signal = AbortSignal.any([stopped, ended.signal]);
    let opened = false;
    const fallSilent = (): void => {
      connection.missed();
      ended.abort();
    };
    let alarm = setTimeout(fallSilent, QUIET_MS);
    onUnseen(() => ended.abort(), ended.signal);
    this.#options.attempt?.();
    try {
      const listener = {
        opened: () => {
          opened = true;
          this.error = null;
          connection.heard();
        },
        heard: () => {
          clearTimeout(alarm);
          alarm = setTimeout(fallSilent, QUIET_MS);
          connection.heard();
        },
        event: (event: StreamEvent) => {
          if (!this.#options.event(event)) return;
          this.status = 'live';
          this.event_ms = Date.now();
        },
      };
      await readEvents(this.#options.path, listener, signal);
    } catch (error) {
      if (error instanceof ApiError) this.error = error;
      if (isAbsence(error)) connection.missed();
    } finally {
      clearTimeout(alarm);
      ended.abort();
    }
    return opened;
  }
}
