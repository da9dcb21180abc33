/** Muster's own API about hosts: their list, and the addresses of its streams. */
import { readJson } from './client.ts';
import type { Hosts } from './types.ts';

/** The stream of all hosts, then of those that change. */
export const HOSTS_STREAM = '/api/muster/v1/live/hosts';

/** All hosts as they are now. */
export function readHosts(signal: AbortSignal): Promise<Hosts> {
  return readJson('/api/muster/v1/hosts', signal);
}

/** The stream of one-second points of several expressions on one host. */
export function liveQueryStream(instance: string, expressions: readonly string[]): string {
  const query = new URLSearchParams({ instance });
  for (const expression of expressions) query.append('q', expression);
  return `/api/muster/v1/live/query?${query.toString()}`;
}
