//! An MQTT client that decides how its bytes are cut into segments, and a real subscriber that shows what arrived.

use std::{
    fs,
    io::{Read, Write},
    net::{IpAddr, SocketAddr, TcpStream},
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};

use crate::{
    net::{self, Namespace},
    process::{self, Process},
    service,
    site::{Device, Site},
};

const PATIENCE: Duration = Duration::from_secs(10);

/// A ping, which may stand before any other packet.
pub const PINGREQ: [u8; 2] = [0xc0, 0];

/// A CONNECT of MQTT 3.1.1 with a clean session and a long keep-alive.
pub fn connect(client_id: &str) -> Vec<u8> {
    let mut body = Vec::new();
    text(&mut body, "MQTT");
    body.extend([4, 2]);
    body.extend(600_u16.to_be_bytes());
    text(&mut body, client_id);
    packet(0x10, &body)
}

/// A PUBLISH at most once.
pub fn publish(topic: &str, payload: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    text(&mut body, topic);
    body.extend(payload);
    packet(0x30, &body)
}

/// A SUBSCRIBE for one filter, at most once.
pub fn subscribe(filter: &str) -> Vec<u8> {
    let mut body = 1_u16.to_be_bytes().to_vec();
    text(&mut body, filter);
    body.push(0);
    packet(0x82, &body)
}

fn packet(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut packet = vec![kind];
    let mut left = body.len();
    loop {
        let seven = (left & 0x7f) as u8;
        left >>= 7;
        packet.push(if left > 0 { seven | 0x80 } else { seven });
        if left == 0 {
            break;
        }
    }
    packet.extend(body);
    packet
}

fn text(body: &mut Vec<u8>, text: &str) {
    let length = u16::try_from(text.len()).expect("MQTT texts of tests are short");
    body.extend(length.to_be_bytes());
    body.extend(text.as_bytes());
}

/// Which addresses a client uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IpVersion {
    V4,
    V6,
}

/// A connection to the broker whose segments are ours to choose.
#[derive(Debug)]
pub struct RawClient(TcpStream);

impl RawClient {
    /// Connects from a device and waits until the broker has accepted the client.
    pub fn open(site: &Site, device: Device, client_id: &str) -> Result<Self> {
        Self::open_over(IpVersion::V4, site, device, client_id)
    }

    /// As [`RawClient::open`], over this version of IP.
    pub fn open_over(version: IpVersion, site: &Site, device: Device, client_id: &str) -> Result<Self> {
        let hub: IpAddr = match version {
            IpVersion::V4 => site.address(Device::Hub).into(),
            IpVersion::V6 => site.address_v6(Device::Hub).into(),
        };
        let broker = SocketAddr::from((hub, service::BROKER_PORT));
        let mut stream =
            site.namespace(device).enter(|| Ok(TcpStream::connect_timeout(&broker, PATIENCE)?))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.write_all(&connect(client_id))?;
        let mut answer = [0; 4];
        stream.read_exact(&mut answer).context("the broker did not accept the client")?;
        ensure!(answer == [0x20, 2, 0, 0], "the broker answered {answer:?}");
        Ok(Self(stream))
    }

    /// Sends bytes as one segment, as far as they fit into one.
    pub fn send(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.0.write_all(bytes)
    }

    /// Sends every byte as a segment of its own.
    pub fn send_byte_by_byte(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        bytes.chunks(1).try_for_each(|byte| self.0.write_all(byte))
    }

    /// Waits for so many bytes.
    pub fn receive(&mut self, bytes: &mut [u8]) -> std::io::Result<()> {
        self.0.read_exact(bytes)
    }

    /// Waits until the other side, or the firewall in its name, has ended the connection.
    pub fn wait_for_end(&mut self) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        let mut buffer = [0; 64];
        loop {
            match self.0.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return Ok(()),
                Ok(_) if Instant::now() < deadline => {}
                Ok(_) => bail!("the connection is still alive"),
                Err(error) => return Err(error).context("the connection did not end"),
            }
        }
    }

    /// Whether a ping is answered, so the connection lives.
    pub fn is_alive(&mut self) -> bool {
        let mut answer = [0; 2];
        self.send(&PINGREQ).and_then(|()| self.receive(&mut answer)).is_ok() && answer == [0xd0, 0]
    }
}

/// A real `mosquitto_sub` beside the broker, which sees every message that the broker takes.
#[derive(Debug)]
pub struct Witness {
    hub: Namespace,
    process: Process,
    seen: PathBuf,
    markers: u32,
}

impl Witness {
    /// Subscribes to everything.
    pub fn listen(site: &Site) -> Result<Self> {
        let hub = site.namespace(Device::Hub);
        let process = Process::start(
            hub.command("mosquitto_sub").args([
                "-h",
                "127.0.0.1",
                "-t",
                "#",
                "-i",
                "witness",
                "-F",
                "%t %l %p",
            ]),
            "witness",
            site.folder(),
        )?;
        let seen = site.folder().join("witness.events");
        let mut witness = Self { hub, process, seen, markers: 0 };
        // The subscription is in force when the first of repeated messages arrives.
        process::wait_until(PATIENCE, "the witness to listen", || {
            witness.publish("witness/ready", "")?;
            Ok(witness.lines()?.iter().any(|line| line.starts_with("witness/ready")))
        })?;
        witness.markers = 0;
        Ok(witness)
    }

    /// Waits until a message with this topic and payload has arrived.
    pub fn wait_for(&self, topic: &str, payload: &str) -> Result<()> {
        process::wait_until(PATIENCE, &format!("{topic} {payload} at the broker"), || {
            self.has_seen(topic, payload)
        })
    }

    /// Whether such a message has arrived by now. A marker goes through the broker first, so what the broker had taken
    /// before is counted.
    pub fn never_saw(&mut self, topic: &str, payload: &str) -> Result<bool> {
        self.markers += 1;
        let marker = self.markers.to_string();
        self.publish("witness/marker", &marker)?;
        self.wait_for("witness/marker", &marker)?;
        Ok(!self.has_seen(topic, payload)?)
    }

    /// Stops listening.
    pub fn stop(self) -> Result<()> {
        self.process.stop()
    }

    /// Whether such a message has arrived by now, as far as this was written down.
    pub fn has_seen(&self, topic: &str, payload: &str) -> Result<bool> {
        Ok(self.lines()?.iter().any(|line| {
            let mut fields = line.splitn(3, ' ');
            fields.next() == Some(topic) && fields.nth(1).is_some_and(|seen| seen == payload)
        }))
    }

    fn lines(&self) -> Result<Vec<String>> {
        let bytes = fs::read(&self.seen).context("cannot read what the witness saw")?;
        Ok(String::from_utf8_lossy(&bytes).lines().map(str::to_owned).collect())
    }

    fn publish(&self, topic: &str, payload: &str) -> Result<()> {
        net::run(self.hub.command("mosquitto_pub").args(["-h", "127.0.0.1", "-t", topic, "-m", payload]))
    }
}
