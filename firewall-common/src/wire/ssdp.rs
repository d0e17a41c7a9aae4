//! SSDP: searches and announcements of `UPnP` devices, as lines of HTTP in datagrams (section 1 of the
//! architecture of `UPnP` devices, 2.0).
//!
//! The object is the value of `ST`, `NT` or `USN`, each as it comes; [`Ssdp::header`] says which one it is.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::hash::HashKey;
use crate::reason::Reason;
use crate::wire::Event;
use crate::wire::object::Object;

/// Where in a message the next byte belongs.
mod phase {
    pub(super) const START: u8 = 0;
    pub(super) const LINE: u8 = 1;
    pub(super) const VALUE: u8 = 2;
    /// The line feed that ends a header.
    pub(super) const FEED: u8 = 3;
    /// The line feed that ends the message.
    pub(super) const LAST: u8 = 4;
    pub(super) const END: u8 = 5;
}

/// Longest message.
const MESSAGE_CAP: u16 = 2_048;
/// Longest name of a header.
const NAME_CAP: u8 = 64;

/// What a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Message {
    /// M-SEARCH: who is there?
    Search,
    /// NOTIFY: an announcement, or a good-bye.
    Notify,
    /// The answer to a search.
    Response,
}

impl Message {
    /// The name in every output.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Search => "m-search",
            Self::Notify => "notify",
            Self::Response => "response",
        }
    }

    /// The whole first line.
    const fn line(self) -> &'static [u8] {
        match self {
            Self::Search => b"M-SEARCH * HTTP/1.1\r\n",
            Self::Notify => b"NOTIFY * HTTP/1.1\r\n",
            Self::Response => b"HTTP/1.1 200 OK\r\n",
        }
    }
}

/// A header whose value is an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Header {
    /// `ST` of a search or response, `NT` of an announcement: a kind of device or service.
    Target,
    /// `USN`: this one device or service.
    Name,
}

/// Names of headers as numbers, in lower case.
const ST: u32 = 0x7374;
const NT: u32 = 0x6e74;
const USN: u32 = 0x0075_736e;

/// One message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Ssdp {
    /// Last bytes of the header's name, in lower case.
    name: u32,
    at: u16,
    phase: u8,
    /// First byte of the message.
    first: u8,
    name_len: u8,
    /// 1 once the value has begun: blanks before it are not part of it.
    begun: u8,
    pad: [u8; 2],
}

impl Ssdp {
    /// A message of which nothing has been seen.
    pub const NEW: Self =
        Self { name: 0, at: 0, phase: phase::START, first: 0, name_len: 0, begun: 0, pad: [0; 2] };

    /// What the message is, by its first line.
    #[inline(always)]
    pub const fn message(&self) -> Message {
        match self.first {
            b'M' => Message::Search,
            b'N' => Message::Notify,
            _ => Message::Response,
        }
    }

    /// Whose value the last object is.
    #[inline(always)]
    pub const fn header(&self) -> Header {
        if self.name == USN { Header::Name } else { Header::Target }
    }

    /// Whether the value at hand is an object.
    #[inline(always)]
    const fn is_wanted(&self) -> bool {
        match self.name_len {
            2 => self.name == ST || self.name == NT,
            3 => self.name == USN,
            _ => false,
        }
    }

    /// Takes one byte.
    #[inline(always)]
    pub fn step(&mut self, object: &mut Object, byte: u8, key: &HashKey) -> Event {
        if self.at >= MESSAGE_CAP {
            return Event::Wrong(Reason::WorkCap);
        }
        let event = match self.phase {
            phase::START => self.start(byte),
            phase::LINE => self.line(object, byte),
            phase::VALUE => self.value(object, byte, key),
            phase::FEED | phase::LAST if byte == b'\n' => self.feed(),
            _ => Event::Wrong(Reason::Malformed),
        };
        self.at += 1;
        event
    }

    /// The end of the datagram; small devices leave out the empty line.
    #[inline(always)]
    pub fn finish(&mut self) -> Event {
        let complete = self.phase == phase::END || self.phase == phase::LINE && self.name_len == 0;
        if complete { Event::More } else { Event::Wrong(Reason::Malformed) }
    }

    #[inline(always)]
    fn start(&mut self, byte: u8) -> Event {
        if self.at == 0 {
            self.first = byte;
        }
        let line = self.message().line();
        let at = self.at as usize;
        if at >= line.len() || line[at] != byte {
            return Event::Wrong(Reason::ProtoChanged);
        }
        if at + 1 == line.len() {
            self.next_line();
        }
        Event::More
    }

    #[inline(always)]
    fn next_line(&mut self) {
        self.phase = phase::LINE;
        self.name_len = 0;
    }

    /// A byte of a header's name, or of the empty line.
    #[inline(always)]
    fn line(&mut self, object: &mut Object, byte: u8) -> Event {
        match byte {
            b'\r' if self.name_len == 0 => self.phase = phase::LAST,
            b':' if self.name_len != 0 => {
                object.clear();
                self.begun = 0;
                self.phase = phase::VALUE;
            }
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' if self.name_len < NAME_CAP => {
                // That of the line before stands until here: its object was judged by it.
                let before = if self.name_len == 0 { 0 } else { self.name << 8 };
                self.name = before | byte.to_ascii_lowercase() as u32;
                self.name_len += 1;
            }
            _ => return Event::Wrong(Reason::Malformed),
        }
        Event::More
    }

    /// A byte of a value, or its end.
    #[inline(always)]
    fn value(&mut self, object: &mut Object, byte: u8, key: &HashKey) -> Event {
        match byte {
            b'\r' => self.phase = phase::FEED,
            b' ' | b'\t' if self.begun == 0 => {}
            0..0x20 | 0x7f => return Event::Wrong(Reason::Malformed),
            _ => {
                self.begun = 1;
                if self.is_wanted() && !object.push(byte, key) {
                    return Event::Wrong(Reason::ObjectCap);
                }
            }
        }
        Event::More
    }

    #[inline(always)]
    fn feed(&mut self) -> Event {
        if self.phase == phase::LAST {
            self.phase = phase::END;
            return Event::More;
        }
        let wanted = self.is_wanted();
        self.next_line();
        if wanted { Event::Object } else { Event::More }
    }
}

#[cfg(test)]
mod tests;
