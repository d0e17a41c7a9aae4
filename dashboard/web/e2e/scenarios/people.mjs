// Who is let in, and who is told.

import { createServer } from 'node:http';

/** @typedef {import('../kit.mjs').Kit} Kit */
/** @typedef {import('../browser.mjs').Device} Device */

/** A member is let in with a typed code, asks the owner about the lock, and is logged out by the owner. */
export async function member(/** @type {Kit} */ kit, /** @type {Device} */ device) {
  const owner = await kit.open(device);
  await owner.page.goto(`${kit.base}#/people`);
  await owner.page.locator('form button.primary').first().click();
  const typed = await owner.page.locator('.typed').innerText();
  const theirs = await kit.openAsStranger(device);
  await theirs.page.goto(kit.base);
  await theirs.page.locator('input[autocomplete=one-time-code]').fill(typed.toLowerCase());
  await theirs.page.locator('input[autocomplete=nickname]').fill('Ben');
  await theirs.page.locator('button.primary').click();
  const card = theirs.page.locator('article.risk-high').first();
  await card.waitFor();
  kit.expect((await card.locator('[data-allow]').count()) === 0, 'a member cannot allow what is of high risk');
  await card.locator('.buttons .button:not(.refuse)').click();
  await card.locator('.notice', { hasText: /./ }).waitFor();
  await kit.look(theirs.page, 'phone-member-asked');
  await theirs.page.goto(`${kit.base}#/history`);
  await theirs.page.locator('section li').first().waitFor();
  const undo = await theirs.page.locator('section li .acts button:last-child:not([disabled])').count();
  kit.expect(undo === 0, 'a member takes back nothing that others have decided');
  await kit.look(theirs.page, 'phone-member-history');
  await owner.page.goto(`${kit.base}#/decide`);
  await owner.page.locator('article.risk-high .waiting', { hasText: 'Ben' }).first().waitFor();
  await kit.look(owner.page, 'phone-owner-is-asked');
  await owner.page.goto(`${kit.base}#/people`);
  await owner.page.locator('ul li', { hasText: 'Ben' }).locator('button.icon').click();
  await owner.page.locator('.sure .refuse').click();
  await owner.page.locator('.sure').waitFor({ state: 'detached' });
  await theirs.page.locator('input[autocomplete=one-time-code]').waitFor({ timeout: 5_000 });
  const told = await theirs.page.locator('main .waiting').innerText();
  kit.expect(/\(.+, .*\d\d:\d\d\)/.test(told), `who is logged out hears at once by whom and when: ${told}`);
  await kit.look(theirs.page, 'phone-logged-out');
  await owner.context.close();
  await theirs.context.close();
}

/** A professional is let in with a code, sets a password, signs in with it elsewhere, and is out with the first browser. */
export async function professional(/** @type {Kit} */ kit, /** @type {Device} */ device) {
  const PASSWORD = 'correct horse battery';
  const owner = await kit.open(device);
  await owner.page.goto(`${kit.base}#/people`);
  await owner.page.locator('form select').first().selectOption('pro');
  await owner.page.locator('form button.primary').first().click();
  const typed = await owner.page.locator('.typed').innerText();
  const first = await kit.openAsStranger(device);
  await first.page.goto(kit.base);
  await first.page.locator('input[autocomplete=one-time-code]').fill(typed);
  await first.page.locator('input[autocomplete=nickname]').fill('Eve');
  await first.page.locator('button.primary').click();
  await first.page.locator('main h2').first().waitFor();
  await first.page.goto(`${kit.base}#/people`);
  await first.page.locator('input[autocomplete=new-password]').fill(PASSWORD);
  await first.page.locator('form button.primary').click();
  await first.page.locator('input[autocomplete=current-password]').waitFor();
  await kit.look(first.page, 'phone-password-set');

  const second = await kit.openAsStranger(device);
  const signIn = async (/** @type {string} */ password) => {
    await second.page.locator('input[autocomplete=username]').fill('Eve');
    await second.page.locator('input[autocomplete=current-password]').fill(password);
    await second.page.locator('button.primary').click();
  };
  await second.page.goto(kit.base);
  await second.page.locator('button.link').click();
  await signIn('wrong wrong wrong');
  await second.page.locator('.problem', { hasText: /./ }).waitFor();
  await kit.look(second.page, 'phone-password-wrong');
  await signIn(PASSWORD);
  await second.page.locator('main h2').first().waitFor();
  await owner.page.reload();
  const signedIn = owner.page.locator('ul li', { hasText: 'Eve' });
  await signedIn.nth(1).waitFor();
  kit.expect((await signedIn.count()) === 2, 'the owner sees both browsers of the professional');
  await signedIn.first().locator('button.icon').click();
  await owner.page.locator('.sure .refuse').click();
  await signedIn.first().waitFor({ state: 'detached' });
  await second.page.locator('input[autocomplete=one-time-code]').waitFor({ timeout: 30_000 });
  for (const { context } of [owner, first, second]) await context.close();
}

/** Questions are told through a server that takes them; the test says so, and the page stops complaining. */
export async function notified(/** @type {Kit} */ kit, /** @type {Device} */ device) {
  /** @type {string[]} */
  const taken = [];
  const server = createServer((request, response) => {
    request.resume();
    taken.push(`${request.method} ${request.url}`);
    response.end('{}');
  });
  await new Promise((listening) => server.listen(0, '127.0.0.1', () => listening(undefined)));
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const { context, page } = await kit.open(device);
  await page.goto(`${kit.base}#/people`);
  const card = page.locator('#notifications');
  await card.locator('input[type=url]').fill(`http://127.0.0.1:${port}`);
  await card.locator('button.primary').click();
  const topic = await card.locator('.topic').innerText();
  await card.locator('button.primary').click();
  await card.locator('.status', { hasText: /\./ }).waitFor();
  kit.expect(taken.includes(`POST /${topic}`), 'a test message arrives under the topic that the page shows');
  await card.scrollIntoViewIfNeeded();
  await kit.look(page, 'phone-notified');
  await page.goto(`${kit.base}#/decide`);
  await page.locator('main h2').first().waitFor();
  kit.expect((await page.locator('.off').count()) === 0, 'with notifications the page does not complain');
  await page.goto(`${kit.base}#/people`);
  await card.locator('button').last().click();
  await card.locator('input[type=url]').waitFor();
  server.close();
  await context.close();
}
