//! What is usual of an edge: how much it carries, and when. Measured while its source learns, and compared afterwards.
//!
//! | property | when |
//! |---|---|
//! | `rate.exceeded` | more than the kernel lets pass: [`FACTOR`] times the bytes a second of the busiest window, at least [`RATE_FLOOR`] |
//! | `size.exceeded` | more within an hour than [`FACTOR`] times the busiest hour, at least [`SIZE_FLOOR`] |
//! | `time.unusual` | something in an hour of the day in which there was nothing, nor in those beside it, on at least [`DAYS`] days; only where that is a habit: at most [`HOURS`] hours a day, and no job that comes round by itself |
//!
//! Hours are those of UTC: they mean the same before and after a change of the clocks, but for the one beside.

use serde::{Deserialize, Serialize};

use firewall_common::abi::Moved;

use crate::edge::Property;
use crate::time::{Now, Stamp};

/// How much more than was learned is still usual.
pub const FACTOR: u64 = 4;
/// Bytes a second that every edge may carry.
pub const RATE_FLOOR: u64 = 10_000;
/// Milliseconds' worth of its rate that an edge may carry at once: any frame has room.
pub const BURST_MS: u16 = 10_000;
/// Bytes that every edge may carry in an hour without being asked about.
pub const SIZE_FLOOR: u64 = 1_000_000;
/// Windows in which something was measured, before what was measured is called usual.
pub const WINDOWS: u32 = 6;
/// Days and hours that make a habit.
pub const DAYS: u16 = 5;
pub const HOURS: u32 = 12;

/// Seconds without anything before what comes is the start of a job.
const SILENCE: i64 = 60;
/// Gaps between starts that are remembered, and how many of them make a period.
const GAPS: usize = 8;
const GAPS_NEEDED: usize = 4;

const DAY: i64 = 86_400;
const HOUR: i64 = 3_600;

/// What an edge has carried in a window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Metered {
    /// From its source, to its source.
    pub moved: [Moved; 2],
    /// Frames that were over its limit.
    pub over: u32,
    /// Connections that both ends have spoken on.
    pub opened: u32,
    /// Inspected connections that its source has open now, whereto ever.
    pub open: u64,
}

impl Metered {
    /// Both ways.
    pub const fn bytes(&self) -> u64 {
        self.moved[0].bytes.saturating_add(self.moved[1].bytes)
    }
}

/// What is usual of an edge.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usual {
    /// When measuring began.
    pub since: Stamp,
    /// Windows in which there was something.
    pub windows: u32,
    /// Bytes a second of the busiest one.
    pub rate: u64,
    /// Bytes of the busiest hour.
    pub hourly: u64,
    /// Hours of the day in which there was something, one bit each.
    pub hours: u32,
    /// Days on which there was something.
    pub days: u16,
    /// The last of them, counted from 1970.
    day: i64,
    /// Seconds between the starts of what followed a silence, the latest last.
    gaps: Vec<u32>,
}

/// What goes on on an edge at the moment; not stored.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Running {
    /// The hour that is running, counted from 1970, and its bytes.
    hour: i64,
    pub(crate) bytes: u64,
    /// Seconds since 1970 at which there was something last, and at which it began after a silence.
    last: i64,
    started: i64,
    /// Boot-time nanoseconds at which what is usual was saved.
    pub(crate) saved: u64,
}

impl Running {
    /// Adds a window; the seconds since the start before, if this is a start.
    pub(crate) fn add(&mut self, bytes: u64, now: Now) -> Option<u32> {
        let hour = now.unix.div_euclid(HOUR);
        if self.hour != hour {
            (self.hour, self.bytes) = (hour, 0);
        }
        self.bytes = self.bytes.saturating_add(bytes);
        let silent = now.unix.saturating_sub(self.last) >= SILENCE;
        self.last = now.unix;
        if !silent {
            return None;
        }
        let before = std::mem::replace(&mut self.started, now.unix);
        u32::try_from(now.unix - before).ok().filter(|_| before != 0)
    }
}

impl Usual {
    /// Nothing is known.
    pub(crate) const fn begin(now: Now) -> Self {
        let (windows, rate, hourly, hours, days, day) = (0, 0, 0, 0, 0, 0);
        Self { since: now, windows, rate, hourly, hours, days, day, gaps: Vec::new() }
    }

    /// A window becomes usual: so many bytes a second, and in the running hour.
    pub(crate) fn learn(&mut self, rate: u64, running: &Running, gap: Option<u32>, now: Now) {
        self.windows = self.windows.saturating_add(1);
        self.rate = self.rate.max(rate);
        self.hourly = self.hourly.max(running.bytes);
        if let Some(gap) = gap {
            self.gaps.push(gap);
            let over = self.gaps.len().saturating_sub(GAPS);
            self.gaps.drain(..over);
        }
        if !now.synchronised {
            return;
        }
        self.hours |= hour_bit(now.unix);
        let day = now.unix.div_euclid(DAY);
        if day != self.day {
            self.day = day;
            self.days = self.days.saturating_add(1);
        }
    }

    /// Whether enough was measured, for at least so many seconds.
    pub fn is_known(&self, seconds: u64, now: Now) -> bool {
        self.windows >= WINDOWS && now.seconds_since(&self.since) >= seconds
    }

    /// Bytes a second that may pass.
    pub fn limit(&self) -> u64 {
        self.rate.saturating_mul(FACTOR).max(RATE_FLOOR)
    }

    /// Bytes an hour beyond which it is asked about.
    pub fn most(&self) -> u64 {
        self.hourly.saturating_mul(FACTOR).max(SIZE_FLOOR)
    }

    /// Seconds between the starts of a job that comes round by itself: if the latest gaps are alike.
    pub fn period(&self) -> Option<u32> {
        let mut gaps = self.gaps.clone();
        gaps.sort_unstable();
        let median = *gaps.get(gaps.len() / 2)?;
        let alike = gaps.iter().filter(|gap| gap.abs_diff(median) <= median / 5).count();
        (alike >= GAPS_NEEDED && alike * 4 >= gaps.len() * 3).then_some(median)
    }

    /// What is unusual now, with the measure of what is usual and of what was seen.
    pub(crate) fn unusual(&self, running: &Running, now: Now) -> Option<(Property, u64, u64)> {
        if running.bytes > self.most() {
            return Some((Property::SizeExceeded, self.hourly, running.bytes));
        }
        self.is_at_odd_hour(now).then(|| {
            let hour = now.unix.rem_euclid(DAY) / HOUR;
            (Property::TimeUnusual, u64::from(self.hours), hour.unsigned_abs())
        })
    }

    fn is_at_odd_hour(&self, now: Now) -> bool {
        let near = [-HOUR, 0, HOUR].map(|beside| hour_bit(now.unix.saturating_add(beside)));
        let is_habit = self.days >= DAYS && self.hours.count_ones() <= HOURS && self.period().is_none();
        now.synchronised && is_habit && near.iter().all(|bit| self.hours & bit == 0)
    }

    /// A person has called this usual.
    pub(crate) fn widen(&mut self, flag: &Flag) {
        match flag.property {
            Property::RateExceeded => self.rate = self.limit(),
            Property::SizeExceeded => self.hourly = self.hourly.max(flag.seen),
            Property::TimeUnusual => self.hours |= 1 << flag.seen.min(23),
            _ => {}
        }
    }
}

/// What was unusual on an edge that passes, until someone has said what he thinks of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flag {
    pub property: Property,
    /// Seconds since 1970 at which it was noticed, and was so last.
    pub since: i64,
    pub last: i64,
    /// Windows, or for `rate.exceeded` frames.
    pub times: u64,
    /// Bytes a second, bytes in an hour, or hours of the day as bits.
    pub usual: u64,
    /// Bytes a second that were let pass, bytes in an hour, or an hour of the day.
    pub seen: u64,
}

impl Flag {
    /// What is usual, for people.
    pub fn usual_words(&self) -> String {
        match self.property {
            Property::RateExceeded => format!("at most {} a second", size(self.usual)),
            Property::SizeExceeded => format!("at most {} in an hour", size(self.usual)),
            Property::TimeUnusual => format!("between {} UTC", hours(self.usual)),
            _ => String::new(),
        }
    }

    /// What was seen, for people.
    pub fn seen_words(&self) -> String {
        match self.property {
            Property::RateExceeded => {
                format!("more than {} a second; {} frames were dropped", size(self.seen), self.times)
            }
            Property::SizeExceeded => format!("{} in an hour", size(self.seen)),
            Property::TimeUnusual => format!("at {}:00 UTC", self.seen),
            _ => String::new(),
        }
    }
}

/// What becomes of an edge on which something is unusual.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Response {
    /// It is asked about, and flows on within its limit.
    #[default]
    Ask,
    /// Nothing passes until someone has answered.
    Block,
}

impl Response {
    /// Every response.
    pub const ALL: &[Self] = &[Self::Ask, Self::Block];

    /// The name in every output.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ask => "ask",
            Self::Block => "block",
        }
    }

    /// The response with this name, if there is one.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|response| response.as_str() == name)
    }

    #[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
    pub(crate) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

fn hour_bit(unix: i64) -> u32 {
    1 << (unix.rem_euclid(DAY) / HOUR)
}

/// `1.5 MB`.
fn size(bytes: u64) -> String {
    let (unit, name) = match bytes {
        0..1_000 => return format!("{bytes} bytes"),
        1_000..1_000_000 => (1_000, "kB"),
        1_000_000..1_000_000_000 => (1_000_000, "MB"),
        _ => (1_000_000_000, "GB"),
    };
    format!("{}.{} {name}", bytes / unit, bytes % unit * 10 / unit)
}

/// `6:00 and 9:00, 17:00 and 18:00`: the runs of hours of the day.
fn hours(bits: u64) -> String {
    let is_in = |hour: u32| bits & 1 << (hour % 24) != 0;
    let mut runs = Vec::new();
    for from in (0..24).filter(|hour| is_in(*hour) && !is_in(hour + 23)) {
        let length = (0..24).take_while(|more| is_in(from + more)).count() as u32;
        runs.push(format!("{from}:00 and {}:00", (from + length) % 24));
    }
    if runs.is_empty() { "0:00 and 24:00".to_owned() } else { runs.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::BootId;

    fn at(day: i64, hour: i64, minute: i64) -> Now {
        let seconds = day * DAY + hour * HOUR + minute * 60;
        let boot_ns = seconds.unsigned_abs() * 1_000_000_000;
        Now { boot: BootId([1; 16]), boot_ns, unix: 1_699_920_000 + seconds, synchronised: true }
    }

    /// An edge that carries so many bytes at these hours of each of ten days.
    fn habit(hours: &[i64], bytes: u64) -> (Usual, Running) {
        let (mut usual, mut running) = (Usual::begin(at(0, 0, 0)), Running::default());
        for day in 0..10 {
            for hour in hours {
                let gap = running.add(bytes, at(day, *hour, 0));
                usual.learn(bytes / 10, &running, gap, at(day, *hour, 0));
            }
        }
        (usual, running)
    }

    fn found(usual: &Usual, running: &mut Running, bytes: u64, now: Now) -> Option<Property> {
        running.add(bytes, now);
        usual.unusual(running, now).map(|(property, ..)| property)
    }

    #[test]
    fn an_hour_without_anything_is_unusual_and_the_one_beside_is_not() {
        let (usual, mut running) = habit(&[6, 7, 18], 5_000);
        for hour in [5, 6, 8, 17, 19] {
            assert_eq!(found(&usual, &mut running, 5_000, at(10, hour, 30)), None, "{hour}");
        }
        for hour in [3, 12, 22] {
            assert_eq!(found(&usual, &mut running, 5_000, at(11, hour, 0)), Some(Property::TimeUnusual));
        }
        let unknown = Now { synchronised: false, ..at(12, 3, 0) };
        assert_eq!(found(&usual, &mut running, 5_000, unknown), None, "nobody knows the hour");
        let (all_day, mut running) = habit(&(0..24).collect::<Vec<_>>(), 5_000);
        assert_eq!(found(&all_day, &mut running, 5_000, at(11, 3, 0)), None);
    }

    #[test]
    fn a_job_that_comes_round_has_a_period_and_no_odd_hour() {
        let (usual, mut running) = habit(&[2, 14], 5_000);
        assert_eq!(usual.period(), Some(12 * 3_600));
        assert_eq!(found(&usual, &mut running, 5_000, at(11, 8, 0)), None);
        assert_eq!(habit(&[6, 7, 18], 5_000).0.period(), None);
    }

    #[test]
    fn much_more_in_an_hour_is_unusual() {
        let (usual, mut running) = habit(&[6], 2_000_000);
        assert_eq!(found(&usual, &mut running, 8_000_000, at(10, 6, 0)), None);
        assert_eq!(found(&usual, &mut running, 1, at(10, 6, 1)), Some(Property::SizeExceeded));
        assert_eq!(found(&usual, &mut running, 1, at(11, 6, 0)), None, "another hour");
        let (quiet, mut running) = habit(&[6], 10);
        assert_eq!(found(&quiet, &mut running, SIZE_FLOOR, at(10, 6, 0)), None);
    }

    #[test]
    fn what_a_person_calls_usual_is_not_asked_about_again() {
        let (mut usual, mut running) = habit(&[6], 2_000_000);
        let now = at(10, 6, 0);
        running.add(50_000_000, now);
        let (property, measure, seen) = usual.unusual(&running, now).unwrap();
        let flag = Flag { property, since: 0, last: 0, times: 1, usual: measure, seen };
        assert_eq!(
            (flag.usual_words(), flag.seen_words()),
            ("at most 2.0 MB in an hour".into(), "50.0 MB in an hour".into())
        );
        usual.widen(&flag);
        assert_eq!(usual.unusual(&running, now), None);
        let before = usual.limit();
        usual.widen(&Flag { property: Property::RateExceeded, ..flag });
        assert_eq!(usual.limit(), before * FACTOR);
    }

    #[test]
    fn hours_are_told_in_runs() {
        assert_eq!(hours(0b11 << 6 | 1 << 18), "6:00 and 8:00, 18:00 and 19:00");
        assert_eq!(hours(1 << 23 | 1), "23:00 and 1:00");
    }
}
