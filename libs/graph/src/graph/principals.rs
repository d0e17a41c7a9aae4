//! What people say about principals.

use firewall_common::abi::PrincipalId;
use firewall_common::precedence::{Mode, Outcome, RuleState};

use super::{Graph, Patch, builtin_by_name, same_name};
use crate::command::{Command, Event};
use crate::decision::{Author, DecisionId, Refused, What};
use crate::edge::{Edge, EdgeId, Path, State};
use crate::learning::Learning;
use crate::principal::{
    DESCRIPTION_CAP, Kind, NAME_CAP, PLACES_CAP, Principal, Source, harmless, parse_address, parse_mac,
};
use crate::record::RecordKey;
use crate::time::{Deadline, Now};

/// Longest pause, and longest learning that a person sets, in seconds.
const PAUSE_MAX: u32 = 43_200;
const LEARN_MAX: u32 = 90 * 86_400;

impl Graph {
    /// Sets name, kind, room or description.
    pub fn set_principal(
        &mut self,
        id: PrincipalId,
        patch: &Patch,
        author: &Author,
        now: Now,
    ) -> Result<DecisionId, Refused> {
        let before = self.own(id)?;
        let mut after = before.clone();
        let mut words = Vec::new();
        if let Some(name) = &patch.name {
            after.name = self.checked_name(id, name)?;
            words.push(format!("name {}", after.name.as_deref().unwrap_or("removed")));
        }
        if let Some(kind) = &patch.kind {
            after.kind = Kind::from_name(kind).ok_or_else(|| {
                let all: Vec<&str> = Kind::ALL.iter().map(|kind| kind.as_str()).collect();
                Refused::Invalid(format!("There is no kind {kind}; kinds are {}", all.join(", ")))
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

    /// `new`, `learning`, `enforcing`, `guest` or `quarantine`; for an outside host `quarantine` or `outside`.
    pub fn set_mode(
        &mut self,
        id: PrincipalId,
        mode: Mode,
        author: &Author,
        now: Now,
    ) -> Result<DecisionId, Refused> {
        let principal = self.own(id)?;
        let possible: &[Mode] = if principal.is_device() {
            &[Mode::New, Mode::Learning, Mode::Enforcing, Mode::Guest, Mode::Quarantine]
        } else {
            &[Mode::Outside, Mode::Quarantine]
        };
        if !possible.contains(&mode) {
            let names: Vec<&str> = possible.iter().map(|mode| mode.as_str()).collect();
            return Err(Refused::Invalid(format!("{} can be {}", principal.title(), names.join(", "))));
        }
        if principal.mode == mode && mode != Mode::Learning {
            return Err(Refused::Conflict(format!("{} is {} already", principal.title(), mode.as_str())));
        }
        Ok(self.person_mode(id, mode, None, author, now))
    }

    /// Lets a principal learn (again), or all accepted devices; ends by itself after `seconds`, or by evidence.
    pub fn learn_start(
        &mut self,
        id: Option<PrincipalId>,
        seconds: Option<u32>,
        author: &Author,
        now: Now,
    ) -> Result<Vec<DecisionId>, Refused> {
        if seconds.is_some_and(|seconds| seconds == 0 || seconds > LEARN_MAX) {
            return Err(Refused::Invalid("Learning lasts at least a second and at most 90 days".to_owned()));
        }
        let who = self.devices(id, |mode| matches!(mode, Mode::Learning | Mode::Ready | Mode::Enforcing))?;
        let ends = seconds.map(|seconds| Deadline::after(now, seconds.into()));
        Ok(who.into_iter().map(|id| self.person_mode(id, Mode::Learning, ends, author, now)).collect())
    }

    /// Ends learning and enforces now; without a principal for all that learn.
    pub fn learn_finish(
        &mut self,
        id: Option<PrincipalId>,
        author: &Author,
        now: Now,
    ) -> Result<Vec<DecisionId>, Refused> {
        let who = self.devices(id, |mode| matches!(mode, Mode::Learning | Mode::Ready))?;
        if let Some(principal) =
            id.and_then(|id| self.principals.get(&id)).filter(|principal| !principal.learns())
        {
            return Err(Refused::Conflict(format!("{} is not learning", principal.title())));
        }
        Ok(who.into_iter().map(|id| self.person_mode(id, Mode::Enforcing, None, author, now)).collect())
    }

    /// Drops nothing of a principal, or at the whole site, for so many seconds; 0 ends it.
    pub fn pause(
        &mut self,
        id: Option<PrincipalId>,
        seconds: u32,
        author: &Author,
        now: Now,
    ) -> Result<DecisionId, Refused> {
        if seconds > PAUSE_MAX {
            return Err(Refused::Invalid("A pause lasts at most 12 hours".to_owned()));
        }
        let pause = (seconds > 0).then(|| Deadline::after(now, seconds.into()));
        if let Some(id) = id {
            self.own(id)?;
            let rev = self.touch();
            if let Some(principal) = self.principals.get_mut(&id) {
                principal.pause = pause;
                principal.rev = rev;
            }
        } else {
            self.touch();
            self.site.pause = pause;
        }
        let what = What::Pause { principal: id.map(|id| id.0), seconds };
        // Ending a pause closes: the kernel comes first.
        if pause.is_none() {
            self.tell_pause(id, now);
        }
        if let Some(id) = id {
            self.save_principal(id);
        }
        let decision = self.record_decision(what, author, now);
        self.tell_pause(id, now);
        self.notify(id.map_or(Event::Status, Event::PrincipalChanged));
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
        if source.places.len() + target.places.len() > PLACES_CAP {
            return Err(Refused::TooMany(format!("One device has at most {PLACES_CAP} places")));
        }
        self.touch();
        for id in self.edges_of(from) {
            self.move_edge(id, from, into, now);
        }
        self.remove_principal(from, now);
        let rev = self.rev;
        if let Some(target) = self.principals.get_mut(&into) {
            target.places.extend(source.places.iter().cloned());
            target.addresses.extend(source.addresses.iter().copied());
            target.first_seen = target.first_seen.min(source.first_seen);
            target.last_seen = target.last_seen.max(source.last_seen);
            target.hint = target.hint.take().or(source.hint);
            target.rev = rev;
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

    pub(super) fn undo_mode(
        &mut self,
        id: DecisionId,
        principal: PrincipalId,
        from: Mode,
        to: Mode,
        author: &Author,
        now: Now,
    ) -> Result<DecisionId, Refused> {
        let current = self.own(principal)?;
        if current.mode != to {
            return Err(Refused::Conflict(format!("{} is {} now", current.title(), current.mode.as_str())));
        }
        let back = if from == Mode::Ready { Mode::Learning } else { from };
        self.person_mode(principal, back, None, author, now);
        Ok(self.mark_undone(id, None, author, now))
    }

    pub(super) fn undo_pause(
        &mut self,
        id: DecisionId,
        principal: Option<u32>,
        author: &Author,
        now: Now,
    ) -> Result<DecisionId, Refused> {
        self.pause(principal.map(PrincipalId), 0, author, now)?;
        Ok(self.mark_undone(id, None, author, now))
    }

    pub(super) fn end_pause(&mut self, id: PrincipalId, now: Now) {
        let rev = self.touch();
        if let Some(principal) = self.principals.get_mut(&id) {
            principal.pause = None;
            principal.rev = rev;
        }
        self.tell_principal(id, now);
        self.save_principal(id);
        self.notify(Event::PrincipalChanged(id));
    }

    fn tell_pause(&mut self, id: Option<PrincipalId>, now: Now) {
        match id {
            Some(id) => self.tell_principal(id, now),
            None => self.tell_site(now),
        }
    }

    /// A mode that a person chose, with its entry in the ledger.
    fn person_mode(
        &mut self,
        id: PrincipalId,
        to: Mode,
        ends: Option<Deadline>,
        author: &Author,
        now: Now,
    ) -> DecisionId {
        let from = self.principals.get(&id).map_or(to, |principal| principal.mode);
        let why =
            ends.map_or_else(|| "a person chose it".to_owned(), |ends| format!("for {} s", ends.seconds));
        let what = What::Mode { principal: id, from, to, why };
        self.alarms.retain(|(_, principal)| *principal != id);
        self.put_mode(id, to, ends, now);
        if strictness(to) < strictness(from) {
            self.save_principal(id);
            let decision = self.record_decision(what, author, now);
            self.tell_mode(id, now);
            decision
        } else {
            self.tell_mode(id, now);
            self.save_principal(id);
            self.record_decision(what, author, now)
        }
    }

    /// A mode that time or a cap brings: never a weaker one.
    pub(super) fn change_mode(&mut self, id: PrincipalId, to: Mode, now: Now) {
        self.put_mode(id, to, None, now);
        self.tell_mode(id, now);
        self.save_principal(id);
    }

    fn put_mode(&mut self, id: PrincipalId, to: Mode, ends: Option<Deadline>, now: Now) {
        let rev = self.touch();
        let notice = self.principals.get(&id).and_then(|principal| self.notice(principal, now));
        let Some(principal) = self.principals.get_mut(&id) else { return };
        principal.mode = to;
        principal.since = now.unix;
        principal.rev = rev;
        match to {
            Mode::Learning => principal.learning = Some(Learning::begin(now, ends)),
            Mode::Ready => {
                if let Some(learning) = &mut principal.learning {
                    learning.enforces = notice;
                }
            }
            Mode::New | Mode::Enforcing | Mode::Guest | Mode::Quarantine | Mode::Outside | Mode::System => {
                principal.learning = None;
            }
        }
    }

    /// Tells the kernel a mode, and settles what depends on it.
    pub(super) fn tell_mode(&mut self, id: PrincipalId, now: Now) {
        self.tell_principal(id, now);
        for edge in self.edges_of(id) {
            self.tell_edge(edge, now);
        }
        self.rejudge(self.edges_of(id), now);
        self.mark_principal(id);
        self.flush(now);
        self.notify(Event::PrincipalChanged(id));
    }

    fn tell_kind(&mut self, id: PrincipalId, now: Now) {
        self.tell_principal(id, now);
        self.question_learned(now);
        self.mark_principal(id);
        // Messages to a broker depend on what its subscribers are.
        self.rejudge(self.edges.keys().copied().collect(), now);
        self.flush(now);
    }

    /// What waits for a decision may need none any more, or for another reason.
    fn rejudge(&mut self, edges: Vec<EdgeId>, now: Now) {
        for edge in edges {
            let Some(pending) = self.edges.get(&edge).filter(|edge| edge.state == State::Pending) else {
                continue;
            };
            let (path, before) = (pending.path.clone(), pending.violated);
            match self.judge(&path, now).row.outcome {
                Outcome::Pass | Outcome::Learn => self.drop_edge(edge, now),
                Outcome::Stop(_) => {
                    let violated = Some(self.violated(&path, now));
                    if violated != before {
                        let rev = self.touch();
                        if let Some(edge) = self.edges.get_mut(&edge) {
                            edge.violated = violated;
                            edge.rev = rev;
                        }
                        self.save_edge(edge, now);
                        self.notify(Event::EdgeChanged(edge));
                    }
                }
            }
        }
    }

    /// What was learned, and by what is known now leads to something dangerous, is asked about again while its source
    /// learns; later the owner has seen it.
    fn question_learned(&mut self, now: Now) {
        let stops = |edge: &&Edge| {
            let row = self.row(edge.path.src, edge.path.dst, RuleState::Guarded);
            matches!(row.outcome, Outcome::Stop(_)) && self.leads_to_danger(&edge.path)
        };
        let learned = |edge: &&Edge| edge.state == State::Learned && self.learns(edge.path.src);
        let ids: Vec<EdgeId> =
            self.edges.values().filter(learned).filter(stops).map(|edge| edge.id).collect();
        for id in ids {
            if let Some(edge) = self.edges.get_mut(&id) {
                edge.decided = true;
            }
            self.make_pending(id, now);
        }
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
        self.untell_principal(id);
        self.stopped.forget(id);
        self.alarms.retain(|(_, principal)| *principal != id);
        self.touch();
        self.push(Command::Delete(RecordKey::Principal(id.0)));
        self.notify(Event::PrincipalRemoved(id));
        self.flush(now);
    }

    /// Gives an edge another end. Where both have it, what is stricter and what a person said wins.
    fn move_edge(&mut self, id: EdgeId, from: PrincipalId, into: PrincipalId, now: Now) {
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
            self.drop_edge(other, now);
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
    fn own(&self, id: PrincipalId) -> Result<&Principal, Refused> {
        match self.principals.get(&id) {
            None => Err(Refused::NotFound(format!("There is no principal {}", id.0))),
            Some(principal) if principal.is_builtin() => Err(Refused::Invalid(format!(
                "{} stands for itself and cannot be changed",
                principal.title()
            ))),
            Some(principal) => Ok(principal),
        }
    }

    fn devices(
        &self,
        id: Option<PrincipalId>,
        all: impl Fn(Mode) -> bool,
    ) -> Result<Vec<PrincipalId>, Refused> {
        let Some(id) = id else {
            let devices =
                self.principals.values().filter(|principal| principal.is_device() && all(principal.mode));
            return Ok(devices.map(|principal| principal.id).collect());
        };
        let principal = self.own(id)?;
        if !principal.is_device() {
            return Err(Refused::Invalid(format!("{} is outside; only devices learn", principal.title())));
        }
        Ok(vec![id])
    }

    pub(crate) fn checked_name(&self, id: PrincipalId, name: &str) -> Result<Option<String>, Refused> {
        let name = harmless(name, NAME_CAP);
        if name.is_empty() {
            return Ok(None);
        }
        let means_something =
            name.parse::<u32>().is_ok() || parse_mac(&name).is_some() || parse_address(&name).is_some();
        if means_something || builtin_by_name(&name).is_some() {
            return Err(Refused::Invalid(format!(
                "{name} means something else already; choose another name"
            )));
        }
        let other = self.principals.values().find(|principal| {
            principal.id != id && principal.name.as_deref().is_some_and(|known| same_name(known, &name))
        });
        match other {
            Some(other) => {
                Err(Refused::Conflict(format!("Principal {} has the name {name} already", other.id.0)))
            }
            None => Ok(Some(name)),
        }
    }
}

/// How much a mode keeps from passing.
const fn strictness(mode: Mode) -> u8 {
    match mode {
        Mode::Learning | Mode::Ready | Mode::Outside | Mode::System => 0,
        Mode::Guest => 1,
        Mode::Enforcing => 2,
        Mode::New => 3,
        Mode::Quarantine => 4,
    }
}
