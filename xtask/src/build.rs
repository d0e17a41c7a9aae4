//! `cargo xtask build`: kernel programs first, then the page, then the workspace, which embeds both.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::SystemTime,
};

use anyhow::{Context, Result, bail};

use crate::{
    host,
    privilege::Privilege,
    setup, shell,
    toolchain::{self, BPF_TARGET, Compiler, Pins},
};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Optimise the daemon and the command line (the kernel programs always are)
    #[arg(long)]
    release: bool,
    /// Build the kernel programs only
    #[arg(long)]
    kernel: bool,
}

pub(crate) fn main(args: &Args) -> Result<()> {
    host::check()?;
    if Compiler::installed(&Pins::read()?).is_none() && toolchain::prebuilt().is_none() {
        setup::ensure(Privilege::acquire(false)?)?;
    }
    if args.kernel {
        return kernel();
    }
    everything(if args.release { Profile::Release } else { Profile::Debug })
}

/// How user space is compiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Profile {
    Debug,
    Release,
}

impl Profile {
    /// A program of the workspace as built with this profile.
    pub(crate) fn binary(self, name: &str) -> PathBuf {
        let folder = match self {
            Self::Debug => "debug",
            Self::Release => "release",
        };
        shell::target().join(folder).join(name)
    }
}

pub(crate) fn everything(profile: Profile) -> Result<()> {
    programs(profile, &[])
}

/// Builds these programs of the workspace, or all, and what they embed.
pub(crate) fn programs(profile: Profile, names: &[&str]) -> Result<()> {
    kernel()?;
    page()?;
    let mut cargo = shell::cargo();
    name_object(cargo.arg("build"));
    if profile == Profile::Release {
        cargo.arg("--release");
    }
    for name in names {
        cargo.args(["--bin", name]);
    }
    shell::run(&mut cargo)
}

/// The object with the kernel programs: the prebuilt one, or where we build it.
pub(crate) fn object() -> PathBuf {
    toolchain::prebuilt().unwrap_or_else(|| kernel_target().join(BPF_TARGET).join("bpf/firewall-ebpf"))
}

/// Tells the daemon's build where the object is, if it is not where it is looked for anyway: naming it without need would
/// make cargo build the daemon again whenever someone builds without us.
pub(crate) fn name_object(cargo: &mut Command) -> &mut Command {
    if shell::target() != shell::root().join("target") {
        cargo.env(toolchain::PREBUILT, object());
    }
    cargo
}

/// The kernel programs have a folder of their own, because another compiler fills it.
fn kernel_target() -> PathBuf {
    shell::target().join("ebpf")
}

pub(crate) fn kernel() -> Result<()> {
    if let Some(object) = toolchain::prebuilt() {
        if !object.is_file() {
            bail!("{} names {}, which is not a file", toolchain::PREBUILT, object.display());
        }
        eprintln!("build: kernel programs from {}", object.display());
        return Ok(());
    }
    let pins = Pins::read()?;
    let compiler = Compiler::installed(&pins)
        .context("no compiler for the kernel programs is installed; `cargo xtask setup` does it")?;
    toolchain::check_fit(&compiler, &pins)?;
    eprintln!("build: kernel programs with {compiler}");
    shell::run(compiler.cargo("build", &pins).env("CARGO_TARGET_DIR", kernel_target()))
}

/// The page's sources.
pub(crate) fn web() -> PathBuf {
    shell::root().join("dashboard/web")
}

/// Fetches what the page is built with, if the lock file has changed since.
pub(crate) fn page_packages() -> Result<()> {
    let lock = web().join("package-lock.json");
    // npm writes this file at the end of a complete installation.
    let installed = web().join("node_modules/.package-lock.json");
    if modified(&installed) < modified(&lock) || modified(&installed).is_none() {
        eprintln!("build: packages of the page");
        let npm = |verb: &[&str]| {
            shell::run(
                setup::node_path(&mut shell::command("npm"))
                    .args(verb)
                    .args(["--prefer-offline", "--no-audit", "--no-fund"])
                    .current_dir(web()),
            )
        };
        // A registry that mirrors the packages of one platform only makes lock files that `ci` finds incomplete; then
        // `install` takes the locked versions all the same.
        if npm(&["ci"]).is_err() {
            npm(&["install", "--no-save"])?;
        }
    }
    Ok(())
}

fn page() -> Result<()> {
    if !web().join("package.json").exists() {
        return Ok(());
    }
    page_packages()?;
    let sources = newest(&web())?;
    let built = modified(&web().join("dist/index.html"));
    if built.is_some() && built >= sources {
        return Ok(());
    }
    eprintln!("build: the page");
    shell::run(setup::node_path(&mut shell::command("npm")).args(["run", "build"]).current_dir(web()))
}

/// When the youngest source file under a folder was changed.
fn newest(folder: &Path) -> Result<Option<SystemTime>> {
    let mut youngest = None;
    let entries = fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))?;
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        let changed = if entry.file_type()?.is_dir() {
            if ["node_modules", "dist", ".svelte-kit"].iter().any(|built| name == *built) {
                continue;
            }
            newest(&entry.path())?
        } else {
            modified(&entry.path())
        };
        youngest = youngest.max(changed);
    }
    Ok(youngest)
}

fn modified(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).and_then(|metadata| metadata.modified()).ok()
}
