//! TLS: the name of a hello, against a reading of the whole handshake message.

use firewall_common::wire::object::Object;
use firewall_common::wire::tls::Tls;
use firewall_common::wire::{Event, Sender};

use crate::codec::{self, Codec};
use crate::input::at;
use crate::machine::KEY;

impl Codec for Tls {
    fn step(&mut self, object: &mut Object, byte: u8, sender: Sender) -> Event {
        self.step(object, byte, sender, &KEY)
    }

    fn skip(&mut self, available: u32) -> u32 {
        self.skip(available)
    }

    fn about(&self) -> [u32; 3] {
        [self.alpn() as u32, self.is_encrypted_hello().into(), self.is_recognised().into()]
    }

    fn forgets(&self, object: &Object) -> bool {
        object.len() > 4 && object.text().last() == Some(&b'-')
    }
}

pub(crate) fn check(bytes: &[u8]) {
    let (sender, bytes, transcript) = codec::check(bytes, |_| Tls::NEW);
    let mut names = transcript.said.iter().filter(|(_, event, _)| *event == Event::Object);
    let first = names.next().map(|(_, _, said)| said.text.clone());
    if sender == Sender::Server {
        assert_eq!(first, None, "a server names nobody");
        return;
    }
    let expected = hello(bytes);
    if let Some(name) = first {
        assert_eq!(Some(name), expected, "the name of the first hello");
    } else if transcript.wrong.is_none() {
        assert_eq!(expected, None, "a hello that passed unread");
    }
}

/// The name in the first hello, empty without one; nothing if there is no complete hello.
fn hello(mut bytes: &[u8]) -> Option<String> {
    let mut message = Vec::new();
    while let Some([kind, _, _, high, low]) = at::<5>(bytes, 0) {
        let end = 5 + usize::from(u16::from_be_bytes([high, low]));
        let Some(record) = bytes.get(5..end) else {
            message.extend(bytes.get(5..).filter(|_| kind == 22).unwrap_or_default());
            break;
        };
        if kind == 22 {
            message.extend(record);
        }
        bytes = &bytes[end..];
    }
    let [1, a, b, c] = at::<4>(&message, 0)? else { return None };
    let length = u32::from_be_bytes([0, a, b, c]) as usize;
    let body = message.get(4..4 + length)?;
    // Version and random; then session, cipher suites and compression methods, each with its length.
    let mut offset = 34;
    offset += 1 + usize::from(at::<1>(body, offset)?[0]);
    offset += 2 + usize::from(u16::from_be_bytes(at(body, offset)?));
    offset += 1 + usize::from(at::<1>(body, offset)?[0]);
    if offset == body.len() {
        return Some(String::new());
    }
    offset += 2;
    while let Some([kind_high, kind_low, high, low]) = at::<4>(body, offset) {
        let end = offset + 4 + usize::from(u16::from_be_bytes([high, low]));
        let extension = body.get(offset + 4..end)?;
        if [kind_high, kind_low] == [0, 0] {
            let name = extension.get(5..)?;
            return Some(String::from_utf8_lossy(name).to_ascii_lowercase());
        }
        offset = end;
    }
    Some(String::new())
}
