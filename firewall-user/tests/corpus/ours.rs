//! Our reading of a capture: what `edgeward replay --json` prints.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::message::{Message, join};

/// How long one capture may take on a busy machine; every one here is small.
const PATIENCE: Duration = Duration::from_mins(1);
/// Protocols of which each datagram stands alone.
const DATAGRAMS: [&str; 6] = ["dns", "ntp", "ssdp", "coap", "quic", "dtls"];

/// A line of the output.
#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Line {
    Message {
        frame: u64,
        protocol: String,
        message: String,
        part: u16,
        object: Option<String>,
        verb: Option<String>,
        fields: Map<String, Value>,
    },
    Connection {
        frame: u64,
        protocol: String,
    },
    Stop {
        frame: u64,
        protocol: String,
        reason: String,
    },
    Frame {
        frame: u64,
        reason: String,
    },
    Gap {
        frame: u64,
    },
    Device {},
    Summary {
        packets: u64,
        packets_per_second: u64,
    },
}

/// What nothing passes of, and why.
#[derive(Debug)]
pub(crate) struct Stop {
    pub(crate) frame: u64,
    /// Whether it ends the whole connection, or one frame.
    pub(crate) connection: bool,
    pub(crate) reason: String,
}

#[derive(Debug, Default)]
pub(crate) struct Reading {
    pub(crate) messages: Vec<Message>,
    pub(crate) stops: Vec<Stop>,
    pub(crate) packets: u64,
    pub(crate) packets_per_second: u64,
}

/// Replays a capture with the program that people use.
pub(crate) fn read(capture: &Path) -> Reading {
    let mut reading = Reading::default();
    let mut draft = None;
    replay(capture, |line| {
        let line = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        take(line, &mut draft, &mut reading);
    });
    reading
}

/// Every record of a capture, as it is printed.
pub(crate) fn records(capture: &Path) -> Vec<Value> {
    let mut records = Vec::new();
    replay(capture, |line| {
        records.push(serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")));
    });
    records
}

fn replay(capture: &Path, mut take: impl FnMut(&str)) {
    let begun = Instant::now();
    let mut child = Command::new(env!("CARGO_BIN_EXE_edgeward"))
        .args(["replay", "--json"])
        .arg(capture)
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program was built for this test");
    let output = BufReader::new(child.stdout.take().expect("a piped output is there"));
    for line in output.lines() {
        take(&line.expect("JSON is text"));
    }
    let status = child.wait().expect("a child can be waited for");
    assert!(status.success(), "{}: {status}", capture.display());
    assert!(begun.elapsed() < PATIENCE, "{}: took {:?}", capture.display(), begun.elapsed());
}

/// A message of which more parts may follow.
struct Draft {
    protocol: &'static str,
    frame: u64,
    name: String,
    objects: Vec<String>,
    /// The user of a CONNECT, which is no operation.
    user: Option<String>,
}

impl Draft {
    fn finish(mut self) -> Message {
        self.objects.extend(self.user);
        let text = join(&self.name, self.objects.iter().map(String::as_str));
        Message { protocol: self.protocol, frame: self.frame, text }
    }
}

fn take(line: Line, draft: &mut Option<Draft>, reading: &mut Reading) {
    if !matches!(line, Line::Message { part: 1.., .. }) {
        reading.messages.extend(draft.take().map(Draft::finish));
    }
    match line {
        Line::Message { fields, .. } if fields.contains_key("unfinished") => {}
        Line::Message { frame, protocol, message, part: 0, object, verb, fields } => {
            let user = fields.get("user").and_then(Value::as_str).filter(|user| !user.is_empty());
            if let Some((protocol, name)) = compared(&protocol, message, verb) {
                let (objects, user) = (Vec::from_iter(object), user.map(str::to_owned));
                let (name, objects) =
                    if protocol == "modbus" { modbus(name, objects) } else { (name, objects) };
                *draft = Some(Draft { protocol, frame, name, objects, user });
            }
        }
        Line::Message { object, .. } => {
            // Later names of a multicast question are hints.
            if let Some(draft) = draft.as_mut().filter(|draft| draft.protocol != "mdns") {
                draft.objects.extend(object);
            }
        }
        // Another protocol than the one of the edge: `proto.changed`.
        Line::Connection { frame, protocol } if protocol == "opaque" => {
            reading.stops.push(Stop { frame, connection: true, reason: protocol });
        }
        Line::Connection { .. } | Line::Device {} => {}
        Line::Stop { frame, protocol, reason } => {
            let connection = !DATAGRAMS.contains(&protocol.as_str());
            reading.stops.push(Stop { frame, connection, reason });
        }
        Line::Frame { frame, reason } => reading.stops.push(Stop { frame, connection: false, reason }),
        Line::Gap { frame } => reading.stops.push(Stop { frame, connection: true, reason: "gap".to_owned() }),
        Line::Summary { packets, packets_per_second } => {
            reading.packets = packets;
            reading.packets_per_second = packets_per_second;
        }
    }
}

/// The protocol and name under which a message is compared, if it is.
fn compared(protocol: &str, message: String, verb: Option<String>) -> Option<(&'static str, String)> {
    match (protocol, verb) {
        ("mqtt", _) => Some(("mqtt", message)),
        ("http", Some(verb)) => Some(("http", verb)),
        ("coap", Some(verb)) => Some(("coap", verb)),
        ("modbus", Some(verb)) => Some(("modbus", verb)),
        ("ssdp", Some(verb)) => Some(("ssdp", verb)),
        ("tls", Some(_)) => Some(("tls", message)),
        ("dns", Some(_)) => Some((if message == "query" { "dns" } else { "mdns" }, "query".to_owned())),
        _ => None,
    }
}

/// Of functions that are an area of their own tshark has no address: only their number is compared.
fn modbus(verb: String, objects: Vec<String>) -> (String, Vec<String>) {
    match objects.first().and_then(|object| object.rsplit_once('/')) {
        Some((function, _)) if function.contains("/fn") => ("function".to_owned(), vec![function.to_owned()]),
        _ => (verb, objects),
    }
}
