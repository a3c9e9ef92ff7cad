// A large file over a bad line: what has arrived is not sent again.

import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';
import { startService } from '../service.js';
import { launch, open } from './browser.js';
import { line } from './line.js';

/** Two slices and a half; the line breaks in the second. */
const SIZE = 20 * 1024 * 1024;
const BREAKS_AFTER = 10 * 1024 * 1024;

let service;
let browser;
let wire;
let folder;
let tab;
/** The upload's requests, in order, with the offset that each begins at. */
let asked;

async function begin() {
  const { page } = tab;
  await page.goto(`${wire.base}/console/#/packages/new`);
  await page.locator('input[type=file]').setInputFiles(join(folder, 'lamp-9.0.0.bin'));
}

async function arrived(bytes) {
  const { page } = tab;
  await page.locator('.upload.done').waitFor({ timeout: 60_000 });
  const digest = createHash('sha256').update(bytes).digest('hex');
  assert.equal(await page.locator('.upload.done .digest code').innerText(), digest);
}

const of = (method) => asked.filter((one) => one.method === method);

describe('a large upload', { concurrency: 1 }, () => {
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'overair-upload-'));
    service = await startService();
    browser = await launch();
    wire = await line(service.base);
    await service.api('POST', '/v1/products', { name: 'Street lamp' });
  });
  after(async () => {
    wire?.close();
    await browser?.close();
    await service?.stop();
    if (folder) await rm(folder, { recursive: true, force: true });
  });
  beforeEach(async () => {
    tab = await open(browser, { token: service.token });
    asked = [];
    tab.page.on('request', (request) => {
      const { pathname } = new URL(request.url());
      if (pathname.startsWith('/v1/uploads')) asked.push({ method: request.method(), offset: Number(request.headers()['upload-offset']) });
    });
  });
  afterEach(() => tab.close());

  test('goes on by itself when the connection is killed half way', async () => {
    const bytes = randomBytes(SIZE);
    await writeFile(join(folder, 'lamp-9.0.0.bin'), bytes);
    const cut = wire.cutAfter(BREAKS_AFTER);
    await begin();
    await cut;
    await arrived(bytes);
    assert.equal(of('POST').length, 1, 'it is one upload');
    assert.ok(of('HEAD').length >= 1, 'the service is asked how much it has');
    assert.ok(of('PATCH').at(-1).offset >= 8 * 1024 * 1024, 'what has arrived is not sent again');
  });

  test('goes on where it was when the page is loaded anew and the file chosen again', async () => {
    const bytes = randomBytes(SIZE);
    await writeFile(join(folder, 'lamp-9.0.0.bin'), bytes);
    const held = wire.holdAfter(BREAKS_AFTER);
    await begin();
    await held;
    await tab.page.getByRole('button', { name: 'Pause the upload' }).click();
    await tab.page.getByText(/^Paused at \d+/).waitFor();
    await tab.page.reload();
    asked = [];
    await begin();
    await arrived(bytes);
    assert.equal(of('POST').length, 0, 'it is the same upload');
    assert.ok(of('PATCH')[0].offset >= 8 * 1024 * 1024, 'what has arrived is not sent again');
    await tab.page.getByRole('button', { name: 'Create the package' }).click();
    await tab.page.getByRole('heading', { level: 1, name: 'lamp-9-0-0' }).waitFor();
    assert.equal((await service.api('GET', '/v1/packages')).items[0].size, SIZE);
  });
});
