//! Who may ask what. It is checked here, before anything is done, and not by the page, which anyone on the LAN can reach.

use dashboard::{
    rpc::{Answer, Lifetime, PrincipalPatch, Refusal, Request, Visitor},
    view::Role,
};
use graph::{
    Graph, Now,
    decision::{self, Author, Phone},
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

/// What a request needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Need {
    /// To be let in.
    Look,
    /// To make the site safer, or to ask.
    Protect,
    /// To allow what this edge asks for.
    Allow(EdgeId),
    /// To take back what oneself has decided.
    TakeBack(u64),
    /// To change what passes, and what devices are.
    Change,
    /// To say who is let in.
    Own,
    /// To see what packets carry.
    Payload,
    /// To have a password.
    Password,
    /// To be the page's process, or someone on the box.
    Page,
}

impl Access<'_> {
    pub(super) fn admit(&mut self, request: &Request, caller: &Caller) -> Result<Admitted, Refusal> {
        if let Some(token) = &caller.session {
            let visitor = self.pairing.check(token, self.pin.is_set(), self.now)?;
            self.check_role(&visitor, request)?;
            self.check_pin(request)?;
            return Ok(Admitted { by: author(&visitor), session: Some(token.clone()) });
        }
        let is_open = need(request) == Need::Page
            || matches!(request, Request::Watch | Request::Status | Request::Ntfy);
        if caller.is_page && !is_open {
            return Err(refusal("forbidden", "the page asks in the name of a session only"));
        }
        let by = Author::person(caller.by.as_ref().unwrap_or(&caller.user));
        Ok(Admitted { by, session: None })
    }

    fn check_role(&self, visitor: &Visitor, request: &Request) -> Result<(), Refusal> {
        let need = need(request);
        let may = match (visitor.role, need) {
            (role, Need::Password | Need::Payload) => role == Role::Pro,
            (_, Need::Look) | (Role::Owner, _) | (Role::Member, Need::Protect) => true,
            (Role::Pro, need) => need != Need::Own && need != Need::Page,
            (Role::Member, Need::Allow(edge)) => !self.is_high(edge),
            (Role::Member, Need::TakeBack(decision)) => self.has_decided(visitor, decision),
            (Role::Member, Need::Change | Need::Own | Need::Page) | (Role::Viewer, _) => false,
        };
        match (may, visitor.role, need) {
            (true, ..) => Ok(()),
            (false, Role::Member, Need::Allow(_) | Need::TakeBack(_) | Need::Change) => {
                Err(refusal("ask_owner", "only an owner may do this; ask one"))
            }
            (false, ..) => {
                let message = format!("a {} may not do this; ask an owner", visitor.role.as_str());
                Err(Refusal::new("forbidden", message))
            }
        }
    }

    /// What is of high risk and shall hold for long needs the PIN, if there is one.
    fn check_pin(&mut self, request: &Request) -> Result<(), Refusal> {
        match request {
            Request::Decide { edge, answer: Answer::Allow, lifetime, pin, .. }
                if is_long(lifetime) && self.is_high(EdgeId(*edge)) =>
            {
                self.pin.check(pin.as_deref(), self.now)
            }
            Request::Undo { decision, pin } if self.brings_back_danger(*decision) => {
                self.pin.check(pin.as_deref(), self.now)
            }
            Request::PrincipalSet { principal, patch } if self.plays_down(principal, patch) => {
                self.pin.check(patch.pin.as_deref(), self.now)
            }
            Request::Widen { edge, pin } if self.is_high(EdgeId(*edge)) => {
                self.pin.check(pin.as_deref(), self.now)
            }
            Request::PinSet { old, .. } => self.pin.check(old.as_deref(), self.now),
            _ => Ok(()),
        }
    }

    fn is_high(&self, edge: EdgeId) -> bool {
        self.graph.edge(edge).is_some_and(|edge| self.graph.risk(edge, self.now) == Risk::High)
    }

    /// Whether what is of high risk would pass for long again without this decision.
    fn brings_back_danger(&self, decision: u64) -> bool {
        let decision = self.graph.decisions().find(|known| known.id.0 == decision);
        decision.and_then(|decision| decision.what.edge()).is_some_and(|before| {
            let passed = match &before.state {
                State::Learned => true,
                State::Allowed(ruling) => {
                    !matches!(ruling.lifetime, decision::Lifetime::Once | decision::Lifetime::For(_))
                }
                State::Denied(_) | State::Pending | State::Lapsed => false,
            };
            passed && self.is_high(before.id)
        })
    }

    /// Whether a device that is dangerous would be none any more, by which the risk of everything that leads there falls.
    fn plays_down(&self, principal: &str, patch: &PrincipalPatch) -> bool {
        let principal = self.graph.find(principal).ok().and_then(|id| self.graph.principal(id));
        let kind = patch.kind.as_deref().map(|kind| Kind::from_name(kind).unwrap_or(Kind::Unknown));
        principal.is_some_and(Principal::may_be_dangerous) && kind.is_some_and(|kind| !kind.is_dangerous())
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

fn need(request: &Request) -> Need {
    match request {
        Request::Status
        | Request::Principals
        | Request::Principal { .. }
        | Request::Edges { .. }
        | Request::Pending
        | Request::Explain { .. }
        | Request::Wishes
        | Request::EdgesExport
        | Request::GraphExport { .. }
        | Request::MudDiff { .. }
        | Request::Review { .. }
        | Request::WouldBreak { .. }
        | Request::Hours
        | Request::Traffic { .. }
        | Request::Bans
        | Request::Decisions { .. }
        | Request::Learners
        | Request::Observations { .. }
        | Request::Trouble { .. }
        | Request::LedgerVerify
        | Request::Settings
        | Request::Alarms
        | Request::Watch => Need::Look,
        Request::Decide { answer: Answer::Deny, .. } | Request::Wish { .. } | Request::BanAdd { .. } => {
            Need::Protect
        }
        Request::PrincipalMode { mode, .. } if mode == "quarantine" => Need::Protect,
        Request::Decide { edge, answer: Answer::Allow, .. } | Request::Widen { edge, .. } => {
            Need::Allow(EdgeId(*edge))
        }
        Request::Undo { decision, .. } => Need::TakeBack(*decision),
        Request::PrincipalSet { .. }
        | Request::PrincipalMerge { .. }
        | Request::PrincipalForget { .. }
        | Request::PrincipalMode { .. }
        | Request::LearnStart { .. }
        | Request::Relearn { .. }
        | Request::LearnFinish { .. }
        | Request::LearnWait { .. }
        | Request::Release { .. }
        | Request::EdgeDecide { .. }
        | Request::EdgeRemove { .. }
        | Request::EdgeUnusual { .. }
        | Request::BanRemove { .. }
        | Request::PrincipalUnusual { .. }
        | Request::EdgesImport { .. }
        | Request::MudImport { .. }
        | Request::AwaitUpdate { .. }
        | Request::SiteMode { .. }
        | Request::Confirm
        | Request::Moved { .. }
        | Request::Pause { .. } => Need::Change,
        Request::Pair { .. }
        | Request::Clients
        | Request::ClientEnd { .. }
        | Request::TokenMake { .. }
        | Request::SettingsSet { .. }
        | Request::Ntfy
        | Request::NtfySet { .. }
        | Request::HomeAssistant
        | Request::HomeAssistantSet { .. }
        | Request::PinSet { .. } => Need::Own,
        Request::Packets { .. } => Need::Payload,
        Request::PasswordSet { .. } => Need::Password,
        Request::PairRedeem { .. }
        | Request::SignIn { .. }
        | Request::SessionCheck { .. }
        | Request::SessionEnd { .. }
        | Request::Admit { .. }
        | Request::Broker
        | Request::Waiting
        | Request::Telling
        | Request::NoteTold { .. }
        | Request::Reached
        | Request::KeepBlocked { .. }
        | Request::Certificate { .. } => Need::Page,
    }
}

#[cfg(test)]
mod tests;
