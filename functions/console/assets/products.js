// Products: the list, and a new one.

import { html, useRef, useState } from './dom.js';
import { make, newKey } from './api.js';
import { Dialog, toast } from './dialog.js';
import { Text, useForm } from './form.js';
import { t } from './i18n.js';
import { products } from './names.js';
import { useList } from './poll.js';
import { go, to } from './router.js';
import { bound, may } from './session.js';
import { Button, Copyable, Empty, ListTable, Page, Tabs, When } from './ui.js';

/** The parts of a product, each with its address. */
export const ProductTabs = ({ product, at }) => html`<${Tabs} label=${product} at=${at} of=${
  ['devices', 'versions', 'modules', 'security', 'settings'].map((key) => [key, t(`product.tab.${key}`), `${to`/products/${product}/`}${key}`])} />`;

/** The way to a product's parts. */
export function useProduct(key) {
  const known = products.use();
  return { product: known.by.get(key), name: known.by.get(key)?.name ?? key };
}

export default function Products() {
  const list = useList('/v1/products');
  const [making, setMaking] = useState(false);
  const columns = [
    { key: 'name', title: t('product.one'), head: true, cell: (one) => html`<a href=${to`/products/${one.product_key}`}>${one.name}</a>` },
    { key: 'key', title: t('product.key'), cell: (one) => html`<${Copyable} text=${one.product_key} />` },
    { key: 'modules', title: t('module.many'), cell: (one) => one.modules.map((module) => module.name).join(', ') || '–' },
    { key: 'at', title: t('package.created'), cell: (one) => html`<${When} at=${one.created_at} />` },
  ];
  const add = may('operator') && !bound() && html`<${Button} kind="primary" icon="plus" onClick=${() => setMaking(true)}>${t('product.new')}<//>`;
  return html`<${Page} title=${t('nav.products')} actions=${add}>
    <${ListTable} list=${list} caption=${t('nav.products')} columns=${columns} rowKey=${(one) => one.product_key}
      empty=${html`<${Empty} icon="product" title=${t('product.empty')} action=${add}>${t('home.start.text')}<//>`} />
    ${making && html`<${NewProduct} onClose=${() => setMaking(false)} />`}
  <//>`;
}

function NewProduct({ onClose }) {
  const form = useForm({ name: '' });
  const key = useRef(newKey());
  const submit = form.submit(async ({ name }) => {
    const product = await make('/v1/products', { name: name.trim() }, key.current).catch((problem) => {
      key.current = newKey();
      throw problem;
    });
    products.forget();
    toast(t('product.made', { name: product.name }), 'good');
    onClose();
    go(to`/products/${product.product_key}`);
  });
  return html`<${Dialog} title=${t('product.new')} onClose=${onClose}>
    <form onSubmit=${submit} novalidate>
      <${Text} label=${t('product.name')} hint=${t('product.name.hint')} ...${form.bind('name')} autofocus />
      ${form.rest()}
      <footer class="actions end"><${Button} onClick=${onClose}>${t('action.cancel')}<//>
        <${Button} kind="primary" type="submit" busy=${form.busy}>${t('action.create')}<//></footer>
    </form><//>`;
}
