//! What people say about principals.

use firewall_common::abi::PrincipalId;
use firewall_common::precedence::Mode;

use super::{Graph, Patch, builtin_by_name};
use crate::command::{Command, Event};
use crate::decision::{Author, DecisionId, Refused, What};
use crate::edge::{Edge, EdgeId, Path, State};
use crate::host::PREFIX;
use crate::principal::{
    DESCRIPTION_CAP, Kind, NAME_CAP, PLACES_CAP, Principal, Source, harmless, parse_address, parse_mac,
};
use crate::record::RecordKey;
use crate::time::{Deadline, Now};

impl Graph {
    /// Sets name, kind, room or description.
    pub fn set_principal(
        &mut self,
        id: PrincipalId,
        patch: &Patch,
        author: &Author,
        now: Now,
    ) -> Result<DecisionId, Refused> {
        let before = self.own(id)?.clone();
        let mut after = before.clone();
        let mut words = Vec::new();
        if let Some(name) = &patch.name {
            after.name = self.checked_name(id, name)?;
            words.push(format!("name {}", after.name.as_deref().unwrap_or("removed")));
        }
        if let Some(kind) = &patch.kind {
            after.kind = Kind::from_name(kind).ok_or_else(|| {
                let all: Vec<&str> = Kind::ALL.iter().map(|kind| kind.as_str()).collect();
                let text = format!("There is no kind {kind}; kinds are {}", all.join(", "));
                Refused::Wrong { code: "kind_unknown", text }
            })?;
            after.kind_source = if after.kind == Kind::Unknown { Source::None } else { Source::Owner };
            words.push(format!("kind {}", after.kind.as_str()));
        }
        let text = |text: &str, cap| Some(harmless(text, cap)).filter(|text| !text.is_empty());
        if let Some(room) = &patch.room {
            after.room = text(room, NAME_CAP);
            words.push(format!("room {}", after.room.as_deref().unwrap_or("removed")));
        }
        if let Some(description) = &patch.description {
            after.description = text(description, DESCRIPTION_CAP);
            words.push("description".to_owned());
        }
        if words.is_empty() {
            return Err(Refused::Invalid(
                "Nothing to set; give a name, kind, room or description".to_owned(),
            ));
        }
        let kind_changed = after.kind != before.kind;
        let stricter = after.kind.is_dangerous() && !before.kind.is_dangerous();
        after.rev = self.touch();
        let waits = after.kind.waits_for_person();
        if after.mode == Mode::Ready
            && let Some(learning) =
                after.learning.as_mut().filter(|learning| waits == learning.enforces.is_some())
        {
            learning.enforces = (!waits).then(|| Deadline::after(now, self.settings.ready_notice));
        }
        self.index.rename(id, before.name.as_deref(), after.name.as_deref());
        self.principals.insert(id, after);
        if stricter {
            self.tell_kind(id, now);
        }
        self.save_principal(id);
        let decision =
            self.record_decision(What::Set { principal: id, detail: words.join(", ") }, author, now);
        if kind_changed {
            self.tell_kind(id, now);
        }
        self.notify(Event::PrincipalChanged(id));
        Ok(decision)
    }

    /// Makes `from` part of `into`: its places, addresses and edges.
    pub fn merge(
        &mut self,
        from: PrincipalId,
        into: PrincipalId,
        author: &Author,
        now: Now,
    ) -> Result<DecisionId, Refused> {
        let (source, target) = (self.own(from)?.clone(), self.own(into)?);
        if from == into || source.is_device() != target.is_device() {
            return Err(Refused::Invalid(
                "Two different devices can be merged, or two outside hosts".to_owned(),
            ));
        }
        if source.host.is_some() && target.host.is_some() {
            return Err(Refused::Invalid("Hosts with two names stay two".to_owned()));
        }
        if source.places.len() + target.places.len() > PLACES_CAP {
            return Err(Refused::TooMany(format!("One device has at most {PLACES_CAP} places")));
        }
        self.touch();
        for id in self.edges_of(from) {
            self.move_edge(id, from, into, now);
        }
        self.move_bans(from, Some(into), now);
        self.remove_principal(from, now);
        let rev = self.rev;
        if let Some(target) = self.principals.get_mut(&into) {
            target.places.extend(source.places.iter().cloned());
            target.addresses.extend(source.addresses.iter().copied());
            target.first_seen = target.first_seen.min(source.first_seen);
            target.last_seen = target.last_seen.max(source.last_seen);
            target.hint = target.hint.take().or(source.hint);
            if target.clues.is_empty() {
                target.clues = source.clues;
            }
            target.host = target.host.take().or_else(|| source.host.clone());
            target.rev = rev;
        }
        if let Some(name) = &source.host {
            self.enter_name(name, into, now);
            self.mark_askers(into);
        }
        let is_device = !source.places.is_empty();
        for place in &source.places {
            self.index.macs.insert((place.mac, place.vlan), into);
            self.tell_place(place, into);
        }
        for addr in source.addresses {
            if is_device {
                self.index.bound.insert(addr.0, into);
            } else {
                self.index.hosts.insert(addr.0, into);
                self.push(Command::PutHost { addr, id: into });
            }
        }
        self.guess_again(into);
        self.rejudge(self.edges_of(into), now);
        self.mark_principal(into);
        self.flush(now);
        self.save_principal(into);
        let decision = self.record_decision(What::Merge { from, into }, author, now);
        self.notify(Event::PrincipalChanged(into));
        Ok(decision)
    }

    /// Removes a principal and its edges; a device that is still there is a stranger again.
    pub fn forget(&mut self, id: PrincipalId, author: &Author, now: Now) -> Result<DecisionId, Refused> {
        let title = self.own(id)?.title();
        self.remove_principal(id, now);
        Ok(self.record_decision(What::Forget { principal: id, title }, author, now))
    }

    /// Removes a principal from kernel, disk and memory.
    pub(super) fn remove_principal(&mut self, id: PrincipalId, now: Now) {
        let edges = self.edges_of(id);
        let Some(principal) = self.principals.remove(&id) else { return };
        for edge in edges {
            self.drop_edge(edge, now);
        }
        for place in &principal.places {
            self.index.macs.remove(&(place.mac, place.vlan));
            self.push(Command::RemoveMac { mac: place.mac, vlan: place.vlan });
        }
        for addr in principal.addresses {
            self.index.bound.remove(&addr.0);
            if self.index.hosts.remove(&addr.0).is_some() {
                self.push(Command::RemoveHost { addr });
            }
        }
        if let Some(name) = &principal.host {
            self.leave_name(name);
        }
        self.index.rename(id, principal.name.as_deref(), None);
        self.move_bans(id, None, now);
        self.forget_names(id);
        self.untell_principal(id);
        self.stopped.forget(id);
        self.watch.forget(id);
        self.alarms.retain(|(_, principal), _| *principal != id);
        self.touch();
        self.push(Command::Delete(RecordKey::Principal(id.0)));
        self.notify(Event::PrincipalRemoved(id));
        self.flush(now);
    }

    /// Gives an edge another end. Where both have it, what is stricter and what a person said wins.
    pub(super) fn move_edge(&mut self, id: EdgeId, from: PrincipalId, into: PrincipalId, now: Now) {
        let Some(mut edge) = self.take_edge(id) else { return };
        self.untell_edge(&edge, now);
        let end = |end: PrincipalId| if end == from { into } else { end };
        let path = Path { src: end(edge.path.src), dst: end(edge.path.dst), ..edge.path.clone() };
        let weight = |edge: &Edge| match edge.state {
            State::Denied(_) => 0,
            State::Allowed(_) => 1,
            State::Learned => 2,
            State::Pending => 3,
            State::Lapsed => 4,
        };
        let other = self.index.edges.get(&path).copied();
        let weaker = other
            .and_then(|other| self.edges.get(&other))
            .is_some_and(|other| weight(other) <= weight(&edge));
        if path.src == path.dst || weaker {
            self.push(Command::Delete(RecordKey::Edge(id.0)));
            return self.notify(Event::EdgeRemoved(id));
        }
        if let Some(other) = other {
            self.erase_edge(other, now);
        }
        edge.path = path;
        let state = edge.state.clone();
        self.insert_edge(edge);
        self.set_state(id, state, now);
        self.tell_edge(id, now);
        self.save_edge(id, now);
        self.notify(Event::EdgeChanged(id));
    }

    /// A principal that people may change.
    pub(crate) fn own(&self, id: PrincipalId) -> Result<&Principal, Refused> {
        match self.principals.get(&id) {
            None => Err(Refused::NotFound(format!("There is no principal {}", id.0))),
            Some(principal) if principal.is_builtin() => Err(Refused::Invalid(format!(
                "{} stands for itself and cannot be changed",
                principal.title()
            ))),
            Some(principal) => Ok(principal),
        }
    }

    pub(crate) fn checked_name(&self, id: PrincipalId, name: &str) -> Result<Option<String>, Refused> {
        let name = harmless(name, NAME_CAP);
        if name.is_empty() {
            return Ok(None);
        }
        let means_something =
            name.parse::<u32>().is_ok() || parse_mac(&name).is_some() || parse_address(&name).is_some();
        let means_something = means_something || name.starts_with(PREFIX);
        if means_something || builtin_by_name(&name).is_some() {
            let text = format!("{name} means something else already; choose another name");
            return Err(Refused::Wrong { code: "name_reserved", text });
        }
        match self.index.with_name(&name).filter(|other| *other != id) {
            Some(other) => {
                let text = format!("Principal {} has the name {name} already", other.0);
                Err(Refused::Wrong { code: "name_taken", text })
            }
            None => Ok(Some(name)),
        }
    }
}
