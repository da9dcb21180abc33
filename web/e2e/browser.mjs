/** A browser for tests. What a page complains of on its console fails the test. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';

import { chromium } from 'playwright-core';

const PATH = process.env['CHROMIUM'] ?? '/usr/bin/chromium';
const FLAGS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];
/** The page asks who is signed in; the browser itself notes the refusal, which is no fault. */
const EXPECTED = /status of 401/;

/** What the browser also notes while a server is silent: that its requests came to nothing. */
export const EXPECTED_WHILE_AWAY = /status of 401|Failed to load resource/;

/** How long anything may take to come true, on a machine that is busy with other things. */
export const PATIENCE_MS = 120_000;

/** Whether there is a browser to test with. */
export const HAS_BROWSER = existsSync(PATH);

export function openBrowser() {
  return chromium.launch({ executablePath: PATH, args: FLAGS });
}

/** A fresh person's page; `close()` fails where the console had any complaint but the expected ones. */
export async function openPage(browser, options = {}, expected = EXPECTED) {
  const context = await browser.newContext({
    viewport: { width: 1440, height: 900 },
    locale: 'en-GB',
    colorScheme: 'light',
    ...options,
  });
  context.setDefaultTimeout(PATIENCE_MS);
  const page = await context.newPage();
  const complaints = [];
  page.on('pageerror', (error) => complaints.push(String(error)));
  page.on('console', (message) => {
    const bad = message.type() === 'error' || message.type() === 'warning';
    if (bad && !expected.test(message.text())) complaints.push(message.text());
  });
  return {
    page,
    async close() {
      await context.close();
      assert.deepEqual(complaints, []);
    },
  };
}
