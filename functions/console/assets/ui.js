// The pieces that every screen is made of.

import { classes, copyText, html, useEffect, useLayoutEffect, useRef, useState } from './dom.js';
import { Icon } from './icons.js';
import { ago, moment, momentOfDay, t, tOr } from './i18n.js';
import { toast } from './dialog.js';

let first = true;

/** A screen: its title in the window and on the page, the way to it, and what can be done on it. */
export function Page({ title, crumbs = [], actions, lead, badge, children }) {
  const heading = useRef();
  useEffect(() => {
    document.title = `${title} · Overair`;
  }, [title]);
  useEffect(() => {
    // After a navigation the new screen's title has the focus, so that it is read and the keyboard goes on from there.
    if (!first) heading.current?.focus({ preventScroll: true });
    first = false;
    scrollTo(0, 0);
  }, []);
  return html`<article class="page">
    ${crumbs.length > 0 && html`<nav class="crumbs" aria-label=${t('nav.crumbs')}><ol>
      ${crumbs.map(([text, href]) => html`<li key=${href}><a href=${href}>${text}</a></li>`)}
    </ol></nav>`}
    <header class="page-head">
      <div class="page-title"><h1 ref=${heading} tabindex="-1">${title}</h1>${badge}</div>
      ${actions && html`<div class="actions">${actions}</div>`}
      ${lead && html`<p class="lead">${lead}</p>`}
    </header>
    ${children}
  </article>`;
}

/** A part of a screen. */
export function Section({ title, actions, lead, children, class: name }) {
  return html`<section class=${classes('section', name)}>
    <header class="section-head"><h2>${title}</h2>${actions && html`<div class="actions">${actions}</div>`}</header>
    ${lead && html`<p class="lead">${lead}</p>`}
    ${children}
  </section>`;
}

export function Button({ kind = 'plain', icon, busy, children, label, small, class: name, ...rest }) {
  return html`<button type="button" ...${rest} aria-label=${label ?? rest['aria-label']} title=${label} aria-busy=${busy ? 'true' : undefined}
    disabled=${rest.disabled || busy} class=${classes('button', kind, small && 'small', !children && 'only-icon', name)}>
    ${icon && html`<${Icon} name=${icon} />`}${children && html`<span>${children}</span>`}
  </button>`;
}

/** A link that looks like a button: it leads somewhere and does nothing by itself. */
export function ButtonLink({ kind = 'plain', icon, children, small, ...rest }) {
  return html`<a ...${rest} class=${classes('button', kind, small && 'small')}>
    ${icon && html`<${Icon} name=${icon} />`}<span>${children}</span>
  </a>`;
}

/** What each status looks like; its word is in the dictionary. */
const LOOKS = {
  'succeeded': ['good', 'ok'], 'verified': ['good', 'ok'], 'completed': ['good', 'ok'], 'ready': ['good', 'ok'],
  'online': ['good', 'ok'], 'delivered': ['good', 'ok'], 'enabled': ['good', 'ok'],
  'failed': ['bad', 'bad'], 'dead': ['bad', 'bad'],
  'in-progress': ['run', 'busy'], 'verifying': ['run', 'busy'], 'making': ['run', 'busy'],
  'notified': ['told', 'sent'], 'planned': ['told', 'clock'],
  'queued': ['idle', 'wait'], 'pending': ['idle', 'wait'], 'unverified': ['warn', 'beaker'],
  'unconfirmed': ['warn', 'person'],
  'canceled': ['idle', 'ban'], 'offline': ['idle', 'ban'], 'unactive': ['idle', 'wait'], 'not-needed': ['idle', 'check'],
  'disabled': ['idle', 'ban'],
};

/** A status: colour, picture and word. `noun` picks the word where a status means different things. */
export function Badge({ status, noun = 'status', children }) {
  const [look, icon] = LOOKS[status] ?? ['idle', 'info'];
  return html`<span class=${classes('badge', look)}><${Icon} name=${icon} size="14" />
    ${children ?? tOr(`${noun}.${status}`, tOr(`status.${status}`, status))}</span>`;
}

/** A label without a status of its own. */
export const Chip = ({ children }) => html`<span class="chip">${children}</span>`;

/** What is shown where there is nothing: why, and what to do next. */
export function Empty({ icon, title, children, action }) {
  return html`<div class="empty"><span class="empty-icon"><${Icon} name=${icon} size="28" /></span>
    <p class="empty-title">${title}</p>${children && html`<p>${children}</p>`}${action}</div>`;
}

/** The shape of what is being loaded. */
export function Skeleton({ lines = 3 }) {
  return html`<div class="skeleton" role="status"><span class="visually-hidden">${t('state.loading')}</span>
    ${Array.from({ length: lines }, (_, index) => html`<div key=${index} />`)}</div>`;
}

/** What went wrong, with its code, and a way to try again. */
export function Fault({ problem, again, except = [] }) {
  if (!problem) return null;
  const rest = (problem.errors ?? []).filter((error) => !except.includes(error));
  const code = problem.code ?? 'console';
  return html`<div class="fault" role="alert"><${Icon} name="warn" />
    <div>
      <p>${tOr(`problem.${code}`, problem.detail || problem.message)}</p>
      ${rest.length > 1 && html`<ul>${rest.slice(0, 20).map((error) => html`<li key=${error.pointer + error.code}>
        <code>${error.pointer}</code> ${error.detail}</li>`)}</ul>`}
      <p class="fine"><code>${problem.code ?? problem.message}</code>${problem.instance && html` · <code>${problem.instance}</code>`}</p>
    </div>
    ${again && html`<${Button} small icon="again" onClick=${again}>${t('action.again')}<//>`}
  </div>`;
}

/** Shows what was loaded, or that it is being loaded, or why it is not there. */
export function Loaded({ of, lines, children }) {
  if (of.data === undefined) {
    return of.problem ? html`<${Fault} problem=${of.problem} again=${of.reload} />` : html`<${Skeleton} lines=${lines} />`;
  }
  return html`${of.problem && html`<${Fault} problem=${of.problem} again=${of.reload} />`}${children(of.data)}`;
}

/** A moment: how long ago, and exactly when one points at it; `exact` the other way round, `second` short. */
export function When({ at, exact, second }) {
  if (!at) return '–';
  return html`<time datetime=${new Date(at).toISOString()} title=${exact || second ? `${moment(at)} (${ago(at)})` : moment(at)}>${second ? momentOfDay(at) : exact ? moment(at) : ago(at)}</time>`;
}

/** Characters of a long id that tell it from others of a page. */
const SHORT = 8;

/** A text that people take elsewhere; with `short` all of it is taken and its beginning shown. */
export function Copyable({ text, label, block, short }) {
  const [done, setDone] = useState(false);
  const copy = async () => {
    setDone(await copyText(text));
    toast(t('state.copied'), 'good');
  };
  return html`<span class=${classes('copyable', block && 'block', short && 'short')}><code title=${short && text}>${short ? `${text.slice(0, SHORT)}…` : text}</code>
    <${Button} kind="quiet" small icon=${done ? 'check' : 'copy'} label=${label ?? t('action.copy', { what: text })}
      onClick=${copy} /></span>`;
}

/** The first cell of a row: what it is called, where that leads, and what it belongs to. */
export const Name = ({ href, under, children }) => html`<a href=${href}>${children}</a>${under && html`<span class="under">${under}</span>`}`;

/** Pairs of a word and what it is. Pairs without a value are left out. */
export function Facts({ of }) {
  const there = of.filter(([, value]) => value !== undefined && value !== null && value !== '' && value !== false);
  return html`<dl class="facts">${there.map(([word, value]) => html`<div key=${word}><dt>${word}</dt><dd>${value}</dd>
    </div>`)}</dl>`;
}

/** How much of the tab before the present one stays visible. */
const TAB_MARGIN = 90;

/** Links between the parts of one thing; each part is an address. */
export function Tabs({ label, of, at }) {
  const element = useRef();
  useEffect(() => {
    // On a phone there is no room for all of them: the present one is brought into view.
    const current = element.current.querySelector('[aria-current]');
    if (current) element.current.scrollLeft = current.offsetLeft - element.current.offsetLeft - TAB_MARGIN;
  }, [at]);
  return html`<nav class="tabs" ref=${element} aria-label=${label}><ul>${of.map(([key, text, href]) => html`<li key=${key}>
    <a href=${href} aria-current=${key === at ? 'page' : undefined}>${text}</a></li>`)}</ul></nav>`;
}

/** Tells whether an element is narrower than what is in it, now and whenever either of the two changes its size. */
function useOverflow(element) {
  const [overflows, setOverflows] = useState(false);
  useLayoutEffect(() => {
    const measure = () => setOverflows(element.current.scrollWidth > element.current.clientWidth);
    measure();
    const observer = new ResizeObserver(measure);
    for (const one of [element.current, ...element.current.children]) observer.observe(one);
    return () => observer.disconnect();
  }, []);
  return overflows;
}

/**
 * A table; on a phone each row is a card. One that is wider than its place can be scrolled with the keyboard too.
 * @param {{caption: string, columns: {key: string, title: string, cell: (row: object) => unknown, head?: boolean,
 *   wide?: boolean, hidden?: boolean}[], rows: object[], rowKey: (row: object) => string}} props
 */
export function Table({ caption, columns, rows, rowKey }) {
  const shown = columns.filter((column) => !column.hidden);
  const box = useRef();
  const reach = useOverflow(box) && { tabindex: '0', role: 'group', 'aria-label': caption };
  return html`<div class="table-box" ref=${box} ...${reach}><table>
    <caption class="visually-hidden">${caption}</caption>
    <thead><tr>${shown.map((column) => html`<th key=${column.key} scope="col" class=${column.end && 'end'}>
      ${column.quiet ? html`<span class="visually-hidden">${column.title}</span>` : column.title}</th>`)}</tr></thead>
    <tbody>${rows.map((row) => html`<tr key=${rowKey(row)}>${shown.map((column) => (column.head
    ? html`<th key=${column.key} scope="row">${column.cell(row)}</th>`
    : html`<td key=${column.key} data-label=${column.quiet ? undefined : column.title} class=${classes(
      column.end && 'end', column.wide && 'wide')}><div>${column.cell(row)}</div></td>`))}</tr>`)}</tbody>
  </table></div>`;
}

/** A list that was loaded in pages: its table, or why there is none, and a button for more. */
export function ListTable({ list, empty, ...table }) {
  const { items, loading, problem, more } = list;
  if (problem && items.length === 0) return html`<${Fault} problem=${problem} again=${list.reload} />`;
  if (items.length === 0) return loading ? html`<${Skeleton} lines="4" />` : empty;
  return html`<${Table} ...${table} rows=${items} />
    <${Fault} problem=${problem} again=${more} />
    ${more && html`<div class="more"><${Button} onClick=${more} busy=${loading}>${t('action.more')}<//></div>`}`;
}
