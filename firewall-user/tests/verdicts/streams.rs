//! What is said in an inspected connection: MQTT, message by message.

use edgeward::kernel::KernelError;
use firewall_common::{
    abi::{EdgeKey, Kind, Protocol, Rule, RuleId},
    precedence::{Mode, RuleState},
    reason::{Reason, Verdict},
};
use graph::command::Topics;

use crate::{
    connection::{
        Connection,
        Side::{Client, Server},
    },
    frame::ACK,
    message::{
        self, PINGREQ, V3_1_1, V5, connack, connect, connect_with_will, publish, publish_alias, subscribe,
    },
    site::{Fate, Host, MQTT_PORT, Site, site},
};

const ALLOWED: &str = "site/hall/temp";
const FORBIDDEN: &str = "site/lock/set";
/// What becomes of a message that no rule is for.
const UNKNOWN: Fate = Fate::Reset(Reason::EdgeUnknown);
const DENIED: Fate = Fate::Reset(Reason::EdgeDenied);
const MALFORMED: Fate = Fate::Reset(Reason::Malformed);
const CHANGED: Fate = Fate::Reset(Reason::ProtoChanged);

/// A device and a broker, and the rules for what is said between them.
pub(crate) struct Rig {
    pub(crate) device: Host,
    broker: Host,
    edge: EdgeKey,
    pub(crate) topics: Topics,
}

/// Writes a rule for a message.
fn message_rule(site: &mut Site, state: RuleState) -> RuleId {
    let rule = site.rule(state);
    site.maps.rules.put(&rule.id, &rule).unwrap();
    rule.id
}

impl Rig {
    /// The device may connect as `washer`.
    pub(crate) fn new(site: &mut Site) -> Self {
        let (device, broker) = (site.settled(Mode::Enforcing), site.settled(Mode::Enforcing));
        let edge = site.edge(&device, &broker, MQTT_PORT, RuleState::Allowed);
        let mut rig = Self { device, broker, edge, topics: Topics::default() };
        let rule = message_rule(site, RuleState::Allowed);
        rig.topics.connect.push(message::client("washer", rule, RuleState::Allowed));
        rig
    }

    /// The device may publish these and nothing else.
    pub(crate) fn publishing(site: &mut Site, filters: &[&str]) -> Self {
        let mut rig = Self::new(site);
        for filter in filters {
            rig.publish(site, filter, RuleState::Allowed);
        }
        rig
    }

    pub(crate) fn publish(&mut self, site: &mut Site, filter: &str, state: RuleState) -> RuleId {
        let rule = message_rule(site, state);
        self.topics.publish.push(message::topic(filter, rule, state));
        rule
    }

    pub(crate) fn subscribe(&mut self, site: &mut Site, filter: &str, state: RuleState) {
        let rule = message_rule(site, state);
        self.topics.subscribe.push(message::topic(filter, rule, state));
    }

    /// Opens a connection on which nothing was said.
    pub(crate) fn open(&self, site: &mut Site) -> Connection {
        site.inspect(self.edge, &self.topics);
        Connection::open(site, self.device, self.broker, MQTT_PORT)
    }

    /// Opens a connection on which CONNECT was answered.
    pub(crate) fn connected(&self, site: &mut Site, version: u8) -> Connection {
        let mut connection = self.open(site);
        assert_eq!(connection.say(site, &connect(version, "washer")), Fate::Forwarded);
        assert_eq!(connection.answer(site, connack(version)), Fate::Forwarded);
        connection
    }

    /// What becomes of a message on a connection of its own.
    fn says(&self, site: &mut Site, message: &[u8]) -> Fate {
        self.connected(site, V3_1_1).say(site, message)
    }

    /// The objects that were noted, with the reason.
    pub(crate) fn noted(&self, site: &Site) -> Vec<(Kind, String, Verdict, Reason)> {
        let noted = site.observed(self.device.id);
        noted.into_iter().map(|entry| (entry.kind, entry.object, entry.verdict, entry.reason)).collect()
    }
}

fn refused(topic: &str) -> Vec<(Kind, String, Verdict, Reason)> {
    vec![(Kind::MqttPublish, topic.to_owned(), Verdict::Reset, Reason::EdgeUnknown)]
}

#[test]
fn an_allowed_topic_passes_and_another_ends_the_connection() {
    let Some(mut site) = site() else { return };
    let rig = Rig::publishing(&mut site, &[ALLOWED]);
    let mut connection = rig.connected(&mut site, V3_1_1);
    for _ in 0..3 {
        assert_eq!(connection.say(&mut site, &publish(ALLOWED, b"21")), Fate::Forwarded);
    }
    assert!(site.observed(rig.device.id).is_empty());
    let message = publish(FORBIDDEN, b"open");
    let judged = connection.send(&mut site, Client, ACK, &message);
    connection.assert_both_reset(&site, &judged, message.len() as u32);
    assert_eq!(rig.noted(&site), refused(FORBIDDEN));
    let noted = site.only_observed(rig.device.id);
    assert_eq!((noted.edge.dst, noted.edge.port), (rig.broker.id, MQTT_PORT));
    assert_eq!(connection.say(&mut site, &PINGREQ), Fate::Dropped(Reason::Midstream), "it is over");
}

#[test]
fn a_large_payload_is_passed_over() {
    let Some(mut site) = site() else { return };
    let rig = Rig::publishing(&mut site, &[ALLOWED]);
    let mut connection = rig.connected(&mut site, V3_1_1);
    // What looks like a message within a payload is none.
    let payload = publish(FORBIDDEN, b"open").repeat(900);
    for part in publish(ALLOWED, &payload).chunks(1400) {
        assert_eq!(connection.say(&mut site, part), Fate::Forwarded);
    }
    assert_eq!(connection.say(&mut site, &publish(FORBIDDEN, b"open")), UNKNOWN);
}

#[test]
fn one_byte_per_segment_makes_no_difference() {
    let Some(mut site) = site() else { return };
    let rig = Rig::publishing(&mut site, &[ALLOWED]);
    let mut connection = rig.open(&mut site);
    for byte in [connect(V3_1_1, "washer"), publish(ALLOWED, b"21")].concat() {
        assert_eq!(connection.say(&mut site, &[byte]), Fate::Forwarded);
    }
    let message = publish(FORBIDDEN, b"open");
    let topic_ends = 4 + FORBIDDEN.len();
    for byte in &message[..topic_ends - 1] {
        assert_eq!(connection.say(&mut site, &[*byte]), Fate::Forwarded);
    }
    assert_eq!(connection.say(&mut site, &message[topic_ends - 1..topic_ends]), UNKNOWN);
    assert_eq!(rig.noted(&site), refused(FORBIDDEN));
}

#[test]
fn a_message_cannot_hide_behind_others() {
    let Some(mut site) = site() else { return };
    let rig = Rig::publishing(&mut site, &[ALLOWED]);
    let (good, bad) = (publish(ALLOWED, b"21"), publish(FORBIDDEN, b"open"));
    let before = [good.repeat(20), PINGREQ.repeat(300), [PINGREQ.to_vec(), good.clone()].concat()];
    for harmless in before {
        assert_eq!(rig.says(&mut site, &harmless), Fate::Forwarded);
        assert_eq!(rig.says(&mut site, &[&harmless[..], &bad].concat()), UNKNOWN);
    }
    // Nor across a cut.
    let mut connection = rig.connected(&mut site, V3_1_1);
    let both = [good, bad].concat();
    let (first, second) = both.split_at(25);
    assert_eq!(connection.say(&mut site, first), Fate::Forwarded);
    assert_eq!(connection.say(&mut site, second), UNKNOWN);
}

/// Rules for so many topics, beside each other.
fn many(site: &mut Site, name: &str, count: usize) -> Topics {
    let mut topics = Topics::default();
    for number in 0..count {
        let rule = site.fresh_rule();
        topics.publish.push(message::topic(&format!("{name}/{number}"), rule, RuleState::Allowed));
    }
    topics
}

#[test]
fn rules_over_a_cap_are_refused_as_a_whole() {
    let Some(mut site) = site() else { return };
    let rig = Rig::publishing(&mut site, &[ALLOWED]);
    let mut connections: Vec<_> = (0..2).map(|_| rig.connected(&mut site, V3_1_1)).collect();
    let before = (site.message_rules(), site.maps.edges.get(&rig.edge).unwrap());
    let too_complex = many(&mut site, "a", 1_100);
    assert!(site.write_topics(&too_complex).unwrap().is_none());
    assert_eq!((site.message_rules(), site.maps.edges.get(&rig.edge).unwrap()), before);
    assert_eq!(connections[0].say(&mut site, &publish(ALLOWED, b"1")), Fate::Forwarded);

    // Many sets that fit, until the table is full.
    let mut written = Vec::new();
    let full = loop {
        let topics = many(&mut site, &format!("a{}", written.len()), 1_000);
        match site.write_topics(&topics) {
            Ok(more) => written.push(more.expect("it is not too complex")),
            Err(error) => break error,
        }
    };
    let (states, steps) = site.message_rules();
    let of_sets = written.iter().map(|set| (set.states().len(), set.steps().len()));
    let of_sets =
        of_sets.fold((before.0.0.len(), before.0.1.len()), |sum, set| (sum.0 + set.0, sum.1 + set.1));
    assert_eq!((states.len(), steps.len()), of_sets, "nothing is left of the last one");
    assert!(matches!(full, KernelError::Full { .. }), "{full}");
    assert!(written.len() >= 12, "{} sets of a thousand rules fit", written.len());
    assert_eq!(connections[0].say(&mut site, &publish(ALLOWED, b"1")), Fate::Forwarded);
    assert_eq!(connections[1].say(&mut site, &publish("a0/1", b"1")), UNKNOWN);
    for set in written {
        set.remove(&mut site.maps).unwrap();
    }
    assert_eq!((site.message_rules(), site.maps.edges.get(&rig.edge).unwrap()), before);
}

#[test]
fn wildcards_match_as_mqtt_says() {
    let Some(mut site) = site() else { return };
    let rig = Rig::publishing(&mut site, &["site/+/temp", "alarm/#", "+/state"]);
    let passing =
        ["site/hall/temp", "site//temp", "alarm", "alarm/", "alarm/hall/smoke", "door/state", "/state"];
    for topic in passing {
        assert_eq!(rig.says(&mut site, &publish(topic, b"1")), Fate::Forwarded, "{topic}");
    }
    let falling = ["site/temp", "site/a/b/temp", "site/hall/temp/", "alarms", "a/door/state", "$sys/state"];
    for topic in falling {
        assert_eq!(rig.says(&mut site, &publish(topic, b"1")), UNKNOWN, "{topic}");
    }
}

#[test]
fn the_more_specific_rule_wins() {
    let Some(mut site) = site() else { return };
    let mut rig = Rig::publishing(&mut site, &["alarm/#"]);
    rig.publish(&mut site, "alarm/off", RuleState::Denied);
    assert_eq!(rig.says(&mut site, &publish("alarm/on", b"1")), Fate::Forwarded);
    assert_eq!(rig.says(&mut site, &publish("alarm/off", b"1")), DENIED);
    let noted = (Kind::MqttPublish, "alarm/off".to_owned(), Verdict::Reset, Reason::EdgeDenied);
    assert_eq!(rig.noted(&site), [noted]);
}

#[test]
fn everything_does_not_include_what_begins_with_a_dollar() {
    let Some(mut site) = site() else { return };
    let rig = Rig::publishing(&mut site, &["#"]);
    assert_eq!(rig.says(&mut site, &publish("any/thing", b"1")), Fate::Forwarded);
    assert_eq!(rig.says(&mut site, &publish("$SYS/broker", b"1")), UNKNOWN);
}

#[test]
fn a_subscription_must_lie_within_what_is_allowed() {
    let Some(mut site) = site() else { return };
    let mut rig = Rig::new(&mut site);
    rig.subscribe(&mut site, "site/#", RuleState::Allowed);
    for filter in ["site/#", "site/+/temp", "site/hall", "site"] {
        assert_eq!(rig.says(&mut site, &subscribe(&[filter])), Fate::Forwarded, "{filter}");
    }
    for filter in ["#", "+/hall", "sites/#"] {
        assert_eq!(rig.says(&mut site, &subscribe(&[filter])), UNKNOWN, "{filter}");
    }
    assert_eq!(rig.says(&mut site, &subscribe(&["site/a", "site/b"])), Fate::Forwarded);
    assert_eq!(rig.says(&mut site, &subscribe(&["site/a", "other/b"])), UNKNOWN);
    let noted = rig.noted(&site);
    assert!(noted.contains(&(Kind::MqttSubscribe, "#".to_owned(), Verdict::Reset, Reason::EdgeUnknown)));

    let mut rig = Rig::new(&mut site);
    rig.subscribe(&mut site, "site/#", RuleState::Allowed);
    rig.subscribe(&mut site, "site/lock/+", RuleState::Denied);
    assert_eq!(rig.says(&mut site, &subscribe(&["site/hall/#"])), Fate::Forwarded);
    for filter in ["site/#", "site/+/code", "site/lock/code"] {
        assert_eq!(rig.says(&mut site, &subscribe(&[filter])), DENIED, "{filter}");
    }
}

#[test]
fn a_client_id_is_part_of_the_edge() {
    let Some(mut site) = site() else { return };
    let rig = Rig::new(&mut site);
    let mut own = rig.open(&mut site);
    assert_eq!(own.say(&mut site, &connect(V3_1_1, "washer")), Fate::Forwarded);
    for id in ["hub", "washer2", "washe", ""] {
        let mut taken = rig.open(&mut site);
        assert_eq!(taken.say(&mut site, &connect(V3_1_1, id)), UNKNOWN, "{id}");
    }
    let noted = rig.noted(&site);
    assert!(noted.contains(&(Kind::MqttConnect, "hub".to_owned(), Verdict::Reset, Reason::EdgeUnknown)));
}

#[test]
fn a_will_is_a_message() {
    let Some(mut site) = site() else { return };
    let rig = Rig::publishing(&mut site, &[ALLOWED]);
    let mut connection = rig.open(&mut site);
    assert_eq!(connection.say(&mut site, &connect_with_will("washer", ALLOWED)), Fate::Forwarded);
    let mut connection = rig.open(&mut site);
    assert_eq!(connection.say(&mut site, &connect_with_will("washer", FORBIDDEN)), UNKNOWN);
    assert_eq!(rig.noted(&site), refused(FORBIDDEN));
}

#[test]
fn a_message_may_carry_a_number() {
    let Some(mut site) = site() else { return };
    let rig = Rig::publishing(&mut site, &["a"]);
    let numbered = |topic: u8, number: u8| [0x32, 6, 0, 1, topic, 0, number, b'x'];
    assert_eq!(rig.says(&mut site, &numbered(b'a', 7)), Fate::Forwarded);
    assert_eq!(rig.says(&mut site, &numbered(b'b', 7)), UNKNOWN);
    assert_eq!(rig.says(&mut site, &numbered(b'a', 0)), MALFORMED);
    // An acknowledgement is no message.
    assert_eq!(rig.says(&mut site, &[0x40, 2, 0, 7]), Fate::Forwarded);
}

#[test]
fn an_alias_is_judged_as_its_topic() {
    let Some(mut site) = site() else { return };
    let rig = Rig::publishing(&mut site, &[ALLOWED]);
    let mut connection = rig.connected(&mut site, V5);
    assert_eq!(connection.say(&mut site, &publish_alias(ALLOWED, 1, b"21")), Fate::Forwarded);
    assert_eq!(connection.say(&mut site, &publish_alias("", 1, b"22")), Fate::Forwarded);
    assert_eq!(
        connection.say(&mut site, &publish_alias("", 2, b"23")),
        Fate::Reset(Reason::AliasUnknown),
        "never named"
    );

    let mut connection = rig.connected(&mut site, V5);
    let foreign = connection.say(&mut site, &publish_alias("", 1, b"21"));
    assert_eq!(foreign, Fate::Reset(Reason::AliasUnknown), "of another connection");
    let mut connection = rig.connected(&mut site, V5);
    assert_eq!(connection.say(&mut site, &publish_alias(FORBIDDEN, 1, b"1")), UNKNOWN);
}

#[test]
fn an_alias_follows_a_changed_rule() {
    let Some(mut site) = site() else { return };
    let mut rig = Rig::new(&mut site);
    let rule = rig.publish(&mut site, ALLOWED, RuleState::Allowed);
    let mut connection = rig.connected(&mut site, V5);
    assert_eq!(connection.say(&mut site, &publish_alias(ALLOWED, 1, b"21")), Fate::Forwarded);
    assert_eq!(connection.say(&mut site, &publish_alias("", 1, b"22")), Fate::Forwarded);
    let denied = site.rule(RuleState::Denied);
    site.maps.rules.put(&rule, &Rule { id: rule, ..denied }).unwrap();
    assert_eq!(connection.say(&mut site, &publish_alias("", 1, b"23")), DENIED);
}

#[test]
fn only_the_next_bytes_pass() {
    let Some(mut site) = site() else { return };
    let rig = Rig::publishing(&mut site, &[ALLOWED]);
    let mut connection = rig.connected(&mut site, V3_1_1);
    let good = publish(ALLOWED, b"21");
    let order = Fate::Dropped(Reason::StreamOrder);
    let next = connection.segment(Client, ACK);
    for offset in [1, 1000, u32::MAX / 2] {
        let mut elsewhere = next;
        elsewhere.seq = elsewhere.seq.wrapping_add(offset);
        assert_eq!(connection.deliver(&mut site, Client, elsewhere, &good).fate, order, "{offset}");
    }
    assert_eq!(connection.say(&mut site, &good), Fate::Forwarded);
    // Other bytes in its place.
    assert_eq!(connection.deliver(&mut site, Client, next, &publish(FORBIDDEN, b"open")).fate, order);
    assert_eq!(connection.say(&mut site, &good), Fate::Forwarded);
}

#[test]
fn a_dropped_segment_leaves_no_trace() {
    let Some(mut site) = site() else { return };
    let rig = Rig::publishing(&mut site, &[ALLOWED]);
    let mut connection = rig.connected(&mut site, V3_1_1);
    let good = publish(ALLOWED, b"21");
    let (first, second) = good.split_at(9);
    assert_eq!(connection.say(&mut site, first), Fate::Forwarded);
    // Had its bytes counted, the rest would be another topic.
    let mut ahead = connection.segment(Client, ACK);
    ahead.seq = ahead.seq.wrapping_add(3);
    let judged = connection.deliver(&mut site, Client, ahead, &second[3..]);
    assert_eq!(judged.fate, Fate::Dropped(Reason::StreamOrder));
    assert_eq!(connection.say(&mut site, second), Fate::Forwarded);
    assert_eq!(connection.say(&mut site, &good), Fate::Forwarded);
}

#[test]
fn another_protocol_on_an_mqtt_edge_is_no_mqtt() {
    let Some(mut site) = site() else { return };
    let rig = Rig::publishing(&mut site, &[ALLOWED]);
    let hello = [0x16, 3, 1, 0, 0xa5, 1, 0, 0, 0xa1, 3, 3];
    let others: [(&[u8], &str); 6] = [
        (&hello, "tls"),
        (b"GET / HTTP/1.1\r\n", "http"),
        (b"SSH-2.0-x\r\n", "opaque"),
        (&publish(ALLOWED, b"21"), "opaque"),
        (b"G", "opaque"),
        (b"\x10\x0cnot MQTT at all", "opaque"),
    ];
    for (words, name) in others {
        let mut connection = rig.open(&mut site);
        assert_eq!(connection.say(&mut site, words), CHANGED);
        let noted = (Kind::Speaks, name.to_owned(), Verdict::Reset, Reason::ProtoChanged);
        assert!(rig.noted(&site).contains(&noted), "{name} is asked about: {:?}", rig.noted(&site));
    }
    // Once it was MQTT, anything else is broken MQTT.
    assert_eq!(rig.says(&mut site, &hello), MALFORMED);
    assert_eq!(rig.says(&mut site, &connect(V3_1_1, "washer")), MALFORMED, "a second CONNECT");
    let mut connection = rig.open(&mut site);
    assert_eq!(connection.say(&mut site, &connect(V3_1_1, "washer")), Fate::Forwarded);
    assert_eq!(connection.answer(&mut site, b"HTTP/1.1 200 OK\r\n"), CHANGED);
}

#[test]
fn what_is_not_looked_into_may_begin_like_something_else() {
    let Some(mut site) = site() else { return };
    let rig = Rig::publishing(&mut site, &[ALLOWED]);
    let words: [(&[u8], Fate); 4] = [
        (b"SSH-2.0-x\r\n", Fate::Forwarded),
        (&[0, 1, 2], Fate::Forwarded),
        (&connect(V3_1_1, "washer"), Fate::Forwarded),
        (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", CHANGED),
    ];
    for (words, fate) in words {
        site.inspect(rig.edge, &rig.topics);
        let mut edge = site.maps.edges.get(&rig.edge).unwrap().unwrap();
        edge.speaks |= Protocol::Opaque.bit();
        site.maps.edges.put(&rig.edge, &edge).unwrap();
        let mut connection = Connection::open(&mut site, rig.device, rig.broker, MQTT_PORT);
        assert_eq!(connection.say(&mut site, words), fate, "{words:?}");
    }
}

#[test]
fn a_learning_device_may_speak_something_else() {
    let Some(mut site) = site() else { return };
    let (device, broker) = (site.settled(Mode::Learning), site.settled(Mode::Learning));
    let mut opaque = Connection::open(&mut site, device, broker, MQTT_PORT);
    assert_eq!(opaque.say(&mut site, &[0x16, 3, 1, 0, 0xa5]), Fate::Forwarded);
    assert_eq!(opaque.answer(&mut site, &[0x16, 3, 3, 0, 0x7a]), Fate::Forwarded);
    let noted: Vec<(Kind, String)> =
        site.observed(device.id).into_iter().map(|entry| (entry.kind, entry.object)).collect();
    assert_eq!(noted.len(), 2);
    assert!(noted.contains(&(Kind::Transport, String::new())));
    assert!(noted.contains(&(Kind::Speaks, "opaque".to_owned())));

    let mut mqtt = Connection::open(&mut site, device, broker, MQTT_PORT);
    assert_eq!(mqtt.say(&mut site, &connect(V3_1_1, "washer")), Fate::Forwarded);
    assert_eq!(mqtt.answer(&mut site, connack(V3_1_1)), Fate::Forwarded);
    assert_eq!(mqtt.say(&mut site, &publish(ALLOWED, b"21")), Fate::Forwarded);
    let learned: Vec<(Kind, String)> = site
        .observed(device.id)
        .into_iter()
        .filter(|noted| noted.reason == Reason::Learned && noted.kind != Kind::Transport)
        .map(|noted| (noted.kind, noted.object))
        .collect();
    assert_eq!(learned.len(), 4, "{learned:?}");
    assert!(learned.contains(&(Kind::Speaks, "mqtt".to_owned())));
    assert!(learned.contains(&(Kind::MqttConnect, "washer".to_owned())));
    assert!(learned.contains(&(Kind::MqttPublish, ALLOWED.to_owned())));
}

#[test]
fn malformed_messages_end_the_connection() {
    let Some(mut site) = site() else { return };
    let rig = Rig::publishing(&mut site, &["#"]);
    assert_eq!(rig.says(&mut site, &publish("a", b"1")), Fate::Forwarded);
    let cases: [(&str, Vec<u8>); 8] = [
        ("empty topic", publish("", b"1")),
        ("wildcard in a topic", publish("a/+", b"1")),
        ("zero in a topic", publish("a\0b", b"1")),
        ("no UTF-8", [&[0x30, 4, 0, 2], &[0xc0, 0x80][..]].concat()),
        ("topic longer than its packet", vec![0x30, 4, 0, 9, b'a', b'a']),
        ("QoS 3", vec![0x36, 5, 0, 1, b'a', 0, 1]),
        ("length of five bytes", vec![0x30, 0x80, 0x80, 0x80, 0x80, 1]),
        ("length longer than needed", vec![0x30, 0x83, 0, 0, 1, b'a']),
    ];
    for (case, bytes) in cases {
        assert_eq!(rig.says(&mut site, &bytes), MALFORMED, "{case}");
    }
    assert!(site.observed(rig.device.id).is_empty());
    // One byte more than is judged.
    assert_eq!(rig.says(&mut site, &publish(&"a".repeat(256), b"1")), Fate::Forwarded);
    assert_eq!(rig.says(&mut site, &publish(&"a".repeat(257), b"1")), Fate::Reset(Reason::ObjectCap));
}

#[test]
fn uses_of_a_message_are_counted() {
    let Some(mut site) = site() else { return };
    let mut rig = Rig::new(&mut site);
    let id = rig.publish(&mut site, ALLOWED, RuleState::Allowed);
    let rule = site.maps.rules.get(&id).unwrap().unwrap();
    site.maps.uses.put(&id, &2).unwrap();
    site.maps.rules.put(&id, &Rule { counted: 1, ..rule }).unwrap();
    let mut connection = rig.connected(&mut site, V3_1_1);
    let fates: Vec<Fate> = (0..3).map(|_| connection.say(&mut site, &publish(ALLOWED, b"1"))).collect();
    assert_eq!(fates, [Fate::Forwarded, Fate::Forwarded, UNKNOWN]);
}

#[test]
fn monitoring_lets_messages_pass_and_notes_them() {
    let Some(mut site) = site() else { return };
    let rig = Rig::publishing(&mut site, &[ALLOWED]);
    let mut connection = rig.connected(&mut site, V3_1_1);
    site.monitor(true);
    assert_eq!(connection.say(&mut site, &publish(FORBIDDEN, b"open")), Fate::Forwarded);
    let noted = (Kind::MqttPublish, FORBIDDEN.to_owned(), Verdict::Audit, Reason::EdgeUnknown);
    assert_eq!(rig.noted(&site), [noted]);
    assert_eq!(connection.say(&mut site, &publish(ALLOWED, b"21")), Fate::Forwarded);
    site.monitor(false);
    assert_eq!(connection.say(&mut site, &publish(FORBIDDEN, b"open")), UNKNOWN);
}

#[test]
fn an_edge_that_goes_takes_its_stream_along() {
    let Some(mut site) = site() else { return };
    let rig = Rig::publishing(&mut site, &[ALLOWED]);
    let mut connection = rig.connected(&mut site, V3_1_1);
    assert_eq!(connection.say(&mut site, &publish(ALLOWED, b"21")), Fate::Forwarded);
    site.maps.edges.remove(&rig.edge).unwrap();
    assert_eq!(connection.say(&mut site, &publish(ALLOWED, b"21")), UNKNOWN);
    // The same ports again, with the rules back: nothing of the old stream is left.
    let edge = site.edge(&rig.device, &rig.broker, MQTT_PORT, RuleState::Allowed);
    site.inspect(edge, &rig.topics);
    for (side, flags) in [(Client, crate::frame::SYN), (Server, crate::frame::SYN | ACK), (Client, ACK)] {
        assert!(connection.send(&mut site, side, flags, &[]).is_delivered());
    }
    assert_eq!(connection.say(&mut site, &publish(ALLOWED, b"21")), CHANGED, "CONNECT comes first");
}

#[test]
fn a_shared_subscription_needs_a_rule_of_its_own_and_falls_under_every_denial() {
    let Some(mut site) = site() else { return };
    let mut rig = Rig::new(&mut site);
    rig.subscribe(&mut site, "#", RuleState::Allowed);
    rig.subscribe(&mut site, "$share/group/site/hall", RuleState::Allowed);
    rig.subscribe(&mut site, "site/lock/+", RuleState::Denied);
    for filter in ["site/hall", "$share/group/site/hall"] {
        assert_eq!(rig.says(&mut site, &subscribe(&[filter])), Fate::Forwarded, "{filter}");
    }
    for filter in ["$share/other/site/hall", "$share/group/site/attic", "$SYS/#"] {
        assert_eq!(rig.says(&mut site, &subscribe(&[filter])), UNKNOWN, "{filter}");
    }
    for filter in ["site/lock/code", "$share/group/site/lock/code", "$share/group/#"] {
        assert_eq!(rig.says(&mut site, &subscribe(&[filter])), DENIED, "{filter}");
    }
}

#[test]
fn what_is_not_looked_into_takes_no_room() {
    let Some(mut site) = site() else { return };
    let (device, server) = (site.settled(Mode::Learning), site.settled(Mode::Learning));
    // More than one source may have inspected at a time.
    for words in [&b"SSH-2.0-x\r\n"[..], &[0x10, 0xff], &[0x16, 9], &[0]] {
        for _ in 0..90 {
            let mut connection = Connection::open(&mut site, device, server, 2222);
            assert_eq!(connection.say(&mut site, words), Fate::Forwarded, "{words:?}");
            assert_eq!(connection.answer(&mut site, b"anything"), Fate::Forwarded, "{words:?}");
        }
    }
    // A server that speaks first.
    let mut connection = Connection::open(&mut site, device, server, 2222);
    assert_eq!(connection.answer(&mut site, b"220 ready\r\n"), Fate::Forwarded);
    assert_eq!(connection.say(&mut site, &connect(V3_1_1, "washer")), Fate::Forwarded);
}
