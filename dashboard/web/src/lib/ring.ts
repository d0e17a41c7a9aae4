// The map of a site: hub in the middle, devices by room on an ellipse, the Internet as one sector at the left. The same
// site gives the same picture, and a new edge moves nothing. Lengths are pixels of the screen, so that text is never
// scaled below what can be read.

import { whoIs, type Principals, type Who } from './reading';
import type { Edge, EdgeState, Principal } from './types';

export interface Node {
  id: number;
  who: Who;
  kind: string;
  room: string | undefined;
  x: number;
  y: number;
  /** Where the label stands. */
  side: 'left' | 'right' | 'above' | 'below';
  /** Neighbours above or below the ellipse have their labels at different heights. */
  isRaised: boolean;
}

/** All edges from one node to another, in the state that matters most. */
export interface Arc {
  key: string;
  from: number;
  to: number;
  state: EdgeState;
  /** Whether a decision among them ends. */
  temporary: boolean;
  path: string;
  middle: { x: number; y: number };
  edges: readonly Edge[];
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

const STATE_RANK: Record<EdgeState, number> = { pending: 0, denied: 1, allowed: 2, learned: 3 };

interface Ellipse {
  x: number;
  y: number;
  rx: number;
  ry: number;
}

export function layOut(
  principals: Principals,
  edges: Iterable<Edge>,
  waiting: ReadonlySet<number>,
  { width, height }: { width: number; height: number },
): Ring {
  const ellipse: Ellipse = {
    x: width / 2,
    y: height / 2,
    rx: Math.max(width / 2 - MARGIN.x, SMALLEST_RADIUS),
    ry: Math.max(height / 2 - MARGIN.y, SMALLEST_RADIUS),
  };
  const shown = [...edges].filter((edge) => edge.state !== 'pending' || waiting.has(edge.id));
  const used = new Set(shown.flatMap((edge) => [edge.from.id, edge.to.id]));
  const all = [...principals.values()].filter((one) => isDevice(one) || used.has(one.id));
  const hub = centre(all, shown);
  const others = all.filter((one) => one !== hub);
  const circumference = 2 * Math.PI * Math.sqrt((ellipse.rx ** 2 + ellipse.ry ** 2) / 2);
  const isDense = others.length > circumference / NORMAL.distance;
  const { radius, distance } = isDense ? DENSE : NORMAL;
  const drawn = mostImportant(others, shown, Math.floor(circumference / distance)).sort(byPlace);

  const servers = drawn.filter((one) => !isDevice(one)).length;
  // Clockwise; the middle of the Internet's sector is at the left, and without one the first device is at the top.
  const first = servers === 0 ? -Math.PI / 2 : Math.PI - (Math.PI * (servers - 1)) / drawn.length;

  const nodes = drawn.map((one, index) => {
    const angle = first + (2 * Math.PI * index) / drawn.length;
    const x = ellipse.x + ellipse.rx * Math.cos(angle);
    const y = ellipse.y + ellipse.ry * Math.sin(angle);
    return node(one, x, y, index % 2 === 1 && isDense, ellipse, principals);
  });
  if (hub !== undefined) nodes.push(node(hub, ellipse.x, ellipse.y, false, ellipse, principals));
  return {
    width,
    height,
    radius,
    isDense,
    nodes,
    arcs: arcs(shown, new Map(nodes.map((one) => [one.id, one])), radius + GAP),
    hidden: others.length - drawn.length,
  };
}

/** Who waits or was blocked comes first, then who has most connections. */
function mostImportant(all: readonly Principal[], edges: readonly Edge[], room: number): Principal[] {
  const weights = new Map<number, number>();
  for (const { from, to, state } of edges) {
    const weight = state === 'pending' ? 1_000_000 : state === 'denied' ? 1_000 : 1;
    for (const id of [from.id, to.id]) weights.set(id, (weights.get(id) ?? 0) + weight);
  }
  const weight = (one: Principal) => weights.get(one.id) ?? 0;
  return [...all].sort((a, b) => weight(b) - weight(a) || a.id - b.id).slice(0, room);
}

const isDevice = (one: Principal): boolean => one.mode !== 'outside' && one.mode !== 'system';

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

/** Internet first, because its sector begins at the left, then the rooms by name. */
function byPlace(a: Principal, b: Principal): number {
  return (
    Number(isDevice(a)) - Number(isDevice(b)) ||
    (a.room ?? '\u{ffff}').localeCompare(b.room ?? '\u{ffff}') ||
    a.id - b.id
  );
}

function node(
  one: Principal,
  x: number,
  y: number,
  isRaised: boolean,
  ellipse: Ellipse,
  principals: Principals,
): Node {
  const who = whoIs(one, principals);
  const kind = who.is === 'server' ? 'server' : who.is === 'box' ? 'box' : one.kind;
  return { id: one.id, who, kind, room: one.room ?? undefined, x, y, side: side(x, y, ellipse), isRaised };
}

function side(x: number, y: number, ellipse: Ellipse): Node['side'] {
  if (x > ellipse.x + ellipse.rx * 0.4) return 'right';
  if (x < ellipse.x - ellipse.rx * 0.4) return 'left';
  return y < ellipse.y - 40 ? 'above' : 'below';
}

function arcs(edges: readonly Edge[], nodes: ReadonlyMap<number, Node>, gap: number): Arc[] {
  const pairs = new Map<string, Edge[]>();
  for (const edge of edges) {
    const key = `${edge.from.id}-${edge.to.id}`;
    pairs.set(key, [...(pairs.get(key) ?? []), edge]);
  }
  const found = [...pairs].flatMap(([key, group]): Arc[] => {
    const sorted = [...group].sort((a, b) => STATE_RANK[a.state] - STATE_RANK[b.state] || a.id - b.id);
    const first = sorted[0];
    const from = first && nodes.get(first.from.id);
    const to = first && nodes.get(first.to.id);
    if (!first || !from || !to || from === to) return [];
    return [
      {
        key,
        from: from.id,
        to: to.id,
        state: first.state,
        temporary: first.state === 'allowed' && first.lifetime !== 'always' && first.lifetime !== null,
        ...curve(from, to, gap),
        edges: sorted,
        isOnward: false,
      },
    ];
  });
  found.push(...onward(edges, nodes, gap));
  // What needs a person is drawn last, so it lies on top; tab order is the other way round.
  return found.sort((a, b) => STATE_RANK[b.state] - STATE_RANK[a.state] || a.key.localeCompare(b.key));
}

/** What waits or is blocked at a broker is drawn on to who would receive it. */
function onward(edges: readonly Edge[], nodes: ReadonlyMap<number, Node>, gap: number): Arc[] {
  const isStopped = (edge: Edge) => edge.verb === 'publish' && (edge.state === 'pending' || edge.state === 'denied');
  const found = new Map<string, Arc>();
  for (const edge of edges.filter(isStopped).sort((a, b) => STATE_RANK[b.state] - STATE_RANK[a.state] || b.id - a.id)) {
    for (const { id } of edge.beneficiaries) {
      const [from, to] = [nodes.get(edge.to.id), nodes.get(id)];
      if (from === undefined || to === undefined || from === to || id === edge.from.id) continue;
      const key = `${from.id}-${to.id}-onward`;
      found.set(key, {
        key,
        from: from.id,
        to: to.id,
        state: edge.state,
        temporary: false,
        ...curve(from, to, gap),
        edges: [edge],
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
