// A service that is in use: products with fleets, packages, batches of every kind, tokens, a webhook. Made by requests.

import { createServer } from 'node:http';
import { until } from './browser.js';

const DAY_MS = 86_400_000;
const LAMPS = 36;
const LOCKS = 12;

const names = (noun, count) => Array.from({ length: count }, (_, index) => `${noun}-${String(index + 1).padStart(4, '0')}`);
const CITIES = [['Zhejiang', 'Hangzhou'], ['Zhejiang', 'Ningbo'], ['Jiangsu', 'Suzhou']];
const region = (index) => ({ province: CITIES[index % 3][0], city: CITIES[index % 3][1] });

/** A receiver of webhooks that takes everything, until it is told to take nothing. */
export async function receiver() {
  const state = { status: 204, received: [] };
  const server = createServer((request, response) => {
    state.received.push(request.headers['webhook-id']);
    request.resume();
    response.writeHead(state.status).end();
  });
  await new Promise((listening) => server.listen(0, '127.0.0.1', listening));
  return { ...state, url: `http://127.0.0.1:${server.address().port}/hooks/fleet`, answer: (status) => { state.status = status; },
    received: state.received, close: () => server.close() };
}

/** Makes it all; tells the ids. */
export async function furnish(service, hook) {
  const { api } = service;
  const product = async (name) => (await api('POST', '/v1/products', { name })).product_key;
  const register = async (key, devices) => (await api('POST', `/v1/products/${key}/devices`, { devices })).devices;
  const upload = async (key, name, version, extra = {}) => {
    const { upload_id: id } = await api('PUT', `/v1/uploads?file_name=${name}.bin`, Buffer.alloc(80_000, name));
    const made = await api('POST', '/v1/packages', { product_key: key, name, target_version: version, upload_id: id, ...extra });
    return made.package_id;
  };
  const reported = (key, count) => until(`${count} devices of ${key} told their version`, async () => (
    (await api('GET', `/v1/products/${key}/versions`)).versions.reduce((sum, one) => sum + one.devices, 0) === count));
  const tried = { needs_verification: false };

  const [lamps, locks, stations] = [await product('Street lamp'), await product('Door lock'), await product('Weather station')];
  await api('POST', `/v1/products/${lamps}/modules`, { name: 'mcu', alias: 'main-mcu', description: 'The dimmer' });
  await api('PUT', `/v1/products/${lamps}/security`, { enabled: true });
  const lampNames = names('lamp', LAMPS + 4);
  const lampSecrets = await register(lamps, lampNames.map((name, index) => ({ name, region: region(index) })));
  await api('POST', `/v1/products/${lamps}/devices/lamp-0004/sub-devices`, { sub_devices: [{ product_key: lamps, name: 'lamp-0003' }] });
  // The first two never fail; the next two are behind a gateway and the gateway; the last two never connect.
  service.devices(lamps, lampSecrets.slice(0, 2));
  service.devices(lamps, lampSecrets.slice(4, LAMPS + 2), { 'fail-percent': 12, seed: 8 });
  service.devices(locks, await register(locks, names('lock', LOCKS).map((name) => ({ name }))), { firmware: '4.0.2' });
  service.devices(stations, await register(stations, names('station', 5).map((name) => ({ name }))), { firmware: '0.9.0' });

  const made = { product: lamps, locks, stations };
  made.package = await upload(lamps, 'lamp-firmware-2', '2.0.0', { ...tried, description: 'Dims at night' });
  made.other = await upload(lamps, 'lamp-firmware-3', '3.0.0');
  made.lockPackage = await upload(locks, 'lock-firmware-4-1', '4.1.0', tried);
  const stationPackage = await upload(stations, 'station-1-0', '1.0.0', tried);
  await api('POST', '/v1/deltas', { target_package_id: made.other, source_package_id: made.package, slice: '64K' });
  await Promise.all([reported(lamps, LAMPS), reported(locks, LOCKS), reported(stations, 5)]);

  const batch = async (body) => (await api('POST', '/v1/batches', body)).batch_id;
  made.batch = await batch({
    package_id: made.package, target: { selection: 'specific', devices: lampNames.slice(0, 2) }, needs_confirmation: true,
    retry: { after_minutes: 10, count_max: 2 }, timeout_minutes: 60, tags: [{ key: 'site', value: 'harbour' }],
  });
  made.running = await batch({
    package_id: made.package, target: { selection: 'all' }, source_versions: ['1.0.0'], push_per_minute_max: 10, timeout_minutes: 60,
  });
  made.ended = await batch({ package_id: made.lockPackage, target: { selection: 'specific', devices: names('lock', 4) } });
  await batch({ package_id: stationPackage, mode: 'dynamic', source_versions: ['0.9.0'], target: { selection: 'all' } });
  const token = async (body) => (await api('POST', '/v1/tokens', body)).token;
  made.tokens = {
    viewer: await token({ name: 'wall-display', role: 'viewer' }),
    operator: await token({ name: 'night-shift', role: 'operator', expires_in_days: 90 }),
    bound: await token({ name: 'lock-team', role: 'operator', product_keys: [locks] }),
    lead: await token({ name: 'lock-lead', role: 'admin', product_keys: [locks, stations] }),
  };
  const webhook = await api('POST', '/v1/webhooks', { url: hook.url, description: 'The chat of the shift' });
  made.webhook = webhook.webhook_id;
  await until('the tasks wait for consent', async () => (await api('GET', `/v1/batches/${made.batch}`)).counts.unconfirmed === 2);
  await until('one batch has ended', async () => (await api('GET', `/v1/batches/${made.ended}`)).status === 'completed');
  // Now its devices are busy no more.
  made.planned = await batch({
    package_id: made.lockPackage, target: { selection: 'gray', gray_percent: '25' }, source_versions: ['4.0.2'],
    schedule: { start_at: Date.now() + DAY_MS, end_at: Date.now() + 2 * DAY_MS },
  });
  return made;
}
