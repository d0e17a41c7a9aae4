//! The daemon is killed: what was allowed goes on, what was not does not, and the daemon finds everything again.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use dashboard::{
    rpc::{Answer, Decided, Lifetime, Request},
    view,
};
use lab::{
    Device, Site, Topology,
    expect::{Need, can_run},
    firewall::Settings,
    mqtt::{RawClient, Witness, publish},
    process::wait_until,
    scenario::{Scenario, Stage},
};

const ALLOWED: &str = "washer/status";
const FORBIDDEN: &str = "lock/front/set";
const CLIENT: &str = Device::Washer.host_name();

/// The part of the model that a restart must not change.
async fn model(stage: &mut Stage<'_>) -> Result<Vec<(String, String, String, String, String)>> {
    let edges: Vec<view::Edge> = stage.client.call(Request::Edges { state: None, principal: None }).await?;
    let mut model: Vec<_> = edges
        .into_iter()
        .filter(|edge| edge.state != "pending")
        .map(|edge| (edge.from.name, edge.to.name, edge.verb, edge.object, edge.state))
        .collect();
    model.sort();
    Ok(model)
}

async fn killed_under_traffic(topology: Topology) -> Result<()> {
    if !can_run(&[Need::Root, Need::Daemon]) {
        return Ok(());
    }
    let site = Site::temporary(&format!("dies-{topology}"), topology)?;
    let mut stage = Stage::learned(&site, Settings::default()).await?;
    stage.stop_washer()?;
    let mut witness = Witness::listen(&site)?;
    let mut before = RawClient::open(&site, Device::Washer, CLIENT)?;
    before.send(&publish(ALLOWED, b"alive"))?;
    witness.wait_for(ALLOWED, "alive")?;
    let model_before = model(&mut stage).await?;

    stage.firewall.kill()?;
    before.send(&publish(ALLOWED, b"dead")).context("the allowed connection broke")?;
    witness.wait_for(ALLOWED, "dead").context("the allowed connection broke")?;
    for round in 0..5 {
        let payload = format!("dead {round}");
        let mut offender = RawClient::open(&site, Device::Lock, Device::Lock.host_name())
            .context("a connection that the model allows cannot be made")?;
        offender.send(&publish("washer/status", payload.as_bytes()))?;
        offender.wait_for_end()?;
        ensure!(
            witness.never_saw("washer/status", &payload)?,
            "a forbidden message passed while the daemon was dead"
        );
    }

    stage.firewall.restart()?;
    stage.client = stage.firewall.client().await?;
    let model_after = model(&mut stage).await.with_context(|| stage.firewall.log())?;
    ensure!(model_after == model_before, "the model changed over the restart");
    before.send(&publish(ALLOWED, b"again")).context("the restart broke the allowed connection")?;
    witness.wait_for(ALLOWED, "again").context("the restart broke the allowed connection")?;
    before.send(&publish(FORBIDDEN, b"again"))?;
    before.wait_for_end()?;
    ensure!(witness.never_saw(FORBIDDEN, "again")?, "a forbidden message passed after the restart");
    Ok(())
}

#[tokio::test]
async fn killed_under_traffic_routed() -> Result<()> {
    killed_under_traffic(Topology::Routed).await
}

#[tokio::test]
async fn killed_under_traffic_masqueraded() -> Result<()> {
    killed_under_traffic(Topology::Masqueraded).await
}

#[tokio::test]
async fn killed_under_traffic_bridged() -> Result<()> {
    killed_under_traffic(Topology::Bridged).await
}

async fn new_interface_while_dead(topology: Topology) -> Result<()> {
    if !can_run(&[Need::Root, Need::Daemon]) {
        return Ok(());
    }
    let site = Site::temporary(&format!("replug-{topology}"), topology)?;
    let mut stage = Stage::learned(&site, Settings::default()).await?;
    stage.stop_washer()?;
    let mut witness = Witness::listen(&site)?;
    stage.firewall.kill()?;
    site.replug(Device::Washer)?;

    let washer = site.namespace(Device::Washer);
    let hub = site.address(Device::Hub).to_string();
    let attempt = washer
        .command("timeout")
        .args(["3", "mosquitto_pub", "-h", &hub, "-i", CLIENT, "-t", ALLOWED, "-m", "unjudged"])
        .output()?;
    ensure!(!attempt.status.success(), "something passed an interface that nobody judges");
    ensure!(witness.never_saw(ALLOWED, "unjudged")?, "a message passed an interface that nobody judges");

    stage.firewall.restart()?;
    wait_until(Duration::from_secs(10), "the washing machine to work again", || {
        Ok(RawClient::open(&site, Device::Washer, CLIENT).is_ok())
    })?;
    let mut client = RawClient::open(&site, Device::Washer, CLIENT)?;
    client.send(&publish(ALLOWED, b"judged"))?;
    witness.wait_for(ALLOWED, "judged")?;
    client.send(&publish(FORBIDDEN, b"judged"))?;
    client.wait_for_end()?;
    ensure!(witness.never_saw(FORBIDDEN, "judged")?, "a forbidden message passed after the restart");
    Ok(())
}

#[tokio::test]
async fn nothing_passes_an_interface_made_while_the_daemon_is_dead_routed() -> Result<()> {
    new_interface_while_dead(Topology::Routed).await
}

#[tokio::test]
async fn nothing_passes_an_interface_made_while_the_daemon_is_dead_bridged() -> Result<()> {
    new_interface_while_dead(Topology::Bridged).await
}

#[tokio::test]
async fn a_one_minute_allow_ends_on_time_without_the_daemon() -> Result<()> {
    if !can_run(&[Need::Root, Need::Daemon, Need::Time]) {
        return Ok(());
    }
    let site = Site::temporary("minute", Topology::Routed)?;
    let mut stage = Stage::learned(&site, Settings::default()).await?;
    stage.stop_washer()?;
    let mut witness = Witness::listen(&site)?;
    let mut client = RawClient::open(&site, Device::Washer, CLIENT)?;
    client.send(&publish(FORBIDDEN, b"early"))?;
    client.wait_for_end()?;
    let (edge, _) = stage.asked(Scenario::MaliciousUpdate).await?;
    let minute = Lifetime::For(60);
    let allowed_at = std::time::Instant::now();
    let _: Decided = stage
        .client
        .call(Request::Decide {
            edge: edge.id,
            answer: Answer::Allow,
            lifetime: minute,
            rev: None,
            pin: None,
        })
        .await?;
    stage.firewall.kill()?;

    let mut client = RawClient::open(&site, Device::Washer, CLIENT)?;
    client.send(&publish(FORBIDDEN, b"allowed"))?;
    witness.wait_for(FORBIDDEN, "allowed")?;
    // The minute is what is tested here; the last second of it belongs to neither side.
    tokio::time::sleep(Duration::from_secs(58).saturating_sub(allowed_at.elapsed())).await;
    client.send(&publish(FORBIDDEN, b"still allowed"))?;
    witness.wait_for(FORBIDDEN, "still allowed").context("the allow ended early")?;
    tokio::time::sleep(Duration::from_secs(61).saturating_sub(allowed_at.elapsed())).await;
    // The kernel may have reset the connection already.
    let _ = client.send(&publish(FORBIDDEN, b"over"));
    client.wait_for_end().context("the connection outlives the decision")?;
    ensure!(witness.never_saw(FORBIDDEN, "over")?, "the allow did not end");
    Ok(())
}
