//! What the kernel noticed: bells at once, and everything else by reading the maps each second.
//!
//! A bell only says where to look, so one that was lost is made up for by the next reading.

use std::{collections::HashMap, time::Duration};

use firewall_common::abi::{
    AddrKey, Bell, Kind, LinkKey, OBSERVED_PER_SOURCE, Observed, ObservedKey, PrincipalId, Ring, Shown,
    capacity,
};
use graph::{
    Graph, Now,
    edge::{EdgeId, Path},
    graph::Fact,
    principal::Place,
};

use super::{
    names::Names,
    packets::Firsts,
    ports::Ports,
    tables::{Tables, bytes},
    traffic::Traffic,
};
use crate::kernel::KernelError;

/// An entry that was quiet for so long goes; if it comes back, it is a new entry.
const QUIET_NS: u64 = 600 * 1_000_000_000;
/// Share of the table, and of one source's part, above which the quietest entries go early.
const PRESSURE: (u64, u64) = (3, 4);

/// What the graph was told already.
#[derive(Debug)]
pub(super) struct Observer {
    pub(super) names: Names,
    pub(super) firsts: Firsts,
    pub(super) traffic: Traffic,
    /// Count that the graph knows, by key.
    told: HashMap<Vec<u8>, u64>,
    /// Who holds an address, as the graph knows it.
    bound: HashMap<Vec<u8>, PrincipalId>,
    /// When the meters were read last, in boot-time nanoseconds.
    metered: u64,
}

impl Observer {
    /// The graph was told nothing yet.
    pub(super) fn new(names: Names) -> Self {
        Self {
            names,
            firsts: Firsts::default(),
            traffic: Traffic::default(),
            told: HashMap::new(),
            bound: HashMap::new(),
            metered: 0,
        }
    }

    /// Looks where a bell says.
    pub(super) fn handle_bell(
        &mut self,
        bell: &Bell,
        tables: &Tables,
        ports: &Ports,
        graph: &mut Graph,
        now: Now,
    ) -> Result<(), KernelError> {
        match bell.ring {
            ring if ring == Ring::Observed as u8 => {
                if let Some(value) = tables.maps.observed.get(&bell.key)? {
                    self.tell(&bell.key, &value, tables, graph, now)?;
                }
            }
            ring if ring == Ring::Stranger as u8 => {
                let mut mac = [0; 6];
                mac.copy_from_slice(&bell.key.addr.0[..6]);
                let key = LinkKey { ifindex: bell.key.edge.src.0, mac, vlan: bell.key.edge.port };
                tell_stranger(key, ports, graph, now);
            }
            ring if ring == Ring::Bound as u8 => graph.handle_bound(bell.key.edge.src, bell.key.addr, now),
            unknown => tracing::debug!(unknown, "A bell of an unknown kind"),
        }
        Ok(())
    }

    /// Keeps the first frame of something that waits for a decision.
    pub(super) fn handle_shown(
        &mut self,
        shown: &Shown,
        tables: &Tables,
        graph: &Graph,
        now: Now,
    ) -> Result<(), KernelError> {
        let Some(value) = tables.maps.observed.get(&shown.key)? else { return Ok(()) };
        let edge = graph.edge_of(&Fact { key: shown.key, value }, now).and_then(|id| graph.edge(id));
        if let Some(edge) = edge {
            self.firsts.keep(edge, shown, now);
        }
        Ok(())
    }

    /// Reads everything that may have changed without a bell, and removes what is no longer needed.
    pub(super) fn scan(
        &mut self,
        tables: &mut Tables,
        ports: &Ports,
        graph: &mut Graph,
        now: Now,
    ) -> Result<(), KernelError> {
        for (key, stranger) in tables.maps.strangers.entries()? {
            if is_quiet(stranger.last, now) {
                tables.maps.strangers.remove(&key)?;
            } else {
                tell_stranger(key, ports, graph, now);
            }
        }
        let mut observed = tables.maps.observed.entries()?;
        // A name before the address that it means, a connection before what is said on it.
        observed.sort_by_key(|(key, _)| (key.edge.kind != Kind::Resolve as u8, key.edge.kind));
        for (key, value) in &observed {
            if self.told.get(&bytes(key)) != Some(&value.count) {
                self.tell(key, value, tables, graph, now)?;
            }
        }
        self.read_bindings(tables, graph, now)?;
        self.read_meters(tables, graph, now)?;
        for rule in tables.counted_rules() {
            if let Some(left) = tables.maps.uses.get(&rule)? {
                graph.handle_uses(EdgeId(rule.0), left, now);
            }
        }
        self.drain(observed, tables, now)
    }

    /// Forgets what was observed of an edge that is in the model now: if it is taken out again, its next try is news, and
    /// the kernel rings for it.
    pub(super) fn forget(&mut self, path: &Path, tables: &mut Tables) -> Result<(), KernelError> {
        let (kind, transport) = (path.operation.kind(), path.transport());
        for key in tables.maps.observed.keys()? {
            let edge = key.edge;
            let is_between =
                edge.src == path.src && (edge.dst == path.dst || edge.dst == PrincipalId::UNKNOWN);
            let is_there = edge.port == transport.port && edge.proto == transport.proto;
            // All names share one edge: one that the graph was not told of yet is still news.
            let is_told = kind != Kind::Resolve || self.told.contains_key(&bytes(&key));
            if is_between && edge.kind == kind as u8 && is_there && is_told {
                tables.maps.observed.remove(&key)?;
                self.told.remove(&bytes(&key));
                drained(key.edge.src, tables)?;
            }
        }
        Ok(())
    }

    fn tell(
        &mut self,
        key: &ObservedKey,
        value: &Observed,
        tables: &Tables,
        graph: &mut Graph,
        now: Now,
    ) -> Result<(), KernelError> {
        self.told.insert(bytes(key), value.count);
        if key.edge.kind == Kind::Resolve as u8 {
            self.names.hear(value);
        } else {
            self.names.tell(key, tables, graph, now)?;
        }
        graph.handle_observed(&Fact { key: *key, value: *value }, now);
        Ok(())
    }

    fn read_bindings(&mut self, tables: &Tables, graph: &mut Graph, now: Now) -> Result<(), KernelError> {
        let bindings = tables.maps.bindings.entries()?;
        let mut bound = HashMap::with_capacity(bindings.len());
        for (AddrKey { addr, link }, binding) in bindings {
            let Some(principal) = tables.principal_of(binding.owner) else { continue };
            let key = bytes(&AddrKey { addr, link });
            if self.bound.get(&key) != Some(&principal) {
                graph.handle_bound(principal, addr, now);
            }
            bound.insert(key, principal);
        }
        self.bound = bound;
        Ok(())
    }

    /// Tells what edges have carried in the window that has ended.
    fn read_meters(&mut self, tables: &mut Tables, graph: &mut Graph, now: Now) -> Result<(), KernelError> {
        let elapsed = now.boot_ns.saturating_sub(self.metered);
        if elapsed < graph.settings().window * 1_000_000_000 {
            return Ok(());
        }
        self.metered = now.boot_ns;
        for (edge, metered) in tables.metered()? {
            if let Some(known) = graph.edge(edge) {
                self.traffic.note(edge, known.path.src, metered.bytes(), now);
            }
            graph.handle_metered(edge, &metered, Duration::from_nanos(elapsed), now);
        }
        Ok(())
    }

    /// Removes entries that have been told and were quiet for long, or that stand in the way of newer ones.
    fn drain(
        &mut self,
        mut observed: Vec<(ObservedKey, Observed)>,
        tables: &mut Tables,
        now: Now,
    ) -> Result<(), KernelError> {
        observed.sort_by_key(|(_, value)| value.last);
        let (share, of) = PRESSURE;
        let mut left = observed.len() as u64;
        let mut per_source: HashMap<PrincipalId, u64> = HashMap::new();
        for (key, _) in &observed {
            *per_source.entry(key.edge.src).or_default() += 1;
        }
        for (key, value) in observed {
            let source = per_source.entry(key.edge.src).or_default();
            let is_quiet = is_quiet(value.last, now);
            let is_tight = left > u64::from(capacity::OBSERVED) * share / of;
            let is_greedy = *source > OBSERVED_PER_SOURCE * share / of;
            if !(is_quiet || is_tight || is_greedy) {
                continue;
            }
            // What was counted since the reading is lost with the entry, so only settled ones go early.
            if !is_quiet && tables.maps.observed.get(&key)?.is_some_and(|now| now.count != value.count) {
                continue;
            }
            tables.maps.observed.remove(&key)?;
            drained(key.edge.src, tables)?;
            self.told.remove(&bytes(&key));
            left -= 1;
            *source -= 1;
        }
        Ok(())
    }
}

fn is_quiet(last: u64, now: Now) -> bool {
    last.saturating_add(QUIET_NS) < now.boot_ns
}

/// Gives back one place of a source's quota.
fn drained(source: PrincipalId, tables: &mut Tables) -> Result<(), KernelError> {
    if source.0 < PrincipalId::LIMIT {
        let drained = tables.maps.drained.get(source.0)?;
        tables.maps.drained.put(source.0, &(drained + 1))?;
    }
    Ok(())
}

fn tell_stranger(key: LinkKey, ports: &Ports, graph: &mut Graph, now: Now) {
    // A port that went in between: its senders are told again when it is back.
    let Some(port) = ports.name(key.ifindex) else { return };
    let place = Place { port: port.to_string(), ifindex: key.ifindex, vlan: key.vlan, mac: key.mac };
    graph.handle_stranger(place, now);
}
