//! HTTP: a request says the same when it is written again from what was read.

use firewall_common::abi::Kind;
use firewall_common::hash::hash;
use firewall_common::wire::http::Http;
use firewall_common::wire::object::{Levels, Object};
use firewall_common::wire::{Event, Sender};

use crate::codec::{self, Codec, Said};
use crate::machine::KEY;

impl Codec for Http {
    fn step(&mut self, object: &mut Object, byte: u8, sender: Sender) -> Event {
        self.step(object, byte, sender, &KEY)
    }

    fn skip(&mut self, available: u32) -> u32 {
        self.skip(available)
    }

    fn levels(&self, object: &Object) -> Levels {
        let mut levels = Levels::NONE;
        self.levels(object, &mut levels, &KEY);
        levels
    }

    fn about(&self) -> [u32; 3] {
        [self.kind() as u32, self.is_recognised().into(), self.at_boundary().into()]
    }

    fn forgets(&self, object: &Object) -> bool {
        object.levels() > 3 && object.text().last() == Some(&b'/')
    }
}

pub(crate) fn check(bytes: &[u8]) {
    let (sender, bytes, transcript) = codec::check(bytes, |_| Http::NEW);
    for (at, event, said) in &transcript.said {
        if *event == Event::Request {
            assert_eq!(sender, Sender::Client, "a server asks for nothing");
            check_request(said, &bytes[..=*at]);
        }
    }
}

fn check_request(said: &Said, bytes: &[u8]) {
    let (path, host) = said.text.split_once(' ').unwrap_or((&said.text, ""));
    let verb = match said.about[0] {
        get if get == Kind::HttpGet as u32 => "get",
        set if set == Kind::HttpSet as u32 => "set",
        _ => "delete",
    };
    let below = path.strip_prefix('/').expect("a path begins with a slash");
    let path_levels = below.split('/').filter(|_| !below.is_empty());
    let words: Vec<&str> = [verb, host].into_iter().chain(path_levels).collect();
    let levels: Vec<u64> = words.iter().map(|word| hash(word.as_bytes(), &KEY)).collect();
    assert_eq!(said.levels, levels, "{words:?}");
    assert_eq!(host, host.to_ascii_lowercase());

    let method = match verb {
        "get" => "GET",
        "set" => "PUT",
        _ => "DELETE",
    };
    let head =
        if host.is_empty() { "HTTP/1.0\r\n".to_owned() } else { format!("HTTP/1.1\r\nHost: {host}\r\n") };
    let again = format!("{method} {path} {head}\r\n");
    let transcript = codec::read(again.as_bytes(), Http::NEW, Sender::Client, 7);
    let (_, _, second) = transcript.said.first().expect("what was read can be written and read again");
    assert_eq!((&second.text, &second.levels), (&said.text, &said.levels), "{again:?}");

    // The words stand in the bytes: a path without escapes as it is, the host but for its case.
    let text = String::from_utf8_lossy(bytes).to_ascii_lowercase();
    assert!(text.contains(host), "{host}");
    assert!(text.contains('%') || path == "/" || text.contains(&path.to_ascii_lowercase()), "{path}");
}
