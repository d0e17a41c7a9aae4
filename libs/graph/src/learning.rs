//! When a principal has learned enough, and how what it does becomes its model.

use serde::{Deserialize, Serialize};

use crate::settings::Settings;
use crate::time::{Deadline, Left, Now, Stamp};

/// How far the learning of a principal has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Learning {
    pub since: Stamp,
    /// When it last learned an edge; the beginning, if never.
    pub last_new: Stamp,
    /// A person said how long.
    pub ends: Option<Deadline>,
    /// In mode ready: when it enforces.
    pub enforces: Option<Deadline>,
    /// A cap stopped it (`scan` alarm).
    pub capped: bool,
}

/// What time says about the learning of a principal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Not enough seen; look again after so many seconds.
    More { seconds: u64 },
    /// Enough by evidence.
    Enough,
    /// A person said how long, and that has passed.
    Ended,
}

impl Learning {
    pub(crate) const fn begin(now: Now, ends: Option<Deadline>) -> Self {
        Self { since: now, last_new: now, ends, enforces: None, capped: false }
    }

    /// How it stands.
    pub fn progress(&self, settings: &Settings, now: Now) -> Progress {
        if let Some(ends) = self.ends {
            return match ends.left(now) {
                Left::At(at) => Progress::More { seconds: (at - now.boot_ns).div_ceil(1_000_000_000) },
                Left::Over => Progress::Ended,
                Left::Unknown => Progress::More { seconds: 60 },
            };
        }
        match self.at_least_seconds(settings, now) {
            0 => Progress::Enough,
            seconds => Progress::More { seconds },
        }
    }

    /// Earliest end, in seconds from now.
    pub fn at_least_seconds(&self, settings: &Settings, now: Now) -> u64 {
        let elapsed = now.seconds_since(&self.since);
        let quiet = now.seconds_since(&self.last_new);
        let by_evidence =
            settings.learn_min.saturating_sub(elapsed).max(settings.learn_quiet.saturating_sub(quiet));
        by_evidence.min(settings.learn_max.saturating_sub(elapsed))
    }

    /// 0 to 100, by the slower of the two conditions.
    pub fn percent(&self, settings: &Settings, now: Now) -> u8 {
        let share = |done: u64, of: u64| (done.min(of) * 100).checked_div(of).unwrap_or(100) as u8;
        if let Some(ends) = self.ends {
            return share(now.seconds_since(&ends.from), ends.seconds);
        }
        let elapsed = now.seconds_since(&self.since);
        let evidence = share(elapsed, settings.learn_min)
            .min(share(now.seconds_since(&self.last_new), settings.learn_quiet));
        if elapsed >= settings.learn_max { 100 } else { evidence }
    }
}
