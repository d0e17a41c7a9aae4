// `node e2e/bench.mjs EDGEWARD`: the page at a site of 500 devices and 5,000 edges, in a real browser, served by the real
// `edgeward web`. The daemon is played by a stand-in on the socket, so what is measured is the page and its server. Prints
// one JSON object.

import { spawn } from 'node:child_process';
import { chmodSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { createInterface } from 'node:readline';

import { launch } from './browser.mjs';

const DEVICES = 500;
const EDGES = 5000;
const QUESTIONS = 5;
const PAGES = 10;
/** Times that something short is measured; the median counts. */
const ROUNDS = 5;
const IDLE_SECONDS = 10;
/** Of the kernel, for user space on every architecture. */
const TICKS_PER_SECOND = 100;
const FIRST_ID = 16;
const NOW = Math.floor(Date.now() / 1000);

const [program] = process.argv.slice(2);
if (program === undefined) {
  console.error('usage: node e2e/bench.mjs EDGEWARD');
  process.exit(2);
}

const KINDS = ['light', 'plug', 'sensor', 'camera', 'lock', 'media', 'washing_machine', 'hub', 'heating', 'speaker'];
const name = (/** @type {number} */ index) => `Device ${index}`;
const end = (/** @type {number} */ index) => ({
  id: FIRST_ID + index,
  name: name(index),
  confirmed: true,
  kind: KINDS[index % KINDS.length],
});

const principals = Array.from({ length: DEVICES }, (_, index) => ({
  ...end(index),
  calls_itself: null,
  kind_source: 'owner',
  room: `Room ${index % 12}`,
  description: null,
  mode: 'enforcing',
  since: NOW,
  paused_until: null,
  mac: `02:00:00:00:${(index >> 8).toString(16).padStart(2, '0')}:${(index & 255).toString(16).padStart(2, '0')}`,
  vlan: 0,
  port: 'lan0',
  addresses: [`10.0.${index >> 8}.${index & 255}`],
  first_seen: NOW,
  last_seen: NOW,
  edges: { learned: 10, allowed: 0, denied: 0, pending: 0 },
  learning: null,
  maker: null,
  private_mac: false,
  guess: null,
  rev: 1,
}));

/** @type {Map<number, Record<string, unknown>>} */
const edges = new Map();
for (let id = 1; id <= EDGES; id += 1) {
  const waits = id <= QUESTIONS;
  edges.set(id, {
    id,
    plane: 'packet',
    from: end(id % DEVICES),
    to: end((id * 7 + 1 + Math.floor(id / DEVICES)) % DEVICES),
    verb: 'connect',
    object: `tcp/${1000 + (id % 40)}`,
    meaning: null,
    state: waits ? 'pending' : 'learned',
    since: NOW,
    by: null,
    until: null,
    lifetime: null,
    uses: null,
    action: null,
    no_retain: false,
    max_qos: null,
    reason: null,
    violated: waits ? 'edge.not_in_model' : null,
    risk: 'medium',
    beneficiaries: [],
    tries: 3,
    // What comes within an hour is one card.
    first_seen: NOW - id * 7200,
    last_seen: NOW,
    rev: 1,
  });
}

const status = () => ({
  version: '0',
  mode: 'enforce',
  health: 'ok',
  faults: [],
  paused_until: null,
  confirm_until: null,
  interfaces: [],
  packets: {},
  events: { produced: 0, delivered: 0, suppressed: 0, lost: 0 },
  edges: { learned: EDGES - QUESTIONS, allowed: 0, denied: 0, pending: QUESTIONS },
  principals: { enforcing: DEVICES },
  maps: [],
  coverage: [],
  uncovered: { pairs: 0, of: 0, segments: [] },
  clock_synchronised: true,
  rev: 1,
});

/** @type {Set<import('node:net').Socket>} */
const watchers = new Set();
const send = (/** @type {import('node:net').Socket} */ socket, /** @type {unknown} */ message) =>
  socket.write(`${JSON.stringify(message)}\n`);

/** Answers as the daemon would. */
function answer(/** @type {Record<string, unknown>} */ call, /** @type {import('node:net').Socket} */ socket) {
  switch (call['request']) {
    case 'watch':
      watchers.add(socket);
      return null;
    case 'status':
      return status();
    case 'pair_redeem':
      return { token: 'bench', name: 'Bench', role: 'owner' };
    case 'session_check':
      return { id: '1', name: 'Bench', role: 'owner', pin: false };
    case 'telling':
      return { told: { until: NOW, sent: [] }, waiting: [], ntfy: null };
    case 'alarms':
      return [];
    case 'settings':
      return { name: 'Bench', notified: true };
    case 'principals':
      return principals;
    case 'edges':
      return [...edges.values()];
    case 'pending':
      return [...edges.values()].filter(({ state }) => state === 'pending');
    case 'decide':
      return decide(Number(call['edge']));
    case 'decisions':
    case 'wishes':
      return [];
    default:
      return null;
  }
}

function decide(/** @type {number} */ id) {
  const edge = { ...edges.get(id), state: 'denied', by: 'Bench', lifetime: 'always', rev: 2 };
  edges.set(id, edge);
  for (const watcher of watchers) send(watcher, { event: { event: 'edge.decided', data: edge } });
  return { decision_id: id, edge };
}

const folder = mkdtempSync(join(tmpdir(), 'edgeward-bench-'));
chmodSync(folder, 0o755);
const socketPath = join(folder, 'edgeward.sock');
const daemon = createServer((socket) => {
  socket.on('close', () => watchers.delete(socket));
  socket.on('error', () => watchers.delete(socket));
  const lines = createInterface({ input: socket });
  // Each call has a connection of its own, and whoever has its answer hangs up.
  lines.on('error', () => watchers.delete(socket));
  lines.on('line', (line) => {
    const call = JSON.parse(line);
    send(socket, { reply: { id: call.id, result: { Ok: answer(call, socket) } } });
  });
});
await new Promise((listening) => daemon.listen(socketPath, () => listening(undefined)));
chmodSync(socketPath, 0o666);

/** Starts the page's process on a port that is free, and returns where it is. */
async function serve() {
  const web = spawn(program ?? '', ['web', '--listen', '127.0.0.1:0', '--runtime-dir', folder], {
    env: { ...process.env, RUST_LOG: 'info', NO_COLOR: '1' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  web.on('error', (error) => {
    throw error;
  });
  for await (const line of createInterface({ input: web.stderr })) {
    const [, address] = /address=(127\.0\.0\.1:\d+)/.exec(line) ?? [];
    if (address !== undefined) return { web, base: `http://${address}/` };
  }
  throw new Error('the page is not served');
}

const median = (/** @type {number[]} */ values) => values.sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;

/** Processor time that a process has used, in seconds. */
function used(/** @type {number} */ pid) {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

function resident(/** @type {number} */ pid) {
  const [, kilobytes] = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
  return Number(kilobytes) * 1024;
}

const { web, base } = await serve();
const pid = web.pid ?? 0;
const browser = await launch();
const viewport = { width: 390, height: 844 };

/** Bytes of the page's files as they go over the wire, the first time. */
async function firstLoad() {
  const context = await browser.newContext({ viewport });
  const page = await context.newPage();
  const network = await context.newCDPSession(page);
  await network.send('Network.enable');
  /** @type {Map<string, string>} */
  const urls = new Map();
  let bytes = 0;
  network.on('Network.requestWillBeSent', ({ requestId, request }) => urls.set(requestId, request.url));
  network.on('Network.loadingFinished', ({ requestId, encodedDataLength }) => {
    if (!(urls.get(requestId) ?? '/api/').includes('/api/')) bytes += encodedDataLength;
  });
  await page.goto(base, { waitUntil: 'networkidle' });
  await context.close();
  return bytes;
}

async function paired() {
  const context = await browser.newContext({ viewport });
  await context.addCookies([{ name: 'edgeward', value: 'bench', url: base }]);
  return context;
}

/** From the tap on a bookmark to the questions. */
async function inbox() {
  const page = await (await paired()).newPage();
  await page.goto(base);
  await page.locator('article[data-edge]').first().waitFor();
  const took = await page.evaluate(() => performance.now());
  await page.context().close();
  return took;
}

/** From a tap on one page until the question is gone from every page. */
async function decision(/** @type {import('playwright-core').Page[]} */ pages) {
  const [first] = pages;
  if (first === undefined) return 0;
  const id = await first.locator('article[data-edge]').first().getAttribute('data-edge');
  const gone = pages.map((page) =>
    page.evaluate(
      (edge) =>
        new Promise((resolve) => {
          const card = () => document.querySelector(`article[data-edge="${edge}"]`);
          new MutationObserver((_, observer) => {
            if (card() !== null) return;
            observer.disconnect();
            resolve(Date.now());
          }).observe(document.body, { childList: true, subtree: true });
        }),
      id,
    ),
  );
  // The observers are there when the pages have answered something that was asked later.
  await Promise.all(pages.map((page) => page.evaluate(() => 0)));
  const tapped = await first.evaluate((edge) => {
    const at = Date.now();
    document.querySelector(`article[data-edge="${edge}"] .refuse`)?.dispatchEvent(new MouseEvent('click', { bubbles: true }));
    return at;
  }, id);
  return Math.max(...(await Promise.all(gone)).map(Number)) - tapped;
}

const first_load_gzip_bytes = await firstLoad();
const inboxes = [];
for (let round = 0; round < ROUNDS; round += 1) inboxes.push(await inbox());

// Each in a browser of its own, as on so many phones.
const pages = await Promise.all(Array.from({ length: PAGES }, async () => (await paired()).newPage()));
for (const page of pages) {
  await page.goto(base);
  await page.locator('article[data-edge]').first().waitFor();
}
const before = used(pid);
await new Promise((passed) => setTimeout(passed, IDLE_SECONDS * 1000));
const idle_cpu_percent = ((used(pid) - before) / IDLE_SECONDS) * 100;
const decisions = [];
for (let round = 0; round < QUESTIONS; round += 1) decisions.push(await decision(pages));
const web_rss_bytes = resident(pid);

await browser.close();
web.kill();
daemon.close();
for (const watcher of watchers) watcher.destroy();
rmSync(folder, { recursive: true });
console.log(
  JSON.stringify({
    devices: DEVICES,
    edges: EDGES,
    inbox_ms: Math.round(median(inboxes)),
    first_load_gzip_bytes,
    decision_ms: Math.max(...decisions),
    idle_cpu_percent: Number(idle_cpu_percent.toFixed(2)),
    web_rss_bytes,
  }),
);
