/** The smaller pure parts: sparklines, rows in sight, the palette, charts' queries, routes. */
import { expect, test } from 'vitest';

import { fleetAddress, hostAddress, matchScreen, returnAddress, signInAddress } from '../routes.ts';
import { detailFor, HOST_CHARTS } from './host-charts.ts';
import { languageOf } from './messages.ts';
import { quoted } from './promql-text.ts';
import { matching } from './palette.ts';
import { drawOn, pointsOf, recentPaths, type RecentPoint } from './recent.ts';
import { windowOf } from './rows.ts';

test('a minute of points, without what is old, unknown or told twice', () => {
  const points: RecentPoint[] = [];
  for (let second = 0; second <= 70; second += 2) drawOn(points, second * 1000, second);
  expect(points[0]?.time_ms).toBe(12_000);
  drawOn(points, 70_000, 5);
  expect(points.at(-1)).toEqual({ time_ms: 70_000, value: 70 });
  drawOn(points, 72_000, null);
  expect(points.at(-1)?.time_ms).toBe(70_000);
  drawOn(points, 900_000, null);
  expect(points).toEqual([]);
  expect(pointsOf([1, null, 3], 5_000, 1_000)).toEqual([
    { time_ms: 5_000, value: 1 },
    { time_ms: 7_000, value: 3 },
  ]);
});

test('a sparkline leaves gaps and stays in its box', () => {
  const points = [0, 2_000, 40_000, 42_000].map((time_ms) => ({ time_ms, value: 200 }));
  const { line, area } = recentPaths(points, 60_000, { width: 60, height: 20 }, 100);
  expect(line).toBe('M0.0 0.5L2.0 0.5M40.0 0.5L42.0 0.5');
  expect(area.match(/Z/g)).toHaveLength(2);
  expect(recentPaths([], 0, { width: 60, height: 20 }, null)).toEqual({ line: '', area: '' });
});

test('rows in sight cover the view, and the rest keeps its height', () => {
  for (const scrolled of [-100, 0, 1_000, 35_000, 99_999]) {
    const { first, end, before, after } = windowOf(1_000, 36, scrolled, 900);
    expect(before + (end - first) * 36 + after).toBe(36_000);
    const top = Math.min(Math.max(scrolled, 0), 36_000 - 900);
    expect(first * 36).toBeLessThanOrEqual(top);
    expect(end * 36).toBeGreaterThanOrEqual(top + 900);
    expect(end - first).toBeLessThan(60);
  }
  expect(windowOf(3, 36, 0, 900)).toEqual({ first: 0, end: 3, before: 0, after: 0 });
});

test('the palette finds all words and prefers beginnings', () => {
  const all = ['old-web', 'web-1', 'database', 'my web'].map((text) => ({ text }));
  expect(matching(all, 'web').map(({ text }) => text)).toEqual(['web-1', 'old-web', 'my web']);
  expect(matching(all, 'web 1').map(({ text }) => text)).toEqual(['web-1']);
  expect(matching(all, '')).toHaveLength(4);
});

test('queries of live charts read the last samples, those of periods a window of four steps', () => {
  const all = (step_s: number, live: boolean): string =>
    HOST_CHARTS.flatMap(({ queries }) =>
      queries.map(({ promql }) => promql(detailFor('a', step_s, live))),
    ).join('\n');
  expect(all(5, true)).toContain(
    'irate(node_network_receive_bytes_total{job="node",instance="a",device!~"lo|',
  );
  expect(all(5, true)).not.toMatch(/[^i]rate\(|max_over_time/);
  expect(all(5, false)).toContain('[20s]');
  expect(all(120, false)).toContain('[480s]');
  expect(all(120, false)).toContain('max_over_time(node_load1{job="node",instance="a"}[120s])');
});

test('the name of a host cannot leave its quotes', () => {
  expect(quoted('a"b\\c\nd')).toBe('"a\\"b\\\\c\\nd"');
});

test('eight charts, each once', () => {
  expect(HOST_CHARTS).toHaveLength(8);
  expect(new Set(HOST_CHARTS.map(({ id }) => id)).size).toBe(8);
});

test('addresses lead to the screens that made them', () => {
  expect(matchScreen('/')).toEqual({ name: 'fleet' });
  expect(hostAddress('a/b ü', { range: '1h', tz: null })).toBe('/hosts/a%2Fb%20%C3%BC?range=1h');
  expect(matchScreen('/hosts/a%2Fb%20%C3%BC')).toEqual({ name: 'host', instance: 'a/b ü' });
  expect(matchScreen('/hosts/%zz').name).toBe('missing');
  expect(matchScreen('/hosts/a/b').name).toBe('missing');
  expect(fleetAddress({ sort: 'cpu', filter: '' })).toBe('/?sort=cpu');
  expect(signInAddress('/')).toBe('/sign-in');
});

test.each([
  [null, '/'],
  ['/hosts/a?range=1h', '/hosts/a?range=1h'],
  ['https://elsewhere.example/', '/'],
  ['//elsewhere.example', '/'],
  ['/\\elsewhere.example', '/'],
  ['/sign-in?from=/', '/'],
])('after sign-in from %s', (from, address) => {
  expect(returnAddress(from)).toBe(address);
});

test('the first known language of the browser is taken', () => {
  expect(languageOf(['fr', 'zh-TW', 'en'])).toBe('zh');
  expect(languageOf(['en-US', 'zh'])).toBe('en');
  expect(languageOf(['fr'])).toBe('en');
});
