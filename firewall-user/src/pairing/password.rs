//! Passwords: who helps from outside may sign in from a laptop as well, with the name of the phone that was paired.
//!
//! A password belongs to that session: it ends with it, and with it whoever signed in by it. Names that exist and names that
//! do not are answered the same after the same work. Wrong tries are counted for all names together, or trying many names
//! would be a way to try often.

use dashboard::{
    rpc::{Refusal, Session},
    view::Role,
};
use firewall_common::abi::PrincipalId;
use graph::Now;

use super::{Ended, Hash, Kept, Paired, Pairing, SESSIONS, full, hash, put, refusal};
use crate::{
    slow::{Cost, Hashed, Salt},
    store::Change,
};

/// Bytes of a password. The longest is no strength but work, for us as well.
const LENGTH: std::ops::RangeInclusive<usize> = 10..=128;
/// Wrong tries until signing in rests.
const TRIES: u8 = 5;
/// How long it rests, in nanoseconds.
const REST: u64 = 10 * 60 * 1_000_000_000;
/// Browsers that are signed in by one password at one time.
const SIGNED_IN: usize = 4;
/// What OWASP recommends at least; the loop waits for it some hundredths of a second, five times in ten minutes.
const COST: Cost = Cost { memory_kib: 19 * 1024, passes: 2 };

/// How often passwords were guessed wrong.
#[derive(Debug, Default)]
pub(super) struct Guesses {
    wrong: u8,
    /// Boot-time nanoseconds.
    rest_until: u64,
}

impl Guesses {
    fn check_rest(&self, now: Now) -> Result<(), Refusal> {
        if now.boot_ns < self.rest_until {
            return Err(refusal("too_many", "too many wrong passwords; try again in some minutes"));
        }
        Ok(())
    }

    fn count(&mut self, is_right: bool, now: Now) -> Result<(), Refusal> {
        if is_right {
            self.wrong = 0;
            return Ok(());
        }
        self.wrong += 1;
        if self.wrong >= TRIES {
            self.wrong = 0;
            self.rest_until = now.boot_ns + REST;
        }
        Err(refusal("password_wrong", "this name or password is wrong"))
    }
}

impl Pairing {
    /// Sets the password of a session, or removes it; whoever signed in by the old one is out.
    ///
    /// # Errors
    ///
    /// Refuses every role but pro, a wrong old one, what is too short or too long, and a name that another has.
    pub fn set_password(
        &mut self,
        token: &str,
        password: Option<&str>,
        old: Option<&str>,
        salt: Salt,
        now: Now,
    ) -> Result<Ended, Refusal> {
        let key = hash(token);
        let paired = self.sessions.get(&key).filter(|paired| !paired.is_over(now));
        let is_own = |paired: &&Paired| paired.role == Role::Pro && paired.parent.is_none() && !paired.token;
        let Some(paired) = paired.filter(is_own) else {
            return Err(refusal("forbidden", "only a professional sets a password, where they were paired"));
        };
        if let Some(known) = &paired.password {
            self.guesses.check_rest(now)?;
            let is_right = is_long_enough(old.unwrap_or_default()) && known.is(old.unwrap_or_default(), COST);
            self.guesses.count(is_right, now)?;
        }
        if password.is_some_and(|password| !is_long_enough(password)) {
            return Err(refusal("password_format", "a password has 10 to 128 characters"));
        }
        if password.is_some() && self.account(&paired.name, now).is_some_and(|(other, _)| other != key) {
            return Err(refusal("name_taken", "someone else signs in with this name; pair with another one"));
        }
        let mut ended = self.end_signed_in(key);
        let paired = self.sessions.get_mut(&key).expect("it was found above");
        paired.password = password.map(|password| Hashed::of(password, salt, COST));
        ended.changes.push(put(&key, paired));
        Ok(ended)
    }

    /// Makes a session of a name and its password.
    ///
    /// # Errors
    ///
    /// Says `password_wrong` whatever is wrong, and `too_many` while signing in rests.
    pub fn sign_in(
        &mut self,
        name: &str,
        password: &str,
        at: Option<PrincipalId>,
        random: [u8; 32],
        now: Now,
    ) -> Result<(Session, Change), Refusal> {
        self.guesses.check_rest(now)?;
        let account = self.account(name, now);
        let known = account.map_or(&Hashed::NOBODY, |(_, known)| known);
        let is_right = is_long_enough(password) && known.is(password, COST);
        let account = account.map(|(key, _)| key).filter(|_| is_right);
        self.guesses.count(account.is_some(), now)?;
        let key = account.expect("only who is somebody is right");
        let signed_in = self.sessions.values().filter(|paired| paired.parent == Some(key)).count();
        if self.sessions.len() >= SESSIONS || signed_in >= SIGNED_IN {
            return Err(full());
        }
        let Paired { name, role, until, .. } = self.sessions[&key].clone();
        Ok(self.let_in(&name, role, until, Kept::ByPassword(at, key), random, now))
    }

    /// The session whose password this name signs in with.
    fn account(&self, name: &str, now: Now) -> Option<(Hash, &Hashed)> {
        self.sessions.iter().find_map(|(key, paired)| {
            let known = paired.password.as_ref().filter(|_| paired.name == name && !paired.is_over(now))?;
            Some((*key, known))
        })
    }

    /// Ends whoever signed in by the password of this session.
    pub(super) fn end_signed_in(&mut self, parent: Hash) -> Ended {
        let mut ended = Ended::default();
        self.sessions.retain(|key, paired| {
            let stays = paired.parent != Some(parent);
            if !stays {
                ended.note(key, paired);
            }
            stays
        });
        ended
    }
}

fn is_long_enough(password: &str) -> bool {
    LENGTH.contains(&password.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pairing::CODE_BYTES;

    const PASSWORD: &str = "correct horse battery";

    fn at(seconds: u64) -> Now {
        let unix = 1_000 + seconds.cast_signed();
        Now { boot_ns: seconds * 1_000_000_000, unix, ..Now::default() }
    }

    fn code<T>(result: Result<T, Refusal>) -> String {
        result.map_or_else(|refusal| refusal.code, |_| "ok".to_owned())
    }

    /// Someone of this role and name, with the token of their session.
    fn pair(pairing: &mut Pairing, role: Role, name: &str, seed: u8) -> String {
        let code = pairing.make_code([seed; CODE_BYTES], 60, role, at(0));
        pairing.redeem(&code.code, name, None, [seed; 32], at(0)).unwrap().0.token
    }

    fn with_password() -> (Pairing, String) {
        let mut pairing = Pairing::default();
        let phone = pair(&mut pairing, Role::Pro, "Eve", 1);
        pairing.set_password(&phone, Some(PASSWORD), None, [3; 16], at(0)).unwrap();
        (pairing, phone)
    }

    fn sign_in(pairing: &mut Pairing, name: &str, password: &str, seconds: u64) -> String {
        code(pairing.sign_in(name, password, None, [90; 32], at(seconds)))
    }

    #[test]
    fn only_pros_have_one_and_only_where_they_were_paired() {
        for role in [Role::Owner, Role::Member, Role::Viewer] {
            let mut pairing = Pairing::default();
            let token = pair(&mut pairing, role, "x", 1);
            let set = pairing.set_password(&token, Some(PASSWORD), None, [0; 16], at(0));
            assert_eq!(code(set), "forbidden", "{role:?}");
        }
        let (mut pairing, _) = with_password();
        let (laptop, _) = pairing.sign_in("Eve", PASSWORD, None, [9; 32], at(1)).unwrap();
        assert_eq!(laptop.role, Role::Pro);
        let set = pairing.set_password(&laptop.token, Some(PASSWORD), Some(PASSWORD), [0; 16], at(1));
        assert_eq!(code(set), "forbidden");
        let (program, _) = pairing.make_token("program", Role::Pro, [7; 32], at(0)).unwrap();
        let set = pairing.set_password(&program.token, Some(PASSWORD), None, [0; 16], at(0));
        assert_eq!(code(set), "forbidden");
    }

    #[test]
    fn it_is_stored_as_a_hash_and_holds_after_a_restart() {
        let mut pairing = Pairing::default();
        let phone = pair(&mut pairing, Role::Pro, "Eve", 1);
        let ended = pairing.set_password(&phone, Some(PASSWORD), None, [3; 16], at(0)).unwrap();
        let [Change::PutSession { key, value }] = ended.changes.as_slice() else { panic!("{ended:?}") };
        assert!(!String::from_utf8_lossy(value).contains("horse"));
        let mut restored = Pairing::restore([(key.clone(), value.clone())]);
        assert_eq!(sign_in(&mut restored, "Eve", PASSWORD, 1), "ok");
    }

    #[test]
    fn who_signed_in_ends_with_the_phone_and_with_the_password() {
        let (mut pairing, phone) = with_password();
        let device = Some(PrincipalId(20));
        let (laptop, _) = pairing.sign_in("Eve", PASSWORD, device, [9; 32], at(1)).unwrap();
        let again = "another long password";
        let ended = pairing.set_password(&phone, Some(again), Some(PASSWORD), [4; 16], at(2)).unwrap();
        assert_eq!((ended.places, ended.changes.len()), (vec![PrincipalId(20)], 2));
        assert_eq!(code(pairing.check(&laptop.token, false, at(2))), "unauthenticated");
        assert_eq!(sign_in(&mut pairing, "Eve", PASSWORD, 3), "password_wrong", "the old one");

        let (laptop, _) = pairing.sign_in("Eve", again, None, [8; 32], at(4)).unwrap();
        assert_eq!(pairing.end(&phone).unwrap().changes.len(), 2);
        assert_eq!(code(pairing.check(&laptop.token, false, at(4))), "unauthenticated");
        assert_eq!(sign_in(&mut pairing, "Eve", again, 5), "password_wrong");
    }

    #[test]
    fn it_ends_with_the_days_of_who_helps() {
        let (mut pairing, _) = with_password();
        let (laptop, _) = pairing.sign_in("Eve", PASSWORD, None, [9; 32], at(3 * 86_400)).unwrap();
        let after = 7 * 86_400;
        assert!(pairing.check(&laptop.token, false, at(after - 1)).is_ok());
        assert_eq!(
            code(pairing.check(&laptop.token, false, at(after))),
            "unauthenticated",
            "not seven more days"
        );
        assert_eq!(sign_in(&mut pairing, "Eve", PASSWORD, after), "password_wrong");
    }

    #[test]
    fn a_name_that_there_is_not_is_answered_like_a_wrong_password() {
        let (mut pairing, _) = with_password();
        pair(&mut pairing, Role::Owner, "Anna", 2);
        for (name, password) in
            [("Eve", "wrong wrong wrong"), ("Nobody", PASSWORD), ("Anna", PASSWORD), ("Eve", "")]
        {
            let refusal = pairing.sign_in(name, password, None, [9; 32], at(1)).unwrap_err();
            assert_eq!(refusal.message, "this name or password is wrong", "{name}");
        }
    }

    #[test]
    fn after_five_wrong_ones_of_whatever_name_even_the_right_one_waits() {
        let (mut pairing, phone) = with_password();
        for name in ["Eve", "Nobody", "Eve", "Eve"] {
            assert_eq!(sign_in(&mut pairing, name, "wrong wrong wrong", 1), "password_wrong");
        }
        let set = pairing.set_password(&phone, None, Some("wrong wrong wrong"), [0; 16], at(1));
        assert_eq!(code(set), "password_wrong", "a phone that was left lying is no way round");
        assert_eq!(sign_in(&mut pairing, "Eve", PASSWORD, 600), "too_many");
        assert_eq!(sign_in(&mut pairing, "Nobody", PASSWORD, 600), "too_many");
        assert_eq!(sign_in(&mut pairing, "Eve", PASSWORD, 601), "ok");
    }

    #[test]
    fn what_is_too_short_or_too_long_is_none() {
        let mut pairing = Pairing::default();
        let phone = pair(&mut pairing, Role::Pro, "Eve", 1);
        let long = "x".repeat(129);
        for bad in ["", "short", "123456789", &long] {
            let set = pairing.set_password(&phone, Some(bad), None, [0; 16], at(0));
            assert_eq!(code(set), "password_format", "{}", bad.len());
        }
        assert_eq!(sign_in(&mut pairing, "Eve", "", 1), "password_wrong");
        let other = pair(&mut pairing, Role::Pro, "Eve", 2);
        // As in a state of before names were unique.
        pairing.sessions.get_mut(&hash(&other)).unwrap().name = "Eve".to_owned();
        pairing.set_password(&phone, Some(PASSWORD), None, [0; 16], at(0)).unwrap();
        let set = pairing.set_password(&other, Some(PASSWORD), None, [0; 16], at(0));
        assert_eq!(code(set), "name_taken", "two with one name");
    }

    #[test]
    fn a_password_lets_in_few_browsers_at_one_time() {
        let (mut pairing, _) = with_password();
        for index in 0..SIGNED_IN {
            assert!(pairing.sign_in("Eve", PASSWORD, None, [10 + index as u8; 32], at(1)).is_ok());
        }
        assert_eq!(sign_in(&mut pairing, "Eve", PASSWORD, 1), "too_many");
    }
}
