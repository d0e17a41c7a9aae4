//! What time brings.

use firewall_common::precedence::Mode;

use super::Graph;
use crate::command::Event;
use crate::decision::{Author, SiteMode, What};
use crate::edge::{EdgeId, State};
use crate::learning::Progress;
use crate::principal::Principal;
use crate::time::{Deadline, Left, Now};

const SECOND: u64 = 1_000_000_000;
/// How often to look again at what depends on a clock that is not synchronised, or on counters.
const LOOK_AGAIN: u64 = 60 * SECOND;

impl Graph {
    /// When [`Graph::handle_timeout`] wants to be called, in boot-time nanoseconds.
    pub fn poll_timeout(&self, now: Now) -> Option<u64> {
        let at = |left| match left {
            Left::At(at) => at,
            Left::Over => now.boot_ns,
            Left::Unknown => now.boot_ns + LOOK_AGAIN,
        };
        let edges = self.index.temporary.iter().filter_map(|id| {
            self.edges
                .get(id)
                .and_then(|edge| edge.state.ruling())
                .and_then(|ruling| ruling.left(now))
                .map(at)
        });
        let principals = self.principals.values().flat_map(|principal| {
            let pause = principal.pause.map(|pause| at(pause.left(now)));
            let learning = principal.learning.as_ref().filter(|_| principal.learns());
            let learning = learning.and_then(|learning| match principal.mode {
                Mode::Ready => learning.enforces.map(|enforces| at(enforces.left(now))),
                _ => match learning.progress(&self.settings, now) {
                    Progress::More { seconds } => {
                        Some(now.boot_ns.saturating_add(seconds.saturating_mul(SECOND)))
                    }
                    Progress::Enough | Progress::Ended => Some(now.boot_ns),
                },
            });
            let update = principal.update.as_ref().filter(|update| !update.over);
            let update = update.map(|update| at(update.ends.left(now)));
            pause.into_iter().chain(learning).chain(update)
        });
        let site =
            [self.site.confirm, self.site.pause].into_iter().flatten().map(|deadline| at(deadline.left(now)));
        let bans = self.bans.values().map(|ban| at(ban.until.left(now)));
        edges.chain(principals).chain(site).chain(bans).min()
    }

    /// Time passed.
    pub fn handle_timeout(&mut self, now: Now) {
        self.expire(now);
        self.expire_bans(now);
        let principals: Vec<_> = self.principals.keys().copied().collect();
        for id in principals {
            let Some(principal) = self.principals.get(&id) else { continue };
            if principal.pause.is_some_and(|pause| !matches!(pause.left(now), Left::At(_))) {
                self.end_pause(id, now);
            }
            self.advance_learning(id, now);
            self.advance_update(id, now);
        }
        self.advance_site(now);
        self.flush(now);
    }

    /// Ends decisions that are over, and lets dates hold once the clock is known.
    pub(super) fn expire(&mut self, now: Now) {
        let temporary: Vec<EdgeId> = self.index.temporary.iter().copied().collect();
        for id in temporary {
            let left =
                self.edges.get(&id).and_then(|edge| edge.state.ruling()).and_then(|ruling| ruling.left(now));
            match left {
                Some(Left::Over) => self.lapse(id, now),
                Some(Left::At(_) | Left::Unknown) => self.tell_edge(id, now),
                None => {}
            }
        }
        self.flush(now);
    }

    /// A decision is over: the edge is pending at its next try.
    pub(super) fn lapse(&mut self, id: EdgeId, now: Now) {
        self.asked_uses.remove(&id);
        self.set_state(id, State::Lapsed, now);
        self.tell_edge(id, now);
        self.save_edge(id, now);
        self.notify(Event::EdgeExpired(id));
    }

    fn advance_learning(&mut self, id: firewall_common::abi::PrincipalId, now: Now) {
        let Some(principal) = self.principals.get(&id).filter(|principal| principal.learns()) else { return };
        let Some(learning) = &principal.learning else { return };
        let to = match principal.mode {
            Mode::Ready => match learning.enforces.map(|enforces| enforces.left(now)) {
                Some(Left::Over) => Some((Mode::Enforcing, "learned, and nobody objected")),
                Some(Left::At(_) | Left::Unknown) | None => None,
            },
            _ => match learning.progress(&self.settings, now) {
                Progress::More { .. } => None,
                Progress::Enough => Some((Mode::Ready, "learned enough")),
                Progress::Ended => Some((Mode::Enforcing, "the time to learn is over")),
            },
        };
        if let Some((to, why)) = to {
            let from = principal.mode;
            self.change_mode(id, to, now);
            let what = What::Mode { principal: id, from, to, why: why.to_owned() };
            self.record_decision(what, &Author::firewall(), now);
        }
    }

    /// Something new was learned: who was ready goes on learning, unless its time is up.
    pub(super) fn learned_more(&mut self, id: firewall_common::abi::PrincipalId, now: Now) {
        let (max, rev) = (self.settings.learn_max, self.rev + 1);
        let Some(principal) = self.principals.get_mut(&id).filter(|principal| principal.mode == Mode::Ready)
        else {
            return;
        };
        let Some(learning) =
            principal.learning.as_mut().filter(|learning| now.seconds_since(&learning.since) < max)
        else {
            return;
        };
        learning.enforces = None;
        principal.mode = Mode::Learning;
        principal.since = now.unix;
        principal.mode_rev = rev;
        principal.rev = rev;
        self.rev = rev;
        self.tell_mode(id, now);
        self.save_principal(id);
        let why = "something new while ready".to_owned();
        let what = What::Mode { principal: id, from: Mode::Ready, to: Mode::Learning, why };
        self.record_decision(what, &Author::firewall(), now);
    }

    /// When a principal that is ready enforces; who must not lose its messages waits for a person.
    pub(super) fn notice(&self, principal: &Principal, now: Now) -> Option<Deadline> {
        (!principal.kind.waits_for_person()).then(|| Deadline::after(now, self.settings.ready_notice))
    }

    fn advance_site(&mut self, now: Now) {
        if self.site.pause.is_some_and(|pause| !matches!(pause.left(now), Left::At(_))) {
            self.site.pause = None;
            self.tell_site(now);
            self.save_site();
            self.notify(Event::Status);
        }
        if self.site.confirm.is_some_and(|confirm| !matches!(confirm.left(now), Left::At(_))) {
            self.site.confirm = None;
            self.site.mode = SiteMode::Monitor;
            let what =
                What::SiteMode { to: SiteMode::Monitor, why: "enforce was not confirmed in time".to_owned() };
            self.record_decision(what, &Author::firewall(), now);
            self.tell_site(now);
            self.notify(Event::Status);
        }
    }
}
