//! What edges carry: it is counted, and what is over the limit of one is dropped without a trace.

use std::time::{Duration, Instant};

use firewall_common::{
    abi::{EdgeKey, Meter, Moved},
    precedence::{Mode, RuleState},
    reason::{Reason, Verdict},
    wire::frame::proto,
};

use crate::{
    connection::{Connection, Side::Client},
    frame::{self, ACK, SYN},
    message::{V3_1_1, publish},
    site::{Fate, Host, Site, now, site, tcp_edge, transport_edge},
    streams::Rig,
};

const SERVICE: u16 = 8883;
const DATAGRAMS: u16 = 7000;
/// Bytes before the payload of a datagram.
const HEADERS: u64 = 42;

fn pair(site: &mut Site) -> (Host, Host) {
    (site.settled(Mode::Enforcing), site.outside(true))
}

/// A datagram edge with a limit.
fn datagrams(site: &mut Site, rate: u64, burst: u16) -> (Host, Host, EdgeKey) {
    let (device, server) = pair(site);
    let rule = site.rule(RuleState::Learned);
    let edge = site.put_edge(transport_edge(&device, &server, DATAGRAMS, proto::UDP), rule);
    site.limit(edge, Some(rate), burst);
    (device, server, edge)
}

/// A connection on which the device may publish.
fn talk(site: &mut Site) -> (Connection, EdgeKey) {
    let connection = Rig::publishing(site, &["a/#"]).connected(site, V3_1_1);
    let edge = tcp_edge(&connection.client, &connection.server, connection.server_port);
    (connection, edge)
}

fn moved(site: &Site, edge: EdgeKey) -> [Moved; 2] {
    site.meter(edge).moved.map(|word| Moved::between(0, word))
}

#[test]
fn messages_and_bytes_are_counted_both_ways_and_connections_once() {
    let Some(mut site) = site() else { return };
    let (device, server) = pair(&mut site);
    let edge = site.edge(&device, &server, SERVICE, RuleState::Allowed);
    let mut connection = Connection::open(&mut site, device, server, SERVICE);
    for _ in 0..3 {
        assert_eq!(connection.say(&mut site, &[7; 100]), Fate::Forwarded);
    }
    assert_eq!(connection.answer(&mut site, &[7; 10]), Fate::Forwarded);
    // SYN, ACK and three segments; SYN-ACK and one.
    let expected = [Moved { messages: 3, bytes: 5 * 54 + 300 }, Moved { messages: 1, bytes: 2 * 54 + 10 }];
    assert_eq!(moved(&site, edge), expected);
    let Meter { over, opened, .. } = site.meter(edge);
    assert_eq!((over, opened), (0, 1));
    Connection::open(&mut site, device, server, SERVICE);
    assert_eq!(site.meter(edge).opened, 2);
}

#[test]
fn a_message_is_what_is_read_and_not_a_segment() {
    let Some(mut site) = site() else { return };
    let (mut connection, edge) = talk(&mut site);
    assert_eq!(connection.say(&mut site, &publish("a/b", b"x").repeat(5)), Fate::Forwarded);
    assert_eq!(moved(&site, edge)[0].messages, 6, "the client id and five topics");
}

#[test]
fn the_rate_passes_what_is_over_is_dropped_and_the_bucket_fills_again() {
    let Some(mut site) = site() else { return };
    // Ten datagrams at once, and one more each half second, which the slowest machine does not wait for.
    let (device, server, edge) = datagrams(&mut site, 2 * (HEADERS + 958), 5_000);
    let port = site.fresh_port();
    let datagram = frame::udp(&device, &server, port, DATAGRAMS, &[7; 958]);
    let mut fates = Vec::new();
    // The clock may go on in between.
    while !fates.contains(&Fate::Dropped(Reason::RateExceeded)) && fates.len() < 1_000 {
        fates.push(site.device_sends(&datagram).fate);
    }
    let passed = fates.len() as u64 - 1;
    assert!(passed >= 9, "what is usual at once passes: {fates:?}");
    assert_eq!(fates.last(), Some(&Fate::Dropped(Reason::RateExceeded)));
    assert_eq!(moved(&site, edge)[0], Moved { messages: passed, bytes: passed * 1_000 });
    assert_eq!(site.meter(edge).over, 1);

    let noted = site.only_observed(device.id);
    assert_eq!((noted.edge, noted.verdict, noted.reason), (edge, Verdict::Dropped, Reason::RateExceeded));
    let other = site.edge(&device, &server, SERVICE, RuleState::Learned);
    site.limit(other, Some(100_000), 1_000);
    Connection::open(&mut site, device, server, SERVICE);

    let deadline = Instant::now() + Duration::from_secs(30);
    while site.device_sends(&datagram).fate != Fate::Forwarded {
        assert!(Instant::now() < deadline, "the bucket does not fill");
    }
}

#[test]
fn no_flood_gets_more_than_its_rate() {
    let Some(mut site) = site() else { return };
    let (device, server, edge) = datagrams(&mut site, 100_000, 100);
    let port = site.fresh_port();
    let datagram = frame::udp(&device, &server, port, DATAGRAMS, &[7; 958]);
    let begun = now();
    for _ in 0..2_000 {
        site.flood(&datagram);
    }
    let most = 10_000 + (now() - begun) / 10_000 + 1_000;
    let carried = moved(&site, edge)[0].bytes;
    // The coarse clock is late by a tick or two.
    assert!(carried <= most + 5_000, "{carried} of {most}");
    assert_eq!(u64::from(site.meter(edge).over) + carried / 1_000, 2_000, "all are accounted for");
}

#[test]
fn what_was_too_much_comes_again_and_passes() {
    let Some(mut site) = site() else { return };
    let (mut connection, edge) = talk(&mut site);
    let publish = publish("a/b", &[7; 900]);
    // Two of them at once, and one more each half second.
    site.limit(edge, Some(2_000), 1_000);
    let mut said = 0;
    while connection.say(&mut site, &publish) == Fate::Forwarded {
        said += 1;
        assert!(said < 1_000, "nothing holds it back");
    }
    // The same bytes again, as TCP does, with the sequence that they had.
    let deadline = Instant::now() + Duration::from_secs(30);
    while connection.say(&mut site, &publish) != Fate::Forwarded {
        assert!(Instant::now() < deadline, "it never passes");
    }
    site.limit(edge, None, 0);
    assert_eq!(connection.say(&mut site, &publish), Fate::Forwarded, "the stream is in order");
    assert_eq!(connection.answer(&mut site, &[0x40, 2, 0, 1]), Fate::Forwarded);
}

#[test]
fn a_limit_holds_from_the_next_frame_on_and_for_a_running_connection() {
    let Some(mut site) = site() else { return };
    let (device, server) = pair(&mut site);
    let edge = site.edge(&device, &server, SERVICE, RuleState::Learned);
    let mut connection = Connection::open(&mut site, device, server, SERVICE);
    for _ in 0..50 {
        assert_eq!(connection.say(&mut site, &[7; 1_400]), Fate::Forwarded);
    }
    site.limit(edge, Some(10_000), 10);
    assert_eq!(connection.say(&mut site, &[7; 1_400]), Fate::Dropped(Reason::RateExceeded));
    site.limit(edge, None, 0);
    assert_eq!(connection.say(&mut site, &[7; 1_400]), Fate::Forwarded);
}

#[test]
fn nothing_is_dropped_in_monitor_and_it_is_told_all_the_same() {
    let Some(mut site) = site() else { return };
    let (device, server, edge) = datagrams(&mut site, 10_000, 1);
    site.monitor(true);
    let port = site.fresh_port();
    let datagram = frame::udp(&device, &server, port, DATAGRAMS, &[7; 958]);
    assert_eq!(site.device_sends(&datagram).fate, Fate::Forwarded);
    assert_eq!(site.meter(edge).over, 1);
    let noted = site.only_observed(device.id);
    assert_eq!((noted.verdict, noted.reason), (Verdict::Audit, Reason::RateExceeded));
}

#[test]
fn who_is_banned_reaches_nobody_and_is_reached_by_nobody_until_its_end() {
    let Some(mut site) = site() else { return };
    let (device, other) = (site.settled(Mode::Enforcing), site.settled(Mode::Enforcing));
    for (from, to) in [(&device, &other), (&other, &device)] {
        site.edge(from, to, SERVICE, RuleState::Allowed);
    }
    let mut connection = Connection::open(&mut site, device, other, SERVICE);
    let second = |seconds: u64| (now() / 1_000_000_000 + seconds) as u32;
    site.ban(device.id, Mode::Enforcing, second(3_600));
    let judged = connection.send(&mut site, Client, ACK, b"still there");
    connection.assert_both_reset(&site, &judged, 11);
    for (from, to) in [(device, other), (other, device)] {
        let new = Connection::new(&mut site, from, to, SERVICE);
        let refused = new.deliver(&mut site, Client, new.segment(Client, SYN), &[]);
        assert_eq!(refused.fate, Fate::Dropped(Reason::Banned));
    }
    // Nobody has to lift it.
    site.ban(device.id, Mode::Enforcing, second(0));
    Connection::open(&mut site, device, other, SERVICE);
}
