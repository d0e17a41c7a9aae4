//! Who is let in: one-use codes, and the sessions of phones and programs.
//!
//! A code is shown on the box and typed or scanned on a phone; five wrong tries burn every code. Of codes and session
//! tokens only hashes are kept, so who reads the state file cannot use the page. Random bytes and time come in as
//! arguments.

use std::{collections::HashMap, fmt::Write};

use dashboard::{
    rpc::{PairingCode, Refusal, Session, Visitor},
    view::{Client, Role},
};
use firewall_common::abi::PrincipalId;
use graph::Now;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::store::Change;

/// Wrong tries until every code is burnt.
const TRIES: u8 = 5;
/// Codes that are valid at one time, and used ones that are remembered.
const CODES: usize = 16;
/// Paired phones and programs.
const SESSIONS: usize = 64;
/// Longest lifetime of a code.
const LONGEST: u32 = 24 * 3_600;
/// Devices that a session is remembered at; the oldest gives way.
const PLACES: usize = 4;
/// Days after which a visitor from outside is logged out, in seconds.
const PRO_LIFETIME: i64 = 7 * 86_400;
/// How exactly it is known when someone was here last, in seconds: each change is written to the disk.
const SEEN_EVERY: i64 = 86_400;
/// Digits and letters that are not mistaken for each other when they are read aloud or typed.
const TYPED: &[u8; 32] = b"23456789ABCDEFGHJKLMNPQRSTUVWXYZ";
/// Characters of a typed code; with the hyphen in the middle it is easier to read.
const TYPED_LENGTH: usize = 8;
/// Random bytes of a code: 16 for the scanned, 8 for the typed one.
pub const CODE_BYTES: usize = 16 + TYPED_LENGTH;

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
    /// Of the code that is scanned and of the one that is typed; one of them is enough.
    hashes: [Hash; 2],
    role: Role,
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

/// A paired phone or program, as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Paired {
    name: String,
    role: Role,
    /// Seconds since 1970.
    since: i64,
    #[serde(default)]
    seen: i64,
    #[serde(default)]
    until: Option<i64>,
    #[serde(default)]
    token: bool,
    /// Numbers of the devices that it was used at, the latest last.
    #[serde(default)]
    places: Vec<u32>,
}

/// A session that is over.
#[derive(Debug, PartialEq, Eq)]
pub struct Ended {
    pub name: String,
    /// Where it was used.
    pub places: Vec<PrincipalId>,
    pub change: Change,
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
    pub fn make_code(&mut self, random: [u8; CODE_BYTES], seconds: u32, role: Role, now: Now) -> PairingCode {
        let seconds = seconds.clamp(1, LONGEST);
        if self.codes.len() == CODES {
            self.codes.remove(0);
        }
        let (scanned, typed) = random.split_at(16);
        let (code, typed) = (hex(scanned), to_type(typed));
        let hashes = [hash(&code), hash(&typed)];
        let expires = now.boot_ns + u64::from(seconds) * 1_000_000_000;
        self.codes.push(Code { hashes, role, expires, fate: Fate::Open });
        self.wrong = 0;
        let expires_at = now.unix + i64::from(seconds);
        PairingCode { code, typed, expires_at, role, listening: Vec::new(), authority: None }
    }

    /// Makes a session of a code.
    pub fn redeem(
        &mut self,
        code: &str,
        name: &str,
        at: Option<PrincipalId>,
        random: [u8; 32],
        now: Now,
    ) -> Result<(Session, Change), Refusal> {
        let hash_of_code = hash(&as_typed(code).unwrap_or_else(|| code.to_owned()));
        let Some(known) = self.codes.iter_mut().find(|known| known.hashes.contains(&hash_of_code)) else {
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
            return Err(full());
        }
        known.fate = Fate::Used;
        let role = known.role;
        let until = (role == Role::Pro).then_some(now.unix + PRO_LIFETIME);
        Ok(self.let_in(name, role, until, Kept::Cookie(at), random, now))
    }

    /// Lets a program in.
    pub fn make_token(
        &mut self,
        name: &str,
        role: Role,
        random: [u8; 32],
        now: Now,
    ) -> Result<(Session, Change), Refusal> {
        if self.sessions.len() >= SESSIONS {
            return Err(full());
        }
        let until = (role == Role::Pro).then_some(now.unix + PRO_LIFETIME);
        Ok(self.let_in(name, role, until, Kept::Token, random, now))
    }

    fn let_in(
        &mut self,
        name: &str,
        role: Role,
        until: Option<i64>,
        kept: Kept,
        random: [u8; 32],
        now: Now,
    ) -> (Session, Change) {
        let secret = hex(&random);
        let name = name.to_owned();
        let key = hash(&secret);
        let (token, places) = match kept {
            Kept::Token => (true, Vec::new()),
            Kept::Cookie(at) => (false, at.into_iter().map(|at| at.0).collect()),
        };
        let paired =
            Paired { name: name.clone(), role, since: now.unix, seen: now.unix, until, token, places };
        let change = put(&key, &paired);
        self.sessions.insert(key, paired);
        (Session { token: secret, name, role }, change)
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

    /// Whose session this is; `pin` is for who shows it.
    pub fn check(&self, token: &str, pin: bool, now: Now) -> Result<Visitor, Refusal> {
        let key = hash(token);
        self.sessions
            .get(&key)
            .filter(|paired| paired.until.is_none_or(|until| now.unix < until))
            .map(|paired| Visitor { id: id(&key), name: paired.name.clone(), role: paired.role, pin })
            .ok_or_else(|| refusal("forbidden", "no such session; pair again with `edgeward pair`"))
    }

    /// For how many seconds a code can still be used.
    pub fn open_for(&self, now: Now) -> Option<u32> {
        let open = self.codes.iter().filter(|code| code.fate == Fate::Open && now.boot_ns < code.expires);
        open.map(|code| (code.expires - now.boot_ns).div_ceil(1_000_000_000) as u32).max()
    }

    /// When a session ends by itself, seconds since 1970.
    pub fn until(&self, token: &str) -> Option<i64> {
        self.sessions.get(&hash(token))?.until
    }

    /// Whether a session was used at this device.
    pub fn was_at(&self, token: &str, at: PrincipalId) -> bool {
        self.sessions.get(&hash(token)).is_some_and(|paired| paired.places.contains(&at.0))
    }

    /// Whether any session was used at this device.
    pub fn is_anyone_at(&self, at: PrincipalId) -> bool {
        self.sessions.values().any(|paired| paired.places.contains(&at.0))
    }

    /// Remembers that someone was here today, and at which device.
    pub fn note_visit(&mut self, token: &str, at: Option<PrincipalId>, now: Now) -> Option<Change> {
        let key = hash(token);
        let paired = self.sessions.get_mut(&key)?;
        let new_place = at.filter(|at| !paired.places.contains(&at.0));
        if (now.unix - paired.seen).abs() < SEEN_EVERY && new_place.is_none() {
            return None;
        }
        if let Some(PrincipalId(at)) = new_place {
            if paired.places.len() == PLACES {
                paired.places.remove(0);
            }
            paired.places.push(at);
        }
        paired.seen = now.unix;
        Some(put(&key, paired))
    }

    /// Everyone who is let in, who came first at the top.
    pub fn clients(&self, now: Now) -> Vec<Client> {
        let client = |(key, paired): (&Hash, &Paired)| Client {
            id: id(key),
            name: paired.name.clone(),
            role: paired.role,
            token: paired.token,
            since: paired.since,
            last_seen: paired.seen.max(paired.since),
            until: paired.until,
        };
        let mut clients: Vec<Client> = self
            .sessions
            .iter()
            .map(client)
            .filter(|one| one.until.is_none_or(|until| now.unix < until))
            .collect();
        clients.sort_by(|a, b| (a.since, &a.id).cmp(&(b.since, &b.id)));
        clients
    }

    /// Ends a session; one that is not there has ended.
    pub fn end(&mut self, token: &str) -> Option<Ended> {
        self.remove(hash(token))
    }

    /// Ends the session with this id in [`Pairing::clients`].
    pub fn end_client(&mut self, client: &str) -> Result<Ended, Refusal> {
        let key = self.sessions.keys().find(|key| id(key) == client).copied();
        let ended = key.and_then(|key| self.remove(key));
        ended.ok_or_else(|| refusal("not_found", "nobody with this id is let in"))
    }

    fn remove(&mut self, key: Hash) -> Option<Ended> {
        let Paired { name, places, .. } = self.sessions.remove(&key)?;
        let places = places.into_iter().map(PrincipalId).collect();
        Some(Ended { name, places, change: Change::RemoveSession { key: key.to_vec() } })
    }
}

/// Where the secret of a session is.
#[derive(Clone, Copy)]
enum Kept {
    /// In a browser, at this device.
    Cookie(Option<PrincipalId>),
    /// In a program.
    Token,
}

fn put(key: &Hash, paired: &Paired) -> Change {
    let value = serde_json::to_vec(paired).expect("it is plain data");
    Change::PutSession { key: key.to_vec(), value }
}

/// Names a session to its owner without saying its token.
fn id(key: &Hash) -> String {
    hex(&key[..8])
}

/// Each byte becomes a character, as `K7QF-2M9D`.
fn to_type(random: &[u8]) -> String {
    let (first, second) = random.split_at(TYPED_LENGTH / 2);
    format!("{}-{}", typed(first), typed(second))
}

/// Five bits of each byte, as characters that are not mistaken for each other.
pub(crate) fn typed(random: &[u8]) -> String {
    random.iter().map(|byte| char::from(TYPED[usize::from(byte % 32)])).collect()
}

/// A code as it may have been typed: in small letters, without the hyphen, with spaces.
fn as_typed(code: &str) -> Option<String> {
    let plain: String =
        code.chars().filter(|c| !matches!(c, ' ' | '-')).collect::<String>().to_ascii_uppercase();
    let is_one = plain.len() == TYPED_LENGTH && plain.bytes().all(|byte| TYPED.contains(&byte));
    is_one.then(|| format!("{}-{}", &plain[..TYPED_LENGTH / 2], &plain[TYPED_LENGTH / 2..]))
}

fn full() -> Refusal {
    refusal("too_many", "too many phones are paired; log one out first")
}

pub(crate) fn refusal(code: &str, message: &str) -> Refusal {
    Refusal { code: code.to_owned(), message: message.to_owned() }
}

fn hash(secret: &str) -> Hash {
    Sha256::digest(secret.as_bytes()).into()
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _infallible = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const RANDOM: [u8; CODE_BYTES] = [7; CODE_BYTES];

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
        let code = pairing.make_code(RANDOM, 60, Role::Owner, at(0));
        assert_eq!((code.code.len(), code.expires_at), (32, 1_060));
        let (session, change) = pairing.redeem(&code.code, "phone", None, [9; 32], at(1)).unwrap();
        assert_eq!(refused(pairing.redeem(&code.code, "other", None, [1; 32], at(1))), "gone");
        assert_eq!(refused(pairing.redeem(&code.typed, "other", None, [1; 32], at(1))), "gone");
        let Change::PutSession { key, value } = change else { panic!("{change:?}") };
        assert!(
            !value.windows(8).any(|part| session.token.as_bytes().windows(8).any(|secret| secret == part))
        );

        let mut restored = Pairing::restore([(key.clone(), value)]);
        assert_eq!(restored.check(&session.token, false, at(9)).unwrap().name, "phone");
        assert_eq!(restored.end(&session.token).unwrap().change, Change::RemoveSession { key });
        assert_eq!(refused(restored.check(&session.token, false, at(9))), "forbidden");
        assert_eq!(restored.end(&session.token), None);
    }

    #[test]
    fn a_session_of_the_first_version_is_an_owner_still() {
        let stored = br#"{"name":"phone","role":"owner","since":5}"#.to_vec();
        let restored = Pairing::restore([(hash("secret").to_vec(), stored)]);
        assert_eq!(restored.check("secret", false, at(0)).unwrap().role, Role::Owner);
    }

    #[test]
    fn a_code_can_be_typed_in_any_way() {
        for way in ["ABCD-EFGH", "abcdefgh", " abcd efgh ", "Abcd-EFGH"] {
            assert_eq!(as_typed(way).as_deref(), Some("ABCD-EFGH"), "{way}");
        }
        for other in ["ABCD-EFG", "ABCD-EFG0", "ABCD-EFGHJ", "", "ÄBCD-EFG"] {
            assert_eq!(as_typed(other), None, "{other}");
        }
        let mut pairing = Pairing::default();
        let code = pairing.make_code(RANDOM, 60, Role::Viewer, at(0));
        let typed = code.typed.to_lowercase().replace('-', " ");
        assert_eq!(pairing.redeem(&typed, "phone", None, [9; 32], at(1)).unwrap().0.role, Role::Viewer);
    }

    #[test]
    fn a_code_expires() {
        let mut pairing = Pairing::default();
        let code = pairing.make_code(RANDOM, 60, Role::Owner, at(0));
        assert_eq!(refused(pairing.redeem(&code.code, "phone", None, [9; 32], at(60))), "gone");
    }

    #[test]
    fn five_wrong_tries_burn_the_code() {
        let mut pairing = Pairing::default();
        let code = pairing.make_code(RANDOM, 60, Role::Owner, at(0));
        for _ in 0..4 {
            assert_eq!(refused(pairing.redeem("guess", "phone", None, [9; 32], at(1))), "forbidden");
        }
        assert_eq!(refused(pairing.redeem("guess", "phone", None, [9; 32], at(1))), "too_many");
        for code in [&code.code, &code.typed] {
            assert_eq!(refused(pairing.redeem(code, "phone", None, [9; 32], at(1))), "too_many");
        }
        let next = pairing.make_code([8; CODE_BYTES], 60, Role::Owner, at(2));
        assert!(pairing.redeem(&next.code, "phone", None, [9; 32], at(3)).is_ok());
    }

    #[test]
    fn who_helps_from_outside_is_logged_out_after_some_days() {
        let mut pairing = Pairing::default();
        let code = pairing.make_code(RANDOM, 60, Role::Pro, at(0));
        let (session, _) = pairing.redeem(&code.code, "laptop", None, [9; 32], at(0)).unwrap();
        let last = at(PRO_LIFETIME.unsigned_abs() - 1);
        assert_eq!(pairing.check(&session.token, false, last).unwrap().role, Role::Pro);
        assert_eq!(pairing.clients(last).len(), 1);
        let after = at(PRO_LIFETIME.unsigned_abs());
        assert_eq!(refused(pairing.check(&session.token, false, after)), "forbidden");
        assert!(pairing.clients(after).is_empty());
    }

    #[test]
    fn a_lost_phone_is_logged_out_by_its_id() {
        let mut pairing = Pairing::default();
        let (lost, _) = pairing.make_token("lost", Role::Owner, [1; 32], at(0)).unwrap();
        let (kept, _) = pairing.make_token("kept", Role::Owner, [2; 32], at(1)).unwrap();
        let clients = pairing.clients(at(2));
        assert_eq!(clients.iter().map(|one| one.name.as_str()).collect::<Vec<_>>(), ["lost", "kept"]);
        assert!(!clients.iter().any(|one| lost.token.contains(&one.id)), "the id says nothing of the token");
        pairing.end_client(&clients[0].id).unwrap();
        assert_eq!(refused(pairing.check(&lost.token, false, at(2))), "forbidden");
        assert!(pairing.check(&kept.token, false, at(2)).is_ok());
        assert_eq!(refused(pairing.end_client(&clients[0].id)), "not_found");
    }

    #[test]
    fn a_visit_is_written_down_once_a_day() {
        let mut pairing = Pairing::default();
        let (session, _) = pairing.make_token("phone", Role::Owner, [1; 32], at(0)).unwrap();
        assert_eq!(pairing.note_visit(&session.token, None, at(60)), None);
        assert!(pairing.note_visit(&session.token, None, at(86_400)).is_some());
        assert_eq!(pairing.note_visit(&session.token, None, at(86_460)), None);
        assert_eq!(pairing.clients(at(86_460))[0].last_seen, 1_000 + 86_400);
    }

    #[test]
    fn a_session_is_remembered_where_it_was_used() {
        let mut pairing = Pairing::default();
        let code = pairing.make_code(RANDOM, 60, Role::Owner, at(0));
        assert_eq!(pairing.open_for(at(59)), Some(1));
        assert_eq!(pairing.open_for(at(60)), None);
        let (session, _) =
            pairing.redeem(&code.code, "phone", Some(PrincipalId(16)), [9; 32], at(1)).unwrap();
        assert_eq!(pairing.open_for(at(1)), None, "a used code opens nothing");
        for device in 17..21 {
            assert!(pairing.note_visit(&session.token, Some(PrincipalId(device)), at(2)).is_some());
            assert_eq!(pairing.note_visit(&session.token, Some(PrincipalId(device)), at(2)), None);
        }
        assert!(!pairing.was_at(&session.token, PrincipalId(16)), "the oldest gave way");
        assert!(pairing.is_anyone_at(PrincipalId(20)));
        let ended = pairing.end(&session.token).unwrap();
        assert_eq!(ended.places, [17, 18, 19, 20].map(PrincipalId));
        assert!(!pairing.is_anyone_at(PrincipalId(20)));
    }

    #[test]
    fn there_is_an_end_to_who_is_let_in() {
        let mut pairing = Pairing::default();
        for index in 0..SESSIONS {
            pairing.make_token("x", Role::Viewer, [index as u8; 32], at(0)).unwrap();
        }
        assert_eq!(refused(pairing.make_token("x", Role::Viewer, [255; 32], at(0))), "too_many");
        let code = pairing.make_code(RANDOM, 60, Role::Owner, at(0));
        assert_eq!(refused(pairing.redeem(&code.code, "x", None, [254; 32], at(0))), "too_many");
    }
}
