// What a new batch is asked for with: from what was filled in to the request, and from a fault back to its step.

import { words } from './form.js';

/** The steps of the wizard. */
export const STEPS = ['package', 'target', 'timing', 'options', 'review'];

/** What is filled in at first: what the service does when a request does not say. */
export const EMPTY = {
  package_id: '', mode: 'static', new_reports_only: false, selection: 'all', devices: '', device_list: null, gray_percent: '10',
  regions: [{ province: '', city: '' }], source_versions: [], source_other: '',
  when: 'now', start_at: '', end_at: '', hard_stop: false,
  rate: '', timeout: '', retry: 'none', retry_count: '1',
  overwrite: false, multi_module: false, push: true, needs_confirmation: false, download_protocol: 'https', tags: [],
};

/** A number that was typed; what is none goes as it is, so that the service says what is wrong with it. */
const number = (text) => {
  const trimmed = String(text).trim();
  if (trimmed === '') return undefined;
  return Number.isFinite(Number(trimmed)) ? Number(trimmed) : trimmed;
};

const moment = (local) => (local ? new Date(local).getTime() : undefined);

function target(draft) {
  switch (draft.selection) {
    case 'specific': return { selection: 'specific', devices: words(draft.devices) };
    case 'list': return { selection: 'specific', device_list: draft.device_list?.upload_id ?? '' };
    case 'gray': return { selection: 'gray', gray_percent: draft.gray_percent.trim() };
    case 'region': return {
      selection: 'region',
      regions: draft.regions.filter((one) => one.province.trim()).map(({ province, city }) => (
        { province: province.trim(), city: city.trim() || undefined })),
    };
    default: return { selection: 'all' };
  }
}

/** Whether source versions are chosen: not for a delta, which has its own, nor for devices that are named (R56, R57). */
export const takesSources = (draft, pack) => pack?.kind !== 'delta' && !['specific', 'list'].includes(draft.selection);

/** @returns the body of `POST /v1/batches` */
export function toBody(draft, pack) {
  const dynamic = draft.mode === 'dynamic';
  const sources = [...new Set([...draft.source_versions, ...words(draft.source_other)])];
  const scheduled = !dynamic && draft.when === 'scheduled';
  return {
    package_id: draft.package_id,
    product_key: pack?.product_key,
    mode: draft.mode,
    new_reports_only: dynamic ? draft.new_reports_only : undefined,
    target: target(draft),
    source_versions: takesSources(draft, pack) && sources.length ? sources : undefined,
    schedule: scheduled ? {
      start_at: moment(draft.start_at) ?? 0, end_at: moment(draft.end_at), hard_stop: draft.end_at ? draft.hard_stop : undefined,
    } : undefined,
    push_per_minute_max: number(draft.rate),
    timeout_minutes: number(draft.timeout),
    retry: draft.retry === 'none' ? undefined : { after_minutes: Number(draft.retry), count_max: Number(draft.retry_count) },
    overwrite: draft.overwrite && !draft.multi_module,
    multi_module: draft.multi_module,
    push: draft.push,
    needs_confirmation: draft.needs_confirmation,
    download_protocol: draft.download_protocol,
    tags: draft.tags.filter((tag) => tag.key || tag.value),
  };
}

const PLACES = {
  package: ['/package_id', '/product_key'],
  target: ['/mode', '/new_reports_only', '/target', '/source_versions', 'row:'],
  timing: ['/schedule', '/push_per_minute_max', '/timeout_minutes', '/retry'],
};

/** The step that a fault is about. */
export function stepOf(pointer) {
  const found = Object.entries(PLACES).find(([, starts]) => starts.some((start) => pointer.startsWith(start)));
  return found?.[0] ?? 'options';
}
