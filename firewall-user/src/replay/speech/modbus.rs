//! Modbus/TCP.

use firewall_common::{
    abi::{Kind, Protocol},
    reason::Reason,
    wire::{Event, Sender, modbus, object::Object},
};
use graph::operation::Verb;

use super::{Draft, key};
use crate::replay::record::Message;

/// A connection that speaks Modbus.
#[derive(Debug)]
pub(in crate::replay) struct Modbus {
    client: Direction,
    server: Direction,
}

#[derive(Debug)]
struct Direction {
    machine: modbus::Modbus,
    object: Object,
    draft: Draft,
}

impl Default for Modbus {
    fn default() -> Self {
        let direction = || Direction {
            machine: modbus::Modbus::NEW,
            object: Object::EMPTY,
            draft: Draft::new(Protocol::Modbus),
        };
        Self { client: direction(), server: direction() }
    }
}

impl Modbus {
    pub(super) const fn is_certain(&self) -> bool {
        self.client.machine.is_recognised() || self.server.machine.is_recognised()
    }

    pub(super) fn hear(
        &mut self,
        sender: Sender,
        bytes: &[u8],
        said: &mut Vec<Message>,
    ) -> Result<(), Reason> {
        let (Direction { machine, object, draft }, name) = match sender {
            Sender::Client => (&mut self.client, "request"),
            Sender::Server => (&mut self.server, "response"),
        };
        let key = key();
        let mut rest = bytes;
        while let Some((byte, behind)) = rest.split_first() {
            let skipped = machine.skip(rest.len() as u32) as usize;
            if skipped > 0 {
                rest = rest.get(skipped..).unwrap_or_default();
            } else {
                rest = behind;
                match machine.step(object, *byte, sender, &key) {
                    Event::Request => {
                        let writes = machine.kind() == Kind::ModbusWrite;
                        draft.operation(if writes { Verb::Write } else { Verb::Read }, object.text());
                    }
                    Event::Wrong(reason) => return Err(reason),
                    Event::More
                    | Event::Level
                    | Event::Object
                    | Event::Alias
                    | Event::Becomes(_)
                    | Event::Note(_) => {}
                }
            }
            if machine.at_boundary() {
                draft.finish(name, said);
            }
        }
        Ok(())
    }

    pub(super) fn unfinished(&mut self, said: &mut Vec<Message>) {
        self.client.draft.abandon("request", said);
    }
}
