//! Modbus: the levels are those of the text, and the addresses those that the request may have.

use firewall_common::abi::Kind;
use firewall_common::hash::hash;
use firewall_common::wire::modbus::Modbus;
use firewall_common::wire::object::{Levels, Object};
use firewall_common::wire::{Event, Sender};

use crate::codec::{self, Codec, Said};
use crate::machine::KEY;

impl Codec for Modbus {
    fn step(&mut self, object: &mut Object, byte: u8, sender: Sender) -> Event {
        self.step(object, byte, sender, &KEY)
    }

    fn skip(&mut self, available: u32) -> u32 {
        self.skip(available)
    }

    fn levels(&self, _object: &Object) -> Levels {
        let mut levels = Levels::NONE;
        self.levels(&mut levels, &KEY);
        levels
    }

    fn about(&self) -> [u32; 3] {
        [self.kind() as u32, self.start().into(), self.end().into()]
    }

    fn forgets(&self, _object: &Object) -> bool {
        self.start() > 0xff && self.start() == self.end() && !self.at_boundary()
    }
}

pub(crate) fn check(bytes: &[u8]) {
    let (sender, bytes, transcript) = codec::check(bytes, |_| Modbus::NEW);
    let mut requests = 0;
    for (_, event, said) in &transcript.said {
        if *event == Event::Request {
            assert_eq!(sender, Sender::Client, "a server asks for nothing");
            check_request(said);
            requests += 1;
        }
    }
    if transcript.wrong.is_none() && sender == Sender::Client {
        check_framing(bytes, requests);
    }
}

fn check_request(said: &Said) {
    let [kind, start, end] = said.about;
    let verb = if kind == Kind::ModbusWrite as u32 { "write" } else { "read" };
    let parts: Vec<&str> = said.text.split('/').collect();
    let [unit, area, addresses] = parts[..] else { panic!("{:?} has not three parts", said.text) };
    assert!(unit.parse::<u8>().is_ok_and(|number| number.to_string() == unit), "{unit}");
    assert_eq!(addresses, format!("{start}-{end}"));
    assert!(start <= end && end - start < 2_000, "{start} to {end}");
    let areas = ["coils", "inputs", "input", "holding", "files", "fifo"];
    let function = area.strip_prefix("fn").and_then(|code| code.parse::<u8>().ok());
    assert!(areas.contains(&area) || function.is_some(), "{area}");
    let levels: Vec<u64> = [verb, unit, area].iter().map(|word| hash(word.as_bytes(), &KEY)).collect();
    assert_eq!(said.levels, levels);
    for (number, address) in [start, end].into_iter().enumerate() {
        let digits = format!("{address:04x}");
        for at in 0..4 {
            let level = Modbus::address_level(address as u16, at as u32, &KEY);
            assert_eq!(level, hash(&digits.as_bytes()[at..=at], &KEY), "digit {at} of address {number}");
        }
    }
}

/// Every complete message of a client asks for something: none passes unseen.
fn check_framing(mut bytes: &[u8], requests: usize) {
    let mut messages = 0;
    while let Some(length) =
        bytes.get(4..6).map(|length| usize::from(u16::from_be_bytes([length[0], length[1]])))
        && let Some(rest) = bytes.get(6 + length..)
    {
        messages += 1;
        bytes = rest;
    }
    assert!(requests >= messages, "{requests} requests in {messages} messages");
}
