/** The audit log as far as it was read: pages of one filter, the newest first. */
import { readAudit } from '../api/server.ts';
import type { AuditEntry } from '../api/types.ts';
import type { AuditFilter } from '../domain/audit.ts';

export class AuditLog {
  #entries = $state.raw<AuditEntry[]>([]);
  #next = $state.raw<string | null>(null);
  readonly #filter: AuditFilter;

  constructor(filter: AuditFilter) {
    this.#filter = filter;
  }

  get entries(): readonly AuditEntry[] {
    return this.#entries;
  }

  /** Whether there is more to read. */
  get more(): boolean {
    return this.#next !== null;
  }

  /** Reads the next page, at first the newest. */
  async read(): Promise<void> {
    const page = await readAudit(this.#filter, this.#next);
    this.#entries = [...this.#entries, ...page.entries];
    this.#next = page.next ?? null;
  }
}
