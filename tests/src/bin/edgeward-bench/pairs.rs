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
            ratio: at(&ratios, 0.5),
            added: at(&sorted(pairs.iter().map(|(first, second)| second - first)), 0.5),
            first: at(&sorted(pairs.iter().map(|pair| pair.0)), 0.5),
            quartiles: [at(&ratios, 0.25), at(&ratios, 0.75)],
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

/// The value below which this part of the others lies.
pub(crate) fn at(sorted: &[f64], part: f64) -> f64 {
    let last = sorted.len().saturating_sub(1) as f64;
    let (low, high) = ((last * part).floor(), (last * part).ceil());
    let value = |index: f64| sorted[index as usize];
    value(low) + (value(high) - value(low)) * (last * part - low)
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
        assert_eq!([at(&values, 0.0), at(&values, 0.5), at(&values, 1.0)], [1.0, 2.5, 4.0]);
    }
}
