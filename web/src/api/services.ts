/** Muster's own API about services, and the stream of a host's processes. */
import { readJson } from './client.ts';
import type { ServiceList } from './types.ts';

/** Which services are wanted; what is left out does not narrow them. */
export interface ServicesWanted {
  words?: string;
  instance?: string;
  name?: string;
  healths?: readonly string[];
  group?: 'name' | 'host' | null;
  offset?: number;
  limit?: number;
}

/** A page of services or of their groups, worst first. */
export function readServices(wanted: ServicesWanted, signal?: AbortSignal): Promise<ServiceList> {
  const query = new URLSearchParams();
  const { words, instance, name, healths = [], group, offset, limit } = wanted;
  const all = { q: words, instance, name, group, offset, limit };
  for (const [key, value] of Object.entries(all)) {
    if (value !== undefined && value !== null && value !== '') query.set(key, String(value));
  }
  for (const health of healths) query.append('health', health);
  return readJson(`/api/muster/v1/services?${query.toString()}`, signal);
}

/** The stream of the processes of a host. */
export function processesStream(instance: string): string {
  return `/api/muster/v1/hosts/${encodeURIComponent(instance)}/processes`;
}
