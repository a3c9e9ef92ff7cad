// Events: what has happened. The service tells them oldest first and where to go on; here the newest come first.

import { html, useState } from './dom.js';
import { get } from './api.js';
import { Select } from './form.js';
import { t } from './i18n.js';
import { products } from './names.js';
import { useLoad } from './poll.js';
import { asStatus } from './progress.js';
import { setQuery, to } from './router.js';
import { Badge, Button, Chip, Copyable, Empty, Loaded, Page, Table, When } from './ui.js';

const LOOK_MS = 5_000;
/** Requests of one look: each reads up to 200 events. */
const PARTS_MAX = 25;
/** Events that are kept here; the service keeps a hundred thousand. */
const KEPT_MAX = 1_000;
const SHOWN = 100;

/** Goes on from where the last look ended, as far as one look may. */
async function readOn(query, signal, before) {
  let { cursor, items } = before ?? { items: [] };
  let end = false;
  for (let part = 0; part < PARTS_MAX && !end; part += 1) {
    const answer = await get('/v1/events', { query: { ...query, limit: 200, cursor }, signal });
    const known = new Set(items.slice(0, 300).map((one) => one.event_id));
    // An event may be listed twice, with the same id.
    const fresh = answer.items.filter((one) => !known.has(one.event_id)).reverse();
    items = [...fresh, ...items].slice(0, KEPT_MAX);
    end = answer.next_cursor === cursor || (answer.items.length === 0 && Number(answer.next_cursor) - Number(cursor ?? 0) < 200);
    cursor = answer.next_cursor;
  }
  return { items, cursor, end };
}

export default function Events({ query }) {
  const known = products.use();
  const filter = { type: query.type, product_key: query.product };
  const [paused, setPaused] = useState(false);
  const [shown, setShown] = useState(SHOWN);
  const events = useLoad((signal, before) => readOn(filter, signal, before), [query.type, query.product], {
    every: (data) => (paused ? undefined : data?.end === false ? 50 : LOOK_MS),
  });
  const columns = [
    { key: 'at', title: t('event.at'), head: true, cell: (one) => html`<${When} at=${one.at} second />` },
    { key: 'type', title: t('event.type'), cell: (one) => html`<${Chip}>${t(`event.${one.type}`)}<//>` },
    { key: 'what', title: t('event.what'), wide: true, cell: (one) => html`<${What} of=${one} />` },
    { key: 'product', title: t('product.one'), cell: (one) => known.by.get(one.product_key)?.name ?? one.product_key },
    { key: 'more', title: t('event.payload'), wide: true, cell: (one) => html`<details><summary>${t('event.show')}</summary>
      <p><code>${one.topic}</code></p><pre tabindex="0">${JSON.stringify(one.payload, null, 2)}</pre><${Copyable} text=${one.event_id} label=${t('event.copy-id')} /></details>` },
  ];
  return html`<${Page} title=${t('nav.events')} lead=${t('event.lead')} actions=${html`<${Button} icon=${paused ? 'play' : 'pause'}
      onClick=${() => { setPaused(!paused); if (paused) events.reload(); }}>${t(paused ? 'event.go-on' : 'event.pause')}<//>`}>
    <div class="filters">
      <${Select} label=${t('event.type')} value=${query.type} onValue=${(type) => setQuery({ type })}
        of=${[['', t('event.all')], ...['task-ended', 'version-changed', 'batch-status'].map((key) => [key, t(`event.${key}`)])]} />
      <${Select} label=${t('product.one')} value=${query.product} onValue=${(product) => setQuery({ product })}
        of=${[['', t('filter.all-products')], ...(known.items ?? []).map((one) => [one.product_key, one.name])]} />
    </div>
    <${Loaded} of=${events}>${({ items }) => (items.length ? html`<${Table} caption=${t('nav.events')} columns=${columns}
      rows=${items.slice(0, shown)} rowKey=${(one) => one.event_id} />
      ${items.length > shown && html`<div class="more"><${Button} onClick=${() => setShown(shown + SHOWN)}>${t('action.more')}<//></div>`}`
    : html`<${Empty} icon="event" title=${t('event.empty')}>${t('event.empty.text')}<//>`)}<//>
  <//>`;
}

/** The ids in a topic, by what kind of event it is: `/{product}/{device}/ota/upgrade`. */
function What({ of }) {
  const [, product, second, third] = of.topic.split('/');
  if (of.type === 'batch-status') {
    return html`<a href=${to`/batches/${third}`}>${t('event.batch')}</a> ${of.payload.status && html`<${Badge}
      status=${asStatus(String(of.payload.status).toLowerCase())} noun="batch-status" />`}`;
  }
  const device = html`<a href=${to`/products/${product}/devices/${second}`}>${second}</a>`;
  const { moduleName, moduleVersion, srcVersion, destVersion, desc, status } = of.payload;
  if (of.type === 'version-changed') return html`${device} ${moduleName !== 'default' && moduleName} <code>${moduleVersion}</code>`;
  return html`${device} <${Badge} status=${asStatus(String(status).toLowerCase())} /> <code>${srcVersion && `${srcVersion} → `}${destVersion}</code>
    ${status === 'FAILED' && desc && html` <span class="fine">${desc}</span>`}`;
}
