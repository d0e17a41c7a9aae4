//! The time: what the graph, which knows no clock, is told.

use std::fs;

use anyhow::{Context, Result};
use graph::time::{BootId, Now};
use nix::time::{ClockId, clock_gettime};

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
