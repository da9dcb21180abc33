/** Questions and answers against a server that is invented: it answers late, refuses, cuts, and is left alone. */
import { afterEach, beforeEach, expect, test, vi } from 'vitest';

import type { ExploreQuery, ExploreView } from '../domain/explore.ts';
import type { TimeRange } from '../domain/time-range.ts';
import type { ExploreRun as Run } from './explore-run.svelte.ts';

/** The window as far as the state knows it; it must be there before that is loaded. */
const view = new EventTarget();
vi.stubGlobal('addEventListener', view.addEventListener.bind(view));
const { ExploreRun } = await import('./explore-run.svelte.ts');

interface Question {
  query: URLSearchParams;
  path: string;
  signal: AbortSignal;
  reply: (body: unknown, status?: number) => Promise<void>;
}

let questions: Question[];
let asked: { queries: ExploreQuery[]; range: TimeRange; view: ExploreView };
let run: Run;

class Page extends EventTarget {
  hidden = false;
}

const on = (expression: string): ExploreQuery => ({ expression, off: false });
const matrix = (count: number, notes: object = {}): unknown => ({
  status: 'success',
  data: {
    resultType: 'matrix',
    result: Array.from({ length: count }, (_, place) => ({
      metric: { i: String(place) },
      values: [[1, '5']],
    })),
  },
  ...notes,
});
const settle = (): Promise<unknown> => vi.advanceTimersByTimeAsync(0);

beforeEach(() => {
  vi.useFakeTimers();
  questions = [];
  vi.stubGlobal('document', new Page());
  vi.stubGlobal('addEventListener', view.addEventListener.bind(view));
  vi.stubGlobal(
    'fetch',
    (address: string, { signal }: { signal: AbortSignal }) =>
      new Promise<Response>((resolve, reject) => {
        const { pathname: path, searchParams: query } = new URL(address, 'http://muster');
        signal.addEventListener('abort', () => reject(new DOMException('', 'AbortError')));
        const reply = async (body: unknown, status = 200): Promise<void> => {
          resolve(Response.json(body, { status }));
          await settle();
        };
        questions.push({ query, path, signal, reply });
      }),
  );
  asked = { queries: [on('a')], range: { kind: 'last', span_ms: 3_600_000 }, view: 'graph' };
  run = new ExploreRun(
    () => asked,
    () => 600,
  );
});

afterEach(async () => {
  run.cancel();
  await settle();
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

test('only what is on is asked, for as many points as there is room', async () => {
  asked.queries = [on('a'), { expression: 'b', off: true }, on(' '), on('c')];
  run.again();
  expect(questions.map(({ query }) => query.get('query'))).toEqual(['a', 'c']);
  const { query, path } = questions[0]!;
  expect(path).toBe('/api/v1/query_range');
  expect(Number(query.get('end')) - Number(query.get('start'))).toBeCloseTo(3_600, -2);
  expect(Number(query.get('step'))).toBe(10);
  await questions[0]!.reply(matrix(3));
  expect(run.answers.map(({ status }) => status)).toEqual(['ready', 'idle', 'idle', 'loading']);
  expect(run.running).toBe(true);
  await questions[1]!.reply(matrix(1));
  expect(run.running).toBe(false);
  expect(run.answers.map(({ series }) => series)).toEqual([3, 0, 0, 1]);
});

test('a new question ends the old one, and cancelling ends all', async () => {
  run.again();
  run.again();
  expect(questions[0]!.signal.aborted).toBe(true);
  expect(questions[1]!.signal.aborted).toBe(false);
  run.cancel();
  await settle();
  expect(questions[1]!.signal.aborted).toBe(true);
  expect(run.answers[0]?.status).toBe('cancelled');
  expect(run.running).toBe(false);
  await vi.advanceTimersByTimeAsync(600_000);
  expect(questions).toHaveLength(2);
});

test('a page that is put away lets its questions go, and asks them when it is returned to', async () => {
  run.again();
  view.dispatchEvent(new Event('pagehide'));
  await settle();
  expect(questions[0]!.signal.aborted).toBe(true);
  expect(questions).toHaveLength(1);
  view.dispatchEvent(new Event('pageshow'));
  await settle();
  expect(questions).toHaveLength(2);
  await questions[1]!.reply(matrix(2));
  expect(run.answers[0]).toMatchObject({ status: 'ready', series: 2 });
});

test('a period that ends now is asked again; one that is over is not', async () => {
  run.again();
  await questions[0]!.reply(matrix(1));
  await vi.advanceTimersByTimeAsync(31_000);
  expect(questions).toHaveLength(2);
  expect(run.running).toBe(false);
  asked.range = { kind: 'absolute', from_ms: 0, to_ms: 60_000 };
  run.again();
  await questions.at(-1)!.reply(matrix(1));
  await vi.advanceTimersByTimeAsync(600_000);
  expect(questions).toHaveLength(3);
});

test('an answer that took long is not asked for at once again', async () => {
  run.again();
  await vi.advanceTimersByTimeAsync(20_000);
  await questions[0]!.reply(matrix(1));
  await vi.advanceTimersByTimeAsync(100_000);
  expect(questions).toHaveLength(1);
  await vi.advanceTimersByTimeAsync(120_000);
  expect(questions).toHaveLength(2);
});

test('a refusal is told in the words of the server, beside answers that came', async () => {
  asked.queries = [on('a +'), on('b')];
  run.again();
  await questions[0]!.reply({ status: 'error', errorType: 'bad_data', error: '1:3: no' }, 400);
  await questions[1]!.reply(matrix(2, { warnings: ['odd'], infos: ['so so'] }));
  expect(run.answers[0]).toMatchObject({ status: 'failed', error: '1:3: no', expression: 'a +' });
  expect(run.answers[1]).toMatchObject({ status: 'ready', warnings: ['odd'], infos: ['so so'] });
});

test('that an answer was cut is a count with more, no warning', async () => {
  run.again();
  await questions[0]!.reply(matrix(4, { warnings: ['results truncated due to limit'] }));
  expect(run.answers[0]).toMatchObject({ series: 4, more: true, warnings: [] });
});

test('a server that is away takes no answer with it', async () => {
  run.again();
  await questions[0]!.reply(matrix(2));
  await vi.advanceTimersByTimeAsync(31_000);
  await questions[1]!.reply({ error: 'starting' }, 503);
  expect(run.answers[0]).toMatchObject({ status: 'ready', series: 2 });
});

test.each<[unknown, number, string[]]>([
  [{ resultType: 'scalar', result: [1, '7'] }, 1, ['7']],
  [{ resultType: 'string', result: [1, 'x'] }, 1, ['x']],
  [{ resultType: 'vector', result: [{ metric: {}, value: [1, 'NaN'] }] }, 1, ['NaN']],
  [
    {
      resultType: 'matrix',
      result: [
        {
          metric: {},
          values: [
            [1, '2'],
            [2, '3'],
          ],
        },
      ],
    },
    1,
    ['2', '3'],
  ],
])('the table takes %j', async (data, series, texts) => {
  asked.view = 'table';
  run.again();
  expect(questions[0]!.path).toBe('/api/v1/query');
  await questions[0]!.reply({ status: 'success', data });
  expect(run.answers[0]?.series).toBe(series);
  expect(run.answers[0]?.samples.map(({ text }) => text)).toEqual(texts);
});
