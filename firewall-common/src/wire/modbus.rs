//! Modbus/TCP, byte by byte (MODBUS Application Protocol V1.1b3; Messaging on TCP/IP Implementation Guide V1.0b).
//!
//! Every request of the client is judged by what it reads or writes: unit, area and range of addresses. Function 23 does
//! both and is two requests; so is each part of a request for file records. The numbers in brackets are sections of the
//! application protocol. Of the server only the framing is read: its answers belong to requests that were judged.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::abi::Kind;
use crate::hash::{HashKey, Hasher};
use crate::reason::Reason;
use crate::wire::object::{Levels, Object};
use crate::wire::request::word;
use crate::wire::{Event, Sender};

/// Where in a message the next byte belongs.
mod phase {
    pub(super) const HEADER: u8 = 0;
    pub(super) const FUNCTION: u8 = 1;
    pub(super) const FIELDS: u8 = 2;
    /// The rest of the message.
    pub(super) const SKIP: u8 = 3;
    /// The data of one part of a request for file records.
    pub(super) const RECORD: u8 = 4;
}

/// Function codes [5.1].
mod function {
    pub(super) const READ_COILS: u8 = 1;
    pub(super) const READ_INPUTS: u8 = 2;
    pub(super) const READ_HOLDING: u8 = 3;
    pub(super) const READ_INPUT: u8 = 4;
    pub(super) const WRITE_COIL: u8 = 5;
    pub(super) const WRITE_REGISTER: u8 = 6;
    pub(super) const READ_STATUS: u8 = 7;
    pub(super) const DIAGNOSTICS: u8 = 8;
    pub(super) const EVENT_COUNTER: u8 = 11;
    pub(super) const EVENT_LOG: u8 = 12;
    pub(super) const WRITE_COILS: u8 = 15;
    pub(super) const WRITE_REGISTERS: u8 = 16;
    pub(super) const SERVER_ID: u8 = 17;
    pub(super) const READ_FILE: u8 = 20;
    pub(super) const WRITE_FILE: u8 = 21;
    pub(super) const MASK_REGISTER: u8 = 22;
    pub(super) const READ_WRITE: u8 = 23;
    pub(super) const READ_FIFO: u8 = 24;
    pub(super) const ENCAPSULATED: u8 = 43;
    /// Encapsulated: Read Device Identification [6.21].
    pub(super) const DEVICE_ID: u8 = 14;
}

/// What a request is about. As a number: its name, the first character highest.
#[derive(Clone, Copy)]
enum Area {
    Coils,
    /// Discrete inputs.
    Inputs,
    /// Input registers.
    Input,
    Holding,
    Files,
    Fifo,
    /// A function that has no addresses, or is not known.
    Function(u8),
}

/// Up to eight characters as a number.
const fn pack<const N: usize>(text: [u8; N]) -> u64 {
    let mut packed = 0;
    let mut at = 0;
    while at < N {
        packed = packed << 8 | text[at] as u64;
        at += 1;
    }
    packed
}

/// In [`Modbus::area`]: the area is a function, whose code is beside it.
const FUNCTION: u8 = 6;

impl Area {
    /// As two numbers: the verifier of the kernel refuses a code that is there only in one case.
    #[inline(always)]
    const fn to_code(self) -> (u8, u8) {
        match self {
            Self::Coils => (0, 0),
            Self::Inputs => (1, 0),
            Self::Input => (2, 0),
            Self::Holding => (3, 0),
            Self::Files => (4, 0),
            Self::Fifo => (5, 0),
            Self::Function(code) => (FUNCTION, code),
        }
    }
}

/// The name of an area, given as the number of [`Area::to_code`].
#[inline(always)]
const fn name(area: u8) -> u64 {
    match area {
        0 => pack(*b"coils"),
        1 => pack(*b"inputs"),
        2 => pack(*b"input"),
        3 => pack(*b"holding"),
        4 => pack(*b"files"),
        5 => pack(*b"fifo"),
        _ => pack(*b"fn"),
    }
}

/// One direction of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Modbus {
    /// The last bytes of the header or of the fields.
    fields: u64,
    /// Hashes of the unit and the area of the request at hand.
    about: [u64; 2],
    /// Bytes of the message that have not come yet, and of the data of one of its parts.
    remaining: u16,
    record: u16,
    start: u16,
    end: u16,
    phase: u8,
    /// Bytes read of the header or of the fields.
    at: u8,
    unit: u8,
    function: u8,
    /// 1: the request at hand writes.
    writes: u8,
    recognised: u8,
    /// Area of the request at hand, as [`Area::to_code`].
    area: u8,
    code: u8,
}

impl Modbus {
    /// A direction of which nothing has been seen.
    pub const NEW: Self = Self {
        fields: 0,
        about: [0; 2],
        remaining: 0,
        record: 0,
        start: 0,
        end: 0,
        phase: phase::HEADER,
        at: 0,
        unit: 0,
        function: 0,
        writes: 0,
        recognised: 0,
        area: 0,
        code: 0,
    };

    /// Verb, unit and area of the request at hand. The levels of its first or last address follow.
    #[inline(always)]
    pub fn levels(&self, levels: &mut Levels, key: &HashKey) {
        let verb = if self.writes != 0 { word(*b"write", key) } else { word(*b"read", key) };
        levels.clear();
        let fits = levels.push(verb) && levels.push(self.about[0]) && levels.push(self.about[1]);
        debug_assert!(fits, "three levels have room");
    }

    /// First address of the request at hand: of a file its number, of Diagnostics the sub-function [6.8], of functions
    /// without an address 0.
    #[inline(always)]
    pub const fn start(&self) -> u16 {
        self.start
    }

    /// Last address of the request at hand.
    #[inline(always)]
    pub const fn end(&self) -> u16 {
        self.end
    }

    /// Level `at`, from 0 to 3, of an address: one hexadecimal digit, the highest first.
    #[inline(always)]
    pub const fn address_level(address: u16, at: u32, key: &HashKey) -> u64 {
        let digit = (address >> (12 - (at & 3) * 4)) as u8 & 0x0f;
        Hasher::ZERO.push(if digit < 10 { b'0' + digit } else { b'a' + digit - 10 }, key).finish()
    }

    /// What the request at hand does.
    #[inline(always)]
    pub const fn kind(&self) -> Kind {
        if self.writes != 0 { Kind::ModbusWrite } else { Kind::ModbusRead }
    }

    /// Whether the protocol is certain: the header of the first message was in order.
    #[inline(always)]
    pub const fn is_recognised(&self) -> bool {
        self.recognised != 0
    }

    /// Whether the next byte begins a message.
    #[inline(always)]
    pub const fn at_boundary(&self) -> bool {
        self.phase == phase::HEADER && self.at == 0
    }

    /// Bytes that may be passed over unread, at most `available`.
    #[inline(always)]
    pub fn skip(&mut self, available: u32) -> u32 {
        let left = match self.phase {
            phase::SKIP => self.remaining,
            phase::RECORD => self.record,
            _ => return 0,
        };
        let skipped = if (left as u32) < available { left } else { available as u16 };
        self.remaining -= skipped;
        if self.phase == phase::RECORD {
            self.record -= skipped;
            if self.record == 0 {
                self.phase = phase::FIELDS;
            }
        }
        self.end_of_message();
        skipped as u32
    }

    /// Takes one byte. With [`Event::Request`] the object is complete.
    #[inline(always)]
    pub fn step(&mut self, object: &mut Object, byte: u8, sender: Sender, key: &HashKey) -> Event {
        let event = self.take(byte, sender);
        match event {
            Event::Request if !self.describe(object, key) => Event::Wrong(Reason::ObjectCap),
            _ => event,
        }
    }

    /// Takes one byte without making an object: the kernel programs call [`Modbus::describe`] once for a window of bytes.
    #[inline(always)]
    pub fn take(&mut self, byte: u8, sender: Sender) -> Event {
        if self.skip(1) != 0 {
            return Event::More;
        }
        if self.phase == phase::HEADER {
            return self.header(byte, sender);
        }
        self.remaining -= 1;
        let result = match self.phase {
            phase::FUNCTION => self.function(byte),
            _ => self.field(byte),
        };
        let event = match result {
            Err(reason) => return Event::Wrong(reason),
            Ok(None) => Event::More,
            Ok(Some(area)) => {
                (self.area, self.code) = area.to_code();
                Event::Request
            }
        };
        self.end_of_message();
        event
    }

    #[inline(always)]
    fn end_of_message(&mut self) {
        if self.remaining == 0 {
            self.phase = phase::HEADER;
            self.at = 0;
            self.fields = 0;
        }
    }

    /// The header [Implementation Guide, 3.1.3]: transaction, protocol 0, length of what follows, unit.
    #[inline(always)]
    fn header(&mut self, byte: u8, sender: Sender) -> Event {
        self.fields = self.fields << 8 | byte as u64;
        self.at += 1;
        let fits = match self.at {
            3 | 4 => byte == 0,
            6 => {
                // The unit, and a function with its data.
                self.remaining = self.fields as u16;
                self.remaining >= 2 && self.remaining <= 254
            }
            _ => true,
        };
        if !fits {
            return Event::Wrong(if self.recognised != 0 { Reason::Malformed } else { Reason::ProtoChanged });
        }
        if self.at == 7 {
            self.recognised = 1;
            self.unit = byte;
            self.remaining -= 1;
            self.phase = if sender == Sender::Client { phase::FUNCTION } else { phase::SKIP };
        }
        Event::More
    }

    /// The function, and whether its data can have this length. `Some` is a request that is complete.
    #[inline(always)]
    fn function(&mut self, byte: u8) -> Result<Option<Area>, Reason> {
        self.function = byte;
        self.fields = 0;
        self.at = 0;
        self.phase = phase::FIELDS;
        let length = self.remaining;
        let (fits, complete) = match byte {
            0 => (false, false),
            function::READ_COILS..=function::WRITE_REGISTER => (length == 4, false),
            function::READ_STATUS | function::EVENT_COUNTER | function::EVENT_LOG | function::SERVER_ID => {
                (length == 0, true)
            }
            function::DIAGNOSTICS => (length >= 4 && length & 1 == 0, false),
            function::WRITE_COILS => (length >= 6, false),
            function::WRITE_REGISTERS => (length >= 7, false),
            function::READ_FILE => (length >= 8, false),
            function::WRITE_FILE => (length >= 10, false),
            function::MASK_REGISTER => (length == 6, false),
            function::READ_WRITE => (length >= 11, false),
            function::READ_FIFO => (length == 2, false),
            function::ENCAPSULATED => (length >= 1, false),
            _ => (true, true),
        };
        if !fits {
            return Err(Reason::Malformed);
        }
        if !complete {
            return Ok(None);
        }
        let reads = matches!(
            byte,
            function::READ_STATUS | function::EVENT_COUNTER | function::EVENT_LOG | function::SERVER_ID
        );
        Ok(Some(self.about(Area::Function(byte), !reads, 0, 1)))
    }

    /// A byte behind the function: the fields before the data.
    #[inline(always)]
    fn field(&mut self, byte: u8) -> Result<Option<Area>, Reason> {
        self.fields = self.fields << 8 | byte as u64;
        self.at += 1;
        let (low, high) = (self.fields as u16, (self.fields >> 16) as u16);
        match (self.function, self.at) {
            // [6.1] to [6.4]
            (function::READ_COILS, 4) => self.range(Area::Coils, false, high, low, 2000),
            (function::READ_INPUTS, 4) => self.range(Area::Inputs, false, high, low, 2000),
            (function::READ_HOLDING, 4) => self.range(Area::Holding, false, high, low, 125),
            (function::READ_INPUT, 4) => self.range(Area::Input, false, high, low, 125),
            // [6.5], [6.6]
            (function::WRITE_COIL, 4) if low == 0 || low == 0xff00 => {
                Ok(Some(self.about(Area::Coils, true, high, 1)))
            }
            (function::WRITE_COIL, 4) => Err(Reason::Malformed),
            (function::WRITE_REGISTER, 4) => Ok(Some(self.about(Area::Holding, true, high, 1))),
            (function::DIAGNOSTICS, 2) => self.diagnostics(low),
            // [6.11], [6.12]
            (function::WRITE_COILS, 5) => {
                self.data(Area::Coils, 1968, ((self.fields >> 8) as u16).div_ceil(8))
            }
            (function::WRITE_REGISTERS, 5) => self.data(Area::Holding, 123, ((self.fields >> 8) as u16) << 1),
            // [6.14], [6.15]
            (function::READ_FILE | function::WRITE_FILE, 1) if byte as u16 != self.remaining => {
                Err(Reason::Malformed)
            }
            (function::READ_FILE | function::WRITE_FILE, 8) => self.record(),
            (function::READ_FILE | function::WRITE_FILE, _) if self.remaining == 0 => Err(Reason::Malformed),
            // [6.16]
            (function::MASK_REGISTER, 2) => Ok(Some(self.about(Area::Holding, true, low, 1))),
            // [6.17]: the read, and then the write.
            (function::READ_WRITE, 4) => {
                let result = self.range(Area::Holding, false, high, low, 125);
                self.phase = phase::FIELDS;
                result
            }
            (function::READ_WRITE, 9) => self.data(Area::Holding, 121, ((self.fields >> 8) as u16) << 1),
            // [6.18]
            (function::READ_FIFO, 2) => Ok(Some(self.about(Area::Fifo, false, low, 1))),
            // [6.19], [6.21]: with its code and its object.
            (function::ENCAPSULATED, 1) if byte != function::DEVICE_ID => {
                Ok(Some(self.about(Area::Function(self.function), true, byte as u16, 1)))
            }
            (function::ENCAPSULATED, 1) if self.remaining != 2 => Err(Reason::Malformed),
            (function::ENCAPSULATED, 2) if byte == 0 || byte > 4 => Err(Reason::Malformed),
            (function::ENCAPSULATED, 2) => {
                Ok(Some(self.about(Area::Function(self.function), false, function::DEVICE_ID as u16, 1)))
            }
            _ => Ok(None),
        }
    }

    /// Sub-functions of Diagnostics [6.8]: some change what the device does.
    #[inline(always)]
    fn diagnostics(&mut self, sub: u16) -> Result<Option<Area>, Reason> {
        // Only an echo is longer than one value.
        if sub != 0 && self.remaining != 2 {
            return Err(Reason::Malformed);
        }
        let reads = matches!(sub, 0 | 2 | 11..=18);
        Ok(Some(self.about(Area::Function(self.function), !reads, sub, 1)))
    }

    /// Start, quantity and number of bytes of a write, of which this many must follow.
    #[inline(always)]
    fn data(&mut self, area: Area, most: u16, bytes: u16) -> Result<Option<Area>, Reason> {
        let (start, quantity) = ((self.fields >> 24) as u16, (self.fields >> 8) as u16);
        if self.fields as u8 as u16 != bytes || self.remaining != bytes {
            return Err(Reason::Malformed);
        }
        self.range(area, true, start, quantity, most)
    }

    /// One part of a request for file records: reference type 6, file, first record, records, and data of a write.
    #[inline(always)]
    fn record(&mut self) -> Result<Option<Area>, Reason> {
        let (file, first) = ((self.fields >> 32) as u16, (self.fields >> 16) as u16);
        let count = self.fields as u16;
        let writes = self.function == function::WRITE_FILE;
        let data = if writes { (count as u32) << 1 } else { 0 };
        let fits = (self.fields >> 48) as u8 == 6
            && file != 0
            && count != 0
            && first as u32 + count as u32 <= 10_000
            && data <= self.remaining as u32;
        if !fits {
            return Err(Reason::Malformed);
        }
        // The next part begins where this one did, behind the number of bytes.
        self.at = 1;
        let area = self.about(Area::Files, writes, file, 1);
        self.record = data as u16;
        self.phase = if data == 0 { phase::FIELDS } else { phase::RECORD };
        Ok(Some(area))
    }

    /// A request about `quantity` addresses, of which there may be `most`.
    #[inline(always)]
    fn range(
        &mut self,
        area: Area,
        writes: bool,
        start: u16,
        quantity: u16,
        most: u16,
    ) -> Result<Option<Area>, Reason> {
        if quantity == 0 || quantity > most || start as u32 + quantity as u32 > 0x1_0000 {
            return Err(Reason::Malformed);
        }
        Ok(Some(self.about(area, writes, start, quantity)))
    }

    /// A request that is in order. What follows in its message need not be read.
    #[inline(always)]
    fn about(&mut self, area: Area, writes: bool, start: u16, quantity: u16) -> Area {
        self.writes = writes as u8;
        self.start = start;
        self.end = start.wrapping_add(quantity - 1);
        self.phase = phase::SKIP;
        area
    }

    /// Makes the object of the request that the last byte completed: `1/holding/100-109`. False if it has no room.
    #[inline(never)]
    pub fn describe(&mut self, object: &mut Object, key: &HashKey) -> bool {
        object.clear();
        let mut fits = number(object, self.unit as u32, key);
        let unit = object.level();
        fits &= separate(object, b'/', key) && word_of(object, name(self.area), key);
        if self.area == FUNCTION {
            fits &= number(object, self.code as u32, key);
        }
        self.about = [unit, object.level()];
        fits &= separate(object, b'/', key)
            && number(object, self.start as u32, key)
            && separate(object, b'-', key)
            && number(object, self.end as u32, key);
        fits
    }
}

/// Adds the characters of a number made by [`pack`]. Neither this nor [`number`] is in line, where the verifier would
/// follow each length that the object can have.
#[inline(never)]
fn word_of(object: &mut Object, mut text: u64, key: &HashKey) -> bool {
    let mut fits = true;
    let mut left = 8;
    while left != 0 {
        let byte = (text >> 56) as u8;
        text <<= 8;
        left -= 1;
        if byte != 0 {
            fits &= object.append_to_level(byte, key);
        }
    }
    fits
}

/// Adds a number below 100,000 in decimal digits.
#[inline(never)]
fn number(object: &mut Object, value: u32, key: &HashKey) -> bool {
    let mut fits = true;
    if value >= 10_000 {
        fits &= object.append_to_level(b'0' + (value / 10_000 % 10) as u8, key);
    }
    if value >= 1_000 {
        fits &= object.append_to_level(b'0' + (value / 1_000 % 10) as u8, key);
    }
    if value >= 100 {
        fits &= object.append_to_level(b'0' + (value / 100 % 10) as u8, key);
    }
    if value >= 10 {
        fits &= object.append_to_level(b'0' + (value / 10 % 10) as u8, key);
    }
    fits & object.append_to_level(b'0' + (value % 10) as u8, key)
}

#[inline(always)]
fn separate(object: &mut Object, byte: u8, key: &HashKey) -> bool {
    object.next_level();
    object.append(byte, key)
}

#[cfg(test)]
mod tests;
