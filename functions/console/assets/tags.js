// Tags: pairs that devices are told.

import { html } from './dom.js';
import { Dialog } from './dialog.js';
import { Text, useForm } from './form.js';
import { t } from './i18n.js';
import { Button } from './ui.js';

/** Tags of one batch (R86). */
const TAGS_MAX = 10;

/** The fields of tags; `errorAt` tells what is wrong with one. */
export function TagFields({ tags, onValue, errorAt }) {
  const change = (index, part) => onValue(tags.map((tag, at) => (at === index ? { ...tag, ...part } : tag)));
  return html`<fieldset class="tags"><legend>${t('batch.tags')}</legend><p class="hint">${t('batch.tags.hint')}</p>
    ${tags.map((tag, index) => html`<div class="row tag" key=${index}>
      <${Text} label=${t('batch.tag.key')} value=${tag.key} error=${errorAt(`/tags/${index}/key`, ...(index === 0 ? ['/tags'] : []))}
        onValue=${(key) => change(index, { key })} />
      <${Text} label=${t('batch.tag.value')} value=${tag.value} error=${errorAt(`/tags/${index}/value`)} onValue=${(value) => change(index, { value })} />
      <${Button} kind="quiet" icon="trash" label=${t('batch.tag.remove', { key: tag.key || index + 1 })}
        onClick=${() => onValue(tags.filter((_, at) => at !== index))} /></div>`)}
    ${tags.length < TAGS_MAX && html`<${Button} small icon="plus" onClick=${() => onValue([...tags, { key: '', value: '' }])}>${t('batch.tag.add')}<//>`}
  </fieldset>`;
}

/** Changes the tags of a batch that exists. */
export function TagsEditor({ tags, save, onClose }) {
  const form = useForm({ tags });
  return html`<${Dialog} title=${t('batch.tags.edit')} onClose=${onClose}>
    <form onSubmit=${form.submit(({ tags: next }) => save(next))} novalidate>
      <${TagFields} tags=${form.values.tags} onValue=${(next) => form.set('tags', next)} errorAt=${form.errorAt} />
      ${form.rest()}
      <footer class="actions end"><${Button} onClick=${onClose}>${t('action.cancel')}<//>
        <${Button} kind="primary" type="submit" busy=${form.busy}>${t('action.save')}<//></footer>
    </form><//>`;
}
