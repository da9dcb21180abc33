/** The server about itself: settings and room, and the log of what was done. */
import type { AuditFilter } from '../domain/audit.ts';
import { readJson } from './client.ts';
import type { About, AuditPage, Settings } from './types.ts';

const AUDIT = '/api/muster/v1/audit';

export function readSettings(): Promise<Settings> {
  return readJson('/api/muster/v1/settings');
}

export function readAbout(): Promise<About> {
  return readJson('/api/muster/v1/about');
}

function auditQuery({ actor, action, target, from_ms }: AuditFilter): URLSearchParams {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries({ actor, action, target })) {
    if (value !== '') query.set(name, value);
  }
  if (from_ms !== null) query.set('from_ms', String(from_ms));
  return query;
}

/** A page of the audit log, the newest first; `cursor` is `next` of the page before. */
export function readAudit(filter: AuditFilter, cursor: string | null): Promise<AuditPage> {
  const query = auditQuery(filter);
  query.set('limit', '50');
  if (cursor !== null) query.set('cursor', cursor);
  return readJson(`${AUDIT}?${query.toString()}`);
}

/** Where the same is to be had as a table, whole. */
export function auditCsvAddress(filter: AuditFilter): string {
  return `${AUDIT}.csv?${auditQuery(filter).toString()}`;
}
