import { beforeEach, describe, expect, it } from 'vitest';

import { byKind, isSeen, read, see, withAlarm, write } from './alarms';
import type { Alarm } from './types';

const alarm = (code: string, id: number, last: number): Alarm => ({
  code,
  principal: { id, name: 'x', confirmed: true, kind: 'unknown' },
  since: 0,
  last,
  times: 1,
});

describe('alarms', () => {
  beforeEach(() => localStorage.clear());

  it('stand together by kind, the latest first', () => {
    const kinds = byKind([alarm('scan', 16, 5), alarm('flood', 17, 9), alarm('scan', 18, 7)]);
    expect(kinds.map(([code, of]) => [code, of.map((one) => one.principal?.id)])).toEqual([
      ['flood', [17]],
      ['scan', [18, 16]],
    ]);
  });

  it('are one for each kind and device', () => {
    expect(withAlarm([alarm('scan', 16, 5), alarm('scan', 17, 5)], alarm('scan', 16, 8))).toHaveLength(2);
  });

  it('that were seen come back when it happens again, also after a reload', () => {
    write(localStorage, see({}, [alarm('scan', 16, 5)]));
    const seen = read(localStorage);
    expect(isSeen(seen, alarm('scan', 16, 5))).toBe(true);
    expect(isSeen(seen, alarm('scan', 16, 6))).toBe(false);
    expect(isSeen(seen, alarm('scan', 17, 5))).toBe(false);
    localStorage.setItem('edgeward.alarms', '{');
    expect(read(localStorage)).toEqual({});
  });
});
