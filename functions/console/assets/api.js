// The REST API: requests with the token, answers as JSON, faults as `Problem`, lists page by page.

import { randomId } from './dom.js';
import { end, token } from './session.js';

/** How often a busy service is asked again before the operator is told. */
const TRIES_MAX = 3;
/** Pages that one list reads at the most: beyond that the operator narrows it down. */
const PAGES_MAX = 10;
/** The largest page that the service gives. */
const PAGE_SIZE = 200;

/** A refused request (RFC 9457), or one that reached nobody: then `status` is 0. */
export class Problem extends Error {
  /**
   * @param {{status: number, code: string, detail: string, instance?: string,
   *   errors?: {pointer: string, code: string, detail: string}[]}} told
   */
  constructor(told) {
    super(told.detail || told.code);
    this.status = told.status;
    this.code = told.code;
    this.detail = told.detail;
    this.instance = told.instance;
    this.errors = told.errors ?? [];
  }

  /** The route is not there: this service is older than the console, or has the part left out. */
  get missingRoute() {
    return this.status === 404 && (this.code === 'request.no-route' || this.code === 'http.404');
  }
}

const unreachable = () => new Problem({ status: 0, code: 'network', detail: '' });

/** Adds what is given to a path as its query. */
export function withQuery(path, query = {}) {
  const pairs = Object.entries(query).filter(([, value]) => value !== undefined && value !== null && value !== '');
  return pairs.length ? `${path}?${new URLSearchParams(pairs)}` : path;
}

/** Makes a path of parts that are encoded. */
export const path = (strings, ...parts) => String.raw({ raw: strings }, ...parts.map(encodeURIComponent));

/** Waits, unless it is called off. */
export const pause = (ms, signal) => new Promise((resolve, reject) => {
  const timer = setTimeout(resolve, ms);
  signal?.addEventListener('abort', () => {
    clearTimeout(timer);
    reject(signal.reason);
  }, { once: true });
});

/**
 * Makes a request.
 * @param {string} method
 * @param {string} where
 * @param {{body?: unknown, query?: object, signal?: AbortSignal, headers?: object, token?: string}} [options]
 */
export async function call(method, where, { body, query, signal, headers, token: other } = {}) {
  const options = { method, signal, headers: { Authorization: `Bearer ${other ?? token()}`, ...headers } };
  if (body !== undefined) {
    options.body = JSON.stringify(body);
    options.headers['Content-Type'] = 'application/json';
  }
  // Only what does the same when it is done twice is sent twice.
  const tries = method === 'GET' || options.headers['Idempotency-Key'] ? TRIES_MAX : 1;
  for (let tried = 1; ; tried += 1) {
    const response = await send(withQuery(where, query), options);
    if (response.ok) return response.status === 204 ? undefined : readJson(response);
    if (response.status === 503 && tried < tries) {
      await pause((Number(response.headers.get('Retry-After')) || 1) * 1000, signal);
      continue;
    }
    const problem = await problemOf(response);
    if (problem.status === 401 && !other) end('expired');
    throw problem;
  }
}

async function send(where, options) {
  try {
    return await fetch(where, options);
  } catch (error) {
    if (options.signal?.aborted) throw error;
    throw unreachable();
  }
}

async function readJson(response) {
  try {
    return await response.json();
  } catch (error) {
    if (error.name === 'AbortError') throw error;
    throw unreachable();
  }
}

/** Reads what a refusal says, also of somebody on the way who knows nothing of problems. */
export async function problemOf(response) {
  const told = await response.json().catch(() => ({}));
  return new Problem({
    detail: response.statusText, ...told, status: response.status, code: told.code ?? `http.${response.status}`,
  });
}

export const get = (where, options) => call('GET', where, options);
export const post = (where, body, options) => call('POST', where, { body, ...options });
export const patch = (where, body, options) => call('PATCH', where, { body, ...options });
export const put = (where, body, options) => call('PUT', where, { body, ...options });
export const remove = (where, options) => call('DELETE', where, options);

/** Makes something once, however often the answer gets lost on its way: `key` is that of the form. */
export const make = (where, body, key) => post(where, body, { headers: { 'Idempotency-Key': key } });

/** A key for `make`. */
export const newKey = () => randomId();

/**
 * Reads a list to its end, or to a bound.
 * @returns {Promise<{items: object[], more: boolean}>} `more` tells that there is more than was read.
 */
export async function list(where, { query = {}, signal, pages = PAGES_MAX, size = PAGE_SIZE } = {}) {
  const items = [];
  let cursor;
  for (let page = 0; page < pages; page += 1) {
    const answer = await get(where, { query: { limit: size, ...query, cursor }, signal });
    items.push(...answer.items);
    cursor = answer.next_cursor;
    if (!cursor) return { items, more: false };
  }
  return { items, more: true };
}
