// Packages: the list, and what is in every one of them.

import { html } from './dom.js';
import { bytes, t } from './i18n.js';
import { Select, Text } from './form.js';
import { products } from './names.js';
import { useList } from './poll.js';
import { setQuery, to } from './router.js';
import { may } from './session.js';
import { Badge, ButtonLink, Empty, ListTable, Name, Page, Tabs, When } from './ui.js';

/** The two lists that are about packages. */
export const PackageTabs = ({ at }) => html`<${Tabs} label=${t('nav.packages')} at=${at} of=${[
  ['packages', t('nav.packages'), to`/packages`], ['deltas', t('delta.many'), to`/deltas`]]} />`;

/** A package's name and what it leads to. */
export const versionsOf = (one) => html`<code>${one.source_version ? `${one.source_version} → ` : ''}${one.target_version}</code>`;

export default function Packages({ query }) {
  const known = products.use();
  const list = useList('/v1/packages', { product_key: query.product, target_version: query.version });
  const filtered = Boolean(query.product || query.version);
  const columns = [
    { key: 'name', title: t('package.name'), head: true, cell: (one) => html`<${Name} href=${to`/packages/${one.package_id}`}
      under=${[known.by.get(one.product_key)?.name ?? one.product_key, one.module !== 'default' && one.module].filter(Boolean).join(' · ')}>${one.name}<//>` },
    { key: 'version', title: t('package.versions'), cell: versionsOf },
    { key: 'kind', title: t('package.kind'), cell: (one) => t(`package.kind.${one.kind}`) },
    { key: 'size', title: t('package.size'), end: true, cell: (one) => bytes(one.size) },
    { key: 'status', title: t('verify.title'), cell: (one) => html`<${Badge} status=${one.verification.status} noun="verification" />` },
    { key: 'at', title: t('package.created'), cell: (one) => html`<${When} at=${one.created_at} />` },
  ];
  const add = may('operator') && html`<${ButtonLink} kind="primary" icon="upload" href=${to`/packages/new`}>${t('package.new')}<//>`;
  return html`<${Page} title=${t('nav.packages')} actions=${add}>
    <${PackageTabs} at="packages" />
    <div class="filters">
      <${Select} label=${t('product.one')} value=${query.product} onValue=${(product) => setQuery({ product })}
        of=${[['', t('filter.all-products')], ...(known.items ?? []).map((one) => [one.product_key, one.name])]} />
      <${Text} label=${t('package.target')} value=${query.version} type="search" placeholder=${t('filter.version')}
        onValue=${(version) => setQuery({ version }, { replace: true })} />
    </div>
    <${ListTable} list=${list} caption=${t('nav.packages')} columns=${columns} rowKey=${(one) => one.package_id}
      empty=${filtered ? html`<${Empty} icon="search" title=${t('filter.nothing')} action=${html`<${ButtonLink} href=${to`/packages`}>
        ${t('filter.clear')}<//>`} />`
    : html`<${Empty} icon="package" title=${t('package.empty')} action=${add}>${t('package.empty.text')}<//>`} />
  <//>`;
}
