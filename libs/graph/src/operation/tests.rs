use super::*;
use firewall_common::abi::Kind;
use proptest::prelude::*;

#[test]
fn what_is_shown_can_be_written() {
    for (verb, object) in [
        ("connect", "tcp/1883"),
        ("connect", "udp/53"),
        ("connect", "icmp/8"),
        ("connect", "icmp6/128"),
        ("connect", "ip/47"),
        ("connect", "ip/132/7"),
        ("connect", "ether/88cc"),
        ("connect", "client:"),
        ("connect", "client:lock-1"),
        ("connect", "client:+"),
        ("connect", "client:\\+"),
        ("connect", "client:\\\\+"),
        ("connect", "client:8883:x"),
        ("connect", "mqtt:8883:client:x"),
        ("connect", "mqtt:8883:user:+"),
        ("connect", "user:hub"),
        ("connect", "tcp/8080 http"),
        ("connect", "udp/5684 dtls"),
        ("connect", "tls:"),
        ("connect", "tls:cloud.example"),
        ("connect", "tls:8443:+"),
        ("publish", "lock/front/set"),
        ("publish", "mqtt:1883:mqtt:8883:x"),
        ("publish", "mqtt:8883:site/a/temp"),
        ("subscribe", "site/+/#"),
        ("subscribe", "mqtt:1883:coap:/light"),
        ("subscribe", "coap:/light"),
        ("get", "http:/api/+/state"),
        ("set", "http:8080://hub.local/api/#"),
        ("delete", "http:/"),
        ("get", "coap:61616:/sensors/+"),
        ("read", "modbus:1/holding/100-109"),
        ("write", "modbus:1502:+/coils/#"),
    ] {
        let (plane, operation) = Operation::parse("packet", verb, object, 1883).unwrap();
        assert_eq!(plane, Plane::Packet);
        assert_eq!((operation.verb.as_str(), operation.object_text().as_str()), (verb, object));
        let text = serde_json::to_string(&operation).unwrap();
        assert_eq!(serde_json::from_str::<Operation>(&text).unwrap(), operation);
    }
}

#[test]
fn a_name_from_the_wire_is_never_a_wildcard() {
    for (kind, text) in
        [(Kind::MqttConnect, "client:\\+"), (Kind::MqttUser, "user:\\+"), (Kind::TlsName, "tls:1883:\\+")]
    {
        let seen = Operation::from_wire(kind, 6, 1883, b"+").unwrap().unwrap();
        assert_eq!(seen.object_text(), text);
        assert_eq!(Operation::parse("packet", "connect", text, 1883).unwrap().1, seen);
    }
}

#[test]
fn what_the_kernel_sees_is_what_people_write() {
    for (kind, port, object, verb, text) in [
        (Kind::Speaks, 8080, "http", "connect", "tcp/8080 http"),
        (Kind::HttpGet, 80, "/api/light hub.local", "get", "http://hub.local/api/light"),
        (Kind::HttpSet, 8080, "/", "set", "http:8080:/"),
        (Kind::HttpDelete, 80, "/a/+ h", "delete", "http://h/a/\\+"),
        (Kind::CoapGet, 5683, "/light", "get", "coap:/light"),
        (Kind::CoapSet, 5683, "/light h", "set", "coap://h/light"),
        (Kind::CoapDelete, 5683, "/x/", "delete", "coap:/x/"),
        (Kind::CoapObserve, 5684, "/t", "subscribe", "coap:5684:/t"),
        (Kind::ModbusRead, 502, "1/holding/100-109", "read", "modbus:1/holding/100-109"),
        (Kind::ModbusWrite, 502, "255/coils/7-7", "write", "modbus:255/coils/7"),
        (Kind::TlsName, 443, "cloud.example", "connect", "tls:cloud.example"),
        (Kind::MqttUser, 8883, "hub", "connect", "mqtt:8883:user:hub"),
    ] {
        let proto = if matches!(verb, "subscribe") || text.starts_with("coap") { UDP } else { TCP };
        let seen = Operation::from_wire(kind, proto, port, object.as_bytes()).unwrap().unwrap();
        assert_eq!((seen.verb.as_str(), seen.object_text().as_str()), (verb, text));
        assert_eq!(Operation::parse("packet", verb, text, 1883).unwrap().1, seen);
        assert_eq!((seen.kind(), seen.end()), (kind, Some((proto, port))));
    }
    assert_eq!(Operation::from_wire(Kind::Speaks, 6, 1, b"latin"), Ok(None));
    assert!(Operation::from_wire(Kind::ModbusRead, 6, 502, b"1/holding").is_ok());
    assert!(Operation::from_wire(Kind::HttpGet, 6, 80, b"api").is_err());
}

#[test]
fn mistakes_have_a_place_and_a_reason() {
    let parse = |plane, verb, object| Operation::parse(plane, verb, object, 1883).unwrap_err();
    assert_eq!(parse("pakket", "connect", "tcp/1"), OperationError::Plane("pakket".into()));
    assert_eq!(parse("relay", "connect", "tcp/1"), OperationError::PlaneLater("relay"));
    assert_eq!(parse("packet", "replicate", "x"), OperationError::Verb("replicate".into()));
    for (verb, object, expected) in [
        ("connect", "tcp/70000", 5),
        ("connect", "port 80", 1),
        ("connect", "tcp/80 latin", 8),
        ("connect", "icmp/8 http", 7),
        ("connect", "mqtt:client:x", 6),
        ("connect", "mqtt:0:client:x", 6),
        ("connect", "mqtt:8883:x", 11),
        ("publish", "ä/#/b", 3),
        ("publish", "mqtt:8883:a/+b", 13),
        ("publish", "", 1),
        ("get", "modbus:1/coils/1", 1),
        ("get", "http:/a/#/b", 9),
        ("get", "http:99999:/a", 6),
        ("set", "http://hub:80/a", 11),
        ("get", "http:api", 6),
        ("read", "modbus:1/coil/1", 10),
        ("write", "modbus:1502:1/coils/9-3", 23),
    ] {
        match parse("packet", verb, object) {
            OperationError::Object { at, .. } => assert_eq!(at, expected, "{object}"),
            other => panic!("{object}: {other:?}"),
        }
    }
    let text = parse("packet", "publish", "a/#/b").to_string();
    assert_eq!(
        text,
        "`a/#/b`, character 3: `+` and `#` must stand alone between slashes, and `#` at the end"
    );
    assert_eq!(Operation::from_wire(Kind::MqttPublish, 6, 1883, b"a/+"), Err(OperationError::TopicWild));
    assert_eq!(Operation::from_wire(Kind::MqttPublish, 6, 1883, b"\xff"), Err(OperationError::NotText));
}

proptest! {
    #[test]
    fn no_text_is_read_in_two_ways(
        verb in proptest::sample::select(Verb::ALL),
        object in "(mqtt:|http:|coap:|modbus:|tls:|client:|user:|tcp/|)[0-9]{0,3}:?[a-c/+#:\\\\ -]{0,12}",
    ) {
        if let Ok((_, operation)) = Operation::parse("packet", verb.as_str(), &object, 1883) {
            let shown = operation.object_text();
            let (_, again) = Operation::parse("packet", verb.as_str(), &shown, 1883).unwrap();
            prop_assert_eq!((again.object_text(), again), (shown, operation));
        }
    }
}
