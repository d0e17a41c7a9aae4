//! What people decide about edges.

use firewall_common::abi::PrincipalId;
use firewall_common::precedence::RuleState;

use super::room::NewHost;
use super::{COUNTED_CAP, Graph, Spec};
use crate::command::{Command, Event};
use crate::decision::{Answer, Author, DecisionId, Lifetime, Refused, Terms, What};
use crate::edge::{Edge, EdgeId, Path, Ruling, State, Stream};
use crate::host::{HostName, PREFIX};
use crate::operation::{Layer, Operation};
use crate::principal::parse_address;
use crate::time::Now;

/// What a person says about an edge.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Said {
    pub(crate) answer: Answer,
    pub(crate) lifetime: Lifetime,
    pub(crate) terms: Terms,
}

impl Graph {
    /// Decides about an edge. `rev` is that of the edge as it was shown.
    pub fn decide(
        &mut self,
        id: EdgeId,
        answer: Answer,
        lifetime: Lifetime,
        author: &Author,
        rev: Option<u64>,
        now: Now,
    ) -> Result<DecisionId, Refused> {
        self.expire(now);
        let edge = self.edges.get(&id).ok_or_else(|| no_edge(id))?;
        if rev.is_some_and(|rev| rev != edge.rev) {
            return Err(Refused::Conflict(changed(edge)));
        }
        let said = Said { answer, lifetime, terms: Terms::NONE };
        self.check(&edge.path.clone(), id, said, now)?;
        Ok(self.rule(id, said, author, false, now))
    }

    /// Decides about an edge that need not exist yet.
    pub fn decide_spec(
        &mut self,
        spec: &Spec,
        answer: Answer,
        lifetime: Lifetime,
        author: &Author,
        now: Now,
    ) -> Result<(DecisionId, EdgeId), Refused> {
        self.expire(now);
        let (plane, operation) =
            Operation::parse(&spec.plane, &spec.verb, &spec.object, self.settings.mqtt_port())
                .map_err(|error| Refused::Invalid(error.to_string()))?;
        let src = self.find_or_add(&spec.from, now)?;
        let decided = self.find_or_add(&spec.to, now).and_then(|dst| {
            let path = Path { plane, src, dst, operation };
            let said = Said { answer, lifetime, terms: spec.terms };
            let decided = self.decide_path(path, said, author, now);
            self.collect_outside(dst, now);
            decided
        });
        self.collect_outside(src, now);
        decided
    }

    /// The domain that the owner of an edge's target has registered, where somebody has allowed a connection to one name
    /// of it for good.
    pub fn wider(&self, edge: &Edge) -> Option<HostName> {
        let is_allowed = matches!(&edge.state, State::Allowed(ruling) if ruling.lifetime == Lifetime::Always);
        let host = self.principals.get(&edge.path.dst)?.host.as_ref();
        let host = host.filter(|host| is_allowed && edge.is_transport() && !host.is_pattern())?;
        host.registrable()
    }

    /// Allows for good what an edge allows, to every name of [its domain](Self::wider).
    pub fn widen(&mut self, id: EdgeId, author: &Author, now: Now) -> Result<(DecisionId, EdgeId), Refused> {
        self.expire(now);
        let edge = self.edges.get(&id).ok_or_else(|| no_edge(id))?;
        let domain = self.wider(edge).ok_or_else(|| {
            Refused::Conflict(
                "Only what is always allowed to a host of a domain can be allowed to all of it".to_owned(),
            )
        })?;
        let path = edge.path.clone();
        let dst = self.find_or_add(&format!("{PREFIX}{domain}"), now)?;
        let said = Said { answer: Answer::Allow, lifetime: Lifetime::Always, terms: Terms::NONE };
        let decided = self.decide_path(Path { dst, ..path }, said, author, now);
        self.collect_outside(dst, now);
        decided
    }

    /// The principal that a person means; the address of an outside host need not have been seen yet.
    fn find_or_add(&mut self, text: &str, now: Now) -> Result<PrincipalId, Refused> {
        let found = self.find(text);
        if found == Ok(PrincipalId::UNKNOWN) {
            let message = "Name an outside host by its address or `name:HOST`; for the whole Internet make the device a guest";
            return Err(Refused::Invalid(message.to_owned()));
        }
        let new = parse_address(text.trim()).filter(|addr| self.can_be_outside(*addr)).map(NewHost::Addr);
        let name = text.trim().strip_prefix(PREFIX).and_then(|name| HostName::parse_pattern(name).ok());
        match new.or_else(|| name.map(NewHost::Name)).filter(|_| found.is_err()) {
            Some(host) => self
                .new_host(PrincipalId::UNKNOWN, host, now)
                .ok_or_else(|| Refused::TooMany("There is no room for more outside hosts".to_owned())),
            None => found,
        }
    }

    pub(crate) fn decide_path(
        &mut self,
        path: Path,
        said: Said,
        author: &Author,
        now: Now,
    ) -> Result<(DecisionId, EdgeId), Refused> {
        if path.src == path.dst {
            return Err(Refused::Invalid("An edge leads from one principal to another".to_owned()));
        }
        let known = self.index.edges.get(&path).copied();
        if known.is_none() && !self.room_for_edge(now) {
            return Err(Refused::TooMany("The model is full; remove edges first".to_owned()));
        }
        let id = known.unwrap_or(EdgeId(self.next_edge));
        self.check(&path, id, said, now)?;
        let id = self.edge_at(path, now);
        Ok((self.rule(id, said, author, known.is_none(), now), id))
    }

    /// Puts an edge into the model as if it had been learned; for what is brought back from a text.
    pub(crate) fn set_learned(&mut self, path: Path, now: Now) -> Result<(), Refused> {
        if !self.index.edges.contains_key(&path) && !self.room_for_edge(now) {
            return Err(Refused::TooMany("The model is full; remove edges first".to_owned()));
        }
        let id = self.index.edges.get(&path).copied().unwrap_or(EdgeId(self.next_edge));
        let said = Said { answer: Answer::Allow, lifetime: Lifetime::Always, terms: Terms::NONE };
        self.check(&path, id, said, now)?;
        let id = self.edge_at(path, now);
        self.set_state(id, State::Learned, now);
        self.save_edge(id, now);
        self.tell_edge(id, now);
        self.flush(now);
        self.notify(Event::EdgeChanged(id));
        Ok(())
    }

    /// Takes an edge out of the model; it is pending at its next try.
    pub fn remove_edge(&mut self, id: EdgeId, author: &Author, now: Now) -> Result<DecisionId, Refused> {
        self.expire(now);
        let before =
            self.edges.get(&id).filter(|edge| edge.state != State::Lapsed).ok_or_else(|| no_edge(id))?;
        let before = before.clone();
        self.change(id, State::Lapsed, true, now);
        self.save_edge(id, now);
        let decision = self.record_decision(What::Remove { before: Box::new(before) }, author, now);
        self.notify(Event::EdgeRemoved(id));
        Ok(decision)
    }

    /// Takes back a decision about an edge, a change of a principal's mode, or a pause.
    pub fn undo(&mut self, id: DecisionId, author: &Author, now: Now) -> Result<DecisionId, Refused> {
        self.expire(now);
        let decision = self.decisions.get(&id).ok_or_else(|| {
            Refused::NotFound(format!("There is no decision {}, or it is too long ago", id.0))
        })?;
        if decision.undone {
            return Err(Refused::Conflict(format!("Decision {} is undone already", id.0)));
        }
        match decision.what.clone() {
            What::Allow { before, created, .. } | What::Deny { before, created, .. } => {
                let edge = self.edges.get(&before.id).ok_or_else(|| no_edge(before.id))?;
                if edge.state.ruling().is_none_or(|ruling| ruling.decision != id) {
                    return Err(Refused::Conflict(changed(edge)));
                }
                Ok(self.undo_edge(id, &before, created, author, now))
            }
            What::Remove { before } => {
                let edge = self.edges.get(&before.id).ok_or_else(|| no_edge(before.id))?;
                if !matches!(edge.state, State::Lapsed | State::Pending) {
                    return Err(Refused::Conflict(changed(edge)));
                }
                Ok(self.undo_edge(id, &before, false, author, now))
            }
            What::Mode { principal, from, to, .. } if from != to => {
                self.undo_mode(id, principal, from, to, author, now)
            }
            What::Pause { principal, .. } => self.undo_pause(id, principal, author, now),
            What::Undo { .. }
            | What::Mode { .. }
            | What::SiteMode { .. }
            | What::Confirm
            | What::Moved { .. }
            | What::Set { .. }
            | What::Merge { .. }
            | What::Forget { .. }
            | What::Import { .. }
            | What::Update { .. }
            | What::Ban { .. }
            | What::Lift { .. } => {
                Err(Refused::Invalid("This cannot be undone; decide the other way instead".to_owned()))
            }
        }
    }

    fn undo_edge(
        &mut self,
        id: DecisionId,
        before: &Edge,
        created: bool,
        author: &Author,
        now: Now,
    ) -> DecisionId {
        let edge = before.id;
        // What held before may be over by now.
        let state = match &before.state {
            State::Allowed(ruling) | State::Denied(ruling) => match ruling.left(now) {
                Some(crate::time::Left::Over) => State::Lapsed,
                Some(_) | None => before.state.clone(),
            },
            State::Learned | State::Pending | State::Lapsed => before.state.clone(),
        };
        let opens =
            matches!(state.rule(now).map(|rule| rule.state), Some(RuleState::Allowed | RuleState::Learned));
        if created {
            self.drop_edge(edge, now);
        } else {
            if let Some(uses) = state.ruling().and_then(|ruling| ruling.uses_left) {
                self.push(Command::PutUses { id: edge.rule(), uses });
            }
            self.set_state(edge, state, now);
            if let Some(edge) = self.edges.get_mut(&edge) {
                edge.decided = before.decided;
            }
            // What closes goes to the kernel first, what opens to the disk.
            if !opens {
                self.tell_edge(edge, now);
                self.flush(now);
            }
            self.save_edge(edge, now);
        }
        let undo = self.mark_undone(id, Some(edge), author, now);
        self.tell_edge(edge, now);
        self.flush(now);
        if !created {
            self.notify(Event::EdgeDecided(edge));
        }
        undo
    }

    pub(super) fn mark_undone(
        &mut self,
        id: DecisionId,
        edge: Option<EdgeId>,
        author: &Author,
        now: Now,
    ) -> DecisionId {
        if let Some(decision) = self.decisions.get_mut(&id) {
            decision.undone = true;
            let record = crate::record::Record::Decision(decision.clone());
            self.push(Command::Save(Box::new(record)));
        }
        self.record_decision(What::Undo { decision: id, edge }, author, now)
    }

    /// Changes an edge in memory and in the kernel, in that order: for what closes.
    fn change(&mut self, id: EdgeId, state: State, decided: bool, now: Now) {
        self.set_state(id, state, now);
        if let Some(edge) = self.edges.get_mut(&id) {
            edge.decided = decided;
        }
        self.tell_edge(id, now);
        self.flush(now);
    }

    /// What must hold before anything is changed.
    fn check(&self, path: &Path, id: EdgeId, said: Said, now: Now) -> Result<(), Refused> {
        let Said { answer, lifetime, terms } = said;
        lifetime.check(now)?;
        terms.check(&path.operation, answer)?;
        let layer = path.operation.layer();
        if layer == Layer::Protocol && matches!(lifetime, Lifetime::Uses(_)) {
            let message =
                "What a connection speaks is allowed for a time, or always; count its uses at the port";
            return Err(Refused::Invalid(message.to_owned()));
        }
        if layer == Layer::Name && matches!(lifetime, Lifetime::Uses(_)) {
            let message = "A name is allowed for a time, or always; count the uses of its host";
            return Err(Refused::Invalid(message.to_owned()));
        }
        if layer == Layer::Name && path.dst != PrincipalId::SELF {
            let message = "Names are asked of the site's resolver: write the edge to Edgeward";
            return Err(Refused::Invalid(message.to_owned()));
        }
        if answer == Answer::Allow && self.mixes_protocols(path, now) {
            let message =
                "A connection speaks MQTT or something else, never both; remove what is allowed first";
            return Err(Refused::Invalid(message.to_owned()));
        }
        if lifetime.uses().is_some() {
            let counted = |edge: &&Edge| {
                edge.id != id && edge.state.ruling().is_some_and(|ruling| ruling.uses_left.is_some())
            };
            if self.edges.values().filter(counted).count() >= COUNTED_CAP {
                return Err(Refused::TooMany("Too many decisions with counted uses".to_owned()));
            }
        }
        if self.is_held() {
            return Ok(());
        }
        let Some(stream) = path.stream().filter(|_| layer == Layer::Message) else { return Ok(()) };
        let mut topics = self.topics(stream, now);
        let state = match answer {
            Answer::Allow => RuleState::Allowed,
            Answer::Deny => RuleState::Denied,
        };
        topics.add(&path.operation, id.rule(), state, lifetime != Lifetime::Always);
        topics.fill_client_ids();
        if topics.fit() { Ok(()) } else { Err(too_complex()) }
    }

    /// As for one decision, for all rules of a connection.
    pub(crate) fn check_messages(&self, stream: Stream, now: Now) -> Result<(), Refused> {
        if self.topics(stream, now).fit() { Ok(()) } else { Err(too_complex()) }
    }

    fn rule(&mut self, id: EdgeId, said: Said, author: &Author, created: bool, now: Now) -> DecisionId {
        let Said { answer, lifetime, terms } = said;
        let before = Box::new(self.edges.get(&id).expect("the caller has found or made it").clone());
        let mut ruling = Ruling { terms, ..Ruling::new(self.next_decision(), author.clone(), lifetime, now) };
        if before.path.operation.layer() == Layer::Protocol {
            // The kernel counts uses of edges and rules; once is a time here.
            ruling.uses_left = None;
        }
        let uses = ruling.uses_left;
        let (state, what) = match answer {
            Answer::Allow => (State::Allowed(ruling), What::Allow { before, created, lifetime, terms }),
            Answer::Deny => (State::Denied(ruling), What::Deny { before, created, lifetime, terms }),
        };
        self.asked_uses.remove(&id);
        self.forget_deadline(id);
        self.set_state(id, state, now);
        if let Some(edge) = self.edges.get_mut(&id) {
            edge.decided = true;
        }
        let tell = |graph: &mut Self| {
            if let Some(uses) = uses {
                graph.push(Command::PutUses { id: id.rule(), uses });
            }
            graph.tell_edge(id, now);
            graph.flush(now);
        };
        let decision = match answer {
            Answer::Allow => {
                self.save_edge(id, now);
                let decision = self.record_decision(what, author, now);
                tell(self);
                decision
            }
            Answer::Deny => {
                tell(self);
                self.save_edge(id, now);
                self.record_decision(what, author, now)
            }
        };
        self.notify(Event::EdgeDecided(id));
        decision
    }
}

fn too_complex() -> Refused {
    Refused::TooMany("The message rules of this connection do not fit; use fewer wildcards".to_owned())
}

fn no_edge(id: EdgeId) -> Refused {
    Refused::NotFound(format!("There is no edge {}; `edgeward edges list` shows all", id.0))
}

/// Who was faster.
fn changed(edge: &Edge) -> String {
    match edge.state.ruling() {
        Some(ruling) => {
            format!(
                "{} has decided about edge {} already: {}",
                ruling.by.as_str(),
                edge.id.0,
                edge.state.as_str()
            )
        }
        None => format!("Edge {} has changed since: it is {} now", edge.id.0, edge.state.as_str()),
    }
}
