//! Payloads: nothing in them is judged, so nothing of them is remembered, and what stands behind them is judged all the
//! same.

use firewall_common::{
    abi::{Action, EdgeKey, Protocol, Rule},
    precedence::{Mode, RuleState},
    reason::Reason,
    wire::stream::AHEAD,
};

use crate::{
    connection::{
        Connection,
        Side::{Client, Server},
    },
    frame::{ACK, FIN},
    message::{V3_1_1, publish},
    site::{Fate, Site, site},
    streams::Rig,
};

const ALLOWED: &str = "site/hall/temp";
const FORBIDDEN: &str = "site/lock/set";
const ORDER: Fate = Fate::Dropped(Reason::StreamOrder);
/// Bytes of a PUBLISH of [`ALLOWED`] before a payload of this test.
const HEAD: usize = 4 + 1 + ALLOWED.len();

fn connected(site: &mut Site) -> Connection {
    Rig::publishing(site, &[ALLOWED]).connected(site, V3_1_1)
}

/// Lets bytes of the client arrive at a distance from what comes next.
fn at(connection: &Connection, site: &mut Site, distance: usize, flags: u8, bytes: &[u8]) -> Fate {
    let mut segment = connection.segment(Client, flags);
    segment.seq = segment.seq.wrapping_add(distance as u32);
    connection.deliver(site, Client, segment, bytes).fate
}

/// A PUBLISH with a payload of this length.
fn long(length: usize) -> Vec<u8> {
    let message = publish(ALLOWED, &vec![b'x'; length]);
    assert_eq!(message.len(), HEAD + length, "its length takes two bytes");
    message
}

#[test]
fn a_payload_passes_in_any_order_and_with_any_bytes() {
    let Some(mut site) = site() else { return };
    let connection = connected(&mut site);
    let message = long(9_000);
    assert_eq!(at(&connection, &mut site, 0, ACK, &message[..1_000]), Fate::Forwarded);
    for place in [5_000, 1_000, 8_000, 2_000, 1_000] {
        assert_eq!(at(&connection, &mut site, place, ACK, &[b'y'; 1_000]), Fate::Forwarded, "{place}");
    }
    // What looks like a message there is none.
    assert_eq!(at(&connection, &mut site, 3_000, ACK, &publish(FORBIDDEN, b"open")), Fate::Forwarded);
    // Its head is another matter, also together with payload.
    assert_eq!(at(&connection, &mut site, 0, ACK, &message[..1_000]), Fate::Forwarded);
    assert_eq!(at(&connection, &mut site, 0, ACK, &message[..=HEAD]), Fate::Forwarded);
    let mut other = message.clone();
    other[HEAD + 7] = b'z';
    assert_eq!(at(&connection, &mut site, 0, ACK, &other[..2_000]), Fate::Forwarded, "another payload");
    other[6] = b'z';
    assert_eq!(at(&connection, &mut site, 0, ACK, &other[..1_000]), ORDER, "another topic");
    assert_eq!(at(&connection, &mut site, 1, ACK, &message[1..1_000]), ORDER, "a part of its head");
}

#[test]
fn behind_a_payload_all_is_judged_in_order() {
    let Some(mut site) = site() else { return };
    let connection = connected(&mut site);
    let (message, good, bad) = (long(3_000), publish(ALLOWED, b"21"), publish(FORBIDDEN, b"open"));
    let end = message.len();
    assert_eq!(at(&connection, &mut site, 0, ACK, &message[..HEAD]), Fate::Forwarded, "the head alone");
    assert_eq!(at(&connection, &mut site, end + 1, ACK, &good), ORDER, "a gap behind it");
    // A hole in the payload is its receiver's to ask for.
    assert_eq!(at(&connection, &mut site, end, ACK, &good), Fate::Forwarded);
    let again = [&[b'y'; 40], &good[..]].concat();
    assert_eq!(at(&connection, &mut site, end - 40, ACK, &again), Fate::Forwarded, "with payload before it");
    let changed = [&[b'y'; 40], &publish(ALLOWED, b"22")[..]].concat();
    assert_eq!(at(&connection, &mut site, end - 40, ACK, &changed), ORDER);
    assert_eq!(at(&connection, &mut site, end - 40, ACK, &changed[..44]), ORDER, "only its beginning");
    assert_eq!(at(&connection, &mut site, 100, ACK, &[b'y'; 1_000]), Fate::Forwarded, "the hole");
    let over = [&[b'y'; 40], &good[..], &bad].concat();
    assert_eq!(at(&connection, &mut site, end - 40, ACK, &over), Fate::Reset(Reason::EdgeUnknown));
}

#[test]
fn a_segment_over_the_end_of_a_payload_is_judged_from_there() {
    let Some(mut site) = site() else { return };
    for (next, fate) in [(ALLOWED, Fate::Forwarded), (FORBIDDEN, Fate::Reset(Reason::EdgeUnknown))] {
        let connection = connected(&mut site);
        let message = [long(3_000), publish(next, b"21")].concat();
        assert_eq!(at(&connection, &mut site, 0, ACK, &message[..1_500]), Fate::Forwarded);
        assert_eq!(at(&connection, &mut site, 2_500, ACK, &message[2_500..]), fate, "{next}");
    }
}

#[test]
fn a_payload_takes_no_room() {
    let Some(mut site) = site() else { return };
    let mut connection = connected(&mut site);
    for _ in 0..20 {
        let message = long(16_000);
        for part in message.chunks(160) {
            assert_eq!(connection.say(&mut site, part), Fate::Forwarded);
        }
    }
    assert!(connection.send(&mut site, Server, ACK, &[]).is_delivered());
    assert_eq!(connection.say(&mut site, &publish(FORBIDDEN, b"open")), Fate::Reset(Reason::EdgeUnknown));
}

#[test]
fn who_gives_up_within_a_payload_has_said_all() {
    let Some(mut site) = site() else { return };
    let mut connection = connected(&mut site);
    let message = long(5_000);
    assert_eq!(connection.say(&mut site, &message[..2_000]), Fate::Forwarded);
    assert!(connection.send(&mut site, Server, ACK, &[]).is_delivered(), "acknowledged");
    let end = |distance: i32, flags, bytes: &[u8], site: &mut Site| {
        let mut segment = connection.segment(Client, flags);
        segment.seq = segment.seq.wrapping_add_signed(distance);
        connection.deliver(site, Client, segment, bytes).fate
    };
    assert_eq!(end(-1_000, ACK | FIN, b"", &mut site), ORDER, "its receiver has read on");
    assert_eq!(end(500, ACK, &message[2_500..3_000], &mut site), Fate::Forwarded, "ahead of it");
    assert_eq!(end(0, ACK | FIN, &message[2_000..3_000], &mut site), Fate::Forwarded);
    assert_eq!(end(0, ACK, &message[2_000..2_500], &mut site), Fate::Forwarded, "lost before");
    assert_eq!(end(0, ACK | FIN, &message[2_000..3_000], &mut site), Fate::Forwarded, "again");
    assert_eq!(end(1_000, ACK | FIN, b"", &mut site), Fate::Forwarded, "alone");
    assert_eq!(end(900, ACK | FIN, b"", &mut site), ORDER, "another end");
    assert_eq!(end(1_000, ACK, &message[3_000..4_000], &mut site), ORDER, "behind it");
    assert_eq!(end(500, ACK, &message[2_500..4_000], &mut site), ORDER, "over it");
    let next = i32::try_from(message.len() - 2_000).unwrap();
    assert_eq!(end(next, ACK, &publish(ALLOWED, b"21"), &mut site), ORDER, "behind what was announced");
}

#[test]
fn a_message_that_is_made_harmless_stays_so_while_its_payload_goes_on() {
    let Some(mut site) = site() else { return };
    let mut rig = Rig::publishing(&mut site, &[ALLOWED]);
    let id = rig.publish(&mut site, FORBIDDEN, RuleState::Denied);
    let rule = site.maps.rules.get(&id).unwrap().unwrap();
    site.maps.rules.put(&id, &Rule { action: Action::Neutralise as u8, ..rule }).unwrap();
    let connection = rig.connected(&mut site, V3_1_1);
    let message = publish(FORBIDDEN, &[b'x'; 5_000]);
    for _ in 0..2 {
        assert_eq!(at(&connection, &mut site, 0, ACK, &message[..1_000]), Fate::Neutralised);
        assert_eq!(at(&connection, &mut site, 2_000, ACK, &message[2_000..3_000]), Fate::Forwarded);
        assert_eq!(at(&connection, &mut site, 1_000, ACK, &message[1_000..2_000]), Fate::Forwarded);
    }
}

/// A connection that speaks HTTP and may say anything.
fn browsing(site: &mut Site) -> Connection {
    let (device, server) = (site.settled(Mode::Learning), site.settled(Mode::Learning));
    let edge: EdgeKey = site.edge(&device, &server, 80, RuleState::Allowed);
    let mut written = site.maps.edges.get(&edge).unwrap().unwrap();
    written.speaks = Protocol::Http.bit();
    site.maps.edges.put(&edge, &written).unwrap();
    Connection::open(site, device, server, 80)
}

#[test]
fn a_body_longer_than_all_numbers_is_passed_over_in_leaps() {
    let Some(mut site) = site() else { return };
    let mut connection = browsing(&mut site);
    let head = b"PUT /a HTTP/1.1\r\nHost: a\r\nContent-Length: 1099511627776\r\n\r\n";
    assert_eq!(connection.say(&mut site, head), Fate::Forwarded);
    for leap in 0..10 {
        let far = AHEAD as usize;
        assert_eq!(at(&connection, &mut site, far + 1, ACK, b"x"), ORDER, "{leap}: too far");
        assert_eq!(at(&connection, &mut site, far - 9, ACK, b"GET / HTT"), Fate::Forwarded, "{leap}");
        connection.client_seq = connection.client_seq.wrapping_add(AHEAD);
        assert!(connection.send(&mut site, Server, ACK, &[]).is_delivered(), "acknowledged");
        assert_eq!(connection.say(&mut site, b"P"), Fate::Forwarded, "{leap}: the next part");
    }
}

#[test]
fn an_answer_is_free_to_its_end() {
    let Some(mut site) = site() else { return };
    let mut connection = browsing(&mut site);
    assert_eq!(connection.say(&mut site, b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n"), Fate::Forwarded);
    let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n";
    assert_eq!(connection.answer(&mut site, answer), Fate::Forwarded);
    let server = |connection: &Connection, site: &mut Site, distance: u32, flags, bytes: &[u8]| {
        let mut segment = connection.segment(Server, flags);
        segment.seq = segment.seq.wrapping_add(distance);
        connection.deliver(site, Server, segment, bytes).fate
    };
    for distance in [70_000, 0, 1_400_000, 100] {
        assert_eq!(server(&connection, &mut site, distance, ACK, &[0; 1_400]), Fate::Forwarded, "{distance}");
    }
    assert_eq!(server(&connection, &mut site, 1_401_400, ACK | FIN, b""), Fate::Forwarded);
    assert_eq!(server(&connection, &mut site, 1_401_401, ACK, b"x"), ORDER, "behind its end");
    assert_eq!(connection.say(&mut site, b"GET /b HTTP/1.1\r\nHost: a\r\n\r\n"), Fate::Forwarded);
}
