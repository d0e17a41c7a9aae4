//! Addresses of Modbus: which of them may be asked for together.
//!
//! A run is a row of addresses about which one rule decides, or which all pass by rules that last. A request passes if
//! its first and its last address lie in one run: then all between them do.

use firewall_common::abi::RuleId;
use firewall_common::precedence::RuleState;

use super::{Pattern, TopicRule, Topics, winner};
use crate::operation::{Registers, Verb};

/// Addresses, the last one included, and the rule that decides about them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) first: u16,
    pub(super) last: u16,
    pub(super) rule: RuleId,
}

/// All addresses in runs, in order, by rules that are all about the same unit and area.
pub(super) fn runs<'a>(rules: &[&'a TopicRule], is_brief: impl Fn(&TopicRule) -> bool) -> Vec<Run> {
    let range = |rule: &TopicRule| match &rule.pattern {
        Pattern::Registers { registers, .. } => registers.range(),
        Pattern::Client(_)
        | Pattern::AnyClient
        | Pattern::User(_)
        | Pattern::AnyUser
        | Pattern::Filter(_)
        | Pattern::Sets(_)
        | Pattern::Request { .. } => (0, u16::MAX),
    };
    let mut begins: Vec<u32> = vec![0];
    for (first, last) in rules.iter().map(|rule| range(rule)) {
        begins.extend([u32::from(first), u32::from(last) + 1]);
    }
    begins.retain(|begin| u16::try_from(*begin).is_ok());
    begins.sort_unstable();
    begins.dedup();
    let mut runs: Vec<(Run, Option<&'a TopicRule>)> = Vec::new();
    for (index, begin) in begins.iter().enumerate() {
        let end = begins.get(index + 1).map_or(u32::from(u16::MAX), |next| next - 1);
        let about: Vec<&TopicRule> = rules
            .iter()
            .filter(|rule| (u32::from(range(rule).0)..=u32::from(range(rule).1)).contains(begin))
            .copied()
            .collect();
        let decisive = winner(&about);
        let here = Run {
            first: *begin as u16,
            last: end as u16,
            rule: decisive.map_or(RuleId::default(), |rule| rule.rule),
        };
        match runs.last_mut() {
            Some((run, known)) if run.rule == here.rule => {
                run.last = here.last;
                *known = decisive;
            }
            Some((run, known)) => match (*known, decisive) {
                (Some(left), Some(right)) if lasts(left, &is_brief) && lasts(right, &is_brief) => {
                    // What was learned says less than what a person allowed, and the oldest rule stays longest.
                    let weaker = |rule: &TopicRule| (rule.state == RuleState::Allowed, rule.rule);
                    let kept = if weaker(right) < weaker(left) { right } else { left };
                    *known = Some(kept);
                    run.rule = kept.rule;
                    run.last = here.last;
                }
                _ => runs.push((here, decisive)),
            },
            None => runs.push((here, decisive)),
        }
    }
    runs.into_iter().map(|(run, _)| run).collect()
}

/// Whether it lets something pass, and for more than a time.
fn lasts(rule: &TopicRule, is_brief: impl Fn(&TopicRule) -> bool) -> bool {
    matches!(rule.state, RuleState::Learned | RuleState::Allowed) && !is_brief(rule)
}

impl Topics {
    /// The rule about all addresses of a request; a denied one that is about some of them.
    pub(super) fn decisive_run(&self, verb: Verb, asked: &Registers) -> Option<&TopicRule> {
        let about = |rule: &&TopicRule| {
            matches!(&rule.pattern, Pattern::Registers { verb: known, registers }
            if *known == verb && registers.reaches(asked))
        };
        let rules: Vec<&TopicRule> = self.requests.iter().filter(about).collect();
        let (first, last) = asked.range();
        let runs = runs(&rules, |rule| self.brief.contains(&rule.rule));
        let run = runs.iter().find(|run| (run.first..=run.last).contains(&first))?;
        if last <= run.last {
            return rules.into_iter().find(|rule| rule.rule == run.rule);
        }
        let denied = rules.into_iter().filter(|rule| {
            let overlaps =
                matches!(&rule.pattern, Pattern::Registers { registers, .. } if registers.overlaps(asked));
            overlaps && matches!(rule.state, RuleState::Denied | RuleState::Banned)
        });
        denied.min_by_key(|rule| rule.rule)
    }
}
