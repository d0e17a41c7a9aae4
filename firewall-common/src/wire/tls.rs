//! TLS up to the end of the `ClientHello` (RFC 8446), byte by byte: the name that a client asks for, and its first ALPN.
//!
//! A `ClientHello` may be cut over several segments and several records. What follows it is skipped, but for a second
//! `ClientHello`, which a server may ask for (section 4.1.4) and which may name another host: it is read as the first.
//! The server's direction is skipped once its first record has shown itself as TLS.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::hash::HashKey;
use crate::reason::Reason;
use crate::wire::object::Object;
use crate::wire::{Event, Sender};

/// Where in a record the next byte belongs (RFC 8446, section 5.1).
mod framing {
    pub(super) const KIND: u8 = 0;
    pub(super) const VERSION_HIGH: u8 = 1;
    pub(super) const VERSION_LOW: u8 = 2;
    pub(super) const LENGTH_HIGH: u8 = 3;
    pub(super) const LENGTH_LOW: u8 = 4;
    /// A piece of a handshake message.
    pub(super) const HANDSHAKE: u8 = 5;
    /// A record that is not looked into.
    pub(super) const PASSING: u8 = 6;
    /// Nothing that follows is looked into.
    pub(super) const DONE: u8 = 7;
}

/// Where in the `ClientHello` the next byte belongs (RFC 8446, section 4.1.2).
mod phase {
    pub(super) const KIND: u8 = 0;
    /// Three bytes, to `LENGTH_LOW`.
    pub(super) const LENGTH_HIGH: u8 = 1;
    pub(super) const LENGTH_LOW: u8 = 3;
    pub(super) const VERSION_HIGH: u8 = 4;
    pub(super) const VERSION_LOW: u8 = 5;
    pub(super) const SESSION_LENGTH: u8 = 6;
    pub(super) const CIPHERS_HIGH: u8 = 7;
    pub(super) const CIPHERS_LOW: u8 = 8;
    pub(super) const COMPRESSION_LENGTH: u8 = 9;
    pub(super) const EXTENSIONS_HIGH: u8 = 10;
    pub(super) const EXTENSIONS_LOW: u8 = 11;
    pub(super) const EXTENSION_HIGH: u8 = 12;
    pub(super) const EXTENSION_LOW: u8 = 13;
    pub(super) const EXTENSION_LENGTH_HIGH: u8 = 14;
    pub(super) const EXTENSION_LENGTH_LOW: u8 = 15;
    pub(super) const LIST_HIGH: u8 = 16;
    pub(super) const LIST_LOW: u8 = 17;
    pub(super) const NAME_KIND: u8 = 18;
    pub(super) const NAME_LENGTH_HIGH: u8 = 19;
    pub(super) const NAME_LENGTH_LOW: u8 = 20;
    pub(super) const NAME: u8 = 21;
    pub(super) const ALPN_LENGTH: u8 = 22;
    pub(super) const ALPN: u8 = 23;
    /// `field` bytes that are not looked into; `then` follows.
    pub(super) const SKIP: u8 = 24;
}

/// Content types of records.
const CHANGE_CIPHER_SPEC: u8 = 20;
const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
const APPLICATION_DATA: u8 = 23;

const CLIENT_HELLO: u8 = 1;
/// Longest `ClientHello` that is read; one with post-quantum key shares has about 2,000 bytes.
const HELLO_CAP: u32 = 0x4000;
/// Longest plain record, and longest protected one of TLS 1.2 (RFC 5246, section 6.2.3).
const PLAIN_CAP: u16 = 0x4000;
const PROTECTED_CAP: u16 = 0x4800;
/// Longest host name (RFC 1035, section 2.3.4, without length bytes).
const NAME_CAP: u32 = 253;

/// Extensions that are looked at.
const SERVER_NAME: u16 = 0;
const PROTOCOLS: u16 = 16;
const EARLY_DATA: u16 = 42;
const ENCRYPTED_HELLO: u16 = 0xfe0d;
/// Bit of [`ENCRYPTED_HELLO`] in [`Tls::seen`]; no extension has this number.
const ENCRYPTED_BIT: u32 = 63;

/// The first application protocol that a client offers (RFC 7301).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alpn {
    /// None.
    Absent,
    Http2,
    Http1,
    Mqtt,
    /// Another one.
    Other,
}

impl Alpn {
    /// The name in every output.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Absent => "none",
            Self::Http2 => "h2",
            Self::Http1 => "http/1.1",
            Self::Mqtt => "mqtt",
            Self::Other => "other",
        }
    }
}

/// One direction of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Tls {
    /// Extensions that this hello has had: a bit for each number below 63, and [`ENCRYPTED_BIT`].
    seen: u64,
    /// Last eight bytes of the first protocol offered.
    protocol: u64,
    /// Bytes of the hello that have not come yet.
    message: u32,
    /// Bytes of the current field that have not come yet.
    field: u32,
    /// Bytes of the record that have not come yet.
    record: u16,
    /// Number of the current extension.
    extension: u16,
    /// Bytes of the current extension, or of its list, that have not come yet.
    list: u16,
    framing: u8,
    phase: u8,
    /// The phase behind a skipped field.
    then: u8,
    /// Content type of the record at hand.
    kind: u8,
    /// 1 once a record was certain.
    recognised: u8,
    /// Hellos that have ended.
    hellos: u8,
    /// Length of the first protocol offered.
    protocol_len: u8,
    /// 1 while the first protocol offered is read.
    first: u8,
    /// Whether the last byte of the name was a dot, or none has come.
    dot: u8,
    pad: [u8; 1],
}

impl Tls {
    /// A direction of which nothing has been seen.
    pub const NEW: Self = Self {
        seen: 0,
        protocol: 0,
        message: 0,
        field: 0,
        record: 0,
        extension: 0,
        list: 0,
        framing: framing::KIND,
        phase: phase::KIND,
        then: phase::KIND,
        kind: 0,
        recognised: 0,
        hellos: 0,
        protocol_len: 0,
        first: 0,
        dot: 0,
        pad: [0; 1],
    };

    /// Whether the protocol is certain: type and version of the first record were read.
    #[inline(always)]
    pub const fn is_recognised(&self) -> bool {
        self.recognised != 0
    }

    /// Whether nothing that follows is looked into.
    #[inline(always)]
    pub const fn is_done(&self) -> bool {
        self.framing == framing::DONE
    }

    /// Whether the hello hides another one, with another name, from everyone but its server.
    #[inline(always)]
    pub const fn is_encrypted_hello(&self) -> bool {
        self.seen >> ENCRYPTED_BIT != 0
    }

    /// The first application protocol that the client offers.
    #[inline(always)]
    pub const fn alpn(&self) -> Alpn {
        match (self.protocol_len, self.protocol) {
            (0, _) => Alpn::Absent,
            (2, 0x6832) => Alpn::Http2,
            (4, 0x6d71_7474) => Alpn::Mqtt,
            (8, 0x6874_7470_2f31_2e31) => Alpn::Http1,
            _ => Alpn::Other,
        }
    }

    /// Bytes that may be passed over unread, at most `available`.
    #[inline(always)]
    pub fn skip(&mut self, available: u32) -> u32 {
        let record = self.record as u32;
        match self.framing {
            framing::DONE => available,
            framing::PASSING => {
                let skipped = if record < available { record } else { available };
                self.take(skipped);
                skipped
            }
            // One byte of the field is left to `step`, which knows what follows.
            framing::HANDSHAKE if self.phase == phase::SKIP && self.field > 1 && record > 1 => {
                let most = if record < self.field { record } else { self.field }.wrapping_sub(1);
                let skipped = if most < available { most } else { available };
                self.take(skipped);
                self.field = self.field.wrapping_sub(skipped);
                self.message = self.message.wrapping_sub(skipped);
                skipped
            }
            _ => 0,
        }
    }

    /// Takes bytes of the record.
    #[inline(always)]
    fn take(&mut self, bytes: u32) {
        self.record = self.record.wrapping_sub(bytes as u16);
        if self.record == 0 {
            self.framing = framing::KIND;
        }
    }

    /// Takes one byte.
    #[inline(always)]
    pub fn step(&mut self, object: &mut Object, byte: u8, sender: Sender, key: &HashKey) -> Event {
        match self.framing {
            framing::DONE => Event::More,
            framing::PASSING => {
                self.take(1);
                Event::More
            }
            framing::HANDSHAKE => {
                self.take(1);
                self.hello(object, byte, key)
            }
            _ => self.frame(byte, sender),
        }
    }

    /// A byte of a record's header.
    #[inline(always)]
    fn frame(&mut self, byte: u8, sender: Sender) -> Event {
        match self.framing {
            framing::KIND => self.record_kind(byte, sender),
            framing::VERSION_HIGH => {
                if byte != 3 {
                    return self.wrong();
                }
                self.framing = framing::VERSION_LOW;
                Event::More
            }
            framing::VERSION_LOW => {
                if byte == 0 || byte > 4 {
                    return self.wrong();
                }
                self.recognised = 1;
                self.framing = match sender {
                    Sender::Client => framing::LENGTH_HIGH,
                    Sender::Server => framing::DONE,
                };
                Event::More
            }
            framing::LENGTH_HIGH => {
                self.record = (byte as u16) << 8;
                self.framing = framing::LENGTH_LOW;
                Event::More
            }
            _ => self.record_length(byte),
        }
    }

    /// Content type of a record: a hello first, and nothing between its pieces.
    #[inline(always)]
    fn record_kind(&mut self, byte: u8, sender: Sender) -> Event {
        let within = self.phase != phase::KIND;
        let fits = match sender {
            Sender::Server => byte == HANDSHAKE || byte == ALERT,
            Sender::Client if self.hellos == 0 || within => byte == HANDSHAKE,
            Sender::Client => matches!(byte, CHANGE_CIPHER_SPEC..=APPLICATION_DATA),
        };
        if !fits {
            return self.wrong();
        }
        self.kind = byte;
        self.framing = framing::VERSION_HIGH;
        Event::More
    }

    #[inline(always)]
    fn record_length(&mut self, byte: u8) -> Event {
        self.record |= byte as u16;
        let hello = self.kind == HANDSHAKE;
        // After the first hello it may be a protected one.
        let cap = if self.hellos == 0 { PLAIN_CAP } else { PROTECTED_CAP };
        if self.record > cap || self.record == 0 && self.kind != APPLICATION_DATA {
            return Event::Wrong(Reason::Malformed);
        }
        self.framing = if hello {
            framing::HANDSHAKE
        } else if self.kind == APPLICATION_DATA && self.seen & 1 << EARLY_DATA == 0 {
            // Only early data may come before a second hello.
            framing::DONE
        } else if self.record == 0 {
            framing::KIND
        } else {
            framing::PASSING
        };
        Event::More
    }

    /// A byte that does not fit: another protocol, as long as this one was not certain.
    #[inline(always)]
    fn wrong(&self) -> Event {
        Event::Wrong(if self.recognised == 0 { Reason::ProtoChanged } else { Reason::Malformed })
    }

    /// A byte of the handshake. Every byte behind the head is counted by `message`, and no field may be longer than it.
    #[inline(always)]
    fn hello(&mut self, object: &mut Object, byte: u8, key: &HashKey) -> Event {
        if self.phase <= phase::VERSION_HIGH {
            return self.head(object, byte);
        }
        self.message = self.message.wrapping_sub(1);
        let fits = match self.phase {
            phase::NAME => self.name(object, byte, key),
            phase::ALPN => {
                self.protocol_byte(byte);
                true
            }
            phase::SKIP => {
                self.field = self.field.wrapping_sub(1);
                if self.field == 0 {
                    self.phase = self.then;
                }
                true
            }
            phase::VERSION_LOW..=phase::EXTENSIONS_LOW => self.fixed(byte),
            _ => self.extension(byte),
        };
        if !fits {
            return Event::Wrong(Reason::Malformed);
        }
        if self.message != 0 {
            return Event::More;
        }
        // Extensions may be absent altogether (section 4.1.2), and nothing follows in the same record.
        if !matches!(self.phase, phase::EXTENSIONS_HIGH | phase::EXTENSION_HIGH) || self.record != 0 {
            return Event::Wrong(Reason::Malformed);
        }
        self.hellos += 1;
        self.phase = phase::KIND;
        self.framing = if self.hellos == 1 { framing::KIND } else { framing::DONE };
        Event::Object
    }

    /// Type, length and first byte of the version. What does not look like a second hello is another message, or a
    /// protected one, and then no hello follows.
    #[inline(always)]
    fn head(&mut self, object: &mut Object, byte: u8) -> Event {
        let fits = match self.phase {
            phase::KIND => {
                self.message = 0;
                byte == CLIENT_HELLO
            }
            phase::LENGTH_HIGH..=phase::LENGTH_LOW => {
                self.message = self.message << 8 | byte as u32;
                self.phase != phase::LENGTH_LOW || self.message <= HELLO_CAP
            }
            _ => {
                self.message = self.message.wrapping_sub(1);
                byte == 3
            }
        };
        if !fits || self.phase == phase::LENGTH_LOW && self.message < 2 {
            return self.no_hello();
        }
        if self.phase == phase::VERSION_HIGH {
            object.clear();
            self.seen = 0;
            self.protocol = 0;
            self.protocol_len = 0;
        }
        self.phase += 1;
        Event::More
    }

    #[inline(always)]
    fn no_hello(&mut self) -> Event {
        if self.hellos != 0 {
            self.framing = framing::DONE;
            return Event::More;
        }
        let long = self.phase == phase::LENGTH_LOW && self.message > HELLO_CAP;
        Event::Wrong(if long { Reason::WorkCap } else { Reason::Malformed })
    }

    /// Skips `bytes`, then goes on with `then`; false if the hello has fewer.
    #[inline(always)]
    fn skip_field(&mut self, bytes: u32, then: u8) -> bool {
        self.field = bytes;
        self.then = then;
        self.phase = if bytes == 0 { then } else { phase::SKIP };
        bytes <= self.message
    }

    /// From the version to the length of all extensions.
    #[inline(always)]
    fn fixed(&mut self, byte: u8) -> bool {
        match self.phase {
            // The random value has 32 bytes.
            phase::VERSION_LOW => self.skip_field(32, phase::SESSION_LENGTH),
            phase::SESSION_LENGTH => byte <= 32 && self.skip_field(byte as u32, phase::CIPHERS_HIGH),
            phase::CIPHERS_HIGH | phase::EXTENSIONS_HIGH => self.high(byte),
            phase::CIPHERS_LOW => {
                let bytes = self.field | byte as u32;
                bytes != 0 && bytes & 1 == 0 && self.skip_field(bytes, phase::COMPRESSION_LENGTH)
            }
            phase::COMPRESSION_LENGTH => byte != 0 && self.skip_field(byte as u32, phase::EXTENSIONS_HIGH),
            _ => {
                self.phase = phase::EXTENSION_HIGH;
                self.field | byte as u32 == self.message
            }
        }
    }

    /// First byte of a number of two.
    #[inline(always)]
    fn high(&mut self, byte: u8) -> bool {
        self.field = (byte as u32) << 8;
        self.phase += 1;
        true
    }

    /// Heads of extensions, and what surrounds the names within (RFC 6066, section 3; RFC 7301, section 3.1).
    #[inline(always)]
    fn extension(&mut self, byte: u8) -> bool {
        let number = self.field | byte as u32;
        match self.phase {
            phase::EXTENSION_LOW => {
                self.extension = number as u16;
                self.phase = phase::EXTENSION_LENGTH_HIGH;
                self.is_first()
            }
            phase::EXTENSION_LENGTH_LOW => self.extension_length(number),
            phase::LIST_LOW => {
                let whole = number.wrapping_add(2) == self.list as u32;
                self.list = number as u16;
                self.phase =
                    if self.extension == SERVER_NAME { phase::NAME_KIND } else { phase::ALPN_LENGTH };
                whole && number != 0
            }
            // A host name.
            phase::NAME_KIND => {
                self.phase = phase::NAME_LENGTH_HIGH;
                byte == 0
            }
            phase::NAME_LENGTH_LOW => {
                self.field = number;
                self.dot = 1;
                self.phase = phase::NAME;
                // One name, and the list ends with it.
                number != 0 && number <= NAME_CAP && number.wrapping_add(3) == self.list as u32
            }
            phase::ALPN_LENGTH => {
                self.list = self.list.wrapping_sub(1);
                self.field = byte as u32;
                let fits = byte != 0 && self.field <= self.list as u32;
                self.list = self.list.wrapping_sub(byte as u16);
                self.first = (self.protocol_len == 0) as u8;
                if self.first != 0 {
                    self.protocol_len = byte;
                }
                self.phase = phase::ALPN;
                fits
            }
            _ => self.high(byte),
        }
    }

    /// Notes the extension; false if the hello has had it (section 4.2).
    #[inline(always)]
    fn is_first(&mut self) -> bool {
        let bit = match self.extension {
            ENCRYPTED_HELLO => 1 << ENCRYPTED_BIT,
            number if (number as u32) < ENCRYPTED_BIT => 1_u64 << (number & 63),
            _ => 0,
        };
        let first = self.seen & bit == 0;
        self.seen |= bit;
        first
    }

    #[inline(always)]
    fn extension_length(&mut self, bytes: u32) -> bool {
        if !matches!(self.extension, SERVER_NAME | PROTOCOLS) {
            return self.skip_field(bytes, phase::EXTENSION_HIGH);
        }
        self.list = bytes as u16;
        self.phase = phase::LIST_HIGH;
        bytes <= self.message && bytes > 2
    }

    /// A byte of the server name: letters in either case, digits, hyphen, underscore and single dots, so that a name has
    /// one spelling. Some cameras ask for `*.…`; the asterisk is a character like any other.
    #[inline(always)]
    fn name(&mut self, object: &mut Object, byte: u8, key: &HashKey) -> bool {
        let byte = byte.to_ascii_lowercase();
        let dot = byte == b'.';
        let fits =
            if dot { self.dot == 0 } else { matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'*') };
        self.dot = dot as u8;
        self.field = self.field.wrapping_sub(1);
        let last = self.field == 0;
        if last {
            self.phase = phase::EXTENSION_HIGH;
        }
        fits && !(last && dot) && object.push(byte, key)
    }

    #[inline(always)]
    fn protocol_byte(&mut self, byte: u8) {
        if self.first != 0 {
            self.protocol = self.protocol << 8 | byte as u64;
        }
        self.field = self.field.wrapping_sub(1);
        if self.field == 0 {
            self.phase = if self.list == 0 { phase::EXTENSION_HIGH } else { phase::ALPN_LENGTH };
        }
    }
}

#[cfg(test)]
mod tests;
