//! Whether the model has an edge: rules, uses, modes, and the one table of who wins.

use aya_ebpf::helpers::generated::bpf_ktime_get_boot_ns;
use aya_ebpf::macros::map;
use aya_ebpf::maps::{Array, HashMap};
use firewall_common::abi::{Edge, EdgeKey, Kind, Principal, PrincipalId, Rule, RuleId, capacity};
use firewall_common::precedence::{self, End, Mode, Outcome, RuleState};

use crate::atomic;
use crate::scratch::Scratch;

/// Written by the daemon.
#[map]
static EDGES: HashMap<EdgeKey, Edge> = HashMap::with_max_entries(capacity::EDGES, 0);

/// Written by the daemon.
#[map]
static RULES: HashMap<RuleId, Rule> = HashMap::with_max_entries(capacity::RULES, 0);

/// The daemon writes how many uses there are; the kernel takes them, one by one.
#[map]
static USES: HashMap<RuleId, u64> = HashMap::with_max_entries(capacity::USES, 0);

/// Written by the daemon.
#[map]
static PRINCIPALS: Array<Principal> = Array::with_max_entries(capacity::PRINCIPALS, 0);

const SECOND: u64 = 1_000_000_000;

/// Whether a judgement is the start of a use or belongs to one that was taken before.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Use {
    Take,
    Taken,
}

/// Boot-time nanoseconds.
#[inline(always)]
pub fn now() -> u64 {
    // SAFETY: the helper has no preconditions.
    unsafe { bpf_ktime_get_boot_ns() }
}

/// Finds out what time it is, where the frame at hand came so far without it.
#[inline(always)]
pub fn tell_time(scratch: &mut Scratch) {
    if scratch.now == 0 {
        scratch.now = now();
    }
}

/// The edge as the daemon wrote it.
#[inline(always)]
pub fn lookup(key: &EdgeKey) -> Option<Edge> {
    // SAFETY: the value is copied at once; the daemon replaces whole entries.
    unsafe { EDGES.get(key) }.copied()
}

/// Whether the model lets a device send frames like the one at hand to this principal.
#[inline(never)]
pub fn is_held(scratch: &Scratch, device: PrincipalId, dst: PrincipalId) -> bool {
    let (port, proto) = (scratch.frame.dst_port, scratch.frame.proto);
    let key = EdgeKey { src: device, dst, port, proto, kind: Kind::Transport as u8 };
    match lookup(&key) {
        Some(edge) => matches!(
            state(Some(edge.rule), Use::Taken, scratch.now),
            RuleState::Learned | RuleState::Allowed | RuleState::Denied | RuleState::Banned
        ),
        None => false,
    }
}

/// The rule of an object, as the daemon wrote it.
#[inline(always)]
pub fn rule(id: RuleId) -> Option<Rule> {
    if id.0 == 0 {
        return None;
    }
    // SAFETY: as above.
    unsafe { RULES.get(id) }.copied()
}

/// What the rule says now: absent once its time or its uses are over.
#[inline(always)]
pub fn state(rule: Option<Rule>, using: Use, now: u64) -> RuleState {
    let Some(rule) = rule else { return RuleState::Absent };
    if rule.deadline != 0 && now >= rule.deadline {
        return RuleState::Absent;
    }
    if rule.counted != 0 && using == Use::Take {
        let taken = match USES.get_ptr_mut(rule.id) {
            Some(uses) => atomic::take_one(uses),
            None => false,
        };
        if !taken {
            return RuleState::Absent;
        }
    }
    RuleState::from_code(rule.state)
}

/// Asks the table.
#[inline(always)]
pub fn decide(src: PrincipalId, dst: PrincipalId, state: RuleState) -> Outcome {
    precedence::decide(end(src), end(dst), state).outcome
}

/// Whether one of these is in quarantine.
#[inline(always)]
pub fn quarantined(src: PrincipalId, dst: PrincipalId) -> bool {
    end(src).mode == Mode::Quarantine || end(dst).mode == Mode::Quarantine
}

/// What the table is asked with: an end that is banned is so on all of its edges.
#[inline(always)]
pub fn unless_banned(src: PrincipalId, dst: PrincipalId, state: RuleState, now: u64) -> RuleState {
    if is_banned(src, now) || is_banned(dst, now) { RuleState::Banned } else { state }
}

#[inline(always)]
fn is_banned(principal: PrincipalId, now: u64) -> bool {
    match PRINCIPALS.get(principal.0) {
        Some(entry) => now < u64::from(entry.banned_until) * SECOND,
        None => false,
    }
}

/// Whether nothing of this principal is dropped at the moment.
#[inline(always)]
pub fn paused(principal: PrincipalId, now: u64) -> bool {
    principal != PrincipalId::UNKNOWN && matches!(PRINCIPALS.get(principal.0), Some(p) if now < p.pause_until)
}

/// An end that has no number is an outside host: a stranger inside never comes this far.
#[inline(always)]
fn end(principal: PrincipalId) -> End {
    if principal == PrincipalId::UNKNOWN {
        return End { mode: Mode::Outside, dangerous: false };
    }
    match PRINCIPALS.get(principal.0) {
        Some(entry) => End { mode: Mode::from_code(entry.mode), dangerous: entry.dangerous != 0 },
        None => End { mode: Mode::New, dangerous: true },
    }
}

/// Whether what this principal does becomes its model.
#[inline(always)]
pub fn learning(principal: PrincipalId) -> bool {
    matches!(end(principal).mode, Mode::Learning | Mode::Ready)
}

/// Whether only what is in its model passes from this principal.
#[inline(always)]
pub fn enforcing(principal: PrincipalId) -> bool {
    end(principal).mode == Mode::Enforcing
}

/// Whether this principal is a host beyond the uplink, with a number or without.
#[inline(always)]
pub fn is_outside(principal: PrincipalId) -> bool {
    end(principal).mode == Mode::Outside
}

/// Whether this principal may use essentials but not talk through them: everyone who neither learns nor is a guest, who
/// may reach the Internet anyway.
#[inline(always)]
pub fn is_bounded(principal: PrincipalId) -> bool {
    match end(principal).mode {
        Mode::New | Mode::Enforcing | Mode::Quarantine | Mode::Outside => true,
        Mode::Learning | Mode::Ready | Mode::Guest | Mode::System => false,
    }
}
