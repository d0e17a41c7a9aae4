//! Message rules as the kernel runs them: states and steps, written so that no message is judged by half a set.
//!
//! New states get numbers that were never used. They are written first, then the edge's start states, and only then the
//! old ones are removed: a message that is being judged finishes on the states on which it began.

use firewall_common::{
    abi::{HashKeyBytes, LEVEL_HASH, LEVEL_PLUS, LEVEL_USER, State, Step, StepKey},
    hash::hash,
};
use graph::{
    automaton::{Automaton, Compiled, Level},
    command::Topics,
};

use crate::kernel::{KernelError, Maps};

/// The start states of one edge and all that belongs to them.
#[derive(Clone, Debug, Default)]
pub struct Written {
    /// 0 matches nothing.
    pub publish: u32,
    pub subscribe: u32,
    pub connect: u32,
    states: Vec<u32>,
    steps: Vec<StepKey>,
}

/// Gives out state numbers.
#[derive(Debug)]
pub struct Automata {
    next: u32,
}

impl Automata {
    /// Begins after every number that the pinned maps still use.
    pub fn after(maps: &Maps) -> Result<Self, KernelError> {
        let last = maps.states.keys()?.into_iter().max().unwrap_or(0);
        Ok(Self { next: last + 1 })
    }

    /// Compiles and writes the message rules of one edge. `None`: they are too complex, nothing was written.
    pub fn write(
        &mut self,
        maps: &mut Maps,
        key: &HashKeyBytes,
        topics: &Topics,
    ) -> Result<Option<Written>, KernelError> {
        let Ok(compiled) = topics.compile(self.next) else { return Ok(None) };
        let Compiled { connect, publish, subscribe } = &compiled;
        let mut written = Written {
            publish: publish.start,
            subscribe: subscribe.start,
            connect: connect.start,
            ..Written::default()
        };
        for automaton in [connect, publish, subscribe] {
            if let Err(error) = write_one(maps, key, automaton, &mut written) {
                // Nothing refers to the new states yet, so a table that is full leaves the old ones in force.
                written.remove(maps)?;
                return Err(error);
            }
        }
        self.next = written.states.iter().max().map_or(self.next, |last| last + 1);
        Ok(Some(written))
    }
}

fn write_one(
    maps: &mut Maps,
    key: &HashKeyBytes,
    automaton: &Automaton,
    written: &mut Written,
) -> Result<(), KernelError> {
    for state in &automaton.states {
        written.states.push(state.state);
        maps.states.put(&state.state, &State { other: state.other, accept: state.accept })?;
    }
    for step in &automaton.steps {
        let level = match &step.level {
            Level::Literal(text) => hash(text.as_bytes(), &key.0),
            Level::Plus => LEVEL_PLUS,
            Level::Hash => LEVEL_HASH,
            Level::User => LEVEL_USER,
        };
        let step_key = StepKey { level, state: step.state, _pad: 0 };
        written.steps.push(step_key);
        maps.automaton.put(&step_key, &Step { next: step.next, accept: automaton.accept(step.next) })?;
    }
    Ok(())
}

impl Written {
    /// Removes all of it from the kernel.
    pub fn remove(&self, maps: &mut Maps) -> Result<(), KernelError> {
        for step in &self.steps {
            maps.automaton.remove(step)?;
        }
        for state in &self.states {
            maps.states.remove(state)?;
        }
        Ok(())
    }

    /// The numbers of its states.
    pub fn states(&self) -> &[u32] {
        &self.states
    }

    /// The keys of its steps.
    pub fn steps(&self) -> &[StepKey] {
        &self.steps
    }
}
