/** Signing in and out. */
import { ApiError, change, changeForJson, readJson } from './client.ts';
import type { Session, SignInWays } from './types.ts';

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

/** What a person signs in with; the code of a second factor where the account has one. */
export interface Credentials {
  user: string;
  password: string;
  code?: string;
}

/** Signs in; the cookie comes with the answer. `second_factor_needed` asks for the code too. */
export function openSession(credentials: Credentials): Promise<Session> {
  return changeForJson('POST', SESSION, credentials);
}

/** In which ways people may sign in. */
export function readSignInWays(): Promise<SignInWays> {
  return readJson('/api/muster/v1/sign-in');
}

/** Where the browser goes to sign in at the identity provider; it comes back to `return_to`. */
export function providerAddress(return_to: string): string {
  return `/api/muster/v1/sign-in/provider?${new URLSearchParams({ return_to }).toString()}`;
}

/** Signs out. */
export async function closeSession(): Promise<void> {
  await change('DELETE', SESSION);
}
