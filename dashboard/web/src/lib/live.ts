// The live stream: one EventSource with a backoff of our own, because a browser gives up for good after an answer that
// is no stream (the daemon restarts, the session ended).

import type { Event as DaemonEvent, StreamEvent } from './types';

export type LiveEvent = StreamEvent | DaemonEvent;

/** How the stream stands. `since` is when it was last alive, in milliseconds. */
export type Link = { state: 'live' } | { state: 'lost'; since: number };

export interface Listener {
  event(event: LiveEvent): void;
  link(link: Link): void;
  /** The stream could not be opened; find out whether this browser is still paired. */
  refused(): void;
}

const NAMES: readonly LiveEvent['event'][] = [
  'hello',
  'daemon',
  'resync',
  'client.revoked',
  'edge.pending',
  'edge.changed',
  'edge.decided',
  'edge.expired',
  'edge.removed',
  'edge.wished',
  'principal.added',
  'principal.changed',
  'principal.removed',
  'alarm',
  'status',
];

const FIRST_PAUSE = 1_000;
const LONGEST_PAUSE = 15_000;

/** What of EventSource is used; a test brings its own. */
export interface Source {
  addEventListener(name: string, handler: (event: MessageEvent<string>) => void): void;
  onerror: ((event: globalThis.Event) => void) | null;
  readonly readyState: number;
  close(): void;
}

const CLOSED = 2;

/** Opens the stream and keeps it open until the returned function is called. */
export function connect(
  listener: Listener,
  open: (url: string) => Source = (url) => new EventSource(url),
): () => void {
  let source: Source | undefined;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let pause = FIRST_PAUSE;
  let lostAt: number | undefined;
  // A source of ours begins without a place to go on from; one that the browser opened again has one.
  let isNew = true;

  const lost = () => {
    lostAt ??= Date.now();
    listener.link({ state: 'lost', since: lostAt });
  };

  const start = () => {
    source = open('/api/v1/events');
    isNew = true;
    for (const name of NAMES) {
      source.addEventListener(name, (message) => {
        // The server writes name and data from one enum, from which these types are made.
        const event = { event: name, data: JSON.parse(message.data) } as LiveEvent;
        if (event.event === 'hello') {
          pause = FIRST_PAUSE;
          lostAt = undefined;
          listener.link({ state: 'live' });
        }
        if (event.event === 'hello' && isNew) {
          isNew = false;
          listener.event({ event: 'resync', data: event.data });
        } else {
          listener.event(event);
        }
      });
    }
    source.onerror = () => {
      lost();
      // While it is not closed the browser connects again by itself and says where it was.
      if (source?.readyState !== CLOSED) return;
      source.close();
      listener.refused();
      timer = setTimeout(start, pause);
      pause = Math.min(pause * 2, LONGEST_PAUSE);
    };
  };

  start();
  return () => {
    clearTimeout(timer);
    source?.close();
  };
}
