//! Byte machines: the same bytes say the same, wherever they are cut.

use std::fmt::Debug;

use firewall_common::hash::HashKey;
use firewall_common::wire::Event;

/// The key of all hashes here: the same bytes must say the same in every run.
pub(crate) const KEY: HashKey = HashKey::from_random(*b"the fuzzer's key");

/// A codec with everything that one direction of a connection remembers between two segments.
pub(crate) trait Machine: Copy + PartialEq + Debug {
    /// What the caller judges or keeps when an event comes.
    type Said: PartialEq + Debug;

    /// Takes one byte, as every caller does.
    fn step(&mut self, byte: u8, said: &mut impl FnMut(Event, Self::Said)) -> Event;

    /// Bytes that need not be read, at most `available`.
    fn skip(&mut self, available: u32) -> u32;

    /// A segment ends here and its state is put away.
    fn cut(&mut self) {}

    /// A datagram ends here.
    fn finish(&mut self, _said: &mut impl FnMut(Event, Self::Said)) -> Event {
        Event::More
    }
}

/// What was said, each with the offset of its last byte; the reading ends at the first wrong byte.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Transcript<M: Machine> {
    pub(crate) said: Vec<(usize, Event, M::Said)>,
    pub(crate) wrong: Option<usize>,
    /// The state behind the last byte.
    pub(crate) machine: M,
}

/// Reads the bytes whole and in pieces, compares, and returns what they say.
pub(crate) fn check<M: Machine>(start: M, bytes: &[u8], seed: u16) -> Transcript<M> {
    let stepped = read(start, bytes, std::iter::once(bytes.len()), false);
    for (name, sizes) in [("byte by byte", Sizes::one()), ("in pieces", Sizes::from_seed(seed))] {
        let cut = read(start, bytes, sizes, true);
        assert_eq!(cut.wrong, stepped.wrong, "the wrong byte, {name}");
        assert_eq!(cut.said, stepped.said, "what was said, {name}");
        assert!(cut.wrong.is_some() || cut.machine == stepped.machine, "the state at the end, {name}");
    }
    stepped
}

fn read<M: Machine>(
    mut machine: M,
    bytes: &[u8],
    sizes: impl Iterator<Item = usize>,
    skips: bool,
) -> Transcript<M> {
    let mut said = Vec::new();
    let mut at = 0;
    for size in sizes {
        let end = bytes.len().min(at + size);
        while at < end {
            if skips {
                let available = (end - at) as u32;
                let skipped = machine.skip(available);
                assert!(skipped <= available, "{skipped} of {available} bytes skipped");
                at += skipped as usize;
                if skipped != 0 {
                    continue;
                }
            }
            let event = machine.step(bytes[at], &mut |event, what| said.push((at, event, what)));
            if matches!(event, Event::Wrong(_)) {
                return Transcript { said, wrong: Some(at), machine };
            }
            at += 1;
        }
        if at == bytes.len() {
            break;
        }
        machine.cut();
    }
    let event = machine.finish(&mut |event, what| said.push((at, event, what)));
    let wrong = matches!(event, Event::Wrong(_)).then_some(at);
    Transcript { said, wrong, machine }
}

/// Sizes of pieces without end, most of them small.
struct Sizes {
    state: u32,
}

impl Sizes {
    const fn one() -> Self {
        Self { state: 0 }
    }

    const fn from_seed(seed: u16) -> Self {
        Self { state: seed as u32 | 1 << 16 }
    }
}

impl Iterator for Sizes {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        if self.state == 0 {
            return Some(1);
        }
        // Marsaglia's xorshift; never 0 again.
        self.state ^= self.state << 13;
        self.state ^= self.state >> 17;
        self.state ^= self.state << 5;
        let size = if self.state & 0x30 == 0 { self.state >> 8 & 0x3ff } else { self.state >> 8 & 0x0f };
        Some(size as usize + 1)
    }
}
