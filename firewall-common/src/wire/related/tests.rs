use super::*;

const CLIENT: Addr = Addr::from_v4([10, 0, 0, 2]);
const SERVER: Addr = Addr::from_v4([10, 0, 0, 3]);
const OTHER: Addr = Addr::from_v4([10, 0, 0, 4]);
const EDGE: EdgeKey = EdgeKey { src: PrincipalId(20), dst: PrincipalId(21), port: 69, proto: 17, kind: 0 };

fn frame(src: (Addr, u16), dst: (Addr, u16)) -> Frame {
    Frame { src: src.0, src_port: src.1, dst: dst.0, dst_port: dst.1, ..Frame::EMPTY }
}

fn question() -> Expected {
    Expected::answers(&frame((CLIENT, 40_000), (Addr::from_v4([239, 255, 255, 250]), 1900)), 10_000_000_000)
}

#[test]
fn answers_come_soon_and_never_before_the_question() {
    let asked = question();
    for (now, expected) in [
        (9_999_999_999, false),
        (10_000_000_000, true),
        (15_000_000_000, true),
        (15_000_000_001, false),
        (u64::MAX, false),
    ] {
        assert_eq!(asked.holds_at(now), expected, "{now}");
    }
    let medium = Expected { kind: Expects::Media as u8, ..asked };
    assert!(medium.holds_at(70_000_000_000) && !medium.holds_at(70_000_000_001));
}

#[test]
fn an_answer_goes_to_who_asked_where_it_asked() {
    let asked = question();
    assert!(asked.is_for(&frame((SERVER, 1900), (CLIENT, 40_000))));
    assert!(
        asked.is_for(&frame((OTHER, 53_000), (CLIENT, 40_000))),
        "whoever has the edge, from whichever port"
    );
    assert!(!asked.is_for(&frame((SERVER, 1900), (CLIENT, 40_001))));
    assert!(!asked.is_for(&frame((SERVER, 1900), (OTHER, 40_000))));
    assert!(!asked.is_from(&frame((CLIENT, 40_000), (SERVER, 0))), "nothing goes back");
}

#[test]
fn a_file_comes_from_who_was_asked_for_it() {
    let asked = Expected::transfer(&frame((CLIENT, 40_000), (SERVER, 69)), EDGE, 0);
    assert!(asked.is_for(&frame((SERVER, 50_123), (CLIENT, 40_000))));
    assert!(!asked.is_for(&frame((SERVER, 161), (CLIENT, 40_000))), "a service is no file");
    assert!(!asked.is_for(&frame((OTHER, 50_123), (CLIENT, 40_000))));
    assert!(!asked.is_for(&frame((SERVER, 50_123), (CLIENT, 40_001))));
}

#[test]
fn a_medium_needs_the_word_of_both() {
    let control = frame((CLIENT, 45_000), (SERVER, 554));
    let asked = Expected::setup(&control, EDGE, 6_000, 0);
    let data = frame((SERVER, 9_000), (CLIENT, 6_000));
    assert!(!asked.is_for(&data), "the server has not agreed");
    let back = frame((SERVER, 554), (CLIENT, 45_000));
    assert!(asked.is_agreed_by(&back, 6_000));
    for (answer, port) in [
        (frame((SERVER, 554), (CLIENT, 45_001)), 6_000),
        (frame((OTHER, 554), (CLIENT, 45_000)), 6_000),
        (frame((SERVER, 554), (OTHER, 45_000)), 6_000),
        (back, 6_001),
    ] {
        assert!(!asked.is_agreed_by(&answer, port), "{answer:?} {port}");
    }
    let agreed = asked.agreed(9_000, 0);
    assert!(agreed.is_for(&data));
    assert!(agreed.is_from(&frame((CLIENT, 6_000), (SERVER, 9_000))));
    assert!(!agreed.is_for(&frame((SERVER, 9_001), (CLIENT, 6_000))));
    assert!(!agreed.is_from(&frame((CLIENT, 6_000), (SERVER, 9_001))));
    assert!(!agreed.is_from(&frame((CLIENT, 6_000), (OTHER, 9_000))));
}

#[test]
fn the_places_of_a_device_are_few() {
    let v6 = Addr([0xfe; 16]);
    for port in 0..=u16::MAX {
        assert!(Expected::place(&CLIENT, port) < PLACES);
        assert_ne!(Expected::place(&CLIENT, port), Expected::place(&v6, port));
        assert_ne!(Expected::place(&CLIENT, port), Expected::place(&CLIENT, port ^ 1));
    }
}

#[test]
fn announcements_are_no_questions() {
    let asks = |bytes: &[u8], port| asks(&bytes, 0, bytes.len() as u32, port);
    assert!(asks(b"M-SEARCH * HTTP/1.1\r\n", 1900));
    assert!(!asks(b"NOTIFY * HTTP/1.1\r\n", 1900) && !asks(b"HTTP/1.1 200 OK\r\n", 1900));
    let mdns = |flags| [0, 0, flags, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    assert!(asks(&mdns(0), 5353) && !asks(&mdns(0x84), 5353));
    assert!(
        asks(&[0x50, 1, 0, 1], 5683) && !asks(&[0x50, 0x45, 0, 1], 5683) && !asks(&[0x70, 0, 0, 1], 5683)
    );
    assert!(asks(b"anything", 9_999) && asks(b"", 9_999));
    for port in [1900, 5353, 5683] {
        assert!(!asks(b"", port), "{port}");
    }
}
