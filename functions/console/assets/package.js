// One package: what it is, its trial, and its batches.

import { html, useState } from './dom.js';
import { get, path, remove } from './api.js';
import { batchTitle, targetText } from './batch-card.js';
import { Confirm, toast } from './dialog.js';
import { bytes, t } from './i18n.js';
import { packages, products } from './names.js';
import { useList, useLoad } from './poll.js';
import { Bar } from './progress.js';
import { go, to } from './router.js';
import { may } from './session.js';
import { Badge, Button, ButtonLink, Copyable, Empty, Facts, Fault, ListTable, Loaded, Page, Section, Skeleton, Table, When } from './ui.js';
import { Verification } from './verification.js';

/** How often a package is looked at while its trial runs. */
const LOOK_MS = 3_000;
const QUIET_LOOK_MS = 30_000;

export default function Package({ params }) {
  const one = useLoad((signal) => get(path`/v1/packages/${params.id}`, { signal }), [params.id], {
    every: (data) => (data?.verification.status === 'verifying' ? LOOK_MS : QUIET_LOOK_MS),
  });
  const crumbs = [[t('nav.packages'), to`/packages`]];
  if (!one.data) {
    return html`<${Page} title=${t('package.one')} crumbs=${crumbs}>${one.problem
      ? html`<${Fault} problem=${one.problem} again=${one.reload} />` : html`<${Skeleton} />`}<//>`;
  }
  return html`<${View} of=${one.data} loaded=${one} crumbs=${crumbs} />`;
}

function View({ of, loaded, crumbs }) {
  const known = products.use();
  const [deleting, setDeleting] = useState(false);
  const upgradable = ['verified', 'not-needed'].includes(of.verification.status);
  const actions = may('operator') && html`
    ${upgradable && html`<${ButtonLink} kind="primary" icon="batch" href=${`${to`/batches/new`}?package=${of.package_id}`}>${t('batch.new')}<//>`}
    <${Button} kind="danger-plain" icon="trash" onClick=${() => setDeleting(true)}>${t('action.delete')}<//>`;
  return html`<${Page} title=${of.name} crumbs=${crumbs} actions=${actions}
    badge=${html`<${Badge} status=${of.verification.status} noun="verification" />`} lead=${of.description}>
    ${loaded.problem && html`<${Fault} problem=${loaded.problem} again=${loaded.reload} />`}
    <div class="columns">
      <${Section} title=${t('package.about')} class="panel"><${Facts} of=${[
    [t('product.one'), html`<a href=${to`/products/${of.product_key}`}>${known.by.get(of.product_key)?.name ?? of.product_key}</a>`],
    [t('module.one'), of.module],
    [t('package.kind'), t(`package.kind.${of.kind}`)],
    [t('package.source'), of.source_version && html`<code>${of.source_version}</code>`],
    [t('package.target'), html`<code>${of.target_version}</code>`],
    [t('package.size'), bytes(of.size)],
    [t('package.slice'), of.slice_bytes && bytes(of.slice_bytes)],
    [t('package.file'), of.file_name],
    [t('package.digest-algorithm'), of.digest_algorithm],
    ['SHA-256', of.sha256 && html`<${Copyable} text=${of.sha256} />`],
    ['MD5', of.md5 && html`<${Copyable} text=${of.md5} />`],
    [t('package.udi'), of.udi],
    [t('package.id'), html`<${Copyable} text=${of.package_id} />`],
    [t('package.created'), html`<${When} at=${of.created_at} exact />`],
  ]} />
        <${Downloads} of=${of} />
      <//>
      <${Verification} of=${of} changed=${loaded.reload} />
    </div>
    ${of.files && html`<${Files} files=${of.files} />`}
    <${Batches} of=${of} upgradable=${upgradable} />
    ${deleting && html`<${Confirm} title=${t('package.delete')} action=${t('action.delete')} fault=${Fault} onClose=${() => setDeleting(false)}
      run=${async () => {
      await remove(path`/v1/packages/${of.package_id}`);
      packages.forget();
      toast(t('package.deleted', { name: of.name }), 'good');
      go(to`/packages`);
    }}><p>${t('package.delete.text', { name: of.name, size: bytes(of.size) })}</p><//>`}
  <//>`;
}

/** Signed and short-lived, so it is asked for when somebody wants it. */
function Downloads({ of }) {
  const [urls, setUrls] = useState();
  const [problem, setProblem] = useState();
  const ask = () => get(path`/v1/packages/${of.package_id}/download_url`).then(setUrls, setProblem);
  // The service's public name may be one that only devices reach; the path is good here too.
  const here = (url) => {
    const { pathname, search } = new URL(url);
    return pathname + search;
  };
  return html`<${Fault} problem=${problem} />
    ${!urls && html`<${Button} small icon="download" onClick=${ask}>${t('package.download')}<//>`}
    ${urls && html`<ul class="plain-list">${(urls.files ?? [{ name: of.file_name, url: urls.url }]).map((file) => html`<li key=${file.name}>
      <a href=${here(file.url)} download>${t('package.download-file', { name: file.name })}</a>
      ${' '}<${Copyable} text=${file.url} label=${t('package.copy-url')} block /></li>`)}</ul>
      <p class="fine">${t('package.url-until')} <${When} at=${urls.expires_at} /></p>`}`;
}

function Files({ files }) {
  const columns = [
    { key: 'name', title: t('package.file-name'), head: true, cell: (one) => one.name },
    { key: 'file', title: t('package.file'), cell: (one) => one.file_name },
    { key: 'size', title: t('package.size'), end: true, cell: (one) => bytes(one.size) },
    { key: 'sha', title: 'SHA-256', wide: true, cell: (one) => html`<${Copyable} text=${one.sha256} />` },
  ];
  return html`<${Section} title=${t('package.files')}><${Table} caption=${t('package.files')} columns=${columns} rows=${files}
    rowKey=${(one) => one.name} /><//>`;
}

function Batches({ of, upgradable }) {
  const known = packages.use();
  const list = useList('/v1/batches', { package_id: of.package_id });
  const shown = { ...list, items: list.items.filter((one) => one.kind === 'upgrade') };
  const columns = [
    { key: 'name', title: t('batch.one'), head: true, cell: (one) => html`<a href=${to`/batches/${one.batch_id}`}>${batchTitle(one, known)}</a>` },
    { key: 'target', title: t('batch.target'), cell: (one) => targetText(one) },
    { key: 'status', title: t('state.title'), cell: (one) => html`<${Badge} status=${one.status} noun="batch-status" />` },
    { key: 'bar', title: t('batch.progress'), wide: true, cell: (one) => html`<${Bar} counts=${one.counts} />` },
    { key: 'at', title: t('package.created'), cell: (one) => html`<${When} at=${one.created_at} />` },
  ];
  return html`<${Section} title=${t('nav.batches')}><${ListTable} list=${shown} caption=${t('nav.batches')} columns=${columns}
    rowKey=${(one) => one.batch_id} empty=${html`<${Empty} icon="batch" title=${t('package.no-batch')}
      action=${upgradable && may('operator') && html`<${ButtonLink} kind="primary" href=${`${to`/batches/new`}?package=${of.package_id}`}>${t('batch.new')}<//>`}>
      ${!upgradable && t('package.no-batch.verify')}<//>`} /><//>`;
}
