//! Between which devices frames must pass a hook, and between which they need not.
//!
//! Devices behind one port and in one VLAN are on one segment: their switch or access point hands frames on by itself. From
//! every other pair frames pass two ports, or the box.

use std::collections::{BTreeMap, BTreeSet};

use firewall_common::abi::PrincipalId;

use crate::graph::Graph;
use crate::principal::Principal;

/// What is not covered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Coverage {
    /// Pairs of devices that can reach each other without passing a hook, and all pairs.
    pub uncovered: u64,
    pub pairs: u64,
    /// Where these are, in the order of ports and VLANs.
    pub segments: Vec<Segment>,
}

/// Devices that reach each other without passing a hook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    pub port: String,
    pub vlan: u16,
    pub devices: Vec<PrincipalId>,
}

impl Graph {
    /// Which pairs of devices are not covered, by where the devices are.
    pub fn coverage(&self) -> Coverage {
        let devices: Vec<&Principal> = self.principals().filter(|principal| principal.is_device()).collect();
        let mut segments: BTreeMap<(&str, u16), BTreeSet<PrincipalId>> = BTreeMap::new();
        for device in &devices {
            for place in &device.places {
                segments.entry((&place.port, place.vlan)).or_default().insert(device.id);
            }
        }
        segments.retain(|_, devices| devices.len() > 1);
        let within: u64 = segments.values().map(|devices| pairs(devices.len())).sum();
        // Two devices with several places each may share more than one segment, and are one pair all the same.
        let movers: Vec<PrincipalId> =
            devices.iter().filter(|device| device.places.len() > 1).map(|device| device.id).collect();
        let shared = |left: &PrincipalId, right: &PrincipalId| {
            segments.values().filter(|devices| devices.contains(left) && devices.contains(right)).count()
                as u64
        };
        let twice: u64 = movers
            .iter()
            .enumerate()
            .flat_map(|(at, left)| movers[at + 1..].iter().map(move |right| shared(left, right)))
            .map(|shared| shared.saturating_sub(1))
            .sum();
        Coverage {
            uncovered: within - twice,
            pairs: pairs(devices.len()),
            segments: segments
                .into_iter()
                .map(|((port, vlan), devices)| Segment {
                    port: port.to_owned(),
                    vlan,
                    devices: devices.into_iter().collect(),
                })
                .collect(),
        }
    }
}

const fn pairs(of: usize) -> u64 {
    let of = of as u64;
    of * of.saturating_sub(1) / 2
}
