// A new package: the files first, and while they are on their way what they are.

import { html, useRef, useState } from './dom.js';
import { make, newKey } from './api.js';
import { toast } from './dialog.js';
import { DropZone, useUploads } from './dropzone.js';
import { Area, Check, Choice, Select, Text, useForm } from './form.js';
import { t } from './i18n.js';
import { packages, products } from './names.js';
import { go, to } from './router.js';
import { Button, ButtonLink, Empty, Page } from './ui.js';

const SUFFIXES = '.bin,.tar,.gz,.zip,.gzip';

/** Makes a name of a file's, of what names may have: `lamp-1.2.0.bin` is `lamp-1-2-0`. */
export const nameOf = (file) => file.replace(/(\.tar)?\.(bin|tar|gz|zip|gzip)$/, '')
  .replace(/[^\p{L}\p{N}_()-]+/gu, '-').replace(/^[^\p{L}\p{N}]+|-+$/gu, '').slice(0, 40);

/** Finds a version in a file's name, such as 1.2.0. */
export const versionIn = (file) => file.match(/\d+(?:\.\d+)+/)?.[0] ?? '';

export default function NewPackage({ query }) {
  const known = products.use();
  const uploads = useUploads();
  const key = useRef(newKey());
  const form = useForm({
    product: query.product ?? '', module: 'default', kind: 'full', name: '', target_version: '', source_version: '',
    digest_algorithm: 'SHA256', digest: '', description: '', udi: '', needs_verification: true,
  });
  const [names, setNames] = useState({});
  const { values } = form;
  const product = values.product || (known.items?.length === 1 ? known.items[0].product_key : '');
  const made = known.by.get(product);
  const modules = [['default', t('module.default')], ...(made?.modules ?? []).map((one) => [one.name, one.alias || one.name])];
  const several = uploads.files.length > 1;
  const ready = uploads.files.length > 0 && uploads.files.every((one) => one.state === 'done');
  const first = uploads.files[0]?.file.name ?? '';
  const proposed = { name: nameOf(first), target_version: versionIn(first) };
  const nameFor = (one, index) => names[one.id] ?? `${index + 1}-${one.file.name}`.slice(0, 32);

  const submit = form.submit(async () => {
    const body = {
      product_key: product, module: values.module, kind: values.kind, name: values.name || proposed.name,
      target_version: values.target_version || proposed.target_version, needs_verification: values.needs_verification,
      digest_algorithm: values.digest_algorithm, description: values.description || undefined, udi: values.udi || undefined,
      source_version: values.kind === 'delta' ? values.source_version : undefined,
    };
    if (several) {
      body.files = uploads.files.map((one, index) => ({ name: nameFor(one, index), upload_id: one.told.upload_id }));
    } else {
      body.upload_id = uploads.files[0].told.upload_id;
      body.digest = values.digest.trim() || undefined;
    }
    const answer = await make('/v1/packages', body, key.current).catch((problem) => {
      // Another try is another request: what was refused was not made.
      key.current = newKey();
      throw problem;
    });
    packages.forget();
    toast(t('package.made', { name: answer.name }), 'good');
    go(to`/packages/${answer.package_id}`);
  });

  const page = (children) => html`<${Page} title=${t('package.new')} crumbs=${[[t('nav.packages'), to`/packages`]]}>${children}<//>`;
  if (known.items?.length === 0) {
    return page(html`<${Empty} icon="product" title=${t('home.start')} action=${html`<${ButtonLink} kind="primary" href=${to`/products`}>
      ${t('product.new')}<//>`}>${t('home.start.text')}<//>`);
  }
  return page(html`<form class="panel form" onSubmit=${submit} novalidate>
    <${DropZone} uploads=${uploads} accept=${SUFFIXES} many label=${t('package.files')} hint=${t('package.files.hint')}
      error=${form.errorAt('/upload_id', '/files')}
      naming=${several && ((one, index) => html`<${Text} label=${t('package.file-name')} value=${nameFor(one, index)}
        error=${form.errorAt(`/files/${index}`)} onValue=${(value) => setNames({ ...names, [one.id]: value })} />`)} />
    <div class="row">
      <${Select} label=${t('product.one')} ...${form.bind('product', '/product_key')} value=${product}
        of=${[['', t('form.choose')], ...(known.items ?? []).map((one) => [one.product_key, one.name])]} />
      <${Select} label=${t('module.one')} ...${form.bind('module')} of=${modules} />
    </div>
    <div class="row">
      <${Text} label=${t('package.its-name')} ...${form.bind('name')} hint=${t('package.its-name.hint')} placeholder=${proposed.name} />
      <${Text} label=${t('package.target')} ...${form.bind('target_version')} hint=${t('package.target.hint')}
        placeholder=${proposed.target_version} />
    </div>
    <${Choice} label=${t('package.kind')} ...${form.bind('kind')} of=${['full', 'delta'].map((kind) => ({
    key: kind, title: t(`package.kind.${kind}`), text: t(`package.kind.${kind}.text`),
    disabled: kind === 'delta' && made?.settings?.delta_capable === false,
  }))} />
    ${values.kind === 'delta' && html`<${Text} label=${t('package.source')} ...${form.bind('source_version')} hint=${t('package.source.hint')} />`}
    <${Check} label=${t('package.verify')} hint=${t('package.verify.hint')} ...${form.bind('needs_verification')} />
    <details class="more-options"><summary>${t('form.more')}</summary>
      <div class="row">
        <${Select} label=${t('package.digest-algorithm')} ...${form.bind('digest_algorithm')} of=${[['SHA256', 'SHA-256'], ['MD5', 'MD5']]} />
        ${!several && html`<${Text} label=${t('package.digest')} optional ...${form.bind('digest')} hint=${t('package.digest.hint')} />`}
      </div>
      <${Area} label=${t('package.description')} optional ...${form.bind('description')} hint=${t('package.description.hint')} />
      <${Area} label=${t('package.udi')} optional ...${form.bind('udi')} hint=${t('package.udi.hint')} />
    </details>
    ${form.rest()}
    <footer class="actions end"><span class="fine">${!ready && uploads.files.length > 0 && t('package.wait-upload')}</span>
      <${Button} kind="primary" type="submit" busy=${form.busy} disabled=${!ready}>${t('package.make')}<//></footer>
  </form>`);
}
