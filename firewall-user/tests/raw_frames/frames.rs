//! Frames as devices send them, byte by byte.

/// A MAC that is not a group.
pub(crate) const DEVICE: [u8; 6] = [2, 0, 0, 0, 0, 0x10];
pub(crate) const OTHER: [u8; 6] = [2, 0, 0, 0, 0, 0x20];
pub(crate) const BOX: [u8; 6] = [2, 0, 0, 0, 0, 1];

pub(crate) const DEVICE_IP: [u8; 4] = [10, 9, 0, 16];
pub(crate) const OTHER_IP: [u8; 4] = [10, 9, 0, 32];
/// Documentation addresses (RFC 5737): outside the site.
pub(crate) const OUTSIDE_IP: [u8; 4] = [192, 0, 2, 7];

pub(crate) const TCP: u8 = 6;
pub(crate) const UDP: u8 = 17;

pub(crate) const SYN: u8 = 0x02;
pub(crate) const RST: u8 = 0x04;
pub(crate) const ACK: u8 = 0x10;
pub(crate) const PSH: u8 = 0x08;

/// Destination, source, ethertype and what follows.
pub(crate) fn ethernet(dst: [u8; 6], src: [u8; 6], ethertype: u16, payload: &[u8]) -> Vec<u8> {
    [&dst[..], &src[..], &ethertype.to_be_bytes()[..], payload].concat()
}

/// A VLAN tag in front of an ethertype and what follows it.
pub(crate) fn tag(vlan: u16, ethertype: u16, payload: &[u8]) -> Vec<u8> {
    [&vlan.to_be_bytes()[..], &ethertype.to_be_bytes()[..], payload].concat()
}

/// A packet without options (RFC 791).
pub(crate) fn ipv4(src: [u8; 4], dst: [u8; 4], proto: u8, payload: &[u8]) -> Vec<u8> {
    ipv4_with(src, dst, proto, 0x4000, payload)
}

/// A packet with flags and fragment offset of one's own.
pub(crate) fn ipv4_with(src: [u8; 4], dst: [u8; 4], proto: u8, fragment: u16, payload: &[u8]) -> Vec<u8> {
    let total = (20 + payload.len()) as u16;
    let mut header = vec![0x45, 0];
    header.extend(total.to_be_bytes());
    header.extend([0, 7]);
    header.extend(fragment.to_be_bytes());
    header.extend([64, proto, 0, 0]);
    header.extend(src);
    header.extend(dst);
    let sum = checksum(&header, 0);
    header[10..12].copy_from_slice(&sum.to_be_bytes());
    header.extend(payload);
    header
}

/// One end of a TCP connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct End {
    pub(crate) mac: [u8; 6],
    pub(crate) ip: [u8; 4],
    pub(crate) port: u16,
}

/// A segment without options (RFC 9293), in its packet and frame.
pub(crate) fn segment(from: End, to: End, seq: u32, ack: u32, flags: u8, payload: &[u8]) -> Vec<u8> {
    let mut tcp = Vec::new();
    tcp.extend(from.port.to_be_bytes());
    tcp.extend(to.port.to_be_bytes());
    tcp.extend(seq.to_be_bytes());
    tcp.extend(ack.to_be_bytes());
    tcp.extend([0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
    tcp.extend(payload);
    let sum = checksum(&tcp, pseudo(from.ip, to.ip, TCP, tcp.len()));
    tcp[16..18].copy_from_slice(&sum.to_be_bytes());
    ethernet(to.mac, from.mac, 0x0800, &ipv4(from.ip, to.ip, TCP, &tcp))
}

/// A datagram in its packet and frame.
pub(crate) fn datagram(from: End, to: End, payload: &[u8]) -> Vec<u8> {
    let length = (8 + payload.len()) as u16;
    let mut udp = Vec::new();
    udp.extend(from.port.to_be_bytes());
    udp.extend(to.port.to_be_bytes());
    udp.extend(length.to_be_bytes());
    udp.extend([0, 0]);
    udp.extend(payload);
    let sum = checksum(&udp, pseudo(from.ip, to.ip, UDP, udp.len()));
    udp[6..8].copy_from_slice(&sum.to_be_bytes());
    ethernet(to.mac, from.mac, 0x0800, &ipv4(from.ip, to.ip, UDP, &udp))
}

/// An ARP request of `mac` for `target` (RFC 826).
pub(crate) fn arp(mac: [u8; 6], ip: [u8; 4], target: [u8; 4]) -> Vec<u8> {
    let body = [&[0, 1, 8, 0, 6, 4, 0, 1][..], &mac, &ip, &[0; 6], &target].concat();
    ethernet([0xff; 6], mac, 0x0806, &body)
}

fn pseudo(src: [u8; 4], dst: [u8; 4], proto: u8, length: usize) -> u32 {
    let header = [&src[..], &dst[..], &[0, proto], &(length as u16).to_be_bytes()[..]].concat();
    words(&header)
}

/// The Internet checksum (RFC 1071) on top of a sum.
fn checksum(bytes: &[u8], sum: u32) -> u16 {
    let mut sum = sum + words(bytes);
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

fn words(bytes: &[u8]) -> u32 {
    bytes.chunks(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], *pair.get(1).unwrap_or(&0)]))).sum()
}

/// MQTT 3.1.1 packets.
pub(crate) mod mqtt {
    pub(crate) fn connect(client: &str) -> Vec<u8> {
        let body =
            [&[0, 4][..], b"MQTT", &[4, 2, 0, 60], &(client.len() as u16).to_be_bytes(), client.as_bytes()]
                .concat();
        packet(0x10, &body)
    }

    pub(crate) const CONNACK: [u8; 4] = [0x20, 2, 0, 0];
    pub(crate) const PINGREQ: [u8; 2] = [0xc0, 0];

    pub(crate) fn publish(topic: &str, payload: &[u8]) -> Vec<u8> {
        packet(0x30, &[&(topic.len() as u16).to_be_bytes()[..], topic.as_bytes(), payload].concat())
    }

    pub(crate) fn subscribe(filter: &str) -> Vec<u8> {
        packet(0x82, &[&[0, 9][..], &(filter.len() as u16).to_be_bytes(), filter.as_bytes(), &[0]].concat())
    }

    fn packet(first: u8, body: &[u8]) -> Vec<u8> {
        let mut packet = vec![first];
        let mut length = body.len();
        loop {
            let more = length > 127;
            packet.push((length % 128) as u8 | if more { 128 } else { 0 });
            length /= 128;
            if !more {
                break;
            }
        }
        packet.extend(body);
        packet
    }
}
