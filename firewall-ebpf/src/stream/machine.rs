//! The loop over the new bytes of a segment, for every protocol.

use core::ffi::c_void;

use aya_ebpf::helpers::generated::bpf_loop;
use firewall_common::abi::Protocol;
use firewall_common::reason::Reason;
use firewall_common::wire::stream::AHEAD;
use firewall_common::wire::{Event, Note, Sender};

use crate::bytes::{Skb, copy, opaque};
use crate::scratch::Scratch;

/// Bytes of a stream that are loaded at once.
const WINDOW: usize = 64;
/// Bytes of it that one round takes singly.
const STEPS: u32 = 8;

/// Rounds of the loop over one frame: 64 KiB of headers take half of them, the rest is for objects. What is left over
/// is too much work for one frame ([`Reason::WorkCap`]).
const ROUNDS: u32 = 8_192;
/// A step of the loop.
pub type Round = unsafe extern "C" fn(u32, *mut c_void) -> i64;

/// Bytes of the segment that were loaded.
#[repr(C)]
pub struct Window {
    pub bytes: [u8; WINDOW],
    /// Offset of the first one, and how many there are.
    from: u32,
    length: u32,
}

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
    scratch.messages = 0;
    scratch.window.length = 0;
    scratch.tail = scratch.end;
    scratch.ahead = 0;
    // The pointer is handed over, not looked up again: so the compiler knows that the loop changes what is behind it.
    let mut walk = Walk { skb: skb.raw().cast(), scratch: &raw mut *scratch };
    // SAFETY: the callback has the signature that the helper calls.
    unsafe { bpf_loop(ROUNDS, round as *mut c_void, (&raw mut walk).cast(), 0) as u32 }
}

/// A protocol as the loop sees it.
pub trait Machine {
    /// Most bytes behind the segment that may be passed over before they have come.
    const AHEAD: u32 = AHEAD;

    /// Bytes that may be passed over unread, at most `available`.
    fn skip(scratch: &mut Scratch, available: u32) -> u32;

    /// Whether the next bytes are a text that [`Machine::run`] takes faster than [`Machine::step`].
    #[inline(always)]
    fn is_text(_scratch: &Scratch) -> bool {
        false
    }

    /// Takes bytes of the window from this place on, at most so many, as long as they are text; returns how many.
    #[inline(always)]
    fn run(_scratch: &mut Scratch, _from: u32, _most: u32) -> u32 {
        0
    }

    /// The segment ends: what is needed no more is forgotten, so that it need not be kept.
    #[inline(always)]
    fn rest(_scratch: &mut Scratch) {}

    /// Takes the byte at `scratch.at`.
    fn step(scratch: &mut Scratch, byte: u8, sender: Sender) -> Event;

    /// Judges what an event stands for.
    fn event(scratch: &mut Scratch, event: Event) -> Result<(), Reason>;
}

/// Skips a payload, or takes a text and up to [`STEPS`] bytes of the segment; 1 ends the loop.
#[inline(never)]
pub unsafe extern "C" fn round<M: Machine>(_index: u32, walk: *mut c_void) -> i64 {
    // SAFETY: the helper passes what `run` gave it.
    let walk = unsafe { &*walk.cast::<Walk>() };
    // SAFETY: as above; the caller does not touch it during the loop.
    let scratch = unsafe { &mut *walk.scratch };
    let left = scratch.end.wrapping_sub(scratch.at);
    if left == 0 || left > 0x1_0000 {
        // Whatever else is in the payload that the segment ends in passes unseen.
        if M::AHEAD != 0 && scratch.roomy != 0 {
            scratch.ahead = M::skip(scratch, M::AHEAD);
        }
        M::rest(scratch);
        return 1;
    }
    let skipped = M::skip(scratch, left);
    if skipped != 0 {
        if skipped == left {
            scratch.tail = scratch.at;
        }
        scratch.at += skipped;
        return 0;
    }
    if scratch.at.wrapping_sub(scratch.window.from) >= scratch.window.length {
        let length = if left < WINDOW as u32 { left } else { WINDOW as u32 };
        if !copy(walk.skb, scratch.at, &mut scratch.window.bytes, length) {
            scratch.stop = Reason::Malformed as u8;
            return 1;
        }
        scratch.window.from = scratch.at;
        scratch.window.length = length;
    }
    if M::is_text(scratch) {
        text::<M>(scratch);
    }
    let sender = if scratch.client != 0 { Sender::Client } else { Sender::Server };
    let mut steps = 0;
    while steps < STEPS {
        // Hidden, so that LLVM keeps both checks: the verifier of Linux 6.1 does not compare the place with the length.
        let at = opaque(u64::from(scratch.at.wrapping_sub(scratch.window.from)));
        if at >= WINDOW as u64 || at >= u64::from(scratch.window.length) {
            break;
        }
        let byte = scratch.window.bytes[at as usize];
        let event = pack(M::step(scratch, byte, sender));
        scratch.at += 1;
        if event != 0 {
            // What follows may be payload now.
            return handle::<M>(scratch, event);
        }
        if M::is_text(scratch) {
            break;
        }
        steps += 1;
    }
    0
}

/// Takes the text that the window has. What is left of it to the window's end, or to what must be judged, is for the next
/// steps.
#[inline(never)]
fn text<M: Machine>(scratch: &mut Scratch) {
    let from = scratch.at.wrapping_sub(scratch.window.from);
    let most = scratch.window.length.wrapping_sub(from);
    if most <= WINDOW as u32 {
        scratch.at += M::run(scratch, from, most);
    }
}

#[inline(never)]
fn handle<M: Machine>(scratch: &mut Scratch, event: u32) -> i64 {
    match M::event(scratch, unpack(event)) {
        Ok(()) => {
            scratch.messages += u32::from(FIRST_MESSAGE <= event && event <= LAST_MESSAGE);
            0
        }
        Err(reason) => {
            scratch.stop = reason as u8;
            1
        }
    }
}

/// Of the numbers of events, those of something that is said: an object, a request, an alias.
const FIRST_MESSAGE: u32 = 2;
const LAST_MESSAGE: u32 = 4;

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
