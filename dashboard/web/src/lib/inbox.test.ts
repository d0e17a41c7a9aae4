import { flushSync, mount, unmount, type Component } from 'svelte';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { haste, site, ui } from './app.svelte';
import type { Edge, Principal, PrincipalMode, Status } from './types';
import Decide from '../ui/Decide.svelte';
import EdgeDetail from '../ui/EdgeDetail.svelte';
import Header from '../ui/Header.svelte';
import Keys from '../ui/Keys.svelte';

const end = (id: number) => ({ id, name: `Device ${id}`, kind: 'light', confirmed: true });

const edge = (id: number, change: Partial<Edge> = {}): Edge =>
  ({
    id,
    from: end(100 + id),
    to: end(200 + id),
    verb: 'connect',
    object: 'tcp/80',
    state: 'pending',
    risk: 'medium',
    beneficiaries: [],
    tries: 1,
    first_seen: 0,
    since: 0,
    rev: 1,
    ...change,
  }) as unknown as Edge;

const device = (id: number, mode: PrincipalMode): Principal =>
  ({ ...end(id), mode, first_seen: 0, addresses: [], rev: 1 }) as unknown as Principal;

const people = (...modes: PrincipalMode[]) => new Map(modes.map((mode, index) => [20 + index, device(20 + index, mode)]));

let shown: Record<string, unknown>[] = [];

function show(...views: Component[]) {
  shown = views.map((view) => mount(view, { target: document.body, props: {} }));
  flushSync();
}

beforeEach(() => {
  vi.stubGlobal('fetch', () => Promise.reject(new TypeError('network')));
  site.phase = 'paired';
  site.me = { id: '1', name: 'Anna', role: 'owner', pin: false };
  site.status = { mode: 'enforce', health: 'ok', faults: [], version: '0' } as unknown as Status;
  site.link = { state: 'live' };
});

afterEach(async () => {
  for (const one of shown) await unmount(one);
  shown = [];
  site.edges = new Map();
  site.waiting = new Set();
  site.elsewhere = new Map();
  site.principals = new Map();
  site.progress = new Map();
  site.done = undefined;
  ui.wide = false;
  ui.select(undefined);
  document.body.replaceChildren();
  vi.unstubAllGlobals();
});

const ask = (...edges: Edge[]) => edges.forEach((data) => site.handle({ event: 'edge.pending', data }));
const text = (selector: string) => document.querySelector(selector)?.textContent?.replace(/\s+/g, ' ').trim();

describe('the head of the page', () => {
  const says = (mode: string, ...modes: PrincipalMode[]) => {
    site.status = { ...site.status, mode } as Status;
    site.principals = people(...modes);
    show(Header);
    return text('header [role=status]');
  };

  it.each<[string, string, PrincipalMode[]]>([
    ['Protecting 1 device', 'enforce', ['enforcing', 'learning', 'new', 'guest']],
    ['Protecting 2 devices · 1 cut off', 'enforce', ['enforcing', 'enforcing', 'quarantine']],
    ['Learning. Not protecting yet (1 of 3 ready)', 'enforce', ['learning', 'ready', 'learning', 'guest', 'new']],
    ['Learning. Not protecting yet (0 of 1 ready)', 'monitor', ['learning']],
    ['No device is protected yet · 1 cut off', 'enforce', ['guest', 'new', 'quarantine']],
    ['Watching only. Nothing is blocked', 'monitor', ['enforcing']],
  ])('says %j only where it is so', (said, mode, modes) => {
    expect(says(mode, ...modes)).toBe(said);
  });

  it('has the mode with its switch, who learns and the link on a wide screen', () => {
    ui.wide = true;
    says('enforce', 'enforcing', 'learning');
    expect(text('[data-site-mode] summary')).toContain('Enforcing');
    expect(text('.facts > a')).toBe('Learning 1');
    expect(text('[data-live]')).toBe('Live');
    const asked: string[] = [];
    vi.stubGlobal('fetch', (url: string, init: RequestInit) => {
      asked.push(`${url} ${String(init.body)}`);
      return Promise.reject(new TypeError('network'));
    });
    document.querySelector<HTMLElement>('[data-site-mode] button')?.click();
    expect(asked).toEqual(['/api/v1/mode {"mode":"monitor"}']);
    site.link = { state: 'lost', since: 0 };
    flushSync();
    expect(text('[data-live]')).toBe('Reconnecting…');
  });
});

describe('a decision that was not saved', () => {
  const failed = (change: Partial<Edge>, mode: string, answer: 'allow' | 'deny', isUnsure = false) => {
    ask(edge(1, change));
    site.status = { ...site.status, mode } as Status;
    const failure = { kind: isUnsure ? ('timeout' as const) : ('unreachable' as const) };
    site.progress = new Map([[1, { kind: 'failed', failure, isUnsure, tap: { answer, lifetime: 'always', rev: 1, key: 'k' } }]]);
    show(Decide);
    return text('article .notice');
  };

  it.each<[string, Partial<Edge>, string, 'allow' | 'deny', boolean]>([
    ['Not saved. It is still blocked. The box cannot be reached. Nothing was changed.', {}, 'enforce', 'allow', false],
    ['Not saved. The box cannot be reached. Nothing was changed.', {}, 'monitor', 'allow', false],
    [
      'Not saved. The box cannot be reached. Nothing was changed. It is sent again as soon as the box answers.',
      { state: 'learned', flag: { property: 'rate.exceeded', since: 0, last: 0, times: 1 } },
      'enforce',
      'deny',
      false,
    ],
    ["We don't know whether it was saved. The box has not answered in time.", {}, 'enforce', 'allow', true],
  ])('is told as %j', (told, change, mode, answer, isUnsure) => {
    expect(failed(change, mode, answer, isUnsure)).toBe(told);
    const again = vi.spyOn(site, 'tryAgain').mockResolvedValue();
    document.querySelector<HTMLElement>('[data-again]')?.click();
    expect(again).toHaveBeenCalledWith(site.edges.get(1));
    again.mockRestore();
  });

  it('is not sent again with the PIN that it needs', () => {
    site.me = { id: '1', name: 'Anna', role: 'owner', pin: true };
    failed({ risk: 'high' }, 'enforce', 'allow');
    expect(document.querySelector('[data-again]')).toBeNull();
  });

  it('is told by a group, with what was saved', async () => {
    const outside = Array.from({ length: 4 }, (_, index) => edge(index + 1, { from: end(22) }));
    ask(...outside);
    show(Decide);
    const refused = [3, 4].map((id) => ({ id, problem: { type: '', title: '', status: 429, code: 'too_many', params: {} } }));
    const applied = [1, 2].map((id) => ({ decision_id: id, state: 'applied', edge: edge(id, { state: 'denied', rev: 2 }) }));
    ask(edge(5, { from: end(22) }));
    flushSync();
    document.querySelectorAll<HTMLInputElement>('article input').forEach((one, index) => index === 4 && one.click());
    flushSync();
    vi.stubGlobal('fetch', () => Promise.resolve(new Response(JSON.stringify({ applied, refused }))));
    document.querySelector<HTMLElement>('article .refuse')?.click();
    await vi.waitFor(() => {
      flushSync();
      expect(text('article .notice')).toBe('2 saved. 2 not saved. Too much at once. Please wait a moment.');
    });
  });

  it('is that of somebody else, which can be changed', () => {
    ask(edge(1));
    const since = Math.floor(new Date(2026, 5, 5, 14, 5).getTime() / 1000);
    site.handle({ event: 'edge.decided', data: edge(1, { state: 'denied', by: 'Anna', since, rev: 2 }) });
    show(Decide);
    expect(text('.settled .muted')).toBe('Anna already blocked this at 14:05');
    document.querySelector<HTMLElement>('[data-change]')?.click();
    flushSync();
    expect(document.querySelector('.settled [data-change]')?.getAttribute('aria-expanded')).toBe('true');
    expect(document.querySelector('.settled dl')).not.toBeNull();
  });
});

describe('what is put off', () => {
  it.each<[string, Partial<Edge>, string]>([
    ['1 put off, still blocked', {}, 'enforce'],
    ['1 put off', {}, 'monitor'],
    ['1 put off', { state: 'allowed', flag: { property: 'rate.exceeded', since: 0, last: 0, times: 1 } }, 'enforce'],
  ])('is told as %j', (told, change, mode) => {
    site.status = { ...site.status, mode } as Status;
    ask(edge(1, change));
    site.decideLater(edge(1, change));
    show(Decide);
    expect(text('details summary')).toBe(told);
    expect(text('details p')?.includes('stays blocked')).toBe(told.includes('blocked'));
    site.decideNow(edge(1));
  });
});

describe('the detail of what an owner was asked', () => {
  it.each([
    ['enforce', 'Asked. It stays blocked until an owner decides.'],
    ['monitor', 'An owner was asked.'],
  ])('says in mode %s what becomes of it meanwhile', (mode, told) => {
    site.me = { id: '2', name: 'Ben', role: 'member', pin: false };
    site.status = { ...site.status, mode } as Status;
    const asked = edge(1, { risk: 'high' });
    ask(asked);
    site.wishes = new Map([[1, { edge: 1, by: 'Ben', at: 0 }]]);
    shown = [mount(EdgeDetail, { target: document.body, props: { edge: asked } })];
    flushSync();
    expect(text('.buttons [role=status]')).toBe(told);
    expect(text('.refuse')).toContain(mode === 'enforce' ? 'Keep blocked' : 'Block');
    site.wishes = new Map();
  });
});

describe('a new device', () => {
  it('is told with its maker, what it calls itself and the guess with its clues', () => {
    const guess = { kind: 'light', confidence: 'medium', clues: [{ code: 'offers', value: '_hue._tcp' }], evidence: [] };
    const told = { name: '02:00:00:00:00:20', confirmed: false, maker: 'Espressif', calls_itself: 'front-lamp', guess, kind_source: 'guess' };
    site.principals = new Map([[20, { ...device(20, 'new'), ...told } as Principal]]);
    show(Decide);
    expect(text('article h3')).toBe("A device we don't know, calls itself “front-lamp”");
    const all = text('article') ?? '';
    for (const part of ['Network card by Espressif', 'Light – fairly sure', 'it offers _hue._tcp']) expect(all).toContain(part);
    expect(all).not.toContain('Yes: Light');
  });
});

describe('who answers too quickly', () => {
  it('is asked once what the question is about', () => {
    site.principals = new Map([device(201, 'enforcing'), device(55, 'enforcing')].map((one) => [one.id, one]));
    ask(edge(1, { risk: 'high' }));
    for (let id = 900; id < 906; id += 1) haste.note({ id, risk: 'high' }, 0);
    show(Decide, Keys);
    expect(document.querySelector('article .refuse')).toBeNull();
    const choose = (name: string) => {
      [...document.querySelectorAll<HTMLElement>('[data-which-one] button')].find((one) => one.textContent === name)?.click();
      flushSync();
    };
    choose('Device 55');
    expect(text('[data-which-one] [role=status]')).toContain('Not that one');
    choose('Device 201');
    expect(document.querySelector('[data-which-one]')).toBeNull();
    expect(document.querySelector('article .refuse')).not.toBeNull();
  });
});

describe('the offer of a domain', () => {
  it('is taken with two taps, which say what it opens', async () => {
    const host = (id: number) => ({ ...device(id, 'outside'), name: `${id}.example.com`, domain: '*.example.com' });
    site.principals = new Map([1, 2, 3].map((id) => [200 + id, host(200 + id)]));
    const allowed = { state: 'allowed', lifetime: 'always', by: 'Anna', from: end(22), object: 'tcp/443' } as const;
    for (const id of [1, 2, 3]) site.handle({ event: 'edge.decided', data: edge(id, allowed) });
    show(Decide);
    expect(text('[data-offer] h3')).toBe('Let Device 22 use all servers of example.com?');
    const widened = vi.spyOn(site, 'widen').mockResolvedValue();
    document.querySelector<HTMLElement>('[data-offer] [data-allow]')?.click();
    flushSync();
    expect(widened).not.toHaveBeenCalled();
    expect(text('dialog p')).toContain('every server of example.com, also new ones, but only with connect tcp/443');
    document.querySelector<HTMLElement>('dialog [data-widen]')?.click();
    expect(widened).toHaveBeenCalledOnce();
    widened.mockRestore();
    document.querySelector<HTMLElement>('[data-offer] .refuse')?.click();
    flushSync();
    expect(document.querySelector('[data-offer]')).toBeNull();
  });
});

describe('the keys', () => {
  const press = (key: string) => {
    (document.activeElement ?? document.body).dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true }));
    flushSync();
  };

  beforeEach(() => (ui.wide = true));

  it('walk from card to card and decide nothing by that', () => {
    ask(edge(1), edge(2));
    site.principals = people('new');
    show(Decide, Keys);
    const decide = vi.spyOn(site, 'decide');
    press('j');
    const first = document.activeElement;
    expect(first?.matches('article[data-question]')).toBe(true);
    press('Enter');
    expect(decide).not.toHaveBeenCalled();
    for (let step = 0; step < 3; step += 1) press('j');
    expect(document.activeElement).not.toBe(first);
    press('k');
    press('k');
    press('k');
    expect(document.activeElement).toBe(first);
    decide.mockRestore();
  });

  it('open a question, keep it blocked and ask for how long to allow it', () => {
    ask(edge(1));
    show(Decide, Keys);
    press('j');
    press('Enter');
    expect(document.querySelector('article [aria-expanded=true]')).not.toBeNull();
    const decide = vi.spyOn(site, 'decide').mockResolvedValue(true);
    press('b');
    expect(decide.mock.calls[0]?.slice(0, 3)).toEqual([edge(1), 'deny', 'always']);
    press('a');
    expect(document.querySelector('dialog')).not.toBeNull();
    expect(decide).toHaveBeenCalledTimes(1);
    decide.mockRestore();
  });

  it('reach a new device, whose doors they do not open', () => {
    site.principals = people('new');
    show(Decide, Keys);
    const setMode = vi.spyOn(site, 'setMode').mockResolvedValue(true);
    press('j');
    expect(ui.selection).toEqual({ kind: 'principal', id: 20 });
    press('a');
    expect(setMode).not.toHaveBeenCalled();
    expect(document.activeElement?.hasAttribute('data-choice')).toBe(true);
    press('b');
    expect(setMode).toHaveBeenCalledWith(20, 'quarantine');
    setMode.mockRestore();
  });
});
