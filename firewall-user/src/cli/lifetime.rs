//! How long a decision holds, as options.

use clap::Args;
use dashboard::rpc::Lifetime;

use crate::duration::Span;

/// At most one of them; without one a decision holds always.
#[derive(Debug, Args)]
#[group(multiple = false)]
pub(super) struct LifetimeArgs {
    /// One connection, or one message, within 10 minutes
    #[arg(long)]
    once: bool,
    /// So many uses
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    uses: Option<u32>,
    /// So long: 1m to 12h
    #[arg(long = "for", value_name = "TIME", value_parser = duration)]
    duration: Option<u32>,
    /// Until a date: 2031-05-17, 2031-05-17T18:00 (UTC) or seconds since 1970
    #[arg(long, value_name = "DATE", value_parser = date)]
    until: Option<i64>,
    /// Until the box restarts
    #[arg(long)]
    until_restart: bool,
    /// Until someone decides otherwise [default]
    #[arg(long)]
    always: bool,
}

impl LifetimeArgs {
    pub(super) fn lifetime(&self) -> Lifetime {
        if self.once {
            return Lifetime::Once;
        }
        if self.until_restart {
            return Lifetime::UntilRestart;
        }
        let uses = self.uses.map(Lifetime::Uses);
        uses.or(self.duration.map(Lifetime::For))
            .or(self.until.map(Lifetime::Until))
            .unwrap_or(Lifetime::Always)
    }
}

fn duration(text: &str) -> Result<u32, String> {
    let span: Span = text.parse().map_err(|error: crate::duration::BadSpan| error.to_string())?;
    u32::try_from(span.as_secs())
        .ok()
        .filter(|seconds| (60..=43_200).contains(seconds))
        .ok_or_else(|| "choose from 1m to 12h".to_owned())
}

/// Seconds since 1970 of a date.
fn date(text: &str) -> Result<i64, String> {
    if let Ok(seconds) = text.parse::<i64>() {
        return Ok(seconds);
    }
    parse_date(text).ok_or_else(|| "write a date like 2031-05-17 or 2031-05-17T18:00".to_owned())
}

fn parse_date(text: &str) -> Option<i64> {
    let (day, time) = text.split_once(['T', ' ']).unwrap_or((text, "00:00"));
    let numbers = |text: &str, separator: char| -> Option<Vec<u32>> {
        text.split(separator).map(|part| part.parse().ok()).collect()
    };
    let &[year, month, day] = numbers(day, '-')?.as_slice() else { return None };
    let time = numbers(time.trim_end_matches('Z'), ':')?;
    let (&hour, &minute) = (time.first()?, time.get(1)?);
    let second = time.get(2).copied().unwrap_or(0);
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let february = if leap { 29 } else { 28 };
    let lengths = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let length = *lengths.get(month.checked_sub(1)? as usize)?;
    if !(1970..10_000).contains(&year)
        || !(1..=length).contains(&day)
        || hour > 23
        || minute > 59
        || second > 59
        || time.len() > 3
    {
        return None;
    }
    let years = i64::from(year - 1970);
    let leaps = i64::from((year - 1) / 4 - (year - 1) / 100 + (year - 1) / 400) - 477;
    let days: u32 = lengths[..month as usize - 1].iter().sum::<u32>() + day - 1;
    Some((years * 365 + leaps + i64::from(days)) * 86_400 + i64::from(hour * 3_600 + minute * 60 + second))
}

/// A moment as people read it, in UTC.
pub(super) fn show_date(unix: i64) -> String {
    let days = unix.div_euclid(86_400);
    let seconds = unix.rem_euclid(86_400);
    // Days from 0000-03-01, in eras of 400 years (Hinnant, "chrono-compatible low-level date algorithms").
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!(
        "{year:04}-{month:02}-{day:02} {:02}:{:02}:{:02}",
        seconds / 3_600,
        seconds / 60 % 60,
        seconds % 60
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_shown_is_read_back(unix in 0..253_402_300_799_i64) {
            prop_assert_eq!(parse_date(&show_date(unix)), Some(unix));
        }
    }

    #[test]
    fn known_moments() {
        assert_eq!(date("2000-02-29T12:34:56Z"), Ok(951_827_696));
        assert_eq!(date("1970-01-01"), Ok(0));
        assert_eq!(date("1700000000"), Ok(1_700_000_000));
        assert_eq!(show_date(1_700_000_000), "2023-11-14 22:13:20");
        for bad in ["2001-02-29", "2001-13-01", "2001-00-10", "tomorrow", "2001-01-01T24:00", "2001-01"] {
            assert!(date(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn durations_have_bounds() {
        assert_eq!(duration("12h"), Ok(43_200));
        assert!(duration("59s").is_err() && duration("13h").is_err());
    }
}
