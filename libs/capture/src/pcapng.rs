//! pcapng (draft-ietf-opsawg-pcapng): blocks that name their length at both ends, in sections of one byte order.

use std::io::Read;

use super::{CaptureError, Damage, Input, Link, Order, PACKET_CAP, Record};

/// The type of a section header block, the same in both byte orders.
pub(super) const MAGIC: [u8; 4] = [0x0a, 0x0d, 0x0d, 0x0a];

const INTERFACE: u32 = 1;
const OBSOLETE_PACKET: u32 = 2;
const SIMPLE_PACKET: u32 = 3;
const ENHANCED_PACKET: u32 = 6;
const SECTION: u32 = u32::from_be_bytes(MAGIC);

/// Options of an interface that matter here.
const OPTION_END: u16 = 0;
const OPTION_RESOLUTION: u16 = 9;
const OPTION_OFFSET: u16 = 14;

/// Most interfaces of a section.
const INTERFACES: usize = 4096;
/// Most bytes of a block that is looked into: a packet, its fields and its options.
const BLOCK_CAP: u32 = PACKET_CAP * 2;

#[derive(Debug)]
pub(super) struct Pcapng {
    order: Order,
    interfaces: Vec<Interface>,
    block: Vec<u8>,
}

#[derive(Clone, Copy, Debug)]
struct Interface {
    /// Number of the link type: refused at the first packet, not before.
    link: u16,
    snap: u32,
    resolution: Resolution,
    /// Seconds to add to every time.
    offset: i64,
}

/// Units of a time in one second.
#[derive(Clone, Copy, Debug)]
enum Resolution {
    Decimal(u8),
    Binary(u8),
}

impl Resolution {
    fn nanoseconds(self, time: u64) -> u64 {
        let per_second = match self {
            Self::Decimal(exponent) => 10_u128.checked_pow(exponent.into()),
            Self::Binary(exponent) => 1_u128.checked_shl(exponent.into()),
        };
        let nanoseconds = per_second.map_or(0, |units| u128::from(time) * 1_000_000_000 / units);
        u64::try_from(nanoseconds).unwrap_or(u64::MAX)
    }
}

impl Pcapng {
    /// Reads what follows the type of the first section header.
    pub(super) fn open(input: &mut Input<impl Read>) -> Result<Self, CaptureError> {
        let mut this = Self { order: Order::Little, interfaces: Vec::new(), block: Vec::new() };
        this.section(input)?;
        Ok(this)
    }

    /// Reads blocks up to the next packet.
    pub(super) fn record(
        &mut self,
        input: &mut Input<impl Read>,
        bytes: &mut Vec<u8>,
    ) -> Result<Option<Record>, CaptureError> {
        loop {
            let at = input.offset();
            let Some(kind) = input.next_array::<4>("the type of a block")? else { return Ok(None) };
            let kind = self.order.u32(kind);
            if kind == SECTION {
                self.section(input)?;
                continue;
            }
            if !matches!(kind, INTERFACE | OBSOLETE_PACKET | SIMPLE_PACKET | ENHANCED_PACKET) {
                self.pass_over(input)?;
                continue;
            }
            self.read_block(input)?;
            let body = Body { bytes: &self.block, order: self.order, at: at + 8 };
            if kind == INTERFACE {
                let interface = Interface::read(&body)?;
                if self.interfaces.len() == INTERFACES {
                    return Err(body.fault(
                        0,
                        Damage::Length { what: "a list of interfaces", length: INTERFACES as u32 + 1 },
                    ));
                }
                self.interfaces.push(interface);
                continue;
            }
            return self.packet(kind, &body, bytes).map(Some);
        }
    }

    fn packet(&self, kind: u32, body: &Body<'_>, bytes: &mut Vec<u8>) -> Result<Record, CaptureError> {
        let number = match kind {
            SIMPLE_PACKET => 0,
            OBSOLETE_PACKET => body.u16(0)?.into(),
            _ => body.u32(0)?,
        };
        let interface =
            self.interfaces.get(number as usize).ok_or(body.fault(0, Damage::Interface(number)))?;
        let link = Link::from_code(interface.link).ok_or(body.fault(0, Damage::Link(interface.link)))?;
        // Where the captured length stands and where the packet begins.
        let (claim, start, captured, length, time) = if kind == SIMPLE_PACKET {
            let length = body.u32(0)?;
            let snap = if interface.snap == 0 { u32::MAX } else { interface.snap };
            (0, 4, length.min(snap), length, 0)
        } else {
            let units = u64::from(body.u32(4)?) << 32 | u64::from(body.u32(8)?);
            let seconds = u64::try_from(interface.offset).unwrap_or(0);
            let time = interface.resolution.nanoseconds(units);
            (12, 20, body.u32(12)?, body.u32(16)?, time.saturating_add(seconds.saturating_mul(1_000_000_000)))
        };
        let packet = body
            .bytes
            .get(start..)
            .and_then(|rest| rest.get(..captured as usize))
            .filter(|_| captured <= PACKET_CAP)
            .ok_or(body.fault(claim, Damage::Length { what: "a packet", length: captured }))?;
        bytes.clear();
        bytes.extend_from_slice(packet);
        Ok(Record { time, link, length })
    }

    /// A new section: another byte order, and its own interfaces.
    fn section(&mut self, input: &mut Input<impl Read>) -> Result<(), CaptureError> {
        let at = input.offset();
        let length = input.array::<4>("a section header")?;
        let magic = input.array::<4>("a section header")?;
        self.order = match u32::from_be_bytes(magic) {
            0x1a2b_3c4d => Order::Big,
            0x4d3c_2b1a => Order::Little,
            _ => return Err(CaptureError { offset: at + 4, damage: Damage::Foreign }),
        };
        self.interfaces.clear();
        let length = self.order.u32(length);
        let version_at = input.offset();
        let major = self.order.u16(input.array("a section header")?);
        if major != 1 {
            return Err(CaptureError { offset: version_at, damage: Damage::Version(major) });
        }
        // Type, length, magic and major version are read; the length of the end is not.
        let rest = rest_of(length, 18, at)?;
        input.skip(rest, "a section header")?;
        self.trailer(input, length)
    }

    /// Passes over a block whose type was read.
    fn pass_over(&self, input: &mut Input<impl Read>) -> Result<(), CaptureError> {
        let at = input.offset();
        let length = self.order.u32(input.array("a block")?);
        input.skip(rest_of(length, 12, at)?, "a block")?;
        self.trailer(input, length)
    }

    /// Reads the body of a block whose type was read.
    fn read_block(&mut self, input: &mut Input<impl Read>) -> Result<(), CaptureError> {
        let at = input.offset();
        let length = self.order.u32(input.array("a block")?);
        let rest = rest_of(length, 12, at)?;
        if rest > u64::from(BLOCK_CAP) {
            return Err(CaptureError { offset: at, damage: Damage::Length { what: "a block", length } });
        }
        input.bytes(&mut self.block, rest as u32, "a block")?;
        self.trailer(input, length)
    }

    fn trailer(&self, input: &mut Input<impl Read>, length: u32) -> Result<(), CaptureError> {
        let at = input.offset();
        let again = self.order.u32(input.array("a block")?);
        if again == length { Ok(()) } else { Err(CaptureError { offset: at, damage: Damage::Trailer }) }
    }
}

/// Bytes of a block beyond the `read` ones that are always there; a length is a multiple of four.
fn rest_of(length: u32, read: u32, at: u64) -> Result<u64, CaptureError> {
    match length.checked_sub(read) {
        Some(rest) if length.is_multiple_of(4) => Ok(rest.into()),
        _ => Err(CaptureError { offset: at, damage: Damage::Length { what: "a block", length } }),
    }
}

impl Interface {
    fn read(body: &Body<'_>) -> Result<Self, CaptureError> {
        let mut interface =
            Self { link: body.u16(0)?, snap: body.u32(4)?, resolution: Resolution::Decimal(6), offset: 0 };
        let mut at = 8;
        while at < body.bytes.len() {
            let (code, length) = (body.u16(at)?, body.u16(at + 2)?);
            match (code, length) {
                (OPTION_END, _) => break,
                (OPTION_RESOLUTION, 1) => {
                    let value = body.array::<1>(at + 4)?[0];
                    let exponent = value & 0x7f;
                    interface.resolution = if value & 0x80 == 0 {
                        Resolution::Decimal(exponent)
                    } else {
                        Resolution::Binary(exponent)
                    };
                }
                (OPTION_OFFSET, 8) => {
                    let bytes = body.array(at + 4)?;
                    interface.offset = match body.order {
                        Order::Big => i64::from_be_bytes(bytes),
                        Order::Little => i64::from_le_bytes(bytes),
                    };
                }
                _ => {}
            }
            at += 4 + usize::from(length).next_multiple_of(4);
        }
        Ok(interface)
    }
}

/// The body of a block, which knows where it lies in the file.
struct Body<'a> {
    bytes: &'a [u8],
    order: Order,
    at: u64,
}

impl Body<'_> {
    fn array<const N: usize>(&self, at: usize) -> Result<[u8; N], CaptureError> {
        self.bytes
            .get(at..)
            .and_then(|rest| rest.first_chunk())
            .copied()
            .ok_or(self.fault(at, Damage::Ends("a block")))
    }

    fn u16(&self, at: usize) -> Result<u16, CaptureError> {
        self.array(at).map(|bytes| self.order.u16(bytes))
    }

    fn u32(&self, at: usize) -> Result<u32, CaptureError> {
        self.array(at).map(|bytes| self.order.u32(bytes))
    }

    fn fault(&self, at: usize, damage: Damage) -> CaptureError {
        CaptureError { offset: self.at + at as u64, damage }
    }
}
