//! Who gets one of the places that there are.

use std::collections::BTreeSet;

use firewall_common::abi::{Addr, PrincipalId};
use firewall_common::precedence::Mode;

use super::Graph;
use crate::command::{Alarm, Command, Event};
use crate::edge::State;
use crate::host::HostName;
use crate::principal::Principal;
use crate::time::Now;

/// A device that nobody has accepted makes room for another after this many silent seconds.
const SILENT_AFTER: i64 = 600;

/// An outside host that has no principal yet.
#[derive(Clone, Debug)]
pub(crate) enum NewHost {
    Addr(Addr),
    Name(HostName),
}

impl Graph {
    pub(super) fn room_for_device(&mut self, port: &str, now: Now) -> Option<PrincipalId> {
        let here = |principal: &&Principal| principal.places.iter().any(|place| place.port == port);
        if self.principals.values().filter(here).count() >= self.settings.principals_per_port {
            let ignored = |principal: &&Principal| {
                principal.mode == Mode::New
                    && principal.name.is_none()
                    && principal.last_seen.saturating_add(SILENT_AFTER) < now.unix
                    && !self.edges_from(principal.id).any(|edge| edge.decided)
            };
            let candidates = self.principals.values().filter(here).filter(ignored);
            let oldest = candidates.min_by_key(|principal| principal.last_seen)?.id;
            self.remove_principal(oldest, now);
        }
        self.free_number()
    }

    pub(super) fn new_host(&mut self, src: PrincipalId, host: NewHost, now: Now) -> Option<PrincipalId> {
        let learns = self.learns(src);
        let known = self
            .edges_from(src)
            .filter(|edge| self.principals.get(&edge.path.dst).is_some_and(Principal::is_outside))
            .map(|edge| edge.path.dst)
            .collect::<BTreeSet<_>>()
            .len();
        if learns && known >= self.settings.learn_destinations {
            self.stop_learning(src, now);
        }
        let added = self.add_outside(host, now);
        if added.is_none() {
            self.overflow(src, 1, now);
        }
        added
    }

    /// Makes a principal of an outside host, if there is room.
    pub(crate) fn add_outside(&mut self, host: NewHost, now: Now) -> Option<PrincipalId> {
        let id = self.has_room_outside().then(|| self.free_number()).flatten()?;
        self.add_outside_as(id, host, now);
        Some(id)
    }

    pub(crate) fn has_room_outside(&self) -> bool {
        let outside = self.principals.values().filter(|principal| principal.is_outside()).count();
        let room = self.settings.room;
        outside < room.outside() && self.index.hosts.len() < room.hosts
    }

    /// Makes a principal of an outside host under a number that is free.
    pub(crate) fn add_outside_as(&mut self, id: PrincipalId, host: NewHost, now: Now) {
        let mut principal = Principal::new(id, Mode::Outside, now);
        principal.rev = self.touch();
        match &host {
            NewHost::Addr(addr) => principal.addresses.push(*addr),
            NewHost::Name(name) => principal.host = Some(name.clone()),
        }
        self.principals.insert(id, principal);
        self.save_principal(id);
        self.tell_principal(id, now);
        match host {
            NewHost::Addr(addr) => {
                self.index.hosts.insert(addr.0, id);
                self.push(Command::PutHost { addr, id });
            }
            NewHost::Name(name) => self.enter_name(&name, id, now),
        }
        self.notify(Event::PrincipalAdded(id));
    }

    pub(super) fn free_number(&mut self) -> Option<PrincipalId> {
        let free = self.free_numbers().next()?;
        let numbers = self.settings.room.principals - PrincipalId::FIRST;
        self.next_principal = PrincipalId::FIRST + (free.0 + 1 - PrincipalId::FIRST) % numbers;
        Some(free)
    }

    /// The numbers that nobody has, in the order in which they are given out.
    pub(crate) fn free_numbers(&self) -> impl Iterator<Item = PrincipalId> {
        let numbers = self.settings.room.principals - PrincipalId::FIRST;
        let from = self.next_principal - PrincipalId::FIRST;
        (0..numbers)
            .map(move |step| PrincipalId(PrincipalId::FIRST + (from + step) % numbers))
            .filter(|id| !self.principals.contains_key(id))
    }

    /// Whether there is room for one more edge; what has lapsed makes room.
    pub(crate) fn room_for_edge(&mut self, now: Now) -> bool {
        if self.edges.len() < self.settings.room.edges {
            return true;
        }
        let lapsed = self.edges.values().filter(|edge| edge.state == State::Lapsed);
        let Some(oldest) = lapsed.min_by_key(|edge| edge.since).map(|edge| edge.id) else { return false };
        self.drop_edge(oldest, now);
        true
    }

    /// Removes an outside host that nothing leads to any more.
    pub(crate) fn collect_outside(&mut self, id: PrincipalId, now: Now) {
        let unused = self.principals.get(&id).is_some_and(|principal| {
            principal.mode == Mode::Outside && !principal.is_builtin() && principal.name.is_none()
        });
        if unused && self.edges_of(id).is_empty() {
            self.remove_principal(id, now);
        }
    }

    pub(super) fn remove_host(&mut self, id: PrincipalId, addr: Addr, now: Now) {
        if self.index.hosts.remove(&addr.0).is_none() {
            return;
        }
        self.push(Command::RemoveHost { addr });
        if let Some(principal) = self.principals.get_mut(&id) {
            principal.addresses.retain(|known| *known != addr);
            if principal.addresses.is_empty() && principal.host.is_none() {
                self.remove_principal(id, now);
            } else {
                self.save_principal(id);
            }
        }
    }

    pub(super) fn overflow(&mut self, id: PrincipalId, count: u64, now: Now) {
        if let Some(principal) = self.principals.get_mut(&id) {
            principal.overflow = principal.overflow.saturating_add(count);
        }
        self.alarm(Alarm::Overflow, id, now);
    }
}
