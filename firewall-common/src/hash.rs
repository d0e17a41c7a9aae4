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
        self.0[0] << 31 | self.0[1]
    }
}

/// Hashes a whole string.
pub fn hash(bytes: &[u8], key: &HashKey) -> u64 {
    bytes.iter().fold(Hasher::ZERO, |hasher, &byte| hasher.push(byte, key)).finish()
}

/// `(state * point + byte + 1) mod P`; both factors are below 2^31, so the product fits.
#[inline(always)]
const fn lane(state: u64, point: u64, byte: u8) -> u64 {
    let sum = state * point + byte as u64 + 1;
    let folded = (sum & P) + (sum >> 31);
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
        fn length_counts(random: [u8; 16]) {
            let key = HashKey::from_random(random);
            prop_assert_ne!(hash(b"\0", &key), hash(b"\0\0", &key));
            prop_assert_ne!(hash(b"", &key), hash(b"\0", &key));
        }
    }
}
