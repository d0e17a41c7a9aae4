//! What a connection says: the machines of the kernel programs, one for each direction, and their events as messages.

// What speaks when nothing is said yet.
mod recognise;

// One file per protocol.
mod http;
mod modbus;
mod mqtt;
mod tls;

use firewall_common::{abi::Protocol, hash::HashKey, reason::Reason, wire::Sender};
use graph::operation::Verb;
use serde_json::{Map, Value};

use super::record::Message;
pub(super) use recognise::{Guess, recognise};

/// The key of the hashes, which nothing here compares.
pub(super) fn key() -> HashKey {
    HashKey::from_random([0x55; 16])
}

/// A connection whose protocol is known.
#[derive(Debug)]
pub(super) enum Speech {
    Mqtt(Box<mqtt::Mqtt>),
    Http(Box<http::Http>),
    Tls(Box<tls::Tls>),
    Modbus(Box<modbus::Modbus>),
    /// Recognised and not looked into, or not recognised.
    Opaque,
}

impl Speech {
    pub(super) fn of(protocol: Protocol) -> Self {
        match protocol {
            Protocol::Mqtt => Self::Mqtt(Box::default()),
            Protocol::Http => Self::Http(Box::default()),
            Protocol::Tls => Self::Tls(Box::default()),
            Protocol::Modbus => Self::Modbus(Box::default()),
            Protocol::Opaque
            | Protocol::Coap
            | Protocol::Dns
            | Protocol::Ntp
            | Protocol::Ssdp
            | Protocol::Dtls
            | Protocol::Quic
            | Protocol::Websocket => Self::Opaque,
        }
    }

    /// Takes bytes of one direction; an error ends both.
    pub(super) fn hear(
        &mut self,
        sender: Sender,
        bytes: &[u8],
        said: &mut Vec<Message>,
    ) -> Result<(), Reason> {
        match self {
            Self::Mqtt(mqtt) => mqtt.hear(sender, bytes, said),
            Self::Http(http) => http.hear(sender, bytes, said),
            Self::Tls(tls) => tls.hear(sender, bytes, said),
            Self::Modbus(modbus) => modbus.hear(sender, bytes, said),
            Self::Opaque => Ok(()),
        }
    }

    /// Whether what was heard can be nothing else.
    fn is_certain(&self) -> bool {
        match self {
            Self::Mqtt(mqtt) => mqtt.is_certain(),
            Self::Http(http) => http.is_certain(),
            Self::Tls(tls) => tls.is_certain(),
            Self::Modbus(modbus) => modbus.is_certain(),
            Self::Opaque => true,
        }
    }

    /// What was judged of a message that never ended.
    pub(super) fn unfinished(&mut self, sender: Sender, said: &mut Vec<Message>) {
        match self {
            Self::Mqtt(mqtt) => mqtt.unfinished(sender, said),
            Self::Modbus(modbus) if sender == Sender::Client => modbus.unfinished(said),
            Self::Http(http) if sender == Sender::Client => http.unfinished(said),
            // A name of TLS is judged where the hello ends.
            Self::Modbus(_) | Self::Http(_) | Self::Tls(_) | Self::Opaque => {}
        }
    }
}

/// Messages of one protocol that are being gathered.
#[derive(Debug)]
pub(super) struct Draft {
    protocol: Protocol,
    operations: Vec<(Verb, String)>,
    fields: Map<String, Value>,
}

impl Draft {
    pub(super) fn new(protocol: Protocol) -> Self {
        Self { protocol, operations: Vec::new(), fields: Map::new() }
    }

    pub(super) fn operation(&mut self, verb: Verb, object: &[u8]) {
        self.operations.push((verb, String::from_utf8_lossy(object).into_owned()));
    }

    pub(super) fn field(&mut self, name: &str, value: impl Into<Value>) {
        self.fields.insert(name.to_owned(), value.into());
    }

    /// Whether something of the message was judged.
    pub(super) const fn has_operation(&self) -> bool {
        !self.operations.is_empty()
    }

    /// The message is a whole datagram.
    pub(super) fn one(mut self, name: &'static str) -> Vec<Message> {
        let mut said = Vec::new();
        self.finish(name, &mut said);
        said
    }

    /// The message will not be complete: what was judged of it was let through all the same.
    fn abandon(&mut self, name: &'static str, said: &mut Vec<Message>) {
        if !self.operations.is_empty() {
            self.field("unfinished", true);
            self.finish(name, said);
        }
    }

    /// The message is complete: one record for each operation, or one without.
    fn finish(&mut self, name: &'static str, said: &mut Vec<Message>) {
        let fields = std::mem::take(&mut self.fields);
        let message = |part, verb, object| Message {
            protocol: self.protocol,
            name,
            part,
            verb,
            object,
            midstream: false,
            fields: fields.clone(),
        };
        if self.operations.is_empty() {
            said.push(message(0, None, None));
        }
        for (part, (verb, object)) in (0..).zip(self.operations.drain(..)) {
            said.push(message(part, Some(verb), Some(object)));
        }
    }
}
