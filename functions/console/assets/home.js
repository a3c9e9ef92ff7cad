// The first screen: are the running batches all right, and what waits for somebody?

import { announce, html, useEffect, useRef, useState } from './dom.js';
import { get, list } from './api.js';
import { BatchCard, batchTitle, versionsText } from './batch-card.js';
import { t } from './i18n.js';
import { Icon } from './icons.js';
import { packages, products } from './names.js';
import { useLoad } from './poll.js';
import { failures, running } from './progress.js';
import { to } from './router.js';
import { bound, may } from './session.js';
import { Badge, ButtonLink, Empty, Loaded, Name, Page, Section, Table, When } from './ui.js';

/** How often running batches are looked at, and how often when none runs. */
const LOOK_MS = 4_000;
const IDLE_LOOK_MS = 20_000;
/** Batches that each look reads: the newest. */
const NEWEST = 50;
/** Older ones that still run are found by a look at all, now and then. */
const LOOK_AT_ALL_MS = 60_000;
/** Ended batches that are shown. */
const ENDED_SHOWN = 5;

/** Reads the newest batches, and of the older ones those that still run. */
async function look(signal, before) {
  const now = Date.now();
  if (!before || now - before.all > LOOK_AT_ALL_MS) {
    const { items, more } = await list('/v1/batches', { signal });
    return { newest: items.slice(0, NEWEST), older: items.slice(NEWEST).filter(running), all: now, more };
  }
  const { items } = await get('/v1/batches', { query: { limit: NEWEST }, signal });
  const listed = new Set(items.map((batch) => batch.batch_id));
  // A batch that new ones have pushed off the page is among the older ones from now on.
  const older = [...before.newest, ...before.older].filter((batch) => !listed.has(batch.batch_id) && running(batch));
  return { ...before, newest: items, older };
}

const runningOf = ({ newest, older }) => [...newest, ...older].filter(running);

export default function Home() {
  const batches = useLoad(look, [], { every: (data) => (data && runningOf(data).length ? LOOK_MS : IDLE_LOOK_MS) });
  return html`<${Page} title=${t('home.title')} actions=${may('operator') && html`
      <${ButtonLink} href=${to`/packages/new`} icon="upload">${t('package.new')}<//>
      <${ButtonLink} kind="primary" href=${to`/batches/new`} icon="plus">${t('batch.new')}<//>`}>
    <${Loaded} of=${batches} lines="5">${(data) => html`<${Running} batches=${runningOf(data)} reload=${batches.reload} />
      <${Waiting} />
      <${Ended} batches=${data.newest.filter((batch) => !running(batch) && batch.kind === 'upgrade').slice(0, ENDED_SHOWN)} />`}
    <//>
  <//>`;
}

/** Where a batch stands among the others: those that fail come first, those that have not begun last. */
const urgency = ({ counts, status }) => ({ bad: 0, warn: 1, good: status === 'planned' ? 3 : 2 })[failures(counts).level];

/** What all running batches come to. */
function sumOf(batches) {
  const sum = { waiting: 0, active: 0, succeeded: 0, failed: 0 };
  for (const { counts } of batches) {
    sum.waiting += counts.queued + counts.unconfirmed;
    sum.active += counts.notified + counts.in_progress;
    sum.succeeded += counts.succeeded;
    sum.failed += counts.failed;
  }
  return sum;
}

function Running({ batches, reload }) {
  const upgrades = batches.filter((batch) => batch.kind === 'upgrade').sort((a, b) => urgency(a) - urgency(b));
  const levels = upgrades.map((batch) => failures(batch.counts).level);
  const bad = levels.filter((level) => level !== 'good').length;
  const verdict = upgrades.length === 0 ? 'none' : bad ? 'look' : 'good';
  const text = t(`home.verdict.${verdict}`, { count: bad || upgrades.length, of: upgrades.length });
  const said = useRef(text);
  useEffect(() => {
    if (said.current !== text) announce(text);
    said.current = text;
  }, [text]);
  const known = products.use();
  const noProduct = known.items?.length === 0;
  return html`<div class=${`verdict ${verdict}`}>
      <${Icon} name=${{ none: 'ok', good: 'ok', look: 'warn' }[verdict]} size="26" />
      <div><p>${text}</p>${upgrades.length > 0 && html`<p class="verdict-sum">${t('home.sum', sumOf(upgrades))}</p>`}</div></div>
    <${Section} title=${t('home.running')}>
      ${upgrades.length === 0 ? html`<${Empty} icon="batch" title=${t(noProduct ? 'home.start' : 'home.quiet')}
        action=${may('operator') && !(noProduct && bound()) && html`<${ButtonLink} kind="primary" href=${noProduct ? to`/products` : to`/batches/new`}>
          ${t(noProduct ? 'product.new' : 'batch.new')}<//>`}>${t(noProduct ? 'home.start.text' : 'home.quiet.text')}<//>`
    : html`<div class="cards">${upgrades.map((batch) => html`<${BatchCard} key=${batch.batch_id} batch=${batch}
        changed=${reload} />`)}</div>`}
    <//>`;
}

/** Packages whose trial was not made, runs, or failed. */
function Waiting() {
  const load = async (signal) => (await list('/v1/packages', { signal })).items
    .filter((one) => ['unverified', 'verifying', 'failed'].includes(one.verification.status))
    .sort((a, b) => b.created_at - a.created_at);
  const waiting = useLoad(load, [], { every: () => IDLE_LOOK_MS });
  const known = products.use();
  const [all, setAll] = useState(false);
  if (!waiting.data?.length) return null;
  const columns = [
    { key: 'name', title: t('package.name'), head: true, cell: (one) => html`<${Name} href=${to`/packages/${one.package_id}`}
      under=${known.by.get(one.product_key)?.name ?? one.product_key}>${one.name}<//>` },
    { key: 'version', title: t('package.target'), cell: (one) => html`<code>${one.target_version}</code>` },
    { key: 'status', title: t('state.title'), cell: (one) => html`<${Badge} status=${one.verification.status} noun="verification" />` },
    { key: 'at', title: t('package.created'), cell: (one) => html`<${When} at=${one.created_at} />` },
    { key: 'do', title: t('action.title'), quiet: true, end: true, hidden: !may('operator'),
      cell: (one) => html`<${ButtonLink} small icon="beaker" href=${to`/packages/${one.package_id}`}>
        ${t(one.verification.status === 'verifying' ? 'verify.watch' : 'verify.start')}<//>` },
  ];
  const shown = all ? waiting.data : waiting.data.slice(0, ENDED_SHOWN);
  return html`<${Section} title=${t('home.waiting')} lead=${t('home.waiting.lead')}>
    <${Table} caption=${t('home.waiting')} columns=${columns} rows=${shown} rowKey=${(one) => one.package_id} />
    ${shown.length < waiting.data.length && html`<div class="more"><button type="button" class="button plain"
      onClick=${() => setAll(true)}>${t('home.waiting.all', { count: waiting.data.length })}</button></div>`}
  <//>`;
}

function Ended({ batches }) {
  const known = packages.use();
  const makers = products.use();
  if (!batches.length) return null;
  const columns = [
    { key: 'name', title: t('batch.one'), head: true, cell: (one) => html`<${Name} href=${to`/batches/${one.batch_id}`}
      under=${makers.by.get(one.product_key)?.name ?? one.product_key}>${batchTitle(one, known)}<//>` },
    { key: 'version', title: t('package.versions'), cell: versionsText },
    { key: 'status', title: t('state.title'), cell: (one) => html`<${Badge} status=${one.status} noun="batch-status" />` },
    { key: 'good', title: t('status.succeeded'), end: true, cell: (one) => t('home.of', { n: one.counts.succeeded, all: one.counts.total }) },
    { key: 'bad', title: t('status.failed'), end: true, cell: (one) => t('number', { n: one.counts.failed }) },
    { key: 'at', title: t('batch.ended'), cell: (one) => html`<${When} at=${one.ended_at} />` },
  ];
  return html`<${Section} title=${t('home.ended')} actions=${html`<a href=${to`/batches`}>${t('home.all-batches')}</a>`}>
    <${Table} caption=${t('home.ended')} columns=${columns} rows=${batches} rowKey=${(one) => one.batch_id} /><//>`;
}
