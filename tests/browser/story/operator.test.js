// An operator's first day, in a browser, on the service that ships, with devices that are real clients of it.

import assert from 'node:assert/strict';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { startService } from '../service.js';
import { check, launch, open, until } from './browser.js';

const FLEET = Array.from({ length: 24 }, (_, index) => `lamp-${String(index + 1).padStart(4, '0')}`);
/** What a first visit may cost on the wire, everything together. */
const FIRST_SCREEN_BYTES_MAX = 100_000;

let service;
let browser;
let tab;
let page;
/** What the story makes, for later chapters. */
const made = {};

const name = (text) => new RegExp(`^${text}`);
const button = (text) => page.getByRole('button', { name: text, exact: typeof text === 'string' });
const heading = (text) => page.getByRole('heading', { level: 1, name: text });
const dialog = () => page.getByRole('dialog');
const go = (address) => page.goto(`${service.base}/console/#${address}`);
const firmware = (file, size, fill) => ({ name: file, mimeType: 'application/octet-stream', buffer: Buffer.alloc(size, fill) });

/** Drops a file where a person would. */
async function drop(file) {
  const data = await page.evaluateHandle(({ name: called, size, fill }) => {
    const transfer = new DataTransfer();
    transfer.items.add(new File([new Uint8Array(size).fill(fill)], called));
    return transfer;
  }, file);
  const zone = page.locator('.drop');
  await zone.dispatchEvent('dragover', { dataTransfer: data });
  await zone.dispatchEvent('drop', { dataTransfer: data });
}

/** A chapter of the story. Each begins where the one before it ended, so none is told after one that went wrong. */
let wentWrong;
const chapter = (title, tell) => test(title, async () => {
  if (wentWrong) throw new Error(`not told, because of: ${wentWrong}`);
  try {
    await tell();
  } catch (error) {
    wentWrong = title;
    const picture = join(tmpdir(), 'overair-console-fault.png');
    await page.screenshot({ path: picture }).then(() => console.error(`what was on the screen: ${picture}`), () => {});
    throw error;
  }
});

describe('the console', { concurrency: 1 }, () => {
  before(async () => {
    service = await startService();
    browser = await launch();
    tab = await open(browser);
    page = tab.page;
  });
  after(async () => {
    await tab?.close();
    await browser?.close();
    await service?.stop();
  });

  chapter('the first screen is small, and a wrong token is refused at its field', async () => {
    const sizes = [];
    page.on('requestfinished', async (request) => sizes.push(request.sizes().then((all) => all.responseBodySize + all.responseHeadersSize)));
    await page.goto(`${service.base}/`);
    assert.equal(new URL(page.url()).pathname, '/console/');
    await page.getByLabel('API token').fill('not-a-token');
    await button('Sign in').click();
    await page.getByText('does not know this token').waitFor();
    await check(page, 'sign-in');
    await page.getByLabel('API token').fill(service.token);
    await button('Sign in').click();
    await heading('Overview').waitFor();
    await page.getByText('Start with a product').waitFor();
    const bytes = (await Promise.all(sizes)).reduce((sum, one) => sum + one, 0);
    assert.ok(bytes > 10_000 && bytes < FIRST_SCREEN_BYTES_MAX, `${bytes} bytes`);
    assert.equal(await page.evaluate(() => localStorage.getItem('overair.token')), null, 'the token stays in this tab');
    await check(page, 'the first screen when there is nothing');
  });

  chapter('a product is made, and a name that is too short is refused at its field', async () => {
    await page.getByRole('link', { name: 'Create a product' }).click();
    await button('Create a product').first().click();
    await dialog().getByLabel('Product name').fill('ab');
    await dialog().getByRole('button', { name: 'Create' }).click();
    const field = dialog().getByLabel('Product name');
    await until('the fault is at the field', async () => await field.getAttribute('aria-invalid') === 'true');
    assert.match(await field.evaluate((input) => document.getElementById(`${input.id}-error`).textContent), /4 to 30|characters/);
    await check(page, 'a refused form');
    await field.fill('Street lamp');
    await dialog().getByRole('button', { name: 'Create' }).click();
    await heading('Street lamp').waitFor();
    made.product = /products\/(\w+)/.exec(page.url())[1];
  });

  chapter('devices are registered, and their secrets are told once', async () => {
    await button('Register devices').first().click();
    await dialog().getByLabel('Device names').fill(FLEET.join('\n'));
    await dialog().getByRole('button', { name: `Register ${FLEET.length} devices` }).click();
    await dialog().getByText('shown only now').waitFor();
    await check(page, 'secrets');
    const rows = await dialog().getByRole('row').all();
    const cells = await Promise.all(rows.slice(1).map((row) => row.innerText()));
    made.credentials = cells.map((text) => ({ name: text.split(/\s+/)[0], secret: /\b[0-9a-f]{32}\b/.exec(text)[0] }));
    assert.deepEqual(made.credentials.map((one) => one.name).sort(), FLEET);
    await dialog().getByRole('button', { name: 'Done' }).click();
    service.devices(made.product, made.credentials, { 'fail-percent': 20, 'seed': 5 });
    await until('the devices are online', async () => {
      await button('Refresh').click();
      return await page.getByText('Online', { exact: true }).count() === FLEET.length;
    });
    await check(page, 'devices');
    await page.getByLabel('Find a device').fill('lamp-0003');
    await page.getByLabel('Find a device').press('Enter');
    await heading('lamp-0003').waitFor();
    await check(page, 'a device');
    await page.goBack();
    await heading('Street lamp').waitFor();
  });

  chapter('a package is uploaded by dragging it here, with what its name says', async () => {
    await go('/packages/new');
    await drop({ name: 'lamp-firmware-1.1.0.bin', size: 300_000, fill: 7 });
    await page.locator('.upload.done').getByText('has arrived').waitFor();
    await check(page, 'a new package');
    assert.equal(await page.getByLabel('Target version').getAttribute('placeholder'), '1.1.0');
    await button('Create the package').click();
    await heading('lamp-firmware-1-1-0').waitFor();
    made.package = /packages\/(\w+)/.exec(page.url())[1];
    const told = await service.api('GET', `/v1/packages/${made.package}`);
    assert.deepEqual([told.size, told.target_version, told.verification.status], [300_000, '1.1.0', 'unverified']);
    await check(page, 'a package');
  });

  chapter('a package of two files is uploaded by choosing them, and its fault is shown where it belongs', async () => {
    await go('/packages/new');
    await page.locator('input[type=file]').setInputFiles([firmware('app.bin', 30_000, 1), firmware('data.bin', 40_000, 2)]);
    await until('both have arrived', async () => await page.locator('.upload.done').getByText('has arrived').count() === 2);
    await page.getByLabel('Package name').fill('-lamp bundle');
    await page.getByLabel('Target version').fill('2.0.0');
    await button('Create the package').click();
    const field = page.getByLabel('Package name');
    await until('the fault is at the field', async () => await field.getAttribute('aria-invalid') === 'true');
    await until('the field has the focus', () => field.evaluate((input) => document.activeElement === input));
    await field.fill('lamp-bundle');
    await button('Create the package').click();
    await heading('lamp-bundle').waitFor();
    await page.getByRole('table', { name: 'Files' }).waitFor();
    await page.getByRole('button', { name: 'Delete' }).click();
    await dialog().getByText('68.4 KB').waitFor();
    await check(page, 'a question before something is deleted');
    await dialog().getByRole('button', { name: 'Delete' }).click();
    await heading('Packages').waitFor();
    assert.deepEqual((await service.api('GET', '/v1/packages')).items.map((one) => one.name), ['lamp-firmware-1-1-0']);
  });

  chapter('the first screen says what waits, and a trial on one device verifies the package', async () => {
    await go('/');
    await page.getByRole('heading', { name: 'Packages that wait for verification' }).waitFor();
    await page.getByRole('row', { name: /lamp-firmware/ }).getByRole('link', { name: 'Verify' }).click();
    await button('Start verification').click();
    // A device that does not fail on purpose: which do follows from the seed, so the first that is verified is kept.
    for (const device of FLEET) {
      const box = dialog().getByRole('checkbox', { name: name(device) });
      await box.check();
      await dialog().getByRole('button', { name: 'Upgrade 1 device' }).click();
      await page.getByText(/^(All test devices run|Not every test device)/).waitFor();
      // The screen reads the trial anew when it has ended; the service is asked what it came to.
      if ((await service.api('GET', `/v1/packages/${made.package}`)).verification.status === 'verified') break;
      await button('Verify again').click();
    }
    await page.getByText(/^All test devices run/).waitFor();
    await check(page, 'a verified package');
    const told = await service.api('GET', `/v1/packages/${made.package}`);
    assert.equal(told.verification.status, 'verified');
  });

  chapter('a batch is made in steps; Back goes a step back and keeps what was filled in', async () => {
    await page.getByRole('link', { name: 'New batch' }).first().click();
    await heading('New batch').waitFor();
    await check(page, 'the package of a batch');
    await button('Next').click();
    await page.getByRole('radio', { name: /Static/ }).waitFor();
    await page.getByLabel(/^1\.0\.0/).check();
    await check(page, 'the devices of a batch');
    await button('Next').click();
    await page.getByLabel('Rate').fill('5');
    await check(page, 'the times of a batch');
    await button('Next').click();
    await button('Add a tag').click();
    await page.getByLabel('Key').fill('site');
    await page.getByLabel('Value').fill('harbour');
    await check(page, 'the options of a batch');
    await button('Next').click();
    await page.getByRole('heading', { name: 'Review' }).waitFor();
    await check(page, 'the review of a batch');
    await page.goBack();
    assert.equal(await page.getByLabel('Key').inputValue(), 'site');
    await page.goForward();
    await button('Start the batch').click();
    // The rate was too low: the console leads to the step of the fault.
    await page.getByRole('heading', { name: 'When and how fast' }).waitFor();
    const rate = page.getByLabel('Rate');
    assert.equal(await rate.getAttribute('aria-invalid'), 'true');
    await rate.fill('10');
    await page.getByRole('link', { name: /Review/ }).click();
    await button('Start the batch').click();
    await page.getByRole('heading', { name: 'Tasks' }).waitFor();
    made.batch = /batches\/(\w+)/.exec(page.url())[1];
    const told = await service.api('GET', `/v1/batches/${made.batch}`);
    assert.deepEqual([told.push_per_minute_max, told.source_versions, told.tags], [10, ['1.0.0'], [{ key: 'site', value: 'harbour' }]]);
  });

  chapter('its numbers move without loading the page anew', async () => {
    const succeeded = page.getByRole('link', { name: name('Succeeded') });
    await until('some have succeeded', async () => !/ 0$/.test((await succeeded.innerText()).replace(/\s+/g, ' ')));
    await check(page, 'a batch');
    await page.getByLabel('Status').selectOption('queued');
    await page.getByRole('table', { name: 'Tasks' }).getByText('Waits for its turn').first().waitFor();
    await page.getByRole('table', { name: 'Tasks' }).getByRole('link', { name: /^Why\?/ }).first().click();
    await page.getByText('Deciding rule').waitFor();
    await check(page, 'why');
    await page.goBack();
    assert.equal(await page.getByLabel('Status').inputValue(), 'queued', 'the filter is part of the address');
    await go('/');
    await page.getByRole('region', { name: 'lamp-firmware-1-1-0' }).waitFor();
    await page.getByText(/running batch/i).first().waitFor();
    await check(page, 'the first screen');
  });

  chapter('a batch is stopped, and the question says in numbers what that means', async () => {
    await button('Stop the batch of lamp-firmware-1-1-0').click();
    const queued = dialog().getByRole('checkbox', { name: /queued/ });
    assert.ok(await queued.isChecked());
    const count = Number(/\d+/.exec(await dialog().getByText(/queued task/).innerText())[0]);
    assert.ok(count > 0);
    await dialog().getByText(/tasks? will be canceled/).waitFor();
    await check(page, 'the question before a batch is stopped');
    await dialog().getByRole('button', { name: name('Cancel \\d+ task') }).click();
    await until('the batch has ended', async () => {
      const told = await service.api('GET', `/v1/batches/${made.batch}`);
      return told.counts.queued === 0 && told.counts.canceled >= count - 2;
    });
    await page.getByRole('heading', { name: 'Recently ended' }).waitFor({ timeout: 60_000 });
  });

  chapter('failed and canceled tasks are upgraded again', async () => {
    await go(`/batches/${made.batch}?status=canceled`);
    const row = page.getByRole('table', { name: 'Tasks' }).getByRole('row').nth(1);
    const device = (await row.getByRole('rowheader').innerText()).trim();
    await row.getByRole('button', { name: `Upgrade again: ${device}` }).click();
    await page.getByText(`${device} is upgraded again`).first().waitFor();
    await until('its task goes on', async () => (
      await service.api('GET', `/v1/batches/${made.batch}/tasks/${device}`)).status !== 'canceled');
  });
});
