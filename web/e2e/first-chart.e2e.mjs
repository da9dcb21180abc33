/** How long a newcomer waits: from the start of the binary to the first chart that moves. */
import assert from 'node:assert/strict';
import { hostname } from 'node:os';
import { test } from 'node:test';

import { HAS_BROWSER, openBrowser, openPage } from './browser.mjs';
import { BINARY, PASSWORD, startServer, USER } from './server.mjs';

const skip =
  BINARY === null ? 'MUSTER_BIN names no binary' : HAS_BROWSER ? false : 'there is no chromium';

test('the first chart moves soon after the first start', { skip }, async (context) => {
  const browser = await openBrowser();
  const { page, close } = await openPage(browser);
  const started = performance.now();
  const server = await startServer();
  try {
    await page.goto(`${server.page}/hosts/${encodeURIComponent(hostname())}`);
    await page.getByLabel('User').fill(USER);
    await page.getByLabel('Password').fill(PASSWORD);
    await page.getByRole('button', { name: 'Sign in' }).click();
    const chart = page.getByRole('region', { name: 'CPU by mode' });
    const line = chart
      .getByRole('row')
      .filter({ hasText: /User.*\d/s })
      .first();
    const first = await line.innerText();
    // Looked up anew each time: the row may be another element by then.
    while ((await line.innerText()) === first) await page.waitForTimeout(20);
    const seconds = (performance.now() - started) / 1_000;
    context.diagnostic(
      `the first chart moved ${seconds.toFixed(2)} s after the binary was started`,
    );
    assert.ok(await chart.locator('canvas').isVisible());
    await close();
  } finally {
    await browser.close();
    await server.stop();
  }
});
