//! Honest streams on bad lines: whatever gets lost, before or behind the firewall, all bytes arrive.

use std::{
    fmt, fs,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use lab::{
    Device, Site, Topology,
    expect::{Need, can_run},
    firewall::Settings,
    loss,
    mqtt::{RawClient, Witness, connect, publish},
    net, process,
    process::Process,
    raw::{Fate, RawTcp},
    scenario::Stage,
    service, small,
};
use nix::sys::{
    signal::Signal,
    socket::{setsockopt, sockopt},
};

const TOPIC: &str = "washer/status";
const CLIENT: &str = Device::Washer.host_name();
/// A transfer: this many messages of this many bytes.
const MESSAGES: usize = 192;
/// The small stack waits a fifth of a second and more for each segment that was lost.
const FEW_MESSAGES: usize = 16;
const PAYLOAD: usize = 16 << 10;
/// So long a transfer may take on a line that loses 3 %, also beside other work: what stalls for good takes longer.
const PATIENCE: Duration = Duration::from_mins(2);
const LOSS: u32 = 3;

/// Who sends.
#[derive(Clone, Copy, Debug)]
enum Sender {
    /// The TCP of Linux.
    Linux,
    /// One of a microcontroller.
    Small,
    /// One that has a megabyte on the way, whatever the receiver's window is.
    Greedy,
}

/// Where packets get lost.
#[derive(Clone, Copy, Debug)]
enum Line {
    Good,
    LossBefore,
    LossBehind,
}

impl Line {
    /// The device at whose cable they do.
    const fn at(self) -> Option<Device> {
        match self {
            Self::Good => None,
            Self::LossBefore => Some(Device::Washer),
            Self::LossBehind => Some(Device::Hub),
        }
    }
}

/// Whether packets travel together as large ones.
#[derive(Clone, Copy, Debug)]
enum Offload {
    On,
    Off,
}

impl Offload {
    fn set(self, site: &Site) -> Result<()> {
        let value = match self {
            Self::On => "on",
            Self::Off => "off",
        };
        let firewall = site.firewall_namespace();
        let interfaces = [
            (site.namespace(Device::Washer), "eth0".to_owned()),
            (site.namespace(Device::Hub), "eth0".to_owned()),
            (firewall.clone(), Device::Washer.port()),
            (firewall, Device::Hub.port()),
        ];
        for (namespace, interface) in interfaces {
            let mut ethtool = namespace.command("ethtool");
            net::run(ethtool.args(["-K", &interface, "gro", value, "gso", value, "tso", value]))?;
        }
        Ok(())
    }
}

/// What one transfer has shown.
struct Row {
    sender: Sender,
    line: Line,
    offload: Offload,
    lost: u64,
    taken: Duration,
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { sender, line, offload, lost, taken } = self;
        let (sender, line, offload) = (format!("{sender:?}"), format!("{line:?}"), format!("{offload:?}"));
        write!(f, "{sender:<8} {line:<11} offload {offload:<4} {lost:>5} lost {:>6.2} s", taken.as_secs_f64())
    }
}

/// A real subscriber beside the broker that writes down every payload.
struct Subscriber {
    process: Process,
    seen: std::path::PathBuf,
}

impl Subscriber {
    fn listen(site: &Site, name: &str) -> Result<Self> {
        let hub = site.namespace(Device::Hub);
        let mut command = hub.command("mosquitto_sub");
        command.args(["-h", "127.0.0.1", "-t", TOPIC, "-t", "ready", "-i", name, "-F", "%p"]);
        let process = Process::start(&mut command, name, site.folder())?;
        let seen = site.folder().join(format!("{name}.events"));
        process::wait_until(PATIENCE, "the subscriber to listen", || {
            let mut ready = hub.command("mosquitto_pub");
            net::run(ready.args(["-h", "127.0.0.1", "-t", "ready", "-m", "ready", "-q", "1"]))?;
            Ok(fs::metadata(&seen)?.len() > 0)
        })?;
        Ok(Self { process, seen })
    }

    /// Waits until everything has come, and compares.
    fn expect(self, payloads: &[String]) -> Result<()> {
        let expected = payloads.join("\n") + "\n";
        let received = || -> Result<String> {
            let text = fs::read_to_string(&self.seen).context("cannot read what has come")?;
            Ok(text.split_inclusive('\n').filter(|line| *line != "ready\n").collect())
        };
        let enough = expected.len() as u64;
        let arrived = process::wait_until(PATIENCE, "all bytes to arrive", || {
            Ok(fs::metadata(&self.seen)?.len() >= enough && received()?.len() >= expected.len())
        });
        let received = received()?;
        self.process.stop()?;
        arrived.with_context(|| format!("{} of {} bytes have come", received.len(), expected.len()))?;
        ensure!(received == expected, "what has come is not what was sent");
        Ok(())
    }
}

fn payloads(name: &str, messages: usize) -> Vec<String> {
    (0..messages).map(|number| format!("{:x<PAYLOAD$}", format!("{name} {number} "))).collect()
}

fn transfer(site: &Site, sender: Sender, line: Line, offload: Offload) -> Result<Row> {
    offload.set(site)?;
    let name = format!("{sender:?}-{line:?}-{offload:?}").to_lowercase();
    let subscriber = Subscriber::listen(site, &name)?;
    let messages = match (sender, line) {
        (Sender::Small, Line::LossBefore | Line::LossBehind) => FEW_MESSAGES,
        _ => MESSAGES,
    };
    let payloads = payloads(&name, messages);
    let stream: Vec<u8> = payloads.iter().flat_map(|payload| publish(TOPIC, payload.as_bytes())).collect();
    let begun = Instant::now();
    // The small stack does not bear that its system refuses a frame, so it loses its own.
    let (at, own_loss) = match (sender, line.at()) {
        (Sender::Small, Some(Device::Washer)) => (None, LOSS as u8),
        (_, at) => (at, 0),
    };
    if let Some(device) = at {
        loss::lose(&site.namespace(device), LOSS)?;
    }
    let sent = send(site, sender, &stream, own_loss);
    let lost = match at {
        Some(device) => loss::stop_losing(&site.namespace(device))?,
        None => 0,
    };
    sent.with_context(|| format!("{name} could not send everything; {lost} packets were lost"))?;
    subscriber.expect(&payloads).with_context(|| format!("{name}; {lost} packets were lost"))?;
    Ok(Row { sender, line, offload, lost, taken: begun.elapsed() })
}

/// Sends everything and returns when it is acknowledged, or at least handed to the system.
fn send(site: &Site, sender: Sender, stream: &[u8], loss: u8) -> Result<()> {
    match sender {
        Sender::Linux => {
            let mut client = RawClient::open(site, Device::Washer, CLIENT)?;
            client.send(stream)?;
            // The answer to a ping comes behind everything else.
            ensure!(client.is_alive(), "the connection did not survive");
        }
        Sender::Small => small::send(site, Device::Washer, (&connect(CLIENT), 4), stream, loss, PATIENCE)?,
        Sender::Greedy => {
            let mut client = RawTcp::new(site, Device::Washer, lab::mqtt::IpVersion::V4)?;
            client.flight = 1 << 20;
            client.open()?;
            ensure!(client.deliver(&connect(CLIENT))? == Fate::Acknowledged, "the broker does not answer");
            client.receive(4)?;
            ensure!(client.deliver(stream)? == Fate::Acknowledged, "the connection stalls");
        }
    }
    Ok(())
}

#[tokio::test]
async fn all_bytes_arrive_on_bad_lines() -> Result<()> {
    if !can_run(&[Need::Root, Need::Daemon]) {
        return Ok(());
    }
    let site = Site::temporary("streams", Topology::Routed)?;
    let stage = Stage::learned(&site, Settings::default()).await?;
    stage.stop_washer()?;
    let mut wrong = Vec::new();
    for offload in [Offload::On, Offload::Off] {
        for sender in [Sender::Linux, Sender::Small, Sender::Greedy] {
            for line in [Line::Good, Line::LossBefore, Line::LossBehind] {
                match transfer(&site, sender, line, offload) {
                    Ok(row) => println!("{row}"),
                    Err(error) => {
                        println!("{sender:?} {line:?} offload {offload:?}: {error:#}");
                        wrong.push(format!("{sender:?} {line:?} {offload:?}"));
                    }
                }
            }
        }
    }
    ensure!(wrong.is_empty(), "{}; the firewall's log:\n{}", wrong.join(", "), stage.firewall.log());
    Ok(())
}

/// The connection of a device whose system asks every second whether the other side is still there.
fn with_keep_alive(site: &Site) -> Result<TcpStream> {
    let broker = SocketAddr::from((site.address(Device::Hub), service::BROKER_PORT));
    let mut stream =
        site.namespace(Device::Washer).enter(|| Ok(TcpStream::connect_timeout(&broker, PATIENCE)?))?;
    setsockopt(&stream, sockopt::KeepAlive, &true)?;
    setsockopt(&stream, sockopt::TcpKeepIdle, &1)?;
    setsockopt(&stream, sockopt::TcpKeepInterval, &1)?;
    setsockopt(&stream, sockopt::TcpKeepCount, &2)?;
    stream.set_read_timeout(Some(Duration::from_secs(6)))?;
    stream.write_all(&connect(CLIENT))?;
    stream.read_exact(&mut [0; 4]).context("the broker does not take the client")?;
    Ok(stream)
}

#[tokio::test]
async fn probes_of_tcp_are_answered() -> Result<()> {
    if !can_run(&[Need::Root, Need::Daemon]) {
        return Ok(());
    }
    let site = Site::temporary("streams-probes", Topology::Routed)?;
    let stage = Stage::learned(&site, Settings::default()).await?;
    stage.stop_washer()?;
    let witness = Witness::listen(&site)?;

    // Two unanswered probes, a second apart, would end it within the time that the read waits.
    let mut stream = with_keep_alive(&site)?;
    let silence = stream.read(&mut [0; 1]).expect_err("the broker has nothing to say");
    ensure!(silence.kind() == std::io::ErrorKind::WouldBlock, "keep-alive is not answered: {silence}");
    stream.write_all(&publish(TOPIC, b"after keep-alive"))?;
    witness.wait_for(TOPIC, "after keep-alive")?;
    drop(stream);

    // A broker that stands still closes its window; when it goes on, so does the sender, who has kept asking.
    site.namespace(Device::Hub).sysctl(&["net.ipv4.tcp_rmem=4096 16384 16384"])?;
    let subscriber = Subscriber::listen(&site, "window")?;
    let (_, broker) = process::recorded(site.folder())?
        .into_iter()
        .find(|(name, _)| name == "mosquitto")
        .context("the broker was started")?;
    let mut client = RawClient::open(&site, Device::Washer, CLIENT)?;
    let payloads = payloads("window", MESSAGES);
    let stream: Vec<u8> = payloads.iter().flat_map(|payload| publish(TOPIC, payload.as_bytes())).collect();
    broker.signal(Signal::SIGSTOP)?;
    let sender = std::thread::spawn(move || client.send(&stream).map(|()| client.is_alive()));
    let probed = process::wait_until(PATIENCE, "the sender to probe the closed window", || {
        let sockets =
            site.namespace(Device::Washer).command("ss").args(["-tino", "dport", "=", ":1883"]).output()?;
        // Each probe that finds the window still closed makes the pause before the next one longer.
        let text = String::from_utf8_lossy(&sockets.stdout);
        let pauses =
            text.split_whitespace().filter_map(|word| word.strip_prefix("backoff:")?.parse::<u32>().ok());
        Ok(text.contains("timer:(persist,") && pauses.max().is_some_and(|pauses| pauses >= 3))
    });
    broker.signal(Signal::SIGCONT)?;
    probed?;
    let alive = sender.join().map_err(|_| anyhow::anyhow!("the sender panicked"))??;
    ensure!(alive, "the connection did not survive the closed window");
    subscriber.expect(&payloads)
}

#[tokio::test]
async fn a_handshake_that_gets_lost_is_repeated() -> Result<()> {
    if !can_run(&[Need::Root, Need::Daemon]) {
        return Ok(());
    }
    let site = Site::temporary("streams-hello", Topology::Routed)?;
    let stage = Stage::learned(&site, Settings::default()).await?;
    stage.stop_washer()?;
    let hub = site.namespace(Device::Hub);
    for step in [loss::Step::Syn, loss::Step::SynAck] {
        loss::lose_first(&hub, step)?;
        let client = RawClient::open(&site, Device::Washer, CLIENT);
        let lost = loss::stop_losing(&hub)?;
        ensure!(lost == 1, "{lost} packets were lost");
        client
            .with_context(|| format!("{step:?} was lost; the firewall's log:\n{}", stage.firewall.log()))?;
    }
    Ok(())
}
