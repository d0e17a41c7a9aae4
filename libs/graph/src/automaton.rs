//! Message rules: which one decides, and the automata over topic levels as which the kernel runs them.

use firewall_common::abi::RuleId;
use firewall_common::precedence::RuleState;

use crate::command::Topics;
use crate::edge::EdgeId;
use crate::filter::Filter;
use crate::learning::sets_something;
use crate::operation::{Name, Object, Operation, Registers, Route, Verb};

mod compiler;
mod runs;

use compiler::{Compiler, Line, Reads, Symbol, match_lines, parts, request_lines};

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
    /// One MQTT user name.
    User(String),
    AnyUser,
    /// A request of HTTP or CoAP.
    Request {
        verb: Verb,
        route: Route,
    },
    /// A request of Modbus.
    Registers {
        verb: Verb,
        registers: Registers,
    },
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
    /// Stands before a user name: `LEVEL_USER`.
    User,
}

/// States are numbered from the number that the caller gave; 0 is dead.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Automaton {
    /// Where to begin; 0 matches nothing.
    pub start: u32,
    pub steps: Vec<Step>,
    pub states: Vec<State>,
}

impl Automaton {
    /// The rule that decides if the object ends in this state; 0 is none.
    pub fn accept(&self, state: u32) -> RuleId {
        let first = self.states.first().map_or(0, |state| state.state);
        let at = state.checked_sub(first).and_then(|at| self.states.get(at as usize));
        at.filter(|found| found.state == state).map_or(RuleId::default(), |found| found.accept)
    }
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
    /// Where a level leads that no step names; at the start of MQTT rules, a level that begins with `$` leads nowhere.
    pub other: u32,
    /// The rule that decides if the object ends here; 0 is none.
    pub accept: RuleId,
}

/// The three automata of a transport.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Compiled {
    /// Over client ids and user names, or server names.
    pub connect: Automaton,
    /// Over topics, or requests.
    pub publish: Automaton,
    pub subscribe: Automaton,
}

/// The rules need more than [`STATES_CAP`] states.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("these message rules need more than {STATES_CAP} states")]
pub struct TooComplex;

impl Topics {
    /// Compiles all sets, with states numbered from `first_state`.
    ///
    /// A transport speaks MQTT or something else, never both: with rules for requests or server names there are no
    /// topics and client ids.
    pub fn compile(&self, first_state: u32) -> Result<Compiled, TooComplex> {
        let mut next = first_state;
        let mut compile = |lines: Vec<Line<'_>>, reads| {
            let left = STATES_CAP - (next - first_state) as usize;
            let automaton = Compiler { lines, reads, brief: &self.brief, first: next, cap: left }.run()?;
            next += automaton.states.len() as u32;
            Ok(automaton)
        };
        if self.speaks_mqtt() {
            Ok(Compiled {
                connect: compile(match_lines(&self.connect), Reads::Client)?,
                publish: compile(match_lines(&self.publish), Reads::Topic)?,
                subscribe: compile(request_lines(&self.subscribe), Reads::Filter)?,
            })
        } else {
            Ok(Compiled {
                connect: compile(match_lines(&self.names), Reads::Request)?,
                publish: compile(match_lines(&self.requests), Reads::Request)?,
                subscribe: Automaton::default(),
            })
        }
    }

    /// Whether the sets are for MQTT, as far as one can see.
    pub(crate) fn speaks_mqtt(&self) -> bool {
        self.requests.is_empty() && self.names.is_empty()
    }

    /// Whether all sets fit into [`STATES_CAP`].
    ///
    /// Without `+` there are at most four states for each level of a rule (the level, what follows a `#` after it, and
    /// both after a word that sets something), so most sets need not be compiled to know it.
    pub(crate) fn fit(&self) -> bool {
        let (mut levels, mut plus) = (3, false);
        let rules = self.connect.iter().chain(&self.publish).chain(&self.subscribe);
        for rule in rules.chain(&self.names).chain(&self.requests) {
            let symbols = parts(&rule.pattern);
            levels += symbols.len() + 2;
            plus |= match rule.pattern {
                Pattern::Filter(_) | Pattern::Sets(_) | Pattern::Request { .. } => {
                    symbols.contains(&Symbol::Plus)
                }
                Pattern::Registers { .. } => true,
                Pattern::Client(_) | Pattern::AnyClient | Pattern::User(_) | Pattern::AnyUser => false,
            };
        }
        (!plus && levels * 4 <= STATES_CAP) || self.compile(1).is_ok()
    }

    /// Adds the rule of an edge, or replaces it. `is_brief`: it ends by itself.
    pub(crate) fn add(&mut self, operation: &Operation, rule: RuleId, state: RuleState, is_brief: bool) {
        let Operation { verb, object } = operation;
        let (rules, pattern) = match object {
            Object::Client { id: Name::Exact(id), .. } => (&mut self.connect, Pattern::Client(id.clone())),
            Object::Client { id: Name::Any, .. } => (&mut self.connect, Pattern::AnyClient),
            Object::User { name: Name::Exact(name), .. } => (&mut self.connect, Pattern::User(name.clone())),
            Object::User { name: Name::Any, .. } => (&mut self.connect, Pattern::AnyUser),
            Object::Topic { filter, .. } => {
                let rules = if *verb == Verb::Subscribe { &mut self.subscribe } else { &mut self.publish };
                (rules, Pattern::Filter(filter.clone()))
            }
            Object::Http { route, .. } | Object::Coap { route, .. } => {
                (&mut self.requests, Pattern::Request { verb: *verb, route: route.clone() })
            }
            Object::Registers { registers, .. } => {
                (&mut self.requests, Pattern::Registers { verb: *verb, registers: registers.clone() })
            }
            Object::ServerName { name: Name::Exact(name), .. } => {
                (&mut self.names, Pattern::Client(name.clone()))
            }
            Object::ServerName { name: Name::Any, .. } => (&mut self.names, Pattern::AnyClient),
            Object::Port { .. } | Object::Speaks { .. } | Object::Ethertype(_) | Object::Domain(_) => return,
        };
        rules.retain(|known| known.rule != rule);
        rules.push(TopicRule { pattern, rule, state });
        if is_brief {
            self.brief.insert(rule);
        } else {
            self.brief.remove(&rule);
        }
    }

    /// Puts the client ids of the transport in the place of the level `%c`.
    ///
    /// They are those of the model, never what a CONNECT claims. An id that cannot be a level stands for nothing: `+`
    /// would open what belongs to others. A denial holds for every id.
    pub(crate) fn fill_client_ids(&mut self) {
        let ids: Vec<String> = self.connect.iter().filter_map(passing_id).map(str::to_owned).collect();
        for rules in [&mut self.publish, &mut self.subscribe] {
            let filled = rules.iter().flat_map(|rule| match rule.pattern.filter() {
                Some(filter) if filter.names_client() => {
                    let allows = matches!(rule.state, RuleState::Learned | RuleState::Allowed);
                    let any = (!allows).then(|| filter.of_any_client());
                    let each = ids.iter().filter(|_| allows).filter_map(|id| filter.of_client(id));
                    each.chain(any)
                        .map(|filter| TopicRule { pattern: Pattern::Filter(filter), ..rule.clone() })
                        .collect()
                }
                Some(_) | None => vec![rule.clone()],
            });
            *rules = filled.collect();
        }
    }

    /// Lets nothing be learned on paths that match this.
    pub(crate) fn guard(&mut self, patterns: impl Iterator<Item = Pattern>) {
        for pattern in patterns {
            let rules = match pattern {
                Pattern::Client(_) | Pattern::AnyClient | Pattern::User(_) | Pattern::AnyUser => {
                    &mut self.connect
                }
                Pattern::Filter(_) | Pattern::Sets(_) => &mut self.publish,
                Pattern::Request { .. } | Pattern::Registers { .. } => &mut self.requests,
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
                    (Pattern::AnyClient, Name::Exact(id)) => !id.starts_with('$'),
                    (Pattern::AnyClient, Name::Any) => true,
                    (Pattern::Client(known), Name::Exact(id)) => known == id,
                    (_, _) => false,
                };
                winner(&self.connect.iter().filter(matches).collect::<Vec<_>>())
            }
            (Object::User { name, .. }, _) => {
                let matches = |rule: &&TopicRule| match (&rule.pattern, name) {
                    (Pattern::AnyUser, _) => true,
                    (Pattern::User(known), Name::Exact(name)) => known == name,
                    (_, _) => false,
                };
                winner(&self.connect.iter().filter(matches).collect::<Vec<_>>())
            }
            (Object::ServerName { name, .. }, _) => {
                let matches = |rule: &&TopicRule| match (&rule.pattern, name) {
                    (Pattern::AnyClient, _) => true,
                    (Pattern::Client(known), Name::Exact(name)) => known == name,
                    (_, _) => false,
                };
                winner(&self.names.iter().filter(matches).collect::<Vec<_>>())
            }
            (Object::Http { route, .. } | Object::Coap { route, .. }, verb) => {
                let matches = |rule: &&TopicRule| {
                    matches!(&rule.pattern, Pattern::Request { verb: known, route: outer }
                        if *known == verb && outer.contains(route))
                };
                winner(&self.requests.iter().filter(matches).collect::<Vec<_>>())
            }
            (Object::Registers { registers, .. }, verb) => self.decisive_run(verb, registers),
            (Object::Topic { filter, .. }, Verb::Subscribe) => {
                let stands = |rule: &&TopicRule| {
                    let Some(known) = rule.pattern.filter() else { return false };
                    match rule.state {
                        RuleState::Learned | RuleState::Allowed => {
                            known.contains(filter)
                                || known.shared().is_some_and(|known| known.contains(filter))
                        }
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
                    Pattern::Client(_)
                    | Pattern::AnyClient
                    | Pattern::User(_)
                    | Pattern::AnyUser
                    | Pattern::Request { .. }
                    | Pattern::Registers { .. } => false,
                };
                winner(&self.publish.iter().filter(matches).collect::<Vec<_>>())
            }
            (Object::Port { .. } | Object::Speaks { .. } | Object::Ethertype(_) | Object::Domain(_), _) => {
                None
            }
        }
    }
}

/// The one client id that a rule lets connect.
fn passing_id(rule: &TopicRule) -> Option<&str> {
    match (&rule.pattern, rule.state) {
        (Pattern::Client(id), RuleState::Learned | RuleState::Allowed) => Some(id),
        (_, _) => None,
    }
}

impl Pattern {
    const fn filter(&self) -> Option<&Filter> {
        match self {
            Self::Filter(filter) => Some(filter),
            Self::Client(_)
            | Self::AnyClient
            | Self::Sets(_)
            | Self::User(_)
            | Self::AnyUser
            | Self::Request { .. }
            | Self::Registers { .. } => None,
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
        (Pattern::Client(_), Pattern::AnyClient) | (Pattern::User(_), Pattern::AnyUser) => true,
        (Pattern::Filter(inner), Pattern::Filter(outer)) => outer.contains(inner) && !inner.contains(outer),
        (Pattern::Request { route: inner, .. }, Pattern::Request { route: outer, .. }) => {
            outer.contains(inner) && !inner.contains(outer)
        }
        (Pattern::Registers { registers: inner, .. }, Pattern::Registers { registers: outer, .. }) => {
            outer.contains(inner) && !inner.contains(outer)
        }
        (_, _) => false,
    }
}

#[cfg(test)]
mod tests;
