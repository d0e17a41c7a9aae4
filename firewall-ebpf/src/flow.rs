//! Connections: opened by an edge, kept by their own order, ended by a decision, a close or time.
//!
//! Half-open connections live in a least-recently-used table, established ones in one where a flood cannot evict them:
//! only an answer of the other end brings a connection there. Every frame asks for its edge again, so a decision ends
//! running connections without the daemon.

use core::ffi::c_void;

use aya_ebpf::bindings::{BPF_ANY, BPF_NOEXIST};
use aya_ebpf::helpers::generated::{bpf_for_each_map_elem, bpf_get_prandom_u32};
use aya_ebpf::macros::map;
use aya_ebpf::maps::{Array, HashMap, LruHashMap};
use firewall_common::abi::{
    self, Addr, EdgeKey, Flow, FlowKey, FlowState, Kind, Limit, Pass, PrincipalId, Protocol, capacity,
};
use firewall_common::precedence::Outcome;
use firewall_common::reason::{Reason, Verdict};
use firewall_common::wire::Bytes;
use firewall_common::wire::essential::{Essential, OPENING};
use firewall_common::wire::frame::{proto, tcp};
use firewall_common::wire::stream::Starts;

use crate::bytes::{Skb, copy, is_present};
use crate::edge::{self, Use};
use crate::hook::{Answer, Next, Permit, Stop, stopped};
use crate::scratch::Scratch;
use crate::stream::Segment;
use crate::stream::machine::Round;
use crate::{atomic, essential, meter, observe, pass, stream, words};

/// Written by the kernel.
#[map]
static FLOWS: HashMap<FlowKey, Flow> = HashMap::with_max_entries(capacity::FLOWS, 0);

/// Written by the kernel.
#[map]
static HALF_OPEN: LruHashMap<FlowKey, Flow> = LruHashMap::with_max_entries(capacity::HALF_OPEN, 0);

/// Boot-time nanoseconds of the last sweep. Written by the kernel.
#[map]
static SWEPT: Array<u64> = Array::with_max_entries(1, 0);

const SECOND: u64 = 1_000_000_000;
/// Connections that are not looked into.
const OPAQUE: u8 = Protocol::Opaque as u8;
/// An established TCP connection without a frame (RFC 5382, REQ-5).
const TCP_IDLE: u64 = 7_440 * SECOND;
/// A datagram flow that was answered (RFC 4787, REQ-5).
const DATAGRAM_IDLE: u64 = 300 * SECOND;
/// A closing TCP connection, and everything that was not answered.
const SHORT_IDLE: u64 = 60 * SECOND;
/// New connections sweep the table so often, and at most so often when it or a quota is full.
const SWEEP_AT_REST: u64 = 60 * SECOND;
const SWEEP_WHEN_FULL: u64 = SECOND;

/// What a frame whose connection may go on is given.
const PASS: Next = Next::Pass(Permit::Judged);

/// What becomes of a frame of a connection that was judged in full a moment ago; nothing where it has to be again.
#[inline(always)]
pub fn again(scratch: &mut Scratch) -> Option<Next> {
    let is_tcp = scratch.frame.proto == proto::TCP;
    if !is_tcp && scratch.frame.proto != proto::UDP || is_tcp && scratch.frame.flags & tcp::SYN != 0 {
        return None;
    }
    find_key(scratch);
    let entry = FLOWS.get_ptr(&scratch.flow_key)?;
    // SAFETY: the slot stays mapped while the program runs. One that is given to another connection meanwhile holds a pass
    // of this very sender at this very place, or none that fits.
    let flow = unsafe { &*entry };
    if !pass::holds(scratch, flow) {
        return None;
    }
    let is_opaque = flow.protocol == OPAQUE;
    if is_opaque && is_tcp && ends(scratch) || !is_opaque && !is_tcp {
        return None;
    }
    // What is too much is told of by who judges in full.
    if !meter::take(scratch, flow.limit, scratch.dir == flow.initiator, messages(scratch, flow)) {
        return None;
    }
    if is_opaque {
        return Some(PASS);
    }
    // SAFETY: as above.
    unsafe { words::copy(&mut scratch.flow, entry) };
    // Most segments need no time.
    scratch.now = 0;
    let by_initiator = scratch.dir == scratch.flow.initiator;
    let EdgeKey { src, dst, .. } = scratch.flow.edge;
    (scratch.src, scratch.dst) = if by_initiator { (src, dst) } else { (dst, src) };
    scratch.client = by_initiator as u8;
    Some(Next::Segment)
}

/// Takes the frame at hand, which its edge lets pass, from what the edge may carry; whether it may go on.
#[inline(always)]
pub fn measure(scratch: &mut Scratch) -> bool {
    let by_initiator = scratch.dir == scratch.flow.initiator;
    if meter::take(scratch, scratch.limit, by_initiator, messages(scratch, &scratch.flow)) {
        return true;
    }
    meter::over(scratch.limit);
    observe::edge(scratch, scratch.flow.edge, stopped(scratch), Reason::RateExceeded);
    scratch.audit != 0
}

/// How many messages a frame is that no machine reads.
#[inline(always)]
fn messages(scratch: &Scratch, flow: &Flow) -> u64 {
    let is_read = scratch.frame.proto == proto::TCP && flow.protocol != OPAQUE;
    u64::from(scratch.frame.payload_len != 0 && !is_read)
}

/// Judges the frame at hand by its connection and edge.
#[inline(always)]
pub fn judge(scratch: &mut Scratch) -> Result<Next, Stop> {
    scratch.limit = Limit::NONE;
    find_key(scratch);
    let is_tcp = scratch.frame.proto == proto::TCP;
    let opens = is_tcp && scratch.frame.flags & (tcp::SYN | tcp::ACK) == tcp::SYN;
    if let Some(entry) = FLOWS.get_ptr_mut(&scratch.flow_key) {
        // SAFETY: copied at once; the slot stays mapped while the program runs.
        unsafe { words::copy(&mut scratch.flow, entry) };
        // Not by a copy of the first frame that comes late.
        let first = scratch.flow.next[usize::from(scratch.dir & 1)];
        let again = scratch.frame.seq.wrapping_add(scratch.frame.seq_len()) == first;
        let reopened = opens && scratch.dir == scratch.flow.initiator && !again;
        if !expired(&scratch.flow, scratch.frame.proto, scratch.now) && !reopened {
            return established(scratch, entry);
        }
        forget(&scratch.flow_key, &scratch.flow);
    }
    if let Some(entry) = HALF_OPEN.get_ptr_mut(&scratch.flow_key) {
        // SAFETY: as above.
        unsafe { words::copy(&mut scratch.flow, entry) };
        // What was not judged as an essential is no part of one.
        let beside = scratch.flow.essential != 0 && scratch.dir == scratch.flow.initiator;
        if !expired(&scratch.flow, scratch.frame.proto, scratch.now) && !beside {
            return if is_tcp { handshake(scratch, opens) } else { exchange(scratch).map(|()| PASS) };
        }
    }
    let result = if is_tcp && !opens { midstream(scratch) } else { open(scratch) };
    result.map(|()| PASS)
}

/// Whether the datagram at hand belongs to a connection.
#[inline(never)]
pub fn is_known(scratch: &mut Scratch) -> bool {
    find_key(scratch);
    is_live(FLOWS.get_ptr(&scratch.flow_key), proto::UDP, scratch.now)
        || is_live(HALF_OPEN.get_ptr(&scratch.flow_key), proto::UDP, scratch.now)
}

/// Whether the connection of TCP with this key goes on.
#[inline(never)]
pub fn goes_on(key: &FlowKey, now: u64) -> bool {
    is_live(FLOWS.get_ptr(key), proto::TCP, now)
}

#[inline(always)]
fn is_live(entry: Option<*const Flow>, proto: u8, now: u64) -> bool {
    match entry {
        // SAFETY: the slot stays mapped while the program runs; of one that is given to another connection meanwhile,
        // nothing is used but how old it is.
        Some(entry) => unsafe { (*entry).state != FlowState::Closing as u8 && !expired(&*entry, proto, now) },
        None => false,
    }
}

/// Judges the datagram at hand, which belongs to no connection and makes none, by this edge.
#[inline(never)]
pub fn alone(scratch: &mut Scratch, key: EdgeKey) -> Result<Next, Stop> {
    let edge = ask(scratch, key, Use::Take)?;
    scratch.flow = fresh(scratch, key, first_protocol(&key, edge.unwrap_or(0)));
    Ok(PASS)
}

/// Opens a flow of datagrams that follows from what was said on this edge, whose source has this direction.
#[inline(never)]
pub fn join(scratch: &mut Scratch, key: EdgeKey, initiator: u8) -> Result<Next, Stop> {
    ask(scratch, key, Use::Taken)?;
    essential::take(scratch, Essential::Opening, OPENING)?;
    if let Some(entry) = FLOWS.get_ptr(&scratch.flow_key) {
        // SAFETY: copied at once; the slot stays mapped while the program runs. It has expired, or it would have been
        // found.
        unsafe { words::copy(&mut scratch.flow, entry) };
        forget(&scratch.flow_key, &scratch.flow);
    }
    scratch.flow = fresh(scratch, key, OPAQUE);
    scratch.flow.initiator = initiator;
    scratch.flow.state = FlowState::Related as u8;
    store(scratch)?;
    match FLOWS.get_ptr_mut(&scratch.flow_key) {
        Some(entry) => established(scratch, entry),
        None => Err(Reason::Busy.into()),
    }
}

/// Lets an essential through whose replies must find their way back.
#[inline(never)]
pub fn essential(scratch: &mut Scratch) -> Result<Next, Stop> {
    find_key(scratch);
    let mut waiting = [0; 2];
    if let Some(entry) = HALF_OPEN.get_ptr(&scratch.flow_key) {
        // SAFETY: copied at once; the slot stays mapped while the program runs.
        waiting = unsafe { (*entry).next };
    } else {
        essential::take(scratch, Essential::Opening, OPENING)?;
    }
    scratch.flow = fresh(scratch, edge_key(scratch), OPAQUE);
    scratch.flow.essential = 1;
    scratch.flow.next = essential::asked(scratch, waiting);
    scratch.flow.state = FlowState::Answered as u8;
    keep(scratch).map(|()| PASS)
}

/// Stops the frame at hand, and with it its connection: a running one over TCP is reset at both ends, once. Without one
/// not even a reset passes, whose numbers the sender would choose.
#[inline(never)]
pub fn end(scratch: &mut Scratch, reason: Reason) -> Stop {
    find_key(scratch);
    let Some(entry) = FLOWS.get_ptr_mut(&scratch.flow_key) else { return reason.into() };
    // SAFETY: copied at once; the slot stays mapped while the program runs.
    unsafe { words::copy(&mut scratch.flow, entry) };
    if scratch.audit == 0 {
        forget(&scratch.flow_key, &scratch.flow);
    }
    let answer = if scratch.frame.proto == proto::TCP { Answer::ResetBoth } else { Answer::Silent };
    Stop { reason, answer }
}

/// Writes the key of the frame's connection: both directions have the same.
#[inline(always)]
fn find_key(scratch: &mut Scratch) {
    let frame = &scratch.frame;
    let from = (&frame.src, frame.src_port);
    let from_low = write_key(&mut scratch.flow_key, from, (&frame.dst, frame.dst_port), frame.proto);
    scratch.dir = !from_low as u8;
}

/// Writes the key of the connection between two ends; whether the first one comes first in it.
#[inline(always)]
pub fn write_key(key: &mut FlowKey, from: (&Addr, u16), to: (&Addr, u16), proto: u8) -> bool {
    let from_low = is_lower(from.0, from.1, to.0, to.1);
    // Field by field: what lies between them stays zero, as it was made.
    let (low, high) = if from_low { (&mut key.low, &mut key.high) } else { (&mut key.high, &mut key.low) };
    (*low, *high) = (*from.0, *to.0);
    (key.low_port, key.high_port) = if from_low { (from.1, to.1) } else { (to.1, from.1) };
    key.proto = proto;
    from_low
}

#[inline(always)]
fn is_lower(a: &Addr, a_port: u16, b: &Addr, b_port: u16) -> bool {
    let (a_high, a_low) = halves(a);
    let (b_high, b_low) = halves(b);
    if a_high != b_high {
        return a_high < b_high;
    }
    if a_low != b_low {
        return a_low < b_low;
    }
    a_port <= b_port
}

#[inline(always)]
fn halves(addr: &Addr) -> (u64, u64) {
    let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = addr.0;
    (u64::from_be_bytes([a, b, c, d, e, f, g, h]), u64::from_be_bytes([i, j, k, l, m, n, o, p]))
}

/// The edge that the frame at hand asks for.
#[inline(always)]
fn edge_key(scratch: &Scratch) -> EdgeKey {
    let frame = &scratch.frame;
    let port = match frame.proto {
        proto::ICMP | proto::ICMP6 => u16::from(frame.flags),
        _ => frame.dst_port,
    };
    EdgeKey { src: scratch.src, dst: scratch.dst, port, proto: frame.proto, kind: Kind::Transport as u8 }
}

/// The first frame of a connection, or one more of a datagram flow without an answer.
#[inline(always)]
fn open(scratch: &mut Scratch) -> Result<(), Stop> {
    let key = edge_key(scratch);
    let edge = ask(scratch, key, Use::Take)?;
    let protocol = first_protocol(&key, edge.unwrap_or(0));
    // Data on a SYN (RFC 7413) would be delivered before its sequence is known.
    if key.proto == proto::TCP && protocol != OPAQUE && scratch.frame.payload_len != 0 {
        return Err(Reason::Malformed.into());
    }
    essential::take(scratch, Essential::Opening, OPENING)?;
    scratch.flow = fresh(scratch, key, protocol);
    keep(scratch)
}

/// What a connection speaks, if its edge makes that certain before its first byte.
#[inline(always)]
fn first_protocol(key: &EdgeKey, speaks: u16) -> u8 {
    const OPAQUE_BIT: u16 = Protocol::Opaque.bit();
    const MODBUS: u16 = Protocol::Modbus.bit();
    const COAP: u16 = Protocol::Coap.bit();
    match (key.proto, speaks) {
        (proto::TCP | proto::UDP, OPAQUE_BIT) => OPAQUE,
        (proto::UDP, COAP) => Protocol::Coap as u8,
        (proto::UDP, _) => Flow::UNDECIDED,
        // Any byte may begin a message of Modbus. What begins otherwise than the edge expects is told as what it is.
        (proto::TCP, MODBUS) => Protocol::Modbus as u8,
        (proto::TCP, _) => Flow::UNDECIDED,
        _ => OPAQUE,
    }
}

/// Asks the model for an edge; the answer is what an existing one may speak.
#[inline(never)]
fn ask(scratch: &mut Scratch, key: EdgeKey, using: Use) -> Result<Option<u16>, Stop> {
    let edge = edge::lookup(&key);
    let state = edge::state(edge.map(|edge| edge.rule), using, scratch.now);
    match edge::decide(key.src, key.dst, edge::unless_banned(key.src, key.dst, state, scratch.now)) {
        Outcome::Pass => {}
        Outcome::Learn => {
            if using == Use::Take {
                observe::edge(scratch, key, Verdict::Forwarded, Reason::Learned);
            }
        }
        Outcome::Stop(reason) => {
            observe::edge(scratch, key, stopped(scratch), reason);
            if scratch.audit == 0 {
                return Err(Stop { reason, answer: Answer::Refuse });
            }
        }
    }
    scratch.deadline = edge.map_or(0, |edge| edge.rule.deadline);
    scratch.limit = edge.map_or(Limit::NONE, |edge| edge.limit);
    Ok(edge.map(|edge| edge.speaks))
}

#[inline(always)]
fn is_mqtt_port(scratch: &Scratch, port: u16) -> bool {
    let [a, b, c, d] = scratch.config.mqtt_ports;
    port != 0 && (port == a || port == b || port == c || port == d)
}

#[inline(always)]
fn fresh(scratch: &Scratch, edge: EdgeKey, protocol: u8) -> Flow {
    // SAFETY: the helper has no preconditions.
    let random = unsafe { bpf_get_prandom_u32() };
    let after = scratch.frame.seq.wrapping_add(scratch.frame.seq_len());
    // Not by index: the verifier refuses LLVM's arithmetic on an array on the stack.
    let next = if scratch.dir == 0 { [after, 0] } else { [0, after] };
    Flow {
        id: scratch.now << 24 ^ u64::from(random),
        seen: [scratch.now; 2],
        edge,
        next,
        created: (scratch.now / SECOND) as u32,
        ifindex: scratch.ifindex,
        initiator: scratch.dir,
        state: FlowState::Opening as u8,
        protocol,
        essential: 0,
        passes: [Pass::NONE; 2],
        limit: Limit::NONE,
    }
}

/// Stores `scratch.flow` as half-open.
#[inline(always)]
fn keep(scratch: &mut Scratch) -> Result<(), Stop> {
    match HALF_OPEN.insert(&scratch.flow_key, &scratch.flow, BPF_ANY as u64) {
        Ok(()) => Ok(()),
        Err(_) => Err(Reason::TableFull.into()),
    }
}

/// The frames of a TCP handshake (RFC 9293, section 3.5) after the first.
#[inline(always)]
fn handshake(scratch: &mut Scratch, opens: bool) -> Result<Next, Stop> {
    let (from, to) = (usize::from(scratch.dir & 1), usize::from(!scratch.dir & 1));
    let by_initiator = scratch.dir == scratch.flow.initiator;
    let frame = &scratch.frame;
    if frame.has(tcp::RST) {
        // Ends a connection that never was; the end that is reset checks the number itself.
        let _ = HALF_OPEN.remove(&scratch.flow_key);
        return Ok(PASS);
    }
    if by_initiator && opens {
        let again = scratch.flow.next[from] == frame.seq.wrapping_add(frame.seq_len());
        if !again {
            return open(scratch).map(|()| PASS);
        }
        return still_allowed(scratch).map(|()| PASS);
    }
    let answers = frame.flags & (tcp::SYN | tcp::ACK) == tcp::SYN | tcp::ACK;
    if !by_initiator && answers && frame.ack == scratch.flow.next[to] && frame.payload_len == 0 {
        scratch.flow.next[from] = frame.seq.wrapping_add(1);
        scratch.flow.state = FlowState::Answered as u8;
        scratch.flow.seen[from] = scratch.now;
        still_allowed(scratch)?;
        return keep(scratch).map(|()| PASS);
    }
    let third = by_initiator
        && scratch.flow.state == FlowState::Answered as u8
        && frame.has(tcp::ACK)
        && frame.ack == scratch.flow.next[to];
    if third {
        if frame.seq != scratch.flow.next[from] {
            return Err(Reason::StreamOrder.into());
        }
        return establish(scratch);
    }
    Err(Stop { reason: Reason::Midstream, answer: Answer::Refuse })
}

/// A further frame of a datagram flow that was not answered before, or the answer to an essential.
#[inline(always)]
fn exchange(scratch: &mut Scratch) -> Result<(), Stop> {
    scratch.flow.seen[usize::from(scratch.dir & 1)] = scratch.now;
    if scratch.flow.essential != 0 {
        let answered = essential::answered(scratch);
        // It stays here: a question and its answer need no room that others wait for.
        keep(scratch)?;
        return answered.map_err(Stop::from);
    }
    still_allowed(scratch)?;
    if scratch.dir == scratch.flow.initiator {
        return keep(scratch);
    }
    scratch.flow.state = FlowState::Answered as u8;
    meter::opened(scratch.limit);
    store(scratch)
}

/// Asks for the edge of a half-open connection again.
#[inline(always)]
fn still_allowed(scratch: &mut Scratch) -> Result<(), Stop> {
    ask(scratch, scratch.flow.edge, Use::Taken).map(|_| ())
}

/// The third frame of a handshake makes the connection.
#[inline(always)]
fn establish(scratch: &mut Scratch) -> Result<Next, Stop> {
    still_allowed(scratch)?;
    meter::opened(scratch.limit);
    scratch.flow.state = FlowState::Established as u8;
    scratch.flow.seen = [scratch.now; 2];
    store(scratch)?;
    if scratch.flow.protocol != OPAQUE {
        if let Err(reason) = stream::open(scratch) {
            forget(&scratch.flow_key, &scratch.flow);
            return Err(Stop { reason, answer: Answer::ResetBoth });
        }
    }
    // It may carry data already.
    match FLOWS.get_ptr_mut(&scratch.flow_key) {
        Some(entry) => established(scratch, entry),
        None => Err(Reason::Busy.into()),
    }
}

/// Moves `scratch.flow` to where a flood cannot evict it.
#[inline(never)]
fn store(scratch: &mut Scratch) -> Result<(), Stop> {
    let Some(usage) = observe::usage(scratch.flow.edge.src) else { return Err(Reason::Quota.into()) };
    sweep(scratch.now, SWEEP_AT_REST);
    // SAFETY: an array entry is always mapped.
    if unsafe { (*usage).flows } >= abi::FLOWS_PER_SOURCE {
        sweep(scratch.now, SWEEP_WHEN_FULL);
        // SAFETY: as above. Read anew: the sweep may have made room.
        if unsafe { core::ptr::read_volatile(&raw const (*usage).flows) } >= abi::FLOWS_PER_SOURCE {
            return Err(Stop { reason: Reason::Quota, answer: Answer::Refuse });
        }
    }
    if FLOWS.insert(&scratch.flow_key, &scratch.flow, BPF_NOEXIST as u64).is_err() {
        sweep(scratch.now, SWEEP_WHEN_FULL);
        if FLOWS.insert(&scratch.flow_key, &scratch.flow, BPF_NOEXIST as u64).is_err() {
            return Err(Stop { reason: Reason::TableFull, answer: Answer::Refuse });
        }
    }
    // SAFETY: as above.
    atomic::add(unsafe { &raw mut (*usage).flows }, 1);
    let _ = HALF_OPEN.remove(&scratch.flow_key);
    Ok(())
}

/// Removes a connection and all that hangs on it.
#[inline(never)]
fn forget(key: &FlowKey, flow: &Flow) {
    if FLOWS.remove(key).is_err() {
        return;
    }
    if let Some(usage) = observe::usage(flow.edge.src) {
        // SAFETY: an array entry is always mapped.
        atomic::add(unsafe { &raw mut (*usage).flows }, u64::MAX);
    }
    if key.proto == proto::TCP {
        stream::close(flow.id, flow.edge.src);
    }
}

/// Whether a connection has been silent for too long.
#[inline(always)]
fn expired(flow: &Flow, proto: u8, now: u64) -> bool {
    let [low, high] = flow.seen;
    let last = if low > high { low } else { high };
    let established = flow.state == FlowState::Established as u8 || flow.state == FlowState::Unsynced as u8;
    let idle = if proto == proto::TCP && established {
        TCP_IDLE
    } else if proto != proto::TCP && flow.state == FlowState::Answered as u8 {
        DATAGRAM_IDLE
    } else {
        SHORT_IDLE
    };
    now.wrapping_sub(last) > idle && now > last
}

/// A frame of a connection that both ends have spoken on.
#[inline(never)]
fn established(scratch: &mut Scratch, entry: *mut Flow) -> Result<Next, Stop> {
    resolve(scratch, entry);
    let by_initiator = scratch.dir == scratch.flow.initiator;
    let sender = if by_initiator { scratch.flow.edge.src } else { scratch.flow.edge.dst };
    if sender != scratch.src && edge::is_outside(sender) && edge::is_outside(scratch.src) {
        // The device knows the address by another name since; the connection stays what it was opened as.
        scratch.src = sender;
    }
    if sender != scratch.src {
        // The address has another holder than when it was opened.
        forget(&scratch.flow_key, &scratch.flow);
        return Err(Stop { reason: Reason::Midstream, answer: Answer::Refuse });
    }
    if let Err(stop) = ask(scratch, scratch.flow.edge, Use::Taken) {
        forget(&scratch.flow_key, &scratch.flow);
        return Err(ended(scratch, stop.reason));
    }
    let unsynced = scratch.flow.state == FlowState::Unsynced as u8;
    if unsynced && scratch.audit == 0 && !may_join(scratch, scratch.flow.edge) {
        forget(&scratch.flow_key, &scratch.flow);
        return Err(ended(scratch, Reason::Midstream));
    }
    // SAFETY: the slot stays mapped while the program runs. If the connection was removed meanwhile, a slot in use
    // again gets a time of now, which it would have anyway.
    let live = unsafe { &mut *entry };
    live.seen[usize::from(scratch.dir & 1)] = scratch.now;
    live.limit = scratch.limit;
    scratch.flow.limit = scratch.limit;
    if scratch.audit == 0 {
        pass::note(scratch, live, scratch.deadline);
    }
    if scratch.frame.proto != proto::TCP {
        return Ok(PASS);
    }
    let inspected = scratch.flow.protocol != OPAQUE && scratch.flow.state != FlowState::Unsynced as u8;
    if inspected {
        scratch.client = by_initiator as u8;
        return Ok(Next::Segment);
    }
    closing(scratch, live);
    Ok(PASS)
}

/// Judges the order of a frame within its connection. That it is there, the program before has seen.
#[inline(always)]
pub fn segment(skb: &Skb, scratch: &mut Scratch) -> Result<Next, Stop> {
    match stream::segment(skb, scratch) {
        Ok(Segment::Known) => {
            if ends(scratch) {
                close(scratch);
            }
            Ok(PASS)
        }
        Ok(Segment::Opaque) => {
            scratch.flow.protocol = OPAQUE;
            settle(scratch);
            Ok(PASS)
        }
        Ok(Segment::New(stage)) => Ok(Next::Said(stage)),
        Err(_) if is_opaque(scratch) => Ok(PASS),
        Err(stop) => Err(broken(scratch, stop)),
    }
}

/// Judges what the frame says within its connection.
#[inline(always)]
pub fn said(skb: &Skb, scratch: &mut Scratch, round: Round) -> Result<Next, Stop> {
    let was_undecided = scratch.flow.protocol == Flow::UNDECIDED;
    match stream::walk(skb, scratch, round) {
        Ok(()) => {
            if was_undecided {
                settle(scratch);
            } else if ends(scratch) {
                close(scratch);
            }
            Ok(PASS)
        }
        Err(_) if is_opaque(scratch) => Ok(PASS),
        Err(stop) => Err(broken(scratch, stop)),
    }
}

/// What the connection at hand speaks is known now. If nothing more of it is looked into, the room for its streams is free.
#[inline(never)]
fn settle(scratch: &mut Scratch) {
    let Some(entry) = FLOWS.get_ptr_mut(&scratch.flow_key) else { return };
    // SAFETY: as in `established`; one byte that only ever leaves `UNDECIDED`, or becomes opaque.
    unsafe { core::ptr::write_volatile(&raw mut (*entry).protocol, scratch.flow.protocol) };
    if scratch.flow.protocol == OPAQUE {
        stream::close(scratch.flow.id, scratch.flow.edge.src);
    }
    // SAFETY: as above.
    closing(scratch, unsafe { &mut *entry });
}

/// Whether another CPU has found meanwhile that nothing of the connection is looked into.
#[inline(never)]
fn is_opaque(scratch: &Scratch) -> bool {
    match FLOWS.get_ptr(&scratch.flow_key) {
        // SAFETY: the slot stays mapped while the program runs.
        Some(entry) => unsafe { core::ptr::read_volatile(&raw const (*entry).protocol) == OPAQUE },
        None => false,
    }
}

/// The connection at hand is one to another principal at the same address, by the name that it shows.
#[inline(never)]
pub fn turn(scratch: &mut Scratch, dst: PrincipalId) -> Result<(), Reason> {
    let key = EdgeKey { dst, ..scratch.flow.edge };
    edge::tell_time(scratch);
    if let Err(stop) = ask(scratch, key, Use::Take) {
        return Err(stop.reason);
    }
    scratch.flow.edge.dst = dst;
    scratch.flow.limit = scratch.limit;
    scratch.said.starts = Starts::NONE;
    if let Some(entry) = FLOWS.get_ptr_mut(&scratch.flow_key) {
        // SAFETY: as in `established`; a word each. What was found about the edge before does not hold for this one.
        unsafe {
            (*entry).edge.dst = dst;
            (*entry).limit = scratch.limit;
            (*entry).passes[0].until = 0;
            (*entry).passes[1].until = 0;
        }
    }
    Ok(())
}

/// Whether the frame at hand is a datagram whose words are judged.
#[inline(always)]
pub fn says_something(scratch: &Scratch) -> bool {
    scratch.frame.proto == proto::UDP && scratch.flow.protocol != OPAQUE
}

/// What the datagrams of the connection at hand speak is known now.
#[inline(always)]
pub fn decided(scratch: &Scratch) {
    let entry = match FLOWS.get_ptr_mut(&scratch.flow_key) {
        Some(entry) => entry,
        None => match HALF_OPEN.get_ptr_mut(&scratch.flow_key) {
            Some(entry) => entry,
            None => return,
        },
    };
    // SAFETY: the slot stays mapped while the program runs; one byte that only ever leaves `UNDECIDED`.
    unsafe { (*entry).protocol = scratch.flow.protocol };
}

/// A connection that is reset is forgotten.
#[inline(always)]
fn broken(scratch: &Scratch, stop: Stop) -> Stop {
    if stop.answer == Answer::ResetBoth && scratch.audit == 0 {
        forget(&scratch.flow_key, &scratch.flow);
    }
    stop
}

/// Whether the frame at hand says that an end is done.
#[inline(always)]
fn ends(scratch: &Scratch) -> bool {
    scratch.frame.flags & (tcp::FIN | tcp::RST) != 0
}

/// Notes that an end is done.
#[inline(always)]
fn closing(scratch: &Scratch, live: &mut Flow) {
    if ends(scratch) && live.state != FlowState::Unsynced as u8 {
        live.state = FlowState::Closing as u8;
    }
}

/// As [`closing`], where the connection has to be looked up for it.
#[inline(never)]
fn close(scratch: &Scratch) {
    if let Some(entry) = FLOWS.get_ptr_mut(&scratch.flow_key) {
        // SAFETY: as in `established`.
        closing(scratch, unsafe { &mut *entry });
    }
}

/// How a running connection ends: TCP at both ends.
#[inline(always)]
fn ended(scratch: &Scratch, reason: Reason) -> Stop {
    let answer = if scratch.frame.proto == proto::TCP { Answer::ResetBoth } else { Answer::Refuse };
    Stop { reason, answer }
}

/// An outside host may have got its number after the connection was opened.
#[inline(always)]
fn resolve(scratch: &mut Scratch, entry: *mut Flow) {
    let by_initiator = scratch.dir == scratch.flow.initiator;
    let (src, dst) = if by_initiator { (scratch.src, scratch.dst) } else { (scratch.dst, scratch.src) };
    // SAFETY: as in `established`.
    let live = unsafe { &mut *entry };
    if scratch.flow.edge.dst == PrincipalId::UNKNOWN && dst != PrincipalId::UNKNOWN {
        scratch.flow.edge.dst = dst;
        live.edge.dst = dst;
    }
    if scratch.flow.edge.src == PrincipalId::UNKNOWN && src != PrincipalId::UNKNOWN {
        // Its place in the quota of unnumbered hosts goes with it.
        if let (Some(old), Some(new)) = (observe::usage(PrincipalId::UNKNOWN), observe::usage(src)) {
            // SAFETY: an array entry is always mapped.
            atomic::add(unsafe { &raw mut (*old).flows }, u64::MAX);
            // SAFETY: as above.
            atomic::add(unsafe { &raw mut (*new).flows }, 1);
            if scratch.frame.proto == proto::TCP && live.protocol != OPAQUE {
                // SAFETY: as above.
                atomic::add(unsafe { &raw mut (*old).streams }, u64::MAX);
                // SAFETY: as above.
                atomic::add(unsafe { &raw mut (*new).streams }, 1);
            }
        }
        scratch.flow.edge.src = src;
        live.edge.src = src;
    }
}

/// Whether a connection on this edge may go on although its beginning was not seen: while its initiator learns, and not
/// where its stream would be inspected, which is opened anew so that what it says is learned too.
#[inline(always)]
fn may_join(scratch: &Scratch, edge: EdgeKey) -> bool {
    edge::learning(edge.src) && !is_mqtt_port(scratch, edge.port)
}

/// A TCP frame of a connection whose beginning was not seen: joined only while nothing is enforced for it.
#[inline(never)]
fn midstream(scratch: &mut Scratch) -> Result<(), Stop> {
    if scratch.frame.has(tcp::RST) {
        return Err(Reason::Midstream.into());
    }
    // Services have the lower port; a wrong guess is an edge more to look at, never one that passes.
    let mut key = edge_key(scratch);
    let by_initiator = scratch.frame.dst_port <= scratch.frame.src_port;
    if !by_initiator {
        key.src = scratch.dst;
        key.dst = scratch.src;
        key.port = scratch.frame.src_port;
    }
    let tolerated = scratch.audit != 0 || may_join(scratch, key);
    if !tolerated || ask(scratch, key, Use::Take).is_err() {
        return Err(Stop { reason: Reason::Midstream, answer: Answer::Refuse });
    }
    scratch.flow = fresh(scratch, key, OPAQUE);
    scratch.flow.initiator = if by_initiator { scratch.dir } else { 1 - (scratch.dir & 1) };
    scratch.flow.state = FlowState::Unsynced as u8;
    store(scratch)
}

/// Whether an ICMP error quotes a packet of a live connection of its receiver.
///
/// The fields of the frame become those of the quoted packet, so that its key is found as that of every other.
#[inline(never)]
pub fn quotes_live(skb: &Skb, scratch: &mut Scratch) -> bool {
    let at = scratch.frame.transport + 8;
    let receiver = scratch.frame.dst;
    let ports =
        if scratch.frame.version == 4 { quoted_v4(skb, scratch, at) } else { quoted_v6(skb, scratch, at) };
    if ports == 0 || scratch.frame.src != receiver || !quoted_ports(skb, scratch, ports) {
        return false;
    }
    find_key(scratch);
    is_present(FLOWS.get_ptr(&scratch.flow_key)) || is_present(HALF_OPEN.get_ptr(&scratch.flow_key))
}

/// Reads a quoted IPv4 header; returns the offset behind it, or 0.
#[inline(never)]
fn quoted_v4(skb: &Skb, scratch: &mut Scratch, at: u32) -> u32 {
    let Some([version, ..]) = skb.load::<4>(at) else { return 0 };
    let Some([_, proto, ..]) = skb.load::<4>(at + 8) else { return 0 };
    let Some(src) = skb.load::<4>(at + 12) else { return 0 };
    let Some(dst) = skb.load::<4>(at + 16) else { return 0 };
    scratch.frame.src = Addr::from_v4(src);
    scratch.frame.dst = Addr::from_v4(dst);
    scratch.frame.proto = proto;
    at + u32::from(version & 0x0f) * 4
}

/// Reads a quoted IPv6 header without extensions; returns the offset behind it, or 0.
#[inline(never)]
fn quoted_v6(skb: &Skb, scratch: &mut Scratch, at: u32) -> u32 {
    let Some([proto]) = skb.load::<1>(at + 6) else { return 0 };
    let skb = skb.raw().cast();
    if !copy(skb, at + 8, &mut scratch.frame.src.0, 16) || !copy(skb, at + 24, &mut scratch.frame.dst.0, 16) {
        return 0;
    }
    scratch.frame.proto = proto;
    at + 40
}

/// Reads the ports, or the identifier of an echo; false if they are cut off.
#[inline(never)]
fn quoted_ports(skb: &Skb, scratch: &mut Scratch, at: u32) -> bool {
    let Some([s0, s1, d0, d1, _, _, i0, i1]) = skb.load::<8>(at) else { return false };
    let (src_port, dst_port) = match scratch.frame.proto {
        proto::TCP | proto::UDP => ([s0, s1], [d0, d1]),
        proto::ICMP | proto::ICMP6 => ([i0, i1], [i0, i1]),
        _ => ([0; 2], [0; 2]),
    };
    scratch.frame.src_port = u16::from_be_bytes(src_port);
    scratch.frame.dst_port = u16::from_be_bytes(dst_port);
    true
}

/// Removes expired connections, unless that was done within the last `every` nanoseconds.
#[inline(never)]
fn sweep(now: u64, every: u64) {
    let Some(swept) = SWEPT.get_ptr_mut(0) else { return };
    // SAFETY: an array entry is always mapped; two CPUs at once sweep twice.
    let swept = unsafe { &mut *swept };
    if now.wrapping_sub(*swept) < every {
        return;
    }
    *swept = now;
    let mut now = now;
    let map = (&raw const FLOWS).cast_mut().cast::<c_void>();
    // SAFETY: the callback has the signature that the helper calls.
    unsafe { bpf_for_each_map_elem(map, sweep_one as *mut c_void, (&raw mut now).cast(), 0) };
}

#[inline(never)]
unsafe extern "C" fn sweep_one(
    _map: *mut c_void,
    key: *const FlowKey,
    flow: *mut Flow,
    now: *mut c_void,
) -> i64 {
    // SAFETY: the kernel passes a valid key, value and context.
    let (key, flow, now) = unsafe { (*key, *flow, *now.cast::<u64>()) };
    if expired(&flow, key.proto, now) {
        forget(&key, &flow);
    }
    0
}
