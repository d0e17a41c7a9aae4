//! Names that devices have asked for: the texts behind the kernel's hashes, and what is kept over a restart of the box.
//!
//! The kernel binds addresses to hashes of names. A fact about an address is told to the graph behind what the address
//! means to its device, so what is learned and asked about has a name.

use std::collections::{HashMap, HashSet};

use anyhow::Result;
use firewall_common::{
    abi::{
        Addr, AskedName, HashKeyBytes, KnownName, NameKey, OTHER_NAMES, Observed, ObservedKey, PrincipalId,
        Resolved, ResolvedKey,
    },
    hash::{HashKey, hash},
};
use graph::{Graph, Now, host::HostName};
use serde::{Deserialize, Serialize};

use super::tables::Tables;
use crate::{
    kernel::KernelError,
    store::{Change, Entries},
};

/// How often what the kernel holds is compared with what is stored.
const SAVE_EVERY_NS: u64 = 60 * SECOND;
/// How soon it is when there is a new name.
const SAVE_SOON_NS: u64 = 5 * SECOND;
/// The end of a binding is stored with this precision, so that use alone seldom writes.
const PRECISION: i64 = 6 * 3_600;
/// How long a stored binding holds where nobody knows how late it is.
const UNSURE_NS: u64 = 3_600 * SECOND;
/// Most texts; beyond, those that no map refers to go with the next comparison.
const TEXTS_CAP: usize = 16_384;
const SECOND: u64 = 1_000_000_000;

/// What is stored, by what it is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum About {
    /// An address that a device knows by name.
    Resolved { device: u32, addr: [u8; 16] },
    /// A name that a device asked for while it learned.
    Learned { device: u32, name: HostName },
}

/// By which name, until when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Until {
    name: HostName,
    /// Seconds since 1970.
    unix: i64,
    /// Whether that was certain when it was written.
    synchronised: bool,
}

/// The texts of names, and what is stored.
#[derive(Debug)]
pub(super) struct Names {
    key: HashKeyBytes,
    texts: HashMap<u64, HostName>,
    stored: HashMap<Vec<u8>, Vec<u8>>,
    /// Boot-time nanoseconds.
    due: u64,
}

impl Names {
    /// Nothing was asked for yet.
    pub(super) fn new(key: HashKey) -> Self {
        Self { key: HashKeyBytes(key), texts: HashMap::new(), stored: HashMap::new(), due: 0 }
    }

    /// Takes up what was stored; what the kernel has lost since with a restart of the box is written back.
    pub(super) fn restore(
        &mut self,
        stored: Entries,
        tables: &mut Tables,
        graph: &Graph,
        now: Now,
    ) -> Result<()> {
        for host in graph.principals().filter_map(|principal| principal.host.as_ref()) {
            if !host.is_pattern() {
                self.note(host.clone());
            }
        }
        for (key, value) in stored {
            // What cannot be read is written anew, or learned again.
            if let Ok(about) = serde_json::from_slice(&key) {
                self.restore_one(&about, &value, tables, graph, now)?;
            }
            self.stored.insert(key, value);
        }
        Ok(())
    }

    fn restore_one(
        &mut self,
        about: &About,
        value: &[u8],
        tables: &mut Tables,
        graph: &Graph,
        now: Now,
    ) -> Result<()> {
        let is_device =
            |id: u32| graph.principal(PrincipalId(id)).is_some_and(graph::principal::Principal::is_device);
        match about {
            About::Learned { device, name } if is_device(*device) => {
                let hash = self.note(name.clone());
                let key = NameKey { name: hash, principal: PrincipalId(*device), _pad: 0 };
                if tables.maps.names.get(&key)?.is_none() {
                    let asked = AskedName { via: self.via(name, tables)?, learned: 1, _pad: 0 };
                    tables.maps.names.put(&key, &asked)?;
                }
            }
            About::Resolved { device, addr } if is_device(*device) => {
                let Ok(until) = serde_json::from_slice::<Until>(value) else { return Ok(()) };
                let hash = self.note(until.name.clone());
                let key = ResolvedKey { addr: Addr(*addr), device: PrincipalId(*device) };
                let Some(ends) = ends(&until, now) else { return Ok(()) };
                if tables.maps.resolved.get(&key)?.is_none() {
                    let latest = KnownName { name: hash, via: self.via(&until.name, tables)? };
                    let born = tables.maps.usage.get(*device)?.resolved;
                    let binding = Resolved { latest, until: ends, born, others: [0; OTHER_NAMES] };
                    tables.maps.resolved.put(&key, &binding)?;
                }
            }
            About::Learned { .. } | About::Resolved { .. } => {}
        }
        Ok(())
    }

    /// Where `NAMED` has a name, as the kernel finds it.
    fn via(&self, name: &HostName, tables: &Tables) -> Result<u64, KernelError> {
        let text = name.as_str();
        let exact = hash(text.as_bytes(), &self.key.0);
        let below = std::iter::once(format!(".{text}"))
            .chain(text.match_indices('.').map(|(at, _)| text[at..].to_owned()))
            .map(|suffix| hash(suffix.as_bytes(), &self.key.0));
        for key in std::iter::once(exact).chain(below) {
            if tables.maps.named.get(&key)?.is_some() {
                return Ok(key);
            }
        }
        Ok(exact)
    }

    fn note(&mut self, name: HostName) -> u64 {
        let hash = hash(name.as_str().as_bytes(), &self.key.0);
        if self.texts.len() < TEXTS_CAP {
            self.texts.insert(hash, name);
        }
        hash
    }

    /// Remembers the name that a question was about.
    pub(super) fn hear(&mut self, value: &Observed) {
        let text = value.object.get(..usize::from(value.object_len)).unwrap_or_default();
        if let Some(name) = std::str::from_utf8(text).ok().and_then(|text| HostName::parse(text).ok()) {
            if !self.texts.contains_key(&hash(name.as_str().as_bytes(), &self.key.0)) {
                self.due = self.due.min(value.last.saturating_add(SAVE_SOON_NS));
            }
            self.note(name);
        }
    }

    /// Tells the graph what the address of a fact means to its source.
    pub(super) fn tell(
        &self,
        key: &ObservedKey,
        tables: &Tables,
        graph: &mut Graph,
        now: Now,
    ) -> Result<(), KernelError> {
        let (src, dst) = (key.edge.src, key.edge.dst);
        if src.0 < PrincipalId::FIRST {
            return Ok(());
        }
        if dst == PrincipalId::UNKNOWN {
            let known = tables.maps.resolved.get(&ResolvedKey { addr: key.addr, device: src })?;
            let known = known.filter(|known| known.until > now.boot_ns);
            if let Some(name) = known.and_then(|known| self.texts.get(&known.latest.name)) {
                graph.handle_resolved(src, name, &[key.addr], now);
            }
            return Ok(());
        }
        // Somebody else's domain: which of its names the source means is not in the fact.
        let is_domain = |host: &HostName| host.is_pattern();
        if graph.principal(dst).and_then(|principal| principal.host.as_ref()).is_some_and(is_domain) {
            for (resolved, known) in tables.maps.resolved.entries()? {
                let name = self.texts.get(&known.latest.name).filter(|_| resolved.device == src);
                if let Some(name) = name.filter(|_| known.until > now.boot_ns) {
                    graph.handle_resolved(src, name, &[resolved.addr], now);
                }
            }
        }
        Ok(())
    }

    /// What has changed since the last comparison, if one is due.
    pub(super) fn changes(&mut self, tables: &Tables, now: Now) -> Result<Vec<Change>> {
        if now.boot_ns < self.due {
            return Ok(Vec::new());
        }
        self.all_changes(tables, now)
    }

    /// What has changed since the last comparison.
    pub(super) fn all_changes(&mut self, tables: &Tables, now: Now) -> Result<Vec<Change>> {
        self.due = now.boot_ns.saturating_add(SAVE_EVERY_NS);
        let mut used = HashSet::new();
        let mut held = HashMap::new();
        for (ResolvedKey { addr, device }, binding) in tables.maps.resolved.entries()? {
            used.insert(binding.latest.name);
            let Some(name) = self.texts.get(&binding.latest.name) else { continue };
            if binding.until <= now.boot_ns {
                continue;
            }
            let unix = now.unix_at(binding.until);
            let unix = unix - unix.rem_euclid(PRECISION);
            let until = Until { name: name.clone(), unix, synchronised: now.synchronised };
            let about = About::Resolved { device: device.0, addr: addr.0 };
            held.insert(serde_json::to_vec(&about)?, serde_json::to_vec(&until)?);
        }
        for (NameKey { name, principal, .. }, asked) in tables.maps.names.entries()? {
            used.insert(name);
            let Some(text) = self.texts.get(&name) else { continue };
            if asked.learned != 0 && principal != PrincipalId::UNKNOWN {
                let about = About::Learned { device: principal.0, name: text.clone() };
                held.insert(serde_json::to_vec(&about)?, Vec::new());
            }
        }
        if self.texts.len() >= TEXTS_CAP / 2 {
            self.texts.retain(|hash, _| used.contains(hash));
        }
        let gone = self.stored.keys().filter(|key| !held.contains_key(*key));
        let mut changes: Vec<Change> = gone.map(|key| Change::RemoveName { key: key.clone() }).collect();
        for (key, value) in &held {
            if self.stored.get(key) != Some(value) {
                changes.push(Change::PutName { key: key.clone(), value: value.clone() });
            }
        }
        self.stored = held;
        Ok(changes)
    }
}

/// The boot-time nanoseconds at which a stored binding ends; none if it is over.
fn ends(until: &Until, now: Now) -> Option<u64> {
    if !(until.synchronised && now.synchronised) {
        return Some(now.boot_ns.saturating_add(UNSURE_NS));
    }
    let left = u64::try_from(until.unix.saturating_sub(now.unix)).ok().filter(|left| *left > 0)?;
    Some(now.boot_ns.saturating_add(left.saturating_mul(SECOND)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stored_binding_ends_when_it_would_have() {
        let until =
            |synchronised| Until { name: HostName::parse("a.example").unwrap(), unix: 1_000, synchronised };
        let now = |unix, synchronised| Now { boot_ns: 5 * SECOND, unix, synchronised, ..Now::default() };
        assert_eq!(ends(&until(true), now(900, true)), Some(105 * SECOND));
        assert_eq!(ends(&until(true), now(1_000, true)), None);
        assert_eq!(ends(&until(true), now(9_000, false)), Some(5 * SECOND + UNSURE_NS));
        assert_eq!(ends(&until(false), now(900, true)), Some(5 * SECOND + UNSURE_NS));
    }
}
