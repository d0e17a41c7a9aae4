//! The ledger: each entry holds the hash of the one before, so what is written cannot be changed unnoticed.
//!
//! An entry is `number (8, big endian) | previous hash (32) | hash (32) | body`; the body is JSON with its fields in
//! fixed order, and the hash is SHA-256 over a label and everything else. A chain that was cut at its end is found by
//! comparing with the [`Head`], which is stored elsewhere.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

const LABEL: &[u8] = b"edgeward ledger 1";
const HEADER: usize = 8 + 32 + 32;

/// SHA-256, in hexadecimal as text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Hash(pub [u8; 32]);

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl From<Hash> for String {
    fn from(hash: Hash) -> Self {
        hash.to_string()
    }
}

impl TryFrom<String> for Hash {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        const WRONG: &str = "not 64 hexadecimal digits";
        if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(WRONG);
        }
        let mut hash = [0; 32];
        for (byte, digits) in hash.iter_mut().zip(text.as_bytes().chunks(2)) {
            let digits = std::str::from_utf8(digits).map_err(|_| WRONG)?;
            *byte = u8::from_str_radix(digits, 16).map_err(|_| WRONG)?;
        }
        Ok(Self(hash))
    }
}

/// The end of a chain: how many entries it has and the hash of the last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    pub entries: u64,
    pub hash: Hash,
}

/// One entry, ready to be appended. Its number is that of the decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Counts from 1.
    pub number: u64,
    pub hash: Hash,
    pub bytes: Vec<u8>,
}

/// Where a chain is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    #[error("entry {number} of the ledger has been changed, or an entry before it is missing")]
    Entry { number: u64 },
    #[error("the ledger ends after entry {found}, but {expected} entries were written")]
    End { found: u64, expected: u64 },
}

impl Head {
    /// Makes the next entry and moves on to it.
    pub(crate) fn append(&mut self, body: &[u8]) -> Entry {
        let number = self.entries + 1;
        let hash = hash(number, self.hash, body);
        let mut bytes = Vec::with_capacity(HEADER + body.len());
        bytes.extend_from_slice(&number.to_be_bytes());
        bytes.extend_from_slice(&self.hash.0);
        bytes.extend_from_slice(&hash.0);
        bytes.extend_from_slice(body);
        *self = Self { entries: number, hash };
        Entry { number, hash, bytes }
    }

    fn check(&mut self, entry: &[u8]) -> Option<()> {
        let (number, rest) = entry.split_at_checked(8)?;
        let (previous, rest) = rest.split_at_checked(32)?;
        let (stored, body) = rest.split_at_checked(32)?;
        let expected = self.entries + 1;
        let hash = hash(expected, self.hash, body);
        let intact = number == expected.to_be_bytes() && previous == self.hash.0 && stored == hash.0;
        *self = Self { entries: expected, hash };
        intact.then_some(())
    }
}

/// The body of an entry, if it is long enough to have one.
pub fn body(entry: &[u8]) -> Option<&[u8]> {
    entry.get(HEADER..)
}

/// Checks a whole chain in its order, and its end against `head` where that is known.
pub fn verify<E: AsRef<[u8]>>(entries: impl Iterator<Item = E>, head: Option<Head>) -> Result<Head, Broken> {
    let mut chain = Head::default();
    for entry in entries {
        let number = chain.entries + 1;
        chain.check(entry.as_ref()).ok_or(Broken::Entry { number })?;
    }
    match head {
        Some(head) if head.entries != chain.entries => {
            Err(Broken::End { found: chain.entries, expected: head.entries })
        }
        Some(head) if head.hash != chain.hash => Err(Broken::Entry { number: chain.entries }),
        Some(_) | None => Ok(chain),
    }
}

fn hash(number: u64, previous: Hash, body: &[u8]) -> Hash {
    let mut hasher = Sha256::new();
    hasher.update(LABEL);
    hasher.update(number.to_be_bytes());
    hasher.update(previous.0);
    hasher.update(body);
    Hash(hasher.finalize().into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn chain(bodies: &[Vec<u8>]) -> (Vec<Vec<u8>>, Head) {
        let mut head = Head::default();
        let entries = bodies.iter().map(|body| head.append(body).bytes).collect();
        (entries, head)
    }

    proptest! {
        #[test]
        fn a_changed_byte_anywhere_is_found(
            bodies in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..20), 1..6),
            which: proptest::sample::Index,
            at: proptest::sample::Index,
            flip in 1..=255_u8,
        ) {
            let (mut entries, head) = chain(&bodies);
            prop_assert_eq!(verify(entries.iter(), Some(head)), Ok(head));
            let which = which.index(entries.len());
            let at = at.index(entries[which].len());
            entries[which][at] ^= flip;
            prop_assert_eq!(verify(entries.iter(), Some(head)), Err(Broken::Entry { number: which as u64 + 1 }));
        }

        #[test]
        fn a_cut_anywhere_is_found(
            bodies in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..20), 1..6),
            at: proptest::sample::Index,
        ) {
            let (entries, head) = chain(&bodies);
            let total: usize = entries.iter().map(Vec::len).sum();
            let mut keep = at.index(total);
            let mut cut = Vec::new();
            for entry in &entries {
                let part = keep.min(entry.len());
                keep -= part;
                if part > 0 {
                    cut.push(entry[..part].to_vec());
                }
            }
            prop_assert!(verify(cut.iter(), Some(head)).is_err());
        }

        #[test]
        fn a_missing_or_moved_entry_is_found(
            bodies in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..20), 2..6),
            which: proptest::sample::Index,
        ) {
            let (entries, head) = chain(&bodies);
            let which = which.index(entries.len());
            let mut missing = entries.clone();
            missing.remove(which);
            prop_assert!(verify(missing.iter(), Some(head)).is_err());
            let mut moved = entries;
            moved.rotate_left(1);
            prop_assert!(verify(moved.iter(), Some(head)).is_err());
        }
    }

    #[test]
    fn hashes_come_back() {
        let hash = hash(1, Hash::default(), b"x");
        assert_eq!(Hash::try_from(hash.to_string()), Ok(hash));
        assert!(Hash::try_from("x".repeat(64)).is_err());
    }
}
