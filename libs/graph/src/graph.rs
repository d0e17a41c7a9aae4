//! The whole: facts and decisions in, commands out.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use firewall_common::abi::{Addr, Observed, ObservedKey, PrincipalId};
use firewall_common::precedence::Mode;

use crate::ban::{Ban, BanId};
use crate::command::{Alarm, Command};
use crate::decision::{Decision, DecisionId, Refused, Terms};
use crate::edge::{Edge, EdgeId, State};
use crate::host::{HostName, PREFIX};
use crate::ledger::Head;
use crate::principal::{Principal, parse_address, parse_mac};
use crate::record::Site;
use crate::settings::Settings;
use crate::table::Table;
use crate::time::{Deadline, Left, Now};

// What comes in.
mod bans;
mod clues;
mod facts;
mod modes;
mod names;
pub(crate) mod people;
mod principals;
mod restore;
mod signs;
mod site;
mod time;
mod unusual;
mod update;

// What follows from it.
mod grow;
mod judge;
mod protocols;
mod room;
mod stopped;

pub(crate) use judge::may_speak;
pub use names::RESOLVED_CAP;
pub(crate) use room::NewHost;
pub use signs::breaks_protocol;

// What goes out.
mod index;
mod keep;
mod kernel;

/// Most decisions that are kept here; the ledger keeps all.
pub const DECISIONS_CAP: usize = 4_096;
/// Most decisions with counted uses at a time.
pub const COUNTED_CAP: usize = firewall_common::abi::capacity::USES as usize;

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
    pub terms: Terms,
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
    /// Of those that pass: on which something is unusual.
    pub flagged: u64,
}

/// Principals, edges and decisions of a site.
#[derive(Clone, Debug)]
pub struct Graph {
    settings: Settings,
    site: Site,
    rev: u64,
    principals: Table<PrincipalId, Principal>,
    edges: Table<EdgeId, Edge>,
    decisions: BTreeMap<DecisionId, Decision>,
    bans: BTreeMap<BanId, Ban>,
    index: index::Index,
    /// Prefixes of the protected links.
    networks: Vec<Network>,
    /// What devices have resolved.
    names: names::Names,
    /// What was unusual lately.
    watch: crate::watch::Watch,
    /// What the kernel was told.
    told: kernel::Told,
    /// What was stopped and is no edge.
    stopped: stopped::Stopped,
    /// Boot-time nanoseconds at which an edge was saved last.
    saved: BTreeMap<EdgeId, u64>,
    /// Counted permissions that did not let a try pass.
    asked_uses: BTreeSet<EdgeId>,
    /// Boot-time nanoseconds at which an alarm was raised last.
    alarms: BTreeMap<(Alarm, PrincipalId), u64>,
    next_edge: u32,
    next_principal: u32,
    next_ban: u32,
    commands: VecDeque<Command>,
}

impl Graph {
    /// A site that has no state yet.
    pub fn new(settings: Settings, now: Now) -> Self {
        let site = Site {
            mode: settings.site_mode,
            confirm: None,
            pause: None,
            born: now,
            ledger: Head::default(),
            knows_names: true,
            networks: Vec::new(),
            routers: Vec::new(),
            moved: None,
            catches_up: None,
        };
        let mut graph = Self::empty(settings, site);
        graph.save_site();
        graph.tell_everything(now);
        graph
    }

    fn empty(settings: Settings, site: Site) -> Self {
        let builtin = [
            (PrincipalId::UNKNOWN, Mode::Outside, "Internet"),
            (PrincipalId::SELF, Mode::System, "Edgeward"),
            (PrincipalId::EVERYONE, Mode::System, "Everyone"),
        ]
        .map(|(id, mode, name)| {
            (id, Principal { name: Some(name.to_owned()), ..Principal::new(id, mode, site.born) })
        });
        Self {
            settings,
            site,
            rev: 0,
            principals: builtin.into_iter().collect(),
            edges: Table::new(),
            decisions: BTreeMap::new(),
            bans: BTreeMap::new(),
            index: index::Index::default(),
            networks: Vec::new(),
            names: names::Names::default(),
            watch: crate::watch::Watch::default(),
            told: kernel::Told::default(),
            stopped: stopped::Stopped::default(),
            saved: BTreeMap::new(),
            asked_uses: BTreeSet::new(),
            alarms: BTreeMap::new(),
            next_edge: EdgeId::FIRST,
            next_principal: PrincipalId::FIRST,
            next_ban: 1,
            commands: VecDeque::new(),
        }
    }

    /// The next thing to do.
    pub fn next_command(&mut self) -> Option<Command> {
        self.commands.pop_front()
    }

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

    /// The edges that are in the model or wait for a decision, by number.
    pub fn edges(&self) -> impl Iterator<Item = &Edge> {
        self.edges.values().filter(|edge| edge.state != State::Lapsed)
    }

    /// One edge, also one whose decision is over.
    pub fn edge(&self, id: EdgeId) -> Option<&Edge> {
        self.edges.get(&id)
    }

    /// The edges of a principal, in either direction, or all, by state.
    pub fn edge_counts(&self, id: Option<PrincipalId>) -> EdgeCounts {
        let mut counts = EdgeCounts::default();
        let of = |edge: &&Edge| id.is_none_or(|id| edge.path.src == id || edge.path.dst == id);
        for edge in self.edges.values().filter(of) {
            counts.flagged += u64::from(edge.is_flagged());
            match edge.state {
                State::Learned => counts.learned += 1,
                State::Allowed(_) => counts.allowed += 1,
                State::Denied(_) => counts.denied += 1,
                State::Pending => counts.pending += 1,
                State::Lapsed => {}
            }
        }
        counts
    }

    /// The decisions that are kept, oldest first.
    pub fn decisions(&self) -> impl DoubleEndedIterator<Item = &Decision> {
        self.decisions.values()
    }

    /// One decision.
    pub fn decision(&self, id: DecisionId) -> Option<&Decision> {
        self.decisions.get(&id)
    }

    /// Whether devices that are seen now for the first time learn.
    pub fn in_first_run(&self, now: Now) -> bool {
        let window = Deadline { from: self.site.born, seconds: self.settings.first_run };
        matches!(window.left(now), Left::At(_))
    }

    /// The principal that a person means: by number, owner's name, MAC, address, or host name behind `name:`; never by
    /// what it calls itself.
    pub fn find(&self, text: &str) -> Result<PrincipalId, Refused> {
        let text = text.trim();
        if let Some(mac) = parse_mac(text) {
            let mut ids: Vec<PrincipalId> =
                self.index.macs.range((mac, 0)..=(mac, u16::MAX)).map(|(_, id)| *id).collect();
            ids.dedup();
            return match ids.as_slice() {
                [id] => Ok(*id),
                [] => Err(Refused::NotFound(format!("No device with the MAC {text} has been seen"))),
                [..] => Err(Refused::Invalid(format!(
                    "{text} is several devices; use a number: {}",
                    numbers(&ids)
                ))),
            };
        }
        if let Some(addr) = parse_address(text) {
            let id = self.index.bound.get(&addr.0).or_else(|| self.index.hosts.get(&addr.0));
            return id
                .copied()
                .ok_or_else(|| Refused::NotFound(format!("Nobody with the address {text} has been seen")));
        }
        if let Some(name) = text.strip_prefix(PREFIX) {
            return self.find_host(name);
        }
        if let Ok(number) = text.parse() {
            let id = PrincipalId(number);
            let known = self.principals.contains_key(&id);
            return known
                .then_some(id)
                .ok_or_else(|| Refused::NotFound(format!("There is no principal {number}")));
        }
        if let Some(id) = builtin_by_name(text) {
            return Ok(id);
        }
        if let Some(id) = self.index.with_name(text) {
            return Ok(id);
        }
        // Only behind the names that the owner gave, and never one that could be such a name.
        if text.contains('.')
            && let Ok(id) = self.find_host(text)
        {
            return Ok(id);
        }
        let hinted: Vec<PrincipalId> = self
            .principals
            .values()
            .filter(|principal| principal.hint.as_ref().is_some_and(|hint| same_name(&hint.0, text)))
            .map(|principal| principal.id)
            .collect();
        Err(Refused::NotFound(if hinted.is_empty() {
            format!("No principal has the name {text}; `edgeward principals list` shows all")
        } else {
            format!(
                "Nobody was given the name {text}, but {} calls itself so; use the number",
                numbers(&hinted)
            )
        }))
    }

    fn find_host(&self, text: &str) -> Result<PrincipalId, Refused> {
        let name =
            HostName::parse_pattern(text).map_err(|error| Refused::Invalid(format!("{text}: {error}")))?;
        let id = self.index.named.get(&name);
        id.copied().ok_or_else(|| Refused::NotFound(format!("No host with the name {name} has been seen")))
    }

    /// The devices with a MAC, in whichever VLAN.
    pub fn with_mac(&self, mac: [u8; 6]) -> impl Iterator<Item = &Principal> {
        let ids = self.index.macs.range((mac, 0)..=(mac, u16::MAX)).map(|(_, id)| id);
        ids.filter_map(|id| self.principals.get(id))
    }

    pub(crate) fn find_mac(&self, mac: &str, vlan: u16) -> Result<PrincipalId, String> {
        let parsed = parse_mac(mac).ok_or_else(|| format!("{mac} is not a MAC"))?;
        let id = self.index.macs.get(&(parsed, vlan));
        id.copied().ok_or_else(|| format!("no device with the MAC {mac} in VLAN {vlan} has been seen"))
    }

    pub(crate) fn stopped_since(
        &self,
        id: PrincipalId,
        unix: i64,
    ) -> impl Iterator<Item = crate::explain::Blocked> {
        self.stopped.since(id, unix)
    }
}

impl Network {
    /// Whether the address lies in it.
    pub fn contains(&self, addr: Addr) -> bool {
        let mask = u128::MAX.checked_shl(128 - u32::from(self.prefix.min(128))).unwrap_or(0);
        u128::from_be_bytes(addr.0) & mask == u128::from_be_bytes(self.addr.0) & mask
    }
}

fn builtin_by_name(text: &str) -> Option<PrincipalId> {
    let names = [
        ("internet", PrincipalId::UNKNOWN),
        ("self", PrincipalId::SELF),
        ("edgeward", PrincipalId::SELF),
        ("everyone", PrincipalId::EVERYONE),
    ];
    names.into_iter().find(|(name, _)| same_name(name, text)).map(|(_, id)| id)
}

/// Whether two names are taken for the same one.
pub fn same_name(left: &str, right: &str) -> bool {
    left.to_lowercase() == right.to_lowercase()
}

fn numbers(ids: &[PrincipalId]) -> String {
    ids.iter().map(|id| id.0.to_string()).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests;
