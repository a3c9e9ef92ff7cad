// Settings: of the service here; a product's use the same form.

import { html } from './dom.js';
import { get, patch } from './api.js';
import { toast } from './dialog.js';
import { Check, Choice, useForm } from './form.js';
import { t } from './i18n.js';
import { useLoad } from './poll.js';
import { bound, may } from './session.js';
import { Button, Loaded, Page } from './ui.js';

const SETTINGS = [['package_limits', ['current', 'legacy']], ['fast_push']];

/**
 * A form of settings; only what was changed is sent.
 * @param {{of: [string, string[]?][], values: object, save: (changed: object) => Promise<void>, lead: string, locked: boolean}} props
 */
export function SettingsForm({ of, values, save, lead, locked }) {
  const form = useForm(values);
  const changed = Object.fromEntries(of.map(([key]) => [key, form.values[key]]).filter(([key, value]) => value !== values[key]));
  const dirty = Object.keys(changed).length > 0;
  const submit = form.submit(async () => {
    await save(changed);
    toast(t('state.saved'), 'good');
  });
  return html`<form class="panel form" onSubmit=${submit} novalidate>
    <p class="lead">${lead}</p>
    ${locked && html`<p class="note info">${t('setting.locked')}</p>`}
    ${of.filter(([key]) => key in values).map(([key, choices]) => (choices
    ? html`<${Choice} key=${key} label=${t(`setting.${key}`)} hint=${t(`setting.${key}.hint`)} ...${form.bind(key, `/settings/${key}`)}
        of=${choices.map((one) => ({ key: one, title: t(`setting.${key}.${one}`), disabled: locked }))} />`
    : html`<${Check} key=${key} label=${t(`setting.${key}`)} hint=${t(`setting.${key}.hint`)} disabled=${locked} ...${form.bind(key, `/settings/${key}`)} />`))}
    ${form.rest()}
    ${!locked && html`<footer class="actions end"><span class="fine">${!dirty && t('setting.unchanged')}</span>
      <${Button} kind="primary" type="submit" busy=${form.busy} disabled=${!dirty}>${t('action.save')}<//></footer>`}
  </form>`;
}

export default function Settings() {
  const settings = useLoad((signal) => get('/v1/settings', { signal }), []);
  const save = async (changed) => {
    await patch('/v1/settings', { settings: changed });
    await settings.reload();
  };
  return html`<${Page} title=${t('nav.settings')}>
    <${Loaded} of=${settings}>${(data) => html`<${SettingsForm} key=${JSON.stringify(data)} of=${SETTINGS} values=${data} save=${save}
      lead=${t('setting.service.lead')} locked=${!may('admin') || bound()} />`}<//>
  <//>`;
}
