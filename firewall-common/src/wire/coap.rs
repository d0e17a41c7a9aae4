//! CoAP over UDP, byte by byte (RFC 7252; Observe: RFC 7641, Block: RFC 7959, FETCH and PATCH: RFC 8132).
//!
//! One [`Coap`] reads one datagram; [`Coap::finish`] says what it was. The client asks and the server answers: a message
//! that turns this round leaves the edge.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::abi::Kind;
use crate::hash::HashKey;
use crate::reason::Reason;
use crate::wire::object::{Levels, Object};
use crate::wire::request::{self, Host, Part, Path, is_path_char, more, word};
use crate::wire::utf8::Utf8;
use crate::wire::{Event, Note, Sender};

/// Longest Uri-Host. It comes before the path and stands behind it in the object, so it is kept.
const HOST_CAP: usize = 64;

/// Where in a message the next byte belongs.
mod phase {
    pub(super) const FIRST: u8 = 0;
    pub(super) const CODE: u8 = 1;
    pub(super) const ID_HIGH: u8 = 2;
    pub(super) const ID_LOW: u8 = 3;
    pub(super) const TOKEN: u8 = 4;
    pub(super) const OPTION: u8 = 5;
    pub(super) const DELTA: u8 = 6;
    pub(super) const DELTA_HIGH: u8 = 7;
    pub(super) const DELTA_LOW: u8 = 8;
    pub(super) const LENGTH: u8 = 9;
    pub(super) const LENGTH_HIGH: u8 = 10;
    pub(super) const LENGTH_LOW: u8 = 11;
    pub(super) const PATH: u8 = 12;
    pub(super) const HOST: u8 = 13;
    pub(super) const UINT: u8 = 14;
    pub(super) const SKIP: u8 = 15;
    /// The payload must not be empty.
    pub(super) const MARKER: u8 = 16;
    pub(super) const PAYLOAD: u8 = 17;
    /// Behind an empty message.
    pub(super) const EMPTY: u8 = 18;
    /// Between two bytes: the length of an option is next, or all of its head is known.
    pub(super) const DELTA_KNOWN: u8 = 19;
    pub(super) const BEGIN: u8 = 20;
}

/// Option numbers (RFC 7252, section 12.2). Odd ones are critical: who does not know one must not go on.
mod option {
    pub(super) const IF_MATCH: u32 = 1;
    pub(super) const URI_HOST: u32 = 3;
    pub(super) const ETAG: u32 = 4;
    pub(super) const IF_NONE_MATCH: u32 = 5;
    pub(super) const OBSERVE: u32 = 6;
    pub(super) const URI_PORT: u32 = 7;
    pub(super) const OSCORE: u32 = 9;
    pub(super) const URI_PATH: u32 = 11;
    pub(super) const CONTENT_FORMAT: u32 = 12;
    pub(super) const MAX_AGE: u32 = 14;
    pub(super) const URI_QUERY: u32 = 15;
    pub(super) const ACCEPT: u32 = 17;
    pub(super) const BLOCK2: u32 = 23;
    pub(super) const BLOCK1: u32 = 27;
    pub(super) const SIZE2: u32 = 28;
    pub(super) const PROXY_URI: u32 = 35;
    pub(super) const PROXY_SCHEME: u32 = 39;
    pub(super) const SIZE1: u32 = 60;
    pub(super) const LAST: u32 = 0xffff;
}

const CONFIRMABLE: u8 = 0;
const NON_CONFIRMABLE: u8 = 1;

/// Codes (RFC 7252, section 12.1; RFC 8132, section 6): class in the upper three bits.
const GET: u8 = 0x01;
const DELETE: u8 = 0x04;
const FETCH: u8 = 0x05;
const IPATCH: u8 = 0x07;
const UNAUTHORIZED: u8 = 0x81;

/// No Observe option, or one that ends an observation.
const NO_OBSERVE: u8 = 0;
const OBSERVE: u8 = 1;

/// One datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Coap {
    /// Number of the option at hand, and by how much it is above the one before.
    number: u32,
    delta: u32,
    /// Bytes of the token or option that have not come yet.
    length: u32,
    /// Value of the option at hand.
    value: u32,
    phase: u8,
    kind: u8,
    code: u8,
    observe: u8,
    path: Path,
    name: Host,
    host_len: u8,
    utf8: Utf8,
    pad: [u8; 6],
    host: [u8; HOST_CAP],
}

impl Coap {
    /// A datagram of which nothing has been seen.
    pub const NEW: Self = Self {
        number: 0,
        delta: 0,
        length: 0,
        value: 0,
        phase: phase::FIRST,
        kind: 0,
        code: 0,
        observe: NO_OBSERVE,
        path: Path::EMPTY,
        name: Host::EMPTY,
        host_len: 0,
        utf8: Utf8::NEW,
        pad: [0; 6],
        host: [0; HOST_CAP],
    };

    /// Verb, host and levels of the path of the request, whose object is this.
    #[inline(always)]
    pub fn levels(&self, object: &Object, levels: &mut Levels, key: &HashKey) {
        let verb = match self.kind() {
            Kind::CoapObserve => word(*b"subscribe", key),
            Kind::CoapGet => word(*b"get", key),
            Kind::CoapDelete => word(*b"delete", key),
            _ => word(*b"set", key),
        };
        request::levels(object, verb, levels, key);
    }

    /// What the request does.
    #[inline(always)]
    pub const fn kind(&self) -> Kind {
        match self.code {
            GET | FETCH if self.observe == OBSERVE => Kind::CoapObserve,
            GET | FETCH => Kind::CoapGet,
            DELETE => Kind::CoapDelete,
            _ => Kind::CoapSet,
        }
    }

    /// Bytes that may be passed over unread, at most `available`.
    #[inline(always)]
    pub fn skip(&mut self, available: u32) -> u32 {
        match self.phase {
            phase::PAYLOAD => available,
            phase::TOKEN | phase::SKIP => {
                let skipped = if self.length < available { self.length } else { available };
                self.length -= skipped;
                if self.length == 0 {
                    self.phase = phase::OPTION;
                }
                skipped
            }
            _ => 0,
        }
    }

    /// Takes one byte.
    #[inline(always)]
    pub fn step(&mut self, object: &mut Object, byte: u8, sender: Sender, key: &HashKey) -> Event {
        if self.skip(1) != 0 {
            return Event::More;
        }
        more(self.read(object, byte, sender, key))
    }

    #[inline(always)]
    fn read(&mut self, object: &mut Object, byte: u8, sender: Sender, key: &HashKey) -> Result<(), Reason> {
        match self.phase {
            phase::FIRST => self.first(byte)?,
            phase::CODE => self.code(object, byte, sender)?,
            phase::ID_HIGH => self.phase = phase::ID_LOW,
            phase::ID_LOW => self.identified(),
            phase::OPTION => self.option(byte)?,
            phase::DELTA..=phase::LENGTH_LOW => self.extended(byte),
            phase::PATH | phase::HOST | phase::UINT => self.value(object, byte, key)?,
            phase::MARKER => self.phase = phase::PAYLOAD,
            // An empty message has nothing behind its identifier (RFC 7252, section 4.1).
            _ => return Err(Reason::Malformed),
        }
        // What follows without a byte of its own.
        if self.phase == phase::DELTA_KNOWN {
            self.after_delta()?;
        }
        if self.phase == phase::BEGIN {
            self.begin(object, key)?;
        }
        if self.phase >= phase::PATH && self.phase <= phase::SKIP && self.length == 0 {
            self.end()?;
        }
        Ok(())
    }

    /// The datagram has ended.
    #[inline(always)]
    pub fn finish(&mut self, object: &mut Object, key: &HashKey) -> Event {
        match self.phase {
            phase::FIRST..=phase::ID_LOW => Event::Wrong(Reason::ProtoChanged),
            phase::OPTION | phase::PAYLOAD if self.is_request() => match self.request(object, key) {
                Ok(()) => Event::Request,
                Err(reason) => Event::Wrong(reason),
            },
            phase::OPTION | phase::PAYLOAD if self.code == UNAUTHORIZED => Event::Note(Note::LoginFailed),
            phase::OPTION | phase::PAYLOAD | phase::EMPTY => Event::More,
            _ => Event::Wrong(Reason::Malformed),
        }
    }

    #[inline(always)]
    const fn is_request(&self) -> bool {
        self.code >= GET && self.code <= IPATCH
    }

    /// Version, type and length of the token (RFC 7252, section 3).
    #[inline(always)]
    fn first(&mut self, byte: u8) -> Result<(), Reason> {
        self.kind = byte >> 4 & 3;
        self.length = (byte & 0x0f) as u32;
        self.phase = phase::CODE;
        if byte >> 6 == 1 && self.length <= 8 { Ok(()) } else { Err(Reason::ProtoChanged) }
    }

    /// The code: each end has its own (RFC 7252, section 4.2 and table 1).
    #[inline(always)]
    fn code(&mut self, object: &mut Object, byte: u8, sender: Sender) -> Result<(), Reason> {
        self.code = byte;
        self.phase = phase::ID_HIGH;
        object.clear();
        if byte == 0 {
            // An acknowledgement, a refusal or a ping.
            return if self.kind != NON_CONFIRMABLE && self.length == 0 {
                Ok(())
            } else {
                Err(Reason::Malformed)
            };
        }
        let asks = self.is_request() && sender == Sender::Client;
        let answers = matches!(byte >> 5, 2 | 4 | 5) && sender == Sender::Server;
        if !asks && !answers {
            return Err(Reason::ProtoChanged);
        }
        // No request rides on an acknowledgement, nothing on a refusal.
        let carried = matches!(self.kind, CONFIRMABLE | NON_CONFIRMABLE) || answers && self.kind == 2;
        if !carried {
            return Err(Reason::Malformed);
        }
        Ok(())
    }

    #[inline(always)]
    fn identified(&mut self) {
        self.phase = match (self.code, self.length) {
            (0, _) => phase::EMPTY,
            (_, 0) => phase::OPTION,
            _ => phase::TOKEN,
        };
    }

    /// First byte of an option, or the marker of the payload (RFC 7252, section 3.1).
    #[inline(always)]
    fn option(&mut self, byte: u8) -> Result<(), Reason> {
        if byte == 0xff {
            self.phase = phase::MARKER;
            return Ok(());
        }
        self.delta = (byte >> 4) as u32;
        self.length = (byte & 0x0f) as u32;
        self.phase = match self.delta {
            15 => return Err(Reason::Malformed),
            14 => phase::DELTA_HIGH,
            13 => phase::DELTA,
            _ => phase::DELTA_KNOWN,
        };
        Ok(())
    }

    /// A byte of an extended delta or length.
    #[inline(always)]
    fn extended(&mut self, byte: u8) {
        let byte = byte as u32;
        self.phase = match self.phase {
            phase::DELTA => {
                self.delta = 13 + byte;
                phase::DELTA_KNOWN
            }
            phase::DELTA_HIGH => {
                self.delta = 269 + (byte << 8);
                phase::DELTA_LOW
            }
            phase::DELTA_LOW => {
                self.delta += byte;
                phase::DELTA_KNOWN
            }
            phase::LENGTH => {
                self.length = 13 + byte;
                phase::BEGIN
            }
            phase::LENGTH_HIGH => {
                self.length = 269 + (byte << 8);
                phase::LENGTH_LOW
            }
            _ => {
                self.length += byte;
                phase::BEGIN
            }
        };
    }

    #[inline(always)]
    fn after_delta(&mut self) -> Result<(), Reason> {
        self.phase = match self.length {
            15 => return Err(Reason::Malformed),
            14 => phase::LENGTH_HIGH,
            13 => phase::LENGTH,
            _ => phase::BEGIN,
        };
        Ok(())
    }

    /// Number and length of an option are known: whether it may be so (RFC 7252, section 5.10).
    #[inline(always)]
    fn begin(&mut self, object: &mut Object, key: &HashKey) -> Result<(), Reason> {
        self.number += self.delta;
        self.value = 0;
        let (least, most, repeats) = match self.number {
            option::URI_PATH | option::URI_QUERY => (0, 255, true),
            option::IF_MATCH => (0, 8, true),
            option::ETAG => (1, 8, true),
            option::URI_HOST => (1, 255, false),
            option::IF_NONE_MATCH => (0, 0, false),
            option::URI_PORT | option::CONTENT_FORMAT | option::ACCEPT => (0, 2, false),
            option::OBSERVE | option::BLOCK1 | option::BLOCK2 => (0, 3, false),
            option::MAX_AGE | option::SIZE1 | option::SIZE2 => (0, 4, false),
            // A proxy reaches elsewhere (section 5.7.2); what is inside OSCORE (RFC 8613) cannot be seen.
            option::PROXY_URI | option::PROXY_SCHEME | option::OSCORE => return Err(Reason::ProtoChanged),
            number if number & 1 != 0 || number > option::LAST => return Err(Reason::Malformed),
            _ => (0, u32::MAX, true),
        };
        if self.length < least || self.length > most || !repeats && self.delta == 0 {
            return Err(Reason::Malformed);
        }
        self.phase = match self.number {
            option::URI_PATH if self.is_request() => phase::PATH,
            option::URI_HOST if self.is_request() => phase::HOST,
            option::OBSERVE | option::BLOCK1 | option::BLOCK2 => phase::UINT,
            _ => phase::SKIP,
        };
        if self.phase == phase::PATH {
            self.path.slash(object, key)?;
        }
        Ok(())
    }

    /// A byte of an option that matters.
    #[inline(always)]
    fn value(&mut self, object: &mut Object, byte: u8, key: &HashKey) -> Result<(), Reason> {
        match self.phase {
            phase::PATH => {
                // What a path in a URI would have to escape has no place here: nothing is escaped in CoAP.
                if !self.utf8.push(byte) || byte < 0x80 && !is_path_char(byte) {
                    return Err(Reason::Malformed);
                }
                self.path.push(object, byte, key)?;
            }
            phase::HOST => {
                let Part::Name(byte) = self.name.push(byte) else { return Err(Reason::Malformed) };
                let at = self.host_len as usize;
                if at >= HOST_CAP {
                    return Err(Reason::ObjectCap);
                }
                self.host[at] = byte;
                self.host_len += 1;
            }
            _ => self.value = self.value << 8 | byte as u32,
        }
        self.length -= 1;
        Ok(())
    }

    /// The end of an option.
    #[inline(always)]
    fn end(&mut self) -> Result<(), Reason> {
        self.phase = phase::OPTION;
        let fits = match self.number {
            option::URI_PATH => self.utf8.is_complete(),
            option::URI_HOST => self.name.is_complete(),
            // A request begins an observation or ends it (RFC 7641, section 2).
            option::OBSERVE if self.is_request() => {
                self.observe = if self.value == 0 { OBSERVE } else { NO_OBSERVE };
                self.value <= 1
            }
            // The largest size is reserved (RFC 7959, section 2.2).
            option::BLOCK1 | option::BLOCK2 => self.value & 7 != 7,
            _ => true,
        };
        if fits { Ok(()) } else { Err(Reason::Malformed) }
    }

    /// Completes the object: the end of the path, and the host.
    #[inline(always)]
    fn request(&mut self, object: &mut Object, key: &HashKey) -> Result<(), Reason> {
        if object.is_empty() {
            self.path.slash(object, key)?;
        }
        self.path.finish(object)?;
        let mut at = 0;
        while at < HOST_CAP && at < self.host_len as usize {
            let fits = (at != 0 || object.append(b' ', key)) && object.append(self.host[at], key);
            if !fits {
                return Err(Reason::ObjectCap);
            }
            at += 1;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
