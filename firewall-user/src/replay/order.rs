//! One direction of a TCP connection, in sequence.
//!
//! A capture shows what a network did, so segments come twice and out of order. What is next in sequence goes on, what
//! was seen before is ignored, and what is early waits, within bounds. A segment that the capture lacks is never waited
//! for beyond them: from there on this direction is lost, until a new connection.

use std::collections::BTreeMap;

/// Most bytes that one direction may have waiting: more than most windows of a device.
pub(super) const WAITING_BYTES: usize = 1 << 20;
/// Most bytes that all connections may have waiting.
pub(super) const ALL_WAITING_BYTES: usize = 32 << 20;
/// Most segments that one direction may have waiting.
const WAITING_PIECES: usize = 2048;
/// What a waiting segment costs beside its bytes.
const PIECE: usize = 64;

/// The bytes of one direction, in sequence.
#[derive(Debug, Default)]
pub(super) struct InOrder {
    /// Sequence number of the next byte; `None` before the first one is known.
    next: Option<u32>,
    /// Bytes that went on.
    position: u64,
    /// Early bytes, by position.
    waiting: BTreeMap<u64, Box<[u8]>>,
    held: usize,
    lost: bool,
}

/// A direction lacks bytes that never came.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Gap;

impl InOrder {
    /// The next byte has this sequence number.
    pub(super) const fn begin(&mut self, next: u32) {
        self.next = Some(next);
    }

    /// Whether the place of the next byte is known.
    pub(super) const fn has_begun(&self) -> bool {
        self.next.is_some()
    }

    /// Whether bytes wait for earlier ones.
    pub(super) fn lacks_bytes(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Memory that waiting bytes take.
    pub(super) const fn held(&self) -> usize {
        self.held
    }

    /// What of a segment is next in sequence; the rest waits or is old. `room` is what all connections may still hold.
    pub(super) fn take<'a>(&mut self, seq: u32, bytes: &'a [u8], room: usize) -> Result<&'a [u8], Gap> {
        if self.lost || bytes.is_empty() {
            return Ok(&[]);
        }
        let next = *self.next.get_or_insert(seq);
        // Positions are compared as sequence numbers (RFC 9293, section 3.4).
        let ahead = seq.wrapping_sub(next).cast_signed();
        if ahead <= 0 {
            let fresh = bytes.get(ahead.unsigned_abs() as usize..).unwrap_or_default();
            self.advance(fresh.len());
            return Ok(fresh);
        }
        let position = self.position + u64::from(ahead.unsigned_abs());
        if self.waiting.get(&position).is_some_and(|piece| piece.len() >= bytes.len()) {
            return Ok(&[]);
        }
        if let Some(shorter) = self.waiting.remove(&position) {
            self.held -= shorter.len() + PIECE;
        }
        let held = self.held + bytes.len() + PIECE;
        if held > WAITING_BYTES || self.waiting.len() == WAITING_PIECES || bytes.len() + PIECE > room {
            self.lose();
            return Err(Gap);
        }
        self.held = held;
        self.waiting.insert(position, bytes.into());
        Ok(&[])
    }

    /// A waiting piece that has become next in sequence.
    pub(super) fn ready(&mut self) -> Option<Vec<u8>> {
        loop {
            let entry = self.waiting.first_entry()?;
            let old = usize::try_from(self.position.checked_sub(*entry.key())?).ok()?;
            let mut piece = entry.remove().into_vec();
            self.held -= piece.len() + PIECE;
            if old < piece.len() {
                piece.drain(..old);
                self.advance(piece.len());
                return Some(piece);
            }
        }
    }

    /// Nothing more is expected of this direction.
    pub(super) fn lose(&mut self) {
        self.lost = true;
        self.waiting.clear();
        self.held = 0;
    }

    const fn advance(&mut self, bytes: usize) {
        self.position += bytes as u64;
        if let Some(next) = self.next {
            self.next = Some(next.wrapping_add(bytes as u32));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn take(order: &mut InOrder, seq: u32, bytes: &[u8]) -> Vec<u8> {
        let mut taken = order.take(seq, bytes, ALL_WAITING_BYTES).unwrap().to_vec();
        while let Some(piece) = order.ready() {
            taken.extend(piece);
        }
        taken
    }

    proptest! {
        /// Any cut, order and repetition of a stream gives the stream.
        #[test]
        fn pieces_become_the_stream(
            start: u32,
            stream in proptest::collection::vec(any::<u8>(), 1..400),
            cuts in proptest::collection::vec((0_usize..400, 1_usize..80), 0..60),
        ) {
            let mut order = InOrder::default();
            order.begin(start);
            let mut taken = Vec::new();
            let whole = (0..stream.len()).rev().step_by(7).map(|from| (from, 8)).chain([(0, 8)]);
            for (from, length) in cuts.into_iter().filter(|(from, _)| *from < stream.len()).chain(whole) {
                let to = stream.len().min(from + length);
                taken.extend(take(&mut order, start.wrapping_add(from as u32), &stream[from..to]));
            }
            prop_assert_eq!(taken, stream);
            prop_assert_eq!((order.held(), order.lacks_bytes()), (0, false));
        }
    }

    #[test]
    fn a_gap_loses_the_direction_and_frees_its_memory() {
        let mut order = InOrder::default();
        order.begin(100);
        let segment = [0; 1024];
        let mut seq = 101_u32;
        while order.take(seq, &segment, ALL_WAITING_BYTES).is_ok() {
            assert!(order.held() <= WAITING_BYTES);
            seq += 1024;
        }
        assert_eq!(order.held(), 0);
        assert_eq!(take(&mut order, 100, b"late"), b"");
    }

    #[test]
    fn no_room_is_a_gap() {
        let mut order = InOrder::default();
        order.begin(0);
        assert_eq!(order.take(1, b"early", 10), Err(Gap));
    }
}
