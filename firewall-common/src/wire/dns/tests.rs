use std::string::String;
use std::vec::Vec;
use std::{format, vec};

use proptest::prelude::*;

use super::*;

extern crate std;

/// Drives the machine as every caller does: the names asked for, and the message.
fn read(bytes: &[u8], mut dns: Dns, sender: Sender, skips: bool) -> Result<(Vec<String>, Dns), Reason> {
    let key = HashKey::from_random([7; 16]);
    let mut object = Object::EMPTY;
    let mut names = vec![];
    let mut at = 0;
    while at < bytes.len() {
        let left = (bytes.len() - at) as u32;
        let skipped = if skips { dns.skip(left) } else { 0 };
        assert!(skipped <= left);
        at += skipped as usize;
        if at == bytes.len() {
            break;
        }
        match dns.step(&mut object, bytes[at], sender, &key) {
            Event::More => {}
            Event::Object => {
                assert_eq!(object.hash(), crate::hash::hash(object.text(), &key));
                // Labels are bytes (RFC 2181, section 11).
                names.push(String::from_utf8_lossy(object.text()).into_owned());
            }
            Event::Wrong(reason) => return Err(reason),
            other => panic!("{other:?}"),
        }
        at += 1;
    }
    match dns.finish() {
        Event::Wrong(reason) => Err(reason),
        _ => Ok((names, dns)),
    }
}

fn query(bytes: &[u8]) -> Result<(Vec<String>, Dns), Reason> {
    read(bytes, Dns::NEW, Sender::Client, true)
}

#[track_caller]
fn malformed(bytes: &[u8]) {
    assert_eq!(query(bytes).err(), Some(Reason::Malformed));
}

fn name(text: &str) -> Vec<u8> {
    let mut bytes = vec![];
    for label in text.split('.').filter(|label| !label.is_empty()) {
        bytes.push(label.len() as u8);
        bytes.extend(label.as_bytes());
    }
    bytes.push(0);
    bytes
}

fn header(flags: u16, counts: [u16; 4]) -> Vec<u8> {
    let [a, b, c, d] = counts;
    [0xbeef, flags, a, b, c, d].iter().flat_map(|number| number.to_be_bytes()).collect()
}

fn question(text: &str, kind: u16) -> Vec<u8> {
    [name(text), kind.to_be_bytes().to_vec(), IN.to_be_bytes().to_vec()].concat()
}

fn ask(text: &str, kind: u16) -> Vec<u8> {
    [header(0x0100, [1, 0, 0, 0]), question(text, kind)].concat()
}

fn record(owner: &[u8], kind: u16, ttl: u32, data: &[u8]) -> Vec<u8> {
    [
        owner,
        &kind.to_be_bytes(),
        &IN.to_be_bytes(),
        &ttl.to_be_bytes(),
        &(data.len() as u16).to_be_bytes(),
        data,
    ]
    .concat()
}

fn option(code: u16, data: &[u8]) -> Vec<u8> {
    [&code.to_be_bytes()[..], &(data.len() as u16).to_be_bytes(), data].concat()
}

fn ask_with(additional: &[Vec<u8>]) -> Vec<u8> {
    let head = header(0x0120, [1, 0, 0, additional.len() as u16]);
    [head, question("hub.example", kind::AAAA), additional.concat()].concat()
}

/// An answer by way of an alias, compressed as servers do.
fn answer() -> Vec<u8> {
    [
        header(0x8180, [1, 3, 0, 1]),
        question("www.example.org", kind::A),
        // `www.example.org` is at 12, `example.org` at 16.
        record(&[0xc0, 12], kind::CNAME, 300, &[3, b'c', b'd', b'n', 0xc0, 16]),
        // `cdn.example.org` is at 45.
        record(&[0xc0, 45], kind::A, 60, &[192, 0, 2, 7]),
        record(&[0xc0, 45], kind::AAAA, 61, &[0x20; 16]),
        record(&[0], kind::OPT, 0, &[]),
    ]
    .concat()
}

#[test]
fn a_question_has_a_name_a_type_and_a_number() {
    let (names, dns) = query(&ask("Time.Example_1.ORG", kind::HTTPS)).unwrap();
    assert_eq!(names, ["time.example_1.org"]);
    assert_eq!((dns.id(), dns.question(), dns.class(), dns.is_response()), (0xbeef, kind::HTTPS, IN, false));
    assert!(dns.has_capitals() && dns.is_plain());
    assert_eq!(dns.name_len(), 20);
    let (names, dns) = query(&ask("", kind::NS)).unwrap();
    assert_eq!((names, dns.name_len(), dns.has_capitals()), (vec![String::new()], 1, false));
}

#[test]
fn types_of_tunnels_are_not_ordinary() {
    for ordinary in
        [kind::A, kind::AAAA, kind::PTR, kind::SRV, kind::HTTPS, kind::SVCB, kind::CNAME, kind::SOA, kind::NS]
    {
        assert!(kind::is_ordinary(ordinary));
    }
    for other in [0, 10, kind::TXT, 15, 255, 0xff00] {
        assert!(!kind::is_ordinary(other));
    }
}

#[test]
fn labels_and_names_have_their_length() {
    let longest = format!("{0}.{0}.{0}.{1}", "a".repeat(63), "b".repeat(61));
    assert_eq!(query(&ask(&longest, kind::A)).unwrap().0, [&longest[..]]);
    malformed(&ask(&format!("{0}.{0}.{0}.{1}", "a".repeat(63), "b".repeat(62)), kind::A));
    for length in [64, 0x7f, 0x80, 0xbf] {
        let mut bad = ask("a.example", kind::A);
        bad[12] = length;
        malformed(&bad);
    }
}

#[test]
fn a_name_has_one_text() {
    for byte in [0, b' ', b'.', 0x1f, 0x7f, 0x80, 0xff] {
        let mut bad = ask("a.example", kind::A);
        bad[13] = byte;
        malformed(&bad);
    }
    for byte in [b'!', b'*', b'-', b'_', b'~', b'0'] {
        let mut good = ask("a.example", kind::A);
        good[13] = byte;
        assert!(query(&good).is_ok());
    }
}

#[test]
fn a_client_asks_one_question() {
    let body = question("a.example", kind::A);
    for counts in [[0, 0, 0, 0], [2, 0, 0, 0], [1, 1, 0, 0], [1, 0, 1, 0], [0x100, 0, 0, 0]] {
        malformed(&[header(0x0100, counts), body.clone(), body.clone()].concat());
    }
    assert_eq!(query(&[header(0x0100, [1, 0, 0, 129]), body.clone()].concat()).err(), Some(Reason::WorkCap));
    // Answers from a client, questions from a server, an update, the reserved bit.
    for flags in [0x8100, 0x2900, 0x0140] {
        malformed(&[header(flags, [1, 0, 0, 0]), body.clone()].concat());
    }
    assert!(read(&ask("a.example", kind::A), Dns::NEW, Sender::Server, true).is_err());
    // Cut, or with something behind.
    let whole = ask("a.example", kind::A);
    for length in 0..whole.len() {
        malformed(&whole[..length]);
    }
    malformed(&[&whole[..], &[0]].concat());
}

#[test]
fn options_that_travel_are_told_apart() {
    let plain = |additional: &[Vec<u8>]| query(&ask_with(additional)).map(|(_, dns)| dns.is_plain());
    let opt = |data: &[u8]| record(&[0], kind::OPT, 0, data);
    assert_eq!(plain(&[opt(&[])]), Ok(true));
    assert_eq!(
        plain(&[opt(&[option(10, &[1; 8]), option(12, &[0; 100]), option(12, &[])].concat())]),
        Ok(true)
    );
    // A subnet, and a number of one's own.
    assert_eq!(plain(&[opt(&option(8, &[0, 1, 24, 0, 192, 0, 2]))]), Ok(false));
    assert_eq!(plain(&[opt(&[option(10, &[1; 8]), option(65_001, &[])].concat())]), Ok(false));
    assert_eq!(plain(&[record(&[0], kind::TXT, 0, b"hidden")]), Ok(false));
    // Two of them, one with a name, options that do not fit.
    for bad in [
        vec![opt(&[]), opt(&[])],
        vec![record(&name("a"), kind::OPT, 0, &[])],
        vec![opt(&[0, 10, 0, 9, 1])],
        vec![opt(&[0, 10, 0])],
        vec![opt(&[option(10, &[1; 8]), vec![0, 10]].concat())],
    ] {
        malformed(&ask_with(&bad));
    }
}

#[test]
fn an_answer_gives_addresses_and_aliases() {
    let bytes = answer();
    let (names, dns) = read(&bytes, Dns::NEW, Sender::Server, true).unwrap();
    assert_eq!(
        (names, dns.is_response(), dns.response_code()),
        (vec![String::from("www.example.org")], true, 0)
    );
    let message = Message::answer(&bytes).unwrap();
    assert_eq!(message.id(), 0xbeef);
    let text = |name: Name| {
        let labels: Result<Vec<&[u8]>, Reason> = name.labels().collect();
        labels.map(|labels| String::from_utf8(labels.join(&b"."[..])).unwrap())
    };
    let records: Vec<Record> = message.answers().collect();
    assert_eq!(
        records.iter().map(|record| (record.kind, record.ttl)).collect::<Vec<_>>(),
        [(5, 300), (1, 60), (28, 61)]
    );
    let Data::Alias(alias) = records[0].data else { panic!("{:?}", records[0]) };
    assert_eq!(
        (text(records[0].owner), text(alias)),
        (Ok("www.example.org".into()), Ok("cdn.example.org".into()))
    );
    assert_eq!(text(records[1].owner), Ok("cdn.example.org".into()));
    assert!(matches!(records[1].data, Data::Address(addr) if addr == Addr::from_v4([192, 0, 2, 7])));
    assert!(matches!(records[2].data, Data::Address(addr) if addr == Addr([0x20; 16])));
}

#[test]
fn compression_points_backwards() {
    let with_owner = |owner: &[u8]| {
        let head = header(0x8180, [1, 1, 0, 0]);
        [head, question("a.example", kind::A), record(owner, kind::A, 1, &[1, 2, 3, 4])].concat()
    };
    let check = |bytes: &[u8]| Message::answer(bytes).err();
    assert_eq!(check(&with_owner(&[0xc0, 12])), None);
    // The record's own name is at 27: itself, a later byte, the header.
    for pointer in [27, 28, 29, 200, 11, 0] {
        assert_eq!(check(&with_owner(&[0xc0, pointer])), Some(Reason::Malformed), "{pointer}");
    }
    // In a question of a client, anywhere.
    let mut bytes = ask("a.example", kind::A);
    bytes[14] = 0xc0;
    bytes[15] = 12;
    malformed(&bytes);
    // A loop in what the machine does not read as a name.
    let looped = [
        header(0x8180, [1, 1, 0, 0]),
        question("a.example", kind::A),
        record(&[0xc0, 12], kind::CNAME, 1, &[0xc0, 39]),
    ]
    .concat();
    let message = Message::answer(&looped).unwrap();
    let Some(Record { data: Data::Alias(alias), .. }) = message.answers().next() else { panic!("no alias") };
    assert_eq!(alias.labels().collect::<Vec<_>>(), [Err(Reason::Malformed)]);
}

#[test]
fn everyone_is_asked_many_questions() {
    let mut class = question("Living Room._hap._tcp.local", kind::SRV);
    let at = class.len() - 2;
    class[at] = 0x80;
    let bytes = [
        header(0, [2, 1, 0, 0]),
        question("_hap._tcp.local", kind::PTR),
        class,
        record(&[0xc0, 12], kind::PTR, 9, &[0xc0, 12]),
    ]
    .concat();
    let (names, dns) = read(&bytes, Dns::MULTICAST, Sender::Client, true).unwrap();
    assert_eq!(names, ["_hap._tcp.local", "living room._hap._tcp.local"]);
    assert!(dns.wants_unicast() && !dns.is_compressed());
    assert_eq!(dns.class(), IN);
    // The second question may lean on the first.
    let leaning = [
        header(0, [2, 0, 0, 0]),
        question("_hap._tcp.local", kind::PTR),
        vec![1, b'x', 0xc0, 17, 0, 1, 0, 1],
    ]
    .concat();
    let (names, dns) = read(&leaning, Dns::MULTICAST, Sender::Client, true).unwrap();
    assert_eq!((&names[1][..], dns.is_compressed()), ("x", true));
    let seventeen = [header(0, [17, 0, 0, 0]), question("a.local", kind::A).repeat(17)].concat();
    assert_eq!(read(&seventeen, Dns::MULTICAST, Sender::Client, true).err(), Some(Reason::Malformed));
    assert!(Message::multicast(&bytes).is_ok());
}

proptest! {
    #[test]
    fn skipping_changes_nothing(flip in prop::option::of((0..400_usize, any::<u8>())), cut in 0..400_usize, server: bool) {
        let mut bytes = if server {
            answer()
        } else {
            ask_with(&[record(&[0], kind::OPT, 0, &[option(10, &[1; 24]), option(8, &[3; 9])].concat())])
        };
        if let Some((at, value)) = flip {
            let at = at % bytes.len();
            bytes[at] ^= value;
        }
        bytes.truncate(cut.max(1));
        let sender = if server { Sender::Server } else { Sender::Client };
        prop_assert_eq!(read(&bytes, Dns::NEW, sender, true), read(&bytes, Dns::NEW, sender, false));
    }

    #[test]
    fn any_bytes_are_read_to_an_end(bytes in prop::collection::vec(any::<u8>(), 0..600), keep in 0..120_usize, multicast: bool) {
        let bytes = [&answer()[..keep.min(answer().len())], &bytes].concat();
        let dns = if multicast { Dns::MULTICAST } else { Dns::NEW };
        if let Ok((names, _)) = read(&bytes, dns, Sender::Server, true) {
            prop_assert!(names.len() <= usize::from(QUESTIONS));
        }
        if let Ok(message) = Message::answer(&bytes) {
            for record in message.answers() {
                prop_assert!(record.owner.labels().count() <= 128);
            }
        }
    }
}
