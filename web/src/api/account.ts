/** One's own account: password, sessions, second factor. */
import { change, changeForJson, readJson } from './client.ts';
import type { Account, OpenSession, SecondFactorSecret } from './types.ts';

const ACCOUNT = '/api/muster/v1/account';
const SECOND_FACTOR = `${ACCOUNT}/second-factor`;

export function readAccount(): Promise<Account> {
  return readJson(ACCOUNT);
}

/** Changes the password; all other sessions end. */
export function changePassword(old_password: string, new_password: string): Promise<void> {
  return change('POST', `${ACCOUNT}/password`, { old_password, new_password });
}

/** One's own sessions, the newest first. */
export async function readSessions(): Promise<OpenSession[]> {
  const list = await readJson<{ sessions: OpenSession[] }>(`${ACCOUNT}/sessions`);
  return list.sessions;
}

export function endSession(id: string): Promise<void> {
  return change('DELETE', `${ACCOUNT}/sessions/${encodeURIComponent(id)}`);
}

/** Ends all sessions but this one. */
export function endOtherSessions(): Promise<void> {
  return change('DELETE', `${ACCOUNT}/sessions`);
}

/** Makes the secret of a second factor; it guards nothing until it is confirmed. */
export function beginSecondFactor(password: string): Promise<SecondFactorSecret> {
  return changeForJson('POST', SECOND_FACTOR, { password });
}

/** Turns the second factor on; the recovery codes are shown this once. */
export async function confirmSecondFactor(code: string): Promise<string[]> {
  const path = `${SECOND_FACTOR}/confirm`;
  return (await changeForJson<{ codes: string[] }>('POST', path, { code })).codes;
}

/** Makes other recovery codes; the former are worth nothing any more. */
export async function renewRecoveryCodes(password: string): Promise<string[]> {
  const path = `${SECOND_FACTOR}/recovery-codes`;
  return (await changeForJson<{ codes: string[] }>('POST', path, { password })).codes;
}

export function removeSecondFactor(password: string): Promise<void> {
  return change('POST', `${SECOND_FACTOR}/remove`, { password });
}
