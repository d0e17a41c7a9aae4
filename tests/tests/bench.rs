//! `edgeward-bench` measures everything it promises; how much means nothing here.

use std::process::Command;

use anyhow::{Context, Result, ensure};
use lab::{
    expect::{Need, can_run},
    process,
};
use serde_json::Value;

#[test]
fn every_figure_of_the_path_is_there() -> Result<()> {
    if !can_run(&[Need::Root, Need::Daemon]) {
        return Ok(());
    }
    let output = Command::new(process::binary("edgeward-bench")?).arg("--quick").output()?;
    ensure!(output.status.success(), "it failed: {}", String::from_utf8_lossy(&output.stderr));
    let result: Value = serde_json::from_slice(&output.stdout).context("its output is one JSON object")?;
    let positive = [
        "/live_ns/lan_ingress/ns",
        "/live_ns/lan_egress/ns",
        "/mqtt_rtt/aa/ratio",
        "/mqtt_rtt/ours_1000/ratio",
        "/mqtt_rtt/ours_1000/pairs",
        "/mqtt_rtt/nft_1000/ratio",
        "/connect/ours/ratio",
        "/connect/nft/ratio",
        "/cpu_per_gb/opaque/ratio",
        "/bytes/edge",
        "/bytes/topic_rule",
        "/bytes/services_20",
        "/bytes/maps_total",
        "/bytes/run_rss",
        "/bytes/web_rss",
    ];
    for place in positive {
        let value = result.pointer(place).and_then(Value::as_f64);
        ensure!(value.is_some_and(|value| value > 0.0), "{place} is {value:?} in {result}");
    }
    ensure!(result["mqtt_rtt"]["ours_1000"]["added_us"].is_number(), "{result}");
    ensure!(result["forward_added_ns"].is_number(), "{result}");
    // What was not asked for is null, and the reason stands beside it.
    for (peer, lane) in [("haproxy", "haproxy"), ("suricata_1000", "suricata")] {
        ensure!(
            result["mqtt_rtt"][peer].is_null() && result["missing"][lane].is_string(),
            "{peer}: {result}"
        );
    }
    Ok(())
}
