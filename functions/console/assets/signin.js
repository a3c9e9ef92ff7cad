// Signing in: the token is tried before it is kept.

import { html, useEffect, useRef, useState } from './dom.js';
import { Check, Text, useForm } from './form.js';
import { t } from './i18n.js';
import { begin } from './session.js';
import { Logo, lookUpSelf, Preferences } from './shell.js';
import { Button } from './ui.js';

export default function SignIn({ why, onLanguage }) {
  const form = useForm({ token: '', keep: false });
  const [refused, setRefused] = useState();
  const heading = useRef();
  useEffect(() => {
    document.title = `${t('signin.title')} · Overair`;
  });
  const submit = form.submit(async ({ token, keep }) => {
    setRefused(undefined);
    if (!token.trim()) return setRefused(t('signin.empty'));
    try {
      return begin(await lookUpSelf(token.trim()), keep);
    } catch (problem) {
      if (problem.status !== 401) throw problem;
      return setRefused(t('signin.refused'));
    }
  });
  return html`<main class="sign-in">
    <form class="panel" onSubmit=${submit} novalidate>
      <div class="logo big"><${Logo} /><span>Overair</span></div>
      <h1 ref=${heading}>${t('signin.title')}</h1>
      <p class="lead">${t('signin.lead')}</p>
      ${why === 'expired' && html`<p class="note warn" role="status">${t('signin.expired')}</p>`}
      <${Text} label=${t('signin.token')} type="password" ...${form.bind('token')} error=${refused}
        hint=${t('signin.hint')} autocomplete="current-password" autofocus />
      <${Check} label=${t('signin.keep')} hint=${t('signin.keep.hint')} ...${form.bind('keep')} />
      ${form.rest()}
      <${Button} kind="primary wide" type="submit" busy=${form.busy}>${t('signin.do')}<//>
    </form>
    <${Preferences} onLanguage=${onLanguage} />
  </main>`;
}
