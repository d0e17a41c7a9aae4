//! What people say: allow or deny, for how long, and what can be wrong with it.

use firewall_common::abi::{Action, PrincipalId, Rule};
use firewall_common::precedence::Mode;
use serde::{Deserialize, Serialize};

use crate::edge::{Edge, EdgeId};
use crate::operation::{Object, Operation, Verb};
use crate::principal::harmless;
use crate::time::Now;

/// Seconds within which a single use must happen.
pub const ONCE_SECONDS: u64 = 600;
/// Shortest and longest duration in seconds.
pub const FOR_SECONDS: std::ops::RangeInclusive<u32> = 60..=43_200;
/// Most uses that one decision may give.
pub const USES_CAP: u32 = 1_000_000;
/// Name of the firewall itself, where it decides.
const FIREWALL: &str = "edgeward";

/// Number of a decision: its place in the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DecisionId(pub u64);

/// Allow or deny.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    Allow,
    Deny,
}

/// How long a decision holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lifetime {
    /// One connection, or one message in a running connection, within 10 minutes.
    Once,
    /// So many uses.
    Uses(u32),
    /// So many seconds.
    For(u32),
    /// Until a date, seconds since 1970.
    Until(i64),
    /// Until the box restarts.
    UntilRestart,
    Always,
}

impl Lifetime {
    /// The name in every output.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Once => "once",
            Self::Uses(_) => "uses",
            Self::For(_) => "for",
            Self::Until(_) => "until",
            Self::UntilRestart => "until_restart",
            Self::Always => "always",
        }
    }

    /// How many uses it gives, if they are counted.
    pub const fn uses(self) -> Option<u32> {
        match self {
            Self::Once => Some(1),
            Self::Uses(uses) => Some(uses),
            Self::For(_) | Self::Until(_) | Self::UntilRestart | Self::Always => None,
        }
    }

    /// Checks the numbers.
    pub(crate) fn check(self, now: Now) -> Result<(), Refused> {
        let wrong = |text: &str| Err(Refused::Invalid(text.to_owned()));
        match self {
            Self::For(seconds) if !FOR_SECONDS.contains(&seconds) => {
                Err(Refused::duration("A duration is at least one minute and at most 12 hours"))
            }
            Self::Uses(0) => wrong("A decision needs at least one use"),
            Self::Uses(uses) if uses > USES_CAP => wrong("A decision has at most 1,000,000 uses"),
            Self::Until(unix) if now.synchronised && unix <= now.unix => {
                Err(Refused::Wrong { code: "date_passed", text: "This date has passed".to_owned() })
            }
            Self::Once
            | Self::Uses(_)
            | Self::For(_)
            | Self::Until(_)
            | Self::UntilRestart
            | Self::Always => Ok(()),
        }
    }
}

/// What a decision about a PUBLISH says besides yes or no.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Terms {
    /// What becomes of a denied one.
    #[serde(with = "crate::serial::action")]
    pub action: Action,
    /// An allowed one must not be retained by the broker.
    pub no_retain: bool,
    /// Highest `QoS` of an allowed one.
    pub max_qos: Option<u8>,
}

impl Terms {
    /// Nothing besides.
    pub const NONE: Self = Self { action: Action::Reset, no_retain: false, max_qos: None };

    #[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
    pub(crate) fn is_none(&self) -> bool {
        *self == Self::NONE
    }

    /// As [`Rule::limits`].
    pub const fn limits(self) -> u8 {
        let qos = match self.max_qos {
            Some(qos) if qos < Rule::UNLIMITED => qos,
            Some(_) | None => Rule::UNLIMITED,
        };
        if self.no_retain { qos | Rule::NO_RETAIN } else { qos }
    }

    /// Checks that they belong to such a decision.
    pub(crate) fn check(self, operation: &Operation, answer: Answer) -> Result<(), Refused> {
        let wrong = |text: &str| Err(Refused::Invalid(text.to_owned()));
        let is_publish = matches!((&operation.object, operation.verb), (Object::Topic { .. }, Verb::Publish));
        let limited = self.no_retain || self.max_qos.is_some();
        if self.max_qos.is_some_and(|qos| qos > 2) {
            return wrong("A QoS is 0, 1 or 2");
        }
        if self.action == Action::Neutralise && !(is_publish && answer == Answer::Deny) {
            return wrong("Only a denied publish can be neutralised");
        }
        if limited && !(is_publish && answer == Answer::Allow) {
            return wrong("Retain and QoS are limits of an allowed publish");
        }
        Ok(())
    }

    /// In words, with a comma before each.
    fn detail(self) -> String {
        let mut text = String::new();
        if self.action == Action::Neutralise {
            text.push_str(", neutralised");
        }
        if self.no_retain {
            text.push_str(", not retained");
        }
        if let Some(qos) = self.max_qos {
            text.push_str(", QoS at most ");
            text.push_str(&qos.to_string());
        }
        text
    }
}

/// Who decides: someone with a paired phone, a user of the box, or `edgeward` for what time brings.
///
/// Stored among the fields of what was decided, so that a record of before there were phones in it is read as well.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Author {
    #[serde(rename = "by")]
    name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    phone: Option<Box<Phone>>,
}

/// A paired phone or program, as it was when it decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Phone {
    /// Names it for good: no other one gets this id.
    pub id: String,
    /// Only written down: what it may is not decided by it.
    pub role: String,
}

impl Author {
    /// Names a person; made harmless to show.
    pub fn person(name: &str) -> Self {
        let name = match harmless(name, 64).as_str() {
            "" => "unknown".to_owned(),
            name if name == FIREWALL => format!("user {name}"),
            name => name.to_owned(),
        };
        Self { name, phone: None }
    }

    /// Names a person by their phone.
    pub fn with_phone(name: &str, phone: Phone) -> Self {
        Self { phone: Some(Box::new(phone)), ..Self::person(name) }
    }

    /// The firewall itself.
    pub fn firewall() -> Self {
        Self { name: FIREWALL.to_owned(), phone: None }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.name
    }

    /// With which it was decided.
    pub fn phone(&self) -> Option<&Phone> {
        self.phone.as_deref()
    }
}

/// A decision or change of mode; an entry of the ledger is made of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    pub id: DecisionId,
    /// Seconds since 1970.
    pub at: i64,
    #[serde(flatten)]
    pub by: Author,
    pub what: What,
    /// Set when a later decision undoes this one.
    pub undone: bool,
    /// Of its ledger entry.
    pub hash: crate::ledger::Hash,
}

/// What was decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum What {
    /// The edge as it was before; a new one was pending before.
    Allow {
        before: Box<Edge>,
        created: bool,
        lifetime: Lifetime,
        #[serde(default, skip_serializing_if = "Terms::is_none")]
        terms: Terms,
    },
    Deny {
        before: Box<Edge>,
        created: bool,
        lifetime: Lifetime,
        #[serde(default, skip_serializing_if = "Terms::is_none")]
        terms: Terms,
    },
    Remove {
        before: Box<Edge>,
    },
    Undo {
        decision: DecisionId,
        edge: Option<EdgeId>,
    },
    Mode {
        #[serde(with = "crate::serial::principal")]
        principal: PrincipalId,
        #[serde(with = "crate::serial::mode")]
        from: Mode,
        #[serde(with = "crate::serial::mode")]
        to: Mode,
        why: String,
    },
    SiteMode {
        to: SiteMode,
        why: String,
    },
    Confirm,
    /// The site is somewhere else: the models go on as they are, or all devices learn again.
    Moved {
        learn: bool,
    },
    Pause {
        principal: Option<u32>,
        seconds: u32,
    },
    Set {
        #[serde(with = "crate::serial::principal")]
        principal: PrincipalId,
        detail: String,
    },
    Merge {
        #[serde(with = "crate::serial::principal")]
        from: PrincipalId,
        #[serde(with = "crate::serial::principal")]
        into: PrincipalId,
    },
    Forget {
        #[serde(with = "crate::serial::principal")]
        principal: PrincipalId,
        title: String,
    },
    Import {
        changes: u32,
    },
    /// A device gets new software, or the time for that is over.
    Update {
        #[serde(with = "crate::serial::principal")]
        principal: PrincipalId,
        detail: String,
    },
    /// Nothing of a principal passes, or none of its MQTT connections with one client id.
    Ban {
        #[serde(with = "crate::serial::principal")]
        principal: PrincipalId,
        client: Option<String>,
        seconds: u32,
        why: String,
    },
    /// A ban ends before its time.
    Lift {
        #[serde(with = "crate::serial::principal")]
        principal: PrincipalId,
        client: Option<String>,
    },
}

impl What {
    /// `allow`, `deny`, `undo`, `mode`, `pause`, `learn`, `principal`, `remove`, `import`, `ban` or `lift`.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Allow { .. } => "allow",
            Self::Deny { .. } => "deny",
            Self::Remove { .. } => "remove",
            Self::Undo { .. } => "undo",
            Self::Mode { to: Mode::Learning | Mode::Ready, .. } | Self::Update { .. } => "learn",
            Self::Mode { .. } | Self::SiteMode { .. } | Self::Confirm | Self::Moved { .. } => "mode",
            Self::Pause { .. } => "pause",
            Self::Set { .. } | Self::Merge { .. } | Self::Forget { .. } => "principal",
            Self::Import { .. } => "import",
            Self::Ban { .. } => "ban",
            Self::Lift { .. } => "lift",
        }
    }

    /// The edge it was about, as it was before.
    pub fn edge(&self) -> Option<&Edge> {
        match self {
            Self::Allow { before, .. } | Self::Deny { before, .. } | Self::Remove { before } => Some(before),
            Self::Undo { .. }
            | Self::Mode { .. }
            | Self::SiteMode { .. }
            | Self::Confirm
            | Self::Moved { .. }
            | Self::Pause { .. }
            | Self::Set { .. }
            | Self::Merge { .. }
            | Self::Forget { .. }
            | Self::Import { .. }
            | Self::Update { .. }
            | Self::Ban { .. }
            | Self::Lift { .. } => None,
        }
    }

    /// The principal it was about.
    pub const fn principal(&self) -> Option<PrincipalId> {
        match self {
            Self::Mode { principal, .. }
            | Self::Set { principal, .. }
            | Self::Forget { principal, .. }
            | Self::Update { principal, .. }
            | Self::Ban { principal, .. }
            | Self::Lift { principal, .. } => Some(*principal),
            Self::Merge { into, .. } => Some(*into),
            Self::Pause { principal: Some(principal), .. } => Some(PrincipalId(*principal)),
            Self::Pause { principal: None, .. }
            | Self::Allow { .. }
            | Self::Deny { .. }
            | Self::Remove { .. }
            | Self::Undo { .. }
            | Self::SiteMode { .. }
            | Self::Confirm
            | Self::Moved { .. }
            | Self::Import { .. } => None,
        }
    }

    /// In words: the lifetime of a decision, the mode chosen.
    pub fn detail(&self) -> String {
        match self {
            Self::Allow { lifetime, terms, .. } | Self::Deny { lifetime, terms, .. } => {
                let lifetime = match lifetime {
                    Lifetime::Uses(uses) => format!("{uses} uses"),
                    Lifetime::For(seconds) => format!("for {seconds} s"),
                    Lifetime::Until(unix) => format!("until {unix}"),
                    Lifetime::Once | Lifetime::UntilRestart | Lifetime::Always => {
                        lifetime.as_str().to_owned()
                    }
                };
                lifetime + &terms.detail()
            }
            Self::Remove { .. } => "asked again at its next try".to_owned(),
            Self::Undo { decision, .. } => format!("decision {}", decision.0),
            Self::Mode { from, to, why, .. } => format!("{} to {}: {why}", from.as_str(), to.as_str()),
            Self::SiteMode { to, why } => format!("site to {}: {why}", to.as_str()),
            Self::Confirm => "enforce confirmed".to_owned(),
            Self::Moved { learn: false } => "site moved: all goes on".to_owned(),
            Self::Moved { learn: true } => "site moved: all learn again".to_owned(),
            Self::Pause { seconds, .. } => format!("for {seconds} s"),
            Self::Set { detail, .. } | Self::Update { detail, .. } => detail.clone(),
            Self::Merge { from, into } => format!("{} into {}", from.0, into.0),
            Self::Forget { title, .. } => format!("forgot {title}"),
            Self::Import { changes } => format!("{changes} changes"),
            Self::Ban { client: Some(client), seconds, why, .. } => {
                format!("client id {client} for {seconds} s: {why}")
            }
            Self::Ban { client: None, seconds, why, .. } => format!("for {seconds} s: {why}"),
            Self::Lift { client, .. } => {
                client.as_ref().map_or_else(String::new, |client| format!("client id {client}"))
            }
        }
    }
}

/// Whether anything is dropped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SiteMode {
    /// Everything is judged, nothing dropped.
    #[default]
    Monitor,
    Enforce,
}

impl SiteMode {
    /// The name in every output.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Monitor => "monitor",
            Self::Enforce => "enforce",
        }
    }

    /// The mode with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "monitor" => Some(Self::Monitor),
            "enforce" => Some(Self::Enforce),
            _ => None,
        }
    }
}

/// Why something that a person asked for was not done. Nothing has changed then.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("{0}")]
    NotFound(String),
    /// Somebody was faster, or it has changed since it was shown.
    #[error("{0}")]
    Conflict(String),
    #[error("{0}")]
    Invalid(String),
    /// As `Invalid`, with a code of its own, from which the page makes its text.
    #[error("{text}")]
    Wrong { code: &'static str, text: String },
    #[error("{0}")]
    TooMany(String),
}

impl Refused {
    /// A length of time that is out of range.
    pub(crate) fn duration(text: &str) -> Self {
        Self::Wrong { code: "duration_range", text: text.to_owned() }
    }

    /// `not_found`, `conflict`, `invalid`, `too_many`, or what is wrong.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Wrong { code, .. } => code,
            Self::NotFound(_) => "not_found",
            Self::Conflict(_) => "conflict",
            Self::Invalid(_) => "invalid",
            Self::TooMany(_) => "too_many",
        }
    }
}
