import { afterEach, describe, expect, it } from 'vitest';

import { existed, hoursOf, isWholeHour, presentBefore, recorded, span } from './past';
import type { Edge, Principal } from './types';
import { sizeText } from './words';

const HOUR = 3600;
/** A Wednesday, 14:20 where the tests run. */
const now = new Date(2026, 5, 17, 14, 20).getTime();
const at = (day: number, hour: number) => new Date(2026, 5, day, hour).getTime() / 1000;

describe('where hours begin at half past', () => {
  const here = process.env['TZ'];
  afterEach(() => {
    if (here === undefined) delete process.env['TZ'];
    else process.env['TZ'] = here;
  });

  it('a day is of the hours of the box, and is told so', () => {
    process.env['TZ'] = 'Asia/Kolkata';
    const noon = new Date(2026, 5, 17, 14, 20).getTime();
    const { from, until } = span(noon, 0, 0);
    expect([from % HOUR, (until - from) / HOUR]).toEqual([0, 24]);
    expect(isWholeHour(from)).toBe(false);
    // What the sliders say of it: 23:30 of the day before.
    expect(new Date(from * 1000).getHours() * 60 + new Date(from * 1000).getMinutes()).toBe(23 * 60 + 30);
    expect(span(noon, 0, 1)).toEqual({ from, until: from + HOUR });
    expect(hoursOf(noon, 0)).toBe(15);

    process.env['TZ'] = 'Europe/Berlin';
    expect(isWholeHour(span(noon, 0, 0).from)).toBe(true);
  });
});

describe('looking back', () => {
  it('a day begins and ends at midnight where the page is', () => {
    expect(span(now, 0, 0)).toEqual({ from: at(17, 0), until: at(18, 0) });
    expect(span(now, 16, 0)).toEqual({ from: at(1, 0), until: at(2, 0) });
  });

  it('hours are counted from one, and today has those that have begun', () => {
    expect(span(now, 0, 15)).toEqual({ from: at(17, 14), until: at(17, 15) });
    expect(hoursOf(now, 0)).toBe(15);
    expect(hoursOf(now, 1)).toBe(24);
  });

  it('is never longer than the box answers, and always whole hours', () => {
    for (let back = 0; back < 400; back += 1) {
      const { from, until } = span(now, back, 0);
      expect((until - from) / HOUR).toBeGreaterThanOrEqual(23);
      expect((until - from) / HOUR).toBeLessThanOrEqual(25);
      expect(from % HOUR).toBe(0);
    }
  });

  it('says how much was recorded, or that nothing was', () => {
    const hours = [
      { from: at(16, 23), edges: 9, kilobytes: 1 },
      { from: at(17, 0), edges: 3, kilobytes: 10 },
      { from: at(17, 5), edges: 7, kilobytes: 20 },
    ];
    expect(recorded(hours, span(now, 0, 0))).toEqual({ edges: 7, kilobytes: 30 });
    expect(recorded(hours, span(now, 0, 1))).toEqual({ edges: 3, kilobytes: 10 });
    expect(recorded(hours, span(now, 2, 0))).toBeUndefined();
  });

  it('leaves out what came later', () => {
    const edge = (change: Partial<Edge>) => ({ since: 100, first_seen: null, ...change }) as Edge;
    expect(existed(edge({}), 101)).toBe(true);
    expect(existed(edge({}), 100)).toBe(false);
    // Learned again, it is older than its state.
    expect(existed(edge({ first_seen: 40 }), 50)).toBe(true);
    const device = (id: number, first_seen: number) => [id, { id, first_seen } as Principal] as const;
    expect([...presentBefore(new Map([device(1, 10), device(2, 30)]), 20).keys()]).toEqual([1]);
  });

  it('writes sizes as a language does', () => {
    expect(sizeText('en', 0, 'less than 1 kB')).toBe('less than 1 kB');
    expect(sizeText('en', 999, '')).toBe('999 kB');
    expect(sizeText('en', 1_500, '')).toBe('1.5 MB');
    expect(sizeText('de', 1_500, '')).toBe('1,5 MB');
    expect(sizeText('en', 25_400_000, '')).toBe('25 GB');
    expect(sizeText('en', 10 ** 13, '')).toBe('10,000 TB');
  });
});
