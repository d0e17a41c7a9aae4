// `npm run e2e -- URL [FOLDER]`: the page in a real browser against a real box. URL is what `edgeward pair` shows; FOLDER
// takes a screenshot of each state. Ends with 1 if anything is wrong.

import { mkdirSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import process from 'node:process';

import { axe, beyondKeyboard, DEVICES, firstRun, launch, measure, nameDevices, open, pair } from './browser.mjs';

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

/** Something doesn't work: what was blocked is allowed for a try, and taken back because it did not help. */
async function tryOut(/** @type {import('./browser.mjs').Device} */ device) {
  const { context, page } = await open(browser, device, session);
  await page.goto(`${base}#/trouble`);
  await page.locator('a.card', { hasText: 'Home hub' }).click();
  const stopped = page.locator('li.card', { has: page.locator('button.button') }).first();
  await stopped.waitFor();
  await stopped.locator('button').click();
  const keep = page.locator('li.card .buttons');
  await keep.waitFor();
  await look(page, 'phone-trouble-tried');
  await keep.locator('.refuse').click();
  await keep.waitFor({ state: 'detached' });
  await context.close();
}

/** Opened again without the box: what waited can be read, and nothing can be decided. */
async function outOfReach(/** @type {import('./browser.mjs').Device} */ device) {
  const { context, page } = await open(browser, device, session);
  await page.goto(`${base}#/decide`);
  await page.locator('article[data-edge]').first().waitFor();
  await page.evaluate(() => navigator.serviceWorker.ready);
  await page.waitForFunction(() => localStorage.getItem('edgeward.snapshot') !== null, undefined, { timeout: 20_000 });
  await context.setOffline(true);
  await page.reload();
  const card = page.locator('article[data-edge]').first();
  await card.waitFor();
  expect((await page.locator('.bar').count()) > 0, 'out of reach of the box, the page says so');
  expect(await card.locator('.refuse').isDisabled(), 'out of reach of the box, nothing can be decided');
  await look(page, 'phone-away');
  await context.setOffline(false);
  await page.locator('article[data-edge] .refuse:enabled').first().waitFor();
  await context.close();
}

/** A member is let in with a typed code, asks the owner about the lock, and is logged out by the owner. */
async function member(/** @type {import('./browser.mjs').Device} */ device) {
  const owner = await open(browser, device, session);
  await owner.page.goto(`${base}#/people`);
  await owner.page.locator('form button.primary').first().click();
  const typed = await owner.page.locator('.typed').innerText();
  const theirs = await open(browser, device, undefined);
  await theirs.page.goto(base);
  await theirs.page.locator('input[autocomplete=one-time-code]').fill(typed.toLowerCase());
  await theirs.page.locator('input[autocomplete=nickname]').fill('Ben');
  await theirs.page.locator('button.primary').click();
  const card = theirs.page.locator('article.risk-high').first();
  await card.waitFor();
  expect((await card.locator('[data-allow]').count()) === 0, 'a member cannot allow what is of high risk');
  await card.locator('.buttons .button:not(.refuse)').click();
  await card.locator('.notice', { hasText: /./ }).waitFor();
  await look(theirs.page, 'phone-member-asked');
  await owner.page.goto(`${base}#/decide`);
  await owner.page.locator('article.risk-high .waiting', { hasText: 'Ben' }).first().waitFor();
  await look(owner.page, 'phone-owner-is-asked');
  await owner.page.goto(`${base}#/people`);
  await owner.page.locator('ul li', { hasText: 'Ben' }).locator('button.icon').click();
  await owner.page.locator('.sure .refuse').click();
  await owner.page.locator('.sure').waitFor({ state: 'detached' });
  // The stream looks every 15 seconds whether its session holds.
  await theirs.page.locator('input[autocomplete=one-time-code]').waitFor({ timeout: 30_000 });
  await look(theirs.page, 'phone-logged-out');
  await owner.context.close();
  await theirs.context.close();
}

/** A professional is let in with a code, sets a password, signs in with it elsewhere, and is out with the first browser. */
async function professional(/** @type {import('./browser.mjs').Device} */ device) {
  const PASSWORD = 'correct horse battery';
  const owner = await open(browser, device, session);
  await owner.page.goto(`${base}#/people`);
  await owner.page.locator('form select').first().selectOption('pro');
  await owner.page.locator('form button.primary').first().click();
  const typed = await owner.page.locator('.typed').innerText();
  const first = await open(browser, device, undefined);
  await first.page.goto(base);
  await first.page.locator('input[autocomplete=one-time-code]').fill(typed);
  await first.page.locator('input[autocomplete=nickname]').fill('Eve');
  await first.page.locator('button.primary').click();
  await first.page.locator('main h2').first().waitFor();
  await first.page.goto(`${base}#/people`);
  await first.page.locator('input[autocomplete=new-password]').fill(PASSWORD);
  await first.page.locator('form button.primary').click();
  await first.page.locator('input[autocomplete=current-password]').waitFor();
  await look(first.page, 'phone-password-set');

  const second = await open(browser, device, undefined);
  const signIn = async (/** @type {string} */ password) => {
    await second.page.locator('input[autocomplete=username]').fill('Eve');
    await second.page.locator('input[autocomplete=current-password]').fill(password);
    await second.page.locator('button.primary').click();
  };
  await second.page.goto(base);
  await second.page.locator('button.link').click();
  await signIn('wrong wrong wrong');
  await second.page.locator('.problem', { hasText: /./ }).waitFor();
  await look(second.page, 'phone-password-wrong');
  await signIn(PASSWORD);
  await second.page.locator('main h2').first().waitFor();
  await owner.page.reload();
  const signedIn = owner.page.locator('ul li', { hasText: 'Eve' });
  await signedIn.nth(1).waitFor();
  expect((await signedIn.count()) === 2, 'the owner sees both browsers of the professional');
  await signedIn.first().locator('button.icon').click();
  await owner.page.locator('.sure .refuse').click();
  await signedIn.first().waitFor({ state: 'detached' });
  await second.page.locator('input[autocomplete=one-time-code]').waitFor({ timeout: 30_000 });
  for (const { context } of [owner, first, second]) await context.close();
}

/** Questions are told through a server that takes them; the test says so, and the page stops complaining. */
async function notified(/** @type {import('./browser.mjs').Device} */ device) {
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
  const { context, page } = await open(browser, device, session);
  await page.goto(`${base}#/people`);
  const card = page.locator('#notifications');
  await card.locator('input[type=url]').fill(`http://127.0.0.1:${port}`);
  await card.locator('button.primary').click();
  const topic = await card.locator('.topic').innerText();
  await card.locator('button.primary').click();
  await card.locator('.status', { hasText: /\./ }).waitFor();
  expect(taken.includes(`POST /${topic}`), 'a test message arrives under the topic that the page shows');
  await card.scrollIntoViewIfNeeded();
  await look(page, 'phone-notified');
  await page.goto(`${base}#/decide`);
  await page.locator('main h2').first().waitFor();
  expect((await page.locator('.off').count()) === 0, 'with notifications the page does not complain');
  await page.goto(`${base}#/people`);
  await card.locator('button').last().click();
  await card.locator('input[type=url]').waitFor();
  server.close();
  await context.close();
}

/** With a PIN, what is of high risk is allowed for good only by who knows it. */
async function withPin(/** @type {import('./browser.mjs').Device} */ device) {
  const PIN = '482913';
  const { context, page } = await open(browser, device, session);
  await page.goto(`${base}#/people`);
  await page.locator('input[type=password]').fill(PIN);
  await page.locator('form', { has: page.locator('input[type=password]') }).locator('button.primary').click();
  await page.locator('input[type=password]').nth(1).waitFor();
  await page.goto(`${base}#/decide`);
  const card = page.locator('article.risk-high').first();
  const allow = async (/** @type {string} */ pin) => {
    await card.locator('[data-allow]').click();
    await page.locator('dialog .choice').last().click();
    const field = page.locator('dialog input[type=password]');
    await field.fill(pin);
    if (pin !== PIN) await look(page, 'phone-pin');
    await field.press('Enter');
  };
  await allow('000000');
  await card.locator('.notice', { hasText: /./ }).waitFor();
  expect(await card.isVisible(), 'a wrong PIN leaves the question where it is');
  await allow(PIN);
  await card.waitFor({ state: 'detached' });
  // The door was opened, so nothing asks again at once.
  await page.locator('[data-undo]').click();
  await page.locator('[data-undo]').waitFor({ state: 'detached' });
  await context.close();
}

/** Looking back with the keyboard: what was in use today is shown, and yesterday there was nothing. */
async function lookBack(
  /** @type {import('./browser.mjs').Device} */ device,
  /** @type {import('playwright-core').Page} */ page,
) {
  const [day, hour, told] = [page.locator('[data-day]'), page.locator('[data-hour]'), page.locator('[data-past]')];
  const arcs = page.locator('svg .arc');
  const now = await arcs.count();
  await day.focus();
  await page.keyboard.press('ArrowLeft');
  await told.filter({ hasText: /[1-9]\d* .* [kM]B/ }).waitFor();
  expect((await page.locator('svg .arc.used').count()) > 0, `${device.name}: the map shows what was in use today`);
  const sizes = page.locator('td.number', { hasText: /[kM]B/ });
  expect((await sizes.count()) > 0, `${device.name}: the table says how much each connection carried`);
  await look(page, `${device.name}-past-day`);
  await hour.focus();
  await page.keyboard.press('End');
  await told.filter({ hasText: /\d\d:\d\d/ }).waitFor();
  await look(page, `${device.name}-past-hour`);
  await day.focus();
  await page.keyboard.press('ArrowLeft');
  await page.locator('svg .arc').first().waitFor({ state: 'detached' });
  expect((await arcs.count()) === 0, `${device.name}: what did not exist yesterday is not in its map`);
  await page.keyboard.press('End');
  await arcs.first().waitFor();
  expect((await arcs.count()) === now, `${device.name}: at its right end the slider shows what is now`);
}

/** More tabs of one browser than it opens connections: all of them load, and each hears of a decision, whoever reads. */
async function manyTabs(/** @type {import('./browser.mjs').Device} */ device) {
  const TABS = 9;
  const { context, page } = await open(browser, device, session);
  const tabs = [page];
  while (tabs.length < TABS) tabs.push(await context.newPage());
  for (const tab of tabs) await tab.goto(`${base}#/decide`);
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

/** The owner says that a guess is right. */
async function guessed(/** @type {import('./browser.mjs').Device} */ device) {
  const { context, page } = await open(browser, device, session);
  await page.goto(`${base}#/devices`);
  await page.locator('a.card', { hasText: 'Home hub' }).click();
  const guess = page.locator('[data-guess]');
  expect((await guess.locator('li').count()) > 0, 'a guess comes with its evidence');
  await guess.locator('button').click();
  await guess.waitFor({ state: 'detached' });
  expect((await page.locator('form select').inputValue()) === 'hub', 'what was guessed is now what the owner says');
  await context.close();
}

/** A habit that does not look right is blocked, and allowed again by undo. */
async function reviewed(/** @type {import('./browser.mjs').Device} */ device) {
  const { context, page } = await open(browser, device, session);
  await page.goto(`${base}#/devices`);
  await page.locator('a.card', { hasText: 'Washing machine' }).click();
  await page.locator('a[href^="#/review/"]').click();
  const group = page.locator('[data-group]').first();
  await group.locator('button[aria-pressed]').click();
  const habit = group.locator('li').first();
  await habit.locator('button').click();
  await habit.locator('button').waitFor({ state: 'detached' });
  await look(page, 'phone-habit-blocked');
  await page.locator('[data-undo]').click();
  await habit.locator('button').waitFor();
  await context.close();
}

/** A ban is lifted before its time. */
async function banned(/** @type {import('./browser.mjs').Device} */ device) {
  const { context, page } = await open(browser, device, session);
  await page.goto(`${base}#/devices`);
  const bans = page.locator('[data-bans]');
  expect((await bans.innerText()).includes('intruder'), 'a ban says whom it hits');
  await bans.locator('button').click();
  await bans.waitFor({ state: 'detached' });
  await context.close();
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
    await firstRun(page, base, (step) => look(page, `${device.name}-welcome-${step}`));
    expect((await page.locator('.off').count()) === 1, 'without notifications the page says so');
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
    const foreign = await card.locator('dl [lang]').count();
    expect(foreign === 0, `${device.name}: why it was stopped is told in the reader's language`);
    await look(page, `${device.name}-evidence`);
    await card.locator('[data-allow]').click();
    await page.locator('dialog[open]').waitFor();
    await look(page, `${device.name}-allow`);
    await page.keyboard.press('Escape');
    await page.locator('dialog[open]').waitFor({ state: 'detached' });
    const focused = await page.evaluate(() => document.activeElement?.hasAttribute('data-allow') ?? false);
    expect(focused, `${device.name}: closing the sheet gives the focus back`);
  }
  await go('decide');
  for (const missed of await beyondKeyboard(page, 'main button, main a, main summary')) {
    wrong.push(`${device.name}: Tab does not reach “${missed}”`);
  }
  for (const view of ['map', 'devices', 'history', 'trouble', 'people']) {
    await go(view);
    await look(page, `${device.name}-${view}`);
  }
  await page.locator('form button.primary').first().click();
  await page.locator('svg.qr').waitFor();
  await look(page, `${device.name}-code`);
  await go('trouble');
  await page.locator('a.card[href^="#/trouble/"]').first().click();
  await page.locator('.head').waitFor();
  await page.locator('main p[role=status]').first().waitFor();
  await look(page, `${device.name}-trouble-device`);
  const firstDevice = page.locator('a.card[href^="#/devices/"]').first();
  await go('devices');
  if ((await firstDevice.count()) > 0) {
    await firstDevice.click();
    await page.locator('form').waitFor();
    await look(page, `${device.name}-device`);
    await page.locator('a[href^="#/review/"]').first().click();
    await page.locator('[data-group]').first().waitFor();
    await look(page, `${device.name}-review`);
  }
  await go('devices');
  await page.locator('[data-bans]').waitFor();
  await page.locator('a.card', { hasText: 'Home hub' }).click();
  await page.locator('[data-guess]').waitFor();
  await page.locator('[data-guess]').scrollIntoViewIfNeeded();
  await look(page, `${device.name}-guess`);

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
    await lookBack(device, page);
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

  for (const scenario of [manyTabs, guessed, reviewed, banned, tryOut, outOfReach, notified, member, professional, withPin]) {
    await scenario(phone).catch((error) => wrong.push(`${scenario.name}: ${error}`));
  }
}
await browser.close();

for (const finding of wrong) console.error(finding);
console.log(`${looked} states looked at, ${wrong.length} findings, pictures in ${folder}`);
process.exitCode = wrong.length === 0 ? 0 : 1;
