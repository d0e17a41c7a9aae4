//! The kernel and the host say the same about a stream, wherever it is cut and whatever is in it.

use firewall_common::{
    abi::Kind,
    hash::HashKey,
    precedence::RuleState,
    reason::Reason,
    wire::{Event, Sender, mqtt::Mqtt, object::Object},
};
use proptest::{collection::vec, prelude::*, test_runner::TestRunner};

use crate::{
    connection::Side::{Client, Server},
    frame::ACK,
    message::{
        PINGREQ, V3_1_1, V5, connect, connect_with_will, publish, publish_alias, publish_qos, subscribe,
    },
    site::{Fate, Site, site},
    streams::Rig,
};

/// Flag of urgent data.
const URG: u8 = 0x20;
const CLIENT: &str = "washer";
const TOPICS: [&str; 4] = ["site/hall/temp", "site/hall", "a", "site/lock/set"];
/// The last topic is the one that no rule is for.
const ALLOWED: &[&str] = TOPICS.split_at(3).0;
const FILTERS: [&str; 3] = ["site/+/temp", "#", "site/hall/#"];

/// What the host says: how many bytes pass before the first one that does not, and why it does not.
fn reference(bytes: &[u8]) -> Option<(usize, Reason)> {
    let key = HashKey::from_random([3; 16]);
    let (mut mqtt, mut object) = (Mqtt::NEW, Object::EMPTY);
    let mut aliases = std::collections::HashMap::new();
    let (mut at, mut allowed) = (0, true);
    while at < bytes.len() {
        let skipped = mqtt.skip((bytes.len() - at) as u32) as usize;
        at += skipped;
        if skipped != 0 {
            continue;
        }
        let mut event = mqtt.step(&mut object, bytes[at], Sender::Client, &key);
        if event == Event::Level {
            mqtt.next_level(&mut object);
            event = if mqtt.ends_with_slash() { mqtt.finish_text() } else { Event::More };
        }
        match event {
            Event::More | Event::Level => {}
            Event::Object => {
                allowed = may(mqtt.kind(), std::str::from_utf8(object.text()).unwrap());
                if !allowed {
                    return Some((at, Reason::EdgeUnknown));
                }
            }
            Event::Alias if mqtt.alias() > 64 => return Some((at, Reason::Quota)),
            Event::Alias if object.is_empty() => match aliases.get(&mqtt.alias()) {
                Some(true) => {}
                Some(false) => return Some((at, Reason::EdgeUnknown)),
                None => return Some((at, Reason::AliasUnknown)),
            },
            Event::Alias => {
                aliases.insert(mqtt.alias(), allowed);
            }
            Event::Wrong(reason) => return Some((at, reason)),
            Event::Request | Event::Becomes(_) | Event::Note(_) => unreachable!("not of an MQTT client"),
        }
        at += 1;
    }
    None
}

/// The rules of [`rig`].
fn may(kind: Kind, object: &str) -> bool {
    match kind {
        Kind::MqttConnect => object == CLIENT,
        Kind::MqttPublish => ALLOWED.contains(&object),
        Kind::MqttSubscribe => object == FILTERS[0] || object == "site/hall/temp",
        _ => false,
    }
}

fn rig(site: &mut Site) -> Rig {
    let mut rig = Rig::publishing(site, ALLOWED);
    rig.subscribe(site, FILTERS[0], RuleState::Allowed);
    rig
}

fn message() -> impl Strategy<Value = Vec<u8>> {
    let topic = || proptest::sample::select(&TOPICS[..]);
    // Mostly allowed ones, or few streams would get far.
    let usual = || prop_oneof![6 => proptest::sample::select(ALLOWED), 1 => topic()];
    let payload = || vec(any::<u8>(), 0..200);
    prop_oneof![
        4 => (usual(), payload()).prop_map(|(topic, payload)| publish(topic, &payload)),
        3 => (usual(), 0..3_u8, any::<bool>(), payload())
            .prop_map(|(topic, qos, retain, payload)| publish_qos(topic, qos, retain, &payload)),
        2 => proptest::sample::select(&FILTERS[..2]).prop_map(|filter| subscribe(&[filter])),
        1 => Just(subscribe(&[FILTERS[0], "site/hall/temp", FILTERS[2]])),
        2 => Just(PINGREQ.to_vec()),
        2 => (prop_oneof![Just(""), usual()], 1..4_u16, payload())
            .prop_map(|(topic, alias, payload)| publish_alias(topic, alias, &payload)),
        1 => vec(any::<u8>(), 1..9),
    ]
}

/// A stream, and where it is cut.
fn stream() -> impl Strategy<Value = (Vec<u8>, Vec<usize>)> {
    let hello = prop_oneof![
        4 => Just(connect(V3_1_1, CLIENT)),
        4 => Just(connect(V5, CLIENT)),
        1 => Just(connect_with_will(CLIENT, "a")),
        1 => Just(connect(V5, "lock")),
        1 => vec(any::<u8>(), 1..20),
    ];
    let damage = proptest::option::weighted(0.4, (any::<proptest::sample::Index>(), any::<u8>()));
    (hello, vec(message(), 0..8), damage, vec(1..90_usize, 1..12)).prop_map(
        |(hello, messages, damage, cuts)| {
            let mut bytes = [hello, messages.concat()].concat();
            if let Some((at, value)) = damage {
                let at = at.index(bytes.len());
                bytes[at] = value;
            }
            (bytes, cuts)
        },
    )
}

#[test]
fn a_stream_is_the_same_stream_wherever_it_is_cut() {
    let Some(mut site) = site() else { return };
    let rig = rig(&mut site);
    let mut runner =
        TestRunner::new(ProptestConfig { cases: 64, failure_persistence: None, ..Default::default() });
    let site = std::cell::RefCell::new(&mut *site);
    let result = runner.run(&stream(), |(bytes, cuts)| {
        let site = &mut **site.borrow_mut();
        let expected = reference(&bytes);
        let mut connection = rig.open(site);
        let (mut at, mut cuts) = (0, cuts.iter().cycle());
        while at < bytes.len() {
            let end = bytes.len().min(at + cuts.next().expect("there is one"));
            let fate = connection.say(site, &bytes[at..end]);
            match expected {
                Some((stop, reason)) if (at..end).contains(&stop) => {
                    prop_assert_eq!(fate, Fate::Reset(reason), "at {}", stop);
                    return Ok(());
                }
                _ => prop_assert_eq!(fate, Fate::Forwarded, "{}..{}, host: {:?}", at, end, expected),
            }
            prop_assert!(connection.send(site, Server, ACK, &[]).is_delivered(), "acknowledged");
            at = end;
        }
        // Urgent data ends it, so that the next one has room.
        prop_assert_eq!(connection.send(site, Client, ACK | URG, b"x").fate, Fate::Reset(Reason::Malformed));
        Ok(())
    });
    result.unwrap();
}
