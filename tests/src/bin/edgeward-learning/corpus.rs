//! The captures, and the time that hearing them takes.

use std::{
    cell::Cell,
    env, fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use edgeward::replay::{
    files::{self, Checked, Refused},
    site::Site,
};
use graph::Settings;

/// The folder of the captures.
pub(crate) struct Corpus {
    root: PathBuf,
    packets: Cell<u64>,
    took: Cell<Duration>,
}

impl Corpus {
    pub(crate) fn open() -> Result<Self> {
        let root = env::var_os("EDGEWARD_CORPUS").context("EDGEWARD_CORPUS names no folder")?;
        let root = PathBuf::from(root);
        ensure!(root.is_dir(), "{} is not a folder", root.display());
        Ok(Self { root, packets: Cell::new(0), took: Cell::new(Duration::ZERO) })
    }

    /// A path below the folder.
    pub(crate) fn path(&self, below: &str) -> PathBuf {
        self.root.join(below)
    }

    /// All captures at or below a path, in order.
    pub(crate) fn captures(&self, below: &str) -> Vec<PathBuf> {
        let mut found = Vec::new();
        collect(&self.path(below), &mut found);
        found.sort();
        found
    }

    /// Lets a site hear a capture, and does something after so many packets of it.
    pub(crate) fn hear(
        &self,
        site: &mut Site,
        capture: &Checked,
        packets: u64,
        then: impl FnOnce(&mut Site),
    ) -> Result<(), Refused> {
        let begun = Instant::now();
        files::hear_and(site, capture, packets, then)?;
        self.took.set(self.took.get() + begun.elapsed());
        self.packets.set(self.packets.get() + capture.packets);
        Ok(())
    }

    /// Packets per second over everything that was heard.
    pub(crate) fn rate(&self) -> u64 {
        let nanoseconds = self.took.get().as_nanos().max(1);
        u64::try_from(u128::from(self.packets.get()) * 1_000_000_000 / nanoseconds).unwrap_or(u64::MAX)
    }
}

/// A site in which everyone learns.
pub(crate) fn site(subject: Option<[u8; 6]>) -> Site {
    Site::new(Settings::default(), subject)
}

fn collect(path: &Path, found: &mut Vec<PathBuf>) {
    if let Ok(entries) = fs::read_dir(path) {
        for entry in entries.flatten() {
            collect(&entry.path(), found);
        }
    } else if path.extension().is_some_and(|kind| kind == "pcap" || kind == "pcapng" || kind == "cap") {
        found.push(path.to_owned());
    }
}
