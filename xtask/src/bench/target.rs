//! The same measurements on another machine over ssh, for example a Raspberry Pi.
//!
//! ```text
//! ssh HOST uname -m                     which processor it has
//! ssh HOST mktemp -d                    a folder of our own
//! scp verdicts edgeward edgeward-bench  programs that were built here
//! ssh HOST sudo -n …/verdicts …         the programs, frame by frame
//! ssh HOST sudo -n …/edgeward-bench     the path, in namespaces on that machine
//! ssh HOST rm -r …                      the folder goes
//! ```
//!
//! The machine needs a kernel from 6.1 on, root by `sudo` without a password, mosquitto, nftables, iproute2, util-linux
//! and bpftool, and a C library at least as new as the one here. Nothing is installed there, and its own interfaces are
//! not touched.

use std::path::PathBuf;

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use super::{figures_in, goals, joined, output};
use crate::{
    build,
    kernels::{self, ARM, Arch, Archive, Libraries, X86},
    privilege::Privilege,
    setup, shell,
};

const NEEDED: &[&str] = &["sudo", "mosquitto", "nft", "ip", "nsenter", "bpftool"];

pub(super) fn measure(host: &str, peers: bool, privilege: Privilege) -> Result<Value> {
    ensure!(!host.starts_with('-'), "{host} is not the name of a machine");
    let machine = remote(host, "uname -m")?;
    let arch = match machine.trim() {
        "x86_64" => &X86,
        "aarch64" => &ARM,
        other => bail!("{host} is a machine of type {other}; only x86_64 and aarch64 are known here"),
    };
    let look = format!(
        "PATH=$PATH:/usr/sbin:/sbin; for tool in {}; do command -v $tool >/dev/null || echo $tool; done",
        NEEDED.join(" ")
    );
    let missing = remote(host, &look)?;
    ensure!(
        missing.trim().is_empty(),
        "{host} has no {}",
        missing.split_whitespace().collect::<Vec<_>>().join(", ")
    );
    let programs = build_for(arch, privilege)?;
    let folder = remote(host, "mktemp -d /tmp/edgeward-bench.XXXXXX")?.trim().to_owned();
    ensure!(folder.starts_with("/tmp/edgeward-bench."), "{host} made no folder");
    let result = run(host, &folder, &programs, peers);
    remote(host, &format!("rm -r {folder}"))?;
    result
}

fn run(host: &str, folder: &str, programs: &[PathBuf; 3], peers: bool) -> Result<Value> {
    let [verdicts, ..] = programs;
    let mut copy = shell::command("scp");
    copy.args(["-q", "-o", "BatchMode=yes"]).args(programs).arg(format!("{host}:{folder}/"));
    shell::run(&mut copy)?;
    let verdicts = verdicts.file_name().context("a program has a name")?.to_string_lossy();
    eprintln!("bench: a frame through the programs, on {host}");
    let root = "sudo -n env PATH=$PATH:/usr/sbin:/sbin EDGEWARD_EXPECT_ALL=1";
    let figures =
        remote(host, &format!("{root} {folder}/{verdicts} cost::figures --exact --ignored --nocapture"))?;
    let peers = if peers { " --peers" } else { "" };
    let path = remote(host, &format!("{root} {folder}/edgeward-bench{peers}"))?;
    let path = serde_json::from_str(&path).context("edgeward-bench said something unexpected")?;
    let mut result = joined(figures_in(&figures)?, path, json!({}));
    result["target"] = json!(host);
    result["goals"] = goals::judged(&result);
    Ok(result)
}

fn build_for(arch: &Arch, privilege: Privilege) -> Result<[PathBuf; 3]> {
    let compiler = arch.missing_compiler();
    if !compiler.is_empty() {
        setup::install(privilege, &compiler)?;
    }
    build::kernel()?;
    let _alone = kernels::lock()?;
    let archive = Archive::open()?;
    let program = |package, name| {
        let arguments = ["build", "--release", "--package", package, "--bin", name];
        kernels::build_program(&archive, arch, Libraries::System, &arguments, name)
    };
    Ok([
        kernels::build_tests(&archive, arch)?,
        program("edgeward", "edgeward")?,
        program("edgeward-tests", "edgeward-bench")?,
    ])
}

/// Runs a line of shell there and returns what it printed.
fn remote(host: &str, line: &str) -> Result<String> {
    let mut ssh = shell::command("ssh");
    ssh.args(["-o", "BatchMode=yes", "-o", "ConnectTimeout=10", host, "--", line]);
    output(&mut ssh).with_context(|| format!("{host} did not do `{line}`"))
}
