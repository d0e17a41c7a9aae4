//! What the connections of a transport speak: a part of the edge.

use firewall_common::abi::Protocol;
use firewall_common::precedence::{Outcome, RuleState};
use firewall_common::reason::{Reason, Verdict};

use super::{Fact, Graph};
use crate::command::Event;
use crate::edge::{Edge, Path, State, Stream};
use crate::operation::{Layer, TCP};
use crate::time::Now;

/// One bit for each protocol.
const ALL: u16 = {
    let mut bits = 0;
    let mut at = 0;
    while at < Protocol::ALL.len() {
        bits |= Protocol::ALL[at].bit();
        at += 1;
    }
    bits
};

impl Graph {
    /// What the connections of a transport may speak, as bits; 0 is whatever the next one begins with.
    ///
    /// Ports for MQTT speak it from the start. Without a word about any protocol, the messages that are in the model say
    /// which one is meant; where people have only said what a connection must not speak, everything else is left.
    pub(crate) fn speaks(&self, stream: Stream, now: Now) -> u16 {
        let (mut passing, mut stopped, mut meant) = (0, 0, 0);
        for edge in self.edges_from(stream.src).filter(|edge| edge.path.dst == stream.dst) {
            let operation = &edge.path.operation;
            let Some(protocol) = operation.protocol().filter(|_| edge.path.stream() == Some(stream)) else {
                continue;
            };
            match (operation.layer(), edge.passes(now)) {
                (Layer::Protocol, true) => passing |= protocol.bit(),
                (Layer::Protocol, false) if edge.decided => stopped |= protocol.bit(),
                (Layer::Message, true) => meant |= protocol.bit(),
                (Layer::Transport | Layer::Protocol | Layer::Message | Layer::Name, _) => {}
            }
        }
        if self.is_mqtt(stream) {
            passing |= Protocol::Mqtt.bit() & !stopped;
        }
        match (passing, meant & !stopped) {
            (0, 0) if stopped != 0 => ALL & !stopped,
            (0, meant) => meant,
            (passing, _) => passing,
        }
    }

    fn is_mqtt(&self, stream: Stream) -> bool {
        stream.proto == TCP && self.settings.mqtt_ports.contains(&stream.port)
    }

    /// Whether a transport would carry MQTT beside something that is looked into as well: both would be judged by the
    /// same rules.
    pub(super) fn mixes_protocols(&self, path: &Path, now: Now) -> bool {
        let (Some(stream), Some(protocol)) = (path.stream(), path.operation.protocol()) else { return false };
        let others = [Protocol::Http, Protocol::Coap, Protocol::Modbus, Protocol::Tls];
        let others = others.iter().fold(0, |bits, other| bits | other.bit());
        let mut bits = if self.is_mqtt(stream) { Protocol::Mqtt.bit() } else { 0 };
        for edge in self.edges_from(stream.src) {
            let is_here = edge.path.stream() == Some(stream) && edge.path.operation != path.operation;
            if let Some(known) = edge.path.operation.protocol().filter(|_| is_here && edge.passes(now)) {
                bits |= known.bit();
            }
        }
        match protocol {
            Protocol::Mqtt => bits & others != 0,
            protocol => others & protocol.bit() != 0 && bits & Protocol::Mqtt.bit() != 0,
        }
    }

    /// The kernel has recognised what a connection speaks.
    ///
    /// The first protocol of a transport in the model becomes part of the edge. Another one is asked about, unless the
    /// source learns.
    pub(super) fn observe_protocol(&mut self, path: Path, fact: &Fact, now: Now) {
        let known = self.index.edges.get(&path).copied();
        let settled = |edge: &&Edge| match edge.state {
            State::Learned | State::Allowed(_) | State::Denied(_) => true,
            State::Pending | State::Lapsed => false,
        };
        if let Some(id) = known.filter(|id| self.edges.get(id).as_ref().is_some_and(settled)) {
            self.count(id, fact, now);
            return;
        }
        let (Some(stream), Some(protocol)) = (path.stream(), path.operation.protocol()) else { return };
        if protocol == Protocol::Mqtt
            && self.is_mqtt(stream)
            && self.speaks(stream, now) & protocol.bit() != 0
        {
            // As the configuration says; there is nothing to learn.
            return;
        }
        let passes = self.edge_with(&stream.path()).is_some_and(|transport| transport.passes(now));
        let row = self.row(path.src, path.dst, RuleState::Absent);
        let speaks = self.speaks(stream, now);
        let went_on =
            matches!(Verdict::from_code(fact.value.verdict), Some(Verdict::Forwarded | Verdict::Audit));
        let is_first = passes && went_on && (speaks == 0 || speaks == protocol.bit());
        let learns = matches!(row.outcome, Outcome::Learn) && self.learns(path.src);
        if self.mixes_protocols(&path, now) {
            return self.pend(path, fact, now);
        }
        if is_first {
            return self.take_protocol(path, fact, now);
        }
        match row.outcome {
            Outcome::Learn if learns => self.learn(path, fact, now),
            Outcome::Stop(Reason::Quarantine | Reason::Banned | Reason::GuestInside) | Outcome::Pass => {
                let (src, dst, object) = (path.src, path.dst, path.operation.object_text());
                self.note(fact, src, dst, Some(&path.operation), object, now);
            }
            Outcome::Learn | Outcome::Stop(_) if passes => self.pend(path, fact, now),
            // Nothing is said yet about the connection itself.
            Outcome::Learn | Outcome::Stop(_) => {
                let (src, dst, object) = (path.src, path.dst, path.operation.object_text());
                self.note(fact, src, dst, Some(&path.operation), object, now);
            }
        }
    }

    /// Makes the first protocol of a transport a part of it, whoever put the transport into the model.
    fn take_protocol(&mut self, path: Path, fact: &Fact, now: Now) {
        if !self.index.edges.contains_key(&path) && !self.room_for_edge(now) {
            return self.overflow(path.src, 1, now);
        }
        let id = self.edge_at(path, now);
        self.set_state(id, State::Learned, now);
        self.count(id, fact, now);
        self.save_edge(id, now);
        self.tell_edge(id, now);
        self.notify(Event::EdgeChanged(id));
    }
}
