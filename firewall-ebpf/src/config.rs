//! What the daemon has set: ports, marks, modes.

use aya_ebpf::macros::map;
use aya_ebpf::maps::{Array, HashMap};
use firewall_common::abi::{Config, Port, capacity};

/// Written by the daemon.
#[map]
static CONFIG: Array<Config> = Array::with_max_entries(capacity::CONFIG, 0);

/// Written by the daemon.
#[map]
static PORTS: HashMap<u32, Port> = HashMap::with_max_entries(capacity::PORTS, 0);

/// A copy of the configuration; without one nothing passes.
#[inline(always)]
pub fn current() -> Option<Config> {
    CONFIG.get(0).copied()
}

/// The role of an interface, if it is configured.
#[inline(always)]
pub fn port(ifindex: u32) -> Option<Port> {
    // SAFETY: the value is copied at once; the daemon replaces whole entries.
    unsafe { PORTS.get(ifindex) }.copied()
}
