//! The whole: facts and decisions in, commands out.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use firewall_common::abi::{Addr, Observed, ObservedKey, PrincipalId};
use firewall_common::precedence::Mode;

use crate::command::{Alarm, Command, Event};
use crate::decision::{Author, Decision, DecisionId, Refused, What};
use crate::edge::{Edge, EdgeId, Path, State, Stream};
use crate::ledger::Head;
use crate::principal::{Principal, parse_address, parse_mac};
use crate::record::{Record, Site};
use crate::settings::Settings;
use crate::time::{Deadline, Left, Now};

mod facts;
mod judge;
mod kernel;
mod people;
mod principals;
mod restore;
mod site;
mod stopped;
mod time;

/// Most edges.
pub const EDGES_CAP: usize = firewall_common::abi::capacity::EDGES as usize - EdgeId::FIRST as usize;
/// Most addresses of outside hosts.
pub const HOSTS_CAP: usize = firewall_common::abi::capacity::HOSTS as usize / 2;
/// Most outside hosts: the other numbers are for devices.
pub const OUTSIDE_CAP: usize = PrincipalId::LIMIT as usize / 2;
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
    index: Index,
    /// Prefixes of the protected links.
    networks: Vec<Network>,
    /// Interface numbers by name.
    ports: BTreeMap<String, u32>,
    /// What the kernel was told.
    told: kernel::Told,
    /// What was stopped and is no edge.
    stopped: stopped::Stopped,
    /// Boot-time nanoseconds at which an edge was saved last.
    saved: BTreeMap<EdgeId, u64>,
    /// Counted permissions that did not let a try pass.
    asked_uses: BTreeSet<EdgeId>,
    /// Alarms that were raised and not answered by a person yet.
    alarms: BTreeSet<(Alarm, PrincipalId)>,
    next_edge: u32,
    next_principal: u32,
    commands: VecDeque<Command>,
}

/// Ways to find things.
#[derive(Debug, Default)]
struct Index {
    edges: BTreeMap<Path, EdgeId>,
    from: BTreeMap<PrincipalId, BTreeSet<EdgeId>>,
    to: BTreeMap<PrincipalId, BTreeSet<EdgeId>>,
    /// Edges with a decision that can end by itself.
    temporary: BTreeSet<EdgeId>,
    /// By MAC and VLAN.
    macs: BTreeMap<([u8; 6], u16), PrincipalId>,
    /// Addresses that mean an outside host.
    hosts: BTreeMap<[u8; 16], PrincipalId>,
    /// Addresses that devices hold.
    bound: BTreeMap<[u8; 16], PrincipalId>,
}

impl Graph {
    /// A site that has no state yet.
    pub fn new(settings: Settings, now: Now) -> Self {
        let site =
            Site { mode: settings.site_mode, confirm: None, pause: None, born: now, ledger: Head::default() };
        let mut graph = Self::empty(settings, site, now);
        graph.save_site();
        graph.tell_everything(now);
        graph
    }

    fn empty(settings: Settings, site: Site, now: Now) -> Self {
        let builtin = [
            (PrincipalId::UNKNOWN, Mode::Outside, "Internet"),
            (PrincipalId::SELF, Mode::System, "Edgeward"),
            (PrincipalId::EVERYONE, Mode::System, "Everyone"),
        ]
        .map(|(id, mode, name)| {
            (id, Principal { name: Some(name.to_owned()), ..Principal::new(id, mode, now) })
        });
        Self {
            settings,
            site,
            rev: 0,
            principals: builtin.into_iter().collect(),
            edges: BTreeMap::new(),
            decisions: BTreeMap::new(),
            index: Index::default(),
            networks: Vec::new(),
            ports: BTreeMap::new(),
            told: kernel::Told::default(),
            stopped: stopped::Stopped::default(),
            saved: BTreeMap::new(),
            asked_uses: BTreeSet::new(),
            alarms: BTreeSet::new(),
            next_edge: EdgeId::FIRST,
            next_principal: PrincipalId::FIRST,
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

    /// The principal that a person means: by number, owner's name, MAC or address; never by what it calls itself.
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
        let named =
            |principal: &&Principal| principal.name.as_deref().is_some_and(|name| same_name(name, text));
        if let Some(principal) = self.principals.values().find(named) {
            return Ok(principal.id);
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

    pub(crate) fn find_mac(&self, mac: &str, vlan: u16) -> Result<PrincipalId, String> {
        let parsed = parse_mac(mac).ok_or_else(|| format!("{mac} is not a MAC"))?;
        let id = self.index.macs.get(&(parsed, vlan));
        id.copied().ok_or_else(|| format!("no device with the MAC {mac} in VLAN {vlan} has been seen"))
    }

    // What every change does.

    fn touch(&mut self) -> u64 {
        self.rev += 1;
        self.rev
    }

    fn push(&mut self, command: Command) {
        self.commands.push_back(command);
    }

    fn notify(&mut self, event: Event) {
        self.push(Command::Notify(event));
    }

    fn alarm(&mut self, alarm: Alarm, principal: PrincipalId) {
        if self.alarms.insert((alarm, principal)) {
            self.notify(Event::Alarm { alarm, principal: Some(principal) });
        }
    }

    fn save_edge(&mut self, id: EdgeId, now: Now) {
        if let Some(edge) = self.edges.get(&id) {
            let record = Record::Edge(edge.clone());
            self.saved.insert(id, now.boot_ns);
            self.push(Command::Save(Box::new(record)));
        }
    }

    fn save_principal(&mut self, id: PrincipalId) {
        if let Some(principal) = self.principals.get(&id).filter(|principal| !principal.is_builtin()) {
            let record = Record::Principal(principal.clone());
            self.push(Command::Save(Box::new(record)));
        }
    }

    fn save_site(&mut self) {
        let record = Record::Site(self.site.clone());
        self.push(Command::Save(Box::new(record)));
    }

    /// Writes a decision down: as a record, and as the next entry of the ledger.
    pub(crate) fn record_decision(&mut self, what: What, author: &Author, now: Now) -> DecisionId {
        let body = self.ledger_body(&what, author, now);
        let entry = self.site.ledger.append(&body);
        let id = DecisionId(entry.number);
        let decision =
            Decision { id, at: now.unix, by: author.clone(), what, undone: false, hash: entry.hash };
        self.push(Command::Save(Box::new(Record::Decision(decision.clone()))));
        self.decisions.insert(id, decision);
        if self.decisions.len() > DECISIONS_CAP
            && let Some((oldest, _)) = self.decisions.pop_first()
        {
            self.push(Command::Delete(crate::record::RecordKey::Decision(oldest.0)));
        }
        self.save_site();
        self.push(Command::Ledger(entry));
        id
    }

    /// The number that the next decision gets.
    const fn next_decision(&self) -> DecisionId {
        DecisionId(self.site.ledger.entries + 1)
    }

    fn ledger_body(&self, what: &What, author: &Author, now: Now) -> Vec<u8> {
        #[derive(serde::Serialize)]
        struct Who {
            id: u32,
            title: String,
        }
        #[derive(serde::Serialize)]
        struct Which<'a> {
            id: u32,
            plane: &'a str,
            from: Who,
            to: Who,
            verb: &'a str,
            object: String,
        }
        #[derive(serde::Serialize)]
        struct Body<'a> {
            at: i64,
            clock_synchronised: bool,
            by: &'a str,
            what: &'a str,
            detail: String,
            edge: Option<Which<'a>>,
            principal: Option<Who>,
        }
        let who = |id: PrincipalId| Who {
            id: id.0,
            title: self.principals.get(&id).map_or_else(String::new, Principal::title),
        };
        let body = Body {
            at: now.unix,
            clock_synchronised: now.synchronised,
            by: author.as_str(),
            what: what.as_str(),
            detail: what.detail(),
            edge: what.edge().map(|edge| Which {
                id: edge.id.0,
                plane: edge.path.plane.as_str(),
                from: who(edge.path.src),
                to: who(edge.path.dst),
                verb: edge.path.operation.verb.as_str(),
                object: edge.path.operation.object_text(),
            }),
            principal: what.principal().map(who),
        };
        serde_json::to_vec(&body).expect("texts and numbers are always JSON")
    }

    // Edges in and out of the collections.

    fn insert_edge(&mut self, edge: Edge) {
        let id = edge.id;
        self.index.edges.insert(edge.path.clone(), id);
        self.index.from.entry(edge.path.src).or_default().insert(id);
        self.index.to.entry(edge.path.dst).or_default().insert(id);
        self.edges.insert(id, edge);
    }

    fn take_edge(&mut self, id: EdgeId) -> Option<Edge> {
        let edge = self.edges.remove(&id)?;
        self.index.edges.remove(&edge.path);
        for (index, end) in [(&mut self.index.from, edge.path.src), (&mut self.index.to, edge.path.dst)] {
            if let Some(ids) = index.get_mut(&end) {
                ids.remove(&id);
                if ids.is_empty() {
                    index.remove(&end);
                }
            }
        }
        self.index.temporary.remove(&id);
        Some(edge)
    }

    /// Removes an edge from kernel, disk and memory.
    fn drop_edge(&mut self, id: EdgeId, now: Now) {
        let Some(edge) = self.take_edge(id) else { return };
        self.saved.remove(&id);
        self.asked_uses.remove(&id);
        self.untell_edge(&edge, now);
        self.push(Command::Delete(crate::record::RecordKey::Edge(id.0)));
        self.touch();
        self.notify(Event::EdgeRemoved(id));
    }

    /// Sets the state of an edge in memory only.
    fn set_state(&mut self, id: EdgeId, state: State, now: Now) {
        let rev = self.touch();
        let Some(edge) = self.edges.get_mut(&id) else { return };
        let temporary = matches!(&state, State::Allowed(ruling) | State::Denied(ruling)
            if ruling.lifetime != crate::decision::Lifetime::Always);
        edge.state = state;
        edge.since = now.unix;
        edge.rev = rev;
        if temporary {
            self.index.temporary.insert(id);
        } else {
            self.index.temporary.remove(&id);
        }
    }

    /// The edge with this path.
    pub(crate) fn edge_with(&self, path: &Path) -> Option<&Edge> {
        self.index.edges.get(path).and_then(|id| self.edges.get(id))
    }

    pub(crate) fn stopped_since(
        &self,
        id: PrincipalId,
        unix: i64,
    ) -> impl Iterator<Item = crate::explain::Blocked> {
        self.stopped.since(id, unix)
    }

    pub(crate) fn edges_from(&self, id: PrincipalId) -> impl Iterator<Item = &Edge> {
        self.index.from.get(&id).into_iter().flatten().filter_map(|id| self.edges.get(id))
    }

    pub(crate) fn edges_to(&self, id: PrincipalId) -> impl Iterator<Item = &Edge> {
        self.index.to.get(&id).into_iter().flatten().filter_map(|id| self.edges.get(id))
    }

    /// Edges of both directions.
    fn edges_of(&self, id: PrincipalId) -> Vec<EdgeId> {
        let ids = [&self.index.from, &self.index.to].into_iter().filter_map(|index| index.get(&id));
        ids.flatten().copied().collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// The message edges inside a stream.
    fn messages(&self, stream: Stream) -> impl Iterator<Item = &Edge> {
        self.edges_from(stream.src).filter(move |edge| {
            edge.path.dst == stream.dst && !edge.is_transport() && edge.path.stream() == Some(stream)
        })
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

pub(crate) fn same_name(left: &str, right: &str) -> bool {
    left.to_lowercase() == right.to_lowercase()
}

fn numbers(ids: &[PrincipalId]) -> String {
    ids.iter().map(|id| id.0.to_string()).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests;
