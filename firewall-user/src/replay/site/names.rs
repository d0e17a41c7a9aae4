//! Names that devices resolve, from the answers of resolvers that match their own questions.

use std::collections::{HashMap, HashSet};

use firewall_common::{
    abi::{Addr, Kind, PrincipalId},
    hash::HashKey,
    precedence::Outcome,
    wire::{
        Event, Sender,
        dns::{self, Data, Dns},
        frame::Frame,
        object::Object,
    },
};
use graph::{
    edge::Path,
    host::HostName,
    operation::{Operation, Plane, Verb},
};

use super::{Ends, Site};

/// Most questions that wait for their answers, of all devices.
const WAITING: usize = 4_096;
/// Most names of a chain of aliases.
const ALIASES: usize = 16;

/// Who asked, from which port, and the number of the question.
type Question = (Addr, u16, Addr, u16);

/// Questions that wait for their answers, and what would not have been answered.
#[derive(Debug, Default)]
pub(super) struct Resolver {
    asked: HashMap<Question, HostName>,
    /// Addresses that a device would not have been told, because its question would have been refused.
    withheld: HashSet<(PrincipalId, Addr)>,
}

impl Resolver {
    /// A device asks; the name.
    fn asked(&mut self, frame: &Frame, bytes: &[u8]) -> Option<HostName> {
        let (id, name) = question(payload(frame, bytes))?;
        if self.asked.len() < WAITING {
            self.asked.insert((frame.src, frame.src_port, frame.dst, id), name.clone());
        }
        Some(name)
    }

    /// Whether a device would not have come to know an address.
    pub(super) fn withholds(&self, device: PrincipalId, addr: Addr) -> bool {
        self.withheld.contains(&(device, addr))
    }

    /// A question passes or not, and so do the addresses that answer it.
    fn tell(&mut self, device: PrincipalId, addrs: &[Addr], passes: bool) {
        for addr in addrs {
            if passes {
                self.withheld.remove(&(device, *addr));
            } else if self.withheld.len() < WAITING {
                self.withheld.insert((device, *addr));
            }
        }
    }

    /// The name that a resolver answers, and the addresses that its chain of aliases leads to. Each question has one
    /// answer; what nobody asked for, and records of other names, are not believed.
    fn answered(&mut self, frame: &Frame, bytes: &[u8]) -> Option<(HostName, Vec<Addr>)> {
        let message = dns::Message::answer(payload(frame, bytes)).ok()?;
        let asked = self.asked.remove(&(frame.dst, frame.dst_port, frame.src, message.id()))?;
        let told = text(message.question())?;
        (told == asked.as_str() && message.code() == 0).then(|| (asked, addresses(&message, told)))
    }
}

impl Site {
    /// A device asks the resolver, which is an edge.
    pub(super) fn asks(&mut self, frame: &Frame, bytes: &[u8], src: PrincipalId) {
        let Some(name) = self.resolver.asked(frame, bytes) else { return };
        let ends = Ends { src, dst: PrincipalId::SELF, addr: Addr([0; 16]) };
        let text = name.to_string();
        self.judge(ends, resolves(&name), Kind::Resolve, frame.dst_port, text.as_bytes());
    }

    /// A resolver answers a device.
    pub(super) fn resolved(&mut self, frame: &Frame, bytes: &[u8]) {
        let Some(device) = self.neighbours.principal(frame.dst_mac) else { return };
        let Some((name, addrs)) = self.resolver.answered(frame, bytes) else { return };
        let (src, dst) = (device, PrincipalId::SELF);
        let path = Path { plane: Plane::Packet, src, dst, operation: resolves(&name) };
        let is_judged = self.is_judged(Ends { src, dst, addr: Addr([0; 16]) });
        let stops = is_judged && matches!(self.graph.outcome(&path, self.now()), Outcome::Stop(_));
        self.resolver.tell(device, &addrs, !stops);
        if !stops {
            self.graph.handle_resolved(device, &name, &addrs, self.now());
            self.carry_out();
        }
    }
}

/// The edge that a question for a name is.
fn resolves(name: &HostName) -> Operation {
    let domain = name.registrable().unwrap_or_else(|| name.clone());
    Operation { verb: Verb::Resolve, object: graph::operation::Object::Domain(domain) }
}

fn addresses(message: &dns::Message<'_>, asked: String) -> Vec<Addr> {
    let mut chain = vec![asked];
    let mut addrs = Vec::new();
    for record in message.answers().filter(|record| record.class == dns::IN) {
        let Some(owner) = text(record.owner) else { continue };
        if !chain.contains(&owner) {
            continue;
        }
        match record.data {
            Data::Address(addr) => addrs.push(addr),
            Data::Alias(name) if chain.len() < ALIASES => chain.extend(text(name)),
            Data::Alias(_) | Data::Other(_) => {}
        }
    }
    addrs
}

/// Number and name of a question.
fn question(payload: &[u8]) -> Option<(u16, HostName)> {
    let (mut machine, mut object) = (Dns::NEW, Object::EMPTY);
    let key = HashKey::from_random([0; 16]);
    let mut name = None;
    for &byte in payload {
        match machine.step(&mut object, byte, Sender::Client, &key) {
            Event::Object => name = std::str::from_utf8(object.text()).ok().map(HostName::parse),
            Event::Wrong(_) => return None,
            _ => {}
        }
    }
    Some((machine.id(), name?.ok()?))
}

fn text(name: dns::Name<'_>) -> Option<String> {
    let labels: Result<Vec<&[u8]>, _> = name.labels().collect();
    let text = labels.ok()?.join(&b'.');
    Some(String::from_utf8(text).ok()?.to_ascii_lowercase())
}

fn payload<'a>(frame: &Frame, bytes: &'a [u8]) -> &'a [u8] {
    let from = frame.payload as usize;
    bytes.get(from..from + frame.payload_len as usize).unwrap_or_default()
}
