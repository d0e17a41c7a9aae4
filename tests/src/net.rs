//! Network namespaces and cables.
//!
//! `ip netns exec` and `ip -n` mount a /sys of their own, in which pinned kernel programs are not to be found; everything
//! here enters a namespace with `nsenter --net` or `setns` instead.

use std::{
    fs::{self, File},
    io::Write,
    path::PathBuf,
    process::{Command, Stdio},
    thread,
};

use anyhow::{Context, Result, bail};
use nix::sched::{CloneFlags, setns};

/// A named network namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Namespace(String);

impl Namespace {
    /// Names a namespace, which need not exist yet.
    pub fn named(name: impl Into<String>) -> Self {
        Self(name.into())
    }

    pub fn name(&self) -> &str {
        &self.0
    }

    /// The file that stands for the namespace.
    pub fn path(&self) -> PathBuf {
        PathBuf::from("/run/netns").join(&self.0)
    }

    /// Makes the namespace, with its loopback up.
    pub fn create(&self) -> Result<()> {
        run(Command::new("ip").args(["netns", "add", &self.0]))?;
        self.ip("link set lo up\n")
    }

    /// Removes the namespace and every interface in it, if it exists.
    pub fn remove(&self) -> Result<()> {
        if self.path().exists() {
            run(Command::new("ip").args(["netns", "del", &self.0]))?;
        }
        Ok(())
    }

    /// A command that will run inside.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net={}", self.path().display())).arg("--").arg(program);
        command
    }

    /// Runs lines of `ip` commands inside.
    pub fn ip(&self, batch: &str) -> Result<()> {
        feed(self.command("ip").args(["-batch", "-"]), batch)
            .with_context(|| format!("ip commands failed in {}:\n{batch}", self.0))
    }

    /// Loads rules for nftables inside.
    pub fn nft(&self, rules: &str) -> Result<()> {
        feed(self.command("nft").args(["-f", "-"]), rules)
            .with_context(|| format!("nft rules failed in {}:\n{rules}", self.0))
    }

    /// Sets kernel parameters of the namespace, given as `net.ipv4.ip_forward=1`.
    pub fn sysctl(&self, settings: &[&str]) -> Result<()> {
        self.enter(|| {
            for setting in settings {
                let (name, value) = setting.split_once('=').context("a setting is NAME=VALUE")?;
                let path = format!("/proc/sys/{}", name.replace('.', "/"));
                fs::write(&path, value).with_context(|| format!("cannot write {path}"))?;
            }
            Ok(())
        })
    }

    /// Runs a function inside, on a thread of its own; sockets it makes stay in the namespace.
    pub fn enter<T: Send>(&self, inside: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        let file = File::open(self.path()).with_context(|| format!("there is no namespace {}", self.0))?;
        thread::scope(|scope| {
            scope
                .spawn(move || {
                    setns(&file, CloneFlags::CLONE_NEWNET).context("cannot enter the namespace")?;
                    inside()
                })
                .join()
                .map_err(|_| anyhow::anyhow!("the function inside the namespace panicked"))?
        })
    }
}

/// One end of a cable.
#[derive(Clone, Debug)]
pub struct Plug<'a> {
    pub namespace: &'a Namespace,
    pub interface: &'a str,
    pub mac: &'a str,
}

/// Lays a cable between two namespaces, with both ends still down.
pub fn cable(one: &Plug<'_>, other: &Plug<'_>) -> Result<()> {
    run(Command::new("ip")
        .args(["link", "add", one.interface, "address", one.mac, "netns", one.namespace.name()])
        .args(["type", "veth", "peer", "name", other.interface])
        .args(["address", other.mac, "netns", other.namespace.name()]))
}

/// Runs a command to its end; what it printed is the reason if it failed.
pub fn run(command: &mut Command) -> Result<()> {
    let output =
        command.stdin(Stdio::null()).output().with_context(|| format!("cannot start {command:?}"))?;
    if !output.status.success() {
        bail!("{command:?} failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}

fn feed(command: &mut Command, input: &str) -> Result<()> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start {command:?}"))?;
    child.stdin.take().context("a piped input is there")?.write_all(input.as_bytes())?;
    let output = child.wait_with_output()?;
    if !output.status.success() {
        bail!("{}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}
