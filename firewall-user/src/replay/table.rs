//! The TCP connections of a capture, as many as fit.

use std::collections::HashMap;

use firewall_common::{abi::Addr, wire::frame::Frame};

use super::{
    Findings,
    connection::{Connection, Place},
    order::ALL_WAITING_BYTES,
    record::socket,
};

/// Most connections at once; beyond them the closed ones are forgotten, then the quarter that was silent the longest.
const CONNECTIONS: usize = 16_384;

/// Both ends of a connection, the lower one first, on one VLAN.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Key {
    low: (Addr, u16),
    high: (Addr, u16),
    vlan: u16,
}

impl Key {
    fn of(frame: &Frame) -> Self {
        let (src, dst) = ((frame.src, frame.src_port), (frame.dst, frame.dst_port));
        Self { low: src.min(dst), high: src.max(dst), vlan: frame.vlan }
    }
}

#[derive(Debug, Default)]
pub(super) struct Table {
    connections: HashMap<Key, Connection>,
    /// Memory that bytes out of sequence take.
    held: usize,
}

impl Table {
    /// Takes a segment of any connection.
    pub(super) fn segment(&mut self, frame: &Frame, payload: &[u8], place: Place, findings: &mut Findings) {
        let key = Key::of(frame);
        if self.connections.get(&key).is_some_and(|connection| connection.is_over(frame)) {
            self.remove(key, findings);
        }
        if self.connections.len() == CONNECTIONS && !self.connections.contains_key(&key) {
            self.make_room(findings);
        }
        let room = ALL_WAITING_BYTES.saturating_sub(self.held);
        let connection = self.connections.entry(key).or_insert_with(|| {
            Connection::new([key.low, key.high].map(|(addr, port)| socket(addr, port)), place)
        });
        let held = connection.held();
        let records = connection.segment(frame, payload, room, place);
        self.held = self.held - held + connection.held();
        for record in records {
            findings.tell(record);
        }
    }

    /// Ends every connection, in the order in which they spoke last.
    pub(super) fn end(&mut self, findings: &mut Findings) {
        for key in self.by_silence() {
            self.remove(key, findings);
        }
    }

    fn make_room(&mut self, findings: &mut Findings) {
        let closed = |connection: &Connection| connection.is_closed();
        let mut leaving: Vec<Key> = self.by_silence();
        if self.connections.values().any(closed) {
            leaving.retain(|key| self.connections.get(key).is_some_and(closed));
        } else {
            leaving.truncate(CONNECTIONS / 4);
        }
        for key in leaving {
            self.remove(key, findings);
        }
    }

    fn by_silence(&self) -> Vec<Key> {
        let mut keys: Vec<_> =
            self.connections.iter().map(|(key, connection)| (connection.last.frame, *key)).collect();
        keys.sort_unstable();
        keys.into_iter().map(|(_, key)| key).collect()
    }

    fn remove(&mut self, key: Key, findings: &mut Findings) {
        let Some(mut connection) = self.connections.remove(&key) else { return };
        self.held -= connection.held();
        for record in connection.end() {
            findings.tell(record);
        }
        findings.summary.count_connection(&connection);
    }
}
