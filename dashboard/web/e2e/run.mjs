// `npm run e2e -- URL [FOLDER]`: the page in a real browser against a real box. URL is what `edgeward pair` shows; FOLDER
// takes a screenshot of each state. Ends with 1 if anything is wrong.

import process from 'node:process';

import { DEVICES, launch } from './browser.mjs';
import { Kit } from './kit.mjs';
import { outOfReach } from './scenarios/away.mjs';
import { banned, guessed, reviewed } from './scenarios/devices.mjs';
import { member, notified, professional } from './scenarios/people.mjs';
import { manyTabs, tryOut, twoAtOnce, withPin } from './scenarios/questions.mjs';
import { everyView, moveIn } from './scenarios/views.mjs';

const [url, folder = 'e2e/shots'] = process.argv.slice(2);
const [phone] = DEVICES;
if (url === undefined || phone === undefined) {
  console.error('usage: npm run e2e -- URL [FOLDER]');
  process.exit(2);
}
const browser = await launch();
const kit = new Kit(browser, url, folder);

for (const device of DEVICES) {
  const { context, page, complaints } = await kit.open(device);
  if (kit.session === undefined) await moveIn(kit, device, page);
  await everyView(kit, device, page);
  for (const complaint of complaints) kit.wrong.push(`${device.name}: the browser says: ${complaint}`);
  await context.close();
}
await kit.run(phone, [
  twoAtOnce,
  manyTabs,
  guessed,
  reviewed,
  banned,
  tryOut,
  outOfReach,
  notified,
  member,
  professional,
  withPin,
]);
await browser.close();

for (const finding of kit.wrong) console.error(finding);
console.log(`${kit.looked} states looked at, ${kit.wrong.length} findings, pictures in ${folder}`);
process.exitCode = kit.wrong.length === 0 ? 0 : 1;
