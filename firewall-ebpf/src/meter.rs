//! How much an edge carries: it is counted, and no more passes than its limit lets.
//!
//! The limit lies in the connection, so that a frame which needs no questions needs none for this either: one look into an
//! array. Bytes are taken before anything else is done with a frame, and what is over leaves no trace in its stream: it can
//! come again, and a TCP sender slows down.

use aya_ebpf::macros::map;
use aya_ebpf::maps::Array;
use firewall_common::abi::{Limit, Meter, Moved, capacity};

use crate::scratch::Scratch;
use crate::{atomic, pass};

/// Written by the kernel.
#[map]
static METERS: Array<Meter> = Array::with_max_entries(capacity::METERS, 0);

/// Tries to take from a bucket while other CPUs take from it too.
const TRIES: u32 = 4;

/// Takes the frame at hand from what may pass, and counts it as so many messages; false if it is too much.
#[inline(always)]
pub fn take(scratch: &Scratch, limit: Limit, by_initiator: bool, messages: u64) -> bool {
    let Some(meter) = meter(limit) else { return true };
    let bytes = u64::from(scratch.end);
    if limit.pace != 0 && !has_room(meter, limit, bytes) {
        return false;
    }
    add(meter, by_initiator, Moved { messages, bytes });
    true
}

/// Counts messages whose bytes are counted already.
#[inline(always)]
pub fn said(limit: Limit, by_initiator: bool, messages: u32) {
    if let Some(meter) = meter(limit) {
        add(meter, by_initiator, Moved { messages: u64::from(messages), bytes: 0 });
    }
}

/// Counts a frame that was too much.
#[inline(always)]
pub fn over(limit: Limit) {
    if let Some(meter) = meter(limit) {
        // SAFETY: an array entry is always mapped.
        atomic::add_word(unsafe { &raw mut (*meter).over }, 1);
    }
}

/// Counts a connection.
#[inline(always)]
pub fn opened(limit: Limit) {
    if let Some(meter) = meter(limit) {
        // SAFETY: as above.
        atomic::add_word(unsafe { &raw mut (*meter).opened }, 1);
    }
}

#[inline(always)]
fn meter(limit: Limit) -> Option<*mut Meter> {
    if limit.meter == 0 { None } else { METERS.get_ptr_mut(u32::from(limit.meter)) }
}

#[inline(always)]
fn add(meter: *mut Meter, by_initiator: bool, moved: Moved) {
    // SAFETY: as above.
    let counter =
        unsafe { if by_initiator { &raw mut (*meter).moved[0] } else { &raw mut (*meter).moved[1] } };
    atomic::add(counter, moved.word());
}

/// Takes bytes from the bucket. One that other CPUs take from all the time is as good as empty.
#[inline(always)]
fn has_room(meter: *mut Meter, limit: Limit, bytes: u64) -> bool {
    let now = pass::now();
    // SAFETY: as above.
    let at = unsafe { &raw mut (*meter).full };
    let mut tried = 0;
    while tried < TRIES {
        tried += 1;
        // SAFETY: as above.
        let full = unsafe { core::ptr::read_volatile(at) };
        let next = limit.take(full, now, bytes);
        if next == 0 {
            return false;
        }
        if atomic::swap(at, full, next) {
            return true;
        }
    }
    false
}
