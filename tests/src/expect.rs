//! Whether a test can run here; and if not, whether that is a failure.

use std::env;

use nix::unistd::geteuid;

use crate::process;

/// What a test needs beyond a checkout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Namespaces, packet sockets, loading.
    Root,
    /// The daemon, with the kernel programs inside.
    Daemon,
    /// Chromium, Node.js to steer it, and what gives it a certificate.
    Browser,
    /// Programs that take another time of day for now.
    WrongClock,
    /// Minutes of time; such tests run with `--all` only.
    Time,
}

impl Need {
    fn missing(self) -> Option<String> {
        match self {
            Self::Root if !geteuid().is_root() => {
                Some("it needs root; `cargo xtask test` runs it so".to_owned())
            }
            Self::Daemon => process::binary("edgeward").err().map(|error| error.to_string()),
            Self::Browser => ["chromium", "node", "certutil"]
                .iter()
                .find(|program| !is_installed(program))
                .map(|program| format!("{program} is not installed; `cargo xtask test` does it")),
            Self::WrongClock => (!is_installed("faketime"))
                .then(|| "faketime is not installed; `cargo xtask test` does it".to_owned()),
            Self::Time if !everything_is_expected() => {
                Some("it takes minutes; `cargo xtask test --all` runs it".to_owned())
            }
            Self::Root | Self::Time => None,
        }
    }
}

/// Whether a test can go on. Says loudly why not, and fails where everything is expected to run.
///
/// # Panics
///
/// If something is missing and `CI=true` or `EDGEWARD_EXPECT_ALL=1` is set.
pub fn can_run(needs: &[Need]) -> bool {
    let missing: Vec<String> = needs.iter().filter_map(|need| need.missing()).collect();
    if missing.is_empty() {
        return true;
    }
    let reason = missing.join(" and ");
    println!("not run, because {reason}");
    assert!(!everything_is_expected(), "everything is expected to run here");
    false
}

fn is_installed(program: &str) -> bool {
    env::var_os("PATH")
        .is_some_and(|path| env::split_paths(&path).any(|folder| folder.join(program).is_file()))
}

fn everything_is_expected() -> bool {
    ["CI", "EDGEWARD_EXPECT_ALL"]
        .iter()
        .any(|name| env::var(name).is_ok_and(|value| value == "true" || value == "1"))
}
