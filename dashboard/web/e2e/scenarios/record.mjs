// What was decided, and programs that are let in.

/** @typedef {import('../kit.mjs').Kit} Kit */
/** @typedef {import('../browser.mjs').Device} Device */

/** The record is unbroken, and shows only what is looked for. */
export async function record(/** @type {Kit} */ kit, /** @type {Device} */ device) {
  const { context, page } = await kit.open(device);
  await page.goto(`${kit.base}#/history`);
  await page.locator('.chain.allowed').waitFor();
  const entries = page.locator('main li.card');
  await entries.first().waitFor();
  const all = await entries.count();
  const [whose, , what] = await page.locator('.filter select').all();
  await what?.selectOption('deny');
  await page.waitForFunction((before) => document.querySelectorAll('main li.card').length < before, all);
  const blocked = await entries.locator('.glyph.blocked').count();
  kit.expect(blocked > 0 && blocked === (await entries.count()), 'the filter leaves what was blocked');
  await kit.look(page, `${device.name}-history-filtered`);
  await what?.selectOption('');
  await page.goto(`${kit.base}#/decide`);
  const card = page.locator('article.risk-high').first();
  await card.locator('[aria-expanded]').click();
  await card.locator('[data-similar]').click();
  await page.waitForFunction((before) => document.querySelectorAll('main li.card').length < before, all);
  kit.expect((await whose?.inputValue()) !== '', 'what was decided of one device is a tap away from its question');
  await context.close();
}

/** A program's token is shown once, lets it in as what it is, and ends with its entry in the list. */
export async function token(/** @type {Kit} */ kit, /** @type {Device} */ device) {
  const { context, page } = await kit.open(device);
  await page.goto(`${kit.base}#/people`);
  const form = page.locator('#tokens');
  await form.locator('input').fill('Meter');
  await form.locator('button').click();
  const secret = await form.locator('.secret code').innerText();
  await kit.look(page, `${device.name}-token`);
  const ask = async (/** @type {string} */ path, /** @type {RequestInit} */ how = {}) =>
    (await fetch(`${kit.base}api/v1/${path}`, { ...how, headers: { authorization: `Bearer ${secret}` } })).status;
  kit.expect((await ask('status')) === 200, 'a token lets a program in');
  kit.expect((await ask('clients')) === 403, 'a viewer does not see who is let in');
  await page.reload();
  await form.locator('input').waitFor();
  kit.expect((await page.locator('.secret').count()) === 0, 'a token is shown once');
  await page.locator('ul li', { hasText: 'Meter' }).locator('button.icon').click();
  await page.locator('.sure .refuse').click();
  await page.locator('.sure').waitFor({ state: 'detached' });
  kit.expect((await ask('status')) === 401, 'and not any more when it was removed');
  await context.close();
}
