//! What the kernel programs and user space share.
//!
//! A frame becomes fields ([`wire`]), the fields become keys of maps ([`abi`]), the entries found there become a
//! decision ([`precedence`]) and the decision becomes a verdict with a reason ([`reason`]). The same code runs in the
//! kernel and on the host, so everything here is `no_std`, without I/O, clock or allocation.

#![no_std]
#![forbid(unsafe_code)]

// From bytes to meaning.
pub mod hash;
pub mod wire;

// From meaning to verdict.
pub mod precedence;
pub mod reason;

// Across the kernel boundary.
pub mod abi;
