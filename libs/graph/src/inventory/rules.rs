//! The table of rules: which clue speaks for which kind, and how much.
//!
//! One point is a name that anybody may choose, two a habit that few others have, three a protocol that only such devices
//! speak.

use std::collections::BTreeSet;

use super::{Clues, Proof, Served};
use crate::operation::TCP;
use crate::principal::Kind;

/// Which clue a rule looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum On {
    /// A service of multicast DNS, exactly.
    Service(&'static str),
    /// A target of SSDP that contains this.
    Target(&'static str),
    /// A vendor class of DHCP that begins so.
    Vendor(&'static str),
    /// A word of the name that it gives itself, or of its MUD URL; digits behind it do not matter.
    Word(&'static str),
    /// A maker whose name contains this.
    Maker(&'static str),
    /// The list of parameters that it asks for over DHCP begins so.
    Asks(&'static [u8]),
    /// Others reach it at this TCP port.
    Serves(u16),
}

/// One row of the table.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rule {
    on: On,
    pub(super) kind: Kind,
    pub(super) points: u8,
}

impl Rule {
    /// Whether it is about this port.
    pub(super) fn is_met_by(&self, served: Served) -> bool {
        served.proto == TCP && self.on == On::Serves(served.port)
    }

    /// The clue that the rule is about, if the device has given it.
    pub(super) fn evidence(
        &self,
        clues: &Clues,
        name: Option<&str>,
        served: &BTreeSet<Served>,
    ) -> Option<Proof> {
        let contains = |text: &Option<String>, part: &str| {
            text.as_ref().is_some_and(|text| text.to_ascii_lowercase().contains(part))
        };
        Some(match self.on {
            On::Service(service) if clues.services.contains(service) => Proof::Offers(service.to_owned()),
            On::Target(part) if clues.targets.iter().any(|target| target.contains(part)) => {
                Proof::Announces(part.to_owned())
            }
            On::Vendor(start) => {
                let class = clues.vendor_class.as_ref()?;
                class.to_ascii_lowercase().starts_with(start).then(|| Proof::VendorClass(class.clone()))?
            }
            On::Word(word) if name.is_some_and(|name| has_word(name, word)) => {
                Proof::Name(name.unwrap_or_default().to_owned())
            }
            On::Word(word) => {
                let url = clues.mud_url.as_ref().filter(|url| has_word(url, word))?;
                Proof::MudUrl(url.clone())
            }
            On::Maker(part) if contains(&clues.maker, part) => {
                Proof::Maker(clues.maker.clone().unwrap_or_default())
            }
            On::Asks(list) if clues.parameters.starts_with(list) => Proof::Parameters,
            On::Serves(port) if served.contains(&Served { proto: TCP, port }) => Proof::Serves(port),
            On::Service(_) | On::Target(_) | On::Maker(_) | On::Asks(_) | On::Serves(_) => return None,
        })
    }
}

/// Whether a text has a word, in any spelling and with or without digits behind it.
fn has_word(text: &str, word: &str) -> bool {
    text.to_ascii_lowercase().split(|character: char| !character.is_ascii_alphanumeric()).any(|found| {
        found == word || found.trim_end_matches(|character: char| character.is_ascii_digit()) == word
    })
}

macro_rules! rules {
    ($($kind:ident, $points:literal: $($on:ident $text:expr),+;)*) => {
        /// All rules.
        pub(super) const RULES: &[Rule] =
            &[$($(Rule { on: On::$on($text), kind: Kind::$kind, points: $points },)+)*];
    };
}

rules! {
    Printer, 3: Service "_ipp._tcp", Service "_ipps._tcp", Service "_printer._tcp", Service "_pdl-datastream._tcp",
        Target "device:printer", Vendor "hewlett-packard jetdirect";
    Printer, 2: Service "_scanner._tcp", Service "_uscan._tcp", Serves 9_100, Serves 631, Serves 515, Vendor "epson",
        Vendor "canon", Vendor "brother";
    Printer, 1: Word "printer", Word "epson", Maker "brother", Maker "canon", Maker "seiko epson", Maker "lexmark",
        Maker "kyocera", Maker "ricoh";
    Camera, 3: Service "_axis-video._tcp", Target "digitalsecuritycamera", Target "networkvideotransmitter";
    Camera, 2: Service "_rtsp._tcp", Vendor "hikvision", Vendor "dahua", Maker "axis communications", Maker "hikvision",
        Maker "dahua", Maker "reolink", Maker "foscam", Maker "arlo";
    Camera, 1: Serves 554, Word "camera", Word "cam", Word "ipcam", Word "doorbell", Word "webcam", Maker "ring llc";
    Lock, 2: Maker "august home", Maker "nuki";
    Lock, 1: Word "lock", Word "doorlock", Word "smartlock";
    Speaker, 3: Service "_sonos._tcp", Target "zoneplayer";
    Speaker, 2: Service "_spotify-connect._tcp", Service "_raop._tcp", Maker "sonos";
    Speaker, 1: Word "echo", Word "homepod", Word "speaker", Word "sonos";
    Media, 3: Service "_googlecast._tcp", Service "_androidtvremote2._tcp", Service "_mediaremotetv._tcp",
        Target "dial-multiscreen-org", Target "roku:ecp", Target "remotecontrolreceiver";
    Media, 2: Service "_airplay._tcp", Service "_amzn-wplay._tcp", Target "device:mediarenderer", Maker "roku";
    Media, 1: Serves 8_008, Serves 8_009, Word "tv", Word "chromecast", Word "roku", Word "playstation", Word "xbox";
    Hub, 3: Service "_hue._tcp", Service "_home-assistant._tcp", Target "belkin:device:bridge";
    Hub, 2: Service "_mqtt._tcp", Service "_secure-mqtt._tcp", Service "_meshcop._udp", Service "_bond._tcp";
    Hub, 1: Serves 1_883, Serves 8_883, Word "hub", Word "bridge", Word "homeassistant";
    Plug, 3: Target "belkin:device:controllee", Target "belkin:device:insight", Target "belkin:device:lightswitch";
    Plug, 1: Service "_shelly._tcp", Service "_ewelink._tcp", Word "plug", Word "socket", Word "hs100", Word "hs110",
        Word "switch", Word "outlet";
    Light, 3: Service "_wled._tcp", Service "_elg._tcp", Service "_nanoleafapi._tcp", Target "dimmablelight",
        Target "binarylight";
    Light, 2: Maker "lifx";
    Light, 1: Word "light", Word "lamp", Word "bulb", Word "led", Maker "signify", Maker "philips lighting";
    Sensor, 3: Target "belkin:device:sensor";
    Sensor, 1: Word "sensor", Word "weather", Word "motion";
    Heating, 3: Target "device:hvac";
    Heating, 1: Word "thermostat", Word "heating", Maker "nest labs", Maker "ecobee", Maker "tado";
    Fan, 2: Service "_dyson_mqtt._tcp";
    Fan, 1: Word "fan", Word "aircon", Word "purifier";
    Storage, 3: Service "_adisk._tcp";
    Storage, 2: Service "_smb._tcp", Service "_nfs._tcp", Service "_afpovertcp._tcp", Maker "synology", Maker "qnap";
    Storage, 1: Serves 445, Serves 2_049, Target "device:mediaserver", Word "nas", Word "diskstation";
    Router, 3: Target "internetgatewaydevice", Target "wlanaccesspoint";
    Router, 2: Target "wandevice", Vendor "arubaap", Vendor "cisco ap";
    Router, 1: Word "router", Word "gateway", Word "openwrt", Maker "ubiquiti", Maker "mikrotik";
    Computer, 2: Vendor "msft 5.0", Vendor "aaplbsdpc", Service "_workstation._tcp",
        Asks &[1, 3, 6, 15, 31, 33, 43, 44, 46, 47];
    Computer, 1: Service "_ssh._tcp", Service "_sftp-ssh._tcp", Word "laptop", Word "macbook", Word "desktop",
        Word "imac", Word "thinkpad";
    Phone, 3: Service "_apple-mobdev2._tcp";
    Phone, 2: Vendor "android-dhcp", Asks &[1, 3, 6, 15, 26, 28, 51, 58, 59, 43];
    Phone, 1: Asks &[1, 121, 3, 6, 15, 119, 252], Word "iphone", Word "ipad", Word "android", Word "galaxy",
        Word "pixel", Word "phone";
    Vacuum, 2: Maker "irobot", Maker "roborock", Maker "ecovacs";
    Vacuum, 1: Word "vacuum", Word "roomba", Word "roborock", Word "mower";
    WashingMachine, 1: Word "washer", Word "washing", Word "dryer", Word "dishwasher";
    Fridge, 1: Word "fridge", Word "freezer", Word "refrigerator";
    CoffeeMachine, 1: Word "coffee", Word "kettle", Word "ikettle";
    Charger, 1: Word "wallbox", Word "charger";
    Inverter, 1: Word "inverter", Word "solar";
    Meter, 1: Word "meter";
    Machine, 3: Service "_octoprint._tcp";
    Controller, 1: Serves 502, Word "plc";
    Watering, 1: Word "watering", Word "sprinkler", Word "irrigation";
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a device must say or do for a rule, as it would be remembered.
    fn meet(rule: &Rule) -> (Clues, Option<&'static str>, BTreeSet<Served>) {
        let (mut clues, mut name, mut served) = (Clues::default(), None, BTreeSet::new());
        match rule.on {
            On::Service(text) => drop(clues.services.insert(text.to_ascii_lowercase())),
            On::Target(text) => drop(clues.targets.insert(format!("urn:{}:1", text.to_ascii_lowercase()))),
            On::Vendor(text) => clues.vendor_class = Some(text.to_ascii_uppercase()),
            On::Word(text) => name = Some(text),
            On::Maker(text) => clues.maker = Some(format!("{} Inc.", text.to_ascii_uppercase())),
            On::Asks(list) => clues.parameters = list.to_vec(),
            On::Serves(port) => drop(served.insert(Served { proto: TCP, port })),
        }
        (clues, name, served)
    }

    #[test]
    fn every_rule_can_be_met_and_none_without_a_clue() {
        for rule in RULES {
            let (clues, name, served) = meet(rule);
            assert!(rule.evidence(&clues, name, &served).is_some(), "{rule:?}");
            assert_eq!(rule.evidence(&Clues::default(), None, &BTreeSet::new()), None, "{rule:?}");
            assert!((1..=3).contains(&rule.points), "{rule:?}");
        }
    }
}
