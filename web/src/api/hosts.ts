/** Muster's own API about hosts: the addresses of its streams, and how a host joins. */
import { JSON_BODY, readJson, send } from './client.ts';
import type { Hosts, NewSecret } from './types.ts';

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

/** How long a new host may take to join. */
export const JOIN_TOKEN_LIFE_MS = 3_600_000;

/** Makes a token with which one agent may join; only an administrator can. */
export async function createJoinToken(): Promise<NewSecret> {
  const body = JSON.stringify({ uses: 1, expires_in_ms: JOIN_TOKEN_LIFE_MS });
  const path = '/api/muster/v1/enroll-tokens';
  const response = await send(path, { method: 'POST', headers: JSON_BODY, body });
  return (await response.json()) as NewSecret;
}
