//! How the model grows: edges are learned, generalised, and asked about.

use firewall_common::abi::PrincipalId;
use firewall_common::precedence::Mode;
use firewall_common::reason::{Reason, Verdict};

use super::{Fact, Graph};
use crate::command::{Alarm, Event, Observation};
use crate::decision::{Author, What};
use crate::edge::{Edge, EdgeId, Path, Property, State};
use crate::learning::{Learning, generalised};
use crate::operation::{Operation, Verb};
use crate::time::Now;

/// An edge whose tries grow is saved at most this often.
const SAVE_EVERY_NS: u64 = 60_000_000_000;
/// From a decision until the kernel knows it, at most.
const IN_FLIGHT_NS: u64 = 1_000_000_000;
/// How much more the box may learn than a device.
const SELF_FACTOR: usize = 4;

impl Graph {
    /// The edge becomes part of the model of a source that learns.
    pub(super) fn learn(&mut self, path: Path, fact: &Fact, now: Now) {
        // Between the kernel's verdict and now, a cap or a person may have ended its learning.
        if !self.learns(path.src) && path.src != PrincipalId::SELF {
            return self.pend(path, fact, now);
        }
        self.take_up(path, fact, now);
    }

    /// The edge becomes part of its source's model, if there is room for it.
    pub(super) fn take_up(&mut self, path: Path, fact: &Fact, now: Now) {
        let src = path.src;
        if self.mixes_protocols(&path, now) {
            return self.pend(path, fact, now);
        }
        let full = self.edges_from(src).filter(|edge| edge.state == State::Learned).count()
            >= self.settings.learn_edges * if src == PrincipalId::SELF { SELF_FACTOR } else { 1 };
        if full || !self.room_for_edge(now) {
            self.stop_learning(src, now);
            return self.pend(path, fact, now);
        }
        let id = self.edge_at(path, now);
        self.set_state(id, State::Learned, now);
        self.count(id, fact, now);
        let Some(edge) = self.edges.get(&id) else { return };
        let (broker, is_subscribe) = (edge.path.dst, edge.path.operation.verb == Verb::Subscribe);
        let stream = edge.path.stream().filter(|_| edge.path.operation.is_message());
        if stream.is_some_and(|stream| !self.topics(stream, now).fit()) {
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
            self.generalise_host(id, now);
        }
        if is_subscribe {
            self.question_learned(&self.index.to_ids(broker), now);
        }
    }

    /// Replaces siblings that differ in one number, id or date by one edge with `+` there; whether it did.
    pub(super) fn generalise(&mut self, id: EdgeId, now: Now) -> bool {
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
    pub(super) fn pend(&mut self, path: Path, fact: &Fact, now: Now) {
        let src = path.src;
        let known = self.index.edges.get(&path).copied();
        if known.is_none()
            && (self.pending_from(path.src) >= self.settings.pending_per_source || !self.room_for_edge(now))
        {
            self.collect_outside(path.dst, now);
            return self.overflow(path.src, 1, now);
        }
        let id = self.edge_at(path, now);
        let new = known.is_none() || self.edges.get(&id).is_some_and(|edge| edge.state != State::Pending);
        let tries = self.count(id, fact, now);
        // The kernel would learn it: from now on it is told to ask.
        if tries > 0 && fact.value.reason == Reason::Learned as u8 && self.learns(src) {
            if let Some(edge) = self.edges.get_mut(&id) {
                edge.decided = true;
            }
            self.tell_edge(id, now);
            self.save_edge(id, now);
        }
        if new {
            self.make_pending(id, now);
        }
    }

    pub(super) fn make_pending(&mut self, id: EdgeId, now: Now) {
        let Some(edge) = self.edges.get(&id) else { return };
        let violated = self.violated(&edge.path, now);
        self.make_pending_as(id, violated, now);
    }

    pub(crate) fn make_pending_as(&mut self, id: EdgeId, violated: Property, now: Now) {
        let Some(edge) = self.edges.get(&id) else { return };
        let path = edge.path.clone();
        self.set_state(id, State::Pending, now);
        if let Some(edge) = self.edges.get_mut(&id) {
            edge.violated = Some(violated);
        }
        if violated == Property::ClientTaken {
            self.alarm(Alarm::ClientTaken, path.src, now);
        }
        self.tell_edge(id, now);
        self.mark(path.operation.verb, &path.operation.object, path.src, path.dst);
        self.save_edge(id, now);
        self.notify(Event::EdgePending(id));
        if path.operation.verb == Verb::Subscribe {
            self.question_learned(&self.index.to_ids(path.dst), now);
        }
    }

    pub(crate) fn pending_from(&self, src: PrincipalId) -> usize {
        self.edges_from(src).filter(|edge| edge.state == State::Pending).count()
    }

    /// The edge with this path; a new one is pending until something else is said.
    pub(crate) fn edge_at(&mut self, path: Path, now: Now) -> EdgeId {
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
            latest: Vec::new(),
            tallies: Vec::new(),
            busiest: 0,
            usual: None,
            flag: None,
            response: None,
            rev,
        });
        id
    }

    /// Adds what is new in an entry of the kernel, tells it, and returns how much that is.
    pub(super) fn count(&mut self, id: EdgeId, fact: &Fact, now: Now) -> u64 {
        let Some(edge) = self.edges.get_mut(&id) else { return 0 };
        let new = edge.count(fact.key.object, &fact.value);
        let (first, last) = (now.unix_at(fact.value.first), now.unix_at(fact.value.last));
        edge.first_seen = Some(edge.first_seen.map_or(first, |known| known.min(first)));
        edge.last_seen = Some(edge.last_seen.map_or(last, |known| known.max(last)));
        edge.verdict = Verdict::from_code(fact.value.verdict);
        edge.reason = Reason::from_code(fact.value.reason);
        if new == 0 {
            return 0;
        }
        edge.note_try(last);
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
        let (src, dst) = (edge.path.src, edge.path.dst);
        self.notify(Event::Observation(observation));
        self.sign_of(fact, src, dst, new, now);
        let due = self.saved.get(&id).is_some_and(|at| now.boot_ns.saturating_sub(*at) >= SAVE_EVERY_NS);
        if due {
            self.save_edge(id, now);
        }
        if settled && self.saved.contains_key(&id) {
            self.notify(Event::EdgeChanged(id));
        }
        new
    }

    /// A counted permission did not let a try pass, so its uses are gone: once the kernel says so too, the edge is
    /// pending. A try just after the decision may have come before the kernel knew it.
    pub(super) fn maybe_used_up(&mut self, id: EdgeId, fact: &Fact) {
        let Some(State::Allowed(ruling)) = self.edges.get(&id).map(|edge| &edge.state) else { return };
        let stopped = Verdict::from_code(fact.value.verdict) != Some(Verdict::Forwarded);
        let later = fact.value.last > ruling.at.boot_ns.saturating_add(IN_FLIGHT_NS);
        if ruling.uses_left.is_some() && stopped && later {
            self.asked_uses.insert(id);
        }
    }

    pub(super) fn stop_learning(&mut self, id: PrincipalId, now: Now) {
        if !self.learns(id) {
            return self.overflow(id, 1, now);
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
        self.alarm(Alarm::Scan, id, now);
    }
}
