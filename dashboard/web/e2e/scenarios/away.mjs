// Out of reach of the box, and a box that does not protect.

/** @typedef {import('../kit.mjs').Kit} Kit */
/** @typedef {import('../kit.mjs').Demonstration} Demonstration */
/** @typedef {import('../browser.mjs').Device} Device */

/** Opened again without the box: what waited can be read, and nothing can be decided. */
export async function outOfReach(/** @type {Kit} */ kit, /** @type {Device} */ device) {
  const { context, page } = await kit.open(device);
  await page.goto(`${kit.base}#/decide`);
  await page.locator('article[data-edge]').first().waitFor();
  await page.evaluate(() => navigator.serviceWorker.ready);
  await page.waitForFunction(() => localStorage.getItem('edgeward.snapshot') !== null, undefined, { timeout: 20_000 });
  await context.setOffline(true);
  await page.reload();
  const card = page.locator('article[data-edge]').first();
  await card.waitFor();
  kit.expect((await page.locator('.bar').count()) > 0, 'out of reach of the box, the page says so');
  kit.expect(await card.locator('.refuse').isDisabled(), 'out of reach of the box, nothing can be decided');
  await kit.look(page, 'phone-away');
  await context.setOffline(false);
  await page.locator('article[data-edge] .refuse:enabled').first().waitFor();
  await context.close();
}

/**
 * The daemon dies: pages that are open say so on every view, and nothing can be decided.
 *
 * @param {Kit} kit
 * @param {Device} device
 * @param {Demonstration} demonstration
 */
export async function unprotected(kit, device, demonstration) {
  const { context, page } = await kit.open(device);
  await page.goto(`${kit.base}#/decide`);
  const refuse = page.locator('article[data-edge] .refuse').first();
  await refuse.waitFor();
  demonstration.please('kill the daemon');
  const bar = page.locator('.bar.fault');
  await bar.waitFor();
  kit.expect(await refuse.isDisabled(), 'without the daemon nothing can be decided');
  await kit.look(page, `${device.name}-unprotected`);
  for (const view of ['map', 'devices', 'history', 'people']) {
    await page.goto(`${kit.base}#/${view}`);
    kit.expect(await bar.isVisible(), `without the daemon, ${view} says so`);
  }
  await context.close();
}
