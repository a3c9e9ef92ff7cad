// Forms: fields with labels and hints, and the service's faults at the fields they belong to.

import { announce, classes, html, useId, useRef, useState } from './dom.js';
import { t, tOr } from './i18n.js';
import { Fault } from './ui.js';

/**
 * The state of a form.
 * @param {object} initial - its values
 * `bind(name, pointer)` gives a field its value and its fault: that whose pointer is this one or lies below it.
 */
export function useForm(initial) {
  const [values, setValues] = useState(initial);
  const [problem, setProblem] = useState();
  const [busy, setBusy] = useState(false);
  const element = useRef();
  const bound = new Set();
  const set = (name, value) => setValues((old) => ({ ...old, [name]: value }));
  const faultsAt = (pointer) => (problem?.errors ?? []).filter(
    (error) => error.pointer === pointer || error.pointer.startsWith(`${pointer}/`),
  );
  const errorAt = (...pointers) => {
    const faults = pointers.flatMap(faultsAt);
    for (const fault of faults) bound.add(fault);
    return faults.length ? faults.slice(0, 5).map(inWords).join(' ') : undefined;
  };
  const bind = (name, ...pointers) => ({
    name, value: values[name], error: errorAt(...(pointers.length ? pointers : [`/${name}`])),
    onValue: (value) => set(name, value),
  });
  const submit = (run) => async (event) => {
    event?.preventDefault();
    element.current = event?.currentTarget ?? element.current;
    setBusy(true);
    setProblem(undefined);
    try {
      await run(values);
    } catch (error) {
      setProblem(error);
      announce(t('form.refused'));
      // When the faults are drawn, the first of them is where to go on.
      requestAnimationFrame(() => requestAnimationFrame(() => {
        element.current?.querySelector?.('[aria-invalid="true"], .fault')?.focus?.();
      }));
      if (!error.code) throw error;
    } finally {
      setBusy(false);
    }
  };
  /** What the fields did not show. It stands behind the last of them, and is drawn when they have been. */
  const rest = () => problem && html`<${Rest} problem=${problem} bound=${bound} />`;
  return { values, set, setValues, problem, setProblem, busy, bind, errorAt, submit, rest };
}

function Rest({ problem, bound }) {
  const all = problem.errors ?? [];
  if (all.length && all.every((error) => bound.has(error))) return null;
  return html`<${Fault} problem=${problem} except=${[...bound]} />`;
}

/** What a fault of a field says; the code's own words where the console has them in the operator's language. */
const inWords = (fault) => tOr(`fault.${fault.code}`, capital(fault.detail), { detail: fault.detail });
export const capital = (text) => (text ? text[0].toUpperCase() + text.slice(1) : '');

/** A field: its label, what helps to fill it in, and what is wrong with it. */
export function Field({ label, hint, error, optional, children, id }) {
  return html`<div class=${classes('field', error && 'wrong')}>
    <label for=${id}>${label}${optional && html` <span class="optional">${t('form.optional')}</span>`}</label>
    ${children}
    ${hint && html`<p class="hint" id="${id}-hint">${hint}</p>`}
    ${error && html`<p class="error" id="${id}-error">${error}</p>`}
  </div>`;
}

const describes = (id, hint, error) => [hint && `${id}-hint`, error && `${id}-error`].filter(Boolean).join(' ') || undefined;

/** A line of text, or with `type` another kind of input; with `options` one proposes values. */
export function Text({ label, hint, error, optional, value, onValue, options, unit, ...rest }) {
  const id = useId('f');
  const input = html`<input ...${rest} id=${id} value=${value ?? ''} onInput=${(event) => onValue(event.target.value)}
    type=${rest.type ?? 'text'} aria-describedby=${describes(id, hint, error)} aria-invalid=${error ? 'true' : undefined}
    list=${options ? `${id}-list` : undefined} autocomplete=${rest.autocomplete ?? 'off'} required=${!optional && rest.required}
    spellcheck="false" />`;
  return html`<${Field} ...${{ label, hint, error, optional, id }}>
    ${unit ? html`<div class="with-unit">${input}<span>${unit}</span></div>` : input}
    ${options && html`<datalist id="${id}-list">${options.map((one) => html`<option key=${one} value=${one} />`)}</datalist>`}
  <//>`;
}

/** Several lines. */
export function Area({ label, hint, error, optional, value, onValue, ...rest }) {
  const id = useId('f');
  return html`<${Field} ...${{ label, hint, error, optional, id }}>
    <textarea rows="3" ...${rest} id=${id} value=${value ?? ''} onInput=${(event) => onValue(event.target.value)}
      aria-describedby=${describes(id, hint, error)} aria-invalid=${error ? 'true' : undefined} spellcheck="false" />
  <//>`;
}

/** One of several. @param {{of: [string, string][]}} props */
export function Select({ label, hint, error, optional, value, onValue, of, ...rest }) {
  const id = useId('f');
  return html`<${Field} ...${{ label, hint, error, optional, id }}>
    <select ...${rest} id=${id} value=${value ?? ''} onChange=${(event) => onValue(event.target.value)}
      aria-describedby=${describes(id, hint, error)} aria-invalid=${error ? 'true' : undefined}>
      ${of.map(([key, text]) => html`<option key=${key} value=${key} selected=${key === (value ?? '')}>${text}</option>`)}
    </select>
  <//>`;
}

/** Yes or no. */
export function Check({ label, hint, error, value, onValue, disabled, name }) {
  const id = useId('f');
  return html`<div class=${classes('check', error && 'wrong')}>
    <input type="checkbox" id=${id} name=${name} checked=${Boolean(value)} disabled=${disabled}
      onChange=${(event) => onValue(event.target.checked)} aria-describedby=${describes(id, hint, error)} />
    <div><label for=${id}>${label}</label>
      ${hint && html`<p class="hint" id="${id}-hint">${hint}</p>`}
      ${error && html`<p class="error" id="${id}-error">${error}</p>`}</div>
  </div>`;
}

/** One of a few, each explained. @param {{of: {key: string, title: string, text?: string, disabled?: boolean}[]}} props */
export function Choice({ label, hint, error, value, onValue, of, name }) {
  const id = useId('f');
  return html`<fieldset class=${classes('choice', error && 'wrong')} aria-describedby=${describes(id, hint, error)}>
    <legend>${label}</legend>
    ${hint && html`<p class="hint" id="${id}-hint">${hint}</p>`}
    <div class="choices">${of.map((one) => html`<label key=${one.key} class=${classes('card-choice', one.disabled && 'off')}>
      <input type="radio" name=${name ?? id} value=${one.key} checked=${one.key === value} disabled=${one.disabled}
        onChange=${() => onValue(one.key)} />
      <span><b>${one.title}</b>${one.text && html`<small>${one.text}</small>`}</span></label>`)}</div>
    ${error && html`<p class="error" id="${id}-error">${error}</p>`}
  </fieldset>`;
}

/** Reads lines, or words between commas, as a list without repetition. */
export const words = (text) => [...new Set((text ?? '').split(/[\s,;，；、]+/).filter(Boolean))];
