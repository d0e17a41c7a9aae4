//! MQTT, both directions.

use std::collections::HashMap;

use firewall_common::{
    abi::{Kind, Protocol},
    reason::Reason,
    wire::{Event, Note, Sender, mqtt, object::Object},
};
use graph::operation::Verb;

use super::{Draft, key};
use crate::replay::record::Message;

/// Most topic aliases of a direction.
const ALIASES: usize = 1024;

/// A connection that speaks MQTT.
#[derive(Debug)]
pub(in crate::replay) struct Mqtt {
    client: Direction,
    server: Direction,
}

#[derive(Debug)]
struct Direction {
    machine: mqtt::Mqtt,
    object: Object,
    aliases: HashMap<u16, String>,
    draft: Draft,
}

impl Default for Mqtt {
    fn default() -> Self {
        Self { client: Direction::new(), server: Direction::new() }
    }
}

impl Mqtt {
    pub(super) const fn is_certain(&self) -> bool {
        self.client.machine.is_recognised() || self.server.machine.is_recognised()
    }

    pub(super) fn hear(
        &mut self,
        sender: Sender,
        bytes: &[u8],
        said: &mut Vec<Message>,
    ) -> Result<(), Reason> {
        let direction = match sender {
            Sender::Client => &mut self.client,
            Sender::Server => {
                self.server.machine.adopt(self.client.machine.version());
                &mut self.server
            }
        };
        direction.hear(sender, bytes, said)
    }

    pub(super) fn unfinished(&mut self, sender: Sender, said: &mut Vec<Message>) {
        let direction = match sender {
            Sender::Client => &mut self.client,
            Sender::Server => &mut self.server,
        };
        direction.draft.abandon(name(direction.machine.packet()), said);
    }
}

impl Direction {
    fn new() -> Self {
        Self {
            machine: mqtt::Mqtt::NEW,
            object: Object::EMPTY,
            aliases: HashMap::new(),
            draft: Draft::new(Protocol::Mqtt),
        }
    }

    fn hear(&mut self, sender: Sender, bytes: &[u8], said: &mut Vec<Message>) -> Result<(), Reason> {
        let key = key();
        let mut rest = bytes;
        while let Some((byte, behind)) = rest.split_first() {
            let skipped = self.machine.skip(rest.len() as u32) as usize;
            if skipped > 0 {
                rest = rest.get(skipped..).unwrap_or_default();
            } else {
                rest = behind;
                let mut event = self.machine.step(&mut self.object, *byte, sender, &key);
                if event == Event::Level {
                    self.machine.next_level(&mut self.object);
                    event =
                        if self.machine.ends_with_slash() { self.machine.finish_text() } else { Event::More };
                }
                self.take(event)?;
            }
            if self.machine.at_boundary() {
                self.finish(said);
            }
        }
        Ok(())
    }

    fn take(&mut self, event: Event) -> Result<(), Reason> {
        match event {
            Event::Object => self.object_ended(),
            Event::Alias => self.alias()?,
            Event::Note(Note::LoginFailed) => self.draft.field("refused", true),
            Event::Note(Note::SessionPresent) => self.draft.field("session_present", true),
            Event::Wrong(reason) => return Err(reason),
            Event::More | Event::Level | Event::Request | Event::Becomes(_) => {}
        }
        Ok(())
    }

    fn object_ended(&mut self) {
        let text = self.object.text();
        match self.machine.kind() {
            Kind::MqttConnect => self.draft.operation(Verb::Connect, text),
            Kind::MqttUser => self.draft.field("user", String::from_utf8_lossy(text)),
            Kind::MqttSubscribe => self.draft.operation(Verb::Subscribe, text),
            _ => {
                self.draft.operation(Verb::Publish, text);
                self.quality();
            }
        }
    }

    /// `QoS` and retain of the PUBLISH or Will at hand.
    fn quality(&mut self) {
        self.draft.field("qos", self.machine.qos());
        self.draft.field("retain", self.machine.retains());
    }

    /// A PUBLISH has an alias: its topic is the alias's from now on, or the alias stands for a topic of before.
    fn alias(&mut self) -> Result<(), Reason> {
        let alias = self.machine.alias();
        self.draft.field("alias", alias);
        if self.object.is_empty() {
            let topic = self.aliases.get(&alias).ok_or(Reason::AliasUnknown)?;
            self.draft.operation(Verb::Publish, topic.as_bytes());
            self.quality();
        } else {
            if self.aliases.len() == ALIASES && !self.aliases.contains_key(&alias) {
                return Err(Reason::Quota);
            }
            self.aliases.insert(alias, String::from_utf8_lossy(self.object.text()).into_owned());
        }
        Ok(())
    }

    fn finish(&mut self, said: &mut Vec<Message>) {
        let machine = &self.machine;
        let name = name(machine.packet());
        if machine.packet() == 1 {
            self.draft.field("version", machine.version());
        }
        self.draft.finish(name, said);
    }
}

/// Names of the packet types [2.1.2].
const fn name(packet: u8) -> &'static str {
    match packet {
        1 => "CONNECT",
        2 => "CONNACK",
        3 => "PUBLISH",
        4 => "PUBACK",
        5 => "PUBREC",
        6 => "PUBREL",
        7 => "PUBCOMP",
        8 => "SUBSCRIBE",
        9 => "SUBACK",
        10 => "UNSUBSCRIBE",
        11 => "UNSUBACK",
        12 => "PINGREQ",
        13 => "PINGRESP",
        14 => "DISCONNECT",
        15 => "AUTH",
        _ => "reserved",
    }
}
