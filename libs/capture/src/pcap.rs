//! The classic format: a header of 24 bytes, then records of 16 bytes and the packet.

use std::io::Read;

use super::{CaptureError, Damage, Input, Link, Order, PACKET_CAP, Record};

#[derive(Debug)]
pub(super) struct Pcap {
    dialect: Dialect,
    link: Link,
}

/// What the magic number says.
#[derive(Clone, Copy, Debug)]
pub(super) struct Dialect {
    order: Order,
    /// Nanoseconds in one unit of the second field of a time.
    unit: u64,
}

impl Pcap {
    /// The dialect of a file that begins with these bytes.
    pub(super) const fn of_magic(magic: [u8; 4]) -> Option<Dialect> {
        match u32::from_be_bytes(magic) {
            0xa1b2_c3d4 => Some(Dialect { order: Order::Big, unit: 1_000 }),
            0xa1b2_3c4d => Some(Dialect { order: Order::Big, unit: 1 }),
            0xd4c3_b2a1 => Some(Dialect { order: Order::Little, unit: 1_000 }),
            0x4d3c_b2a1 => Some(Dialect { order: Order::Little, unit: 1 }),
            _ => None,
        }
    }

    /// Reads what follows the magic number.
    pub(super) fn open(dialect: Dialect, input: &mut Input<impl Read>) -> Result<Self, CaptureError> {
        let at = input.offset();
        let major = dialect.order.u16(input.array("the header of the file")?);
        if major != 2 {
            return Err(CaptureError { offset: at, damage: Damage::Version(major) });
        }
        input.skip(14, "the header of the file")?;
        let at = input.offset();
        // The upper bits say whether a checksum follows each frame, which the lengths of the packets tell as well.
        let code = dialect.order.u32(input.array("the header of the file")?) as u16;
        let link = Link::from_code(code).ok_or(CaptureError { offset: at, damage: Damage::Link(code) })?;
        Ok(Self { dialect, link })
    }

    pub(super) fn record(
        &self,
        input: &mut Input<impl Read>,
        bytes: &mut Vec<u8>,
    ) -> Result<Option<Record>, CaptureError> {
        let at = input.offset();
        let Some(header) = input.next_array::<16>("the header of a packet")? else { return Ok(None) };
        let [s0, s1, s2, s3, f0, f1, f2, f3, c0, c1, c2, c3, l0, l1, l2, l3] = header;
        let order = self.dialect.order;
        let captured = order.u32([c0, c1, c2, c3]);
        if captured > PACKET_CAP {
            return Err(CaptureError {
                offset: at + 8,
                damage: Damage::Length { what: "a packet", length: captured },
            });
        }
        input.bytes(bytes, captured, "a packet")?;
        let seconds = u64::from(order.u32([s0, s1, s2, s3]));
        let fraction = u64::from(order.u32([f0, f1, f2, f3]));
        let time = seconds * 1_000_000_000 + fraction * self.dialect.unit;
        Ok(Some(Record { time, link: self.link, length: order.u32([l0, l1, l2, l3]) }))
    }
}
