import { describe, expect, it } from 'vitest';

import { layOut } from './ring';
import type { Edge, Principal } from './types';

const device = (id: number, change: Partial<Principal> = {}): Principal =>
  ({ id, name: `Device ${id}`, confirmed: true, kind: 'light', mode: 'enforcing', room: null, ...change }) as Principal;

const edge = (id: number, from: number, to: number, change: Partial<Edge> = {}): Edge =>
  ({ id, from: { id: from }, to: { id: to }, state: 'learned', lifetime: null, beneficiaries: [], ...change }) as unknown as Edge;

const map = (devices: Principal[]) => new Map(devices.map((one) => [one.id, one]));
const SIZE = { width: 680, height: 480 };
const NOTHING: ReadonlySet<number> = new Set();

describe('the ring', () => {
  const devices = [device(20, { kind: 'hub' }), device(21), device(22), device(23)];

  it('has the hub in the middle', () => {
    const { nodes } = layOut(map(devices), [], NOTHING, SIZE);
    expect(nodes.find((node) => node.id === 20)).toMatchObject({ x: 340, y: 240 });
  });

  it('stays as it is when an edge arrives', () => {
    const places = (edges: Edge[]) => layOut(map(devices), edges, NOTHING, SIZE).nodes.map(({ id, x, y }) => [id, x, y]);
    expect(places([edge(1, 21, 20), edge(2, 22, 21)])).toEqual(places([edge(1, 21, 20)]));
  });

  it('does not depend on the order in which devices came', () => {
    const places = (all: Principal[]) => layOut(map(all), [], NOTHING, SIZE).nodes.map(({ id, x, y }) => [id, x, y]);
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
    expect(lines).toEqual([[21, 20, false], [20, 23, true]].sort((a, b) => String(a).localeCompare(String(b))));
  });

  it('leaves out what is over and asks nobody', () => {
    expect(layOut(map(devices), [edge(2, 21, 20, { state: 'pending' })], NOTHING, SIZE).arcs).toEqual([]);
  });

  it('shows servers that are used, and only those', () => {
    const all = map([...devices, device(30, { mode: 'outside' }), device(31, { mode: 'outside' })]);
    const ids = layOut(all, [edge(1, 21, 30)], NOTHING, SIZE).nodes.map(({ id }) => id);
    expect(ids).toContain(30);
    expect(ids).not.toContain(31);
  });

  it('says how many it leaves out', () => {
    const many = map(Array.from({ length: 60 }, (_, index) => device(100 + index)));
    const { nodes, hidden } = layOut(many, [], NOTHING, SIZE);
    expect(nodes.length + hidden).toBe(60);
    expect(hidden).toBeGreaterThan(0);
  });

  it('leaves out nobody who waits, and lets no two nodes touch', () => {
    const many = map(Array.from({ length: 60 }, (_, index) => device(100 + index)));
    const asks = edge(1, 159, 158, { state: 'pending' });
    const { nodes, radius } = layOut(many, [asks], new Set([1]), SIZE);
    expect(nodes.map(({ id }) => id)).toEqual(expect.arrayContaining([158, 159]));
    for (const one of nodes) {
      for (const other of nodes.filter(({ id }) => id > one.id)) {
        expect(Math.hypot(one.x - other.x, one.y - other.y)).toBeGreaterThan(2 * radius);
      }
    }
  });
});
