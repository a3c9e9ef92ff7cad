// What comes before the page: dialogs, questions before something is destroyed, and short messages.

import { announce, classes, html, randomId, useEffect, useId, useRef, useState } from './dom.js';
import { Icon } from './icons.js';
import { t } from './i18n.js';

/** How long a message stays; those that tell of a failure stay until somebody closes them. */
const TOAST_MS = 6_000;

/** A dialog. The browser keeps the focus inside and gives it back; Escape closes it. */
export function Dialog({ title, onClose, children, wide }) {
  const element = useRef();
  const id = useId('dialog');
  useEffect(() => {
    const dialog = element.current;
    const before = document.activeElement;
    dialog.showModal();
    return () => {
      dialog.close();
      if (before?.isConnected) before.focus();
    };
  }, []);
  const cancel = (event) => {
    event.preventDefault();
    onClose();
  };
  // A click beside it closes it, as long as nothing was typed that would be lost.
  const outside = (event) => {
    if (event.target === element.current && !element.current.querySelector('input, textarea, select')) onClose();
  };
  return html`<dialog ref=${element} class=${classes(wide && 'wide')} aria-labelledby=${id} onCancel=${cancel}
    onMouseDown=${outside}>
    <div class="dialog-body">
      <header><h2 id=${id}>${title}</h2>
        <button type="button" class="button quiet only-icon" aria-label=${t('action.close')} onClick=${onClose}>
          <${Icon} name="close" /></button></header>
      ${children}
    </div>
  </dialog>`;
}

/**
 * Asks before something is done that cannot be undone.
 * @param {{title: string, children: unknown, action: string, run: () => Promise<void>, onClose: () => void}} props
 */
export function Confirm({ title, children, action, run, onClose, kind = 'danger', fault: Fault }) {
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState();
  const go = async () => {
    setBusy(true);
    setProblem(undefined);
    try {
      await run();
      onClose();
    } catch (error) {
      setProblem(error);
      setBusy(false);
    }
  };
  return html`<${Dialog} title=${title} onClose=${onClose}>
    <div class="dialog-text">${children}</div>
    ${problem && html`<${Fault} problem=${problem} />`}
    <footer class="actions end">
      <button type="button" class="button plain" autofocus onClick=${onClose}><span>${t('action.keep')}</span></button>
      <button type="button" class=${`button ${kind}`} disabled=${busy} onClick=${go}><span>${action}</span></button>
    </footer>
  <//>`;
}

let show = () => {};

/** Says something shortly. @param {'good'|'bad'|'info'} kind */
export function toast(text, kind = 'info') {
  announce(text);
  show({ id: randomId(4), text, kind });
}

/** Where messages appear. */
export function Toasts() {
  const [shown, setShown] = useState([]);
  const close = (id) => setShown((old) => old.filter((one) => one.id !== id));
  show = (one) => {
    setShown((old) => [...old.slice(-3), one]);
    if (one.kind !== 'bad') setTimeout(() => close(one.id), TOAST_MS);
  };
  return html`<div class="toasts">${shown.map((one) => html`<div key=${one.id} class=${classes('toast', one.kind)}>
    <${Icon} name=${{ good: 'ok', bad: 'bad', info: 'info' }[one.kind]} /><p>${one.text}</p>
    <button type="button" class="button quiet only-icon small" aria-label=${t('action.close')}
      onClick=${() => close(one.id)}><${Icon} name="close" size="16" /></button></div>`)}</div>`;
}
