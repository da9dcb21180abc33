/** Roles in words: their names, and what they may do. */
import type { MessageKey } from '../../domain/messages.ts';
import type { RoleName } from '../../domain/permission.ts';
import { t } from '../../state/language.svelte.ts';

const NAMES: Record<RoleName, MessageKey> = {
  writer: 'role.writer',
  viewer: 'role.viewer',
  operator: 'role.operator',
  admin: 'role.admin',
};
const MAY: Record<RoleName, MessageKey> = {
  writer: 'role.writer_may',
  viewer: 'role.viewer_may',
  operator: 'role.operator_may',
  admin: 'role.admin_may',
};

export function roleText(role: RoleName): string {
  return t(NAMES[role]);
}

/** What a role may do, as a sentence. */
export function mayText(role: RoleName): string {
  return t(MAY[role]);
}

/** Roles to choose from. */
export function roleOptions<T extends RoleName>(roles: readonly T[]): { id: T; text: string }[] {
  return roles.map((id) => ({ id, text: roleText(id) }));
}
