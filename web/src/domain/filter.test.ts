/** What a typed filter keeps, what it cannot understand, and what it offers. */
import { expect, test } from 'vitest';

import { completed, completions, readFilter, type ProblemKind } from './filter.ts';
import { fleetLanguage } from './fleet-filter.ts';
import type { HostFacts } from './hosts.ts';

const NOW_MS = 1_790_000_000_000;
const DAY_MS = 86_400_000;
const LANGUAGE = fleetLanguage(NOW_MS);

function host(instance: string, facts: Partial<HostFacts> = {}): HostFacts {
  return {
    instance,
    groups: [],
    tags: [],
    state: 'up',
    state_since_ms: 0,
    agent_version: '0.1.0',
    os: 'Debian GNU/Linux 12',
    kernel: '6.1.0',
    cpus: 4,
    boot_time_ms: NOW_MS - 30 * DAY_MS,
    cpu_percent: 10,
    memory_percent: 20,
    swap_percent: 0,
    load1: 0.5,
    receive_bytes_per_second: 1_000,
    transmit_bytes_per_second: 1_000,
    worst_disk: { mountpoint: '/', used_percent: 30 },
    next_full: null,
    ...facts,
  };
}

const HOSTS = [
  host('web-1', { tags: ['web', 'ssd'], groups: ['production'], agent_version: '0.2.1' }),
  host('web-2', { tags: ['web'], cpu_percent: 91, boot_time_ms: NOW_MS - 1_000 }),
  host('db-1:9100', {
    tags: ['rack=12'],
    worst_disk: { mountpoint: '/', used_percent: 97 },
    next_full: { mountpoint: '/data', full_ms: NOW_MS + 3 * DAY_MS },
    os: 'Ubuntu 24.04',
  }),
  host('db-2', { state: 'silent', cpu_percent: null, receive_bytes_per_second: 2e7 }),
];
const ALL = HOSTS.map((one) => one.instance);

test.each<[string, string[]]>([
  ['', ALL],
  ['   ', ALL],
  ['WEB', ['web-1', 'web-2']],
  ['web production', ['web-1']],
  ['cpu>80', ['web-2']],
  ['cpu>=91%', ['web-2']],
  ['cpu<=10', ['web-1', 'db-1:9100']],
  ['tag:web', ['web-1', 'web-2']],
  ['tag:we', []],
  ['tag:we*', ['web-1', 'web-2']],
  ['tag:rack=12', ['db-1:9100']],
  ['-tag:web', ['db-1:9100', 'db-2']],
  ['tag!=web', ['db-1:9100', 'db-2']],
  ['group:Production', ['web-1']],
  ['disk>90', ['db-1:9100']],
  ['disk<7d', ['db-1:9100']],
  ['disk<2d', []],
  ['state:attention', ['db-1:9100', 'db-2']],
  ['state:silent', ['db-2']],
  ['-state:silent web', ['web-1', 'web-2']],
  ['os:debian', ['web-1', 'web-2', 'db-2']],
  ['os:"ubuntu 24"', ['db-1:9100']],
  ['version<0.2', ['web-2', 'db-1:9100', 'db-2']],
  ['version>=0.2', ['web-1']],
  ['uptime<1h', ['web-2']],
  ['in>10MB/s', ['db-2']],
  ['in>1m', ['db-2']],
  ['db-1:9100', ['db-1:9100']],
  ['-web', ['db-1:9100', 'db-2']],
  // What is not understood is passed over.
  ['cpu>', ALL],
  ['web nowhere>3', ['web-1', 'web-2']],
])('“%s” keeps %j', (text, names) => {
  expect(HOSTS.filter(readFilter(LANGUAGE, text).keeps).map((one) => one.instance)).toEqual(names);
});

test.each<[string, ProblemKind | null, string]>([
  ['web cpu>80', null, ''],
  ['db-1:9100', null, ''],
  ['dsik>80', 'no_field', 'dsik'],
  ['status:silent', 'no_field', 'status'],
  ['cpu>', 'no_value', 'cpu'],
  ['tag:', 'no_value', 'tag'],
  ['cpu>many', 'not_a_number', 'cpu'],
  ['disk>12parsecs', 'not_a_number', 'disk'],
  ['tag>web', 'not_compared', 'tag'],
  ['state:sad', 'no_choice', 'state'],
])('the problem of “%s” is %s', (text, kind, field) => {
  const [problem] = readFilter(LANGUAGE, text).problems;
  expect([problem?.kind ?? null, problem?.field ?? '']).toEqual([kind, field]);
});

/** `|` stands for the cursor. */
function offered(marked: string): string[] {
  const cursor = marked.indexOf('|');
  const text = marked.replace('|', '');
  return completions(LANGUAGE, HOSTS, text, cursor).options.map((option) => option.insert);
}

test.each<[string, string[]]>([
  ['cp|', ['cpu>', 'cpus>']],
  ['web -ta|', ['-tag:']],
  ['tag:|', ['tag:web ', 'tag:rack=12 ', 'tag:ssd ']],
  ['tag:w|', ['tag:web ']],
  ['state:si|', ['state:silent ']],
  ['os:u|', ['os:"Ubuntu 24.04" ']],
  ['cpu>8|', []],
  ['nothing|', []],
])('“%s” offers %j', (marked, inserts) => {
  expect(offered(marked)).toEqual(inserts);
});

test('at an empty place all fields are offered', () => {
  expect(offered('|').length).toBe(Object.keys(LANGUAGE.fields).length);
  expect(offered('web |').length).toBe(Object.keys(LANGUAGE.fields).length);
});

test('a word that is chosen takes the place of what was typed', () => {
  const text = 'web ta cpu>80';
  const { start, end } = completions(LANGUAGE, HOSTS, text, 6);
  expect(completed(text, { start, end }, 'tag:')).toEqual({ text: 'web tag: cpu>80', cursor: 8 });
  expect(completed('tag:w x', { start: 0, end: 5 }, 'tag:web ')).toEqual({
    text: 'tag:web x',
    cursor: 8,
  });
});
