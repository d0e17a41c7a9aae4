//! When a question is told to phones that do not have the page open.
//!
//! No clock and no socket here: events and time come in, and what to send comes out. A message says how many questions wait
//! and never which, because it passes servers of others and lies on lock screens.

use std::collections::{BTreeSet, VecDeque};

use crate::view::{Event, UnixSeconds};

/// Questions that come within this time are told together, in seconds; with one of high risk within the second.
const GATHER: (i64, i64) = (20, 3);
/// Messages within [`SPAN`]; what is of high risk is always told.
const MOST: usize = 3;
/// A day, in seconds.
const SPAN: i64 = 86_400;
/// Questions that are remembered as told, so that a repeat is not told again; the oldest gives way.
const TOLD: usize = 4096;

/// What a phone is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Push {
    /// Questions that wait and were not told yet.
    pub questions: usize,
    /// Whether one of them is of high risk.
    pub is_urgent: bool,
}

/// What waits to be told, and what was.
#[derive(Debug, Default)]
pub struct Pushes {
    ordinary: BTreeSet<u32>,
    urgent: BTreeSet<u32>,
    since: Option<UnixSeconds>,
    told: VecDeque<u32>,
    sent: VecDeque<UnixSeconds>,
}

impl Pushes {
    /// Takes in what has happened.
    pub fn handle_event(&mut self, event: &Event, now: UnixSeconds) {
        match event {
            Event::EdgePending(edge) => self.ask(edge.id, edge.risk == "high", now),
            Event::EdgeChanged(edge) if edge.state == "pending" || edge.flag.is_some() => {}
            Event::EdgeChanged(edge) | Event::EdgeDecided(edge) | Event::EdgeExpired(edge) => {
                self.settle(edge.id);
            }
            Event::EdgeRemoved { id } => self.settle(*id),
            Event::PrincipalAdded(_)
            | Event::PrincipalChanged(_)
            | Event::PrincipalRemoved { .. }
            | Event::Observation(_)
            | Event::EdgeWished(_)
            | Event::Alarm { .. }
            | Event::Status(_) => {}
        }
    }

    /// What is to be sent now, if anything.
    pub fn next_push(&mut self, now: UnixSeconds) -> Option<Push> {
        let due = self.poll_timeout(now)?;
        if now < due {
            return None;
        }
        let push =
            Push { questions: self.ordinary.len() + self.urgent.len(), is_urgent: !self.urgent.is_empty() };
        for id in std::mem::take(&mut self.ordinary).into_iter().chain(std::mem::take(&mut self.urgent)) {
            if self.told.len() == TOLD {
                self.told.pop_front();
            }
            self.told.push_back(id);
        }
        self.since = None;
        self.sent.push_back(now);
        Some(push)
    }

    /// When there will be something to send.
    pub fn poll_timeout(&mut self, now: UnixSeconds) -> Option<UnixSeconds> {
        let gathered = self.since? + if self.urgent.is_empty() { GATHER.0 } else { GATHER.1 };
        // A clock that was set back must not silence us.
        self.sent.retain(|at| *at <= now && now < at + SPAN);
        let is_spent = self.sent.len() >= MOST && self.urgent.is_empty();
        let free = self.sent.get(self.sent.len().saturating_sub(MOST)).map(|at| at + SPAN);
        Some(if is_spent { gathered.max(free.unwrap_or(gathered)) } else { gathered })
    }

    fn ask(&mut self, id: u32, is_high: bool, now: UnixSeconds) {
        if self.told.contains(&id) {
            return;
        }
        if is_high {
            self.ordinary.remove(&id);
            self.urgent.insert(id);
        } else if !self.urgent.contains(&id) {
            self.ordinary.insert(id);
        }
        self.since = Some(self.since.filter(|since| *since <= now).unwrap_or(now));
    }

    /// Somebody has decided, or nobody needs to any more.
    fn settle(&mut self, id: u32) {
        self.ordinary.remove(&id);
        self.urgent.remove(&id);
        if self.ordinary.is_empty() && self.urgent.is_empty() {
            self.since = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn edge(id: u32, state: &str, risk: &str) -> crate::view::Edge {
        let end = json!({"id": 16, "name": "x", "confirmed": true, "kind": "unknown"});
        serde_json::from_value(json!({
            "id": id, "plane": "packet", "from": end, "to": end, "verb": "connect", "object": "tcp/80",
            "state": state, "since": 0, "risk": risk, "beneficiaries": [], "tries": 1, "rev": 1,
        }))
        .unwrap()
    }

    fn asks(pushes: &mut Pushes, id: u32, risk: &str, now: i64) {
        pushes.handle_event(&Event::EdgePending(edge(id, "pending", risk)), now);
    }

    #[test]
    fn questions_of_a_moment_are_one_message_without_their_content() {
        let mut pushes = Pushes::default();
        assert_eq!(pushes.poll_timeout(0), None);
        asks(&mut pushes, 1, "low", 100);
        asks(&mut pushes, 2, "high", 105);
        assert_eq!(pushes.next_push(102), None);
        assert_eq!(pushes.next_push(105), Some(Push { questions: 2, is_urgent: true }));
        assert_eq!(pushes.next_push(121), None);
        asks(&mut pushes, 1, "low", 200);
        assert_eq!(pushes.poll_timeout(200), None, "a repeat is not told again");
    }

    #[test]
    fn what_was_decided_meanwhile_is_not_told() {
        let mut pushes = Pushes::default();
        asks(&mut pushes, 1, "low", 100);
        pushes.handle_event(&Event::EdgeDecided(edge(1, "denied", "low")), 110);
        assert_eq!(pushes.next_push(1_000), None);
        asks(&mut pushes, 2, "low", 2_000);
        asks(&mut pushes, 3, "low", 2_001);
        pushes.handle_event(&Event::EdgeRemoved { id: 2 }, 2_002);
        assert_eq!(pushes.next_push(2_020), Some(Push { questions: 1, is_urgent: false }));
    }

    #[test]
    fn what_is_unusual_on_an_edge_that_goes_on_is_told_too() {
        let flag =
            json!({"property": "rate.exceeded", "since": 0, "last": 0, "times": 1, "usual": "", "seen": ""});
        let flagged = crate::view::Edge {
            flag: Some(serde_json::from_value(flag).unwrap()),
            ..edge(1, "learned", "low")
        };
        let mut pushes = Pushes::default();
        pushes.handle_event(&Event::EdgePending(flagged.clone()), 100);
        pushes.handle_event(&Event::EdgeChanged(flagged.clone()), 101);
        assert_eq!(pushes.next_push(120), Some(Push { questions: 1, is_urgent: false }));
        pushes.handle_event(&Event::EdgePending(crate::view::Edge { id: 2, ..flagged }), 200);
        pushes.handle_event(&Event::EdgeChanged(edge(2, "learned", "low")), 201);
        assert_eq!(pushes.next_push(300), None, "somebody has answered");
    }

    #[test]
    fn three_a_day_are_enough_but_for_what_is_of_high_risk() {
        let mut pushes = Pushes::default();
        for id in 0..3 {
            asks(&mut pushes, id, "low", i64::from(id) * 1_000);
            assert!(pushes.next_push(i64::from(id) * 1_000 + GATHER.0).is_some());
        }
        asks(&mut pushes, 3, "low", 5_000);
        asks(&mut pushes, 4, "medium", 6_000);
        assert_eq!(pushes.next_push(50_000), None);
        assert_eq!(pushes.poll_timeout(50_000), Some(GATHER.0 + SPAN), "when the first is a day old");
        asks(&mut pushes, 5, "high", 60_000);
        assert_eq!(pushes.next_push(60_000), Some(Push { questions: 3, is_urgent: true }));
        asks(&mut pushes, 6, "low", 61_000);
        assert_eq!(pushes.next_push(SPAN + GATHER.0), None, "the urgent one counts");
        assert_eq!(pushes.next_push(SPAN + 1_000 + GATHER.0), Some(Push { questions: 1, is_urgent: false }));
    }
}
