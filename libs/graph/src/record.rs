//! What is stored, so that [`Graph::restore`](crate::Graph::restore) finds everything again.

use serde::{Deserialize, Serialize};

use crate::ban::Ban;
use crate::decision::{Decision, SiteMode};
use crate::edge::Edge;
use crate::ledger::Head;
use crate::principal::Principal;
use crate::time::{Deadline, Stamp};

/// One stored thing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Record {
    Site(Site),
    Principal(Principal),
    Edge(Edge),
    Decision(Decision),
    Ban(Ban),
}

/// Where a record is stored: a later one with the same key replaces it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RecordKey {
    Site,
    Principal(u32),
    Edge(u32),
    Decision(u64),
    Ban(u32),
}

impl Record {
    /// Where it is stored.
    pub const fn key(&self) -> RecordKey {
        match self {
            Self::Site(_) => RecordKey::Site,
            Self::Principal(principal) => RecordKey::Principal(principal.id.0),
            Self::Edge(edge) => RecordKey::Edge(edge.id.0),
            Self::Decision(decision) => RecordKey::Decision(decision.id.0),
            Self::Ban(ban) => RecordKey::Ban(ban.id.0),
        }
    }
}

/// What there is once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Site {
    pub mode: SiteMode,
    /// End of the time in which a change to enforce must be confirmed.
    pub confirm: Option<Deadline>,
    pub pause: Option<Deadline>,
    /// The first start.
    pub born: Stamp,
    /// End of the ledger.
    pub ledger: Head,
    /// Whether the names that devices ask for are edges; a state of before does not say so.
    #[serde(default)]
    pub knows_names: bool,
    /// IPv4 networks of the devices, where the site was last: address and bits of 128.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub networks: Vec<([u8; 16], u8)>,
    /// Routers to the Internet that were here, the newest last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub routers: Vec<[u8; 6]>,
    /// Since when, in seconds since 1970, it is somewhere else and nobody has said what that means.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub moved: Option<i64>,
    /// Until then a device that has enforced since before that learns the names that it asks for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub catches_up: Option<Deadline>,
}

/// Why records do not make a graph.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RestoreError {
    #[error("the stored state has no record of the site")]
    NoSite,
    #[error("the stored state has {0:?} twice")]
    Twice(RecordKey),
    #[error("the stored edge {edge} leads to the principal {principal}, which is not stored")]
    NoPrincipal { edge: u32, principal: u32 },
    #[error("the number of {0:?} is out of range")]
    Number(RecordKey),
    #[error("the stored edges {0} and {1} are the same edge")]
    SameEdge(u32, u32),
    #[error("two stored principals share an address or a place: {0} and {1}")]
    SamePlace(u32, u32),
}
