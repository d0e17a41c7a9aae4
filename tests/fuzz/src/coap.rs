//! CoAP: a request says the same when it is written again from what was read.

use firewall_common::abi::Kind;
use firewall_common::hash::hash;
use firewall_common::wire::coap::Coap;
use firewall_common::wire::object::{Levels, Object};
use firewall_common::wire::{Event, Sender};

use crate::codec::{self, Codec, Said};
use crate::machine::KEY;

impl Codec for Coap {
    fn step(&mut self, object: &mut Object, byte: u8, sender: Sender) -> Event {
        self.step(object, byte, sender, &KEY)
    }

    fn skip(&mut self, available: u32) -> u32 {
        self.skip(available)
    }

    fn finish(&mut self, object: &mut Object) -> Event {
        self.finish(object, &KEY)
    }

    fn levels(&self, object: &Object) -> Levels {
        let mut levels = Levels::NONE;
        self.levels(object, &mut levels, &KEY);
        levels
    }

    fn about(&self) -> [u32; 3] {
        [self.kind() as u32, 0, 0]
    }

    fn forgets(&self, object: &Object) -> bool {
        object.levels() > 2 && object.text().last() == Some(&b'/')
    }
}

pub(crate) fn check(bytes: &[u8]) {
    let (sender, _, transcript) = codec::check(bytes, |_| Coap::NEW);
    for (_, event, said) in &transcript.said {
        if *event == Event::Request {
            assert_eq!(sender, Sender::Client, "a server asks for nothing");
            check_request(said);
        }
    }
}

fn check_request(said: &Said) {
    let (path, host) = said.text.split_once(' ').unwrap_or((&said.text, ""));
    let (code, verb, observes): (u8, _, _) = match said.about[0] {
        get if get == Kind::CoapGet as u32 => (1, "get", false),
        observe if observe == Kind::CoapObserve as u32 => (1, "subscribe", true),
        delete if delete == Kind::CoapDelete as u32 => (4, "delete", false),
        _ => (3, "set", false),
    };
    let below = path.strip_prefix('/').expect("a path begins with a slash");
    let path_levels: Vec<&str> = below.split('/').filter(|_| !below.is_empty()).collect();
    let words: Vec<&str> = [verb, host].into_iter().chain(path_levels.iter().copied()).collect();
    let levels: Vec<u64> = words.iter().map(|word| hash(word.as_bytes(), &KEY)).collect();
    assert_eq!(said.levels, levels, "{words:?}");

    let mut again = vec![0x50, code, 0, 1];
    let mut last = 0;
    let mut option = |number: usize, value: &[u8]| {
        let length = value.len();
        let (nibble, extra) = if length < 13 { (length, None) } else { (13, Some(length - 13)) };
        again.push(((number - last) << 4 | nibble) as u8);
        again.extend(extra.map(|extra| extra as u8));
        again.extend(value);
        last = number;
    };
    if !host.is_empty() {
        option(3, host.as_bytes());
    }
    if observes {
        option(6, &[]);
    }
    for level in path_levels {
        option(11, level.as_bytes());
    }
    let transcript = codec::read(&again, Coap::NEW, Sender::Client, 7);
    let (_, event, second) = transcript.said.first().expect("what was read can be written and read again");
    assert_eq!(
        (*event, &second.text, &second.levels, second.about),
        (Event::Request, &said.text, &said.levels, said.about),
        "{again:?}"
    );
}
