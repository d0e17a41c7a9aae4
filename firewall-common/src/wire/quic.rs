//! QUIC (RFC 8999, RFC 9000): recognised by its long header; what follows is encrypted.

use crate::reason::Reason;
use crate::wire::Bytes;

/// Versions that are known: 1 (RFC 9000) and 2 (RFC 9369).
const V1: u32 = 1;
const V2: u32 = 0x6b33_43cf;
/// Drafts of version 1.
const DRAFTS: u32 = 0xff00_0000;
/// Longest connection id of the known versions (RFC 9000, section 17.2).
const ID_CAP: u8 = 20;
/// Least bytes of a datagram that opens a connection (RFC 9000, section 14.1).
const INITIAL_LEAST: u32 = 1_200;

/// What a long header is for (RFC 9000, section 17.2; RFC 9369, section 3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packet {
    Initial,
    EarlyData,
    Handshake,
    Retry,
    /// The server's list of versions.
    Negotiation,
}

impl Packet {
    /// The name in every output.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Initial => "initial",
            Self::EarlyData => "0rtt",
            Self::Handshake => "handshake",
            Self::Retry => "retry",
            Self::Negotiation => "version_negotiation",
        }
    }
}

/// What a datagram shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quic {
    pub packet: Packet,
    pub version: u32,
    /// Length of the receiver's connection id.
    pub id_len: u8,
}

/// Reads the long header of the datagram of `length` bytes at `at`; what has none is another protocol.
#[inline(always)]
pub fn parse(bytes: &impl Bytes, at: u32, length: u32) -> Result<Quic, Reason> {
    let Some([first, v0, v1, v2, v3, id_len]) = bytes.load::<6>(at) else { return Err(Reason::ProtoChanged) };
    let version = u32::from_be_bytes([v0, v1, v2, v3]);
    let known = matches!(version, 0 | V1 | V2) || version & 0xffff_ff00 == DRAFTS;
    // The fixed bit may be anything in a list of versions.
    if first & 0x80 == 0 || !known || version != 0 && (first & 0x40 == 0 || id_len > ID_CAP) {
        return Err(Reason::ProtoChanged);
    }
    // Both connection ids are there, the second one with its length.
    let behind = u32::from(id_len) + 6;
    match bytes.load::<1>(at + behind) {
        Some([id_len]) if behind + 1 + u32::from(id_len) <= length && (version == 0 || id_len <= ID_CAP) => {}
        _ => return Err(Reason::Malformed),
    }
    let kind = first >> 4 & 3;
    let packet = match (version, if version == V2 { kind.wrapping_sub(1) & 3 } else { kind }) {
        (0, _) => Packet::Negotiation,
        (_, 0) => Packet::Initial,
        (_, 1) => Packet::EarlyData,
        (_, 2) => Packet::Handshake,
        _ => Packet::Retry,
    };
    Ok(Quic { packet, version, id_len })
}

/// Whether a datagram may open a connection.
#[inline(always)]
pub fn opens(quic: Quic, length: u32) -> bool {
    matches!(quic.packet, Packet::Initial | Packet::EarlyData) && length >= INITIAL_LEAST && quic.id_len >= 8
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HEAD: [u8; 8] = [0xc3, 0, 0, 0, 1, 8, 1, 2];

    fn datagram(first: u8, version: u32, id_len: u8) -> [u8; 1_200] {
        let mut bytes = [0; 1_200];
        bytes[0] = first;
        bytes[1..5].copy_from_slice(&version.to_be_bytes());
        bytes[5] = id_len;
        bytes
    }

    fn read(bytes: &[u8]) -> Result<Quic, Reason> {
        parse(&bytes, 0, bytes.len() as u32)
    }

    #[test]
    fn packets_are_told_apart() {
        let packets = [Packet::Initial, Packet::EarlyData, Packet::Handshake, Packet::Retry];
        for (number, &packet) in packets.iter().enumerate() {
            let first = 0xc0 | (number as u8) << 4;
            let expected = Quic { packet, version: V1, id_len: 8 };
            assert_eq!(read(&datagram(first, V1, 8)), Ok(expected));
            let first = 0xc0 | ((number as u8 + 1) & 3) << 4;
            assert_eq!(read(&datagram(first, V2, 20)), Ok(Quic { packet, version: V2, id_len: 20 }));
        }
        assert_eq!(read(&datagram(0x80, 0, 40)).map(|quic| quic.packet), Ok(Packet::Negotiation));
        assert_eq!(read(&datagram(0xc0, 0xff00_001d, 8)).map(|quic| quic.packet), Ok(Packet::Initial));
    }

    #[test]
    fn only_a_full_datagram_opens() {
        let bytes = datagram(0xc0, V1, 8);
        let initial = read(&bytes).unwrap();
        assert!(opens(initial, 1_200) && !opens(initial, 1_199));
        assert!(!opens(read(&datagram(0xe0, V1, 8)).unwrap(), 1_200));
        assert!(!opens(read(&datagram(0xc0, V1, 7)).unwrap(), 1_200));
    }

    #[test]
    fn other_bytes_are_another_protocol() {
        for (first, version, id_len) in [(0x43, V1, 8), (0x83, V1, 8), (0xc3, 3, 8), (0xc3, V1, 21)] {
            assert_eq!(read(&datagram(first, version, id_len)), Err(Reason::ProtoChanged));
        }
        for length in 0..6 {
            assert_eq!(read(&HEAD[..length]), Err(Reason::ProtoChanged));
        }
        // The ids are cut off.
        assert_eq!(read(&HEAD), Err(Reason::Malformed));
        let mut long = datagram(0xc3, V1, 8);
        long[14] = 21;
        assert_eq!(read(&long), Err(Reason::Malformed));
    }

    proptest! {
        #[test]
        fn any_bytes_have_an_answer(bytes in prop::collection::vec(any::<u8>(), 0..60), length in 0..60_u32) {
            if let Ok(quic) = parse(&&bytes[..], 0, length) {
                prop_assert!(u32::from(quic.id_len) < length);
            }
        }
    }
}
