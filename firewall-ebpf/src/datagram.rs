//! Datagrams of protocols that say something: each one is judged alone.

use firewall_common::abi::{Flow, Protocol};
use firewall_common::reason::Reason;
use firewall_common::wire::{Bytes, Event, Sender, coap};

use crate::bytes::Skb;
use crate::flow;
use crate::hook::{Answer, Next, Permit, Stop};
use crate::scratch::Scratch;
use crate::stream::machine::{self, Machine, round};
use crate::stream::{judge, request};

/// CoAP over UDP.
pub struct Coap;

impl Machine for Coap {
    #[inline(always)]
    fn skip(scratch: &mut Scratch, available: u32) -> u32 {
        scratch.coap.skip(available)
    }

    #[inline(always)]
    fn step(scratch: &mut Scratch, byte: u8, sender: Sender) -> Event {
        scratch.coap.step(&mut scratch.said.object, byte, sender, &scratch.config.key.0)
    }

    #[inline(always)]
    fn event(scratch: &mut Scratch, event: Event) -> Result<(), Reason> {
        match event {
            Event::Request => {
                scratch.coap.levels(&scratch.said.object, &mut scratch.levels, &scratch.config.key.0);
                let kind = scratch.coap.kind();
                request::judge(scratch, kind)
            }
            Event::Note(note) => judge::note(scratch, note),
            Event::Wrong(reason) => Err(reason),
            Event::More | Event::Level | Event::Object | Event::Alias | Event::Becomes(_) => Ok(()),
        }
    }
}

/// Judges the datagram at hand by what it says.
#[inline(always)]
pub fn judge(skb: &Skb, scratch: &mut Scratch) -> Result<Next, Stop> {
    let undecided = scratch.flow.protocol == Flow::UNDECIDED;
    let result = match read(skb, scratch) {
        Err(Reason::ProtoChanged) if undecided => judge::recognise(scratch, Protocol::Opaque as u8),
        other => other,
    };
    match result {
        Err(reason) if scratch.audit == 0 => {
            // Whoever answers is not told: nothing of its own was refused.
            let answer = if scratch.client != 0 { Answer::Refuse } else { Answer::Silent };
            Err(Stop { reason, answer })
        }
        Ok(()) | Err(_) => {
            if undecided {
                flow::decided(scratch);
            }
            Ok(Next::Pass(Permit::Judged))
        }
    }
}

#[inline(always)]
fn read(skb: &Skb, scratch: &mut Scratch) -> Result<(), Reason> {
    // Not the end of the packet: a receiver reads no further than the datagram says (RFC 768).
    let Some(length) = skb.load::<2>(scratch.frame.transport + 4) else { return Err(Reason::Malformed) };
    scratch.coap = coap::Coap::NEW;
    scratch.said.object.clear();
    scratch.client = (scratch.dir == scratch.flow.initiator) as u8;
    scratch.at = scratch.frame.payload;
    scratch.end = scratch.frame.transport.wrapping_add(u32::from(u16::from_be_bytes(length)));
    machine::run(skb, scratch, round::<Coap>);
    if scratch.stop != 0 {
        return Err(Reason::from_code(scratch.stop).unwrap_or(Reason::Malformed));
    }
    if scratch.at != scratch.end {
        return Err(Reason::WorkCap);
    }
    let event = scratch.coap.finish(&mut scratch.said.object, &scratch.config.key.0);
    if !matches!(event, Event::Wrong(_)) && scratch.flow.protocol == Flow::UNDECIDED {
        judge::recognise(scratch, Protocol::Coap as u8)?;
    }
    Coap::event(scratch, event)
}
