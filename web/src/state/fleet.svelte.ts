/**
 * All hosts as the live stream tells them. A host's row is a state of its own, so that a change of
 * one touches one row; the order is a second state, which the table may hold still.
 */
import { alerts } from './alerts.svelte.ts';
import { HOSTS_STREAM, readHosts, readRecent } from '../api/hosts.ts';
import { ApiError } from '../api/client.ts';
import type { Host, Hosts } from '../api/types.ts';
import type { HostAlerts } from '../domain/alerts.ts';
import { placesOf, summarise, type FleetSummary } from '../domain/hosts.ts';
import { onUnseen, pauseInSight } from './attention.ts';
import { clock } from './clock.svelte.ts';
import { connection, isAbsence } from './connection.svelte.ts';
import { HostRow, type FleetView } from './host-row.svelte.ts';
import { LiveStream } from './live-stream.svelte.ts';

/** How often a screen of one host asks for all; its one stream is for its charts. */
const POLL_MS = 5_000;

class Fleet implements FleetView {
  /** Counts the events taken; what reads all hosts at once follows this. */
  version = $state(0);
  loaded = $state(false);
  /** The server's time of the last event, which is the right edge of the small lines. */
  told_ms = $state(0);
  stream = $state.raw<LiveStream | null>(null);
  #rows = new Map<string, HostRow>();
  #filled = false;
  #fresh = true;
  #stop = new AbortController();
  #refused = $state.raw<ApiError | null>(null);
  #following: () => void = () => {};

  /** Counts the hosts that came and went; the order of names follows this. */
  #members = $state(0);

  get alerts(): ReadonlyMap<string, HostAlerts> {
    return alerts.hosts;
  }
  readonly summary: FleetSummary = $derived.by(() =>
    summarise(this.hosts(), this.told_ms, alerts.hosts),
  );
  readonly places: ReadonlyMap<string, number> = $derived.by(() => {
    void this.#members;
    return placesOf(this.#rows.keys());
  });

  /** Follows all hosts by the stream; returns what ends it. What is known stays known. */
  listen(): () => void {
    this.#following = () => this.listen();
    return this.#follow((stop) => {
      const stream = new LiveStream({
        path: HOSTS_STREAM,
        attempt: () => {
          this.#fresh = true;
        },
        event: ({ name, data }) => {
          if (name !== 'hosts') return false;
          this.#take(JSON.parse(data) as Hosts);
          return true;
        },
      });
      this.stream = stream;
      stop.signal.addEventListener('abort', () => stream.stop());
      stream.start();
    });
  }

  /** Follows all hosts by asking now and then, which holds no connection; returns what ends it. */
  poll(): () => void {
    this.#following = () => this.poll();
    return this.#follow((stop) => {
      this.stream = null;
      void this.#ask(stop.signal);
    });
  }

  #follow(begin: (stop: AbortController) => void): () => void {
    this.#stop.abort();
    const stop = new AbortController();
    this.#stop = stop;
    begin(stop);
    return () => stop.abort();
  }

  async #ask(stopped: AbortSignal): Promise<void> {
    while (!stopped.aborted) {
      const ended = new AbortController();
      const late = setTimeout(() => {
        connection.missed();
        ended.abort();
      }, 2 * POLL_MS);
      onUnseen(() => ended.abort(), ended.signal);
      try {
        const told = await readHosts(AbortSignal.any([stopped, ended.signal]));
        this.#fresh = true;
        this.#refused = null;
        connection.heard();
        this.#take(told);
      } catch (error) {
        if (isAbsence(error)) connection.missed();
        if (error instanceof ApiError) this.#refused = error;
      } finally {
        clearTimeout(late);
        ended.abort();
      }
      await pauseInSight(POLL_MS, stopped);
    }
  }

  /** Why the hosts are not known, in the server's words, if it refused. */
  get refused(): ApiError | null {
    return this.stream === null ? this.#refused : this.stream.error;
  }

  /** Stops following and forgets all hosts, as at sign-out. */
  stop(): void {
    this.#stop.abort();
    this.stream = null;
    this.#rows.clear();
    this.#filled = false;
    this.loaded = false;
    this.version += 1;
    this.#members += 1;
  }

  /** Begins anew after a failure. */
  retry(): void {
    this.stop();
    this.#following();
  }

  row(instance: string): HostRow | undefined {
    void this.version;
    return this.#rows.get(instance);
  }

  /** All hosts as they are now. */
  hosts(): Host[] {
    void this.version;
    return Array.from(this.#rows.values(), (row) => row.host);
  }

  /** The names in the order in which people count, for walking from host to host. */
  names(): string[] {
    return [...this.places.keys()];
  }

  #take(told: Hosts): void {
    clock.follow(told.now_ms);
    const before = this.#rows.size;
    let members = false;
    if (this.#fresh) {
      // The first event of a connection has all hosts: what it lacks is gone.
      const all = new Set(told.hosts.map((host) => host.instance));
      for (const instance of this.#rows.keys()) if (!all.has(instance)) this.#rows.delete(instance);
      this.#fresh = false;
      members = true;
    }
    for (const host of told.hosts) {
      const row = this.#rows.get(host.instance);
      if (row === undefined) this.#rows.set(host.instance, new HostRow(host));
      else row.host = host;
    }
    for (const instance of told.removed ?? []) this.#rows.delete(instance);
    told.figures?.instances.forEach((instance, place) => {
      if (told.figures) this.#rows.get(instance)?.take(told.figures, place);
    });
    for (const row of this.#rows.values()) row.tick(told.now_ms);
    this.told_ms = told.now_ms;
    this.loaded = true;
    this.version += 1;
    if (members || this.#rows.size !== before || (told.removed ?? []).length > 0) {
      this.#members += 1;
    }
    if (!this.#filled && this.stream !== null) {
      this.#filled = true;
      void this.#fill();
    }
  }

  async #fill(): Promise<void> {
    try {
      const told = await readRecent(this.#stop.signal);
      for (const row of this.#rows.values()) row.prepend(told);
    } catch {
      // Without the past the lines simply begin now.
    }
  }
}

export const fleet = new Fleet();
