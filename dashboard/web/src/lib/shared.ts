// One live stream for all tabs of a browser, because a browser opens six connections to a box and no more (HTTP/1), and
// a stream takes one for good. The tab that holds a lock reads it, the others hear of it over a channel. A browser that
// puts that tab to sleep is noticed by its silence, and another tab takes over.

import { connect, type Link, type Listener, type LiveEvent } from './live';
import type { Hello } from './types';

const NAME = 'edgeward.events';
/** How often a tab looks after the reader, in milliseconds. */
export const ASK = 5_000;
/** How long the reader may leave a question unanswered: for a tab that shows something already, and for a new one. */
export const SILENCE = 12_000;
export const NEW_SILENCE = 2_000;

/** What tabs tell each other. */
type Message =
  | { kind: 'event'; event: LiveEvent }
  | { kind: 'link'; link: Link }
  | { kind: 'refused' }
  | { kind: 'ask'; isNew: boolean }
  /** The reader's answer; with `hello` for who is new, so that it reads everything. */
  | { kind: 'alive'; link: Link; hello: Hello | undefined };

/** What of a browser is used; a test brings its own. */
export interface Tabs {
  /** Runs `work` while this tab alone holds the lock, with `steal` at once; the returned function gives up waiting. */
  hold(work: (taken: AbortSignal) => Promise<void>, steal: boolean): () => void;
  channel(): Pick<BroadcastChannel, 'postMessage' | 'close' | 'onmessage'>;
  /** Whether nobody looks at this tab. */
  isHidden(): boolean;
  connect(listener: Listener): () => void;
}

/** Follows the stream until the returned function is called: by a connection of its own, or through another tab. */
export function follow(listener: Listener, tabs: Tabs | undefined = ofBrowser()): () => void {
  if (tabs === undefined) return connect(listener);
  return new Tab(listener, tabs).stop;
}

class Tab {
  readonly #listener: Listener;
  readonly #tabs: Tabs;
  readonly #channel: ReturnType<Tabs['channel']>;
  readonly #asking: ReturnType<typeof setInterval>;
  readonly #impatient: ReturnType<typeof setTimeout>;
  readonly #stopped = new AbortController();
  #giveUp: () => void = () => {};
  /** Ends our reading; undefined while another tab reads. */
  #close: (() => void) | undefined;
  #link: Link = { state: 'live' };
  #hello: Hello | undefined;
  #heard = 0;
  /** When we asked first since the reader was heard. */
  #asked: number | undefined;
  #isNew = true;

  constructor(listener: Listener, tabs: Tabs) {
    this.#listener = listener;
    this.#tabs = tabs;
    this.#channel = tabs.channel();
    this.#channel.onmessage = ({ data }: MessageEvent<Message>) => this.#hear(data);
    this.#asking = setInterval(() => this.#look(), ASK);
    this.#impatient = setTimeout(() => this.#look(), NEW_SILENCE);
    this.#acquire(false);
    this.#ask();
  }

  readonly stop = (): void => {
    clearInterval(this.#asking);
    clearTimeout(this.#impatient);
    this.#giveUp();
    this.#stopped.abort();
    this.#channel.close();
  };

  #acquire(steal: boolean): void {
    this.#giveUp();
    this.#giveUp = this.#tabs.hold((taken) => this.#read(taken), steal);
  }

  /** Reads the stream for everybody, until this tab stops or another one takes over. */
  async #read(taken: AbortSignal): Promise<void> {
    if (this.#stopped.signal.aborted) return;
    const close = this.#tabs.connect({
      event: (event) => {
        if (event.event === 'hello' || event.event === 'resync') this.#hello = event.data;
        else if (event.event === 'daemon' && this.#hello !== undefined) this.#hello = { ...this.#hello, daemon: event.data };
        this.#tell({ kind: 'event', event });
        this.#listener.event(event);
      },
      link: (link) => {
        this.#link = link;
        this.#tell({ kind: 'link', link });
        this.#listener.link(link);
      },
      refused: () => {
        this.#tell({ kind: 'refused' });
        this.#listener.refused();
      },
    });
    this.#close = close;
    await Promise.race([aborted(this.#stopped.signal), aborted(taken)]);
    close();
    this.#close = undefined;
    this.#hello = undefined;
    this.#asked = undefined;
    // Whoever was robbed was asleep, and what it missed is unknown.
    this.#isNew = true;
    if (!this.#stopped.signal.aborted) this.#acquire(false);
  }

  #look(): void {
    if (this.#close !== undefined) return;
    const patience = this.#isNew ? NEW_SILENCE : SILENCE;
    if (this.#asked !== undefined && Date.now() - this.#asked >= patience) {
      this.#asked = undefined;
      this.#acquire(true);
    } else if (Date.now() - this.#heard >= ASK / 2) {
      this.#ask();
    }
  }

  #ask(): void {
    // A tab that nobody looks at may sleep itself, and has time.
    this.#asked = this.#tabs.isHidden() ? undefined : (this.#asked ?? Date.now());
    this.#tell({ kind: 'ask', isNew: this.#isNew });
  }

  #hear(message: Message): void {
    if (this.#close !== undefined) {
      if (message.kind === 'ask') {
        this.#tell({ kind: 'alive', link: this.#link, hello: message.isNew ? this.#hello : undefined });
      }
      return;
    }
    if (message.kind === 'ask') return;
    this.#heard = Date.now();
    this.#asked = undefined;
    switch (message.kind) {
      case 'event':
        if (message.event.event === 'resync') this.#isNew = false;
        return this.#listener.event(message.event);
      case 'link':
        return this.#listener.link(message.link);
      case 'refused':
        return this.#listener.refused();
      case 'alive':
        this.#listener.link(message.link);
        if (!this.#isNew || message.hello === undefined) return;
        this.#isNew = false;
        return this.#listener.event({ event: 'resync', data: message.hello });
    }
  }

  #tell(message: Message): void {
    if (!this.#stopped.signal.aborted) this.#channel.postMessage(message);
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}

/** Undefined where a browser has no locks; then each tab has a stream of its own. */
function ofBrowser(): Tabs | undefined {
  if (!('locks' in navigator) || !('BroadcastChannel' in globalThis)) return undefined;
  return {
    hold: (work, steal) => {
      const [waiting, taken] = [new AbortController(), new AbortController()];
      const how = steal ? { steal } : { signal: waiting.signal };
      // It is refused when we gave up waiting, and when another tab has stolen the lock.
      navigator.locks.request(NAME, how, () => work(taken.signal)).catch(() => taken.abort());
      return () => waiting.abort();
    },
    channel: () => new BroadcastChannel(NAME),
    isHidden: () => document.hidden,
    connect,
  };
}
