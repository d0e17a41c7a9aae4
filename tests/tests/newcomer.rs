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

/// What the names of these users begin with; the number of the process that made them follows.
const PREFIX: &str = "edgeward-new-";

/// A user with passwordless sudo, who goes with everything they own.
struct Newcomer {
    name: String,
    home: PathBuf,
}

impl Newcomer {
    fn arrive() -> Result<Self> {
        Self::send_away_those_left_behind()?;
        let name = format!("{PREFIX}{}", std::process::id());
        let newcomer = Self { home: Path::new("/home").join(&name), name };
        run(Command::new("useradd")
            .args(["--create-home", "--shell", "/bin/sh", "--home-dir"])
            .arg(&newcomer.home)
            .arg(&newcomer.name))?;
        fs::write(newcomer.sudoers(), format!("{} ALL=(ALL) NOPASSWD: ALL\n", newcomer.name))?;
        fs::set_permissions(newcomer.sudoers(), fs::Permissions::from_mode(0o440))?;
        Ok(newcomer)
    }

    /// Users of test processes that ended without taking them along.
    fn send_away_those_left_behind() -> Result<()> {
        let users = fs::read_to_string("/etc/passwd").context("cannot read the list of users")?;
        for name in users.lines().filter_map(|line| line.split(':').next()) {
            let process = name.strip_prefix(PREFIX).and_then(|number| number.parse::<u32>().ok());
            if process.is_some_and(|process| !Path::new("/proc").join(process.to_string()).exists()) {
                Self { home: Path::new("/home").join(name), name: name.to_owned() }.leave()?;
            }
        }
        Ok(())
    }

    fn leave(&self) -> Result<()> {
        if self.sudoers().exists() {
            fs::remove_file(self.sudoers())?;
        }
        if Command::new("id").arg(&self.name).output()?.status.success() {
            run(Command::new("userdel").args(["--force", "--remove", &self.name]))?;
        }
        Ok(())
    }

    fn sudoers(&self) -> PathBuf {
        Path::new("/etc/sudoers.d").join(&self.name)
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
            .args(["--reuid", &self.name, "--regid", &self.name, "--init-groups", "--"])
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
            self.rust().display()
        );
        command.env("HOME", &self.home).env("USER", &self.name).env("LOGNAME", &self.name).env("PATH", path);
        command
    }

    /// Gives the user the compiler that runs this test, and what has been downloaded already: fetching the same sources
    /// again would only test the network.
    fn install_rust(&self) -> Result<()> {
        fs::create_dir_all(self.rust())?;
        for part in ["bin", "lib"] {
            run(Command::new("cp").arg("--recursive").arg(sysroot()?.join(part)).arg(self.rust()))?;
        }
        fs::create_dir_all(self.cargo_home())?;
        let registry = cargo_home()?.join("registry");
        if registry.exists() {
            run(Command::new("cp").arg("--recursive").arg(registry).arg(self.cargo_home()))?;
        }
        let owner = format!("{0}:{0}", self.name);
        run(Command::new("chown").args(["--recursive", "--no-dereference", &owner]).arg(&self.home))
    }

    fn rust(&self) -> PathBuf {
        self.home.join("rust")
    }
}

/// The compiler's folder. `cargo xtask test` names it, because under sudo another one may be in `PATH`.
fn sysroot() -> Result<PathBuf> {
    if let Some(sysroot) = env::var_os("EDGEWARD_SYSROOT") {
        return Ok(PathBuf::from(sysroot));
    }
    let output = Command::new("rustc").args(["--print", "sysroot"]).output().context("cannot start rustc")?;
    Ok(PathBuf::from(String::from_utf8(output.stdout)?.trim()))
}

fn cargo_home() -> Result<PathBuf> {
    if let Some(home) = env::var_os("EDGEWARD_CARGO_HOME").or_else(|| env::var_os("CARGO_HOME")) {
        return Ok(PathBuf::from(home));
    }
    Ok(PathBuf::from(env::var_os("HOME").context("HOME is not set")?).join(".cargo"))
}

impl Drop for Newcomer {
    fn drop(&mut self) {
        if let Err(error) = self.leave() {
            eprintln!("the user {} could not be removed: {error:#}", self.name);
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

    // What a clone would check out; git does not let one user clone from another's folder, and ours may be a shallow one.
    let archive = newcomer.home.join("edgeward.tar");
    let ours = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("the tests lie in the checkout")?;
    run(Command::new("git")
        .args(["-c", "safe.directory=*", "archive", "--prefix", "edgeward/", "--output"])
        .arg(&archive)
        .arg("HEAD")
        .current_dir(ours))?;
    run(newcomer.command("tar").arg("--extract").arg("--file").arg(&archive))?;

    let output = newcomer
        .command("cargo")
        .args(["xtask", "run", "--yes", "--once", "--port", "0"])
        // Not the site that whoever runs the tests may have up.
        .env("EDGEWARD_SITE", "newcomer")
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
