//! MQTT 3.1, 3.1.1 and 5.0, byte by byte.
//!
//! [`Stream::step`] takes one byte of one direction and says when a level, an object (topic, filter, client id) or a
//! packet is complete. A message may be cut at any byte: everything that must be remembered is in [`Stream`], and a
//! PUBLISH payload is skipped without being read ([`Stream::skip`]). The caller judges objects; the machine knows no
//! policy. Clauses in brackets are those of the OASIS standards.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::abi::{Kind, OBJECT_CAP};
use crate::hash::{HashKey, Hasher};
use crate::reason::Reason;
use crate::wire::{Event, Sender};

/// Where in a packet the next byte belongs.
mod phase {
    pub(super) const FIXED: u8 = 0;
    pub(super) const LENGTH: u8 = 1;
    pub(super) const TEXT_HIGH: u8 = 2;
    pub(super) const TEXT_LOW: u8 = 3;
    pub(super) const TEXT: u8 = 4;
    pub(super) const ID_HIGH: u8 = 5;
    pub(super) const ID_LOW: u8 = 6;
    pub(super) const PROPERTIES: u8 = 7;
    pub(super) const PROPERTY: u8 = 8;
    pub(super) const PROPERTY_SKIP: u8 = 9;
    pub(super) const PROPERTY_HIGH: u8 = 10;
    pub(super) const PROPERTY_LOW: u8 = 11;
    pub(super) const PROPERTY_VARINT: u8 = 12;
    pub(super) const ALIAS_HIGH: u8 = 13;
    pub(super) const ALIAS_LOW: u8 = 14;
    pub(super) const OPTIONS: u8 = 15;
    pub(super) const SKIP: u8 = 16;
    pub(super) const NAME: u8 = 17;
    pub(super) const VERSION: u8 = 18;
    pub(super) const FLAGS: u8 = 19;
    pub(super) const KEEP_ALIVE_HIGH: u8 = 20;
    pub(super) const KEEP_ALIVE_LOW: u8 = 21;
}

/// What the text being read is.
mod text {
    pub(super) const TOPIC: u8 = 0;
    pub(super) const FILTER: u8 = 1;
    pub(super) const CLIENT: u8 = 2;
    pub(super) const WILL: u8 = 3;
}

const CONNECT: u8 = 1;
const PUBLISH: u8 = 3;
const SUBSCRIBE: u8 = 8;

/// One direction of a connection. The public fields belong to the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Stream {
    /// Held by the CPU that judges this direction; 0 is free.
    pub lock: u64,
    /// Number of the connection, here and at the end: a slot that was given to another connection while a CPU still wrote
    /// the state of the old one has two numbers, or a foreign one.
    pub owner: u64,
    /// Rule that the last object was judged by; 0 is none.
    pub rule: u32,
    /// State of the automaton over the levels of the current object.
    pub automaton: u32,
    /// Sequence number of the next byte.
    pub next: u32,
    /// Bytes of the packet that have not come yet.
    remaining: u32,
    level: Hasher,
    whole: Hasher,
    /// Bytes of the current field that have not come yet.
    field: u32,
    /// Bytes of the properties that have not come yet.
    properties: u32,
    phase: u8,
    /// First byte of the packet.
    fixed: u8,
    /// Bytes read of a variable byte integer.
    shift: u8,
    /// Protocol level of CONNECT; 0 before it.
    version: u8,
    text: u8,
    connect_flags: u8,
    /// Length of the protocol's name in CONNECT.
    name_len: u8,
    /// 1 while the first string of a pair is read.
    pair: u8,
    /// Bytes of the current UTF-8 sequence that have not come yet.
    utf8: u8,
    /// Bounds of the next byte of the sequence (RFC 3629, section 4).
    utf8_low: u8,
    utf8_high: u8,
    /// Whether this level is a wildcard.
    wildcard: u8,
    /// 1 after an alias property in this PUBLISH.
    has_alias: u8,
    /// What the last object was.
    kind: u8,
    alias: u16,
    packet_id: u16,
    object_len: u16,
    level_len: u16,
    /// Levels of the current object that have ended.
    levels: u16,
    /// Objects of the current packet that have ended.
    objects: u16,
    pad: [u8; 6],
    object: [u8; OBJECT_CAP],
    owner_again: u64,
}

impl Stream {
    /// A direction of which nothing has been seen.
    pub const NEW: Self = Self {
        lock: 0,
        owner: 0,
        rule: 0,
        automaton: 0,
        next: 0,
        level: Hasher::ZERO,
        whole: Hasher::ZERO,
        remaining: 0,
        field: 0,
        properties: 0,
        phase: phase::FIXED,
        fixed: 0,
        shift: 0,
        version: 0,
        text: 0,
        connect_flags: 0,
        name_len: 0,
        pair: 0,
        utf8: 0,
        utf8_low: 0,
        utf8_high: 0,
        wildcard: 0,
        has_alias: 0,
        kind: 0,
        alias: 0,
        packet_id: 0,
        object_len: 0,
        level_len: 0,
        levels: 0,
        objects: 0,
        pad: [0; 6],
        object: [0; OBJECT_CAP],
        owner_again: 0,
    };

    /// Makes the state that of this connection, whose next byte has this sequence number.
    #[inline(always)]
    pub fn belong_to(&mut self, owner: u64, next: u32) {
        self.owner = owner;
        self.owner_again = owner;
        self.next = next;
    }

    /// Whether the whole state is that of this connection.
    #[inline(always)]
    pub const fn belongs_to(&self, owner: u64) -> bool {
        self.owner == owner && self.owner_again == owner
    }

    /// Keyed hash of the level that ended; `+` and `#` of a filter are told by [`Stream::wildcard`].
    #[inline(always)]
    pub const fn level(&self) -> u64 {
        self.level.finish()
    }

    /// `+` or `#` if the level that ended is this wildcard, else 0.
    #[inline(always)]
    pub const fn wildcard(&self) -> u8 {
        self.wildcard
    }

    /// Keyed hash of the whole object.
    #[inline(always)]
    pub const fn object_hash(&self) -> u64 {
        self.whole.finish()
    }

    /// The object's text so far; complete after [`Event::Object`].
    pub fn object(&self) -> &[u8] {
        self.object.get(..self.object_len as usize).unwrap_or(&[])
    }

    /// The object's buffer and length, for a caller that copies without slicing.
    #[inline(always)]
    pub const fn object_buffer(&self) -> (&[u8; OBJECT_CAP], u16) {
        (&self.object, self.object_len)
    }

    /// Whether the object begins with `$`, so that root wildcards do not match it [4.7.2].
    #[inline(always)]
    pub const fn is_dollar(&self) -> bool {
        self.object_len > 0 && self.object[0] == b'$'
    }

    /// Whether the level that ended is the first one.
    #[inline(always)]
    pub const fn is_first_level(&self) -> bool {
        self.levels == 0
    }

    /// Topic alias of the current PUBLISH.
    #[inline(always)]
    pub const fn alias(&self) -> u16 {
        self.alias
    }

    /// Whether the current PUBLISH carries no topic of its own.
    #[inline(always)]
    pub const fn is_alias_only(&self) -> bool {
        self.object_len == 0
    }

    /// What the last object is the object of: a Will topic is that of a PUBLISH.
    #[inline(always)]
    pub const fn kind(&self) -> Kind {
        match self.kind {
            text::FILTER => Kind::MqttSubscribe,
            text::CLIENT => Kind::MqttConnect,
            _ => Kind::MqttPublish,
        }
    }

    /// What the text being read is the object of.
    #[inline(always)]
    pub const fn reading(&self) -> Kind {
        match self.text {
            text::FILTER => Kind::MqttSubscribe,
            text::CLIENT => Kind::MqttConnect,
            _ => Kind::MqttPublish,
        }
    }

    /// Whether the protocol is certain: CONNECT or CONNACK was seen.
    #[inline(always)]
    pub const fn is_recognised(&self) -> bool {
        self.version != 0
    }

    /// Whether the next byte begins a packet.
    #[inline(always)]
    pub const fn at_boundary(&self) -> bool {
        self.phase == phase::FIXED
    }

    /// Bytes that may be passed over unread, at most `available`.
    #[inline(always)]
    pub fn skip(&mut self, available: u32) -> u32 {
        if self.phase != phase::SKIP {
            return 0;
        }
        let skipped = if self.remaining < available { self.remaining } else { available };
        self.remaining -= skipped;
        if self.remaining == 0 {
            self.phase = phase::FIXED;
        }
        skipped
    }

    /// Takes one byte.
    #[inline(always)]
    pub fn step(&mut self, byte: u8, sender: Sender, key: &HashKey) -> Event {
        match self.phase {
            phase::FIXED => return self.fixed(byte, sender),
            phase::LENGTH => return self.length(byte, sender),
            _ => {}
        }
        self.remaining = self.remaining.wrapping_sub(1);
        let event = match self.phase {
            phase::TEXT => self.text(byte, key),
            phase::TEXT_HIGH => {
                self.field = (byte as u32) << 8;
                self.phase = phase::TEXT_LOW;
                Event::More
            }
            phase::TEXT_LOW => self.text_length(byte),
            phase::ID_HIGH => {
                self.packet_id = (byte as u16) << 8;
                self.phase = phase::ID_LOW;
                Event::More
            }
            phase::ID_LOW => self.packet_id(byte),
            phase::PROPERTIES => self.properties_length(byte),
            phase::PROPERTY..=phase::ALIAS_LOW => self.property(byte),
            phase::OPTIONS => self.options(byte),
            phase::SKIP => Event::More,
            _ => self.connect(byte),
        };
        // A level whose slash is the last byte goes on in `finish_text`.
        if self.remaining == 0 && event != Event::Level {
            return self.end(event);
        }
        event
    }

    /// The last byte of a packet: only where a packet may end.
    #[inline(always)]
    fn end(&mut self, event: Event) -> Event {
        if matches!(event, Event::Wrong(_)) {
            return event;
        }
        let may_end = match self.phase {
            phase::SKIP => true,
            phase::TEXT_HIGH => self.text == text::FILTER && self.objects > 0,
            _ => false,
        };
        if !may_end {
            return Event::Wrong(Reason::Malformed);
        }
        self.phase = phase::FIXED;
        event
    }

    /// First byte of a packet: type and flags [2.2].
    #[inline(always)]
    fn fixed(&mut self, byte: u8, sender: Sender) -> Event {
        let kind = byte >> 4;
        let flags = byte & 0x0f;
        let known = match sender {
            Sender::Client => matches!(kind, 1 | 3..=8 | 10 | 12 | 14 | 15),
            Sender::Server => matches!(kind, 2..=7 | 9 | 11 | 13..=15),
        };
        if !known {
            return Event::Wrong(Reason::ProtoChanged);
        }
        // Client: the first packet is CONNECT and there is no second one [3.1.0]. Server: CONNACK first, once.
        // AUTH may come before CONNACK [5.0, 4.12].
        let opening = kind <= 2;
        let authenticates = kind == 15 && matches!(sender, Sender::Server);
        if opening == (self.version != 0) && !authenticates {
            return Event::Wrong(if opening { Reason::Malformed } else { Reason::ProtoChanged });
        }
        if let Sender::Server = sender {
            if opening {
                self.version = 1;
            }
        } else if kind == 15 && self.version < 5 {
            return Event::Wrong(Reason::Malformed);
        }
        let wanted = match kind {
            6 | 8 | 10 => 2,
            _ => 0,
        };
        if kind != PUBLISH && flags != wanted || kind == PUBLISH && flags & 0x06 == 0x06 {
            return Event::Wrong(if opening { Reason::ProtoChanged } else { Reason::Malformed });
        }
        self.fixed = byte;
        self.remaining = 0;
        self.shift = 0;
        self.objects = 0;
        self.phase = phase::LENGTH;
        Event::More
    }

    /// Remaining length [2.2.3]: at most four bytes, and no more than needed.
    #[inline(always)]
    fn length(&mut self, byte: u8, sender: Sender) -> Event {
        self.remaining |= ((byte & 0x7f) as u32) << (self.shift & 31);
        if byte & 0x80 != 0 {
            self.shift += 7;
            return if self.shift > 21 { Event::Wrong(Reason::Malformed) } else { Event::More };
        }
        if byte == 0 && self.shift != 0 {
            return Event::Wrong(Reason::Malformed);
        }
        let kind = self.fixed >> 4;
        self.object_len = 0;
        self.has_alias = 0;
        self.rule = 0;
        match (sender, kind) {
            (Sender::Client, CONNECT) => {
                self.phase = phase::NAME;
                self.field = 0;
            }
            (Sender::Client, PUBLISH) => {
                self.text = text::TOPIC;
                self.phase = phase::TEXT_HIGH;
            }
            (Sender::Client, SUBSCRIBE) => {
                self.text = text::FILTER;
                self.phase = phase::ID_HIGH;
            }
            _ => {
                self.phase = if self.remaining == 0 { phase::FIXED } else { phase::SKIP };
                return Event::More;
            }
        }
        if self.remaining == 0 { Event::Wrong(Reason::Malformed) } else { Event::More }
    }

    /// Second byte of a string's length [1.5.4].
    #[inline(always)]
    fn text_length(&mut self, byte: u8) -> Event {
        self.field |= byte as u32;
        if self.field > self.remaining {
            return Event::Wrong(Reason::Malformed);
        }
        if self.field > OBJECT_CAP as u32 {
            return Event::Wrong(Reason::ObjectCap);
        }
        self.level = Hasher::ZERO;
        self.whole = Hasher::ZERO;
        self.object_len = 0;
        self.level_len = 0;
        self.levels = 0;
        self.wildcard = 0;
        self.utf8 = 0;
        self.phase = phase::TEXT;
        if self.field != 0 {
            return Event::More;
        }
        match self.text {
            // The server names the client [3.1.3.1].
            text::CLIENT => self.text_end(),
            // Only an alias of MQTT 5 may stand for the topic [3.3.2.3.4].
            text::TOPIC if self.version >= 5 => {
                self.after_topic();
                Event::More
            }
            _ => Event::Wrong(Reason::Malformed),
        }
    }

    /// A byte of a topic, filter or client id.
    #[inline(always)]
    fn text(&mut self, byte: u8, key: &HashKey) -> Event {
        if byte == 0 || !self.utf8(byte) {
            return Event::Wrong(Reason::Malformed);
        }
        let at = self.object_len as usize;
        if at >= OBJECT_CAP {
            return Event::Wrong(Reason::ObjectCap);
        }
        self.object[at] = byte;
        self.object_len = at as u16 + 1;
        self.field = self.field.wrapping_sub(1);
        self.whole = self.whole.push(byte, key);
        let last = self.field == 0;
        if last && self.utf8 != 0 {
            return Event::Wrong(Reason::Malformed);
        }
        let levels = self.text != text::CLIENT;
        if levels && byte == b'/' {
            return Event::Level;
        }
        if levels && (byte == b'+' || byte == b'#') {
            // Wildcards stand alone in their level, `#` in the last one, and never in a topic [4.7.1].
            if self.text != text::FILTER || self.level_len != 0 || byte == b'#' && !last {
                return Event::Wrong(Reason::Malformed);
            }
            self.wildcard = byte;
        } else if self.wildcard != 0 {
            return Event::Wrong(Reason::Malformed);
        }
        self.level = self.level.push(byte, key);
        self.level_len += 1;
        if last { self.text_end() } else { Event::More }
    }

    /// To be called by the caller once it has taken [`Event::Level`]: the next level begins.
    #[inline(always)]
    pub fn next_level(&mut self) {
        self.level = Hasher::ZERO;
        self.level_len = 0;
        self.wildcard = 0;
        self.levels = self.levels.saturating_add(1);
    }

    /// Whether the level that ended by [`Event::Level`] was the last byte: one empty level follows, and
    /// [`Stream::finish_text`] ends the object.
    #[inline(always)]
    pub const fn ends_with_slash(&self) -> bool {
        self.field == 0 && self.phase == phase::TEXT
    }

    /// Ends an object whose last byte was `/`.
    #[inline(always)]
    pub fn finish_text(&mut self) -> Event {
        self.text_end();
        if self.remaining == 0 { self.end(Event::Object) } else { Event::Object }
    }

    #[inline(always)]
    fn text_end(&mut self) -> Event {
        self.objects = self.objects.saturating_add(1);
        self.kind = self.text;
        match self.text {
            text::TOPIC => self.after_topic(),
            text::FILTER => self.phase = phase::OPTIONS,
            text::CLIENT => {
                self.text = text::WILL;
                self.shift = 0;
                self.field = 0;
                self.phase = if self.connect_flags & 0x04 == 0 {
                    phase::SKIP
                } else if self.version >= 5 {
                    phase::PROPERTIES
                } else {
                    phase::TEXT_HIGH
                };
            }
            _ => self.phase = phase::SKIP,
        }
        Event::Object
    }

    /// What follows the topic of a PUBLISH: packet id for `QoS` 1 and 2, properties for MQTT 5, payload.
    #[inline(always)]
    fn after_topic(&mut self) {
        self.shift = 0;
        self.field = 0;
        self.phase = if self.fixed & 0x06 != 0 {
            phase::ID_HIGH
        } else if self.version >= 5 {
            phase::PROPERTIES
        } else {
            phase::SKIP
        };
    }

    #[inline(always)]
    fn packet_id(&mut self, byte: u8) -> Event {
        self.packet_id |= byte as u16;
        if self.packet_id == 0 {
            return Event::Wrong(Reason::Malformed);
        }
        self.shift = 0;
        self.field = 0;
        self.phase = if self.version >= 5 {
            phase::PROPERTIES
        } else if self.fixed >> 4 == SUBSCRIBE {
            phase::TEXT_HIGH
        } else {
            phase::SKIP
        };
        Event::More
    }

    /// A variable byte integer in `field`; `None` until it is complete.
    #[inline(always)]
    fn varint(&mut self, byte: u8) -> Option<Result<u32, ()>> {
        self.field |= ((byte & 0x7f) as u32) << (self.shift & 31);
        if byte & 0x80 != 0 {
            self.shift += 7;
            return if self.shift > 21 { Some(Err(())) } else { None };
        }
        if byte == 0 && self.shift != 0 { Some(Err(())) } else { Some(Ok(self.field)) }
    }

    #[inline(always)]
    fn properties_length(&mut self, byte: u8) -> Event {
        match self.varint(byte) {
            None => Event::More,
            Some(Ok(length)) if length <= self.remaining => {
                self.properties = length;
                if length == 0 {
                    return self.after_properties();
                }
                self.phase = phase::PROPERTY;
                Event::More
            }
            Some(_) => Event::Wrong(Reason::Malformed),
        }
    }

    /// What follows the properties of this packet.
    #[inline(always)]
    fn after_properties(&mut self) -> Event {
        self.field = 0;
        self.shift = 0;
        match self.fixed >> 4 {
            PUBLISH => {
                self.phase = phase::SKIP;
                if self.has_alias != 0 {
                    return Event::Alias;
                }
                // Neither topic nor alias.
                if self.object_len == 0 { Event::Wrong(Reason::Malformed) } else { Event::More }
            }
            // CONNECT and SUBSCRIBE: before the client id, the Will topic, the first filter.
            _ => {
                self.phase = phase::TEXT_HIGH;
                Event::More
            }
        }
    }

    /// A byte of the properties [2.2.2].
    #[inline(always)]
    fn property(&mut self, byte: u8) -> Event {
        self.properties = self.properties.wrapping_sub(1);
        match self.phase {
            phase::PROPERTY => {
                self.shift = 0;
                self.field = 0;
                match byte {
                    // One byte.
                    0x01 | 0x17 | 0x19 | 0x24 | 0x25 | 0x28 | 0x29 | 0x2a => self.skip_property(1),
                    // Two bytes.
                    0x13 | 0x21 | 0x22 => self.skip_property(2),
                    0x23 => {
                        if self.fixed >> 4 != PUBLISH || self.has_alias != 0 {
                            return Event::Wrong(Reason::Malformed);
                        }
                        self.phase = phase::ALIAS_HIGH;
                    }
                    // Four bytes.
                    0x02 | 0x11 | 0x18 | 0x27 => self.skip_property(4),
                    0x0b => self.phase = phase::PROPERTY_VARINT,
                    // A string or binary data.
                    0x03 | 0x08 | 0x09 | 0x12 | 0x15 | 0x16 | 0x1a | 0x1c | 0x1f => {
                        self.phase = phase::PROPERTY_HIGH;
                    }
                    // A pair of strings.
                    0x26 => {
                        self.pair = 1;
                        self.phase = phase::PROPERTY_HIGH;
                    }
                    _ => return Event::Wrong(Reason::Malformed),
                }
            }
            phase::PROPERTY_SKIP => {
                self.field = self.field.wrapping_sub(1);
                if self.field == 0 {
                    self.property_end();
                }
            }
            phase::PROPERTY_HIGH => {
                self.field = (byte as u32) << 8;
                self.phase = phase::PROPERTY_LOW;
            }
            phase::PROPERTY_LOW => {
                self.field |= byte as u32;
                if self.field == 0 {
                    self.property_end();
                } else {
                    self.phase = phase::PROPERTY_SKIP;
                }
            }
            phase::PROPERTY_VARINT => match self.varint(byte) {
                None => {}
                Some(Ok(value)) if value != 0 => self.phase = phase::PROPERTY,
                Some(_) => return Event::Wrong(Reason::Malformed),
            },
            phase::ALIAS_HIGH => {
                self.alias = (byte as u16) << 8;
                self.phase = phase::ALIAS_LOW;
            }
            _ => {
                self.alias |= byte as u16;
                if self.alias == 0 {
                    return Event::Wrong(Reason::Malformed);
                }
                self.has_alias = 1;
                self.phase = phase::PROPERTY;
            }
        }
        if self.properties != 0 {
            return Event::More;
        }
        if self.phase == phase::PROPERTY { self.after_properties() } else { Event::Wrong(Reason::Malformed) }
    }

    #[inline(always)]
    fn skip_property(&mut self, bytes: u32) {
        self.field = bytes;
        self.phase = phase::PROPERTY_SKIP;
    }

    /// A string ended: the second one of a pair, or the next property.
    #[inline(always)]
    fn property_end(&mut self) {
        if self.pair != 0 {
            self.pair = 0;
            self.phase = phase::PROPERTY_HIGH;
        } else {
            self.phase = phase::PROPERTY;
        }
    }

    /// Options of a filter in SUBSCRIBE [3.8.3.1].
    #[inline(always)]
    fn options(&mut self, byte: u8) -> Event {
        let reserved = if self.version >= 5 { 0xc0 } else { 0xfc };
        if byte & reserved != 0 || byte & 0x03 == 3 || byte & 0x30 == 0x30 {
            return Event::Wrong(Reason::Malformed);
        }
        self.phase = phase::TEXT_HIGH;
        Event::More
    }

    /// The variable header of CONNECT [3.1.2].
    #[inline(always)]
    fn connect(&mut self, byte: u8) -> Event {
        match self.phase {
            phase::NAME => {
                let at = self.field;
                self.field += 1;
                // `MQTT` since 3.1.1, `MQIsdp` in 3.1; each with its length before it.
                if at == 1 {
                    self.name_len = byte;
                }
                let long = self.name_len == 6;
                let wanted = u64::from_be_bytes(if long { *b"\0\x06MQIsdp" } else { *b"\0\x04MQTT\0\0" });
                let end = if long { 8 } else { 6 };
                // A shift, not an index: the array would lie on the stack of a kernel program.
                let wanted = (wanted >> (56 - (at & 7) * 8)) as u8;
                if at != 1 && byte != wanted || at == 1 && byte != 4 && byte != 6 {
                    return Event::Wrong(Reason::ProtoChanged);
                }
                if self.field == end {
                    self.phase = phase::VERSION;
                }
                Event::More
            }
            phase::VERSION => {
                let fits = if self.name_len == 6 { byte == 3 } else { byte == 4 || byte == 5 };
                if !fits {
                    return Event::Wrong(Reason::Malformed);
                }
                self.version = byte;
                self.phase = phase::FLAGS;
                Event::More
            }
            phase::FLAGS => {
                let will = byte & 0x04 != 0;
                // Reserved bit; Will QoS 3; Will flags without a Will [3.1.2.3 to 3.1.2.7].
                if byte & 1 != 0 || byte & 0x18 == 0x18 || !will && byte & 0x38 != 0 {
                    return Event::Wrong(Reason::Malformed);
                }
                self.connect_flags = byte;
                self.phase = phase::KEEP_ALIVE_HIGH;
                Event::More
            }
            phase::KEEP_ALIVE_HIGH => {
                self.phase = phase::KEEP_ALIVE_LOW;
                Event::More
            }
            _ => {
                self.text = text::CLIENT;
                self.shift = 0;
                self.field = 0;
                self.phase = if self.version >= 5 { phase::PROPERTIES } else { phase::TEXT_HIGH };
                Event::More
            }
        }
    }

    /// Whether the byte continues well-formed UTF-8 (RFC 3629, section 4).
    #[inline(always)]
    fn utf8(&mut self, byte: u8) -> bool {
        if self.utf8 != 0 {
            if byte < self.utf8_low || byte > self.utf8_high {
                return false;
            }
            self.utf8 -= 1;
            self.utf8_low = 0x80;
            self.utf8_high = 0xbf;
            return true;
        }
        let (more, low, high) = match byte {
            0x00..=0x7f => (0, 0x80, 0xbf),
            0xc2..=0xdf => (1, 0x80, 0xbf),
            0xe0 => (2, 0xa0, 0xbf),
            0xed => (2, 0x80, 0x9f),
            0xe1..=0xef => (2, 0x80, 0xbf),
            0xf0 => (3, 0x90, 0xbf),
            0xf4 => (3, 0x80, 0x8f),
            0xf1..=0xf3 => (3, 0x80, 0xbf),
            _ => return false,
        };
        self.utf8 = more;
        self.utf8_low = low;
        self.utf8_high = high;
        true
    }
}

#[cfg(test)]
mod tests;
