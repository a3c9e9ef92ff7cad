// The page of the REST API, made of its OpenAPI document.

import { html, render, useEffect, useState } from './dom.js';
import { applyTheme } from './theme.js';
import { curl, inNouns, matches, rows, typeOf } from './openapi.js';

/** Text with `code` in it, and lists of lines that begin with a dash. */
function Words({ text }) {
  const inline = (line) => line.split('`').map((part, at) => (at % 2 ? html`<code>${part}</code>` : part));
  return text.split('\n\n').map((block) => {
    const lines = block.split('\n');
    return lines.every((line) => line.startsWith('- '))
      ? html`<ul class="codes">${lines.map((line) => html`<li>${inline(line.slice(2))}</li>`)}</ul>`
      : html`<p>${inline(block)}</p>`;
  });
}

/** The fields of a schema; objects inside are opened by whoever wants to know. */
function Fields({ document, schema }) {
  return html`<ul class="fields">
    ${rows(document, schema).map((row) => html`<li>
      <code>${row.name}</code>
      <span class="chip">${row.type}</span>
      ${row.required && html`<span class="chip">required</span>`}
      ${row.bounds.map((bound) => html`<span class="chip">${bound}</span>`)}
      ${row.says && html`<${Words} text=${row.says} />`}
      ${row.inside && html`<details><summary>Fields of ${row.name}</summary>
        <${Fields} document=${document} schema=${row.inside} /></details>`}
    </li>`)}
  </ul>`;
}

function Content({ document, content }) {
  return Object.entries(content ?? {}).map(([type, { schema }]) => {
    const kind = typeOf(document, schema);
    return html`<p><code>${type}</code>${kind && html`<span class="fine"> ${kind}</span>`}</p>
      <${Fields} document=${document} schema=${schema} />`;
  });
}

function Parameters({ document, parameters }) {
  const schema = (parameter) => ({ ...parameter.schema, description: parameter.description ?? parameter.schema.description });
  return ['path', 'query', 'header'].map((place) => {
    const some = parameters.filter((parameter) => parameter.in === place);
    if (!some.length) return null;
    const properties = Object.fromEntries(some.map((parameter) => [parameter.name, schema(parameter)]));
    const required = some.filter((parameter) => parameter.required).map((parameter) => parameter.name);
    return html`<section><h3>In the ${place}</h3>
      <${Fields} document=${document} schema=${{ type: 'object', properties, required }} /></section>`;
  });
}

function Answer({ document, status, answer }) {
  const [first, ...rest] = answer.description.split('\n\n');
  const isProblem = Boolean(answer.content?.['application/problem+json']);
  const headers = Object.entries(answer.headers ?? {});
  return html`<details class="answer">
    <summary><span class="badge ${status < 400 ? 'good' : 'bad'}">${status}</span> ${first}</summary>
    ${rest.length > 0 && html`<${Words} text=${rest.join('\n\n')} />`}
    ${headers.length > 0 && html`<ul class="codes">
      ${headers.map(([name, { description }]) => html`<li><code>${name}</code>: ${description}</li>`)}</ul>`}
    ${isProblem ? html`<p><code>application/problem+json</code></p>` : html`<${Content} document=${document} content=${answer.content} />`}
  </details>`;
}

function Operation({ document, operation }) {
  const { id, method, path, told } = operation;
  const [isOpen, setOpen] = useState(location.hash === `#${id}`);
  useEffect(() => {
    const look = () => location.hash === `#${id}` && setOpen(true);
    addEventListener('hashchange', look);
    return () => removeEventListener('hashchange', look);
  }, []);
  return html`<details class="operation" id=${id} open=${isOpen} onToggle=${(event) => setOpen(event.currentTarget.open)}>
    <summary><span class="method ${method}">${method.toUpperCase()}</span> <code>${path}</code> <span class="fine">${told.summary}</span></summary>
    ${isOpen && html`<div>
      <section>
        <h3>${told.summary}</h3>
        ${told.description && html`<${Words} text=${told.description} />`}
        <p class="fine">${told['x-least-role']
          ? html`Needs the role <code>${told['x-least-role']}</code>${told['x-unbound'] && ', by a token that is bound to no product'}.`
          : 'Needs no token: the URL is signed.'}</p>
      </section>
      <${Parameters} document=${document} parameters=${told.parameters ?? []} />
      ${told.requestBody && html`<section><h3>Body${told.requestBody.required ? '' : ', which may be left out'}</h3>
        <${Content} document=${document} content=${told.requestBody.content} /></section>`}
      <section><h3>For example</h3>
        ${curl(operation).map(({ summary, text }) => html`<figure>
          ${summary && html`<figcaption class="fine">${summary}</figcaption>`}
          <pre tabindex="0"><code>${text}</code></pre></figure>`)}</section>
      <section><h3>Answers</h3>
        ${operation.answers.map(([status, answer]) => html`<${Answer} document=${document} status=${status} answer=${answer} />`)}</section>
    </div>`}
  </details>`;
}

function Page({ document }) {
  const [wanted, setWanted] = useState('');
  const nouns = inNouns(document)
    .map((noun) => ({ ...noun, operations: noun.operations.filter((operation) => matches(operation, wanted)) }))
    .filter((noun) => noun.operations.length);
  useEffect(() => window.document.getElementById(location.hash.slice(1))?.scrollIntoView(), []);
  return html`<div class="reference">
    <nav aria-label="Operations">
      <a class="logo" href="./">Overair</a>
      <label>Find an operation
        <input type="search" value=${wanted} onInput=${(event) => setWanted(event.currentTarget.value)} /></label>
      <ul>${nouns.map(({ name, operations }) => html`<li><b>${name}</b><ul>
        ${operations.map(({ id, told }) => html`<li><a href="#${id}">${told.summary}</a></li>`)}</ul></li>`)}</ul>
    </nav>
    <main>
      <header class="section">
        <h1>REST API</h1>
        <${Words} text=${document.info.description} />
        <p><a href="openapi.json">The OpenAPI document</a> (${document.openapi}), version ${document.info.version}</p>
      </header>
      ${nouns.map(({ name, says, operations }) => html`<section class="noun" key=${name}>
        <h2>${name}</h2><p class="lead">${says}</p>
        ${operations.map((operation) => html`<${Operation} key=${operation.id} document=${document} operation=${operation} />`)}
      </section>`)}
      ${!nouns.length && html`<p class="empty">No operation has this in its path, name or summary.</p>`}
    </main>
  </div>`;
}

function Fault({ why }) {
  return html`<div class="page"><p class="fault">The document of the REST API could not be loaded: ${why}</p></div>`;
}

async function start() {
  applyTheme();
  const place = window.document.getElementById('reference');
  try {
    const answer = await fetch('openapi.json');
    if (!answer.ok) throw new Error(`the service answered ${answer.status}`);
    render(html`<${Page} document=${await answer.json()} />`, place);
  } catch (error) {
    render(html`<${Fault} why=${error.message} />`, place);
  }
}

start();
