// The settings of a product: which of two behaviours holds where the documents differ.

import { html } from './dom.js';
import { patch, path } from './api.js';
import { t } from './i18n.js';
import { products } from './names.js';
import { ProductTabs, useProduct } from './products.js';
import { SettingsForm } from './settings.js';
import { to } from './router.js';
import { may } from './session.js';
import { Page, Skeleton } from './ui.js';

const SETTINGS = [
  ['conflict_policy', ['device', 'source-version']],
  ['verification_mode', ['strict', 'legacy']],
  ['forgive_source_version'], ['narrow_retries'], ['strict_retry_interval'], ['lenient_aliases'], ['editable_tags'],
  ['delta_capable'], ['md5_deltas'],
];

export default function ProductSettings({ params }) {
  const { name, product } = useProduct(params.key);
  const save = async (settings) => {
    await patch(path`/v1/products/${params.key}`, { settings });
    products.forget();
  };
  return html`<${Page} title=${name} crumbs=${[[t('nav.products'), to`/products`]]}>
    <${ProductTabs} product=${params.key} at="settings" />
    ${product ? html`<${SettingsForm} key=${JSON.stringify(product.settings)} of=${SETTINGS} values=${product.settings} save=${save}
      lead=${t('setting.lead')} locked=${!may('admin')} />` : html`<${Skeleton} />`}
  <//>`;
}
