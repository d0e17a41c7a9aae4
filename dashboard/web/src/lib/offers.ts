// Where one device was allowed several hosts of a domain one by one, the whole domain may be meant.

import type { Principals } from './reading';
import type { Edge } from './types';

export interface Offer {
  key: string;
  /** One of the edges, which says all but the host. */
  edge: Edge;
  domain: string;
  hosts: number;
}

const KEY = 'edgeward.offers';
/** Answers of the same kind that are no accident. */
const LEAST = 3;
/** Refusals that are remembered. */
const MOST = 200;

/** What could be offered: the same answer was given so often, and nobody has refused it on this phone. */
export function offersOf(edges: Iterable<Edge>, principals: Principals, refused: readonly string[]): Offer[] {
  const found = new Map<string, Offer>();
  const opened = new Set<string>();
  for (const edge of edges) {
    const domain = principals.get(edge.to.id)?.domain;
    if (!domain || edge.verb !== 'connect') continue;
    const key = `${edge.from.id} ${domain} ${edge.object}`;
    if (edge.to.name === domain) {
      if (edge.state !== 'pending') opened.add(key);
    } else if (edge.state === 'allowed' && edge.lifetime === 'always' && edge.by) {
      found.set(key, { key, edge, domain, hosts: (found.get(key)?.hosts ?? 0) + 1 });
    }
  }
  return [...found.values()].filter(({ key, hosts }) => hosts >= LEAST && !opened.has(key) && !refused.includes(key));
}

export function readRefused(storage: Storage): readonly string[] {
  try {
    const value: unknown = JSON.parse(storage.getItem(KEY) ?? '[]');
    return Array.isArray(value) ? value.filter((key) => typeof key === 'string') : [];
  } catch {
    return [];
  }
}

export function writeRefused(storage: Storage, refused: readonly string[]): void {
  try {
    storage.setItem(KEY, JSON.stringify(refused.slice(-MOST)));
  } catch {
    // A private window without storage: then it holds until the page is closed.
  }
}
