//! An edge: who does what to whom, and how the model stands to it.

use firewall_common::abi::{EdgeKey, Observed, PrincipalId, RuleId};
use firewall_common::precedence::RuleState;
use firewall_common::reason::{Reason, Verdict};
use serde::{Deserialize, Serialize};

use crate::decision::{Answer, Author, DecisionId, Lifetime, ONCE_SECONDS, Terms};
use crate::operation::{Layer, Object, Operation, Plane, TCP, UDP, Verb};
use crate::time::{Deadline, Left, Now, Stamp, date_left};
use crate::usual::{Flag, Response, Usual};

/// Number of an edge; the kernel's [`RuleId`] is the same number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EdgeId(pub u32);

impl EdgeId {
    /// Shared by all guarded filters: never an edge.
    pub const GUARD: RuleId = RuleId::GUARD;
    /// The first edge.
    pub const FIRST: u32 = 16;

    /// As the kernel writes it.
    pub const fn rule(self) -> RuleId {
        RuleId(self.0)
    }
}

/// What makes an edge the same edge.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Path {
    pub plane: Plane,
    #[serde(with = "crate::serial::principal")]
    pub src: PrincipalId,
    #[serde(with = "crate::serial::principal")]
    pub dst: PrincipalId,
    #[serde(flatten)]
    pub operation: Operation,
}

impl Path {
    /// The transport that carries it, as `EDGES` keys it.
    pub fn transport(&self) -> EdgeKey {
        let (kind, proto, port) = self.operation.transport();
        EdgeKey { src: self.src, dst: self.dst, port, proto, kind: kind as u8 }
    }

    /// The stream that this message is in, or that this transport carries.
    pub fn stream(&self) -> Option<Stream> {
        let (proto, port) = self.operation.end().filter(|(proto, _)| matches!(*proto, TCP | UDP))?;
        Some(Stream { src: self.src, dst: self.dst, proto, port })
    }
}

/// A TCP or UDP port of a service as one client reaches it: what carries messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stream {
    pub src: PrincipalId,
    pub dst: PrincipalId,
    pub proto: u8,
    pub port: u16,
}

impl Stream {
    /// The transport edge.
    pub fn path(self) -> Path {
        let object = Object::Port { proto: self.proto, port: self.port };
        let operation = Operation { verb: Verb::Connect, object };
        Path { plane: Plane::Packet, src: self.src, dst: self.dst, operation }
    }
}

/// How the model stands to an edge.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Seen while its source was learning.
    Learned,
    /// A person said yes.
    Allowed(Ruling),
    /// A person said no.
    Denied(Ruling),
    /// It was tried, does not pass, and nobody has decided.
    Pending,
    /// A decision about it is over; it is pending at its next try.
    Lapsed,
}

impl State {
    /// The name in every output; what has lapsed is shown as pending, but not listed as waiting.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Learned => "learned",
            Self::Allowed(_) => "allowed",
            Self::Denied(_) => "denied",
            Self::Pending | Self::Lapsed => "pending",
        }
    }

    /// The decision that made it.
    pub const fn ruling(&self) -> Option<&Ruling> {
        match self {
            Self::Allowed(ruling) | Self::Denied(ruling) => Some(ruling),
            Self::Learned | Self::Pending | Self::Lapsed => None,
        }
    }

    /// What the model says at this moment; a decision that is over says nothing.
    pub fn rule(&self, now: Now) -> Option<Standing> {
        let (state, ruling) = match self {
            Self::Learned => {
                return Some(Standing::plain(RuleState::Learned));
            }
            Self::Allowed(ruling) => (RuleState::Allowed, ruling),
            Self::Denied(ruling) => (RuleState::Denied, ruling),
            Self::Pending | Self::Lapsed => return None,
        };
        let deadline = match (ruling.left(now), state) {
            (Some(Left::At(deadline)), _) => deadline,
            // While nobody knows whether it is over, a denial holds and a permission does not.
            (None, _) | (Some(Left::Unknown), RuleState::Denied) => 0,
            (Some(Left::Unknown | Left::Over), _) => return None,
        };
        Some(Standing { state, deadline, counted: ruling.uses_left.is_some(), terms: ruling.terms })
    }
}

/// A rule as it stands in the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    pub state: RuleState,
    /// Boot-time nanoseconds; 0 is never.
    pub deadline: u64,
    pub counted: bool,
    pub terms: Terms,
}

impl Standing {
    /// Without end, count or terms.
    pub(crate) const fn plain(state: RuleState) -> Self {
        Self { state, deadline: 0, counted: false, terms: Terms::NONE }
    }

    /// Whether it ends by itself.
    pub(crate) const fn is_brief(&self) -> bool {
        self.deadline != 0 || self.counted
    }
}

/// A decision in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ruling {
    pub decision: DecisionId,
    #[serde(flatten)]
    pub by: Author,
    pub at: Stamp,
    pub lifetime: Lifetime,
    /// Uses left as far as known.
    pub uses_left: Option<u32>,
    #[serde(default, skip_serializing_if = "Terms::is_none")]
    pub terms: Terms,
}

impl Ruling {
    pub(crate) const fn new(decision: DecisionId, by: Author, lifetime: Lifetime, now: Now) -> Self {
        Self { decision, by, at: now, lifetime, uses_left: lifetime.uses(), terms: Terms::NONE }
    }

    /// How its end stands; `None` if it has none in this run of the box.
    pub fn left(&self, now: Now) -> Option<Left> {
        if self.uses_left == Some(0) {
            return Some(Left::Over);
        }
        match self.lifetime {
            Lifetime::Always | Lifetime::Uses(_) => None,
            Lifetime::Until(unix) => Some(date_left(unix, now)),
            Lifetime::UntilRestart => (self.at.boot != now.boot).then_some(Left::Over),
            Lifetime::Once => Some(Deadline::after(self.at, ONCE_SECONDS).left(now)),
            Lifetime::For(seconds) => Some(Deadline::after(self.at, seconds as u64).left(now)),
        }
    }

    /// The wall time of its end, where it has one.
    pub fn until(&self) -> Option<i64> {
        match self.lifetime {
            Lifetime::Until(unix) => Some(unix),
            Lifetime::Once => Some(Deadline::after(self.at, ONCE_SECONDS).unix()),
            Lifetime::For(seconds) => Some(Deadline::after(self.at, seconds as u64).unix()),
            Lifetime::Always | Lifetime::Uses(_) | Lifetime::UntilRestart => None,
        }
    }
}

/// What was counted under one entry of the kernel, so that reading it twice counts once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Tally {
    /// Boot-time nanoseconds at which the entry began.
    first: u64,
    /// Hash of its object.
    object: u64,
    count: u64,
}

impl Tally {
    /// As many entries as the kernel keeps for one source: more are never alive.
    const KEPT: usize = firewall_common::abi::OBSERVED_PER_SOURCE as usize;

    /// Notes the count of an entry, and returns what is new in it.
    pub(crate) fn update(tallies: &mut Vec<Self>, object: u64, value: &Observed) -> u64 {
        let Observed { first, count, .. } = *value;
        let known = tallies.iter().position(|tally| tally.first == first && tally.object == object);
        let before = known.map_or(0, |at| tallies.remove(at).count);
        if tallies.len() == Self::KEPT {
            tallies.remove(0);
        }
        tallies.push(Self { first, object, count: count.max(before) });
        count.saturating_sub(before)
    }
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_zero(count: &u32) -> bool {
    *count == 0
}

/// An edge of the graph.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Edge {
    pub id: EdgeId,
    #[serde(flatten)]
    pub path: Path,
    pub state: State,
    /// Seconds since 1970 at which the state began.
    pub since: i64,
    /// Of the last verdict that the kernel told.
    #[serde(with = "crate::serial::reason")]
    pub reason: Option<Reason>,
    #[serde(with = "crate::serial::verdict")]
    pub verdict: Option<Verdict>,
    pub violated: Option<Property>,
    /// A person has decided about it before: it is never learned silently again.
    pub decided: bool,
    pub tries: u64,
    /// Seconds since 1970.
    pub first_seen: Option<i64>,
    pub last_seen: Option<i64>,
    /// When it was tried last, the oldest first, at most [`Edge::LATEST`]; not of what is only a habit.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub latest: Vec<i64>,
    pub(crate) tallies: Vec<Tally>,
    /// For transports: the most messages in ten seconds while its source learned.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub busiest: u32,
    /// For transports: what was measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usual: Option<Box<Usual>>,
    /// Something is unusual, and a person is asked about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flag: Option<Box<Flag>>,
    /// What is done about something unusual, if not what is set for its source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response: Option<Response>,
    /// Revision of the graph at its last change; tries are no change.
    pub rev: u64,
}

impl Edge {
    /// Answer, author and lifetime, where someone decided.
    pub const fn answer(&self) -> Option<Answer> {
        match self.state {
            State::Allowed(_) => Some(Answer::Allow),
            State::Denied(_) => Some(Answer::Deny),
            State::Learned | State::Pending | State::Lapsed => None,
        }
    }

    /// Whether it is an edge of its own in `EDGES`, not a message inside one.
    pub const fn is_transport(&self) -> bool {
        matches!(self.path.operation.layer(), Layer::Transport)
    }

    /// Whether it is asked about although it passes.
    pub const fn is_flagged(&self) -> bool {
        self.flag.is_some() && matches!(self.state, State::Learned | State::Allowed(_))
    }

    /// Whether a person is asked about it; what has lapsed waits for its next try.
    pub fn waits(&self) -> bool {
        self.state == State::Pending || self.is_flagged()
    }

    /// The property that a person is asked about.
    pub fn asked(&self) -> Option<Property> {
        let flagged = || self.flag.as_ref().filter(|_| self.is_flagged()).map(|flag| flag.property);
        let is_open = matches!(self.state, State::Pending | State::Lapsed);
        self.violated.filter(|_| is_open).or_else(flagged)
    }

    /// Whether the model lets it pass now.
    pub fn passes(&self, now: Now) -> bool {
        let state = self.state.rule(now).map(|standing| standing.state);
        matches!(state, Some(RuleState::Learned | RuleState::Allowed))
    }

    /// Whether it is only what a maker declares: the device has not tried it yet.
    pub fn is_proposal(&self) -> bool {
        self.state == State::Pending && self.tries == 0 && self.violated == Some(Property::Declared)
    }

    /// How many of the latest tries have their time kept.
    pub const LATEST: usize = 5;

    /// Notes when it was tried, in seconds since 1970.
    pub(crate) fn note_try(&mut self, at: i64) {
        if self.state == State::Learned {
            return;
        }
        if self.latest.len() == Self::LATEST {
            self.latest.remove(0);
        }
        self.latest.push(at);
    }

    /// Adds what an entry of the kernel has counted since it was read last, and returns that.
    pub(crate) fn count(&mut self, object: u64, value: &Observed) -> u64 {
        let new = Tally::update(&mut self.tallies, object, value);
        self.tries = self.tries.saturating_add(new);
        new
    }
}

/// Which property of the model an edge violates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Property {
    /// These two talk, but not like this.
    OpNotInModel,
    /// These two have never talked.
    EdgeNotInModel,
    /// The target is of a class that is asked about always.
    ClassForbidden,
    /// An outside host, or a domain, that the source has never used.
    DestNew,
    /// The source is new at this site.
    PrincipalNew,
    /// A guest wants to reach something inside.
    GuestInside,
    /// One end is in quarantine.
    Quarantine,
    /// The client id belongs to another device.
    ClientTaken,
    /// The connection is known, but not that it speaks like this.
    Protocol,
    /// The maker of the source declares it, and nobody has said yes to that.
    Declared,
    /// The connection was always encrypted.
    EncMissing,
    /// It carries far more a second than it did.
    RateExceeded,
    /// It carries far more in an hour than it did.
    SizeExceeded,
    /// It was never used at this hour.
    TimeUnusual,
}

impl Property {
    /// The name in every output.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OpNotInModel => "op.not_in_model",
            Self::EdgeNotInModel => "edge.not_in_model",
            Self::ClassForbidden => "class.forbidden",
            Self::DestNew => "dest.new",
            Self::PrincipalNew => "principal.new",
            Self::GuestInside => "guest.inside",
            Self::Quarantine => "quarantine",
            Self::ClientTaken => "client.taken",
            Self::Protocol => "protocol",
            Self::Declared => "mud.declared",
            Self::EncMissing => "enc.missing",
            Self::RateExceeded => "rate.exceeded",
            Self::SizeExceeded => "size.exceeded",
            Self::TimeUnusual => "time.unusual",
        }
    }

    /// What is unusual, for people.
    pub const fn words(self) -> &'static str {
        match self {
            Self::OpNotInModel => "It has never done this before.",
            Self::EdgeNotInModel => "These two have never talked to each other.",
            Self::ClassForbidden => "This leads to something dangerous.",
            Self::DestNew => "It has never used this host.",
            Self::PrincipalNew => "This device is new here.",
            Self::GuestInside => "A guest may use the Internet only.",
            Self::Quarantine => "One of the two is in quarantine.",
            Self::ClientTaken => "This client id belongs to another device.",
            Self::Protocol => "The connection is known, but not that it speaks like this.",
            Self::Declared => "Its maker says that it needs this; nobody has allowed it yet.",
            Self::EncMissing => "The connection was always encrypted, and is not now.",
            Self::RateExceeded => "It sends far more at once than it ever did.",
            Self::SizeExceeded => "It sends far more than it ever did in an hour.",
            Self::TimeUnusual => "It never did this at this hour.",
        }
    }
}
