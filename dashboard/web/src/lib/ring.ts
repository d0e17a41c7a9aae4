// The map of a site: hub in the middle, devices by room on an ellipse, the Internet as one sector at the left. Of many, a
// room (or maker) is one node until somebody opens it. The same site gives the same picture, and a new edge moves nothing.
// Lengths are pixels of the screen, so that text is never scaled below what can be read.

import { shownState, whoIs, type Principals, type Who } from './reading';
import type { Edge, EdgeState, Principal } from './types';

/** What devices have in common that are drawn as one. */
export interface Place {
  is: 'internet' | 'room' | 'maker' | 'elsewhere';
  /** Of the room or maker. */
  name: string;
}

interface Spot {
  key: string;
  x: number;
  y: number;
  /** Where the label stands. */
  side: 'left' | 'right' | 'above' | 'below';
  /** Neighbours above or below the ellipse have their labels at different heights. */
  isRaised: boolean;
}

/** One device, server, or the box. */
export interface One extends Spot {
  is: 'one';
  id: number;
  who: Who;
  kind: string;
  room: string | undefined;
}

/** Several of a place; open, it stands before them and closes them again. */
export interface Several extends Spot {
  is: 'several';
  place: Place;
  count: number;
  isOpen: boolean;
}

export type Node = One | Several;

/** How a line looks; the first is what matters most. */
export type Tone = 'waiting' | 'blocked' | 'allowed' | 'learning';

/** All edges from one node to another, in the state that matters most. */
export interface Arc {
  key: string;
  from: string;
  to: string;
  state: EdgeState;
  tone: Tone;
  /** Whether a decision among them ends. */
  temporary: boolean;
  path: string;
  middle: { x: number; y: number };
  edges: readonly Edge[];
  /** Between how many pairs of devices they are. */
  pairs: number;
  /** Whether it is how a message would go on, from its broker to who receives it. */
  isOnward: boolean;
}

export interface Ring {
  width: number;
  height: number;
  /** Radius of a node. */
  radius: number;
  /** Whether there are so many that nodes and labels are smaller. */
  isDense: boolean;
  nodes: readonly Node[];
  arcs: readonly Arc[];
  /** Devices that found no room; they are in the table. */
  hidden: number;
}

export interface Pane {
  width: number;
  height: number;
}

/** More than so many are drawn by place. */
export const GROUPED_ABOVE = 40;
/** Nodes that are drawn at most. */
export const MOST_NODES = 150;
/** Radius of a node, and how far from one to the next. */
const NORMAL = { radius: 24, distance: 58 };
const DENSE = { radius: 15, distance: 37 };
/** Room for labels beside, and above and below the ellipse. */
const MARGIN = { x: 184, y: 74 };
const SMALLEST_RADIUS = 90;
/** Between a node and the line from or to it. */
const GAP = 3;
/** How far an arc leaves the straight line. */
const BEND = 0.16;
/** Corners of the polygon by which an ellipse is measured. */
const CORNERS = 360;

const STATE_RANK: Record<EdgeState, number> = { pending: 0, denied: 1, allowed: 2, learned: 3 };
const TONE_RANK: Record<Tone, number> = { waiting: 0, blocked: 1, allowed: 2, learning: 3 };
const PLACE_RANK: Record<Place['is'], number> = { internet: 0, room: 1, maker: 2, elsewhere: 3 };

/** Two halves of an ellipse, with straight sides between them where it has to be longer. */
interface Ellipse {
  x: number;
  y: number;
  rx: number;
  ry: number;
  straight: number;
}

/** What becomes a node: who it is, or who they are. */
type Drawn = { place: Place } & ({ is: 'one'; one: Principal } | { is: 'several'; key: string; count: number; isOpen: boolean });

/** What is drawn and, for each principal, the key of the node that it is in. */
interface Cast {
  drawn: Drawn[];
  keys: Map<number, string>;
  hidden: number;
}

/** @param open The keys of places whose devices are drawn one by one. */
export function layOut(
  principals: Principals,
  edges: Iterable<Edge>,
  waiting: ReadonlySet<number>,
  { width, height }: Pane,
  open: ReadonlySet<string> = new Set(),
): Ring {
  const shown = [...edges].flatMap((edge) => {
    const state = shownState(edge, waiting);
    return state === undefined ? [] : [state === edge.state ? edge : { ...edge, state }];
  });
  const used = new Set(shown.flatMap((edge) => [edge.from.id, edge.to.id]));
  const all = [...principals.values()].filter((one) => isDevice(one) || used.has(one.id));
  const hub = centre(all, shown);
  const others = all.filter((one) => one !== hub);
  const { drawn, keys, hidden } = cast(others, shown, waiting, open);
  if (hub !== undefined) keys.set(hub.id, keyOf(hub));

  const flat: Ellipse = {
    x: width / 2,
    y: height / 2,
    rx: Math.max(width / 2 - MARGIN.x, SMALLEST_RADIUS),
    ry: Math.max(height / 2 - MARGIN.y, SMALLEST_RADIUS),
    straight: 0,
  };
  const circumference = lengthOf(flat);
  const isDense = drawn.length > circumference / NORMAL.distance;
  const { radius, distance } = isDense ? DENSE : NORMAL;
  const straight = Math.max(0, drawn.length * distance - circumference) / 2;
  const ellipse = { ...flat, y: flat.y + straight / 2, straight };

  const servers = drawn.filter(({ place }) => place.is === 'internet').length;
  const places = around(ellipse, drawn.length, servers);
  const nodes = drawn.map((what, index) => {
    const { x, y } = places[index] ?? ellipse;
    return node(what, x, y, index % 2 === 1 && isDense, ellipse, principals);
  });
  if (hub !== undefined) {
    const middle = { is: 'one', one: hub, place: placeOf(hub) } as const;
    nodes.push(node(middle, ellipse.x, ellipse.y, false, ellipse, principals));
  }
  return {
    width,
    height: height + straight,
    radius,
    isDense,
    nodes,
    arcs: arcs(shown, new Lookup(nodes, keys), principals, radius + GAP),
    hidden,
  };
}

const isDevice = (one: Principal): boolean => one.mode !== 'outside' && one.mode !== 'system';

const keyOf = (one: Principal): string => String(one.id);

function placeOf(one: Principal): Place {
  if (!isDevice(one)) return { is: 'internet', name: '' };
  if (one.room) return { is: 'room', name: one.room };
  return one.maker ? { is: 'maker', name: one.maker } : { is: 'elsewhere', name: '' };
}

/** Who is drawn, and as what: of many only those by themselves who are asked about, or whose place is open. */
function cast(all: readonly Principal[], edges: readonly Edge[], waiting: ReadonlySet<number>, open: ReadonlySet<string>): Cast {
  const asked = new Set(
    edges.filter(({ id }) => waiting.has(id)).flatMap(({ from, to, beneficiaries }) => [from, to, ...beneficiaries].map(({ id }) => id)),
  );
  const byPlace = new Map<string, Principal[]>();
  const alone: Principal[] = [];
  for (const one of all) {
    const { is, name } = placeOf(one);
    const key = `${is}-${encodeURIComponent(name)}`;
    const known = byPlace.get(key);
    // The box and what it stands for are no part of the Internet.
    if (all.length <= GROUPED_ABOVE || asked.has(one.id) || one.mode === 'system') alone.push(one);
    else if (known === undefined) byPlace.set(key, [one]);
    else known.push(one);
  }

  const drawn: Drawn[] = [];
  const keys = new Map<number, string>();
  for (const [key, members] of byPlace) {
    const [first] = members;
    if (first === undefined) continue;
    const isOpen = open.has(key);
    if (isOpen || members.length === 1) alone.push(...members);
    else for (const { id } of members) keys.set(id, key);
    if (members.length > 1) drawn.push({ is: 'several', key, place: placeOf(first), count: members.length, isOpen });
  }
  const fits = new Set(mostImportant(alone, edges, asked, MOST_NODES - drawn.length));
  for (const one of fits) {
    drawn.push({ is: 'one', one, place: placeOf(one) });
    keys.set(one.id, keyOf(one));
  }
  return { drawn: drawn.sort(byPlaceAndNumber), keys, hidden: alone.length - fits.size };
}

/** Who is asked about comes first, then who was blocked, then who has most connections. */
function mostImportant(all: readonly Principal[], edges: readonly Edge[], asked: ReadonlySet<number>, room: number): Principal[] {
  if (all.length <= room) return [...all];
  const weights = new Map([...asked].map((id) => [id, 1_000_000]));
  for (const { from, to, state } of edges) {
    for (const id of [from.id, to.id]) weights.set(id, (weights.get(id) ?? 0) + (state === 'denied' ? 1_000 : 1));
  }
  const weight = (one: Principal) => weights.get(one.id) ?? 0;
  return [...all].sort((a, b) => weight(b) - weight(a) || a.id - b.id).slice(0, Math.max(room, 0));
}

/** The hub, or the device with the most connections to others. */
function centre(all: readonly Principal[], edges: readonly Edge[]): Principal | undefined {
  const degree = new Map<number, number>();
  for (const { from, to } of edges) {
    for (const id of [from.id, to.id]) degree.set(id, (degree.get(id) ?? 0) + 1);
  }
  const weight = (one: Principal) => (one.kind === 'hub' ? 1_000_000 : 0) + (degree.get(one.id) ?? 0);
  return all
    .filter(isDevice)
    .sort((a, b) => weight(b) - weight(a) || a.id - b.id)
    .find((one) => one.kind === 'hub' || (degree.get(one.id) ?? 0) > 2);
}

/** Internet first, because its sector begins at the left, then the rooms by name; what stands for a place before its devices. */
function byPlaceAndNumber(a: Drawn, b: Drawn): number {
  const number = (drawn: Drawn) => (drawn.is === 'one' ? drawn.one.id : -1);
  return (
    PLACE_RANK[a.place.is] - PLACE_RANK[b.place.is] || a.place.name.localeCompare(b.place.name) || number(a) - number(b)
  );
}

/** The corners of an ellipse, clockwise from the left, and how far each is along it. */
function outline({ x, y, rx, ry, straight }: Ellipse): { x: number; y: number; far: number }[] {
  const corners = [{ x: x - rx, y, far: 0 }];
  let last = corners[0] ?? { x, y, far: 0 };
  for (let corner = 0; corner <= CORNERS; corner += 1) {
    const angle = Math.PI + (2 * Math.PI * corner) / CORNERS;
    const half = corner <= CORNERS / 2 ? -straight / 2 : straight / 2;
    const next = { x: x + rx * Math.cos(angle), y: y + half + ry * Math.sin(angle), far: 0 };
    next.far = last.far + Math.hypot(next.x - last.x, next.y - last.y);
    corners.push(next);
    last = next;
  }
  corners.push({ x: x - rx, y, far: last.far + straight / 2 });
  return corners;
}

const lengthOf = (ellipse: Ellipse): number => outline(ellipse).at(-1)?.far ?? 0;

/**
 * Places at equal distances, clockwise. The middle of the Internet's sector is at the left, and without one the first
 * device is at the top.
 */
function around(ellipse: Ellipse, count: number, servers: number): { x: number; y: number }[] {
  const corners = outline(ellipse);
  const length = corners.at(-1)?.far ?? 0;
  const first = servers === 0 ? 0.25 : -(servers - 1) / (2 * count);
  return Array.from({ length: count }, (_, index) => {
    const share = first + index / count;
    const far = (share - Math.floor(share)) * length;
    const next = corners.findIndex((corner) => corner.far >= far);
    const [a, b] = [corners[Math.max(next - 1, 0)] ?? ellipse, corners[next] ?? ellipse];
    const part = 'far' in a && 'far' in b && b.far > a.far ? (far - a.far) / (b.far - a.far) : 0;
    return { x: a.x + (b.x - a.x) * part, y: a.y + (b.y - a.y) * part };
  });
}

function node(what: Drawn, x: number, y: number, isRaised: boolean, ellipse: Ellipse, principals: Principals): Node {
  const spot = { x, y, side: side(x, y, ellipse), isRaised };
  if (what.is === 'several') {
    const { key, place, count, isOpen } = what;
    return { is: 'several', key, place, count, isOpen, ...spot };
  }
  const { one } = what;
  const who = whoIs(one, principals);
  const kind = who.is === 'server' ? 'server' : who.is === 'box' ? 'box' : one.kind;
  return { is: 'one', key: keyOf(one), id: one.id, who, kind, room: one.room ?? undefined, ...spot };
}

function side(x: number, y: number, ellipse: Ellipse): Spot['side'] {
  if (x > ellipse.x + ellipse.rx * 0.4) return 'right';
  if (x < ellipse.x - ellipse.rx * 0.4) return 'left';
  return y < ellipse.y - 40 ? 'above' : 'below';
}

/** In which node a principal is. */
class Lookup {
  readonly #nodes: ReadonlyMap<string, Node>;
  readonly #keys: ReadonlyMap<number, string>;

  constructor(nodes: readonly Node[], keys: ReadonlyMap<number, string>) {
    this.#nodes = new Map(nodes.map((one) => [one.key, one]));
    this.#keys = keys;
  }

  of(id: number): Node | undefined {
    return this.#nodes.get(this.#keys.get(id) ?? '');
  }
}

/** How an edge looks by itself; what its device still learns is not decided by anyone. */
export function toneOf(edge: Edge, principals: Principals): Tone {
  switch (edge.state) {
    case 'pending':
      return 'waiting';
    case 'denied':
      return 'blocked';
    case 'allowed':
      return 'allowed';
    case 'learned': {
      const mode = principals.get(edge.from.id)?.mode;
      return mode === 'learning' || mode === 'ready' ? 'learning' : 'allowed';
    }
  }
}

const isTemporary = (edge: Edge): boolean =>
  edge.state === 'allowed' && edge.lifetime !== 'always' && edge.lifetime !== null && edge.lifetime !== undefined;

function arcs(edges: readonly Edge[], nodes: Lookup, principals: Principals, gap: number): Arc[] {
  const between = new Map<string, Edge[]>();
  for (const edge of edges) {
    const [from, to] = [nodes.of(edge.from.id), nodes.of(edge.to.id)];
    if (from === undefined || to === undefined || from === to) continue;
    const key = `${from.key}-${to.key}`;
    const known = between.get(key);
    if (known === undefined) between.set(key, [edge]);
    else known.push(edge);
  }
  const found = [...between].flatMap(([key, group]): Arc[] => {
    const tones = new Map(group.map((edge) => [edge, toneOf(edge, principals)]));
    const rank = (edge: Edge) => TONE_RANK[tones.get(edge) ?? 'allowed'];
    const sorted = group.sort((a, b) => rank(a) - rank(b) || STATE_RANK[a.state] - STATE_RANK[b.state] || a.id - b.id);
    const first = sorted[0];
    const from = first && nodes.of(first.from.id);
    const to = first && nodes.of(first.to.id);
    if (!first || !from || !to) return [];
    const tone = tones.get(first) ?? 'allowed';
    return [
      {
        key,
        from: from.key,
        to: to.key,
        state: first.state,
        tone,
        temporary: tone === 'allowed' && sorted.some(isTemporary),
        ...curve(from, to, gap),
        edges: sorted,
        pairs: new Set(sorted.map((edge) => `${edge.from.id}-${edge.to.id}`)).size,
        isOnward: false,
      },
    ];
  });
  found.push(...onward(edges, nodes, gap));
  // What needs a person is drawn last, so it lies on top; tab order is the other way round.
  return found.sort((a, b) => TONE_RANK[b.tone] - TONE_RANK[a.tone] || a.key.localeCompare(b.key));
}

/** What waits or is blocked at a broker is drawn on to who would receive it. */
function onward(edges: readonly Edge[], nodes: Lookup, gap: number): Arc[] {
  const isStopped = (edge: Edge) => edge.verb === 'publish' && (edge.state === 'pending' || edge.state === 'denied');
  const found = new Map<string, Arc>();
  for (const edge of edges.filter(isStopped).sort((a, b) => STATE_RANK[b.state] - STATE_RANK[a.state] || b.id - a.id)) {
    for (const { id } of edge.beneficiaries) {
      const [from, to] = [nodes.of(edge.to.id), nodes.of(id)];
      if (from === undefined || to === undefined || from === to || to === nodes.of(edge.from.id)) continue;
      const key = `${from.key}-${to.key}-onward`;
      found.set(key, {
        key,
        from: from.key,
        to: to.key,
        state: edge.state,
        tone: edge.state === 'pending' ? 'waiting' : 'blocked',
        temporary: false,
        ...curve(from, to, gap),
        edges: [edge],
        pairs: 1,
        isOnward: true,
      });
    }
  }
  return [...found.values()];
}

function curve(from: Node, to: Node, gap: number): Pick<Arc, 'path' | 'middle'> {
  const dx = to.x - from.x;
  const dy = to.y - from.y;
  const control = { x: (from.x + to.x) / 2 - dy * BEND, y: (from.y + to.y) / 2 + dx * BEND };
  const start = towards(from, control, gap);
  const end = towards(to, control, gap + 9);
  const middle = {
    x: (start.x + 2 * control.x + end.x) / 4,
    y: (start.y + 2 * control.y + end.y) / 4,
  };
  const at = ({ x, y }: { x: number; y: number }) => `${x.toFixed(1)} ${y.toFixed(1)}`;
  return { path: `M${at(start)}Q${at(control)} ${at(end)}`, middle };
}

function towards(from: { x: number; y: number }, to: { x: number; y: number }, distance: number) {
  const dx = to.x - from.x;
  const dy = to.y - from.y;
  const length = Math.hypot(dx, dy) || 1;
  return { x: from.x + (dx / length) * distance, y: from.y + (dy / length) * distance };
}
