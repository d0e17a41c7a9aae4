// What was last known to wait, kept on this phone for when the box is out of reach: to be read, and nothing else.

import type { Edge, Principal, Status, Visitor } from './types';

export interface Snapshot {
  /** When it was so, in milliseconds. */
  at: number;
  me: Visitor;
  status: Status;
  waiting: readonly Edge[];
  /** The ends of what waits. */
  principals: readonly Principal[];
}

const KEY = 'edgeward.snapshot';
/** Of another form, it is no snapshot. */
const VERSION = 1;

export function write(storage: Storage, snapshot: Snapshot): void {
  try {
    storage.setItem(KEY, JSON.stringify({ version: VERSION, ...snapshot }));
  } catch {
    // No storage, or no room: then there is nothing to read away from home.
  }
}

export function read(storage: Storage): Snapshot | undefined {
  try {
    const value: unknown = JSON.parse(storage.getItem(KEY) ?? 'null');
    const isOne = typeof value === 'object' && value !== null && 'version' in value && value.version === VERSION;
    return isOne ? (value as unknown as Snapshot) : undefined;
  } catch {
    return undefined;
  }
}

export function clear(storage: Storage): void {
  try {
    storage.removeItem(KEY);
  } catch {
    // Then there is none.
  }
}
