/** Alerts from the list to silence, with simulated hosts of which one has a service that fails. */
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';

import { HAS_BROWSER, openBrowser, openPage } from './browser.mjs';
import { BINARY, end, PASSWORD, startServer, USER } from './server.mjs';

const SIMULATION = process.env['MUSTER_SIMULATION_BIN'] ?? null;
const skip =
  BINARY === null || SIMULATION === null
    ? 'MUSTER_BIN and MUSTER_SIMULATION_BIN must name binaries'
    : HAS_BROWSER
      ? false
      : 'there is no chromium';
const HOSTS = 3;

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
  state = await mkdtemp(join(tmpdir(), 'muster-e2e-alerts-'));
  const options = ['--server', server.page, '--token', stdout.trim().split('\n').at(-1)];
  fleet = spawn(SIMULATION, [...options, '--hosts', String(HOSTS), '--state-dir', state], {
    stdio: 'ignore',
  });
});

after(async () => {
  if (fleet !== undefined) await end(fleet, 'SIGKILL');
  await browser?.close();
  await server?.stop();
  if (state !== undefined) await rm(state, { recursive: true, force: true });
});

async function signIn(page) {
  await page.getByLabel('User').fill(USER);
  await page.getByLabel('Password').fill(PASSWORD);
  await page.getByRole('button', { name: 'Sign in' }).click();
}

test(
  'a host that falls silent is listed, acknowledged, silenced, and then no longer told',
  { skip },
  async () => {
    const { page, close } = await openPage(browser);
    await page.goto(`${server.page}/`);
    await signIn(page);
    // All hosts report before the fleet dies at once, without a goodbye.
    for (const host of ['app-0001', 'db-0002']) {
      await page.getByRole('link', { name: host, exact: true }).waitFor();
    }
    fleet.kill('SIGKILL');
    await page.keyboard.press('g');
    await page.keyboard.press('a');
    await page.waitForURL(/\/alerts$/);
    const list = page.getByRole('list', { name: 'Alerts' });
    const row = list.getByRole('listitem').filter({ hasText: 'HostSilent' }).filter({
      hasText: 'app-0001',
    });
    await row.first().waitFor();
    await page.waitForFunction(() => /^\(\d+\+?\) /.test(document.title));
    await row.getByRole('link').first().click();
    await page.waitForURL(/\/alerts\/\w+$/);
    const trail = page.getByRole('region', { name: 'Paper trail' });
    await trail.getByText('Fires', { exact: true }).first().waitFor();

    await page.getByRole('button', { name: /^Acknowledge/ }).click();
    await page.getByRole('button', { name: /^Take back/ }).waitFor();

    await page.getByRole('button', { name: /^Silence/ }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByText('Hides 1 alert that is there now').waitFor();
    await dialog.getByLabel('Why').fill('known: the machine is being moved');
    await dialog.getByRole('button', { name: 'Silence', exact: true }).click();
    await dialog.waitFor({ state: 'hidden' });
    await page.getByText(/nobody is told: silenced/).waitFor();

    await page.goto(`${server.page}/alerts?show=told`);
    await list.or(page.getByText('No alert matches the filter.')).first().waitFor();
    await row.first().waitFor({ state: 'detached' });
    await page.goto(`${server.page}/alerts?tab=silences`);
    const silence = page.getByRole('row').filter({ hasText: 'the machine is being moved' });
    await silence.waitFor();
    await silence.getByRole('button', { name: 'End now' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'End now' }).click();
    await silence.filter({ hasText: 'Over' }).waitFor();
    assert.equal(await silence.count(), 1);
    await close();
  },
);
