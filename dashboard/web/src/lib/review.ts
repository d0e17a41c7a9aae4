// Which habits a person should look at before a device is protected.

import type { Edge, Principal } from './types';

/** Why: it could do harm, no other device goes there, or it came when learning was nearly over. */
export type Look = 'risk' | 'alone' | 'late';

/** The part of learning in which nearly everything that belongs to a device has been seen. */
const EARLY = 2 / 3;

/** Devices by the outside host that they may reach. */
export function reached(edges: Iterable<Edge>): ReadonlyMap<number, ReadonlySet<number>> {
  const found = new Map<number, Set<number>>();
  for (const { from, to, state } of edges) {
    if (state !== 'learned' && state !== 'allowed') continue;
    const known = found.get(to.id);
    if (known === undefined) found.set(to.id, new Set([from.id]));
    else known.add(from.id);
  }
  return found;
}

/**
 * @param by What `reached` says.
 * @param now Seconds since 1970.
 */
export function lookAt(
  habit: Edge,
  device: Principal,
  principals: ReadonlyMap<number, Principal>,
  by: ReadonlyMap<number, ReadonlySet<number>>,
  now: number,
): Look | undefined {
  if (habit.risk === 'high') return 'risk';
  if (principals.get(habit.to.id)?.mode !== 'outside') return undefined;
  const others = [...(by.get(habit.to.id) ?? [])].some((id) => id !== device.id);
  if (!others) return 'alone';
  const { learning } = device;
  const first = habit.first_seen ?? habit.since;
  return learning && first > learning.since + (now - learning.since) * EARLY ? 'late' : undefined;
}
