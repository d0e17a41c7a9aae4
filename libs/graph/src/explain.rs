//! Why an edge has its state, in words that a page and a command line print.

use std::fmt::Write as _;

use firewall_common::abi::{Action, PrincipalId};
use firewall_common::precedence::{Mode, RuleState};
use firewall_common::reason::{Reason, Verdict};

use crate::decision::SiteMode;
use crate::edge::{Edge, EdgeId, Path, Property};
use crate::filter::Part;
use crate::graph::{Graph, may_speak};
use crate::operation::{Object, Operation, Verb};
use crate::principal::{Principal, show_address, show_mac};
use crate::time::Now;

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
    /// The row of the precedence table that decides, in words.
    pub because: String,
    pub violated: Option<Property>,
    pub risk: Risk,
    /// Who would receive what is published.
    pub beneficiaries: Vec<PrincipalId>,
    /// What the source normally does, most frequent first.
    pub habits: Vec<String>,
    /// Facts seen on the wire.
    pub evidence: Vec<String>,
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
            because: self.because(edge, now),
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

    fn because(&self, edge: &Edge, now: Now) -> String {
        let judged = self.judge(&edge.path, now);
        let mut text = judged.row.why.to_owned();
        if judged.state == RuleState::Guarded {
            text.push_str("; it is asked about even while the source learns");
        }
        if let Some(other) =
            judged.edge.filter(|other| *other != edge.id && judged.state != RuleState::Absent)
        {
            let _ = write!(text, "; edge {} decides, which is more specific or stricter", other.0);
        }
        if let Some(stream) = edge.path.stream().filter(|_| !edge.is_transport()) {
            let path = stream.path();
            let port = path.operation.object_text();
            if !self.edge_with(&path).is_some_and(|transport| transport.passes(now)) {
                let _ = write!(
                    text,
                    "; it travels in a connection to {port}, which is not in the model: nothing passes before that is \
                     allowed too",
                );
            } else if let Some(protocol) =
                edge.path.operation.protocol().filter(|_| edge.path.operation.is_message())
                && !may_speak(self.speaks(stream, now), protocol)
            {
                let protocol = protocol.as_str();
                let _ = write!(
                    text,
                    "; connections to {port} may not speak {protocol}: nothing passes before `{port} {protocol}` is \
                     allowed too",
                );
            }
        }
        if let Some(terms) = edge.state.ruling().map(|ruling| ruling.terms) {
            if terms.action == Action::Neutralise {
                text.push_str("; where that is possible it goes on as something harmless");
            }
            if terms.no_retain {
                text.push_str("; it must not be retained");
            }
            if let Some(qos) = terms.max_qos {
                let _ = write!(text, "; its QoS is at most {qos}");
            }
        }
        if self.site().mode == SiteMode::Monitor {
            text.push_str("; the site is in mode monitor, so nothing is dropped");
        }
        text
    }

    fn habits_of(&self, id: PrincipalId, now: Now) -> impl Iterator<Item = &Edge> {
        self.edges_from(id).filter(move |edge| edge.passes(now))
    }

    fn habits(&self, edge: &Edge, now: Now) -> Vec<String> {
        let mut habits: Vec<&Edge> =
            self.habits_of(edge.path.src, now).filter(|other| other.id != edge.id).collect();
        habits.sort_by_key(|habit| (std::cmp::Reverse(habit.tries), habit.id));
        let tell = |habit: &Edge| {
            let target = self.principal(habit.path.dst).map_or_else(String::new, quoted);
            let operation = &habit.path.operation;
            match operation.verb {
                Verb::Publish
                | Verb::Subscribe
                | Verb::Get
                | Verb::Set
                | Verb::Delete
                | Verb::Read
                | Verb::Write => {
                    format!("{} {} at {target}", operation.verb.as_str(), operation.object_text())
                }
                Verb::Connect | Verb::Discover | Verb::Resolve | Verb::Push | Verb::Replicate => {
                    format!("{} to {target}, {}", operation.verb.as_str(), operation.object_text())
                }
            }
        };
        habits.into_iter().take(HABITS).map(tell).collect()
    }

    fn evidence(&self, edge: &Edge) -> Vec<String> {
        let mut facts = Vec::new();
        if let Some(flag) = &edge.flag {
            facts.push(format!("usual: {}", flag.usual_words()));
            facts.push(format!("seen: {}", flag.seen_words()));
        }
        if let Some(period) = edge.usual.as_ref().and_then(|usual| usual.period()) {
            facts.push(format!("it usually comes round every {}", duration(period)));
        }
        if edge.tries > 0 {
            facts.push(format!("{} tries", edge.tries));
        }
        if let (Some(verdict), Some(reason)) = (edge.verdict, edge.reason) {
            facts.push(format!("last verdict {} ({})", verdict.as_str(), reason.as_str()));
        }
        for (end, id) in [("from", edge.path.src), ("to", edge.path.dst)] {
            if let Some(principal) = self.principal(id) {
                facts.push(format!("{end} {}", whereabouts(principal)));
            }
        }
        if let Object::Client { .. } = edge.path.operation.object
            && edge.violated == Some(Property::ClientTaken)
        {
            facts.push("this client id belongs to another device at the same broker".to_owned());
        }
        let unnamed = self.beneficiaries(&edge.path);
        for id in unnamed {
            if let Some(principal) = self.principal(id) {
                facts.push(format!("{} has subscribed to it", quoted(principal)));
            }
        }
        facts
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

/// `15 min`.
fn duration(seconds: u32) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", (seconds + 30) / 60),
        7_200..172_800 => format!("{} h", (seconds + 1_800) / 3_600),
        _ => format!("{} days", (seconds + 43_200) / 86_400),
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

fn whereabouts(principal: &Principal) -> String {
    let mut text = quoted(principal);
    if let Some(place) = principal.places.first() {
        let _ = write!(text, ", {} on port {}", show_mac(place.mac), place.port);
    }
    let addresses: Vec<String> = principal.addresses.iter().take(4).map(|addr| show_address(*addr)).collect();
    if !addresses.is_empty() {
        let _ = write!(text, ", {}", addresses.join(" "));
    }
    text
}
