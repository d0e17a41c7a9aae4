//! Which rule applies to a path, who would be reached by it, and what it violates.

use std::collections::BTreeSet;

use firewall_common::abi::{PrincipalId, Protocol};
use firewall_common::precedence::{self, Mode, Outcome, Row, RuleState};

use super::Graph;
use crate::automaton::Pattern;
use crate::command::Topics;
use crate::edge::{Edge, EdgeId, Path, Property, Standing, State, Stream};
use crate::filter::Filter;
use crate::host::HostName;
use crate::learning::Guard;
use crate::operation::{Layer, Name, Object, Verb};
use crate::principal::{Kind, Principal};
use crate::time::Now;

/// Most subscriptions of dangerous devices that are guarded one by one; with more, by their first level.
const DANGEROUS_CAP: usize = 32;
/// Most subscriptions of unknown devices that are guarded one by one; with more, all that sets something is guarded.
const UNKNOWN_CAP: usize = 8;
/// Most client ids of others that are guarded in the kernel; with more, the rest is found out here.
const CLIENTS_CAP: usize = 32;

/// What the model says about a path.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Judged {
    pub(crate) state: RuleState,
    /// The edge that says it; with a wildcard it can be another than the path's own.
    pub(crate) edge: Option<EdgeId>,
    pub(crate) row: &'static Row,
}

impl Graph {
    /// What the model says about a path, and with it the precedence table.
    pub(crate) fn judge(&self, path: &Path, now: Now) -> Judged {
        let own = self.index.edges.get(path).copied();
        if self.is_banned(path.src, now) || self.is_banned(path.dst, now) {
            return Judged {
                state: RuleState::Banned,
                edge: own,
                row: self.row(path.src, path.dst, RuleState::Banned),
            };
        }
        let (state, edge) = match path.stream().filter(|_| path.operation.is_message()) {
            None => (self.rule_of(own, now), own),
            Some(stream) => match self.topics(stream, now).decisive(&path.operation) {
                Some(rule) if rule.rule == EdgeId::GUARD => (RuleState::Guarded, own),
                Some(rule) => (rule.state, Some(EdgeId(rule.rule.0))),
                None if self.takes_client(path) => (RuleState::Guarded, own),
                None => (RuleState::Absent, own),
            },
        };
        Judged { state, edge, row: self.row(path.src, path.dst, state) }
    }

    /// What becomes of an operation at this moment, as the kernel would judge it. An outside host without a principal is
    /// [`PrincipalId::UNKNOWN`].
    pub fn outcome(&self, path: &Path, now: Now) -> Outcome {
        if path.operation.layer() == Layer::Protocol {
            let spoken = path.stream().map_or(0, |stream| self.speaks(stream, now));
            let known = path.operation.protocol().is_some_and(|protocol| spoken & protocol.bit() != 0);
            if known || spoken == 0 {
                return Outcome::Pass;
            }
        }
        if let Object::Domain(name) = &path.operation.object
            && self.may_ask(path.src, name, now)
        {
            return Outcome::Pass;
        }
        self.judge(path, now).row.outcome
    }

    /// Whether the site's resolver may be asked for a name, or for all names of a domain.
    fn may_ask(&self, id: PrincipalId, name: &HostName, now: Now) -> bool {
        let alive = |until: u64| until == 0 || until > now.boot_ns;
        self.domains(id, now).into_iter().any(|(known, until)| known.covers(name) && alive(until))
    }

    /// The row of the precedence table for two principals and a rule.
    pub(crate) fn row(&self, src: PrincipalId, dst: PrincipalId, state: RuleState) -> &'static Row {
        self.row_with(src, dst, state, |_| None)
    }

    /// The row that there would be if some principals had another mode.
    pub(crate) fn row_with(
        &self,
        src: PrincipalId,
        dst: PrincipalId,
        state: RuleState,
        mode: impl Fn(PrincipalId) -> Option<Mode>,
    ) -> &'static Row {
        let end = |id| {
            let unknown = precedence::End { mode: Mode::New, dangerous: true };
            let end = self.principals.get(&id).map_or(unknown, Principal::end);
            mode(id).map_or(end, |mode| precedence::End { mode, ..end })
        };
        precedence::decide(end(src), end(dst), state)
    }

    fn rule_of(&self, edge: Option<EdgeId>, now: Now) -> RuleState {
        edge.and_then(|id| self.edges.get(&id))
            .and_then(|edge| self.standing(edge, now))
            .map_or(RuleState::Absent, |standing| standing.state)
    }

    /// What the kernel shall hold for an edge.
    ///
    /// An edge that a person has decided about is not learned silently once the decision is over: for a source that
    /// learns, the kernel is told to ask.
    pub(crate) fn standing(&self, edge: &Edge, now: Now) -> Option<Standing> {
        if let Some(ban) = self.ban_of(edge, now) {
            return Some(Standing { deadline: ban.deadline(now), ..Standing::plain(RuleState::Banned) });
        }
        let guard = Standing::plain(RuleState::Guarded);
        edge.state.rule(now).or_else(|| (edge.decided && self.learns(edge.path.src)).then_some(guard))
    }

    pub(crate) fn learns(&self, id: PrincipalId) -> bool {
        self.principals.get(&id).is_some_and(Principal::learns)
    }

    pub(crate) fn is_dangerous(&self, id: PrincipalId) -> bool {
        self.principals.get(&id).is_some_and(|principal| principal.kind.is_dangerous())
    }

    /// The message rules inside a stream, with the guards that apply while its source learns.
    pub(crate) fn topics(&self, stream: Stream, now: Now) -> Topics {
        let mut topics = Topics::default();
        let speaks = self.speaks(stream, now);
        let speaks_mqtt = may_speak(speaks, Protocol::Mqtt);
        for edge in self.messages(stream) {
            // The kernel has room for rules about MQTT or about something else.
            let is_mqtt = edge.path.operation.protocol() == Some(Protocol::Mqtt);
            if speaks != 0 && is_mqtt != speaks_mqtt {
                continue;
            }
            let Some(standing) = self.standing(edge, now) else { continue };
            topics.add(&edge.path.operation, edge.id.rule(), standing.state, standing.is_brief());
        }
        topics.fill_client_ids();
        if !(speaks_mqtt && topics.speaks_mqtt()) {
            return topics;
        }
        let learns = self.learns(stream.src);
        if learns || topics.connect.iter().any(|rule| rule.pattern == Pattern::AnyClient) {
            let taken = self.clients_of_others(stream).into_iter().take(CLIENTS_CAP);
            topics.guard(taken.map(Pattern::Client));
        }
        if learns {
            topics.guard(self.guards(stream).into_iter().map(pattern));
        }
        topics
    }

    /// What of the topics at a broker leads to something dangerous.
    pub(crate) fn guards(&self, stream: Stream) -> Vec<Guard> {
        let (mut dangerous, mut unknown) = (BTreeSet::new(), BTreeSet::new());
        for (subscriber, filter) in self.subscriptions(stream.dst).filter(|(id, _)| *id != stream.src) {
            let Some(principal) = self.principals.get(&subscriber) else { continue };
            if principal.kind.is_dangerous() {
                dangerous.insert(filter);
            } else if principal.kind == Kind::Unknown && principal.is_device() {
                unknown.extend(Guard::of_unknown(filter));
            }
        }
        if dangerous.len() > DANGEROUS_CAP {
            dangerous = dangerous.iter().map(Filter::first_level).collect();
        }
        if dangerous.len() > DANGEROUS_CAP {
            dangerous = BTreeSet::from([Filter::everything()]);
        }
        if unknown.len() > UNKNOWN_CAP {
            unknown = BTreeSet::from([Guard::Sets(Filter::everything())]);
        }
        dangerous.into_iter().map(Guard::All).chain(unknown).collect()
    }

    /// Who has subscribed to what at a broker, or asked to.
    fn subscriptions(&self, broker: PrincipalId) -> impl Iterator<Item = (PrincipalId, Filter)> {
        self.edges_to(broker).filter_map(|edge| {
            let counts = match edge.state {
                State::Learned | State::Allowed(_) | State::Pending => true,
                State::Denied(_) | State::Lapsed => false,
            };
            let filter =
                edge.path.operation.filter().filter(|_| edge.path.operation.verb == Verb::Subscribe)?;
            counts.then(|| (edge.path.src, filter.shared().unwrap_or_else(|| filter.clone())))
        })
    }

    /// Client ids at a broker that belong to other principals, the dangerous ones first.
    fn clients_of_others(&self, stream: Stream) -> Vec<String> {
        let owned = |edge: &Edge| match &edge.path.operation.object {
            Object::Client { port, id: Name::Exact(id) } if *port == stream.port && !id.is_empty() => {
                Some((!self.is_dangerous(edge.path.src), edge.id, id.clone()))
            }
            _ => None,
        };
        let mut clients: Vec<(bool, EdgeId, String)> = self
            .edges_to(stream.dst)
            .filter(|edge| edge.path.src != stream.src)
            .filter(|edge| matches!(edge.state, State::Learned | State::Allowed(_)))
            .filter_map(owned)
            .collect();
        clients.sort();
        clients.into_iter().map(|(_, _, id)| id).collect()
    }

    /// Whether a connection shows the client id of another principal.
    fn takes_client(&self, path: &Path) -> bool {
        match (&path.operation.object, path.stream()) {
            (Object::Client { id: Name::Exact(id), .. }, Some(stream)) => {
                self.clients_of_others(stream).contains(id)
            }
            (_, _) => false,
        }
    }

    /// Who would receive what is published on this path.
    pub fn beneficiaries(&self, path: &Path) -> Vec<PrincipalId> {
        let Some(topic) = path.operation.filter().filter(|_| path.operation.verb == Verb::Publish) else {
            return Vec::new();
        };
        let mut found: Vec<PrincipalId> = self
            .subscriptions(path.dst)
            .filter(|(subscriber, filter)| *subscriber != path.src && filter.overlaps(topic))
            .map(|(subscriber, _)| subscriber)
            .collect();
        found.sort();
        found.dedup();
        found
    }

    /// Whether a path leads to something that is asked about always.
    pub(crate) fn leads_to_danger(&self, path: &Path) -> bool {
        if self.is_dangerous(path.dst) {
            return true;
        }
        match (path.stream(), path.operation.filter(), path.operation.verb) {
            (Some(stream), Some(topic), Verb::Publish) => {
                self.guards(stream).iter().any(|guard| guard.overlaps(topic))
            }
            (_, _, _) => false,
        }
    }

    /// Whether connections that were always encrypted would not be so any more.
    fn drops_encryption(&self, path: &Path, now: Now) -> bool {
        let spoken = path.stream().map_or(0, |stream| self.speaks(stream, now));
        let wanted = path.operation.protocol().map_or(0, Protocol::bit);
        spoken != 0 && spoken & !ENCRYPTED == 0 && wanted & ENCRYPTED == 0
    }

    /// The property of the model that a path violates.
    pub(crate) fn violated(&self, path: &Path, now: Now) -> Property {
        let mode = |id| self.principals.get(&id).map(|principal| principal.mode);
        let (src, dst) = (mode(path.src), mode(path.dst));
        if src == Some(Mode::Quarantine) || dst == Some(Mode::Quarantine) {
            return Property::Quarantine;
        }
        if src == Some(Mode::New) {
            return Property::PrincipalNew;
        }
        if src == Some(Mode::Guest) {
            return Property::GuestInside;
        }
        if let Some(flag) = self.edge_with(path).and_then(|edge| edge.flag.as_ref()) {
            return flag.property;
        }
        match path.operation.layer() {
            Layer::Protocol if self.drops_encryption(path, now) => return Property::EncMissing,
            Layer::Protocol => return Property::Protocol,
            Layer::Name => return Property::DestNew,
            Layer::Transport | Layer::Message => {}
        }
        if self.takes_client(path) {
            return Property::ClientTaken;
        }
        if self.leads_to_danger(path) {
            return Property::ClassForbidden;
        }
        let talk = |edge: &Edge| edge.path.dst == path.dst && edge.passes(now);
        if self.edges_from(path.src).any(talk) {
            return Property::OpNotInModel;
        }
        if dst == Some(Mode::Outside) { Property::DestNew } else { Property::EdgeNotInModel }
    }
}

/// What cannot be read on the way.
const ENCRYPTED: u16 = Protocol::Tls.bit() | Protocol::Dtls.bit() | Protocol::Quic.bit();

/// Whether a connection may speak a protocol; 0 is whatever it begins with.
pub(crate) const fn may_speak(speaks: u16, protocol: Protocol) -> bool {
    speaks == 0 || speaks & protocol.bit() != 0
}

fn pattern(guard: Guard) -> Pattern {
    match guard {
        Guard::All(filter) => Pattern::Filter(filter),
        Guard::Sets(filter) => Pattern::Sets(filter),
    }
}
