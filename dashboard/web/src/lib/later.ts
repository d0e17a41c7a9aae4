// "Decide later": on this phone only, the request stays blocked and leaves the badge. It is asked again after a day, or
// when it has become riskier.

import type { Edge, Risk } from './types';

interface Put {
  at: number;
  risk: Risk;
}

export type Later = Record<string, Put>;

const KEY = 'edgeward.later';
const DAY = 24 * 60 * 60 * 1000;
const RANK: Record<Risk, number> = { low: 0, medium: 1, high: 2 };

export function isPutOff(later: Later, edge: Edge, now: number): boolean {
  const put = later[edge.id];
  return put !== undefined && now - put.at < DAY && RANK[edge.risk] <= RANK[put.risk];
}

export function putOff(later: Later, edge: Edge, now: number): Later {
  return { ...later, [edge.id]: { at: now, risk: edge.risk } };
}

export function takeBack(later: Later, id: number): Later {
  return Object.fromEntries(Object.entries(later).filter(([key]) => key !== String(id)));
}

export function read(storage: Storage): Later {
  try {
    const value: unknown = JSON.parse(storage.getItem(KEY) ?? '{}');
    return typeof value === 'object' && value !== null ? (value as Later) : {};
  } catch {
    return {};
  }
}

export function write(storage: Storage, later: Later, now: number): void {
  const kept = Object.fromEntries(Object.entries(later).filter(([, put]) => now - put.at < DAY));
  try {
    storage.setItem(KEY, JSON.stringify(kept));
  } catch {
    // A private window without storage: then it holds until the page is closed.
  }
}
