/** Going back in time over the fleet: which moments there are, and where they stand on a line. */

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

/** How far back the line reaches, and the distance of its moments; `id` is the form in the address. */
export const SPANS = [
  { id: '1h', span_ms: HOUR_MS, step_ms: 10_000 },
  { id: '6h', span_ms: 6 * HOUR_MS, step_ms: MINUTE_MS },
  { id: '24h', span_ms: DAY_MS, step_ms: 5 * MINUTE_MS },
  { id: '7d', span_ms: 7 * DAY_MS, step_ms: 30 * MINUTE_MS },
  { id: '30d', span_ms: 30 * DAY_MS, step_ms: 2 * HOUR_MS },
] as const;
export type Span = (typeof SPANS)[number];
export type SpanId = Span['id'];

/** The span of an address; a day where it names none. */
export function readSpan(id: string | null): Span {
  return SPANS.find((span) => span.id === id) ?? SPANS[2];
}

/** A moment of the past from the address; null for now, and for what makes no sense. */
export function readMoment(text: string | null, now_ms: number): number | null {
  const at_ms = text === null || text === '' ? Number.NaN : Number(text);
  return Number.isSafeInteger(at_ms) && at_ms > 0 && at_ms < now_ms ? at_ms : null;
}

/** The line: its ends on the grid of its step, and how many steps lie between them. */
export interface Track {
  from_ms: number;
  to_ms: number;
  step_ms: number;
  steps: number;
}

/** The line at a moment; one that is looked at and lies further back stays its left end. */
export function trackOf({ span_ms, step_ms }: Span, now_ms: number, at_ms: number | null): Track {
  const to_ms = Math.floor(now_ms / step_ms) * step_ms;
  const wanted = Math.min(to_ms - span_ms, at_ms ?? Number.POSITIVE_INFINITY);
  const from_ms = Math.floor(wanted / step_ms) * step_ms;
  return { from_ms, to_ms, step_ms, steps: (to_ms - from_ms) / step_ms };
}

/** The place of a moment on the line, in steps from its left end; now is the right end. */
export function placeOf(track: Track, at_ms: number | null): number {
  if (at_ms === null) return track.steps;
  return Math.min(track.steps, Math.max(0, Math.floor((at_ms - track.from_ms) / track.step_ms)));
}

/** The moment at a place; the right end is now, which is no past. */
export function momentAt(track: Track, place: number): number | null {
  if (place >= track.steps) return null;
  return track.from_ms + Math.max(0, Math.round(place)) * track.step_ms;
}

/** The moment so many steps on; from now on it goes back. */
export function stepped(track: Track, at_ms: number | null, steps: number): number | null {
  return momentAt(track, placeOf(track, at_ms) + steps);
}

/** A bar of the strip below the line: how many hosts were silent at a moment. */
export interface Silence {
  /** From 0 to 1, of the line. */
  place: number;
  /** From 0 to 1, of all hosts. */
  share: number;
}

/** The bars of a strip from how many hosts were silent, and how many there were, at moments. */
export function silences(
  track: Track,
  silent: readonly [time_s: number, text: string][],
  hosts: number,
): Silence[] {
  const length_ms = Math.max(1, track.to_ms - track.from_ms);
  return silent.flatMap(([time_s, text]) => {
    const count = Number(text);
    const place = (time_s * 1000 - track.from_ms) / length_ms;
    if (!(count > 0) || place < 0 || place > 1) return [];
    return [{ place, share: Math.min(1, count / Math.max(1, hosts)) }];
  });
}
