//! Frames that no later step could allow: at XDP and at TC, to the same reason.

use firewall_common::{
    precedence::{Mode, RuleState},
    reason::Reason,
    wire::frame::{ethertype, proto},
};

use crate::{
    frame::{self, NETWORK, SYN, Segment, TRANSPORT},
    site::{Fate, Host, MARK_GATED, OTHER_PORT, PORT, Site, TC_PASS, TC_SHOT, site},
};

const SERVICE: u16 = 443;

/// An enforcing device and a host outside to which it has an edge.
fn pair(site: &mut Site) -> (Host, Host) {
    let device = site.settled(Mode::Enforcing);
    let server = site.outside(true);
    site.edge(&device, &server, SERVICE, RuleState::Allowed);
    (device, server)
}

/// A frame that falls at the gate and at TC alike.
fn falls(site: &mut Site, frame: &[u8], reason: Reason, case: &str) {
    let judged = site.device_sends(frame);
    assert_eq!((judged.gate, judged.fate), (Some(Fate::Dropped(reason)), Fate::Dropped(reason)), "{case}");
}

#[test]
fn an_unknown_port_lets_nothing_through() {
    let Some(mut site) = site() else { return };
    let device = site.settled(Mode::Enforcing);
    let announcement = frame::arp(&device, device.mac, device.v4, device.v4);
    assert_eq!(site.device_sends(&announcement).fate, Fate::Forwarded);
    site.maps.ports.remove(&PORT).unwrap();
    falls(&mut site, &announcement, Reason::PortUnknown, "no port");
    assert_eq!(site.device_gets(&announcement).fate, Fate::Dropped(Reason::PortUnknown));
}

#[test]
fn a_port_has_one_role() {
    let Some(mut site) = site() else { return };
    let device = site.settled(Mode::Enforcing);
    let announcement = frame::arp(&device, device.mac, device.v4, device.v4);
    assert_eq!(site.device_sends(&announcement).fate, Fate::Forwarded);
    site.set_port(firewall_common::abi::Role::Uplink, false);
    assert_eq!(site.device_sends(&announcement).fate, Fate::Dropped(Reason::PortUnknown));
}

/// A change of one frame, and what it must be called.
type Damage = (&'static str, fn(&mut Vec<u8>), Reason);

#[test]
fn malformed_headers_fall() {
    let Some(mut site) = site() else { return };
    let (device, server) = pair(&mut site);
    let port = site.fresh_port();
    let whole = frame::tcp(&device, &server, Segment::syn(port, SERVICE), &[]);
    let damages: &[Damage] = &[
        ("version of IP", |f| f[NETWORK] = 0x55, Reason::Malformed),
        ("header shorter than 20 bytes", |f| f[NETWORK] = 0x44, Reason::Malformed),
        ("header longer than the packet", |f| f[NETWORK] = 0x4f, Reason::Malformed),
        ("total length beyond the frame", |f| f[NETWORK + 2] = 1, Reason::Malformed),
        ("total length below the header", |f| f[NETWORK + 3] = 19, Reason::Malformed),
        ("data offset below 20 bytes", |f| f[TRANSPORT + 12] = 0x40, Reason::Malformed),
        ("data offset beyond the packet", |f| f[TRANSPORT + 12] = 0xf0, Reason::Malformed),
        ("SYN with FIN", |f| f[TRANSPORT + 13] = 0x03, Reason::Malformed),
        ("SYN with RST", |f| f[TRANSPORT + 13] = 0x06, Reason::Malformed),
        ("no flag", |f| f[TRANSPORT + 13] = 0, Reason::Malformed),
        ("cut in the TCP header", |f| f.truncate(TRANSPORT + 19), Reason::Malformed),
        ("ICMPv6 over IPv4", |f| f[NETWORK + 9] = proto::ICMP6, Reason::Malformed),
        ("more fragments", |f| f[NETWORK + 6] = 0x20, Reason::Fragment),
        ("fragment offset, high", |f| f[NETWORK + 6] = 0x01, Reason::Fragment),
        ("fragment offset, low", |f| f[NETWORK + 7] = 0x01, Reason::Fragment),
        ("source is a group", |f| f[6] |= 1, Reason::AddressInvalid),
        ("source is nobody", |f| f[6..12].fill(0), Reason::AddressInvalid),
    ];
    for (case, damage, reason) in damages {
        let mut damaged = whole.clone();
        damage(&mut damaged);
        falls(&mut site, &damaged, *reason, case);
    }
    assert_eq!(site.at_the_gate(&whole[..NETWORK + 19]), Fate::Dropped(Reason::Malformed));
    assert!(site.device_sends(&whole).is_delivered());
}

#[test]
fn malformed_datagrams_fall() {
    let Some(mut site) = site() else { return };
    let (device, server) = pair(&mut site);
    let key = crate::site::transport_edge(&device, &server, 5683, proto::UDP);
    let rule = site.rule(RuleState::Allowed);
    site.put_edge(key, rule);
    let whole = frame::udp(&device, &server, 5000, 5683, b"coap");
    for length in [7, 13] {
        let mut damaged = whole.clone();
        damaged[TRANSPORT + 5] = length;
        falls(&mut site, &damaged, Reason::Malformed, "length of UDP");
    }
    assert!(site.device_sends(&whole).is_delivered());
}

#[test]
fn ip_options_are_walked_over() {
    let Some(mut site) = site() else { return };
    let (device, server) = pair(&mut site);
    let port = site.fresh_port();
    let mut with_option = frame::tcp(&device, &server, Segment::syn(port, SERVICE), &[]);
    // Router alert (RFC 2113).
    with_option.splice(TRANSPORT..TRANSPORT, [0x94, 4, 0, 0]);
    with_option[NETWORK] = 0x46;
    with_option[NETWORK + 3] += 4;
    assert!(site.device_sends(&with_option).is_delivered());
    // With the length of a bare header the option would be taken for the ports.
    with_option[NETWORK] = 0x45;
    assert_ne!(site.device_sends(&with_option).fate, Fate::Forwarded);
}

#[test]
fn ipv6_extension_headers_are_walked_up_to_a_limit() {
    let Some(mut site) = site() else { return };
    let (device, server) = pair(&mut site);
    let options = |kind: u8| (kind, vec![0, 1, 4, 0, 0, 0, 0]);
    let port = site.fresh_port();
    let syn = Segment::syn(port, SERVICE);
    let behind = |extensions: &[(u8, Vec<u8>)]| frame::tcp6_behind(&device, &server, syn, extensions);

    let two = behind(&[options(proto::HOP_BY_HOP), options(proto::DESTINATION)]);
    let judged = site.device_sends(&two);
    assert!(judged.is_delivered(), "{:?}", judged.fate);
    let four = behind(&vec![options(proto::DESTINATION); 4]);
    assert!(site.device_sends(&four).is_delivered());

    let five = behind(&vec![options(proto::DESTINATION); 5]);
    falls(&mut site, &five, Reason::ExtensionHeader, "five headers");
    let routing = behind(&[options(proto::ROUTING)]);
    falls(&mut site, &routing, Reason::ExtensionHeader, "routing header");
    let fragment = behind(&[options(proto::FRAGMENT)]);
    falls(&mut site, &fragment, Reason::Fragment, "fragment header");
    let nothing = frame::ipv6(device.v6, server.v6, proto::NO_NEXT, 64, &[]);
    let nothing = frame::ethernet(device.mac, server.mac, ethertype::IPV6, &nothing);
    falls(&mut site, &nothing, Reason::ExtensionHeader, "no next header");
    let too_long = behind(&[(proto::DESTINATION, vec![200, 1, 4, 0, 0, 0, 0])]);
    falls(&mut site, &too_long, Reason::Malformed, "header beyond the packet");
    let mut too_far = two.clone();
    too_far[NETWORK + 4] = 1;
    falls(&mut site, &too_far, Reason::Malformed, "payload length beyond the frame");
}

#[test]
fn a_vlan_is_part_of_who_somebody_is() {
    let Some(mut site) = site() else { return };
    let device = site.stranger();
    let server = site.outside(true);
    site.set_mode(device.id, Mode::Enforcing, false);
    site.set_home(&device, 7, PORT);
    site.edge(&device, &server, SERVICE, RuleState::Allowed);
    let port = site.fresh_port();
    let bare = frame::tcp(&device, &server, Segment::syn(port, SERVICE), &[]);

    let judged = site.device_sends(&frame::tagged(&bare, ethertype::VLAN, 7));
    // From here on the address is taken in VLAN 7.
    assert_eq!(site.device_sends(&bare).fate, Fate::Dropped(Reason::SpoofIp));
    assert!(judged.is_delivered(), "{:?}", judged.fate);
    // Priority bits are no part of it.
    assert!(site.device_sends(&frame::tagged(&bare, ethertype::VLAN, 0xe007)).is_delivered());
    for (vlan, frames) in [(8, 1), (0, 2)] {
        let elsewhere = Host { v4: site.stranger().v4, ..device };
        let elsewhere = frame::tcp(&elsewhere, &server, Segment::syn(port, SERVICE), &[]);
        let tagged = frame::tagged(&elsewhere, ethertype::VLAN, vlan);
        assert_eq!(site.device_sends(&tagged).fate, Fate::Dropped(Reason::PrincipalNew));
        assert_eq!(site.frames_of_stranger(device.mac, vlan), Some(frames));
    }
}

#[test]
fn more_tags_than_one_fall() {
    let Some(mut site) = site() else { return };
    let (device, server) = pair(&mut site);
    let port = site.fresh_port();
    let bare = frame::tcp(&device, &server, Segment::syn(port, SERVICE), &[]);
    // A priority tag is no VLAN.
    let once = frame::tagged(&bare, ethertype::VLAN, 0);
    assert!(site.device_sends(&once).is_delivered());
    for outer in [ethertype::QINQ, ethertype::VLAN] {
        falls(&mut site, &frame::tagged(&once, outer, 5), Reason::VlanDepth, "two tags");
    }
    falls(&mut site, &once[..16], Reason::Malformed, "cut in the tag");
}

#[test]
fn a_mac_of_another_port_is_an_impostor() {
    let Some(mut site) = site() else { return };
    let (device, server) = pair(&mut site);
    let port = site.fresh_port();
    let syn = frame::tcp(&device, &server, Segment::syn(port, SERVICE), &[]);
    assert!(site.device_sends(&syn).is_delivered());
    site.set_home(&device, 0, OTHER_PORT);
    falls(&mut site, &syn, Reason::SpoofMac, "the MAC lives elsewhere");
    let announcement = frame::arp(&device, device.mac, device.v4, device.v4);
    falls(&mut site, &announcement, Reason::SpoofMac, "not even ARP");
}

#[test]
fn nothing_leaves_quarantine() {
    let Some(mut site) = site() else { return };
    let (device, server) = pair(&mut site);
    let port = site.fresh_port();
    let syn = frame::tcp(&device, &server, Segment::syn(port, SERVICE), &[]);
    let announcement = frame::arp(&device, device.mac, device.v4, device.v4);
    assert!(site.device_sends(&syn).is_delivered());
    assert_eq!(site.device_sends(&announcement).fate, Fate::Forwarded);
    site.set_mode(device.id, Mode::Quarantine, false);
    let dropped = Fate::Dropped(Reason::Quarantine);
    assert_eq!(site.device_sends(&announcement).fate, dropped, "not even an essential");
    assert_eq!(site.device_sends(&frame::udp(&device, &server, port, 53, b"x")).fate, dropped);
    assert_eq!(site.device_gets(&frame::udp(&server, &device, 53, port, b"x")).fate, dropped);
    // What was never connected does not even get a reset through.
    let judged = site.device_sends(&syn);
    assert_eq!((judged.fate, judged.action), (dropped, TC_SHOT));
    let incoming = frame::tcp(&server, &device, Segment::syn(SERVICE, port), &[]);
    assert_eq!(site.device_gets(&incoming).fate, dropped);
}

#[test]
fn a_paused_device_is_only_watched() {
    let Some(mut site) = site() else { return };
    let (device, _) = pair(&mut site);
    let elsewhere = site.outside(true);
    let port = site.fresh_port();
    let unknown = frame::tcp(&device, &elsewhere, Segment::syn(port, SERVICE), &[]);
    assert_eq!(site.device_sends(&unknown).fate, Fate::Dropped(Reason::EdgeUnknown));
    site.pause(device.id, Mode::Enforcing);
    let judged = site.device_sends(&unknown);
    assert!(judged.is_delivered(), "{:?}", judged.fate);
    let mut damaged = unknown;
    damaged[TRANSPORT + 13] = SYN | frame::FIN;
    // Nobody can say whose frame that is, as the headers are read first.
    falls(&mut site, &damaged, Reason::Malformed, "malformed");
}

#[test]
fn the_uplink_lets_nobody_in_who_claims_to_live_here() {
    let Some(mut site) = site() else { return };
    let (device, server) = pair(&mut site);
    let incoming = frame::tcp(&server, &device, Segment::syn(40_000, 80), &[]);
    let judged = site.uplink_sends(&incoming);
    assert_eq!((judged.fate, judged.action), (Fate::Forwarded, TC_PASS));
    assert_eq!(judged.mark, MARK_GATED, "it is judged where it is delivered");
    let posing = Host { v4: device.v4, ..server };
    let posing = frame::tcp(&posing, &device, Segment::syn(40_000, 80), &[]);
    assert_eq!(site.uplink_sends(&posing).fate, Fate::Dropped(Reason::SpoofIp));
    let absent = site.stranger();
    let posing = Host { v4: absent.v4, v6: absent.v6, ..server };
    for posing in [
        frame::tcp(&posing, &device, Segment::syn(40_000, 80), &[]),
        frame::udp(&posing, &device, 67, 68, b"an address for you"),
    ] {
        assert_eq!(site.uplink_sends(&posing).fate, Fate::Dropped(Reason::SpoofIp), "nobody holds it yet");
    }
    let to_the_box = frame::tcp(&server, &crate::site::BOX, Segment::syn(40_000, 22), &[]);
    let judged = site.uplink_sends(&to_the_box);
    assert_eq!((judged.fate, judged.mark), (Fate::Forwarded, 0), "nftables decides what is for the box");
}

#[test]
fn noise_never_passes() {
    let Some(mut site) = site() else { return };
    let (device, server) = pair(&mut site);
    // xorshift64 (Marsaglia, 2003): the same noise in every run.
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut byte = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    let kinds = [ethertype::IPV4, ethertype::IPV6, ethertype::VLAN, ethertype::ARP];
    for kind in kinds.iter().cycle().take(400) {
        let noise: Vec<u8> = (0..40 + usize::from(byte())).map(|_| byte()).collect();
        let frame = frame::ethernet(device.mac, server.mac, *kind, &noise);
        assert!(matches!(site.device_sends(&frame).fate, Fate::Dropped(_)), "{frame:02x?}");
    }
    let port = site.fresh_port();
    let syn = frame::tcp(&device, &server, Segment::syn(port, SERVICE), &[]);
    assert!(site.device_sends(&syn).is_delivered());
}
