//! Processes of a site: started in a namespace, written down, and ended by what was written down.

use std::{
    fs::{self, File, OpenOptions},
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use nix::{
    errno::Errno,
    sys::{
        signal::{Signal, kill},
        wait::{WaitPidFlag, waitpid},
    },
    unistd::{Pid, setsid},
};
use std::os::unix::process::CommandExt;

/// How long a process may take to end by itself.
const GRACE: Duration = Duration::from_secs(3);
/// And how long once it was killed: what it had open is closed one after the other.
const CLOSING: Duration = Duration::from_secs(20);

/// A process by its number and the time it was started, which together name it for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Process {
    pid: Pid,
    started: u64,
}

impl Process {
    /// Starts a command that lives on when we end, with its output in files named after it.
    ///
    /// Standard output holds [events](crate::event), standard error what a person reads.
    pub fn start(command: &mut Command, name: &str, folder: &Path) -> Result<Self> {
        let output = |kind: &str| -> Result<File> {
            let path = folder.join(format!("{name}.{kind}"));
            OpenOptions::new()
                .create(true)
                .append(true)
                .open(&path)
                .with_context(|| format!("cannot write {}", path.display()))
        };
        command.stdin(Stdio::null()).stdout(output("events")?).stderr(output("log")?);
        // SAFETY: setsid is on the list of functions that may be called between fork and exec.
        unsafe {
            command.pre_exec(|| {
                setsid()?;
                Ok(())
            });
        }
        let child = command.spawn().with_context(|| format!("cannot start {command:?}"))?;
        let pid = Pid::from_raw(child.id().cast_signed());
        // It may have ended already, but its entry stays until it is asked for.
        let (started, _) = stat(pid).with_context(|| format!("{name} has left no trace"))?;
        let process = Self { pid, started };
        process.record(name, folder)?;
        Ok(process)
    }

    pub fn pid(&self) -> u32 {
        self.pid.as_raw().cast_unsigned()
    }

    /// Whether it still runs.
    pub fn is_alive(&self) -> bool {
        // Our own children stay as zombies until they are asked for.
        let _ = waitpid(self.pid, Some(WaitPidFlag::WNOHANG));
        stat(self.pid) == Some((self.started, Running::Yes))
    }

    /// Sends a signal, unless the process has ended.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        if !self.is_alive() {
            return Ok(());
        }
        match kill(self.pid, signal) {
            Ok(()) | Err(Errno::ESRCH) => Ok(()),
            Err(error) => Err(error).context("cannot signal a process of the site"),
        }
    }

    /// Asks it to end and, after a while, ends it.
    pub fn stop(&self) -> Result<()> {
        self.signal(Signal::SIGTERM)?;
        if self.wait_for_end(GRACE).is_err() {
            self.kill()?;
        }
        Ok(())
    }

    /// Ends it without asking.
    pub fn kill(&self) -> Result<()> {
        self.signal(Signal::SIGKILL)?;
        self.wait_for_end(CLOSING)
    }

    /// Waits until it has ended.
    pub fn wait_for_end(&self, within: Duration) -> Result<()> {
        wait_until(within, "a process of the site to end", || Ok(!self.is_alive()))
    }

    fn record(&self, name: &str, folder: &Path) -> Result<()> {
        let path = record_of(folder);
        let mut file = OpenOptions::new().create(true).append(true).open(&path)?;
        writeln!(file, "{} {} {name}", self.pid, self.started)
            .with_context(|| format!("cannot write {}", path.display()))
    }
}

/// The processes that were started for the site in this folder, oldest first.
pub fn recorded(folder: &Path) -> Result<Vec<(String, Process)>> {
    let text = match fs::read_to_string(record_of(folder)) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error).context("cannot read the list of processes"),
    };
    let mut processes = Vec::new();
    for line in text.lines() {
        let mut fields = line.splitn(3, ' ');
        let mut field =
            || fields.next().with_context(|| format!("a line of the list of processes is damaged: {line}"));
        let (pid, started, name) = (field()?, field()?, field()?);
        let process = Process { pid: Pid::from_raw(pid.parse()?), started: started.parse()? };
        processes.push((name.to_owned(), process));
    }
    Ok(processes)
}

/// What a program takes for the time of day. Its other clocks are the machine's.
#[derive(Clone, Debug)]
pub enum Clock {
    /// Days ahead of this machine.
    Ahead(u32),
    /// As a box without a battery starts.
    NeverSet,
}

impl Clock {
    /// Starts a command with this clock, by libfaketime.
    ///
    /// # Errors
    ///
    /// Fails if that library is not installed.
    pub fn set(&self, command: &mut Command) -> Result<()> {
        let libraries = fs::read_dir("/usr/lib")?.filter_map(Result::ok);
        let library = libraries
            .map(|folder| folder.path().join("faketime/libfaketimeMT.so.1"))
            .find(|path| path.exists())
            .context("libfaketime is not installed")?;
        let time = match self {
            Self::Ahead(days) => format!("+{days}d"),
            Self::NeverSet => "@1970-01-02 00:00:00".to_owned(),
        };
        command.env("LD_PRELOAD", library).env("FAKETIME", time).env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
        Ok(())
    }
}

/// Waits for a condition, with a deadline.
pub fn wait_until(within: Duration, what: &str, mut holds: impl FnMut() -> Result<bool>) -> Result<()> {
    let deadline = Instant::now() + within;
    while !holds()? {
        if Instant::now() > deadline {
            bail!("waited {} s in vain for {what}", within.as_secs_f32());
        }
        thread::sleep(Duration::from_millis(2));
    }
    Ok(())
}

/// A program of the workspace, which lies beside the one that runs (or one folder up, from a test).
pub fn binary(name: &str) -> Result<PathBuf> {
    let here = std::env::current_exe().context("cannot find the running program")?;
    here.ancestors()
        .skip(1)
        .take(2)
        .map(|folder| folder.join(name))
        .find(|path| path.is_file())
        .with_context(|| format!("{name} is not built; `cargo xtask build` does it"))
}

fn record_of(folder: &Path) -> PathBuf {
    folder.join("processes")
}

/// Whether a process still runs or only its entry is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Running {
    Yes,
    No,
}

/// When a process was started, in clock ticks since boot, and whether it runs; nothing if there is no trace of it.
fn stat(pid: Pid) -> Option<(u64, Running)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may hold anything, so fields are counted from its end.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let ended = matches!(fields.next()?, "Z" | "X") && threads(pid) <= 1;
    let running = if ended { Running::No } else { Running::Yes };
    Some((fields.nth(18)?.parse().ok()?, running))
}

/// How many threads a process has. Its first one may have ended while another still closes what all of them had open, a
/// socket where somebody may connect among it.
fn threads(pid: Pid) -> usize {
    fs::read_dir(format!("/proc/{pid}/task")).map_or(0, Iterator::count)
}
