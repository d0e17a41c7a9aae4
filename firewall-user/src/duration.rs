//! Durations as people write them: `5d`, `48h`, `15m`, `5s`, `1d12h`.

use std::{fmt, str::FromStr, time::Duration};

/// A length of time in whole seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(u64);

/// Not a length of time.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("write a duration like \"5d\", \"48h\", \"15m\", \"5s\" or \"1d12h\"")]
pub struct BadSpan;

const UNITS: [(char, u64); 4] = [('d', 86_400), ('h', 3_600), ('m', 60), ('s', 1)];

impl Span {
    pub const fn from_secs(seconds: u64) -> Self {
        Self(seconds)
    }

    pub const fn as_secs(self) -> u64 {
        self.0
    }
}

impl From<Span> for Duration {
    fn from(span: Span) -> Self {
        Self::from_secs(span.0)
    }
}

impl FromStr for Span {
    type Err = BadSpan;

    fn from_str(text: &str) -> Result<Self, BadSpan> {
        let mut rest = text;
        let mut total: u64 = 0;
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or(BadSpan)?;
            let (number, tail) = rest.split_at(digits);
            let unit = tail.chars().next().ok_or(BadSpan)?;
            let &(_, seconds) = UNITS.iter().find(|(name, _)| *name == unit).ok_or(BadSpan)?;
            let number: u64 = number.parse().map_err(|_| BadSpan)?;
            total = number.checked_mul(seconds).and_then(|part| total.checked_add(part)).ok_or(BadSpan)?;
            rest = &tail[unit.len_utf8()..];
        }
        if text.is_empty() { Err(BadSpan) } else { Ok(Self(total)) }
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 {
            return f.write_str("0s");
        }
        let mut rest = self.0;
        for (unit, seconds) in UNITS {
            if rest >= seconds {
                write!(f, "{}{unit}", rest / seconds)?;
                rest %= seconds;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_printed_is_read_back(seconds in 0..u64::from(u32::MAX)) {
            prop_assert_eq!(Span(seconds).to_string().parse(), Ok(Span(seconds)));
        }

        #[test]
        fn any_text_is_read_or_refused(text: String) {
            let _read: Result<Span, BadSpan> = text.parse();
        }
    }

    #[test]
    fn units_add_up() {
        assert_eq!("1d12h".parse(), Ok(Span(129_600)));
        assert_eq!("15m".parse(), Ok(Span(900)));
        for bad in ["", "5", "d", "5 d", "5dayz", "-5s", "99999999999999999999d", "5s5"] {
            assert_eq!(bad.parse::<Span>(), Err(BadSpan), "{bad:?}");
        }
    }
}
