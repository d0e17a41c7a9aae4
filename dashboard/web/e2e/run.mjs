// `npm run e2e -- URL [FOLDER] [--with-demonstration]`: the page in a real browser against a real box. URL is what `edgeward
// pair` shows; FOLDER takes a screenshot of each state. With the demonstration at hand (tests/page.rs), which says on the
// standard input what happens at the site and does there what this asks for on the standard output, the two scenarios are
// played first; else their questions have to wait already. Ends with 1 if anything is wrong.

import process from 'node:process';

import { DEVICES, launch } from './browser.mjs';
import { Demonstration, Kit } from './kit.mjs';
import { outOfReach, unprotected } from './scenarios/away.mjs';
import { banned, guessed, reviewed } from './scenarios/devices.mjs';
import { member, notified, professional } from './scenarios/people.mjs';
import { manyTabs, tryOut, twoAtOnce, withPin } from './scenarios/questions.mjs';
import { record, token } from './scenarios/record.mjs';
import { story } from './scenarios/story.mjs';
import { everyView, moveIn } from './scenarios/views.mjs';

const isPlayed = process.argv.includes('--with-demonstration');
const [url, folder = 'e2e/shots'] = process.argv.slice(2).filter((argument) => !argument.startsWith('--'));
const [phone] = DEVICES;
if (url === undefined || phone === undefined) {
  console.error('usage: npm run e2e -- URL [FOLDER]');
  process.exit(2);
}
const browser = await launch();
const kit = new Kit(browser, url, folder);

const first = await kit.open(phone);
await moveIn(kit, phone, first.page);
await first.context.close();
const demonstration = isPlayed ? new Demonstration() : undefined;
if (demonstration) await kit.run(phone, [(kit, device) => story(kit, device, demonstration)]);
for (const device of DEVICES) await kit.run(device, [everyView]);
await kit.run(phone, [
  twoAtOnce,
  manyTabs,
  guessed,
  reviewed,
  banned,
  record,
  token,
  tryOut,
  outOfReach,
  notified,
  member,
  professional,
  withPin,
]);
if (demonstration) {
  await kit.run(phone, [(kit, device) => unprotected(kit, device, demonstration)]);
  demonstration.end();
}
await browser.close();

for (const finding of kit.wrong) console.error(finding);
console.log(`${kit.looked} states looked at, ${kit.wrong.length} findings, pictures in ${folder}`);
process.exitCode = kit.wrong.length === 0 ? 0 : 1;
