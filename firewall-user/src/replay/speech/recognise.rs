//! Which protocol a connection speaks: the machines try its first bytes, as in the kernel programs.

use firewall_common::{abi::Protocol, reason::Reason, wire::Sender};

use super::Speech;

/// Port of Modbus/TCP, whose messages begin with nothing of their own.
const MODBUS: u16 = 502;

/// What the first bytes say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::replay) enum Guess {
    /// Too few bytes.
    More,
    Is(Protocol),
}

/// Recognises what a connection speaks by the first bytes of one end; `port` is that of its server.
///
/// Until a machine is certain, bytes that it refuses only mean that it was not meant.
pub(in crate::replay) fn recognise(first: &[u8], sender: Sender, port: u16) -> Guess {
    for protocol in candidates(first, sender, port).into_iter().flatten() {
        let mut speech = Speech::of(protocol);
        let result = speech.hear(sender, first, &mut Vec::new());
        match result {
            Err(Reason::ProtoChanged) if !speech.is_certain() => {}
            Ok(()) if !speech.is_certain() => return Guess::More,
            Ok(()) | Err(_) => return Guess::Is(protocol),
        }
    }
    if first.is_empty() { Guess::More } else { Guess::Is(Protocol::Opaque) }
}

/// What may begin with this byte.
fn candidates(first: &[u8], sender: Sender, port: u16) -> [Option<Protocol>; 2] {
    let by_byte = match (sender, first.first()) {
        // CONNECT; a record with a handshake; a method.
        (Sender::Client, Some(0x10)) => Some(Protocol::Mqtt),
        (Sender::Client, Some(0x16)) => Some(Protocol::Tls),
        (Sender::Client, Some(b'A'..=b'Z')) | (Sender::Server, Some(b'H')) => Some(Protocol::Http),
        (_, Some(_)) => None,
        (_, None) => return [None, None],
    };
    [(port == MODBUS).then_some(Protocol::Modbus), by_byte]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_bytes_tell_the_protocol() {
        for (first, port, protocol) in [
            (&b"\x10\x0e\0\x04MQTT\x04\x02"[..], 4711, Protocol::Mqtt),
            (b"\x10\x80\x01\0\x06MQIsdp\x03", 1883, Protocol::Mqtt),
            (b"GET / HTTP/1.1\r\n", 502, Protocol::Http),
            (b"\x16\x03\x01\x02\0\x01", 1883, Protocol::Tls),
            (b"\0\x01\0\0\0\x06\x01\x03\0\0\0\x01", 502, Protocol::Modbus),
            (b"\x10\x01\0\0\0\x06\x01\x03\0\0\0\x01", 502, Protocol::Modbus),
            (b"\0\x01\0\0\0\x06\x01\x03\0\0\0\x01", 503, Protocol::Opaque),
            (b"\x10\x0e\0\x04MQTX", 1883, Protocol::Opaque),
            (b"CONNECT a:1 HTTP/1.1\r\n", 80, Protocol::Opaque),
            (b"SSH-2.0-x\r\n", 22, Protocol::Opaque),
        ] {
            let guess = |end: usize| recognise(&first[..end], Sender::Client, port);
            let end = (0..=first.len()).find(|end| guess(*end) != Guess::More);
            let end = end.unwrap_or_else(|| panic!("{first:?} is not recognised"));
            // What was recognised stays recognised, however the bytes are cut.
            for end in end..=first.len() {
                assert_eq!(guess(end), Guess::Is(protocol), "{first:?} {end}");
            }
        }
    }

    #[test]
    fn a_server_is_told_from_a_client() {
        for (first, port, protocol) in [
            (&b"HTTP/1.1 200 OK\r\n"[..], 4711, Protocol::Http),
            (b"\0\x01\0\0\0\x03\x01\x81\x02", 502, Protocol::Modbus),
            (b"\x20\x02\0\0", 1883, Protocol::Opaque),
        ] {
            assert_eq!(recognise(first, Sender::Server, port), Guess::Is(protocol), "{first:?}");
        }
    }
}
