//! Facts and bells: what the model does not hold, and the balance of every hook.

use aya_ebpf::bindings::BPF_NOEXIST;
use aya_ebpf::macros::map;
use aya_ebpf::maps::{Array, HashMap, PerCpuArray, RingBuf};
use firewall_common::abi::{
    self, AddrKey, Bell, EdgeKey, Kind, Observed, ObservedKey, PrincipalId, Protocol, Ring, SHOWN, Shown,
    Usage, capacity, counter,
};
use firewall_common::reason::{Reason, Verdict};
use firewall_common::wire::Bytes;

use crate::bytes::{self, Skb};
use crate::scratch::Scratch;
use crate::{atomic, edge};

/// Written by the kernel; the daemon removes what it has stored.
#[map]
static OBSERVED: HashMap<ObservedKey, Observed> = HashMap::with_max_entries(capacity::OBSERVED, 0);

/// Written by the kernel, read by the daemon.
#[map]
static EVENTS: RingBuf = RingBuf::with_byte_size(abi::RING_BYTES, 0);

/// Written by the kernel.
#[map]
static COUNTERS: PerCpuArray<u64> = PerCpuArray::with_max_entries(counter::HOOKS * counter::SLOTS, 0);

/// Written by the kernel.
#[map]
static USAGE: Array<Usage> = Array::with_max_entries(capacity::USAGE, 0);

/// Written by the daemon: how many entries of `OBSERVED` it has removed, by source.
#[map]
static DRAINED: Array<u64> = Array::with_max_entries(capacity::DRAINED, 0);

/// Counts in this hook's balance.
#[inline(always)]
pub fn count(hook: u32, slot: u32) {
    if let Some(counter) = COUNTERS.get_ptr_mut(hook * counter::SLOTS + slot) {
        // SAFETY: per CPU, and programs of one hook do not interrupt each other.
        unsafe { *counter += 1 };
    }
}

/// Counts a frame that goes no further.
#[inline(always)]
pub fn count_dropped(hook: u32, reason: Reason) {
    count(hook, counter::DROPPED + reason as u32);
}

/// What a principal holds of the shared tables.
#[inline(always)]
pub fn usage(principal: PrincipalId) -> Option<*mut Usage> {
    USAGE.get_ptr_mut(principal.0)
}

/// Records a transport or link edge; the address of an end that has no number makes it findable.
#[inline(always)]
pub fn edge(scratch: &mut Scratch, edge: EdgeKey, verdict: Verdict, reason: Reason) {
    scratch.observed_key = ObservedKey { addr: unnumbered(scratch, edge), object: 0, edge, _pad: 0 };
    scratch.observed.object_len = 0;
    record(scratch, verdict, reason);
}

/// Records an operation within a stream; its object is that of the stream's machine.
#[inline(always)]
pub fn operation(scratch: &mut Scratch, kind: Kind, object: u64, verdict: Verdict, reason: Reason) {
    let mut edge = scratch.flow.edge;
    edge.kind = kind as u8;
    scratch.observed_key = ObservedKey { addr: unnumbered(scratch, edge), object, edge, _pad: 0 };
    let (bytes, length) = scratch.said.object.buffer();
    scratch.observed.object = *bytes;
    scratch.observed.object_len = length;
    record(scratch, verdict, reason);
}

/// Records what a connection speaks; the number of the [`Protocol`] stands for a hash.
#[inline(always)]
pub fn speaks(scratch: &mut Scratch, protocol: u8, verdict: Verdict, reason: Reason) {
    let mut edge = scratch.flow.edge;
    edge.kind = Kind::Speaks as u8;
    scratch.observed_key =
        ObservedKey { addr: unnumbered(scratch, edge), object: u64::from(protocol), edge, _pad: 0 };
    let (name, length) = name(protocol);
    let mut i = 0;
    while i < name.len() {
        scratch.observed.object[i] = name[i];
        i += 1;
    }
    scratch.observed.object_len = length;
    record(scratch, verdict, reason);
}

/// [`Protocol::as_str`] and its length, for what the kernel recognises.
#[inline(never)]
fn name(protocol: u8) -> ([u8; 16], u16) {
    match Protocol::from_code(protocol) {
        Some(Protocol::Mqtt) => (*b"mqtt\0\0\0\0\0\0\0\0\0\0\0\0", 4),
        Some(Protocol::Tls) => (*b"tls\0\0\0\0\0\0\0\0\0\0\0\0\0", 3),
        Some(Protocol::Http) => (*b"http\0\0\0\0\0\0\0\0\0\0\0\0", 4),
        Some(Protocol::Modbus) => (*b"modbus\0\0\0\0\0\0\0\0\0\0", 6),
        Some(Protocol::Coap) => (*b"coap\0\0\0\0\0\0\0\0\0\0\0\0", 4),
        Some(Protocol::Dns) => (*b"dns\0\0\0\0\0\0\0\0\0\0\0\0\0", 3),
        Some(Protocol::Ntp) => (*b"ntp\0\0\0\0\0\0\0\0\0\0\0\0\0", 3),
        Some(Protocol::Ssdp) => (*b"ssdp\0\0\0\0\0\0\0\0\0\0\0\0", 4),
        Some(Protocol::Dtls) => (*b"dtls\0\0\0\0\0\0\0\0\0\0\0\0", 4),
        Some(Protocol::Quic) => (*b"quic\0\0\0\0\0\0\0\0\0\0\0\0", 4),
        Some(Protocol::Websocket) => (*b"websocket\0\0\0\0\0\0\0", 9),
        _ => (*b"opaque\0\0\0\0\0\0\0\0\0\0", 6),
    }
}

/// Records the name that a question is about, which is the object at hand. Whoever is asked stands for the site.
#[inline(always)]
pub fn question(scratch: &mut Scratch, verdict: Verdict, reason: Reason) {
    let edge = EdgeKey {
        src: scratch.src,
        dst: PrincipalId::SELF,
        port: scratch.frame.dst_port,
        proto: scratch.frame.proto,
        kind: Kind::Resolve as u8,
    };
    let object = scratch.said.object.hash();
    scratch.observed_key = ObservedKey { addr: abi::Addr([0; 16]), object, edge, _pad: 0 };
    let (bytes, length) = scratch.said.object.buffer();
    scratch.observed.object = *bytes;
    scratch.observed.object_len = length;
    record(scratch, verdict, reason);
}

/// Records that a server refused the login of the connection's client; the rule of its client id stands for a hash.
#[inline(always)]
pub fn login_failed(scratch: &mut Scratch) {
    let mut edge = scratch.flow.edge;
    edge.kind = Kind::LoginFailed as u8;
    scratch.observed_key =
        ObservedKey { addr: unnumbered(scratch, edge), object: u64::from(scratch.asker), edge, _pad: 0 };
    scratch.observed.object_len = 0;
    record(scratch, Verdict::Forwarded, Reason::LoginFailed);
}

/// The address of the end of an edge that is not registered: the destination's, or else the source's.
#[inline(always)]
fn unnumbered(scratch: &Scratch, edge: EdgeKey) -> abi::Addr {
    let forward = scratch.src == edge.src;
    let (src, dst) =
        if forward { (scratch.frame.src, scratch.frame.dst) } else { (scratch.frame.dst, scratch.frame.src) };
    if edge.dst == PrincipalId::UNKNOWN {
        dst
    } else if edge.src == PrincipalId::UNKNOWN {
        src
    } else {
        abi::Addr([0; 16])
    }
}

/// Writes `scratch.observed_key` with the object in `scratch.observed`, and rings if the daemon does not know it.
#[inline(never)]
pub fn record(scratch: &mut Scratch, verdict: Verdict, reason: Reason) {
    edge::tell_time(scratch);
    if let Some(known) = OBSERVED.get_ptr_mut(&scratch.observed_key) {
        // SAFETY: the entry stays mapped while the program runs; a lost update of `last` loses nothing.
        let known = unsafe { &mut *known };
        atomic::add(&mut known.count, 1);
        known.last = scratch.now;
        known.ifindex = scratch.ifindex;
        if known.verdict == verdict as u8 && known.reason == reason as u8 {
            count(scratch.hook, counter::EVENTS_PRODUCED);
            count(scratch.hook, counter::EVENTS_SUPPRESSED);
            return;
        }
        known.verdict = verdict as u8;
        known.reason = reason as u8;
    } else {
        let src = scratch.observed_key.edge.src;
        let kept = match (usage(src), DRAINED.get(src.0)) {
            (Some(usage), Some(drained)) => {
                // SAFETY: as above.
                let made = unsafe { (*usage).observed };
                made.wrapping_sub(*drained) < abi::OBSERVED_PER_SOURCE
            }
            _ => false,
        };
        if !kept {
            fold(scratch, verdict, reason);
            return;
        }
        scratch.observed.count = 1;
        scratch.observed.first = scratch.now;
        scratch.observed.last = scratch.now;
        scratch.observed.verdict = verdict as u8;
        scratch.observed.reason = reason as u8;
        scratch.observed.ifindex = scratch.ifindex;
        if OBSERVED.insert(&scratch.observed_key, &scratch.observed, BPF_NOEXIST as u64).is_err() {
            fold(scratch, verdict, reason);
            return;
        }
        if let Some(usage) = usage(src) {
            // SAFETY: as above.
            atomic::add(unsafe { &raw mut (*usage).observed }, 1);
        }
    }
    ring_observed(scratch, verdict, reason);
}

/// Over the quota: one entry per source holds the count of all that has no entry of its own.
#[inline(always)]
fn fold(scratch: &mut Scratch, verdict: Verdict, reason: Reason) {
    let src = scratch.observed_key.edge.src;
    let edge = EdgeKey { src, dst: PrincipalId::UNKNOWN, port: 0, proto: 0, kind: Kind::Overflow as u8 };
    scratch.observed_key = ObservedKey { addr: abi::Addr([0; 16]), object: 0, edge, _pad: 0 };
    if let Some(known) = OBSERVED.get_ptr_mut(&scratch.observed_key) {
        // SAFETY: as above.
        let known = unsafe { &mut *known };
        atomic::add(&mut known.count, 1);
        known.last = scratch.now;
        count(scratch.hook, counter::EVENTS_PRODUCED);
        count(scratch.hook, counter::EVENTS_SUPPRESSED);
        return;
    }
    scratch.observed.count = 1;
    scratch.observed.first = scratch.now;
    scratch.observed.last = scratch.now;
    scratch.observed.verdict = verdict as u8;
    scratch.observed.reason = reason as u8;
    scratch.observed.object_len = 0;
    // A full table still counts in the hook's balance.
    let _ = OBSERVED.insert(&scratch.observed_key, &scratch.observed, BPF_NOEXIST as u64);
    ring_observed(scratch, verdict, reason);
}

#[inline(always)]
fn ring_observed(scratch: &mut Scratch, verdict: Verdict, reason: Reason) {
    let (verdict, reason) = (verdict as u8, reason as u8);
    let ring = Ring::Observed as u8;
    // Not on the stack: this is called from the depth of the stream programs.
    scratch.bell = Bell { key: scratch.observed_key, at: scratch.now, ring, verdict, reason, _pad: [0; 5] };
    scratch.news = (verdict != Verdict::Forwarded as u8) as u8;
    self::ring(scratch.hook, &scratch.bell);
}

/// Shows the daemon the frame that has just rung. Where there is no room it does without.
#[inline(always)]
pub fn show(skb: &Skb, scratch: &Scratch) {
    let Some(mut event) = EVENTS.reserve::<Shown>(0) else { return };
    let length = skb.len();
    let kept = if length < SHOWN as u32 { length } else { SHOWN as u32 };
    // SAFETY: the place is ours until it is submitted or discarded, and every field of it is written.
    let shown = unsafe { &mut *event.as_mut_ptr() };
    (shown.key, shown.at, shown.length, shown.kept) = (scratch.observed_key, scratch.now, length, kept);
    shown.bytes = [0; SHOWN];
    if bytes::copy(skb.raw().cast(), 0, &mut shown.bytes, kept) {
        event.submit(0);
    } else {
        event.discard(0);
    }
}

/// Wakes the daemon.
#[inline(never)]
fn ring(hook: u32, bell: &Bell) {
    count(hook, counter::EVENTS_PRODUCED);
    match EVENTS.reserve::<Bell>(0) {
        Some(mut event) => {
            event.write(*bell);
            event.submit(0);
        }
        None => count(hook, counter::EVENTS_LOST),
    }
}

/// Wakes the daemon for an address or a sender.
#[inline(always)]
pub fn notify(scratch: &Scratch, ring: Ring, key: ObservedKey) {
    let bell = Bell { key, at: scratch.now, ring: ring as u8, verdict: 0, reason: 0, _pad: [0; 5] };
    self::ring(scratch.hook, &bell);
}

/// The key of an event that is about an address or a sender, not an edge.
#[inline(always)]
pub fn notice(addr: abi::Addr, principal: PrincipalId, port: u16) -> ObservedKey {
    let edge = EdgeKey { src: principal, dst: PrincipalId::UNKNOWN, port, proto: 0, kind: 0 };
    ObservedKey { addr, object: 0, edge, _pad: 0 }
}

/// The key under which an address is bound or hosted on this link.
#[inline(always)]
pub fn addr_key(addr: abi::Addr, link: u32) -> AddrKey {
    AddrKey { addr, link: if addr.is_link_local() { link } else { 0 } }
}
