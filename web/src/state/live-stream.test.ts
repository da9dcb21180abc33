/** A stream against a server that is invented: it refuses, breaks, falls silent, and is not looked at. */
import { afterEach, beforeEach, expect, test, vi } from 'vitest';

import type { LiveStream as Stream } from './live-stream.svelte.ts';

/** The window as far as streams know it; it must be there before they are loaded. */
const view = new EventTarget();
vi.stubGlobal('addEventListener', view.addEventListener.bind(view));
const { LINGER_MS } = await import('./attention.ts');
const { connection } = await import('./connection.svelte.ts');
const { LiveStream } = await import('./live-stream.svelte.ts');

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
let stream: Stream;

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
  vi.stubGlobal('addEventListener', view.addEventListener.bind(view));
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
  // Pauses grow to 8 s, and chance takes at most half of each: so many attempts in a minute.
  expect(asked).toBeGreaterThanOrEqual(8);
  expect(asked).toBeLessThanOrEqual(18);
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
  await pass(LINGER_MS - 100);
  page.show(true);
  await pass(5_000);
  expect(connections[0]?.signal.aborted).toBe(false);
  page.show(false);
  await pass(2_000);
  expect(connections[0]?.signal.aborted).toBe(true);
  await pass(100_000);
  expect(connections).toHaveLength(1);
  page.show(true);
  await pass();
  expect(connections).toHaveLength(2);
});

test('a page that is left lets its stream go at once, and opens it when returned to', async () => {
  await pass();
  view.dispatchEvent(new Event('pagehide'));
  expect(connections[0]?.signal.aborted).toBe(true);
  await pass(100_000);
  expect(connections).toHaveLength(1);
  expect(connection.lost_ms).toBeNull();
  view.dispatchEvent(new Event('pageshow'));
  await pass();
  expect(connections).toHaveLength(2);
});

test('a server that is away is noticed, and its return too', async () => {
  await pass();
  expect(connection.lost_ms).toBeNull();
  refuse = true;
  connections[0]?.end();
  await pass(1_500);
  expect(connection.lost_ms).not.toBeNull();
  refuse = false;
  await pass(10_000);
  expect(connection.lost_ms).toBeNull();
});

test('a stopped stream stays stopped', async () => {
  await pass();
  stream.stop();
  await pass(60_000);
  expect(connections).toHaveLength(1);
  expect(connections[0]?.signal.aborted).toBe(true);
});
