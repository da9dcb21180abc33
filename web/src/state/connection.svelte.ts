/**
 * Whether the server answers, told by all that ask it. While it does not, nothing on the page may
 * claim to be current.
 */
import { ApiError } from '../api/client.ts';

/** A proxy's words for a server that is not there. */
const GATEWAY_STATUSES = [502, 503, 504];

/** Whether an error means that the server is not there, rather than that it refused. */
export function isAbsence(error: unknown): boolean {
  if (!(error instanceof ApiError)) return false;
  return error.code === 'unreachable' || GATEWAY_STATUSES.includes(error.status);
}

class Connection {
  /** Since when nothing was heard, by this machine's clock; null while the server answers. */
  lost_ms = $state<number | null>(null);
  #heard_ms = Date.now();

  /** The server said something. */
  heard(): void {
    this.#heard_ms = Date.now();
    this.lost_ms = null;
  }

  /** The server could not be reached, or fell silent. */
  missed(): void {
    this.lost_ms ??= this.#heard_ms;
  }
}

export const connection = new Connection();
