//! HTTP/1.0 and HTTP/1.1, byte by byte (RFC 9110, RFC 9112).
//!
//! The client's direction is read strictly, but for bodies ([`Http::skip`]): each request is judged before its head ends,
//! also behind others on the same connection. Where two servers could see different requests in the same bytes, the bytes
//! are malformed: that is what request smuggling is made of (RFC 9112, section 11.2).
//!
//! Of the server's direction only the first status line is read. Everything behind it answers requests that were judged,
//! so it needs no judgement of its own; and where an answer ends depends on the request, so to read on would mean to keep
//! a list of requests.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::abi::{Kind, Protocol};
use crate::hash::HashKey;
use crate::reason::Reason;
use crate::wire::object::{Levels, Object};
use crate::wire::request::{self, Host, Part, Path, more, word};
use crate::wire::utf8::Utf8;
use crate::wire::{Event, Note, Sender};

/// Longest line of a head: request line or header field.
const LINE_CAP: u16 = 8 * 1024;
/// Longest head, and the trailers of its body.
const HEAD_CAP: u16 = 64_000;
/// Most digits of a Content-Length.
const LENGTH_DIGITS: u8 = 15;

// A request, from its first byte to the last of its body.
mod body;
mod target;

/// What a direction remembers.
mod flag {
    /// Its protocol is certain.
    pub(super) const RECOGNISED: u8 = 1;
    /// A request came before this one.
    pub(super) const LATER: u8 = 2;
    /// This request is one of HTTP/1.1.
    pub(super) const MINOR: u8 = 4;
    /// The lines are trailers of a chunked body.
    pub(super) const TRAILERS: u8 = 8;
    /// Of the server's direction: its client has asked for an upgrade.
    pub(super) const ASKED: u8 = 16;
    /// Of the server's direction: it has agreed to the upgrade.
    pub(super) const AGREED: u8 = 32;
}

/// Where in a request the next byte belongs. What is counted as a head stands before `BODY`.
mod phase {
    /// Also the status line, in the server's direction.
    pub(super) const START: u8 = 0;
    pub(super) const TARGET: u8 = 1;
    pub(super) const PATH: u8 = 2;
    pub(super) const ESCAPE_HIGH: u8 = 3;
    pub(super) const ESCAPE_LOW: u8 = 4;
    pub(super) const QUERY: u8 = 5;
    /// Behind the target `*`.
    pub(super) const STAR: u8 = 6;
    pub(super) const VERSION: u8 = 7;
    pub(super) const LINE_LF: u8 = 8;
    pub(super) const LINE_START: u8 = 9;
    pub(super) const NAME: u8 = 10;
    pub(super) const VALUE_START: u8 = 11;
    pub(super) const VALUE: u8 = 12;
    pub(super) const VALUE_END: u8 = 13;
    pub(super) const HEAD_LF: u8 = 14;
    pub(super) const BODY: u8 = 15;
    pub(super) const CHUNK_SIZE: u8 = 16;
    pub(super) const CHUNK_EXTENSION: u8 = 17;
    pub(super) const CHUNK_LF: u8 = 18;
    pub(super) const CHUNK_DATA: u8 = 19;
    pub(super) const CHUNK_END: u8 = 20;
    pub(super) const CHUNK_END_LF: u8 = 21;
    /// Behind a request for an upgrade: the client waits for the answer.
    pub(super) const UPGRADE: u8 = 22;
    /// Nothing more is read.
    pub(super) const OPAQUE: u8 = 23;
}

/// Which field a line of the head is.
mod field {
    pub(super) const OTHER: u8 = 0;
    pub(super) const HOST: u8 = 1;
    pub(super) const LENGTH: u8 = 2;
    pub(super) const CODING: u8 = 4;
    pub(super) const UPGRADE: u8 = 8;
}

/// Methods that this firewall knows (RFC 9110, section 9; PATCH: RFC 5789).
mod method {
    pub(super) const GET: u8 = 0;
    pub(super) const HEAD: u8 = 1;
    pub(super) const OPTIONS: u8 = 2;
    /// POST, PUT, PATCH.
    pub(super) const SET: u8 = 3;
    pub(super) const DELETE: u8 = 4;
}

/// Up to 24 characters as a number. No two texts of the wire have the same one: none of them holds a zero byte.
const fn pack(text: &[u8]) -> [u64; 3] {
    let mut packed = [0; 3];
    let mut at = 0;
    while at < text.len() {
        packed = shift(packed, text[at]);
        at += 1;
    }
    packed
}

#[inline(always)]
const fn shift([high, middle, low]: [u64; 3], byte: u8) -> [u64; 3] {
    [high << 8 | middle >> 56, middle << 8 | low >> 56, low << 8 | byte as u64]
}

#[inline(always)]
const fn same(a: [u64; 3], b: [u64; 3]) -> bool {
    a[0] == b[0] && a[1] == b[1] && a[2] == b[2]
}

/// One direction of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Http {
    /// The last characters of the method, version, field name or field value at hand.
    text: [u64; 3],
    /// Bytes of the body or chunk that have not come yet; the status code in the server's direction.
    body: u64,
    /// Bytes of the head and of the line so far.
    head: u16,
    line: u16,
    phase: u8,
    method: u8,
    /// The field of the line at hand, and bits of those that were there.
    field: u8,
    fields: u8,
    /// Digits of the number at hand; the high one of an escape; bytes of the status line.
    digits: u8,
    path: Path,
    host: Host,
    utf8: Utf8,
    flags: u8,
    pad: u8,
}

impl Http {
    /// A direction of which nothing has been seen.
    pub const NEW: Self = Self {
        text: [0; 3],
        body: 0,
        head: 0,
        line: 0,
        phase: phase::START,
        method: 0,
        field: 0,
        fields: 0,
        digits: 0,
        path: Path::EMPTY,
        host: Host::EMPTY,
        utf8: Utf8::NEW,
        flags: 0,
        pad: 0,
    };

    /// Verb, host and levels of the path of the request at hand, whose object is this.
    #[inline(always)]
    pub fn levels(&self, object: &Object, levels: &mut Levels, key: &HashKey) {
        let verb = match self.method {
            method::SET => word(*b"set", key),
            method::DELETE => word(*b"delete", key),
            _ => word(*b"get", key),
        };
        request::levels(object, verb, levels, key);
    }

    /// What the request at hand does.
    #[inline(always)]
    pub const fn kind(&self) -> Kind {
        match self.method {
            method::SET => Kind::HttpSet,
            method::DELETE => Kind::HttpDelete,
            _ => Kind::HttpGet,
        }
    }

    /// Whether the protocol is certain: a method with its space was read (of `OPTIONS` also what is not RTSP's), or a
    /// version in an answer.
    #[inline(always)]
    pub const fn is_recognised(&self) -> bool {
        self.has(flag::RECOGNISED)
    }

    /// Whether the next byte begins a request.
    #[inline(always)]
    pub const fn at_boundary(&self) -> bool {
        self.phase == phase::START && self.head == 0
    }

    /// Of the client's direction: it has asked for an upgrade and waits for the answer.
    #[inline(always)]
    pub const fn has_asked(&self) -> bool {
        self.phase == phase::UPGRADE
    }

    /// Of the server's direction: it has agreed to an upgrade.
    #[inline(always)]
    pub const fn has_agreed(&self) -> bool {
        self.has(flag::AGREED)
    }

    /// Tells the server's direction that the client has asked for an upgrade ([`Event::Becomes`]).
    #[inline(always)]
    pub fn expect_upgrade(&mut self) {
        self.flags |= flag::ASKED;
    }

    /// Tells the client's direction that the server has agreed to the upgrade. Before that the client may not go on: a
    /// server that ignores the upgrade would read what follows as requests.
    #[inline(always)]
    pub fn upgrade(&mut self) {
        if self.phase == phase::UPGRADE {
            self.phase = phase::OPAQUE;
        }
    }

    /// Bytes that may be passed over unread, at most `available`.
    #[inline(always)]
    pub fn skip(&mut self, available: u32) -> u32 {
        match self.phase {
            phase::OPAQUE => available,
            phase::BODY | phase::CHUNK_DATA => {
                let skipped = if self.body < available as u64 { self.body as u32 } else { available };
                self.body -= skipped as u64;
                if self.body == 0 {
                    if self.phase == phase::BODY {
                        self.next_request();
                    } else {
                        self.phase = phase::CHUNK_END;
                    }
                }
                skipped
            }
            _ => 0,
        }
    }

    /// Takes one byte.
    #[inline(always)]
    pub fn step(&mut self, object: &mut Object, byte: u8, sender: Sender, key: &HashKey) -> Event {
        match sender {
            Sender::Client => self.request(object, byte, key),
            Sender::Server if self.phase == phase::OPAQUE => Event::More,
            Sender::Server => self.status(byte),
        }
    }

    #[inline(always)]
    fn request(&mut self, object: &mut Object, byte: u8, key: &HashKey) -> Event {
        if self.phase >= phase::BODY {
            return self.chunk(byte);
        }
        self.line += 1;
        if self.line > LINE_CAP || self.head >= HEAD_CAP {
            return Event::Wrong(Reason::Malformed);
        }
        self.head += 1;
        match self.phase {
            phase::START => self.method(object, byte),
            phase::TARGET..=phase::STAR => more(self.target(object, byte, key)),
            phase::VERSION => self.version(byte),
            phase::LINE_START | phase::NAME => self.name(byte),
            phase::VALUE_START | phase::VALUE | phase::VALUE_END => more(self.value(object, byte, key)),
            // A line ends with both bytes, never with one (RFC 9112, section 2.2).
            _ if byte != b'\n' => Event::Wrong(Reason::Malformed),
            phase::HEAD_LF => self.head_end(),
            _ => {
                self.line_start();
                Event::More
            }
        }
    }

    #[inline(always)]
    const fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    #[inline(always)]
    fn next_request(&mut self) {
        self.text = [0; 3];
        self.head = 0;
        self.line = 0;
        self.flags |= flag::LATER;
        self.phase = phase::START;
    }

    #[inline(always)]
    fn line_start(&mut self) {
        self.line = 0;
        self.text = [0; 3];
        self.phase = phase::LINE_START;
    }

    /// The name of a field (RFC 9112, section 5), or the empty line behind the last one. Neither a line that continues
    /// the one before nor a space before the colon is a name.
    #[inline(always)]
    fn name(&mut self, byte: u8) -> Event {
        let first = self.phase == phase::LINE_START;
        if first && byte == b'\r' {
            self.phase = phase::HEAD_LF;
            return if self.has(flag::TRAILERS) { Event::More } else { self.head() };
        }
        if is_token(byte) {
            self.text = shift(self.text, byte.to_ascii_lowercase());
            self.phase = phase::NAME;
            return Event::More;
        }
        if first || byte != b':' {
            return Event::Wrong(Reason::Malformed);
        }
        let name = self.text;
        self.field = if same(name, pack(b"host")) {
            field::HOST
        } else if same(name, pack(b"content-length")) {
            field::LENGTH
        } else if same(name, pack(b"transfer-encoding")) {
            field::CODING
        } else if same(name, pack(b"upgrade")) {
            field::UPGRADE
        } else if same(name, pack(b"http2-settings")) {
            return Event::Wrong(Reason::ProtoChanged);
        } else {
            field::OTHER
        };
        // Each of them once, and none behind the body (RFC 9110, section 6.5.1).
        if self.field & self.fields != 0 || self.field != 0 && self.has(flag::TRAILERS) {
            return Event::Wrong(Reason::Malformed);
        }
        if self.field == field::HOST {
            self.host = Host::EMPTY;
        }
        self.fields |= self.field;
        self.text = [0; 3];
        self.digits = 0;
        self.phase = if self.field == field::OTHER { phase::VALUE } else { phase::VALUE_START };
        Event::More
    }

    /// The value of a field (RFC 9110, section 5.5): of those that matter here, one word.
    #[inline(always)]
    fn value(&mut self, object: &mut Object, byte: u8, key: &HashKey) -> Result<(), Reason> {
        if byte == b'\r' {
            self.phase = phase::LINE_LF;
            return self.value_end();
        }
        let blank = byte == b' ' || byte == b'\t';
        if !blank && byte < b' ' || byte == 0x7f {
            return Err(Reason::Malformed);
        }
        if self.field == field::OTHER {
            return Ok(());
        }
        if blank {
            if self.phase == phase::VALUE {
                self.phase = phase::VALUE_END;
            }
            return Ok(());
        }
        if self.phase == phase::VALUE_END {
            return Err(if self.field == field::UPGRADE { Reason::ProtoChanged } else { Reason::Malformed });
        }
        self.phase = phase::VALUE;
        match self.field {
            field::HOST => {
                let first = self.host.is_empty();
                match self.host.push(byte) {
                    Part::Name(byte) => {
                        let fits = (!first || object.append(b' ', key)) && object.append(byte, key);
                        if fits { Ok(()) } else { Err(Reason::ObjectCap) }
                    }
                    Part::Port => Ok(()),
                    Part::Wrong => Err(Reason::Malformed),
                }
            }
            field::LENGTH => {
                self.digits += 1;
                if !byte.is_ascii_digit() || self.digits > LENGTH_DIGITS {
                    return Err(Reason::Malformed);
                }
                self.body = self.body * 10 + (byte - b'0') as u64;
                Ok(())
            }
            _ => {
                self.text = shift(self.text, byte.to_ascii_lowercase());
                Ok(())
            }
        }
    }

    #[inline(always)]
    fn value_end(&self) -> Result<(), Reason> {
        let fits = match self.field {
            field::HOST => self.host.is_complete(),
            field::LENGTH => self.digits != 0,
            // Of two codings a server may know only one (RFC 9112, section 6.1).
            field::CODING => same(self.text, pack(b"chunked")),
            field::UPGRADE if !same(self.text, pack(b"websocket")) => return Err(Reason::ProtoChanged),
            _ => true,
        };
        if fits { Ok(()) } else { Err(Reason::Malformed) }
    }

    /// The head is complete but for its last byte.
    #[inline(always)]
    fn head(&self) -> Event {
        let has = |field| self.fields & field != 0;
        let body = has(field::CODING) || self.body != 0;
        let minor = self.has(flag::MINOR);
        // Exactly one host (RFC 9112, section 3.2); one way to say where the body ends, and the newer one not in the
        // older version (section 6.1).
        if minor && !has(field::HOST)
            || has(field::CODING) && (has(field::LENGTH) || !minor)
            // Some servers read the body of such a request as the next one (RFC 9110, section 9.3.1).
            || body && self.method != method::SET
            || has(field::UPGRADE) && (self.method != method::GET || !minor)
        {
            return Event::Wrong(Reason::Malformed);
        }
        // Only the first answer is read, so only there it is seen that the server agrees.
        if has(field::UPGRADE) && self.has(flag::LATER) {
            return Event::Wrong(Reason::ProtoChanged);
        }
        Event::Request
    }

    /// What follows the head, or the trailers.
    #[inline(always)]
    fn head_end(&mut self) -> Event {
        if self.has(flag::TRAILERS) {
            self.next_request();
        } else if self.fields & field::UPGRADE != 0 {
            self.phase = phase::UPGRADE;
            return Event::Becomes(Protocol::Websocket);
        } else if self.fields & field::CODING != 0 {
            self.chunk_start();
        } else if self.body != 0 {
            self.phase = phase::BODY;
        } else {
            self.next_request();
        }
        Event::More
    }

    /// A byte of the first status line (RFC 9112, section 4).
    #[inline(always)]
    fn status(&mut self, byte: u8) -> Event {
        let at = self.digits;
        self.digits += 1;
        match at {
            0..=6 => {
                // A shift, not an index: the array would lie on the stack of a kernel program.
                let wanted = (u64::from_be_bytes(*b"HTTP/1.\0") >> (56 - (at as u32 & 7) * 8)) as u8;
                return if byte == wanted { Event::More } else { Event::Wrong(Reason::ProtoChanged) };
            }
            7 | 8 => {
                let fits = if at == 7 { byte == b'0' || byte == b'1' } else { byte == b' ' };
                if at == 8 && fits {
                    self.flags |= flag::RECOGNISED;
                }
                return if fits { Event::More } else { Event::Wrong(Reason::ProtoChanged) };
            }
            _ if !byte.is_ascii_digit() => return Event::Wrong(Reason::Malformed),
            _ => self.body = self.body * 10 + (byte - b'0') as u64,
        }
        if at < 11 {
            return Event::More;
        }
        self.phase = phase::OPAQUE;
        match self.body {
            101 if self.has(flag::ASKED) => {
                self.flags |= flag::AGREED;
                Event::Becomes(Protocol::Websocket)
            }
            101 => Event::Wrong(Reason::ProtoChanged),
            401 | 403 => Event::Note(Note::LoginFailed),
            _ => Event::More,
        }
    }
}

/// Whether the byte may be in the name of a field (RFC 9110, section 5.6.2).
#[inline(always)]
const fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'!' | b'#'
                | b'$'
                | b'%'
                | b'&'
                | b'\''
                | b'*'
                | b'+'
                | b'-'
                | b'.'
                | b'^'
                | b'_'
                | b'`'
                | b'|'
                | b'~'
        )
}

/// Value of a hexadecimal digit.
#[inline(always)]
const fn hex(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
