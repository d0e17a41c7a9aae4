extern crate std;
use std::vec::Vec;

use super::*;

fn ethernet_header(ethertype: u16) -> Vec<u8> {
    let mut bytes = std::vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];
    bytes.extend(ethertype.to_be_bytes());
    bytes
}

fn tcp_segment(flags: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = std::vec![0x9c, 0x40, 0x07, 0x5b, 0, 0, 0, 1, 0, 0, 0, 2, 0x50, flags, 0, 0, 0, 0, 0, 0];
    bytes.extend(payload);
    bytes
}

fn ipv4_packet(proto: u8, options: &[u8], payload: &[u8]) -> Vec<u8> {
    let length = 20 + options.len() + payload.len();
    let mut bytes = std::vec![0x40 | (5 + options.len() / 4) as u8, 0];
    bytes.extend((length as u16).to_be_bytes());
    bytes.extend([0, 0, 0x40, 0, 64, proto, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
    bytes.extend(options);
    bytes.extend(payload);
    bytes
}

fn ipv6_packet(next: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = std::vec![0x60, 0, 0, 0];
    bytes.extend((payload.len() as u16).to_be_bytes());
    bytes.extend([next, 64]);
    for last in [1, 2] {
        bytes.extend([0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last]);
    }
    bytes.extend(payload);
    bytes
}

fn parsed(bytes: &[u8]) -> Result<Frame, Reason> {
    let mut frame = Frame::EMPTY;
    parse(&bytes, &mut frame).map(|()| frame)
}

fn joined(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

#[test]
fn header_lengths_are_read() {
    for options in [&[][..], &[1, 1, 1, 1][..]] {
        let segment = tcp_segment(tcp::ACK, b"hello");
        let mut bytes =
            joined(&[&ethernet_header(ethertype::IPV4), &ipv4_packet(proto::TCP, options, &segment)]);
        bytes.extend([0; 9]); // Ethernet padding
        let frame = parsed(&bytes).unwrap();
        assert_eq!(frame.transport, 34 + options.len() as u32);
        assert_eq!((frame.src_port, frame.dst_port, frame.seq, frame.ack), (40_000, 1883, 1, 2));
        assert_eq!(frame.payload_len, 5);
    }
}

#[test]
fn tags_in_the_bytes_count_up_to_one() {
    let packet = ipv4_packet(proto::TCP, &[], &tcp_segment(tcp::SYN, b""));
    let tagged = joined(&[&ethernet_header(ethertype::VLAN), &[0x20, 7, 0x08, 0], &packet]);
    let frame = parsed(&tagged).unwrap();
    assert_eq!((frame.vlan, frame.network, frame.dst_port), (7, 18, 1883));
    let twice = joined(&[&ethernet_header(ethertype::QINQ), &[0, 7, 0x81, 0], &[0, 8, 0x08, 0], &packet]);
    assert_eq!(parsed(&twice), Err(Reason::VlanDepth));
}

#[test]
fn extension_headers_are_walked_to_a_limit() {
    let segment = tcp_segment(tcp::SYN, b"");
    let hop = [proto::TCP, 0, 1, 4, 0, 0, 0, 0];
    let one = joined(&[&hop, &segment]);
    let bytes = joined(&[&ethernet_header(ethertype::IPV6), &ipv6_packet(0, &one)]);
    assert_eq!(parsed(&bytes).unwrap().transport, 14 + 40 + 8);
    let again = [proto::DESTINATION, 0, 1, 4, 0, 0, 0, 0];
    let many = joined(&[&again, &again, &again, &again, &hop, &segment]);
    let bytes = joined(&[&ethernet_header(ethertype::IPV6), &ipv6_packet(60, &many)]);
    assert_eq!(parsed(&bytes), Err(Reason::ExtensionHeader));
    let bytes = joined(&[&ethernet_header(ethertype::IPV6), &ipv6_packet(44, &one)]);
    assert_eq!(parsed(&bytes), Err(Reason::Fragment));
    let bytes = joined(&[&ethernet_header(ethertype::IPV6), &ipv6_packet(43, &one)]);
    assert_eq!(parsed(&bytes), Err(Reason::ExtensionHeader));
}

#[test]
fn fragments_are_named() {
    let mut packet = ipv4_packet(proto::UDP, &[], &[0; 16]);
    for (flags, offset) in [(0x20, 0), (0x00, 1), (0x40, 9)] {
        packet[6] = flags;
        packet[7] = offset;
        let bytes = joined(&[&ethernet_header(ethertype::IPV4), &packet]);
        assert_eq!(parsed(&bytes), Err(Reason::Fragment));
    }
}

#[test]
fn impossible_headers_are_malformed() {
    let good = joined(&[
        &ethernet_header(ethertype::IPV4),
        &ipv4_packet(proto::TCP, &[], &tcp_segment(tcp::ACK, b"x")),
    ]);
    let cases: &[(&str, usize, u8)] = &[
        ("version 5", 14, 0x55),
        ("header of 16 bytes", 14, 0x44),
        ("total length beyond the frame", 17, 200),
        ("TCP header of 16 bytes", 46, 0x40),
        ("TCP header beyond the packet", 46, 0xf0),
        ("SYN and FIN", 47, tcp::SYN | tcp::FIN),
        ("no flags", 47, 0),
    ];
    for &(name, at, value) in cases {
        let mut bytes = good.clone();
        bytes[at] = value;
        assert_eq!(parsed(&bytes), Err(Reason::Malformed), "{name}");
    }
    for length in 0..good.len() {
        assert!(parsed(&good[..length]).is_err(), "{length} bytes");
    }
}

#[test]
fn a_group_never_sends() {
    let mut bytes = joined(&[
        &ethernet_header(ethertype::IPV4),
        &ipv4_packet(proto::TCP, &[], &tcp_segment(tcp::ACK, b"x")),
    ]);
    bytes[6] = 0xff;
    assert_eq!(parsed(&bytes), Err(Reason::AddressInvalid));
}

#[test]
fn a_datagram_ends_within_its_packet() {
    let datagram = [0, 53, 0, 53, 0, 9, 0, 0, 1];
    let bytes = joined(&[&ethernet_header(ethertype::IPV4), &ipv4_packet(proto::UDP, &[], &datagram)]);
    assert!(parsed(&bytes).is_ok());
    let mut long = datagram;
    long[5] = 10;
    let bytes = joined(&[&ethernet_header(ethertype::IPV4), &ipv4_packet(proto::UDP, &[], &long)]);
    assert_eq!(parsed(&bytes), Err(Reason::Malformed));
}
