//! MQTT: from bytes to objects.

use core::ffi::c_void;

use firewall_common::abi::Kind;
use firewall_common::reason::Reason;
use firewall_common::wire::{Event, Sender};

use super::{Walk, judge};
use crate::bytes::{copy, opaque};
use crate::scratch::{Scratch, WINDOW};

/// Judges up to [`WINDOW`] bytes of the segment, or skips a payload.
#[inline(never)]
pub unsafe extern "C" fn round(_index: u32, walk: *mut c_void) -> i64 {
    // SAFETY: the helper passes what `through` gave it.
    let walk = unsafe { &*walk.cast::<Walk>() };
    // SAFETY: as above; the caller does not touch it during the loop.
    let scratch = unsafe { &mut *walk.scratch };
    let left = scratch.end.wrapping_sub(scratch.at);
    if left == 0 || left > 0x1_0000 {
        return 1;
    }
    let skipped = scratch.said.mqtt.skip(left);
    if skipped != 0 {
        scratch.at += skipped;
        return 0;
    }
    let length = if left < WINDOW as u32 { left } else { WINDOW as u32 };
    if !copy(walk.skb, scratch.at, &mut scratch.window, length) {
        scratch.stop = Reason::Malformed as u8;
        return 1;
    }
    let sender = if scratch.client != 0 { Sender::Client } else { Sender::Server };
    if scratch.client == 0 && scratch.said.mqtt.version() == 0 {
        scratch.said.mqtt.adopt(scratch.version);
    }
    let mut i = 0;
    while i < u64::from(length) {
        // Hidden, so that LLVM keeps the check: the verifier of Linux 6.1 does not compare `i` with `length`.
        let at = opaque(i);
        if at >= WINDOW as u64 {
            break;
        }
        let byte = scratch.window[at as usize];
        i += 1;
        let before = scratch.said.object.len();
        let event = scratch.said.mqtt.step(&mut scratch.said.object, byte, sender, &scratch.config.key.0);
        if before == 0 && scratch.said.object.len() == 1 {
            scratch.said.first = byte;
            scratch.said.topic =
                scratch.frame.seq.wrapping_add(scratch.at.wrapping_sub(scratch.frame.payload));
        }
        scratch.at += 1;
        if event != Event::More {
            // The rest of the window is loaded again: it may be payload now.
            return event_of(scratch, event);
        }
    }
    0
}

/// Handles an event; 1 ends the loop.
#[inline(never)]
fn event_of(scratch: &mut Scratch, event: Event) -> i64 {
    let mut event = event;
    if event == Event::Level {
        let kind = side(scratch, scratch.said.mqtt.reading());
        judge::level(scratch, kind);
        scratch.said.mqtt.next_level(&mut scratch.said.object);
        if !scratch.said.mqtt.ends_with_slash() {
            return 0;
        }
        event = scratch.said.mqtt.finish_text();
    }
    let result = match event {
        Event::Object => {
            let kind = side(scratch, scratch.said.mqtt.kind());
            judge::object(scratch, kind)
        }
        Event::Alias => {
            let kind = side(scratch, Kind::MqttPublish);
            judge::alias(scratch, kind)
        }
        Event::Note(note) => judge::note(scratch, note),
        Event::Wrong(reason) => Err(reason),
        Event::More | Event::Level | Event::Request | Event::Becomes(_) => Ok(()),
    };
    match result {
        Ok(()) => 0,
        Err(reason) => {
            scratch.stop = reason as u8;
            1
        }
    }
}

/// What the broker publishes to a client is what the client must have the right to subscribe to.
#[inline(always)]
fn side(scratch: &Scratch, kind: Kind) -> Kind {
    if scratch.client == 0 { Kind::MqttSubscribe } else { kind }
}
