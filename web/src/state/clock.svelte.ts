/**
 * The page's one clock: it ticks every second and follows the server's time, so that "silent for
 * 3 min" is right on a machine whose own clock is not.
 */

const TICK_MS = 1_000;

class Clock {
  /** Now, by this machine. */
  local_ms = $state(Date.now());
  #ahead_ms = $state(0);

  constructor() {
    setInterval(() => {
      this.local_ms = Date.now();
    }, TICK_MS);
  }

  /** Now, by the server; moves once a second. */
  get now_ms(): number {
    return this.local_ms + this.#ahead_ms;
  }

  /** Now, by the server, to the millisecond and without causing anything to follow it. */
  exact(): number {
    return Date.now() + this.#ahead_ms;
  }

  /** Takes the server's time from an answer that has just come. */
  follow(server_ms: number): void {
    this.#ahead_ms = server_ms - Date.now();
  }
}

export const clock = new Clock();
