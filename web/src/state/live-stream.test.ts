/** A stream against a server that is invented: it refuses, breaks, falls silent, and is not looked at. */
import { afterEach, beforeEach, expect, test, vi } from 'vitest';

import { LINGER_MS } from './attention.ts';
import { LiveStream } from './live-stream.svelte.ts';

/** The page as far as streams know it. */
class FakeDocument extends EventTarget {
  hidden = false;
  show(visible: boolean): void {
    this.hidden = !visible;
    this.dispatchEvent(new Event('visibilitychange'));
  }
}

interface Connection {
  send: (text: string) => void;
  end: () => void;
  signal: AbortSignal;
}

let page: FakeDocument;
let connections: Connection[];
let refuse: boolean;
let told: string[];
let stream: LiveStream;

function answer(signal: AbortSignal): Response {
  const encoder = new TextEncoder();
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      connections.push({
        send: (text) => controller.enqueue(encoder.encode(text)),
        end: () => controller.close(),
        signal,
      });
      signal.addEventListener('abort', () => controller.error(new Error('aborted')));
    },
  });
  return new Response(body, { status: 200 });
}

beforeEach(() => {
  vi.useFakeTimers();
  page = new FakeDocument();
  connections = [];
  refuse = false;
  told = [];
  vi.stubGlobal('document', page);
  vi.stubGlobal('fetch', (_path: string, init: RequestInit) => {
    if (init.signal === undefined || init.signal === null) throw new Error('no signal');
    const refusal = JSON.stringify({ error: 'not ready', code: 'not_ready' });
    return Promise.resolve(refuse ? new Response(refusal, { status: 503 }) : answer(init.signal));
  });
  stream = new LiveStream({
    path: '/stream',
    event: ({ name, data }) => {
      told.push(`${name} ${data}`);
      return name !== 'old';
    },
  });
  stream.start();
});

afterEach(() => {
  stream.stop();
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

/** Lets what waits for the network happen, then `ms` pass. */
async function pass(ms = 0): Promise<void> {
  await vi.advanceTimersByTimeAsync(ms);
}

test('events are told as they come', async () => {
  await pass();
  connections[0]?.send('event: a\ndata: 1\n\nevent: b\nda');
  await pass();
  expect(told).toEqual(['a 1']);
  expect(stream.status).toBe('live');
  connections[0]?.send('ta: 2\n\n');
  await pass();
  expect(told).toEqual(['a 1', 'b 2']);
});

test('an event that tells nothing new lets what is shown age', async () => {
  await pass();
  connections[0]?.send('event: old\ndata: 1\n\n');
  await pass();
  expect(stream.event_ms).toBe(0);
  expect(stream.status).toBe('connecting');
});

test('a broken connection is followed by another', async () => {
  await pass();
  connections[0]?.end();
  await pass();
  expect(stream.status).toBe('lost');
  await pass(1_000);
  expect(connections).toHaveLength(2);
});

test('a refusal is told, and asked again ever more slowly', async () => {
  stream.stop();
  refuse = true;
  let asked = 0;
  stream = new LiveStream({ path: '/stream', event: () => true, attempt: () => (asked += 1) });
  stream.start();
  await pass();
  expect(stream.error?.message).toBe('not ready');
  await pass(60_000);
  // From 15 s twice halved by chance up to pauses of 15 s: between 4 and 12 attempts in a minute.
  expect(asked).toBeGreaterThanOrEqual(4);
  expect(asked).toBeLessThanOrEqual(12);
});

test('silence ends a connection, a heartbeat keeps it', async () => {
  await pass();
  for (let beat = 0; beat < 6; beat += 1) {
    connections[0]?.send(': alive\n\n');
    await pass(10_000);
  }
  expect(connections).toHaveLength(1);
  await pass(40_000);
  expect(connections.length).toBeGreaterThanOrEqual(2);
  expect(connections[0]?.signal.aborted).toBe(true);
});

test('a page out of sight lets its stream go, and returns to it when seen', async () => {
  await pass();
  page.show(false);
  await pass(LINGER_MS - 10_000);
  connections[0]?.send(': alive\n\n');
  page.show(true);
  await pass(20_000);
  expect(connections[0]?.signal.aborted).toBe(false);
  page.show(false);
  connections[0]?.send(': alive\n\n');
  await pass(20_000);
  connections[0]?.send(': alive\n\n');
  // Sooner than silence would end it.
  await pass(LINGER_MS - 20_000 + 1_000);
  expect(connections[0]?.signal.aborted).toBe(true);
  await pass(100_000);
  expect(connections).toHaveLength(1);
  page.show(true);
  await pass();
  expect(connections).toHaveLength(2);
});

test('a stopped stream stays stopped', async () => {
  await pass();
  stream.stop();
  await pass(60_000);
  expect(connections).toHaveLength(1);
  expect(connections[0]?.signal.aborted).toBe(true);
});
