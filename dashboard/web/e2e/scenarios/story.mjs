// What the demonstration is about: the washing machine and the door, and the new battery.

import { DEVICES } from '../browser.mjs';

/** @typedef {import('../kit.mjs').Kit} Kit */
/** @typedef {import('../kit.mjs').Demonstration} Demonstration */
/** @typedef {import('../browser.mjs').Device} Device */

/**
 * The washing machine's request appears on pages that are open, is kept blocked, and the graph turns red; the battery is
 * allowed and works; what does not work is repaired. All of it is taken back, so that both questions wait at the end.
 *
 * @param {Kit} kit
 * @param {Device} device
 * @param {Demonstration} demonstration
 */
export async function story(kit, device, demonstration) {
  const laptop = DEVICES.find(({ viewport }) => viewport.width > 1000) ?? device;
  const { context: one, page: phone } = await kit.open(device);
  const { context: two, page: wide } = await kit.open(laptop);
  for (const page of [phone, wide]) {
    await page.goto(`${kit.base}#/decide`);
    await page.locator('main h2').first().waitFor();
    await page.evaluate(() => Reflect.set(window, 'wasOpen', true));
  }
  kit.expect((await phone.locator('article[data-edge]').count()) === 0, 'nothing is asked before anything happens');
  await kit.look(phone, `${device.name}-quiet`);
  await kit.look(wide, `${laptop.name}-quiet`);

  demonstration.please('surprise');
  const door = phone.locator('article.risk-high');
  for (const page of [phone, wide]) {
    await page.locator('article.risk-high').waitFor();
    kit.expect(await page.evaluate(() => Reflect.has(window, 'wasOpen')), 'the request appears without a reload');
  }
  const blocked = wide.locator('svg .arc.blocked');
  kit.expect((await blocked.count()) === 0, 'nothing is red before it is blocked');
  await door.locator('.refuse').click();
  await door.waitFor({ state: 'detached' });
  await blocked.first().waitFor();
  await kit.look(wide, `${laptop.name}-blocked`);
  await phone.locator('[data-undo]').click();
  await door.waitFor();
  await blocked.first().waitFor({ state: 'detached' });

  demonstration.please('surprise');
  const battery = phone.locator('article[data-edge]:not(.risk-high)');
  await battery.first().waitFor();
  await battery.first().locator('[data-allow]').click();
  await phone.locator('dialog[open] .choice').nth(1).click();
  await battery.first().waitFor({ state: 'detached' });
  await demonstration.says('The battery was read');
  // Only what is allowed for a time has a mark.
  await wide.locator('svg .arc.allowed .glyph').first().waitFor();
  await kit.look(wide, `${laptop.name}-allowed-for-an-hour`);
  await phone.locator('[data-undo]').click();
  await battery.first().waitFor();

  demonstration.please('surprise');
  await phone.goto(`${kit.base}#/trouble`);
  await phone.locator('a.card', { hasText: 'Home hub' }).click();
  const stopped = phone.locator('li.card', { hasText: '“battery”' }).first();
  await stopped.locator('button').click();
  const keep = phone.locator('li.card .buttons');
  await keep.waitFor();
  await demonstration.says('The battery was read');
  await keep.locator('.button:not(.refuse)').click();
  await keep.waitFor({ state: 'detached' });
  await kit.look(phone, `${device.name}-repaired`);
  // What is kept for good can be taken back later, and then the hour that it was tried for.
  await phone.goto(`${kit.base}#/history`);
  for (const index of [0, 1]) {
    const kept = phone.locator('main li', { hasText: 'Allowed: Home hub' }).nth(index);
    await kept.locator('button').last().click();
    await kept.locator('.undone').waitFor();
  }
  await phone.goto(`${kit.base}#/decide`);
  await battery.first().waitFor();
  await one.close();
  await two.close();
}
