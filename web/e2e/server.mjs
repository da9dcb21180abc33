/**
 * Starts the real server for a test: `MUSTER_BIN up` on a free port with an empty data folder, and
 * stops it afterwards. It says where the page is on a line `page: URL`.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

export const USER = 'admin';
export const PASSWORD = 'a password for tests only';
const START_MS = 120_000;

/** The binary under test, or null where none is named. */
export const BINARY = process.env['MUSTER_BIN'] ?? null;

async function pageOf(child) {
  const lines = createInterface({ input: child.stdout });
  const late = setTimeout(() => child.kill('SIGKILL'), START_MS);
  for await (const line of lines) {
    const url = /^page: (\S+)/.exec(line)?.[1];
    if (url === undefined) continue;
    clearTimeout(late);
    child.stdout.resume();
    return url.replace(/\/$/, '');
  }
  throw new Error(`${BINARY} ended, or was silent for ${START_MS} ms, without a line "page: URL"`);
}

/** Ends a child that a test started, and waits until it is gone, however it came to its end. */
export async function end(child, signal) {
  // One that a signal ended has no exit code, and never tells of its end again.
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, 'exit');
  child.kill(signal);
  await gone;
}

/** A running server: its page's address, its data folder, and `stop`. */
export async function startServer() {
  const folder = await mkdtemp(join(tmpdir(), 'muster-e2e-'));
  const child = spawn(BINARY, ['up', '--data-dir', folder, '--listen', '127.0.0.1:0'], {
    env: { ...process.env, MUSTER_ADMIN_PASSWORD: PASSWORD },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const page = await pageOf(child);
  return {
    page,
    folder,
    /** Lets the server fall silent without closing anything, as a broken network does. */
    freeze: () => child.kill('SIGSTOP'),
    thaw: () => child.kill('SIGCONT'),
    async stop() {
      await end(child, 'SIGTERM');
      await rm(folder, { recursive: true, force: true });
    },
  };
}
