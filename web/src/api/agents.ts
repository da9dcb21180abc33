/** Agents that have joined, and the tokens with which others join. */
import { change, changeForJson, readJson } from './client.ts';
import type { Agent, EnrollToken, NewEnrollToken, NewSecret } from './types.ts';

const AGENTS = '/api/muster/v1/agents';
const ENROLL_TOKENS = '/api/muster/v1/enroll-tokens';

/** All agents, by host. */
export async function readAgents(): Promise<Agent[]> {
  return (await readJson<{ agents: Agent[] }>(AGENTS)).agents;
}

export function changeAgent(
  id: string,
  wanted: { groups?: string[]; tags?: string[] },
): Promise<void> {
  return change('PATCH', `${AGENTS}/${encodeURIComponent(id)}`, wanted);
}

/** Shuts an agent out, at once. */
export function revokeAgent(id: string): Promise<void> {
  return change('DELETE', `${AGENTS}/${encodeURIComponent(id)}`);
}

/** Forgets an agent that was revoked. */
export function forgetAgent(id: string): Promise<void> {
  return change('POST', `${AGENTS}/${encodeURIComponent(id)}/forget`);
}

/** All enrolment tokens, the newest first, without their secrets. */
export async function readEnrollTokens(): Promise<EnrollToken[]> {
  return (await readJson<{ tokens: EnrollToken[] }>(ENROLL_TOKENS)).tokens;
}

/** Makes a token with which agents join; only an administrator can. */
export function createEnrollToken(wanted: NewEnrollToken): Promise<NewSecret> {
  return changeForJson('POST', ENROLL_TOKENS, wanted);
}

/** Ends an enrolment token; who joined with it stays. */
export function revokeEnrollToken(id: string): Promise<void> {
  return change('DELETE', `${ENROLL_TOKENS}/${encodeURIComponent(id)}`);
}

/** How long the token of a single new host is good. */
export const JOIN_TOKEN_LIFE_MS = 3_600_000;

/** Makes a token with which one agent may join. */
export function createJoinToken(): Promise<NewSecret> {
  return createEnrollToken({ uses: 1, expires_in_ms: JOIN_TOKEN_LIFE_MS });
}
