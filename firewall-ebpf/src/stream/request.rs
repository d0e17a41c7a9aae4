//! Requests of HTTP, CoAP and Modbus: by the rule that their levels lead to.

use firewall_common::abi::{Kind, RuleId};
use firewall_common::precedence::RuleState;
use firewall_common::reason::Reason;
use firewall_common::wire::modbus::Modbus;
use firewall_common::wire::object::REQUEST_LEVELS;

use super::judge;
use crate::edge::{self, Use};
use crate::scratch::Scratch;

/// Hexadecimal digits of an address.
const DIGITS: u32 = 4;

/// Judges the request whose levels and object are at hand.
#[inline(never)]
pub fn judge(scratch: &mut Scratch, kind: Kind) -> Result<(), Reason> {
    let state = walk(scratch, kind);
    decide(scratch, kind, judge::accept(state))
}

/// Judges a request about a row of addresses: one rule must be about the first and the last, and so about all between.
/// Otherwise it is asked about, also while its source learns.
#[inline(never)]
pub fn row(scratch: &mut Scratch, kind: Kind, first: u16, last: u16) -> Result<(), Reason> {
    let prefix = walk(scratch, kind);
    let (first, last) = (address(scratch, prefix, first), address(scratch, prefix, last));
    let rule = judge::accept(first);
    if first == last || is_denied(scratch, rule) {
        return decide(scratch, kind, rule);
    }
    let rule = judge::accept(last);
    let rule = if is_denied(scratch, rule) { rule } else { RuleId::GUARD };
    decide(scratch, kind, rule)
}

#[inline(always)]
fn decide(scratch: &mut Scratch, kind: Kind, rule: RuleId) -> Result<(), Reason> {
    let hash = scratch.said.object.hash();
    judge::operation::<{ judge::HASHED }>(scratch, kind, hash, rule)
}

/// The state behind the levels at hand. Its stack is not that of what follows.
#[inline(never)]
fn walk(scratch: &mut Scratch, kind: Kind) -> u32 {
    let mut state = judge::start(scratch, kind);
    let mut at = 0;
    while at < REQUEST_LEVELS {
        if at as u32 >= scratch.levels.count() {
            break;
        }
        let level = scratch.levels.get(at);
        state = judge::next_state(scratch, state, level, false);
        at += 1;
    }
    state
}

/// The state behind the digits of an address.
#[inline(never)]
fn address(scratch: &mut Scratch, prefix: u32, address: u16) -> u32 {
    let mut state = prefix;
    let mut at = 0;
    while at < DIGITS {
        let level = Modbus::address_level(address, at, &scratch.config.key.0);
        state = judge::next_state(scratch, state, level, false);
        at += 1;
    }
    state
}

/// Whether a rule stands against a request that is only partly about it.
#[inline(always)]
fn is_denied(scratch: &mut Scratch, rule: RuleId) -> bool {
    let rule = judge::rule_at(scratch, rule);
    let state = edge::state(rule, Use::Taken, scratch.now);
    matches!(state, RuleState::Denied | RuleState::Banned)
}
