// English.

import { assertNever } from '../assert';
import { SIGN_IN, type Action, type Who } from '../reading';
import type { Cause, Edge, End, Fact, Fault, ProblemCode } from '../types';
import {
  bytes,
  capital,
  dayTime,
  hourHere,
  kindText,
  listed,
  learningDays,
  modeText,
  pathOf,
  problemText,
  protocolOf,
  quoted,
  runs,
  serverName,
  serverOf,
  siteModeText,
  sizeText,
  spans,
  timeOf,
  unknownWho,
  type Words,
} from './make';

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
      return serverName(who.name, 'a server on the Internet', 'a server we have no name for');
    case 'named':
      return who.name;
    case 'unnamed':
      return `“${who.name}”`;
    case 'unknown':
      return unknownWho(en, "a device we don't know", who);
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
  sign_in: (target, what) => `sign in at ${target} as “${quoted(what.replace(SIGN_IN, ''))}”`,
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
  resolve: (target, what) => `look up “${quoted(what)}” at ${target}`,
  delete: (target) => `delete data at ${target}`,
  copy: (target) => `copy its data to ${target}`,
};

const enCause = (cause: Cause): string => {
  switch (cause.code) {
    case 'source_quarantined':
      return 'The device that tried it is cut off.';
    case 'destination_quarantined':
      return 'The device that it wants to reach is cut off.';
    case 'banned':
      return 'One of the two is locked out for some time.';
    case 'denied':
      return 'Someone has blocked it.';
    case 'allowed':
      return 'Someone has allowed it.';
    case 'source_new':
      return 'Nobody has said yet whether this device belongs here.';
    case 'guest_outside':
      return 'A guest may use the Internet.';
    case 'guest_inside':
      return 'A guest may use the Internet and nothing else.';
    case 'learned':
      return 'It is a habit.';
    case 'learns':
      return 'The device is still learning, so this becomes a habit.';
    case 'box_learns':
      return 'This box talks to a device that is still learning.';
    case 'not_in_model':
      return 'It is neither a habit nor allowed by anyone.';
    case 'guarded':
      return 'It is asked about even while the device learns.';
    case 'other_edge':
      return `Another connection (number ${cause.edge}) decides, which is more exact or stricter.`;
    case 'no_connection':
      return `It travels in a connection to ${quoted(cause.port)}, which is not allowed yet. Nothing passes before that is allowed too.`;
    case 'may_not_speak':
      return `Connections to ${quoted(cause.port)} may not speak ${quoted(cause.protocol)} yet. Nothing passes before that is allowed too.`;
    case 'neutralised':
      return 'Where that is possible, it is made harmless instead of cut off.';
    case 'not_retained':
      return 'The hub must not keep it for later.';
    case 'qos_at_most':
      return `Its quality of service is at most ${cause.qos}.`;
    case 'monitor':
      return 'Nothing is blocked at the moment; the box only watches.';
    default:
      return assertNever(cause);
  }
};

const enVerdict = (verdict: string): string => {
  switch (verdict) {
    case 'FORWARDED':
      return 'The last one passed';
    case 'DROPPED':
      return 'The last one was stopped';
    case 'RESET':
      return 'The last one was refused, and its connection ended';
    case 'NEUTRALISED':
      return 'The last one was made harmless';
    case 'AUDIT':
      return 'The last one passed, because nothing is blocked at the moment';
    default:
      return `The last one: ${quoted(verdict)}`;
  }
};

const enFact = (fact: Fact, who: (end: End) => string): string | undefined => {
  switch (fact.code) {
    case 'rate': {
      const held = fact.dropped === 1 ? '1 packet was held back' : `${fact.dropped.toLocaleString('en')} packets were held back`;
      return `More than ${bytes('en', fact.seen)} a second, at most ${bytes('en', fact.usual)} is usual; ${held}.`;
    }
    case 'size':
      return `${bytes('en', fact.seen)} in an hour, at most ${bytes('en', fact.usual)} is usual.`;
    case 'hour': {
      const usual = runs(fact.usual).map(([from, until]) => `between ${from} and ${until}`);
      const seen = `At ${hourHere(fact.seen)}:00`;
      return usual.length === 0 ? `${seen}.` : `${seen}; usually only ${usual.join(' and ')}.`;
    }
    case 'period':
      return `It usually comes again every ${enDuration(fact.seconds)}.`;
    case 'verdict':
      return `${enVerdict(fact.verdict)} (${quoted(fact.reason)}).`;
    case 'client_taken':
      return 'The name that it signs in with belongs to another device.';
    case 'subscribed':
      return `${capital(who(fact.who))} has asked to be told of it.`;
    case 'encrypted':
      return fact.yes ? 'It is encrypted, so nothing of its content is known.' : 'It is not encrypted; others in your network could read it.';
    case 'held_since':
      return `Only its habits pass since ${dayTime('en', fact.at)}.`;
    case 'meanwhile':
      return `${capital(who(fact.who))} reached ${who(fact.target)} at ${timeOf('en', fact.at)}.`;
    case 'tries':
    case 'times':
    case 'whereabouts':
      return undefined;
    default:
      return assertNever(fact);
  }
};

/** What is unusual, by its measure. */
const enUnusual = (code: 'rate.exceeded' | 'size.exceeded' | 'time.unusual', flag: Edge['flag']): string => {
  const measured = flag?.measured;
  switch (measured?.code) {
    case 'rate':
      return `Much more than usual: over ${bytes('en', measured.seen)} a second instead of at most ${bytes('en', measured.usual)}. What is too much is held back.`;
    case 'size':
      return `Carried ${bytes('en', measured.seen)} within an hour; usually at most ${bytes('en', measured.usual)}.`;
    case 'hour': {
      const usual = runs(measured.usual).map(([from, until]) => `between ${from} and ${until}`);
      const only = usual.length === 0 ? '' : ` Normally only ${usual.join(' and ')}.`;
      return `At ${timeOf('en', flag?.last)}.${only}`;
    }
    default:
      return {
        'rate.exceeded': 'It sends far more than usual. What is too much is held back.',
        'size.exceeded': 'It sends far more at a time than usual.',
        'time.unusual': 'It does this at an hour at which it usually does not.',
      }[code];
  }
};

const enFault = (fault: Fault, since: string): string => {
  switch (fault.code) {
    case 'not_attached':
      return `Protection is not running since ${since}: the box could not guard one of its interfaces, and nothing passes there. Restart the box; “edgeward doctor” on it says more.`;
    case 'guard_missing':
      return `Protection is not complete since ${since}: what holds while Edgeward is being loaded is missing. Restart the box; “edgeward doctor” on it says more.`;
    case 'interface_gone':
      return `The interface “${quoted(fault.interface)}” is missing since ${since}; nothing passes there. Is it plugged in?`;
    case 'state_damaged':
      return `What the box had stored was damaged at ${since}, and it learns everything anew. Whoever has a copy of it can put it back.`;
    case 'table_full':
      return `The box has little room left since ${since} (${quoted(fault.table)}). Remove devices and connections that are not needed any more.`;
    default:
      return assertNever(fault);
  }
};

const enAlarm = (code: string): string => {
  switch (code) {
    case 'scan':
      return 'reached for unusually many others';
    case 'bruteforce':
      return 'tried one wrong password after another';
    case 'slowite':
      return 'held connections open without using them';
    case 'flood':
      return 'sent far more messages than usual';
    case 'malformed':
      return 'sent broken messages';
    case 'spoof.mac':
      return 'was seen at another connector; something else may pretend to be it';
    case 'name.alike':
      return 'calls itself like another device';
    case 'client.taken':
      return 'shows a name that belongs to another device';
    case 'overflow':
      return 'tried so much that not all of it was recorded';
    case 'rules.too_complex':
      return 'a decision about messages does not fit into the box; what held before still holds';
    default:
      return `something unusual happened, ${quoted(code)}`;
  }
};

const enProblems: Record<ProblemCode, string> = {
  not_found: 'This does not exist any more.',
  conflict: 'It has changed meanwhile. Please look again.',
  invalid: 'The box did not understand this. Please reload the page and try again.',
  forbidden: 'You may not do this. Ask the owner.',
  ask_owner: 'Only an owner may do this.',
  pin_needed: 'The PIN of the household is needed.',
  pin_wrong: 'That PIN is not right.',
  pin_format: 'A PIN has 4 to 12 digits.',
  password_wrong: 'This name or password is not right.',
  password_format: 'A password has 10 to 128 characters.',
  name_missing: 'A name is missing.',
  name_taken: 'This name is taken already. Please choose another.',
  name_reserved: 'This name means something else already. Please choose another.',
  server_format: 'Write the server as https://NAME, without anything behind it.',
  broker_format: 'Write the broker as an address or a name, with its port.',
  broker_unreachable: 'No broker answers there. Are address and port right, and is it switched on?',
  broker_refused: 'The broker does not take this user name and password.',
  kind_unknown: 'The box does not know this kind of device.',
  mode_unknown: 'This cannot be chosen for this device.',
  lifetime_missing: 'Please say for how long it is allowed.',
  duration_range: 'This time is too short or too long.',
  date_passed: 'This date is over already.',
  gone: 'This has ended. Please look again.',
  too_many: 'Too much at once. Please wait a moment.',
  unauthenticated: 'This phone is not connected any more.',
  unavailable: 'Edgeward is not running. What is blocked stays blocked.',
  host: 'The page was opened under a name that is not the box’s. Open it by the address of the box.',
  origin: 'This came from another site and was refused.',
  timeout: 'It took too long. We do not know whether it was saved; please look again.',
  undelivered: 'The server did not take the message. Is its address right, and is the box online?',
  in_progress: 'This is being done already. Please wait a moment.',
  internal: 'That did not work. Please try again.',
};

export const en: Words = {
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
        return `A server it has never used: ${quoted(edge.to.name)}.`;
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
      case 'mud.declared':
        return 'Its maker says that it needs this. Nobody has allowed it yet.';
      case 'name.mismatch':
        return 'It names a server, but the address was never given for that name.';
      case 'enc.missing':
        return 'It used to be encrypted here, and is not any more.';
      case 'rate.exceeded':
      case 'size.exceeded':
      case 'time.unusual':
        return enUnusual(code, edge.flag);
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
  goesOn: (since) => `goes on meanwhile · since ${since}`,
  things: (count) => (count === 1 ? '1 thing needs your decision' : `${count} things need your decision`),
  many: (questions, devices, important) => {
    const from = devices === 1 ? '1 device' : `${devices} devices`;
    const rest = important === 0 ? 'None is important' : important === 1 ? '1 is important' : `${important} are important`;
    return `${questions} questions from ${from}. ${rest}`;
  },
  group: {
    title: (source, count, outside) => `${capital(source)} wants to reach ${count} ${outside ? 'servers' : 'other devices'}`,
    text: 'It asked for all of them within a day. Take out what you want to decide by itself.',
    which: 'What it wants to reach',
    block: (count) => `Block ${count}`,
    keepBlocked: (count) => (count === 1 ? 'Keep 1 blocked' : `Keep ${count} blocked`),
    allow: (count) => `Allow ${count}…`,
    partly: (done, failed, why) => `${done === 0 ? '' : `${done} saved. `}${failed} not saved. ${why}`,
    scope: (source, count) => `Only ${source}, and only ${count === 1 ? 'this one' : `these ${count}`}.`,
  },
  mayNot: { look: 'This phone only looks on.', change: 'Only an owner may change this.' },
  offer: {
    title: (source, domain) => `Let ${source} use all servers of ${domain}?`,
    text: (hosts) => `You have allowed it ${hosts} of them, one by one.`,
    opens: (source, domain, operation) =>
      `${capital(source)} could then always reach every server of ${domain}, also new ones, but only with ${operation}.`,
    no: 'No, ask each time',
  },
  cause: {
    update: (device, at, devices) =>
      `After the update of ${device} (${at}), ${devices === 1 ? '1 device tried something new' : `${devices} devices tried something new`}`,
    hour: (from, devices) => `Within an hour (from ${from}), ${devices} devices tried something new`,
    text: 'It came together; whether it belongs together is not known. Nothing of it is of high risk.',
  },
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
    noPart: 'This part of the page could not be loaded. Is the box in reach?',
    reached: (at) => `Last reached ${at}`,
    noDevices: 'No devices yet',
    none: 'No device is protected yet',
    cutOff: (devices) => `${devices} cut off`,
    learners: (devices) => `Learning ${devices}`,
    mode: { enforce: 'Enforcing', monitor: 'Only watching' },
    live: 'Live',
    lost: 'Reconnecting…',
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
    failed: (blocked) => (blocked ? 'Not saved. It is still blocked.' : 'Not saved.'),
    unsure: "We don't know whether it was saved.",
    sentAgain: 'It is sent again as soon as the box answers.',
    retry: 'Try again',
    changed: 'This has changed meanwhile. Please look again.',
    gone: 'No longer needed',
    settled: (by, answer, at) => {
      const did = answer === 'allow' ? 'allowed' : 'blocked';
      return by === undefined ? `Already ${did} at ${at}` : `${by} already ${did} this at ${at}`;
    },
    remove: 'Remove',
    show: 'Change',
    laterGroup: (count, blocked) => `${count} put off${blocked ? ', still blocked' : ''}`,
    askOwner: 'Ask the owner',
    asked: (blocked) => (blocked ? 'Asked. It stays blocked until an owner decides.' : 'An owner was asked.'),
    wishedBy: (name) => `${name} asks you to decide this.`,
    answered: (by, at) => `${by ?? 'Someone'} already answered this${at === undefined ? '' : ` at ${at}`}`,
    ownersAllow: 'Only an owner may allow this: it is of high risk.',
    asksAgain: (blocked) => `${blocked ? 'It stays blocked. ' : ''}You are asked again after a day.`,
    showAll: (count) => `Show all ${count}`,
    showImportant: 'Show only what is important',
    whichOne: 'The last answers came very quickly. Which one is this about?',
    notThatOne: 'Not that one. It stands in the sentence above.',
  },
  pinSheet: {
    title: 'PIN of the household',
    text: 'Something dangerous would be easier afterwards. Your PIN shows that it is you.',
    wrong: 'That PIN is not right.',
    submit: 'Go on',
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
    pin: 'PIN of the household',
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
    before: 'Decided before',
    similar: 'Similar decisions',
    times: 'When',
    loading: 'Looking it up…',
    packet: 'The first packet, what it carries hidden',
    cause: enCause,
    fact: enFact,
    port: (port) => `at connector ${port}`,
  },
  done: {
    blocked: 'Blocked',
    allowed: (lifetime) => `Allowed ${lifetime}`,
    many: (answer, count) => `${answer === 'allow' ? 'Allowed' : 'Blocked'}: ${count} connections`,
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
    since: 'Since when',
    everything: 'Old and new',
    newSinceYesterday: 'New since yesterday',
    newThisWeek: 'New in 7 days',
    needsYou: 'Needs you',
    connections: 'Connections',
    columns: { state: 'State', from: 'From', to: 'To', does: 'Does', times: 'Times', last: 'Last', rule: 'Rule' },
    habit: 'habit',
    until: (at) => `until ${at}`,
    internet: 'Internet',
    place: ({ is, name }) => {
      if (is === 'internet') return 'Internet';
      return is === 'elsewhere' ? 'No room yet' : is === 'maker' ? quoted(name) : name;
    },
    several: (place, count) => {
      const [one, many] = place.is === 'internet' ? ['server', 'servers'] : ['device', 'devices'];
      return `${en.map.place(place)}: ${count} ${count === 1 ? one : many}`;
    },
    count: (connections) => (connections === 1 ? '1 connection' : `${connections} connections`),
    showMore: (rows) => `Show more (${rows.toLocaleString('en')})`,
    whole: 'Show whole map',
    oneDevice: 'Show one device',
    turn: 'Turn the phone to see all of it.',
    temporary: 'Allowed for a time',
    learning: 'Still learning',
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
    update: 'It gets an update: learn for 30 minutes',
    updateHint: 'What it does in that time becomes its habits.',
    quarantine: 'Cut off',
    release: 'Let it back in',
    pause: 'Pause blocking for 15 minutes',
    paused: (until) => `Not blocked until ${until}`,
    showMap: 'Show its connections',
    stillLearning: (name) => `Still learning: ${name}`,
    enforcesAt: (at) => `Protected from ${at}`,
    lookFirst: 'Look first',
    waitAWeek: 'Wait a week',
    capped: 'It reached for unusually many others, so learning was stopped.',
    protection: 'Protection',
    protectNow: 'Start blocking',
    stopProtecting: 'Only watch',
    protectHint: 'At the moment everything passes and is only recorded.',
    protectOn: 'What is neither a habit nor allowed by you is blocked.',
  },
  trouble: {
    title: "Something doesn't work",
    open: "Something doesn't work?",
    which: 'Which device does not work?',
    look: 'What was blocked lately?',
    again: 'Look again',
    none: (minutes) => `Nothing was blocked for it in the last ${minutes} minutes.`,
    noneHint: 'Use the device once more, then look again. If nothing is blocked then, the firewall is not the reason.',
    blocked: (minutes) => `This was blocked in the last ${minutes} minutes:`,
    seen: (count, last) => `${count.toLocaleString('en')}× · last ${last}`,
    tryIt: 'Allow for 1 hour and try',
    tryNow: 'Allowed for 1 hour. Use the device now.',
    keepIt: 'Does it work? Keep it?',
    keep: 'Yes, keep it',
    noHelp: 'No, block it again',
    kept: 'Kept. You can change it under History.',
    pause: 'Pause blocking for 15 minutes',
    pauseHint: 'If you cannot find it: for 15 minutes nothing of this device is blocked. What would have been is listed here.',
    paused: (until) => `Nothing of this device is blocked until ${until}. Use it now, then look again.`,
    notAsked: 'This is not decided one by one; it depends on how the device is treated.',
  },
  history: {
    title: 'History',
    empty: 'Nothing has been decided yet.',
    undo: 'Undo',
    undone: 'Undone',
    change: 'Change',
    entry: (decision, from, to, does) => {
      switch (decision.what) {
        case 'allow':
          return `Allowed: ${from} may ${does}`;
        case 'deny':
          return `Blocked: ${from} may not ${does}`;
        case 'undo':
          return from === '' ? 'Undone' : `Undone: ${from} → ${to}`;
        case 'mode':
          return from === '' ? siteModeText(decision.detail, ['Blocking began', 'Only watching', 'Blocking confirmed', 'New place looked at']) : `${from}: ${modeText(en, decision.detail)}`;
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
        case 'ban':
          return `Banned: ${from}`;
        case 'lift':
          return `Ban lifted: ${from}`;
        default:
          return `${decision.what} ${from}`;
      }
    },
    by: (name, at, role) => `${name}${role ? ` (${en.people.roles[role]})` : ''} · ${at}`,
    notYours: 'Only an owner, or whoever decided this, can undo it.',
    device: 'Device',
    who: 'Who decided',
    what: 'What',
    everyone: 'All',
    kinds: { allow: 'Allowed', deny: 'Blocked', undo: 'Undone', mode: 'How a device is treated' },
    none: 'Nothing like this has been decided.',
    more: 'Show older ones',
    until: (at) => `until ${at}`,
    unbroken: (entries) => `The record is unbroken: ${entries.toLocaleString('en')} entries, each follows from the one before.`,
    broken: 'The record is broken: someone has changed it, or the disk is damaged.',
  },
  bars: {
    reconnecting: (at) => `Reconnecting… What you see is from ${at}.`,
    away: (at) =>
      `The box is out of reach; your phone may not be in your home network. The box keeps protecting, and new things stay blocked. What you see is from ${at}.`,
    daemonAway: (at) =>
      `Edgeward has not been running since ${at}. What is blocked stays blocked; new questions cannot be asked. Start it again or restart the box.`,
    fault: enFault,
    alarm: (code, who, last) => `${listed(who, (count) => `and ${count} more`)}: ${enAlarm(code)} (${last}).`,
    seen: 'Seen',
    expires: (date) =>
      `The certificate by which phones recognise this box ends on ${date}. On the box, remove authority.json from its state folder and start it again; then install the new certificate under People and phones.`,
    confirm: (until) => `Blocking has begun. Does everything still work? Without an answer it ends at ${until}.`,
    confirmYes: 'Keep blocking',
    moved: (since) =>
      `Since ${since} there is another router or network. Everything that was learned still holds. Did you move, or change your router?`,
    movedKeep: 'Yes, go on as before',
    movedLearn: 'Learn again here',
    clock: 'The clock of the box is not set. Times may be wrong.',
    pausedDevice: (name, until) => `${name} is paused: nothing of it is blocked until ${until}.`,
    newBuild: 'The page was updated.',
    reload: 'Reload',
    monitor: 'Only watching: nothing is blocked.',
  },
  people: {
    title: 'People and phones',
    ownersOnly: 'Only owners see who is let in.',
    phones: 'Who is let in',
    thisPhone: 'this one',
    program: 'a program',
    byPassword: 'signed in with a password',
    seen: (last) => `last here ${last}`,
    until: (at) => `until ${at}`,
    logOut: (name) => `Log out ${name}`,
    sure: (name) => `${name} will have to be connected again with a new code.`,
    yes: 'Yes, log out',
    roles: { owner: 'Owner', member: 'Member', viewer: 'Only looks', pro: 'Professional' },
    roleMeans: {
      owner: 'May do everything.',
      member: 'May block anything and allow what is not of high risk; otherwise asks an owner.',
      viewer: 'Sees everything and changes nothing.',
      pro: 'May do everything but decide who is let in, for 7 days.',
    },
    another: 'Connect another phone',
    anotherHint: 'The code is for one phone and valid for 10 minutes.',
    role: 'What may it do?',
    make: 'Show a code',
    scan: 'Scan this with the other phone.',
    onlyHere: 'The page is served on this machine only, so phones do not reach it yet. On the box: edgeward web --listen ADDRESS:8443, with its address on the LAN.',
    orType: (page) => `Or open ${page} there and type:`,
    validUntil: (at) => `Valid until ${at}`,
    pin: 'PIN of the household',
    pinHint: 'It is asked before something of high risk is allowed for good.',
    pinOld: 'The PIN until now',
    pinNew: 'New PIN, 4 to 12 digits',
    pinSet: 'Set the PIN',
    pinIsSet: 'The PIN is set.',
    pinRemove: 'Remove the PIN',
    pinRemoved: 'There is no PIN any more.',
  },
  trust: {
    title: 'Let this phone recognise the box',
    text: 'Until then the browser warns at every visit. This lets your phone recognise this box and nothing else.',
    which: 'Which phone',
    phones: { iphone: 'iPhone', android: 'Android' },
    steps: {
      iphone: [
        'Tap the button below and allow the download.',
        'Open Settings. “Profile Downloaded” stands at the top: tap it, then Install.',
        'Compare the name: it contains the four words of your box.',
        'Settings → General → About → Certificate Trust Settings: switch it on.',
      ],
      android: [
        'Tap the button below.',
        'Open Settings, search for “CA certificate”, and choose Install anyway.',
        'Choose the file edgeward.crt.',
        'Look under Trusted credentials → User and compare the name: it contains the four words of your box.',
      ],
    },
    compare: 'The four words of your box:',
    install: 'Certificate of this box',
  },
  firstRun: {
    trust: 'Make the connection trusted',
    trusted: 'Done, go on',
    skipForNow: 'Skip for now',
    trustSkipped:
      'If you skip it, the browser warns at every visit, and you would not notice if another device answered in place of the box. You find this again under People and phones.',
    devices: 'What are these?',
    devicesText: 'What leads to locks, alarms, cameras and gas is always asked about, so it helps to know which they are.',
    what: 'What is this?',
    isThis: (kind) => `Is this your ${/^[A-Z]{2}/.test(kind) ? kind : kind.charAt(0).toLowerCase() + kind.slice(1)}?`,
    yes: 'Yes',
    other: 'Something else…',
    dontKnow: "Don't know",
    noneLeft: 'Nothing left to ask. You find all devices under Devices.',
    learning: 'Now I watch and learn',
    learningText: (days) => {
      const long = days === undefined ? 'for some time' : days === 1 ? 'for at least 1 day' : `for at least ${days} days`;
      return `I'll watch ${long} and learn what's normal. During this time almost nothing is blocked. Please use everything once.`;
    },
    ready: (ready, all) => `${ready} of ${all} devices are ready or protected.`,
    pinSkipped: 'Without a PIN, whoever holds the phone of an owner can allow something of high risk for good.',
    tell: 'How shall questions reach you?',
    told: { phone: 'On my phone (ntfy)', home: 'In Home Assistant' },
    neither: 'Neither for now',
    finish: 'Finish',
  },
  settings: {
    welcome: 'Welcome',
    welcomeText: 'A few short steps, and this box looks after your devices.',
    siteName: 'What shall this place be called?',
    siteNameHint: 'It stands at the top of this page: Home, Grandma, Workshop…',
    save: 'Save',
    saved: 'Saved.',
    next: 'Continue',
    skip: 'Skip',
    step: (step, all) => `Step ${step} of ${all}`,
    others: 'Who else lives here?',
    othersText: 'Each person gets a code of their own and decides from their own phone.',
    tell: 'Tell my phone when something asks',
    tellText: 'The free app ntfy (iPhone, Android) shows that a question waits, at most three times a day, and always if it is important.',
    privacy: (server) => `The box itself then talks to ${server}. It says how many questions wait and nothing about them.`,
    server: 'Server',
    turnOn: 'Turn on',
    turnOff: 'Turn off',
    testIt: 'Send a test',
    sending: 'Sending…',
    sent: 'Sent. It should arrive within a few seconds.',
    subscribe: 'On your phone',
    steps: ['Install the app ntfy.', 'Tap + and enter the topic below, or open the link on the phone.', 'Send a test.'],
    off: 'When something asks while this page is closed, nobody is told.',
    offAct: 'Turn on notifications',
    home: 'Show questions in Home Assistant',
    homeText: 'Home Assistant finds this box through its MQTT broker: how many questions wait, the newest, and a button that keeps it blocked. Allowing stays here.',
    broker: 'Address of the broker',
    port: 'Port',
    user: 'User name, if it has one',
    password: 'Password',
    shownAt: (broker) => `The box itself talks to ${broker}. Whoever may write there can press “Keep blocked”.`,
    brokerState: {
      connecting: 'Connecting…',
      connected: 'Connected.',
      unreachable: 'No broker answers there.',
      refused: 'The broker does not take this user name and password.',
    },
    testBroker: 'Test the connection',
    testing: 'Testing…',
  },
  past: {
    title: 'Look back',
    day: 'Day',
    hour: 'Hour',
    now: 'Now',
    today: 'Today',
    wholeDay: 'The whole day',
    backToNow: 'Back to now',
    step: (when, edges, size) => `${when}: ${edges === 1 ? '1 connection' : `${edges} connections`}, ${size}`,
    nothing: (when) => `${when}: nothing was recorded`,
    looking: 'Looking it up…',
    shown: (when, carrying, size) =>
      `${when}: ${carrying === 1 ? '1 connection was in use and carried' : `${carrying} connections were in use and carried`} ${size}.`,
    gone: (count) => (count === 1 ? '1 of them does not exist any more.' : `${count} of them do not exist any more.`),
    incomplete: 'A device had more connections than are kept; not all are shown.',
    hint: 'Thick lines were in use then; colours and names show what is known now. Messages and requests count with the connection that carries them.',
    carried: 'Carried',
    size: (kilobytes) => sizeText('en', kilobytes, 'less than 1 kB'),
    idle: 'not in use then',
  },
  review: {
    open: 'Look at its habits',
    title: (habits, name) => (habits === 1 ? `1 habit: ${name}` : `${habits} habits: ${name}`),
    text: 'This is what it may do once it is protected. Everything else is asked about.',
    restsOn: (days, quiet, confidence) =>
      `Learned over ${days === 1 ? '1 whole day' : `${days} whole days`}; nothing new for ${quiet}. Confidence: ${confidence}.`,
    missing: 'Not seen yet:',
    gaps: { day: 'a whole day', weekend: 'a weekend', working_day: 'a working day', week: 'what is done once a week' },
    jobs: {
      software: 'an update of its software',
      print: 'something printed',
      watch: 'somebody who looks through it',
      set: 'somebody who lets it do something',
      play: 'something played',
    },
    group: (count, name) => (count === 1 ? `${name}: 1 habit` : `${name}: ${count} habits`),
    newest: (at) => `The newest since ${at}`,
    look: 'Please look',
    why: { risk: ': it could do harm', alone: ': no other device uses this server', late: ': it came when learning was nearly over' },
    right: 'Looks right',
    notThis: 'Not this',
    notThisOne: (does) => `Not this: ${does}`,
    seen: (groups, all) => `${groups} of ${all} look right`,
    protect: 'Protect now',
    none: 'It has no habits yet.',
    update: (count) => (count === 1 ? 'The last update has added 1 habit.' : `The last update has added ${count} habits.`),
  },
  guess: {
    title: 'What it may be',
    may: (kind, confidence) => `${kind} – ${confidence}`,
    because: 'Because:',
    clue: ({ code, value }) => {
      const what = quoted(value);
      switch (code) {
        case 'offers':
          return `it offers ${what}`;
        case 'announces':
          return `it announces ${what}`;
        case 'vendor_class':
          return `it names its class “${what}”`;
        case 'name':
          return `it calls itself “${what}”`;
        case 'mud_url':
          return `it names a profile of its maker: ${what}`;
        case 'maker':
          return `its network card is made by ${what}`;
        case 'parameters':
          return 'it asks for what such devices ask for when they join';
        case 'serves':
          return `others reach it at ${what}`;
        default:
          return `${code} ${what}`;
      }
    },
    confidence: { low: 'hardly more than a hint', medium: 'fairly sure', high: 'very sure' },
    yes: (kind) => `Yes: ${kind}`,
    hint: 'A guess opens nothing. Devices say these things themselves.',
    privateMac: 'It has made its hardware address up, as phones do, so its maker is not known.',
    maker: (name) => `Network card by ${name}`,
  },
  bans: {
    title: 'Banned',
    text: 'For a while nothing of these passes.',
    who: (name, client) => (client === undefined ? `${name}: everything` : `${name}, only as “${client}”`),
    until: (until, by) => `Until ${until} · by ${by}`,
    why: (why) => {
      switch (why) {
        case 'bruteforce':
          return 'Too many wrong passwords.';
        case 'slowite':
          return 'It held connections open without using them.';
        case 'flood':
          return 'It flooded another device.';
        case 'malformed':
          return 'It sent broken messages.';
        case 'scan':
          return 'It looked for other devices.';
        case '':
          return 'Nobody said why.';
        default:
          return `“${quoted(why)}”`;
      }
    },
    lift: (name) => `Lift the ban of ${name}`,
    liftShort: 'Lift',
  },
  coverage: {
    pairs: (pairs, of) =>
      pairs === 0
        ? 'Every pair of devices is covered.'
        : `Not covered: ${pairs} of ${of} ${of === 1 ? 'pair' : 'pairs'} of devices reach each other without passing the firewall.`,
    unknown: 'Not covered: devices behind the same switch or access point reach each other without passing the firewall.',
    noUplink: 'No uplink is set up: what comes from outside is judged only where it is delivered.',
    which: 'Which ones',
    segment: (names, port, vlan) => `Behind ${port}${vlan === 0 ? '' : `, VLAN ${vlan}`}: ${names}`,
  },
  exports: {
    title: 'Save a copy',
    decisions: 'Decisions',
    connections: 'Connections',
    graph: 'Map',
    file: (what, kind) => `${what} as ${kind}`,
  },
  identity: {
    title: 'Is it the right device?',
    same: 'The same device as',
    choose: 'Choose a device…',
    merge: 'Make one of the two…',
    anew: 'Forget its habits and learn again…',
    sureSame: (name, other) => `${name} becomes part of ${other}, with its addresses, habits and decisions. This cannot be undone.`,
    sureAnew: (name) => `The habits of ${name} are forgotten, and it is not protected until it has learned again. What people decided stays.`,
    yesSame: 'Yes, they are the same',
    yesAnew: 'Yes, learn again',
  },
  tokens: {
    title: 'Let a program in',
    text: 'A program asks with a token instead of a cookie. It stands in the list above and is logged out there.',
    name: 'Name of the program',
    end: 'It ends after',
    make: 'Make a token',
    once: (name) => `The token of ${name}. It is shown only now:`,
    noted: 'I have kept it',
  },
  about: {
    title: 'About',
    learning: 'How long devices learn',
    lengths: (least, quiet, most) => `At least ${least}, until nothing new came for ${quiet}; at most ${most}.`,
    notice: (time) => `Then ${time} pass before a device is protected.`,
    where: 'This is set in the file edgeward.toml on the box, under [learning].',
    asked: (count) => (count === 1 ? '1 question in the last seven days' : `${count} questions in the last seven days`),
    median: (time) => `Half of the answers came within ${time}`,
  },
  pro: {
    title: 'For professionals',
    notYou: 'This is for owners and professionals.',
    path: 'Data path',
    balance: (seen, passed, neutralised, reset) => `${seen} packets seen: ${passed} passed, ${neutralised} made harmless, ${reset} reset. Dropped or reset, by reason:`,
    events: (produced, lost) => `${produced} events of the kernel, ${lost} lost`,
    maps: 'Tables of the kernel',
    room: (percent) => `All are filled less than ${percent} %.`,
    model: 'Model as text',
    modelHint: 'All edges that are learned, allowed or blocked, as “edgeward edges import” takes them.',
    show: 'Show',
    save: 'Save as TOML',
    packets: 'The first packet of a question can be saved under “Why was this stopped?”, by professionals.',
  },
  pair: {
    title: 'Connect this phone',
    hello: 'Hello! Is this your box?',
    words: (words) => `Is this your box? ${words}`,
    wordsHint: 'The box shows the same four words beside the code. The phone shows them too, as the name of who vouches for this page.',
    match: 'Yes, they match',
    noMatch: 'No, they are different',
    differs: 'Then this is not your box. Do not go on, and enter no code here.',
    otherBox: 'Careful: this is not the box whose code you scanned. Do not go on.',
    loggedOut: (by, at) => {
      const act = [by && `by ${by}`, at].filter(Boolean).join(', ');
      return `This phone was logged out${act === '' ? '' : ` (${act})`}. Connect it again to go on.`;
    },
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
  signIn: {
    open: 'Professional with a password? Sign in',
    withCode: 'Connect with a code instead',
    hint: 'For professionals who have set a password on the phone that was connected with a code.',
    name: 'Name of that phone',
    password: 'Password',
    submit: 'Sign in',
    tooMany: 'Too many wrong passwords. Wait ten minutes, or connect with a code.',
    title: 'Sign in from a laptop',
    text: (name) => `With the name “${name}” and a password you sign in from another browser too, as long as this phone is let in. Logging this phone out ends both.`,
    old: 'The password until now',
    next: 'New password, at least 10 characters',
    set: 'Set the password',
    isSet: 'The password is set. Whoever was signed in with an old one is logged out.',
    remove: 'Remove the password',
    removed: 'There is no password any more. Whoever was signed in with it is logged out.',
  },
  menu: {
    people: 'People and phones',
    open: 'Menu',
    logOut: 'Log out',
    keys: 'Keyboard shortcuts',
    language: 'Language',
    keysHelp: 'J and K choose, B keeps blocked, A allows, U undoes, / searches',
  },
  problem: (failure) => {
    if (failure.kind === 'unreachable') return 'The box cannot be reached. Nothing was changed.';
    if (failure.kind === 'timeout') return 'The box has not answered in time.';
    return problemText(enProblems, failure.problem.code);
  },
  unknownDevice: "A device we don't know",
  traits: (maker, since) => [maker && `made by ${maker}`, since && `seen since ${since}`].filter(Boolean).join(', '),
  today: (time) => `today ${time}`,
  yesterday: (time) => `yesterday ${time}`,
  duration: enDuration,
};
