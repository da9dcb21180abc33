/** Services and the tabs of a host, with simulated hosts of which some are in trouble. */
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';

import { HAS_BROWSER, openBrowser, openPage, PATIENCE_MS } from './browser.mjs';
import { BINARY, end, PASSWORD, startServer, USER } from './server.mjs';

const SIMULATION = process.env['MUSTER_SIMULATION_BIN'] ?? null;
const skip =
  BINARY === null || SIMULATION === null
    ? 'MUSTER_BIN and MUSTER_SIMULATION_BIN must name binaries'
    : HAS_BROWSER
      ? false
      : 'there is no chromium';
/** Host 2 of every fleet has a job that fails in turns, host 1 a worker that is killed again and again. */
const HOSTS = 4;

let server;
let browser;
let fleet;
let state;

before(async () => {
  if (skip !== false) return;
  [server, browser] = await Promise.all([startServer(), openBrowser()]);
  const { stdout } = await promisify(execFile)(BINARY, [
    'enroll-token',
    '--data-dir',
    server.folder,
    '--uses',
    String(HOSTS),
  ]);
  state = await mkdtemp(join(tmpdir(), 'muster-e2e-fleet-'));
  const options = ['--server', server.page, '--token', stdout.trim().split('\n').at(-1)];
  const size = ['--hosts', String(HOSTS), '--backfill', '7h', '--backfill-step', '30s'];
  fleet = spawn(SIMULATION, [...options, ...size, '--state-dir', state], { stdio: 'ignore' });
});

after(async () => {
  if (fleet !== undefined) await end(fleet, 'SIGTERM');
  await browser?.close();
  await server?.stop();
  if (state !== undefined) await rm(state, { recursive: true, force: true });
});

async function signIn(page) {
  await page.getByLabel('User').fill(USER);
  await page.getByLabel('Password').fill(PASSWORD);
  await page.getByRole('button', { name: 'Sign in' }).click();
}

/** Loads the page again until something is on it: the fleet needs a moment to tell its past. */
async function shownInTime(page, what) {
  const end = performance.now() + PATIENCE_MS;
  for (;;) {
    try {
      await what().waitFor({ timeout: 5_000 });
      return;
    } catch (error) {
      if (performance.now() > end) throw error;
      await page.reload();
    }
  }
}

test(
  'services of all hosts are listed, filtered and grouped, and a row opens its log',
  { skip },
  async () => {
    const { page, close } = await openPage(browser);
    await page.goto(server.page);
    await signIn(page);
    await page.getByRole('link', { name: 'Services', exact: true }).waitFor();
    await page.keyboard.press('g');
    await page.keyboard.press('s');
    await page.waitForURL(/\/services$/);
    const worker = () => page.getByRole('row').filter({ hasText: 'app-worker.service' });
    await shownInTime(page, () => worker().filter({ hasText: 'app-0001' }));
    await page.getByLabel('Filter services').fill('app-worker');
    await page.waitForURL(/filter=app-worker/);
    await page
      .getByRole('row')
      .filter({ hasText: 'cron.service' })
      .first()
      .waitFor({ state: 'hidden' });
    // In seven hours its worker has had troubles and good times, whatever the hour.
    const of_host = worker().filter({ hasText: 'app-0001' });
    await of_host.getByRole('button', { name: 'app-worker.service', exact: true }).click();
    await page.waitForURL(/open=app-0001/);
    const log = page.getByRole('region', { name: 'Log of transitions' });
    await shownInTime(page, () =>
      log.getByRole('listitem').filter({ hasText: 'killed for lack of memory' }).first(),
    );
    await log.getByRole('button', { name: 'Around it' }).first().click();
    await log.getByRole('region', { name: 'CPU by mode' }).waitFor();

    await page.getByRole('button', { name: 'By name' }).click();
    await page.waitForURL(/by=name/);
    await page.getByRole('link', { name: 'app-worker.service' }).click();
    await page.waitForURL(/name=app-worker\.service/);
    await worker().first().waitFor();
    await close();
  },
);

test('a host has tabs, each with an address of its own', { skip }, async () => {
  const { page, close } = await openPage(browser);
  await page.goto(`${server.page}/hosts/app-0001`);
  await signIn(page);
  const tabs = page.getByRole('navigation', { name: 'Parts of this host' });
  const open = async (name, address) => {
    await tabs.getByRole('link', { name, exact: true }).click();
    await page.waitForURL(address);
  };
  await page.getByRole('region', { name: 'Load against CPUs' }).waitFor();
  await open('CPU', /tab=cpu/);
  await page.getByRole('region', { name: 'CPU busy, by core' }).waitFor();
  await open('Disks', /tab=disks/);
  await page.getByRole('row').filter({ hasText: '/var/lib' }).first().waitFor();
  await open('Services', /tab=services/);
  await page.getByRole('button', { name: 'app-worker.service', exact: true }).waitFor();
  await open('Containers', /tab=containers/);
  await page.getByRole('row').filter({ hasText: 'shop/frontend:4.12' }).waitFor();
  await open('Events', /tab=events/);
  await shownInTime(page, () => page.getByText(/app-worker\.service restarted, \d+×/).first());
  await page.goto(`${server.page}/hosts/cache-0003?tab=sensors`);
  await page.getByRole('row').filter({ hasText: 'Simulated T4' }).waitFor();
  await page.getByRole('region', { name: 'GPU use' }).waitFor();
  assert.equal(await page.getByRole('region', { name: 'Thermal zones' }).count(), 0);
  await close();
});
