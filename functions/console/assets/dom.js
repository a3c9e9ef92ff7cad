// What every module needs of the page: rendering, and telling people who do not see it what has changed.

import {
  h, html, render, createContext, useState, useEffect, useLayoutEffect, useRef, useMemo, useContext,
  useErrorBoundary,
} from './vendor/preact.js';

export {
  h, html, render, createContext, useState, useEffect, useLayoutEffect, useRef, useMemo, useContext,
  useErrorBoundary,
};

let ids = 0;

/** Returns an id that stays the same for this component, to tie a label or a hint to a field. */
export function useId(prefix = 'i') {
  const id = useRef('');
  if (!id.current) id.current = `${prefix}${(ids += 1)}`;
  return id.current;
}

/** Joins the names of classes that hold. */
export const classes = (...names) => names.filter(Boolean).join(' ');

const listeners = new Set();

/** Tells a screen reader something, politely. The shell has the live region. */
export function announce(text) {
  for (const listener of listeners) listener(text);
}

/** Calls back with whatever is announced. */
export function onAnnounce(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** Puts a text on the clipboard; tells whether that was possible. */
export async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // Without TLS browsers offer no clipboard; the old way still works there.
    const area = document.createElement('textarea');
    area.value = text;
    area.className = 'visually-hidden';
    (document.querySelector('dialog[open]') ?? document.body).append(area);
    area.select();
    const done = document.execCommand('copy');
    area.remove();
    return done;
  }
}

/** Offers bytes as a file to keep. */
export function saveFile(name, text, type = 'text/plain') {
  const url = URL.createObjectURL(new Blob([text], { type }));
  const link = document.createElement('a');
  link.href = url;
  link.download = name;
  link.click();
  URL.revokeObjectURL(url);
}

/** Returns hexadecimal digits that nobody can guess. `randomUUID` exists with TLS only. */
export function randomId(bytes = 16) {
  const random = crypto.getRandomValues(new Uint8Array(bytes));
  return Array.from(random, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
