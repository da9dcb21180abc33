/** The fleet as tiles, on the line through the past, and in the address. */
import { expect, test } from 'vitest';

import { lookQuery, readLook } from './fleet-view.ts';
import type { HostFacts } from './hosts.ts';
import {
  momentAt,
  placeOf,
  readMoment,
  readSpan,
  silences,
  SPANS,
  stepped,
  trackOf,
} from './scrubber.ts';
import { SHADES, TILE_SHADES, tileClass, tileSections, tileSize } from './tiles.ts';

const NOW_MS = 1_790_000_000_000;
const DAY_MS = 86_400_000;

function host(instance: string, facts: Partial<HostFacts> = {}): HostFacts {
  return {
    instance,
    groups: [],
    tags: [],
    state: 'up',
    state_since_ms: 0,
    agent_version: null,
    os: null,
    kernel: null,
    cpus: 4,
    boot_time_ms: null,
    cpu_percent: 50,
    memory_percent: 50,
    swap_percent: 0,
    load1: 4,
    receive_bytes_per_second: 1e6,
    transmit_bytes_per_second: 1e6,
    worst_disk: { mountpoint: '/', used_percent: 50 },
    next_full: null,
    ...facts,
  };
}

test('a host with two tags stands under both, one without under none, which comes last', () => {
  const hosts = [host('a', { tags: ['web', 'ssd'] }), host('b'), host('c', { tags: ['web'] })];
  const named = (by: 'tag' | 'group' | 'none'): [string, string[]][] =>
    tileSections(hosts, by, NOW_MS).map(({ name, hosts: of }) => [
      name,
      of.map((one) => one.instance),
    ]);
  expect(named('tag')).toEqual([
    ['ssd', ['a']],
    ['web', ['a', 'c']],
    ['', ['b']],
  ]);
  expect(named('none')).toEqual([['', ['a', 'b', 'c']]]);
  expect(named('group')).toEqual([['', ['a', 'b', 'c']]]);
});

test('by state the worst come first', () => {
  const hosts = [
    host('fine'),
    host('gone', { state: 'silent' }),
    host('low', { memory_percent: 92 }),
  ];
  const names = tileSections(hosts, 'state', NOW_MS).map((section) => section.name);
  expect(names).toEqual(['critical', 'warning', 'fine']);
});

test.each<[number, number, number]>([
  [1, 1392, 700],
  [50, 1392, 700],
  [1_000, 1392, 700],
  [1_000, 358, 600],
])('%i tiles fit into %i × %i', (count, width, height) => {
  const size = tileSize([count], width, height);
  const columns = Math.floor((width + size.gap) / (size.width + size.gap));
  expect(Math.ceil(count / columns) * (size.height + size.gap)).toBeLessThanOrEqual(height);
});

test('few tiles have words, very many are as small as they get', () => {
  expect(tileSize([50], 1392, 700).worded).toBe(true);
  expect(tileSize([1_000], 1392, 700).worded).toBe(false);
  expect(tileSize([100_000], 300, 300).width).toBe(10);
});

test('a tile is coloured only where somebody is needed', () => {
  const check = (facts: Partial<HostFacts>, by: (typeof TILE_SHADES)[number]): string =>
    tileClass(host('a', facts), by, NOW_MS);
  expect(check({}, 'state')).toBe('fine');
  expect(check({ state: 'silent' }, 'cpu')).toBe('silent');
  expect(check({ cpu_percent: 100 }, 'cpu')).toBe(`shade-${SHADES - 1}`);
  expect(check({ cpu_percent: 0 }, 'cpu')).toBe('shade-0');
  expect(check({ cpu_percent: null }, 'cpu')).toBe('unknown');
  expect(check({ memory_percent: 92 }, 'memory')).toBe('warning');
  expect(check({ load1: 40 }, 'load')).toBe('shade-7');
  expect(check({ receive_bytes_per_second: 0 }, 'in')).toBe('shade-0');
  expect(check({}, 'full')).toBe('shade-0');
  const next_full = { mountpoint: '/', full_ms: NOW_MS + 2 * DAY_MS };
  expect(check({ next_full }, 'full')).toBe('warning');
});

test.each(SPANS)('on the line of $id places and moments are each other', (span) => {
  const track = trackOf(span, NOW_MS, null);
  expect(track.steps * span.step_ms).toBeGreaterThanOrEqual(span.span_ms);
  expect(momentAt(track, track.steps)).toBeNull();
  expect(placeOf(track, null)).toBe(track.steps);
  for (const place of [0, 1, track.steps - 1]) {
    expect(placeOf(track, momentAt(track, place))).toBe(place);
  }
  const before = stepped(track, null, -1);
  expect(before).toBe(track.to_ms - span.step_ms);
  expect(stepped(track, before, 1)).toBeNull();
  expect(stepped(track, momentAt(track, 0), -1)).toBe(track.from_ms);
});

test('a moment further back than the line begins it', () => {
  const at_ms = NOW_MS - 3 * DAY_MS;
  const track = trackOf(readSpan('24h'), NOW_MS, at_ms);
  expect(track.from_ms).toBeLessThanOrEqual(at_ms);
  expect(placeOf(track, at_ms)).toBe(0);
});

test.each<[string | null, number | null]>([
  [null, null],
  ['', null],
  ['nonsense', null],
  ['-5', null],
  [String(NOW_MS + 1), null],
  [String(NOW_MS - 1), NOW_MS - 1],
])('the moment of %j is %j', (text, at_ms) => {
  expect(readMoment(text, NOW_MS)).toBe(at_ms);
});

test('silence is a share of all hosts', () => {
  const track = trackOf(readSpan('1h'), NOW_MS, null);
  const middle_s = (track.from_ms + track.to_ms) / 2000;
  const bars = silences(
    track,
    [
      [middle_s, '5'],
      [middle_s + 10, '0'],
      [middle_s - 90_000, '3'],
    ],
    10,
  );
  expect(bars).toHaveLength(1);
  expect(bars[0]?.share).toBe(0.5);
  expect(bars[0]?.place).toBeCloseTo(0.5);
});

test('the address holds how the fleet is shown, and is bare at first', () => {
  const bare = readLook(new URLSearchParams());
  expect(
    Object.values(lookQuery(bare, null)).filter((text) => text !== null && text !== ''),
  ).toEqual([]);
  const text = 'view=tiles&filter=web&sort=-cpu&by=tag&color=memory&span=7d&at=123';
  const look = readLook(new URLSearchParams(text));
  const again = lookQuery(look, 123);
  expect(Object.fromEntries(new URLSearchParams(text))).toEqual(again);
  expect(readLook(new URLSearchParams('by=x&color=y&span=z')).shade).toBe('state');
});
