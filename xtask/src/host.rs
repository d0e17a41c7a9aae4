//! Is this machine big enough? Asked before anything is installed or built.

use std::{fmt, fs};

use anyhow::{Context, Result};
use nix::sys::statvfs::statvfs;

use crate::shell;

const GIB: u64 = 1 << 30;
/// A machine sold with 4 GB reports some less.
const RAM: u64 = 4 * GIB - GIB / 2;
const DISK: u64 = 10 * GIB;
/// A checkout that was built before needs room for changes only.
const DISK_ONCE_BUILT: u64 = 2 * GIB;

/// What the machine lacks.
#[derive(Debug)]
pub(crate) struct Short(Vec<String>);

impl fmt::Display for Short {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "building Edgeward needs 64-bit Linux, 4 GB of memory and 10 GB of disk, but {}; \
             build on a larger machine and copy `edgeward` to this one",
            self.0.join(" and ")
        )
    }
}

impl std::error::Error for Short {}

/// Fails with everything that is short at once.
pub(crate) fn check() -> Result<()> {
    let mut short = Vec::new();
    if !cfg!(all(target_os = "linux", target_pointer_width = "64")) {
        short.push("this is not 64-bit Linux".to_owned());
    }
    let ram = memory()?;
    if ram < RAM {
        short.push(format!("there is {} of memory", gigabytes(ram)));
    }
    let disk = statvfs(shell::root()).context("cannot ask for the free disk space")?;
    let free = disk.blocks_available() * disk.fragment_size();
    let needed = if shell::target().join("debug/edgeward").exists() { DISK_ONCE_BUILT } else { DISK };
    if free < needed {
        short.push(format!("{} are free under {}", gigabytes(free), shell::root().display()));
    }
    if short.is_empty() { Ok(()) } else { Err(Short(short).into()) }
}

fn memory() -> Result<u64> {
    let meminfo = fs::read_to_string("/proc/meminfo").context("cannot read /proc/meminfo")?;
    let kib = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))
        .and_then(|rest| rest.trim().strip_suffix(" kB"))
        .and_then(|kib| kib.trim().parse::<u64>().ok())
        .context("/proc/meminfo names no MemTotal")?;
    Ok(kib * 1024)
}

fn gigabytes(bytes: u64) -> String {
    format!("{}.{} GB", bytes / GIB, bytes % GIB * 10 / GIB)
}
