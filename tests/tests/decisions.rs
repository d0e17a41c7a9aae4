//! What someone decides holds exactly as long and as often as they said.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use dashboard::rpc::{Answer, Decided, Lifetime, Request};
use dashboard::view;
use lab::{
    Device, Site, Topology,
    expect::{Need, can_run},
    firewall::Settings,
    mqtt::{RawClient, Witness, publish},
    scenario::{Scenario, Stage},
};

const PATIENCE: Duration = Duration::from_secs(5);
const ALLOWED: &str = "washer/status";
const ASKED: &str = "lock/front/set";
const CLIENT: &str = Device::Washer.host_name();

/// A washing machine that wants to open the door, and somebody who decides.
struct Case<'a> {
    site: &'a Site,
    stage: Stage<'a>,
    witness: Witness,
}

impl<'a> Case<'a> {
    async fn at(site: &'a Site) -> Result<Self> {
        let stage = Stage::learned(site, Settings::default()).await?;
        stage.stop_washer()?;
        let witness = Witness::listen(site)?;
        Ok(Self { site, stage, witness })
    }

    fn washer(&self) -> Result<RawClient> {
        RawClient::open(self.site, Device::Washer, CLIENT)
    }

    /// Publishes on a connection of its own, which must be ended for it.
    fn is_stopped(&mut self, payload: &str) -> Result<()> {
        let mut client = self.washer()?;
        client.send(&publish(ASKED, payload.as_bytes()))?;
        client.wait_for_end().with_context(|| format!("{payload}: the connection goes on"))?;
        ensure!(self.witness.never_saw(ASKED, payload)?, "{payload} has arrived");
        Ok(())
    }

    /// Publishes on a connection of its own.
    fn passes(&mut self, payload: &str) -> Result<()> {
        let mut client = self.washer()?;
        client.send(&publish(ASKED, payload.as_bytes()))?;
        self.witness.wait_for(ASKED, payload)
    }

    /// Waits until the edge is pending.
    async fn asked(&mut self) -> Result<u32> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.pending().await? {
                Some(edge) => return Ok(edge),
                None if Instant::now() > deadline => anyhow::bail!("nobody was asked"),
                None => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        }
    }

    /// As long as the daemon has not read that no use is left, a try is stopped but not yet asked about; so try again.
    async fn asked_after_tries(&mut self) -> Result<u32> {
        let deadline = Instant::now() + PATIENCE;
        let mut retry = 0;
        loop {
            retry += 1;
            self.is_stopped(&format!("retry {retry}"))?;
            if let Some(edge) = self.pending().await? {
                return Ok(edge);
            }
            ensure!(Instant::now() < deadline, "nobody was asked again");
        }
    }

    async fn pending(&mut self) -> Result<Option<u32>> {
        let edges: Vec<view::Edge> = self
            .stage
            .client
            .call(Request::Edges { state: Some("pending".to_owned()), principal: None })
            .await?;
        Ok(edges.iter().find(|edge| Scenario::MaliciousUpdate.is_asked(edge)).map(|edge| edge.id))
    }

    async fn decide(&mut self, edge: u32, answer: Answer, lifetime: Lifetime) -> Result<Decided> {
        Ok(self.stage.client.call(Request::Decide { edge, answer, lifetime, rev: None, pin: None }).await?)
    }

    async fn state(&mut self, edge: u32) -> Result<String> {
        let edges: Vec<view::Edge> =
            self.stage.client.call(Request::Edges { state: None, principal: None }).await?;
        let edge = edges.into_iter().find(|other| other.id == edge).context("the edge is gone")?;
        Ok(edge.state)
    }
}

#[tokio::test]
async fn uses_are_counted() -> Result<()> {
    if !can_run(&[Need::Root, Need::Daemon]) {
        return Ok(());
    }
    let site = Site::temporary("uses", Topology::Routed)?;
    let mut case = Case::at(&site).await?;
    case.is_stopped("unasked")?;
    let edge = case.asked().await?;
    case.decide(edge, Answer::Allow, Lifetime::Once).await?;
    case.passes("once")?;
    case.is_stopped("twice")?;

    let edge = case.asked_after_tries().await?;
    case.decide(edge, Answer::Allow, Lifetime::Uses(2)).await?;
    case.passes("first of two")?;
    case.passes("second of two")?;
    case.is_stopped("third of two")
}

#[tokio::test]
async fn a_denial_holds_until_it_is_undone() -> Result<()> {
    if !can_run(&[Need::Root, Need::Daemon]) {
        return Ok(());
    }
    let site = Site::temporary("denial", Topology::Routed)?;
    let mut case = Case::at(&site).await?;
    case.is_stopped("unasked")?;
    let edge = case.asked().await?;
    let denial = case.decide(edge, Answer::Deny, Lifetime::Always).await?;
    case.is_stopped("denied")?;
    ensure!(case.state(edge).await? == "denied", "another try changed the denial");

    let _: serde_json::Value =
        case.stage.client.call(Request::Undo { decision: denial.decision_id, pin: None }).await?;
    case.is_stopped("undone")?;
    let edge = case.asked().await.context("nobody was asked again")?;
    let allow = case.decide(edge, Answer::Allow, Lifetime::Always).await?;
    let mut client = case.washer()?;
    client.send(&publish(ASKED, b"allowed"))?;
    case.witness.wait_for(ASKED, "allowed")?;

    // Taking it back ends what runs because of it, at the latest with its next message.
    let _: serde_json::Value =
        case.stage.client.call(Request::Undo { decision: allow.decision_id, pin: None }).await?;
    let _ = client.send(&publish(ASKED, b"taken back"));
    client.wait_for_end().context("what was taken back goes on")?;
    ensure!(case.witness.never_saw(ASKED, "taken back")?, "what was taken back has arrived");
    Ok(())
}

#[tokio::test]
async fn quarantine_ends_what_runs() -> Result<()> {
    if !can_run(&[Need::Root, Need::Daemon]) {
        return Ok(());
    }
    let site = Site::temporary("quarantine", Topology::Routed)?;
    let mut case = Case::at(&site).await?;
    let mut client = case.washer()?;
    client.send(&publish(ALLOWED, b"before"))?;
    case.witness.wait_for(ALLOWED, "before")?;

    let mode = |mode: &str| {
        let (principal, mode) = (Device::Washer.mac(), mode.to_owned());
        Request::PrincipalMode { principal, mode, rev: None }
    };
    let _: serde_json::Value = case.stage.client.call(mode("quarantine")).await?;
    let _ = client.send(&publish(ALLOWED, b"in quarantine"));
    ensure!(case.witness.never_saw(ALLOWED, "in quarantine")?, "a message left the quarantine");
    ensure!(case.washer().is_err(), "a device in quarantine connects");

    let _: serde_json::Value = case.stage.client.call(mode("enforcing")).await?;
    let mut client = case.washer().context("released, but not served")?;
    client.send(&publish(ALLOWED, b"released"))?;
    case.witness.wait_for(ALLOWED, "released")
}

#[tokio::test]
async fn monitor_drops_nothing_and_says_what_it_would() -> Result<()> {
    if !can_run(&[Need::Root, Need::Daemon]) {
        return Ok(());
    }
    let site = Site::temporary("monitor", Topology::Routed)?;
    let mut case = Case::at(&site).await?;
    let _: serde_json::Value =
        case.stage.client.call(Request::SiteMode { mode: "monitor".to_owned(), pin: None }).await?;
    case.passes("watched")?;
    case.asked().await.context("monitor does not ask")?;
    let status: view::Status = case.stage.client.call(Request::Status).await?;
    ensure!(status.packets.values().all(|hook| hook.reset == 0), "monitor resets");

    let _: serde_json::Value =
        case.stage.client.call(Request::SiteMode { mode: "enforce".to_owned(), pin: None }).await?;
    case.is_stopped("enforced")
}
