//! MQTT packets, byte by byte.

use firewall_common::{abi::RuleId, precedence::RuleState};
use graph::{
    automaton::{Pattern, TopicRule},
    filter::Filter,
};

pub(crate) const PINGREQ: [u8; 2] = [0xc0, 0];
/// Before MQTT 5.
pub(crate) const CONNACK: [u8; 4] = [0x20, 2, 0, 0];

/// What a broker answers to a CONNECT of this version that it accepts.
pub(crate) const fn connack(version: u8) -> &'static [u8] {
    if version == V5 { &[0x20, 3, 0, 0, 0] } else { &CONNACK }
}

/// Protocol levels of CONNECT.
pub(crate) const V3_1_1: u8 = 4;
pub(crate) const V5: u8 = 5;

fn packet(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![kind];
    let mut left = body.len();
    loop {
        let more = if left > 127 { 0x80 } else { 0 };
        bytes.push((left & 0x7f) as u8 | more);
        left >>= 7;
        if left == 0 {
            break;
        }
    }
    bytes.extend(body);
    bytes
}

fn string(text: &str) -> Vec<u8> {
    let mut bytes = (text.len() as u16).to_be_bytes().to_vec();
    bytes.extend(text.as_bytes());
    bytes
}

pub(crate) fn connect(version: u8, client: &str) -> Vec<u8> {
    let mut body = string("MQTT");
    body.extend([version, 2, 0, 60]);
    if version == V5 {
        body.push(0);
    }
    body.extend(string(client));
    packet(0x10, &body)
}

/// CONNECT of version 3.1.1 with a message that the broker publishes when the client is gone.
pub(crate) fn connect_with_will(client: &str, topic: &str) -> Vec<u8> {
    let mut body = string("MQTT");
    body.extend([V3_1_1, 6, 0, 60]);
    for text in [client, topic, "gone"] {
        body.extend(string(text));
    }
    packet(0x10, &body)
}

pub(crate) fn publish(topic: &str, payload: &[u8]) -> Vec<u8> {
    packet(0x30, &[&string(topic)[..], payload].concat())
}

/// PUBLISH with this quality of service and, above 0, a packet id.
pub(crate) fn publish_qos(topic: &str, qos: u8, retain: bool, payload: &[u8]) -> Vec<u8> {
    let id: &[u8] = if qos > 0 { &[0, 7] } else { &[] };
    packet(0x30 | qos << 1 | u8::from(retain), &[&string(topic)[..], id, payload].concat())
}

/// A PUBLISH of MQTT 5 with a topic alias.
pub(crate) fn publish_alias(topic: &str, alias: u16, payload: &[u8]) -> Vec<u8> {
    let [high, low] = alias.to_be_bytes();
    packet(0x30, &[&string(topic)[..], &[3, 0x23, high, low], payload].concat())
}

pub(crate) fn subscribe(filters: &[&str]) -> Vec<u8> {
    let mut body = vec![0, 1];
    for filter in filters {
        body.extend(string(filter));
        body.push(0);
    }
    packet(0x82, &body)
}

/// A rule for a topic or filter.
pub(crate) fn topic(filter: &str, rule: RuleId, state: RuleState) -> TopicRule {
    let filter = Filter::try_from(filter).expect("the filter of a test is one");
    TopicRule { pattern: Pattern::Filter(filter), rule, state }
}

/// A rule for a client id.
pub(crate) fn client(id: &str, rule: RuleId, state: RuleState) -> TopicRule {
    TopicRule { pattern: Pattern::Client(id.to_owned()), rule, state }
}
