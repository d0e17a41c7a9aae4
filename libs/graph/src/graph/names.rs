//! Names of outside hosts: which device knows an address by which name, and which principal stands for a name.
//!
//! The kernel binds an address to a name on the answer to a device's own question, and finds the principal of the name
//! by itself: the one of exactly this name, or else the one of the [registrable domain](HostName::registrable). What is
//! told here keeps its tables the same as ours. A binding belongs to one device: what a name means is no other device's
//! right.

use std::collections::{BTreeMap, BTreeSet};

use firewall_common::abi::{Addr, PrincipalId};

use super::Graph;
use crate::command::{Command, Event};
use crate::edge::{Edge, EdgeId, Path, State};
use crate::host::HostName;
use crate::operation::{Layer, Operation};
use crate::principal::Principal;
use crate::time::Now;

/// Most addresses whose names are remembered for one device; the one that ends first makes room.
pub const RESOLVED_CAP: usize = 256;
/// Most addresses that are taken from one answer.
const ANSWER_CAP: usize = 32;
/// How long a binding holds after the answer, and after each use.
const HOLDS_NS: u64 = 24 * 3_600 * 1_000_000_000;
/// So many names of one domain that a source uses in the same way become the domain.
const SIBLINGS: usize = 3;

/// What devices have resolved.
#[derive(Clone, Debug, Default)]
pub(super) struct Names(BTreeMap<PrincipalId, BTreeMap<[u8; 16], Binding>>);

#[derive(Clone, Debug)]
struct Binding {
    name: HostName,
    /// Boot-time nanoseconds.
    until: u64,
    /// The principal that the kernel was told for it.
    told: Option<PrincipalId>,
}

impl Names {
    /// Binds, and returns the address that made room.
    fn bind(&mut self, device: PrincipalId, addr: Addr, name: &HostName, until: u64) -> Option<Addr> {
        let bindings = self.0.entry(device).or_default();
        if let Some(known) = bindings.get_mut(&addr.0).filter(|known| known.name == *name) {
            known.until = known.until.max(until);
            return None;
        }
        let full = bindings.len() >= RESOLVED_CAP && !bindings.contains_key(&addr.0);
        let first = bindings.iter().min_by_key(|(_, binding)| binding.until).map(|(addr, _)| *addr);
        let gone = first.filter(|_| full);
        if let Some(gone) = gone {
            bindings.remove(&gone);
        }
        bindings.insert(addr.0, Binding { name: name.clone(), until, told: None });
        gone.map(Addr)
    }

    fn get_mut(&mut self, device: PrincipalId, addr: Addr) -> Option<&mut Binding> {
        self.0.get_mut(&device)?.get_mut(&addr.0)
    }
}

impl Graph {
    /// A device was told by its resolver that these are the addresses of a name that it asked for; the principal that
    /// stands for the name, if there is one.
    ///
    /// One is made when the device uses the name, not before: what it only asks for takes no room. Addresses of this
    /// site are left out: who holds one is known better.
    pub fn handle_resolved(
        &mut self,
        device: PrincipalId,
        name: &HostName,
        addrs: &[Addr],
        now: Now,
    ) -> Option<PrincipalId> {
        if name.is_pattern() || !self.principals.get(&device).is_some_and(Principal::is_device) {
            return None;
        }
        for &addr in addrs.iter().take(ANSWER_CAP) {
            if !self.can_be_outside(addr) || self.index.bound.contains_key(&addr.0) {
                continue;
            }
            let until = now.boot_ns.saturating_add(HOLDS_NS);
            if let Some(gone) = self.names.bind(device, addr, name, until) {
                self.push(Command::RemoveName { device, addr: gone });
            }
            self.tell_name(device, addr);
        }
        self.named(name)
    }

    /// The principal that the kernel finds for a name.
    pub fn named(&self, name: &HostName) -> Option<PrincipalId> {
        let exact = self.index.named.get(name);
        exact.or_else(|| self.index.named.get(&name.registrable()?)).copied()
    }

    /// The name by which a device knows an address.
    pub(super) fn name_of(&self, device: PrincipalId, addr: Addr, now: Now) -> Option<&HostName> {
        let binding = self.names.0.get(&device)?.get(&addr.0)?;
        (binding.until > now.boot_ns).then_some(&binding.name)
    }

    /// The name that a source means by a domain of somebody else: that of the address, or the one it used last.
    pub(super) fn name_below(
        &self,
        src: PrincipalId,
        domain: PrincipalId,
        addr: Addr,
        now: Now,
    ) -> Option<&HostName> {
        let domain = self.host_of(domain)?;
        let by_address = self.name_of(src, addr, now).filter(|name| domain.covers(name));
        by_address.or_else(|| {
            let covered = self.names.0.get(&src)?.values().filter(|binding| domain.covers(&binding.name));
            covered.max_by_key(|binding| binding.until).map(|binding| &binding.name)
        })
    }

    /// Whether the name of an address was used: its binding holds on.
    pub(super) fn use_name(&mut self, device: PrincipalId, addr: Addr, now: Now) {
        if let Some(binding) = self.names.get_mut(device, addr).filter(|binding| binding.until > now.boot_ns)
        {
            binding.until = now.boot_ns.saturating_add(HOLDS_NS);
        }
    }

    /// The principal that stands for a name in what a source does: a domain only if the source has used it as one.
    pub(super) fn named_for(&self, src: PrincipalId, name: &HostName) -> Option<PrincipalId> {
        let known = self.named(name)?;
        (!self.is_foreign_pattern(src, known)).then_some(known)
    }

    /// Whether a principal is a domain, and none that this source has used as one.
    pub(super) fn is_foreign_pattern(&self, src: PrincipalId, id: PrincipalId) -> bool {
        self.host_of(id).is_some_and(HostName::is_pattern)
            && !self.edges_from(src).any(|edge| edge.path.dst == id)
    }

    pub(super) fn host_of(&self, id: PrincipalId) -> Option<&HostName> {
        self.principals.get(&id)?.host.as_ref()
    }

    /// A principal stands for its name from now on.
    pub(super) fn enter_name(&mut self, name: &HostName, id: PrincipalId, now: Now) {
        self.index.named.insert(name.clone(), id);
        self.push(Command::PutNamed { name: name.clone(), id });
        self.tell_names_below(name);
        self.inherit(name, id, now);
    }

    /// Nobody stands for a name any more.
    pub(super) fn leave_name(&mut self, name: &HostName) {
        if self.index.named.remove(name).is_some() {
            self.push(Command::RemoveNamed { name: name.clone() });
            self.tell_names_below(name);
        }
    }

    /// A device is gone: the kernel forgets what it had resolved.
    pub(super) fn forget_names(&mut self, device: PrincipalId) {
        for addr in self.names.0.remove(&device).unwrap_or_default().into_keys() {
            self.push(Command::RemoveName { device, addr: Addr(addr) });
        }
    }

    fn tell_names_below(&mut self, name: &HostName) {
        let covered = self.names.0.iter().flat_map(|(&device, bindings)| {
            let covered = bindings.iter().filter(|(_, binding)| name.covers(&binding.name));
            covered.map(move |(addr, _)| (device, Addr(*addr)))
        });
        for (device, addr) in covered.collect::<Vec<_>>() {
            self.tell_name(device, addr);
        }
    }

    fn tell_name(&mut self, device: PrincipalId, addr: Addr) {
        let Some(binding) = self.names.0.get(&device).and_then(|bindings| bindings.get(&addr.0)) else {
            return;
        };
        let (id, until, told) = (self.named(&binding.name), binding.until, binding.told);
        if id == told {
            return;
        }
        if let Some(binding) = self.names.get_mut(device, addr) {
            binding.told = id;
        }
        self.push(match id {
            Some(id) => Command::PutName { device, addr, id, until },
            None => Command::RemoveName { device, addr },
        });
    }

    /// Who uses the domain of a name uses the name too: the kernel asks for exactly the name first.
    fn inherit(&mut self, name: &HostName, id: PrincipalId, now: Now) {
        let domain = name.registrable().filter(|_| !name.is_pattern());
        let Some(domain) = domain.and_then(|domain| self.index.named.get(&domain).copied()) else { return };
        let learned = self.edges_to(domain).filter(|edge| edge.state == State::Learned);
        let paths: Vec<Path> = learned.map(|edge| Path { dst: id, ..edge.path.clone() }).collect();
        for path in paths {
            self.copy_learned(path, now);
        }
    }

    /// The names of a domain that have principals of their own pass for who uses the domain.
    fn bequeath(&mut self, path: &Path, domain: &HostName, now: Now) {
        let below = self.index.named.iter().filter(|(name, _)| !name.is_pattern() && domain.covers(name));
        let paths: Vec<Path> = below.map(|(_, &dst)| Path { dst, ..path.clone() }).collect();
        for path in paths {
            self.copy_learned(path, now);
        }
    }

    fn copy_learned(&mut self, path: Path, now: Now) {
        let learned = self.edges_from(path.src).filter(|edge| edge.state == State::Learned).count();
        let room = learned < self.settings.learn_edges && self.room_for_edge(now);
        if !room || self.index.edges.contains_key(&path) {
            return;
        }
        let id = self.edge_at(path, now);
        self.set_state(id, State::Learned, now);
        self.save_edge(id, now);
        self.tell_edge(id, now);
        self.notify(Event::EdgeChanged(id));
    }

    /// Replaces names of one registrable domain that a source uses in the same way by the domain; whether it did.
    pub(super) fn generalise_host(&mut self, id: EdgeId, now: Now) -> bool {
        let Some(edge) = self.edges.get(&id) else { return false };
        let (src, operation) = (edge.path.src, edge.path.operation.clone());
        let host = self.host_of(edge.path.dst).filter(|host| !host.is_pattern());
        let Some(domain) = host.and_then(HostName::registrable) else { return false };
        if operation.layer() != Layer::Transport || self.is_dangerous(src) {
            return false;
        }
        let siblings = self.siblings(src, &operation, &domain);
        if siblings.len() < SIBLINGS {
            return false;
        }
        let known = self.index.named.get(&domain).copied();
        let Some(pattern) =
            known.or_else(|| self.add_outside(super::room::NewHost::Name(domain.clone()), now))
        else {
            return false;
        };
        for sibling in siblings {
            self.move_habits(src, sibling, pattern, now);
        }
        let paths: Vec<Path> = self
            .edges_from(src)
            .filter(|edge| edge.path.dst == pattern && edge.state == State::Learned)
            .map(|edge| edge.path.clone())
            .collect();
        for path in paths {
            self.bequeath(&path, &domain, now);
        }
        self.flush(now);
        true
    }

    /// The names of a domain that a source has learned to use in this way.
    fn siblings(&self, src: PrincipalId, operation: &Operation, domain: &HostName) -> BTreeSet<PrincipalId> {
        let alike = |edge: &&Edge| {
            let host = self.host_of(edge.path.dst);
            edge.state == State::Learned
                && !edge.decided
                && edge.path.operation == *operation
                && host.is_some_and(|host| !host.is_pattern() && domain.covers(host))
        };
        self.edges_from(src).filter(alike).map(|edge| edge.path.dst).collect()
    }

    /// What a source has learned to do with a host, it may do with the domain. The host goes if nobody else uses it, and
    /// no person has decided about it.
    fn move_habits(&mut self, src: PrincipalId, host: PrincipalId, domain: PrincipalId, now: Now) {
        let edges = self.edges_of(host);
        let own = |edge: &Edge| edge.path.src == src && edge.state == State::Learned && !edge.decided;
        let is_own = edges.iter().filter_map(|id| self.edges.get(id)).all(own);
        for id in edges {
            if is_own {
                self.move_edge(id, host, domain, now);
            } else if let Some(path) =
                self.edges.get(&id).filter(|edge| own(edge)).map(|edge| edge.path.clone())
            {
                self.copy_learned(Path { dst: domain, ..path }, now);
            }
        }
        self.collect_outside(host, now);
    }
}
