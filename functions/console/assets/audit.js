// The audit log: who did what.

import { html } from './dom.js';
import { Select, Text } from './form.js';
import { t } from './i18n.js';
import { products } from './names.js';
import { useList } from './poll.js';
import { setQuery, to } from './router.js';
import { Badge, Button, Chip, Copyable, Empty, ListTable, Page, When } from './ui.js';

export default function Audit({ query }) {
  const known = products.use();
  const list = useList('/v1/audit', { product_key: query.product, actor: query.actor, action: query.action });
  const columns = [
    { key: 'at', title: t('event.at'), head: true, cell: (one) => html`<${When} at=${one.at} second />` },
    { key: 'actor', title: t('audit.actor'), cell: (one) => html`<a href=${`${to`/audit`}?actor=${encodeURIComponent(one.actor)}`}>${one.actor}</a><span class="under">${t(`role.${one.role}`)}</span>` },
    { key: 'action', title: t('audit.action'), cell: (one) => html`<${Chip}>${one.action}<//>` },
    { key: 'subject', title: t('audit.subject'), wide: true, cell: (one) => html`<${Subject} of=${one} />
      ${one.product_key && html`<span class="under">${known.by.get(one.product_key)?.name ?? one.product_key}</span>`}` },
    { key: 'status', title: t('state.title'), cell: (one) => html`<${Outcome} status=${one.status} />` },
    { key: 'request', title: t('audit.request'), cell: (one) => html`<${Copyable} text=${one.request_id} short />` },
  ];
  const bind = (name) => ({ value: query[name], type: 'search', onValue: (value) => setQuery({ [name]: value }, { replace: true }) });
  return html`<${Page} title=${t('nav.audit')} lead=${t('audit.lead')} actions=${html`<${Button} icon="again" onClick=${list.reload}>${t('action.refresh')}<//>`}>
    <div class="filters">
      <${Text} label=${t('audit.actor')} ...${bind('actor')} />
      <${Text} label=${t('audit.action')} placeholder="batch.create" ...${bind('action')} />
      <${Select} label=${t('product.one')} value=${query.product} onValue=${(product) => setQuery({ product })}
        of=${[['', t('filter.all-products')], ...(known.items ?? []).map((one) => [one.product_key, one.name])]} />
    </div>
    <${ListTable} list=${list} caption=${t('nav.audit')} columns=${columns} rowKey=${(one) => `${one.at}${one.request_id}`}
      empty=${html`<${Empty} icon="audit" title=${t('audit.empty')} />`} />
  <//>`;
}

/** How it ended; what is open was cut off, or is being done right now. */
function Outcome({ status }) {
  if (status === undefined) return html`<${Badge} status="unconfirmed">${t('audit.open')}<//>`;
  return html`<${Badge} status=${status < 400 ? 'succeeded' : 'failed'}>${status}<//>`;
}

/** What was changed, with the way there where there is a screen for it: `batch/…`. */
function Subject({ of }) {
  const [noun, ...rest] = of.subject.split('/');
  const id = rest.join('/');
  const places = {
    batch: () => to`/batches/${id}`, package: () => to`/packages/${id}`, product: () => to`/products/${id}`, webhook: () => to`/webhooks/${id}`,
    // Of several the log tells the names in one text.
    device: () => of.product_key && !/[, ]/.test(id) && to`/products/${of.product_key}/devices/${id}`,
  };
  const href = id && places[noun]?.();
  return href ? html`${noun}/<a href=${href}><code>${id}</code></a>` : html`<code>${of.subject}</code>`;
}
