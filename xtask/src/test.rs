//! `cargo xtask test`: builds everything and runs every test, those that need root through sudo.
//!
//! Test programs are built by the user who called. Unit tests run as that user; the end-to-end tests (`tests/` of a crate)
//! make namespaces and load kernel programs, so they run as root. A test that cannot run says `not run, because …`; with
//! `--all` or `CI=true` that is a failure, because there everything is expected to run.

use std::{
    ffi::OsString,
    io::{BufRead, BufReader, Write},
    path::PathBuf,
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::{
    build::{self, Profile},
    host, kernels,
    privilege::{self, Privilege},
    setup, shell, toolchain,
};

/// Names the folder of captures that others made; a test compares what we and tshark read in them.
const CORPUS: &str = "EDGEWARD_CORPUS";

/// How a test reports that it could not run.
const NOT_RUN: &str = "not run, because ";

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Run the long tests as well and take a test that cannot run for a failure (implied by CI=true)
    #[arg(long)]
    pub(crate) all: bool,
    /// Do not ask for a password or anything else
    #[arg(long)]
    pub(crate) yes: bool,
    /// Run only tests whose name contains this
    pub(crate) filter: Option<String>,
}

pub(crate) fn main(args: &Args) -> Result<()> {
    host::check()?;
    let all = args.all || privilege::is_ci();
    let privilege = Privilege::acquire(args.yes)?;
    setup::ensure(privilege)?;
    setup::ensure_for_tests(privilege)?;
    if std::env::var_os(CORPUS).is_some() {
        setup::ensure_for_corpus(privilege)?;
    }
    build::everything(Profile::Debug)?;

    let mut tally = Tally::default();
    let filter = args.filter.as_deref();
    tally.add(&mut unit_tests(filter))?;
    for test in end_to_end_tests()? {
        tally.add(&mut test.command(privilege, all, filter))?;
    }
    if filter.is_none() {
        page_tests(&mut tally)?;
        if all {
            tally.add_whole("cargo xtask kernels", kernels::main(&kernels::Args { yes: true, filter: None }));
        }
    }
    tally.close(all)
}

fn unit_tests(filter: Option<&str>) -> Command {
    let mut cargo = shell::cargo();
    build::name_object(cargo.args(["test", "--lib", "--bins", "--no-fail-fast"]));
    cargo.arg("--").arg("--show-output").args(filter);
    cargo
}

/// A test program that was built and waits to be run.
struct TestProgram {
    executable: PathBuf,
    /// Where cargo would run it.
    folder: PathBuf,
}

impl TestProgram {
    fn command(&self, privilege: Privilege, all: bool, filter: Option<&str>) -> Command {
        let mut command = privilege.command("env");
        // Root's own PATH need not have the Node.js of this checkout, or the tools of administration.
        command.arg(format!("PATH={}", setup::path_of_tests()));
        command.arg(format!("CARGO_MANIFEST_DIR={}", self.folder.display()));
        command.arg(format!("INSTA_WORKSPACE_ROOT={}", shell::root().display()));
        command.arg(format!("{}={}", toolchain::PREBUILT, build::object().display()));
        // One test gives another user this compiler; as root, another one may be found first.
        for (name, path) in
            [("EDGEWARD_SYSROOT", shell::sysroot()), ("EDGEWARD_CARGO_HOME", shell::cargo_home())]
        {
            if let Some(path) = path {
                command.arg(format!("{name}={}", path.display()));
            }
        }
        // sudo does not pass it on.
        if let Some(corpus) = std::env::var_os(CORPUS) {
            let mut assignment = OsString::from(format!("{CORPUS}="));
            assignment.push(shell::root().join(corpus));
            command.arg(assignment);
        }
        if all {
            command.arg("EDGEWARD_EXPECT_ALL=1");
        }
        command.arg(&self.executable).arg("--show-output").args(filter).current_dir(&self.folder);
        command
    }
}

/// Builds the end-to-end tests and asks cargo where they are.
fn end_to_end_tests() -> Result<Vec<TestProgram>> {
    /// The lines of `--message-format=json` that we need.
    #[derive(Deserialize)]
    struct Message {
        executable: Option<PathBuf>,
        manifest_path: Option<PathBuf>,
        target: Option<Target>,
    }
    #[derive(Deserialize)]
    struct Target {
        kind: Vec<String>,
    }

    let mut cargo = shell::cargo();
    build::name_object(cargo.args([
        "test",
        "--test",
        "*",
        "--no-run",
        "--message-format=json-render-diagnostics",
    ]));
    let output = cargo.stderr(Stdio::inherit()).output().context("cannot start cargo")?;
    if !output.status.success() {
        bail!("the end-to-end tests do not build");
    }
    let mut programs = Vec::new();
    for line in output.stdout.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let message: Message = serde_json::from_slice(line).context("cargo said something unexpected")?;
        if let Message { executable: Some(executable), manifest_path: Some(manifest), target: Some(target) } =
            message
            && target.kind.iter().any(|kind| kind == "test")
        {
            let folder = manifest.parent().context("a manifest lies in a folder")?.to_owned();
            programs.push(TestProgram { executable, folder });
        }
    }
    Ok(programs)
}

/// The page's own checks, which npm runs.
fn page_tests(tally: &mut Tally) -> Result<()> {
    #[derive(Deserialize)]
    struct Manifest {
        #[serde(default)]
        scripts: std::collections::BTreeMap<String, String>,
    }

    let manifest = build::web().join("package.json");
    if !manifest.exists() {
        return Ok(());
    }
    let text = std::fs::read(&manifest).with_context(|| format!("cannot read {}", manifest.display()))?;
    let manifest: Manifest = serde_json::from_slice(&text).context("package.json is not as expected")?;
    for script in ["check", "test"].iter().filter(|script| manifest.scripts.contains_key(**script)) {
        let mut npm = shell::command("npm");
        setup::node_path(&mut npm).args(["run", script]).current_dir(build::web());
        tally.add_whole(&format!("npm run {script}"), shell::run(&mut npm));
    }
    Ok(())
}

/// What came of the tests so far.
#[derive(Default)]
struct Tally {
    passed: u64,
    failed: u64,
    not_run: Vec<String>,
    failures: Vec<String>,
}

impl Tally {
    /// Runs a test program, shows what it prints and counts its results.
    fn add(&mut self, command: &mut Command) -> Result<()> {
        let mut child = command.stdout(Stdio::piped()).spawn().context("cannot start a test program")?;
        let output = child.stdout.take().context("a piped output is there")?;
        let failed_before = self.failed;
        let mut stdout = std::io::stdout().lock();
        for line in BufReader::new(output).split(b'\n') {
            let line = line.context("cannot read what a test prints")?;
            let line = String::from_utf8_lossy(&line);
            writeln!(stdout, "{line}").context("cannot write")?;
            self.line(&line);
        }
        let status = child.wait().context("cannot wait for a test program")?;
        if !status.success() && self.failed == failed_before {
            // It ended before it could report: did not compile, was killed, crashed.
            self.failed += 1;
            self.failures.push(format!("{} ({status})", command.get_program().to_string_lossy()));
        }
        Ok(())
    }

    /// Counts something as one test.
    fn add_whole(&mut self, name: &str, result: Result<()>) {
        match result {
            Ok(()) => self.passed += 1,
            Err(error) => {
                self.failed += 1;
                self.failures.push(format!("{name}: {error:#}"));
            }
        }
    }

    fn line(&mut self, line: &str) {
        if let Some((_, reason)) = line.split_once(NOT_RUN) {
            self.not_run.push(reason.to_owned());
        } else if let Some(name) =
            line.strip_prefix("test ").and_then(|line| line.strip_suffix(" ... FAILED"))
        {
            self.failures.push(name.to_owned());
        } else if let Some(counts) = line.strip_prefix("test result: ") {
            self.passed += count(counts, "passed");
            self.failed += count(counts, "failed");
        }
    }

    fn close(self, all: bool) -> Result<()> {
        print!("{}", self.summary(all));
        match self.failed(all) {
            0 => Ok(()),
            failed => bail!("{failed} tests failed"),
        }
    }

    /// Where everything is expected to run, a test that could not has failed; it panicked, unless it broke its promise.
    fn failed(&self, all: bool) -> u64 {
        if all { self.failed.max(self.not_run.len() as u64) } else { self.failed }
    }

    fn summary(&self, all: bool) -> String {
        let not_run = self.not_run.len() as u64;
        // For the harness a test that returned early has passed; here it has not.
        let passed = self.passed.saturating_sub(if all { 0 } else { not_run });
        let failed = self.failed(all);
        let mut lines = vec![String::new()];
        lines.extend(self.failures.iter().map(|name| format!("failed: {name}")));
        lines.extend(self.not_run.iter().map(|reason| format!("{NOT_RUN}{reason}")));
        lines.push(format!("passed {passed} / failed {failed} / not run {not_run}"));
        lines.push(format!("{passed} passed, {failed} failed"));
        lines.push(String::new());
        lines.join("\n")
    }
}

/// The number before a word in `ok. 3 passed; 0 failed; …`.
fn count(counts: &str, word: &str) -> u64 {
    counts
        .split([';', '.'])
        .filter_map(|part| part.trim().strip_suffix(word))
        .find_map(|number| number.trim().parse().ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_harness_is_understood() {
        let mut tally = Tally::default();
        tally.line("test gate::drops_what_it_cannot_parse ... FAILED");
        tally.line("not run, because there is no kernel object");
        tally.line("test result: FAILED. 12 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.50s");
        tally.line(
            "test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s",
        );
        assert_eq!((tally.passed, tally.failed), (15, 1));
        assert_eq!(tally.not_run, ["there is no kernel object"]);
        assert_eq!(tally.failures, ["gate::drops_what_it_cannot_parse"]);
        assert!(tally.summary(false).ends_with("\n14 passed, 1 failed\n"));
    }

    #[test]
    fn what_did_not_run_counts_as_failed_where_everything_is_expected() {
        let tally = || Tally { passed: 2, not_run: vec!["no root".to_owned()], ..Tally::default() };
        assert_eq!(tally().failed(false), 0);
        assert_eq!(tally().failed(true), 1);
        assert!(tally().summary(false).ends_with("\n1 passed, 0 failed\n"));
    }
}
