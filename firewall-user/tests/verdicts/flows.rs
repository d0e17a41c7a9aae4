//! Connections: how they come about, what keeps them, what ends them.

use firewall_common::{
    abi::{Flow, FlowState, Rule},
    precedence::{Mode, RuleState},
    reason::{Reason, Verdict},
    wire::essential::{Essential, OPENING},
};

use crate::{
    connection::{
        Connection,
        Side::{Client, Server},
    },
    frame::{self, ACK, FIN, RST, SYN, Segment},
    site::{BOX, Fate, Host, Site, TC_REDIRECT, TC_SHOT, now, site, tcp_edge},
};

const SERVICE: u16 = 8883;

/// An enforcing device with an edge to a host outside.
fn pair(site: &mut Site) -> (Host, Host) {
    let device = site.settled(Mode::Enforcing);
    let server = site.outside(true);
    site.edge(&device, &server, SERVICE, RuleState::Allowed);
    (device, server)
}

/// The connections that a device has opened.
fn flows(site: &Site, device: &Host) -> Vec<Flow> {
    let entries = site.maps.flows.entries().unwrap();
    entries.into_iter().map(|(_, flow)| flow).filter(|flow| flow.edge.src == device.id).collect()
}

#[test]
fn a_handshake_makes_a_connection_for_both_directions() {
    let Some(mut site) = site() else { return };
    let (device, server) = pair(&mut site);
    let mut connection = Connection::open(&mut site, device, server, SERVICE);
    let flow = flows(&site, &device);
    assert_eq!(flow.len(), 1);
    assert_eq!(flow[0].state, FlowState::Established as u8);
    assert_eq!(flow[0].edge, tcp_edge(&device, &server, SERVICE));
    for _ in 0..3 {
        assert_eq!(connection.say(&mut site, b"question"), Fate::Forwarded);
        assert_eq!(connection.answer(&mut site, b"answer"), Fate::Forwarded);
    }
    assert_eq!(connection.send(&mut site, Client, FIN | ACK, &[]).fate, Fate::Forwarded);
    assert_eq!(connection.send(&mut site, Server, FIN | ACK, &[]).fate, Fate::Forwarded);
    assert_eq!(flows(&site, &device)[0].state, FlowState::Closing as u8);
    assert!(site.observed(device.id).is_empty(), "nothing of it is news");
}

#[test]
fn two_devices_have_one_connection() {
    let Some(mut site) = site() else { return };
    let (device, other) = (site.settled(Mode::Enforcing), site.settled(Mode::Enforcing));
    site.edge(&device, &other, SERVICE, RuleState::Allowed);
    let mut connection = Connection::open(&mut site, device, other, SERVICE);
    assert_eq!(connection.say(&mut site, b"question"), Fate::Forwarded);
    assert_eq!(connection.answer(&mut site, b"answer"), Fate::Forwarded);
    // The edge is one of the device, not of the other end.
    let back = Connection::new(&mut site, other, device, SERVICE);
    let refused = back.deliver(&mut site, Client, back.segment(Client, SYN), &[]);
    assert_eq!(refused.fate, Fate::Dropped(Reason::EdgeUnknown));
}

#[test]
fn the_other_end_cannot_begin() {
    let Some(mut site) = site() else { return };
    let (device, server) = pair(&mut site);
    let mut connection = Connection::new(&mut site, device, server, SERVICE);
    // An answer to nothing.
    let unasked = connection.send(&mut site, Server, SYN | ACK, &[]);
    assert_eq!(unasked.fate, Fate::Dropped(Reason::Midstream));
    assert_eq!(connection.send(&mut site, Client, SYN, &[]).fate, Fate::Forwarded);
    // An answer to another number.
    let wrong = Segment { ack: 77, ..connection.segment(Server, SYN | ACK) };
    let judged = connection.deliver(&mut site, Server, wrong, &[]);
    assert_eq!(judged.fate, Fate::Dropped(Reason::Midstream));
    assert_eq!(connection.send(&mut site, Server, SYN | ACK, &[]).fate, Fate::Forwarded);
    assert!(flows(&site, &device).is_empty(), "half-open");
}

#[test]
fn the_third_segment_must_be_the_next() {
    let Some(mut site) = site() else { return };
    let (device, server) = pair(&mut site);
    let mut connection = Connection::new(&mut site, device, server, SERVICE);
    assert!(connection.send(&mut site, Client, SYN, &[]).is_delivered());
    assert!(connection.send(&mut site, Server, SYN | ACK, &[]).is_delivered());
    let mut ahead = connection.segment(Client, ACK);
    ahead.seq = ahead.seq.wrapping_add(1);
    let judged = connection.deliver(&mut site, Client, ahead, b"x");
    assert_eq!(judged.fate, Fate::Dropped(Reason::StreamOrder));
    assert!(flows(&site, &device).is_empty());
    assert!(connection.send(&mut site, Client, ACK, b"data at once").is_delivered());
    assert_eq!(flows(&site, &device).len(), 1);
}

#[test]
fn nobody_joins_in_the_middle() {
    let Some(mut site) = site() else { return };
    let (device, server) = pair(&mut site);
    let connection = Connection::new(&mut site, device, server, SERVICE);
    let judged = connection.deliver(&mut site, Client, connection.segment(Client, ACK), b"data");
    assert_eq!((judged.fate, judged.action), (Fate::Dropped(Reason::Midstream), TC_REDIRECT));
    let answer = frame::read(&judged.frame);
    assert_eq!((answer.flags & RST, answer.seq), (RST, connection.server_seq), "so that it starts again");
    let reset = connection.deliver(&mut site, Client, connection.segment(Client, RST), &[]);
    assert_eq!(reset.fate, Fate::Dropped(Reason::Midstream));
    assert!(flows(&site, &device).is_empty());
    Connection::open(&mut site, device, server, SERVICE);
}

#[test]
fn what_ran_before_is_joined_while_learning_and_ends_with_it() {
    let Some(mut site) = site() else { return };
    let (device, server) = pair(&mut site);
    site.set_mode(device.id, Mode::Learning, false);
    let mut connection = Connection::new(&mut site, device, server, SERVICE);
    assert_eq!(connection.say(&mut site, b"in the middle"), Fate::Forwarded);
    assert_eq!(connection.answer(&mut site, b"as well"), Fate::Forwarded);
    assert_eq!(flows(&site, &device)[0].state, FlowState::Unsynced as u8);
    site.set_mode(device.id, Mode::Enforcing, false);
    let judged = connection.send(&mut site, Client, ACK, b"too late");
    connection.assert_both_reset(&site, &judged, 8);
    assert!(flows(&site, &device).is_empty());
}

#[test]
fn a_flood_does_not_end_what_is_established() {
    let Some(mut site) = site() else { return };
    let (device, server) = pair(&mut site);
    let mut connection = Connection::open(&mut site, device, server, SERVICE);
    for _ in 0..10 {
        let flooder = site.settled(Mode::Enforcing);
        site.edge(&flooder, &server, SERVICE, RuleState::Allowed);
        for port in 0..2_000 {
            site.flood(&frame::tcp(&flooder, &server, Segment::syn(port + 1024, SERVICE), &[]));
        }
        assert!(flows(&site, &flooder).is_empty(), "nobody answered it");
    }
    assert!(site.maps.half_open.keys().unwrap().len() > 2_000, "the table is full of them");
    assert_eq!(connection.say(&mut site, b"still"), Fate::Forwarded);
    assert_eq!(connection.answer(&mut site, b"here"), Fate::Forwarded);
    // And there is room for the next one.
    Connection::open(&mut site, device, server, SERVICE);
}

#[test]
fn one_sender_opens_only_so_much() {
    let Some(mut site) = site() else { return };
    let (device, server) = pair(&mut site);
    let (other, _) = pair(&mut site);
    site.edge(&other, &server, SERVICE, RuleState::Allowed);
    let (began, refused) = (now(), site.dropped(Reason::EssentialBudget));
    let tries = 8_000;
    for port in 0..tries {
        site.flood(&frame::tcp(&device, &server, Segment::syn(port + 1024, SERVICE), &[]));
    }
    let seconds = (now() - began).div_ceil(1_000_000_000);
    let opened = u64::from(tries) - (site.dropped(Reason::EssentialBudget) - refused);
    // A slow machine takes so long for the tries that the budget suffices for more of them.
    let budget = (Essential::Opening.burst() + Essential::Opening.rate() * seconds) / OPENING;
    assert!(opened <= budget, "{opened} of {budget} in {seconds} s");
    assert!(opened >= Essential::Opening.burst() / OPENING);
    Connection::open(&mut site, other, server, SERVICE);
}

#[test]
fn quarantine_ends_running_connections() {
    let Some(mut site) = site() else { return };
    let (device, server) = pair(&mut site);
    let mut connection = Connection::open(&mut site, device, server, SERVICE);
    assert_eq!(connection.say(&mut site, b"before"), Fate::Forwarded);
    site.set_mode(device.id, Mode::Quarantine, false);
    let judged = connection.send(&mut site, Client, ACK, b"after");
    assert_eq!(judged.fate, Fate::Reset(Reason::Quarantine));
    connection.assert_both_reset(&site, &judged, 5);
    let again = connection.send(&mut site, Client, ACK, b"again");
    assert_eq!((again.fate, again.action), (Fate::Dropped(Reason::Quarantine), TC_SHOT), "once");
    site.set_mode(device.id, Mode::Enforcing, false);
    assert_eq!(connection.say(&mut site, b"later"), Fate::Dropped(Reason::Midstream));
}

/// What someone decides about the edge of two hosts, and why their connection ends.
type Decision = (&'static str, fn(&mut Site, &Host, &Host), Reason);

#[test]
fn a_decision_ends_running_connections() {
    let Some(mut site) = site() else { return };
    let decisions: [Decision; 3] = [
        (
            "removed",
            |site, device, server| site.maps.edges.remove(&tcp_edge(device, server, SERVICE)).unwrap(),
            Reason::EdgeUnknown,
        ),
        (
            "denied",
            |site, device, server| {
                site.edge(device, server, SERVICE, RuleState::Denied);
            },
            Reason::EdgeDenied,
        ),
        (
            "banned",
            |site, device, server| {
                site.edge(device, server, SERVICE, RuleState::Banned);
            },
            Reason::Banned,
        ),
    ];
    for (name, decide, reason) in decisions {
        let (device, server) = pair(&mut site);
        let mut connection = Connection::open(&mut site, device, server, SERVICE);
        assert_eq!(connection.say(&mut site, b"before"), Fate::Forwarded, "{name}");
        decide(&mut site, &device, &server);
        let judged = connection.send(&mut site, Client, ACK, b"after");
        assert_eq!(judged.fate, Fate::Reset(reason), "{name}");
        connection.assert_both_reset(&site, &judged, 5);
        let noted = site.only_observed(device.id);
        assert_eq!((noted.reason, noted.verdict), (reason, Verdict::Dropped), "{name}");
        assert!(flows(&site, &device).is_empty(), "{name}");
        assert_eq!(connection.say(&mut site, b"again"), Fate::Dropped(Reason::Midstream), "{name}");
    }
}

#[test]
fn a_decision_reaches_the_other_direction_too() {
    let Some(mut site) = site() else { return };
    let (device, server) = pair(&mut site);
    let mut connection = Connection::open(&mut site, device, server, SERVICE);
    assert_eq!(connection.answer(&mut site, b"before"), Fate::Forwarded);
    site.maps.edges.remove(&tcp_edge(&device, &server, SERVICE)).unwrap();
    let judged = connection.send(&mut site, Server, ACK, b"after");
    assert_eq!(judged.fate, Fate::Reset(Reason::EdgeUnknown));
    let forth = frame::read(&judged.frame);
    assert_eq!((forth.dst, forth.flags & RST, forth.seq), (device.v4(), RST, connection.server_seq));
    let back = frame::read(&site.heard_by(&server));
    assert_eq!((back.dst, back.flags & RST, back.seq), (server.v4(), RST, connection.client_seq));
}

#[test]
fn a_connection_over_ipv6_ends_in_the_same_way() {
    let Some(mut site) = site() else { return };
    let (device, server) = pair(&mut site);
    let connection = Connection { version: 6, ..Connection::new(&mut site, device, server, SERVICE) };
    let mut connection = connection.opened(&mut site);
    assert_eq!(connection.say(&mut site, b"before"), Fate::Forwarded);
    assert_eq!(connection.answer(&mut site, b"before"), Fate::Forwarded);
    site.maps.edges.remove(&tcp_edge(&device, &server, SERVICE)).unwrap();
    let judged = connection.send(&mut site, Client, ACK, b"after");
    connection.assert_both_reset(&site, &judged, 5);
}

#[test]
fn a_deadline_ends_what_is_running() {
    let Some(mut site) = site() else { return };
    let (device, server) = (site.settled(Mode::Enforcing), site.outside(true));
    let key = tcp_edge(&device, &server, SERVICE);
    let rule = site.rule(RuleState::Allowed);
    site.put_edge(key, Rule { deadline: now() + 600_000_000_000, ..rule });
    let mut connection = Connection::open(&mut site, device, server, SERVICE);
    assert_eq!(connection.say(&mut site, b"in time"), Fate::Forwarded);
    site.put_edge(key, Rule { deadline: now(), ..rule });
    assert_eq!(connection.say(&mut site, b"too late"), Fate::Reset(Reason::EdgeUnknown));
}

#[test]
fn a_connection_that_took_the_last_use_goes_on() {
    let Some(mut site) = site() else { return };
    let (device, server) = (site.settled(Mode::Enforcing), site.outside(true));
    let rule = site.rule(RuleState::Allowed);
    site.maps.uses.put(&rule.id, &1).unwrap();
    site.put_edge(tcp_edge(&device, &server, SERVICE), Rule { counted: 1, ..rule });
    let mut connection = Connection::new(&mut site, device, server, SERVICE);
    // A first segment that was lost is sent again.
    for _ in 0..3 {
        let again = connection.deliver(&mut site, Client, connection.segment(Client, SYN), &[]);
        assert!(again.is_delivered(), "{:?}", again.fate);
    }
    for (side, flags) in [(Client, SYN), (Server, SYN | ACK), (Client, ACK)] {
        assert!(connection.send(&mut site, side, flags, &[]).is_delivered());
    }
    assert_eq!(connection.say(&mut site, b"used"), Fate::Forwarded);
    let second = Connection::new(&mut site, device, server, SERVICE);
    let refused = second.deliver(&mut site, Client, second.segment(Client, SYN), &[]);
    assert_eq!(refused.fate, Fate::Dropped(Reason::EdgeUnknown));
}

#[test]
fn another_holder_of_an_address_does_not_inherit_connections() {
    let Some(mut site) = site() else { return };
    let (device, server) = pair(&mut site);
    let mut connection = Connection::open(&mut site, device, server, SERVICE);
    assert_eq!(connection.say(&mut site, b"mine"), Fate::Forwarded);
    let heir = site.device(Mode::Enforcing);
    let reply = frame::dhcp(&BOX, 2, 5, heir.mac, device.v4, b"");
    assert!(site.device_gets(&reply).is_delivered());
    connection.client = Host { v4: device.v4, ..heir };
    assert_eq!(connection.say(&mut site, b"not mine"), Fate::Dropped(Reason::Midstream));
}

#[test]
fn a_connection_to_the_box_is_an_edge_like_any_other() {
    let Some(mut site) = site() else { return };
    let device = site.settled(Mode::Enforcing);
    let refused = Connection::new(&mut site, device, BOX, SERVICE);
    let judged = refused.deliver(&mut site, Client, refused.segment(Client, SYN), &[]);
    assert_eq!(judged.fate, Fate::Dropped(Reason::EdgeUnknown));
    site.edge(&device, &BOX, SERVICE, RuleState::Learned);
    let mut connection = Connection::open(&mut site, device, BOX, SERVICE);
    assert_eq!(connection.answer(&mut site, b"answer"), Fate::Forwarded);
}

/// When a connection was last judged in full, by either end.
fn judged_in_full(site: &Site, device: &Host) -> [u64; 2] {
    flows(site, device)[0].seen
}

#[test]
fn what_was_found_is_asked_for_again_only_after_a_change() {
    let Some(mut site) = site() else { return };
    let (device, server) = pair(&mut site);
    let mut connection = Connection::open(&mut site, device, server, SERVICE);
    assert_eq!(connection.say(&mut site, b"question"), Fate::Forwarded);
    assert_eq!(connection.answer(&mut site, b"answer"), Fate::Forwarded);
    let first = judged_in_full(&site, &device);
    for _ in 0..3 {
        assert_eq!(connection.say(&mut site, b"question"), Fate::Forwarded);
        assert_eq!(connection.answer(&mut site, b"answer"), Fate::Forwarded);
    }
    assert_eq!(judged_in_full(&site, &device), first, "neither direction was asked about again");
    site.change();
    assert_eq!(connection.say(&mut site, b"question"), Fate::Forwarded);
    assert_eq!(connection.answer(&mut site, b"answer"), Fate::Forwarded);
    let second = judged_in_full(&site, &device);
    assert!(second[0] > first[0] && second[1] > first[1], "{first:?} {second:?}");
    // An address that finds a holder may be one that was asked about.
    site.settled(Mode::Enforcing);
    assert_eq!(connection.say(&mut site, b"question"), Fate::Forwarded);
    assert_ne!(judged_in_full(&site, &device), second);
}

#[test]
fn what_was_found_is_for_one_sender_at_one_place() {
    let Some(mut site) = site() else { return };
    let (device, server) = pair(&mut site);
    let other = site.settled(Mode::Enforcing);
    let mut connection = Connection::open(&mut site, device, server, SERVICE);
    assert_eq!(connection.say(&mut site, b"question"), Fate::Forwarded);
    let frame = connection.frame(Client, connection.segment(Client, ACK), b"question");
    // From another device, in its name and over its connection.
    let mut forged = frame.clone();
    forged[6..12].copy_from_slice(&other.mac);
    assert_eq!(site.device_sends(&forged).fate, Fate::Dropped(Reason::SpoofIp));
    // From where the other end is.
    assert_eq!(site.device_gets(&frame).fate, Fate::Dropped(Reason::SpoofIp));
    assert_eq!(site.device_sends(&frame).fate, Fate::Forwarded);
}

#[test]
fn nothing_is_remembered_while_nothing_is_dropped() {
    let Some(mut site) = site() else { return };
    let (device, server) = pair(&mut site);
    site.monitor(true);
    let mut connection = Connection::open(&mut site, device, server, SERVICE);
    assert_eq!(connection.say(&mut site, b"question"), Fate::Forwarded);
    let first = judged_in_full(&site, &device);
    assert_eq!(connection.say(&mut site, b"question"), Fate::Forwarded);
    assert_ne!(judged_in_full(&site, &device), first);
}
