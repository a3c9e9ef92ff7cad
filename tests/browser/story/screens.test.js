// Every screen, for everybody: on a phone, in the dark, in Chinese, with the keyboard alone; and when things go wrong.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { startService } from '../service.js';
import { check, launch, open, picture, until } from './browser.js';
import { furnish, receiver } from './fleet.js';
import { screens, visitOf } from './screens.js';

let service;
let browser;
let hook;
let made;

const visit = (page, address) => visitOf(page, service)(address);
const all = () => Object.values(screens(made)).flat();

/** Answers requests as a service would that something has happened to which takes days. */
const answer = (page, where, body, status = 200) => page.route(where, (route) => route.fulfill({
  status, contentType: status < 400 ? 'application/json' : 'application/problem+json', body: JSON.stringify(body),
}));

describe('every screen', { concurrency: 1 }, () => {
  before(async () => {
    service = await startService();
    hook = await receiver();
    browser = await launch();
    made = await furnish(service, hook);
  });
  after(async () => {
    hook?.close();
    await browser?.close();
    await service?.stop();
  });

  test('the first says whether the running batches are all right', async () => {
    const { page, close } = await open(browser, { token: service.token });
    await visit(page, '/');
    await page.getByText(/of 4 running batches needs? a look/).waitFor();
    for (const name of ['lamp-firmware-2', 'station-1-0', 'lock-firmware-4-1']) {
      assert.ok(await page.getByRole('button', { name: `Stop the batch of ${name}` }).count() > 0, name);
    }
    await check(page, 'the first screen of a service in use');
    await picture(page, 'console');
    await visit(page, `/batches/${made.running}`);
    await page.getByRole('heading', { name: 'Why upgrades failed' }).waitFor();
    await picture(page, 'console-batch');
    await close();
  });

  test('on a phone, in the light', async () => {
    const { page, close } = await open(browser, { phone: true, token: service.token });
    for (const address of all()) {
      await visit(page, address);
      await check(page, `${address} on a phone`);
    }
    await visit(page, '/');
    await page.getByRole('button', { name: 'Open the menu' }).click();
    await check(page, 'the menu on a phone');
    await page.getByRole('link', { name: 'Batches', exact: true }).click();
    await page.getByRole('heading', { level: 1, name: 'Batches' }).waitFor();
    assert.equal(await page.getByRole('button', { name: 'Open the menu' }).getAttribute('aria-expanded'), 'false');
    await visit(page, '/');
    await picture(page, 'console-phone');
    await close();
  });

  test('on a desk, in the dark, in Chinese', async () => {
    const { page, close } = await open(browser, { dark: true, locale: 'zh-CN', token: service.token });
    for (const address of all()) {
      await visit(page, address);
      await check(page, `${address} in the dark`);
    }
    assert.equal(await page.locator('html').getAttribute('lang'), 'zh-CN');
    await visit(page, `/batches/${made.batch}`);
    await page.getByText('待确认').first().waitFor();
    await visit(page, `/batches/${made.running}`);
    await page.getByRole('heading', { name: '失败原因' }).waitFor();
    await picture(page, 'console-dark-zh');
    await close();
  });

  test('in a narrow window, where a table wider than its place is scrolled with the keyboard', async () => {
    const { page, close } = await open(browser, { token: service.token });
    await page.setViewportSize({ width: 780, height: 800 });
    const boxes = () => page.locator('.table-box').evaluateAll((all) => all.map((box) => ({
      wider: box.scrollWidth > box.clientWidth, reached: box.tabIndex === 0,
    })));
    let wide;
    for (const address of all()) {
      await visit(page, address);
      await check(page, `${address} in a narrow window`);
      if ((await boxes()).some((box) => box.wider)) wide = address;
      assert.deepEqual((await boxes()).filter((box) => box.wider !== box.reached), [], address);
    }
    assert.ok(wide, 'no table was wider than its place');
    await visit(page, wide);
    const box = page.locator('.table-box[tabindex="0"]').first();
    await box.waitFor();
    await page.setViewportSize({ width: 1600, height: 800 });
    await until('there is room for the table', async () => (await boxes()).every((one) => !one.wider && !one.reached));
    await page.setViewportSize({ width: 780, height: 800 });
    await box.focus();
    await page.keyboard.press('ArrowRight');
    await until('the table was scrolled', () => box.evaluate((element) => element.scrollLeft > 0));
    await close();
  });

  test('with the keyboard alone', async () => {
    const { page, close } = await open(browser);
    await page.goto(`${service.base}/console/`);
    const keys = page.keyboard;
    await until('the token has the focus', () => page.evaluate(() => document.activeElement?.name === 'token'));
    await keys.type(service.token);
    await keys.press('Enter');
    await page.getByRole('heading', { level: 1, name: 'Overview' }).waitFor();
    await keys.press('Tab');
    await until('the skip link comes first', () => page.evaluate(() => document.activeElement.className === 'skip'));
    await keys.press('Enter');
    await until('the content has the focus', () => page.evaluate(() => document.activeElement.id === 'main'));
    assert.equal(new URL(page.url()).hash, '', 'the skip link is no navigation');

    const tabTo = async (name) => {
      for (let pressed = 0; pressed < 60; pressed += 1) {
        await keys.press('Tab');
        const at = await page.evaluate(() => document.activeElement.getAttribute('aria-label') ?? document.activeElement.textContent.trim());
        if (at === name) return;
      }
      throw new Error(`${name} cannot be reached by Tab`);
    };
    await page.evaluate(() => document.activeElement.blur());
    await tabTo('Products');
    await keys.press('Enter');
    await page.getByRole('heading', { level: 1, name: 'Products' }).waitFor();
    await until('the new title has the focus', () => page.evaluate(() => document.activeElement.tagName === 'H1'));
    await tabTo('Create a product');
    await keys.press('Enter');
    await page.getByRole('dialog').waitFor();
    await keys.press('Escape');
    await page.getByRole('dialog').waitFor({ state: 'detached' });
    assert.equal(await page.evaluate(() => document.activeElement.textContent.trim()), 'Create a product', 'the focus comes back');
    await keys.press('Enter');
    await until('the field has the focus', () => page.evaluate(() => document.activeElement.name === 'name'));
    await keys.type('Made by keys');
    await keys.press('Enter');
    await page.getByRole('heading', { level: 1, name: 'Made by keys' }).waitFor();
    await close();
  });

  test('language and look are chosen and stay; signing out forgets the token', async () => {
    const { page, close } = await open(browser);
    await page.goto(`${service.base}/console/`);
    await page.getByLabel('Language').selectOption('zh');
    await page.getByRole('heading', { name: '登录' }).waitFor();
    await page.getByLabel('外观').selectOption('dark');
    await page.getByLabel('API 令牌').fill(service.token);
    await page.getByLabel('保持登录').check();
    await page.getByRole('button', { name: '登录' }).click();
    await page.getByRole('heading', { level: 1, name: '概览' }).waitFor();
    await page.reload();
    await page.getByRole('heading', { level: 1, name: '概览' }).waitFor();
    assert.equal(await page.locator('html').getAttribute('data-theme'), 'dark');
    assert.equal(await page.evaluate(() => localStorage.getItem('overair.token')), service.token);
    await page.getByRole('button', { name: '退出登录' }).click();
    await page.getByRole('heading', { name: '登录' }).waitFor();
    assert.deepEqual(await page.evaluate(() => [localStorage, sessionStorage].map((one) => one.getItem('overair.token'))), [null, null]);
    await close();
  });

  test('a token that is no longer taken leads to signing in, and a lost service says so and comes back', async () => {
    const { page, close } = await open(browser, { token: service.token });
    await visit(page, '/packages');
    await page.route('**/v1/packages**', (route) => route.abort());
    await visit(page, '/batches');
    await page.getByRole('link', { name: 'Packages', exact: true }).click();
    await page.getByRole('main').getByText('The service cannot be reached').waitFor();
    await check(page, 'a lost service');
    await page.unroute('**/v1/packages**');
    await page.getByRole('button', { name: 'Try again' }).click();
    await page.getByRole('link', { name: 'lamp-firmware-2' }).waitFor();
    await answer(page, '**/v1/batches**', { code: 'request.unauthorized', detail: 'no' }, 401);
    await page.getByRole('link', { name: 'Batches', exact: true }).click();
    await page.getByText('no longer accepted').waitFor();
    await close();
  });

  test('nobody is asked while nobody looks', async () => {
    const { page, close } = await open(browser, { token: service.token });
    await page.clock.install();
    await visit(page, '/');
    let asked = 0;
    page.on('request', () => { asked += 1; });
    const look = (hidden) => page.evaluate((is) => {
      Object.defineProperty(document, 'hidden', { configurable: true, get: () => is });
      document.dispatchEvent(new Event('visibilitychange'));
    }, hidden);
    await look(true);
    await page.clock.runFor('10:00');
    assert.equal(asked, 0);
    await look(false);
    await until('it is asked at once', () => asked > 0);
    await close();
  });

  test('tasks that wait for consent are confirmed all at once, and the devices go on', async () => {
    const { page, close } = await open(browser, { token: service.token });
    await visit(page, `/batches/${made.batch}`);
    await page.getByRole('button', { name: 'Confirm 2' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Confirm 2' }).click();
    await page.getByText('2 tasks were confirmed').first().waitFor();
    await page.getByRole('link', { name: 'Succeeded 2' }).waitFor({ timeout: 60_000 });
    await close();
  });

  test('a delivery that was given up is found by its webhook and sent again', async () => {
    const { page, close } = await open(browser, { token: service.token });
    const at = Date.now() - 3_600_000;
    const hooks = await service.api('GET', '/v1/webhooks');
    const one = { ...hooks.items[0], counts: { ...hooks.items[0].counts, dead: 1 } };
    const dead = { delivery_id: 'd1', event_id: 'e'.repeat(32), event_type: 'batch.status', status: 'dead', attempts: 10, last_status: 500, last_error: 'the answer was 500', created_at: at };
    await answer(page, '**/v1/webhooks?**', { items: [one] });
    await answer(page, `**/v1/webhooks/${made.webhook}`, one);
    await answer(page, `**/v1/webhooks/${made.webhook}/deliveries?**status=dead**`, { items: [dead] });
    await answer(page, `**/v1/webhooks/${made.webhook}/deliveries/d1/replay`, { ...dead, status: 'pending' }, 202);
    await visit(page, '/webhooks');
    await page.getByRole('table').getByRole('link', { name: '1', exact: true }).click();
    await page.getByRole('table').getByText('Given up').waitFor();
    await page.getByText('10 attempts').waitFor();
    await check(page, 'a delivery that was given up');
    const replayed = page.waitForRequest((request) => request.method() === 'POST' && request.url().endsWith('/deliveries/d1/replay'));
    await page.getByRole('button', { name: 'Send again' }).click();
    await replayed;
    await page.getByText('It is sent again').first().waitFor();
    await close();
  });

  test('a batch tells how it came along, and a new one what it would come to', async () => {
    const { page, close } = await open(browser, { token: service.token });
    const at = Date.now() - 3_600_000;
    const points = Array.from({ length: 40 }, (_, index) => ({ at: at + index * 60_000, queued: Math.max(200 - index * 6, 0), notified: 4, in_progress: Math.min(index, 8),
      succeeded: Math.min(index * 5, 180), failed: Math.floor(index / 6), canceled: 0 }));
    await answer(page, `**/v1/batches/${made.batch}/history`, { items: points });
    await answer(page, '**/v1/batches?dry_run=true', { devices: 37, refused: [{ code: 'never-activated', count: 3, devices: ['lamp-0003'] }], walked: true, minutes_at_rate: 4 });
    await visit(page, `/batches/${made.batch}`);
    await page.getByRole('img', { name: /Of \d+ tasks/ }).waitFor();
    await check(page, 'a history');
    await visit(page, `/batches/new?package=${made.package}&step=review`);
    await page.getByText('37 devices would be upgraded.').waitFor();
    await check(page, 'a trial run');
    await close();
  });
});
