//! TFTP (RFC 1350): the request for a file, which is answered from another port than it went to.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Where files are asked for.
pub const PORT: u16 = 69;

/// Longest name of a file and mode together.
const NAME_CAP: u16 = 256;

/// Where in a request the next byte belongs.
mod phase {
    pub(super) const OPERATION: u8 = 0;
    pub(super) const NAME: u8 = 1;
    pub(super) const MODE: u8 = 2;
    /// Options (RFC 2347): they change nothing about who sends what to whom.
    pub(super) const OPTIONS: u8 = 3;
    pub(super) const WRONG: u8 = 4;
}

/// Modes (RFC 1350, section 5) in lower case, and how long they are.
const MODES: [(u64, u8); 3] = [(word(b"octet"), 5), (word(b"netascii"), 8), (word(b"mail"), 4)];

const fn word(text: &[u8]) -> u64 {
    let mut word = 0;
    let mut at = 0;
    while at < text.len() {
        word = word << 8 | text[at] as u64;
        at += 1;
    }
    word
}

/// A datagram that may ask to read or write a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Request {
    /// Last bytes of the word at hand, and how many it has.
    word: u64,
    at: u16,
    length: u8,
    phase: u8,
    pad: [u8; 4],
}

impl Request {
    /// A datagram of which nothing has been seen.
    pub const NEW: Self = Self { word: 0, at: 0, length: 0, phase: phase::OPERATION, pad: [0; 4] };

    /// Whether it is one: it names a file and a mode of transfer.
    #[inline(always)]
    pub const fn asks(&self) -> bool {
        self.phase == phase::OPTIONS
    }

    /// Takes the next byte; false once nothing more is read.
    #[inline(always)]
    pub fn step(&mut self, byte: u8) -> bool {
        match (self.phase, self.at, byte) {
            (phase::OPERATION, 0, 0) => {}
            (phase::OPERATION, 1, 1 | 2) => self.phase = phase::NAME,
            (phase::NAME | phase::MODE, NAME_CAP.., _) => self.phase = phase::WRONG,
            (phase::NAME, _, 0) if self.length != 0 => {
                self.phase = phase::MODE;
                (self.word, self.length) = (0, 0);
            }
            (phase::MODE, _, 0) if self.is_mode() => self.phase = phase::OPTIONS,
            (phase::NAME | phase::MODE, _, 1..) => {
                self.word = self.word << 8 | byte.to_ascii_lowercase() as u64;
                self.length = self.length.saturating_add(1);
            }
            _ => self.phase = phase::WRONG,
        }
        self.at += 1;
        self.phase < phase::OPTIONS
    }

    #[inline(always)]
    fn is_mode(&self) -> bool {
        let read = (self.word, self.length);
        read == MODES[0] || read == MODES[1] || read == MODES[2]
    }
}

/// Whether the whole datagram asks for a file.
pub fn is_request(datagram: &[u8]) -> bool {
    let mut request = Request::NEW;
    let _all = datagram.iter().all(|byte| request.step(*byte));
    request.asks()
}

#[cfg(test)]
mod tests {
    use std::vec;
    use std::vec::Vec;

    use super::*;
    use proptest::prelude::*;

    extern crate std;

    #[test]
    fn requests_have_a_name_and_a_mode() {
        for request in [
            &b"\0\x01boot.bin\0octet\0"[..],
            b"\0\x02config\0NetASCII\0",
            b"\0\x01a\0mail\0",
            b"\0\x01boot.bin\0octet\0blksize\x001468\0tsize\x000\0",
        ] {
            assert!(is_request(request), "{request:02x?}");
        }
        for other in [
            &b""[..],
            b"\0\x01",
            b"\0\x01\0octet\0",
            b"\0\x03boot.bin\0octet\0",
            b"\x01\x01boot.bin\0octet\0",
            b"\0\x01boot.bin\0octet",
            b"\0\x01boot.bin\0octets\0",
            b"\0\x01boot.bin\0\0",
            b"\0\x01boot.bin",
        ] {
            assert!(!is_request(other), "{other:02x?}");
        }
        let long = |name: usize| [b"\0\x01", &vec![b'n'; name][..], b"\0octet\0"].concat();
        assert!(is_request(&long(247)) && !is_request(&long(248)));
    }

    proptest! {
        #[test]
        fn what_is_a_request_has_two_words(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            let whole = [b"\0\x01".as_slice(), &bytes, b"\0octet\0"].concat();
            let words = whole[2..].split(|byte| *byte == 0).take(2).collect::<Vec<_>>();
            let mode = words[1].to_ascii_lowercase();
            let expected = !words[0].is_empty() && [&b"octet"[..], b"netascii", b"mail"].contains(&&mode[..]);
            prop_assert_eq!(is_request(&whole), expected);
        }
    }
}
