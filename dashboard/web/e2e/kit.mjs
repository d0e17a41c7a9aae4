// What scenarios share: the browser, the box, who is paired, and what was found.

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { createInterface } from 'node:readline';

import { axe, measure, open } from './browser.mjs';

/** @typedef {import('./browser.mjs').Browser} Browser */
/** @typedef {import('./browser.mjs').Device} Device */
/** @typedef {import('./browser.mjs').Page} Page */
/** @typedef {import('./browser.mjs').Session} Session */

/** How long something outside of the browser may take, in milliseconds. */
const PATIENCE = 60_000;

/** Who can make something happen at the site, and tells what happens there: a line of text each. */
export class Demonstration {
  /** @type {string[]} */
  #said = [];
  #read = 0;
  /** @type {() => void} */
  #changed = () => {};

  constructor() {
    createInterface({ input: process.stdin }).on('line', (line) => {
      this.#said.push(line);
      this.#changed();
    });
  }

  /** Asks for something to happen.
   * @param {'surprise' | 'kill the daemon'} what */
  please(what) {
    console.log(`please ${what}`);
  }

  /** Waits until it says something that was not waited for before.
   * @param {string} words */
  async says(words) {
    const deadline = Date.now() + PATIENCE;
    for (;;) {
      const at = this.#said.findIndex((line, index) => index >= this.#read && line.includes(words));
      if (at >= 0) {
        this.#read = at + 1;
        return;
      }
      const left = deadline - Date.now();
      if (left <= 0) throw new Error(`the demonstration does not say “${words}”, but ${this.#said.slice(this.#read).join(' / ')}`);
      await new Promise((resolve) => {
        this.#changed = () => resolve(undefined);
        setTimeout(resolve, left);
      });
    }
  }

  end() {
    process.stdin.destroy();
  }
}

export class Kit {
  /** @type {string[]} */
  wrong = [];
  looked = 0;
  /** The owner's, once a browser is paired.
   * @type {Session | undefined} */
  session;

  /**
   * @param {Browser} browser
   * @param {string} url what `edgeward pair` shows
   * @param {string} folder of the screenshots
   */
  constructor(browser, url, folder) {
    this.browser = browser;
    this.url = url;
    this.base = new URL('/', url).href;
    this.folder = folder;
    mkdirSync(folder, { recursive: true });
  }

  /** Takes a picture of a state and looks for what is wrong with it.
   * @param {Page} page
   * @param {string} state */
  async look(page, state) {
    this.looked += 1;
    await page.screenshot({ path: join(this.folder, `${state}.png`) });
    for (const finding of [...(await axe(page)), ...(await measure(page))]) this.wrong.push(`${state}: ${finding}`);
  }

  /** @param {boolean} condition
   * @param {string} expectation */
  expect(condition, expectation) {
    if (!condition) this.wrong.push(`not so: ${expectation}`);
  }

  /** A page of the owner, on a device.
   * @param {Device} device */
  open(device) {
    return open(this.browser, device, this.session);
  }

  /** A page of somebody who is not paired.
   * @param {Device} device */
  openAsStranger(device) {
    return open(this.browser, device, undefined);
  }

  /** Runs scenarios one after another; what breaks one is a finding, and the next has its turn.
   * @param {Device} device
   * @param {((kit: Kit, device: Device) => Promise<void>)[]} scenarios */
  async run(device, scenarios) {
    for (const scenario of scenarios) {
      await scenario(this, device).catch((error) => this.wrong.push(`${device.name}: ${scenario.name}: ${error.stack ?? error}`));
    }
  }
}
