// What the whole page shares: the site, the words, where one is and what is selected.

import { Haste } from './haste.svelte';
import { Site } from './site.svelte';
import { preferredLang, wordsFor, type Lang } from './words';

export type Route =
  | { view: 'decide' }
  | { view: 'map'; principal: number | undefined }
  | { view: 'devices'; principal: number | undefined }
  | { view: 'review'; principal: number | undefined }
  | { view: 'history'; principal: number | undefined }
  | { view: 'people' }
  | { view: 'pro' }
  | { view: 'trouble'; principal: number | undefined }
  | { view: 'pair' };

/** What the panes of a wide screen show together. */
export type Selection =
  | { kind: 'edge'; id: number }
  | { kind: 'pair'; from: number; to: number }
  /** Of several devices that are drawn as one. */
  | { kind: 'edges'; ids: readonly number[] }
  | { kind: 'principal'; id: number };

const LANG_KEY = 'edgeward.lang';
const KEYS_KEY = 'edgeward.keys';
/** From here on there is room for three panes. */
const WIDE = '(min-width: 1000px)';

export const site = new Site();
export const haste = new Haste();

class Ui {
  lang = $state<Lang>(preferredLang(stored(LANG_KEY), navigator.languages));
  keys = $state(stored(KEYS_KEY) !== 'off');
  wide = $state(matchMedia(WIDE).matches);
  route = $state.raw<Route>({ view: 'decide' });
  selection = $state.raw<Selection>();
  search = $state('');
  /** The code that came in the address; kept out of the address from then on. */
  pairingCode = $state('');
  /** What the fingerprint of the box begins with, if that came along. */
  fingerprint = $state('');

  readonly words = $derived(wordsFor(this.lang));

  constructor() {
    matchMedia(WIDE).addEventListener('change', (event) => (this.wide = event.matches));
    addEventListener('hashchange', () => this.#readHash());
    this.#readHash();
  }

  chooseLang(lang: Lang): void {
    this.lang = lang;
    store(LANG_KEY, lang);
  }

  useKeys(on: boolean): void {
    this.keys = on;
    store(KEYS_KEY, on ? 'on' : 'off');
  }

  go(route: Route): void {
    location.hash = hashOf(route);
  }

  select(selection: Selection | undefined): void {
    this.selection = selection;
  }

  #readHash(): void {
    const route = parseHash(location.hash);
    if (route.view === 'pair') {
      const query = new URLSearchParams(location.hash.split('?')[1] ?? '');
      this.pairingCode = query.get('k') ?? '';
      this.fingerprint = query.get('fp') ?? '';
      // Neither the history of the browser nor a screenshot shall show the code.
      history.replaceState(null, '', location.pathname);
    }
    this.route = route;
  }
}

export function parseHash(hash: string): Route {
  const [view, number] = hash.replace(/^#\/?/, '').split('?')[0]?.split('/') ?? [];
  const principal = number !== undefined && /^\d+$/.test(number) ? Number(number) : undefined;
  switch (view) {
    case 'map':
      return { view, principal };
    case 'devices':
      return { view, principal };
    case 'trouble':
      return { view, principal };
    case 'review':
      return { view, principal };
    case 'history':
      return { view, principal };
    case 'people':
    case 'pro':
    case 'pair':
      return { view };
    default:
      return { view: 'decide' };
  }
}

export function hashOf(route: Route): string {
  const principal = 'principal' in route && route.principal !== undefined ? `/${route.principal}` : '';
  return `#/${route.view}${principal}`;
}

function stored(key: string): string | null {
  try {
    return localStorage.getItem(key);
  } catch {
    return null;
  }
}

function store(key: string, value: string): void {
  try {
    localStorage.setItem(key, value);
  } catch {
    // A private window: then it holds until the page is closed.
  }
}

export const ui = new Ui();
