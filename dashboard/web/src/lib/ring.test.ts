import { describe, expect, it } from 'vitest';

import { GROUPED_ABOVE, layOut, MOST_NODES, type Node } from './ring';
import type { Edge, Principal } from './types';

const device = (id: number, change: Partial<Principal> = {}): Principal =>
  ({ id, name: `Device ${id}`, confirmed: true, kind: 'light', mode: 'enforcing', room: null, ...change }) as Principal;

const edge = (id: number, from: number, to: number, change: Partial<Edge> = {}): Edge =>
  ({ id, from: { id: from }, to: { id: to }, state: 'learned', lifetime: null, beneficiaries: [], ...change }) as unknown as Edge;

const map = (devices: Principal[]) => new Map(devices.map((one) => [one.id, one]));
const SIZE = { width: 680, height: 480 };
const NOTHING: ReadonlySet<number> = new Set();
const idsOf = (nodes: readonly Node[]) => nodes.flatMap((node) => (node.is === 'one' ? [node.id] : []));
const severalOf = (nodes: readonly Node[]) => nodes.flatMap((node) => (node.is === 'several' ? [node] : []));

describe('the ring', () => {
  const devices = [device(20, { kind: 'hub' }), device(21), device(22), device(23)];

  it('has the hub in the middle', () => {
    const { nodes } = layOut(map(devices), [], NOTHING, SIZE);
    expect(nodes.find((node) => node.key === '20')).toMatchObject({ x: 340, y: 240 });
  });

  it('stays as it is when an edge arrives', () => {
    const places = (edges: Edge[]) => layOut(map(devices), edges, NOTHING, SIZE).nodes.map(({ key, x, y }) => [key, x, y]);
    expect(places([edge(1, 21, 20), edge(2, 22, 21)])).toEqual(places([edge(1, 21, 20)]));
  });

  it('does not depend on the order in which devices came', () => {
    const places = (all: Principal[]) => layOut(map(all), [], NOTHING, SIZE).nodes.map(({ key, x, y }) => [key, x, y]);
    expect(places([...devices].reverse())).toEqual(places(devices));
  });

  it('draws one line for two devices, in the state that needs a person most', () => {
    const edges = [edge(1, 21, 20), edge(2, 21, 20, { state: 'pending' }), edge(3, 21, 20, { state: 'denied' })];
    const { arcs } = layOut(map(devices), edges, new Set([2]), SIZE);
    expect(arcs.map(({ state }) => state)).toEqual(['pending']);
    expect(arcs[0]?.edges).toHaveLength(3);
  });

  it('draws a message that waits on to who would receive it', () => {
    const message = { verb: 'publish', state: 'pending', beneficiaries: [{ id: 23 }, { id: 21 }] } as unknown as Partial<Edge>;
    const { arcs } = layOut(map(devices), [edge(1, 21, 20, message), edge(2, 22, 20, { verb: 'publish' })], new Set([1]), SIZE);
    const lines = arcs.filter(({ state }) => state === 'pending').map(({ from, to, isOnward }) => [from, to, isOnward]);
    expect(lines).toEqual([['20', '23', true], ['21', '20', false]]);
  });

  it('draws something unusual that passes as waiting', () => {
    const [one, two] = [edge(2, 21, 20), edge(3, 22, 20)];
    const { arcs } = layOut(map(devices), [one, two], new Set([2]), SIZE);
    expect(arcs.map(({ key, tone }) => [key, tone])).toEqual([['22-20', 'allowed'], ['21-20', 'waiting']]);
  });

  it('leaves out what is over and asks nobody', () => {
    expect(layOut(map(devices), [edge(2, 21, 20, { state: 'pending' })], NOTHING, SIZE).arcs).toEqual([]);
  });

  it('shows servers that are used, and only those', () => {
    const all = map([...devices, device(30, { mode: 'outside' }), device(31, { mode: 'outside' })]);
    const ids = idsOf(layOut(all, [edge(1, 21, 30)], NOTHING, SIZE).nodes);
    expect(ids).toContain(30);
    expect(ids).not.toContain(31);
  });

  it('tells learning from what was decided or belongs to who is protected', () => {
    const learner = map([...devices.slice(0, 2), device(22, { mode: 'learning' }), device(23, { mode: 'ready' })]);
    const edges = [edge(1, 21, 20), edge(2, 22, 20), edge(3, 23, 20), edge(4, 23, 20, { state: 'allowed', lifetime: 'for' })];
    const { arcs } = layOut(learner, edges, NOTHING, SIZE);
    const tones = Object.fromEntries(arcs.map(({ from, tone, temporary }) => [from, [tone, temporary]]));
    expect(tones).toEqual({ 21: ['allowed', false], 22: ['learning', false], 23: ['allowed', true] });
  });
});

describe('the ring of many', () => {
  const rooms = ['Kitchen', 'Hallway', 'Bathroom'];
  const many = map(Array.from({ length: 60 }, (_, index) => device(100 + index, { room: rooms[index % 3] ?? null })));
  const touch = (nodes: readonly Node[], radius: number) =>
    nodes.some((one, index) => nodes.slice(index + 1).some((other) => Math.hypot(one.x - other.x, one.y - other.y) <= 2 * radius));

  it('is drawn one by one up to forty', () => {
    const few = map([...many.values()].slice(0, GROUPED_ABOVE));
    const { nodes, hidden, radius } = layOut(few, [], NOTHING, SIZE);
    expect([idsOf(nodes).length, hidden]).toEqual([GROUPED_ABOVE, 0]);
    expect(touch(nodes, radius)).toBe(false);
  });

  it('has one node per room, or maker, or the rest, and one for the Internet', () => {
    const all = map([
      ...many.values(),
      ...[200, 201].map((id) => device(id, { maker: 'Example Ltd' })),
      ...[202, 203].map((id) => device(id)),
      ...[300, 301].map((id) => device(id, { mode: 'outside', maker: 'Example Ltd' })),
    ]);
    const { nodes } = layOut(all, [edge(1, 100, 300), edge(2, 101, 301)], NOTHING, SIZE);
    expect(severalOf(nodes).map(({ place: { is, name }, count }) => [is, name, count])).toEqual([
      ['internet', '', 2],
      ['room', 'Bathroom', 20],
      ['room', 'Hallway', 20],
      ['room', 'Kitchen', 20],
      ['maker', 'Example Ltd', 2],
      ['elsewhere', '', 2],
    ]);
    expect(idsOf(nodes)).toEqual([]);
  });

  it('opens a room and closes it again', () => {
    const closed = layOut(many, [], NOTHING, SIZE);
    const kitchen = severalOf(closed.nodes).find(({ place }) => place.name === 'Kitchen');
    const opened = layOut(many, [], NOTHING, SIZE, new Set([kitchen?.key ?? '']));
    expect(idsOf(opened.nodes)).toEqual([...many.values()].filter(({ room }) => room === 'Kitchen').map(({ id }) => id));
    expect(severalOf(opened.nodes).map(({ place, isOpen }) => [place.name, isOpen])).toEqual([
      ['Bathroom', false],
      ['Hallway', false],
      ['Kitchen', true],
    ]);
    expect(touch(opened.nodes, opened.radius)).toBe(false);
    expect(opened.hidden).toBe(0);
  });

  it('draws by itself who is asked about, and who would receive it', () => {
    const asks = edge(1, 100, 101, { state: 'pending', beneficiaries: [{ id: 102 }] } as unknown as Partial<Edge>);
    // Something unusual may pass and be asked about all the same.
    const flagged = edge(2, 103, 104);
    const { nodes, arcs } = layOut(many, [asks, flagged], new Set([1, 2]), SIZE);
    expect(idsOf(nodes).sort()).toEqual([100, 101, 102, 103, 104]);
    expect(severalOf(nodes).map(({ count }) => count)).toEqual([19, 18, 18]);
    expect(arcs.find(({ tone }) => tone === 'waiting')).toMatchObject({ from: '100', to: '101' });
  });

  it('joins what goes between two rooms, counted, in the state that matters most', () => {
    // From the kitchen to the hallway, and one within the kitchen.
    const edges = [edge(1, 100, 101), edge(2, 103, 104, { state: 'denied' }), edge(3, 106, 104), edge(4, 100, 103)];
    const { arcs } = layOut(many, edges, NOTHING, SIZE);
    expect(arcs.map(({ tone, pairs, edges: all }) => [tone, pairs, all.map(({ id }) => id)])).toEqual([['blocked', 3, [2, 1, 3]]]);
  });

  it('does not depend on the order in which devices came', () => {
    const places = (all: Principal[]) => layOut(map(all), [], NOTHING, SIZE).nodes.map(({ key, x, y }) => [key, x, y]);
    expect(places([...many.values()].reverse())).toEqual(places([...many.values()]));
  });

  it('grows rather than leave out a question, up to a limit, and says how many it leaves out', () => {
    const crowd = map(Array.from({ length: 300 }, (_, index) => device(1000 + index)));
    const some = Array.from({ length: 60 }, (_, index) => edge(index, 1000 + index, 1299 - index, { state: 'pending' }));
    const asked = layOut(crowd, some, new Set(some.map(({ id }) => id)), SIZE);
    expect(idsOf(asked.nodes)).toHaveLength(120);
    expect(asked.hidden).toBe(0);
    expect(asked.height).toBeGreaterThan(SIZE.height);
    expect(touch(asked.nodes, asked.radius)).toBe(false);
    for (const { y } of asked.nodes) expect(y > 0 && y < asked.height).toBe(true);

    const opened = layOut(crowd, some, new Set(some.map(({ id }) => id)), SIZE, new Set(['elsewhere-']));
    expect(opened.nodes).toHaveLength(MOST_NODES);
    expect(opened.hidden).toBe(300 - (MOST_NODES - 1));
    expect(idsOf(opened.nodes)).toEqual(expect.arrayContaining(some.flatMap(({ from, to }) => [from.id, to.id])));
  });

  it('is quick with five thousand connections', () => {
    const crowd = map(Array.from({ length: 500 }, (_, index) => device(1000 + index, { room: `Room ${index % 30}` })));
    const edges = Array.from({ length: 5_000 }, (_, index) => edge(index, 1000 + (index % 500), 1000 + ((index * 7) % 500)));
    const began = performance.now();
    layOut(crowd, edges, NOTHING, SIZE);
    expect(performance.now() - began).toBeLessThan(500);
  });
});
