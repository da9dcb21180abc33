/** How it stands with a newer version of an agent's program, in words. */
import type { Agent } from '../../api/types.ts';
import type { MessageKey } from '../../domain/messages.ts';
import { t } from '../../state/language.svelte.ts';

/** What is said of an update that is not the program that runs. */
const OUTCOMES = {
  failed: 'agents.update_failed',
  not_allowed: 'agents.update_not_allowed',
  refused: 'agents.update_refused',
  rolled_back: 'agents.update_rolled_back',
} as const satisfies Record<string, MessageKey>;

/** Empty where there is nothing to tell: no release is newer, or the newest one runs. */
export function updateText(agent: Agent): string {
  const { update, offered_version } = agent;
  if (update && update.outcome !== 'installed' && update.version !== agent.version) {
    return t(OUTCOMES[update.outcome], { version: update.version });
  }
  return typeof offered_version === 'string'
    ? t('agents.update_offered', { version: offered_version })
    : '';
}
