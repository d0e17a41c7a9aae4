//! Flows that follow from others: answers to what was asked of everyone on the link.

/// How long after a question to everyone its answers come, in nanoseconds.
pub const ANSWERS_NS: u64 = 5_000_000_000;

/// A datagram to everyone that may be answered to the port it came from.
///
/// Who answers has the habit of taking part in the group: the answer is judged as if it were sent to everyone at the
/// group's port, not as a flow to the port of who asked, which is another one each time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Discovery {
    /// Where everyone was asked.
    pub port: u16,
    /// When, in nanoseconds.
    pub at: u64,
}

impl Discovery {
    /// Whether an answer may still come.
    pub const fn is_answered_at(&self, now: u64) -> bool {
        now >= self.at && now - self.at <= ANSWERS_NS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_come_soon_and_never_before_the_question() {
        let asked = Discovery { port: 1900, at: 10_000_000_000 };
        for (now, expected) in [
            (9_999_999_999, false),
            (10_000_000_000, true),
            (15_000_000_000, true),
            (15_000_000_001, false),
            (u64::MAX, false),
        ] {
            assert_eq!(asked.is_answered_at(now), expected, "{now}");
        }
    }
}
