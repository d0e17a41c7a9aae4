//! The object of a message while it is read: its text, and keyed hashes of the whole and of each level.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::abi::OBJECT_CAP;
use crate::hash::{HashKey, Hasher};

/// A text that comes byte by byte, in levels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Object {
    level: Hasher,
    whole: Hasher,
    /// Bytes of the text, and of the current level.
    len: u16,
    level_len: u16,
    /// Levels that have ended.
    levels: u16,
    pad: u16,
    /// Last, see [`Said::HEAD`](super::stream::Said::HEAD).
    text: [u8; OBJECT_CAP],
}

const _: () = assert!(core::mem::offset_of!(Object, text) + OBJECT_CAP == size_of::<Object>());

impl Object {
    /// No text.
    pub const EMPTY: Self = Self {
        level: Hasher::ZERO,
        whole: Hasher::ZERO,
        len: 0,
        level_len: 0,
        levels: 0,
        pad: 0,
        text: [0; OBJECT_CAP],
    };

    /// Begins a new text. The old bytes stay in the buffer, behind the length.
    #[inline(always)]
    pub fn clear(&mut self) {
        self.level = Hasher::ZERO;
        self.whole = Hasher::ZERO;
        self.len = 0;
        self.level_len = 0;
        self.levels = 0;
    }

    /// Adds a byte to the text and to the current level; false if the text is at [`OBJECT_CAP`].
    #[inline(always)]
    #[must_use]
    pub fn push(&mut self, byte: u8, key: &HashKey) -> bool {
        if !self.push_text(byte, key) {
            return false;
        }
        self.push_level(byte, key);
        true
    }

    /// Adds a byte to the text alone: a separator of levels.
    #[inline(always)]
    #[must_use]
    pub fn push_text(&mut self, byte: u8, key: &HashKey) -> bool {
        if !self.put(byte) {
            return false;
        }
        self.whole = self.whole.push(byte, key);
        true
    }

    /// As [`Object::push_text`], where the hash of the whole is made of the text only if somebody asks for it.
    #[inline(always)]
    #[must_use]
    pub fn put(&mut self, byte: u8) -> bool {
        let at = self.len as usize;
        if at >= OBJECT_CAP {
            return false;
        }
        self.text[at] = byte;
        self.len += 1;
        true
    }

    /// [`Object::push_text`] as a call of its own: among much else, the verifier of Linux 6.1 loses the bound of a length
    /// that has to leave its register.
    #[inline(never)]
    #[must_use]
    pub fn append(&mut self, byte: u8, key: &HashKey) -> bool {
        self.push_text(byte, key)
    }

    /// [`Object::push`] as a call of its own, as [`Object::append`].
    #[inline(never)]
    #[must_use]
    pub fn append_to_level(&mut self, byte: u8, key: &HashKey) -> bool {
        self.push(byte, key)
    }

    /// Adds a byte to the current level alone: what is judged but not part of the text.
    #[inline(always)]
    pub fn push_level(&mut self, byte: u8, key: &HashKey) {
        self.level = self.level.push(byte, key);
        self.level_len += 1;
    }

    /// Adds the bytes of a window from this place on to the text and to the current level, at most so many, up to the
    /// first one that is more than itself: a control character, a separator, a wildcard, a byte of a longer character.
    /// Returns how many. The whole is not hashed, as by [`Object::put`].
    ///
    /// `hidden` returns what it is given, unknown to a compiler that must not move the checks of a kernel program.
    #[inline(always)]
    pub fn run<const N: usize>(
        &mut self,
        window: &[u8; N],
        from: u32,
        most: u32,
        key: &HashKey,
        hidden: impl Fn(u64) -> u64,
    ) -> u32 {
        let mut level = self.level;
        let (start, end) = (u64::from(from), self.len as u64);
        let mut taken = 0;
        while taken < most {
            let at = hidden(start.wrapping_add(u64::from(taken)));
            if at >= N as u64 {
                break;
            }
            let byte = window[at as usize];
            let to = hidden(end.wrapping_add(u64::from(taken)));
            if !is_plain(byte) || to >= OBJECT_CAP as u64 {
                break;
            }
            self.text[to as usize] = byte;
            level = level.push(byte, key);
            taken += 1;
        }
        self.level = level;
        self.len += taken as u16;
        self.level_len += taken as u16;
        taken
    }

    /// Begins the next level.
    #[inline(always)]
    pub fn next_level(&mut self) {
        self.level = Hasher::ZERO;
        self.level_len = 0;
        self.levels += 1;
    }

    /// Keyed hash of the current level; 0 if it is empty.
    #[inline(always)]
    pub const fn level(&self) -> u64 {
        self.level.finish()
    }

    /// Bytes of the current level.
    #[inline(always)]
    pub const fn level_len(&self) -> u16 {
        self.level_len
    }

    /// Levels that have ended.
    #[inline(always)]
    pub const fn levels(&self) -> u16 {
        self.levels
    }

    /// Keyed hash of the whole text, where it was hashed as it came: not that of MQTT.
    #[inline(always)]
    pub const fn hash(&self) -> u64 {
        self.whole.finish()
    }

    /// Bytes of the text.
    #[inline(always)]
    pub const fn len(&self) -> u16 {
        self.len
    }

    /// Whether there is no text.
    #[inline(always)]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// First byte of the text; 0 without one.
    #[inline(always)]
    pub const fn first(&self) -> u8 {
        if self.len == 0 { 0 } else { self.text[0] }
    }

    /// Last byte of the text; 0 without one.
    #[inline(always)]
    pub const fn last(&self) -> u8 {
        let at = (self.len as usize).wrapping_sub(1);
        if at < OBJECT_CAP { self.text[at] } else { 0 }
    }

    /// The text.
    pub fn text(&self) -> &[u8] {
        self.text.get(..self.len as usize).unwrap_or(&[])
    }

    /// The buffer and the length, for a caller that copies without slicing.
    #[inline(always)]
    pub const fn buffer(&self) -> (&[u8; OBJECT_CAP], u16) {
        (&self.text, self.len)
    }
}

/// Whether the byte is text and nothing else, in every protocol.
#[inline(always)]
const fn is_plain(byte: u8) -> bool {
    byte > b'/' && byte < 0x7f || byte >= b' ' && byte < b'/' && byte != b'+' && byte != b'#'
}

/// Most levels of a request's path, its verb and host included; one more is
/// [`Reason::ObjectCap`](crate::reason::Reason::ObjectCap).
pub const REQUEST_LEVELS: usize = 16;

/// Keyed hashes of the levels of a request, in the order in which its automaton takes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Levels {
    hashes: [u64; REQUEST_LEVELS],
    count: u64,
}

impl Levels {
    /// No level.
    pub const NONE: Self = Self { hashes: [0; REQUEST_LEVELS], count: 0 };

    /// Forgets all.
    #[inline(always)]
    pub fn clear(&mut self) {
        self.count = 0;
    }

    /// Adds one; false if there is no room.
    #[inline(always)]
    #[must_use]
    pub fn push(&mut self, hash: u64) -> bool {
        let at = self.count as usize;
        if at >= REQUEST_LEVELS {
            return false;
        }
        self.hashes[at] = hash;
        self.count += 1;
        true
    }

    /// Replaces one that was pushed before: a host that comes behind the path.
    #[inline(always)]
    pub fn set(&mut self, at: usize, hash: u64) {
        if at < REQUEST_LEVELS {
            self.hashes[at] = hash;
        }
    }

    /// How many there are.
    #[inline(always)]
    pub const fn count(&self) -> u32 {
        self.count as u32
    }

    /// One of them; 0 where there is none.
    #[inline(always)]
    pub const fn get(&self, at: usize) -> u64 {
        if at < REQUEST_LEVELS && (at as u64) < self.count { self.hashes[at] } else { 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::hash;

    #[test]
    fn levels_and_whole_are_hashed_apart() {
        let key = HashKey::from_random(*b"0123456789abcdef");
        let mut object = Object::EMPTY;
        let mut levels = Levels::NONE;
        for byte in *b"ab" {
            assert!(object.push(byte, &key));
        }
        assert_eq!(object.level(), hash(b"ab", &key));
        assert!(levels.push(object.level()));
        assert!(object.push_text(b'/', &key));
        object.next_level();
        assert!(object.push(b'c', &key));
        assert_eq!((object.text(), object.levels(), object.level_len()), (&b"ab/c"[..], 1, 1));
        assert_eq!((object.hash(), object.level()), (hash(b"ab/c", &key), hash(b"c", &key)));
        assert!(levels.push(object.level()));
        assert_eq!((levels.count(), levels.get(0), levels.get(2)), (2, hash(b"ab", &key), 0));
    }

    #[test]
    fn caps_hold() {
        let key = HashKey::from_random(*b"0123456789abcdef");
        let mut object = Object::EMPTY;
        assert_eq!((0..=OBJECT_CAP).filter(|_| object.push(b'x', &key)).count(), OBJECT_CAP);
        assert_eq!(object.text().len(), OBJECT_CAP);
        let mut levels = Levels::NONE;
        assert_eq!((0..=REQUEST_LEVELS).filter(|_| levels.push(1)).count(), REQUEST_LEVELS);
    }
}
