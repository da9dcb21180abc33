/** Why the server refused, in the language of the page; what the page has no words for, in the server's. */
import { ApiError } from '../api/client.ts';
import type { MessageKey } from '../domain/messages.ts';
import { durationText } from '../domain/units.ts';
import { language, t } from './language.svelte.ts';

const WORDS: Record<string, MessageKey> = {
  unreachable: 'failure.unreachable',
  forbidden: 'refusal.forbidden',
  bad_password: 'refusal.bad_password',
  bad_code: 'refusal.bad_code',
  last_administrator: 'refusal.last_administrator',
  name_taken: 'refusal.name_taken',
  not_found: 'refusal.not_found',
  changed: 'refusal.changed',
  busy: 'refusal.busy',
};

/** The sentence for an error. */
export function refusalText(error: unknown): string {
  if (!(error instanceof ApiError)) return t('refusal.defect');
  if (error.retry_after_s !== null && error.code === 'too_many_attempts') {
    const duration = durationText(error.retry_after_s * 1000, language.current, 1);
    return t('sign_in.too_many', { duration });
  }
  const words = WORDS[error.code];
  if (words !== undefined) return t(words);
  const said = error.message === '' ? t('refusal.defect') : error.message;
  return said.charAt(0).toUpperCase() + said.slice(1);
}
