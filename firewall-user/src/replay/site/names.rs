//! Names that devices resolve, from the answers of resolvers that match their own questions.

use std::collections::HashMap;

use firewall_common::{
    abi::Addr,
    hash::HashKey,
    wire::{
        Event, Sender,
        dns::{self, Data, Dns},
        frame::Frame,
        object::Object,
    },
};
use graph::host::HostName;

use super::Site;

/// Most questions that wait for their answers, of all devices.
const WAITING: usize = 4_096;
/// Most names of a chain of aliases.
const ALIASES: usize = 16;

/// Who asked, from which port, and the number of the question.
type Question = (Addr, u16, Addr, u16);

/// Questions that wait for their answers.
#[derive(Debug, Default)]
pub(super) struct Resolver(HashMap<Question, HostName>);

impl Resolver {
    /// A device asks.
    pub(super) fn asked(&mut self, frame: &Frame, bytes: &[u8]) {
        if let Some((id, name)) = question(payload(frame, bytes))
            && self.0.len() < WAITING
        {
            self.0.insert((frame.src, frame.src_port, frame.dst, id), name);
        }
    }

    /// The name that a resolver answers, and the addresses that its chain of aliases leads to. Each question has one
    /// answer; what nobody asked for, and records of other names, are not believed.
    fn answered(&mut self, frame: &Frame, bytes: &[u8]) -> Option<(HostName, Vec<Addr>)> {
        let message = dns::Message::answer(payload(frame, bytes)).ok()?;
        let asked = self.0.remove(&(frame.dst, frame.dst_port, frame.src, message.id()))?;
        let told = text(message.question())?;
        (told == asked.as_str() && message.code() == 0).then(|| (asked, addresses(&message, told)))
    }
}

impl Site {
    /// A resolver answers a device.
    pub(super) fn resolved(&mut self, frame: &Frame, bytes: &[u8]) {
        let Some(device) = self.neighbours.principal(frame.dst_mac) else { return };
        if let Some((name, addrs)) = self.resolver.answered(frame, bytes) {
            self.graph.handle_resolved(device, &name, &addrs, self.now());
            self.carry_out();
        }
    }
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
