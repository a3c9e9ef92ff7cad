// A browser for the tests, and what they ask of every screen.

import assert from 'node:assert/strict';
import { mkdir, readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { chromium } from 'playwright-core';
import { ROOT } from '../service.js';

const axe = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
/** Chromium is Debian's. Without these it looks for hosts of its maker at every start. */
const ARGUMENTS = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync'];
/** Pictures for the documentation are taken when somebody asks for them: they depend on the fonts that are there. */
const PICTURES = process.env.UPDATE_IMAGES ? join(ROOT, 'docs/images') : undefined;

export const launch = () => chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: ARGUMENTS });

/** The requests of each page that have not been answered yet. */
const underWay = new WeakMap();

/** A page of its own, with nothing kept from others. Faults of the page's scripts fail the test. */
export async function open(browser, { phone = false, dark = false, locale = 'en-GB', token } = {}) {
  const context = await browser.newContext({
    viewport: phone ? { width: 360, height: 740 } : { width: 1280, height: 860 },
    colorScheme: dark ? 'dark' : 'light', locale, reducedMotion: 'reduce', deviceScaleFactor: 1,
  });
  context.setDefaultTimeout(20_000);
  const page = await context.newPage();
  const faults = [];
  const asked = new Set();
  underWay.set(page, asked);
  page.on('request', (request) => asked.add(request));
  for (const end of ['requestfinished', 'requestfailed']) page.on(end, (request) => asked.delete(request));
  page.on('pageerror', (error) => faults.push(error.stack));
  page.on('console', (message) => {
    // A refused request is told there as well; what the console makes of it is for the test to look at.
    if (message.type() === 'error' && !message.text().startsWith('Failed to load resource')) faults.push(message.text());
  });
  if (token) await page.addInitScript((kept) => sessionStorage.setItem('overair.token', kept), token);
  return {
    page,
    async close() {
      await context.close();
      assert.deepEqual(faults, []);
    },
  };
}

/** Waits until a page has what it asked for: twice in a row, because one answer may lead to the next question. */
export async function calm(page) {
  let looks = 0;
  await until('the page has what it asked for', async () => {
    const quiet = underWay.get(page).size === 0 && await page.locator('.skeleton').count() === 0;
    looks = quiet ? looks + 1 : 0;
    return looks === 2;
  });
}

/** Asks axe for what keeps people out: no serious fault, and nothing that is wider than the page. */
export async function check(page, screen) {
  // The page's policy lets in no script from elsewhere; the debugger's evaluation is not held to it.
  if (!await page.evaluate(() => 'axe' in globalThis)) await page.evaluate(axe);
  const { violations } = await page.evaluate(() => globalThis.axe.run(document, {
    runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'],
  }));
  const grave = violations.filter((one) => ['serious', 'critical'].includes(one.impact))
    .map((one) => `${one.id}: ${one.nodes.slice(0, 3).map((node) => `${node.html} ${node.failureSummary}`).join('\n')}`);
  assert.deepEqual(grave, [], screen);
  const overflow = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  assert.ok(overflow <= 0, `${screen} is ${overflow} pixels wider than the window`);
}

/** Two rows of cards, whole. */
const PICTURE_HEIGHT = 900;

/** Takes a picture for the documentation. */
export async function picture(page, name, options) {
  if (!PICTURES) return;
  await mkdir(PICTURES, { recursive: true });
  const { width, height } = page.viewportSize();
  await page.setViewportSize({ width, height: Math.max(height, PICTURE_HEIGHT) });
  await page.screenshot({ path: join(PICTURES, `${name}.png`), ...options });
  await page.setViewportSize({ width, height });
}

/** Waits until something holds, by asking again as soon as there is an answer. */
export async function until(what, holds, within = 60_000) {
  const end = Date.now() + within;
  for (;;) {
    const found = await holds();
    if (found) return found;
    if (Date.now() > end) throw new Error(`it did not come to pass: ${what}`);
    await new Promise((next) => setTimeout(next, 100));
  }
}
