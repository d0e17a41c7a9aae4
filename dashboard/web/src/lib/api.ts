// All requests to the server. Every answer is a value or a `Failure`; nothing here throws.

import type {
  Act,
  Alarm,
  AllApplied,
  Applied,
  Authority,
  Ban,
  Broker,
  Client,
  Decision,
  Edge,
  Explanation,
  HomeAssistant,
  Hour,
  Ledger,
  NewCode,
  NewDecision,
  NewDecisions,
  NewPassword,
  NewPin,
  NewSettings,
  NewToken,
  Ntfy,
  Principal,
  PrincipalMode,
  PrincipalPatch,
  Problem,
  ProblemCode,
  Review,
  Role,
  Settings,
  SiteMode,
  Status,
  TokenMade,
  Traffic,
  Trouble,
  Visitor,
  Wish,
} from './types';

/** Why a request did not do what it should. */
export type Failure =
  /** The server was not reached: away from home, no network, or the page's process is down. */
  | { kind: 'unreachable' }
  /** No answer in time: it may have been done or not. */
  | { kind: 'timeout' }
  | { kind: 'problem'; problem: Problem };

/** `next` is where a list that came in parts goes on. */
export type Result<T> = { ok: true; value: T; next?: string | undefined } | { ok: false; failure: Failure };

/** Longer than the server waits for the daemon. */
const TIMEOUT = 15_000;

/** @param key With the same key, a repeat is carried out once. */
async function request<T>(
  method: string,
  path: string,
  body?: unknown,
  key?: string,
  read = (response: Response): Promise<unknown> => response.json(),
): Promise<Result<T>> {
  let response: Response;
  try {
    response = await fetch(`/api/v1${path}`, {
      method,
      credentials: 'same-origin',
      signal: AbortSignal.timeout(TIMEOUT),
      ...(body === undefined
        ? {}
        : {
            headers: { 'content-type': 'application/json', ...(key === undefined ? {} : { 'idempotency-key': key }) },
            body: JSON.stringify(body),
          }),
    });
    if (response.status === 204) return { ok: true, value: undefined as T };
    const value: unknown = await (response.ok ? read(response) : response.json());
    if (response.ok) return { ok: true, value: value as T, next: nextOf(response.headers.get('link')) };
    return { ok: false, failure: { kind: 'problem', problem: asProblem(value, response.status) } };
  } catch (error) {
    const isLate = error instanceof DOMException && error.name === 'TimeoutError';
    return { ok: false, failure: { kind: isLate ? 'timeout' : 'unreachable' } };
  }
}

/** The path of the next part of a list (RFC 8288). */
const nextOf = (link: string | null): string | undefined => /^<\/api\/v1(\/[^>]+)>; rel="next"$/.exec(link ?? '')?.[1];

/** Something between us and the box may answer in its place; then there is only the status. */
function asProblem(value: unknown, status: number): Problem {
  if (typeof value === 'object' && value !== null && 'code' in value && typeof value.code === 'string') {
    return { type: '', title: '', status, params: {}, ...value, code: value.code as ProblemCode };
  }
  return { type: '', title: '', status, code: 'internal', params: {} };
}

const hasCode = (failure: Failure, ...codes: string[]): boolean =>
  failure.kind === 'problem' && codes.includes(failure.problem.code);

/** Whether it may have been done all the same. */
export const isUnsure = (failure: Failure): boolean =>
  failure.kind === 'timeout' ||
  (failure.kind === 'problem' && (failure.problem.code === 'timeout' || failure.problem.code === 'in_progress'));

/** Whether it was not refused, so that the same may succeed later. */
export const isLost = (failure: Failure): boolean =>
  failure.kind === 'unreachable' ||
  isUnsure(failure) ||
  (failure.kind === 'problem' && failure.problem.code === 'unavailable');

export const isLoggedOut = (failure: Failure): boolean => hasCode(failure, 'unauthenticated');
export const isConflict = (failure: Failure): boolean => hasCode(failure, 'conflict');
/** Whether the PIN of the household would help. */
export const asksPin = (failure: Failure): boolean => hasCode(failure, 'pin_needed', 'pin_wrong');
const withPin = (pin: string | undefined) => (pin === undefined ? {} : { pin });

/** What somebody has done before, where that is why. */
export const actOf = (failure: Failure): Act | undefined =>
  failure.kind === 'problem' ? (failure.problem.params.act ?? undefined) : undefined;

/** What the household sets up; what is left out stays as it is. */
export type SettingsChange = Partial<NewSettings>;

export const api = {
  pair: (code: string, name: string) => request<void>('POST', '/pair', { code, name }),
  signIn: (name: string, password: string) => request<void>('POST', '/session', { name, password }),
  logOut: () => request<void>('DELETE', '/session'),
  makeCode: (role: Role) => request<NewCode>('POST', '/pair/codes', { role }),
  clients: () => request<Client[]>('GET', '/clients'),
  endClient: (id: string) => request<void>('DELETE', `/clients/${id}`),
  makeToken: (token: NewToken) => request<TokenMade>('POST', '/tokens', token),
  setPassword: (password: NewPassword) => request<void>('PUT', '/password', password),
  setPin: (pin: NewPin) => request<void>('PUT', '/pin', pin),
  settings: () => request<Settings>('GET', '/settings'),
  setSettings: (change: SettingsChange) => request<Settings>('PUT', '/settings', change),
  ntfy: () => request<Ntfy | null>('GET', '/ntfy'),
  setNtfy: (server: string | null) => request<Ntfy | null>('PUT', '/ntfy', { server }),
  homeAssistant: () => request<HomeAssistant | null>('GET', '/home-assistant'),
  setHomeAssistant: (broker: Broker | null) => request<HomeAssistant | null>('PUT', '/home-assistant', { broker }),
  testHomeAssistant: () => request<void>('POST', '/home-assistant/test'),
  testNtfy: () => request<void>('POST', '/notify/test'),
  wish: (id: number) => request<void>('POST', `/edges/${id}/wish`),
  wishes: () => request<Wish[]>('GET', '/wishes'),
  me: () => request<Visitor>('GET', '/me'),
  status: () => request<Status>('GET', '/status'),
  setSiteMode: (mode: SiteMode, pin?: string) => request<Status>('POST', '/mode', { mode, ...withPin(pin) }),
  confirm: () => request<Status>('POST', '/confirm'),
  settle: (learn: boolean) => request<Status>('POST', '/moved', { learn }),
  pending: () => request<Edge[]>('GET', '/pending'),
  edges: () => request<Edge[]>('GET', '/edges'),
  evidence: (id: number) => request<Explanation>('GET', `/edges/${id}/evidence`),
  edge: (id: number) => request<Edge>('GET', `/edges/${id}`),
  decide: (id: number, decision: NewDecision, key: string) =>
    request<Applied>('POST', `/edges/${id}/decision`, decision, key),
  widen: (id: number, pin?: string) => request<Applied>('POST', `/edges/${id}/widen`, pin === undefined ? {} : { pin }),
  decideAll: (decisions: NewDecisions, key: string) =>
    request<AllApplied>('POST', '/edges/decisions', decisions, key),
  decisions: () => request<Decision[]>('GET', '/decisions'),
  /** A part of the record: of a filter, or the one behind another. */
  record: (path: string) => request<Decision[]>('GET', path),
  ledger: () => request<Ledger>('GET', '/ledger'),
  model: () => request<string>('GET', '/edges/export?format=toml', undefined, undefined, (response) => response.text()),
  undo: (id: number, pin?: string) =>
    request<Applied>('POST', `/decisions/${id}/undo`, pin === undefined ? undefined : { pin }),
  principals: () => request<Principal[]>('GET', '/principals'),
  setPrincipal: (id: number, patch: PrincipalPatch) =>
    request<Principal>('PATCH', `/principals/${id}`, patch),
  setMode: (id: number, mode: PrincipalMode, rev?: number) =>
    request<Principal>('POST', `/principals/${id}/mode`, { mode, ...(rev === undefined ? {} : { rev }) }),
  pause: (id: number, seconds: number) =>
    request<Principal>('POST', `/principals/${id}/pause`, { seconds }),
  quarantine: (id: number) => request<Principal>('POST', `/principals/${id}/quarantine`),
  learn: (id: number, seconds: number) =>
    request<Principal>('POST', `/principals/${id}/relearn`, { seconds }),
  wait: (id: number, seconds: number) => request<Principal>('POST', `/learning/${id}/wait`, { seconds }),
  release: (id: number) => request<Principal>('POST', `/principals/${id}/release`),
  learnAnew: (id: number) => request<Principal>('POST', `/principals/${id}/relearn`, { forget: true }),
  merge: (principal: number, into: number, pin?: string) =>
    request<Principal>('POST', '/principals/merge', { principal, into, ...withPin(pin) }),
  finishLearning: (id: number) => request<Principal>('POST', `/learning/${id}/finish`),
  alarms: () => request<Alarm[]>('GET', '/alarms'),
  bans: () => request<Ban[]>('GET', '/bans'),
  liftBan: (id: number) => request<Ban[]>('DELETE', `/bans/${id}`),
  review: (id: number) => request<Review>('GET', `/learning/${id}/review`),
  hours: () => request<Hour[]>('GET', '/traffic/hours'),
  traffic: (from: number, until: number) => request<Traffic>('GET', `/traffic?from=${from}&until=${until}`),
  trouble: (id: number, minutes: number) =>
    request<Trouble>('GET', `/trouble?principal=${id}&minutes=${minutes}`),
};

/** Who vouches for this box, where it is served with TLS; on loopback nobody has to. */
export async function ownAuthority(): Promise<Authority | undefined> {
  if (location.protocol !== 'https:') return undefined;
  const answer = await request<Authority>('GET', '/authority');
  return answer.ok ? answer.value : undefined;
}
