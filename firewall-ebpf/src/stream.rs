//! Inspected streams: bytes in sequence, through the machine of their protocol, judged object by object.
//!
//! ```text
//! segment ─▶ pieces: checksum, same as before? ─▶ protocol's machine ─▶ objects judged ─▶ kept
//!   (first program)                                 (program of the protocol)
//! ```
//!
//! New bytes pass only as the next ones, and only if every object in them passes; what was said is kept only then, so a
//! dropped segment leaves no trace. Bytes that passed pass again only if they are the same, until their receiver has
//! acknowledged them: what it will read is what was judged, whatever is lost, repeated or forged on the way.
//!
//! A payload is not judged. Once a message has said how long its payload is, all of it is free: any bytes pass in its
//! place, in any order, and what is judged next begins behind it.
//!
//! The direction's lock is held from the first program to the end of the second.

use aya_ebpf::bindings::BPF_NOEXIST;
use aya_ebpf::macros::map;
use aya_ebpf::maps::HashMap;
use firewall_common::abi::{self, Flow, PrincipalId, Protocol, capacity, stage};
use firewall_common::reason::Reason;
use firewall_common::wire::Bytes;
use firewall_common::wire::frame::tcp;
use firewall_common::wire::stream::{Free, PAYLOAD, Stream, Streams, is_before};

use crate::bytes::Skb;
use crate::hook::{Answer, Stop};
use crate::scratch::Scratch;
use crate::{atomic, meter, observe, pass, words};

pub mod http;
pub mod judge;
pub mod machine;
pub mod modbus;
pub mod mqtt;
mod neutral;
pub mod pieces;
pub mod request;
mod shown;
pub mod tls;

use machine::Round;

/// By the number of the connection, which is sooner hashed than its key. Written by the kernel.
#[map]
static STREAMS: HashMap<u64, Streams> = HashMap::with_max_entries(capacity::STREAMS, 0);

/// Rounds that one direction may take in a second: four megabytes that are not payload, some 20,000 messages.
const ROUNDS_PER_SECOND: u32 = 262_144;
/// Segments in a row that repeat what was judged with other bytes, or in pieces that cannot be compared.
const STRIKES: u32 = 16;

/// Port of Modbus/TCP (IANA).
const MODBUS_PORT: u16 = 502;

/// Connections that are not looked into.
const OPAQUE: u8 = Protocol::Opaque as u8;
/// How requests of HTTP begin, mostly.
const METHODS: [[u8; 4]; 7] = [*b"GET ", *b"HEAD", *b"POST", *b"PUT ", *b"DELE", *b"OPTI", *b"PATC"];

/// Instead of a stage: there is nothing to judge.
const NO_STAGE: u32 = u32::MAX;

/// What becomes of a segment.
pub enum Segment {
    /// There is nothing in it that was not judged.
    Known,
    /// Its connection speaks nothing that is looked into.
    Opaque,
    /// It has new bytes for the program of this stage.
    New(u32),
}

/// Makes room for both directions of the connection in `scratch.flow`.
#[inline(never)]
pub fn open(scratch: &mut Scratch) -> Result<(), Reason> {
    let Some(usage) = observe::usage(scratch.flow.edge.src) else { return Err(Reason::Quota) };
    // SAFETY: an array entry is always mapped.
    if unsafe { (*usage).streams } >= abi::STREAMS_PER_SOURCE {
        return Err(Reason::Quota);
    }
    // SAFETY: as above.
    atomic::add(unsafe { &raw mut (*usage).streams }, 1);
    let [low, high] = scratch.flow.next;
    let [from_low, from_high] = &mut scratch.streams.0;
    from_low.begin(scratch.flow.id, low);
    from_high.begin(scratch.flow.id, high);
    match STREAMS.insert(scratch.flow.id, &scratch.streams, BPF_NOEXIST as u64) {
        Ok(()) => Ok(()),
        Err(_) => {
            // SAFETY: as above.
            atomic::add(unsafe { &raw mut (*usage).streams }, u64::MAX);
            Err(Reason::TableFull)
        }
    }
}

/// Gives the room of both directions back, if the connection has any.
#[inline(never)]
pub fn close(id: u64, src: PrincipalId) {
    if STREAMS.remove(id).is_err() {
        return;
    }
    if let Some(usage) = observe::usage(src) {
        // SAFETY: an array entry is always mapped.
        atomic::add(unsafe { &raw mut (*usage).streams }, u64::MAX);
    }
}

/// Both directions of the connection at hand.
#[inline(always)]
fn streams(scratch: &Scratch) -> Result<*mut Streams, Stop> {
    match STREAMS.get_ptr_mut(scratch.flow.id) {
        Some(streams) => Ok(streams),
        None => Err(Stop { reason: Reason::Midstream, answer: Answer::ResetBoth }),
    }
}

/// One of both directions.
#[inline(always)]
fn direction(streams: *mut Streams, dir: u8) -> *mut Stream {
    // SAFETY: the slot stays mapped while the program runs, and the index is 0 or 1.
    unsafe { (&raw mut (*streams).0).cast::<Stream>().add(usize::from(dir & 1)) }
}

/// Judges the order of the segment at hand. Where it has new bytes, the direction stays locked for the next program.
#[inline(always)]
pub fn segment(skb: &Skb, scratch: &mut Scratch) -> Result<Segment, Stop> {
    let frame = &scratch.frame;
    if frame.has(tcp::URG) {
        // Receivers do not agree on where urgent data is in the stream (RFC 6093).
        return Err(Stop { reason: Reason::Malformed, answer: Answer::ResetBoth });
    }
    if frame.has(tcp::SYN) {
        return handshake_again(scratch);
    }
    if frame.has(tcp::RST) {
        // Its receiver checks the number itself, and nothing here rests on it.
        return if frame.payload_len == 0 { Ok(Segment::Known) } else { Err(Reason::Malformed.into()) };
    }
    let streams = streams(scratch)?;
    if frame.has(tcp::ACK) {
        acknowledge(scratch, direction(streams, scratch.dir ^ 1));
    }
    if scratch.frame.seq_len() == 0 {
        // An acknowledgement, a keep-alive or a probe of a closed window carries nothing to judge.
        return Ok(Segment::Known);
    }
    let stream = direction(streams, scratch.dir);
    if scratch.flow.protocol == Protocol::Tls as u8 && is_veiled(streams, scratch) {
        return Ok(Segment::Opaque);
    }
    if is_free(scratch, stream) {
        return Ok(Segment::Known);
    }
    // SAFETY: the slot stays mapped while the program runs.
    let lock = unsafe { &raw mut (*stream).lock };
    if !atomic::try_lock(lock) {
        return Err(Reason::Busy.into());
    }
    // SAFETY: the lock is held, so the state is at rest, unless the slot has changed hands: then it has another owner.
    let result = in_order(skb, scratch, unsafe { &mut *stream });
    if !matches!(result, Ok(Segment::New(_))) {
        atomic::unlock(lock);
    }
    result
}

/// The part of a direction of this connection that is free; none if the slot has changed hands.
#[inline(always)]
fn free(scratch: &Scratch, stream: *mut Stream) -> Free {
    // SAFETY: the slot stays mapped while the program runs, and the part is one word. What is in it stays true for its
    // connection, and that it is this one's is looked at afterwards.
    unsafe {
        let word = core::ptr::read_volatile(&raw const (*stream).free);
        if (*stream).belongs_to(scratch.flow.id) { Free::unpack(word) } else { Free::NONE }
    }
}

/// Whether the whole segment is payload of a message that was judged. Where it ends the stream, its place counts.
#[inline(always)]
fn is_free(scratch: &Scratch, stream: *mut Stream) -> bool {
    let frame = &scratch.frame;
    !frame.has(tcp::FIN) && free(scratch, stream).has(frame.seq, frame.payload_len)
}

/// Longest part of a TLS stream that is free and ends: a record, or a field of a hello.
const RECORD: u32 = 0x1_0000;

/// Whether all that can be read of a TLS connection has been read and acknowledged: no repetition can replace it.
#[inline(always)]
fn is_veiled(streams: *mut Streams, scratch: &Scratch) -> bool {
    let client = direction(streams, scratch.flow.initiator);
    let free = free(scratch, client);
    // SAFETY: the slot stays mapped while the program runs; a word that only ever moves on.
    let acked = unsafe { core::ptr::read_volatile(&raw const (*client).acked) };
    free.len() > RECORD && !is_before(acked, free.from)
}

/// A frame of the handshake that comes again because its answer was lost.
#[inline(always)]
fn handshake_again(scratch: &Scratch) -> Result<Segment, Stop> {
    let first = scratch.flow.next[usize::from(scratch.dir & 1)];
    let again = scratch.frame.payload_len == 0 && scratch.frame.seq.wrapping_add(1) == first;
    if again { Ok(Segment::Known) } else { Err(Reason::Midstream.into()) }
}

/// Notes how far the receiver of the other direction is.
#[inline(always)]
fn acknowledge(scratch: &Scratch, other: *mut Stream) {
    let ack = scratch.frame.ack;
    // SAFETY: the slot stays mapped while the program runs. Only this direction's CPU writes `acked`; `next` is a word.
    unsafe {
        let next = core::ptr::read_volatile(&raw const (*other).next);
        let acked = core::ptr::read_volatile(&raw const (*other).acked);
        if (*other).belongs_to(scratch.flow.id) && is_before(acked, ack) && !is_before(next, ack) {
            core::ptr::write_volatile(&raw mut (*other).acked, ack);
        }
    }
}

/// Finds out which bytes of the segment are new, and whether the others are those that were judged.
#[inline(always)]
fn in_order(skb: &Skb, scratch: &mut Scratch, stream: &mut Stream) -> Result<Segment, Stop> {
    if !stream.belongs_to(scratch.flow.id) {
        return Err(Stop { reason: Reason::Midstream, answer: Answer::ResetBoth });
    }
    let (seq, length) = (scratch.frame.seq, scratch.frame.payload_len);
    let end = seq.wrapping_add(length);
    let fin = scratch.frame.has(tcp::FIN);
    if is_before(stream.next, seq) {
        return Err(Reason::StreamOrder.into());
    }
    let new = is_before(stream.next, end);
    // The end of a stream stays where it was, and nothing comes behind it.
    let last = end.wrapping_add(stream.finished);
    if new && stream.finished != 0 || fin && !new && last != stream.next && !may_give_up(stream, end) {
        return Err(Reason::StreamOrder.into());
    }
    if !new && !is_before(stream.acked, end) {
        // The receiver has all of it and reads none of it.
        if fin && stream.finished == 0 {
            finish(stream, end);
        }
        return Ok(Segment::Known);
    }
    pieces::compare(skb, scratch, stream)?;
    if !new {
        neutral::again(skb, scratch, stream, end)?;
        if fin && stream.finished == 0 {
            finish(stream, end);
        }
        return Ok(Segment::Known);
    }
    neutral::again(skb, scratch, stream, stream.next)?;
    scratch.at = scratch.frame.payload.wrapping_add(stream.next.wrapping_sub(seq));
    scratch.fresh = scratch.at;
    scratch.end = scratch.frame.payload.wrapping_add(length);
    // SAFETY: the lock is held, and the stream is a reference.
    unsafe { words::copy_said(&mut scratch.said, &raw const stream.said) };
    match stage_of(skb, scratch) {
        Ok(NO_STAGE) => Ok(Segment::Opaque),
        Ok(stage) => Ok(Segment::New(stage)),
        Err(reason) => Err(Stop { reason, answer: Answer::ResetBoth }),
    }
}

/// Whether the sender may end its stream here, within the payload that it had announced: nothing is known behind it, and
/// its receiver has not read on.
#[inline(always)]
fn may_give_up(stream: &Stream, end: u32) -> bool {
    let free = Free::unpack(stream.free);
    stream.finished == 0 && free.to == stream.next && free.has(end, 0) && !is_before(end, stream.acked)
}

/// The last byte is the one before this position.
#[inline(always)]
fn finish(stream: &mut Stream, end: u32) {
    if stream.next != end {
        let free = Free { from: Free::unpack(stream.free).from, to: end };
        stream.records.cut_free(free);
        stream.free = free.pack();
    }
    stream.finished = 1;
    stream.next = end.wrapping_add(1);
}

/// The stage of what the connection speaks. Until that is certain, the first byte of who opened it says what to try.
#[inline(always)]
fn stage_of(skb: &Skb, scratch: &mut Scratch) -> Result<u32, Reason> {
    let mut protocol = scratch.flow.protocol;
    if protocol == Flow::UNDECIDED {
        if scratch.said.guess == 0 {
            let guess = first_guess(skb, scratch);
            // Where a stream that is not looked into is one of the edge, a guess decides nothing.
            if !judge::may_be(scratch, guess) && !judge::may_be(scratch, OPAQUE) {
                return judge::changed(scratch, seems(skb, scratch, guess)).map(|()| NO_STAGE);
            }
            scratch.said.guess = guess;
        }
        protocol = scratch.said.guess;
    }
    match Protocol::from_code(protocol) {
        Some(Protocol::Mqtt) => Ok(stage::MQTT),
        Some(Protocol::Tls) => Ok(stage::TLS),
        Some(Protocol::Http) => Ok(stage::HTTP),
        Some(Protocol::Modbus) => Ok(stage::MODBUS),
        _ => judge::recognise(scratch, Protocol::Opaque as u8).map(|()| NO_STAGE),
    }
}

/// What may begin with the first byte at hand, as a number of [`Protocol`].
#[inline(always)]
fn first_guess(skb: &Skb, scratch: &Scratch) -> u8 {
    let guess = match skb.load::<1>(scratch.at) {
        // A server that speaks first speaks nothing that is known here.
        _ if scratch.client == 0 => Protocol::Opaque,
        // Any byte may begin a message of Modbus.
        _ if scratch.flow.edge.port == MODBUS_PORT => Protocol::Modbus,
        // CONNECT; a record with a handshake.
        Some([0x10]) => Protocol::Mqtt,
        Some([0x16]) => Protocol::Tls,
        // A method.
        Some([b'A'..=b'Z']) => Protocol::Http,
        _ => Protocol::Opaque,
    };
    guess as u8
}

/// What a connection is said to speak that does not go on: its first bytes decide, where there are enough.
#[inline(always)]
fn seems(skb: &Skb, scratch: &Scratch, guess: u8) -> u8 {
    const MQTT: u8 = Protocol::Mqtt as u8;
    const TLS: u8 = Protocol::Tls as u8;
    const HTTP: u8 = Protocol::Http as u8;
    let Some(first) = skb.load::<4>(scratch.at) else { return OPAQUE };
    match (guess, first) {
        // The length of the protocol's name; the version of the record.
        (MQTT, [_, _, 0, 4 | 6]) | (TLS, [_, 3, ..]) => guess,
        (HTTP, first) if METHODS.contains(&first) => guess,
        (MQTT | TLS | HTTP, _) => OPAQUE,
        _ => guess,
    }
}

/// The next program is not loaded: the segment is dropped, and the direction is free for the next one.
#[inline(always)]
pub fn abandon(scratch: &Scratch) {
    if let Ok(streams) = streams(scratch) {
        let stream = direction(streams, scratch.dir);
        // SAFETY: the slot stays mapped while the program runs.
        atomic::unlock(unsafe { &raw mut (*stream).lock });
    }
}

/// Takes the new bytes of the segment through a machine; the direction is locked since [`segment`].
#[inline(always)]
pub fn walk(skb: &Skb, scratch: &mut Scratch, round: Round) -> Result<(), Stop> {
    let streams = streams(scratch)?;
    let stream = direction(streams, scratch.dir);
    // SAFETY: the slot stays mapped while the program runs.
    let lock = unsafe { &raw mut (*stream).lock };
    let other = direction(streams, scratch.dir ^ 1);
    // SAFETY: as above; a byte or a word each, written once before the server has anything to say.
    unsafe {
        scratch.version = (*other).said.mqtt.version();
        let http = (*other).said.machine.http();
        scratch.upgrade = (http.has_asked() || http.has_agreed()) as u8;
        scratch.known = (*other).said.known;
        scratch.asker = (*other).said.client;
    }
    // SAFETY: the lock is held.
    let result = through(skb, scratch, unsafe { &mut *stream }, round);
    atomic::unlock(lock);
    result
}

#[inline(always)]
fn through(skb: &Skb, scratch: &mut Scratch, stream: &mut Stream, round: Round) -> Result<(), Stop> {
    if !stream.belongs_to(scratch.flow.id) {
        return Err(Stop { reason: Reason::Midstream, answer: Answer::ResetBoth });
    }
    scratch.patched = 0;
    scratch.by_alias = 0;
    let rounds = machine::run(skb, scratch, round);
    if scratch.stop == 0 && (scratch.at != scratch.end || exhausted(scratch, rounds)) {
        scratch.stop = Reason::WorkCap as u8;
    }
    if scratch.stop != 0 && !tolerate(scratch) {
        let reason = Reason::from_code(scratch.stop).unwrap_or(Reason::Malformed);
        // Both ends are told where the new bytes begin: what came before them is theirs already.
        let old = stream.next.wrapping_sub(scratch.frame.seq);
        scratch.frame.seq = stream.next;
        scratch.frame.payload_len = scratch.frame.payload_len.wrapping_sub(old);
        return Err(Stop { reason, answer: Answer::ResetBoth });
    }
    if !stream.belongs_to(scratch.flow.id) {
        return Err(Stop { reason: Reason::Midstream, answer: Answer::ResetBoth });
    }
    let judged = judged_end(scratch);
    pieces::keep(skb, scratch, stream, judged)?;
    if scratch.patched != 0 && !neutral::write(skb, scratch, stream) {
        return Err(Stop { reason: Reason::EdgeDenied, answer: Answer::ResetBoth });
    }
    // SAFETY: as above; the scratch is this CPU's.
    unsafe { words::copy_said(&mut stream.said, &raw const scratch.said) };
    stream.strikes = 0;
    go_on(scratch, stream, judged);
    meter::said(scratch.flow.limit, scratch.client != 0, scratch.messages);
    Ok(())
}

/// Offset behind the last judged byte of the segment: before the payload that it ends in, if it is worth a place.
#[inline(always)]
fn judged_end(scratch: &Scratch) -> u32 {
    let payload = scratch.end.wrapping_sub(scratch.tail);
    let worth = scratch.roomy != 0 && payload >= PAYLOAD || scratch.ahead != 0;
    if worth { scratch.tail } else { scratch.end }
}

/// The segment passes: what comes next is behind it, and behind all of the payload that it ends in. Its stack is not that
/// of the loop before.
#[inline(never)]
fn go_on(scratch: &Scratch, stream: &mut Stream, judged: u32) {
    stream.records.keep(scratch.pieces.written);
    let frame = &scratch.frame;
    let end = frame.seq.wrapping_add(frame.payload_len);
    stream.finished = frame.has(tcp::FIN) as u32;
    let from = frame.seq.wrapping_add(judged.wrapping_sub(frame.payload));
    // Nothing is behind the end.
    let ahead = if stream.finished != 0 { 0 } else { scratch.ahead };
    let free = Free { from, to: end.wrapping_add(ahead) };
    stream.next = free.to.wrapping_add(stream.finished);
    if !free.is_empty() {
        stream.records.push_free(free.len());
        stream.free = free.pack();
    } else if !is_before(stream.acked, Free::unpack(stream.free).to) {
        // Its numbers will come again.
        stream.free = Free::NONE.pack();
    }
}

/// Whether this direction has taken more work in a second than the cap.
#[inline(always)]
fn exhausted(scratch: &mut Scratch, rounds: u32) -> bool {
    let second = (pass::now() >> 30) as u32;
    if scratch.said.second != second {
        scratch.said.second = second;
        scratch.said.work = 0;
    }
    scratch.said.work = scratch.said.work.saturating_add(rounds);
    scratch.said.work > ROUNDS_PER_SECOND
}

/// A stream that turned out not to be MQTT goes on uninspected where no rule says that it is, or while nothing is
/// dropped.
#[inline(always)]
fn tolerate(scratch: &mut Scratch) -> bool {
    if scratch.flow.protocol == Flow::UNDECIDED && scratch.stop == Reason::ProtoChanged as u8 {
        return judge::recognise(scratch, Protocol::Opaque as u8).is_ok();
    }
    if scratch.audit != 0 {
        scratch.flow.protocol = Protocol::Opaque as u8;
        return true;
    }
    false
}
