// A new batch, in steps. Each step is an address, so the browser's Back goes a step back; what is filled in stays until the
// batch is made.

import { html, useEffect, useRef, useState } from './dom.js';
import { make, newKey } from './api.js';
import { EMPTY, STEPS, stepOf, toBody } from './batch-body.js';
import { OptionsStep, PackageStep, TargetStep, TimingStep } from './batch-steps.js';
import { Review } from './batch-review.js';
import { toast } from './dialog.js';
import { t } from './i18n.js';
import { useForm } from './form.js';
import { packages, products } from './names.js';
import { go, parse, setQuery, to } from './router.js';
import { Button, Empty, Page, ButtonLink } from './ui.js';

const KEY = 'overair.batch-draft';

function restore(packageId) {
  try {
    const kept = JSON.parse(sessionStorage.getItem(KEY));
    if (kept && (!packageId || kept.package_id === packageId)) return { ...EMPTY, ...kept };
  } catch {
    // What cannot be read is begun anew.
  }
  return { ...EMPTY, package_id: packageId ?? '' };
}

const VIEWS = { package: PackageStep, target: TargetStep, timing: TimingStep, options: OptionsStep };

export default function NewBatch({ query }) {
  const known = packages.use();
  const makers = products.use();
  const form = useForm(restore(query.package));
  const key = useRef(newKey());
  const step = STEPS.includes(query.step) ? query.step : 'package';
  const at = STEPS.indexOf(step);
  const [reached, setReached] = useState(at);
  const heading = useRef();
  const pack = known.by.get(form.values.package_id);
  const first = useRef(true);
  useEffect(() => {
    sessionStorage.setItem(KEY, JSON.stringify(form.values));
    // What was refused was another request.
    key.current = newKey();
  }, [form.values]);
  useEffect(() => {
    setReached((old) => Math.max(old, at));
    if (!first.current) {
      heading.current?.focus({ preventScroll: true });
      scrollTo(0, 0);
    }
    first.current = false;
  }, [step]);

  const create = form.submit(async () => {
    try {
      const batch = await make('/v1/batches', toBody(form.values, pack), key.current);
      sessionStorage.removeItem(KEY);
      toast(t('batch.made'), 'good');
      go(to`/batches/${batch.batch_id}`, { replace: true });
    } catch (problem) {
      key.current = newKey();
      const wrong = problem.errors?.length ? stepOf(problem.errors[0].pointer) : undefined;
      if (wrong) setQuery({ step: wrong });
      throw problem;
    }
  });
  const next = (event) => {
    event.preventDefault();
    setQuery({ step: STEPS[at + 1], package: undefined });
  };
  const fits = (known.items ?? []).some((one) => ['verified', 'not-needed'].includes(one.verification.status));
  const crumbs = [[t('nav.batches'), to`/batches`]];
  if (known.items && !fits && !form.values.package_id) {
    return html`<${Page} title=${t('batch.new')} crumbs=${crumbs}><${Empty} icon="beaker" title=${t('batch.no-package')}
      action=${html`<${ButtonLink} kind="primary" href=${to`/packages`}>${t('nav.packages')}<//>`}>${t('batch.no-package.text')}<//><//>`;
  }
  const View = VIEWS[step];
  const wrongSteps = new Set((form.problem?.errors ?? []).map((error) => stepOf(error.pointer)));
  return html`<${Page} title=${t('batch.new')} crumbs=${crumbs}>
    <nav class="steps" aria-label=${t('wizard.steps')}><ol>${STEPS.map((name, index) => {
    const text = html`<span class="step-number" aria-hidden="true">${index + 1}</span> ${t(`wizard.${name}`)}
        ${wrongSteps.has(name) && html`<span class="step-wrong"> ${t('wizard.wrong')}</span>`}`;
    return html`<li key=${name} class=${index <= reached ? 'reached' : ''}>${index <= reached && name !== step
      ? html`<a href=${address(name)}>${text}</a>`
      : html`<span aria-current=${name === step ? 'step' : undefined}>${text}</span>`}</li>`;
  })}</ol></nav>
    <form class="panel form" onSubmit=${step === 'review' ? create : next} novalidate>
      <h2 ref=${heading} tabindex="-1">${t(`wizard.${step}`)}</h2>
      ${View ? html`<${View} form=${form} pack=${pack} known=${known} makers=${makers} />`
    : html`<${Review} draft=${form.values} pack=${pack} makers=${makers} />`}
      ${form.rest()}
      <footer class="actions end">
        ${at > 0 && html`<${Button} icon="left" onClick=${() => setQuery({ step: STEPS[at - 1] })}>${t('action.back')}<//>`}
        ${step === 'review' ? html`<${Button} kind="primary" type="submit" icon="sent" busy=${form.busy} disabled=${!pack}>${t('batch.start')}<//>`
    : html`<${Button} kind="primary" type="submit" disabled=${!pack}>${t('action.next')}<//>`}
      </footer>
    </form>
  <//>`;
}

/** The address of a step, with what else the present one says. */
function address(step) {
  const { path, query } = parse(location.hash);
  return `#${path}?${new URLSearchParams({ ...query, step })}`;
}
