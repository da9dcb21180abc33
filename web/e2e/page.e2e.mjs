/** The page as a person uses it, against the real server and this machine's own agent. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { after, before, test } from 'node:test';

import {
  EXPECTED_WHILE_AWAY,
  HAS_BROWSER,
  openBrowser,
  openPage,
  PATIENCE_MS,
} from './browser.mjs';
import { BINARY, PASSWORD, startServer, USER } from './server.mjs';

const skip =
  BINARY === null ? 'MUSTER_BIN names no binary' : HAS_BROWSER ? false : 'there is no chromium';
const HOST = hostname();

let server;
let browser;
/** Every load that this machine has had while the tests ran, as the page writes it: with three figures. */
const loads = new Set();
let watch;

before(async () => {
  if (skip !== false) return;
  [server, browser] = await Promise.all([startServer(), openBrowser()]);
  const read = async () => {
    const load = Number((await readFile('/proc/loadavg', 'utf8')).split(' ')[0]);
    loads.add(load.toFixed(load < 10 ? 2 : load < 100 ? 1 : 0));
  };
  await read();
  watch = setInterval(read, 250);
});

after(async () => {
  clearInterval(watch);
  await browser?.close();
  await server?.stop();
});

async function signIn(page, password = PASSWORD) {
  await page.getByLabel('User').fill(USER);
  await page.getByLabel('Password').fill(password);
  await page.getByRole('button', { name: 'Sign in' }).click();
}

/** Where a thing is, once it stands still on the page. */
async function boxOf(thing) {
  const end = performance.now() + PATIENCE_MS;
  let before = null;
  while (performance.now() < end) {
    const box = await thing.boundingBox();
    if (box !== null && JSON.stringify(box) === JSON.stringify(before)) return box;
    before = box;
    await new Promise((resume) => setTimeout(resume, 100));
  }
  return assert.fail('it never stood still on the page');
}

/** Whether the kernel told this load, which the page may show with fewer digits, as it does from 10 on. */
function isLoad(shown) {
  if (!/^\d+(\.\d+)?$/.test(shown)) return false;
  const digits = shown.split('.')[1]?.length ?? 0;
  return [...loads].some((load) => Number(load).toFixed(digits) === shown);
}

/** Reads until what is read was a load of this machine; what cannot be read at one moment may be at the next. */
async function readLoad(read) {
  let seen = '';
  const end = performance.now() + PATIENCE_MS;
  while (performance.now() < end) {
    seen = await read().then(
      (text) => text.trim(),
      (error) => String(error),
    );
    if (isLoad(seen)) return;
    await new Promise((resume) => setTimeout(resume, 500));
  }
  assert.fail(`the page says ${seen}, the kernel said ${[...loads].join(', ')}`);
}

test(
  'a wrong password is told, the right one leads to the fleet with this host',
  { skip },
  async () => {
    const { page, close } = await openPage(browser);
    await page.goto(server.page);
    await signIn(page, 'wrong');
    await page.getByText('User or password is wrong.').waitFor();
    await signIn(page);
    await page.getByRole('heading', { level: 1, name: /1 host|Your host/ }).waitFor();
    const row = page
      .getByRole('row')
      .filter({ has: page.getByRole('link', { name: HOST, exact: true }) });
    await row.waitFor();
    await readLoad(() => row.locator('td.load').innerText());
    await close();
  },
);

test(
  'a link to a host asks for the password, then shows what the kernel says',
  { skip },
  async () => {
    const { page, close } = await openPage(browser);
    await page.goto(`${server.page}/hosts/${encodeURIComponent(HOST)}`);
    await signIn(page);
    await page.getByRole('heading', { level: 1, name: HOST }).waitFor();
    const chart = page.getByRole('region', { name: 'Load against CPUs' });
    const line = chart.getByRole('row').filter({ hasText: '1 min' }).first();
    await readLoad(() => line.getByRole('cell').first().innerText());

    // The newest point, read back from the plot by pointing at it.
    await readLoad(async () => {
      const plot = await boxOf(chart.locator('.u-over'));
      await page.mouse.move(plot.x + plot.width / 2, plot.y - 60);
      await page.mouse.move(plot.x + plot.width - 3, plot.y + plot.height / 2);
      const told = chart.getByRole('status').getByRole('row').filter({ hasText: '1 min' }).first();
      return told.getByRole('cell').last().innerText({ timeout: 5_000 });
    });
    await page.getByText('Paused').waitFor();
    await close();
  },
);

test('drag to zoom, Ctrl+Z to go back, and the address says where one is', { skip }, async () => {
  const { page, close } = await openPage(browser);
  await page.goto(`${server.page}/hosts/${encodeURIComponent(HOST)}?range=1h`);
  await signIn(page);
  const chart = page.getByRole('region', { name: 'CPU by mode' });
  await chart.getByRole('row').filter({ hasText: 'User' }).waitFor();
  await chart.locator('.u-over').hover();
  const plot = await boxOf(chart.locator('.u-over'));
  const middle = plot.y + plot.height / 2;
  await page.mouse.move(plot.x + plot.width / 2, middle);
  await page.mouse.down();
  await page.mouse.move(plot.x + plot.width - 5, middle, { steps: 4 });
  await page.mouse.up();
  await page.waitForURL(/from=\d+&to=\d+/);
  await page.keyboard.press('Control+z');
  await page.waitForURL(/range=1h/);
  await close();
});

test('language and theme change at once and stay', { skip }, async () => {
  const { page, close } = await openPage(browser);
  await page.goto(server.page);
  await signIn(page);
  await page.getByRole('button', { name: '中文' }).click();
  await page.getByRole('heading', { level: 1, name: /台主机/ }).waitFor();
  await page.getByRole('button', { name: '切换到深色' }).click();
  await page.reload();
  await page.getByRole('heading', { level: 1, name: /台主机/ }).waitFor();
  const root = await page.evaluate(() => [
    document.documentElement.lang,
    getComputedStyle(document.documentElement).colorScheme,
  ]);
  assert.deepEqual(root, ['zh-CN', 'dark']);
  await page.getByRole('button', { name: '退出登录' }).click();
  await page.getByLabel('用户名').waitFor();
  await close();
});

test('the keyboard alone leads to a host', { skip }, async () => {
  const { page, close } = await openPage(browser);
  await page.goto(server.page);
  await signIn(page);
  await page.getByRole('link', { name: HOST, exact: true }).waitFor();
  await page.keyboard.press('Control+k');
  // Whoever types before there is a place for it types into the void.
  await page.getByRole('combobox').and(page.locator(':focus')).waitFor();
  await page.keyboard.type(HOST);
  // The host comes before its file systems.
  await page.getByRole('option', { name: HOST, selected: true }).waitFor();
  await page.keyboard.press('Enter');
  await page.getByRole('heading', { level: 1, name: HOST }).waitFor();
  await page.keyboard.press('g');
  await page.keyboard.press('f');
  await page.waitForURL(`${server.page}/`);
  await page.getByRole('link', { name: HOST, exact: true }).waitFor();
  await page.keyboard.press('j');
  await page.keyboard.press('Enter');
  await page.getByRole('heading', { level: 1, name: HOST }).waitFor();
  await close();
});

test('a server that falls silent is told, and its return too', { skip }, async () => {
  const { page, close } = await openPage(browser, {}, EXPECTED_WHILE_AWAY);
  await page.goto(server.page);
  await signIn(page);
  await page.getByText('Live', { exact: true }).waitFor();
  server.freeze();
  try {
    await page.getByText(/Stale for/).waitFor();
  } finally {
    server.thaw();
  }
  await page.getByText('Live', { exact: true }).waitFor();
  await close();
});

/** Waits until a host's charts have lines. */
async function charted(page) {
  for (const name of ['CPU by mode', 'Memory']) {
    const chart = page.getByRole('region', { name });
    await chart.getByRole('cell').filter({ hasText: /\d/ }).first().waitFor();
  }
}

test(
  'address after address in one tab, then three tabs: each shows its charts',
  { skip },
  async () => {
    const { page, close } = await openPage(browser);
    const host = `${server.page}/hosts/${encodeURIComponent(HOST)}`;
    await page.goto(host);
    await signIn(page);
    await charted(page);
    const ranges = ['15m', '1h', '6h', '24h', '48h', '72h', 'live-15m', '7d'];
    for (const range of ranges) {
      await page.goto(`${host}?range=${range}`);
      await charted(page);
    }
    await page.goBack();
    await page.goBack();
    await charted(page);
    const others = [await page.context().newPage(), await page.context().newPage()];
    for (const other of others) {
      await other.goto(host);
      await charted(other);
    }
    await close();
  },
);

test('a server that is away is told on both screens', { skip }, async () => {
  const { page, close } = await openPage(browser, {}, EXPECTED_WHILE_AWAY);
  await page.goto(`${server.page}/hosts/${encodeURIComponent(HOST)}`);
  await signIn(page);
  await charted(page);
  server.freeze();
  try {
    await page.getByText(/No connection to the server since/).waitFor();
    await page.getByText('State unknown').waitFor();
    await charted(page);
  } finally {
    server.thaw();
  }
  // What is said instead depends on this machine: that it reports, or that its disk is nearly full.
  await page.getByText('State unknown').waitFor({ state: 'hidden' });
  await page.getByText(/No connection to the server/).waitFor({ state: 'hidden' });
  await close();
});
