//! `edgeward replay` as people and scripts meet it: what it prints, and what a damaged capture gets.

use std::{fs, path::Path, process::Command};

use serde_json::Value;

/// Writes a capture of raw IP packets, one each millisecond.
fn capture(packets: &[Vec<u8>]) -> Vec<u8> {
    let mut file = Vec::new();
    for field in [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 65_535, 101] {
        file.extend(field.to_le_bytes());
    }
    for (number, packet) in (0_u32..).zip(packets) {
        for field in [1_700_000_000, number * 1000, packet.len() as u32, packet.len() as u32] {
            file.extend(field.to_le_bytes());
        }
        file.extend(packet);
    }
    file
}

const CLIENT: ([u8; 4], u16) = ([192, 0, 2, 1], 40_000);

fn ipv4(proto: u8, (src, _): ([u8; 4], u16), (dst, _): ([u8; 4], u16), rest: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x45, 0];
    packet.extend((20 + rest.len() as u16).to_be_bytes());
    packet.extend([0, 0, 0, 0, 64, proto, 0, 0]);
    packet.extend([src, dst].concat());
    packet.extend(rest);
    packet
}

fn udp(src: ([u8; 4], u16), dst: ([u8; 4], u16), payload: &[u8]) -> Vec<u8> {
    let mut datagram = [src.1.to_be_bytes(), dst.1.to_be_bytes()].concat();
    datagram.extend((8 + payload.len() as u16).to_be_bytes());
    datagram.extend([0, 0]);
    datagram.extend(payload);
    ipv4(17, src, dst, &datagram)
}

const SYN: u8 = 0x02;
const ACK: u8 = 0x10;

fn tcp(src: ([u8; 4], u16), dst: ([u8; 4], u16), seq: u32, ack: u32, flags: u8, payload: &[u8]) -> Vec<u8> {
    let mut segment = [src.1.to_be_bytes(), dst.1.to_be_bytes()].concat();
    segment.extend(seq.to_be_bytes());
    segment.extend(ack.to_be_bytes());
    segment.extend([0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
    segment.extend(payload);
    ipv4(6, src, dst, &segment)
}

/// A connection to a port whose client says `pieces`, each with its offset in the stream.
fn connection(port: u16, pieces: &[(u32, &[u8])]) -> Vec<Vec<u8>> {
    let server = ([192, 0, 2, 9], port);
    let mut packets = vec![
        tcp(CLIENT, server, 99, 0, SYN, &[]),
        tcp(server, CLIENT, 499, 100, SYN | ACK, &[]),
        tcp(CLIENT, server, 100, 500, ACK, &[]),
    ];
    packets.extend(pieces.iter().map(|(at, bytes)| tcp(CLIENT, server, 100 + at, 500, ACK, bytes)));
    packets
}

/// Runs the program on a file and returns its exit code, the lines it prints, and what it says of errors.
fn replay(path: &Path, json: bool) -> (Option<i32>, Vec<String>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_edgeward"))
        .arg("replay")
        .args(json.then_some("--json"))
        .arg(path)
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    (
        output.status.code(),
        text.lines().map(str::to_owned).collect(),
        String::from_utf8(output.stderr).unwrap(),
    )
}

fn replay_bytes(file: &[u8], json: bool) -> (Option<i32>, Vec<String>, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("capture.pcap");
    fs::write(&path, file).unwrap();
    replay(&path, json)
}

/// The records of a sound capture; the last one is the summary.
fn records(packets: &[Vec<u8>]) -> Vec<Value> {
    let (code, lines, errors) = replay_bytes(&capture(packets), true);
    assert_eq!(code, Some(0), "{errors}");
    lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Frame, type, reason or verb, and object of each record but the summary.
fn told(packets: &[Vec<u8>]) -> Vec<String> {
    let records = records(packets);
    let text = |record: &Value, field: &str| record[field].as_str().unwrap_or("-").to_owned();
    let tell = |record: &Value| {
        let what = if record["reason"].is_null() { "verb" } else { "reason" };
        let [kind, what, object] = ["type", what, "object"].map(|field| text(record, field));
        format!("{} {kind} {what} {object}", record["frame"])
    };
    records.iter().filter(|record| record["type"] != "summary").map(tell).collect()
}

const CONNECT: &[u8] = b"\x10\x0d\0\x04MQTT\x04\x02\0\x3c\0\x01c";
const PUBLISH: &[u8] = b"\x30\x05\0\x01thi";

#[test]
fn devices_of_a_capture_have_guesses() {
    let notify = b"NOTIFY * HTTP/1.1\r\nNT: urn:Belkin:device:insight:1\r\n\r\n";
    let packet = udp((CLIENT.0, 1_900), ([239, 255, 255, 250], 1_900), notify);
    let frame = [&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 1, 8, 0], &packet[..]].concat();
    let mut file = capture(&[frame]);
    // The link is Ethernet.
    file[20] = 1;
    let (_, lines, _) = replay_bytes(&file, true);
    let records: Vec<Value> = lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    let devices: Vec<&Value> = records.iter().filter(|record| record["type"] == "device").collect();
    assert_eq!(devices.len(), 1, "{records:?}");
    assert_eq!((&devices[0]["kind"], &devices[0]["confidence"]), (&"plug".into(), &"medium".into()));
    assert_eq!((&devices[0]["mac"], &devices[0]["private_mac"]), (&"02:00:00:00:00:01".into(), &true.into()));
    assert_eq!(devices[0]["evidence"][0], "announces belkin:device:insight");
}

#[test]
fn segments_come_in_any_order_and_again() {
    let end = CONNECT.len() as u32;
    let packets = connection(
        4711,
        &[(end, PUBLISH), (3, &CONNECT[3..]), (3, &CONNECT[3..]), (0, &CONNECT[..5]), (end, PUBLISH)],
    );
    assert_eq!(
        told(&packets),
        ["7 connection connect tcp/4711 mqtt", "7 message connect c", "7 message publish t"]
    );
}

#[test]
fn a_gap_ends_a_direction() {
    let packets = connection(1883, &[(0, CONNECT), (CONNECT.len() as u32 + 1, PUBLISH)]);
    assert_eq!(told(&packets), ["4 connection connect tcp/1883 mqtt", "4 message connect c", "5 gap - -"]);
}

#[test]
fn a_forbidden_byte_ends_a_connection() {
    let packets = connection(1883, &[(0, CONNECT), (CONNECT.len() as u32, b"\x36\x02\0\0"), (99, PUBLISH)]);
    assert_eq!(
        told(&packets),
        ["4 connection connect tcp/1883 mqtt", "4 message connect c", "5 stop malformed -"]
    );
}

#[test]
fn what_begins_in_the_middle_is_marked() {
    let server = ([192, 0, 2, 9], 1883);
    let known = records(&[tcp(CLIENT, server, 7, 1, ACK, CONNECT)]);
    assert_eq!((&known[1]["verb"], &known[1]["midstream"]), (&Value::from("connect"), &Value::from(true)));
    assert_eq!(told(&[tcp(CLIENT, server, 7, 1, ACK, b"\xc0\0")]), ["1 stop midstream -"]);
}

#[test]
fn ports_are_used_again() {
    let mut packets = connection(1883, &[(0, CONNECT)]);
    packets.push(tcp(CLIENT, ([192, 0, 2, 9], 1883), 7_000, 0, SYN, &[]));
    packets.push(tcp(CLIENT, ([192, 0, 2, 9], 1883), 7_001, 1, ACK, CONNECT));
    let connects = told(&packets).into_iter().filter(|line| line.ends_with("message connect c")).count();
    assert_eq!(connects, 2);
    assert_eq!(records(&packets).last().unwrap()["connections"], 2);
}

#[test]
fn a_message_without_an_end_is_marked() {
    let records = records(&connection(1883, &[(0, CONNECT), (CONNECT.len() as u32, &PUBLISH[..6])]));
    let publish = records.iter().find(|record| record["verb"] == "publish").unwrap();
    assert_eq!(
        (&publish["object"], &publish["fields"]["unfinished"]),
        (&Value::from("t"), &Value::from(true))
    );
}

#[test]
fn datagrams_are_read_by_their_port() {
    let to = |port| ([192, 0, 2, 9], port);
    let packets = [
        // A confirmable GET with the options Observe and Uri-Path.
        udp(CLIENT, to(5683), b"\x40\x01\0\x01\x60\x55light"),
        udp(CLIENT, to(53), b"\0\x01\x01\0\0\x01\0\0\0\0\0\0\x03hub\x04HOME\0\0\x01\0\x01"),
        udp(CLIENT, to(1900), b"M-SEARCH * HTTP/1.1\r\nST: ssdp:all\r\n\r\n"),
        udp(CLIENT, to(9), b"anything"),
        udp(CLIENT, to(53), b"\0\x01\x01\0\0\x01\0\0\0\0\0\0\x03hub"),
        // An answer between two ports of the service, and something else at one.
        udp((CLIENT.0, 5683), to(5683), b"\x60\x45\0\x01\xff22"),
        udp(CLIENT, to(5683), b"\x00anything"),
    ];
    assert_eq!(
        told(&packets),
        [
            "1 message subscribe /light",
            "2 message resolve hub.home",
            "3 message discover ssdp:all",
            "5 stop malformed -",
            "6 message - -"
        ]
    );
    let summary = records(&packets).pop().unwrap();
    assert_eq!(
        (&summary["protocols"]["coap"]["flows"], &summary["protocols"]["opaque"]["flows"]),
        (&2.into(), &2.into())
    );
}

#[test]
fn frames_that_do_not_parse_have_a_reason() {
    let mut fragment = udp(CLIENT, ([192, 0, 2, 9], 53), b"");
    fragment[6] = 0x20;
    assert_eq!(told(&[fragment]), ["1 frame fragment -"]);
}

#[test]
fn people_get_a_line_for_each_operation() {
    let (code, lines, _) = replay_bytes(&capture(&connection(1883, &[(0, CONNECT)])), false);
    assert_eq!(code, Some(0));
    assert_eq!(lines[0], "1700000000.003000000 #4 192.0.2.1:40000 → 192.0.2.9:1883 connect tcp/1883 mqtt");
    assert_eq!(
        lines[1],
        "1700000000.003000000 #4 192.0.2.1:40000 → 192.0.2.9:1883 mqtt CONNECT connect \"c\" version=4"
    );
    assert!(lines.contains(&"mqtt: 1 flows, 1 messages, 1 operations".to_owned()), "{lines:?}");
    assert!(lines.last().unwrap().ends_with(" packets per second"), "{lines:?}");
}

/// An object is a device's own text; it cannot write to a terminal.
#[test]
fn objects_are_quoted() {
    let hostile = b"\x30\x09\0\x06\x1b[2J\"\nx";
    let packets = connection(1883, &[(0, CONNECT), (CONNECT.len() as u32, hostile)]);
    let (_, lines, _) = replay_bytes(&capture(&packets), false);
    assert!(lines[2].ends_with(r#"publish "\u{1b}[2J\"\n" qos=0 retain=false"#), "{lines:?}");
}

#[test]
fn of_a_damaged_capture_the_sound_part_is_told() {
    let file = capture(&connection(1883, &[(0, CONNECT), (CONNECT.len() as u32, PUBLISH)]));
    let cut = file.len() - 3;
    let (code, lines, errors) = replay_bytes(&file[..cut], true);
    assert_eq!(code, Some(1));
    assert!(
        errors.contains(&format!("could not be read to its end: byte {cut}: the file ends inside a packet")),
        "{errors}"
    );
    let records: Vec<Value> = lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(records.iter().any(|record| record["object"] == "c"));
    assert_eq!(records.last().unwrap()["error"]["offset"], cut);
}

/// The same packets as blocks of pcapng.
fn blocks(packets: &[Vec<u8>]) -> Vec<u8> {
    let block = |kind: u32, body: &[u8]| {
        let padding = vec![0; body.len().next_multiple_of(4) - body.len()];
        let length = ((body.len() + padding.len() + 12) as u32).to_le_bytes();
        [&kind.to_le_bytes()[..], &length, body, &padding, &length].concat()
    };
    let mut file = block(0x0a0d_0d0a, &[&[0x4d, 0x3c, 0x2b, 0x1a, 1, 0, 0, 0][..], &[0xff; 8]].concat());
    file.extend(block(1, &[101, 0, 0, 0, 0, 0, 0, 0]));
    for packet in packets {
        let length = (packet.len() as u32).to_le_bytes();
        file.extend(block(6, &[&[0; 12][..], &length, &length, packet].concat()));
    }
    file
}

#[test]
fn damage_anywhere_is_told_with_its_place() {
    let packets = connection(1883, &[(0, CONNECT), (CONNECT.len() as u32, PUBLISH)]);
    // xorshift64 (Marsaglia, 2003): the same damage in every run.
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as usize % below
    };
    let mut damaged = 0;
    for round in 0..60 {
        let mut file = if round % 2 == 0 { capture(&packets) } else { blocks(&packets) };
        if round % 3 == 0 {
            file.truncate(random(file.len()));
        } else {
            for _ in 0..=random(3) {
                let at = random(file.len());
                file[at] = random(256) as u8;
            }
        }
        let (code, lines, errors) = replay_bytes(&file, true);
        let records: Vec<Value> = lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
        let summary = records.last().expect("there is a summary");
        assert_eq!(summary["type"], "summary", "{round}");
        if let Some(offset) = summary["error"]["offset"].as_u64() {
            assert_eq!(code, Some(1), "{round}: {errors}");
            assert!(errors.contains(&format!("byte {offset}: ")), "{round}: {errors}");
            assert!(offset <= file.len() as u64, "{round}: {errors}");
            damaged += 1;
        } else {
            assert_eq!((code, &errors[..]), (Some(0), ""), "{round}");
        }
    }
    assert!(damaged > 20, "only {damaged} of 60 files could not be read to their end");
}

#[test]
fn what_is_no_capture_is_refused() {
    for (file, says) in [
        (&b"\x7fELF and more"[..], "byte 0: this is no pcap or pcapng file"),
        (b"", "byte 0: this is no pcap or pcapng file"),
    ] {
        let (code, _, errors) = replay_bytes(file, false);
        assert_eq!(code, Some(1));
        assert!(errors.contains(says), "{errors}");
    }
    let (code, _, errors) = replay(Path::new("/nowhere/a.pcap"), false);
    assert_eq!(code, Some(1));
    assert!(errors.contains("cannot open /nowhere/a.pcap"), "{errors}");
    let usage = Command::new(env!("CARGO_BIN_EXE_edgeward")).arg("replay").output().unwrap();
    assert_eq!(usage.status.code(), Some(2));
}
