//! Modes of principals, pauses, and what depends on them.

use firewall_common::abi::PrincipalId;
use firewall_common::precedence::{Mode, Outcome, RuleState};
use firewall_common::reason::Reason;

use super::Graph;
use crate::command::Event;
use crate::decision::{Author, DecisionId, Refused, What};
use crate::edge::{Edge, EdgeId, State};
use crate::learning::Learning;
use crate::time::{Deadline, Now};

/// Longest pause, and longest learning that a person sets, in seconds.
const PAUSE_MAX: u32 = 43_200;
const LEARN_MAX: u32 = 90 * 86_400;

impl Graph {
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

    /// As [`Graph::set_mode`], for someone who was shown revision `rev` of the principal.
    ///
    /// # Errors
    ///
    /// Besides those of [`Graph::set_mode`], [`Refused::Conflict`] if the mode may be another one than what was shown.
    pub fn set_mode_seen(
        &mut self,
        id: PrincipalId,
        mode: Mode,
        rev: u64,
        author: &Author,
        now: Now,
    ) -> Result<DecisionId, Refused> {
        let principal = self.own(id)?;
        // A higher one is of another state, which was put back by a copy.
        if rev < principal.mode_rev || rev > principal.rev {
            let (title, mode) = (principal.title(), principal.mode.as_str());
            return Err(Refused::Conflict(format!("{title} has changed since: it is {mode} now")));
        }
        self.set_mode(id, mode, author, now)
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
            return Err(Refused::duration("Learning lasts at least a second and at most 90 days"));
        }
        let who = self.devices(id, |mode| matches!(mode, Mode::Learning | Mode::Ready | Mode::Enforcing))?;
        let ends = seconds.map(|seconds| Deadline::after(now, seconds.into()));
        Ok(who.into_iter().map(|id| self.person_mode(id, Mode::Learning, ends, author, now)).collect())
    }

    /// As [`Graph::learn_start`] of one device, without the habits that it has. What people decided stays.
    pub fn learn_anew(
        &mut self,
        id: PrincipalId,
        seconds: Option<u32>,
        author: &Author,
        now: Now,
    ) -> Result<Vec<DecisionId>, Refused> {
        let done = self.learn_start(Some(id), seconds, author, now)?;
        let habits = self.edges_from(id).filter(|edge| edge.state == State::Learned).map(|edge| edge.id);
        for habit in habits.collect::<Vec<_>>() {
            self.drop_edge(habit, now);
        }
        self.flush(now);
        self.notify(Event::PrincipalChanged(id));
        Ok(done)
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

    /// Puts the protection of a device that is ready off by so many seconds.
    ///
    /// # Errors
    ///
    /// Where it is not ready or waits for a person anyway, and beyond 90 days after it became ready.
    pub fn postpone(
        &mut self,
        id: PrincipalId,
        seconds: u32,
        author: &Author,
        now: Now,
    ) -> Result<DecisionId, Refused> {
        let principal = self.own(id)?;
        let enforces = principal.learning.as_ref().and_then(|learning| learning.enforces);
        let Some(enforces) = enforces.filter(|_| principal.mode == Mode::Ready) else {
            return Err(Refused::Conflict(format!("{} is not about to enforce", principal.title())));
        };
        let later = Deadline { seconds: enforces.seconds.saturating_add(seconds.into()), ..enforces };
        if seconds == 0 || later.seconds > LEARN_MAX.into() {
            return Err(Refused::Invalid("Protection is put off by at most 90 days".to_owned()));
        }
        let rev = self.touch();
        if let Some(principal) = self.principals.get_mut(&id) {
            principal.rev = rev;
            if let Some(learning) = &mut principal.learning {
                learning.enforces = Some(later);
            }
        }
        self.save_principal(id);
        let why = format!("a person waits {seconds} s longer");
        let what = What::Mode { principal: id, from: Mode::Ready, to: Mode::Ready, why };
        let decision = self.record_decision(what, author, now);
        self.notify(Event::PrincipalChanged(id));
        Ok(decision)
    }

    /// Lets a principal out of quarantine, into the mode that it had before; who was ready learns on.
    ///
    /// # Errors
    ///
    /// Where it is not in quarantine.
    pub fn let_back(&mut self, id: PrincipalId, author: &Author, now: Now) -> Result<DecisionId, Refused> {
        let principal = self.own(id)?;
        if principal.mode != Mode::Quarantine {
            return Err(Refused::Conflict(format!("{} is not in quarantine", principal.title())));
        }
        let otherwise = if principal.is_device() { Mode::Enforcing } else { Mode::Outside };
        let before = self.decisions.values().rev().find_map(|decision| match decision.what {
            What::Mode { principal, from, to: Mode::Quarantine, .. } if principal == id => Some(from),
            _ => None,
        });
        let to = match before.unwrap_or(otherwise) {
            Mode::Ready => Mode::Learning,
            mode => mode,
        };
        Ok(self.person_mode(id, to, None, author, now))
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
            return Err(Refused::duration("A pause lasts at most 12 hours"));
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
        self.alarms.retain(|(_, principal), _| *principal != id);
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
        principal.mode_rev = rev;
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

    pub(super) fn tell_kind(&mut self, id: PrincipalId, now: Now) {
        self.tell_principal(id, now);
        // Messages to a broker depend on what its subscribers are.
        let all: Vec<EdgeId> = self.edges.keys().copied().collect();
        self.question_learned(&all, now);
        self.mark_principal(id);
        self.rejudge(all, now);
        self.flush(now);
    }

    /// What waits for a decision may need none any more, or for another reason.
    pub(super) fn rejudge(&mut self, edges: Vec<EdgeId>, now: Now) {
        for edge in edges {
            let Some(pending) = self.edges.get(&edge).filter(|edge| edge.state == State::Pending) else {
                continue;
            };
            // Not tried yet: it stays what its maker wants until somebody says yes or no.
            if pending.is_proposal() {
                continue;
            }
            let (path, before) = (pending.path.clone(), pending.violated);
            let new = !pending.decided;
            match self.judge(&path, now).row.outcome {
                Outcome::Pass | Outcome::Learn => self.drop_edge(edge, now),
                // What the mode of an end settles needs no card.
                Outcome::Stop(Reason::Quarantine | Reason::GuestInside) if new => self.drop_edge(edge, now),
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
    pub(super) fn question_learned(&mut self, edges: &[EdgeId], now: Now) {
        let stops = |edge: &&Edge| {
            let row = self.row(edge.path.src, edge.path.dst, RuleState::Guarded);
            matches!(row.outcome, Outcome::Stop(_)) && self.leads_to_danger(&edge.path)
        };
        let learned = |edge: &&Edge| edge.state == State::Learned && self.learns(edge.path.src);
        let candidates = edges.iter().filter_map(|id| self.edges.get(id));
        let ids: Vec<EdgeId> = candidates.filter(learned).filter(stops).map(|edge| edge.id).collect();
        for id in ids {
            if let Some(edge) = self.edges.get_mut(&id) {
                edge.decided = true;
            }
            self.make_pending(id, now);
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
