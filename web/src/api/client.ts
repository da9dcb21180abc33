/**
 * The one door to the network: same origin, cookie session, JSON. A refusal becomes an `ApiError`
 * with the server's own words; a lost session is told to whoever listens.
 */

/** Why a request failed. `status` is 0 where no answer came at all. */
export class ApiError extends Error {
  readonly status: number;
  readonly code: string;
  /** Seconds to wait, where the server named them. */
  readonly retry_after_s: number | null;

  constructor(status: number, code: string, message: string, retry_after_s: number | null = null) {
    super(message);
    this.name = 'ApiError';
    this.status = status;
    this.code = code;
    this.retry_after_s = retry_after_s;
  }
}

/** Refusals of a sign-in, which say nothing of a session. */
const OF_SIGN_IN = new Set(['bad_credentials', 'second_factor_needed']);

let signedOut: () => void = () => {};

/** Names what is done when the server says that nobody is signed in. */
export function onSignedOut(act: () => void): void {
  signedOut = act;
}

/** What ends all requests at once; a fresh one stands ready after each use. */
let all = new AbortController();

/** Ends every request and stream under way, so that none holds a connection. */
export function abortAll(): void {
  all.abort();
  all = new AbortController();
}

async function refusal(response: Response): Promise<ApiError> {
  let code = `http_${response.status}`;
  let message = response.statusText;
  try {
    const body = (await response.json()) as { error?: string; code?: string; errorType?: string };
    code = body.code ?? body.errorType ?? code;
    message = body.error ?? message;
  } catch {
    // A proxy's own error page is no JSON: its status has to do.
  }
  const wait_s = Number(response.headers.get('Retry-After') ?? Number.NaN);
  return new ApiError(response.status, code, message, Number.isFinite(wait_s) ? wait_s : null);
}

/** Sends a request and returns the answer once its status is known to be good. */
export async function send(path: string, init: RequestInit = {}): Promise<Response> {
  let response: Response;
  const signals = [all.signal, init.signal].filter((signal) => signal instanceof AbortSignal);
  const signal = AbortSignal.any(signals);
  try {
    response = await fetch(path, {
      credentials: 'same-origin',
      cache: 'no-store',
      ...init,
      signal,
    });
  } catch (cause) {
    if (signal.aborted) throw cause;
    throw new ApiError(0, 'unreachable', '');
  }
  if (response.ok) return response;
  const error = await refusal(response);
  if (response.status === 401 && !OF_SIGN_IN.has(error.code)) signedOut();
  throw error;
}

/** Reads JSON from an address. */
export async function readJson<T>(path: string, signal?: AbortSignal): Promise<T> {
  const response = await send(path, signal === undefined ? {} : { signal });
  return (await response.json()) as T;
}

/** The header that unsafe methods need: no form of another site can send it. */
const JSON_BODY = { 'Content-Type': 'application/json' };

type Change = 'POST' | 'PUT' | 'PATCH' | 'DELETE';

/** Changes something; what the server answers is not wanted. */
export async function change(method: Change, path: string, body?: object): Promise<void> {
  await send(path, { method, headers: JSON_BODY, body: JSON.stringify(body ?? {}) });
}

/** Changes something and reads what the server answers. */
export async function changeForJson<T>(method: Change, path: string, body: object): Promise<T> {
  const response = await send(path, { method, headers: JSON_BODY, body: JSON.stringify(body) });
  return (await response.json()) as T;
}
