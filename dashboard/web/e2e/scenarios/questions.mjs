// Questions: several tabs, and what allowing one for good takes.

/** @typedef {import('../kit.mjs').Kit} Kit */
/** @typedef {import('../browser.mjs').Device} Device */

/** Two phones at once, the keyboard alone, undo, and losing the connection. */
export async function twoAtOnce(/** @type {Kit} */ kit, /** @type {Device} */ device) {
  const one = await kit.open(device);
  const two = await kit.open(device);
  for (const { page } of [one, two]) {
    await page.goto(`${kit.base}#/decide`);
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
    kit.expect((await two.page.locator('.settled').count()) > 0, 'the other phone says who was faster');
    await kit.look(one.page, 'phone-blocked');
    await kit.look(two.page, 'phone-settled-elsewhere');
    await one.page.locator('[data-undo]').click();
    await mine.waitFor();
    await theirs.waitFor();
    await one.context.setOffline(true);
    await mine.locator('.refuse').click();
    await mine.locator('.notice').waitFor();
    await kit.look(one.page, 'phone-not-saved');
    kit.expect(await mine.isVisible(), 'a decision that did not arrive leaves the question where it is');
    await one.context.setOffline(false);
    // It is sent again by itself, because it blocks.
    await mine.waitFor({ state: 'detached' });
    await one.page.locator('[data-undo]').click();
    await mine.waitFor();
    await theirs.waitFor();
  }
  await one.context.close();
  await two.context.close();
}

/** More tabs of one browser than it opens connections: all of them load, and each hears of a decision, whoever reads. */
export async function manyTabs(/** @type {Kit} */ kit, /** @type {Device} */ device) {
  const TABS = 9;
  const { context, page } = await kit.open(device);
  const tabs = [page];
  while (tabs.length < TABS) tabs.push(await context.newPage());
  for (const tab of tabs) await tab.goto(`${kit.base}#/decide`);
  for (const tab of tabs) await tab.locator('article[data-edge]').first().waitFor();
  const id = await page.locator('article[data-edge]').first().getAttribute('data-edge');
  const last = tabs[TABS - 1] ?? page;
  // The first tab reads for the others; when it is gone another one has to.
  await page.close();
  await last.locator(`article[data-edge="${id}"] .refuse`).click();
  for (const tab of tabs.slice(1)) await tab.locator(`article[data-edge="${id}"]`).waitFor({ state: 'detached' });
  await last.locator('[data-undo]').click();
  for (const tab of tabs.slice(1)) await tab.locator(`article[data-edge="${id}"]`).waitFor();
  await context.close();
}

/** With a PIN, what is of high risk is allowed for good only by who knows it. */
export async function withPin(/** @type {Kit} */ kit, /** @type {Device} */ device) {
  const PIN = '482913';
  const { context, page } = await kit.open(device);
  await page.goto(`${kit.base}#/people`);
  await page.locator('input[type=password]').fill(PIN);
  await page.locator('form', { has: page.locator('input[type=password]') }).locator('button.primary').click();
  await page.locator('input[type=password]').nth(1).waitFor();
  await page.goto(`${kit.base}#/decide`);
  const card = page.locator('article.risk-high').first();
  const allow = async (/** @type {string} */ pin) => {
    await card.locator('[data-allow]').click();
    await page.locator('dialog .choice').last().click();
    const field = page.locator('dialog input[type=password]');
    await field.fill(pin);
    if (pin !== PIN) await kit.look(page, 'phone-pin');
    await field.press('Enter');
  };
  await allow('000000');
  await card.locator('.notice', { hasText: /./ }).waitFor();
  kit.expect(await card.isVisible(), 'a wrong PIN leaves the question where it is');
  await allow(PIN);
  await card.waitFor({ state: 'detached' });
  // The door was opened, so nothing asks again at once.
  await page.locator('[data-undo]').click();
  await page.locator('[data-undo]').waitFor({ state: 'detached' });
  await context.close();
}

/** Something doesn't work: what was blocked is allowed for a try, and taken back because it did not help. */
export async function tryOut(/** @type {Kit} */ kit, /** @type {Device} */ device) {
  const { context, page } = await kit.open(device);
  await page.goto(`${kit.base}#/trouble`);
  await page.locator('a.card', { hasText: 'Home hub' }).click();
  const stopped = page.locator('li.card', { has: page.locator('button.button') }).first();
  await stopped.waitFor();
  await stopped.locator('button').click();
  const keep = page.locator('li.card .buttons');
  await keep.waitFor();
  await kit.look(page, 'phone-trouble-tried');
  await keep.locator('.refuse').click();
  await keep.waitFor({ state: 'detached' });
  await context.close();
}
