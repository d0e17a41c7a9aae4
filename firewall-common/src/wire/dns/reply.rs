//! What a resolver answers, record by record: the addresses that the name of a question leads to.
//!
//! [`Reply`] reads a message where it lies, in bounded steps that kernel programs drive with a loop. It follows the chain
//! of CNAME records from the name of the question, in the order of the records, as resolvers write it (RFC 1034, section
//! 4.3.2) and clients read it. A record of any other name means nothing; what is no record at all is an error.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::{FORBIDDEN, HEADER, IN, LABEL_CAP, NAME_CAP, RECORDS, RESPONSE, kind};
use crate::abi::Addr;
use crate::hash::{HashKey, Hasher};
use crate::reason::Reason;
use crate::wire::Bytes;

/// Bit of the header's flags: the answer was cut off.
const TRUNCATED: u16 = 0x0200;
/// What became of the question: 0 is no error.
const RESPONSE_CODE: u16 = 0x000f;
/// Bytes between a record's name and its data.
const RECORD_HEAD: u32 = 10;

/// Where in a message the next byte belongs.
mod phase {
    /// Length of a label, or a pointer.
    pub(super) const LENGTH: u8 = 0;
    pub(super) const LABEL: u8 = 1;
    /// A name is complete.
    pub(super) const COMPLETE: u8 = 2;
}

/// Whose the name at hand is.
mod part {
    pub(super) const QUESTION: u8 = 0;
    pub(super) const OWNER: u8 = 1;
    /// What a CNAME record leads to.
    pub(super) const TARGET: u8 = 2;
}

/// One message that answers one question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Reply {
    /// Of the name at hand.
    hasher: Hasher,
    /// Hash of the name that records must be about.
    chain: u64,
    /// Where that name is written.
    chain_at: u32,
    /// Where the message lies, and how many bytes it has. All other offsets count from its beginning.
    base: u32,
    len: u32,
    /// The next byte.
    at: u32,
    /// Compression must lead before this.
    bound: u32,
    /// Where reading goes on behind a name that was compressed; 0 until it is.
    behind: u32,
    /// End of the data of a CNAME record.
    end: u32,
    ttl: u32,
    /// Bytes of the name at hand so far.
    name_len: u16,
    /// Records that have not come yet.
    records: u16,
    id: u16,
    phase: u8,
    part: u8,
    /// Bytes of the current label that have not come yet.
    label: u8,
    /// 1: the name at hand is that of the chain, by where it is written.
    known: u8,
    pad: [u8; 6],
}

/// What a step has found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing yet.
    More,
    /// The name of the question: [`Reply::id`] and [`Reply::name`] say which one is answered.
    Question,
    /// An address of the name, for [`Reply::ttl`] seconds.
    Address(Addr),
    /// No more records.
    End,
    /// A lie or a mistake: nothing that follows means anything.
    Wrong(Reason),
}

impl Reply {
    /// No message.
    pub const NONE: Self = Self {
        hasher: Hasher::ZERO,
        chain: 0,
        chain_at: HEADER as u32,
        base: 0,
        len: 0,
        at: HEADER as u32,
        bound: HEADER as u32,
        behind: 0,
        end: 0,
        ttl: 0,
        name_len: 0,
        records: 0,
        id: 0,
        phase: phase::LENGTH,
        part: part::QUESTION,
        label: 0,
        known: 0,
        pad: [0; 6],
    };

    /// Begins with a message; false if it gives no address: an error, an empty answer, or one that was cut off, whose
    /// client asks again over TCP.
    #[inline(always)]
    pub fn open(&mut self, bytes: &impl Bytes, base: u32, len: u32) -> Result<bool, Reason> {
        *self = Self { base, len, ..Self::NONE };
        let Some([i0, i1, f0, f1, q0, q1, a0, a1, ..]) = bytes.load::<12>(base) else {
            return Err(Reason::Malformed);
        };
        if len < HEADER as u32 {
            return Err(Reason::Malformed);
        }
        self.id = u16::from_be_bytes([i0, i1]);
        let flags = u16::from_be_bytes([f0, f1]);
        if flags & RESPONSE == 0 || flags & FORBIDDEN != 0 {
            return Err(Reason::Malformed);
        }
        self.records = u16::from_be_bytes([a0, a1]);
        if flags & (TRUNCATED | RESPONSE_CODE) != 0 || self.records == 0 {
            return Ok(false);
        }
        if u16::from_be_bytes([q0, q1]) != 1 {
            return Err(Reason::Malformed);
        }
        if self.records as u32 > RECORDS {
            return Err(Reason::WorkCap);
        }
        Ok(true)
    }

    /// Number that joins it to its question.
    #[inline(always)]
    pub const fn id(&self) -> u16 {
        self.id
    }

    /// Keyed hash of the name that records must be about, in lower case with dots between labels: first that of the
    /// question.
    #[inline(always)]
    pub const fn name(&self) -> u64 {
        self.chain
    }

    /// Seconds for which the last address holds.
    #[inline(always)]
    pub const fn ttl(&self) -> u32 {
        self.ttl
    }

    /// Goes on by a label's byte, a length, or the head of a record.
    #[inline(always)]
    pub fn step(&mut self, bytes: &impl Bytes, key: &HashKey) -> Step {
        match self.phase {
            phase::LENGTH => self.length(bytes, key),
            phase::LABEL => self.label(bytes, key),
            _ => match self.part {
                part::QUESTION => self.question(),
                part::OWNER => self.record(bytes),
                _ => self.target(),
            },
        }
    }

    #[inline(always)]
    fn byte(&self, bytes: &impl Bytes, at: u32) -> Option<u8> {
        if at >= self.len {
            return None;
        }
        let [byte] = bytes.load::<1>(self.base.wrapping_add(at))?;
        Some(byte)
    }

    /// Begins a name where the next byte is.
    #[inline(always)]
    fn begin(&mut self, part: u8) {
        self.part = part;
        self.phase = phase::LENGTH;
        self.hasher = Hasher::ZERO;
        self.name_len = 0;
        self.known = 0;
        self.behind = 0;
        self.bound = self.at;
    }

    /// Length of a label, the end of a name, or a pointer.
    #[inline(always)]
    fn length(&mut self, bytes: &impl Bytes, key: &HashKey) -> Step {
        let Some(byte) = self.byte(bytes, self.at) else { return Step::Wrong(Reason::Malformed) };
        if byte == 0 {
            self.complete(1);
            return Step::More;
        }
        if byte <= LABEL_CAP {
            if self.name_len != 0 {
                self.hasher = self.hasher.push(b'.', key);
            }
            self.name_len = self.name_len.wrapping_add(byte as u16 + 1);
            if self.name_len >= NAME_CAP {
                return Step::Wrong(Reason::Malformed);
            }
            self.label = byte;
            self.at = self.at.wrapping_add(1);
            self.phase = phase::LABEL;
            return Step::More;
        }
        self.pointer(bytes, byte)
    }

    /// Compression leads backwards, so no chain of pointers comes back; the question has nothing to point at.
    #[inline(always)]
    fn pointer(&mut self, bytes: &impl Bytes, first: u8) -> Step {
        let second = self.byte(bytes, self.at.wrapping_add(1));
        let Some(second) = second else { return Step::Wrong(Reason::Malformed) };
        let target = (first as u32 & 0x3f) << 8 | second as u32;
        let leads_back = target >= HEADER as u32 && target < self.bound;
        if first < 0xc0 || self.part == part::QUESTION || !leads_back {
            return Step::Wrong(Reason::Malformed);
        }
        if self.part == part::OWNER && self.name_len == 0 && target == self.chain_at {
            // The usual case needs no walk.
            self.known = 1;
            self.complete(2);
            return Step::More;
        }
        if self.behind == 0 {
            self.behind = self.at.wrapping_add(2);
        }
        self.at = target;
        self.bound = target;
        Step::More
    }

    #[inline(always)]
    fn complete(&mut self, length: u32) {
        if self.behind == 0 {
            self.behind = self.at.wrapping_add(length);
        }
        self.at = self.behind;
        self.phase = phase::COMPLETE;
    }

    #[inline(always)]
    fn label(&mut self, bytes: &impl Bytes, key: &HashKey) -> Step {
        let Some(byte) = self.byte(bytes, self.at) else { return Step::Wrong(Reason::Malformed) };
        // A dot within a label would give two names the same text.
        let byte = if byte == b'.' { 0 } else { byte.to_ascii_lowercase() };
        self.hasher = self.hasher.push(byte, key);
        self.at = self.at.wrapping_add(1);
        self.label = self.label.wrapping_sub(1);
        if self.label == 0 {
            self.phase = phase::LENGTH;
        }
        Step::More
    }

    /// Behind the name of the question.
    #[inline(always)]
    fn question(&mut self) -> Step {
        self.chain = self.hasher.finish();
        // Type and class.
        self.at = self.at.wrapping_add(4);
        self.next();
        Step::Question
    }

    /// The next record, or the end.
    #[inline(always)]
    fn next(&mut self) {
        self.begin(part::OWNER);
        if self.records == 0 {
            self.phase = phase::COMPLETE;
        }
    }

    /// Behind the name of a record.
    #[inline(always)]
    fn record(&mut self, bytes: &impl Bytes) -> Step {
        let Some(left) = self.records.checked_sub(1) else { return Step::End };
        self.records = left;
        let head = bytes.load::<10>(self.base.wrapping_add(self.at));
        let Some([k0, k1, c0, c1, t0, t1, t2, t3, l0, l1]) = head else {
            return Step::Wrong(Reason::Malformed);
        };
        let data = self.at.wrapping_add(RECORD_HEAD);
        let length = u16::from_be_bytes([l0, l1]);
        let end = data.wrapping_add(length as u32);
        if end > self.len {
            return Step::Wrong(Reason::Malformed);
        }
        self.ttl = u32::from_be_bytes([t0, t1, t2, t3]);
        let (kind, class) = (u16::from_be_bytes([k0, k1]), u16::from_be_bytes([c0, c1]));
        let is_ours = class == IN && (self.known != 0 || self.hasher.finish() == self.chain);
        if is_ours && kind == kind::CNAME {
            self.chain_at = data;
            self.at = data;
            self.end = end;
            self.begin(part::TARGET);
            return Step::More;
        }
        self.at = end;
        self.next();
        let address = match (is_ours, kind, length) {
            (true, kind::A, 4) => bytes.load::<4>(self.base.wrapping_add(data)).map(Addr::from_v4),
            (true, kind::AAAA, 16) => bytes.load::<16>(self.base.wrapping_add(data)).map(Addr),
            _ => None,
        };
        match address {
            Some(addr) => Step::Address(addr),
            None => Step::More,
        }
    }

    /// Behind the name that a CNAME record leads to.
    #[inline(always)]
    fn target(&mut self) -> Step {
        if self.at != self.end {
            return Step::Wrong(Reason::Malformed);
        }
        self.chain = self.hasher.finish();
        self.next();
        Step::More
    }
}

#[cfg(test)]
mod tests;
