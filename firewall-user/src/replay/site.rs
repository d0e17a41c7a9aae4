//! A site that captures tell of: the graph learns from some of them, and judges the others.
//!
//! What the kernel programs do on the wire is done here on the host, with what both share: the parsers, the essentials,
//! the table of who wins and the graph. A frame is given its [`neighbours`], a connection is [opened](flows) by an edge,
//! what is said on it is judged, and what the model does not hold becomes a fact for the graph. Nothing is dropped,
//! because it has happened: what would have been stopped is a [`Question`].
//!
//! The clock is that of the captures. A capture that begins before another one has ended is heard after it.

// Who is who.
mod names;
mod neighbours;

// Who opened what.
mod flows;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use firewall_common::{
    abi::{Addr, EdgeKey, Kind, OBJECT_CAP, Observed, ObservedKey, PrincipalId, Protocol},
    precedence::Outcome,
    reason::{Reason, Verdict},
    wire::{
        essential::Service,
        frame::{Frame, proto, tcp},
    },
};
use graph::{
    Command, Graph, Now, Settings,
    command::{Alarm, Event},
    decision::Author,
    edge::{EdgeId, Path, Stream},
    graph::{Fact, breaks_protocol},
    operation::{Operation, Plane, Verb},
    time::BootId,
    watch::Sign,
};
use serde::Serialize;

pub use self::neighbours::Gateway;
use self::{
    flows::{Flow, Flows},
    names::Resolver,
    neighbours::Neighbours,
};
use super::{
    Replay,
    capture::Packet,
    inventory::Inventory,
    record::{Message, Record, What},
    summary::Summary,
};

/// Between the end of a capture and the beginning of the next one, where their times do not say.
const BETWEEN_NS: u64 = 1_000_000_000;
/// Ethertypes below are lengths (IEEE 802.3, section 3.2.6).
const ETHERTYPES: u16 = 0x0600;

/// What the model would have asked about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Question {
    pub from: String,
    pub to: String,
    pub verb: &'static str,
    pub object: String,
    /// The property of the model that it violates.
    pub violated: &'static str,
    /// Why it would not pass, in words.
    pub reason: String,
    /// One sentence for people.
    pub sentence: String,
}

/// Edges that were tried, and those of them that would have been asked about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Tried {
    pub edges: usize,
    pub asked: usize,
}

/// A site.
#[derive(Debug)]
pub struct Site {
    graph: Graph,
    replay: Replay,
    /// The only device whose edges are judged, if one is named.
    subject: Option<[u8; 6]>,
    neighbours: Neighbours,
    flows: Flows,
    resolver: Resolver,
    /// What is added to the times of the capture, and the last time that was heard.
    shift: i128,
    last: u64,
    begun: bool,
    learns: bool,
    /// Edges that were tried since learning ended, and whether they ask.
    tried: BTreeMap<(PrincipalId, String, Operation), bool>,
    asked: BTreeSet<EdgeId>,
    alarms: Vec<(Alarm, Option<PrincipalId>)>,
    facts: u64,
    inventory: Inventory,
}

/// One end that a frame goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Ends {
    src: PrincipalId,
    dst: PrincipalId,
    /// Of the outside host, where `dst` has no number.
    addr: Addr,
}

impl Site {
    /// A site whose devices learn; with a subject, the others are only there.
    pub fn new(settings: Settings, subject: Option<[u8; 6]>) -> Self {
        // Learning ends when it is said, whatever the clock of the captures says.
        let settings = Settings {
            site_mode: graph::decision::SiteMode::Enforce,
            first_run: 0,
            learn_min: u64::MAX,
            learn_max: u64::MAX,
            ..settings
        };
        let mut graph = Graph::new(settings, Now::default());
        graph.handle_networks(neighbours::inside(), Now::default());
        Self {
            graph,
            replay: Replay::default(),
            subject,
            neighbours: Neighbours::default(),
            flows: Flows::default(),
            resolver: Resolver::default(),
            shift: 0,
            last: 0,
            begun: false,
            learns: true,
            tried: BTreeMap::new(),
            asked: BTreeSet::new(),
            alarms: Vec::new(),
            facts: 0,
            inventory: Inventory::default(),
        }
    }

    /// The next capture begins at this time, and this is who routes in it.
    pub fn begin(&mut self, first: u64, gateway: Gateway) {
        self.neighbours.routed_by(gateway.mac());
        self.flows = Flows::default();
        self.resolver = Resolver::default();
        let earliest = if self.begun { self.last + BETWEEN_NS } else { first };
        self.shift = i128::from(earliest.max(first)) - i128::from(first);
        self.begun = true;
    }

    /// Takes the next packet of the capture.
    pub fn packet(&mut self, packet: Packet, bytes: &[u8]) {
        let time = u64::try_from(i128::from(packet.time) + self.shift).unwrap_or(0);
        self.last = self.last.max(time);
        self.replay.packet(packet, bytes);
        if let Some((frame, bytes)) = self.replay.frame() {
            let (frame, bytes) = (*frame, bytes.to_vec());
            self.inventory.see(&frame, &bytes);
            self.frame(&frame, &bytes);
        }
        self.hear();
    }

    /// The capture is over.
    pub fn end(&mut self) {
        self.replay.finish();
        self.hear();
        self.graph.handle_timeout(self.now());
        self.carry_out();
    }

    /// From now on every device enforces what it has learned.
    pub fn finish_learning(&mut self) {
        let now = self.now();
        // Refused if nobody learns.
        let _decisions = self.graph.learn_finish(None, &Author::firewall(), now);
        self.learns = false;
        self.carry_out();
        self.tried.clear();
        self.asked.clear();
        self.alarms.clear();
    }

    /// What would have been asked since learning ended.
    pub fn questions(&self) -> Vec<Question> {
        let now = self.now();
        self.asked.iter().filter_map(|id| self.question(*id, now)).collect()
    }

    /// How many edges were tried since learning ended, and would have been asked about.
    pub fn tried(&self) -> Tried {
        Tried { edges: self.tried.len(), asked: self.tried.values().filter(|asks| **asks).count() }
    }

    /// Alarms since learning ended, with the title of whom they are about.
    pub fn alarms(&self) -> Vec<(Alarm, String)> {
        let title = |id: &Option<PrincipalId>| id.map_or_else(String::new, |id| self.title(id));
        self.alarms.iter().map(|(alarm, id)| (*alarm, title(id))).collect()
    }

    /// What the subject's maker declares beside its model.
    pub fn compare(&self, profile: &graph::mud::Profile) -> graph::mud::Comparison {
        let subject = self.subject.and_then(|mac| self.neighbours.principal(mac));
        subject.map_or_else(Default::default, |id| self.graph.compare(id, profile, self.now()))
    }

    /// The devices of all captures, and what each may be.
    pub const fn inventory(&self) -> &Inventory {
        &self.inventory
    }

    /// What the parsers counted.
    pub const fn summary(&self) -> &Summary {
        self.replay.summary()
    }

    /// The model.
    pub const fn graph(&self) -> &Graph {
        &self.graph
    }

    fn now(&self) -> Now {
        let unix = i64::try_from(self.last / 1_000_000_000).unwrap_or(i64::MAX);
        Now { boot: BootId([1; 16]), boot_ns: self.last, unix, synchronised: true }
    }

    fn title(&self, id: PrincipalId) -> String {
        self.graph.principal(id).map_or_else(String::new, graph::principal::Principal::title)
    }

    fn question(&self, id: EdgeId, now: Now) -> Option<Question> {
        let edge = self.graph.edge(id)?;
        let explanation = self.graph.explain(id, now)?;
        let Path { src, dst, operation, .. } = &edge.path;
        Some(Question {
            from: self.title(*src),
            to: self.title(*dst),
            verb: operation.verb.as_str(),
            object: operation.object_text(),
            violated: edge.violated.map_or("", graph::edge::Property::as_str),
            reason: explanation.because(),
            sentence: self.graph.sentence(edge),
        })
    }

    /// Judges a frame by its headers.
    fn frame(&mut self, frame: &Frame, bytes: &[u8]) {
        self.meet(frame, bytes);
        let src = self.neighbours.principal(frame.src_mac);
        // Frames of the gateway, and of a device that this graph has no room for.
        let src = src.unwrap_or(PrincipalId::UNKNOWN);
        if frame.version == 0 {
            return self.link(frame, src);
        }
        match frame.proto {
            proto::TCP | proto::UDP => self.transport(frame, bytes, src),
            proto::ICMP | proto::ICMP6 => self.icmp(frame, src),
            proto::IGMP => {}
            _ => self.open(frame, self.ends(frame, src), Operation::connect(frame.proto, 0)),
        }
    }

    /// Frames that are not IP: what a link needs is essential, every other ethertype is an edge by its number.
    fn link(&mut self, frame: &Frame, src: PrincipalId) {
        use firewall_common::wire::frame::ethertype;
        if matches!(frame.ethertype, ethertype::ARP | ethertype::EAPOL) || frame.ethertype < ETHERTYPES {
            return;
        }
        let dst = if frame.is_group() {
            PrincipalId::EVERYONE
        } else {
            self.neighbours.principal(frame.dst_mac).unwrap_or(PrincipalId::SELF)
        };
        let operation = Operation::ethertype(frame.ethertype);
        self.judge(Ends { src, dst, addr: Addr([0; 16]) }, operation, Kind::Link, frame.ethertype, &[]);
    }

    /// Errors belong to what they quote; echo with the box, neighbours and groups are essential.
    fn icmp(&mut self, frame: &Frame, src: PrincipalId) {
        let ends = self.ends(frame, src);
        let with_the_box = ends.src == PrincipalId::SELF || ends.dst == PrincipalId::SELF;
        let essential = match frame.proto {
            proto::ICMP6 => matches!(frame.flags, 130..=137 | 143) || frame.is_echo() && with_the_box,
            _ => frame.is_echo() && with_the_box || matches!(frame.flags, 5 | 9 | 10),
        };
        if essential || frame.is_error() {
            return;
        }
        if frame.is_echo() && self.flows.answers_echo(frame) {
            return;
        }
        self.open(frame, ends, Operation::connect(frame.proto, u16::from(frame.flags)));
    }

    fn transport(&mut self, frame: &Frame, bytes: &[u8], src: PrincipalId) {
        let now = self.last;
        if frame.proto == proto::UDP
            && let Some(service) = Service::of(frame.src_port, frame.dst_port)
            && (service.stays_on_link() || self.neighbours.is_server(frame, service))
        {
            if service == Service::Dns {
                self.asks(frame, bytes, src);
            }
            self.flows.essential(frame, now);
            return;
        }
        if frame.proto == proto::UDP && frame.src_port == 53 {
            self.resolved(frame, bytes);
        }
        if self.flows.goes_on(frame, now) {
            self.flows.note(frame, bytes, now);
            let ends = frame.proto == proto::TCP && frame.flags & (tcp::FIN | tcp::RST) != 0;
            if let Some(flow) = self.flows.of_frame(frame).filter(|_| ends) {
                self.sign(flow, Sign::Active(flow.number));
            }
            return;
        }
        let ends = self.ends(frame, src);
        match self.flows.opens(frame, now) {
            flows::Opens::No => {}
            flows::Opens::Forward => {
                let operation = Operation::connect(frame.proto, frame.dst_port);
                self.open(frame, ends, operation);
            }
            // The capture lacks the beginning: the other end has opened it.
            flows::Opens::Backward => {
                let turned = Frame {
                    src: frame.dst,
                    dst: frame.src,
                    src_port: frame.dst_port,
                    dst_port: frame.src_port,
                    src_mac: frame.dst_mac,
                    dst_mac: frame.src_mac,
                    flags: frame.flags & !tcp::SYN,
                    ..*frame
                };
                let src = self.neighbours.principal(turned.src_mac).unwrap_or(PrincipalId::UNKNOWN);
                let operation = Operation::connect(turned.proto, turned.dst_port);
                self.open(&turned, self.ends(&turned, src), operation);
            }
            // An answer to a question to everyone is the habit of who takes part in the group.
            flows::Opens::Answer(group) => {
                let own = Operation::connect(frame.proto, frame.dst_port);
                if self.is_own(ends, &own) {
                    return self.open(frame, ends, own);
                }
                let ends = Ends { dst: PrincipalId::EVERYONE, ..ends };
                self.open(frame, ends, Operation::connect(frame.proto, group));
            }
            flows::Opens::Related(flow) => self.flows.insert(frame, Flow { last: now, ..flow }),
        }
        self.flows.note(frame, bytes, now);
    }

    /// Whether somebody has decided about this edge, or it was learned.
    fn is_own(&self, ends: Ends, operation: &Operation) -> bool {
        let Ends { src, dst, .. } = ends;
        let path = Path { plane: Plane::Packet, src, dst, operation: operation.clone() };
        matches!(
            self.graph.outcome(&path, self.now()),
            Outcome::Pass | Outcome::Stop(Reason::EdgeDenied | Reason::Banned)
        )
    }

    /// Judges who opens a connection, and remembers it.
    fn open(&mut self, frame: &Frame, ends: Ends, operation: Operation) {
        let port = operation.end().map_or(0, |(_, port)| port);
        // Without an answer to its question the device would not have tried.
        let is_tried = !self.resolver.withholds(ends.src, ends.addr);
        let passes = is_tried && self.judge(ends, operation, Kind::Transport, port, &[]);
        self.flows.insert(frame, Flow { ends, port, passes, last: self.last, number: 0 });
    }

    /// Takes what the parsers found in this packet.
    fn hear(&mut self) {
        while let Some(record) = self.replay.next_record() {
            self.record(&record);
        }
        self.carry_out();
    }

    fn record(&mut self, record: &Record) {
        let (Some(src), Some(dst)) = (record.src, record.dst) else { return };
        match &record.what {
            What::Connection { protocol, .. } => {
                let Some((flow, true)) = self.flows.of(proto::TCP, src, dst) else { return };
                self.speaks(flow, *protocol);
            }
            What::Message(message) => {
                let ip_proto = if message.protocol == Protocol::Coap { proto::UDP } else { proto::TCP };
                let Some((flow, from_client)) = self.flows.of(ip_proto, src, dst) else { return };
                self.message(flow, from_client, message);
            }
            What::Stop { reason, .. } if breaks_protocol(*reason) => {
                let Some((flow, true)) = self.flows.of(proto::TCP, src, dst) else { return };
                self.sign(flow, Sign::Malformed(1));
            }
            What::Stop { .. } | What::Frame { .. } | What::Gap => {}
        }
    }

    fn speaks(&mut self, flow: Flow, protocol: Protocol) {
        if !flow.passes {
            return;
        }
        let operation = Operation::speaks(proto::TCP, flow.port, protocol);
        self.judge(flow.ends, operation, Kind::Speaks, flow.port, protocol.as_str().as_bytes());
    }

    fn message(&mut self, flow: Flow, from_client: bool, message: &Message) {
        self.watch(flow, from_client, message);
        if !flow.passes || !from_client {
            return;
        }
        let Some(verb) = message.verb else { return };
        if let Some(object) = &message.object {
            self.say(flow, message.protocol, verb, object);
        }
        if let Some(user) = message.fields.get("user").and_then(serde_json::Value::as_str) {
            self.operation(flow, Kind::MqttUser, user.as_bytes());
        }
    }

    /// What a message is a sign of, whatever the model says about it.
    fn watch(&mut self, flow: Flow, from_client: bool, message: &Message) {
        let refused = message.fields.contains_key("refused");
        let sign = match (message.protocol, from_client, message.name) {
            (_, false, _) if refused => Sign::LoginRefused(1),
            (Protocol::Mqtt, false, "CONNACK") => Sign::LoginAccepted,
            (Protocol::Mqtt, true, "CONNECT") => Sign::Opened(flow.number),
            (Protocol::Mqtt, true, _) => Sign::Active(flow.number),
            (_, _, _) => return,
        };
        self.sign(flow, sign);
        if refused {
            self.sign(flow, Sign::Active(flow.number));
        }
        if message.protocol == Protocol::Mqtt && from_client && message.part == 0 {
            let (src, dst) = (flow.ends.src, self.dst_of(flow.ends));
            let stream = Stream { src, dst, proto: proto::TCP, port: flow.port };
            self.graph.handle_messages(stream, 1, self.now());
        }
    }

    fn sign(&mut self, flow: Flow, sign: Sign) {
        let dst = self.dst_of(flow.ends);
        self.graph.handle_sign(flow.ends.src, dst, sign, self.now());
    }

    /// Who is meant, now that a connection may have given its outside host a number.
    fn dst_of(&self, ends: Ends) -> PrincipalId {
        match ends.dst {
            PrincipalId::UNKNOWN => self.graph.destination(ends.src, ends.addr, self.now()),
            known => known,
        }
    }

    fn say(&mut self, flow: Flow, protocol: Protocol, verb: Verb, object: &str) {
        let kind = match (protocol, verb) {
            (Protocol::Mqtt, Verb::Connect) => Kind::MqttConnect,
            (Protocol::Mqtt, Verb::Subscribe) => Kind::MqttSubscribe,
            (Protocol::Mqtt, _) => Kind::MqttPublish,
            (Protocol::Http, Verb::Get) => Kind::HttpGet,
            (Protocol::Http, Verb::Delete) => Kind::HttpDelete,
            (Protocol::Http, _) => Kind::HttpSet,
            (Protocol::Coap, Verb::Get) => Kind::CoapGet,
            (Protocol::Coap, Verb::Delete) => Kind::CoapDelete,
            (Protocol::Coap, Verb::Subscribe) => Kind::CoapObserve,
            (Protocol::Coap, _) => Kind::CoapSet,
            (Protocol::Modbus, Verb::Write) => Kind::ModbusWrite,
            (Protocol::Modbus, _) => Kind::ModbusRead,
            (Protocol::Tls, _) => Kind::TlsName,
            (
                Protocol::Dns
                | Protocol::Ntp
                | Protocol::Ssdp
                | Protocol::Dtls
                | Protocol::Quic
                | Protocol::Websocket
                | Protocol::Opaque,
                _,
            ) => return,
        };
        self.operation(flow, kind, object.as_bytes());
    }

    fn operation(&mut self, flow: Flow, kind: Kind, object: &[u8]) {
        let ip_proto = match kind {
            Kind::CoapGet | Kind::CoapSet | Kind::CoapDelete | Kind::CoapObserve => proto::UDP,
            _ => proto::TCP,
        };
        // What cannot be read is a reason of its own, not a question.
        if let Ok(Some(operation)) = Operation::from_wire(kind, ip_proto, flow.port, object) {
            self.judge(flow.ends, operation, kind, flow.port, object);
        }
    }

    /// Asks the model, and tells the graph what the model does not hold; whether it would pass.
    fn judge(&mut self, ends: Ends, operation: Operation, kind: Kind, port: u16, object: &[u8]) -> bool {
        if !self.is_judged(ends) {
            return true;
        }
        let now = self.now();
        let dst = self.dst_of(ends);
        let proto = match kind {
            Kind::Resolve => proto::UDP,
            _ => operation.end().map_or(0, |(proto, _)| proto),
        };
        let path = Path { plane: Plane::Packet, src: ends.src, dst, operation };
        let (verdict, reason) = match self.graph.outcome(&path, now) {
            Outcome::Pass if kind != Kind::Speaks => {
                self.try_edge(ends, path, false);
                return true;
            }
            Outcome::Pass => (Verdict::Forwarded, Reason::InModel),
            Outcome::Learn => (Verdict::Forwarded, Reason::Learned),
            Outcome::Stop(_) if kind == Kind::Speaks => (Verdict::Dropped, Reason::ProtoChanged),
            Outcome::Stop(reason) => (Verdict::Dropped, reason),
        };
        let edge = EdgeKey { src: ends.src, dst, port, proto, kind: kind as u8 };
        let asks = self.tell(edge, ends.addr, object, verdict, reason);
        self.try_edge(ends, path, asks);
        !asks
    }

    /// Hands a fact to the graph; whether it asks.
    fn tell(&mut self, edge: EdgeKey, addr: Addr, object: &[u8], verdict: Verdict, reason: Reason) -> bool {
        self.facts += 1;
        let mut bytes = [0; OBJECT_CAP];
        let length = object.len().min(OBJECT_CAP);
        bytes[..length].copy_from_slice(&object[..length]);
        let key = ObservedKey { addr, object: self.facts, edge, _pad: 0 };
        let value = Observed {
            count: 1,
            first: self.last,
            last: self.last,
            verdict: verdict as u8,
            reason: reason as u8,
            object_len: u16::try_from(object.len()).unwrap_or(u16::MAX),
            ifindex: neighbours::IFINDEX,
            object: bytes,
        };
        let before = self.asked.len();
        self.graph.handle_observed(&Fact { key, value }, self.now());
        self.carry_out();
        self.asked.len() > before || verdict == Verdict::Dropped
    }

    fn try_edge(&mut self, ends: Ends, path: Path, asks: bool) {
        let dst = if path.dst == PrincipalId::UNKNOWN { self.dst_of(ends) } else { path.dst };
        let to = if dst == PrincipalId::UNKNOWN { format!("{:?}", ends.addr) } else { dst.0.to_string() };
        let entry = self.tried.entry((ends.src, to, path.operation)).or_default();
        *entry |= asks;
    }

    /// Whether a device that is judged is at one of the ends.
    fn is_judged(&self, ends: Ends) -> bool {
        let is_device = |id| self.graph.principal(id).is_some_and(graph::principal::Principal::is_device);
        match self.subject {
            Some(mac) => {
                let subject = self.neighbours.principal(mac);
                subject == Some(ends.src) || subject == Some(ends.dst)
            }
            None => is_device(ends.src) || is_device(ends.dst),
        }
    }

    /// Who a frame is from and for.
    fn ends(&self, frame: &Frame, src: PrincipalId) -> Ends {
        let none = Addr([0; 16]);
        if frame.is_group() || frame.dst.is_everyone() {
            return Ends { src, dst: PrincipalId::EVERYONE, addr: none };
        }
        if neighbours::is_outside(frame.src) {
            let dst = self.neighbours.principal(frame.dst_mac).unwrap_or(PrincipalId::SELF);
            return Ends { src: PrincipalId::UNKNOWN, dst, addr: frame.src };
        }
        let src = if src == PrincipalId::UNKNOWN { PrincipalId::SELF } else { src };
        if neighbours::is_inside(frame.dst) {
            let dst = self.neighbours.principal(frame.dst_mac).unwrap_or(PrincipalId::SELF);
            return Ends { src, dst, addr: none };
        }
        Ends { src, dst: self.graph.destination(src, frame.dst, self.now()), addr: frame.dst }
    }

    /// Does what the graph wants.
    fn carry_out(&mut self) {
        let mut events = VecDeque::new();
        while let Some(command) = self.graph.next_command() {
            match command {
                Command::PutMac { mac, id, .. } => self.neighbours.registered(mac, id),
                Command::RemoveMac { mac, .. } => self.neighbours.forgotten(mac),
                Command::Notify(event) => events.push_back(event),
                // There are no maps and no disk: the graph itself is asked.
                _ => {}
            }
        }
        for event in events {
            match event {
                Event::EdgePending(id) => {
                    self.asked.insert(id);
                }
                Event::Alarm { alarm, principal } => self.alarms.push((alarm, principal)),
                _ => {}
            }
        }
    }
}
