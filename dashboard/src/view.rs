//! View models: what `--json` prints and the page shows. Scripts rely on them; a change needs a changelog entry.

use std::{collections::BTreeMap, str::FromStr};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Seconds since 1970, or `null` where there is no such time.
pub type UnixSeconds = i64;

/// What holds for an edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum EdgeState {
    Learned,
    Allowed,
    Denied,
    Pending,
}

impl EdgeState {
    /// The name in every output.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Learned => "learned",
            Self::Allowed => "allowed",
            Self::Denied => "denied",
            Self::Pending => "pending",
        }
    }
}

/// How much a wrong answer about an edge could cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Risk {
    High,
    Medium,
    Low,
}

/// How a principal is treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PrincipalMode {
    New,
    Learning,
    Ready,
    Enforcing,
    Guest,
    Quarantine,
    Outside,
    System,
}

/// Whether the model is enforced at the site.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SiteMode {
    Monitor,
    Enforce,
}

/// Whether the data path does its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Health {
    Ok,
    Paused,
    Fault,
}

/// What someone with a paired phone may do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Everything.
    #[default]
    Owner,
    /// Blocks anything, and allows what is not of high risk.
    Member,
    /// Only looks.
    Viewer,
    /// Everything but people and phones, for some days.
    Pro,
}

impl Role {
    pub const ALL: [Self; 4] = [Self::Owner, Self::Member, Self::Viewer, Self::Pro];

    /// The name in every output.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Member => "member",
            Self::Viewer => "viewer",
            Self::Pro => "pro",
        }
    }
}

impl FromStr for Role {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let role = Self::ALL.into_iter().find(|role| role.as_str() == text);
        role.ok_or_else(|| "choose owner, member, viewer or pro".to_owned())
    }
}

/// A phone, browser or program that was let in (`edgeward phones list --json`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Client {
    pub id: String,
    pub name: String,
    pub role: Role,
    /// Whether it is a program with a token.
    pub token: bool,
    pub since: UnixSeconds,
    /// To the day.
    pub last_seen: UnixSeconds,
    /// When it is logged out by itself.
    pub until: Option<UnixSeconds>,
    /// Whether it signed in with a password.
    #[serde(default)]
    pub by_password: bool,
}

/// Who has done something, and when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Act {
    pub by: Option<String>,
    pub at: UnixSeconds,
}

/// Phones or programs that were logged out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Revoked {
    /// Their ids.
    pub clients: Vec<String>,
    /// `null` where that is not known, or time has done it.
    pub act: Option<Act>,
}

/// Someone who may not allow something asks an owner to decide.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Wish {
    pub edge: u32,
    pub by: String,
    pub at: UnixSeconds,
}

/// What a browser can compare to know that it talks to this box.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Authority {
    /// Common name of the issuer of the box's certificates.
    pub name: String,
    /// Four words, made of the issuer's public key.
    pub words: Vec<String>,
    /// SHA-256 of the issuer's certificate, hexadecimal.
    pub fingerprint: String,
    /// End of the issuer's certificate; phones that trust it have to learn another one before.
    #[serde(default)]
    pub expires_at: Option<UnixSeconds>,
}

/// The state of the daemon (`edgeward status --json`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Status {
    pub version: String,
    pub interfaces: Vec<Interface>,
    /// `monitor` or `enforce`.
    #[schema(value_type = SiteMode)]
    pub mode: String,
    /// `ok`, `paused` or `fault`.
    #[schema(value_type = Health)]
    pub health: String,
    /// What is wrong, the longest first.
    pub faults: Vec<Fault>,
    /// End of a pause of the whole site.
    pub paused_until: Option<UnixSeconds>,
    /// End of the time in which a change to enforce must be confirmed.
    pub confirm_until: Option<UnixSeconds>,
    /// The site has had another router or network since then, and nobody has said what that means.
    pub moved_since: Option<UnixSeconds>,
    /// By hook: `lan_ingress`, `lan_egress`, `uplink`, `xdp`.
    pub packets: BTreeMap<String, Packets>,
    pub events: Events,
    pub edges: EdgeCounts,
    /// By mode.
    pub principals: BTreeMap<String, u64>,
    pub maps: Vec<MapUse>,
    /// What is not seen by the firewall, in sentences.
    pub coverage: Vec<String>,
    /// Between which devices nothing need pass the firewall.
    #[serde(default)]
    pub uncovered: Uncovered,
    pub clock_synchronised: bool,
    /// Revision of the graph; grows with every change.
    pub rev: u64,
}

/// Something that is wrong with the firewall itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Fault {
    #[serde(flatten)]
    pub what: Wrong,
    pub since: UnixSeconds,
}

/// What can be wrong with the firewall itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "code", rename_all = "snake_case")]
pub enum Wrong {
    /// What was stored could not be read and is here now; everything is learned anew.
    StateDamaged { aside: String },
    /// What holds while no program is attached was removed and cannot be loaded again.
    GuardMissing { error: String },
    /// The programs cannot be attached to an interface, where nothing passes.
    NotAttached { error: String },
    /// There is no such interface at the moment, and nothing passes there.
    InterfaceGone { interface: String },
    /// A table of the kernel has little room left.
    TableFull { table: String },
}

impl Wrong {
    /// Whether what passes is not judged, or nothing passes.
    pub const fn is_outage(&self) -> bool {
        matches!(self, Self::GuardMissing { .. } | Self::NotAttached { .. })
    }
}

/// Something that a person should look at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Alarm {
    /// `scan`, `bruteforce`, `slowite`, `flood`, `malformed`, `spoof.mac`, `name.alike`, `client.taken`, `site.moved`,
    /// `overflow` or `rules.too_complex`.
    pub code: String,
    /// The device that it is about.
    pub principal: Option<End>,
    pub since: UnixSeconds,
    pub last: UnixSeconds,
    /// How often, since the daemon was started.
    pub times: u64,
}

/// Pairs of devices that reach each other without passing a protected interface.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Uncovered {
    pub pairs: u64,
    /// All pairs of devices that there are.
    pub of: u64,
    pub segments: Vec<Segment>,
}

/// Devices behind one port and in one VLAN.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Segment {
    pub port: String,
    /// 0 is untagged.
    pub vlan: u16,
    pub devices: Vec<End>,
}

/// A protected interface or the uplink.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Interface {
    pub name: String,
    /// `lan` or `uplink`.
    pub role: String,
    /// `tc`, `xdp+tc` or `xdp-generic+tc`.
    pub attach: String,
    pub since: UnixSeconds,
}

/// The balance of a hook: seen = passed + neutralised + reset + the sum of dropped.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Packets {
    pub seen: u64,
    pub passed: u64,
    pub neutralised: u64,
    pub reset: u64,
    /// Passed although the model says no; part of `passed`.
    pub audit: u64,
    /// By reason.
    pub dropped: BTreeMap<String, u64>,
    /// By reason; the sum is `reset`.
    pub resets: BTreeMap<String, u64>,
}

/// The balance of the ring buffer: produced = delivered + suppressed + lost.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Events {
    pub produced: u64,
    pub delivered: u64,
    pub suppressed: u64,
    pub lost: u64,
}

/// Edges by state.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct EdgeCounts {
    pub learned: u64,
    pub allowed: u64,
    pub denied: u64,
    pub pending: u64,
    /// Of those that pass: on which something is unusual that nobody has answered.
    #[serde(default)]
    pub flagged: u64,
}

/// How full a kernel map is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct MapUse {
    pub name: String,
    pub entries: u64,
    pub capacity: u64,
    pub bytes: u64,
}

/// One end of an edge.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct End {
    pub id: u32,
    pub name: String,
    /// Whether a person gave the name; otherwise it is shown in quotes.
    pub confirmed: bool,
    /// Kind of device, or `unknown`.
    pub kind: String,
}

/// An edge of the graph. A request is a pending edge and has its id.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Edge {
    pub id: u32,
    /// `packet`; later `relay`, `store`, `sync`, `admin`.
    pub plane: String,
    pub from: End,
    pub to: End,
    /// `connect`, `publish`, `subscribe`, ….
    pub verb: String,
    /// In the protocol's own text: `tcp/1883`, `tcp/8080 http`, `lock/front/set`, `http://hub.local/api/+`,
    /// `modbus:1/holding/100-109`, `tls:cloud.example`, ….
    pub object: String,
    /// `lock_state`, `firmware`, `opaque`, …; only for words and risk.
    pub meaning: Option<String>,
    /// `learned`, `allowed`, `denied` or `pending`.
    #[schema(value_type = EdgeState)]
    pub state: String,
    pub since: UnixSeconds,
    /// Who decided.
    pub by: Option<String>,
    /// End of the decision.
    pub until: Option<UnixSeconds>,
    /// `always`, `once`, `uses`, `for`, `until` or `until_restart`, where someone decided.
    pub lifetime: Option<String>,
    /// Uses left.
    pub uses: Option<u64>,
    /// `neutralise`, where a denied publish goes on as something harmless; otherwise its connection is reset.
    pub action: Option<String>,
    /// Whether an allowed publish must not be retained.
    #[serde(default)]
    pub no_retain: bool,
    /// Highest quality of service of an allowed publish: 0, 1 or 2.
    pub max_qos: Option<u8>,
    /// Reason code of the last verdict.
    pub reason: Option<String>,
    /// Property that the edge violates: `op.not_in_model`, `edge.not_in_model`, `class.forbidden`, `dest.new`,
    /// `principal.new`, `protocol`, `enc.missing`, ….; of one that is flagged `rate.exceeded`, ….
    pub violated: Option<String>,
    /// `high`, `medium` or `low`.
    #[schema(value_type = Risk)]
    pub risk: String,
    /// What is unusual, where the edge is asked about and passes all the same.
    #[serde(default)]
    pub flag: Option<Flag>,
    /// What is done about something unusual: `ask` or `block`.
    #[serde(default)]
    pub unusual: String,
    /// Bytes a second that it may carry; `null`: as much as comes.
    #[serde(default)]
    pub limit: Option<u64>,
    /// Who would receive what is published.
    pub beneficiaries: Vec<End>,
    pub tries: u64,
    pub first_seen: Option<UnixSeconds>,
    pub last_seen: Option<UnixSeconds>,
    /// Grows with every change of this edge; send it back with a decision.
    pub rev: u64,
}

/// Something unusual on an edge that passes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Flag {
    /// `rate.exceeded`, `size.exceeded` or `time.unusual`.
    pub property: String,
    pub since: UnixSeconds,
    pub last: UnixSeconds,
    /// How often: frames that were dropped, or times that it was measured.
    pub times: u64,
    /// What is usual and what was seen: [`Fact::Rate`], [`Fact::Size`] or [`Fact::Hour`].
    pub measured: Option<Fact>,
}

/// Something that does not pass until a stated time (`edgeward bans list --json`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Ban {
    pub id: u32,
    pub principal: End,
    /// Only MQTT connections with this client id; `null`: everything.
    pub client: Option<String>,
    pub until: UnixSeconds,
    pub by: String,
    /// An alarm, or what a person said.
    pub why: String,
}

/// An hour in which something was carried.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Hour {
    /// Its beginning.
    pub from: UnixSeconds,
    /// How many edges have carried something.
    pub edges: u64,
    pub kilobytes: u64,
}

/// What edges have carried within a time. A message is part of what the connection carried that it went through.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Traffic {
    /// Whole hours of UTC.
    pub from: UnixSeconds,
    pub until: UnixSeconds,
    /// The busiest first. One that is in no list any more has been removed since.
    pub edges: Vec<Carried>,
    /// Whether these are all; a source may have so many edges that not all are kept.
    pub complete: bool,
}

/// How much an edge has carried, both ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Carried {
    pub edge: u32,
    /// 0: less than one.
    pub kilobytes: u64,
}

/// Why an edge has its state (`edgeward explain ID --json`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Explanation {
    pub edge: Edge,
    /// What decides, in plain English: the row of the precedence table, and what comes with it.
    pub because: String,
    /// The same as codes.
    #[serde(default)]
    pub causes: Vec<Cause>,
    /// What the source normally does, in plain English, most frequent first.
    pub habits: Vec<String>,
    /// The same as parts of a sentence.
    #[serde(default)]
    pub usually: Vec<Habit>,
    /// Facts seen on the wire, in plain English.
    pub evidence: Vec<String>,
    /// The same as codes.
    #[serde(default)]
    pub facts: Vec<Fact>,
}

/// Why an edge has its state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "code", rename_all = "snake_case")]
pub enum Cause {
    SourceQuarantined,
    DestinationQuarantined,
    Banned,
    Denied,
    Allowed,
    SourceNew,
    GuestOutside,
    GuestInside,
    Learned,
    Learns,
    BoxLearns,
    NotInModel,
    Guarded,
    /// Another edge decides, which is more specific or stricter.
    OtherEdge {
        edge: u32,
    },
    /// The connection that it travels in is not in the model.
    NoConnection {
        port: String,
    },
    /// The connection that it travels in may not speak this.
    MayNotSpeak {
        port: String,
        protocol: String,
    },
    Neutralised,
    NotRetained,
    QosAtMost {
        qos: u8,
    },
    Monitor,
}

/// Something that the source of an edge does, and may.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Habit {
    pub edge: u32,
    pub to: End,
    pub verb: String,
    pub object: String,
}

/// A fact that was seen on the wire.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "code", rename_all = "snake_case")]
pub enum Fact {
    /// Bytes a second: how many are usual, and more than how many there were; frames that were held back.
    Rate {
        usual: u64,
        seen: u64,
        dropped: u64,
    },
    /// Bytes in an hour: how many are usual, and how many there were.
    Size {
        usual: u64,
        seen: u64,
    },
    /// Hours of the day in UTC: those at which there usually is something, and one at which there was.
    Hour {
        usual: Vec<u8>,
        seen: u8,
    },
    /// Seconds after which it usually comes again.
    Period {
        seconds: u32,
    },
    Tries {
        count: u64,
    },
    /// When it was tried last, the oldest first; at most five.
    Times {
        at: Vec<UnixSeconds>,
    },
    /// Whether others in the network could read it, where that is known.
    Encrypted {
        yes: bool,
    },
    /// Since when the source is held to its habits.
    HeldSince {
        at: UnixSeconds,
    },
    /// Another device reached the same target at about the time of the last try.
    Meanwhile {
        who: End,
        target: End,
        at: UnixSeconds,
    },
    /// What became of the last one.
    Verdict {
        verdict: String,
        reason: String,
    },
    /// Where an end is: `from` or `to`.
    Whereabouts {
        side: String,
        mac: Option<String>,
        port: Option<String>,
        addresses: Vec<String>,
    },
    /// The client id belongs to another device at the same broker.
    ClientTaken,
    /// Who has subscribed to what is published.
    Subscribed {
        who: End,
    },
}

/// A vertex of the graph.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Principal {
    pub id: u32,
    pub name: String,
    pub confirmed: bool,
    /// What it calls itself, cut at 40 characters, without control and bidi characters.
    pub calls_itself: Option<String>,
    pub kind: String,
    /// `owner`, `guess` or `none`.
    pub kind_source: String,
    pub room: Option<String>,
    pub description: Option<String>,
    /// `new`, `learning`, `ready`, `enforcing`, `guest`, `quarantine`, `outside` or `system`.
    #[schema(value_type = PrincipalMode)]
    pub mode: String,
    pub since: UnixSeconds,
    pub paused_until: Option<UnixSeconds>,
    pub mac: Option<String>,
    pub vlan: Option<u16>,
    pub port: Option<String>,
    pub addresses: Vec<String>,
    pub first_seen: UnixSeconds,
    pub last_seen: UnixSeconds,
    pub edges: EdgeCounts,
    pub learning: Option<Learning>,
    /// Of an outside host that has a name: all names of the domain that its owner registered, as `*.example.com`.
    #[serde(default)]
    pub domain: Option<String>,
    /// Who made its network card, by the list of IEEE.
    #[serde(default)]
    pub maker: Option<String>,
    /// Whether it has made its MAC up, so that there is no maker.
    #[serde(default)]
    pub private_mac: bool,
    /// What it may be by what it says and does; never more than a hint.
    #[serde(default)]
    pub guess: Option<Guess>,
    pub rev: u64,
}

/// What a device may be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Guess {
    pub kind: String,
    /// `low`, `medium` or `high`.
    pub confidence: String,
    /// The clues that speak for it.
    #[serde(default)]
    pub clues: Vec<Clue>,
    /// The same in words.
    pub evidence: Vec<String>,
}

/// A clue to what a device is, which it has written itself or anybody may have seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Clue {
    /// `offers`, `announces`, `vendor_class`, `name`, `mud_url`, `maker`, `parameters` or `serves`.
    pub code: String,
    /// What the code is about; empty where it says all.
    pub value: String,
}

/// How far the learning of a principal has come.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Learning {
    pub since: UnixSeconds,
    /// Edges learned.
    pub habits: u64,
    pub last_new_at: Option<UnixSeconds>,
    /// 0 to 100, by the slower of the two conditions (time, quiet).
    pub percent: u8,
    /// Earliest end, in seconds from now.
    pub at_least_seconds: u64,
    /// When it enforces if nobody objects.
    pub enforces_at: Option<UnixSeconds>,
    /// Whether a cap stopped it (`scan` alarm).
    pub capped: bool,
}

/// A principal that learns, or has learned and will enforce soon.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Learner {
    pub principal: End,
    #[schema(value_type = PrincipalMode)]
    pub mode: String,
    pub learning: Learning,
    /// Whole days that were covered, and how many there will be at least.
    pub days: u64,
    pub min_days: u64,
    /// What there was no time for yet: `day`, `weekend`, `working_day`, `week`; and what its kind does and it did not:
    /// `software`, `print`, `watch`, `set`, `play`.
    pub missing: Vec<String>,
    /// `low`, `medium` or `high`.
    pub confidence: String,
}

/// A decision or mode change (`edgeward decisions list --json`). Append-only.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Decision {
    pub id: u64,
    pub at: UnixSeconds,
    pub by: String,
    /// Of the phone or program with which it was decided; `null` on the box, and before roles were written down.
    #[serde(default)]
    pub role: Option<Role>,
    /// Which phone or program that was, as in the list of those who are let in.
    #[serde(default)]
    pub client: Option<String>,
    /// `allow`, `deny`, `undo`, `mode`, `pause`, `learn`, `principal`, `remove`, `import`, `ban` or `lift`.
    pub what: String,
    pub edge: Option<Edge>,
    pub principal: Option<End>,
    /// In words: the lifetime of a decision, the mode chosen.
    pub detail: String,
    pub undone: bool,
    /// Hash of this ledger entry, hexadecimal.
    pub hash: String,
}

/// Something that was seen (`edgeward observe`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Observation {
    pub at: UnixSeconds,
    pub verdict: String,
    pub reason: String,
    pub edge: Option<u32>,
    pub from: End,
    pub to: End,
    pub verb: String,
    pub object: String,
    pub count: u64,
}

/// What was blocked for a principal lately (`edgeward trouble P`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Trouble {
    pub principal: End,
    pub minutes: u32,
    pub blocked: Vec<Observation>,
}

/// What the household has set up.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Settings {
    /// What the site is called.
    pub name: Option<String>,
    /// Whether questions are told to phones that do not have the page open.
    pub notified: bool,
    /// The step of the first run that comes next.
    #[serde(default)]
    pub first_run: FirstRun,
    /// How long devices learn; set in the configuration.
    #[serde(default)]
    pub learning: LearningTimes,
}

/// The first run, step by step; what was skipped is over as well.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum FirstRun {
    /// What the site is called.
    #[default]
    Name,
    /// The certificate of the box on this phone.
    Trust,
    /// Who else is let in.
    Others,
    /// What the devices are.
    Devices,
    /// How long they learn.
    Learning,
    /// The PIN of the household.
    Pin,
    /// Where questions are told.
    Tell,
    Done,
}

/// How long devices learn, in seconds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LearningTimes {
    pub at_least: u64,
    /// So long nothing new was seen.
    pub quiet: u64,
    pub at_most: u64,
    /// Between the end of learning and protection.
    pub notice: u64,
}

/// Where questions are told: a topic of an ntfy server, to which phones subscribe.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Ntfy {
    /// `https://ntfy.sh`, or one of one's own.
    pub server: String,
    /// Who knows it can read along; it was drawn at random.
    pub topic: String,
    /// Address of the page, opened by a tap.
    #[serde(default)]
    pub page: Option<String>,
}

/// The broker at which Home Assistant finds this box.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HomeAssistant {
    /// Address or name of the broker.
    pub host: String,
    pub port: u16,
    pub user: Option<String>,
    /// Known to the page's process only.
    #[serde(default)]
    pub state: BrokerState,
}

/// How the connection to Home Assistant's broker stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum BrokerState {
    #[default]
    Connecting,
    Connected,
    /// Nobody answers there, or no broker.
    Unreachable,
    /// The broker does not take this user and password.
    Refused,
}

/// What an edge has counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EdgeStats {
    pub id: u32,
    pub tries: u64,
    pub last_seen: Option<UnixSeconds>,
}

/// How far a device has come.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Progress {
    pub principal: u32,
    pub learning: Learning,
}

/// A live change, as the page gets it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "event", content = "data")]
pub enum Event {
    #[serde(rename = "edge.pending")]
    EdgePending(Edge),
    #[serde(rename = "edge.changed")]
    EdgeChanged(Edge),
    #[serde(rename = "edge.decided")]
    EdgeDecided(Edge),
    #[serde(rename = "edge.expired")]
    EdgeExpired(Edge),
    #[serde(rename = "edge.removed")]
    EdgeRemoved { id: u32 },
    /// Of edges that were used and are as they were; at most one a second.
    #[serde(rename = "edge.stats")]
    EdgeStats(Vec<EdgeStats>),
    /// Of devices that have come further; at most one in ten seconds.
    #[serde(rename = "learning.progress")]
    LearningProgress(Vec<Progress>),
    #[serde(rename = "principal.added")]
    PrincipalAdded(Principal),
    #[serde(rename = "principal.changed")]
    PrincipalChanged(Principal),
    #[serde(rename = "principal.removed")]
    PrincipalRemoved { id: u32 },
    #[serde(rename = "observation")]
    Observation(Observation),
    #[serde(rename = "edge.wished")]
    EdgeWished(Wish),
    /// Only those who are meant are told.
    #[serde(rename = "client.revoked")]
    ClientRevoked(Revoked),
    #[serde(rename = "alarm")]
    Alarm(Alarm),
    #[serde(rename = "status")]
    Status(Box<Status>),
}
