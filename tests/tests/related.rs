//! What follows from what was said, between real programs: answers to a search on the link, and a file that comes from
//! another port than it was asked for at.

use std::{
    fs,
    io::ErrorKind,
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use dashboard::{
    rpc::{Answer, Decided, EdgeSpec, Lifetime, Request},
    view,
};
use lab::{
    Device, Site, Topology,
    expect::{Need, can_run},
    firewall::{Settings, wait_for_model},
    process::{Process, wait_until},
    scenario::Stage,
};

const PATIENCE: Duration = Duration::from_secs(20);
/// After this long without an answer a search is sent again.
const AGAIN: Duration = Duration::from_millis(200);
const GROUP: Ipv4Addr = Ipv4Addr::new(239, 255, 255, 250);
const SSDP: u16 = 1_900;
const SEARCH: &[u8] =
    b"M-SEARCH * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\nMAN: \"ssdp:discover\"\r\nMX: 1\r\nST: ssdp:all\r\n\r\n";
const FOUND: &[u8] = b"HTTP/1.1 200 OK\r\nST: upnp:rootdevice\r\nUSN: uuid:1::upnp:rootdevice\r\n\r\n";

/// A search of the washer, and the lock that answers it from a port that nobody knows before.
struct Search {
    asker: UdpSocket,
    group: UdpSocket,
    answers: UdpSocket,
}

impl Search {
    fn at(site: &Site) -> Result<Self> {
        let bind = |device: Device, addr: Ipv4Addr, port: u16| {
            site.namespace(device).enter(move || {
                let socket = UdpSocket::bind((addr, port))?;
                socket.set_read_timeout(Some(AGAIN))?;
                Ok(socket)
            })
        };
        let (washer, lock) = (site.address(Device::Washer), site.address(Device::Lock));
        let group = bind(Device::Lock, Ipv4Addr::UNSPECIFIED, SSDP)?;
        group.join_multicast_v4(&GROUP, &lock)?;
        Ok(Self { asker: bind(Device::Washer, washer, 0)?, group, answers: bind(Device::Lock, lock, 0)? })
    }

    /// Searches until the lock has heard it, which then answers.
    fn is_heard(&self) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            self.asker.send_to(SEARCH, (GROUP, SSDP))?;
            if let Some((said, from)) = receive(&self.group)? {
                ensure!(said == SEARCH && from == self.asker.local_addr()?, "{from} said something else");
                // Refused, if the firewall has said so to the answer before.
                let _sent = self.answers.send_to(FOUND, from);
                return Ok(());
            }
            ensure!(Instant::now() < deadline, "the search is not heard");
        }
    }

    /// Whether the washer gets an answer now.
    fn is_answered(&self) -> Result<bool> {
        match receive(&self.asker)? {
            Some((said, from)) => {
                ensure!(
                    said == FOUND && from == self.answers.local_addr()?,
                    "{from} has said something else"
                );
                Ok(true)
            }
            None => Ok(false),
        }
    }
}

/// The next datagram, if there is one soon.
fn receive(socket: &UdpSocket) -> Result<Option<(Vec<u8>, SocketAddr)>> {
    let mut bytes = vec![0; 2_048];
    match socket.recv_from(&mut bytes) {
        Ok((length, from)) => {
            bytes.truncate(length);
            Ok(Some((bytes, from)))
        }
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => Ok(None),
        Err(error) => Err(error).context("the socket is of no use"),
    }
}

async fn allow(stage: &mut Stage<'_>, from: &str, to: &str, object: &str) -> Result<()> {
    let spec = EdgeSpec {
        from: from.to_owned(),
        to: to.to_owned(),
        plane: "packet".to_owned(),
        verb: "connect".to_owned(),
        object: object.to_owned(),
        action: dashboard::rpc::Action::Reset,
        no_retain: false,
        max_qos: None,
    };
    let request = Request::EdgeDecide { spec, answer: Answer::Allow, lifetime: Lifetime::Always };
    let _: Decided = stage.client.call(request).await?;
    Ok(())
}

/// Waits until somebody is asked about this connection of a device, by whoever it goes to.
async fn asked(stage: &mut Stage<'_>, from: Device, object: &str) -> Result<view::Edge> {
    let mac = from.mac();
    wait_for_model(&mut stage.client, PATIENCE, &format!("{object} to be asked about"), |_, edges| {
        edges.iter().any(|edge| edge.state == "pending" && edge.object == object)
    })
    .await?;
    let request = Request::Edges { state: Some("pending".to_owned()), principal: Some(mac) };
    let edges: Vec<view::Edge> = stage.client.call(request).await?;
    edges.into_iter().find(|edge| edge.object == object).context("it is somebody else's")
}

#[tokio::test]
async fn only_who_takes_part_answers_and_only_where_it_was_asked() -> Result<()> {
    if !can_run(&[Need::Root, Need::Daemon]) {
        return Ok(());
    }
    let site = Site::temporary("search", Topology::Bridged)?;
    let mut stage = Stage::learned(&site, Settings::default()).await?;
    let everyone = "everyone";
    allow(&mut stage, &Device::Washer.mac(), everyone, "udp/1900").await?;
    let search = Search::at(&site)?;

    // The lock has never done that.
    search.is_heard()?;
    let edge = asked(&mut stage, Device::Lock, "udp/1900").await?;
    ensure!(edge.to.name.eq_ignore_ascii_case(everyone), "it is a habit, not a way to the washer: {edge:?}");
    ensure!(!search.is_answered()?, "nobody has allowed the answer");

    let decide = Request::Decide {
        edge: edge.id,
        answer: Answer::Allow,
        lifetime: Lifetime::Always,
        rev: None,
        pin: None,
    };
    let _: Decided = stage.client.call(decide).await?;
    wait_until(PATIENCE, "the answer to the search", || {
        search.is_heard()?;
        search.is_answered()
    })?;

    // Another port of the washer has asked for nothing.
    let other = site.namespace(Device::Washer).enter(|| {
        let socket = UdpSocket::bind((site.address(Device::Washer), 0))?;
        socket.set_read_timeout(Some(AGAIN))?;
        Ok(socket)
    })?;
    let to = other.local_addr()?;
    search.answers.send_to(FOUND, to)?;
    asked(&mut stage, Device::Lock, &format!("udp/{}", to.port())).await?;
    ensure!(receive(&other)?.is_none(), "it was let through");
    Ok(())
}

#[tokio::test]
async fn a_file_comes_from_the_port_that_its_server_takes() -> Result<()> {
    if !can_run(&[Need::Root, Need::Daemon]) {
        return Ok(());
    }
    let site = Site::temporary("tftp", Topology::Routed)?;
    let mut stage = Stage::learned(&site, Settings::default()).await?;
    // More than one block, so that both ends speak at the port.
    let content: Vec<u8> = (0..20_000_u32).map(|at| (at % 251) as u8).collect();
    let root = site.folder().join("tftp");
    fs::create_dir_all(&root)?;
    fs::write(root.join("firmware.bin"), &content)?;
    let mut server = site.namespace(Device::Lock).command("dnsmasq");
    server
        .args(["--keep-in-foreground", "--conf-file=/dev/null", "--port=0", "--user=root", "--pid-file"])
        .args(["--log-facility=-", "--enable-tftp"])
        .arg(format!("--tftp-root={}", root.display()));
    Process::start(&mut server, "tftp", site.folder())?;

    let url = format!("tftp://{}/firmware.bin", site.address(Device::Lock));
    let fetch = |seconds: &str| -> Result<Vec<u8>> {
        let mut curl = site.namespace(Device::Washer).command("curl");
        Ok(curl.args(["--silent", "--max-time", seconds, &url]).output()?.stdout)
    };
    ensure!(fetch("2")?.is_empty(), "nobody has allowed it");
    let edge = asked(&mut stage, Device::Washer, "udp/69").await?;
    let decide = Request::Decide {
        edge: edge.id,
        answer: Answer::Allow,
        lifetime: Lifetime::Always,
        rev: None,
        pin: None,
    };
    let _: Decided = stage.client.call(decide).await?;
    wait_until(PATIENCE, "the file", || Ok(fetch("10")? == content))?;

    // All of it was one edge: nobody is asked about the port.
    let request = Request::Edges { state: Some("pending".to_owned()), principal: Some(Device::Washer.mac()) };
    let pending: Vec<view::Edge> = stage.client.call(request).await?;
    ensure!(pending.iter().all(|edge| !edge.object.starts_with("udp/")), "{pending:?}");
    Ok(())
}
