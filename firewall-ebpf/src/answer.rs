//! What the ends of a stopped connection are told.
//!
//! An answer is written into the stopped frame itself: its addresses are those of the connection, whatever NAT or bridge
//! lies around us. Frames of local origin carry only the sum of the pseudo header (CHECKSUM_PARTIAL), so an answer in
//! such a buffer must do the same.

use aya_ebpf::bindings::{BPF_F_INGRESS, BPF_F_RECOMPUTE_CSUM, TC_ACT_SHOT, TC_ACT_UNSPEC};
use aya_ebpf::helpers::generated::{
    bpf_clone_redirect, bpf_redirect, bpf_skb_change_tail, bpf_skb_store_bytes,
};
use aya_ebpf::programs::TcContext;
use firewall_common::abi::{Addr, counter};
use firewall_common::wire::Bytes;
use firewall_common::wire::essential::Essential;
use firewall_common::wire::frame::{Frame, proto, tcp};

use crate::bytes::Skb;
use crate::checksum::{fold, is_partial, pseudo_header, words};
use crate::scratch::Scratch;
use crate::{checksum, essential};

const IPV4: u32 = 20;
const IPV6: u32 = 40;
const TCP: u32 = 20;
const ICMP: u32 = 8;
/// Bytes of the refused packet behind its IP header that an ICMP error quotes (RFC 792).
const QUOTED: usize = 8;
const TTL: u8 = 64;
const RST: u8 = tcp::RST;
const RST_ACK: u8 = tcp::RST | tcp::ACK;

/// Which way an answer goes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum To {
    Sender,
    Receiver,
}

/// Ends the connection at both ends: the sender's reset leaves from here, the receiver's takes the frame's place.
#[inline(never)]
pub fn reset_both(ctx: &TcContext, scratch: &mut Scratch) -> Option<i32> {
    let partial = prepare(ctx, &scratch.frame)?;
    let back = segment(&scratch.frame, To::Sender);
    write_tcp(ctx, &scratch.frame, To::Sender, back, partial)?;
    // SAFETY: the helper clones the buffer; our context stays valid.
    let sent = unsafe { bpf_clone_redirect(ctx.skb.skb, scratch.ifindex, towards_sender(scratch)) };
    if sent != 0 {
        return None;
    }
    let forth = segment(&scratch.frame, To::Receiver);
    write_tcp(ctx, &scratch.frame, To::Receiver, forth, partial)?;
    Some(TC_ACT_UNSPEC)
}

/// Tells the sender of a refused connection attempt or datagram.
#[inline(never)]
pub fn refuse(ctx: &TcContext, scratch: &mut Scratch) -> Option<i32> {
    if scratch.frame.is_group() || scratch.frame.dst.is_everyone() || scratch.frame.src.is_everyone() {
        return Some(TC_ACT_SHOT);
    }
    if scratch.refused != 0 {
        if essential::spend(scratch, Essential::Answer).is_err() {
            return Some(TC_ACT_SHOT);
        }
        unknown_name(ctx, &scratch.frame)?;
    } else if scratch.frame.proto == proto::TCP {
        if scratch.frame.has(tcp::RST) {
            return Some(TC_ACT_SHOT);
        }
        let partial = prepare(ctx, &scratch.frame)?;
        let back = segment(&scratch.frame, To::Sender);
        write_tcp(ctx, &scratch.frame, To::Sender, back, partial)?;
    } else {
        if scratch.frame.is_error() || essential::spend(scratch, Essential::Answer).is_err() {
            return Some(TC_ACT_SHOT);
        }
        prohibited(ctx, &scratch.frame)?;
    }
    // SAFETY: the helper has no preconditions.
    Some(unsafe { bpf_redirect(scratch.ifindex, towards_sender(scratch)) } as i32)
}

/// A frame judged at ingress came from the wire of this port; one judged at egress came from the stack.
#[inline(always)]
fn towards_sender(scratch: &Scratch) -> u64 {
    if scratch.hook == counter::HOOK_LAN_EGRESS { BPF_F_INGRESS as u64 } else { 0 }
}

/// Sequence number, acknowledgement and flags of a reset that its receiver accepts (RFC 9293, section 3.5.2; RFC 5961).
#[inline(always)]
fn segment(frame: &Frame, to: To) -> (u32, u32, u8) {
    match to {
        To::Receiver => (frame.seq, frame.ack, RST_ACK),
        To::Sender if frame.has(tcp::ACK) => (frame.ack, frame.seq.wrapping_add(frame.seq_len()), RST_ACK),
        To::Sender => (0, frame.seq.wrapping_add(frame.seq_len()), RST_ACK),
    }
}

/// Cuts the frame to the length of a bare TCP segment; tells whether its checksum is left to the device.
#[inline(always)]
fn prepare(ctx: &TcContext, frame: &Frame) -> Option<bool> {
    let header = if frame.version == 4 { IPV4 } else { IPV6 };
    let partial = is_partial(&Skb(ctx), frame.transport + 16)?;
    if partial && frame.transport != frame.network + header {
        // The device would sum from behind the options, which the answer does not have.
        return None;
    }
    // SAFETY: the helper checks the length against the buffer.
    let cut = unsafe { bpf_skb_change_tail(ctx.skb.skb, frame.network + header + TCP, 0) };
    if cut == 0 { Some(partial) } else { None }
}

/// Writes Ethernet, IP and TCP headers of an answer.
#[inline(never)]
fn write_tcp(
    ctx: &TcContext,
    frame: &Frame,
    to: To,
    (seq, ack, flags): (u32, u32, u8),
    partial: bool,
) -> Option<()> {
    write_link(ctx, frame, to)?;
    let length = TCP as u16;
    let (src, dst, src_port, dst_port) = match to {
        To::Receiver => (&frame.src, &frame.dst, frame.src_port, frame.dst_port),
        To::Sender => (&frame.dst, &frame.src, frame.dst_port, frame.src_port),
    };
    let transport = write_ip(ctx, frame, src, dst, proto::TCP, length)?;
    let [s0, s1] = src_port.to_be_bytes();
    let [d0, d1] = dst_port.to_be_bytes();
    let [q0, q1, q2, q3] = seq.to_be_bytes();
    let [a0, a1, a2, a3] = if flags == RST { [0; 4] } else { ack.to_be_bytes() };
    let mut header = [s0, s1, d0, d1, q0, q1, q2, q3, a0, a1, a2, a3, 0x50, flags, 0, 0, 0, 0, 0, 0];
    let pseudo = pseudo_header(frame.version, src, dst, proto::TCP, length);
    let sum = if partial { fold(pseudo) } else { !fold(pseudo + words(&header)) };
    [header[16], header[17]] = sum.to_be_bytes();
    store(ctx, transport, &header)
}

/// Turns a question into its own answer: REFUSED (RFC 1035, section 4.1.1). It keeps its length, and swapping both ends
/// changes no checksum.
#[inline(never)]
fn unknown_name(ctx: &TcContext, frame: &Frame) -> Option<()> {
    const FLAGS: u32 = 2;
    /// A response, and the client may ask for recursion all the same.
    const RESPONSE: u8 = 0x80;
    const RECURSION: u8 = 0x80;
    const REFUSED: u8 = 5;
    let skb = Skb(ctx);
    let header = if frame.version == 4 { IPV4 } else { IPV6 };
    if frame.transport != frame.network + header {
        return None;
    }
    let [first, second]: [u8; 2] = skb.load(frame.payload + FLAGS)?;
    let flags = [first | RESPONSE, RECURSION | REFUSED];
    let (before, after) = (u16::from_ne_bytes([first, second]), u16::from_ne_bytes(flags));
    checksum::replace_datagram(&skb, frame.transport + 6, u64::from(before), u64::from(after))?;
    store(ctx, frame.payload + FLAGS, &flags)?;
    write_link(ctx, frame, To::Sender)?;
    let (src, dst) = (&frame.dst, &frame.src);
    if frame.version == 4 {
        let [.., a, b, c, d] = src.0;
        let [.., e, f, g, h] = dst.0;
        store(ctx, frame.network + 12, &[a, b, c, d, e, f, g, h])?;
    } else {
        store(ctx, frame.network + 8, &src.0)?;
        store(ctx, frame.network + 24, &dst.0)?;
    }
    let [s0, s1] = frame.dst_port.to_be_bytes();
    let [d0, d1] = frame.src_port.to_be_bytes();
    store(ctx, frame.transport, &[s0, s1, d0, d1])
}

/// Replaces the frame by an ICMP error: administratively prohibited (RFC 1812, section 5.2.7.1; RFC 4443, section 3.1).
#[inline(never)]
fn prohibited(ctx: &TcContext, frame: &Frame) -> Option<()> {
    let skb = Skb(ctx);
    // Before the checksum is probed, which changes it.
    let quoted: [u8; QUOTED] = skb.load(frame.transport)?;
    let partial = frame.proto == proto::UDP && is_partial(&Skb(ctx), frame.transport + 6)?;
    let (header, kind, protocol) =
        if frame.version == 4 { (IPV4, [3, 13], proto::ICMP) } else { (IPV6, [1, 1], proto::ICMP6) };
    if frame.transport != frame.network + header {
        return None;
    }
    let length = (ICMP + header) as u16 + QUOTED as u16;
    let ip4: [u8; 20] = skb.load(frame.network)?;
    let ip6: [u8; 20] = if frame.version == 6 { skb.load(frame.network + 20)? } else { [0; 20] };
    // SAFETY: the helper checks the length; what it adds is zero.
    if unsafe { bpf_skb_change_tail(ctx.skb.skb, frame.network + header + u32::from(length), 0) } != 0 {
        return None;
    }
    write_link(ctx, frame, To::Sender)?;
    let transport = write_ip(ctx, frame, &frame.dst, &frame.src, protocol, length)?;
    let [k0, k1] = kind;
    let mut icmp = [k0, k1, 0, 0, 0, 0, 0, 0];
    let pseudo =
        if frame.version == 6 { pseudo_header(6, &frame.dst, &frame.src, protocol, length) } else { 0 };
    if partial {
        // The device sums from here on and puts the result where the datagram's checksum was, six bytes behind: with
        // the pseudo header there beforehand, the whole message sums up as it must.
        [icmp[6], icmp[7]] = fold(pseudo).to_be_bytes();
    } else {
        let mut sum = pseudo + words(&icmp) + words(&ip4) + words(&quoted);
        if frame.version == 6 {
            sum += words(&ip6);
        }
        [icmp[2], icmp[3]] = (!fold(sum)).to_be_bytes();
    }
    store(ctx, transport, &icmp)?;
    store(ctx, transport + ICMP, &ip4)?;
    if frame.version == 6 {
        store(ctx, transport + ICMP + 20, &ip6)?;
    }
    store(ctx, transport + ICMP + header, &quoted)
}

#[inline(always)]
fn write_link(ctx: &TcContext, frame: &Frame, to: To) -> Option<()> {
    let (src, dst) = match to {
        To::Receiver => (frame.src_mac, frame.dst_mac),
        To::Sender => (frame.dst_mac, frame.src_mac),
    };
    store(ctx, 0, &dst)?;
    store(ctx, 6, &src)
}

/// Writes an IP header without options and returns the offset behind it.
#[inline(always)]
fn write_ip(
    ctx: &TcContext,
    frame: &Frame,
    src: &Addr,
    dst: &Addr,
    protocol: u8,
    length: u16,
) -> Option<u32> {
    if frame.version == 4 {
        let [l0, l1] = (IPV4 as u16 + length).to_be_bytes();
        let [s, d] = [src.0, dst.0];
        let mut header = [
            0x45, 0, l0, l1, 0, 0, 0x40, 0, TTL, protocol, 0, 0, s[12], s[13], s[14], s[15], d[12], d[13],
            d[14], d[15],
        ];
        [header[10], header[11]] = (!fold(words(&header))).to_be_bytes();
        store(ctx, frame.network, &header)?;
        return Some(frame.network + IPV4);
    }
    let [l0, l1] = length.to_be_bytes();
    store(ctx, frame.network, &[0x60, 0, 0, 0, l0, l1, protocol, TTL])?;
    store(ctx, frame.network + 8, &src.0)?;
    store(ctx, frame.network + 24, &dst.0)?;
    Some(frame.network + IPV6)
}

#[inline(always)]
fn store<const N: usize>(ctx: &TcContext, at: u32, bytes: &[u8; N]) -> Option<()> {
    // SAFETY: the helper checks the offset against the buffer and reads `N` bytes.
    let stored = unsafe {
        bpf_skb_store_bytes(ctx.skb.skb, at, bytes.as_ptr().cast(), N as u32, BPF_F_RECOMPUTE_CSUM as u64)
    };
    if stored == 0 { Some(()) } else { None }
}
