use std::string::String;
use std::vec::Vec;
use std::{format, vec};

use proptest::prelude::*;

use super::*;

extern crate std;

/// What a direction gave: the names in order, and the first wrong byte's reason.
#[derive(Debug, PartialEq, Eq)]
struct Read {
    names: Vec<String>,
    end: Result<(), Reason>,
    tls: Tls,
}

/// Drives the machine as every caller does; `pieces` are the segments.
fn read(pieces: &[&[u8]], sender: Sender) -> Read {
    let key = HashKey::from_random([7; 16]);
    let (mut tls, mut object) = (Tls::NEW, Object::EMPTY);
    let mut names = vec![];
    for piece in pieces {
        let mut at = 0;
        while at < piece.len() {
            let left = (piece.len() - at) as u32;
            let skipped = tls.skip(left);
            assert!(skipped <= left);
            at += skipped as usize;
            if skipped != 0 {
                continue;
            }
            match tls.step(&mut object, piece[at], sender, &key) {
                Event::More => {}
                Event::Object => names.push(String::from_utf8(object.text().to_vec()).unwrap()),
                Event::Wrong(reason) => return Read { names, end: Err(reason), tls },
                other => panic!("{other:?}"),
            }
            at += 1;
        }
    }
    Read { names, end: Ok(()), tls }
}

fn client(bytes: &[u8]) -> Read {
    read(&[bytes], Sender::Client)
}

#[track_caller]
fn names(bytes: &[u8], expected: &[&str]) {
    let read = client(bytes);
    assert_eq!(
        (read.names.iter().map(String::as_str).collect::<Vec<_>>(), read.end),
        (expected.to_vec(), Ok(()))
    );
}

#[track_caller]
fn wrong(bytes: &[u8], reason: Reason) {
    assert_eq!(client(bytes).end, Err(reason));
}

/// Bytes with their length before them, in `width` bytes.
fn vector(width: usize, bytes: &[u8]) -> Vec<u8> {
    [&bytes.len().to_be_bytes()[8 - width..], bytes].concat()
}

fn extension(number: u16, bytes: &[u8]) -> Vec<u8> {
    [&number.to_be_bytes()[..], &vector(2, bytes)].concat()
}

fn server_name(name: &str) -> Vec<u8> {
    extension(0, &vector(2, &[&[0], &vector(2, name.as_bytes())[..]].concat()))
}

fn alpn(protocols: &[&str]) -> Vec<u8> {
    let list: Vec<u8> = protocols.iter().flat_map(|name| vector(1, name.as_bytes())).collect();
    extension(16, &vector(2, &list))
}

/// A hello with these extensions, as a handshake message.
fn hello(extensions: &[Vec<u8>]) -> Vec<u8> {
    let mut body = vec![3, 3];
    body.extend([0x5a; 32]);
    body.extend(vector(1, &[9; 32]));
    body.extend(vector(2, &[0x13, 1, 0x13, 2]));
    body.extend(vector(1, &[0]));
    body.extend(vector(2, &extensions.concat()));
    [&[1][..], &vector(3, &body)].concat()
}

fn record(kind: u8, body: &[u8]) -> Vec<u8> {
    [&[kind, 3, 1][..], &vector(2, body)].concat()
}

fn plain(extensions: &[Vec<u8>]) -> Vec<u8> {
    record(22, &hello(extensions))
}

#[test]
fn a_hello_names_its_server_in_lower_case() {
    names(
        &plain(&[extension(10, &[0, 2, 0, 29]), server_name("MQTT.Example_1-a.org")]),
        &["mqtt.example_1-a.org"],
    );
    names(&plain(&[extension(43, &[2, 3, 4])]), &[""]);
    names(&plain(&[]), &[""]);
    // Without even the length of extensions.
    let mut short = hello(&[]);
    short.truncate(short.len() - 2);
    short[3] -= 2;
    names(&record(22, &short), &[""]);
}

#[test]
fn a_hello_may_come_in_many_records() {
    let whole = hello(&[extension(51, &[7; 1_500]), server_name("hub.local"), alpn(&["h2", "http/1.1"])]);
    for size in [1, 2, 7, 100, 1_000] {
        let records: Vec<u8> = whole.chunks(size).flat_map(|piece| record(22, piece)).collect();
        let read = client(&records);
        assert_eq!((read.names, read.end), (vec![String::from("hub.local")], Ok(())), "{size}");
        assert_eq!(read.tls.alpn(), Alpn::Http2);
    }
}

#[test]
fn the_first_protocol_is_known() {
    for (offered, expected) in [
        (&["h2", "http/1.1"][..], Alpn::Http2),
        (&["http/1.1", "h2"], Alpn::Http1),
        (&["mqtt"], Alpn::Mqtt),
        (&["x-amzn-mqtt-ca"], Alpn::Other),
        (&["aaaaaaaahttp/1.1"], Alpn::Other),
    ] {
        assert_eq!(client(&plain(&[alpn(offered)])).tls.alpn(), expected, "{offered:?}");
    }
    assert_eq!(client(&plain(&[])).tls.alpn(), Alpn::Absent);
}

#[test]
fn an_encrypted_hello_is_marked() {
    assert!(
        client(&plain(&[server_name("public.example"), extension(0xfe0d, &[0; 40])]))
            .tls
            .is_encrypted_hello()
    );
    assert!(!client(&plain(&[server_name("public.example")])).tls.is_encrypted_hello());
}

#[test]
fn other_first_bytes_are_another_protocol() {
    let good = plain(&[server_name("hub.local")]);
    for (at, bytes) in [(0, &[0x15, 0x17, 0x10, b'G', 0x80][..]), (1, &[0, 2, 4, 0xfe]), (2, &[0, 5, 0xff])] {
        for &byte in bytes {
            let mut bad = good.clone();
            bad[at] = byte;
            wrong(&bad, Reason::ProtoChanged);
        }
    }
    // From then on it is this one, and wrong.
    let mut bad = good;
    bad[5] = 2;
    wrong(&bad, Reason::Malformed);
}

#[test]
fn lengths_nest_exactly() {
    let good = plain(&[server_name("hub.local"), alpn(&["mqtt"])]);
    names(&good, &["hub.local"]);
    // Record, message, session, ciphers, compression, extensions, first extension, list, name; then the same of ALPN.
    for at in [4, 8, 43, 77, 82, 85, 89, 91, 94, 107, 109, 110] {
        for change in [1_u8, 0xff] {
            let mut bad = good.clone();
            bad[at] = bad[at].wrapping_add(change);
            let read = client(&bad);
            assert!(read.end.is_err() || read.names.is_empty(), "length at {at}: {read:?}");
        }
    }
    let whole = hello(&[server_name("hub.local")]);
    wrong(&record(22, &[&whole[..], &[1]].concat()), Reason::Malformed);
    wrong(&record(22, &[]), Reason::Malformed);
    wrong(&[22, 3, 1, 0x40, 1], Reason::Malformed);
    wrong(&record(22, &[1, 0, 0x40, 1]), Reason::WorkCap);
    wrong(&record(22, &[1, 1, 0, 0]), Reason::WorkCap);
    wrong(&record(22, &[1, 0, 0, 1]), Reason::Malformed);
}

#[test]
fn a_name_has_one_spelling() {
    for name in ["a..b", ".a", "a.", "a b", "a/b", "ä", "a\0", "[::1]"] {
        wrong(&plain(&[server_name(name)]), Reason::Malformed);
    }
    let longest = format!("{}.b", "a".repeat(251));
    names(&plain(&[server_name(&longest)]), &[&longest]);
    wrong(&plain(&[server_name(&format!("a{longest}"))]), Reason::Malformed);
    // Another kind of name, none, two of them.
    wrong(&plain(&[extension(0, &vector(2, &[1, 0, 1, b'a']))]), Reason::Malformed);
    wrong(&plain(&[extension(0, &[])]), Reason::Malformed);
    wrong(&plain(&[extension(0, &vector(2, &[0, 0, 0]))]), Reason::Malformed);
    wrong(&plain(&[extension(0, &vector(2, &[0, 0, 1, b'a', 0, 0, 1, b'b']))]), Reason::Malformed);
}

#[test]
fn no_extension_comes_twice() {
    for twice in [server_name("a"), alpn(&["h2"]), extension(0xfe0d, &[1]), extension(43, &[2, 3, 4])] {
        wrong(&plain(&[twice.clone(), extension(11, &[1, 0]), twice]), Reason::Malformed);
    }
    // Values that mean nothing and may repeat in strange clients (RFC 8701).
    names(&plain(&[extension(0x0a0a, &[]), extension(0x1a1a, &[0])]), &[""]);
}

#[test]
fn what_follows_is_skipped() {
    let mut bytes = plain(&[server_name("a.example")]);
    bytes.extend(record(20, &[1]));
    bytes.extend(record(23, &[0xee; 90]));
    bytes.extend([0xff; 2_000]);
    let read = client(&bytes);
    assert_eq!((read.names.len(), read.end), (1, Ok(())));
    assert!(read.tls.is_done());
    // TLS 1.2: the key exchange ends it; in a resumed session a protected message does.
    for follows in [&[16, 0, 0, 2, 0, 0][..], &[0x9c; 40], &[1, 0, 0, 36, 0x41], &[1, 0xee, 0, 0, 3]] {
        let bytes = [plain(&[server_name("a.example")]), record(20, &[1]), record(22, follows)].concat();
        let read = client(&[&bytes[..], &[0xff; 50]].concat());
        assert_eq!((read.names.len(), read.end), (1, Ok(())), "{follows:?}");
        assert!(read.tls.is_done());
    }
}

#[test]
fn a_second_hello_is_read_too() {
    let second = plain(&[server_name("other.example")]);
    let first = plain(&[server_name("a.example")]);
    names(&[&first[..], &second].concat(), &["a.example", "other.example"]);
    names(&[&first[..], &record(20, &[1]), &second].concat(), &["a.example", "other.example"]);
    names(&[&first[..], &record(21, &[1, 90]), &second].concat(), &["a.example", "other.example"]);
    // In pieces, and behind early data.
    let early = plain(&[server_name("a.example"), extension(42, &[])]);
    let pieces: Vec<u8> =
        hello(&[server_name("other.example")]).chunks(3).flat_map(|piece| record(22, piece)).collect();
    names(&[&early[..], &record(23, &[8; 700]), &pieces].concat(), &["a.example", "other.example"]);
    let between = [&first[..], &pieces[..8], &record(20, &[1]), &pieces[8..]].concat();
    wrong(&between, Reason::Malformed);
}

#[test]
fn a_server_shows_itself_and_is_skipped() {
    for first in [22, 21] {
        let read = read(&[&record(first, &[2, 0, 0, 0]), &[0xff; 300]], Sender::Server);
        assert_eq!((read.end, read.tls.is_done()), (Ok(()), true));
    }
    assert_eq!(read(&[b"HTTP/1.1"], Sender::Server).end, Err(Reason::ProtoChanged));
    assert_eq!(read(&[&[23, 3, 3]], Sender::Server).end, Err(Reason::ProtoChanged));
}

proptest! {
    #[test]
    fn a_cut_anywhere_changes_nothing(cuts in prop::collection::vec(0..2_000_usize, 0..20), record_size in 1..600_usize, early: bool, flip in prop::option::of((0..400_usize, any::<u8>()))) {
        let mut extensions = vec![extension(51, &[7; 300]), server_name("hub.local"), alpn(&["mqtt"])];
        if early {
            extensions.push(extension(42, &[]));
        }
        let mut bytes: Vec<u8> = hello(&extensions).chunks(record_size).flat_map(|piece| record(22, piece)).collect();
        bytes.extend(record(20, &[1]));
        bytes.extend(record(23, &[3; 60]));
        bytes.extend(plain(&[server_name("second.local")]));
        if let Some((at, value)) = flip {
            let at = at % bytes.len();
            bytes[at] ^= value;
        }
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut % (bytes.len() + 1)).collect();
        cuts.extend([0, bytes.len()]);
        cuts.sort_unstable();
        let pieces: Vec<&[u8]> = cuts.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect();
        prop_assert_eq!(read(&pieces, Sender::Client), client(&bytes));
    }

    #[test]
    fn any_bytes_end_somewhere(start in 0..200_usize, noise in prop::collection::vec(any::<u8>(), 0..600)) {
        let good = plain(&[server_name("hub.local"), alpn(&["mqtt"]), extension(42, &[])]);
        let bytes = [&good[..start.min(good.len())], &noise].concat();
        let read = client(&bytes);
        prop_assert!(read.names.len() <= 2);
        prop_assert!(read.names.iter().all(|name| name.len() <= NAME_CAP as usize));
    }
}
