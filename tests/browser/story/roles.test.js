// Who may do what, with tokens that the service made: nobody is offered what would be refused.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { startService } from '../service.js';
import { check, launch, open, until } from './browser.js';
import { furnish, receiver } from './fleet.js';
import { screens, visitOf } from './screens.js';

/** Buttons that change nothing at the service. */
const HARMLESS = /^(Find|Refresh|Copy.*|Show more|Show all .*|Look further back|Pause|Make a download link|Download as PEM|Clear the filter|Try again)$/;

let service;
let browser;
let hook;
let made;

/** A tab of somebody's, and what the service refused to it because of the role. */
async function as(token) {
  const tab = await open(browser, { token });
  const refused = [];
  tab.page.on('response', (response) => {
    if (response.status() === 403) refused.push(`${response.request().method()} ${response.url()}`);
  });
  return { ...tab, refused, visit: visitOf(tab.page, service), heading: (name) => tab.page.getByRole('heading', { level: 1, name }) };
}

const offered = (page) => page.locator('main').getByRole('button').evaluateAll((all) => (
  all.map((one) => one.getAttribute('aria-label') ?? one.textContent.trim())));
const rows = (page) => page.getByRole('main').getByRole('rowheader').allInnerTexts();

describe('whoever', { concurrency: 1 }, () => {
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

  test('may only look sees everything of the fleet, and is offered nothing else', async () => {
    const { page, visit, refused, heading, close } = await as(made.tokens.viewer);
    await visit('/');
    await page.getByText('Viewer').waitFor();
    assert.deepEqual(await page.getByRole('navigation', { name: 'Main' }).getByRole('link').allInnerTexts(),
      ['Overview', 'Products', 'Packages', 'Batches', 'Events', 'Settings']);
    const { readable, forOperators, forAdmins } = screens(made);
    for (const address of readable) {
      await visit(address);
      const more = (await offered(page)).filter((name) => !HARMLESS.test(name));
      assert.deepEqual(more, [], address);
      assert.equal(await page.locator('main a[href*="/new"]').count(), 0, address);
      assert.equal(await page.locator('main').locator('input:enabled[type=checkbox], input:enabled[type=radio]').count(), 0, address);
    }
    for (const address of [...forOperators, ...forAdmins]) {
      await visit(address);
      await heading('This is not for your role').waitFor();
    }
    await check(page, 'a screen for another role');
    assert.deepEqual(refused, []);
    await close();
  });

  test('runs upgrades is not offered what administrators decide', async () => {
    const { page, visit, refused, heading, close } = await as(made.tokens.operator);
    await visit(`/products/${made.product}/security`);
    assert.equal(await page.getByRole('button', { name: 'Switch signing off' }).count(), 0);
    await visit(`/products/${made.product}/settings`);
    await page.getByText('an administrator changes them').waitFor();
    await visit(`/webhooks/${made.webhook}`);
    assert.deepEqual((await offered(page)).filter((name) => /Delete|Edit|secret|Switch/.test(name)), []);
    const before = hook.received.length;
    await page.getByRole('button', { name: 'Send a test' }).click();
    await until('the test arrives', () => hook.received.length > before);
    await page.getByRole('table').getByText('Test', { exact: true }).waitFor();
    await page.getByRole('row', { name: /Test/ }).getByRole('button', { name: 'Send again' }).click();
    await page.getByText('It is sent again').first().waitFor();
    await visit('/tokens');
    await heading('This is not for your role').waitFor();
    assert.deepEqual(refused, []);
    await close();
  });

  test('is bound to a product sees what belongs to it, and makes no other', async () => {
    const { page, visit, refused, close } = await as(made.tokens.bound);
    await visit('/products');
    await page.getByText('Operator · 1 product').waitFor();
    assert.deepEqual(await rows(page), ['Door lock']);
    assert.equal(await page.getByRole('button', { name: 'Create a product' }).count(), 0);
    for (const [address, wanted] of [['/packages', /^lock-/], ['/batches', /^lock-/]]) {
      await visit(address);
      const names = await rows(page);
      assert.ok(names.length > 0 && names.every((name) => wanted.test(name)), `${address}: ${names}`);
    }
    await visit('/events');
    assert.equal(await page.getByText('lamp-00').count(), 0);
    await visit(`/packages/${made.package}`);
    await page.getByRole('alert').waitFor();
    await visit(`/batches/new?package=${made.lockPackage}`);
    assert.deepEqual(await page.getByLabel('Package').locator('option').allInnerTexts(), ['Choose…', 'lock-firmware-4-1 (4.1.0)']);
    assert.deepEqual(refused, []);
    await close();
  });

  test('administers some products makes tokens for these', async () => {
    const { page, visit, refused, close } = await as(made.tokens.lead);
    await visit('/tokens');
    await page.getByRole('button', { name: 'New token' }).first().click();
    const dialog = page.getByRole('dialog');
    assert.ok(await dialog.getByRole('radio', { name: /All products/ }).isDisabled());
    assert.deepEqual(await dialog.locator('.pick-one').allInnerTexts(), ['Door lock', 'Weather station']);
    await dialog.getByLabel('Name').fill('lock line');
    await dialog.getByRole('button', { name: 'Create' }).click();
    const name = dialog.getByLabel('Name');
    await until('the fault is at the field', async () => await name.getAttribute('aria-invalid') === 'true');
    await name.fill('lock-line');
    await dialog.getByRole('radio', { name: /Viewer/ }).check();
    await dialog.getByRole('checkbox', { name: 'Door lock' }).check();
    await check(page, 'a new token');
    await dialog.getByRole('button', { name: 'Create' }).click();
    const token = (await dialog.getByText(/^ovr_/).innerText()).trim();
    await dialog.getByRole('button', { name: 'Done' }).click();

    const other = await as(token);
    await other.visit('/products');
    await other.page.getByText('Viewer · 1 product').waitFor();
    assert.deepEqual(await rows(other.page), ['Door lock']);

    // Revoked, it is refused at the next request.
    await page.getByRole('button', { name: 'Revoke lock-line' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Revoke' }).click();
    await page.getByText('lock-line was revoked').first().waitFor();
    await other.page.getByRole('link', { name: 'Packages', exact: true }).click();
    await other.page.getByText('no longer accepted').waitFor();
    await other.close();

    await visit('/audit');
    await page.getByRole('row', { name: /batch\.create/ }).first().waitFor();
    assert.equal(await page.getByRole('main').getByText('Street lamp').count(), 0, 'others are not there');
    const root = await as(service.token);
    await root.visit('/audit?actor=lock-lead');
    await root.page.getByRole('row', { name: /lock-lead.*token\.delete/ }).waitFor();
    await root.page.getByRole('row', { name: /lock-lead.*token\.create/ }).waitFor();
    await root.close();
    assert.deepEqual(refused, []);
    await close();
  });
});
