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
use crate::learning::{SET_WORDS, sets_something};
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
}

impl Topics {
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
                    (Pattern::AnyClient, _) => true,
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
    /// As a clash, but of a guard: weaker than what a person allowed.
    Doubt,
}

/// A part of a pattern as the compiler follows it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Symbol<'a> {
    Literal(&'a str),
    Plus,
    Hash,
    /// One level that is a word that sets something.
    Set,
    /// Any levels, the last of which is such a word.
    SetBelow,
}

impl<'a> From<Part<'a>> for Symbol<'a> {
    fn from(part: Part<'a>) -> Self {
        match part {
            Part::Literal(literal) => Self::Literal(literal),
            Part::Plus => Self::Plus,
            Part::Hash => Self::Hash,
        }
    }
}

/// A rule as the compiler follows it.
struct Line<'a> {
    parts: Vec<Symbol<'a>>,
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
            RuleState::Denied | RuleState::Banned | RuleState::Guarded => {
                let guards = rule.state == RuleState::Guarded;
                let question = if guards { Question::Doubt } else { Question::Clash };
                let shared = [Symbol::Literal("$share"), Symbol::Plus];
                let behind = shared.into_iter().chain(parts(&rule.pattern)).collect();
                lines.push(Line { parts: parts(&rule.pattern), question, rule });
                lines.push(Line { parts: behind, question, rule });
            }
            RuleState::Absent => {}
        }
    }
    lines
}

fn parts(pattern: &Pattern) -> Vec<Symbol<'_>> {
    match pattern {
        Pattern::Client(id) => vec![Symbol::Literal(id)],
        Pattern::AnyClient => vec![Symbol::Plus],
        Pattern::Filter(filter) => filter.parts().map(Symbol::from).collect(),
        Pattern::Sets(filter) => {
            let mut symbols: Vec<Symbol<'_>> = filter.parts().map(Symbol::from).collect();
            if let Some(last) = symbols.last_mut() {
                *last = if *last == Symbol::Hash { Symbol::SetBelow } else { Symbol::Set };
            }
            symbols
        }
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
        let mut literals = BTreeSet::new();
        for (line, position) in &places.at {
            match self.lines[*line].parts.get(*position) {
                Some(Symbol::Literal(literal)) => literals.extend([*literal]),
                Some(Symbol::Set | Symbol::SetBelow) => literals.extend(SET_WORDS),
                Some(Symbol::Plus | Symbol::Hash) | None => {}
            }
        }
        literals
    }

    fn advance(&self, places: &Places, input: Input<'_>) -> Places {
        let step = |&(line, position): &(usize, Position)| {
            let next = self.lines[line].advance(position, input, places.root);
            next.into_iter().flatten().map(move |position| (line, position))
        };
        Places { root: false, at: places.at.iter().flat_map(step).collect() }
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
            winner(&[ended(Question::Match), ended(Question::Cover), ended(Question::Doubt)].concat())
        } else {
            strongest(&clashes)
        };
        decisive.map_or(RuleId::default(), |rule| rule.rule)
    }
}

impl Line<'_> {
    /// Where a level leads; at most two places, where a word that sets something may be the last one or not.
    fn advance(&self, position: Position, input: Input<'_>, root: bool) -> [Option<Position>; 2] {
        if position == DONE {
            return [None; 2];
        }
        let reserved = |literal: &str| root && literal.starts_with('$');
        let clashes = matches!(self.question, Question::Clash | Question::Doubt);
        let (stay, next) = (Some(position), Some(position + 1));
        let one = |place: Option<Position>| [place, None];
        match (input, self.parts.get(position)) {
            (Input::Literal(level), Some(Symbol::Literal(literal))) => one(next.filter(|_| level == *literal)),
            (Input::Literal(level), Some(Symbol::Plus)) => one(next.filter(|_| !reserved(level))),
            (Input::Literal(level), Some(Symbol::Hash)) => one(stay.filter(|_| !reserved(level))),
            (Input::Literal(level), Some(Symbol::Set)) => one(next.filter(|_| SET_WORDS.contains(&level))),
            (Input::Literal(level), Some(Symbol::SetBelow)) => {
                [stay.filter(|_| !reserved(level)), next.filter(|_| SET_WORDS.contains(&level))]
            }
            (Input::Other | Input::Plus, Some(Symbol::Plus)) => one(next),
            (Input::Other | Input::Plus, Some(Symbol::Hash | Symbol::SetBelow)) => one(stay),
            (Input::Plus, Some(Symbol::Literal(literal))) => one(next.filter(|_| clashes && !reserved(literal))),
            (Input::Hash, Some(Symbol::Hash)) => one(Some(DONE)),
            (Input::Hash, Some(Symbol::Literal(literal))) => {
                one(Some(DONE).filter(|_| clashes && !reserved(literal)))
            }
            // `a/#` asks for `a` too.
            (Input::Hash, Some(Symbol::Plus) | None) => one(Some(DONE).filter(|_| clashes)),
            (Input::Other, Some(Symbol::Literal(_) | Symbol::Set) | None)
            | (Input::Literal(_) | Input::Plus, None)
            // Guards are not asked about requested filters.
            | (Input::Plus, Some(Symbol::Set))
            | (Input::Hash, Some(Symbol::Set | Symbol::SetBelow)) => [None; 2],
        }
    }

    fn ends(&self, position: Position) -> bool {
        position == DONE || position == self.parts.len() || self.parts.get(position) == Some(&Symbol::Hash)
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
