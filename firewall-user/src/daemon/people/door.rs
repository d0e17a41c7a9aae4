//! The door to the page: which devices reach it.
//!
//! To the firewall it is an edge to the box like any other, with three rules of its own: nobody learns it; where someone is
//! paired it is allowed for as long as that session lasts; and while a code is open, it is allowed to every device that may
//! be a phone and is new, known as one, or asks. The page's process asks here before it speaks with anyone
//! ([`admits`]): in mode monitor, and for the first connection of a device that learns, the firewall stops nothing.

use std::net::{IpAddr, SocketAddr};

use firewall_common::{abi::PrincipalId, precedence::Mode, wire::frame::proto};
use graph::{
    Graph, Now,
    command::Event,
    decision::{Answer, Author, Lifetime, Refused, Terms},
    edge::{Edge, EdgeId, State},
    graph::Spec,
    operation::{Name, Object, Operation, Plane, Verb},
    principal::{Kind, Principal},
};

use crate::mdns;

/// Shortest and longest time for which an edge can be allowed, in seconds.
const TIMES: (u32, u32) = (60, 43_200);
/// Devices for which the door is opened before they ask.
const EXPECTED: usize = 64;

/// Where the page is served to devices, and what happened there.
#[derive(Debug, Default)]
pub(in crate::daemon) struct Door {
    ports: Vec<u16>,
    edges: Vec<EdgeId>,
    newcomers: Vec<PrincipalId>,
}

impl Door {
    /// The page is served here from now on.
    pub(super) fn serve_at(&mut self, listening: &[SocketAddr], graph: &Graph) {
        let mut ports: Vec<u16> = listening.iter().map(SocketAddr::port).collect();
        ports.sort_unstable();
        ports.dedup();
        if ports != self.ports {
            self.ports = ports;
            // What was learned of these before anybody knew what they are, and who waits for a code that is open already.
            self.open(graph);
        }
    }

    /// Remembers who asks to come in, and who is new here.
    pub(in crate::daemon) fn note(&mut self, event: &Event, graph: &Graph) {
        if let Event::EdgePending(id) | Event::EdgeChanged(id) = event
            && graph.edge(*id).is_some_and(|edge| self.is_way_in(edge))
        {
            self.edges.push(*id);
        }
        if let Event::PrincipalAdded(id) = event
            && self.newcomers.len() < EXPECTED
        {
            self.newcomers.push(*id);
        }
    }

    /// A code was made: whoever is expected, or has asked already, need not ask again.
    pub(super) fn open(&mut self, graph: &Graph) {
        self.edges = self.ways_in(graph).map(|edge| edge.id).collect();
        let expected = graph.principals().filter(|principal| {
            let is_known = matches!(principal.kind, Kind::Phone | Kind::Computer);
            principal.is_device() && (is_known || principal.mode == Mode::New)
        });
        self.newcomers = expected.take(EXPECTED).map(|principal| principal.id).collect();
    }

    /// Looks at what was noted; whether the graph has something to do now. `open` is for how many seconds a code can still
    /// be used.
    pub(super) fn keep(&mut self, graph: &mut Graph, open: Option<u32>, now: Now) -> bool {
        let (edges, newcomers) = (std::mem::take(&mut self.edges), std::mem::take(&mut self.newcomers));
        let mut has_changed = false;
        let for_now = open.map(|seconds| Lifetime::For(seconds.clamp(TIMES.0, TIMES.1)));
        for id in edges {
            let Some(edge) = graph.edge(id) else { continue };
            let (src, is_learned) = (edge.path.src, edge.state == State::Learned);
            let waits = matches!(edge.state, State::Pending | State::Learned);
            let author = Author::firewall();
            let done = match for_now {
                Some(lifetime) if waits && may_be_phone(graph, src) => {
                    graph.decide(id, Answer::Allow, lifetime, &author, None, now)
                }
                Some(_) | None if is_learned => graph.remove_edge(id, &author, now),
                Some(_) | None => continue,
            };
            has_changed |= told(&done);
        }
        if let Some(lifetime) = for_now {
            for id in newcomers {
                has_changed |= self.let_in(graph, id, lifetime, &Author::firewall(), now);
            }
        }
        has_changed
    }

    /// Allows a device to reach the page, unless it is none that may or someone has denied it; whether anything changed.
    pub(super) fn let_in(
        &self,
        graph: &mut Graph,
        src: PrincipalId,
        lifetime: Lifetime,
        author: &Author,
        now: Now,
    ) -> bool {
        if !may_be_phone(graph, src) {
            return false;
        }
        let mut has_changed = false;
        for way in self.ports.iter().flat_map(|port| ways(*port)) {
            let is_it = |edge: &&Edge| {
                let path = &edge.path;
                path.src == src && path.dst == PrincipalId::SELF && path.operation == way
            };
            let stands = graph.edges().find(is_it).is_some_and(|edge| match &edge.state {
                State::Allowed(ruling) => ruling.lifetime == Lifetime::Always || ruling.lifetime == lifetime,
                State::Denied(_) => true,
                State::Learned | State::Pending | State::Lapsed => false,
            });
            if stands {
                continue;
            }
            let spec = Spec {
                from: src.0.to_string(),
                to: PrincipalId::SELF.0.to_string(),
                plane: Plane::Packet.as_str().to_owned(),
                verb: way.verb.as_str().to_owned(),
                object: way.object_text(),
                terms: Terms::NONE,
            };
            has_changed |= told(&graph.decide_spec(&spec, Answer::Allow, lifetime, author, now));
        }
        has_changed
    }

    /// Nobody is paired there any more.
    pub(super) fn shut(&self, graph: &mut Graph, src: PrincipalId, author: &Author, now: Now) {
        let is_allowed = |edge: &&Edge| edge.path.src == src && matches!(edge.state, State::Allowed(_));
        let allowed: Vec<EdgeId> = self.ways_in(graph).filter(is_allowed).map(|edge| edge.id).collect();
        for id in allowed {
            told(&graph.remove_edge(id, author, now));
        }
    }

    fn ways_in<'g>(&self, graph: &'g Graph) -> impl Iterator<Item = &'g Edge> {
        graph.edges().filter(|edge| self.is_way_in(edge))
    }

    fn is_way_in(&self, edge: &Edge) -> bool {
        self.ports.iter().any(|port| is_port(edge, *port))
    }
}

/// Lets the page's process tell everyone the box's name ([`crate::mdns`]), unless a person has decided about it.
pub(super) fn tell_name(graph: &mut Graph, now: Now) {
    let way = Operation::connect(proto::UDP, mdns::PORT);
    let is_it = |edge: &Edge| {
        let path = &edge.path;
        path.src == PrincipalId::SELF && path.dst == PrincipalId::EVERYONE && path.operation == way
    };
    let stands = |edge: &Edge| is_it(edge) && matches!(edge.state, State::Allowed(_) | State::Denied(_));
    if graph.edges().any(stands) {
        return;
    }
    let spec = Spec {
        from: PrincipalId::SELF.0.to_string(),
        to: PrincipalId::EVERYONE.0.to_string(),
        plane: Plane::Packet.as_str().to_owned(),
        verb: way.verb.as_str().to_owned(),
        object: way.object_text(),
        terms: Terms::NONE,
    };
    told(&graph.decide_spec(&spec, Answer::Allow, Lifetime::Always, &Author::firewall(), now));
}

/// Whether the page speaks at this port with whoever has this address. An address of no device came through an interface
/// that is not protected, or is this machine's own.
pub(super) fn admits(graph: &Graph, from: IpAddr, port: u16, is_open: bool, now: Now) -> bool {
    let Some(src) = device_at(graph, from) else { return true };
    let is_let_in = |edge: &Edge| {
        edge.path.src == src
            && is_port(edge, port)
            && edge.is_transport()
            && matches!(edge.state, State::Allowed(_))
            && edge.passes(now)
    };
    may_be_phone(graph, src) && (is_open || graph.edges().any(is_let_in))
}

/// The device that has shown this address.
pub(super) fn device_at(graph: &Graph, from: IpAddr) -> Option<PrincipalId> {
    let id = graph.find(&from.to_canonical().to_string()).ok()?;
    graph.principal(id).filter(|principal| principal.is_device()).map(|principal| principal.id)
}

/// Whether someone may hold the device in their hands: not a thing that works by itself.
pub(super) fn may_be_phone(graph: &Graph, id: PrincipalId) -> bool {
    let may = |principal: &Principal| {
        principal.mode != Mode::Quarantine
            && matches!(principal.kind, Kind::Unknown | Kind::Phone | Kind::Computer | Kind::Other)
    };
    graph.principal(id).is_some_and(may)
}

/// What a browser needs at a port of the page: a connection, and in it TLS, whatever name it shows.
fn ways(port: u16) -> [Operation; 2] {
    let tls = Operation { verb: Verb::Connect, object: Object::ServerName { port, name: Name::Any } };
    [Operation::connect(proto::TCP, port), tls]
}

fn is_port(edge: &Edge, wanted: u16) -> bool {
    edge.path.dst == PrincipalId::SELF
        && match edge.path.operation.object {
            Object::Port { proto: proto::TCP, port } | Object::ServerName { port, .. } => port == wanted,
            _ => false,
        }
}

/// Whether it was done; where it could not be, the device stays outside, which is safe.
fn told<T>(done: &Result<T, Refused>) -> bool {
    if let Err(error) = done {
        tracing::warn!(%error, "The page stays shut for a device");
    }
    done.is_ok()
}

#[cfg(test)]
mod tests;
