//! RTSP 1.0 (RFC 2326): which ports a client names for a medium, and which ones its server answers with.
//!
//! Read is the message that a segment begins with, byte by byte, and of it only the line `Transport`. A message that is cut
//! off, or stands behind another one in the same segment, names no ports: what would follow from it stays closed.
//! `destination` and `source` are passed over, so a medium never goes to a third end.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Where media are asked for (RFC 2326, section 3.2; the second one is that of servers without rights).
pub const PORTS: [u16; 2] = [554, 8554];

/// Longest message that is read.
pub const MESSAGE_CAP: u32 = 2_048;

/// Ports below are those of services (RFC 6335, section 6).
const SERVICES: u32 = 1_024;

/// Where in a message the next byte belongs.
mod phase {
    pub(super) const START: u8 = 0;
    /// What is left of a line that says nothing here.
    pub(super) const REST: u8 = 1;
    pub(super) const NAME: u8 = 2;
    /// A parameter of `Transport`, to its `=`.
    pub(super) const WORD: u8 = 3;
    pub(super) const FIRST: u8 = 4;
    pub(super) const SECOND: u8 = 5;
    pub(super) const END: u8 = 6;
}

/// What a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Message {
    /// A client asks for a medium.
    Setup,
    /// A server agrees to something.
    Agreed,
    /// Neither, or not all of it is there.
    Other,
}

/// A word in lower case, as far as it is compared: the first bytes, the last eight, and how many there are.
type Word = (u64, u64, u8);

const SETUP: Word = word(b"SETUP ");
const AGREED: Word = word(b"RTSP/1.0 2");
const TRANSPORT: Word = word(b"transport");
const CLIENT_PORT: Word = word(b"client_port");
const SERVER_PORT: Word = word(b"server_port");

const fn word(text: &[u8]) -> Word {
    let (mut before, mut last) = (0, 0);
    let mut at = 0;
    while at < text.len() {
        before = before << 8 | last >> 56;
        last = last << 8 | text[at] as u64;
        at += 1;
    }
    (before, last, text.len() as u8)
}

/// A port of the client and the one of the server that belongs to it; 0: none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Named {
    pub client: u16,
    pub server: u16,
}

/// Two ports in a row, of a medium and of what is said about it (RTP and RTCP, RFC 3550, section 11), or one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
struct Ports {
    /// 0: none.
    first: u16,
    /// The same where there is no second one.
    last: u16,
}

impl Ports {
    const NONE: Self = Self { first: 0, last: 0 };
}

/// The message at the beginning of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Rtsp {
    /// The word at hand, as [`word`] makes it.
    before: u64,
    last: u64,
    number: u32,
    client: Ports,
    server: Ports,
    length: u8,
    phase: u8,
    /// First byte of the message.
    first: u8,
    /// 1: the number at hand is one of the server.
    of_server: u8,
}

impl Rtsp {
    /// A message of which nothing has been seen.
    pub const NEW: Self = Self {
        before: 0,
        last: 0,
        number: 0,
        client: Ports::NONE,
        server: Ports::NONE,
        length: 0,
        phase: phase::START,
        first: 0,
        of_server: 0,
    };

    /// What the message is, once all of its head was read.
    #[inline(always)]
    pub const fn message(&self) -> Message {
        match (self.phase, self.first) {
            (phase::END, b'S') => Message::Setup,
            (phase::END, b'R') => Message::Agreed,
            _ => Message::Other,
        }
    }

    /// The ports that belong together: of the medium, and of what is said about it, if both ends have two.
    #[inline(always)]
    pub const fn named(&self) -> [Named; 2] {
        let (client, server) = (self.client, self.server);
        let second = client.last != client.first && (server.first == 0 || server.last != server.first);
        [
            Named { client: client.first, server: server.first },
            if second {
                Named { client: client.last, server: server.last }
            } else {
                Named { client: 0, server: 0 }
            },
        ]
    }

    /// Takes the next byte; false once nothing more is read.
    #[inline(always)]
    pub fn step(&mut self, byte: u8) -> bool {
        match self.phase {
            phase::START => self.start(byte),
            phase::REST => self.rest(byte),
            phase::NAME => self.name(byte),
            phase::WORD => self.word(byte),
            phase::FIRST | phase::SECOND => self.number(byte),
            _ => return false,
        }
        self.phase != phase::END
    }

    #[inline(always)]
    fn begin(&mut self, phase: u8) {
        self.phase = phase;
        (self.before, self.last, self.length) = (0, 0, 0);
    }

    #[inline(always)]
    fn push(&mut self, byte: u8) {
        self.before = self.before << 8 | self.last >> 56;
        self.last = self.last << 8 | byte as u64;
        self.length = self.length.saturating_add(1);
    }

    #[inline(always)]
    fn is(&self, word: Word) -> bool {
        self.length == word.2 && self.last == word.1 && self.before == word.0
    }

    /// The method, or the version and the class of the status.
    #[inline(always)]
    fn start(&mut self, byte: u8) {
        if self.length == 0 {
            self.first = byte;
        }
        self.push(byte);
        match (self.first, self.length) {
            (b'S', 6) if self.is(SETUP) => self.begin(phase::REST),
            (b'R', 10) if self.is(AGREED) => self.begin(phase::REST),
            (b'S', 1..=5) | (b'R', 1..=9) => {}
            _ => self.none(),
        }
    }

    /// The message says nothing that counts.
    #[inline(always)]
    fn none(&mut self) {
        self.first = 0;
        self.phase = phase::END;
    }

    #[inline(always)]
    fn rest(&mut self, byte: u8) {
        if byte == b'\n' {
            self.begin(phase::NAME);
        }
    }

    #[inline(always)]
    fn name(&mut self, byte: u8) {
        match byte {
            b'\n' if self.length == 0 => self.phase = phase::END,
            b'\n' => self.begin(phase::NAME),
            b'\r' => {}
            b':' if self.is(TRANSPORT) => self.begin(phase::WORD),
            b':' => self.phase = phase::REST,
            _ => self.push(byte.to_ascii_lowercase()),
        }
    }

    #[inline(always)]
    fn word(&mut self, byte: u8) {
        match byte {
            b'\n' => self.begin(phase::NAME),
            b' ' | b'\t' | b'\r' => {}
            b';' => self.begin(phase::WORD),
            b',' => self.alternative(),
            b'=' if self.is(CLIENT_PORT) => self.digits(0),
            b'=' if self.is(SERVER_PORT) => self.digits(1),
            _ => self.push(byte.to_ascii_lowercase()),
        }
    }

    /// Of several transports, the first one with ports counts: the server answers with one.
    #[inline(always)]
    fn alternative(&mut self) {
        self.begin(if self.client.first == 0 { phase::WORD } else { phase::REST });
    }

    #[inline(always)]
    fn digits(&mut self, of_server: u8) {
        self.begin(phase::FIRST);
        self.number = 0;
        self.of_server = of_server;
    }

    // A comparison is all that the kernel programs need.
    #[allow(clippy::checked_conversions)]
    #[inline(always)]
    fn number(&mut self, byte: u8) {
        match byte {
            b'0'..=b'9' if self.number <= u16::MAX as u32 => {
                self.number = self.number * 10 + (byte - b'0') as u32;
            }
            b'-' if self.phase == phase::FIRST => {
                self.store();
                self.phase = phase::SECOND;
                self.number = 0;
            }
            b';' | b',' | b'\r' | b'\n' | b' ' => {
                self.store();
                self.begin(phase::WORD);
                self.word(byte);
            }
            _ => self.none(),
        }
    }

    /// A second port that is not the next one is none.
    // As above.
    #[allow(clippy::manual_range_contains)]
    #[inline(always)]
    fn store(&mut self) {
        let number = self.number;
        let port = if number < SERVICES || number > u16::MAX as u32 { 0 } else { number as u16 };
        let before = if self.of_server == 0 { self.client } else { self.server };
        let ports = if self.phase == phase::FIRST {
            Ports { first: port, last: port }
        } else if port != 0 && port.wrapping_sub(1) == before.first {
            Ports { last: port, ..before }
        } else {
            before
        };
        if self.of_server == 0 {
            self.client = ports;
        } else {
            self.server = ports;
        }
    }
}

#[cfg(test)]
mod tests;
