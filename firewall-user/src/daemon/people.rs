//! Requests about who is let in: codes, sessions, the PIN, what members ask of owners, and the page's certificate.

mod display;
mod door;
pub(super) mod household;
mod note;

use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
};

use dashboard::{
    home::{CLIENT_ID, COMMAND_TOPIC, STATE_TOPICS},
    pushes::Told,
    rpc::{Broker, PairingCode, Refusal, Session, Telling, Visitor, Waiting},
    view::{self, Role, Wish},
};
use firewall_common::abi::PrincipalId;
use graph::{
    Graph, Now,
    decision::{self, Author, Lifetime, Terms},
    edge::{Edge, EdgeId, State},
    graph::Spec,
    operation::Plane,
    principal::harmless,
};
use serde_json::Value;

use self::{
    display::Display,
    door::{Door, device_at, may_be_phone},
    household::Household,
    note::Note,
};
use super::{
    access::author,
    answer::{Outcome, value},
    tables::random,
    views::Views,
};
use crate::{
    authority::Authority,
    config,
    pairing::{Ended, NAME_LIMIT, Pairing, refusal},
    pin::Pin,
    store::Change,
};

/// What members may ask of owners at one time; the oldest gives way.
const WISHES: usize = 64;
/// Under which name they are stored.
pub(super) const WISHES_SETTING: &str = "wishes";

/// Who is let in, and what they share.
pub(super) struct People {
    pub(super) pairing: Pairing,
    pub(super) pin: Pin,
    pub(super) door: Door,
    household: Household,
    wishes: Vec<Wish>,
    display: Option<Display>,
    /// Made when the page is first served with TLS.
    authority: Option<Authority>,
    /// Where the page is served with TLS.
    listening: Vec<SocketAddr>,
    state_dir: PathBuf,
}

impl People {
    /// `wishes` are as they were stored; those that cannot be read are asked again.
    pub(super) fn new(
        pairing: Pairing,
        pin: Pin,
        household: Household,
        wishes: Option<&[u8]>,
        state_dir: PathBuf,
    ) -> Self {
        Self {
            pairing,
            pin,
            door: Door::default(),
            household,
            wishes: wishes.and_then(|wishes| serde_json::from_slice(wishes).ok()).unwrap_or_default(),
            display: None,
            authority: None,
            listening: Vec::new(),
            state_dir,
        }
    }

    /// Prepares what lets phones in without a command: a display, and a note that somebody has left.
    pub(super) fn prepare(&mut self, config: config::Pairing, graph: &Graph, now: Now) {
        self.display = config.display.map(Display::new);
        match (note::take(&config.folders), &mut self.display) {
            (Some(Note::Code(code)), _) => {
                self.door.open(graph);
                self.pairing.take_code(&code, display::LIFETIME, Role::Owner, now);
            }
            (Some(Note::Show), Some(display)) => display.ask(),
            (Some(Note::Show), None) => {
                tracing::warn!(
                    "A note asks for a code to be shown, but there is no pairing.display; write a code into it"
                );
            }
            (None, _) => {}
        }
    }

    /// Shows a code where and while it shall be shown.
    pub(super) fn keep_display(&mut self, graph: &Graph, now: Now) {
        let is_wanted = match &mut self.display {
            Some(display) => display.keep(&mut self.pairing, now),
            None => false,
        };
        // Before the page is served there is nothing to scan.
        if is_wanted && !self.listening.is_empty() {
            let code = self.make_code(display::LIFETIME, Role::Owner, graph, now);
            if let Some(display) = &mut self.display {
                display.show(&code, &mut self.pairing, now);
            }
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
        let at = place_of(graph, from)?;
        let (session, change) = self.pairing.redeem(code, &name_of(name)?, at, random(), now)?;
        self.let_in_at(graph, at, &session, now);
        Ok(Outcome::Stored(value(&session), vec![change]))
    }

    pub(super) fn sign_in(
        &mut self,
        name: &str,
        password: &str,
        from: Option<IpAddr>,
        graph: &mut Graph,
        now: Now,
    ) -> Result<Outcome, Refusal> {
        let at = place_of(graph, from)?;
        let (session, change) = self.pairing.sign_in(name, password, at, random(), now)?;
        self.let_in_at(graph, at, &session, now);
        Ok(Outcome::Stored(value(&session), vec![change]))
    }

    fn let_in_at(&self, graph: &mut Graph, at: Option<PrincipalId>, session: &Session, now: Now) {
        if let Some(at) = at {
            self.let_in(graph, at, &session.token, now);
        }
    }

    pub(super) fn set_password(
        &mut self,
        token: &str,
        password: Option<&str>,
        old: Option<&str>,
        graph: &mut Graph,
        now: Now,
    ) -> Result<Outcome, Refusal> {
        let by = author(&self.pairing.check(token, false, now)?);
        let ended = self.pairing.set_password(token, password, old, random(), now)?;
        Ok(self.shut(ended, &by, graph, now))
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
            self.let_in(graph, at, token, now);
        }
        Ok(match self.pairing.note_visit(token, at, now) {
            Some(change) => Outcome::Stored(value(&visitor), vec![change]),
            None => Outcome::Is(value(&visitor)),
        })
    }

    fn let_in(&self, graph: &mut Graph, at: PrincipalId, token: &str, now: Now) {
        let lifetime = self.pairing.until(token).map_or(Lifetime::Always, Lifetime::Until);
        if let Ok(visitor) = self.pairing.check(token, false, now) {
            self.door.let_in(graph, at, lifetime, &author(&visitor), now);
        }
    }

    pub(super) fn end(&mut self, token: &str, graph: &mut Graph, now: Now) -> Outcome {
        // One that time has ended belongs to nobody any more.
        let by =
            self.pairing.check(token, false, now).map_or_else(|_| Author::firewall(), |who| author(&who));
        match self.pairing.end(token) {
            Some(ended) => self.shut(ended, &by, graph, now),
            None => Outcome::Is(Value::Null),
        }
    }

    pub(super) fn end_client(
        &mut self,
        client: &str,
        by: &Author,
        graph: &mut Graph,
        now: Now,
    ) -> Result<Outcome, Refusal> {
        let ended = self.pairing.end_client(client)?;
        Ok(self.shut(ended, by, graph, now))
    }

    /// Where nobody is paired any more, the page cannot be reached any more.
    fn shut(&mut self, ended: Ended, by: &Author, graph: &mut Graph, now: Now) -> Outcome {
        for at in ended.places.iter().filter(|at| !self.pairing.is_anyone_at(**at)) {
            self.door.shut(graph, *at, by, now);
        }
        if !ended.is_anyone() {
            return Outcome::Stored(Value::Null, ended.changes);
        }
        let revoked = self.pairing.note_end(&ended, by.as_str(), now);
        Outcome::Told(Box::new(view::Event::ClientRevoked(revoked)), ended.changes)
    }

    /// Whether the page's process speaks with whoever has this address.
    pub(super) fn admits(&self, from: IpAddr, port: u16, graph: &Graph, now: Now) -> Outcome {
        let is_open = self.pairing.open_for(now).is_some();
        Outcome::Is(value(&door::admits(graph, from, port, is_open, now)))
    }

    /// Opens and shuts the door after what has happened; whether the graph has something to do now.
    pub(super) fn keep_door(&mut self, graph: &mut Graph, now: Now) -> bool {
        let open = self.pairing.open_for(now);
        self.door.keep(graph, open, now)
    }

    pub(super) fn make_token(
        &mut self,
        name: &str,
        role: Role,
        seconds: Option<u32>,
        now: Now,
    ) -> Result<Outcome, Refusal> {
        let name = name_of(name)?;
        let (session, change) = self.pairing.make_token_for(&name, role, seconds, random(), now)?;
        Ok(Outcome::Stored(value(&session), vec![change]))
    }

    pub(super) fn settings(&self, graph: &Graph) -> Outcome {
        Outcome::Is(value(&self.shown(graph)))
    }

    pub(super) fn set_up(
        &mut self,
        name: Option<&str>,
        first_run: Option<view::FirstRun>,
        graph: &Graph,
    ) -> Outcome {
        let change = self.household.set_up(name, first_run);
        Outcome::Stored(value(&self.shown(graph)), vec![change])
    }

    fn shown(&self, graph: &Graph) -> view::Settings {
        let settings = graph.settings();
        let learning = view::LearningTimes {
            at_least: settings.learn_min,
            quiet: settings.learn_quiet,
            at_most: settings.learn_max,
            notice: settings.ready_notice,
        };
        view::Settings { learning, ..self.household.settings() }
    }

    pub(super) fn ntfy(&self) -> Outcome {
        Outcome::Is(value(&self.household.ntfy()))
    }

    pub(super) fn tell(&mut self, server: Option<&str>, page: Option<&str>) -> Result<Outcome, Refusal> {
        let change = self.household.tell(server, page, random())?;
        Ok(Outcome::Stored(value(&self.household.ntfy()), vec![change]))
    }

    pub(super) fn home_assistant(&self) -> Outcome {
        Outcome::Is(value(&self.household.home_assistant()))
    }

    pub(super) fn telling(&self, views: Views<'_>) -> Outcome {
        let (told, ntfy) = (self.household.told().clone(), self.household.ntfy().cloned());
        Outcome::Is(value(&Telling { told, waiting: views.pending(), ntfy }))
    }

    pub(super) fn note_told(&mut self, told: Told) -> Change {
        self.household.note_told(told)
    }

    pub(super) fn reached(&mut self) -> Outcome {
        Outcome::Stored(Value::Null, self.household.note_reached().into_iter().collect())
    }

    pub(super) fn broker(&self) -> Outcome {
        Outcome::Is(value(&self.household.broker()))
    }

    /// Shows questions to Home Assistant. Where the broker is a device of this site, the way there is an edge of the box
    /// like any other, and who sets it up allows it.
    pub(super) fn show_at(
        &mut self,
        broker: Option<Broker>,
        by: &Author,
        graph: &mut Graph,
        now: Now,
    ) -> Result<Outcome, Refusal> {
        let change = self.household.show_at(broker)?;
        if let Some(broker) = self.household.broker() {
            allow_broker(broker, by, graph, now)?;
        }
        Ok(Outcome::Stored(value(&self.household.home_assistant()), vec![change]))
    }

    pub(super) fn wish(&mut self, edge: u32, by: &str, graph: &Graph, now: Now) -> Result<Outcome, Refusal> {
        if !waits(graph, edge) {
            return Err(refusal("not_found", "nothing waits for a decision there"));
        }
        let wish = Wish { edge, by: by.to_owned(), at: now.unix };
        self.wishes.retain(|known| known.edge != edge && waits(graph, known.edge));
        if self.wishes.len() == WISHES {
            self.wishes.remove(0);
        }
        self.wishes.push(wish.clone());
        Ok(Outcome::Told(Box::new(view::Event::EdgeWished(wish)), vec![self.store_wishes()]))
    }

    fn store_wishes(&self) -> Change {
        let value = serde_json::to_vec(&self.wishes).expect("wishes are plain data");
        Change::PutSetting { name: WISHES_SETTING, value: Some(value) }
    }

    /// What owners are asked to decide and still waits.
    pub(super) fn wishes(&mut self, graph: &Graph) -> &[Wish] {
        self.wishes.retain(|wish| waits(graph, wish.edge));
        &self.wishes
    }

    pub(super) fn certificate(
        &mut self,
        listening: Vec<SocketAddr>,
        graph: &mut Graph,
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
        door::tell_name(graph, now);
        self.listening = listening;
        Ok(Outcome::Is(value(&certificate)))
    }
}

/// The name that a phone or program is given, harmless to show.
fn name_of(text: &str) -> Result<String, Refusal> {
    let name = harmless(text, NAME_LIMIT);
    if name.is_empty() { Err(refusal("name_missing", "a phone or program needs a name")) } else { Ok(name) }
}

/// The device from which someone wants to be let in, if it is one; refused if nobody can hold it in their hands.
fn place_of(graph: &Graph, from: Option<IpAddr>) -> Result<Option<PrincipalId>, Refusal> {
    let at = from.and_then(|from| device_at(graph, from));
    if at.is_some_and(|at| !may_be_phone(graph, at)) {
        return Err(refusal("forbidden", "a device of this kind cannot be paired"));
    }
    Ok(at)
}

fn allow_broker(broker: &Broker, author: &Author, graph: &mut Graph, now: Now) -> Result<(), Refusal> {
    let to = broker.host.parse().ok().and_then(|address| device_at(graph, address));
    let Some(to) = to else { return Ok(()) };
    let port = broker.port;
    let user = broker.user.iter().map(|user| ("connect", format!("mqtt:{port}:user:{user}")));
    let needed = [
        ("connect", format!("tcp/{port}")),
        ("connect", format!("mqtt:{port}:client:{CLIENT_ID}")),
        ("subscribe", format!("mqtt:{port}:{COMMAND_TOPIC}")),
    ];
    let topics = STATE_TOPICS.map(|topic| ("publish", format!("mqtt:{port}:{topic}")));
    for (verb, object) in needed.into_iter().chain(topics).chain(user) {
        let spec = Spec {
            from: PrincipalId::SELF.0.to_string(),
            to: to.0.to_string(),
            plane: Plane::Packet.as_str().to_owned(),
            verb: verb.to_owned(),
            object,
            terms: Terms::NONE,
        };
        graph
            .decide_spec(&spec, decision::Answer::Allow, Lifetime::Always, author, now)
            .map_err(|refused| refusal(refused.code(), &refused.to_string()))?;
    }
    Ok(())
}

/// What waits, and the newest of it in words.
pub(super) fn waiting(graph: &Graph) -> Waiting {
    let open: Vec<_> = graph.edges().filter(|edge| edge.waits()).collect();
    let asked =
        |edge: &Edge| edge.flag.as_ref().filter(|_| edge.is_flagged()).map_or(edge.since, |flag| flag.since);
    let newest = open.iter().max_by_key(|edge| (asked(edge), edge.id));
    Waiting {
        count: open.len(),
        newest: newest.filter(|edge| edge.state == State::Pending).map(|edge| edge.id.0),
        sentence: newest.map(|edge| graph.sentence(edge)),
    }
}

fn waits(graph: &Graph, edge: u32) -> bool {
    graph.edge(EdgeId(edge)).is_some_and(Edge::waits)
}

/// Whether an edge waits for a decision and is stopped meanwhile.
pub(super) fn is_stopped(graph: &Graph, edge: u32) -> bool {
    graph.edge(EdgeId(edge)).is_some_and(|edge| edge.state == State::Pending)
}

#[cfg(test)]
mod tests;
