import { describe, expect, it } from 'vitest';

import { isPutOff, putOff, read, takeBack, write } from './later';
import type { Edge } from './types';

const edge = { id: 8, risk: 'medium' } as Edge;
const HOUR = 3_600_000;

describe('deciding later', () => {
  const later = putOff({}, edge, 0);

  it('holds for a day', () => {
    expect(isPutOff(later, edge, 23 * HOUR)).toBe(true);
    expect(isPutOff(later, edge, 24 * HOUR)).toBe(false);
  });

  it('ends when the request becomes riskier', () => {
    expect(isPutOff(later, { ...edge, risk: 'high' }, HOUR)).toBe(false);
    expect(isPutOff(later, { ...edge, risk: 'low' }, HOUR)).toBe(true);
  });

  it('is taken back', () => {
    expect(isPutOff(takeBack(later, 8), edge, HOUR)).toBe(false);
  });

  it('survives a reload and forgets what is over', () => {
    localStorage.clear();
    write(localStorage, { ...later, 9: { at: -30 * HOUR, risk: 'low' } }, 0);
    expect(read(localStorage)).toEqual(later);
  });

  it('begins anew with a damaged store', () => {
    localStorage.setItem('edgeward.later', '{');
    expect(read(localStorage)).toEqual({});
  });
});
