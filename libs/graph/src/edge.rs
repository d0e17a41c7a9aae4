//! An edge: who does what to whom, and how the model stands to it.

use firewall_common::abi::{EdgeKey, Kind, PrincipalId, RuleId};
use firewall_common::precedence::RuleState;
use firewall_common::reason::{Reason, Verdict};
use serde::{Deserialize, Serialize};

use crate::decision::{Answer, Author, DecisionId, Lifetime};
use crate::operation::{Operation, Plane};
use crate::time::{Deadline, Left, Now, date_left};

/// Number of an edge; the kernel's [`RuleId`] is the same number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EdgeId(pub u32);

impl EdgeId {
    /// Shared by all guarded filters: never an edge.
    pub const GUARD: RuleId = RuleId(1);
    /// The first edge.
    pub const FIRST: u32 = 16;

    /// As the kernel writes it.
    pub const fn rule(self) -> RuleId {
        RuleId(self.0)
    }
}

/// What makes an edge the same edge.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
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

    /// What the kernel holds for it at this moment.
    pub(crate) fn rule(&self, now: Now) -> Option<Standing> {
        match self {
            Self::Learned => Some(Standing { state: RuleState::Learned, deadline: 0, counted: false }),
            Self::Allowed(ruling) => match ruling.left(now) {
                Some(Left::At(deadline)) => Some(Standing {
                    state: RuleState::Allowed,
                    deadline,
                    counted: ruling.uses_left.is_some(),
                }),
                Some(Left::Over | Left::Unknown) => None,
                None => Some(Standing {
                    state: RuleState::Allowed,
                    deadline: 0,
                    counted: ruling.uses_left.is_some(),
                }),
            },
            // While nobody knows whether a denial is over, it holds.
            Self::Denied(ruling) => match ruling.left(now) {
                Some(Left::At(deadline)) => {
                    Some(Standing { state: RuleState::Denied, deadline, counted: ruling.uses_left.is_some() })
                }
                Some(Left::Over) => None,
                Some(Left::Unknown) | None => Some(Standing {
                    state: RuleState::Denied,
                    deadline: 0,
                    counted: ruling.uses_left.is_some(),
                }),
            },
            Self::Pending | Self::Lapsed => None,
        }
    }
}

/// A rule as it stands in the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    pub state: RuleState,
    /// Boot-time nanoseconds; 0 is never.
    pub deadline: u64,
    pub counted: bool,
}

/// A decision in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ruling {
    pub decision: DecisionId,
    pub by: Author,
    /// Seconds since 1970.
    pub at: i64,
    pub lifetime: Lifetime,
    /// End of a duration.
    pub ends: Option<Deadline>,
    /// Uses left as far as known.
    pub uses_left: Option<u32>,
}

impl Ruling {
    pub(crate) fn new(decision: DecisionId, by: Author, lifetime: Lifetime, now: Now) -> Self {
        Self {
            decision,
            by,
            at: now.unix,
            lifetime,
            ends: lifetime.seconds().map(|seconds| Deadline::after(now, seconds)),
            uses_left: lifetime.uses(),
        }
    }

    /// How its end stands; `None` if it has none.
    pub fn left(&self, now: Now) -> Option<Left> {
        match self.lifetime {
            Lifetime::Always | Lifetime::Uses(_) => None,
            Lifetime::Until(unix) => Some(date_left(unix, now)),
            // `ends` began at the decision, so it knows the boot of that moment.
            Lifetime::UntilRestart => {
                let same = self.ends.is_some_and(|began| began.from.boot == now.boot);
                if same { None } else { Some(Left::Over) }
            }
            Lifetime::Once | Lifetime::For(_) => self.ends.map(|ends| ends.left(now)),
        }
    }

    /// The wall time of its end, where it has one.
    pub fn until(&self) -> Option<i64> {
        match self.lifetime {
            Lifetime::Until(unix) => Some(unix),
            Lifetime::Once | Lifetime::For(_) => self.ends.map(|ends| ends.unix()),
            Lifetime::Always | Lifetime::Uses(_) | Lifetime::UntilRestart => None,
        }
    }
}

/// What was counted under one entry of the kernel, so that reading it twice counts once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Boot-time nanoseconds at which the entry began.
    pub first: u64,
    pub count: u64,
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
    pub tries: u64,
    /// Seconds since 1970.
    pub first_seen: Option<i64>,
    pub last_seen: Option<i64>,
    pub(crate) tallies: Vec<Tally>,
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
        !self.path.operation.is_message()
    }

    pub(crate) fn kind(&self) -> Kind {
        self.path.operation.transport().0
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
    /// An outside host that the source has never used.
    DestNew,
    /// The source is new at this site.
    PrincipalNew,
    /// A guest wants to reach something inside.
    GuestInside,
    /// One end is in quarantine.
    Quarantine,
    /// The client id belongs to another device.
    ClientTaken,
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
        }
    }
}
