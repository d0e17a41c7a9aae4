//! Headers of a frame, against a second reading of the same headers.

use firewall_common::wire::frame::{self, Frame};

use crate::input::at;

/// What both readings say of a frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Headers {
    version: u8,
    proto: u8,
    ethertype: u16,
    vlan: u16,
    network: usize,
    transport: usize,
    payload: usize,
    payload_len: usize,
    /// IPv4 addresses in the last four bytes.
    addresses: [[u8; 16]; 2],
    ports: [u16; 2],
    numbers: [u32; 2],
    flags: u8,
}

pub(crate) fn check(bytes: &[u8]) {
    let whole = parse(bytes);
    assert_eq!(whole, reference(bytes), "two readings of one frame");
    let Some(headers) = whole else { return };
    let end = if headers.version == 0 { headers.network } else { headers.payload + headers.payload_len };
    assert!(end <= bytes.len(), "the payload lies in the frame");
    // Ethernet padding says nothing; a frame that ends before its packet does is no frame.
    for cut in [end, end.midpoint(bytes.len())] {
        assert_eq!(parse(&bytes[..cut]), whole, "cut behind the packet, at {cut}");
    }
    for cut in [0, headers.network, headers.transport, headers.payload, end.saturating_sub(1)] {
        if cut < end {
            assert_eq!(parse(&bytes[..cut]), None, "cut within the packet, at {cut}");
        }
    }
}

fn parse(bytes: &[u8]) -> Option<Headers> {
    let mut frame = Frame::EMPTY;
    frame::parse(&bytes, &mut frame).ok()?;
    let mut headers = Headers {
        version: frame.version,
        proto: frame.proto,
        ethertype: frame.ethertype,
        vlan: frame.vlan,
        network: frame.network as usize,
        transport: frame.transport as usize,
        payload: frame.payload as usize,
        payload_len: frame.payload_len as usize,
        addresses: [frame.src, frame.dst].map(|addr| match addr.v4() {
            Some(v4) => last_four(v4),
            None => addr.0,
        }),
        ports: [frame.src_port, frame.dst_port],
        numbers: [frame.seq, frame.ack],
        flags: frame.flags,
    };
    if cfg!(feature = "planted") {
        planted(bytes, &mut headers);
    }
    Some(headers)
}

/// Takes every destination-options header for one of eight bytes.
fn planted(bytes: &[u8], headers: &mut Headers) {
    if headers.version == 6
        && at(bytes, headers.network + 6) == Some([60_u8])
        && let Some([_, length]) = at::<2>(bytes, headers.network + 40)
        && length > 1
    {
        headers.transport -= usize::from(length) * 8;
    }
}

const fn last_four(v4: [u8; 4]) -> [u8; 16] {
    let [a, b, c, d] = v4;
    [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, a, b, c, d]
}

/// A frame as the standards say, for one that is read on a host and may take its time.
fn reference(bytes: &[u8]) -> Option<Headers> {
    let source = at::<6>(bytes, 6)?;
    let mut headers = Headers { ethertype: short(bytes, 12)?, network: 14, ..Headers::default() };
    if source[0] & 1 == 1 || source == [0; 6] {
        return None;
    }
    let is_tag = |ethertype| ethertype == 0x8100 || ethertype == 0x88a8;
    if is_tag(headers.ethertype) {
        headers.vlan = short(bytes, 14)? % 0x1000;
        headers.ethertype = short(bytes, 16)?;
        headers.network = 18;
        if is_tag(headers.ethertype) {
            return None;
        }
    }
    let packet = bytes.get(headers.network..)?;
    let (header, packet) = match headers.ethertype {
        0x0800 => v4(packet, &mut headers)?,
        0x86dd => v6(packet, &mut headers)?,
        _ => return Some(headers),
    };
    headers.transport = headers.network + header;
    let segment = &packet[header..];
    let length = match headers.proto {
        6 => {
            let length = usize::from(at::<1>(segment, 12)?[0] / 16) * 4;
            at::<20>(segment, 0)?;
            headers.flags = segment[13];
            headers.numbers = [long(segment, 4)?, long(segment, 8)?];
            let [fin, syn, rst, ack] = [1, 2, 4, 16].map(|bit| headers.flags & bit != 0);
            if length < 20 || (syn && (fin || rst)) || !(syn || ack || rst) {
                return None;
            }
            length
        }
        17 => {
            at::<8>(segment, 0)?;
            let length = usize::from(short(segment, 4)?);
            if length < 8 || length > segment.len() {
                return None;
            }
            8
        }
        1 | 58 => {
            let [kind, ..] = at::<8>(segment, 0)?;
            if (headers.proto == 1) != (headers.version == 4) {
                return None;
            }
            headers.flags = kind;
            let echo: &[u8] = if headers.version == 4 { &[0, 8] } else { &[128, 129] };
            if echo.contains(&kind) {
                headers.ports = [short(segment, 4)?; 2];
            }
            8
        }
        _ => 0,
    };
    if matches!(headers.proto, 6 | 17) {
        headers.ports = [short(segment, 0)?, short(segment, 2)?];
    }
    headers.payload = headers.transport + length;
    headers.payload_len = segment.len().checked_sub(length)?;
    Some(headers)
}

/// Length of the IPv4 header, and the packet without padding.
fn v4<'a>(packet: &'a [u8], headers: &mut Headers) -> Option<(usize, &'a [u8])> {
    let header = at::<20>(packet, 0)?;
    let length = usize::from(header[0] % 16) * 4;
    let packet = packet.get(..usize::from(short(packet, 2)?))?;
    let fragment = short(packet, 6)? & 0x3fff;
    if header[0] / 16 != 4 || length < 20 || packet.len() < length || fragment != 0 {
        return None;
    }
    headers.version = 4;
    headers.proto = header[9];
    headers.addresses = [last_four(at(packet, 12)?), last_four(at(packet, 16)?)];
    Some((length, packet))
}

/// Length of the IPv6 header with its extensions, and the packet without padding.
fn v6<'a>(packet: &'a [u8], headers: &mut Headers) -> Option<(usize, &'a [u8])> {
    let header = at::<40>(packet, 0)?;
    let whole = packet;
    let packet = packet.get(..40 + usize::from(short(packet, 4)?))?;
    headers.version = 6;
    headers.addresses = [at(packet, 8)?, at(packet, 24)?];
    let mapped = |addr: &[u8; 16]| addr[..10] == [0; 10] && addr[10..12] == [0xff; 2];
    if header[0] / 16 != 6 || headers.addresses.iter().any(mapped) {
        return None;
    }
    let (mut next, mut at_byte) = (header[6], 40);
    let mut extensions = 0;
    while matches!(next, 0 | 60) && extensions < 4 {
        let [following, length] = at::<2>(whole, at_byte)?;
        next = following;
        at_byte += (usize::from(length) + 1) * 8;
        extensions += 1;
    }
    // A fifth extension, a fragment, routing, mobility, nothing.
    let refused: &[u8] = if extensions == 4 { &[0, 43, 44, 60] } else { &[43, 44, 59, 135] };
    if refused.contains(&next) || at_byte > packet.len() {
        return None;
    }
    headers.proto = next;
    Some((at_byte, packet))
}

fn short(bytes: &[u8], offset: usize) -> Option<u16> {
    at(bytes, offset).map(u16::from_be_bytes)
}

fn long(bytes: &[u8], offset: usize) -> Option<u32> {
    at(bytes, offset).map(u32::from_be_bytes)
}
