//! Room for what does not fit on the 512 bytes of a program's stack, one per hook and CPU.
//!
//! A hook is never entered twice at a time on one CPU: TC and XDP run with bottom halves off, and our own answers, which
//! run the other hook nested, are passed before they touch it.

use aya_ebpf::macros::map;
use aya_ebpf::maps::PerCpuArray;
use firewall_common::abi::{
    Bell, Config, Expected, Flow, FlowKey, KnownName, Limit, Observed, ObservedKey, PrincipalId, Resolved,
    RuleId, counter,
};
use firewall_common::wire::coap::Coap;
use firewall_common::wire::dns::Dns;
use firewall_common::wire::dns::reply::Reply;
use firewall_common::wire::frame::Frame;
use firewall_common::wire::object::Levels;
use firewall_common::wire::rtsp::Rtsp;
use firewall_common::wire::stream::{PATCHES, Said, Streams};
use firewall_common::wire::tftp::Request;

use crate::essential::names::Domains;
use crate::stream::machine::Window;
use crate::stream::pieces::Pieces;

/// Written and read by the kernel programs only.
#[map]
static SCRATCH: PerCpuArray<Scratch> = PerCpuArray::with_max_entries(counter::HOOKS, 0);

/// Bytes of a question that are loaded at once.
pub const WINDOW: usize = 16;

/// All that is known of the frame at hand.
#[repr(C)]
pub struct Scratch {
    /// What was said in the direction at hand, while its segment is judged.
    pub said: Said,
    pub pieces: Pieces,
    /// A new connection, on its way into its table.
    pub streams: Streams,
    /// The datagram at hand.
    pub coap: Coap,
    /// Levels of the request at hand.
    pub levels: Levels,
    pub observed: Observed,
    pub bell: Bell,
    pub frame: Frame,
    /// [`Reason`](firewall_common::reason::Reason) why the frame cannot be read, as a number, or 0.
    pub unreadable: u8,
    /// The question at hand, and how many bytes of its answer repeat it: see `essential::answered`.
    pub dns: Dns,
    /// The domains of its name.
    pub domains: Domains,
    pub counted: u32,
    /// The answer at hand, the name that it was asked for, and the binding that is made of it.
    pub reply: Reply,
    pub asked: KnownName,
    pub resolved: Resolved,
    /// 1: the question at hand is answered by us.
    pub refused: u8,
    /// What the name that a stream shows says: see `stream::shown`.
    pub shown: u8,
    pub config: Config,
    pub flow: Flow,
    pub flow_key: FlowKey,
    pub observed_key: ObservedKey,
    /// What the frame at hand follows from, or what follows from it.
    pub expected: Expected,
    /// The connection that has named the ports of a medium.
    pub control: FlowKey,
    /// What that connection says, and whether the datagram at hand asks for a file.
    pub rtsp: Rtsp,
    pub tftp: Request,
    /// How the frame at hand follows from another one: see [`related`](crate::related).
    pub follows: u8,
    /// Bytes of the question at hand.
    pub question: [u8; WINDOW],
    /// Bytes of the stream at hand.
    pub window: Window,
    /// Boot-time nanoseconds; 0: nobody has asked yet, see [`edge::tell_time`](crate::edge::tell_time).
    pub now: u64,
    /// [`pass::generation`](crate::pass::generation) before anything was asked for.
    pub generation: u32,
    pub hook: u32,
    pub ifindex: u32,
    /// Link of the port, for addresses that only have a meaning there.
    pub link: u32,
    /// Sender and receiver of this frame, which may be either end of the flow.
    pub src: PrincipalId,
    pub dst: PrincipalId,
    /// When the rule of the edge that was asked for ends, in boot-time nanoseconds; 0 is never.
    pub deadline: u64,
    /// Of that edge.
    pub limit: Limit,
    /// 1: the frame at hand belongs to a stream that is inspected.
    pub inspected: u8,
    /// Messages that the segment at hand has brought so far.
    pub messages: u32,
    /// Next byte of the stream to judge, and the end of the segment.
    pub at: u32,
    pub end: u32,
    /// Offset of the first byte of the segment that was not judged before, and of the payload that it ends in.
    pub fresh: u32,
    pub tail: u32,
    /// Bytes of that payload that are still to come.
    pub ahead: u32,
    /// Positions of topics that are changed if the segment passes, and how many there are.
    pub patches: [u32; PATCHES],
    pub patched: u8,
    /// 1: a byte of this frame was changed.
    pub neutralised: u8,
    /// Whether the PUBLISH at hand comes by alias: see `stream::judge`.
    pub by_alias: u8,
    /// [`Kind`](firewall_common::abi::Kind) of the object at hand, as a number.
    pub kind: Hidden,
    /// 1: the last level was named by a step of its automaton.
    pub literal: u8,
    /// Then: the rule that decides if the object ends with it.
    pub accept: RuleId,
    /// Of the other direction: MQTT's protocol level, whether the client id was its client's before, and the rule that
    /// let it pass.
    pub version: u8,
    pub known: u8,
    pub asker: u32,
    /// 1: the other direction of HTTP has asked for an upgrade, or agreed to it.
    pub upgrade: u8,
    /// 1: there is room to remember that the segment ends in a payload.
    pub roomy: u8,
    /// Reason of the first object that does not pass, or 0.
    pub stop: u8,
    /// [`Answer`](crate::hook::Answer) that a stopped frame gets, as a number.
    pub tell: u8,
    /// 1: nothing is dropped now.
    pub audit: u8,
    /// 1: the frame at hand has rung for something that is stopped.
    pub news: u8,
    /// 0: the frame comes from the low end of its flow; 1: from the high end.
    pub dir: u8,
    /// 1: the sender is the one who opened the stream.
    pub client: u8,
    /// Mark that the frame came with.
    pub mark: u32,
}

/// A number that the verifier of Linux 6.1 does not follow.
///
/// Where a value is a constant on one way to a call and unknown on another, it may take the second way for walked, and
/// remove the branches behind the call that only that one takes.
#[repr(transparent)]
pub struct Hidden(u8);

impl Hidden {
    #[inline(always)]
    pub fn set(&mut self, value: u8) {
        // SAFETY: a reference is valid for writes.
        unsafe { (&raw mut self.0).write_volatile(value) };
    }

    #[inline(always)]
    pub fn get(&self) -> u8 {
        // SAFETY: a reference is valid for reads.
        unsafe { (&raw const self.0).read_volatile() }
    }
}

/// The scratch of this hook on this CPU.
#[inline(always)]
pub fn of(hook: u32) -> Option<&'static mut Scratch> {
    // SAFETY: nobody else uses this hook's entry on this CPU while the program runs, see above.
    SCRATCH.get_ptr_mut(hook).map(|scratch| unsafe { &mut *scratch })
}
