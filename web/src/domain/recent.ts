/** The last minute of a value, for the small line beside a number. */

/** What a sparkline spans. */
export const RECENT_SPAN_MS = 60_000;

export interface RecentPoint {
  time_ms: number;
  value: number;
}

/** Puts a point at the end and takes away what is too old; a value of nothing leaves a hole. */
export function drawOn(points: RecentPoint[], time_ms: number, value: number | null): void {
  const kept = points.findIndex((point) => point.time_ms > time_ms - RECENT_SPAN_MS);
  points.splice(0, kept < 0 ? points.length : kept);
  const newer = time_ms > (points.at(-1)?.time_ms ?? Number.NEGATIVE_INFINITY);
  if (newer && value !== null && Number.isFinite(value)) points.push({ time_ms, value });
}

/** The points of a line of equal steps, without its holes. */
export function pointsOf(
  values: readonly (number | null)[],
  first_ms: number,
  step_ms: number,
): RecentPoint[] {
  return values.flatMap((value, place) =>
    value === null ? [] : [{ time_ms: first_ms + place * step_ms, value }],
  );
}

/** A gap longer than this is not drawn over. */
const GAP_MS = 12_000;

/** The course of a value, and the area below it. */
export interface RecentPaths {
  line: string;
  area: string;
}

/** Without a ceiling the highest value leaves this much room above it. */
const HEADROOM = 1.25;

/**
 * SVG paths of the points in a box of `width` × `height`, the right edge being `now_ms`. The scale
 * goes from 0 to `ceiling`, or to above the highest value where that is null. Gaps stay gaps.
 */
export function recentPaths(
  points: readonly RecentPoint[],
  now_ms: number,
  size: { width: number; height: number },
  ceiling: number | null,
): RecentPaths {
  const highest = points.reduce((top, point) => Math.max(top, point.value), 0);
  const top = ceiling ?? (highest > 0 ? HEADROOM * highest : 1);
  let before_ms = Number.NEGATIVE_INFINITY;
  let line = '';
  let area = '';
  let before_x = '';
  for (const { time_ms, value } of points) {
    const x = size.width * (1 - (now_ms - time_ms) / RECENT_SPAN_MS);
    // Half a pixel stays free above and below so that the line is not cut.
    const y = size.height - 0.5 - (Math.min(value, top) / top) * (size.height - 1);
    const at = `${x.toFixed(1)} ${y.toFixed(1)}`;
    if (time_ms - before_ms > GAP_MS) {
      if (area !== '') area += `L${before_x} ${size.height}Z`;
      line += `M${at}`;
      area += `M${x.toFixed(1)} ${size.height}L${at}`;
    } else {
      line += `L${at}`;
      area += `L${at}`;
    }
    before_ms = time_ms;
    before_x = x.toFixed(1);
  }
  return { line, area: area === '' ? '' : `${area}L${before_x} ${size.height}Z` };
}
