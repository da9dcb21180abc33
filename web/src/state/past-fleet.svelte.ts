/** The fleet as it was at a moment. While another moment is read, the last one stays in sight. */
import type { HostAlerts } from '../domain/alerts.ts';
import { ApiError } from '../api/client.ts';
import { readHostsAt } from '../api/hosts.ts';
import type { Host } from '../api/types.ts';
import { placesOf, summarise, type FleetSummary } from '../domain/hosts.ts';
import { pause } from './attention.ts';
import { HostRow, type FleetView } from './host-row.svelte.ts';

/** Moments that are only passed over are not asked for. */
const SETTLE_MS = 120;
/** How long each moment stays when they are played. */
const FRAME_MS = 700;
/** Answers that are kept, so that stepping to and fro asks once. */
const KEPT = 40;

export class PastFleet implements FleetView {
  loaded = $state(false);
  told_ms = $state(0);
  /** A moment is being read. */
  loading = $state(false);
  refused = $state.raw<ApiError | null>(null);
  #rows = $state.raw<ReadonlyMap<string, HostRow>>(new Map());
  #kept = new Map<number, Host[]>();
  #stop = new AbortController();

  readonly summary: FleetSummary = $derived.by(() => summarise(this.hosts(), this.told_ms));
  readonly places: ReadonlyMap<string, number> = $derived.by(() => placesOf(this.#rows.keys()));

  readonly alerts: ReadonlyMap<string, HostAlerts> = new Map();

  row(instance: string): HostRow | undefined {
    return this.#rows.get(instance);
  }

  hosts(): Host[] {
    return Array.from(this.#rows.values(), (row) => row.host);
  }

  /** Shows a moment, once no other has been asked for in the meantime. */
  async show(at_ms: number): Promise<void> {
    this.#stop.abort();
    const stop = new AbortController();
    this.#stop = stop;
    const known = this.#kept.get(at_ms);
    if (known !== undefined) {
      this.#take(at_ms, known);
      return;
    }
    this.loading = true;
    await pause(SETTLE_MS, stop.signal);
    if (stop.signal.aborted) return;
    try {
      const { hosts } = await readHostsAt(at_ms, stop.signal);
      this.#kept.set(at_ms, hosts);
      for (const oldest of this.#kept.keys()) {
        if (this.#kept.size <= KEPT) break;
        this.#kept.delete(oldest);
      }
      this.#take(at_ms, hosts);
    } catch (error) {
      if (stop.signal.aborted) return;
      this.loading = false;
      if (error instanceof ApiError) this.refused = error;
    }
  }

  /** Shows moment after moment, each once it is read, until `stopped` or `next` gives none. */
  async play(next: () => number | null, stopped: AbortSignal): Promise<void> {
    while (!stopped.aborted) {
      const frame = pause(FRAME_MS, stopped);
      const at_ms = next();
      if (at_ms === null) return;
      await Promise.all([frame, this.show(at_ms)]);
    }
  }

  stop(): void {
    this.#stop.abort();
  }

  #take(at_ms: number, hosts: Host[]): void {
    this.#rows = new Map(hosts.map((host) => [host.instance, new HostRow(host)]));
    this.told_ms = at_ms;
    this.loaded = true;
    this.loading = false;
    this.refused = null;
  }
}
