//! Ethernet, VLAN, IPv4, IPv6, TCP, UDP and ICMP headers.
//!
//! Header lengths are read, never assumed; what cannot be judged further is a named reason, not a shorter parse.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::Bytes;
use crate::abi::Addr;
use crate::reason::Reason;

/// Ethertypes (IEEE 802).
pub mod ethertype {
    pub const IPV4: u16 = 0x0800;
    pub const ARP: u16 = 0x0806;
    pub const VLAN: u16 = 0x8100;
    pub const QINQ: u16 = 0x88a8;
    pub const IPV6: u16 = 0x86dd;
    pub const EAPOL: u16 = 0x888e;
}

/// IP protocol numbers (IANA).
pub mod proto {
    pub const HOP_BY_HOP: u8 = 0;
    pub const ICMP: u8 = 1;
    pub const IGMP: u8 = 2;
    pub const TCP: u8 = 6;
    pub const UDP: u8 = 17;
    pub const ROUTING: u8 = 43;
    pub const FRAGMENT: u8 = 44;
    pub const ICMP6: u8 = 58;
    pub const NO_NEXT: u8 = 59;
    pub const DESTINATION: u8 = 60;
    pub const MOBILITY: u8 = 135;
}

/// TCP flags (RFC 9293, section 3.1).
pub mod tcp {
    pub const FIN: u8 = 0x01;
    pub const SYN: u8 = 0x02;
    pub const RST: u8 = 0x04;
    pub const ACK: u8 = 0x10;
    pub const URG: u8 = 0x20;
}

/// Most IPv6 extension headers that are walked.
const EXTENSIONS: u32 = 4;

/// Length of an Ethernet header without tags.
pub const ETHERNET: u32 = 14;

/// The fields of a frame that verdicts need.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Frame {
    /// Sequence and acknowledgement number (TCP).
    pub seq: u32,
    pub ack: u32,
    /// Offset and length of what follows the transport header.
    pub payload: u32,
    pub payload_len: u32,
    /// Offset of the IP header and of the transport header.
    pub network: u32,
    pub transport: u32,
    pub src: Addr,
    pub dst: Addr,
    pub src_mac: [u8; 6],
    pub dst_mac: [u8; 6],
    pub ethertype: u16,
    /// VLAN id; 0 is untagged or priority-tagged.
    pub vlan: u16,
    /// For ICMP echo: the identifier, twice. For other ICMP: 0.
    pub src_port: u16,
    pub dst_port: u16,
    /// 4, 6, or 0 for a frame that is not IP.
    pub version: u8,
    pub proto: u8,
    /// TCP flags, or the ICMP type.
    pub flags: u8,
    /// ICMP code.
    pub code: u8,
}

impl Frame {
    /// A frame of which nothing has been parsed.
    pub const EMPTY: Self = Self {
        seq: 0,
        ack: 0,
        payload: 0,
        payload_len: 0,
        network: 0,
        transport: 0,
        src: Addr([0; 16]),
        dst: Addr([0; 16]),
        src_mac: [0; 6],
        dst_mac: [0; 6],
        ethertype: 0,
        vlan: 0,
        src_port: 0,
        dst_port: 0,
        version: 0,
        proto: 0,
        flags: 0,
        code: 0,
    };

    /// Whether all of these TCP flags are set.
    #[inline(always)]
    pub const fn has(&self, flags: u8) -> bool {
        self.flags & flags == flags
    }

    /// Whether the frame is for everyone on the link.
    #[inline(always)]
    pub const fn is_group(&self) -> bool {
        self.dst_mac[0] & 1 != 0
    }

    /// Sequence space that the segment takes (RFC 9293, section 3.4).
    #[inline(always)]
    pub const fn seq_len(&self) -> u32 {
        self.payload_len + (self.flags & tcp::SYN != 0) as u32 + (self.flags & tcp::FIN != 0) as u32
    }

    /// Whether this is an ICMP or `ICMPv6` echo request or reply.
    #[inline(always)]
    pub const fn is_echo(&self) -> bool {
        match self.proto {
            proto::ICMP => self.flags == 8 || self.flags == 0,
            proto::ICMP6 => self.flags == 128 || self.flags == 129,
            _ => false,
        }
    }

    /// Whether this is an ICMP or `ICMPv6` error, which quotes the packet it is about.
    #[inline(always)]
    pub const fn is_error(&self) -> bool {
        match self.proto {
            proto::ICMP => matches!(self.flags, 3 | 4 | 11 | 12),
            proto::ICMP6 => self.flags < 128,
            _ => false,
        }
    }
}

/// Parses the headers of a frame into `frame`.
#[inline(always)]
pub fn parse(bytes: &impl Bytes, frame: &mut Frame) -> Result<(), Reason> {
    *frame = Frame::EMPTY;
    fill(bytes, frame)
}

/// As [`parse`], into fields that are [`Frame::EMPTY`].
#[inline(always)]
pub fn fill(bytes: &impl Bytes, frame: &mut Frame) -> Result<(), Reason> {
    ethernet(bytes, frame)?;
    match frame.ethertype {
        ethertype::IPV4 => {
            frame.version = 4;
            let end = ipv4(bytes, frame)?;
            transport(bytes, frame, end)
        }
        ethertype::IPV6 => {
            frame.version = 6;
            let end = ipv6(bytes, frame)?;
            transport(bytes, frame, end)
        }
        _ => Ok(()),
    }
}

#[inline(always)]
fn ethernet(bytes: &impl Bytes, frame: &mut Frame) -> Result<(), Reason> {
    let header: [u8; 14] = bytes.load(0).ok_or(Reason::Malformed)?;
    let [d0, d1, d2, d3, d4, d5, s0, s1, s2, s3, s4, s5, t0, t1] = header;
    frame.dst_mac = [d0, d1, d2, d3, d4, d5];
    frame.src_mac = [s0, s1, s2, s3, s4, s5];
    frame.ethertype = u16::from_be_bytes([t0, t1]);
    frame.network = ETHERNET;
    // A group address never sends (IEEE 802.3, 3.2.3).
    if s0 & 1 != 0 || frame.src_mac == [0; 6] {
        return Err(Reason::AddressInvalid);
    }
    let mut tags = 0;
    if let Some(tag) = bytes.tag() {
        frame.vlan = tag & 0x0fff;
        tags = 1;
    }
    if frame.ethertype == ethertype::VLAN || frame.ethertype == ethertype::QINQ {
        let [a, b, c, d]: [u8; 4] = bytes.load(ETHERNET).ok_or(Reason::Malformed)?;
        let inner = u16::from_be_bytes([c, d]);
        if tags != 0 || inner == ethertype::VLAN || inner == ethertype::QINQ {
            return Err(Reason::VlanDepth);
        }
        frame.vlan = u16::from_be_bytes([a, b]) & 0x0fff;
        frame.ethertype = inner;
        frame.network = ETHERNET + 4;
    }
    Ok(())
}

/// Returns the offset of the end of the packet, without Ethernet padding.
#[inline(always)]
fn ipv4(bytes: &impl Bytes, frame: &mut Frame) -> Result<u32, Reason> {
    let header: [u8; 20] = bytes.load(frame.network).ok_or(Reason::Malformed)?;
    let header_len = ((header[0] & 0x0f) as u32) * 4;
    let total = u16::from_be_bytes([header[2], header[3]]) as u32;
    let end = frame.network + total;
    if header[0] >> 4 != 4 || header_len < 20 || total < header_len || end > bytes.len() {
        return Err(Reason::Malformed);
    }
    // More fragments, or an offset (RFC 791). What follows the first one has no ports to judge.
    if header[6] & 0x3f != 0 || header[7] != 0 {
        return Err(Reason::Fragment);
    }
    frame.src.map_v4([header[12], header[13], header[14], header[15]]);
    frame.dst.map_v4([header[16], header[17], header[18], header[19]]);
    frame.proto = header[9];
    frame.transport = frame.network + header_len;
    Ok(end)
}

/// Returns the offset of the end of the packet.
#[inline(always)]
fn ipv6(bytes: &impl Bytes, frame: &mut Frame) -> Result<u32, Reason> {
    let header: [u8; 40] = bytes.load(frame.network).ok_or(Reason::Malformed)?;
    let end = frame.network + 40 + u16::from_be_bytes([header[4], header[5]]) as u32;
    if header[0] >> 4 != 6 || end > bytes.len() {
        return Err(Reason::Malformed);
    }
    let mut i = 0;
    while i < 16 {
        frame.src.0[i] = header[8 + i];
        frame.dst.0[i] = header[24 + i];
        i += 1;
    }
    // An IPv4-mapped address never appears on the wire (RFC 4291, 2.5.5.2) and would name another binding.
    if frame.src.v4().is_some() || frame.dst.v4().is_some() {
        return Err(Reason::AddressInvalid);
    }
    frame.proto = header[6];
    frame.transport = frame.network + 40;
    let mut walked = 0;
    while walked < EXTENSIONS {
        match frame.proto {
            proto::HOP_BY_HOP | proto::DESTINATION => {
                let [next, length]: [u8; 2] = bytes.load(frame.transport).ok_or(Reason::Malformed)?;
                frame.proto = next;
                frame.transport += (length as u32 + 1) * 8;
            }
            proto::FRAGMENT => return Err(Reason::Fragment),
            proto::ROUTING | proto::MOBILITY | proto::NO_NEXT => return Err(Reason::ExtensionHeader),
            _ => break,
        }
        walked += 1;
    }
    if matches!(frame.proto, proto::HOP_BY_HOP | proto::DESTINATION | proto::FRAGMENT | proto::ROUTING) {
        return Err(Reason::ExtensionHeader);
    }
    if frame.transport > end { Err(Reason::Malformed) } else { Ok(end) }
}

#[inline(always)]
fn transport(bytes: &impl Bytes, frame: &mut Frame, end: u32) -> Result<(), Reason> {
    let at = frame.transport;
    let header_len = match frame.proto {
        proto::TCP => {
            let h: [u8; 20] = bytes.load(at).ok_or(Reason::Malformed)?;
            frame.src_port = u16::from_be_bytes([h[0], h[1]]);
            frame.dst_port = u16::from_be_bytes([h[2], h[3]]);
            frame.seq = u32::from_be_bytes([h[4], h[5], h[6], h[7]]);
            frame.ack = u32::from_be_bytes([h[8], h[9], h[10], h[11]]);
            frame.flags = h[13];
            let length = ((h[12] >> 4) as u32) * 4;
            let syn_and = frame.has(tcp::SYN) && frame.flags & (tcp::FIN | tcp::RST) != 0;
            if length < 20 || syn_and || frame.flags & (tcp::SYN | tcp::ACK | tcp::RST) == 0 {
                return Err(Reason::Malformed);
            }
            length
        }
        proto::UDP => {
            let h: [u8; 8] = bytes.load(at).ok_or(Reason::Malformed)?;
            frame.src_port = u16::from_be_bytes([h[0], h[1]]);
            frame.dst_port = u16::from_be_bytes([h[2], h[3]]);
            let length = u16::from_be_bytes([h[4], h[5]]) as u32;
            if length < 8 || length > end - at {
                return Err(Reason::Malformed);
            }
            8
        }
        proto::ICMP | proto::ICMP6 => {
            let h: [u8; 8] = bytes.load(at).ok_or(Reason::Malformed)?;
            frame.flags = h[0];
            frame.code = h[1];
            let of_version = if frame.version == 4 { proto::ICMP } else { proto::ICMP6 };
            if frame.proto != of_version {
                return Err(Reason::Malformed);
            }
            if frame.is_echo() {
                frame.src_port = u16::from_be_bytes([h[4], h[5]]);
                frame.dst_port = frame.src_port;
            }
            8
        }
        _ => 0,
    };
    frame.payload = at + header_len;
    match end.checked_sub(frame.payload) {
        Some(length) => {
            frame.payload_len = length;
            Ok(())
        }
        None => Err(Reason::Malformed),
    }
}

#[cfg(test)]
mod tests;
