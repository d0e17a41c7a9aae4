//! `edgeward run` and everything that talks to it.
//!
//! The command line ([`cli`]) reads the [`config`] and starts the [`daemon`]. The daemon loads the [`guard`], so that
//! nothing unjudged passes, opens the [`store`], loads the [`kernel`] programs and attaches them to the interfaces that
//! [`net`] finds. From then on one task owns the graph: bells of the kernel, requests on the socket and timers reach it
//! over bounded channels, it asks the graph, and carries out the graph's commands in their order. Every other command
//! is a client of the socket.

// From the command line and the configuration.
pub mod config;
pub mod duration;

// The box: interfaces, nftables, kernel programs, lists of the distribution.
pub mod automata;
pub mod clock;
pub mod guard;
pub mod kernel;
pub mod makers;
pub mod mdns;
pub mod net;
pub mod patience;

// What survives.
pub mod store;

// Who asks.
pub mod authority;
pub mod pairing;
pub mod pin;
pub mod slow;
pub mod socket;

// The loop.
pub mod daemon;

// The same reading, of captures.
pub mod replay;

// The command line.
pub mod cli;
