//! Flows that follow from others: answers to what was asked of everyone on the link, and the data of a transfer or medium
//! that was asked for.
//!
//! What was asked is an [`Expected`], kept for who has asked. It lets datagrams pass between the two ends of the question
//! only: no message can name a third one.

use crate::abi::{Addr, EdgeKey, Expected, Expects, Kind, PrincipalId};
use crate::wire::Bytes;
use crate::wire::frame::{Frame, proto};

/// How long after a question its answers come, in nanoseconds.
pub const ANSWERS_NS: u64 = 5_000_000_000;

/// How long the ports of a medium are kept once the connection that named them is gone, in nanoseconds.
pub const MEDIA_NS: u64 = 60_000_000_000;

/// Most questions of a device that are remembered at a time; a newer one takes the place of an older one.
pub const PLACES: u32 = 16;

/// Ports below are those of services (RFC 6335, section 6): nobody takes one for the data of a transfer.
const SERVICES: u16 = 1_024;

/// Groups whose questions can be told from what else is said there; anything said to another group may be a question.
const SSDP: u16 = 1900;
const MDNS: u16 = 5353;
const COAP: u16 = 5683;

/// What must begin a question of SSDP.
const SEARCH: u64 = u64::from_be_bytes(*b"M-SEARCH");

/// Whether a datagram to everyone, of `length` bytes at `at`, is a question.
#[inline(always)]
pub fn asks(bytes: &impl Bytes, at: u32, length: u32, port: u16) -> bool {
    match port {
        SSDP => {
            length >= 8 && matches!(bytes.load::<8>(at), Some(line) if u64::from_be_bytes(line) == SEARCH)
        }
        // Not the top bit of the flags: an answer (RFC 6762, section 18.2).
        MDNS => length >= 12 && matches!(bytes.load::<3>(at), Some([_, _, flags]) if flags & 0x80 == 0),
        // Class and detail of the code: a request (RFC 7252, section 3).
        COAP => length >= 4 && matches!(bytes.load::<2>(at), Some([_, 1..=31])),
        _ => true,
    }
}

impl Expected {
    /// What is expected behind a datagram to everyone.
    ///
    /// Who answers has the habit of taking part in the group: the answer is judged as if it were sent to everyone at the
    /// group's port, not as a flow to the port of who asked, which is another one each time.
    #[inline(always)]
    pub fn answers(frame: &Frame, now: u64) -> Self {
        let edge = EdgeKey {
            src: PrincipalId::UNKNOWN,
            dst: PrincipalId::EVERYONE,
            port: frame.dst_port,
            proto: proto::UDP,
            kind: Kind::Transport as u8,
        };
        Self {
            at: now,
            addr: frame.src,
            peer: Addr([0; 16]),
            edge,
            port: frame.src_port,
            peer_port: 0,
            control: 0,
            kind: Expects::Answers as u8,
            _pad: [0; 5],
        }
    }

    /// What is expected behind a request for a file, on this edge.
    #[inline(always)]
    pub fn transfer(frame: &Frame, edge: EdgeKey, now: u64) -> Self {
        Self { edge, peer: frame.dst, kind: Expects::Transfer as u8, ..Self::answers(frame, now) }
    }

    /// What a client wants to get at this port over the connection of the frame, on this edge.
    #[inline(always)]
    pub fn setup(frame: &Frame, edge: EdgeKey, port: u16, now: u64) -> Self {
        Self { port, control: frame.src_port, kind: Expects::Setup as u8, ..Self::transfer(frame, edge, now) }
    }

    /// Whether the frame is of the server that was asked for this, in the same connection.
    #[inline(always)]
    pub fn is_agreed_by(&self, frame: &Frame, port: u16) -> bool {
        let setup = self.kind == Expects::Setup as u8 || self.kind == Expects::Media as u8;
        setup
            && self.port == port
            && self.control == frame.dst_port
            && self.addr == frame.dst
            && self.peer == frame.src
    }

    /// What is expected once the server has agreed and named its port.
    #[must_use]
    #[inline(always)]
    pub fn agreed(&self, port: u16, now: u64) -> Self {
        Self { at: now, peer_port: port, kind: Expects::Media as u8, ..*self }
    }

    /// The number of the place, of those of a device, that holds what it expects at this port.
    #[inline(always)]
    pub fn place(addr: &Addr, port: u16) -> u32 {
        // Questions over IPv4 and IPv6 come from the same port.
        let is_v4 = addr.v4().is_some() as u32;
        (port as u32 & (PLACES / 2 - 1)) << 1 | is_v4
    }

    /// Whether the frame comes from who was asked and goes where it is awaited.
    #[inline(always)]
    pub fn is_for(&self, frame: &Frame) -> bool {
        if self.port != frame.dst_port || self.addr != frame.dst {
            return false;
        }
        match self.kind {
            kind if kind == Expects::Answers as u8 => true,
            kind if kind == Expects::Transfer as u8 || kind == Expects::Media as u8 => {
                let from = frame.src_port;
                self.peer == frame.src && from >= SERVICES && (self.peer_port == 0 || self.peer_port == from)
            }
            _ => false,
        }
    }

    /// Whether the frame goes the other way: to where a medium comes from. A client opens its own firewall so, and says
    /// how well it hears.
    #[inline(always)]
    pub fn is_from(&self, frame: &Frame) -> bool {
        self.kind == Expects::Media as u8
            && self.port == frame.src_port
            && self.peer_port == frame.dst_port
            && self.addr == frame.src
            && self.peer == frame.dst
    }

    /// Whether what was said is recent enough by itself.
    #[inline(always)]
    pub const fn holds_at(&self, now: u64) -> bool {
        let holds = if self.kind == Expects::Media as u8 { MEDIA_NS } else { ANSWERS_NS };
        now >= self.at && now - self.at <= holds
    }
}

#[cfg(test)]
mod tests;
