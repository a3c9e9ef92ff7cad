// Uploads against a small tus server, with what goes wrong on the way.

import assert from 'node:assert/strict';
import { File } from 'node:buffer';
import { createServer } from 'node:http';
import { afterEach, beforeEach, test } from 'node:test';
import './page.js';
import { fingerprint, upload } from '../../../functions/console/assets/upload.js';

let server;
let base;
/** What the server knows and what was asked of it. */
let state;

const collect = async (request) => {
  const parts = [];
  for await (const part of request) parts.push(part);
  return Buffer.concat(parts);
};

async function answer(request, response) {
  const { method, url, headers } = request;
  state.asked.push(`${method} ${url}`);
  const tus = { 'Tus-Resumable': '1.0.0' };
  assert.equal(headers.authorization, 'Bearer secret');
  if (method === 'PUT') {
    state.whole = await collect(request);
    return response.writeHead(201).end(JSON.stringify({ upload_id: 'whole', size: state.whole.length }));
  }
  if (!state.tus) return response.writeHead(422).end('{}');
  if (method === 'POST') {
    state.length = Number(headers['upload-length']);
    state.name = Buffer.from(headers['upload-metadata'].replace('filename ', ''), 'base64').toString();
    return response.writeHead(201, { ...tus, Location: 'http://other-name.example/v1/uploads/u1' }).end();
  }
  if (url !== '/v1/uploads/u1') return response.writeHead(404, tus).end();
  if (method === 'HEAD') return response.writeHead(200, { ...tus, 'Upload-Offset': state.bytes.length }).end();
  if (method === 'GET') return response.writeHead(200).end(JSON.stringify({ upload_id: 'u1', size: state.bytes.length }));
  const body = await collect(request);
  if (Number(headers['upload-offset']) !== state.bytes.length) return response.writeHead(409, tus).end();
  const fault = state.faults.shift();
  // Half of the slice arrives, and then the connection is lost.
  if (fault === 'cut') state.bytes = Buffer.concat([state.bytes, body.subarray(0, body.length / 2)]);
  if (fault === 'cut') return request.socket.destroy();
  if (fault) return response.writeHead(fault, tus).end();
  state.bytes = Buffer.concat([state.bytes, body]);
  return response.writeHead(204, { ...tus, 'Upload-Offset': state.bytes.length }).end();
}

beforeEach(async () => {
  state = { tus: true, bytes: Buffer.alloc(0), faults: [], asked: [], store: new Map() };
  server = createServer((request, response) => answer(request, response).catch(() => response.destroy()));
  await new Promise((listening) => server.listen(0, '127.0.0.1', listening));
  base = `http://127.0.0.1:${server.address().port}`;
});

afterEach(() => {
  server.closeAllConnections();
  server.close();
});

const CONTENT = Buffer.from(Array.from({ length: 1000 }, (_, index) => index % 251));
const file = () => new File([CONTENT], 'firmware-中.bin', { lastModified: 5 });
const send = (method, where, { headers, body, signal }) => fetch(base + where, { method, headers, body, signal });
const store = () => ({
  getItem: (key) => state.store.get(key) ?? null, setItem: (key, value) => state.store.set(key, value), removeItem: (key) => state.store.delete(key),
});
const start = (more) => upload(file(), { send, token: 'secret', store: store(), slice: 300, ...more });

test('a large file goes in slices, and its place is forgotten when it has arrived', async () => {
  const told = [];
  const answered = await start({ onProgress: (sent) => told.push(sent) });
  assert.equal(answered.upload_id, 'u1');
  assert.deepEqual([state.length, state.name], [1000, 'firmware-中.bin']);
  assert.ok(state.bytes.equals(CONTENT));
  assert.deepEqual(told, [0, 300, 600, 900, 1000]);
  assert.equal(state.store.size, 0);
});

test('what was lost on the way is sent again from where it broke off', async () => {
  state.faults = [undefined, 'cut', 503];
  await start();
  assert.ok(state.bytes.equals(CONTENT));
  assert.equal(state.asked.filter((one) => one.startsWith('HEAD')).length, 2);
});

test('a file that is chosen again goes on where it was', async () => {
  state.bytes = CONTENT.subarray(0, 600);
  state.store.set(`overair.upload.${fingerprint(file())}`, '/v1/uploads/u1');
  const resumed = [];
  await start({ onProgress: (sent, again) => resumed.push([sent, again]) });
  assert.deepEqual(resumed[0], [600, true]);
  assert.equal(state.asked.some((one) => one.startsWith('POST')), false);
  assert.ok(state.bytes.equals(CONTENT));
});

test('an upload that the service has collected is begun anew', async () => {
  state.store.set(`overair.upload.${fingerprint(file())}`, '/v1/uploads/gone');
  await start();
  assert.deepEqual(state.asked.slice(0, 2), ['HEAD /v1/uploads/gone', 'POST /v1/uploads']);
  assert.ok(state.bytes.equals(CONTENT));
});

test('a refusal is told at once and not tried again', async () => {
  state.faults = [413];
  await assert.rejects(start(), (problem) => problem.status === 413);
  assert.equal(state.asked.filter((one) => one.startsWith('PATCH')).length, 1);
});

test('small files, and services that do not speak tus, get the plain route', async () => {
  await start({ slice: 5000 });
  assert.deepEqual(state.asked.map((one) => one.split(' ')[0]), ['PUT']);
  state.tus = false;
  assert.equal((await start()).upload_id, 'whole');
  assert.deepEqual(state.asked.map((one) => one.split(' ')[0]), ['PUT', 'POST', 'PUT']);
  assert.ok(state.whole.equals(CONTENT));
});
