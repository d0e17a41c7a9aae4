//! From the text of a profile to what it declares.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::place::Node;
use super::{Declared, ENTRIES_CAP, GATEWAY, NotAProfile, Profile, TEXT_CAP, Who, Wrong, shown};
use crate::host::HostName;
use crate::principal::parse_address;

/// The fields that RFC 8520 (section 2) and RFC 8519 give to each part of a profile. One that restricts and is not known
/// here must not be passed over: the profile would declare more than its maker did.
const POLICY: &[&str] = &[
    "mud-version",
    "mud-url",
    "last-update",
    "mud-signature",
    "cache-validity",
    "is-supported",
    "systeminfo",
    "mfg-name",
    "model-name",
    "firmware-rev",
    "software-rev",
    "documentation",
    "extensions",
    "from-device-policy",
    "to-device-policy",
];
const LIST: &[&str] = &["name", "type", "aces"];
const ENTRY: &[&str] = &["name", "matches", "actions"];
const MATCHES: &[&str] = &["eth", "ipv4", "ipv6", "tcp", "udp", "icmp", "ietf-mud:mud"];
const IP: &[&str] = &[
    "protocol",
    "source-ipv4-network",
    "destination-ipv4-network",
    "source-ipv6-network",
    "destination-ipv6-network",
    "ietf-acldns:src-dnsname",
    "ietf-acldns:dst-dnsname",
];
const TRANSPORT: &[&str] = &["source-port", "destination-port", "ietf-mud:direction-initiated"];

/// The lists by name.
type Lists<'a> = BTreeMap<&'a str, Vec<Node<'a>>>;

impl Profile {
    /// Reads a profile.
    pub fn parse(text: &str) -> Result<Self, NotAProfile> {
        if text.len() > TEXT_CAP {
            return Err(NotAProfile { line: 1, at: String::new(), why: Wrong::Huge });
        }
        let root: Value = serde_json::from_str(text).map_err(|error| NotAProfile {
            line: error.line(),
            at: String::new(),
            why: Wrong::Json(error.to_string()),
        })?;
        let root = Node::root(&root, text);
        let mud = root.need("ietf-mud:mud")?;
        mud.knows(POLICY, true)?;
        let version = mud.need("mud-version")?;
        if version.number::<u8>("the number of a version")? != 1 {
            return Err(version.wrong(Wrong::Version));
        }
        let url = mud.need("mud-url")?.text()?;
        let about = mud.get("systeminfo").map_or(Ok(""), |about| about.text())?;
        let lists = lists(&root)?;
        let mut declared = Vec::new();
        for (policy, opens) in [("from-device-policy", true), ("to-device-policy", false)] {
            // A profile may leave a direction out.
            let Some(policy) = mud.get(policy) else { continue };
            let mut used = BTreeSet::new();
            for list in policy.need("access-lists")?.need("access-list")?.list()? {
                let name = list.need("name")?;
                let entries = lists
                    .get(name.text()?)
                    .ok_or_else(|| name.wrong(Wrong::NoList(shown(name.text().unwrap_or_default()))))?;
                // Twice the same list would be read twice.
                if !used.insert(name.text()?) {
                    return Err(name.wrong(Wrong::Twice(shown(name.text()?))));
                }
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
fn lists<'a>(root: &Node<'a>) -> Result<Lists<'a>, NotAProfile> {
    let acls = match root.get("ietf-access-control-list:access-lists") {
        Some(acls) => acls,
        None => root.need("ietf-access-control-list:acls")?,
    };
    let mut lists = BTreeMap::new();
    let mut entries = 0;
    for acl in acls.need("acl")?.list()? {
        acl.knows(LIST, true)?;
        let name = acl.need("name")?;
        let aces: Vec<Node<'a>> = acl.need("aces")?.need("ace")?.list()?.collect();
        entries += aces.len() + 1;
        if entries > ENTRIES_CAP {
            return Err(acl.wrong(Wrong::Huge));
        }
        if lists.insert(name.text()?, aces).is_some() {
            return Err(name.wrong(Wrong::Twice(shown(name.text()?))));
        }
    }
    Ok(lists)
}

/// What the entries of a list let a device open.
fn read_list(entries: &[Node<'_>]) -> Result<Vec<Declared>, NotAProfile> {
    let mut said: BTreeMap<String, (String, bool)> = BTreeMap::new();
    let mut declared = Vec::new();
    for entry in entries {
        entry.knows(ENTRY, true)?;
        let name = shown(entry.need("name")?.text()?);
        let matches = entry.need("matches")?;
        let forwarding = entry.need("actions")?.need("forwarding")?;
        let accepts = match forwarding.text()? {
            "accept" => true,
            "drop" | "reject" => false,
            _ => return Err(forwarding.wrong(Wrong::Type("`accept`, `drop` or `reject`"))),
        };
        let read = read_entry(&matches)?;
        match said.insert(matches.json(), (name.clone(), accepts)) {
            Some((other, accepted)) if accepted != accepts => {
                return Err(entry.wrong(Wrong::Contradiction(other, name)));
            }
            Some(_) | None => {}
        }
        declared.extend(read.filter(|_| accepts));
    }
    Ok(declared)
}

/// One entry; `None` if it is about what the device answers, or about frames that are not IP.
fn read_entry(matches: &Node<'_>) -> Result<Option<Declared>, NotAProfile> {
    matches.knows(MATCHES, false)?;
    let mut to = Who::Anyone;
    let mut proto = None;
    for family in ["ipv4", "ipv6"] {
        let Some(ip) = matches.get(family) else { continue };
        ip.knows(IP, false)?;
        if let Some(number) = ip.get("protocol") {
            proto = Some(number.number::<u8>("the number of a protocol")?);
        }
        for way in ["ietf-acldns:dst-dnsname", "ietf-acldns:src-dnsname"] {
            if let Some(host) = ip.get(way) {
                let name = HostName::parse(host.text()?).map_err(|error| host.wrong(Wrong::Name(error)))?;
                to = Who::Host(name);
            }
        }
        for way in ["destination-ipv4-network", "destination-ipv6-network"] {
            if let Some(network) = ip.get(way) {
                let read = read_network(network.text()?);
                to = read.ok_or_else(|| network.wrong(Wrong::Type("a network")))?;
            }
        }
    }
    if let Some(who) = matches.get("ietf-mud:mud") {
        to = read_who(&who)?;
    }
    let mut ports = None;
    for transport in ["tcp", "udp"] {
        let Some(matched) = matches.get(transport) else { continue };
        matched.knows(TRANSPORT, false)?;
        let source = matched.get("source-port").map(|ports| read_ports(&ports)).transpose()?;
        ports = matched.get("destination-port").map(|ports| read_ports(&ports)).transpose()?;
        let initiated = matched.get("ietf-mud:direction-initiated").map_or(Ok(""), |end| end.text())?;
        if ports.is_none() && source.is_some() || initiated == "to-device" {
            return Ok(None);
        }
    }
    let is_link = matches.get("eth").is_some() && proto.is_none() && ports.is_none();
    Ok((!is_link).then_some(Declared { to, proto, ports }))
}

fn read_who(who: &Node<'_>) -> Result<Who, NotAProfile> {
    let mut fields = who.fields()?;
    let (Some((kind, value)), None) = (fields.next(), fields.next()) else {
        return Err(who.wrong(Wrong::Type("one of the nodes of RFC 8520, section 8")));
    };
    Ok(match kind {
        "local-networks" => Who::LocalNetworks,
        "controller" => match value.text()? {
            uri if uri.starts_with(GATEWAY) => Who::Box,
            uri => Who::Named(shown(uri)),
        },
        "my-controller" | "same-manufacturer" => Who::Named(kind.to_owned()),
        "manufacturer" | "model" => Who::Named(format!("{kind} {}", shown(value.text()?))),
        _ => return Err(value.wrong(Wrong::Unknown)),
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

fn read_ports(ports: &Node<'_>) -> Result<(u16, u16), NotAProfile> {
    let port = |name: &str| ports.get(name).map(|port| port.number::<u16>("a port")).transpose();
    let operator = ports.get("operator").map(|operator| operator.text()).transpose()?;
    let range = port("lower-port")?.zip(port("upper-port")?);
    let range = match (operator, port("port")?) {
        // Some write `eq` before a range.
        (Some("eq"), Some(port)) => Some((port, port)),
        (Some("lte"), Some(port)) => Some((0, port)),
        (Some("gte"), Some(port)) => Some((port, u16::MAX)),
        (Some("eq" | "range") | None, None) => range,
        (Some(_) | None, _) => None,
    };
    let range = range.filter(|(first, last)| first <= last);
    range.ok_or_else(|| ports.wrong(Wrong::Type("a port or a range of ports")))
}
