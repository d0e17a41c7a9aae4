import { flushSync, mount, unmount } from 'svelte';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { site } from './app.svelte';
import { cut, harmless } from './harmless';
import { whoIs } from './reading';
import type { Edge, Principal } from './types';
import Card from '../ui/Card.svelte';
import NewDevice from '../ui/NewDevice.svelte';

const HOSTILE = [
  '<img src=x onerror=alert(1)>',
  '</p><script>alert(1)</script>',
  '\u202Eknab ruoY\u202C',
  'Front\u200Bdoor\u0000\u001b[31m',
  '🔒🚪'.repeat(500),
  'x'.repeat(10_240),
  '{@html evil}',
];
/** Line breaks are those of our own markup. */
const DECEIVES = /\p{Cf}|(?![\n\t])\p{Cc}/u;

describe('a text of a device', () => {
  it('is one line of visible characters, and short', () => {
    expect(harmless('Front\u202E door\u0007\n lock', 40)).toBe('Front door lock');
    expect(harmless('x'.repeat(10_240), 40)).toBe(`${'x'.repeat(39)}…`);
    expect([...harmless('🔒'.repeat(500), 40)]).toHaveLength(40);
    expect(harmless('\u200B\u202E', 40)).toBe('');
  });

  it('has no piles of marks', () => {
    expect(harmless(`H${'\u0301\u0489\u0e48'.repeat(20)}ub`, 40)).toBe('H\u0301\u0489ub');
    for (const name of ['Küche', 'e\u0301\u0323', 'ที่', 'हिन्दी']) expect(harmless(name, 40)).toBe(name);
  });

  it('is cut between characters as people see them', () => {
    expect(cut('🔒🚪🔒🚪', 3)).toBe('🔒🚪…');
    expect(cut('e\u0301e\u0301e\u0301', 2)).toBe('e\u0301…');
    expect(cut('🇩🇪🇫🇷🇩🇪', 2)).toBe('🇩🇪…');
    expect(cut('🔒🚪', 2)).toBe('🔒🚪');
    expect(harmless(`${'x'.repeat(38)}🔒🚪🔒`, 40)).toBe(`${'x'.repeat(38)}🔒…`);
  });

  it('is no name if nothing of it is visible', () => {
    expect(whoIs({ id: 40, name: '\u200B', confirmed: false, kind: 'lock' }, new Map())).toEqual({ is: 'unknown', kind: 'lock' });
  });
});

describe('on the page', () => {
  let shown: Record<string, unknown> | undefined;

  beforeEach(() => {
    vi.stubGlobal('fetch', () => Promise.reject(new TypeError('network')));
  });

  afterEach(async () => {
    if (shown) await unmount(shown);
    document.body.replaceChildren();
    vi.unstubAllGlobals();
  });

  const end = (id: number, name: string) => ({ id, name, kind: 'unknown', confirmed: false });

  /** What is in the page besides our own elements, or deceives. */
  function check(text: string) {
    flushSync();
    expect(document.querySelector('img, script, iframe')).toBeNull();
    expect(DECEIVES.test(document.body.textContent ?? '')).toBe(false);
    const longest = Math.max(...[...document.querySelectorAll('h3, p, span')].map((one) => (one.textContent ?? '').length));
    expect(longest, text).toBeLessThan(700);
  }

  it.each([...HOSTILE.entries()])('a question about text %i shows text', (_, name) => {
    const edge = {
      id: 8,
      from: end(40, name),
      to: end(41, name),
      verb: 'publish',
      object: name,
      state: 'pending',
      risk: 'medium',
      violated: 'dest.new',
      beneficiaries: [end(42, name)],
      tries: 1,
      since: 0,
      rev: 1,
    } as unknown as Edge;
    shown = mount(Card, { target: document.body, props: { edge } });
    check(name);
    expect(document.querySelector('h3')?.textContent).toContain('“');
  });

  it.each([...HOSTILE.entries()])('a new device that calls itself text %i is quoted', (_, name) => {
    const principal = { ...end(40, name), calls_itself: name, mode: 'new', first_seen: 0, addresses: [] } as unknown as Principal;
    site.principals = new Map([[40, principal]]);
    shown = mount(NewDevice, { target: document.body, props: { principal } });
    check(name);
  });
});
