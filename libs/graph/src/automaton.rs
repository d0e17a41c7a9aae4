//! Message rules: which one decides, and the automata over topic levels as which the kernel runs them.

use firewall_common::abi::RuleId;
use firewall_common::precedence::RuleState;

use crate::command::Topics;
use crate::edge::EdgeId;
use crate::filter::Filter;
use crate::learning::sets_something;
use crate::operation::{Client, Object, Operation, Verb};

mod compiler;

use compiler::{Compiler, Line, Request, Symbol, match_lines, parts, request_lines};

/// Most states of the automata of one transport.
pub const STATES_CAP: usize = 1_024;

/// A message rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicRule {
    pub pattern: Pattern,
    pub rule: RuleId,
    pub state: RuleState,
}

/// What a message rule is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pattern {
    /// One client id; not split at slashes.
    Client(String),
    AnyClient,
    Filter(Filter),
    /// Topics that the filter's last wildcard matches and that end with a word that sets something.
    Sets(Filter),
}

/// What leads from one state to the next.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// `AUTOMATON` is keyed by its hash.
    Literal(String),
    /// The level `+` of a SUBSCRIBE filter: `LEVEL_PLUS`.
    Plus,
    /// The level `#` of a SUBSCRIBE filter: `LEVEL_HASH`.
    Hash,
}

/// States are numbered from the number that the caller gave; 0 is dead.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Automaton {
    /// Where to begin; 0 matches nothing.
    pub start: u32,
    pub steps: Vec<Step>,
    pub states: Vec<State>,
}

/// An entry of `AUTOMATON`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    pub state: u32,
    pub level: Level,
    /// 0 is dead: written too, as it is stronger than `other`.
    pub next: u32,
}

/// An entry of `STATES`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct State {
    pub state: u32,
    /// Where a level leads that no step names; at the start, a level that begins with `$` leads nowhere.
    pub other: u32,
    /// The rule that decides if the object ends here; 0 is none.
    pub accept: RuleId,
}

/// The three automata of a transport.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Compiled {
    pub connect: Automaton,
    pub publish: Automaton,
    pub subscribe: Automaton,
}

/// The rules need more than [`STATES_CAP`] states.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("these message rules need more than {STATES_CAP} states")]
pub struct TooComplex;

impl Topics {
    /// Compiles all three sets, with states numbered from `first_state`.
    pub fn compile(&self, first_state: u32) -> Result<Compiled, TooComplex> {
        let mut next = first_state;
        let mut compile = |lines: Vec<Line<'_>>, request| {
            let left = STATES_CAP - (next - first_state) as usize;
            let automaton = Compiler { lines, request, first: next, cap: left }.run()?;
            next += automaton.states.len() as u32;
            Ok(automaton)
        };
        Ok(Compiled {
            connect: compile(match_lines(&self.connect), Request::Topic)?,
            publish: compile(match_lines(&self.publish), Request::Topic)?,
            subscribe: compile(request_lines(&self.subscribe), Request::Filter)?,
        })
    }

    /// Whether all three sets fit into [`STATES_CAP`].
    ///
    /// Without `+` there are at most four states for each level of a rule (the level, what follows a `#` after it, and
    /// both after a word that sets something), so most sets need not be compiled to know it.
    pub(crate) fn fit(&self) -> bool {
        let (mut levels, mut plus) = (3, false);
        for rule in self.connect.iter().chain(&self.publish).chain(&self.subscribe) {
            let symbols = parts(&rule.pattern);
            levels += symbols.len() + 2;
            plus |= matches!(rule.pattern, Pattern::Filter(_) | Pattern::Sets(_))
                && symbols.contains(&Symbol::Plus);
        }
        (!plus && levels * 4 <= STATES_CAP) || self.compile(1).is_ok()
    }

    /// Adds the rule of an edge, or replaces it.
    pub(crate) fn add(&mut self, operation: &Operation, rule: RuleId, state: RuleState) {
        let (rules, pattern) = match (&operation.object, operation.verb) {
            (Object::Client { id: Client::Exact(id), .. }, _) => {
                (&mut self.connect, Pattern::Client(id.clone()))
            }
            (Object::Client { id: Client::Any, .. }, _) => (&mut self.connect, Pattern::AnyClient),
            (Object::Topic { filter, .. }, Verb::Subscribe) => {
                (&mut self.subscribe, Pattern::Filter(filter.clone()))
            }
            (Object::Topic { filter, .. }, _) => (&mut self.publish, Pattern::Filter(filter.clone())),
            (Object::Port { .. } | Object::Ethertype(_), _) => return,
        };
        rules.retain(|known| known.rule != rule);
        rules.push(TopicRule { pattern, rule, state });
    }

    /// Lets nothing be learned on paths that match this.
    pub(crate) fn guard(&mut self, patterns: impl Iterator<Item = Pattern>) {
        for pattern in patterns {
            let rules = match pattern {
                Pattern::Client(_) | Pattern::AnyClient => &mut self.connect,
                Pattern::Filter(_) | Pattern::Sets(_) => &mut self.publish,
            };
            rules.push(TopicRule { pattern, rule: EdgeId::GUARD, state: RuleState::Guarded });
        }
    }

    /// The rule that decides about a message, as the automata would say.
    pub(crate) fn decisive(&self, operation: &Operation) -> Option<&TopicRule> {
        match (&operation.object, operation.verb) {
            (Object::Client { id, .. }, _) => {
                let matches = |rule: &&TopicRule| match (&rule.pattern, id) {
                    // The kernel takes no wildcard for what begins with `$`.
                    (Pattern::AnyClient, Client::Exact(id)) => !id.starts_with('$'),
                    (Pattern::AnyClient, Client::Any) => true,
                    (Pattern::Client(known), Client::Exact(id)) => known == id,
                    (Pattern::Client(_), Client::Any) | (Pattern::Filter(_) | Pattern::Sets(_), _) => false,
                };
                winner(&self.connect.iter().filter(matches).collect::<Vec<_>>())
            }
            (Object::Topic { filter, .. }, Verb::Subscribe) => {
                let stands = |rule: &&TopicRule| {
                    let Some(known) = rule.pattern.filter() else { return false };
                    match rule.state {
                        RuleState::Learned | RuleState::Allowed => known.contains(filter),
                        RuleState::Denied | RuleState::Banned | RuleState::Guarded => {
                            known.overlaps(filter) || known.behind_share().overlaps(filter)
                        }
                        RuleState::Absent => false,
                    }
                };
                let standing: Vec<&TopicRule> = self.subscribe.iter().filter(stands).collect();
                let denies = |rule: &&&TopicRule| matches!(rule.state, RuleState::Denied | RuleState::Banned);
                let clashes: Vec<&TopicRule> = standing.iter().filter(denies).copied().collect();
                strongest(&clashes).or_else(|| winner(&standing))
            }
            (Object::Topic { filter, .. }, _) => {
                let matches = |rule: &&TopicRule| match &rule.pattern {
                    Pattern::Filter(known) => known.contains(filter),
                    Pattern::Sets(known) => known.contains(filter) && sets_something(known, filter),
                    Pattern::Client(_) | Pattern::AnyClient => false,
                };
                winner(&self.publish.iter().filter(matches).collect::<Vec<_>>())
            }
            (Object::Port { .. } | Object::Ethertype(_), _) => None,
        }
    }
}

impl Pattern {
    const fn filter(&self) -> Option<&Filter> {
        match self {
            Self::Filter(filter) => Some(filter),
            Self::Client(_) | Self::AnyClient | Self::Sets(_) => None,
        }
    }
}

/// Who wins among the rules that match the same thing: what a person said beats a guard, a guard beats what was
/// learned, the more specific beats the less specific, and a tie denies.
fn winner<'a>(rules: &[&'a TopicRule]) -> Option<&'a TopicRule> {
    let guard = rules.iter().find(|rule| rule.state == RuleState::Guarded);
    let candidates: Vec<&TopicRule> = rules
        .iter()
        .filter(|rule| match rule.state {
            RuleState::Allowed | RuleState::Denied | RuleState::Banned => true,
            RuleState::Learned => guard.is_none(),
            RuleState::Absent | RuleState::Guarded => false,
        })
        .copied()
        .collect();
    let specific: Vec<&TopicRule> = candidates
        .iter()
        .filter(|rule| !candidates.iter().any(|other| more_specific(&other.pattern, &rule.pattern)))
        .copied()
        .collect();
    strongest(&specific).or(guard.copied())
}

/// Ban, deny, allow, learned; the oldest among equals.
fn strongest<'a>(rules: &[&'a TopicRule]) -> Option<&'a TopicRule> {
    let weight = |rule: &TopicRule| match rule.state {
        RuleState::Banned => 0,
        RuleState::Denied => 1,
        RuleState::Allowed => 2,
        RuleState::Learned => 3,
        RuleState::Guarded => 4,
        RuleState::Absent => 5,
    };
    rules.iter().min_by_key(|rule| (weight(rule), rule.rule)).copied()
}

fn more_specific(inner: &Pattern, outer: &Pattern) -> bool {
    match (inner, outer) {
        (Pattern::Client(_), Pattern::AnyClient) => true,
        (Pattern::Filter(inner), Pattern::Filter(outer)) => outer.contains(inner) && !inner.contains(outer),
        (Pattern::Client(_) | Pattern::AnyClient | Pattern::Filter(_) | Pattern::Sets(_), _) => false,
    }
}

#[cfg(test)]
mod tests;
