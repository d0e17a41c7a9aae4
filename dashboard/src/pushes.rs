//! When phones that do not have the page open are told something.
//!
//! No clock and no socket here: what happens and the time come in, and what to send comes out. A message says how many
//! questions wait and never which, because it passes servers of others and lies on lock screens.
//!
//! Three messages with questions a day are enough: what comes then is told in one when the day ends, in the evening.
//! What is of high risk, and that the firewall does not do its work, is told in any case.

use std::collections::{BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};

use crate::view::{Edge, Event, Status, UnixSeconds};

/// Questions that come within this time are told together, in seconds; with one of high risk within the second.
const GATHER: (i64, i64) = (20, 3);
/// Messages with questions within a day; what is of high risk is always told.
const MOST: usize = 3;
/// Seconds that an outage lasts before it is told, and that all is well before that is: a restart is no outage.
const STEADY: i64 = 30;
/// Questions that are remembered as told, so that a repeat is not told again; the oldest gives way.
const TOLD: usize = 4096;

/// When the day ends that this moment is in; the days of a household end at 19:00.
pub type EndOfDay = fn(UnixSeconds) -> UnixSeconds;

/// What a phone is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Push {
    Questions {
        /// How many wait and were not told yet.
        count: usize,
        /// How many of them somebody asks an owner to decide.
        wishes: usize,
        /// Whether one of them is of high risk.
        is_urgent: bool,
    },
    Outage(Outage),
    /// An outage that was told is over.
    AllWell,
}

/// Why the firewall does not do its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outage {
    /// The daemon does not answer.
    NotRunning,
    /// What passes is not judged, or nothing passes.
    NotProtecting,
}

impl Outage {
    /// What keeps a running daemon from protecting.
    pub fn of(status: &Status) -> Option<Self> {
        status.faults.iter().any(|fault| fault.what.is_outage()).then_some(Self::NotProtecting)
    }
}

/// What has happened.
#[derive(Clone, Debug)]
pub enum Heard {
    Event(Box<Event>),
    /// The daemon answers, and this is how it stands.
    Came {
        outage: Option<Outage>,
        waiting: Vec<Edge>,
        told: Told,
    },
    /// The daemon does not answer any more.
    Left,
}

/// What was told, kept by the daemon so that whoever tells may restart.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// Every question that began until then was told.
    pub until: UnixSeconds,
    /// When the latest messages with questions were sent.
    pub sent: Vec<UnixSeconds>,
}

impl Told {
    /// As it is kept: only the latest messages count.
    #[must_use]
    pub fn bounded(mut self) -> Self {
        self.sent.drain(..self.sent.len().saturating_sub(MOST));
        self
    }
}

/// What waits to be told, and what was.
#[derive(Debug)]
pub struct Pushes {
    end_of_day: EndOfDay,
    ordinary: BTreeSet<u32>,
    urgent: BTreeSet<u32>,
    /// Part of the others: told although they were told before.
    wished: BTreeSet<u32>,
    since: Option<UnixSeconds>,
    known: VecDeque<u32>,
    told: Told,
    /// How the firewall stands, since when, and how phones believe that it does.
    outage: Option<Outage>,
    outage_since: UnixSeconds,
    outage_told: Option<Outage>,
}

impl Pushes {
    pub fn new(end_of_day: EndOfDay) -> Self {
        Self {
            end_of_day,
            ordinary: BTreeSet::new(),
            urgent: BTreeSet::new(),
            wished: BTreeSet::new(),
            since: None,
            known: VecDeque::new(),
            told: Told::default(),
            outage: None,
            outage_since: 0,
            outage_told: None,
        }
    }

    /// Takes in what has happened.
    pub fn handle(&mut self, heard: &Heard, now: UnixSeconds) {
        match heard {
            Heard::Event(event) => self.handle_event(event, now),
            Heard::Came { outage, waiting, told } => {
                self.stand(*outage, now);
                // A clock that was set back must not silence us.
                self.told.until = self.told.until.max(told.until).min(now);
                if self.told.sent.is_empty() {
                    self.told.sent.clone_from(&told.sent);
                }
                for edge in waiting {
                    let began = edge.flag.as_ref().map_or(edge.since, |flag| flag.since);
                    if began > self.told.until {
                        self.ask(edge.id, edge.risk == "high", now);
                    } else {
                        self.remember(edge.id);
                    }
                }
            }
            Heard::Left => self.stand(Some(Outage::NotRunning), now),
        }
    }

    fn handle_event(&mut self, event: &Event, now: UnixSeconds) {
        match event {
            Event::EdgePending(edge) => self.ask(edge.id, edge.risk == "high", now),
            Event::EdgeChanged(edge) if edge.state == "pending" || edge.flag.is_some() => {}
            Event::EdgeChanged(edge) | Event::EdgeDecided(edge) | Event::EdgeExpired(edge) => {
                self.settle(edge.id);
            }
            Event::EdgeRemoved { id } => self.settle(*id),
            Event::EdgeWished(wish) => self.wish(wish.edge, now),
            Event::Status(status) => self.stand(Outage::of(status), now),
            Event::PrincipalAdded(_)
            | Event::PrincipalChanged(_)
            | Event::PrincipalRemoved { .. }
            | Event::Observation(_)
            | Event::ClientRevoked(_)
            | Event::EdgeStats(_)
            | Event::LearningProgress(_)
            | Event::Alarm(_) => {}
        }
    }

    /// What is to be sent now, if anything.
    pub fn next_push(&mut self, now: UnixSeconds) -> Option<Push> {
        if self.outage_due().is_some_and(|due| due <= now) {
            self.outage_told = self.outage;
            return Some(self.outage.map_or(Push::AllWell, Push::Outage));
        }
        if self.questions_due(now)? > now {
            return None;
        }
        let push = Push::Questions {
            count: self.ordinary.len() + self.urgent.len(),
            wishes: std::mem::take(&mut self.wished).len(),
            is_urgent: !self.urgent.is_empty(),
        };
        for id in std::mem::take(&mut self.ordinary).into_iter().chain(std::mem::take(&mut self.urgent)) {
            self.remember(id);
        }
        self.since = None;
        self.told.until = now;
        self.told.sent.push(now);
        self.told = std::mem::take(&mut self.told).bounded();
        Some(push)
    }

    /// When there will be something to send.
    pub fn poll_timeout(&self, now: UnixSeconds) -> Option<UnixSeconds> {
        self.outage_due().into_iter().chain(self.questions_due(now)).min()
    }

    /// What has been told, to be kept.
    pub fn told(&self) -> &Told {
        &self.told
    }

    fn outage_due(&self) -> Option<UnixSeconds> {
        (self.outage != self.outage_told).then_some(self.outage_since + STEADY)
    }

    fn questions_due(&self, now: UnixSeconds) -> Option<UnixSeconds> {
        let gathered = self.since? + if self.urgent.is_empty() { GATHER.0 } else { GATHER.1 };
        let is_spent = self.urgent.is_empty() && self.sent_today(now).count() >= MOST;
        Some(if is_spent { (self.end_of_day)(now) } else { gathered })
    }

    fn sent_today(&self, now: UnixSeconds) -> impl Iterator<Item = UnixSeconds> {
        let end = (self.end_of_day)(now);
        self.told.sent.iter().copied().filter(move |at| *at <= now && (self.end_of_day)(*at) == end)
    }

    fn stand(&mut self, outage: Option<Outage>, now: UnixSeconds) {
        if self.outage != outage {
            (self.outage, self.outage_since) = (outage, now);
        }
    }

    fn ask(&mut self, id: u32, is_high: bool, now: UnixSeconds) {
        if self.known.contains(&id) {
            return;
        }
        if is_high {
            self.ordinary.remove(&id);
            self.urgent.insert(id);
        } else if !self.urgent.contains(&id) {
            self.ordinary.insert(id);
        }
        self.begin(now);
    }

    /// Somebody asks an owner to decide. It is nothing urgent, because a question of high risk was told as such before.
    fn wish(&mut self, id: u32, now: UnixSeconds) {
        self.wished.insert(id);
        if !self.urgent.contains(&id) {
            self.ordinary.insert(id);
        }
        self.begin(now);
    }

    fn begin(&mut self, now: UnixSeconds) {
        self.since = Some(self.since.filter(|since| *since <= now).unwrap_or(now));
    }

    fn remember(&mut self, id: u32) {
        if self.known.contains(&id) {
            return;
        }
        if self.known.len() == TOLD {
            self.known.pop_front();
        }
        self.known.push_back(id);
    }

    /// Somebody has decided, or nobody needs to any more.
    fn settle(&mut self, id: u32) {
        self.ordinary.remove(&id);
        self.urgent.remove(&id);
        self.wished.remove(&id);
        if self.ordinary.is_empty() && self.urgent.is_empty() {
            self.since = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn flagged() -> Edge {
        let flag = json!({"property": "rate.exceeded", "since": 0, "last": 0, "times": 1});
        Edge { flag: Some(serde_json::from_value(flag).unwrap()), ..edge(1, "learned", "low") }
    }

    fn edge(id: u32, state: &str, risk: &str) -> Edge {
        let end = json!({"id": 16, "name": "x", "confirmed": true, "kind": "unknown"});
        serde_json::from_value(json!({
            "id": id, "plane": "packet", "from": end, "to": end, "verb": "connect", "object": "tcp/80",
            "state": state, "since": 0, "risk": risk, "beneficiaries": [], "tries": 1, "rev": 1,
        }))
        .unwrap()
    }

    const DAY: i64 = 86_400;
    const EVENING: i64 = 19 * 3_600;

    /// As at Greenwich.
    fn evening(now: UnixSeconds) -> UnixSeconds {
        now - (now - EVENING).rem_euclid(DAY) + DAY
    }

    fn pushes() -> Pushes {
        Pushes::new(evening)
    }

    fn happens(pushes: &mut Pushes, event: Event, now: i64) {
        pushes.handle(&Heard::Event(Box::new(event)), now);
    }

    fn asks(pushes: &mut Pushes, id: u32, risk: &str, now: i64) {
        happens(pushes, Event::EdgePending(edge(id, "pending", risk)), now);
    }

    fn questions(count: usize, is_urgent: bool) -> Push {
        Push::Questions { count, wishes: 0, is_urgent }
    }

    #[test]
    fn a_wish_is_told_although_its_question_was_and_within_the_budget() {
        let wish = |edge| Event::EdgeWished(crate::view::Wish { edge, by: "Ben".to_owned(), at: 0 });
        let mut pushes = pushes();
        asks(&mut pushes, 1, "high", 100);
        assert!(pushes.next_push(103).is_some());
        happens(&mut pushes, wish(1), 200);
        happens(&mut pushes, wish(1), 201);
        assert_eq!(pushes.next_push(219), None);
        let told = Push::Questions { count: 1, wishes: 1, is_urgent: false };
        assert_eq!(pushes.next_push(220), Some(told));
        happens(&mut pushes, wish(2), 300);
        happens(&mut pushes, Event::EdgeDecided(edge(2, "denied", "low")), 301);
        assert_eq!(pushes.next_push(400), None, "an owner was faster");
        happens(&mut pushes, wish(3), 500);
        assert!(pushes.next_push(520).is_some());
        happens(&mut pushes, wish(4), 600);
        assert_eq!((pushes.next_push(1_000), pushes.next_push(EVENING)), (None, Some(told)));
    }

    #[test]
    fn questions_of_a_moment_are_one_message_without_their_content() {
        let mut pushes = pushes();
        assert_eq!(pushes.poll_timeout(0), None);
        asks(&mut pushes, 1, "low", 100);
        asks(&mut pushes, 2, "high", 105);
        assert_eq!(pushes.next_push(102), None);
        assert_eq!(pushes.next_push(105), Some(questions(2, true)));
        assert_eq!(pushes.next_push(121), None);
        asks(&mut pushes, 1, "low", 200);
        assert_eq!(pushes.poll_timeout(200), None, "a repeat is not told again");
    }

    #[test]
    fn what_was_decided_meanwhile_is_not_told() {
        let mut pushes = pushes();
        asks(&mut pushes, 1, "low", 100);
        happens(&mut pushes, Event::EdgeDecided(edge(1, "denied", "low")), 110);
        assert_eq!(pushes.next_push(1_000), None);
        asks(&mut pushes, 2, "low", 2_000);
        asks(&mut pushes, 3, "low", 2_001);
        happens(&mut pushes, Event::EdgeRemoved { id: 2 }, 2_002);
        assert_eq!(pushes.next_push(2_020), Some(questions(1, false)));
    }

    #[test]
    fn what_is_unusual_on_an_edge_that_goes_on_is_told_too() {
        let flagged = flagged();
        let mut pushes = pushes();
        happens(&mut pushes, Event::EdgePending(flagged.clone()), 100);
        happens(&mut pushes, Event::EdgeChanged(flagged.clone()), 101);
        assert_eq!(pushes.next_push(120), Some(questions(1, false)));
        happens(&mut pushes, Event::EdgePending(Edge { id: 2, ..flagged }), 200);
        happens(&mut pushes, Event::EdgeChanged(edge(2, "learned", "low")), 201);
        assert_eq!(pushes.next_push(300), None, "somebody has answered");
    }

    #[test]
    fn what_comes_after_three_messages_is_told_once_in_the_evening_but_for_what_is_of_high_risk() {
        let mut pushes = pushes();
        for id in 0..3 {
            asks(&mut pushes, id, "low", i64::from(id) * 1_000);
            assert!(pushes.next_push(i64::from(id) * 1_000 + GATHER.0).is_some());
        }
        asks(&mut pushes, 3, "low", 5_000);
        asks(&mut pushes, 4, "medium", 6_000);
        assert_eq!((pushes.next_push(EVENING - 1), pushes.poll_timeout(50_000)), (None, Some(EVENING)));
        asks(&mut pushes, 5, "high", 60_000);
        assert_eq!(pushes.next_push(60_003), Some(questions(3, true)));
        asks(&mut pushes, 6, "low", 61_000);
        asks(&mut pushes, 7, "low", 62_000);
        assert_eq!(pushes.next_push(EVENING), Some(questions(2, false)));
        asks(&mut pushes, 8, "low", EVENING + 100);
        assert_eq!(pushes.next_push(EVENING + 120), Some(questions(1, false)), "another day has begun");
    }

    #[test]
    fn after_a_restart_only_what_was_not_told_is_told() {
        let mut before = pushes();
        asks(&mut before, 1, "low", 100);
        assert_eq!(before.next_push(120), Some(questions(1, false)));

        let mut after = pushes();
        let began = |id, since| Edge { since, ..edge(id, "pending", "low") };
        let waiting = vec![began(1, 100), began(2, 150)];
        let came = Heard::Came { outage: None, waiting, told: before.told().clone() };
        after.handle(&came, 500);
        asks(&mut after, 1, "low", 501);
        assert_eq!(after.next_push(520), Some(questions(1, false)), "only what began since");
        after.handle(&came, 600);
        assert_eq!(after.poll_timeout(600), None, "and that not twice");
        assert_eq!(after.told(), &Told { until: 520, sent: vec![120, 520] });

        let mut ahead = pushes();
        let told = Told { until: 9_000_000, sent: vec![9_000_000] };
        ahead.handle(&Heard::Came { outage: None, waiting: vec![], told }, 1_000);
        asks(&mut ahead, 3, "low", 1_001);
        assert_eq!(ahead.next_push(1_021), Some(questions(1, false)), "the clock was wrong");
    }

    #[test]
    fn an_outage_is_told_once_and_its_end_too() {
        let mut pushes = pushes();
        pushes.handle(&Heard::Left, 100);
        assert_eq!((pushes.next_push(129), pushes.poll_timeout(129)), (None, Some(130)));
        assert_eq!(pushes.next_push(130), Some(Push::Outage(Outage::NotRunning)));
        pushes.handle(&Heard::Left, 200);
        assert_eq!(pushes.next_push(900), None, "once");
        let came = |outage| Heard::Came { outage, waiting: Vec::new(), told: Told::default() };
        pushes.handle(&came(Some(Outage::NotProtecting)), 1_000);
        assert_eq!(pushes.next_push(1_030), Some(Push::Outage(Outage::NotProtecting)));
        pushes.handle(&came(None), 2_000);
        assert_eq!(pushes.next_push(2_030), Some(Push::AllWell));
        pushes.handle(&Heard::Left, 3_000);
        pushes.handle(&came(None), 3_010);
        assert_eq!(pushes.poll_timeout(3_010), None, "a restart is no outage");
    }

    #[test]
    fn an_outage_is_told_when_the_messages_of_the_day_are_spent() {
        let told = Told { until: 0, sent: vec![1, 2, 3] };
        let mut pushes = pushes();
        pushes.handle(&Heard::Came { outage: None, waiting: Vec::new(), told }, 10);
        asks(&mut pushes, 1, "low", 20);
        pushes.handle(&Heard::Left, 30);
        assert_eq!(pushes.next_push(60), Some(Push::Outage(Outage::NotRunning)));
        assert_eq!(pushes.next_push(61), None);
    }
}
