/**
 * One connection of a server-sent event stream, read by `fetch` rather than `EventSource`: only so
 * can a refused stream tell its status, and a heartbeat be heard.
 */
import { EventReader, type StreamEvent } from '../domain/event-text.ts';
import { send } from './client.ts';

export interface StreamListener {
  /** The server accepted the stream. */
  opened: () => void;
  /** Anything at all arrived, heartbeats included. */
  heard: () => void;
  event: (event: StreamEvent) => void;
}

/** Reads the stream until it ends, which resolves, or fails or is aborted, which rejects. */
export async function readEvents(
  path: string,
  listener: StreamListener,
  signal: AbortSignal,
): Promise<void> {
  const response = await send(path, { signal, headers: { Accept: 'text/event-stream' } });
  if (response.body === null) return;
  listener.opened();
  const texts = response.body.pipeThrough(new TextDecoderStream()).getReader();
  const events = new EventReader();
  for (;;) {
    const { done, value } = await texts.read();
    if (done) return;
    listener.heard();
    for (const event of events.read(value)) listener.event(event);
  }
}
