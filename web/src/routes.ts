/**
 * Every address of the page, built and read in one place. A link is made by a function of this file
 * and nowhere else, so a renamed screen cannot leave a dead link behind.
 */

/** The sections of the settings, in their order on the page. */
export const SETTINGS_SECTIONS = [
  'account',
  'people',
  'tokens',
  'agents',
  'storage',
  'audit',
  'about',
] as const;
export type SettingsSection = (typeof SETTINGS_SECTIONS)[number];

/** The parts of the rules, in their order on the page. */
export const RULES_PARTS = ['built-in', 'own', 'routing', 'channels', 'outbox'] as const;
export type RulesPart = (typeof RULES_PARTS)[number];

/** What an address shows. */
export type Screen =
  | { name: 'fleet' }
  | { name: 'host'; instance: string }
  | { name: 'disks' }
  | { name: 'services' }
  | { name: 'alerts' }
  | { name: 'alert'; id: string }
  | { name: 'rules'; part: RulesPart }
  | { name: 'explore' }
  | { name: 'settings'; section: SettingsSection }
  | { name: 'sign-in' }
  | { name: 'missing'; path: string };

type Query = Record<string, string | null | undefined>;

function withQuery(path: string, query: Query, first: readonly [string, string][] = []): string {
  const search = new URLSearchParams(first.map(([name, value]) => [name, value]));
  for (const [key, value] of Object.entries(query)) {
    if (value !== null && value !== undefined && value !== '') search.set(key, value);
  }
  const text = search.toString();
  return text === '' ? path : `${path}?${text}`;
}

/**
 * The fleet: its sort (`cpu` in its first direction, `-cpu` in the other) and filter; as `view=tiles`, by what
 * they are grouped and shaded; and with `span` and `at` a moment of the past.
 */
export function fleetAddress(query: Query = {}): string {
  return withQuery('/', query);
}

/** All file systems: sort, filter, and the one whose trend is shown with its range. */
export function disksAddress(query: Query = {}): string {
  return withQuery('/disks', query);
}

/** One host; `query` is its tab, and what `domain/time-range` writes for the time shown. */
export function hostAddress(instance: string, query: Query = {}): string {
  return withQuery(`/hosts/${encodeURIComponent(instance)}`, query);
}

/** All services of the fleet; their filter, grouping and period stand in `query`. */
export function servicesAddress(query: Query = {}): string {
  return withQuery('/services', query);
}

/** Alerts; the tab, the filter and the grouping stand in `query`. */
export function alertsAddress(query: Query = {}): string {
  return withQuery('/alerts', query);
}

/** One alert with all that happened to it. */
export function alertAddress(id: string, query: Query = {}): string {
  return withQuery(`/alerts/${encodeURIComponent(id)}`, query);
}

/** A part of the rules; a built-in rule that is open stands in `query`. */
export function rulesAddress(part: RulesPart = 'built-in', query: Query = {}): string {
  return withQuery(part === 'built-in' ? '/rules' : `/rules/${part}`, query);
}

/** Explore; `queries` and `query` are what `domain/explore` and `domain/time-range` write. */
export function exploreAddress(
  queries: readonly [string, string][] = [],
  query: Query = {},
): string {
  return withQuery('/explore', query, queries);
}

/** A section of the settings; the audit log's filter stands in `query`. */
export function settingsAddress(section: SettingsSection = 'account', query: Query = {}): string {
  return withQuery(`/settings/${section}`, query);
}

/**
 * The sign-in screen, which afterwards returns to `from`; `failed` is the server's word for why the
 * identity provider let nobody in.
 */
export function signInAddress(from: string | null, failed: string | null = null): string {
  return withQuery('/sign-in', { from: from === '/' ? null : from, failed });
}

/**
 * Where to go after sign-in: only a path of this page, so that a crafted link cannot lead a person
 * who has just signed in to another site.
 */
export function returnAddress(from: string | null): string {
  if (from === null || !from.startsWith('/') || /^\/[/\\]/.test(from)) return fleetAddress();
  return matchScreen(from.split(/[?#]/)[0] ?? '/').name === 'sign-in' ? fleetAddress() : from;
}

/** The screen of a path, without its query. */
export function matchScreen(path: string): Screen {
  if (path === '/') return { name: 'fleet' };
  if (path === '/sign-in') return { name: 'sign-in' };
  if (path === '/disks') return { name: 'disks' };
  if (path === '/services') return { name: 'services' };
  if (path === '/alerts') return { name: 'alerts' };
  if (path === '/rules') return { name: 'rules', part: 'built-in' };
  const part = RULES_PARTS.find((name) => path === `/rules/${name}`);
  if (part !== undefined) return { name: 'rules', part };
  if (path === '/explore') return { name: 'explore' };
  if (path === '/settings') return { name: 'settings', section: 'account' };
  const section = SETTINGS_SECTIONS.find((name) => path === `/settings/${name}`);
  if (section !== undefined) return { name: 'settings', section };
  const alert = decoded(/^\/alerts\/([^/]+)$/.exec(path)?.[1]);
  if (alert !== null) return { name: 'alert', id: alert };
  const host = decoded(/^\/hosts\/([^/]+)$/.exec(path)?.[1]);
  return host === null ? { name: 'missing', path } : { name: 'host', instance: host };
}

/** A part of a path as it was before it was written into an address; null where it is none. */
function decoded(text: string | undefined): string | null {
  if (text === undefined) return null;
  try {
    return decodeURIComponent(text);
  } catch {
    return null;
  }
}
