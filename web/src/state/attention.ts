/**
 * Whether anybody can see the page. A page out of sight lets its connections go: browsers allow six
 * to a server over all their tabs, pages kept for the back button included, and servers ask agents for
 * detail only while somebody looks.
 */
import { abortAll } from '../api/client.ts';

/** A glance at another tab ends nothing. */
export const LINGER_MS = 1_500;

/** Between `pagehide` and `pageshow` the browser keeps a page only to return to it. */
let put_away = false;

addEventListener('pagehide', () => {
  put_away = true;
  abortAll();
});
addEventListener('pageshow', () => {
  put_away = false;
});

/** Whether somebody can see the page now. */
export function inSight(): boolean {
  return !document.hidden && !put_away;
}

/** Resolves when the page can be seen, at once if it can be now, or when `stopped` is aborted. */
export function seen(stopped: AbortSignal): Promise<void> {
  return new Promise((resume) => {
    const done = new AbortController();
    const look = (): void => {
      if (!inSight() && !stopped.aborted) return;
      done.abort();
      resume();
    };
    document.addEventListener('visibilitychange', look, { signal: done.signal });
    addEventListener('pageshow', look, { signal: done.signal });
    stopped.addEventListener('abort', look, { signal: done.signal });
    look();
  });
}

/** Acts once the page has been out of sight for a moment, until `done` is aborted. */
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

/** Resolves after a while in which the page could be seen at the end, or when `stopped` is aborted. */
export async function pauseInSight(length_ms: number, stopped: AbortSignal): Promise<void> {
  await pause(length_ms, stopped);
  await seen(stopped);
}

/** Resolves after a while, or when `stopped` is aborted. */
export function pause(length_ms: number, stopped: AbortSignal): Promise<void> {
  return new Promise((resume) => {
    const done = (): void => {
      clearTimeout(timer);
      stopped.removeEventListener('abort', done);
      resume();
    };
    const timer = setTimeout(done, length_ms);
    stopped.addEventListener('abort', done);
    if (stopped.aborted) done();
  });
}
