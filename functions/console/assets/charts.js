// Pictures of numbers, as SVG. Each says in words what it shows.

import { classes, html } from './dom.js';
import { get, path } from './api.js';
import { clock, number, percent, shortMoment, t } from './i18n.js';
import { useLoad } from './poll.js';
import { active, asStatus, donePercent, running, STATUSES } from './progress.js';
import { Section } from './ui.js';

const HISTORY_LOOK_MS = 10_000;
/** From below to above: what is done lies at the bottom. */
const LAYERS = ['succeeded', 'failed', 'canceled', 'in_progress', 'notified', 'queued', 'unconfirmed'];

/** Shares of all tasks as a ring, with how many of a hundred have ended inside. */
export function Donut({ counts }) {
  const around = 2 * Math.PI * 42;
  let from = 0;
  const arcs = STATUSES.filter((name) => counts[name] > 0).map((name) => {
    const length = (counts[name] / counts.total) * around;
    const arc = html`<circle key=${name} class=${`arc ${asStatus(name)}`} cx="50" cy="50" r="42" fill="none" stroke-width="13"
      stroke-dasharray=${`${Math.max(length - 1, 0.5)} ${around}`} stroke-dashoffset=${-from} transform="rotate(-90 50 50)" />`;
    from += length;
    return arc;
  });
  return html`<svg class="donut" viewBox="0 0 100 100" width="148" height="148" role="img"
    aria-label=${t('batch.ended-of', { done: counts.total - active(counts), total: counts.total })}>
    <circle class="ring" cx="50" cy="50" r="42" fill="none" stroke-width="13" />${arcs}
    <text x="50" y="52" text-anchor="middle" class="donut-number">${donePercent(counts)}%</text>
    <text x="50" y="65" text-anchor="middle" class="donut-word">${t('chart.ended')}</text></svg>`;
}

/**
 * Things and how many there are of each, as bars; `stacked` for long words above them.
 * @param {{rows: {key: string, text: unknown, count: number, look?: string}[], all: number, look?: string, stacked?: boolean}} props
 */
export function Bars({ rows, all, look = '', stacked }) {
  const most = Math.max(1, ...rows.map((one) => one.count));
  return html`<ul class=${classes('bars', stacked && 'stacked')}>${rows.map((one) => html`<li key=${one.key}><span class="bar-name">${one.text}</span>
    <span class="bar-track"><span class=${`bar-fill ${one.look ?? look}`} style=${{ width: `${(one.count / most) * 100}%` }} /></span>
    <span class="bar-value">${number(one.count)} <small>${percent(one.count / Math.max(all, 1))}</small></span></li>`)}</ul>`;
}

/** Versions of a product's devices, the most frequent first. */
export function Versions({ versions, silent }) {
  const rows = [...versions].sort((a, b) => b.devices - a.devices)
    .map(({ version, devices }) => ({ key: version, text: html`<code>${version}</code>`, count: devices }));
  if (silent) rows.push({ key: '', text: t('versions.silent'), count: silent, look: 'silent' });
  return html`<${Bars} rows=${rows} all=${rows.reduce((sum, one) => sum + one.count, 0)} />`;
}

const WIDTH = 420;
const HEIGHT = 140;

/** Reads how a batch came along; a service that keeps no history has nothing to show. */
export function History({ batch }) {
  const history = useLoad((signal) => get(path`/v1/batches/${batch.batch_id}/history`, { signal }).catch((problem) => {
    if (problem.status === 404) return { items: [] };
    throw problem;
  }), [batch.batch_id], { every: (data) => (running(batch) && data?.items.length ? HISTORY_LOOK_MS : undefined) });
  const noted = history.data?.items ?? [];
  // Nothing is noted of the moment it began; then all tasks were ahead.
  const began = batch.started_at ?? batch.created_at;
  const points = noted.length && began < noted[0].at ? [{ at: began, queued: total(noted[0]) }, ...noted] : noted;
  if (points.length < 2) return null;
  return html`<${Section} title=${t('chart.history')} class="panel">
    <div class="charts"><figure><figcaption>${t('chart.over-time')}</figcaption><${Areas} points=${points} /></figure>
      <figure><figcaption>${t('chart.pushes')}</figcaption><${Pushes} points=${points} rate=${batch.push_per_minute_max} /></figure></div><//>`;
}

const total = (point) => LAYERS.reduce((sum, name) => sum + (point[name] ?? 0), 0);

function scale(points) {
  const [from, to] = [points[0].at, points.at(-1).at];
  return (at) => ((at - from) / Math.max(to - from, 1)) * WIDTH;
}

/** When it began and ended; more would be a forest on a phone. */
function Times({ points }) {
  const sameDay = new Date(points[0].at).toDateString() === new Date(points.at(-1).at).toDateString();
  const word = sameDay ? clock : shortMoment;
  return html`<g class="axis"><line x1="0" x2=${WIDTH} y1=${HEIGHT} y2=${HEIGHT} />
    <text x="0" y=${HEIGHT + 16}>${word(points[0].at)}</text>
    <text x=${WIDTH} y=${HEIGHT + 16} text-anchor="end">${word(points.at(-1).at)}</text></g>`;
}

function Areas({ points }) {
  const x = scale(points);
  const top = Math.max(1, ...points.map(total));
  const y = (count) => HEIGHT - (count / top) * HEIGHT;
  const below = points.map(() => 0);
  const areas = LAYERS.map((name) => {
    const lower = points.map((point, index) => `${x(point.at)},${y(below[index])}`).reverse();
    const upper = points.map((point, index) => {
      below[index] += point[name] ?? 0;
      return `${x(point.at)},${y(below[index])}`;
    });
    return html`<polygon key=${name} class=${`area ${asStatus(name)}`} points=${[...upper, ...lower].join(' ')} />`;
  });
  const last = points.at(-1);
  return html`<svg class="chart" viewBox=${`0 -4 ${WIDTH} ${HEIGHT + 26}`} role="img" aria-label=${t('chart.over-time.text', {
    count: total(last), succeeded: last.succeeded, failed: last.failed })}>${areas}<${Times} points=${points} /></svg>`;
}

/** Pushes in each minute: what is no longer queued at its end and was at its beginning. */
export function pushesPerMinute(points) {
  const minutes = new Map();
  for (let index = 1; index < points.length; index += 1) {
    const [before, now] = [points[index - 1], points[index]];
    const told = (point) => total(point) - (point.queued ?? 0) - (point.unconfirmed ?? 0) - (point.canceled ?? 0);
    const length = Math.max((now.at - before.at) / 60_000, 1);
    // Points may be further apart than a minute; then what was pushed is spread over it.
    const minute = Math.floor(now.at / 60_000) * 60_000;
    minutes.set(minute, (minutes.get(minute) ?? 0) + Math.max(told(now) - told(before), 0) / length);
  }
  return [...minutes].map(([at, count]) => ({ at, count }));
}

function Pushes({ points, rate }) {
  // What failed without a push counts here as well; the service never pushes more than the rate.
  const bars = pushesPerMinute(points).map(({ at, count }) => ({ at, count: Math.min(Math.round(count), rate) }));
  const x = scale(points);
  const most = Math.max(1, ...bars.map((one) => one.count));
  const width = Math.max(2, Math.min(16, (WIDTH / Math.max(bars.length, 1)) * 0.7));
  return html`<svg class="chart" viewBox=${`0 -4 ${WIDTH} ${HEIGHT + 26}`} role="img" aria-label=${t('chart.pushes.text', { most, rate })}>
    ${bars.map((one) => html`<rect key=${one.at} class="push" x=${Math.min(Math.max(x(one.at + 30_000) - width / 2, 0), WIDTH - width)} width=${width}
      y=${HEIGHT - (one.count / most) * (HEIGHT - 18)} height=${(one.count / most) * (HEIGHT - 18)} rx="2" />`)}
    <text class="peak" x="0" y="8">${t('chart.peak', { most, rate })}</text><${Times} points=${points} /></svg>`;
}
