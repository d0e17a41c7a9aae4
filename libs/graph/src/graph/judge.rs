//! Which rule applies to a path, who would be reached by it, and what it violates.

use firewall_common::abi::PrincipalId;
use firewall_common::precedence::{self, Mode, Row, RuleState};

use super::Graph;
use crate::automaton::Pattern;
use crate::command::Topics;
use crate::edge::{Edge, EdgeId, Path, Property, Standing, State, Stream};
use crate::filter::Filter;
use crate::learning::set_filters;
use crate::operation::{Client, Object, Verb};
use crate::principal::{Kind, Principal};
use crate::time::Now;

/// Most guarded filters in one stream; with more, everything is guarded.
const GUARDS_CAP: usize = 64;

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
        let (state, edge) = match path.stream().filter(|_| path.operation.is_message()) {
            None => (self.rule_of(own, now), own),
            Some(stream) => match self.topics(stream, now).decisive(&path.operation) {
                Some(rule) if rule.rule == EdgeId::GUARD => (RuleState::Guarded, own),
                Some(rule) => (rule.state, Some(EdgeId(rule.rule.0))),
                None => (RuleState::Absent, own),
            },
        };
        Judged { state, edge, row: self.row(path.src, path.dst, state) }
    }

    /// The row of the precedence table for two principals and a rule.
    pub(crate) fn row(&self, src: PrincipalId, dst: PrincipalId, state: RuleState) -> &'static Row {
        let unknown = precedence::End { mode: Mode::New, dangerous: true };
        let end = |id| self.principals.get(&id).map_or(unknown, Principal::end);
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
        let guard = Standing { state: RuleState::Guarded, deadline: 0, counted: false };
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
        for edge in self.messages(stream) {
            let Some(standing) = self.standing(edge, now) else { continue };
            topics.add(&edge.path.operation, edge.id.rule(), standing.state);
        }
        let learns = self.learns(stream.src);
        if learns || topics.connect.iter().any(|rule| rule.pattern == Pattern::AnyClient) {
            topics.guard(self.clients_of_others(stream).into_iter().map(Pattern::Client));
        }
        if learns {
            topics.guard(self.guards(stream).into_iter().map(Pattern::Filter));
        }
        topics
    }

    /// Filters at a broker through which a source would reach something dangerous.
    pub(crate) fn guards(&self, stream: Stream) -> Vec<Filter> {
        let mut guards = Vec::new();
        for (subscriber, filter) in self.subscriptions(stream.dst) {
            if subscriber == stream.src {
                continue;
            }
            let Some(principal) = self.principals.get(&subscriber) else { continue };
            if principal.kind.is_dangerous() {
                guards.push(filter);
            } else if principal.kind == Kind::Unknown && principal.is_device() {
                guards.extend(set_filters(&filter));
            }
        }
        guards.sort();
        guards.dedup();
        if guards.len() > GUARDS_CAP {
            return everything();
        }
        guards
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

    /// Client ids at a broker that belong to other principals.
    fn clients_of_others(&self, stream: Stream) -> Vec<String> {
        self.edges_to(stream.dst)
            .filter(|edge| edge.path.src != stream.src)
            .filter(|edge| matches!(edge.state, State::Learned | State::Allowed(_)))
            .filter_map(|edge| match &edge.path.operation.object {
                Object::Client { port, id: Client::Exact(id) } if *port == stream.port && !id.is_empty() => {
                    Some(id.clone())
                }
                Object::Client { .. } | Object::Topic { .. } | Object::Port { .. } | Object::Ethertype(_) => {
                    None
                }
            })
            .collect()
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
        if let (Object::Client { id: Client::Exact(id), .. }, Some(stream)) =
            (&path.operation.object, path.stream())
            && self.clients_of_others(stream).contains(id)
        {
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

pub(crate) fn everything() -> Vec<Filter> {
    Filter::try_from("#").into_iter().collect()
}
