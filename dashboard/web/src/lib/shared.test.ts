import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import type { Link, Listener, LiveEvent } from './live';
import { ASK, follow, NEW_SILENCE, SILENCE, type Tabs } from './shared';

const HELLO = { rev: 7, ui_build: 'assets/index-1.js', daemon: { running: true, since: 0 } };
const GONE: LiveEvent = { event: 'edge.removed', data: { id: 1 } };

interface Holder {
  tab: Tab;
  work: (taken: AbortSignal) => Promise<void>;
  taken: AbortController;
}

/** A browser: one lock, and one channel. */
class Browser {
  holder: Holder | undefined;
  queue: Holder[] = [];
  readonly tabs = new Set<Tab>();

  request(holder: Holder, steal: boolean): void {
    if (steal && this.holder !== undefined) {
      this.holder.taken.abort();
      this.holder = undefined;
      this.queue.unshift(holder);
    } else {
      this.queue.push(holder);
    }
    void Promise.resolve().then(() => this.grant());
  }

  grant(): void {
    if (this.holder !== undefined) return;
    const next = this.queue.shift();
    if (next === undefined) return;
    this.holder = next;
    void next.work(next.taken.signal).then(() => {
      if (this.holder === next) this.holder = undefined;
      this.grant();
    });
  }
}

/** A tab of it, whose connection to the box is in the hands of the test. */
class Tab implements Tabs {
  readonly events: LiveEvent[] = [];
  readonly links: Link[] = [];
  refused = 0;
  /** Set while this tab reads the stream. */
  wire: Listener | undefined;
  /** As a tab is that a browser has put to sleep: out of sight, and it hears nothing. */
  isAsleep = false;
  isOutOfSight = false;
  readonly stop: () => void;
  #onmessage: ((event: MessageEvent) => void) | null = null;

  constructor(readonly browser: Browser) {
    browser.tabs.add(this);
    this.stop = follow(
      {
        event: (event) => this.events.push(event),
        link: (link) => this.links.push(link),
        refused: () => (this.refused += 1),
      },
      this,
    );
  }

  hold(work: Holder['work'], steal: boolean): () => void {
    const holder = { tab: this, work, taken: new AbortController() };
    this.browser.request(holder, steal);
    return () => (this.browser.queue = this.browser.queue.filter((one) => one !== holder));
  }

  channel(): ReturnType<Tabs['channel']> {
    const tab = this;
    return {
      postMessage: (data: unknown) => {
        for (const other of this.browser.tabs) {
          if (other !== this && !other.isAsleep) {
            void Promise.resolve().then(() => other.#onmessage?.(new MessageEvent('message', { data })));
          }
        }
      },
      close: () => this.browser.tabs.delete(this),
      get onmessage() {
        return tab.#onmessage as never;
      },
      set onmessage(handler) {
        tab.#onmessage = handler as never;
      },
    };
  }

  isHidden(): boolean {
    return this.isOutOfSight || this.isAsleep;
  }

  connect(listener: Listener): () => void {
    this.wire = listener;
    return () => (this.wire = undefined);
  }

  hello(): void {
    this.wire?.link({ state: 'live' });
    this.wire?.event({ event: 'resync', data: HELLO });
  }
}

describe('the stream that tabs share', () => {
  let browser: Browser;
  const soon = () => vi.advanceTimersByTimeAsync(1);
  const open = async () => {
    const tab = new Tab(browser);
    await soon();
    return tab;
  };
  const names = (tab: Tab) => tab.events.map(({ event }) => event);
  const readers = () => [...browser.tabs].filter((tab) => tab.wire !== undefined);

  beforeEach(() => {
    vi.useFakeTimers();
    browser = new Browser();
  });

  afterEach(() => {
    for (const tab of [...browser.tabs]) tab.stop();
    vi.useRealTimers();
  });

  it('is read by one of them, and all hear it', async () => {
    const tabs = [await open(), await open(), await open()];
    expect(readers()).toEqual([tabs[0]]);
    tabs[0]?.hello();
    tabs[0]?.wire?.event(GONE);
    await soon();
    for (const tab of tabs) expect(names(tab)).toEqual(['resync', 'edge.removed']);
    tabs[0]?.wire?.refused();
    await soon();
    for (const tab of tabs) expect(tab.refused).toBe(1);
  });

  it('makes a tab that comes later read everything, and only that one', async () => {
    const first = await open();
    first.hello();
    const second = await open();
    await soon();
    expect(second.events).toEqual([{ event: 'resync', data: HELLO }]);
    expect(second.links.at(-1)).toEqual({ state: 'live' });
    await vi.advanceTimersByTimeAsync(ASK * 10);
    expect(first.events).toHaveLength(1);
    expect(second.events).toHaveLength(1);
  });

  it('tells a tab that comes later that the box is out of reach', async () => {
    const first = await open();
    first.wire?.link({ state: 'lost', since: 5 });
    const second = await open();
    expect(second.links.at(-1)).toEqual({ state: 'lost', since: 5 });
    first.hello();
    await soon();
    expect(names(second)).toEqual(['resync']);
  });

  it('goes on in another tab when the reading one is closed', async () => {
    const first = await open();
    const second = await open();
    first.hello();
    first.stop();
    await soon();
    expect(readers()).toEqual([second]);
    second.hello();
    expect(names(second).at(-1)).toBe('resync');
  });

  it('is taken over from a tab that sleeps, which then hears it from there', async () => {
    const first = await open();
    const second = await open();
    first.hello();
    await soon();
    first.isAsleep = true;
    await vi.advanceTimersByTimeAsync(SILENCE + 2 * ASK);
    expect(readers()).toEqual([second]);
    second.hello();
    await soon();
    first.isAsleep = false;
    await vi.advanceTimersByTimeAsync(2 * ASK);
    expect(names(first)).toEqual(['resync', 'resync']);
    second.stop();
    await soon();
    expect(readers()).toEqual([first]);
  });

  it('does not make a new tab wait for one that sleeps', async () => {
    const first = await open();
    first.isAsleep = true;
    const second = await open();
    await vi.advanceTimersByTimeAsync(NEW_SILENCE);
    expect(readers()).toEqual([second]);
  });

  it('is not fought over by tabs that nobody looks at', async () => {
    const first = await open();
    const second = await open();
    first.isAsleep = true;
    second.isOutOfSight = true;
    await vi.advanceTimersByTimeAsync(10 * SILENCE);
    expect(readers()).toEqual([first]);
  });

  it('is left alone by a tab that stopped', async () => {
    const first = await open();
    const second = await open();
    second.stop();
    first.stop();
    await vi.advanceTimersByTimeAsync(10 * SILENCE);
    expect(readers()).toEqual([]);
    expect(browser.holder).toBeUndefined();
  });
});
