import { describe, expect, it } from 'vitest';

import { AT_ONCE, group, withinBudget } from './groups';
import type { Principals } from './reading';
import type { Edge, Principal, Risk } from './types';

const HOUR = 3600;
const outside: Principals = new Map(
  Array.from({ length: 20 }, (_, index) => [100 + index, { id: 100 + index, mode: 'outside' } as Principal]),
);

const edge = (id: number, from: number, risk: Risk = 'low', first_seen = HOUR): Edge =>
  ({
    id,
    from: { id: from, name: 'Vacuum', kind: 'vacuum', confirmed: true },
    to: { id: 100 + id, name: `192.0.2.${id}`, kind: 'unknown', confirmed: false },
    verb: 'connect',
    object: 'tcp/443',
    risk,
    first_seen,
    beneficiaries: [],
  }) as unknown as Edge;

const ids = (edges: readonly Edge[]) =>
  group(edges, outside).map((question) =>
    question.kind === 'one' ? question.edge.id : question.edges.map(({ id }) => id),
  );

describe('questions of one device', () => {
  it('are one where they are alike', () => {
    expect(ids([edge(1, 22), edge(2, 22), edge(3, 23), edge(4, 22)])).toEqual([[1, 2, 4], 3]);
  });

  it('stay single where they are few, of another day or of high risk', () => {
    expect(ids([edge(1, 22), edge(2, 22)])).toEqual([1, 2]);
    expect(ids([edge(1, 22), edge(2, 22), edge(3, 22, 'low', 30 * HOUR)])).toEqual([1, 2, 3]);
    expect(ids([edge(1, 22, 'high'), edge(2, 22, 'high'), edge(3, 22, 'high')])).toEqual([1, 2, 3]);
  });
});

describe('the budget', () => {
  const questions = (count: number, high: number) =>
    group(
      Array.from({ length: count }, (_, index) => edge(index, index, index < high ? 'high' : 'low')),
      outside,
    );

  it('leaves a short list as it is', () => {
    expect(withinBudget(questions(AT_ONCE, 1))).toHaveLength(AT_ONCE);
  });

  it('shows only what is important of a long one, or else the first', () => {
    expect(withinBudget(questions(9, 2))).toHaveLength(2);
    expect(withinBudget(questions(9, 0))).toHaveLength(AT_ONCE);
  });
});
