//! Who wins: the one table that kernel, `explain` and tests read (DESIGN section 2).
//!
//! Rows are tried in order and the first that matches decides. A row says which modes of the two ends and which state
//! of the rule it is for; the last row catches everything, so there is no case without a decision.

use crate::reason::Reason;

/// The mode of a principal, as the kernel holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Mode {
    /// Seen after the first-run window: essentials only until someone says whose it is.
    New = 0,
    /// What it does becomes its model.
    Learning = 1,
    /// Learned enough; enforces at a stated time unless someone objects.
    Ready = 2,
    /// Only what is in the model passes.
    Enforcing = 3,
    /// Internet only.
    Guest = 4,
    /// Nothing passes.
    Quarantine = 5,
    /// A host beyond the uplink: not ours to learn.
    Outside = 6,
    /// The box itself, or everyone on the link (broadcast and multicast).
    System = 7,
}

impl Mode {
    /// Every mode.
    pub const ALL: &[Self] = &[
        Self::New,
        Self::Learning,
        Self::Ready,
        Self::Enforcing,
        Self::Guest,
        Self::Quarantine,
        Self::Outside,
        Self::System,
    ];

    /// The name that log, API and command line print.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Learning => "learning",
            Self::Ready => "ready",
            Self::Enforcing => "enforcing",
            Self::Guest => "guest",
            Self::Quarantine => "quarantine",
            Self::Outside => "outside",
            Self::System => "system",
        }
    }

    /// The mode with this number; an unknown number is the strictest mode that still asks.
    pub const fn from_code(code: u8) -> Self {
        match code {
            1 => Self::Learning,
            2 => Self::Ready,
            3 => Self::Enforcing,
            4 => Self::Guest,
            5 => Self::Quarantine,
            6 => Self::Outside,
            7 => Self::System,
            _ => Self::New,
        }
    }
}

/// What the model holds for an edge at this moment; an expired or used-up rule is [`RuleState::Absent`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum RuleState {
    /// Nothing: the edge is not in the model.
    Absent = 0,
    /// Seen while learning.
    Learned = 1,
    /// Allowed by a person.
    Allowed = 2,
    /// Denied by a person.
    Denied = 3,
    /// Leads to a dangerous class: asked about also while learning.
    Guarded = 4,
    /// An end is banned.
    Banned = 5,
}

impl RuleState {
    /// Every state.
    pub const ALL: &[Self] =
        &[Self::Absent, Self::Learned, Self::Allowed, Self::Denied, Self::Guarded, Self::Banned];

    /// The state with this number; an unknown number denies.
    pub const fn from_code(code: u8) -> Self {
        match code {
            0 => Self::Absent,
            1 => Self::Learned,
            2 => Self::Allowed,
            4 => Self::Guarded,
            5 => Self::Banned,
            _ => Self::Denied,
        }
    }
}

/// One end of an edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    /// Its mode now.
    pub mode: Mode,
    /// Whether its class is dangerous (locks, alarms, cameras, gas) or unknown as the target of a `set`.
    pub dangerous: bool,
}

/// What the table says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It passes.
    Pass,
    /// It passes and becomes part of the source's model.
    Learn,
    /// It does not pass.
    Stop(Reason),
}

/// Which modes a row is for; one bit each.
#[derive(Clone, Copy, Debug)]
pub struct Modes(u16);

impl Modes {
    const ANY: Self = Self(u16::MAX);

    const fn of(modes: &[Mode]) -> Self {
        let mut bits = 0;
        let mut i = 0;
        while i < modes.len() {
            bits |= 1 << modes[i] as u16;
            i += 1;
        }
        Self(bits)
    }

    const fn has(self, mode: Mode) -> bool {
        self.0 & (1 << mode as u16) != 0
    }
}

/// Which rule states a row is for; one bit each.
#[derive(Clone, Copy, Debug)]
pub struct Rules(u8);

impl Rules {
    const ANY: Self = Self(u8::MAX);

    const fn of(state: RuleState) -> Self {
        Self(1 << state as u8)
    }

    const fn has(self, state: RuleState) -> bool {
        self.0 & (1 << state as u8) != 0
    }
}

/// One row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// What the row says in words; `explain` prints it.
    pub why: &'static str,
    src: Modes,
    dst: Modes,
    rule: Rules,
    /// The row is only for a destination that is not dangerous.
    harmless_only: bool,
    /// What it decides.
    pub outcome: Outcome,
}

const fn row(why: &'static str, src: Modes, dst: Modes, rule: Rules, outcome: Outcome) -> Row {
    Row { why, src, dst, rule, harmless_only: false, outcome }
}

const LEARNS: Modes = Modes::of(&[Mode::Learning, Mode::Ready]);
const QUARANTINE: Modes = Modes::of(&[Mode::Quarantine]);

/// The table. First match decides.
pub const TABLE: [Row; 12] = [
    row("the source is in quarantine", QUARANTINE, Modes::ANY, Rules::ANY, Outcome::Stop(Reason::Quarantine)),
    row(
        "the destination is in quarantine",
        Modes::ANY,
        QUARANTINE,
        Rules::ANY,
        Outcome::Stop(Reason::Quarantine),
    ),
    row(
        "one end is banned",
        Modes::ANY,
        Modes::ANY,
        Rules::of(RuleState::Banned),
        Outcome::Stop(Reason::Banned),
    ),
    row(
        "someone denied it",
        Modes::ANY,
        Modes::ANY,
        Rules::of(RuleState::Denied),
        Outcome::Stop(Reason::EdgeDenied),
    ),
    row("someone allowed it", Modes::ANY, Modes::ANY, Rules::of(RuleState::Allowed), Outcome::Pass),
    row(
        "the source is not accepted at this site yet",
        Modes::of(&[Mode::New]),
        Modes::ANY,
        Rules::ANY,
        Outcome::Stop(Reason::PrincipalNew),
    ),
    row(
        "a guest may use the Internet",
        Modes::of(&[Mode::Guest]),
        Modes::of(&[Mode::Outside]),
        Rules::ANY,
        Outcome::Pass,
    ),
    row(
        "a guest may use the Internet only",
        Modes::of(&[Mode::Guest]),
        Modes::ANY,
        Rules::ANY,
        Outcome::Stop(Reason::GuestInside),
    ),
    row("it was learned", Modes::ANY, Modes::ANY, Rules::of(RuleState::Learned), Outcome::Pass),
    Row {
        why: "the source is learning and the destination is outside, the box, everyone, or learning too",
        src: LEARNS,
        dst: Modes::of(&[Mode::Outside, Mode::System, Mode::Learning, Mode::Ready]),
        rule: Rules::of(RuleState::Absent),
        harmless_only: true,
        outcome: Outcome::Learn,
    },
    Row {
        why: "the box talks to a device that is learning",
        src: Modes::of(&[Mode::System]),
        dst: LEARNS,
        rule: Rules::of(RuleState::Absent),
        harmless_only: true,
        outcome: Outcome::Learn,
    },
    row("it is not in the model", Modes::ANY, Modes::ANY, Rules::ANY, Outcome::Stop(Reason::EdgeUnknown)),
];

/// Returns the row that decides for this edge.
pub fn decide(src: End, dst: End, rule: RuleState) -> &'static Row {
    let mut i = 0;
    while i < TABLE.len() - 1 {
        let row = &TABLE[i];
        if row.src.has(src.mode)
            && row.dst.has(dst.mode)
            && row.rule.has(rule)
            && !(row.harmless_only && dst.dangerous)
        {
            return row;
        }
        i += 1;
    }
    &TABLE[TABLE.len() - 1]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The sentences of the design as plain code, written without looking at the table.
    fn reference(src: End, dst: End, rule: RuleState) -> Outcome {
        let learns = |mode| matches!(mode, Mode::Learning | Mode::Ready);
        if src.mode == Mode::Quarantine || dst.mode == Mode::Quarantine {
            return Outcome::Stop(Reason::Quarantine);
        }
        match rule {
            RuleState::Banned => return Outcome::Stop(Reason::Banned),
            RuleState::Denied => return Outcome::Stop(Reason::EdgeDenied),
            RuleState::Allowed => return Outcome::Pass,
            RuleState::Absent | RuleState::Learned | RuleState::Guarded => {}
        }
        if src.mode == Mode::New {
            return Outcome::Stop(Reason::PrincipalNew);
        }
        if src.mode == Mode::Guest {
            let outside = dst.mode == Mode::Outside;
            return if outside { Outcome::Pass } else { Outcome::Stop(Reason::GuestInside) };
        }
        if rule == RuleState::Learned {
            return Outcome::Pass;
        }
        let partner_open = match src.mode {
            Mode::Learning | Mode::Ready => {
                learns(dst.mode) || matches!(dst.mode, Mode::Outside | Mode::System)
            }
            Mode::System => learns(dst.mode),
            Mode::New | Mode::Enforcing | Mode::Guest | Mode::Quarantine | Mode::Outside => false,
        };
        if partner_open && !dst.dangerous && rule == RuleState::Absent {
            return Outcome::Learn;
        }
        Outcome::Stop(Reason::EdgeUnknown)
    }

    fn ends() -> impl Iterator<Item = End> {
        Mode::ALL.iter().flat_map(|&mode| [false, true].map(|dangerous| End { mode, dangerous }))
    }

    #[test]
    fn the_table_says_what_the_reference_says_in_every_case() {
        for src in ends() {
            for dst in ends() {
                for &rule in RuleState::ALL {
                    assert_eq!(
                        decide(src, dst, rule).outcome,
                        reference(src, dst, rule),
                        "{src:?} {dst:?} {rule:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn no_mode_of_the_source_opens_an_enforcing_destination() {
        let dst = End { mode: Mode::Enforcing, dangerous: false };
        for src in ends() {
            assert!(matches!(decide(src, dst, RuleState::Absent).outcome, Outcome::Stop(_)));
        }
    }
}
