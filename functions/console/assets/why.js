// Why a device was upgraded by a batch, or was not: the deciding rule, and what would change it.

import { html } from './dom.js';
import { get, path } from './api.js';
import { capital } from './form.js';
import { knows, moment, t, tOr } from './i18n.js';
import { Icon } from './icons.js';
import { packages } from './names.js';
import { useLoad } from './poll.js';
import { to } from './router.js';
import { batchTitle } from './batch-card.js';
import { TaskState } from './tasks.js';
import { Chip, Facts, Loaded, Page } from './ui.js';

export default function Why({ params, query }) {
  const known = packages.use();
  const name = query.device ?? '';
  const why = useLoad(async (signal) => {
    const [batch, answer] = await Promise.all([
      get(path`/v1/batches/${params.id}`, { signal }),
      get(path`/v1/batches/${params.id}/devices/${name}/why`, { signal }),
    ]);
    return { batch, answer };
  }, [params.id, name]);
  return html`<${Page} title=${t('why.title', { device: name })} crumbs=${[[t('nav.batches'), to`/batches`],
    [why.data ? batchTitle(why.data.batch, known) : t('batch.one'), to`/batches/${params.id}`]]}>
    <${Loaded} of=${why}>${({ batch, answer }) => html`<div class="panel">
      <p class=${`note ${answer.upgraded ? 'good' : 'info'}`}><${Icon} name=${answer.upgraded ? 'ok' : 'info'} />
        <b>${t(answer.upgraded ? 'why.upgraded' : 'why.not-upgraded')}</b></p>
      <${Facts} of=${[
    [t('why.because'), html`<b>${becauseText(answer)}</b>`],
    [t('why.change'), changeText(answer)],
    [t('why.details'), detailText(answer.because)],
    [t('why.rule'), html`<${Chip}>${answer.rule}<//>`],
    [t('task.one'), answer.task && html`<${TaskState} task=${answer.task} />`],
    [t('device.one'), html`<a href=${to`/products/${batch.product_key}/devices/${name}`}>${name}</a>`],
  ]} /></div>`}<//>
  <//>`;
}

/** What decided, in the operator's language. A task that has ended says why it did. */
export const becauseText = ({ code, because }) => tOr(`why.code.${code}`, tOr(`reason.${code}`, because ?? code));

/** What would change it, if anything. */
const changeText = ({ code, change }) => change && tOr(`why.fix.${code}`, knows(`reason.${code}`) ? t('why.fix.ended') : change);

/** The service's own words, which know of versions and moments; those it tells in milliseconds. */
const detailText = (because) => capital(because.replace(/\b\d{13}\b/g, (ms) => moment(Number(ms))));
