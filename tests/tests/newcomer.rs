//! An ordinary user with sudo, a fresh clone, one command; and no file of root's is left where the user builds.

use std::{
    env, fs,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};
use lab::{
    expect::{Need, can_run},
    net::run,
};

const USER: &str = "edgeward-newcomer";

/// A user with passwordless sudo, who goes with everything they own.
struct Newcomer {
    home: PathBuf,
}

impl Newcomer {
    fn arrive() -> Result<Self> {
        let newcomer = Self { home: Path::new("/home").join(USER) };
        newcomer.leave()?;
        run(Command::new("useradd")
            .args(["--create-home", "--shell", "/bin/sh", "--home-dir"])
            .arg(&newcomer.home)
            .arg(USER))?;
        fs::write(newcomer.sudoers(), format!("{USER} ALL=(ALL) NOPASSWD: ALL\n"))?;
        fs::set_permissions(newcomer.sudoers(), fs::Permissions::from_mode(0o440))?;
        Ok(newcomer)
    }

    fn leave(&self) -> Result<()> {
        if self.sudoers().exists() {
            fs::remove_file(self.sudoers())?;
        }
        if Command::new("id").arg(USER).output()?.status.success() {
            run(Command::new("userdel").args(["--force", "--remove", USER]))?;
        }
        Ok(())
    }

    fn sudoers(&self) -> PathBuf {
        Path::new("/etc/sudoers.d").join(USER)
    }

    fn cargo_home(&self) -> PathBuf {
        self.home.join(".cargo")
    }

    fn checkout(&self) -> PathBuf {
        self.home.join("edgeward")
    }

    /// A command of this user, in their home, with what they need of our environment to reach the registries.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new("setpriv");
        command
            .args(["--reuid", USER, "--regid", USER, "--init-groups", "--"])
            .arg(program)
            .current_dir(&self.home);
        for (name, _) in env::vars_os() {
            let name = name.to_string_lossy();
            if ["CARGO", "RUST", "EDGEWARD", "XDG", "SUDO"].iter().any(|ours| name.starts_with(ours))
                || name == "CI"
            {
                command.env_remove(name.as_ref());
            }
        }
        let path = format!(
            "{}/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            self.cargo_home().display()
        );
        command
            .env("HOME", &self.home)
            .env("USER", USER)
            .env("LOGNAME", USER)
            .env("PATH", path)
            .env("RUSTUP_HOME", self.home.join(".rustup"))
            .env("RUSTUP_AUTO_INSTALL", "0");
        command
    }

    /// Gives the user what rustup's own installer would: the tools and the toolchains of this machine.
    fn install_rust(&self) -> Result<()> {
        let ours = |variable: &str, folder: &str| -> Result<PathBuf> {
            match env::var_os(variable) {
                Some(path) => Ok(PathBuf::from(path)),
                // Under sudo the home is that of the user who called.
                None => Ok(PathBuf::from(env::var_os("HOME").context("HOME is not set")?).join(folder)),
            }
        };
        let rustup = self.home.join(".rustup");
        fs::create_dir_all(self.cargo_home().join("bin"))?;
        for tool in ["cargo", "rustc", "rustup"] {
            run(Command::new("cp")
                .arg("--dereference")
                .arg(ours("CARGO_HOME", ".cargo")?.join("bin").join(tool))
                .arg(self.cargo_home().join("bin")))?;
        }
        // Downloaded sources are the same for everybody, and fetching them again would only test the network.
        let registry = ours("CARGO_HOME", ".cargo")?.join("registry");
        if registry.exists() {
            run(Command::new("cp").arg("--recursive").arg(registry).arg(self.cargo_home()))?;
        }
        run(Command::new("cp")
            .args(["--recursive", "--reflink=auto", "--no-dereference"])
            .arg(ours("RUSTUP_HOME", ".rustup")?)
            .arg(&rustup))?;
        run(Command::new("chown")
            .args(["--recursive", "--no-dereference", &format!("{USER}:{USER}")])
            .arg(&self.home))
    }
}

impl Drop for Newcomer {
    fn drop(&mut self) {
        if let Err(error) = self.leave() {
            eprintln!("the user {USER} could not be removed: {error:#}");
        }
    }
}

/// Files under a folder that root owns.
fn of_root(folder: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        if metadata.uid() == 0 {
            found.push(entry.path());
        }
        if metadata.is_dir() {
            of_root(&entry.path(), found)?;
        }
    }
    Ok(())
}

#[test]
fn an_ordinary_user_runs_the_demonstration_and_owns_every_file() -> Result<()> {
    if !can_run(&[Need::Root, Need::Daemon, Need::Time]) {
        return Ok(());
    }
    let newcomer = Newcomer::arrive()?;
    newcomer.install_rust()?;

    // A bundle, because git does not let one user clone from another's folder.
    let bundle = newcomer.home.join("edgeward.bundle");
    let ours = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("the tests lie in the checkout")?;
    run(Command::new("git")
        .args(["-c", "safe.directory=*", "bundle", "create", "--quiet"])
        .arg(&bundle)
        .arg("HEAD")
        .current_dir(ours))?;
    run(newcomer.command("git").args(["clone", "--quiet"]).arg(&bundle).arg(newcomer.checkout()))?;

    let output = newcomer
        .command("cargo")
        .args(["xtask", "run", "--yes", "--once", "--port", "0"])
        .current_dir(newcomer.checkout())
        .output()?;
    let printed = String::from_utf8_lossy(&output.stdout);
    ensure!(
        output.status.success(),
        "cargo xtask run failed:\n{printed}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    ensure!(printed.contains("http://127.0.0.1:"), "no address of the page was printed:\n{printed}");

    let mut found = Vec::new();
    of_root(&newcomer.checkout(), &mut found)?;
    of_root(&newcomer.cargo_home(), &mut found)?;
    ensure!(found.is_empty(), "root owns files of the user: {found:?}");
    Ok(())
}
