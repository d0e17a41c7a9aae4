//! The one's complement sums of IP, TCP, UDP and ICMP (RFC 1071).
//!
//! A frame of local origin carries only the sum of the pseudo header, and a device adds the rest (CHECKSUM_PARTIAL). No
//! program can read which it is, but a change with the kernel's own function has no effect on such a frame.

use aya_ebpf::bindings::BPF_F_MARK_MANGLED_0;
use aya_ebpf::helpers::generated::bpf_l4_csum_replace;
use firewall_common::abi::Addr;
use firewall_common::wire::Bytes;

use crate::bytes::Skb;

/// Whether the checksum field at `at` holds only the sum of the pseudo header.
#[inline(always)]
pub fn is_partial(skb: &Skb, at: u32) -> Option<bool> {
    let before: [u8; 2] = skb.load(at)?;
    replace(skb, at, 0, 1)?;
    let after: [u8; 2] = skb.load(at)?;
    replace(skb, at, 1, 0)?;
    Some(before == after)
}

/// Adapts the checksum field at `at` to a word that was changed; without effect on a partial one.
#[inline(always)]
pub fn replace(skb: &Skb, at: u32, from: u64, to: u64) -> Option<()> {
    // SAFETY: the helper checks the offset against the buffer.
    let replaced = unsafe { bpf_l4_csum_replace(skb.raw(), at, from, to, 2) };
    if replaced == 0 { Some(()) } else { None }
}

/// As [`replace`] for UDP, where a field of zero means that there is no checksum (RFC 768).
#[inline(always)]
pub fn replace_datagram(skb: &Skb, at: u32, from: u64, to: u64) -> Option<()> {
    let flags = 2 | BPF_F_MARK_MANGLED_0 as u64;
    // SAFETY: as above.
    let replaced = unsafe { bpf_l4_csum_replace(skb.raw(), at, from, to, flags) };
    if replaced == 0 { Some(()) } else { None }
}

/// The sum of a pseudo header (RFC 9293, section 3.1; RFC 8200, section 8.1), not folded.
#[inline(always)]
pub fn pseudo_header(version: u8, src: &Addr, dst: &Addr, protocol: u8, length: u16) -> u32 {
    let addresses = if version == 4 {
        let [.., a, b, c, d] = src.0;
        let [.., e, f, g, h] = dst.0;
        words(&[a, b, c, d, e, f, g, h])
    } else {
        words(&src.0) + words(&dst.0)
    };
    addresses + u32::from(protocol) + u32::from(length)
}

/// The sum of all words, not folded.
#[inline(always)]
pub fn words<const N: usize>(bytes: &[u8; N]) -> u32 {
    let mut sum = 0;
    let mut i = 0;
    while i + 1 < N {
        sum += u32::from(u16::from_be_bytes([bytes[i], bytes[i + 1]]));
        i += 2;
    }
    sum
}

/// Adds the carries.
#[inline(always)]
pub fn fold(sum: u32) -> u16 {
    let sum = (sum & 0xffff) + (sum >> 16);
    let sum = (sum & 0xffff) + (sum >> 16);
    sum as u16
}
