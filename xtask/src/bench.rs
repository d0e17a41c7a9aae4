//! `cargo xtask bench`: what the firewall costs, beside none and beside others, all in one run.
//!
//! ```text
//! verdict tests, `cost::figures` ─▶ prog_ns: a frame through the programs, nanoseconds
//! edgeward-bench                 ─▶ round trips, connections, forwarding, CPU time, memory: a path in namespaces
//! --arm64: the same figures in a guest that counts instructions instead of time
//! ```
//!
//! `--learning` measures something else: what a model asks that captures of real devices have taught. `--scale` measures how
//! the graph copes with a large site.
//!
//! Progress goes to standard error, the result to standard output: a table with the goals, or with `--json` one object.
//! What was not measured is `null`, and the reason stands under `missing`.

mod arm64;
mod goals;
mod learning;
mod page;
mod target;

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    build::{self, Profile},
    host,
    privilege::Privilege,
    setup, shell,
};

#[derive(clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
pub(crate) struct Args {
    /// Install and measure others too: xdp-filter, haproxy and Suricata, as far as the distribution has them
    #[arg(long)]
    peers: bool,
    /// Print one JSON object instead of a table
    #[arg(long)]
    json: bool,
    /// Also count instructions per frame on an emulated 64-bit ARM processor
    #[arg(long)]
    arm64: bool,
    /// Measure on this machine over ssh instead, for example pi@192.0.2.7; what happens there is told before
    #[arg(long, value_name = "HOST", conflicts_with = "arm64")]
    target: Option<String>,
    /// Measure instead what learning is worth on captures of real devices (`EDGEWARD_CORPUS`)
    #[arg(long, conflicts_with_all = ["peers", "arm64", "target"])]
    learning: bool,
    /// Measure instead how the graph copes with 10,000 principals and 100,000 edges
    #[arg(long, conflicts_with_all = ["peers", "arm64", "target", "learning"])]
    scale: bool,
    /// Measure instead the page at a site of 500 devices and 5,000 edges, in a browser
    #[arg(long, conflicts_with_all = ["peers", "arm64", "target", "learning", "scale"])]
    page: bool,
    /// Do not optimise the daemon (the kernel programs always are)
    #[arg(long)]
    debug: bool,
    /// Do not ask for a password or anything else
    #[arg(long)]
    yes: bool,
}

/// The packages of `--peers`; none of them is needed.
const PEERS: &[(&str, &str)] =
    &[("nft", "nftables"), ("xdp-filter", "xdp-tools"), ("haproxy", "haproxy"), ("suricata", "suricata")];

/// What stands before the figures in the output of the verdict tests.
const MARK: &str = "figures: ";

pub(crate) fn main(args: &Args) -> Result<()> {
    host::check()?;
    let print = |result: Value, table: fn(&Value) -> String| {
        if args.json {
            println!("{result}");
        } else {
            print!("{}", table(&result));
        }
    };
    if args.learning {
        print(learning::measure(args.debug)?, learning::table);
        return Ok(());
    }
    if args.scale {
        print(learning::scale(args.debug)?, learning::scale_table);
        return Ok(());
    }
    let privilege = Privilege::acquire(args.yes)?;
    setup::ensure(privilege)?;
    if args.page {
        setup::ensure_for_tests(privilege)?;
        print(page::measure(args.debug)?, page::table);
        return Ok(());
    }
    let result = match &args.target {
        Some(host) => target::measure(host, args.peers, privilege)?,
        None => measure(args, privilege)?,
    };
    print(result, goals::table);
    Ok(())
}

fn measure(args: &Args, privilege: Privilege) -> Result<Value> {
    let mut missing = json!({});
    if args.peers {
        install_peers(privilege, &mut missing);
    }
    let profile = if args.debug { Profile::Debug } else { Profile::Release };
    build::programs(profile, &["edgeward", "edgeward-bench"])?;
    let tests = verdict_tests()?;
    eprintln!("bench: a frame through the programs");
    let mut figures = privilege.command("env");
    figures.arg("EDGEWARD_EXPECT_ALL=1").arg(&tests).args([
        "cost::figures",
        "--exact",
        "--ignored",
        "--nocapture",
    ]);
    let prog_ns = figures_in(&output(&mut figures)?)?;
    let mut path = privilege.command("env");
    path.arg(format!("PATH={}", setup::path_of_tests())).arg(profile.binary("edgeward-bench"));
    if args.peers {
        path.arg("--peers");
    }
    let path =
        serde_json::from_str(&output(&mut path)?).context("edgeward-bench said something unexpected")?;
    let mut result = joined(prog_ns, path, missing);
    result["arm64"] = Value::Null;
    if args.arm64 {
        match arm64::measure(privilege) {
            Ok(instructions) => result["arm64"] = instructions,
            Err(error) => result["missing"]["arm64"] = json!(format!("{error:#}")),
        }
    } else {
        result["missing"]["arm64"] = json!("only with --arm64");
    }
    result["goals"] = goals::judged(&result);
    Ok(result)
}

/// Installs one by one, so that one that the distribution does not have keeps no other away.
fn install_peers(privilege: Privilege, missing: &mut Value) {
    for &(program, package) in PEERS {
        if shell::find(program).is_none()
            && let Err(error) = setup::install(privilege, &[package])
        {
            eprintln!("bench: {package} is not to be had: {error:#}");
            missing[program] = json!(format!("the package {package} could not be installed"));
        }
    }
}

/// One object from what the parts have measured.
fn joined(prog_ns: Value, path: Value, missing: Value) -> Value {
    let mut result = path;
    result["prog_ns"] = prog_ns;
    if let Value::Object(missing) = missing {
        for (name, reason) in missing {
            result["missing"][name] = reason;
        }
    }
    if result["prog_ns"]["xdp_filter"].is_null() && result["missing"]["xdp-filter"].is_null() {
        result["missing"]["xdp-filter"] = json!("not installed; --peers does it");
    }
    result
}

/// The figures that the verdict tests have printed.
fn figures_in(output: &str) -> Result<Value> {
    // The harness does not end its own line before.
    let figures = output.lines().find_map(|line| line.split_once(MARK)).map(|(_, figures)| figures);
    serde_json::from_str(figures.context("the verdict tests printed no figures")?)
        .context("the figures are not as expected")
}

/// Builds the verdict tests and asks cargo where they are.
fn verdict_tests() -> Result<PathBuf> {
    /// The lines of `--message-format=json` that we need.
    #[derive(Deserialize)]
    struct Message {
        executable: Option<PathBuf>,
    }

    let mut cargo = shell::cargo();
    cargo.args(["test", "--package", "edgeward", "--test", "verdicts", "--no-run"]);
    build::name_object(cargo.arg("--message-format=json-render-diagnostics"));
    let output = cargo.stderr(Stdio::inherit()).output().context("cannot start cargo")?;
    ensure!(output.status.success(), "the verdict tests do not build");
    for line in output.stdout.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let message: Message = serde_json::from_slice(line).context("cargo said something unexpected")?;
        // Only programs that were asked for are executables of a test build, and the daemon that they start.
        if let Some(executable) = message.executable.filter(|path| is_named(path, "verdicts-")) {
            return Ok(executable);
        }
    }
    bail!("cargo built no verdict tests")
}

fn is_named(path: &Path, prefix: &str) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(prefix))
}

/// Runs to the end and returns what it printed; its complaints are shown.
fn output(command: &mut Command) -> Result<String> {
    let output = command
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("cannot start {}", command.get_program().to_string_lossy()))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(output.status.success(), "a measurement failed ({}):\n{text}", output.status);
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_found_behind_the_harness() {
        let output = "running 1 test\ntest cost::figures ... figures: {\"opaque\":{\"net\":1.5}}\nok\n";
        assert_eq!(figures_in(output).unwrap()["opaque"]["net"], 1.5);
        assert!(figures_in("running 1 test\nnot run, because it needs root\n").is_err());
        assert!(figures_in("figures: {\"opa").is_err());
    }

    #[test]
    fn what_was_not_measured_has_a_reason() {
        let path = json!({ "missing": { "suricata": "not installed" } });
        let result = joined(json!({ "xdp_filter": null }), path, json!({ "haproxy": "no" }));
        assert_eq!(result["missing"].as_object().map(serde_json::Map::len), Some(3));
    }
}
