//! From rules to states and steps.
//!
//! A state stands for the set of places in the rules that a prefix can have reached (subset construction). The questions
//! differ in how a rule goes on: does it *match* a topic, does it *cover* all that a requested filter asks for, does it
//! *clash* with a requested filter, that is, share a topic with it.

use std::collections::{BTreeMap, BTreeSet};

use firewall_common::abi::RuleId;
use firewall_common::precedence::RuleState;

use super::{Automaton, Level, Pattern, State, Step, TooComplex, TopicRule, strongest, winner};
use crate::filter::Part;
use crate::learning::SET_WORDS;

/// What the automaton reads.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Request {
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
pub(super) enum Symbol<'a> {
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
pub(super) struct Line<'a> {
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

pub(super) fn match_lines(rules: &[TopicRule]) -> Vec<Line<'_>> {
    rules.iter().map(|rule| Line { parts: parts(&rule.pattern), question: Question::Match, rule }).collect()
}

pub(super) fn request_lines(rules: &[TopicRule]) -> Vec<Line<'_>> {
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

pub(super) fn parts(pattern: &Pattern) -> Vec<Symbol<'_>> {
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

pub(super) struct Compiler<'a> {
    pub(super) lines: Vec<Line<'a>>,
    pub(super) request: Request,
    pub(super) first: u32,
    pub(super) cap: usize,
}

impl Compiler<'_> {
    pub(super) fn run(&self) -> Result<Automaton, TooComplex> {
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
