// Looking back.

/** @typedef {import('../kit.mjs').Kit} Kit */
/** @typedef {import('../browser.mjs').Device} Device */
/** @typedef {import('playwright-core').Page} Page */

/** Looking back with the keyboard: what was in use today is shown, and yesterday there was nothing. */
export async function lookBack(/** @type {Kit} */ kit, /** @type {Device} */ device, /** @type {Page} */ page) {
  const [day, hour, told] = [page.locator('[data-day]'), page.locator('[data-hour]'), page.locator('[data-past]')];
  const arcs = page.locator('svg .arc');
  const now = await arcs.count();
  await day.focus();
  await page.keyboard.press('ArrowLeft');
  await told.filter({ hasText: /[1-9]\d* .* [kM]B/ }).waitFor();
  kit.expect((await page.locator('svg .arc.used').count()) > 0, `${device.name}: the map shows what was in use today`);
  const sizes = page.locator('td.number', { hasText: /[kM]B/ });
  kit.expect((await sizes.count()) > 0, `${device.name}: the table says how much each connection carried`);
  await kit.look(page, `${device.name}-past-day`);
  await hour.focus();
  await page.keyboard.press('End');
  await told.filter({ hasText: /\d\d:\d\d/ }).waitFor();
  await kit.look(page, `${device.name}-past-hour`);
  await day.focus();
  await page.keyboard.press('ArrowLeft');
  await page.locator('svg .arc').first().waitFor({ state: 'detached' });
  kit.expect((await arcs.count()) === 0, `${device.name}: what did not exist yesterday is not in its map`);
  await page.keyboard.press('End');
  await arcs.first().waitFor();
  kit.expect((await arcs.count()) === now, `${device.name}: at its right end the slider shows what is now`);
}
