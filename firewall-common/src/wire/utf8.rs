//! Well-formed UTF-8, byte by byte (RFC 3629, section 4).

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Where in a sequence the next byte belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Utf8 {
    /// Bytes of the sequence that have not come yet.
    more: u8,
    /// Bounds of the next byte of the sequence.
    low: u8,
    high: u8,
}

impl Utf8 {
    /// Between two characters.
    pub const NEW: Self = Self { more: 0, low: 0, high: 0 };

    /// Takes a byte; false if it does not continue well-formed text.
    #[inline(always)]
    #[must_use]
    pub fn push(&mut self, byte: u8) -> bool {
        if self.more != 0 {
            if byte < self.low || byte > self.high {
                return false;
            }
            self.more -= 1;
            self.low = 0x80;
            self.high = 0xbf;
            return true;
        }
        let (more, low, high) = match byte {
            0x00..=0x7f => (0, 0x80, 0xbf),
            0xc2..=0xdf => (1, 0x80, 0xbf),
            0xe0 => (2, 0xa0, 0xbf),
            0xed => (2, 0x80, 0x9f),
            0xe1..=0xef => (2, 0x80, 0xbf),
            0xf0 => (3, 0x90, 0xbf),
            0xf4 => (3, 0x80, 0x8f),
            0xf1..=0xf3 => (3, 0x80, 0xbf),
            _ => return false,
        };
        *self = Self { more, low, high };
        true
    }

    /// Whether the text may end here.
    #[inline(always)]
    pub const fn is_complete(&self) -> bool {
        self.more == 0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    extern crate std;

    fn is_utf8(bytes: &[u8]) -> bool {
        let mut utf8 = Utf8::NEW;
        bytes.iter().all(|&byte| utf8.push(byte)) && utf8.is_complete()
    }

    proptest! {
        #[test]
        fn it_agrees_with_the_standard_library(bytes in prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..5),
            any::<std::string::String>().prop_map(std::string::String::into_bytes),
        ]) {
            prop_assert_eq!(is_utf8(&bytes), core::str::from_utf8(&bytes).is_ok());
        }
    }
}
