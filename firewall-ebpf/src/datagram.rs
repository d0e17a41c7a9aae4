//! Datagrams: what they speak, each one alone, and what those of CoAP ask for.
//!
//! A flow that speaks one thing is remembered, so that what is opaque costs nothing. Where an edge may speak CoAP and
//! something else, nothing is: any datagram may be the one that is judged.

use firewall_common::abi::{Flow, Protocol, stage};
use firewall_common::reason::Reason;
use firewall_common::wire::datagram::Datagram;
use firewall_common::wire::{Bytes, Event, Sender, coap};

use crate::bytes::Skb;
use crate::hook::{Answer, Next, Permit, Stop};
use crate::scratch::Scratch;
use crate::stream::machine::{self, Machine, round};
use crate::stream::{judge, request};
use crate::{flow, related};

/// Says what the datagram at hand speaks, which must be what its edge speaks. CoAP is for the next program.
#[inline(always)]
pub fn judge(skb: &Skb, scratch: &mut Scratch) -> Result<Next, Stop> {
    // Whoever answers a question to everyone speaks as a server does, although nobody has opened a flow.
    scratch.client = (scratch.dir == scratch.flow.initiator && !related::is_answer(scratch)) as u8;
    match speak(skb, scratch) {
        Err(reason) if scratch.audit == 0 => Err(refused(scratch, reason)),
        Ok(true) => Ok(Next::Said(stage::COAP)),
        Ok(false) | Err(_) => Ok(Next::Pass(Permit::Judged)),
    }
}

/// Recognises the datagram at hand; whether it is one of CoAP.
#[inline(always)]
fn speak(skb: &Skb, scratch: &mut Scratch) -> Result<bool, Reason> {
    // Not the end of the packet: a receiver reads no further than the datagram says (RFC 768).
    let Some(length) = skb.load::<2>(scratch.frame.transport + 4) else { return Err(Reason::Malformed) };
    scratch.at = scratch.frame.payload;
    scratch.end = scratch.frame.transport.wrapping_add(u32::from(u16::from_be_bytes(length)));
    let Some(length) = scratch.end.checked_sub(scratch.at) else { return Err(Reason::Malformed) };
    let sender = if scratch.client != 0 { Sender::Client } else { Sender::Server };
    let datagram = Datagram { at: scratch.at, length, port: scratch.flow.edge.port, sender };
    let known = scratch.flow.protocol;
    let speaks = judge::speaks(scratch);
    let open = known == Flow::UNDECIDED || known == Protocol::Coap as u8;
    if open && datagram.may_be_coap(skb, speaks) {
        // Put together from several: only the first one would be read.
        return if skb.gso_size() == 0 { Ok(true) } else { Err(Reason::Malformed) };
    }
    let expected = Protocol::from_code(known).unwrap_or(Protocol::Opaque);
    let protocol = if datagram.goes_on(skb, expected) { expected } else { datagram.recognise(skb) };
    if protocol as u8 != known {
        settle(scratch, protocol, speaks)?;
    }
    if datagram.ends_what_is_read(protocol) {
        remember(scratch, Protocol::Opaque, speaks);
    }
    Ok(false)
}

/// The flow at hand speaks this from now on, if its edge may.
#[inline(always)]
fn settle(scratch: &mut Scratch, protocol: Protocol, speaks: u16) -> Result<(), Reason> {
    if scratch.flow.protocol != Flow::UNDECIDED && speaks == 0 {
        // The edge is about to become what the flow began with.
        return judge::changed(scratch, protocol as u8);
    }
    judge::recognise(scratch, protocol as u8)?;
    if speaks == 0 || speaks & protocol.bit() != 0 {
        remember(scratch, protocol, speaks);
    }
    Ok(())
}

/// Spares the datagrams that follow the same question, unless one of them may be CoAP.
#[inline(always)]
fn remember(scratch: &mut Scratch, protocol: Protocol, speaks: u16) {
    const COAP: u16 = Protocol::Coap.bit();
    if speaks & COAP == 0 || speaks == COAP {
        scratch.flow.protocol = protocol as u8;
        flow::decided(scratch);
    }
}

/// Whoever answers is not told: nothing of its own was refused.
#[inline(always)]
fn refused(scratch: &Scratch, reason: Reason) -> Stop {
    let answer = if scratch.client != 0 { Answer::Refuse } else { Answer::Silent };
    Stop { reason, answer }
}

/// CoAP over UDP.
pub struct Coap;

impl Machine for Coap {
    /// The datagram ends where it ends.
    const AHEAD: u32 = 0;

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

/// Judges the datagram of CoAP at hand by what it says.
#[inline(always)]
pub fn coap(skb: &Skb, scratch: &mut Scratch) -> Result<Next, Stop> {
    let speaks = judge::speaks(scratch);
    let result = match read(skb, scratch) {
        // What is secured within (RFC 8613), where nothing says yet that it must not be.
        Err(Reason::ProtoChanged) if scratch.flow.protocol == Flow::UNDECIDED && speaks == 0 => {
            settle(scratch, Protocol::Opaque, speaks)
        }
        other => other,
    };
    match result {
        Err(reason) if scratch.audit == 0 => Err(refused(scratch, reason)),
        Ok(()) | Err(_) => Ok(Next::Pass(Permit::Judged)),
    }
}

#[inline(always)]
fn read(skb: &Skb, scratch: &mut Scratch) -> Result<(), Reason> {
    scratch.coap = coap::Coap::NEW;
    scratch.said.object.clear();
    machine::run(skb, scratch, round::<Coap>);
    if scratch.stop != 0 {
        return Err(Reason::from_code(scratch.stop).unwrap_or(Reason::Malformed));
    }
    if scratch.at != scratch.end {
        return Err(Reason::WorkCap);
    }
    let event = scratch.coap.finish(&mut scratch.said.object, &scratch.config.key.0);
    if !matches!(event, Event::Wrong(_)) && scratch.flow.protocol == Flow::UNDECIDED {
        let speaks = judge::speaks(scratch);
        settle(scratch, Protocol::Coap, speaks)?;
    }
    Coap::event(scratch, event)
}
