// `npm run e2e -- URL [FOLDER]`: the page in a real browser against a real box. URL is what `edgeward pair` shows; FOLDER
// takes a screenshot of each state. Ends with 1 if anything is wrong.

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';

import { axe, DEVICES, launch, measure, nameDevices, open, pair } from './browser.mjs';

const [url, folder = 'e2e/shots'] = process.argv.slice(2);
if (url === undefined) {
  console.error('usage: npm run e2e -- URL [FOLDER]');
  process.exit(2);
}
mkdirSync(folder, { recursive: true });

/** @type {string[]} */
const wrong = [];
let looked = 0;
const browser = await launch();
const base = new URL('/', url).href;

/**
 * @param {import('playwright-core').Page} page
 * @param {string} state
 */
async function look(page, state) {
  looked += 1;
  await page.screenshot({ path: join(folder, `${state}.png`) });
  for (const finding of [...(await axe(page)), ...(await measure(page))]) wrong.push(`${state}: ${finding}`);
}

/**
 * @param {boolean} condition
 * @param {string} expectation
 */
function expect(condition, expectation) {
  if (!condition) wrong.push(`not so: ${expectation}`);
}

/** @type {import('./browser.mjs').Session | undefined} */
let session;
for (const device of DEVICES) {
  const { context, page, complaints } = await open(browser, device, session);
  if (session === undefined) {
    await page.goto(base);
    await page.locator('form').waitFor();
    expect((await page.locator('article').count()) === 0, 'a browser that is not paired sees the pairing page only');
    await look(page, `${device.name}-pair`);
    session = await pair(page, url, 'Test browser');
    await nameDevices(page, base);
  }
  const go = async (/** @type {string} */ view) => {
    await page.goto(`${base}#/${view}`);
    await page.locator('main h2').first().waitFor();
  };

  await go('decide');
  await look(page, `${device.name}-decide`);
  const card = page.locator('article[data-edge]').first();
  if ((await card.count()) > 0) {
    await card.locator('.more .link').first().click();
    await card.locator('dl').waitFor();
    await look(page, `${device.name}-evidence`);
    await card.locator('[data-allow]').click();
    await page.locator('dialog[open]').waitFor();
    await look(page, `${device.name}-allow`);
    await page.keyboard.press('Escape');
    await page.locator('dialog[open]').waitFor({ state: 'detached' });
    const focused = await page.evaluate(() => document.activeElement?.hasAttribute('data-allow') ?? false);
    expect(focused, `${device.name}: closing the sheet gives the focus back`);
  }
  for (const view of ['map', 'devices', 'history']) {
    await go(view);
    await look(page, `${device.name}-${view}`);
  }
  const firstDevice = page.locator('a.card[href^="#/devices/"]').first();
  await go('devices');
  if ((await firstDevice.count()) > 0) {
    await firstDevice.click();
    await page.locator('form').waitFor();
    await look(page, `${device.name}-device`);
  }

  await go('decide');
  if (device.viewport.width > 1000 && (await card.count()) > 0) {
    await page.keyboard.press('j');
    const focused = await page.evaluate(() => document.activeElement?.closest('[data-edge]') !== null);
    expect(focused, `${device.name}: J goes to the first question`);
    await page.keyboard.press('a');
    await page.locator('dialog[open]').waitFor();
    await page.keyboard.press('Escape');
    await page.keyboard.press('/');
    await page.keyboard.type('lock');
    expect((await page.locator('#search').inputValue()) === 'lock', `${device.name}: / goes to the search`);
    await look(page, `${device.name}-search`);
    await page.locator('#search').fill('');
  }

  // The smallest phone that is still in use.
  await page.setViewportSize({ width: 320, height: 640 });
  await go('decide');
  await look(page, `${device.name}-narrow`);

  for (const complaint of complaints) wrong.push(`${device.name}: the browser says: ${complaint}`);
  await context.close();
}

// Two phones at once, the keyboard alone, undo, and losing the connection: on a question, if there is one.
const [phone] = DEVICES;
if (phone !== undefined) {
  const one = await open(browser, phone, session);
  const two = await open(browser, phone, session);
  for (const { page } of [one, two]) {
    await page.goto(`${base}#/decide`);
    await page.locator('main h2').first().waitFor();
  }
  const card = one.page.locator('article[data-edge]').first();
  if ((await card.count()) > 0) {
    const id = await card.getAttribute('data-edge');
    const mine = one.page.locator(`article[data-edge="${id}"]`);
    const theirs = two.page.locator(`article[data-edge="${id}"]`);
    await mine.locator('.refuse').focus();
    await one.page.keyboard.press('Enter');
    await mine.waitFor({ state: 'detached' });
    await theirs.waitFor({ state: 'detached' });
    expect((await two.page.locator('.settled').count()) > 0, 'the other phone says who was faster');
    await look(one.page, 'phone-blocked');
    await look(two.page, 'phone-settled-elsewhere');
    await one.page.locator('[data-undo]').click();
    await mine.waitFor();
    await theirs.waitFor();
    await one.context.setOffline(true);
    await mine.locator('.refuse').click();
    await mine.locator('.notice').waitFor();
    await look(one.page, 'phone-not-saved');
    expect(await mine.isVisible(), 'a decision that did not arrive leaves the question where it is');
    await one.context.setOffline(false);
  }
  await one.context.close();
  await two.context.close();
}
await browser.close();

for (const finding of wrong) console.error(finding);
console.log(`${looked} states looked at, ${wrong.length} findings, pictures in ${folder}`);
process.exitCode = wrong.length === 0 ? 0 : 1;
