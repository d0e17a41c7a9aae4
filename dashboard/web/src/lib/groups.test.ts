import { describe, expect, it } from 'vitest';

import { AT_ONCE, arrange, group, sourcesOf, updatesOf, withinBudget, type Question } from './groups';
import type { Principals } from './reading';
import type { Decision, Edge, Principal, Risk } from './types';

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

  it('stay single where they are about something unusual that goes on', () => {
    const flagged = [1, 2, 3].map((id) => ({ ...edge(id, 20 + id), flag: { property: 'rate.exceeded' } }) as Edge);
    expect(ids(flagged.map((one) => ({ ...one, from: edge(1, 22).from })))).toEqual([1, 2, 3]);
    expect(shape(arrange(flagged, [], outside, []))).toEqual([1, 2, 3]);
  });

  it('are one within any 24 hours, also over midnight', () => {
    const night = [20 * HOUR, 25 * HOUR, 43 * HOUR].map((at, index) => edge(index + 1, 22, 'low', at));
    expect(ids(night)).toEqual([[1, 2, 3]]);
    expect(ids([...night, edge(4, 22, 'low', 44 * HOUR)])).toEqual([[1, 2, 3], 4]);
  });
});

const newcomer = { id: 90, mode: 'new' } as Principal;
const shape = (questions: readonly Question[]): unknown[] =>
  questions.map((question) => {
    switch (question.kind) {
      case 'one':
        return question.edge.id;
      case 'group':
        return question.edges.map(({ id }) => id);
      case 'new':
        return 'new';
      case 'cause':
        return { ...question.cause, of: shape(question.questions) };
    }
  });

describe('what came together', () => {
  const decision = (detail: string, what = 'learn') => ({ what, detail, at: 10_000, principal: { id: 22 } }) as Decision;
  const [update] = updatesOf([decision('an update within 1800 s')]);

  it('is one card where several devices do something new within an hour', () => {
    const edges = [edge(1, 22), edge(2, 23, 'high'), edge(3, 23, 'low', HOUR + 3_000), edge(4, 24), edge(5, 25, 'low', 3 * HOUR)];
    expect(shape(arrange(edges, [newcomer], outside, []))).toEqual([
      2,
      'new',
      { from: HOUR, devices: 3, update: undefined, of: [1, 3, 4] },
      5,
    ]);
    expect(shape(arrange(edges.slice(0, 3), [], outside, []))).toEqual([2, 1, 3]);
    expect(sourcesOf(arrange(edges, [newcomer], outside, []))).toBe(5);
  });

  it('names the update that was begun before, and folds what its device does then', () => {
    const during = [1, 2].map((id) => edge(id, 22, 'low', 10_100));
    const other = edge(3, 23, 'low', 10_200);
    expect(update).toEqual({ device: 22, from: 10_000, until: 11_800 });
    if (update === undefined) return;
    expect(shape(arrange([...during, other], [], outside, [update]))).toEqual([{ from: 10_100, devices: 2, update, of: [1, 2, 3] }]);
    expect(shape(arrange([...during, other], [], outside, []))).toEqual([1, 2, 3]);
    const later = [1, 2, 3].map((id) => edge(id, id, 'low', 11_800 + 2 * HOUR));
    expect(shape(arrange(later, [], outside, [update]))).toMatchObject([{ update: undefined }]);
  });

  it('takes nothing else for an update', () => {
    expect(updatesOf([decision('after the update: 2 learned, 1 asked about'), decision('an update within 60 s', 'mode')])).toEqual([]);
  });
});

describe('the budget', () => {
  const questions = (count: number, high: number, newcomers: Principal[] = []) =>
    arrange(
      Array.from({ length: count }, (_, index) => edge(index, index, index < high ? 'high' : 'low', 2 * HOUR * index)),
      newcomers,
      outside,
      [],
    );

  it('leaves a short list as it is', () => {
    expect(withinBudget(questions(AT_ONCE, 1))).toHaveLength(AT_ONCE);
  });

  it('shows only what is important of a long one, or else the first', () => {
    expect(withinBudget(questions(9, 2))).toHaveLength(2);
    expect(withinBudget(questions(9, 0))).toHaveLength(AT_ONCE);
  });

  it('counts new devices', () => {
    expect(withinBudget(questions(AT_ONCE, 2, [newcomer]))).toHaveLength(2);
    expect(questions(AT_ONCE, 2, [newcomer])).toHaveLength(AT_ONCE + 1);
  });
});
