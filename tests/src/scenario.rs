//! The two scenarios of the paper, played with real traffic and measured.
//!
//! *malicious-update*: a washing machine whose update makes it reach for the front door's lock. *new-battery*: a battery
//! that joins a site which has finished learning. Each is first played at a site without a firewall, to show that the
//! traffic does what is claimed, then at a site with one: normal traffic is learned, the site enforces, the client tries
//! every two milliseconds, someone is asked, allows, and it passes. The last part is repeated; in between the edge is
//! taken out of the model again.

use std::{
    str::FromStr,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use dashboard::{
    rpc::{Answer, Client, Decided, Lifetime, Request},
    view,
};
use serde::Serialize;

use crate::{
    event::{Moment, Reader, What},
    firewall::{Firewall, Settings, wait_for_model},
    measure::Delays,
    process::Process,
    site::{Device, Site, Topology},
};

/// How long real traffic gets to show that it passes.
const PASSES: Duration = Duration::from_secs(10);
/// How long a door must stay shut, or a battery unreached, while the client tries, before someone decides.
const HOLDS: Duration = Duration::from_millis(100);
/// How long the normal traffic may take to become a model.
const LEARNING: Duration = Duration::from_secs(90);
/// Devices that come later than this are new.
const FIRST_RUN: Duration = Duration::from_secs(8);

/// A scenario by its name on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scenario {
    MaliciousUpdate,
    NewBattery,
}

impl Scenario {
    pub const ALL: [Self; 2] = [Self::MaliciousUpdate, Self::NewBattery];

    pub fn name(self) -> &'static str {
        match self {
            Self::MaliciousUpdate => "malicious-update",
            Self::NewBattery => "new-battery",
        }
    }

    /// Plays it without a firewall and says whether the door was opened or the battery reached.
    pub fn play_without_firewall(self, site: &Site) -> Result<bool> {
        let present = Device::ALL.into_iter().filter(|device| self.is_there_from_the_start(*device));
        for device in present {
            site.join(device)?;
        }
        self.set_up(site)?;
        let mut effect = self.effect(site)?;
        let trial = self.try_it(site)?;
        let passed = effect.comes(self.success(), PASSES)?;
        trial.process.stop()?;
        Ok(passed)
    }

    fn is_there_from_the_start(self, device: Device) -> bool {
        match self {
            Self::MaliciousUpdate => true,
            Self::NewBattery => device != Device::Battery,
        }
    }

    /// What happens before the trials: the lock listens; the new battery arrives.
    fn set_up(self, site: &Site) -> Result<()> {
        match self {
            Self::MaliciousUpdate => {
                site.start_lock()?;
            }
            Self::NewBattery => {
                site.join(Device::Battery)?;
                site.start_battery()?;
            }
        }
        Ok(())
    }

    /// Where success would be reported, from now on.
    fn effect(self, site: &Site) -> Result<Reader> {
        let mut reader = match self {
            Self::MaliciousUpdate => site.events("lock")?,
            Self::NewBattery => {
                let path = site.folder().join("energy.events");
                std::fs::OpenOptions::new().create(true).append(true).open(&path)?;
                site.events("energy")?
            }
        };
        reader.skip_to_now()?;
        Ok(reader)
    }

    /// What the device reports when the door was opened or the battery reached.
    pub fn success(self) -> What {
        match self {
            Self::MaliciousUpdate => What::Opened,
            Self::NewBattery => What::Reached,
        }
    }

    /// Starts the client that tries every two milliseconds until it succeeds.
    fn try_it(self, site: &Site) -> Result<Trial> {
        let (device, name, arguments): (_, _, Vec<String>) = match self {
            Self::MaliciousUpdate => (
                Device::Washer,
                "update",
                [
                    "washer",
                    "--malicious",
                    "--broker",
                    &site.broker(),
                    "--client-id",
                    Device::Washer.host_name(),
                ]
                .map(str::to_owned)
                .to_vec(),
            ),
            Self::NewBattery => (
                Device::Hub,
                "energy",
                ["energy", "--once", "--battery", &site.battery()].map(str::to_owned).to_vec(),
            ),
        };
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let before = site.folder().join(format!("{name}.events"));
        std::fs::OpenOptions::new().create(true).append(true).open(&before)?;
        let mut events = site.events(name)?;
        events.skip_to_now()?;
        Ok(Trial { process: site.start_program(device, name, &arguments)?, events })
    }

    /// Whether this is the edge that the client tries to use.
    pub fn is_asked(self, edge: &view::Edge) -> bool {
        match self {
            Self::MaliciousUpdate => edge.verb == "publish" && edge.object == "lock/front/set",
            Self::NewBattery => {
                edge.verb == "connect" && edge.object == format!("tcp/{}", crate::service::BATTERY_PORT)
            }
        }
    }
}

impl FromStr for Scenario {
    type Err = anyhow::Error;

    fn from_str(name: &str) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|scenario| scenario.name() == name)
            .with_context(|| format!("no such scenario: {name} (malicious-update or new-battery)"))
    }
}

/// A client that tries.
struct Trial {
    process: Process,
    events: Reader,
}

/// What a scenario has shown.
#[derive(Debug, Serialize)]
pub struct Report {
    pub scenario: Scenario,
    pub without_firewall: serde_json::Value,
    pub with_firewall: WithFirewall,
    /// From the first try leaving the client to the question arriving at a watcher.
    pub first_packet_to_pending_ms: Delays,
    /// From the tap to the kernel having it.
    pub allow_to_map_ms: Delays,
    /// From the tap to the first try that succeeds.
    pub allow_to_first_packet_ms: Delays,
}

/// Whether the door opened or the battery was reached.
#[derive(Debug, Serialize)]
pub struct WithFirewall {
    /// In any repetition before someone decided.
    pub before_decision: bool,
    /// The question that was asked first.
    pub pending: Option<view::Edge>,
    /// In every repetition after someone allowed it.
    pub after_decision: bool,
}

impl Report {
    /// Whether it went as the firewall promises.
    pub fn is_as_promised(&self) -> bool {
        !self.with_firewall.before_decision
            && self.with_firewall.pending.is_some()
            && self.with_firewall.after_decision
    }
}

/// Plays a scenario without and with the firewall.
pub async fn play(
    scenario: Scenario,
    site_name: &str,
    topology: Topology,
    settings: Settings,
    repetitions: usize,
) -> Result<Report> {
    let without = {
        let site = Site::temporary(site_name, topology)?;
        scenario.play_without_firewall(&site)?
    };
    let key = match scenario {
        Scenario::MaliciousUpdate => "door_opened",
        Scenario::NewBattery => "battery_reached",
    };
    let site = Site::temporary(site_name, topology)?;
    let mut stage = Stage::learned(&site, settings).await?;
    stage.prepare(scenario).await?;

    let mut with = WithFirewall { before_decision: false, pending: None, after_decision: true };
    let (mut to_pending, mut to_map, mut to_packet) = (Vec::new(), Vec::new(), Vec::new());
    for repetition in 0..repetitions {
        let round = stage.round(scenario).await.with_context(|| {
            format!("repetition {repetition} failed; the firewall's log:\n{}", stage.firewall.log())
        })?;
        with.before_decision |= round.before_decision;
        with.after_decision &= round.passed.is_some();
        with.pending.get_or_insert(round.pending);
        to_pending.push(round.first_packet_to_pending);
        to_map.push(round.allow_to_map);
        to_packet.extend(round.passed);
    }
    Ok(Report {
        scenario,
        without_firewall: serde_json::json!({ key: without }),
        with_firewall: with,
        first_packet_to_pending_ms: Delays::of(to_pending),
        allow_to_map_ms: Delays::of(to_map),
        allow_to_first_packet_ms: Delays::of(to_packet),
    })
}

/// A site that has learned its normal traffic and enforces.
pub struct Stage<'a> {
    pub site: &'a Site,
    pub firewall: Firewall,
    pub client: Client,
    pub watch: Client,
    started: Instant,
    first_run: Duration,
    washer: Process,
}

/// What one repetition has shown.
pub struct Round {
    pub pending: view::Edge,
    pub before_decision: bool,
    first_packet_to_pending: Duration,
    allow_to_map: Duration,
    /// From the tap to the first success, if there was one.
    pub passed: Option<Duration>,
}

impl<'a> Stage<'a> {
    /// Starts the firewall, lets everything but the battery join and work normally, and ends learning.
    pub async fn learned(site: &'a Site, settings: Settings) -> Result<Self> {
        let settings = Settings { first_run: FIRST_RUN, ..settings };
        let started = Instant::now();
        let firewall = Firewall::start(site, settings)?;
        let mut client = firewall.client().await?;
        let watch = firewall.watch().await?;
        for device in Device::ALL.into_iter().filter(|device| *device != Device::Battery) {
            site.join(device)?;
        }
        welcome(site, &mut client).await?;
        site.start_lock()?;
        let washer = site.start_washer()?;
        wait_for_model(&mut client, LEARNING, "the normal traffic to be learned", |_, edges| {
            let learned = |verb: &str, object: &str| {
                edges.iter().any(|edge| edge.state == "learned" && edge.verb == verb && edge.object == object)
            };
            learned("subscribe", "lock/front/set")
                && learned("publish", "lock/front/state")
                && learned("publish", "washer/status")
        })
        .await?;
        let _: serde_json::Value = client.call(Request::LearnFinish { principal: None }).await?;
        wait_for_model(&mut client, LEARNING, "the lock to be enforced", |principals, _| {
            let lock = Device::Lock.mac();
            principals
                .iter()
                .any(|principal| principal.mac.as_deref() == Some(&lock) && principal.mode == "enforcing")
        })
        .await?;
        Ok(Self { site, firewall, client, watch, started, first_run: settings.first_run, washer })
    }

    /// Brings the site to the point where the scenario's surprise happens.
    pub async fn prepare(&mut self, scenario: Scenario) -> Result<()> {
        match scenario {
            // The update restarts the machine.
            Scenario::MaliciousUpdate => self.stop_washer(),
            Scenario::NewBattery => {
                self.newcomers_ask().await;
                self.site.join(Device::Battery)?;
                self.site.start_battery()?;
                Ok(())
            }
        }
    }

    /// Waits until the time of the first run is over, in which a newcomer's paths would be learned.
    pub async fn newcomers_ask(&self) {
        let over = self.first_run + Duration::from_secs(1);
        if let Some(left) = over.checked_sub(self.started.elapsed()) {
            tokio::time::sleep(left).await;
        }
    }

    /// Switches the washing machine's program off; its client identifier is free then.
    pub fn stop_washer(&self) -> Result<()> {
        self.washer.stop()
    }

    /// Lets the client try, waits until someone is asked, allows, and takes the decision back afterwards.
    pub async fn round(&mut self, scenario: Scenario) -> Result<Round> {
        let mut effect = scenario.effect(self.site)?;
        let mut trial = scenario.try_it(self.site)?;
        let (pending, asked_at) = self.asked(scenario).await?;
        let first = trial.events.wait_for(What::Attempt, PASSES)?;
        let before_decision = effect.comes(scenario.success(), HOLDS)?;

        let tap = Moment::now();
        let decided: Decided = self
            .client
            .call(Request::Decide {
                edge: pending.id,
                answer: Answer::Allow,
                lifetime: Lifetime::Always,
                rev: None,
                pin: None,
            })
            .await?;
        let in_kernel = Moment::now();
        let success = effect.wait_for(scenario.success(), PASSES).ok();
        if trial.process.wait_for_end(PASSES).is_err() {
            trial.process.stop()?;
        }

        let edge = decided.edge.map_or(pending.id, |edge| edge.id);
        let _: serde_json::Value = self.client.call(Request::EdgeRemove { edge }).await?;
        Ok(Round {
            first_packet_to_pending: asked_at.since(first.at),
            before_decision,
            allow_to_map: in_kernel.since(tap),
            passed: success.map(|success| success.at.since(tap)),
            pending,
        })
    }

    /// Starts the client that tries, and leaves it to whoever sits there; success will be reported to the reader.
    pub fn offer(&self, scenario: Scenario) -> Result<Reader> {
        let effect = scenario.effect(self.site)?;
        scenario.try_it(self.site)?;
        Ok(effect)
    }

    /// Waits for the scenario's question on the connection that watches.
    pub async fn asked(&mut self, scenario: Scenario) -> Result<(view::Edge, Moment)> {
        let question = async {
            loop {
                match self.watch.next_event().await? {
                    view::Event::EdgePending(edge) if scenario.is_asked(&edge) => {
                        return Ok((edge, Moment::now()));
                    }
                    _ => {}
                }
            }
        };
        match tokio::time::timeout(PASSES, question).await {
            Ok(asked) => asked,
            Err(_) => bail!("nobody was asked within {} s", PASSES.as_secs()),
        }
    }
}

/// Waits until the devices that have joined are seen, and says of one that was too late for the first run, as on a slow
/// machine, that it is ours.
async fn welcome(site: &Site, client: &mut Client) -> Result<()> {
    let joined: Vec<String> =
        site.protected().filter(|device| *device != Device::Battery).map(Device::mac).collect();
    let modes = |principals: &[view::Principal]| -> Vec<(String, String)> {
        let of = |mac: &String| principals.iter().find(|principal| principal.mac.as_ref() == Some(mac));
        joined.iter().filter_map(|mac| Some((mac.clone(), of(mac)?.mode.clone()))).collect()
    };
    wait_for_model(client, LEARNING, "the devices to be seen", |principals, _| {
        modes(principals).len() == joined.len()
    })
    .await?;
    let principals: Vec<view::Principal> = client.call(Request::Principals).await?;
    for (principal, mode) in modes(&principals) {
        if mode == "new" {
            let ours = Request::PrincipalMode { principal, mode: "learning".to_owned(), rev: None };
            let _: serde_json::Value = client.call(ours).await?;
        }
    }
    Ok(())
}

/// How often `lab scenario` repeats unless told otherwise.
pub const REPETITIONS: usize = 25;
