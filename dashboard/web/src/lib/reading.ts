// What an edge means to a person, in codes: who, does what, to whom. No text is made here and nothing is guessed: where
// the content cannot be seen, the action says so.

import { harmless } from './harmless';
import type { Edge, EdgeState, End, Principal } from './types';

/** One end, as far as it is known who that is. */
export type Who =
  | { is: 'box' }
  | { is: 'everyone' }
  | { is: 'server'; name: string | undefined }
  /** A person gave the name. */
  | { is: 'named'; name: string; kind: string }
  /** It calls itself so. */
  | { is: 'unnamed'; name: string; kind: string }
  /** Who made its network card and since when it is seen tell several of them apart. */
  | { is: 'unknown'; kind: string; maker?: string; since?: number };

export type Action =
  | 'control'
  | 'switch'
  | 'settings'
  | 'change'
  | 'watch'
  | 'read'
  | 'send'
  | 'message'
  | 'listen'
  | 'sign_in'
  | 'connect'
  | 'speak'
  | 'ask_for'
  | 'talk'
  | 'ping'
  | 'frames'
  | 'update'
  | 'scan'
  | 'resolve'
  | 'delete'
  | 'copy';

export interface Reading {
  source: Who;
  action: Action;
  target: Who;
  /** The broker that a message goes through, if the target is who receives it. */
  via: Who | undefined;
}

/** Longer names are cut. */
export const LONGEST_NAME = 40;

const UNNAMED_SERVER = 0;
const BOX = 1;
const EVERYONE = 2;

/** A MAC or IP address says nothing to a person and is never a title. */
const ADDRESS = /^(?:[0-9a-f]{2}(?::[0-9a-f]{2}){5}|\d{1,3}(?:\.\d{1,3}){3}|[0-9a-f:]*:[0-9a-f:.]+)$/i;
const NUMBER_ONLY = /^principal \d+$/;

export const isAddress = (name: string): boolean => ADDRESS.test(name);

export type Principals = ReadonlyMap<number, Principal>;

export function whoIs(end: Pick<End, 'id' | 'name' | 'confirmed' | 'kind'>, principals: Principals): Who {
  if (end.id === BOX) return { is: 'box' };
  if (end.id === EVERYONE) return { is: 'everyone' };
  if (end.id === UNNAMED_SERVER) return { is: 'server', name: undefined };
  const name = harmless(end.name, LONGEST_NAME);
  if (principals.get(end.id)?.mode === 'outside') return { is: 'server', name };
  if (end.confirmed) return { is: 'named', name, kind: end.kind };
  if (name === '' || isAddress(name) || NUMBER_ONLY.test(name)) return unknown(end, principals.get(end.id));
  return { is: 'unnamed', name, kind: end.kind };
}

function unknown({ kind }: Pick<End, 'kind'>, principal: Principal | undefined): Who {
  const maker = harmless(principal?.maker ?? '', LONGEST_NAME);
  const since = principal?.first_seen;
  return { is: 'unknown', kind, ...(maker === '' ? {} : { maker }), ...(since ? { since } : {}) };
}

/** The state that an edge is shown in: what is asked about waits, also where it passes. Nothing for what has lapsed. */
export function shownState({ id, state }: Pick<Edge, 'id' | 'state'>, waiting: ReadonlySet<number>): EdgeState | undefined {
  if (waiting.has(id)) return 'pending';
  return state === 'pending' ? undefined : state;
}

export const kindOf = (who: Who): string => ('kind' in who ? who.kind : who.is);

const GUARDED: ReadonlySet<string> = new Set(['lock', 'alarm', 'gas', 'medical']);
const WATCHED: ReadonlySet<string> = new Set(['camera', 'speaker']);
const SWITCHED: ReadonlySet<string> = new Set([
  'heating',
  'light',
  'plug',
  'blind',
  'fan',
  'charger',
  'washing_machine',
  'coffee_machine',
  'vacuum',
  'watering',
  'media',
  'controller',
  'machine',
]);
/** Kinds whose messages are known to change how they work, but not what they do to the home. */
const SET_UP: ReadonlySet<string> = new Set(['camera', 'speaker', 'sensor', 'meter', 'battery', 'inverter', 'fridge']);

/** Who would receive a message and matters most. */
function receiver(edge: Readable): End | undefined {
  const rank = (end: End) => (GUARDED.has(end.kind) ? 0 : WATCHED.has(end.kind) ? 1 : SWITCHED.has(end.kind) ? 2 : 3);
  return [...edge.beneficiaries].sort((a, b) => rank(a) - rank(b) || a.id - b.id)[0];
}

/** What is needed to read an edge; something that was blocked has no more. */
export type Readable = Pick<Edge, 'from' | 'to' | 'verb' | 'object' | 'beneficiaries'> & { meaning?: string | null };

export function read(edge: Readable, principals: Principals): Reading {
  const source = whoIs(edge.from, principals);
  const to = whoIs(edge.to, principals);
  const reading = (action: Action, target: Who = to, via?: Who): Reading => ({ source, action, target, via });
  if (edge.meaning === 'firmware') return reading('update');
  switch (edge.verb) {
    case 'publish': {
      const end = receiver(edge);
      if (end === undefined) return reading('message');
      const target = whoIs(end, principals);
      return reading(setting(target), target, to);
    }
    case 'set':
    case 'write': {
      const action = setting(to);
      return reading(action === 'message' ? 'change' : action);
    }
    case 'push':
      return reading('send');
    case 'get':
    case 'read':
      return reading(WATCHED.has(kindOf(to)) ? 'watch' : 'read');
    case 'subscribe':
      return reading('listen');
    case 'discover':
      return reading('scan');
    case 'resolve':
      return reading('resolve');
    case 'delete':
      return reading('delete');
    case 'replicate':
      return reading('copy');
    case 'connect':
      return reading(connecting(edge.object, to));
    default:
      return reading('talk');
  }
}

/** What a message that changes something does to such a target. */
function setting(target: Who): Action {
  const kind = kindOf(target);
  if (GUARDED.has(kind)) return 'control';
  if (SWITCHED.has(kind)) return 'switch';
  if (target.is === 'server') return 'send';
  return SET_UP.has(kind) ? 'settings' : 'message';
}

/** A client id or user name, at any port. */
export const SIGN_IN = /^(?:mqtt:\d+:)?(?:client|user):/;
/** What a connection speaks: `tcp/8080 http`. */
export const SPEAKS = /^(?:tcp|udp)\/\d+ (\w+)$/;

function connecting(object: string, to: Who): Action {
  if (SIGN_IN.test(object)) return 'sign_in';
  if (object.startsWith('tls:')) return 'ask_for';
  if (SPEAKS.test(object)) return 'speak';
  if (object.startsWith('ether/')) return 'frames';
  if (to.is === 'everyone') return 'scan';
  if (object.startsWith('icmp')) return 'ping';
  return to.is === 'server' ? 'talk' : 'connect';
}

/** What would become possible; worded only for high risk. */
export type Consequence = 'unlock' | 'alarm' | 'gas' | 'watch' | 'software' | 'leaves_home' | 'important' | 'new_path' | 'small';

export function consequence(edge: Edge, { action, target }: Reading): Consequence {
  if (action === 'update') return 'software';
  if (edge.risk === 'low') return 'small';
  if (edge.risk === 'high') {
    const kind = kindOf(target);
    if (kind === 'lock') return 'unlock';
    if (kind === 'alarm') return 'alarm';
    if (kind === 'gas') return 'gas';
    if (kind === 'camera') return 'watch';
    return 'important';
  }
  return target.is === 'server' ? 'leaves_home' : 'new_path';
}
