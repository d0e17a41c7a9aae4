import { describe, expect, it } from 'vitest';

import { lookAt, reached } from './review';
import type { Edge, Principal } from './types';

const CLOUD = 30;
const HUB = 20;
const tv = { id: 21, learning: { since: 1_000 } } as Principal;
const principals = new Map([
  [CLOUD, { id: CLOUD, mode: 'outside' } as Principal],
  [HUB, { id: HUB, mode: 'enforcing' } as Principal],
]);
const habit = (from: number, to: number, change: Partial<Edge> = {}): Edge =>
  ({ from: { id: from }, to: { id: to }, state: 'learned', risk: 'low', first_seen: 1_100, ...change }) as Edge;

describe('what a person should look at', () => {
  const look = (one: Edge, others: Edge[] = []) => lookAt(one, tv, principals, reached([one, ...others]), 4_000);

  it('is what could do harm, wherever it goes', () => {
    expect(look(habit(21, HUB, { risk: 'high' }))).toBe('risk');
    expect(look(habit(21, HUB, { first_seen: 3_900 }))).toBeUndefined();
  });

  it('is a server that no other device uses', () => {
    expect(look(habit(21, CLOUD))).toBe('alone');
    expect(look(habit(21, CLOUD), [habit(22, CLOUD)])).toBeUndefined();
    // What was only tried, or is blocked, is no use of it.
    expect(look(habit(21, CLOUD), [habit(22, CLOUD, { state: 'pending' }), habit(23, CLOUD, { state: 'denied' })])).toBe('alone');
  });

  it('is a server that came in the last third of learning', () => {
    expect(look(habit(21, CLOUD, { first_seen: 3_001 }), [habit(22, CLOUD)])).toBe('late');
    expect(look(habit(21, CLOUD, { first_seen: 3_000 }), [habit(22, CLOUD)])).toBeUndefined();
  });

  it('knows no last third of who does not learn any more', () => {
    const done = { ...tv, learning: null };
    const one = habit(21, CLOUD, { first_seen: 3_900 });
    expect(lookAt(one, done, principals, reached([one, habit(22, CLOUD)]), 4_000)).toBeUndefined();
  });
});
