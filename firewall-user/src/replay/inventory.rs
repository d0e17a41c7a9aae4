//! The devices of a capture, and what each may be: the same clues and rules as on the wire.

use std::collections::{BTreeMap, BTreeSet};

use firewall_common::wire::frame::{Frame, proto, tcp};
use graph::{
    inventory::{Clue, Clues, Served, clues, is_private},
    principal::{Hint, show_mac},
};
use serde::Serialize;

use super::link::UNNAMED;
use crate::makers::Makers;

/// Most devices, and most ports of one.
const DEVICES: usize = 4_096;
const PORTS: usize = 64;

/// What was heard.
#[derive(Debug, Default)]
pub struct Inventory(BTreeMap<[u8; 6], Heard>);

#[derive(Debug, Default)]
struct Heard {
    name: Option<Hint>,
    clues: Clues,
    served: BTreeSet<Served>,
}

/// A device, for people and programs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Device {
    pub mac: String,
    /// Whether the device has made its MAC up, so that it says nothing about a maker.
    pub private_mac: bool,
    pub calls_itself: Option<String>,
    pub maker: Option<String>,
    pub mud_url: Option<String>,
    pub kind: Option<&'static str>,
    /// `low`, `medium` or `high`.
    pub confidence: Option<&'static str>,
    pub evidence: Vec<String>,
}

impl Inventory {
    /// Takes a frame.
    pub fn see(&mut self, frame: &Frame, bytes: &[u8]) {
        let mac = frame.src_mac;
        // Not every link has MACs.
        let is_one = mac[0] & 1 == 0 && mac != UNNAMED;
        if !is_one || self.0.len() >= DEVICES && !self.0.contains_key(&mac) {
            return;
        }
        let heard = self.0.entry(mac).or_default();
        for clue in clues(frame, bytes) {
            match clue {
                Clue::HostName(name) => heard.name = Some(name),
                clue => drop(heard.clues.take(clue)),
            }
        }
        let answers = frame.proto == proto::TCP && frame.has(tcp::SYN) && frame.has(tcp::ACK);
        if answers && heard.served.len() < PORTS {
            heard.served.insert(Served { proto: frame.proto, port: frame.src_port });
        }
    }

    /// The devices by MAC, with their makers.
    pub fn devices(&self, makers: &Makers) -> Vec<Device> {
        self.0.iter().map(|(mac, heard)| heard.device(*mac, makers.of(*mac))).collect()
    }
}

impl Heard {
    fn device(&self, mac: [u8; 6], maker: Option<&str>) -> Device {
        let name = self.name.as_ref().map(|name| name.0.clone());
        let mut clues = self.clues.clone();
        if let Some(maker) = maker {
            clues.take(Clue::Maker(maker.to_owned()));
        }
        let guess = clues.guess(name.as_deref(), &self.served);
        Device {
            mac: show_mac(mac),
            private_mac: is_private(mac),
            calls_itself: name,
            maker: clues.maker,
            mud_url: clues.mud_url,
            kind: guess.as_ref().map(|guess| guess.kind.as_str()),
            confidence: guess.as_ref().map(|guess| guess.confidence.as_str()),
            evidence: guess
                .map_or_else(Vec::new, |guess| guess.evidence.iter().map(ToString::to_string).collect()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_what_its_clues_say() {
        let mut inventory = Inventory::default();
        let frame = |mac: [u8; 6], port| Frame {
            src_mac: mac,
            proto: proto::TCP,
            flags: tcp::SYN | tcp::ACK,
            src_port: port,
            ..Frame::EMPTY
        };
        let (printer, phone) = ([0, 1, 2, 3, 4, 5], [2, 0, 0, 0, 0, 1]);
        inventory.see(&frame(printer, 9_100), &[]);
        inventory.see(&frame(printer, 631), &[]);
        inventory.see(&frame(phone, 50_000), &[]);
        inventory.see(&frame([0xff; 6], 9_100), &[]);
        let makers = Makers::read("000102     (base 16)\t\tBrother Industries\n".as_bytes());
        let devices = inventory.devices(&makers);
        assert_eq!(devices.len(), 2);
        assert_eq!((devices[0].kind, devices[0].confidence), (Some("printer"), Some("high")));
        assert_eq!(devices[0].maker.as_deref(), Some("Brother Industries"));
        assert!(devices[1].private_mac && devices[1].kind.is_none() && devices[1].maker.is_none());
    }
}
