//! What DNS answers: the addresses of the names that a device has asked for, bound before the device knows them.
//!
//! An answer that belongs to no question of its receiver, or is no message at all, is dropped: no resolver writes such
//! a one. Records of names that were not asked for bind nothing, and nor do answers that were cut off.

use core::ffi::c_void;

use aya_ebpf::bindings::BPF_ANY;
use aya_ebpf::helpers::generated::bpf_loop;
use aya_ebpf::macros::map;
use aya_ebpf::maps::LruHashMap;
use firewall_common::abi::{KnownName, PrincipalId, QuestionKey, capacity};
use firewall_common::reason::Reason;
use firewall_common::wire::dns::reply::Step;
use firewall_common::wire::frame::proto;

use super::DNS;
use crate::bytes::{Raw, Skb};
use crate::scratch::Scratch;
use crate::who;

/// Written by the kernel. Least recently used: the answer to a question that was forgotten falls, and is asked for again.
#[map]
static QUESTIONS: LruHashMap<QuestionKey, KnownName> = LruHashMap::with_max_entries(capacity::QUESTIONS, 0);

/// Steps over an answer: a length or a byte of a name, or the head of a record.
const STEPS: u32 = 4_096;

/// Remembers the question at hand until it is answered.
#[inline(always)]
pub fn expect(scratch: &Scratch, via: u64) {
    let name = scratch.said.object.hash();
    let key = QuestionKey { name, device: scratch.src, port: scratch.frame.src_port, id: scratch.dns.id() };
    let _ = QUESTIONS.insert(key, KnownName { name, via }, BPF_ANY as u64);
}

/// Whether the frame at hand answers a question that passed as an essential.
#[inline(always)]
pub fn is_answer(scratch: &Scratch) -> bool {
    scratch.flow.essential != 0
        && scratch.frame.proto == proto::UDP
        && scratch.frame.src_port == DNS
        && scratch.dir != scratch.flow.initiator
        && scratch.dst != PrincipalId::UNKNOWN
}

/// What a round of the loop needs; lives on the stack of the program.
struct Walk {
    skb: *const c_void,
    scratch: *mut Scratch,
}

/// Judges an answer, and binds what it says.
#[inline(always)]
pub fn judge(skb: &Skb, scratch: &mut Scratch) -> Result<(), Reason> {
    let raw = skb.raw().cast::<c_void>().cast_const();
    let (at, length) = (scratch.frame.payload, scratch.frame.payload_len);
    if !scratch.reply.open(&Raw(raw), at, length)? {
        return Ok(());
    }
    // What is not read to its end is too much.
    scratch.stop = Reason::WorkCap as u8;
    let mut walk = Walk { skb: raw, scratch: &raw mut *scratch };
    // SAFETY: the callback has the signature that the helper calls.
    unsafe { bpf_loop(STEPS, round as *mut c_void, (&raw mut walk).cast(), 0) };
    match scratch.stop {
        IS_READ => Ok(()),
        IS_STRANGE => Err(Reason::EssentialShape),
        IS_TOO_MUCH => Err(Reason::WorkCap),
        _ => Err(Reason::Malformed),
    }
}

/// In [`Scratch::stop`].
const IS_READ: u8 = 0;
const IS_STRANGE: u8 = Reason::EssentialShape as u8;
const IS_TOO_MUCH: u8 = Reason::WorkCap as u8;

/// Takes one step.
#[inline(never)]
unsafe extern "C" fn round(_index: u32, walk: *mut c_void) -> i64 {
    // SAFETY: the helper passes what `judge` gave it.
    let walk = unsafe { &*walk.cast::<Walk>() };
    // SAFETY: as above; the caller does not touch it during the loop.
    let scratch = unsafe { &mut *walk.scratch };
    match scratch.reply.step(&Raw(walk.skb), &scratch.config.key.0) {
        Step::More => 0,
        Step::Question => {
            if belongs(scratch) {
                return 0;
            }
            scratch.stop = IS_STRANGE;
            1
        }
        Step::Address(addr) => {
            who::names::bind(scratch, &addr);
            0
        }
        Step::End => {
            scratch.stop = IS_READ;
            1
        }
        Step::Wrong(reason) => {
            scratch.stop = reason as u8;
            1
        }
    }
}

/// Whether the receiver has asked for the name, with this number and from this port.
#[inline(always)]
fn belongs(scratch: &mut Scratch) -> bool {
    let key = QuestionKey {
        name: scratch.reply.name(),
        device: scratch.dst,
        port: scratch.frame.dst_port,
        id: scratch.reply.id(),
    };
    // SAFETY: the value is copied at once.
    let Some(asked) = (unsafe { QUESTIONS.get(key) }) else { return false };
    scratch.asked = *asked;
    let _ = QUESTIONS.remove(key);
    true
}
