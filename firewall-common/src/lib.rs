//! What the kernel programs and user space share.
//!
//! A frame becomes fields ([`wire`]), the fields become keys of maps ([`abi`]), the entries found there become a
//! decision ([`precedence`]) and the decision becomes a verdict with a reason ([`reason`]). The same code runs in the
//! kernel and on the host, so everything here is `no_std`, without I/O, clock or allocation.

#![no_std]
#![forbid(unsafe_code)]
// What runs in the kernel is inlined where the verifier would otherwise lose what it knows of a value.
#![allow(clippy::inline_always)]
// Padding crosses the kernel boundary and must be written like every field.
#![allow(clippy::pub_underscore_fields)]
// Codes on the wire are an open list: they are matched, also where one of them matters.
#![allow(clippy::single_match_else)]

// From bytes to meaning.
pub mod hash;
pub mod wire;

// From meaning to verdict.
pub mod precedence;
pub mod reason;

// Across the kernel boundary.
pub mod abi;
