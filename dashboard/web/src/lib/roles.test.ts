import { flushSync, mount, unmount } from 'svelte';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { site, ui } from './app.svelte';
import type { Ban, Edge, Principal, Role, Status } from './types';
import Bans from '../ui/Bans.svelte';
import Bars from '../ui/Bars.svelte';
import Devices from '../ui/Devices.svelte';
import GroupCard from '../ui/GroupCard.svelte';
import Guess from '../ui/Guess.svelte';
import Header from '../ui/Header.svelte';
import Identity from '../ui/Identity.svelte';
import Review from '../ui/Review.svelte';

const end = (id: number) => ({ id, name: `Device ${id}`, kind: 'light', confirmed: true });
const edge = { id: 8, from: end(20), to: end(21), verb: 'connect', object: 'tcp/80', risk: 'low', tries: 1 };
const pending = [8, 9].map((id) => ({ ...edge, id, state: 'pending' })) as unknown as Edge[];
const review = { habits: 1, groups: [{ with: 'Device 21', newest: 0, habits: [{ ...edge, state: 'learned' }] }] };
const ban = { id: 1, principal: end(20), until: 9_999_999_999, why: 'login.failed', by: 'Anna' } as unknown as Ban;
const tv = {
  ...end(20),
  mode: 'learning',
  kind_source: 'none',
  guess: { kind: 'tv', confidence: 'high', clues: [] },
  edges: { learned: 1, allowed: 0 },
  addresses: [],
  first_seen: 0,
  rev: 1,
} as unknown as Principal;
const hub = { ...tv, ...end(21), mode: 'enforcing', guess: null } as unknown as Principal;

const target = document.body;
const views = {
  GroupCard: () => mount(GroupCard, { target, props: { group: 'x', edges: pending, outside: false } }),
  Bars: () => mount(Bars, { target, props: {} }),
  Bans: () => {
    site.bans = [ban];
    return mount(Bans, { target, props: { principal: undefined } });
  },
  Guess: () => mount(Guess, { target, props: { principal: tv, onsaved: () => undefined } }),
  Review: () => mount(Review, { target, props: { principal: tv.id } }),
  Habits: () => mount(Review, { target, props: { principal: hub.id } }),
  Header: () => mount(Header, { target, props: {} }),
  Devices: () => mount(Devices, { target, props: { principal: undefined } }),
  Identity: () => mount(Identity, { target, props: { principal: tv } }),
};

let shown: Record<string, unknown> | undefined;

beforeEach(() => {
  vi.stubGlobal('fetch', () => Promise.resolve(Response.json(review)));
  const status = { mode: 'enforce', health: 'ok', faults: [], version: '0', clock_synchronised: true };
  site.status = { ...status, confirm_until: 9_999_999_999, moved_since: 1 } as unknown as Status;
  site.phase = 'paired';
  site.link = { state: 'live' };
  site.principals = new Map([tv, hub].map((one) => [one.id, one]));
  site.bans = [];
  ui.wide = true;
});

afterEach(async () => {
  if (shown) await unmount(shown);
  shown = undefined;
  site.principals = new Map();
  site.bans = [];
  site.status = undefined;
  ui.wide = false;
  target.replaceChildren();
  vi.unstubAllGlobals();
});

describe.each(Object.entries(views))('%s', (name, show) => {
  /** Whether anything is disabled, and what is said about it. */
  async function seen(role: Role) {
    site.me = { id: '1', name: 'Anna', role, pin: false };
    shown = show();
    flushSync();
    if (/Review|Habits/.test(name)) await vi.waitFor(() => expect(target.querySelector('[data-group]')).not.toBeNull());
    const hints = [...target.querySelectorAll('[data-may-not]')].map((hint) => hint.textContent);
    // What waits for a choice is disabled for everybody.
    const disabled = [...target.querySelectorAll('button:disabled')].filter(
      (button) => button.previousElementSibling?.tagName !== 'LABEL',
    );
    const isSaid = (button: Element) => (button.closest('.bar') ?? target).querySelector('[data-may-not]') !== null;
    return { disabled: disabled.length, hints: [...new Set(hints)], unsaid: disabled.filter((one) => !isSaid(one)) };
  }
  const { look, change } = ui.words.mayNot;

  it('says to who only looks why nothing can be used', async () => {
    const { disabled, hints, unsaid } = await seen('viewer');
    expect(unsaid).toEqual([]);
    expect(disabled).toBeGreaterThan(0);
    expect(hints).toEqual([look]);
  });

  it('says to a member what is for owners', async () => {
    const { disabled, hints, unsaid } = await seen('member');
    expect(unsaid).toEqual([]);
    const isForMembers = /GroupCard|Habits/.test(name);
    expect(hints).toEqual(isForMembers ? [] : [change]);
    expect(disabled > 0).toBe(!isForMembers);
  });

  it('says nothing to an owner, who may', async () => {
    const { disabled, hints } = await seen('owner');
    expect([disabled, hints]).toEqual([0, []]);
  });
});
