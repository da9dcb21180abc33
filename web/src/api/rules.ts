/** Muster's own API about rules, routes, channels and what waits to be sent. */
import { change, changeForJson, readJson } from './client.ts';
import type {
  Backtest,
  BacktestResult,
  Channel,
  ChannelSpec,
  ChannelTest,
  LevelChange,
  OutboxPage,
  Routing,
  RuleLayer,
  RuleList,
  RuleProblems,
} from './types.ts';

const BASE = '/api/muster/v1';

/** All rules: those that come with Muster, and those of people. */
export function readRules(): Promise<RuleList> {
  return readJson(`${BASE}/rules`);
}

function layerPath(rule: string, { scope, target }: Pick<RuleLayer, 'scope' | 'target'>): string {
  const places = { all: 'all', group: 'groups', host: 'hosts' } as const;
  const name = scope === 'all' ? '-' : encodeURIComponent(target);
  return `${BASE}/rules/built-in/${encodeURIComponent(rule)}/${places[scope]}/${name}`;
}

/** Says what differs for somebody; nothing at all takes the difference away. */
export function putLayer(
  rule: string,
  layer: Pick<RuleLayer, 'scope' | 'target'>,
  levels: Record<string, LevelChange>,
): Promise<void> {
  const path = layerPath(rule, layer);
  return Object.keys(levels).length === 0
    ? change('DELETE', path)
    : change('PUT', path, { levels });
}

/** Writes a document of rules; `version` is the one it replaces, 0 for a new one. */
export function putDocument(name: string, yaml: string, version: number): Promise<void> {
  return change('PUT', `${BASE}/rules/documents/${encodeURIComponent(name)}`, { yaml, version });
}

/** Removes a document of rules. */
export function removeDocument(name: string): Promise<void> {
  return change('DELETE', `${BASE}/rules/documents/${encodeURIComponent(name)}`);
}

/** What is wrong with a text of rules. */
export function checkRules(yaml: string): Promise<RuleProblems> {
  return changeForJson('POST', `${BASE}/rules/check`, { yaml });
}

/** Replays a rule over what is stored. */
export function backtest(wanted: Backtest): Promise<BacktestResult> {
  return changeForJson('POST', `${BASE}/rules/backtest`, wanted);
}

/** Who is told of what. */
export function readRouting(): Promise<Routing> {
  return readJson(`${BASE}/routing`);
}

/** Changes the routes; null goes back to what Muster does by itself. */
export function putRouting(yaml: string | null, version: number): Promise<void> {
  return change('PUT', `${BASE}/routing`, { yaml, version });
}

/** What is wrong with routes. */
export function checkRouting(yaml: string): Promise<RuleProblems> {
  return changeForJson('POST', `${BASE}/routing/check`, { yaml });
}

/** All channels, by name. */
export async function readChannels(): Promise<Channel[]> {
  return (await readJson<{ channels: Channel[] }>(`${BASE}/channels`)).channels;
}

/** Makes a channel, or changes the one of a number. */
export function putChannel(spec: ChannelSpec, id: string | null): Promise<void> {
  return id === null
    ? change('POST', `${BASE}/channels`, spec)
    : change('PATCH', `${BASE}/channels/${encodeURIComponent(id)}`, spec);
}

/** Removes a channel with what waits for it. */
export function removeChannel(id: string): Promise<void> {
  return change('DELETE', `${BASE}/channels/${encodeURIComponent(id)}`);
}

/** Sends a test message now and tells what the other side said. */
export function testChannel(id: string): Promise<ChannelTest> {
  return changeForJson('POST', `${BASE}/channels/${encodeURIComponent(id)}/test`, {});
}

/** The newest messages, and how many wait. */
export function readOutbox(): Promise<OutboxPage> {
  return readJson(`${BASE}/outbox`);
}
