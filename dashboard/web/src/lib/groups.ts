// Questions that belong together, and how many are shown at once: who is asked too often stops reading.

import { kindOf, read, type Principals } from './reading';
import type { Edge } from './types';

/** Similar questions of one device, or a question by itself. */
export type Question = { kind: 'one'; edge: Edge } | { kind: 'group'; key: string; outside: boolean; edges: readonly Edge[] };

/** Fewer than so many are read faster one by one. */
const LEAST = 3;
/** More than so many questions at once are not read. */
export const AT_ONCE = 5;
const DAY = 24 * 60 * 60;

/**
 * Puts together what one device wants of the same class of target, in the same way and within a day. What is of high risk
 * always stands by itself.
 */
export function group(edges: readonly Edge[], principals: Principals): Question[] {
  const keyed = edges.map((edge) => ({ edge, key: keyOf(edge, principals) }));
  const counts = new Map<string, number>();
  for (const { key } of keyed) counts.set(key, (counts.get(key) ?? 0) + 1);
  const groups = new Map<string, Edge[]>();
  const questions: Question[] = [];
  for (const { edge, key } of keyed) {
    const known = groups.get(key);
    if (edge.risk === 'high' || (counts.get(key) ?? 0) < LEAST) {
      questions.push({ kind: 'one', edge });
    } else if (known === undefined) {
      const members = [edge];
      groups.set(key, members);
      questions.push({ kind: 'group', key, outside: read(edge, principals).target.is === 'server', edges: members });
    } else {
      known.push(edge);
    }
  }
  return questions;
}

function keyOf(edge: Edge, principals: Principals): string {
  const { action, target } = read(edge, principals);
  const day = Math.floor((edge.first_seen ?? 0) / DAY);
  return [edge.from.id, kindOf(target), action, edge.risk, day].join('/');
}

export const isImportant = (question: Question): boolean => question.kind === 'one' && question.edge.risk === 'high';

/** What is shown of a long list: what is important, or else the first few. */
export function withinBudget(questions: readonly Question[]): readonly Question[] {
  if (questions.length <= AT_ONCE) return questions;
  const important = questions.filter(isImportant);
  return important.length > 0 ? important : questions.slice(0, AT_ONCE);
}
