//! What the configuration decides for the graph. All durations are in seconds.

use firewall_common::abi::{PrincipalId, capacity};

use crate::decision::SiteMode;
use crate::edge::EdgeId;

/// Durations, caps and ports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Mode of a site that has no state yet.
    pub site_mode: SiteMode,
    /// After a change to enforce: time in which it must be confirmed.
    pub confirm: u64,
    /// From the first start: devices seen within it start as learning, afterwards as new.
    pub first_run: u64,
    /// Learning lasts at least this long,
    pub learn_min: u64,
    /// and until nothing new was seen for this long,
    pub learn_quiet: u64,
    /// but at most this long.
    pub learn_max: u64,
    /// Between ready and enforcing.
    pub ready_notice: u64,
    /// After too many refused logins: how long its client ids are banned for a principal.
    pub ban: u32,
    /// In such windows the kernel's meters are read.
    pub window: u64,
    /// Most edges that a principal may learn; beyond, learning stops with an alarm.
    pub learn_edges: usize,
    /// Most outside hosts that a principal may learn; beyond, learning stops with an alarm.
    pub learn_destinations: usize,
    /// Most undecided edges per source.
    pub pending_per_source: usize,
    /// Most devices on one port.
    pub principals_per_port: usize,
    /// Ports whose streams are looked at for MQTT; the first is meant where a message names none.
    pub mqtt_ports: Vec<u16>,
    /// How much the kernel has room for.
    pub room: Room,
}

/// Most entries of what the kernel holds too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// Numbers of principals, counted from 0; half of them are for outside hosts.
    pub principals: u32,
    pub edges: usize,
    /// Addresses of outside hosts.
    pub hosts: usize,
}

impl Room {
    /// What the kernel programs of this version reserve.
    pub const KERNEL: Self = Self {
        principals: PrincipalId::LIMIT,
        edges: capacity::EDGES as usize - EdgeId::FIRST as usize,
        hosts: capacity::HOSTS as usize / 2,
    };

    pub(crate) const fn outside(self) -> usize {
        self.principals as usize / 2
    }
}

impl Settings {
    pub(crate) fn mqtt_port(&self) -> u16 {
        self.mqtt_ports.first().copied().unwrap_or(1883)
    }
}

impl Default for Settings {
    fn default() -> Self {
        const HOUR: u64 = 3_600;
        const DAY: u64 = 24 * HOUR;
        Self {
            site_mode: SiteMode::Monitor,
            confirm: 300,
            first_run: DAY,
            learn_min: 5 * DAY,
            learn_quiet: 48 * HOUR,
            learn_max: 14 * DAY,
            ready_notice: DAY,
            ban: 600,
            window: 10,
            learn_edges: 256,
            learn_destinations: 64,
            pending_per_source: 64,
            principals_per_port: 256,
            mqtt_ports: vec![1883],
            room: Room::KERNEL,
        }
    }
}
