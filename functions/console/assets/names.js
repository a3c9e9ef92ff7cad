// Names of products and packages: batches and events tell only ids.

import { useEffect, useState } from './dom.js';
import { list } from './api.js';

/** How long what was read counts as fresh. */
const FRESH_MS = 30_000;

function catalogue(where, idOf, options) {
  let read;
  let at = 0;
  const listeners = new Set();
  const load = () => {
    if (!read || Date.now() - at > FRESH_MS) {
      at = Date.now();
      read = list(where, options).then(({ items }) => ({ items, by: new Map(items.map((one) => [one[idOf], one])) }));
      read.catch(() => { read = undefined; });
    }
    return read;
  };
  const forget = () => {
    read = undefined;
    for (const listener of listeners) listener();
  };
  /** @returns {{items?: object[], by: Map<string, object>, problem?: Error}} */
  const use = () => {
    const [state, setState] = useState({ by: new Map() });
    useEffect(() => {
      let gone = false;
      const fill = () => load().then((data) => gone || setState(data), (problem) => gone || setState({ by: new Map(), problem }));
      fill();
      listeners.add(fill);
      return () => {
        gone = true;
        listeners.delete(fill);
      };
    }, []);
    return state;
  };
  return { use, load, forget };
}

/** At most 1,000 products, and 500 packages. */
export const products = catalogue('/v1/products', 'product_key');
export const packages = catalogue('/v1/packages', 'package_id');
