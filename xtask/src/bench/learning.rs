//! `cargo xtask bench --learning`: what learning is worth on captures of real devices. Needs no privilege and no network.

use std::{
    fmt::Write as _,
    path::PathBuf,
    process::{Command, Stdio},
};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::{
    build::{self, Profile},
    shell,
};

/// Names the folder of the captures; without it they are looked for beside the checkout.
const CORPUS: &str = "EDGEWARD_CORPUS";
const BESIDE: &str = "../shared/data";

pub(super) fn measure(debug: bool) -> Result<Value> {
    let corpus = std::env::var_os(CORPUS).map_or_else(|| PathBuf::from(BESIDE), PathBuf::from);
    let corpus = shell::root().join(corpus);
    ensure!(
        corpus.is_dir(),
        "{} is not a folder; {CORPUS} names the folder of the captures",
        corpus.display()
    );
    run(debug, |program| program.env(CORPUS, corpus))
}

/// The part that needs no captures.
pub(super) fn scale(debug: bool) -> Result<Value> {
    run(debug, |program| program.arg("--scale"))
}

fn run(debug: bool, prepare: impl FnOnce(&mut Command) -> &mut Command) -> Result<Value> {
    let profile = if debug { Profile::Debug } else { Profile::Release };
    build::programs(profile, &["edgeward-learning"])?;
    let program = profile.binary("edgeward-learning");
    let output = prepare(&mut Command::new(&program))
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("cannot start {}", program.display()))?;
    ensure!(output.status.success(), "edgeward-learning ended with {}", output.status);
    serde_json::from_slice(&output.stdout).context("edgeward-learning said something unexpected")
}

/// The same for people.
pub(super) fn table(result: &Value) -> String {
    let mut text = String::new();
    let sentinel = &result["sentinel"];
    let mut row = |name: &str, counts: &Value| {
        let (edges, silent, n) = (&counts["edges_ask_pct"], &counts["setups_silent_pct"], &counts["n"]);
        let _ =
            writeln!(text, "{name:<20} {n:>4} set-ups   edges that ask {edges:>7} %   silent {silent:>6} %");
    };
    for (name, counts) in sentinel["per_type"].as_object().into_iter().flatten() {
        row(name, counts);
    }
    row("together", sentinel);
    let _ = writeln!(text, "MQTTset: {} questions", result["mqttset"]["questions"]);
    let alarms = &result["alarms"];
    for kind in ["bruteforce", "slowite", "flood", "malformed", "scan"] {
        let _ = writeln!(text, "alarm {kind}: {}", alarms[kind]);
    }
    let _ = writeln!(text, "alarms where nobody attacks: {}", alarms["benign"]);
    text.push_str(&scale_table(result));
    let _ = writeln!(text, "replay: {} packets per second", result["replay_pps"]);
    text
}

/// The part that needs no captures, for people.
pub(super) fn scale_table(result: &Value) -> String {
    let (classify, export, scale) = (&result["classify_us"], &result["export_ms"], &result["scale"]);
    let (edges, principals) = (&scale["edges"], &scale["principals"]);
    let (edge, principal) = (&scale["bytes_per_edge"], &scale["bytes_per_principal"]);
    format!(
        "{principals} principals, {edges} edges: a flow classified in {classify} µs (goal 5), an export in {export} ms \
         (goal 1,000); memory: {edge} bytes for an edge, {principal} for a principal\n"
    )
}
