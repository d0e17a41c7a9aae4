//! NTP, QUIC and DTLS: fields of a datagram that is a part of a frame.

use std::fmt::Debug;

use firewall_common::reason::Reason;
use firewall_common::wire::{dtls, ntp, quic};

use crate::input::{Input, at};

/// Where the datagram begins and how much follows it, then the frame.
fn check<T: PartialEq + Debug>(
    bytes: &[u8],
    parse: impl Fn(&[u8], u32, u32) -> Result<T, Reason>,
) -> (Option<T>, &[u8]) {
    let mut input = Input::new(bytes);
    let start = usize::from(input.byte() % 64);
    let behind = usize::from(input.byte() % 16);
    let frame = input.rest();
    let end = frame.len().saturating_sub(behind).max(start.min(frame.len()));
    let Some(datagram) = frame.get(start..end) else { return (None, &[]) };
    let length = datagram.len() as u32;
    let alone = parse(datagram, 0, length).ok();
    let within = parse(frame, start as u32, length).ok();
    assert_eq!(within, alone, "what stands around a datagram is no part of it");
    (alone, datagram)
}

pub(crate) fn check_ntp(bytes: &[u8]) {
    let (read, datagram) = check(bytes, |bytes, at, length| {
        // One extension more than there is.
        let planted =
            cfg!(feature = "planted") && length == ntp::LENGTH - 4 && bytes.len() as u32 > at + length;
        ntp::parse(&bytes, at, if planted { length + 4 } else { length })
    });
    if let Some(ntp) = read {
        assert_eq!(ntp.version, datagram[0] >> 3 & 7);
        assert_eq!(ntp.stratum, datagram[1]);
    }
}

pub(crate) fn check_quic(bytes: &[u8]) {
    let (read, datagram) = check(bytes, |bytes, at, length| {
        // Takes a connection id that ends one byte behind the datagram.
        let planted = cfg!(feature = "planted") && bytes.len() as u32 > at + length && length > 20;
        quic::parse(&bytes, at, if planted { length + 1 } else { length })
    });
    if let Some(quic) = read {
        assert_eq!(at(datagram, 1).map(u32::from_be_bytes), Some(quic.version));
        assert_eq!(datagram.get(5), Some(&quic.id_len));
        let source = datagram.get(6 + usize::from(quic.id_len)).copied().map(usize::from);
        assert!(source.is_some_and(|length| 7 + usize::from(quic.id_len) + length <= datagram.len()));
    }
}

pub(crate) fn check_dtls(bytes: &[u8]) {
    let (read, datagram) = check(bytes, |bytes, at, length| {
        // Takes a record that ends with the frame for one that ends with the datagram.
        let planted = cfg!(feature = "planted") && bytes.get(at as usize) == Some(&23);
        dtls::parse(&bytes, at, if planted { bytes.len() as u32 - at } else { length })
    });
    if let Some(dtls) = read {
        assert_eq!(datagram[0], dtls.kind);
        assert_eq!(at(datagram, 1).map(u16::from_be_bytes), Some(dtls.version));
        assert!(!dtls.opens || (dtls.kind == 22 && datagram.get(13) == Some(&1)));
    }
}
