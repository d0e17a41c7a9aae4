//! Connections by who opened them, and what follows from what was said: answers to what was asked of everyone, data at ports
//! that were named.

use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
};

use firewall_common::{
    abi::{Addr, EdgeKey, Expected, Expects, Kind, PrincipalId},
    wire::{
        Bytes,
        frame::{Frame, proto, tcp},
        related::{MEDIA_NS, asks},
        rtsp::{self, Rtsp},
        tftp,
    },
};

use super::{
    Ends,
    neighbours::{is_inside, is_outside},
};

/// A TCP connection without a frame, and a datagram flow.
const TCP_IDLE_NS: u64 = 7_440_000_000_000;
const DATAGRAM_IDLE_NS: u64 = 300_000_000_000;
/// Most connections at once, and most that is expected; beyond, those that are over go, then all that are old.
const FLOWS: usize = 65_536;
const EXPECTED: usize = 1_024;

/// Ports at which everyone is asked and from which is answered: SSDP, multicast DNS.
const DISCOVERY: [u16; 2] = [1900, 5353];
/// Ports from here on are given to who asks, not to services (the default of Linux; RFC 6335 begins later).
const EPHEMERAL: u16 = 32_768;

/// A connection, as its opener asked for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
    /// It is part of what this connection is for.
    Related(Flow),
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
    /// What follows from what was said, by who said it and the place for that, and the connection in which it was.
    expected: HashMap<(Addr, u32), (Expected, Flow)>,
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
            return Opens::Forward;
        }
        if let Some((expected, flow)) = self.follows(frame, now) {
            let answers = expected.kind == Expects::Answers as u8;
            if !answers {
                return Opens::Related(flow);
            }
            if is_inside(frame.src) {
                return Opens::Answer(expected.edge.port);
            }
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

    /// Remembers what follows from a frame of a connection that is known.
    pub(super) fn note(&mut self, frame: &Frame, bytes: &[u8], now: u64) {
        let (at, length) = (frame.payload, said(frame, bytes));
        let payload = bytes.get(at as usize..).unwrap_or_default();
        let payload = payload.get(..payload.len().min(length as usize)).unwrap_or_default();
        let Some((flow, opener)) = self.known.get(&key(frame)).copied() else { return };
        let by_opener = opener == (frame.src, frame.src_port);
        let Ends { src, dst, .. } = flow.ends;
        let edge = EdgeKey { src, dst, port: flow.port, proto: frame.proto, kind: Kind::Transport as u8 };
        if frame.proto == proto::TCP {
            if flow.passes && length != 0 && rtsp::PORTS.contains(&flow.port) {
                self.control(frame, payload, edge, flow, now);
            }
        } else if frame.is_group() || frame.dst.is_everyone() {
            // Also where the question would not have passed: then there would have been no answer to ask about.
            if asks(&bytes, at, length, frame.dst_port) {
                self.expect(Expected::answers(frame, now), flow);
            }
        } else if flow.passes && by_opener && flow.port == tftp::PORT && tftp::is_request(payload) {
            self.expect(Expected::transfer(frame, edge, now), flow);
        }
    }

    /// Remembers the ports that a connection of RTSP names.
    fn control(&mut self, frame: &Frame, payload: &[u8], edge: EdgeKey, flow: Flow, now: u64) {
        let mut rtsp = Rtsp::NEW;
        let _all = payload.iter().take(rtsp::MESSAGE_CAP as usize).all(|byte| rtsp.step(*byte));
        let by_client = frame.dst_port == flow.port;
        for named in rtsp.named().into_iter().filter(|named| named.client != 0) {
            if by_client {
                if rtsp.message() == rtsp::Message::Setup {
                    self.expect(Expected::setup(frame, edge, named.client, now), flow);
                }
            } else if rtsp.message() == rtsp::Message::Agreed
                && named.server != 0
                && let Some((expected, _)) =
                    self.expected.get_mut(&(frame.dst, Expected::place(&frame.dst, named.client)))
                && expected.is_agreed_by(frame, named.client)
            {
                *expected = expected.agreed(named.server, now);
            }
        }
    }

    /// What the first datagram of a flow follows from, and in which connection that was said.
    fn follows(&self, frame: &Frame, now: u64) -> Option<(Expected, Flow)> {
        let at = |addr: Addr, port: u16| self.expected.get(&(addr, Expected::place(&addr, port))).copied();
        let to = at(frame.dst, frame.dst_port).filter(|(expected, _)| expected.is_for(frame));
        let from = || at(frame.src, frame.src_port).filter(|(expected, _)| expected.is_from(frame));
        let (expected, flow) = to.or_else(from)?;
        (expected.holds_at(now) || self.holds(&expected, now)).then_some((expected, flow))
    }

    /// Whether the connection that named the ports of a medium goes on.
    fn holds(&self, expected: &Expected, now: u64) -> bool {
        let (client, server) = ((expected.addr, expected.control), (expected.peer, expected.edge.port));
        let key = Key { low: client.min(server), high: client.max(server), proto: proto::TCP };
        expected.kind == Expects::Media as u8
            && self.known.get(&key).is_some_and(|(flow, _)| now.saturating_sub(flow.last) <= TCP_IDLE_NS)
    }

    fn expect(&mut self, expected: Expected, flow: Flow) {
        if self.expected.len() >= EXPECTED {
            self.expected.retain(|_, (old, _)| expected.at.saturating_sub(old.at) <= MEDIA_NS);
        }
        if self.expected.len() < EXPECTED {
            let place = Expected::place(&expected.addr, expected.port);
            self.expected.insert((expected.addr, place), (expected, flow));
        }
    }
}

/// How many bytes a frame carries: a datagram may end before its packet (RFC 768).
fn said(frame: &Frame, bytes: &[u8]) -> u32 {
    if frame.proto != proto::UDP {
        return frame.payload_len;
    }
    let length = bytes.load::<2>(frame.transport + 4).map_or(0, u16::from_be_bytes);
    u32::from(length).saturating_sub(frame.payload - frame.transport).min(frame.payload_len)
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
