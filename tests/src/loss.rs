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

/// Loses this many of a hundred packets to and from the broker that are handed on by a namespace, before and behind the
/// firewall alike.
pub fn lose(namespace: &Namespace, hook: Hook, percent: u32) -> Result<()> {
    let (family, hook) = match hook {
        Hook::Input => ("inet", "input"),
        Hook::Output => ("inet", "output"),
    };
    namespace.nft(&format!(
        "table {family} loss_{hook} {{\n chain lose {{\n  type filter hook {hook} priority -250;\n  \
         tcp dport 1883 numgen random mod 100 < {percent} counter drop\n  \
         tcp sport 1883 numgen random mod 100 < {percent} counter drop\n }}\n}}\n"
    ))
}

/// Where packets get lost: at the sender before the firewall, or at the receiver behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hook {
    Input,
    Output,
}
