/** All file systems of the fleet, read anew while somebody looks. */
import { ApiError } from '../api/client.ts';
import { readFileSystems } from '../api/hosts.ts';
import type { FileSystem } from '../api/types.ts';
import { pauseInSight } from './attention.ts';
import { clock } from './clock.svelte.ts';
import { connection, isAbsence } from './connection.svelte.ts';

/** Agents tell of file systems every half minute. */
const EVERY_MS = 15_000;
/** What was read a short while ago is new enough to search in. */
const FRESH_MS = 60_000;

class FileSystemsState {
  all = $state.raw<FileSystem[]>([]);
  /** Hosts that tell of no file system. */
  missing = $state.raw<string[]>([]);
  loaded = $state(false);
  /** The server's time of what is shown. */
  told_ms = $state(0);
  refused = $state.raw<ApiError | null>(null);
  #asked_ms = Number.NEGATIVE_INFINITY;

  /** Follows them; returns what ends it. */
  follow(): () => void {
    const stop = new AbortController();
    void this.#run(stop.signal);
    return () => stop.abort();
  }

  /** Reads them once, unless they were read just now. */
  async once(): Promise<void> {
    if (Date.now() - this.#asked_ms > FRESH_MS) await this.read();
  }

  async read(signal?: AbortSignal): Promise<void> {
    this.#asked_ms = Date.now();
    try {
      const told = await readFileSystems(signal);
      clock.follow(told.now_ms);
      connection.heard();
      this.all = told.file_systems;
      this.missing = told.missing;
      this.told_ms = told.now_ms;
      this.refused = null;
      this.loaded = true;
    } catch (error) {
      if (isAbsence(error)) connection.missed();
      if (error instanceof ApiError) this.refused = error;
    }
  }

  async #run(stopped: AbortSignal): Promise<void> {
    while (!stopped.aborted) {
      await this.read(stopped);
      await pauseInSight(EVERY_MS, stopped);
    }
  }
}

export const fileSystems = new FileSystemsState();
