/** A channel that is tested, a threshold of a group, and an own rule with what it would have fired. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { after, before, test } from 'node:test';

import { HAS_BROWSER, openBrowser, openPage } from './browser.mjs';
import { BINARY, PASSWORD, startServer, USER } from './server.mjs';

const skip =
  BINARY === null ? 'MUSTER_BIN must name a binary' : HAS_BROWSER ? false : 'there is no chromium';
/** A text that is half written cannot be replayed: the server says so, and the browser notes it. */
const EXPECTED = /status of 40[01]/;
const ALWAYS = `groups:
  - name: mine
    rules:
      - alert: ServerIsThere
        expr: muster_tsdb_disk_full < 5
        labels: {severity: warning}
`;

let server;
let browser;
let receiver;
const received = [];

before(async () => {
  if (skip !== false) return;
  receiver = createServer((request, response) => {
    received.push(request.url);
    request.resume().on('end', () => response.end('thank you'));
  }).listen(0, '127.0.0.1');
  await once(receiver, 'listening');
  [server, browser] = await Promise.all([startServer(), openBrowser()]);
});

after(async () => {
  await browser?.close();
  await server?.stop();
  receiver?.closeAllConnections();
  receiver?.close();
});

async function signIn(page) {
  await page.getByLabel('User').fill(USER);
  await page.getByLabel('Password').fill(PASSWORD);
  await page.getByRole('button', { name: 'Sign in' }).click();
}

test('a channel is made and tested, a threshold changed, a rule written', { skip }, async () => {
  const { page, close } = await openPage(browser, {}, EXPECTED);
  const dialog = page.getByRole('dialog');
  await page.goto(`${server.page}/rules/channels`);
  await signIn(page);

  await page.getByRole('button', { name: 'New channel' }).first().click();
  await dialog.getByLabel('Name').fill('chat');
  const { port } = receiver.address();
  await dialog.getByLabel('Address').fill(`http://127.0.0.1:${port}/hook`);
  await dialog.getByRole('button', { name: 'Save' }).click();
  await dialog.waitFor({ state: 'hidden' });
  await page.getByRole('button', { name: 'Send a test' }).click();
  await page.getByText('Taken: 200 OK: thank you').waitFor();
  assert.ok(received.includes('/hook'));

  await page.goto(`${server.page}/rules?rule=memory_low`);
  await dialog.getByRole('button', { name: 'a group' }).click();
  await dialog.getByLabel('a group').last().fill('web');
  await dialog
    .getByLabel(/: threshold$/)
    .first()
    .fill('33');
  await dialog.getByText('As written here').waitFor();
  await dialog.locator('.replay canvas').waitFor();
  await dialog.getByRole('button', { name: 'Save' }).click();
  await dialog.waitFor({ state: 'hidden' });
  await page
    .getByRole('listitem')
    .filter({ hasText: 'MemoryLow' })
    .getByText('web', { exact: false })
    .waitFor();

  await page.goto(`${server.page}/rules/own`);
  await page.getByRole('button', { name: 'New rules' }).first().click();
  await dialog.getByLabel('Name').fill('mine');
  await dialog.getByLabel('YAML').fill('groups: [');
  await dialog
    .getByText(/line 1/)
    .first()
    .waitFor();
  await dialog.getByLabel('YAML').fill(ALWAYS);
  await dialog.getByText('Nothing is wrong with it').waitFor();
  await dialog
    .getByText(/^Firings: \d+, messages: \d+$/)
    .first()
    .waitFor();
  await dialog.locator('.replay canvas').waitFor();
  await dialog.getByRole('button', { name: 'Save' }).click();
  await dialog.waitFor({ state: 'hidden' });
  await page.getByText('ServerIsThere').waitFor();
  await close();
});
