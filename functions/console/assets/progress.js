// How far a batch is: bars, shares, and whether too many fail.

import { html } from './dom.js';
import { number, percent, t } from './i18n.js';
import { Icon } from './icons.js';

/** The order in which statuses are shown: what is done first, what is ahead last. */
export const STATUSES = ['succeeded', 'failed', 'in_progress', 'notified', 'queued', 'unconfirmed', 'canceled'];

/** A count's name in the API, as the status of a task. */
export const asStatus = (name) => name.replace('_', '-');

/** From this share of failures among the ended tasks on, somebody should look. */
const FAILURES_NOTABLE = 0.05;
/** From this share on, stopping is what one thinks of first. */
const FAILURES_BAD = 0.2;

/** Of fewer that have ended a share says little: one of two is no reason to stop. */
const ENDED_ENOUGH = 5;

/** What share of a batch's ended upgrades failed, and how bad that is. */
export function failures(counts) {
  const ended = counts.succeeded + counts.failed;
  const share = ended ? counts.failed / ended : 0;
  const level = share >= FAILURES_BAD && ended >= ENDED_ENOUGH ? 'bad' : share >= FAILURES_NOTABLE ? 'warn' : 'good';
  return { share, ended, level };
}

/** How many tasks have not ended. */
export const active = (counts) => counts.unconfirmed + counts.queued + counts.notified + counts.in_progress;

/** What share of a batch's tasks have ended, as a whole number of a hundred. */
export const donePercent = (counts) => (counts.total ? Math.floor(((counts.total - active(counts)) / counts.total) * 100) : 0);

/** A batch is still about something. */
export const running = (batch) => batch.status === 'in-progress' || batch.status === 'planned' || active(batch.counts) > 0;

/** A bar of all tasks, as wide as they are many. The words are below it, so the bar itself is only a picture. */
export function Bar({ counts }) {
  const parts = STATUSES.filter((name) => counts[name] > 0);
  return html`<div class="bar-all" role="img" aria-label=${parts.map((name) => `${t(`status.${asStatus(name)}`)} ${number(counts[name])}`)
    .join(', ') || t('batch.no-tasks')}>
    ${parts.map((name) => html`<span key=${name} class=${`part ${asStatus(name)}`} style=${{ flexGrow: counts[name] }} />`)}
  </div>`;
}

/** What the bar's parts are, with their numbers; each may lead to its tasks. */
export function Legend({ counts, href, all }) {
  const shown = STATUSES.filter((name) => counts[name] > 0 || (all && name !== 'unconfirmed'));
  return html`<ul class="legend">${shown.map((name) => {
    const text = html`<span class=${`dot ${asStatus(name)}`} aria-hidden="true" />
      <span>${t(`status.${asStatus(name)}`)}</span> <b>${number(counts[name])}</b>`;
    return html`<li key=${name}>${href ? html`<a href=${href(asStatus(name))}>${text}</a>` : text}</li>`;
  })}</ul>`;
}

/** The failure rate, flagged when it is one to look at; `short` says no more than it. */
export function FailureRate({ counts, short }) {
  const { share, ended, level } = failures(counts);
  if (!ended) return null;
  return html`<span class=${`rate ${level}`}><${Icon} name=${{ good: 'ok', warn: 'warn', bad: 'bad' }[level]} size="16" />
    ${t(`rate.${short ? 'short' : level}`, { rate: percent(share), failed: counts.failed, ended })}</span>`;
}
