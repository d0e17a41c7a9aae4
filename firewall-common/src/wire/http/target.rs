//! The request line (RFC 9112, section 3).

use super::{Http, flag, hex, method, pack, phase, same, shift};
use crate::hash::HashKey;
use crate::reason::Reason;
use crate::wire::Event;
use crate::wire::object::Object;
use crate::wire::request::{Path, is_path_char, is_unreserved, more};
use crate::wire::utf8::Utf8;

impl Http {
    /// The method and its space (RFC 9112, section 3.1). The preface of HTTP/2 begins with a method of its own.
    #[inline(always)]
    pub(super) fn method(&mut self, object: &mut Object, byte: u8) -> Event {
        if byte != b' ' {
            self.text = shift(self.text, byte);
            let fits = byte.is_ascii_uppercase() && self.line < 8;
            return if fits { Event::More } else { Event::Wrong(Reason::ProtoChanged) };
        }
        let text = self.text;
        self.method = if same(text, pack(b"GET")) {
            method::GET
        } else if same(text, pack(b"HEAD")) {
            method::HEAD
        } else if same(text, pack(b"OPTIONS")) {
            method::OPTIONS
        } else if same(text, pack(b"POST")) || same(text, pack(b"PUT")) || same(text, pack(b"PATCH")) {
            method::SET
        } else if same(text, pack(b"DELETE")) {
            method::DELETE
        } else {
            return Event::Wrong(Reason::ProtoChanged);
        };
        self.flags &= flag::LATER | flag::RECOGNISED;
        // RTSP has this method too, and its targets begin with its name (RFC 2326, section 6.1).
        if self.method != method::OPTIONS {
            self.flags |= flag::RECOGNISED;
        }
        self.fields = 0;
        self.body = 0;
        self.path = Path::EMPTY;
        self.utf8 = Utf8::NEW;
        object.clear();
        self.phase = phase::TARGET;
        Event::More
    }

    /// The target (RFC 9112, section 3.2): a path with or without a query, or `*`. A target that names a host of its own
    /// asks for a proxy.
    #[inline(always)]
    pub(super) fn target(&mut self, object: &mut Object, byte: u8, key: &HashKey) -> Result<(), Reason> {
        match self.phase {
            phase::TARGET => {
                if byte == b'r' && !self.is_recognised() {
                    return Err(Reason::ProtoChanged);
                }
                self.flags |= flag::RECOGNISED;
                let star = byte == b'*' && self.method == method::OPTIONS;
                if byte != b'/' && !star {
                    return Err(Reason::Malformed);
                }
                // `*` asks about the server as a whole: it reads `/`.
                self.phase = if star { phase::STAR } else { phase::PATH };
                self.path.slash(object, key)
            }
            phase::PATH => self.path(object, byte, key),
            phase::ESCAPE_HIGH => {
                self.digits = hex(byte).ok_or(Reason::Malformed)?;
                self.phase = phase::ESCAPE_LOW;
                Ok(())
            }
            phase::ESCAPE_LOW => {
                let low = hex(byte).ok_or(Reason::Malformed)?;
                self.phase = phase::PATH;
                self.escape(object, self.digits << 4 | low, key)
            }
            _ => {
                if byte == b' ' {
                    self.text = [0; 3];
                    self.phase = phase::VERSION;
                    return Ok(());
                }
                let visible = byte > b' ' && byte < 0x7f && byte != b'#';
                if self.phase == phase::QUERY && visible { Ok(()) } else { Err(Reason::Malformed) }
            }
        }
    }

    #[inline(always)]
    fn path(&mut self, object: &mut Object, byte: u8, key: &HashKey) -> Result<(), Reason> {
        if byte == b'%' {
            self.phase = phase::ESCAPE_HIGH;
            return Ok(());
        }
        if !self.utf8.is_complete() {
            return Err(Reason::Malformed);
        }
        match byte {
            b'/' => self.path.slash(object, key),
            b'?' | b' ' => {
                self.text = [0; 3];
                self.phase = if byte == b'?' { phase::QUERY } else { phase::VERSION };
                self.path.finish(object)
            }
            _ if is_path_char(byte) => self.path.push(object, byte, key),
            _ => Err(Reason::Malformed),
        }
    }

    /// An escaped byte (RFC 3986, section 2.1): only one spelling of each path is let through, or made.
    #[inline(always)]
    fn escape(&mut self, object: &mut Object, byte: u8, key: &HashKey) -> Result<(), Reason> {
        if byte < b' ' || byte == 0x7f || is_unreserved(byte) || matches!(byte, b'/' | b'\\' | b'%') {
            return Err(Reason::Malformed);
        }
        if !self.utf8.push(byte) {
            return Err(Reason::Malformed);
        }
        if is_path_char(byte) {
            return self.path.push(object, byte, key);
        }
        self.path.push(object, b'%', key)?;
        self.path.push(object, digit(byte >> 4), key)?;
        self.path.push(object, digit(byte & 0x0f), key)
    }

    /// The version (RFC 9112, section 2.3) and the end of the request line.
    #[inline(always)]
    pub(super) fn version(&mut self, byte: u8) -> Event {
        if byte != b'\r' {
            self.text = shift(self.text, byte);
            return more(if byte > b' ' && byte < 0x7f { Ok(()) } else { Err(Reason::Malformed) });
        }
        if same(self.text, pack(b"HTTP/1.1")) {
            self.flags |= flag::MINOR;
        } else if !same(self.text, pack(b"HTTP/1.0")) {
            return Event::Wrong(Reason::Malformed);
        }
        self.phase = phase::LINE_LF;
        Event::More
    }
}

/// The digit of a value below 16.
#[inline(always)]
const fn digit(value: u8) -> u8 {
    if value < 10 { b'0' + value } else { b'A' + value - 10 }
}
