use super::*;
use crate::edge::Property;
use crate::explain::Risk;
use firewall_common::abi::Action;

const HTTP: u16 = Protocol::Http.bit();
const TLS: u16 = Protocol::Tls.bit();

/// A panel that learns beside a hub.
fn home() -> (Site, PrincipalId, PrincipalId) {
    let mut site = Site::open();
    let (hub, panel) = (site.named(1, "Hub", "hub"), site.named(2, "Panel", "phone"));
    (site, hub, panel)
}

/// What connections from one to the other may speak at a TCP port.
fn speaks(site: &Site, src: PrincipalId, dst: PrincipalId, port: u16) -> Option<u16> {
    site.kernel.speaks.get(&edge_key(EdgeKey { src, dst, port, proto: 6, kind: 0 })).copied()
}

#[test]
fn the_first_protocol_of_a_learned_connection_is_part_of_it() {
    let (mut site, hub, panel) = home();
    assert!(site.open_port(panel, hub, 8080));
    assert_eq!(speaks(&site, panel, hub, 8080), Some(0));
    assert!(site.speak(panel, hub, 8080, "http"));
    assert_eq!(speaks(&site, panel, hub, 8080), Some(HTTP));
    assert_eq!(site.state(panel, "connect", "tcp/8080 http"), "learned");
    assert!(site.speak(panel, hub, 8080, "tls"), "it learns that too");
    assert_eq!(speaks(&site, panel, hub, 8080), Some(HTTP | TLS));
    site.finish(panel);
    assert!(site.speak(panel, hub, 8080, "http"));
    assert!(!site.speak(panel, hub, 8080, "opaque"));
    let edge = site.edge(panel, "connect", "tcp/8080 opaque").unwrap();
    assert_eq!((edge.state.as_str(), edge.violated), ("pending", Some(Property::Protocol)));
    assert_eq!((edge.reason, site.graph.risk(edge, site.now)), (Some(Reason::ProtoChanged), Risk::Medium));
    let id = edge.id;
    site.say(id, Answer::Allow, Lifetime::Always);
    assert!(site.speak(panel, hub, 8080, "opaque"));
    site.say(id, Answer::Deny, Lifetime::Always);
    assert!(!site.speak(panel, hub, 8080, "opaque"));
    site.check();
}

#[test]
fn a_connection_that_a_person_allows_takes_the_first_protocol() {
    let (mut site, hub, panel) = home();
    site.finish(panel);
    assert!(!site.open_port(panel, hub, 443));
    assert!(!site.speak(panel, hub, 443, "http"), "nothing is said yet about the connection");
    assert_eq!(site.graph.edges().count(), 1);
    site.write(["Panel", "Hub", "connect", "tcp/443"], Answer::Allow).unwrap();
    assert!(site.speak(panel, hub, 443, "tls"));
    assert_eq!(
        (site.state(panel, "connect", "tcp/443 tls"), speaks(&site, panel, hub, 443)),
        ("learned", Some(TLS))
    );
    assert!(!site.speak(panel, hub, 443, "opaque"));
    assert_eq!(site.state(panel, "connect", "tcp/443 opaque"), "pending");
    site.check();
    let before = site.kernel.speaks.clone();
    site.restart(2);
    assert_eq!(site.kernel.speaks, before);
}

#[test]
fn a_person_names_the_protocol_first() {
    let (mut site, hub, panel) = home();
    site.finish(panel);
    site.write(["Panel", "Hub", "connect", "tcp/8080"], Answer::Allow).unwrap();
    let http = site.write(["Panel", "Hub", "connect", "tcp/8080 http"], Answer::Allow).unwrap();
    assert_eq!(speaks(&site, panel, hub, 8080), Some(HTTP));
    assert!(!site.speak(panel, hub, 8080, "tls"));
    // Without the word about HTTP, and with one against it, anything else may come.
    site.say(http, Answer::Deny, Lifetime::Always);
    assert!(!site.speak(panel, hub, 8080, "http"));
    assert_eq!(speaks(&site, panel, hub, 8080).map(|speaks| speaks & HTTP), Some(0));
    // What is taken out of the model is asked about, not learned again.
    site.graph.remove_edge(http, &owner(), site.now).unwrap();
    site.execute();
    site.kernel.observed.clear();
    assert!(!site.speak(panel, hub, 8080, "http"));
    assert_eq!(site.state(panel, "connect", "tcp/8080 http"), "pending");
    let uses = site.try_say(http, Answer::Allow, Lifetime::Uses(3));
    assert!(matches!(uses, Err(Refused::Invalid(_))));
    site.say(http, Answer::Allow, Lifetime::Once);
    assert!(site.speak(panel, hub, 8080, "http"));
    site.pass(601);
    site.kernel.observed.clear();
    assert!(!site.speak(panel, hub, 8080, "http"), "once is a time of ten minutes here");
    site.check();
}

#[test]
fn mqtt_is_learned_and_guarded_at_any_port() {
    let (mut site, hub, panel) = home();
    let lock = site.named(3, "Lock", "lock");
    for device in [panel, lock] {
        assert!(site.open_port(device, hub, 8883));
        assert!(site.speak(device, hub, 8883, "mqtt"));
    }
    let mqtt = |site: &mut Site, src, kind, object| site.request(src, hub, kind, 8883, object);
    assert!(mqtt(&mut site, lock, Kind::MqttConnect, "lock-1"));
    assert!(mqtt(&mut site, lock, Kind::MqttSubscribe, "lock/#"));
    assert!(mqtt(&mut site, panel, Kind::MqttPublish, "panel/state"));
    assert_eq!(site.state(panel, "publish", "mqtt:8883:panel/state"), "learned");
    assert!(!mqtt(&mut site, panel, Kind::MqttPublish, "lock/front/set"));
    assert!(!mqtt(&mut site, panel, Kind::MqttConnect, "lock-1"), "the client id of another device there");
    assert!(site.client(panel, hub, "lock-1"), "at another broker it is nobody's");
    site.finish(panel);
    assert!(mqtt(&mut site, panel, Kind::MqttPublish, "panel/state"));
    assert!(!site.publish(panel, hub, "panel/state"));
    site.write(["Panel", "Hub", "publish", "mqtt:8883:panel/+"], Answer::Allow).unwrap();
    assert!(mqtt(&mut site, panel, Kind::MqttPublish, "panel/other"));
    site.check();
}

#[test]
fn requests_are_learned_generalised_and_asked_about() {
    let (mut site, hub, panel) = home();
    site.open_port(panel, hub, 80);
    site.speak(panel, hub, 80, "http");
    for light in ["/lights/1/state hub.local", "/lights/2/state hub.local", "/lights/3/state hub.local"] {
        assert!(site.request(panel, hub, Kind::HttpGet, 80, light));
    }
    assert_eq!(site.state(panel, "get", "http://hub.local/lights/+/state"), "learned");
    assert_eq!(site.kernel.rules.len(), 2, "the guard and the one rule");
    site.finish(panel);
    assert!(site.request(panel, hub, Kind::HttpGet, 80, "/lights/44/state hub.local"));
    for (kind, object, verb, text) in [
        (Kind::HttpGet, "/lights/44/state other.local", "get", "http://other.local/lights/44/state"),
        (Kind::HttpSet, "/lights/44/state hub.local", "set", "http://hub.local/lights/44/state"),
        (Kind::HttpSet, "/api/firmware hub.local", "set", "http://hub.local/api/firmware"),
    ] {
        assert!(!site.request(panel, hub, kind, 80, object));
        let edge = site.edge(panel, verb, text).unwrap();
        assert_eq!((edge.state.as_str(), edge.violated), ("pending", Some(Property::OpNotInModel)));
        let software = text.contains("firmware");
        assert_eq!(site.graph.risk(edge, site.now) == Risk::High, software, "{text}");
    }
    let early = site.write(["Panel", "Hub", "get", "http:81:/"], Answer::Allow).unwrap();
    let because = site.graph.explain(early, site.now).unwrap().because();
    assert!(because.contains("a connection to tcp/81, which is not in the model"), "{because}");
    site.write(["Panel", "Hub", "connect", "tcp/81"], Answer::Allow).unwrap();
    site.write(["Panel", "Hub", "connect", "tcp/81 tls"], Answer::Allow).unwrap();
    let because = site.graph.explain(early, site.now).unwrap().because();
    assert!(because.contains("nothing passes before `tcp/81 http` is allowed too"), "{because}");
    let allowed = site.write(["Panel", "Hub", "set", "http:/lights/#"], Answer::Allow).unwrap();
    assert!(site.request(panel, hub, Kind::HttpSet, 80, "/lights/44/state hub.local"));
    assert!(site.request(panel, hub, Kind::HttpSet, 80, "/lights"));
    assert!(!site.request(panel, hub, Kind::HttpSet, 80, "/light"));
    let explanation = site.graph.explain(allowed, site.now).unwrap();
    let habits = explanation.habits.iter().filter_map(|id| site.graph.edge(*id));
    let habits: Vec<String> = habits.map(|habit| site.graph.habit_in_words(habit)).collect();
    assert!(habits.contains(&"get http://hub.local/lights/+/state at Hub".to_owned()), "{habits:?}");
    site.check();
}

#[test]
fn nothing_about_a_camera_is_generalised_or_learned() {
    let (mut site, _, panel) = home();
    let camera = site.named(3, "Camera", "camera");
    site.write(["Panel", "Camera", "connect", "tcp/80"], Answer::Allow).unwrap();
    assert!(site.speak(panel, camera, 80, "http"), "its protocol is");
    for path in ["/snap/1", "/snap/2", "/snap/3"] {
        assert!(!site.request(panel, camera, Kind::HttpGet, 80, path));
        let edge = site.edge(panel, "get", &format!("http:{path}")).unwrap();
        assert_eq!(
            (edge.violated, site.graph.risk(edge, site.now)),
            (Some(Property::ClassForbidden), Risk::High)
        );
    }
    assert_eq!(site.state(panel, "get", "http:/snap/+"), "none");
    assert!(!site.speak(panel, camera, 80, "tls"));
    assert_eq!(site.state(panel, "connect", "tcp/80 tls"), "pending");
}

#[test]
fn addresses_that_touch_become_one_range() {
    let (mut site, hub, panel) = home();
    site.open_port(panel, hub, 502);
    site.speak(panel, hub, 502, "modbus");
    let read = |site: &mut Site, object: &str| site.request(panel, hub, Kind::ModbusRead, 502, object);
    assert!(read(&mut site, "1/holding/100-109"));
    assert!(read(&mut site, "1/holding/110-119"));
    assert_eq!(site.state(panel, "read", "modbus:1/holding/100-119"), "learned");
    // Across what is known and what is not, the kernel asks once.
    assert!(!read(&mut site, "1/holding/115-129"));
    assert!(read(&mut site, "1/holding/115-129"));
    assert_eq!(site.state(panel, "read", "modbus:1/holding/100-129"), "learned");
    site.finish(panel);
    assert!(read(&mut site, "1/holding/105-125"));
    assert!(!read(&mut site, "1/holding/120-130"));
    assert!(!read(&mut site, "2/holding/100-100"));
    site.write(["Panel", "Hub", "read", "modbus:1/holding/110-111"], Answer::Deny).unwrap();
    assert!(!read(&mut site, "1/holding/105-125"));
    assert!(read(&mut site, "1/holding/112-129"));
    site.graph.learn_start(Some(panel), None, &owner(), site.now).unwrap();
    site.execute();
    assert!(!read(&mut site, "1/holding/100-119"), "also while it learns again");
    site.check();
}

#[test]
fn the_same_registers_of_three_units_become_those_of_any() {
    let (mut site, hub, panel) = home();
    site.open_port(panel, hub, 502);
    for unit in 1..=3 {
        assert!(site.request(panel, hub, Kind::ModbusRead, 502, &format!("{unit}/input/0-9")));
    }
    assert_eq!(site.state(panel, "read", "modbus:+/input/0-9"), "learned");
    assert_eq!(
        speaks(&site, panel, hub, 502),
        Some(Protocol::Modbus.bit()),
        "its messages say what it speaks"
    );
}

#[test]
fn coap_and_server_names_have_edges_of_their_own() {
    let (mut site, hub, panel) = home();
    let coap = |kind, object: &str| Try { src: panel, dst: Ok(hub), kind, port: 5683, object: object.into() };
    let udp = EdgeKey { src: panel, dst: hub, port: 5683, proto: 17, kind: 0 };
    site.write(["Panel", "Hub", "connect", "udp/5683"], Answer::Allow).unwrap();
    assert!(site.attempt(&coap(Kind::CoapGet, "/light")));
    assert!(site.attempt(&coap(Kind::CoapObserve, "/light h")));
    assert_eq!(site.state(panel, "get", "coap:/light"), "learned");
    assert_eq!(site.state(panel, "subscribe", "coap://h/light"), "learned");
    assert_eq!(site.kernel.speaks.get(&edge_key(udp)), Some(&Protocol::Coap.bit()));
    site.open_port(panel, hub, 443);
    assert!(site.request(panel, hub, Kind::TlsName, 443, "cloud.example"));
    site.finish(panel);
    assert!(site.attempt(&coap(Kind::CoapGet, "/light")));
    assert!(!site.attempt(&coap(Kind::CoapSet, "/light")));
    assert!(site.request(panel, hub, Kind::TlsName, 443, "cloud.example"));
    assert!(!site.request(panel, hub, Kind::TlsName, 443, "other.example"));
    assert_eq!(site.state(panel, "connect", "tls:other.example"), "pending");
    site.check();
}

#[test]
fn datagrams_have_a_protocol_too() {
    let (mut site, hub, panel) = home();
    site.finish(panel);
    let udp = edge_key(EdgeKey { src: panel, dst: hub, port: 443, proto: 17, kind: 0 });
    site.write(["Panel", "Hub", "connect", "udp/443"], Answer::Allow).unwrap();
    assert!(site.speak(panel, hub, 443, "quic"));
    assert_eq!(site.state(panel, "connect", "udp/443 quic"), "learned");
    assert_eq!(site.kernel.speaks.get(&udp), Some(&Protocol::Quic.bit()));
    assert!(!site.speak(panel, hub, 443, "dtls"));
    let edge = site.edge(panel, "connect", "udp/443 dtls").unwrap();
    assert_eq!((edge.state.as_str(), edge.violated), ("pending", Some(Property::Protocol)));
    site.write(["Panel", "Hub", "connect", "udp/443 quic"], Answer::Deny).unwrap();
    assert!(!site.speak(panel, hub, 443, "quic"));
    site.check();
}

#[test]
fn a_connection_speaks_mqtt_or_something_else() {
    let (mut site, hub, panel) = home();
    let fact = Try { src: panel, dst: Ok(hub), kind: Kind::Speaks, port: MQTT, object: "mqtt".into() };
    site.attempt(&fact);
    site.connect(panel, hub);
    site.scan();
    assert_eq!(site.state(panel, "connect", "tcp/1883 mqtt"), "none", "the configuration says so already");
    site.publish(panel, hub, "panel/state");
    assert!(site.speak(panel, hub, 1883, "http"), "the kernel lets it learn");
    assert_eq!(site.state(panel, "connect", "tcp/1883 http"), "pending", "but it is not learned");
    for (verb, object) in [
        ("connect", "tcp/1883 http"),
        ("get", "http:1883:/"),
        ("connect", "tls:1883:x"),
        ("read", "modbus:1883:1/coils/#"),
    ] {
        let refused = site.write(["Panel", "Hub", verb, object], Answer::Allow);
        assert!(matches!(refused, Err(Refused::Invalid(_))), "{object}");
        site.write(["Panel", "Hub", verb, object], Answer::Deny).unwrap();
    }
    site.write(["Panel", "Hub", "connect", "tcp/1883 opaque"], Answer::Allow).unwrap();
    site.write(["Panel", "Hub", "get", "http:8080:/"], Answer::Allow).unwrap();
    let refused = site.write(["Panel", "Hub", "publish", "mqtt:8080:a"], Answer::Allow);
    assert!(matches!(refused, Err(Refused::Invalid(_))));
    for topic in ["panel/state", "panel/new"] {
        assert!(site.publish(panel, hub, topic), "MQTT goes on");
        assert_eq!(site.state(panel, "publish", topic), "learned");
    }
    site.write(["Panel", "Hub", "publish", "panel/#"], Answer::Allow).unwrap();
    site.check();
}

#[test]
fn a_decision_says_how_to_deny_and_what_is_too_much() {
    let (mut site, hub, panel) = home();
    site.connect(panel, hub);
    let mut write = |verb: &str, object: &str, answer, terms| {
        let spec = Spec {
            from: "Panel".into(),
            to: "Hub".into(),
            plane: "packet".into(),
            verb: verb.into(),
            object: object.into(),
            terms,
        };
        let decided = site.graph.decide_spec(&spec, answer, Lifetime::Always, &owner(), site.now);
        site.execute();
        decided.map(|(_, edge)| site.kernel.rules.get(&edge.0).copied())
    };
    let quietly = Terms { action: Action::Neutralise, ..Terms::NONE };
    let limited = Terms { no_retain: true, max_qos: Some(1), ..Terms::NONE };
    let rule = write("publish", "lock/#", Answer::Deny, quietly).unwrap().unwrap();
    assert_eq!((rule.action, rule.limits), (Action::Neutralise, 0b011));
    let rule = write("publish", "lock/#", Answer::Deny, Terms::NONE).unwrap().unwrap();
    assert_eq!(rule.action, Action::Reset, "a new decision says it anew");
    let rule = write("publish", "panel/#", Answer::Allow, limited).unwrap().unwrap();
    assert_eq!((rule.action, rule.limits), (Action::Reset, 0b101));
    for (verb, object, answer, terms) in [
        ("publish", "lock/#", Answer::Allow, quietly),
        ("subscribe", "lock/#", Answer::Deny, quietly),
        ("publish", "lock/#", Answer::Deny, limited),
        ("connect", "tcp/80", Answer::Allow, limited),
        ("publish", "x", Answer::Allow, Terms { max_qos: Some(3), ..Terms::NONE }),
    ] {
        assert!(matches!(write(verb, object, answer, terms), Err(Refused::Invalid(_))), "{verb} {object}");
    }
    let denied = write("publish", "door/#", Answer::Deny, quietly);
    assert!(denied.is_ok());
    let last = site.graph.decisions().next_back().unwrap();
    assert_eq!(last.what.detail(), "always, neutralised");
    let because = |object| site.graph.explain(site.id(panel, "publish", object), site.now).unwrap().because();
    assert_eq!(
        because("door/#"),
        "someone denied it; where that is possible it goes on as something harmless"
    );
    assert_eq!(because("panel/#"), "someone allowed it; it must not be retained; its QoS is at most 1");
    let (before, rules) = (site.graph.export(), site.kernel.rules.clone());
    assert!(before.contains("action = \"neutralise\"") && before.contains("retain = \"never\""), "{before}");
    assert_eq!(site.graph.import(&before, false, &owner(), site.now).unwrap().changes, [""; 0]);
    let reset = before.replace("action = \"neutralise\"\n", "");
    assert_eq!(site.graph.import(&reset, true, &owner(), site.now).unwrap().changes.len(), 1);
    let wrong = before.replace("\"never\"", "\"seldom\"");
    assert_eq!(site.graph.import(&wrong, true, &owner(), site.now).unwrap_err().len(), 1);
    site.restart(2);
    assert_eq!((site.graph.export(), &site.kernel.rules), (before, &rules));
    site.check();
}

#[test]
fn every_object_can_be_written_down_and_read_again() {
    let (mut site, hub, panel) = home();
    for (verb, object) in [
        ("connect", "tcp/80"),
        ("connect", "tcp/80 http"),
        ("get", "http://hub.local/api/+"),
        ("set", "http:8080:/#"),
        ("subscribe", "coap:/light"),
        ("write", "modbus:1/coils/0-7"),
        ("connect", "tls:8443:cloud.example"),
        ("connect", "user:panel"),
        ("publish", "mqtt:8883:a/b"),
        ("publish", "c"),
    ] {
        site.write(["Panel", "Hub", verb, object], Answer::Allow).unwrap();
    }
    let text = site.graph.export();
    assert!(!text.contains("port ="), "{text}");
    let mut other = Site::new(Settings { mqtt_ports: vec![1884], ..Settings::default() });
    for number in [1, 2] {
        other.device(number);
    }
    other.graph.import(&text, false, &owner(), other.now).unwrap();
    other.execute();
    let usual = other.graph.export();
    assert!(
        usual.contains("object = \"mqtt:1884:c\""),
        "a topic without a port is one at the site's own: {usual}"
    );
    other.graph.import(&usual, false, &owner(), other.now).unwrap();
    assert_eq!(other.graph.export(), usual);
    assert_eq!((hub, panel), (site.graph.find("Hub").unwrap(), site.graph.find("Panel").unwrap()));
    other.check();
}
