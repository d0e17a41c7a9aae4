import { expect, it } from 'vitest';

const sources = import.meta.glob<string>(['./**/*.svelte', './**/*.ts', '!./**/*.test.ts'], {
  query: '?raw',
  import: 'default',
  eager: true,
});

/** What a device says about itself is shown as text and never becomes markup, script or style. */
const FORBIDDEN = [/\{@html/, /\binnerHTML\b/, /\beval\(/, /\bstyle=/, /: any\b/, /\bas any\b/, /@ts-ignore/];

it('nothing in the page can turn text into markup, and nothing is untyped', () => {
  expect(Object.keys(sources).length).toBeGreaterThan(20);
  for (const [file, text] of Object.entries(sources)) {
    for (const pattern of FORBIDDEN) expect(pattern.test(text), `${file} has ${pattern.source}`).toBe(false);
  }
});
