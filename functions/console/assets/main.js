// The beginning: language, look, who is signed in, and which screen the address asks for.

import { html, render, useEffect, useState, useErrorBoundary } from './dom.js';
import { preferred, speak, t } from './i18n.js';
import { Screens, to, useAddress } from './router.js';
import { begin, end, may, onSession, session } from './session.js';
import { Button, ButtonLink, Empty, Fault, Page, Skeleton } from './ui.js';
import { lookUpSelf, Shell } from './shell.js';
import { applyTheme } from './theme.js';

/** How soon a service that could not be reached is asked again who the bearer of the token is. */
const ASK_AGAIN_MS = 5_000;

/** The screens, by address, some with the least role that has a use for them. Each comes when it is asked for. */
const ROUTES = [
  ['', () => import('./home.js')],
  ['products', () => import('./products.js')],
  ['products/:key', () => import('./devices.js')],
  ['products/:key/devices', () => import('./devices.js')],
  ['products/:key/devices/:name', () => import('./device.js')],
  ['products/:key/versions', () => import('./versions.js')],
  ['products/:key/modules', () => import('./modules.js')],
  ['products/:key/security', () => import('./security.js')],
  ['products/:key/settings', () => import('./product-settings.js')],
  ['packages', () => import('./packages.js')],
  ['packages/new', () => import('./package-new.js'), 'operator'],
  ['packages/:id', () => import('./package.js')],
  ['deltas', () => import('./deltas.js')],
  ['batches', () => import('./batches.js')],
  ['batches/new', () => import('./batch-new.js'), 'operator'],
  ['batches/:id', () => import('./batch.js')],
  ['batches/:id/why', () => import('./why.js')],
  ['events', () => import('./events.js')],
  ['webhooks', () => import('./webhooks.js'), 'operator'],
  ['webhooks/:id', () => import('./webhook.js'), 'operator'],
  ['tokens', () => import('./tokens.js'), 'admin'],
  ['audit', () => import('./audit.js'), 'admin'],
  ['settings', () => import('./settings.js')],
];

const SignIn = () => import('./signin.js');

function App() {
  const [, setLanguage] = useState();
  const [who, setWho] = useState(session);
  const [why, setWhy] = useState();
  const address = useAddress();
  useEffect(() => onSession((next, what) => {
    setWho(next);
    setWhy(what);
  }), []);
  useEffect(() => {
    // A token kept from before: the service says whose it is, or that it is none any more.
    if (!who || who.role) return undefined;
    let timer;
    let gone = false;
    const ask = () => lookUpSelf(who.token).then((self) => gone || begin(self), (problem) => {
      if (problem.status === 401) end('expired');
      else if (!gone) timer = setTimeout(ask, ASK_AGAIN_MS);
    });
    ask();
    return () => {
      gone = true;
      clearTimeout(timer);
    };
  }, [who]);
  const change = async (language) => {
    await speak(language, { keep: true });
    setLanguage(language);
  };
  if (!who) return html`<${Lazy} load=${SignIn} why=${why} onLanguage=${change} />`;
  return html`<${Shell} address=${address} onLanguage=${change}>
    <${Guarded} key=${address.path}>
      <${Screens} routes=${ROUTES} address=${address} may=${may} loading=${html`<${Skeleton} lines="5" />`}
        denied=${who.role ? html`<${Page} title=${t('denied.title')}><${Empty} icon="shield" title=${t('denied.title')}
          action=${html`<${ButtonLink} href=${to`/`}>${t('nav.home')}<//>`}>${t('denied.text', { role: t(`role.${who.role}`) })}<//><//>`
    : html`<${Skeleton} lines="5" />`}
        missing=${html`<${Page} title=${t('missing.title')}><${Empty} icon="search" title=${t('missing.title')}
          action=${html`<${ButtonLink} href=${to`/`}>${t('nav.home')}<//>`}>${t('missing.text')}<//><//>`}
        failed=${html`<${Empty} icon="again" title=${t('stale.title')}
          action=${html`<${Button} onClick=${() => location.reload()}>${t('action.reload')}<//>`}>${t('stale.text')}<//>`} />
    <//>
  <//>`;
}

/** A fault of the console itself takes one screen with it and not all. */
function Guarded({ children }) {
  const [fault, reset] = useErrorBoundary((error) => console.error(error));
  if (!fault) return children;
  return html`<${Fault} problem=${fault} again=${reset} />`;
}

function Lazy({ load, ...props }) {
  const [view, setView] = useState();
  useEffect(() => {
    load().then((module) => setView(() => module.default));
  }, []);
  return view ? html`<${view} ...${props} />` : null;
}

applyTheme();
await speak(preferred());
render(html`<${App} />`, document.getElementById('app'));
