//! tshark's reading of a capture.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, Stdio},
};

use crate::{
    message::{Message, join},
    node::Node,
};

/// Protocols whose messages are compared.
const FILTER: &str = "mqtt";
const LAYERS: &str = "frame mqtt";

/// Names of the types of MQTT packets, by number.
const MQTT: [&str; 16] = [
    "reserved",
    "CONNECT",
    "CONNACK",
    "PUBLISH",
    "PUBACK",
    "PUBREC",
    "PUBREL",
    "PUBCOMP",
    "SUBSCRIBE",
    "SUBACK",
    "UNSUBSCRIBE",
    "UNSUBACK",
    "PINGREQ",
    "PINGRESP",
    "DISCONNECT",
    "AUTH",
];

/// Whether tshark can be run.
pub(crate) fn is_installed() -> bool {
    let version = Command::new("tshark").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    version.is_ok_and(|status| status.success())
}

/// Every message that tshark sees in a capture.
pub(crate) fn messages(capture: &Path) -> Vec<Message> {
    let mut child = tshark(capture)
        .args(["-Y", FILTER, "-T", "json", "-J", LAYERS])
        .stdout(Stdio::piped())
        .spawn()
        .expect("tshark was just there");
    let output = BufReader::new(child.stdout.take().expect("a piped output is there"));
    let packets: Node = serde_json::from_reader(output)
        .unwrap_or_else(|error| panic!("{}: tshark writes no JSON: {error}", capture.display()));
    let status = child.wait().expect("a child can be waited for");
    assert!(status.success(), "{}: tshark ended with {status}", capture.display());

    let mut messages = Vec::new();
    for packet in packets.items() {
        let layers = packet.child("_source").and_then(|source| source.child("layers"));
        let layers = layers.unwrap_or_else(|| panic!("{}: a packet without layers", capture.display()));
        let frame = layers
            .child("frame")
            .and_then(|frame| frame.text("frame.number")?.parse().ok())
            .unwrap_or_else(|| panic!("{}: a packet without number", capture.display()));
        for (name, layer) in layers.children() {
            if let Some((protocol, text)) = read(name, layer) {
                messages.push(Message { protocol, frame, text });
            }
        }
    }
    messages
}

/// The connection that each frame belongs to, by tshark's count.
pub(crate) fn streams(capture: &Path) -> BTreeMap<u64, String> {
    let output = tshark(capture)
        .args(["-T", "fields", "-e", "frame.number", "-e", "tcp.stream", "-e", "udp.stream"])
        .output()
        .expect("tshark was just there");
    let lines = output.stdout.lines().map(|line| line.expect("numbers are text"));
    lines
        .filter_map(|line| {
            let (frame, stream) = line.split_once('\t')?;
            Some((frame.parse().ok()?, stream.to_owned()))
        })
        .collect()
}

/// Without names from outside, and reading what came out of order, as replay does.
fn tshark(capture: &Path) -> Command {
    let mut command = Command::new("tshark");
    command.args(["-n", "-o", "tcp.reassemble_out_of_order:TRUE", "-r"]).arg(capture).stderr(Stdio::null());
    command
}

/// What a layer says, if it is one that is compared.
fn read(name: &str, layer: &Node) -> Option<(&'static str, String)> {
    match name {
        "mqtt" => Some(("mqtt", mqtt(layer)?)),
        _ => None,
    }
}

fn mqtt(layer: &Node) -> Option<String> {
    let kind: usize = layer.child("mqtt.hdrflags_tree")?.text("mqtt.msgtype")?.parse().ok()?;
    let name = *MQTT.get(kind)?;
    let objects: Vec<&str> = match kind {
        1 => ["mqtt.clientid", "mqtt.willtopic", "mqtt.username"]
            .into_iter()
            .filter_map(|field| layer.text(field).filter(|text| field == "mqtt.clientid" || !text.is_empty()))
            .collect(),
        3 | 8 => {
            let mut topics = Vec::new();
            layer.deep("mqtt.topic", &mut topics);
            topics
        }
        _ => Vec::new(),
    };
    Some(join(name, objects))
}
