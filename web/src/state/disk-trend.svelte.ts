/** The course of one file system: what is used against its size, and the files it holds. */
import { ApiError } from '../api/client.ts';
import { queryRange } from '../api/prometheus.ts';
import type { MatrixSeries } from '../api/types.ts';
import { trendQueries } from '../domain/file-systems.ts';
import { linesFrom, type Line } from '../domain/lines.ts';
import type { Period } from '../domain/time-range.ts';

/** Points of a line: about one a pixel column. */
const POINTS = 480;
const SLOWEST_STEP_MS = 30_000;

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
  const step_ms = Math.max(SLOWEST_STEP_MS, Math.ceil(span_ms / POINTS / 30_000) * 30_000);
  const to_ms = Math.floor(now_ms / step_ms) * step_ms;
  const period = { from_ms: to_ms - Math.floor(span_ms / step_ms) * step_ms, to_ms };
  const queries = trendQueries(system);
  const [used, size, inodes] = await Promise.all(
    [queries.used, queries.size, queries.inodes].map((query) => queryRange(query, period, step_ms)),
  );
  return {
    period,
    step_ms,
    used: linesFrom(0, used ?? []),
    inodes: linesFrom(0, inodes ?? []),
    size: last(size ?? []),
  };
}

/** What a failed reading says. */
export function trendProblem(error: unknown): string {
  return error instanceof ApiError ? error.message : '';
}
