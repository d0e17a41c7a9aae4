//! Essentials: what a link needs to work passes without an edge, in its own shape and within its own budget.

use aya_ebpf::bindings::{BPF_ANY, BPF_NOEXIST};
use aya_ebpf::macros::map;
use aya_ebpf::maps::{HashMap, LruHashMap};
use firewall_common::abi::{Addr, AddrKey, Budget, BudgetKey, Kind, PrincipalId, capacity, counter, server};
use firewall_common::hash::Hasher;
use firewall_common::reason::{Reason, Verdict};
use firewall_common::wire::essential::{
    self, ECHO_FREE, ECHO_NUMBERS, ECHO_PAYLOAD, Essential, TIME_EXCHANGE, Trickle,
};
use firewall_common::wire::frame::{ethertype, proto};
use firewall_common::wire::{Bytes, dhcp, ntp};

use crate::bytes::{Skb, copy};
use crate::scratch::Scratch;
use crate::{atomic, edge, flow, observe, who};

mod answers;
pub mod names;

pub use answers::{is_answer, judge as told};
pub use names::via;

/// Written by the kernel. Least recently used: a sender whose bucket is forgotten has been silent for long.
#[map]
static BUDGETS: LruHashMap<BudgetKey, Budget> = LruHashMap::with_max_entries(capacity::BUDGETS, 0);

/// Written by the daemon.
#[map]
static SERVERS: HashMap<AddrKey, u32> = HashMap::with_max_entries(capacity::SERVERS, 0);

const DHCP_SERVER: u16 = 67;
const DHCP_CLIENT: u16 = 68;
const DHCP6_CLIENT: u16 = 546;
const DHCP6_SERVER: u16 = 547;
const DNS: u16 = 53;
const NTP: u16 = 123;

/// Tries to take from a trickle while other CPUs take from it too.
const TRICKLE_TRIES: u32 = 4;

/// What became of a frame here.
pub enum Answer {
    /// It is none of the essentials.
    No,
    /// It passes.
    Yes,
    /// It passes and its replies belong to it.
    Opens,
}

/// Judges a frame at ingress or egress as an essential.
#[inline(never)]
pub fn judge(skb: &Skb, scratch: &mut Scratch) -> Result<Answer, Reason> {
    match scratch.frame.ethertype {
        ethertype::ARP => arp(skb, scratch),
        ethertype::EAPOL => spend(scratch, Essential::Eapol),
        ethertype::IPV4 | ethertype::IPV6 => ip(skb, scratch),
        _ => Ok(Answer::No),
    }
}

#[inline(always)]
fn ip(skb: &Skb, scratch: &mut Scratch) -> Result<Answer, Reason> {
    match scratch.frame.proto {
        proto::UDP => udp(skb, scratch),
        proto::ICMP => icmp(skb, scratch),
        proto::ICMP6 => icmp6(skb, scratch),
        proto::IGMP => group(scratch),
        _ => Ok(Answer::No),
    }
}

/// Whether the frame comes from a device.
#[inline(always)]
fn from_device(scratch: &Scratch) -> bool {
    scratch.hook == counter::HOOK_LAN_INGRESS
}

/// Whether a device asks the box or a server that the configuration names for this service.
#[inline(never)]
fn to_server(scratch: &Scratch, service: u32) -> bool {
    if !from_device(scratch) {
        return false;
    }
    if scratch.dst == PrincipalId::SELF {
        return true;
    }
    // SAFETY: the value is copied at once; the daemon replaces whole entries.
    let services = unsafe { SERVERS.get(observe::addr_key(scratch.frame.dst, scratch.link)) };
    matches!(services, Some(services) if services & service != 0)
}

/// ARP (RFC 826) for IPv4 over Ethernet; the sender must hold the address that it announces.
#[inline(never)]
fn arp(skb: &Skb, scratch: &mut Scratch) -> Result<Answer, Reason> {
    let header: [u8; 28] = skb.load(scratch.frame.network).ok_or(Reason::EssentialShape)?;
    let [h0, h1, p0, p1, hl, pl, o0, o1, m0, m1, m2, m3, m4, m5, a, b, c, d, ..] = header;
    let shape = [h0, h1, p0, p1, hl, pl, o0] == [0, 1, 8, 0, 6, 4, 0] && (o1 == 1 || o1 == 2);
    if !shape {
        return Err(Reason::EssentialShape);
    }
    if [m0, m1, m2, m3, m4, m5] != scratch.frame.src_mac {
        return Err(Reason::SpoofMac);
    }
    let sender = Addr::from_v4([a, b, c, d]);
    // A probe has no address yet (RFC 5227, section 2.1.1).
    if !sender.is_unspecified() {
        holds(scratch, &sender)?;
    }
    spend(scratch, Essential::Arp)
}

/// A device must hold the address that it announces; what comes from the other side must not announce a device's.
#[inline(always)]
fn holds(scratch: &mut Scratch, addr: &Addr) -> Result<(), Reason> {
    if from_device(scratch) {
        return who::claim(scratch, scratch.src, addr);
    }
    match who::holder(addr, scratch.link) {
        who::Holder::Device(_) => Err(Reason::SpoofIp),
        who::Holder::Known(_) | who::Holder::Unknown => Ok(()),
    }
}

#[inline(always)]
fn udp(skb: &Skb, scratch: &mut Scratch) -> Result<Answer, Reason> {
    match (scratch.frame.src_port, scratch.frame.dst_port) {
        (DHCP_CLIENT, DHCP_SERVER) if stays_on_link(scratch) => dhcp_request(skb, scratch),
        (DHCP_SERVER, DHCP_CLIENT) if stays_on_link(scratch) => dhcp_reply(skb, scratch),
        (DHCP6_CLIENT, DHCP6_SERVER) if stays_on_link(scratch) => spend(scratch, Essential::Dhcp),
        (DHCP6_SERVER, DHCP6_CLIENT) if stays_on_link(scratch) => {
            if from_device(scratch) && !who::is_dhcp_server(scratch.ifindex) {
                return Err(Reason::DhcpServer);
            }
            spend(scratch, Essential::Dhcp)
        }
        (_, DNS) if to_server(scratch, server::DNS) => question(skb, scratch),
        (_, NTP) if to_server(scratch, server::NTP) => time(skb, scratch),
        _ => Ok(Answer::No),
    }
}

/// A question to a resolver (RFC 1035).
#[inline(always)]
fn question(skb: &Skb, scratch: &mut Scratch) -> Result<Answer, Reason> {
    // First, so that what falls here takes nothing from what a sender needs.
    scratch.counted = names::judge(skb, scratch)?;
    spend(scratch, Essential::Dns)?;
    Ok(Answer::Opens)
}

/// A request for the time (RFC 5905).
#[inline(never)]
fn time(skb: &Skb, scratch: &mut Scratch) -> Result<Answer, Reason> {
    let length = scratch.frame.payload_len;
    match ntp::parse(skb, scratch.frame.payload, length) {
        Ok(request) if request.mode == ntp::Mode::Client => {}
        _ => return Err(Reason::EssentialShape),
    }
    if leaves(scratch) && edge::is_bounded(scratch.src) {
        if length != ntp::LENGTH {
            return Err(Reason::EssentialShape);
        }
        trickle(scratch, scratch.src, Trickle::Time, TIME_EXCHANGE)?;
    }
    opens(scratch, Essential::Ntp)
}

/// Joins the question at hand to those of its flow that wait for an answer; `waiting` is [`Flow::next`](
/// firewall_common::abi::Flow::next) of before. Of several questions, the shortest says how much of an answer repeats it.
#[inline(always)]
pub fn asked(scratch: &Scratch, waiting: [u32; 2]) -> [u32; 2] {
    let [questions, before] = waiting;
    let counted = scratch.counted;
    let shorter = counted == 0 || before != 0 && before < counted;
    [questions.saturating_add(1), if questions != 0 && shorter { before } else { counted }]
}

/// Judges the answer to a question or to a request for the time: one for each, and what it tells about a name that was
/// not learned is counted.
#[inline(never)]
pub fn answered(scratch: &mut Scratch) -> Result<(), Reason> {
    if scratch.frame.proto != proto::UDP {
        return Ok(());
    }
    let [waiting, counted] = scratch.flow.next;
    if waiting == 0 {
        return Err(Reason::EssentialShape);
    }
    scratch.flow.next = [waiting - 1, counted];
    if counted == 0 {
        return Ok(());
    }
    let told = scratch.frame.payload_len.saturating_sub(counted);
    trickle(scratch, scratch.dst, Trickle::Answers, u64::from(told))
}

/// Whether a device sends the frame to someone who is neither the box nor near.
#[inline(always)]
fn leaves(scratch: &Scratch) -> bool {
    from_device(scratch) && scratch.dst != PrincipalId::SELF && is_far(&scratch.frame.dst, scratch.link)
}

/// Whether a device gets the frame from such a one.
#[inline(always)]
fn enters(scratch: &Scratch) -> bool {
    !from_device(scratch) && scratch.src != PrincipalId::SELF && is_far(&scratch.frame.src, scratch.link)
}

#[inline(never)]
fn is_far(addr: &Addr, link: u32) -> bool {
    !who::is_near(addr, link) && !who::is_inside(addr)
}

/// Whether both ends are on this link. What a link needs is not for hosts elsewhere: it would carry anything to them, and
/// from them.
#[inline(always)]
fn stays_on_link(scratch: &Scratch) -> bool {
    who::is_near(&scratch.frame.src, scratch.link) && who::is_near(&scratch.frame.dst, scratch.link)
}

#[inline(never)]
fn dhcp_request(skb: &Skb, scratch: &mut Scratch) -> Result<Answer, Reason> {
    let at = scratch.frame.payload;
    if !dhcp::is(skb, at, dhcp::Op::Request) {
        return Err(Reason::EssentialShape);
    }
    if from_device(scratch) {
        if dhcp::client(skb, at) != Some(scratch.frame.src_mac) {
            return Err(Reason::SpoofMac);
        }
        host_name(skb, scratch);
    }
    spend(scratch, Essential::Dhcp)
}

/// Tells the daemon what the client calls itself.
#[inline(never)]
fn host_name(skb: &Skb, scratch: &mut Scratch) {
    if scratch.src == PrincipalId::UNKNOWN {
        return;
    }
    let Some((at, length)) = dhcp::host_name(skb, scratch.frame.payload) else { return };
    // A host name has at most 63 bytes (RFC 2132, section 3.14 with RFC 1035, section 2.3.4); the object has room.
    let length = u32::from(length & 63);
    if !copy(skb.raw().cast(), at, &mut scratch.observed.object, length) {
        return;
    }
    let mut hash = Hasher::ZERO;
    let mut read = 0;
    while read < 63 {
        if read as u32 >= length {
            break;
        }
        hash = hash.push(scratch.observed.object[read], &scratch.config.key.0);
        read += 1;
    }
    scratch.observed.object_len = read as u16;
    let mut key = observe::notice(Addr([0; 16]), scratch.src, 0);
    key.edge.kind = Kind::DhcpName as u8;
    key.object = hash.finish();
    scratch.observed_key = key;
    observe::record(scratch, Verdict::Forwarded, Reason::InModel);
}

#[inline(never)]
fn dhcp_reply(skb: &Skb, scratch: &mut Scratch) -> Result<Answer, Reason> {
    if from_device(scratch) && !who::is_dhcp_server(scratch.ifindex) {
        return Err(Reason::DhcpServer);
    }
    let at = scratch.frame.payload;
    if !dhcp::is(skb, at, dhcp::Op::Reply) {
        return Err(Reason::EssentialShape);
    }
    if let (Some(addr), Some(client)) = (dhcp::leased(skb, at), dhcp::client(skb, at)) {
        who::lease(scratch, &client, &addr)?;
    }
    spend(scratch, Essential::Dhcp)
}

/// ICMP (RFC 792): errors that quote a live flow, and echo within the site.
#[inline(never)]
fn icmp(skb: &Skb, scratch: &mut Scratch) -> Result<Answer, Reason> {
    if scratch.frame.is_error() {
        return error(skb, scratch);
    }
    match scratch.frame.flags {
        // Redirect, router advertisement.
        5 | 9 if from_device(scratch) => Err(Reason::EssentialRouter),
        0 | 8 => echo(skb, scratch),
        _ => Ok(Answer::No),
    }
}

/// `ICMPv6` (RFC 4443), neighbour discovery (RFC 4861) and MLD (RFC 3810).
#[inline(never)]
fn icmp6(skb: &Skb, scratch: &mut Scratch) -> Result<Answer, Reason> {
    if scratch.frame.is_error() {
        return error(skb, scratch);
    }
    if let 133..=137 = scratch.frame.flags {
        // Hop limit 255: it was not forwarded (RFC 4861, sections 6.1 and 7.1).
        let [hops]: [u8; 1] = skb.load(scratch.frame.network + 7).ok_or(Reason::EssentialShape)?;
        if hops != 255 || !stays_on_link(scratch) {
            return Err(Reason::EssentialShape);
        }
    }
    match scratch.frame.flags {
        128 | 129 => echo(skb, scratch),
        130 | 131 | 132 | 143 => group(scratch),
        // Router solicitation.
        133 => spend(scratch, Essential::Neighbour),
        // Router advertisement, redirect.
        134 | 137 => {
            if from_device(scratch) {
                return Err(Reason::EssentialRouter);
            }
            spend(scratch, Essential::Neighbour)
        }
        135 | 136 => neighbour(skb, scratch),
        _ => Ok(Answer::No),
    }
}

#[inline(never)]
fn neighbour(skb: &Skb, scratch: &mut Scratch) -> Result<Answer, Reason> {
    let addr = if scratch.frame.flags == 136 {
        Addr(skb.load(scratch.frame.transport + 8).ok_or(Reason::EssentialShape)?)
    } else {
        scratch.frame.src
    };
    // Duplicate address detection has no source yet (RFC 4862, section 5.4.2).
    if !addr.is_unspecified() {
        holds(scratch, &addr)?;
    }
    let option = scratch.frame.transport + 24;
    if let Some([kind, length, m0, m1, m2, m3, m4, m5]) = skb.load::<8>(option) {
        let names_sender = matches!(kind, 1 | 2) && length == 1;
        if names_sender && from_device(scratch) && [m0, m1, m2, m3, m4, m5] != scratch.frame.src_mac {
            return Err(Reason::SpoofMac);
        }
    }
    spend(scratch, Essential::Neighbour)
}

/// A request with a short payload, to the box or from it; other echoes are edges. What they carry to outside and from there is counted.
#[inline(always)]
fn echo(skb: &Skb, scratch: &mut Scratch) -> Result<Answer, Reason> {
    let with_the_box = scratch.src == PrincipalId::SELF || scratch.dst == PrincipalId::SELF;
    let asks = scratch.frame.flags == 8 || scratch.frame.flags == 128;
    if asks && with_the_box && scratch.frame.payload_len <= ECHO_PAYLOAD {
        return opens(scratch, Essential::Echo);
    }
    if leaves(scratch) && edge::is_bounded(scratch.src) {
        let words = echo_words(skb, scratch);
        trickle(scratch, scratch.src, Trickle::Icmp, words)?;
    } else if enters(scratch) && edge::is_bounded(scratch.dst) {
        let words = echo_words(skb, scratch);
        trickle(scratch, scratch.dst, Trickle::Echoes, words)?;
    }
    Ok(Answer::No)
}

/// Bytes of an echo that its sender chose. Behind the time at the front, an ordinary payload is one byte again and again,
/// or counts up.
#[inline(never)]
fn echo_words(skb: &Skb, scratch: &Scratch) -> u64 {
    let length = scratch.frame.payload_len;
    if length <= ECHO_FREE {
        return ECHO_NUMBERS + u64::from(length);
    }
    let all = ECHO_NUMBERS + u64::from(length);
    if length > ECHO_PAYLOAD {
        return all;
    }
    let (mut last, mut step) = (0_u8, 0_u8);
    let mut read = 0;
    while read < ECHO_PAYLOAD - ECHO_FREE {
        if ECHO_FREE + read >= length {
            break;
        }
        let Some([byte]) = skb.load::<1>(scratch.frame.payload + ECHO_FREE + read) else { return all };
        if read == 1 {
            step = byte.wrapping_sub(last);
        }
        let counts = step <= 1 && byte == last.wrapping_add(step);
        if read != 0 && !counts {
            return all;
        }
        last = byte;
        read += 1;
    }
    // The first byte and the step.
    ECHO_NUMBERS + u64::from(ECHO_FREE) + 2
}

#[inline(always)]
fn group(scratch: &mut Scratch) -> Result<Answer, Reason> {
    if scratch.frame.dst.is_everyone() { spend(scratch, Essential::Group) } else { Ok(Answer::No) }
}

#[inline(always)]
fn error(skb: &Skb, scratch: &mut Scratch) -> Result<Answer, Reason> {
    let outwards = leaves(scratch) && edge::is_bounded(scratch.src);
    if !flow::quotes_live(skb, scratch) {
        return Err(Reason::IcmpUnrelated);
    }
    if outwards {
        let quote = u64::from(scratch.frame.payload_len);
        trickle(scratch, scratch.src, Trickle::Icmp, quote)?;
    }
    spend(scratch, Essential::IcmpError)
}

#[inline(always)]
fn opens(scratch: &mut Scratch, essential: Essential) -> Result<Answer, Reason> {
    spend(scratch, essential)?;
    scratch.counted = 0;
    Ok(Answer::Opens)
}

/// Takes the frame from its sender's budget.
#[inline(always)]
pub fn spend(scratch: &mut Scratch, essential: Essential) -> Result<Answer, Reason> {
    take(scratch, essential, u64::from(scratch.end))
}

/// Takes bytes from the sender's budget.
#[inline(never)]
pub fn take(scratch: &mut Scratch, essential: Essential, bytes: u64) -> Result<Answer, Reason> {
    let ifindex = if scratch.src == PrincipalId::UNKNOWN { scratch.ifindex } else { 0 };
    let key = BudgetKey { principal: scratch.src, ifindex, essential: essential as u32 };
    if let Some(budget) = BUDGETS.get_ptr_mut(key) {
        // SAFETY: the entry stays mapped while the program runs. Two CPUs at once may lose one another's update: a
        // budget bounds, it does not account.
        let budget = unsafe { &mut *budget };
        let Some(left) =
            essential::spend(essential, budget.tokens, scratch.now.wrapping_sub(budget.at), bytes)
        else {
            return Err(Reason::EssentialBudget);
        };
        budget.tokens = left;
        budget.at = scratch.now;
        return Ok(Answer::Yes);
    }
    let Some(tokens) = essential.burst().checked_sub(bytes) else { return Err(Reason::EssentialBudget) };
    let fresh = Budget { tokens, at: scratch.now };
    match BUDGETS.insert(key, fresh, BPF_ANY as u64) {
        Ok(()) => Ok(Answer::Yes),
        Err(_) => Err(Reason::TableFull),
    }
}

/// Takes bytes from what a principal may say, or be told, in words of its own.
#[inline(never)]
fn trickle(scratch: &Scratch, principal: PrincipalId, kind: Trickle, bytes: u64) -> Result<(), Reason> {
    let ifindex = if principal == PrincipalId::UNKNOWN { scratch.ifindex } else { 0 };
    let key = BudgetKey { principal, ifindex, essential: kind as u32 };
    let mut tried = 0;
    while tried < TRICKLE_TRIES {
        tried += 1;
        let Some(budget) = BUDGETS.get_ptr_mut(key) else {
            // Another CPU that was faster leaves an entry to take from.
            let full = Budget { tokens: 0, at: 0 };
            let _ = BUDGETS.insert(key, full, BPF_NOEXIST as u64);
            continue;
        };
        // SAFETY: the entry stays mapped while the program runs.
        let at = unsafe { &raw mut (*budget).at };
        // SAFETY: as above.
        let full = unsafe { core::ptr::read_volatile(at) };
        let Some(next) = essential::trickle(kind, full, scratch.now, bytes) else {
            return Err(Reason::EssentialBudget);
        };
        if atomic::swap(at, full, next) {
            return Ok(());
        }
    }
    Err(Reason::Busy)
}
