// `npm run screenshot -- URL FOLDER`: the four pictures of the README. URL is what `edgeward pair` shows. Waits for a
// question, because a picture of an empty inbox says nothing.

import { join } from 'node:path';
import process from 'node:process';

import { DEVICES, firstRun, launch, nameDevices, open, pair } from './browser.mjs';

const [url, folder] = process.argv.slice(2);
if (url === undefined || folder === undefined) {
  console.error('usage: npm run screenshot -- URL FOLDER');
  process.exit(2);
}
const browser = await launch();
const base = new URL('/', url).href;

/** @type {import('./browser.mjs').Session | undefined} */
let session;

/**
 * Opens the inbox on one of the devices, in English, and takes a picture of what is made of it.
 *
 * @param {string} device
 * @param {string} file
 * @param {(page: import('playwright-core').Page) => Promise<void>} [make]
 */
async function picture(device, file, make) {
  const found = DEVICES.find(({ name }) => name === device);
  if (found === undefined) throw new Error(`there is no ${device}`);
  const { context, page } = await open(browser, { ...found, locale: 'en-GB' }, session);
  if (session === undefined) {
    session = await pair(page, url ?? '', 'Anna');
    await firstRun(page, base, async () => {});
    await nameDevices(page, base);
  }
  await page.goto(`${base}#/decide`);
  await page.locator('article[data-edge]').first().waitFor({ timeout: 60_000 });
  await make?.(page);
  await page.screenshot({ path: join(folder ?? '', file) });
  await context.close();
}

await picture('phone-light', 'page.png');
await picture('phone-dark', 'allow.png', async (page) => {
  await page.locator('article.risk-high [data-allow]').first().click();
  await page.locator('dialog[open]').waitFor();
});
await picture('laptop-light', 'map.png', async (page) => {
  await page.keyboard.press('j');
  await page.locator('dl').first().waitFor();
});
await picture('phone-light', 'device.png', async (page) => {
  await page.goto(`${base}#/devices`);
  const lock = page.locator('a.card', { hasText: 'Front door lock' });
  const href = (await lock.getAttribute('href')) ?? '';
  await page.goto(`${base}${href.replace('devices', 'map')}`);
  await page.locator('main h2').first().waitFor();
});
await browser.close();
