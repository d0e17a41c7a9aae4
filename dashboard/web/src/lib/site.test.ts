import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { Site } from './site.svelte';
import type { Decision, Edge, Principal, Role, Status } from './types';

const washer = { id: 22, name: 'Washing machine', kind: 'washing_machine', confirmed: true };
const hub = { id: 20, name: 'Home hub', kind: 'hub', confirmed: true };

const edge = (change: Partial<Edge> = {}): Edge =>
  ({
    id: 8,
    from: washer,
    to: hub,
    verb: 'publish',
    object: 'lock/front/set',
    state: 'pending',
    risk: 'high',
    beneficiaries: [],
    tries: 1,
    since: 0,
    rev: 5,
    ...change,
  }) as Edge;

/** Answers of the server by path, in the hands of the test. */
let answers: Record<string, () => Response | Promise<Response>>;
let asked: { path: string; body: unknown; key: string | undefined }[];

const json = (value: unknown, status = 200) => new Response(JSON.stringify(value), { status });
const problem = (code: string, status: number, params = {}) =>
  json({ type: '', title: '', status, code, params }, status);

describe('the site', () => {
  let site: Site;

  beforeEach(() => {
    vi.useFakeTimers();
    localStorage.clear();
    asked = [];
    answers = { '/decisions': () => json([]), '/pending': () => json([]) };
    vi.stubGlobal('fetch', async (url: string, init: RequestInit) => {
      const path = url.replace('/api/v1', '');
      const key = new Headers(init.headers).get('idempotency-key') ?? undefined;
      asked.push({ path, body: typeof init.body === 'string' ? JSON.parse(init.body) : undefined, key });
      return (answers[path] ?? (() => problem('not_found', 404)))();
    });
    site = new Site();
  });

  afterEach(() => {
    vi.unstubAllGlobals();
    vi.useRealTimers();
  });

  const asks = (change: Partial<Edge> = {}) => site.handle({ event: 'edge.pending', data: edge(change) });

  it('shows what waits, the riskiest first', () => {
    asks({ id: 1, risk: 'low' });
    asks({ id: 2, risk: 'high' });
    asks({ id: 3, risk: 'medium' });
    expect(site.inbox.map((one) => one.id)).toEqual([2, 3, 1]);
  });

  it('is at the step of the first run that the box remembers, for owners only', async () => {
    let first_run = 'devices';
    answers['/settings'] = () => json({ name: 'Home', notified: false, first_run });
    site.me = { id: '1', name: 'Anna', role: 'owner', pin: false };
    expect(site.firstRun).toBeUndefined();
    await site.reloadSettings();
    expect(site.firstRun).toBe('devices');
    site.me = { ...site.me, role: 'member' };
    expect(site.firstRun).toBeUndefined();

    site.me = { ...site.me, role: 'owner' };
    first_run = 'done';
    expect(await site.setUp({ first_run: 'done' })).toBe(true);
    expect(asked.at(-1)).toEqual({ path: '/settings', body: { first_run: 'done' } });
    expect(site.firstRun).toBeUndefined();
  });

  it('stays at its step where that was not saved', async () => {
    site.me = { id: '1', name: 'Anna', role: 'owner', pin: false };
    answers['/settings'] = () => json({ name: null, notified: false, first_run: 'name' });
    await site.reloadSettings();
    answers['/settings'] = () => problem('unavailable', 503);
    expect(await site.setUp({ name: 'Home', first_run: 'others' })).toBe(false);
    expect(site.firstRun).toBe('name');
    expect(site.failure).toBeDefined();
  });

  it('does not go back to an older state', () => {
    asks({ rev: 5 });
    site.handle({ event: 'edge.decided', data: edge({ rev: 6, state: 'denied' }) });
    site.handle({ event: 'edge.changed', data: edge({ rev: 5 }) });
    expect(site.edges.get(8)?.state).toBe('denied');
    expect(site.inbox).toEqual([]);
  });

  it('reads the record once after a burst of decisions', async () => {
    site.phase = 'paired';
    for (const id of [1, 2, 3]) site.handle({ event: 'edge.decided', data: edge({ id, state: 'denied' }) });
    expect(asked).toEqual([]);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(asked.map(({ path }) => path)).toEqual(['/decisions']);
  });

  it('shows an alarm until it was seen, and again when it comes again', () => {
    const alarm = { code: 'scan', principal: null, since: 1, last: 1, times: 1 };
    site.handle({ event: 'alarm', data: alarm });
    site.handle({ event: 'alarm', data: { ...alarm, code: 'site.moved' } });
    expect(site.alarms.map(([code]) => code)).toEqual(['scan']);
    site.dismissAlarms(site.alarms.flatMap(([, alarms]) => alarms));
    expect(site.alarms).toEqual([]);
    site.handle({ event: 'alarm', data: { ...alarm, last: 2, times: 2 } });
    expect(site.alarms).toHaveLength(1);
  });

  it('shows at once that protection has a fault', () => {
    const fault = { code: 'not_attached', error: '', since: 1 } as const;
    const status = { mode: 'enforce', health: 'fault', faults: [fault], rev: 1 } as unknown as Status;
    site.handle({ event: 'status', data: { ...status, faults: [] } });
    site.handle({ event: 'status', data: status });
    expect(site.status?.faults).toEqual([fault]);
  });

  it('counts on without a change of what holds', () => {
    const device = { id: 22, last_seen: 5, mode: 'learning', rev: 3 } as Principal;
    site.handle({ event: 'principal.added', data: device });
    asks({ state: 'learned' });
    site.handle({ event: 'edge.stats', data: [{ id: 8, tries: 40, last_seen: 90 }, { id: 99, tries: 1, last_seen: 1 }] });
    expect(site.edges.get(8)).toMatchObject({ tries: 40, last_seen: 90, rev: 5 });
    expect(site.edges.has(99)).toBe(false);
    expect(site.principals.get(22)?.last_seen).toBe(90);
    const learning = { since: 0, habits: 7, last_new_at: null, percent: 62, at_least_seconds: 9, enforces_at: null, capped: false };
    site.handle({ event: 'learning.progress', data: [{ principal: 22, learning }] });
    expect(site.principals.get(22)?.learning?.percent).toBe(62);
  });

  it('takes the same event twice', () => {
    asks();
    asks();
    expect(site.inbox).toHaveLength(1);
  });

  it('does not ask about an edge whose decision is over until it tries again', () => {
    site.handle({ event: 'edge.expired', data: edge({ rev: 6 }) });
    expect(site.inbox).toEqual([]);
    asks({ rev: 7 });
    expect(site.inbox).toHaveLength(1);
  });

  it('asks again what someone else has undone', async () => {
    site.handle({ event: 'edge.decided', data: edge({ rev: 6, state: 'denied' }) });
    answers['/pending'] = () => json([edge({ rev: 7 })]);
    site.handle({ event: 'edge.decided', data: edge({ rev: 7 }) });
    await vi.waitFor(() => expect(site.inbox).toHaveLength(1));
  });

  it('leaves a card of which the list says that it waits no more, until it waits again', async () => {
    asks();
    asks({ id: 9 });
    answers['/pending'] = () => json([edge({ id: 10, rev: 7 })]);
    site.handle({ event: 'edge.changed', data: edge({ id: 10, rev: 6 }) });
    await vi.waitFor(() => expect(site.inbox.map(({ id }) => id)).toEqual([10]));
    expect([...site.elsewhere.keys()]).toEqual([8, 9]);
    asks({ rev: 8 });
    expect([...site.elsewhere.keys()]).toEqual([9]);
  });

  describe('while the lists are under way', () => {
    const hello = { rev: 1, ui_build: '', daemon: { running: true, since: 0 } };
    let arrive: (edges: Edge[]) => void;

    beforeEach(() => {
      const lists = new Promise<Edge[]>((resolve) => (arrive = resolve));
      answers['/status'] = () => json({ mode: 'enforce', health: 'ok' });
      answers['/principals'] = () => json([]);
      answers['/edges'] = async () => json(await lists);
      answers['/pending'] = async () => json((await lists).filter((one) => one.state === 'pending'));
      site.handle({ event: 'resync', data: hello });
    });

    it('does not lose a question that came meanwhile', async () => {
      asks({ id: 9, rev: 7 });
      arrive([edge()]);
      await vi.waitFor(() => expect(site.loaded).toBe(true));
      expect(site.inbox.map((one) => one.id).sort()).toEqual([8, 9]);
    });

    it('does not ask again what was decided meanwhile', async () => {
      site.handle({ event: 'edge.decided', data: edge({ rev: 6, state: 'denied' }) });
      arrive([edge()]);
      await vi.waitFor(() => expect(site.loaded).toBe(true));
      expect(site.inbox).toEqual([]);
      expect(site.edges.get(8)?.state).toBe('denied');
    });

    it('does not take an own decision for that of someone else', async () => {
      asks();
      answers['/edges/8/decision'] = () =>
        json({ decision_id: 3, state: 'applied', edge: edge({ state: 'denied', rev: 6 }) });
      const decided = site.decide(edge(), 'deny', 'always');
      site.handle({ event: 'edge.decided', data: edge({ rev: 6, state: 'denied' }) });
      await decided;
      arrive([edge()]);
      await vi.waitFor(() => expect(site.loaded).toBe(true));
      expect(site.inbox).toEqual([]);
      expect(site.elsewhere.size).toBe(0);
    });

    it('does not take a question that was tried again meanwhile for settled', async () => {
      site.handle({ event: 'edge.changed', data: edge({ rev: 6 }) });
      arrive([edge()]);
      await vi.waitFor(() => expect(site.loaded).toBe(true));
      expect(site.inbox.map((one) => one.id)).toEqual([8]);
      expect(site.elsewhere.size).toBe(0);
    });

    it('believes the lists where they are newer, and leaves the card until it is dismissed', async () => {
      asks();
      arrive([edge({ rev: 6, state: 'denied', by: 'Anna' })]);
      await vi.waitFor(() => expect(site.loaded).toBe(true));
      expect(site.inbox).toEqual([]);
      expect(site.elsewhere.get(8)).toMatchObject({ state: 'denied', by: 'Anna' });
    });
  });

  it('says applying until the box has answered, and sends what was shown', async () => {
    asks();
    let answer: (response: Response) => void = () => {};
    answers['/edges/8/decision'] = () => new Promise((resolve) => (answer = resolve));
    const decided = site.decide(edge(), 'deny', 'always');
    expect(site.progress.get(8)).toEqual({ kind: 'applying' });
    expect(site.inbox).toHaveLength(1);
    answer(json({ decision_id: 3, state: 'applied', edge: edge({ state: 'denied', rev: 6 }) }));
    await decided;
    expect(asked[0]).toMatchObject({ path: '/edges/8/decision', body: { answer: 'deny', lifetime: 'always', rev: 5 } });
    expect(site.inbox).toEqual([]);
    expect(site.progress.size).toBe(0);
    expect(site.elsewhere.size).toBe(0);
    expect(site.done?.decision).toBe(3);
  });

  it('says that nothing was saved when the box is not reached', async () => {
    asks();
    answers['/edges/8/decision'] = () => Promise.reject(new TypeError('network'));
    await site.decide(edge(), 'allow', 'once');
    expect(site.progress.get(8)).toMatchObject({ kind: 'failed', failure: { kind: 'unreachable' }, isUnsure: false });
    expect(site.inbox).toHaveLength(1);
  });

  describe('what did not arrive', () => {
    const hello = { rev: 1, ui_build: '', daemon: { running: true, since: 0 } };
    const decisions = () => asked.filter(({ path }) => path === '/edges/8/decision');
    const denied = edge({ state: 'denied', rev: 6 });
    const lose = (answer: 'allow' | 'deny', error: Error = new TypeError('network')) => {
      answers['/edges/8/decision'] = () => Promise.reject(error);
      return site.decide(edge(), answer, 'always');
    };

    beforeEach(() => {
      site.me = { id: '1', name: 'Anna', role: 'owner', pin: false };
      asks();
    });

    it('is the same decision when it is sent again, and another one when the edge has changed', async () => {
      await lose('allow');
      await site.tryAgain(edge());
      await site.tryAgain(edge({ rev: 6 }));
      const [first, second, third] = decisions().map(({ key }) => key);
      expect(first).toMatch(/^[0-9a-f]{32}$/);
      expect(second).toBe(first);
      expect(third).not.toBe(first);
      await lose('deny');
      expect(decisions().at(-1)?.key).not.toBe(third);
    });

    it('is sent again by itself if it blocks', async () => {
      await lose('deny');
      answers['/edges/8/decision'] = () => json({ decision_id: 3, state: 'applied', edge: denied });
      site.handle({ event: 'hello', data: hello });
      await vi.waitFor(() => expect(site.inbox).toEqual([]));
      expect(new Set(decisions().map(({ key }) => key)).size).toBe(1);
      site.handle({ event: 'ping', data: {} });
      expect(decisions()).toHaveLength(2);
    });

    it('is never sent again by itself if it allows', async () => {
      await lose('allow');
      site.handle({ event: 'hello', data: hello });
      site.handle({ event: 'ping', data: {} });
      site.handle({ event: 'daemon', data: hello.daemon });
      expect(decisions()).toHaveLength(1);
    });

    it('is not sent again when somebody else has blocked it, or while the daemon is away', async () => {
      await lose('deny');
      site.handle({ event: 'daemon', data: { running: false, since: 0 } });
      expect(decisions()).toHaveLength(1);
      site.handle({ event: 'edge.decided', data: denied });
      site.handle({ event: 'daemon', data: hello.daemon });
      expect(decisions()).toHaveLength(1);
      expect(site.progress.size).toBe(0);
    });

    it('is read back after a timeout', async () => {
      const late = () => new DOMException('late', 'TimeoutError');
      await lose('allow', late());
      expect(site.progress.get(8)).toMatchObject({ failure: { kind: 'timeout' }, isUnsure: true });
      answers['/edges/8'] = () => json(edge({ rev: 6 }));
      await lose('allow', late());
      expect(site.progress.get(8)).toMatchObject({ failure: { kind: 'timeout' }, isUnsure: false });
      expect(site.inbox).toHaveLength(1);
      answers['/edges/8'] = () => json(edge({ rev: 7, state: 'allowed' }));
      await lose('allow', late());
      expect(site.progress.size).toBe(0);
      expect(site.inbox).toEqual([]);
      expect(site.elsewhere.size).toBe(0);
    });
  });

  it('goes on asking where only the edge has changed', async () => {
    asks();
    answers['/edges/8/decision'] = () => problem('conflict', 409, { edge: edge({ rev: 6 }) });
    await site.decide(edge(), 'deny', 'always');
    expect(site.inbox.map(({ rev }) => rev)).toEqual([6]);
    expect(site.progress.get(8)?.kind).toBe('conflict');
  });

  it('shows who was faster', async () => {
    asks();
    const theirs = edge({ state: 'denied', by: 'Phone', rev: 6 });
    answers['/edges/8/decision'] = () => problem('conflict', 409, { edge: theirs });
    await site.decide(edge(), 'allow', 'always');
    expect(site.elsewhere.get(8)?.by).toBe('Phone');
    expect(site.inbox).toEqual([]);
  });

  it('keeps a card that someone else settled until it is dismissed', () => {
    asks();
    site.handle({ event: 'edge.decided', data: edge({ state: 'allowed', by: 'Phone', rev: 6 }) });
    expect(site.elsewhere.has(8)).toBe(true);
    site.dismiss(8);
    expect(site.elsewhere.size).toBe(0);
  });

  describe('a new device', () => {
    const device = (change: Partial<Principal> = {}): Principal =>
      ({ id: 30, name: 'x', kind: 'unknown', mode: 'new', confirmed: false, rev: 4, ...change }) as Principal;

    beforeEach(() => site.handle({ event: 'principal.added', data: device() }));

    it('says who has answered before', async () => {
      answers['/principals/30/mode'] = () => problem('conflict', 409, { act: { by: 'Anna', at: 5 } });
      expect(await site.setMode(30, 'guest')).toBe(false);
      expect(asked[0]?.body).toEqual({ mode: 'guest', rev: 4 });
      expect(site.answered.get(30)?.act).toEqual({ by: 'Anna', at: 5 });
      expect(site.failure).toBeUndefined();
      site.dismissAnswered(30);
      expect(site.answered.size).toBe(0);
    });

    it('stays until it is dismissed if somebody else answers, and goes if we do', async () => {
      site.handle({ event: 'principal.changed', data: device({ name: 'Lamp', rev: 5 }) });
      expect(site.answered.size).toBe(0);
      answers['/principals/30/mode'] = () => {
        site.handle({ event: 'principal.changed', data: device({ mode: 'guest', rev: 6 }) });
        return json(device({ mode: 'guest', rev: 6 }));
      };
      expect(await site.setMode(30, 'guest')).toBe(true);
      expect([site.answered.size, site.newcomers.length]).toEqual([0, 0]);
      site.handle({ event: 'principal.changed', data: device({ id: 31 }) });
      site.handle({ event: 'principal.changed', data: device({ id: 31, mode: 'learning', rev: 5 }) });
      expect([...site.answered.keys()]).toEqual([31]);
    });
  });

  it('asks for the PIN where it is needed, and tries again with it', async () => {
    answers['/decisions/5/undo'] = () => problem('pin_needed', 403);
    await site.undo(5, edge());
    expect(site.failure).toBeUndefined();
    expect(site.pinNeeded?.isWrong).toBe(false);
    answers['/decisions/5/undo'] = () => problem('pin_wrong', 403);
    await site.pinNeeded?.again('1234');
    expect(site.pinNeeded?.isWrong).toBe(true);
    expect(asked.at(-1)).toEqual({ path: '/decisions/5/undo', body: { pin: '1234' } });
    answers['/principals/20'] = () => problem('pin_needed', 403);
    expect(await site.setPrincipal(20, { kind: 'light' })).toBe(false);
    await site.pinNeeded?.again('4711');
    expect(asked.at(-1)?.body).toEqual({ kind: 'light', pin: '4711' });
    answers['/edges/7/widen'] = () => problem('pin_needed', 403);
    await site.widen(edge({ id: 7 }));
    answers['/edges/7/widen'] = () => json({ decision_id: 6, state: 'applied', edge: edge({ id: 8, state: 'allowed' }) });
    await site.pinNeeded?.again('4711');
    expect(asked.at(-1)).toEqual({ path: '/edges/7/widen', body: { pin: '4711' } });
    expect(site.done?.decision).toBe(6);
    answers['/principals/merge'] = () => problem('pin_needed', 403);
    expect(await site.merge(20, 21)).toBe(false);
    await site.pinNeeded?.again('4711');
    expect(asked.at(-1)?.body).toEqual({ principal: 20, into: 21, pin: '4711' });
    answers['/mode'] = () => problem('pin_needed', 403);
    await site.setSiteMode('monitor');
    await site.pinNeeded?.again('4711');
    expect(asked.at(-1)?.body).toEqual({ mode: 'monitor', pin: '4711' });
  });

  it('lets a member take back what it has decided itself', () => {
    const decision = (client: string | null) => ({ id: 1, by: 'Ben', client }) as Decision;
    const may = (role: Role) => {
      site.me = { id: '2', name: 'Ben', role, pin: false };
      return [site.mayUndo(decision('2')), site.mayUndo(decision('1')), site.mayUndo(decision(null))];
    };
    expect(may('member')).toEqual([true, false, false]);
    expect(may('owner')).toEqual([true, true, true]);
    expect(may('viewer')).toEqual([false, false, false]);
  });

  it('puts off on this phone and asks again when it is riskier', () => {
    asks({ risk: 'low' });
    site.decideLater(edge({ risk: 'low' }));
    expect(site.inbox).toEqual([]);
    expect(site.putOff).toHaveLength(1);
    asks({ risk: 'high', rev: 6 });
    expect(site.inbox).toHaveLength(1);
  });

  it('forgets everything when it is logged out', () => {
    asks();
    site.handle({ event: 'client.revoked', data: { clients: ['1'], act: { by: 'Anna', at: 5 } } });
    expect(site.phase).toBe('unpaired');
    expect(site.loggedOut).toBe(true);
    expect(site.loggedOutBy).toEqual({ by: 'Anna', at: 5 });
    expect(site.edges.size).toBe(0);
  });

  it('is stale only after ten seconds', () => {
    site.link = { state: 'lost', since: Date.now() };
    vi.advanceTimersByTime(9_000);
    expect(site.stale).toBe(false);
    vi.advanceTimersByTime(7_000);
    expect(site.stale).toBe(true);
    expect(site.canDecide).toBe(false);
  });

  it('decides about a group at once, leaves what failed, and takes all back at once', async () => {
    const [first, second, third] = [8, 9, 10].map((id) => edge({ id }));
    for (const one of [first, second, third]) if (one) asks(one);
    const applied = (id: number) => ({ decision_id: id + 100, state: 'applied', edge: edge({ id, state: 'denied', rev: 6 }) });
    const gone = { type: '', title: '', status: 404, code: 'not_found', params: {} };
    answers['/edges/decisions'] = () => json({ applied: [applied(8), applied(10)], refused: [{ id: 9, problem: gone }] });
    for (const id of [8, 10]) {
      answers[`/decisions/${id + 100}/undo`] = () => json({ decision_id: id + 200, state: 'applied', edge: null });
    }
    const decided = await site.decideAll([first, second, third].flatMap((one) => one ?? []), 'deny', 'always');
    expect(decided).toBe(2);
    expect(asked.map(({ path }) => path)).toEqual(['/edges/decisions']);
    expect(asked[0]?.body).toMatchObject({ edges: [8, 9, 10].map((id) => ({ id, rev: 5 })), answer: 'deny' });
    expect(site.progress.get(9)).toMatchObject({ kind: 'failed', failure: { problem: { code: 'not_found' } } });
    expect(site.inbox.map(({ id }) => id)).toEqual([9]);
    expect(site.done?.others).toHaveLength(1);
    await site.undoDone();
    const undone = asked.map(({ path }) => path).filter((path) => path.endsWith('/undo'));
    expect(undone.sort()).toEqual(['/decisions/108/undo', '/decisions/110/undo']);
  });

  it('knows what its role may', async () => {
    const may = (role: Role) => {
      site.me = { id: '1', name: 'Phone', role, pin: false };
      return [site.canProtect, site.canChange, site.mayAllow(edge({ risk: 'low' })), site.mayAllow(edge({ risk: 'high' }))];
    };
    expect(may('owner')).toEqual([true, true, true, true]);
    expect(may('pro')).toEqual([true, true, true, true]);
    expect(may('member')).toEqual([true, false, true, false]);
    expect(may('viewer')).toEqual([false, false, false, false]);
  });

  it('asks an owner, and forgets it when it is decided', async () => {
    asks();
    answers['/edges/8/wish'] = () => new Response(null, { status: 204 });
    site.me = { id: '1', name: 'Ben', role: 'member', pin: false };
    await site.askOwners(edge());
    expect(site.wishes.get(8)?.by).toBe('Ben');
    site.handle({ event: 'edge.decided', data: edge({ state: 'allowed', by: 'Anna', rev: 6 }) });
    expect(site.wishes.size).toBe(0);
  });

  it('sends the PIN, and finds out that there is one now', async () => {
    asks();
    site.me = { id: '1', name: 'Anna', role: 'owner', pin: false };
    answers['/edges/8/decision'] = () => problem('pin_needed', 403);
    answers['/me'] = () => json({ id: '1', name: 'Anna', role: 'owner', pin: true });
    await site.decide(edge(), 'allow', 'always');
    await vi.waitFor(() => expect(site.me?.pin).toBe(true));
    await site.decide(edge(), 'allow', 'always', '4829');
    expect(asked.at(-1)?.body ?? asked.at(-2)?.body).toMatchObject({ pin: '4829' });
  });

  describe('out of reach of the box', () => {
    const status = { mode: 'enforce', health: 'ok' };
    const hello = { rev: 1, ui_build: '', daemon: { running: true, since: 0 } };

    beforeEach(async () => {
      site.me = { id: '1', name: 'Phone', role: 'owner', pin: false };
      answers['/status'] = () => json(status);
      answers['/principals'] = () => json([]);
      answers['/edges'] = () => json([edge()]);
      answers['/pending'] = () => json([edge()]);
      site.handle({ event: 'resync', data: hello });
      await vi.waitFor(() => expect(site.loaded).toBe(true));
      vi.advanceTimersByTime(5_000);
    });

    it('shows what was known last, and lets nothing be decided', async () => {
      const away = new Site();
      answers['/me'] = () => Promise.reject(new TypeError('network'));
      await away.start();
      expect(away.inbox.map((one) => one.id)).toEqual([8]);
      expect(away.isKept).toBe(true);
      expect(away.canDecide).toBe(false);
      expect(away.canProtect).toBe(false);
    });

    it('keeps nothing of one that is logged out', async () => {
      site.handle({ event: 'client.revoked', data: { clients: ['1'], act: { by: 'Anna', at: 5 } } });
      const away = new Site();
      answers['/me'] = () => Promise.reject(new TypeError('network'));
      await away.start();
      expect(away.loaded).toBe(false);
      expect(away.inbox).toEqual([]);
    });

    it('asks to be paired again when the box no longer knows it', async () => {
      const away = new Site();
      answers['/me'] = () => Promise.reject(new TypeError('network'));
      await away.start();
      answers['/me'] = () => problem('unauthenticated', 401);
      await away.start();
      expect(away.phase).toBe('unpaired');
      expect(away.inbox).toEqual([]);
    });
  });

  describe('with somebody banned', () => {
    const ban = { id: 3, principal: washer, client: 'intruder', until: 9_999_999_999, by: 'Edgeward', why: 'bruteforce' };
    const changed = () =>
      site.handle({ event: 'principal.changed', data: { ...washer, mode: 'enforcing', rev: 9 } as unknown as Principal });

    beforeEach(() => {
      site.phase = 'paired';
      answers['/bans'] = () => json([ban]);
    });

    it('knows it soon, and asks once for many changes', async () => {
      changed();
      changed();
      expect(asked.filter(({ path }) => path === '/bans')).toEqual([]);
      await vi.advanceTimersByTimeAsync(1_000);
      expect(site.bans).toEqual([ban]);
      expect(asked.filter(({ path }) => path === '/bans')).toHaveLength(1);
    });

    it('lifts a ban when the box has, and else says why not', async () => {
      changed();
      await vi.advanceTimersByTimeAsync(1_000);
      answers['/bans/3'] = () => problem('ask_owner', 403);
      expect(await site.liftBan(ban)).toBe(false);
      expect(site.bans).toEqual([ban]);
      expect(site.failure).toMatchObject({ problem: { code: 'ask_owner' } });
      answers['/bans/3'] = () => json([]);
      expect(await site.liftBan(ban)).toBe(true);
      expect(site.bans).toEqual([]);
    });
  });

  it('can decide nothing while the daemon is away', () => {
    site.handle({ event: 'daemon', data: { running: false, since: 5 } });
    expect(site.canDecide).toBe(false);
  });
});
