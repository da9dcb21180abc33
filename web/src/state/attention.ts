/**
 * Whether anybody can see the page. A page in the background lets its streams go: browsers allow six
 * connections to a server over all their tabs, and servers ask agents for detail only while somebody
 * looks.
 */

/** A glance at another tab ends nothing. */
export const LINGER_MS = 30_000;

/** Resolves when the page can be seen, at once if it can be now, or when `stopped` is aborted. */
export function seen(stopped: AbortSignal): Promise<void> {
  return new Promise((resume) => {
    const done = new AbortController();
    const look = (): void => {
      if (document.hidden && !stopped.aborted) return;
      done.abort();
      resume();
    };
    document.addEventListener('visibilitychange', look, { signal: done.signal });
    stopped.addEventListener('abort', look, { signal: done.signal });
    look();
  });
}

/** Acts once the page has been out of sight for a while, until `done` is aborted. */
export function onUnseen(act: () => void, done: AbortSignal): void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const look = (): void => {
    clearTimeout(timer);
    if (document.hidden) timer = setTimeout(act, LINGER_MS);
  };
  document.addEventListener('visibilitychange', look, { signal: done });
  done.addEventListener('abort', () => clearTimeout(timer), { once: true });
  look();
}
