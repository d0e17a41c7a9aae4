//! What the kernel is told, once for each change.

use std::collections::{BTreeMap, BTreeSet};

use firewall_common::abi::PrincipalId;
use firewall_common::precedence::{Mode, RuleState};

use super::Graph;
use crate::automaton::Pattern;
use crate::command::{Alarm, Command, RuleSpec, Topics};
use crate::decision::SiteMode;
use crate::edge::{Edge, EdgeId, Standing, Stream};
use crate::filter::Filter;
use crate::host::HostName;
use crate::operation::{Layer, Name, Object, Verb};
use crate::principal::Place;
use crate::time::{Left, Now};

/// Two deadlines of a date are the same if they differ by less: the wall clock is read in seconds.
const SLACK_NS: u64 = 2_000_000_000;

/// What the kernel was told last.
#[derive(Clone, Debug, Default)]
pub(super) struct Told {
    principals: BTreeMap<PrincipalId, (Mode, bool, u64, u32)>,
    edges: BTreeMap<EdgeId, Standing>,
    /// Bytes a second of edges that are held back.
    limits: BTreeMap<EdgeId, u64>,
    /// Of every stream whose transport it holds.
    topics: BTreeMap<Stream, Topics>,
    speaks: BTreeMap<Stream, u16>,
    site: Option<(bool, u64)>,
    /// Streams whose message rules may have changed.
    dirty: BTreeSet<Stream>,
    /// While many changes are made at once, message rules are told at their end.
    held: bool,
    /// What each principal may ask the resolver for, and until when.
    domains: BTreeMap<PrincipalId, BTreeMap<HostName, u64>>,
    /// Principals for which that may have changed.
    askers: BTreeSet<PrincipalId>,
}

impl Told {
    /// Whether the kernel holds an edge.
    pub(super) fn holds(&self, id: EdgeId) -> bool {
        self.edges.contains_key(&id)
    }

    #[cfg(test)]
    pub(super) fn limited(&self) -> usize {
        self.limits.len()
    }

    pub(super) fn is_held_back(&self, id: EdgeId) -> Option<u64> {
        self.limits.get(&id).copied()
    }

    pub(super) fn hold_back(&mut self, id: EdgeId, rate: Option<u64>) {
        match rate {
            Some(rate) => self.limits.insert(id, rate),
            None => self.limits.remove(&id),
        };
    }
}

impl Graph {
    pub(super) fn tell_everything(&mut self, now: Now) {
        let guard = RuleSpec::plain(EdgeId::GUARD, RuleState::Guarded);
        self.push(Command::PutRule { rule: guard });
        let principals: Vec<PrincipalId> = self.principals.keys().copied().collect();
        for id in principals {
            self.tell_principal(id, now);
        }
        let hosts: Vec<_> = self.index.hosts.iter().map(|(addr, id)| (*addr, *id)).collect();
        for (addr, id) in hosts {
            self.push(Command::PutHost { addr: firewall_common::abi::Addr(addr), id });
        }
        for (name, id) in self.index.named.clone() {
            self.push(Command::PutNamed { name, id });
        }
        // Messages first: a transport without its message rules would end what it carries.
        let (transports, messages): (Vec<&Edge>, Vec<&Edge>) =
            self.edges.values().partition(|edge| edge.is_transport());
        let ids: Vec<EdgeId> = messages.into_iter().chain(transports).map(|edge| edge.id).collect();
        for id in ids {
            if let Some(ruling) = self.edges.get(&id).and_then(|edge| edge.state.ruling())
                && let Some(at_most) = ruling.uses_left
            {
                self.push(Command::LimitUses { id: id.rule(), at_most });
            }
            self.tell_edge(id, now);
        }
        self.flush(now);
        self.tell_site(now);
    }

    pub(super) fn tell_principal(&mut self, id: PrincipalId, now: Now) {
        let Some(principal) = self.principals.get(&id) else { return };
        let (mode, dangerous) = (principal.mode, principal.kind.is_dangerous());
        let want = (mode, dangerous, principal.pause_until(now), self.banned_until(id, now));
        if self.told.principals.insert(id, want) != Some(want) {
            let (mode, dangerous, pause_until, banned_until) = want;
            self.push(Command::PutPrincipal { id, mode, dangerous, pause_until, banned_until });
        }
        self.tell_limits(id, now);
    }

    pub(super) fn tell_place(&mut self, place: &Place, id: PrincipalId) {
        if place.ifindex != 0 {
            let Place { ifindex, vlan, mac, .. } = *place;
            self.push(Command::PutMac { mac, vlan, ifindex, id });
        }
    }

    pub(super) fn untell_principal(&mut self, id: PrincipalId) {
        self.told.principals.remove(&id);
        self.push(Command::RemovePrincipal { id });
    }

    pub(super) fn tell_site(&mut self, now: Now) {
        let pause_until = match self.site.pause.map(|pause| pause.left(now)) {
            Some(Left::At(at)) => at,
            Some(Left::Over | Left::Unknown) | None => 0,
        };
        let want = (self.site.mode == SiteMode::Monitor, pause_until);
        if self.told.site.replace(want) != Some(want) {
            let (monitor, pause_until) = want;
            self.push(Command::Site { monitor, pause_until });
        }
    }

    /// Makes the kernel hold what the model says about an edge.
    pub(super) fn tell_edge(&mut self, id: EdgeId, now: Now) {
        let Some(edge) = self.edges.get(&id) else { return };
        let want = self.standing(edge, now);
        let have = self.told.edges.get(&id).copied();
        if same(want, have) {
            return;
        }
        let Some(want) = want else {
            let edge = edge.clone();
            self.untell_edge(&edge, now);
            return;
        };
        self.told.askers.insert(edge.path.src);
        let rule = rule_of(id, want);
        let (stream, key, layer) = (edge.path.stream(), edge.path.transport(), edge.path.operation.layer());
        self.mark(
            edge.path.operation.verb,
            &edge.path.operation.object.clone(),
            edge.path.src,
            edge.path.dst,
        );
        self.told.edges.insert(id, want);
        match layer {
            Layer::Transport => {
                let speaks = stream.map_or(0, |stream| self.speaks(stream, now));
                if let Some(stream) = stream {
                    self.told.speaks.insert(stream, speaks);
                    self.put_topics(stream, now);
                }
                self.push(Command::PutEdge { key, rule, speaks });
                self.tell_limit(id, now);
            }
            Layer::Protocol => self.told.dirty.extend(stream),
            Layer::Name => {}
            Layer::Message => {
                self.push(Command::PutRule { rule });
                self.told.dirty.extend(stream);
            }
        }
        if have.is_some_and(|have| have.counted) && !want.counted {
            self.push(Command::RemoveUses { id: id.rule() });
        }
    }

    /// Forgets which deadline the kernel was told: a new decision has its own, however close.
    pub(super) fn forget_deadline(&mut self, id: EdgeId) {
        if let Some(have) = self.told.edges.get_mut(&id) {
            have.deadline = u64::MAX;
        }
    }

    /// Removes an edge from the kernel, whether or not it still is in the model.
    pub(super) fn untell_edge(&mut self, edge: &Edge, now: Now) {
        self.mark(edge.path.operation.verb, &edge.path.operation.object, edge.path.src, edge.path.dst);
        let Some(have) = self.told.edges.remove(&edge.id) else { return };
        self.told.askers.insert(edge.path.src);
        let stream = edge.path.stream();
        match edge.path.operation.layer() {
            Layer::Transport => {
                if let Some(stream) = stream {
                    self.told.topics.remove(&stream);
                    self.told.speaks.remove(&stream);
                    self.told.dirty.remove(&stream);
                }
                self.told.limits.remove(&edge.id);
                self.push(Command::RemoveEdge { key: edge.path.transport() });
            }
            Layer::Protocol => {
                if let Some(stream) = stream {
                    self.put_topics(stream, now);
                }
            }
            Layer::Message => {
                if let Some(stream) = stream {
                    self.put_topics(stream, now);
                }
                self.push(Command::RemoveRule { id: edge.id.rule() });
            }
            Layer::Name => {}
        }
        if have.counted {
            self.push(Command::RemoveUses { id: edge.id.rule() });
        }
    }

    /// Marks the streams whose guards depend on this edge.
    pub(super) fn mark(&mut self, verb: Verb, object: &Object, src: PrincipalId, broker: PrincipalId) {
        let guards = match (object, verb) {
            (Object::Client { id: Name::Exact(_), .. }, _) | (Object::Topic { .. }, Verb::Subscribe) => true,
            (_, _) => false,
        };
        if guards {
            let others = self.told.topics.keys().filter(|stream| stream.dst == broker && stream.src != src);
            let others: Vec<Stream> = others.copied().collect();
            self.told.dirty.extend(others);
        }
    }

    /// Marks the streams from a principal, and those whose guards depend on what it is.
    pub(super) fn mark_principal(&mut self, id: PrincipalId) {
        let brokers: BTreeSet<PrincipalId> = self.edges_from(id).map(|edge| edge.path.dst).collect();
        let streams = self.told.topics.keys();
        let concerned = streams.filter(|stream| stream.src == id || brokers.contains(&stream.dst));
        let concerned: Vec<Stream> = concerned.copied().collect();
        self.told.dirty.extend(concerned);
    }

    /// Begins many changes that are one: until [`Graph::release`] message rules are neither checked nor told.
    pub(crate) fn hold(&mut self) {
        self.told.held = true;
    }

    /// Ends what [`Graph::hold`] began.
    pub(crate) fn release(&mut self, now: Now) {
        self.told.held = false;
        self.flush(now);
    }

    /// Whether many changes are being made.
    pub(super) fn is_held(&self) -> bool {
        self.told.held
    }

    /// Tells the kernel all message rules that may have changed.
    pub(super) fn flush(&mut self, now: Now) {
        if self.told.held {
            return;
        }
        for stream in std::mem::take(&mut self.told.dirty) {
            self.put_topics(stream, now);
        }
        for id in std::mem::take(&mut self.told.askers) {
            self.put_domains(id, now);
        }
    }

    /// A host has another name than before: whoever may reach it may ask for that.
    pub(super) fn mark_askers(&mut self, host: PrincipalId) {
        let sources = self.edges_of(host).into_iter().filter_map(|id| self.edges.get(&id));
        let sources: Vec<PrincipalId> = sources.map(|edge| edge.path.src).collect();
        self.told.askers.extend(sources);
    }

    /// Tells what a principal may ask the site's resolver for.
    fn put_domains(&mut self, id: PrincipalId, now: Now) {
        let want = self.domains(id, now);
        let have = self.told.domains.insert(id, want.clone()).unwrap_or_default();
        for name in have.keys().filter(|name| !want.contains_key(*name)) {
            self.push(Command::RemoveDomain { id, name: name.clone() });
        }
        for (name, until) in want {
            let known = have.get(&name);
            if known.is_none_or(|known| known.abs_diff(until) >= SLACK_NS || (*known == 0) != (until == 0)) {
                self.push(Command::PutDomain { id, name, until });
            }
        }
        if self.told.domains.get(&id).is_some_and(BTreeMap::is_empty) {
            self.told.domains.remove(&id);
        }
    }

    /// The names and domains that a principal may ask for, and until when: those of `resolve` edges, and those of the
    /// hosts that it may reach by name.
    pub(super) fn domains(&self, id: PrincipalId, now: Now) -> BTreeMap<HostName, u64> {
        let mut allowed: BTreeMap<HostName, u64> = BTreeMap::new();
        let mut denied = BTreeSet::new();
        for edge in self.edges_from(id) {
            let name = match (&edge.path.operation.object, self.host_of(edge.path.dst)) {
                (Object::Domain(name), _) => name.clone(),
                (_, Some(host)) => host.registrable().unwrap_or_else(|| host.clone()),
                (_, None) => continue,
            };
            let Some(standing) = self.standing(edge, now) else { continue };
            let until = standing.deadline;
            match standing.state {
                RuleState::Learned | RuleState::Allowed => {
                    let known = allowed.entry(name).or_insert(until);
                    *known = if *known == 0 || until == 0 { 0 } else { (*known).max(until) };
                }
                RuleState::Denied | RuleState::Banned if edge.path.operation.layer() == Layer::Name => {
                    denied.insert(name);
                }
                RuleState::Denied | RuleState::Banned | RuleState::Guarded | RuleState::Absent => {}
            }
        }
        allowed.retain(|name, _| !denied.contains(name));
        allowed
    }

    /// Tells what the connections of a transport may speak, and what they may say.
    fn put_topics(&mut self, stream: Stream, now: Now) {
        self.told.dirty.remove(&stream);
        let transport = self.index.edges.get(&stream.path()).copied();
        let Some((id, standing)) = transport.and_then(|id| Some((id, *self.told.edges.get(&id)?))) else {
            return;
        };
        let mut topics = self.topics(stream, now);
        let told = self.told.topics.entry(stream).or_default();
        if *told != topics {
            if !topics.fit() {
                // Without guards the rules fit, or they would not be in the model: so everything is guarded.
                topics.publish.retain(|rule| rule.rule != EdgeId::GUARD);
                topics.guard(std::iter::once(Pattern::Filter(Filter::everything())));
                self.alarm(Alarm::RulesTooComplex, stream.src, now);
            }
            if self.told.topics.get(&stream) != Some(&topics) {
                self.told.topics.insert(stream, topics.clone());
                self.push(Command::PutTopics { key: stream.path().transport(), topics });
            }
        }
        let speaks = self.speaks(stream, now);
        if self.told.speaks.insert(stream, speaks) != Some(speaks) {
            let key = stream.path().transport();
            self.push(Command::PutEdge { key, rule: rule_of(id, standing), speaks });
        }
    }
}

fn rule_of(id: EdgeId, standing: Standing) -> RuleSpec {
    let Standing { state, deadline, counted, terms } = standing;
    RuleSpec { id: id.rule(), state, deadline, counted, action: terms.action, limits: terms.limits() }
}

fn same(want: Option<Standing>, have: Option<Standing>) -> bool {
    match (want, have) {
        (None, None) => true,
        (Some(want), Some(have)) => {
            let close = want.deadline.abs_diff(have.deadline) < SLACK_NS;
            let both_end = (want.deadline == 0) == (have.deadline == 0);
            let alike = want.state == have.state && want.counted == have.counted && want.terms == have.terms;
            alike && close && both_end
        }
        (Some(_), None) | (None, Some(_)) => false,
    }
}
