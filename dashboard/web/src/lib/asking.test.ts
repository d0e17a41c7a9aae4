import { expect, it } from 'vitest';

import { asking } from './asking';
import type { Decision, Edge } from './types';

const DAY = 24 * 60 * 60;
const NOW = 100 * DAY;

const edge = (id: number, since: number, state = 'pending') => ({ id, since, state }) as Edge;
const decision = (what: string, at: number, about: Edge | null) => ({ id: at, what, at, edge: about }) as unknown as Decision;

it('counts the questions of seven days, each once, and how long answers took', () => {
  const decisions = [
    decision('deny', NOW - 10, edge(1, NOW - 40)),
    decision('allow', NOW - 20, edge(2, NOW - 30)),
    decision('allow', NOW - DAY, edge(3, NOW - 8 * DAY)),
    // A change of an earlier decision, and what is no answer.
    decision('deny', NOW - 5, edge(1, NOW - 10, 'allowed')),
    decision('mode', NOW - 4, null),
  ];
  expect(asking(decisions, [edge(4, NOW - 3), edge(1, NOW - 40), edge(5, NOW - 9 * DAY)], NOW)).toEqual({
    week: 3,
    median: 30,
  });
});

it('says nothing of answers where none were given', () => {
  expect(asking([], [], NOW)).toEqual({ week: 0, median: undefined });
});
