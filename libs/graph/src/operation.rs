//! What is done: on which plane, with which verb, to which object.

use firewall_common::abi::{self, Protocol};
use serde::{Deserialize, Serialize};

use crate::filter::Filter;
use crate::host::{HostName, NotAName};

mod read;
pub(crate) mod registers;
pub(crate) mod route;

pub use read::Fault;
pub use registers::Registers;
pub use route::Route;

/// IP protocol numbers that have a name here.
const ICMP: u8 = 1;
pub(crate) const TCP: u8 = 6;
pub(crate) const UDP: u8 = 17;
/// Port of DNS.
const DNS: u16 = 53;
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

/// Which client ids, or other names that someone chose, are meant.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Name {
    Exact(String),
    /// The client makes a new one each time.
    Any,
}

/// What it is done to, in the protocol's own text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Object {
    /// A port of TCP or UDP, or a type of ICMP.
    Port { proto: u8, port: u16 },
    /// What a connection to such a port speaks.
    Speaks {
        proto: u8,
        port: u16,
        #[serde(with = "crate::serial::protocol")]
        protocol: Protocol,
    },
    /// Frames that are not IP.
    Ethertype(u16),
    /// An MQTT client id at the broker on this TCP port.
    Client { port: u16, id: Name },
    /// An MQTT user name at the broker on this TCP port.
    User { port: u16, name: Name },
    /// An MQTT topic or filter at the broker on this TCP port.
    Topic { port: u16, filter: Filter },
    /// Host and path of an HTTP request to this TCP port.
    Http { port: u16, route: Route },
    /// Host and path of a CoAP request to this UDP port.
    Coap { port: u16, route: Route },
    /// Addresses of a Modbus request to this TCP port.
    Registers { port: u16, registers: Registers },
    /// The name in a TLS `ClientHello` to this TCP port.
    ServerName { port: u16, name: Name },
    /// What the site's resolver is asked for: a name, or all names of a domain.
    Domain(HostName),
}

/// A verb and its object, in a combination that can be enforced.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Operation {
    pub verb: Verb,
    pub object: Object,
}

/// Where an operation is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Layer {
    /// An entry of `EDGES`.
    Transport,
    /// A bit of such an entry: what its connections speak.
    Protocol,
    /// A rule inside a transport.
    Message,
    /// An entry of `DOMAINS`.
    Name,
}

/// Not an operation.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OperationError {
    #[error("there is no plane `{0}`; planes are packet, relay, store, sync and admin")]
    Plane(String),
    #[error("the plane {0} is not enforced by this version; use packet")]
    PlaneLater(&'static str),
    #[error(
        "there is no verb `{0}`; on the packet plane use connect, publish, subscribe, get, set, delete, read, write or resolve"
    )]
    Verb(String),
    /// Characters count from 1.
    #[error("`{object}`, character {at}: {why}")]
    Object { object: String, at: usize, why: &'static str },
    #[error("a topic that is published to names one path; `#` and `+` are for rules over several")]
    TopicWild,
    #[error("bytes that are not UTF-8")]
    NotText,
    #[error(transparent)]
    NotAName(NotAName),
}

impl Operation {
    /// Opens a connection to a port, or sends ICMP of a type.
    pub const fn connect(proto: u8, port: u16) -> Self {
        Self { verb: Verb::Connect, object: Object::Port { proto, port } }
    }

    /// Speaks a protocol in a connection to a port.
    pub const fn speaks(proto: u8, port: u16, protocol: Protocol) -> Self {
        Self { verb: Verb::Connect, object: Object::Speaks { proto, port, protocol } }
    }

    /// Sends frames that are not IP.
    pub const fn ethertype(ethertype: u16) -> Self {
        Self { verb: Verb::Connect, object: Object::Ethertype(ethertype) }
    }

    /// Reads what someone wrote; MQTT messages that name no port are meant at the broker on `mqtt_port`.
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
        let read = read::object(verb, object, mqtt_port).ok_or_else(wrong_verb)?;
        Ok((plane, Self { verb, object: read.map_err(|fault| OperationError::of(object, fault))? }))
    }

    /// Reads what the kernel saw; `None` for facts that are no operation.
    pub fn from_wire(
        kind: abi::Kind,
        proto: u8,
        port: u16,
        object: &[u8],
    ) -> Result<Option<Self>, OperationError> {
        use abi::Kind;
        let text = || std::str::from_utf8(object).map_err(|_| OperationError::NotText);
        let wrong = |fault| OperationError::of(&String::from_utf8_lossy(object), fault);
        let name = || read::checked_name(text()?).map(Name::Exact).map_err(wrong);
        let filter = || Filter::try_from(text()?).map_err(|error| wrong(error.fault()));
        let http = || Ok(Object::Http { port, route: Route::from_wire(text()?).map_err(wrong)? });
        let coap = || Ok(Object::Coap { port, route: Route::from_wire(text()?).map_err(wrong)? });
        let modbus = || {
            let registers = Registers::parse(text()?).map_err(wrong)?;
            Ok(Object::Registers { port, registers })
        };
        let (verb, object) = match kind {
            Kind::Transport => (Verb::Connect, Object::Port { proto, port }),
            Kind::Link => (Verb::Connect, Object::Ethertype(port)),
            Kind::MqttConnect => (Verb::Connect, Object::Client { port, id: name()? }),
            Kind::MqttUser => (Verb::Connect, Object::User { port, name: name()? }),
            Kind::MqttPublish => {
                let filter = filter()?;
                if filter.is_wild() {
                    return Err(OperationError::TopicWild);
                }
                (Verb::Publish, Object::Topic { port, filter })
            }
            Kind::MqttSubscribe => (Verb::Subscribe, Object::Topic { port, filter: filter()? }),
            Kind::Speaks => match Protocol::from_name(text()?) {
                Some(protocol) => (Verb::Connect, Object::Speaks { proto, port, protocol }),
                None => return Ok(None),
            },
            Kind::HttpGet => (Verb::Get, http()?),
            Kind::HttpSet => (Verb::Set, http()?),
            Kind::HttpDelete => (Verb::Delete, http()?),
            Kind::CoapGet => (Verb::Get, coap()?),
            Kind::CoapSet => (Verb::Set, coap()?),
            Kind::CoapDelete => (Verb::Delete, coap()?),
            Kind::CoapObserve => (Verb::Subscribe, coap()?),
            Kind::ModbusRead => (Verb::Read, modbus()?),
            Kind::ModbusWrite => (Verb::Write, modbus()?),
            Kind::TlsName => (Verb::Connect, Object::ServerName { port, name: name()? }),
            Kind::Resolve => {
                let name = HostName::parse(text()?).map_err(OperationError::NotAName)?;
                (Verb::Resolve, Object::Domain(name.registrable().unwrap_or(name)))
            }
            Kind::DhcpName | Kind::Overflow | Kind::LoginFailed => return Ok(None),
        };
        Ok(Some(Self { verb, object }))
    }

    /// Which of the kernel's facts are about it.
    pub const fn kind(&self) -> abi::Kind {
        use abi::Kind;
        match (&self.object, self.verb) {
            (Object::Port { .. }, _) => Kind::Transport,
            (Object::Speaks { .. }, _) => Kind::Speaks,
            (Object::Ethertype(_), _) => Kind::Link,
            (Object::Client { .. }, _) => Kind::MqttConnect,
            (Object::User { .. }, _) => Kind::MqttUser,
            (Object::Topic { .. }, Verb::Subscribe) => Kind::MqttSubscribe,
            (Object::Topic { .. }, _) => Kind::MqttPublish,
            (Object::Http { .. }, Verb::Get) => Kind::HttpGet,
            (Object::Http { .. }, Verb::Delete) => Kind::HttpDelete,
            (Object::Http { .. }, _) => Kind::HttpSet,
            (Object::Coap { .. }, Verb::Get) => Kind::CoapGet,
            (Object::Coap { .. }, Verb::Delete) => Kind::CoapDelete,
            (Object::Coap { .. }, Verb::Subscribe) => Kind::CoapObserve,
            (Object::Coap { .. }, _) => Kind::CoapSet,
            (Object::Registers { .. }, Verb::Write) => Kind::ModbusWrite,
            (Object::Registers { .. }, _) => Kind::ModbusRead,
            (Object::ServerName { .. }, _) => Kind::TlsName,
            (Object::Domain(_), _) => Kind::Resolve,
        }
    }

    /// The object as people read it: `tcp/1883`, `client:lock-1`, `lock/front/set`, `http:8080:/api/+`.
    ///
    /// Messages at another port than their protocol's own name it behind their scheme.
    pub fn object_text(&self) -> String {
        let at = |scheme: &str, port: u16, usual: u16, rest: &str| {
            if port == usual { format!("{scheme}:{rest}") } else { format!("{scheme}:{port}:{rest}") }
        };
        let mqtt = |port: u16, text: String| {
            let ambiguous = text.starts_with("mqtt:") || text.starts_with("coap:");
            if port == read::MQTT && !ambiguous { text } else { format!("mqtt:{port}:{text}") }
        };
        match &self.object {
            Object::Port { proto, port } => port_text(*proto, *port),
            Object::Speaks { proto, port, protocol } => {
                format!("{} {}", port_text(*proto, *port), protocol.as_str())
            }
            Object::Ethertype(ethertype) => format!("ether/{ethertype:04x}"),
            Object::Client { port, id } => mqtt(*port, format!("client:{}", id.text())),
            Object::User { port, name } => mqtt(*port, format!("user:{}", name.text())),
            Object::Topic { port, filter } => mqtt(*port, filter.as_str().to_owned()),
            Object::Http { port, route } => at("http", *port, read::HTTP, &route.text()),
            Object::Coap { port, route } => at("coap", *port, read::COAP, &route.text()),
            Object::Registers { port, registers } => at("modbus", *port, read::MODBUS, &registers.text()),
            Object::ServerName { port, name } => at("tls", *port, read::TLS, &name.text()),
            Object::Domain(name) => name.to_string(),
        }
    }

    /// The topic or filter, for MQTT messages that have one.
    pub const fn filter(&self) -> Option<&Filter> {
        match &self.object {
            Object::Topic { filter, .. } => Some(filter),
            Object::Port { .. }
            | Object::Speaks { .. }
            | Object::Ethertype(_)
            | Object::Client { .. }
            | Object::User { .. }
            | Object::Http { .. }
            | Object::Coap { .. }
            | Object::Registers { .. }
            | Object::ServerName { .. }
            | Object::Domain(_) => None,
        }
    }

    /// The IP protocol and port that it is done at; none for frames that are not IP.
    pub const fn end(&self) -> Option<(u8, u16)> {
        match &self.object {
            Object::Port { proto, port } | Object::Speaks { proto, port, .. } => Some((*proto, *port)),
            Object::Ethertype(_) | Object::Domain(_) => None,
            Object::Coap { port, .. } => Some((UDP, *port)),
            Object::Client { port, .. }
            | Object::User { port, .. }
            | Object::Topic { port, .. }
            | Object::Http { port, .. }
            | Object::Registers { port, .. }
            | Object::ServerName { port, .. } => Some((TCP, *port)),
        }
    }

    /// What a connection must speak for it.
    pub const fn protocol(&self) -> Option<Protocol> {
        match &self.object {
            Object::Port { .. } | Object::Ethertype(_) | Object::Domain(_) => None,
            Object::Speaks { protocol, .. } => Some(*protocol),
            Object::Client { .. } | Object::User { .. } | Object::Topic { .. } => Some(Protocol::Mqtt),
            Object::Http { .. } => Some(Protocol::Http),
            Object::Coap { .. } => Some(Protocol::Coap),
            Object::Registers { .. } => Some(Protocol::Modbus),
            Object::ServerName { .. } => Some(Protocol::Tls),
        }
    }

    /// Where it is judged.
    pub const fn layer(&self) -> Layer {
        match &self.object {
            Object::Port { .. } | Object::Ethertype(_) => Layer::Transport,
            Object::Speaks { .. } => Layer::Protocol,
            Object::Client { .. }
            | Object::User { .. }
            | Object::Topic { .. }
            | Object::Http { .. }
            | Object::Coap { .. }
            | Object::Registers { .. }
            | Object::ServerName { .. } => Layer::Message,
            Object::Domain(_) => Layer::Name,
        }
    }

    /// How the kernel's `EDGES` keys it: as it is for a transport, and the transport below for what is in one.
    pub(crate) const fn transport(&self) -> (abi::Kind, u8, u16) {
        match (&self.object, self.end()) {
            (Object::Ethertype(ethertype), _) => (abi::Kind::Link, 0, *ethertype),
            (Object::Domain(_), _) => (abi::Kind::Resolve, UDP, DNS),
            (_, Some((proto, port))) => (abi::Kind::Transport, proto, port),
            (_, None) => (abi::Kind::Transport, 0, 0),
        }
    }

    /// Whether it is a message inside a transport.
    pub const fn is_message(&self) -> bool {
        matches!(self.layer(), Layer::Message)
    }
}

impl OperationError {
    /// A mistake in the text of an object.
    fn of(object: &str, fault: Fault) -> Self {
        let at = object.char_indices().take_while(|(at, _)| *at < fault.at).count() + 1;
        Self::Object { object: object.to_owned(), at, why: fault.why }
    }
}

fn port_text(proto: u8, port: u16) -> String {
    match (proto, port) {
        (TCP, port) => format!("tcp/{port}"),
        (UDP, port) => format!("udp/{port}"),
        (ICMP, port) => format!("icmp/{port}"),
        (ICMP6, port) => format!("icmp6/{port}"),
        (proto, 0) => format!("ip/{proto}"),
        (proto, port) => format!("ip/{proto}/{port}"),
    }
}

#[cfg(test)]
mod tests;
