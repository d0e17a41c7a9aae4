import { expect, it } from 'vitest';

import { PROBLEM_CODES, type ProblemCode } from '../types';
import { LANGS, wordsFor } from '../words';

/** Every text by its path; of a function, how many parameters it takes. */
function shape(value: unknown, path = ''): Map<string, string> {
  if (typeof value === 'function') return new Map([[path, `function of ${value.length}`]]);
  if (typeof value !== 'object' || value === null) return new Map([[path, typeof value]]);
  return new Map(Object.entries(value).flatMap(([key, inner]) => [...shape(inner, `${path}.${key}`)]));
}

const texts = (value: unknown): string[] =>
  typeof value === 'string' ? [value] : typeof value === 'object' && value !== null ? Object.values(value).flatMap(texts) : [];

it('every language has the same texts with the same parameters', () => {
  const english = shape(wordsFor('en'));
  expect(english.size).toBeGreaterThan(200);
  for (const lang of LANGS) expect(shape(wordsFor(lang))).toEqual(english);
});

it('no text is empty or left over from writing it', () => {
  for (const lang of LANGS) {
    for (const text of texts(wordsFor(lang))) expect(text, lang).toMatch(/\S/);
  }
  const same = texts(wordsFor('en')).filter((text) => text.includes(' ') && texts(wordsFor('de')).includes(text));
  expect(same).toEqual([]);
});

it('every problem that the box can name has words of its own, and its English title is never shown', () => {
  expect(PROBLEM_CODES.length).toBeGreaterThan(20);
  for (const lang of LANGS) {
    const text = (code: string) =>
      wordsFor(lang).problem({
        kind: 'problem',
        problem: { type: '', title: 'A title', status: 422, params: {}, code: code as ProblemCode },
      });
    expect(new Set(PROBLEM_CODES.map(text)).size, lang).toBe(PROBLEM_CODES.length);
    expect(text('of a newer box'), lang).toBe(text('internal'));
    expect(text('toString'), lang).toBe(text('internal'));
    for (const code of PROBLEM_CODES) expect(text(code), `${lang} ${code}`).not.toContain('A title');
  }
});
