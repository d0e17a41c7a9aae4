// A real Chromium, and a page that is paired.

import { accessSync, constants, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { delimiter, join } from 'node:path';

import { chromium } from 'playwright-core';

/** @typedef {import('playwright-core').Browser} Browser */
/** @typedef {import('playwright-core').Page} Page */
/** @typedef {{ name: string, viewport: { width: number, height: number }, scheme: 'light' | 'dark', locale: string }} Device */
/** @typedef {Awaited<ReturnType<import('playwright-core').BrowserContext['storageState']>>} Session */

const PROGRAMS = ['chromium', 'chromium-browser', 'google-chrome'];

/** @type {readonly Device[]} */
export const DEVICES = [
  { name: 'phone-light', viewport: { width: 390, height: 844 }, scheme: 'light', locale: 'en-GB' },
  { name: 'phone-dark', viewport: { width: 390, height: 844 }, scheme: 'dark', locale: 'de-DE' },
  { name: 'laptop-light', viewport: { width: 1366, height: 768 }, scheme: 'light', locale: 'de-DE' },
  { name: 'laptop-dark', viewport: { width: 1366, height: 768 }, scheme: 'dark', locale: 'en-GB' },
];

/** The browser of the system, or the one that EDGEWARD_CHROMIUM names. */
function program() {
  const named = process.env['EDGEWARD_CHROMIUM'];
  if (named) return named;
  for (const folder of (process.env['PATH'] ?? '').split(delimiter)) {
    for (const name of PROGRAMS) {
      const path = join(folder, name);
      try {
        accessSync(path, constants.X_OK);
        return path;
      } catch {
        // Not there.
      }
    }
  }
  throw new Error('no Chromium is installed; `apt-get install chromium` brings one');
}

/**
 * @param {readonly string[]} more
 * @param {Record<string, string>} env
 */
export function launch(more = [], env = {}) {
  // As root there is no sandbox; what is opened is our own page.
  const args = [...(process.getuid?.() === 0 ? ['--no-sandbox'] : []), ...more];
  return chromium.launch({ executablePath: program(), args, env: { ...process.env, ...env } });
}

/**
 * Opens a page on a device; whatever the browser complains about is kept in `complaints`.
 *
 * @param {Browser} browser
 * @param {Device} device
 * @param {Session | undefined} session
 */
export async function open(browser, device, session) {
  const context = await browser.newContext({
    viewport: device.viewport,
    colorScheme: device.scheme,
    locale: device.locale,
    deviceScaleFactor: 2,
    reducedMotion: 'reduce',
    ...(session === undefined ? {} : { storageState: session }),
  });
  const page = await context.newPage();
  /** @type {string[]} */
  const complaints = [];
  page.on('pageerror', (error) => complaints.push(error.stack ?? error.message));
  page.on('console', (message) => {
    // Being told that one is not paired is no mistake of the page.
    if (message.type() === 'error' && !/status of 401/.test(message.text())) complaints.push(message.text());
  });
  return { context, page, complaints };
}

/**
 * Pairs with the address that `edgeward pair` shows and returns the session for further pages.
 *
 * @param {Page} page
 * @param {string} url
 * @param {string} name
 */
export async function pair(page, url, name) {
  await page.goto(url);
  const nickname = page.locator('input[autocomplete=nickname]');
  const match = page.locator('[data-match]');
  await nickname.or(match).first().waitFor();
  // Over TLS the words of the box are compared first.
  if ((await match.count()) > 0) await match.click();
  await nickname.fill(name);
  await page.locator('button.primary').click();
  await page.locator('main h2').first().waitFor();
  if (page.url().includes('k=')) throw new Error('the code stayed in the address');
  return page.context().storageState();
}

/**
 * Presses Tab until the focus comes round, and returns what could have been reached and was not.
 *
 * @param {Page} page
 * @param {string} selector
 * @returns {Promise<string[]>}
 */
export async function beyondKeyboard(page, selector) {
  await page.evaluate(() => {
    /** @type {Element[]} */
    const reached = [];
    Reflect.set(window, 'reached', reached);
    addEventListener('focusin', ({ target }) => target instanceof Element && reached.push(target));
    if (document.activeElement instanceof HTMLElement) document.activeElement.blur();
  });
  // What stands beside may become longer on the way.
  const most = 2 * (await page.locator('a, button, input, select, summary, [tabindex]').count());
  for (let press = 0; press <= most; press += 1) {
    await page.keyboard.press('Tab');
    // Once around: what has the focus decides what a wide screen shows beside it.
    const isAround = await page.evaluate(() => {
      /** @type {Element[]} */
      const reached = Reflect.get(window, 'reached');
      return reached.length > 1 && reached.indexOf(document.activeElement ?? document.body) === 0;
    });
    if (isAround) break;
  }
  return page.evaluate((wanted) => {
    /** @type {Element[]} */
    const reached = Reflect.get(window, 'reached');
    return [...document.querySelectorAll(wanted)]
      .filter((element) => !element.matches(':disabled') && element.checkVisibility() && !reached.includes(element))
      .map((element) => (element.textContent ?? '').trim());
  }, selector);
}

/** What the owner of the demonstration site says about its devices, by the name that they give themselves. */
const OWNERS_WORDS = [
  { self: 'front-door-lock', name: 'Front door lock', room: 'Hallway', kind: 'lock' },
  { self: 'home-hub', name: 'Home hub', room: 'Hallway', kind: 'hub' },
  { self: 'washing-machine', name: 'Washing machine', room: 'Bathroom', kind: 'washing_machine' },
];

/**
 * Names the devices on the page, as their owner would.
 *
 * @param {Page} page
 * @param {string} base
 */
export async function nameDevices(page, base) {
  for (const { self, name, room, kind } of OWNERS_WORDS) {
    await page.goto(`${base}#/devices`);
    await page.locator('#devices').waitFor();
    const device = page.locator('a.card', { hasText: self });
    if ((await device.count()) === 0) continue;
    await device.click();
    const form = page.locator('form');
    const [nameField, roomField] = [form.locator('input').nth(0), form.locator('input').nth(1)];
    await nameField.fill(name);
    await roomField.fill(room);
    await form.locator('select').selectOption(kind);
    await form.locator('button').click();
    await page.locator('h2', { hasText: name }).waitFor();
  }
}

/**
 * Goes through the first run as an owner who wants no notifications.
 *
 * @param {Page} page
 * @param {string} base
 * @param {(step: string) => Promise<void>} look
 */
export async function firstRun(page, base, look) {
  await page.goto(`${base}#/decide`);
  const welcome = page.locator('section[aria-labelledby=welcome]');
  const at = (/** @type {string} */ step) => page.locator(`section[data-step=${step}]`).waitFor();
  const goOn = () => welcome.locator(':scope > button.primary').click();
  await at('name');
  await welcome.locator('input').fill('Our home');
  await look('name');
  await welcome.locator('button.primary').click();
  await at('others');
  await look('others');
  await goOn();
  await at('devices');
  await look('devices');
  // A reload goes on where one was.
  await page.reload();
  await at('devices');
  await goOn();
  await at('learning');
  await look('learning');
  await goOn();
  await at('pin');
  await look('pin');
  await welcome.locator('button').last().click();
  await at('tell');
  await welcome.locator('[data-tell=home]').click();
  await welcome.locator('input[type=number]').waitFor();
  await welcome.locator('[data-tell=phone]').click();
  await welcome.locator('input[type=url]').waitFor();
  await look('notifications');
  await welcome.locator(':scope > button').last().click();
  await welcome.waitFor({ state: 'detached' });
  await page.locator('h1', { hasText: 'Our home' }).waitFor();
  await page.reload();
  await page.locator('h1', { hasText: 'Our home' }).waitFor();
  if ((await welcome.count()) > 0) throw new Error('the first run came back');
}

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/**
 * What axe-core finds against WCAG 2.2 AA, in one line each.
 *
 * @param {Page} page
 * @returns {Promise<string[]>}
 */
export async function axe(page) {
  await page.evaluate(`${AXE};0`);
  return page.evaluate(async () => {
    /** @type {typeof import('axe-core')} */
    const axeCore = Reflect.get(window, 'axe');
    const { violations } = await axeCore.run({
      runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'],
    });
    return violations.map(({ id, help, nodes }) => `${id}: ${help} (${nodes.map((node) => node.target).join(', ')})`);
  });
}

/**
 * What axe does not look at: small targets and text, and what is cut off or sticks out.
 *
 * @param {Page} page
 * @returns {Promise<string[]>}
 */
export function measure(page) {
  return page.evaluate(() => {
    const SMALLEST_TARGET = 44;
    const SMALLEST_TEXT = 11;
    /** @type {string[]} */
    const found = [];
    /** @param {Element} element */
    const shown = (element) => element.checkVisibility() && element.closest('.hidden') === null;
    /** @param {Element} element */
    const describe = (element) => `${element.tagName.toLowerCase()} “${(element.textContent ?? '').trim().slice(0, 40)}”`;
    const isPhone = innerWidth < 600;

    if (document.documentElement.scrollWidth > innerWidth) {
      found.push(`the page is ${document.documentElement.scrollWidth} wide, the screen ${innerWidth}`);
    }
    for (const element of document.querySelectorAll('button, a, select, summary, input:not([type=checkbox])')) {
      const { width, height } = element.getBoundingClientRect();
      // A link inside of a sentence or heading is as high as its line (WCAG 2.5.8 excepts it).
      const inline = getComputedStyle(element).display === 'inline';
      if (isPhone && shown(element) && !inline && (height < SMALLEST_TARGET || width < SMALLEST_TARGET)) {
        found.push(`${describe(element)} is ${Math.round(width)} by ${Math.round(height)}`);
      }
    }
    for (const element of document.querySelectorAll('h1, h2, h3, p, span, button, a, td, th, dd, dt, code, text')) {
      if (!shown(element) || (element.textContent ?? '').trim() === '') continue;
      const scale =
        element instanceof SVGGraphicsElement ? (element.getScreenCTM()?.a ?? 1) : 1;
      const size = Number.parseFloat(getComputedStyle(element).fontSize) * scale;
      if (size < SMALLEST_TEXT) found.push(`${describe(element)} has text of ${size.toFixed(1)} px`);
      const box = element.getBoundingClientRect();
      const scrolls = element.closest('.scroll, .pane, dialog') !== null;
      if (!scrolls && box.width > 1 && (box.left < -1 || box.right > innerWidth + 1)) {
        found.push(`${describe(element)} reaches from ${Math.round(box.left)} to ${Math.round(box.right)}`);
      }
    }
    return found;
  });
}
