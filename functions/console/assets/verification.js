// The trial of a package on a few devices: start it, watch it, and what it came to.

import { html, useRef, useState } from './dom.js';
import { get, list, make, newKey, path } from './api.js';
import { Dialog, toast } from './dialog.js';
import { Check, Select, Text, useForm, words } from './form.js';
import { t } from './i18n.js';
import { packages } from './names.js';
import { useLoad } from './poll.js';
import { to } from './router.js';
import { may } from './session.js';
import { Badge, Button, ButtonLink, Empty, Fault, Section, Skeleton } from './ui.js';
import { reasonText } from './tasks.js';

const LOOK_MS = 2_000;
/** Test devices of one trial (R44). */
const DEVICES_MAX = 10;

export function Verification({ of, changed }) {
  const { status } = of.verification;
  const trial = useLoad((signal) => get(path`/v1/packages/${of.package_id}/verification`, { signal }), [of.package_id, status], {
    every: (data) => (data?.status === 'verifying' ? LOOK_MS : undefined),
  });
  const [starting, setStarting] = useState(false);
  const seen = useRef(status);
  // The trial ended since the package was read: its badge should say so.
  if (trial.data && trial.data.status !== seen.current) {
    seen.current = trial.data.status;
    setTimeout(changed);
  }
  const startable = may('operator') && ['unverified', 'failed'].includes(status);
  const start = startable && html`<${Button} kind="primary" icon="beaker" onClick=${() => setStarting(true)}>
    ${t(status === 'failed' ? 'verify.again' : 'verify.do')}<//>`;
  const told = trial.data;
  return html`<${Section} title=${t('verify.title')} class="panel">
    ${trial.problem && html`<${Fault} problem=${trial.problem} again=${trial.reload} />`}
    ${!told && !trial.problem && html`<${Skeleton} />`}
    ${told && html`<p class=${`note ${{ verified: 'good', failed: 'bad', verifying: 'run' }[told.status] ?? 'info'}`}>
      ${t(`verify.${told.status}`)}</p>`}
    ${told?.status === 'verifying' && html`<progress max="100" value=${told.progress_percent} aria-label=${t('verify.progress')} />`}
    ${told?.tasks?.length > 0 && html`<ul class="trial">${told.tasks.map((task) => html`<li key=${task.device_name}>
      <a href=${to`/products/${of.product_key}/devices/${task.device_name}`}>${task.device_name}</a>
      <${Badge} status=${task.status} /> ${task.status === 'in-progress' && html`<span class="fine">${task.progress} %</span>`}
      ${task.reason && html`<span class="fine">${reasonText(task.reason)}</span>`}</li>`)}</ul>`}
    ${told?.batch && html`<p class="fine"><a href=${to`/batches/${told.batch.batch_id}`}>${t('verify.batch')}</a></p>`}
    ${told && told.status !== 'verifying' && start}
    ${told && ['verified', 'not-needed'].includes(told.status) && may('operator') && html`<${ButtonLink} icon="batch"
      href=${`${to`/batches/new`}?package=${of.package_id}`}>${t('verify.next')}<//>`}
    ${starting && html`<${Start} of=${of} onClose=${() => setStarting(false)} changed=${() => { trial.reload(); changed(); }} />`}
  <//>`;
}

/** Devices that could take part: those that are on another version, online ones first. */
const fitting = (devices, of) => {
  const versionOf = (device) => device.versions.find((one) => one.module === of.module)?.version;
  const fits = devices.filter((device) => device.activated_at && versionOf(device) !== of.target_version
    && (!of.source_version || versionOf(device) === of.source_version));
  const rank = { online: 0, offline: 1 };
  return fits.map((device) => ({ device, version: versionOf(device) }))
    .sort((a, b) => (rank[a.device.state] ?? 2) - (rank[b.device.state] ?? 2) || a.device.name.localeCompare(b.device.name));
};

function Start({ of, onClose, changed }) {
  const devices = useLoad((signal) => list(path`/v1/products/${of.product_key}/devices`, { signal, pages: 2 }), [of.product_key]);
  const [chosen, setChosen] = useState([]);
  const key = useRef(newKey());
  const form = useForm({ names: '', timeout: '', push: true, consent: false, protocol: 'https', find: '' });
  const { values } = form;
  const fits = devices.data ? fitting(devices.data.items, of) : [];
  const shown = fits.filter(({ device }) => device.name.includes(values.find)).slice(0, 50);
  const typed = words(values.names).filter((name) => !chosen.includes(name));
  const count = chosen.length + typed.length;
  const submit = form.submit(async () => {
    const body = {
      devices: [...chosen, ...typed], timeout_minutes: values.timeout === '' ? undefined : Number(values.timeout),
      push: values.push, needs_confirmation: values.consent, download_protocol: values.protocol,
    };
    await make(path`/v1/packages/${of.package_id}/verification`, body, key.current).catch((problem) => {
      key.current = newKey();
      throw problem;
    });
    packages.forget();
    toast(t('verify.started', { count }), 'good');
    changed();
    onClose();
  });
  const pick = (name, on) => setChosen(on ? [...chosen, name] : chosen.filter((one) => one !== name));
  return html`<${Dialog} title=${t('verify.dialog', { name: of.name })} onClose=${onClose} wide>
    <form onSubmit=${submit} novalidate>
      <p>${t('verify.lead')}</p>
      <fieldset class="pick"><legend>${t('verify.devices')}</legend>
        ${!devices.data && !devices.problem && html`<${Skeleton} />`}
        <${Fault} problem=${devices.problem} again=${devices.reload} />
        ${devices.data && fits.length === 0 && html`<${Empty} icon="device" title=${t('verify.no-device')}>${t('verify.no-device.text')}<//>`}
        ${fits.length > 8 && html`<${Text} label=${t('device.find')} type="search" ...${form.bind('find')} />`}
        <div class="pick-list">${shown.map(({ device, version }) => html`<label key=${device.name} class="pick-one">
          <input type="checkbox" checked=${chosen.includes(device.name)} disabled=${!chosen.includes(device.name) && count >= DEVICES_MAX}
            onChange=${(event) => pick(device.name, event.target.checked)} />
          <span>${device.name} <small>${version ?? t('device.no-version')}</small></span><${Badge} status=${device.state} noun="device-state" /></label>`)}</div>
        ${form.errorAt('/devices') && html`<p class="error">${form.errorAt('/devices')}</p>`}
        ${devices.data?.more && html`<${Text} label=${t('verify.by-name')} optional ...${form.bind('names', '/-')} hint=${t('verify.by-name.hint')} />`}
      </fieldset>
      <div class="row">
        <${Text} label=${t('batch.timeout')} optional type="number" min="1" max="1440" unit=${t('unit.minutes')} ...${form.bind('timeout', '/timeout_minutes')}
          hint=${t('verify.timeout.hint')} />
        <${Select} label=${t('batch.protocol')} ...${form.bind('protocol', '/download_protocol')} of=${[['https', 'HTTPS'], ['mqtt', 'MQTT']]}
          hint=${t('verify.protocol.hint')} />
      </div>
      <${Check} label=${t('batch.push')} ...${form.bind('push')} hint=${t('batch.push.hint')} />
      <${Check} label=${t('batch.needs-consent')} ...${form.bind('consent', '/needs_confirmation')} hint=${t('batch.needs-consent.hint')} />
      ${form.rest()}
      <footer class="actions end"><${Button} onClick=${onClose}>${t('action.cancel')}<//>
        <${Button} kind="primary" type="submit" busy=${form.busy} disabled=${count === 0}>${t('verify.go', { count })}<//></footer>
    </form>
  <//>`;
}
