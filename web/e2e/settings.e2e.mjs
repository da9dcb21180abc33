/** The settings as people use them: others are let in, tokens are made, a second factor guards the sign-in. */
import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { after, before, test } from 'node:test';

import { HAS_BROWSER, openBrowser, openPage } from './browser.mjs';
import { BINARY, PASSWORD, startServer, USER } from './server.mjs';

const skip =
  BINARY === null ? 'MUSTER_BIN names no binary' : HAS_BROWSER ? false : 'there is no chromium';
const STEP_MS = 30_000;

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

async function signIn(page, user, password) {
  await page.getByLabel('User').fill(user);
  await page.getByLabel('Password').fill(password);
  await page.getByRole('button', { name: 'Sign in' }).click();
}

/** The six digits of RFC 6238 for a secret in base32, at a step of time. */
function totp(secret, step) {
  const bits = [...secret]
    .map((letter) =>
      'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'.indexOf(letter).toString(2).padStart(5, '0'),
    )
    .join('');
  const key = Buffer.from((bits.match(/.{8}/g) ?? []).map((byte) => Number.parseInt(byte, 2)));
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(step));
  const digest = createHmac('sha1', key).update(counter).digest();
  const at = digest[19] & 15;
  return String((digest.readUInt32BE(at) & 0x7fffffff) % 1_000_000).padStart(6, '0');
}

test('an administrator makes a person, a token and a command to join', { skip }, async () => {
  const { page, close } = await openPage(browser);
  await page.goto(`${server.page}/settings/people`);
  await signIn(page, USER, PASSWORD);
  await page.getByRole('button', { name: 'Add a person' }).click();
  const form = page.getByRole('dialog', { name: 'Add a person' });
  await form.getByLabel('Name').fill('ada');
  await form.getByRole('button', { name: 'Add', exact: true }).click();
  const once = page.getByRole('dialog', { name: 'The password of ada' });
  const password = (await once.locator('code').innerText()).trim();
  await once.getByRole('button', { name: 'Done' }).click();
  await page.getByRole('row').filter({ hasText: 'ada' }).waitFor();

  await page.getByRole('link', { name: 'API tokens' }).click();
  await page.getByRole('button', { name: 'New token' }).click();
  await page.getByLabel('For what').fill('Grafana');
  await page.getByRole('button', { name: 'Make', exact: true }).click();
  await page.getByRole('button', { name: 'Done' }).click();
  await page.getByRole('button', { name: 'Revoke Grafana' }).waitFor();

  await page.getByRole('link', { name: 'Agents' }).click();
  await page.getByRole('button', { name: 'New enrolment token' }).click();
  await page.getByRole('button', { name: 'Make the command' }).click();
  const join = page.getByRole('dialog', { name: 'The command to join' });
  assert.match(
    await join.locator('code').innerText(),
    /^s=\"\$\(curl .*sha256sum.*MUSTER_TOKEN=.* --server \S+;/,
  );
  await close();

  // Who only looks is offered nothing more, not even by an address.
  const viewer = await openPage(browser);
  await viewer.page.goto(`${server.page}/settings`);
  await signIn(viewer.page, 'ada', password);
  const sections = viewer.page.getByRole('navigation', { name: 'Settings' }).getByRole('link');
  await sections.first().waitFor();
  assert.deepEqual(await sections.allInnerTexts(), ['Account', 'About']);
  await viewer.page.goto(`${server.page}/settings/people`);
  await viewer.page.getByText('This is an administrator').waitFor();
  await viewer.close();
});

test('a second factor is set up and then asked for', { skip }, async () => {
  const { page, close } = await openPage(browser, {}, /status of (401|403)/);
  await page.goto(`${server.page}/settings/account`);
  await signIn(page, USER, PASSWORD);
  await page.getByRole('button', { name: 'Set up a second factor' }).click();
  const form = page.getByRole('dialog', { name: 'Set up a second factor' });
  await form.getByLabel('Password').fill(PASSWORD);
  await form.getByRole('button', { name: 'Next' }).click();
  const secret = (await form.locator('code').innerText()).trim();
  await form.getByRole('img', { name: 'QR code' }).waitFor();
  await form.getByLabel('The six digits').fill(totp(secret, Math.floor(Date.now() / STEP_MS)));
  await form.getByRole('button', { name: 'Turn on' }).click();
  const codes = page.getByRole('dialog', { name: 'Recovery codes' });
  const recovery = (await codes.locator('code').innerText()).trim().split(/\s+/);
  assert.equal(recovery.length, 10);
  await codes.getByRole('button', { name: 'Done' }).click();
  await page.getByText('10 recovery codes are left').waitFor();

  await page.getByRole('button', { name: 'Sign out' }).click();
  await signIn(page, USER, PASSWORD);
  await page.getByLabel('Code of your second factor').fill('not a code');
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByText('The code is wrong').waitFor();
  await page.getByLabel('Code of your second factor').fill(recovery[0]);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByRole('link', { name: 'Explore' }).waitFor();
  await close();
});
