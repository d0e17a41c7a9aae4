//! From the graph to the view models that `--json` prints and the page shows.

use std::collections::HashMap;

use dashboard::view;
use firewall_common::abi::{Action, PrincipalId};
use graph::{
    Graph, Now,
    command::{self, Observation},
    decision::{Decision, Terms, What},
    edge::{Edge, EdgeId, Property, Ruling, State},
    explain::{Blocked, Cause, Evidence},
    graph::EdgeCounts,
    host::HostName,
    inventory::{Proof, is_private},
    learning::Learning,
    principal::{Principal, show_address, show_mac},
    usual::Flag,
};

const DAY: u64 = 24 * 60 * 60;

/// The graph at one moment.
#[derive(Clone, Copy)]
pub(super) struct Views<'g> {
    pub(super) graph: &'g Graph,
    pub(super) now: Now,
}

impl Views<'_> {
    pub(super) fn end(self, id: PrincipalId) -> view::End {
        let Some(principal) = self.graph.principal(id) else {
            return view::End {
                id: id.0,
                name: format!("principal {}", id.0),
                confirmed: false,
                kind: "unknown".to_owned(),
            };
        };
        view::End {
            id: id.0,
            name: principal.title(),
            confirmed: principal.name.is_some(),
            kind: principal.shown_kind().0.as_str().to_owned(),
        }
    }

    /// An edge as it is now.
    pub(super) fn edge(self, edge: &Edge) -> view::Edge {
        let ruling = edge.state.ruling();
        let terms = ruling.map_or(Terms::NONE, |ruling| ruling.terms);
        view::Edge {
            id: edge.id.0,
            plane: edge.path.plane.as_str().to_owned(),
            from: self.end(edge.path.src),
            to: self.end(edge.path.dst),
            verb: edge.path.operation.verb.as_str().to_owned(),
            object: edge.path.operation.object_text(),
            meaning: None,
            state: edge.state.as_str().to_owned(),
            since: edge.since,
            by: ruling.map(|ruling| ruling.by.as_str().to_owned()),
            until: ruling.and_then(Ruling::until),
            lifetime: ruling.map(|ruling| ruling.lifetime.as_str().to_owned()),
            uses: ruling.and_then(|ruling| ruling.uses_left).map(u64::from),
            action: (terms.action != Action::Reset).then(|| terms.action.as_str().to_owned()),
            no_retain: terms.no_retain,
            max_qos: terms.max_qos,
            reason: edge.reason.map(|reason| reason.as_str().to_owned()),
            violated: edge.asked().map(|property| property.as_str().to_owned()),
            flag: edge.flag.as_ref().filter(|_| edge.is_flagged()).map(|flag| view_of_flag(flag)),
            unusual: self.graph.response(edge.id).as_str().to_owned(),
            limit: self.graph.limit(edge, self.now),
            risk: self.graph.risk(edge, self.now).as_str().to_owned(),
            beneficiaries: self.graph.beneficiaries(&edge.path).into_iter().map(|id| self.end(id)).collect(),
            tries: edge.tries,
            first_seen: edge.first_seen,
            last_seen: edge.last_seen,
            rev: edge.rev,
        }
    }

    pub(super) fn edge_by_id(self, id: EdgeId) -> Option<view::Edge> {
        self.graph.edge(id).map(|edge| self.edge(edge))
    }

    /// Edges in this state, or in all, at this principal, or at all.
    pub(super) fn edges(self, state: Option<&str>, principal: Option<PrincipalId>) -> Vec<view::Edge> {
        self.graph
            .edges()
            .filter(|edge| state.is_none_or(|state| is_in_state(edge, state)))
            .filter(|edge| principal.is_none_or(|id| edge.path.src == id || edge.path.dst == id))
            .map(|edge| self.edge(edge))
            .collect()
    }

    /// What waits for a person.
    pub(super) fn pending(self) -> Vec<view::Edge> {
        self.graph.edges().filter(|edge| edge.waits()).map(|edge| self.edge(edge)).collect()
    }

    pub(super) fn bans(self) -> Vec<view::Ban> {
        let bans = self.graph.bans().map(|ban| view::Ban {
            id: ban.id.0,
            principal: self.end(ban.principal),
            client: ban.client.clone(),
            until: ban.until.unix(),
            by: ban.by.as_str().to_owned(),
            why: ban.why.clone(),
        });
        bans.collect()
    }

    pub(super) fn explanation(self, id: EdgeId) -> Option<view::Explanation> {
        let edge = self.edge_by_id(id)?;
        let explanation = self.graph.explain(id, self.now)?;
        let habits = || explanation.habits.iter().filter_map(|id| self.graph.edge(*id));
        let words = |evidence| self.graph.evidence_in_words(evidence);
        Some(view::Explanation {
            edge,
            because: explanation.because(),
            causes: explanation.causes.iter().map(cause).collect(),
            habits: habits().map(|habit| self.graph.habit_in_words(habit)).collect(),
            usually: habits().map(|habit| self.habit(habit)).collect(),
            evidence: explanation.evidence.iter().flat_map(words).collect(),
            facts: explanation.evidence.iter().filter_map(|evidence| self.fact(evidence)).collect(),
        })
    }

    fn habit(self, edge: &Edge) -> view::Habit {
        view::Habit {
            edge: edge.id.0,
            to: self.end(edge.path.dst),
            verb: edge.path.operation.verb.as_str().to_owned(),
            object: edge.path.operation.object_text(),
        }
    }

    fn fact(self, evidence: &Evidence) -> Option<view::Fact> {
        Some(match evidence {
            Evidence::Unusual(flag) => unusual(flag)?,
            Evidence::Period { seconds } => view::Fact::Period { seconds: *seconds },
            Evidence::Tries { count } => view::Fact::Tries { count: *count },
            Evidence::Times { at } => view::Fact::Times { at: at.clone() },
            Evidence::Encrypted { yes } => view::Fact::Encrypted { yes: *yes },
            Evidence::HeldSince { at } => view::Fact::HeldSince { at: *at },
            Evidence::Meanwhile { who, target, at } => {
                view::Fact::Meanwhile { who: self.end(*who), target: self.end(*target), at: *at }
            }
            Evidence::Verdict { verdict, reason } => view::Fact::Verdict {
                verdict: verdict.as_str().to_owned(),
                reason: reason.as_str().to_owned(),
            },
            Evidence::Whereabouts { side, who } => {
                let principal = self.graph.principal(*who)?;
                let place = principal.places.first();
                view::Fact::Whereabouts {
                    side: side.as_str().to_owned(),
                    mac: place.map(|place| show_mac(place.mac)),
                    port: place.map(|place| place.port.clone()),
                    addresses: principal.addresses.iter().map(|&addr| show_address(addr)).collect(),
                }
            }
            Evidence::ClientTaken => view::Fact::ClientTaken,
            Evidence::Subscribed { who } => view::Fact::Subscribed { who: self.end(*who) },
        })
    }

    fn principal(self, principal: &Principal, counts: EdgeCounts) -> view::Principal {
        let place = principal.places.first();
        let (kind, kind_source) = principal.shown_kind();
        let guess = principal.guessed.and_then(|_| self.graph.guess(principal.id));
        view::Principal {
            id: principal.id.0,
            name: principal.title(),
            confirmed: principal.name.is_some(),
            calls_itself: principal.hint.as_ref().map(|hint| hint.0.clone()),
            kind: kind.as_str().to_owned(),
            kind_source: kind_source.as_str().to_owned(),
            room: principal.room.clone(),
            description: principal.description.clone(),
            mode: principal.mode.as_str().to_owned(),
            since: principal.since,
            paused_until: principal.pause.map(|pause| pause.unix()).filter(|&until| until > self.now.unix),
            mac: place.map(|place| show_mac(place.mac)),
            vlan: place.map(|place| place.vlan),
            port: place.map(|place| place.port.clone()),
            addresses: principal.addresses.iter().map(|&addr| show_address(addr)).collect(),
            first_seen: principal.first_seen,
            last_seen: principal.last_seen,
            edges: edge_counts(counts),
            learning: principal.learning.as_ref().map(|learning| self.learning(learning, counts)),
            domain: principal.host.as_ref().and_then(HostName::registrable).map(String::from),
            maker: principal.clues.maker.clone(),
            private_mac: place.is_some_and(|place| is_private(place.mac)),
            guess: guess.map(|guess| view::Guess {
                kind: guess.kind.as_str().to_owned(),
                confidence: guess.confidence.as_str().to_owned(),
                clues: guess.evidence.iter().map(view_of_proof).collect(),
                evidence: guess.evidence.iter().map(ToString::to_string).collect(),
            }),
            rev: principal.rev,
        }
    }

    fn learning(self, learning: &Learning, counts: EdgeCounts) -> view::Learning {
        let settings = self.graph.settings();
        view::Learning {
            since: learning.since.unix,
            habits: counts.learned,
            last_new_at: (learning.last_new != learning.since).then_some(learning.last_new.unix),
            percent: learning.percent(settings, self.now),
            at_least_seconds: learning.at_least_seconds(settings, self.now),
            enforces_at: learning.enforces.map(|enforces| enforces.unix()),
            capped: learning.capped,
        }
    }

    pub(super) fn principals(self) -> Vec<view::Principal> {
        // One walk over the edges for all of them.
        let mut counts: HashMap<PrincipalId, EdgeCounts> = HashMap::new();
        for edge in self.graph.edges() {
            let ends = [edge.path.src, edge.path.dst];
            for id in &ends[..if ends[0] == ends[1] { 1 } else { 2 }] {
                count(counts.entry(*id).or_default(), edge);
            }
        }
        let counted = |id| counts.get(&id).copied().unwrap_or_default();
        self.graph.principals().map(|principal| self.principal(principal, counted(principal.id))).collect()
    }

    pub(super) fn principal_by_id(self, id: PrincipalId) -> Option<view::Principal> {
        let counts = self.graph.edge_counts(Some(id));
        self.graph.principal(id).map(|principal| self.principal(principal, counts))
    }

    pub(super) fn decision(self, decision: &Decision) -> view::Decision {
        view::Decision {
            id: decision.id.0,
            at: decision.at,
            by: decision.by.as_str().to_owned(),
            role: decision.by.phone().and_then(|phone| phone.role.parse().ok()),
            client: decision.by.phone().map(|phone| phone.id.clone()),
            what: decision.what.as_str().to_owned(),
            edge: decision.what.edge().map(|edge| self.edge(edge)),
            principal: decision.what.principal().map(|id| self.end(id)),
            detail: decision.what.detail(),
            undone: decision.undone,
            hash: decision.hash.to_string(),
        }
    }

    /// The newest first.
    pub(super) fn decisions(self, wanted: &Wanted, limit: usize) -> Vec<view::Decision> {
        let decisions = self.graph.decisions().rev().filter(|decision| wanted.is_met_by(decision));
        decisions.take(limit).map(|decision| self.decision(decision)).collect()
    }

    pub(super) fn learners(self) -> Vec<view::Learner> {
        let learner = |principal: &Principal| {
            let learning = principal.learning.as_ref()?;
            let rests_on = self.graph.rests_on(principal.id, learning, self.now);
            let gaps = rests_on.not_covered.iter().map(|gap| gap.code());
            let jobs = rests_on.not_seen.iter().map(|job| job.as_str());
            Some(view::Learner {
                principal: self.end(principal.id),
                mode: principal.mode.as_str().to_owned(),
                learning: self.learning(learning, self.graph.edge_counts(Some(principal.id))),
                days: rests_on.days,
                min_days: self.graph.settings().learn_min.div_ceil(DAY),
                missing: gaps.chain(jobs).map(str::to_owned).collect(),
                confidence: rests_on.confidence.as_str().to_owned(),
            })
        };
        self.graph.principals().filter_map(learner).collect()
    }

    pub(super) fn observation(self, seen: &Observation) -> view::Observation {
        view::Observation {
            at: seen.at,
            verdict: seen.verdict.map_or("", |verdict| verdict.as_str()).to_owned(),
            reason: seen.reason.map_or("", |reason| reason.as_str()).to_owned(),
            edge: seen.edge.map(|edge| edge.0),
            from: self.end(seen.src),
            to: self.end(seen.dst),
            verb: seen.verb.map_or("", |verb| verb.as_str()).to_owned(),
            object: seen.object.clone(),
            count: seen.count,
        }
    }

    pub(super) fn trouble(self, id: PrincipalId, minutes: u32) -> view::Trouble {
        let blocked = |blocked: &Blocked| view::Observation {
            at: blocked.at,
            verdict: blocked.verdict.map_or("", |verdict| verdict.as_str()).to_owned(),
            reason: blocked.reason.map_or("", |reason| reason.as_str()).to_owned(),
            edge: blocked.edge.map(|edge| edge.0),
            from: self.end(blocked.src),
            to: self.end(blocked.dst),
            verb: blocked.verb.map_or("", |verb| verb.as_str()).to_owned(),
            object: blocked.object.clone(),
            count: blocked.count,
        };
        view::Trouble {
            principal: self.end(id),
            minutes,
            blocked: self.graph.trouble(id, minutes, self.now).iter().map(blocked).collect(),
        }
    }

    /// An event as watchers get it; `None` if what it is about is gone already. Alarms and the status are the caller's.
    pub(super) fn event(self, event: &command::Event) -> Option<view::Event> {
        use command::Event;
        Some(match event {
            Event::EdgePending(id) => view::Event::EdgePending(self.edge_by_id(*id)?),
            Event::EdgeChanged(id) => view::Event::EdgeChanged(self.edge_by_id(*id)?),
            Event::EdgeDecided(id) => view::Event::EdgeDecided(self.edge_by_id(*id)?),
            Event::EdgeExpired(id) => view::Event::EdgeExpired(self.edge_by_id(*id)?),
            Event::EdgeRemoved(id) => view::Event::EdgeRemoved { id: id.0 },
            Event::PrincipalAdded(id) => view::Event::PrincipalAdded(self.principal_by_id(*id)?),
            Event::PrincipalChanged(id) => view::Event::PrincipalChanged(self.principal_by_id(*id)?),
            Event::PrincipalRemoved(id) => view::Event::PrincipalRemoved { id: id.0 },
            Event::Observation(seen) => view::Event::Observation(self.observation(seen)),
            Event::Alarm { .. } | Event::Status => return None,
        })
    }
}

/// Who has changed the mode of a principal last, as far back as decisions are kept.
pub(super) fn last_mode(graph: &Graph, id: PrincipalId) -> Option<view::Act> {
    let is_it =
        |decision: &&Decision| matches!(decision.what, What::Mode { principal, .. } if principal == id);
    let last = graph.decisions().rev().find(is_it)?;
    Some(view::Act { by: Some(last.by.as_str().to_owned()), at: last.at })
}

/// Which decisions are wanted.
#[derive(Clone, Debug, Default)]
pub(super) struct Wanted {
    pub(super) before: Option<u64>,
    pub(super) principal: Option<PrincipalId>,
    pub(super) by: Option<String>,
    pub(super) what: Option<String>,
}

impl Wanted {
    fn is_met_by(&self, decision: &Decision) -> bool {
        let is_about = |id: PrincipalId| {
            let is_end = decision.what.edge().is_some_and(|edge| edge.path.src == id || edge.path.dst == id);
            is_end || decision.what.principal() == Some(id)
        };
        self.before.is_none_or(|before| decision.id.0 < before)
            && self.principal.is_none_or(is_about)
            && self.by.as_deref().is_none_or(|by| decision.by.as_str() == by)
            && self.what.as_deref().is_none_or(|what| decision.what.as_str() == what)
    }
}

/// Whether an edge is what a list is limited to: its state, or `flagged`.
fn is_in_state(edge: &Edge, state: &str) -> bool {
    edge.state.as_str() == state || (state == "flagged" && edge.is_flagged())
}

fn view_of_proof(proof: &Proof) -> view::Clue {
    view::Clue { code: proof.code().to_owned(), value: proof.value() }
}

fn cause(cause: &Cause) -> view::Cause {
    match cause {
        Cause::SourceQuarantined => view::Cause::SourceQuarantined,
        Cause::DestinationQuarantined => view::Cause::DestinationQuarantined,
        Cause::Banned => view::Cause::Banned,
        Cause::Denied => view::Cause::Denied,
        Cause::Allowed => view::Cause::Allowed,
        Cause::SourceNew => view::Cause::SourceNew,
        Cause::GuestOutside => view::Cause::GuestOutside,
        Cause::GuestInside => view::Cause::GuestInside,
        Cause::Learned => view::Cause::Learned,
        Cause::Learns => view::Cause::Learns,
        Cause::BoxLearns => view::Cause::BoxLearns,
        Cause::NotInModel => view::Cause::NotInModel,
        Cause::Guarded => view::Cause::Guarded,
        Cause::OtherEdge { edge } => view::Cause::OtherEdge { edge: edge.0 },
        Cause::NoConnection { port } => view::Cause::NoConnection { port: port.clone() },
        Cause::MayNotSpeak { port, protocol } => {
            view::Cause::MayNotSpeak { port: port.clone(), protocol: (*protocol).to_owned() }
        }
        Cause::Neutralised => view::Cause::Neutralised,
        Cause::NotRetained => view::Cause::NotRetained,
        Cause::QosAtMost { qos } => view::Cause::QosAtMost { qos: *qos },
        Cause::Monitor => view::Cause::Monitor,
    }
}

/// What is measured of something unusual; other properties are not measured.
fn unusual(flag: &Flag) -> Option<view::Fact> {
    let Flag { usual, seen, .. } = *flag;
    match flag.property {
        Property::RateExceeded => Some(view::Fact::Rate { usual, seen, dropped: flag.times }),
        Property::SizeExceeded => Some(view::Fact::Size { usual, seen }),
        Property::TimeUnusual => Some(view::Fact::Hour {
            usual: (0..24).filter(|hour| usual & 1 << hour != 0).collect(),
            seen: seen as u8,
        }),
        _ => None,
    }
}

fn view_of_flag(flag: &Flag) -> view::Flag {
    view::Flag {
        property: flag.property.as_str().to_owned(),
        since: flag.since,
        last: flag.last,
        times: flag.times,
        measured: unusual(flag),
    }
}

fn count(counts: &mut EdgeCounts, edge: &Edge) {
    counts.flagged += u64::from(edge.is_flagged());
    match edge.state {
        State::Learned => counts.learned += 1,
        State::Allowed(_) => counts.allowed += 1,
        State::Denied(_) => counts.denied += 1,
        State::Pending => counts.pending += 1,
        State::Lapsed => {}
    }
}

pub(super) fn edge_counts(counts: EdgeCounts) -> view::EdgeCounts {
    let EdgeCounts { learned, allowed, denied, pending, flagged } = counts;
    view::EdgeCounts { learned, allowed, denied, pending, flagged }
}

#[cfg(test)]
mod tests;
