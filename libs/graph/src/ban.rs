//! Bans: nothing of a principal passes, or none of its MQTT connections with one client id, until a stated time.
//!
//! A ban never hits a client id or an address alone: those an attacker can borrow, and the one whose they are would pay
//! for it.

use firewall_common::abi::PrincipalId;
use serde::{Deserialize, Serialize};

use crate::decision::Author;
use crate::time::{Deadline, Left, Now};

/// Most bans at a time.
pub const BANS_CAP: usize = 256;
/// Shortest and longest ban in seconds.
pub const BAN_SECONDS: std::ops::RangeInclusive<u32> = 60..=30 * 86_400;

/// Number of a ban.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BanId(pub u32);

/// Who is banned, until when and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ban {
    pub id: BanId,
    #[serde(with = "crate::serial::principal")]
    pub principal: PrincipalId,
    /// Only its MQTT connections with this client id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<String>,
    pub until: Deadline,
    #[serde(flatten)]
    pub by: Author,
    /// `bruteforce`, or what a person said.
    pub why: String,
}

impl Ban {
    /// Whether it is over. While nobody knows, it holds.
    pub fn is_over(&self, now: Now) -> bool {
        self.until.left(now) == Left::Over
    }

    /// Boot-time nanoseconds of its end; 0 while nobody knows.
    pub(crate) fn deadline(&self, now: Now) -> u64 {
        match self.until.left(now) {
            Left::At(at) => at,
            Left::Over => now.boot_ns,
            Left::Unknown => 0,
        }
    }
}
