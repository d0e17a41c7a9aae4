//! The kernel's copy of the model: every command of the graph that is for a map.
//!
//! What was written is remembered, so that start states can be changed in place and, after a restart, everything that
//! the model does not hold can be swept out of the pinned maps.

use std::collections::{BTreeMap, HashMap, HashSet};

use firewall_common::{
    abi::{
        Addr, AddrKey, Config, Edge, EdgeKey, HashKeyBytes, KnownName, Limit, LinkKey, MacHome, MacKey,
        Meter, Moved, NameKey, Principal, PrincipalId, ResolvedKey, Rule, RuleId, capacity, server,
    },
    hash::{HashKey, hash},
    precedence::Mode,
};
use graph::{
    command::{Command, Event, RuleSpec},
    edge::EdgeId,
    host::HostName,
    usual::{self, Metered},
};
use zerocopy::{FromBytes, IntoBytes};

use crate::{
    automata::{Automata, Written},
    config,
    kernel::{KernelError, Maps},
    net::mapped,
};

/// The maps that the graph's commands write.
pub(super) struct Tables {
    pub(super) maps: Maps,
    config: Config,
    automata: Automata,
    edges: HashMap<Key, Edge>,
    meters: Meters,
    topics: HashMap<Key, Written>,
    macs: HashMap<Key, MacHome>,
    hosts: HashMap<Key, PrincipalId>,
    principals: HashMap<u32, Principal>,
    rules: HashMap<u32, Rule>,
    uses: HashSet<u32>,
    named: HashMap<u64, PrincipalId>,
    /// Names that stand for the principal of their domain, because they were resolved before it.
    named_below: HashMap<u64, PrincipalId>,
    domains: HashSet<Key>,
}

/// The bytes of a map's key: the kernel's own notion of the same key.
type Key = Vec<u8>;

/// What became of a command.
pub(super) enum Done {
    /// The maps hold what it says about them.
    Written,
    /// The message rules do not fit; those from before hold.
    TooComplex,
    /// It is for whoever watches.
    Event(Event),
}

impl Tables {
    /// Takes up pinned maps: the secret of their hashes stays, because the kernel uses it in entries that stay too.
    pub(super) fn adopt(mut maps: Maps, config: &config::Config) -> Result<Self, KernelError> {
        let pinned = maps.config.get(0)?;
        let is_unset = pinned.key.as_bytes().iter().all(|&byte| byte == 0);
        let key = if is_unset { HashKeyBytes(HashKey::from_random(random())) } else { pinned.key };
        let mut mqtt_ports = [0; 4];
        for (slot, port) in mqtt_ports.iter_mut().zip(&config.mqtt.ports) {
            *slot = *port;
        }
        let written = Config {
            key,
            // What holds for the site comes with the graph's first command; until then the pinned value does.
            pause_until: pinned.pause_until,
            monitor: pinned.monitor,
            mark_judged: config.interfaces.marks.judged,
            mark_gated: config.interfaces.marks.gated,
            mqtt_ports,
            silent: u8::from(config.site.silent),
            _pad: [0; 6],
        };
        maps.config.put(0, &written)?;
        name_servers(&mut maps, config)?;
        let meters = Meters::after(&maps)?;
        Ok(Self {
            automata: Automata::after(&maps)?,
            maps,
            config: written,
            edges: HashMap::new(),
            meters,
            topics: HashMap::new(),
            macs: HashMap::new(),
            hosts: HashMap::new(),
            principals: HashMap::new(),
            rules: HashMap::new(),
            uses: HashSet::new(),
            named: HashMap::new(),
            named_below: HashMap::new(),
            domains: HashSet::new(),
        })
    }

    /// Does what a command says for the kernel; what is for the disk changes nothing here.
    pub(super) fn carry_out(&mut self, command: Command) -> Result<Done, KernelError> {
        match command {
            Command::PutPrincipal { id, mode, dangerous, pause_until, banned_until } => {
                let (mode, dangerous) = (mode as u8, u8::from(dangerous));
                let principal = Principal { pause_until, mode, dangerous, _pad: [0; 2], banned_until };
                self.principals.insert(id.0, principal);
                self.maps.principals.put(id.0, &principal)?;
            }
            Command::RemovePrincipal { id } => {
                self.principals.remove(&id.0);
                self.maps.principals.put(id.0, &NOBODY)?;
                self.forget_names(id)?;
            }
            Command::PutMac { mac, vlan, ifindex, id } => {
                let key = MacKey { mac, vlan };
                let home = MacHome { ifindex, principal: id };
                self.macs.insert(bytes(&key), home);
                self.maps.principal_by_mac.put(&key, &home)?;
                self.maps.strangers.remove(&LinkKey { ifindex, mac, vlan })?;
            }
            Command::RemoveMac { mac, vlan } => {
                let key = MacKey { mac, vlan };
                self.macs.remove(&bytes(&key));
                self.maps.principal_by_mac.remove(&key)?;
            }
            Command::PutHost { addr, id } => {
                let key = AddrKey { addr, link: 0 };
                self.hosts.insert(bytes(&key), id);
                self.maps.hosts.put(&key, &id)?;
            }
            Command::RemoveHost { addr } => {
                let key = AddrKey { addr, link: 0 };
                self.hosts.remove(&bytes(&key));
                self.maps.hosts.remove(&key)?;
            }
            Command::PutNamed { name, id } => {
                let key = self.name_key(&name);
                self.named.insert(key, id);
                self.maps.named.put(&key, &id)?;
            }
            Command::RemoveNamed { name } => self.remove_named(&name)?,
            Command::PutName { device, addr, id, .. } => self.put_name(device, addr, id)?,
            Command::PutDomain { id, name, until } => {
                let key = NameKey { name: self.name_key(&name), principal: id, _pad: 0 };
                self.domains.insert(bytes(&key));
                self.maps.domains.put(&key, &until)?;
            }
            Command::RemoveDomain { id, name } => {
                let key = NameKey { name: self.name_key(&name), principal: id, _pad: 0 };
                self.domains.remove(&bytes(&key));
                self.maps.domains.remove(&key)?;
            }
            Command::PutEdge { key, rule, speaks } => self.put_edge(key, rule, speaks)?,
            Command::PutLimit { key, rate } => self.put_limit(key, rate)?,
            Command::RemoveEdge { key } => {
                self.maps.edges.remove(&key)?;
                self.edges.remove(&bytes(&key));
                self.meters.free(&bytes(&key));
                if let Some(old) = self.topics.remove(&bytes(&key)) {
                    old.remove(&mut self.maps)?;
                }
            }
            Command::PutTopics { key, topics } => {
                let Some(new) = self.automata.write(&mut self.maps, &self.config.key, &topics)? else {
                    return Ok(Done::TooComplex);
                };
                self.put_topics(key, new)?;
            }
            Command::PutRule { rule } => {
                let id = rule.id;
                let rule = kernel_rule(rule);
                self.rules.insert(id.0, rule);
                self.maps.rules.put(&id, &rule)?;
            }
            Command::RemoveRule { id } => {
                self.rules.remove(&id.0);
                self.maps.rules.remove(&id)?;
            }
            Command::PutUses { id, uses } => {
                self.uses.insert(id.0);
                self.maps.uses.put(&id, &u64::from(uses))?;
            }
            Command::LimitUses { id, at_most } => {
                let held = self.maps.uses.get(&id)?.unwrap_or(u64::MAX);
                self.uses.insert(id.0);
                self.maps.uses.put(&id, &held.min(u64::from(at_most)))?;
            }
            Command::RemoveUses { id } => {
                self.uses.remove(&id.0);
                self.maps.uses.remove(&id)?;
            }
            Command::Site { monitor, pause_until } => {
                self.config.monitor = u8::from(monitor);
                self.config.pause_until = pause_until;
                self.maps.config.put(0, &self.config)?;
            }
            Command::Notify(event) => return Ok(Done::Event(event)),
            // What a name stands for is removed with the name.
            Command::RemoveName { .. } | Command::Save(_) | Command::Delete(_) | Command::Ledger(_) => {}
        }
        Ok(Done::Written)
    }

    fn put_edge(&mut self, key: EdgeKey, rule: RuleSpec, speaks: u16) -> Result<(), KernelError> {
        let known = self.edges.get(&bytes(&key)).map(|edge| edge.limit);
        let limit = match known {
            Some(limit) => limit,
            None => Limit { meter: self.take_meter(&key)?, ..Limit::NONE },
        };
        let starts = self.topics.get(&bytes(&key));
        let edge = Edge {
            rule: kernel_rule(rule),
            publish: starts.map_or(0, |starts| starts.publish),
            subscribe: starts.map_or(0, |starts| starts.subscribe),
            connect: starts.map_or(0, |starts| starts.connect),
            speaks,
            _pad: [0; 2],
            limit,
        };
        self.maps.edges.put(&key, &edge)?;
        self.edges.insert(bytes(&key), edge);
        Ok(())
    }

    /// The meter of a new edge; what it says now is what another edge has carried, or this one before the start.
    fn take_meter(&mut self, key: &EdgeKey) -> Result<u16, KernelError> {
        let meter = self.meters.take(&bytes(key));
        if meter != 0 {
            self.meters.read.insert(meter, self.maps.meters.get(u32::from(meter))?);
        }
        Ok(meter)
    }

    /// Lets no more than so many bytes a second pass on an edge, or all if there is no rate.
    fn put_limit(&mut self, key: EdgeKey, rate: Option<u64>) -> Result<(), KernelError> {
        let Some(edge) = self.edges.get_mut(&bytes(&key)) else { return Ok(()) };
        let meter = edge.limit.meter;
        edge.limit =
            rate.map_or(Limit { meter, ..Limit::NONE }, |rate| Limit::of(rate, usual::BURST_MS, meter));
        self.maps.edges.put(&key, edge)
    }

    /// What each edge has carried since this was asked last, where that is anything.
    pub(super) fn metered(&mut self) -> Result<Vec<(EdgeId, Metered)>, KernelError> {
        let mut metered = Vec::new();
        for (key, edge) in &self.edges {
            let Limit { meter, .. } = edge.limit;
            if meter == 0 {
                continue;
            }
            let now = self.maps.meters.get(u32::from(meter))?;
            let Some(before) = self.meters.read.insert(meter, now).filter(|before| *before != now) else {
                continue;
            };
            let mut difference = difference(&before, &now);
            if difference.opened != 0
                && let Ok(key) = EdgeKey::read_from_bytes(key)
            {
                difference.open = self.maps.usage.get(key.src.0)?.streams;
            }
            metered.push((EdgeId(edge.rule.id.0), difference));
        }
        Ok(metered)
    }

    fn put_topics(&mut self, key: EdgeKey, new: Written) -> Result<(), KernelError> {
        if let Some(edge) = self.edges.get_mut(&bytes(&key)) {
            edge.publish = new.publish;
            edge.subscribe = new.subscribe;
            edge.connect = new.connect;
            self.maps.edges.put(&key, edge)?;
        }
        if let Some(old) = self.topics.insert(bytes(&key), new) {
            old.remove(&mut self.maps)?;
        }
        Ok(())
    }

    /// The key under which the kernel finds a name; for all names of a domain, what is behind the asterisk.
    fn name_key(&self, name: &HostName) -> u64 {
        let text = name.as_str();
        hash(text.strip_prefix('*').unwrap_or(text).as_bytes(), &self.config.key.0)
    }

    /// The secret of this boot's hashes.
    pub(super) fn hash_key(&self) -> HashKey {
        self.config.key.0
    }

    /// A name that was resolved before its domain had a principal: the kernel looks for exactly this name.
    fn put_name(&mut self, device: PrincipalId, addr: Addr, id: PrincipalId) -> Result<(), KernelError> {
        let Some(known) = self.maps.resolved.get(&ResolvedKey { addr, device })? else { return Ok(()) };
        let KnownName { name, via } = known.latest;
        if self.maps.named.get(&via)? != Some(id) && !self.named.contains_key(&name) {
            self.named_below.insert(name, id);
            self.maps.named.put(&name, &id)?;
        }
        Ok(())
    }

    fn remove_named(&mut self, name: &HostName) -> Result<(), KernelError> {
        let key = self.name_key(name);
        let Some(id) = self.named.remove(&key) else { return Ok(()) };
        self.maps.named.remove(&key)?;
        let below: Vec<u64> =
            self.named_below.iter().filter(|(_, other)| **other == id).map(|(key, _)| *key).collect();
        for key in below {
            self.named_below.remove(&key);
            if !self.named.contains_key(&key) {
                self.maps.named.remove(&key)?;
            }
        }
        Ok(())
    }

    /// Whoever gets the number of a principal that is gone knows nothing of what it knew.
    fn forget_names(&mut self, id: PrincipalId) -> Result<(), KernelError> {
        for key in self.maps.resolved.keys()? {
            if key.device == id {
                self.maps.resolved.remove(&key)?;
            }
        }
        for key in self.maps.names.keys()? {
            if key.principal == id {
                self.maps.names.remove(&key)?;
            }
        }
        Ok(())
    }

    /// Who lives behind a MAC, as the model has it.
    pub(super) fn principal_of(&self, mac: MacKey) -> Option<PrincipalId> {
        self.macs.get(&bytes(&mac)).map(|home| home.principal)
    }

    /// The rules of which the kernel counts the uses.
    pub(super) fn counted_rules(&self) -> Vec<RuleId> {
        self.uses.iter().map(|&id| RuleId(id)).collect()
    }

    /// Removes from the pinned maps what the model does not hold. Everything that it does hold was written before.
    pub(super) fn sweep(&mut self, own_hosts: &[AddrKey]) -> Result<(), KernelError> {
        let maps = &mut self.maps;
        for key in maps.edges.keys()? {
            if !self.edges.contains_key(&bytes(&key)) {
                maps.edges.remove(&key)?;
                self.meters.free(&bytes(&key));
            }
        }
        for key in maps.rules.keys()? {
            if !self.rules.contains_key(&key.0) {
                maps.rules.remove(&key)?;
            }
        }
        for key in maps.uses.keys()? {
            if !self.uses.contains(&key.0) {
                maps.uses.remove(&key)?;
            }
        }
        for key in maps.principal_by_mac.keys()? {
            if !self.macs.contains_key(&bytes(&key)) {
                maps.principal_by_mac.remove(&key)?;
            }
        }
        for key in maps.hosts.keys()? {
            if !self.hosts.contains_key(&bytes(&key)) && !own_hosts.contains(&key) {
                maps.hosts.remove(&key)?;
            }
        }
        for key in maps.named.keys()? {
            if !self.named.contains_key(&key) && !self.named_below.contains_key(&key) {
                maps.named.remove(&key)?;
            }
        }
        for key in maps.domains.keys()? {
            if !self.domains.contains(&bytes(&key)) {
                maps.domains.remove(&key)?;
            }
        }
        for id in 0..PrincipalId::LIMIT {
            if !self.principals.contains_key(&id) && maps.principals.get(id)? != NOBODY {
                maps.principals.put(id, &NOBODY)?;
            }
        }
        let steps: HashSet<Key> = self.topics.values().flat_map(Written::steps).map(bytes).collect();
        for key in maps.automaton.keys()? {
            if !steps.contains(&bytes(&key)) {
                maps.automaton.remove(&key)?;
            }
        }
        let states: HashSet<u32> = self.topics.values().flat_map(Written::states).copied().collect();
        for key in maps.states.keys()? {
            if !states.contains(&key) {
                maps.states.remove(&key)?;
            }
        }
        Ok(())
    }
}

/// A principal that was never registered.
const NOBODY: Principal =
    Principal { pause_until: 0, mode: Mode::New as u8, dangerous: 0, _pad: [0; 2], banned_until: 0 };

/// Which entries of `METERS` belong to which edges.
struct Meters {
    /// By the bytes of the edge's key.
    of: HashMap<Key, u16>,
    free: Vec<u16>,
    /// Up to here all were given.
    last: u16,
    /// As they were read last.
    read: HashMap<u16, Meter>,
}

impl Meters {
    /// Takes up those of pinned edges: their connections go on counting there.
    fn after(maps: &Maps) -> Result<Self, KernelError> {
        let of: HashMap<Key, u16> =
            maps.edges.entries()?.iter().map(|(key, edge)| (bytes(key), edge.limit.meter)).collect();
        let last = of.values().copied().max().unwrap_or(0);
        let taken: HashSet<u16> = of.values().copied().collect();
        let free = (1..last).filter(|meter| !taken.contains(meter)).collect();
        Ok(Self { of, free, last, read: HashMap::new() })
    }

    /// That of an edge; a new one if it has none.
    fn take(&mut self, key: &Key) -> u16 {
        if let Some(meter) = self.of.get(key).filter(|meter| **meter != 0) {
            return *meter;
        }
        let meter = self.free.pop().unwrap_or_else(|| {
            let room = u32::from(self.last) + 1 < capacity::METERS;
            self.last += u16::from(room);
            if room { self.last } else { 0 }
        });
        self.of.insert(key.clone(), meter);
        meter
    }

    fn free(&mut self, key: &Key) {
        if let Some(meter) = self.of.remove(key).filter(|meter| *meter != 0) {
            self.read.remove(&meter);
            self.free.push(meter);
        }
    }
}

/// What was counted between two readings.
fn difference(before: &Meter, now: &Meter) -> Metered {
    let between = |way: usize| Moved::between(before.moved[way], now.moved[way]);
    Metered {
        moved: [between(0), between(1)],
        over: now.over.wrapping_sub(before.over),
        opened: now.opened.wrapping_sub(before.opened),
        open: 0,
    }
}

fn kernel_rule(rule: RuleSpec) -> Rule {
    Rule {
        deadline: rule.deadline,
        id: rule.id,
        state: rule.state as u8,
        counted: u8::from(rule.counted),
        action: rule.action as u8,
        limits: rule.limits,
    }
}

/// The bytes of a key.
pub(super) fn bytes<T: IntoBytes + zerocopy::Immutable>(key: &T) -> Key {
    key.as_bytes().to_vec()
}

/// Random bytes from the kernel.
pub(super) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the kernel's random numbers are there once the system has booted");
    bytes
}

/// Writes which services of which addresses every device may use, and removes what is no longer configured.
fn name_servers(maps: &mut Maps, config: &config::Config) -> Result<(), KernelError> {
    let mut services: BTreeMap<Addr, u32> = BTreeMap::new();
    for (servers, service) in [(&config.dns, server::DNS), (&config.ntp, server::NTP)] {
        for address in &servers.servers {
            *services.entry(mapped(*address)).or_default() |= service;
        }
    }
    for (&addr, service) in &services {
        maps.servers.put(&AddrKey { addr, link: 0 }, service)?;
    }
    for (key, _) in maps.servers.entries()? {
        if !services.contains_key(&key.addr) {
            maps.servers.remove(&key)?;
        }
    }
    Ok(())
}
