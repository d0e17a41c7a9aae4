//! DNS over datagrams (RFC 1035), with EDNS (RFC 6891) and multicast DNS (RFC 6762).
//!
//! [`Dns::step`] takes a message byte by byte and gives each question's name as an object: lower case, dots between
//! labels, the root empty. It checks the whole message: counts, lengths, and that compression points backwards.
//! [`Message`] reads the records of an answer, on the host.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::abi::Addr;
use crate::hash::HashKey;
use crate::reason::Reason;
use crate::wire::object::Object;
use crate::wire::{Event, Sender};

pub mod reply;

/// Where in a message the next byte belongs.
mod phase {
    pub(super) const HEADER: u8 = 0;
    /// Length of a label, or the first byte of a pointer.
    pub(super) const NAME: u8 = 1;
    pub(super) const LABEL: u8 = 2;
    pub(super) const POINTER: u8 = 3;
    /// Type and class of a question.
    pub(super) const QUESTION: u8 = 4;
    /// Type, class, time to live and data length of a record.
    pub(super) const RECORD: u8 = 5;
    pub(super) const DATA: u8 = 6;
    /// Code and length of an EDNS option.
    pub(super) const OPTION: u8 = 7;
    pub(super) const OPTION_DATA: u8 = 8;
    pub(super) const END: u8 = 9;
}

/// Types of records and questions that are told apart.
pub mod kind {
    pub const A: u16 = 1;
    pub const NS: u16 = 2;
    pub const CNAME: u16 = 5;
    pub const SOA: u16 = 6;
    pub const PTR: u16 = 12;
    pub const TXT: u16 = 16;
    pub const AAAA: u16 = 28;
    pub const SRV: u16 = 33;
    pub const OPT: u16 = 41;
    pub const SVCB: u16 = 64;
    pub const HTTPS: u16 = 65;

    /// Whether devices ask for this to reach a service: what carries an address, or the name of a host.
    #[inline(always)]
    pub const fn is_ordinary(kind: u16) -> bool {
        matches!(kind, A | NS | CNAME | SOA | PTR | AAAA | SRV | SVCB | HTTPS)
    }
}

/// The class of the Internet.
pub const IN: u16 = 1;
/// In multicast DNS, the top bit of a question's class asks for a unicast answer (RFC 6762, section 5.4).
const UNICAST: u16 = 0x8000;
/// Options that stay between a client and its resolver: cookie (RFC 7873), padding (RFC 7830).
const COOKIE: u16 = 10;
const PADDING: u16 = 12;

/// Bytes of the header (RFC 1035, section 4.1.1).
const HEADER: u16 = 12;
/// Longest message (RFC 6762, section 17).
const MESSAGE_CAP: u16 = 9_000;
/// Longest name on the wire, and longest label (RFC 1035, section 2.3.4).
const NAME_CAP: u16 = 255;
const LABEL_CAP: u8 = 63;
/// Most questions of a multicast message, and most records of any.
const QUESTIONS: u16 = 16;
const RECORDS: u32 = 128;

/// Flags of the header that must be zero: the operation, and the reserved bit.
const FORBIDDEN: u16 = 0x7840;
const RESPONSE: u16 = 0x8000;

/// Bits of [`Dns::marks`].
mod mark {
    /// The last name had capital letters.
    pub(super) const CAPITALS: u8 = 1;
    /// The last name ends in a pointer, so its object is not all of it.
    pub(super) const COMPRESSED: u8 = 2;
    /// There was an OPT record.
    pub(super) const OPT: u8 = 4;
    /// There was another record.
    pub(super) const RECORD: u8 = 8;
    /// There was an option that a resolver may pass on.
    pub(super) const OPTION: u8 = 16;
}

/// One message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Dns {
    /// Bytes that were read.
    at: u16,
    id: u16,
    flags: u16,
    /// Questions and records that have not come yet.
    questions: u16,
    records: u16,
    /// Number that is being read.
    number: u16,
    /// Bytes of the current field that have not come yet, or have come.
    field: u16,
    /// Bytes of the current record's data that have not come yet.
    data: u16,
    /// Where the current name began, and its bytes so far.
    name_at: u16,
    name_len: u16,
    /// Type and class of the last question; type of the last record.
    question: u16,
    class: u16,
    record: u16,
    phase: u8,
    /// Bytes of the current label that have not come yet.
    label: u8,
    marks: u8,
    /// 1: multicast DNS.
    multicast: u8,
    /// 1 while a question is read, not a record.
    asks: u8,
    pad: [u8; 1],
}

impl Dns {
    /// A message between a client and its resolver.
    pub const NEW: Self = Self {
        at: 0,
        id: 0,
        flags: 0,
        questions: 0,
        records: 0,
        number: 0,
        field: 0,
        data: 0,
        name_at: 0,
        name_len: 0,
        question: 0,
        class: 0,
        record: 0,
        phase: phase::HEADER,
        label: 0,
        marks: 0,
        multicast: 0,
        asks: 0,
        pad: [0; 1],
    };

    /// A message to everyone on the link.
    pub const MULTICAST: Self = Self { multicast: 1, ..Self::NEW };

    /// Number that joins an answer to its question.
    #[inline(always)]
    pub const fn id(&self) -> u16 {
        self.id
    }

    /// Whether it is an answer.
    #[inline(always)]
    pub const fn is_response(&self) -> bool {
        self.flags & RESPONSE != 0
    }

    /// What became of the question: 0 is no error.
    #[inline(always)]
    pub const fn response_code(&self) -> u8 {
        self.flags as u8 & 0x0f
    }

    /// Whether the answer was cut off.
    #[inline(always)]
    pub const fn is_truncated(&self) -> bool {
        self.flags & 0x0200 != 0
    }

    /// Type of the last question: one of [`kind`], or another.
    #[inline(always)]
    pub const fn question(&self) -> u16 {
        self.question
    }

    /// Class of the last question, usually [`IN`].
    #[inline(always)]
    pub const fn class(&self) -> u16 {
        if self.multicast != 0 { self.class & !UNICAST } else { self.class }
    }

    /// Whether the last question of a multicast message wants its answer for itself.
    #[inline(always)]
    pub const fn wants_unicast(&self) -> bool {
        self.multicast != 0 && self.class & UNICAST != 0
    }

    /// Bytes of the last question's name on the wire.
    #[inline(always)]
    pub const fn name_len(&self) -> u16 {
        self.name_len
    }

    /// Whether the last name had capital letters, which mean nothing and may carry something.
    #[inline(always)]
    pub const fn has_capitals(&self) -> bool {
        self.marks & mark::CAPITALS != 0
    }

    /// Whether the last name goes on elsewhere in the message.
    #[inline(always)]
    pub const fn is_compressed(&self) -> bool {
        self.marks & mark::COMPRESSED != 0
    }

    /// Whether the message is one question and nothing else, but for EDNS with options that no resolver passes on.
    #[inline(always)]
    pub const fn is_plain(&self) -> bool {
        self.marks & (mark::RECORD | mark::OPTION) == 0
    }

    /// Bytes that may be passed over unread, at most `available`.
    #[inline(always)]
    pub fn skip(&mut self, available: u32) -> u32 {
        // One byte is left to `step`, which knows what follows.
        if !matches!(self.phase, phase::DATA | phase::OPTION_DATA) || self.field <= 1 {
            return 0;
        }
        let most = self.field.wrapping_sub(1) as u32;
        let skipped = if most < available { most } else { available };
        self.field = self.field.wrapping_sub(skipped as u16);
        self.data = self.data.wrapping_sub(skipped as u16);
        self.at = self.at.saturating_add(skipped as u16);
        skipped
    }

    /// Takes one byte.
    #[inline(always)]
    pub fn step(&mut self, object: &mut Object, byte: u8, sender: Sender, key: &HashKey) -> Event {
        if self.at >= MESSAGE_CAP {
            return Event::Wrong(Reason::WorkCap);
        }
        let event = match self.phase {
            phase::HEADER => self.header(byte, sender),
            phase::NAME => self.name(object, byte, key),
            phase::LABEL => self.label(object, byte, key),
            phase::POINTER => self.pointer(byte),
            phase::QUESTION => self.question_end(byte),
            phase::RECORD => self.record_head(byte),
            phase::DATA | phase::OPTION_DATA => self.data(),
            phase::OPTION => self.option(byte),
            _ => Event::Wrong(Reason::Malformed),
        };
        self.at += 1;
        event
    }

    /// The end of the datagram.
    #[inline(always)]
    pub fn finish(&mut self) -> Event {
        if self.phase == phase::END { Event::More } else { Event::Wrong(Reason::Malformed) }
    }

    /// A byte of the header.
    #[inline(always)]
    fn header(&mut self, byte: u8, sender: Sender) -> Event {
        if self.at & 1 == 0 {
            self.number = (byte as u16) << 8;
            return Event::More;
        }
        self.number |= byte as u16;
        match self.at {
            1 => self.id = self.number,
            3 => return self.flags(sender),
            5 => {
                self.questions = self.number;
                let fits = if self.multicast != 0 { self.number <= QUESTIONS } else { self.number == 1 };
                if !fits {
                    return Event::Wrong(Reason::Malformed);
                }
            }
            _ => {
                let sum = self.records as u32 + self.number as u32;
                if sum > RECORDS {
                    return Event::Wrong(Reason::WorkCap);
                }
                self.records = sum as u16;
                // Only a multicast question says what it knows already, or who it is (RFC 6762, sections 7.1 and 8.2).
                let additional = self.at == 11;
                if self.multicast == 0 && !self.is_response() && !additional && self.number != 0 {
                    return Event::Wrong(Reason::Malformed);
                }
                if additional {
                    self.next();
                }
            }
        }
        Event::More
    }

    #[inline(always)]
    fn flags(&mut self, sender: Sender) -> Event {
        self.flags = self.number;
        let expected = match sender {
            Sender::Client => 0,
            Sender::Server => RESPONSE,
        };
        let turned = self.multicast == 0 && self.flags & RESPONSE != expected;
        if turned || self.flags & FORBIDDEN != 0 {
            return Event::Wrong(Reason::Malformed);
        }
        Event::More
    }

    /// The next question or record, or the end. The object of a question stays until the next one begins.
    #[inline(always)]
    fn next(&mut self) {
        self.asks = (self.questions != 0) as u8;
        if self.asks != 0 {
            self.questions = self.questions.wrapping_sub(1);
        } else if self.records != 0 {
            self.records = self.records.wrapping_sub(1);
        } else {
            self.phase = phase::END;
            return;
        }
        self.phase = phase::NAME;
        self.name_at = self.at.wrapping_add(1);
    }

    /// Length of a label, the end of a name, or a pointer.
    #[inline(always)]
    fn name(&mut self, object: &mut Object, byte: u8, key: &HashKey) -> Event {
        let before = self.at.wrapping_sub(self.name_at);
        if self.asks != 0 && before == 0 {
            object.clear();
            self.marks &= !(mark::CAPITALS | mark::COMPRESSED);
        }
        // The end of the name is counted too.
        let more = match byte {
            0 => 1,
            1..=LABEL_CAP => byte as u16 + 2,
            _ => 2,
        };
        if before.wrapping_add(more) > NAME_CAP {
            return Event::Wrong(Reason::Malformed);
        }
        match byte {
            0 => self.name_end(),
            1..=LABEL_CAP => {
                if self.asks != 0 && !object.is_empty() && !object.push(b'.', key) {
                    return Event::Wrong(Reason::ObjectCap);
                }
                self.label = byte;
                self.phase = phase::LABEL;
            }
            // In the one question of a client there is nothing to point at.
            0xc0..=0xff if self.asks == 0 || self.multicast != 0 => {
                self.number = (byte as u16 & 0x3f) << 8;
                self.phase = phase::POINTER;
            }
            _ => return Event::Wrong(Reason::Malformed),
        }
        Event::More
    }

    /// A byte of a label. A dot within one would give two names the same text.
    #[inline(always)]
    fn label(&mut self, object: &mut Object, byte: u8, key: &HashKey) -> Event {
        self.label = self.label.wrapping_sub(1);
        if self.label == 0 {
            self.phase = phase::NAME;
        }
        if self.asks == 0 {
            return Event::More;
        }
        // Names of multicast services are text (RFC 6762, section 16) and only hints.
        let fits = match byte {
            b'.' | b' ' | 0x80..=0xff => self.multicast != 0,
            0..0x20 | 0x7f => false,
            _ => true,
        };
        if !fits {
            return Event::Wrong(Reason::Malformed);
        }
        if byte.is_ascii_uppercase() {
            self.marks |= mark::CAPITALS;
        }
        if object.push(byte.to_ascii_lowercase(), key) {
            Event::More
        } else {
            Event::Wrong(Reason::ObjectCap)
        }
    }

    /// Compression points before the name that it is in, so no chain of pointers comes back.
    #[inline(always)]
    fn pointer(&mut self, byte: u8) -> Event {
        self.number |= byte as u16;
        if self.number < HEADER || self.number >= self.name_at {
            return Event::Wrong(Reason::Malformed);
        }
        if self.asks != 0 {
            self.marks |= mark::COMPRESSED;
        }
        self.name_end();
        Event::More
    }

    #[inline(always)]
    fn name_end(&mut self) {
        self.field = 0;
        if self.asks != 0 {
            self.name_len = self.name_so_far();
            self.phase = phase::QUESTION;
        } else {
            self.phase = phase::RECORD;
        }
    }

    /// Bytes of the current name, with the one at hand.
    #[inline(always)]
    fn name_so_far(&self) -> u16 {
        self.at.wrapping_add(1).wrapping_sub(self.name_at)
    }

    /// Reads numbers of two bytes, and says which one is complete: from 1, or 0 within one.
    #[inline(always)]
    fn two(&mut self, byte: u8) -> u16 {
        self.field = self.field.wrapping_add(1);
        if self.field & 1 == 1 {
            self.number = (byte as u16) << 8;
            return 0;
        }
        self.number |= byte as u16;
        self.field >> 1
    }

    #[inline(always)]
    fn question_end(&mut self, byte: u8) -> Event {
        match self.two(byte) {
            1 => self.question = self.number,
            2 => {
                self.class = self.number;
                self.next();
                return Event::Object;
            }
            _ => {}
        }
        Event::More
    }

    /// A byte between the name and the data of a record (RFC 1035, section 4.1.3; RFC 6891, section 6.1.2).
    #[inline(always)]
    fn record_head(&mut self, byte: u8) -> Event {
        match self.two(byte) {
            1 if self.number == kind::OPT => {
                // One byte of name and two of type.
                let at_root = self.name_so_far() == 3;
                if !at_root || self.marks & mark::OPT != 0 {
                    return Event::Wrong(Reason::Malformed);
                }
                self.marks |= mark::OPT;
                self.record = self.number;
            }
            1 => {
                self.marks |= mark::RECORD;
                self.record = self.number;
            }
            5 => {
                self.data = self.number;
                self.field = self.number;
                self.phase = phase::DATA;
                if self.data == 0 {
                    self.next();
                } else if self.record == kind::OPT {
                    self.field = 0;
                    self.phase = phase::OPTION;
                }
            }
            _ => {}
        }
        Event::More
    }

    /// A byte of data.
    #[inline(always)]
    fn data(&mut self) -> Event {
        self.field = self.field.wrapping_sub(1);
        self.data = self.data.wrapping_sub(1);
        if self.field == 0 {
            self.data_end();
        }
        Event::More
    }

    /// The next option, or the next record.
    #[inline(always)]
    fn data_end(&mut self) {
        if self.data == 0 {
            self.next();
        } else {
            self.field = 0;
            self.phase = phase::OPTION;
        }
    }

    /// A byte of the head of an option (RFC 6891, section 6.1.2).
    #[inline(always)]
    fn option(&mut self, byte: u8) -> Event {
        self.data = self.data.wrapping_sub(1);
        match self.two(byte) {
            1 if self.number != COOKIE && self.number != PADDING => self.marks |= mark::OPTION,
            2 if self.number > self.data => return Event::Wrong(Reason::Malformed),
            2 if self.number == 0 => {
                self.data_end();
                return Event::More;
            }
            2 => {
                self.field = self.number;
                self.phase = phase::OPTION_DATA;
                return Event::More;
            }
            _ => {}
        }
        if self.data == 0 { Event::Wrong(Reason::Malformed) } else { Event::More }
    }
}

/// A message that was checked, for reading its records.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    bytes: &'a [u8],
    /// Where the records begin, and how many are answers.
    records: usize,
    answers: u16,
}

impl<'a> Message<'a> {
    /// Checks a message of a resolver.
    pub fn answer(bytes: &'a [u8]) -> Result<Self, Reason> {
        Self::new_checked(bytes, Dns::NEW)
    }

    /// Checks a multicast message.
    pub fn multicast(bytes: &'a [u8]) -> Result<Self, Reason> {
        Self::new_checked(bytes, Dns::MULTICAST)
    }

    fn new_checked(bytes: &'a [u8], mut dns: Dns) -> Result<Self, Reason> {
        // The hash is not used here.
        let key = HashKey::from_random([0; 16]);
        let mut object = Object::EMPTY;
        let mut records = usize::from(HEADER);
        for (at, &byte) in bytes.iter().enumerate() {
            match dns.step(&mut object, byte, Sender::Server, &key) {
                Event::Wrong(reason) => return Err(reason),
                Event::Object => records = at + 1,
                _ => {}
            }
        }
        if let Event::Wrong(reason) = dns.finish() {
            return Err(reason);
        }
        let answers = number(bytes, 6).ok_or(Reason::Malformed)?;
        Ok(Self { bytes, records, answers })
    }

    /// Number that joins it to its question.
    pub fn id(&self) -> u16 {
        number(self.bytes, 0).unwrap_or(0)
    }

    /// Whether it answers, or tells without being asked.
    pub fn is_response(&self) -> bool {
        number(self.bytes, 2).is_some_and(|flags| flags & RESPONSE != 0)
    }

    /// The name that was asked for.
    pub const fn question(&self) -> Name<'a> {
        Name { bytes: self.bytes, at: HEADER as usize }
    }

    /// All questions, of which only a multicast message may have several.
    pub fn questions(&self) -> Questions<'a> {
        Questions { bytes: self.bytes, at: HEADER.into(), left: number(self.bytes, 4).unwrap_or(0) }
    }

    /// What became of the question: 0 is no error.
    pub fn code(&self) -> u8 {
        self.bytes.get(3).map_or(0, |flags| flags & 0x0f)
    }

    /// The records of the answer section, in order.
    pub fn answers(&self) -> Records<'a> {
        Records { bytes: self.bytes, at: self.records, left: self.answers }
    }
}

/// Iterator over the questions of a message.
#[derive(Clone, Debug)]
pub struct Questions<'a> {
    bytes: &'a [u8],
    at: usize,
    left: u16,
}

impl<'a> Iterator for Questions<'a> {
    type Item = Question<'a>;

    fn next(&mut self) -> Option<Question<'a>> {
        self.left = self.left.checked_sub(1)?;
        let name = Name { bytes: self.bytes, at: self.at };
        let end = name.end()?;
        let [kind, class] = [number(self.bytes, end)?, number(self.bytes, end + 2)?];
        self.at = end + 4;
        Some(Question { name, kind, class: class & !UNICAST })
    }
}

/// What is asked for (RFC 1035, section 4.1.2).
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    pub name: Name<'a>,
    /// One of [`kind`], or another.
    pub kind: u16,
    /// Without the bit of multicast DNS that wishes for an answer to who asks alone.
    pub class: u16,
}

/// Iterator over the records of a section; it ends at the first one that cannot be read.
#[derive(Clone, Debug)]
pub struct Records<'a> {
    bytes: &'a [u8],
    at: usize,
    left: u16,
}

impl<'a> Iterator for Records<'a> {
    type Item = Record<'a>;

    fn next(&mut self) -> Option<Record<'a>> {
        self.left = self.left.checked_sub(1)?;
        let owner = Name { bytes: self.bytes, at: self.at };
        let head = owner.end()?;
        let [kind, class] = [number(self.bytes, head)?, number(self.bytes, head + 2)?];
        let ttl = u32::from_be_bytes(self.bytes.get(head + 4..head + 8)?.try_into().ok()?);
        let data = head + 10;
        self.at = data + usize::from(number(self.bytes, head + 8)?);
        let bytes = self.bytes.get(data..self.at)?;
        let data = match (kind, bytes) {
            (kind::A, &[a, b, c, d]) => Data::Address(Addr::from_v4([a, b, c, d])),
            (kind::AAAA, _) => Data::Address(Addr(bytes.try_into().ok()?)),
            (kind::CNAME, _) => Data::Alias(Name { bytes: self.bytes, at: data }),
            _ => Data::Other(bytes),
        };
        Some(Record { owner, kind, class, ttl, data })
    }
}

/// A record (RFC 1035, section 4.1.3).
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    /// Whose it is.
    pub owner: Name<'a>,
    /// One of [`kind`], or another.
    pub kind: u16,
    pub class: u16,
    /// Seconds for which it holds.
    pub ttl: u32,
    pub data: Data<'a>,
}

/// What a record says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Data<'a> {
    /// A and AAAA.
    Address(Addr),
    /// CNAME: the name that the owner stands for.
    Alias(Name<'a>),
    /// Anything else, as it is.
    Other(&'a [u8]),
}

/// A name within a message, perhaps compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Name<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Name<'a> {
    /// The labels in order, without the root; an error stands for what is not a name.
    pub fn labels(self) -> Labels<'a> {
        Labels { bytes: self.bytes, at: self.at, bound: self.at, left: NAME_CAP, done: false }
    }

    /// Offset behind the name as it stands in the message.
    fn end(self) -> Option<usize> {
        let mut at = self.at;
        loop {
            match *self.bytes.get(at)? {
                0 => return Some(at + 1),
                0xc0..=0xff => return Some(at + 2),
                length => at += usize::from(length) + 1,
            }
        }
    }
}

/// Iterator over the labels of a name.
#[derive(Clone, Debug)]
pub struct Labels<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Pointers lead before this offset, each before the last one.
    bound: usize,
    /// Bytes that the name may still have.
    left: u16,
    done: bool,
}

impl<'a> Labels<'a> {
    /// The next label, `Ok(None)` at the root.
    fn label(&mut self) -> Result<Option<&'a [u8]>, Reason> {
        loop {
            let length = *self.bytes.get(self.at).ok_or(Reason::Malformed)?;
            match length {
                0 => return Ok(None),
                1..=LABEL_CAP => {
                    self.left = self.left.checked_sub(u16::from(length) + 1).ok_or(Reason::Malformed)?;
                    let start = self.at + 1;
                    self.at = start + usize::from(length);
                    return self.bytes.get(start..self.at).map(Some).ok_or(Reason::Malformed);
                }
                0xc0..=0xff => {
                    let target = usize::from(number(self.bytes, self.at).ok_or(Reason::Malformed)? & 0x3fff);
                    if target < usize::from(HEADER) || target >= self.bound {
                        return Err(Reason::Malformed);
                    }
                    self.at = target;
                    self.bound = target;
                }
                _ => return Err(Reason::Malformed),
            }
        }
    }
}

impl<'a> Iterator for Labels<'a> {
    type Item = Result<&'a [u8], Reason>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let label = self.label();
        self.done = !matches!(label, Ok(Some(_)));
        label.transpose()
    }
}

fn number(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(bytes.get(at..at.checked_add(2)?)?.try_into().ok()?))
}

#[cfg(test)]
mod tests;
