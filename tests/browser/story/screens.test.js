// Every screen, for everybody: on a phone, in the dark, in Chinese, with the keyboard alone; and when things go wrong.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { startService } from '../service.js';
import { check, launch, open, picture, until } from './browser.js';

let service;
let browser;
const made = {};

/** A small fleet, a package that may be rolled out and one that may not, a batch, and events of all that. */
async function furnish() {
  const { api } = service;
  const product = await api('POST', '/v1/products', { name: '智能路灯' });
  made.product = product.product_key;
  await api('POST', `/v1/products/${made.product}/modules`, { name: 'mcu', alias: 'main-mcu', description: 'The dimmer' });
  await api('PUT', `/v1/products/${made.product}/security`, { enabled: true });
  const names = ['lamp-0001', 'lamp-0002', 'lamp-0003', 'lamp-0004'];
  const { devices } = await api('POST', `/v1/products/${made.product}/devices`, { devices: names.map((name) => (
    { name, region: { province: 'Zhejiang', city: 'Hangzhou' } })) });
  await api('POST', `/v1/products/${made.product}/devices/lamp-0004/sub-devices`, { sub_devices: [{ product_key: made.product, name: 'lamp-0003' }] });
  service.devices(made.product, devices.slice(0, 2));
  const upload = async (name, version, extra) => {
    const { upload_id: id } = await api('PUT', '/v1/uploads?file_name=lamp.bin', Buffer.alloc(80_000, name));
    return api('POST', '/v1/packages', { product_key: made.product, name, target_version: version, upload_id: id, ...extra });
  };
  made.package = (await upload('lamp-firmware-2', '2.0.0', { needs_verification: false, description: 'Dims at night' })).package_id;
  made.other = (await upload('lamp-firmware-3', '3.0.0')).package_id;
  await api('POST', '/v1/deltas', { target_package_id: made.other, source_package_id: made.package, slice: '64K' });
  await until('two devices told their version', async () => (
    await api('GET', `/v1/products/${made.product}/versions`)).versions[0]?.devices === 2);
  const batch = await api('POST', '/v1/batches', {
    package_id: made.package, target: { selection: 'specific', devices: names.slice(0, 2) }, needs_confirmation: true,
    retry: { after_minutes: 10, count_max: 2 }, timeout_minutes: 60, tags: [{ key: 'site', value: 'harbour' }],
  });
  made.batch = batch.batch_id;
  await until('the tasks wait for consent', async () => (await api('GET', `/v1/batches/${made.batch}`)).counts.unconfirmed === 2);
}

const screens = () => [
  '/', '/products', `/products/${made.product}`, `/products/${made.product}/versions`, `/products/${made.product}/modules`,
  `/products/${made.product}/security`, `/products/${made.product}/settings`, `/products/${made.product}/devices/lamp-0001`,
  `/products/${made.product}/devices/lamp-0004`, '/packages', '/packages?version=9.9', '/packages/new', `/packages/${made.package}`, `/packages/${made.other}`,
  '/deltas', '/batches', '/batches?show=running', `/batches/${made.batch}`, `/batches/${made.batch}?status=failed`,
  `/batches/${made.batch}/why?device=lamp-0001`, ...['package', 'target', 'timing', 'options', 'review'].map((step) => `/batches/new?package=${made.package}&step=${step}`),
  '/events', '/settings', '/no/such/screen', '/packages/0123456789abcdef0123456789abcdef',
];

/** Goes to a screen and waits until what it shows is there. */
async function visit(page, address) {
  await page.goto(`${service.base}/console/#${address}`);
  await page.getByRole('heading', { level: 1 }).waitFor();
  await until(`${address} is loaded`, async () => await page.locator('.skeleton').count() === 0);
}

/** Answers requests as a service with other parts would. */
const answer = (page, where, body, status = 200) => page.route(where, (route) => route.fulfill({
  status, contentType: status < 400 ? 'application/json' : 'application/problem+json', body: JSON.stringify(body),
}));

describe('every screen', { concurrency: 1 }, () => {
  before(async () => {
    [service, browser] = await Promise.all([startService(), launch()]);
    await furnish();
  });
  after(async () => {
    await browser?.close();
    await service?.stop();
  });

  test('on a phone, in the light', async () => {
    const { page, close } = await open(browser, { phone: true, token: service.token });
    for (const address of screens()) {
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
    await picture(page, 'phone');
    await close();
  });

  test('on a desk, in the dark, in Chinese', async () => {
    const { page, close } = await open(browser, { dark: true, locale: 'zh-CN', token: service.token });
    for (const address of screens()) {
      await visit(page, address);
      await check(page, `${address} in the dark`);
    }
    assert.equal(await page.locator('html').getAttribute('lang'), 'zh-CN');
    await visit(page, `/batches/${made.batch}`);
    await page.getByText('待确认').first().waitFor();
    await picture(page, 'batch-dark-zh');
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

  test('what a service with tokens, webhooks, an audit log and a history tells is shown', async () => {
    const { page, close } = await open(browser, { token: service.token });
    const at = Date.now() - 3_600_000;
    await answer(page, '**/v1/tokens/self', { name: 'Ada', role: 'admin', product_keys: [] });
    await answer(page, '**/v1/tokens?**', { items: [{ token_id: 't1', name: 'ci', role: 'operator', product_keys: [made.product], created_at: at, expires_at: at + 1e9 }] });
    await answer(page, '**/v1/audit**', { items: [{ at, actor: 'Ada', role: 'admin', action: 'batch.create', subject: made.batch, product_key: made.product, status: 201, request_id: 'r1' }] });
    const hook = { webhook_id: 'w1', url: 'https://example.com/hook', event_types: ['batch.status'], description: 'The chat', enabled: true, created_at: at };
    await answer(page, '**/v1/webhooks?**', { items: [hook] });
    await answer(page, '**/v1/webhooks/w1', hook);
    await answer(page, '**/v1/webhooks/w1/deliveries**', { items: [{ delivery_id: 'd1', event_id: 'e1', event_type: 'batch.status', status: 'dead', attempts: 8, last_status: 500, last_error: 'the answer was 500', created_at: at }] });
    const points = Array.from({ length: 40 }, (_, index) => ({ at: at + index * 60_000, queued: Math.max(200 - index * 6, 0), notified: 4, in_progress: Math.min(index, 8),
      succeeded: Math.min(index * 5, 180), failed: Math.floor(index / 6), canceled: 0 }));
    await answer(page, `**/v1/batches/${made.batch}/history`, { items: points });
    await answer(page, '**/v1/batches?dry_run=true', { devices: 37, refused: [{ code: 'never-activated', count: 3, devices: ['lamp-0003'] }], walked: true, minutes_at_rate: 4 });
    await visit(page, '/');
    for (const [link, text] of [['Tokens', 'ci'], ['Audit log', 'batch.create'], ['Webhooks', 'https://example.com/hook']]) {
      await page.getByRole('link', { name: link, exact: true }).click();
      await page.getByRole('table').getByText(text).first().waitFor();
      await check(page, link);
    }
    await page.getByRole('link', { name: 'https://example.com/hook' }).click();
    await page.getByRole('table').getByText('Given up').waitFor();
    await check(page, 'a webhook');
    await visit(page, `/batches/${made.batch}`);
    await page.getByRole('img', { name: /Of \d+ tasks/ }).waitFor();
    await check(page, 'a history');
    await visit(page, `/batches/new?package=${made.package}&step=review`);
    await page.getByText('37 devices would be upgraded.').waitFor();
    await check(page, 'a trial run');
    await close();
  });

  test('whoever may only look is offered nothing else', async () => {
    const { page, close } = await open(browser, { token: service.token });
    await answer(page, '**/v1/tokens/self', { name: 'Guest', role: 'viewer', product_keys: [] });
    await visit(page, `/packages/${made.other}`);
    await page.getByText('Viewer').waitFor();
    await until('the actions are gone', async () => await page.getByRole('button', { name: 'Delete' }).count() === 0);
    assert.equal(await page.getByRole('button', { name: /verification/i }).count(), 0);
    assert.equal(await page.getByRole('link', { name: 'Tokens' }).count(), 0);
    await close();
  });
});
