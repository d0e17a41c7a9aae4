//! SSDP: every object is the value of its header's line.

use firewall_common::wire::object::Object;
use firewall_common::wire::ssdp::{Header, Ssdp};
use firewall_common::wire::{Event, Sender};

use crate::codec::{self, Codec};
use crate::machine::KEY;

impl Codec for Ssdp {
    fn step(&mut self, object: &mut Object, byte: u8, _sender: Sender) -> Event {
        self.step(object, byte, &KEY)
    }

    fn finish(&mut self, _object: &mut Object) -> Event {
        self.finish()
    }

    fn about(&self) -> [u32; 3] {
        [self.header() as u32, self.message() as u32, 0]
    }

    fn forgets(&self, object: &Object) -> bool {
        self.header() == Header::Name && object.text().ends_with(b"::")
    }
}

pub(crate) fn check(bytes: &[u8]) {
    let (_, bytes, transcript) = codec::check(bytes, |_| Ssdp::NEW);
    let text = String::from_utf8_lossy(bytes);
    let values = |wanted: &[&str]| -> Vec<&str> {
        let lines = text.split("\r\n").filter_map(|line| line.split_once(':'));
        lines
            .filter(|(name, _)| wanted.iter().any(|wanted| name.eq_ignore_ascii_case(wanted)))
            .map(|(_, value)| value.trim_matches([' ', '\t']))
            .collect()
    };
    for (_, event, said) in &transcript.said {
        if *event == Event::Object {
            let name = said.about[0] == Header::Name as u32;
            let values = if name { values(&["usn"]) } else { values(&["st", "nt"]) };
            assert!(values.contains(&said.text.trim_matches([' ', '\t'])), "{:?} in {values:?}", said.text);
        }
    }
}
