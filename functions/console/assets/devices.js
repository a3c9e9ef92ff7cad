// The devices of a product: the list, finding one, and registering more.

import { html, saveFile, useState } from './dom.js';
import { get, path, post } from './api.js';
import { Dialog, toast } from './dialog.js';
import { Area, Text, useForm } from './form.js';
import { t } from './i18n.js';
import { useList } from './poll.js';
import { ProductTabs, useProduct } from './products.js';
import { go, to } from './router.js';
import { may } from './session.js';
import { Badge, Button, Copyable, Empty, ListTable, Page, Table, When } from './ui.js';

export default function Devices({ params }) {
  const { name } = useProduct(params.key);
  const where = path`/v1/products/${params.key}/devices`;
  const list = useList(where, {}, { by: 'name' });
  const [registering, setRegistering] = useState(false);
  const [find, setFind] = useState('');
  const [missing, setMissing] = useState();
  const shown = { ...list, items: list.items.filter((one) => one.name.includes(find.trim())) };
  // The service finds a device by its whole name, among however many; a part of one is looked for in what is shown.
  const submit = async (event) => {
    event.preventDefault();
    const wanted = find.trim();
    if (!wanted) return;
    setMissing(undefined);
    try {
      await get(`${where}/${encodeURIComponent(wanted)}`);
      go(to`/products/${params.key}/devices/${wanted}`);
    } catch (problem) {
      if (problem.status === 404) setMissing(wanted);
      else toast(problem.detail || problem.message, 'bad');
    }
  };
  const columns = [
    { key: 'name', title: t('device.one'), head: true, cell: (one) => html`<a href=${to`/products/${params.key}/devices/${one.name}`}>${one.name}</a>` },
    { key: 'state', title: t('device.state'), cell: (one) => html`<${Badge} status=${one.state} noun="device-state" />` },
    { key: 'version', title: t('package.versions'), cell: (one) => versionsText(one.versions) },
    { key: 'task', title: t('task.one'), cell: (one) => (one.tasks.length ? one.tasks.map((task) => html`<${Badge} key=${task.task_id} status=${task.status} /> `) : '–') },
    { key: 'region', title: t('device.region'), cell: (one) => (one.region ? [one.region.province, one.region.city].filter(Boolean).join(' / ') : '–') },
    { key: 'at', title: t('device.activated'), cell: (one) => html`<${When} at=${one.activated_at} />` },
  ];
  const add = may('operator') && html`<${Button} kind="primary" icon="plus" onClick=${() => setRegistering(true)}>${t('device.register')}<//>`;
  return html`<${Page} title=${name} crumbs=${[[t('nav.products'), to`/products`]]} actions=${add}
    badge=${html`<${Copyable} text=${params.key} label=${t('product.copy-key')} />`}>
    <${ProductTabs} product=${params.key} at="devices" />
    <form class="filters find" role="search" onSubmit=${submit}>
      <${Text} label=${t('device.find')} hint=${t('device.find.hint')} type="search" value=${find} onValue=${setFind}
        error=${missing && t('device.missing', { name: missing })} />
      <${Button} type="submit" icon="search">${t('action.find')}<//>
      <${Button} icon="again" label=${t('action.refresh')} onClick=${list.reload} />
    </form>
    <${ListTable} list=${shown} caption=${t('device.many')} columns=${columns} rowKey=${(one) => one.name}
      empty=${list.items.length || find ? html`<${Empty} icon="search" title=${t('filter.nothing')} action=${list.more && html`<${Button} onClick=${list.more}>${t('action.more')}<//>`} />`
    : html`<${Empty} icon="device" title=${t('device.empty')} action=${add}>${t('device.empty.text')}<//>`} />
    ${registering && html`<${Register} product=${params.key} onClose=${() => setRegistering(false)} changed=${list.reload} />`}
  <//>`;
}

/** What a device runs: the whole device's version first. */
export function versionsText(versions) {
  if (!versions.length) return html`<span class="fine">${t('device.no-version')}</span>`;
  const whole = versions.filter((one) => one.module === 'default');
  return [...whole, ...versions.filter((one) => one.module !== 'default')].map((one, index) => html`${index > 0 && ', '}
    ${one.module !== 'default' && `${one.module} `}<code>${one.version}</code>`);
}

/** Reads `name` or `name,secret` per line; what is no such line is told by the service. */
export function parseDevices(text) {
  return text.split('\n').map((line) => line.trim()).filter(Boolean).map((line) => {
    const [name, secret] = line.split(/[,;\t]/).map((part) => part.trim());
    return secret ? { name, secret } : { name };
  });
}

function Register({ product, onClose, changed }) {
  const form = useForm({ names: '', province: '', city: '' });
  const [made, setMade] = useState();
  const count = parseDevices(form.values.names).length;
  const submit = form.submit(async ({ names, province, city }) => {
    const region = province.trim() ? { province: province.trim(), city: city.trim() || undefined } : undefined;
    const answer = await post(path`/v1/products/${product}/devices`, { devices: parseDevices(names).map((one) => ({ ...one, region })) });
    setMade(answer.devices);
    changed();
  });
  if (made) {
    const columns = [
      { key: 'name', title: t('device.one'), head: true, cell: (one) => one.name },
      { key: 'secret', title: t('device.secret'), cell: (one) => html`<${Copyable} text=${one.secret} label=${t('device.copy-secret', { device: one.name })} />` },
    ];
    return html`<${Dialog} title=${t('device.registered', { count: made.length })} onClose=${onClose} wide>
      <p class="note warn">${t('device.secrets-once')}</p>
      <div class="scroll"><${Table} caption=${t('device.secret')} columns=${columns} rows=${made.slice(0, 100)} rowKey=${(one) => one.name} /></div>
      ${made.length > 100 && html`<p class="fine">${t('device.more-in-file', { count: made.length - 100 })}</p>`}
      <footer class="actions end">
        <${Button} icon="download" onClick=${() => saveFile(`devices-${product}.csv`, made.map((one) => `${one.name},${one.secret}\n`).join(''), 'text/csv')}>
          ${t('device.save')}<//>
        <${Button} kind="primary" onClick=${onClose}>${t('action.done')}<//></footer><//>`;
  }
  const rowErrors = (form.problem?.errors ?? []).filter((error) => error.pointer.startsWith('/devices/')).slice(0, 5)
    .map((error) => `${t('target.row', { row: Number(error.pointer.split('/')[2]) + 1 })}: ${error.detail}`).join(' ');
  const error = form.errorAt('/devices');
  return html`<${Dialog} title=${t('device.register')} onClose=${onClose}>
    <form onSubmit=${submit} novalidate>
      <${Area} label=${t('device.names')} rows="6" hint=${t('device.names.hint')} ...${form.bind('names', '/-')} error=${rowErrors || error} autofocus />
      <div class="row"><${Text} label=${t('region.province')} optional ...${form.bind('province', '/-')} />
        <${Text} label=${t('region.city')} optional ...${form.bind('city', '/-')} /></div>
      ${form.rest()}
      <footer class="actions end"><${Button} onClick=${onClose}>${t('action.cancel')}<//>
        <${Button} kind="primary" type="submit" busy=${form.busy} disabled=${count === 0}>${t('device.register.do', { count })}<//></footer>
    </form><//>`;
}

