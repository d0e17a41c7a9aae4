//! Edges of the packet plane: rules, modes, lifetimes, addresses, and what a refused sender is told.

use firewall_common::{
    abi::{Addr, Kind, PrincipalId, Rule},
    precedence::{Mode, RuleState},
    reason::{Reason, Verdict},
    wire::frame::{ethertype, proto},
};

use crate::{
    frame::{self, ACK, RST, Segment},
    site::{BOX, Fate, Host, MARK_JUDGED, Site, TC_REDIRECT, TC_SHOT, now, site, tcp_edge, transport_edge},
};

const SERVICE: u16 = 8883;

/// What becomes of a new connection.
fn attempt(site: &mut Site, from: &Host, to: &Host) -> Fate {
    let port = site.fresh_port();
    site.device_sends(&frame::tcp(from, to, Segment::syn(port, SERVICE), &[])).fate
}

#[test]
fn an_unknown_edge_is_noted_and_its_connection_refused() {
    let Some(mut site) = site() else { return };
    let (device, server) = (site.settled(Mode::Enforcing), site.outside(false));
    let port = site.fresh_port();
    let syn = frame::tcp(&device, &server, Segment::syn(port, SERVICE), &[]);
    for count in 1..=2 {
        let judged = site.device_sends(&syn);
        assert_eq!((judged.fate, judged.action), (Fate::Dropped(Reason::EdgeUnknown), TC_REDIRECT));
        let answer = frame::read(&judged.frame);
        assert_eq!((answer.src_mac, answer.dst_mac), (server.mac, device.mac));
        assert_eq!((answer.src, answer.dst), (server.v4(), device.v4()));
        assert_eq!((answer.src_port, answer.dst_port), (SERVICE, port));
        assert_eq!((answer.flags, answer.ack), (RST | ACK, 1001), "the sender accepts it");

        let noted = site.only_observed(device.id);
        assert_eq!(noted.edge, tcp_edge(&device, &server, SERVICE));
        assert_eq!((noted.kind, noted.addr), (Kind::Transport, server.v4()));
        assert_eq!((noted.verdict, noted.reason), (Verdict::Dropped, Reason::EdgeUnknown));
        assert_eq!(noted.count, count);
    }
}

#[test]
fn ipv6_is_refused_in_its_own_way() {
    let Some(mut site) = site() else { return };
    let (device, server) = (site.settled(Mode::Enforcing), site.outside(true));
    let port = site.fresh_port();
    let judged = site.device_sends(&frame::tcp6(&device, &server, Segment::syn(port, SERVICE), &[]));
    assert_eq!((judged.fate, judged.action), (Fate::Dropped(Reason::EdgeUnknown), TC_REDIRECT));
    let answer = frame::read(&judged.frame);
    assert_eq!((answer.version, answer.src, answer.dst), (6, server.v6(), device.v6()));
    assert_eq!((answer.flags, answer.ack), (RST | ACK, 1001));
    assert_eq!(site.only_observed(device.id).addr, Addr([0; 16]), "both ends have a number");
    site.edge(&device, &server, SERVICE, RuleState::Allowed);
    assert!(
        site.device_sends(&frame::tcp6(&device, &server, Segment::syn(port, SERVICE), &[])).is_delivered()
    );
}

#[test]
fn an_answer_does_not_depend_on_the_form_of_the_frame() {
    let Some(mut site) = site() else { return };
    let (device, server) = (site.settled(Mode::Enforcing), site.outside(true));
    let port = site.fresh_port();
    let plain = frame::tcp(&device, &server, Segment::syn(port, SERVICE), &[]);
    let expected = frame::read(&site.device_sends(&plain).frame);
    let tagged = frame::tagged(&plain, ethertype::VLAN, 0);
    let mut padded = plain.clone();
    padded.resize(60, 0);
    let mut with_option = plain.clone();
    // Router alert (RFC 2113).
    with_option.splice(frame::TRANSPORT..frame::TRANSPORT, [0x94, 4, 0, 0]);
    with_option[frame::NETWORK] = 0x46;
    with_option[frame::NETWORK + 3] += 4;
    for (form, tag) in [(tagged, 4), (padded, 0), (with_option, 0)] {
        let judged = site.device_sends(&form);
        assert_eq!((judged.fate, judged.action), (Fate::Dropped(Reason::EdgeUnknown), TC_REDIRECT));
        let answer = frame::read(&judged.frame);
        assert_eq!(answer.network, expected.network + tag, "the tag stays");
        assert_eq!(judged.frame.len(), 54 + tag as usize, "a bare segment");
        assert_eq!((answer.src, answer.dst, answer.ack), (expected.src, expected.dst, expected.ack));
    }
}

#[test]
fn a_refused_datagram_is_called_prohibited() {
    let Some(mut site) = site() else { return };
    let (device, server) = (site.settled(Mode::Enforcing), site.outside(true));
    let port = site.fresh_port();
    let datagram = frame::udp(&device, &server, port, 5683, b"coap");
    let judged = site.device_sends(&datagram);
    assert_eq!((judged.fate, judged.action), (Fate::Dropped(Reason::EdgeUnknown), TC_REDIRECT));
    let answer = frame::read(&judged.frame);
    assert_eq!((answer.proto, answer.flags, answer.code), (proto::ICMP, 3, 13));
    assert_eq!((answer.src, answer.dst, answer.dst_mac), (server.v4(), device.v4(), device.mac));
    let quoted = &judged.frame[answer.payload as usize..];
    assert_eq!(quoted, &datagram[frame::NETWORK..frame::TRANSPORT + 8], "it quotes the datagram");

    let datagram = frame::udp6(&device, &server, port, 5683, b"coap");
    let judged = site.device_sends(&datagram);
    assert_eq!((judged.fate, judged.action), (Fate::Dropped(Reason::EdgeUnknown), TC_REDIRECT));
    let answer = frame::read(&judged.frame);
    assert_eq!((answer.proto, answer.flags, answer.code), (proto::ICMP6, 1, 1));
    let quoted = &judged.frame[answer.payload as usize..];
    assert_eq!(quoted, &datagram[frame::NETWORK..frame::NETWORK + 48]);

    let rule = site.rule(RuleState::Allowed);
    site.put_edge(transport_edge(&device, &server, 5683, proto::UDP), rule);
    assert!(site.device_sends(&datagram).is_delivered());
}

#[test]
fn a_silent_site_answers_nobody() {
    let Some(mut site) = site() else { return };
    let (device, server) = (site.settled(Mode::Enforcing), site.outside(true));
    let port = site.fresh_port();
    let syn = frame::tcp(&device, &server, Segment::syn(port, SERVICE), &[]);
    assert_eq!(site.device_sends(&syn).action, TC_REDIRECT);
    site.silent(true);
    let judged = site.device_sends(&syn);
    assert_eq!((judged.fate, judged.action), (Fate::Dropped(Reason::EdgeUnknown), TC_SHOT));
}

#[test]
fn the_rule_of_an_edge_decides() {
    let Some(mut site) = site() else { return };
    let device = site.settled(Mode::Enforcing);
    let cases = [
        (RuleState::Learned, Fate::Forwarded),
        (RuleState::Allowed, Fate::Forwarded),
        (RuleState::Denied, Fate::Dropped(Reason::EdgeDenied)),
        (RuleState::Guarded, Fate::Dropped(Reason::EdgeUnknown)),
        (RuleState::Banned, Fate::Dropped(Reason::Banned)),
    ];
    for (state, fate) in cases {
        let server = site.outside(true);
        site.edge(&device, &server, SERVICE, state);
        assert_eq!(attempt(&mut site, &device, &server), fate, "{state:?}");
        // The next port is another edge.
        let port = site.fresh_port();
        let beside = frame::tcp(&device, &server, Segment::syn(port, SERVICE + 1), &[]);
        assert_eq!(site.device_sends(&beside).fate, Fate::Dropped(Reason::EdgeUnknown));
    }
}

#[test]
fn the_modes_of_both_ends_decide() {
    let Some(mut site) = site() else { return };
    let outside = site.outside(true);
    let harmless = site.settled(Mode::Learning);
    let dangerous = site.settled(Mode::Learning);
    site.set_mode(dangerous.id, Mode::Learning, true);
    let enforcing = site.settled(Mode::Enforcing);
    let isolated = site.settled(Mode::Quarantine);
    let unknown = Fate::Dropped(Reason::EdgeUnknown);
    let cases = [
        (Mode::Learning, outside, Fate::Forwarded),
        (Mode::Learning, harmless, Fate::Forwarded),
        (Mode::Learning, BOX, Fate::Forwarded),
        (Mode::Learning, dangerous, unknown),
        (Mode::Learning, enforcing, unknown),
        (Mode::Ready, harmless, Fate::Forwarded),
        (Mode::Enforcing, outside, unknown),
        (Mode::New, outside, Fate::Dropped(Reason::PrincipalNew)),
        (Mode::Guest, outside, Fate::Forwarded),
        (Mode::Guest, harmless, Fate::Dropped(Reason::GuestInside)),
        (Mode::Guest, BOX, Fate::Dropped(Reason::GuestInside)),
        (Mode::Learning, isolated, Fate::Dropped(Reason::Quarantine)),
        (Mode::Quarantine, outside, Fate::Dropped(Reason::Quarantine)),
    ];
    for (mode, to, fate) in cases {
        let from = site.settled(mode);
        assert_eq!(attempt(&mut site, &from, &to), fate, "{mode:?} to {:?}", to.id);
    }
}

#[test]
fn what_a_learning_device_does_is_noted_as_learned() {
    let Some(mut site) = site() else { return };
    let (device, server) = (site.settled(Mode::Learning), site.outside(true));
    assert_eq!(attempt(&mut site, &device, &server), Fate::Forwarded);
    let noted = site.only_observed(device.id);
    assert_eq!((noted.verdict, noted.reason), (Verdict::Forwarded, Reason::Learned));
    assert_eq!(noted.edge, tcp_edge(&device, &server, SERVICE));
    // Once it is in the model, nothing more is noted.
    site.edge(&device, &server, SERVICE, RuleState::Learned);
    assert_eq!(attempt(&mut site, &device, &server), Fate::Forwarded);
    assert_eq!(site.only_observed(device.id).count, 1);
}

#[test]
fn a_deadline_ends_a_rule() {
    let Some(mut site) = site() else { return };
    let (device, server) = (site.settled(Mode::Enforcing), site.outside(true));
    let key = tcp_edge(&device, &server, SERVICE);
    let rule = site.rule(RuleState::Allowed);
    site.put_edge(key, Rule { deadline: now() + 600_000_000_000, ..rule });
    assert_eq!(attempt(&mut site, &device, &server), Fate::Forwarded);
    site.put_edge(key, Rule { deadline: now(), ..rule });
    assert_eq!(attempt(&mut site, &device, &server), Fate::Dropped(Reason::EdgeUnknown));
}

#[test]
fn uses_are_counted() {
    let Some(mut site) = site() else { return };
    let (device, server) = (site.settled(Mode::Enforcing), site.outside(true));
    let rule = site.rule(RuleState::Allowed);
    site.maps.uses.put(&rule.id, &2).unwrap();
    site.put_edge(tcp_edge(&device, &server, SERVICE), Rule { counted: 1, ..rule });
    let fates: Vec<Fate> = (0..3).map(|_| attempt(&mut site, &device, &server)).collect();
    assert_eq!(fates, [Fate::Forwarded, Fate::Forwarded, Fate::Dropped(Reason::EdgeUnknown)]);
    assert_eq!(site.maps.uses.get(&rule.id).unwrap(), Some(0));
}

#[test]
fn a_use_is_a_connection_and_not_a_frame() {
    let Some(mut site) = site() else { return };
    let (device, server) = (site.settled(Mode::Enforcing), site.outside(true));
    let rule = site.rule(RuleState::Allowed);
    site.maps.uses.put(&rule.id, &1).unwrap();
    site.put_edge(transport_edge(&device, &server, 5683, proto::UDP), Rule { counted: 1, ..rule });
    let (port, next) = (site.fresh_port(), site.fresh_port());
    for _ in 0..3 {
        assert!(site.device_sends(&frame::udp(&device, &server, port, 5683, b"get")).is_delivered());
        assert!(site.device_gets(&frame::udp(&server, &device, 5683, port, b"2.05")).is_delivered());
    }
    let second = site.device_sends(&frame::udp(&device, &server, next, 5683, b"get"));
    assert_eq!(second.fate, Fate::Dropped(Reason::EdgeUnknown));
}

#[test]
fn an_address_belongs_to_who_has_it() {
    let Some(mut site) = site() else { return };
    let (device, other, server) =
        (site.settled(Mode::Learning), site.settled(Mode::Learning), site.outside(true));
    assert_eq!(attempt(&mut site, &device, &server), Fate::Forwarded);
    let posing = Host { v4: other.v4, ..device };
    assert_eq!(attempt(&mut site, &posing, &server), Fate::Dropped(Reason::SpoofIp));
    let as_the_box = Host { v4: BOX.v4, ..device };
    assert_eq!(attempt(&mut site, &as_the_box, &server), Fate::Dropped(Reason::SpoofIp));
    let from_nowhere = Host { v4: [198, 51, 100, 1], ..device };
    assert_eq!(attempt(&mut site, &from_nowhere, &server), Fate::Dropped(Reason::SpoofIp));
    let as_everyone = Host { v4: [224, 0, 0, 1], ..device };
    assert_eq!(attempt(&mut site, &as_everyone, &server), Fate::Dropped(Reason::AddressInvalid));
}

#[test]
fn what_is_delivered_was_judged_where_it_came_from() {
    let Some(mut site) = site() else { return };
    let (device, other) = (site.settled(Mode::Learning), site.settled(Mode::Learning));
    let port = site.fresh_port();
    let syn = frame::tcp(&device, &other, Segment::syn(port, SERVICE), &[]);
    let judged = site.device_sends(&syn);
    assert!(judged.is_delivered());
    assert_eq!(site.device_gets_marked(&syn, judged.mark).fate, Fate::Forwarded);
    assert_eq!(site.device_gets(&syn).fate, Fate::Dropped(Reason::SpoofIp), "without the mark");
}

#[test]
fn monitoring_drops_nothing_and_judges_everything() {
    let Some(mut site) = site() else { return };
    let (device, server) = (site.settled(Mode::Enforcing), site.outside(true));
    assert_eq!(attempt(&mut site, &device, &server), Fate::Dropped(Reason::EdgeUnknown));
    site.monitor(true);
    let port = site.fresh_port();
    let judged = site.device_sends(&frame::tcp(&device, &server, Segment::syn(port, SERVICE), &[]));
    assert!(judged.is_delivered(), "{:?}", judged.fate);
    let noted = site.only_observed(device.id);
    assert_eq!((noted.verdict, noted.reason, noted.count), (Verdict::Audit, Reason::EdgeUnknown, 2));
    assert_eq!(judged.mark & MARK_JUDGED, MARK_JUDGED);
    // What falls for its shape is audited as well.
    let mut damaged = frame::tcp(&device, &server, Segment::syn(port, SERVICE), &[]);
    damaged[frame::TRANSPORT + 13] = 0;
    assert_eq!(site.device_sends(&damaged).fate, Fate::Audit);
}

#[test]
fn a_tunnel_is_an_edge_and_hides_no_other() {
    let Some(mut site) = site() else { return };
    let (device, server) = (site.settled(Mode::Enforcing), site.settled(Mode::Enforcing));
    site.edge(&device, &server, SERVICE, RuleState::Allowed);
    let port = site.fresh_port();
    let inner = frame::tcp(&device, &server, Segment::syn(port, SERVICE), &[]);
    assert!(site.device_sends(&inner).is_delivered(), "in the open");
    let (v4, v6) =
        (&inner[frame::NETWORK..], frame::tcp6(&device, &server, Segment::syn(port, SERVICE), &[]));
    let v6 = &v6[frame::NETWORK..];
    // IP in IP, 6in4, GRE, ESP, and IPv6 behind a port of UDP (Teredo).
    for (protocol, payload) in [
        (4, v4.to_vec()),
        (41, v6.to_vec()),
        (47, [&[0, 0, 8, 0], v4].concat()),
        (50, vec![7; 40]),
        (proto::UDP, frame::udp_datagram(device.v4(), server.v4(), 3544, 3544, v6)),
    ] {
        let outer = frame::ipv4(device.v4, server.v4, protocol, &payload);
        let outer = frame::ethernet(device.mac, server.mac, ethertype::IPV4, &outer);
        assert_eq!(site.device_sends(&outer).fate, Fate::Dropped(Reason::EdgeUnknown), "{protocol}");
        let to_port = if protocol == proto::UDP { 3544 } else { 0 };
        let rule = site.rule(RuleState::Allowed);
        site.put_edge(transport_edge(&device, &server, to_port, protocol), rule);
        assert!(site.device_sends(&outer).is_delivered(), "{protocol}: what is in it is nobody's to read");
    }
}

#[test]
fn one_source_cannot_fill_the_table_of_facts() {
    let Some(mut site) = site() else { return };
    let device = site.settled(Mode::Enforcing);
    let server = site.outside(true);
    let quota = firewall_common::abi::OBSERVED_PER_SOURCE;
    for port in 0..quota as u16 + 40 {
        site.device_sends(&frame::udp(&device, &server, 4000, 10_000 + port, b"scan"));
    }
    let noted = site.observed(device.id);
    assert_eq!(noted.len() as u64, quota + 1);
    let rest: Vec<_> = noted.iter().filter(|entry| entry.kind == Kind::Overflow).collect();
    assert_eq!(rest.len(), 1);
    assert_eq!(rest[0].count, 40);
}

#[test]
fn who_calls_from_outside_needs_an_edge_as_well() {
    let Some(mut site) = site() else { return };
    let (device, caller) = (site.settled(Mode::Enforcing), site.outside(true));
    let port = site.fresh_port();
    let syn = frame::tcp(&caller, &device, Segment::syn(port, SERVICE), &[]);
    let judged = site.device_gets(&syn);
    assert_eq!((judged.fate, judged.action), (Fate::Dropped(Reason::EdgeUnknown), TC_REDIRECT));
    let answer = frame::read(&judged.frame);
    assert_eq!((answer.src, answer.dst, answer.flags), (device.v4(), caller.v4(), RST | ACK));
    assert_eq!(site.only_observed(caller.id).edge, tcp_edge(&caller, &device, SERVICE));
    site.edge(&caller, &device, SERVICE, RuleState::Allowed);
    assert!(site.device_gets(&syn).is_delivered());
}

#[test]
fn everyone_is_a_destination_like_any_other() {
    let Some(mut site) = site() else { return };
    let device = site.settled(Mode::Enforcing);
    let everyone = Host { id: PrincipalId::EVERYONE, mac: frame::BROADCAST, v4: [255; 4], ..BOX };
    let shout = frame::udp(&device, &everyone, 4000, 9, b"hello");
    let judged = site.device_sends(&shout);
    assert_eq!((judged.fate, judged.action), (Fate::Dropped(Reason::EdgeUnknown), TC_SHOT), "no answer");
    let key = transport_edge(&device, &everyone, 9, proto::UDP);
    assert_eq!(site.only_observed(device.id).edge, key);
    let rule = site.rule(RuleState::Allowed);
    site.put_edge(key, rule);
    assert!(site.device_sends(&shout).is_delivered());
}
