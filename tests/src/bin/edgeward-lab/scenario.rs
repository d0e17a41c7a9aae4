//! `lab scenario NAME`: plays a scenario without and with the firewall, and prints what came of it.

use anyhow::{Result, bail};
use lab::{
    Topology,
    firewall::{Attach, Settings},
    measure::Delays,
    scenario::{self, REPETITIONS, Report, Scenario},
};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// malicious-update or new-battery
    name: Scenario,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    /// How the firewall attaches: auto, tc, xdp or xdp-generic
    #[arg(long, default_value_t)]
    attach: Attach,
    /// How often the question is asked and answered
    #[arg(long, default_value_t = REPETITIONS)]
    repetitions: usize,
}

pub(crate) async fn main(args: &Args, site: &str, topology: Topology) -> Result<()> {
    let settings = Settings { attach: args.attach, ..Settings::default() };
    let report =
        scenario::play(args.name, &format!("{site}-play"), topology, settings, args.repetitions).await?;
    if args.json {
        println!("{}", serde_json::to_string(&report)?);
    } else {
        print(&report)?;
    }
    if !report.is_as_promised() {
        bail!("the firewall did not do what it promises");
    }
    Ok(())
}

fn print(report: &Report) -> Result<()> {
    println!("{} without the firewall: {}", report.scenario.name(), report.without_firewall);
    println!("with the firewall, before a decision: {}", report.with_firewall.before_decision);
    println!("asked: {}", serde_json::to_string_pretty(&report.with_firewall.pending)?);
    println!("with the firewall, after it was allowed: {}", report.with_firewall.after_decision);
    for (what, delays) in [
        ("first packet to question", &report.first_packet_to_pending_ms),
        ("allow to kernel", &report.allow_to_map_ms),
        ("allow to first packet", &report.allow_to_first_packet_ms),
    ] {
        println!("{what}: {}", in_words(delays));
    }
    Ok(())
}

fn in_words(delays: &Delays) -> String {
    match (delays.p50, delays.p99) {
        (Some(p50), Some(p99)) => format!("p50 {p50} ms, p99 {p99} ms, {} times", delays.n),
        (None, _) | (_, None) => "never".to_owned(),
    }
}
