//! From a frame to the clues in it.

use firewall_common::hash::HashKey;
use firewall_common::wire::dns::{self, Data};
use firewall_common::wire::essential::Service;
use firewall_common::wire::frame::{Frame, proto};
use firewall_common::wire::object::Object;
use firewall_common::wire::ssdp::{Header, Message, Ssdp};
use firewall_common::wire::{Event, dhcp};

use super::Clue;
use crate::principal::Hint;

const SSDP: u16 = 1_900;
const MDNS: u16 = 5_353;
/// Most records of an announcement that are looked at.
const RECORDS: usize = 64;
/// Longest message that is read.
const MESSAGE_CAP: usize = 2_048;

/// Whether a frame may have clues: the few that devices write to everyone.
pub const fn is_worth_reading(frame: &Frame) -> bool {
    let dhcp = frame.src_port == 68 && frame.dst_port == 67;
    let multicast = frame.src_port == MDNS && frame.dst_port == MDNS;
    let ssdp = frame.src_port == SSDP || frame.dst_port == SSDP;
    frame.proto == proto::UDP && (dhcp || multicast || ssdp)
}

/// What a device says of itself in a frame, of which these are all bytes.
pub fn clues(frame: &Frame, bytes: &[u8]) -> Vec<Clue> {
    let from = frame.payload as usize;
    let payload = bytes.get(from..from + frame.payload_len as usize).unwrap_or_default();
    if !is_worth_reading(frame) || payload.len() > MESSAGE_CAP {
        return Vec::new();
    }
    match Service::of(frame.src_port, frame.dst_port) {
        Some(Service::DhcpClient) => dhcp_clues(payload),
        _ if frame.src_port == MDNS => mdns_clues(payload),
        _ => ssdp_clues(payload),
    }
}

fn dhcp_clues(payload: &[u8]) -> Vec<Clue> {
    let bytes = &payload;
    if !dhcp::is(bytes, 0, dhcp::Op::Request) {
        return Vec::new();
    }
    let value = |code: u8| {
        let (at, length) = dhcp::option_of(bytes, 0, code)?;
        payload.get(at as usize..at as usize + usize::from(length)).filter(|value| !value.is_empty())
    };
    let text = |code: u8| value(code).map(|value| String::from_utf8_lossy(value).into_owned());
    [
        value(dhcp::HOST_NAME).and_then(Hint::from_wire).map(Clue::HostName),
        text(dhcp::VENDOR_CLASS).map(Clue::VendorClass),
        value(dhcp::PARAMETERS).map(|list| Clue::Parameters(list.to_vec())),
        value(dhcp::CLIENT_ID).map(|id| Clue::ClientId(id.to_vec())),
        text(dhcp::MUD_URL).map(Clue::MudUrl),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Names and services of an announcement; what a question names is somebody else's.
fn mdns_clues(payload: &[u8]) -> Vec<Clue> {
    let is_response = payload.get(2).is_some_and(|flags| flags & 0x80 != 0);
    let Some(message) = dns::Message::multicast(payload).ok().filter(|_| is_response) else {
        return Vec::new();
    };
    let clue = |record: dns::Record<'_>| {
        let labels: Vec<&[u8]> = record.owner.labels().collect::<Result<_, _>>().ok()?;
        match (record.data, &labels[..]) {
            (Data::Address(_), [name, b"local"]) => Hint::from_wire(name).map(Clue::HostName),
            (_, [.., service, transport, b"local"])
                if service.starts_with(b"_") && matches!(*transport, b"_tcp" | b"_udp") =>
            {
                let name = [*service, *transport].join(&b'.');
                Some(Clue::Service(String::from_utf8_lossy(&name).into_owned()))
            }
            (_, _) => None,
        }
    };
    message.answers().take(RECORDS).filter_map(clue).collect()
}

/// What an announcement or an answer says that it is; a search names what somebody else should be.
fn ssdp_clues(payload: &[u8]) -> Vec<Clue> {
    let (mut machine, mut object) = (Ssdp::NEW, Object::EMPTY);
    // The hash is not used here.
    let key = HashKey::from_random([0; 16]);
    let mut clues = Vec::new();
    for &byte in payload {
        match machine.step(&mut object, byte, &key) {
            Event::Wrong(_) => return Vec::new(),
            Event::Object if machine.message() != Message::Search && machine.header() == Header::Target => {
                clues.push(Clue::Target(String::from_utf8_lossy(object.text()).into_owned()));
            }
            _ => {}
        }
    }
    if let Event::Wrong(_) = machine.finish() { Vec::new() } else { clues }
}
