// What devices say about themselves, made fit to be shown. The box does the same; what it does not know as hostile yet, or
// what reached it before it was updated, is no reason to mislead anyone here.

/** Control and format characters (direction, zero width, tags), line separators, private use, surrogates. */
const DECEIVES = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Co}\p{Cs}\u034f\u115f\u1160\u3164\uffa0\ufe00-\ufe0f]/gu;
const SPACES = /\s+/gu;

/** The text without what deceives, in one line, and not longer than this. */
export function harmless(text: string, most: number): string {
  // A text of megabytes is not searched to its end for what is cut off anyway.
  const clean = text.slice(0, most * 8).replace(SPACES, ' ').replace(DECEIVES, '').trim();
  const characters = [...clean];
  return characters.length > most ? `${characters.slice(0, most - 1).join('')}…` : clean;
}
