//! RTSP and TFTP: what opens ports for others is what a slower reading of the same bytes finds.

use firewall_common::wire::rtsp::{MESSAGE_CAP, Message, Named, Rtsp};
use firewall_common::wire::tftp;

/// The most that a request for a file has before its options: an operation, a name, a mode.
const NAME_CAP: usize = 256;

pub(crate) fn check_tftp(bytes: &[u8]) {
    // Writes without a name.
    let planted = cfg!(feature = "planted") && bytes.starts_with(b"\0\x02\0");
    let read = planted || tftp::is_request(bytes);
    assert_eq!(read, is_request(bytes), "{bytes:02x?}");
}

fn is_request(bytes: &[u8]) -> bool {
    let Some(words) = bytes.strip_prefix(b"\0\x01").or_else(|| bytes.strip_prefix(b"\0\x02")) else {
        return false;
    };
    let mut ends = words.iter().enumerate().filter(|(_, byte)| **byte == 0).map(|(at, _)| at);
    let (Some(name), Some(mode)) = (ends.next(), ends.next()) else { return false };
    let text = String::from_utf8_lossy(&words[name + 1..mode]).to_ascii_lowercase();
    name > 0 && 2 + mode < NAME_CAP && ["octet", "netascii", "mail"].contains(&text.as_str())
}

pub(crate) fn check_rtsp(bytes: &[u8]) {
    let mut rtsp = Rtsp::NEW;
    let read = bytes.iter().take(MESSAGE_CAP as usize).take_while(|byte| rtsp.step(**byte)).count();
    let [first, second] = rtsp.named();
    if rtsp.message() == Message::Other {
        return;
    }
    assert!(bytes[..=read].ends_with(b"\n"), "a message ends with an empty line");
    let start = if rtsp.message() == Message::Setup { &b"SETUP "[..] } else { b"RTSP/1.0 2" };
    assert!(bytes.starts_with(start));
    let text = String::from_utf8_lossy(&bytes[..=read]).to_ascii_lowercase();
    for Named { client, server } in [first, second] {
        // Takes a service for the port of a medium.
        let least = if cfg!(feature = "planted") { 1_100 } else { 1_024 };
        for (name, port) in [("client_port=", client), ("server_port=", server)] {
            assert!(port == 0 || port >= least, "{port} is one of a service");
            let said = |port: u16| text.contains(&port.to_string());
            assert!(port == 0 || said(port) && is_named(&text, name), "{name}{port} was not said");
        }
    }
    assert!(second.client == 0 || second.client == first.client + 1);
    assert!(second.server == 0 || second.server == first.server + 1);
}

/// Whether a parameter of this name stands in the line that counts.
fn is_named(text: &str, name: &str) -> bool {
    let compact = |line: &str| line.chars().filter(|letter| !" \t\r".contains(*letter)).collect::<String>();
    text.lines().map(compact).any(|line| line.starts_with("transport:") && line.contains(name))
}
