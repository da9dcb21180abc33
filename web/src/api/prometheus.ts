/** Queries by Prometheus's HTTP API. */
import { readJson } from './client.ts';
import type { MatrixSeries } from './types.ts';

interface Answer {
  data: { resultType: string; result: MatrixSeries[] };
}

/** The series of an expression between two moments, one point every `step_ms`. */
export async function queryRange(
  expression: string,
  period: { from_ms: number; to_ms: number },
  step_ms: number,
  signal?: AbortSignal,
): Promise<MatrixSeries[]> {
  const query = new URLSearchParams({
    query: expression,
    start: String(period.from_ms / 1000),
    end: String(period.to_ms / 1000),
    step: String(step_ms / 1000),
  });
  const answer = await readJson<Answer>(`/api/v1/query_range?${query.toString()}`, signal);
  return answer.data.result;
}

/** The first value of an expression at a moment, or null where it has none. */
export async function queryNumber(
  expression: string,
  time_ms: number,
  signal?: AbortSignal,
): Promise<number | null> {
  const query = new URLSearchParams({ query: expression, time: String(time_ms / 1000) });
  const path = `/api/v1/query?${query.toString()}`;
  const answer = await readJson<{ data: { result: { value: [number, string] }[] } }>(path, signal);
  const text = answer.data.result[0]?.value[1];
  const value = Number(text ?? Number.NaN);
  return Number.isFinite(value) ? value : null;
}
