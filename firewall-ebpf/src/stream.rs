//! Inspected streams: bytes in sequence, through the machine of their protocol, judged object by object.
//!
//! A segment passes only if it is the next one and every object in it passes; the state is committed only then, so a
//! dropped segment leaves no trace. Bytes that were not judged do not pass.

use core::ffi::c_void;

use aya_ebpf::bindings::{BPF_ANY, BPF_NOEXIST};
use aya_ebpf::helpers::generated::bpf_loop;
use aya_ebpf::macros::map;
use aya_ebpf::maps::{HashMap, LruHashMap};
use firewall_common::abi::{
    self, Alias, AliasKey, Edge, Flow, FlowKey, Kind, LEVEL_HASH, LEVEL_PLUS, PrincipalId, Protocol, RuleId,
    State, StepKey, StreamKey, capacity,
};
use firewall_common::precedence::Outcome;
use firewall_common::reason::{Reason, Verdict};
use firewall_common::wire::frame::tcp;
use firewall_common::wire::mqtt::Stream;
use firewall_common::wire::{Event, Sender};

use crate::bytes::{Skb, copy, opaque};
use crate::edge::{self, Use};
use crate::hook::{Answer, Stop};
use crate::scratch::{Scratch, WINDOW};
use crate::{atomic, flow, observe};

/// Written by the kernel.
#[map]
static STREAMS: HashMap<StreamKey, Stream> = HashMap::with_max_entries(capacity::STREAMS, 0);

/// Written by the daemon: new states first, then the start state in the edge, then the old ones go.
#[map]
static AUTOMATON: HashMap<StepKey, u32> = HashMap::with_max_entries(capacity::AUTOMATON, 0);

/// Written by the daemon, as `AUTOMATON`.
#[map]
static STATES: HashMap<u32, State> = HashMap::with_max_entries(capacity::STATES, 0);

/// Written by the kernel. A forgotten alias denies.
#[map]
static ALIASES: LruHashMap<AliasKey, Alias> = LruHashMap::with_max_entries(capacity::ALIASES, 0);

/// Rounds of the loop over one segment: 64 KiB of headers take half of them, the rest is for objects. What is left over
/// is too much work for one segment ([`Reason::WorkCap`]).
const ROUNDS: u32 = 8_192;
/// Largest topic alias that a client may use.
const ALIAS_MAX: u16 = 64;

/// Makes room for both directions of the connection in `scratch.flow`.
#[inline(never)]
pub fn open(scratch: &mut Scratch) -> Result<(), Reason> {
    let Some(usage) = observe::usage(scratch.flow.edge.src) else { return Err(Reason::Quota) };
    // SAFETY: an array entry is always mapped.
    if unsafe { (*usage).streams } >= abi::STREAMS_PER_SOURCE {
        return Err(Reason::Quota);
    }
    // SAFETY: as above.
    atomic::add(unsafe { &raw mut (*usage).streams }, 1);
    scratch.stream = Stream::NEW;
    let [low, high] = scratch.flow.next;
    let mut dir = 0;
    while dir < 2 {
        scratch.stream.belong_to(scratch.flow.id, if dir == 0 { low } else { high });
        scratch.stream_key = flow::stream_key(&scratch.flow_key, dir);
        if STREAMS.insert(&scratch.stream_key, &scratch.stream, BPF_NOEXIST as u64).is_err() {
            // The caller forgets the connection, which closes what was opened here.
            return Err(Reason::TableFull);
        }
        dir += 1;
    }
    Ok(())
}

/// Gives the room of both directions back.
#[inline(never)]
pub fn close(flow: &FlowKey, src: PrincipalId) {
    let _ = STREAMS.remove(flow::stream_key(flow, 0));
    let _ = STREAMS.remove(flow::stream_key(flow, 1));
    if let Some(usage) = observe::usage(src) {
        // SAFETY: an array entry is always mapped.
        atomic::add(unsafe { &raw mut (*usage).streams }, u64::MAX);
    }
}

/// Judges the segment at hand; `entry` is its connection.
#[inline(always)]
pub fn inspect(skb: &Skb, scratch: &mut Scratch, entry: *mut Flow) -> Result<(), Stop> {
    if scratch.frame.flags & (tcp::SYN | tcp::URG) != 0 {
        return Err(Stop { reason: Reason::Malformed, answer: Answer::ResetBoth });
    }
    if scratch.frame.seq_len() == 0 && !scratch.frame.has(tcp::RST) {
        // An acknowledgement carries nothing to judge.
        return Ok(());
    }
    scratch.stream_key = flow::stream_key(&scratch.flow_key, scratch.dir & 1);
    let Some(stream) = STREAMS.get_ptr_mut(&scratch.stream_key) else {
        return Err(Stop { reason: Reason::Midstream, answer: Answer::ResetBoth });
    };
    // SAFETY: the slot stays mapped while the program runs.
    let lock = unsafe { &raw mut (*stream).lock };
    if !atomic::try_lock(lock) {
        return Err(Reason::Busy.into());
    }
    let result = in_sequence(skb, scratch, stream);
    atomic::unlock(lock);
    settle(scratch, entry);
    result
}

/// What a connection turned out to be.
#[inline(always)]
fn settle(scratch: &Scratch, entry: *mut Flow) {
    // SAFETY: as above; one byte that only ever leaves `Detect`.
    unsafe {
        if (*entry).protocol == Flow::UNDECIDED {
            (*entry).protocol = scratch.flow.protocol;
        }
    }
}

/// Judges the segment under the direction's lock.
#[inline(always)]
fn in_sequence(skb: &Skb, scratch: &mut Scratch, stream: *mut Stream) -> Result<(), Stop> {
    // SAFETY: the lock is held, so the state is at rest, unless the slot has changed hands: then it has another owner.
    scratch.stream = unsafe { *stream };
    if !scratch.stream.belongs_to(scratch.flow.id) {
        return Err(Stop { reason: Reason::Midstream, answer: Answer::ResetBoth });
    }
    if scratch.frame.seq != scratch.stream.next {
        return Err(Reason::StreamOrder.into());
    }
    if scratch.frame.payload_len != 0 {
        scratch.at = scratch.frame.payload;
        scratch.end = scratch.frame.payload + scratch.frame.payload_len;
        scratch.stop = 0;
        // The pointer is handed over, not looked up again: so the compiler knows that the loop changes what is behind it.
        let mut walk = Walk { skb: skb.raw().cast(), scratch: &raw mut *scratch };
        // SAFETY: the callback has the signature that the helper calls.
        unsafe { bpf_loop(ROUNDS, round as *mut c_void, (&raw mut walk).cast(), 0) };
        if scratch.stop == 0 && scratch.at != scratch.end {
            scratch.stop = Reason::WorkCap as u8;
        }
        if scratch.stop != 0 && !tolerate(scratch) {
            let reason = Reason::from_code(scratch.stop).unwrap_or(Reason::Malformed);
            return Err(Stop { reason, answer: Answer::ResetBoth });
        }
    }
    scratch.stream.next = scratch.frame.seq.wrapping_add(scratch.frame.seq_len());
    scratch.stream.lock = 1;
    // SAFETY: the lock is held.
    unsafe { *stream = scratch.stream };
    Ok(())
}

/// A stream that turned out not to be MQTT goes on uninspected where no rule says that it is, or while nothing is
/// dropped.
#[inline(always)]
fn tolerate(scratch: &mut Scratch) -> bool {
    let undecided = scratch.flow.protocol == Flow::UNDECIDED && scratch.stop == Reason::ProtoChanged as u8;
    if undecided || scratch.audit != 0 {
        scratch.flow.protocol = Protocol::Opaque as u8;
        return true;
    }
    false
}

/// What a round of the loop needs; lives on the stack of the program.
struct Walk {
    skb: *const c_void,
    scratch: *mut Scratch,
}

/// Judges up to [`WINDOW`] bytes of the segment, or skips a payload.
#[inline(never)]
unsafe extern "C" fn round(_index: u32, walk: *mut c_void) -> i64 {
    // SAFETY: the helper passes what `in_sequence` gave it.
    let walk = unsafe { &*walk.cast::<Walk>() };
    // SAFETY: as above; the caller does not touch it during the loop.
    let scratch = unsafe { &mut *walk.scratch };
    let left = scratch.end.wrapping_sub(scratch.at);
    if left == 0 || left > 0x1_0000 {
        return 1;
    }
    let skipped = scratch.stream.skip(left);
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
    let mut i = 0;
    while i < u64::from(length) {
        // Hidden, so that LLVM keeps the check: the verifier of Linux 6.1 does not compare `i` with `length`.
        let at = opaque(i);
        if at >= WINDOW as u64 {
            break;
        }
        let byte = scratch.window[at as usize];
        i += 1;
        scratch.at += 1;
        let event = scratch.stream.step(byte, sender, &scratch.config.key.0);
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
        let kind = scratch.stream.reading();
        level(scratch, kind);
        scratch.stream.next_level();
        if !scratch.stream.ends_with_slash() {
            return 0;
        }
        event = scratch.stream.finish_text();
    }
    let result = match event {
        Event::Object => object(scratch),
        Event::Alias => alias(scratch),
        Event::Wrong(reason) => Err(reason),
        Event::More | Event::Level | Event::Request | Event::Becomes(_) | Event::Note(_) => Ok(()),
    };
    match result {
        Ok(()) => 0,
        Err(reason) => {
            scratch.stop = reason as u8;
            1
        }
    }
}

/// Takes the level that ended through the automaton.
#[inline(never)]
fn level(scratch: &mut Scratch, kind: Kind) {
    let first = scratch.stream.is_first_level();
    let state = if first { start(scratch, kind) } else { scratch.stream.automaton };
    let level = match scratch.stream.wildcard() {
        b'+' => LEVEL_PLUS,
        b'#' => LEVEL_HASH,
        _ => scratch.stream.level(),
    };
    scratch.stream.automaton = next_state(state, level, first && scratch.stream.is_dollar());
}

/// The start state for objects of this kind.
#[inline(always)]
fn start(scratch: &Scratch, kind: Kind) -> u32 {
    let mut key = scratch.flow.edge;
    key.kind = Kind::Transport as u8;
    let Some(edge) = edge::lookup(&key) else { return 0 };
    let Edge { publish, subscribe, connect, .. } = edge;
    match kind {
        Kind::MqttConnect => connect,
        Kind::MqttSubscribe => subscribe,
        _ => publish,
    }
}

#[inline(always)]
fn next_state(state: u32, level: u64, dollar: bool) -> u32 {
    if state == 0 {
        return 0;
    }
    // SAFETY: values are copied at once.
    if let Some(next) = unsafe { AUTOMATON.get(StepKey { level, state, _pad: 0 }) } {
        return *next;
    }
    // Wildcards at the root do not match topics that begin with `$` (MQTT 4.7.2).
    if dollar {
        return 0;
    }
    // SAFETY: as above.
    match unsafe { STATES.get(state) } {
        Some(state) => state.other,
        None => 0,
    }
}

/// Judges an object by the rule that its automaton ends in.
#[inline(always)]
fn object(scratch: &mut Scratch) -> Result<(), Reason> {
    let kind = scratch.stream.kind();
    level(scratch, kind);
    // SAFETY: the value is copied at once.
    let accept = match unsafe { STATES.get(scratch.stream.automaton) } {
        Some(state) => state.accept,
        None => RuleId(0),
    };
    scratch.stream.rule = accept.0;
    if kind == Kind::MqttConnect && scratch.flow.protocol == Flow::UNDECIDED {
        scratch.flow.protocol = Protocol::Mqtt as u8;
    }
    let hash = scratch.stream.object_hash();
    operation(scratch, kind, hash, accept)
}

/// Asks the model for an operation within the stream.
#[inline(never)]
fn operation(scratch: &mut Scratch, kind: Kind, object: u64, rule: RuleId) -> Result<(), Reason> {
    let (src, dst) = (scratch.flow.edge.src, scratch.flow.edge.dst);
    let state = edge::state(edge::rule(rule), Use::Take, scratch.now);
    match edge::decide(src, dst, state) {
        Outcome::Pass => Ok(()),
        Outcome::Learn => {
            observe::operation(scratch, kind, object, Verdict::Forwarded, Reason::Learned);
            Ok(())
        }
        Outcome::Stop(reason) => {
            let audit = scratch.audit != 0;
            let verdict = if audit { Verdict::Audit } else { Verdict::Reset };
            observe::operation(scratch, kind, object, verdict, reason);
            if audit { Ok(()) } else { Err(reason) }
        }
    }
}

/// A PUBLISH by alias is judged by the topic that the alias stands for; one with a topic renames the alias.
#[inline(always)]
fn alias(scratch: &mut Scratch) -> Result<(), Reason> {
    let alias = scratch.stream.alias();
    if alias > ALIAS_MAX {
        return Err(Reason::Quota);
    }
    let key = AliasKey { flow: scratch.flow.id, alias, dir: u16::from(scratch.dir & 1), _pad: 0 };
    if !scratch.stream.is_alias_only() {
        let rule = RuleId(scratch.stream.rule);
        let value = Alias { object: scratch.stream.object_hash(), rule, _pad: 0 };
        return match ALIASES.insert(key, value, BPF_ANY as u64) {
            Ok(()) => Ok(()),
            Err(_) => Err(Reason::TableFull),
        };
    }
    // SAFETY: the value is copied at once.
    let Some(known) = unsafe { ALIASES.get(key) }.copied() else {
        return Err(Reason::AliasUnknown);
    };
    operation(scratch, Kind::MqttPublish, known.object, known.rule)
}
