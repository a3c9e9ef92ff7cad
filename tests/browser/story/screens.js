// The console's screens, by who has a use for them.

import { calm } from './browser.js';

const STEPS = ['package', 'target', 'timing', 'options', 'review'];

/** The addresses of all screens, for what `furnish` has made. */
export const screens = (made) => ({
  readable: [
    '/', '/products', `/products/${made.product}`, `/products/${made.product}/versions`, `/products/${made.product}/modules`,
    `/products/${made.product}/security`, `/products/${made.product}/settings`, `/products/${made.product}/devices/lamp-0006`,
    `/products/${made.product}/devices/lamp-0004`, '/packages', '/packages?version=9.9', `/packages/${made.package}`,
    `/packages/${made.other}`, '/deltas', '/batches', '/batches?show=running', `/batches/${made.running}`,
    `/batches/${made.batch}?status=failed`, `/batches/${made.planned}`, `/batches/${made.running}/why?device=lamp-0006`,
    `/batches/${made.running}/why?device=lamp-0040`, '/events', '/settings', '/no/such/screen', '/packages/0123456789abcdef0123456789abcdef',
  ],
  forOperators: ['/packages/new', ...STEPS.map((step) => `/batches/new?package=${made.package}&step=${step}`), '/webhooks', `/webhooks/${made.webhook}`],
  forAdmins: ['/tokens', '/audit'],
});

/** Goes to a screen and waits until what it shows is there. */
export const visitOf = (page, service) => async (address) => {
  await page.goto(`${service.base}/console/#${address}`);
  await page.getByRole('heading', { level: 1 }).waitFor();
  await calm(page);
};
