/**
 * The lines of a chart as they come from queries: filled from a range, then drawn on second by
 * second. Times are milliseconds since 1970 in ascending order; `null` is a known absence.
 */

export interface Line {
  /** The same for the same series of the same query, whatever answer it comes from. */
  key: string;
  /** Which query of its chart the line answers. */
  query: number;
  labels: Record<string, string>;
  times_ms: number[];
  values: (number | null)[];
}

/** A value of each series at one moment. */
export interface LivePoint {
  query: number;
  labels: Record<string, string>;
  value: number | null;
}

function keyOf(query: number, labels: Record<string, string>): string {
  const pairs = Object.entries(labels).sort(([one], [other]) => (one < other ? -1 : 1));
  return `${query} ${JSON.stringify(pairs)}`;
}

/** Lines from one query's range answer. */
export function linesFrom(
  query: number,
  series: readonly { metric: Record<string, string>; values: [number, string][] }[],
): Line[] {
  return series.map(({ metric, values }) => ({
    key: keyOf(query, metric),
    query,
    labels: metric,
    times_ms: values.map(([time_s]) => Math.round(time_s * 1000)),
    values: values.map(([, text]) => {
      const value = Number(text);
      return Number.isFinite(value) ? value : null;
    }),
  }));
}

/** The lines with the points of one moment at their ends; moments already drawn are passed over. */
export function drawnOn(lines: readonly Line[], time_ms: number, points: LivePoint[]): Line[] {
  const next = new Map(lines.map((line) => [line.key, line]));
  for (const { query, labels, value } of points) {
    const key = keyOf(query, labels);
    const line = next.get(key) ?? { key, query, labels, times_ms: [], values: [] };
    if (time_ms <= (line.times_ms.at(-1) ?? Number.NEGATIVE_INFINITY)) continue;
    next.set(key, {
      ...line,
      times_ms: [...line.times_ms, time_ms],
      values: [...line.values, value],
    });
  }
  return inOrder([...next.values()]);
}

/** The past of a fresh answer, followed by what `live` lines have beyond it. */
export function joinedAt(past: readonly Line[], live: readonly Line[]): Line[] {
  const next = new Map(past.map((line) => [line.key, line]));
  for (const line of live) {
    const before = next.get(line.key);
    const last_ms = before?.times_ms.at(-1) ?? Number.NEGATIVE_INFINITY;
    const start = line.times_ms.findIndex((time_ms) => time_ms > last_ms);
    if (start < 0) continue;
    next.set(line.key, {
      ...line,
      times_ms: [...(before?.times_ms ?? []), ...line.times_ms.slice(start)],
      values: [...(before?.values ?? []), ...line.values.slice(start)],
    });
  }
  return inOrder([...next.values()]);
}

/** The lines without what lies before a moment; a line with nothing left is gone. */
export function since(lines: readonly Line[], from_ms: number): Line[] {
  return lines.flatMap((line) => {
    const start = line.times_ms.findIndex((time_ms) => time_ms >= from_ms);
    if (start < 0) return [];
    if (start === 0) return [line];
    return [{ ...line, times_ms: line.times_ms.slice(start), values: line.values.slice(start) }];
  });
}

/** By query, then by name, so that a line keeps its place and its colour. */
function inOrder(lines: Line[]): Line[] {
  return lines.sort((one, other) => one.query - other.query || (one.key < other.key ? -1 : 1));
}
