//! Percentiles of delays.

use std::time::Duration;

use serde::Serialize;

/// How many delays were measured and how long half and nearly all of them were at most, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Delays {
    pub n: usize,
    pub p50: Option<f64>,
    pub p99: Option<f64>,
}

impl Delays {
    pub fn of(mut delays: Vec<Duration>) -> Self {
        delays.sort_unstable();
        Self { n: delays.len(), p50: percentile(&delays, 50), p99: percentile(&delays, 99) }
    }
}

/// The smallest delay that at least so many of a hundred do not exceed (nearest rank).
fn percentile(sorted: &[Duration], hundredths: usize) -> Option<f64> {
    let rank = (sorted.len() * hundredths).div_ceil(100);
    let delay = sorted.get(rank.checked_sub(1)?)?;
    // Three digits: a microsecond is finer than what is claimed.
    Some((delay.as_secs_f64() * 1e6).round() / 1e3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_nearest_ranks() {
        let delays = Delays::of((1..=20).rev().map(Duration::from_millis).collect());
        assert_eq!(delays, Delays { n: 20, p50: Some(10.0), p99: Some(20.0) });
        assert_eq!(Delays::of(Vec::new()), Delays { n: 0, p50: None, p99: None });
        assert_eq!(Delays::of(vec![Duration::from_micros(1_500)]).p99, Some(1.5));
    }
}
