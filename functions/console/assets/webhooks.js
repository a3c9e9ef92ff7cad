// Webhooks: where the service tells what happens.

import { html, useState } from './dom.js';
import { patch, path, post } from './api.js';
import { Dialog, toast } from './dialog.js';
import { Check, Select, Text, useForm } from './form.js';
import { number, t } from './i18n.js';
import { products } from './names.js';
import { useList } from './poll.js';
import { to } from './router.js';
import { Once } from './tokens.js';
import { bound, may } from './session.js';
import { Badge, Button, Chip, Empty, ListTable, Name, Page, When } from './ui.js';

/** What a webhook can be told of. */
const TYPES = ['task.finished', 'version.changed', 'batch.status'];

export default function Webhooks() {
  const list = useList('/v1/webhooks');
  const known = products.use();
  const [making, setMaking] = useState(false);
  const columns = [
    { key: 'url', title: 'URL', head: true, cell: (one) => html`<${Name} href=${to`/webhooks/${one.webhook_id}`} under=${one.description}>${one.url}<//>` },
    { key: 'types', title: t('webhook.types'), cell: (one) => html`<span class="chips">${one.event_types.map((type) => html`<${Chip} key=${type}>${t(`webhook.${type}`)}<//> `)}</span>` },
    { key: 'product', title: t('product.one'), cell: (one) => (one.product_key ? known.by.get(one.product_key)?.name ?? one.product_key : t('filter.all-products')) },
    { key: 'enabled', title: t('state.title'), cell: (one) => html`<${Badge} status=${one.enabled ? 'enabled' : 'disabled'} />` },
    { key: 'waiting', title: t('delivery.pending'), end: true, cell: (one) => number(one.counts.pending + one.counts.behind) },
    { key: 'dead', title: t('delivery.dead'), end: true, cell: (one) => (one.counts.dead
    ? html`<a href=${`${to`/webhooks/${one.webhook_id}`}?status=dead`}>${number(one.counts.dead)}</a>` : number(0)) },
    { key: 'at', title: t('package.created'), cell: (one) => html`<${When} at=${one.created_at} />` },
  ];
  const add = may('admin') && html`<${Button} kind="primary" icon="plus" onClick=${() => setMaking(true)}>${t('webhook.new')}<//>`;
  return html`<${Page} title=${t('nav.webhooks')} lead=${t('webhook.lead')} actions=${add}>
    <${ListTable} list=${list} caption=${t('nav.webhooks')} columns=${columns} rowKey=${(one) => one.webhook_id}
      empty=${html`<${Empty} icon="webhook" title=${t('webhook.empty')} action=${add}>${t('webhook.empty.text')}<//>`} />
    ${making && html`<${EditWebhook} onClose=${() => setMaking(false)} changed=${list.reload} />`}
  <//>`;
}

/** Makes a webhook, or changes one. */
export function EditWebhook({ of, onClose, changed }) {
  const known = products.use();
  const form = useForm({
    url: of?.url ?? '', description: of?.description ?? '', product: '', types: of?.event_types?.length ? of.event_types : TYPES,
  });
  const [made, setMade] = useState();
  const { types } = form.values;
  const submit = form.submit(async (values) => {
    const body = { url: values.url.trim(), description: values.description, event_types: values.types };
    if (of) {
      await patch(path`/v1/webhooks/${of.webhook_id}`, body);
      toast(t('state.saved'), 'good');
      onClose();
    } else {
      setMade(await post('/v1/webhooks', { ...body, description: values.description || undefined, product_key: values.product || undefined }));
    }
    changed();
  });
  if (made) return html`<${Once} title=${t('webhook.made')} text=${t('webhook.once')} secret=${made.secret} onClose=${onClose} />`;
  return html`<${Dialog} title=${t(of ? 'webhook.edit' : 'webhook.new')} onClose=${onClose}><form onSubmit=${submit} novalidate>
    <${Text} label="URL" type="url" hint=${t('webhook.url.hint')} ...${form.bind('url')} autofocus />
    <fieldset class=${form.errorAt('/event_types') ? 'wrong' : ''}><legend>${t('webhook.types')}</legend>${TYPES.map((type) => html`<${Check} key=${type} label=${t(`webhook.${type}`)}
      value=${types.includes(type)} onValue=${(on) => form.set('types', on ? [...types, type] : types.filter((one) => one !== type))} />`)}
      ${form.errorAt('/event_types') && html`<p class="error">${form.errorAt('/event_types')}</p>`}</fieldset>
    ${!of && html`<${Select} label=${t('product.one')} ...${form.bind('product', '/product_key')} of=${[['', t(bound() ? 'form.choose' : 'filter.all-products')],
    ...(known.items ?? []).map((one) => [one.product_key, one.name])]} />`}
    <${Text} label=${t('package.description')} optional ...${form.bind('description')} />
    ${form.rest()}
    <footer class="actions end"><${Button} onClick=${onClose}>${t('action.cancel')}<//>
      <${Button} kind="primary" type="submit" busy=${form.busy}>${t('action.save')}<//></footer></form><//>`;
}
