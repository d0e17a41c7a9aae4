// Every text of the page, made from codes and parameters. The page translates DESIGN's words here and nowhere else.

import { assertNever } from './assert';
import type { Failure } from './api';
import { isAddress, kindOf, SIGN_IN, SPEAKS, type Action, type Consequence, type Reading, type Who } from './reading';
import type { Answer, Decision, Edge, EdgeState, Kind, Learning, Lifetime, PrincipalMode, Risk } from './types';

export type Lang = 'en' | 'de';

export const LANGS: readonly Lang[] = ['en', 'de'];

/** Text of a kind of device: as a label, and in the plural for "… normally don't …". */
type Kinds = Record<Kind, readonly [label: string, plural: string]>;

export interface Words {
  lang: Lang;
  title: string;
  nav: { decide: string; map: string; devices: string; history: string };
  state: Record<EdgeState, string>;
  risk: Record<Risk, string>;
  consequence: Record<Consequence, string>;
  who(who: Who): string;
  /** As the object of a sentence. */
  whom(who: Who): string;
  does(action: Action): (target: string, what: string) => string;
  sentence(reading: Reading, what: string): string;
  kinds: Kinds;
  violated(code: string | null | undefined, edge: Edge): string;
  classSentence(kind: string, target: string): string | undefined;
  /** Why it is asked about something that reaches for a device of unknown kind. */
  unknownTarget: string;
  facts(tries: number, blocked: boolean, first: string): string;
  things(count: number): string;
  mode: Record<PrincipalMode, string>;
  modeMeans: Record<PrincipalMode, string>;
  learning(learning: Learning, now: number): string;
  status: {
    protecting(devices: number): string;
    learning(ready: number, all: number): string;
    watching: string;
    paused(until: string): string;
    fault: string;
    away: string;
    starting: string;
    noDevices: string;
  };
  card: {
    keepBlocked: string;
    block: string;
    whyAsked: string;
    allow: string;
    later: string;
    why: string;
    hide: string;
    applying: string;
    failed: string;
    retry: string;
    changed: string;
    gone: string;
    settled(by: string | undefined, answer: Answer | undefined, at: string): string;
    remove: string;
    show: string;
    laterGroup(count: number): string;
    asksAgain: string;
    showAll(count: number): string;
  };
  sheet: {
    title: string;
    once: string;
    onceHint: string;
    hour: string;
    hourHint: string;
    always: string;
    alwaysHint: string;
    scope(from: string, to: string, what: string): string;
    sure(source: string, consequence: Consequence, target: string): string;
    sureTitle: string;
    yesAlways: string;
    cancel: string;
  };
  evidence: {
    action: string;
    because: string;
    from: string;
    to: string;
    receivers: string;
    usually: string;
    seen: string;
    times: string;
    loading: string;
  };
  done: {
    blocked: string;
    allowed(lifetime: string): string;
    undone: string;
    undo: string;
    close: string;
  };
  lifetime(lifetime: Lifetime): string;
  /** What a decision says besides: `neutralised`, `not retained`, `QoS at most 1`. */
  term(term: string): string;
  quiet: { title: string; last: string };
  map: {
    title: string;
    choose: string;
    may: string;
    isReached: string;
    waiting: string;
    blocked: string;
    none: string;
    all: string;
    needsYou: string;
    connections: string;
    columns: { state: string; from: string; to: string; does: string; times: string; last: string };
    internet: string;
    noRoom: string;
    legend: string;
    search: string;
    searchShort: string;
    nothingSelected: string;
    more(hidden: number): string;
    pair(from: string, to: string): string;
  };
  devices: {
    title: string;
    empty: string;
    callsItself(name: string): string;
    sameName(name: string): string;
    name: string;
    room: string;
    kind: string;
    save: string;
    saved: string;
    edit: string;
    guessed: string;
    firstSeen: string;
    lastSeen: string;
    address: string;
    habits(count: number): string;
    newTitle: string;
    newText: string;
    ours: string;
    guest: string;
    keepOut: string;
    finish: string;
    relearn: string;
    quarantine: string;
    release: string;
    pause: string;
    paused(until: string): string;
    showMap: string;
    stillLearning(name: string): string;
    enforcesAt(at: string): string;
    capped: string;
    protection: string;
    protectNow: string;
    stopProtecting: string;
    protectHint: string;
    protectOn: string;
    trouble: string;
    troubleLook: string;
    troubleNone(minutes: number): string;
    troubleBlocked(minutes: number): string;
  };
  history: {
    title: string;
    empty: string;
    undo: string;
    undone: string;
    entry(decision: Decision, from: string, to: string, does: string): string;
    by(name: string, at: string): string;
  };
  bars: {
    reconnecting(at: string): string;
    daemonAway(at: string): string;
    fault: string;
    confirm(until: string): string;
    confirmYes: string;
    clock: string;
    newBuild: string;
    reload: string;
    coverage: string;
    monitor: string;
  };
  pair: {
    title: string;
    loggedOut: string;
    intro: string;
    code: string;
    codeHint: string;
    name: string;
    defaultName: string;
    submit: string;
    wrong: string;
    gone: string;
    tooMany: string;
    noCode: string;
  };
  menu: { open: string; logOut: string; keys: string; language: string; keysHelp: string };
  problem(failure: Failure): string;
  unknownDevice: string;
  today(time: string): string;
  yesterday(time: string): string;
  duration(seconds: number): string;
}

const capital = (text: string) => text.charAt(0).toUpperCase() + text.slice(1);

/** A bare address gets a word before it. */
const serverName = (name: string | undefined, none: string, word: string): string =>
  name === undefined ? none : isAddress(name) ? `${word} ${name}` : name;

/** Host and path of a request, as an owner may know them from the address line of a browser; nothing for registers. */
export function pathOf(object: string): string | undefined {
  const [, path] = /^(?:http|coap):(?:\d+:)?(.+)$/.exec(object) ?? [];
  return path?.replace(/^\/\//, '');
}

/** The name in a TLS connection. */
const serverOf = (object: string): string => object.replace(/^tls:(?:\d+:)?/, '');

/** A protocol's usual name; nothing for what cannot be read. */
function protocolOf(object: string): string | undefined {
  const [, protocol] = SPEAKS.exec(object) ?? [];
  const names: Readonly<Record<string, string>> = { coap: 'CoAP', modbus: 'Modbus', quic: 'QUIC', websocket: 'WebSocket' };
  return protocol === undefined || protocol === 'opaque' ? undefined : (names[protocol] ?? protocol.toUpperCase());
}

const HOUR = 3600;
const DAY = 24 * HOUR;

function spans(units: readonly (readonly [one: string, many: string])[]): (seconds: number) => string {
  const sizes = [DAY, HOUR, 60, 1];
  return (seconds) => {
    const index = sizes.findIndex((size) => seconds >= size * 2 || size === 1 || seconds === size);
    const count = Math.max(0, Math.round(seconds / (sizes[index] ?? 1)));
    const [one, many] = units[index] ?? ['', ''];
    return `${count} ${count === 1 ? one : many}`;
  };
}

/** Day so-and-so of at least so many; shorter learning is told in hours or less. */
function learningDays(learning: Learning, now: number): { day: number; least: number } | undefined {
  const passed = Math.max(0, now - learning.since);
  const least = passed + learning.at_least_seconds;
  if (least < DAY) return undefined;
  return { day: Math.floor(passed / DAY) + 1, least: Math.round(least / DAY) };
}

const enDuration = spans([
  ['day', 'days'],
  ['hour', 'hours'],
  ['minute', 'minutes'],
  ['second', 'seconds'],
]);

const enWho = (who: Who): string => {
  switch (who.is) {
    case 'box':
      return 'this box';
    case 'everyone':
      return 'every device';
    case 'server':
      return serverName(who.name, 'a server on the Internet', 'the server');
    case 'named':
      return who.name;
    case 'unnamed':
      return `“${who.name}”`;
    case 'unknown':
      return "a device we don't know";
    default:
      return assertNever(who);
  }
};

/** First words that are ordinary English, so that "Front door lock" becomes "your front door lock" but "Philips" stays. */
const ORDINARY =
  /^(alarm|back|basement|bath|bathroom|battery|bed|bedroom|bike|camera|cellar|ceiling|coffee|desk|dining|door|doorbell|floor|front|garage|garden|gate|guest|hall|hallway|heat|heating|home|house|kitchen|lamp|light|living|lock|main|office|outdoor|robot|side|smoke|solar|thermostat|wall|washing|water|window)\b/i;

const enYour = (name: string): string => {
  if (/^(my|our|your|the) /i.test(name)) return name;
  return `your ${ORDINARY.test(name) ? name.charAt(0).toLowerCase() + name.slice(1) : name}`;
};

const enDoes: Record<Action, (target: string, what: string) => string> = {
  control: (target) => `control ${target}`,
  switch: (target) => `switch ${target}`,
  settings: (target) => `change settings of ${target}`,
  change: (target, what) => {
    const path = pathOf(what);
    return path === undefined ? `change values of ${target}` : `change “${path}” at ${target}`;
  },
  watch: (target) => `watch or listen to ${target}`,
  read: (target, what) => {
    const path = pathOf(what);
    return path === undefined ? `read from ${target}` : `read “${path}” from ${target}`;
  },
  send: (target) => `send data to ${target}`,
  message: (target) => `send a message to ${target}`,
  listen: (target) => `listen to messages at ${target}`,
  sign_in: (target, what) => `sign in at ${target} as “${what.replace(SIGN_IN, '')}”`,
  connect: (target) => `connect to ${target}`,
  speak: (target, what) => {
    const protocol = protocolOf(what);
    return protocol === undefined ? `speak an unknown language with ${target}` : `speak ${protocol} with ${target}`;
  },
  ask_for: (target, what) => {
    const name = serverOf(what);
    return name === '' ? `connect to ${target} without saying for whom` : `connect to ${target}, asking for “${name}”`;
  },
  talk: (target) => `talk to ${target}`,
  ping: (target) => `check whether ${target} is there`,
  frames: (target) => `send special network messages to ${target}`,
  update: (target) => `replace the software of ${target}`,
  scan: () => 'look for other devices in your home',
  resolve: (target, what) => `look up “${what}” at ${target}`,
  delete: (target) => `delete data at ${target}`,
  copy: (target) => `copy its data to ${target}`,
};

const en: Words = {
  lang: 'en',
  title: 'Home firewall',
  nav: { decide: 'Decide', map: 'Map', devices: 'Devices', history: 'History' },
  state: { learned: 'Allowed', allowed: 'Allowed', denied: 'Blocked', pending: 'Waiting for you' },
  risk: { high: 'High risk', medium: 'Medium risk', low: 'Low risk' },
  consequence: {
    unlock: 'Could unlock your door',
    alarm: 'Could switch off your alarm',
    gas: 'Could control gas or fire',
    watch: 'Could watch your home',
    software: 'Could replace its software',
    leaves_home: 'Data leaves your home',
    important: 'Could cause harm',
    new_path: 'A new path between devices',
    small: 'A small change',
  },
  who: enWho,
  whom: (who) => (who.is === 'named' ? enYour(who.name) : enWho(who)),
  does: (action) => enDoes[action],
  sentence: ({ source, action, target, via }, what) => {
    const through = via === undefined ? '' : `, through ${enWho(via)}`;
    return `${capital(enWho(source))} wants to ${enDoes[action](en.whom(target), what)}${through}`;
  },
  kinds: {
    unknown: ['Not known', 'Devices we do not know'],
    lock: ['Lock or door', 'Locks'],
    alarm: ['Alarm', 'Alarms'],
    camera: ['Camera', 'Cameras'],
    gas: ['Gas, stove or boiler', 'Stoves and boilers'],
    medical: ['Medical device', 'Medical devices'],
    heating: ['Heating', 'Heaters'],
    light: ['Light', 'Lights'],
    plug: ['Plug or switch', 'Plugs'],
    blind: ['Blind or window', 'Blinds'],
    fan: ['Fan or air conditioner', 'Fans'],
    sensor: ['Sensor', 'Sensors'],
    meter: ['Meter', 'Meters'],
    battery: ['Battery', 'Batteries'],
    inverter: ['Solar inverter', 'Inverters'],
    charger: ['Charger', 'Chargers'],
    washing_machine: ['Washing machine', 'Washing machines'],
    fridge: ['Fridge', 'Fridges'],
    coffee_machine: ['Coffee machine', 'Coffee machines'],
    vacuum: ['Robot vacuum', 'Robot vacuums'],
    watering: ['Watering', 'Watering systems'],
    speaker: ['Speaker', 'Speakers'],
    media: ['TV or media', 'TVs'],
    toy: ['Toy', 'Toys'],
    hub: ['Home hub', 'Hubs'],
    router: ['Router', 'Routers'],
    storage: ['Storage', 'Storage devices'],
    computer: ['Computer', 'Computers'],
    phone: ['Phone or tablet', 'Phones'],
    printer: ['Printer', 'Printers'],
    controller: ['Controller', 'Controllers'],
    machine: ['Machine', 'Machines'],
    other: ['Something else', 'Such devices'],
  },
  violated: (code, edge) => {
    switch (code) {
      case 'op.not_in_model':
        return 'It has never done this before.';
      case 'edge.not_in_model':
        return 'These two have never talked to each other.';
      case 'class.forbidden':
        return 'It is asked about every time something new reaches for such a device.';
      case 'dest.new':
        return `A server it has never used: ${edge.to.name}.`;
      case 'principal.new':
        return 'This device is new here.';
      case 'guest.inside':
        return 'A guest may only use the Internet.';
      case 'quarantine':
        return 'It is cut off.';
      case 'client.taken':
        return 'It signs in with a name that belongs to another device.';
      case 'protocol':
        return 'This connection is known, but not that it speaks like this.';
      case 'name.mismatch':
        return 'It names a server, but the address was never given for that name.';
      default:
        return 'This is not among its habits.';
    }
  },
  unknownTarget: 'Nobody has said yet what kind of device this is, so whatever is new for it is asked about.',
  classSentence: (kind, target) => {
    const plural = kindText(en, kind)?.[1];
    if (plural === undefined || kind === 'unknown' || kind === 'other') return undefined;
    switch (target) {
      case 'lock':
        return `${plural} normally don't control locks.`;
      case 'alarm':
        return `${plural} normally don't control alarms.`;
      case 'camera':
        return `${plural} normally don't use cameras.`;
      case 'gas':
        return `${plural} normally don't control gas or fire.`;
      default:
        return undefined;
    }
  },
  facts: (tries, blocked, first) => {
    const count = tries === 1 ? '1 try' : `${tries.toLocaleString('en')} tries`;
    return `${count} · ${blocked ? 'blocked for now' : 'not blocked, only watching now'} · first ${first}`;
  },
  things: (count) => (count === 1 ? '1 thing needs your decision' : `${count} things need your decision`),
  mode: {
    new: 'New here',
    learning: 'Learning',
    ready: 'Ready',
    enforcing: 'Protected',
    guest: 'Guest',
    quarantine: 'Cut off',
    outside: 'Internet',
    system: 'Part of the box',
  },
  modeMeans: {
    new: 'It may only join the network until you say what it is.',
    learning: 'Not protected yet: what it does becomes its habits.',
    ready: 'Its habits are known; protection begins soon.',
    enforcing: 'Only its habits and what you allowed pass.',
    guest: 'It may use the Internet and nothing in your home.',
    quarantine: 'Nothing passes from it or to it.',
    outside: 'A server on the Internet.',
    system: 'Edgeward itself.',
  },
  learning: (learning, now) => {
    const days = learningDays(learning, now);
    const habits = learning.habits === 1 ? '1 habit' : `${learning.habits} habits`;
    if (days !== undefined) return `Day ${days.day}, at least ${days.least} · ${habits} learned`;
    return learning.at_least_seconds > 0
      ? `At least ${enDuration(learning.at_least_seconds)} more · ${habits} learned`
      : `${capital(habits)} learned`;
  },
  status: {
    protecting: (devices) => (devices === 1 ? 'Protecting 1 device' : `Protecting ${devices} devices`),
    learning: (ready, all) => `Learning. Not protecting yet (${ready} of ${all} ready)`,
    watching: 'Watching only. Nothing is blocked',
    paused: (until) => `Paused until ${until}. Nothing is blocked`,
    fault: 'Protection has a fault',
    away: 'Edgeward is not running',
    starting: 'Connecting…',
    noDevices: 'No devices yet',
  },
  card: {
    keepBlocked: 'Keep blocked',
    block: 'Block',
    whyAsked: 'Why am I asked?',
    allow: 'Allow…',
    later: 'Decide later',
    why: 'Why was this stopped?',
    hide: 'Hide',
    applying: 'Applying…',
    failed: 'Not saved. It is still blocked.',
    retry: 'Try again',
    changed: 'This has changed meanwhile. Please look again.',
    gone: 'No longer needed',
    settled: (by, answer, at) => {
      if (answer === undefined) return 'No longer needed';
      const did = answer === 'allow' ? 'allowed' : 'blocked';
      return by === undefined ? `Already ${did} at ${at}` : `${by} already ${did} this at ${at}`;
    },
    remove: 'Remove',
    show: 'Change',
    laterGroup: (count) => (count === 1 ? '1 put off, still blocked' : `${count} put off, still blocked`),
    asksAgain: 'It stays blocked. You are asked again after a day.',
    showAll: (count) => `Show all ${count}`,
  },
  sheet: {
    title: 'Allow for how long?',
    once: 'Just once',
    onceHint: 'The next try within 10 minutes; then it asks again.',
    hour: '1 hour',
    hourHint: 'Then it is blocked again and asks at its next try.',
    always: 'Always',
    alwaysHint: 'Until you change it under History.',
    scope: (from, to, what) => `Only ${from} → ${to}, only ${what}.`,
    sure: (source, consequence, target) => {
      switch (consequence) {
        case 'unlock':
          return `${capital(source)} could then unlock ${target} at any time.`;
        case 'alarm':
          return `${capital(source)} could then switch off ${target} at any time.`;
        case 'watch':
          return `${capital(source)} could then use ${target} at any time.`;
        case 'gas':
          return `${capital(source)} could then control ${target} at any time.`;
        case 'important':
        case 'software':
          return `${capital(source)} could then do this to ${target} at any time.`;
        case 'leaves_home':
        case 'new_path':
        case 'small':
          return `${capital(source)} could then do this at any time.`;
        default:
          return assertNever(consequence);
      }
    },
    sureTitle: 'Really always?',
    yesAlways: 'Yes, always allow',
    cancel: 'Cancel',
  },
  evidence: {
    action: 'What it tried',
    because: 'Why it was stopped',
    from: 'From',
    to: 'To',
    receivers: 'Who would receive it',
    usually: 'What it usually does',
    seen: 'What was seen',
    times: 'When',
    loading: 'Looking it up…',
  },
  done: {
    blocked: 'Blocked',
    allowed: (lifetime) => `Allowed ${lifetime}`,
    undone: 'Undone. Connections that it had opened have ended.',
    undo: 'Undo',
    close: 'Close',
  },
  lifetime: (lifetime) => {
    if (lifetime === 'once') return 'just once';
    if (lifetime === 'always') return 'always';
    if (lifetime === 'until_restart') return 'until the box restarts';
    if ('uses' in lifetime) return `${lifetime.uses} times`;
    if ('for' in lifetime) return `for ${enDuration(lifetime.for)}`;
    return 'until a date';
  },
  term: (term) => (term === 'neutralised' ? 'made harmless instead of cut off' : term),
  quiet: { title: 'All quiet. New things stay blocked until you decide.', last: 'Last decision' },
  map: {
    title: 'Who talks to whom',
    choose: 'Show the connections of',
    may: 'It may',
    isReached: 'Others may',
    waiting: 'Waiting for you',
    blocked: 'Blocked',
    none: 'Nothing here.',
    all: 'All',
    needsYou: 'Needs you',
    connections: 'Connections',
    columns: { state: 'State', from: 'From', to: 'To', does: 'Does', times: 'Times', last: 'Last' },
    internet: 'Internet',
    noRoom: 'No room yet',
    legend: 'What the lines mean',
    search: 'Search devices and connections',
    searchShort: 'Search',
    nothingSelected: 'Choose a question, a device or a connection to see what is known about it.',
    more: (hidden) => `${hidden} more in the table`,
    pair: (from, to) => `${from} to ${to}`,
  },
  devices: {
    title: 'Devices',
    empty: "I don't see any devices yet. Is the box connected between router and Wi-Fi?",
    callsItself: (name) => `calls itself “${name}”`,
    sameName: (name) => `Careful: another device is called “${name}” already.`,
    name: 'Name',
    room: 'Room',
    kind: 'What is it?',
    save: 'Save',
    saved: 'Saved',
    edit: 'Name and room',
    guessed: 'a guess, please confirm',
    firstSeen: 'First seen',
    lastSeen: 'Last seen',
    address: 'Address',
    habits: (count) => (count === 1 ? '1 habit' : `${count} habits`),
    newTitle: 'New device',
    newText: 'It may only join the network until you decide.',
    ours: "It's ours, learn it",
    guest: 'Guest: Internet only',
    keepOut: 'Keep out',
    finish: 'Protect now',
    relearn: 'Learn again',
    quarantine: 'Cut off',
    release: 'Let it back in',
    pause: 'Pause blocking for 15 minutes',
    paused: (until) => `Not blocked until ${until}`,
    showMap: 'Show its connections',
    stillLearning: (name) => `Still learning: ${name}`,
    enforcesAt: (at) => `Protected from ${at}`,
    capped: 'It reached for unusually many others, so learning was stopped.',
    protection: 'Protection',
    protectNow: 'Start blocking',
    stopProtecting: 'Only watch',
    protectHint: 'At the moment everything passes and is only recorded.',
    protectOn: 'What is neither a habit nor allowed by you is blocked.',
    trouble: "Something doesn't work",
    troubleLook: 'What was blocked lately?',
    troubleNone: (minutes) => `Nothing was blocked for it in the last ${minutes} minutes.`,
    troubleBlocked: (minutes) => `Blocked for it in the last ${minutes} minutes:`,
  },
  history: {
    title: 'History',
    empty: 'Nothing has been decided yet.',
    undo: 'Undo',
    undone: 'Undone',
    entry: (decision, from, to, does) => {
      switch (decision.what) {
        case 'allow':
          return `Allowed: ${from} may ${does}`;
        case 'deny':
          return `Blocked: ${from} may not ${does}`;
        case 'undo':
          return from === '' ? 'Undone' : `Undone: ${from} → ${to}`;
        case 'mode':
          return from === '' ? siteModeText(decision.detail, ['Blocking began', 'Only watching', 'Blocking confirmed']) : `${from}: ${modeText(en, decision.detail)}`;
        case 'pause':
          return from === '' ? 'Blocking paused' : `Blocking paused for ${from}`;
        case 'learn':
          return from === '' ? 'Learning changed' : `${from}: ${modeText(en, decision.detail)}`;
        case 'principal':
          return `Changed: ${from}`;
        case 'remove':
          return `Forgotten: ${from} → ${to}`;
        case 'import':
          return 'Model imported';
        default:
          return `${decision.what} ${from}`;
      }
    },
    by: (name, at) => `${name} · ${at}`,
  },
  bars: {
    reconnecting: (at) => `Reconnecting… What you see is from ${at}.`,
    daemonAway: (at) =>
      `Edgeward has not been running since ${at}. What is blocked stays blocked; new questions cannot be asked. Start it again or restart the box.`,
    fault: 'Protection is not complete.',
    confirm: (until) => `Blocking has begun. Does everything still work? Without an answer it ends at ${until}.`,
    confirmYes: 'Keep blocking',
    clock: 'The clock of the box is not set. Times may be wrong.',
    newBuild: 'The page was updated.',
    reload: 'Reload',
    coverage: 'Not covered:',
    monitor: 'Only watching: nothing is blocked.',
  },
  pair: {
    title: 'Connect this phone',
    loggedOut: 'This phone was logged out. Connect it again to go on.',
    intro: 'Only people with access to the box can connect a phone or browser.',
    code: 'Code from the box',
    codeHint: 'Run “edgeward pair” on the box, or scan the code that it shows.',
    name: 'What shall we call this phone?',
    defaultName: 'My phone',
    submit: 'Connect',
    wrong: 'That code is not right. Please check it.',
    gone: 'That code was used or is too old. Ask the box for a new one.',
    tooMany: 'Too many wrong codes. Ask the box for a new one.',
    noCode: 'Enter the code that the box shows.',
  },
  menu: {
    open: 'Menu',
    logOut: 'Log out',
    keys: 'Keyboard shortcuts',
    language: 'Language',
    keysHelp: 'J and K choose, B keeps blocked, A allows, U undoes, / searches',
  },
  problem: (failure) => {
    if (failure.kind === 'unreachable') return 'The box cannot be reached. Nothing was changed.';
    switch (failure.problem.code) {
      case 'unavailable':
        return 'Edgeward is not running. What is blocked stays blocked.';
      case 'not_found':
        return 'This does not exist any more.';
      case 'forbidden':
        return 'You may not do this. Ask the owner.';
      case 'conflict':
        return 'It has changed meanwhile. Please look again.';
      case 'too_many':
        return 'Too much at once. Please wait a moment.';
      default:
        return failure.problem.title === '' ? 'That did not work. Please try again.' : failure.problem.title;
    }
  },
  unknownDevice: "A device we don't know",
  today: (time) => `today ${time}`,
  yesterday: (time) => `yesterday ${time}`,
  duration: enDuration,
};

const deDuration = spans([
  ['Tag', 'Tage'],
  ['Stunde', 'Stunden'],
  ['Minute', 'Minuten'],
  ['Sekunde', 'Sekunden'],
]);

const deWho = (who: Who): string => {
  switch (who.is) {
    case 'box':
      return 'diese Box';
    case 'everyone':
      return 'alle Geräte';
    case 'server':
      return serverName(who.name, 'ein Server im Internet', 'der Server');
    case 'named':
      return who.name;
    case 'unnamed':
      return `„${who.name}“`;
    case 'unknown':
      return 'ein Gerät, das wir nicht kennen';
    default:
      return assertNever(who);
  }
};

/** What stands before the target, and the verb at the end. */
const deDoes: Record<Action, (target: string, what: string) => string> = {
  control: (target) => `${target} steuern`,
  switch: (target) => `${target} schalten`,
  settings: (target) => `Einstellungen ändern: ${target}`,
  change: (target, what) => {
    const path = pathOf(what);
    return path === undefined ? `Werte ändern: ${target}` : `„${path}“ ändern: ${target}`;
  },
  watch: (target) => `zusehen oder mithören: ${target}`,
  read: (target, what) => {
    const path = pathOf(what);
    return path === undefined ? `Daten lesen: ${target}` : `„${path}“ lesen: ${target}`;
  },
  send: (target) => `Daten an ${target} senden`,
  message: (target) => `eine Nachricht an ${target} senden`,
  listen: (target) => `Nachrichten bei ${target} mithören`,
  sign_in: (target, what) => `sich bei ${target} als „${what.replace(SIGN_IN, '')}“ anmelden`,
  connect: (target) => `sich mit ${target} verbinden`,
  speak: (target, what) => {
    const protocol = protocolOf(what);
    return protocol === undefined ? `mit ${target} eine unbekannte Sprache sprechen` : `mit ${target} ${protocol} sprechen`;
  },
  ask_for: (target, what) => {
    const name = serverOf(what);
    return name === ''
      ? `sich mit ${target} verbinden, ohne zu sagen, zu wem`
      : `sich mit ${target} verbinden und „${name}“ verlangen`;
  },
  talk: (target) => `mit ${target} sprechen`,
  ping: (target) => `prüfen, ob ${target} da ist`,
  frames: (target) => `besondere Netzwerk-Nachrichten an ${target} senden`,
  update: (target) => `die Software von ${target} ersetzen`,
  scan: () => 'nach anderen Geräten in Ihrem Zuhause suchen',
  resolve: (target, what) => `„${what}“ bei ${target} nachschlagen`,
  delete: (target) => `Daten bei ${target} löschen`,
  copy: (target) => `seine Daten nach ${target} kopieren`,
};

const de: Words = {
  lang: 'de',
  title: 'Heim-Firewall',
  nav: { decide: 'Entscheiden', map: 'Karte', devices: 'Geräte', history: 'Verlauf' },
  state: { learned: 'Erlaubt', allowed: 'Erlaubt', denied: 'Blockiert', pending: 'Wartet auf Sie' },
  risk: { high: 'Hohes Risiko', medium: 'Mittleres Risiko', low: 'Geringes Risiko' },
  consequence: {
    unlock: 'Könnte Ihre Tür öffnen',
    alarm: 'Könnte Ihren Alarm ausschalten',
    gas: 'Könnte Gas oder Feuer steuern',
    watch: 'Könnte Ihr Zuhause beobachten',
    software: 'Könnte die Software ersetzen',
    leaves_home: 'Daten verlassen Ihr Zuhause',
    important: 'Könnte Schaden anrichten',
    new_path: 'Ein neuer Weg zwischen Geräten',
    small: 'Eine kleine Änderung',
  },
  who: deWho,
  whom: deWho,
  does: (action) => deDoes[action],
  sentence: ({ source, action, target, via }, what) => {
    const through = via === undefined ? '' : `über ${deWho(via)} `;
    return `${capital(deWho(source))} möchte ${through}${deDoes[action](deWho(target), what)}`;
  },
  kinds: {
    unknown: ['Nicht bekannt', 'Unbekannte Geräte'],
    lock: ['Schloss oder Tür', 'Schlösser'],
    alarm: ['Alarm', 'Alarme'],
    camera: ['Kamera', 'Kameras'],
    gas: ['Gas, Herd oder Heizkessel', 'Herde und Heizkessel'],
    medical: ['Medizinisches Gerät', 'Medizinische Geräte'],
    heating: ['Heizung', 'Heizungen'],
    light: ['Licht', 'Lampen'],
    plug: ['Steckdose oder Schalter', 'Steckdosen'],
    blind: ['Rollladen oder Fenster', 'Rollläden'],
    fan: ['Lüfter oder Klimaanlage', 'Lüfter'],
    sensor: ['Sensor', 'Sensoren'],
    meter: ['Zähler', 'Zähler'],
    battery: ['Batterie', 'Batterien'],
    inverter: ['Wechselrichter', 'Wechselrichter'],
    charger: ['Ladegerät', 'Ladegeräte'],
    washing_machine: ['Waschmaschine', 'Waschmaschinen'],
    fridge: ['Kühlschrank', 'Kühlschränke'],
    coffee_machine: ['Kaffeemaschine', 'Kaffeemaschinen'],
    vacuum: ['Saugroboter', 'Saugroboter'],
    watering: ['Bewässerung', 'Bewässerungen'],
    speaker: ['Lautsprecher', 'Lautsprecher'],
    media: ['Fernseher oder Medien', 'Fernseher'],
    toy: ['Spielzeug', 'Spielzeuge'],
    hub: ['Zentrale', 'Zentralen'],
    router: ['Router', 'Router'],
    storage: ['Speicher', 'Speicher'],
    computer: ['Computer', 'Computer'],
    phone: ['Telefon oder Tablet', 'Telefone'],
    printer: ['Drucker', 'Drucker'],
    controller: ['Steuerung', 'Steuerungen'],
    machine: ['Maschine', 'Maschinen'],
    other: ['Etwas anderes', 'Solche Geräte'],
  },
  violated: (code, edge) => {
    switch (code) {
      case 'op.not_in_model':
        return 'Das hat es noch nie getan.';
      case 'edge.not_in_model':
        return 'Diese beiden haben noch nie miteinander gesprochen.';
      case 'class.forbidden':
        return 'Bei solchen Geräten wird bei allem Neuen gefragt.';
      case 'dest.new':
        return `Ein Server, den es noch nie benutzt hat: ${edge.to.name}.`;
      case 'principal.new':
        return 'Dieses Gerät ist neu hier.';
      case 'guest.inside':
        return 'Ein Gast darf nur ins Internet.';
      case 'quarantine':
        return 'Es ist abgetrennt.';
      case 'protocol':
        return 'Diese Verbindung ist bekannt, aber nicht, dass sie so spricht.';
      case 'client.taken':
        return 'Es meldet sich mit einem Namen an, der einem anderen Gerät gehört.';
      case 'name.mismatch':
        return 'Es nennt einen Server, aber die Adresse wurde nie für diesen Namen vergeben.';
      default:
        return 'Das gehört nicht zu seinen Gewohnheiten.';
    }
  },
  unknownTarget: 'Niemand hat bisher gesagt, was für ein Gerät das ist; deshalb wird bei allem Neuen gefragt.',
  classSentence: (kind, target) => {
    const plural = kindText(de, kind)?.[1];
    if (plural === undefined || kind === 'unknown' || kind === 'other') return undefined;
    switch (target) {
      case 'lock':
        return `${plural} steuern normalerweise keine Schlösser.`;
      case 'alarm':
        return `${plural} steuern normalerweise keine Alarme.`;
      case 'camera':
        return `${plural} benutzen normalerweise keine Kameras.`;
      case 'gas':
        return `${plural} steuern normalerweise weder Gas noch Feuer.`;
      default:
        return undefined;
    }
  },
  facts: (tries, blocked, first) => {
    const count = tries === 1 ? '1 Versuch' : `${tries.toLocaleString('de')} Versuche`;
    return `${count} · ${blocked ? 'vorerst blockiert' : 'nicht blockiert, nur beobachtet'} · zuerst ${first}`;
  },
  things: (count) => (count === 1 ? '1 Sache wartet auf Ihre Entscheidung' : `${count} Dinge warten auf Ihre Entscheidung`),
  mode: {
    new: 'Neu hier',
    learning: 'Lernt',
    ready: 'Bereit',
    enforcing: 'Geschützt',
    guest: 'Gast',
    quarantine: 'Abgetrennt',
    outside: 'Internet',
    system: 'Teil der Box',
  },
  modeMeans: {
    new: 'Es darf nur dem Netz beitreten, bis Sie sagen, was es ist.',
    learning: 'Noch nicht geschützt: Was es tut, wird seine Gewohnheit.',
    ready: 'Seine Gewohnheiten sind bekannt; der Schutz beginnt bald.',
    enforcing: 'Nur seine Gewohnheiten und was Sie erlaubt haben kommen durch.',
    guest: 'Es darf ins Internet und nichts in Ihrem Zuhause erreichen.',
    quarantine: 'Nichts kommt von ihm oder zu ihm durch.',
    outside: 'Ein Server im Internet.',
    system: 'Edgeward selbst.',
  },
  learning: (learning, now) => {
    const days = learningDays(learning, now);
    const habits = learning.habits === 1 ? '1 Gewohnheit' : `${learning.habits} Gewohnheiten`;
    if (days !== undefined) return `Tag ${days.day}, mindestens ${days.least} · ${habits} gelernt`;
    return learning.at_least_seconds > 0
      ? `Noch mindestens ${deDuration(learning.at_least_seconds)} · ${habits} gelernt`
      : `${habits} gelernt`;
  },
  status: {
    protecting: (devices) => (devices === 1 ? 'Schützt 1 Gerät' : `Schützt ${devices} Geräte`),
    learning: (ready, all) => `Lernt. Schützt noch nicht (${ready} von ${all} bereit)`,
    watching: 'Beobachtet nur. Nichts wird blockiert',
    paused: (until) => `Pause bis ${until}. Nichts wird blockiert`,
    fault: 'Der Schutz ist gestört',
    away: 'Edgeward läuft nicht',
    starting: 'Verbinde…',
    noDevices: 'Noch keine Geräte',
  },
  card: {
    keepBlocked: 'Blockiert lassen',
    block: 'Blockieren',
    whyAsked: 'Warum werde ich gefragt?',
    allow: 'Erlauben…',
    later: 'Später entscheiden',
    why: 'Warum wurde das gestoppt?',
    hide: 'Ausblenden',
    applying: 'Wird angewendet…',
    failed: 'Nicht gespeichert. Es ist weiterhin blockiert.',
    retry: 'Noch einmal versuchen',
    changed: 'Das hat sich inzwischen geändert. Bitte sehen Sie noch einmal hin.',
    gone: 'Nicht mehr nötig',
    settled: (by, answer, at) => {
      if (answer === undefined) return 'Nicht mehr nötig';
      const did = answer === 'allow' ? 'erlaubt' : 'blockiert';
      return by === undefined ? `Bereits um ${at} ${did}` : `${by} hat das bereits um ${at} ${did}`;
    },
    remove: 'Entfernen',
    show: 'Ändern',
    laterGroup: (count) => `${count} aufgeschoben, weiterhin blockiert`,
    asksAgain: 'Es bleibt blockiert. Nach einem Tag werden Sie wieder gefragt.',
    showAll: (count) => `Alle ${count} zeigen`,
  },
  sheet: {
    title: 'Wie lange erlauben?',
    once: 'Nur einmal',
    onceHint: 'Der nächste Versuch innerhalb von 10 Minuten; dann wird wieder gefragt.',
    hour: '1 Stunde',
    hourHint: 'Dann ist es wieder blockiert und fragt beim nächsten Versuch.',
    always: 'Immer',
    alwaysHint: 'Bis Sie es im Verlauf ändern.',
    scope: (from, to, what) => `Nur ${from} → ${to}, nur ${what}.`,
    sure: (source, consequence, target) => {
      switch (consequence) {
        case 'unlock':
          return `${capital(source)} könnte dann ${target} jederzeit öffnen.`;
        case 'alarm':
          return `${capital(source)} könnte dann ${target} jederzeit ausschalten.`;
        case 'watch':
          return `${capital(source)} könnte dann ${target} jederzeit benutzen.`;
        case 'gas':
          return `${capital(source)} könnte dann ${target} jederzeit steuern.`;
        case 'important':
        case 'software':
          return `${capital(source)} könnte das dann jederzeit tun: ${target}.`;
        case 'leaves_home':
        case 'new_path':
        case 'small':
          return `${capital(source)} könnte das dann jederzeit tun.`;
        default:
          return assertNever(consequence);
      }
    },
    sureTitle: 'Wirklich immer?',
    yesAlways: 'Ja, immer erlauben',
    cancel: 'Abbrechen',
  },
  evidence: {
    action: 'Was es versucht hat',
    because: 'Warum es gestoppt wurde',
    from: 'Von',
    to: 'An',
    receivers: 'Wer es bekommen würde',
    usually: 'Was es sonst tut',
    seen: 'Was zu sehen war',
    times: 'Wann',
    loading: 'Wird nachgesehen…',
  },
  done: {
    blocked: 'Blockiert',
    allowed: (lifetime) => `Erlaubt: ${lifetime}`,
    undone: 'Rückgängig gemacht. Dadurch geöffnete Verbindungen sind beendet.',
    undo: 'Rückgängig',
    close: 'Schließen',
  },
  lifetime: (lifetime) => {
    if (lifetime === 'once') return 'nur einmal';
    if (lifetime === 'always') return 'immer';
    if (lifetime === 'until_restart') return 'bis die Box neu startet';
    if ('uses' in lifetime) return `${lifetime.uses} Mal`;
    if ('for' in lifetime) return `für ${deDuration(lifetime.for)}`;
    return 'bis zu einem Datum';
  },
  term: (term) => {
    const [, qos] = /^QoS at most (\d)$/.exec(term) ?? [];
    if (qos !== undefined) return `QoS höchstens ${qos}`;
    if (term === 'not retained') return 'nicht aufbewahrt';
    return term === 'neutralised' ? 'unschädlich gemacht statt getrennt' : term;
  },
  quiet: { title: 'Alles ruhig. Neues bleibt blockiert, bis Sie entscheiden.', last: 'Letzte Entscheidung' },
  map: {
    title: 'Wer spricht mit wem',
    choose: 'Verbindungen zeigen von',
    may: 'Es darf',
    isReached: 'Andere dürfen',
    waiting: 'Wartet auf Sie',
    blocked: 'Blockiert',
    none: 'Hier ist nichts.',
    all: 'Alle',
    needsYou: 'Wartet auf Sie',
    connections: 'Verbindungen',
    columns: { state: 'Zustand', from: 'Von', to: 'An', does: 'Tut', times: 'Mal', last: 'Zuletzt' },
    internet: 'Internet',
    noRoom: 'Noch kein Raum',
    legend: 'Was die Linien bedeuten',
    search: 'Geräte und Verbindungen suchen',
    searchShort: 'Suchen',
    nothingSelected: 'Wählen Sie eine Frage, ein Gerät oder eine Verbindung, um zu sehen, was darüber bekannt ist.',
    more: (hidden) => `${hidden} weitere in der Tabelle`,
    pair: (from, to) => `${from} an ${to}`,
  },
  devices: {
    title: 'Geräte',
    empty: 'Ich sehe noch keine Geräte. Ist die Box zwischen Router und WLAN angeschlossen?',
    callsItself: (name) => `nennt sich „${name}“`,
    sameName: (name) => `Vorsicht: Ein anderes Gerät heißt schon „${name}“.`,
    name: 'Name',
    room: 'Raum',
    kind: 'Was ist es?',
    save: 'Speichern',
    saved: 'Gespeichert',
    edit: 'Name und Raum',
    guessed: 'vermutet, bitte bestätigen',
    firstSeen: 'Zuerst gesehen',
    lastSeen: 'Zuletzt gesehen',
    address: 'Adresse',
    habits: (count) => (count === 1 ? '1 Gewohnheit' : `${count} Gewohnheiten`),
    newTitle: 'Neues Gerät',
    newText: 'Es darf nur dem Netz beitreten, bis Sie entscheiden.',
    ours: 'Es ist unseres, lerne es kennen',
    guest: 'Gast: nur Internet',
    keepOut: 'Nicht hereinlassen',
    finish: 'Jetzt schützen',
    relearn: 'Neu lernen',
    quarantine: 'Abtrennen',
    release: 'Wieder zulassen',
    pause: '15 Minuten nicht blockieren',
    paused: (until) => `Nicht blockiert bis ${until}`,
    showMap: 'Verbindungen zeigen',
    stillLearning: (name) => `Lernt noch: ${name}`,
    enforcesAt: (at) => `Geschützt ab ${at}`,
    capped: 'Es wollte ungewöhnlich viele andere erreichen, deshalb wurde das Lernen beendet.',
    protection: 'Schutz',
    protectNow: 'Jetzt blockieren',
    stopProtecting: 'Nur beobachten',
    protectHint: 'Zurzeit kommt alles durch und wird nur aufgezeichnet.',
    protectOn: 'Was weder Gewohnheit noch von Ihnen erlaubt ist, wird blockiert.',
    trouble: 'Etwas geht nicht',
    troubleLook: 'Was wurde zuletzt blockiert?',
    troubleNone: (minutes) => `In den letzten ${minutes} Minuten wurde nichts blockiert.`,
    troubleBlocked: (minutes) => `In den letzten ${minutes} Minuten blockiert:`,
  },
  history: {
    title: 'Verlauf',
    empty: 'Es wurde noch nichts entschieden.',
    undo: 'Rückgängig',
    undone: 'Rückgängig gemacht',
    entry: (decision, from, to, does) => {
      switch (decision.what) {
        case 'allow':
          return `Erlaubt: ${from} darf ${does}`;
        case 'deny':
          return `Blockiert: ${from} darf nicht ${does}`;
        case 'undo':
          return from === '' ? 'Rückgängig' : `Rückgängig: ${from} → ${to}`;
        case 'mode':
          return from === '' ? siteModeText(decision.detail, ['Blockieren begonnen', 'Nur Beobachtung', 'Blockieren bestätigt']) : `${from}: ${modeText(de, decision.detail)}`;
        case 'pause':
          return from === '' ? 'Blockieren unterbrochen' : `Blockieren unterbrochen für ${from}`;
        case 'learn':
          return from === '' ? 'Lernen geändert' : `${from}: ${modeText(de, decision.detail)}`;
        case 'principal':
          return `Geändert: ${from}`;
        case 'remove':
          return `Vergessen: ${from} → ${to}`;
        case 'import':
          return 'Modell eingelesen';
        default:
          return `${decision.what} ${from}`;
      }
    },
    by: (name, at) => `${name} · ${at}`,
  },
  bars: {
    reconnecting: (at) => `Verbinde neu… Was Sie sehen, ist von ${at}.`,
    daemonAway: (at) =>
      `Edgeward läuft seit ${at} nicht mehr. Was blockiert ist, bleibt blockiert; neue Fragen sind nicht möglich. Starten Sie es oder die Box neu.`,
    fault: 'Der Schutz ist nicht vollständig.',
    confirm: (until) => `Das Blockieren hat begonnen. Geht noch alles? Ohne Antwort endet es um ${until}.`,
    confirmYes: 'Weiter blockieren',
    clock: 'Die Uhr der Box ist nicht gestellt. Zeiten können falsch sein.',
    newBuild: 'Die Seite wurde erneuert.',
    reload: 'Neu laden',
    coverage: 'Nicht abgedeckt:',
    monitor: 'Nur Beobachtung: Nichts wird blockiert.',
  },
  pair: {
    title: 'Dieses Telefon verbinden',
    loggedOut: 'Dieses Telefon wurde abgemeldet. Verbinden Sie es neu, um weiterzumachen.',
    intro: 'Nur wer Zugang zur Box hat, kann ein Telefon oder einen Browser verbinden.',
    code: 'Code von der Box',
    codeHint: 'Rufen Sie auf der Box „edgeward pair“ auf oder scannen Sie den Code, den sie zeigt.',
    name: 'Wie soll dieses Telefon heißen?',
    defaultName: 'Mein Telefon',
    submit: 'Verbinden',
    wrong: 'Dieser Code stimmt nicht. Bitte prüfen Sie ihn.',
    gone: 'Dieser Code wurde benutzt oder ist zu alt. Lassen Sie sich von der Box einen neuen geben.',
    tooMany: 'Zu viele falsche Codes. Lassen Sie sich von der Box einen neuen geben.',
    noCode: 'Geben Sie den Code ein, den die Box zeigt.',
  },
  menu: {
    open: 'Menü',
    logOut: 'Abmelden',
    keys: 'Tastenkürzel',
    language: 'Sprache',
    keysHelp: 'J und K wählen, B lässt blockiert, A erlaubt, U macht rückgängig, / sucht',
  },
  problem: (failure) => {
    if (failure.kind === 'unreachable') return 'Die Box ist nicht erreichbar. Nichts wurde geändert.';
    switch (failure.problem.code) {
      case 'unavailable':
        return 'Edgeward läuft nicht. Was blockiert ist, bleibt blockiert.';
      case 'not_found':
        return 'Das gibt es nicht mehr.';
      case 'forbidden':
        return 'Das dürfen Sie nicht. Fragen Sie den Eigentümer.';
      case 'conflict':
        return 'Es hat sich inzwischen geändert. Bitte sehen Sie noch einmal hin.';
      case 'too_many':
        return 'Zu viel auf einmal. Bitte warten Sie einen Moment.';
      default:
        return failure.problem.title === '' ? 'Das hat nicht geklappt. Bitte noch einmal versuchen.' : failure.problem.title;
    }
  },
  unknownDevice: 'Ein Gerät, das wir nicht kennen',
  today: (time) => `heute ${time}`,
  yesterday: (time) => `gestern ${time}`,
  duration: deDuration,
};

/** The ledger says `learning to enforcing: why`; people are told where it led. */
function modeText(words: Words, detail: string): string {
  const to = /^\w+ to (\w+)/.exec(detail)?.[1] ?? detail;
  return Object.hasOwn(words.mode, to) ? words.mode[to as PrincipalMode] : detail;
}

function siteModeText(detail: string, [enforce, monitor, confirmed]: readonly [string, string, string]): string {
  if (detail.startsWith('site to enforce')) return enforce;
  if (detail.startsWith('site to monitor')) return monitor;
  return detail === 'enforce confirmed' ? confirmed : detail;
}

/** Lifetime and terms as the ledger has them: `always`, `once`, `3 uses`, `for 3600 s`, `always, neutralised`. */
export function lifetimeText(words: Words, detail: string): string {
  const [lifetime = '', ...terms] = detail.split(', ');
  return [oneLifetime(words, lifetime), ...terms.map((term) => words.term(term))].join(', ');
}

function oneLifetime(words: Words, detail: string): string {
  if (detail === 'always' || detail === 'once' || detail === 'until_restart') return words.lifetime(detail);
  const [, uses] = /^(\d+) uses$/.exec(detail) ?? [];
  if (uses !== undefined) return words.lifetime({ uses: Number(uses) });
  const [, seconds] = /^for (\d+) s$/.exec(detail) ?? [];
  return seconds === undefined ? detail : words.lifetime({ for: Number(seconds) });
}

const ALL: Record<Lang, Words> = { en, de };

export const wordsFor = (lang: Lang): Words => ALL[lang];

export function preferredLang(chosen: string | null, languages: readonly string[]): Lang {
  const isLang = (text: string): text is Lang => (LANGS as readonly string[]).includes(text);
  if (chosen !== null && isLang(chosen)) return chosen;
  for (const language of languages) {
    const short = language.slice(0, 2).toLowerCase();
    if (isLang(short)) return short;
  }
  return 'en';
}

/** Label and plural of a kind; a newer daemon may know more of them. */
export function kindText(words: Words, kind: string): Kinds[Kind] | undefined {
  return Object.hasOwn(words.kinds, kind) ? words.kinds[kind as Kind] : undefined;
}

/** Why it is unusual: the violated property, and what such devices normally do not do. At most two sentences. */
export function whyUnusual(words: Words, edge: Edge, reading: Reading): string {
  const isClass = edge.violated === 'class.forbidden';
  if (isClass && kindOf(reading.target) === 'unknown') return words.unknownTarget;
  const property = words.violated(edge.violated, edge);
  const habit = words.classSentence(kindOf(reading.source), kindOf(reading.target));
  if (habit === undefined) return property;
  // What such devices normally do says why this class is asked about, and says it better.
  return isClass ? habit : `${property} ${habit}`;
}

/** The operation in the protocol's own text. */
export const exactly = (edge: Edge): string => `${edge.verb} ${edge.object}`;

/** A time of day today, otherwise with its day. */
export function when(words: Words, unix: number | null | undefined, now: number): string {
  if (unix === null || unix === undefined) return '–';
  const date = new Date(unix * 1000);
  const time = date.toLocaleTimeString(words.lang, { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' });
  const midnight = new Date(now).setHours(0, 0, 0, 0);
  const ago = midnight - new Date(date).setHours(0, 0, 0, 0);
  // Days around a change of the clock have 23 or 25 hours.
  const days = Math.round(ago / (DAY * 1000));
  if (days === 0) return words.today(time);
  if (days === 1) return words.yesterday(time);
  return `${date.toLocaleDateString(words.lang, { day: 'numeric', month: 'short' })} ${time}`;
}

/** Only the time of day. */
export function clock(words: Words, unix: number | null | undefined): string {
  if (unix === null || unix === undefined) return '–';
  return new Date(unix * 1000).toLocaleTimeString(words.lang, {
    hour: '2-digit',
    minute: '2-digit',
    hourCycle: 'h23',
  });
}
