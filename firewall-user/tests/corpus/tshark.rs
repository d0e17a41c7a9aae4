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

/// Packets with a message that is compared: what asks, and everything of MQTT. An ICMP error only quotes a question.
const FILTER: &str = "mqtt || http.request || coap.code < 32 || mbtcp && tcp.dstport == 502 || tls.handshake.type == 1 \
    || (dns || mdns) && dns.flags.response == 0 && udp && !icmp && !icmpv6";
const LAYERS: &str = "frame mqtt http ssdp coap mbtcp modbus tls dns mdns";

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
    let version =
        Command::new("tshark").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
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
        let mut unit = "";
        for (name, layer) in layers.children() {
            let read = match name.as_str() {
                "mqtt" => mqtt(layer).map(|text| ("mqtt", text)),
                "http" | "ssdp" => {
                    http(layer).map(|text| (if name == "http" { "http" } else { "ssdp" }, text))
                }
                "coap" => coap(layer).map(|text| ("coap", text)),
                "mbtcp" => {
                    unit = layer.text("mbtcp.unit_id").unwrap_or_default();
                    None
                }
                "modbus" => modbus(unit, layer).map(|text| ("modbus", text)),
                "dns" => dns(layer, usize::MAX).map(|text| ("dns", text)),
                // Later names may end in a pointer, which ours does not follow: they are hints.
                "mdns" => dns(layer, 1).map(|text| ("mdns", text)),
                "tls" => {
                    let mut hellos = Vec::new();
                    tls(layer, &mut hellos);
                    messages.extend(hellos.into_iter().map(|text| Message { protocol: "tls", frame, text }));
                    None
                }
                _ => None,
            };
            messages.extend(read.map(|(protocol, text)| Message { protocol, frame, text }));
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
    // Of itself it does not look for TLS on this port.
    command.args(["-n", "-o", "tcp.reassemble_out_of_order:TRUE", "-d", "tcp.port==8443,tls", "-r"]);
    command.arg(capture).stderr(Stdio::null());
    command
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

/// Verb, path and host; a query is no part of an object.
fn http(layer: &Node) -> Option<String> {
    let first = |field| {
        let mut found = Vec::new();
        layer.deep(field, &mut found);
        found.first().copied()
    };
    let verb = match first("http.request.method")? {
        "GET" | "HEAD" | "OPTIONS" => "get",
        "POST" | "PUT" | "PATCH" => "set",
        "DELETE" => "delete",
        // The object of a search is what it looks for.
        "M-SEARCH" => return Some(join("discover", [search_target(layer)?])),
        "NOTIFY" => return None,
        other => return Some(join(other, [])),
    };
    let target = first("http.request.uri")?;
    let path = target.split('?').next()?;
    let path = if path == "*" { "/" } else { path };
    // Without the port, which a colon divides; an IPv6 address has colons of its own, in brackets.
    let host = first("http.host").map(|host| {
        let name =
            if host.ends_with(']') { host } else { host.rsplit_once(':').map_or(host, |(name, _)| name) };
        name.to_ascii_lowercase()
    });
    let object = host.map_or_else(|| path.to_owned(), |host| format!("{path} {host}"));
    Some(join(verb, [object.as_str()]))
}

fn search_target(layer: &Node) -> Option<&str> {
    let mut lines = Vec::new();
    layer.deep("http.request.line", &mut lines);
    lines.iter().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("st").then_some(value.trim())
    })
}

fn coap(layer: &Node) -> Option<String> {
    let verb = match layer.text("coap.code")?.parse::<u8>().ok()? {
        1 | 5 if layer.text("coap.opt.observe_req") == Some("0") => "subscribe",
        1 | 5 => "get",
        2 | 3 | 6 | 7 => "set",
        4 => "delete",
        _ => return None,
    };
    let mut parts = Vec::new();
    layer.deep("coap.opt.uri_path", &mut parts);
    let path = format!("/{}", parts.join("/"));
    let object =
        layer.text("coap.opt.uri_host").map_or_else(|| path.clone(), |host| format!("{path} {host}"));
    Some(join(verb, [object.as_str()]))
}

/// Unit, area and addresses, where the function has them.
fn modbus(unit: &str, layer: &Node) -> Option<String> {
    let function: u8 = layer.text("modbus.func_code")?.parse().ok()?;
    let number = |field: &str| layer.text(field).and_then(|text| text.parse::<u32>().ok());
    let start = number("modbus.reference_num");
    let (verb, area, count) = match function {
        1 => ("read", "coils", number("modbus.bit_cnt")),
        2 => ("read", "inputs", number("modbus.bit_cnt")),
        3 => ("read", "holding", number("modbus.word_cnt")),
        4 => ("read", "input", number("modbus.word_cnt")),
        5 => ("write", "coils", Some(1)),
        6 | 22 => ("write", "holding", Some(1)),
        15 => ("write", "coils", number("modbus.bit_cnt")),
        16 => ("write", "holding", number("modbus.word_cnt")),
        other => return Some(join("function", [format!("{unit}/fn{other}").as_str()])),
    };
    let (start, count) = (start?, count?);
    let last = (start + count).saturating_sub(1);
    Some(join(verb, [format!("{unit}/{area}/{start}-{last}").as_str()]))
}

/// The names that are asked for; the root is empty.
fn dns(layer: &Node, most: usize) -> Option<String> {
    let mut names = Vec::new();
    layer.child("Queries")?.deep("dns.qry.name", &mut names);
    let names = names.iter().take(most);
    let names: Vec<String> =
        names.map(|name| if *name == "<Root>" { String::new() } else { name.to_ascii_lowercase() }).collect();
    Some(join("query", names.iter().map(String::as_str)))
}

/// The name in each `ClientHello`.
fn tls(layer: &Node, hellos: &mut Vec<String>) {
    if layer.text("tls.handshake.type") == Some("1") {
        let mut names = Vec::new();
        layer.deep("tls.handshake.extensions_server_name", &mut names);
        let name = names.first().map(|name| name.to_ascii_lowercase()).unwrap_or_default();
        hellos.push(join("ClientHello", [name.as_str()]));
        return;
    }
    for (_, child) in layer.children() {
        tls(child, hellos);
    }
    for item in layer.items() {
        tls(item, hellos);
    }
}
