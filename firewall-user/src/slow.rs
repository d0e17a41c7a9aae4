//! Slow hashes of what people remember (Argon2id), for a state file in wrong hands.

use argon2::{Algorithm, Argon2, Params, Version};
use serde::{Deserialize, Serialize};

/// Random bytes beside the secret, so that equal ones are stored differently.
pub type Salt = [u8; 16];

/// What a hash costs, on one lane.
#[derive(Clone, Copy, Debug)]
pub struct Cost {
    pub memory_kib: u32,
    pub passes: u32,
}

/// A secret as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hashed {
    salt: Salt,
    hash: [u8; 32],
}

impl Hashed {
    /// No secret has this hash; comparing with it takes as long as with any other.
    pub const NOBODY: Self = Self { salt: [0; 16], hash: [0; 32] };

    pub fn of(secret: &str, salt: Salt, cost: Cost) -> Self {
        let params =
            Params::new(cost.memory_kib, cost.passes, 1, Some(32)).expect("the costs are within the limits");
        let mut hash = [0; 32];
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into(secret.as_bytes(), &salt, &mut hash)
            .expect("lengths of secret, salt and hash are within the limits");
        Self { salt, hash }
    }

    /// Whether this is the secret; compares in the same time wherever they differ.
    pub fn is(&self, secret: &str, cost: Cost) -> bool {
        let other = Self::of(secret, self.salt, cost);
        self.hash.iter().zip(other.hash).fold(0, |difference, (a, b)| difference | (a ^ b)) == 0
    }
}
