//! What the daemon has set: ports, marks, modes.

use aya_ebpf::macros::map;
use aya_ebpf::maps::{Array, HashMap};
use firewall_common::abi::{Config, Port, capacity};

use crate::words;

/// Written by the daemon.
#[map]
static CONFIG: Array<Config> = Array::with_max_entries(capacity::CONFIG, 0);

/// Written by the daemon.
#[map]
static PORTS: HashMap<u32, Port> = HashMap::with_max_entries(capacity::PORTS, 0);

/// Copies the configuration; without one nothing passes.
#[inline(always)]
pub fn read(config: &mut Config) -> Option<()> {
    // SAFETY: an array entry is always mapped; the daemon changes one field at a time.
    unsafe { words::copy(config, CONFIG.get_ptr(0)?) };
    Some(())
}

/// The role of an interface, if it is configured.
#[inline(always)]
pub fn port(ifindex: u32) -> Option<Port> {
    // SAFETY: the value is copied at once; the daemon replaces whole entries.
    unsafe { PORTS.get(ifindex) }.copied()
}
