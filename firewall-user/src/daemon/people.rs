//! Requests about who is let in: codes, sessions, the PIN, what members ask of owners, and the page's certificate.

use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
};

use dashboard::{
    rpc::{PairingCode, Refusal, Visitor},
    view::{self, Role, Wish},
};
use graph::{
    Graph, Now,
    edge::{EdgeId, State},
    principal::harmless,
};
use serde_json::Value;

use super::{
    access::may_pair_from,
    answer::{Outcome, value},
    tables::random,
};
use crate::{
    authority::Authority,
    pairing::{Pairing, refusal},
    pin::Pin,
};

/// Longest name of a phone or program, in characters.
const NAME_LIMIT: usize = 40;
/// What members may ask of owners at one time; the oldest gives way.
const WISHES: usize = 64;

/// Who is let in, and what they share.
pub(super) struct People {
    pub(super) pairing: Pairing,
    pub(super) pin: Pin,
    wishes: Vec<Wish>,
    /// Made when the page is first served with TLS.
    authority: Option<Authority>,
    /// Where the page is served with TLS.
    listening: Vec<SocketAddr>,
    state_dir: PathBuf,
}

impl People {
    pub(super) fn new(pairing: Pairing, pin: Pin, state_dir: PathBuf) -> Self {
        Self { pairing, pin, wishes: Vec::new(), authority: None, listening: Vec::new(), state_dir }
    }

    pub(super) fn make_code(&mut self, seconds: u32, role: Role, now: Now) -> PairingCode {
        let code = self.pairing.make_code(random(), seconds, role, now);
        let authority = self.authority.as_ref().map(Authority::describe);
        PairingCode { listening: self.listening.clone(), authority, ..code }
    }

    pub(super) fn redeem(
        &mut self,
        code: &str,
        name: &str,
        from: Option<IpAddr>,
        graph: &Graph,
        now: Now,
    ) -> Result<Outcome, Refusal> {
        if from.is_some_and(|from| !may_pair_from(graph, from)) {
            return Err(refusal("forbidden", "a device of this kind cannot be paired"));
        }
        let (session, change) = self.pairing.redeem(code, &harmless(name, NAME_LIMIT), random(), now)?;
        Ok(Outcome::Stored(value(&session), change))
    }

    pub(super) fn check(&mut self, token: &str, now: Now) -> Result<Outcome, Refusal> {
        let visitor: Visitor = self.pairing.check(token, self.pin.is_set(), now)?;
        Ok(match self.pairing.note_visit(token, now) {
            Some(change) => Outcome::Stored(value(&visitor), change),
            None => Outcome::Is(value(&visitor)),
        })
    }

    pub(super) fn end(&mut self, token: &str) -> Outcome {
        match self.pairing.end(token) {
            Some(change) => Outcome::Stored(Value::Null, change),
            None => Outcome::Is(Value::Null),
        }
    }

    pub(super) fn make_token(&mut self, name: &str, role: Role, now: Now) -> Result<Outcome, Refusal> {
        let name = harmless(name, NAME_LIMIT);
        if name.is_empty() {
            return Err(refusal("invalid", "give the program a name"));
        }
        let (session, change) = self.pairing.make_token(&name, role, random(), now)?;
        Ok(Outcome::Stored(value(&session), change))
    }

    pub(super) fn wish(&mut self, edge: u32, by: &str, graph: &Graph, now: Now) -> Result<Outcome, Refusal> {
        if !is_open(graph, edge) {
            return Err(refusal("not_found", "nothing waits for a decision there"));
        }
        let wish = Wish { edge, by: by.to_owned(), at: now.unix };
        self.wishes.retain(|known| known.edge != edge && is_open(graph, known.edge));
        if self.wishes.len() == WISHES {
            self.wishes.remove(0);
        }
        self.wishes.push(wish.clone());
        Ok(Outcome::Told(Box::new(view::Event::EdgeWished(wish))))
    }

    /// What owners are asked to decide and still waits.
    pub(super) fn wishes(&mut self, graph: &Graph) -> &[Wish] {
        self.wishes.retain(|wish| is_open(graph, wish.edge));
        &self.wishes
    }

    pub(super) fn certificate(&mut self, listening: Vec<SocketAddr>, now: Now) -> Result<Outcome, Refusal> {
        let unavailable = |error: anyhow::Error| refusal("unavailable", &format!("{error:#}"));
        let authority = match &mut self.authority {
            Some(authority) => authority,
            none => none.insert(Authority::open(&self.state_dir).map_err(|error| unavailable(error.into()))?),
        };
        let addresses = listening.iter().map(SocketAddr::ip);
        let certificate = authority.issue(addresses, now).map_err(|error| unavailable(error.into()))?;
        self.listening = listening;
        Ok(Outcome::Is(value(&certificate)))
    }
}

/// Whether an edge waits for a decision.
fn is_open(graph: &Graph, edge: u32) -> bool {
    graph.edge(EdgeId(edge)).is_some_and(|edge| edge.state == State::Pending)
}
