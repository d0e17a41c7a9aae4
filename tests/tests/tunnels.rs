//! Name service, time and ping carry no tunnel: a device that sends as hard as it can to a server that is in league with
//! it gets less than a kilobyte an hour across, and what others need works meanwhile.

use std::{
    collections::HashSet,
    fs,
    io::{Read, Write},
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    os::fd::AsRawFd,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use dashboard::rpc::Request;
use lab::{
    Device, Site, Topology,
    expect::{Need, can_run},
    firewall::{Settings, wait_for_model},
    net::{self, Namespace},
    process::wait_until,
    raw::checksum,
    scenario::Stage,
    site::INTERNET,
};
use nix::sys::{
    socket::{
        AddressFamily, SockFlag, SockProtocol, SockType, SockaddrIn, connect, setsockopt, socket,
        sockopt::ReceiveTimeout,
    },
    time::{TimeVal, TimeValLike},
};

const DNS: u16 = 53;
const NTP: u16 = 123;
const A: u16 = 1;
const TXT: u16 = 16;
const NULL: u16 = 10;
/// Bytes of a DNS header; type and class of a question.
const HEADER: usize = 12;
const QUESTION: usize = 4;

/// How long the tunnel is tried.
const ATTACK: Duration = Duration::from_secs(10);
/// How long anything else may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long a datagram is waited for.
const MOMENT: Duration = Duration::from_millis(200);
/// What no tunnel carries in an hour.
const KILOBYTE: u64 = 1_000;
/// Timestamp of the honest request for the time.
const HONEST: u64 = u64::MAX;
/// What the buckets give per hour; the attack is extrapolated with it.
const NAMES_HOURLY: u64 = 450;
const TIME_HOURLY: u64 = 480;
const ECHO_HOURLY: u64 = 600;

/// Bytes that came across, by the way they took.
#[derive(Debug, Default)]
struct Across {
    names: AtomicU64,
    time: AtomicU64,
    echo: AtomicU64,
    /// From the server to the device.
    told: AtomicU64,
    /// Questions that no ordinary client asks, and connections.
    odd: AtomicU64,
}

impl Across {
    /// Each way, what came across by it, and what an hour adds.
    fn ways(&self) -> [(&'static str, u64, u64); 4] {
        [
            ("names", &self.names, NAMES_HOURLY),
            ("answers", &self.told, NAMES_HOURLY),
            ("time", &self.time, TIME_HOURLY),
            ("echo", &self.echo, ECHO_HOURLY),
        ]
        .map(|(way, bytes, hourly)| (way, bytes.load(Ordering::Relaxed), hourly))
    }
}

fn add(counter: &AtomicU64, bytes: usize) {
    counter.fetch_add(bytes as u64, Ordering::Relaxed);
}

/// A server on the Internet that answers whatever it is asked, and notes every byte that it learns.
struct Colluder {
    dns: UdpSocket,
    ntp: UdpSocket,
    icmp: fs::File,
}

impl Colluder {
    fn open(site: &Site) -> Result<Self> {
        site.internet_namespace().enter(|| {
            let socket = |port| -> Result<UdpSocket> {
                let socket = UdpSocket::bind((INTERNET, port)).context("the server cannot listen")?;
                socket.set_read_timeout(Some(MOMENT))?;
                Ok(socket)
            };
            Ok(Self { dns: socket(DNS)?, ntp: socket(NTP)?, icmp: echo_socket()? })
        })
    }

    /// Answers until it is told to stop.
    fn serve(&self, across: &Across, stop: &AtomicBool) {
        thread::scope(|scope| {
            scope.spawn(|| self.answer_names(across, stop));
            scope.spawn(|| self.tell_time(across, stop));
            scope.spawn(|| self.count_echoes(across, stop));
        });
    }

    fn answer_names(&self, across: &Across, stop: &AtomicBool) {
        let mut known = HashSet::new();
        let mut buffer = [0; 2_048];
        while let Some((length, from)) = next(&self.dns, &mut buffer, stop) {
            let question = &buffer[..length];
            let name = &question[HEADER.min(length)..length.saturating_sub(QUESTION)];
            // Of a name that is known it is told which one it is, and a bit by each letter that can be a capital.
            let spelling = if name.iter().any(u8::is_ascii_uppercase) { name.len() / 8 } else { 0 };
            let is_new = known.insert(name.to_ascii_lowercase());
            add(&across.names, if is_new { name.len() } else { 2 + spelling });
            if question.get(length - 3) != Some(&(A as u8)) {
                add(&across.odd, length);
            }
            // An answer with as much as a resolver would pass on.
            let mut answer = question.to_vec();
            answer[2] |= 0x80;
            answer.extend([b'd'; 200]);
            let _ = self.dns.send_to(&answer, from);
        }
    }

    fn tell_time(&self, across: &Across, stop: &AtomicBool) {
        let mut buffer = [0; 2_048];
        while let Some((length, from)) = next(&self.ntp, &mut buffer, stop) {
            let is_honest = buffer[..length].ends_with(&HONEST.to_be_bytes());
            add(&across.time, if is_honest { 0 } else { length });
            buffer[0] = 0x24;
            let _ = self.ntp.send_to(&buffer[..length], from);
        }
    }

    fn count_echoes(&self, across: &Across, stop: &AtomicBool) {
        let mut buffer = [0; 2_048];
        loop {
            // Behind the IP header: type, code, checksum, identifier, number, payload. The kernel answers.
            match (&self.icmp).read(&mut buffer) {
                Ok(length) if length > 28 && buffer[20] == 8 => add(&across.echo, length - 24),
                Err(_) if stop.load(Ordering::Relaxed) => return,
                Ok(_) | Err(_) => {}
            }
        }
    }
}

/// The next datagram; none once it is over and all has come that was on its way.
fn next(socket: &UdpSocket, buffer: &mut [u8], stop: &AtomicBool) -> Option<(usize, SocketAddr)> {
    loop {
        match socket.recv_from(buffer) {
            Ok(datagram) => return Some(datagram),
            Err(_) if stop.load(Ordering::Relaxed) => return None,
            Err(_) => {}
        }
    }
}

/// A socket for whole ICMP messages of this namespace.
fn echo_socket() -> Result<fs::File> {
    let socket = socket(AddressFamily::Inet, SockType::Raw, SockFlag::SOCK_CLOEXEC, SockProtocol::Icmp)
        .context("cannot make a socket for ICMP")?;
    setsockopt(&socket, ReceiveTimeout, &TimeVal::milliseconds(200))?;
    Ok(fs::File::from(socket))
}

/// A question (RFC 1035).
fn question(name: &str, kind: u16) -> Vec<u8> {
    let mut bytes = vec![0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.') {
        bytes.push(label.len() as u8);
        bytes.extend(label.as_bytes());
    }
    bytes.push(0);
    bytes.extend(kind.to_be_bytes());
    bytes.extend([0, 1]);
    bytes
}

/// A request for the time, with data where a client may write what it likes.
fn time(number: u64) -> Vec<u8> {
    let mut bytes = vec![0x23, 0, 6, 0x20];
    bytes.resize(40, b's');
    bytes.extend(number.to_be_bytes());
    bytes
}

/// An echo with data.
fn echo(number: u64) -> Vec<u8> {
    let mut bytes = vec![8, 0, 0, 0, 0x55, 0x55, (number >> 8) as u8, number as u8];
    bytes.extend(number.to_be_bytes().repeat(5));
    let sum = checksum(&bytes).to_be_bytes();
    bytes[2..4].copy_from_slice(&sum);
    bytes
}

/// The sender in the device. It packs data into names as iodine does, and tries every other way as well.
struct Sender {
    dns: UdpSocket,
    ntp: UdpSocket,
    icmp: fs::File,
}

impl Sender {
    fn open(namespace: &Namespace) -> Result<Self> {
        namespace.enter(|| {
            let socket = || -> Result<UdpSocket> {
                let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
                socket.set_nonblocking(true)?;
                Ok(socket)
            };
            let icmp = echo_socket()?;
            let [a, b, c, d] = INTERNET.octets();
            connect(icmp.as_raw_fd(), &SockaddrIn::new(a, b, c, d, 0))
                .context("a raw socket takes a peer")?;
            Ok(Self { dns: socket()?, ntp: socket()?, icmp })
        })
    }

    /// Sends until the time is over or enough has come across by every way.
    fn send(&self, across: &Across, tunnel: &str, is_enough: impl Fn(&Across) -> bool) {
        let mut buffer = [0; 2_048];
        // Answers of before were not got by this.
        while self.dns.recv(&mut buffer).is_ok() {}
        let end = Instant::now() + ATTACK;
        let mut number = 0_u64;
        while Instant::now() < end && !is_enough(across) {
            number += 1;
            // Long names carry most; short ones, known ones and spellings use up what long ones leave.
            let data = format!("{number:016x}");
            let long = format!("{data}{data}.{data}{data}.{data}{data}.{tunnel}");
            let spelled: String = "abcdefghijklmnop"
                .chars()
                .enumerate()
                .map(|(at, c)| if number >> at & 1 == 1 { c.to_ascii_uppercase() } else { c })
                .collect();
            for (name, kind) in [
                (&long, A),
                (&long, NULL),
                (&long, TXT),
                (&format!("{number}.{tunnel}"), A),
                (&format!("{}.known.{tunnel}", number % 16), A),
                (&format!("{spelled}.{tunnel}"), A),
            ] {
                // What is refused here comes back as an error of a later call.
                let _ = self.dns.send_to(&question(name, kind), (INTERNET, DNS));
            }
            let _ = self.ntp.send_to(&time(number), (INTERNET, NTP));
            let _ = (&self.icmp).write(&echo(number));
            while let Ok(length) = self.dns.recv(&mut buffer) {
                // The box's own REFUSED tells nothing of the server's.
                if buffer[3] & 0x0f != 0 {
                    continue;
                }
                add(&across.told, length.min(200));
            }
        }
    }
}

/// What an honest device needs: its name service, the time, and its gateway.
struct Honest<'a> {
    site: &'a Site,
    device: Device,
}

impl Honest<'_> {
    /// Asks and waits for an answer, again and again as resolvers do.
    fn ask(&self, to: SocketAddr, request: &[u8], is_answer: impl Fn(&[u8]) -> bool) -> Result<()> {
        let socket = self.site.namespace(self.device).enter(|| {
            let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
            socket.set_read_timeout(Some(MOMENT))?;
            Ok(socket)
        })?;
        let mut buffer = [0; 2_048];
        wait_until(PATIENCE, &format!("an answer to the {} from {to}", self.device.name()), || {
            socket.send_to(request, to)?;
            Ok(socket.recv(&mut buffer).is_ok_and(|length| is_answer(&buffer[..length])))
        })
    }

    fn resolves(&self, name: &str) -> Result<()> {
        let resolver = (self.site.gateway(self.device), DNS).into();
        // No error, and at least one record.
        self.ask(resolver, &question(name, A), |answer| answer[3] % 16 == 0 && answer[7] > 0)
    }

    fn pings_its_gateway(&self) -> Result<()> {
        let gateway = self.site.gateway(self.device).to_string();
        net::run(self.site.namespace(self.device).command("ping").args(["-c3", "-i0.2", "-W5", &gateway]))
    }

    fn learns_the_time(&self) -> Result<()> {
        self.ask((INTERNET, NTP).into(), &time(HONEST), |answer| answer[0] == 0x24)
    }
}

async fn wait_for_mode(stage: &mut Stage<'_>, device: Device, mode: &str) -> Result<()> {
    wait_for_model(
        &mut stage.client,
        PATIENCE,
        &format!("the {} to be {mode}", device.name()),
        |principals, _| {
            let mac = device.mac();
            principals
                .iter()
                .any(|principal| principal.mac.as_deref() == Some(&mac) && principal.mode == mode)
        },
    )
    .await
}

/// Lets the sender send to the server, and something else happen meanwhile.
fn attack(
    colluder: &Colluder,
    sender: &Sender,
    tunnel: &str,
    is_enough: impl Fn(&Across) -> bool + Sync,
    meanwhile: impl FnOnce() -> Result<()>,
) -> Result<Across> {
    let (across, stop) = (Across::default(), AtomicBool::new(false));
    thread::scope(|scope| {
        scope.spawn(|| colluder.serve(&across, &stop));
        let sending = scope.spawn(|| sender.send(&across, tunnel, &is_enough));
        let result = meanwhile();
        let sent = sending.join();
        stop.store(true, Ordering::Relaxed);
        sent.map_err(|_| anyhow::anyhow!("the sender panicked"))?;
        result
    })?;
    Ok(across)
}

#[tokio::test]
async fn essentials_carry_no_tunnel() -> Result<()> {
    if !can_run(&[Need::Root, Need::Daemon]) {
        return Ok(());
    }
    let site = Site::temporary("tunnels", Topology::Routed)?;
    // The owner has named the very server that the device is in league with.
    let more = site.folder().join("conf.d");
    fs::create_dir_all(&more)?;
    let servers = format!("servers = [\"{INTERNET}\"]\n");
    fs::write(more.join("servers.toml"), format!("[dns]\n{servers}\n[ntp]\n{servers}"))?;
    let mut stage = Stage::learned(&site, Settings::default()).await?;
    let (colluder, sender) = (Colluder::open(&site)?, Sender::open(&site.namespace(Device::Washer))?);
    let [washer, lock] = [Device::Washer, Device::Lock].map(|device| Honest { site: &site, device });

    // While the device learns, the tunnel is there: the sender and the server know how.
    let principal = Some(Device::Washer.mac());
    let learn = Request::LearnStart { principal: principal.clone(), seconds: Some(60) };
    let _: serde_json::Value = stage.client.call(learn).await?;
    wait_for_mode(&mut stage, Device::Washer, "learning").await?;
    washer.resolves("broker.site")?;
    // What another one needs, it has asked for while it learned.
    let other = Some(Device::Lock.mac());
    let learn = Request::LearnStart { principal: other.clone(), seconds: Some(60) };
    let _: serde_json::Value = stage.client.call(learn).await?;
    wait_for_mode(&mut stage, Device::Lock, "learning").await?;
    lock.resolves("broker.site")?;
    wait_for_model(&mut stage.client, PATIENCE, "the name to be learned", |_, edges| {
        edges.iter().filter(|edge| edge.verb == "resolve" && edge.object == "*.broker.site").count() == 2
    })
    .await?;
    let _: serde_json::Value = stage.client.call(Request::LearnFinish { principal: other }).await?;
    let is_open = |across: &Across| across.ways().iter().all(|&(_, bytes, _)| bytes > 2 * KILOBYTE);
    let across = attack(&colluder, &sender, "learning.com", is_open, || Ok(()))?;
    ensure!(is_open(&across), "a learning device says too little: {across:?}");
    wait_for_model(&mut stage.client, PATIENCE, "echo to be learned", |_, edges| {
        edges.iter().any(|edge| edge.state == "learned" && edge.object == "icmp/8")
    })
    .await?;
    let _: serde_json::Value = stage.client.call(Request::LearnFinish { principal }).await?;
    wait_for_mode(&mut stage, Device::Washer, "enforcing").await?;

    // A domain that is not in the model carries nothing.
    let outside = attack(&colluder, &sender, "enforcing.com", |_| false, || Ok(()))?;
    for (way, bytes) in [("names", &outside.names), ("answers", &outside.told)] {
        let bytes = bytes.load(Ordering::Relaxed);
        ensure!(bytes == 0, "{way} of a domain outside the model carry {bytes} bytes");
    }

    // New names of one that is, little.
    let across = attack(
        &colluder,
        &sender,
        "enforcing.learning.com",
        |_| false,
        || {
            // What the device has learned, and what another one needs.
            washer.resolves("broker.site")?;
            washer.pings_its_gateway()?;
            lock.resolves("broker.site")?;
            lock.pings_its_gateway()?;
            lock.learns_the_time()
        },
    )
    .with_context(|| format!("the firewall's log:\n{}", stage.firewall.log()))?;
    ensure!(across.odd.load(Ordering::Relaxed) == 0, "questions that no ordinary client asks: {across:?}");
    println!("in {} s of an enforcing device: {outside:?}, {across:?}", 2 * ATTACK.as_secs());
    for ((way, bytes, hourly), (_, before, _)) in across.ways().into_iter().zip(outside.ways()) {
        let bytes = bytes + before;
        // The buckets were full, and refill as they do.
        ensure!(bytes + hourly < KILOBYTE, "{way} carry {bytes} bytes in {} s", 2 * ATTACK.as_secs());
        // Each of them lets through what an ordinary client needs.
        ensure!(bytes > 0, "{way} carry nothing: the server was not reached");
    }
    Ok(())
}
