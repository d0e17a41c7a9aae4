//! What the request protocols share: the words of their verbs, and one spelling for each path and host.
//!
//! A rule names a path by its levels. Whatever a server could read as another path than the one written (dot segments,
//! empty levels, backslashes, control characters) is malformed, so nobody reaches a path under a second name.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::abi::OBJECT_CAP;
use crate::hash::{HashKey, Hasher};
use crate::reason::Reason;
use crate::wire::Event;
use crate::wire::object::{Levels, Object, REQUEST_LEVELS};

/// Most levels of a path: verb and host are levels too.
pub const PATH_LEVELS: u16 = REQUEST_LEVELS as u16 - 2;
/// Place of the host in [`Levels`] of HTTP and CoAP.
const HOST: usize = 1;

/// Writes the levels of a request of HTTP or CoAP whose object is complete: verb, host, and those of the path.
#[inline(always)]
pub(super) fn levels(object: &Object, verb: u64, levels: &mut Levels, key: &HashKey) {
    let (text, length) = object.buffer();
    levels.clear();
    // There is room: a path has at most [`PATH_LEVELS`].
    let _ = levels.push(verb);
    // The host stands behind the path. Until then its place holds the last separator: in memory, where the verifier of
    // the kernel programs does not follow it.
    let _ = levels.push(b'/' as u64);
    let mut hasher = Hasher::ZERO;
    // Behind the first slash.
    let mut at = 1;
    while at < OBJECT_CAP && at < length as usize {
        let byte = text[at];
        if byte == b' ' || byte == b'/' {
            // `/` alone has no level.
            if at > 1 {
                let _ = levels.push(hasher.finish());
            }
            levels.set(HOST, byte as u64);
            hasher = Hasher::ZERO;
        } else {
            hasher = hasher.push(byte, key);
        }
        at += 1;
    }
    let last = hasher.finish();
    if levels.get(HOST) == b' ' as u64 {
        levels.set(HOST, last);
        return;
    }
    levels.set(HOST, Hasher::ZERO.finish());
    if length > 1 {
        let _ = levels.push(last);
    }
}

/// Hash of a word that no byte of the wire spells: that of a verb.
#[inline(always)]
pub(super) fn word<const N: usize>(text: [u8; N], key: &HashKey) -> u64 {
    let mut hasher = Hasher::ZERO;
    let mut at = 0;
    while at < N {
        hasher = hasher.push(text[at], key);
        at += 1;
    }
    hasher.finish()
}

/// The event of a byte that completes nothing.
#[inline(always)]
pub(super) const fn more(result: Result<(), Reason>) -> Event {
    match result {
        Ok(()) => Event::More,
        Err(reason) => Event::Wrong(reason),
    }
}

/// Whether the byte stands for itself in a path (RFC 3986, section 3.3).
#[inline(always)]
pub(super) const fn is_path_char(byte: u8) -> bool {
    is_unreserved(byte)
        || matches!(
            byte,
            b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b';' | b'=' | b':' | b'@'
        )
}

/// Whether the byte means the same escaped and not escaped (RFC 3986, section 2.3).
#[inline(always)]
pub(super) const fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// The level of a path that is being read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(transparent)]
pub(super) struct Path(u8);

impl Path {
    pub(super) const EMPTY: Self = Self(0);
    const DOT: Self = Self(1);
    const DOTS: Self = Self(2);
    const OTHER: Self = Self(3);

    /// Adds a byte to the level.
    #[inline(always)]
    pub(super) fn push(&mut self, object: &mut Object, byte: u8, key: &HashKey) -> Result<(), Reason> {
        *self = match (*self, byte) {
            (Self::EMPTY, b'.') => Self::DOT,
            (Self::DOT, b'.') => Self::DOTS,
            // Some servers cut a level at `;` before they look for dots.
            (Self::DOT | Self::DOTS, b';') => return Err(Reason::Malformed),
            _ => Self::OTHER,
        };
        if object.append(byte, key) { Ok(()) } else { Err(Reason::ObjectCap) }
    }

    /// A slash: the level before it ends, unless this is the first one.
    #[inline(always)]
    pub(super) fn slash(&mut self, object: &mut Object, key: &HashKey) -> Result<(), Reason> {
        if !object.is_empty() {
            // Servers that merge slashes would read another path.
            if *self == Self::EMPTY {
                return Err(Reason::Malformed);
            }
            self.level(object)?;
        }
        if object.append(b'/', key) { Ok(()) } else { Err(Reason::ObjectCap) }
    }

    /// The end of the path: `/` has no level, `/a/` has two.
    #[inline(always)]
    pub(super) fn finish(&mut self, object: &mut Object) -> Result<(), Reason> {
        if *self == Self::EMPTY && object.len() == 1 {
            return Ok(());
        }
        self.level(object)
    }

    #[inline(always)]
    fn level(&mut self, object: &mut Object) -> Result<(), Reason> {
        if matches!(*self, Self::DOT | Self::DOTS) {
            return Err(Reason::Malformed);
        }
        if object.levels() >= PATH_LEVELS {
            return Err(Reason::ObjectCap);
        }
        object.next_level();
        *self = Self::EMPTY;
        Ok(())
    }
}

/// The host that is being read, with a port or without (RFC 3986, section 3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(transparent)]
pub(super) struct Host(u8);

/// What a byte of a host is.
pub(super) enum Part {
    /// This byte of the name: in lower case.
    Name(u8),
    Port,
    Wrong,
}

impl Host {
    pub(super) const EMPTY: Self = Self(0);
    const NAME: Self = Self(1);
    const DOT: Self = Self(2);
    const LITERAL: Self = Self(3);
    const CLOSED: Self = Self(4);
    /// And up to five digits of a port behind it, each one more.
    const PORT: Self = Self(5);

    /// Takes a byte.
    #[inline(always)]
    pub(super) fn push(&mut self, byte: u8) -> Part {
        let byte = byte.to_ascii_lowercase();
        let named = byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        *self = match *self {
            Self::EMPTY if byte == b'[' => Self::LITERAL,
            Self::EMPTY | Self::NAME | Self::DOT if named => Self::NAME,
            Self::NAME if byte == b'.' => Self::DOT,
            Self::NAME | Self::CLOSED if byte == b':' => Self::PORT,
            Self::LITERAL if byte == b']' => Self::CLOSED,
            Self::LITERAL if byte.is_ascii_hexdigit() || byte == b':' || byte == b'.' => Self::LITERAL,
            Self(at @ 5..10) if byte.is_ascii_digit() => Self(at + 1),
            _ => return Part::Wrong,
        };
        if self.0 >= Self::PORT.0 { Part::Port } else { Part::Name(byte) }
    }

    /// Whether nothing was read yet.
    #[inline(always)]
    pub(super) const fn is_empty(self) -> bool {
        self.0 == Self::EMPTY.0
    }

    /// Whether it may end here. A dot at the end would be a second spelling.
    #[inline(always)]
    pub(super) const fn is_complete(self) -> bool {
        self.0 != Self::DOT.0 && self.0 != Self::LITERAL.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verb_hashes_as_its_text() {
        let key = HashKey::from_random([7; 16]);
        assert_eq!(word(*b"delete", &key), crate::hash::hash(b"delete", &key));
    }
}
