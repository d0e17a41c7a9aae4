//! What devices say of themselves is heard at their port; and what people look at before they decide.

use std::{
    net::{SocketAddr, UdpSocket},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use dashboard::{inspect, rpc::Request, view};
use lab::{
    Device, Site, Topology,
    expect::{Need, can_run},
    firewall::{Settings, wait_for_model},
    scenario::Stage,
};

const PATIENCE: Duration = Duration::from_secs(10);
const MDNS: u16 = 5_353;

const PROFILE: &str = r#"{"ietf-mud:mud": {"mud-version": 1, "mud-url": "https://maker.example/washer",
    "from-device-policy": {"access-lists": {"access-list": [{"name": "out"}]}}},
  "ietf-access-control-list:acls": {"acl": [{"name": "out", "aces": {"ace": [
    {"name": "a", "matches": {"ipv4": {"protocol": 6, "ietf-acldns:dst-dnsname": "cloud.maker.example"},
        "tcp": {"destination-port": {"operator": "eq", "port": 443}}}, "actions": {"forwarding": "accept"}}
  ]}}]}}"#;

/// An announcement of multicast DNS that a printer is here.
fn announcement() -> Vec<u8> {
    let mut bytes = vec![0, 0, 0x84, 0, 0, 0, 0, 1, 0, 0, 0, 0];
    bytes.extend(b"\x05Laser\x04_ipp\x04_tcp\x05local\0\0\x21\x80\x01\0\0\0\x78\0\x07\0\0\0\0\x02\x77\0");
    bytes
}

#[tokio::test]
async fn a_device_is_guessed_by_what_it_announces_and_nothing_is_opened_by_a_profile() -> Result<()> {
    if !can_run(&[Need::Root, Need::Daemon]) {
        return Ok(());
    }
    let site = Site::temporary("kinds", Topology::Routed)?;
    let mut stage = Stage::learned(&site, Settings::default()).await?;
    let washer = Device::Washer.mac();
    let send = || {
        site.namespace(Device::Washer).enter(|| {
            let socket = UdpSocket::bind((site.address(Device::Washer), MDNS))?;
            socket.send_to(&announcement(), (site.address(Device::Hub), MDNS))?;
            Ok(())
        })
    };
    let deadline = Instant::now() + PATIENCE;
    let guess = loop {
        send()?;
        let request = Request::Principal { principal: washer.clone() };
        let principal: view::Principal = stage.client.call(request).await?;
        match principal.guess {
            Some(guess) if guess.kind == "printer" => break guess,
            _ => ensure!(Instant::now() < deadline, "nobody has heard it: {principal:?}"),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    ensure!(guess.evidence == ["offers _ipp._tcp"], "{guess:?}");
    let hub: view::Principal = stage.client.call(Request::Principal { principal: Device::Hub.mac() }).await?;
    ensure!(hub.guess.is_none_or(|guess| guess.kind != "printer"), "it was somebody else");

    let status: view::Status = stage.client.call(Request::Status).await?;
    ensure!(status.uncovered.pairs == 0 && status.uncovered.of > 0, "{:?}", status.uncovered);

    // What a maker declares is asked about.
    let profile = PROFILE.to_owned();
    let import = Request::MudImport { device: washer.clone(), profile: profile.clone(), dry_run: false };
    let made: inspect::MudImport = stage.client.call(import).await?;
    let asked = made.asked.first().context("nothing was asked")?;
    ensure!(asked.state == "pending" && asked.violated.as_deref() == Some("mud.declared"), "{asked:?}");
    let diff: inspect::MudDiff =
        stage.client.call(Request::MudDiff { device: washer.clone(), profile }).await?;
    let row = diff.rows.iter().find(|row| row.edge == Some(asked.id)).context("no row")?;
    ensure!(row.declared && !row.does, "{row:?}");

    // Packets that come while somebody waits for them.
    let edges = Request::Edges { state: Some("learned".to_owned()), principal: Some(washer.clone()) };
    let edges: Vec<view::Edge> = stage.client.call(edges).await?;
    let connects = edges.iter().find(|edge| edge.object == "tcp/1883").context("the washer has no broker")?;
    let request = Request::Packets { edge: connects.id, seconds: Some(2) };
    let mut waiting = stage.firewall.client().await?;
    let packets = tokio::spawn(async move { waiting.call::<Vec<inspect::Packet>>(request).await });
    let (namespace, broker) = (site.namespace(Device::Washer), site.broker());
    while !packets.is_finished() {
        namespace.enter(|| {
            std::net::TcpStream::connect(&broker).context("the broker cannot be reached")?;
            Ok(())
        })?;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let packets = packets.await??;
    let is_of_washer = |packet: &inspect::Packet| {
        let text = |mac: &[u8]| mac.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(":");
        text(&packet.bytes[..6]) == washer || text(&packet.bytes[6..12]) == washer
    };
    ensure!(packets.len() >= 6 && packets.iter().all(is_of_washer), "{} packets", packets.len());

    // The first packet of something new is kept, though nobody waits for it: of a connection, and of a message.
    let elsewhere = SocketAddr::from((site.address(Device::Lock), 4_321));
    namespace.enter(|| {
        let refused = std::net::TcpStream::connect_timeout(&elsewhere, Duration::from_secs(2));
        ensure!(refused.is_err(), "it was not stopped");
        Ok(())
    })?;
    let mut login = namespace.command("mosquitto_pub");
    login.args(["-h", &site.address(Device::Hub).to_string(), "-i", "stranger", "-t", "a", "-m", "b"]);
    ensure!(!login.output()?.status.success(), "the login passed");
    for (object, said) in [("tcp/4321", &b""[..]), ("client:stranger", b"stranger")] {
        let is_asked = |edge: &view::Edge| edge.state == "pending" && edge.object == object;
        wait_for_model(&mut stage.client, PATIENCE, object, |_, edges| edges.iter().any(is_asked)).await?;
        let asked = Request::Edges { state: Some("pending".to_owned()), principal: Some(washer.clone()) };
        let asked: Vec<view::Edge> = stage.client.call(asked).await?;
        let edge = asked.iter().find(|edge| is_asked(edge)).context("it is gone")?.id;
        let request = Request::Packets { edge, seconds: None };
        let first: Vec<inspect::Packet> = stage.client.call(request).await?;
        let [packet] = &first[..] else { bail!("{object}: {} packets", first.len()) };
        ensure!(is_of_washer(packet) && packet.bytes.ends_with(said), "{object}: {packet:?}");
    }

    let review: inspect::Review = stage.client.call(Request::Review { principal: washer.clone() }).await?;
    ensure!(review.habits > 0 && review.groups.iter().any(|group| !group.habits.is_empty()), "{review:?}");
    let export = Request::GraphExport { format: inspect::Format::Dot, device: None };
    let picture: String = stage.client.call(export).await?;
    ensure!(picture.starts_with("digraph") && picture.contains("style=solid"), "{picture}");
    Ok(())
}
