// Choosing files by dragging them here or by a dialog, and how far each is on its way.

import { announce, classes, html, useEffect, useId, useRef, useState } from './dom.js';
import { bytes, percent, t, tOr } from './i18n.js';
import { Icon } from './icons.js';
import { giveUp, upload } from './upload.js';
import { Button } from './ui.js';

/**
 * @typedef {{id: number, file: File, sent: number, state: 'sending'|'paused'|'failed'|'done', resumed?: boolean,
 *   told?: {upload_id: string, size: number, md5: string, sha256: string}, problem?: Error}} Sent
 */

let ids = 0;

/** The files of a form, on their way to the service. */
export function useUploads() {
  const [files, setFiles] = useState(/** @type {Sent[]} */ ([]));
  const running = useRef(new Map());
  const change = (id, part) => setFiles((old) => old.map((one) => (one.id === id ? { ...one, ...part } : one)));
  useEffect(() => () => {
    for (const control of running.current.values()) control.abort();
  }, []);
  const start = async (one) => {
    const control = new AbortController();
    running.current.set(one.id, control);
    change(one.id, { state: 'sending', problem: undefined });
    try {
      const onProgress = (sent, resumed) => change(one.id, { sent: Math.min(sent, one.file.size), resumed });
      const told = await upload(one.file, { onProgress, signal: control.signal });
      change(one.id, { state: 'done', sent: one.file.size, told });
      announce(t('upload.done', { name: one.file.name }));
    } catch (problem) {
      if (!control.signal.aborted) change(one.id, { state: 'failed', problem });
    }
  };
  return {
    files,
    add(list) {
      const added = Array.from(list, (file) => ({ id: (ids += 1), file, sent: 0, state: 'sending' }));
      setFiles((old) => [...old, ...added]);
      added.forEach(start);
    },
    pause(one) {
      running.current.get(one.id)?.abort();
      change(one.id, { state: 'paused' });
    },
    resume: start,
    remove(one) {
      running.current.get(one.id)?.abort();
      giveUp(one.file);
      setFiles((old) => old.filter((other) => other.id !== one.id));
    },
  };
}

/** Where files are dropped. @param {{uploads: ReturnType<typeof useUploads>, accept: string, many?: boolean}} props */
export function DropZone({ uploads, accept, many, label, hint, error, naming }) {
  const [over, setOver] = useState(false);
  const input = useRef();
  const id = useId('drop');
  const take = (list) => list.length && uploads.add(many ? list : [list[0]]);
  const drop = (event) => {
    event.preventDefault();
    setOver(false);
    take(event.dataTransfer.files);
  };
  const drag = (event) => {
    event.preventDefault();
    setOver(event.type === 'dragover');
  };
  const full = !many && uploads.files.length > 0;
  return html`<div class=${classes('field', error && 'wrong')}>
    <label for=${id}>${label}</label>
    ${!full && html`<div class=${classes('drop', over && 'over')} onDragOver=${drag} onDragLeave=${drag} onDrop=${drop}>
      <${Icon} name="upload" size="26" />
      <p>${t('upload.drop')} <button type="button" class="link" onClick=${() => input.current.click()}>${t('upload.choose')}</button></p>
      <p class="hint" id="${id}-hint">${hint}</p>
      <input ref=${input} id=${id} type="file" class="visually-hidden" accept=${accept} multiple=${many} tabindex="-1"
        aria-describedby="${id}-hint" onChange=${(event) => { take(event.target.files); event.target.value = ''; }} />
    </div>`}
    ${uploads.files.length > 0 && html`<ul class="uploads" id=${full ? id : undefined}>${uploads.files.map((one, index) => html`
      <li key=${one.id}><${OneUpload} one=${one} uploads=${uploads} />${naming && naming(one, index)}</li>`)}</ul>`}
    ${error && html`<p class="error" role="alert">${error}</p>`}
  </div>`;
}

function OneUpload({ one, uploads }) {
  const share = one.file.size ? one.sent / one.file.size : 1;
  const { state } = one;
  return html`<div class=${classes('upload', state)}>
    <${Icon} name=${{ done: 'ok', failed: 'bad' }[state] ?? 'file'} />
    <div class="upload-main"><p><b>${one.file.name}</b> <span class="fine">${bytes(one.file.size)}</span></p>
      ${state !== 'done' && html`<progress max="1" value=${share} aria-label=${t('upload.progress', { name: one.file.name })} />`}
      <p class="fine">${state === 'failed' ? tOr(`problem.${one.problem?.code}`, one.problem?.detail || one.problem?.message)
    : t(`upload.${state}`, { name: one.file.name, done: bytes(one.sent), share: percent(share) })}
        ${one.resumed && state === 'sending' && ` ${t('upload.resumed')}`}</p>
      ${state === 'done' && html`<p class="fine digest">SHA-256 <code>${one.told.sha256}</code></p>`}
    </div>
    ${state === 'sending' && html`<${Button} small kind="quiet" icon="pause" label=${t('upload.pause')} onClick=${() => uploads.pause(one)} />`}
    ${(state === 'paused' || state === 'failed') && html`<${Button} small kind="quiet" icon=${state === 'paused' ? 'play' : 'again'}
      label=${t('upload.go-on')} onClick=${() => uploads.resume(one)} />`}
    <${Button} small kind="quiet" icon="trash" label=${t('upload.remove', { name: one.file.name })} onClick=${() => uploads.remove(one)} />
  </div>`;
}
