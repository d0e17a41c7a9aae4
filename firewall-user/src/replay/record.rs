//! What a capture tells: records for people and, as one JSON object each, for programs.

#![expect(clippy::trivially_copy_pass_by_ref, clippy::ref_option, reason = "serde passes fields as they are")]

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

use firewall_common::{
    abi::{Addr, Protocol},
    reason::Reason,
};
use graph::operation::Verb;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

/// Something in a capture, with its place.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Record {
    /// Number of the frame that completed it, from 1.
    pub frame: u64,
    /// When that frame was captured.
    pub time: Time,
    /// Who sent it, and to whom; nobody where the headers do not say.
    #[serde(serialize_with = "end")]
    pub src: Option<SocketAddr>,
    #[serde(serialize_with = "end")]
    pub dst: Option<SocketAddr>,
    #[serde(flatten)]
    pub what: What,
}

/// What it is.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", tag = "type")]
pub enum What {
    /// A connection has shown what it speaks; `src` is its client.
    Connection {
        #[serde(serialize_with = "protocol_name")]
        protocol: Protocol,
        verb: Verb,
        /// As an edge of the graph has it: `tcp/1883 mqtt`.
        object: String,
        midstream: bool,
    },
    /// An operation, or a message that is none (`verb` and `object` are null).
    Message(Message),
    /// A frame does not pass because of its headers.
    Frame {
        #[serde(serialize_with = "reason_name")]
        reason: Reason,
    },
    /// From here on nothing of this connection passes, or nothing of this datagram.
    Stop {
        #[serde(serialize_with = "protocol_name")]
        protocol: Protocol,
        #[serde(serialize_with = "reason_name")]
        reason: Reason,
        midstream: bool,
    },
    /// The capture lacks bytes of this direction; what follows them is not decoded.
    Gap,
}

/// A message of a protocol, or one operation of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Message {
    #[serde(serialize_with = "protocol_name")]
    pub protocol: Protocol,
    /// What the protocol calls it: `PUBLISH`, `GET`, `query`.
    #[serde(rename = "message")]
    pub name: &'static str,
    /// 0 for the first record of a message; it has one for each operation.
    pub part: u16,
    #[serde(serialize_with = "verb_name")]
    pub verb: Option<Verb>,
    pub object: Option<String>,
    /// Whether the beginning of the connection is missing.
    pub midstream: bool,
    /// What the message says beside verb and object.
    pub fields: Map<String, Value>,
}

/// Nanoseconds since 1970, printed in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Time(pub u64);

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:09}", self.0 / 1_000_000_000, self.0 % 1_000_000_000)
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Record {
    /// Whether it is worth a line for people: operations and what stops, not every acknowledgement.
    pub const fn is_for_people(&self) -> bool {
        match &self.what {
            What::Message(message) => message.verb.is_some(),
            What::Frame { .. } => false,
            What::Connection { .. } | What::Stop { .. } | What::Gap => true,
        }
    }
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { frame, time, src, dst, what } = self;
        write!(f, "{time} #{frame} ")?;
        if let (Some(src), Some(dst)) = (src, dst) {
            write!(f, "{src} → {dst} ")?;
        }
        match what {
            What::Frame { reason } => write!(f, "STOP {}", reason.as_str()),
            What::Connection { verb, object, midstream, .. } => {
                write!(f, "{} {object}{}", verb.as_str(), middle(*midstream))
            }
            What::Message(message) => message.fmt(f),
            What::Stop { protocol, reason, midstream } => {
                write!(f, "{}{} STOP {}", protocol.as_str(), middle(*midstream), reason.as_str())
            }
            What::Gap => f.write_str("the capture lacks bytes here"),
        }
    }
}

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{} {}", self.protocol.as_str(), middle(self.midstream), self.name)?;
        if let Some(verb) = self.verb {
            write!(f, " {}", verb.as_str())?;
        }
        if let Some(object) = &self.object {
            // An object is a device's own text; quoted, it cannot write to a terminal or begin a line.
            write!(f, " {object:?}")?;
        }
        for (name, value) in &self.fields {
            write!(f, " {name}={value}")?;
        }
        Ok(())
    }
}

const fn middle(midstream: bool) -> &'static str {
    if midstream { " (midstream)" } else { "" }
}

/// An end of a connection, from the parser's address.
pub(super) fn socket(addr: Addr, port: u16) -> SocketAddr {
    let ip = match addr.v4() {
        Some(v4) => IpAddr::V4(Ipv4Addr::from(v4)),
        None => IpAddr::V6(Ipv6Addr::from(addr.0)),
    };
    SocketAddr::new(ip, port)
}

/// `serde` prints an address of a socket as text only for people; programs get the same.
fn end<S: Serializer>(end: &Option<SocketAddr>, serializer: S) -> Result<S::Ok, S::Error> {
    match end {
        Some(end) => serializer.collect_str(end),
        None => serializer.serialize_none(),
    }
}

fn protocol_name<S: Serializer>(protocol: &Protocol, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(protocol.as_str())
}

fn reason_name<S: Serializer>(reason: &Reason, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(reason.as_str())
}

fn verb_name<S: Serializer>(verb: &Option<Verb>, serializer: S) -> Result<S::Ok, S::Error> {
    match verb {
        Some(verb) => serializer.serialize_str(verb.as_str()),
        None => serializer.serialize_none(),
    }
}
