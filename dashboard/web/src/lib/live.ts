// The live stream: one EventSource with a backoff of our own, because a browser gives up for good after an answer that
// is no stream (the daemon restarts, the session ended), and never where the box falls silent (it was unplugged).

import type { Event as DaemonEvent, Hello, StreamEvent } from './types';

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
  'ping',
  'client.revoked',
  'edge.pending',
  'edge.changed',
  'edge.decided',
  'edge.expired',
  'edge.removed',
  'edge.wished',
  'edge.stats',
  'learning.progress',
  'principal.added',
  'principal.changed',
  'principal.removed',
  'alarm',
  'home',
  'status',
];

const FIRST_PAUSE = 1_000;
const LONGEST_PAUSE = 15_000;
/** The box says something at least every 15 seconds. */
export const SILENCE = 20_000;
const LOOK = 2_000;

/** What of EventSource is used; a test brings its own. */
export interface Source {
  addEventListener(name: string, handler: (event: MessageEvent<string>) => void): void;
  onerror: ((event: globalThis.Event) => void) | null;
  readonly readyState: number;
  close(): void;
}

const [OPEN, CLOSED] = [1, 2];

/** A place in the stream: the box numbers what it tells, anew with each epoch. */
interface Place {
  epoch: string;
  number: number;
}

function placeOf(id: string): Place | undefined {
  const [epoch, number] = id.split('-');
  return epoch === undefined || number === undefined ? undefined : { epoch, number: Number(number) };
}

/** Opens the stream and keeps it open until the returned function is called. */
export function connect(
  listener: Listener,
  open: (url: string) => Source = (url) => new EventSource(url),
): () => void {
  let source: Source | undefined;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let pause = FIRST_PAUSE;
  let lostAt: number | undefined;
  let heard = Date.now();
  // A source of ours begins without a place to go on from; one that the browser opened again has one.
  let isNew = true;
  let hello: Hello | undefined;
  let place: Place | undefined;

  /** Whether an event is one that was not told yet; where some are missing, everything is read again. */
  const isNext = (id: string) => {
    const next = placeOf(id);
    if (next === undefined) return true;
    const isSame = place?.epoch === next.epoch;
    if (isSame && place !== undefined && next.number <= place.number) return false;
    if ((!isSame || next.number !== (place?.number ?? 0) + 1) && hello !== undefined) {
      listener.event({ event: 'resync', data: hello });
    }
    place = next;
    return true;
  };

  const take = (event: LiveEvent, id: string) => {
    switch (event.event) {
      case 'hello':
        pause = FIRST_PAUSE;
        lostAt = undefined;
        listener.link({ state: 'live' });
        [hello, place] = [event.data, placeOf(id)];
        listener.event(isNew ? { event: 'resync', data: event.data } : event);
        isNew = false;
        break;
      case 'resync':
        [hello, place] = [event.data, placeOf(id)];
        listener.event(event);
        break;
      case 'ping':
      case 'client.revoked':
        listener.event(event);
        break;
      default:
        if (isNext(id)) listener.event(event);
    }
  };

  const lost = (since: number) => {
    lostAt ??= since;
    listener.link({ state: 'lost', since: lostAt });
  };

  const start = () => {
    source = open('/api/v1/events');
    isNew = true;
    heard = Date.now();
    for (const name of NAMES) {
      source.addEventListener(name, (message) => {
        heard = Date.now();
        // The server writes name and data from one enum, from which these types are made.
        take({ event: name, data: JSON.parse(message.data) } as LiveEvent, message.lastEventId);
      });
    }
    source.onerror = () => {
      lost(Date.now());
      // While it is not closed the browser connects again by itself and says where it was.
      if (source?.readyState !== CLOSED) return;
      source.close();
      listener.refused();
      timer = setTimeout(start, pause);
      pause = Math.min(pause * 2, LONGEST_PAUSE);
    };
  };

  const looking = setInterval(() => {
    if (source?.readyState !== OPEN || Date.now() - heard < SILENCE) return;
    lost(heard);
    source.close();
    start();
  }, LOOK);

  start();
  return () => {
    clearTimeout(timer);
    clearInterval(looking);
    source?.close();
  };
}
