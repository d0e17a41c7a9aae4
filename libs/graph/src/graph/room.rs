//! Who gets one of the places that there are.

use std::collections::BTreeSet;

use firewall_common::abi::{Addr, PrincipalId};
use firewall_common::precedence::Mode;

use super::{EDGES_CAP, Graph, HOSTS_CAP, OUTSIDE_CAP};
use crate::command::{Alarm, Command, Event};
use crate::edge::State;
use crate::principal::Principal;
use crate::time::Now;

/// A device that nobody has accepted makes room for another after this many silent seconds.
const SILENT_AFTER: i64 = 600;

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

    pub(super) fn new_host(&mut self, src: PrincipalId, addr: Addr, now: Now) -> Option<PrincipalId> {
        let outside = self.principals.values().filter(|principal| principal.is_outside()).count();
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
        let room = outside < OUTSIDE_CAP && self.index.hosts.len() < HOSTS_CAP;
        let Some(id) = room.then(|| self.free_number()).flatten() else {
            self.overflow(src, 1, now);
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

    pub(super) fn free_number(&mut self) -> Option<PrincipalId> {
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

    pub(super) fn remove_host(&mut self, id: PrincipalId, addr: Addr, now: Now) {
        if self.index.hosts.remove(&addr.0).is_none() {
            return;
        }
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

    pub(super) fn overflow(&mut self, id: PrincipalId, count: u64, now: Now) {
        if let Some(principal) = self.principals.get_mut(&id) {
            principal.overflow = principal.overflow.saturating_add(count);
        }
        self.alarm(Alarm::Overflow, id, now);
    }
}
