//! Compiles message rules to automata over topic levels, as the kernel runs them.
//!
//! A state stands for the set of places in the rules that a prefix can have reached (subset construction). Three
//! questions differ in how a rule goes on: does it *match* a topic, does it *cover* all that a requested filter asks
//! for, does it *clash* with a requested filter, that is, share a topic with it.

use std::collections::{BTreeMap, BTreeSet};

use firewall_common::abi::RuleId;
use firewall_common::precedence::RuleState;

use crate::command::Topics;
use crate::edge::EdgeId;
use crate::filter::{Filter, Part};
use crate::operation::{Client, Object, Operation, Verb};

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
}

impl Topics {
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
                Pattern::Filter(_) => &mut self.publish,
            };
            rules.push(TopicRule { pattern, rule: EdgeId::GUARD, state: RuleState::Guarded });
        }
    }

    /// The rule that decides about a message, as the automata would say.
    pub(crate) fn decisive(&self, operation: &Operation) -> Option<&TopicRule> {
        match (&operation.object, operation.verb) {
            (Object::Client { id, .. }, _) => {
                let matches = |rule: &&TopicRule| match (&rule.pattern, id) {
                    (Pattern::AnyClient, _) => true,
                    (Pattern::Client(known), Client::Exact(id)) => known == id,
                    (Pattern::Client(_), Client::Any) | (Pattern::Filter(_), _) => false,
                };
                winner(&self.connect.iter().filter(matches).collect::<Vec<_>>())
            }
            (Object::Topic { filter, .. }, Verb::Subscribe) => {
                let denies = |rule: &TopicRule| matches!(rule.state, RuleState::Denied | RuleState::Banned);
                let clashes = |rule: &&TopicRule| {
                    let shares =
                        |denied: &Filter| denied.overlaps(filter) || denied.behind_share().overlaps(filter);
                    denies(rule) && rule.pattern.filter().is_some_and(shares)
                };
                let covers = |rule: &&TopicRule| {
                    !denies(rule) && rule.pattern.filter().is_some_and(|known| known.contains(filter))
                };
                strongest(&self.subscribe.iter().filter(clashes).collect::<Vec<_>>())
                    .or_else(|| winner(&self.subscribe.iter().filter(covers).collect::<Vec<_>>()))
            }
            (Object::Topic { filter, .. }, _) => {
                let matches =
                    |rule: &&TopicRule| rule.pattern.filter().is_some_and(|known| known.contains(filter));
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
            Self::Client(_) | Self::AnyClient => None,
        }
    }
}

/// What the automaton reads.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Request {
    Topic,
    Filter,
}

/// The question that a rule answers.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Question {
    Match,
    Cover,
    Clash,
}

/// A rule as the compiler follows it.
struct Line<'a> {
    parts: Vec<Part<'a>>,
    question: Question,
    rule: &'a TopicRule,
}

/// How far a line has come: an index into its parts, or [`DONE`].
type Position = usize;

/// The requested filter ended with `#` and the question is answered with yes.
const DONE: Position = usize::MAX;

/// Where a prefix can have come to. The start has wildcards that do not match `$`, so it is never the same state as a
/// later one.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Places {
    root: bool,
    at: BTreeSet<(usize, Position)>,
}

#[derive(Clone, Copy)]
enum Input<'a> {
    Literal(&'a str),
    /// A level that no rule names here.
    Other,
    Plus,
    Hash,
}

fn match_lines(rules: &[TopicRule]) -> Vec<Line<'_>> {
    rules.iter().map(|rule| Line { parts: parts(&rule.pattern), question: Question::Match, rule }).collect()
}

fn request_lines(rules: &[TopicRule]) -> Vec<Line<'_>> {
    let mut lines = Vec::new();
    for rule in rules {
        match rule.state {
            RuleState::Learned | RuleState::Allowed => {
                lines.push(Line { parts: parts(&rule.pattern), question: Question::Cover, rule });
            }
            // A shared subscription asks for the topics behind `$share/group/`.
            RuleState::Denied | RuleState::Banned => {
                let shared = [Part::Literal("$share"), Part::Plus];
                let behind = shared.into_iter().chain(parts(&rule.pattern)).collect();
                lines.push(Line { parts: parts(&rule.pattern), question: Question::Clash, rule });
                lines.push(Line { parts: behind, question: Question::Clash, rule });
            }
            RuleState::Absent | RuleState::Guarded => {}
        }
    }
    lines
}

fn parts(pattern: &Pattern) -> Vec<Part<'_>> {
    match pattern {
        Pattern::Client(id) => vec![Part::Literal(id)],
        Pattern::AnyClient => vec![Part::Plus],
        Pattern::Filter(filter) => filter.parts().collect(),
    }
}

struct Compiler<'a> {
    lines: Vec<Line<'a>>,
    request: Request,
    first: u32,
    cap: usize,
}

impl Compiler<'_> {
    fn run(&self) -> Result<Automaton, TooComplex> {
        if self.lines.is_empty() {
            return Ok(Automaton::default());
        }
        let start = Places { root: true, at: (0..self.lines.len()).map(|line| (line, 0)).collect() };
        let mut numbers =
            Numbers { first: self.first, cap: self.cap, known: BTreeMap::new(), queue: Vec::new() };
        let mut automaton = Automaton { start: numbers.of(start)?, ..Automaton::default() };
        let mut done = 0;
        while let Some(places) = numbers.queue.get(done).cloned() {
            let state = self.first + done as u32;
            done += 1;
            let other = numbers.of(self.advance(&places, Input::Other))?;
            for literal in self.literals(&places) {
                let next = numbers.of(self.advance(&places, Input::Literal(literal)))?;
                let as_other = if places.root && literal.starts_with('$') { 0 } else { other };
                if next != as_other {
                    automaton.steps.push(Step { state, level: Level::Literal(literal.to_owned()), next });
                }
            }
            if self.request == Request::Filter {
                for (input, level) in [(Input::Plus, Level::Plus), (Input::Hash, Level::Hash)] {
                    let next = numbers.of(self.advance(&places, input))?;
                    if next != other {
                        automaton.steps.push(Step { state, level, next });
                    }
                }
            }
            automaton.states.push(State { state, other, accept: self.accept(&places) });
        }
        Ok(automaton)
    }

    fn literals(&self, places: &Places) -> BTreeSet<&str> {
        let literal = |&(line, position): &(usize, Position)| match self.lines[line].parts.get(position) {
            Some(Part::Literal(literal)) => Some(*literal),
            Some(Part::Plus | Part::Hash) | None => None,
        };
        places.at.iter().filter_map(literal).collect()
    }

    fn advance(&self, places: &Places, input: Input<'_>) -> Places {
        let step = |&(line, position): &(usize, Position)| {
            self.lines[line].advance(position, input, places.root).map(|position| (line, position))
        };
        Places { root: false, at: places.at.iter().filter_map(step).collect() }
    }

    /// The rule that decides about what ends here.
    fn accept(&self, places: &Places) -> RuleId {
        let ended = |question: Question| {
            let lines = places.at.iter().filter(|(line, position)| self.lines[*line].ends(*position));
            let rules =
                lines.map(|(line, _)| &self.lines[*line]).filter(move |line| line.question == question);
            rules.map(|line| line.rule).collect::<Vec<_>>()
        };
        if places.root {
            return RuleId::default();
        }
        let clashes = ended(Question::Clash);
        let decisive = if clashes.is_empty() {
            winner(&[ended(Question::Match), ended(Question::Cover)].concat())
        } else {
            strongest(&clashes)
        };
        decisive.map_or(RuleId::default(), |rule| rule.rule)
    }
}

impl Line<'_> {
    fn advance(&self, position: Position, input: Input<'_>, root: bool) -> Option<Position> {
        if position == DONE {
            return None;
        }
        let reserved = |literal: &str| root && literal.starts_with('$');
        let part = self.parts.get(position);
        match (input, part) {
            (Input::Literal(level), Some(Part::Literal(literal))) => {
                (level == *literal).then_some(position + 1)
            }
            (Input::Literal(level), Some(Part::Plus)) => (!reserved(level)).then_some(position + 1),
            (Input::Literal(level), Some(Part::Hash)) => (!reserved(level)).then_some(position),
            (Input::Other | Input::Plus, Some(Part::Plus)) => Some(position + 1),
            (Input::Other | Input::Plus, Some(Part::Hash)) => Some(position),
            (Input::Plus, Some(Part::Literal(literal))) => {
                (self.question == Question::Clash && !reserved(literal)).then_some(position + 1)
            }
            (Input::Hash, Some(Part::Hash)) => Some(DONE),
            (Input::Hash, Some(Part::Literal(literal))) => {
                (self.question == Question::Clash && !reserved(literal)).then_some(DONE)
            }
            // `a/#` asks for `a` too.
            (Input::Hash, Some(Part::Plus) | None) => (self.question == Question::Clash).then_some(DONE),
            (Input::Other, Some(Part::Literal(_)) | None) | (Input::Literal(_) | Input::Plus, None) => None,
        }
    }

    fn ends(&self, position: Position) -> bool {
        position == DONE || position == self.parts.len() || self.parts.get(position) == Some(&Part::Hash)
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
        (Pattern::Client(_) | Pattern::AnyClient | Pattern::Filter(_), _) => false,
    }
}

/// Gives each set of places its number.
struct Numbers {
    first: u32,
    cap: usize,
    known: BTreeMap<Places, u32>,
    queue: Vec<Places>,
}

impl Numbers {
    fn of(&mut self, places: Places) -> Result<u32, TooComplex> {
        if places.at.is_empty() {
            return Ok(0);
        }
        if let Some(number) = self.known.get(&places) {
            return Ok(*number);
        }
        if self.queue.len() == self.cap {
            return Err(TooComplex);
        }
        let number = self.first + self.queue.len() as u32;
        self.queue.push(places.clone());
        self.known.insert(places, number);
        Ok(number)
    }
}

#[cfg(test)]
mod tests;
