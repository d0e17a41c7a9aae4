//! Requests about who is let in: codes, sessions, the PIN, what members ask of owners, and the page's certificate.

mod door;

use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
};

use dashboard::{
    rpc::{PairingCode, Refusal, Visitor},
    view::{self, Role, Wish},
};
use firewall_common::abi::PrincipalId;
use graph::{
    Graph, Now,
    decision::{Author, Lifetime},
    edge::{EdgeId, State},
    principal::harmless,
};
use serde_json::Value;

use self::door::{Door, device_at, may_be_phone};
use super::{
    answer::{Outcome, value},
    tables::random,
};
use crate::{
    authority::Authority,
    pairing::{Ended, Pairing, refusal},
    pin::Pin,
    store::Change,
};

/// Longest name of a phone or program, in characters.
const NAME_LIMIT: usize = 40;
/// What members may ask of owners at one time; the oldest gives way.
const WISHES: usize = 64;

/// Who is let in, and what they share.
pub(super) struct People {
    pub(super) pairing: Pairing,
    pub(super) pin: Pin,
    pub(super) door: Door,
    wishes: Vec<Wish>,
    /// Made when the page is first served with TLS.
    authority: Option<Authority>,
    /// Where the page is served with TLS.
    listening: Vec<SocketAddr>,
    state_dir: PathBuf,
}

impl People {
    pub(super) fn new(pairing: Pairing, pin: Pin, state_dir: PathBuf) -> Self {
        Self {
            pairing,
            pin,
            door: Door::default(),
            wishes: Vec::new(),
            authority: None,
            listening: Vec::new(),
            state_dir,
        }
    }

    pub(super) fn make_code(&mut self, seconds: u32, role: Role, graph: &Graph, now: Now) -> PairingCode {
        self.door.open(graph);
        let code = self.pairing.make_code(random(), seconds, role, now);
        let authority = self.authority.as_ref().map(Authority::describe);
        PairingCode { listening: self.listening.clone(), authority, ..code }
    }

    pub(super) fn redeem(
        &mut self,
        code: &str,
        name: &str,
        from: Option<IpAddr>,
        graph: &mut Graph,
        now: Now,
    ) -> Result<Outcome, Refusal> {
        let at = from.and_then(|from| device_at(graph, from));
        if at.is_some_and(|at| !may_be_phone(graph, at)) {
            return Err(refusal("forbidden", "a device of this kind cannot be paired"));
        }
        let (session, change) = self.pairing.redeem(code, &harmless(name, NAME_LIMIT), at, random(), now)?;
        if let Some(at) = at {
            self.let_in(graph, at, &session.token, &session.name, now);
        }
        Ok(Outcome::Stored(value(&session), change))
    }

    /// Whose session this is. A phone that comes with another MAC, while a code is open, proves itself by its session.
    pub(super) fn check(
        &mut self,
        token: &str,
        from: Option<IpAddr>,
        graph: &mut Graph,
        now: Now,
    ) -> Result<Outcome, Refusal> {
        let visitor: Visitor = self.pairing.check(token, self.pin.is_set(), now)?;
        let at = from.and_then(|from| device_at(graph, from));
        if let Some(at) = at.filter(|at| !self.pairing.was_at(token, *at)) {
            self.let_in(graph, at, token, &visitor.name, now);
        }
        Ok(match self.pairing.note_visit(token, at, now) {
            Some(change) => Outcome::Stored(value(&visitor), change),
            None => Outcome::Is(value(&visitor)),
        })
    }

    fn let_in(&self, graph: &mut Graph, at: PrincipalId, token: &str, name: &str, now: Now) {
        let lifetime = self.pairing.until(token).map_or(Lifetime::Always, Lifetime::Until);
        self.door.let_in(graph, at, lifetime, &Author::person(name), now);
    }

    pub(super) fn end(&mut self, token: &str, graph: &mut Graph, now: Now) -> Outcome {
        match self.pairing.end(token) {
            Some(ended) => {
                let name = ended.name.clone();
                Outcome::Stored(Value::Null, self.shut(ended, &name, graph, now))
            }
            None => Outcome::Is(Value::Null),
        }
    }

    pub(super) fn end_client(
        &mut self,
        client: &str,
        by: &str,
        graph: &mut Graph,
        now: Now,
    ) -> Result<Outcome, Refusal> {
        let ended = self.pairing.end_client(client)?;
        Ok(Outcome::Stored(Value::Null, self.shut(ended, by, graph, now)))
    }

    /// Where nobody is paired any more, the page cannot be reached any more.
    fn shut(&self, ended: Ended, by: &str, graph: &mut Graph, now: Now) -> Change {
        for at in ended.places.into_iter().filter(|at| !self.pairing.is_anyone_at(*at)) {
            self.door.shut(graph, at, &Author::person(by), now);
        }
        ended.change
    }

    /// Whether the page's process speaks with whoever has this address.
    pub(super) fn admits(&self, from: IpAddr, graph: &Graph, now: Now) -> Outcome {
        let is_open = self.pairing.open_for(now).is_some();
        Outcome::Is(value(&self.door.admits(graph, from, is_open, now)))
    }

    /// Opens and shuts the door after what has happened; whether the graph has something to do now.
    pub(super) fn keep_door(&mut self, graph: &mut Graph, now: Now) -> bool {
        let open = self.pairing.open_for(now);
        self.door.keep(graph, open, now)
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

    pub(super) fn certificate(
        &mut self,
        listening: Vec<SocketAddr>,
        graph: &Graph,
        now: Now,
    ) -> Result<Outcome, Refusal> {
        let unavailable = |error: anyhow::Error| refusal("unavailable", &format!("{error:#}"));
        let authority = match &mut self.authority {
            Some(authority) => authority,
            none => none.insert(Authority::open(&self.state_dir).map_err(|error| unavailable(error.into()))?),
        };
        let addresses = listening.iter().map(SocketAddr::ip);
        let certificate = authority.issue(addresses, now).map_err(|error| unavailable(error.into()))?;
        self.door.serve_at(&listening, graph);
        self.listening = listening;
        Ok(Outcome::Is(value(&certificate)))
    }
}

/// Whether an edge waits for a decision.
fn is_open(graph: &Graph, edge: u32) -> bool {
    graph.edge(EdgeId(edge)).is_some_and(|edge| edge.state == State::Pending)
}
