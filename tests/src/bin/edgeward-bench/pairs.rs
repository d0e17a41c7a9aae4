//! Paired comparison.

use anyhow::{Result, ensure};
use serde_json::{Value, json};

/// What one lane took beside the other, from seconds per operation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Pairs {
    /// Median of the pairs' ratios, of their differences, and of the first of each pair.
    pub(crate) ratio: f64,
    pub(crate) added: f64,
    pub(crate) first: f64,
    /// A quarter of the ratios lies below, a quarter above.
    quartiles: [f64; 2],
    pub(crate) count: usize,
}

/// Measures both by turns; who begins alternates.
pub(crate) fn interleave(
    count: usize,
    mut first: impl FnMut() -> Result<f64>,
    mut second: impl FnMut() -> Result<f64>,
) -> Result<Pairs> {
    // Caches and connections are warm afterwards.
    first()?;
    second()?;
    let mut pairs = Vec::with_capacity(count);
    for number in 0..count {
        let pair = if number % 2 == 0 {
            let first = first()?;
            (first, second()?)
        } else {
            let second = second()?;
            (first()?, second)
        };
        pairs.push(pair);
    }
    Pairs::of(&pairs)
}

impl Pairs {
    fn of(pairs: &[(f64, f64)]) -> Result<Self> {
        ensure!(pairs.iter().all(|pair| pair.0 > 0.0 && pair.1 > 0.0), "something took no time: {pairs:?}");
        ensure!(!pairs.is_empty(), "nothing was measured");
        let ratios = sorted(pairs.iter().map(|(first, second)| second / first));
        Ok(Self {
            ratio: median(&ratios),
            added: median(&sorted(pairs.iter().map(|(first, second)| second - first))),
            first: median(&sorted(pairs.iter().map(|pair| pair.0))),
            quartiles: [quartile(&ratios, 1), quartile(&ratios, 3)],
            count: pairs.len(),
        })
    }

    /// Times: how many times as long, and how much longer.
    pub(crate) fn ratio_json(&self) -> Value {
        json!({
            "ratio": thousandth(self.ratio),
            "quartiles": self.quartiles.map(thousandth),
            "added_us": thousandth(self.added * 1e6),
            "bare_us": thousandth(self.first * 1e6),
            "pairs": self.count,
        })
    }

    /// Rates: how many times as many.
    pub(crate) fn rate_json(&self) -> Value {
        json!({
            "ratio": thousandth(1.0 / self.ratio),
            "quartiles": [thousandth(1.0 / self.quartiles[1]), thousandth(1.0 / self.quartiles[0])],
            "added_us": thousandth(self.added * 1e6),
            "bare_per_s": (1.0 / self.first).round(),
            "pairs": self.count,
        })
    }
}

pub(crate) fn thousandth(value: f64) -> f64 {
    (value * 1e3).round() / 1e3
}

pub(crate) fn sorted(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values
}

/// The value below which so many quarters of the others lie.
pub(crate) fn quartile(sorted: &[f64], quarters: usize) -> f64 {
    let place = (sorted.len() - 1) * quarters;
    let (low, rest) = (place / 4, place % 4);
    match sorted.get(low + 1) {
        Some(high) => sorted[low] + (high - sorted[low]) * rest as f64 / 4.0,
        None => sorted[low],
    }
}

pub(crate) fn median(sorted: &[f64]) -> f64 {
    quartile(sorted, 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_compared_one_by_one() {
        // The machine became twice as slow in between; each pair says the same.
        let pairs = Pairs::of(&[(1.0, 1.1), (2.0, 2.2), (1.0, 1.1)]).unwrap();
        assert!((pairs.ratio - 1.1).abs() < 1e-9 && (pairs.added - 0.1).abs() < 1e-9);
        assert_eq!((pairs.first, pairs.count), (1.0, 3));
        assert_eq!(pairs.rate_json()["ratio"], 0.909);
        assert!(Pairs::of(&[]).is_err() && Pairs::of(&[(0.0, 1.0)]).is_err());
    }

    #[test]
    fn both_are_measured_as_often_and_by_turns() {
        let order = std::cell::RefCell::new(String::new());
        let note = |name| {
            order.borrow_mut().push(name);
            Ok(1.0)
        };
        interleave(3, || note('a'), || note('b')).unwrap();
        assert_eq!(*order.borrow(), "ababbaab");
    }

    #[test]
    fn quantiles_lie_between_neighbours() {
        let values = sorted([4.0, 1.0, 3.0, 2.0].into_iter());
        let near = |value: f64, expected: f64| (value - expected).abs() < 1e-9;
        for (quarters, expected) in [(0, 1.0), (1, 1.75), (2, 2.5), (4, 4.0)] {
            assert!(near(quartile(&values, quarters), expected), "{quarters}");
        }
        assert!(near(median(&[7.0]), 7.0));
    }
}
