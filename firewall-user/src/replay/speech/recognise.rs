//! Which protocol a connection speaks, by the first bytes of its client and, for Modbus, by the port.

use firewall_common::abi::Protocol;

/// Port of Modbus/TCP, whose messages begin with nothing of their own.
pub(in crate::replay) const MODBUS_PORT: u16 = 502;

/// What the first bytes say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::replay) enum Guess {
    /// Too few bytes.
    More,
    Is(Protocol),
}

/// Recognises the protocol of a connection to a port by the first bytes of its client.
pub(in crate::replay) fn recognise(first: &[u8], port: u16) -> Guess {
    let modbus = if port == MODBUS_PORT { is_modbus(first) } else { Fit::No };
    for (fit, protocol) in [
        (is_tls(first), Protocol::Tls),
        (is_mqtt(first), Protocol::Mqtt),
        (is_http(first), Protocol::Http),
        (modbus, Protocol::Modbus),
    ] {
        match fit {
            Fit::Yes => return Guess::Is(protocol),
            Fit::Short => return Guess::More,
            Fit::No => {}
        }
    }
    Guess::Is(Protocol::Opaque)
}

/// Whether bytes are the beginning of something.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fit {
    Yes,
    No,
    /// As far as they go.
    Short,
}

/// Compares byte by byte.
fn fits(first: &[u8], wanted: &[fn(u8) -> bool]) -> Fit {
    if first.iter().zip(wanted).any(|(byte, is_wanted)| !is_wanted(*byte)) {
        Fit::No
    } else if first.len() < wanted.len() {
        Fit::Short
    } else {
        Fit::Yes
    }
}

fn begins(first: &[u8], text: &[u8]) -> Fit {
    if first.iter().zip(text).any(|(byte, wanted)| byte != wanted) {
        Fit::No
    } else if first.len() < text.len() {
        Fit::Short
    } else {
        Fit::Yes
    }
}

/// A handshake record of SSL 3.0 or TLS 1.x with a `ClientHello` (RFC 8446, sections 4 and 5.1).
fn is_tls(first: &[u8]) -> Fit {
    fits(
        first,
        &[|byte| byte == 22, |byte| byte == 3, |byte| byte <= 4, |_| true, |_| true, |byte| byte == 1],
    )
}

/// CONNECT and the protocol's name [3.1.2.1].
fn is_mqtt(first: &[u8]) -> Fit {
    let Some((fixed, rest)) = first.split_first() else { return Fit::Short };
    if *fixed != 0x10 {
        return Fit::No;
    }
    let Some(length) = rest.iter().take(4).position(|byte| byte & 0x80 == 0) else {
        return if rest.len() < 4 { Fit::Short } else { Fit::No };
    };
    let name = rest.get(length + 1..).unwrap_or_default();
    match (begins(name, b"\0\x04MQTT"), begins(name, b"\0\x06MQIsdp")) {
        (Fit::Yes, _) | (_, Fit::Yes) => Fit::Yes,
        (Fit::Short, _) | (_, Fit::Short) => Fit::Short,
        (Fit::No, Fit::No) => Fit::No,
    }
}

/// A word of capitals and a space: the method of a request (RFC 9112, section 3).
fn is_http(first: &[u8]) -> Fit {
    /// No method that is registered is longer.
    const LONGEST: usize = 20;
    let word = first.iter().take_while(|byte| byte.is_ascii_uppercase() || **byte == b'-').count();
    match first.get(word) {
        Some(b' ') if (3..=LONGEST).contains(&word) => Fit::Yes,
        None if word < LONGEST => Fit::Short,
        Some(_) | None => Fit::No,
    }
}

/// A header of Modbus/TCP: protocol 0, and a length of unit, function and data.
fn is_modbus(first: &[u8]) -> Fit {
    fits(
        first,
        &[
            |_| true,
            |_| true,
            |byte| byte == 0,
            |byte| byte == 0,
            |byte| byte == 0,
            |byte| byte >= 2,
            |_| true,
            |byte| byte != 0,
        ],
    )
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
            (b"M-SEARCH * HTTP/1.1\r\n", 80, Protocol::Http),
            (b"\x16\x03\x01\x02\0\x01", 1883, Protocol::Tls),
            (b"\0\x01\0\0\0\x06\x01\x03\0\0\0\x01", 502, Protocol::Modbus),
            (b"\0\x01\0\0\0\x06\x01\x03\0\0\0\x01", 503, Protocol::Opaque),
            (b"\x10\x0e\0\x04MQTX", 1883, Protocol::Opaque),
            (b"\x10\xff\xff\xff\xff\x01", 1883, Protocol::Opaque),
            (b"SSH-2.0-x\r\n", 22, Protocol::Opaque),
            (b"\x16\x03\x01\x02\0\x02", 443, Protocol::Opaque),
        ] {
            let end = (1..=first.len()).find(|end| recognise(&first[..*end], port) != Guess::More);
            let end = end.unwrap_or_else(|| panic!("{first:?} is not recognised"));
            assert_eq!(recognise(&first[..end], port), Guess::Is(protocol), "{first:?}");
            // What was recognised stays recognised, however the bytes are cut.
            assert_eq!(recognise(first, port), Guess::Is(protocol), "{first:?}");
        }
        assert_eq!(recognise(b"", 1883), Guess::More);
    }
}
