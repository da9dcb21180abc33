/** What a role is offered. The server decides what it may do; this keeps dead ends off the page. */

/** A role as the server names it. */
export type RoleName = 'writer' | 'viewer' | 'operator' | 'admin';

/** The roles of people, the least first. */
export const PEOPLE_ROLES = ['viewer', 'operator', 'admin'] as const;

/** The roles of API tokens. */
export const TOKEN_ROLES = ['writer', 'viewer', 'operator', 'admin'] as const;

/** Sections of the settings that everybody has; the others are an administrator's. */
const OF_EVERYBODY: readonly string[] = ['account', 'about'];

/** Whether a role is offered a section of the settings. */
export function isOffered(section: string, role: RoleName): boolean {
  return role === 'admin' || OF_EVERYBODY.includes(section);
}
