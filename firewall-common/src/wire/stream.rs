//! One direction of an inspected connection: where it stands, what was said, and what was judged but not acknowledged.
//!
//! A byte that passed can come again: it was lost behind us, or somebody wants to replace it. So each piece that passed is
//! remembered by a keyed hash until its receiver has acknowledged it, and only the same bytes pass again. Of a payload
//! nothing is judged, so any bytes may stand in its place, in any order: once its length is known it is free to its end.
//! Positions are sequence numbers, compared as such (RFC 9293, section 3.4).

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, transmute_mut, transmute_ref};

use super::http::Http;
use super::modbus::Modbus;
use super::mqtt::Mqtt;
use super::object::Object;
use super::tls::Tls;
use crate::abi::OBJECT_CAP;

/// Pieces that may be on their way to the receiver; one more waits until some are acknowledged.
pub const RECORDS: usize = 128;
/// Pieces of one segment: the rest of the table is for others.
pub const PIECES: u32 = 64;
/// Most bytes of a payload that are free before the first one of them has come. With a window of 2^30 bytes (RFC 7323,
/// section 2.3) before it and behind it, positions can still be compared.
pub const AHEAD: u32 = 1 << 29;
/// Payload that costs a place among the pieces, at least: less is kept as if it was judged.
pub const PAYLOAD: u32 = 64;
/// Places that were changed on the way and may have to be changed again.
pub const PATCHES: usize = 8;

/// What the machine of the protocol and the judge know; stored only if a whole segment passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Said {
    /// Rule that the last object was judged by; 0 is none.
    pub rule: u32,
    /// State of the automaton over the levels of the current object.
    pub automaton: u32,
    /// Second of `work`, of the coarse monotonic clock, and rounds of work in it.
    pub second: u32,
    pub work: u32,
    /// 1: the client id of this connection is one that its principal had before.
    pub known: u8,
    /// What its first byte may begin, as a number of [`Protocol`](crate::abi::Protocol), until that is certain.
    pub guess: u8,
    /// 1: the current PUBLISH goes on in a harmless form.
    pub neutralised: u8,
    pub pad: u8,
    /// Rule that the client id of this connection was judged by; 0 is none.
    pub client: u32,
    pub starts: Starts,
    pub mqtt: Mqtt,
    pub machine: Machine,
    /// Last, because its text is: only where there is one it has to be copied.
    pub object: Object,
}

impl Said {
    /// Nothing was said.
    pub const NOTHING: Self = Self {
        rule: 0,
        automaton: 0,
        second: 0,
        work: 0,
        known: 0,
        guess: 0,
        neutralised: 0,
        pad: 0,
        client: 0,
        starts: Starts::NONE,
        mqtt: Mqtt::NEW,
        machine: Machine::NEW,
        object: Object::EMPTY,
    };

    /// Bytes before the text of the object, which are all that counts where it has none.
    pub const HEAD: usize = size_of::<Self>() - OBJECT_CAP;
}

/// Start states of the automata of the connection's edge, as they were found under this generation: zero is none. Under
/// another one they may have changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Starts {
    pub generation: u32,
    pub publish: u32,
    pub subscribe: u32,
    pub connect: u32,
}

impl Starts {
    /// They have to be looked up.
    pub const NONE: Self = Self { generation: 0, publish: 0, subscribe: 0, connect: 0 };
}

/// Words of the largest machine.
const MACHINE: usize = size_of::<Http>() / 8;

/// The machine of what the connection speaks, where that is not MQTT. They share one place: a connection speaks one
/// protocol from its first byte on. A machine that has read nothing is all zeros.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(transparent)]
pub struct Machine([u64; MACHINE]);

macro_rules! machines {
    ($($(#[$doc:meta])* $machine:ident: $shared:ident, $unique:ident;)*) => {
        impl Machine {
            /// Nothing was read.
            pub const NEW: Self = Self([0; MACHINE]);

            $(
                $(#[$doc])*
                #[inline(always)]
                pub const fn $shared(&self) -> &$machine {
                    // The machine, and the words behind it that it does not need.
                    #[derive(FromBytes, Immutable, KnownLayout)]
                    #[repr(C)]
                    struct Place($machine, [u64; MACHINE - size_of::<$machine>() / 8]);
                    let place: &Place = transmute_ref!(&self.0);
                    &place.0
                }

                $(#[$doc])*
                #[inline(always)]
                pub fn $unique(&mut self) -> &mut $machine {
                    #[derive(FromBytes, IntoBytes, KnownLayout)]
                    #[repr(C)]
                    struct Place($machine, [u64; MACHINE - size_of::<$machine>() / 8]);
                    let place: &mut Place = transmute_mut!(&mut self.0);
                    &mut place.0
                }
            )*
        }
    };
}
machines! {
    /// Where the connection speaks TLS.
    Tls: tls, tls_mut;
    /// Where it speaks HTTP.
    Http: http, http_mut;
    /// Where it speaks Modbus.
    Modbus: modbus, modbus_mut;
}

/// A part of the stream of which nothing is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Free {
    pub from: u32,
    /// Position behind the last byte.
    pub to: u32,
}

impl Free {
    /// No part.
    pub const NONE: Self = Self { from: 0, to: 0 };

    /// In one word, which is read and written at once.
    #[inline(always)]
    pub const fn unpack(word: u64) -> Self {
        Self { from: word as u32, to: (word >> 32) as u32 }
    }

    #[inline(always)]
    pub const fn pack(self) -> u64 {
        self.from as u64 | (self.to as u64) << 32
    }

    /// How many bytes it has.
    #[inline(always)]
    pub const fn len(self) -> u32 {
        self.to.wrapping_sub(self.from)
    }

    /// Whether there is no byte.
    #[inline(always)]
    pub const fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// Whether so many bytes from this position on all lie within.
    #[inline(always)]
    pub const fn has(self, at: u32, length: u32) -> bool {
        let before = at.wrapping_sub(self.from);
        before < self.len() && length <= self.len() - before
    }
}

/// What passed and was not acknowledged, oldest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Records {
    /// Of a free piece: its length.
    hashes: [u64; RECORDS],
    /// Of a free piece: [`FREE`].
    lengths: [u16; RECORDS],
    /// Position of the oldest piece.
    first: u32,
    /// Its place in the table.
    head: u32,
    count: u32,
    pad: u32,
}

/// In place of a length: any bytes may stand here, and how many is where the hash would be.
const FREE: u16 = 0;

impl Records {
    /// Nothing has passed; the first piece will be at this position.
    pub const fn new(first: u32) -> Self {
        Self { hashes: [0; RECORDS], lengths: [0; RECORDS], first, head: 0, count: 0, pad: 0 }
    }

    /// Forgets all pieces; the next one will be at this position.
    #[inline(always)]
    pub fn clear(&mut self, first: u32) {
        self.first = first;
        self.head = 0;
        self.count = 0;
    }

    /// Position of the oldest piece, or of the next one.
    #[inline(always)]
    pub const fn first(&self) -> u32 {
        self.first
    }

    /// Pieces that there is room for.
    #[inline(always)]
    pub const fn room(&self) -> u32 {
        (RECORDS as u32).wrapping_sub(self.count)
    }

    /// Pieces that are not acknowledged.
    #[inline(always)]
    pub const fn count(&self) -> u32 {
        self.count
    }

    /// Hash and length of a piece, counted from the oldest.
    #[inline(always)]
    pub const fn get(&self, index: u32) -> (u64, u32) {
        let at = (self.head.wrapping_add(index)) as usize % RECORDS;
        let (hash, length) = (self.hashes[at], self.lengths[at]);
        (hash, if length == FREE { hash as u32 } else { length as u32 })
    }

    /// Whether any bytes may stand in the place of a piece.
    #[inline(always)]
    pub const fn is_free(&self, index: u32) -> bool {
        self.lengths[(self.head.wrapping_add(index)) as usize % RECORDS] == FREE
    }

    /// Writes a free piece behind those that are counted, and counts it.
    #[inline(always)]
    pub fn push_free(&mut self, length: u32) {
        let at = (self.head.wrapping_add(self.count)) as usize % RECORDS;
        self.hashes[at] = length as u64;
        self.lengths[at] = FREE;
        self.count += 1;
    }

    /// Ends the last piece here, if it is a free one that begins there.
    #[inline(always)]
    pub fn cut_free(&mut self, free: Free) {
        let last = self.count.wrapping_sub(1);
        if self.count != 0 && self.is_free(last) {
            let at = (self.head.wrapping_add(last)) as usize % RECORDS;
            self.hashes[at] = free.len() as u64;
        }
    }

    /// Writes a piece behind the last one, without counting it: [`Records::keep`] does.
    #[inline(always)]
    pub fn write(&mut self, beyond: u32, hash: u64, length: u32) {
        let at = (self.head.wrapping_add(self.count).wrapping_add(beyond)) as usize % RECORDS;
        self.hashes[at] = hash;
        self.lengths[at] = length as u16;
    }

    /// Counts pieces that were written.
    #[inline(always)]
    pub fn keep(&mut self, pieces: u32) {
        self.count += pieces;
    }

    /// Forgets the oldest piece if it ends at or before this position; false if it does not.
    #[inline(always)]
    pub fn retire(&mut self, acknowledged: u32) -> bool {
        if self.count == 0 {
            return false;
        }
        let (_, length) = self.get(0);
        let end = self.first.wrapping_add(length);
        if is_before(acknowledged, end) {
            return false;
        }
        self.first = end;
        self.head = self.head.wrapping_add(1) % RECORDS as u32;
        self.count -= 1;
        true
    }
}

/// One direction of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Stream {
    /// Held by the CPU that judges this direction; 0 is free.
    pub lock: u64,
    /// Number of the connection, here and far behind: a slot that was given to another connection while a CPU still wrote
    /// the state of the old one has two numbers, or a foreign one.
    owner: u64,
    /// Position of the next byte.
    pub next: u32,
    /// What the receiver has acknowledged; written by the CPU that judges the other direction.
    pub acked: u32,
    /// Segments in a row that repeat bytes in a way that cannot be compared.
    pub strikes: u32,
    /// 1: the last byte has been sent.
    pub finished: u32,
    /// The last [`Free`] part, packed: written under the lock, read without.
    pub free: u64,
    /// A bit for each entry of `patches` that is used.
    pub patched: u32,
    pad: u32,
    /// What is read of it with every segment is at its end, and that of what was said at its beginning: few lines of a cache.
    pub records: Records,
    owner_again: u64,
    pub said: Said,
    /// Positions of bytes that were replaced.
    pub patches: [u32; PATCHES],
}

impl Stream {
    /// A direction of this connection, whose first byte is at this position.
    pub const fn new(owner: u64, next: u32) -> Self {
        Self {
            lock: 0,
            owner,
            next,
            acked: next,
            strikes: 0,
            finished: 0,
            free: 0,
            patched: 0,
            pad: 0,
            records: Records::new(next),
            owner_again: owner,
            said: Said::NOTHING,
            patches: [0; PATCHES],
        }
    }

    /// Makes this a direction as [`Stream::new`] does; what lies in the records stays there, uncounted.
    #[inline(always)]
    pub fn begin(&mut self, owner: u64, next: u32) {
        self.lock = 0;
        self.owner = owner;
        self.owner_again = owner;
        self.next = next;
        self.acked = next;
        self.strikes = 0;
        self.finished = 0;
        self.free = 0;
        self.patched = 0;
        self.said = Said::NOTHING;
        self.patches = [0; PATCHES];
        self.records.clear(next);
    }

    /// Whether the whole state is that of this connection.
    #[inline(always)]
    pub const fn belongs_to(&self, owner: u64) -> bool {
        self.owner == owner && self.owner_again == owner
    }
}

/// Both directions of a connection: from the low end of its key, from the high end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Streams(pub [Stream; 2]);

/// Whether a position is before another one.
#[inline(always)]
pub const fn is_before(a: u32, b: u32) -> bool {
    a.wrapping_sub(b).cast_signed() < 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    extern crate std;
    use std::collections::VecDeque;

    proptest! {
        #[test]
        fn records_are_a_queue(steps in proptest::collection::vec((any::<bool>(), 1_u16..2_000, any::<u64>()), 0..600), start: u32) {
            let mut records = Records::new(start);
            let mut queue = VecDeque::new();
            let (mut first, mut next) = (start, start);
            for (push, length, hash) in steps {
                if push && records.room() > 0 {
                    records.write(0, hash, u32::from(length));
                    records.keep(1);
                    queue.push_back((hash, u32::from(length)));
                    next = next.wrapping_add(u32::from(length));
                } else if let Some((_, oldest)) = queue.front().copied() {
                    prop_assert!(!records.retire(first.wrapping_add(oldest - 1)));
                    prop_assert!(records.retire(first.wrapping_add(oldest)));
                    first = first.wrapping_add(oldest);
                    queue.pop_front();
                } else {
                    prop_assert!(!records.retire(next.wrapping_add(5)));
                }
                prop_assert_eq!((records.first(), records.count() as usize), (first, queue.len()));
                prop_assert!(queue.iter().zip(0..).all(|(piece, index)| records.get(index) == *piece));
            }
        }
    }

    #[test]
    fn a_free_piece_has_its_length_and_may_end_early() {
        let mut records = Records::new(u32::MAX - 10);
        records.write(0, 7, 20);
        records.keep(1);
        records.push_free(AHEAD);
        assert_eq!((records.is_free(0), records.is_free(1), records.get(1).1), (false, true, AHEAD));
        assert!(records.retire(9) && !records.retire(9 + AHEAD - 1));
        records.cut_free(Free { from: 9, to: 12 });
        assert!(!records.retire(11) && records.retire(12));
        assert_eq!((records.first(), records.count()), (12, 0));
    }

    proptest! {
        #[test]
        fn a_free_part_has_what_lies_within(from: u32, len in 0..=AHEAD, at in 0..AHEAD * 2, length in 0..70_000_u32) {
            let free = Free { from, to: from.wrapping_add(len) };
            prop_assert_eq!(Free::unpack(free.pack()), free);
            prop_assert_eq!(free.has(from.wrapping_add(at), length), at < len && at + length <= len);
            prop_assert!(!free.has(from.wrapping_sub(at + 1), length));
        }
    }

    #[test]
    fn a_machine_that_has_read_nothing_is_all_zeros() {
        let machine = Machine::NEW;
        assert_eq!((machine.tls(), machine.http(), machine.modbus()), (&Tls::NEW, &Http::NEW, &Modbus::NEW));
    }

    #[test]
    fn positions_wrap() {
        assert!(is_before(u32::MAX, 3) && !is_before(3, u32::MAX) && !is_before(3, 3));
    }
}
