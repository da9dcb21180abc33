/** The course of one file system: what is used against its size, and the files it holds. */
import { ApiError } from '../api/client.ts';
import { queryNumber, queryRange } from '../api/prometheus.ts';
import type { MatrixSeries } from '../api/types.ts';
import { trendQueries } from '../domain/file-systems.ts';
import { linesFrom, type Line } from '../domain/lines.ts';
import { gridOf, type Period } from '../domain/time-range.ts';

/** Points of a line: about one a pixel column. */
const POINTS = 480;

export interface Trend {
  period: Period;
  step_ms: number;
  used: Line[];
  inodes: Line[];
  /** The newest size in bytes, for the line that it may not pass; null where it is not known. */
  size: number | null;
}

function last(series: readonly MatrixSeries[]): number | null {
  const value = Number(series[0]?.values.at(-1)?.[1] ?? Number.NaN);
  return Number.isFinite(value) ? value : null;
}

/** Reads a trend that ends at a moment; throws what the server answers where it refuses. */
export async function readTrend(
  system: { instance: string; mountpoint: string },
  span_ms: number,
  now_ms: number,
): Promise<Trend> {
  const period = { from_ms: now_ms - span_ms, to_ms: now_ms };
  const queries = trendQueries(system);
  const start_s = await queryNumber(queries.start(span_ms / 1000), now_ms);
  // A file system of yesterday is not drawn with the steps of a month.
  const grid = gridOf(period, start_s === null ? null : start_s * 1000, null, POINTS);
  const [used, size, inodes] = await Promise.all(
    [queries.used, queries.size, queries.inodes].map((query) =>
      queryRange(query, grid, grid.step_ms),
    ),
  );
  return {
    period,
    step_ms: grid.step_ms,
    used: linesFrom(0, used ?? []),
    inodes: linesFrom(0, inodes ?? []),
    size: last(size ?? []),
  };
}

/** What a failed reading says. */
export function trendProblem(error: unknown): string {
  return error instanceof ApiError ? error.message : '';
}
