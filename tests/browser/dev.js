// Serves the console's files as they are on disk, and hands everything else to a running service. So a change shows by
// loading the page anew: `cargo xtask up` in one terminal, `npm run dev` in another.

import { readFile } from 'node:fs/promises';
import { createServer, request } from 'node:http';
import { extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ROOT } from './service.js';

const TYPES = { '.html': 'text/html', '.css': 'text/css', '.js': 'text/javascript', '.svg': 'image/svg+xml', '.txt': 'text/plain' };
const ASSETS = join(ROOT, 'functions/console/assets');

/** Serves on a port; 0 takes a free one. */
export async function serve(service, port) {
  const server = createServer(async (incoming, outgoing) => {
    const { pathname } = new URL(incoming.url, 'http://localhost');
    const name = /^\/console\/(?:assets\/dev\/)?([\w./-]*)$/.exec(pathname)?.[1];
    if (name === undefined || name.includes('..')) return forward(service, incoming, outgoing);
    try {
      const file = name || 'index.html';
      const bytes = await readFile(join(ASSETS, file));
      outgoing.writeHead(200, { 'Content-Type': `${TYPES[extname(file)]}; charset=utf-8`, 'Cache-Control': 'no-store' });
      return outgoing.end(file === 'index.html' ? bytes.toString().replaceAll('{version}', 'dev') : bytes);
    } catch {
      outgoing.writeHead(404).end();
    }
  });
  await new Promise((listening) => server.listen(port, '127.0.0.1', listening));
  return server;
}

function forward(service, incoming, outgoing) {
  const { hostname, port } = new URL(service);
  const options = { hostname, port, path: incoming.url, method: incoming.method, headers: incoming.headers };
  const onward = request(options, (answer) => {
    outgoing.writeHead(answer.statusCode, answer.headers);
    answer.pipe(outgoing);
  });
  onward.on('error', () => outgoing.writeHead(502).end());
  incoming.pipe(onward);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const service = process.argv[2] ?? 'http://127.0.0.1:3000';
  const server = await serve(service, 3001);
  console.log(`http://127.0.0.1:${server.address().port}/console/ with the service at ${service}`);
}
