//! HTTP: requests, each judged before its head ends.

use firewall_common::abi::Protocol;
use firewall_common::reason::Reason;
use firewall_common::wire::{Event, Sender};

use super::machine::Machine;
use super::{judge, request, shown};
use crate::scratch::Scratch;

/// Both directions of HTTP.
pub struct Http;

impl Machine for Http {
    #[inline(always)]
    fn skip(scratch: &mut Scratch, available: u32) -> u32 {
        let http = scratch.said.machine.http_mut();
        // The client has asked, or the server has agreed.
        if scratch.upgrade != 0 {
            if scratch.client != 0 { http.upgrade() } else { http.expect_upgrade() }
        }
        http.skip(available)
    }

    #[inline(always)]
    fn step(scratch: &mut Scratch, byte: u8, sender: Sender) -> Event {
        let said = &mut scratch.said;
        said.machine.http_mut().step(&mut said.object, byte, sender, &scratch.config.key.0)
    }

    #[inline(always)]
    fn event(scratch: &mut Scratch, event: Event) -> Result<(), Reason> {
        match event {
            Event::Request => {
                judge::certain(scratch, Protocol::Http)?;
                let said = &scratch.said;
                said.machine.http().levels(&said.object, &mut scratch.levels, &scratch.config.key.0);
                let kind = said.machine.http().kind();
                shown::host(scratch)?;
                request::judge(scratch, kind)
            }
            Event::Becomes(protocol) if scratch.client != 0 => {
                // What follows is passed over by the same machine, in the same order.
                judge::recognise(scratch, protocol as u8)?;
                scratch.flow.protocol = Protocol::Http as u8;
                Ok(())
            }
            Event::Note(note) => judge::note(scratch, note),
            Event::Wrong(reason) => Err(reason),
            Event::More | Event::Level | Event::Object | Event::Alias | Event::Becomes(_) => Ok(()),
        }
    }
}
