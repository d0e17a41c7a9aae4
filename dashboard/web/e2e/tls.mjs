// `node e2e/tls.mjs URL AUTHORITY [FOLDER]`: a phone pairs over TLS, as a person sees it: with a browser that was given the
// certificate of the box, and with one that was not. URL is what `edgeward pair` shows, AUTHORITY the file from /ca.crt.

import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';

import { axe, DEVICES, launch, measure, open, pair } from './browser.mjs';

const [url, authority, folder = 'e2e/shots'] = process.argv.slice(2);
const [phone] = DEVICES;
if (url === undefined || authority === undefined || phone === undefined) {
  console.error('usage: node e2e/tls.mjs URL AUTHORITY [FOLDER]');
  process.exit(2);
}
mkdirSync(folder, { recursive: true });
const { hostname, port } = new URL(url);
/** @type {string[]} */
const wrong = [];

// What a person installs on a phone; the browser looks for it below the home of its user.
const home = mkdtempSync(join(tmpdir(), 'edgeward-tls-'));
const database = join(home, '.pki', 'nssdb');
mkdirSync(database, { recursive: true });
const certutil = (/** @type {string[]} */ ...args) => execFileSync('certutil', ['-d', `sql:${database}`, ...args]);
certutil('-N', '--empty-password');

/** Opens a browser of this user, in which the box's name leads to it as multicast DNS would. */
const browse = () => launch([`--host-resolver-rules=MAP edgeward.local ${hostname}`], { HOME: home });

const stranger = await browse();
const { page: warned } = await open(stranger, phone, undefined);
const refused = await warned.goto(url).then(
  () => 'nothing',
  (error) => String(error),
);
if (!refused.includes('ERR_CERT_AUTHORITY_INVALID')) wrong.push(`without the certificate the browser says ${refused}`);
await stranger.close();

certutil('-A', '-n', 'edgeward', '-t', 'C,,', '-i', authority);
const browser = await browse();
const { page, complaints } = await open(browser, phone, undefined);
await page.goto(url);
await page.locator('p.words').waitFor();
await page.screenshot({ path: join(folder, 'phone-tls-pair.png') });
for (const finding of [...(await axe(page)), ...(await measure(page))]) wrong.push(`pairing: ${finding}`);
if (!(await page.evaluate(() => window.isSecureContext))) wrong.push('the page is no secure context');
if ((await page.locator('[role=alert].words').count()) > 0) wrong.push('the page takes its own box for another one');
await pair(page, url, 'Phone over TLS');
// Under its name the browser does not know the box yet, and its words are to be compared.
await page.goto(`https://edgeward.local:${port}/`);
await page.locator('[data-match]').waitFor();
await page.goto(`https://${hostname}:${port}/`);
await page.locator('main h2').first().waitFor();
for (const complaint of complaints) wrong.push(`the browser says: ${complaint}`);
await browser.close();
rmSync(home, { recursive: true });

for (const finding of wrong) console.error(finding);
console.log(`${wrong.length} findings, pictures in ${folder}`);
process.exitCode = wrong.length === 0 ? 0 : 1;
