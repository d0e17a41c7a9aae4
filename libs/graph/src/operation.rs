//! What is done: on which plane, with which verb, to which object.

use firewall_common::abi;
use serde::{Deserialize, Serialize};

use crate::filter::{Filter, FilterError};

/// IP protocol numbers that have a name here.
const ICMP: u8 = 1;
pub(crate) const TCP: u8 = 6;
const UDP: u8 = 17;
const ICMP6: u8 = 58;

macro_rules! words {
    ($(#[$doc:meta])* $type:ident { $($(#[$item_doc:meta])* $name:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum $type { $($(#[$item_doc])* $name,)* }

        impl $type {
            /// Every value.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The name in every output.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// The value with this name.
            pub fn from_name(name: &str) -> Option<Self> {
                match name { $($text => Some(Self::$name),)* _ => None }
            }
        }
    };
}
words! {
    /// Which kind of path an edge is.
    Plane {
        /// Frames, packets and the messages in them.
        Packet = "packet",
        /// Messages that a relay of ours passes on.
        Relay = "relay",
        /// Reads and writes of the site's store.
        Store = "store",
        /// Replication between brokers.
        Sync = "sync",
        /// Administration.
        Admin = "admin",
    }
}
words! {
    /// What is done.
    Verb {
        Connect = "connect",
        Get = "get",
        Set = "set",
        Publish = "publish",
        Subscribe = "subscribe",
        Discover = "discover",
        Resolve = "resolve",
        Push = "push",
        Read = "read",
        Write = "write",
        Delete = "delete",
        Replicate = "replicate",
    }
}

/// Which client ids are meant.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Client {
    Exact(String),
    /// The client makes a new id each time.
    Any,
}

/// What it is done to, in the protocol's own text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Object {
    /// A port of TCP or UDP, or a type of ICMP.
    Port { proto: u8, port: u16 },
    /// Frames that are not IP.
    Ethertype(u16),
    /// An MQTT client id at the broker on this TCP port.
    Client { port: u16, id: Client },
    /// An MQTT topic or filter at the broker on this TCP port.
    Topic { port: u16, filter: Filter },
}

/// A verb and its object, in a combination that can be enforced.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Operation {
    pub verb: Verb,
    pub object: Object,
}

/// Not an operation.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OperationError {
    #[error("there is no plane `{0}`; planes are packet, relay, store, sync and admin")]
    Plane(String),
    #[error("the plane {0} is not enforced by this version; use packet")]
    PlaneLater(&'static str),
    #[error("there is no verb `{0}`; on the packet plane use connect, publish or subscribe")]
    Verb(String),
    #[error(
        "`{0}` is not an object of connect; write `tcp/443`, `udp/53`, `icmp/8`, `ip/47`, `ether/88cc` or `client:ID`"
    )]
    Object(String),
    #[error(transparent)]
    Filter(#[from] FilterError),
    #[error("a topic that is published to names one path; `#` and `+` are for rules over several")]
    TopicWild,
    #[error("a client id may have 256 bytes, not more")]
    ClientTooLong,
    #[error("bytes that are not UTF-8")]
    NotText,
}

impl Operation {
    /// Reads what someone wrote; messages are meant at the broker on `mqtt_port`.
    pub fn parse(
        plane: &str,
        verb: &str,
        object: &str,
        mqtt_port: u16,
    ) -> Result<(Plane, Self), OperationError> {
        let plane = match Plane::from_name(plane).ok_or_else(|| OperationError::Plane(plane.to_owned()))? {
            Plane::Packet => Plane::Packet,
            later @ (Plane::Relay | Plane::Store | Plane::Sync | Plane::Admin) => {
                return Err(OperationError::PlaneLater(later.as_str()));
            }
        };
        let wrong_verb = || OperationError::Verb(verb.to_owned());
        let verb = Verb::from_name(verb).ok_or_else(wrong_verb)?;
        let object = match verb {
            Verb::Connect => match object.strip_prefix("client:") {
                Some(id) => Object::Client { port: mqtt_port, id: Client::parse(id)? },
                None => parse_port(object).ok_or_else(|| OperationError::Object(object.to_owned()))?,
            },
            Verb::Publish | Verb::Subscribe => {
                Object::Topic { port: mqtt_port, filter: Filter::try_from(object)? }
            }
            Verb::Get
            | Verb::Set
            | Verb::Discover
            | Verb::Resolve
            | Verb::Push
            | Verb::Read
            | Verb::Write
            | Verb::Delete
            | Verb::Replicate => return Err(wrong_verb()),
        };
        Ok((plane, Self { verb, object }))
    }

    /// Reads what the kernel saw; `None` for facts that are no operation.
    pub fn from_wire(
        kind: abi::Kind,
        proto: u8,
        port: u16,
        object: &[u8],
    ) -> Result<Option<Self>, OperationError> {
        let text = || std::str::from_utf8(object).map_err(|_| OperationError::NotText);
        let (verb, object) = match kind {
            abi::Kind::Transport => (Verb::Connect, Object::Port { proto, port }),
            abi::Kind::Link => (Verb::Connect, Object::Ethertype(port)),
            abi::Kind::MqttConnect => {
                (Verb::Connect, Object::Client { port, id: Client::Exact(checked_id(text()?)?) })
            }
            abi::Kind::MqttPublish => {
                let filter = Filter::try_from(text()?)?;
                if filter.is_wild() {
                    return Err(OperationError::TopicWild);
                }
                (Verb::Publish, Object::Topic { port, filter })
            }
            abi::Kind::MqttSubscribe => {
                (Verb::Subscribe, Object::Topic { port, filter: Filter::try_from(text()?)? })
            }
            abi::Kind::DhcpName | abi::Kind::Overflow | abi::Kind::Speaks | abi::Kind::MqttUser => return Ok(None),
            abi::Kind::HttpGet
            | abi::Kind::HttpSet
            | abi::Kind::HttpDelete
            | abi::Kind::CoapGet
            | abi::Kind::CoapSet
            | abi::Kind::CoapDelete
            | abi::Kind::CoapObserve
            | abi::Kind::ModbusRead
            | abi::Kind::ModbusWrite
            | abi::Kind::TlsName => return Ok(None),
        };
        Ok(Some(Self { verb, object }))
    }

    /// The object as people read it: `tcp/1883`, `client:lock-1`, `lock/front/set`.
    pub fn object_text(&self) -> String {
        match &self.object {
            Object::Port { proto: TCP, port } => format!("tcp/{port}"),
            Object::Port { proto: UDP, port } => format!("udp/{port}"),
            Object::Port { proto: ICMP, port } => format!("icmp/{port}"),
            Object::Port { proto: ICMP6, port } => format!("icmp6/{port}"),
            Object::Port { proto, port: 0 } => format!("ip/{proto}"),
            Object::Port { proto, port } => format!("ip/{proto}/{port}"),
            Object::Ethertype(ethertype) => format!("ether/{ethertype:04x}"),
            Object::Client { id, .. } => format!("client:{}", id.text()),
            Object::Topic { filter, .. } => filter.as_str().to_owned(),
        }
    }

    /// The broker's port, for messages.
    pub const fn broker_port(&self) -> Option<u16> {
        match &self.object {
            Object::Client { port, .. } | Object::Topic { port, .. } => Some(*port),
            Object::Port { .. } | Object::Ethertype(_) => None,
        }
    }

    /// The topic or filter, for messages that have one.
    pub const fn filter(&self) -> Option<&Filter> {
        match &self.object {
            Object::Topic { filter, .. } => Some(filter),
            Object::Client { .. } | Object::Port { .. } | Object::Ethertype(_) => None,
        }
    }

    /// How the kernel's `EDGES` keys it: as it is for a transport, and the transport below for a message.
    pub(crate) const fn transport(&self) -> (abi::Kind, u8, u16) {
        match &self.object {
            Object::Port { proto, port } => (abi::Kind::Transport, *proto, *port),
            Object::Ethertype(ethertype) => (abi::Kind::Link, 0, *ethertype),
            Object::Client { port, .. } | Object::Topic { port, .. } => (abi::Kind::Transport, TCP, *port),
        }
    }

    /// Whether it is a message inside a transport.
    pub const fn is_message(&self) -> bool {
        self.broker_port().is_some()
    }
}

impl Client {
    /// Reads what someone wrote: `+` is any id, a backslash makes the next character literal.
    fn parse(text: &str) -> Result<Self, OperationError> {
        match text {
            "+" => Ok(Self::Any),
            other => checked_id(other.strip_prefix('\\').unwrap_or(other)).map(Self::Exact),
        }
    }

    fn text(&self) -> String {
        match self {
            Self::Any => "+".to_owned(),
            Self::Exact(id) if id == "+" || id.starts_with('\\') => format!("\\{id}"),
            Self::Exact(id) => id.clone(),
        }
    }
}

fn checked_id(id: &str) -> Result<String, OperationError> {
    if id.len() > abi::OBJECT_CAP {
        return Err(OperationError::ClientTooLong);
    }
    Ok(id.to_owned())
}

fn parse_port(text: &str) -> Option<Object> {
    let (name, rest) = text.split_once('/')?;
    let proto = match name {
        "tcp" => TCP,
        "udp" => UDP,
        "icmp" => ICMP,
        "icmp6" => ICMP6,
        "ether" => return u16::from_str_radix(rest.trim_start_matches("0x"), 16).ok().map(Object::Ethertype),
        "ip" => {
            let (proto, port) = rest.split_once('/').unwrap_or((rest, "0"));
            return Some(Object::Port { proto: proto.parse().ok()?, port: port.parse().ok()? });
        }
        _ => return None,
    };
    Some(Object::Port { proto, port: rest.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_can_be_written() {
        for (verb, object) in [
            ("connect", "tcp/1883"),
            ("connect", "udp/53"),
            ("connect", "icmp/8"),
            ("connect", "icmp6/128"),
            ("connect", "ip/47"),
            ("connect", "ip/132/7"),
            ("connect", "ether/88cc"),
            ("connect", "client:"),
            ("connect", "client:lock-1"),
            ("connect", "client:+"),
            ("connect", "client:\\+"),
            ("connect", "client:\\\\+"),
            ("publish", "lock/front/set"),
            ("subscribe", "site/+/#"),
        ] {
            let (plane, operation) = Operation::parse("packet", verb, object, 1883).unwrap();
            assert_eq!(plane, Plane::Packet);
            assert_eq!(operation.object_text(), object);
        }
    }

    #[test]
    fn a_client_id_from_the_wire_is_never_a_wildcard() {
        let seen = Operation::from_wire(abi::Kind::MqttConnect, 6, 1883, b"+").unwrap().unwrap();
        assert_eq!(seen.object, Object::Client { port: 1883, id: Client::Exact("+".into()) });
        assert_eq!(seen.object_text(), "client:\\+");
    }

    #[test]
    fn mistakes_are_named() {
        let parse = |plane, verb, object| Operation::parse(plane, verb, object, 1883).unwrap_err();
        assert_eq!(parse("pakket", "connect", "tcp/1"), OperationError::Plane("pakket".into()));
        assert_eq!(parse("relay", "connect", "tcp/1"), OperationError::PlaneLater("relay"));
        assert_eq!(parse("packet", "replicate", "x"), OperationError::Verb("replicate".into()));
        assert_eq!(parse("packet", "connect", "tcp/70000"), OperationError::Object("tcp/70000".into()));
        assert_eq!(parse("packet", "publish", "a/#/b"), OperationError::Filter(FilterError::Wildcard));
        assert_eq!(
            Operation::from_wire(abi::Kind::MqttPublish, 6, 1883, b"a/+"),
            Err(OperationError::TopicWild)
        );
        assert_eq!(
            Operation::from_wire(abi::Kind::MqttPublish, 6, 1883, b"\xff"),
            Err(OperationError::NotText)
        );
    }
}
