/** Fleet and Disks as a person uses them: filter, tiles, the past, file systems and their trends. */
import assert from 'node:assert/strict';
import { hostname } from 'node:os';
import { after, before, test } from 'node:test';

import { HAS_BROWSER, openBrowser, openPage } from './browser.mjs';
import { BINARY, PASSWORD, startServer, USER } from './server.mjs';

const skip =
  BINARY === null ? 'MUSTER_BIN names no binary' : HAS_BROWSER ? false : 'there is no chromium';
const HOST = hostname();

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

async function open(path) {
  const opened = await openPage(browser);
  await opened.page.goto(`${server.page}${path}`);
  await opened.page.getByLabel('User').fill(USER);
  await opened.page.getByLabel('Password').fill(PASSWORD);
  await opened.page.getByRole('button', { name: 'Sign in' }).click();
  return opened;
}

/** The row of this machine, which the agent in the server's own process makes appear. */
function rowOf(page) {
  return page.getByRole('row').filter({ has: page.getByRole('link', { name: HOST, exact: true }) });
}

test(
  'the filter offers fields, says what it cannot understand, and is in the address',
  { skip },
  async () => {
    const { page, close } = await open('/');
    await rowOf(page).waitFor();
    await page.keyboard.press('/');
    const field = page.getByRole('combobox', { name: 'Filter hosts' });
    await field.pressSequentially('sta');
    await page.getByRole('option', { name: /^state:/ }).waitFor();
    await page.keyboard.press('ArrowDown');
    await page.keyboard.press('Enter');
    await page.getByRole('option', { name: /^state:silent/ }).click();
    await page.waitForURL(/filter=state%3Asilent/);
    await page.getByText(/No host matches/).waitFor();
    await field.fill('dsik>80');
    await page.getByText(/There is no field “dsik”/).waitFor();
    await rowOf(page).waitFor();
    await page.keyboard.press('Escape');
    await page.waitForURL(`${server.page}/`);
    await close();
  },
);

test('a tile leads to its host, and a reload keeps the tiles', { skip }, async () => {
  const { page, close } = await open('/');
  await page.getByRole('button', { name: 'Tiles' }).click();
  await page.waitForURL(/view=tiles/);
  await page.getByLabel('Colour by').selectOption({ label: 'CPU' });
  await page.reload();
  const tile = page.getByRole('link', { name: new RegExp(`^${HOST}: [\\d.]+%$`) });
  await tile.click();
  await page.getByRole('heading', { level: 1, name: HOST }).waitFor();
  await close();
});

test(
  'a step back shows the past, which says so, and “Back to live” ends it',
  { skip },
  async () => {
    const { page, close } = await open('/');
    await rowOf(page).waitFor();
    await page.getByRole('button', { name: 'Past' }).click();
    await page.getByRole('button', { name: '1 h', exact: true }).click();
    await page.getByText('Live', { exact: true }).waitFor();
    await page.getByRole('button', { name: 'Step back' }).click();
    await page.waitForURL(/at=\d+/);
    await page.getByRole('heading', { level: 1, name: /needed you/ }).waitFor();
    assert.equal(await page.getByText('Live', { exact: true }).count(), 0);
    const slider = page.getByRole('slider', { name: 'Moment that is shown' });
    const before = new URL(page.url()).searchParams.get('at');
    await slider.focus();
    await page.keyboard.press('ArrowLeft');
    await page.waitForURL((url) => Number(url.searchParams.get('at')) < Number(before));
    await page.getByRole('button', { name: 'Back to live' }).click();
    await page.waitForURL((url) => !url.searchParams.has('at'));
    await rowOf(page).waitFor();
    await page.getByText('Live', { exact: true }).waitFor();
    await close();
  },
);

test('the keyboard leads to the disks, a row to its trend', { skip }, async (context) => {
  const { page, close } = await open('/');
  await rowOf(page).waitFor();
  await page.keyboard.press('g');
  await page.keyboard.press('d');
  await page.waitForURL(/\/disks$/);
  const heading = page.getByRole('heading', { level: 1 });
  await heading.waitFor();
  const systems = await page.evaluate(async () => {
    const answer = await fetch('/api/muster/v1/file-systems');
    return (await answer.json()).file_systems;
  });
  const [first] = systems;
  if (first === undefined) {
    context.diagnostic('this machine tells of no file system');
    await close();
    return;
  }
  await page
    .getByRole('link', { name: `${first.instance}:${first.mountpoint}`, exact: true })
    .click();
  await page.waitForURL(/open=/);
  const trend = page.getByRole('dialog', { name: `Trend of ${first.mountpoint}` });
  const chart = trend.getByRole('region', { name: 'Used against size' });
  await chart.getByRole('cell').filter({ hasText: /\d/ }).first().waitFor();
  await trend.getByRole('button', { name: '30 d' }).click();
  await page.waitForURL(/range=30d/);
  await page.keyboard.press('Escape');
  await page.waitForURL((url) => !url.searchParams.has('open'));
  await page.keyboard.press('Control+k');
  await page.getByRole('combobox').and(page.locator(':focus')).waitFor();
  await page.keyboard.type(`${first.instance} ${first.mountpoint}`);
  await page
    .getByRole('option', { name: /File system/ })
    .first()
    .waitFor();
  await close();
});
