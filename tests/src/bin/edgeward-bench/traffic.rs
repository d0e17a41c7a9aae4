//! What goes over the lanes: messages, connections, datagrams.

use std::{
    io::{ErrorKind, Read, Write},
    net::{SocketAddr, TcpStream, UdpSocket},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use lab::{mqtt, process};

use crate::{
    bulk,
    course::{BROKER, Course, Lane},
    pairs::{median, sorted},
};

pub(crate) const CLIENT_ID: &str = "bench";
const PATIENCE: Duration = Duration::from_secs(10);
/// Longer than any answer on a lane takes.
const SILENCE: Duration = Duration::from_millis(500);
const PAYLOAD: [u8; 40] = [b'x'; 40];

/// A topic of 32 bytes in 4 levels; numbers below [`Course::topics`] are allowed.
pub(crate) fn topic(number: usize) -> String {
    format!("site0001/floor01/room{:02}/t{number:07}", number % 4)
}

/// A client of the broker over one lane.
#[derive(Debug)]
pub(crate) struct Mqtt {
    stream: TcpStream,
    id: u16,
    topics: usize,
    drawn: usize,
}

impl Mqtt {
    /// A connection over a lane that does what it should: an allowed message is confirmed, and a forbidden one is not.
    pub(crate) fn ready(course: &Course, lane: Lane) -> Result<Self> {
        let mut client = None;
        // What was started a moment ago may still refuse.
        process::wait_until(PATIENCE, &format!("an MQTT connection over {}", lane.name()), || {
            client = Self::open(course, lane).ok();
            Ok(client.is_some())
        })?;
        let mut client = client.context("there is a connection")?;
        client.round_trip(0)?;
        if lane.judges_topics() {
            let mut other = Self::open(course, lane)?;
            other.stream.set_read_timeout(Some(SILENCE))?;
            if other.round_trip(course.topics).is_ok() {
                bail!("{} lets a topic pass that no rule allows", lane.name());
            }
            // The broker has taken the first client's place away: both have one identifier.
            client = Self::open(course, lane)?;
            client.round_trip(0).context("after a forbidden message nothing passes")?;
        }
        Ok(client)
    }

    fn open(course: &Course, lane: Lane) -> Result<Self> {
        let broker = match lane {
            Lane::Haproxy => SocketAddr::from((lane.gateway(), BROKER)),
            Lane::Bare | Lane::Twin | Lane::Ours | Lane::Nft | Lane::Suricata => lane.server(BROKER).into(),
        };
        let mut stream =
            course.client.enter(|| Ok(TcpStream::connect_timeout(&broker, Duration::from_secs(1))?))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.write_all(&mqtt::connect(&client_id(lane)))?;
        let mut answer = [0; 4];
        stream.read_exact(&mut answer).context("the broker did not accept the client")?;
        ensure!(answer == [0x20, 2, 0, 0], "the broker answered {answer:?}");
        Ok(Self { stream, id: 0, topics: course.topics, drawn: 0 })
    }

    /// Sends messages for a while, each after the last one was confirmed; the typical time of one, in seconds.
    pub(crate) fn burst(&mut self, length: Duration) -> Result<f64> {
        let began = Instant::now();
        let mut times = Vec::with_capacity(4096);
        while began.elapsed() < length || times.is_empty() {
            // A step that is prime to the number of topics meets all of them in no order.
            self.drawn = (self.drawn + 619) % self.topics;
            times.push(self.round_trip(self.drawn)?.as_secs_f64());
        }
        Ok(median(&sorted(times.into_iter())))
    }

    /// PUBLISH at least once, until PUBACK.
    fn round_trip(&mut self, number: usize) -> Result<Duration> {
        self.id = self.id.checked_add(1).unwrap_or(1);
        let topic = topic(number);
        let [high, low] = self.id.to_be_bytes();
        let mut packet = vec![0x32, (2 + topic.len() + 2 + PAYLOAD.len()) as u8, 0, topic.len() as u8];
        packet.extend(topic.as_bytes());
        packet.extend([high, low]);
        packet.extend(PAYLOAD);
        let mut answer = [0; 4];
        let began = Instant::now();
        self.stream.write_all(&packet)?;
        self.stream.read_exact(&mut answer)?;
        let took = began.elapsed();
        ensure!(answer == [0x40, 2, high, low], "the broker answered {answer:?}");
        Ok(took)
    }
}

/// Each lane has a client of its own at the broker.
pub(crate) fn client_id(lane: Lane) -> String {
    format!("{CLIENT_ID}-{}", lane.name())
}

/// Opens and closes connections; the time of one, in seconds.
pub(crate) fn connect(course: &Course, lane: Lane, count: usize) -> Result<f64> {
    let address = lane.server(bulk::ACCEPT).into();
    course.client.enter(|| {
        let began = Instant::now();
        for _ in 0..count {
            TcpStream::connect_timeout(&address, PATIENCE).context("a connection was refused")?;
        }
        Ok(began.elapsed().as_secs_f64() / count as f64)
    })
}

/// A flow of datagrams in one direction.
#[derive(Debug)]
pub(crate) struct Datagrams(UdpSocket);

impl Datagrams {
    /// Begins a flow, which the other end answers once.
    pub(crate) fn open(course: &Course, lane: Lane) -> Result<Self> {
        let server: SocketAddr = lane.server(bulk::DATAGRAMS).into();
        let socket = course.client.enter(|| {
            let socket = UdpSocket::bind("0.0.0.0:0")?;
            socket.connect(server)?;
            Ok(socket)
        })?;
        socket.set_read_timeout(Some(Duration::from_millis(100)))?;
        process::wait_until(PATIENCE, &format!("an answer over {}", lane.name()), || {
            socket.send(b"?")?;
            match socket.recv(&mut [0; 16]) {
                Ok(_) => Ok(true),
                Err(error)
                    if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::ConnectionRefused) =>
                {
                    Ok(false)
                }
                Err(error) => Err(error.into()),
            }
        })?;
        Ok(Self(socket))
    }

    /// Sends for a while; the time of one datagram, in seconds. A virtual cable carries it to its end within the call.
    pub(crate) fn burst(&self, length: Duration) -> Result<f64> {
        const STEP: u32 = 64;
        let payload = [b'x'; 64];
        let began = Instant::now();
        let mut sent = 0;
        while began.elapsed() < length {
            for _ in 0..STEP {
                self.0.send(&payload).context("a datagram was refused")?;
            }
            sent += STEP;
        }
        Ok(began.elapsed().as_secs_f64() / f64::from(sent))
    }
}
