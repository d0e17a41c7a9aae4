//! DHCP (RFC 2131): who was given which address, and what a client calls itself.

use super::Bytes;
use crate::abi::Addr;

/// Offset of the options behind the fixed fields and the magic cookie (RFC 2131, section 3).
const OPTIONS: u32 = 240;
/// Most options that are walked.
const OPTIONS_WALKED: u32 = 40;
const COOKIE: [u8; 4] = [0x63, 0x82, 0x53, 0x63];

/// Option codes (RFC 2132, RFC 8520).
const RESOLVERS: u8 = 6;
pub const HOST_NAME: u8 = 12;
const TIME_SERVERS: u8 = 42;
const MESSAGE_TYPE: u8 = 53;
pub const PARAMETERS: u8 = 55;
pub const VENDOR_CLASS: u8 = 60;
pub const CLIENT_ID: u8 = 61;
pub const MUD_URL: u8 = 161;
const ACK: u8 = 5;

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    Request = 1,
    Reply = 2,
}

/// Whether the payload at `at` is a DHCP message of this kind for an Ethernet client.
#[inline(always)]
pub fn is(bytes: &impl Bytes, at: u32, op: Op) -> bool {
    let Some([kind, hardware, hardware_len, _]) = bytes.load::<4>(at) else { return false };
    kind == op as u8 && hardware == 1 && hardware_len == 6 && bytes.load(at + OPTIONS - 4) == Some(COOKIE)
}

/// MAC of the client that a message is from or for.
#[inline(always)]
pub fn client(bytes: &impl Bytes, at: u32) -> Option<[u8; 6]> {
    bytes.load(at + 28)
}

/// The address that an acknowledgement gives to its client; `None` for every other message.
#[inline(always)]
pub fn leased(bytes: &impl Bytes, at: u32) -> Option<Addr> {
    let (value, length) = option(bytes, at + OPTIONS, MESSAGE_TYPE)?;
    let [kind]: [u8; 1] = bytes.load(value)?;
    let address = Addr::from_v4(bytes.load(at + 16)?);
    if length == 1 && kind == ACK && !address.is_unspecified() { Some(address) } else { None }
}

/// Offset and length of the host name in a message.
#[inline(always)]
pub fn host_name(bytes: &impl Bytes, at: u32) -> Option<(u32, u8)> {
    option(bytes, at + OPTIONS, HOST_NAME)
}

/// Offset and length of the list of resolvers in a message.
#[inline(always)]
pub fn resolvers(bytes: &impl Bytes, at: u32) -> Option<(u32, u8)> {
    option(bytes, at + OPTIONS, RESOLVERS)
}

/// Offset and length of the list of time servers in a message.
#[inline(always)]
pub fn time_servers(bytes: &impl Bytes, at: u32) -> Option<(u32, u8)> {
    option(bytes, at + OPTIONS, TIME_SERVERS)
}

/// Offset and length of the option with this code in a message.
#[inline(always)]
pub fn option_of(bytes: &impl Bytes, at: u32, code: u8) -> Option<(u32, u8)> {
    option(bytes, at + OPTIONS, code)
}

#[inline(always)]
fn option(bytes: &impl Bytes, mut at: u32, wanted: u8) -> Option<(u32, u8)> {
    let mut walked = 0;
    while walked < OPTIONS_WALKED {
        walked += 1;
        let (code, length) = match head(bytes, at) {
            0 => {
                at += 1;
                continue;
            }
            END => return None,
            head => ((head >> 8) as u8, head as u8),
        };
        if code == wanted {
            return Some((at + 2, length));
        }
        at += 2 + length as u32;
    }
    None
}

/// What [`head`] says where there is no further option.
const END: u32 = u32::MAX;

/// Code and length of the option at `at` as one number, 0 for padding, or [`END`].
///
/// Not inlined: the walk is unrolled in the kernel, and each round would have bytes of its own on the stack.
#[inline(never)]
fn head(bytes: &impl Bytes, at: u32) -> u32 {
    match bytes.load::<1>(at) {
        Some([0]) => 0,
        Some([255]) | None => END,
        Some([code]) => match bytes.load::<1>(at + 1) {
            Some([length]) => (code as u32) << 8 | length as u32,
            None => END,
        },
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::vec::Vec;

    fn message(op: u8, options: &[u8]) -> Vec<u8> {
        let mut bytes = std::vec![0_u8; 240];
        bytes[..3].copy_from_slice(&[op, 1, 6]);
        bytes[16..20].copy_from_slice(&[10, 0, 0, 9]);
        bytes[28..34].copy_from_slice(&[2, 0, 0, 0, 0, 9]);
        bytes[236..240].copy_from_slice(&COOKIE);
        bytes.extend(options);
        bytes
    }

    #[test]
    fn only_an_acknowledgement_leases() {
        let ack = message(2, &[0, 1, 4, 255, 255, 255, 0, 53, 1, 5, 255]);
        assert!(is(&&ack[..], 0, Op::Reply));
        assert_eq!(leased(&&ack[..], 0), Some(Addr::from_v4([10, 0, 0, 9])));
        assert_eq!(client(&&ack[..], 0), Some([2, 0, 0, 0, 0, 9]));
        let offer = message(2, &[53, 1, 2, 255]);
        assert_eq!(leased(&&offer[..], 0), None);
        assert!(!is(&&offer[..], 0, Op::Request));
    }

    #[test]
    fn a_cut_message_leases_nothing() {
        let ack = message(2, &[53, 1, 5]);
        for length in 0..ack.len() {
            assert_eq!(leased(&&ack[..length], 0), None);
        }
    }

    #[test]
    fn the_name_is_found() {
        let request = message(1, b"\x35\x01\x03\x0c\x04lock\xff");
        assert_eq!(host_name(&&request[..], 0), Some((245, 4)));
    }
}
