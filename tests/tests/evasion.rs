//! Ways to slip a forbidden message past the firewall on a live connection, each with two controls: without a firewall
//! the trick works, where the broker falls for it at all, and with it the same trick with an allowed message does no harm.

use anyhow::{Context, Result, ensure};
use lab::{
    Device, Site, Topology,
    expect::{Need, can_run},
    firewall::Settings,
    loss::Hole,
    mqtt::{IpVersion, PINGREQ, Witness, connect, publish, subscribe},
    net,
    raw::{Fate, RawTcp, Segment, TCP, flag},
    scenario::Stage,
    tunnel::{Exit, Wrapping},
};

const ALLOWED: &str = "washer/status";
const FORBIDDEN: &str = "lock/front/set";
const CLIENT: &str = Device::Washer.host_name();
/// Length of topic and payload together: a message can stand in for another one only if both are of one length.
const LENGTH: usize = 48;

/// A trick.
struct Case {
    name: &'static str,
    version: IpVersion,
    /// What becomes of a message that is sent in this way where there is no firewall.
    open: Open,
    /// What shows that the firewall lets others work.
    control: Control,
    /// Sends the message; a client that shakes hands by itself is not connected yet.
    play: fn(&mut Trick) -> Result<()>,
    connects: bool,
    /// What must not arrive.
    forbidden: &'static str,
    /// Whether it makes sense only where packets are routed.
    needs_router: bool,
}

/// What becomes of a message without a firewall.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Open {
    Arrives,
    /// The broker, or its operating system, does not take it.
    Refused,
}

/// The positive control.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Control {
    /// The allowed message arrives in the same way.
    Twin,
    /// The way itself is refused; the allowed message arrives on an ordinary connection right after it.
    Plain,
}

/// A client at work on a trick.
struct Trick<'a> {
    site: &'a Site,
    client: RawTcp,
    topic: &'static str,
    payload: String,
}

impl Trick<'_> {
    /// The message that shall arrive.
    fn message(&self) -> Vec<u8> {
        publish(self.topic, self.payload.as_bytes())
    }

    /// An allowed message of the same length: the message itself, if it is one.
    fn cover(&self) -> Vec<u8> {
        if self.topic == ALLOWED {
            return self.message();
        }
        publish(ALLOWED, "c".repeat(LENGTH - ALLOWED.len()).as_bytes())
    }

    /// Sends the message as it should be sent.
    fn settle(&mut self) -> Result<()> {
        let message = self.message();
        self.deliver(&message)
    }

    fn deliver(&mut self, bytes: &[u8]) -> Result<()> {
        self.client.deliver(bytes)?;
        Ok(())
    }

    /// Sends a part of the message, at the place where it belongs.
    fn piece(&mut self, of: &[u8], range: std::ops::Range<usize>) -> Result<()> {
        let segment = self.client.data(self.client.next().wrapping_add(range.start as u32), &of[range]);
        self.client.send(&segment)
    }

    fn hole(&self) -> Result<Hole> {
        Hole::dig(self.site.namespace(Device::Hub), self.client.port())
    }

    /// Says this before the message, on a connection on which nothing was said.
    fn preface(&mut self, preface: &[u8]) -> Result<()> {
        let bytes = [preface, &connect(CLIENT), &self.message()].concat();
        self.deliver(&bytes)
    }
}

const fn case(name: &'static str, play: fn(&mut Trick) -> Result<()>) -> Case {
    Case {
        name,
        version: IpVersion::V4,
        open: Open::Arrives,
        control: Control::Twin,
        play,
        connects: false,
        forbidden: FORBIDDEN,
        needs_router: false,
    }
}

impl Case {
    const fn over_v6(self) -> Self {
        Self { version: IpVersion::V6, ..self }
    }

    const fn refused_by_the_broker(self) -> Self {
        Self { open: Open::Refused, control: Control::Plain, ..self }
    }

    const fn refused_as_such(self) -> Self {
        Self { control: Control::Plain, ..self }
    }

    const fn that_connects(self) -> Self {
        Self { connects: true, ..self }
    }

    const fn for_topic(self, forbidden: &'static str) -> Self {
        Self { forbidden, ..self }
    }

    const fn between_subnets(self) -> Self {
        Self { needs_router: true, ..self }
    }

    /// Plays the trick with a topic and returns the payload to look for.
    fn try_with(&self, site: &Site, topic: &'static str, who: &str) -> Result<String> {
        let mut payload = format!("{who} {}", self.name).replace(' ', "-");
        payload.truncate(LENGTH - topic.len());
        while payload.len() < LENGTH - topic.len() {
            // In the trick with the urgent byte the last one is read as the first byte of a PUBLISH.
            payload.push('0');
        }
        let mut client = RawTcp::new(site, Device::Washer, self.version)?;
        if !self.connects {
            log_in(&mut client)?;
        }
        let mut trick = Trick { site, client, topic, payload: payload.clone() };
        (self.play)(&mut trick)?;
        Ok(payload)
    }
}

fn log_in(client: &mut RawTcp) -> Result<()> {
    client.open()?;
    ensure!(client.deliver(&connect(CLIENT))? == Fate::Acknowledged, "the broker does not take the client");
    let answer = client.receive(4)?;
    ensure!(answer == [0x20, 2, 0, 0], "the broker answered {answer:?}");
    Ok(())
}

/// Plays no trick.
fn settle(trick: &mut Trick<'_>) -> Result<()> {
    trick.settle()
}

/// Ways to hear what is said to the lock.
const FILTERS: &[&str] = &["#", "lock/#", "+/front/set", "lock/front/set", "$share/group/lock/front/set"];

const CASES: &[Case] = &[
    case("whole", settle),
    case("split inside the topic", |trick| {
        let message = trick.message();
        trick.deliver(&message[..9])?;
        trick.deliver(&message[9..])
    }),
    case("byte by byte", |trick| trick.message().chunks(1).try_for_each(|byte| trick.deliver(byte))),
    case("behind an allowed message", |trick| {
        let both = [trick.cover(), trick.message()].concat();
        trick.deliver(&both)
    }),
    case("behind a ping", |trick| {
        let both = [&PINGREQ[..], &trick.message()].concat();
        trick.deliver(&both)
    }),
    case("remaining length of two bytes", |trick| {
        let both = [publish(ALLOWED, &[b'x'; 200]), trick.message()].concat();
        trick.deliver(&both)
    }),
    case("behind 2 MB", |trick| {
        let large = publish(ALLOWED, &vec![b'x'; 64 << 10]);
        (0..32).try_for_each(|_| trick.deliver(&large))?;
        trick.settle()
    }),
    case("retransmission with another topic", |trick| {
        let (cover, hole) = (trick.cover(), trick.hole()?);
        trick.piece(&cover, 0..cover.len())?;
        hole.swallows(1);
        drop(hole);
        trick.settle()
    }),
    case("retransmission in two pieces", |trick| {
        let (cover, message, hole) = (trick.cover(), trick.message(), trick.hole()?);
        trick.piece(&cover, 0..cover.len())?;
        hole.swallows(1);
        drop(hole);
        trick.piece(&message, 0..9)?;
        trick.piece(&message, 9..message.len())?;
        trick.settle()
    }),
    case("overlap with a changed old part", |trick| {
        let (cover, hole) = (trick.cover(), trick.hole()?);
        trick.piece(&cover, 0..12)?;
        hole.swallows(1);
        drop(hole);
        trick.settle()
    }),
    case("gap", |trick| {
        let message = trick.message();
        trick.piece(&message, 9..message.len())?;
        trick.settle()
    }),
    case("out of order", |trick| {
        let message = trick.message();
        for range in [20..message.len(), 9..20, 0..9] {
            trick.piece(&message, range)?;
        }
        trick.settle()
    }),
    case("old segment", |trick| {
        let (cover, message) = (trick.cover(), trick.message());
        trick.deliver(&cover)?;
        let segment = trick.client.data(trick.client.next().wrapping_sub(cover.len() as u32), &message);
        trick.client.send(&segment)
    })
    .refused_by_the_broker(),
    case("beyond the window", |trick| {
        let message = trick.message();
        let segment = trick.client.data(trick.client.next().wrapping_add(1 << 24), &message);
        trick.client.send(&segment)
    })
    .refused_by_the_broker(),
    case("wrong checksum before it", |trick| {
        let cover = trick.cover();
        let mut segment = trick.client.segment(&trick.client.data(trick.client.next(), &cover));
        segment[16] ^= 0x55;
        let packet = trick.client.packet(TCP, &segment);
        trick.client.send_packet(&packet)?;
        trick.settle()
    }),
    case("urgent byte within the topic", |trick| {
        // The application does not see the urgent byte. Who reads it reads the allowed topic.
        let mut message = trick.message();
        let at = 4 + "washer/statu".len();
        message.insert(at, b's');
        let segment = Segment {
            flags: flag::ACK | flag::PSH | flag::URG,
            urgent: at as u16 + 1,
            ..trick.client.data(trick.client.next(), &message)
        };
        trick.client.send(&segment)?;
        trick.client.has_ended().map(|_| ())
    })
    .refused_as_such()
    .for_topic("washer/statuX"),
    case("data on SYN", |trick| {
        let hello = connect(CLIENT);
        let message = trick.message();
        trick.client.open_with(&[&hello[..], &message].concat())?;
        trick.deliver(&hello)?;
        trick.deliver(&message)
    })
    .that_connects(),
    case("data on FIN", |trick| {
        let message = trick.message();
        let segment = Segment {
            flags: flag::ACK | flag::PSH | flag::FIN,
            ..trick.client.data(trick.client.next(), &message)
        };
        trick.client.send(&segment)?;
        trick.client.has_ended().map(|_| ())
    }),
    case("data on RST", |trick| {
        let message = trick.message();
        let segment =
            Segment { flags: flag::ACK | flag::RST, ..trick.client.data(trick.client.next(), &message) };
        trick.client.send(&segment)
    })
    .refused_by_the_broker(),
    case("RST beyond the window before it", |trick| {
        let at = trick.client.next().wrapping_add(1 << 24);
        let segment = Segment { flags: flag::RST, ..trick.client.data(at, &[]) };
        trick.client.send(&segment)?;
        trick.settle()
    }),
    case("keep-alive with another byte before it", |trick| {
        // The byte before the next one, which was acknowledged long ago.
        let segment = trick.client.data(trick.client.next().wrapping_sub(1), b"!");
        trick.client.send(&segment)?;
        trick.settle()
    }),
    case("cover that dies on the way", |trick| {
        let cover = trick.cover();
        trick.client.ttl = 1;
        trick.piece(&cover, 0..cover.len())?;
        trick.client.ttl = 64;
        trick.client.has_ended()?;
        trick.settle()
    })
    .between_subnets(),
    case("cover whose hop limit ends", |trick| {
        let cover = trick.cover();
        trick.client.ttl = 1;
        trick.piece(&cover, 0..cover.len())?;
        trick.client.ttl = 64;
        trick.client.has_ended()?;
        trick.settle()
    })
    .over_v6()
    .between_subnets(),
    case("RST that dies on the way before it", |trick| {
        trick.client.ttl = 1;
        let segment = Segment { flags: flag::RST, ..trick.client.data(trick.client.next(), &[]) };
        trick.client.send(&segment)?;
        trick.client.ttl = 64;
        trick.settle()
    })
    .between_subnets(),
    case("cover with an old timestamp (PAWS)", |trick| {
        let (cover, now) = (trick.cover(), 1_000_000);
        trick.client.clock = Some(now);
        trick.client.open()?;
        trick.deliver(&connect(CLIENT))?;
        // Its receiver takes it for a segment of long ago, and drops it.
        trick.client.clock = Some(now - 500_000);
        trick.piece(&cover, 0..cover.len())?;
        trick.client.clock = Some(now + 1);
        trick.client.has_ended()?;
        trick.settle()
    })
    .that_connects(),
    case("without the timestamp that was agreed on", |trick| {
        trick.client.clock = Some(1_000_000);
        trick.client.open()?;
        trick.deliver(&connect(CLIENT))?;
        // Linux takes it all the same (RFC 7323, section 3.2, would have it dropped), so nothing can stand in for it.
        let cover = trick.cover();
        let clock = trick.client.clock.take();
        trick.piece(&cover, 0..cover.len())?;
        trick.client.clock = clock;
        trick.client.has_ended()?;
        trick.settle()
    })
    .refused_by_the_broker()
    .that_connects(),
    case("IPv4 options", |trick| {
        trick.client.ip_options = vec![1, 1, 1, 0];
        trick.settle()
    }),
    case("fragments", |trick| trick.fragments(&[0..24, 24..usize::MAX])).refused_as_such(),
    case("tiny fragments", |trick| trick.fragments(&[0..8, 8..16, 16..24, 24..usize::MAX])).refused_as_such(),
    case("overlapping fragments", |trick| trick.fragments(&[0..32, 24..usize::MAX])).refused_by_the_broker(),
    case("IPv6", settle).over_v6(),
    case("IPv6 destination options", |trick| trick.extended(60, &[6, 0, 1, 4, 0, 0, 0, 0])).over_v6(),
    case("IPv6 five extension headers", |trick| {
        let one = |next| [next, 0, 1, 4, 0, 0, 0, 0];
        trick.extended(60, &[one(60), one(60), one(60), one(60), one(6)].concat())
    })
    .over_v6()
    .refused_as_such(),
    case("IPv6 fragment header", |trick| trick.extended(44, &[6, 0, 0, 0, 0, 0, 0, 9]))
        .over_v6()
        .refused_as_such(),
    case("IPv6 hop-by-hop options", |trick| trick.extended(0, &[6, 0, 1, 4, 0, 0, 0, 0])).over_v6(),
    case("IPv6 routing header", |trick| trick.extended(43, &[6, 0, 0, 0, 0, 0, 0, 0]))
        .over_v6()
        .refused_as_such(),
    case("IPv6 tiny fragments", |trick| trick.fragments_v6(&[0..8, 8..16, 16..24, 24..usize::MAX]))
        .over_v6()
        .refused_by_the_broker(),
    case("IPv6 overlapping fragments", |trick| trick.fragments_v6(&[0..32, 24..usize::MAX]))
        .over_v6()
        .refused_by_the_broker(),
    case("tunnel: IP in IP", |trick| trick.wrapped(Wrapping::Ip)).refused_as_such(),
    case("tunnel: GRE", |trick| trick.wrapped(Wrapping::Gre)).refused_as_such(),
    case("tunnel: 6in4", |trick| trick.wrapped(Wrapping::Ip)).over_v6().refused_as_such(),
    case("tunnel: Teredo", |trick| trick.wrapped(Wrapping::Udp)).over_v6().refused_as_such(),
    case("VLAN tag", |trick| trick.tagged(&[[0x81, 0, 0, 7]])).refused_by_the_broker(),
    case("QinQ: two VLAN tags", |trick| trick.tagged(&[[0x88, 0xa8, 0, 7], [0x81, 0, 0, 8]]))
        .refused_by_the_broker(),
    case("alias of MQTT 5", |trick| {
        trick.client.open()?;
        trick.deliver(&connect_5())?;
        let topic = trick.topic.as_bytes();
        let mut named = vec![0, topic.len() as u8];
        named.extend(topic);
        named.extend([3, 0x23, 0, 1]);
        let mut by_number = vec![0, 0, 3, 0x23, 0, 1];
        by_number.extend(trick.payload.as_bytes());
        for body in [named, by_number] {
            let packet = [&[0x30, body.len() as u8][..], &body].concat();
            trick.deliver(&packet)?;
        }
        Ok(())
    })
    .that_connects(),
    case("Will", |trick| {
        trick.client.open()?;
        let will = connect_with_will(trick.topic, &trick.payload);
        trick.deliver(&will)?;
        // The firewall may have ended the connection instead; otherwise the broker knows the Will once it has answered.
        let _ = trick.client.receive(4);
        // A connection that ends without DISCONNECT is what a Will is for.
        let segment = Segment { flags: flag::RST, ..trick.client.data(trick.client.next(), &[]) };
        trick.client.send(&segment)
    })
    .that_connects(),
    case("TLS hello before it", |trick| trick.prefaced(&[0x16, 3, 1, 0, 5, 1, 0, 0, 1, 3]))
        .refused_by_the_broker()
        .that_connects(),
    case("HTTP before it", |trick| trick.prefaced(b"GET / HTTP/1.1\r\nHost: hub\r\n\r\n"))
        .refused_by_the_broker()
        .that_connects(),
    case("h2c preface before it", |trick| trick.prefaced(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"))
        .refused_by_the_broker()
        .that_connects(),
    case("PROXY header before it", |trick| trick.prefaced(b"PROXY TCP4 10.77.3.10 10.77.4.10 9 1883\r\n"))
        .refused_by_the_broker()
        .that_connects(),
    case("CR LF before it", |trick| trick.prefaced(b"\r\n")).refused_by_the_broker().that_connects(),
    case("zero byte before it", |trick| trick.prefaced(&[0])).refused_by_the_broker().that_connects(),
    case("WebSocket upgrade before it", |trick| {
        trick.prefaced(
            b"GET /mqtt HTTP/1.1\r\nHost: hub\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
              Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\
              Sec-WebSocket-Protocol: mqtt\r\n\r\n",
        )
    })
    .refused_by_the_broker()
    .that_connects(),
];

impl Trick<'_> {
    fn prefaced(&mut self, preface: &[u8]) -> Result<()> {
        self.client.open()?;
        self.preface(preface)
    }

    /// Sends the message as one segment in these parts of its packet.
    fn fragments(&mut self, parts: &[std::ops::Range<usize>]) -> Result<()> {
        let message = self.message();
        let segment = self.client.segment(&self.client.data(self.client.next(), &message));
        for part in parts {
            let end = part.end.min(segment.len());
            let packet = self.client.fragment(part.start, end < segment.len(), &segment[part.start..end]);
            self.client.send_packet(&packet)?;
        }
        self.client.has_ended().map(|_| ())
    }

    /// Sends the message behind these extension headers.
    fn extended(&mut self, first: u8, headers: &[u8]) -> Result<()> {
        let message = self.message();
        let segment = self.client.segment(&self.client.data(self.client.next(), &message));
        let packet = self.client.packet(first, &[headers, &segment].concat());
        self.client.send_packet(&packet)?;
        self.client.has_ended().map(|_| ())
    }

    /// As [`Trick::fragments`], of IPv6.
    fn fragments_v6(&mut self, parts: &[std::ops::Range<usize>]) -> Result<()> {
        let message = self.message();
        let segment = self.client.segment(&self.client.data(self.client.next(), &message));
        for part in parts {
            let end = part.end.min(segment.len());
            let more = u16::from(end < segment.len());
            let [high, low] = (part.start as u16 | more).to_be_bytes();
            let header = [TCP, 0, high, low, 0, 0, 0, 9];
            let packet = self.client.packet(44, &[&header[..], &segment[part.start..end]].concat());
            self.client.send_packet(&packet)?;
        }
        self.client.has_ended().map(|_| ())
    }

    /// Sends the message in a packet within another one, to somebody who unwraps it.
    fn wrapped(&mut self, wrapping: Wrapping) -> Result<()> {
        let message = self.message();
        let segment = self.client.segment(&self.client.data(self.client.next(), &message));
        let inner = self.client.packet(TCP, &segment);
        let [from, to] = [Device::Washer, Device::Hub].map(|device| self.site.address(device).octets());
        self.client.send_packet(&wrapping.wrap(&inner, from, to))?;
        self.client.has_ended().map(|_| ())
    }

    fn tagged(&mut self, tags: &[[u8; 4]]) -> Result<()> {
        let message = self.message();
        let segment = self.client.segment(&self.client.data(self.client.next(), &message));
        let packet = self.client.packet(TCP, &segment);
        self.client.send_tagged(tags, &packet)?;
        self.client.has_ended().map(|_| ())
    }
}

/// A CONNECT of MQTT 5 with a clean start.
fn connect_5() -> Vec<u8> {
    let mut packet = connect(CLIENT);
    // Version, and no properties before the client id.
    packet[8] = 5;
    packet.insert(12, 0);
    packet[1] += 1;
    packet
}

fn connect_with_will(topic: &str, payload: &str) -> Vec<u8> {
    let mut packet = connect(CLIENT);
    packet[9] |= 0x04;
    for text in [topic, payload] {
        packet.extend((text.len() as u16).to_be_bytes());
        packet.extend(text.as_bytes());
    }
    packet[1] = (packet.len() - 2) as u8;
    packet
}

/// What one case has shown.
struct Row {
    name: String,
    /// Whether the forbidden message arrived without a firewall, and whether that is what the case says.
    open: (bool, bool),
    /// Whether the allowed one arrived through the firewall.
    control: bool,
    /// Whether the forbidden one did.
    slipped: bool,
}

impl Row {
    const fn is_right(&self) -> bool {
        self.open.1 && self.control && !self.slipped
    }

    fn show(&self) -> String {
        let word = |arrived| if arrived { "arrives" } else { "-" };
        let verdict = if self.is_right() { "" } else { "  <-- WRONG" };
        let Self { name, open, control, slipped } = self;
        format!("{name:<40} {:<10} {:<10} {:<10}{verdict}", word(open.0), word(*control), word(*slipped))
    }
}

fn show(topology: Topology, rows: &[Row]) -> String {
    let head = format!(
        "\n{:<40} {:<10} {:<10} {:<10}\n{:<40} {:<10} {:<10} {:<10}\n",
        topology.name(),
        "open:",
        "firewall:",
        "firewall:",
        "",
        "forbidden",
        "allowed",
        "forbidden"
    );
    head + &rows.iter().map(|row| row.show() + "\n").collect::<String>()
}

fn cases(topology: Topology) -> impl Iterator<Item = &'static Case> {
    CASES.iter().filter(move |case| topology == Topology::Routed || !case.needs_router)
}

/// Whether the forbidden message arrives where nothing stops it, case by case.
fn without_a_firewall(topology: Topology) -> Result<Vec<bool>> {
    let site = Site::temporary(&format!("evade-open-{topology}"), topology)?;
    for device in [Device::Hub, Device::Washer] {
        site.join(device)?;
    }
    let _exit = Exit::open(&site.namespace(Device::Hub))?;
    let mut witness = Witness::listen(&site)?;
    let mut arrived = Vec::new();
    for case in cases(topology) {
        let payload = case.try_with(&site, case.forbidden, "open").with_context(|| case.name.to_owned())?;
        arrived.push(match case.open {
            Open::Arrives => witness.wait_for(case.forbidden, &payload).is_ok(),
            Open::Refused => !witness.never_saw(case.forbidden, &payload)?,
        });
    }
    for filter in FILTERS {
        arrived.push(overhears(&site, filter)?);
    }
    Ok(arrived)
}

/// Whether a client that subscribes to this filter gets a command for the lock.
fn overhears(site: &Site, filter: &str) -> Result<bool> {
    let mut client = RawTcp::new(site, Device::Washer, IpVersion::V4)?;
    log_in(&mut client)?;
    client.deliver(&subscribe(filter))?;
    let secret = format!("secret for {filter}");
    net::run(site.namespace(Device::Hub).command("mosquitto_pub").args([
        "-h",
        "127.0.0.1",
        "-t",
        FORBIDDEN,
        "-m",
        &secret,
    ]))?;
    let received = client.received()?;
    Ok(received.windows(secret.len()).any(|window| window == secret.as_bytes()))
}

/// Whether an allowed message on an ordinary connection arrives.
fn works(site: &Site, witness: &Witness, who: &str) -> Result<bool> {
    let plain = case("ordinary", settle);
    let payload = plain.try_with(site, ALLOWED, who)?;
    Ok(witness.wait_for(ALLOWED, &payload).is_ok())
}

async fn evasion(topology: Topology) -> Result<()> {
    if !can_run(&[Need::Root, Need::Daemon]) {
        return Ok(());
    }
    let mut open = without_a_firewall(topology)?.into_iter();
    let site = Site::temporary(&format!("evade-{topology}"), topology)?;
    let stage = Stage::learned(&site, Settings::default()).await?;
    stage.stop_washer()?;
    let mut witness = Witness::listen(&site)?;
    let mut rows = Vec::new();
    for case in cases(topology) {
        let arrives = open.next().context("every case was tried without a firewall")?;
        let context = || format!("{}; the firewall's log:\n{}", case.name, stage.firewall.log());
        let payload = case.try_with(&site, case.forbidden, "evil").with_context(context)?;
        let slipped = !witness.never_saw(case.forbidden, &payload)?;
        let control = match case.control {
            Control::Twin => {
                let payload = case.try_with(&site, ALLOWED, "good").with_context(context)?;
                witness.wait_for(ALLOWED, &payload).is_ok()
            }
            Control::Plain => {
                works(&site, &witness, &format!("after {}", case.name)).with_context(context)?
            }
        };
        let open = (arrives, arrives == (case.open == Open::Arrives));
        rows.push(Row { name: case.name.to_owned(), open, control, slipped });
    }
    for filter in FILTERS {
        let arrives = open.next().context("every filter was tried without a firewall")?;
        let slipped = overhears(&site, filter)?;
        let control = works(&site, &witness, "listener")?;
        rows.push(Row { name: format!("SUBSCRIBE {filter}"), open: (arrives, arrives), control, slipped });
    }
    println!("{}", show(topology, &rows));
    let wrong: Vec<&str> = rows.iter().filter(|row| !row.is_right()).map(|row| row.name.as_str()).collect();
    ensure!(
        wrong.is_empty(),
        "{topology}: {}; the firewall's log:\n{}",
        wrong.join(", "),
        stage.firewall.log()
    );
    Ok(())
}

#[tokio::test]
async fn nobody_slips_past_routed() -> Result<()> {
    evasion(Topology::Routed).await
}

#[tokio::test]
async fn nobody_slips_past_bridged() -> Result<()> {
    evasion(Topology::Bridged).await
}
