//! What comes from the uplink for a device is judged like everything else.

use std::{
    io::Read,
    net::{SocketAddr, TcpStream, UdpSocket},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use dashboard::{
    rpc::{Answer, Decided, Lifetime, Request},
    view,
};
use lab::{
    Site, Topology,
    expect::{Need, can_run},
    firewall::{Firewall, Settings},
    scenario::{Scenario, Stage},
    site::INTERNET,
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

/// Gives the router another network card, and lets the box speak with it.
fn change_router(site: &Site, last: u8) -> Result<()> {
    site.internet_namespace().ip(&format!("link set eth0 address 02:ed:9e:00:01:{last:02x}\n"))?;
    let firewall = site.firewall_namespace();
    firewall.ip("neigh flush dev wan0\n")?;
    firewall.enter(|| {
        UdpSocket::bind("0.0.0.0:0")?.send_to(b"hello", (INTERNET, 9))?;
        Ok(())
    })
}

#[tokio::test]
async fn another_router_is_asked_about() -> Result<()> {
    if !can_run(&[Need::Root, Need::Daemon]) {
        return Ok(());
    }
    let site = Site::temporary("uplink-moved", Topology::Routed)?;
    let firewall = Firewall::start(&site, Settings::default())?;
    let mut client = firewall.client().await?;
    let status: view::Status = client.call(Request::Status).await?;
    ensure!(status.moved_since.is_none(), "{status:?}");
    // The first one that it speaks with is its router; another one than that is news.
    let deadline = Instant::now() + Duration::from_secs(30);
    'asked: for router in (0..4).cycle() {
        change_router(&site, router)?;
        for _ in 0..30 {
            let status: view::Status = client.call(Request::Status).await?;
            if status.moved_since.is_some() {
                break 'asked;
            }
            ensure!(Instant::now() < deadline, "nobody was asked about another router");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
    let status: view::Status = client.call(Request::Moved { learn: false }).await?;
    ensure!(status.moved_since.is_none(), "{status:?}");
    Ok(())
}
