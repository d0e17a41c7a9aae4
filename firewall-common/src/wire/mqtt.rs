//! MQTT 3.1, 3.1.1 and 5.0, byte by byte.
//!
//! [`Mqtt::step`] takes one byte of one direction and says when a level, an object (topic, filter, client id, user name)
//! or a packet is complete. A message may be cut at any byte: everything that must be remembered is in [`Mqtt`] and its
//! [`Object`], and a PUBLISH payload is skipped without being read ([`Mqtt::skip`]). The caller judges objects; the
//! machine knows no policy. Clauses in brackets are those of the OASIS standards.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::abi::{Kind, OBJECT_CAP};
use crate::hash::HashKey;
use crate::reason::Reason;
use crate::wire::object::Object;
use crate::wire::{Event, Note, Sender};

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
    pub(super) const WILL_HIGH: u8 = 22;
    pub(super) const WILL_LOW: u8 = 23;
    pub(super) const WILL_PAYLOAD: u8 = 24;
    pub(super) const PASSWORD_HIGH: u8 = 25;
    pub(super) const PASSWORD_LOW: u8 = 26;
    pub(super) const ACK_FLAGS: u8 = 27;
    pub(super) const ACK_CODE: u8 = 28;
    /// The packet is complete: it has no further byte.
    pub(super) const DONE: u8 = 29;
}

/// What the text being read is.
mod text {
    pub(super) const TOPIC: u8 = 0;
    pub(super) const FILTER: u8 = 1;
    pub(super) const CLIENT: u8 = 2;
    pub(super) const WILL: u8 = 3;
    pub(super) const USER: u8 = 4;
}

const CONNECT: u8 = 1;
const CONNACK: u8 = 2;
const PUBLISH: u8 = 3;
const SUBSCRIBE: u8 = 8;

/// Flags of CONNECT [3.1.2.3].
const WILL_FLAG: u8 = 0x04;
const PASSWORD_FLAG: u8 = 0x40;
const USER_FLAG: u8 = 0x80;

/// One direction of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Mqtt {
    /// Bytes of the packet that have not come yet.
    remaining: u32,
    /// Bytes of the current field that have not come yet.
    field: u32,
    /// Bytes of the properties that have not come yet.
    properties: u32,
    alias: u16,
    packet_id: u16,
    /// Objects of the current packet that have ended.
    objects: u16,
    phase: u8,
    /// First byte of the packet.
    fixed: u8,
    /// Bits read of a variable byte integer.
    shift: u8,
    /// Protocol level of CONNECT; 0 before it.
    version: u8,
    /// 1 after the packet that opens this direction: CONNECT or CONNACK.
    opened: u8,
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
    /// Flags of CONNACK.
    ack_flags: u8,
    pad: [u8; 6],
}

impl Mqtt {
    /// A direction of which nothing has been seen.
    pub const NEW: Self = Self {
        remaining: 0,
        field: 0,
        properties: 0,
        alias: 0,
        packet_id: 0,
        objects: 0,
        phase: phase::FIXED,
        fixed: 0,
        shift: 0,
        version: 0,
        opened: 0,
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
        ack_flags: 0,
        pad: [0; 6],
    };

    /// `+` or `#` if the level that ended is this wildcard, else 0.
    #[inline(always)]
    pub const fn wildcard(&self) -> u8 {
        self.wildcard
    }

    /// Topic alias of the current PUBLISH.
    #[inline(always)]
    pub const fn alias(&self) -> u16 {
        self.alias
    }

    /// What the last object is the object of: a Will topic is that of a PUBLISH.
    #[inline(always)]
    pub const fn kind(&self) -> Kind {
        kind_of(self.kind)
    }

    /// What the text being read is the object of.
    #[inline(always)]
    pub const fn reading(&self) -> Kind {
        kind_of(self.text)
    }

    /// Quality of service of the PUBLISH or Will at hand: 0, 1 or 2.
    #[inline(always)]
    pub const fn qos(&self) -> u8 {
        if self.fixed >> 4 == CONNECT { self.connect_flags >> 3 & 3 } else { self.fixed >> 1 & 3 }
    }

    /// Whether the PUBLISH or Will at hand is to be retained.
    #[inline(always)]
    pub const fn retains(&self) -> bool {
        if self.fixed >> 4 == CONNECT { self.connect_flags & 0x20 != 0 } else { self.fixed & 1 != 0 }
    }

    /// Protocol level of the connection; 0 before CONNECT.
    #[inline(always)]
    pub const fn version(&self) -> u8 {
        self.version
    }

    /// Type of the packet at hand [2.1.2].
    #[inline(always)]
    pub const fn packet(&self) -> u8 {
        self.fixed >> 4
    }

    /// Tells the server's direction the protocol level that the client has chosen.
    #[inline(always)]
    pub fn adopt(&mut self, version: u8) {
        self.version = version;
    }

    /// Whether the protocol is certain: the name in CONNECT was read, or CONNACK.
    #[inline(always)]
    pub const fn is_recognised(&self) -> bool {
        self.opened != 0
    }

    /// Whether the next byte begins a packet.
    #[inline(always)]
    pub const fn at_boundary(&self) -> bool {
        self.phase == phase::FIXED
    }

    /// Whether the text at hand is needed no more.
    #[inline(always)]
    pub const fn at_rest(&self) -> bool {
        self.phase == phase::FIXED || self.phase == phase::SKIP
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

    /// Bytes of the text at hand that [`Mqtt::run`] may take: all but the last one, which ends it.
    #[inline(always)]
    pub const fn plain(&self) -> u32 {
        let within = self.phase == phase::TEXT && self.utf8 == 0 && self.wildcard == 0;
        if within { self.field.saturating_sub(1) } else { 0 }
    }

    /// Takes bytes of the window from this place on, at most so many, as [`Mqtt::step`] would one by one without an event;
    /// returns how many.
    #[inline(always)]
    pub fn run<const N: usize>(
        &mut self,
        object: &mut Object,
        window: &[u8; N],
        from: u32,
        most: u32,
        key: &HashKey,
        hidden: impl Fn(u64) -> u64,
    ) -> u32 {
        let plain = self.plain();
        let taken = object.run(window, from, if plain < most { plain } else { most }, key, hidden);
        self.field = self.field.wrapping_sub(taken);
        self.remaining = self.remaining.wrapping_sub(taken);
        taken
    }

    /// Takes one byte.
    #[inline(always)]
    pub fn step(&mut self, object: &mut Object, byte: u8, sender: Sender, key: &HashKey) -> Event {
        match self.phase {
            phase::FIXED => return self.fixed(byte, sender),
            phase::LENGTH => return self.length(object, byte, sender),
            _ => {}
        }
        self.remaining = self.remaining.wrapping_sub(1);
        let event = match self.phase {
            phase::TEXT => self.text(object, byte, key),
            phase::TEXT_HIGH => {
                self.field = (byte as u32) << 8;
                self.phase = phase::TEXT_LOW;
                Event::More
            }
            phase::TEXT_LOW => self.text_length(object, byte),
            phase::ID_HIGH => {
                self.packet_id = (byte as u16) << 8;
                self.phase = phase::ID_LOW;
                Event::More
            }
            phase::ID_LOW => self.packet_id(byte),
            phase::PROPERTIES => self.properties_length(object, byte),
            phase::PROPERTY..=phase::ALIAS_LOW => self.property(object, byte),
            phase::OPTIONS => self.options(byte),
            phase::SKIP => Event::More,
            phase::WILL_HIGH..=phase::DONE => self.last_fields(byte),
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
            phase::SKIP | phase::DONE => true,
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
        if opening == (self.opened != 0) && !authenticates {
            return Event::Wrong(if opening { Reason::Malformed } else { Reason::ProtoChanged });
        }
        if kind == 15 && self.version < 5 {
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
    fn length(&mut self, object: &mut Object, byte: u8, sender: Sender) -> Event {
        self.remaining |= ((byte & 0x7f) as u32) << (self.shift & 31);
        if byte & 0x80 != 0 {
            self.shift += 7;
            return if self.shift > 21 { Event::Wrong(Reason::Malformed) } else { Event::More };
        }
        if byte == 0 && self.shift != 0 {
            return Event::Wrong(Reason::Malformed);
        }
        let kind = self.fixed >> 4;
        object.clear();
        self.has_alias = 0;
        match (sender, kind) {
            (Sender::Client, CONNECT) => {
                self.phase = phase::NAME;
                self.field = 0;
            }
            (Sender::Client | Sender::Server, PUBLISH) => {
                self.text = text::TOPIC;
                self.phase = phase::TEXT_HIGH;
            }
            (Sender::Client, SUBSCRIBE) => {
                self.text = text::FILTER;
                self.phase = phase::ID_HIGH;
            }
            (Sender::Server, CONNACK) => self.phase = phase::ACK_FLAGS,
            _ => {
                self.phase = if self.remaining == 0 { phase::FIXED } else { phase::SKIP };
                return Event::More;
            }
        }
        if self.remaining == 0 { Event::Wrong(Reason::Malformed) } else { Event::More }
    }

    /// Second byte of a string's length [1.5.4].
    #[inline(always)]
    fn text_length(&mut self, object: &mut Object, byte: u8) -> Event {
        self.field |= byte as u32;
        if self.field > self.remaining {
            return Event::Wrong(Reason::Malformed);
        }
        if self.field > OBJECT_CAP as u32 {
            return Event::Wrong(Reason::ObjectCap);
        }
        object.clear();
        self.wildcard = 0;
        self.utf8 = 0;
        self.phase = phase::TEXT;
        if self.field != 0 {
            return Event::More;
        }
        match self.text {
            // The server names the client [3.1.3.1]; a user name may be empty.
            text::CLIENT | text::USER => self.text_end(),
            // Only an alias of MQTT 5 may stand for the topic [3.3.2.3.4].
            text::TOPIC if self.version >= 5 => {
                self.after_topic();
                Event::More
            }
            _ => Event::Wrong(Reason::Malformed),
        }
    }

    /// A byte of a topic, filter, client id or user name.
    #[inline(always)]
    fn text(&mut self, object: &mut Object, byte: u8, key: &HashKey) -> Event {
        if byte == 0 || !self.utf8(byte) {
            return Event::Wrong(Reason::Malformed);
        }
        if !object.put(byte) {
            return Event::Wrong(Reason::ObjectCap);
        }
        self.field = self.field.wrapping_sub(1);
        let last = self.field == 0;
        if last && self.utf8 != 0 {
            return Event::Wrong(Reason::Malformed);
        }
        let levels = self.text != text::CLIENT && self.text != text::USER;
        if levels && byte == b'/' {
            return Event::Level;
        }
        if levels && (byte == b'+' || byte == b'#') {
            // Wildcards stand alone in their level, `#` in the last one, and never in a topic [4.7.1].
            if self.text != text::FILTER || object.level_len() != 0 || byte == b'#' && !last {
                return Event::Wrong(Reason::Malformed);
            }
            self.wildcard = byte;
        } else if self.wildcard != 0 {
            return Event::Wrong(Reason::Malformed);
        }
        object.push_level(byte, key);
        if last { self.text_end() } else { Event::More }
    }

    /// To be called by the caller once it has taken [`Event::Level`]: the next level begins.
    #[inline(always)]
    pub fn next_level(&mut self, object: &mut Object) {
        object.next_level();
        self.wildcard = 0;
    }

    /// Whether the level that ended by [`Event::Level`] was the last byte: one empty level follows, and
    /// [`Mqtt::finish_text`] ends the object.
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
            text::CLIENT => self.after_client(),
            text::WILL => self.phase = phase::WILL_HIGH,
            _ => self.after_user(),
        }
        Event::Object
    }

    /// What follows the client id: the Will, if there is one [3.1.3.2].
    #[inline(always)]
    fn after_client(&mut self) {
        self.shift = 0;
        self.field = 0;
        if self.connect_flags & WILL_FLAG == 0 {
            self.after_will();
        } else {
            self.text = text::WILL;
            self.phase = if self.version >= 5 { phase::PROPERTIES } else { phase::TEXT_HIGH };
        }
    }

    /// What follows the Will: the user name, if there is one [3.1.3.5].
    #[inline(always)]
    fn after_will(&mut self) {
        if self.connect_flags & USER_FLAG == 0 {
            self.after_user();
        } else {
            self.text = text::USER;
            self.phase = phase::TEXT_HIGH;
        }
    }

    /// What follows the user name: the password, if there is one [3.1.3.6].
    #[inline(always)]
    fn after_user(&mut self) {
        self.phase = if self.connect_flags & PASSWORD_FLAG == 0 { phase::DONE } else { phase::PASSWORD_HIGH };
    }

    /// The fields of CONNECT and CONNACK whose content is not looked at.
    #[inline(always)]
    fn last_fields(&mut self, byte: u8) -> Event {
        match self.phase {
            phase::WILL_HIGH => {
                self.field = (byte as u32) << 8;
                self.phase = phase::WILL_LOW;
            }
            phase::WILL_LOW => {
                self.field |= byte as u32;
                if self.field > self.remaining {
                    return Event::Wrong(Reason::Malformed);
                }
                if self.field == 0 {
                    self.after_will();
                } else {
                    self.phase = phase::WILL_PAYLOAD;
                }
            }
            phase::WILL_PAYLOAD => {
                self.field = self.field.wrapping_sub(1);
                if self.field == 0 {
                    self.after_will();
                }
            }
            phase::PASSWORD_HIGH => {
                self.field = (byte as u32) << 8;
                self.phase = phase::PASSWORD_LOW;
            }
            phase::PASSWORD_LOW => {
                if self.field | byte as u32 != self.remaining {
                    return Event::Wrong(Reason::Malformed);
                }
                self.phase = phase::SKIP;
            }
            phase::ACK_FLAGS => {
                if byte & 0xfe != 0 {
                    return Event::Wrong(Reason::Malformed);
                }
                self.ack_flags = byte;
                self.phase = phase::ACK_CODE;
            }
            phase::ACK_CODE => return self.accepted(byte),
            _ => return Event::Wrong(Reason::Malformed),
        }
        Event::More
    }

    /// The code of CONNACK [3.2.2.3].
    #[inline(always)]
    fn accepted(&mut self, code: u8) -> Event {
        self.opened = 1;
        self.phase = if self.version >= 5 { phase::SKIP } else { phase::DONE };
        if self.version >= 5 && self.remaining == 0 {
            return Event::Wrong(Reason::Malformed);
        }
        if code != 0 {
            Event::Note(Note::LoginFailed)
        } else if self.ack_flags != 0 {
            Event::Note(Note::SessionPresent)
        } else {
            Event::More
        }
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

    /// Takes a byte of a variable byte integer into `field` [1.5.5]. What it says and the number are apart: the verifier
    /// refuses a number that is only there in some cases.
    #[inline(always)]
    fn varint(&mut self, byte: u8) -> Varint {
        self.field |= ((byte & 0x7f) as u32) << (self.shift & 31);
        if byte & 0x80 != 0 {
            self.shift += 7;
            return if self.shift > 21 { Varint::Wrong } else { Varint::More };
        }
        if byte == 0 && self.shift != 0 { Varint::Wrong } else { Varint::Complete }
    }

    #[inline(always)]
    fn properties_length(&mut self, object: &Object, byte: u8) -> Event {
        match self.varint(byte) {
            Varint::More => Event::More,
            Varint::Complete if self.field <= self.remaining => {
                self.properties = self.field;
                if self.properties == 0 {
                    return self.after_properties(object);
                }
                self.phase = phase::PROPERTY;
                Event::More
            }
            Varint::Complete | Varint::Wrong => Event::Wrong(Reason::Malformed),
        }
    }

    /// What follows the properties of this packet.
    #[inline(always)]
    fn after_properties(&mut self, object: &Object) -> Event {
        self.field = 0;
        self.shift = 0;
        match self.fixed >> 4 {
            PUBLISH => {
                self.phase = phase::SKIP;
                if self.has_alias != 0 {
                    return Event::Alias;
                }
                // Neither topic nor alias.
                if object.is_empty() { Event::Wrong(Reason::Malformed) } else { Event::More }
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
    fn property(&mut self, object: &Object, byte: u8) -> Event {
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
                Varint::More => {}
                Varint::Complete if self.field != 0 => self.phase = phase::PROPERTY,
                Varint::Complete | Varint::Wrong => return Event::Wrong(Reason::Malformed),
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
        if self.phase == phase::PROPERTY {
            self.after_properties(object)
        } else {
            Event::Wrong(Reason::Malformed)
        }
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
                self.opened = 1;
                self.phase = phase::FLAGS;
                Event::More
            }
            phase::FLAGS => {
                let will = byte & WILL_FLAG != 0;
                // Reserved bit; Will QoS 3; Will flags without a Will [3.1.2.3 to 3.1.2.7].
                // A password needs a user name before MQTT 5 [3.1.2.9].
                let orphan = self.version < 5 && byte & (USER_FLAG | PASSWORD_FLAG) == PASSWORD_FLAG;
                if orphan || byte & 1 != 0 || byte & 0x18 == 0x18 || !will && byte & 0x38 != 0 {
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
        if byte < 0x80 {
            return true;
        }
        let (more, low, high) = match byte {
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

/// What a byte of a variable byte integer was.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Varint {
    More,
    Complete,
    Wrong,
}

#[inline(always)]
const fn kind_of(text: u8) -> Kind {
    match text {
        text::FILTER => Kind::MqttSubscribe,
        text::CLIENT => Kind::MqttConnect,
        text::USER => Kind::MqttUser,
        _ => Kind::MqttPublish,
    }
}

#[cfg(test)]
mod tests;
