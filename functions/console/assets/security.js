// Signing: whether a product's pushes carry a signature, and the key that devices check it with.

import { copyText, html, saveFile, useState } from './dom.js';
import { get, path, put } from './api.js';
import { Confirm, toast } from './dialog.js';
import { t } from './i18n.js';
import { useLoad } from './poll.js';
import { ProductTabs, useProduct } from './products.js';
import { to } from './router.js';
import { may } from './session.js';
import { Badge, Button, Fault, Loaded, Page } from './ui.js';

export default function Security({ params }) {
  const { name } = useProduct(params.key);
  const where = path`/v1/products/${params.key}/security`;
  const security = useLoad((signal) => get(where, { signal }), [params.key]);
  const [asking, setAsking] = useState(false);
  const change = async (enabled) => {
    await put(where, { enabled });
    toast(t('state.saved'), 'good');
    await security.reload();
  };
  return html`<${Page} title=${name} crumbs=${[[t('nav.products'), to`/products`]]}>
    <${ProductTabs} product=${params.key} at="security" />
    <${Loaded} of=${security}>${({ enabled, public_key: pem }) => html`<div class="panel">
      <h2>${t('security.title')} <${Badge} status=${enabled ? 'enabled' : 'disabled'} /></h2>
      <p class="lead">${t('security.lead')}</p>
      ${may('admin') && html`<${Button} kind=${enabled ? 'danger-plain' : 'primary'} icon="shield" onClick=${() => setAsking(true)}>
        ${t(enabled ? 'security.off' : 'security.on')}<//>`}
      ${pem && html`<h3>${t('security.key')}</h3><p>${t('security.key.text')}</p>
        <pre class="pem" tabindex="0" aria-label=${t('security.key')}>${pem}</pre>
        <div class="actions"><${Button} icon="download" onClick=${() => saveFile(`${params.key}-public.pem`, pem, 'application/x-pem-file')}>
          ${t('security.download')}<//><${Button} icon="copy" onClick=${async () => {
    if (await copyText(pem)) toast(t('state.copied'), 'good');
  }}>${t('security.copy')}<//></div>`}
      ${asking && html`<${Confirm} title=${t(enabled ? 'security.off' : 'security.on')} kind=${enabled ? 'danger' : 'primary'} fault=${Fault}
        action=${t(enabled ? 'security.off' : 'security.on')} run=${() => change(!enabled)} onClose=${() => setAsking(false)}>
        <p>${t(enabled ? 'security.off.text' : 'security.on.text')}</p><//>`}
    </div>`}<//>
  <//>`;
}
