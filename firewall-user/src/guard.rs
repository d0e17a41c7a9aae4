//! The guard: what holds when no program of ours is attached.
//!
//! A frame from a protected interface passes only with the mark of a program that judged it. The rules name interfaces,
//! not indices, so an interface that is deleted and made again is covered before any program is attached to it. They
//! are loaded before everything else, stay when the daemon ends, and are removed by `edgeward unload` only.

use std::{
    fmt::Write as _,
    io::Write,
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail};

use crate::{config::Marks, net::InterfaceName};

/// Name of the table in each family.
const TABLE: &str = "edgeward";

/// What is guarded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Guard<'a> {
    pub protect: &'a [InterfaceName],
    pub uplink: Option<&'a InterfaceName>,
    pub marks: Marks,
}

impl Guard<'_> {
    /// Loads the rules in one transaction, in the place of older ones.
    pub fn load(&self) -> Result<()> {
        nft(&self.rules()).context("Failed to load the guard")
    }

    fn rules(&self) -> String {
        let judged = self.marks.judged;
        let gated = self.marks.gated;
        let mut lan = String::new();
        for interface in self.protect {
            // VLAN interfaces on top of the port carry its frames as well.
            for name in [format!("{interface}"), format!("{interface}.*")] {
                let _infallible =
                    writeln!(lan, "    iifname \"{name}\" meta mark & {judged:#010x} == 0 counter drop");
            }
        }
        // A frame to an address that no device has shown yet is judged where it is delivered.
        let ports: Vec<String> = self.protect.iter().map(|port| format!("\"{port}\"")).collect();
        let delivered = if ports.is_empty() {
            String::new()
        } else {
            let ports = ports.join(", ");
            format!("    iifname {{ {ports} }} oifname {{ {ports} }} meta mark & {gated:#010x} != 0 accept\n")
        };
        let mut uplink = String::new();
        let mut uplink_input = String::new();
        let mut uplink_bridged = String::new();
        if let Some(interface) = self.uplink {
            let ungated = format!("meta mark & {gated:#010x} == 0");
            uplink = format!(
                "    iifname \"{interface}\" {ungated} ct state new,invalid,untracked counter drop\n"
            );
            uplink_input = format!(
                "    iifname \"{interface}\" meta l4proto {{ icmp, ipv6-icmp }} accept\n    \
                 iifname \"{interface}\" udp sport 67 udp dport 68 accept\n    \
                 iifname \"{interface}\" udp sport 547 udp dport 546 accept\n"
            );
            // ARP and frames to a group carry no mark of the gate; where they are delivered to a device they are judged.
            uplink_bridged = format!(
                "    iifname \"{interface}\" {ungated} ether type != arp ether daddr & 01:00:00:00:00:00 == \
                 00:00:00:00:00:00 counter drop\n"
            );
        }
        format!(
            "{remove}\
             table inet {TABLE} {{\n  \
               chain forward {{\n    type filter hook forward priority -150; policy accept;\n{delivered}{lan}{uplink}  }}\n  \
               chain input {{\n    type filter hook input priority -150; policy accept;\n{lan}{uplink_input}{uplink}  }}\n\
             }}\n\
             table bridge {TABLE} {{\n  \
               chain forward {{\n    type filter hook forward priority -150; policy accept;\n{delivered}{lan}{uplink_bridged}  }}\n  \
               chain input {{\n    type filter hook input priority -150; policy accept;\n{lan}  }}\n\
             }}\n",
            remove = removal(),
        )
    }
}

/// Removes the rules.
pub fn unload() -> Result<()> {
    nft(&removal()).context("Failed to remove the guard")
}

/// Whether the rules are loaded.
pub fn is_loaded() -> bool {
    let list = |family| {
        Command::new("nft")
            .args(["list", "table", family, TABLE])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
    };
    list("inet") && list("bridge")
}

/// Adding first makes the removal succeed where there is nothing to remove.
fn removal() -> String {
    ["inet", "bridge"]
        .map(|family| format!("add table {family} {TABLE}\ndelete table {family} {TABLE}\n"))
        .concat()
}

fn nft(rules: &str) -> Result<()> {
    let mut child = Command::new("nft")
        .args(["-f", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .context("cannot run nft; install the package nftables")?;
    child
        .stdin
        .take()
        .context("nft has no standard input")?
        .write_all(rules.as_bytes())
        .context("nft ended before it had read the rules")?;
    let output = child.wait_with_output()?;
    if !output.status.success() {
        let message = String::from_utf8_lossy(&output.stderr);
        bail!("nft refused the rules: {}", message.lines().next().unwrap_or("no reason given"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_protected_interface_is_in_every_chain() {
        let protect: Vec<InterfaceName> = vec!["lan0".parse().unwrap(), "lan1".parse().unwrap()];
        let uplink = "wan0".parse().unwrap();
        let guard = Guard { protect: &protect, uplink: Some(&uplink), marks: Marks::default() };
        let rules = guard.rules();
        for chain in rules.split("chain ").skip(1) {
            for name in ["lan0", "lan1"] {
                let rule = format!("iifname \"{name}\" meta mark & 0x40000000 == 0 counter drop");
                assert!(chain.contains(&rule), "{name} in {chain}");
            }
        }
        assert_eq!(rules.matches("chain ").count(), 4);
        // Both inet chains, and what a bridge forwards; for the box itself the inet rules hold.
        assert_eq!(rules.matches("iifname \"wan0\" meta mark & 0x20000000 == 0").count(), 3);
    }

    #[test]
    fn without_an_uplink_nothing_is_said_of_one() {
        let guard = Guard { protect: &[], uplink: None, marks: Marks::default() };
        assert!(!guard.rules().contains("iifname"));
    }
}
