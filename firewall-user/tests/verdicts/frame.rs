//! Frames, written byte by byte, with every length and checksum in place.

use firewall_common::{
    abi::Addr,
    wire::frame::{Frame, ethertype, parse, proto},
};

use crate::site::Host;

pub(crate) use firewall_common::wire::frame::tcp::{ACK, FIN, RST, SYN};

pub(crate) const BROADCAST: [u8; 6] = [0xff; 6];
/// Where the IP header of an untagged frame begins.
pub(crate) const NETWORK: usize = 14;
/// Where the transport header of an IPv4 frame without options begins.
pub(crate) const TRANSPORT: usize = NETWORK + 20;

/// The headers of a TCP segment.
#[derive(Clone, Copy)]
pub(crate) struct Segment {
    pub(crate) src_port: u16,
    pub(crate) dst_port: u16,
    pub(crate) seq: u32,
    pub(crate) ack: u32,
    pub(crate) flags: u8,
}

impl Segment {
    /// The first segment of a connection.
    pub(crate) const fn syn(src_port: u16, dst_port: u16) -> Self {
        Self { src_port, dst_port, seq: 1000, ack: 0, flags: SYN }
    }
}

pub(crate) fn ethernet(src: [u8; 6], dst: [u8; 6], kind: u16, payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(NETWORK + payload.len());
    frame.extend(dst);
    frame.extend(src);
    frame.extend(kind.to_be_bytes());
    frame.extend(payload);
    frame
}

/// Puts a VLAN tag into a frame.
pub(crate) fn tagged(frame: &[u8], kind: u16, vlan: u16) -> Vec<u8> {
    let mut tagged = frame[..12].to_vec();
    tagged.extend(kind.to_be_bytes());
    tagged.extend(vlan.to_be_bytes());
    tagged.extend(&frame[12..]);
    tagged
}

pub(crate) fn arp(sender: &Host, mac: [u8; 6], ip: [u8; 4], target: [u8; 4]) -> Vec<u8> {
    let mut packet = vec![0, 1, 8, 0, 6, 4, 0, 1];
    packet.extend(mac);
    packet.extend(ip);
    packet.extend([0; 6]);
    packet.extend(target);
    ethernet(sender.mac, BROADCAST, ethertype::ARP, &packet)
}

pub(crate) fn ipv4(src: [u8; 4], dst: [u8; 4], protocol: u8, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x45, 0];
    packet.extend((20 + payload.len() as u16).to_be_bytes());
    packet.extend([0, 1, 0x40, 0, 64, protocol, 0, 0]);
    packet.extend(src);
    packet.extend(dst);
    let sum = !sum(&packet);
    packet[10..12].copy_from_slice(&sum.to_be_bytes());
    packet.extend(payload);
    packet
}

pub(crate) fn ipv6(src: [u8; 16], dst: [u8; 16], next: u8, hops: u8, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x60, 0, 0, 0];
    packet.extend((payload.len() as u16).to_be_bytes());
    packet.extend([next, hops]);
    packet.extend(src);
    packet.extend(dst);
    packet.extend(payload);
    packet
}

pub(crate) fn tcp(from: &Host, to: &Host, segment: Segment, payload: &[u8]) -> Vec<u8> {
    let transport = tcp_header(from.v4(), to.v4(), segment, payload);
    ethernet(from.mac, to.mac, ethertype::IPV4, &ipv4(from.v4, to.v4, proto::TCP, &transport))
}

pub(crate) fn tcp6(from: &Host, to: &Host, segment: Segment, payload: &[u8]) -> Vec<u8> {
    let transport = tcp_header(from.v6(), to.v6(), segment, payload);
    ethernet(from.mac, to.mac, ethertype::IPV6, &ipv6(from.v6, to.v6, proto::TCP, 64, &transport))
}

/// A TCP segment over IPv6 behind extension headers, each given as its type and bytes (without the type of the next).
pub(crate) fn tcp6_behind(from: &Host, to: &Host, segment: Segment, extensions: &[(u8, Vec<u8>)]) -> Vec<u8> {
    let mut payload = Vec::new();
    for (at, (_, rest)) in extensions.iter().enumerate() {
        payload.push(extensions.get(at + 1).map_or(proto::TCP, |(kind, _)| *kind));
        payload.extend(rest);
    }
    payload.extend(tcp_header(from.v6(), to.v6(), segment, &[]));
    let first = extensions.first().map_or(proto::TCP, |(kind, _)| *kind);
    ethernet(from.mac, to.mac, ethertype::IPV6, &ipv6(from.v6, to.v6, first, 64, &payload))
}

fn tcp_header(src: Addr, dst: Addr, segment: Segment, payload: &[u8]) -> Vec<u8> {
    let Segment { src_port, dst_port, seq, ack, flags } = segment;
    let mut bytes = Vec::new();
    bytes.extend(src_port.to_be_bytes());
    bytes.extend(dst_port.to_be_bytes());
    bytes.extend(seq.to_be_bytes());
    bytes.extend(ack.to_be_bytes());
    bytes.extend([0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
    bytes.extend(payload);
    let sum = transport_sum(src, dst, proto::TCP, &bytes);
    bytes[16..18].copy_from_slice(&sum.to_be_bytes());
    bytes
}

pub(crate) fn udp(from: &Host, to: &Host, src_port: u16, dst_port: u16, payload: &[u8]) -> Vec<u8> {
    let datagram = udp_datagram(from.v4(), to.v4(), src_port, dst_port, payload);
    ethernet(from.mac, to.mac, ethertype::IPV4, &ipv4(from.v4, to.v4, proto::UDP, &datagram))
}

pub(crate) fn udp6(from: &Host, to: &Host, src_port: u16, dst_port: u16, payload: &[u8]) -> Vec<u8> {
    let datagram = udp_datagram(from.v6(), to.v6(), src_port, dst_port, payload);
    ethernet(from.mac, to.mac, ethertype::IPV6, &ipv6(from.v6, to.v6, proto::UDP, 64, &datagram))
}

pub(crate) fn udp_datagram(src: Addr, dst: Addr, src_port: u16, dst_port: u16, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend(src_port.to_be_bytes());
    bytes.extend(dst_port.to_be_bytes());
    bytes.extend((8 + payload.len() as u16).to_be_bytes());
    bytes.extend([0, 0]);
    bytes.extend(payload);
    let sum = transport_sum(src, dst, proto::UDP, &bytes);
    bytes[6..8].copy_from_slice(&sum.to_be_bytes());
    bytes
}

/// An ICMP message: type, code, the four bytes behind the checksum, and the rest.
pub(crate) fn icmp(from: &Host, to: &Host, kind: u8, code: u8, head: [u8; 4], rest: &[u8]) -> Vec<u8> {
    let mut bytes = vec![kind, code, 0, 0];
    bytes.extend(head);
    bytes.extend(rest);
    let sum = !sum(&bytes);
    bytes[2..4].copy_from_slice(&sum.to_be_bytes());
    ethernet(from.mac, to.mac, ethertype::IPV4, &ipv4(from.v4, to.v4, proto::ICMP, &bytes))
}

/// A message of neighbour discovery: type, hop limit, target, and the option that names a link address.
pub(crate) fn neighbour(
    from: &Host,
    to: &Host,
    kind: u8,
    hops: u8,
    target: [u8; 16],
    link: Option<(u8, [u8; 6])>,
) -> Vec<u8> {
    let mut bytes = vec![kind, 0, 0, 0, 0, 0, 0, 0];
    bytes.extend(target);
    if let Some((kind, mac)) = link {
        bytes.extend([kind, 1]);
        bytes.extend(mac);
    }
    let sum = transport_sum(from.v6(), to.v6(), proto::ICMP6, &bytes);
    bytes[2..4].copy_from_slice(&sum.to_be_bytes());
    ethernet(from.mac, to.mac, ethertype::IPV6, &ipv6(from.v6, to.v6, proto::ICMP6, hops, &bytes))
}

/// A DHCP message: 1 is a request, 2 a reply; `kind` is the message type of the options.
pub(crate) fn dhcp(
    from: &Host,
    operation: u8,
    kind: u8,
    client: [u8; 6],
    given: [u8; 4],
    name: &[u8],
) -> Vec<u8> {
    let mut message = vec![0; 240];
    message[..3].copy_from_slice(&[operation, 1, 6]);
    message[16..20].copy_from_slice(&given);
    message[28..34].copy_from_slice(&client);
    message[236..].copy_from_slice(&[0x63, 0x82, 0x53, 0x63]);
    message.extend([53, 1, kind]);
    if !name.is_empty() {
        message.extend([12, name.len() as u8]);
        message.extend(name);
    }
    message.push(255);
    let (src, ports) = if operation == 1 { ([0; 4], (68, 67)) } else { (from.v4, (67, 68)) };
    let everyone = [255; 4];
    let datagram = udp_datagram(Addr::from_v4(src), Addr::from_v4(everyone), ports.0, ports.1, &message);
    ethernet(from.mac, BROADCAST, ethertype::IPV4, &ipv4(src, everyone, proto::UDP, &datagram))
}

/// The fields of a frame that is in order, checksums included.
pub(crate) fn read(frame: &[u8]) -> Frame {
    let mut fields = Frame::EMPTY;
    parse(&frame, &mut fields).expect("the frame is in order");
    if fields.version == 4 {
        assert_eq!(sum(&frame[fields.network as usize..fields.transport as usize]), 0xffff, "IPv4 checksum");
    }
    let transport = &frame[fields.transport as usize..(fields.payload + fields.payload_len) as usize];
    let total = match fields.proto {
        proto::ICMP => sum(transport),
        _ => !transport_sum(fields.src, fields.dst, fields.proto, transport),
    };
    assert_eq!(total, 0xffff, "transport checksum");
    fields
}

/// The checksum of a transport header and payload (RFC 9293, section 3.1), or 0 if the one in place is right.
fn transport_sum(src: Addr, dst: Addr, protocol: u8, bytes: &[u8]) -> u16 {
    let mut all = Vec::new();
    if let (Some(src), Some(dst)) = (src.v4(), dst.v4()) {
        all.extend([src, dst].concat());
    } else {
        all.extend([src.0, dst.0].concat());
    }
    all.extend([0, protocol]);
    all.extend((bytes.len() as u16).to_be_bytes());
    all.extend(bytes);
    !sum(&all)
}

/// The one's complement sum (RFC 1071).
fn sum(bytes: &[u8]) -> u16 {
    let mut sum = 0_u32;
    for pair in bytes.chunks(2) {
        sum += u32::from(u16::from_be_bytes([pair[0], pair.get(1).copied().unwrap_or(0)]));
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}
