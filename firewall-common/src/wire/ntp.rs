//! NTP (RFC 5905): who speaks, and how much of a packet its sender could choose.

use crate::reason::Reason;
use crate::wire::Bytes;

/// Bytes of a packet without extension fields (RFC 5905, section 7.3).
pub const LENGTH: u32 = 48;

/// What a packet is for (RFC 5905, figure 10).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Client,
    Server,
    Broadcast,
    /// Symmetric, control or private.
    Other(u8),
}

impl Mode {
    /// The name in every output.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Server => "server",
            Self::Broadcast => "broadcast",
            Self::Other(_) => "other",
        }
    }
}

/// What a packet shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ntp {
    pub version: u8,
    pub mode: Mode,
    pub stratum: u8,
    /// Bytes that a client is free to choose and that are not zero: of the six words of eight bytes, each counts as a
    /// whole. A client that says nothing but what is needed has its transmit timestamp only, and may make that one up.
    pub chosen: u8,
}

/// Reads a packet of `length` bytes at `at`.
#[inline(always)]
pub fn parse(bytes: &impl Bytes, at: u32, length: u32) -> Result<Ntp, Reason> {
    if length < LENGTH || length & 3 != 0 {
        return Err(Reason::Malformed);
    }
    let Some([first, stratum, poll, precision, d0, d1, d2, d3]) = bytes.load::<8>(at) else {
        return Err(Reason::Malformed);
    };
    let version = first >> 3 & 7;
    if !matches!(version, 3 | 4) {
        return Err(Reason::Malformed);
    }
    let mode = match first & 7 {
        3 => Mode::Client,
        4 => Mode::Server,
        5 => Mode::Broadcast,
        other => Mode::Other(other),
    };
    let mut chosen = if [stratum, poll, precision, d0, d1, d2, d3] == [0; 7] { 0 } else { 8 };
    // Poll interval and precision are a client's own, and few.
    if [stratum, d0, d1, d2, d3] == [0; 5] && chosen != 0 {
        chosen = 2;
    }
    let mut word = 1;
    while word < 6 {
        match bytes.load::<8>(at + word * 8) {
            Some([0, 0, 0, 0, 0, 0, 0, 0]) => {}
            Some(_) => chosen += 8,
            None => return Err(Reason::Malformed),
        }
        word += 1;
    }
    Ok(Ntp { version, mode, stratum, chosen })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn packet(first: u8) -> [u8; 48] {
        let mut packet = [0; 48];
        packet[0] = first;
        packet
    }

    #[track_caller]
    fn read(packet: &[u8]) -> Result<Ntp, Reason> {
        parse(&packet, 0, packet.len() as u32)
    }

    #[test]
    fn a_simple_client_chooses_little() {
        let plain = read(&packet(0x1b)).unwrap();
        assert_eq!((plain.version, plain.mode, plain.chosen), (3, Mode::Client, 0));
        let mut minimal = packet(0xe3);
        minimal[40..].copy_from_slice(&[0x5a; 8]);
        assert_eq!(read(&minimal).unwrap().chosen, 8);
        minimal[2] = 6;
        minimal[3] = 0x20;
        assert_eq!(read(&minimal).unwrap(), Ntp { version: 4, mode: Mode::Client, stratum: 0, chosen: 10 });
    }

    #[test]
    fn every_word_counts() {
        let mut full = packet(0x23);
        full[1..].fill(7);
        assert_eq!(read(&full).unwrap().chosen, 48);
        for at in 4..48 {
            let mut one = packet(0x23);
            one[at] = 1;
            assert_eq!(read(&one).unwrap().chosen, 8, "{at}");
        }
    }

    #[test]
    fn other_shapes_are_malformed() {
        for version in [0, 1, 2, 5, 6, 7] {
            assert_eq!(read(&packet(version << 3 | 3)), Err(Reason::Malformed));
        }
        let whole = packet(0x23);
        for length in 0..48 {
            assert_eq!(read(&whole[..length]), Err(Reason::Malformed));
        }
        assert_eq!(read(&[0x23; 49]), Err(Reason::Malformed));
        assert_eq!(read(&packet(0x24)).unwrap().mode, Mode::Server);
        assert_eq!(read(&packet(0x25)).unwrap().mode, Mode::Broadcast);
        assert_eq!(read(&packet(0x26)).unwrap().mode, Mode::Other(6));
    }

    proptest! {
        #[test]
        fn any_bytes_have_an_answer(bytes in prop::collection::vec(any::<u8>(), 0..80), length in 0..80_u32) {
            if let Ok(ntp) = parse(&&bytes[..], 0, length) {
                prop_assert!(ntp.chosen <= 48 && length >= 48);
            }
        }
    }
}
