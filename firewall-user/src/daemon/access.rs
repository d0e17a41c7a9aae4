//! Who may ask what. It is checked here, before anything is done, and not by the page, which anyone on the LAN can reach.

use dashboard::{
    rpc::{Answer, Lifetime, PrincipalPatch, Refusal, Request, Visitor},
    view::Role,
};
use graph::{
    Graph, Now,
    decision::{self, Author, Phone, SiteMode},
    edge::{EdgeId, State},
    explain::Risk,
    principal::{Kind, Principal},
};

use crate::{
    pairing::{Pairing, refusal},
    pin::Pin,
    socket::Caller,
};

/// Someone who may ask what was asked, as the ledger names them, and the session in whose name it is.
pub(super) struct Admitted {
    pub(super) by: Author,
    pub(super) session: Option<String>,
}

/// What access is decided by.
pub(super) struct Access<'d> {
    pub(super) pairing: &'d Pairing,
    pub(super) pin: &'d mut Pin,
    pub(super) graph: &'d Graph,
    pub(super) now: Now,
}

/// What a request needs. Where it may need the PIN as well, what says so comes with it.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Need<'r> {
    /// To be let in.
    Look,
    /// To make the site safer, or to ask.
    Protect,
    /// To allow what this edge asks for.
    Allow { edge: EdgeId, lifetime: &'r Lifetime, pin: Option<&'r str> },
    /// To take back what oneself has decided.
    TakeBack { decision: u64, pin: Option<&'r str> },
    /// To say what a device is.
    Describe { principal: &'r str, patch: &'r PrincipalPatch },
    /// To say that two devices are one.
    Merge { principals: [&'r str; 2], pin: Option<&'r str> },
    /// To forget a device, and with it what it is.
    Forget { principal: &'r str, pin: Option<&'r str> },
    /// To stop nothing any more at the whole site.
    Open { pin: Option<&'r str> },
    /// To change how devices are treated.
    Change,
    /// To say who is let in.
    Own,
    /// To set the PIN.
    SetPin { old: Option<&'r str> },
    /// To see what packets carry.
    Payload,
    /// To have a password.
    Password,
    /// To be the page's process, or someone on the box.
    Page,
    /// To be someone on the box: the page has no use for it.
    Box,
}

impl Access<'_> {
    pub(super) fn admit(&mut self, request: &Request, caller: &Caller) -> Result<Admitted, Refusal> {
        let need = need(request);
        if let Some(token) = &caller.session {
            let visitor = self.pairing.check(token, self.pin.is_set(), self.now)?;
            self.check_role(&visitor, need)?;
            self.check_pin(need)?;
            return Ok(Admitted { by: author(&visitor), session: Some(token.clone()) });
        }
        let is_open = need == Need::Page || matches!(request, Request::Status | Request::Ntfy);
        if caller.is_page && !is_open {
            return Err(refusal("forbidden", "the page asks in the name of a session only"));
        }
        let by = Author::person(caller.by.as_ref().unwrap_or(&caller.user));
        Ok(Admitted { by, session: None })
    }

    fn check_role(&self, visitor: &Visitor, need: Need<'_>) -> Result<(), Refusal> {
        let may = match (visitor.role, need) {
            (_, Need::Page | Need::Box) => false,
            (role, Need::Payload | Need::Password) => role == Role::Pro,
            (role, Need::Own | Need::SetPin { .. }) => role == Role::Owner,
            (_, Need::Look) | (Role::Owner | Role::Pro, _) | (Role::Member, Need::Protect) => true,
            (Role::Member, Need::Allow { edge, .. }) => !self.is_high(edge),
            (Role::Member, Need::TakeBack { decision, .. }) => self.has_decided(visitor, decision),
            (
                Role::Member,
                Need::Describe { .. }
                | Need::Merge { .. }
                | Need::Forget { .. }
                | Need::Open { .. }
                | Need::Change,
            )
            | (Role::Viewer, _) => false,
        };
        match (visitor.role, need) {
            _ if may => Ok(()),
            (_, Need::Page | Need::Box) => {
                Err(refusal("forbidden", "no session may do this; use `edgeward` on the box"))
            }
            (Role::Owner | Role::Pro | Role::Viewer, _)
            | (Role::Member, Need::Own | Need::SetPin { .. } | Need::Payload | Need::Password) => {
                let message = format!("a {} may not do this; ask an owner", visitor.role.as_str());
                Err(Refusal::new("forbidden", message))
            }
            (Role::Member, _) => Err(refusal("ask_owner", "only an owner may do this; ask one")),
        }
    }

    /// By what something of high risk could pass for long needs the PIN, if there is one.
    fn check_pin(&mut self, need: Need<'_>) -> Result<(), Refusal> {
        let (needs_pin, pin) = match need {
            Need::Allow { edge, lifetime, pin } => (is_long(lifetime) && self.is_high(edge), pin),
            Need::TakeBack { decision, pin } => (self.brings_back_danger(decision), pin),
            Need::Describe { principal, patch } => (self.plays_down(principal, patch), patch.pin.as_deref()),
            Need::Merge { principals, pin } => {
                (principals.iter().any(|one| self.has_to_do_with_danger(one)), pin)
            }
            Need::Forget { principal, pin } => {
                (self.find(principal).is_some_and(Principal::may_be_dangerous), pin)
            }
            Need::Open { pin } => (self.graph.site().mode != SiteMode::Monitor, pin),
            Need::SetPin { old } => (true, old),
            Need::Look
            | Need::Protect
            | Need::Change
            | Need::Own
            | Need::Payload
            | Need::Password
            | Need::Page
            | Need::Box => (false, None),
        };
        if needs_pin { self.pin.check(pin, self.now) } else { Ok(()) }
    }

    fn is_high(&self, edge: EdgeId) -> bool {
        self.graph.edge(edge).is_some_and(|edge| self.graph.risk(edge, self.now) == Risk::High)
    }

    /// Whether what is of high risk would pass for long again without this decision.
    fn brings_back_danger(&self, decision: u64) -> bool {
        let decision = self.graph.decisions().find(|known| known.id.0 == decision);
        decision
            .and_then(|decision| decision.what.edge())
            .is_some_and(|before| passes_for_long(&before.state) && self.is_high(before.id))
    }

    /// Whether a device that is dangerous would be none any more, by which the risk of everything that leads there falls.
    fn plays_down(&self, principal: &str, patch: &PrincipalPatch) -> bool {
        let kind = patch.kind.as_deref().map(|kind| Kind::from_name(kind).unwrap_or(Kind::Unknown));
        self.find(principal).is_some_and(Principal::may_be_dangerous)
            && kind.is_some_and(|kind| !kind.is_dangerous())
    }

    /// Whether it is dangerous, or something of high risk passes for long that it does: another device that becomes part
    /// of it, or of which it becomes part, would be none, be reached by others, or do the same.
    fn has_to_do_with_danger(&self, principal: &str) -> bool {
        self.find(principal).is_some_and(|principal| {
            let mut its = self.graph.edges().filter(|edge| edge.path.src == principal.id);
            principal.may_be_dangerous()
                || its.any(|edge| passes_for_long(&edge.state) && self.is_high(edge.id))
        })
    }

    fn find(&self, principal: &str) -> Option<&Principal> {
        self.graph.find(principal).ok().and_then(|id| self.graph.principal(id))
    }

    fn has_decided(&self, visitor: &Visitor, decision: u64) -> bool {
        let decision = self.graph.decisions().find(|known| known.id.0 == decision);
        // Not by the name, which everybody chooses for themselves.
        decision.and_then(|decision| decision.by.phone()).is_some_and(|phone| phone.id == visitor.id)
    }
}

/// A visitor as the ledger names them.
pub(super) fn author(visitor: &Visitor) -> Author {
    let phone = Phone { id: visitor.id.clone(), role: visitor.role.as_str().to_owned() };
    Author::with_phone(&visitor.name, phone)
}

/// Whether a decision outlives the day.
fn is_long(lifetime: &Lifetime) -> bool {
    match lifetime {
        Lifetime::Once | Lifetime::For(_) => false,
        Lifetime::Uses(_) | Lifetime::Until(_) | Lifetime::UntilRestart | Lifetime::Always => true,
    }
}

/// Whether it passes, and outlives the day.
fn passes_for_long(state: &State) -> bool {
    match state {
        State::Learned => true,
        State::Allowed(ruling) => {
            !matches!(ruling.lifetime, decision::Lifetime::Once | decision::Lifetime::For(_))
        }
        State::Denied(_) | State::Pending | State::Lapsed => false,
    }
}

fn need(request: &Request) -> Need<'_> {
    match request {
        Request::Status
        | Request::Principals
        | Request::Principal { .. }
        | Request::Learners
        | Request::Edges { .. }
        | Request::Pending
        | Request::Explain { .. }
        | Request::Wishes
        | Request::EdgesExport
        | Request::GraphExport { .. }
        | Request::Review { .. }
        | Request::Hours
        | Request::Traffic { .. }
        | Request::Bans
        | Request::Decisions { .. }
        | Request::Trouble { .. }
        | Request::LedgerVerify
        | Request::Settings
        | Request::Alarms => Need::Look,
        Request::Decide { answer: Answer::Deny, .. } | Request::Wish { .. } => Need::Protect,
        Request::PrincipalMode { mode, .. } if mode == "quarantine" => Need::Protect,
        Request::Decide { edge, answer: Answer::Allow, lifetime, pin, .. } => {
            Need::Allow { edge: EdgeId(*edge), lifetime, pin: pin.as_deref() }
        }
        Request::Widen { edge, pin } => {
            Need::Allow { edge: EdgeId(*edge), lifetime: &Lifetime::Always, pin: pin.as_deref() }
        }
        Request::Undo { decision, pin } => Need::TakeBack { decision: *decision, pin: pin.as_deref() },
        Request::PrincipalSet { principal, patch } => Need::Describe { principal, patch },
        Request::PrincipalMerge { principal, into, pin } => {
            Need::Merge { principals: [principal, into], pin: pin.as_deref() }
        }
        Request::PrincipalForget { principal, pin } => Need::Forget { principal, pin: pin.as_deref() },
        Request::SiteMode { mode, pin } if mode != SiteMode::Enforce.as_str() => {
            Need::Open { pin: pin.as_deref() }
        }
        // Who learns is asked about what is dangerous all the same, and a pause is over within a day.
        Request::PrincipalMode { .. }
        | Request::Relearn { .. }
        | Request::LearnFinish { .. }
        | Request::LearnWait { .. }
        | Request::Release { .. }
        | Request::BanRemove { .. }
        | Request::SiteMode { .. }
        | Request::Confirm
        | Request::Moved { .. }
        | Request::Pause { principal: Some(_), .. } => Need::Change,
        Request::Pair { .. }
        | Request::Clients
        | Request::ClientEnd { .. }
        | Request::TokenMake { .. }
        | Request::SettingsSet { .. }
        | Request::Ntfy
        | Request::NtfySet { .. }
        | Request::HomeAssistant
        | Request::HomeAssistantSet { .. } => Need::Own,
        Request::PinSet { old, .. } => Need::SetPin { old: old.as_deref() },
        Request::Packets { .. } => Need::Payload,
        Request::PasswordSet { .. } => Need::Password,
        Request::PairRedeem { .. }
        | Request::SignIn { .. }
        | Request::SessionCheck { .. }
        | Request::SessionEnd { .. }
        | Request::Admit { .. }
        | Request::Watch
        | Request::Broker
        | Request::Waiting
        | Request::Telling
        | Request::NoteTold { .. }
        | Request::Reached
        | Request::KeepBlocked { .. }
        | Request::Certificate { .. } => Need::Page,
        Request::EdgeDecide { .. }
        | Request::EdgeRemove { .. }
        | Request::EdgeUnusual { .. }
        | Request::PrincipalUnusual { .. }
        | Request::EdgesImport { .. }
        | Request::MudDiff { .. }
        | Request::MudImport { .. }
        | Request::WouldBreak { .. }
        | Request::AwaitUpdate { .. }
        | Request::LearnStart { .. }
        | Request::BanAdd { .. }
        | Request::Observations { .. }
        | Request::Pause { principal: None, .. } => Need::Box,
    }
}

#[cfg(test)]
mod tests;
