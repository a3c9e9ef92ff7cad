// Stopping a batch: what exactly, and what that comes to in numbers.

import { html, useState } from './dom.js';
import { get, post, path } from './api.js';
import { Dialog, toast } from './dialog.js';
import { Check } from './form.js';
import { number, t } from './i18n.js';
import { active } from './progress.js';
import { useLoad } from './poll.js';
import { Button, Fault, Skeleton } from './ui.js';

/** Which counts an option ends. */
const ENDS = { queued: ['queued'], unconfirmed: ['unconfirmed'], notified: ['notified'], in_progress: ['in_progress'] };

/** The options that make sense for a batch. */
function offered(batch) {
  const { counts } = batch;
  const planned = batch.status === 'planned';
  const options = [];
  if (batch.mode === 'dynamic' && !batch.strategy_canceled_at) options.push('strategy');
  if (planned && batch.schedule) options.push('scheduled');
  if (!planned && counts.queued) options.push('queued');
  if (counts.unconfirmed) options.push('unconfirmed');
  if (counts.notified) options.push('notified');
  if (counts.in_progress) options.push('in_progress');
  return options;
}

/** What is chosen at first: all that has not begun on a device. What has begun may be in the middle of writing. */
const proposed = (options) => Object.fromEntries(options.map((option) => [option, option !== 'in_progress']));

const countOf = (option, batch) => (option === 'scheduled' ? batch.counts.queued
  : (ENDS[option] ?? []).reduce((sum, name) => sum + batch.counts[name], 0));

export function CancelBatch({ batch: listed, onClose, changed }) {
  // Listed counts are those of the last walk; here they should be of this moment.
  const fresh = useLoad((signal) => get(path`/v1/batches/${listed.batch_id}`, { signal }), [listed.batch_id]);
  const batch = fresh.data;
  const [chosen, setChosen] = useState();
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState();
  if (!batch) {
    return html`<${Dialog} title=${t('cancel.title')} onClose=${onClose}>
      ${fresh.problem ? html`<${Fault} problem=${fresh.problem} again=${fresh.reload} />` : html`<${Skeleton} />`}<//>`;
  }
  const options = offered(batch);
  const now = chosen ?? proposed(options);
  const ended = options.filter((option) => now[option]).reduce((sum, option) => sum + countOf(option, batch), 0);
  const left = active(batch.counts) - ended;
  const cancel = async () => {
    setBusy(true);
    setProblem(undefined);
    try {
      const body = Object.fromEntries(options.map((option) => [option, Boolean(now[option])]));
      await post(path`/v1/batches/${batch.batch_id}/cancel`, body);
      toast(t('cancel.done', { count: ended }), 'good');
      onClose();
      changed?.();
    } catch (error) {
      setProblem(error);
      setBusy(false);
    }
  };
  const none = !options.some((option) => now[option]);
  return html`<${Dialog} title=${t('cancel.title')} onClose=${onClose}>
    <p>${t('cancel.lead')}</p>
    ${options.map((option) => html`<${Check} key=${option} name=${option} value=${now[option]}
      label=${t(`cancel.${option}`, { count: countOf(option, batch) })} hint=${t(`cancel.${option}.hint`)}
      onValue=${(value) => setChosen({ ...now, [option]: value })} />`)}
    ${options.length === 0 && html`<p>${t('cancel.nothing')}</p>`}
    <p class="consequence" role="status">${t('cancel.sum', { count: ended })} ${left > 0 && t('cancel.left', { count: left })}
      ${now.strategy && ` ${t('cancel.no-more')}`}</p>
    <${Fault} problem=${problem} />
    <footer class="actions end"><${Button} onClick=${onClose}>${t('action.keep')}<//>
      <${Button} kind="danger" busy=${busy} disabled=${none} onClick=${cancel}>
        ${ended ? t('cancel.do', { count: ended, number: number(ended) }) : t('cancel.do-strategy')}<//></footer>
  <//>`;
}
