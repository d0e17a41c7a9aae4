//! Connections by who opened them, and answers to what was asked of everyone.

use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
};

use firewall_common::{
    abi::{Addr, PrincipalId},
    wire::{
        frame::{Frame, proto, tcp},
        related::Discovery,
    },
};

use super::{
    Ends,
    neighbours::{is_inside, is_outside},
};

/// A TCP connection without a frame, and a datagram flow.
const TCP_IDLE_NS: u64 = 7_440_000_000_000;
const DATAGRAM_IDLE_NS: u64 = 300_000_000_000;
/// Most connections at once, and most questions to everyone; beyond, those that are over go, then all that are old.
const FLOWS: usize = 65_536;
const ASKED: usize = 1_024;

/// Ports at which everyone is asked and from which is answered: SSDP, multicast DNS.
const DISCOVERY: [u16; 2] = [1900, 5353];
/// Ports from here on are given to who asks, not to services (the default of Linux; RFC 6335 begins later).
const EPHEMERAL: u16 = 32_768;

/// A connection, as its opener asked for it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Flow {
    pub(super) ends: Ends,
    pub(super) port: u16,
    /// Whether the model lets it pass.
    pub(super) passes: bool,
    pub(super) last: u64,
    /// Tells the connections of a capture apart.
    pub(super) number: u64,
}

/// What the first frame of a connection opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Opens {
    /// Nothing.
    No,
    Forward,
    /// Its receiver had opened the connection.
    Backward,
    /// It answers a question to everyone at this port.
    Answer(u16),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Key {
    low: (Addr, u16),
    high: (Addr, u16),
    proto: u8,
}

#[derive(Debug, Default)]
pub(super) struct Flows {
    known: HashMap<Key, (Flow, (Addr, u16))>,
    /// Who asked everyone: address and port.
    asked: HashMap<(Addr, u16), Discovery>,
    opened: u64,
}

impl Flows {
    /// Whether a frame belongs to a connection that is known.
    pub(super) fn goes_on(&mut self, frame: &Frame, now: u64) -> bool {
        let opens = frame.proto == proto::TCP && frame.flags & (tcp::SYN | tcp::ACK) == tcp::SYN;
        let Some((flow, opener)) = self.known.get_mut(&key(frame)) else { return false };
        let is_again = opens && *opener == (frame.src, frame.src_port);
        if expired(frame.proto, flow, now) || opens && !is_again {
            return false;
        }
        flow.last = now;
        true
    }

    /// What the first frame of a connection opens.
    pub(super) fn opens(&mut self, frame: &Frame, now: u64) -> Opens {
        if frame.proto == proto::TCP {
            if frame.has(tcp::RST) {
                return Opens::No;
            }
            // Without the beginning: who is inside has opened, or else who has the higher port.
            let answers = is_outside(frame.src) || is_inside(frame.dst) && frame.src_port < frame.dst_port;
            return match (frame.has(tcp::SYN), frame.has(tcp::ACK)) {
                (true, true) => Opens::Backward,
                (false, _) if answers => Opens::Backward,
                (true | false, _) => Opens::Forward,
            };
        }
        if frame.is_group() || frame.dst.is_everyone() {
            self.remember(frame, now);
            return Opens::Forward;
        }
        if let Some(asked) = self.asked.get(&(frame.dst, frame.dst_port))
            && asked.is_answered_at(now)
        {
            return Opens::Answer(asked.port);
        }
        // A capture at one device lacks what others asked of everyone; their answers look like this.
        let from_group = DISCOVERY.contains(&frame.src_port) && frame.dst_port != frame.src_port;
        let answers = from_group || frame.src_port < EPHEMERAL && frame.dst_port >= EPHEMERAL;
        if answers && is_inside(frame.src) && is_inside(frame.dst) {
            return Opens::Backward;
        }
        Opens::Forward
    }

    /// Whether an echo reply has its request.
    pub(super) fn answers_echo(&self, frame: &Frame) -> bool {
        matches!(frame.flags, 0 | 129) && self.known.contains_key(&key(frame))
    }

    pub(super) fn insert(&mut self, frame: &Frame, mut flow: Flow) {
        self.opened += 1;
        flow.number = self.opened;
        if self.known.len() >= FLOWS {
            self.known.retain(|key, (known, _)| !expired(key.proto, known, flow.last));
        }
        if self.known.len() >= FLOWS {
            self.known.clear();
        }
        self.known.insert(key(frame), (flow, (frame.src, frame.src_port)));
    }

    /// A question to a server of the link: its answer belongs to it.
    pub(super) fn essential(&mut self, frame: &Frame, now: u64) {
        let ends = Ends { src: PrincipalId::SELF, dst: PrincipalId::SELF, addr: Addr([0; 16]) };
        self.insert(frame, Flow { ends, port: frame.dst_port, passes: true, last: now, number: 0 });
    }

    /// The connection that a frame belongs to.
    pub(super) fn of_frame(&self, frame: &Frame) -> Option<Flow> {
        self.known.get(&key(frame)).map(|(flow, _)| *flow)
    }

    /// The connection between two ends, and whether its opener speaks.
    pub(super) fn of(&self, proto: u8, src: SocketAddr, dst: SocketAddr) -> Option<(Flow, bool)> {
        let (src, dst) = (end(src), end(dst));
        let key = Key { low: src.min(dst), high: src.max(dst), proto };
        self.known.get(&key).map(|(flow, opener)| (*flow, *opener == src))
    }

    fn remember(&mut self, frame: &Frame, now: u64) {
        if self.asked.len() >= ASKED {
            self.asked.retain(|_, asked| asked.is_answered_at(now));
        }
        if self.asked.len() < ASKED {
            let asked = Discovery { port: frame.dst_port, at: now };
            self.asked.insert((frame.src, frame.src_port), asked);
        }
    }
}

fn expired(proto: u8, flow: &Flow, now: u64) -> bool {
    let idle = if proto == proto::TCP { TCP_IDLE_NS } else { DATAGRAM_IDLE_NS };
    now.saturating_sub(flow.last) > idle
}

fn key(frame: &Frame) -> Key {
    let (src, dst) = ((frame.src, frame.src_port), (frame.dst, frame.dst_port));
    Key { low: src.min(dst), high: src.max(dst), proto: frame.proto }
}

fn end(socket: SocketAddr) -> (Addr, u16) {
    let addr = match socket.ip() {
        IpAddr::V4(v4) => Addr::from_v4(v4.octets()),
        IpAddr::V6(v6) => Addr(v6.octets()),
    };
    (addr, socket.port())
}
