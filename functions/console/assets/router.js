// Addresses: what is after `#`. They never reach a server, so a device's name in one is in nobody's log.

import { html, useEffect, useRef, useState } from './dom.js';

/**
 * Reads `#/batches/ab12?status=failed`.
 * @returns {{path: string, segments: string[], query: Record<string, string>}}
 */
export function parse(hash) {
  const [path, query = ''] = hash.replace(/^#?\/?/, '').split('?');
  const segments = path.split('/').filter(Boolean).map(decode);
  return { path: `/${path.replace(/\/$/, '')}`, segments, query: Object.fromEntries(new URLSearchParams(query)) };
}

function decode(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** Makes an address of parts that are encoded: `` to`/products/${key}` ``. */
export const to = (strings, ...parts) => `#${String.raw({ raw: strings }, ...parts.map(encodeURIComponent))}`;

/**
 * Finds the first route that fits: `batches/:id` fits `['batches', 'ab12']`.
 * @param {[pattern: string, target: unknown, role?: string][]} routes
 */
export function match(routes, segments) {
  for (const [pattern, target, role] of routes) {
    const parts = pattern.split('/').filter(Boolean);
    if (parts.length !== segments.length) continue;
    const params = {};
    const fits = parts.every((part, index) => {
      if (part.startsWith(':')) params[part.slice(1)] = segments[index];
      return part.startsWith(':') || part === segments[index];
    });
    if (fits) return { target, params, role };
  }
  return null;
}

/** Goes to an address; `replace` leaves no way back to the present one. */
export function go(address, { replace = false } = {}) {
  if (replace) {
    history.replaceState(null, '', address);
    dispatchEvent(new HashChangeEvent('hashchange'));
  } else {
    location.hash = address;
  }
}

/** Changes the query of the present address, such as a filter; it is a place to go back to. */
export function setQuery(changes, options) {
  const { path, query } = parse(location.hash);
  const pairs = Object.entries({ ...query, ...changes }).filter(([, value]) => value !== undefined && value !== '');
  go(`#${path}${pairs.length ? `?${new URLSearchParams(pairs)}` : ''}`, options);
}

/** The present address, and again whenever it changes. */
export function useAddress() {
  const [address, setAddress] = useState(() => parse(location.hash));
  useEffect(() => {
    const changed = () => setAddress(parse(location.hash));
    addEventListener('hashchange', changed);
    return () => removeEventListener('hashchange', changed);
  }, []);
  return address;
}

/** Shows the screen of the present address. A screen is a module, loaded when it is first needed, and by whoever may. */
export function Screens({ routes, address, may, loading, missing, denied, failed }) {
  const found = match(routes, address.segments);
  const open = found && (!found.role || may(found.role));
  const [screen, setScreen] = useState({});
  const wanted = useRef();
  wanted.current = found?.target;
  useEffect(() => {
    if (!open || screen.target === found.target) return;
    const { target } = found;
    target().then(
      (module) => wanted.current === target && setScreen({ target, view: module.default }),
      () => wanted.current === target && setScreen({ target, failed: true }),
    );
  }, [found?.target, open]);
  if (!found) return missing;
  if (!open) return denied;
  if (screen.target !== found.target) return loading;
  if (screen.failed) return failed;
  return html`<${screen.view} key=${address.path} params=${found.params} query=${address.query} />`;
}
