//! What is said in a stream, object by object: by the rule that its automaton ends in.

use core::ffi::c_void;

use aya_ebpf::bindings::BPF_ANY;
use aya_ebpf::helpers::generated::bpf_loop;
use aya_ebpf::macros::map;
use aya_ebpf::maps::{HashMap, LruHashMap};
use firewall_common::abi::{
    Action, Alias, AliasKey, Edge, Flow, Kind, LEVEL_HASH, LEVEL_PLUS, LEVEL_USER, OBJECT_CAP, Protocol,
    Rule, RuleId, State, Step, StepKey, capacity,
};
use firewall_common::hash::Hasher;
use firewall_common::precedence::Outcome;
use firewall_common::reason::{Reason, Verdict};
use firewall_common::wire::Note;
use firewall_common::wire::stream::Starts;

use super::{neutral, shown};
use crate::edge::{self, Use};
use crate::observe;
use crate::scratch::Scratch;

/// Written by the daemon: new states first, then the start state in the edge, then the old ones go.
#[map]
static AUTOMATON: HashMap<StepKey, Step> = HashMap::with_max_entries(capacity::AUTOMATON, 0);

/// Written by the daemon, as `AUTOMATON`.
#[map]
static STATES: HashMap<u32, State> = HashMap::with_max_entries(capacity::STATES, 0);

/// Written by the kernel. A forgotten alias denies.
#[map]
static ALIASES: LruHashMap<AliasKey, Alias> = LruHashMap::with_max_entries(capacity::ALIASES, 0);

/// Largest topic alias that either end may use.
const ALIAS_MAX: u16 = 64;

/// The edge of the connection at hand.
#[inline(always)]
fn transport(scratch: &Scratch) -> Option<Edge> {
    let mut key = scratch.flow.edge;
    key.kind = Kind::Transport as u8;
    edge::lookup(&key)
}

/// What the connections of the edge at hand may speak; 0 if nothing is known.
#[inline(always)]
pub fn speaks(scratch: &Scratch) -> u16 {
    transport(scratch).map_or(0, |edge| edge.speaks)
}

/// The connection speaks this: it must be what its edge speaks, and becomes that if nothing was known.
#[inline(never)]
pub fn recognise(scratch: &mut Scratch, protocol: u8) -> Result<(), Reason> {
    let speaks = speaks(scratch);
    let bit = 1_u16 << (protocol & 15);
    scratch.flow.protocol = protocol;
    if speaks & bit != 0 {
        return Ok(());
    }
    if speaks == 0 {
        observe::speaks(scratch, protocol, Verdict::Forwarded, Reason::Learned);
        return Ok(());
    }
    changed(scratch, protocol)
}

/// Whether the edge of the connection at hand does not exclude that it speaks this.
#[inline(always)]
pub fn may_be(scratch: &Scratch, protocol: u8) -> bool {
    let speaks = speaks(scratch);
    speaks == 0 || speaks & 1 << (protocol & 15) != 0
}

/// The connection speaks this, which is not what it is for.
#[inline(always)]
pub fn changed(scratch: &mut Scratch, protocol: u8) -> Result<(), Reason> {
    let audit = scratch.audit != 0;
    let verdict = if audit { Verdict::Audit } else { Verdict::Reset };
    observe::speaks(scratch, protocol, verdict, Reason::ProtoChanged);
    if audit { Ok(()) } else { Err(Reason::ProtoChanged) }
}

/// Settles what the connection speaks, if that was open.
#[inline(always)]
pub fn certain(scratch: &mut Scratch, protocol: Protocol) -> Result<(), Reason> {
    if scratch.flow.protocol == Flow::UNDECIDED { recognise(scratch, protocol as u8) } else { Ok(()) }
}

/// Takes the level that ended through the automaton.
#[inline(never)]
pub fn level(scratch: &mut Scratch, kind: Kind) {
    let first = scratch.said.object.levels() == 0;
    let state = if first { start_of_stream(scratch, kind) } else { scratch.said.automaton };
    let wildcard = if kind == Kind::MqttSubscribe { scratch.said.mqtt.wildcard() } else { 0 };
    let level = match wildcard {
        b'+' => LEVEL_PLUS,
        b'#' => LEVEL_HASH,
        _ => scratch.said.object.level(),
    };
    // Wildcards at the root do not match topics that begin with `$` (MQTT 4.7.2).
    let dollar = first && scratch.said.object.first() == b'$';
    scratch.said.automaton = next_state(scratch, state, level, dollar);
}

/// The start state for objects of this kind, on the edge of the connection at hand.
#[inline(always)]
pub fn start(scratch: &Scratch, kind: Kind) -> u32 {
    let Some(edge) = transport(scratch) else { return 0 };
    start_among(&starts(scratch, &edge), kind)
}

/// As [`start`], where the stream at hand remembers what was found for the object before.
#[inline(always)]
fn start_of_stream(scratch: &mut Scratch, kind: Kind) -> u32 {
    if scratch.said.starts.generation != scratch.generation {
        let Some(edge) = transport(scratch) else { return 0 };
        scratch.said.starts = starts(scratch, &edge);
    }
    start_among(&scratch.said.starts, kind)
}

/// What is found now. The generation was read before, so what changes meanwhile is looked up again.
#[inline(always)]
fn starts(scratch: &Scratch, edge: &Edge) -> Starts {
    let Edge { publish, subscribe, connect, .. } = *edge;
    Starts { generation: scratch.generation, publish, subscribe, connect }
}

#[inline(always)]
fn start_among(starts: &Starts, kind: Kind) -> u32 {
    match kind {
        Kind::MqttUser => user(starts.connect),
        Kind::MqttConnect | Kind::TlsName => starts.connect,
        Kind::MqttSubscribe => starts.subscribe,
        _ => starts.publish,
    }
}

/// The start state for user names.
#[inline(always)]
fn user(connect: u32) -> u32 {
    // SAFETY: the value is copied at once.
    match unsafe { AUTOMATON.get(StepKey { level: LEVEL_USER, state: connect, _pad: 0 }) } {
        Some(step) => step.next,
        None => 0,
    }
}

#[inline(always)]
pub fn next_state(scratch: &mut Scratch, state: u32, level: u64, dollar: bool) -> u32 {
    scratch.literal = 0;
    if state == 0 {
        return 0;
    }
    // SAFETY: values are copied at once.
    if let Some(step) = unsafe { AUTOMATON.get(StepKey { level, state, _pad: 0 }) } {
        scratch.literal = 1;
        scratch.accept = step.accept;
        return step.next;
    }
    if dollar {
        return 0;
    }
    // SAFETY: as above.
    match unsafe { STATES.get(state) } {
        Some(state) => state.other,
        None => 0,
    }
}

/// The rule that decides if the levels end in this state.
#[inline(always)]
pub fn accept(state: u32) -> RuleId {
    // SAFETY: the value is copied at once.
    match unsafe { STATES.get(state) } {
        Some(state) => state.accept,
        None => RuleId(0),
    }
}

/// Judges an object whose last level is at hand.
#[inline(always)]
pub fn object(scratch: &mut Scratch, kind: Kind) -> Result<(), Reason> {
    scratch.kind.set(kind as u8);
    level(scratch, kind);
    let accept = if scratch.literal != 0 { scratch.accept } else { accept(scratch.said.automaton) };
    scratch.said.rule = accept.0;
    if scratch.kind.get() == Kind::MqttConnect as u8 {
        certain(scratch, Protocol::Mqtt)?;
        scratch.said.known = scratch.literal;
        scratch.said.client = accept.0;
    }
    operation::<TEXT>(scratch, kind, 0, accept)
}

/// The object is the text at hand, and no hash is given. Few texts are told of, so they are hashed when they are.
const TEXT: bool = true;
/// The hash of the object is given. A choice for the compiler: the verifier would walk both ways in each program.
pub const HASHED: bool = false;

/// The hash of the text at hand.
#[inline(never)]
fn whole(scratch: &Scratch) -> u64 {
    let mut walk = Text { scratch, hasher: Hasher::ZERO };
    let (_, length) = scratch.said.object.buffer();
    // SAFETY: the callback has the signature that the helper calls.
    unsafe { bpf_loop(u32::from(length), feed as *mut c_void, (&raw mut walk).cast(), 0) };
    walk.hasher.finish()
}

struct Text {
    scratch: *const Scratch,
    hasher: Hasher,
}

/// Feeds one byte of the text.
#[inline(never)]
unsafe extern "C" fn feed(index: u32, text: *mut c_void) -> i64 {
    // SAFETY: the helper passes what `whole` gave it.
    let text = unsafe { &mut *text.cast::<Text>() };
    // SAFETY: as above.
    let scratch = unsafe { &*text.scratch };
    let (bytes, _) = scratch.said.object.buffer();
    text.hasher = text.hasher.push(bytes[index as usize % OBJECT_CAP], &scratch.config.key.0);
    0
}

/// Asks the model for an operation within the stream.
#[inline(never)]
pub fn operation<const IS_TEXT: bool>(
    scratch: &mut Scratch,
    kind: Kind,
    object: u64,
    id: RuleId,
) -> Result<(), Reason> {
    let (src, dst) = (scratch.flow.edge.src, scratch.flow.edge.dst);
    let rule = rule_at(scratch, id);
    let state = edge::state(rule, Use::Take, scratch.now);
    scratch.said.neutralised = 0;
    let reason = match edge::decide(src, dst, state) {
        Outcome::Pass if kind != Kind::MqttPublish || within(scratch, rule) => return Ok(()),
        Outcome::Pass => Reason::EdgeDenied,
        Outcome::Learn | Outcome::Stop(Reason::EdgeUnknown) if shown::is_own(scratch, kind) => return Ok(()),
        Outcome::Learn => {
            if kind == Kind::MqttConnect {
                scratch.said.known = 0;
            }
            let reason = shown::reason(scratch, kind, Reason::Learned);
            let object = named::<IS_TEXT>(scratch, object);
            observe::operation(scratch, kind, object, Verdict::Forwarded, reason);
            return Ok(());
        }
        Outcome::Stop(Reason::EdgeUnknown) => shown::reason(scratch, kind, Reason::EdgeUnknown),
        Outcome::Stop(reason) => reason,
    };
    let object = named::<IS_TEXT>(scratch, object);
    if scratch.audit != 0 {
        observe::operation(scratch, kind, object, Verdict::Audit, reason);
        return Ok(());
    }
    let wanted = matches!(rule, Some(rule) if rule.action == Action::Neutralise as u8);
    if wanted && kind == Kind::MqttPublish && neutralise(scratch) {
        observe::operation(scratch, kind, object, Verdict::Neutralised, reason);
        return Ok(());
    }
    observe::operation(scratch, kind, object, Verdict::Reset, reason);
    Err(reason)
}

/// The hash that an object is told of by.
#[inline(always)]
fn named<const IS_TEXT: bool>(scratch: &Scratch, object: u64) -> u64 {
    if IS_TEXT { whole(scratch) } else { object }
}

/// The rule of an object, with the time if it ends by itself.
#[inline(always)]
pub fn rule_at(scratch: &mut Scratch, id: RuleId) -> Option<Rule> {
    let rule = edge::rule(id);
    if matches!(rule, Some(rule) if rule.deadline != 0) {
        edge::tell_time(scratch);
    }
    rule
}

/// Whether a message keeps to what its rule allows it to ask for.
#[inline(always)]
fn within(scratch: &Scratch, rule: Option<Rule>) -> bool {
    let Some(rule) = rule else { return true };
    let mqtt = &scratch.said.mqtt;
    mqtt.qos() <= rule.limits & Rule::QOS && (!mqtt.retains() || rule.limits & Rule::NO_RETAIN == 0)
}

/// Lets a denied PUBLISH go on in a harmless form, where that is possible.
#[inline(always)]
fn neutralise(scratch: &mut Scratch) -> bool {
    let known = scratch.by_alias != 0;
    if !known && (scratch.said.mqtt.packet() != PUBLISH || !neutral::is_possible(scratch)) {
        return false;
    }
    if known && scratch.by_alias != HARMLESS_ALIAS {
        return false;
    }
    if !known {
        neutral::note(scratch);
    }
    scratch.said.neutralised = 1;
    true
}

/// Type of an MQTT packet.
const PUBLISH: u8 = 3;
/// In [`Scratch::by_alias`]: the receiver knows a harmless topic under the alias, or the real one.
const HARMLESS_ALIAS: u8 = 1;
const REAL_ALIAS: u8 = 2;

/// A PUBLISH by alias is judged by the topic that the alias stands for; one with a topic renames the alias.
#[inline(always)]
pub fn alias(scratch: &mut Scratch, kind: Kind) -> Result<(), Reason> {
    let alias = scratch.said.mqtt.alias();
    if alias > ALIAS_MAX {
        return Err(Reason::Quota);
    }
    let key = AliasKey { flow: scratch.flow.id, alias, dir: u16::from(scratch.dir & 1), _pad: 0 };
    if !scratch.said.object.is_empty() {
        let rule = RuleId(scratch.said.rule);
        let neutralised = u32::from(scratch.said.neutralised);
        let value = Alias { object: whole(scratch), rule, neutralised };
        return match ALIASES.insert(key, value, BPF_ANY as u64) {
            Ok(()) => Ok(()),
            Err(_) => Err(Reason::TableFull),
        };
    }
    // SAFETY: the value is copied at once.
    let Some(known) = unsafe { ALIASES.get(key) }.copied() else {
        return Err(Reason::AliasUnknown);
    };
    scratch.by_alias = if known.neutralised != 0 { HARMLESS_ALIAS } else { REAL_ALIAS };
    let result = operation::<HASHED>(scratch, kind, known.object, known.rule);
    scratch.by_alias = 0;
    result
}

/// What an answer of the server says about its client.
#[inline(always)]
pub fn note(scratch: &mut Scratch, note: Note) -> Result<(), Reason> {
    match note {
        Note::LoginFailed => {
            observe::login_failed(scratch);
            Ok(())
        }
        // Whoever takes over a client id gets the messages that wait for it (MQTT 3.1.2.4).
        Note::SessionPresent if scratch.known == 0 && scratch.audit == 0 => Err(Reason::SessionForeign),
        Note::SessionPresent => Ok(()),
    }
}
