//! One daemon per runtime folder and per interface.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::{
        linux::net::SocketAddrExt,
        unix::{
            fs::{OpenOptionsExt, PermissionsExt},
            net::{SocketAddr, UnixListener},
        },
    },
    path::Path,
};

use anyhow::{Context, Result, bail};
use nix::fcntl::Flock;

use crate::{net::InterfaceName, patience};

/// Holds what a second instance would need.
#[derive(Debug)]
pub(super) struct Instance {
    _folder: Flock<File>,
    /// Names that belong to this network namespace, as interfaces do, and that the kernel takes back with the process.
    _interfaces: Vec<UnixListener>,
}

impl Instance {
    pub(super) fn claim<'n>(
        runtime_dir: &Path,
        interfaces: impl Iterator<Item = &'n InterfaceName>,
    ) -> Result<Self> {
        make_folder(runtime_dir)
            .with_context(|| format!("cannot make the runtime folder {}", runtime_dir.display()))?;
        let path = runtime_dir.join("edgeward.lock");
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&path)
            .with_context(|| format!("cannot use {}", path.display()))?;
        let Ok(folder) = patience::lock(&file) else {
            bail!(
                "another instance of Edgeward uses {}; stop it, or choose another folder with --runtime-dir",
                runtime_dir.display()
            );
        };
        let interfaces = interfaces.map(claim_interface).collect::<Result<_>>()?;
        Ok(Self { _folder: folder, _interfaces: interfaces })
    }
}

/// Members of the group reach the socket in it; the socket itself says who may use it. A folder that is there keeps the
/// mode that its owner gave it.
fn make_folder(runtime_dir: &Path) -> io::Result<()> {
    if runtime_dir.exists() {
        return Ok(());
    }
    fs::create_dir_all(runtime_dir)?;
    fs::set_permissions(runtime_dir, fs::Permissions::from_mode(0o755))
}

fn claim_interface(name: &InterfaceName) -> Result<UnixListener> {
    let address = SocketAddr::from_abstract_name(format!("edgeward/{name}"))?;
    let is_taken = |error: &io::Error| error.kind() == io::ErrorKind::AddrInUse;
    match patience::patiently(|| UnixListener::bind_addr(&address), is_taken) {
        Ok(listener) => Ok(listener),
        Err(error) if is_taken(&error) => {
            bail!("another instance of Edgeward protects {name}; stop it first")
        }
        Err(error) => Err(error).with_context(|| format!("cannot claim {name}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_instance_is_refused_by_folder_and_by_interface() {
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let name: InterfaceName = "test-claim0".parse().unwrap();
        let first = Instance::claim(one.path(), [&name].into_iter()).unwrap();
        let refused = Instance::claim(one.path(), std::iter::empty()).unwrap_err().to_string();
        assert!(refused.contains("another instance") && refused.contains("--runtime-dir"), "{refused}");
        let refused = Instance::claim(two.path(), [&name].into_iter()).unwrap_err().to_string();
        assert!(refused.contains("protects test-claim0"), "{refused}");
        drop(first);
        Instance::claim(one.path(), [&name].into_iter()).unwrap();
    }
}
