//! A denied PUBLISH that goes on in a harmless form.
//!
//! Its topic begins with `$` instead of its first byte: the broker acknowledges the message, and no wildcard of a
//! subscriber matches it (MQTT 4.7.2). The length stays, so the sender notices nothing, and the byte is replaced again
//! each time the segment is repeated, until it is acknowledged.

use aya_ebpf::helpers::generated::bpf_skb_store_bytes;
use firewall_common::reason::Reason;
use firewall_common::wire::Bytes;
use firewall_common::wire::stream::{PATCHES, Stream, is_before};

use crate::bytes::Skb;
use crate::checksum;
use crate::hook::Stop;
use crate::scratch::Scratch;

/// What stands in for the first byte of the topic.
const HARMLESS: u8 = b'$';

/// Offset of the first byte of the topic that has just been read: before the segment if it began earlier.
#[inline(always)]
fn topic(scratch: &Scratch) -> u32 {
    scratch.at.wrapping_sub(u32::from(scratch.said.object.len()))
}

/// Whether the topic at hand can be changed: its first byte is in this segment, and it stays valid UTF-8.
#[inline(always)]
pub fn is_possible(scratch: &Scratch) -> bool {
    let (at, first) = (topic(scratch), scratch.said.object.first());
    at >= scratch.fresh
        && at < scratch.end
        && first < 0x80
        && first != HARMLESS
        && usize::from(scratch.patched) < PATCHES
}

/// Notes that the topic at hand is to be changed if the segment passes.
#[inline(always)]
pub fn note(scratch: &mut Scratch) {
    let at = usize::from(scratch.patched);
    if at < PATCHES {
        let place = topic(scratch).wrapping_sub(scratch.frame.payload);
        scratch.patches[at] = scratch.frame.seq.wrapping_add(place);
        scratch.patched += 1;
    }
}

/// Writes the changes of this segment and keeps them; false if one is not possible.
#[inline(never)]
pub fn write(skb: &Skb, scratch: &mut Scratch, stream: &mut Stream) -> bool {
    let mut i = 0;
    while i < PATCHES {
        if i >= usize::from(scratch.patched) {
            break;
        }
        let at = scratch.patches[i];
        if !keep(stream, at) || replace(skb, scratch, at).is_none() {
            return false;
        }
        i += 1;
    }
    scratch.neutralised = 1;
    true
}

/// Keeps a place where it can be found again; false if too many are not acknowledged yet.
#[inline(always)]
fn keep(stream: &mut Stream, at: u32) -> bool {
    let mut i = 0;
    while i < PATCHES {
        let bit = 1 << i;
        if stream.patched & bit == 0 || is_before(stream.patches[i], stream.acked) {
            stream.patches[i] = at;
            stream.patched |= bit;
            return true;
        }
        i += 1;
    }
    false
}

/// Changes again what was changed before, in the bytes of the segment up to this position.
#[inline(always)]
pub fn again(skb: &Skb, scratch: &mut Scratch, stream: &mut Stream, until: u32) -> Result<(), Stop> {
    if stream.patched == 0 {
        return Ok(());
    }
    let mut i = 0;
    while i < PATCHES {
        let (bit, at) = (1 << i, stream.patches[i]);
        i += 1;
        if stream.patched & bit == 0 {
            continue;
        }
        if is_before(at, stream.acked) {
            // Its number will come again.
            stream.patched &= !bit;
            continue;
        }
        if !is_before(at, scratch.frame.seq) && is_before(at, until) {
            if replace(skb, scratch, at).is_none() {
                return Err(Reason::Malformed.into());
            }
            scratch.neutralised = 1;
        }
    }
    Ok(())
}

/// Replaces the byte at this position of the stream, and adapts the checksum.
#[inline(never)]
fn replace(skb: &Skb, scratch: &Scratch, at: u32) -> Option<()> {
    let place = at.wrapping_sub(scratch.frame.seq);
    let offset = scratch.frame.payload.wrapping_add(place);
    // The sum is over words that begin where the TCP header does.
    let even = (offset.wrapping_sub(scratch.frame.transport)) & 1 == 0;
    let [byte]: [u8; 1] = skb.load(offset)?;
    let (from, to) = if even { ([byte, 0], [HARMLESS, 0]) } else { ([0, byte], [0, HARMLESS]) };
    let harmless = HARMLESS;
    // SAFETY: the helper checks the offset against the buffer and reads one byte.
    let stored = unsafe { bpf_skb_store_bytes(skb.raw(), offset, (&raw const harmless).cast(), 1, 0) };
    if stored != 0 {
        return None;
    }
    let (from, to) = (u64::from(u16::from_ne_bytes(from)), u64::from(u16::from_ne_bytes(to)));
    checksum::replace(skb, scratch.frame.transport + 16, from, to)
}
