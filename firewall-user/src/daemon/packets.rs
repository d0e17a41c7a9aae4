//! Packets of an edge, on request.
//!
//! The kernel shows the beginning of the frame that made somebody be asked, and that one is kept in memory until the edge
//! is gone. What comes later is copied at the port of the source, until there are enough or the time is up. Nothing is
//! written to disk.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use dashboard::{inspect, rpc::Refusal};
use firewall_common::{
    abi::{Addr, PrincipalId, Shown},
    wire::frame::{self, Frame},
};
use graph::{
    Graph, Now,
    edge::{Edge, EdgeId},
    operation::Object,
    principal::Principal,
};
use serde_json::Value;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, interval},
};

use super::{
    answer::{invalid, value},
    ports::Ports,
};
use crate::net::Listener;

/// Most packets, most bytes of one, and the longest time to wait for them.
const PACKETS: usize = 64;
const BYTES: usize = 1_514;
const LONGEST: Duration = Duration::from_mins(1);
/// How long to wait where nobody says it and no packet is known.
const WAIT: u32 = 30;
/// First packets that are kept, of all edges and of those of one source.
const FIRSTS: usize = 512;
const FIRSTS_EACH: usize = 32;
/// Requests at a time.
const REQUESTS: usize = 2;
/// What stands in place of what is hidden.
const HIDDEN: u8 = b'x';
/// Shorter words are found anywhere.
const LEAST_WORD: usize = 3;
/// Of a frame that cannot be parsed: Ethernet and the shortest header of IPv4.
const LEAST_HEADERS: usize = 14 + 20;
/// How often it is looked whether something has come.
const LOOK: Duration = Duration::from_millis(20);

/// Who may wait for packets.
#[derive(Clone)]
pub(super) struct Packets(Arc<Semaphore>);

/// The first packets of edges that were asked about.
#[derive(Debug, Default)]
pub(super) struct Firsts(BTreeMap<EdgeId, (PrincipalId, inspect::Packet)>);

impl Firsts {
    /// Keeps the first frame of an edge. The oldest edge makes room, one of the same source before all others.
    pub(super) fn keep(&mut self, edge: &Edge, shown: &Shown, now: Now) {
        let src = edge.path.src;
        if self.0.contains_key(&edge.id) {
            return;
        }
        let of_source = || self.0.iter().filter(|(_, (of, _))| *of == src).map(|(id, _)| *id);
        let gone = if of_source().count() >= FIRSTS_EACH {
            of_source().next()
        } else if self.0.len() >= FIRSTS {
            self.0.keys().next().copied()
        } else {
            None
        };
        gone.map(|id| self.0.remove(&id));
        let age = Duration::from_nanos(now.boot_ns.saturating_sub(shown.at));
        let time = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().saturating_sub(age);
        let bytes = shown.bytes.get(..shown.kept as usize).unwrap_or(&shown.bytes).to_vec();
        let packet = inspect::Packet { time: time.as_nanos() as u64, length: shown.length, bytes };
        self.0.insert(edge.id, (src, packet));
    }

    pub(super) fn of(&self, edge: EdgeId) -> Option<inspect::Packet> {
        self.0.get(&edge).map(|(_, packet)| packet.clone())
    }

    pub(super) fn forget(&mut self, edge: EdgeId) {
        self.0.remove(&edge);
    }
}

/// Packets that somebody waits for.
pub(super) struct Wanted {
    _place: OwnedSemaphorePermit,
    first: Option<inspect::Packet>,
    listener: Listener,
    edge: Wire,
    time: Duration,
    /// Of what is carried only this is shown.
    shown: Option<String>,
}

/// How an edge looks on the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Wire {
    mac: [u8; 6],
    /// Whoever it is, if it is none of these.
    peers: Vec<Addr>,
    proto: u8,
    port: u16,
}

impl Packets {
    pub(super) fn new() -> Self {
        Self(Arc::new(Semaphore::new(REQUESTS)))
    }

    /// Begins to listen for an edge.
    pub(super) fn begin(
        &self,
        edge: EdgeId,
        (seconds, is_hidden): (Option<u32>, bool),
        first: Option<inspect::Packet>,
        graph: &Graph,
        ports: &Ports,
    ) -> Result<Wanted, Refusal> {
        let said = graph.edge(edge).filter(|_| is_hidden);
        let shown = said.map(|edge| edge.path.operation.object_text());
        let (edge, port) = wire(edge, graph)?;
        let ifindex = ports.present().find(|(name, _)| name.as_str() == port).map(|(_, ifindex)| ifindex);
        let ifindex = ifindex.ok_or_else(|| unavailable(&format!("the port {port} is not there now")))?;
        let place = Arc::clone(&self.0).try_acquire_owned();
        let place = place.map_err(|_| unavailable("others wait for packets already; try again later"))?;
        let listener = Listener::to_device(ifindex, edge.mac)
            .map_err(|error| unavailable(&format!("the port cannot be listened at: {error}")))?;
        let seconds = seconds.unwrap_or(if first.is_some() { 0 } else { WAIT });
        let time = Duration::from_secs(seconds.into()).min(LONGEST);
        Ok(Wanted { _place: place, first, listener, edge, time, shown })
    }
}

impl Wanted {
    /// Waits for the packets.
    pub(super) async fn wait(mut self) -> Result<Value, Refusal> {
        let end = Instant::now() + self.time;
        let mut look = interval(LOOK);
        let mut packets: Vec<inspect::Packet> = self.first.take().into_iter().collect();
        while packets.len() < PACKETS && Instant::now() < end {
            look.tick().await;
            self.take(&mut packets).map_err(|error| unavailable(&error.to_string()))?;
        }
        if let Some(shown) = &self.shown {
            for packet in &mut packets {
                hide(&mut packet.bytes, shown);
            }
        }
        Ok(value(&packets))
    }

    fn take(&mut self, packets: &mut Vec<inspect::Packet>) -> std::io::Result<()> {
        while packets.len() < PACKETS {
            let Some(bytes) = self.listener.frame()? else { break };
            let mut headers = Frame::EMPTY;
            if frame::parse(&bytes, &mut headers).is_ok() && self.edge.is_of(&headers) {
                let time = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                let length = bytes.len() as u32;
                let bytes = bytes.get(..BYTES).unwrap_or(bytes).to_vec();
                packets.push(inspect::Packet { time: time.as_nanos() as u64, length, bytes });
            }
        }
        Ok(())
    }
}

impl Wire {
    /// Whether a frame is of the edge, in either direction.
    fn is_of(&self, frame: &Frame) -> bool {
        let (port, peer) =
            if frame.src_mac == self.mac { (frame.dst_port, frame.dst) } else { (frame.src_port, frame.src) };
        let is_there = self.peers.is_empty() || self.peers.contains(&peer);
        is_there && frame.proto == self.proto && port == self.port
    }
}

/// Writes over what a frame carries, but for words that are shown elsewhere already. Passwords and contents are nobody's
/// business, whatever the protocol.
fn hide(bytes: &mut [u8], shown: &str) {
    let mut headers = Frame::EMPTY;
    let is_whole = frame::parse(&&*bytes, &mut headers).is_ok() && headers.payload > 0;
    let from = if is_whole { headers.payload as usize } else { LEAST_HEADERS };
    let Some(payload) = bytes.get_mut(from..) else { return };
    let before = payload.to_vec();
    payload.fill(HIDDEN);
    let words = shown.split(|character: char| !character.is_alphanumeric());
    for word in words.map(str::as_bytes).filter(|word| word.len() >= LEAST_WORD) {
        for at in 0..=before.len().saturating_sub(word.len()) {
            let end = at + word.len();
            if before.get(at..end) == Some(word)
                && let Some(place) = payload.get_mut(at..end)
            {
                place.copy_from_slice(word);
            }
        }
    }
}

/// How an edge looks, and at which port.
fn wire(id: EdgeId, graph: &Graph) -> Result<(Wire, String), Refusal> {
    let edge = graph.edge(id).ok_or_else(|| invalid("there is no such edge"))?;
    let (proto, port) = match (&edge.path.operation.object, edge.path.operation.end()) {
        (Object::Domain(_), _) => (libc::IPPROTO_UDP as u8, 53),
        (_, Some((proto, port))) => (proto, port),
        (_, None) => return Err(invalid("only what travels over IP can be taken")),
    };
    let place = graph.principal(edge.path.src).and_then(|source| source.places.first());
    let place =
        place.ok_or_else(|| invalid("packets are taken at the port of a device, and the source is none"))?;
    let peers = graph.principal(edge.path.dst).filter(|peer| !is_open(peer));
    let peers = peers.map_or_else(Vec::new, |peer| peer.addresses.clone());
    Ok((Wire { mac: place.mac, peers, proto, port }, place.port.clone()))
}

/// Whether it may have any address: the box, everyone, a host by name.
fn is_open(peer: &Principal) -> bool {
    peer.id.0 < PrincipalId::FIRST || peer.host.is_some()
}

fn unavailable(message: &str) -> Refusal {
    Refusal::new("unavailable", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_packets_carry_is_hidden_but_for_what_the_edge_says() {
        // Ethernet, IPv4 and TCP without options, then a CONNECT.
        let carried = b"\x10\x20\0\x04MQTT\x04\xc2\0\x3c\0\x06washer\0\x04anna\0\x06secret";
        let mut bytes = vec![0; 12];
        bytes.extend([8, 0, 0x45, 0, 0, 40 + carried.len() as u8, 0, 0, 0x40, 0, 64, 6, 0, 0]);
        bytes.extend([10, 0, 0, 1, 10, 0, 0, 2, 0xc3, 0x50, 7, 0x5b]);
        bytes.extend([0, 0, 0, 1, 0, 0, 0, 1, 0x50, 0x18, 1, 0, 0, 0, 0, 0]);
        bytes.extend(carried);
        for cut in [0, 5] {
            let mut hidden = bytes[..bytes.len() - cut].to_vec();
            hide(&mut hidden, "mqtt:1883:client:washer");
            let text = String::from_utf8_lossy(&hidden).into_owned();
            assert!(!text.contains("anna") && !text.contains("secr"), "{text}");
            assert!(text.contains("washer"), "{text}");
            assert_eq!(hidden.len(), bytes.len() - cut);
            assert_eq!(hidden[..34], bytes[..34], "who spoke with whom stays");
        }
        hide(&mut [1, 2, 3], "short");
    }

    #[test]
    fn both_directions_of_an_edge_are_its_packets() {
        let (mac, other) = ([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]);
        let (peer, stranger) = (Addr::from_v4([10, 0, 0, 2]), Addr::from_v4([10, 0, 0, 3]));
        let there = Frame {
            src_mac: mac,
            dst_mac: other,
            dst: peer,
            proto: 6,
            src_port: 50_000,
            dst_port: 1_883,
            ..Frame::EMPTY
        };
        let back = Frame {
            src_mac: other,
            dst_mac: mac,
            src: peer,
            dst: Addr::default(),
            src_port: 1_883,
            dst_port: 50_000,
            ..there
        };
        let wire = Wire { mac, peers: vec![peer], proto: 6, port: 1_883 };
        assert!(wire.is_of(&there) && wire.is_of(&back));
        for not in [
            Frame { dst_port: 443, ..there },
            Frame { dst: stranger, ..there },
            Frame { proto: 17, ..there },
            Frame { src: stranger, ..back },
        ] {
            assert!(!wire.is_of(&not), "{not:?}");
        }
        let anyone = Wire { peers: Vec::new(), ..wire };
        assert!(anyone.is_of(&Frame { dst: stranger, ..there }));
    }
}
