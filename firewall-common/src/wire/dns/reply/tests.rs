use std::string::String;
use std::vec::Vec;
use std::{format, vec};

use proptest::prelude::*;

use super::super::{Data, Message, Name};
use super::*;
use crate::hash::hash;

extern crate std;

const KEY: [u8; 16] = *b"0123456789abcdef";
/// More steps than any test's message has.
const STEPS: usize = 100_000;

/// What an answer binds: the name that is asked for, and its addresses with their time to live.
type Bound = (u64, Vec<(Addr, u32)>);

fn read(bytes: &[u8]) -> Result<Option<Bound>, Reason> {
    // As in a frame, the message does not begin at its first byte.
    let frame = [&[0xff; 7][..], bytes].concat();
    let key = HashKey::from_random(KEY);
    let mut reply = Reply::NONE;
    if !reply.open(&&frame[..], 7, bytes.len() as u32)? {
        return Ok(None);
    }
    let (mut asked, mut addresses) = (0, vec![]);
    for _ in 0..STEPS {
        match reply.step(&&frame[..], &key) {
            Step::More => {}
            Step::Question => asked = reply.name(),
            Step::Address(addr) => addresses.push((addr, reply.ttl())),
            Step::End => return Ok(Some((asked, addresses))),
            Step::Wrong(reason) => return Err(reason),
        }
    }
    panic!("a message without an end");
}

fn addresses(bytes: &[u8]) -> Vec<Addr> {
    read(bytes).unwrap().unwrap().1.into_iter().map(|(addr, _)| addr).collect()
}

fn name(text: &str) -> Vec<u8> {
    let labels = text.split('.').filter(|label| !label.is_empty());
    labels.flat_map(|label| [&[label.len() as u8], label.as_bytes()].concat()).chain([0]).collect()
}

fn message(asked: &str, records: &[Vec<u8>]) -> Vec<u8> {
    let header = [0xbeef, 0x8180, 1, records.len() as u16, 0, 0];
    let header = header.iter().flat_map(|number: &u16| number.to_be_bytes());
    header.chain(name(asked)).chain([0, 1, 0, 1]).chain(records.concat()).collect()
}

fn record(owner: &[u8], kind: u16, data: &[u8]) -> Vec<u8> {
    let head = [kind.to_be_bytes(), IN.to_be_bytes(), [0, 0], [0, 60], (data.len() as u16).to_be_bytes()];
    [owner, &head.concat(), data].concat()
}

fn addr(last: u8) -> (Vec<u8>, Addr) {
    (vec![192, 0, 2, last], Addr::from_v4([192, 0, 2, last]))
}

#[test]
fn the_chain_leads_to_its_addresses() {
    let (one, first) = addr(1);
    // `a.example` is at 12, `cdn.example` behind the first record's head: 12 + 11 + 4 + 12.
    let compressed = message(
        "A.Example",
        &[
            record(&[0xc0, 12], kind::CNAME, &[3, b'c', b'd', b'n', 0xc0, 14]),
            record(&[0xc0, 39], kind::A, &one),
            record(&[0xc0, 39], kind::AAAA, &[0x20; 16]),
            record(&[0xc0, 39], 16, b"no address"),
        ],
    );
    let (asked, found) = read(&compressed).unwrap().unwrap();
    assert_eq!(asked, hash(b"a.example", &HashKey::from_random(KEY)));
    assert_eq!(found, [(first, 60), (Addr([0x20; 16]), 60)]);
    // Written out, and in capitals.
    let plain = message(
        "a.example",
        &[
            record(&name("a.EXAMPLE"), kind::CNAME, &name("cdn.example")),
            record(&name("CDN.example"), kind::A, &one),
        ],
    );
    assert_eq!(addresses(&plain), [first]);
}

#[test]
fn another_name_in_the_answer_binds_nothing() {
    let (one, first) = addr(1);
    let (two, _) = addr(2);
    for owner in ["bank.example", "example", "", "x.a.example", "a.exampl"] {
        let records = [record(&[0xc0, 12], kind::A, &one), record(&name(owner), kind::A, &two)];
        assert_eq!(addresses(&message("a.example", &records)), [first], "{owner}");
    }
    // Nor does one that the chain has left.
    let left = [record(&[0xc0, 12], kind::CNAME, &name("b.example")), record(&[0xc0, 12], kind::A, &one)];
    assert_eq!(addresses(&message("a.example", &left)), []);
    let class = record(&[0xc0, 12], kind::A, &one);
    let chaos: Vec<u8> = class.iter().enumerate().map(|(at, byte)| if at == 5 { 3 } else { *byte }).collect();
    assert_eq!(addresses(&message("a.example", &[chaos])), []);
    for (kind, data) in [(kind::A, vec![1; 16]), (kind::AAAA, vec![1; 4]), (kind::A, vec![])] {
        assert_eq!(addresses(&message("a.example", &[record(&[0xc0, 12], kind, &data)])), []);
    }
    // A dot within a label is none between two.
    let dotted = [&[9][..], b"a.example", &[0]].concat();
    assert_eq!(addresses(&message("a.example", &[record(&dotted, kind::A, &one)])), []);
}

#[test]
fn lies_end_the_reading() {
    let (one, _) = addr(1);
    let wrong = |records: &[Vec<u8>]| read(&message("a.example", records)).err();
    let at = 12 + 11 + 4;
    for pointer in [[0xc0, at], [0xc0, at + 2], [0xff, 0xff], [0xc0, 0], [0x80, 12], [0x40, 12]] {
        assert_eq!(wrong(&[record(&pointer, kind::A, &one)]), Some(Reason::Malformed), "{pointer:?}");
    }
    // Two names that point at each other, and a name that grows around a loop.
    let around = [record(&[1, b'x', 0xc0, at], kind::A, &one)];
    assert_eq!(wrong(&around), Some(Reason::Malformed));
    let alias = [record(&[0xc0, 12], kind::CNAME, &[0xc0, at + 12])];
    assert_eq!(wrong(&alias), Some(Reason::Malformed));
    // A name that is not all of a CNAME's data.
    let longer = [record(&[0xc0, 12], kind::CNAME, &[&name("b.example")[..], &[7]].concat())];
    assert_eq!(wrong(&longer), Some(Reason::Malformed));
    let long = [63_u8; 64].repeat(4).into_iter().chain([0]).collect::<Vec<u8>>();
    assert_eq!(wrong(&[record(&long, kind::A, &one)]), Some(Reason::Malformed));
    let many = vec![record(&[0xc0, 12], kind::A, &one); 129];
    assert_eq!(wrong(&many), Some(Reason::WorkCap));
    assert_eq!(addresses(&message("a.example", &many[..128])).len(), 128);
}

#[test]
fn what_was_cut_off_or_failed_binds_nothing() {
    let (one, _) = addr(1);
    let whole = message("a.example", &[record(&[0xc0, 12], kind::A, &one)]);
    let with = |at: usize, byte: u8| {
        let mut changed = whole.clone();
        changed[at] = byte;
        read(&changed)
    };
    assert_eq!(with(2, 0x83), Ok(None), "truncated");
    assert_eq!(with(3, 0x83), Ok(None), "no such name");
    assert_eq!(with(7, 0), Ok(None), "no record");
    assert_eq!(with(2, 0x01).err(), Some(Reason::Malformed), "a question");
    assert_eq!(with(5, 2).err(), Some(Reason::Malformed), "two questions");
    for length in 0..whole.len() {
        assert!(read(&whole[..length]).is_err(), "{length}");
    }
}

/// A name as text, as both sides compare it.
fn text(name: Name<'_>) -> Option<Vec<u8>> {
    let mut text = vec![];
    for label in name.labels() {
        let label = label.ok()?;
        if !text.is_empty() {
            text.push(b'.');
        }
        text.extend(label.iter().map(|byte| if *byte == b'.' { 0 } else { byte.to_ascii_lowercase() }));
    }
    Some(text)
}

/// The same by the records that the host reads.
fn reference(bytes: &[u8], asked: &str) -> Option<Vec<Addr>> {
    let message = Message::answer(bytes).ok()?;
    let mut chain = asked.as_bytes().to_vec();
    let mut found = vec![];
    for record in message.answers() {
        let owner = text(record.owner)?;
        if owner != chain || record.class != IN {
            continue;
        }
        match record.data {
            Data::Address(addr) => found.push(addr),
            Data::Alias(name) => chain = text(name)?,
            Data::Other(_) => {}
        }
    }
    Some(found)
}

proptest! {
    #[test]
    fn it_finds_what_the_host_finds(
        records in prop::collection::vec((0..6_u8, 0..4_u8, any::<u8>()), 0..12),
    ) {
        let names: Vec<String> = (0..4).map(|number| format!("n{number}.example")).collect();
        let records: Vec<Vec<u8>> = records
            .iter()
            .map(|&(owner, kind, data)| {
                let owner = match owner {
                    4 => vec![0xc0, 12],
                    5 => vec![1, b'n', 0xc0, 15],
                    named => name(&names[usize::from(named)]),
                };
                match kind {
                    0 | 1 => record(&owner, kind::A, &[192, 0, 2, data]),
                    2 => record(&owner, kind::AAAA, &[data; 16]),
                    _ => record(&owner, kind::CNAME, &name(&names[usize::from(data & 3)])),
                }
            })
            .collect();
        let bytes = message("n0.example", &records);
        let found = read(&bytes).unwrap().map(|(_, found)| found).unwrap_or_default();
        let found: Vec<Addr> = found.into_iter().map(|(addr, _)| addr).collect();
        prop_assert_eq!(Some(found), reference(&bytes, "n0.example"));
    }

    #[test]
    fn any_bytes_come_to_an_end(mut bytes in prop::collection::vec(any::<u8>(), 12..300), records: u8) {
        bytes[2..8].copy_from_slice(&[0x81, 0x80, 0, 1, 0, records]);
        let _ = read(&bytes);
    }
}
