//! Frames of connections that were judged a moment ago: what was found then need not be asked for again.
//!
//! A [`Pass`] lies in the connection, one for each direction. It says who sent the last frame that was judged in full, and
//! where; it holds for some seconds at most, and no longer than nothing has changed that was asked for. So who holds an
//! address, the modes of both ends and the rule of the edge are not looked up for each frame, and every change of them is
//! in force with the next frame all the same.

use aya_ebpf::helpers::generated::bpf_ktime_get_coarse_ns;
use aya_ebpf::macros::map;
use aya_ebpf::maps::Array;
use firewall_common::abi::{Flow, MacKey, Pass, capacity};

use crate::atomic;
use crate::scratch::Scratch;

/// Written by the daemon.
#[map]
static GENERATION: Array<u64> = Array::with_max_entries(capacity::GENERATION, 0);

/// Written by the kernel.
#[map]
static CHANGES: Array<u64> = Array::with_max_entries(capacity::CHANGES, 0);

/// So long a pass holds: times of last use are as old at most.
const HOLDS: u64 = 10_000_000_000;
/// The coarse clock may be late by a tick of the slowest kernels (100 Hz), and one more for the other CPU.
const LATE: u64 = 20_000_000;

/// The number under which what is asked for now is remembered. Read before anything else is: what changes meanwhile makes
/// another number.
#[inline(always)]
pub fn generation() -> u32 {
    match (GENERATION.get_ptr(0), CHANGES.get_ptr(0)) {
        // SAFETY: array entries are always mapped, and each is a word.
        (Some(daemon), Some(kernel)) => unsafe {
            core::ptr::read_volatile(daemon).wrapping_add(core::ptr::read_volatile(kernel)) as u32
        },
        _ => 0,
    }
}

/// An address has another holder than before, or none: what was found by it no longer holds.
#[inline(always)]
pub fn changed() {
    if let Some(changes) = CHANGES.get_ptr_mut(0) {
        atomic::add(changes, 1);
    }
}

/// Whether the frame at hand needs no questions within this connection.
#[inline(always)]
pub fn holds(scratch: &Scratch, flow: &Flow) -> bool {
    let pass = if scratch.dir == 0 { &flow.passes[0] } else { &flow.passes[1] };
    pass.generation == scratch.generation
        && pass.place == place(scratch)
        && pass.sender.mac == scratch.frame.src_mac
        && pass.sender.vlan == scratch.frame.vlan
        && now() < pass.until
}

/// Notes that frames like the one at hand pass, until `deadline` (boot-time nanoseconds, 0 is never) at the latest.
#[inline(always)]
pub fn note(scratch: &Scratch, flow: &mut Flow, deadline: u64) {
    let left = if deadline == 0 { HOLDS } else { deadline.saturating_sub(scratch.now) };
    let holds = if left < HOLDS { left } else { HOLDS };
    if holds <= LATE {
        return;
    }
    let pass = Pass {
        until: now() + holds - LATE,
        generation: scratch.generation,
        place: place(scratch),
        sender: MacKey { mac: scratch.frame.src_mac, vlan: scratch.frame.vlan },
    };
    if scratch.dir == 0 {
        flow.passes[0] = pass;
    } else {
        flow.passes[1] = pass;
    }
}

/// Nanoseconds of a clock that costs a read of memory; it stands still while the box sleeps, as all that could pass does.
#[inline(always)]
pub fn now() -> u64 {
    // SAFETY: the helper has no preconditions.
    unsafe { bpf_ktime_get_coarse_ns() }
}

/// Where the frame at hand is judged. Interface numbers count up from 1 and stay far below the bits above them.
#[inline(always)]
fn place(scratch: &Scratch) -> u32 {
    let gated = scratch.mark & scratch.config.mark_gated != 0;
    scratch.ifindex | scratch.hook << 30 | u32::from(gated) << 29
}
