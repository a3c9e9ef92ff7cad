// The steps of a new batch.

import { html, useEffect } from './dom.js';
import { get, path } from './api.js';
import { takesSources } from './batch-body.js';
import { DropZone, useUploads } from './dropzone.js';
import { Area, Check, Choice, Select, Text } from './form.js';
import { number, t } from './i18n.js';
import { useLoad } from './poll.js';
import { to } from './router.js';
import { TagFields } from './tags.js';
import { Badge, Button, Facts, Skeleton } from './ui.js';

const upgradable = (one) => ['verified', 'not-needed'].includes(one.verification.status);

export function PackageStep({ form, pack, known, makers }) {
  if (!known.items) return html`<${Skeleton} />`;
  const offered = known.items.filter(upgradable).sort((a, b) => b.created_at - a.created_at);
  const named = (one) => `${one.name} (${one.source_version ? `${one.source_version} → ` : ''}${one.target_version})`;
  // One that came by the address and is not verified stays visible, with what it lacks.
  if (pack && !upgradable(pack)) offered.unshift(pack);
  return html`<${Select} label=${t('package.one')} hint=${t('wizard.package.hint')} ...${form.bind('package_id')}
      of=${[['', t('form.choose')], ...offered.map((one) => [one.package_id, named(one)])]} />
    ${pack && html`<${Facts} of=${[
    [t('product.one'), makers.by.get(pack.product_key)?.name ?? pack.product_key],
    [t('module.one'), pack.module],
    [t('package.kind'), t(`package.kind.${pack.kind}`)],
    [t('package.target'), html`<code>${pack.target_version}</code>`],
    [t('verify.title'), html`<${Badge} status=${pack.verification.status} noun="verification" />
      ${!upgradable(pack) && html` <a href=${to`/packages/${pack.package_id}`}>${t('verify.do')}</a>`}`],
  ]} />`}`;
}

export function TargetStep({ form, pack }) {
  const { values } = form;
  const dynamic = values.mode === 'dynamic';
  const selections = ['all', 'specific', 'list', 'gray', 'region'];
  const mode = (value) => {
    const narrow = ['specific', 'list', 'gray'].includes(values.selection);
    form.setValues({ ...values, mode: value, selection: value === 'dynamic' && narrow ? 'all' : values.selection });
  };
  return html`<${Choice} label=${t('wizard.mode')} ...${form.bind('mode')} onValue=${mode} of=${['static', 'dynamic'].map((key) => ({
    key, title: t(`mode.${key}`), text: t(`mode.${key}.text`) }))} />
    ${dynamic && html`<${Check} label=${t('batch.new-reports')} hint=${t('batch.new-reports.hint')} ...${form.bind('new_reports_only')} />`}
    <${Choice} label=${t('batch.target')} ...${form.bind('selection', '/target/selection')} of=${selections.map((key) => ({
    key, title: t(`select.${key}`), text: t(`select.${key}.text`), disabled: dynamic && ['specific', 'list', 'gray'].includes(key),
  }))} error=${form.errorAt('/target/selection') ?? (values.selection === 'all' ? form.errorAt('/target') : undefined)} />
    ${values.selection === 'specific' && html`<${Area} label=${t('target.names')} hint=${t('target.names.hint')}
      ...${form.bind('devices', '/target/devices', '/target')} />`}
    ${values.selection === 'list' && html`<${DeviceList} form=${form} />`}
    ${values.selection === 'gray' && html`<${Text} label=${t('target.percent')} unit="%" inputmode="decimal" hint=${t('target.percent.hint')}
      ...${form.bind('gray_percent', '/target/gray_percent', '/target')} />`}
    ${values.selection === 'region' && html`<${Regions} form=${form} />`}
    ${takesSources(values, pack) && html`<${Sources} form=${form} pack=${pack} dynamic=${dynamic} />`}
    ${pack?.kind === 'delta' && html`<p class="note info">${t('source.delta', { version: pack.source_version })}</p>`}`;
}

function DeviceList({ form }) {
  const uploads = useUploads();
  const one = uploads.files[0];
  useEffect(() => {
    const told = one?.state === 'done' ? { upload_id: one.told.upload_id, file_name: one.told.file_name } : null;
    if (one && told?.upload_id !== form.values.device_list?.upload_id) form.set('device_list', told);
  }, [one?.state]);
  const rows = (form.problem?.errors ?? []).filter((error) => error.pointer.startsWith('row:')).slice(0, 10);
  const error = form.errorAt('/target/device_list')
    ?? (rows.length ? rows.map((row) => `${t('target.row', { row: row.pointer.slice(4) })}: ${row.detail}`).join(' ') : undefined);
  rows.forEach((row) => form.errorAt(row.pointer));
  return html`${!one && form.values.device_list && html`<p class="note info">${t('target.list.kept', { name: form.values.device_list.file_name })}</p>`}
    <${DropZone} uploads=${uploads} accept=".csv" label=${t('select.list')} hint=${t('target.list.hint')} error=${error} />`;
}

function Regions({ form }) {
  const { regions } = form.values;
  const change = (index, part) => form.set('regions', regions.map((one, at) => (at === index ? { ...one, ...part } : one)));
  return html`<fieldset><legend>${t('target.regions')}</legend><p class="hint">${t('target.regions.hint')}</p>
    ${regions.map((one, index) => html`<div class="row tag" key=${index}>
      <${Text} label=${t('region.province')} value=${one.province} onValue=${(province) => change(index, { province })}
        error=${form.errorAt(`/target/regions/${index}`, ...(index === 0 ? ['/target/regions', '/target'] : []))} />
      <${Text} label=${t('region.city')} optional value=${one.city} onValue=${(city) => change(index, { city })} />
      ${regions.length > 1 && html`<${Button} kind="quiet" icon="trash" label=${t('action.remove')}
        onClick=${() => form.set('regions', regions.filter((_, at) => at !== index))} />`}</div>`)}
    <${Button} small icon="plus" onClick=${() => form.set('regions', [...regions, { province: '', city: '' }])}>${t('region.add')}<//>
  </fieldset>`;
}

/** The versions that devices run now, with how many run each. */
function Sources({ form, pack, dynamic }) {
  const versions = useLoad((signal) => (pack ? get(path`/v1/products/${pack.product_key}/versions`, {
    query: { module: pack.module, package_id: pack.package_id }, signal }) : Promise.resolve({ versions: [] })), [pack?.package_id]);
  const chosen = form.values.source_versions;
  const known = versions.data?.versions ?? [];
  const all = [...known, ...chosen.filter((one) => !known.some((other) => other.version === one)).map((version) => ({ version }))];
  const pick = (version, on) => form.set('source_versions', on ? [...chosen, version] : chosen.filter((one) => one !== version));
  const error = form.errorAt('/source_versions');
  return html`<fieldset class=${error ? 'pick wrong' : 'pick'}><legend>${t('source.title')}${!dynamic && html` <span class="optional">${t('form.optional')}</span>`}</legend>
    <p class="hint">${t(dynamic ? 'source.hint.dynamic' : 'source.hint')}</p>
    ${!versions.data && !versions.problem && html`<${Skeleton} lines="2" />`}
    <div class="pick-list">${all.map((one) => html`<label key=${one.version} class="pick-one">
      <input type="checkbox" checked=${chosen.includes(one.version)} onChange=${(event) => pick(one.version, event.target.checked)} />
      <span><code>${one.version}</code>${one.devices !== undefined && html` <small>${t('count.devices', { count: one.devices, number: number(one.devices) })}</small>`}</span></label>`)}</div>
    <${Text} label=${t('source.other')} optional ...${form.bind('source_other', '/-')} hint=${t('source.other.hint')} />
    ${error && html`<p class="error">${error}</p>`}</fieldset>`;
}

export function TimingStep({ form }) {
  const { values } = form;
  const dynamic = values.mode === 'dynamic';
  return html`${dynamic ? html`<p class="note info">${t('when.dynamic')}</p>` : html`<${Choice} label=${t('when.title')} ...${form.bind('when', '/-')}
      of=${['now', 'scheduled'].map((key) => ({ key, title: t(`when.${key}`), text: t(`when.${key}.text`) }))} />`}
    ${!dynamic && values.when === 'scheduled' && html`<div class="row">
      <${Text} label=${t('when.start')} type="datetime-local" hint=${t('when.start.hint')} ...${form.bind('start_at', '/schedule/start_at', '/schedule')} />
      <${Text} label=${t('when.end')} optional type="datetime-local" hint=${t('when.end.hint')} ...${form.bind('end_at', '/schedule/end_at')} /></div>
      ${values.end_at && html`<${Check} label=${t('when.hard-stop')} hint=${t('when.hard-stop.hint')} ...${form.bind('hard_stop', '/schedule/hard_stop')} />`}`}
    <div class="row">
      <${Text} label=${t('batch.rate')} optional type="number" min="10" unit=${t('unit.per-minute')} placeholder="1000" hint=${t('batch.rate.hint')}
        ...${form.bind('rate', '/push_per_minute_max')} />
      <${Text} label=${t('batch.timeout')} optional type="number" min="1" max="1440" unit=${t('unit.minutes')} placeholder=${t('batch.timeout.never')}
        hint=${t('batch.timeout.hint')} ...${form.bind('timeout', '/timeout_minutes')} />
    </div>
    <div class="row">
      <${Select} label=${t('batch.retry')} hint=${t('batch.retry.hint')} ...${form.bind('retry', '/retry', '/retry/after_minutes')}
        of=${['none', '0', '10', '30', '60', '1440'].map((key) => [key, t(`retry.${key}`)])} />
      ${values.retry !== 'none' && html`<${Select} label=${t('retry.count')} ...${form.bind('retry_count', '/retry/count_max')}
        of=${['1', '2', '5'].map((key) => [key, t('retry.times', { count: Number(key) })])} />`}
    </div>`;
}

export function OptionsStep({ form }) {
  const { values } = form;
  return html`<${Check} label=${t('batch.overwrite')} hint=${t('batch.overwrite.hint')} ...${form.bind('overwrite')} disabled=${values.multi_module} />
    <${Check} label=${t('batch.multi-module')} hint=${t('batch.multi-module.hint')} ...${form.bind('multi_module')} />
    <${Check} label=${t('batch.push')} hint=${t('batch.push.hint')} ...${form.bind('push')} />
    <${Check} label=${t('batch.needs-consent')} hint=${t('batch.needs-consent.hint')} ...${form.bind('needs_confirmation')} />
    <${Choice} label=${t('batch.protocol')} ...${form.bind('download_protocol')} of=${['https', 'mqtt'].map((key) => ({
    key, title: key.toUpperCase(), text: t(`protocol.${key}`) }))} />
    <${TagFields} tags=${values.tags} onValue=${(tags) => form.set('tags', tags)} errorAt=${form.errorAt} />`;
}
