//! Points in time that survive a restart of the box.
//!
//! The boot-time clock is what the kernel enforces with, but it starts again at each boot; the wall clock goes on, but
//! an attacker may set it (NTP) and a box without a battery wakes up in 1970. So a [`Stamp`] holds both, and a
//! [`Deadline`] says when it cannot know.

use serde::{Deserialize, Serialize};

const SECOND: u64 = 1_000_000_000;

/// Which run of the box: `/proc/sys/kernel/random/boot_id`, or anything that differs after each boot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BootId(pub [u8; 16]);

/// The time as the caller reads it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Now {
    pub boot: BootId,
    /// Nanoseconds of the boot-time clock (`CLOCK_BOOTTIME`).
    pub boot_ns: u64,
    /// Seconds since 1970.
    pub unix: i64,
    /// Whether the wall clock is synchronised.
    pub synchronised: bool,
}

/// A point in time as it was read.
pub type Stamp = Now;

impl Now {
    /// The wall time of a point of the boot-time clock in this run.
    pub fn unix_at(&self, boot_ns: u64) -> i64 {
        let seconds = |nanoseconds: u64| i64::try_from(nanoseconds / SECOND).unwrap_or(i64::MAX);
        if boot_ns <= self.boot_ns {
            self.unix.saturating_sub(seconds(self.boot_ns - boot_ns))
        } else {
            self.unix.saturating_add(seconds(boot_ns - self.boot_ns))
        }
    }

    /// Seconds from `stamp` to now: at least that many, where the box restarted in between without a synchronised
    /// clock.
    pub fn seconds_since(&self, stamp: &Stamp) -> u64 {
        if self.boot == stamp.boot {
            self.boot_ns.saturating_sub(stamp.boot_ns) / SECOND
        } else if self.synchronised && stamp.synchronised {
            u64::try_from(self.unix.saturating_sub(stamp.unix)).unwrap_or(0)
        } else {
            self.boot_ns / SECOND
        }
    }
}

/// So many seconds after a stamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deadline {
    pub from: Stamp,
    pub seconds: u64,
}

/// How a deadline stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Left {
    /// It comes at this point of the boot-time clock.
    At(u64),
    /// It has passed.
    Over,
    /// The box restarted and the clock is not synchronised yet: nobody knows.
    Unknown,
}

impl Deadline {
    /// So many seconds from now.
    pub const fn after(now: Now, seconds: u64) -> Self {
        Self { from: now, seconds }
    }

    /// How it stands now.
    pub fn left(&self, now: Now) -> Left {
        if self.from.boot == now.boot {
            let at = self.from.boot_ns.saturating_add(self.seconds.saturating_mul(SECOND));
            return if at > now.boot_ns { Left::At(at) } else { Left::Over };
        }
        if !(self.from.synchronised && now.synchronised) {
            return Left::Unknown;
        }
        date_left(self.unix(), now)
    }

    /// The wall time of its end.
    pub fn unix(&self) -> i64 {
        self.from.unix.saturating_add(i64::try_from(self.seconds).unwrap_or(i64::MAX))
    }
}

/// How a date stands now.
pub fn date_left(unix: i64, now: Now) -> Left {
    if !now.synchronised {
        return Left::Unknown;
    }
    match u64::try_from(unix.saturating_sub(now.unix)) {
        Ok(seconds) if seconds > 0 => Left::At(now.boot_ns.saturating_add(seconds.saturating_mul(SECOND))),
        Ok(_) | Err(_) => Left::Over,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now(boot: u8, seconds: u64, unix: i64, synchronised: bool) -> Now {
        Now { boot: BootId([boot; 16]), boot_ns: seconds * SECOND, unix, synchronised }
    }

    #[test]
    fn a_duration_runs_on_boot_time_whatever_the_clock_says() {
        let deadline = Deadline::after(now(1, 100, 0, false), 60);
        assert_eq!(deadline.left(now(1, 159, 9_999_999, true)), Left::At(160 * SECOND));
        assert_eq!(deadline.left(now(1, 160, -5, true)), Left::Over);
    }

    #[test]
    fn after_a_restart_a_duration_is_known_only_with_a_synchronised_clock() {
        let deadline = Deadline::after(now(1, 100, 1_000, true), 60);
        assert_eq!(deadline.left(now(2, 5, 1_040, true)), Left::At(25 * SECOND));
        assert_eq!(deadline.left(now(2, 5, 1_060, true)), Left::Over);
        assert_eq!(deadline.left(now(2, 5, 1_040, false)), Left::Unknown);
        let unsure = Deadline::after(now(1, 100, 1_000, false), 60);
        assert_eq!(unsure.left(now(2, 5, 1_040, true)), Left::Unknown);
    }

    #[test]
    fn a_date_is_unknown_without_a_synchronised_clock() {
        assert_eq!(date_left(1_000, now(1, 5, 10, false)), Left::Unknown);
        assert_eq!(date_left(1_000, now(1, 5, 990, true)), Left::At(15 * SECOND));
        assert_eq!(date_left(1_000, now(1, 5, 1_000, true)), Left::Over);
    }
}
