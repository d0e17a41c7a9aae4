//! `cargo xtask setup`: installs what is missing, says what, and does nothing the second time.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};

use crate::{
    host,
    privilege::Privilege,
    shell,
    toolchain::{self, Compiler, Pins},
};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Do not ask for a password or anything else
    #[arg(long)]
    yes: bool,
}

/// A program that the lab or the tests call, and the Debian package that brings it.
struct Tool {
    program: &'static str,
    package: &'static str,
}

const TOOLS: &[Tool] = &[
    Tool { program: "ip", package: "iproute2" },
    Tool { program: "nft", package: "nftables" },
    Tool { program: "nsenter", package: "util-linux" },
    Tool { program: "ethtool", package: "ethtool" },
    Tool { program: "mosquitto", package: "mosquitto" },
    Tool { program: "mosquitto_pub", package: "mosquitto-clients" },
    Tool { program: "dnsmasq", package: "dnsmasq-base" },
    Tool { program: "udhcpc", package: "udhcpc" },
    Tool { program: "curl", package: "curl" },
    Tool { program: "ping", package: "iputils-ping" },
    Tool { program: "tcpdump", package: "tcpdump" },
    Tool { program: "bpftool", package: "bpftool" },
    Tool { program: "cc", package: "gcc" },
];

/// The packages whose service must not start or stay enabled because a newcomer tried Edgeward.
const SERVICES: &[&str] = &["mosquitto", "haproxy", "suricata"];

const BPFFS: &str = "/sys/fs/bpf";

pub(crate) fn main(args: &Args) -> Result<()> {
    host::check()?;
    let privilege = Privilege::acquire(args.yes)?;
    ensure(privilege)?;
    println!("setup: everything is there");
    Ok(())
}

/// Everything that `run`, `test` and `lab` build on.
pub(crate) fn ensure(privilege: Privilege) -> Result<()> {
    let pins = Pins::read()?;
    ensure_packages(privilege)?;
    ensure_kernel_toolchain(privilege, &pins)?;
    ensure_node(privilege, &pins)?;
    ensure_bpffs(privilege)
}

fn ensure_packages(privilege: Privilege) -> Result<()> {
    let mut missing: Vec<&str> =
        TOOLS.iter().filter(|tool| shell::find(tool.program).is_none()).map(|tool| tool.package).collect();
    if !shell::succeeds(shell::command("/usr/bin/python3").args(["-c", "import paho.mqtt.client"])) {
        missing.push("python3-paho-mqtt");
    }
    if missing.is_empty() { Ok(()) } else { install(privilege, &missing) }
}

/// What only tests need: a user with sudo, a browser that is given a certificate, and a clock that is wrong.
pub(crate) fn ensure_for_tests(privilege: Privilege) -> Result<()> {
    let needed =
        [("sudo", "sudo"), ("chromium", "chromium"), ("certutil", "libnss3-tools"), ("faketime", "faketime")];
    let missing: Vec<&str> = needed
        .into_iter()
        .filter(|(program, _)| shell::find(program).is_none())
        .map(|(_, package)| package)
        .collect();
    if missing.is_empty() { Ok(()) } else { install(privilege, &missing) }
}

/// What the comparison of captures needs: the reading of somebody else.
pub(crate) fn ensure_for_corpus(privilege: Privilege) -> Result<()> {
    if shell::find("tshark").is_some() { Ok(()) } else { install(privilege, &["tshark"]) }
}

/// Finds or installs a compiler for the kernel programs and the linker that fits it.
fn ensure_kernel_toolchain(privilege: Privilege, pins: &Pins) -> Result<()> {
    if toolchain::prebuilt().is_some() {
        return Ok(());
    }
    let compiler = match Compiler::installed(pins) {
        Some(compiler) => compiler,
        None => install_compiler(privilege, pins)?,
    };
    if toolchain::linker(pins).is_none() {
        install_linker(privilege, pins)?;
    }
    toolchain::check_fit(&compiler, pins)
}

fn install_compiler(privilege: Privilege, pins: &Pins) -> Result<Compiler> {
    eprintln!("setup: rustup toolchain {} with rust-src, for the kernel programs", pins.nightly);
    // Where rustup cannot download (build servers, air-gapped sites) this ends soon, and the distribution is asked.
    let rustup =
        shell::succeeds(shell::command("timeout").args(["300", "rustup", "toolchain", "install"]).args([
            pins.nightly.as_str(),
            "--profile",
            "minimal",
            "--component",
            "rust-src",
        ]));
    if !rustup {
        eprintln!("setup: rustup cannot install it; trying the distribution's compiler");
        if let Err(error) = install(privilege, &Pins::compiler_packages()) {
            bail!(
                "no compiler for the kernel programs: rustup could not install {}, and the distribution has no {} ({error:#}); \
                 install one of them, or name a prebuilt object in {}",
                pins.nightly,
                Pins::compiler_packages().join(" and "),
                toolchain::PREBUILT,
            );
        }
    }
    Compiler::installed(pins).context("the compiler for the kernel programs was installed but does not run")
}

fn install_linker(privilege: Privilege, pins: &Pins) -> Result<()> {
    if !pins.llvm_prefix().join("bin/llvm-config").exists() {
        install(privilege, &[pins.llvm_package().as_str()])?;
    }
    if shell::find("c++").is_none() {
        install(privilege, &["g++"])?;
    }
    eprintln!(
        "setup: bpf-linker {} with LLVM {}, into {}",
        pins.bpf_linker,
        pins.llvm,
        shell::tools().display()
    );
    shell::run(
        shell::cargo()
            .args(["install", "bpf-linker", "--quiet", "--locked", "--no-default-features"])
            .args(["--version", &pins.bpf_linker, "--features", &format!("llvm-{}", pins.llvm)])
            .arg("--root")
            .arg(shell::tools())
            .env("CARGO_TARGET_DIR", shell::tools().join("build"))
            .env("LLVM_PREFIX", pins.llvm_prefix()),
    )
}

/// Finds or installs a Node.js that is new enough to build the page.
fn ensure_node(privilege: Privilege, pins: &Pins) -> Result<()> {
    if !shell::root().join("dashboard/web/package.json").exists() || node_fits(pins) {
        return Ok(());
    }
    if shell::find("npm").is_none() {
        install(privilege, &["nodejs", "npm"])?;
    }
    if !node_fits(pins) {
        // The distribution's is too old; npm's own registry carries the program as a package.
        eprintln!("setup: Node.js {} from npm, into {}", pins.node, shell::tools().display());
        shell::run(
            shell::command("npm")
                .args(["install", "--no-save", "--no-audit", "--no-fund", "--prefix"])
                .arg(shell::tools().join("node"))
                .arg(format!("node@{}", pins.node)),
        )?;
    }
    if node_fits(pins) { Ok(()) } else { bail!("the page needs Node.js {} or newer", pins.node) }
}

fn node_fits(pins: &Pins) -> bool {
    shell::find("npm").is_some()
        && shell::output(node_path(&mut shell::command("node")).arg("--version"))
            .and_then(|version| version.trim_start_matches('v').split('.').next()?.parse::<u32>().ok())
            .is_some_and(|major| major >= pins.node)
}

/// Puts the Node.js of this checkout, if there is one, before the system's.
pub(crate) fn node_path(command: &mut Command) -> &mut Command {
    command.env("PATH", shell::path_with(&[own_node()]))
}

/// Where the programs are that tests call: the Node.js of this checkout, the caller's, and those of administration.
pub(crate) fn path_of_tests() -> String {
    format!("{}:/usr/sbin:/sbin", shell::path_with(&[own_node()]).to_string_lossy())
}

fn own_node() -> PathBuf {
    shell::tools().join("node/node_modules/node/bin")
}

/// Pins of kernel programs and maps live in this file system; most systems have it mounted.
fn ensure_bpffs(privilege: Privilege) -> Result<()> {
    let mounts = fs::read_to_string("/proc/self/mounts").context("cannot read the list of mounts")?;
    if mounts.lines().any(|line| line.split(' ').nth(1) == Some(BPFFS)) {
        return Ok(());
    }
    eprintln!("setup: mounting the BPF file system at {BPFFS}");
    shell::run(privilege.command("mount").args(["-t", "bpf", "bpf", BPFFS]))
}

pub(crate) fn install(privilege: Privilege, packages: &[&str]) -> Result<()> {
    if shell::find("apt-get").is_none() {
        bail!("please install {} (only Debian's apt-get is known here)", packages.join(", "));
    }
    eprintln!("setup: installing {}", packages.join(", "));
    // The lists may be absent or name versions that are gone, so a second try follows a fresh look.
    if apt_install(privilege, packages).is_ok() {
        return Ok(());
    }
    shell::run(privilege.command("apt-get").args(["update", "--quiet=2"]))?;
    apt_install(privilege, packages)
}

fn apt_install(privilege: Privilege, packages: &[&str]) -> Result<()> {
    let services: Vec<String> = SERVICES
        .iter()
        .filter(|service| packages.contains(service) && Path::new("/run/systemd/system").exists())
        .map(|service| format!("{service}.service"))
        .collect();
    if !services.is_empty() {
        shell::run(privilege.command("systemctl").args(["mask", "--runtime", "--quiet"]).args(&services))?;
    }
    let mut apt = privilege.command("env");
    // A run level of 1 keeps `invoke-rc.d` from starting services; the mask above does the same for systemd.
    apt.args(["RUNLEVEL=1", "DEBIAN_FRONTEND=noninteractive", "apt-get", "install", "--yes", "--quiet=2"])
        .args(["--no-install-recommends", "-o", "Dpkg::Use-Pty=0", "-o", "Acquire::Retries=3"])
        .args(packages);
    let installed = shell::run(&mut apt);
    if !services.is_empty() {
        shell::run(privilege.command("systemctl").args(["unmask", "--runtime", "--quiet"]).args(&services))?;
        if installed.is_ok() {
            shell::run(privilege.command("systemctl").args(["disable", "--quiet"]).args(&services))?;
        }
    }
    installed
}
