//! What was seen on an edge.

use std::fmt::Write as _;

use firewall_common::abi::{PrincipalId, Protocol};
use firewall_common::precedence::Mode;
use firewall_common::reason::{Reason, Verdict};

use super::quoted;
use crate::edge::{Edge, Property};
use crate::graph::Graph;
use crate::operation::{Object, Operation};
use crate::principal::{Principal, show_address, show_mac};
use crate::usual::Flag;

/// Seconds between two things that happen at about the same time.
const MEANWHILE: u64 = 60;

/// A fact that was seen on the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Evidence {
    /// Something unusual, and what is usual.
    Unusual(Flag),
    /// Seconds after which it usually comes again.
    Period {
        seconds: u32,
    },
    Tries {
        count: u64,
    },
    /// When it was tried last, in seconds since 1970, the oldest first.
    Times {
        at: Vec<i64>,
    },
    /// Whether others in the network could read it, where that is known.
    Encrypted {
        yes: bool,
    },
    /// Since when the source is held to its habits, in seconds since 1970.
    HeldSince {
        at: i64,
    },
    /// Another device reached the same target at about that time.
    Meanwhile {
        who: PrincipalId,
        target: PrincipalId,
        at: i64,
    },
    /// What became of the last one.
    Verdict {
        verdict: Verdict,
        reason: Reason,
    },
    /// Where an end is.
    Whereabouts {
        side: Side,
        who: PrincipalId,
    },
    /// The client id belongs to another device at the same broker.
    ClientTaken,
    /// Who has subscribed to what is published.
    Subscribed {
        who: PrincipalId,
    },
}

/// An end of an edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    From,
    To,
}

impl Side {
    /// The name in every output.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::From => "from",
            Self::To => "to",
        }
    }
}

impl Graph {
    pub(super) fn evidence(&self, edge: &Edge) -> Vec<Evidence> {
        let mut facts = Vec::new();
        facts.extend(edge.flag.as_deref().cloned().map(Evidence::Unusual));
        let period = edge.usual.as_ref().and_then(|usual| usual.period());
        facts.extend(period.map(|seconds| Evidence::Period { seconds }));
        if edge.tries > 0 {
            facts.push(Evidence::Tries { count: edge.tries });
        }
        if !edge.latest.is_empty() {
            facts.push(Evidence::Times { at: edge.latest.clone() });
        }
        facts.extend(is_encrypted(&edge.path.operation).map(|yes| Evidence::Encrypted { yes }));
        let source = self.principal(edge.path.src).filter(|source| source.mode == Mode::Enforcing);
        let is_about_habits = matches!(
            edge.violated,
            Some(Property::OpNotInModel | Property::EdgeNotInModel | Property::DestNew | Property::Protocol)
        );
        facts.extend(
            source.filter(|_| is_about_habits).map(|source| Evidence::HeldSince { at: source.since }),
        );
        facts.extend(self.meanwhile(edge));
        if let (Some(verdict), Some(reason)) = (edge.verdict, edge.reason) {
            facts.push(Evidence::Verdict { verdict, reason });
        }
        for (side, who) in [(Side::From, edge.path.src), (Side::To, edge.path.dst)] {
            if self.principal(who).is_some() {
                facts.push(Evidence::Whereabouts { side, who });
            }
        }
        let is_client = matches!(edge.path.operation.object, Object::Client { .. });
        if is_client && edge.violated == Some(Property::ClientTaken) {
            facts.push(Evidence::ClientTaken);
        }
        facts.extend(self.beneficiaries(&edge.path).into_iter().map(|who| Evidence::Subscribed { who }));
        facts
    }

    /// Who else reached the target of an edge, or sent there what it would have, when it was tried last.
    fn meanwhile(&self, edge: &Edge) -> Option<Evidence> {
        let tried = edge.last_seen?;
        let receivers = self.beneficiaries(&edge.path);
        let is_there = |other: &Edge| {
            let is_same = other.path.dst == edge.path.dst && other.path.operation == edge.path.operation;
            is_same
                || receivers.contains(&other.path.dst)
                || (receivers.is_empty() && other.path.dst == edge.path.dst)
        };
        let is_device = |id| self.principal(id).is_some_and(Principal::is_device);
        let (other, at) = self
            .edges()
            .filter(|other| other.path.src != edge.path.src && is_device(other.path.src) && is_there(other))
            .filter(|other| other.verdict == Some(Verdict::Forwarded))
            .filter_map(|other| Some((other, other.last_seen?)))
            .filter(|(_, at)| at.abs_diff(tried) <= MEANWHILE)
            .min_by_key(|(other, at)| (at.abs_diff(tried), other.id))?;
        let target = receivers.first().copied().unwrap_or(edge.path.dst);
        Some(Evidence::Meanwhile { who: other.path.src, target, at })
    }

    /// A fact in plain English, a line for each part.
    pub fn evidence_in_words(&self, evidence: &Evidence) -> Vec<String> {
        let one = |line: String| vec![line];
        match evidence {
            Evidence::Unusual(flag) => {
                vec![format!("usual: {}", flag.usual_words()), format!("seen: {}", flag.seen_words())]
            }
            Evidence::Period { seconds } => {
                one(format!("it usually comes round every {}", duration(*seconds)))
            }
            Evidence::Tries { count } => one(format!("{count} tries")),
            Evidence::Times { at } => one(format!("last tries {}", times(at))),
            Evidence::Encrypted { yes: true } => one("it is encrypted".to_owned()),
            Evidence::Encrypted { yes: false } => one("it is not encrypted".to_owned()),
            Evidence::HeldSince { at } => {
                one(format!("its source is held to its habits since {}", times(&[*at])))
            }
            Evidence::Meanwhile { who, target, at } => one(format!(
                "{} reached {} at {}",
                self.title_of(*who),
                self.title_of(*target),
                times(&[*at])
            )),
            Evidence::Verdict { verdict, reason } => {
                one(format!("last verdict {} ({})", verdict.as_str(), reason.as_str()))
            }
            Evidence::Whereabouts { side, who } => {
                let at = self.principal(*who).map(whereabouts);
                at.map(|at| format!("{} {at}", side.as_str())).into_iter().collect()
            }
            Evidence::ClientTaken => {
                one("this client id belongs to another device at the same broker".to_owned())
            }
            Evidence::Subscribed { who } => one(format!("{} has subscribed to it", self.title_of(*who))),
        }
    }
}

/// What is known of a protocol; of what nobody has recognised nothing is.
fn is_encrypted(operation: &Operation) -> Option<bool> {
    match operation.protocol()? {
        Protocol::Tls | Protocol::Dtls | Protocol::Quic => Some(true),
        Protocol::Mqtt
        | Protocol::Http
        | Protocol::Modbus
        | Protocol::Coap
        | Protocol::Dns
        | Protocol::Ntp
        | Protocol::Ssdp
        | Protocol::Websocket => Some(false),
        Protocol::Opaque => None,
    }
}

/// `14:02:11, 14:03:09 UTC`.
fn times(at: &[i64]) -> String {
    let clock = |at: &i64| {
        let second = at.rem_euclid(86_400);
        format!("{:02}:{:02}:{:02}", second / 3_600, second / 60 % 60, second % 60)
    };
    let times: Vec<String> = at.iter().map(clock).collect();
    format!("{} UTC", times.join(", "))
}

/// `15 min`.
fn duration(seconds: u32) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", (seconds + 30) / 60),
        7_200..172_800 => format!("{} h", (seconds + 1_800) / 3_600),
        _ => format!("{} days", (seconds + 43_200) / 86_400),
    }
}

fn whereabouts(principal: &Principal) -> String {
    let mut text = quoted(principal);
    if let Some(place) = principal.places.first() {
        let _ = write!(text, ", {} on port {}", show_mac(place.mac), place.port);
    }
    let addresses: Vec<String> = principal.addresses.iter().take(4).map(|addr| show_address(*addr)).collect();
    if !addresses.is_empty() {
        let _ = write!(text, ", {}", addresses.join(" "));
    }
    text
}
