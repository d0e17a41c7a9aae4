//! Who may use the page: one-use codes, and the sessions that they become.
//!
//! A code is shown on the box and typed or scanned on a phone; five wrong tries burn every code. Of codes and session
//! tokens only hashes are kept, so who reads the state file cannot use the page. Random bytes and time come in as
//! arguments.

use std::{collections::HashMap, fmt::Write};

use dashboard::rpc::{PairingCode, Refusal, Session, Visitor};
use graph::Now;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::store::Change;

/// Wrong tries until every code is burnt.
const TRIES: u8 = 5;
/// Codes that are valid at one time, and used ones that are remembered.
const CODES: usize = 16;
/// Paired phones.
const SESSIONS: usize = 64;
/// Longest lifetime of a code.
const LONGEST: u32 = 24 * 3_600;
/// What everyone with a code is, until roles are given out.
const ROLE: &str = "owner";

type Hash = [u8; 32];

/// Codes and sessions.
#[derive(Debug, Default)]
pub struct Pairing {
    codes: Vec<Code>,
    wrong: u8,
    sessions: HashMap<Hash, Paired>,
}

#[derive(Debug)]
struct Code {
    hash: Hash,
    /// Boot-time nanoseconds.
    expires: u64,
    fate: Fate,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Open,
    Used,
    Burnt,
}

/// A paired phone, as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Paired {
    name: String,
    role: String,
    /// Seconds since 1970.
    since: i64,
}

impl Pairing {
    /// Takes up the sessions that were stored; an entry that cannot be read is no session.
    pub fn restore(stored: impl IntoIterator<Item = (Vec<u8>, Vec<u8>)>) -> Self {
        let sessions = stored
            .into_iter()
            .filter_map(|(key, value)| Some((key.try_into().ok()?, serde_json::from_slice(&value).ok()?)))
            .collect();
        Self { sessions, ..Self::default() }
    }

    /// Makes a code for so many seconds.
    pub fn make_code(&mut self, random: [u8; 16], seconds: u32, now: Now) -> PairingCode {
        let seconds = seconds.clamp(1, LONGEST);
        if self.codes.len() == CODES {
            self.codes.remove(0);
        }
        let code = hex(&random);
        let expires = now.boot_ns + u64::from(seconds) * 1_000_000_000;
        self.codes.push(Code { hash: hash(&code), expires, fate: Fate::Open });
        self.wrong = 0;
        PairingCode { code, expires_at: now.unix + i64::from(seconds) }
    }

    /// Makes a session of a code.
    pub fn redeem(
        &mut self,
        code: &str,
        name: &str,
        random: [u8; 32],
        now: Now,
    ) -> Result<(Session, Change), Refusal> {
        let hash_of_code = hash(code);
        let Some(known) = self.codes.iter_mut().find(|known| known.hash == hash_of_code) else {
            return Err(self.wrong_try());
        };
        match known.fate {
            Fate::Burnt => {
                return Err(refusal("too_many", "too many wrong codes; make a new one with `edgeward pair`"));
            }
            Fate::Used => {
                return Err(refusal("gone", "this code was used; make a new one with `edgeward pair`"));
            }
            Fate::Open if known.expires <= now.boot_ns => {
                return Err(refusal("gone", "this code has expired; make a new one with `edgeward pair`"));
            }
            Fate::Open => {}
        }
        if self.sessions.len() >= SESSIONS {
            return Err(refusal("too_many", "too many phones are paired; log one out first"));
        }
        known.fate = Fate::Used;
        let token = hex(&random);
        let paired = Paired { name: name.to_owned(), role: ROLE.to_owned(), since: now.unix };
        let key = hash(&token);
        let value = serde_json::to_vec(&paired).expect("it is plain data");
        self.sessions.insert(key, paired.clone());
        let session = Session { token, name: paired.name, role: paired.role };
        Ok((session, Change::PutSession { key: key.to_vec(), value }))
    }

    fn wrong_try(&mut self) -> Refusal {
        self.wrong = self.wrong.saturating_add(1);
        if self.wrong < TRIES {
            return refusal("forbidden", "this code is wrong");
        }
        for code in &mut self.codes {
            if code.fate == Fate::Open {
                code.fate = Fate::Burnt;
            }
        }
        refusal("too_many", "too many wrong codes; make a new one with `edgeward pair`")
    }

    /// Whose session this is.
    pub fn check(&self, token: &str) -> Result<Visitor, Refusal> {
        self.sessions
            .get(&hash(token))
            .map(|paired| Visitor { name: paired.name.clone(), role: paired.role.clone() })
            .ok_or_else(|| refusal("forbidden", "no such session; pair again with `edgeward pair`"))
    }

    /// Ends a session; one that is not there has ended.
    pub fn end(&mut self, token: &str) -> Option<Change> {
        let key = hash(token);
        self.sessions.remove(&key).map(|_| Change::RemoveSession { key: key.to_vec() })
    }
}

fn refusal(code: &str, message: &str) -> Refusal {
    Refusal { code: code.to_owned(), message: message.to_owned() }
}

fn hash(secret: &str) -> Hash {
    Sha256::digest(secret.as_bytes()).into()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _infallible = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Now {
        Now {
            boot_ns: seconds * 1_000_000_000,
            unix: 1_000 + i64::try_from(seconds).unwrap(),
            ..Now::default()
        }
    }

    fn refused<T: std::fmt::Debug>(result: Result<T, Refusal>) -> String {
        result.unwrap_err().code
    }

    #[test]
    fn a_code_becomes_one_session_that_survives_a_restart() {
        let mut pairing = Pairing::default();
        let code = pairing.make_code([7; 16], 60, at(0));
        assert_eq!((code.code.len(), code.expires_at), (32, 1_060));
        let (session, change) = pairing.redeem(&code.code, "phone", [9; 32], at(1)).unwrap();
        assert_eq!(refused(pairing.redeem(&code.code, "other", [1; 32], at(1))), "gone");
        let Change::PutSession { key, value } = change else { panic!("{change:?}") };
        assert!(
            !value.windows(8).any(|part| session.token.as_bytes().windows(8).any(|secret| secret == part))
        );

        let mut restored = Pairing::restore([(key.clone(), value)]);
        assert_eq!(restored.check(&session.token).unwrap().name, "phone");
        assert_eq!(restored.end(&session.token), Some(Change::RemoveSession { key }));
        assert_eq!(refused(restored.check(&session.token)), "forbidden");
        assert_eq!(restored.end(&session.token), None);
    }

    #[test]
    fn a_code_expires() {
        let mut pairing = Pairing::default();
        let code = pairing.make_code([7; 16], 60, at(0));
        assert_eq!(refused(pairing.redeem(&code.code, "phone", [9; 32], at(60))), "gone");
    }

    #[test]
    fn five_wrong_tries_burn_the_code() {
        let mut pairing = Pairing::default();
        let code = pairing.make_code([7; 16], 60, at(0));
        for _ in 0..4 {
            assert_eq!(refused(pairing.redeem("guess", "phone", [9; 32], at(1))), "forbidden");
        }
        assert_eq!(refused(pairing.redeem("guess", "phone", [9; 32], at(1))), "too_many");
        assert_eq!(refused(pairing.redeem(&code.code, "phone", [9; 32], at(1))), "too_many");
        let next = pairing.make_code([8; 16], 60, at(2));
        assert!(pairing.redeem(&next.code, "phone", [9; 32], at(3)).is_ok());
    }
}
