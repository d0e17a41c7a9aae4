use std::string::String;
use std::vec::Vec;
use std::{format, vec};

use proptest::prelude::*;

use super::*;

extern crate std;

type Objects = Vec<(Header, String)>;

fn read(bytes: &[u8]) -> Result<(Objects, Message), Reason> {
    let key = HashKey::from_random([7; 16]);
    let (mut ssdp, mut object) = (Ssdp::NEW, Object::EMPTY);
    let mut objects = vec![];
    for &byte in bytes {
        match ssdp.step(&mut object, byte, &key) {
            Event::More => {}
            Event::Object => {
                objects.push((ssdp.header(), String::from_utf8_lossy(object.text()).into_owned()));
            }
            Event::Wrong(reason) => return Err(reason),
            other => panic!("{other:?}"),
        }
    }
    match ssdp.finish() {
        Event::Wrong(reason) => Err(reason),
        _ => Ok((objects, ssdp.message())),
    }
}

const SEARCH: &str = "M-SEARCH * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\nMAN: \"ssdp:discover\"\r\nMX: 1\r\nST:  ssdp:all\r\n\r\n";
const NOTIFY: &str = "NOTIFY * HTTP/1.1\r\nHost:239.255.255.250:1900\r\nNT: upnp:rootdevice\r\nNTS: ssdp:alive\r\nUsn: uuid:7::upnp:rootdevice\r\n\r\n";
const RESPONSE: &str = "HTTP/1.1 200 OK\r\nST: upnp:rootdevice\r\nUSN: uuid:7\r\nEXT:\r\n\r\n";

#[test]
fn messages_give_their_objects() {
    let target = |text: &str| (Header::Target, String::from(text));
    let name = |text: &str| (Header::Name, String::from(text));
    assert_eq!(read(SEARCH.as_bytes()), Ok((vec![target("ssdp:all")], Message::Search)));
    let notify = vec![target("upnp:rootdevice"), name("uuid:7::upnp:rootdevice")];
    assert_eq!(read(NOTIFY.as_bytes()), Ok((notify, Message::Notify)));
    assert_eq!(
        read(RESPONSE.as_bytes()),
        Ok((vec![target("upnp:rootdevice"), name("uuid:7")], Message::Response))
    );
}

#[test]
fn other_first_lines_are_another_protocol() {
    for other in
        ["GET / HTTP/1.1\r\n\r\n", "M-SEARCH /x HTTP/1.1\r\n", "HTTP/1.1 404 No\r\n", "m-search", "\0"]
    {
        assert_eq!(read(other.as_bytes()).err(), Some(Reason::ProtoChanged), "{other:?}");
    }
}

#[test]
fn lines_keep_their_shape() {
    let with = |line: &str| {
        read(format!("M-SEARCH * HTTP/1.1\r\n{line}").as_bytes()).map(|(objects, _)| objects.len())
    };
    for bad in [
        "ST ssdp:all\r\n",
        ": a\r\n",
        "S T: a\r\n",
        "ST: a\n",
        "ST: a\rb",
        "ST: a\0\r\n",
        "\r\nmore",
        "ST: a",
        "S",
    ] {
        assert_eq!(with(bad), Err(Reason::Malformed), "{bad:?}");
    }
    // Small devices leave out the empty line.
    assert_eq!(with("ST: a\r\n"), Ok(1));
    assert_eq!(with(&format!("ST: {}\r\n", "a".repeat(256))), Ok(1));
    assert_eq!(with(&format!("ST: {}\r\n", "a".repeat(257))), Err(Reason::ObjectCap));
    assert_eq!(with(&format!("{}: a\r\n", "n".repeat(64))), Ok(0));
    assert_eq!(with(&format!("{}: a\r\n", "n".repeat(65))), Err(Reason::Malformed));
    assert_eq!(with(&format!("X: {}\r\n", "a".repeat(2_100))), Err(Reason::WorkCap));
}

proptest! {
    #[test]
    fn any_bytes_are_read_to_an_end(keep in 0..200_usize, noise in prop::collection::vec(any::<u8>(), 0..200)) {
        let bytes = [&NOTIFY.as_bytes()[..keep.min(NOTIFY.len())], &noise].concat();
        if let Ok((objects, _)) = read(&bytes) {
            prop_assert!(objects.iter().all(|(_, text)| text.len() <= 2 * crate::abi::OBJECT_CAP));
        }
    }
}
