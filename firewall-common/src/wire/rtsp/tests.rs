use std::format;
use std::string::String;

use proptest::prelude::*;

use super::*;

extern crate std;

fn read(text: &[u8]) -> Rtsp {
    let mut rtsp = Rtsp::NEW;
    for byte in text {
        if !rtsp.step(*byte) {
            break;
        }
    }
    rtsp
}

fn setup(transport: &str) -> Rtsp {
    read(format!("SETUP rtsp://cam/track1 RTSP/1.0\r\nCSeq: 3\r\n{transport}\r\n\r\n").as_bytes())
}

const fn ports(first: u16, last: u16) -> Ports {
    Ports { first, last }
}

#[test]
fn a_client_names_its_ports() {
    for (transport, expected) in [
        ("Transport: RTP/AVP;unicast;client_port=6000-6001", ports(6_000, 6_001)),
        ("transport:RTP/AVP/UDP; unicast; client_port=6000-6001", ports(6_000, 6_001)),
        ("TRANSPORT: RTP/AVP;unicast;CLIENT_PORT=6000", ports(6_000, 6_000)),
        ("Transport: RTP/AVP/TCP;interleaved=0-1,RTP/AVP;unicast;client_port=6000-6001", ports(6_000, 6_001)),
        (
            "Transport: RTP/AVP;unicast;client_port=6000-6001,RTP/AVP;unicast;client_port=7000-7001",
            ports(6_000, 6_001),
        ),
        ("Transport: RTP/AVP;unicast;client_port=6000-6009", ports(6_000, 6_000)),
        ("Transport: RTP/AVP;unicast;client_port=65535-65536", ports(65_535, 65_535)),
        (
            "Transport: RTP/AVP;unicast;destination=10.0.0.9;client_port=6000-6001;mode=play",
            ports(6_000, 6_001),
        ),
        ("Transport: RTP/AVP/TCP;unicast;interleaved=0-1", Ports::NONE),
        ("Transport: RTP/AVP;unicast;client_port=161-162", Ports::NONE),
        ("Transport: RTP/AVP;unicast;client_port=70000", Ports::NONE),
        ("Transport: RTP/AVP;unicast;client_port=", Ports::NONE),
        ("X-Transport: RTP/AVP;unicast;client_port=6000-6001", Ports::NONE),
        ("Session: client_port=6000-6001", Ports::NONE),
        ("Transport: RTP/AVP;unicast;clyent_port=6000-6001", Ports::NONE),
    ] {
        let rtsp = setup(transport);
        assert_eq!((rtsp.message(), rtsp.client), (Message::Setup, expected), "{transport}");
    }
}

#[test]
fn a_server_repeats_them_beside_its_own() {
    let answer = b"RTSP/1.0 200 OK\r\nCSeq: 3\r\nTransport: RTP/AVP;unicast;source=10.0.0.9;\
        client_port=6000-6001;server_port=9000-9001;ssrc=1a2b\r\nSession: 7;timeout=60\r\n\r\n";
    let rtsp = read(answer);
    assert_eq!(rtsp.message(), Message::Agreed);
    assert_eq!((rtsp.client, rtsp.server), (ports(6_000, 6_001), ports(9_000, 9_001)));
    let named = |client, server| Named { client, server };
    assert_eq!(rtsp.named(), [named(6_000, 9_000), named(6_001, 9_001)]);
    let one = Rtsp { server: ports(9_000, 9_000), ..rtsp };
    assert_eq!(one.named(), [named(6_000, 9_000), named(0, 0)]);
    assert_eq!(setup("Transport: RTP/AVP;client_port=6000-6001").named(), [named(6_000, 0), named(6_001, 0)]);
}

#[test]
fn what_is_no_setup_or_not_all_there_names_nothing() {
    let whole = b"SETUP rtsp://cam/ RTSP/1.0\r\nTransport: RTP/AVP;client_port=6000-6001\r\n\r\n";
    assert_eq!(read(whole).message(), Message::Setup);
    for length in 0..whole.len() {
        assert_eq!(read(&whole[..length]).message(), Message::Other, "{length} bytes");
    }
    for other in [
        &b"PLAY rtsp://cam/ RTSP/1.0\r\nTransport: RTP/AVP;client_port=6000\r\n\r\n"[..],
        b"setup rtsp://cam/ RTSP/1.0\r\nTransport: RTP/AVP;client_port=6000\r\n\r\n",
        b"RTSP/1.0 461 Unsupported Transport\r\nTransport: RTP/AVP;client_port=6000;server_port=9000\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransport: RTP/AVP;client_port=6000;server_port=9000\r\n\r\n",
        b"SETUP rtsp://cam/ RTSP/1.0\r\nTransport: RTP/AVP;client_port=60x0\r\n\r\n",
        b"$\0\0\x04SETUP",
    ] {
        assert_eq!(read(other).message(), Message::Other, "{}", String::from_utf8_lossy(other));
    }
}

proptest! {
    #[test]
    fn any_bytes_have_an_answer(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let rtsp = read(&bytes);
        for Ports { first, last } in [rtsp.client, rtsp.server] {
            prop_assert!(last == first || last == first + 1);
            prop_assert!(first == 0 || first >= 1_024);
        }
    }
}
