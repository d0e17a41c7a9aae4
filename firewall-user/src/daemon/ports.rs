//! Interfaces: programs attached where they belong, and what the kernel programs must know of addresses.
//!
//! An interface may be deleted and made again under another number at any time. Each time that netlink tells of a
//! change, what is there is compared with what was written, and the difference is written.

use std::{collections::BTreeMap, process::Command};

use anyhow::{Context, Result, bail};
use firewall_common::abi::{AddrKey, Port, PrincipalId, Role};
use graph::{Graph, Now, graph::Network};

use super::tables::Tables;
use crate::{
    config::{Attach, Config, DhcpServer},
    kernel::{Hook, Kernel, Prefix, Xdping},
    net::{Facts, InterfaceName, Snapshot},
};

/// A configured interface.
#[derive(Debug)]
struct Configured {
    name: InterfaceName,
    role: Role,
}

/// An interface that exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Present {
    ifindex: u32,
    port: Port,
    /// Since when our programs are there, in seconds since 1970; `None` if they are not there yet.
    since: Option<i64>,
}

/// The interfaces of the configuration and how they stand.
pub(super) struct Ports {
    configured: Vec<Configured>,
    attach: Attach,
    dhcp: DhcpServer,
    present: BTreeMap<InterfaceName, Present>,
    facts: Facts,
}

/// How an interface stands, for `status`.
pub(super) struct Standing<'p> {
    pub(super) name: &'p InterfaceName,
    pub(super) role: &'static str,
    pub(super) attach: &'static str,
    /// Since when our programs are there.
    pub(super) since: Option<i64>,
    pub(super) exists: bool,
}

impl Ports {
    /// Takes the interfaces of the configuration; all must exist now.
    pub(super) fn configured(config: &Config) -> Result<Self> {
        let interfaces = &config.interfaces;
        if interfaces.protect.is_empty() {
            bail!("no interface to protect; name one with --interface or in [interfaces] protect");
        }
        let snapshot = Snapshot::take().context("Failed to list the interfaces")?;
        let lan = interfaces.protect.iter().map(|name| Configured { name: name.clone(), role: Role::Lan });
        let uplink =
            interfaces.uplink.iter().map(|name| Configured { name: name.clone(), role: Role::Uplink });
        let configured: Vec<Configured> = lan.chain(uplink).collect();
        for Configured { name, .. } in &configured {
            if snapshot.link(name).is_none() {
                let there: Vec<&str> = snapshot.links.iter().map(|link| link.name.as_str()).collect();
                bail!("there is no interface {name}; there are {}", there.join(", "));
            }
        }
        Ok(Self {
            configured,
            attach: interfaces.attach,
            dhcp: config.dhcp.server.clone(),
            present: BTreeMap::new(),
            facts: Facts::default(),
        })
    }

    /// Compares what is there with what was written, and writes the difference; the graph is told what changed. Programs
    /// are attached afterwards, when the maps hold what the graph has to say to it.
    pub(super) fn note(&mut self, tables: &mut Tables, graph: &mut Graph, now: Now) -> Result<()> {
        let snapshot = Snapshot::take().context("Failed to list the interfaces")?;
        let mut lan = Vec::new();
        // Where the uplink is a port of the devices' own bridge, a router beyond it has an address of their network: what
        // no device holds there may well be outside.
        let mut beyond = None;
        for Configured { name, role } in &self.configured {
            let before = self.present.get(name).copied();
            let Some(link) = snapshot.link(name) else {
                if let Some(gone) = self.present.remove(name) {
                    tracing::warn!(interface = %name, "The interface is gone; it is protected again when it comes back");
                    tables.maps.ports.remove(&gone.ifindex)?;
                }
                continue;
            };
            match role {
                Role::Lan => lan.push(link),
                Role::Uplink => beyond = link.master,
            }
            let serves = matches!(&self.dhcp, DhcpServer::Port(port) if port == name);
            let port =
                Port { link: link.owner(), role: *role as u8, dhcp_server: u8::from(serves), _pad: [0; 2] };
            let same = before.filter(|before| before.ifindex == link.ifindex);
            if same.is_none_or(|same| same.port != port) {
                tables.maps.ports.put(&link.ifindex, &port)?;
            }
            if same.is_none() {
                if let Some(before) = before {
                    tables.maps.ports.remove(&before.ifindex)?;
                }
                if *role == Role::Lan {
                    graph.handle_port(name.as_str(), link.ifindex, now);
                }
            }
            let since = same.and_then(|same| same.since);
            self.present.insert(name.clone(), Present { ifindex: link.ifindex, port, since });
        }
        let facts = snapshot.facts(&lan, beyond);
        if facts != self.facts {
            write_facts(&facts, tables)?;
            let beyond = beyond.map(u32::to_be_bytes);
            let inside = facts.networks.iter().filter(|network| Some(network.key.link) != beyond);
            graph.handle_networks(inside.map(network).collect(), now);
            self.facts = facts;
        }
        Ok(())
    }

    /// Attaches the programs where they are not attached yet. The first failure ends it; the rest is tried again.
    pub(super) fn attach_all(&mut self, kernel: &mut Kernel, now: Now) -> Result<()> {
        for Configured { name, role } in &self.configured {
            let Some(present) = self.present.get_mut(name).filter(|present| present.since.is_none()) else {
                continue;
            };
            attach(kernel, name, *role, self.attach)?;
            if *role == Role::Lan {
                ask_again(name);
            }
            present.since = Some(now.unix);
            tracing::info!(interface = %name, ifindex = present.ifindex, "Protecting");
        }
        Ok(())
    }

    /// Every place where a program of ours belongs.
    pub(super) fn places(&self) -> Vec<(InterfaceName, Hook)> {
        self.configured
            .iter()
            .flat_map(|configured| {
                hooks(configured.role, self.attach).iter().map(|hook| (configured.name.clone(), *hook))
            })
            .collect()
    }

    /// Addresses in `HOSTS` that are ours to write, not the graph's.
    pub(super) fn own_hosts(&self) -> Vec<AddrKey> {
        self.facts.own.iter().chain(&self.facts.everyone).copied().collect()
    }

    /// The name of the interface with this number.
    pub(super) fn name(&self, ifindex: u32) -> Option<&InterfaceName> {
        self.present.iter().find(|(_, present)| present.ifindex == ifindex).map(|(name, _)| name)
    }

    pub(super) fn standing(&self) -> impl Iterator<Item = Standing<'_>> {
        self.configured.iter().map(|configured| Standing {
            name: &configured.name,
            role: match configured.role {
                Role::Lan => "lan",
                Role::Uplink => "uplink",
            },
            attach: match (configured.role, self.attach) {
                (Role::Uplink, _) | (Role::Lan, Attach::Auto | Attach::Tc) => "tc",
                (Role::Lan, Attach::Xdp) => "xdp+tc",
                (Role::Lan, Attach::XdpGeneric) => "xdp-generic+tc",
            },
            since: self.present.get(&configured.name).and_then(|present| present.since),
            exists: self.present.contains_key(&configured.name),
        })
    }

    /// The protected interfaces that exist, with their numbers.
    pub(super) fn present(&self) -> impl Iterator<Item = (&InterfaceName, u32)> {
        let lan = self.configured.iter().filter(|configured| configured.role == Role::Lan);
        lan.filter_map(|configured| Some((&configured.name, self.present.get(&configured.name)?.ifindex)))
    }

    pub(super) fn has_uplink(&self) -> bool {
        self.configured.iter().any(|configured| configured.role == Role::Uplink)
    }
}

/// The hooks at an interface of this role, in the order in which they are attached: what devices send is judged last, so
/// that nothing is let through whose answer could not be judged.
fn hooks(role: Role, attach: Attach) -> &'static [Hook] {
    match (role, attach) {
        (Role::Uplink, _) => &[Hook::Uplink],
        (Role::Lan, Attach::Auto | Attach::Tc) => &[Hook::LanEgress, Hook::LanIngress],
        (Role::Lan, Attach::Xdp | Attach::XdpGeneric) => &[Hook::LanEgress, Hook::LanIngress, Hook::Xdp],
    }
}

fn attach(kernel: &mut Kernel, name: &InterfaceName, role: Role, attach: Attach) -> Result<()> {
    for &hook in hooks(role, attach) {
        match (hook, attach) {
            (Hook::Xdp, Attach::Xdp) => kernel.attach_xdp(name, Xdping::Native).with_context(|| {
                format!("{name} may have no XDP in its driver; use attach = \"auto\" or \"xdp-generic\"")
            })?,
            (Hook::Xdp, Attach::Auto | Attach::Tc | Attach::XdpGeneric) => {
                kernel.attach_xdp(name, Xdping::Generic)?;
            }
            (Hook::LanIngress | Hook::LanEgress | Hook::Uplink, _) => kernel.attach(name, hook)?,
        }
    }
    Ok(())
}

/// Lets the box forget who has which address at a port, so that it asks (ARP, ND) and the kernel programs hear the
/// answers: until a device has shown an address, nothing is delivered to it there. Without this it would take until the
/// entries expire by themselves.
fn ask_again(name: &InterfaceName) {
    let flush = Command::new("ip").args(["neigh", "flush", "dev", name.as_str()]).output();
    if !flush.is_ok_and(|output| output.status.success()) {
        tracing::debug!(interface = %name, "The neighbours of the port expire by themselves");
    }
}

/// Writes what is new before it removes what is old, so that no address is nobody's in between.
fn write_facts(facts: &Facts, tables: &mut Tables) -> Result<()> {
    let hosts = facts
        .own
        .iter()
        .map(|key| (key, PrincipalId::SELF))
        .chain(facts.everyone.iter().map(|key| (key, PrincipalId::EVERYONE)));
    let mut current = Vec::new();
    for (key, id) in hosts {
        tables.maps.hosts.put(key, &id)?;
        current.push(*key);
    }
    for (key, id) in tables.maps.hosts.entries()? {
        let is_ours = id == PrincipalId::SELF || id == PrincipalId::EVERYONE;
        if is_ours && !current.contains(&key) {
            tables.maps.hosts.remove(&key)?;
        }
    }
    for network in &facts.networks {
        tables.maps.networks.put(*network)?;
    }
    for network in tables.maps.networks.entries()? {
        if !facts.networks.contains(&network) {
            tables.maps.networks.remove(network)?;
        }
    }
    Ok(())
}

fn network(prefix: &Prefix) -> Network {
    Network { addr: prefix.key.addr, prefix: (prefix.bits - 32) as u8 }
}
