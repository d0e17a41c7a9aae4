//! `edgeward-bench`: what the firewall costs on a path, beside none and beside others. `cargo xtask bench` calls it as root.
//!
//! ```text
//! client ─▶ router without anything ─▶ broker      one namespace for the client, one for the broker, and between
//!        ─▶ router with Edgeward    ─▶             them one router per lane
//!        ─▶ router with nftables …  ─▶
//! ```
//!
//! Lanes are compared in finely interleaved pairs of short bursts, and each result is the median of the pairs' ratios:
//! what the machine does meanwhile meets both of a pair. A lane that is as bare as the first shows what that resolves.
//! Client and broker have a CPU of their own each and raised priority. The result is one JSON object on standard output.

#![expect(
    clippy::cast_precision_loss,
    reason = "what is counted here stays far below the 52 bits of a fraction"
)]

// The machine: lanes, and who is put on them.
mod course;
mod ours;
mod peers;

// What is measured.
mod bulk;
mod kernel;
mod pairs;
mod traffic;

use std::{process::ExitCode, time::Duration};

use anyhow::{Context, Result, bail};
use clap::Parser;
use nix::unistd::geteuid;
use serde_json::{Map, Value, json};
use tokio::signal::unix::{SignalKind, signal};

use crate::{
    course::{Course, Lane},
    ours::Ours,
    pairs::{Pairs, interleave},
    traffic::Mqtt,
};

#[derive(Parser)]
#[command(name = "edgeward-bench", about = "What the firewall costs on a path, as one JSON object")]
struct Cli {
    /// Compare with haproxy and Suricata too, as far as they are installed
    #[arg(long)]
    peers: bool,
    /// Measure so little that only the form of the result means something
    #[arg(long)]
    quick: bool,
}

/// How long and how often is measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Effort {
    /// Topic rules of every lane that judges topics.
    topics: usize,
    pairs: usize,
    burst: Duration,
    /// Connections of a burst: all bursts together stay below what one device may open at once.
    connects: usize,
    bulk_pairs: usize,
    bulk_bytes: usize,
}

const FULL: Effort = Effort {
    topics: 1000,
    pairs: 60,
    burst: Duration::from_millis(65),
    connects: 25,
    bulk_pairs: 20,
    bulk_bytes: 256 << 20,
};
const QUICK: Effort = Effort {
    topics: 40,
    pairs: 4,
    burst: Duration::from_millis(3),
    connects: 3,
    bulk_pairs: 2,
    bulk_bytes: 4 << 20,
};

fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(&cli) {
        Ok(result) => {
            println!("{result}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: &Cli) -> Result<Value> {
    if !geteuid().is_root() {
        bail!("network namespaces need root; `cargo xtask bench` calls this through sudo");
    }
    let _alone = course::lock()?;
    remove_when_interrupted()?;
    let effort = if cli.quick { QUICK } else { FULL };
    let mut lanes = vec![Lane::Bare, Lane::Twin, Lane::Ours, Lane::Nft];
    let mut missing = Map::new();
    for lane in [Lane::Haproxy, Lane::Suricata] {
        match lane.program().filter(|program| cli.peers && !peers::is_installed(program)) {
            Some(program) => {
                missing.insert(lane.name().to_owned(), json!(format!("{program} is not installed")));
            }
            None if cli.peers => lanes.push(lane),
            None => {
                missing.insert(lane.name().to_owned(), json!("only with --peers"));
            }
        }
    }
    let course = Course::lay(&lanes, effort.topics)?;
    let ours = Ours::start(&course)?;
    let mut bytes = ours.bytes()?;
    measure(&course, &ours, &effort, lanes, missing, &mut bytes)
        .with_context(|| format!("what the firewall counted: {}", ours.counted()))
}

fn measure(
    course: &Course,
    ours: &Ours,
    effort: &Effort,
    lanes: Vec<Lane>,
    mut missing: Map<String, Value>,
    bytes: &mut Value,
) -> Result<Value> {
    let mut connected = Vec::new();
    for lane in lanes {
        match peers::start(course, lane).and_then(|()| Mqtt::ready(course, lane)) {
            Ok(client) => connected.push((lane, client)),
            // A peer that does not run here is told; without ours or the bare lane there is nothing to compare.
            Err(error) if lane.program().is_some() => {
                missing.insert(lane.name().to_owned(), json!(format!("{error:#}")));
            }
            Err(error) => return Err(error.context(format!("the lane {} does not work", lane.name()))),
        }
    }
    course::stay_on_first_cpu()?;
    let round_trips = round_trips(&mut connected, effort)?;
    eprintln!("bench: time in the kernel under real traffic");
    let live = kernel::live(ours, effort, find(&mut connected, Lane::Ours)?)?;
    drop(connected);
    eprintln!("bench: connections");
    let connect = |lane| {
        let pairs = interleave(
            effort.pairs / 2,
            || traffic::connect(course, Lane::Bare, effort.connects),
            || traffic::connect(course, lane, effort.connects),
        )?;
        Ok::<_, anyhow::Error>(pairs.rate_json())
    };
    let connects =
        json!({ "aa": connect(Lane::Twin)?, "ours": connect(Lane::Ours)?, "nft": connect(Lane::Nft)? });
    eprintln!("bench: forwarding");
    let forward = |lane| {
        let (bare, other) =
            (traffic::Datagrams::open(course, Lane::Bare)?, traffic::Datagrams::open(course, lane)?);
        let pairs = interleave(effort.pairs / 2, || bare.burst(effort.burst), || other.burst(effort.burst))?;
        Ok::<_, anyhow::Error>(pairs)
    };
    let (forward_twin, forward_ours, forward_nft) =
        (forward(Lane::Twin)?, forward(Lane::Ours)?, forward(Lane::Nft)?);
    eprintln!("bench: bulk");
    let cpu = bulk::compare(course, ours, effort, &mut missing)?;
    bytes["run_rss"] = json!(kernel::resident(ours.daemon())?);
    bytes["web_rss"] = json!(ours.resident_page()?);
    Ok(json!({
        "live_ns": live,
        "mqtt_rtt": round_trips,
        "connect": connects,
        "forward_added_ns": (forward_ours.added * 1e9).round(),
        "forward": {
            "aa_ns": (forward_twin.added * 1e9).round(),
            "nft_ns": (forward_nft.added * 1e9).round(),
            "pairs": forward_ours.count,
        },
        "cpu_per_gb": cpu,
        "bytes": bytes,
        "missing": missing,
        "machine": kernel::machine()?,
        "build": if cfg!(debug_assertions) { "debug" } else { "release" },
    }))
}

fn round_trips(connected: &mut [(Lane, Mqtt)], effort: &Effort) -> Result<Value> {
    let mut result =
        json!({ "aa": null, "ours_1000": null, "nft_1000": null, "suricata_1000": null, "haproxy": null });
    let Some(((Lane::Bare, bare), others)) = connected.split_first_mut() else {
        bail!("the bare lane comes first");
    };
    for (lane, other) in others {
        eprintln!("bench: round trips, {}", lane.name());
        let pairs: Pairs =
            interleave(effort.pairs, || bare.burst(effort.burst), || other.burst(effort.burst))?;
        let key = match lane {
            Lane::Bare => continue,
            Lane::Twin => "aa",
            Lane::Ours => "ours_1000",
            Lane::Nft => "nft_1000",
            Lane::Haproxy => "haproxy",
            Lane::Suricata => "suricata_1000",
        };
        result[key] = pairs.ratio_json();
    }
    Ok(result)
}

fn find(connected: &mut [(Lane, Mqtt)], wanted: Lane) -> Result<&mut Mqtt> {
    let found = connected.iter_mut().find(|(lane, _)| *lane == wanted);
    found.map(|(_, client)| client).with_context(|| format!("the lane {} does not work", wanted.name()))
}

/// Leaves nothing behind when someone has waited long enough.
fn remove_when_interrupted() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::spawn(move || {
        runtime.block_on(async {
            let (Ok(mut interrupt), Ok(mut terminate), Ok(mut hang_up)) = (
                signal(SignalKind::interrupt()),
                signal(SignalKind::terminate()),
                signal(SignalKind::hangup()),
            ) else {
                return;
            };
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
                _ = hang_up.recv() => {}
            }
            if let Err(error) = course::remove().and_then(|()| kernel::stop_counting()) {
                eprintln!("error: {error:#}");
            }
            std::process::exit(130);
        });
    });
    Ok(())
}
