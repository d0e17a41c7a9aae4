//! MUD (RFC 8520): what the maker of a device declares, beside what the device does and what was allowed.
//!
//! A profile is a proposal: nothing of it enters the model by itself. Read is what concerns connections that the device
//! opens; what it may only answer is implied by who may ask it.

use std::fmt;

use firewall_common::abi::Addr;

use crate::edge::EdgeId;
use crate::host::{HostName, NotAName};
use crate::operation::{TCP, UDP};
use crate::principal::{harmless, show_address};

mod beside;
mod place;
mod read;

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

/// Why a text is no profile, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}{}: {why}", within(.at))]
pub struct NotAProfile {
    /// Counts from 1.
    pub line: usize,
    /// JSON pointer (RFC 6901) to the value; empty for the whole.
    pub at: String,
    pub why: Wrong,
}

/// What is wrong with a profile.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Wrong {
    #[error("a profile has at most {TEXT_CAP} bytes and {ENTRIES_CAP} entries")]
    Huge,
    #[error("{0}")]
    Json(String),
    #[error("`{0}` is missing")]
    Missing(&'static str),
    #[error("this must be {0}")]
    Type(&'static str),
    #[error("only version 1 of profiles is known")]
    Version,
    #[error("this field is not known here; what it restricts would be lost")]
    Unknown,
    #[error("the policy names the list `{0}`, which the profile does not have")]
    NoList(String),
    #[error("`{0}` stands here twice")]
    Twice(String),
    #[error(transparent)]
    Name(NotAName),
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

/// One connection: what the maker declares of it, what the device does, and what people have said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// `tcp/443 to cloud.example`.
    pub what: String,
    pub declared: bool,
    /// Whether the device was seen doing it.
    pub does: bool,
    /// The edge of the model that is about it, if there is one.
    pub edge: Option<EdgeId>,
}

/// What became of a profile that was proposed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proposed {
    /// Edges that wait for a decision now.
    pub asked: Vec<EdgeId>,
    /// In the model or decided already.
    pub known: Vec<String>,
    /// What is no single connection to somebody who is known, or found no room: a person has to write it.
    pub open: Vec<String>,
}

/// A text of the maker's, made harmless.
fn shown(text: &str) -> String {
    harmless(text, ABOUT_CAP)
}

fn within(at: &str) -> String {
    if at.is_empty() { String::new() } else { format!(", {at}") }
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
        assert!(said(&" ".repeat(10 << 20)).contains("at most"));
        assert!(said("{").starts_with("line 1:"));
        assert!(said("{}").contains("ietf-mud:mud"));
        assert!(said(&"[".repeat(100_000)).contains("line 1"));
        let many = vec![entry("a", CLOUD, "accept"); ENTRIES_CAP].join(",");
        assert!(said(&profile(&many)).contains("at most"));
        for (matches, forwarding, word) in [
            (
                r#"{"ipv4": {"ietf-acldns:dst-dnsname": "evil\u202e.example"}}"#,
                "accept",
                "dst-dnsname: a host name",
            ),
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
            (
                r#"{"ietf-mud:mud": {"everyone": true}}"#,
                "accept",
                "ietf-mud:mud/everyone: this field is not known",
            ),
            (r#"{"ipv4": {"dscp": 5}}"#, "accept", "ipv4/dscp: this field is not known"),
            (r#"{"ietf-mud:mud": {}}"#, "accept", "one of the nodes"),
            ("3", "accept", "matches"),
            (CLOUD, "perhaps", "forwarding"),
        ] {
            let error = said(&profile(&entry("a", matches, forwarding)));
            assert!(error.contains(word), "{matches}: {error}");
        }
        let opposite = [entry("a", CLOUD, "accept"), entry("b", CLOUD, "drop")].join(",");
        assert_eq!(
            said(&profile(&opposite)),
            "line 4, /ietf-access-control-list:acls/acl/0/aces/ace/1: the entries `a` and `b` say the opposite about \
             the same"
        );
        let twice = profile("").replace(r#"[{"name": "out"}]"#, r#"[{"name": "out"}, {"name": "out"}]"#);
        assert_eq!(
            said(&twice),
            "line 2, /ietf-mud:mud/from-device-policy/access-lists/access-list/1/name: `out` stands here twice"
        );
        let no_list = profile("").replace(r#""acl": [{"name": "out""#, r#""acl": [{"name": "in""#);
        assert!(said(&no_list).contains("`out`"));
    }

    #[test]
    fn a_mistake_is_found_in_the_text() {
        let text = profile(&entry("a", CLOUD, "accept")).replace(r#""port": 443"#, "\n\n\"port\": \"x\"");
        let error = Profile::parse(&text).unwrap_err();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines[error.line - 1].trim_start(),
            r#""port": "x"}, "ietf-mud:direction-initiated": "from-device"}}, "actions": {"forwarding": "accept"}}]}}]}}"#
        );
        assert!(error.at.ends_with("/matches/tcp/destination-port/port"), "{}", error.at);
        // Brackets and quotes in texts do not lead astray, and of a name that stands twice the last one counts.
        let odd = "{\"a\": \"]}\\\"{\", \"ietf-mud:mud\": 1,\n\"ietf-mud:mud\": {\"mud-version\": [\n{}]}}";
        let error = Profile::parse(odd).unwrap_err();
        assert_eq!((error.line, error.at.as_str()), (2, "/ietf-mud:mud/mud-version"));
    }

    #[test]
    fn the_profiles_of_real_devices_are_read() {
        // Not part of this repository: `EDGEWARD_CORPUS` names the folder that has them.
        let Some(corpus) = std::env::var_os("EDGEWARD_CORPUS") else {
            eprintln!("not run: EDGEWARD_CORPUS is not set");
            return;
        };
        let folder = std::path::Path::new(&corpus).join("mud/iot-onboarding/unsw");
        let mut read = 0;
        for file in std::fs::read_dir(folder).unwrap() {
            let path = file.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "json") {
                let profile = Profile::parse(&std::fs::read_to_string(&path).unwrap());
                let profile = profile.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
                assert!(!profile.declared.is_empty(), "{}", path.display());
                read += 1;
            }
        }
        assert!(read >= 20, "{read}");
    }

    proptest::proptest! {
        /// A profile in which something was changed is one, or a mistake with a line that there is.
        #[test]
        fn any_change_is_read_or_named(at in 0_usize..700, change in "[\\[\\]{}\",:0-9a-z\\n-]{0,6}", cut in 0_usize..12) {
            let text = profile(&entry("a", CLOUD, "accept"));
            let at = at.min(text.len());
            let end = (at + cut).min(text.len());
            let changed = format!("{}{change}{}", &text[..at], &text[end..]);
            if let Err(error) = Profile::parse(&changed) {
                proptest::prop_assert!((1..=changed.lines().count() + 1).contains(&error.line), "{error}");
            }
        }
    }
}
