//! MUD (RFC 8520): what the maker of a device declares, beside what the device does and what was allowed.
//!
//! A profile is a proposal: nothing of it enters the model by itself. Read is what concerns connections that the device
//! opens; what it may only answer is implied by who may ask it.

use std::collections::BTreeMap;
use std::fmt;

use firewall_common::abi::{Addr, PrincipalId};
use serde_json::{Value, json};

use crate::edge::Edge;
use crate::graph::{Graph, Network};
use crate::host::{HostName, NotAName};
use crate::operation::{Object, TCP, UDP};
use crate::principal::{Principal, harmless, parse_address, show_address};
use crate::time::Now;

/// Longest profile in bytes, and most entries of all its lists. The largest of real devices has 95 kB.
pub const TEXT_CAP: usize = 512 << 10;
const ENTRIES_CAP: usize = 2_048;
/// Longest text of a profile that is shown.
const ABOUT_CAP: usize = 80;

/// Controllers that every link has (RFC 8520, section 8.3, and what profiles of real devices write).
const GATEWAY: &str = "urn:ietf:params:mud:";

/// A profile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    pub url: String,
    /// What the maker says that it is about, made harmless to show.
    pub about: String,
    /// What the device may open.
    pub declared: Vec<Declared>,
}

/// Connections that a device may open.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Declared {
    pub to: Who,
    /// Every protocol, if none is named.
    pub proto: Option<u8>,
    /// First and last port; every port, if none is named.
    pub ports: Option<(u16, u16)>,
}

/// Whom a device may reach.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Who {
    Anyone,
    Host(HostName),
    /// An address, and how many of its 128 bits count.
    Network([u8; 16], u8),
    LocalNetworks,
    /// The router, the resolver or the time server of the link.
    Box,
    /// Somebody whom only a person can name: a controller, or devices of a maker.
    Named(String),
}

/// Why a text is no profile.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAProfile {
    #[error("a profile has at most {TEXT_CAP} bytes and {ENTRIES_CAP} entries")]
    Huge,
    #[error("line {line}: {message}")]
    Json { line: usize, message: String },
    #[error("`{0}` is missing, or not of the type that RFC 8520 says")]
    Missing(&'static str),
    #[error("the policy names the list `{0}`, which the profile does not have")]
    NoList(String),
    #[error("the entry `{entry}` names a host that is none: {error}")]
    Name { entry: String, error: NotAName },
    #[error("the entry `{entry}`: {what} cannot be read")]
    Field { entry: String, what: &'static str },
    #[error("the entries `{0}` and `{1}` say the opposite about the same")]
    Contradiction(String, String),
}

/// What the maker declares beside what the device does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Comparison {
    /// In the model, and declared.
    pub agreed: Vec<String>,
    /// In the model, and not declared.
    pub undeclared: Vec<String>,
    /// Declared, and not in the model.
    pub unseen: Vec<String>,
}

impl Profile {
    /// Reads a profile.
    pub fn parse(text: &str) -> Result<Self, NotAProfile> {
        if text.len() > TEXT_CAP {
            return Err(NotAProfile::Huge);
        }
        let root: Value = serde_json::from_str(text)
            .map_err(|error| NotAProfile::Json { line: error.line(), message: error.to_string() })?;
        let mud = root.get("ietf-mud:mud").ok_or(NotAProfile::Missing("ietf-mud:mud"))?;
        if mud.get("mud-version").and_then(Value::as_u64) != Some(1) {
            return Err(NotAProfile::Missing("mud-version"));
        }
        let url = mud.get("mud-url").and_then(Value::as_str).ok_or(NotAProfile::Missing("mud-url"))?;
        let about = mud.get("systeminfo").and_then(Value::as_str).unwrap_or_default();
        let lists = lists(&root)?;
        let mut declared = Vec::new();
        for (policy, opens) in [("from-device-policy", true), ("to-device-policy", false)] {
            for name in named_lists(mud, policy)? {
                let entries = lists.get(name).ok_or_else(|| NotAProfile::NoList(shown(name)))?;
                let read = read_list(entries)?;
                if opens {
                    declared.extend(read);
                }
            }
        }
        declared.sort();
        declared.dedup();
        Ok(Self { url: shown(url), about: shown(about), declared })
    }
}

/// The lists by name, under either name that drafts and RFC gave their container.
fn lists(root: &Value) -> Result<BTreeMap<&str, &Vec<Value>>, NotAProfile> {
    let container = ["ietf-access-control-list:acls", "ietf-access-control-list:access-lists"];
    let acls = container.iter().find_map(|name| root.get(name)?.get("acl")?.as_array());
    let acls = acls.ok_or(NotAProfile::Missing("ietf-access-control-list:acls"))?;
    let mut lists = BTreeMap::new();
    let mut entries = 0;
    for acl in acls {
        let name = acl.get("name").and_then(Value::as_str).ok_or(NotAProfile::Missing("name"))?;
        let aces = acl.get("aces").and_then(|aces| aces.get("ace")).and_then(Value::as_array);
        let aces = aces.ok_or(NotAProfile::Missing("ace"))?;
        entries += aces.len() + 1;
        if entries > ENTRIES_CAP {
            return Err(NotAProfile::Huge);
        }
        lists.insert(name, aces);
    }
    Ok(lists)
}

fn named_lists<'a>(mud: &'a Value, policy: &'static str) -> Result<Vec<&'a str>, NotAProfile> {
    // A profile may leave a direction out.
    let Some(policy_lists) = mud.get(policy) else { return Ok(Vec::new()) };
    let named = policy_lists.get("access-lists").and_then(|lists| lists.get("access-list"));
    let named = named.and_then(Value::as_array).ok_or(NotAProfile::Missing(policy))?;
    let name = |list: &'a Value| list.get("name").and_then(Value::as_str);
    named.iter().map(|list| name(list).ok_or(NotAProfile::Missing(policy))).collect()
}

/// What the entries of a list let a device open.
fn read_list(entries: &[Value]) -> Result<Vec<Declared>, NotAProfile> {
    let mut said: BTreeMap<String, (String, bool)> = BTreeMap::new();
    let mut declared = Vec::new();
    for entry in entries {
        let name = shown(entry.get("name").and_then(Value::as_str).ok_or(NotAProfile::Missing("name"))?);
        let matches = entry.get("matches").filter(|matches| matches.is_object());
        let matches = matches.ok_or_else(|| field(&name, "matches"))?;
        let forwarding = entry.get("actions").and_then(|actions| actions.get("forwarding"));
        let accepts = match forwarding.and_then(Value::as_str) {
            Some("accept") => true,
            Some("drop" | "reject") => false,
            Some(_) | None => return Err(field(&name, "forwarding")),
        };
        match said.insert(matches.to_string(), (name.clone(), accepts)) {
            Some((other, accepted)) if accepted != accepts => {
                return Err(NotAProfile::Contradiction(other, name));
            }
            Some(_) | None => {}
        }
        if let Some(read) = read_entry(&name, matches)?.filter(|_| accepts) {
            declared.push(read);
        }
    }
    Ok(declared)
}

/// One entry; `None` if it is about what the device answers.
fn read_entry(name: &str, matches: &Value) -> Result<Option<Declared>, NotAProfile> {
    let mut to = Who::Anyone;
    let mut proto = None;
    for family in ["ipv4", "ipv6"] {
        let Some(ip) = matches.get(family) else { continue };
        if let Some(number) = ip.get("protocol") {
            let number = number.as_u64().and_then(|number| u8::try_from(number).ok());
            proto = Some(number.ok_or_else(|| field(name, "protocol"))?);
        }
        for way in ["ietf-acldns:dst-dnsname", "ietf-acldns:src-dnsname"] {
            if let Some(host) = ip.get(way) {
                let host = host.as_str().ok_or_else(|| field(name, "dnsname"))?;
                let host = HostName::parse(host)
                    .map_err(|error| NotAProfile::Name { entry: name.to_owned(), error })?;
                to = Who::Host(host);
            }
        }
        for way in ["destination-ipv4-network", "destination-ipv6-network"] {
            if let Some(network) = ip.get(way) {
                to = network.as_str().and_then(read_network).ok_or_else(|| field(name, "network"))?;
            }
        }
    }
    if let Some(who) = matches.get("ietf-mud:mud").and_then(Value::as_object) {
        to = read_who(who.iter().next()).ok_or_else(|| field(name, "ietf-mud:mud"))?;
    }
    let mut ports = None;
    for transport in ["tcp", "udp"] {
        let Some(matched) = matches.get(transport) else { continue };
        ports = read_ports(matched.get("destination-port")).map_err(|()| field(name, "destination-port"))?;
        let source = read_ports(matched.get("source-port")).map_err(|()| field(name, "source-port"))?;
        let initiated = matched.get("ietf-mud:direction-initiated").and_then(Value::as_str);
        if ports.is_none() && source.is_some() || initiated == Some("to-device") {
            return Ok(None);
        }
    }
    Ok(Some(Declared { to, proto, ports }))
}

fn read_who(entry: Option<(&String, &Value)>) -> Option<Who> {
    let (kind, value) = entry?;
    Some(match kind.as_str() {
        "local-networks" => Who::LocalNetworks,
        "controller" => match value.as_str()? {
            uri if uri.starts_with(GATEWAY) => Who::Box,
            uri => Who::Named(shown(uri)),
        },
        "my-controller" | "same-manufacturer" => Who::Named(kind.clone()),
        "manufacturer" | "model" => Who::Named(format!("{kind} {}", shown(value.as_str()?))),
        _ => return None,
    })
}

/// A network, or one address: profiles of real devices leave the prefix out, and write one family where the other is
/// meant.
fn read_network(text: &str) -> Option<Who> {
    let (addr, prefix) = text.split_once('/').map_or((text, None), |(addr, prefix)| (addr, Some(prefix)));
    let addr = parse_address(addr)?;
    let wide: u8 = if addr.v4().is_some() { 96 } else { 0 };
    let prefix = match prefix {
        Some(prefix) => prefix.parse().ok().filter(|prefix| *prefix <= 128 - wide)?,
        None => 128 - wide,
    };
    Some(Who::Network(addr.0, prefix + wide))
}

fn read_ports(ports: Option<&Value>) -> Result<Option<(u16, u16)>, ()> {
    let Some(ports) = ports else { return Ok(None) };
    let port = |name: &str| ports.get(name).and_then(Value::as_u64).and_then(|port| u16::try_from(port).ok());
    let range = match ports.get("operator").and_then(Value::as_str) {
        // Some write `eq` before a range.
        Some("eq") => {
            port("port").map(|port| (port, port)).or_else(|| port("lower-port").zip(port("upper-port")))
        }
        Some("lte") => port("port").map(|port| (0, port)),
        Some("gte") => port("port").map(|port| (port, u16::MAX)),
        Some("range") | None => port("lower-port").zip(port("upper-port")),
        Some(_) => None,
    };
    range.filter(|(first, last)| first <= last).map(Some).ok_or(())
}

fn field(entry: &str, what: &'static str) -> NotAProfile {
    NotAProfile::Field { entry: entry.to_owned(), what }
}

/// A text of the maker's, made harmless.
fn shown(text: &str) -> String {
    harmless(text, ABOUT_CAP)
}

impl fmt::Display for Declared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { to, proto, ports } = self;
        let proto = match proto {
            Some(TCP) => "tcp".to_owned(),
            Some(UDP) => "udp".to_owned(),
            Some(number) => format!("ip/{number}"),
            None => "anything".to_owned(),
        };
        match ports {
            Some((first, last)) if first == last => write!(f, "{proto}/{first} to {to}"),
            Some((first, last)) => write!(f, "{proto}/{first}-{last} to {to}"),
            None => write!(f, "{proto} to {to}"),
        }
    }
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Anyone => f.write_str("anyone"),
            Self::Host(name) => write!(f, "{name}"),
            Self::Network(addr, prefix) => {
                let addr = Addr(*addr);
                let bits = if addr.v4().is_some() { prefix.saturating_sub(96) } else { *prefix };
                write!(f, "{}/{bits}", show_address(addr))
            }
            Self::LocalNetworks => f.write_str("local networks"),
            Self::Box => f.write_str("the router"),
            Self::Named(who) => write!(f, "{who} (to be named)"),
        }
    }
}

impl Graph {
    /// What a maker declares beside what is in the model of a device.
    pub fn compare(&self, device: PrincipalId, profile: &Profile, now: Now) -> Comparison {
        let mut comparison = Comparison::default();
        let mut used = vec![false; profile.declared.len()];
        for edge in self.opened(device, now) {
            let mut declared = false;
            for (entry, used) in profile.declared.iter().zip(&mut used) {
                if self.declares(entry, edge) {
                    declared = true;
                    *used = true;
                }
            }
            let to = self.principal(edge.path.dst).map_or_else(String::new, Principal::title);
            let line = format!("{} to {to}", edge.path.operation.object_text());
            if declared { comparison.agreed.push(line) } else { comparison.undeclared.push(line) }
        }
        let unseen = profile.declared.iter().zip(used).filter(|(_, used)| !used);
        comparison.unseen = unseen.map(|(entry, _)| entry.to_string()).collect();
        comparison
    }

    /// What is in the model of a device, as a profile.
    pub fn export_mud(&self, device: PrincipalId, now: Now) -> String {
        let entries: Vec<Value> = self
            .opened(device, now)
            .filter_map(|edge| self.mud_matches(edge))
            .enumerate()
            .map(|(at, matches)| {
                json!({ "name": format!("from-{at}"), "matches": matches, "actions": { "forwarding": "accept" } })
            })
            .collect();
        let profile = json!({
            "ietf-mud:mud": {
                "mud-version": 1,
                "mud-url": "https://edgeward.invalid/learned",
                "cache-validity": 48,
                "is-supported": false,
                "systeminfo": self.principal(device).map_or_else(String::new, Principal::title),
                "from-device-policy": { "access-lists": { "access-list": [{ "name": "from" }] } },
            },
            "ietf-access-control-list:acls": {
                "acl": [{ "name": "from", "type": "ipv4-acl-type", "aces": { "ace": entries } }],
            },
        });
        serde_json::to_string_pretty(&profile).expect("texts and numbers are always JSON")
    }

    /// Connections that the model lets a device open.
    fn opened(&self, device: PrincipalId, now: Now) -> impl Iterator<Item = &Edge> {
        self.edges_from(device).filter(move |edge| {
            edge.passes(now) && matches!(edge.path.operation.object, Object::Port { proto: TCP | UDP, .. })
        })
    }

    fn declares(&self, entry: &Declared, edge: &Edge) -> bool {
        let (Some((proto, port)), Some(dst)) = (edge.path.operation.end(), self.principal(edge.path.dst))
        else {
            return false;
        };
        let is_port = entry.ports.is_none_or(|(first, last)| (first..=last).contains(&port));
        let is_there = match &entry.to {
            Who::Anyone => true,
            Who::Host(name) => dst.host.as_ref().is_some_and(|host| host.covers(name)),
            Who::Network(addr, prefix) => {
                let network = Network { addr: Addr(*addr), prefix: *prefix };
                dst.addresses.iter().any(|addr| network.contains(*addr))
            }
            Who::LocalNetworks => {
                dst.is_device() || dst.id == PrincipalId::EVERYONE || dst.id == PrincipalId::SELF
            }
            Who::Box => dst.id == PrincipalId::SELF,
            Who::Named(_) => false,
        };
        is_port && is_there && entry.proto.is_none_or(|wanted| wanted == proto)
    }

    /// How a profile would say it; a domain of which each name may be used has no words there.
    fn mud_matches(&self, edge: &Edge) -> Option<Value> {
        let (proto, port) = edge.path.operation.end()?;
        let dst = self.principal(edge.path.dst)?;
        let mut ip = json!({ "protocol": proto });
        let mut family = "ipv4";
        let mut matches = json!({});
        match (&dst.host, dst.addresses.first()) {
            (Some(host), _) if host.is_pattern() => return None,
            (Some(host), _) => ip["ietf-acldns:dst-dnsname"] = json!(host.as_str()),
            (None, _) if dst.id == PrincipalId::SELF => {
                matches["ietf-mud:mud"] = json!({ "controller": format!("{GATEWAY}gateway") });
            }
            (None, Some(addr)) if dst.is_outside() => {
                let is_v4 = addr.v4().is_some();
                family = if is_v4 { "ipv4" } else { "ipv6" };
                let network = format!("{}/{}", show_address(*addr), if is_v4 { 32 } else { 128 });
                ip[format!("destination-{family}-network")] = json!(network);
            }
            (None, _) => matches["ietf-mud:mud"] = json!({ "local-networks": [null] }),
        }
        matches[family] = ip;
        let transport = if proto == TCP { "tcp" } else { "udp" };
        matches[transport] = json!({ "destination-port": { "operator": "eq", "port": port } });
        Some(matches)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn profile(entries: &str) -> String {
        format!(
            r#"{{"ietf-mud:mud": {{"mud-version": 1, "mud-url": "https://maker.example/lamp", "systeminfo": "Lamp",
                "from-device-policy": {{"access-lists": {{"access-list": [{{"name": "out"}}]}}}}}},
               "ietf-access-control-list:acls": {{"acl": [{{"name": "out", "aces": {{"ace": [{entries}]}}}}]}}}}"#
        )
    }

    fn entry(name: &str, matches: &str, forwarding: &str) -> String {
        format!(r#"{{"name": "{name}", "matches": {matches}, "actions": {{"forwarding": "{forwarding}"}}}}"#)
    }

    const CLOUD: &str = r#"{"ipv4": {"protocol": 6, "ietf-acldns:dst-dnsname": "Cloud.Maker.example"},
        "tcp": {"destination-port": {"operator": "eq", "port": 443}, "ietf-mud:direction-initiated": "from-device"}}"#;

    #[test]
    fn a_profile_is_read() {
        let local = r#"{"ietf-mud:mud": {"local-networks": [null]}, "ipv4": {"protocol": 17},
            "udp": {"destination-port": {"lower-port": 50, "operator": "range", "upper-port": 60}}}"#;
        let answers = r#"{"ipv4": {"protocol": 6}, "tcp": {"source-port": {"operator": "eq", "port": 80}}}"#;
        let network = r#"{"ipv4": {"protocol": 17, "destination-ipv4-network": "192.0.2.0/24"}}"#;
        let all = [
            entry("a", CLOUD, "accept"),
            entry("b", local, "accept"),
            entry("c", answers, "accept"),
            entry("d", network, "accept"),
            entry("e", r#"{"ietf-mud:mud": {"controller": "urn:ietf:params:mud:dns"}}"#, "accept"),
            entry("f", r#"{"ietf-mud:mud": {"my-controller": [null]}}"#, "drop"),
        ];
        let read = Profile::parse(&profile(&all.join(","))).unwrap();
        let lines: Vec<String> = read.declared.iter().map(ToString::to_string).collect();
        assert_eq!(
            lines,
            [
                "tcp/443 to cloud.maker.example",
                "udp to 192.0.2.0/24",
                "udp/50-60 to local networks",
                "anything to the router"
            ]
        );
        assert_eq!((read.about.as_str(), read.url.as_str()), ("Lamp", "https://maker.example/lamp"));
    }

    #[test]
    fn what_is_no_profile_is_refused_with_a_word() {
        let said = |text: &str| Profile::parse(text).unwrap_err().to_string();
        assert!(said(&" ".repeat(TEXT_CAP + 1)).contains("at most"));
        assert!(said("{").starts_with("line 1:"));
        assert!(said("{}").contains("ietf-mud:mud"));
        assert!(said(&"[".repeat(100_000)).contains("line 1"));
        let many = vec![entry("a", CLOUD, "accept"); ENTRIES_CAP].join(",");
        assert!(said(&profile(&many)).contains("at most"));
        for (matches, forwarding, word) in [
            (r#"{"ipv4": {"ietf-acldns:dst-dnsname": "evil\u202e.example"}}"#, "accept", "no"),
            (r#"{"ipv4": {"protocol": 300}}"#, "accept", "protocol"),
            (r#"{"ipv4": {"destination-ipv4-network": "192.0.2.0/33"}}"#, "accept", "network"),
            (
                r#"{"tcp": {"destination-port": {"operator": "eq", "port": 70000}}}"#,
                "accept",
                "destination-port",
            ),
            (
                r#"{"tcp": {"destination-port": {"lower-port": 9, "upper-port": 3}}}"#,
                "accept",
                "destination-port",
            ),
            (r#"{"ietf-mud:mud": {"everyone": true}}"#, "accept", "ietf-mud:mud"),
            ("3", "accept", "matches"),
            (CLOUD, "perhaps", "forwarding"),
        ] {
            let error = said(&profile(&entry("a", matches, forwarding)));
            assert!(error.contains(word), "{matches}: {error}");
        }
        let opposite = [entry("a", CLOUD, "accept"), entry("b", CLOUD, "drop")].join(",");
        assert_eq!(said(&profile(&opposite)), "the entries `a` and `b` say the opposite about the same");
        let no_list = profile("").replace(r#""acl": [{"name": "out""#, r#""acl": [{"name": "in""#);
        assert!(said(&no_list).contains("`out`"));
    }
}
