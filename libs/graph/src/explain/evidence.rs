//! What was seen on an edge.

use std::fmt::Write as _;

use firewall_common::abi::PrincipalId;
use firewall_common::reason::{Reason, Verdict};

use super::quoted;
use crate::edge::{Edge, Property};
use crate::graph::Graph;
use crate::operation::Object;
use crate::principal::{Principal, show_address, show_mac};
use crate::usual::Flag;

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
