/** What agents are told: settings for all and for groups. */
import { change, readJson } from './client.ts';
import type { AgentSettings, SettingsLayer, SettingsLayers } from './types.ts';

const SETTINGS = '/api/muster/v1/agent-settings';

/** All layers, and what can be set. */
export function readAgentSettings(): Promise<SettingsLayers> {
  return readJson<SettingsLayers>(SETTINGS);
}

/** Whom settings are for. */
export type SettingsTarget = Pick<SettingsLayer, 'scope' | 'target'>;

function pathOf({ scope, target }: SettingsTarget): string {
  switch (scope) {
    case 'all':
      return `${SETTINGS}/all`;
    case 'group':
      return `${SETTINGS}/groups/${encodeURIComponent(target)}`;
    case 'host':
      return `${SETTINGS}/hosts/${encodeURIComponent(target)}`;
  }
}

/** Sets a layer; `version` is the one that was seen, 0 where there was none. */
export function setAgentSettings(
  target: SettingsTarget,
  wanted: { priority: number; settings: AgentSettings; version: number },
): Promise<void> {
  return change('PUT', pathOf(target), wanted);
}

/** Removes a layer. */
export function removeAgentSettings(target: SettingsTarget): Promise<void> {
  return change('DELETE', pathOf(target));
}
