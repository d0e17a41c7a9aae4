//! What a device that enforces learns all the same: after new software, and after an upgrade of this program.
//!
//! The kernel has stopped the first try by then. What is learned passes from the next one on, so nothing is opened that was
//! not looked at.

use firewall_common::abi::PrincipalId;
use firewall_common::precedence::Mode;

use super::{Fact, Graph};
use crate::command::Event;
use crate::decision::{Author, DecisionId, Refused, What};
use crate::edge::{Edge, EdgeId, Path, State};
use crate::host::HostName;
use crate::learning::Update;
use crate::operation::Layer;
use crate::time::{Deadline, Left, Now};

/// Longest time for an update in seconds, and most edges that it may bring.
const LONGEST: u32 = 43_200;
const LEARNED_CAP: usize = 64;

impl Graph {
    /// A device gets new software within so many seconds.
    pub fn await_update(
        &mut self,
        id: PrincipalId,
        seconds: u32,
        author: &Author,
        now: Now,
    ) -> Result<DecisionId, Refused> {
        if seconds == 0 || seconds > LONGEST {
            return Err(Refused::Invalid(
                "An update takes at least a second and at most 12 hours".to_owned(),
            ));
        }
        let principal = self.own(id)?;
        if principal.mode != Mode::Enforcing {
            let message = format!("{} does not enforce; it learns updates by itself", principal.title());
            return Err(Refused::Conflict(message));
        }
        let ends = Deadline::after(now, seconds.into());
        self.put_update(id, Update { ends, over: false, learned: Vec::new() });
        let detail = format!("an update within {seconds} s");
        Ok(self.record_decision(What::Update { principal: id, detail }, author, now))
    }

    /// When the time of an update is over: what it has changed is written down.
    pub(super) fn advance_update(&mut self, id: PrincipalId, now: Now) {
        let Some(update) = self.principals.get(&id).and_then(|principal| principal.update.as_ref()) else {
            return;
        };
        let is_over = !matches!(update.ends.left(now), Left::At(_)) || !self.enforces(id);
        if update.over || !is_over {
            return;
        }
        let update = Update { over: true, ..(**update).clone() };
        let begun = update.ends.from.unix;
        let asked = |edge: &&Edge| edge.state == State::Pending && edge.since >= begun;
        let asked = self.edges_from(id).filter(asked).count();
        let detail = format!("after the update: {} learned, {asked} asked about", update.learned.len());
        self.put_update(id, update);
        self.record_decision(What::Update { principal: id, detail }, &Author::firewall(), now);
    }

    /// Whether a path that was stopped is one that its source shall learn.
    pub(super) fn is_awaited(&self, path: &Path, now: Now) -> bool {
        self.enforces(path.src) && (self.is_of_update(path, now) || self.is_of_upgrade(path, now))
    }

    pub(super) fn take_up_awaited(&mut self, path: &Path, fact: &Fact, now: Now) {
        let is_of_update = self.is_of_update(path, now);
        self.take_up(path.clone(), fact, now);
        let learned = self.edge_with(path).filter(|edge| edge.state == State::Learned).map(|edge| edge.id);
        if let Some(edge) = learned.filter(|_| is_of_update) {
            self.note_update(path.src, edge);
        }
    }

    /// A state of a version that knew no names: its devices would be refused every question to the resolver.
    pub(super) fn catch_up_on_names(&mut self, now: Now) {
        if self.site.knows_names {
            return;
        }
        self.site.knows_names = true;
        let knows = self.edges.values().any(|edge| edge.path.operation.layer() == Layer::Name);
        let enforces = self.principals.values().any(|principal| principal.mode == Mode::Enforcing);
        if enforces && !knows {
            self.site.catches_up = Some(Deadline::after(now, self.settings.learn_quiet));
        }
        self.save_site();
    }

    /// A host that has its name in a domain which the device uses already.
    fn is_of_update(&self, path: &Path, now: Now) -> bool {
        let update = self.principals.get(&path.src).and_then(|principal| principal.update.as_ref());
        let awaited = update.is_some_and(|update| {
            !update.over && update.learned.len() < LEARNED_CAP && matches!(update.ends.left(now), Left::At(_))
        });
        let domain = |id| self.host_of(id).and_then(HostName::registrable);
        awaited
            && domain(path.dst).is_some_and(|wanted| {
                let used = self.edges_from(path.src).filter(|edge| edge.passes(now));
                used.filter_map(|edge| domain(edge.path.dst)).any(|known| known == wanted)
            })
    }

    fn is_of_upgrade(&self, path: &Path, now: Now) -> bool {
        let Some(until) = self.site.catches_up.filter(|_| path.operation.layer() == Layer::Name) else {
            return false;
        };
        let since = self.principals.get(&path.src).map(|principal| principal.since);
        matches!(until.left(now), Left::At(_)) && since.is_some_and(|since| since <= until.from.unix)
    }

    fn enforces(&self, id: PrincipalId) -> bool {
        self.principals.get(&id).is_some_and(|principal| principal.mode == Mode::Enforcing)
    }

    fn note_update(&mut self, id: PrincipalId, edge: EdgeId) {
        let update = self.principals.get(&id).and_then(|principal| principal.update.clone());
        if let Some(mut update) = update.filter(|update| !update.learned.contains(&edge)) {
            update.learned.push(edge);
            self.put_update(id, *update);
        }
    }

    fn put_update(&mut self, id: PrincipalId, update: Update) {
        let rev = self.touch();
        if let Some(principal) = self.principals.get_mut(&id) {
            principal.update = Some(Box::new(update));
            principal.rev = rev;
        }
        self.save_principal(id);
        self.notify(Event::PrincipalChanged(id));
    }
}
