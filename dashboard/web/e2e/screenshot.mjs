// `npm run screenshot -- URL FILE`: the inbox on a phone, for the README. URL is what `edgeward pair` shows. Waits for a
// question, because a picture of an empty inbox says nothing.

import process from 'node:process';

import { DEVICES, firstRun, launch, nameDevices, open, pair } from './browser.mjs';

const [url, file] = process.argv.slice(2);
const [phone] = DEVICES;
if (url === undefined || file === undefined || phone === undefined) {
  console.error('usage: npm run screenshot -- URL FILE');
  process.exit(2);
}
const browser = await launch();
const { page } = await open(browser, phone, undefined);
const base = new URL('/', url).href;
await pair(page, url, 'Phone');
await firstRun(page, base, async () => {});
await nameDevices(page, base);
await page.goto(`${base}#/decide`);
await page.locator('article[data-edge]').first().waitFor({ timeout: 60_000 });
await page.screenshot({ path: file });
await browser.close();
