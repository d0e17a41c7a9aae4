// What a language has to say, and what the languages share.

import type { Failure } from '../api';
import { harmless } from '../harmless';
import { isAddress, SPEAKS, type Action, type Consequence, type Reading, type Who } from '../reading';
import type { Look } from '../review';
import type { Place } from '../ring';
import type {
  Answer,
  BrokerState,
  Cause,
  Clue,
  Decision,
  Edge,
  EdgeState,
  End,
  Fact,
  Fault,
  Kind,
  Learning,
  Lifetime,
  PrincipalMode,
  ProblemCode,
  Risk,
  Role,
  SiteMode,
} from '../types';

export type Lang = 'en' | 'de';

/** What a device chose and stands inside of a sentence is cut there. */
const LONGEST_PART = 64;
/** So many names stand in a sentence. */
const LISTED = 3;

/** Text of a kind of device: as a label, and in the plural for "… normally don't …". */
export type Kinds = Record<Kind, readonly [label: string, plural: string]>;

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
  /** Of something unusual that is not stopped. */
  goesOn(since: string): string;
  things(count: number): string;
  /** What stands instead of a list that is too long to be read. */
  many(questions: number, devices: number, important: number): string;
  group: {
    title(source: string, count: number, outside: boolean): string;
    text: string;
    which: string;
    keepBlocked(count: number): string;
    block(count: number): string;
    allow(count: number): string;
    /** What became of a decision about several of which some were not saved. */
    partly(done: number, failed: number, why: string): string;
    scope(source: string, count: number): string;
  };
  /** Why a button cannot be used. */
  mayNot: { look: string; change: string };
  offer: {
    title(source: string, domain: string): string;
    text(hosts: number): string;
    opens(source: string, domain: string, operation: string): string;
    no: string;
  };
  cause: {
    /** Devices that did something new after the time in which one was to be updated had begun. */
    update(device: string, at: string, devices: number): string;
    hour(from: string, devices: number): string;
    text: string;
  };
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
    /** A part of the page could not be fetched. */
    noPart: string;
    reached(at: string): string;
    noDevices: string;
    /** No device is protected, and none is on its way there. */
    none: string;
    cutOff(devices: number): string;
    learners(devices: number): string;
    mode: Record<SiteMode, string>;
    live: string;
    lost: string;
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
    failed(blocked: boolean): string;
    unsure: string;
    sentAgain: string;
    retry: string;
    changed: string;
    gone: string;
    settled(by: string | undefined, answer: Answer, at: string): string;
    remove: string;
    show: string;
    laterGroup(count: number, blocked: boolean): string;
    asksAgain(blocked: boolean): string;
    askOwner: string;
    asked(blocked: boolean): string;
    wishedBy(name: string): string;
    answered(by: string | undefined, at: string | undefined): string;
    ownersAllow: string;
    showAll(count: number): string;
    showImportant: string;
    /** Asked before the buttons, where answers came faster than anyone reads. */
    whichOne: string;
    notThatOne: string;
  };
  pinSheet: { title: string; text: string; wrong: string; submit: string };
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
    pin: string;
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
    before: string;
    similar: string;
    times: string;
    loading: string;
    /** The first packet, as a file. */
    packet: string;
    /** What decides, as a whole sentence. */
    cause(cause: Cause): string;
    /** A fact as a whole sentence; nothing for what stands elsewhere in the list already. */
    fact(fact: Fact, who: (end: End) => string): string | undefined;
    port(port: string): string;
  };
  done: {
    blocked: string;
    allowed(lifetime: string): string;
    many(answer: Answer, count: number): string;
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
    since: string;
    everything: string;
    newSinceYesterday: string;
    newThisWeek: string;
    needsYou: string;
    connections: string;
    columns: { state: string; from: string; to: string; does: string; times: string; last: string; rule: string };
    habit: string;
    until(at: string): string;
    internet: string;
    /** Of devices that are drawn as one. */
    place(place: Place): string;
    several(place: Place, count: number): string;
    /** Of connections. */
    count(connections: number): string;
    showMore(rows: number): string;
    /** On a phone. */
    whole: string;
    oneDevice: string;
    turn: string;
    temporary: string;
    learning: string;
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
    update: string;
    updateHint: string;
    quarantine: string;
    release: string;
    pause: string;
    paused(until: string): string;
    showMap: string;
    stillLearning(name: string): string;
    enforcesAt(at: string): string;
    lookFirst: string;
    waitAWeek: string;
    capped: string;
    protection: string;
    protectNow: string;
    stopProtecting: string;
    protectHint: string;
    protectOn: string;
  };
  trouble: {
    title: string;
    open: string;
    which: string;
    look: string;
    again: string;
    none(minutes: number): string;
    noneHint: string;
    blocked(minutes: number): string;
    seen(count: number, last: string): string;
    tryIt: string;
    tryNow: string;
    keepIt: string;
    keep: string;
    noHelp: string;
    kept: string;
    pause: string;
    pauseHint: string;
    paused(until: string): string;
    notAsked: string;
  };
  history: {
    title: string;
    empty: string;
    undo: string;
    undone: string;
    change: string;
    entry(decision: Decision, from: string, to: string, does: string): string;
    by(name: string, at: string, role?: Role | null): string;
    notYours: string;
    device: string;
    who: string;
    what: string;
    everyone: string;
    kinds: Record<'allow' | 'deny' | 'undo' | 'mode', string>;
    none: string;
    more: string;
    until(at: string): string;
    unbroken(entries: number): string;
    broken: string;
  };
  bars: {
    reconnecting(at: string): string;
    away(at: string): string;
    daemonAway(at: string): string;
    fault(fault: Fault, since: string): string;
    alarm(code: string, who: readonly string[], last: string): string;
    /** Takes an alarm away. */
    seen: string;
    expires(date: string): string;
    confirm(until: string): string;
    confirmYes: string;
    moved: (since: string) => string;
    movedKeep: string;
    movedLearn: string;
    clock: string;
    pausedDevice(name: string, until: string): string;
    newBuild: string;
    reload: string;
    monitor: string;
  };
  people: {
    title: string;
    ownersOnly: string;
    phones: string;
    thisPhone: string;
    program: string;
    byPassword: string;
    seen(last: string): string;
    until(at: string): string;
    logOut(name: string): string;
    sure(name: string): string;
    yes: string;
    roles: Record<Role, string>;
    roleMeans: Record<Role, string>;
    another: string;
    anotherHint: string;
    role: string;
    make: string;
    scan: string;
    onlyHere: string;
    orType(page: string): string;
    validUntil(at: string): string;
    pin: string;
    pinHint: string;
    pinOld: string;
    pinNew: string;
    pinSet: string;
    pinIsSet: string;
    pinRemove: string;
    pinRemoved: string;
  };
  /** How a phone comes to recognise the box. */
  trust: {
    title: string;
    text: string;
    which: string;
    phones: Record<'iphone' | 'android', string>;
    steps: Record<'iphone' | 'android', readonly [string, string, string, string]>;
    compare: string;
    install: string;
  };
  firstRun: {
    trust: string;
    trusted: string;
    skipForNow: string;
    trustSkipped: string;
    devices: string;
    devicesText: string;
    what: string;
    isThis(kind: string): string;
    yes: string;
    other: string;
    dontKnow: string;
    noneLeft: string;
    learning: string;
    /** At least so many days, where that is known. */
    learningText(days: number | undefined): string;
    ready(ready: number, all: number): string;
    pinSkipped: string;
    tell: string;
    told: Record<'phone' | 'home', string>;
    neither: string;
    finish: string;
  };
  settings: {
    welcome: string;
    welcomeText: string;
    siteName: string;
    siteNameHint: string;
    save: string;
    saved: string;
    next: string;
    skip: string;
    step(step: number, all: number): string;
    others: string;
    othersText: string;
    tell: string;
    tellText: string;
    privacy(server: string): string;
    server: string;
    turnOn: string;
    turnOff: string;
    testIt: string;
    sending: string;
    sent: string;
    subscribe: string;
    steps: readonly string[];
    off: string;
    offAct: string;
    home: string;
    homeText: string;
    broker: string;
    port: string;
    user: string;
    password: string;
    shownAt(broker: string): string;
    brokerState: Record<BrokerState, string>;
    testBroker: string;
    testing: string;
  };
  past: {
    title: string;
    day: string;
    hour: string;
    now: string;
    today: string;
    wholeDay: string;
    backToNow: string;
    /** What the slider says of a day or an hour in which so much was recorded. */
    step(when: string, edges: number, size: string): string;
    nothing(when: string): string;
    looking: string;
    shown(when: string, carrying: number, size: string): string;
    gone(count: number): string;
    incomplete: string;
    hint: string;
    carried: string;
    /** How much: kilobytes. */
    size(kilobytes: number): string;
    idle: string;
  };
  review: {
    open: string;
    title(habits: number, name: string): string;
    text: string;
    restsOn(days: number, quiet: string, confidence: string): string;
    missing: string;
    gaps: Record<'day' | 'weekend' | 'working_day' | 'week', string>;
    /** What devices of its kind do now and then. */
    jobs: Record<'software' | 'print' | 'watch' | 'set' | 'play', string>;
    group(count: number, name: string): string;
    newest(at: string): string;
    look: string;
    why: Record<Look, string>;
    right: string;
    notThis: string;
    notThisOne(does: string): string;
    seen(groups: number, all: number): string;
    protect: string;
    none: string;
    update(count: number): string;
  };
  guess: {
    title: string;
    may(kind: string, confidence: string): string;
    because: string;
    clue(clue: Clue): string;
    confidence: Record<'low' | 'medium' | 'high', string>;
    yes(kind: string): string;
    hint: string;
    privateMac: string;
    maker(name: string): string;
  };
  bans: {
    title: string;
    text: string;
    who(name: string, client: string | undefined): string;
    until(until: string, by: string): string;
    why(why: string): string;
    lift(name: string): string;
    liftShort: string;
  };
  coverage: {
    /** So many of all pairs pass by the firewall. */
    pairs(pairs: number, of: number): string;
    unknown: string;
    noUplink: string;
    which: string;
    segment(names: string, port: string, vlan: number): string;
  };
  exports: {
    title: string;
    decisions: string;
    connections: string;
    graph: string;
    file(what: string, kind: string): string;
  };
  identity: {
    title: string;
    same: string;
    choose: string;
    merge: string;
    anew: string;
    sureSame(name: string, other: string): string;
    sureAnew(name: string): string;
    yesSame: string;
    yesAnew: string;
  };
  tokens: {
    title: string;
    text: string;
    name: string;
    end: string;
    make: string;
    once(name: string): string;
    noted: string;
  };
  about: {
    title: string;
    learning: string;
    lengths(least: string, quiet: string, most: string): string;
    notice(time: string): string;
    where: string;
    asked(count: number): string;
    median(time: string): string;
  };
  pro: {
    title: string;
    notYou: string;
    path: string;
    balance(seen: string, passed: string, neutralised: string, reset: string): string;
    events(produced: string, lost: string): string;
    maps: string;
    room(percent: number): string;
    model: string;
    modelHint: string;
    show: string;
    save: string;
    packets: string;
  };
  pair: {
    title: string;
    hello: string;
    words(words: string): string;
    wordsHint: string;
    match: string;
    noMatch: string;
    differs: string;
    otherBox: string;
    loggedOut(by: string | undefined, at: string | undefined): string;
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
  /** A password, which only professionals have. */
  signIn: {
    open: string;
    withCode: string;
    hint: string;
    name: string;
    password: string;
    submit: string;
    tooMany: string;
    title: string;
    text(name: string): string;
    old: string;
    next: string;
    set: string;
    isSet: string;
    remove: string;
    removed: string;
  };
  menu: { people: string; open: string; logOut: string; keys: string; language: string; keysHelp: string };
  problem(failure: Failure): string;
  unknownDevice: string;
  /** What is known of a device that nobody has named: its maker, and the day since when it is there. */
  traits(maker: string | undefined, since: string | undefined): string;
  today(time: string): string;
  yesterday(time: string): string;
  duration(seconds: number): string;
}

/** The first of several names, and how many more there are. */
export function listed(names: readonly string[], more: (count: number) => string): string {
  const rest = names.length - LISTED;
  return rest > 0 ? `${names.slice(0, LISTED).join(', ')} ${more(rest)}` : names.join(', ');
}

/** Kilobytes in a unit that can be read; `0` is less than one. */
export function sizeText(lang: Lang, kilobytes: number, less: string): string {
  if (kilobytes < 1) return less;
  const units = ['kB', 'MB', 'GB', 'TB'];
  const step = Math.min(Math.floor(Math.log10(kilobytes) / 3), units.length - 1);
  const size = kilobytes / 1000 ** step;
  return `${size.toLocaleString(lang, { maximumFractionDigits: size < 10 && step > 0 ? 1 : 0 })} ${units[step]}`;
}

const WEEK = 7;

/** The day of a time: of the last week by its name, and with it once that is over. */
export function dayOf(lang: Lang, unix: number, now = Date.now()): string {
  const [date, today] = [new Date(unix * 1000), new Date(now)];
  const days = Math.round((today.setHours(0, 0, 0, 0) - new Date(date).setHours(0, 0, 0, 0)) / 86_400_000);
  if (days <= 1) return new Intl.RelativeTimeFormat(lang, { numeric: 'auto' }).format(-Math.max(days, 0), 'day');
  const year = date.getFullYear() === today.getFullYear() ? {} : ({ year: 'numeric' } as const);
  return date.toLocaleDateString(lang, days < WEEK ? { weekday: 'long' } : { day: 'numeric', month: 'short', ...year });
}

/** A device that nobody has named, with what tells it from others. */
export function unknownWho(words: Words, device: string, { maker, since }: { maker?: string; since?: number }): string {
  if (maker === undefined && since === undefined) return device;
  return `${device} (${words.traits(maker, since === undefined ? undefined : dayOf(words.lang, since))})`;
}

export const capital = (text: string) => text.charAt(0).toUpperCase() + text.slice(1);

/** An address is no name; it stands where the operation is told exactly. */
export const serverName = (name: string | undefined, none: string, nameless: string): string =>
  name === undefined ? none : isAddress(name) ? nameless : name;

/** Host and path of a request, as an owner may know them from the address line of a browser; nothing for registers. */
export function pathOf(object: string): string | undefined {
  const [, path] = /^(?:http|coap):(?:\d+:)?(.+)$/.exec(object) ?? [];
  return path === undefined ? undefined : quoted(path.replace(/^\/\//, ''));
}

/** What a device chose, as a part of a sentence. */
export const quoted = (text: string): string => harmless(text, LONGEST_PART);

/** The name in a TLS connection. */
export const serverOf = (object: string): string => quoted(object.replace(/^tls:(?:\d+:)?/, ''));

/** A protocol's usual name; nothing for what cannot be read. */
export function protocolOf(object: string): string | undefined {
  const [, protocol] = SPEAKS.exec(object) ?? [];
  const names: Readonly<Record<string, string>> = { coap: 'CoAP', modbus: 'Modbus', quic: 'QUIC', websocket: 'WebSocket' };
  return protocol === undefined || protocol === 'opaque' ? undefined : (names[protocol] ?? protocol.toUpperCase());
}

/** `1.5 MB`, as the language writes it. */
export function bytes(lang: Lang, count: number): string {
  const units = ['byte', 'kilobyte', 'megabyte', 'gigabyte'] as const;
  const index = count < 1000 ? 0 : Math.min(units.length - 1, Math.floor(Math.log10(count) / 3));
  const style = { style: 'unit', unit: units[index] ?? 'byte', unitDisplay: index === 0 ? 'long' : 'short' } as const;
  return (count / 1000 ** index).toLocaleString(lang, { ...style, maximumFractionDigits: 1 });
}

/** The time of day here. */
export const timeOf = (lang: Lang, unix: number | null | undefined): string =>
  unix === null || unix === undefined
    ? '–'
    : new Date(unix * 1000).toLocaleTimeString(lang, { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' });

/** Day and time here. */
export const dayTime = (lang: Lang, unix: number): string =>
  `${new Date(unix * 1000).toLocaleDateString(lang, { day: 'numeric', month: 'long' })} ${timeOf(lang, unix)}`;

/** A whole hour of the day in UTC, as clocks here show it today. */
export const hourHere = (hour: number): number => new Date(new Date().setUTCHours(hour, 0, 0, 0)).getHours();

/** Hours of the day in UTC as runs on clocks here: from when, until when. */
export function runs(hours: readonly number[]): (readonly [from: string, until: string])[] {
  const here = new Set(hours.map(hourHere));
  const starts = [...here].filter((hour) => !here.has((hour + 23) % 24)).sort((a, b) => a - b);
  const until = (from: number): number => {
    let hour = from;
    while (here.has(hour % 24)) hour += 1;
    return hour % 24;
  };
  return starts.map((from) => [`${from}:00`, `${until(from)}:00`] as const);
}

const HOUR = 3600;
const DAY = 24 * HOUR;

export function spans(units: readonly (readonly [one: string, many: string])[]): (seconds: number) => string {
  const sizes = [DAY, HOUR, 60, 1];
  return (seconds) => {
    const index = sizes.findIndex((size) => seconds >= size * 2 || size === 1 || seconds === size);
    const count = Math.max(0, Math.round(seconds / (sizes[index] ?? 1)));
    const [one, many] = units[index] ?? ['', ''];
    return `${count} ${count === 1 ? one : many}`;
  };
}

/** Day so-and-so of at least so many; shorter learning is told in hours or less. */
export function learningDays(learning: Learning, now: number): { day: number; least: number } | undefined {
  const passed = Math.max(0, now - learning.since);
  const least = passed + learning.at_least_seconds;
  if (least < DAY) return undefined;
  return { day: Math.floor(passed / DAY) + 1, least: Math.round(least / DAY) };
}

/** The ledger says `learning to enforcing: why`; people are told where it led. */
export function modeText(words: Words, detail: string): string {
  const to = /^\w+ to (\w+)/.exec(detail)?.[1] ?? detail;
  return Object.hasOwn(words.mode, to) ? words.mode[to as PrincipalMode] : detail;
}

export function siteModeText(
  detail: string,
  [enforce, monitor, confirmed, moved]: readonly [string, string, string, string],
): string {
  if (detail.startsWith('site to enforce')) return enforce;
  if (detail.startsWith('site to monitor')) return monitor;
  if (detail.startsWith('site moved')) return moved;
  return detail === 'enforce confirmed' ? confirmed : detail;
}

/** Label and plural of a kind; a newer daemon may know more of them. */
export function kindText(words: Words, kind: string): Kinds[Kind] | undefined {
  return Object.hasOwn(words.kinds, kind) ? words.kinds[kind as Kind] : undefined;
}

/** What a problem is; one that a newer box names is a failure like any other. */
export const problemText = (texts: Record<ProblemCode, string>, code: string): string =>
  Object.hasOwn(texts, code) ? texts[code as ProblemCode] : texts.internal;
