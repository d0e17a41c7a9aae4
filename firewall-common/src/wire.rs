//! One parser per protocol, for kernel, replay and tests.

pub mod essential;
pub mod mqtt;
