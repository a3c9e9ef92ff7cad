// The modules of a product: parts of its devices with versions of their own.

import { html, useState } from './dom.js';
import { patch, path, post, remove } from './api.js';
import { Confirm, Dialog, toast } from './dialog.js';
import { Text, useForm } from './form.js';
import { t } from './i18n.js';
import { products } from './names.js';
import { ProductTabs, useProduct } from './products.js';
import { to } from './router.js';
import { may } from './session.js';
import { Button, Fault, Page, Skeleton, Table, When } from './ui.js';

export default function Modules({ params }) {
  const { name, product } = useProduct(params.key);
  const [asking, setAsking] = useState();
  const close = () => setAsking(undefined);
  const add = may('operator') && html`<${Button} kind="primary" icon="plus" onClick=${() => setAsking({ make: true })}>${t('module.new')}<//>`;
  const columns = [
    { key: 'name', title: t('module.name'), head: true, cell: (one) => html`<code>${one.name}</code>` },
    { key: 'alias', title: t('module.alias'), cell: (one) => one.alias || '–' },
    { key: 'description', title: t('package.description'), wide: true, cell: (one) => one.description || '–' },
    { key: 'at', title: t('package.created'), cell: (one) => html`<${When} at=${one.created_at} />` },
    { key: 'do', title: t('action.title'), quiet: true, end: true, hidden: !may('operator'), cell: (one) => one.name !== 'default' && html`<span class="row-actions">
      <${Button} small kind="quiet" icon="edit" label=${t('module.edit', { name: one.name })} onClick=${() => setAsking({ edit: one })} />
      <${Button} small kind="quiet" icon="trash" label=${t('module.delete.this', { name: one.name })} onClick=${() => setAsking({ drop: one })} /></span>` },
  ];
  const rows = [{ name: 'default', description: t('module.default.text') }, ...(product?.modules ?? [])];
  return html`<${Page} title=${name} crumbs=${[[t('nav.products'), to`/products`]]} actions=${add}>
    <${ProductTabs} product=${params.key} at="modules" />
    ${product ? html`<${Table} caption=${t('module.many')} columns=${columns} rows=${rows} rowKey=${(one) => one.name} />` : html`<${Skeleton} />`}
    ${(asking?.make || asking?.edit) && html`<${Edit} product=${params.key} of=${asking.edit} onClose=${close} />`}
    ${asking?.drop && html`<${Confirm} title=${t('module.delete')} action=${t('action.delete')} fault=${Fault} onClose=${close} run=${async () => {
      await remove(path`/v1/products/${params.key}/modules/${asking.drop.name}`);
      products.forget();
      toast(t('module.deleted', { name: asking.drop.name }), 'good');
    }}><p>${t('module.delete.text', { name: asking.drop.name })}</p><//>`}
  <//>`;
}

function Edit({ product, of, onClose }) {
  const form = useForm({ name: of?.name ?? '', alias: of?.alias ?? '', description: of?.description ?? '' });
  const submit = form.submit(async (values) => {
    const more = { alias: values.alias.trim(), description: values.description };
    if (of) await patch(path`/v1/products/${product}/modules/${of.name}`, more);
    else await post(path`/v1/products/${product}/modules`, { name: values.name.trim(), alias: more.alias || undefined, description: more.description || undefined });
    products.forget();
    toast(t('state.saved'), 'good');
    onClose();
  });
  return html`<${Dialog} title=${of ? t('module.edit', { name: of.name }) : t('module.new')} onClose=${onClose}><form onSubmit=${submit} novalidate>
    ${!of && html`<${Text} label=${t('module.name')} hint=${t('module.name.hint')} ...${form.bind('name')} autofocus />`}
    <${Text} label=${t('module.alias')} optional hint=${t('module.alias.hint')} ...${form.bind('alias')} />
    <${Text} label=${t('package.description')} optional hint=${t('package.description.hint')} ...${form.bind('description')} />
    ${form.rest()}
    <footer class="actions end"><${Button} onClick=${onClose}>${t('action.cancel')}<//>
      <${Button} kind="primary" type="submit" busy=${form.busy}>${t('action.save')}<//></footer></form><//>`;
}
