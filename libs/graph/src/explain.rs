//! Why an edge has its state, in words that a page and a command line print.

use firewall_common::abi::PrincipalId;
use firewall_common::reason::{Reason, Verdict};

use crate::edge::{EdgeId, Property};
use crate::operation::Verb;

/// How bad it would be if it passed (rules, not a score).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Risk {
    Low,
    Medium,
    High,
}

impl Risk {
    /// The name in every output.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }
}

/// Why an edge has its state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// The row of the precedence table that decides, in words.
    pub because: String,
    pub violated: Option<Property>,
    pub risk: Risk,
    /// Who would receive what is published.
    pub beneficiaries: Vec<PrincipalId>,
    /// What the source normally does, most frequent first.
    pub habits: Vec<String>,
    /// Facts seen on the wire.
    pub evidence: Vec<String>,
}

/// Something that was stopped for a principal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blocked {
    /// Seconds since 1970, of the last one.
    pub at: i64,
    pub verdict: Option<Verdict>,
    pub reason: Option<Reason>,
    pub edge: Option<EdgeId>,
    pub src: PrincipalId,
    pub dst: PrincipalId,
    pub verb: Option<Verb>,
    pub object: String,
    pub count: u64,
}
