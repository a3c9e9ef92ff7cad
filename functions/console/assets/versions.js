// Where the devices of a product stand: how many run which version.

import { html } from './dom.js';
import { get, path } from './api.js';
import { Versions } from './charts.js';
import { Select } from './form.js';
import { t } from './i18n.js';
import { useLoad } from './poll.js';
import { ProductTabs, useProduct } from './products.js';
import { setQuery, to } from './router.js';
import { Empty, Loaded, Page } from './ui.js';

/** Parts of a fleet that are added up; each has some ten thousand devices. */
const PARTS_MAX = 200;

async function count(product, module, signal) {
  const sum = { silent: 0, by: new Map(), whole: true };
  let cursor;
  for (let part = 0; part < PARTS_MAX; part += 1) {
    const answer = await get(path`/v1/products/${product}/versions`, { query: { module, cursor }, signal });
    sum.silent += answer.silent;
    for (const one of answer.versions) sum.by.set(one.version, (sum.by.get(one.version) ?? 0) + one.devices);
    cursor = answer.next_cursor;
    if (!cursor) break;
  }
  return { silent: sum.silent, versions: [...sum.by].map(([version, devices]) => ({ version, devices })), whole: !cursor };
}

export default function ProductVersions({ params, query }) {
  const { name, product } = useProduct(params.key);
  const module = query.module ?? 'default';
  const versions = useLoad((signal) => count(params.key, module, signal), [params.key, module], { every: () => 30_000 });
  return html`<${Page} title=${name} crumbs=${[[t('nav.products'), to`/products`]]}>
    <${ProductTabs} product=${params.key} at="versions" />
    ${product?.modules.length > 0 && html`<div class="filters"><${Select} label=${t('module.one')} value=${module}
      onValue=${(value) => setQuery({ module: value })} of=${[['default', t('module.default')], ...product.modules.map((one) => [one.name, one.alias || one.name])]} /></div>`}
    <${Loaded} of=${versions}>${(data) => (data.versions.length + data.silent ? html`<div class="panel"><h2>${t('versions.title')}</h2>
      <${Versions} ...${data} /></div>` : html`<${Empty} icon="device" title=${t('device.empty')}>${t('device.empty.text')}<//>`)}<//>
  <//>`;
}
