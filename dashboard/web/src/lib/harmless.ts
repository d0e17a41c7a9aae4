// What devices say about themselves, made fit to be shown. The box does the same; what it does not know as hostile yet, or
// what reached it before it was updated, is no reason to mislead anyone here.

/** Control and format characters (direction, zero width, tags), line separators, private use, surrogates. */
const DECEIVES = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Co}\p{Cs}\u034f\u115f\u1160\u3164\uffa0\ufe00-\ufe0f]/gu;
const SPACES = /\s+/gu;
/** More than two marks on one character paint over the lines above and below. */
const PILES = /([\p{Mn}\p{Me}]{2})[\p{Mn}\p{Me}]+/gu;

const graphemes = typeof Intl.Segmenter === 'function' ? new Intl.Segmenter() : undefined;

/** The text without what deceives, in one line, and not longer than this. */
export function harmless(text: string, most: number): string {
  // A text of megabytes is not searched to its end for what is cut off anyway.
  const start = text.slice(0, most * 8);
  return cut(start.replace(SPACES, ' ').replace(DECEIVES, '').replace(PILES, '$1').trim(), most);
}

/** A text of at most so many characters as people count them. */
export function cut(text: string, most: number): string {
  if (text.length <= most) return text;
  const characters = graphemes === undefined ? [...text] : Array.from(graphemes.segment(text), ({ segment }) => segment);
  return characters.length > most ? `${characters.slice(0, most - 1).join('')}…` : text;
}
