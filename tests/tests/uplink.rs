//! What comes from the uplink for a device is judged like everything else.

use std::{
    io::Read,
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use dashboard::rpc::{Answer, Decided, Lifetime, Request};
use lab::{
    Site, Topology,
    expect::{Need, can_run},
    firewall::Settings,
    scenario::{Scenario, Stage},
};

const PATIENCE: Duration = Duration::from_secs(2);

/// Reads the battery from the Internet.
fn charge(site: &Site) -> Result<String> {
    let battery: SocketAddr = site.battery().parse()?;
    site.internet_namespace().enter(|| {
        let mut stream = TcpStream::connect_timeout(&battery, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let mut charge = String::new();
        stream.read_to_string(&mut charge)?;
        Ok(charge)
    })
}

async fn judged(topology: Topology) -> Result<()> {
    if !can_run(&[Need::Root, Need::Daemon]) {
        return Ok(());
    }
    let site = Site::temporary(&format!("uplink-{topology}"), topology)?;
    let mut stage = Stage::learned(&site, Settings::default()).await?;
    stage.prepare(Scenario::NewBattery).await?;
    ensure!(charge(&site).is_err(), "the Internet reads the battery");
    let (edge, _) = stage.asked(Scenario::NewBattery).await.context("nobody was asked about the uplink")?;

    let _: Decided = stage
        .client
        .call(Request::Decide {
            edge: edge.id,
            answer: Answer::Allow,
            lifetime: Lifetime::Always,
            rev: None,
            pin: None,
        })
        .await?;
    let charge = charge(&site)
        .with_context(|| format!("it was allowed; the firewall's log:\n{}", stage.firewall.log()))?;
    ensure!(charge.trim().parse::<u8>().is_ok(), "the battery answered {charge:?}");
    Ok(())
}

#[tokio::test]
async fn the_uplink_is_judged_routed() -> Result<()> {
    judged(Topology::Routed).await
}

#[tokio::test]
async fn the_uplink_is_judged_bridged() -> Result<()> {
    judged(Topology::Bridged).await
}
