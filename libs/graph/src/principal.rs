//! A vertex: who it is, what it is, and in which mode.
//!
//! Identity is where it is plugged in and which MAC it has there. What it says about itself (its DHCP host name) is a
//! [`Hint`]: shown in quotes, never matched.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use firewall_common::abi::{Addr, PrincipalId};
use firewall_common::precedence::{End, Mode};
use serde::{Deserialize, Serialize};

use crate::host::HostName;
use crate::inventory::Clues;
use crate::learning::{Learning, Update};
use crate::time::{Deadline, Left, Now};
use crate::usual::Response;

/// Longest name, room or hint in characters.
pub const NAME_CAP: usize = 40;
/// Longest description in characters.
pub const DESCRIPTION_CAP: usize = 400;
/// Most places of one principal.
pub const PLACES_CAP: usize = 8;
/// Most addresses that are remembered for one principal.
pub const ADDRESSES_CAP: usize = firewall_common::abi::ADDRESSES_EACH;

/// A device, an outside host, the box itself or everyone on the link.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Principal {
    #[serde(with = "crate::serial::principal")]
    pub id: PrincipalId,
    /// Given by the owner.
    pub name: Option<String>,
    /// What it calls itself.
    pub hint: Option<Hint>,
    pub kind: Kind,
    pub kind_source: Source,
    pub room: Option<String>,
    pub description: Option<String>,
    #[serde(with = "crate::serial::mode")]
    pub mode: Mode,
    /// The revision with which the mode began.
    #[serde(default)]
    pub(crate) mode_rev: u64,
    /// Seconds since 1970 at which the mode began.
    pub since: i64,
    /// End of a pause: until then everything is judged and nothing dropped.
    pub pause: Option<Deadline>,
    /// For outside hosts that are known by name: it, or the domain of several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<HostName>,
    /// Where it lives; empty for outside hosts.
    pub places: Vec<Place>,
    /// For devices: the addresses it was last seen with. For outside hosts: the addresses that mean this principal.
    #[serde(with = "crate::serial::addresses")]
    pub addresses: Vec<Addr>,
    /// Seconds since 1970.
    pub first_seen: i64,
    pub last_seen: i64,
    pub learning: Option<Learning>,
    /// What it says of itself.
    #[serde(default, skip_serializing_if = "is_silent")]
    pub clues: Box<Clues>,
    /// The kind that its clues speak for.
    #[serde(skip)]
    pub guessed: Option<Kind>,
    /// An update that is awaited, or the last one that was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub update: Option<Box<Update>>,
    /// What came from it and found no room here: counted, not stored.
    pub overflow: u64,
    /// What is done about something unusual on its edges.
    #[serde(default, skip_serializing_if = "Response::is_default")]
    pub response: Response,
    /// Revision of the graph at its last change.
    pub rev: u64,
}

impl Principal {
    pub(crate) fn new(id: PrincipalId, mode: Mode, now: Now) -> Self {
        Self {
            id,
            name: None,
            hint: None,
            kind: Kind::Unknown,
            kind_source: Source::None,
            room: None,
            description: None,
            mode,
            mode_rev: 0,
            since: now.unix,
            pause: None,
            host: None,
            places: Vec::new(),
            addresses: Vec::new(),
            first_seen: now.unix,
            last_seen: now.unix,
            learning: None,
            clues: Box::default(),
            guessed: None,
            update: None,
            overflow: 0,
            response: Response::Ask,
            rev: 0,
        }
    }

    /// Whether it stands for itself and needs no record: the box, everyone, an unnamed outside host.
    pub const fn is_builtin(&self) -> bool {
        self.id.0 < PrincipalId::FIRST
    }

    /// Whether it is an outside host or stands for all of them.
    pub const fn is_outside(&self) -> bool {
        self.places.is_empty() && !matches!(self.mode, Mode::System)
    }

    /// Whether it is a device of this site.
    pub const fn is_device(&self) -> bool {
        !self.places.is_empty()
    }

    /// Whether what it does becomes its model.
    pub const fn learns(&self) -> bool {
        matches!(self.mode, Mode::Learning | Mode::Ready)
    }

    /// The kind that the owner said, or else the one that its clues speak for: for words only.
    pub fn shown_kind(&self) -> (Kind, Source) {
        match (self.kind_source, self.guessed) {
            (Source::None, Some(guess)) => (guess, Source::Guess),
            (source, _) => (self.kind, source),
        }
    }

    /// Whether it is, or may be, something whose edges are of high risk.
    pub fn may_be_dangerous(&self) -> bool {
        self.shown_kind().0.is_dangerous()
    }

    /// How the precedence table sees it.
    pub const fn end(&self) -> End {
        End { mode: self.mode, dangerous: self.kind.is_dangerous() }
    }

    /// The name to show: the owner's, or else what it calls itself, its host name, its address or its MAC.
    pub fn title(&self) -> String {
        if let (None, Some(host)) = (&self.name, &self.host) {
            return host.to_string();
        }
        match (&self.name, &self.hint, self.addresses.first(), self.places.first()) {
            (Some(name), _, _, _) => name.clone(),
            (None, Some(hint), _, _) => hint.0.clone(),
            (None, None, _, Some(place)) => show_mac(place.mac),
            (None, None, Some(addr), None) => show_address(*addr),
            (None, None, None, None) => format!("principal {}", self.id.0),
        }
    }

    /// Boot-time nanoseconds until which it is paused; 0 is not paused.
    pub(crate) fn pause_until(&self, now: Now) -> u64 {
        match self.pause.map(|pause| pause.left(now)) {
            Some(Left::At(at)) => at,
            Some(Left::Over | Left::Unknown) | None => 0,
        }
    }
}

#[allow(clippy::borrowed_box, reason = "serde asks for a reference to the field")]
fn is_silent(clues: &Box<Clues>) -> bool {
    clues.is_empty()
}

/// Where a device is plugged in and which MAC it has there: its identity.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// Name of the interface.
    pub port: String,
    /// Number of the interface in this run; 0 until the interface was seen. Not part of the identity.
    #[serde(skip)]
    pub ifindex: u32,
    /// 0 is untagged.
    pub vlan: u16,
    pub mac: [u8; 6],
}

/// Who says what kind of device it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    Owner,
    Guess,
    None,
}

impl Source {
    /// The name in every output.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Guess => "guess",
            Self::None => "none",
        }
    }
}

/// What a device says about itself, made harmless to show.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hint(pub String);

impl Hint {
    /// Strips what could deceive a reader and cuts at [`NAME_CAP`]; `None` if nothing remains.
    pub fn from_wire(bytes: &[u8]) -> Option<Self> {
        let text = harmless(&String::from_utf8_lossy(bytes), NAME_CAP);
        (!text.is_empty()).then_some(Self(text))
    }
}

/// Marks that may stand on one character; more would paint over the lines above and below.
const MARKS: usize = 2;

/// Strips control, bidirectional, invisible and tag characters and piles of marks, folds white space and cuts.
pub fn harmless(text: &str, cap: usize) -> String {
    let mut clean = String::new();
    let mut count = 0;
    let mut marks = 0;
    for character in text.chars() {
        let character = if character.is_whitespace() { ' ' } else { character };
        if deceives(character) || (character == ' ' && (clean.is_empty() || clean.ends_with(' '))) {
            continue;
        }
        marks = if is_mark(character) { marks + 1 } else { 0 };
        if marks > MARKS {
            continue;
        }
        if count == cap {
            break;
        }
        clean.push(character);
        count += 1;
    }
    clean.truncate(clean.trim_end().len());
    clean
}

/// Whether it stands on the character before it: what extends a grapheme is escaped by the standard library.
fn is_mark(character: char) -> bool {
    !character.is_ascii() && character.escape_debug().len() > 1
}

/// Control (Cc), format (Cf: bidi marks, zero width, tags, soft hyphen), line separators, variation selectors, private
/// use and what stands for undecodable bytes.
fn deceives(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{ad}' | '\u{34f}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}' | '\u{890}'..='\u{891}'
            | '\u{8e2}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}' | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}'
            | '\u{e000}'..='\u{f8ff}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffd}'
            | '\u{110bd}' | '\u{110cd}' | '\u{13430}'..='\u{1343f}' | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{10ffff}')
}

macro_rules! kinds {
    ($($name:ident = $text:literal $(| $alias:literal)*;)*) => {
        /// What a device is. A closed list, so that a typing mistake cannot make a lock harmless.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum Kind { $($name,)* }

        impl Kind {
            /// Every kind.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The name in every output.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// The kind with this name; capitals, spaces and hyphens do not matter.
            pub fn from_name(name: &str) -> Option<Self> {
                let name: String = name
                    .trim()
                    .chars()
                    .map(|c| if c == ' ' || c == '-' { '_' } else { c.to_ascii_lowercase() })
                    .collect();
                match name.as_str() { $($text $(| $alias)* => Some(Self::$name),)* _ => None }
            }
        }
    };
}
kinds! {
    Unknown = "unknown" | "";
    Lock = "lock" | "door_lock" | "smart_lock" | "door" | "gate" | "garage" | "garage_door";
    Alarm = "alarm" | "alarm_system" | "siren" | "smoke_alarm" | "smoke_detector" | "fire_alarm";
    Camera = "camera" | "doorbell" | "baby_monitor" | "webcam" | "microphone";
    Gas = "gas" | "gas_valve" | "boiler" | "stove" | "oven";
    Medical = "medical";
    Heating = "heating" | "thermostat" | "heat_pump";
    Light = "light" | "lamp" | "bulb";
    Plug = "plug" | "switch" | "socket";
    Blind = "blind" | "shutter" | "window";
    Fan = "fan" | "air_conditioner" | "ventilation";
    Sensor = "sensor";
    Meter = "meter";
    Battery = "battery";
    Inverter = "inverter" | "solar";
    Charger = "charger" | "wallbox";
    WashingMachine = "washing_machine" | "washer" | "dryer" | "dishwasher";
    Fridge = "fridge" | "refrigerator" | "freezer";
    CoffeeMachine = "coffee_machine" | "kettle";
    Vacuum = "vacuum" | "robot_vacuum" | "mower";
    Watering = "watering" | "pump";
    Speaker = "speaker" | "voice_assistant";
    Media = "media" | "tv" | "television" | "console";
    Toy = "toy";
    Hub = "hub" | "broker" | "bridge" | "home_hub";
    Router = "router" | "access_point" | "network";
    Storage = "storage" | "nas" | "server";
    Computer = "computer" | "laptop" | "desktop";
    Phone = "phone" | "tablet" | "watch";
    Printer = "printer" | "scanner";
    Controller = "controller" | "plc";
    Machine = "machine" | "robot" | "tool";
    Other = "other";
}

impl Kind {
    /// Whether an edge to it is asked about even while its source learns.
    ///
    /// `Unknown` is dangerous only as the target of a message that sets something (see [`crate::learning`]): otherwise
    /// no two devices of a new site could learn each other.
    pub const fn is_dangerous(self) -> bool {
        matches!(self, Self::Lock | Self::Alarm | Self::Camera | Self::Gas)
    }

    /// Whether it may lose its messages only after a person said that learning is over.
    pub const fn waits_for_person(self) -> bool {
        matches!(self, Self::Heating | Self::Alarm | Self::Medical)
    }
}

/// The mode with this name.
pub fn mode_from_name(name: &str) -> Option<Mode> {
    Mode::ALL.iter().copied().find(|mode| mode.as_str() == name)
}

/// `02:00:00:00:00:01`.
pub fn show_mac(mac: [u8; 6]) -> String {
    mac.map(|octet| format!("{octet:02x}")).join(":")
}

/// Six octets in hexadecimal with colons or hyphens.
pub fn parse_mac(text: &str) -> Option<[u8; 6]> {
    let mut octets = text.split([':', '-']);
    let mut mac = [0; 6];
    for octet in &mut mac {
        let digits = octets
            .next()
            .filter(|digits| digits.len() == 2 && digits.bytes().all(|b| b.is_ascii_hexdigit()))?;
        *octet = u8::from_str_radix(digits, 16).ok()?;
    }
    octets.next().is_none().then_some(mac)
}

/// An address as people write it.
pub fn show_address(addr: Addr) -> String {
    match addr.v4() {
        Some(v4) => Ipv4Addr::from(v4).to_string(),
        None => Ipv6Addr::from(addr.0).to_string(),
    }
}

/// An IPv4 or IPv6 address.
pub fn parse_address(text: &str) -> Option<Addr> {
    match text.parse().ok()? {
        IpAddr::V4(v4) => Some(Addr::from_v4(v4.octets())),
        IpAddr::V6(v6) => Some(Addr(v6.octets())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hint_cannot_deceive() {
        let hint = |text: &str| Hint::from_wire(text.as_bytes()).map(|hint| hint.0);
        assert_eq!(hint("front\u{202e}kcol\u{200b}\r\n\x1b[31m"), Some("frontkcol [31m".into()));
        assert_eq!(hint(&"x".repeat(300)).map(|hint| hint.len()), Some(NAME_CAP));
        assert_eq!(hint(" \u{200f}\u{0}"), None);
        assert_eq!(Hint::from_wire(b"a\xff\xfeb").map(|hint| hint.0), Some("ab".into()));
        assert_eq!(hint("Küche  2"), Some("Küche 2".into()));
    }

    #[test]
    fn marks_do_not_pile_up() {
        let pile = format!("H{}ub", "\u{301}\u{489}\u{e48}".repeat(13));
        assert_eq!(harmless(&pile, NAME_CAP), "H\u{301}\u{489}ub");
        for name in ["e\u{301}\u{323}", "ที่", "हिन्दी", "\"'\\\"'\\", "🔒🔒🔒🔒", "日本語の名前", "Ελληνικά"]
        {
            assert_eq!(harmless(name, NAME_CAP), name);
        }
    }

    #[test]
    fn kinds_come_back_and_mistakes_are_no_kind() {
        for &kind in Kind::ALL {
            assert_eq!(Kind::from_name(kind.as_str()), Some(kind));
        }
        assert_eq!(Kind::from_name("Door-Lock"), Some(Kind::Lock));
        assert_eq!(Kind::from_name("lokc"), None);
    }

    #[test]
    fn macs_and_addresses_come_back() {
        let mac = [2, 0, 0xab, 0, 0, 1];
        assert_eq!(parse_mac(&show_mac(mac)), Some(mac));
        for wrong in [
            "",
            "02:00:ab:00:00",
            "02:00:ab:00:00:01:02",
            "2:0:ab:0:0:1",
            "02:00:ab:00:00:zz",
            "+2:00:ab:00:00:01",
        ] {
            assert_eq!(parse_mac(wrong), None, "{wrong}");
        }
        for text in ["10.0.0.1", "2001:db8::1"] {
            assert_eq!(parse_address(text).map(show_address).as_deref(), Some(text));
        }
    }
}
