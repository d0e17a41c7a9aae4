// Questions that belong together, and how many are shown at once: who is asked too often stops reading.

import { kindOf, read, type Principals } from './reading';
import type { Decision, Edge, Principal, Risk } from './types';

/** A question by itself, or similar ones of one device. */
export type Asked =
  | { kind: 'one'; key: string; edge: Edge }
  | { kind: 'group'; key: string; outside: boolean; edges: readonly Edge[] };

export type Question =
  | Asked
  /** A device that nobody has said anything about. */
  | { kind: 'new'; key: string; principal: Principal }
  /** What began at the same time. */
  | { kind: 'cause'; key: string; cause: Cause; questions: readonly Asked[] };

/** What was seen to happen together; what caused what is not known. */
export interface Cause {
  /** When the first of it was tried. */
  from: number;
  devices: number;
  /** The update that somebody had begun shortly before. */
  update: Update | undefined;
}

/** The time in which a device was to get new software. */
export interface Update {
  device: number;
  from: number;
  until: number;
}

/** Fewer than so many are read faster one by one; devices that did something new as well. */
const LEAST = 3;
/** More than so many questions at once are not read. */
export const AT_ONCE = 5;
const HOUR = 60 * 60;
const DAY = 24 * HOUR;

/** All that is asked, each once, in the order in which it is shown. */
export function arrange(
  edges: readonly Edge[],
  newcomers: readonly Principal[],
  principals: Principals,
  updates: readonly Update[],
): Question[] {
  const asked = group(edges, principals);
  const fresh = newcomers.map((principal) => ({ kind: 'new', key: `new-${principal.id}`, principal }) as const);
  const ordinary = byCause(asked.filter((question) => !isImportant(question)), updates);
  return [...asked.filter(isImportant), ...fresh, ...ordinary];
}

/**
 * Puts together what one device wants of the same class of target, in the same way and within a day. What is of high risk
 * and what goes on meanwhile always stands by itself.
 */
export function group(edges: readonly Edge[], principals: Principals): Asked[] {
  const alike = new Map<string, Edge[]>();
  for (const edge of edges) {
    if (edge.risk === 'high' || goesOn(edge)) continue;
    const key = keyOf(edge, principals);
    const known = alike.get(key);
    if (known === undefined) alike.set(key, [edge]);
    else known.push(edge);
  }
  const groups = new Map<Edge, Asked>();
  for (const [key, members] of alike) {
    for (const [index, together] of within(members, firstSeen, DAY).entries()) {
      const [first] = together;
      if (first === undefined || together.size < LEAST) continue;
      const outside = read(first, principals).target.is === 'server';
      const one: Asked = { kind: 'group', key: `${key}/${index}`, outside, edges: inOrderOf(members, together) };
      for (const edge of together) groups.set(edge, one);
    }
  }
  const asked = edges.map((edge): Asked => groups.get(edge) ?? { kind: 'one', key: String(edge.id), edge });
  return [...new Set(asked)];
}

/** Puts together what several devices began within an hour, and what a device began while it was to be updated. */
function byCause(questions: readonly Asked[], updates: readonly Update[]): Question[] {
  const causes = new Map<Asked, Question>();
  const isNew = (question: Asked) => !membersOf(question).some(goesOn);
  for (const together of within(questions.filter(isNew), askedAt, HOUR)) {
    const devices = new Set([...together].map(sourceOf));
    const from = Math.min(...[...together].map(askedAt));
    const update = updates.find((one) => one.from <= from && from <= one.until + HOUR);
    const isOfUpdate = update !== undefined && together.size >= LEAST && devices.has(update.device);
    if (devices.size < LEAST && !isOfUpdate) continue;
    const cause = { from, devices: devices.size, update };
    const one: Question = { kind: 'cause', key: `cause-${from}`, cause, questions: inOrderOf(questions, together) };
    for (const question of together) causes.set(question, one);
  }
  return [...new Set(questions.map((question) => causes.get(question) ?? question))];
}

/** Parts of a list that lie within so many seconds of their first, from the oldest on: what comes later moves nothing. */
function within<T>(items: readonly T[], at: (item: T) => number, seconds: number): Set<T>[] {
  const parts: Set<T>[] = [];
  let start = -Infinity;
  for (const item of [...items].sort((a, b) => at(a) - at(b))) {
    if (at(item) - start >= seconds) {
      start = at(item);
      parts.push(new Set());
    }
    parts.at(-1)?.add(item);
  }
  return parts;
}

/** Some of a list as it has them: the first stands for all. */
const inOrderOf = <T>(list: readonly T[], some: ReadonlySet<T>): T[] => list.filter((one) => some.has(one));

/** Whether it is nothing new but something unusual. */
const goesOn = (edge: Edge): boolean => Boolean(edge.flag);
const firstSeen = (edge: Edge): number => edge.first_seen ?? 0;
const membersOf = (question: Asked): readonly Edge[] => (question.kind === 'one' ? [question.edge] : question.edges);
const askedAt = (question: Asked): number => Math.min(...membersOf(question).map(firstSeen));
const sourceOf = (question: Asked): number | undefined => membersOf(question)[0]?.from.id;

function keyOf(edge: Edge, principals: Principals): string {
  const { action, target } = read(edge, principals);
  return [edge.from.id, kindOf(target), action, edge.risk].join('/');
}

/** The times in which devices were to get new software, as the record has them, the latest first. */
export function updatesOf(decisions: readonly Decision[]): Update[] {
  return decisions.flatMap(({ what, at, detail, principal }) => {
    const [, seconds] = /^an update within (\d+) s$/.exec(what === 'learn' ? detail : '') ?? [];
    return seconds === undefined || !principal ? [] : [{ device: principal.id, from: at, until: at + Number(seconds) }];
  });
}

export const isImportant = (question: Question): boolean => question.kind === 'one' && question.edge.risk === 'high';

const RANK: Record<Risk, number> = { high: 0, medium: 1, low: 2 };

/** The highest risk among them. */
export const riskOf = (questions: readonly Asked[]): Risk =>
  questions
    .flatMap(membersOf)
    .map(({ risk }) => risk)
    .sort((a, b) => RANK[a] - RANK[b])[0] ?? 'low';

/** How many devices ask. */
export const sourcesOf = (questions: readonly Question[]): number =>
  new Set(
    questions.flatMap((question) => {
      switch (question.kind) {
        case 'new':
          return [question.principal.id];
        case 'cause':
          return question.questions.map(sourceOf);
        case 'one':
        case 'group':
          return [sourceOf(question)];
      }
    }),
  ).size;

/** What is shown of a long list: what is important, or else the first few. */
export function withinBudget(questions: readonly Question[]): readonly Question[] {
  if (questions.length <= AT_ONCE) return questions;
  const important = questions.filter(isImportant);
  return important.length > 0 ? important : questions.slice(0, AT_ONCE);
}
