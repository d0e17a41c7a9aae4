//! Flows that follow from others: answers to what was asked of everyone, and data at ports that were named.
//!
//! A frame that its edge lets pass may say what follows from it, and [`note`] keeps that for a while. A datagram without a
//! connection that fits is judged by the edge that it follows from: an answer alone, for nothing goes back to it; data as a
//! flow of its own, which ends when the edge does or when it is silent.

use core::ffi::c_void;

use aya_ebpf::bindings::BPF_ANY;
use aya_ebpf::helpers::generated::bpf_loop;
use aya_ebpf::macros::map;
use aya_ebpf::maps::LruHashMap;
use firewall_common::abi::{Addr, EdgeKey, Expected, ExpectedKey, Expects, PrincipalId, Protocol, capacity};
use firewall_common::precedence::RuleState;
use firewall_common::wire::frame::proto;
use firewall_common::wire::rtsp::{self, Message, Named, Rtsp};
use firewall_common::wire::tftp::{self, Request};
use firewall_common::wire::{Bytes, related};

use crate::bytes::{Skb, copy, opaque};
use crate::hook::{Next, Stop};
use crate::scratch::{Scratch, WINDOW};
use crate::stream::judge::may_be;
use crate::{edge, flow, words};

/// Written by the kernel. Least recently used; a device has a few places, so it cannot push out those of others.
#[map]
static EXPECTED: LruHashMap<ExpectedKey, Expected> = LruHashMap::with_max_entries(capacity::EXPECTED, 0);

/// Rounds of the loop over a message: each takes a window.
const ROUNDS: u32 = rtsp::MESSAGE_CAP / WINDOW as u32;

/// Values of [`Scratch::follows`].
mod follows {
    /// The frame is judged by itself.
    pub(super) const NOTHING: u8 = 0;
    /// It answers a question to everyone.
    pub(super) const ANSWER: u8 = 1;
    /// It comes from who was asked for data.
    pub(super) const DATA: u8 = 2;
    /// It goes there.
    pub(super) const RETURN: u8 = 3;
}

/// Whether the frame at hand may name ports, which is read in the frames of a running connection too.
#[inline(always)]
pub fn may_name_others(scratch: &Scratch) -> bool {
    let frame = &scratch.frame;
    match frame.proto {
        proto::UDP => frame.dst_port == tftp::PORT,
        proto::TCP => frame.payload_len != 0 && (is_rtsp(frame.src_port) || is_rtsp(frame.dst_port)),
        _ => false,
    }
}

/// Whether something may follow from the frame at hand.
#[inline(always)]
pub fn may_bring_others(scratch: &Scratch) -> bool {
    scratch.frame.proto == proto::UDP && scratch.dst == PrincipalId::EVERYONE || may_name_others(scratch)
}

#[inline(always)]
fn is_rtsp(port: u16) -> bool {
    port == rtsp::PORTS[0] || port == rtsp::PORTS[1]
}

/// Whether the frame at hand answers a question to everyone.
#[inline(always)]
pub fn is_answer(scratch: &Scratch) -> bool {
    scratch.follows == follows::ANSWER
}

/// Whether the datagram at hand follows from another one, as `scratch.follows` and `scratch.expected` say then.
#[inline(never)]
pub fn is_expected(scratch: &mut Scratch) -> bool {
    scratch.follows = follows::NOTHING;
    if scratch.frame.proto != proto::UDP || scratch.dst == PrincipalId::EVERYONE {
        return false;
    }
    let follows = find(scratch);
    if follows == follows::NOTHING || flow::is_known(scratch) {
        return false;
    }
    scratch.follows = follows;
    true
}

#[inline(always)]
fn find(scratch: &mut Scratch) -> u8 {
    if recall(scratch, scratch.dst, scratch.frame.dst, scratch.frame.dst_port)
        && scratch.expected.is_for(&scratch.frame)
    {
        let answers = scratch.expected.kind == Expects::Answers as u8;
        return match (answers, holds(scratch)) {
            (_, false) => follows::NOTHING,
            (true, true) if is_own(scratch) => follows::NOTHING,
            (true, true) => follows::ANSWER,
            (false, true) => follows::DATA,
        };
    }
    if recall(scratch, scratch.src, scratch.frame.src, scratch.frame.src_port)
        && scratch.expected.is_from(&scratch.frame)
        && holds(scratch)
    {
        return follows::RETURN;
    }
    follows::NOTHING
}

/// Copies what a device expects at this port to `scratch.expected`.
#[inline(never)]
fn recall(scratch: &mut Scratch, device: PrincipalId, addr: Addr, port: u16) -> bool {
    let key = ExpectedKey { device, place: Expected::place(&addr, port) };
    let Some(entry) = EXPECTED.get_ptr(&key) else { return false };
    // SAFETY: the entry stays mapped while the program runs; one that is given to another device meanwhile names its own
    // ends, which the frame at hand must have.
    unsafe { words::copy(&mut scratch.expected, entry) };
    true
}

/// Whether what was said is recent, or who has named the ports of a medium still holds the connection.
#[inline(always)]
fn holds(scratch: &mut Scratch) -> bool {
    let expected = &scratch.expected;
    if expected.holds_at(scratch.now) {
        return true;
    }
    if expected.kind != Expects::Media as u8 {
        return false;
    }
    let (client, server) = ((&expected.addr, expected.control), (&expected.peer, expected.edge.port));
    flow::write_key(&mut scratch.control, client, server, proto::TCP);
    flow::goes_on(&scratch.control, scratch.now)
}

/// Whether the datagram is no answer, but what its sender says by itself: from beyond the link, where a question to
/// everyone is not heard, or to a port that is an edge of its own.
#[inline(always)]
fn is_own(scratch: &Scratch) -> bool {
    let (src, dst) = (scratch.src, scratch.dst);
    edge::is_outside(src)
        || edge::unless_banned(src, dst, RuleState::Absent, scratch.now) == RuleState::Banned
        || edge::is_held(scratch, src, dst)
}

/// Judges the datagram at hand by what it follows from.
#[inline(always)]
pub fn judge(scratch: &mut Scratch) -> Result<Next, Stop> {
    let key = scratch.expected.edge;
    if scratch.follows == follows::ANSWER {
        return flow::alone(scratch, EdgeKey { src: scratch.src, ..key });
    }
    let initiator = if scratch.follows == follows::RETURN { scratch.dir } else { !scratch.dir & 1 };
    let next = flow::join(scratch, key, initiator)?;
    if scratch.expected.kind == Expects::Transfer as u8 {
        // One port for each request.
        let place = Expected::place(&scratch.expected.addr, scratch.expected.port);
        let _ = EXPECTED.remove(&ExpectedKey { device: key.src, place });
    }
    Ok(next)
}

/// Keeps what follows from the frame at hand, which its edge lets pass.
#[inline(always)]
pub fn note(skb: &Skb, scratch: &mut Scratch) {
    if scratch.frame.proto == proto::TCP {
        return control(skb, scratch);
    }
    let src = scratch.src;
    // Not the end of the packet: a receiver reads no further than the datagram says (RFC 768).
    let Some(length) = skb.load::<2>(scratch.frame.transport + 4) else { return };
    if edge::is_outside(src) {
        return;
    }
    let (at, length) = (scratch.frame.payload, u32::from(u16::from_be_bytes(length)).saturating_sub(8));
    scratch.end = at.wrapping_add(length);
    if scratch.dst == PrincipalId::EVERYONE {
        if related::asks(skb, at, length, scratch.frame.dst_port) {
            scratch.expected = Expected::answers(&scratch.frame, scratch.now);
            keep(scratch, src);
        }
        return;
    }
    // The file itself is opaque, so its edge must not exclude that.
    let asks = scratch.dir == scratch.flow.initiator && may_be(scratch, Protocol::Opaque as u8);
    if asks && is_request(skb, scratch) {
        scratch.expected = Expected::transfer(&scratch.frame, scratch.flow.edge, scratch.now);
        keep(scratch, src);
    }
}

#[inline(always)]
fn is_request(skb: &Skb, scratch: &mut Scratch) -> bool {
    scratch.tftp = Request::NEW;
    read(skb, scratch, take_request);
    scratch.tftp.asks()
}

/// Puts `scratch.expected` where the device expects such.
#[inline(never)]
fn keep(scratch: &Scratch, device: PrincipalId) {
    let place = Expected::place(&scratch.expected.addr, scratch.expected.port);
    // A table that is busy forgets a question, as the network may.
    let _ = EXPECTED.insert(&ExpectedKey { device, place }, &scratch.expected, BPF_ANY as u64);
}

/// Keeps the ports that a connection of RTSP names: first its client, then its server with its own.
#[inline(always)]
fn control(skb: &Skb, scratch: &mut Scratch) {
    let edge = scratch.flow.edge;
    if !is_rtsp(edge.port) {
        return;
    }
    scratch.rtsp = Rtsp::NEW;
    scratch.end = scratch.frame.payload.wrapping_add(scratch.frame.payload_len);
    read(skb, scratch, take_message);
    let message = scratch.rtsp.message();
    let [first, second] = scratch.rtsp.named();
    if scratch.dir == scratch.flow.initiator {
        if message == Message::Setup {
            setup(scratch, edge, first);
            setup(scratch, edge, second);
        }
    } else if message == Message::Agreed {
        agree(scratch, edge, first);
        agree(scratch, edge, second);
    }
}

#[inline(never)]
fn setup(scratch: &mut Scratch, edge: EdgeKey, named: Named) {
    if named.client != 0 {
        scratch.expected = Expected::setup(&scratch.frame, edge, named.client, scratch.now);
        keep(scratch, edge.src);
    }
}

#[inline(never)]
fn agree(scratch: &mut Scratch, edge: EdgeKey, named: Named) {
    let asked = named.server != 0 && recall(scratch, edge.src, scratch.frame.dst, named.client);
    if asked && scratch.expected.is_agreed_by(&scratch.frame, named.client) {
        scratch.expected = scratch.expected.agreed(named.server, scratch.now);
        keep(scratch, edge.src);
    }
}

/// A round of the loop.
type Round = unsafe extern "C" fn(u32, *mut c_void) -> i64;

/// What it needs; lives on the stack of the program.
struct Walk {
    skb: *const c_void,
    scratch: *mut Scratch,
}

/// Reads what the frame at hand carries, up to `scratch.end` or to where that says enough.
#[inline(always)]
fn read(skb: &Skb, scratch: &mut Scratch, round: Round) {
    scratch.at = scratch.frame.payload;
    let mut walk = Walk { skb: skb.raw().cast(), scratch: &raw mut *scratch };
    // SAFETY: the callback has the signature that the helper calls.
    unsafe { bpf_loop(ROUNDS, round as *mut c_void, (&raw mut walk).cast(), 0) };
}

#[inline(never)]
unsafe extern "C" fn take_request(_index: u32, walk: *mut c_void) -> i64 {
    // SAFETY: the helper passes what `read` gave it.
    unsafe { window(walk, |scratch, byte| scratch.tftp.step(byte)) }
}

#[inline(never)]
unsafe extern "C" fn take_message(_index: u32, walk: *mut c_void) -> i64 {
    // SAFETY: as above.
    unsafe { window(walk, |scratch, byte| scratch.rtsp.step(byte)) }
}

/// Takes up to [`WINDOW`] bytes.
///
/// # Safety
///
/// `walk` is what `read` gave to the loop.
#[inline(always)]
unsafe fn window(walk: *mut c_void, step: impl Fn(&mut Scratch, u8) -> bool) -> i64 {
    // SAFETY: as above.
    let walk = unsafe { &*walk.cast::<Walk>() };
    // SAFETY: as above; the caller does not touch it during the loop.
    let scratch = unsafe { &mut *walk.scratch };
    let left = scratch.end.wrapping_sub(scratch.at);
    let length = if left < WINDOW as u32 { left } else { WINDOW as u32 };
    if !copy(walk.skb, scratch.at, &mut scratch.question, length) {
        return 1;
    }
    scratch.at += length;
    let mut i = 0;
    while i < u64::from(length) {
        // Hidden, so that LLVM keeps the check: the verifier of Linux 6.1 does not compare `i` with `length`.
        let at = opaque(i);
        if at >= WINDOW as u64 {
            break;
        }
        i += 1;
        let byte = scratch.question[at as usize];
        if !step(scratch, byte) {
            return 1;
        }
    }
    0
}
