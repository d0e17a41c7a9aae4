use std::string::String;
use std::vec::Vec;
use std::{format, vec};

use proptest::prelude::*;

use super::*;

extern crate std;

/// Drives the machine as every caller does and returns the objects in order, or the reason of the first wrong byte.
fn run(bytes: &[u8], sender: Sender, version: u8) -> Result<Vec<(Kind, String)>, Reason> {
    let key = HashKey::from_random([7; 16]);
    let mut stream = Mqtt::NEW;
    let mut object = Object::EMPTY;
    if sender == Sender::Server {
        stream.adopt(version);
    }
    let mut objects = vec![];
    let mut at = 0;
    while at < bytes.len() {
        let skipped = stream.skip((bytes.len() - at) as u32) as usize;
        at += skipped;
        if skipped != 0 {
            continue;
        }
        let mut event = stream.step(&mut object, bytes[at], sender, &key);
        at += 1;
        if event == Event::Level {
            stream.next_level(&mut object);
            event = if stream.ends_with_slash() { stream.finish_text() } else { Event::More };
        }
        match event {
            Event::Object => {
                objects.push((stream.kind(), String::from_utf8(object.text().to_vec()).unwrap()));
            }
            Event::Alias => objects.push((Kind::MqttPublish, format!("alias {}", stream.alias()))),
            Event::Note(note) => objects.push((Kind::MqttConnect, format!("{note:?}"))),
            Event::Wrong(reason) => return Err(reason),
            Event::More | Event::Level => {}
            Event::Request | Event::Becomes(_) => unreachable!("not of MQTT"),
        }
    }
    Ok(objects)
}

fn client(packets: &[Vec<u8>]) -> Result<Vec<(Kind, String)>, Reason> {
    run(&packets.concat(), Sender::Client, 0)
}

fn packet(fixed: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![fixed];
    let mut length = body.len();
    loop {
        let more = if length > 0x7f { 0x80 } else { 0 };
        bytes.push((length & 0x7f) as u8 | more);
        length >>= 7;
        if length == 0 {
            break;
        }
    }
    bytes.extend(body);
    bytes
}

fn string(text: &str) -> Vec<u8> {
    let mut bytes = (text.len() as u16).to_be_bytes().to_vec();
    bytes.extend(text.as_bytes());
    bytes
}

fn connect(version: u8, id: &str, will: Option<&str>) -> Vec<u8> {
    let mut body = if version == 3 { string("MQIsdp") } else { string("MQTT") };
    body.push(version);
    body.push(if will.is_some() { 0x06 } else { 0x02 });
    body.extend([0, 60]);
    if version == 5 {
        // A session expiry interval and a user property.
        let mut properties = vec![0x11, 0, 0, 0, 9, 0x26];
        properties.extend(string("k"));
        properties.extend(string("value"));
        body.push(properties.len() as u8);
        body.extend(properties);
    }
    body.extend(string(id));
    if let Some(topic) = will {
        if version == 5 {
            body.push(0);
        }
        body.extend(string(topic));
        body.extend(string("bye"));
    }
    packet(0x10, &body)
}

fn publish(topic: &str, payload: &[u8]) -> Vec<u8> {
    let mut body = string(topic);
    body.extend(payload);
    packet(0x30, &body)
}

fn publish5(topic: &str, alias: Option<u16>, payload: &[u8]) -> Vec<u8> {
    let mut body = string(topic);
    match alias {
        Some(alias) => {
            body.extend([3, 0x23]);
            body.extend(alias.to_be_bytes());
        }
        None => body.push(0),
    }
    body.extend(payload);
    packet(0x30, &body)
}

fn subscribe(filters: &[&str]) -> Vec<u8> {
    let mut body = vec![0, 1];
    for filter in filters {
        body.extend(string(filter));
        body.push(0);
    }
    packet(0x82, &body)
}

/// In the shape that reading returns, so that both can be compared.
#[allow(clippy::unnecessary_wraps)]
fn objects(list: &[(Kind, &str)]) -> Result<Vec<(Kind, String)>, Reason> {
    Ok(list.iter().map(|&(kind, text)| (kind, String::from(text))).collect())
}

#[test]
fn a_session_gives_its_objects() {
    for version in [3, 4] {
        let got = client(&[
            connect(version, "washer", Some("washer/gone")),
            publish("washer/status", &[0; 300]),
            vec![0xc0, 0],
            subscribe(&["a/+/b", "c/#", "#", "+"]),
            publish("x/", b""),
            publish("/", b"y"),
            vec![0xe0, 0],
        ]);
        assert_eq!(
            got,
            objects(&[
                (Kind::MqttConnect, "washer"),
                (Kind::MqttPublish, "washer/gone"),
                (Kind::MqttPublish, "washer/status"),
                (Kind::MqttSubscribe, "a/+/b"),
                (Kind::MqttSubscribe, "c/#"),
                (Kind::MqttSubscribe, "#"),
                (Kind::MqttSubscribe, "+"),
                (Kind::MqttPublish, "x/"),
                (Kind::MqttPublish, "/"),
            ])
        );
    }
}

#[test]
fn mqtt_5_has_properties_and_aliases() {
    let got = client(&[
        connect(5, "", Some("will")),
        publish5("lock/set", Some(7), b"open"),
        publish5("", Some(7), b"open"),
        publish5("plain", None, b""),
    ]);
    assert_eq!(
        got,
        objects(&[
            (Kind::MqttConnect, ""),
            (Kind::MqttPublish, "will"),
            (Kind::MqttPublish, "lock/set"),
            (Kind::MqttPublish, "alias 7"),
            (Kind::MqttPublish, "alias 7"),
            (Kind::MqttPublish, "plain"),
        ])
    );
}

#[test]
fn what_the_standard_forbids_is_wrong() {
    let hello = || connect(4, "a", None);
    let five = || connect(5, "a", None);
    let cases: &[(&str, Vec<Vec<u8>>, Reason)] = &[
        ("data before CONNECT", vec![publish("t", b"")], Reason::ProtoChanged),
        ("second CONNECT", vec![hello(), hello()], Reason::Malformed),
        ("TLS hello", vec![vec![0x16, 3, 1]], Reason::ProtoChanged),
        ("HTTP", vec![b"GET / HTTP/1.1\r\n".to_vec()], Reason::ProtoChanged),
        ("a zero byte", vec![vec![0]], Reason::ProtoChanged),
        ("CR LF", vec![b"\r\n".to_vec()], Reason::ProtoChanged),
        ("other protocol name", vec![packet(0x10, b"\0\x04MQTX\x04\x02\0\0\0\0")], Reason::ProtoChanged),
        ("length that is not minimal", vec![hello(), vec![0xc0, 0x80, 0]], Reason::Malformed),
        ("length of five bytes", vec![hello(), vec![0x30, 0xff, 0xff, 0xff, 0xff]], Reason::Malformed),
        ("QoS 3", vec![hello(), packet(0x36, &string("t"))], Reason::Malformed),
        ("reserved flags", vec![hello(), vec![0xc1, 0]], Reason::Malformed),
        ("topic longer than the packet", vec![hello(), packet(0x30, &[0, 9, b'a'])], Reason::Malformed),
        ("empty topic", vec![hello(), publish("", b"x")], Reason::Malformed),
        ("neither topic nor alias", vec![five(), publish5("", None, b"x")], Reason::Malformed),
        ("alias 0", vec![five(), publish5("t", Some(0), b"x")], Reason::Malformed),
        ("wildcard in a topic", vec![hello(), publish("a/+", b"x")], Reason::Malformed),
        ("U+0000", vec![hello(), publish("a\0b", b"x")], Reason::Malformed),
        ("bad UTF-8", vec![hello(), packet(0x30, &[0, 2, 0xc0, 0x80])], Reason::Malformed),
        ("surrogate", vec![hello(), packet(0x30, &[0, 3, 0xed, 0xa0, 0x80])], Reason::Malformed),
        ("cut UTF-8", vec![hello(), packet(0x30, &[0, 1, 0xc3])], Reason::Malformed),
        ("# before the end", vec![hello(), subscribe(&["a/#/b"])], Reason::Malformed),
        ("+ within a level", vec![hello(), subscribe(&["a/b+"])], Reason::Malformed),
        ("text after +", vec![hello(), subscribe(&["+a"])], Reason::Malformed),
        ("SUBSCRIBE without a filter", vec![hello(), packet(0x82, &[0, 1])], Reason::Malformed),
        ("packet id 0", vec![hello(), packet(0x32, &[0, 1, b't', 0, 0])], Reason::Malformed),
        ("over-long topic", vec![hello(), publish(&"t".repeat(257), b"x")], Reason::ObjectCap),
        ("server packet from the client", vec![hello(), vec![0xd0, 0]], Reason::ProtoChanged),
        ("AUTH before MQTT 5", vec![hello(), vec![0xf0, 0]], Reason::Malformed),
        ("unknown property", vec![five(), packet(0x30, &[0, 1, b't', 1, 0x7f])], Reason::Malformed),
        ("properties past the packet", vec![five(), packet(0x30, &[0, 1, b't', 9, 1])], Reason::Malformed),
    ];
    for (name, packets, reason) in cases {
        assert_eq!(client(packets), Err(*reason), "{name}");
    }
}

fn server(version: u8, bytes: &[u8]) -> Result<Vec<(Kind, String)>, Reason> {
    run(bytes, Sender::Server, version)
}

#[test]
fn the_server_begins_with_connack() {
    let connack = [0x20, 2, 0, 0];
    let topic = [0x30, 3, 0, 1, b't'];
    assert_eq!(server(4, &[&connack[..], &topic, &[0xd0, 0]].concat()), objects(&[(Kind::MqttPublish, "t")]));
    assert_eq!(server(4, &topic), Err(Reason::ProtoChanged));
    assert_eq!(server(4, &[connack, connack].concat()), Err(Reason::Malformed));
    assert_eq!(server(5, &[0xf0, 0, 0x20, 3, 0, 0, 0]), Ok(vec![]));
    assert_eq!(server(4, &[0xf0, 0]), Err(Reason::Malformed));
    assert_eq!(server(5, &connack), Err(Reason::Malformed), "no properties");
    assert_eq!(server(4, &[0x20, 3, 0, 0, 0]), Err(Reason::Malformed), "a byte too many");
    assert_eq!(server(4, &[0x20, 2, 2, 0]), Err(Reason::Malformed), "reserved flag");
}

#[test]
fn the_server_says_whether_the_login_worked_and_goes_on_with_a_session() {
    assert_eq!(server(4, &[0x20, 2, 1, 0]), objects(&[(Kind::MqttConnect, "SessionPresent")]));
    assert_eq!(server(4, &[0x20, 2, 0, 5]), objects(&[(Kind::MqttConnect, "LoginFailed")]));
    assert_eq!(server(5, &[0x20, 3, 0, 0x87, 0]), objects(&[(Kind::MqttConnect, "LoginFailed")]));
}

#[test]
fn the_server_publishes_by_alias() {
    let mut bytes = vec![0x20, 3, 0, 0, 0];
    bytes.extend(publish5("door/state", Some(3), b"shut"));
    bytes.extend(publish5("", Some(3), b"open"));
    let expected =
        [(Kind::MqttPublish, "door/state"), (Kind::MqttPublish, "alias 3"), (Kind::MqttPublish, "alias 3")];
    assert_eq!(server(5, &bytes), objects(&expected));
}

/// CONNECT of MQTT 3.1.1 with these flags and the fields behind the client id.
fn connect_with(flags: u8, fields: &[&str]) -> Vec<u8> {
    let mut body = string("MQTT");
    body.extend([4, flags, 0, 60]);
    body.extend(string("id"));
    body.extend(fields.iter().flat_map(|field| string(field)));
    packet(0x10, &body)
}

#[test]
fn the_user_name_is_an_object_and_nothing_follows_the_last_field() {
    let id = (Kind::MqttConnect, "id");
    let user = (Kind::MqttUser, "us/er");
    let will = (Kind::MqttPublish, "w");
    for (flags, fields, expected) in [
        (0x02, &[][..], &[id][..]),
        (0x82, &["us/er"], &[id, user]),
        (0xc2, &["us/er", "secret"], &[id, user]),
        (0xc2, &["us/er", ""], &[id, user]),
        (0x82, &[""], &[id, (Kind::MqttUser, "")]),
        (0x86, &["w", "", "us/er"], &[id, will, user]),
        (0xc6, &["w", "bye", "us/er", "secret"], &[id, will, user]),
    ] {
        assert_eq!(client(&[connect_with(flags, fields), vec![0xc0, 0]]), objects(expected), "{flags:#x}");
    }
    for (flags, fields) in
        [(0x02, &["x"][..]), (0x82, &["u", "x"]), (0xc2, &["u"]), (0x42, &["p"]), (0x06, &["w"])]
    {
        assert_eq!(client(&[connect_with(flags, fields)]), Err(Reason::Malformed), "{flags:#x}");
    }
}

/// What a caller hears, and what is remembered behind it.
type Heard = (Vec<(usize, Event)>, Mqtt, Object);

/// Drives the machine over pieces of these lengths; with runs over windows of 64 bytes, or step by step.
fn hear(bytes: &[u8], cuts: &[usize], sender: Sender, runs: bool) -> Heard {
    let key = HashKey::from_random([7; 16]);
    let (mut stream, mut object, mut events) = (Mqtt::NEW, Object::EMPTY, vec![]);
    let (mut at, mut cuts) = (0, cuts.iter().cycle());
    while at < bytes.len() {
        let end = bytes.len().min(at + cuts.next().expect("there is one"));
        while at < end {
            let mut window = [0; 64];
            let from = at % 7;
            let length = (end - at).min(window.len() - from);
            window[from..from + length].copy_from_slice(&bytes[at..at + length]);
            let most = length as u32;
            let taken = match stream.skip((end - at) as u32) {
                0 if runs => stream.run(&mut object, &window, from as u32, most, &key, |at| at),
                skipped => skipped,
            };
            at += taken as usize;
            if taken > 0 {
                continue;
            }
            let mut event = stream.step(&mut object, bytes[at], sender, &key);
            if event == Event::Level {
                events.push((at, event));
                stream.next_level(&mut object);
                event = if stream.ends_with_slash() { stream.finish_text() } else { Event::More };
            }
            if event != Event::More {
                events.push((at, event));
            }
            at += 1;
            if matches!(event, Event::Wrong(_)) {
                return (events, stream, object);
            }
        }
    }
    (events, stream, object)
}

proptest! {
    #[test]
    fn topics_come_out_as_they_went_in(
        topics in proptest::collection::vec("[a-zé€/$]{1,40}", 1..8),
        payload in proptest::collection::vec(any::<u8>(), 0..300),
    ) {
        let mut packets = vec![connect(4, "x", None)];
        packets.extend(topics.iter().map(|topic| publish(topic, &payload)));
        let mut expected = vec![(Kind::MqttConnect, String::from("x"))];
        expected.extend(topics.iter().map(|topic| (Kind::MqttPublish, topic.clone())));
        prop_assert_eq!(client(&packets), Ok(expected));
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        let mut hello = connect(5, "x", Some("w"));
        hello.extend(bytes);
        let _ = run(&hello, Sender::Client, 0);
        let _ = run(&hello, Sender::Server, 5);
    }

    #[test]
    fn a_run_is_as_many_steps(
        texts in proptest::collection::vec(prop_oneof![4 => "[a-z0-9 é€/+#$\u{7f}]{1,90}", 1 => "\\PC{1,20}"], 1..6),
        damage in proptest::option::of((any::<proptest::sample::Index>(), any::<u8>())),
        cuts in proptest::collection::vec(1..90_usize, 1..9),
        client: bool,
    ) {
        let mut bytes = connect(4, "a client", Some("will/topic"));
        for text in &texts {
            bytes.extend(publish(text, b"payload"));
            bytes.extend(subscribe(&[text]));
        }
        if let Some((at, byte)) = damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let sender = if client { Sender::Client } else { Sender::Server };
        prop_assert_eq!(hear(&bytes, &cuts, sender, true), hear(&bytes, &cuts, sender, false));
    }
}
