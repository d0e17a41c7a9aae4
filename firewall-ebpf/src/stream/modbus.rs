//! Modbus: what is read and written, by unit, area and addresses.

use firewall_common::abi::Protocol;
use firewall_common::reason::Reason;
use firewall_common::wire::{Event, Sender};

use super::machine::Machine;
use super::{judge, request};
use crate::scratch::Scratch;

/// Both directions of Modbus/TCP.
pub struct Modbus;

impl Machine for Modbus {
    #[inline(always)]
    fn skip(scratch: &mut Scratch, available: u32) -> u32 {
        scratch.said.machine.modbus_mut().skip(available)
    }

    #[inline(always)]
    fn step(scratch: &mut Scratch, byte: u8, sender: Sender) -> Event {
        scratch.said.machine.modbus_mut().take(byte, sender)
    }

    #[inline(always)]
    fn event(scratch: &mut Scratch, event: Event) -> Result<(), Reason> {
        match event {
            Event::Request => {
                judge::certain(scratch, Protocol::Modbus)?;
                let said = &mut scratch.said;
                if !said.machine.modbus_mut().describe(&mut said.object, &scratch.config.key.0) {
                    return Err(Reason::ObjectCap);
                }
                let modbus = scratch.said.machine.modbus();
                modbus.levels(&mut scratch.levels, &scratch.config.key.0);
                let (kind, first, last) = (modbus.kind(), modbus.start(), modbus.end());
                request::row(scratch, kind, first, last)
            }
            Event::Wrong(reason) => Err(reason),
            Event::More
            | Event::Level
            | Event::Object
            | Event::Alias
            | Event::Becomes(_)
            | Event::Note(_) => Ok(()),
        }
    }
}
