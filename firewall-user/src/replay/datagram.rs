//! Datagrams: each one is read alone, by the protocol of its port or by its first bytes.

use firewall_common::{
    abi::{Kind, Protocol},
    reason::Reason,
    wire::{
        Bytes, Event, Note, Sender, coap,
        dns::{self, kind},
        dtls,
        frame::Frame,
        ntp,
        object::Object,
        quic, ssdp,
    },
};
use graph::operation::Verb;

use super::{
    record::Message,
    speech::{Draft, key},
};

/// Bytes of the header of UDP.
const UDP_HEADER: u32 = 8;

/// Ports that stand for a protocol.
const DNS: u16 = 53;
const NTP: u16 = 123;
const SSDP: u16 = 1900;
const MDNS: u16 = 5353;
const COAP: u16 = 5683;

/// What a datagram says, and in which protocol.
pub(super) struct Heard {
    pub(super) protocol: Protocol,
    pub(super) result: Result<Vec<Message>, Reason>,
}

/// Reads the datagram in a frame.
pub(super) fn read(frame: &Frame, bytes: &[u8]) -> Heard {
    let Frame { src_port, dst_port, transport, .. } = *frame;
    // Not the end of the packet: a receiver reads no further than the datagram says (RFC 768).
    let length = bytes.load::<2>(transport + 4).map_or(0, u16::from_be_bytes);
    let payload_len = u32::from(length).saturating_sub(UDP_HEADER).min(frame.payload_len);
    let frame = &Frame { payload_len, ..*frame };
    let payload = bytes
        .get(frame.payload as usize..)
        .and_then(|rest| rest.get(..frame.payload_len as usize))
        .unwrap_or_default();
    // A question goes to the port of its service, an answer comes from there; between two such ports only the datagram
    // itself says which one it is.
    let of = |port: u16| match (src_port == port, dst_port == port) {
        (false, true) => Some(Ends::Known(Sender::Client)),
        (true, false) => Some(Ends::Known(Sender::Server)),
        (true, true) => Some(Ends::Alike),
        (false, false) => None,
    };
    let (protocol, result) = if of(MDNS).is_some() {
        (Protocol::Dns, multicast_dns(payload))
    } else if let Some(ends) = of(DNS) {
        (Protocol::Dns, ends.read(|sender| dns(payload, sender)))
    } else if let Some(ends) = of(COAP) {
        (Protocol::Coap, ends.read(|sender| coap(payload, sender)))
    } else if of(SSDP).is_some() {
        (Protocol::Ssdp, ssdp(payload))
    } else if of(NTP).is_some() {
        (Protocol::Ntp, ntp(frame, bytes))
    } else {
        by_first_bytes(frame, bytes)
    };
    match result {
        // Not what its port stands for.
        Err(Reason::ProtoChanged) => Heard { protocol: Protocol::Opaque, result: Ok(Vec::new()) },
        result => Heard { protocol, result },
    }
}

/// Who sends, as far as the ports say.
enum Ends {
    Known(Sender),
    Alike,
}

impl Ends {
    fn read(self, read: impl Fn(Sender) -> Result<Vec<Message>, Reason>) -> Result<Vec<Message>, Reason> {
        match self {
            Self::Known(sender) => read(sender),
            Self::Alike => read(Sender::Client).or_else(|reason| read(Sender::Server).map_err(|_| reason)),
        }
    }
}

fn dns(payload: &[u8], sender: Sender) -> Result<Vec<Message>, Reason> {
    let (mut machine, mut object) = (dns::Dns::NEW, Object::EMPTY);
    let mut draft = Draft::new(Protocol::Dns);
    drive(payload, |byte, rest| {
        let skipped = machine.skip(rest) as usize;
        if skipped > 0 {
            return Ok(skipped);
        }
        if machine.step(&mut object, byte, sender, &key()).judged()? {
            match sender {
                Sender::Client => draft.operation(Verb::Resolve, object.text()),
                Sender::Server => draft.field("name", String::from_utf8_lossy(object.text())),
            }
            draft.field("kind", kind_of(machine.question()));
        }
        Ok(1)
    })?;
    machine.finish().judged()?;
    if machine.is_response() {
        draft.field("code", machine.response_code());
    }
    Ok(draft.one(if machine.is_response() { "response" } else { "query" }))
}

fn multicast_dns(payload: &[u8]) -> Result<Vec<Message>, Reason> {
    let (mut machine, mut object) = (dns::Dns::MULTICAST, Object::EMPTY);
    let mut draft = Draft::new(Protocol::Dns);
    drive(payload, |byte, rest| {
        let skipped = machine.skip(rest) as usize;
        if skipped > 0 {
            return Ok(skipped);
        }
        if machine.step(&mut object, byte, Sender::Client, &key()).judged()? && !machine.is_response() {
            draft.operation(Verb::Discover, object.text());
            if machine.is_compressed() {
                draft.field("compressed", true);
            }
        }
        Ok(1)
    })?;
    machine.finish().judged()?;
    Ok(draft.one(if machine.is_response() { "announcement" } else { "discovery" }))
}

/// Names of the questions that devices ask; others are a number.
fn kind_of(question: u16) -> String {
    match question {
        kind::A => "A".to_owned(),
        kind::AAAA => "AAAA".to_owned(),
        kind::CNAME => "CNAME".to_owned(),
        kind::PTR => "PTR".to_owned(),
        kind::TXT => "TXT".to_owned(),
        kind::SRV => "SRV".to_owned(),
        kind::HTTPS => "HTTPS".to_owned(),
        other => other.to_string(),
    }
}

fn coap(payload: &[u8], sender: Sender) -> Result<Vec<Message>, Reason> {
    let (mut machine, mut object) = (coap::Coap::NEW, Object::EMPTY);
    let mut draft = Draft::new(Protocol::Coap);
    drive(payload, |byte, rest| {
        let skipped = machine.skip(rest) as usize;
        if skipped > 0 {
            return Ok(skipped);
        }
        machine.step(&mut object, byte, sender, &key()).judged()?;
        Ok(1)
    })?;
    match machine.finish(&mut object, &key()) {
        Event::Request => {
            let verb = match machine.kind() {
                Kind::CoapObserve => Verb::Subscribe,
                Kind::CoapSet => Verb::Set,
                Kind::CoapDelete => Verb::Delete,
                _ => Verb::Get,
            };
            draft.operation(verb, object.text());
            Ok(draft.one("request"))
        }
        Event::Note(Note::LoginFailed) => {
            draft.field("refused", true);
            Ok(draft.one("response"))
        }
        event => event.judged().map(|_| {
            draft.one(match sender {
                Sender::Client => "message",
                Sender::Server => "response",
            })
        }),
    }
}

fn ssdp(payload: &[u8]) -> Result<Vec<Message>, Reason> {
    let (mut machine, mut object) = (ssdp::Ssdp::NEW, Object::EMPTY);
    let mut draft = Draft::new(Protocol::Ssdp);
    drive(payload, |byte, _| {
        if machine.step(&mut object, byte, &key()).judged()? {
            match (machine.message(), machine.header()) {
                (ssdp::Message::Search, ssdp::Header::Target) => {
                    draft.operation(Verb::Discover, object.text());
                }
                (_, ssdp::Header::Target) => draft.field("target", String::from_utf8_lossy(object.text())),
                (_, ssdp::Header::Name) => draft.field("name", String::from_utf8_lossy(object.text())),
            }
        }
        Ok(1)
    })?;
    machine.finish().judged()?;
    Ok(draft.one(machine.message().as_str()))
}

fn ntp(frame: &Frame, bytes: &[u8]) -> Result<Vec<Message>, Reason> {
    let ntp = ntp::parse(&bytes, frame.payload, frame.payload_len)?;
    let mut draft = Draft::new(Protocol::Ntp);
    draft.field("version", ntp.version);
    draft.field("stratum", ntp.stratum);
    Ok(draft.one(ntp.mode.as_str()))
}

/// QUIC and DTLS use any port; what is neither is opaque.
fn by_first_bytes(frame: &Frame, bytes: &[u8]) -> (Protocol, Result<Vec<Message>, Reason>) {
    if let Ok(quic) = quic::parse(&bytes, frame.payload, frame.payload_len) {
        let mut draft = Draft::new(Protocol::Quic);
        draft.field("version", quic.version);
        return (Protocol::Quic, Ok(draft.one(quic.packet.as_str())));
    }
    if let Ok(dtls) = dtls::parse(&bytes, frame.payload, frame.payload_len) {
        let mut draft = Draft::new(Protocol::Dtls);
        draft.field("version", dtls.version);
        return (Protocol::Dtls, Ok(draft.one(if dtls.opens { "ClientHello" } else { "record" })));
    }
    (Protocol::Opaque, Ok(Vec::new()))
}

/// Feeds a datagram; `step` takes the next byte, is told how many there are with it, and says how many it took.
fn drive(payload: &[u8], mut step: impl FnMut(u8, u32) -> Result<usize, Reason>) -> Result<(), Reason> {
    let mut rest = payload;
    while let Some(byte) = rest.first() {
        let taken = step(*byte, rest.len() as u32)?;
        rest = rest.get(taken..).unwrap_or_default();
    }
    Ok(())
}

/// What an event means here.
trait Judged {
    /// Whether there is an object, or the reason why the datagram does not pass.
    fn judged(self) -> Result<bool, Reason>;
}

impl Judged for Event {
    fn judged(self) -> Result<bool, Reason> {
        match self {
            Self::Object => Ok(true),
            Self::Wrong(reason) => Err(reason),
            Self::More | Self::Level | Self::Request | Self::Alias | Self::Becomes(_) | Self::Note(_) => {
                Ok(false)
            }
        }
    }
}
