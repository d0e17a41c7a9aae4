//! The flow of every hook, from top to bottom.

use core::arch::asm;

use aya_ebpf::bindings::{TC_ACT_SHOT, TC_ACT_UNSPEC, xdp_action};
use aya_ebpf::macros::map;
use aya_ebpf::maps::ProgramArray;
use aya_ebpf::programs::{TcContext, XdpContext};
use firewall_common::abi::{EdgeKey, Kind, PrincipalId, Role, counter, stage};
use firewall_common::precedence::Outcome;
use firewall_common::reason::{Reason, Verdict};
use firewall_common::wire::frame::{self, Frame};

use crate::bytes::{Headers, Skb, Xdp};
use crate::edge::{self, Use};
use crate::essential::{self, Answer as Essential};
use crate::scratch::{self, Scratch};
use crate::stream::machine::Round;
use crate::who::{self, Holder};
use crate::{answer, config, datagram, flow, observe, pass, related, stream, words};

/// Written by the daemon when it loads the programs.
#[map]
static STAGES: ProgramArray = ProgramArray::with_max_entries(2 * stage::STAGES, 0);

/// Why a frame goes no further, and what its sender is told.
#[derive(Clone, Copy)]
pub struct Stop {
    pub reason: Reason,
    pub answer: Answer,
}

/// What the ends of a stopped frame are told.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// Nothing.
    Silent,
    /// The sender: a TCP reset, or ICMP prohibited.
    Refuse,
    /// Both ends of the connection: a reset.
    ResetBoth,
}

impl From<Reason> for Stop {
    #[inline(always)]
    fn from(reason: Reason) -> Self {
        Self { reason, answer: Answer::Silent }
    }
}

/// What a frame that goes on has proven.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Permit {
    /// It was judged: it may be delivered.
    Judged,
    /// It is in order and from whom it says, and is judged where it is delivered.
    Gated,
    /// It is for the box: nftables decides.
    Local,
}

/// What follows for a frame that was not stopped.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Next {
    Pass(Permit),
    /// Its connection is asked for.
    Flow,
    /// Its stream is inspected.
    Segment,
    /// What is new in its stream is judged in this stage; the direction is locked until then.
    Said(u32),
}

/// The entry of a TC hook; `None` drops.
#[inline(always)]
pub fn classify(ctx: &TcContext, hook: u32) -> Option<i32> {
    observe::count(hook, counter::SEEN);
    let scratch = scratch::of(hook)?;
    config::read(&mut scratch.config)?;
    // SAFETY: the context is valid while the program runs.
    let (mark, ifindex) = unsafe { ((*ctx.skb.skb).mark, (*ctx.skb.skb).ifindex) };
    if hook != counter::HOOK_UPLINK && mark & scratch.config.mark_judged != 0 {
        observe::count(hook, counter::PASSED);
        return Some(TC_ACT_UNSPEC);
    }
    begin(scratch, hook, ifindex, ctx.len(), mark);
    scratch.unreadable = match parse(&Headers(ctx), &mut scratch.frame) {
        Ok(()) => 0,
        Err(reason) => reason as u8,
    };
    if hook == counter::HOOK_UPLINK {
        look_around(scratch);
        let result = from_uplink(scratch);
        return Some(conclude(ctx, scratch, hook, result));
    }
    if scratch.unreadable == 0 && !related::may_name_others(scratch) {
        if let Some(next) = flow::again(scratch) {
            return Some(conclude(ctx, scratch, hook, Ok(next)));
        }
    }
    Some(enter_stage::<{ stage::WHO }>(ctx, hook))
}

/// Who sends, who is meant, and what a link needs.
#[inline(always)]
pub fn who(ctx: &TcContext, hook: u32) -> Option<i32> {
    let scratch = scratch::of(hook)?;
    look_around(scratch);
    let ends = match hook {
        counter::HOOK_LAN_INGRESS => from_device(scratch),
        _ => to_device(scratch),
    };
    let result = match ends {
        Ok(()) => judge(&Skb(ctx), scratch),
        Err(stop) => Err(stop),
    };
    Some(conclude(ctx, scratch, hook, result))
}

/// Connections and edges.
#[inline(always)]
pub fn flow(ctx: &TcContext, hook: u32) -> Option<i32> {
    let scratch = scratch::of(hook)?;
    if related::is_expected(scratch) {
        return Some(enter_stage::<{ stage::RELATED }>(ctx, hook));
    }
    let result = flow::judge(scratch);
    if scratch.limit.meter != 0 && result.is_ok() {
        scratch.inspected = matches!(result, Ok(Next::Segment)) as u8;
        return Some(enter_stage::<{ stage::METER }>(ctx, hook));
    }
    if matches!(result, Ok(Next::Pass(_))) && essential::is_answer(scratch) {
        return Some(enter_stage::<{ stage::NAMES }>(ctx, hook));
    }
    if matches!(result, Ok(Next::Pass(_))) && related::may_bring_others(scratch) {
        return Some(enter_stage::<{ stage::RELATED }>(ctx, hook));
    }
    if matches!(result, Ok(Next::Pass(_))) && flow::says_something(scratch) {
        return Some(enter_stage::<{ stage::DATAGRAM }>(ctx, hook));
    }
    Some(conclude(ctx, scratch, hook, result))
}

/// What the frame at hand follows from, or what follows from it, which its edge lets pass.
#[inline(always)]
pub fn related(ctx: &TcContext, hook: u32) -> Option<i32> {
    let scratch = scratch::of(hook)?;
    if scratch.follows == 0 {
        related::note(&Skb(ctx), scratch);
        return Some(read(ctx, scratch, hook));
    }
    let result = related::judge(scratch);
    if result.is_err() {
        return Some(conclude(ctx, scratch, hook, result));
    }
    if scratch.limit.meter != 0 {
        scratch.inspected = 0;
        return Some(enter_stage::<{ stage::METER }>(ctx, hook));
    }
    Some(read(ctx, scratch, hook))
}

/// What the edge of the frame at hand carries, which is in the model.
#[inline(always)]
pub fn meter(ctx: &TcContext, hook: u32) -> Option<i32> {
    let scratch = scratch::of(hook)?;
    if !flow::measure(scratch) {
        return Some(conclude(ctx, scratch, hook, Err(Reason::RateExceeded.into())));
    }
    if scratch.inspected != 0 {
        return Some(enter_stage::<{ stage::SEGMENT }>(ctx, hook));
    }
    Some(allowed(ctx, scratch, hook))
}

/// What is left to do with a frame that its edge lets pass.
#[inline(always)]
fn allowed(ctx: &TcContext, scratch: &Scratch, hook: u32) -> i32 {
    if scratch.follows == 0 && related::may_bring_others(scratch) {
        return enter_stage::<{ stage::RELATED }>(ctx, hook);
    }
    read(ctx, scratch, hook)
}

/// What is left once it is known what follows from it.
#[inline(always)]
fn read(ctx: &TcContext, scratch: &Scratch, hook: u32) -> i32 {
    if flow::says_something(scratch) {
        return enter_stage::<{ stage::DATAGRAM }>(ctx, hook);
    }
    pass(ctx, scratch, hook, Permit::Judged)
}

/// The order of an inspected stream.
#[inline(always)]
pub fn segment(ctx: &TcContext, hook: u32) -> Option<i32> {
    let scratch = scratch::of(hook)?;
    scratch.neutralised = 0;
    let result = flow::segment(&Skb(ctx), scratch);
    Some(conclude(ctx, scratch, hook, result))
}

/// What is said in a stream.
#[inline(always)]
pub fn said(ctx: &TcContext, hook: u32, round: Round) -> Option<i32> {
    let scratch = scratch::of(hook)?;
    let result = flow::said(&Skb(ctx), scratch, round);
    Some(conclude(ctx, scratch, hook, result))
}

/// What a datagram speaks.
#[inline(always)]
pub fn datagram(ctx: &TcContext, hook: u32) -> Option<i32> {
    let scratch = scratch::of(hook)?;
    let result = datagram::judge(&Skb(ctx), scratch);
    Some(conclude(ctx, scratch, hook, result))
}

/// What is said in a datagram of CoAP.
#[inline(always)]
pub fn coap(ctx: &TcContext, hook: u32) -> Option<i32> {
    let scratch = scratch::of(hook)?;
    let result = datagram::coap(&Skb(ctx), scratch);
    Some(conclude(ctx, scratch, hook, result))
}

/// What a resolver answers.
#[inline(always)]
pub fn names(ctx: &TcContext, hook: u32) -> Option<i32> {
    let scratch = scratch::of(hook)?;
    let result = essential::told(&Skb(ctx), scratch).map(|()| Next::Pass(Permit::Judged));
    Some(conclude(ctx, scratch, hook, result.map_err(Stop::from)))
}

/// The first frame of something new, and then the answer to it.
#[inline(always)]
pub fn show(ctx: &TcContext, hook: u32) -> Option<i32> {
    let scratch = scratch::of(hook)?;
    observe::show(&Skb(ctx), scratch);
    if scratch.tell != Answer::Silent as u8 {
        tell(ctx, hook);
    }
    Some(TC_ACT_SHOT)
}

/// What the ends of a stopped frame are told.
#[inline(always)]
pub fn answer(ctx: &TcContext, hook: u32) -> Option<i32> {
    let scratch = scratch::of(hook)?;
    ctx.skb.set_mark(scratch.mark | scratch.config.mark_judged);
    if scratch.tell == Answer::ResetBoth as u8 {
        answer::reset_both(ctx, scratch)
    } else {
        answer::refuse(ctx, scratch)
    }
}

#[inline(always)]
fn begin(scratch: &mut Scratch, hook: u32, ifindex: u32, length: u32, mark: u32) {
    scratch.generation = pass::generation();
    scratch.hook = hook;
    scratch.ifindex = ifindex;
    scratch.end = length;
    scratch.mark = mark;
    scratch.neutralised = 0;
    scratch.audit = 0;
    scratch.news = 0;
}

/// What only a frame that is judged in full needs.
#[inline(always)]
fn look_around(scratch: &mut Scratch) {
    scratch.now = edge::now();
    scratch.link = scratch.ifindex;
    scratch.src = PrincipalId::UNKNOWN;
    scratch.dst = PrincipalId::UNKNOWN;
    scratch.audit = (scratch.config.monitor != 0 || scratch.now < scratch.config.pause_until) as u8;
}

/// The one place where a result becomes an action.
#[inline(always)]
fn conclude(ctx: &TcContext, scratch: &mut Scratch, hook: u32, result: Result<Next, Stop>) -> i32 {
    match result {
        Ok(Next::Pass(permit)) => pass(ctx, scratch, hook, permit),
        Ok(Next::Flow) => enter_stage::<{ stage::FLOW }>(ctx, hook),
        Ok(Next::Segment) => enter_stage::<{ stage::SEGMENT }>(ctx, hook),
        Ok(Next::Said(stage)) => {
            let missing = enter_machine(ctx, hook, stage);
            stream::abandon(scratch);
            missing
        }
        Err(_) if scratch.audit != 0 => {
            observe::count(hook, counter::AUDIT);
            let gate = hook == counter::HOOK_UPLINK;
            pass(ctx, scratch, hook, if gate { Permit::Gated } else { Permit::Judged })
        }
        Err(Stop { reason, answer }) => {
            if answer == Answer::ResetBoth {
                observe::count(hook, counter::RESET);
                observe::count(hook, counter::RESETS + reason as u32);
            } else {
                observe::count_dropped(hook, reason);
            }
            let is_silent = answer == Answer::Refuse && scratch.config.silent != 0;
            scratch.tell = if is_silent { Answer::Silent } else { answer } as u8;
            if scratch.news != 0 {
                show_first(ctx, hook);
            }
            if scratch.tell != Answer::Silent as u8 {
                tell(ctx, hook);
            }
            TC_ACT_SHOT
        }
    }
}

#[inline(always)]
fn pass(ctx: &TcContext, scratch: &Scratch, hook: u32, permit: Permit) -> i32 {
    let neutralised = permit == Permit::Judged && scratch.neutralised != 0;
    observe::count(hook, if neutralised { counter::NEUTRALISED } else { counter::PASSED });
    match permit {
        Permit::Judged => ctx.skb.set_mark(scratch.mark | scratch.config.mark_judged),
        Permit::Gated => ctx.skb.set_mark(scratch.mark | scratch.config.mark_gated),
        Permit::Local => {}
    }
    TC_ACT_UNSPEC
}

/// Goes on in the next program; comes back only if it is not loaded.
///
/// Where the verifier knows the slot, the kernel makes a jump of the call.
#[inline(always)]
fn enter_stage<const STAGE: u32>(ctx: &TcContext, hook: u32) -> i32 {
    // SAFETY: a tail call hands over the context and does not return.
    unsafe { STAGES.tail_call(ctx, hook * stage::STAGES + STAGE) };
    // SAFETY: the instruction sets a register that is not used. No other stage has the same one, so LLVM does not make one
    // call of several, whose slot nobody would know.
    unsafe { asm!("{0} = {1}", out(reg) _, const STAGE, options(nomem, nostack)) };
    observe::count_dropped(hook, Reason::StageMissing);
    TC_ACT_SHOT
}

/// As [`enter_stage`], for the stages that a stream or a datagram chooses from.
#[inline(always)]
fn enter_machine(ctx: &TcContext, hook: u32, stage: u32) -> i32 {
    match stage {
        stage::MQTT => enter_stage::<{ stage::MQTT }>(ctx, hook),
        stage::TLS => enter_stage::<{ stage::TLS }>(ctx, hook),
        stage::HTTP => enter_stage::<{ stage::HTTP }>(ctx, hook),
        stage::MODBUS => enter_stage::<{ stage::MODBUS }>(ctx, hook),
        _ => enter_stage::<{ stage::COAP }>(ctx, hook),
    }
}

/// Leaves the answer to its own program; without it the frame is dropped all the same, and is counted already.
#[inline(always)]
fn tell(ctx: &TcContext, hook: u32) {
    // SAFETY: as above.
    unsafe { STAGES.tail_call(ctx, hook * stage::STAGES + stage::ANSWER) };
}

/// As [`tell`], by way of the program that shows the frame.
#[inline(always)]
fn show_first(ctx: &TcContext, hook: u32) {
    // SAFETY: as above.
    unsafe { STAGES.tail_call(ctx, hook * stage::STAGES + stage::SHOW) };
}

/// The role of this port must be the hook's.
#[inline(always)]
fn enter(scratch: &mut Scratch, role: Role) -> Result<(), Stop> {
    match config::port(scratch.ifindex) {
        Some(port) if port.role == role as u8 => {
            scratch.link = port.link;
            Ok(())
        }
        _ => Err(Reason::PortUnknown.into()),
    }
}

/// On a stack frame of its own: the headers are gone once the fields are known.
#[inline(never)]
fn parse(headers: &Headers, fields: &mut Frame) -> Result<(), Reason> {
    words::clear(fields);
    frame::fill(headers, fields)
}

/// What [`parse`] said of the frame at hand.
#[inline(always)]
fn readable(scratch: &Scratch) -> Result<(), Reason> {
    match scratch.unreadable {
        0 => Ok(()),
        code => Err(Reason::from_code(code).unwrap_or(Reason::Malformed)),
    }
}

/// A frame that a device sent. On a stack frame of its own: what was asked for is in the scratch.
#[inline(never)]
fn from_device(scratch: &mut Scratch) -> Result<(), Stop> {
    enter(scratch, Role::Lan)?;
    readable(scratch)?;
    scratch.src = who::sender(scratch)?;
    if edge::paused(scratch.src, scratch.now) {
        scratch.audit = 1;
    }
    if scratch.frame.version == 0 {
        scratch.dst = who::addressee(scratch);
        return Ok(());
    }
    let (src, dst) = (scratch.frame.src, scratch.frame.dst);
    if src.is_everyone() {
        return Err(Reason::AddressInvalid.into());
    }
    if !src.is_unspecified() {
        who::claim(scratch, scratch.src, &src)?;
    }
    let holder = who::holder(&dst, scratch.link);
    scratch.dst = who::as_known_by(scratch, scratch.src, &dst, holder);
    Ok(())
}

/// A frame on its way to a device that no device port has judged: from the box or from the uplink.
#[inline(never)]
fn to_device(scratch: &mut Scratch) -> Result<(), Stop> {
    enter(scratch, Role::Lan)?;
    readable(scratch)?;
    if scratch.frame.version == 0 {
        scratch.dst = who::addressee(scratch);
        return Ok(());
    }
    let (src, dst) = (scratch.frame.src, scratch.frame.dst);
    scratch.dst = who::holder(&dst, scratch.link).principal();
    scratch.src = match who::holder(&src, scratch.link) {
        // Its own port has checked the sender and left the rest to us.
        Holder::Device(principal) if scratch.mark & scratch.config.mark_gated != 0 => principal,
        // Its own port would have judged and marked it.
        Holder::Device(_) => return Err(Reason::SpoofIp.into()),
        holder => who::as_known_by(scratch, scratch.dst, &src, holder),
    };
    Ok(())
}

/// What both directions have in common.
#[inline(always)]
fn judge(skb: &Skb, scratch: &mut Scratch) -> Result<Next, Stop> {
    if edge::paused(scratch.dst, scratch.now) {
        scratch.audit = 1;
    }
    if edge::quarantined(scratch.src, scratch.dst) {
        return Err(flow::end(scratch, Reason::Quarantine));
    }
    scratch.refused = 0;
    match essential::judge(skb, scratch) {
        Ok(Essential::Yes) => return Ok(Next::Pass(Permit::Judged)),
        Ok(Essential::Opens) => return flow::essential(scratch),
        Ok(Essential::No) => {}
        Err(reason) if scratch.refused != 0 => return Err(Stop { reason, answer: Answer::Refuse }),
        Err(reason) => return Err(reason.into()),
    }
    if scratch.hook == counter::HOOK_LAN_INGRESS && scratch.src == PrincipalId::UNKNOWN {
        return Err(Reason::PrincipalNew.into());
    }
    if scratch.frame.version == 0 {
        return link(scratch);
    }
    if scratch.frame.src.is_unspecified() || scratch.frame.dst.is_unspecified() {
        return Err(Reason::AddressInvalid.into());
    }
    if scratch.dst == PrincipalId::UNKNOWN && who::is_inside(&scratch.frame.dst) {
        // A device that has not spoken: the box asks for it (ARP, ND) before it delivers, and its answer names it.
        return if scratch.hook == counter::HOOK_LAN_INGRESS {
            Ok(Next::Pass(Permit::Gated))
        } else {
            Err(Reason::PrincipalNew.into())
        };
    }
    Ok(Next::Flow)
}

/// A frame that is not IP: an edge by its ethertype.
#[inline(never)]
fn link(scratch: &mut Scratch) -> Result<Next, Stop> {
    let key = EdgeKey {
        src: scratch.src,
        dst: scratch.dst,
        port: scratch.frame.ethertype,
        proto: 0,
        kind: Kind::Link as u8,
    };
    let rule = edge::lookup(&key).map(|edge| edge.rule);
    let state = edge::state(rule, Use::Take, scratch.now);
    match edge::decide(key.src, key.dst, edge::unless_banned(key.src, key.dst, state, scratch.now)) {
        Outcome::Pass => Ok(Next::Pass(Permit::Judged)),
        Outcome::Learn => {
            observe::edge(scratch, key, Verdict::Forwarded, Reason::Learned);
            Ok(Next::Pass(Permit::Judged))
        }
        Outcome::Stop(Reason::EdgeUnknown) => {
            observe::edge(scratch, key, stopped(scratch), Reason::Ethertype);
            Err(Reason::Ethertype.into())
        }
        Outcome::Stop(reason) => {
            observe::edge(scratch, key, stopped(scratch), reason);
            Err(reason.into())
        }
    }
}

/// The verdict on what the model does not allow.
#[inline(always)]
pub fn stopped(scratch: &Scratch) -> Verdict {
    if scratch.audit != 0 { Verdict::Audit } else { Verdict::Dropped }
}

/// A frame from beyond the uplink: in order, and not from an address of ours. Where it is delivered to a device it is
/// judged.
#[inline(always)]
fn from_uplink(scratch: &mut Scratch) -> Result<Next, Stop> {
    enter(scratch, Role::Uplink)?;
    readable(scratch)?;
    if scratch.frame.version == 0 {
        return Ok(Next::Pass(Permit::Local));
    }
    // Also an address that no device holds at the moment: a forged DHCP server would speak from one.
    match who::holder(&scratch.frame.src, scratch.link) {
        Holder::Device(_) => return Err(Reason::SpoofIp.into()),
        Holder::Unknown if who::is_inside(&scratch.frame.src) => return Err(Reason::SpoofIp.into()),
        Holder::Known(_) | Holder::Unknown => {}
    }
    match who::holder(&scratch.frame.dst, scratch.link) {
        Holder::Known(_) => Ok(Next::Pass(Permit::Local)),
        Holder::Device(_) | Holder::Unknown => Ok(Next::Pass(Permit::Gated)),
    }
}

/// Drops at XDP what no later step could allow; everything else is judged at TC.
#[inline(always)]
pub fn gate(ctx: &XdpContext) -> Option<u32> {
    observe::count(counter::HOOK_XDP, counter::SEEN);
    let scratch = scratch::of(counter::HOOK_XDP)?;
    config::read(&mut scratch.config)?;
    let length = (ctx.data_end() - ctx.data()) as u32;
    begin(scratch, counter::HOOK_XDP, ctx.ingress_ifindex() as u32, length, 0);
    look_around(scratch);
    match in_order(&Xdp(ctx), scratch) {
        Ok(()) => observe::count(counter::HOOK_XDP, counter::PASSED),
        Err(_) if scratch.audit != 0 => {
            observe::count(counter::HOOK_XDP, counter::AUDIT);
            observe::count(counter::HOOK_XDP, counter::PASSED);
        }
        Err(reason) => {
            observe::count_dropped(counter::HOOK_XDP, reason);
            return Some(xdp_action::XDP_DROP);
        }
    }
    Some(xdp_action::XDP_PASS)
}

#[inline(always)]
fn in_order(xdp: &Xdp, scratch: &mut Scratch) -> Result<(), Reason> {
    let port = config::port(scratch.ifindex).ok_or(Reason::PortUnknown)?;
    scratch.link = port.link;
    frame::parse(xdp, &mut scratch.frame)?;
    if port.role == Role::Uplink as u8 {
        return Ok(());
    }
    let principal = who::registered(scratch)?;
    if edge::paused(principal, scratch.now) {
        scratch.audit = 1;
    }
    Ok(())
}
