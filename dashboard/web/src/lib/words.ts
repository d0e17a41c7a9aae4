// Every text of the page, made from codes and parameters. The page translates DESIGN's words here and nowhere else: what a
// language has to say is in `words/make.ts`, the languages are beside it.

import { harmless } from './harmless';
import { isAddress, kindOf, LONGEST_NAME, type Reading } from './reading';
import type { Edge } from './types';
import { de } from './words/de';
import { en } from './words/en';
import { timeOf, type Lang, type Words } from './words/make';

export { capital, kindText, learningDays, pathOf, sizeText, type Lang, type Words } from './words/make';

export const LANGS: readonly Lang[] = ['en', 'de'];

const DAY = 24 * 3600;

const ALL: Record<Lang, Words> = { en, de };

export const wordsFor = (lang: Lang): Words => ALL[lang];

export function preferredLang(chosen: string | null, languages: readonly string[]): Lang {
  const isLang = (text: string): text is Lang => (LANGS as readonly string[]).includes(text);
  if (chosen !== null && isLang(chosen)) return chosen;
  for (const language of languages) {
    const short = language.slice(0, 2).toLowerCase();
    if (isLang(short)) return short;
  }
  return 'en';
}

/** Lifetime and terms as the ledger has them: `always`, `once`, `3 uses`, `for 3600 s`, `always, neutralised`. */
export function lifetimeText(words: Words, detail: string): string {
  const [lifetime = '', ...terms] = detail.split(', ');
  return [oneLifetime(words, lifetime), ...terms.map((term) => words.term(term))].join(', ');
}

function oneLifetime(words: Words, detail: string): string {
  if (detail === 'always' || detail === 'once' || detail === 'until_restart') return words.lifetime(detail);
  const [, uses] = /^(\d+) uses$/.exec(detail) ?? [];
  if (uses !== undefined) return words.lifetime({ uses: Number(uses) });
  const [, seconds] = /^for (\d+) s$/.exec(detail) ?? [];
  return seconds === undefined ? detail : words.lifetime({ for: Number(seconds) });
}

/** Why it is unusual: the violated property, and what such devices normally do not do. At most two sentences. */
export function whyUnusual(words: Words, edge: Edge, reading: Reading): string {
  const isClass = edge.violated === 'class.forbidden';
  if (isClass && kindOf(reading.target) === 'unknown') return words.unknownTarget;
  const property = words.violated(edge.violated, edge);
  const habit = words.classSentence(kindOf(reading.source), kindOf(reading.target));
  if (habit === undefined) return property;
  // What such devices normally do says why this class is asked about, and says it better.
  return isClass ? habit : `${property} ${habit}`;
}

/** Longer topics and paths are cut; the table and the command line have all of it. */
const LONGEST_OBJECT = 160;

/** The operation in the protocol's own text, and the address that it reaches for where there is no name. */
export function exactly({ verb, object, to }: Pick<Edge, 'verb' | 'object'> & { to?: Pick<Edge['to'], 'name'> }): string {
  const operation = harmless(`${verb} ${object}`, LONGEST_OBJECT);
  return to !== undefined && isAddress(to.name) ? `${operation} → ${to.name}` : operation;
}

/** Who has decided about an edge, and when; something else where nobody has. */
export function settledText(words: Words, { state, by, since }: Edge, otherwise: string): string {
  if (state !== 'allowed' && state !== 'denied') return otherwise;
  return words.card.settled(by ?? undefined, state === 'allowed' ? 'allow' : 'deny', clock(words, since));
}

/** A time of day today, otherwise with its day. */
export function when(words: Words, unix: number | null | undefined, now: number): string {
  if (unix === null || unix === undefined) return '–';
  const date = new Date(unix * 1000);
  const time = date.toLocaleTimeString(words.lang, { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' });
  const midnight = new Date(now).setHours(0, 0, 0, 0);
  const ago = midnight - new Date(date).setHours(0, 0, 0, 0);
  // Days around a change of the clock have 23 or 25 hours.
  const days = Math.round(ago / (DAY * 1000));
  if (days === 0) return words.today(time);
  if (days === 1) return words.yesterday(time);
  return `${date.toLocaleDateString(words.lang, { day: 'numeric', month: 'short' })} ${time}`;
}

/** Who decided about an edge, and for how long. */
export function ruleText(words: Words, edge: Edge, now: number): string {
  if (edge.state === 'pending') return '–';
  if (edge.state === 'learned') return words.map.habit;
  const by = harmless(edge.by ?? '', LONGEST_NAME);
  const { until, uses, lifetime } = edge;
  const long =
    until !== null && until !== undefined
      ? words.map.until(when(words, until, now))
      : lifetime === 'uses' && uses !== null && uses !== undefined
        ? words.lifetime({ uses })
        : lifetime === 'once' || lifetime === 'until_restart'
          ? words.lifetime(lifetime)
          : '';
  return [by, long].filter((part) => part !== '').join(', ') || '–';
}

/** As it stands behind "since" and "until": today needs no word. */
export function moment(words: Words, unix: number | null | undefined, now: number): string {
  const time = clock(words, unix);
  const full = when(words, unix, now);
  return full === words.today(time) ? time : full;
}

/** Only the day. */
export const dateOf = (words: Words, unix: number | undefined): string =>
  unix === undefined ? '–' : new Date(unix * 1000).toLocaleDateString(words.lang, { dateStyle: 'long' });

/** Only the time of day. */
export const clock = (words: Words, unix: number | null | undefined): string => timeOf(words.lang, unix);
