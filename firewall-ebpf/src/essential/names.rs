//! What DNS is asked for: questions of an ordinary shape, names of domains that are in the model of who asks, and few that
//! were not asked for before.

use core::ffi::c_void;

use aya_ebpf::bindings::BPF_ANY;
use aya_ebpf::helpers::generated::bpf_loop;
use aya_ebpf::macros::map;
use aya_ebpf::maps::{HashMap, LruHashMap};
use firewall_common::abi::{AskedName, NameKey, OBJECT_CAP, PrincipalId, capacity};
use firewall_common::hash::BackHasher;
use firewall_common::reason::{Reason, Verdict};
use firewall_common::wire::dns::{self, Dns};
use firewall_common::wire::essential::{NAME_AGAIN, Trickle};
use firewall_common::wire::{Event, Sender};

use super::{answers, trickle};
use crate::bytes::{Skb, copy, opaque};
use crate::scratch::{Scratch, WINDOW};
use crate::{edge, observe, who};

/// Written by the kernel. Least recently used: a forgotten name is a new one.
#[map]
static NAMES: LruHashMap<NameKey, AskedName> = LruHashMap::with_max_entries(capacity::NAMES, 0);

/// Written by the daemon: names that a principal may ask for, or behind a dot domains of which all, and the boot-time
/// nanoseconds at which that ends, or 0.
#[map]
static DOMAINS: HashMap<NameKey, u64> = HashMap::with_max_entries(capacity::DOMAINS, 0);

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
    climb(skb, scratch);
    let (via, is_allowed) = (scratch.domains.via, scratch.domains.is_allowed != 0);
    let learns = edge::learning(scratch.src);
    if !is_allowed && edge::enforcing(scratch.src) {
        refuse(scratch)?;
    } else if learns && !is_allowed {
        observe::question(scratch, Verdict::Forwarded, Reason::Learned);
    } else if scratch.src != PrincipalId::UNKNOWN && !who::names::is_named(via) {
        // Its address will be asked about by its name.
        observe::question(scratch, Verdict::Forwarded, Reason::InModel);
    }
    answers::expect(scratch, via);
    if !bounded && !learns {
        return Ok(0);
    }
    let counted = pay(scratch, via, bounded)?;
    Ok(if counted { u32::from(scratch.dns.name_len()) + BESIDE_THE_NAME } else { 0 })
}

/// A name outside the model is not asked for, and its sender is told so.
#[inline(always)]
fn refuse(scratch: &mut Scratch) -> Result<(), Reason> {
    if scratch.audit != 0 {
        observe::question(scratch, Verdict::Audit, Reason::EdgeUnknown);
        return Ok(());
    }
    observe::question(scratch, Verdict::Dropped, Reason::EdgeUnknown);
    scratch.refused = 1;
    Err(Reason::EdgeUnknown)
}

/// What the domains of the name at hand say, from the last one down. In the scratch, because what lies on the stack of a
/// loop is followed by the verifier through every round.
pub struct Domains {
    hasher: BackHasher,
    /// As [`KnownName::via`](firewall_common::abi::KnownName::via).
    via: u64,
    /// Whether its sender may ask for one of them.
    is_allowed: u64,
}

/// Looks for the name at hand and each domain that it is in.
#[inline(always)]
fn climb(skb: &Skb, scratch: &mut Scratch) {
    scratch.domains = Domains { hasher: BackHasher::ZERO, via: 0, is_allowed: 0 };
    let length = u32::from(scratch.said.object.len());
    let mut walk = Walk { skb: skb.raw().cast(), scratch: &raw mut *scratch };
    // SAFETY: the callback has the signature that the helper calls.
    unsafe { bpf_loop(length, climb_one as *mut c_void, (&raw mut walk).cast(), 0) };
    let name = scratch.said.object.hash();
    ask(scratch, name);
    below(scratch);
    if who::names::is_named(name) || scratch.domains.via == 0 {
        scratch.domains.via = name;
    }
}

/// A name, or all names below a domain, may be asked for, or not.
#[inline(always)]
fn ask(scratch: &mut Scratch, name: u64) {
    let key = NameKey { name, principal: scratch.src, _pad: 0 };
    // SAFETY: the value is copied at once; the daemon replaces whole entries.
    if let Some(ends) = unsafe { DOMAINS.get(key) } {
        if *ends == 0 || scratch.now < *ends {
            scratch.domains.is_allowed = 1;
        }
    }
}

/// What is known of all names below the domain that was read, itself included.
#[inline(always)]
fn below(scratch: &mut Scratch) {
    scratch.domains.hasher = scratch.domains.hasher.push(b'.', &scratch.config.key.0);
    let below = scratch.domains.hasher.finish();
    ask(scratch, below);
    if who::names::is_named(below) {
        scratch.domains.via = below;
    }
}

/// Takes the last byte that was not read.
#[inline(never)]
unsafe extern "C" fn climb_one(index: u32, walk: *mut c_void) -> i64 {
    // SAFETY: the helper passes what `climb` gave it.
    let walk = unsafe { &*walk.cast::<Walk>() };
    // SAFETY: as above; the caller does not touch it during the loop.
    let scratch = unsafe { &mut *walk.scratch };
    let (text, length) = scratch.said.object.buffer();
    let at = opaque(u64::from(length).wrapping_sub(1).wrapping_sub(u64::from(index)));
    if at >= OBJECT_CAP as u64 {
        return 1;
    }
    let byte = text[at as usize];
    if byte == b'.' {
        below(scratch);
    } else {
        scratch.domains.hasher = scratch.domains.hasher.push(byte, &scratch.config.key.0);
    }
    0
}

/// Where `NAMED` has a name that a device has asked for.
#[inline(always)]
pub fn via(device: PrincipalId, name: u64) -> u64 {
    // SAFETY: the value is copied at once.
    match unsafe { NAMES.get(NameKey { name, principal: device, _pad: 0 }) } {
        Some(asked) => asked.via,
        None => name,
    }
}

/// Takes the name from what its sender may still say; says whether the answer is counted too.
#[inline(always)]
fn pay(scratch: &mut Scratch, via: u64, bounded: bool) -> Result<bool, Reason> {
    let key = NameKey { name: scratch.said.object.hash(), principal: scratch.src, _pad: 0 };
    let length = u64::from(scratch.dns.name_len());
    if let Some(known) = NAMES.get_ptr_mut(key) {
        // SAFETY: the entry stays mapped while the program runs; a lost update is made up for by the next question.
        let known = unsafe { &mut *known };
        known.via = via;
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
    let asked = AskedName { via, learned: !bounded as u32, _pad: 0 };
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
