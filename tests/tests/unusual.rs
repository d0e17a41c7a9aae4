//! What is unusual on an edge that passes, with a real broker and real clients: a flood is held back and asked about while
//! the rest flows.

use std::{
    fs, thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, Result, ensure};
use dashboard::{
    rpc::{Answer, Decided, Lifetime, Request},
    view,
};
use lab::{
    Device, Site, Topology,
    expect::{Need, can_run},
    firewall::{Settings, wait_for_model},
    mqtt::{RawClient, Witness, publish},
    process::wait_until,
    scenario::Stage,
};

const PATIENCE: Duration = Duration::from_secs(40);
const SENSOR: &str = Device::Washer.host_name();
/// What a flood sends: more than may come at once (100 kB), and what the rate then lets pass in some seconds.
const FLOOD: usize = 160;
/// Kilobytes that may come at once.
const SENT: u64 = 30;
const PAYLOAD: [u8; 1_000] = [b'x'; 1_000];

async fn edge_of(stage: &mut Stage<'_>, device: Device, object: &str) -> Result<view::Edge> {
    let edges: Vec<view::Edge> =
        stage.client.call(Request::Edges { state: None, principal: Some(device.mac()) }).await?;
    let found = edges.into_iter().find(|edge| edge.verb == "connect" && edge.object == object);
    found.with_context(|| format!("there is no edge {object}"))
}

#[tokio::test]
async fn a_flood_is_held_back_and_asked_about_while_the_rest_flows() -> Result<()> {
    if !can_run(&[Need::Root, Need::Daemon]) {
        return Ok(());
    }
    let site = Site::temporary("flood", Topology::Routed)?;
    let more = site.folder().join("conf.d");
    fs::create_dir_all(&more)?;
    fs::write(more.join("window.toml"), "[learning]\nmin = \"3s\"\nwindow = \"1s\"\n")?;
    let mut stage = Stage::learned(&site, Settings::default()).await?;
    wait_for_model(&mut stage.client, PATIENCE, "it to be known what the washer sends", |_, edges| {
        edges.iter().any(|edge| edge.object == "tcp/1883" && edge.from.name == SENSOR && edge.limit.is_some())
    })
    .await?;
    let edge = edge_of(&mut stage, Device::Washer, "tcp/1883").await?;
    ensure!(edge.limit == Some(10_000), "what it sends is little: {:?}", edge.limit);
    stage.stop_washer()?;

    let witness = Witness::listen(&site)?;
    let mut sensor = RawClient::open(&site, Device::Washer, SENSOR)?;
    let begun = Instant::now();
    let flood = thread::spawn(move || -> Result<RawClient> {
        for _ in 0..FLOOD {
            sensor.send(&publish("washer/status", &PAYLOAD))?;
        }
        sensor.send(&publish("washer/status", b"last"))?;
        Ok(sensor)
    });
    wait_for_model(&mut stage.client, PATIENCE, "the flood to be asked about", |_, edges| {
        edges.iter().any(|other| other.id == edge.id && other.flag.is_some())
    })
    .await?;
    // The lock's own edge is as fast as ever meanwhile.
    let mut lock = RawClient::open(&site, Device::Lock, Device::Lock.host_name())?;
    lock.send(&publish("lock/front/state", b"meanwhile"))?;
    witness.wait_for("lock/front/state", "meanwhile")?;

    let asked: Vec<view::Edge> = stage.client.call(Request::Pending).await?;
    let asked = asked.iter().find(|other| other.id == edge.id).context("nobody is asked")?;
    ensure!(asked.state == "learned" && asked.violated.as_deref() == Some("rate.exceeded"), "{asked:?}");
    let why: view::Explanation = stage.client.call(Request::Explain { edge: edge.id }).await?;
    ensure!(why.evidence.iter().any(|fact| fact.starts_with("usual: at most")), "{:?}", why.evidence);
    ensure!(
        why.evidence.iter().any(|fact| fact.starts_with("seen: more than 10.0 kB")),
        "{:?}",
        why.evidence
    );

    // TCP slows down and loses nothing.
    let last = || witness.has_seen("washer/status", "last");
    wait_until(PATIENCE, "the last message of the flood", last)?;
    let least = Duration::from_secs((FLOOD as u64 * 1_000 - 110_000) / 10_000);
    ensure!(begun.elapsed() >= least, "{:?} for {FLOOD} kB", begun.elapsed());
    let mut sensor = flood.join().expect("the client does not panic")?;
    ensure!(sensor.is_alive(), "its connection has ended");

    let (answer, lifetime) = (Answer::Allow, Lifetime::Always);
    let allow = Request::Decide { edge: edge.id, answer, lifetime, rev: None, pin: None };
    let decided: Decided = stage.client.call(allow).await?;
    let edge = decided.edge.context("the edge is gone")?;
    ensure!(edge.flag.is_none() && edge.limit == Some(40_000), "an answer makes it usual: {edge:?}");
    Ok(())
}

/// What an edge has carried in this hour and those beside it.
async fn carried(stage: &mut Stage<'_>, edge: u32) -> Result<u64> {
    let now = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs())?;
    let asked = Request::Traffic { from: now - 7_200, until: now + 3_600 };
    let traffic: view::Traffic = stage.client.call(asked).await?;
    ensure!(traffic.complete, "{traffic:?}");
    Ok(traffic.edges.iter().find(|carried| carried.edge == edge).map_or(0, |carried| carried.kilobytes))
}

#[tokio::test]
async fn what_an_edge_has_carried_is_known_also_after_a_restart() -> Result<()> {
    if !can_run(&[Need::Root, Need::Daemon]) {
        return Ok(());
    }
    let site = Site::temporary("hours", Topology::Routed)?;
    let more = site.folder().join("conf.d");
    fs::create_dir_all(&more)?;
    fs::write(more.join("window.toml"), "[learning]\nmin = \"3s\"\nwindow = \"1s\"\n")?;
    let mut stage = Stage::learned(&site, Settings::default()).await?;
    let edge = edge_of(&mut stage, Device::Washer, "tcp/1883").await?.id;
    stage.stop_washer()?;
    let mut sensor = RawClient::open(&site, Device::Washer, SENSOR)?;
    for _ in 0..SENT {
        sensor.send(&publish("washer/status", &PAYLOAD))?;
    }
    let deadline = Instant::now() + PATIENCE;
    let before = loop {
        let before = carried(&mut stage, edge).await?;
        if before >= SENT {
            break before;
        }
        ensure!(Instant::now() < deadline, "only {before} kB of {SENT} were counted");
    };

    stage.firewall.stop()?;
    stage.firewall.restart()?;
    stage.client = stage.firewall.client().await?;
    let after = carried(&mut stage, edge).await?;
    ensure!(after + 1 >= before, "{before} kB before the restart, {after} behind it");
    let hours: Vec<view::Hour> = stage.client.call(Request::Hours).await?;
    ensure!(hours.iter().map(|hour| hour.kilobytes).sum::<u64>() >= after, "{hours:?}");
    Ok(())
}
