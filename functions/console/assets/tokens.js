// Tokens: who may do what. A token is told once, when it is made.

import { html, useState } from './dom.js';
import { path, post, remove } from './api.js';
import { Confirm, Dialog, toast } from './dialog.js';
import { Choice, Text, useForm } from './form.js';
import { listed, t } from './i18n.js';
import { products } from './names.js';
import { useList } from './poll.js';
import { bound, session } from './session.js';
import { Button, Chip, Copyable, Empty, Fault, ListTable, Page, When } from './ui.js';

export default function Tokens() {
  const list = useList('/v1/tokens');
  const known = products.use();
  const [asking, setAsking] = useState();
  const close = () => setAsking(undefined);
  const columns = [
    { key: 'name', title: t('token.name'), head: true, cell: (one) => html`${one.name}
      ${one.name === session()?.name && html` <${Chip}>${t('token.yours')}<//>`}` },
    { key: 'role', title: t('token.role'), cell: (one) => html`<${Chip}>${t(`role.${one.role}`)}<//>` },
    { key: 'products', title: t('nav.products'), cell: (one) => (one.product_keys?.length
      ? listed(one.product_keys.map((key) => known.by.get(key)?.name ?? key)) : t('token.all-products')) },
    { key: 'at', title: t('package.created'), cell: (one) => html`<${When} at=${one.created_at} />` },
    { key: 'until', title: t('token.expires'), cell: (one) => (one.expires_at ? html`<${When} at=${one.expires_at} />` : t('token.never')) },
    { key: 'do', title: t('action.title'), quiet: true, end: true, cell: (one) => html`<${Button} small kind="quiet" icon="trash"
      label=${t('token.revoke.this', { name: one.name })} onClick=${() => setAsking(one)} />` },
  ];
  const add = html`<${Button} kind="primary" icon="plus" onClick=${() => setAsking('make')}>${t('token.new')}<//>`;
  return html`<${Page} title=${t('nav.tokens')} lead=${t('token.lead')} actions=${add}>
    <${ListTable} list=${list} caption=${t('nav.tokens')} columns=${columns} rowKey=${(one) => one.token_id}
      empty=${html`<${Empty} icon="token" title=${t('token.empty')} action=${add}>${t('token.empty.text')}<//>`} />
    ${asking === 'make' && html`<${NewToken} known=${known} onClose=${close} changed=${list.reload} />`}
    ${asking?.token_id && html`<${Confirm} title=${t('token.revoke')} action=${t('token.revoke')} fault=${Fault} onClose=${close} run=${async () => {
      await remove(path`/v1/tokens/${asking.token_id}`);
      toast(t('token.revoked', { name: asking.name }), 'good');
      list.reload();
    }}><p>${t('token.revoke.text', { name: asking.name })}</p><//>`}
  <//>`;
}

/** A secret that is told this once. */
export function Once({ title, text, secret, onClose }) {
  return html`<${Dialog} title=${title} onClose=${onClose}><p class="note warn">${text}</p>
    <p><${Copyable} text=${secret} label=${t('token.copy')} block /></p>
    <footer class="actions end"><${Button} kind="primary" onClick=${onClose}>${t('action.done')}<//></footer><//>`;
}

function NewToken({ known, onClose, changed }) {
  const form = useForm({ name: '', role: 'operator', scope: bound() ? 'some' : 'all', products: [], days: '90' });
  const [made, setMade] = useState();
  const pick = (key, on) => form.set('products', on ? [...form.values.products, key] : form.values.products.filter((one) => one !== key));
  const submit = form.submit(async (values) => {
    const answer = await post('/v1/tokens', {
      name: values.name.trim(), role: values.role, product_keys: values.scope === 'some' ? values.products : undefined,
      expires_in_days: values.days === '' ? undefined : Number(values.days),
    });
    setMade(answer);
    changed();
  });
  if (made) return html`<${Once} title=${t('token.made', { name: made.name })} text=${t('token.once')} secret=${made.token} onClose=${onClose} />`;
  return html`<${Dialog} title=${t('token.new')} onClose=${onClose}><form onSubmit=${submit} novalidate>
    <${Text} label=${t('token.name')} hint=${t('token.name.hint')} ...${form.bind('name')} autofocus />
    <${Choice} label=${t('token.role')} ...${form.bind('role')} of=${['viewer', 'operator', 'admin'].map((key) => ({ key, title: t(`role.${key}`), text: t(`role.${key}.text`) }))} />
    <${Choice} label=${t('nav.products')} ...${form.bind('scope', '/product_keys')} of=${['all', 'some'].map((key) => (
    { key, title: t(`token.scope.${key}`), text: t(`token.scope.${key}.text`), disabled: key === 'all' && bound() }))} />
    ${form.values.scope === 'some' && html`<fieldset class="pick"><legend class="visually-hidden">${t('token.scope.some')}</legend>
      <div class="pick-list">${(known.items ?? []).map(({ product_key: key, name }) => html`<label key=${key} class="pick-one">
        <input type="checkbox" checked=${form.values.products.includes(key)} onChange=${(event) => pick(key, event.target.checked)} />
        <span>${name}</span></label>`)}</div></fieldset>`}
    <${Text} label=${t('token.days')} optional type="number" min="1" max="3650" unit=${t('unit.days')} hint=${t('token.days.hint')}
      ...${form.bind('days', '/expires_in_days')} />
    ${form.rest()}
    <footer class="actions end"><${Button} onClick=${onClose}>${t('action.cancel')}<//>
      <${Button} kind="primary" type="submit" busy=${form.busy}>${t('action.create')}<//></footer></form><//>`;
}
