// One device: what it runs, what it is in, what is behind it, and why it was not upgraded.

import { html, useState } from './dom.js';
import { get, list, patch, path, post, remove } from './api.js';
import { batchTitle } from './batch-card.js';
import { Confirm, Dialog, toast } from './dialog.js';
import { Area, Text, useForm } from './form.js';
import { t } from './i18n.js';
import { packages } from './names.js';
import { useList, useLoad } from './poll.js';
import { useProduct } from './products.js';
import { go, to } from './router.js';
import { may } from './session.js';
import { Reason, TaskActions, TaskState } from './tasks.js';
import { becauseText } from './why.js';
import { Badge, Button, Copyable, Facts, Fault, ListTable, Loaded, Page, Section, Skeleton, Table, When } from './ui.js';

const LOOK_MS = 3_000;
const CALM_LOOK_MS = 10_000;
/** Batches among which the device's history is looked for: the newest of its product, at first and when somebody looks further back. */
const HISTORY_BATCHES = 5;
const HISTORY_BATCHES_MAX = 30;

const wherePath = ({ key, name }) => path`/v1/products/${key}/devices/${name}`;

export default function Device({ params }) {
  const { name: product } = useProduct(params.key);
  const device = useLoad((signal) => get(wherePath(params), { signal }), [params.key, params.name], {
    every: (data) => (data?.tasks.length ? LOOK_MS : CALM_LOOK_MS),
  });
  const crumbs = [[t('nav.products'), to`/products`], [product, to`/products/${params.key}`]];
  const [asking, setAsking] = useState();
  const of = device.data;
  if (!of) {
    return html`<${Page} title=${params.name} crumbs=${crumbs}>${device.problem
      ? html`<${Fault} problem=${device.problem} again=${device.reload} />` : html`<${Skeleton} />`}<//>`;
  }
  const close = () => setAsking(undefined);
  const actions = may('operator') && html`<${Button} icon="edit" onClick=${() => setAsking('region')}>${t('device.set-region')}<//>
    <${Button} kind="danger-plain" icon="trash" onClick=${() => setAsking('delete')}>${t('action.delete')}<//>`;
  return html`<${Page} title=${of.name} crumbs=${crumbs} actions=${actions} badge=${html`<${Badge} status=${of.state} noun="device-state" />`}>
    ${device.problem && html`<${Fault} problem=${device.problem} again=${device.reload} />`}
    <div class="columns">
      <${Section} title=${t('device.about')} class="panel"><${Facts} of=${[
    [t('device.name'), html`<${Copyable} text=${of.name} />`],
    [t('product.one'), html`<a href=${to`/products/${params.key}`}>${product}</a>`],
    [t('device.region'), of.region ? [of.region.province, of.region.city].filter(Boolean).join(' / ') : t('device.region.none')],
    [t('device.created'), html`<${When} at=${of.created_at} exact />`],
    [t('device.activated'), of.activated_at ? html`<${When} at=${of.activated_at} exact />` : t('device.never')],
  ]} /><//>
      <${Section} title=${t('package.versions')} class="panel"><${Versions} of=${of.versions} /><//>
    </div>
    <${CurrentTasks} tasks=${of.tasks} changed=${device.reload} />
    <${History} params=${params} />
    <${SubDevices} params=${params} />
    ${asking === 'region' && html`<${Region} params=${params} region=${of.region} onClose=${close} changed=${device.reload} />`}
    ${asking === 'delete' && html`<${Confirm} title=${t('device.delete')} action=${t('action.delete')} fault=${Fault} onClose=${close} run=${async () => {
      await remove(wherePath(params));
      toast(t('device.deleted', { name: of.name }), 'good');
      go(to`/products/${params.key}`);
    }}><p>${t('device.delete.text', { name: of.name, tasks: of.tasks.length })}</p><//>`}
  <//>`;
}

function Versions({ of }) {
  if (!of.length) return html`<p>${t('device.versions.none')}</p>`;
  const columns = [
    { key: 'module', title: t('module.one'), head: true, cell: (one) => one.module },
    { key: 'version', title: t('package.versions'), cell: (one) => html`<code>${one.version}</code>` },
    { key: 'previous', title: t('device.previous'), cell: (one) => (one.previous ? html`<code>${one.previous}</code>` : '–') },
    { key: 'at', title: t('device.reported'), cell: (one) => html`<${When} at=${one.reported_at} />` },
  ];
  return html`<${Table} caption=${t('package.versions')} columns=${columns} rows=${of} rowKey=${(one) => one.module} />`;
}

function CurrentTasks({ tasks, changed }) {
  const known = packages.use();
  // A task names its batch; canceling needs the batch's package.
  const key = tasks.map((task) => task.batch_id).join();
  const batches = useLoad(async (signal) => {
    const all = await Promise.all(tasks.map((task) => get(path`/v1/batches/${task.batch_id}`, { signal }).catch(() => null)));
    return new Map(all.filter(Boolean).map((batch) => [batch.batch_id, batch]));
  }, [key]);
  const batchOf = (task) => batches.data?.get(task.batch_id);
  const columns = [
    { key: 'batch', title: t('batch.one'), head: true, cell: (one) => html`<a href=${to`/batches/${one.batch_id}`}>
      ${batchOf(one) ? batchTitle(batchOf(one), known) : t('batch.to', { version: one.target_version })}</a>` },
    { key: 'version', title: t('package.versions'), cell: (one) => html`<code>${one.source_version ?? '?'} → ${one.target_version}</code>` },
    { key: 'status', title: t('state.title'), cell: (one) => html`<${TaskState} task=${one} />` },
    { key: 'reason', title: t('task.reason'), cell: (one) => html`<${Reason} task=${one} />` },
    { key: 'do', title: t('action.title'), quiet: true, end: true, cell: (one) => html`<${TaskActions} task=${one}
      packageId=${batchOf(one)?.package_id} changed=${changed} />` },
  ];
  return html`<${Section} title=${t('device.tasks')}>${tasks.length
    ? html`<${Table} caption=${t('device.tasks')} columns=${columns} rows=${tasks} rowKey=${(one) => one.task_id} />`
    : html`<p class="fine">${t('device.tasks.none')}</p>`}<//>`;
}

/** What the newest batches of the product did for this device. Nothing lists them by device, so each is asked. */
function History({ params }) {
  const known = packages.use();
  const [turn, setTurn] = useState(0);
  const [wanted, setWanted] = useState(HISTORY_BATCHES);
  const history = useLoad(async (signal) => {
    const { items } = await list('/v1/batches', { signal, pages: 2 });
    const batches = items.filter((one) => one.product_key === params.key);
    const rows = await Promise.all(batches.slice(0, wanted).map(async (batch) => ({
      batch, why: await get(path`/v1/batches/${batch.batch_id}/devices/${params.name}/why`, { signal }),
    })));
    return { rows, more: batches.length > wanted && wanted < HISTORY_BATCHES_MAX };
  }, [turn, wanted, params.name]);
  const columns = [
    { key: 'batch', title: t('batch.one'), head: true, cell: ({ batch }) => html`<a href=${to`/batches/${batch.batch_id}`}>${batchTitle(batch, known)}</a>
      ${batch.kind === 'verify' && html` <span class="fine">${t('verify.title')}</span>`}` },
    { key: 'at', title: t('package.created'), cell: ({ batch }) => html`<${When} at=${batch.created_at} />` },
    { key: 'task', title: t('task.one'), cell: ({ why }) => (why.task ? html`<${TaskState} task=${why.task} />` : '–') },
    { key: 'why', title: t('why.because'), wide: true, cell: ({ why, batch }) => html`${becauseText(why)} <a class="fine" href=${`${to`/batches/${batch.batch_id}/why`}?device=${encodeURIComponent(params.name)}`}
      aria-label=${`${t('why.rule')} ${why.rule}`}>${why.rule}</a>` },
    { key: 'do', title: t('action.title'), quiet: true, end: true, cell: ({ why, batch }) => why.task && html`<${TaskActions} task=${why.task}
      packageId=${batch.package_id} changed=${() => setTurn(turn + 1)} why=${false} />` },
  ];
  return html`<${Section} title=${t('device.history')} lead=${t('device.history.lead')}>
    <${Loaded} of=${history}>${({ rows, more }) => (rows.length
    ? html`<${Table} caption=${t('device.history')} columns=${columns} rows=${rows} rowKey=${({ batch }) => batch.batch_id} />
      ${more && html`<div class="more"><${Button} onClick=${() => setWanted(HISTORY_BATCHES_MAX)}>${t('device.history.more')}<//></div>`}`
    : html`<p class="fine">${t('device.history.none')}</p>`)}<//><//>`;
}

function SubDevices({ params }) {
  const where = `${wherePath(params)}/sub-devices`;
  const subs = useList(where);
  const [asking, setAsking] = useState();
  const columns = [
    { key: 'name', title: t('device.one'), head: true, cell: (one) => html`<a href=${to`/products/${one.product_key}/devices/${one.name}`}>${one.name}</a>` },
    { key: 'product', title: t('product.key'), cell: (one) => one.product_key },
    { key: 'do', title: t('action.title'), quiet: true, end: true, hidden: !may('operator'), cell: (one) => html`<${Button} small kind="quiet" icon="trash"
      label=${t('sub.remove.this', { name: one.name })} onClick=${() => setAsking(one)} />` },
  ];
  const add = may('operator') && html`<${Button} small icon="plus" onClick=${() => setAsking('add')}>${t('sub.add')}<//>`;
  const close = () => setAsking(undefined);
  return html`<${Section} title=${t('sub.title')} actions=${add}>
    <${ListTable} list=${subs} caption=${t('sub.title')} columns=${columns} rowKey=${(one) => `${one.product_key}/${one.name}`}
      empty=${html`<p class="fine">${t('sub.none')}</p>`} />
    ${asking === 'add' && html`<${AddSubs} where=${where} product=${params.key} onClose=${close} changed=${subs.reload} />`}
    ${asking?.name && html`<${Confirm} title=${t('sub.remove')} action=${t('action.remove')} fault=${Fault} onClose=${close} run=${async () => {
      await remove(`${where}/${encodeURIComponent(asking.product_key)}/${encodeURIComponent(asking.name)}`);
      toast(t('sub.removed', { name: asking.name }), 'good');
      subs.reload();
    }}><p>${t('sub.remove.text', { name: asking.name })}</p><//>`}<//>`;
}

function AddSubs({ where, product, onClose, changed }) {
  const form = useForm({ product, names: '' });
  const submit = form.submit(async (values) => {
    const names = values.names.split(/[\s,]+/).filter(Boolean);
    await post(where, { sub_devices: names.map((name) => ({ product_key: values.product.trim(), name })) });
    toast(t('sub.added', { count: names.length }), 'good');
    changed();
    onClose();
  });
  return html`<${Dialog} title=${t('sub.add')} onClose=${onClose}><form onSubmit=${submit} novalidate>
    <${Text} label=${t('product.key')} ...${form.bind('product', '/-')} hint=${t('sub.product.hint')} />
    <${Area} label=${t('sub.names')} hint=${t('sub.names.hint')} ...${form.bind('names', '/sub_devices')} />
    ${form.rest()}
    <footer class="actions end"><${Button} onClick=${onClose}>${t('action.cancel')}<//>
      <${Button} kind="primary" type="submit" busy=${form.busy}>${t('action.save')}<//></footer></form><//>`;
}

function Region({ params, region, onClose, changed }) {
  const form = useForm({ province: region?.province ?? '', city: region?.city ?? '' });
  const submit = form.submit(async ({ province, city }) => {
    const next = province.trim() ? { province: province.trim(), city: city.trim() || undefined } : null;
    await patch(wherePath(params), { region: next });
    toast(t('state.saved'), 'good');
    changed();
    onClose();
  });
  return html`<${Dialog} title=${t('device.set-region')} onClose=${onClose}><form onSubmit=${submit} novalidate>
    <p class="hint">${t('device.set-region.hint')}</p>
    <${Text} label=${t('region.province')} ...${form.bind('province', '/region')} />
    <${Text} label=${t('region.city')} optional ...${form.bind('city', '/-')} />
    ${form.rest()}
    <footer class="actions end"><${Button} onClick=${onClose}>${t('action.cancel')}<//>
      <${Button} kind="primary" type="submit" busy=${form.busy}>${t('action.save')}<//></footer></form><//>`;
}
