//! What comes from the wire.

use firewall_common::abi::{Addr, Kind, OBJECT_CAP, PrincipalId};
use firewall_common::precedence::{Mode, Outcome, RuleState};
use firewall_common::reason::Reason;

use super::room::NewHost;
use super::stopped::Seen;
use super::{Fact, Graph, Network, same_name};
use crate::command::{Alarm, Event, Observation};
use crate::edge::{Edge, EdgeId, Path, State};
use crate::host::HostName;
use crate::learning::Learning;
use crate::operation::{Layer, Object, Operation, Plane};
use crate::principal::{ADDRESSES_CAP, Hint, Place, Principal};
use crate::time::Now;

/// The time of the last sign of life is saved at most this often, in seconds.
const SEEN_EVERY: i64 = 3_600;

/// Where a destination is.
enum Target {
    Known(PrincipalId),
    /// A host beyond the uplink that has no principal yet.
    New(NewHost),
    /// An address of this site that nobody holds.
    Nobody,
}

impl Graph {
    /// A sender that the kernel has no principal for.
    pub fn handle_stranger(&mut self, place: Place, now: Now) {
        let individual = place.mac[0] & 1 == 0 && place.mac != [0; 6];
        if !individual {
            return;
        }
        if let Some(&id) = self.index.macs.get(&(place.mac, place.vlan)) {
            let home = self.principals.get_mut(&id).and_then(|principal| {
                principal.places.iter_mut().find(|known| known.mac == place.mac && known.vlan == place.vlan)
            });
            match home {
                Some(home) if home.port == place.port => {
                    home.ifindex = place.ifindex;
                    self.tell_place(&place, id);
                }
                Some(_) | None => self.alarm(Alarm::SpoofMac, id, now),
            }
            return;
        }
        let Some(id) = self.room_for_device(&place.port, now) else {
            self.overflow(PrincipalId::UNKNOWN, 1, now);
            return;
        };
        let mode = if self.in_first_run(now) { Mode::Learning } else { Mode::New };
        let mut principal = Principal::new(id, mode, now);
        principal.learning = (mode == Mode::Learning).then(|| Learning::begin(now, None));
        principal.rev = self.touch();
        self.index.macs.insert((place.mac, place.vlan), id);
        principal.places.push(place);
        let places = principal.places.clone();
        self.principals.insert(id, principal);
        self.save_principal(id);
        self.tell_principal(id, now);
        for place in &places {
            self.tell_place(place, id);
        }
        self.notify(Event::PrincipalAdded(id));
    }

    /// An entry of `OBSERVED`; counts are those of the entry, so the same entry may come again.
    pub fn handle_observed(&mut self, fact: &Fact, now: Now) {
        self.expire(now);
        let Some(kind) = Kind::from_code(fact.key.edge.kind) else { return };
        let src = self.source(fact);
        // Forgotten in the meantime: the entry is older than the change.
        let Some(source) = self.principals.get_mut(&src) else { return };
        let seen = now.unix_at(fact.value.last);
        let due = !source.is_builtin() && seen - source.last_seen > SEEN_EVERY;
        if !source.is_builtin() {
            source.last_seen = source.last_seen.max(seen);
        }
        if due {
            self.save_principal(src);
        }
        let object = said(fact);
        match kind {
            Kind::DhcpName => self.hear_name(src, Hint::from_wire(object), now),
            Kind::Overflow => self.hear_overflow(src, fact, now),
            Kind::Transport
            | Kind::Link
            | Kind::MqttConnect
            | Kind::MqttPublish
            | Kind::MqttSubscribe
            | Kind::Speaks
            | Kind::HttpGet
            | Kind::HttpSet
            | Kind::HttpDelete
            | Kind::CoapGet
            | Kind::CoapSet
            | Kind::CoapDelete
            | Kind::CoapObserve
            | Kind::ModbusRead
            | Kind::ModbusWrite
            | Kind::TlsName
            | Kind::MqttUser
            | Kind::LoginFailed
            | Kind::Resolve => {
                // What it may ask for is told for the name alone.
                if kind == Kind::Resolve && fact.value.reason == Reason::InModel as u8 {
                    return;
                }
                let cut = usize::from(fact.value.object_len) > OBJECT_CAP;
                let operation = Operation::from_wire(kind, fact.key.edge.proto, fact.key.edge.port, object);
                match operation {
                    Ok(Some(operation)) if !cut => self.observe(fact, src, operation, now),
                    Ok(_) | Err(_) => {
                        let object = crate::principal::harmless(&String::from_utf8_lossy(object), OBJECT_CAP);
                        let dst = fact.key.edge.dst;
                        let dst = if self.principals.contains_key(&dst) { dst } else { PrincipalId::UNKNOWN };
                        self.note(fact, src, dst, None, object, now);
                    }
                }
            }
        }
        self.flush(now);
    }

    /// The edge that an entry of `OBSERVED` is about, if the model has just that one.
    pub fn edge_of(&self, fact: &Fact, now: Now) -> Option<EdgeId> {
        let edge = fact.key.edge;
        let kind = Kind::from_code(edge.kind)?;
        let operation = Operation::from_wire(kind, edge.proto, edge.port, said(fact)).ok().flatten()?;
        let src = self.source(fact);
        let Target::Known(dst) = self.target(fact, src, now) else { return None };
        self.index.edges.get(&Path { plane: Plane::Packet, src, dst, operation }).copied()
    }

    /// Who an entry of `OBSERVED` says it was.
    fn source(&self, fact: &Fact) -> PrincipalId {
        match fact.key.edge.src {
            PrincipalId::UNKNOWN => {
                self.index.hosts.get(&fact.key.addr.0).copied().unwrap_or(PrincipalId::UNKNOWN)
            }
            known => known,
        }
    }

    /// An address was bound to a device.
    pub fn handle_bound(&mut self, id: PrincipalId, addr: Addr, now: Now) {
        if !self.principals.get(&id).is_some_and(Principal::is_device) {
            return;
        }
        if let Some(host) = self.index.hosts.get(&addr.0).copied() {
            self.remove_host(host, addr, now);
        }
        if let Some(before) = self.index.bound.insert(addr.0, id)
            && before != id
            && let Some(principal) = self.principals.get_mut(&before)
        {
            principal.addresses.retain(|known| *known != addr);
        }
        let rev = self.rev + 1;
        let Some(principal) = self.principals.get_mut(&id) else { return };
        if principal.addresses.first() == Some(&addr) {
            return;
        }
        principal.addresses.retain(|known| *known != addr);
        principal.addresses.insert(0, addr);
        principal.last_seen = principal.last_seen.max(now.unix);
        principal.rev = rev;
        self.rev = rev;
        if principal.addresses.len() > ADDRESSES_CAP
            && let Some(gone) = principal.addresses.pop()
        {
            self.index.bound.remove(&gone.0);
        }
        // Not saved: the kernel's bindings are the truth, and a device may change addresses as often as it likes.
        self.notify(Event::PrincipalChanged(id));
    }

    /// A port (re)appeared under this interface number.
    pub fn handle_port(&mut self, name: &str, ifindex: u32, _now: Now) {
        let mut homes = Vec::new();
        for principal in self.principals.values_mut() {
            for place in principal.places.iter_mut().filter(|place| place.port == name) {
                if place.ifindex != ifindex {
                    place.ifindex = ifindex;
                    homes.push((place.clone(), principal.id));
                }
            }
        }
        for (place, id) in homes {
            self.tell_place(&place, id);
        }
    }

    /// The prefixes of all protected links: an address in them is never an outside host.
    pub fn handle_networks(&mut self, networks: Vec<Network>, now: Now) {
        self.networks = networks;
        self.follow_networks(now);
        let inside: Vec<(PrincipalId, Addr)> = self
            .index
            .hosts
            .iter()
            .map(|(addr, id)| (*id, Addr(*addr)))
            .filter(|(_, addr)| self.is_inside(*addr))
            .collect();
        for (id, addr) in inside {
            self.remove_host(id, addr, now);
        }
    }

    /// What the kernel holds of a counted rule, from `USES`.
    pub fn handle_uses(&mut self, id: EdgeId, left: u64, now: Now) {
        let Some(edge) = self.edges.get_mut(&id) else { return };
        let (State::Allowed(ruling) | State::Denied(ruling)) = &mut edge.state else { return };
        let left = u32::try_from(left).unwrap_or(u32::MAX);
        let Some(known) = ruling.uses_left.filter(|known| left < *known) else { return };
        ruling.uses_left = Some(left.min(known));
        if left > 0 {
            self.save_edge(id, now);
            return;
        }
        let tried = self.asked_uses.remove(&id);
        self.lapse(id, now);
        if tried {
            self.make_pending(id, now);
        }
        self.flush(now);
    }

    /// Saves what was counted but not saved yet, before an orderly end.
    pub fn handle_shutdown(&mut self, now: Now) {
        let principals: Vec<PrincipalId> = self.principals.keys().copied().collect();
        for id in principals {
            self.save_principal(id);
        }
        let edges: Vec<EdgeId> = self.edges.keys().copied().collect();
        for id in edges {
            self.save_edge(id, now);
        }
    }

    fn observe(&mut self, fact: &Fact, src: PrincipalId, operation: Operation, now: Now) {
        let target = match self.target(fact, src, now) {
            Target::Known(id) if self.principals.contains_key(&id) => Target::Known(id),
            Target::Known(_) | Target::Nobody => Target::Nobody,
            Target::New(host) => Target::New(host),
        };
        self.use_name(src, fact.key.addr, now);
        let reason = Reason::from_code(fact.value.reason);
        let is_known = about_the_model(reason)
            || (reason == Some(Reason::ProtoChanged) && operation.layer() == Layer::Protocol);
        let (dst, new_host) = match target {
            Target::Known(id) => (id, None),
            Target::New(host) if is_known && operation.layer() != Layer::Protocol => {
                (PrincipalId::UNKNOWN, Some(host))
            }
            Target::New(_) | Target::Nobody => {
                let object = operation.object_text();
                return self.note(fact, src, PrincipalId::UNKNOWN, Some(&operation), object, now);
            }
        };
        let mut path = Path { plane: Plane::Packet, src, dst, operation };
        if !is_known {
            let object = path.operation.object_text();
            return self.note(fact, src, dst, Some(&path.operation), object, now);
        }
        if path.operation.layer() == Layer::Protocol {
            return self.observe_protocol(path, fact, now);
        }
        let judged = self.judge(&path, now);
        let known = judged.edge.filter(|_| new_host.is_none());
        // A decision that waits for the clock lets nothing pass, but nobody is asked again.
        let settled = |edge: &Edge| match edge.state {
            // Not if what was learned leads to something dangerous by what is known now.
            State::Learned => judged.state != RuleState::Guarded,
            State::Allowed(_) | State::Denied(_) => true,
            State::Pending | State::Lapsed => false,
        };
        if let Some(id) = known.filter(|id| self.edges.get(id).is_some_and(settled)) {
            self.count(id, fact, now);
            self.maybe_used_up(id, fact);
            return;
        }
        match judged.row.outcome {
            Outcome::Learn if reason == Some(Reason::Learned) || is_joined(&path.operation, reason) => {
                if let Some(host) = new_host {
                    let Some(host) = self.new_host(src, host, now) else { return };
                    path.dst = host;
                }
                self.learn(path, fact, now);
            }
            Outcome::Stop(Reason::Quarantine | Reason::Banned | Reason::GuestInside)
            | Outcome::Pass
            | Outcome::Learn => {
                let object = path.operation.object_text();
                self.note(fact, src, dst, Some(&path.operation), object, now);
            }
            Outcome::Stop(_) => {
                if let Some(host) = new_host {
                    if self.pending_from(src) >= self.settings.pending_per_source {
                        return self.overflow(src, 1, now);
                    }
                    let Some(host) = self.new_host(src, host, now) else { return };
                    path.dst = host;
                }
                if judged.state == RuleState::Absent && self.is_awaited(&path, now) {
                    return self.take_up_awaited(&path, fact, now);
                }
                self.pend(path, fact, now);
            }
        }
    }

    /// Who an address is for a source, as the kernel finds it; [`PrincipalId::UNKNOWN`] is an outside host that has no
    /// principal.
    pub fn destination(&self, src: PrincipalId, addr: Addr, now: Now) -> PrincipalId {
        if addr.is_everyone() {
            return PrincipalId::EVERYONE;
        }
        if let Some(&id) = self.index.bound.get(&addr.0) {
            return id;
        }
        let known = match self.name_of(src, addr, now) {
            Some(name) => self.named_for(src, name),
            None => self.index.hosts.get(&addr.0).copied(),
        };
        known.unwrap_or(PrincipalId::UNKNOWN)
    }

    fn target(&self, fact: &Fact, src: PrincipalId, now: Now) -> Target {
        let (addr, dst) = (fact.key.addr, fact.key.edge.dst);
        if dst != PrincipalId::UNKNOWN {
            // A domain that another source has learned is not this one's: it is the name that counts.
            let name = self.is_foreign_pattern(src, dst).then(|| self.name_below(src, dst, addr, now));
            return match name.flatten() {
                Some(name) => self.target_named(src, name),
                None => Target::Known(dst),
            };
        }
        // Both ends outside, or an address that the kernel did not tell.
        if fact.key.edge.src == PrincipalId::UNKNOWN || addr.is_unspecified() {
            return Target::Nobody;
        }
        if let Some(&id) = self.index.bound.get(&addr.0) {
            return Target::Known(id);
        }
        if let Some(name) = self.name_of(src, addr, now) {
            return self.target_named(src, name);
        }
        match self.index.hosts.get(&addr.0) {
            Some(&id) => Target::Known(id),
            None if self.can_be_outside(addr) => Target::New(NewHost::Addr(addr)),
            None => Target::Nobody,
        }
    }

    fn target_named(&self, src: PrincipalId, name: &HostName) -> Target {
        match self.named_for(src, name) {
            Some(id) => Target::Known(id),
            None => Target::New(NewHost::Name(name.clone())),
        }
    }

    /// Whether an address that nobody holds may be that of a host beyond the uplink.
    pub(crate) fn can_be_outside(&self, addr: Addr) -> bool {
        !self.is_inside(addr) && !addr.is_everyone() && !addr.is_unspecified()
    }

    fn is_inside(&self, addr: Addr) -> bool {
        addr.is_link_local() || self.networks.iter().any(|network| network.contains(addr))
    }

    pub(super) fn note(
        &mut self,
        fact: &Fact,
        src: PrincipalId,
        dst: PrincipalId,
        operation: Option<&Operation>,
        object: String,
        now: Now,
    ) {
        let at = now.unix_at(fact.value.last);
        let seen = Seen { fact, at, src, dst, verb: operation.map(|operation| operation.verb), object };
        let count = self.stopped.add(&seen);
        if count > 0 {
            let (verdict, reason) = (seen.verdict(), seen.reason());
            let Seen { at, src, dst, verb, object, .. } = seen;
            let observation = Observation { at, verdict, reason, edge: None, src, dst, verb, object, count };
            self.notify(Event::Observation(observation));
            self.sign_of(fact, src, dst, count, now);
        }
    }

    pub(super) fn hear_name(&mut self, src: PrincipalId, hint: Option<Hint>, now: Now) {
        let alike = hint.as_ref().is_some_and(|hint| {
            self.principals.values().any(|other| {
                let name = |name: &str| same_name(name, &hint.0);
                other.id != src
                    && (other.name.as_deref().is_some_and(name)
                        || other.hint.as_ref().is_some_and(|hint| name(&hint.0)))
            })
        });
        let rev = self.rev + 1;
        let Some(principal) = self.principals.get_mut(&src).filter(|principal| principal.is_device()) else {
            return;
        };
        if hint.is_none() || principal.hint == hint {
            return;
        }
        principal.hint = hint;
        principal.rev = rev;
        self.rev = rev;
        self.guess_again(src);
        self.save_principal(src);
        self.notify(Event::PrincipalChanged(src));
        if alike {
            self.alarm(Alarm::NameAlike, src, now);
        }
    }

    fn hear_overflow(&mut self, src: PrincipalId, fact: &Fact, now: Now) {
        let (at, dst) = (now.unix_at(fact.value.last), PrincipalId::UNKNOWN);
        let object = "more than is kept of one source".to_owned();
        let seen = Seen { fact, at, src, dst, verb: None, object };
        let count = self.stopped.add(&seen);
        if count > 0 {
            self.overflow(src, count, now);
        }
    }
}

/// Whether the kernel only asks because no single rule is about all addresses of a request.
const fn is_joined(operation: &Operation, reason: Option<Reason>) -> bool {
    matches!(operation.object, Object::Registers { .. }) && matches!(reason, Some(Reason::EdgeUnknown))
}

/// Whether a verdict with this reason says something about the model, rather than about a frame.
const fn about_the_model(reason: Option<Reason>) -> bool {
    matches!(
        reason,
        Some(
            Reason::InModel
                | Reason::EdgeUnknown
                | Reason::EdgeDenied
                | Reason::PrincipalNew
                | Reason::GuestInside
                | Reason::Quarantine
                | Reason::Banned
                | Reason::Learned
        )
    )
}

/// The object of an entry, as it was on the wire.
fn said(fact: &Fact) -> &[u8] {
    fact.value.object.get(..usize::from(fact.value.object_len)).unwrap_or_default()
}
