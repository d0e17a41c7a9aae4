use std::string::{String, ToString};
use std::vec::Vec;
use std::{format, vec};

use proptest::prelude::*;

use super::*;
use crate::hash::hash;

extern crate std;

/// What a direction gave: kind, object, levels of the request and first and last address; or why it ended.
type Got = Result<(Kind, String, Vec<u64>, (u16, u16)), Reason>;

fn key() -> HashKey {
    HashKey::from_random([7; 16])
}

/// Feeds pieces as every caller does; `skips`: whether it passes over what need not be read.
fn feed(modbus: &mut Modbus, pieces: &[&[u8]], sender: Sender, skips: bool) -> Vec<Got> {
    let mut object = Object::EMPTY;
    let mut got = vec![];
    for piece in pieces {
        let mut at = 0;
        while at < piece.len() {
            let skipped = if skips { modbus.skip((piece.len() - at) as u32) as usize } else { 0 };
            if skipped != 0 {
                at += skipped;
                continue;
            }
            let event = modbus.step(&mut object, piece[at], sender, &key());
            at += 1;
            match event {
                Event::More => {}
                Event::Request => {
                    let mut levels = Levels::NONE;
                    modbus.levels(&mut levels, &key());
                    let levels = (0..levels.count()).map(|at| levels.get(at as usize)).collect();
                    let text = String::from_utf8(object.text().to_vec()).unwrap();
                    got.push(Ok((modbus.kind(), text, levels, (modbus.start(), modbus.end()))));
                }
                Event::Wrong(reason) => {
                    got.push(Err(reason));
                    return got;
                }
                event => panic!("{event:?} is none of Modbus's"),
            }
        }
    }
    got
}

fn client(bytes: &[u8]) -> Vec<Got> {
    feed(&mut { Modbus::NEW }, &[bytes], Sender::Client, true)
}

/// A message to unit 17.
fn message(function: u8, data: &[u8]) -> Vec<u8> {
    let length = (data.len() + 2) as u16;
    let mut bytes = vec![0x12, 0x34, 0, 0];
    bytes.extend(length.to_be_bytes());
    bytes.extend([17, function]);
    bytes.extend(data);
    bytes
}

/// In the shape that reading returns, so that both can be compared.
#[allow(clippy::unnecessary_wraps)]
fn request(verb: &str, object: &str) -> Got {
    let kind = if verb == "read" { Kind::ModbusRead } else { Kind::ModbusWrite };
    let mut parts = object.split('/');
    let (unit, area, range) = (parts.next().unwrap(), parts.next().unwrap(), parts.next().unwrap());
    let levels = [verb, unit, area].iter().map(|level| hash(level.as_bytes(), &key())).collect();
    let (start, end) = range.split_once('-').unwrap();
    Ok((kind, object.to_string(), levels, (start.parse().unwrap(), end.parse().unwrap())))
}

/// One request, and nothing left of its message.
fn is(function: u8, data: &[u8], verb: &str, object: &str) {
    let bytes = [message(function, data), message(3, &[0, 0, 0, 1])].concat();
    assert_eq!(
        client(&bytes),
        [request(verb, object), request("read", "17/holding/0-0")],
        "{function} {data:?}"
    );
}

fn is_malformed(function: u8, data: &[u8]) {
    let got = client(&[message(function, data), message(3, &[0, 0, 0, 1])].concat());
    assert_eq!(got.last(), Some(&Err(Reason::Malformed)), "{function} {data:?}");
}

#[test]
fn reads_and_writes_have_their_areas() {
    for (function, data, verb, object) in [
        (1, &[0x00, 0x13, 0x00, 0x25][..], "read", "17/coils/19-55"),
        (2, &[0x00, 0xc4, 0x00, 0x16], "read", "17/inputs/196-217"),
        (3, &[0x00, 0x6b, 0x00, 0x0a], "read", "17/holding/107-116"),
        (4, &[0x00, 0x08, 0x00, 0x01], "read", "17/input/8-8"),
        (5, &[0x00, 0xac, 0xff, 0x00], "write", "17/coils/172-172"),
        (5, &[0x00, 0xac, 0x00, 0x00], "write", "17/coils/172-172"),
        (6, &[0xff, 0xff, 0x12, 0x34], "write", "17/holding/65535-65535"),
        (15, &[0x00, 0x13, 0x00, 0x0a, 0x02, 0xcd, 0x01], "write", "17/coils/19-28"),
        (16, &[0x00, 0x01, 0x00, 0x02, 0x04, 0, 1, 2, 3], "write", "17/holding/1-2"),
        (22, &[0x00, 0x04, 0x00, 0xf2, 0x00, 0x25], "write", "17/holding/4-4"),
        (24, &[0x04, 0xde], "read", "17/fifo/1246-1246"),
        (7, &[], "read", "17/fn7/0-0"),
        (11, &[], "read", "17/fn11/0-0"),
        (12, &[], "read", "17/fn12/0-0"),
        (17, &[], "read", "17/fn17/0-0"),
        (8, &[0, 0, 0xa5, 0x37, 1, 2], "read", "17/fn8/0-0"),
        (8, &[0, 2, 0, 0], "read", "17/fn8/2-2"),
        (8, &[0, 18, 0, 0], "read", "17/fn8/18-18"),
        (8, &[0, 1, 0xff, 0], "write", "17/fn8/1-1"),
        (8, &[0, 4, 0, 0], "write", "17/fn8/4-4"),
        (8, &[0, 10, 0, 0], "write", "17/fn8/10-10"),
        (43, &[14, 1, 0], "read", "17/fn43/14-14"),
        (43, &[13, 1, 2, 3], "write", "17/fn43/13-13"),
    ] {
        is(function, data, verb, object);
    }
}

#[test]
fn what_is_not_known_is_a_write_of_its_own() {
    for function in [9, 10, 13, 14, 18, 19, 25, 42, 44, 90, 100, 127, 128, 131, 255] {
        let object = format!("17/fn{function}/0-0");
        is(function, &[], "write", &object);
        is(function, &[1, 2, 3], "write", &object);
        is(function, &[9; 252], "write", &object);
    }
}

#[test]
fn a_read_and_write_is_both() {
    let data = [0, 3, 0, 6, 0, 14, 0, 3, 6, 0, 255, 0, 255, 0, 255];
    let both = [request("read", "17/holding/3-8"), request("write", "17/holding/14-16")];
    assert_eq!(client(&message(23, &data)), both);
    for (at, value) in [(3, 0), (3, 126), (7, 0), (7, 4), (8, 5), (8, 8)] {
        let mut data = data;
        data[at] = value;
        is_malformed(23, &data);
    }
    is_malformed(23, &data[..14]);
    is_malformed(23, &data[..10]);
}

#[test]
fn file_records_are_requests_each() {
    let read = [0x0e, 6, 0, 4, 0, 1, 0, 2, 6, 0, 3, 0, 9, 0, 2];
    assert_eq!(
        client(&message(20, &read)),
        [request("read", "17/files/4-4"), request("read", "17/files/3-3")]
    );
    let write = [0x14, 6, 0, 4, 0, 7, 0, 2, 1, 2, 3, 4, 6, 0xff, 0xff, 0, 0, 0, 1, 5, 6];
    let got = client(&[message(21, &write), message(17, &[])].concat());
    let wanted = [
        request("write", "17/files/4-4"),
        request("write", "17/files/65535-65535"),
        request("read", "17/fn17/0-0"),
    ];
    assert_eq!(got, wanted);

    for (at, value) in [(0, 13), (1, 5), (3, 0), (4, 0xff), (7, 0), (8, 7)] {
        let mut data = read;
        data[at] = value;
        is_malformed(20, &data);
    }
    is_malformed(20, &[7, 6, 0, 4, 0, 1, 0]);
    is_malformed(20, &[9, 6, 0, 4, 0, 1, 0, 2, 6, 0]);
    is_malformed(21, &[9, 6, 0, 4, 0, 7, 0, 2, 1, 2]);
    is_malformed(21, &[7, 6, 0, 4, 0, 7, 0, 0]);
    is_malformed(21, &[10, 6, 0, 4, 0, 7, 0, 1, 1, 2, 6]);
}

#[test]
fn quantities_and_lengths_have_bounds() {
    for (function, most) in [(1, 2000_u16), (2, 2000), (3, 125), (4, 125)] {
        let [high, low] = most.to_be_bytes();
        let last = 65_536 - u32::from(most);
        let [start_high, start_low] = (last as u16).to_be_bytes();
        let area = ["coils", "inputs", "holding", "input"][usize::from(function) - 1];
        is(function, &[start_high, start_low, high, low], "read", &format!("17/{area}/{last}-65535"));
        is_malformed(function, &[start_high, start_low + 1, high, low]);
        let [high, low] = (most + 1).to_be_bytes();
        is_malformed(function, &[0, 0, high, low]);
        is_malformed(function, &[0, 0, 0, 0]);
        is_malformed(function, &[0, 0, 0]);
        is_malformed(function, &[0, 0, 0, 1, 0]);
    }
    let coils = |quantity: u16, bytes: usize| {
        let mut data = vec![0, 0];
        data.extend(quantity.to_be_bytes());
        data.push(bytes as u8);
        data.extend(vec![0; bytes]);
        data
    };
    is(15, &coils(1968, 246), "write", "17/coils/0-1967");
    is(15, &coils(1, 1), "write", "17/coils/0-0");
    for (quantity, bytes) in [(1969, 247), (0, 0), (0, 1), (8, 2), (9, 1), (0x8001, 1)] {
        is_malformed(15, &coils(quantity, bytes));
    }
    is(16, &coils(123, 246), "write", "17/holding/0-122");
    for (quantity, bytes) in [(124, 247), (0, 0), (0, 2), (1, 1), (1, 3), (0x8001, 2)] {
        is_malformed(16, &coils(quantity, bytes));
    }
    // Another length in the header than in the data.
    is_malformed(16, &[0, 0, 0, 1, 2, 0]);
    is_malformed(16, &[0, 0, 0, 1, 2, 0, 0, 0]);
    is_malformed(16, &[0xff, 0xff, 0, 2, 4, 0, 0, 0, 0]);
}

#[test]
fn other_shapes_are_malformed() {
    for (function, data) in [
        (0, &[][..]),
        (0, &[1, 2]),
        (5, &[0, 0, 1, 0]),
        (5, &[0, 0, 0xff, 1]),
        (5, &[0, 0, 0xff]),
        (6, &[0, 0, 0xff, 0, 0]),
        (7, &[0]),
        (11, &[0]),
        (12, &[0]),
        (17, &[0]),
        (8, &[0, 0]),
        (8, &[0, 0, 1]),
        (8, &[0, 1, 0, 0, 0, 0]),
        (22, &[0; 5]),
        (22, &[0; 7]),
        (24, &[0]),
        (24, &[0; 3]),
        (43, &[]),
        (43, &[14]),
        (43, &[14, 1]),
        (43, &[14, 1, 0, 0]),
        (43, &[14, 0, 0]),
        (43, &[14, 5, 0]),
    ] {
        is_malformed(function, data);
    }
}

#[test]
fn the_header_says_what_it_is() {
    for bytes in [
        &b"\x16\x03\x01"[..],
        b"GET / HTTP/1.1",
        b"\x03\0\0\x16",
        b"\0\0\0\x01",
        b"\0\0\0\0\0\0",
        b"\0\0\0\0\0\x01",
        b"\0\0\0\0\0\xff",
        b"\0\0\0\0\x01\0",
    ] {
        let mut modbus = Modbus::NEW;
        assert_eq!(
            feed(&mut modbus, &[bytes], Sender::Client, true),
            [Err(Reason::ProtoChanged)],
            "{bytes:?}"
        );
        assert!(!modbus.is_recognised());
        let later = [&message(17, &[]), bytes].concat();
        assert_eq!(client(&later), [request("read", "17/fn17/0-0"), Err(Reason::Malformed)], "{bytes:?}");
    }
    let mut modbus = Modbus::NEW;
    feed(&mut modbus, &[&message(17, &[])[..7]], Sender::Client, true);
    assert!(modbus.is_recognised() && !modbus.at_boundary());
    feed(&mut modbus, &[&[17]], Sender::Client, true);
    assert!(modbus.at_boundary());
}

#[test]
fn of_the_server_only_the_framing_is_read() {
    let read = |bytes: &[u8]| feed(&mut { Modbus::NEW }, &[bytes], Sender::Server, true);
    let answers = [message(3, &[2, 0, 1]), message(0x83, &[2]), message(99, &[0; 252])].concat();
    assert_eq!(read(&answers), []);
    assert_eq!(read(&[&answers[..], b"\0\0\0\x01"].concat()), [Err(Reason::Malformed)]);
    assert_eq!(read(b"HTTP/1.1"), [Err(Reason::ProtoChanged)]);
}

#[test]
fn addresses_are_levels_of_one_digit() {
    let levels: Vec<_> = (0..4).map(|at| Modbus::address_level(0x0a9f, at, &key())).collect();
    let wanted: Vec<_> = [b"0", b"a", b"9", b"f"].iter().map(|digit| hash(*digit, &key())).collect();
    assert_eq!(levels, wanted);
}

fn any_message() -> impl Strategy<Value = Vec<u8>> {
    let data = || proptest::collection::vec(any::<u8>(), 0..20);
    prop_oneof![
        (1_u8..5, any::<u16>(), 1_u8..126).prop_map(|(function, start, quantity)| {
            let [high, low] = start.to_be_bytes();
            message(function, &[high, low, 0, quantity])
        }),
        (1_u8..124).prop_map(|quantity| {
            let bytes = usize::from(quantity) * 2;
            message(16, &[[0, 0, 0, quantity, bytes as u8].to_vec(), vec![0; bytes]].concat())
        }),
        (1_u8..30, 1_u8..8).prop_map(|(records, file)| {
            let parts = [6, 0, file, 0, 0, 0, 1, 0xaa, 0xbb].repeat(usize::from(records) % 20 + 1);
            message(21, &[[parts.len() as u8].to_vec(), parts].concat())
        }),
        data().prop_map(|data| message(99, &data)),
        (any::<u8>(), data()).prop_map(|(function, data)| message(function, &data)),
    ]
}

proptest! {
    #[test]
    fn cuts_and_skips_change_nothing(
        messages in proptest::collection::vec(any_message(), 1..8),
        cuts in proptest::collection::vec(1_usize..20, 1..20),
        skips: bool,
        server: bool,
    ) {
        let sender = if server { Sender::Server } else { Sender::Client };
        let bytes = messages.concat();
        let mut pieces = vec![];
        let mut rest = &bytes[..];
        for cut in cuts {
            let (piece, after) = rest.split_at(cut.min(rest.len()));
            pieces.push(piece);
            rest = after;
        }
        pieces.push(rest);
        let (mut whole, mut cut) = (Modbus::NEW, Modbus::NEW);
        prop_assert_eq!(feed(&mut whole, &[&bytes], sender, true), feed(&mut cut, &pieces, sender, skips));
        prop_assert_eq!(whole, cut);
    }

    #[test]
    fn every_range_is_named(start: u16, quantity in 1_u16..126, unit: u8) {
        prop_assume!(u32::from(start) + u32::from(quantity) <= 65_536);
        let mut bytes = message(4, &[start.to_be_bytes(), quantity.to_be_bytes()].concat());
        bytes[6] = unit;
        let object = format!("{unit}/input/{start}-{}", start + (quantity - 1));
        prop_assert_eq!(client(&bytes), [request("read", &object)]);
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600), function: u8, server: bool) {
        let sender = if server { Sender::Server } else { Sender::Client };
        feed(&mut { Modbus::NEW }, &[&bytes], sender, true);
        feed(&mut { Modbus::NEW }, &[&message(function, &bytes[..bytes.len().min(252)])], sender, true);
    }
}
