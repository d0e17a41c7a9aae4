//! Messages between a client and its resolver (RFC 1035).

use firewall_common::{
    abi::Addr,
    wire::dns::{IN, kind},
};

/// Number of every question, unless a test writes another one.
pub(crate) const ID: [u8; 2] = [0xbe, 0xef];
/// The name of the question, as a record refers to it.
pub(crate) const ASKED: &[u8] = &[0xc0, 12];

/// A name as it stands in a message.
pub(crate) fn name(name: &str) -> Vec<u8> {
    let labels = name.split('.').filter(|label| !label.is_empty());
    labels.flat_map(|label| [&[label.len() as u8], label.as_bytes()].concat()).chain([0]).collect()
}

/// A question, with what follows it.
pub(crate) fn question(asked: &str, kind: u16, class: u16, additional: &[u8]) -> Vec<u8> {
    let [a, b] = ID;
    let mut bytes = vec![a, b, 1, 0, 0, 1, 0, 0, 0, 0, 0, u8::from(!additional.is_empty())];
    bytes.extend(name(asked));
    bytes.extend(kind.to_be_bytes());
    bytes.extend(class.to_be_bytes());
    bytes.extend(additional);
    bytes
}

pub(crate) fn ask(name: &str) -> Vec<u8> {
    question(name, kind::A, IN, &[])
}

/// The answer to [`ask`], with these records.
pub(crate) fn answer(asked: &str, records: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = ask(asked);
    bytes[2..4].copy_from_slice(&[0x81, 0x80]);
    bytes[6..8].copy_from_slice(&(records.len() as u16).to_be_bytes());
    bytes.extend(records.concat());
    bytes
}

pub(crate) fn record(owner: &[u8], kind: u16, data: &[u8]) -> Vec<u8> {
    let head = [kind.to_be_bytes(), IN.to_be_bytes(), [0, 0], [0, 60], (data.len() as u16).to_be_bytes()];
    [owner, &head.concat(), data].concat()
}

/// The record that says this address.
pub(crate) fn address(owner: &[u8], addr: Addr) -> Vec<u8> {
    match addr.v4() {
        Some(v4) => record(owner, kind::A, &v4),
        None => record(owner, kind::AAAA, &addr.0),
    }
}
