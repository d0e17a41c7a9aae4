//! `cargo xtask fuzz`: every parser under libFuzzer, and the proof that it would find a mistake.
//!
//! The fuzz crate is built twice by the compiler of the workspace, with the coverage instrumentation of LLVM: as it is, and
//! with one planted mistake per target. The planted ones run first and must be found, from the committed corpus alone and
//! not by it; what they leave of the time belongs to the real parsers.

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Mutex,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

use crate::{privilege::Privilege, setup, shell};

/// Coverage counters and the operands of comparisons, as libFuzzer reads them.
const INSTRUMENTATION: &str = "-Cpasses=sancov-module \
    -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
    -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares";

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Time for all targets together, without building
    #[arg(long, default_value_t = 60)]
    pub(crate) seconds: u64,
    /// Run only targets whose name contains this
    pub(crate) filter: Option<String>,
}

pub(crate) fn main(args: &Args) -> Result<()> {
    if shell::find("c++").is_none() {
        setup::install(Privilege::acquire(false)?, &["g++"])?;
    }
    let targets = targets(args.filter.as_deref())?;
    let real = build("edgeward-fuzz", "engine")?;
    let planted = build("edgeward-fuzz-planted", "engine,planted")?;

    let begun = Instant::now();
    let budget = Duration::from_secs(args.seconds);
    let searches = search(&planted, &targets, budget * 2 / 3)?;
    let runs = run(&real, "real", &targets, budget.saturating_sub(begun.elapsed()))?;

    print!("{}", table(&targets, &runs, &searches));
    let mut mistakes = Vec::new();
    for (target, (run, search)) in targets.iter().zip(runs.iter().zip(&searches)) {
        if let Some(found) = &run.found {
            mistakes.push(format!(
                "{target}: {}\n  again: EDGEWARD_FUZZ_TARGET={target} {} {}",
                found.message,
                real.display(),
                found.input.display()
            ));
        }
        match &search.found {
            None => mistakes.push(format!("{target}: the planted mistake was not found")),
            Some(_) if !search.searched => {
                mistakes.push(format!(
                    "{target}: the corpus alone shows the planted mistake, so nothing was proven"
                ));
            }
            Some(_) => {}
        }
    }
    if mistakes.is_empty() { Ok(()) } else { bail!("{}", mistakes.join("\n")) }
}

/// The names of the targets: each has a folder in the corpus.
fn targets(filter: Option<&str>) -> Result<Vec<String>> {
    let folder = corpus();
    let mut targets = Vec::new();
    for entry in fs::read_dir(&folder).with_context(|| format!("cannot list {}", folder.display()))? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if filter.is_none_or(|filter| name.contains(filter)) {
            targets.push(name);
        }
    }
    if targets.is_empty() {
        bail!("no target has {} in its name", filter.unwrap_or_default());
    }
    targets.sort();
    Ok(targets)
}

fn corpus() -> PathBuf {
    shell::root().join("tests/fuzz/corpus")
}

/// Where everything lies that fuzzing makes.
fn folder() -> PathBuf {
    shell::target().join("fuzz")
}

/// Builds the fuzz crate with these features and returns where the program is.
fn build(name: &str, features: &str) -> Result<PathBuf> {
    let version =
        shell::output(shell::command("rustc").arg("-vV")).context("cannot ask rustc for its host")?;
    let host =
        version.lines().find_map(|line| line.strip_prefix("host: ")).context("rustc names its host")?;
    eprintln!("fuzz: building {name}");
    // Naming the target keeps the instrumentation out of build scripts.
    shell::run(
        shell::cargo()
            .args([
                "build",
                "--quiet",
                "--package",
                "edgeward-fuzz",
                "--profile",
                "fuzz",
                "--features",
                features,
            ])
            .args(["--target", host])
            .env("RUSTFLAGS", INSTRUMENTATION)
            .env("CARGO_TARGET_DIR", folder()),
    )?;
    let built = folder().join(host).join("fuzz/edgeward-fuzz");
    let program = folder().join(name);
    fs::copy(&built, &program).with_context(|| format!("cannot copy {}", built.display()))?;
    Ok(program)
}

/// What came of one target.
struct Run {
    executions: u64,
    coverage: u64,
    features: u64,
    elapsed: Duration,
    /// Whether the fuzzer had read the whole corpus and begun to search.
    searched: bool,
    found: Option<Found>,
}

/// An input that breaks a property.
struct Found {
    message: String,
    input: PathBuf,
}

/// Looks for the planted mistakes: most show at once, and what that leaves of the time belongs to the others. A search that
/// has lost its way in what it has grown starts anew in the end.
fn search(program: &Path, targets: &[String], budget: Duration) -> Result<Vec<Run>> {
    let begun = Instant::now();
    let left = || budget.saturating_sub(begun.elapsed());
    forget(targets)?;
    let mut runs = run(program, "planted", targets, budget / 3)?;
    for is_last in [false, true] {
        let missing: Vec<usize> = (0..targets.len()).filter(|&at| runs[at].found.is_none()).collect();
        if missing.is_empty() {
            break;
        }
        let names: Vec<String> = missing.iter().map(|&at| targets[at].clone()).collect();
        if is_last {
            forget(&names)?;
        }
        let more = run(program, "planted", &names, if is_last { left() } else { left() / 2 })?;
        for (at, more) in missing.into_iter().zip(more) {
            let (executions, elapsed) = (runs[at].executions, runs[at].elapsed);
            runs[at] =
                Run { executions: executions + more.executions, elapsed: elapsed + more.elapsed, ..more };
        }
    }
    Ok(runs)
}

/// Removes what searches for planted mistakes have grown, which would make the next one easier.
fn forget(targets: &[String]) -> Result<()> {
    for target in targets {
        let grown = grown("planted", target);
        if grown.exists() {
            fs::remove_dir_all(&grown).with_context(|| format!("cannot empty {}", grown.display()))?;
        }
    }
    Ok(())
}

/// What a target has found to be of interest, beyond the committed corpus.
fn grown(kind: &str, target: &str) -> PathBuf {
    folder().join(kind).join(target).join("corpus")
}

/// Runs all targets, as many at once as there are cores, so that all are done in about this time.
fn run(program: &Path, kind: &str, targets: &[String], budget: Duration) -> Result<Vec<Run>> {
    let cores = thread::available_parallelism().map_or(1, std::num::NonZero::get).min(targets.len());
    let rounds = targets.len().div_ceil(cores);
    let share = Duration::from_secs((budget.as_secs() / rounds as u64).max(1));
    let queue = Mutex::new(targets.iter().enumerate());
    let done = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| {
                loop {
                    let next = queue.lock().expect("no thread panics with the queue").next();
                    let Some((index, target)) = next else { break };
                    let run = run_one(program, kind, target, share);
                    done.lock().expect("no thread panics with the results").push((index, run));
                }
            });
        }
    });
    let mut done = done.into_inner().context("a thread panicked")?;
    done.sort_by_key(|(index, _)| *index);
    done.into_iter().map(|(_, run)| run).collect()
}

fn run_one(program: &Path, kind: &str, target: &str, share: Duration) -> Result<Run> {
    let work = folder().join(kind).join(target);
    let grown = grown(kind, target);
    fs::create_dir_all(&grown).with_context(|| format!("cannot make {}", grown.display()))?;
    let words = shell::root().join("tests/fuzz/words").join(target);
    let words = words.is_file().then(|| format!("-dict={}", words.display()));
    // Steps towards equal operands help where there are no words, and make everything several times slower.
    let has_words = words.is_some();
    let profile = format!("-use_value_profile={}", u8::from(!has_words));
    let begun = Instant::now();
    let output = Command::new(program)
        .env("EDGEWARD_FUZZ_TARGET", target)
        .arg(&grown)
        .arg(corpus().join(target))
        .arg(format!("-artifact_prefix={}/", work.display()))
        .arg(format!("-max_total_time={}", share.as_secs()))
        .args(words)
        .arg(profile)
        // Texts that are put together from words get lost in each other's mistakes.
        .arg(format!("-cross_over={}", u8::from(!has_words)))
        .args(["-keep_seed=1", "-print_final_stats=1", "-max_len=2048", "-timeout=10", "-rss_limit_mb=1024"])
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot start {}", program.display()))?;
    let text = String::from_utf8_lossy(&output.stderr);
    let mut run = read(&text);
    run.elapsed = begun.elapsed();
    if !output.status.success() && run.found.is_none() {
        bail!("the fuzzer of {target} ended with {}:\n{text}", output.status);
    }
    Ok(run)
}

/// Reads what libFuzzer prints.
fn read(text: &str) -> Run {
    let mut run = Run {
        executions: 0,
        coverage: 0,
        features: 0,
        elapsed: Duration::ZERO,
        searched: false,
        found: None,
    };
    let mut lines = text.lines();
    let mut message = String::new();
    while let Some(line) = lines.next() {
        if line.starts_with('#') {
            let words: Vec<&str> = line.split_whitespace().collect();
            let after = |word| {
                words.iter().position(|other| *other == word).and_then(|at| words.get(at + 1)?.parse().ok())
            };
            run.coverage = after("cov:").unwrap_or(run.coverage);
            run.features = after("ft:").unwrap_or(run.features);
            run.searched |= words.contains(&"INITED");
        } else if let Some(count) = line.strip_prefix("stat::number_of_executed_units:") {
            run.executions = count.trim().parse().unwrap_or(0);
        } else if line.contains("panicked at") {
            message = format!("{line} {}", lines.next().unwrap_or_default());
        } else if let Some((_, path)) = line.split_once("Test unit written to ") {
            if message.is_empty() {
                "an input took too long or too much memory".clone_into(&mut message);
            }
            run.found = Some(Found { message: message.clone(), input: PathBuf::from(path) });
        }
    }
    run
}

fn table(targets: &[String], runs: &[Run], searches: &[Run]) -> String {
    let mut text = format!(
        "{:<12} {:>12} {:>9} {:>9}  {:<8} {}\n",
        "target", "executions", "coverage", "features", "result", "planted mistake"
    );
    for (target, (run, search)) in targets.iter().zip(runs.iter().zip(searches)) {
        let result = if run.found.is_some() { "BROKEN" } else { "holds" };
        let seconds = search.elapsed.as_secs_f64();
        let planted = match &search.found {
            Some(_) => format!("found after {seconds:.1} s, {} executions", search.executions),
            None => format!("NOT found in {seconds:.1} s, {} executions", search.executions),
        };
        let Run { executions, coverage, features, .. } = run;
        writeln!(text, "{target:<12} {executions:>12} {coverage:>9} {features:>9}  {result:<8} {planted}")
            .expect("a string takes everything");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fuzzer_is_understood() {
        let run = read(
            "#13\tINITED cov: 210 ft: 498 corp: 12/1Kb exec/s: 0 rss: 40Mb\n\
             #4096\tpulse  cov: 333 ft: 700 corp: 90/9Kb lim: 128 exec/s: 2048 rss: 60Mb\n\
             stat::number_of_executed_units: 5000\n",
        );
        assert_eq!((run.executions, run.coverage, run.features, run.searched), (5000, 333, 700, true));
        assert!(run.found.is_none());
    }

    #[test]
    fn a_broken_property_is_told_with_its_input() {
        let run = read(
            "thread '<unnamed>' (7) panicked at tests/fuzz/src/frame.rs:33:5:\n\
             cut behind the packet\n\
             ==7== ERROR: libFuzzer: deadly signal\n\
             artifact_prefix='/x/'; Test unit written to /x/crash-1\n",
        );
        let found = run.found.expect("it was found");
        assert!(found.message.ends_with("frame.rs:33:5: cut behind the packet"), "{}", found.message);
        assert_eq!(found.input, PathBuf::from("/x/crash-1"));
        assert!(!run.searched);
    }
}
