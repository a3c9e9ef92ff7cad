// Deltas that the service makes of two full packages: smaller downloads for those who come from a known version.

import { html, useEffect, useRef, useState } from './dom.js';
import { get, make, newKey } from './api.js';
import { Dialog, toast } from './dialog.js';
import { Select, Text, useForm } from './form.js';
import { bytes, percent, t } from './i18n.js';
import { packages } from './names.js';
import { PackageTabs } from './packages.js';
import { useLoad } from './poll.js';
import { to } from './router.js';
import { may } from './session.js';
import { reasonText } from './tasks.js';
import { Badge, Button, Empty, Loaded, Page, Table, When } from './ui.js';

const LOOK_MS = 3_000;
const NEWEST = 100;
const SLICES = ['64K', '32K', '2M', 'none'];

export default function Deltas() {
  const known = packages.use();
  const deltas = useLoad((signal) => get('/v1/deltas', { query: { limit: NEWEST }, signal }), [], {
    every: (data) => (data?.items.some((one) => one.status === 'making') ? LOOK_MS : undefined),
  });
  const [making, setMaking] = useState(false);
  const nameOf = (id) => known.by.get(id)?.name ?? id;
  const ready = deltas.data?.items.filter((one) => one.status === 'ready').length;
  useEffect(() => packages.forget(), [ready]);
  const columns = [
    { key: 'name', title: t('delta.one'), head: true, cell: (one) => (one.package_id ? html`<a href=${to`/packages/${one.package_id}`}>${one.name}</a>` : one.name) },
    { key: 'from', title: t('delta.source'), cell: (one) => nameOf(one.source_package_id) },
    { key: 'to', title: t('delta.target'), cell: (one) => nameOf(one.target_package_id) },
    { key: 'slice', title: t('package.slice'), cell: (one) => t(`delta.slice.${one.slice}`) },
    { key: 'status', title: t('state.title'), cell: (one) => html`<${Badge} status=${one.status} noun="delta-status" />
      ${one.status === 'making' && html` <progress class="mini" max="100" value=${one.progress} aria-label=${t('batch.progress')} /> <span class="fine">${one.progress} %</span>`}
      ${one.reason && html` <span class="fine">${reasonText(one.reason)}</span>`}` },
    { key: 'size', title: t('package.size'), end: true, cell: (one) => (one.size === undefined ? '–' : html`${bytes(one.size)}
      ${one.saved_percent !== undefined && html` <span class="fine">${t('delta.saved', { share: percent(one.saved_percent / 100) })}</span>`}`) },
    { key: 'at', title: t('package.created'), cell: (one) => html`<${When} at=${one.created_at} />` },
  ];
  const add = may('operator') && html`<${Button} kind="primary" icon="delta" onClick=${() => setMaking(true)}>${t('delta.new')}<//>`;
  return html`<${Page} title=${t('delta.many')} actions=${add}>
    <${PackageTabs} at="deltas" />
    <${Loaded} of=${deltas}>${({ items }) => (items.length
    ? html`<${Table} caption=${t('delta.many')} columns=${columns} rows=${items} rowKey=${(one) => one.delta_id} />`
    : html`<${Empty} icon="delta" title=${t('delta.empty')} action=${add}>${t('delta.empty.text')}<//>`)}<//>
    ${making && html`<${NewDelta} onClose=${() => setMaking(false)} changed=${deltas.reload} />`}
  <//>`;
}

function NewDelta({ onClose, changed }) {
  const known = packages.use();
  const form = useForm({ target: '', source: '', slice: '64K', name: '' });
  const key = useRef(newKey());
  const full = (known.items ?? []).filter((one) => one.kind === 'full' && !one.files);
  const target = known.by.get(form.values.target);
  const sources = full.filter((one) => one.product_key === target?.product_key && one.module === target.module && one !== target);
  const named = (one) => [one.package_id, `${one.name} (${one.target_version}, ${bytes(one.size)})`];
  const submit = form.submit(async (values) => {
    await make('/v1/deltas', {
      target_package_id: values.target, source_package_id: values.source, slice: values.slice, name: values.name.trim() || undefined,
    }, key.current).catch((problem) => {
      key.current = newKey();
      throw problem;
    });
    toast(t('delta.started'), 'good');
    changed();
    onClose();
  });
  return html`<${Dialog} title=${t('delta.new')} onClose=${onClose}><form onSubmit=${submit} novalidate>
    <${Select} label=${t('delta.target')} hint=${t('delta.target.hint')} ...${form.bind('target', '/target_package_id')} of=${[['', t('form.choose')], ...full.map(named)]} />
    <${Select} label=${t('delta.source')} hint=${t('delta.source.hint')} ...${form.bind('source', '/source_package_id')} of=${[['', t('form.choose')], ...sources.map(named)]} />
    <div class="row"><${Select} label=${t('package.slice')} hint=${t('delta.slice.hint')} ...${form.bind('slice')} of=${SLICES.map((one) => [one, t(`delta.slice.${one}`)])} />
      <${Text} label=${t('package.its-name')} optional ...${form.bind('name')} /></div>
    ${form.rest()}
    <footer class="actions end"><${Button} onClick=${onClose}>${t('action.cancel')}<//>
      <${Button} kind="primary" type="submit" busy=${form.busy} disabled=${!form.values.target || !form.values.source}>${t('delta.do')}<//></footer>
  </form><//>`;
}
