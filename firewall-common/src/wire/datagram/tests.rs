use std::vec;
use std::vec::Vec;

use proptest::prelude::*;

use super::*;

extern crate std;

const DTLS: [u8; 14] = [22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1];
const SEARCH_TEXT: &[u8] = b"M-SEARCH * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\n\r\n";
const COAP_GET: [u8; 6] = [0x40, 1, 0x12, 0x34, 0xb1, b'a'];

/// A datagram of one end of a flow to this port.
fn of(sender: Sender, port: u16, bytes: &[u8]) -> Datagram {
    Datagram { at: 0, length: bytes.len() as u32, port, sender }
}

/// What is recognised in the first datagram to this port.
fn first(port: u16, bytes: &[u8]) -> Protocol {
    of(Sender::Client, port, bytes).recognise(&bytes)
}

/// A message of DNS about one name of the Internet; numbers of questions and of the three kinds of records.
fn dns(flags: u16, counts: [u16; 4], name: &str, kind: u16, class: u16) -> Vec<u8> {
    let words = [0x1234, flags, counts[0], counts[1], counts[2], counts[3]];
    let mut bytes: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).collect();
    for label in name.split('.').filter(|label| !label.is_empty()) {
        bytes.push(label.len() as u8);
        bytes.extend(label.as_bytes());
    }
    bytes.push(0);
    bytes.extend([kind, class].iter().flat_map(|word| word.to_be_bytes()));
    bytes
}

fn question(name: &str) -> Vec<u8> {
    dns(0x0100, [1, 0, 0, 0], name, 1, 1)
}

fn initial(length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    bytes[..6].copy_from_slice(&[0xc3, 0, 0, 0, 1, 8]);
    bytes
}

fn ntp(first: u8) -> Vec<u8> {
    let mut bytes = vec![0; 48];
    bytes[0] = first;
    bytes
}

#[test]
fn each_protocol_is_recognised() {
    assert_eq!(first(443, &initial(1_200)), Protocol::Quic);
    assert_eq!(first(5684, &DTLS), Protocol::Dtls);
    for text in [SEARCH_TEXT, b"NOTIFY * HTTP/1.1\r\n", b"HTTP/1.1 200 OK\r\n"] {
        assert_eq!(first(1900, text), Protocol::Ssdp);
    }
    for name in ["", "a.example", &"x.".repeat(38)] {
        assert_eq!(first(53, &question(name)), Protocol::Dns, "{name}");
        assert_eq!(first(9_999, &question(name)), Protocol::Dns, "at any port");
    }
    assert_eq!(first(123, &ntp(0x23)), Protocol::Ntp);
    assert_eq!(first(9_999, b"hello"), Protocol::Opaque);
    assert_eq!(first(9_999, b""), Protocol::Opaque);
}

#[test]
fn what_only_looks_like_it_is_opaque() {
    for (port, bytes) in [
        // Too short for the first packet of a client, and a version that nobody speaks.
        (443, initial(1_199)),
        (443, [&[0xc3, 0, 0, 0, 3, 8][..], &[0; 1_200]].concat()),
        (5684, [&[22, 3, 3][..], &DTLS[3..]].concat()),
        (5684, [&[19][..], &DTLS[1..]].concat()),
        (5684, [&DTLS[..12], &[200, 1]].concat()),
        (1900, b"M-SEARCH * HTTP".to_vec()),
        (1900, b"M-SEARCH / HTTP/1.1\r\n".to_vec()),
        (1900, b"HTTP/1.1 404 Not Found\r\n".to_vec()),
        (124, ntp(0x23)),
        (123, ntp(0x24)),
        (123, ntp(0x2b)),
        (123, vec![0x23; 47]),
        (53, dns(0x8180, [1, 0, 0, 0], "a", 1, 1)),
        (53, dns(0x2900, [1, 0, 0, 0], "a", 1, 1)),
        (53, dns(0x0100, [2, 0, 0, 0], "a", 1, 1)),
        (53, dns(0x0100, [1, 1, 0, 0], "a", 1, 1)),
        (53, dns(0x0100, [1, 0, 0, 3], "a", 1, 1)),
        (53, dns(0x0100, [1, 0, 0, 0], "a", 1, 4)),
        (53, question(&"x.".repeat(40))),
        (53, question("abc")[..16].to_vec()),
        (53, [&question("abc")[..12], &[0xc0, 12, 0, 1, 0, 1]].concat()),
        (53, question("abc")[..question("abc").len() - 1].to_vec()),
        // CoAP is not recognised here.
        (5683, COAP_GET.to_vec()),
    ] {
        assert_eq!(first(port, &bytes), Protocol::Opaque, "{port} {bytes:02x?}");
    }
}

#[test]
fn multicast_dns_may_answer_unasked() {
    let announcement = dns(0x8400, [0, 1, 0, 0], "_http._tcp.local", 12, 0x8001);
    assert_eq!(first(5353, &announcement), Protocol::Dns);
    assert_eq!(first(5353, &dns(0, [3, 2, 0, 0], "_http._tcp.local", 12, 0x8001)), Protocol::Dns);
    assert_eq!(first(5354, &announcement), Protocol::Opaque);
    assert_eq!(first(5353, &dns(0, [0; 4], "a", 1, 1)), Protocol::Opaque);
    assert_eq!(first(5353, &dns(0, [17, 0, 0, 0], "a", 1, 1)), Protocol::Opaque);
}

#[test]
fn a_flow_goes_on_as_it_began() {
    let goes_on = |sender, protocol, bytes: &[u8]| of(sender, 1, bytes).goes_on(&bytes, protocol);
    for sender in [Sender::Client, Sender::Server] {
        assert!(goes_on(sender, Protocol::Quic, &initial(40)));
        assert!(!goes_on(sender, Protocol::Quic, &[0x43; 40]), "a short header, too early");
        assert!(goes_on(sender, Protocol::Dtls, &DTLS));
        assert!(goes_on(sender, Protocol::Dtls, &[0x2c, 1, 2]), "DTLS 1.3");
        assert!(!goes_on(sender, Protocol::Dtls, &COAP_GET));
        assert!(!goes_on(sender, Protocol::Dtls, &[]));
        assert!(goes_on(sender, Protocol::Ssdp, SEARCH_TEXT));
        assert!(!goes_on(sender, Protocol::Ssdp, b"GET / HTTP/1.1\r\n\r\n"));
    }
    let answer = dns(0x8180, [1, 3, 1, 2], "a", 1, 1);
    assert!(goes_on(Sender::Server, Protocol::Dns, &answer));
    assert!(!goes_on(Sender::Server, Protocol::Dns, &question("a")), "a server asks nothing");
    assert!(!goes_on(Sender::Client, Protocol::Dns, &answer));
    assert!(goes_on(Sender::Server, Protocol::Ntp, &ntp(0x24)));
    assert!(!goes_on(Sender::Server, Protocol::Ntp, &ntp(0x23)));
    for protocol in Protocol::ALL {
        assert!(!goes_on(Sender::Client, *protocol, b"hello"), "{protocol:?}");
    }
}

#[test]
fn coap_is_looked_for_where_it_may_be_spoken() {
    let may = |sender, port, speaks, bytes: &[u8]| of(sender, port, bytes).may_be_coap(&bytes, speaks);
    let (coap, dtls) = (Protocol::Coap.bit(), Protocol::Dtls.bit());
    assert!(may(Sender::Client, 5683, 0, &COAP_GET));
    assert!(may(Sender::Client, 7_000, coap, &COAP_GET));
    assert!(may(Sender::Client, 7_000, coap | dtls, &COAP_GET));
    assert!(!may(Sender::Client, 7_000, 0, &COAP_GET));
    assert!(!may(Sender::Client, 5683, dtls, &COAP_GET));
    let with = |first, code| [first, code, 0, 0];
    for (sender, first, code, expected) in [
        (Sender::Client, 0x40, 0, true),
        (Sender::Client, 0x48, 31, true),
        (Sender::Client, 0x49, 1, false),
        (Sender::Client, 0x80, 1, false),
        (Sender::Client, 0x40, 0x45, false),
        (Sender::Server, 0x60, 0x45, true),
        (Sender::Server, 0x60, 0x81, true),
        (Sender::Server, 0x40, 0x61, false),
        // Judged, and refused: a server asks nothing.
        (Sender::Server, 0x40, 1, true),
    ] {
        assert_eq!(may(sender, 5683, 0, &with(first, code)), expected, "{first:#x} {code:#x}");
    }
    assert!(!may(Sender::Client, 5683, 0, &COAP_GET[..3]));
}

#[test]
fn what_ends_the_reading() {
    let server = of(Sender::Server, 443, &[]);
    let client = of(Sender::Client, 443, &[]);
    assert!(server.ends_what_is_read(Protocol::Quic) && !client.ends_what_is_read(Protocol::Quic));
    assert!(!server.ends_what_is_read(Protocol::Dtls));
}

proptest! {
    #[test]
    fn any_bytes_have_an_answer(
        bytes in prop::collection::vec(any::<u8>(), 0..80),
        length in 0..1_500_u32,
        port in prop::sample::select(&[53_u16, 123, 443, 1900, 5353, 5683][..]),
    ) {
        for sender in [Sender::Client, Sender::Server] {
            let datagram = Datagram { at: 0, length, port, sender };
            let protocol = datagram.recognise(&&bytes[..]);
            // Only QUIC begins in another shape than it may go on in.
            if protocol != Protocol::Opaque {
                prop_assert!(datagram.goes_on(&&bytes[..], protocol));
            }
        }
    }
}
