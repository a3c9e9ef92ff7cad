// Batches: all of them, newest first.

import { html } from './dom.js';
import { batchTitle, targetText, versionsText } from './batch-card.js';
import { Select } from './form.js';
import { t } from './i18n.js';
import { packages, products } from './names.js';
import { useList } from './poll.js';
import { active, Bar, FailureRate, running } from './progress.js';
import { setQuery, to } from './router.js';
import { may } from './session.js';
import { Badge, Button, ButtonLink, Empty, ListTable, Name, Page, When } from './ui.js';

/** What the list can be narrowed down to; the service lists all, so this is done here. */
const SHOW = {
  upgrade: (one) => one.kind === 'upgrade', running, verify: (one) => one.kind === 'verify', all: () => true,
};

export default function Batches({ query }) {
  const known = packages.use();
  const makers = products.use();
  const list = useList('/v1/batches', { package_id: query.package });
  const show = query.show in SHOW ? query.show : 'upgrade';
  const fits = (one) => SHOW[show](one) && (!query.product || one.product_key === query.product);
  const shown = { ...list, items: list.items.filter(fits) };
  const columns = [
    { key: 'name', title: t('batch.one'), head: true, cell: (one) => html`<${Name} href=${to`/batches/${one.batch_id}`}
      under=${[makers.by.get(one.product_key)?.name ?? one.product_key, one.kind === 'verify' && t('verify.title')].filter(Boolean).join(' · ')}>
      ${batchTitle(one, known)}<//>` },
    { key: 'version', title: t('package.versions'), cell: versionsText },
    { key: 'target', title: t('batch.target'), cell: (one) => targetText(one) },
    { key: 'status', title: t('state.title'), cell: (one) => html`<${Badge} status=${one.status} noun="batch-status" />` },
    { key: 'bar', title: t('batch.progress'), wide: true, cell: (one) => html`<div class="bar-cell"><${Bar} counts=${one.counts} />
      <span class="fine">${t('home.of', { n: one.counts.total - active(one.counts), all: one.counts.total })}</span></div>
      <${FailureRate} counts=${one.counts} short />` },
    { key: 'at', title: t('package.created'), cell: (one) => html`<${When} at=${one.created_at} />` },
  ];
  const add = may('operator') && html`<${ButtonLink} kind="primary" icon="plus" href=${to`/batches/new`}>${t('batch.new')}<//>`;
  return html`<${Page} title=${t('nav.batches')} actions=${html`<${Button} icon="again" onClick=${list.reload}>${t('action.refresh')}<//>${add}`}>
    <div class="filters">
      <${Select} label=${t('batch.show')} value=${show} onValue=${(value) => setQuery({ show: value })}
        of=${Object.keys(SHOW).map((key) => [key, t(`batch.show.${key}`)])} />
      <${Select} label=${t('product.one')} value=${query.product} onValue=${(product) => setQuery({ product })}
        of=${[['', t('filter.all-products')], ...(makers.items ?? []).map((one) => [one.product_key, one.name])]} />
    </div>
    <${ListTable} list=${shown} caption=${t('nav.batches')} columns=${columns} rowKey=${(one) => one.batch_id}
      empty=${list.items.length ? html`<${Empty} icon="search" title=${t('filter.nothing')} action=${list.more
    ? html`<${Button} onClick=${list.more}>${t('action.more')}<//>` : html`<${ButtonLink} href=${`${to`/batches`}?show=all`}>${t('filter.clear')}<//>`} />`
    : html`<${Empty} icon="batch" title=${t('batch.empty')} action=${add}>${t('batch.empty.text')}<//>`} />
  <//>`;
}
