//! The graph of who talks to whom, without I/O and without a clock.
//!
//! Facts arrive (`Graph::handle_…`): a sender nobody knows, an edge that the kernel does not hold, an address, a point
//! in time. A sender becomes a [`principal`], what it does becomes an [`operation`] and with it an [`edge`]. While its
//! source learns, an edge becomes part of the model ([`learning`]); otherwise it is pending, and people decide about it
//! ([`decision`]), helped by [`explain`]. Who wins is not decided here but in `firewall_common::precedence`, which the
//! kernel reads too.
//!
//! What follows from facts, decisions and time leaves as [`command`]s, in the order in which they must be done: map
//! writes for the kernel (message rules are compiled by [`automaton`]), [`record`]s and entries of the [`ledger`] for the
//! disk, events for whoever watches. The caller passes the time in, executes commands, and asks when to come back
//! ([`Graph::poll_timeout`]).
//!
//! Everything from the wire is written by an attacker: names and objects are cut and checked, every collection has a cap
//! per source, and what is over a cap is counted.

#![forbid(unsafe_code)]

// The vertices and what lies between them.
pub mod edge;
pub mod filter;
pub mod host;
pub mod inventory;
pub mod jobs;
pub mod operation;
pub mod principal;

// What changes them.
pub mod ban;
pub mod decision;
pub mod explain;
pub mod learning;
pub mod review;
pub mod usual;
pub mod watch;

// What leaves.
pub mod automaton;
pub mod command;
pub mod ledger;
pub mod record;

// The whole.
pub mod coverage;
pub mod exchange;
pub mod graph;
pub mod mud;
pub mod picture;
pub mod settings;
pub mod time;

mod serial;
mod table;

pub use command::Command;
pub use graph::{Fact, Graph};
pub use settings::Settings;
pub use time::Now;
