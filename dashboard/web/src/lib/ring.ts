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
}

export interface Ring {
  width: number;
  height: number;
  nodes: readonly Node[];
  arcs: readonly Arc[];
  hidden: number;
}

/** More are unreadable; the rest is in the table. */
const MOST_NODES = 40;
/** Room for labels beside, and above and below the ellipse. */
const MARGIN = { x: 184, y: 74 };
const SMALLEST_RADIUS = 90;
/** From the edge of a node. */
const GAP = 27;
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
  const ordered = all.filter((one) => one !== hub).sort(byPlace);
  const drawn = ordered.slice(0, MOST_NODES);

  const servers = drawn.filter((one) => !isDevice(one)).length;
  // Clockwise; the middle of the Internet's sector is at the left, and without one the first device is at the top.
  const first = servers === 0 ? -Math.PI / 2 : Math.PI - (Math.PI * (servers - 1)) / drawn.length;

  const nodes = drawn.map((one, index) => {
    const angle = first + (2 * Math.PI * index) / drawn.length;
    const x = ellipse.x + ellipse.rx * Math.cos(angle);
    const y = ellipse.y + ellipse.ry * Math.sin(angle);
    return node(one, x, y, ellipse, principals);
  });
  if (hub !== undefined) nodes.push(node(hub, ellipse.x, ellipse.y, ellipse, principals));
  return {
    width,
    height,
    nodes,
    arcs: arcs(shown, new Map(nodes.map((one) => [one.id, one]))),
    hidden: ordered.length - drawn.length,
  };
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

function node(one: Principal, x: number, y: number, ellipse: Ellipse, principals: Principals): Node {
  const who = whoIs(one, principals);
  const kind = who.is === 'server' ? 'server' : who.is === 'box' ? 'box' : one.kind;
  return { id: one.id, who, kind, room: one.room ?? undefined, x, y, side: side(x, y, ellipse) };
}

function side(x: number, y: number, ellipse: Ellipse): Node['side'] {
  if (x > ellipse.x + ellipse.rx * 0.4) return 'right';
  if (x < ellipse.x - ellipse.rx * 0.4) return 'left';
  return y < ellipse.y - 40 ? 'above' : 'below';
}

function arcs(edges: readonly Edge[], nodes: ReadonlyMap<number, Node>): Arc[] {
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
        ...curve(from, to),
        edges: sorted,
      },
    ];
  });
  // What needs a person is drawn last, so it lies on top; tab order is the other way round.
  return found.sort((a, b) => STATE_RANK[b.state] - STATE_RANK[a.state] || a.key.localeCompare(b.key));
}

function curve(from: Node, to: Node): Pick<Arc, 'path' | 'middle'> {
  const dx = to.x - from.x;
  const dy = to.y - from.y;
  const control = { x: (from.x + to.x) / 2 - dy * BEND, y: (from.y + to.y) / 2 + dx * BEND };
  const start = towards(from, control, GAP);
  const end = towards(to, control, GAP + 9);
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
