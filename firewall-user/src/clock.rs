//! The time: what the graph, which knows no clock, is told.

use std::fs;

use anyhow::{Context, Result};
use graph::time::{BootId, Now};
use nix::time::{ClockId, clock_gettime};

/// The hour at which a household hears of what came during the day.
const EVENING: i32 = 19;

/// Reads the clocks of this run of the box.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    boot: BootId,
}

impl Clock {
    pub fn new() -> Result<Self> {
        let path = "/proc/sys/kernel/random/boot_id";
        let text = fs::read_to_string(path).with_context(|| format!("cannot read {path}"))?;
        let digits: String = text.chars().filter(char::is_ascii_hexdigit).collect();
        let id = u128::from_str_radix(&digits, 16).with_context(|| format!("{path} holds no id"))?;
        Ok(Self { boot: BootId(id.to_be_bytes()) })
    }

    pub fn now(&self) -> Now {
        Now {
            boot: self.boot,
            boot_ns: nanoseconds(ClockId::CLOCK_BOOTTIME),
            unix: clock_gettime(ClockId::CLOCK_REALTIME).map_or(0, |time| time.tv_sec()),
            synchronised: is_synchronised(),
        }
    }
}

/// When the day of a household ends that this moment is in: at 19:00, by the clocks here. Seconds since 1970, both.
pub fn end_of_day(unix: i64) -> i64 {
    // SAFETY: an all-zero `tm` is a valid value.
    let mut time: libc::tm = unsafe { std::mem::zeroed() };
    // SAFETY: both pointers are to live values, the second one is exclusive.
    if unsafe { libc::localtime_r(&raw const unix, &raw mut time) }.is_null() {
        // A year that is no number: no day ends then.
        return i64::MAX;
    }
    // A 32nd of a month is the first of the next.
    time.tm_mday += i32::from(time.tm_hour >= EVENING);
    (time.tm_hour, time.tm_min, time.tm_sec, time.tm_isdst) = (EVENING, 0, 0, -1);
    // SAFETY: the pointer is to a live, exclusive `tm`.
    unsafe { libc::mktime(&raw mut time) }
}

/// Nanoseconds of the clock with which the kernel enforces deadlines.
fn nanoseconds(clock: ClockId) -> u64 {
    let time = clock_gettime(clock).expect("the boot-time clock is in every kernel since 2.6.39");
    u64::try_from(time.tv_sec()).unwrap_or(0) * 1_000_000_000 + u64::try_from(time.tv_nsec()).unwrap_or(0)
}

/// Whether something disciplines the wall clock, as the kernel was told (`STA_UNSYNC` is cleared).
fn is_synchronised() -> bool {
    // SAFETY: an all-zero `timex` is a valid value; with `modes` 0 the call changes nothing and only writes to it.
    let mut timex: libc::timex = unsafe { std::mem::zeroed() };
    // SAFETY: the pointer is to a live, exclusive `timex`.
    let state = unsafe { libc::adjtimex(&raw mut timex) };
    state >= 0 && timex.status & libc::STA_UNSYNC == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_ends_at_seven_in_the_evening_by_the_clocks_here() {
        for unix in [0, 1_793_491_200, 1_800_000_000, 1_774_746_000] {
            let end = end_of_day(unix);
            assert!(unix < end && end - unix <= 25 * 3_600, "{unix}: {end}");
            assert_eq!(end_of_day(end - 1), end);
            let next = end_of_day(end) - end;
            assert!((23 * 3_600..=25 * 3_600).contains(&next), "{unix}: {next}");
        }
        assert!(end_of_day(i64::MAX) > 0);
    }
}
