import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { connect, SILENCE, type Link, type LiveEvent, type Source } from './live';

const HELLO = { rev: 7, ui_build: 'assets/index-1.js', daemon: { running: true, since: 0 } };

/** An EventSource in the hands of the test. */
class Wire implements Source {
  onerror: ((event: Event) => void) | null = null;
  readyState = 1;
  readonly #handlers = new Map<string, (event: MessageEvent<string>) => void>();

  addEventListener(name: string, handler: (event: MessageEvent<string>) => void): void {
    this.#handlers.set(name, handler);
  }

  close(): void {
    this.readyState = 2;
  }

  send(name: string, data: unknown, lastEventId = ''): void {
    this.#handlers.get(name)?.(new MessageEvent(name, { data: JSON.stringify(data), lastEventId }));
  }

  fail(readyState: 0 | 2): void {
    this.readyState = readyState;
    this.onerror?.(new Event('error'));
  }
}

describe('the live stream', () => {
  const wires: Wire[] = [];
  const events: LiveEvent[] = [];
  const links: Link[] = [];
  let refused = 0;
  let stop: () => void;
  const newest = () => wires[wires.length - 1] as Wire;

  beforeEach(() => {
    vi.useFakeTimers();
    wires.length = events.length = links.length = refused = 0;
    stop = connect(
      {
        event: (event) => events.push(event),
        link: (link) => links.push(link),
        refused: () => (refused += 1),
      },
      () => {
        const wire = new Wire();
        wires.push(wire);
        return wire;
      },
    );
  });

  afterEach(() => {
    stop();
    vi.useRealTimers();
  });

  it('reads everything when it begins', () => {
    newest().send('hello', HELLO);
    expect(events).toEqual([{ event: 'resync', data: HELLO }]);
    expect(links).toEqual([{ state: 'live' }]);
  });

  it('does not read everything again when the browser comes back to its place', () => {
    newest().send('hello', HELLO);
    newest().fail(0);
    expect(links.at(-1)?.state).toBe('lost');
    newest().send('hello', HELLO);
    expect(events.at(-1)).toEqual({ event: 'hello', data: HELLO });
    expect(links.at(-1)).toEqual({ state: 'live' });
    expect(wires).toHaveLength(1);
  });

  it('tells since when it is lost, through all tries', () => {
    newest().send('hello', HELLO);
    newest().fail(2);
    const since = Date.now();
    vi.advanceTimersByTime(1_000);
    newest().fail(2);
    expect(links.at(-1)).toEqual({ state: 'lost', since });
  });

  it('tries again by itself after a refusal, ever more rarely, and then reads everything', () => {
    newest().send('hello', HELLO);
    newest().fail(2);
    expect(refused).toBe(1);
    expect(wires).toHaveLength(1);
    vi.advanceTimersByTime(1_000);
    expect(wires).toHaveLength(2);
    newest().fail(2);
    vi.advanceTimersByTime(1_000);
    expect(wires).toHaveLength(2);
    vi.advanceTimersByTime(1_000);
    expect(wires).toHaveLength(3);
    newest().send('hello', HELLO);
    expect(events.at(-1)?.event).toBe('resync');
  });

  it('passes on once what comes twice or too late', () => {
    newest().send('hello', HELLO, 'a-4');
    newest().send('edge.removed', { id: 1 }, 'a-5');
    newest().send('edge.removed', { id: 1 }, 'a-5');
    newest().send('edge.removed', { id: 2 }, 'a-6');
    newest().send('edge.removed', { id: 3 }, 'a-4');
    expect(events.slice(1).map((event) => event.data)).toEqual([{ id: 1 }, { id: 2 }]);
  });

  it('reads everything where something is missing', () => {
    newest().send('hello', HELLO, 'a-4');
    newest().send('edge.removed', { id: 2 }, 'a-6');
    expect(events.slice(1)).toEqual([
      { event: 'resync', data: HELLO },
      { event: 'edge.removed', data: { id: 2 } },
    ]);
    newest().send('edge.removed', { id: 1 }, 'a-5');
    newest().send('edge.removed', { id: 3 }, 'a-7');
    expect(events.slice(3)).toEqual([{ event: 'edge.removed', data: { id: 3 } }]);
  });

  it('takes the numbers of a box that began anew', () => {
    newest().send('hello', HELLO, 'a-900');
    newest().send('resync', HELLO, 'b-0');
    newest().send('edge.removed', { id: 1 }, 'b-1');
    expect(events.map(({ event }) => event)).toEqual(['resync', 'resync', 'edge.removed']);
  });

  it('has lost a box that says nothing any more, since it last said something', () => {
    newest().send('hello', HELLO);
    vi.advanceTimersByTime(SILENCE - 3_000);
    newest().send('ping', {});
    const since = Date.now();
    vi.advanceTimersByTime(SILENCE - 3_000);
    expect(links.at(-1)).toEqual({ state: 'live' });
    vi.advanceTimersByTime(5_000);
    expect(links.at(-1)).toEqual({ state: 'lost', since });
    expect(wires[0]?.readyState).toBe(2);
    expect(wires).toHaveLength(2);
    newest().send('hello', HELLO);
    expect(events.at(-1)?.event).toBe('resync');
    expect(links.at(-1)).toEqual({ state: 'live' });
  });

  it('stays closed once it is stopped', () => {
    newest().fail(2);
    stop();
    vi.advanceTimersByTime(60_000);
    expect(wires).toHaveLength(1);
  });
});
