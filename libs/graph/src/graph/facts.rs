//! What comes from the wire.

use firewall_common::abi::{Addr, Kind, OBJECT_CAP, PrincipalId};
use firewall_common::precedence::{Mode, Outcome};
use firewall_common::reason::{Reason, Verdict};

use super::stopped::Seen;
use super::{EDGES_CAP, Fact, Graph, HOSTS_CAP, Network, OUTSIDE_CAP, same_name};
use crate::command::{Alarm, Command, Event, Observation};
use crate::decision::{Author, What};
use crate::edge::{Edge, EdgeId, Path, State};
use crate::learning::{Learning, generalised};
use crate::operation::{Operation, Plane};
use crate::principal::{ADDRESSES_CAP, Hint, Place, Principal};
use crate::time::Now;

/// An edge whose tries grow is saved at most this often.
const SAVE_EVERY_NS: u64 = 60_000_000_000;
/// The time of the last sign of life is saved at most this often, in seconds.
const SEEN_EVERY: i64 = 3_600;
/// A device that nobody has accepted makes room for another after this many silent seconds.
const SILENT_AFTER: i64 = 600;
/// From a decision until the kernel knows it, at most.
const IN_FLIGHT_NS: u64 = 1_000_000_000;
/// How much more the box may learn than a device.
const SELF_FACTOR: usize = 4;

/// Where a destination is.
enum Target {
    Known(PrincipalId),
    /// A host beyond the uplink that has no principal yet.
    NewHost(Addr),
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
        if place.ifindex != 0 {
            self.ports.insert(place.port.clone(), place.ifindex);
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
                Some(_) | None => self.alarm(Alarm::SpoofMac, id),
            }
            return;
        }
        let Some(id) = self.room_for_device(&place.port, now) else {
            self.overflow(PrincipalId::UNKNOWN, 1);
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
        let src = match fact.key.edge.src {
            PrincipalId::UNKNOWN => {
                self.index.hosts.get(&fact.key.addr.0).copied().unwrap_or(PrincipalId::UNKNOWN)
            }
            known => known,
        };
        // Forgotten in the meantime: the entry is older than the change.
        let Some(source) = self.principals.get_mut(&src) else { return };
        let seen = now.unix_at(fact.value.last);
        let due = !source.is_builtin() && seen - source.last_seen > SEEN_EVERY;
        source.last_seen = source.last_seen.max(seen);
        if due {
            self.save_principal(src);
        }
        let object = fact.value.object.get(..usize::from(fact.value.object_len)).unwrap_or_default();
        match kind {
            Kind::DhcpName => self.hear_name(src, object),
            Kind::Overflow => self.hear_overflow(src, fact, now),
            Kind::Transport | Kind::Link | Kind::MqttConnect | Kind::MqttPublish | Kind::MqttSubscribe => {
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
            self.save_principal(before);
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
        self.save_principal(id);
        self.notify(Event::PrincipalChanged(id));
    }

    /// A port (re)appeared under this interface number.
    pub fn handle_port(&mut self, name: &str, ifindex: u32, _now: Now) {
        self.ports.insert(name.to_owned(), ifindex);
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
        let target = match self.target(fact) {
            Target::Known(id) if self.principals.contains_key(&id) => Target::Known(id),
            Target::Known(_) | Target::Nobody => Target::Nobody,
            Target::NewHost(addr) => Target::NewHost(addr),
        };
        let reason = Reason::from_code(fact.value.reason);
        let (dst, new_host) = match target {
            Target::Known(id) => (id, None),
            Target::NewHost(addr) if about_the_model(reason) => (PrincipalId::UNKNOWN, Some(addr)),
            Target::NewHost(_) | Target::Nobody => {
                let object = operation.object_text();
                return self.note(fact, src, PrincipalId::UNKNOWN, Some(&operation), object, now);
            }
        };
        let mut path = Path { plane: Plane::Packet, src, dst, operation };
        if !about_the_model(reason) {
            let object = path.operation.object_text();
            return self.note(fact, src, dst, Some(&path.operation), object, now);
        }
        let judged = self.judge(&path, now);
        let known = judged.edge.filter(|_| new_host.is_none());
        // A decision that waits for the clock lets nothing pass, but nobody is asked again.
        let settled = |edge: &Edge| match edge.state {
            State::Learned | State::Allowed(_) | State::Denied(_) => true,
            State::Pending | State::Lapsed => false,
        };
        if let Some(id) = known.filter(|id| self.edges.get(id).is_some_and(settled)) {
            self.count(id, fact, now);
            self.maybe_used_up(id, fact);
            return;
        }
        match judged.row.outcome {
            Outcome::Learn if reason == Some(Reason::Learned) => {
                if let Some(addr) = new_host {
                    let Some(host) = self.new_host(src, addr, now) else { return };
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
                if let Some(addr) = new_host {
                    if self.pending_from(src) >= self.settings.pending_per_source {
                        return self.overflow(src, 1);
                    }
                    let Some(host) = self.new_host(src, addr, now) else { return };
                    path.dst = host;
                }
                self.pend(path, fact, now);
            }
        }
    }

    fn target(&self, fact: &Fact) -> Target {
        let addr = fact.key.addr;
        if fact.key.edge.dst != PrincipalId::UNKNOWN {
            return Target::Known(fact.key.edge.dst);
        }
        // Both ends outside, or an address that the kernel did not tell.
        if fact.key.edge.src == PrincipalId::UNKNOWN || addr.is_unspecified() {
            return Target::Nobody;
        }
        match self.index.hosts.get(&addr.0).or_else(|| self.index.bound.get(&addr.0)) {
            Some(&id) => Target::Known(id),
            None if self.is_inside(addr) || addr.is_everyone() => Target::Nobody,
            None => Target::NewHost(addr),
        }
    }

    pub(super) fn is_inside(&self, addr: Addr) -> bool {
        addr.is_link_local() || self.networks.iter().any(|network| network.contains(addr))
    }

    /// The edge becomes part of its source's model.
    fn learn(&mut self, path: Path, fact: &Fact, now: Now) {
        let src = path.src;
        let full = self.edges_from(src).filter(|edge| edge.state == State::Learned).count()
            >= self.settings.learn_edges * if src == PrincipalId::SELF { SELF_FACTOR } else { 1 };
        if full || !self.room_for_edge(now) {
            self.stop_learning(src, now);
            return self.pend(path, fact, now);
        }
        let id = self.edge_at(path, now);
        self.set_state(id, State::Learned, now);
        self.count(id, fact, now);
        let stream = self.edges.get(&id).and_then(|edge| edge.path.stream());
        if stream.is_some_and(|stream| self.topics(stream, now).compile(1).is_err()) {
            self.set_state(id, State::Pending, now);
            self.stop_learning(src, now);
            self.save_edge(id, now);
            return self.notify(Event::EdgePending(id));
        }
        if let Some(principal) = self.principals.get_mut(&src)
            && let Some(learning) = &mut principal.learning
        {
            learning.last_new = now;
        }
        self.save_principal(src);
        self.learned_more(src, now);
        if !self.generalise(id, now) {
            self.save_edge(id, now);
            self.tell_edge(id, now);
            self.notify(Event::EdgeChanged(id));
        }
    }

    /// Replaces siblings that differ in one number, id or date by one edge with `+` there; whether it did.
    fn generalise(&mut self, id: EdgeId, now: Now) -> bool {
        let Some(edge) = self.edges.get(&id) else { return false };
        if self.is_dangerous(edge.path.src) || self.is_dangerous(edge.path.dst) {
            return false;
        }
        let siblings: Vec<&Edge> = self
            .edges_from(edge.path.src)
            .filter(|other| {
                other.path.dst == edge.path.dst && other.state == State::Learned && !other.decided
            })
            .collect();
        let operations: Vec<(EdgeId, &Operation)> =
            siblings.iter().map(|edge| (edge.id, &edge.path.operation)).collect();
        let Some((operation, replaced)) = generalised(&edge.path.operation, &operations) else {
            return false;
        };
        let path = Path { operation, ..edge.path.clone() };
        let tries = siblings.iter().filter(|edge| replaced.contains(&edge.id)).map(|edge| edge.tries).sum();
        if self.leads_to_danger(&path) || self.index.edges.contains_key(&path) {
            return false;
        }
        let general = self.edge_at(path, now);
        self.set_state(general, State::Learned, now);
        if let Some(edge) = self.edges.get_mut(&general) {
            edge.tries = tries;
            edge.first_seen = Some(now.unix);
            edge.last_seen = Some(now.unix);
        }
        self.save_edge(general, now);
        self.tell_edge(general, now);
        for old in replaced {
            self.drop_edge(old, now);
        }
        if !self.generalise(general, now) {
            self.notify(Event::EdgeChanged(general));
        }
        true
    }

    /// The edge waits for a decision.
    fn pend(&mut self, path: Path, fact: &Fact, now: Now) {
        let known = self.index.edges.get(&path).copied();
        if known.is_none()
            && (self.pending_from(path.src) >= self.settings.pending_per_source || !self.room_for_edge(now))
        {
            self.collect_outside(path.dst, now);
            return self.overflow(path.src, 1);
        }
        let id = self.edge_at(path, now);
        let new = known.is_none() || self.edges.get(&id).is_some_and(|edge| edge.state != State::Pending);
        self.count(id, fact, now);
        if new {
            self.make_pending(id, now);
        }
    }

    pub(super) fn make_pending(&mut self, id: EdgeId, now: Now) {
        let Some(edge) = self.edges.get(&id) else { return };
        let path = edge.path.clone();
        let violated = self.violated(&path, now);
        self.set_state(id, State::Pending, now);
        if let Some(edge) = self.edges.get_mut(&id) {
            edge.violated = Some(violated);
        }
        self.tell_edge(id, now);
        self.mark(path.operation.verb, &path.operation.object, path.src, path.dst);
        self.save_edge(id, now);
        self.notify(Event::EdgePending(id));
    }

    fn pending_from(&self, src: PrincipalId) -> usize {
        self.edges_from(src).filter(|edge| edge.state == State::Pending).count()
    }

    /// The edge with this path; a new one is pending until something else is said.
    pub(super) fn edge_at(&mut self, path: Path, now: Now) -> EdgeId {
        if let Some(id) = self.index.edges.get(&path) {
            return *id;
        }
        let id = EdgeId(self.next_edge);
        self.next_edge += 1;
        let rev = self.touch();
        self.insert_edge(Edge {
            id,
            path,
            state: State::Pending,
            since: now.unix,
            reason: None,
            verdict: None,
            violated: None,
            decided: false,
            tries: 0,
            first_seen: None,
            last_seen: None,
            tallies: Vec::new(),
            rev,
        });
        id
    }

    fn count(&mut self, id: EdgeId, fact: &Fact, now: Now) {
        let Some(edge) = self.edges.get_mut(&id) else { return };
        let new = edge.count(fact.key.object, &fact.value);
        let (first, last) = (now.unix_at(fact.value.first), now.unix_at(fact.value.last));
        edge.first_seen = Some(edge.first_seen.map_or(first, |known| known.min(first)));
        edge.last_seen = Some(edge.last_seen.map_or(last, |known| known.max(last)));
        edge.verdict = Verdict::from_code(fact.value.verdict);
        edge.reason = Reason::from_code(fact.value.reason);
        if new == 0 {
            return;
        }
        let observation = Observation {
            at: last,
            verdict: edge.verdict,
            reason: edge.reason,
            edge: Some(id),
            src: edge.path.src,
            dst: edge.path.dst,
            verb: Some(edge.path.operation.verb),
            object: edge.path.operation.object_text(),
            count: new,
        };
        let settled = edge.state != State::Learned;
        self.notify(Event::Observation(observation));
        let due = self.saved.get(&id).is_some_and(|at| now.boot_ns.saturating_sub(*at) >= SAVE_EVERY_NS);
        if due {
            self.save_edge(id, now);
        }
        if settled && self.saved.contains_key(&id) {
            self.notify(Event::EdgeChanged(id));
        }
    }

    /// A counted permission did not let a try pass, so its uses are gone: once the kernel says so too, the edge is
    /// pending. A try just after the decision may have come before the kernel knew it.
    fn maybe_used_up(&mut self, id: EdgeId, fact: &Fact) {
        let Some(State::Allowed(ruling)) = self.edges.get(&id).map(|edge| &edge.state) else { return };
        let stopped = Verdict::from_code(fact.value.verdict) != Some(Verdict::Forwarded);
        let later = fact.value.last > ruling.at.boot_ns.saturating_add(IN_FLIGHT_NS);
        if ruling.uses_left.is_some() && stopped && later {
            self.asked_uses.insert(id);
        }
    }

    fn note(
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
        }
    }

    fn hear_name(&mut self, src: PrincipalId, object: &[u8]) {
        let hint = Hint::from_wire(object);
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
        self.save_principal(src);
        self.notify(Event::PrincipalChanged(src));
        if alike {
            self.alarm(Alarm::NameAlike, src);
        }
    }

    fn hear_overflow(&mut self, src: PrincipalId, fact: &Fact, now: Now) {
        let (at, dst) = (now.unix_at(fact.value.last), PrincipalId::UNKNOWN);
        let object = "more than is kept of one source".to_owned();
        let seen = Seen { fact, at, src, dst, verb: None, object };
        let count = self.stopped.add(&seen);
        if count > 0 {
            self.overflow(src, count);
        }
    }

    pub(super) fn overflow(&mut self, id: PrincipalId, count: u64) {
        if let Some(principal) = self.principals.get_mut(&id) {
            principal.overflow = principal.overflow.saturating_add(count);
        }
        self.alarm(Alarm::Overflow, id);
    }

    fn stop_learning(&mut self, id: PrincipalId, now: Now) {
        if !self.learns(id) {
            return self.overflow(id, 1);
        }
        self.change_mode(id, Mode::Enforcing, now);
        if let Some(principal) = self.principals.get_mut(&id) {
            let learning = principal.learning.get_or_insert_with(|| Learning::begin(now, None));
            learning.capped = true;
            learning.enforces = None;
            learning.ends = None;
        }
        self.save_principal(id);
        let what = What::Mode {
            principal: id,
            from: Mode::Learning,
            to: Mode::Enforcing,
            why: "scan: a cap was reached".into(),
        };
        self.record_decision(what, &Author::firewall(), now);
        self.alarm(Alarm::Scan, id);
    }

    // Room.

    fn room_for_device(&mut self, port: &str, now: Now) -> Option<PrincipalId> {
        let here = |principal: &&Principal| principal.places.iter().any(|place| place.port == port);
        if self.principals.values().filter(here).count() >= self.settings.principals_per_port {
            let ignored = |principal: &&Principal| {
                principal.mode == Mode::New
                    && principal.name.is_none()
                    && principal.last_seen.saturating_add(SILENT_AFTER) < now.unix
                    && principal.learning.is_none()
            };
            let candidates = self.principals.values().filter(here).filter(ignored);
            let oldest = candidates.min_by_key(|principal| principal.last_seen)?.id;
            if self.edges_of(oldest).iter().any(|id| self.edges.get(id).is_some_and(|edge| edge.decided)) {
                return None;
            }
            self.remove_principal(oldest, now);
        }
        self.free_number()
    }

    fn new_host(&mut self, src: PrincipalId, addr: Addr, now: Now) -> Option<PrincipalId> {
        let outside = self.principals.values().filter(|principal| principal.is_outside()).count();
        let learns = self.learns(src);
        let known = self
            .edges_from(src)
            .filter(|edge| self.principals.get(&edge.path.dst).is_some_and(Principal::is_outside))
            .map(|edge| edge.path.dst)
            .collect::<std::collections::BTreeSet<_>>()
            .len();
        if learns && known >= self.settings.learn_destinations {
            self.stop_learning(src, now);
            return None;
        }
        let room = outside < OUTSIDE_CAP && self.index.hosts.len() < HOSTS_CAP;
        let Some(id) = room.then(|| self.free_number()).flatten() else {
            self.overflow(src, 1);
            return None;
        };
        let mut principal = Principal::new(id, Mode::Outside, now);
        principal.addresses.push(addr);
        principal.rev = self.touch();
        self.index.hosts.insert(addr.0, id);
        self.principals.insert(id, principal);
        self.save_principal(id);
        self.tell_principal(id, now);
        self.push(Command::PutHost { addr, id });
        self.notify(Event::PrincipalAdded(id));
        Some(id)
    }

    fn free_number(&mut self) -> Option<PrincipalId> {
        let numbers = PrincipalId::LIMIT - PrincipalId::FIRST;
        let from = self.next_principal - PrincipalId::FIRST;
        let free = (0..numbers)
            .map(|step| PrincipalId(PrincipalId::FIRST + (from + step) % numbers))
            .find(|id| !self.principals.contains_key(id))?;
        self.next_principal = PrincipalId::FIRST + (free.0 + 1 - PrincipalId::FIRST) % numbers;
        Some(free)
    }

    /// Whether there is room for one more edge; what has lapsed makes room.
    pub(super) fn room_for_edge(&mut self, now: Now) -> bool {
        if self.edges.len() < EDGES_CAP {
            return true;
        }
        let lapsed = self.edges.values().filter(|edge| edge.state == State::Lapsed);
        let Some(oldest) = lapsed.min_by_key(|edge| edge.since).map(|edge| edge.id) else { return false };
        self.drop_edge(oldest, now);
        true
    }

    /// Removes an outside host that nothing leads to any more.
    pub(super) fn collect_outside(&mut self, id: PrincipalId, now: Now) {
        let unused = self.principals.get(&id).is_some_and(|principal| {
            principal.mode == Mode::Outside && !principal.is_builtin() && principal.name.is_none()
        });
        if unused && self.edges_of(id).is_empty() {
            self.remove_principal(id, now);
        }
    }

    fn remove_host(&mut self, id: PrincipalId, addr: Addr, now: Now) {
        self.index.hosts.remove(&addr.0);
        self.push(Command::RemoveHost { addr });
        if let Some(principal) = self.principals.get_mut(&id) {
            principal.addresses.retain(|known| *known != addr);
            if principal.addresses.is_empty() {
                self.remove_principal(id, now);
            } else {
                self.save_principal(id);
            }
        }
    }
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
