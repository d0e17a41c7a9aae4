// The state of the page: what the box says, and what this phone is about to change. Views are functions of it.

import * as alarms from './alarms';
import {
  actOf,
  api,
  asksPin,
  isConflict,
  isLoggedOut,
  isLost,
  isUnsure,
  ownAuthority,
  type Failure,
  type SettingsChange,
} from './api';
import { assertNever } from './assert';
import { arrange, updatesOf } from './groups';
import * as later from './later';
import type { Link, LiveEvent } from './live';
import { offersOf, readRefused, writeRefused, type Offer } from './offers';
import { follow } from './shared';
import * as snapshot from './snapshot';
import type {
  Act,
  Alarm,
  Answer,
  Applied,
  Ban,
  BrokerState,
  DaemonState,
  Decision,
  Edge,
  EdgeStats,
  Lifetime,
  Progress as Progressed,
  Principal,
  PrincipalMode,
  PrincipalPatch,
  Settings,
  SiteMode,
  Status,
  Visitor,
  Wish,
} from './types';

/** What is shown at all. */
export type Phase = 'starting' | 'unpaired' | 'paired';

/** What somebody chose, so that it can be sent again as the same decision. */
export interface Tap {
  answer: Answer;
  lifetime: Lifetime;
  /** Of the edge that was shown. */
  rev: number;
  key: string;
}

/** How a decision of this phone about an edge stands. */
export type Progress =
  | { kind: 'applying' }
  /** Not saved, as far as is known; then the edge is as it was. */
  | { kind: 'failed'; failure: Failure; tap: Tap; isUnsure: boolean }
  /** Someone else was faster, or the edge has changed. */
  | { kind: 'conflict'; edge: Edge | undefined };

/** A new device about which somebody else was faster. */
export interface Answered {
  principal: Principal;
  /** Who that was, as far as the box has said. */
  act: Act | undefined;
}

/** Something that is not done without the PIN of the household. */
export interface PinNeeded {
  isWrong: boolean;
  again: (pin: string) => Promise<unknown>;
}

/** What was just done, with a way back. */
export interface Done {
  edge: Edge;
  answer: Answer | 'undo';
  lifetime: Lifetime;
  decision: number;
  /** What was decided together with it. */
  others: readonly { edge: Edge; decision: number }[];
}

/** Disconnections that are over sooner are not worth a word. */
const PATIENCE = 10_000;
const CLOCK_TICK = 5_000;
/** Edges about which one request decides. */
const MOST_AT_ONCE = 100;
/** A ban changes its principal, which changes for other reasons as well. */
const BANS_PAUSE = 1_000;
/** The record is read a moment after a decision: first every page shows what it is about, and a burst is read once. */
const RECORD_PAUSE = 300;

const RISK_RANK = { high: 0, medium: 1, low: 2 } as const;

export class Site {
  phase = $state<Phase>('starting');
  /** Whether this browser was logged out while the page was open. */
  loggedOut = $state(false);
  /** By whom, if that is known. */
  loggedOutBy = $state.raw<Act>();
  me = $state<Visitor>();
  status = $state.raw<Status>();
  settings = $state.raw<Settings>();
  edges = $state.raw<ReadonlyMap<number, Edge>>(new Map());
  principals = $state.raw<ReadonlyMap<number, Principal>>(new Map());
  decisions = $state.raw<readonly Decision[]>();
  /** Edges that wait for a decision; an edge whose decision is over is pending but waits for nobody. */
  waiting = $state.raw<ReadonlySet<number>>(new Set());
  /** Requests that were on this page and were settled elsewhere. */
  elsewhere = $state.raw<ReadonlyMap<number, Edge>>(new Map());
  /** New devices that were on this page and about which somebody else has answered. */
  answered = $state.raw<ReadonlyMap<number, Answered>>(new Map());
  pinNeeded = $state.raw<PinNeeded>();
  /** What owners are asked to decide, by edge. */
  wishes = $state.raw<ReadonlyMap<number, Wish>>(new Map());
  /** Who is banned at the moment. */
  bans = $state.raw<readonly Ban[]>([]);
  /** How the connection to Home Assistant's broker stands, once that has changed. */
  home = $state.raw<BrokerState>();
  /** When phones that trust this box have to learn another certificate. */
  certificateUntil = $state.raw<number>();
  progress = $state.raw<ReadonlyMap<number, Progress>>(new Map());
  done = $state.raw<Done>();
  /** A change that did not succeed and is no decision. */
  failure = $state.raw<Failure>();
  daemon = $state.raw<DaemonState>({ running: true, since: 0 });
  link = $state.raw<Link>({ state: 'live' });
  loaded = $state(false);
  /** Whether what is shown was kept on this phone, because the box is out of reach since the page was opened. */
  isKept = $state(false);
  /** Milliseconds; moves on so that "in 5 minutes" stays true. */
  now = $state(Date.now());
  newBuild = $state(false);

  #alarms = $state.raw<readonly Alarm[]>([]);
  #seenAlarms = $state.raw<alarms.Seen>(alarms.read(localStorage));
  #later = $state.raw<later.Later>(later.read(localStorage));
  /** Lists that are being fetched, and what happened meanwhile: they may be older than that. */
  #fetching = 0;
  #meanwhile: (() => void)[] = [];
  #stop: (() => void) | undefined;
  #record: ReturnType<typeof setTimeout> | undefined;
  #build: string | undefined;
  #bansDue = false;
  /** Devices whose mode this page is about to change. */
  #choosing = new Set<number>();

  #refusedOffers = $state.raw(readRefused(localStorage));

  /** Domains that could be allowed instead of one host after the other. */
  readonly offers = $derived(
    offersOf(this.edges.values(), this.principals, this.#refusedOffers).filter(({ edge }) => this.mayAllow(edge)),
  );
  /** What needs a decision, the most important first. */
  readonly inbox = $derived.by(() => this.#waitingEdges().filter((edge) => !this.#isPutOff(edge)));
  readonly putOff = $derived.by(() => this.#waitingEdges().filter((edge) => this.#isPutOff(edge)));
  /** By kind; what somebody looks at already by another bar is left out. */
  readonly alarms = $derived(
    alarms.byKind(this.#alarms.filter((one) => one.code !== 'site.moved' && !alarms.isSeen(this.#seenAlarms, one))),
  );
  readonly newcomers = $derived([...this.principals.values()].filter((one) => one.mode === 'new'));
  readonly learners = $derived(
    [...this.principals.values()].filter((one) => one.mode === 'learning' || one.mode === 'ready'),
  );
  readonly devices = $derived(
    [...this.principals.values()]
      .filter((one) => one.mode !== 'outside' && one.mode !== 'system')
      .sort((a, b) => a.id - b.id),
  );
  /** The step of the first run that an owner is at, if it is not over. */
  readonly firstRun = $derived.by(() => {
    const step = this.me?.role === 'owner' ? this.settings?.first_run : undefined;
    return step === 'done' ? undefined : step;
  });
  /** What is asked, each card once: the number of them stands in badge, title and heading. */
  readonly questions = $derived(arrange(this.inbox, this.newcomers, this.principals, updatesOf(this.decisions ?? [])));
  readonly openQuestions = $derived(this.questions.length);
  /** Whether what is shown may be old. */
  readonly stale = $derived(this.link.state === 'lost' && this.now - this.link.since > PATIENCE);
  /** Whether a decision could be made now. */
  readonly canDecide = $derived(!this.stale && !this.isKept && this.daemon.running);
  /** Whether this phone may make the site safer, or ask. What it may is checked by the box. */
  readonly canProtect = $derived(this.canDecide && this.me?.role !== 'viewer');
  /** Whether it may change how devices are treated. */
  readonly canChange = $derived(this.canProtect && this.me?.role !== 'member');
  /** Whether what is not in the model is dropped at the moment. */
  readonly blocks = $derived(this.status?.mode === 'enforce' && this.status.health !== 'paused');

  constructor() {
    setInterval(() => {
      this.now = Date.now();
      this.#keepSnapshot();
    }, CLOCK_TICK);
  }

  /** Whether this phone may allow what an edge asks for; a member asks an owner about what is of high risk. */
  mayAllow(edge: Edge): boolean {
    return this.canChange || (this.canProtect && edge.risk !== 'high');
  }

  /** Whether what somebody has forbidden, or nobody has allowed yet, is dropped at the moment. */
  isStopped(edge: Edge): boolean {
    const isOpen = edge.state === 'learned' || edge.state === 'allowed';
    return !isOpen && this.blocks && !this.principals.get(edge.from.id)?.paused_until;
  }

  /** Whether an owner has to allow this, and a member can only ask for it. */
  asksOwner(edge: Edge): boolean {
    return this.me?.role === 'member' && edge.risk === 'high';
  }

  /** Whether this phone may take a decision back: a member what it has decided itself. */
  mayUndo(decision: Decision): boolean {
    return this.canChange || (this.canProtect && decision.client === this.me?.id);
  }

  /** Finds out whether this browser is paired, and if so follows the box. */
  async start(): Promise<void> {
    const me = await api.me();
    if (me.ok) {
      this.me = me.value;
      this.phase = 'paired';
      this.#follow();
    } else if (isLoggedOut(me.failure)) {
      const act = actOf(me.failure);
      this.#leave(this.isKept || act !== undefined, act);
    } else {
      this.#noteOutage(me.failure);
      if (me.failure.kind !== 'problem') this.#showSnapshot();
      setTimeout(() => void this.start(), 2_000);
    }
  }

  /** Keeps what waits, to be read when the box is out of reach. */
  #keepSnapshot(): void {
    if (!this.loaded || this.isKept || this.stale || this.me === undefined || this.status === undefined) return;
    const waiting = this.#waitingEdges();
    const ends = new Set(waiting.flatMap((edge) => [edge.from, edge.to, ...edge.beneficiaries].map(({ id }) => id)));
    const principals = [...this.principals.values()].filter(({ id }) => ends.has(id));
    snapshot.write(localStorage, { at: this.now, me: this.me, status: this.status, waiting, principals });
  }

  #showSnapshot(): void {
    const kept = this.loaded ? undefined : snapshot.read(localStorage);
    if (kept === undefined) return;
    this.me = kept.me;
    this.status = kept.status;
    this.edges = byId(kept.waiting);
    this.waiting = new Set(kept.waiting.map((edge) => edge.id));
    this.principals = byId(kept.principals);
    this.link = { state: 'lost', since: kept.at };
    this.phase = 'paired';
    this.isKept = true;
    this.loaded = true;
  }

  async logOut(): Promise<void> {
    const ended = await api.logOut();
    if (ended.ok || isLoggedOut(ended.failure)) this.#leave(false);
    else this.failure = ended.failure;
  }

  /** Decides; the edge changes only when the box says that the kernel has it. */
  async decide(edge: Edge, answer: Answer, lifetime: Lifetime, pin?: string): Promise<boolean> {
    const tap = this.#tap(edge, answer, lifetime);
    this.done = undefined;
    this.#setProgress(edge.id, { kind: 'applying' });
    const decision = { answer, lifetime, rev: edge.rev, ...(pin === undefined ? {} : { pin }) };
    const result = await api.decide(edge.id, decision, tap.key);
    if (result.ok) {
      this.done = this.#takeDecision(edge, tap, result.value);
      return true;
    }
    this.#takeFailure(edge, tap, result.failure);
    if (isUnsure(result.failure)) await this.#readBack([edge]);
    return false;
  }

  /** Decides about several edges; what fails stays where it is, and says why. How many were decided. */
  async decideAll(edges: readonly Edge[], answer: Answer, lifetime: Lifetime): Promise<number> {
    const made: Done[] = [];
    this.done = undefined;
    for (let start = 0; start < edges.length; start += MOST_AT_ONCE) {
      made.push(...(await this.#decideSome(edges.slice(start, start + MOST_AT_ONCE), answer, lifetime)));
    }
    const last = made.pop();
    if (last === undefined) return 0;
    this.done = { ...last, others: made };
    return made.length + 1;
  }

  async #decideSome(edges: readonly Edge[], answer: Answer, lifetime: Lifetime): Promise<Done[]> {
    const taps = new Map(edges.map((edge) => [edge, this.#tap(edge, answer, lifetime)]));
    for (const { id } of edges) this.#setProgress(id, { kind: 'applying' });
    const result = await api.decideAll({ edges: edges.map(({ id, rev }) => ({ id, rev })), answer, lifetime }, newKey());
    if (!result.ok) {
      for (const [edge, tap] of taps) this.#takeFailure(edge, tap, result.failure);
      if (isUnsure(result.failure)) await this.#readBack(edges);
      return [];
    }
    const refused = new Map(result.value.refused.map(({ id, problem }) => [id, problem]));
    const applied = [...result.value.applied];
    const made: Done[] = [];
    for (const [edge, tap] of taps) {
      const problem = refused.get(edge.id);
      if (problem !== undefined) this.#takeFailure(edge, tap, { kind: 'problem', problem });
      else {
        const done = applied.shift();
        if (done !== undefined) made.push(this.#takeDecision(edge, tap, done));
      }
    }
    return made;
  }

  /** Sends again what did not arrive. */
  async tryAgain(edge: Edge): Promise<void> {
    const progress = this.progress.get(edge.id);
    if (progress?.kind === 'failed') await this.decide(edge, progress.tap.answer, progress.tap.lifetime);
  }

  /** What did not arrive and makes the site safer is sent again when the box answers; an Allow never is. */
  #repeatDenials(): void {
    for (const [id, progress] of this.progress) {
      if (progress.kind !== 'failed' || progress.tap.answer !== 'deny' || !isLost(progress.failure)) continue;
      const edge = this.edges.get(id);
      if (edge === undefined || edge.state === 'denied') this.#setProgress(id, undefined);
      else if (this.canProtect) void this.tryAgain(edge);
    }
  }

  /** The same tap again, if that is what this is and the edge has not changed. */
  #tap(edge: Edge, answer: Answer, lifetime: Lifetime): Tap {
    const progress = this.progress.get(edge.id);
    const last = progress?.kind === 'failed' ? progress.tap : undefined;
    const asked = JSON.stringify([answer, lifetime, edge.rev]);
    if (last !== undefined && JSON.stringify([last.answer, last.lifetime, last.rev]) === asked) return last;
    return { answer, lifetime, rev: edge.rev, key: newKey() };
  }

  #takeDecision(edge: Edge, { answer, lifetime }: Tap, { edge: now, decision_id: decision }: Applied): Done {
    this.#takeEdge(now ?? edge, false, true);
    this.#setWaiting(edge.id, false);
    this.#setProgress(edge.id, undefined);
    this.#reloadDecisionsSoon();
    return { edge: now ?? edge, answer, lifetime, decision, others: [] };
  }

  #takeFailure(edge: Edge, tap: Tap, failure: Failure): void {
    if (isLoggedOut(failure)) {
      this.#leave(true, actOf(failure));
    } else if (failure.kind === 'problem' && failure.problem.code === 'conflict') {
      const now = failure.problem.params.edge ?? undefined;
      this.#setProgress(edge.id, { kind: 'conflict', edge: now });
      if (now) this.#takeEdge(now, this.waiting.has(now.id) && isAsked(now));
    } else {
      this.#setProgress(edge.id, { kind: 'failed', failure, tap, isUnsure: isUnsure(failure) });
      // The PIN may be new.
      if (failure.kind === 'problem' && failure.problem.code === 'pin_needed') void this.reloadMe();
    }
  }

  /** Finds out what became of decisions that were not answered in time. */
  async #readBack(edges: readonly Edge[]): Promise<void> {
    for (const { id } of edges) {
      const now = await api.edge(id);
      const progress = this.progress.get(id);
      if (!now.ok || progress?.kind !== 'failed') return;
      const isSaved = now.value.state === (progress.tap.answer === 'allow' ? 'allowed' : 'denied');
      this.#takeEdge(now.value, !isSaved && this.waiting.has(id) && isAsked(now.value), isSaved);
      this.#setProgress(id, isSaved ? undefined : { ...progress, isUnsure: false });
    }
    this.#reloadDecisionsSoon();
  }

  /** Takes back what was just done, all of it. */
  async undoDone(): Promise<void> {
    const { done } = this;
    if (done === undefined) return;
    for (const one of [done, ...done.others]) await this.undo(one.decision, one.edge);
  }

  async undo(decision: number, edge: Edge | undefined, pin?: string): Promise<void> {
    this.done = undefined;
    const result = await api.undo(decision, pin);
    if (result.ok) {
      const now = result.value.edge ?? edge;
      if (result.value.edge) this.#takeEdge(result.value.edge, false);
      if (now) this.done = { edge: now, answer: 'undo', lifetime: 'always', decision: result.value.decision_id, others: [] };
      await Promise.all([this.#reloadDecisions(), this.#reloadWaiting()]);
    } else {
      this.#failOrAskPin(result.failure, (pin) => this.undo(decision, edge, pin));
    }
  }

  /** Allows what an edge allows to all of its domain. */
  async widen(edge: Edge, pin?: string): Promise<void> {
    this.done = undefined;
    const result = await api.widen(edge.id, pin);
    if (!result.ok) return this.#failOrAskPin(result.failure, (again) => this.widen(edge, again));
    const { edge: now, decision_id: decision } = result.value;
    if (now) this.#takeEdge(now, false, true);
    this.done = { edge: now ?? edge, answer: 'allow', lifetime: 'always', decision, others: [] };
    this.#reloadDecisionsSoon();
  }

  /** Is not offered again on this phone. */
  refuseOffer({ key }: Offer): void {
    this.#refusedOffers = [...this.#refusedOffers, key];
    writeRefused(localStorage, this.#refusedOffers);
  }

  /** Asks the owners to decide. */
  async askOwners(edge: Edge): Promise<void> {
    const asked = await api.wish(edge.id);
    if (asked.ok) this.#takeWish({ edge: edge.id, by: this.me?.name ?? '', at: Math.floor(Date.now() / 1000) });
    else this.#fail(asked.failure);
  }

  async reloadMe(): Promise<void> {
    const me = await api.me();
    if (me.ok) this.me = me.value;
    else this.#fail(me.failure);
  }

  async reloadSettings(): Promise<void> {
    const settings = await api.settings();
    if (settings.ok) this.settings = settings.value;
  }

  /** Changes what the household has set up; whether it was saved. */
  async setUp(change: SettingsChange): Promise<boolean> {
    const settings = await api.setSettings(change);
    if (settings.ok) this.settings = settings.value;
    else this.#fail(settings.failure);
    return settings.ok;
  }

  decideLater(edge: Edge): void {
    this.#keepLater(later.putOff(this.#later, edge, Date.now()));
  }

  decideNow(edge: Edge): void {
    this.#keepLater(later.takeBack(this.#later, edge.id));
  }

  /** Takes a card away that someone else settled. */
  dismiss(id: number): void {
    this.elsewhere = without(this.elsewhere, id);
    this.#setProgress(id, undefined);
  }

  dismissAlarms(seen: readonly Alarm[]): void {
    this.#seenAlarms = alarms.see(this.#seenAlarms, seen);
    alarms.write(localStorage, this.#seenAlarms);
  }

  dismissDone(): void {
    this.done = undefined;
  }

  dismissFailure(): void {
    this.failure = undefined;
  }

  setPrincipal = (id: number, patch: PrincipalPatch): Promise<boolean> =>
    this.#changePrincipal(api.setPrincipal(id, patch), (pin) => this.setPrincipal(id, { ...patch, pin }));
  quarantine = (id: number) => this.#changePrincipal(api.quarantine(id));
  pause = (id: number, seconds: number) => this.#changePrincipal(api.pause(id, seconds));
  learn = (id: number, seconds: number) => this.#changePrincipal(api.learn(id, seconds));
  wait = (id: number, seconds: number) => this.#changePrincipal(api.wait(id, seconds));
  release = (id: number) => this.#changePrincipal(api.release(id));
  learnAnew = (id: number) => this.#changePrincipal(api.learnAnew(id));
  merge = (id: number, into: number, pin?: string): Promise<boolean> =>
    this.#changePrincipal(api.merge(id, into, pin), (pin) => this.merge(id, into, pin));
  finishLearning = (id: number) => this.#changePrincipal(api.finishLearning(id));
  setSiteMode = (mode: SiteMode, pin?: string): Promise<void> =>
    this.#changeStatus(api.setSiteMode(mode, pin), (pin) => this.setSiteMode(mode, pin));
  confirm = () => this.#changeStatus(api.confirm());
  settle = (learn: boolean) => this.#changeStatus(api.settle(learn));

  /** Changes how a device is treated, unless somebody has done so since it was shown. */
  async setMode(id: number, mode: PrincipalMode): Promise<boolean> {
    this.done = undefined;
    const shown = this.principals.get(id);
    this.#choosing.add(id);
    const result = await api.setMode(id, mode, shown?.rev);
    this.#choosing.delete(id);
    if (result.ok) {
      this.#takePrincipal(result.value, true);
    } else if (isConflict(result.failure) && shown?.mode === 'new') {
      this.answered = new Map(this.answered).set(id, { principal: shown, act: actOf(result.failure) });
      void this.#load();
    } else {
      this.#fail(result.failure);
    }
    return result.ok;
  }

  /** Takes the card of a new device away about which somebody else has answered. */
  dismissAnswered(id: number): void {
    this.answered = without(this.answered, id);
  }

  /** Ends a ban before its time; whether it is over. */
  async liftBan(ban: Ban): Promise<boolean> {
    this.done = undefined;
    const left = await api.liftBan(ban.id);
    if (left.ok) this.bans = left.value;
    else this.#fail(left.failure);
    return left.ok;
  }

  async loadDecisions(): Promise<void> {
    const decisions = await api.decisions();
    if (decisions.ok) this.decisions = decisions.value;
    else this.#fail(decisions.failure);
  }

  handle(event: LiveEvent): void {
    switch (event.event) {
      case 'hello':
        this.#hear(event.data);
        this.#repeatDenials();
        break;
      case 'resync':
        this.#hear(event.data);
        void this.#load().then(() => this.#repeatDenials());
        break;
      case 'daemon':
        this.daemon = event.data;
        this.#repeatDenials();
        break;
      case 'ping':
        this.#repeatDenials();
        break;
      case 'client.revoked':
        this.#leave(true, event.data.act ?? undefined);
        break;
      case 'edge.pending':
        this.#takeEdge(event.data, true);
        break;
      case 'edge.changed':
      case 'edge.decided':
      case 'edge.expired': {
        const isPending = isAsked(event.data);
        const waited = this.waiting.has(event.data.id);
        this.#takeEdge(event.data, waited && isPending);
        // An undo may have made it wait again; only the list of what waits tells that from a decision that is over.
        if (isPending && !waited) void this.#reloadWaiting();
        if (event.event !== 'edge.changed') this.#reloadDecisionsSoon();
        break;
      }
      case 'edge.removed':
        this.#dropEdge(event.data.id);
        break;
      case 'edge.stats':
        this.#takeStats(event.data);
        break;
      case 'learning.progress':
        this.#takeProgress(event.data);
        break;
      case 'edge.wished':
        this.#takeWish(event.data);
        break;
      case 'principal.added':
      case 'principal.changed':
        this.#takePrincipal(event.data);
        this.#reloadBansSoon();
        break;
      case 'principal.removed':
        this.#dropPrincipal(event.data.id);
        break;
      case 'status':
        this.#takeStatus(event.data);
        break;
      case 'alarm':
        this.#takeAlarm(event.data);
        break;
      case 'home':
        this.home = event.data.state;
        if (this.home === 'connected') void this.reloadSettings();
        break;
      case 'observation':
        break;
      default:
        assertNever(event);
    }
  }

  #follow(): void {
    this.#stop?.();
    this.#stop = follow({
      event: (event) => this.handle(event),
      link: (link) => (this.link = link),
      refused: () => void this.#findOut(),
    });
  }

  #hear(hello: { ui_build: string; daemon: DaemonState }): void {
    this.daemon = hello.daemon;
    this.#build ??= hello.ui_build;
    this.newBuild = this.#build !== hello.ui_build;
  }

  async #load(): Promise<void> {
    await this.#fetch(
      () => Promise.all([api.status(), api.edges(), api.pending(), api.principals()]),
      ([status, edges, pending, principals]) => {
        for (const answer of [status, edges, pending, principals]) {
          if (!answer.ok) return this.#noteOutage(answer.failure);
        }
        if (!(status.ok && edges.ok && pending.ok && principals.ok)) return;
        this.status = status.value;
        const before = this.isKept ? new Map<number, Edge>() : this.edges;
        this.edges = byId([...edges.value, ...pending.value]);
        this.#takeWaiting(pending.value, before);
        this.principals = byId(principals.value);
        this.loaded = true;
        this.isKept = false;
      },
    );
    await Promise.all([
      this.#reloadDecisions(),
      this.#loadWishes(),
      this.reloadSettings(),
      this.#reloadBans(),
      this.#loadAlarms(),
      this.#loadAuthority(),
    ]);
  }

  #reloadBansSoon(): void {
    if (this.#bansDue) return;
    this.#bansDue = true;
    setTimeout(() => {
      this.#bansDue = false;
      if (this.phase === 'paired') void this.#reloadBans();
    }, BANS_PAUSE);
  }

  async #reloadBans(): Promise<void> {
    const bans = await api.bans();
    if (bans.ok) this.bans = bans.value;
  }

  async #loadWishes(): Promise<void> {
    const wishes = await api.wishes();
    if (wishes.ok) this.wishes = new Map(wishes.value.map((wish) => [wish.edge, wish]));
  }

  async #loadAlarms(): Promise<void> {
    await this.#fetch(
      () => api.alarms(),
      (known) => {
        if (known.ok) this.#alarms = known.value;
      },
    );
  }

  #takeAlarm(alarm: Alarm): void {
    this.#keep(() => this.#takeAlarm(alarm));
    this.#alarms = alarms.withAlarm(this.#alarms, alarm);
  }

  async #loadAuthority(): Promise<void> {
    if (this.me?.role === 'owner') this.certificateUntil = (await ownAuthority())?.expires_at ?? undefined;
  }

  #takeWish(wish: Wish): void {
    this.wishes = new Map(this.wishes).set(wish.edge, wish);
  }

  /** Takes in lists, and then once more what became known while they were under way. */
  async #fetch<T>(ask: () => Promise<T>, take: (answer: T) => void): Promise<void> {
    this.#fetching += 1;
    const answer = await ask();
    take(answer);
    this.#fetching -= 1;
    const meanwhile = this.#meanwhile;
    this.#meanwhile = [];
    for (const again of meanwhile) again();
  }

  /** Keeps a change for a list that may not have it yet. */
  #keep(change: () => void): void {
    if (this.#fetching > 0) this.#meanwhile.push(change);
  }

  /** After the stream was refused: logged out, or only away for a while? */
  async #findOut(): Promise<void> {
    const me = await api.me();
    if (me.ok) {
      if (!this.loaded) await this.#load();
    } else {
      this.#noteOutage(me.failure);
    }
  }

  #noteOutage(failure: Failure): void {
    switch (failure.kind) {
      case 'unreachable':
      case 'timeout':
        if (this.link.state === 'live') this.link = { state: 'lost', since: Date.now() };
        break;
      case 'problem':
        if (isLoggedOut(failure)) this.#leave(true, actOf(failure));
        else if (failure.problem.code !== 'unavailable') this.failure = failure;
        else if (this.daemon.running) this.daemon = { running: false, since: Math.floor(Date.now() / 1000) };
        break;
      default:
        assertNever(failure);
    }
  }

  #leave(byOthers: boolean, act?: Act): void {
    this.#stop?.();
    this.#stop = undefined;
    snapshot.clear(localStorage);
    this.isKept = false;
    this.phase = 'unpaired';
    this.loggedOut = byOthers;
    this.loggedOutBy = act;
    this.answered = new Map();
    this.pinNeeded = undefined;
    this.me = undefined;
    this.loaded = false;
    this.edges = new Map();
    this.principals = new Map();
    this.waiting = new Set();
    this.elsewhere = new Map();
    this.progress = new Map();
    this.wishes = new Map();
    this.bans = [];
    this.#alarms = [];
    this.home = undefined;
    this.decisions = undefined;
    this.status = undefined;
    this.done = undefined;
  }

  /** Something that was asked for only to be shown was not answered. */
  missed(failure: Failure): void {
    this.#fail(failure);
  }

  #fail(failure: Failure): void {
    if (isLoggedOut(failure)) this.#leave(true, actOf(failure));
    else this.failure = failure;
  }

  #failOrAskPin(failure: Failure, again: PinNeeded['again']): void {
    if (!asksPin(failure)) return this.#fail(failure);
    const isWrong = failure.kind === 'problem' && failure.problem.code === 'pin_wrong';
    this.pinNeeded = { isWrong, again };
  }

  async #changePrincipal(request: ReturnType<typeof api.setMode>, again?: PinNeeded['again']): Promise<boolean> {
    this.done = undefined;
    const result = await request;
    if (result.ok) this.#takePrincipal(result.value, true);
    else if (again) this.#failOrAskPin(result.failure, again);
    else this.#fail(result.failure);
    return result.ok;
  }

  async #changeStatus(request: ReturnType<typeof api.confirm>, again?: PinNeeded['again']): Promise<void> {
    this.done = undefined;
    const result = await request;
    if (result.ok) this.status = result.value;
    else if (again) this.#failOrAskPin(result.failure, again);
    else this.#fail(result.failure);
  }

  #reloadDecisionsSoon(): void {
    this.#record ??= setTimeout(() => {
      this.#record = undefined;
      if (this.phase === 'paired') void this.#reloadDecisions();
    }, RECORD_PAUSE);
  }

  async #reloadDecisions(): Promise<void> {
    const decisions = await api.decisions();
    if (decisions.ok) this.decisions = decisions.value;
  }

  async #reloadWaiting(): Promise<void> {
    await this.#fetch(
      () => api.pending(),
      (pending) => {
        if (!pending.ok) return;
        this.edges = new Map([...this.edges, ...byId(pending.value)]);
        this.#takeWaiting(pending.value, this.edges);
      },
    );
  }

  /** Takes in what waits; a card that was shown and is not in the list any more stays until it is dismissed. */
  #takeWaiting(pending: readonly Edge[], before: ReadonlyMap<number, Edge>): void {
    const waiting = byId(pending);
    const isSettled = (id: number) => !waiting.has(id) && this.progress.get(id)?.kind !== 'applying';
    const settled = [...this.waiting].filter((id) => before.has(id) && isSettled(id));
    const edges = settled.flatMap((id) => this.edges.get(id) ?? before.get(id) ?? []);
    const elsewhere = [...this.elsewhere.values(), ...edges].filter(({ id }) => !waiting.has(id));
    this.elsewhere = byId(elsewhere);
    this.waiting = new Set(waiting.keys());
  }

  /** Takes an edge in, unless a newer state of it is known already. */
  #takeEdge(edge: Edge, waits: boolean, isMine = false): void {
    // Whether what changed still waits is known by the lists, if they have it as it is.
    this.#keep(() => this.#takeEdge(edge, waits || (edge.state === 'pending' && this.waiting.has(edge.id)), isMine));
    const known = this.edges.get(edge.id);
    if (known !== undefined && known.rev > edge.rev) return;
    this.edges = new Map(this.edges).set(edge.id, edge);
    if (!waits && this.waiting.has(edge.id) && this.progress.get(edge.id)?.kind !== 'applying') {
      this.elsewhere = new Map(this.elsewhere).set(edge.id, edge);
    }
    if (waits || isMine) this.elsewhere = without(this.elsewhere, edge.id);
    this.#setWaiting(edge.id, waits);
    if (!waits) this.wishes = without(this.wishes, edge.id);
    if (this.done !== undefined && this.done.edge.id === edge.id) this.done = { ...this.done, edge };
  }

  /** Counters of edges that are as they were; whoever used them was there. */
  #takeStats(stats: readonly EdgeStats[]): void {
    this.#keep(() => this.#takeStats(stats));
    const edges = new Map(this.edges);
    const principals = new Map(this.principals);
    for (const { id, tries, last_seen = null } of stats) {
      const edge = edges.get(id);
      if (edge === undefined) continue;
      edges.set(id, { ...edge, tries, last_seen });
      const from = principals.get(edge.from.id);
      if (from !== undefined && (last_seen ?? 0) > from.last_seen) principals.set(from.id, { ...from, last_seen: last_seen ?? 0 });
    }
    this.edges = edges;
    this.principals = principals;
  }

  #takeProgress(progress: readonly Progressed[]): void {
    this.#keep(() => this.#takeProgress(progress));
    const principals = new Map(this.principals);
    for (const { principal, learning } of progress) {
      const known = principals.get(principal);
      if (known !== undefined) principals.set(principal, { ...known, learning });
    }
    this.principals = principals;
  }

  #dropEdge(id: number): void {
    this.#keep(() => this.#dropEdge(id));
    const edge = this.edges.get(id);
    if (edge !== undefined && this.waiting.has(id)) this.elsewhere = new Map(this.elsewhere).set(id, edge);
    this.edges = without(this.edges, id);
    this.#setWaiting(id, false);
  }

  #takeStatus(status: Status): void {
    this.#keep(() => this.#takeStatus(status));
    if (this.status === undefined || this.status.rev <= status.rev) this.status = status;
  }

  #takePrincipal(principal: Principal, isOwn = this.#choosing.has(principal.id)): void {
    this.#keep(() => this.#takePrincipal(principal, isOwn));
    const known = this.principals.get(principal.id);
    if (known !== undefined && known.rev > principal.rev) return;
    if (known?.mode === 'new' && principal.mode !== 'new' && !isOwn) {
      this.answered = new Map(this.answered).set(principal.id, { principal, act: undefined });
      this.#reloadDecisionsSoon();
    }
    this.principals = new Map(this.principals).set(principal.id, principal);
  }

  #dropPrincipal(id: number): void {
    this.#keep(() => this.#dropPrincipal(id));
    this.principals = without(this.principals, id);
  }

  #setWaiting(id: number, waits: boolean): void {
    if (this.waiting.has(id) === waits) return;
    const waiting = new Set(this.waiting);
    if (waits) waiting.add(id);
    else waiting.delete(id);
    this.waiting = waiting;
  }

  #setProgress(id: number, progress: Progress | undefined): void {
    this.progress =
      progress === undefined ? without(this.progress, id) : new Map(this.progress).set(id, progress);
  }

  #waitingEdges(): Edge[] {
    const edges = [...this.waiting].flatMap((id) => this.edges.get(id) ?? []);
    return edges.sort(
      (a, b) => RISK_RANK[a.risk] - RISK_RANK[b.risk] || (b.first_seen ?? 0) - (a.first_seen ?? 0) || a.id - b.id,
    );
  }

  #isPutOff(edge: Edge): boolean {
    return later.isPutOff(this.#later, edge, this.now);
  }

  #keepLater(kept: later.Later): void {
    this.#later = kept;
    later.write(localStorage, kept, Date.now());
  }
}

/** Whether an edge may wait; one whose decision is over looks like that too. */
const isAsked = (edge: Edge): boolean => edge.state === 'pending' || Boolean(edge.flag);

const newKey = (): string =>
  Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('');

function byId<T extends { id: number }>(items: readonly T[]): Map<number, T> {
  return new Map(items.map((item) => [item.id, item]));
}

function without<T>(map: ReadonlyMap<number, T>, id: number): ReadonlyMap<number, T> {
  if (!map.has(id)) return map;
  const rest = new Map(map);
  rest.delete(id);
  return rest;
}
