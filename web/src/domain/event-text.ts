/**
 * Reads server-sent events from pieces of text, however the network cuts them. Only what Muster's
 * streams use: `event`, `data` over one or several lines, and comments as signs of life.
 */

export interface StreamEvent {
  name: string;
  data: string;
}

/** Keeps what is not yet a whole event between two pieces. */
export class EventReader {
  #rest = '';
  #name = '';
  #data: string[] = [];

  /** Takes a piece of text and returns the events that it completes. */
  read(piece: string): StreamEvent[] {
    const lines = (this.#rest + piece).split('\n');
    this.#rest = lines.pop() ?? '';
    const events: StreamEvent[] = [];
    for (const raw of lines) {
      const line = raw.endsWith('\r') ? raw.slice(0, -1) : raw;
      if (line === '') {
        if (this.#data.length > 0) {
          events.push({ name: this.#name || 'message', data: this.#data.join('\n') });
        }
        this.#name = '';
        this.#data = [];
      } else {
        this.#field(line);
      }
    }
    return events;
  }

  #field(line: string): void {
    const colon = line.indexOf(':');
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '');
    if (field === 'event') this.#name = value;
    if (field === 'data') this.#data.push(value);
  }
}
