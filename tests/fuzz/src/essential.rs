//! Budgets of essentials: a sender never gets more than its rate and its burst, and after a silence never less.

use firewall_common::wire::essential::{self, Essential};

use crate::input::Input;

const SECOND: u64 = 1_000_000_000;

pub(crate) fn check(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let kind = Essential::ALL[usize::from(input.byte()) % Essential::ALL.len()];
    let mut tokens = kind.burst();
    let mut passed = 0_u128;
    let mut time = 0_u128;
    while !input.is_empty() {
        // From a nanosecond to 584 years.
        let elapsed = u64::from(input.short()) << (input.byte() % 49);
        let asked = u64::from(input.short());
        time += u128::from(elapsed);
        if let Some(left) = spend(kind, tokens, elapsed, asked) {
            tokens = left;
            passed += u128::from(asked);
        } else {
            assert!(elapsed < 8 * SECOND || asked > kind.burst(), "{kind:?} after {elapsed} ns");
            // The refused one takes nothing, and its time counts.
            tokens = spend(kind, tokens, elapsed, 0).expect("nothing can always be spent");
        }
        assert!(tokens <= kind.burst());
        let allowed = u128::from(kind.burst()) + time * u128::from(kind.rate()) / u128::from(SECOND);
        assert!(passed <= allowed, "{kind:?} passed {passed} of {allowed}");
    }
}

fn spend(kind: Essential, tokens: u64, elapsed: u64, bytes: u64) -> Option<u64> {
    // Nanoseconds in 32 bits last for four seconds.
    let narrow = cfg!(feature = "planted") && kind == Essential::Ntp;
    let elapsed = if narrow { elapsed & u64::from(u32::MAX) } else { elapsed };
    essential::spend(kind, tokens, elapsed, bytes)
}
