//! What a capture was made of, in numbers.

use std::{collections::BTreeMap, fmt, time::Duration};

use firewall_common::{abi::Protocol, reason::Reason};
use serde::{Serialize, Serializer};

use super::{
    connection::Connection,
    record::{Message, What},
};

/// Counts over one or more captures.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Summary {
    /// Packets read.
    pub packets: u64,
    /// Those that are longer than what was captured of them.
    pub cut: u64,
    /// Those whose link layer could not be read.
    pub unreadable: u64,
    /// TCP connections, and those of them whose beginning is missing.
    pub connections: u64,
    pub midstream: u64,
    /// Directions of connections of which the capture lacks bytes.
    pub gaps: u64,
    /// What each protocol said.
    #[serde(serialize_with = "by_protocol")]
    pub protocols: BTreeMap<Protocol, Counts>,
    /// Frames that do not pass because of their headers.
    #[serde(serialize_with = "by_reason")]
    pub frames_stopped: BTreeMap<Reason, u64>,
    /// Streams and datagrams that do not pass because of what they say.
    #[serde(serialize_with = "by_reason")]
    pub streams_stopped: BTreeMap<Reason, u64>,
}

/// What one protocol said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Connections, or datagrams.
    pub flows: u64,
    pub messages: u64,
    pub operations: u64,
}

impl Summary {
    pub(super) fn count(&mut self, what: &What) {
        match what {
            What::Message(Message { protocol, part, verb, .. }) => {
                let counts = self.protocols.entry(*protocol).or_default();
                counts.messages += u64::from(*part == 0);
                counts.operations += u64::from(verb.is_some());
            }
            What::Stop { reason, .. } => *self.streams_stopped.entry(*reason).or_default() += 1,
            What::Frame { reason } => *self.frames_stopped.entry(*reason).or_default() += 1,
            What::Gap => self.gaps += 1,
            What::Connection { .. } => {}
        }
    }

    pub(super) fn count_connection(&mut self, connection: &Connection) {
        self.connections += 1;
        self.midstream += u64::from(connection.is_midstream());
        if let Some(protocol) = connection.protocol() {
            self.count_flow(protocol);
        }
    }

    pub(super) fn count_flow(&mut self, protocol: Protocol) {
        self.protocols.entry(protocol).or_default().flows += 1;
    }

    /// Packets per second, if the capture took this long to replay.
    pub fn rate(&self, took: Duration) -> u64 {
        let rate = u128::from(self.packets) * 1_000_000_000 / took.as_nanos().max(1);
        u64::try_from(rate).unwrap_or(u64::MAX)
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { packets, cut, unreadable, connections, midstream, gaps, .. } = self;
        writeln!(
            f,
            "{packets} packets, {connections} connections, {midstream} of them without their beginning"
        )?;
        for (count, what) in [
            (cut, "packets are longer than what was captured of them"),
            (unreadable, "packets have a link layer that cannot be read"),
            (gaps, "directions lack bytes that the capture does not have"),
        ] {
            if *count > 0 {
                writeln!(f, "{count} {what}")?;
            }
        }
        for (protocol, Counts { flows, messages, operations }) in &self.protocols {
            let name = protocol.as_str();
            writeln!(f, "{name}: {flows} flows, {messages} messages, {operations} operations")?;
        }
        for (what, counts) in [("frames", &self.frames_stopped), ("flows", &self.streams_stopped)] {
            for (reason, count) in counts {
                writeln!(f, "stopped {what}: {count} {}", reason.as_str())?;
            }
        }
        Ok(())
    }
}

fn by_protocol<S: Serializer>(map: &BTreeMap<Protocol, Counts>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(map.iter().map(|(protocol, counts)| (protocol.as_str(), counts)))
}

fn by_reason<S: Serializer>(map: &BTreeMap<Reason, u64>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(map.iter().map(|(reason, count)| (reason.as_str(), count)))
}
