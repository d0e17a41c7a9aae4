//! The bytes of a segment, piece by piece: their checksum, and whether those that passed before are the same.
//!
//! A sender cuts its stream where it likes, and cuts it there again when it repeats: so a piece is what one segment
//! brought, or one `gso_size` of a segment that the kernel put together. Only its judged bytes are kept.

use core::ffi::c_void;

use aya_ebpf::helpers::generated::{bpf_csum_diff, bpf_loop, bpf_skb_load_bytes};
use firewall_common::hash::{HashKey, PieceHasher};
use firewall_common::reason::Reason;
use firewall_common::wire::Bytes;
use firewall_common::wire::stream::{PIECES, Records, Stream};

use super::STRIKES;
use crate::bytes::{Skb, opaque};
use crate::checksum::{fold, is_partial, pseudo_header};
use crate::hook::{Answer, Stop};
use crate::scratch::Scratch;

/// Bytes that are summed in one round: as many as the helper takes on Linux 6.1.
const CHUNK: usize = 512;
/// Bytes that are hashed in one round, in words of eight.
const HASHED: u32 = 256;
const WORDS: usize = HASHED as usize / 8;
/// Rounds of the loop: 64 KiB in chunks, and the rest of a chunk at the end of each piece.
const ROUNDS: u32 = 512;

/// Where the loop stands.
#[repr(C)]
pub struct Pieces {
    /// Bytes, and zeros behind them.
    buffer: [u64; CHUNK / 8 + 1],
    hasher: PieceHasher,
    /// Offset of the next byte, of the first byte of the payload, and of the end.
    at: u32,
    start: u32,
    end: u32,
    /// Offset of the first byte that is compared, and of the first new one.
    old: u32,
    new: u32,
    /// Bytes of this piece that are left, and all of them.
    left: u32,
    length: u32,
    /// Next piece to compare with, and how many bytes of a free one are before the segment.
    index: u32,
    within: u32,
    /// New pieces that were written.
    pub written: u32,
    /// Most bytes of a new piece, counted from the first byte of the payload.
    cut: u32,
    sum: u32,
    /// [`Kind`] of this piece, as a number.
    kind: u8,
    /// 1: the checksum is left to a device.
    partial: u8,
    /// 1: new pieces are written down; 0: new bytes are only summed.
    keeps: u8,
    /// 1: a byte is not the one that passed before.
    differs: u8,
    /// Reason to stop, or 0.
    stop: u8,
}

/// What a piece is.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Kind {
    /// What is only summed: its receiver has it, any bytes may stand there, or it is new and not judged yet.
    Summed = 0,
    Old = 1,
    New = 2,
}

/// Sums up the segment and compares what passed before. There must be room for what is new.
#[inline(always)]
pub fn compare(skb: &Skb, scratch: &mut Scratch, stream: &mut Stream) -> Result<(), Stop> {
    retire(stream);
    let frame = &scratch.frame;
    let pieces = &mut scratch.pieces;
    pieces.start = frame.payload;
    pieces.at = frame.payload;
    pieces.end = frame.payload.wrapping_add(frame.payload_len);
    let behind = stream.next.wrapping_sub(frame.seq);
    pieces.new = if behind < frame.payload_len { frame.payload.wrapping_add(behind) } else { pieces.end };
    let known = stream.records.first().wrapping_sub(frame.seq);
    // As a sequence number: negative if the segment begins behind the oldest piece.
    pieces.old = if known as i32 <= 0 {
        frame.payload
    } else if known < frame.payload_len {
        frame.payload.wrapping_add(known)
    } else {
        pieces.end
    };
    pieces.index = 0;
    pieces.left = 0;
    pieces.written = 0;
    pieces.sum = 0;
    pieces.differs = 0;
    pieces.stop = 0;
    pieces.keeps = 0;
    pieces.within = 0;
    pieces.cut = cut(skb, frame.payload_len);
    if (known as i32) < 0 && pieces.new != pieces.start && !find(pieces, stream, frame.seq) {
        return strike(stream);
    }
    if pieces.new != pieces.end {
        // A piece that has begun before the new bytes is one of them.
        let begun = pieces.new.wrapping_sub(pieces.start).checked_div(pieces.cut);
        let last = pieces.end.wrapping_sub(pieces.start).wrapping_sub(1).checked_div(pieces.cut);
        let (Some(begun), Some(last)) = (begun, last) else { return Err(Reason::Malformed.into()) };
        let wanted = last.wrapping_sub(begun).wrapping_add(1);
        if wanted > stream.records.room() {
            return Err(Reason::StreamFull.into());
        }
        scratch.roomy = (wanted < stream.records.room()) as u8;
    }
    checksum_begin(skb, scratch)?;
    run(skb, scratch, stream)?;
    let pieces = &scratch.pieces;
    if pieces.partial == 0 && fold(pieces.sum) != 0xffff {
        return Err(Reason::Checksum.into());
    }
    if pieces.differs != 0 { strike(stream) } else { Ok(()) }
}

/// Writes down the new bytes up to this offset; they count once the segment has passed.
#[inline(always)]
pub fn keep(skb: &Skb, scratch: &mut Scratch, stream: &mut Stream, end: u32) -> Result<(), Reason> {
    let pieces = &mut scratch.pieces;
    pieces.at = pieces.new;
    pieces.end = end;
    pieces.left = 0;
    pieces.keeps = 1;
    // It is summed already.
    pieces.partial = 1;
    if pieces.at == end { Ok(()) } else { run(skb, scratch, stream) }
}

/// Takes all pieces. Its stack is not that of what surrounds it.
#[inline(never)]
fn run(skb: &Skb, scratch: &mut Scratch, stream: &mut Stream) -> Result<(), Reason> {
    let mut walk = Walk {
        skb: skb.raw().cast(),
        pieces: &raw mut scratch.pieces,
        records: &raw mut stream.records,
        key: &raw const scratch.config.key.0,
    };
    // SAFETY: the callback has the signature that the helper calls.
    unsafe { bpf_loop(ROUNDS, round as *mut c_void, (&raw mut walk).cast(), 0) };
    let pieces = &scratch.pieces;
    if pieces.stop != 0 {
        return Err(Reason::from_code(pieces.stop).unwrap_or(Reason::Malformed));
    }
    if pieces.at == pieces.end { Ok(()) } else { Err(Reason::WorkCap) }
}

/// Forgets what the receiver has acknowledged.
#[inline(always)]
fn retire(stream: &mut Stream) {
    if stream.records.count() == 0 {
        return;
    }
    let mut walk = Retire { acked: stream.acked, records: &raw mut stream.records };
    // SAFETY: the callback has the signature that the helper calls.
    unsafe { bpf_loop(ROUNDS, retire_one as *mut c_void, (&raw mut walk).cast(), 0) };
}

struct Retire {
    acked: u32,
    records: *mut Records,
}

#[inline(never)]
unsafe extern "C" fn retire_one(_index: u32, walk: *mut c_void) -> i64 {
    // SAFETY: the helper passes what `retire` gave it; the lock is held.
    let walk = unsafe { &*walk.cast::<Retire>() };
    // SAFETY: as above.
    let records = unsafe { &mut *walk.records };
    !records.retire(walk.acked) as i64
}

/// Length of the pieces of this segment: at most [`PIECES`] of them.
#[inline(always)]
fn cut(skb: &Skb, length: u32) -> u32 {
    // SAFETY: the context is valid while the program runs.
    let gso = unsafe { (*skb.raw()).gso_size };
    let least = (length >> PIECES.trailing_zeros()) + 1;
    if gso == 0 {
        length
    } else if gso < least {
        least
    } else {
        gso
    }
}

/// Finds the piece that begins where the segment does, or the free one that the segment begins in.
#[inline(always)]
fn find(pieces: &mut Pieces, stream: &mut Stream, seq: u32) -> bool {
    let mut walk =
        Find { at: stream.records.first(), seq, index: 0, found: 0, records: &raw const stream.records };
    // SAFETY: the callback has the signature that the helper calls.
    unsafe { bpf_loop(ROUNDS, find_one as *mut c_void, (&raw mut walk).cast(), 0) };
    pieces.index = walk.index;
    pieces.within = seq.wrapping_sub(walk.at);
    walk.found != 0
}

struct Find {
    at: u32,
    seq: u32,
    index: u32,
    found: u32,
    records: *const Records,
}

#[inline(never)]
unsafe extern "C" fn find_one(_index: u32, walk: *mut c_void) -> i64 {
    // SAFETY: the helper passes what `find` gave it; the lock is held.
    let walk = unsafe { &mut *walk.cast::<Find>() };
    // SAFETY: as above.
    let records = unsafe { &*walk.records };
    if walk.at == walk.seq {
        walk.found = 1;
        return 1;
    }
    if walk.index >= records.count() {
        return 1;
    }
    let (_, length) = records.get(walk.index);
    if walk.seq.wrapping_sub(walk.at) < length {
        walk.found = records.is_free(walk.index) as u32;
        return 1;
    }
    walk.at = walk.at.wrapping_add(length);
    walk.index += 1;
    0
}

/// A repetition that is not what passed, or that cannot be compared.
#[inline(always)]
fn strike(stream: &mut Stream) -> Result<(), Stop> {
    stream.strikes += 1;
    let answer = if stream.strikes >= STRIKES { Answer::ResetBoth } else { Answer::Silent };
    Err(Stop { reason: Reason::StreamOrder, answer })
}

/// Adds up the headers.
#[inline(always)]
fn checksum_begin(skb: &Skb, scratch: &mut Scratch) -> Result<(), Stop> {
    let frame = &scratch.frame;
    let header = frame.payload.wrapping_sub(frame.transport);
    let length = header.wrapping_add(frame.payload_len) as u16;
    let pseudo = pseudo_header(frame.version, &frame.src, &frame.dst, frame.proto, length);
    let at = frame.transport + 16;
    let Some(field) = skb.load::<2>(at) else { return Err(Reason::Malformed.into()) };
    // Only then it can be partial, and only then it is worth changing the frame to find out.
    let likely = u16::from_be_bytes(field) == fold(pseudo);
    if likely && is_partial(skb, at) == Some(true) {
        scratch.pieces.partial = 1;
        return Ok(());
    }
    scratch.pieces.partial = 0;
    let pieces = &mut scratch.pieces;
    if !load(skb.raw().cast(), scratch.frame.transport, pieces, header) {
        return Err(Reason::Malformed.into());
    }
    pieces.sum = pseudo + u32::from(sum(pieces, header));
    Ok(())
}

struct Walk {
    skb: *const c_void,
    pieces: *mut Pieces,
    records: *mut Records,
    key: *const HashKey,
}

/// Takes up to [`CHUNK`] bytes of a piece.
#[inline(never)]
unsafe extern "C" fn round(_index: u32, walk: *mut c_void) -> i64 {
    // SAFETY: the helper passes what `compare` gave it.
    let walk = unsafe { &*walk.cast::<Walk>() };
    // SAFETY: as above; nobody else touches them during the loop.
    let (pieces, records, key) = unsafe { (&mut *walk.pieces, &mut *walk.records, &*walk.key) };
    if pieces.left == 0 {
        if pieces.at == pieces.end {
            return 1;
        }
        if let Err(reason) = begin(pieces, records) {
            pieces.stop = reason as u8;
            return 1;
        }
    }
    let most = if pieces.kind == Kind::Summed as u8 { CHUNK as u32 } else { HASHED };
    let length = if pieces.left < most { pieces.left } else { most };
    if !load(walk.skb, pieces.at, pieces, length) {
        pieces.stop = Reason::Malformed as u8;
        return 1;
    }
    if pieces.partial == 0 {
        let odd = pieces.at.wrapping_sub(pieces.start) & 1 != 0;
        let sum = sum(pieces, length);
        pieces.sum += u32::from(if odd { sum.swap_bytes() } else { sum });
    }
    if pieces.kind != Kind::Summed as u8 {
        digest(pieces, length, key);
    }
    pieces.at = pieces.at.wrapping_add(length);
    pieces.left = pieces.left.wrapping_sub(length);
    if pieces.left == 0 {
        end(pieces, records, key);
    }
    0
}

/// Begins the piece at `at`.
#[inline(always)]
fn begin(pieces: &mut Pieces, records: &Records) -> Result<(), Reason> {
    pieces.hasher = PieceHasher::ZERO;
    let left = pieces.end.wrapping_sub(pieces.at);
    if pieces.at < pieces.old {
        pieces.kind = Kind::Summed as u8;
        pieces.left = pieces.old - pieces.at;
    } else if pieces.at < pieces.new {
        pieces.kind = Kind::Old as u8;
        let (_, length) = records.get(pieces.index);
        if pieces.index >= records.count() || length == 0 {
            return Err(Reason::StreamOrder);
        }
        let length = length.wrapping_sub(pieces.within);
        pieces.within = 0;
        if records.is_free(pieces.index) {
            pieces.kind = Kind::Summed as u8;
            pieces.index += 1;
        } else if length > left {
            // Its rest is missing, so it cannot be compared.
            pieces.differs = 1;
        }
        pieces.left = if length < left { length } else { left };
    } else if pieces.keeps == 0 {
        pieces.kind = Kind::Summed as u8;
        pieces.left = left;
    } else {
        pieces.kind = Kind::New as u8;
        if pieces.written >= PIECES || pieces.written >= records.room() {
            return Err(Reason::StreamFull);
        }
        // The sender's cuts are counted from where the segment begins, whatever is judged of it.
        let within = pieces.at.wrapping_sub(pieces.start).checked_rem(pieces.cut);
        let Some(within) = within else { return Err(Reason::Malformed) };
        let whole = pieces.cut.wrapping_sub(within);
        pieces.left = if whole < left { whole } else { left };
    }
    pieces.length = pieces.left;
    Ok(())
}

/// The piece is complete.
#[inline(always)]
fn end(pieces: &mut Pieces, records: &mut Records, key: &HashKey) {
    if pieces.kind == Kind::Summed as u8 {
        return;
    }
    let hash = pieces.hasher.finish(pieces.length, key);
    if pieces.kind == Kind::Old as u8 {
        let (known, _) = records.get(pieces.index);
        if hash != known {
            pieces.differs = 1;
        }
        pieces.index += 1;
    } else {
        records.write(pieces.written, hash, pieces.length);
        pieces.written += 1;
    }
}

/// Feeds the buffer to the hash.
#[inline(always)]
fn digest(pieces: &mut Pieces, length: u32, key: &HashKey) {
    let mut hasher = pieces.hasher;
    let mut at = 0;
    while at < WORDS {
        if at as u32 * 8 >= length {
            break;
        }
        hasher = hasher.push(pieces.buffer[at], key);
        at += 1;
    }
    pieces.hasher = hasher;
}

/// Loads bytes into the buffer, from 1 to [`CHUNK`], with zeros behind them up to a full word.
#[inline(always)]
fn load(skb: *const c_void, offset: u32, pieces: &mut Pieces, length: u32) -> bool {
    let last = opaque(u64::from(length).wrapping_sub(1));
    if last >= CHUNK as u64 {
        return false;
    }
    pieces.buffer[(last >> 3) as usize] = 0;
    let length = last + 1;
    let to = pieces.buffer.as_mut_ptr().cast();
    // SAFETY: the helper checks offset and length against the frame, and `length` is at most that of the buffer.
    unsafe { bpf_skb_load_bytes(skb, offset, to, length as u32) == 0 }
}

/// The folded sum of so many bytes of the buffer, whose rest of a word is zero.
#[inline(always)]
fn sum(pieces: &mut Pieces, length: u32) -> u16 {
    let words = opaque((u64::from(length) + 3) & 0x3fc);
    if words > CHUNK as u64 {
        return 0;
    }
    let from = pieces.buffer.as_mut_ptr().cast();
    // SAFETY: the helper reads `words` bytes, a multiple of four and at most the buffer's length.
    let sum = unsafe { bpf_csum_diff(core::ptr::null_mut(), 0, from, words as u32, 0) };
    u16::from_be(fold(sum as u32))
}
