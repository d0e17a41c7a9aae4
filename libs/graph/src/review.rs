//! What people look at before a device enforces: its habits in groups, what they rest on, and what would break.

use std::collections::BTreeMap;

use firewall_common::abi::PrincipalId;
use firewall_common::precedence::{Mode, Outcome};

use crate::edge::{Edge, EdgeId, State};
use crate::graph::Graph;
use crate::host::HostName;
use crate::jobs::Job;
use crate::learning::{Learning, Progress};
use crate::operation::Object;
use crate::principal::Principal;
use crate::time::Now;

const DAY: i64 = 86_400;
const WEEK: i64 = 7 * DAY;

/// The habits of a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Review {
    /// How many edges its model has.
    pub habits: usize,
    /// The largest first.
    pub groups: Vec<Group>,
    /// What that rests on; none for a device that does not learn.
    pub evidence: Option<Evidence>,
}

/// What a device does with one other, or with hosts of one domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    pub with: String,
    pub habits: Vec<EdgeId>,
    /// When the latest of them came into the model, in seconds since 1970.
    pub newest: i64,
}

/// How much the model of a device rests on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// Whole days that were covered.
    pub days: u64,
    /// Seconds since something new was learned.
    pub quiet: u64,
    /// What devices do now and then, and there was no time for yet.
    pub not_covered: Vec<Gap>,
    /// What devices of its kind do now and then, and this one was not seen to do.
    pub not_seen: Vec<Job>,
    pub confidence: Confidence,
}

/// What a time of learning has left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gap {
    Day,
    Weekend,
    WorkingDay,
    Week,
}

impl Gap {
    /// The code, from which the page makes its text.
    pub const fn code(self) -> &'static str {
        ["day", "weekend", "working_day", "week"][self as usize]
    }

    /// In words.
    pub const fn as_str(self) -> &'static str {
        ["a whole day", "a weekend", "a working day", "what is done once a week"][self as usize]
    }
}

/// How sure it is that a device has shown what it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Confidence {
    Low,
    Medium,
    High,
}

impl Confidence {
    /// The name in every output.
    pub const fn as_str(self) -> &'static str {
        ["low", "medium", "high"][self as usize]
    }
}

/// Something that was seen, and would not pass if its device enforced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Break {
    pub edge: EdgeId,
    /// One sentence for people.
    pub sentence: String,
    pub tries: u64,
    /// Seconds since 1970.
    pub last_seen: Option<i64>,
}

impl Graph {
    /// The habits of a principal in groups, and what they rest on.
    pub fn review(&self, id: PrincipalId, now: Now) -> Review {
        let mut groups: BTreeMap<String, Group> = BTreeMap::new();
        for edge in self.edges_from(id).filter(|edge| edge.passes(now)) {
            let with = self.partner(edge);
            let group = groups.entry(with.clone()).or_insert(Group { with, habits: Vec::new(), newest: 0 });
            group.habits.push(edge.id);
            group.newest = group.newest.max(edge.since);
        }
        let mut groups: Vec<Group> = groups.into_values().collect();
        groups.sort_by_key(|group| std::cmp::Reverse(group.habits.len()));
        let learning = self.principal(id).filter(|principal| principal.learns());
        Review {
            habits: groups.iter().map(|group| group.habits.len()).sum(),
            groups,
            evidence: learning
                .and_then(|principal| principal.learning.as_ref())
                .map(|learning| self.rests_on(id, learning, now)),
        }
    }

    /// What was seen of a device, or of all that learn, and would not pass if it enforced: the model as it is now, before
    /// it is switched on.
    pub fn would_break(&self, id: Option<PrincipalId>, now: Now) -> Vec<Break> {
        let candidate = |principal: &Principal| {
            let all = principal.learns() || principal.mode == Mode::Enforcing;
            principal.is_device() && id.map_or(all, |id| principal.id == id)
        };
        let enforces = |id| self.principal(id).is_some_and(candidate);
        let seen = self.edges().filter(|edge| edge.tries > 0 || edge.state == State::Learned);
        let mut broken: Vec<Break> = seen
            .filter(|edge| enforces(edge.path.src) || enforces(edge.path.dst))
            .filter_map(|edge| {
                let (src, dst) = (edge.path.src, edge.path.dst);
                let state = self.judge(&edge.path, now).state;
                let row = self.row_with(src, dst, state, |id| enforces(id).then_some(Mode::Enforcing));
                let Outcome::Stop(_) = row.outcome else { return None };
                let (from, deed) = (self.title_of(src), self.deed(&edge.path));
                Some(Break {
                    edge: edge.id,
                    sentence: format!("{from} could not {deed}: {}.", row.why),
                    tries: edge.tries,
                    last_seen: edge.last_seen,
                })
            })
            .collect();
        broken.sort_by_key(|broken| (std::cmp::Reverse(broken.tries), broken.edge));
        broken
    }

    /// Whom an edge is with: one domain for all hosts in it.
    fn partner(&self, edge: &Edge) -> String {
        let domain = |name: &HostName| {
            let known = name.registrable();
            known.as_ref().and_then(HostName::domain).unwrap_or(name.as_str()).to_owned()
        };
        match (&edge.path.operation.object, self.principal(edge.path.dst)) {
            (Object::Domain(name), _) => domain(name),
            (_, Some(Principal { host: Some(host), name: None, .. })) => domain(host),
            (_, _) => self.title_of(edge.path.dst),
        }
    }

    /// What the model of a principal that learns rests on.
    pub fn rests_on(&self, id: PrincipalId, learning: &Learning, now: Now) -> Evidence {
        let covered = now.seconds_since(&learning.since);
        let not_covered = not_covered(now.unix, i64::try_from(covered).unwrap_or(i64::MAX));
        let not_seen = self.jobs_not_seen(id);
        let enough = learning.progress(self.settings(), now) == Progress::Enough;
        let confidence = match (enough, learning.percent(self.settings(), now)) {
            (true, _) if not_covered.is_empty() && not_seen.is_empty() => Confidence::High,
            (true, _) | (false, 50..) => Confidence::Medium,
            (false, _) => Confidence::Low,
        };
        Evidence {
            days: covered / DAY.unsigned_abs(),
            quiet: now.seconds_since(&learning.last_new),
            not_covered,
            not_seen,
            confidence,
        }
    }
}

/// What a time that ends now and lasted so many seconds has left out.
fn not_covered(unix: i64, seconds: i64) -> Vec<Gap> {
    let (first, last) = (unix.saturating_sub(seconds).div_euclid(DAY), unix.div_euclid(DAY));
    let days = first..=last;
    // 1 January 1970 was a Thursday.
    let is_weekend = |day: i64| matches!((day + 3).rem_euclid(7), 5 | 6);
    let week = days.clone().take(7);
    let mut left = Vec::new();
    if seconds < DAY {
        left.push(Gap::Day);
    }
    if !week.clone().any(is_weekend) {
        left.push(Gap::Weekend);
    }
    if week.clone().all(is_weekend) {
        left.push(Gap::WorkingDay);
    }
    if seconds < WEEK {
        left.push(Gap::Week);
    }
    left
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_covered_is_named() {
        // A Wednesday, 12:00.
        let wednesday = 6 * DAY + DAY / 2;
        assert_eq!(not_covered(wednesday, 3_600), [Gap::Day, Gap::Weekend, Gap::Week]);
        assert_eq!(not_covered(wednesday, 4 * DAY), [Gap::Week]);
        assert_eq!(not_covered(wednesday, WEEK), []);
        // A Sunday.
        assert_eq!(not_covered(wednesday + 4 * DAY, DAY), [Gap::WorkingDay, Gap::Week]);
    }
}
