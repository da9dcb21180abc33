/** Signing in and out. */
import { ApiError, JSON_BODY, readJson, send } from './client.ts';
import type { Session } from './types.ts';

const SESSION = '/api/muster/v1/session';

/** Who is signed in, or null. */
export async function readSession(): Promise<Session | null> {
  try {
    return await readJson<Session>(SESSION);
  } catch (error) {
    if (error instanceof ApiError && error.status === 401) return null;
    throw error;
  }
}

/** Signs in; the cookie comes with the answer. */
export async function openSession(user: string, password: string): Promise<Session> {
  const body = JSON.stringify({ user, password });
  const response = await send(SESSION, { method: 'POST', headers: JSON_BODY, body });
  return (await response.json()) as Session;
}

/** Signs out. */
export async function closeSession(): Promise<void> {
  await send(SESSION, { method: 'DELETE', headers: JSON_BODY });
}
