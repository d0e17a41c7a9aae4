//! What a link needs to work: passes without an edge, in its own shape only.

use firewall_common::{
    abi::{ADDRESSES_EACH, AddrKey, Kind, PrincipalId, Role, server},
    precedence::{Mode, RuleState},
    reason::{Reason, Verdict},
    wire::{
        essential::Essential,
        frame::{ethertype, proto},
    },
};

use crate::{
    frame::{self, NETWORK, Segment, TRANSPORT},
    site::{BOX, Fate, Host, PORT, Site, site, transport_edge},
};

const ROUTER_ADVERTISEMENT: u8 = 134;
const SOLICITATION: u8 = 135;
const ADVERTISEMENT: u8 = 136;

#[track_caller]
fn falls(site: &mut Site, frame: &[u8], reason: Reason) {
    assert_eq!(site.device_sends(frame).fate, Fate::Dropped(reason));
}

#[track_caller]
fn passes(site: &mut Site, frame: &[u8]) {
    let judged = site.device_sends(frame);
    assert!(judged.is_delivered(), "{:?}", judged.fate);
}

#[test]
fn a_stranger_is_noted_and_gets_essentials_only() {
    let Some(mut site) = site() else { return };
    let stranger = site.stranger();
    assert_eq!(site.frames_of_stranger(stranger.mac, 0), None);
    passes(&mut site, &frame::arp(&stranger, stranger.mac, [0; 4], stranger.v4));
    passes(&mut site, &frame::ethernet(stranger.mac, BOX.mac, ethertype::EAPOL, &[1, 1, 0, 0]));
    passes(&mut site, &frame::dhcp(&stranger, 1, 1, stranger.mac, [0; 4], b""));
    let syn = frame::tcp(&stranger, &BOX, Segment::syn(40_000, 80), &[]);
    falls(&mut site, &syn, Reason::PrincipalNew);
    assert_eq!(site.frames_of_stranger(stranger.mac, 0), Some(4));
    // Not even where everyone else may go.
    let open = site.device(Mode::Learning);
    passes(&mut site, &frame::tcp(&open, &BOX, Segment::syn(40_000, 80), &[]));
}

#[test]
fn made_up_senders_claim_few_addresses() {
    let Some(mut site) = site() else { return };
    let strangers: Vec<Host> = (0..64).map(|_| site.stranger()).collect();
    for stranger in &strangers {
        passes(&mut site, &frame::arp(stranger, stranger.mac, stranger.v4, BOX.v4));
    }
    let holds = |site: &Site, host: &Host| {
        site.maps.bindings.get(&AddrKey { addr: host.v4(), link: 0 }).unwrap().is_some()
    };
    let held = strangers.iter().filter(|stranger| holds(&site, stranger)).count();
    assert!((1..=ADDRESSES_EACH).contains(&held), "{held}");
    let (first, last) = (strangers[0], strangers[63]);
    assert!(holds(&site, &last));
    // One that came to stay keeps what it has.
    site.set_home(&last, 0, PORT);
    for stranger in &strangers[..32] {
        passes(&mut site, &frame::arp(stranger, stranger.mac, stranger.v4, BOX.v4));
    }
    assert!(holds(&site, &last) && !holds(&site, &first));
}

#[test]
fn eapol_passes_and_other_ethertypes_are_edges() {
    let Some(mut site) = site() else { return };
    let enforcing = site.device(Mode::Enforcing);
    let lldp = |device: &Host| {
        frame::ethernet(device.mac, [1, 0x80, 0xc2, 0, 0, 0x0e], 0x88cc, &[2, 7, 4, 0, 0, 0, 0, 0, 1])
    };
    passes(&mut site, &frame::ethernet(enforcing.mac, BOX.mac, ethertype::EAPOL, &[1, 1, 0, 0]));
    falls(&mut site, &lldp(&enforcing), Reason::Ethertype);
    let noted = site.only_observed(enforcing.id);
    assert_eq!((noted.kind, noted.edge.port), (Kind::Link, 0x88cc));
    assert_eq!((noted.verdict, noted.reason), (Verdict::Dropped, Reason::Ethertype));
    let learning = site.device(Mode::Learning);
    passes(&mut site, &lldp(&learning));
    assert_eq!(site.only_observed(learning.id).reason, Reason::Learned);
}

#[test]
fn a_frame_without_ip_is_for_whom_its_mac_says() {
    let Some(mut site) = site() else { return };
    let raw = |from: &Host, to: [u8; 6]| frame::ethernet(from.mac, to, 0x88b5, b"a protocol of its own");
    let (other, locked) = (site.device(Mode::Learning), site.device(Mode::Learning));
    site.set_mode(locked.id, Mode::Learning, true);

    let guest = site.device(Mode::Guest);
    falls(&mut site, &raw(&guest, other.mac), Reason::GuestInside);
    falls(&mut site, &raw(&guest, BOX.mac), Reason::GuestInside);
    let learning = site.device(Mode::Learning);
    falls(&mut site, &raw(&learning, locked.mac), Reason::Ethertype);
    passes(&mut site, &raw(&learning, other.mac));
    // A bridge floods it.
    passes(&mut site, &raw(&learning, [2, 9, 9, 9, 9, 9]));
    let mut receivers: Vec<PrincipalId> =
        site.observed(learning.id).iter().map(|noted| noted.edge.dst).collect();
    receivers.sort();
    assert_eq!(receivers, [PrincipalId::EVERYONE, other.id, locked.id]);
}

#[test]
fn arp_needs_the_right_sender() {
    let Some(mut site) = site() else { return };
    let (device, other) = (site.device(Mode::Enforcing), site.device(Mode::Enforcing));
    passes(&mut site, &frame::arp(&device, device.mac, device.v4, BOX.v4));
    let held = site.maps.bindings.get(&AddrKey { addr: device.v4(), link: 0 }).unwrap();
    assert_eq!(held.map(|binding| (binding.owner.mac, binding.leased)), Some((device.mac, 0)));

    falls(&mut site, &frame::arp(&other, other.mac, device.v4, BOX.v4), Reason::SpoofIp);
    falls(&mut site, &frame::arp(&other, other.mac, BOX.v4, device.v4), Reason::SpoofIp);
    falls(&mut site, &frame::arp(&other, other.mac, [192, 0, 2, 9], device.v4), Reason::SpoofIp);
    falls(&mut site, &frame::arp(&other, device.mac, other.v4, BOX.v4), Reason::SpoofMac);
    passes(&mut site, &frame::arp(&other, other.mac, [0; 4], device.v4));
    passes(&mut site, &frame::arp(&other, other.mac, other.v4, device.v4));

    let mut wrong = frame::arp(&device, device.mac, device.v4, BOX.v4);
    wrong[NETWORK + 7] = 3;
    falls(&mut site, &wrong, Reason::EssentialShape);
    wrong[NETWORK + 7] = 2;
    passes(&mut site, &wrong);
    wrong.truncate(NETWORK + 27);
    falls(&mut site, &wrong, Reason::EssentialShape);
}

#[test]
fn an_essential_has_a_budget() {
    let Some(mut site) = site() else { return };
    let (device, other) = (site.device(Mode::Enforcing), site.device(Mode::Enforcing));
    let mut probe = frame::arp(&device, device.mac, [0; 4], device.v4);
    // Bytes count, also those that nobody reads. Twice what the bucket holds, and more than a slow machine fills again.
    probe.resize(1400, 0);
    for _ in 0..2 * Essential::Arp.burst() / probe.len() as u64 {
        site.flood(&probe);
    }
    falls(&mut site, &probe, Reason::EssentialBudget);
    passes(&mut site, &frame::ethernet(device.mac, BOX.mac, ethertype::EAPOL, &[1, 1, 0, 0]));
    passes(&mut site, &frame::arp(&other, other.mac, [0; 4], other.v4));
}

#[test]
fn neighbour_discovery_needs_the_right_sender() {
    let Some(mut site) = site() else { return };
    let (device, other) = (site.device(Mode::Enforcing), site.device(Mode::Enforcing));
    let advertise = |host: &Host, hops: u8, target: [u8; 16], mac: [u8; 6]| {
        frame::neighbour(host, &BOX, ADVERTISEMENT, hops, target, Some((2, mac)))
    };
    passes(&mut site, &advertise(&device, 255, device.v6, device.mac));
    passes(&mut site, &frame::neighbour(&device, &BOX, SOLICITATION, 255, BOX.v6, Some((1, device.mac))));
    falls(&mut site, &advertise(&device, 64, device.v6, device.mac), Reason::EssentialShape);
    falls(&mut site, &advertise(&device, 255, device.v6, other.mac), Reason::SpoofMac);
    falls(&mut site, &advertise(&other, 255, device.v6, other.mac), Reason::SpoofIp);
    falls(&mut site, &advertise(&other, 255, BOX.v6, other.mac), Reason::SpoofIp);
    passes(&mut site, &advertise(&other, 255, other.v6, other.mac));
}

#[test]
fn routers_are_not_devices() {
    let Some(mut site) = site() else { return };
    let device = site.device(Mode::Learning);
    let advertisement =
        |from: &Host, to: &Host| frame::neighbour(from, to, ROUTER_ADVERTISEMENT, 255, [0; 16], None);
    falls(&mut site, &advertisement(&device, &BOX), Reason::EssentialRouter);
    falls(&mut site, &frame::icmp(&device, &BOX, 5, 1, BOX.v4, &[0; 28]), Reason::EssentialRouter);
    assert_eq!(site.device_gets(&advertisement(&BOX, &device)).fate, Fate::Forwarded);
}

#[test]
fn a_lease_binds_its_address_to_the_client() {
    let Some(mut site) = site() else { return };
    let (device, other) = (site.device(Mode::Learning), site.device(Mode::Learning));
    passes(&mut site, &frame::dhcp(&device, 1, 1, device.mac, [0; 4], b"lock"));
    let noted = site.only_observed(device.id);
    assert_eq!((noted.kind, noted.object.as_str()), (Kind::DhcpName, "lock"));
    falls(&mut site, &frame::dhcp(&other, 1, 1, device.mac, [0; 4], b""), Reason::SpoofMac);

    let address = AddrKey { addr: device.v4(), link: 0 };
    let reply = |kind| frame::dhcp(&BOX, 2, kind, device.mac, device.v4, b"");
    assert!(site.device_gets(&reply(2)).is_delivered());
    assert!(site.maps.bindings.get(&address).unwrap().is_none(), "an offer gives nothing");
    assert!(site.device_gets(&reply(5)).is_delivered());
    let held = site.maps.bindings.get(&address).unwrap().expect("an acknowledgement binds");
    assert_eq!((held.owner.mac, held.leased), (device.mac, 1));

    let port = site.fresh_port();
    let taken = Host { v4: device.v4, ..other };
    falls(&mut site, &frame::tcp(&taken, &BOX, Segment::syn(port, 80), &[]), Reason::SpoofIp);
    passes(&mut site, &frame::tcp(&device, &BOX, Segment::syn(port, 80), &[]));
}

#[test]
fn a_rogue_dhcp_server_is_not_heard() {
    let Some(mut site) = site() else { return };
    let (rogue, victim) = (site.settled(Mode::Learning), site.device(Mode::Learning));
    let acknowledgement = frame::dhcp(&rogue, 2, 5, victim.mac, victim.v4, b"");
    falls(&mut site, &acknowledgement, Reason::DhcpServer);
    let address = AddrKey { addr: victim.v4(), link: 0 };
    assert!(site.maps.bindings.get(&address).unwrap().is_none());
    site.set_port(Role::Lan, true);
    passes(&mut site, &acknowledgement);
    assert!(site.maps.bindings.get(&address).unwrap().is_some());
}

#[test]
fn what_a_link_needs_stays_on_the_link() {
    let Some(mut site) = site() else { return };
    let (device, far) = (site.settled(Mode::Enforcing), site.outside(true));
    let near = Host { v4: [10, 2, 0, 1], ..far };
    // A lease is renewed at the server itself (RFC 2131, section 4.4.5).
    let renewal = |to: &Host| {
        let broadcast = frame::dhcp(&device, 1, 3, device.mac, [0; 4], b"");
        frame::udp(&device, to, 68, 67, &broadcast[TRANSPORT + 8..])
    };
    passes(&mut site, &renewal(&BOX));
    passes(&mut site, &renewal(&near));
    falls(&mut site, &renewal(&far), Reason::EdgeUnknown);

    let victim = site.device(Mode::Enforcing);
    let lease = |from: &Host, to: &Host| {
        let broadcast = frame::dhcp(from, 2, 5, victim.mac, [10, 3, 3, 3], b"");
        frame::udp(from, to, 67, 68, &broadcast[TRANSPORT + 8..])
    };
    let forged = AddrKey { addr: firewall_common::abi::Addr::from_v4([10, 3, 3, 3]), link: 0 };
    assert_eq!(site.device_gets(&lease(&far, &device)).fate, Fate::Dropped(Reason::EdgeUnknown));
    assert!(site.maps.bindings.get(&forged).unwrap().is_none());
    assert!(site.device_gets(&lease(&near, &device)).is_delivered());
    assert!(site.maps.bindings.get(&forged).unwrap().is_some());

    passes(&mut site, &frame::udp6(&device, &BOX, 546, 547, b"solicit"));
    falls(&mut site, &frame::udp6(&device, &far, 546, 547, b"secrets"), Reason::EdgeUnknown);
    let from_afar = frame::udp6(&far, &device, 547, 546, b"advertise");
    assert_eq!(site.device_gets(&from_afar).fate, Fate::Dropped(Reason::EdgeUnknown));

    for kind in [133, SOLICITATION] {
        passes(&mut site, &frame::neighbour(&device, &BOX, kind, 255, BOX.v6, None));
        let leaving = frame::neighbour(&device, &far, kind, 255, far.v6, None);
        falls(&mut site, &leaving, Reason::EssentialShape);
        let forwarded = frame::neighbour(&device, &BOX, kind, 64, BOX.v6, None);
        falls(&mut site, &forwarded, Reason::EssentialShape);
    }
    let advertisement = frame::neighbour(&BOX, &device, ROUTER_ADVERTISEMENT, 64, [0; 16], None);
    assert_eq!(site.device_gets(&advertisement).fate, Fate::Dropped(Reason::EssentialShape));
}

#[test]
fn dhcp_without_its_shape_falls() {
    let Some(mut site) = site() else { return };
    let device = site.device(Mode::Learning);
    let mut request = frame::dhcp(&device, 1, 1, device.mac, [0; 4], b"");
    passes(&mut site, &request);
    request[TRANSPORT + 8 + 236] = 0;
    falls(&mut site, &request, Reason::EssentialShape);
}

#[test]
fn a_short_echo_finds_the_box_and_comes_back() {
    let Some(mut site) = site() else { return };
    let device = site.settled(Mode::Enforcing);
    let echo = |from: &Host, to: &Host, kind, id: u8, length| {
        frame::icmp(from, to, kind, 0, [0x77, id, 0, 1], &vec![0; length])
    };
    let unasked = site.device_gets(&echo(&BOX, &device, 0, 9, 8));
    assert_eq!(unasked.fate, Fate::Dropped(Reason::EdgeUnknown));
    passes(&mut site, &echo(&device, &BOX, 8, 1, 8));
    assert!(site.device_gets(&echo(&BOX, &device, 0, 1, 8)).is_delivered());
    falls(&mut site, &echo(&device, &BOX, 8, 2, 65), Reason::EdgeUnknown);
    let other = site.settled(Mode::Enforcing);
    falls(&mut site, &echo(&device, &other, 8, 3, 8), Reason::EdgeUnknown);
}

#[test]
fn an_icmp_error_must_quote_a_live_connection() {
    let Some(mut site) = site() else { return };
    let (device, server) = (site.settled(Mode::Enforcing), site.outside(true));
    site.edge(&device, &server, 443, RuleState::Allowed);
    let port = site.fresh_port();
    let syn = frame::tcp(&device, &server, Segment::syn(port, 443), &[]);
    let error = |quoted: &[u8]| frame::icmp(&server, &device, 3, 1, [0; 4], &quoted[NETWORK..TRANSPORT + 8]);
    assert_eq!(site.device_gets(&error(&syn)).fate, Fate::Dropped(Reason::IcmpUnrelated));
    passes(&mut site, &syn);
    assert!(site.device_gets(&error(&syn)).is_delivered());
    // One that quotes a packet which its receiver never sent.
    let elsewhere = frame::tcp(&server, &device, Segment::syn(443, port), &[]);
    assert_eq!(site.device_gets(&error(&elsewhere)).fate, Fate::Dropped(Reason::IcmpUnrelated));
}

#[test]
fn a_named_server_may_be_asked_what_it_is_named_for() {
    let Some(mut site) = site() else { return };
    let (device, resolver) = (site.settled(Mode::Enforcing), site.outside(false));
    site.name_server(&resolver, server::DNS);
    let port = site.fresh_port();
    passes(&mut site, &frame::udp(&device, &resolver, port, 53, b"question"));
    assert!(site.device_gets(&frame::udp(&resolver, &device, 53, port, b"answer")).is_delivered());
    falls(&mut site, &frame::udp(&device, &resolver, port, 123, b"question"), Reason::EdgeUnknown);
    falls(&mut site, &frame::udp(&device, &resolver, port, 5353, b"question"), Reason::EdgeUnknown);
}

#[test]
fn dns_and_time_are_asked_of_the_box() {
    let Some(mut site) = site() else { return };
    let (device, server) = (site.settled(Mode::Enforcing), site.outside(true));
    for service in [53, 123] {
        let port = site.fresh_port();
        passes(&mut site, &frame::udp(&device, &BOX, port, service, b"question"));
        assert!(site.device_gets(&frame::udp(&BOX, &device, service, port, b"answer")).is_delivered());
        let unasked = frame::udp(&BOX, &device, service, port + 1000, b"answer");
        assert_eq!(site.device_gets(&unasked).fate, Fate::Dropped(Reason::EdgeUnknown));
        falls(&mut site, &frame::udp(&device, &server, port, service, b"question"), Reason::EdgeUnknown);
    }
    let key = transport_edge(&device, &server, 53, proto::UDP);
    let rule = site.rule(RuleState::Allowed);
    site.put_edge(key, rule);
    let port = site.fresh_port();
    passes(&mut site, &frame::udp(&device, &server, port, 53, b"question"));
}
