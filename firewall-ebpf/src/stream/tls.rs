//! TLS: the name that a client asks its server for.

use firewall_common::abi::{Kind, Protocol};
use firewall_common::reason::Reason;
use firewall_common::wire::{Event, Sender};

use super::machine::Machine;
use super::{judge, shown};
use crate::scratch::Scratch;

/// The `ClientHello`; what follows it is nobody's to read.
pub struct Tls;

impl Machine for Tls {
    #[inline(always)]
    fn skip(scratch: &mut Scratch, available: u32) -> u32 {
        scratch.said.machine.tls_mut().skip(available)
    }

    #[inline(always)]
    fn step(scratch: &mut Scratch, byte: u8, sender: Sender) -> Event {
        let said = &mut scratch.said;
        said.machine.tls_mut().step(&mut said.object, byte, sender, &scratch.config.key.0)
    }

    #[inline(always)]
    fn event(scratch: &mut Scratch, event: Event) -> Result<(), Reason> {
        match event {
            Event::Object => {
                let name = scratch.said.object.hash();
                shown::judge(scratch, name)?;
                judge::certain(scratch, Protocol::Tls)?;
                judge::object(scratch, Kind::TlsName)
            }
            Event::Wrong(reason) => Err(reason),
            Event::More
            | Event::Level
            | Event::Request
            | Event::Alias
            | Event::Becomes(_)
            | Event::Note(_) => Ok(()),
        }
    }
}
