//! `edgeward doctor`: what this machine has and lacks, each with what to do.

use std::{
    path::{Path, PathBuf},
    process::{Command, ExitCode, Stdio},
};

use anyhow::Result;
use dashboard::{
    rpc::{Client, Request},
    view,
};
use serde::Serialize;

use super::print;
use crate::{config::Config, guard, kernel, net::Snapshot};

/// One thing that was looked at.
#[derive(Debug, Serialize)]
struct Check {
    what: &'static str,
    ok: bool,
    /// What was found and, if it is not in order, what to do.
    finding: String,
}

pub(super) async fn run(config: Option<&Path>, runtime_dir: Option<PathBuf>, json: bool) -> Result<ExitCode> {
    let mut checks = machine();
    let loaded = Config::load(config);
    match &loaded {
        Ok(config) => {
            checks.push(good("configuration", "in order"));
            checks.extend(interfaces(config));
        }
        Err(mistakes) => checks.push(bad("configuration", mistakes.to_string())),
    }
    let config = loaded.unwrap_or_default();
    checks.extend(daemon(&runtime_dir.unwrap_or(config.state.runtime_dir)).await);

    let healthy = checks.iter().all(|check| check.ok);
    if json {
        println!("{}", serde_json::to_string_pretty(&checks)?);
    } else {
        for Check { what, ok, finding } in &checks {
            println!("{} {what}: {finding}", if *ok { "ok  " } else { "MISS" });
        }
    }
    Ok(if healthy { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn machine() -> Vec<Check> {
    let root = if nix::unistd::geteuid().is_root() {
        good("rights", "root")
    } else {
        bad("rights", "not root; some checks see nothing, run it with sudo".to_owned())
    };
    let kernel = match kernel::too_old() {
        None => good("kernel", "6.1 or newer"),
        Some(version) => bad("kernel", format!("{version} is too old; install 6.1 or newer")),
    };
    let programs = if kernel::is_built_in() {
        good("kernel programs", "built in")
    } else {
        bad("kernel programs", "missing; run `cargo xtask build`".to_owned())
    };
    let nft = Command::new("nft").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    let nftables = if nft.is_ok_and(|status| status.success()) {
        good("nftables", "installed")
    } else {
        bad("nftables", "nft cannot be run; install the package nftables".to_owned())
    };
    vec![root, kernel, programs, nftables]
}

fn interfaces(config: &Config) -> Vec<Check> {
    let interfaces = &config.interfaces;
    if interfaces.protect.is_empty() {
        let finding = "none is protected; name them in [interfaces] protect or with --interface";
        return vec![bad("interfaces", finding.to_owned())];
    }
    let snapshot = match Snapshot::take() {
        Ok(snapshot) => snapshot,
        Err(error) => return vec![bad("interfaces", format!("cannot be listed: {error}"))],
    };
    interfaces
        .protect
        .iter()
        .chain(&interfaces.uplink)
        .map(|name| match snapshot.link(name) {
            Some(link) => good("interface", &format!("{name} is there, number {}", link.ifindex)),
            None => bad("interface", format!("{name} does not exist; connect it or correct its name")),
        })
        .collect()
}

async fn daemon(runtime_dir: &Path) -> Vec<Check> {
    let mut client = match Client::connect(runtime_dir).await {
        Ok(client) => client,
        Err(error) => return vec![bad("daemon", error.to_string())],
    };
    let mut checks = Vec::new();
    match client.call::<view::Status>(Request::Status).await {
        Ok(status) if status.faults.is_empty() => {
            checks.push(good("daemon", &format!("runs, mode {}", status.mode)));
        }
        Ok(status) => checks.extend(status.faults.iter().map(|fault| bad("daemon", print::fault(fault)))),
        Err(error) => checks.push(bad("daemon", error.to_string())),
    }
    checks.push(if guard::is_loaded() {
        good("guard", "loaded")
    } else {
        bad("guard", "not loaded in this network namespace; the daemon loads it again within 30 s".to_owned())
    });
    checks
}

fn good(what: &'static str, finding: &str) -> Check {
    Check { what, ok: true, finding: finding.to_owned() }
}

fn bad(what: &'static str, finding: String) -> Check {
    Check { what, ok: false, finding }
}
