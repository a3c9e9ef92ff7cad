// Tasks: how each device of a batch stands, and why.

import { html, useState } from './dom.js';
import { path, post } from './api.js';
import { Confirm, toast } from './dialog.js';
import { shortMoment, t, tOr } from './i18n.js';
import { to } from './router.js';
import { may } from './session.js';
import { Badge, Button, Fault, When } from './ui.js';

/** Tasks of one request to confirm or to upgrade again. */
const AT_ONCE = 10;

/** Why a task ended, in the operator's language, with what the device itself said. */
export function reasonText(reason) {
  const words = tOr(`reason.${reason.code}`, reason.description);
  // A device's own words come after a colon behind its code.
  const own = /^device code -\d+: (.+)/.exec(reason.description)?.[1];
  return own ? `${words}: ${own}` : words;
}

/** Why a queued task waits. */
function queuedText(task) {
  if (task.queued_because === 'scheduled' && task.scheduled_at) return t('queued.scheduled', { at: shortMoment(task.scheduled_at) });
  return tOr(`queued.${task.queued_because}`, task.queued_because);
}

/** How a task stands: its status, and what there is to say to it. */
export const TaskState = ({ task }) => html`<${Badge} status=${task.status} />
  ${task.status === 'in-progress' && html` <progress class="mini" max="100" value=${task.progress} aria-label=${t('task.progress')} />
    <span class="fine">${task.progress} %</span>`}
  ${task.status === 'queued' && task.queued_because && html` <span class="fine">${queuedText(task)}</span>`}`;

export const Reason = ({ task }) => (task.reason ? html`<span>${reasonText(task.reason)}${task.retries_used > 0
  && html` <span class="fine">${t('task.retries', { count: task.retries_used })}</span>`}</span>` : '–');

/** What can be done with a task. */
export function offeredFor(task) {
  if (!may('operator')) return [];
  if (task.status === 'unconfirmed') return ['confirm', 'cancel'];
  if (['queued', 'notified', 'in-progress'].includes(task.status)) return ['cancel'];
  return ['failed', 'canceled'].includes(task.status) ? ['reupgrade'] : [];
}

/** Confirms, or upgrades again, any number of tasks: some at a time, until one group is refused. */
export async function inGroups(what, ids) {
  for (let at = 0; at < ids.length; at += AT_ONCE) {
    await post(`/v1/tasks/${what}`, { task_ids: ids.slice(at, at + AT_ONCE) });
  }
}

/** The buttons of a task. */
export function TaskActions({ task, packageId, changed, why = true }) {
  const [asking, setAsking] = useState(false);
  const [busy, setBusy] = useState(false);
  const run = (what) => async () => {
    setBusy(true);
    try {
      await inGroups(what, [task.task_id]);
      toast(t(`task.${what}.done`, { device: task.device_name }), 'good');
      changed();
    } catch (problem) {
      toast(problem.errors?.[0]?.detail ?? problem.detail ?? problem.message, 'bad');
    } finally {
      setBusy(false);
    }
  };
  const cancel = async () => {
    await post('/v1/tasks/cancel', { package_id: packageId, devices: [task.device_name], batch_id: task.batch_id });
    toast(t('task.cancel.done', { device: task.device_name }), 'good');
    changed();
  };
  const offered = offeredFor(task);
  return html`<span class="row-actions">
    ${offered.includes('confirm') && html`<${Button} small icon="check" busy=${busy} onClick=${run('confirm')}
      aria-label=${t('task.confirm.this', { device: task.device_name })}>${t('task.confirm')}<//>`}
    ${offered.includes('reupgrade') && html`<${Button} small icon="again" busy=${busy} onClick=${run('reupgrade')}
      aria-label=${t('task.reupgrade.this', { device: task.device_name })}>${t('task.reupgrade')}<//>`}
    ${offered.includes('cancel') && packageId && html`<${Button} small kind="quiet" icon="ban" label=${t('task.cancel.this', { device: task.device_name })}
      onClick=${() => setAsking(true)} />`}
    ${why && html`<a class="why" href=${`${to`/batches/${task.batch_id}/why`}?device=${encodeURIComponent(task.device_name)}`}
      aria-label=${t('why.link.this', { device: task.device_name })}>${t('why.link')}</a>`}
    ${asking && html`<${Confirm} title=${t('task.cancel.title')} action=${t('task.cancel')} run=${cancel} fault=${Fault}
      onClose=${() => setAsking(false)}><p>${t(`task.cancel.text${task.status === 'in-progress' ? '.begun' : '.waiting'}`, { device: task.device_name })}</p><//>`}
  </span>`;
}

/** The columns of a table of tasks. */
export const taskColumns = ({ packageId, changed }) => [
  { key: 'device', title: t('device.one'), head: true, cell: (one) => html`<a href=${to`/products/${one.product_key}/devices/${one.device_name}`}>
    ${one.device_name}</a>` },
  { key: 'from', title: t('package.source'), cell: (one) => (one.source_version ? html`<code>${one.source_version}</code>` : '–') },
  { key: 'status', title: t('state.title'), cell: (one) => html`<${TaskState} task=${one} />` },
  { key: 'reason', title: t('task.reason'), wide: true, cell: (one) => html`<${Reason} task=${one} />` },
  { key: 'at', title: t('task.changed'), cell: (one) => html`<${When} at=${one.updated_at} />` },
  { key: 'do', title: t('action.title'), quiet: true, end: true, cell: (one) => html`<${TaskActions} task=${one} packageId=${packageId} changed=${changed} />` },
];

/** Tasks are counted by status in the batch; that is how far a list can be narrowed down. */
export const taskPath = (id) => path`/v1/batches/${id}/tasks`;
