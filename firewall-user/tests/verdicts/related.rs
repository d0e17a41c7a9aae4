//! What follows from what was said: answers to questions to everyone, and data at ports that were named.

use firewall_common::{
    abi::{EdgeKey, Expected, FlowState, Kind, PrincipalId, Protocol, Role},
    precedence::{Mode, RuleState},
    reason::{Reason, Verdict},
    wire::{
        frame::{proto, tcp::ACK},
        related::{ANSWERS_NS, MEDIA_NS, PLACES},
        tftp,
    },
};

use crate::{
    connection::{
        Connection,
        Side::{Client, Server},
    },
    frame,
    site::{BOX, Fate, Host, Site, now, site, tcp_edge, transport_edge},
};

const UNKNOWN: Fate = Fate::Dropped(Reason::EdgeUnknown);
const SSDP: u16 = 1900;
const MDNS: u16 = 5353;
const COAP: u16 = 5683;
const RTSP: u16 = 554;
const SEARCH: &[u8] = b"M-SEARCH * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\n\r\n";
const FOUND: &[u8] = b"HTTP/1.1 200 OK\r\nST: x\r\n\r\n";
/// A question for `a.local`, and an answer to it.
const MDNS_ASKS: &[u8] = b"\0\0\0\0\0\x01\0\0\0\0\0\0\x01a\x05local\0\0\x01\x80\x01";
const MDNS_SAYS: &[u8] =
    b"\0\0\x84\0\0\0\0\x01\0\0\0\0\x01a\x05local\0\0\x01\0\x01\0\0\0\x78\0\x04\x0a\x01\0\x05";
/// GET /a, and 2.05 with the same token.
const COAP_ASKS: &[u8] = &[0x51, 1, 0x12, 0x34, 7, 0xb1, b'a'];
const COAP_SAYS: &[u8] = &[0x51, 0x45, 0x43, 0x21, 7, 0xff, b'1'];
const READ: &[u8] = b"\0\x01boot.bin\0octet\0";

/// Everyone in a group.
fn group(last: [u8; 4]) -> Host {
    Host {
        id: PrincipalId::EVERYONE,
        mac: [1, 0, 0x5e, last[1] & 0x7f, last[2], last[3]],
        v4: last,
        v6: [0xff; 16],
        is_device: false,
    }
}

fn everyone() -> Host {
    group([239, 255, 255, 250])
}

/// A group, what is asked there, and what is answered.
type Exchange = (Protocol, u16, &'static [u8], &'static [u8]);
const EXCHANGES: [Exchange; 4] = [
    (Protocol::Ssdp, SSDP, SEARCH, FOUND),
    (Protocol::Dns, MDNS, MDNS_ASKS, MDNS_SAYS),
    (Protocol::Coap, COAP, COAP_ASKS, COAP_SAYS),
    (Protocol::Opaque, 9_999, b"who?", b"me"),
];

/// A device with the habit of taking part in a group.
fn member(site: &mut Site, port: u16, protocol: Protocol) -> Host {
    let device = site.settled(Mode::Enforcing);
    take_part(site, &device, port, protocol);
    device
}

fn take_part(site: &mut Site, device: &Host, port: u16, protocol: Protocol) -> EdgeKey {
    let rule = site.rule(RuleState::Allowed);
    let key = site.put_edge(transport_edge(device, &everyone(), port, proto::UDP), rule);
    let mut edge = site.maps.edges.get(&key).unwrap().unwrap();
    edge.speaks = protocol.bit();
    // Everything that is said there in CoAP is let pass: what is judged here are flows.
    site.maps.edges.put(&key, &edge).unwrap();
    key
}

fn ask(site: &mut Site, device: &Host, from: u16, port: u16, said: &[u8]) -> Fate {
    let frame = frame::udp(device, &everyone(), from, port, said);
    site.host_sends(device, &frame).fate
}

fn tell(site: &mut Site, from: &Host, to: &Host, ports: (u16, u16), said: &[u8]) -> Fate {
    let frame = frame::udp(from, to, ports.0, ports.1, said);
    site.host_sends(from, &frame).fate
}

/// What devices expect, as the programs wrote it.
fn expected(site: &Site, device: &Host) -> Vec<Expected> {
    let entries = site.maps.expected.entries().unwrap();
    entries.into_iter().filter(|(key, _)| key.device == device.id).map(|(_, expected)| expected).collect()
}

/// As if everything that a device expects had been said so long ago.
fn grow_old(site: &mut Site, device: &Host, by: u64) {
    for (key, expected) in site.maps.expected.entries().unwrap() {
        if key.device == device.id {
            let at = expected.at.saturating_sub(by);
            site.maps.expected.put(&key, &Expected { at, ..expected }).unwrap();
        }
    }
}

#[test]
fn an_answer_passes_where_it_was_asked_for() {
    let Some(mut site) = site() else { return };
    for (protocol, port, question, answer) in EXCHANGES {
        if protocol == Protocol::Coap {
            continue;
        }
        let (asker, member) = (member(&mut site, port, protocol), member(&mut site, port, protocol));
        let (from, other) = (site.fresh_port(), site.fresh_port());
        let to = (40_123, from);
        assert_eq!(tell(&mut site, &member, &asker, to, answer), UNKNOWN, "{protocol:?} was not asked");
        assert_eq!(ask(&mut site, &asker, from, port, question), Fate::Forwarded);
        for service in [port, 40_123] {
            let fate = tell(&mut site, &member, &asker, (service, from), answer);
            assert_eq!(fate, Fate::Forwarded, "{protocol:?} from {service}");
        }
        assert_eq!(tell(&mut site, &member, &asker, (port, other), answer), UNKNOWN, "another port");
        assert_eq!(tell(&mut site, &asker, &member, (from, 40_123), answer), UNKNOWN, "nothing goes back");
        let third = self::member(&mut site, port, protocol);
        assert_eq!(tell(&mut site, &member, &third, to, answer), UNKNOWN, "who has not asked");
        assert!(site.maps.flows.entries().unwrap().iter().all(|(_, flow)| flow.edge.src != member.id));
    }
}

#[test]
fn coap_is_answered_and_what_it_says_is_read() {
    let Some(mut site) = site() else { return };
    let (asker, device) = (site.settled(Mode::Learning), site.settled(Mode::Learning));
    let from = site.fresh_port();
    assert_eq!(ask(&mut site, &asker, from, COAP, COAP_ASKS), Fate::Forwarded);
    assert_eq!(tell(&mut site, &device, &asker, (COAP, from), COAP_SAYS), Fate::Forwarded);
    let spoken = site.observed(device.id).into_iter().find(|noted| noted.kind == Kind::Speaks).unwrap();
    assert_eq!((spoken.object.as_str(), spoken.edge.dst), ("coap", PrincipalId::EVERYONE));
    let edge = take_part(&mut site, &device, COAP, Protocol::Coap);
    site.set_mode(device.id, Mode::Enforcing, false);
    assert_eq!(tell(&mut site, &device, &asker, (COAP, from), COAP_SAYS), Fate::Forwarded);
    let changed = Fate::Dropped(Reason::ProtoChanged);
    assert_eq!(tell(&mut site, &device, &asker, (COAP, from), COAP_ASKS), changed, "a question is no answer");
    assert_eq!(tell(&mut site, &device, &asker, (COAP, from), b"hello"), changed);
    site.maps.edges.remove(&edge).unwrap();
}

#[test]
fn answers_come_for_five_seconds() {
    let Some(mut site) = site() else { return };
    let (asker, device) = (member(&mut site, SSDP, Protocol::Ssdp), member(&mut site, SSDP, Protocol::Ssdp));
    let from = site.fresh_port();
    assert_eq!(ask(&mut site, &asker, from, SSDP, SEARCH), Fate::Forwarded);
    assert_eq!(tell(&mut site, &device, &asker, (SSDP, from), FOUND), Fate::Forwarded);
    grow_old(&mut site, &asker, ANSWERS_NS + 1);
    assert_eq!(tell(&mut site, &device, &asker, (SSDP, from), FOUND), UNKNOWN);
    let noted = site.only_observed(device.id);
    assert_eq!((noted.edge.dst, noted.edge.port, noted.reason), (asker.id, from, Reason::EdgeUnknown));
    assert_eq!(ask(&mut site, &asker, from, SSDP, SEARCH), Fate::Forwarded, "it may ask again");
    assert_eq!(tell(&mut site, &device, &asker, (SSDP, from), FOUND), Fate::Forwarded);
}

#[test]
fn whoever_answers_needs_the_edge() {
    let Some(mut site) = site() else { return };
    let (asker, stranger) = (member(&mut site, SSDP, Protocol::Ssdp), site.settled(Mode::Enforcing));
    let from = site.fresh_port();
    assert_eq!(ask(&mut site, &asker, from, SSDP, SEARCH), Fate::Forwarded);
    assert_eq!(tell(&mut site, &stranger, &asker, (SSDP, from), FOUND), UNKNOWN);
    let noted = site.only_observed(stranger.id);
    let asked_for = transport_edge(&stranger, &everyone(), SSDP, proto::UDP);
    assert_eq!(
        (noted.edge, noted.verdict),
        (asked_for, Verdict::Dropped),
        "it is asked about as the habit that it is"
    );
    let rule = site.rule(RuleState::Denied);
    site.put_edge(asked_for, rule);
    let denied = Fate::Dropped(Reason::EdgeDenied);
    assert_eq!(tell(&mut site, &stranger, &asker, (SSDP, from), FOUND), denied);
    site.set_mode(stranger.id, Mode::Quarantine, false);
    assert_eq!(tell(&mut site, &stranger, &asker, (SSDP, from), FOUND), Fate::Dropped(Reason::Quarantine));
    let learner = site.settled(Mode::Learning);
    assert_eq!(tell(&mut site, &learner, &asker, (SSDP, from), FOUND), Fate::Forwarded);
    let learned = site.observed(learner.id);
    assert!(
        learned.iter().any(|noted| noted.edge.dst == PrincipalId::EVERYONE && noted.edge.port == SSDP),
        "{learned:?}"
    );
    assert!(learned.iter().all(|noted| noted.edge.port != from), "{learned:?}");
}

#[test]
fn a_banned_device_gets_no_answers() {
    let Some(mut site) = site() else { return };
    let (asker, device) = (member(&mut site, SSDP, Protocol::Ssdp), member(&mut site, SSDP, Protocol::Ssdp));
    let from = site.fresh_port();
    assert_eq!(ask(&mut site, &asker, from, SSDP, SEARCH), Fate::Forwarded);
    site.ban(asker.id, Mode::Enforcing, u32::MAX);
    assert_eq!(tell(&mut site, &device, &asker, (SSDP, from), FOUND), Fate::Dropped(Reason::Banned));
}

#[test]
fn nobody_answers_from_beyond_the_link() {
    let Some(mut site) = site() else { return };
    let asker = member(&mut site, SSDP, Protocol::Ssdp);
    let from = site.fresh_port();
    assert_eq!(ask(&mut site, &asker, from, SSDP, SEARCH), Fate::Forwarded);
    for numbered in [true, false] {
        let outside = site.outside(numbered);
        if numbered {
            take_part(&mut site, &outside, SSDP, Protocol::Ssdp);
        }
        assert_eq!(tell(&mut site, &outside, &asker, (SSDP, from), FOUND), UNKNOWN, "numbered: {numbered}");
    }
}

#[test]
fn the_box_asks_and_answers_as_others_do() {
    let Some(mut site) = site() else { return };
    let device = member(&mut site, SSDP, Protocol::Ssdp);
    let own = take_part(&mut site, &BOX, SSDP, Protocol::Ssdp);
    let from = site.fresh_port();
    assert_eq!(ask(&mut site, &BOX, from, SSDP, SEARCH), Fate::Forwarded);
    assert_eq!(tell(&mut site, &device, &BOX, (SSDP, from), FOUND), Fate::Forwarded);
    assert_eq!(ask(&mut site, &device, from, SSDP, SEARCH), Fate::Forwarded);
    assert_eq!(tell(&mut site, &BOX, &device, (SSDP, from), FOUND), Fate::Forwarded);
    site.maps.edges.remove(&own).unwrap();
    site.maps.expected.entries().unwrap().iter().for_each(|(key, _)| site.maps.expected.remove(key).unwrap());
}

#[test]
fn announcements_and_refused_questions_ask_nothing() {
    let Some(mut site) = site() else { return };
    for (protocol, port, said) in
        [(Protocol::Ssdp, SSDP, &b"NOTIFY * HTTP/1.1\r\nNT: x\r\n\r\n"[..]), (Protocol::Dns, MDNS, MDNS_SAYS)]
    {
        let (asker, device) = (member(&mut site, port, protocol), member(&mut site, port, protocol));
        let from = site.fresh_port();
        assert_eq!(ask(&mut site, &asker, from, port, said), Fate::Forwarded);
        assert_eq!(expected(&site, &asker), [], "{protocol:?}");
        assert_eq!(tell(&mut site, &device, &asker, (port, from), said), UNKNOWN, "{protocol:?}");
    }
    let (silent, device) = (site.settled(Mode::Enforcing), member(&mut site, SSDP, Protocol::Ssdp));
    let from = site.fresh_port();
    assert_eq!(ask(&mut site, &silent, from, SSDP, SEARCH), UNKNOWN);
    assert_eq!(tell(&mut site, &device, &silent, (SSDP, from), FOUND), UNKNOWN);
}

#[test]
fn one_device_that_asks_much_takes_nothing_from_others() {
    let Some(mut site) = site() else { return };
    let (asker, flooder, device) = (
        member(&mut site, SSDP, Protocol::Ssdp),
        member(&mut site, SSDP, Protocol::Ssdp),
        member(&mut site, SSDP, Protocol::Ssdp),
    );
    let from = site.fresh_port();
    assert_eq!(ask(&mut site, &asker, from, SSDP, SEARCH), Fate::Forwarded);
    let ports = 30_000..30_600;
    for port in ports.clone() {
        site.flood(&frame::udp(&flooder, &everyone(), port, SSDP, SEARCH));
    }
    let kept = expected(&site, &flooder).len();
    assert!(kept > 0 && kept <= PLACES as usize, "{kept}");
    assert_eq!(tell(&mut site, &device, &asker, (SSDP, from), FOUND), Fate::Forwarded);
    // Its own older questions have lost their places.
    assert_eq!(tell(&mut site, &device, &flooder, (SSDP, ports.start), FOUND), UNKNOWN);
    assert_eq!(tell(&mut site, &device, &flooder, (SSDP, ports.end - 1), FOUND), Fate::Forwarded);
}

#[test]
fn an_edge_of_its_own_comes_before_an_answer() {
    let Some(mut site) = site() else { return };
    let (asker, device) = (member(&mut site, 9_999, Protocol::Opaque), site.settled(Mode::Enforcing));
    assert_eq!(ask(&mut site, &asker, 9_999, 9_999, b"who?"), Fate::Forwarded);
    assert_eq!(tell(&mut site, &device, &asker, (9_999, 9_999), b"me"), UNKNOWN);
    let rule = site.rule(RuleState::Allowed);
    site.put_edge(transport_edge(&device, &asker, 9_999, proto::UDP), rule);
    assert_eq!(tell(&mut site, &device, &asker, (9_999, 9_999), b"me"), Fate::Forwarded);
}

/// A client that may ask a server for files.
fn files(site: &mut Site) -> (Host, Host) {
    let (client, server) = (site.settled(Mode::Enforcing), site.settled(Mode::Enforcing));
    let rule = site.rule(RuleState::Allowed);
    site.put_edge(transport_edge(&client, &server, tftp::PORT, proto::UDP), rule);
    (client, server)
}

#[test]
fn a_file_comes_from_the_port_that_its_server_takes() {
    let Some(mut site) = site() else { return };
    for request in [READ, b"\0\x02log\0netascii\0"] {
        let (client, server) = files(&mut site);
        let (from, data) = (site.fresh_port(), site.fresh_port());
        assert_eq!(
            tell(&mut site, &server, &client, (data, from), b"\0\x03\0\x01x"),
            UNKNOWN,
            "not asked for"
        );
        assert_eq!(tell(&mut site, &client, &server, (from, tftp::PORT), request), Fate::Forwarded);
        assert_eq!(
            tell(&mut site, &client, &server, (from, data), b"\0\x04\0\x01"),
            UNKNOWN,
            "the server begins"
        );
        for _ in 0..3 {
            assert_eq!(tell(&mut site, &server, &client, (data, from), b"\0\x03\0\x01x"), Fate::Forwarded);
            assert_eq!(tell(&mut site, &client, &server, (from, data), b"\0\x04\0\x01"), Fate::Forwarded);
        }
        assert_eq!(
            tell(&mut site, &server, &client, (data + 1, from), b"x"),
            UNKNOWN,
            "one port for a request"
        );
        assert_eq!(tell(&mut site, &client, &server, (from, data + 1), b"x"), UNKNOWN);
        assert_eq!(tell(&mut site, &client, &server, (from + 1, data), b"x"), UNKNOWN);
        assert_eq!(tell(&mut site, &server, &client, (data, from + 1), b"x"), UNKNOWN);
        let flow = data_flows(&site, &client);
        assert_eq!(flow, [FlowState::Related as u8]);
    }
}

/// States of the flows that follow from what a device has said.
fn data_flows(site: &Site, device: &Host) -> Vec<u8> {
    let flows = site.maps.flows.entries().unwrap().into_iter();
    flows
        .filter(|(key, flow)| key.proto == proto::UDP && flow.edge.src == device.id)
        .map(|(_, flow)| flow.state)
        .collect()
}

#[test]
fn a_file_comes_from_nobody_else_and_soon() {
    let Some(mut site) = site() else { return };
    let (client, server) = files(&mut site);
    let (other, from) = (site.settled(Mode::Enforcing), site.fresh_port());
    take_part(&mut site, &other, tftp::PORT, Protocol::Opaque);
    assert_eq!(tell(&mut site, &client, &server, (from, tftp::PORT), READ), Fate::Forwarded);
    assert_eq!(tell(&mut site, &other, &client, (50_000, from), b"x"), UNKNOWN);
    assert_eq!(tell(&mut site, &server, &client, (161, from), b"x"), UNKNOWN, "from a service");
    grow_old(&mut site, &client, ANSWERS_NS + 1);
    assert_eq!(tell(&mut site, &server, &client, (50_000, from), b"x"), UNKNOWN, "late");
    assert!(data_flows(&site, &client).is_empty());
}

#[test]
fn what_is_no_request_for_a_file_opens_nothing() {
    let Some(mut site) = site() else { return };
    for other in [&b"\0\x03\0\x01data"[..], b"\0\x01boot.bin\0octet", b"hello", b""] {
        let (client, server) = files(&mut site);
        let from = site.fresh_port();
        assert_eq!(tell(&mut site, &client, &server, (from, tftp::PORT), other), Fate::Forwarded);
        assert_eq!(expected(&site, &client), [], "{other:02x?}");
        assert_eq!(tell(&mut site, &server, &client, (50_000, from), b"x"), UNKNOWN, "{other:02x?}");
    }
    // What must not be opaque brings nothing that is.
    let (client, server) = files(&mut site);
    let key = transport_edge(&client, &server, tftp::PORT, proto::UDP);
    let mut edge = site.maps.edges.get(&key).unwrap().unwrap();
    edge.speaks = Protocol::Dtls.bit();
    site.maps.edges.put(&key, &edge).unwrap();
    let from = site.fresh_port();
    assert_eq!(
        tell(&mut site, &client, &server, (from, tftp::PORT), READ),
        Fate::Dropped(Reason::ProtoChanged)
    );
    assert_eq!(expected(&site, &client), []);
}

#[test]
fn data_ends_with_its_edge_and_with_silence() {
    let Some(mut site) = site() else { return };
    let (client, server) = files(&mut site);
    let open = |site: &mut Site| {
        let (from, data) = (site.fresh_port(), site.fresh_port());
        assert_eq!(tell(site, &client, &server, (from, tftp::PORT), READ), Fate::Forwarded);
        assert_eq!(tell(site, &server, &client, (data, from), b"x"), Fate::Forwarded);
        (from, data)
    };
    let (from, data) = open(&mut site);
    for (key, flow) in site.maps.flows.entries().unwrap() {
        if flow.edge.src == client.id {
            // A minute, and what the clock has done since the boot of a machine that has just begun.
            let seen = flow.seen.map(|seen| seen.saturating_sub(61_000_000_000));
            site.maps.flows.put(&key, &firewall_common::abi::Flow { seen, ..flow }).unwrap();
        }
    }
    if now() > 62_000_000_000 {
        assert_eq!(tell(&mut site, &server, &client, (data, from), b"x"), UNKNOWN, "silent for a minute");
    }
    let (from, data) = open(&mut site);
    site.maps.edges.remove(&transport_edge(&client, &server, tftp::PORT, proto::UDP)).unwrap();
    assert_eq!(tell(&mut site, &server, &client, (data, from), b"x"), UNKNOWN, "no edge any more");
    assert!(data_flows(&site, &client).is_empty());
}

/// A client that has a connection of RTSP to a camera.
struct Control {
    client: Host,
    camera: Host,
    connection: Connection,
}

impl Control {
    fn new(site: &mut Site) -> Self {
        let (client, camera) = (site.settled(Mode::Enforcing), site.settled(Mode::Enforcing));
        site.edge(&client, &camera, RTSP, RuleState::Allowed);
        let connection = Connection::open(site, client, camera, RTSP);
        Self { client, camera, connection }
    }

    fn set_up(&mut self, site: &mut Site, port: u16, more: &str) -> Fate {
        let request = format!(
            "SETUP rtsp://camera/track1 RTSP/1.0\r\nCSeq: 3\r\nTransport: RTP/AVP;unicast;{more}client_port={port}-{}\r\n\r\n",
            port + 1
        );
        self.connection.say(site, request.as_bytes())
    }

    fn agree(&mut self, site: &mut Site, port: u16, own: u16) -> Fate {
        let answer = format!(
            "RTSP/1.0 200 OK\r\nCSeq: 3\r\nTransport: RTP/AVP;unicast;client_port={port}-{};server_port={own}-{}\r\nSession: 1\r\n\r\n",
            port + 1,
            own + 1
        );
        self.connection.answer(site, answer.as_bytes())
    }

    fn streams(&self, site: &mut Site, from: u16, to: u16) -> Fate {
        tell(site, &self.camera, &self.client, (from, to), b"\x80\x60")
    }

    fn reports(&self, site: &mut Site, from: u16, to: u16) -> Fate {
        tell(site, &self.client, &self.camera, (from, to), b"\x80\xc9")
    }
}

#[test]
fn a_medium_comes_between_the_ports_that_both_have_named() {
    let Some(mut site) = site() else { return };
    let mut control = Control::new(&mut site);
    assert_eq!(control.streams(&mut site, 9_000, 6_000), UNKNOWN);
    assert_eq!(control.set_up(&mut site, 6_000, ""), Fate::Forwarded);
    assert_eq!(control.streams(&mut site, 9_000, 6_000), UNKNOWN, "the camera has not agreed");
    assert_eq!(control.agree(&mut site, 6_000, 9_000), Fate::Forwarded);
    for _ in 0..2 {
        assert_eq!(control.reports(&mut site, 6_000, 9_000), Fate::Forwarded, "opens a firewall of its own");
        assert_eq!(control.streams(&mut site, 9_000, 6_000), Fate::Forwarded);
        assert_eq!(control.streams(&mut site, 9_001, 6_001), Fate::Forwarded);
        assert_eq!(control.reports(&mut site, 6_001, 9_001), Fate::Forwarded);
    }
    for (from, to) in [(9_002, 6_000), (9_000, 6_002), (9_000, 6_001), (9_001, 6_000)] {
        assert_eq!(control.streams(&mut site, from, to), UNKNOWN, "{from} {to}");
        assert_eq!(control.reports(&mut site, to, from), UNKNOWN, "{to} {from}");
    }
    assert_eq!(data_flows(&site, &control.client), [FlowState::Related as u8; 2]);
    site.maps.edges.remove(&tcp_edge(&control.client, &control.camera, RTSP)).unwrap();
    assert_eq!(control.streams(&mut site, 9_000, 6_000), UNKNOWN, "no edge any more");
}

#[test]
fn no_medium_goes_to_a_third_end() {
    let Some(mut site) = site() else { return };
    let mut control = Control::new(&mut site);
    let victim = site.settled(Mode::Enforcing);
    let third = format!("destination={}.{}.{}.{};", victim.v4[0], victim.v4[1], victim.v4[2], victim.v4[3]);
    assert_eq!(control.set_up(&mut site, 6_000, &third), Fate::Forwarded);
    assert_eq!(control.agree(&mut site, 6_000, 9_000), Fate::Forwarded);
    assert_eq!(tell(&mut site, &control.camera, &victim, (9_000, 6_000), b"x"), UNKNOWN);
    assert_eq!(tell(&mut site, &control.client, &victim, (6_000, 9_000), b"x"), UNKNOWN);
    assert_eq!(tell(&mut site, &victim, &control.client, (9_000, 6_000), b"x"), UNKNOWN);
    assert_eq!(control.streams(&mut site, 9_000, 6_000), Fate::Forwarded, "only between both");
}

#[test]
fn neither_end_names_ports_alone() {
    let Some(mut site) = site() else { return };
    let mut control = Control::new(&mut site);
    assert_eq!(control.agree(&mut site, 6_000, 9_000), Fate::Forwarded, "an answer to nothing");
    assert_eq!(control.streams(&mut site, 9_000, 6_000), UNKNOWN);
    assert_eq!(control.set_up(&mut site, 6_000, ""), Fate::Forwarded);
    assert_eq!(control.agree(&mut site, 7_000, 9_000), Fate::Forwarded, "about another port");
    assert_eq!(control.streams(&mut site, 9_000, 6_000), UNKNOWN);
    assert_eq!(control.streams(&mut site, 9_000, 7_000), UNKNOWN);
    // From another connection of the same two.
    let mut other =
        Control { connection: Connection::open(&mut site, control.client, control.camera, RTSP), ..control };
    assert_eq!(other.agree(&mut site, 6_000, 9_000), Fate::Forwarded);
    assert_eq!(other.streams(&mut site, 9_000, 6_000), UNKNOWN);
    assert_eq!(other.reports(&mut site, 6_000, 9_000), UNKNOWN);
}

#[test]
fn ports_are_kept_as_long_as_the_connection_that_named_them() {
    let Some(mut site) = site() else { return };
    let mut control = Control::new(&mut site);
    assert_eq!(control.set_up(&mut site, 6_000, ""), Fate::Forwarded);
    assert_eq!(control.agree(&mut site, 6_000, 9_000), Fate::Forwarded);
    grow_old(&mut site, &control.client, MEDIA_NS + 1);
    assert_eq!(control.streams(&mut site, 9_000, 6_000), Fate::Forwarded, "after a long pause");
    let ended = control.connection.send(&mut site, Client, frame::FIN | ACK, &[]);
    assert_eq!(ended.fate, Fate::Forwarded);
    assert_eq!(control.streams(&mut site, 9_001, 6_001), UNKNOWN, "the connection is gone");
    assert_eq!(control.streams(&mut site, 9_000, 6_000), Fate::Forwarded, "what runs ends with silence");
    assert_eq!(control.connection.send(&mut site, Server, frame::FIN | ACK, &[]).fate, Fate::Forwarded);
}

#[test]
fn a_medium_needs_a_connection_that_passes() {
    let Some(mut site) = site() else { return };
    let (client, camera) = (site.settled(Mode::Enforcing), site.settled(Mode::Enforcing));
    site.set_port(Role::Lan, false);
    // The same words where they are not spoken.
    site.edge(&client, &camera, 5_554, RuleState::Allowed);
    let connection = Connection::open(&mut site, client, camera, 5_554);
    let mut control = Control { client, camera, connection };
    assert_eq!(control.set_up(&mut site, 6_000, ""), Fate::Forwarded);
    assert_eq!(control.agree(&mut site, 6_000, 9_000), Fate::Forwarded);
    assert_eq!(expected(&site, &client), []);
    assert_eq!(control.streams(&mut site, 9_000, 6_000), UNKNOWN);
    // Or where nobody has allowed it.
    let request = b"SETUP rtsp://c/ RTSP/1.0\r\nTransport: RTP/AVP;client_port=6000-6001\r\n\r\n";
    let refused = Connection::new(&mut site, client, camera, RTSP);
    let judged = refused.deliver(&mut site, Client, refused.segment(Client, ACK), request);
    assert_eq!(judged.fate, Fate::Dropped(Reason::Midstream));
    assert_eq!(expected(&site, &client), []);
}
#[test]
fn a_connection_is_known_by_what_its_client_says_first() {
    let Some(mut site) = site() else { return };
    let (client, camera) = (site.settled(Mode::Enforcing), site.settled(Mode::Enforcing));
    let key = site.edge(&client, &camera, RTSP, RuleState::Allowed);
    let mut edge = site.maps.edges.get(&key).unwrap().unwrap();
    edge.speaks = 0;
    site.maps.edges.put(&key, &edge).unwrap();
    let connection = Connection::open(&mut site, client, camera, RTSP);
    let mut control = Control { client, camera, connection };
    let options = b"OPTIONS rtsp://camera/ RTSP/1.0\r\nCSeq: 1\r\n\r\n";
    assert_eq!(control.connection.say(&mut site, options), Fate::Forwarded);
    let noted = site.observed(client.id);
    assert!(noted.iter().any(|noted| noted.kind == Kind::Speaks && noted.object == "opaque"), "{noted:?}");
    let answer = b"RTSP/1.0 200 OK\r\nCSeq: 1\r\nPublic: SETUP, PLAY\r\n\r\n";
    assert_eq!(control.connection.answer(&mut site, answer), Fate::Forwarded);
    assert_eq!(control.set_up(&mut site, 6_000, ""), Fate::Forwarded);
    assert_eq!(control.agree(&mut site, 6_000, 9_000), Fate::Forwarded);
    assert_eq!(control.streams(&mut site, 9_000, 6_000), Fate::Forwarded);
}
