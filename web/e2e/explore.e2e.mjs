/** Explore as a person uses it, against the real server and this machine's own agent. */
import assert from 'node:assert/strict';
import { hostname } from 'node:os';
import { after, before, test } from 'node:test';

import { HAS_BROWSER, openBrowser, openPage } from './browser.mjs';
import { BINARY, PASSWORD, startServer, USER } from './server.mjs';

const skip =
  BINARY === null ? 'MUSTER_BIN names no binary' : HAS_BROWSER ? false : 'there is no chromium';
const HOST = hostname();
/** A refused query is noted by the browser, too. */
const EXPECTED = /status of 40[01]/;

let server;
let browser;

before(async () => {
  if (skip !== false) return;
  [server, browser] = await Promise.all([startServer(), openBrowser()]);
});

after(async () => {
  await browser?.close();
  await server?.stop();
});

/** Explore with this address's query, signed in. */
async function explore(query = '') {
  const opened = await openPage(browser, { acceptDownloads: true }, EXPECTED);
  await opened.page.goto(`${server.page}/explore${query}`);
  await opened.page.getByLabel('User').fill(USER);
  await opened.page.getByLabel('Password').fill(PASSWORD);
  await opened.page.getByRole('button', { name: 'Sign in' }).click();
  await opened.page.getByRole('listitem', { name: 'Query A' }).waitFor();
  return opened;
}

const editor = (page, letter) => page.getByRole('textbox', { name: `Query ${letter}` });

/** The queries that an address holds, in order. */
const queries = (page) => new URL(page.url()).searchParams.getAll('q');

/** Runs what is written until it has series: a fresh server has none for its first seconds. */
async function runUntilSeries(page, letter = 'A') {
  const row = page.getByRole('listitem', { name: `Query ${letter}` });
  const answered = row.getByText(/^[1-9]\d* series/);
  for (let turn = 0; turn < 30; turn += 1) {
    await page.getByRole('button', { name: 'Run', exact: true }).click();
    try {
      await answered.waitFor({ timeout: 2_000 });
      return;
    } catch {
      // Not measured yet.
    }
  }
  await answered.waitFor();
}

/** Moves to a completion and takes it; a list that has only just opened does not move yet. */
async function choose(page, name) {
  const wanted = page.getByRole('option', { name });
  await wanted.waitFor();
  for (let turn = 0; turn < 50; turn += 1) {
    if ((await wanted.getAttribute('aria-selected')) === 'true') break;
    await page.keyboard.press('ArrowDown');
    await page.waitForTimeout(100);
  }
  await page.keyboard.press('Enter');
}

test(
  'typed with completion, a query becomes a chart, and the address holds it',
  { skip },
  async () => {
    const { page, close } = await explore();
    // The metric is known to the completion once it was measured.
    await editor(page, 'A').fill('node_load1');
    await runUntilSeries(page);
    await page.keyboard.press('Escape');
    await page.goto(`${server.page}/explore`);
    await editor(page, 'A').click();
    await page.keyboard.type('max(node_load1');
    await choose(page, /node_load15/);
    await page.waitForFunction(() => {
      const host = document.querySelector('.editor');
      return host?.shadowRoot?.textContent?.includes('max(node_load15)');
    });
    await page.keyboard.press('End');
    await page.keyboard.press('Enter');
    await page.waitForURL(/q=/);
    assert.deepEqual(queries(page), ['max(node_load15)']);
    const chart = page.getByRole('region', { name: 'max(node_load15)' });
    await chart
      .getByRole('row')
      .filter({ hasText: /max\(node_load15\).*\d/s })
      .first()
      .waitFor();
    assert.ok(await chart.locator('canvas').isVisible());
    await close();
  },
);

test('an error stands at its query, and the others answer all the same', { skip }, async () => {
  const { page, close } = await explore('?q=node_load1+%2B&q=vector(7)');
  const first = page.getByRole('listitem', { name: 'Query A' });
  await first.getByRole('alert').getByText('the expression ends too early').waitFor();
  await page.locator('.cm-lintRange-error').first().waitFor();
  const second = page.getByRole('listitem', { name: 'Query B' });
  await second.getByText('1 series').waitFor();
  await page.getByRole('heading', { name: '1 series; 1 of 2 queries failed' }).waitFor();
  // What is replaced leaves nothing of its look behind, and nothing on the console.
  await editor(page, 'A').click();
  await page.keyboard.press('Control+a');
  await page.keyboard.type('vector(3)');
  await page.keyboard.press('Control+Enter');
  await first.getByText('1 series').waitFor();
  assert.deepEqual(queries(page), ['vector(3)', 'vector(7)']);
  await close();
});

test('without PromQL: a metric, a filter, a sum, and a table of it', { skip }, async () => {
  const { page, close } = await explore('?q=node_network_receive_bytes_total');
  await runUntilSeries(page);
  await page.goto(`${server.page}/explore`);
  await page.getByRole('button', { name: 'Builder' }).click();
  await page.getByRole('button', { name: /^Choose a metric/ }).click();
  await page.keyboard.type('receive bytes');
  await page.getByRole('option', { name: 'node_network_receive_bytes_total' }).click();
  // A counter is read as a rate by itself.
  await page.waitForURL(/q=rate/);
  await page.getByRole('button', { name: 'Filter', exact: true }).click();
  await page.getByRole('button', { name: /^Label/ }).click();
  await page.getByRole('option', { name: 'device', exact: true }).click();
  await page.getByRole('button', { name: /^Value/ }).click();
  await page.getByRole('option', { name: 'lo', exact: true }).click();
  await page.keyboard.press('Escape');
  await page.getByLabel('Sum up').selectOption({ label: 'Sum' });
  await page.getByRole('button', { name: /^all together/ }).click();
  await page.getByRole('option', { name: 'instance', exact: true }).click();
  await page.keyboard.press('Escape');
  const built = 'sum by (instance) (rate(node_network_receive_bytes_total{device="lo"}[5m]))';
  await page.getByText(built, { exact: true }).first().waitFor();
  assert.deepEqual(queries(page), [built]);
  await page.getByRole('button', { name: 'Table', exact: true }).click();
  const table = page.getByRole('region', { name: 'Table' });
  await table.getByRole('cell', { name: HOST, exact: true }).waitFor();
  await page.waitForURL(/view=table/);
  const saving = page.waitForEvent('download');
  await table.getByRole('button', { name: 'Save as CSV' }).click();
  assert.equal((await saving).suggestedFilename(), 'explore.csv');
  await close();
});

test('the address carries it all, and a host’s chart leads here', { skip }, async () => {
  const shared = '?q=vector(1)&off=vector(2)&q=vector(3)&view=table&range=6h&tz=utc';
  const { page, close } = await explore(shared);
  const table = page.getByRole('region', { name: 'Table' });
  await table.getByRole('row').filter({ hasText: 'C' }).filter({ hasText: '3' }).first().waitFor();
  assert.equal(await table.getByRole('row').count(), 3);
  await page.getByRole('listitem', { name: 'Query B' }).getByText('Switched off').waitFor();
  await page.getByRole('button', { name: '6 h', pressed: true }).waitFor();
  await page.getByRole('button', { name: 'UTC' }).waitFor();
  await page.getByRole('button', { name: 'Ask query B' }).click();
  await table.getByRole('row').nth(3).waitFor();
  assert.deepEqual(queries(page), ['vector(1)', 'vector(2)', 'vector(3)']);
  await page.goBack();
  await page.getByRole('listitem', { name: 'Query B' }).getByText('Switched off').waitFor();
  await page.getByRole('button', { name: 'History' }).click();
  await page.getByRole('list', { name: 'History' }).getByText('vector(2)').waitFor();
  await page.keyboard.press('Escape');

  await page.goto(`${server.page}/hosts/${encodeURIComponent(HOST)}?range=1h`);
  await page.getByRole('link', { name: 'Explore: Load against CPUs' }).click();
  await page.waitForURL(/\/explore\?q=/);
  assert.equal(queries(page).length, 3);
  await page.getByRole('heading', { name: /^[1-9]\d* series$/ }).waitFor();
  await close();
});
