use std::string::{String, ToString};
use std::vec;
use std::vec::Vec;

use proptest::prelude::*;

use super::*;
use crate::abi::OBJECT_CAP;
use crate::hash::hash;

extern crate std;

/// What a datagram is.
#[derive(Debug, PartialEq)]
enum Got {
    Request(Kind, String, Vec<u64>),
    Nothing,
    Note(Note),
    Wrong(Reason),
}

fn key() -> HashKey {
    HashKey::from_random([7; 16])
}

/// Reads a datagram as every caller does; `skips`: by how much at most at a time.
fn read(bytes: &[u8], sender: Sender, skips: usize) -> Got {
    let mut coap = Coap::NEW;
    let mut object = Object::EMPTY;
    let mut at = 0;
    while at < bytes.len() {
        let skipped = coap.skip((bytes.len() - at).min(skips) as u32) as usize;
        at += skipped;
        if skipped != 0 {
            continue;
        }
        match coap.step(&mut object, bytes[at], sender, &key()) {
            Event::More => at += 1,
            Event::Wrong(reason) => return Got::Wrong(reason),
            event => panic!("{event:?} within a datagram"),
        }
    }
    match coap.finish(&mut object, &key()) {
        Event::More => Got::Nothing,
        Event::Note(note) => Got::Note(note),
        Event::Wrong(reason) => Got::Wrong(reason),
        Event::Request => {
            let mut levels = Levels::NONE;
            coap.levels(&object, &mut levels, &key());
            let levels = (0..levels.count()).map(|at| levels.get(at as usize)).collect();
            Got::Request(coap.kind(), String::from_utf8(object.text().to_vec()).unwrap(), levels)
        }
        event => panic!("{event:?} at the end of a datagram"),
    }
}

fn client(bytes: &[u8]) -> Got {
    read(bytes, Sender::Client, usize::MAX)
}

fn server(bytes: &[u8]) -> Got {
    read(bytes, Sender::Server, usize::MAX)
}

/// Numbers and values of options, in ascending order.
type Options<'a> = &'a [(u32, &'a [u8])];

/// Extended form of a delta or length (RFC 7252, section 3.1).
fn nibble(value: usize) -> (u8, Vec<u8>) {
    match value {
        0..=12 => (value as u8, vec![]),
        13..=268 => (13, vec![(value - 13) as u8]),
        _ => (14, ((value - 269) as u16).to_be_bytes().to_vec()),
    }
}

/// A confirmable message with a token of two bytes; options in ascending order.
fn message(code: u8, options: Options, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x42, code, 0x12, 0x34, 0xaa, 0xbb];
    let mut last = 0;
    for (number, value) in options {
        let (delta, delta_bytes) = nibble((number - last) as usize);
        let (length, length_bytes) = nibble(value.len());
        bytes.push(delta << 4 | length);
        bytes.extend(delta_bytes);
        bytes.extend(length_bytes);
        bytes.extend(*value);
        last = *number;
    }
    if !payload.is_empty() {
        bytes.push(0xff);
        bytes.extend(payload);
    }
    bytes
}

fn get(options: Options) -> Got {
    client(&message(GET, options, b""))
}

fn request(kind: Kind, text: &str, levels: &[&str]) -> Got {
    let levels = levels.iter().map(|level| hash(level.as_bytes(), &key())).collect();
    Got::Request(kind, text.to_string(), levels)
}

#[test]
fn each_method_has_its_verb() {
    for (code, kind, verb) in [
        (1, Kind::CoapGet, "get"),
        (2, Kind::CoapSet, "set"),
        (3, Kind::CoapSet, "set"),
        (4, Kind::CoapDelete, "delete"),
        (5, Kind::CoapGet, "get"),
        (6, Kind::CoapSet, "set"),
        (7, Kind::CoapSet, "set"),
    ] {
        let bytes = message(code, &[(11, b"api"), (11, b"light")], b"1");
        assert_eq!(client(&bytes), request(kind, "/api/light", &[verb, "", "api", "light"]));
    }
    for code in [0x08, 0x1f, 0x20, 0x60, 0xc1, 0xe1, 0xff] {
        assert_eq!(client(&message(code, &[], b"")), Got::Wrong(Reason::ProtoChanged), "{code:#x}");
    }
}

#[test]
fn the_path_and_the_host_are_the_object() {
    let cases: &[(Options, &str, &[&str])] = &[
        (&[], "/", &["get", ""]),
        (&[(11, b"")], "/", &["get", ""]),
        (&[(11, b"a"), (11, b"")], "/a/", &["get", "", "a", ""]),
        (&[(3, b"Hub.Local"), (11, b"a")], "/a hub.local", &["get", "hub.local", "a"]),
        (&[(3, b"[2001:DB8::1]"), (7, &[0x16, 0x33])], "/ [2001:db8::1]", &["get", "[2001:db8::1]"]),
        (&[(11, b"a"), (15, b"q=/../x"), (15, b"r")], "/a", &["get", "", "a"]),
        (&[(11, "\u{fc}".as_bytes()), (11, b"a:b;c")], "/\u{fc}/a:b;c", &["get", "", "\u{fc}", "a:b;c"]),
    ];
    for (options, text, levels) in cases {
        assert_eq!(get(options), request(Kind::CoapGet, text, levels));
    }
}

#[test]
fn an_observation_is_a_subscription() {
    let observed = || request(Kind::CoapObserve, "/a", &["subscribe", "", "a"]);
    for value in [&[][..], &[0], &[0, 0, 0]] {
        assert_eq!(get(&[(6, value), (11, b"a")]), observed());
    }
    assert_eq!(client(&message(FETCH, &[(6, b""), (11, b"a")], b"x")), observed());
    assert_eq!(get(&[(6, &[1]), (11, b"a")]), request(Kind::CoapGet, "/a", &["get", "", "a"]));
    assert_eq!(
        client(&message(2, &[(6, b""), (11, b"a")], b"")),
        request(Kind::CoapSet, "/a", &["set", "", "a"])
    );
    assert_eq!(get(&[(6, &[2])]), Got::Wrong(Reason::Malformed));
    assert_eq!(get(&[(6, &[0; 4])]), Got::Wrong(Reason::Malformed));
    assert_eq!(get(&[(6, &[0]), (6, &[0])]), Got::Wrong(Reason::Malformed));
    // A notification carries its number.
    assert_eq!(server(&message(0x45, &[(6, &[1, 2, 3])], b"21")), Got::Nothing);
}

#[test]
fn a_path_has_no_second_spelling() {
    for segment in [
        &b"."[..],
        b"..",
        b"..;x",
        b".;",
        b"a/b",
        b"/",
        b"a\\b",
        b"a\0",
        b"\x1f",
        b"\x7f",
        b"a b",
        b"%2e",
        b"a?",
        b"#",
        b"a#",
        b"\"",
        b"\xff",
        b"\xc0\xaf",
        b"\xc3",
        b"\xed\xa0\x80",
    ] {
        assert_eq!(get(&[(11, segment)]), Got::Wrong(Reason::Malformed), "{segment:?}");
        assert_eq!(
            get(&[(11, b"a"), (11, segment), (11, b"b")]),
            Got::Wrong(Reason::Malformed),
            "{segment:?}"
        );
    }
    // Levels that are empty within a path; characters over two levels.
    assert_eq!(get(&[(11, b"a"), (11, b""), (11, b"b")]), Got::Wrong(Reason::Malformed));
    assert_eq!(get(&[(11, b""), (11, b"a")]), Got::Wrong(Reason::Malformed));
    assert_eq!(get(&[(11, b"\xc3"), (11, b"\xbc")]), Got::Wrong(Reason::Malformed));
    for host in [&b"a b"[..], b"a/b", b"a.", b".a", b"a..b", b"a:80", b"[::1", b"%61", b"\xc3\xbc", b""] {
        assert_eq!(get(&[(3, host)]), Got::Wrong(Reason::Malformed), "{host:?}");
    }
}

#[test]
fn lengths_are_capped() {
    let (half, host) = ([b'a'; 127], [b'h'; HOST_CAP + 1]);
    let path = |last: &[u8]| get(&[(11, &half), (11, last)]);
    assert!(matches!(path(&[b'b'; OBJECT_CAP - 129]), Got::Request(..)));
    assert_eq!(path(&[b'b'; OBJECT_CAP - 128]), Got::Wrong(Reason::ObjectCap));
    assert!(matches!(get(&[(3, &host[1..])]), Got::Request(..)));
    assert_eq!(get(&[(3, &host)]), Got::Wrong(Reason::ObjectCap));
    // Each fits alone.
    assert_eq!(get(&[(3, &host[1..]), (11, &[b'a'; 200])]), Got::Wrong(Reason::ObjectCap));
    let segment: (u32, &[u8]) = (11, b"a");
    assert!(matches!(get(&[segment; 14]), Got::Request(..)));
    assert_eq!(get(&[segment; 15]), Got::Wrong(Reason::ObjectCap));
}

#[test]
fn what_is_not_coap_is_another_protocol() {
    for bytes in [
        &b""[..],
        b"\x40",
        b"\x40\x01\x00",
        b"\0\0\0\0",
        b"\x80\x01\0\0",
        b"\xc0\x01\0\0",
        b"\x49\x01\0\0",
        b"\x4f\x01\0\0",
        b"M-SEARCH",
        b"\x16\xfe\xfd",
        b"\x1b\x03\0\0",
    ] {
        assert_eq!(client(bytes), Got::Wrong(Reason::ProtoChanged), "{bytes:?}");
    }
}

#[test]
fn each_end_keeps_its_part() {
    // The server does not ask, the client does not answer.
    assert_eq!(server(&message(GET, &[], b"")), Got::Wrong(Reason::ProtoChanged));
    assert_eq!(client(&message(0x45, &[], b"x")), Got::Wrong(Reason::ProtoChanged));
    for code in [0x41, 0x45, 0x84, 0xa0] {
        assert_eq!(server(&message(code, &[(11, b"..")], b"x")), Got::Nothing, "{code:#x}");
    }
    assert_eq!(server(&message(0x81, &[], b"")), Got::Note(Note::LoginFailed));
    // A request on an acknowledgement or refusal, an answer on a refusal.
    assert_eq!(client(&[0x60, 1, 0, 0]), Got::Wrong(Reason::Malformed));
    assert_eq!(client(&[0x70, 1, 0, 0]), Got::Wrong(Reason::Malformed));
    assert_eq!(client(&[0x50, 1, 0, 0]), request(Kind::CoapGet, "/", &["get", ""]));
    assert_eq!(server(&[0x60, 0x45, 0, 0]), Got::Nothing);
    assert_eq!(server(&[0x70, 0x45, 0, 0]), Got::Wrong(Reason::Malformed));
}

#[test]
fn an_empty_message_is_empty() {
    for kind in [0x40, 0x60, 0x70] {
        assert_eq!(client(&[kind, 0, 0, 1]), Got::Nothing);
        assert_eq!(server(&[kind, 0, 0, 1]), Got::Nothing);
        assert_eq!(client(&[kind, 0, 0, 1, 0]), Got::Wrong(Reason::Malformed));
        assert_eq!(client(&[kind, 0, 0, 1, 0xff, 0]), Got::Wrong(Reason::Malformed));
    }
    assert_eq!(client(&[0x50, 0, 0, 1]), Got::Wrong(Reason::Malformed));
    assert_eq!(client(&[0x41, 0, 0, 1, 9]), Got::Wrong(Reason::Malformed));
}

#[test]
fn options_have_their_shape() {
    let proxy = Got::Wrong(Reason::ProtoChanged);
    assert_eq!(get(&[(35, b"coap://x/")]), proxy);
    assert_eq!(get(&[(11, b"a"), (39, b"http")]), proxy);
    assert_eq!(client(&message(2, &[(9, &[1])], b"sealed")), proxy);
    let malformed: &[Options] = &[
        // Unknown and critical; above the last number.
        &[(13, b"")],
        &[(65_001, b"")],
        &[(65_535, b""), (65_600, b"")],
        // Twice.
        &[(3, b"a"), (3, b"a")],
        &[(5, b""), (5, b"")],
        &[(7, b""), (7, b"")],
        &[(17, b""), (17, b"")],
        &[(23, b""), (23, b"")],
        // Too short or too long.
        &[(1, &[0; 9])],
        &[(4, b"")],
        &[(4, &[0; 9])],
        &[(5, &[0])],
        &[(7, &[0; 3])],
        &[(11, &[b'a'; 256])],
        &[(12, &[0; 3])],
        &[(14, &[0; 5])],
        &[(15, &[b'a'; 256])],
        &[(17, &[0; 3])],
        &[(28, &[0; 5])],
        &[(60, &[0; 5])],
        // Blocks of a reserved size.
        &[(23, &[0x07])],
        &[(27, &[0xff, 0xff, 0xff])],
        &[(27, &[0; 4])],
    ];
    for options in malformed {
        assert_eq!(get(options), Got::Wrong(Reason::Malformed), "{options:?}");
    }
    let fine: &[Options] = &[
        &[(1, b""), (1, &[0; 8]), (4, &[0; 8]), (4, &[0]), (5, b"")],
        &[(12, &[0; 2]), (14, &[0; 4]), (17, &[0; 2]), (23, &[0x06]), (27, &[0xff, 0xff, 0xfe])],
        &[(15, &[b'?'; 255]), (28, &[0; 4]), (60, &[0; 4])],
        // Unknown and elective, in both extended forms.
        &[(16, &[1]), (252, &[0; 13]), (258, &[0; 269]), (292, b""), (2000, &[0; 600]), (65_000, b"")],
    ];
    for options in fine {
        assert_eq!(get(options), request(Kind::CoapGet, "/", &["get", ""]), "{options:?}");
    }
}

#[test]
fn a_message_is_whole() {
    let head = [0x40, 1, 0, 0];
    for rest in [
        &[0xff][..],   // no payload behind its marker
        &[0xf0],       // reserved delta
        &[0x0f],       // reserved length
        &[0xfe],       // both
        &[0xd0],       // without the extended delta
        &[0xe0, 0],    // half of it
        &[0xbd],       // without the extended length
        &[0xbe, 0],    // half of it
        &[0xb2, b'a'], // value cut
        &[0xbe, 0xff, 0xff, b'a'],
        &[0xc3, 0],
    ] {
        assert_eq!(client(&[&head, rest].concat()), Got::Wrong(Reason::Malformed), "{rest:?}");
    }
    assert_eq!(client(&[0x44, 1, 0, 0, 1, 2, 3]), Got::Wrong(Reason::Malformed));
    assert_eq!(client(&[0x48, 1, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8]), request(Kind::CoapGet, "/", &["get", ""]));
    assert_eq!(client(&[&head[..], &[0xff, 0xff]].concat()), request(Kind::CoapGet, "/", &["get", ""]));
}

#[test]
fn every_cut_is_noticed() {
    let bytes =
        message(GET, &[(3, b"hub"), (6, b"\0"), (11, b"light"), (15, &[b'q'; 20]), (292, &[0; 300])], b"x");
    assert!(matches!(client(&bytes), Got::Request(..)));
    // Where one option ends, a shorter message ends too; nowhere else.
    let whole: Vec<_> =
        (0..bytes.len()).filter(|&cut| matches!(client(&bytes[..cut]), Got::Request(..))).collect();
    assert_eq!(whole, [6, 10, 12, 18, 40, 345]);
}

fn any_option() -> impl Strategy<Value = (u32, Vec<u8>)> {
    prop_oneof![
        "[a-z.+;\u{e4}]{0,6}".prop_map(|text| (11, text.into_bytes())),
        "[a-z.]{0,20}".prop_map(|text| (3, text.into_bytes())),
        (prop_oneof![Just(6), Just(23), Just(27), Just(15)], proptest::collection::vec(any::<u8>(), 0..4)),
        (0_u32..3000, proptest::collection::vec(any::<u8>(), 0..300)),
    ]
}

proptest! {
    #[test]
    fn skips_change_nothing(
        code in 0_u8..9,
        mut options in proptest::collection::vec(any_option(), 0..6),
        payload in proptest::collection::vec(any::<u8>(), 0..40),
        skips in 0_usize..10,
        server: bool,
    ) {
        let sender = if server { Sender::Server } else { Sender::Client };
        let code = if server { 0x40 | code } else { code };
        options.sort_by_key(|option| option.0);
        let options: Vec<_> = options.iter().map(|(number, value)| (*number, &value[..])).collect();
        let bytes = message(code, &options, &payload);
        prop_assert_eq!(read(&bytes, sender, usize::MAX), read(&bytes, sender, skips));
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300), server: bool) {
        let sender = if server { Sender::Server } else { Sender::Client };
        read(&bytes, sender, usize::MAX);
        read(&[&[0x40, 1, 0, 0], &bytes[..]].concat(), sender, usize::MAX);
    }
}
