//! Objects as people write them, and what is wrong with one.

use firewall_common::abi::{OBJECT_CAP, Protocol};

use super::{ICMP, ICMP6, Name, Object, Registers, Route, TCP, UDP, Verb};
use crate::filter::Filter;
use crate::host::HostName;

/// The ports that are meant where an object names none.
pub(super) const MQTT: u16 = 1_883;
pub(super) const HTTP: u16 = 80;
pub(super) const COAP: u16 = 5_683;
pub(super) const MODBUS: u16 = 502;
pub(super) const TLS: u16 = 443;

/// A mistake in a text: how many bytes stand before it, and what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct Fault {
    pub at: usize,
    pub why: &'static str,
}

impl Fault {
    pub(crate) const fn at(at: usize, why: &'static str) -> Self {
        Self { at, why }
    }

    /// The same mistake where so many bytes stand before the text.
    pub(crate) const fn behind(self, before: usize) -> Self {
        Self { at: self.at + before, why: self.why }
    }
}

/// Reads the object of a verb; `None` for a verb without objects.
pub(super) fn object(verb: Verb, text: &str, mqtt_port: u16) -> Option<Result<Object, Fault>> {
    let read = match verb {
        Verb::Connect => connect(text, mqtt_port),
        Verb::Subscribe if text.starts_with("coap:") => request(text),
        Verb::Publish | Verb::Subscribe => topic(text, mqtt_port),
        Verb::Get | Verb::Set | Verb::Delete => request(text),
        Verb::Read | Verb::Write => modbus(text),
        Verb::Resolve => domain(text),
        Verb::Discover | Verb::Push | Verb::Replicate => return None,
    };
    Some(read)
}

fn connect(text: &str, mqtt_port: u16) -> Result<Object, Fault> {
    if let Some((port, name)) = scheme(text, "tls", TLS)? {
        let id = Name::parse(name).map_err(|fault| fault.behind(text.len() - name.len()))?;
        return Ok(Object::ServerName { port, name: id });
    }
    let explicit = scheme(text, "mqtt", mqtt_port)?;
    let (port, rest) = explicit.unwrap_or((mqtt_port, text));
    let before = text.len() - rest.len();
    if let Some(id) = rest.strip_prefix("client:") {
        let id = Name::parse(id).map_err(|fault| fault.behind(text.len() - id.len()))?;
        return Ok(Object::Client { port, id });
    }
    if let Some(name) = rest.strip_prefix("user:") {
        let name = Name::parse(name).map_err(|fault| fault.behind(text.len() - name.len()))?;
        return Ok(Object::User { port, name });
    }
    if explicit.is_some() {
        return Err(Fault::at(before, "`client:ID` or `user:NAME` is missing"));
    }
    transport(text)
}

fn domain(text: &str) -> Result<Object, Fault> {
    HostName::parse_pattern(text)
        .map(Object::Domain)
        .map_err(|_| Fault::at(0, "write a host name, or `*.` and a domain for all its names"))
}

fn topic(text: &str, mqtt_port: u16) -> Result<Object, Fault> {
    let (port, topic) = scheme(text, "mqtt", mqtt_port)?.unwrap_or((mqtt_port, text));
    let before = text.len() - topic.len();
    let filter = Filter::try_from(topic).map_err(|error| error.fault().behind(before))?;
    Ok(Object::Topic { port, filter })
}

fn request(text: &str) -> Result<Object, Fault> {
    let route = |route: &str| Route::parse(route).map_err(|fault| fault.behind(text.len() - route.len()));
    if let Some((port, rest)) = scheme(text, "http", HTTP)? {
        return Ok(Object::Http { port, route: route(rest)? });
    }
    if let Some((port, rest)) = scheme(text, "coap", COAP)? {
        return Ok(Object::Coap { port, route: route(rest)? });
    }
    Err(Fault::at(0, "write `http:/path`, `http://host/path` or `coap:/path`"))
}

fn modbus(text: &str) -> Result<Object, Fault> {
    let Some((port, rest)) = scheme(text, "modbus", MODBUS)? else {
        return Err(Fault::at(0, "write `modbus:UNIT/AREA/FROM-TO`, as in `modbus:1/holding/100-109`"));
    };
    let registers = Registers::parse(rest).map_err(|fault| fault.behind(text.len() - rest.len()))?;
    Ok(Object::Registers { port, registers })
}

/// What stands behind `NAME:` or `NAME:PORT:`, and the port; `None` without the name.
fn scheme<'a>(text: &'a str, name: &str, usual: u16) -> Result<Option<(u16, &'a str)>, Fault> {
    let Some(rest) = text.strip_prefix(name).and_then(|rest| rest.strip_prefix(':')) else { return Ok(None) };
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    let at = name.len() + 1;
    match rest.split_at(digits) {
        (port, behind) if digits > 0 && behind.starts_with(':') => match port.parse() {
            Ok(port) if port > 0 => Ok(Some((port, &behind[1..]))),
            Ok(_) | Err(_) => Err(Fault::at(at, "a port is a number of 1 to 65535")),
        },
        _ if name == "mqtt" => Err(Fault::at(at, "a port is missing: `mqtt:8883:TOPIC`")),
        _ => Ok(Some((usual, rest))),
    }
}

/// `tcp/443`, or with what is spoken there `tcp/8080 http`.
fn transport(text: &str) -> Result<Object, Fault> {
    const FORMS: &str = "write `tcp/443`, `udp/53`, `tcp/8080 http`, `icmp/8`, `ip/47`, `ether/88cc`, `client:ID`, \
                         `user:NAME` or `tls:NAME`";
    const NUMBER: &str = "a port is a number of 0 to 65535";
    let (end, protocol) = match text.split_once(' ') {
        Some((end, protocol)) => (end, Some(protocol)),
        None => (text, None),
    };
    let (name, rest) = end.split_once('/').ok_or(Fault::at(0, FORMS))?;
    let at = name.len() + 1;
    let proto = match name {
        "tcp" => TCP,
        "udp" => UDP,
        "icmp" => ICMP,
        "icmp6" => ICMP6,
        "ether" | "ip" if protocol.is_some() => {
            return Err(Fault::at(end.len(), "only a port of tcp or udp has a protocol"));
        }
        "ether" => {
            let digits = rest.strip_prefix("0x").unwrap_or(rest);
            let ethertype = u16::from_str_radix(digits, 16);
            return ethertype
                .map(Object::Ethertype)
                .map_err(|_| Fault::at(at, "an ethertype has up to four hexadecimal digits"));
        }
        "ip" => {
            let (proto, port) = rest.split_once('/').unwrap_or((rest, "0"));
            let wrong = Fault::at(at, "an IP protocol is a number of 0 to 255");
            let proto = proto.parse().map_err(|_| wrong)?;
            let port = port.parse().map_err(|_| Fault::at(end.len() - port.len(), NUMBER))?;
            return Ok(Object::Port { proto, port });
        }
        _ => return Err(Fault::at(0, FORMS)),
    };
    let port = rest.parse().map_err(|_| Fault::at(at, NUMBER))?;
    let Some(protocol) = protocol else { return Ok(Object::Port { proto, port }) };
    if !matches!(proto, TCP | UDP) {
        return Err(Fault::at(end.len(), "only a port of tcp or udp has a protocol"));
    }
    let protocol = Protocol::from_name(protocol).ok_or(Fault::at(
        end.len() + 1,
        "a protocol is opaque, mqtt, http, tls, modbus, coap, dns, ntp, ssdp, dtls, quic or websocket",
    ))?;
    Ok(Object::Speaks { proto, port, protocol })
}

impl Name {
    /// Reads what someone wrote: `+` is any, a backslash makes the next character literal.
    pub(super) fn parse(text: &str) -> Result<Self, Fault> {
        match text {
            "+" => Ok(Self::Any),
            other => checked_name(other.strip_prefix('\\').unwrap_or(other)).map(Self::Exact),
        }
    }

    pub(super) fn text(&self) -> String {
        match self {
            Self::Any => "+".to_owned(),
            Self::Exact(name) if name == "+" || name.starts_with('\\') => format!("\\{name}"),
            Self::Exact(name) => name.clone(),
        }
    }
}

pub(super) fn checked_name(name: &str) -> Result<String, Fault> {
    if name.len() > OBJECT_CAP {
        return Err(Fault::at(OBJECT_CAP, "a name may have 256 bytes, not more"));
    }
    Ok(name.to_owned())
}
