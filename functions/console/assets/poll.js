// Data from the service: loaded when a component appears, refreshed while it is looked at, called off when it goes.

import { useEffect, useRef, useState } from './dom.js';
import { get } from './api.js';

/** The longest pause between two tries while the service does not answer. */
const BACKOFF_MAX_MS = 60_000;
/** Items of one page of a list that grows by a button. */
const PAGE_SIZE = 50;

/**
 * Loads something, again and again if `every` says so.
 *
 * @template T
 * @param {(signal: AbortSignal, before?: T) => Promise<T>} load
 * @param {unknown[]} keys - when one of them changes, what was loaded counts for nothing
 * @param {{every?: (data: T) => number | undefined}} [options] - milliseconds to the next time; none: not again
 * @returns {{data?: T, problem?: Error, loading: boolean, reload: () => Promise<void>}}
 */
export function useLoad(load, keys, { every } = {}) {
  const [state, setState] = useState({ loading: true });
  const now = useRef(null);
  const latest = useRef();
  latest.current = { load, every };
  useEffect(() => {
    const control = new AbortController();
    let timer;
    let failures = 0;
    let data;
    let running = null;
    setState((old) => (old.data === undefined && old.loading ? old : { loading: true }));

    const plan = (ms) => {
      clearTimeout(timer);
      if (ms !== undefined && !control.signal.aborted) timer = setTimeout(refresh, ms);
    };
    const once = async () => {
      try {
        data = await latest.current.load(control.signal, data);
        failures = 0;
        if (control.signal.aborted) return;
        setState({ data, loading: false });
        plan(latest.current.every?.(data));
      } catch (problem) {
        if (control.signal.aborted) return;
        failures += 1;
        setState({ data, problem, loading: false });
        const often = latest.current.every?.(data);
        if (often !== undefined) plan(Math.min(often * 2 ** failures, BACKOFF_MAX_MS));
      }
    };
    const refresh = () => {
      // Nobody looks: the next look is when somebody does.
      if (document.hidden) return Promise.resolve();
      running ??= once().finally(() => { running = null; });
      return running;
    };
    const seen = () => {
      if (!document.hidden && latest.current.every?.(data) !== undefined) refresh();
    };
    now.current = refresh;
    document.addEventListener('visibilitychange', seen);
    running = once().finally(() => { running = null; });
    return () => {
      control.abort();
      clearTimeout(timer);
      document.removeEventListener('visibilitychange', seen);
    };
  }, keys);
  return { ...state, reload: () => now.current?.() ?? Promise.resolve() };
}

/**
 * A list of which more is shown when somebody asks for more. Read anew, it is as long as it was before.
 *
 * @param {string | undefined} where - the route; none while it is not known
 * @param {object} query
 * @param {{size?: number, by?: string}} [options] - `by` is a field that a list of one page is sorted by
 * @returns {{items: object[], problem?: Error, loading: boolean, more?: () => void, reload: () => void}}
 */
export function useList(where, query = {}, { size = PAGE_SIZE, by } = {}) {
  const key = JSON.stringify([where, query]);
  const [state, setState] = useState({ key, items: [], loading: true });
  const [turn, setTurn] = useState(0);
  const control = useRef();
  const read = async (signal, from, before, wanted = size / 2) => {
    setState((old) => ({ ...old, loading: true, problem: undefined }));
    try {
      const items = [...before];
      let cursor = from;
      // A page may be empty and not the last: what is filtered away is not worth a click.
      for (let page = 0; page < 20; page += 1) {
        const answer = await get(where, { query: { limit: size, ...query, cursor }, signal });
        items.push(...answer.items);
        cursor = answer.next_cursor;
        if (!cursor || items.length >= before.length + wanted) break;
      }
      if (by && !from && !cursor) items.sort((a, b) => a[by].localeCompare(b[by], undefined, { numeric: true }));
      if (!signal.aborted) setState({ key, items, cursor, loading: false });
    } catch (problem) {
      if (!signal.aborted) setState((old) => ({ ...old, key, loading: false, problem }));
    }
  };
  useEffect(() => {
    control.current = new AbortController();
    const { signal } = control.current;
    const shown = state.key === key ? state.items.length : 0;
    if (where) read(signal, undefined, [], Math.max(size / 2, shown));
    return () => control.current.abort();
  }, [key, turn]);
  const fresh = state.key === key;
  const { signal } = control.current ?? {};
  return {
    items: fresh ? state.items : [],
    problem: fresh ? state.problem : undefined,
    loading: !fresh || state.loading,
    more: fresh && state.cursor ? () => read(signal, state.cursor, state.items) : undefined,
    reload: () => setTurn((old) => old + 1),
  };
}
