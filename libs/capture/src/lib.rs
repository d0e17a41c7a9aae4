//! Capture files, read as a stream: pcap in both byte orders with micro- or nanoseconds, and pcapng. [`Writer`] makes the
//! simplest of them.
//!
//! Memory is bounded by one packet, whatever the file claims. A damaged file gives every packet before the damage, then
//! a [`CaptureError`] with the offset of the first byte that does not fit.

// What the two formats share.
mod input;

// The two formats.
mod pcap;
mod pcapng;

// The other way.
mod write;

#[cfg(test)]
mod tests;

use std::io::{self, Read};

pub use self::write::Writer;
use self::{input::Input, pcap::Pcap, pcapng::Pcapng};

/// Most bytes of one packet: what libpcap itself writes at most for any link type that is decoded here.
const PACKET_CAP: u32 = 262_144;

/// What stands before the network layer (numbers of the pcap `LINKTYPE` registry).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// BSD loopback: an address family in the byte order of the machine that captured.
    Null,
    /// OpenBSD loopback: the same in network order.
    Loop,
    Ethernet,
    /// IPv4 or IPv6 with nothing before it.
    Raw,
    /// Linux cooked capture, version 1.
    Sll,
    /// Linux cooked capture, version 2.
    Sll2,
}

impl Link {
    /// Its number.
    const fn code(self) -> u16 {
        match self {
            Self::Null => 0,
            Self::Ethernet => 1,
            Self::Raw => 101,
            Self::Loop => 108,
            Self::Sll => 113,
            Self::Sll2 => 276,
        }
    }

    /// The link type with this number, if it is decoded.
    const fn from_code(code: u16) -> Option<Self> {
        match code {
            0 => Some(Self::Null),
            1 => Some(Self::Ethernet),
            // 12 and 14 are what some systems write for raw IP; 228 and 229 promise one version of it.
            12 | 14 | 101 | 228 | 229 => Some(Self::Raw),
            108 => Some(Self::Loop),
            113 => Some(Self::Sll),
            276 => Some(Self::Sll2),
            _ => None,
        }
    }
}

/// What a packet's record says, without the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet {
    /// Number of the packet in its file, from 1.
    pub number: u64,
    /// Nanoseconds since 1970; 0 where the record has no time.
    pub time: u64,
    pub link: Link,
    /// Bytes that the packet had on the wire; the capture may hold fewer.
    pub length: u32,
}

/// Why reading ended before the file did.
#[derive(Debug, thiserror::Error)]
#[error("byte {offset}: {damage}")]
pub struct CaptureError {
    /// The first byte that does not fit, counted from 0.
    pub offset: u64,
    pub damage: Damage,
}

/// What is wrong with a capture.
#[derive(Debug, thiserror::Error)]
pub enum Damage {
    #[error("this is no pcap or pcapng file")]
    Foreign,
    #[error("the file ends inside {0}")]
    Ends(&'static str),
    #[error("{what} claims {length} bytes, which cannot be")]
    Length { what: &'static str, length: u32 },
    #[error("the length at the end of a block is not the one at its beginning")]
    Trailer,
    #[error("link type {0} is not decoded{hint}", hint = wireless(*.0))]
    Link(u16),
    #[error("a packet of interface {0}, which was not described")]
    Interface(u32),
    #[error("version {0} of the format is not known")]
    Version(u16),
    #[error(transparent)]
    Io(io::Error),
}

const fn wireless(link: u16) -> &'static str {
    match link {
        105 | 119 | 127 | 163 | 192 => " (radio frames: capture behind the access point instead)",
        _ => "",
    }
}

/// A capture that is being read.
#[derive(Debug)]
pub struct Capture<R> {
    input: Input<R>,
    format: Format,
    packets: u64,
    bytes: Vec<u8>,
}

#[derive(Debug)]
enum Format {
    Pcap(Pcap),
    Pcapng(Pcapng),
}

impl<R: Read> Capture<R> {
    /// Reads the beginning of the file.
    pub fn new(reader: R) -> Result<Self, CaptureError> {
        let mut input = Input::new(reader);
        let magic = input.array::<4>("the first four bytes").map_err(|error| match error.damage {
            Damage::Ends(_) => CaptureError { offset: 0, damage: Damage::Foreign },
            _ => error,
        })?;
        let format = match Pcap::of_magic(magic) {
            Some(dialect) => Format::Pcap(Pcap::open(dialect, &mut input)?),
            None if magic == pcapng::MAGIC => Format::Pcapng(Pcapng::open(&mut input)?),
            None => return Err(CaptureError { offset: 0, damage: Damage::Foreign }),
        };
        Ok(Self { input, format, packets: 0, bytes: Vec::new() })
    }

    /// Reads the next packet; `None` at the end of the file.
    pub fn packet(&mut self) -> Result<Option<(Packet, &[u8])>, CaptureError> {
        let record = match &mut self.format {
            Format::Pcap(pcap) => pcap.record(&mut self.input, &mut self.bytes)?,
            Format::Pcapng(pcapng) => pcapng.record(&mut self.input, &mut self.bytes)?,
        };
        let Some(record) = record else { return Ok(None) };
        self.packets += 1;
        let packet = Packet {
            number: self.packets,
            time: record.time,
            link: record.link,
            length: record.length.max(self.bytes.len() as u32),
        };
        Ok(Some((packet, &self.bytes)))
    }
}

/// What both formats say of a packet.
#[derive(Clone, Copy, Debug)]
struct Record {
    time: u64,
    link: Link,
    length: u32,
}

/// Which end of a number comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    Big,
    Little,
}

impl Order {
    const fn u16(self, bytes: [u8; 2]) -> u16 {
        match self {
            Self::Big => u16::from_be_bytes(bytes),
            Self::Little => u16::from_le_bytes(bytes),
        }
    }

    const fn u32(self, bytes: [u8; 4]) -> u32 {
        match self {
            Self::Big => u32::from_be_bytes(bytes),
            Self::Little => u32::from_le_bytes(bytes),
        }
    }
}
