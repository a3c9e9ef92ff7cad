// One webhook: what it is told, and what came of each delivery.

import { html, useEffect, useRef, useState } from './dom.js';
import { get, patch, path, post, remove } from './api.js';
import { Confirm, toast } from './dialog.js';
import { Select } from './form.js';
import { number, t, tOr } from './i18n.js';
import { products } from './names.js';
import { useList, useLoad } from './poll.js';
import { go, setQuery, to } from './router.js';
import { may } from './session.js';
import { Once } from './tokens.js';
import { Badge, Button, Chip, Copyable, Empty, Facts, Fault, ListTable, Loaded, Page, Section, When } from './ui.js';
import { EditWebhook } from './webhooks.js';

const LOOK_MS = 5_000;

export default function Webhook({ params, query }) {
  const where = path`/v1/webhooks/${params.id}`;
  const hook = useLoad((signal) => get(where, { signal }), [params.id], { every: () => LOOK_MS });
  const deliveries = useList(`${where}/deliveries`, { status: query.status });
  const [asking, setAsking] = useState();
  const [secret, setSecret] = useState();
  const close = () => setAsking(undefined);
  const attempt = (run, said) => async () => {
    try {
      await run();
      toast(t(said), 'good');
      hook.reload();
      deliveries.reload();
    } catch (problem) {
      toast(problem.detail || problem.message, 'bad');
    }
  };
  const known = products.use();
  const of = hook.data;
  // The list is read anew when the counts say that something has happened to it.
  const signature = JSON.stringify(of?.counts);
  const seen = useRef(signature);
  useEffect(() => {
    if (seen.current !== undefined && seen.current !== signature) deliveries.reload();
    seen.current = signature;
  }, [signature]);
  const columns = [
    { key: 'at', title: t('package.created'), head: true, cell: (one) => html`<${When} at=${one.created_at} second />` },
    { key: 'type', title: t('delivery.event'), cell: (one) => html`<${Chip}>${tOr(`webhook.${one.event_type}`, one.event_type)}<//>
      <span class="under"><${Copyable} text=${one.event_id} short /></span>` },
    { key: 'status', title: t('state.title'), cell: (one) => html`<${Badge} status=${one.status} noun="delivery" />` },
    { key: 'last', title: t('delivery.last'), wide: true, cell: (one) => html`${[one.last_status, one.last_error].filter(Boolean).join(' · ') || '–'}
      ${one.attempts > 0 && html`<span class="under">${t('delivery.attempts', { count: one.attempts })}</span>`}` },
    { key: 'next', title: t('delivery.next'), cell: (one) => html`<${When} at=${one.delivered_at ?? one.next_attempt_at} />` },
    { key: 'do', title: t('action.title'), quiet: true, end: true, hidden: !may('operator'), cell: (one) => html`<${Button} small icon="again"
      onClick=${attempt(() => post(`${where}${path`/deliveries/${one.delivery_id}/replay`}`), 'delivery.replayed')}>${t('delivery.replay')}<//>` },
  ];
  const actions = of && html`
    <${Button} icon="sent" onClick=${attempt(() => post(`${where}/test`), 'webhook.tested')}>${t('webhook.test')}<//>
    ${may('admin') && html`
      <${Button} icon=${of.enabled ? 'pause' : 'play'} onClick=${attempt(() => patch(where, { enabled: !of.enabled }), 'state.saved')}>${t(of.enabled ? 'webhook.disable' : 'webhook.enable')}<//>
      <${Button} icon="edit" onClick=${() => setAsking('edit')}>${t('action.edit')}<//>
      <${Button} icon="token" onClick=${() => setAsking('secret')}>${t('webhook.new-secret')}<//>
      <${Button} kind="danger-plain" icon="trash" onClick=${() => setAsking('delete')}>${t('action.delete')}<//>`}`;
  return html`<${Page} title=${of?.description || t('webhook.one')} crumbs=${[[t('nav.webhooks'), to`/webhooks`]]} actions=${actions}
    badge=${of && html`<${Badge} status=${of.enabled ? 'enabled' : 'disabled'} />`}>
    <${Loaded} of=${hook}>${() => html`<div class="panel"><${Facts} of=${[
    ['URL', html`<${Copyable} text=${of.url} />`],
    [t('webhook.types'), of.event_types?.map((type) => html`<${Chip} key=${type}>${t(`webhook.${type}`)}<//> `)],
    [t('product.one'), of.product_key ? known.by.get(of.product_key)?.name ?? of.product_key : t('filter.all-products')],
    [t('package.created'), html`<${When} at=${of.created_at} exact />`]]} />
      ${of.disabled_because && html`<p class="note warn">${t(`webhook.off.${of.disabled_because}`)}</p>`}
      ${of.counts.missed > 0 && html`<p class="note warn">${t('webhook.missed', { count: of.counts.missed })}</p>`}
      <ul class="figures">${['behind', 'pending', 'delivered', 'dead', 'dropped'].map((key) => html`<li key=${key}>
        <b>${number(of.counts[key])}</b> <span>${t(`webhook.count.${key}`)}</span></li>`)}</ul></div>`}<//>
    <${Section} title=${t('delivery.many')} actions=${html`<${Button} small icon="again" onClick=${deliveries.reload}>${t('action.refresh')}<//>`}>
      <div class="filters"><${Select} label=${t('state.title')} value=${query.status} onValue=${(status) => setQuery({ status })}
        of=${[['', t('task.all')], ...['pending', 'delivered', 'dead'].map((key) => [key, t(`delivery.${key}`)])]} /></div>
      <${ListTable} list=${deliveries} caption=${t('delivery.many')} columns=${columns} rowKey=${(one) => one.delivery_id}
        empty=${html`<${Empty} icon="webhook" title=${t('delivery.empty')} />`} /><//>
    ${asking === 'edit' && html`<${EditWebhook} of=${of} onClose=${close} changed=${hook.reload} />`}
    ${asking === 'delete' && html`<${Confirm} title=${t('webhook.delete')} action=${t('action.delete')} fault=${Fault} onClose=${close} run=${async () => {
      await remove(where);
      toast(t('webhook.deleted'), 'good');
      go(to`/webhooks`);
    }}><p>${t('webhook.delete.text', { url: of.url })}</p><//>`}
    ${asking === 'secret' && html`<${Confirm} title=${t('webhook.new-secret')} kind="primary" action=${t('webhook.new-secret')} fault=${Fault} onClose=${close}
      run=${async () => setSecret((await post(`${where}/secret`)).secret)}><p>${t('webhook.new-secret.text')}</p><//>`}
    ${secret && html`<${Once} title=${t('webhook.new-secret')} text=${t('webhook.once')} secret=${secret} onClose=${() => setSecret(undefined)} />`}
  <//>`;
}
