/** Settings of agents between the form and the server. */
import { expect, test } from 'vitest';

import { type AgentSettings, countOf, formOf, settingsOf } from './agent-settings.ts';

test('a form says what it was made of, and keeps what it does not show', () => {
  const settings = {
    fast_interval_ms: 2000,
    slow_interval_ms: null,
    recorder: false,
    collectors_off: ['hwmon', 'arp'],
    mount_points_include: '/srv/.*',
    mount_points_exclude: '/mnt/.*',
    fs_types_exclude: null,
    network_devices_exclude: 'veth.*',
    named_processes: { web: 'nginx.*worker', key: 'a=b' },
    process_arguments: true,
    cpu_limit_percent: 2.5,
    updates_paused: null,
  };
  expect(settingsOf(formOf(settings), settings)).toEqual(settings);
  expect(countOf(settings)).toBe(9);
});

test('an empty form leaves everything to the layer below', () => {
  const empty = settingsOf(formOf({}), {});
  expect(countOf(empty)).toBe(0);
});

test('a process without a pattern is looked for by its name', () => {
  const form = { ...formOf({}), named_processes: ' nginx \n\nweb=apache2' };
  expect(settingsOf<AgentSettings>(form, {}).named_processes).toEqual({
    nginx: 'nginx',
    web: 'apache2',
  });
});
