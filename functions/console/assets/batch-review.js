// The last look before a batch starts: what was chosen, and what it would come to.

import { html } from './dom.js';
import { post } from './api.js';
import { takesSources, toBody } from './batch-body.js';
import { words } from './form.js';
import { minutes, number, shortMoment, t } from './i18n.js';
import { useLoad } from './poll.js';
import { Icon } from './icons.js';
import { Chip, Facts, Fault, Skeleton } from './ui.js';
import { becauseText } from './why.js';

/** Parts of a large fleet that a trial run counts before it says "at least". */
const PARTS_MAX = 20;

/** Asks what a batch would do; nothing when the service does not know how to tell. */
async function tryOut(body, signal) {
  const sum = { devices: 0, refused: [], minutes: 0 };
  let cursor;
  for (let part = 0; part < PARTS_MAX; part += 1) {
    let answer;
    try {
      answer = await post('/v1/batches', body, { query: { dry_run: 'true', cursor }, signal });
    } catch (problem) {
      const unknown = [400, 404, 405].includes(problem.status) || problem.errors?.some((error) => error.pointer === 'query:dry_run');
      if (unknown) return null;
      throw problem;
    }
    sum.devices += answer.devices;
    sum.minutes = Math.max(sum.minutes, answer.minutes_at_rate ?? 0);
    for (const refused of answer.refused ?? []) {
      const same = sum.refused.find((one) => one.code === refused.code);
      if (same) same.count += refused.count;
      else sum.refused.push({ ...refused });
    }
    cursor = answer.next_cursor;
    if (!cursor) break;
  }
  sum.refused.sort((a, b) => b.count - a.count);
  return { ...sum, whole: !cursor };
}

export function Review({ draft, pack, makers }) {
  const body = toBody(draft, pack);
  const trial = useLoad((signal) => (pack ? tryOut(body, signal) : Promise.resolve(null)), [JSON.stringify(body)]);
  const sources = body.source_versions;
  const regions = body.target.regions?.map((one) => [one.province, one.city].filter(Boolean).join(' / ')).join(', ');
  return html`<${DryRun} trial=${trial} />
    <${Facts} of=${[
    [t('package.one'), pack?.name],
    [t('product.one'), makers.by.get(pack?.product_key)?.name],
    [t('package.target'), html`<code>${pack?.target_version}</code>`],
    [t('wizard.mode'), t(`mode.${draft.mode}`)],
    [t('batch.target'), draft.selection === 'gray' ? t('target.gray', { percent: draft.gray_percent }) : t(`select.${draft.selection}`)],
    [t('target.names'), draft.selection === 'specific' && t('target.specific', { count: words(draft.devices).length })],
    [t('select.list'), draft.selection === 'list' && (draft.device_list?.file_name ?? t('state.none'))],
    [t('target.regions'), regions],
    [t('source.title'), takesSources(draft, pack) ? (sources ? html`<code>${sources.join(', ')}</code>` : t('batch.any-version')) : pack?.source_version],
    [t('batch.new-reports'), body.new_reports_only && t('state.yes')],
    [t('when.title'), body.schedule ? t(body.schedule.end_at ? 'batch.schedule.span' : 'batch.schedule.from', {
      from: body.schedule.start_at ? shortMoment(body.schedule.start_at) : '?', to: body.schedule.end_at && shortMoment(body.schedule.end_at) }) : t('when.now')],
    [t('when.hard-stop'), body.schedule?.hard_stop && t('state.yes')],
    [t('batch.rate'), body.push_per_minute_max ? t('batch.rate.value', { count: body.push_per_minute_max }) : t('batch.rate.most')],
    [t('batch.timeout'), body.timeout_minutes ? minutes(body.timeout_minutes) : t('batch.timeout.never')],
    [t('batch.retry'), body.retry ? t('batch.retry.value', { count: body.retry.count_max, after: body.retry.after_minutes }) : t('batch.retry.never')],
    [t('batch.overwrite'), body.overwrite && t('state.yes')],
    [t('batch.multi-module'), body.multi_module && t('state.yes')],
    [t('batch.push'), body.push ? undefined : t('batch.pull-only')],
    [t('batch.needs-consent'), body.needs_confirmation && t('state.yes')],
    [t('batch.protocol'), body.download_protocol.toUpperCase()],
    [t('batch.tags'), body.tags.length > 0 && body.tags.map((tag) => html`<${Chip} key=${tag.key}>${tag.key} = ${tag.value}<//> `)],
  ]} />`;
}

/** What the trial run came to. It comes after the rest of the screen is drawn, and is read out when it does. */
const DryRun = ({ trial }) => html`<div class="dry-run" role="status"><${Outcome} trial=${trial} /></div>`;

function Outcome({ trial }) {
  if (trial.loading && trial.data === undefined) return html`<${Skeleton} lines="1" />`;
  if (trial.problem) return html`<${Fault} problem=${trial.problem} again=${trial.reload} />`;
  if (!trial.data) return null;
  const { devices, refused, whole, minutes: time } = trial.data;
  return html`<div class=${`note ${devices ? 'good' : 'warn'}`}><${Icon} name=${devices ? 'ok' : 'warn'} />
    <div><p><b>${t(whole ? 'dry.devices' : 'dry.at-least', { count: devices, number: number(devices) })}</b>
      ${time > 0 && ` ${t('dry.time', { time: minutes(Math.ceil(time)) })}`}</p>
    </div></div>
    ${refused.length > 0 && html`<div class="left-out"><h3>${t('dry.refused', { count: refused.reduce((sum, one) => sum + one.count, 0) })}</h3>
      <ul>${refused.map((one) => html`<li key=${one.code}><b>${number(one.count)}</b> <span>${becauseText(one)}
        ${one.devices?.length > 0 && html` <span class="fine">${one.devices.join(', ')}${one.count > one.devices.length && ' …'}</span>`}</span></li>`)}</ul></div>`}`;
}
