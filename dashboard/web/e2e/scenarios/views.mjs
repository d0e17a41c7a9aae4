// Every view, on one device.

import { beyondKeyboard, firstRun, nameDevices, pair } from '../browser.mjs';
import { lookBack } from './past.mjs';

/** @typedef {import('../kit.mjs').Kit} Kit */
/** @typedef {import('../browser.mjs').Device} Device */
/** @typedef {import('playwright-core').Page} Page */

/** What a browser sees that is not paired yet, pairing, and the first run; the session is the kit's from then on. */
export async function moveIn(/** @type {Kit} */ kit, /** @type {Device} */ device, /** @type {Page} */ page) {
  await page.goto(kit.base);
  await page.locator('form').waitFor();
  kit.expect((await page.locator('article').count()) === 0, 'a browser that is not paired sees the pairing page only');
  await kit.look(page, `${device.name}-pair`);
  kit.session = await pair(page, kit.url, 'Test browser');
  await firstRun(page, kit.base, (step) => kit.look(page, `${device.name}-welcome-${step}`));
  kit.expect((await page.locator('.off').count()) === 1, 'without notifications the page says so');
  await nameDevices(page, kit.base);
}

/** Goes through the views. */
export async function everyView(/** @type {Kit} */ kit, /** @type {Device} */ device) {
  const { context, page, complaints } = await kit.open(device);
  const go = async (/** @type {string} */ view) => {
    await page.goto(`${kit.base}#/${view}`);
    await page.locator('main h2').first().waitFor();
  };

  await go('decide');
  await kit.look(page, `${device.name}-decide`);
  const card = page.locator('article[data-edge]').first();
  if ((await card.count()) > 0) {
    await card.locator('.more .link').first().click();
    await card.locator('dl').waitFor();
    const foreign = await card.locator('dl [lang]').count();
    kit.expect(foreign === 0, `${device.name}: why it was stopped is told in the reader's language`);
    await kit.look(page, `${device.name}-evidence`);
    await card.locator('[data-allow]').click();
    await page.locator('dialog[open]').waitFor();
    await kit.look(page, `${device.name}-allow`);
    await page.keyboard.press('Escape');
    await page.locator('dialog[open]').waitFor({ state: 'detached' });
    const focused = await page.evaluate(() => document.activeElement?.hasAttribute('data-allow') ?? false);
    kit.expect(focused, `${device.name}: closing the sheet gives the focus back`);
  }
  await go('decide');
  for (const missed of await beyondKeyboard(page, 'main button, main a, main summary')) {
    kit.wrong.push(`${device.name}: Tab does not reach “${missed}”`);
  }
  if (device.viewport.width < 600) {
    await go('map');
    await page.locator('[data-whole]').click();
    await page.locator('svg .node').first().waitFor();
    await kit.look(page, `${device.name}-map-whole`);
  }
  for (const view of ['map', 'devices', 'history', 'trouble', 'pro', 'people']) {
    await go(view);
    await kit.look(page, `${device.name}-${view}`);
  }
  await page.locator('form button.primary').first().click();
  await page.locator('svg.qr').waitFor();
  await kit.look(page, `${device.name}-code`);
  await go('trouble');
  await page.locator('a.card[href^="#/trouble/"]').first().click();
  await page.locator('.head').waitFor();
  await page.locator('main p[role=status]').first().waitFor();
  await kit.look(page, `${device.name}-trouble-device`);
  const firstDevice = page.locator('a.card[href^="#/devices/"]').first();
  await go('devices');
  if ((await firstDevice.count()) > 0) {
    await firstDevice.click();
    await page.locator('form').waitFor();
    await kit.look(page, `${device.name}-device`);
    await page.locator('a[href^="#/review/"]').first().click();
    await page.locator('[data-group]').first().waitFor();
    await kit.look(page, `${device.name}-review`);
  }
  await go('devices');
  await page.locator('[data-bans]').waitFor();
  await page.locator('a.card', { hasText: 'Home hub' }).click();
  await page.locator('[data-guess]').waitFor();
  await page.locator('[data-guess]').scrollIntoViewIfNeeded();
  await kit.look(page, `${device.name}-guess`);

  await go('decide');
  if (device.viewport.width > 1000 && (await card.count()) > 0) {
    await page.keyboard.press('Escape');
    await page.keyboard.press('j');
    const focused = await page.evaluate(() => document.activeElement?.closest('[data-edge]') !== null);
    kit.expect(focused, `${device.name}: J goes to the first question`);
    await page.keyboard.press('Enter');
    await card.locator('[aria-expanded=true]').waitFor();
    kit.expect(await card.isVisible(), `${device.name}: Enter opens a question and does not answer it`);
    await page.keyboard.press('Enter');
    await page.keyboard.press('a');
    await page.locator('dialog[open]').waitFor();
    await page.keyboard.press('Escape');
    await page.keyboard.press('/');
    await page.keyboard.type('lock');
    kit.expect((await page.locator('#search').inputValue()) === 'lock', `${device.name}: / goes to the search`);
    await kit.look(page, `${device.name}-search`);
    await page.locator('#search').fill('');
    await lookBack(kit, device, page);
  }

  // The smallest phone that is still in use.
  await page.setViewportSize({ width: 320, height: 640 });
  await go('decide');
  await kit.look(page, `${device.name}-narrow`);

  for (const complaint of complaints) kit.wrong.push(`${device.name}: the browser says: ${complaint}`);
  await context.close();
}
