//! The PIN of the household, asked before something of high risk is allowed for long.
//!
//! It has few digits, so what protects it is the count of wrong tries; the slow hash is for a state file in wrong hands.

use dashboard::rpc::Refusal;
use graph::Now;

use crate::{
    pairing::refusal,
    slow::{Cost, Hashed, Salt},
    store::Change,
};

/// Under which name it is stored.
pub const SETTING: &str = "pin";
/// Digits of a PIN.
const DIGITS: std::ops::RangeInclusive<usize> = 4..=12;
/// Wrong tries until it rests.
const TRIES: u8 = 5;
/// How long it rests, in nanoseconds.
const REST: u64 = 10 * 60 * 1_000_000_000;
/// The loop waits for it, so it takes a few milliseconds and not a second.
const COST: Cost = Cost { memory_kib: 8 * 1024, passes: 2 };

/// The PIN, if there is one, and how often it was guessed wrong.
#[derive(Debug, Default)]
pub struct Pin {
    stored: Option<Hashed>,
    wrong: u8,
    /// Boot-time nanoseconds.
    rests_until: u64,
}

impl Pin {
    /// Takes up what was stored.
    pub fn restore(stored: Option<&[u8]>) -> Self {
        Self { stored: stored.and_then(|value| serde_json::from_slice(value).ok()), ..Self::default() }
    }

    pub fn is_set(&self) -> bool {
        self.stored.is_some()
    }

    /// Sets the PIN, or removes it.
    ///
    /// # Errors
    ///
    /// Refuses what has not 4 to 12 digits.
    pub fn set(&mut self, pin: Option<&str>, salt: Salt) -> Result<Change, Refusal> {
        let stored = pin.map(|pin| is_pin(pin).then(|| Hashed::of(pin, salt, COST)));
        if stored == Some(None) {
            return Err(refusal("pin_format", "a PIN has 4 to 12 digits"));
        }
        *self = Self { stored: stored.flatten(), ..Self::default() };
        let value = self.stored.as_ref().map(|stored| serde_json::to_vec(stored).expect("it is plain data"));
        Ok(Change::PutSetting { name: SETTING, value })
    }

    /// Passes if there is no PIN, or if this is it.
    ///
    /// # Errors
    ///
    /// Says `pin_needed` where none was given, `pin_wrong`, and `too_many` while it rests.
    pub fn check(&mut self, pin: Option<&str>, now: Now) -> Result<(), Refusal> {
        let Some(stored) = &self.stored else {
            return Ok(());
        };
        let pin = pin.ok_or_else(|| refusal("pin_needed", "enter the PIN of the household"))?;
        if now.boot_ns < self.rests_until {
            return Err(refusal("too_many", "too many wrong PINs; try again in some minutes"));
        }
        if is_pin(pin) && stored.is(pin, COST) {
            self.wrong = 0;
            return Ok(());
        }
        self.wrong += 1;
        if self.wrong >= TRIES {
            self.wrong = 0;
            self.rests_until = now.boot_ns + REST;
        }
        Err(refusal("pin_wrong", "this PIN is wrong"))
    }
}

fn is_pin(pin: &str) -> bool {
    DIGITS.contains(&pin.len()) && pin.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Now {
        Now { boot_ns: seconds * 1_000_000_000, ..Now::default() }
    }

    fn code(result: Result<(), Refusal>) -> String {
        result.map_or_else(|refusal| refusal.code, |()| "ok".to_owned())
    }

    #[test]
    fn without_a_pin_nobody_is_asked() {
        assert_eq!(code(Pin::default().check(None, at(0))), "ok");
    }

    #[test]
    fn it_is_stored_as_a_hash_and_holds_after_a_restart() {
        let mut pin = Pin::default();
        let Change::PutSetting { value: Some(value), .. } = pin.set(Some("482913"), [3; 16]).unwrap() else {
            panic!("a PIN is stored")
        };
        assert!(!String::from_utf8_lossy(&value).contains("482913"));
        let mut restored = Pin::restore(Some(&value));
        assert_eq!(code(restored.check(None, at(0))), "pin_needed");
        assert_eq!(code(restored.check(Some("482914"), at(0))), "pin_wrong");
        assert_eq!(code(restored.check(Some("482913"), at(0))), "ok");
        assert_eq!(restored.set(None, [0; 16]).unwrap(), Change::PutSetting { name: SETTING, value: None });
        assert_eq!(code(restored.check(None, at(0))), "ok");
    }

    #[test]
    fn after_five_wrong_ones_even_the_right_one_waits() {
        let mut pin = Pin::default();
        pin.set(Some("4829"), [3; 16]).unwrap();
        for _ in 0..TRIES {
            assert_eq!(code(pin.check(Some("0000"), at(0))), "pin_wrong");
        }
        assert_eq!(code(pin.check(Some("4829"), at(599))), "too_many");
        assert_eq!(code(pin.check(Some("4829"), at(600))), "ok");
    }

    #[test]
    fn what_is_no_pin_is_refused() {
        for bad in ["", "123", "1234567890123", "12a4", "١٢٣٤"] {
            assert_eq!(Pin::default().set(Some(bad), [0; 16]).unwrap_err().code, "pin_format", "{bad}");
        }
    }
}
