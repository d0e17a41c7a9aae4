// What a device is, what it does, and who is banned.

/** @typedef {import('../kit.mjs').Kit} Kit */
/** @typedef {import('../browser.mjs').Device} Device */

/** The owner says that a guess is right. */
export async function guessed(/** @type {Kit} */ kit, /** @type {Device} */ device) {
  const { context, page } = await kit.open(device);
  await page.goto(`${kit.base}#/devices`);
  await page.locator('a.card', { hasText: 'Home hub' }).click();
  const guess = page.locator('[data-guess]');
  kit.expect((await guess.locator('li').count()) > 0, 'a guess comes with its evidence');
  await guess.locator('button').click();
  await guess.waitFor({ state: 'detached' });
  kit.expect((await page.locator('form select').inputValue()) === 'hub', 'what was guessed is now what the owner says');
  await context.close();
}

/** A habit that does not look right is blocked, and allowed again by undo. */
export async function reviewed(/** @type {Kit} */ kit, /** @type {Device} */ device) {
  const { context, page } = await kit.open(device);
  await page.goto(`${kit.base}#/devices`);
  await page.locator('a.card', { hasText: 'Washing machine' }).click();
  await page.locator('a[href^="#/review/"]').click();
  const group = page.locator('[data-group]').first();
  await group.locator('button[aria-pressed]').click();
  const habit = group.locator('li').first();
  await habit.locator('button').click();
  await habit.locator('button').waitFor({ state: 'detached' });
  await kit.look(page, 'phone-habit-blocked');
  await page.locator('[data-undo]').click();
  await habit.locator('button').waitFor();
  await context.close();
}

/** A ban is lifted before its time. */
export async function banned(/** @type {Kit} */ kit, /** @type {Device} */ device) {
  const { context, page } = await kit.open(device);
  await page.goto(`${kit.base}#/devices`);
  const bans = page.locator('[data-bans]');
  kit.expect((await bans.innerText()).includes('intruder'), 'a ban says whom it hits');
  await bans.locator('button').click();
  await bans.waitFor({ state: 'detached' });
  await context.close();
}
