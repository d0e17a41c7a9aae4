//! A reader that knows where it is.

use std::io::{self, Read};

use super::{CaptureError, Damage};

/// Bytes that are asked of the reader at once when a packet or block grows.
const STEP: usize = 64 * 1024;

#[derive(Debug)]
pub(super) struct Input<R> {
    reader: R,
    /// Bytes read so far.
    offset: u64,
}

impl<R: Read> Input<R> {
    pub(super) const fn new(reader: R) -> Self {
        Self { reader, offset: 0 }
    }

    pub(super) const fn offset(&self) -> u64 {
        self.offset
    }

    /// Reads exactly `N` bytes of `what`.
    pub(super) fn array<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], CaptureError> {
        self.next_array(what)?.ok_or_else(|| self.ends(what))
    }

    /// Reads exactly `N` bytes of `what`, or `None` if the file ends before the first of them.
    pub(super) fn next_array<const N: usize>(
        &mut self,
        what: &'static str,
    ) -> Result<Option<[u8; N]>, CaptureError> {
        let mut bytes = [0; N];
        match self.fill(&mut bytes)? {
            0 => Ok(None),
            read if read == N => Ok(Some(bytes)),
            _ => Err(self.ends(what)),
        }
    }

    /// Reads exactly `length` bytes of `what` into `bytes`, which grows only as they come.
    pub(super) fn bytes(
        &mut self,
        bytes: &mut Vec<u8>,
        length: u32,
        what: &'static str,
    ) -> Result<(), CaptureError> {
        bytes.clear();
        let length = length as usize;
        while bytes.len() < length {
            let from = bytes.len();
            bytes.resize(length.min(from + STEP), 0);
            let wanted = bytes.len() - from;
            let read = self.fill(bytes.get_mut(from..).unwrap_or_default())?;
            if read < wanted {
                return Err(self.ends(what));
            }
        }
        Ok(())
    }

    /// Passes over `length` bytes of `what`.
    pub(super) fn skip(&mut self, length: u64, what: &'static str) -> Result<(), CaptureError> {
        let skipped = io::copy(&mut (&mut self.reader).take(length), &mut io::sink())
            .map_err(|error| self.fault(Damage::Io(error)))?;
        self.offset += skipped;
        if skipped < length { Err(self.ends(what)) } else { Ok(()) }
    }

    /// An error here.
    pub(super) const fn fault(&self, damage: Damage) -> CaptureError {
        CaptureError { offset: self.offset, damage }
    }

    fn ends(&self, what: &'static str) -> CaptureError {
        self.fault(Damage::Ends(what))
    }

    /// Reads until `bytes` is full or the file ends, and says how many there were.
    fn fill(&mut self, bytes: &mut [u8]) -> Result<usize, CaptureError> {
        let mut filled = 0;
        while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match self.reader.read(rest) {
                Ok(0) => break,
                Ok(read) => {
                    filled += read;
                    self.offset += read as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.fault(Damage::Io(error))),
            }
        }
        Ok(filled)
    }
}
