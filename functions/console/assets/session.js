// Who is signed in. The token lies in this tab, or in the browser if the operator wants to stay signed in.

const KEY = 'overair.token';
const listeners = new Set();
let current = restore();

/**
 * @typedef {{token: string, name?: string, role?: 'admin'|'operator'|'viewer', products?: string[]}} Session
 * Of a token that was kept from before only the token is known, until the service has said whose it is.
 */

function restore() {
  const token = sessionStorage.getItem(KEY) ?? localStorage.getItem(KEY);
  return token ? { token } : null;
}

/** @returns {Session | null} */
export const session = () => current;

/** The token of whoever is signed in. */
export const token = () => current?.token;

/** Signs in with a token that the service has accepted. */
export function begin(next, keep) {
  current = next;
  if (keep !== undefined) {
    sessionStorage.removeItem(KEY);
    localStorage.removeItem(KEY);
    (keep ? localStorage : sessionStorage).setItem(KEY, next.token);
  }
  tell('begun');
}

/** Signs out; `why` is `expired` when the service did not take the token any more. */
export function end(why = 'left') {
  if (!current) return;
  current = null;
  sessionStorage.removeItem(KEY);
  localStorage.removeItem(KEY);
  tell(why);
}

/** Calls back when somebody signs in or out. */
export function onSession(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

function tell(what) {
  for (const listener of listeners) listener(current, what);
}

// Signing out in one tab signs out all that share the token.
addEventListener('storage', (event) => {
  if (event.key === KEY && event.newValue === null && !sessionStorage.getItem(KEY)) end();
});

const RANK = { viewer: 0, operator: 1, admin: 2 };

/** Tells whether the role is at least this one. What the service refuses is refused there; this only hides it. */
export const may = (role) => (RANK[current?.role] ?? RANK.viewer) >= RANK[role];

/** Tells whether the token is bound to some products: what belongs to none of them is not for it to change. */
export const bound = () => (current?.products?.length ?? 0) > 0;
