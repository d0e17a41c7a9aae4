// Made from the Rust view models by `cargo xtask types`; do not edit.
/** Who has done something, and when. */
export interface Act {
  at: UnixSeconds;
  by?: string | null;
}

/** Something that a person should look at. */
export interface Alarm {
  /** `scan`, `bruteforce`, `slowite`, `flood`, `malformed`, `spoof.mac`, `name.alike`, `client.taken`, `site.moved`, `overflow` or `rules.too_complex`. */
  code: string;
  last: UnixSeconds;
  principal?: null | End;
  since: UnixSeconds;
  /** How often, since the daemon was started. */
  times: number;
}

/** What became of each. */
export interface AllApplied {
  applied: Applied[];
  /** What was put off, or handed to the owners. */
  noted?: Noted[];
  refused: NotApplied[];
}

/** Allow or deny. */
export type Answer = "allow" | "deny";

/** A decision that is in force. */
export interface Applied {
  decision_id: number;
  edge?: null | Edge;
  scope?: null | Scope;
  state: DecisionState;
}

/** What a browser can compare to know that it talks to this box. */
export interface Authority {
  expires_at?: null | UnixSeconds;
  /** SHA-256 of the issuer's certificate, hexadecimal. */
  fingerprint: string;
  /** Common name of the issuer of the box's certificates. */
  name: string;
  /** Four words, made of the issuer's public key. */
  words: string[];
}

/** Something that does not pass until a stated time (`edgeward bans list --json`). */
export interface Ban {
  by: string;
  /** Only MQTT connections with this client id; `null`: everything. */
  client?: string | null;
  id: number;
  principal: End;
  until: UnixSeconds;
  /** An alarm, or what a person said. */
  why: string;
}

/** A broker and how to sign in there. */
export interface Broker {
  /** Address or name. */
  host: string;
  /** Never shown again. */
  password?: string | null;
  port: number;
  user?: string | null;
}

/** How the connection to Home Assistant's broker stands. */
export type BrokerState = "connecting" | "connected" | "unreachable" | "refused";

/** How much an edge has carried, both ways. */
export interface Carried {
  edge: number;
  /** 0: less than one. */
  kilobytes: number;
}

/** Why an edge has its state. */
export type Cause = {
  code: "source_quarantined";
} | {
  code: "destination_quarantined";
} | {
  code: "banned";
} | {
  code: "denied";
} | {
  code: "allowed";
} | {
  code: "source_new";
} | {
  code: "guest_outside";
} | {
  code: "guest_inside";
} | {
  code: "learned";
} | {
  code: "learns";
} | {
  code: "box_learns";
} | {
  code: "not_in_model";
} | {
  code: "guarded";
} | {
  code: "other_edge";
  edge: number;
} | {
  code: "no_connection";
  port: string;
} | {
  code: "may_not_speak";
  port: string;
  protocol: string;
} | {
  code: "neutralised";
} | {
  code: "not_retained";
} | {
  code: "qos_at_most";
  qos: number;
} | {
  code: "monitor";
};

/** A phone, browser or program that was let in (`edgeward phones list --json`). */
export interface Client {
  /** Whether it signed in with a password. */
  by_password?: boolean;
  id: string;
  /** To the day. */
  last_seen: UnixSeconds;
  name: string;
  role: Role;
  since: UnixSeconds;
  /** Whether it is a program with a token. */
  token: boolean;
  until?: null | UnixSeconds;
}

/** A clue to what a device is, which it has written itself or anybody may have seen. */
export interface Clue {
  /** `offers`, `announces`, `vendor_class`, `name`, `mud_url`, `maker`, `parameters` or `serves`. */
  code: string;
  /** What the code is about; empty where it says all. */
  value: string;
}

/** Whether the daemon answers. */
export interface DaemonState {
  running: boolean;
  /** Since when, as far as this process knows. */
  since: UnixSeconds;
}

/** A decision or mode change (`edgeward decisions list --json`). Append-only. */
export interface Decision {
  at: UnixSeconds;
  by: string;
  /** Which phone or program that was, as in the list of those who are let in. */
  client?: string | null;
  /** In words: the lifetime of a decision, the mode chosen. */
  detail: string;
  edge?: null | Edge;
  /** Hash of this ledger entry, hexadecimal. */
  hash: string;
  id: number;
  principal?: null | End;
  role?: null | Role;
  undone: boolean;
  /** `allow`, `deny`, `undo`, `mode`, `pause`, `learn`, `principal`, `remove`, `import`, `ban` or `lift`. */
  what: string;
}

/** What someone says to a question. */
export type DecisionAnswer = "allow" | "deny" | "later" | "escalate";

/** How far a decision is. */
export type DecisionState = "applied";

/** An edge of the graph. A request is a pending edge and has its id. */
export interface Edge {
  /** `neutralise`, where a denied publish goes on as something harmless; otherwise its connection is reset. */
  action?: string | null;
  /** Who would receive what is published. */
  beneficiaries: End[];
  /** Who decided. */
  by?: string | null;
  first_seen?: null | UnixSeconds;
  flag?: null | Flag;
  from: End;
  id: number;
  last_seen?: null | UnixSeconds;
  /** `always`, `once`, `uses`, `for`, `until` or `until_restart`, where someone decided. */
  lifetime?: string | null;
  /** Bytes a second that it may carry; `null`: as much as comes. */
  limit?: number | null;
  /** Highest quality of service of an allowed publish: 0, 1 or 2. */
  max_qos?: number | null;
  /** `lock_state`, `firmware`, `opaque`, …; only for words and risk. */
  meaning?: string | null;
  /** Whether an allowed publish must not be retained. */
  no_retain?: boolean;
  /** In the protocol's own text: `tcp/1883`, `tcp/8080 http`, `lock/front/set`, `http://hub.local/api/+`, `modbus:1/holding/100-109`, `tls:cloud.example`, …. */
  object: string;
  /** `packet`; later `relay`, `store`, `sync`, `admin`. */
  plane: string;
  /** Reason code of the last verdict. */
  reason?: string | null;
  /** Grows with every change of this edge; send it back with a decision. */
  rev: number;
  /** `high`, `medium` or `low`. */
  risk: Risk;
  since: UnixSeconds;
  /** `learned`, `allowed`, `denied` or `pending`. */
  state: EdgeState;
  to: End;
  tries: number;
  until?: null | UnixSeconds;
  /** What is done about something unusual: `ask` or `block`. */
  unusual?: string;
  /** Uses left. */
  uses?: number | null;
  /** `connect`, `publish`, `subscribe`, …. */
  verb: string;
  /** Property that the edge violates: `op.not_in_model`, `edge.not_in_model`, `class.forbidden`, `dest.new`, `principal.new`, `protocol`, `enc.missing`, ….; of one that is flagged `rate.exceeded`, …. */
  violated?: string | null;
}

/** An edge as it was shown. */
export interface EdgeAt {
  id: number;
  /** If it has changed since, nothing is decided about it. */
  rev?: number | null;
}

/** Edges by state. */
export interface EdgeCounts {
  allowed: number;
  denied: number;
  /** Of those that pass: on which something is unusual that nobody has answered. */
  flagged?: number;
  learned: number;
  pending: number;
}

/** What holds for an edge. */
export type EdgeState = "learned" | "allowed" | "denied" | "pending";

/** What an edge has counted. */
export interface EdgeStats {
  id: number;
  last_seen?: null | UnixSeconds;
  tries: number;
}

/** One end of an edge. */
export interface End {
  /** Whether a person gave the name; otherwise it is shown in quotes. */
  confirmed: boolean;
  id: number;
  /** Kind of device, or `unknown`. */
  kind: string;
  name: string;
}

/** A live change, as the page gets it. */
export type Event = {
  data: Edge;
  event: "edge.pending";
} | {
  data: Edge;
  event: "edge.changed";
} | {
  data: Edge;
  event: "edge.decided";
} | {
  data: Edge;
  event: "edge.expired";
} | {
  data: {
    id: number;
  };
  event: "edge.removed";
} | {
  /** Of edges that were used and are as they were; at most one a second. */
  data: EdgeStats[];
  event: "edge.stats";
} | {
  /** Of devices that have come further; at most one in ten seconds. */
  data: Progress[];
  event: "learning.progress";
} | {
  data: Principal;
  event: "principal.added";
} | {
  data: Principal;
  event: "principal.changed";
} | {
  data: {
    id: number;
  };
  event: "principal.removed";
} | {
  data: Observation;
  event: "observation";
} | {
  data: Wish;
  event: "edge.wished";
} | {
  /** Only those who are meant are told. */
  data: Revoked;
  event: "client.revoked";
} | {
  data: Alarm;
  event: "alarm";
} | {
  data: Status;
  event: "status";
};

/** The balance of the ring buffer: produced = delivered + suppressed + lost. */
export interface Events {
  delivered: number;
  lost: number;
  produced: number;
  suppressed: number;
}

/** What the model of a device rests on. */
export interface Evidence {
  /** `low`, `medium` or `high`. */
  confidence: string;
  /** Whole days that were covered. */
  days: number;
  /** The same as codes: `day`, `weekend`, `working_day`, `week`. */
  gaps?: string[];
  /** What devices do now and then, and there was no time for yet. */
  not_covered: string[];
  /** What devices of its kind do now and then, and this one was not seen to do: `software`, `print`, `watch`, `set`, `play`. */
  not_seen?: string[];
  /** Seconds since something new was learned. */
  quiet: number;
}

/** Why an edge has its state (`edgeward explain ID --json`). */
export interface Explanation {
  /** What decides, in plain English: the row of the precedence table, and what comes with it. */
  because: string;
  /** The same as codes. */
  causes?: Cause[];
  edge: Edge;
  /** Facts seen on the wire, in plain English. */
  evidence: string[];
  /** The same as codes. */
  facts?: Fact[];
  /** What the source normally does, in plain English, most frequent first. */
  habits: string[];
  /** The same as parts of a sentence. */
  usually?: Habit[];
}

/** A fact that was seen on the wire. */
export type Fact = {
  code: "rate";
  dropped: number;
  seen: number;
  usual: number;
} | {
  code: "size";
  seen: number;
  usual: number;
} | {
  code: "hour";
  seen: number;
  usual: number[];
} | {
  code: "period";
  seconds: number;
} | {
  code: "tries";
  count: number;
} | {
  at: UnixSeconds[];
  code: "times";
} | {
  code: "encrypted";
  yes: boolean;
} | {
  at: UnixSeconds;
  code: "held_since";
} | {
  at: UnixSeconds;
  code: "meanwhile";
  target: End;
  who: End;
} | {
  code: "verdict";
  reason: string;
  verdict: string;
} | {
  addresses: string[];
  code: "whereabouts";
  mac?: string | null;
  port?: string | null;
  side: string;
} | {
  code: "client_taken";
} | {
  code: "subscribed";
  who: End;
};

/** Something that is wrong with the firewall itself. */
export type Fault = Wrong & {
  since: UnixSeconds;
};

/** The first run, step by step; what was skipped is over as well. */
export type FirstRun = "name" | "trust" | "others" | "devices" | "learning" | "pin" | "tell" | "done";

/** Something unusual on an edge that passes. */
export interface Flag {
  last: UnixSeconds;
  measured?: null | Fact;
  /** `rate.exceeded`, `size.exceeded` or `time.unusual`. */
  property: string;
  since: UnixSeconds;
  /** How often: frames that were dropped, or times that it was measured. */
  times: number;
}

/** What proves who forgets a device. */
export interface Forget {
  /** Of the household, where the device is dangerous. */
  pin?: string | null;
}

/** A principal in the picture. */
export interface GraphNode {
  /** Whether a person gave the name; otherwise it is shown in quotes. */
  confirmed: boolean;
  id: number;
  /** Kind of device, or `unknown`. */
  kind: string;
  mode?: null | PrincipalMode;
  name: string;
  room?: string | null;
}

/** What is drawn of the graph. */
export interface GraphPart {
  edges: Edge[];
  hidden: Hidden;
  nodes: GraphNode[];
  /** Revision of the graph; what is here is at least as new. */
  rev: number;
}

/** Who talks to whom, at one moment. */
export interface GraphView {
  edges: Edge[];
  /** The ends of the edges, in the order of their numbers. */
  nodes: End[];
}

/** What a device does with one other, or with hosts of one domain. */
export interface Group {
  habits: Edge[];
  newest: UnixSeconds;
  with: string;
}

/** One answer to a group. */
export interface GroupDecision {
  answer: DecisionAnswer;
  /** Questions that are left as they are. */
  except?: number[];
  lifetime?: null | Lifetime;
  pin?: string | null;
  /** The `rev` of the group that was shown; what has come or changed since is refused. */
  rev?: number | null;
}

/** What a device may be. */
export interface Guess {
  /** The clues that speak for it. */
  clues?: Clue[];
  /** `low`, `medium` or `high`. */
  confidence: string;
  /** The same in words. */
  evidence: string[];
  kind: string;
}

/** Something that the source of an edge does, and may. */
export interface Habit {
  edge: number;
  object: string;
  to: End;
  verb: string;
}

/** Whether the data path does its work. */
export type Health = "ok" | "paused" | "fault";

/** First event of a stream. */
export interface Hello {
  daemon: DaemonState;
  /** Revision of the graph. */
  rev: number;
  /** Names the page that is served now; if it is not the one that reads this, a reload brings a newer one. */
  ui_build: string;
}

/** How much was left out for want of room. */
export interface Hidden {
  edges: number;
  nodes: number;
}

/** The broker at which Home Assistant finds this box. */
export interface HomeAssistant {
  /** Address or name of the broker. */
  host: string;
  port: number;
  /** Known to the page's process only. */
  state?: BrokerState;
  user?: string | null;
}

/** How Home Assistant's broker is reached. */
export interface HomeState {
  state: BrokerState;
}

/** An hour in which something was carried. */
export interface Hour {
  /** How many edges have carried something. */
  edges: number;
  /** Its beginning. */
  from: UnixSeconds;
  kilobytes: number;
}

/** A protected interface or the uplink. */
export interface Interface {
  /** `tc`, `xdp+tc` or `xdp-generic+tc`. */
  attach: string;
  name: string;
  /** `lan` or `uplink`. */
  role: string;
  since: UnixSeconds;
}

/** A principal that learns, or has learned and will enforce soon. */
export interface Learner {
  /** `low`, `medium` or `high`. */
  confidence: string;
  /** Whole days that were covered, and how many there will be at least. */
  days: number;
  learning: Learning;
  min_days: number;
  /** What there was no time for yet: `day`, `weekend`, `working_day`, `week`; and what its kind does and it did not: `software`, `print`, `watch`, `set`, `play`. */
  missing: string[];
  mode: PrincipalMode;
  principal: End;
}

/** How far the learning of a principal has come. */
export interface Learning {
  /** Earliest end, in seconds from now. */
  at_least_seconds: number;
  /** Whether a cap stopped it (`scan` alarm). */
  capped: boolean;
  enforces_at?: null | UnixSeconds;
  /** Edges learned. */
  habits: number;
  last_new_at?: null | UnixSeconds;
  /** 0 to 100, by the slower of the two conditions (time, quiet). */
  percent: number;
  since: UnixSeconds;
}

/** How long devices learn, in seconds. */
export interface LearningTimes {
  at_least: number;
  at_most: number;
  /** Between the end of learning and protection. */
  notice: number;
  /** So long nothing new was seen. */
  quiet: number;
}

/** Whether the record of all that was decided is whole. */
export interface Ledger {
  entries?: number | null;
  /** Of the newest entry, hexadecimal. */
  hash?: string | null;
  /** Whether every entry follows from the one before it. */
  unbroken: boolean;
}

/** How long a decision holds. */
export type Lifetime = "once" | {
  /** So many uses. */
  uses: number;
} | {
  /** So many seconds, 60 to 43,200. */
  for: number;
} | {
  /** Until a date, seconds since 1970. */
  until: number;
} | "until_restart" | "always";

/** How full a kernel map is. */
export interface MapUse {
  bytes: number;
  capacity: number;
  entries: number;
  name: string;
}

/** Two principals that are the same thing. */
export interface Merge {
  into: number;
  /** Of the household, where one of the two is dangerous, or does what is of high risk. */
  pin?: string | null;
  /** Becomes part of the other, with its addresses and edges. */
  principal: number;
}

/** What a new router or network means. */
export interface Moved {
  /** Whether all devices learn again; no model is forgotten. */
  learn: boolean;
}

/** A one-use code for another phone. */
export interface NewCode {
  expires_at: UnixSeconds;
  /** Where it can be typed instead, and what. */
  page: string;
  /** The same as a picture. */
  qr: Qr;
  /** The same as a file. */
  qr_svg: string;
  role: Role;
  typed: string;
  /** What the other phone opens. */
  url: string;
}

/** An answer to a request, or a change of an earlier one. */
export interface NewDecision {
  answer: DecisionAnswer;
  lifetime?: null | Lifetime;
  /** Of the household, where what is of high risk is allowed for long. */
  pin?: string | null;
  /** The `rev` of the edge that was shown; if the edge has changed since, nothing is decided. */
  rev?: number | null;
}

/** One answer to several requests. */
export interface NewDecisions {
  answer: DecisionAnswer;
  edges: EdgeAt[];
  lifetime?: null | Lifetime;
  pin?: string | null;
}

/** Where Home Assistant shall find this box. */
export interface NewHomeAssistant {
  broker?: null | Broker;
}

/** How a principal learns again. */
export interface NewLearning {
  /** Whether it forgets its habits first; what people decided stays. */
  forget?: boolean;
  /** For so long, as for an update that is wanted; otherwise until there is evidence enough. */
  seconds?: number | null;
}

/** The mode that a principal shall have. */
export interface NewMode {
  mode: PrincipalMode;
  /** The `rev` of the principal that was shown; if its mode has changed since, nothing is done. */
  rev?: number | null;
}

/** Where questions shall be told. */
export interface NewNtfy {
  /** `https://ntfy.sh`, or one of one's own; `null` tells nobody any more. */
  server?: string | null;
}

/** The password of a professional. */
export interface NewPassword {
  /** The one until now, if there is one. */
  old?: string | null;
  /** None removes it. */
  password?: string | null;
}

/** How long a principal is only watched. */
export interface NewPause {
  seconds: number;
}

/** What another phone shall be. */
export interface NewPhone {
  role: Role;
  /** Seconds for which the code is valid: 60 to 600, which is also what is meant where none are given. */
  ttl?: number | null;
}

/** The PIN of the household. */
export interface NewPin {
  /** The one until now, if there is one. */
  old?: string | null;
  /** None removes it. */
  pin?: string | null;
}

/** What the household sets up; what is left out stays as it is. */
export interface NewSettings {
  first_run?: null | FirstRun;
  /** What the site shall be called. Empty removes it. */
  name?: string | null;
}

/** The mode that the site shall have. */
export interface NewSiteMode {
  mode: SiteMode;
  /** Of the household, where nothing would be stopped any more. */
  pin?: string | null;
}

/** A program that shall be let in. */
export interface NewToken {
  name: string;
  role: Role;
  /** Seconds after which it is logged out, 3600 to 63072000; a `pro` after 7 days at most. */
  ttl?: number | null;
}

/** What proves who takes a decision back. */
export interface NewUndo {
  /** Of the household, where something of high risk would pass for long again. */
  pin?: string | null;
}

/** By how many seconds protection is put off. */
export interface NewWait {
  seconds: number;
}

/** An edge about which nothing was decided. */
export interface NotApplied {
  id: number;
  problem: Problem;
}

/** What came of an answer that decides nothing. */
export interface Noted {
  edge: Edge;
  state: NotedState;
}

export type NotedState = "later" | "escalated";

/** Where questions are told: a topic of an ntfy server, to which phones subscribe. */
export interface Ntfy {
  /** Address of the page, opened by a tap. */
  page?: string | null;
  /** `https://ntfy.sh`, or one of one's own. */
  server: string;
  /** Who knows it can read along; it was drawn at random. */
  topic: string;
}

/** Something that was seen (`edgeward observe`). */
export interface Observation {
  at: UnixSeconds;
  count: number;
  edge?: number | null;
  from: End;
  object: string;
  reason: string;
  to: End;
  verb: string;
  verdict: string;
}

/** What came of an answer. */
export type Outcome = Applied | Noted;

/** The balance of a hook: seen = passed + neutralised + reset + the sum of dropped. */
export interface Packets {
  /** Passed although the model says no; part of `passed`. */
  audit: number;
  /** By reason. */
  dropped: Record<string, number>;
  neutralised: number;
  passed: number;
  reset: number;
  /** By reason; the sum is `reset`. */
  resets: Record<string, number>;
  seen: number;
}

/** The code from the box and how this phone is to be called. */
export interface Pairing {
  code: string;
  name: string;
}

/** Facts that belong to a problem. */
export interface Params {
  act?: null | Act;
  edge?: null | Edge;
  /** With `too_many`: seconds to wait. */
  retry_after?: number | null;
}

/** What `/pending` answers. */
export type Pending = Edge[] | QuestionGroup[];

/** A vertex of the graph. */
export interface Principal {
  addresses: string[];
  /** What it calls itself, cut at 40 characters, without control and bidi characters. */
  calls_itself?: string | null;
  confirmed: boolean;
  description?: string | null;
  /** Of an outside host that has a name: all names of the domain that its owner registered, as `*.example.com`. */
  domain?: string | null;
  edges: EdgeCounts;
  first_seen: UnixSeconds;
  guess?: null | Guess;
  id: number;
  kind: string;
  /** `owner`, `guess` or `none`. */
  kind_source: string;
  last_seen: UnixSeconds;
  learning?: null | Learning;
  mac?: string | null;
  /** Who made its network card, by the list of IEEE. */
  maker?: string | null;
  /** `new`, `learning`, `ready`, `enforcing`, `guest`, `quarantine`, `outside` or `system`. */
  mode: PrincipalMode;
  name: string;
  paused_until?: null | UnixSeconds;
  port?: string | null;
  /** Whether it has made its MAC up, so that there is no maker. */
  private_mac?: boolean;
  rev: number;
  room?: string | null;
  since: UnixSeconds;
  vlan?: number | null;
}

/** How a principal is treated. */
export type PrincipalMode = "new" | "learning" | "ready" | "enforcing" | "guest" | "quarantine" | "outside" | "system";

/** Fields of a principal that a person sets; `None` leaves one as it is, an empty string removes it. */
export interface PrincipalPatch {
  description?: string | null;
  kind?: string | null;
  name?: string | null;
  /** Of the household, where a dangerous kind becomes another one; refused as [`Request::Decide`] is. */
  pin?: string | null;
  room?: string | null;
}

/** What went wrong. The page makes its text from `code` and `params`; `title` is for people without the page. */
export interface Problem {
  code: ProblemCode;
  params: Params;
  status: number;
  title: string;
  /** `urn:edgeward:problem:` and the code. */
  type: string;
}

/** Every code that a problem can have; the page has words for each. */
export type ProblemCode = "not_found" | "conflict" | "invalid" | "forbidden" | "ask_owner" | "pin_needed" | "pin_wrong" | "pin_format" | "password_wrong" | "password_format" | "name_missing" | "name_taken" | "name_reserved" | "server_format" | "broker_format" | "broker_unreachable" | "broker_refused" | "kind_unknown" | "mode_unknown" | "lifetime_missing" | "duration_range" | "date_passed" | "gone" | "too_many" | "unauthenticated" | "unavailable" | "host" | "origin" | "timeout" | "undelivered" | "in_progress" | "internal";

/** How far a device has come. */
export interface Progress {
  learning: Learning;
  principal: number;
}

/** A QR code as a picture. */
export interface Qr {
  /** The dark modules, as the `d` of an SVG path with one unit per module. */
  path: string;
  /** Modules on each side; a margin of four belongs around them. */
  size: number;
}

/** Questions of one device about targets of one kind, with the same verb and risk, that came within a day. What is of high risk stands alone. */
export interface QuestionGroup {
  edges: Edge[];
  from: End;
  /** Of its first question. */
  id: number;
  /** Kind of all targets. */
  kind: string;
  /** The newest revision in it; send it back with a decision. */
  rev: number;
  risk: string;
  verb: string;
}

/** The habits of a device in groups (`edgeward learn review`). */
export interface Review {
  device: End;
  evidence?: null | Evidence;
  /** The largest first. */
  groups: Group[];
  habits: number;
  update?: null | Update;
}

/** Phones or programs that were logged out. */
export interface Revoked {
  act?: null | Act;
  /** Their ids. */
  clients: string[];
}

/** How much a wrong answer about an edge could cost. */
export type Risk = "high" | "medium" | "low";

/** What someone with a paired phone may do. */
export type Role = "owner" | "member" | "viewer" | "pro";

/** How far a decision reaches; the page makes its sentence of it. */
export interface Scope {
  from: End;
  /** As in the view of an edge. */
  lifetime?: string | null;
  object: string;
  plane: string;
  to: End;
  until?: null | UnixSeconds;
  uses?: number | null;
  verb: string;
}

/** Devices behind one port and in one VLAN. */
export interface Segment {
  devices: End[];
  port: string;
  /** 0 is untagged. */
  vlan: number;
}

/** What the household has set up. */
export interface Settings {
  /** The step of the first run that comes next. */
  first_run?: FirstRun;
  /** How long devices learn; set in the configuration. */
  learning?: LearningTimes;
  /** What the site is called. */
  name?: string | null;
  /** Whether questions are told to phones that do not have the page open. */
  notified: boolean;
}

/** The name of a professional and the password that they have set. */
export interface SignIn {
  /** May be called `user` as well. */
  name: string;
  password: string;
}

/** Whether the model is enforced at the site. */
export type SiteMode = "monitor" | "enforce";

/** The state of the daemon (`edgeward status --json`). */
export interface Status {
  clock_synchronised: boolean;
  confirm_until?: null | UnixSeconds;
  /** What is not seen by the firewall, in sentences. */
  coverage: string[];
  edges: EdgeCounts;
  events: Events;
  /** What is wrong, the longest first. */
  faults: Fault[];
  /** `ok`, `paused` or `fault`. */
  health: Health;
  interfaces: Interface[];
  maps: MapUse[];
  /** `monitor` or `enforce`. */
  mode: SiteMode;
  moved_since?: null | UnixSeconds;
  /** By hook: `lan_ingress`, `lan_egress`, `uplink`, `xdp`. */
  packets: Record<string, Packets>;
  paused_until?: null | UnixSeconds;
  /** By mode. */
  principals: Record<string, number>;
  /** Revision of the graph; grows with every change. */
  rev: number;
  /** Between which devices nothing need pass the firewall. */
  uncovered?: Uncovered;
  version: string;
}

/** What a stream carries besides the [`Event`]s of the daemon. */
export type StreamEvent = {
  data: Hello;
  event: "hello";
} | {
  data: DaemonState;
  event: "daemon";
} | {
  /** How the connection to Home Assistant's broker stands now. */
  data: HomeState;
  event: "home";
} | {
  /** Something was missed: read everything again. */
  data: Hello;
  event: "resync";
} | {
  /** A sign of life. */
  data: Record<string, never>;
  event: "ping";
};

/** The secret of a program; it is shown only now. */
export interface TokenMade {
  name: string;
  role: Role;
  token: string;
}

/** What edges have carried within a time. A message is part of what the connection carried that it went through. */
export interface Traffic {
  /** Whether these are all; a source may have so many edges that not all are kept. */
  complete: boolean;
  /** The busiest first. One that is in no list any more has been removed since. */
  edges: Carried[];
  /** Whole hours of UTC. */
  from: UnixSeconds;
  until: UnixSeconds;
}

/** What was blocked for a principal lately (`edgeward trouble P`). */
export interface Trouble {
  blocked: Observation[];
  minutes: number;
  principal: End;
}

/** Pairs of devices that reach each other without passing a protected interface. */
export interface Uncovered {
  /** All pairs of devices that there are. */
  of: number;
  pairs: number;
  segments: Segment[];
}

/** A time in which a device gets new software. */
export interface Update {
  from: UnixSeconds;
  /** What it has added to the model. */
  learned: Edge[];
  over: boolean;
  until: UnixSeconds;
}

/** Reply to [`Request::SessionCheck`]. */
export interface Visitor {
  /** Names it in the list of those who are let in. */
  id: string;
  /** Name of the paired phone or browser. */
  name: string;
  /** Whether the same person signs in elsewhere with a password. */
  password?: boolean;
  /** Whether the household has a PIN. */
  pin: boolean;
  role: Role;
}

/** More than an edge allows. */
export interface Wider {
  /** Of the household, where the edge is of high risk. */
  pin?: string | null;
}

/** Someone who may not allow something asks an owner to decide. */
export interface Wish {
  at: UnixSeconds;
  by: string;
  edge: number;
}

/** What can be wrong with the firewall itself. */
export type Wrong = {
  aside: string;
  code: "state_damaged";
} | {
  code: "guard_missing";
  error: string;
} | {
  code: "not_attached";
  error: string;
} | {
  code: "interface_gone";
  interface: string;
} | {
  code: "table_full";
  table: string;
};

/** All of them. */
export const PROBLEM_CODES: readonly ProblemCode[] = ["not_found","conflict","invalid","forbidden","ask_owner","pin_needed","pin_wrong","pin_format","password_wrong","password_format","name_missing","name_taken","name_reserved","server_format","broker_format","broker_unreachable","broker_refused","kind_unknown","mode_unknown","lifetime_missing","duration_range","date_passed","gone","too_many","unauthenticated","unavailable","host","origin","timeout","undelivered","in_progress","internal"];

/** What a device is. */
export type Kind =
  | "unknown"
  | "lock"
  | "alarm"
  | "camera"
  | "gas"
  | "medical"
  | "heating"
  | "light"
  | "plug"
  | "blind"
  | "fan"
  | "sensor"
  | "meter"
  | "battery"
  | "inverter"
  | "charger"
  | "washing_machine"
  | "fridge"
  | "coffee_machine"
  | "vacuum"
  | "watering"
  | "speaker"
  | "media"
  | "toy"
  | "hub"
  | "router"
  | "storage"
  | "computer"
  | "phone"
  | "printer"
  | "controller"
  | "machine"
  | "other";

/** Seconds since 1970. */
export type UnixSeconds = number;
