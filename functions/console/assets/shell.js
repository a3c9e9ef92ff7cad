// What stays around every screen: the way to all of them, who is signed in, language and look.

import { html, onAnnounce, useEffect, useState } from './dom.js';
import { get } from './api.js';
import { Toasts } from './dialog.js';
import { LANGUAGES, spoken, t } from './i18n.js';
import { Icon } from './icons.js';
import { to } from './router.js';
import { bound, end, may, session } from './session.js';
import { applyTheme, theme, THEMES } from './theme.js';

/** Asks who bears a token. */
export async function lookUpSelf(token) {
  const { name, role, product_keys: keys } = await get('/v1/tokens/self', { token });
  return { token, name, role, products: keys };
}

/** The screens that one comes to from everywhere: those that the role has a use for. */
function links() {
  return [
    ['main', [
      ['', 'home', to`/`],
      ['products', 'product', to`/products`],
      ['packages', 'package', to`/packages`],
      ['batches', 'batch', to`/batches`],
      ['events', 'event', to`/events`],
    ]],
    ['admin', [
      may('operator') && ['webhooks', 'webhook', to`/webhooks`],
      may('admin') && ['tokens', 'token', to`/tokens`],
      may('admin') && ['audit', 'audit', to`/audit`],
      ['settings', 'settings', to`/settings`],
    ].filter(Boolean)],
  ];
}

export function Shell({ address, onLanguage, children }) {
  const [open, setOpen] = useState(false);
  const at = { deltas: 'packages' }[address.segments[0]] ?? address.segments[0] ?? '';
  useEffect(() => setOpen(false), [address.path]);
  useEffect(() => {
    const close = (event) => event.key === 'Escape' && setOpen(false);
    addEventListener('keydown', close);
    return () => removeEventListener('keydown', close);
  }, []);
  // The address itself is the route: a link to `#main` would lead away from the screen.
  const skip = (event) => {
    event.preventDefault();
    document.getElementById('main').focus();
  };
  return html`<div class=${open ? 'shell open' : 'shell'}>
    <a class="skip" href="#main" onClick=${skip}>${t('nav.skip')}</a>
    <header class="bar">
      <a class="logo" href=${to`/`}><${Logo} /><span>Overair</span></a>
      <button type="button" class="button quiet only-icon menu" aria-expanded=${open ? 'true' : 'false'}
        aria-controls="nav" aria-label=${t(open ? 'nav.close' : 'nav.open')} onClick=${() => setOpen(!open)}>
        <${Icon} name=${open ? 'close' : 'menu'} size="22" /></button>
    </header>
    <div class="side" id="nav">
      <nav aria-label=${t('nav.label')}>${links().map(([group, items]) => html`<ul key=${group}>
        ${group === 'admin' && html`<li class="group" aria-hidden="true">${t('nav.admin')}</li>`}
        ${items.map(([key, icon, href]) => html`<li key=${key}><a href=${href} aria-current=${key === at ? 'page' : undefined}>
          <${Icon} name=${icon} /><span>${t(`nav.${key || 'home'}`)}</span></a></li>`)}
      </ul>`)}</nav>
      <footer><${Preferences} onLanguage=${onLanguage} />
        <div class="who"><${Icon} name="person" /><span>${session()?.name || t('session.you')}
          <small>${session()?.role && t(`role.${session().role}`)}${bound() && ` · ${t('session.bound', { count: session().products.length })}`}</small></span>
          <button type="button" class="button quiet only-icon" aria-label=${t('session.leave')} title=${t('session.leave')}
            onClick=${() => end()}><${Icon} name="leave" /></button></div>
      </footer>
    </div>
    <main id="main" tabindex="-1">${children}</main>
    <${Toasts} /><${Announcer} />
  </div>`;
}

/** Language and look, each one of a few. */
export function Preferences({ onLanguage }) {
  const [look, setLook] = useState(theme);
  const choose = (event) => {
    applyTheme(event.target.value);
    setLook(event.target.value);
  };
  return html`<div class="preferences">
    <label><${Icon} name="globe" />
      <select onChange=${(event) => onLanguage(event.target.value)} aria-label=${t('nav.language')}>
      ${Object.entries(LANGUAGES).map(([key, name]) => html`<option key=${key} value=${key} lang=${key}
        selected=${key === spoken()}>${name}</option>`)}</select></label>
    <label><${Icon} name=${{ system: 'screen', light: 'sun', dark: 'moon' }[look]} />
      <select onChange=${choose} aria-label=${t('nav.theme')}>
      ${THEMES.map((key) => html`<option key=${key} value=${key} selected=${key === look}>${t(`theme.${key}`)}</option>`)}
      </select></label>
  </div>`;
}

export const Logo = () => html`<svg class="mark" width="30" height="30" viewBox="0 0 32 32" aria-hidden="true" focusable="false">
  <rect width="32" height="32" rx="9" class="mark-ground" />
  <path d="M16 25V12m-5.5 5.2L16 11.6l5.5 5.6" class="mark-arrow" /><path d="M8.6 11.2a10 10 0 0 1 14.8 0" class="mark-air" />
</svg>`;

/** The live region: reads out what changed without moving the focus. */
function Announcer() {
  const [text, setText] = useState('');
  useEffect(() => onAnnounce((next) => {
    setText('');
    requestAnimationFrame(() => setText(next));
  }), []);
  return html`<div class="visually-hidden" role="status" aria-live="polite">${text}</div>`;
}
