//! Segments that get lost on their way, on purpose.

use std::time::Duration;

use anyhow::{Context, Result};

use crate::{net::Namespace, process};

const PATIENCE: Duration = Duration::from_secs(5);

/// While it lives, what a client sends to the broker does not arrive.
#[derive(Debug)]
pub struct Hole {
    namespace: Namespace,
}

impl Hole {
    /// Loses everything from this port that reaches the namespace: it has passed every hook before.
    pub fn dig(namespace: Namespace, port: u16) -> Result<Self> {
        namespace.nft(&format!(
            "table inet hole {{\n chain in {{\n  type filter hook input priority -300;\n  \
             tcp dport 1883 tcp sport {port} counter drop\n }}\n}}\n"
        ))?;
        Ok(Self { namespace })
    }

    /// Waits until so many segments were lost here; false if that does not happen, because something before us took them.
    pub fn swallows(&self, segments: u64) -> bool {
        process::wait_until(PATIENCE, "segments to get lost", || Ok(self.lost()? >= segments)).is_ok()
    }

    fn lost(&self) -> Result<u64> {
        let output = self.namespace.command("nft").args(["list", "table", "inet", "hole"]).output()?;
        let text = String::from_utf8_lossy(&output.stdout);
        let mut words = text.split_whitespace().skip_while(|word| *word != "packets").skip(1);
        words.next().and_then(|count| count.parse().ok()).context("nft does not count")
    }
}

impl Drop for Hole {
    fn drop(&mut self) {
        // The namespace may be gone already.
        let _ = self.namespace.nft("delete table inet hole\n");
    }
}

/// Loses this many of a hundred packets of MQTT that leave or reach a device: at the sender they get lost before the
/// firewall and their acknowledgements behind it, at the receiver the other way round.
pub fn lose(device: &Namespace, percent: u32) -> Result<()> {
    let rule = |port| format!("  tcp {port} 1883 numgen random mod 100 < {percent} counter drop\n");
    let rules = [rule("dport"), rule("sport")].concat();
    device.nft(&format!(
        "table netdev loss {{\n chain in {{\n  type filter hook ingress device eth0 priority 0\n{rules} }}\n \
         chain out {{\n  type filter hook egress device eth0 priority 0\n{rules} }}\n}}\n"
    ))
}

/// Ends what [`lose`] began, and says how many packets were lost.
pub fn stop_losing(device: &Namespace) -> Result<u64> {
    let output = device.command("nft").args(["list", "table", "netdev", "loss"]).output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let words: Vec<&str> = text.split_whitespace().collect();
    let lost =
        words.windows(2).filter(|pair| pair[0] == "packets").filter_map(|pair| pair[1].parse::<u64>().ok());
    let lost = lost.sum();
    device.nft("delete table netdev loss\n")?;
    Ok(lost)
}

/// Loses the first packet of a handshake that a device receives ([`Step::Syn`]) or sends ([`Step::SynAck`]).
pub fn lose_first(device: &Namespace, step: Step) -> Result<()> {
    let (hook, port, flags) = match step {
        Step::Syn => ("ingress", "dport", "syn"),
        Step::SynAck => ("egress", "sport", "syn|ack"),
    };
    device.nft(&format!(
        "table netdev loss {{\n chain lose {{\n  type filter hook {hook} device eth0 priority 0\n  \
         tcp {port} 1883 tcp flags & (syn|ack) == ({flags}) numgen inc mod 1000000 < 1 counter drop\n }}\n}}\n"
    ))
}

/// A packet of the handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    Syn,
    SynAck,
}
