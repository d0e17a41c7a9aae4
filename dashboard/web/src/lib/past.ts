// Looking back: which time the sliders mean, and what existed then. Times are seconds since 1970.

import type { Edge, Hour, Principal } from './types';

/** Days that can be looked back to, today among them. */
export const DAYS = 30;

const HOUR = 3600;
const MS = 1000;

export interface Span {
  from: number;
  until: number;
}

/** Local midnight, so many days before today. */
function midnight(now: number, back: number): number {
  const day = new Date(now);
  day.setHours(0, 0, 0, 0);
  day.setDate(day.getDate() - back);
  return day.getTime() / MS;
}

/** Hours are recorded as those of UTC; where local ones begin at half past, what is shown begins earlier. */
const snap = (unix: number): number => Math.floor(unix / HOUR) * HOUR;

/** A day, or one of its hours, counted from 1. */
export function span(now: number, back: number, hour: number): Span {
  const [from, until] = [snap(midnight(now, back)), snap(midnight(now, back - 1))];
  if (hour === 0) return { from, until };
  const begin = from + (hour - 1) * HOUR;
  return { from: begin, until: begin + HOUR };
}

/** Whether local hours begin when those of the box do; where not, a day is told with its hours. */
export const isWholeHour = (unix: number): boolean => new Date(unix * MS).getMinutes() === 0;

/** How many hours of a day there have been: 23 to 25, and of today those that have begun. */
export function hoursOf(now: number, back: number): number {
  const { from, until } = span(now, back, 0);
  return Math.ceil((Math.min(until, now / MS) - from) / HOUR);
}

/** How many edges an hour had, or the busiest hour of a day, and how much was carried. */
export function recorded(hours: readonly Hour[], { from, until }: Span): { edges: number; kilobytes: number } | undefined {
  const within = hours.filter((hour) => hour.from >= from && hour.from < until);
  if (within.length === 0) return undefined;
  return {
    edges: Math.max(...within.map(({ edges }) => edges)),
    kilobytes: within.reduce((sum, { kilobytes }) => sum + kilobytes, 0),
  };
}

export const existed = (edge: Edge, until: number): boolean => (edge.first_seen ?? edge.since) < until;

/** Those who were there before a time. */
export function presentBefore(principals: ReadonlyMap<number, Principal>, until: number): Map<number, Principal> {
  return new Map([...principals].filter(([, one]) => one.first_seen < until));
}
