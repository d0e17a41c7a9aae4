//! Who is let in: one-use codes, and the sessions of phones and programs.
//!
//! A code is shown on the box and typed or scanned on a phone; five wrong tries burn every code. Of codes and session
//! tokens only hashes are kept, so who reads the state file cannot use the page. Random bytes and time come in as
//! arguments.

mod password;

use std::{
    collections::{HashMap, VecDeque},
    fmt::Write,
    iter,
};

use dashboard::{
    rpc::{PairingCode, Refusal, Session, Visitor},
    view::{Act, Client, Revoked, Role},
};
use firewall_common::abi::PrincipalId;
use graph::{Now, graph::same_name, principal::harmless};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use self::password::Guesses;
use crate::{slow::Hashed, store::Change};

/// Wrong tries until every code is burnt.
const TRIES: u8 = 5;
/// Codes that are valid at one time, and used ones that are remembered.
const CODES: usize = 16;
/// Paired phones and programs.
const SESSIONS: usize = 64;
/// Longest name of a phone or program, in characters.
pub const NAME_LIMIT: usize = 40;
/// Who decides besides phones and programs.
const NOT_PHONES: [&str; 3] = ["edgeward", "Home Assistant", "root"];
/// Longest lifetime of a code.
const LONGEST: u32 = 24 * 3_600;
/// Ended sessions of which it is remembered who has ended them; the oldest gives way.
const OVER: usize = 64;
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
    /// Sessions that were ended since the start, the latest last.
    over: VecDeque<(Hash, Act)>,
    guesses: Guesses,
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

impl Code {
    fn is_open(&self, now: Now) -> bool {
        self.fate == Fate::Open && now.boot_ns < self.expires
    }
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
    /// With which the same person signs in elsewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    password: Option<Hashed>,
    /// The session by whose password it was let in, and with which it ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    parent: Option<Hash>,
}

impl Paired {
    fn is_over(&self, now: Now) -> bool {
        self.until.is_some_and(|until| now.unix >= until)
    }
}

/// Sessions that are over.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Ended {
    keys: Vec<Hash>,
    /// Where they were used.
    pub places: Vec<PrincipalId>,
    pub changes: Vec<Change>,
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

    /// Takes a code that somebody has thought of.
    pub fn take_code(&mut self, code: &str, seconds: u32, role: Role, now: Now) {
        if self.codes.len() == CODES {
            self.codes.remove(0);
        }
        let expires = now.boot_ns + u64::from(seconds) * 1_000_000_000;
        self.codes.push(Code { hashes: [hash_of_code(code); 2], role, expires, fate: Fate::Open });
        self.wrong = 0;
    }

    /// Whether a code can still be used.
    pub fn is_open(&self, code: &str, now: Now) -> bool {
        let hash = hash_of_code(code);
        let is_it = |known: &&Code| known.hashes.contains(&hash);
        self.codes.iter().find(is_it).is_some_and(|code| code.is_open(now))
    }

    /// Makes a code useless.
    pub fn burn(&mut self, code: &str) {
        let hash = hash_of_code(code);
        for known in self.codes.iter_mut().filter(|known| known.hashes.contains(&hash)) {
            if known.fate == Fate::Open {
                known.fate = Fate::Burnt;
            }
        }
    }

    /// Whether anyone is let in.
    pub fn is_anyone_in(&self, now: Now) -> bool {
        self.sessions.values().any(|paired| !paired.is_over(now))
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
        let hash = hash_of_code(code);
        let Some(known) = self.codes.iter_mut().find(|known| known.hashes.contains(&hash)) else {
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
        self.make_token_for(name, role, None, random, now)
    }

    /// Lets a program in for so many seconds; a professional's never lasts longer than that of their phone.
    pub fn make_token_for(
        &mut self,
        name: &str,
        role: Role,
        seconds: Option<u32>,
        random: [u8; 32],
        now: Now,
    ) -> Result<(Session, Change), Refusal> {
        if self.sessions.len() >= SESSIONS {
            return Err(full());
        }
        let seconds = seconds.map(i64::from);
        let seconds =
            if role == Role::Pro { Some(seconds.unwrap_or(PRO_LIFETIME).min(PRO_LIFETIME)) } else { seconds };
        let until = seconds.map(|seconds| now.unix + seconds);
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
        let key = hash(&secret);
        let name = match kept {
            // The same person as before.
            Kept::ByPassword(..) => name.to_owned(),
            Kept::Cookie(_) | Kept::Token => self.free_name(name),
        };
        let (token, at, parent) = match kept {
            Kept::Token => (true, None, None),
            Kept::Cookie(at) => (false, at, None),
            Kept::ByPassword(at, parent) => (false, at, Some(parent)),
        };
        let places = at.into_iter().map(|PrincipalId(at)| at).collect();
        let (since, seen, password) = (now.unix, now.unix, None);
        let paired = Paired { name: name.clone(), role, since, seen, until, token, places, password, parent };
        let change = put(&key, &paired);
        self.sessions.insert(key, paired);
        (Session { token: secret, name, role }, change)
    }

    /// A name that nobody else has: where there is one already, with a number behind it.
    fn free_name(&self, name: &str) -> String {
        let is_taken = |name: &str| {
            let mut names = self.sessions.values().map(|paired| paired.name.as_str()).chain(NOT_PHONES);
            names.any(|known| same_name(known, name))
        };
        let numbered = |number: usize| {
            let number = format!(" {number}");
            harmless(name, NAME_LIMIT - number.len()) + &number
        };
        let mut names = iter::once(name.to_owned()).chain((2..).map(numbered));
        names.find(|name| !is_taken(name)).expect("there are more numbers than sessions")
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
            .filter(|paired| !paired.is_over(now))
            .map(|paired| Visitor {
                id: id(&key),
                name: paired.name.clone(),
                role: paired.role,
                pin,
                password: paired.password.is_some(),
            })
            .ok_or_else(|| {
                let over = self.over.iter().rfind(|(over, _)| *over == key).map(|(_, act)| act.clone());
                refusal("unauthenticated", "no such session; pair again with `edgeward pair`").after(over)
            })
    }

    /// For how many seconds a code can still be used.
    pub fn open_for(&self, now: Now) -> Option<u32> {
        let open = self.codes.iter().filter(|code| code.is_open(now));
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
            by_password: paired.parent.is_some(),
        };
        let mut clients: Vec<Client> =
            self.sessions.iter().filter(|(_, paired)| !paired.is_over(now)).map(client).collect();
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
        let paired = self.sessions.remove(&key)?;
        let mut ended = self.end_signed_in(key);
        ended.note(&key, &paired);
        Some(ended)
    }

    /// Remembers who has ended sessions, so that whoever comes with one of them hears of it.
    pub fn note_end(&mut self, ended: &Ended, by: &str, now: Now) -> Revoked {
        let act = Act { by: Some(by.to_owned()), at: now.unix };
        for key in &ended.keys {
            if self.over.len() == OVER {
                self.over.pop_front();
            }
            self.over.push_back((*key, act.clone()));
        }
        Revoked { clients: ended.keys.iter().map(id).collect(), act: Some(act) }
    }
}

impl Ended {
    fn note(&mut self, key: &Hash, paired: &Paired) {
        self.keys.push(*key);
        self.places.extend(paired.places.iter().copied().map(PrincipalId));
        self.changes.push(Change::RemoveSession { key: key.to_vec() });
    }

    /// Whether anyone is out.
    pub fn is_anyone(&self) -> bool {
        !self.keys.is_empty()
    }
}

/// Where the secret of a session is.
#[derive(Clone, Copy)]
enum Kept {
    /// In a browser, at this device.
    Cookie(Option<PrincipalId>),
    /// In a browser, at this device, by the password of this session.
    ByPassword(Option<PrincipalId>, Hash),
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

fn hash_of_code(code: &str) -> Hash {
    hash(&as_typed(code).unwrap_or_else(|| code.to_owned()))
}

fn full() -> Refusal {
    refusal("too_many", "too many phones are paired; log one out first")
}

pub(crate) fn refusal(code: &str, message: &str) -> Refusal {
    Refusal::new(code, message)
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
mod tests;
