/** Accounts and API tokens, which only an administrator sees. */
import { change, changeForJson, readJson } from './client.ts';
import type { ApiToken, NewPassword, NewSecret, Person, Role } from './types.ts';

const PEOPLE = '/api/muster/v1/people';
const TOKENS = '/api/muster/v1/tokens';

function personPath(id: string): string {
  return `${PEOPLE}/${encodeURIComponent(id)}`;
}

/** All accounts, by name. */
export async function readPeople(): Promise<Person[]> {
  return (await readJson<{ people: Person[] }>(PEOPLE)).people;
}

/** Makes an account; the server makes its password and shows it this once. */
export function createPerson(name: string, role: Role): Promise<NewPassword> {
  return changeForJson('POST', PEOPLE, { name, role });
}

export function changePerson(
  id: string,
  wanted: { role?: Role; disabled?: boolean },
): Promise<void> {
  return change('PATCH', personPath(id), wanted);
}

/** Gives an account another password, made by the server and shown this once; its sessions end. */
export function resetPassword(id: string): Promise<NewPassword> {
  return changeForJson('POST', `${personPath(id)}/password`, {});
}

export function resetSecondFactor(id: string): Promise<void> {
  return change('DELETE', `${personPath(id)}/second-factor`);
}

/** Ends all sessions of an account. */
export function signOutPerson(id: string): Promise<void> {
  return change('DELETE', `${personPath(id)}/sessions`);
}

export function removePerson(id: string): Promise<void> {
  return change('DELETE', personPath(id));
}

/** All API tokens, without their secrets. */
export async function readTokens(): Promise<ApiToken[]> {
  return (await readJson<{ tokens: ApiToken[] }>(TOKENS)).tokens;
}

/** Makes an API token; without `expires_in_ms` it has no end. */
export function createToken(
  name: string,
  role: Role,
  expires_in_ms: number | null,
): Promise<NewSecret> {
  return changeForJson('POST', TOKENS, { name, role, expires_in_ms });
}

export function revokeToken(id: string): Promise<void> {
  return change('DELETE', `${TOKENS}/${encodeURIComponent(id)}`);
}
