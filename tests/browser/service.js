// The whole service as a child process, as the tests in Rust start it, and simulated devices.

import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { createWriteStream, existsSync } from 'node:fs';
import { mkdtemp, mkdir, readFile, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

export const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const TARGET = process.env.CARGO_TARGET_DIR ?? join(ROOT, 'target');
const WASM = process.env.OVERAIR_WASM_DIR ?? join(TARGET, 'wasm32-wasip2/wasm');
/** The first start of all compiles every component. */
const READY_WITHIN_MS = 240_000;
/** As much of the log tells why a host has ended. */
const LOG_BYTES_SHOWN = 2_000;

const program = (name) => {
  const file = join(TARGET, 'debug', name);
  if (!existsSync(file)) throw new Error(`${file} is not there: run \`cargo xtask test\`, which builds it`);
  return file;
};

/** Starts a program that ends with this process, its output in a file. */
function start(file, args, { log, input }) {
  const child = spawn(file, args, { cwd: ROOT, stdio: ['pipe', 'pipe', 'pipe'] });
  child.stderr.pipe(createWriteStream(log));
  if (input) child.stdin.write(input);
  process.once('exit', () => child.kill('SIGKILL'));
  return child;
}

const ended = (child) => new Promise((done) => {
  if (child.exitCode !== null || child.signalCode !== null) done();
  else child.once('exit', done);
});

/** Starts the service with secrets and data of its own, on free ports. */
export async function startService() {
  const data = await mkdtemp(join(tmpdir(), 'overair-browser-'));
  // Compiled components are the same for every start.
  const cache = join(TARGET, 'debug/compiled-components');
  await mkdir(cache, { recursive: true });
  await symlink(cache, join(data, 'cache'));
  const token = randomBytes(24).toString('hex');
  const secret = () => randomBytes(24).toString('hex');
  const variables = {
    api_token: token, internal_token: secret(), url_signing_key: secret(), secrets_key: secret(), mqtt_password: secret(),
    public_base_url: 'http://127.0.0.1:${http_port}', internal_base_url: 'http://127.0.0.1:${http_port}',
    mqtt_address: 'mqtt://127.0.0.1:${mqtt_port}',
    // Where the tests' own receivers of webhooks listen.
    webhook_hosts: 'http://127.0.0.1:*',
  };
  const manifest = await readFile(join(ROOT, 'spin.toml'), 'utf8');
  const components = [...manifest.matchAll(/^\[component\.([a-z-]+)\]$/gm)].flatMap(([, name]) => (
    ['--component', `${name}=${join(WASM, `${name.replaceAll('-', '_')}.wasm`)}`]));
  const args = ['--from', 'spin.toml', '--data-dir', data, '--listen', '127.0.0.1:0', '--mqtt-listen', '127.0.0.1:0',
    ...components, ...Object.entries(variables).flatMap(([name, value]) => ['--variable', `${name}=${value}`])];
  const log = join(data, 'host.log');
  const child = start(program('ota-host'), args, { log });
  const lines = createInterface({ input: child.stdout });
  const ready = await new Promise((told, failed) => {
    const timer = setTimeout(() => failed(new Error(`the host was not ready; see ${log}`)), READY_WITHIN_MS);
    child.once('exit', () => failed(new Error(`the host has ended; see ${log}`)));
    lines.on('line', (line) => {
      const found = /^ready http=(\S+) mqtt=(\S+)/.exec(line);
      if (!found) return;
      clearTimeout(timer);
      told({ http: found[1], mqtt: found[2] });
    });
  });
  const children = [child];
  let stopping = false;
  child.once('exit', async (code, signal) => {
    if (!stopping) console.error(`the host has ended by itself (${signal ?? code}):\n${(await readFile(log, 'utf8')).slice(-LOG_BYTES_SHOWN)}`);
  });
  return {
    base: `http://${ready.http}`, mqtt: ready.mqtt, token, log,
    api: (method, path, body) => call(`http://${ready.http}`, token, method, path, body),
    devices(product, credentials, options) {
      const devices = runDevices(ready, product, credentials, options, join(data, `devices-${children.length}.log`));
      children.push(devices);
      return { stop: () => stop(devices) };
    },
    async stop() {
      stopping = true;
      await Promise.all(children.map(stop));
      await rm(data, { recursive: true, force: true });
    },
  };
}

async function stop(child) {
  child.kill('SIGTERM');
  const impatient = setTimeout(() => child.kill('SIGKILL'), 5_000);
  await ended(child);
  clearTimeout(impatient);
}

/** Devices that are real MQTT and HTTP clients. */
function runDevices({ http, mqtt }, product, credentials, options, log) {
  const args = ['run', '--mqtt', mqtt, '--base-url', `http://${http}`, '--product-key', product, '--credentials', '-', '--leash',
    ...Object.entries({ 'firmware': '1.0.0', 'flash-ms': 100, 'reboot-ms': 200, 'nap-ms': 500, 'bytes-per-second': 0, ...options })
      .flatMap(([name, value]) => [`--${name}`, String(value)])];
  const child = start(program('ota-devices'), args, { log, input: `${JSON.stringify(credentials)}\n` });
  child.stdout.resume();
  return child;
}

async function call(base, token, method, path, body) {
  const headers = { Authorization: `Bearer ${token}` };
  const raw = body instanceof Uint8Array;
  const answer = await fetch(base + path, { method, headers, body: raw ? body : body && JSON.stringify(body) });
  const text = await answer.text();
  if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${text}`);
  return text ? JSON.parse(text) : undefined;
}
