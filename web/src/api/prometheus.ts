/** Queries by Prometheus's HTTP API. */
import { ApiError, readJson, send } from './client.ts';
import type { InstantResult, MatrixSeries, MetricMetadata } from './types.ts';

/** An answer with what the server says about it beside. */
export interface Told<T> {
  data: T;
  warnings: string[];
  infos: string[];
}

interface Envelope<T> {
  data: T;
  warnings?: string[];
  infos?: string[];
}

interface Matrix {
  resultType: string;
  result: MatrixSeries[];
}

async function readTold<T>(path: string, signal: AbortSignal | undefined): Promise<Told<T>> {
  const { data, warnings = [], infos = [] } = await readJson<Envelope<T>>(path, signal);
  return { data, warnings, infos };
}

/** As `queryRange`, with at most `limit` series and what the server says of them. */
export async function queryRangeTold(
  expression: string,
  period: { from_ms: number; to_ms: number },
  step_ms: number,
  limit: number | null,
  signal?: AbortSignal,
): Promise<Told<MatrixSeries[]>> {
  const query = new URLSearchParams({
    query: expression,
    start: String(period.from_ms / 1000),
    end: String(period.to_ms / 1000),
    step: String(step_ms / 1000),
  });
  if (limit !== null) query.set('limit', String(limit));
  const told = await readTold<Matrix>(`/api/v1/query_range?${query.toString()}`, signal);
  return { ...told, data: told.data.result };
}

/** The series of an expression between two moments, one point every `step_ms`. */
export async function queryRange(
  expression: string,
  period: { from_ms: number; to_ms: number },
  step_ms: number,
  signal?: AbortSignal,
): Promise<MatrixSeries[]> {
  return (await queryRangeTold(expression, period, step_ms, null, signal)).data;
}

/** What an expression is at a moment, with at most `limit` series. */
export function queryInstant(
  expression: string,
  time_ms: number,
  limit: number,
  signal: AbortSignal,
): Promise<Told<InstantResult>> {
  const query = new URLSearchParams({ query: expression, time: String(time_ms / 1000) });
  query.set('limit', String(limit));
  return readTold(`/api/v1/query?${query.toString()}`, signal);
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

/** How many names or values are asked for at most where a person chooses from them. */
const MOST_CHOICES = 10_000;

function matching(selector: string): string {
  const query = new URLSearchParams({ limit: String(MOST_CHOICES) });
  if (selector !== '') query.set('match[]', selector);
  return query.toString();
}

/** The names of labels that the series of a selector have; of all series where it is empty. */
export async function readLabelNames(selector: string): Promise<string[]> {
  return (await readTold<string[]>(`/api/v1/labels?${matching(selector)}`, undefined)).data;
}

/** The values of a label in the series of a selector; in all where it is empty. */
export async function readLabelValues(label: string, selector: string): Promise<string[]> {
  const path = `/api/v1/label/${encodeURIComponent(label)}/values?${matching(selector)}`;
  return (await readTold<string[]>(path, undefined)).data;
}

/** Type, help and unit of all metrics that told them. */
export async function readMetadata(): Promise<Record<string, MetricMetadata[]>> {
  const path = '/api/v1/metadata?limit_per_metric=1';
  return (await readTold<Record<string, MetricMetadata[]>>(path, undefined)).data;
}

/**
 * A request of the query editor's completion. A refusal comes back as the answer it was made from: the
 * editor reads the error itself, while a lost session is told to whoever listens.
 */
export async function editorRequest(input: RequestInfo, init?: RequestInit): Promise<Response> {
  try {
    return await send(String(input), init);
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    const body = { status: 'error', errorType: error.code, error: error.message };
    return Response.json(body, { status: error.status === 0 ? 503 : error.status });
  }
}
