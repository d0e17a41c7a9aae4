//! The whole: facts and decisions in, commands out.

use std::collections::{BTreeMap, VecDeque};

use firewall_common::abi::{Addr, Observed, ObservedKey, PrincipalId};
use firewall_common::precedence::Mode;

use crate::command::Command;
use crate::decision::{Answer, Author, Decision, DecisionId, Lifetime, Refused, SiteMode};
use crate::edge::{Edge, EdgeId};
use crate::explain::{Blocked, Explanation};
use crate::ledger::Head;
use crate::principal::{Place, Principal};
use crate::record::{Record, RestoreError, Site};
use crate::settings::Settings;
use crate::time::Now;

/// An entry of `OBSERVED`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fact {
    pub key: ObservedKey,
    pub value: Observed,
}

/// Addresses that belong to devices of this site: a prefix of a protected link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    pub addr: Addr,
    /// Of 128 bits; IPv4 prefixes count from 96.
    pub prefix: u8,
}

/// An edge as someone writes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spec {
    /// Name, number, MAC or address of a principal.
    pub from: String,
    pub to: String,
    pub plane: String,
    pub verb: String,
    pub object: String,
}

/// Fields of a principal that a person sets; `None` leaves one as it is, an empty text removes it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Patch {
    pub name: Option<String>,
    pub kind: Option<String>,
    pub room: Option<String>,
    pub description: Option<String>,
}

/// What an import did, or would do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImportReport {
    /// One line for each change.
    pub changes: Vec<String>,
}

/// A mistake in a text that someone wants to import.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {message}")]
pub struct Mistake {
    /// Counts from 1.
    pub line: usize,
    pub message: String,
}

/// Edges by state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EdgeCounts {
    pub learned: u64,
    pub allowed: u64,
    pub denied: u64,
    pub pending: u64,
}

/// Principals, edges and decisions of a site.
#[derive(Debug)]
pub struct Graph {
    settings: Settings,
    site: Site,
    rev: u64,
    principals: BTreeMap<PrincipalId, Principal>,
    edges: BTreeMap<EdgeId, Edge>,
    decisions: BTreeMap<DecisionId, Decision>,
    commands: VecDeque<Command>,
}

impl Graph {
    /// A site that has no state yet.
    pub fn new(settings: Settings, now: Now) -> Self {
        let site =
            Site { mode: settings.site_mode, confirm: None, pause: None, born: now, ledger: Head::default() };
        Self {
            settings,
            site,
            rev: 0,
            principals: BTreeMap::new(),
            edges: BTreeMap::new(),
            decisions: BTreeMap::new(),
            commands: VecDeque::new(),
        }
    }

    /// The site as it was stored. The commands that follow write the whole kernel state: what the maps hold beyond is
    /// to be removed. Places are written once [`Graph::handle_port`] names their interface.
    pub fn restore(
        settings: Settings,
        records: impl IntoIterator<Item = Record>,
        now: Now,
    ) -> Result<Self, RestoreError> {
        let _ = records;
        Ok(Self::new(settings, now))
    }

    /// The next thing to do.
    pub fn next_command(&mut self) -> Option<Command> {
        self.commands.pop_front()
    }

    /// When [`Graph::handle_timeout`] wants to be called, in boot-time nanoseconds.
    pub fn poll_timeout(&self, _now: Now) -> Option<u64> {
        None
    }

    // Facts.

    /// A sender that the kernel has no principal for.
    pub fn handle_stranger(&mut self, _place: Place, _now: Now) {}
    /// An entry of `OBSERVED`; counts are those of the entry, so the same entry may come again.
    pub fn handle_observed(&mut self, _fact: &Fact, _now: Now) {}
    /// An address was bound to a device.
    pub fn handle_bound(&mut self, _principal: PrincipalId, _addr: Addr, _now: Now) {}
    /// A port (re)appeared under this interface number.
    pub fn handle_port(&mut self, _name: &str, _ifindex: u32, _now: Now) {}
    /// The prefixes of all protected links.
    pub fn handle_networks(&mut self, _networks: Vec<Network>, _now: Now) {}
    /// What the kernel holds of a counted rule, from `USES`.
    pub fn handle_uses(&mut self, _edge: EdgeId, _left: u64, _now: Now) {}
    /// Time passed.
    pub fn handle_timeout(&mut self, _now: Now) {}

    // People.

    /// Decides about an edge. `rev` is that of the edge as it was shown.
    pub fn decide(
        &mut self,
        _edge: EdgeId,
        _answer: Answer,
        _lifetime: Lifetime,
        _author: &Author,
        _rev: Option<u64>,
        _now: Now,
    ) -> Result<DecisionId, Refused> {
        Err(Refused::NotFound(String::new()))
    }
    /// Decides about an edge that need not exist yet.
    pub fn decide_spec(
        &mut self,
        _spec: &Spec,
        _answer: Answer,
        _lifetime: Lifetime,
        _author: &Author,
        _now: Now,
    ) -> Result<(DecisionId, EdgeId), Refused> {
        Err(Refused::NotFound(String::new()))
    }
    /// Takes an edge out of the model; it is pending at its next try.
    pub fn remove_edge(&mut self, _edge: EdgeId, _author: &Author, _now: Now) -> Result<DecisionId, Refused> {
        Err(Refused::NotFound(String::new()))
    }
    /// Takes back a decision about an edge, or a change of a principal's mode.
    pub fn undo(
        &mut self,
        _decision: DecisionId,
        _author: &Author,
        _now: Now,
    ) -> Result<DecisionId, Refused> {
        Err(Refused::NotFound(String::new()))
    }
    /// Sets name, kind, room or description.
    pub fn set_principal(
        &mut self,
        _id: PrincipalId,
        _patch: &Patch,
        _author: &Author,
        _now: Now,
    ) -> Result<DecisionId, Refused> {
        Err(Refused::NotFound(String::new()))
    }
    /// Makes `from` part of `into`: its places, addresses and edges.
    pub fn merge(
        &mut self,
        _from: PrincipalId,
        _into: PrincipalId,
        _author: &Author,
        _now: Now,
    ) -> Result<DecisionId, Refused> {
        Err(Refused::NotFound(String::new()))
    }
    /// Removes a principal and its edges; a device that is still there is a stranger again.
    pub fn forget(&mut self, _id: PrincipalId, _author: &Author, _now: Now) -> Result<DecisionId, Refused> {
        Err(Refused::NotFound(String::new()))
    }
    /// `new`, `learning`, `enforcing`, `guest` or `quarantine`.
    pub fn set_mode(
        &mut self,
        _id: PrincipalId,
        _mode: Mode,
        _author: &Author,
        _now: Now,
    ) -> Result<DecisionId, Refused> {
        Err(Refused::NotFound(String::new()))
    }
    /// Lets a principal learn (again), or all accepted devices; ends by itself after `seconds`, or by evidence.
    pub fn learn_start(
        &mut self,
        _id: Option<PrincipalId>,
        _seconds: Option<u32>,
        _author: &Author,
        _now: Now,
    ) -> Result<Vec<DecisionId>, Refused> {
        Err(Refused::NotFound(String::new()))
    }
    /// Ends learning and enforces now; without a principal for all that learn.
    pub fn learn_finish(
        &mut self,
        _id: Option<PrincipalId>,
        _author: &Author,
        _now: Now,
    ) -> Result<Vec<DecisionId>, Refused> {
        Err(Refused::NotFound(String::new()))
    }
    /// Drops nothing of a principal, or at the whole site, for so many seconds; 0 ends it.
    pub fn pause(
        &mut self,
        _id: Option<PrincipalId>,
        _seconds: u32,
        _author: &Author,
        _now: Now,
    ) -> Result<DecisionId, Refused> {
        Err(Refused::NotFound(String::new()))
    }
    /// Sets the mode of the site; enforce reverts unless confirmed in time.
    pub fn site_mode(&mut self, _mode: SiteMode, _author: &Author, _now: Now) -> Result<DecisionId, Refused> {
        Err(Refused::NotFound(String::new()))
    }
    /// Confirms the change to enforce.
    pub fn confirm(&mut self, _author: &Author, _now: Now) -> Result<DecisionId, Refused> {
        Err(Refused::NotFound(String::new()))
    }
    /// The model as TOML in stable order.
    pub fn export(&self) -> String {
        String::new()
    }
    /// Makes the model what the text says, edge by edge; what the text does not name stays.
    pub fn import(
        &mut self,
        _text: &str,
        _dry_run: bool,
        _author: &Author,
        _now: Now,
    ) -> Result<ImportReport, Vec<Mistake>> {
        Ok(ImportReport::default())
    }

    // Views.

    /// Grows with every change.
    pub const fn rev(&self) -> u64 {
        self.rev
    }
    /// Mode, pause, confirmation and the end of the ledger.
    pub const fn site(&self) -> &Site {
        &self.site
    }
    /// As it was given.
    pub const fn settings(&self) -> &Settings {
        &self.settings
    }
    /// All principals, by number; the first ones stand for the Internet, the box, and everyone on the link.
    pub fn principals(&self) -> impl Iterator<Item = &Principal> {
        self.principals.values()
    }
    /// One principal.
    pub fn principal(&self, id: PrincipalId) -> Option<&Principal> {
        self.principals.get(&id)
    }
    /// The principal that a person means: by number, owner's name, MAC or address; never by what it calls itself.
    pub fn find(&self, text: &str) -> Result<PrincipalId, Refused> {
        Err(Refused::NotFound(text.to_owned()))
    }
    /// All edges, by number.
    pub fn edges(&self) -> impl Iterator<Item = &Edge> {
        self.edges.values()
    }
    /// One edge.
    pub fn edge(&self, id: EdgeId) -> Option<&Edge> {
        self.edges.get(&id)
    }
    /// Edges of a principal, in either direction, or all, by state.
    pub fn edge_counts(&self, _id: Option<PrincipalId>) -> EdgeCounts {
        EdgeCounts::default()
    }
    /// The decisions that are kept, oldest first.
    pub fn decisions(&self) -> impl DoubleEndedIterator<Item = &Decision> {
        self.decisions.values()
    }
    /// Why an edge has its state.
    pub fn explain(&self, _edge: EdgeId, _now: Now) -> Option<Explanation> {
        None
    }
    /// What was stopped for a principal in the last minutes, newest last.
    pub fn trouble(&self, _id: PrincipalId, _minutes: u32, _now: Now) -> Vec<Blocked> {
        Vec::new()
    }
}
