/** Muster's own API about alerts and silences: what fires, who takes care, what hides it. */
import { change, changeForJson, readJson } from './client.ts';
import type {
  AlertDetail,
  AlertHistory,
  AlertList,
  Silence,
  SilenceSpec,
  UnusualList,
  WhyNot,
} from './types.ts';

const ALERTS = '/api/muster/v1/alerts';
const SILENCES = '/api/muster/v1/silences';

/** The stream of counts, and of the word that something changed. */
export const ALERTS_STREAM = `${ALERTS}/stream`;

function withQuery(path: string, wanted: Record<string, string | number | null>): string {
  const query = new URLSearchParams();
  for (const [key, value] of Object.entries(wanted)) {
    if (value !== null && value !== '') query.set(key, String(value));
  }
  const text = query.toString();
  return text === '' ? path : `${path}?${text}`;
}

/** All alerts that are there now. */
export function readAlerts(): Promise<AlertList> {
  return readJson(ALERTS);
}

/** Which past firings are wanted; what is empty or null does not narrow them. */
export interface HistoryWanted {
  search?: string;
  instance?: string;
  severity?: string;
  from_ms?: number | null;
  to_ms?: number | null;
  before?: string | null;
  limit?: number;
}

/** A page of past firings. */
export function readHistory(wanted: HistoryWanted, signal?: AbortSignal): Promise<AlertHistory> {
  return readJson(withQuery(`${ALERTS}/history`, { ...wanted }), signal);
}

/** One alert with its paper trail. */
export function readAlert(id: string, signal?: AbortSignal): Promise<AlertDetail> {
  return readJson(`${ALERTS}/${encodeURIComponent(id)}`, signal);
}

/** Why somebody was not told of an alert at a moment. */
export function readWhyNot(alert: string, at_ms: number, receiver: string): Promise<WhyNot> {
  return readJson(withQuery(`${ALERTS}/why-not`, { alert, at_ms: Math.round(at_ms), receiver }));
}

/** What else changed on an alert's host when it began. */
export function readUnusual(alert: string): Promise<UnusualList> {
  return readJson(`${ALERTS}/${encodeURIComponent(alert)}/unusual`);
}

/** Takes note of an alert, or takes that back. */
export function acknowledge(id: string, on: boolean, note = ''): Promise<void> {
  const path = `${ALERTS}/${encodeURIComponent(id)}/acknowledge`;
  return on ? change('POST', path, { note }) : change('DELETE', path);
}

/** Gives an alert to an account, or to nobody. */
export function assign(id: string, to: string | null): Promise<void> {
  return change('POST', `${ALERTS}/${encodeURIComponent(id)}/assign`, { to });
}

/** All silences, those that hide first. */
export async function readSilences(): Promise<Silence[]> {
  return (await readJson<{ silences: Silence[] }>(SILENCES)).silences;
}

/** Makes a silence, or changes the one of a number. */
export function putSilence(spec: SilenceSpec, id: string | null): Promise<void> {
  return id === null
    ? change('POST', SILENCES, spec)
    : change('PUT', `${SILENCES}/${encodeURIComponent(id)}`, spec);
}

/** Ends a silence now. */
export function expireSilence(id: string): Promise<void> {
  return change('DELETE', `${SILENCES}/${encodeURIComponent(id)}`);
}

/** The alerts that a silence would hide now. */
export function previewSilence(spec: SilenceSpec): Promise<AlertList> {
  return changeForJson('POST', `${SILENCES}/preview`, spec);
}
