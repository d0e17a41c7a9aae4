//! One allowed and one forbidden topic, however the bytes are cut: the allowed one arrives, the forbidden one never does.

use std::{io, time::Duration};

use anyhow::{Context, Result, ensure};
use dashboard::{rpc::Request, view};
use lab::{
    Device, Site, Topology,
    expect::{Need, can_run},
    firewall::{Attach, Settings},
    mqtt::{IpVersion, PINGREQ, RawClient, Witness, publish},
    scenario::Stage,
};

const ALLOWED: &str = "washer/status";
const FORBIDDEN: &str = "lock/front/set";
/// Longer than any timer of the firewall that runs while a connection is in use.
const SILENCE: Duration = Duration::from_secs(61);

/// A way to get a message to the broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cut {
    OneSegment,
    ByteByByte,
    BehindAnAllowedOne,
    BehindAPing,
    After2Megabytes,
}

impl Cut {
    const ALL: [Self; 5] = [
        Self::OneSegment,
        Self::ByteByByte,
        Self::BehindAnAllowedOne,
        Self::BehindAPing,
        Self::After2Megabytes,
    ];

    fn send(self, client: &mut RawClient, message: &[u8]) -> io::Result<()> {
        match self {
            Self::OneSegment => client.send(message),
            Self::ByteByByte => client.send_byte_by_byte(message),
            Self::BehindAnAllowedOne => client.send(&[&publish(ALLOWED, b"before"), message].concat()),
            Self::BehindAPing => client.send(&[&PINGREQ, message].concat()),
            Self::After2Megabytes => {
                let large = publish(ALLOWED, &vec![b'x'; 64 << 10]);
                for _ in 0..32 {
                    client.send(&large)?;
                }
                client.send(message)
            }
        }
    }
}

#[test]
fn without_a_firewall_every_cut_arrives() -> Result<()> {
    if !can_run(&[Need::Root]) {
        return Ok(());
    }
    let site = Site::temporary("topics-open", Topology::Routed)?;
    for device in [Device::Hub, Device::Washer] {
        site.join(device)?;
    }
    let mut witness = Witness::listen(&site)?;
    for cut in Cut::ALL {
        let payload = format!("{cut:?}");
        ensure!(witness.never_saw(FORBIDDEN, &payload)?, "the witness sees what was not sent");
        let mut client = RawClient::open(&site, Device::Washer, Device::Washer.host_name())?;
        cut.send(&mut client, &publish(FORBIDDEN, payload.as_bytes()))?;
        witness.wait_for(FORBIDDEN, &payload)?;
        ensure!(!witness.never_saw(FORBIDDEN, &payload)?, "the witness forgets what it saw");
        ensure!(cut == Cut::BehindAPing || client.is_alive(), "the broker ended the connection");
    }
    for client in RealClient::ALL {
        let payload = format!("{client:?}");
        ensure!(client.publish(&site, FORBIDDEN, &payload)?, "{client:?} cannot publish");
        witness.wait_for(FORBIDDEN, &payload)?;
    }
    Ok(())
}

/// A client as people use them.
#[derive(Clone, Copy, Debug)]
enum RealClient {
    Mosquitto(&'static str),
    Paho(&'static str),
}

impl RealClient {
    const ALL: [Self; 4] =
        [Self::Mosquitto("mqttv311"), Self::Mosquitto("mqttv5"), Self::Paho("3.1.1"), Self::Paho("5")];

    /// Publishes at least once from the washing machine; says whether the broker has confirmed it.
    fn publish(self, site: &Site, topic: &str, payload: &str) -> Result<bool> {
        let (hub, client_id) = (site.address(Device::Hub).to_string(), Device::Washer.host_name());
        let mut command = site.namespace(Device::Washer).command("timeout");
        // Without the limit, the clients would try again for ever.
        command.arg("5");
        match self {
            Self::Mosquitto(version) => command
                .args(["mosquitto_pub", "-V", version, "-h", &hub, "-i", client_id, "-q", "1"])
                .args(["-t", topic, "-m", payload]),
            Self::Paho(version) => command
                .args(["/usr/bin/python3", concat!(env!("CARGO_MANIFEST_DIR"), "/site/paho_pub.py")])
                .args([&hub, client_id, version, topic, payload]),
        };
        Ok(command.output()?.status.success())
    }
}

fn real_clients_are_told_apart(site: &Site, witness: &mut Witness) -> Result<()> {
    for client in RealClient::ALL {
        let payload = format!("{client:?}");
        ensure!(client.publish(site, ALLOWED, &payload)?, "{client:?} could not publish what is allowed");
        witness.wait_for(ALLOWED, &payload)?;
        ensure!(!client.publish(site, FORBIDDEN, &payload)?, "{client:?} was told that the message arrived");
        ensure!(witness.never_saw(FORBIDDEN, &payload)?, "the forbidden message of {client:?} has arrived");
    }
    Ok(())
}

async fn topics_are_told_apart(topology: Topology) -> Result<()> {
    if !can_run(&[Need::Root, Need::Daemon]) {
        return Ok(());
    }
    for attach in [Attach::Tc, Attach::Xdp, Attach::XdpGeneric] {
        let site = Site::temporary(&format!("topics-{topology}"), topology)?;
        let mut stage = Stage::learned(&site, Settings { attach, ..Settings::default() })
            .await
            .with_context(|| format!("{topology}, {attach}"))?;
        stage.stop_washer()?;
        ensure_attached(&mut stage, attach).await?;
        let mut witness = Witness::listen(&site)?;
        let versions: &[IpVersion] = match topology {
            Topology::Routed | Topology::Bridged => &[IpVersion::V4, IpVersion::V6],
            // Of a hub outside nothing tells that its two addresses are one.
            Topology::Masqueraded => &[IpVersion::V4],
        };
        for (cut, &version) in
            Cut::ALL.into_iter().flat_map(|cut| versions.iter().map(move |version| (cut, version)))
        {
            told_apart(&site, &mut witness, cut, version).with_context(|| {
                format!(
                    "{cut:?}, {version:?}, {topology}, {attach}; the firewall's log:\n{}",
                    stage.firewall.log()
                )
            })?;
        }
        real_clients_are_told_apart(&site, &mut witness).with_context(|| {
            format!("{topology}, {attach}; the firewall's log:\n{}", stage.firewall.log())
        })?;
    }
    Ok(())
}

/// The way to attach that is tested is the one in force.
async fn ensure_attached(stage: &mut Stage<'_>, attach: Attach) -> Result<()> {
    let expected = match attach {
        Attach::Auto | Attach::Tc => "tc",
        Attach::Xdp => "xdp+tc",
        Attach::XdpGeneric => "xdp-generic+tc",
    };
    let status: view::Status = stage.client.call(Request::Status).await?;
    for interface in status.interfaces.iter().filter(|interface| interface.role == "lan") {
        ensure!(interface.attach == expected, "{} is attached by {}", interface.name, interface.attach);
    }
    Ok(())
}

fn told_apart(site: &Site, witness: &mut Witness, cut: Cut, version: IpVersion) -> Result<()> {
    let payload = format!("{cut:?} {version:?}");
    let open = || RawClient::open_over(version, site, Device::Washer, Device::Washer.host_name());
    let mut client = open()?;
    cut.send(&mut client, &publish(ALLOWED, payload.as_bytes()))
        .context("the allowed message could not be sent")?;
    witness.wait_for(ALLOWED, &payload).context("the allowed message did not arrive")?;

    let mut client = open()?;
    // The connection may be reset before the last byte is handed to it.
    let _ = cut.send(&mut client, &publish(FORBIDDEN, payload.as_bytes()));
    client.wait_for_end().context("the connection with the forbidden message goes on")?;
    ensure!(witness.never_saw(FORBIDDEN, &payload)?, "the forbidden message has arrived");
    Ok(())
}

#[tokio::test]
async fn topics_are_told_apart_routed() -> Result<()> {
    topics_are_told_apart(Topology::Routed).await
}

#[tokio::test]
async fn topics_are_told_apart_masqueraded() -> Result<()> {
    topics_are_told_apart(Topology::Masqueraded).await
}

#[tokio::test]
async fn topics_are_told_apart_bridged() -> Result<()> {
    topics_are_told_apart(Topology::Bridged).await
}

#[tokio::test]
async fn topics_are_told_apart_after_a_minute_of_silence() -> Result<()> {
    if !can_run(&[Need::Root, Need::Daemon, Need::Time]) {
        return Ok(());
    }
    let mut sites = Vec::new();
    for topology in Topology::ALL {
        sites.push(Site::temporary(&format!("silence-{topology}"), topology)?);
    }
    let mut silent = Vec::new();
    for site in &sites {
        let stage = Stage::learned(site, Settings::default()).await?;
        stage.stop_washer()?;
        let witness = Witness::listen(site)?;
        let client = RawClient::open(site, Device::Washer, Device::Washer.host_name())?;
        silent.push((stage, witness, client));
    }
    // The silence is what is tested here; there is no condition to wait for.
    tokio::time::sleep(SILENCE).await;
    for (stage, witness, client) in &mut silent {
        let topology = stage.site.topology();
        client.send(&publish(ALLOWED, b"late"))?;
        witness.wait_for(ALLOWED, "late").with_context(|| format!("the allowed message, {topology}"))?;
        client.send(&publish(FORBIDDEN, b"late"))?;
        client.wait_for_end().with_context(|| format!("the forbidden message, {topology}"))?;
        ensure!(witness.never_saw(FORBIDDEN, "late")?, "the forbidden message has arrived, {topology}");
    }
    Ok(())
}
