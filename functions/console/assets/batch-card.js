// A batch at a glance.

import { html, useState } from './dom.js';
import { t } from './i18n.js';
import { CancelBatch } from './batch-cancel.js';
import { packages, products } from './names.js';
import { active, Bar, donePercent, FailureRate, Legend } from './progress.js';
import { to } from './router.js';
import { may } from './session.js';
import { Badge, Button, Chip, When } from './ui.js';

/** What a batch is called: it has no name of its own, so that of its package. */
export const batchTitle = (batch, known) => known.by.get(batch.package_id)?.name ?? t('batch.to', { version: batch.target_version });

/** What a batch is for, in a few words: its way and its target. */
export function targetText({ target, mode }) {
  const words = {
    all: () => t('target.all'),
    specific: () => t('target.specific', { count: target.listed ?? target.devices?.length ?? 0 }),
    gray: () => t('target.gray', { percent: target.gray_percent }),
    region: () => t('target.region', { count: target.regions?.length ?? 0 }),
  };
  return `${t(`mode.${mode}`)} · ${(words[target.selection] ?? (() => target.selection))()}`;
}

/** From which versions a batch leads to which. */
export const versionsText = (batch) => html`${batch.source_versions.length
  ? html`<code>${batch.source_versions.join(', ')}</code>` : t('batch.any')} → <code>${batch.target_version}</code>`;

/** What can still be stopped: tasks that have not ended, or devices that join. */
export const canStop = (batch) => may('operator') && (active(batch.counts) > 0
  || (batch.mode === 'dynamic' && !batch.strategy_canceled_at && batch.status === 'in-progress'));

export function BatchCard({ batch, changed }) {
  const known = packages.use();
  const makers = products.use();
  const [stopping, setStopping] = useState(false);
  const { counts } = batch;
  const title = batchTitle(batch, known);
  return html`<section class="card batch-card" aria-label=${title}>
    <header><h3><a href=${to`/batches/${batch.batch_id}`}>${title}</a></h3>
      <${Badge} status=${batch.status} noun="batch-status" /></header>
    <p class="sub">${makers.by.get(batch.product_key)?.name ?? batch.product_key} · ${versionsText(batch)}</p>
    <p class="chips"><${Chip}>${targetText(batch)}<//>${batch.needs_confirmation && html`<${Chip}>${t('batch.consent')}<//>`}</p>
    <div class="share"><b>${donePercent(counts)}%</b> <span>${t('batch.ended-of', { done: counts.total - active(counts), total: counts.total })}</span></div>
    <${Bar} counts=${counts} />
    <${Legend} counts=${counts} href=${(status) => `${to`/batches/${batch.batch_id}`}?status=${status}`} />
    <${FailureRate} counts=${counts} />
    <footer><span class="fine">${batch.status === 'planned' && batch.schedule ? html`${t('batch.starts')} <${When} at=${batch.schedule.start_at} />`
    : html`${t('batch.started')} <${When} at=${batch.started_at ?? batch.created_at} />`}</span>
      ${canStop(batch) && html`<${Button} small kind="danger-plain" icon="stop" onClick=${() => setStopping(true)}
        aria-label=${t('batch.stop-this', { name: title })}>${t('batch.stop')}<//>`}</footer>
    ${stopping && html`<${CancelBatch} batch=${batch} onClose=${() => setStopping(false)} changed=${changed} />`}
  </section>`;
}
