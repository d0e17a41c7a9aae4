//! DNS and multicast DNS: names against a reading with the whole message at hand.

use firewall_common::wire::dns::{Data, Dns, Message};
use firewall_common::wire::object::Object;
use firewall_common::wire::{Event, Sender};

use crate::codec::{self, Codec};
use crate::input::at;
use crate::machine::KEY;

impl Codec for Dns {
    fn step(&mut self, object: &mut Object, byte: u8, sender: Sender) -> Event {
        self.step(object, byte, sender, &KEY)
    }

    fn skip(&mut self, available: u32) -> u32 {
        self.skip(available)
    }

    fn finish(&mut self, _object: &mut Object) -> Event {
        self.finish()
    }

    fn about(&self) -> [u32; 3] {
        let marks = [self.is_response(), self.has_capitals(), self.is_compressed(), self.is_plain()];
        let marks = marks.iter().fold(0, |marks, mark| marks << 1 | u32::from(*mark));
        [self.id().into(), u32::from(self.question()) << 16 | u32::from(self.class()), marks]
    }

    fn forgets(&self, object: &Object) -> bool {
        object.len() > 3 && object.text().last() == Some(&b'_')
    }
}

pub(crate) fn check(bytes: &[u8]) {
    let multicast = bytes.first().is_some_and(|choices| choices & 2 != 0);
    let (sender, bytes, transcript) =
        codec::check(bytes, |_| if multicast { Dns::MULTICAST } else { Dns::NEW });
    let asked: Vec<&codec::Said> = transcript
        .said
        .iter()
        .filter(|(_, event, _)| *event == Event::Object)
        .map(|(_, _, said)| said)
        .collect();
    assert!(multicast || asked.len() <= 1, "one question, not {}", asked.len());
    if let Some(first) = asked.first() {
        let (name, end, compressed) = name(bytes).expect("the name was read");
        assert!(compressed || first.text == name, "{:?} is {name:?}", first.text);
        let question = at(bytes, end).map(u16::from_be_bytes);
        assert_eq!(Some((first.about[1] >> 16) as u16), question, "the type");
    }
    if sender == Sender::Server {
        let message = if multicast { Message::multicast(bytes) } else { Message::answer(bytes) };
        assert_eq!(message.is_ok(), transcript.wrong.is_none(), "both readings of an answer");
        if let Ok(message) = message {
            check_records(message);
        }
    }
}

/// The first name in lower case, the offset behind it, and whether it goes on elsewhere.
fn name(bytes: &[u8]) -> Option<(String, usize, bool)> {
    let mut labels = Vec::new();
    let mut offset = 12;
    loop {
        let [length] = at::<1>(bytes, offset)?;
        match length {
            0 => return Some((labels.join("."), offset + 1, false)),
            64.. => return Some((labels.join("."), offset + 2, true)),
            _ => {
                let label = bytes.get(offset + 1..offset + 1 + usize::from(length))?;
                labels.push(String::from_utf8_lossy(label).to_ascii_lowercase());
                offset += 1 + usize::from(length);
            }
        }
    }
}

fn check_records(message: Message<'_>) {
    let mut records = 0;
    for record in message.answers() {
        records += 1;
        let mut names = vec![record.owner];
        if let Data::Alias(name) = record.data {
            names.push(name);
        }
        for name in names {
            let mut length = 0;
            for label in name.labels() {
                length += label.map_or(0, <[u8]>::len) + 1;
            }
            assert!(length <= 255, "a name of {length} bytes");
        }
    }
    assert!(records <= 1_000, "{records} records");
}
