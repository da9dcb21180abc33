/** Muster's own API about hosts: their list, and the addresses of its streams. */
import { readJson } from './client.ts';
import type { FileSystems, Hosts, RecentHosts } from './types.ts';

/** The stream of all hosts, then of those that change. */
export const HOSTS_STREAM = '/api/muster/v1/live/hosts';

/** All hosts as they are now. */
export function readHosts(signal: AbortSignal): Promise<Hosts> {
  return readJson('/api/muster/v1/hosts', signal);
}

/** All hosts as they were at a moment. */
export function readHostsAt(time_ms: number, signal: AbortSignal): Promise<Hosts> {
  return readJson(`/api/muster/v1/hosts?time_ms=${time_ms}`, signal);
}

/** The last minute of all hosts. */
export function readRecent(signal: AbortSignal): Promise<RecentHosts> {
  return readJson('/api/muster/v1/fleet/recent', signal);
}

/** All file systems of the fleet. */
export function readFileSystems(signal?: AbortSignal): Promise<FileSystems> {
  return readJson('/api/muster/v1/file-systems', signal);
}

/** The stream of one-second points of several expressions on one host. */
export function liveQueryStream(instance: string, expressions: readonly string[]): string {
  const query = new URLSearchParams({ instance });
  for (const expression of expressions) query.append('q', expression);
  return `/api/muster/v1/live/query?${query.toString()}`;
}
