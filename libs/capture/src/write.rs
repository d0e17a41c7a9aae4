//! Writes captures: pcap in little-endian order, with nanoseconds.

use std::io::{self, Write};

use super::{Link, PACKET_CAP};

/// What a file begins with.
const MAGIC: u32 = 0xa1b2_3c4d;
const VERSION: [u16; 2] = [2, 4];

/// A capture that is being written.
#[derive(Debug)]
pub struct Writer<W> {
    output: W,
}

impl<W: Write> Writer<W> {
    /// Writes the beginning of the file.
    pub fn new(mut output: W, link: Link) -> io::Result<Self> {
        output.write_all(&MAGIC.to_le_bytes())?;
        for part in VERSION {
            output.write_all(&part.to_le_bytes())?;
        }
        for word in [0, 0, PACKET_CAP, u32::from(link.code())] {
            output.write_all(&word.to_le_bytes())?;
        }
        Ok(Self { output })
    }

    /// Writes a packet: nanoseconds since 1970, its length on the wire, and as many of its bytes as there are.
    pub fn packet(&mut self, time: u64, length: u32, bytes: &[u8]) -> io::Result<()> {
        let bytes = bytes.get(..PACKET_CAP as usize).unwrap_or(bytes);
        let (seconds, nanoseconds) = (time / 1_000_000_000, time % 1_000_000_000);
        for word in [seconds as u32, nanoseconds as u32, bytes.len() as u32, length] {
            self.output.write_all(&word.to_le_bytes())?;
        }
        self.output.write_all(bytes)
    }

    /// Writes what is still on its way.
    pub fn finish(mut self) -> io::Result<()> {
        self.output.flush()
    }
}
