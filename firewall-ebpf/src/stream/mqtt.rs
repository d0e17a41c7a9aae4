//! MQTT: from bytes to objects.

use firewall_common::abi::Kind;
use firewall_common::reason::Reason;
use firewall_common::wire::{Event, Sender};

use super::judge;
use super::machine::Machine;
use crate::bytes::opaque;
use crate::scratch::Scratch;

/// Both directions of MQTT.
pub struct Mqtt;

impl Machine for Mqtt {
    #[inline(always)]
    fn skip(scratch: &mut Scratch, available: u32) -> u32 {
        scratch.said.mqtt.skip(available)
    }

    #[inline(always)]
    fn is_text(scratch: &Scratch) -> bool {
        scratch.said.mqtt.plain() != 0
    }

    #[inline(always)]
    fn run(scratch: &mut Scratch, from: u32, most: u32) -> u32 {
        let said = &mut scratch.said;
        said.mqtt.run(&mut said.object, &scratch.window.bytes, from, most, &scratch.config.key.0, opaque)
    }

    #[inline(always)]
    fn rest(scratch: &mut Scratch) {
        if scratch.said.mqtt.at_rest() {
            scratch.said.object.clear();
        }
    }

    #[inline(always)]
    fn step(scratch: &mut Scratch, byte: u8, sender: Sender) -> Event {
        let said = &mut scratch.said;
        if matches!(sender, Sender::Server) && said.mqtt.version() == 0 {
            said.mqtt.adopt(scratch.version);
        }
        said.mqtt.step(&mut said.object, byte, sender, &scratch.config.key.0)
    }

    #[inline(always)]
    fn event(scratch: &mut Scratch, event: Event) -> Result<(), Reason> {
        match event {
            Event::Level => {
                let kind = side(scratch, scratch.said.mqtt.reading());
                judge::level(scratch, kind);
                scratch.said.mqtt.next_level(&mut scratch.said.object);
                if !scratch.said.mqtt.ends_with_slash() {
                    return Ok(());
                }
                match scratch.said.mqtt.finish_text() {
                    Event::Wrong(reason) => Err(reason),
                    _ => object(scratch),
                }
            }
            Event::Object => object(scratch),
            Event::Alias => {
                let kind = side(scratch, Kind::MqttPublish);
                judge::alias(scratch, kind)
            }
            Event::Note(note) => judge::note(scratch, note),
            Event::Wrong(reason) => Err(reason),
            Event::More | Event::Request | Event::Becomes(_) => Ok(()),
        }
    }
}

#[inline(always)]
fn object(scratch: &mut Scratch) -> Result<(), Reason> {
    let kind = side(scratch, scratch.said.mqtt.kind());
    judge::object(scratch, kind)
}

/// What the broker publishes to a client is what the client must have the right to subscribe to.
#[inline(always)]
fn side(scratch: &Scratch, kind: Kind) -> Kind {
    if scratch.client == 0 { Kind::MqttSubscribe } else { kind }
}
