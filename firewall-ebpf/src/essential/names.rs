//! What DNS is asked for: questions of an ordinary shape, and few names that were not asked for before.

use core::ffi::c_void;

use aya_ebpf::bindings::BPF_ANY;
use aya_ebpf::helpers::generated::bpf_loop;
use aya_ebpf::macros::map;
use aya_ebpf::maps::LruHashMap;
use firewall_common::abi::{AskedName, NameKey, capacity};
use firewall_common::reason::Reason;
use firewall_common::wire::dns::{self, Dns};
use firewall_common::wire::essential::{NAME_AGAIN, Trickle};
use firewall_common::wire::{Event, Sender};

use super::trickle;
use crate::bytes::{Skb, copy, opaque};
use crate::edge;
use crate::scratch::{Scratch, WINDOW};

/// Written by the kernel. Least recently used: a forgotten name is a new one.
#[map]
static NAMES: LruHashMap<NameKey, AskedName> = LruHashMap::with_max_entries(capacity::NAMES, 0);

/// Longest question: a name, its type and class, and EDNS with a cookie fit twice.
const QUESTION_CAP: u32 = 512;
/// Rounds of the loop over a question: each takes a window, or skips an option.
const ROUNDS: u32 = 128;
/// What an answer repeats of its question beside the name: the header, type and class.
const BESIDE_THE_NAME: u32 = 16;

/// Judges a question. Returns how many bytes of its answer are those of the question, or 0 if the answer is not counted.
#[inline(never)]
pub fn judge(skb: &Skb, scratch: &mut Scratch) -> Result<u32, Reason> {
    if !read(skb, scratch) {
        return Err(Reason::EssentialShape);
    }
    let bounded = edge::is_bounded(scratch.src);
    let question = &scratch.dns;
    let ordinary =
        question.is_plain() && question.class() == dns::IN && dns::kind::is_ordinary(question.question());
    if bounded && !ordinary {
        return Err(Reason::EssentialShape);
    }
    if !bounded && !edge::learning(scratch.src) {
        return Ok(0);
    }
    let counted = pay(scratch, bounded)?;
    Ok(if counted { u32::from(scratch.dns.name_len()) + BESIDE_THE_NAME } else { 0 })
}

/// Takes the name from what its sender may still say; says whether the answer is counted too.
#[inline(always)]
fn pay(scratch: &mut Scratch, bounded: bool) -> Result<bool, Reason> {
    let key = NameKey { name: scratch.said.object.hash(), principal: scratch.src, _pad: 0 };
    let length = u64::from(scratch.dns.name_len());
    if let Some(known) = NAMES.get_ptr_mut(key) {
        // SAFETY: the entry stays mapped while the program runs; a lost update is made up for by the next question.
        let known = unsafe { &mut *known };
        if known.learned != 0 {
            return Ok(false);
        }
        if bounded {
            // Capital letters mean nothing to a resolver, which may pass them on.
            let spelling = if scratch.dns.has_capitals() { length / 8 + 1 } else { 0 };
            trickle(scratch, scratch.src, Trickle::Names, NAME_AGAIN + spelling)?;
            return Ok(true);
        }
        known.learned = 1;
        return Ok(false);
    }
    let kind = if bounded { Trickle::Names } else { Trickle::LearnedNames };
    trickle(scratch, scratch.src, kind, length)?;
    let asked = AskedName { learned: !bounded as u32, _pad: 0 };
    match NAMES.insert(key, asked, BPF_ANY as u64) {
        Ok(()) => Ok(bounded),
        Err(_) => Err(Reason::TableFull),
    }
}

/// What a round of the loop needs; lives on the stack of the program.
struct Walk {
    skb: *const c_void,
    scratch: *mut Scratch,
}

/// Reads the datagram as a question, its name into the object; false if it is none.
#[inline(always)]
fn read(skb: &Skb, scratch: &mut Scratch) -> bool {
    if scratch.frame.payload_len > QUESTION_CAP {
        return false;
    }
    scratch.dns = Dns::NEW;
    scratch.at = 0;
    scratch.stop = 0;
    let mut walk = Walk { skb: skb.raw().cast(), scratch: &raw mut *scratch };
    // SAFETY: the callback has the signature that the helper calls.
    unsafe { bpf_loop(ROUNDS, round as *mut c_void, (&raw mut walk).cast(), 0) };
    scratch.stop == 0 && scratch.at == scratch.frame.payload_len && scratch.dns.finish() == Event::More
}

/// Reads up to [`WINDOW`] bytes of the question.
#[inline(never)]
unsafe extern "C" fn round(_index: u32, walk: *mut c_void) -> i64 {
    // SAFETY: the helper passes what `read` gave it.
    let walk = unsafe { &*walk.cast::<Walk>() };
    // SAFETY: as above; the caller does not touch it during the loop.
    let scratch = unsafe { &mut *walk.scratch };
    let left = scratch.frame.payload_len.wrapping_sub(scratch.at);
    if left == 0 || left > QUESTION_CAP {
        return 1;
    }
    let skipped = scratch.dns.skip(left);
    if skipped != 0 {
        scratch.at += skipped;
        return 0;
    }
    let length = if left < WINDOW as u32 { left } else { WINDOW as u32 };
    if !copy(walk.skb, scratch.frame.payload.wrapping_add(scratch.at), &mut scratch.question, length) {
        scratch.stop = 1;
        return 1;
    }
    let mut i = 0;
    while i < u64::from(length) {
        // Hidden, so that LLVM keeps the check: the verifier of Linux 6.1 does not compare `i` with `length`.
        let at = opaque(i);
        if at >= WINDOW as u64 {
            break;
        }
        let byte = scratch.question[at as usize];
        i += 1;
        scratch.at += 1;
        let event = scratch.dns.step(&mut scratch.said.object, byte, Sender::Client, &scratch.config.key.0);
        if let Event::Wrong(_) = event {
            scratch.stop = 1;
            return 1;
        }
    }
    0
}
