// Answers to what is of high risk that come faster than anyone reads: after some in a row, the next card first asks what it
// is about. On this phone only.

import type { Edge } from './types';

const KEY = 'edgeward.haste';
/** Nobody has read a card in less, in milliseconds. */
const QUICK = 1_000;
const IN_A_ROW = 5;

export class Haste {
  #row = $state(read());
  #last = 0;
  /** The same card again, after an undo, is read already. */
  #answered = new Set<number>();

  /** Whether the next card shall ask. */
  readonly isHasty = $derived(this.#row >= IN_A_ROW);

  /** Notes an answer to a card that is there since then. */
  note({ id, risk }: Pick<Edge, 'id' | 'risk'>, shown: number, now = Date.now()): void {
    const took = now - Math.max(shown, this.#last);
    this.#last = now;
    if (risk !== 'high' || this.#answered.has(id)) return;
    this.#answered.add(id);
    this.#keep(took < QUICK ? this.#row + 1 : 0);
  }

  /** Somebody has read. */
  calm(): void {
    this.#keep(0);
  }

  #keep(row: number): void {
    this.#row = row;
    try {
      localStorage.setItem(KEY, String(row));
    } catch {
      // A private window: then it holds until the page is closed.
    }
  }
}

function read(): number {
  try {
    return Number(localStorage.getItem(KEY)) || 0;
  } catch {
    return 0;
  }
}
