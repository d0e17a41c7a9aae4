//! What a link needs to work: passes without an edge, in its own shape only.

use firewall_common::{
    abi::{ADDRESSES_EACH, AddrKey, Kind, PrincipalId, Role, server},
    precedence::{Mode, RuleState},
    reason::{Reason, Verdict},
    wire::{
        dns::{self, kind},
        essential::{ECHO_FREE, ECHO_NUMBERS, Essential, NAME_AGAIN, TIME_EXCHANGE, Trickle},
        frame::{ethertype, proto},
    },
};

use crate::{
    dns::{answer, ask, question},
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
    for id in [1, 2] {
        falls(&mut site, &echo(&device, &BOX, 8, id, 65), Reason::EdgeUnknown);
    }
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

/// A minimal request for the time.
fn time() -> Vec<u8> {
    let mut bytes = vec![0; 48];
    bytes[0] = 0x23;
    bytes[40..].copy_from_slice(b"whenever");
    bytes
}

/// Bytes of a name on the wire.
fn length(name: &str) -> u64 {
    name.len() as u64 + 2
}

#[test]
fn a_named_server_may_be_asked_what_it_is_named_for() {
    let Some(mut site) = site() else { return };
    let (device, resolver) = (site.settled(Mode::Enforcing), site.outside(false));
    site.name_server(&resolver, server::DNS);
    site.may_ask(&device, "example");
    let port = site.fresh_port();
    passes(&mut site, &frame::udp(&device, &resolver, port, 53, &ask("hub.example")));
    let told = answer("hub.example", &[]);
    assert!(site.device_gets(&frame::udp(&resolver, &device, 53, port, &told)).is_delivered());
    falls(&mut site, &frame::udp(&device, &resolver, port, 123, &time()), Reason::EdgeUnknown);
    falls(&mut site, &frame::udp(&device, &resolver, port, 5353, &ask("a.local")), Reason::EdgeUnknown);
    // Its name is taken from it: what was asked before opens nothing.
    site.name_server(&resolver, 0);
    falls(&mut site, &frame::udp(&device, &resolver, port, 53, &ask("hub.example")), Reason::EdgeUnknown);
    site.name_server(&resolver, server::DNS);
    // Over TCP anything could be said.
    let syn = frame::tcp(&device, &resolver, Segment::syn(port, 53), &[]);
    falls(&mut site, &syn, Reason::EdgeUnknown);
}

#[test]
fn dns_and_time_are_asked_of_the_box() {
    let Some(mut site) = site() else { return };
    let (device, server) = (site.settled(Mode::Enforcing), site.outside(true));
    site.may_ask(&device, "example");
    for (service, request, told) in
        [(53, ask("hub.example"), answer("hub.example", &[])), (123, time(), time())]
    {
        let port = site.fresh_port();
        passes(&mut site, &frame::udp(&device, &BOX, port, service, &request));
        let answer = |to: u16| frame::udp(&BOX, &device, service, to, &told);
        assert!(site.device_gets(&answer(port)).is_delivered());
        // One answer for each question, and only to who has asked.
        assert_eq!(site.device_gets(&answer(port)).fate, Fate::Dropped(Reason::EssentialShape));
        assert_eq!(site.device_gets(&answer(port + 1000)).fate, Fate::Dropped(Reason::EdgeUnknown));
        falls(&mut site, &frame::udp(&device, &server, port, service, &request), Reason::EdgeUnknown);
    }
    let key = transport_edge(&device, &server, 53, proto::UDP);
    let rule = site.rule(RuleState::Allowed);
    site.put_edge(key, rule);
    let port = site.fresh_port();
    passes(&mut site, &frame::udp(&device, &server, port, 53, &ask("hub.example")));
}

#[test]
fn two_questions_of_one_socket_have_two_answers() {
    let Some(mut site) = site() else { return };
    let device = site.settled(Mode::Enforcing);
    site.may_ask(&device, "example");
    let port = site.fresh_port();
    for kind in [kind::A, kind::AAAA] {
        let question = question("hub.example", kind, dns::IN, &[]);
        passes(&mut site, &frame::udp(&device, &BOX, port, 53, &question));
    }
    for fate in [Fate::Forwarded, Fate::Forwarded, Fate::Dropped(Reason::EssentialShape)] {
        let told = answer("hub.example", &[]);
        assert_eq!(site.device_gets(&frame::udp(&BOX, &device, 53, port, &told)).fate, fate);
    }
}

#[test]
fn what_is_no_ordinary_question_falls() {
    let Some(mut site) = site() else { return };
    let enforcing = site.settled(Mode::Enforcing);
    site.may_ask(&enforcing, "example");
    let port = site.fresh_port();
    let opt = |data: &[u8]| [&[0, 0, 41, 16, 0, 0, 0, 0, 0, 0, data.len() as u8][..], data].concat();
    let cookie = opt(&[0, 10, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8]);
    for good in [question("a.example", kind::HTTPS, 1, &[]), question("a.example", kind::A, 1, &cookie)] {
        passes(&mut site, &frame::udp(&enforcing, &BOX, port, 53, &good));
    }
    let subnet = opt(&[0, 8, 0, 7, 0, 1, 24, 0, 192, 0, 2]);
    let mut shapes = vec![
        b"question".to_vec(),
        Vec::new(),
        question("a.example", 10, 1, &[]),
        question("a.example", kind::TXT, 1, &[]),
        question("a.example", 255, 1, &[]),
        question("a.example", kind::A, 3, &[]),
        question("a.example", kind::A, 1, &subnet),
        [ask("a.example"), vec![0]].concat(),
        question("a.example", kind::A, 1, &opt(&[0; 600])),
    ];
    shapes.push(answer("a.example", &[]));
    for shape in &shapes {
        falls(&mut site, &frame::udp(&enforcing, &BOX, port, 53, shape), Reason::EssentialShape);
    }
    let accepted = site.device(Mode::New);
    let odd = question("a.example", kind::TXT, 1, &[]);
    falls(&mut site, &frame::udp(&accepted, &BOX, port, 53, &odd), Reason::EssentialShape);
    // Who learns, and who may reach the Internet anyway, asks what it likes, as long as it is a question.
    for mode in [Mode::Learning, Mode::Ready, Mode::Guest] {
        let other = site.settled(mode);
        passes(&mut site, &frame::udp(&other, &BOX, port, 53, &odd));
        falls(&mut site, &frame::udp(&other, &BOX, port, 53, b"question"), Reason::EssentialShape);
    }
}

#[test]
fn new_names_are_few_and_learned_ones_free() {
    let Some(mut site) = site() else { return };
    let device = site.settled(Mode::Learning);
    site.may_ask(&device, "example");
    let port = site.fresh_port();
    let asks = |site: &mut Site, name: &str| {
        site.device_sends(&frame::udp(&device, &BOX, port, 53, &ask(name))).fate
    };
    // More names than an hour has for an enforcing device, all of them learned.
    let learned: Vec<String> = (0..60).map(|number| format!("service-{number:02}.maker.example")).collect();
    for name in &learned {
        assert_eq!(asks(&mut site, name), Fate::Forwarded);
    }
    site.set_mode(device.id, Mode::Enforcing, false);

    let mut said = 0;
    let mut new = Vec::new();
    for number in 0..100 {
        let name = format!("{number:02}{}.tunnel.example", "x".repeat(40));
        match asks(&mut site, &name) {
            Fate::Forwarded => {
                said += length(&name);
                new.push(name);
            }
            fate => assert_eq!(fate, Fate::Dropped(Reason::EssentialBudget)),
        }
    }
    assert!(said <= Trickle::Names.burst() && !new.is_empty(), "{said}");
    // What is left is less than such a name.
    assert!(Trickle::Names.burst() - said <= length(&new[0]), "{said}");
    for name in &learned {
        assert_eq!(asks(&mut site, name), Fate::Forwarded);
        assert_eq!(asks(&mut site, &name.to_uppercase()), Fate::Forwarded);
    }
    // Which of its names a device asks for again says something too.
    let again =
        (0..200).filter(|number| asks(&mut site, &new[number % new.len()]) == Fate::Forwarded).count();
    assert!(again as u64 <= length(&new[0]) / NAME_AGAIN + 1, "{again}");
    // Another device is not the poorer for it.
    let other = site.settled(Mode::Enforcing);
    site.may_ask(&other, "example");
    passes(&mut site, &frame::udp(&other, &BOX, port, 53, &ask(&new[0])));
}

#[test]
fn capitals_of_a_new_name_count() {
    let Some(mut site) = site() else { return };
    let device = site.settled(Mode::Enforcing);
    site.may_ask(&device, "example");
    let port = site.fresh_port();
    let name = format!("{}.example", "x".repeat(60));
    let asks = |site: &mut Site, name: &str| {
        site.device_sends(&frame::udp(&device, &BOX, port, 53, &ask(name))).fate
    };
    assert_eq!(asks(&mut site, &name), Fate::Forwarded);
    let passed = (0..200).filter(|_| asks(&mut site, &name.to_uppercase()) == Fate::Forwarded).count() as u64;
    let each = NAME_AGAIN + length(&name) / 8 + 1;
    assert_eq!(passed, (Trickle::Names.burst() - length(&name)) / each);
}

#[test]
fn answers_to_new_names_are_counted() {
    let Some(mut site) = site() else { return };
    let device = site.settled(Mode::Learning);
    site.may_ask(&device, "example");
    let port = site.fresh_port();
    let exchange = |site: &mut Site, name: &str, bytes: usize| {
        let request = ask(name);
        assert_eq!(site.device_sends(&frame::udp(&device, &BOX, port, 53, &request)).fate, Fate::Forwarded);
        let told = [answer(name, &[]), vec![0; bytes]].concat();
        site.device_gets(&frame::udp(&BOX, &device, 53, port, &told)).fate
    };
    assert_eq!(exchange(&mut site, "learned.example", 1_000), Fate::Forwarded);
    site.set_mode(device.id, Mode::Enforcing, false);
    for _ in 0..4 {
        assert_eq!(exchange(&mut site, "learned.example", 1_000), Fate::Forwarded);
    }
    assert_eq!(exchange(&mut site, "new.example", 513), Fate::Dropped(Reason::EssentialBudget));
    let told = (0..40).filter(|_| exchange(&mut site, "new.example", 32) == Fate::Forwarded).count() as u64;
    assert_eq!(told, Trickle::Answers.burst() / 32);
    assert_eq!(exchange(&mut site, "learned.example", 1_000), Fate::Forwarded);
}

#[test]
fn the_time_is_asked_of_outside_now_and_then() {
    let Some(mut site) = site() else { return };
    let (device, server) = (site.settled(Mode::Enforcing), site.outside(false));
    site.name_server(&server, server::NTP);
    let port = site.fresh_port();
    let asks = |site: &mut Site, from: &Host, to: &Host, request: &[u8]| {
        site.device_sends(&frame::udp(from, to, port, 123, request)).fate
    };
    let passed = |site: &mut Site, from: &Host, to: &Host| {
        (0..40).filter(|_| asks(site, from, to, &time()) == Fate::Forwarded).count() as u64
    };
    assert_eq!(passed(&mut site, &device, &server), Trickle::Time.burst() / TIME_EXCHANGE);
    assert_eq!(passed(&mut site, &device, &BOX), 40);
    let learning = site.settled(Mode::Learning);
    assert_eq!(passed(&mut site, &learning, &server), 40);

    let other = site.settled(Mode::Enforcing);
    let long = [time(), vec![0; 20]].concat();
    assert_eq!(asks(&mut site, &other, &server, &long), Fate::Dropped(Reason::EssentialShape));
    assert_eq!(asks(&mut site, &other, &BOX, &long), Fate::Forwarded);
    let mut answer = time();
    answer[0] = 0x24;
    for shape in [&answer[..], &time()[..47], b"question"] {
        for to in [&server, &BOX] {
            assert_eq!(asks(&mut site, &other, to, shape), Fate::Dropped(Reason::EssentialShape));
        }
    }
    assert_eq!(asks(&mut site, &other, &server, &time()), Fate::Forwarded);
}

#[test]
fn an_echo_to_outside_carries_little() {
    let Some(mut site) = site() else { return };
    let (device, far) = (site.settled(Mode::Enforcing), site.outside(true));
    let rule = site.rule(RuleState::Allowed);
    site.put_edge(transport_edge(&device, &far, 8, proto::ICMP), rule);
    let ordinary: Vec<u8> = (0..56).collect();
    let told: Vec<u8> = (0..56_u8).map(|at| at.wrapping_mul(37)).collect();
    let echo = |from: &Host, to: &Host, payload: &[u8]| frame::icmp(from, to, 8, 0, [0x77, 1, 0, 1], payload);
    let passed = |site: &mut Site, from: &Host, payload: &[u8]| {
        let frame = echo(from, &far, payload);
        (0..40).filter(|_| site.device_sends(&frame).fate == Fate::Forwarded).count() as u64
    };
    let each = u64::from(ECHO_FREE) + ECHO_NUMBERS + 2;
    assert_eq!(passed(&mut site, &device, &ordinary), Trickle::Icmp.burst() / each);
    falls(&mut site, &echo(&device, &far, &ordinary), Reason::EssentialBudget);
    // Nor do its answers.
    let answer = |payload: &[u8]| frame::icmp(&far, &device, 0, 0, [0x77, 1, 0, 1], payload);
    assert_eq!(site.device_gets(&answer(&[7; 360])).fate, Fate::Dropped(Reason::EssentialBudget));
    let answered = (0..40).filter(|_| site.device_gets(&answer(&ordinary)).is_delivered()).count() as u64;
    assert_eq!(answered, Trickle::Echoes.burst() / each);
    // The box is not outside.
    for _ in 0..10 {
        passes(&mut site, &echo(&device, &BOX, &told));
    }
    for (payload, each) in [(&told[..], 60), (&ordinary[..8], 12), (&[0; 100], 104)] {
        let other = site.settled(Mode::Enforcing);
        let rule = site.rule(RuleState::Allowed);
        site.put_edge(transport_edge(&other, &far, 8, proto::ICMP), rule);
        assert_eq!(passed(&mut site, &other, payload), Trickle::Icmp.burst() / each);
    }
}

#[test]
fn an_icmp_error_to_outside_quotes_little() {
    let Some(mut site) = site() else { return };
    let (device, server) = (site.settled(Mode::Enforcing), site.outside(true));
    site.edge(&device, &server, 443, RuleState::Allowed);
    let port = site.fresh_port();
    passes(&mut site, &frame::tcp(&device, &server, Segment::syn(port, 443), &[]));
    let received = frame::tcp(&server, &device, Segment::syn(443, port), &[]);
    let error = |quote: usize| {
        let mut quoted = received[NETWORK..TRANSPORT + 8].to_vec();
        quoted.resize(quote, b'x');
        frame::icmp(&device, &server, 3, 3, [0; 4], &quoted)
    };
    falls(&mut site, &error(400), Reason::EssentialBudget);
    let passed = (0..40).filter(|_| site.device_sends(&error(28)).fate == Fate::Forwarded).count() as u64;
    assert_eq!(passed, Trickle::Icmp.burst() / 28);
}
