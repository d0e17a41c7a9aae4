//! MQTT, both directions, against a reading of whole packets.

use firewall_common::abi::{Kind, OBJECT_CAP};
use firewall_common::hash::hash;
use firewall_common::wire::mqtt::Mqtt;
use firewall_common::wire::object::Object;
use firewall_common::wire::{Event, Note, Sender};
use graph::filter::Filter;

use crate::input::Input;
use crate::machine::{self, KEY, Machine};

/// Two bytes of choices, then the stream.
pub(crate) fn check(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let choices = input.byte();
    let seed = u16::from(input.byte()) << 8 | u16::from(choices);
    let sender = if choices & 1 == 0 { Sender::Client } else { Sender::Server };
    // A broker's direction learns the version from the client's.
    let version = if choices & 2 == 0 { 4 } else { 5 };
    let bytes = input.rest();

    let transcript = machine::check(Direction::new(sender, version), bytes, seed);
    let said: Vec<Said> = transcript.said.into_iter().filter_map(|(_, _, said)| said).collect();
    let reading = Reading::of(bytes, sender, version);
    match reading.end {
        End::Complete => assert!(transcript.wrong.is_none() && said == reading.said, "{said:?} {reading:?}"),
        End::Wrong => {
            assert!(transcript.wrong.is_some() && said.starts_with(&reading.said), "{said:?} {reading:?}");
        }
        End::Cut => assert!(said.starts_with(&reading.said), "{said:?} {reading:?}"),
    }
}

/// What a caller hears.
#[derive(Clone, Debug, PartialEq)]
enum Said {
    Object(Kind, Vec<u8>),
    Alias(u16),
    Note(Note),
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Direction {
    mqtt: Mqtt,
    object: Object,
    sender: Sender,
    /// A byte that the planted mistake loses.
    lost: bool,
}

impl Direction {
    fn new(sender: Sender, version: u8) -> Self {
        let mut mqtt = Mqtt::NEW;
        if sender == Sender::Server {
            mqtt.adopt(version);
        }
        Self { mqtt, object: Object::EMPTY, sender, lost: false }
    }

    fn said(&self, event: Event) -> Option<Said> {
        match event {
            Event::Object => {
                let text = self.object.text();
                if matches!(self.mqtt.kind(), Kind::MqttPublish | Kind::MqttSubscribe) {
                    self.check_levels(text);
                }
                Some(Said::Object(self.mqtt.kind(), text.to_vec()))
            }
            Event::Alias => Some(Said::Alias(self.mqtt.alias())),
            Event::Note(note) => Some(Said::Note(note)),
            Event::More | Event::Level | Event::Wrong(_) => None,
            Event::Request | Event::Becomes(_) => unreachable!("not of MQTT"),
        }
    }

    /// The levels that the automaton takes are those of the text, and the text is one that rules can name.
    fn check_levels(&self, text: &[u8]) {
        let levels: Vec<&[u8]> = text.split(|byte| *byte == b'/').collect();
        assert_eq!(usize::from(self.object.levels()) + 1, levels.len(), "levels");
        let last = levels.last().copied().unwrap_or_default();
        assert_eq!(self.object.level(), if last.is_empty() { 0 } else { hash(last, &KEY) }, "the last level");
        let text = std::str::from_utf8(text).expect("an object is well-formed");
        match Filter::try_from(text) {
            Ok(filter) => assert_eq!(filter.as_str(), text),
            Err(error) => assert_eq!(error, graph::filter::FilterError::TooDeep, "{text:?}"),
        }
    }
}

impl Machine for Direction {
    type Said = Option<Said>;

    fn step(&mut self, byte: u8, said: &mut impl FnMut(Event, Option<Said>)) -> Event {
        if std::mem::take(&mut self.lost) {
            return Event::More;
        }
        let mut event = self.mqtt.step(&mut self.object, byte, self.sender, &KEY);
        assert!(self.object.text().len() <= OBJECT_CAP);
        if event == Event::Level {
            said(event, None);
            self.mqtt.next_level(&mut self.object);
            event = if self.mqtt.ends_with_slash() { self.mqtt.finish_text() } else { Event::More };
        }
        if event != Event::More {
            said(event, self.said(event));
        }
        event
    }

    fn skip(&mut self, available: u32) -> u32 {
        self.mqtt.skip(available)
    }

    fn cut(&mut self) {
        // The state forgets the wildcard of a deep level, so that the next byte seems to belong to it.
        self.lost = cfg!(feature = "planted") && self.object.levels() > 1 && self.mqtt.wildcard() == b'+';
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// The last packet is complete.
    Complete,
    /// It is not, and nothing is wrong before it.
    Cut,
    /// A packet is wrong.
    Wrong,
}

/// What the complete packets at the front say.
#[derive(Debug)]
struct Reading {
    said: Vec<Said>,
    end: End,
}

impl Reading {
    fn of(mut bytes: &[u8], sender: Sender, version: u8) -> Self {
        let mut session = Session { sender, version: 0, opened: false };
        if sender == Sender::Server {
            session.version = version;
        }
        let mut said = Vec::new();
        while let Some((&fixed, rest)) = bytes.split_first() {
            let length = varint(rest);
            let body = match length {
                _ if !session.may_begin(fixed) => Err(End::Wrong),
                Err(end) => Err(end),
                Ok((length, used)) => rest.get(used..used + length).ok_or(End::Cut),
            };
            let packet = body.and_then(|body| session.packet(fixed, body).ok_or(End::Wrong));
            match packet {
                Ok(packet) => said.extend(packet),
                Err(end) => return Self { said, end },
            }
            let (length, used) = length.expect("its packet was read");
            bytes = &rest[used + length..];
        }
        Self { said, end: End::Complete }
    }
}

/// A variable byte integer and its length.
fn varint(bytes: &[u8]) -> Result<(usize, usize), End> {
    let mut value = 0;
    for (at, byte) in bytes.iter().take(4).enumerate() {
        value += usize::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            return if *byte == 0 && at > 0 { Err(End::Wrong) } else { Ok((value, at + 1)) };
        }
    }
    Err(if bytes.len() < 4 { End::Cut } else { End::Wrong })
}

struct Session {
    sender: Sender,
    version: u8,
    opened: bool,
}

impl Session {
    /// Whether a packet may begin with this byte here.
    fn may_begin(&self, fixed: u8) -> bool {
        let (kind, flags) = (fixed >> 4, fixed & 15);
        let client = [1, 3, 4, 5, 6, 7, 8, 10, 12, 14, 15];
        let server = [2, 3, 4, 5, 6, 7, 9, 11, 13, 14, 15];
        let known = if self.sender == Sender::Client { client } else { server }.contains(&kind);
        let first = kind == 1 || kind == 2;
        let early = kind == 15 && self.sender == Sender::Server;
        let flags_fit = match kind {
            3 => flags & 6 != 6,
            6 | 8 | 10 => flags == 2,
            _ => flags == 0,
        };
        known && flags_fit && (first != self.opened || early) && (kind != 15 || self.version == 5)
    }

    fn packet(&mut self, fixed: u8, body: &[u8]) -> Option<Vec<Said>> {
        let mut body = Body(body);
        let said = match (fixed >> 4, self.sender) {
            (1, _) => self.connect(&mut body)?,
            (2, _) => self.connack(&mut body)?,
            (3, _) => self.publish(fixed, &mut body)?,
            (8, Sender::Client) => self.subscribe(&mut body)?,
            _ => return Some(Vec::new()),
        };
        body.0.is_empty().then_some(said)
    }

    fn connect(&mut self, body: &mut Body) -> Option<Vec<Said>> {
        let name = body.bytes()?;
        self.version = body.byte()?;
        self.opened = true;
        if !matches!((name, self.version), (b"MQIsdp", 3) | (b"MQTT", 4 | 5)) {
            return None;
        }
        let flags = body.byte()?;
        let [reserved, _, will, qos_low, qos_high, retain, password, user] =
            [0, 1, 2, 3, 4, 5, 6, 7].map(|bit| flags & 1 << bit != 0);
        let qos_3 = qos_low && qos_high;
        let orphan = password && !user && self.version < 5;
        if reserved || qos_3 || orphan || (!will && (qos_low || qos_high || retain)) {
            return None;
        }
        body.take(2)?;
        self.properties(body, false)?;
        let mut said = vec![Said::Object(Kind::MqttConnect, body.text()?.to_vec())];
        if will {
            self.properties(body, false)?;
            said.push(Said::Object(Kind::MqttPublish, body.topic(false)?.to_vec()));
            body.bytes()?;
        }
        if user {
            said.push(Said::Object(Kind::MqttUser, body.text()?.to_vec()));
        }
        if password {
            body.bytes()?;
        }
        Some(said)
    }

    fn connack(&mut self, body: &mut Body) -> Option<Vec<Said>> {
        let [flags, code] = [body.byte()?, body.byte()?];
        self.opened = true;
        if flags > 1 || (self.version == 5 && body.0.is_empty()) {
            return None;
        }
        if self.version == 5 {
            body.0 = &[];
        }
        Some(match (code, flags) {
            (0, 0) => Vec::new(),
            (0, _) => vec![Said::Note(Note::SessionPresent)],
            _ => vec![Said::Note(Note::LoginFailed)],
        })
    }

    fn publish(&self, fixed: u8, body: &mut Body) -> Option<Vec<Said>> {
        let five = self.version == 5;
        let topic = body.topic(five)?;
        if fixed & 6 != 0 {
            body.id()?;
        }
        let Properties { alias } = self.properties(body, true)?;
        if topic.is_empty() && alias.is_none() {
            return None;
        }
        body.0 = &[];
        let topic = (!topic.is_empty()).then(|| Said::Object(Kind::MqttPublish, topic.to_vec()));
        Some(topic.into_iter().chain(alias.map(Said::Alias)).collect())
    }

    fn subscribe(&self, body: &mut Body) -> Option<Vec<Said>> {
        body.id()?;
        self.properties(body, false)?;
        let mut said = Vec::new();
        while !body.0.is_empty() || said.is_empty() {
            let filter = std::str::from_utf8(body.text()?).ok()?;
            if filter.is_empty() || !is_filter(filter) {
                return None;
            }
            said.push(Said::Object(Kind::MqttSubscribe, filter.as_bytes().to_vec()));
            let options = body.byte()?;
            let reserved = if self.version == 5 { 0xc0 } else { 0xfc };
            if options & reserved != 0 || options & 3 == 3 || options >> 4 & 3 == 3 {
                return None;
            }
        }
        Some(said)
    }

    /// The alias among the properties; MQTT before 5 has none.
    fn properties(&self, body: &mut Body, aliases: bool) -> Option<Properties> {
        if self.version != 5 {
            return Some(Properties { alias: None });
        }
        let (length, used) = varint(body.0).ok()?;
        body.take(used)?;
        let mut list = Body(body.take(length)?);
        let mut alias = None;
        while let Some((&id, rest)) = list.0.split_first() {
            list.0 = rest;
            match id {
                0x01 | 0x17 | 0x19 | 0x24 | 0x25 | 0x28 | 0x29 | 0x2a => list.take(1).map(|_| ())?,
                0x13 | 0x21 | 0x22 => list.take(2).map(|_| ())?,
                0x02 | 0x11 | 0x18 | 0x27 => list.take(4).map(|_| ())?,
                0x03 | 0x08 | 0x09 | 0x12 | 0x15 | 0x16 | 0x1a | 0x1c | 0x1f => list.bytes().map(|_| ())?,
                0x26 => list.bytes().and_then(|_| list.bytes()).map(|_| ())?,
                0x0b => {
                    let (value, used) = varint(list.0).ok()?;
                    list.take(used).filter(|_| value != 0)?;
                }
                0x23 if aliases && alias.is_none() => alias = Some(list.id()?),
                _ => return None,
            }
        }
        Some(Properties { alias })
    }
}

/// What of the properties matters here.
struct Properties {
    alias: Option<u16>,
}

/// MQTT 5, section 4.7.1.
fn is_filter(text: &str) -> bool {
    let levels: Vec<&str> = text.split('/').collect();
    levels.iter().enumerate().all(|(at, level)| {
        *level == "+" || !level.contains(['+', '#']) || (*level == "#" && at + 1 == levels.len())
    })
}

/// What is left of a packet.
struct Body<'a>(&'a [u8]);

impl<'a> Body<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1).map(|taken| taken[0])
    }

    /// A number of two bytes that is not 0.
    fn id(&mut self) -> Option<u16> {
        let [high, low] = *self.take(2)? else { return None };
        Some(u16::from_be_bytes([high, low])).filter(|id| *id != 0)
    }

    /// Bytes with their length before them.
    fn bytes(&mut self) -> Option<&'a [u8]> {
        let [high, low] = *self.take(2)? else { return None };
        self.take(usize::from(u16::from_be_bytes([high, low])))
    }

    /// A text that is judged.
    fn text(&mut self) -> Option<&'a [u8]> {
        let text = self.bytes()?;
        (text.len() <= OBJECT_CAP && !text.contains(&0) && std::str::from_utf8(text).is_ok()).then_some(text)
    }

    fn topic(&mut self, may_be_empty: bool) -> Option<&'a [u8]> {
        let topic = self.text()?;
        let wild = topic.iter().any(|byte| b"+#".contains(byte));
        (!wild && (may_be_empty || !topic.is_empty())).then_some(topic)
    }
}
