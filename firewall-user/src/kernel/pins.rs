//! What outlives the process: maps and links in a BPF filesystem.
//!
//! ```text
//! <bpffs>/<schema>/MAP            every map that the daemon shares with the kernel programs
//! <bpffs>/<schema>/links/PORT-HOOK   the link that holds a program at an interface
//! <bpffs>/<schema>/stages/NUMBER     the program array of one load; the highest number is the newest
//! ```
//! A pinned link holds its program, and that holds its maps: with the daemon dead everything goes on.

use std::{
    fmt::Write,
    fs::{self, File},
    io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

use aya::maps::MapInfo;
use firewall_common::abi::SCHEMA;
use nix::{
    fcntl::Flock,
    mount::{MsFlags, mount},
    sys::statfs::{BPF_FS_MAGIC, statfs},
};

use super::{KernelError, maps::pinned_names};
use crate::patience;

/// Where BPF filesystems are mounted as a rule.
const USUAL_MOUNT: &str = "/sys/fs/bpf";

/// The pinned state of this schema.
#[derive(Debug)]
pub struct Pins {
    root: PathBuf,
    /// Held as long as this process may write what is pinned.
    _lock: Flock<File>,
}

impl Pins {
    /// Makes the folders where they are missing, mounts a BPF filesystem if there is none, and locks it.
    pub fn open(root: &Path) -> Result<Self, KernelError> {
        let prepare = || -> io::Result<File> {
            prepare_filesystem(root)?;
            private_dir(&root.join(SCHEMA.to_string()).join("links"))?;
            private_dir(&root.join(SCHEMA.to_string()).join("stages"))?;
            File::open(root)
        };
        let folder = prepare().map_err(|source| KernelError::Filesystem { path: root.to_owned(), source })?;
        let lock = patience::lock(&folder).map_err(|_| KernelError::Locked { path: root.to_owned() })?;
        Ok(Self { root: root.to_owned(), _lock: lock })
    }

    pub(super) fn map(&self, name: &str) -> PathBuf {
        self.schema().join(name)
    }

    /// The pin of a program at an interface. A BPF filesystem refuses names with dots.
    pub(super) fn link(&self, interface: &str, hook: &str) -> PathBuf {
        let mut file = String::new();
        for byte in interface.bytes() {
            if byte.is_ascii_alphanumeric() || byte == b'_' {
                file.push(char::from(byte));
            } else {
                let _infallible = write!(file, "%{byte:02x}");
            }
        }
        self.links().join(format!("{file}-{hook}"))
    }

    pub(super) fn links(&self) -> PathBuf {
        self.schema().join("links")
    }

    /// Where the program array of the next load is pinned.
    pub(super) fn new_stages(&self) -> io::Result<PathBuf> {
        let mut last = 0;
        for entry in fs::read_dir(self.stages())? {
            let number = entry?.file_name().to_str().and_then(|name| name.parse().ok());
            last = last.max(number.unwrap_or(0));
        }
        Ok(self.stages().join((last + 1).to_string()))
    }

    /// Removes the program arrays of other loads, whose entry programs are replaced by now.
    pub(super) fn remove_other_stages(&self, keep: &Path) -> io::Result<()> {
        for entry in fs::read_dir(self.stages())? {
            let path = entry?.path();
            if path != keep {
                fs::remove_file(path)?;
            }
        }
        Ok(())
    }

    fn stages(&self) -> PathBuf {
        self.schema().join("stages")
    }

    fn schema(&self) -> PathBuf {
        self.root.join(SCHEMA.to_string())
    }

    /// Refuses pinned maps of another shape than the object defines: aya would use them as they are.
    pub(super) fn compare(&self, object: &aya_obj::Object) -> Result<(), KernelError> {
        for name in pinned_names() {
            let path = self.map(name);
            if !path.exists() {
                continue;
            }
            let wanted = object.maps.get(name).ok_or(KernelError::NoMap { name })?;
            let found = MapInfo::from_pin(&path).map_err(|source| KernelError::Map { name, source })?;
            let type_of = found.map_type().map_err(|source| KernelError::Map { name, source })?;
            let found = Shape {
                kind: type_of as u32,
                key: found.key_size(),
                value: found.value_size(),
                entries: found.max_entries(),
            };
            let wanted = Shape {
                kind: wanted.map_type(),
                key: wanted.key_size(),
                value: wanted.value_size(),
                entries: wanted.max_entries(),
            };
            if found != wanted {
                return Err(KernelError::OtherShape { name, found, wanted });
            }
        }
        Ok(())
    }

    /// Removes the pins of other schemas, links first: whatever they held is replaced by now.
    pub(super) fn remove_other_schemas(&self) -> io::Result<()> {
        for entry in fs::read_dir(&self.root)? {
            let entry = entry?;
            if entry.file_name() != *SCHEMA.to_string() && entry.file_type()?.is_dir() {
                remove_tree(&entry.path())?;
            }
        }
        Ok(())
    }

    /// Removes everything: links, so that programs are detached, then maps.
    pub fn remove_all(self) -> io::Result<()> {
        remove_tree(&self.root)
    }
}

/// What must be equal for a program to use a pinned map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Type of map, as the kernel numbers them.
    pub kind: u32,
    pub key: u32,
    pub value: u32,
    pub entries: u32,
}

impl std::fmt::Display for Shape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { kind, key, value, entries } = self;
        write!(f, "type {kind}, {entries} entries of {key} and {value} bytes")
    }
}

/// Removes links before maps, so that no program runs without the maps of its successor.
fn remove_tree(root: &Path) -> io::Result<()> {
    let mut later = Vec::new();
    for entry in fs::read_dir(root)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove_tree(&entry.path())?;
        } else {
            later.push(entry.path());
        }
    }
    for pin in later {
        fs::remove_file(pin)?;
    }
    match fs::remove_dir(root) {
        // A folder that is a mount point stays.
        Err(error) if error.raw_os_error() == Some(libc::EBUSY) => Ok(()),
        other => other,
    }
}

fn prepare_filesystem(root: &Path) -> io::Result<()> {
    let existing = root.ancestors().find(|folder| folder.exists()).unwrap_or(Path::new("/"));
    if statfs(existing)?.filesystem_type() != BPF_FS_MAGIC {
        let target = if root.starts_with(USUAL_MOUNT) {
            Path::new(USUAL_MOUNT)
        } else {
            private_dir(root)?;
            root
        };
        mount(Some("bpf"), target, Some("bpf"), MsFlags::empty(), Some("mode=0700"))?;
    }
    private_dir(root)
}

fn private_dir(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}
