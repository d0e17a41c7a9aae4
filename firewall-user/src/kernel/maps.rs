//! The maps as typed tables.
//!
//! Keys and values are the plain types of [`firewall_common::abi`]; one file turns them into what aya wants. Who writes
//! a map is said at its key type there, and the fields here that the kernel writes have no caller of `put`.

use std::sync::{Arc, Mutex, PoisonError};

use aya::{
    Ebpf, Pod,
    maps::{Array, HashMap, LpmTrie, Map, MapData, MapError, PerCpuArray, lpm_trie},
};
use firewall_common::abi::{
    self, AddrKey, AskedName, Binding, Config, Edge, EdgeKey, Expected, ExpectedKey, Flow, FlowKey, LinkKey,
    MAPS, MacHome, MacKey, Meter, NameKey, NetworkKey, Observed, ObservedKey, Port, Principal, PrincipalId,
    Resolved, ResolvedKey, Rule, RuleId, State, Step, StepKey, Stranger, Usage, counter,
};
use zerocopy::{FromBytes, Immutable, IntoBytes};

use super::KernelError;

/// What may cross into the kernel: no padding, no invalid bit pattern.
pub trait Plain: FromBytes + IntoBytes + Immutable + Copy + 'static {}
impl<T: FromBytes + IntoBytes + Immutable + Copy + 'static> Plain for T {}

/// A [`Plain`] value for aya.
#[derive(Clone, Copy)]
#[repr(transparent)]
struct Raw<T>(T);

// SAFETY: `Plain` excludes padding (`IntoBytes`) and invalid bit patterns (`FromBytes`), so all bytes of `T` may cross
// the system call in both directions.
unsafe impl<T: Plain> Pod for Raw<T> {}

/// Name and use of the ring buffer and the counters, which [`MAPS`] does not list.
pub(super) const EVENTS: &str = "EVENTS";
pub(super) const COUNTERS: &str = "COUNTERS";

/// Every map that is pinned.
pub(super) fn pinned_names() -> impl Iterator<Item = &'static str> {
    MAPS.iter().map(|(name, ..)| *name).chain([EVENTS, COUNTERS])
}

/// `GENERATION`: tells the kernel programs that what they have found no longer holds. Each change of a table that verdicts
/// rest on counts, behind the change: a program that reads the new number reads the new table too.
#[derive(Clone)]
struct Generation(Arc<Mutex<(Array<MapData, u64>, u64)>>);

impl Generation {
    const NAME: &str = "GENERATION";

    fn take(ebpf: &mut Ebpf) -> Result<Self, KernelError> {
        let map: Array<MapData, u64> = take(ebpf, Self::NAME)?.try_into().map_err(Self::failed)?;
        let reached = map.get(&0, 0).map_err(Self::failed)?;
        Ok(Self(Arc::new(Mutex::new((map, reached)))))
    }

    fn advance(&self) -> Result<(), KernelError> {
        // A number that was counted but not written is written with the next one.
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (map, reached) = &mut *held;
        *reached = reached.wrapping_add(1);
        map.set(0, *reached, 0).map_err(Self::failed)
    }

    fn failed(source: MapError) -> KernelError {
        KernelError::Map { name: Self::NAME, source }
    }
}

/// A hash map of the kernel, also one with eviction.
pub struct Table<K, V> {
    name: &'static str,
    capacity: u32,
    map: HashMap<MapData, Raw<K>, Raw<V>>,
    generation: Generation,
}

impl<K: Plain, V: Plain> Table<K, V> {
    fn take(ebpf: &mut Ebpf, name: &'static str, generation: &Generation) -> Result<Self, KernelError> {
        let map = take(ebpf, name)?.try_into().map_err(|source| KernelError::Map { name, source })?;
        Ok(Self { name, capacity: capacity(name), map, generation: generation.clone() })
    }

    pub fn get(&self, key: &K) -> Result<Option<V>, KernelError> {
        match self.map.get(&Raw(*key), 0) {
            Ok(value) => Ok(Some(value.0)),
            Err(MapError::KeyNotFound) => Ok(None),
            Err(source) => Err(self.failed(source)),
        }
    }

    pub fn put(&mut self, key: &K, value: &V) -> Result<(), KernelError> {
        self.map.insert(Raw(*key), Raw(*value), 0).map_err(|source| self.failed(source))?;
        self.generation.advance()
    }

    /// Removes an entry; one that is not there is removed already.
    pub fn remove(&mut self, key: &K) -> Result<(), KernelError> {
        match self.map.remove(&Raw(*key)) {
            Ok(()) => self.generation.advance(),
            Err(error) if is_absent(&error) => Ok(()),
            Err(source) => Err(self.failed(source)),
        }
    }

    /// Copies all entries. An entry that changes while others are copied may be met twice or not at all, as the kernel
    /// walks its buckets.
    pub fn entries(&self) -> Result<Vec<(K, V)>, KernelError> {
        self.map
            .iter()
            // A key that goes while the kernel stands on it sends the walk back to the start.
            .take(2 * self.capacity as usize)
            .map(|entry| entry.map(|(key, value)| (key.0, value.0)).map_err(|source| self.failed(source)))
            .collect()
    }

    /// Copies all keys.
    pub fn keys(&self) -> Result<Vec<K>, KernelError> {
        self.map
            .keys()
            .take(2 * self.capacity as usize)
            .map(|key| key.map(|key| key.0).map_err(|source| self.failed(source)))
            .collect()
    }

    fn failed(&self, source: MapError) -> KernelError {
        if is_full(&source) {
            return KernelError::Full { name: self.name, capacity: self.capacity };
        }
        KernelError::Map { name: self.name, source }
    }
}

/// An array of the kernel.
pub struct Slots<V: Plain> {
    name: &'static str,
    map: Array<MapData, Raw<V>>,
    generation: Generation,
}

impl<V: Plain> Slots<V> {
    fn take(ebpf: &mut Ebpf, name: &'static str, generation: &Generation) -> Result<Self, KernelError> {
        let map = take(ebpf, name)?.try_into().map_err(|source| KernelError::Map { name, source })?;
        Ok(Self { name, map, generation: generation.clone() })
    }

    pub fn get(&self, index: u32) -> Result<V, KernelError> {
        self.map
            .get(&index, 0)
            .map(|value| value.0)
            .map_err(|source| KernelError::Map { name: self.name, source })
    }

    pub fn put(&mut self, index: u32, value: &V) -> Result<(), KernelError> {
        self.map.set(index, Raw(*value), 0).map_err(|source| KernelError::Map { name: self.name, source })?;
        self.generation.advance()
    }
}

/// `NETWORKS`, a longest-prefix trie.
pub struct Prefixes {
    map: LpmTrie<MapData, Raw<NetworkKey>, u32>,
    generation: Generation,
}

/// A prefix of a link: the number of bits of [`NetworkKey`] that count, and the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prefix {
    pub bits: u32,
    pub key: NetworkKey,
}

impl Prefixes {
    const NAME: &str = "NETWORKS";

    fn take(ebpf: &mut Ebpf, generation: &Generation) -> Result<Self, KernelError> {
        let map = take(ebpf, Self::NAME)?.try_into().map_err(Self::failed)?;
        Ok(Self { map, generation: generation.clone() })
    }

    pub fn put(&mut self, prefix: Prefix) -> Result<(), KernelError> {
        let key = lpm_trie::Key::new(prefix.bits, Raw(prefix.key));
        self.map.insert(&key, 1, 0).map_err(Self::failed)?;
        self.generation.advance()
    }

    pub fn remove(&mut self, prefix: Prefix) -> Result<(), KernelError> {
        match self.map.remove(&lpm_trie::Key::new(prefix.bits, Raw(prefix.key))) {
            Ok(()) => self.generation.advance(),
            Err(error) if is_absent(&error) => Ok(()),
            Err(source) => Err(Self::failed(source)),
        }
    }

    pub fn entries(&self) -> Result<Vec<Prefix>, KernelError> {
        self.map
            .keys()
            .take(2 * abi::capacity::NETWORKS as usize)
            .map(|key| {
                let key = key.map_err(Self::failed)?;
                Ok(Prefix { bits: key.prefix_len(), key: key.data().0 })
            })
            .collect()
    }

    fn failed(source: MapError) -> KernelError {
        KernelError::Map { name: Self::NAME, source }
    }
}

/// `COUNTERS`, one copy per CPU.
pub struct Counters {
    map: PerCpuArray<MapData, u64>,
}

/// The balance of one hook, summed over the CPUs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Balance {
    pub seen: u64,
    pub passed: u64,
    pub neutralised: u64,
    pub reset: u64,
    pub audit: u64,
    pub events_produced: u64,
    pub events_suppressed: u64,
    pub events_lost: u64,
    /// By the number of the reason.
    pub dropped: Vec<u64>,
    pub resets: Vec<u64>,
}

impl Counters {
    fn take(ebpf: &mut Ebpf) -> Result<Self, KernelError> {
        let map =
            take(ebpf, COUNTERS)?.try_into().map_err(|source| KernelError::Map { name: COUNTERS, source })?;
        Ok(Self { map })
    }

    /// Reads the balance of a hook (`counter::HOOK_…`).
    pub fn balance(&self, hook: u32) -> Result<Balance, KernelError> {
        let sum = |slot: u32| -> Result<u64, KernelError> {
            let index = hook * counter::SLOTS + slot;
            let copies =
                self.map.get(&index, 0).map_err(|source| KernelError::Map { name: COUNTERS, source })?;
            Ok(copies.iter().sum())
        };
        let by_reason = |first: u32| -> Result<Vec<u64>, KernelError> {
            (0..counter::REASONS).map(|reason| sum(first + reason)).collect()
        };
        Ok(Balance {
            seen: sum(counter::SEEN)?,
            passed: sum(counter::PASSED)?,
            neutralised: sum(counter::NEUTRALISED)?,
            reset: sum(counter::RESET)?,
            audit: sum(counter::AUDIT)?,
            events_produced: sum(counter::EVENTS_PRODUCED)?,
            events_suppressed: sum(counter::EVENTS_SUPPRESSED)?,
            events_lost: sum(counter::EVENTS_LOST)?,
            dropped: by_reason(counter::DROPPED)?,
            resets: by_reason(counter::RESETS)?,
        })
    }
}

/// All maps that the daemon reads or writes.
pub struct Maps {
    pub ports: Table<u32, Port>,
    pub config: Slots<Config>,
    pub principals: Slots<Principal>,
    pub principal_by_mac: Table<MacKey, MacHome>,
    pub strangers: Table<LinkKey, Stranger>,
    pub bindings: Table<AddrKey, Binding>,
    pub hosts: Table<AddrKey, PrincipalId>,
    pub servers: Table<AddrKey, u32>,
    pub networks: Prefixes,
    pub edges: Table<EdgeKey, Edge>,
    pub meters: Slots<Meter>,
    pub rules: Table<RuleId, Rule>,
    pub uses: Table<RuleId, u64>,
    pub automaton: Table<StepKey, Step>,
    pub states: Table<u32, State>,
    pub half_open: Table<FlowKey, Flow>,
    pub flows: Table<FlowKey, Flow>,
    pub expected: Table<ExpectedKey, Expected>,
    pub observed: Table<ObservedKey, Observed>,
    pub names: Table<NameKey, AskedName>,
    pub resolved: Table<ResolvedKey, Resolved>,
    pub named: Table<u64, PrincipalId>,
    pub domains: Table<NameKey, u64>,
    pub usage: Slots<Usage>,
    pub drained: Slots<u64>,
    pub counters: Counters,
}

impl Maps {
    pub(super) fn take(ebpf: &mut Ebpf) -> Result<Self, KernelError> {
        let generation = &Generation::take(ebpf)?;
        Ok(Self {
            ports: Table::take(ebpf, "PORTS", generation)?,
            config: Slots::take(ebpf, "CONFIG", generation)?,
            principals: Slots::take(ebpf, "PRINCIPALS", generation)?,
            principal_by_mac: Table::take(ebpf, "PRINCIPAL_BY_MAC", generation)?,
            strangers: Table::take(ebpf, "STRANGERS", generation)?,
            bindings: Table::take(ebpf, "BINDINGS", generation)?,
            hosts: Table::take(ebpf, "HOSTS", generation)?,
            servers: Table::take(ebpf, "SERVERS", generation)?,
            networks: Prefixes::take(ebpf, generation)?,
            edges: Table::take(ebpf, "EDGES", generation)?,
            meters: Slots::take(ebpf, "METERS", generation)?,
            rules: Table::take(ebpf, "RULES", generation)?,
            uses: Table::take(ebpf, "USES", generation)?,
            automaton: Table::take(ebpf, "AUTOMATON", generation)?,
            states: Table::take(ebpf, "STATES", generation)?,
            half_open: Table::take(ebpf, "HALF_OPEN", generation)?,
            flows: Table::take(ebpf, "FLOWS", generation)?,
            expected: Table::take(ebpf, "EXPECTED", generation)?,
            observed: Table::take(ebpf, "OBSERVED", generation)?,
            names: Table::take(ebpf, "NAMES", generation)?,
            resolved: Table::take(ebpf, "RESOLVED", generation)?,
            named: Table::take(ebpf, "NAMED", generation)?,
            domains: Table::take(ebpf, "DOMAINS", generation)?,
            usage: Slots::take(ebpf, "USAGE", generation)?,
            drained: Slots::take(ebpf, "DRAINED", generation)?,
            counters: Counters::take(ebpf)?,
        })
    }

    /// How full the tables are: name, entries, capacity and bytes. Arrays are always full and left out.
    pub fn uses(&self) -> Result<Vec<MapUse>, KernelError> {
        let used = |name: &'static str, entries: usize| MapUse {
            name,
            entries: entries as u64,
            capacity: u64::from(capacity(name)),
            bytes: bytes(name),
        };
        Ok(vec![
            used("PRINCIPAL_BY_MAC", self.principal_by_mac.keys()?.len()),
            used("STRANGERS", self.strangers.keys()?.len()),
            used("BINDINGS", self.bindings.keys()?.len()),
            used("HOSTS", self.hosts.keys()?.len()),
            used("SERVERS", self.servers.keys()?.len()),
            used("NETWORKS", self.networks.entries()?.len()),
            used("EDGES", self.edges.keys()?.len()),
            used("RULES", self.rules.keys()?.len()),
            used("USES", self.uses.keys()?.len()),
            used("AUTOMATON", self.automaton.keys()?.len()),
            used("STATES", self.states.keys()?.len()),
            used("HALF_OPEN", self.half_open.keys()?.len()),
            used("FLOWS", self.flows.keys()?.len()),
            used("OBSERVED", self.observed.keys()?.len()),
            used("NAMES", self.names.keys()?.len()),
            used("RESOLVED", self.resolved.keys()?.len()),
            used("NAMED", self.named.keys()?.len()),
            used("DOMAINS", self.domains.keys()?.len()),
        ])
    }
}

/// How full one table is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MapUse {
    pub name: &'static str,
    pub entries: u64,
    pub capacity: u64,
    pub bytes: u64,
}

fn capacity(name: &str) -> u32 {
    row(name).map_or(0, |&(.., entries)| entries)
}

/// Bytes of a full table; the kernel adds 64 per entry, element and bucket.
fn bytes(name: &str) -> u64 {
    row(name).map_or(0, |&(_, key, value, entries)| {
        (u64::from(key).next_multiple_of(8) + u64::from(value).next_multiple_of(8) + 64) * u64::from(entries)
    })
}

fn row(name: &str) -> Option<&'static (&'static str, u32, u32, u32)> {
    MAPS.iter().find(|(other, ..)| *other == name)
}

pub(super) fn take(ebpf: &mut Ebpf, name: &'static str) -> Result<Map, KernelError> {
    ebpf.take_map(name).ok_or(KernelError::NoMap { name })
}

fn os_error(error: &MapError) -> Option<i32> {
    match error {
        MapError::SyscallError(error) => error.io_error.raw_os_error(),
        _ => None,
    }
}

fn is_absent(error: &MapError) -> bool {
    matches!(error, MapError::KeyNotFound) || os_error(error) == Some(libc::ENOENT)
}

/// A hash map answers `E2BIG` when it has no room, or `ENOMEM` for an entry that is not allocated in advance.
fn is_full(error: &MapError) -> bool {
    matches!(os_error(error), Some(libc::E2BIG | libc::ENOMEM | libc::ENOSPC))
}
