//! `cargo xtask bench --page`: the page at a large site, in a real browser, beside what was wanted.

use std::fmt::Write as _;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::{
    build::{self, Profile},
    setup, shell,
};

/// Name of the figure, what it is in words, and the most that it may be.
const GOALS: [(&str, &str, f64); 5] = [
    ("inbox_ms", "inbox, milliseconds", 1_000.0),
    ("first_load_gzip_bytes", "first load, bytes with gzip", 120_000.0),
    ("decision_ms", "a decision on every open page, milliseconds", 200.0),
    ("idle_cpu_percent", "idle with ten pages, percent of a core", 1.0),
    ("web_rss_bytes", "memory of `edgeward web`, bytes", 15_000_000.0),
];

/// Measures, and says for each figure whether it is as it was wanted.
pub(super) fn measure(debug: bool) -> Result<Value> {
    let profile = if debug { Profile::Debug } else { Profile::Release };
    build::programs(profile, &["edgeward"])?;
    let mut node = shell::command("node");
    setup::node_path(&mut node).arg("e2e/bench.mjs").arg(profile.binary("edgeward"));
    let output = shell::output(node.current_dir(build::web())).context(
        "the page could not be measured; is Chromium installed? `cargo xtask setup` names what is missing",
    )?;
    let mut result: Value =
        serde_json::from_str(output.trim()).context("e2e/bench.mjs said something unexpected")?;
    result["goals"] = GOALS.iter().map(|goal| judged(goal, &result)).collect();
    Ok(result)
}

fn judged(&(name, _, limit): &(&str, &str, f64), result: &Value) -> Value {
    let value = result[name].as_f64();
    json!({ "goal": name, "value": value, "at_most": limit, "reached": value.map(|value| value <= limit) })
}

pub(super) fn table(result: &Value) -> String {
    let mut text = format!("{} devices, {} edges\n", result["devices"], result["edges"]);
    for (name, words, limit) in GOALS {
        let reached = match result[name].as_f64() {
            Some(value) if value <= limit => "reached",
            Some(_) => "MISSED",
            None => "not measured",
        };
        let _ =
            writeln!(text, "{words:<44} {:>12}   at most {limit:>9}   {reached}", result[name].to_string());
    }
    text
}
