/** Why the identity provider let nobody in: the server's word for it as a text of the page. */
import type { MessageKey } from '../domain/messages.ts';

const TEXTS: Record<string, MessageKey> = {
  expired: 'sign_in.provider_expired',
  refused: 'sign_in.provider_refused',
  no_role: 'sign_in.provider_no_role',
  disabled: 'sign_in.provider_disabled',
};

/** The text for a word, or null without one. */
export function providerProblem(word: string | null): MessageKey | null {
  return word === null ? null : (TEXTS[word] ?? 'sign_in.provider_failed');
}
