//! Root, for packages, network namespaces and loading; never for cargo.

use std::{env, ffi::OsStr, fmt, io::IsTerminal, process::Command};

use anyhow::Result;
use nix::unistd::geteuid;

use crate::shell;

/// How commands that need root are started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Privilege {
    Root,
    Sudo(Prompt),
}

/// Whether sudo may ask for a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Prompt {
    Allowed,
    Never,
}

/// The user is neither root nor able to become root.
#[derive(Debug)]
pub(crate) struct Missing;

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "packages, network namespaces and kernel programs need root: \
             run this as root or as a user who may use sudo (without a password if there is no terminal)",
        )
    }
}

impl std::error::Error for Missing {}

impl Privilege {
    /// Finds out how root can be had; with `yes`, on a build server or without a terminal nobody is asked.
    pub(crate) fn acquire(yes: bool) -> Result<Self> {
        if geteuid().is_root() {
            return Ok(Self::Root);
        }
        let prompt =
            if yes || is_ci() || !std::io::stdin().is_terminal() { Prompt::Never } else { Prompt::Allowed };
        let granted = match prompt {
            Prompt::Never => shell::succeeds(shell::command("sudo").args(["-n", "true"])),
            Prompt::Allowed => shell::run(shell::command("sudo").arg("-v")).is_ok(),
        };
        if granted { Ok(Self::Sudo(prompt)) } else { Err(Missing.into()) }
    }

    /// A command that runs as root; sudo's `env` keeps what the tests and the lab are told by environment.
    pub(crate) fn command(self, program: impl AsRef<OsStr>) -> Command {
        match self {
            Self::Root => shell::command(program),
            Self::Sudo(prompt) => {
                let mut command = shell::command("sudo");
                if prompt == Prompt::Never {
                    command.arg("-n");
                }
                command.arg("env");
                for (name, value) in env::vars_os() {
                    if name.to_str().is_some_and(is_kept) {
                        let mut pair = name;
                        pair.push("=");
                        pair.push(value);
                        command.arg(pair);
                    }
                }
                command.arg(program);
                command
            }
        }
    }
}

/// Whether a build server runs us; then everything is expected to run and nobody can be asked.
pub(crate) fn is_ci() -> bool {
    env::var("CI").is_ok_and(|value| value == "true" || value == "1")
}

fn is_kept(name: &str) -> bool {
    name.starts_with("EDGEWARD_")
        || name.ends_with("_proxy")
        || [
            "CI",
            "DEBIAN_FRONTEND",
            "DISPLAY",
            "RUST_BACKTRACE",
            "RUST_LOG",
            "SSH_CONNECTION",
            "WAYLAND_DISPLAY",
        ]
        .contains(&name)
}
