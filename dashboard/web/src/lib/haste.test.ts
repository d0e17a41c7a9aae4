import { beforeEach, describe, expect, it } from 'vitest';

import { Haste } from './haste.svelte';
import type { Risk } from './types';

describe('haste', () => {
  let haste: Haste;
  let now = 0;

  const answer = (id: number, took: number, risk: Risk = 'high') => {
    now += took;
    haste.note({ id, risk }, 0, now);
  };

  beforeEach(() => {
    localStorage.clear();
    haste = new Haste();
    answer(0, 60_000, 'low');
  });

  it('is five answers in a row to what is of high risk, each in less than a second', () => {
    for (const id of [1, 2, 3, 4]) answer(id, 900);
    expect(haste.isHasty).toBe(false);
    answer(5, 900);
    expect(haste.isHasty).toBe(true);
    expect(new Haste().isHasty).toBe(true);
    haste.calm();
    expect(haste.isHasty).toBe(false);
    expect(new Haste().isHasty).toBe(false);
  });

  it('is none where one was read, or the same is answered again', () => {
    for (const id of [1, 2, 3, 4]) answer(id, 900);
    answer(5, 1_100);
    answer(6, 900);
    expect(haste.isHasty).toBe(false);
    for (let time = 0; time < 9; time += 1) answer(6, 100);
    for (let id = 20; id < 29; id += 1) answer(id, 100, 'medium');
    expect(haste.isHasty).toBe(false);
  });

  it('counts from when a card was shown', () => {
    for (const id of [1, 2, 3, 4, 5]) {
      now += 60_000;
      haste.note({ id, risk: 'high' }, now - 500, now);
    }
    expect(haste.isHasty).toBe(true);
  });
});
