//! DTLS 1.0 and 1.2 (RFC 6347): recognised by the header of a record; what follows is not read.

use crate::reason::Reason;
use crate::wire::Bytes;

/// Bytes of a record's header (RFC 6347, section 4.1), and most that may follow.
const HEADER: u32 = 13;
const RECORD_CAP: u16 = 0x4800;
const HANDSHAKE: u8 = 22;
const CLIENT_HELLO: u8 = 1;

/// What the first record of a datagram shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dtls {
    /// Content type: 20 change cipher spec, 21 alert, 22 handshake, 23 data, 24 heartbeat, 25 with connection id.
    pub kind: u8,
    /// `0xfeff` is 1.0, `0xfefd` is 1.2 and the beginning of 1.3.
    pub version: u16,
    /// 0 until the keys change.
    pub epoch: u16,
    /// Whether it asks for a connection.
    pub opens: bool,
}

/// Reads the first record's header of the datagram of `length` bytes at `at`; what has none is another protocol.
#[inline(always)]
pub fn parse(bytes: &impl Bytes, at: u32, length: u32) -> Result<Dtls, Reason> {
    let Some([kind, v0, v1, e0, e1]) = bytes.load::<5>(at) else { return Err(Reason::ProtoChanged) };
    let version = u16::from_be_bytes([v0, v1]);
    if !matches!(kind, 20..=25) || !matches!(version, 0xfeff | 0xfefd) {
        return Err(Reason::ProtoChanged);
    }
    let epoch = u16::from_be_bytes([e0, e1]);
    let Some(record) = bytes.load::<2>(at + HEADER - 2).map(u16::from_be_bytes) else {
        return Err(Reason::Malformed);
    };
    // Behind the datagram there may be padding.
    if length < HEADER {
        return Err(Reason::Malformed);
    }
    // A record with a connection id has its length elsewhere (RFC 9146, section 4).
    if kind != 25 && (record > RECORD_CAP || HEADER + u32::from(record) > length) {
        return Err(Reason::Malformed);
    }
    let opens = kind == HANDSHAKE
        && epoch == 0
        && record != 0
        && matches!(bytes.load::<1>(at + HEADER), Some([CLIENT_HELLO]));
    Ok(Dtls { kind, version, epoch, opens })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HELLO: [u8; 16] = [22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 9, 0, 3, 1, 0, 0];

    fn read(bytes: &[u8]) -> Result<Dtls, Reason> {
        parse(&bytes, 0, bytes.len() as u32)
    }

    #[test]
    fn a_record_shows_its_header() {
        assert_eq!(read(&HELLO), Ok(Dtls { kind: 22, version: 0xfefd, epoch: 0, opens: true }));
        let mut other = HELLO;
        other[13] = 2;
        assert!(!read(&other).unwrap().opens);
        other = HELLO;
        other[4] = 1;
        assert_eq!(read(&other).map(|dtls| (dtls.epoch, dtls.opens)), Ok((1, false)));
        for kind in 20..=25 {
            other = HELLO;
            other[0] = kind;
            other[2] = 0xff;
            assert_eq!(read(&other).map(|dtls| (dtls.kind, dtls.version)), Ok((kind, 0xfeff)));
        }
    }

    #[test]
    fn other_bytes_are_another_protocol() {
        for (at, byte) in [(0, 19), (0, 26), (1, 3), (2, 0xfe), (2, 0xfc)] {
            let mut other = HELLO;
            other[at] = byte;
            assert_eq!(read(&other), Err(Reason::ProtoChanged));
        }
        for length in 0..16 {
            let reason = if length < 5 { Reason::ProtoChanged } else { Reason::Malformed };
            assert_eq!(read(&HELLO[..length]), Err(reason));
        }
        let mut padded = HELLO;
        padded[0] = 25;
        assert_eq!(parse(&&padded[..], 0, 12), Err(Reason::Malformed));
        let mut long = HELLO;
        long[12] = 4;
        assert_eq!(read(&long), Err(Reason::Malformed));
    }

    proptest! {
        #[test]
        fn any_bytes_have_an_answer(bytes in prop::collection::vec(any::<u8>(), 0..40), length in 0..40_u32) {
            if let Ok(dtls) = parse(&&bytes[..], 0, length) {
                prop_assert!(matches!(dtls.kind, 20..=25));
            }
        }
    }
}
