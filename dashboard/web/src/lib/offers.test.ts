import { beforeEach, describe, expect, it } from 'vitest';

import { offersOf, readRefused, writeRefused } from './offers';
import type { Edge, Principal } from './types';

const principals = new Map(
  [1, 2, 3, 4].map((id) => [id, { id, name: `${id}.example.com`, domain: id === 4 ? '*.example.net' : '*.example.com' } as Principal]),
);
principals.set(9, { id: 9, name: '*.example.com', domain: '*.example.com' } as Principal);

const edge = (to: number, change: Partial<Edge> = {}): Edge =>
  ({
    id: to,
    from: { id: 22 },
    to: { id: to, name: principals.get(to)?.name ?? '' },
    verb: 'connect',
    object: 'tcp/443',
    state: 'allowed',
    lifetime: 'always',
    by: 'Anna',
    ...change,
  }) as unknown as Edge;

const three = [edge(1), edge(2), edge(3)];
const offers = (...edges: Edge[]) => offersOf(edges, principals, []).map(({ domain, hosts }) => [domain, hosts]);

describe('an offer of a domain', () => {
  beforeEach(() => localStorage.clear());

  it('comes with the third host that was always allowed', () => {
    expect(offers(...three)).toEqual([['*.example.com', 3]]);
    expect(offers(edge(1), edge(2), edge(4))).toEqual([]);
  });

  it.each<[string, Partial<Edge>]>([
    ['only for a while', { lifetime: 'for' }],
    ['to another device', { from: { id: 23, name: '', kind: '', confirmed: false } }],
    ['at another port', { object: 'tcp/80' }],
    ['by nobody', { by: null }],
    ['not at all', { state: 'denied' }],
  ])('does not come where one was allowed %s', (_, change) => {
    expect(offers(edge(1), edge(2), edge(3, change))).toEqual([]);
  });

  it('does not come where the domain is open, or it was refused here', () => {
    expect(offers(...three, edge(9))).toEqual([]);
    expect(offers(...three, edge(9, { state: 'pending' }))).toHaveLength(1);
    const [offer] = offersOf(three, principals, []);
    writeRefused(localStorage, [offer?.key ?? '']);
    expect(offersOf(three, principals, readRefused(localStorage))).toEqual([]);
    localStorage.setItem('edgeward.offers', '{"no": "list"}');
    expect(readRefused(localStorage)).toEqual([]);
  });
});
