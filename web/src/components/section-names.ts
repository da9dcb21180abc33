/** The sections of the settings in words. */
import type { MessageKey } from '../domain/messages.ts';
import type { SettingsSection } from '../routes.ts';

export const SECTION_NAMES: Record<SettingsSection, MessageKey> = {
  account: 'account.title',
  people: 'people.title',
  tokens: 'tokens.title',
  agents: 'agents.title',
  storage: 'storage.title',
  audit: 'audit.title',
  about: 'about.title',
};
