//! One TCP connection of a capture: who is the client, what is in sequence, what it speaks.

use std::net::SocketAddr;

use firewall_common::{
    abi::Protocol,
    reason::Reason,
    wire::{
        Sender,
        frame::{Frame, tcp},
    },
};
use graph::operation::Verb;

use super::{
    order::{Gap, InOrder},
    record::{Message, Record, Time, What, socket},
    speech::{Guess, Speech, recognise},
};

/// Most bytes that wait for the protocol to show itself: more is `opaque`.
const UNDECIDED: usize = 4096;

/// A TCP connection.
#[derive(Debug)]
pub(super) struct Connection {
    /// The two ends, as in the key of the table, and their bytes.
    ends: [End; 2],
    /// Which end opened the connection, once that is known.
    client: Option<usize>,
    /// Whether its beginning is missing.
    midstream: bool,
    state: State,
    /// Frame that spoke last.
    pub(super) last: Place,
}

/// A frame and its time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) frame: u64,
    pub(super) time: u64,
}

#[derive(Debug)]
struct End {
    at: SocketAddr,
    order: InOrder,
    /// Sequence number of its SYN.
    syn: Option<u32>,
    closed: bool,
}

#[derive(Debug)]
enum State {
    /// The protocol has not shown itself: bytes that wait, with the end that sent them.
    Undecided(Vec<(usize, Vec<u8>)>),
    Speaks(Protocol, Speech),
    /// Something was wrong: nothing further passes.
    Stopped(Protocol),
}

/// What came of a segment: facts, and the end that they are about.
type Told = Vec<(usize, What)>;

impl Connection {
    pub(super) fn new(ends: [SocketAddr; 2], place: Place) -> Self {
        let end = |at| End { at, order: InOrder::default(), syn: None, closed: false };
        Self {
            ends: ends.map(end),
            client: None,
            midstream: false,
            state: State::Undecided(Vec::new()),
            last: place,
        }
    }

    /// The end of the connection that a frame comes from.
    fn sender_of(&self, frame: &Frame) -> usize {
        usize::from(self.ends[0].at != socket(frame.src, frame.src_port))
    }

    /// Whether this SYN opens another connection between the same ports.
    pub(super) fn is_over(&self, frame: &Frame) -> bool {
        let from = self.sender_of(frame);
        let begun = self.ends.iter().any(|end| end.order.has_begun());
        frame.flags & (tcp::SYN | tcp::ACK) == tcp::SYN && begun && self.ends[from & 1].syn != Some(frame.seq)
    }

    /// Whether nothing more is expected.
    pub(super) const fn is_closed(&self) -> bool {
        matches!(self.state, State::Stopped(_)) || self.ends[0].closed && self.ends[1].closed
    }

    pub(super) const fn is_midstream(&self) -> bool {
        self.midstream
    }

    /// Memory that bytes out of sequence take.
    pub(super) const fn held(&self) -> usize {
        self.ends[0].order.held() + self.ends[1].order.held()
    }

    /// Takes a segment; `room` is what it may hold back.
    pub(super) fn segment(
        &mut self,
        frame: &Frame,
        payload: &[u8],
        room: usize,
        place: Place,
    ) -> Vec<Record> {
        let from = self.sender_of(frame);
        let mut told = Told::new();
        self.last = place;
        self.flags(from, frame);
        let data = frame.seq.wrapping_add(u32::from(frame.has(tcp::SYN)));
        // A keep-alive repeats a byte before the next one; it must not begin a direction.
        if !payload.is_empty() && !matches!(self.state, State::Stopped(_)) {
            self.midstream |= !self.ends[from].order.has_begun();
            let order = &mut self.ends[from].order;
            match order.take(data, payload, room) {
                Ok(fresh) => self.hear(from, fresh, &mut told),
                Err(Gap) => told.push((from, What::Gap)),
            }
            while let Some(piece) = self.ends[from].order.ready() {
                self.hear(from, &piece, &mut told);
            }
        }
        self.records(told)
    }

    /// Nothing further comes: what was not complete, and what never came.
    pub(super) fn end(&mut self) -> Vec<Record> {
        let mut told = Told::new();
        if let State::Speaks(_, speech) = &mut self.state {
            for (end, sender) in [(0, Sender::Client), (1, Sender::Server)] {
                let end = self.client.unwrap_or(0) ^ end;
                let mut said = Vec::new();
                speech.unfinished(sender, &mut said);
                told.extend(said.into_iter().map(|message| (end, self.midstream, message)).map(marked));
            }
        }
        if !matches!(self.state, State::Stopped(_)) {
            let lacking = self.ends.iter().zip(0..).filter(|(end, _)| end.order.lacks_bytes());
            told.extend(lacking.map(|(_, end)| (end, What::Gap)));
        }
        self.records(told)
    }

    fn records(&self, told: Told) -> Vec<Record> {
        let Place { frame, time } = self.last;
        let record = |(end, what): (usize, What)| {
            let (src, dst) = (self.ends[end & 1].at, self.ends[1 - (end & 1)].at);
            Record { frame, time: Time(time), src: Some(src), dst: Some(dst), what }
        };
        told.into_iter().map(record).collect()
    }

    /// What SYN, ACK, FIN and RST say about where each direction begins and ends.
    fn flags(&mut self, from: usize, frame: &Frame) {
        let to = 1 - from;
        if frame.has(tcp::SYN) {
            let opens = !frame.has(tcp::ACK);
            self.client = Some(if opens { from } else { to });
            self.ends[from].syn = Some(frame.seq);
            if !self.ends[from].order.has_begun() {
                self.ends[from].order.begin(frame.seq.wrapping_add(1));
            }
        }
        // What is acknowledged first tells where the other direction begins, also where its SYN was not captured.
        let opened = self.ends[from].syn.is_some() && frame.has(tcp::ACK) && !frame.has(tcp::RST);
        if opened && !self.ends[to].order.has_begun() {
            self.ends[to].order.begin(frame.ack);
        }
        if frame.has(tcp::RST) {
            self.ends[0].closed = true;
            self.ends[1].closed = true;
        } else if frame.has(tcp::FIN) {
            self.ends[from].closed = true;
        }
    }

    /// Bytes that are next in sequence.
    fn hear(&mut self, from: usize, bytes: &[u8], told: &mut Told) {
        if bytes.is_empty() {
            return;
        }
        if let State::Undecided(waiting) = &mut self.state {
            waiting.push((from, bytes.to_vec()));
            let waiting = std::mem::take(waiting);
            self.decide(waiting, told);
        } else {
            self.say(from, bytes, told);
        }
    }

    /// Finds out who is the client and what is spoken, as soon as the bytes say so.
    fn decide(&mut self, waiting: Vec<(usize, Vec<u8>)>, told: &mut Told) {
        let speaker = waiting.first().map_or(0, |(end, _)| *end);
        let spoken = |end: usize| -> Vec<u8> {
            waiting.iter().filter(|(from, _)| *from == end).flat_map(|(_, bytes)| bytes).copied().collect()
        };
        let heard = |end: usize, sender: Sender| {
            let server = if sender == Sender::Client { 1 - end } else { end };
            recognise(&spoken(end), sender, self.ends[server & 1].at.port())
        };
        let (client, guess) = match self.client {
            // Every protocol here begins with its client.
            Some(client) if speaker != client => (client, Guess::Is(Protocol::Opaque)),
            Some(client) => (client, heard(client, Sender::Client)),
            None => match heard(speaker, Sender::Client) {
                Guess::Is(Protocol::Opaque) => (1 - speaker, heard(speaker, Sender::Server)),
                guess => (speaker, guess),
            },
        };
        let protocol = match guess {
            Guess::Is(protocol) => protocol,
            Guess::More if waiting.iter().map(|(_, bytes)| bytes.len()).sum::<usize>() < UNDECIDED => {
                self.state = State::Undecided(waiting);
                return;
            }
            Guess::More => Protocol::Opaque,
        };
        let midstream = self.midstream;
        self.client = Some(client);
        if midstream && protocol == Protocol::Opaque {
            // Nobody can say what this goes on with.
            told.push((client, What::Stop { protocol, reason: Reason::Midstream, midstream }));
            self.stop(protocol);
            return;
        }
        let object = format!("tcp/{} {}", self.ends[1 - (client & 1)].at.port(), protocol.as_str());
        told.push((client, What::Connection { protocol, verb: Verb::Connect, object, midstream }));
        self.state = State::Speaks(protocol, Speech::of(protocol));
        for (from, bytes) in waiting {
            self.say(from, &bytes, told);
        }
    }

    fn say(&mut self, from: usize, bytes: &[u8], told: &mut Told) {
        let State::Speaks(protocol, speech) = &mut self.state else { return };
        let sender = if self.client == Some(from) { Sender::Client } else { Sender::Server };
        let mut said = Vec::new();
        let result = speech.hear(sender, bytes, &mut said);
        if result.is_err() {
            speech.unfinished(sender, &mut said);
        }
        told.extend(said.into_iter().map(|message| (from, self.midstream, message)).map(marked));
        if let Err(reason) = result {
            let protocol = *protocol;
            told.push((from, What::Stop { protocol, reason, midstream: self.midstream }));
            self.stop(protocol);
        }
    }

    fn stop(&mut self, protocol: Protocol) {
        self.state = State::Stopped(protocol);
        self.ends[0].order.lose();
        self.ends[1].order.lose();
    }

    /// What the connection speaks, once that is known.
    pub(super) const fn protocol(&self) -> Option<Protocol> {
        match &self.state {
            State::Speaks(protocol, _) | State::Stopped(protocol) => Some(*protocol),
            State::Undecided(_) => None,
        }
    }
}

fn marked((end, midstream, message): (usize, bool, Message)) -> (usize, What) {
    (end, What::Message(Message { midstream, ..message }))
}
