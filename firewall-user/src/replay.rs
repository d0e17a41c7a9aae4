//! `edgeward replay`: what the firewall would read in a capture.
//!
//! A [`capture`] file gives packets, [`link`] makes each one the Ethernet frame that the kernel programs would see, the
//! parser of the kernel programs finds addresses and ports, TCP segments are brought in sequence, and the machines of the
//! kernel programs read what is said: there is no second parser of anything. [`Replay`] is that flow without any I/O:
//! packets go in, [`Record`]s come out. Nothing is judged here, because a capture has no model; a record says what would be
//! asked of one, and a stop what does not pass under any. A [`site`](site::Site) gives it a model: the graph, which learns
//! from some captures and judges others.
//!
//! Checksums are not looked at: what a machine captured of its own sending has none yet.

// From the file to the frame.
pub use ::capture;
pub mod link;

// From frames to what was said.
mod connection;
mod datagram;
mod order;
mod speech;
mod table;

// What comes of it.
pub mod inventory;
pub mod record;
pub mod summary;

// What a model makes of it.
pub mod files;
pub mod site;

#[cfg(test)]
mod tests;

use std::collections::VecDeque;

use firewall_common::{
    reason::Reason,
    wire::frame::{self, Frame, proto},
};

use self::{
    capture::Packet,
    connection::Place,
    datagram::Heard,
    record::{Record, Time, What, socket},
    summary::Summary,
    table::Table,
};

/// Reads packets in the order of a capture.
#[derive(Debug, Default)]
pub struct Replay {
    table: Table,
    findings: Findings,
    /// The Ethernet frame of the current packet, and what was parsed of it.
    frame: Vec<u8>,
    parsed: Option<Frame>,
}

impl Replay {
    /// Takes the next packet.
    pub fn packet(&mut self, packet: Packet, bytes: &[u8]) {
        let Self { table, findings, frame: buffer, parsed } = self;
        *parsed = None;
        let is_cut = packet.length as usize > bytes.len();
        findings.summary.packets += 1;
        findings.summary.cut += u64::from(is_cut);
        if !link::to_ethernet(packet.link, bytes, buffer) {
            findings.summary.unreadable += 1;
            return;
        }
        let mut frame = Frame::EMPTY;
        if let Err(reason) = frame::parse(&buffer.as_slice(), &mut frame) {
            // What the capture does not have says nothing about the packet.
            if !(is_cut && reason == Reason::Malformed) {
                let time = Time(packet.time);
                findings.tell(Record {
                    frame: packet.number,
                    time,
                    src: None,
                    dst: None,
                    what: What::Frame { reason },
                });
            }
            return;
        }
        *parsed = Some(frame);
        let from = frame.payload as usize;
        let payload = buffer.get(from..from + frame.payload_len as usize).unwrap_or_default();
        let place = Place { frame: packet.number, time: packet.time };
        match frame.proto {
            proto::TCP => table.segment(&frame, payload, place, findings),
            proto::UDP => findings.tell_datagram(&frame, datagram::read(&frame, buffer), place),
            _ => {}
        }
    }

    /// The headers of the packet that was taken last, and its Ethernet frame; nothing if it cannot be parsed.
    pub fn frame(&self) -> Option<(&Frame, &[u8])> {
        Some((self.parsed.as_ref()?, &self.frame))
    }

    /// The capture is over: what waits for more will not get it.
    pub fn finish(&mut self) {
        self.table.end(&mut self.findings);
    }

    /// The next thing that was found.
    pub fn next_record(&mut self) -> Option<Record> {
        self.findings.records.pop_front()
    }

    /// Counts of everything so far.
    pub const fn summary(&self) -> &Summary {
        &self.findings.summary
    }
}

/// What was found and not yet taken, and the counts.
#[derive(Debug, Default)]
struct Findings {
    records: VecDeque<Record>,
    summary: Summary,
}

impl Findings {
    fn tell(&mut self, record: Record) {
        self.summary.count(&record.what);
        self.records.push_back(record);
    }

    fn tell_datagram(&mut self, frame: &Frame, heard: Heard, place: Place) {
        let Heard { protocol, result } = heard;
        self.summary.count_flow(protocol);
        let whats = match result {
            Ok(said) => said.into_iter().map(What::Message).collect(),
            Err(reason) => vec![What::Stop { protocol, reason, midstream: false }],
        };
        for what in whats {
            let (src, dst) = (socket(frame.src, frame.src_port), socket(frame.dst, frame.dst_port));
            let time = Time(place.time);
            self.tell(Record { frame: place.frame, time, src: Some(src), dst: Some(dst), what });
        }
    }
}
