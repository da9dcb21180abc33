/** How it stands with a newer version of an agent's program, in words. */
import type { Agent } from '../../api/types.ts';
import { t } from '../../state/language.svelte.ts';

/** Empty where there is nothing to tell: no release is newer, or the newest one runs. */
export function updateText(agent: Agent): string {
  const { update, offered_version } = agent;
  if (update && update.outcome !== 'installed' && update.version !== agent.version) {
    return t(`agents.update_${update.outcome}`, { version: update.version });
  }
  return typeof offered_version === 'string'
    ? t('agents.update_offered', { version: offered_version })
    : '';
}
