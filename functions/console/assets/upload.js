// Uploads. Large files go in slices by tus 1.0 (tus.io), so that a lost connection costs one slice and a closed tab
// goes on where it was; a service that does not speak it, and small files, get the plain route.

import { Problem, problemOf, pause } from './api.js';
import { session } from './session.js';

/** Bytes of one PATCH. */
export const SLICE_BYTES = 8 * 1024 * 1024;
const ROUTE = '/v1/uploads';
const TUS = { 'Tus-Resumable': '1.0.0' };
/** How often one slice is tried before the operator is asked, and the pause that doubles in between. */
const TRIES_MAX = 6;
const PAUSE_MS = 500;
const KEY = 'overair.upload.';

/**
 * Sends a request with a body and tells how far it is; `fetch` cannot tell.
 * @returns {Promise<Response>}
 */
export function sendByXhr(method, where, { headers, body, signal, onProgress }) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open(method, where);
    for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
    request.upload.onprogress = (event) => onProgress?.(event.loaded);
    request.onload = () => {
      const lines = request.getAllResponseHeaders().trim().split(/[\r\n]+/).filter(Boolean);
      const told = new Headers(lines.map((line) => line.split(/:\s*/, 2)));
      const empty = request.status === 204 || request.status === 304;
      resolve(new Response(empty ? null : request.responseText, { status: request.status, headers: told }));
    };
    request.onerror = () => reject(new Problem({ status: 0, code: 'network', detail: '' }));
    request.onabort = () => reject(signal.reason);
    signal?.addEventListener('abort', () => request.abort(), { once: true });
    request.send(body);
  });
}

/** What a file is known by when it is chosen again. Nothing of its bytes is read, so it costs nothing. */
export const fingerprint = (file) => [file.name, file.size, file.lastModified].join('|');

/**
 * Uploads a file.
 * @param {File} file
 * @param {{onProgress?: (sent: number, resumed: boolean) => void, signal?: AbortSignal, send?: typeof sendByXhr,
 *   token?: string, store?: Storage, slice?: number}} [options]
 * @returns {Promise<{upload_id: string, file_name: string, size: number, md5: string, sha256: string}>}
 */
export async function upload(file, options = {}) {
  const context = {
    send: sendByXhr, token: session()?.token, store: globalThis.localStorage, slice: SLICE_BYTES, onProgress() {}, ...options,
  };
  context.headers = { Authorization: `Bearer ${context.token}` };
  context.signal?.throwIfAborted();
  if (file.size <= context.slice) return uploadWhole(file, context);
  const place = await resume(file, context) ?? await create(file, context);
  if (!place) return uploadWhole(file, context);
  await sendSlices(file, place, context);
  const answer = await context.send('GET', place.url, { headers: context.headers, signal: context.signal });
  if (!answer.ok) throw await problemOf(answer);
  forget(file, context);
  return answer.json();
}

async function uploadWhole(file, { send, headers, signal, onProgress }) {
  const where = `${ROUTE}?${new URLSearchParams({ file_name: file.name })}`;
  const answer = await send('PUT', where, { headers, body: file, signal, onProgress: (sent) => onProgress(sent, false) });
  if (!answer.ok) throw await problemOf(answer);
  return answer.json();
}

/** Goes on with an upload of this file that was begun before; nothing if there is none, or it is gone. */
async function resume(file, context) {
  const url = context.store?.getItem(KEY + fingerprint(file));
  if (!url) return null;
  const offset = await askOffset(url, context);
  if (offset === null) forget(file, context);
  return offset === null ? null : { url, offset, resumed: offset > 0 };
}

/** Begins an upload; nothing if the service does not speak tus. */
async function create(file, context) {
  const name = btoa(String.fromCharCode(...new TextEncoder().encode(file.name)));
  const headers = {
    ...context.headers, ...TUS, 'Upload-Length': String(file.size), 'Upload-Metadata': `filename ${name}`,
  };
  const answer = await context.send('POST', ROUTE, { headers, signal: context.signal });
  const spoken = answer.headers.get('Tus-Resumable') || answer.headers.get('Tus-Version');
  if (!spoken) {
    if (answer.status === 401 || answer.status === 403) throw await problemOf(answer);
    return null;
  }
  if (answer.status !== 201) throw await problemOf(answer);
  // Only the path counts: a service behind a proxy may not know by what name it is reached.
  const url = new URL(answer.headers.get('Location'), new URL(ROUTE, globalThis.location?.href ?? 'http://service/')).pathname;
  try {
    context.store?.setItem(KEY + fingerprint(file), url);
  } catch {
    // No room to remember it: then it cannot go on in another tab, and that is all.
  }
  return { url, offset: 0, resumed: false };
}

/** Asks how much of an upload has arrived; `null` when there is no such upload any more. */
async function askOffset(url, { send, headers, signal }) {
  const answer = await send('HEAD', url, { headers: { ...headers, ...TUS }, signal });
  if ([404, 410, 403].includes(answer.status)) return null;
  if (!answer.ok) throw await problemOf(answer);
  return Number(answer.headers.get('Upload-Offset'));
}

async function sendSlices(file, place, context) {
  let { offset } = place;
  let failures = 0;
  context.onProgress(offset, place.resumed);
  while (offset < file.size) {
    const from = offset;
    try {
      const answer = await context.send('PATCH', place.url, {
        headers: { ...context.headers, ...TUS, 'Upload-Offset': String(from), 'Content-Type': 'application/offset+octet-stream' },
        body: file.slice(from, from + context.slice),
        signal: context.signal,
        onProgress: (sent) => context.onProgress(from + sent, place.resumed),
      });
      // 409: another offset than the service's; 423: an earlier request for this upload has not ended yet there.
      if (!answer.ok && ![409, 423, 500, 502, 503, 504].includes(answer.status)) throw await final(answer);
      if (!answer.ok) throw await problemOf(answer);
      offset = Number(answer.headers.get('Upload-Offset'));
      failures = 0;
    } catch (problem) {
      context.signal?.throwIfAborted();
      failures += 1;
      if (problem.final || failures >= TRIES_MAX) throw problem;
      await pause(PAUSE_MS * 2 ** (failures - 1), context.signal);
      offset = await askOffset(place.url, context).catch(() => offset) ?? offset;
    }
    context.onProgress(offset, place.resumed);
  }
}

/** A refusal that no repetition changes. */
async function final(answer) {
  const problem = await problemOf(answer);
  problem.final = true;
  return problem;
}

function forget(file, { store }) {
  store?.removeItem(KEY + fingerprint(file));
}

/** Gives an upload up, also at the service. */
export async function giveUp(file) {
  const store = globalThis.localStorage;
  const url = store?.getItem(KEY + fingerprint(file));
  if (!url) return;
  forget(file, { store });
  await fetch(url, { method: 'DELETE', headers: { Authorization: `Bearer ${session()?.token}`, ...TUS } }).catch(() => {});
}
