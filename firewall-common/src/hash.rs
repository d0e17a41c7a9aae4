//! A keyed hash that takes one byte at a time.
//!
//! Two polynomial lanes over the Mersenne prime 2^31 - 1 with secret per-boot points: for two different strings of at
//! most `n` bytes the chance of a collision is at most `(n / 2^31)^2` over the choice of the key (Carter and Wegman,
//! 1979). The value never leaves the box, so nobody can search for collisions.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

const P: u64 = (1 << 31) - 1;

/// The secret points of the two lanes; both in `2..P`.
#[derive(Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct HashKey([u64; 2]);

impl HashKey {
    /// Makes a key from 16 random bytes.
    pub const fn from_random(random: [u8; 16]) -> Self {
        let bits = u128::from_ne_bytes(random);
        Self([(bits as u64) % (P - 2) + 2, ((bits >> 64) as u64) % (P - 2) + 2])
    }
}

/// The hash of what was fed so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Hasher([u64; 2]);

impl Hasher {
    /// Nothing fed yet.
    pub const ZERO: Self = Self([0; 2]);

    /// Feeds one byte.
    #[inline(always)]
    #[must_use]
    pub const fn push(self, byte: u8, key: &HashKey) -> Self {
        Self([lane(self.0[0], key.0[0], byte), lane(self.0[1], key.0[1], byte)])
    }

    /// The value, 62 bits; never zero once a byte was fed, except with the chance of a collision.
    #[inline(always)]
    pub const fn finish(self) -> u64 {
        modulo(self.0[0]) << 31 | modulo(self.0[1])
    }
}

/// The hash of a string that is fed from its end: after each byte the value is what [`Hasher`] gives for the bytes so far,
/// so one pass over a name gives the hash of each domain that it is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct BackHasher {
    sums: [u64; 2],
    /// The points to the power of the number of bytes.
    powers: [u64; 2],
}

impl BackHasher {
    /// Nothing fed yet.
    pub const ZERO: Self = Self { sums: [0; 2], powers: [1; 2] };

    /// Puts one byte before those of before.
    #[inline(always)]
    #[must_use]
    pub const fn push(self, byte: u8, key: &HashKey) -> Self {
        let [a, b] = self.powers;
        let byte = byte as u64 + 1;
        Self {
            sums: [reduce(self.sums[0] + a * byte), reduce(self.sums[1] + b * byte)],
            powers: [reduce(a * key.0[0]), reduce(b * key.0[1])],
        }
    }

    /// As [`Hasher::finish`].
    #[inline(always)]
    pub const fn finish(self) -> u64 {
        Hasher(self.sums).finish()
    }
}

/// The hash of a piece of a stream, eight bytes at a time: quicker than [`Hasher`], and never compared with one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct PieceHasher([u64; 2]);

impl PieceHasher {
    /// Nothing fed yet.
    pub const ZERO: Self = Self([0; 2]);

    /// Feeds eight bytes; what a piece lacks of the last eight is zero.
    #[inline(always)]
    #[must_use]
    pub const fn push(self, word: u64, key: &HashKey) -> Self {
        let [a, b] = self.0;
        let [x, y] = key.0;
        Self([half(half(a, x, word), x, word >> 32), half(half(b, y, word), y, word >> 32)])
    }

    /// The value for a piece of this length.
    #[inline(always)]
    pub const fn finish(self, length: u32, key: &HashKey) -> u64 {
        let [a, b] = [half(self.0[0], key.0[0], length as u64), half(self.0[1], key.0[1], length as u64)];
        modulo(a) << 31 | modulo(b)
    }
}

/// `state * point + half a word`, folded once: below 2^32 again, as `state` was.
#[inline(always)]
const fn half(state: u64, point: u64, word: u64) -> u64 {
    let sum = state * point + (word & 0xffff_ffff);
    let folded = (sum & P) + (sum >> 31);
    (folded & P) + (folded >> 31)
}

#[inline(always)]
const fn modulo(value: u64) -> u64 {
    let folded = (value & P) + (value >> 31);
    if folded >= P { folded - P } else { folded }
}

/// Hashes a whole string.
pub fn hash(bytes: &[u8], key: &HashKey) -> u64 {
    bytes.iter().fold(Hasher::ZERO, |hasher, &byte| hasher.push(byte, key)).finish()
}

/// `state * point + byte + 1`, folded twice: at most 2^31 again, as `state` was, and so the product fits. What is left to
/// the value below `P` is left to the end.
#[inline(always)]
const fn lane(state: u64, point: u64, byte: u8) -> u64 {
    let sum = state * point + byte as u64 + 1;
    let folded = (sum & P) + (sum >> 31);
    (folded & P) + (folded >> 31)
}

/// A number below 2^63, modulo `P`.
#[inline(always)]
const fn reduce(value: u64) -> u64 {
    let folded = (value & P) + (value >> 31);
    let folded = (folded & P) + (folded >> 31);
    if folded >= P { folded - P } else { folded }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_lane_is_the_polynomial(bytes: [u8; 9], random: [u8; 16]) {
            let key = HashKey::from_random(random);
            let mut expected = 0_u128;
            for byte in bytes {
                expected = (expected * u128::from(key.0[0]) + u128::from(byte) + 1) % u128::from(P);
            }
            prop_assert_eq!(u128::from(hash(&bytes, &key) >> 31), expected);
        }

        #[test]
        fn a_piece_is_the_polynomial_over_its_halves(words: [u64; 5], length: u16, random: [u8; 16]) {
            let key = HashKey::from_random(random);
            let halves = words.iter().flat_map(|word| [word & 0xffff_ffff, word >> 32]).chain([u64::from(length)]);
            let mut expected = 0_u128;
            for half in halves {
                expected = (expected * u128::from(key.0[0]) + u128::from(half)) % u128::from(P);
            }
            let hasher = words.iter().fold(PieceHasher::ZERO, |hasher, word| hasher.push(*word, &key));
            prop_assert_eq!(u128::from(hasher.finish(u32::from(length), &key) >> 31), expected);
        }

        #[test]
        fn from_the_end_it_is_the_hash_of_each_suffix(bytes: [u8; 40], random: [u8; 16]) {
            let key = HashKey::from_random(random);
            let mut back = BackHasher::ZERO;
            for at in (0..bytes.len()).rev() {
                back = back.push(bytes[at], &key);
                prop_assert_eq!(back.finish(), hash(&bytes[at..], &key));
            }
        }

        #[test]
        fn length_counts(random: [u8; 16]) {
            let key = HashKey::from_random(random);
            prop_assert_ne!(hash(b"\0", &key), hash(b"\0\0", &key));
            prop_assert_ne!(hash(b"", &key), hash(b"\0", &key));
        }
    }
}
