//! What the kernel programs say about a frame, through `BPF_PROG_TEST_RUN`: no interface, no second machine.
//!
//! [`site`] loads the programs once, into a BPF filesystem and network namespace of its own, and plays a small site on one
//! port: the tests register devices and edges in the real maps, let a [`frame`] arrive on a hook and read what became of
//! it from the counters, the returned frame and its mark. Each frame from a device goes through the XDP gate first, and
//! what the gate drops must fall to the same reason at TC.
//!
//! `cargo xtask kernels` runs this very program on older kernels and other architectures.

// The site and what is sent there.
mod connection;
mod dns;
mod frame;
mod message;
mod raw;
mod site;

// What is in order, and who speaks.
mod essentials;
mod gate;
mod names;

// What is asked for.
mod agreement;
mod both_ends;
mod datagrams;
mod edges;
mod flows;
mod limits;
mod payloads;
mod related;
mod repeats;
mod requests;
mod streams;

// What it costs.
mod cost;
