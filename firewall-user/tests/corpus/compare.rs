//! Both readings of one capture, side by side.

use std::{collections::BTreeMap, path::Path};

use crate::{
    message::Message,
    ours::{Reading, Stop},
    tshark,
};

/// What came of a capture.
#[derive(Debug, Default)]
pub(crate) struct Comparison {
    /// Messages of each protocol: read alike, only by tshark and not stopped by us, only by us.
    pub(crate) counts: BTreeMap<&'static str, Counts>,
    pub(crate) differences: Vec<Difference>,
    /// Messages of each protocol that only tshark reads, by the stop that denies them.
    pub(crate) denied: BTreeMap<(&'static str, u64, String), u64>,
}

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) equal: u64,
    pub(crate) different: u64,
    /// Only tshark reads them, in what we let through no further.
    pub(crate) denied: u64,
}

#[derive(Debug)]
pub(crate) struct Difference {
    pub(crate) side: Side,
    pub(crate) message: Message,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Side {
    /// Only tshark reads it.
    Tshark,
    /// Only ours reads it.
    Ours,
    /// Ours stops there.
    Stop,
}

impl Side {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Tshark => "tshark",
            Self::Ours => "ours",
            Self::Stop => "stop",
        }
    }
}

/// Compares message by message: equal is the same text in the same frame, as often.
pub(crate) fn compare(capture: &Path, ours: &Reading) -> Comparison {
    let mut balance: BTreeMap<&Message, i64> = BTreeMap::new();
    let theirs = tshark::messages(capture);
    for message in &theirs {
        *balance.entry(message).or_default() += 1;
    }
    let mut comparison = Comparison::default();
    for message in &ours.messages {
        let left = balance.entry(message).or_default();
        *left -= 1;
        if *left >= 0 {
            comparison.counts.entry(message.protocol).or_default().equal += 1;
        }
    }
    balance.retain(|_, left| *left != 0);
    if balance.is_empty() {
        return comparison;
    }
    let streams = tshark::streams(capture);
    let stopped = Stopped::new(&streams, &ours.stops);
    for (message, left) in balance {
        let counts = comparison.counts.entry(message.protocol).or_default();
        let count = left.unsigned_abs();
        let side = if left > 0 { Side::Tshark } else { Side::Ours };
        if let Some((frame, reason)) = stopped.by(message.frame).filter(|_| side == Side::Tshark) {
            counts.denied += count;
            *comparison.denied.entry((message.protocol, frame, reason.to_owned())).or_default() += count;
            continue;
        }
        counts.different += count;
        for _ in 0..count {
            comparison.differences.push(Difference { side, message: message.clone() });
        }
    }
    comparison
}

/// What of a capture does not pass.
struct Stopped<'a> {
    streams: &'a BTreeMap<u64, String>,
    /// What stops a stream, first.
    connections: BTreeMap<&'a str, &'a Stop>,
    frames: BTreeMap<u64, &'a Stop>,
}

impl<'a> Stopped<'a> {
    fn new(streams: &'a BTreeMap<u64, String>, stops: &'a [Stop]) -> Self {
        let mut connections: BTreeMap<&str, &Stop> = BTreeMap::new();
        let mut frames = BTreeMap::new();
        for stop in stops {
            match streams.get(&stop.frame) {
                Some(stream) if stop.connection => {
                    let first = connections.entry(stream).or_insert(stop);
                    if stop.frame < first.frame {
                        *first = stop;
                    }
                }
                _ => {
                    frames.insert(stop.frame, stop);
                }
            }
        }
        Self { streams, connections, frames }
    }

    /// The frame and reason of what stops this frame.
    fn by(&self, frame: u64) -> Option<(u64, &'a str)> {
        let connection = self.streams.get(&frame).and_then(|stream| self.connections.get(stream.as_str()));
        let stop = connection.filter(|stop| stop.frame <= frame).or_else(|| self.frames.get(&frame))?;
        Some((stop.frame, &stop.reason))
    }
}
