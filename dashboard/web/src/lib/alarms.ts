// Alarms that were looked at on this phone; they come back when it happens again.

import type { Alarm } from './types';

/** When each of them happened last. */
export type Seen = Record<string, number>;

const KEY = 'edgeward.alarms';
/** The box keeps no more than 32. */
const KEPT = 64;

const keyOf = (alarm: Alarm) => `${alarm.code} ${alarm.principal?.id ?? ''}`;

export const isSeen = (seen: Seen, alarm: Alarm): boolean => (seen[keyOf(alarm)] ?? 0) >= alarm.last;

export const see = (seen: Seen, alarms: readonly Alarm[]): Seen => ({
  ...seen,
  ...Object.fromEntries(alarms.map((alarm) => [keyOf(alarm), alarm.last])),
});

/** By kind, the latest first. */
export function byKind(alarms: readonly Alarm[]): (readonly [code: string, alarms: readonly Alarm[]])[] {
  const latest = [...alarms].sort((a, b) => b.last - a.last);
  return [...new Set(latest.map(({ code }) => code))].map((code) => [code, latest.filter((one) => one.code === code)]);
}

/** Takes a new alarm in. */
export function withAlarm(alarms: readonly Alarm[], alarm: Alarm): Alarm[] {
  return [...alarms.filter((one) => keyOf(one) !== keyOf(alarm)), alarm];
}

export function read(storage: Storage): Seen {
  try {
    const value: unknown = JSON.parse(storage.getItem(KEY) ?? '{}');
    return typeof value === 'object' && value !== null ? (value as Seen) : {};
  } catch {
    return {};
  }
}

export function write(storage: Storage, seen: Seen): void {
  const latest = Object.entries(seen).sort(([, a], [, b]) => b - a);
  try {
    storage.setItem(KEY, JSON.stringify(Object.fromEntries(latest.slice(0, KEPT))));
  } catch {
    // A private window without storage: then it holds until the page is closed.
  }
}
