//! Capture files, against a second reading of the whole file at once.

use std::io::{self, Read};

use capture::{Capture, Link};

/// Most bytes of one packet, and of a block that is looked into.
const PACKET_CAP: u32 = 262_144;
const BLOCK_CAP: usize = 524_288;

/// Time, link, length on the wire and bytes of a packet.
type Packet = (u64, Link, u32, Vec<u8>);

pub(crate) fn check(bytes: &[u8]) {
    let (packets, damage) = read(bytes);
    let (mut expected, damaged) = reference(bytes);
    if cfg!(feature = "planted") {
        // Passes over packets that are empty.
        expected.retain(|(.., bytes)| !bytes.is_empty());
    }
    assert_eq!(packets, expected, "two readings of one capture");
    assert_eq!(damage.is_some(), damaged, "{damage:?}");
    assert_eq!(read(Trickle(bytes)), (packets.clone(), damage), "byte by byte");
    if let Some(offset) = damage {
        let before = bytes.get(..offset as usize).expect("the damage lies in the file");
        assert_eq!(read(before).0, packets, "what stands before the damage is enough");
    }
    let (half, _) = read(&bytes[..bytes.len() / 2]);
    assert_eq!(Some(&half[..]), packets.get(..half.len()), "what is whole is read");
}

/// All packets, and the place of what does not fit.
fn read(file: impl Read) -> (Vec<Packet>, Option<u64>) {
    let mut packets = Vec::new();
    let mut capture = match Capture::new(file) {
        Ok(capture) => capture,
        Err(error) => return (packets, Some(error.offset)),
    };
    loop {
        match capture.packet() {
            Ok(Some((packet, bytes))) => {
                assert_eq!(packet.number, packets.len() as u64 + 1);
                packets.push((packet.time, packet.link, packet.length, bytes.to_vec()));
            }
            Ok(None) => return (packets, None),
            Err(error) => return (packets, Some(error.offset)),
        }
    }
}

/// A file that comes byte by byte.
struct Trickle<'a>(&'a [u8]);

impl Read for Trickle<'_> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let most = to.len().min(1);
        self.0.read(&mut to[..most])
    }
}

/// All packets before the first thing that does not fit, and whether there is one.
fn reference(file: &[u8]) -> (Vec<Packet>, bool) {
    let mut packets = Vec::new();
    let read = match file.get(..4) {
        Some([0x0a, 0x0d, 0x0d, 0x0a]) => blocks(file, &mut packets),
        _ => records(file, &mut packets),
    };
    (packets, read.is_none())
}

/// Which end of a number comes first.
#[derive(Clone, Copy)]
struct Order {
    big: bool,
}

impl Order {
    fn number<const N: usize>(self, bytes: &[u8], at: usize) -> Option<u64> {
        let bytes = bytes.get(at..at.checked_add(N)?)?;
        let join = |number: u64, byte: &u8| number << 8 | u64::from(*byte);
        Some(if self.big { bytes.iter().fold(0, join) } else { bytes.iter().rev().fold(0, join) })
    }

    fn u16(self, bytes: &[u8], at: usize) -> Option<u16> {
        self.number::<2>(bytes, at).map(|number| number as u16)
    }

    fn u32(self, bytes: &[u8], at: usize) -> Option<u32> {
        self.number::<4>(bytes, at).map(|number| number as u32)
    }
}

fn link(code: u16) -> Option<Link> {
    Some(match code {
        0 => Link::Null,
        1 => Link::Ethernet,
        12 | 14 | 101 | 228 | 229 => Link::Raw,
        108 => Link::Loop,
        113 => Link::Sll,
        276 => Link::Sll2,
        _ => return None,
    })
}

/// The classic format. `None`: something does not fit.
fn records(file: &[u8], packets: &mut Vec<Packet>) -> Option<()> {
    let (big, unit) = match file.get(..4)? {
        [0xa1, 0xb2, 0xc3, 0xd4] => (true, 1_000),
        [0xa1, 0xb2, 0x3c, 0x4d] => (true, 1),
        [0xd4, 0xc3, 0xb2, 0xa1] => (false, 1_000),
        [0x4d, 0x3c, 0xb2, 0xa1] => (false, 1),
        _ => return None,
    };
    let order = Order { big };
    let version = order.u16(file, 4)?;
    let link = link(order.u32(file, 20)? as u16)?;
    if version != 2 {
        return None;
    }
    let mut rest = &file[24..];
    while !rest.is_empty() {
        let [seconds, fraction, captured, length] =
            [0, 4, 8, 12].map(|at| order.u32(rest, at).filter(|_| rest.len() >= 16));
        let captured = captured.filter(|captured| *captured <= PACKET_CAP)?;
        let bytes = rest.get(16..16 + captured as usize)?;
        let time = u64::from(seconds?) * 1_000_000_000 + u64::from(fraction?) * unit;
        packets.push((time, link, length?.max(captured), bytes.to_vec()));
        rest = &rest[16 + captured as usize..];
    }
    Some(())
}

/// What an interface says about its packets.
struct Interface {
    link: u16,
    snap: u32,
    /// Units of a time in a second, if that is a number.
    units: Option<u128>,
    /// Nanoseconds to add.
    offset: u64,
}

impl Interface {
    fn read(body: &[u8], order: Order) -> Option<Self> {
        let (link, snap) = (order.u16(body, 0)?, order.u32(body, 4)?);
        let mut this = Self { link, snap, units: Some(1_000_000), offset: 0 };
        let mut options = &body[8..];
        while !options.is_empty() {
            let (code, length) = (order.u16(options, 0)?, usize::from(order.u16(options, 2)?));
            match (code, length) {
                (0, _) => break,
                (9, 1) => {
                    let value = *options.get(4)?;
                    let base = if value & 0x80 != 0 { 2_u128 } else { 10 };
                    this.units = base.checked_pow(u32::from(value & 0x7f));
                }
                (14, 8) => {
                    let seconds = order.number::<8>(options, 4)?.cast_signed();
                    this.offset = seconds.max(0).cast_unsigned().saturating_mul(1_000_000_000);
                }
                _ => {}
            }
            options = options.get(4 + length.next_multiple_of(4)..).unwrap_or_default();
        }
        Some(this)
    }

    fn time(&self, units: u64) -> u64 {
        let nanoseconds = self.units.map_or(0, |second| u128::from(units) * 1_000_000_000 / second);
        u64::try_from(nanoseconds).unwrap_or(u64::MAX).saturating_add(self.offset)
    }
}

/// The format of blocks. `None`: something does not fit.
fn blocks(file: &[u8], packets: &mut Vec<Packet>) -> Option<()> {
    let (mut order, mut interfaces) = (Order { big: false }, Vec::new());
    let mut rest = file;
    while !rest.is_empty() {
        let kind = order.u32(rest, 0)?;
        let is_section = kind == 0x0a0d_0d0a;
        if is_section {
            order.big = match rest.get(8..12)? {
                [0x1a, 0x2b, 0x3c, 0x4d] => true,
                [0x4d, 0x3c, 0x2b, 0x1a] => false,
                _ => return None,
            };
            interfaces.clear();
        }
        let length = order.u32(rest, 4)? as usize;
        let least = if is_section { 20 } else { 12 };
        if length < least || !length.is_multiple_of(4) || is_section && order.u16(rest, 12)? != 1 {
            return None;
        }
        let is_read = matches!(kind, 1 | 2 | 3 | 6);
        if is_read && length - 12 > BLOCK_CAP {
            return None;
        }
        let block = rest.get(..length)?;
        if order.u32(block, length - 4)? as usize != length {
            return None;
        }
        let body = &block[8..length - 4];
        if kind == 1 {
            interfaces.push(Interface::read(body, order)?);
        } else if is_read {
            packets.push(packet(kind, body, order, &interfaces)?);
        }
        rest = &rest[length..];
    }
    Some(())
}

fn packet(kind: u32, body: &[u8], order: Order, interfaces: &[Interface]) -> Option<Packet> {
    let number = match kind {
        3 => 0,
        2 => u32::from(order.u16(body, 0)?),
        _ => order.u32(body, 0)?,
    };
    let interface = interfaces.get(number as usize)?;
    let link = link(interface.link)?;
    let (time, captured, length, start) = if kind == 3 {
        let length = order.u32(body, 0)?;
        (0, if interface.snap == 0 { length } else { length.min(interface.snap) }, length, 4)
    } else {
        let [high, low, captured, length] = [4, 8, 12, 16].map(|at| order.u32(body, at));
        (interface.time(u64::from(high?) << 32 | u64::from(low?)), captured?, length?, 20)
    };
    let bytes = body.get(start..)?.get(..captured as usize).filter(|_| captured <= PACKET_CAP)?;
    Some((time, link, length.max(captured), bytes.to_vec()))
}
