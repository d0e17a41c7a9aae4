//! What decides about an edge: the row of the precedence table, and what comes with it.

use std::fmt::{self, Display};

use firewall_common::precedence::{Mode, Outcome, RuleState};
use firewall_common::reason::Reason;

use crate::edge::EdgeId;

/// Why an edge has its state; `Display` is plain English.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    // Rows of the precedence table.
    SourceQuarantined,
    DestinationQuarantined,
    Banned,
    Denied,
    Allowed,
    SourceNew,
    GuestOutside,
    GuestInside,
    Learned,
    Learns,
    BoxLearns,
    NotInModel,

    // What comes with it.
    /// It leads to something dangerous.
    Guarded,
    /// Another edge decides.
    OtherEdge {
        edge: EdgeId,
    },
    /// The connection that it travels in is not in the model.
    NoConnection {
        port: String,
    },
    /// The connection that it travels in may not speak this.
    MayNotSpeak {
        port: String,
        protocol: &'static str,
    },
    Neutralised,
    NotRetained,
    QosAtMost {
        qos: u8,
    },
    Monitor,
}

impl Cause {
    /// The row that has this outcome for a rule in this state and a source in this mode.
    pub(super) fn of_row(outcome: Outcome, state: RuleState, src: Mode) -> Self {
        match (outcome, state) {
            (Outcome::Learn, _) if src == Mode::System => Self::BoxLearns,
            (Outcome::Learn, _) => Self::Learns,
            (Outcome::Pass, RuleState::Allowed) => Self::Allowed,
            (Outcome::Pass, _) if src == Mode::Guest => Self::GuestOutside,
            (Outcome::Pass, _) => Self::Learned,
            (Outcome::Stop(Reason::Quarantine), _) if src == Mode::Quarantine => Self::SourceQuarantined,
            (Outcome::Stop(Reason::Quarantine), _) => Self::DestinationQuarantined,
            (Outcome::Stop(Reason::Banned), _) => Self::Banned,
            (Outcome::Stop(Reason::EdgeDenied), _) => Self::Denied,
            (Outcome::Stop(Reason::PrincipalNew), _) => Self::SourceNew,
            (Outcome::Stop(Reason::GuestInside), _) => Self::GuestInside,
            // The last row, which catches everything.
            (Outcome::Stop(_), _) => Self::NotInModel,
        }
    }
}

impl Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SourceQuarantined => "the source is in quarantine",
            Self::DestinationQuarantined => "the destination is in quarantine",
            Self::Banned => "one end is banned",
            Self::Denied => "someone denied it",
            Self::Allowed => "someone allowed it",
            Self::SourceNew => "the source is not accepted at this site yet",
            Self::GuestOutside => "a guest may use the Internet",
            Self::GuestInside => "a guest may use the Internet only",
            Self::Learned => "it was learned",
            Self::Learns => {
                "the source is learning and the destination is outside, the box, everyone, or learning too"
            }
            Self::BoxLearns => "the box talks to a device that is learning",
            Self::NotInModel => "it is not in the model",
            Self::Guarded => "it is asked about even while the source learns",
            Self::OtherEdge { edge } => {
                return write!(f, "edge {} decides, which is more specific or stricter", edge.0);
            }
            Self::NoConnection { port } => {
                return write!(
                    f,
                    "it travels in a connection to {port}, which is not in the model: nothing passes before that is \
                     allowed too",
                );
            }
            Self::MayNotSpeak { port, protocol } => {
                return write!(
                    f,
                    "connections to {port} may not speak {protocol}: nothing passes before `{port} {protocol}` is \
                     allowed too",
                );
            }
            Self::Neutralised => "where that is possible it goes on as something harmless",
            Self::NotRetained => "it must not be retained",
            Self::QosAtMost { qos } => return write!(f, "its QoS is at most {qos}"),
            Self::Monitor => "the site is in mode monitor, so nothing is dropped",
        })
    }
}

#[cfg(test)]
mod tests {
    use firewall_common::precedence::{End, decide};

    use super::*;

    #[test]
    fn each_row_of_the_table_has_the_cause_that_says_the_same() {
        let modes = || Mode::ALL.iter().copied();
        for (src, dst) in modes().flat_map(|src| modes().map(move |dst| (src, dst))) {
            for &state in RuleState::ALL {
                for dangerous in [false, true] {
                    let src = End { mode: src, dangerous: false };
                    let row = decide(src, End { mode: dst, dangerous }, state);
                    let cause = Cause::of_row(row.outcome, state, src.mode);
                    assert_eq!(cause.to_string(), row.why, "{src:?} {dst:?} {state:?}");
                }
            }
        }
    }
}
