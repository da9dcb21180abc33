/** Events read from series: each kind from the points that tell it. */
import { expect, test } from 'vitest';

import {
  EVENT_KINDS,
  eventQueries,
  eventsOf,
  type EventKind,
  type EventSeries,
} from './host-events.ts';

const GRID = { from_ms: 1_000_000_000, to_ms: 1_003_600_000, step_ms: 30_000 };

/** The events of one source, whose points stand so many steps after the begin. */
function events(kind: EventKind, points: [step: number, value: number][], labels = {}): unknown[] {
  const kinds = EVENT_KINDS.filter((one) => one !== 'clock');
  const answers = kinds.map((one): EventSeries[] =>
    one !== kind
      ? []
      : [
          {
            labels,
            times_ms: points.map(([step]) => GRID.from_ms + step * GRID.step_ms),
            values: points.map(([, value]) => value),
          },
        ],
  );
  return eventsOf(answers, GRID).map(({ kind: found, at_ms, end_ms, subject, count }) => [
    found,
    (at_ms - GRID.from_ms) / GRID.step_ms,
    end_ms === null ? null : (end_ms - GRID.from_ms) / GRID.step_ms,
    subject,
    count,
  ]);
}

test('a start of the host is told by its own time, a step of its clock by its size', () => {
  const boot_s = 900_000;
  const restarted_s = (GRID.from_ms + 5 * GRID.step_ms) / 1000;
  expect(
    events('reboot', [
      [1, boot_s],
      [2, boot_s],
      [6, restarted_s],
    ]),
  ).toEqual([['reboot', 5, null, '', 1]]);
  expect(
    events('reboot', [
      [1, boot_s],
      [2, boot_s + 60],
    ]),
  ).toEqual([['clock', 2, null, '', 60]]);
  expect(
    events('reboot', [
      [1, boot_s],
      [2, boot_s + 1],
    ]),
  ).toEqual([]);
});

test('a failure begins and ends, or lasts', () => {
  const name = { name: 'nginx.service' };
  expect(
    events(
      'failed',
      [
        [10, 1],
        [11, 1],
        [12, 1],
      ],
      name,
    ),
  ).toEqual([['failed', 9, 12, 'nginx.service', 1]]);
  expect(
    events(
      'failed',
      [
        [118, 1],
        [119, 1],
        [120, 1],
      ],
      name,
    ),
  ).toEqual([['failed', 117, null, 'nginx.service', 1]]);
  expect(
    events(
      'failed',
      [
        [10, 1],
        [40, 1],
      ],
      name,
    ),
  ).toHaveLength(2);
});

test('what already was when the period began did not happen in it', () => {
  expect(
    events('silent', [
      [0, 0],
      [1, 0],
      [2, 0],
    ]),
  ).toEqual([]);
});

test('kills that follow each other closely are one event', () => {
  const program = { program: 'java' };
  expect(
    events(
      'oom',
      [
        [10, 1],
        [20, 2],
        [90, 1],
      ],
      program,
    ),
  ).toEqual([
    ['oom', 89, null, 'java', 1],
    ['oom', 9, 20, 'java', 3],
  ]);
});

test('there is a query for each source, and it names the host', () => {
  const queries = eventQueries('a"b', 60_000);
  expect(queries).toHaveLength(EVENT_KINDS.length - 1);
  for (const query of queries) expect(query).toContain('instance="a\\"b"');
});
