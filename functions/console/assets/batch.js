// One batch, while it runs and afterwards.

import { announce, html, useEffect, useRef, useState } from './dom.js';
import { get, list, path, patch } from './api.js';
import { batchTitle, canStop, targetText } from './batch-card.js';
import { CancelBatch } from './batch-cancel.js';
import { Bars, Donut, History } from './charts.js';
import { Confirm, toast } from './dialog.js';
import { minutes, shortMoment, t } from './i18n.js';
import { packages, products } from './names.js';
import { useList, useLoad } from './poll.js';
import { active, asStatus, FailureRate, Legend, running, STATUSES } from './progress.js';
import { setQuery, to } from './router.js';
import { may } from './session.js';
import { TagsEditor } from './tags.js';
import { inGroups, reasonText, taskColumns, taskPath } from './tasks.js';
import { Badge, Button, Chip, Copyable, Empty, Facts, Fault, ListTable, Page, Section, Skeleton, When } from './ui.js';
import { Select, Text } from './form.js';

const LOOK_MS = 2_500;
/** A dynamic batch that nothing happens in is still alive. */
const CALM_LOOK_MS = 15_000;
/** Pages of a hundred failed tasks whose reasons are counted, and reasons that are shown. */
const REASON_PAGES = 3;
const REASONS_SHOWN = 5;
/** Failed tasks that are upgraded again by one button. */
const AGAIN_MAX = 2_000;

export default function Batch({ params, query }) {
  const one = useLoad((signal) => get(path`/v1/batches/${params.id}`, { signal }), [params.id], {
    every: (data) => (!data ? CALM_LOOK_MS : active(data.counts) > 0 ? LOOK_MS : running(data) ? CALM_LOOK_MS : undefined),
  });
  const crumbs = [[t('nav.batches'), to`/batches`]];
  if (!one.data) {
    return html`<${Page} title=${t('batch.one')} crumbs=${crumbs}>${one.problem
      ? html`<${Fault} problem=${one.problem} again=${one.reload} />` : html`<${Skeleton} lines="6" />`}<//>`;
  }
  return html`<${View} of=${one.data} loaded=${one} crumbs=${crumbs} query=${query} />`;
}

function View({ of, loaded, crumbs, query }) {
  const known = packages.use();
  const makers = products.use();
  const [asking, setAsking] = useState();
  const { counts } = of;
  const said = useRef();
  // Counts change every few seconds; what is read out is only that some have ended.
  const ended = counts.total - active(counts);
  useEffect(() => {
    const tenth = counts.total ? Math.floor((ended / counts.total) * 10) : 0;
    if (said.current !== undefined && said.current !== tenth) announce(t('batch.ended-of', { done: ended, total: counts.total }));
    said.current = tenth;
  }, [ended, counts.total]);
  const actions = may('operator') && html`
    ${counts.unconfirmed > 0 && html`<${Button} icon="check" onClick=${() => setAsking('confirm')}>${t('batch.confirm-all', { count: counts.unconfirmed })}<//>`}
    ${counts.failed > 0 && html`<${Button} icon="again" onClick=${() => setAsking('reupgrade')}>${t('batch.again', { count: counts.failed })}<//>`}
    ${canStop(of) && html`<${Button} kind="danger" icon="stop" onClick=${() => setAsking('cancel')}>${t('batch.stop')}<//>`}`;
  const close = () => setAsking(undefined);
  const title = batchTitle(of, known);
  return html`<${Page} title=${title} crumbs=${crumbs} actions=${actions} badge=${html`<${Badge} status=${of.status} noun="batch-status" />`}>
    ${loaded.problem && html`<${Fault} problem=${loaded.problem} again=${loaded.reload} />`}
    ${!of.expanded && html`<p class="note info">${t('batch.expanding')}</p>`}
    <div class="columns">
      <div class="stack"><${Section} title=${t('batch.progress')} class="panel">
        <div class="donut-row"><${Donut} counts=${counts} />
          <div><${Legend} counts=${counts} all href=${(status) => `${to`/batches/${of.batch_id}`}?status=${status}`} />
            <p><${FailureRate} counts=${counts} /></p></div></div>
        <p class="fine">${t('batch.counted')} <${When} at=${of.counted_at} /></p>
      <//>
      ${counts.failed > 0 && html`<${Reasons} of=${of} />`}</div>
      <${About} of=${of} known=${known} makers=${makers} reload=${loaded.reload} />
    </div>
    <${History} batch=${of} />
    <${Tasks} of=${of} status=${query.status ?? ''} name=${query.device ?? ''} reload=${loaded.reload} />
    ${asking === 'cancel' && html`<${CancelBatch} batch=${of} onClose=${close} changed=${loaded.reload} />`}
    ${asking === 'reupgrade' && html`<${Many} of=${of} what="reupgrade" status="failed" onClose=${close} changed=${loaded.reload} />`}
    ${asking === 'confirm' && html`<${Many} of=${of} what="confirm" status="unconfirmed" onClose=${close} changed=${loaded.reload} />`}
  <//>`;
}

/** What the failures have in common: the first some hundred of them, by their reason. */
function Reasons({ of }) {
  const failed = useLoad(async (signal) => {
    const { items } = await list(taskPath(of.batch_id), { query: { status: 'failed' }, size: 100, pages: REASON_PAGES, signal });
    const by = new Map();
    for (const { reason } of items) by.set(reasonText(reason), (by.get(reasonText(reason)) ?? 0) + 1);
    return { all: items.length, rows: [...by].sort((a, b) => b[1] - a[1]).slice(0, REASONS_SHOWN) };
  }, [of.batch_id, of.counts.failed]);
  const { all, rows } = failed.data ?? { all: 0, rows: [] };
  if (!all) return null;
  return html`<${Section} title=${t('reasons.title')} class="panel"><${Bars} all=${all} look="failed" stacked
    rows=${rows.map(([text, count]) => ({ key: text, text, count }))} />
    ${all < of.counts.failed && html`<p class="fine">${t('reasons.part', { count: all })}</p>`}<//>`;
}

function About({ of, known, makers, reload }) {
  const editable = may('operator') && makers.by.get(of.product_key)?.settings?.editable_tags;
  const [editing, setEditing] = useState(false);
  const save = async (tags) => {
    await patch(path`/v1/batches/${of.batch_id}`, { tags });
    toast(t('state.saved'), 'good');
    setEditing(false);
    reload();
  };
  const sources = of.source_versions.length ? html`<code>${of.source_versions.join(', ')}</code>` : t('batch.any-version');
  return html`<${Section} title=${t('batch.about')} class="panel"><${Facts} of=${[
    [t('package.one'), html`<a href=${to`/packages/${of.package_id}`}>${known.by.get(of.package_id)?.name ?? of.package_id}</a>`],
    [t('product.one'), html`<a href=${to`/products/${of.product_key}`}>${makers.by.get(of.product_key)?.name ?? of.product_key}</a>`],
    [t('module.one'), of.module],
    [t('package.versions'), html`${sources} → <code>${of.target_version}</code>`],
    [t('batch.target'), targetText(of)],
    [t('target.names'), of.target.devices?.join(', ')],
    [t('target.regions'), of.target.regions?.map((one) => [one.province, one.city].filter(Boolean).join(' / ')).join(', ')],
    [t('batch.new-reports'), of.new_reports_only && t('state.yes')],
    [t('batch.strategy-ended'), of.strategy_canceled_at && html`<${When} at=${of.strategy_canceled_at} />`],
    [t('batch.schedule'), of.schedule && t(of.schedule.end_at ? 'batch.schedule.span' : 'batch.schedule.from', {
      from: shortMoment(of.schedule.start_at), to: of.schedule.end_at && shortMoment(of.schedule.end_at) })],
    [t('batch.rate'), t('batch.rate.value', { count: of.push_per_minute_max })],
    [t('batch.timeout'), of.timeout_minutes ? minutes(of.timeout_minutes) : t('batch.timeout.never')],
    [t('batch.retry'), of.retry ? t('batch.retry.value', { count: of.retry.count_max, after: of.retry.after_minutes }) : t('batch.retry.never')],
    [t('batch.overwrite'), of.overwrite && t('state.yes')],
    [t('batch.multi-module'), of.multi_module && t('state.yes')],
    [t('batch.push'), of.push ? undefined : t('batch.pull-only')],
    [t('batch.needs-consent'), of.needs_confirmation && t('state.yes')],
    [t('batch.protocol'), of.download_protocol.toUpperCase()],
    [t('batch.tags'), (of.tags.length > 0 || editable) && html`${of.tags.map((tag) => html`<${Chip} key=${tag.key}>${tag.key} = ${tag.value}<//> `)}
      ${editable && html`<${Button} small kind="quiet" icon="edit" label=${t('batch.tags.edit')} onClick=${() => setEditing(true)} />`}`],
    [t('package.created'), html`<${When} at=${of.created_at} exact />`],
    [t('batch.ended'), of.ended_at && html`<${When} at=${of.ended_at} exact />`],
    [t('batch.id'), html`<${Copyable} text=${of.batch_id} />`],
  ]} />
    ${editing && html`<${TagsEditor} tags=${of.tags} save=${save} onClose=${() => setEditing(false)} />`}
  <//>`;
}

function Tasks({ of, status, name, reload }) {
  const query = name ? { device_names: name } : { status };
  const tasks = useList(taskPath(of.batch_id), query, { size: 50, by: 'device_name' });
  // The list is read anew when the batch's counts say that something has changed in it.
  const signature = JSON.stringify(of.counts);
  const seen = useRef(signature);
  useEffect(() => {
    if (seen.current !== signature) tasks.reload();
    seen.current = signature;
  }, [signature]);
  const changed = () => {
    tasks.reload();
    reload();
  };
  const [typed, setTyped] = useState(name);
  const find = (event) => {
    event.preventDefault();
    setQuery({ device: typed.trim(), status: '' });
  };
  return html`<${Section} title=${t('task.many')}>
    <div class="filters">
      <${Select} label=${t('state.title')} value=${status} onValue=${(value) => setQuery({ status: value, device: '' })}
        of=${[['', t('task.all')], ...STATUSES.map((key) => [asStatus(key), `${t(`status.${asStatus(key)}`)} (${of.counts[key]})`])]} />
      <form class="find" onSubmit=${find} role="search"><${Text} label=${t('device.name')} type="search" value=${typed} onValue=${setTyped} />
        <${Button} type="submit" icon="search">${t('action.find')}<//></form>
    </div>
    <${ListTable} list=${tasks} caption=${t('task.many')} columns=${taskColumns({ packageId: of.package_id, changed })}
      rowKey=${(one) => one.task_id} empty=${html`<${Empty} icon="device" title=${t(status || name ? 'filter.nothing' : 'batch.no-tasks')}
        action=${(status || name) && html`<${Button} onClick=${() => setQuery({ status: '', device: '' })}>${t('filter.clear')}<//>`}>
        ${name && html`<a href=${`${to`/batches/${of.batch_id}/why`}?device=${encodeURIComponent(name)}`}>${t('why.this', { device: name })}</a>`}<//>`} />
  <//>`;
}

/** Confirms all tasks that wait for it, or upgrades again all that failed. */
function Many({ of, what, status, onClose, changed }) {
  const run = async () => {
    const { items } = await list(taskPath(of.batch_id), { query: { status }, size: 100, pages: AGAIN_MAX / 100 });
    await inGroups(what, items.map((task) => task.task_id));
    toast(t(`batch.${what}.done`, { count: items.length }), 'good');
    changed();
  };
  const count = of.counts[status];
  return html`<${Confirm} title=${t(`batch.${what}.title`)} kind="primary" action=${t(`batch.${what}.do`, { count })} run=${run}
    fault=${Fault} onClose=${onClose}><p>${t(`batch.${what}.text`, { count })}</p><//>`;
}
