/** The processes of a host as its agent tells them while somebody looks; held still when asked. */
import { processesStream } from '../api/services.ts';
import type { ProcessTable } from '../domain/processes.ts';
import { LiveStream } from './live-stream.svelte.ts';

export class ProcessFeed {
  /** What is shown; it stands still while paused. */
  table = $state.raw<ProcessTable | null>(null);
  paused = $state(false);
  /** Why there is no table, in the server's words; null while there is one. */
  unavailable = $state<string | null>(null);
  readonly stream: LiveStream;
  #latest: ProcessTable | null = null;

  constructor(instance: string) {
    this.stream = new LiveStream({
      path: processesStream(instance),
      event: ({ name, data }) => {
        if (name === 'unavailable') {
          this.unavailable = (JSON.parse(data) as { reason: string }).reason;
          return false;
        }
        if (name !== 'processes' && name !== 'message') return false;
        this.unavailable = null;
        this.#latest = JSON.parse(data) as ProcessTable;
        if (!this.paused) this.table = this.#latest;
        return true;
      },
    });
  }

  /** Begins to listen; returns what ends it. */
  listen(): () => void {
    this.stream.start();
    return () => this.stream.stop();
  }

  /** Holds the table still, or lets it catch up. */
  hold(paused: boolean): void {
    this.paused = paused;
    if (!paused) this.table = this.#latest;
  }
}
