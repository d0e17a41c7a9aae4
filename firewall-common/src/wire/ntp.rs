//! NTP (RFC 5905): who speaks, in which version.

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
    /// Distance from a reference clock; 0 of a client that says nothing of itself.
    pub stratum: u8,
}

/// Reads a packet of `length` bytes at `at`.
#[inline(always)]
pub fn parse(bytes: &impl Bytes, at: u32, length: u32) -> Result<Ntp, Reason> {
    if length < LENGTH || length & 3 != 0 {
        return Err(Reason::Malformed);
    }
    // The last word is there too.
    let (Some([first, stratum]), Some([_])) = (bytes.load::<2>(at), bytes.load::<1>(at + LENGTH - 1)) else {
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
    Ok(Ntp { version, mode, stratum })
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
    fn both_versions_in_use_are_read() {
        assert_eq!(read(&packet(0x1b)), Ok(Ntp { version: 3, mode: Mode::Client, stratum: 0 }));
        let mut answer = packet(0xe4);
        answer[1] = 2;
        assert_eq!(read(&answer), Ok(Ntp { version: 4, mode: Mode::Server, stratum: 2 }));
        // With extension fields.
        assert!(read(&[0x23; 68]).is_ok());
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
            if parse(&&bytes[..], 0, length).is_ok() {
                prop_assert!(bytes.len() >= 48 && length >= 48);
            }
        }
    }
}
