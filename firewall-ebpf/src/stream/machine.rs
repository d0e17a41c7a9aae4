//! The loop over the new bytes of a segment, for every protocol.

use core::ffi::c_void;

use aya_ebpf::helpers::generated::bpf_loop;
use firewall_common::abi::Protocol;
use firewall_common::reason::Reason;
use firewall_common::wire::{Event, Note, Sender};

use crate::bytes::{Skb, copy, opaque};
use crate::scratch::{Scratch, WINDOW};

/// Rounds of the loop over one frame: 64 KiB of headers take half of them, the rest is for objects. What is left over
/// is too much work for one frame ([`Reason::WorkCap`]).
const ROUNDS: u32 = 8_192;
/// A step of the loop.
pub type Round = unsafe extern "C" fn(u32, *mut c_void) -> i64;

/// What a round needs; lives on the stack of the program.
struct Walk {
    skb: *const c_void,
    scratch: *mut Scratch,
}

/// Takes the bytes from `scratch.at` to `scratch.end` through a machine; returns how many rounds that took. Why it ended
/// early is in `scratch.stop`.
#[inline(always)]
pub fn run(skb: &Skb, scratch: &mut Scratch, round: Round) -> u32 {
    scratch.stop = 0;
    // The pointer is handed over, not looked up again: so the compiler knows that the loop changes what is behind it.
    let mut walk = Walk { skb: skb.raw().cast(), scratch: &raw mut *scratch };
    // SAFETY: the callback has the signature that the helper calls.
    unsafe { bpf_loop(ROUNDS, round as *mut c_void, (&raw mut walk).cast(), 0) as u32 }
}

/// A protocol as the loop sees it.
pub trait Machine {
    /// Bytes that may be passed over unread, at most `available`.
    fn skip(scratch: &mut Scratch, available: u32) -> u32;

    /// Takes the byte at `scratch.at`.
    fn step(scratch: &mut Scratch, byte: u8, sender: Sender) -> Event;

    /// Judges what an event stands for.
    fn event(scratch: &mut Scratch, event: Event) -> Result<(), Reason>;
}

/// Judges up to [`WINDOW`] bytes of the segment, or skips a payload; 1 ends the loop.
#[inline(never)]
pub unsafe extern "C" fn round<M: Machine>(_index: u32, walk: *mut c_void) -> i64 {
    // SAFETY: the helper passes what `run` gave it.
    let walk = unsafe { &*walk.cast::<Walk>() };
    // SAFETY: as above; the caller does not touch it during the loop.
    let scratch = unsafe { &mut *walk.scratch };
    let left = scratch.end.wrapping_sub(scratch.at);
    if left == 0 || left > 0x1_0000 {
        return 1;
    }
    let skipped = M::skip(scratch, left);
    if skipped != 0 {
        scratch.at += skipped;
        return 0;
    }
    let length = if left < WINDOW as u32 { left } else { WINDOW as u32 };
    if !copy(walk.skb, scratch.at, &mut scratch.window, length) {
        scratch.stop = Reason::Malformed as u8;
        return 1;
    }
    let sender = if scratch.client != 0 { Sender::Client } else { Sender::Server };
    let mut i = 0;
    while i < u64::from(length) {
        // Hidden, so that LLVM keeps the check: the verifier of Linux 6.1 does not compare `i` with `length`.
        let at = opaque(i);
        if at >= WINDOW as u64 {
            break;
        }
        let byte = scratch.window[at as usize];
        i += 1;
        let event = pack(M::step(scratch, byte, sender));
        scratch.at += 1;
        if event != 0 {
            // The rest of the window is loaded again: it may be payload now.
            return handle::<M>(scratch, event);
        }
    }
    0
}

#[inline(never)]
fn handle<M: Machine>(scratch: &mut Scratch, event: u32) -> i64 {
    match M::event(scratch, unpack(event)) {
        Ok(()) => 0,
        Err(reason) => {
            scratch.stop = reason as u8;
            1
        }
    }
}

/// An event as one number: as an argument, the part that most events do not have would be a register that nobody set.
#[inline(always)]
fn pack(event: Event) -> u32 {
    match event {
        Event::More => 0,
        Event::Level => 1,
        Event::Object => 2,
        Event::Request => 3,
        Event::Alias => 4,
        Event::Becomes(protocol) => part(5, protocol as u8),
        Event::Note(note) => part(6, note as u8),
        Event::Wrong(reason) => part(7, reason as u8),
    }
}

/// Hidden from the optimiser, which would read the part before it knows that there is one.
#[inline(always)]
fn part(kind: u64, part: u8) -> u32 {
    (opaque(kind) | opaque(u64::from(part)) << 8) as u32
}

#[inline(always)]
fn unpack(packed: u32) -> Event {
    let part = (packed >> 8) as u8;
    match packed & 0xff {
        0 => Event::More,
        1 => Event::Level,
        2 => Event::Object,
        3 => Event::Request,
        4 => Event::Alias,
        5 => Event::Becomes(Protocol::from_code(part).unwrap_or(Protocol::Opaque)),
        6 if part == Note::SessionPresent as u8 => Event::Note(Note::SessionPresent),
        6 => Event::Note(Note::LoginFailed),
        _ => Event::Wrong(Reason::from_code(part).unwrap_or(Reason::Malformed)),
    }
}
