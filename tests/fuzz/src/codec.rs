//! What the codecs behind [`Machine`] have in common.

use std::fmt::Debug;

use firewall_common::abi::OBJECT_CAP;
use firewall_common::hash::hash;
use firewall_common::wire::object::{Levels, Object, REQUEST_LEVELS};
use firewall_common::wire::{Event, Sender};

use crate::input::Input;
use crate::machine::{self, KEY, Machine, Transcript};

/// A codec of `firewall_common::wire` that writes into an [`Object`].
pub(crate) trait Codec: Copy + PartialEq + Debug {
    fn step(&mut self, object: &mut Object, byte: u8, sender: Sender) -> Event;

    fn skip(&mut self, _available: u32) -> u32 {
        0
    }

    /// The end of a datagram; a stream has none.
    fn finish(&mut self, _object: &mut Object) -> Event {
        Event::More
    }

    fn levels(&self, _object: &Object) -> Levels {
        Levels::NONE
    }

    /// Everything else that a caller reads when an event comes.
    fn about(&self) -> [u32; 3];

    /// The planted mistake: a cut where this holds loses the next byte.
    fn forgets(&self, object: &Object) -> bool;
}

/// What a caller reads when an event comes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Said {
    pub(crate) text: String,
    pub(crate) levels: Vec<u64>,
    pub(crate) about: [u32; 3],
}

/// A codec at work.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Reader<C> {
    codec: C,
    object: Object,
    sender: Sender,
    lost: bool,
}

impl<C: Codec> Reader<C> {
    fn said(&self) -> Said {
        let text = self.object.text();
        assert!(text.len() <= OBJECT_CAP);
        assert_eq!(self.object.hash(), hash(text, &KEY), "the hash of the text");
        let levels = self.codec.levels(&self.object);
        let count = levels.count() as usize;
        assert!(count <= REQUEST_LEVELS, "{count} levels");
        Said {
            text: String::from_utf8_lossy(text).into_owned(),
            levels: (0..count).map(|at| levels.get(at)).collect(),
            about: self.codec.about(),
        }
    }

    fn report(&self, event: Event, said: &mut impl FnMut(Event, Said)) -> Event {
        if event != Event::More {
            said(event, self.said());
        }
        event
    }
}

impl<C: Codec> Machine for Reader<C> {
    type Said = Said;

    fn step(&mut self, byte: u8, said: &mut impl FnMut(Event, Said)) -> Event {
        if std::mem::take(&mut self.lost) {
            return Event::More;
        }
        let event = self.codec.step(&mut self.object, byte, self.sender);
        self.report(event, said)
    }

    fn skip(&mut self, available: u32) -> u32 {
        if std::mem::take(&mut self.lost) { available.min(1) } else { self.codec.skip(available) }
    }

    fn cut(&mut self) {
        self.lost = cfg!(feature = "planted") && self.codec.forgets(&self.object);
    }

    fn finish(&mut self, said: &mut impl FnMut(Event, Said)) -> Event {
        let event = self.codec.finish(&mut self.object);
        self.report(event, said)
    }
}

/// Two bytes of choices, then what the codec reads: its direction, its bytes, and what it said of them.
pub(crate) fn check<C: Codec>(bytes: &[u8], new: impl Fn(u8) -> C) -> (Sender, &[u8], Transcript<Reader<C>>) {
    let mut input = Input::new(bytes);
    let choices = input.byte();
    let seed = u16::from(input.byte()) << 8 | u16::from(choices);
    let sender = if choices & 1 == 0 { Sender::Client } else { Sender::Server };
    let bytes = input.rest();
    (sender, bytes, read(bytes, new(choices), sender, seed))
}

/// What a codec says of bytes of our own.
pub(crate) fn read<C: Codec>(bytes: &[u8], codec: C, sender: Sender, seed: u16) -> Transcript<Reader<C>> {
    let reader = Reader { codec, object: Object::EMPTY, sender, lost: false };
    machine::check(reader, bytes, seed)
}
