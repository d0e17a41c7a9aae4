// How much people are asked, and how fast they answer: who is asked too often stops reading.

import type { Decision, Edge } from './types';

const WEEK = 7 * 24 * 60 * 60;

export interface Asking {
  /** Questions that came within the last seven days. */
  week: number;
  /** Seconds from a question to its answer, of those that were answered; nothing if none was. */
  median: number | undefined;
}

/** Of the decisions that are known, and what waits now; `now` in seconds since 1970. */
export function asking(decisions: readonly Decision[], waiting: readonly Edge[], now: number): Asking {
  const answered = decisions.flatMap(({ what, at, edge }) =>
    (what === 'allow' || what === 'deny') && edge?.state === 'pending' ? [{ edge, seconds: Math.max(0, at - edge.since) }] : [],
  );
  const recent = [...answered.map(({ edge }) => edge), ...waiting].filter(({ since }) => since > now - WEEK);
  const week = new Set(recent.map(({ id, since }) => `${id} ${since}`)).size;
  const seconds = answered.map((one) => one.seconds).sort((a, b) => a - b);
  return { week, median: seconds[Math.floor((seconds.length - 1) / 2)] };
}
