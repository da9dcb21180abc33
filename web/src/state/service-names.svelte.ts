/** The names of all services, for whoever looks one up by name. */
import { readServices } from '../api/services.ts';

const MOST = 500;

export class ServiceNames {
  /** Worst first; empty until they are read, or where they cannot be. */
  all = $state.raw<string[]>([]);

  /** Reads them once; returns what gives up on it. */
  read(): () => void {
    const stop = new AbortController();
    readServices({ group: 'name', limit: MOST }, stop.signal).then(
      ({ groups }) => (this.all = groups.map(({ key }) => key)),
      () => {},
    );
    return () => stop.abort();
  }
}
