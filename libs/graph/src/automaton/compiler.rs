//! From rules to states and steps.
//!
//! A state stands for the set of places in the rules that a prefix can have reached (subset construction). The questions
//! differ in how a rule goes on: does it *match* a topic, does it *cover* all that a requested filter asks for, does it
//! *clash* with a requested filter, that is, share a topic with it.

use std::collections::{BTreeMap, BTreeSet};

use firewall_common::abi::RuleId;
use firewall_common::precedence::RuleState;

use super::runs::{Run, runs};
use super::{Automaton, Level, Pattern, State, Step, TooComplex, TopicRule, strongest, winner};
use crate::filter::Part;
use crate::learning::SET_WORDS;

/// What the automaton reads.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Reads {
    Client,
    Topic,
    Filter,
    /// What is no MQTT: `$` means nothing.
    Request,
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
    /// What stands before a user name.
    User,
    /// An address, as four levels of one hexadecimal digit each.
    Address,
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

/// Where a prefix can have come to.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Places {
    /// The start has wildcards that do not match `$`, so it is never the same state as a later one.
    Lines { root: bool, at: BTreeSet<(usize, Position)> },
    /// Addresses that begin with the digits read so far, of which `first` is the smallest; they belong to several runs.
    Block { table: usize, depth: u32, first: u32 },
    /// All addresses that begin so belong to this run.
    Inside { table: usize, run: usize, depth: u32 },
}

/// Hexadecimal digits of an address.
const DIGITS: u32 = 4;
const NIBBLES: [&str; 16] = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "a", "b", "c", "d", "e", "f"];

#[derive(Clone, Copy)]
enum Input<'a> {
    Literal(&'a str),
    /// A level that no rule names here.
    Other,
    Plus,
    Hash,
    User,
}

pub(super) fn match_lines(rules: &[TopicRule]) -> Vec<Line<'_>> {
    rules.iter().map(|rule| Line { parts: parts(&rule.pattern), question: Question::Match, rule }).collect()
}

pub(super) fn request_lines(rules: &[TopicRule]) -> Vec<Line<'_>> {
    let mut lines = Vec::new();
    for rule in rules {
        match rule.state {
            RuleState::Learned | RuleState::Allowed => {
                let whole = parts(&rule.pattern);
                // What a shared subscription brings comes under its own topic, and that is what delivery is judged by.
                if let [Symbol::Literal("$share"), _, behind @ ..] = whole.as_slice()
                    && !behind.is_empty()
                {
                    lines.push(Line { parts: behind.to_vec(), question: Question::Cover, rule });
                }
                lines.push(Line { parts: whole, question: Question::Cover, rule });
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
        Pattern::User(name) => vec![Symbol::User, Symbol::Literal(name)],
        Pattern::AnyUser => vec![Symbol::User, Symbol::Plus],
        Pattern::Request { verb, route } => {
            let verb = Symbol::Literal(verb.as_str());
            std::iter::once(verb).chain(route.parts().map(Symbol::from)).collect()
        }
        Pattern::Registers { verb, registers } => {
            let unit = registers.unit().map_or(Symbol::Plus, Symbol::Literal);
            vec![Symbol::Literal(verb.as_str()), unit, Symbol::Literal(registers.area()), Symbol::Address]
        }
    }
}

pub(super) struct Compiler<'a> {
    pub(super) lines: Vec<Line<'a>>,
    pub(super) reads: Reads,
    /// Rules that end by themselves.
    pub(super) brief: &'a BTreeSet<RuleId>,
    pub(super) first: u32,
    pub(super) cap: usize,
}

impl Compiler<'_> {
    pub(super) fn run(&self) -> Result<Automaton, TooComplex> {
        if self.lines.is_empty() {
            return Ok(Automaton::default());
        }
        let start = Places::Lines { root: true, at: (0..self.lines.len()).map(|line| (line, 0)).collect() };
        let mut numbers = Numbers {
            first: self.first,
            cap: self.cap,
            known: BTreeMap::new(),
            queue: Vec::new(),
            tables: Vec::new(),
        };
        let mut automaton = Automaton { start: numbers.of(start)?, ..Automaton::default() };
        let mut done = 0;
        while let Some(places) = numbers.queue.get(done).cloned() {
            let state = self.first + done as u32;
            done += 1;
            let mut steps = Vec::new();
            let other = match &places {
                Places::Lines { root, at } => self.follow(*root, at, &mut numbers, &mut steps)?,
                Places::Block { table, depth, first } => numbers.split(*table, *depth, *first, &mut steps)?,
                Places::Inside { depth: DIGITS, .. } => 0,
                Places::Inside { table, run, depth } => {
                    numbers.of(Places::Inside { table: *table, run: *run, depth: depth + 1 })?
                }
            };
            automaton.steps.extend(steps.into_iter().map(|(level, next)| Step { state, level, next }));
            automaton.states.push(State { state, other, accept: self.accept(&places, &numbers) });
        }
        Ok(automaton)
    }

    /// The steps from a set of places, and where every other level leads.
    fn follow(
        &self,
        root: bool,
        at: &BTreeSet<(usize, Position)>,
        numbers: &mut Numbers,
        steps: &mut Vec<(Level, u32)>,
    ) -> Result<u32, TooComplex> {
        let mut next = |input| {
            let places = self.advance(root, at, input, &mut numbers.tables);
            numbers.of(places)
        };
        let other = next(Input::Other)?;
        for literal in self.literals(at) {
            let next = next(Input::Literal(literal))?;
            let as_other = if self.reserved(root, literal) { 0 } else { other };
            if next != as_other {
                steps.push((Level::Literal(literal.to_owned()), next));
            }
        }
        let special: &[(Input<'_>, Level)] = match self.reads {
            Reads::Filter => &[(Input::Plus, Level::Plus), (Input::Hash, Level::Hash)],
            Reads::Client if root => &[(Input::User, Level::User)],
            Reads::Client | Reads::Topic | Reads::Request => &[],
        };
        for (input, level) in special {
            let next = next(*input)?;
            if next != other {
                steps.push((level.clone(), next));
            }
        }
        Ok(other)
    }

    /// Whether wildcards do not match this first level.
    fn reserved(&self, root: bool, literal: &str) -> bool {
        root && self.reads != Reads::Request && literal.starts_with('$')
    }

    fn literals(&self, at: &BTreeSet<(usize, Position)>) -> BTreeSet<&str> {
        let mut literals = BTreeSet::new();
        for (line, position) in at {
            match self.lines[*line].parts.get(*position) {
                Some(Symbol::Literal(literal)) => literals.extend([*literal]),
                Some(Symbol::Set | Symbol::SetBelow) => literals.extend(SET_WORDS),
                Some(Symbol::Plus | Symbol::Hash | Symbol::User | Symbol::Address) | None => {}
            }
        }
        literals
    }

    fn advance(
        &self,
        root: bool,
        at: &BTreeSet<(usize, Position)>,
        input: Input<'_>,
        tables: &mut Vec<Table>,
    ) -> Places {
        let dollar = root && self.reads != Reads::Request;
        let step = |&(line, position): &(usize, Position)| {
            let next = self.lines[line].advance(position, input, dollar);
            next.into_iter().flatten().map(move |position| (line, position))
        };
        let at: BTreeSet<(usize, Position)> = at.iter().flat_map(step).collect();
        let is_address = |(line, position): &&(usize, Position)| {
            self.lines[*line].parts.get(*position) == Some(&Symbol::Address)
        };
        let lines: BTreeSet<usize> = at.iter().filter(is_address).map(|(line, _)| *line).collect();
        if lines.is_empty() {
            return Places::Lines { root: false, at };
        }
        let table = tables.iter().position(|table| table.lines == lines).unwrap_or_else(|| {
            let rules: Vec<&TopicRule> = lines.iter().map(|line| self.lines[*line].rule).collect();
            let runs = runs(&rules, |rule| self.brief.contains(&rule.rule));
            tables.push(Table { lines, runs });
            tables.len() - 1
        });
        Places::Block { table, depth: 0, first: 0 }
    }

    /// The rule that decides about what ends here.
    fn accept(&self, places: &Places, numbers: &Numbers) -> RuleId {
        let at = match places {
            Places::Lines { root: false, at } => at,
            Places::Inside { table, run, depth: 0 | DIGITS } => {
                return numbers.tables[*table].runs[*run].rule;
            }
            Places::Lines { root: true, .. } | Places::Block { .. } | Places::Inside { .. } => {
                return RuleId::default();
            }
        };
        let ended = |question: Question| {
            let lines = at.iter().filter(|(line, position)| self.lines[*line].ends(*position));
            let rules =
                lines.map(|(line, _)| &self.lines[*line]).filter(move |line| line.question == question);
            rules.map(|line| line.rule).collect::<Vec<_>>()
        };
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
    fn advance(&self, position: Position, input: Input<'_>, dollar: bool) -> [Option<Position>; 2] {
        if position == DONE {
            return [None; 2];
        }
        let reserved = |literal: &str| dollar && literal.starts_with('$');
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
            (Input::Other | Input::Plus, Some(Symbol::Plus)) | (Input::User, Some(Symbol::User)) => one(next),
            (Input::Other | Input::Plus, Some(Symbol::Hash | Symbol::SetBelow)) => one(stay),
            (Input::Plus, Some(Symbol::Literal(literal))) => one(next.filter(|_| clashes && !reserved(literal))),
            (Input::Hash, Some(Symbol::Hash)) => one(Some(DONE)),
            (Input::Hash, Some(Symbol::Literal(literal))) => {
                one(Some(DONE).filter(|_| clashes && !reserved(literal)))
            }
            // `a/#` asks for `a` too.
            (Input::Hash, Some(Symbol::Plus) | None) => one(Some(DONE).filter(|_| clashes)),
            (Input::User, _)
            | (_, Some(Symbol::User | Symbol::Address))
            | (Input::Other, Some(Symbol::Literal(_) | Symbol::Set) | None)
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

/// Rules that are about the same unit and area, and their runs.
struct Table {
    lines: BTreeSet<usize>,
    runs: Vec<Run>,
}

/// Gives each set of places its number.
struct Numbers {
    first: u32,
    cap: usize,
    known: BTreeMap<Places, u32>,
    queue: Vec<Places>,
    tables: Vec<Table>,
}

impl Numbers {
    fn of(&mut self, places: Places) -> Result<u32, TooComplex> {
        let places = self.settled(places);
        let is_dead = match &places {
            Places::Lines { at, .. } => at.is_empty(),
            Places::Inside { table, run, .. } => self.tables[*table].runs[*run].rule == RuleId::default(),
            Places::Block { .. } => false,
        };
        if is_dead {
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

    /// A block in one run is inside of it.
    fn settled(&self, places: Places) -> Places {
        let Places::Block { table, depth, first } = places else { return places };
        let last = first + width(depth) - 1;
        let runs = &self.tables[table].runs;
        let run = runs.iter().position(|run| u32::from(run.first) <= first && last <= u32::from(run.last));
        run.map_or(places, |run| Places::Inside { table, run, depth })
    }

    /// The sixteen parts of a block; where most of them lead is left to every other level.
    fn split(
        &mut self,
        table: usize,
        depth: u32,
        first: u32,
        steps: &mut Vec<(Level, u32)>,
    ) -> Result<u32, TooComplex> {
        let mut nexts = [0; 16];
        for (part, next) in (0..).zip(&mut nexts) {
            let first = first + part * width(depth + 1);
            *next = self.of(Places::Block { table, depth: depth + 1, first })?;
        }
        let count = |next: u32| nexts.iter().filter(|other| **other == next).count();
        let other = nexts.into_iter().max_by_key(|next| count(*next)).unwrap_or(0);
        for (nibble, next) in NIBBLES.into_iter().zip(nexts) {
            if next != other {
                steps.push((Level::Literal(nibble.to_owned()), next));
            }
        }
        Ok(other)
    }
}

/// How many addresses begin with the same digits.
const fn width(depth: u32) -> u32 {
    1 << (4 * (DIGITS - depth))
}
