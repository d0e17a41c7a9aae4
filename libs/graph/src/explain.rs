//! Why an edge has its state: codes with parameters, of which the page makes sentences in the language of who reads them,
//! and the same in plain English for the command line and for notifications.

mod cause;
mod evidence;

use firewall_common::abi::{Action, PrincipalId};
use firewall_common::precedence::{Mode, RuleState};
use firewall_common::reason::{Reason, Verdict};

use crate::decision::SiteMode;
use crate::edge::{Edge, EdgeId, Path, Property};
use crate::filter::Part;
use crate::graph::{Graph, may_speak};
use crate::operation::{Object, Operation, Verb};
use crate::principal::Principal;
use crate::time::Now;

pub use self::cause::Cause;
pub use self::evidence::{Evidence, Side};

/// Most habits that are told.
const HABITS: usize = 8;
/// Words in topics that stand for new software.
const SOFTWARE: [&str; 6] = ["firmware", "ota", "update", "upgrade", "fwupdate", "flash"];

/// How bad it would be if it passed (rules, not a score).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Risk {
    Low,
    Medium,
    High,
}

impl Risk {
    /// The name in every output.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }
}

/// Why an edge has its state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// The row of the precedence table that decides, and what comes with it.
    pub causes: Vec<Cause>,
    pub violated: Option<Property>,
    pub risk: Risk,
    /// Who would receive what is published.
    pub beneficiaries: Vec<PrincipalId>,
    /// What the source normally does, most frequent first.
    pub habits: Vec<EdgeId>,
    /// Facts seen on the wire.
    pub evidence: Vec<Evidence>,
}

impl Explanation {
    /// The causes in plain English.
    pub fn because(&self) -> String {
        let causes: Vec<String> = self.causes.iter().map(ToString::to_string).collect();
        causes.join("; ")
    }
}

/// Something that was stopped for a principal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blocked {
    /// Seconds since 1970, of the last one.
    pub at: i64,
    pub verdict: Option<Verdict>,
    pub reason: Option<Reason>,
    pub edge: Option<EdgeId>,
    pub src: PrincipalId,
    pub dst: PrincipalId,
    pub verb: Option<Verb>,
    pub object: String,
    pub count: u64,
}

impl Graph {
    /// Why an edge has its state.
    pub fn explain(&self, id: EdgeId, now: Now) -> Option<Explanation> {
        let edge = self.edge(id)?;
        Some(Explanation {
            causes: self.causes(edge, now),
            violated: edge.asked(),
            risk: self.risk(edge, now),
            beneficiaries: self.beneficiaries(&edge.path),
            habits: self.habits(edge, now),
            evidence: self.evidence(edge),
        })
    }

    /// What an edge is about, in one sentence of plain English: who wants what of whom, and what is unusual about it.
    pub fn sentence(&self, edge: &Edge) -> String {
        let (from, wants) = (self.title_of(edge.path.src), self.deed(&edge.path));
        match edge.asked().or(edge.violated) {
            Some(violated) => format!("{from} wants to {wants}. {}", violated.words()),
            None => format!("{from} wants to {wants}."),
        }
    }

    pub(crate) fn title_of(&self, id: PrincipalId) -> String {
        self.principal(id).map_or_else(String::new, quoted)
    }

    /// What is done on a path, behind `wants to` or `could not`.
    pub(crate) fn deed(&self, path: &Path) -> String {
        let (to, object) = (self.title_of(path.dst), path.operation.object_text());
        match path.operation.verb {
            Verb::Connect => format!("connect to {to} ({object})"),
            Verb::Subscribe => format!("hear of {object} at {to}"),
            Verb::Get | Verb::Read => format!("read {object} of {to}"),
            Verb::Set | Verb::Write => format!("change {object} of {to}"),
            Verb::Delete => format!("delete {object} of {to}"),
            Verb::Publish | Verb::Push | Verb::Replicate => format!("send {object} to {to}"),
            Verb::Discover => format!("look for {object} at {to}"),
            Verb::Resolve => format!("ask for the address of {object}"),
        }
    }

    /// How bad it would be if the edge passed.
    pub fn risk(&self, edge: &Edge, now: Now) -> Risk {
        let path = &edge.path;
        let may_be_dangerous = self.principal(path.dst).is_some_and(Principal::may_be_dangerous);
        if self.leads_to_danger(path)
            || may_be_dangerous
            || self.watches_danger(path, now)
            || self.beneficiaries(path).iter().any(|id| self.is_dangerous(*id))
            || changes_software(&path.operation)
            || edge.violated == Some(Property::ClientTaken)
            || self.is_alike(path.src)
        {
            return Risk::High;
        }
        let outside = |id| self.principal(id).is_some_and(|principal| principal.mode == Mode::Outside);
        let similar = |other: &&Edge| {
            let same_target = other.path.dst == path.dst || (outside(path.dst) && outside(other.path.dst));
            other.id != edge.id && other.path.operation.verb == path.operation.verb && same_target
        };
        if edge.violated == Some(Property::Protocol) {
            return Risk::Medium;
        }
        let same_layer = |other: &&Edge| other.path.operation.layer() == path.operation.layer();
        let habit = self.habits_of(path.src, now).filter(similar).any(|other| same_layer(&other));
        if habit { Risk::Low } else { Risk::Medium }
    }

    /// What was stopped for a principal in the last minutes, newest last.
    pub fn trouble(&self, id: PrincipalId, minutes: u32, now: Now) -> Vec<Blocked> {
        let since = now.unix.saturating_sub(i64::from(minutes) * 60);
        let mut blocked: Vec<Blocked> = self.stopped_since(id, since).collect();
        let edges = self.edges().filter(|edge| edge.path.src == id || edge.path.dst == id);
        let stopped = edges
            .filter(|edge| !edge.passes(now) && edge.tries > 0 && edge.verdict != Some(Verdict::Forwarded));
        blocked.extend(stopped.filter_map(|edge| {
            let at = edge.last_seen.filter(|at| *at >= since)?;
            Some(Blocked {
                at,
                verdict: edge.verdict,
                reason: edge.reason,
                edge: Some(edge.id),
                src: edge.path.src,
                dst: edge.path.dst,
                verb: Some(edge.path.operation.verb),
                object: edge.path.operation.object_text(),
                count: edge.tries,
            })
        }));
        blocked.sort_by_key(|blocked| blocked.at);
        blocked
    }

    fn causes(&self, edge: &Edge, now: Now) -> Vec<Cause> {
        let judged = self.judge(&edge.path, now);
        let src = self.principal(edge.path.src).map_or(Mode::New, |principal| principal.end().mode);
        let mut causes = vec![Cause::of_row(judged.row.outcome, judged.state, src)];
        if judged.state == RuleState::Guarded {
            causes.push(Cause::Guarded);
        }
        if let Some(other) =
            judged.edge.filter(|other| *other != edge.id && judged.state != RuleState::Absent)
        {
            causes.push(Cause::OtherEdge { edge: other });
        }
        causes.extend(self.lacks_connection(edge, now));
        if let Some(terms) = edge.state.ruling().map(|ruling| ruling.terms) {
            if terms.action == Action::Neutralise {
                causes.push(Cause::Neutralised);
            }
            if terms.no_retain {
                causes.push(Cause::NotRetained);
            }
            causes.extend(terms.max_qos.map(|qos| Cause::QosAtMost { qos }));
        }
        if self.site().mode == SiteMode::Monitor {
            causes.push(Cause::Monitor);
        }
        causes
    }

    /// Why a message does not pass, whatever is said of it: the connection that it travels in.
    fn lacks_connection(&self, edge: &Edge, now: Now) -> Option<Cause> {
        let stream = edge.path.stream().filter(|_| !edge.is_transport())?;
        let path = stream.path();
        let port = path.operation.object_text();
        if !self.edge_with(&path).is_some_and(|transport| transport.passes(now)) {
            return Some(Cause::NoConnection { port });
        }
        let protocol = edge.path.operation.protocol().filter(|_| edge.path.operation.is_message())?;
        let may = may_speak(self.speaks(stream, now), protocol);
        (!may).then(|| Cause::MayNotSpeak { port, protocol: protocol.as_str() })
    }

    fn habits_of(&self, id: PrincipalId, now: Now) -> impl Iterator<Item = &Edge> {
        self.edges_from(id).filter(move |edge| edge.passes(now))
    }

    fn habits(&self, edge: &Edge, now: Now) -> Vec<EdgeId> {
        let mut habits: Vec<&Edge> =
            self.habits_of(edge.path.src, now).filter(|other| other.id != edge.id).collect();
        habits.sort_by_key(|habit| (std::cmp::Reverse(habit.tries), habit.id));
        habits.into_iter().take(HABITS).map(|habit| habit.id).collect()
    }

    /// A habit in plain English.
    pub fn habit_in_words(&self, habit: &Edge) -> String {
        let target = self.title_of(habit.path.dst);
        let operation = &habit.path.operation;
        let (verb, object) = (operation.verb.as_str(), operation.object_text());
        match operation.verb {
            Verb::Publish
            | Verb::Subscribe
            | Verb::Get
            | Verb::Set
            | Verb::Delete
            | Verb::Read
            | Verb::Write => format!("{verb} {object} at {target}"),
            Verb::Connect | Verb::Discover | Verb::Resolve | Verb::Push | Verb::Replicate => {
                format!("{verb} to {target}, {object}")
            }
        }
    }

    /// Whether it reads what a lock, alarm or camera publishes.
    fn watches_danger(&self, path: &Path, now: Now) -> bool {
        let Some(filter) = path.operation.filter().filter(|_| path.operation.verb == Verb::Subscribe) else {
            return false;
        };
        self.edges_to(path.dst).any(|other| {
            let topic = other.path.operation.filter().filter(|_| other.path.operation.verb == Verb::Publish);
            other.path.src != path.src
                && self.is_dangerous(other.path.src)
                && other.passes(now)
                && topic.is_some_and(|topic| topic.overlaps(filter))
        })
    }

    /// Whether it calls itself like another principal.
    fn is_alike(&self, id: PrincipalId) -> bool {
        let Some(hint) = self.principal(id).and_then(|principal| principal.hint.as_ref()) else {
            return false;
        };
        self.principals().any(|other| {
            other.id != id && other.name.as_deref().is_some_and(|name| crate::graph::same_name(name, &hint.0))
        })
    }
}

fn changes_software(operation: &Operation) -> bool {
    let is_software = |level: &str| SOFTWARE.contains(&level.to_lowercase().as_str());
    match (&operation.object, operation.verb) {
        (Object::Topic { filter, .. }, Verb::Publish) => filter.as_str().split('/').any(is_software),
        (Object::Http { route, .. } | Object::Coap { route, .. }, Verb::Set) => {
            route.parts().skip(1).any(|part| matches!(part, Part::Literal(level) if is_software(level)))
        }
        (_, _) => false,
    }
}

/// The owner's name, or else in quotes what it calls itself.
fn quoted(principal: &Principal) -> String {
    if principal.name.is_some() {
        principal.title()
    } else {
        format!("\u{201c}{}\u{201d}", principal.title())
    }
}
