//! What kind of thing a device is, guessed from what it says of itself and what it does.
//!
//! Clues come from the wire ([`read`]): DHCP, multicast DNS, SSDP, the maker of the network card. One table of rules makes a
//! guess of them, with its evidence. A device writes its clues itself, so a guess is shown and never believed: it identifies
//! nobody, opens nothing, and makes no risk smaller than it is for a device of unknown kind.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Display, Formatter};

use serde::{Deserialize, Serialize};

use crate::principal::{Hint, Kind, harmless};
use crate::review::Confidence;

mod read;
mod rules;

pub use read::{clues, is_worth_reading};

/// Most services, and most targets of SSDP, that are remembered of one device.
const SERVICES_CAP: usize = 16;
/// Longest list of DHCP parameters, and longest client id.
const BYTES_CAP: usize = 64;
/// Longest text of a clue in characters.
const TEXT_CAP: usize = 80;
/// Points from which a guess is fair, and good.
const FAIR: u8 = 2;
const GOOD: u8 = 4;

/// One thing that a device said of itself, or that its card says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Clue {
    /// DHCP option 12, or a name below `local`.
    HostName(Hint),
    /// DHCP option 60.
    VendorClass(String),
    /// DHCP option 55.
    Parameters(Vec<u8>),
    /// DHCP option 61.
    ClientId(Vec<u8>),
    /// DHCP option 161 (RFC 8520, section 10).
    MudUrl(String),
    /// A service of multicast DNS that it offers: `_ipp._tcp`.
    Service(String),
    /// A kind of device or service that it announces over SSDP.
    Target(String),
    /// Who made the card, by its MAC.
    Maker(String),
}

/// What is remembered of a device.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Clues {
    pub vendor_class: Option<String>,
    pub parameters: Vec<u8>,
    pub client_id: Vec<u8>,
    pub mud_url: Option<String>,
    pub services: BTreeSet<String>,
    pub targets: BTreeSet<String>,
    pub maker: Option<String>,
}

/// What a device may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Guess {
    pub kind: Kind,
    pub confidence: Confidence,
    /// The clues that speak for it.
    pub evidence: Vec<Proof>,
}

/// A clue that speaks for a guess.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proof {
    /// A service of multicast DNS.
    Offers(String),
    /// A part of a target of SSDP.
    Announces(String),
    VendorClass(String),
    Name(String),
    MudUrl(String),
    Maker(String),
    /// What it asks for over DHCP.
    Parameters,
    /// A TCP port at which others reach it.
    Serves(u16),
}

impl Proof {
    /// The code, from which the page makes its text.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Offers(_) => "offers",
            Self::Announces(_) => "announces",
            Self::VendorClass(_) => "vendor_class",
            Self::Name(_) => "name",
            Self::MudUrl(_) => "mud_url",
            Self::Maker(_) => "maker",
            Self::Parameters => "parameters",
            Self::Serves(_) => "serves",
        }
    }

    /// What the code is about; nothing where it says all.
    pub fn value(&self) -> String {
        match self {
            Self::Offers(text)
            | Self::Announces(text)
            | Self::VendorClass(text)
            | Self::Name(text)
            | Self::MudUrl(text)
            | Self::Maker(text) => text.clone(),
            Self::Parameters => String::new(),
            Self::Serves(port) => format!("tcp/{port}"),
        }
    }
}

impl Display for Proof {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        let value = self.value();
        match self {
            Self::Offers(_) => write!(formatter, "offers {value}"),
            Self::Announces(_) => write!(formatter, "announces {value}"),
            Self::VendorClass(_) => write!(formatter, "DHCP vendor class {value}"),
            Self::Name(_) => write!(formatter, "calls itself {value}"),
            Self::MudUrl(_) => write!(formatter, "MUD URL {value}"),
            Self::Maker(_) => write!(formatter, "made by {value}"),
            Self::Parameters => formatter.write_str("what it asks for over DHCP"),
            Self::Serves(_) => write!(formatter, "others reach it at {value}"),
        }
    }
}

/// A port at which a device is a server for others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Served {
    pub proto: u8,
    pub port: u16,
}

impl Served {
    /// Whether that says something about what a device is.
    pub(crate) fn tells(self) -> bool {
        rules::RULES.iter().any(|rule| rule.is_met_by(self))
    }
}

impl Clues {
    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Takes a clue; whether it says something new. Names are the caller's.
    pub fn take(&mut self, clue: Clue) -> bool {
        match clue {
            Clue::HostName(_) => false,
            Clue::VendorClass(text) => replace(&mut self.vendor_class, &text),
            Clue::MudUrl(text) => replace(&mut self.mud_url, &text),
            Clue::Maker(text) => replace(&mut self.maker, &text),
            Clue::Parameters(bytes) => replace_bytes(&mut self.parameters, bytes),
            Clue::ClientId(bytes) => replace_bytes(&mut self.client_id, bytes),
            Clue::Service(text) => add(&mut self.services, &text),
            Clue::Target(text) => add(&mut self.targets, &text),
        }
    }

    /// What they add up to, with the name that a device gives itself and the ports that it serves. Clues that speak for
    /// two kinds alike are no guess.
    pub fn guess(&self, name: Option<&str>, served: &BTreeSet<Served>) -> Option<Guess> {
        let mut kinds: BTreeMap<Kind, (u8, Vec<Proof>)> = BTreeMap::new();
        for rule in rules::RULES {
            if let Some(evidence) = rule.evidence(self, name, served) {
                let (points, known) = kinds.entry(rule.kind).or_default();
                *points = points.saturating_add(rule.points);
                known.push(evidence);
            }
        }
        let most = kinds.values().map(|(points, _)| *points).max()?;
        let mut best = kinds.into_iter().filter(|(_, (points, _))| *points == most);
        let (Some((kind, (points, mut evidence))), None) = (best.next(), best.next()) else { return None };
        evidence.dedup();
        let confidence = match points {
            GOOD.. => Confidence::High,
            FAIR.. => Confidence::Medium,
            _ => Confidence::Low,
        };
        Some(Guess { kind, confidence, evidence })
    }
}

/// Whether a MAC was made up by its device, as phones do for each network: it says nothing about a maker.
pub const fn is_private(mac: [u8; 6]) -> bool {
    mac[0] & 2 != 0
}

fn replace(known: &mut Option<String>, text: &str) -> bool {
    let text = harmless(text, TEXT_CAP);
    if text.is_empty() || known.as_ref() == Some(&text) {
        return false;
    }
    *known = Some(text);
    true
}

fn replace_bytes(known: &mut Vec<u8>, mut bytes: Vec<u8>) -> bool {
    bytes.truncate(BYTES_CAP);
    let is_new = !bytes.is_empty() && *known != bytes;
    if is_new {
        *known = bytes;
    }
    is_new
}

fn add(known: &mut BTreeSet<String>, text: &str) -> bool {
    let text = harmless(&text.to_ascii_lowercase(), TEXT_CAP);
    known.len() < SERVICES_CAP && !text.is_empty() && known.insert(text)
}

#[cfg(test)]
mod tests;
