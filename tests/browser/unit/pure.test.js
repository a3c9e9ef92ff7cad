// Modules that need no page.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import './page.js';
import { EMPTY, stepOf, toBody } from '../../../functions/console/assets/batch-body.js';
import { pushesPerMinute } from '../../../functions/console/assets/charts.js';
import { ago, bytes, percent, speak, t } from '../../../functions/console/assets/i18n.js';
import { match, parse, to } from '../../../functions/console/assets/router.js';
import { failures } from '../../../functions/console/assets/progress.js';

await speak('en');

test('an address is read and made of encoded parts', () => {
  assert.deepEqual(parse('#/products/a1/devices/x%40y?status=failed&q=a+b'), {
    path: '/products/a1/devices/x%40y', segments: ['products', 'a1', 'devices', 'x@y'], query: { status: 'failed', q: 'a b' },
  });
  assert.deepEqual(parse('').segments, []);
  assert.deepEqual(parse('#/%E0%A4%A/x').segments, ['%E0%A4%A', 'x'], 'what cannot be decoded stays as it is');
  assert.equal(to`/products/${'a/b'}/devices/${'c?d'}`, '#/products/a%2Fb/devices/c%3Fd');
});

test('the first route that fits is taken, with what its places stand for', () => {
  const routes = [['', 'home'], ['packages/new', 'new', 'operator'], ['packages/:id', 'one']];
  assert.deepEqual(match(routes, []), { target: 'home', params: {}, role: undefined });
  assert.deepEqual(match(routes, ['packages', 'new']), { target: 'new', params: {}, role: 'operator' });
  assert.deepEqual(match(routes, ['packages', 'ab']), { target: 'one', params: { id: 'ab' }, role: undefined });
  assert.equal(match(routes, ['packages', 'ab', 'cd']), null);
});

test('numbers, sizes and times are written as people write them', async () => {
  assert.equal(bytes(0), '0 B');
  assert.equal(bytes(20480), '20 KB');
  assert.equal(bytes(1_048_576_000), '1,000 MB');
  assert.equal(percent(0.004), '0.4%');
  assert.equal(percent(0.256), '26%');
  assert.equal(ago(0, 120_000), '2 minutes ago');
  assert.equal(t('count.devices', { count: 1, number: '1' }), '1 device');
  await speak('zh');
  assert.equal(t('batch.retry.value', { count: 1200, after: 5 }), '最多 1,200 次，间隔 5 分钟');
  await speak('en');
});

test('a failure rate is flagged by its share of the ended tasks', () => {
  const of = (succeeded, failed) => failures({ succeeded, failed }).level;
  assert.deepEqual([of(0, 0), of(99, 1), of(95, 5), of(80, 20), of(0, 1)], ['good', 'good', 'warn', 'bad', 'warn']);
});

const FULL = { kind: 'full', product_key: 'a1' };

test('a batch as it is at first asks for nothing that the service would do anyway', () => {
  const body = JSON.parse(JSON.stringify(toBody({ ...EMPTY, package_id: 'p' }, FULL)));
  assert.deepEqual(body, {
    package_id: 'p', product_key: 'a1', mode: 'static', target: { selection: 'all' }, overwrite: false, multi_module: false,
    push: true, needs_confirmation: false, download_protocol: 'https', tags: [],
  });
});

test('named devices and deltas take no source versions', () => {
  const draft = { ...EMPTY, source_versions: ['1.0'], source_other: '1.1, 1.0' };
  assert.deepEqual(toBody(draft, FULL).source_versions, ['1.0', '1.1']);
  assert.equal(toBody(draft, { ...FULL, kind: 'delta' }).source_versions, undefined);
  const named = toBody({ ...draft, selection: 'specific', devices: 'lamp-1\nlamp-2, lamp-1' }, FULL);
  assert.deepEqual(named.target, { selection: 'specific', devices: ['lamp-1', 'lamp-2'] });
  assert.equal(named.source_versions, undefined);
});

test('a dynamic batch has no schedule, and what is no number is left for the service to refuse', () => {
  const draft = { ...EMPTY, when: 'scheduled', start_at: '2030-01-01T08:00', rate: 'many', timeout: '60', retry: '10', retry_count: '2' };
  const body = toBody(draft, FULL);
  assert.equal(body.schedule.start_at, new Date('2030-01-01T08:00').getTime());
  assert.equal(body.push_per_minute_max, 'many');
  assert.equal(body.timeout_minutes, 60);
  assert.deepEqual(body.retry, { after_minutes: 10, count_max: 2 });
  assert.equal(toBody({ ...draft, mode: 'dynamic' }, FULL).schedule, undefined);
});

test('a fault leads to the step it is about', () => {
  const pairs = [['/package_id', 'package'], ['/target/devices/3', 'target'], ['row:7', 'target'], ['/source_versions', 'target'],
    ['/schedule/start_at', 'timing'], ['/retry/count_max', 'timing'], ['/tags/0/key', 'options'], ['/overwrite', 'options']];
  for (const [pointer, step] of pairs) assert.equal(stepOf(pointer), step, pointer);
});

test('pushes of a minute are those that were told of in it', () => {
  const at = (minute, queued, notified) => ({
    at: minute * 60_000, queued, notified, in_progress: 0, succeeded: 0, failed: 0, canceled: 0 });
  const pushes = pushesPerMinute([at(10, 100, 0), at(10.5, 80, 20), at(11, 40, 60), at(13, 0, 100)]);
  assert.deepEqual(pushes.map((one) => one.count), [20, 40, 20]);
});
