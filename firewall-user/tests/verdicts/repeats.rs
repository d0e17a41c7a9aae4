//! Segments that come again, out of order, damaged or in other pieces, and messages that go on in a harmless form.

use firewall_common::{
    abi::{Action, Kind, Rule},
    precedence::RuleState,
    reason::{Reason, Verdict},
};

use crate::{
    connection::{
        Connection,
        Side::{Client, Server},
    },
    frame::{ACK, FIN, RST, SYN},
    message::{V3_1_1, V5, connack, connect, publish, publish_alias, publish_qos},
    site::{Fate, Site, site},
    streams::Rig,
};

const ALLOWED: &str = "site/hall/temp";
const FORBIDDEN: &str = "site/lock/set";
const ORDER: Fate = Fate::Dropped(Reason::StreamOrder);

/// A connection on which an allowed message may be published.
fn connected(site: &mut Site) -> Connection {
    let rig = Rig::publishing(site, &[ALLOWED]);
    rig.connected(site, V3_1_1)
}

/// How far these bytes move a stream on.
fn distance(bytes: &[u8]) -> i32 {
    i32::try_from(bytes.len()).expect("a segment is short")
}

/// Lets client bytes arrive at a distance from what comes next.
fn at(connection: &Connection, site: &mut Site, distance: i32, flags: u8, bytes: &[u8]) -> Fate {
    let mut segment = connection.segment(Client, flags);
    segment.seq = segment.seq.wrapping_add_signed(distance);
    connection.deliver(site, Client, segment, bytes).fate
}

#[test]
fn the_same_bytes_pass_again_and_others_do_not() {
    let Some(mut site) = site() else { return };
    let mut connection = connected(&mut site);
    let (good, other) = (publish(ALLOWED, b"21"), publish(ALLOWED, b"22"));
    let back = -(distance(&good));
    assert_eq!(connection.say(&mut site, &good), Fate::Forwarded);
    for _ in 0..3 {
        assert_eq!(at(&connection, &mut site, back, ACK, &good), Fate::Forwarded);
    }
    assert_eq!(at(&connection, &mut site, back, ACK, &other), ORDER);
    assert_eq!(connection.say(&mut site, &other), Fate::Forwarded);
    // Both at once, as a sender does that has room in a segment, with the rest of a stream behind them.
    let both = [&good[..], &other].concat();
    assert_eq!(at(&connection, &mut site, 2 * back, ACK, &both), Fate::Forwarded);
    let three = [&both[..], &good].concat();
    assert_eq!(at(&connection, &mut site, 2 * back, ACK, &three), Fate::Forwarded);
    connection.client_seq = connection.client_seq.wrapping_add(good.len() as u32);
    assert_eq!(connection.say(&mut site, &good), Fate::Forwarded);
    let swapped = [&other[..], &good].concat();
    assert_eq!(at(&connection, &mut site, 4 * back, ACK, &swapped), ORDER);
}

#[test]
fn new_bytes_behind_old_ones_are_judged_and_not_without_them() {
    let Some(mut site) = site() else { return };
    let mut connection = connected(&mut site);
    let good = publish(ALLOWED, b"21");
    let back = -(distance(&good));
    assert_eq!(connection.say(&mut site, &good), Fate::Forwarded);
    let changed = [&publish(ALLOWED, b"99")[..], &good].concat();
    assert_eq!(at(&connection, &mut site, back, ACK, &changed), ORDER);
    let forbidden = [&good[..], &publish(FORBIDDEN, b"open")].concat();
    assert_eq!(at(&connection, &mut site, back, ACK, &forbidden), Fate::Reset(Reason::EdgeUnknown));
    assert_eq!(connection.say(&mut site, &good), Fate::Dropped(Reason::Midstream), "it is over");
}

#[test]
fn both_ends_are_reset_where_the_new_bytes_begin() {
    let Some(mut site) = site() else { return };
    let mut connection = connected(&mut site);
    let good = publish(ALLOWED, b"21");
    assert_eq!(connection.say(&mut site, &good), Fate::Forwarded);
    let forbidden = publish(FORBIDDEN, b"open");
    let mut segment = connection.segment(Client, ACK);
    segment.seq = segment.seq.wrapping_sub(good.len() as u32);
    let judged = connection.deliver(&mut site, Client, segment, &[&good[..], &forbidden].concat());
    connection.assert_both_reset(&site, &judged, forbidden.len() as u32);
}

#[test]
fn a_part_that_cannot_be_compared_does_not_pass_and_ends_at_last_in_a_reset() {
    let Some(mut site) = site() else { return };
    let mut connection = connected(&mut site);
    let good = publish(ALLOWED, b"21");
    let length = distance(&good);
    assert_eq!(connection.say(&mut site, &good), Fate::Forwarded);
    assert_eq!(at(&connection, &mut site, 3 - length, ACK, &good[3..]), ORDER, "its end");
    assert_eq!(at(&connection, &mut site, -length, ACK, &good[..5]), ORDER, "its beginning");
    let fates: Vec<Fate> = (0..14).map(|_| at(&connection, &mut site, 3 - length, ACK, &good[3..])).collect();
    assert!(fates[..13].iter().all(|fate| *fate == ORDER));
    assert_eq!(fates[13], Fate::Reset(Reason::StreamOrder));
}

#[test]
fn what_its_receiver_has_is_not_compared() {
    let Some(mut site) = site() else { return };
    let mut connection = connected(&mut site);
    let good = publish(ALLOWED, b"21");
    let back = -(distance(&good));
    assert_eq!(connection.say(&mut site, &good), Fate::Forwarded);
    let other = publish(ALLOWED, b"22");
    assert_eq!(at(&connection, &mut site, back, ACK, &other), ORDER);
    assert!(connection.send(&mut site, Server, ACK, &[]).is_delivered(), "acknowledged");
    assert_eq!(at(&connection, &mut site, back, ACK, &other), Fate::Forwarded, "nobody reads it");
    // A keep-alive, with and without a byte (RFC 9293, section 3.8.4), and a probe of a closed window.
    assert_eq!(at(&connection, &mut site, -1, ACK, b""), Fate::Forwarded);
    assert_eq!(at(&connection, &mut site, -1, ACK, b"x"), Fate::Forwarded);
    assert_eq!(connection.say(&mut site, &good), Fate::Forwarded);
}

#[test]
fn an_acknowledgement_of_what_was_never_sent_opens_nothing() {
    let Some(mut site) = site() else { return };
    let mut connection = connected(&mut site);
    let good = publish(ALLOWED, b"21");
    assert_eq!(connection.say(&mut site, &good), Fate::Forwarded);
    let mut ahead = connection.segment(Server, ACK);
    ahead.ack = ahead.ack.wrapping_add(1);
    assert_eq!(connection.deliver(&mut site, Server, ahead, &[]).fate, Fate::Forwarded);
    let other = publish(ALLOWED, b"22");
    assert_eq!(at(&connection, &mut site, -(distance(&good)), ACK, &other), ORDER);
}

#[test]
fn a_wrong_checksum_is_dropped_and_leaves_no_trace() {
    let Some(mut site) = site() else { return };
    let mut connection = connected(&mut site);
    for payload in [&b"21"[..], b"2", &[b'x'; 300], &[b'x'; 1001]] {
        let good = publish(ALLOWED, payload);
        let mut frame = connection.frame(Client, connection.segment(Client, ACK), &good);
        let last = frame.len() - 1;
        frame[last] ^= 1;
        assert_eq!(site.host_sends(&connection.client, &frame).fate, Fate::Dropped(Reason::Checksum));
        assert_eq!(connection.say(&mut site, &good), Fate::Forwarded);
    }
}

#[test]
fn a_segment_that_was_put_together_is_kept_in_its_pieces() {
    let Some(mut site) = site() else { return };
    let mut connection = connected(&mut site);
    // Of a payload nothing would be kept.
    let long = publish(ALLOWED, b"21").repeat(145);
    site.gso_size = 1_000;
    let fate = connection.say(&mut site, &long);
    site.gso_size = 0;
    assert_eq!(fate, Fate::Forwarded);
    let length = distance(&long);
    assert_eq!(at(&connection, &mut site, 1_000 - length, ACK, &long[1_000..2_000]), Fate::Forwarded);
    assert_eq!(at(&connection, &mut site, 2_000 - length, ACK, &long[2_000..]), Fate::Forwarded);
    let mut changed = long[1_000..2_000].to_vec();
    changed[500] ^= 1;
    assert_eq!(at(&connection, &mut site, 1_000 - length, ACK, &changed), ORDER);
    assert_eq!(at(&connection, &mut site, 500 - length, ACK, &long[500..1_500]), ORDER);
    assert_eq!(connection.say(&mut site, &long), Fate::Forwarded);
}

#[test]
fn a_full_table_drops_what_is_new_and_keeps_what_it_holds() {
    let Some(mut site) = site() else { return };
    let mut connection = connected(&mut site);
    let good = publish(ALLOWED, b"21");
    for _ in 0..128 {
        assert_eq!(connection.say(&mut site, &good), Fate::Forwarded);
    }
    assert_eq!(connection.say(&mut site, &good), Fate::Dropped(Reason::StreamFull));
    let back = distance(&good) * -128;
    assert_eq!(at(&connection, &mut site, back, ACK, &good), Fate::Forwarded, "the oldest message");
    assert!(connection.send(&mut site, Server, ACK, &[]).is_delivered());
    assert_eq!(connection.say(&mut site, &good), Fate::Forwarded);
}

#[test]
fn urgent_data_and_data_with_a_reset_do_not_pass() {
    let Some(mut site) = site() else { return };
    let mut connection = connected(&mut site);
    let good = publish(ALLOWED, b"21");
    assert_eq!(at(&connection, &mut site, 0, ACK | RST, &good), Fate::Dropped(Reason::Malformed));
    assert_eq!(at(&connection, &mut site, 0, ACK | SYN, &good), Fate::Dropped(Reason::Midstream));
    assert_eq!(connection.say(&mut site, &good), Fate::Forwarded);
    assert_eq!(at(&connection, &mut site, 0, ACK | 0x20, &good), Fate::Reset(Reason::Malformed));
}

#[test]
fn nothing_follows_the_end_of_a_stream() {
    let Some(mut site) = site() else { return };
    let mut connection = connected(&mut site);
    let good = publish(ALLOWED, b"21");
    assert!(connection.send(&mut site, Client, ACK | FIN, &good).is_delivered());
    connection.client_seq = connection.client_seq.wrapping_add(good.len() as u32 + 1);
    let back = -(distance(&good)) - 1;
    connection.client_seq = connection.client_seq.wrapping_sub(good.len() as u32 + 1);
    assert_eq!(at(&connection, &mut site, back, ACK | FIN, &good), Fate::Forwarded, "once more");
    assert_eq!(at(&connection, &mut site, back, ACK, &good), Fate::Forwarded, "without its end");
    assert_eq!(at(&connection, &mut site, -1, ACK | FIN, b""), Fate::Forwarded, "the end alone");
    assert_eq!(at(&connection, &mut site, 0, ACK, &good), ORDER, "behind the end");
    assert_eq!(at(&connection, &mut site, -1, ACK, &good), ORDER, "over the end");
    assert_eq!(at(&connection, &mut site, back, ACK | FIN, &good[..4]), ORDER, "another end");
}

#[test]
fn a_handshake_may_come_again() {
    let Some(mut site) = site() else { return };
    let rig = Rig::publishing(&mut site, &[ALLOWED]);
    let mut connection = rig.open(&mut site);
    let mut again = connection.segment(Server, SYN | ACK);
    again.seq = again.seq.wrapping_sub(1);
    assert_eq!(connection.deliver(&mut site, Server, again, &[]).fate, Fate::Forwarded);
    assert_eq!(at(&connection, &mut site, -1, SYN, &[]), Fate::Forwarded, "late");
    assert_eq!(connection.say(&mut site, &connect(V3_1_1, "washer")), Fate::Forwarded);
}

/// A rig whose forbidden topic is denied in a harmless form.
fn harmless(site: &mut Site) -> Rig {
    let mut rig = Rig::publishing(site, &[ALLOWED]);
    let id = rig.publish(site, FORBIDDEN, RuleState::Denied);
    let rule = site.maps.rules.get(&id).unwrap().unwrap();
    site.maps.rules.put(&id, &Rule { action: Action::Neutralise as u8, ..rule }).unwrap();
    rig
}

#[test]
fn a_denied_message_goes_on_in_a_harmless_form_each_time() {
    let Some(mut site) = site() else { return };
    let rig = harmless(&mut site);
    let mut connection = rig.connected(&mut site, V3_1_1);
    for payload in [&b"open"[..], b"open!", &[b'x'; 1_000]] {
        let (good, bad) = (publish(ALLOWED, b"21"), publish_qos(FORBIDDEN, 1, false, payload));
        let message = [&good[..], &bad].concat();
        let next = connection.segment(Client, ACK);
        let judged = connection.send(&mut site, Client, ACK, &message);
        assert_eq!(judged.fate, Fate::Neutralised);
        let mut expected = message.clone();
        let topic = expected.windows(13).position(|text| text == FORBIDDEN.as_bytes()).unwrap();
        expected[topic] = b'$';
        assert_eq!(judged.frame, connection.frame(Client, next, &expected), "the byte and the checksum");
        let again = connection.deliver(&mut site, Client, next, &message);
        assert_eq!((again.fate, again.frame), (Fate::Neutralised, judged.frame));
        assert_eq!(connection.say(&mut site, &good), Fate::Forwarded);
        assert!(connection.send(&mut site, Server, ACK, &[]).is_delivered());
    }
    let noted = (Kind::MqttPublish, FORBIDDEN.to_owned(), Verdict::Neutralised, Reason::EdgeDenied);
    assert_eq!(rig.noted(&site), [noted]);
}

#[test]
fn what_cannot_be_made_harmless_ends_the_connection() {
    let Some(mut site) = site() else { return };
    let mut rig = harmless(&mut site);
    let id = rig.publish(&mut site, "$secret", RuleState::Denied);
    let rule = site.maps.rules.get(&id).unwrap().unwrap();
    site.maps.rules.put(&id, &Rule { action: Action::Neutralise as u8, ..rule }).unwrap();
    let mut connection = rig.connected(&mut site, V3_1_1);
    let bad = publish(FORBIDDEN, b"open");
    assert_eq!(connection.say(&mut site, &bad[..6]), Fate::Forwarded);
    assert_eq!(connection.say(&mut site, &bad[6..]), Fate::Reset(Reason::EdgeDenied), "it has begun");
    let mut connection = rig.connected(&mut site, V3_1_1);
    let dollar = connection.say(&mut site, &publish("$secret", b"1"));
    assert_eq!(dollar, Fate::Reset(Reason::EdgeDenied), "it begins with $ already");
    let mut connection = rig.open(&mut site);
    let will = crate::message::connect_with_will("washer", FORBIDDEN);
    assert_eq!(connection.say(&mut site, &will), Fate::Reset(Reason::EdgeDenied), "a Will");
}

#[test]
fn an_alias_of_a_harmless_topic_is_harmless() {
    let Some(mut site) = site() else { return };
    let mut rig = harmless(&mut site);
    let later = rig.publish(&mut site, "site/later", RuleState::Allowed);
    let mut connection = rig.connected(&mut site, V5);
    assert_eq!(connection.say(&mut site, &publish_alias(FORBIDDEN, 3, b"open")), Fate::Neutralised);
    assert_eq!(connection.say(&mut site, &publish_alias("", 3, b"open")), Fate::Forwarded);
    // The broker knows the real topic here.
    assert_eq!(connection.say(&mut site, &publish_alias("site/later", 4, b"1")), Fate::Forwarded);
    let denied = Rule { action: Action::Neutralise as u8, id: later, ..site.rule(RuleState::Denied) };
    site.maps.rules.put(&later, &denied).unwrap();
    assert_eq!(connection.say(&mut site, &publish_alias("", 4, b"1")), Fate::Reset(Reason::EdgeDenied));
}

#[test]
fn a_rule_may_limit_quality_of_service_and_forbid_to_retain() {
    let Some(mut site) = site() else { return };
    let mut rig = Rig::new(&mut site);
    let id = rig.publish(&mut site, ALLOWED, RuleState::Allowed);
    let rule = site.maps.rules.get(&id).unwrap().unwrap();
    site.maps.rules.put(&id, &Rule { limits: 1 | Rule::NO_RETAIN, ..rule }).unwrap();
    for (qos, retain, fate) in [
        (0, false, Fate::Forwarded),
        (1, false, Fate::Forwarded),
        (2, false, Fate::Reset(Reason::EdgeDenied)),
        (0, true, Fate::Reset(Reason::EdgeDenied)),
    ] {
        let mut connection = rig.connected(&mut site, V3_1_1);
        assert_eq!(
            connection.say(&mut site, &publish_qos(ALLOWED, qos, retain, b"21")),
            fate,
            "{qos} {retain}"
        );
    }
}

#[test]
fn a_broker_may_send_what_its_client_may_subscribe_to() {
    let Some(mut site) = site() else { return };
    let mut rig = Rig::new(&mut site);
    rig.subscribe(&mut site, "site/+/temp", RuleState::Allowed);
    for version in [V3_1_1, V5] {
        let mut connection = rig.connected(&mut site, version);
        let message = |topic: &str| match version {
            V5 => publish_alias(topic, 1, b"21"),
            _ => publish(topic, b"21"),
        };
        assert_eq!(connection.answer(&mut site, &message(ALLOWED)), Fate::Forwarded);
        if version == V5 {
            assert_eq!(connection.answer(&mut site, &message("")), Fate::Forwarded, "by alias");
        }
        assert_eq!(connection.answer(&mut site, &message(FORBIDDEN)), Fate::Reset(Reason::EdgeUnknown));
    }
    let noted = (Kind::MqttSubscribe, FORBIDDEN.to_owned(), Verdict::Reset, Reason::EdgeUnknown);
    assert_eq!(rig.noted(&site), [noted]);
}

#[test]
fn a_session_of_a_client_id_that_is_not_in_the_model_is_not_taken_over() {
    let Some(mut site) = site() else { return };
    let rig = Rig::new(&mut site);
    let mut connection = rig.open(&mut site);
    assert_eq!(connection.say(&mut site, &connect(V3_1_1, "washer")), Fate::Forwarded);
    assert_eq!(connection.answer(&mut site, &[0x20, 2, 1, 0]), Fate::Forwarded, "its own");
    site.set_mode(rig.device.id, firewall_common::precedence::Mode::Learning, false);
    let broker = connection.server;
    site.set_mode(broker.id, firewall_common::precedence::Mode::Learning, false);
    let mut connection = rig.open(&mut site);
    assert_eq!(connection.say(&mut site, &connect(V3_1_1, "lock")), Fate::Forwarded, "learned");
    let taken = connection.answer(&mut site, &[0x20, 2, 1, 0]);
    assert_eq!(taken, Fate::Reset(Reason::SessionForeign));
    let mut connection = rig.open(&mut site);
    assert_eq!(connection.say(&mut site, &connect(V3_1_1, "lock")), Fate::Forwarded);
    assert_eq!(connection.answer(&mut site, connack(V3_1_1)), Fate::Forwarded, "a session of its own");
}

#[test]
fn a_refused_login_is_noted() {
    let Some(mut site) = site() else { return };
    let rig = Rig::new(&mut site);
    let mut connection = rig.open(&mut site);
    assert_eq!(connection.say(&mut site, &connect(V3_1_1, "washer")), Fate::Forwarded);
    assert_eq!(connection.answer(&mut site, &[0x20, 2, 0, 5]), Fate::Forwarded);
    let noted = (Kind::LoginFailed, String::new(), Verdict::Forwarded, Reason::LoginFailed);
    assert_eq!(rig.noted(&site), [noted]);
}
