//! What datagrams speak: the protocol is part of the edge, each datagram is looked at alone.

use std::cell::RefCell;

use firewall_common::{
    abi::{EdgeKey, Kind, Protocol},
    precedence::{Mode, RuleState},
    reason::{Reason, Verdict},
    wire::{Sender, datagram::Datagram, frame::proto},
};
use proptest::{collection::vec, prelude::*, test_runner::TestRunner};

use crate::{
    frame,
    site::{Fate, Host, Site, site, transport_edge},
};

const CHANGED: Fate = Fate::Dropped(Reason::ProtoChanged);
const MALFORMED: Fate = Fate::Dropped(Reason::Malformed);
const PORT: u16 = 7_000;
const COAP_PORT: u16 = 5683;

const DTLS: [u8; 14] = [22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1];
const SEARCH: &[u8] = b"M-SEARCH * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\n\r\n";
const SSDP_FOUND: &[u8] = b"HTTP/1.1 200 OK\r\nST: x\r\n\r\n";
const QUESTION: &[u8] = b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x01a\0\0\x01\0\x01";
const ANSWER: &[u8] = b"\x12\x34\x81\x80\0\x01\0\0\0\0\0\0\x01a\0\0\x01\0\x01";
/// GET /a, and DELETE /a.
const COAP_GET: &[u8] = &[0x40, 1, 0x12, 0x34, 0xb1, b'a'];
const COAP_DELETE: &[u8] = &[0x40, 4, 0x12, 0x34, 0xb1, b'a'];

fn quic(first: u8, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    bytes[..6].copy_from_slice(&[first, 0, 0, 0, 1, 8]);
    bytes
}

fn ntp(first: u8) -> Vec<u8> {
    let mut bytes = vec![0; 48];
    bytes[0] = first;
    bytes
}

/// A device that may send datagrams to a server, on an edge that speaks this.
struct Rig {
    device: Host,
    server: Host,
    edge: EdgeKey,
}

impl Rig {
    fn new(site: &mut Site, mode: Mode, port: u16, protocols: &[Protocol]) -> Self {
        let (device, server) = (site.settled(mode), site.settled(mode));
        let rule = site.rule(RuleState::Allowed);
        let edge = site.put_edge(transport_edge(&device, &server, port, proto::UDP), rule);
        let rig = Self { device, server, edge };
        rig.speak(site, protocols);
        rig
    }

    fn enforcing(site: &mut Site, port: u16, protocols: &[Protocol]) -> Self {
        Self::new(site, Mode::Enforcing, port, protocols)
    }

    /// As the daemon writes what the edge speaks.
    fn speak(&self, site: &mut Site, protocols: &[Protocol]) {
        let mut edge = site.maps.edges.get(&self.edge).unwrap().unwrap();
        edge.speaks = protocols.iter().fold(0, |bits, protocol| bits | protocol.bit());
        site.maps.edges.put(&self.edge, &edge).unwrap();
    }

    fn flow(&self, site: &mut Site) -> Flow {
        Flow { client: self.device, server: self.server, port: site.fresh_port(), service: self.edge.port }
    }

    /// What becomes of this as the first datagram of a flow.
    fn says(&self, site: &mut Site, payload: &[u8]) -> Fate {
        self.flow(site).ask(site, payload)
    }

    /// What the edge was noted to speak, and what was said about that.
    fn spoken(&self, site: &Site) -> Vec<(String, Verdict, Reason)> {
        let noted = site.observed(self.device.id).into_iter().filter(|noted| noted.kind == Kind::Speaks);
        let mut noted: Vec<_> = noted.map(|noted| (noted.object, noted.verdict, noted.reason)).collect();
        noted.sort_by(|a, b| a.0.cmp(&b.0));
        noted
    }
}

struct Flow {
    client: Host,
    server: Host,
    port: u16,
    service: u16,
}

impl Flow {
    fn ask(&self, site: &mut Site, payload: &[u8]) -> Fate {
        let frame = frame::udp(&self.client, &self.server, self.port, self.service, payload);
        site.host_sends(&self.client, &frame).fate
    }

    fn answer(&self, site: &mut Site, payload: &[u8]) -> Fate {
        let frame = frame::udp(&self.server, &self.client, self.service, self.port, payload);
        site.host_sends(&self.server, &frame).fate
    }
}

/// A protocol, the port where it is recognised, a first datagram, an answer, and a second datagram.
type Exchange = (Protocol, u16, Vec<u8>, Vec<u8>, Vec<u8>);

fn exchanges() -> Vec<Exchange> {
    let text = |bytes: &[u8]| bytes.to_vec();
    vec![
        (Protocol::Dtls, PORT, text(&DTLS), text(&DTLS), text(&[0x2c, 1, 2, 3])),
        (Protocol::Quic, PORT, quic(0xc3, 1_200), quic(0xc3, 60), text(&[0x43; 60])),
        (Protocol::Ssdp, PORT, text(SEARCH), text(SSDP_FOUND), text(SEARCH)),
        (Protocol::Dns, PORT, text(QUESTION), text(ANSWER), text(QUESTION)),
        (Protocol::Ntp, 123, ntp(0x23), ntp(0x24), ntp(0x1b)),
        (Protocol::Opaque, PORT, text(b"hello"), text(b"you"), text(b"again")),
    ]
}

#[test]
fn what_the_first_datagram_speaks_is_noted() {
    let Some(mut site) = site() else { return };
    for (protocol, port, first, answer, second) in exchanges() {
        let rig = Rig::enforcing(&mut site, port, &[]);
        let flow = rig.flow(&mut site);
        for (by_client, bytes) in [(true, &first), (false, &answer), (true, &second)] {
            let fate = if by_client { flow.ask(&mut site, bytes) } else { flow.answer(&mut site, bytes) };
            assert_eq!(fate, Fate::Forwarded, "{protocol:?} {bytes:02x?}");
        }
        let learned = (protocol.as_str().to_owned(), Verdict::Forwarded, Reason::Learned);
        assert_eq!(rig.spoken(&site), [learned]);
    }
}

#[test]
fn another_protocol_leaves_the_edge() {
    let Some(mut site) = site() else { return };
    for (protocol, port, first, answer, second) in exchanges() {
        let rig = Rig::enforcing(&mut site, port, &[protocol]);
        let flow = rig.flow(&mut site);
        assert_eq!(flow.ask(&mut site, &first), Fate::Forwarded, "{protocol:?}");
        assert_eq!(flow.answer(&mut site, &answer), Fate::Forwarded, "{protocol:?}");
        assert_eq!(flow.ask(&mut site, &second), Fate::Forwarded, "{protocol:?}");
        assert_eq!(rig.spoken(&site), [], "as the model says");
        if protocol == Protocol::Opaque {
            // By rule it is not looked into.
            assert_eq!(flow.ask(&mut site, &DTLS), Fate::Forwarded);
            continue;
        }
        for (other, other_port, first, ..) in exchanges() {
            if other != protocol && (other_port == port || other != Protocol::Ntp) {
                assert_eq!(rig.says(&mut site, &first), CHANGED, "{other:?} on an edge of {protocol:?}");
                if protocol != Protocol::Quic {
                    assert_eq!(flow.ask(&mut site, &first), CHANGED, "{other:?} later");
                }
            }
        }
        assert_eq!(rig.says(&mut site, COAP_GET), CHANGED);
        let noted = rig.spoken(&site);
        let opaque = ("opaque".to_owned(), Verdict::Reset, Reason::ProtoChanged);
        assert!(noted.contains(&opaque), "{noted:?}");
    }
}

#[test]
fn quic_is_read_until_its_server_has_answered() {
    let Some(mut site) = site() else { return };
    let rig = Rig::enforcing(&mut site, PORT, &[Protocol::Quic]);
    let flow = rig.flow(&mut site);
    let (initial, short) = (quic(0xc3, 1_200), [0x43; 60]);
    assert_eq!(flow.ask(&mut site, &initial), Fate::Forwarded);
    assert_eq!(flow.ask(&mut site, &short), CHANGED, "not before");
    assert_eq!(flow.answer(&mut site, &short), CHANGED, "a server that speaks something else");
    assert_eq!(flow.ask(&mut site, &quic(0xd3, 900)), Fate::Forwarded, "early data");
    assert_eq!(flow.answer(&mut site, &quic(0xf3, 40)), Fate::Forwarded, "to try again");
    assert_eq!(flow.ask(&mut site, &short), Fate::Forwarded);
    assert_eq!(flow.answer(&mut site, &short), Fate::Forwarded);
    assert_eq!(rig.says(&mut site, &quic(0xc3, 1_199)), CHANGED, "too short for the first");
    assert_eq!(rig.says(&mut site, &quic(0xe3, 1_200)), CHANGED, "a handshake does not open");
}

#[test]
fn what_only_looks_like_a_protocol_does_not_pass_as_it() {
    let Some(mut site) = site() else { return };
    for (protocol, port, payload) in [
        (Protocol::Dtls, PORT, b"\x16\x03\x03\0\0\0\0\0\0\0\0\0\x01\x01".to_vec()),
        (Protocol::Dtls, PORT, DTLS[..13].to_vec()),
        (Protocol::Dtls, PORT, b"<34>syslog".to_vec()),
        (Protocol::Dtls, PORT, vec![]),
        (Protocol::Ssdp, PORT, b"M-SEARCH * RTSP/1.0\r\n".to_vec()),
        (Protocol::Ssdp, PORT, b"NOTIFY /x HTTP/1.1\r\n".to_vec()),
        (Protocol::Ssdp, PORT, b"GET / HTTP/1.1\r\n\r\n".to_vec()),
        (Protocol::Dns, PORT, ANSWER.to_vec()),
        (Protocol::Dns, PORT, QUESTION[..16].to_vec()),
        (Protocol::Dns, PORT, [&QUESTION[..12], b"\xc0\x0c\0\x01\0\x01"].concat()),
        (Protocol::Dns, PORT, [&QUESTION[..2], b"\x28", &QUESTION[3..]].concat()),
        (Protocol::Ntp, 123, ntp(0x24)),
        (Protocol::Ntp, 123, ntp(0x26)),
        (Protocol::Ntp, PORT, ntp(0x23)),
        (Protocol::Quic, PORT, quic(0x83, 1_200)),
    ] {
        let rig = Rig::enforcing(&mut site, port, &[protocol]);
        assert_eq!(rig.says(&mut site, &payload), CHANGED, "{protocol:?} {payload:02x?}");
        let noted = rig.spoken(&site);
        assert_eq!(noted, [("opaque".to_owned(), Verdict::Reset, Reason::ProtoChanged)]);
    }
}

#[test]
fn a_server_asks_nothing() {
    let Some(mut site) = site() else { return };
    for (protocol, port, first, request) in [
        (Protocol::Dns, PORT, QUESTION.to_vec(), QUESTION.to_vec()),
        (Protocol::Ntp, 123, ntp(0x23), ntp(0x23)),
        (Protocol::Dtls, PORT, DTLS.to_vec(), COAP_GET.to_vec()),
    ] {
        let rig = Rig::enforcing(&mut site, port, &[protocol]);
        let flow = rig.flow(&mut site);
        assert_eq!(flow.ask(&mut site, &first), Fate::Forwarded);
        assert_eq!(flow.answer(&mut site, &request), CHANGED, "{protocol:?}");
    }
}

#[test]
fn coap_is_judged_on_any_port_that_speaks_it() {
    let Some(mut site) = site() else { return };
    for protocols in [&[Protocol::Coap][..], &[Protocol::Coap, Protocol::Opaque]] {
        let rig = Rig::enforcing(&mut site, PORT, protocols);
        let flow = rig.flow(&mut site);
        let (alone, said) =
            (protocols.len() == 1, ("opaque".to_owned(), Verdict::Reset, Reason::ProtoChanged));
        let opaque = if alone { CHANGED } else { Fate::Forwarded };
        // Nothing that is said before makes the flow one that is not looked into.
        for _ in 0..2 {
            assert_eq!(flow.ask(&mut site, b"hello"), opaque);
            assert_eq!(flow.ask(&mut site, COAP_DELETE), Fate::Dropped(Reason::EdgeUnknown));
        }
        let noted = site.observed(rig.device.id);
        assert!(
            noted.iter().any(|noted| noted.kind == Kind::CoapDelete && noted.object == "/a"),
            "{noted:?}"
        );
        assert_eq!(rig.spoken(&site), if alone { vec![said] } else { vec![] });
        // A proxy reaches elsewhere: opaque is no way around that.
        let proxied = [&[0x40, 1, 0, 0, 0xd8, 22][..], b"coap://x"].concat();
        assert_eq!(flow.ask(&mut site, &proxied), CHANGED);
    }
    let rig = Rig::enforcing(&mut site, PORT, &[]);
    assert_eq!(rig.says(&mut site, COAP_DELETE), Fate::Forwarded);
    assert_eq!(rig.spoken(&site)[0].0, "opaque", "its header is too little to tell it elsewhere");
}

#[test]
fn what_the_flow_began_with_stays_until_the_edge_is_known() {
    let Some(mut site) = site() else { return };
    let rig = Rig::enforcing(&mut site, COAP_PORT, &[]);
    let flow = rig.flow(&mut site);
    assert_eq!(flow.ask(&mut site, &DTLS), Fate::Forwarded);
    assert_eq!(flow.ask(&mut site, COAP_DELETE), CHANGED, "before the daemon has read the first one");
    rig.speak(&mut site, &[Protocol::Dtls]);
    assert_eq!(flow.ask(&mut site, COAP_DELETE), CHANGED);
    rig.speak(&mut site, &[Protocol::Dtls, Protocol::Opaque]);
    assert_eq!(flow.ask(&mut site, COAP_DELETE), Fate::Forwarded, "opaque is allowed");
}

#[test]
fn several_datagrams_in_one_are_no_coap() {
    let Some(mut site) = site() else { return };
    let rig = Rig::enforcing(&mut site, COAP_PORT, &[Protocol::Coap]);
    site.gso_size = 6;
    let result = rig.says(&mut site, &[COAP_GET, COAP_DELETE].concat());
    site.gso_size = 0;
    assert_eq!(result, MALFORMED);
}

#[test]
fn monitoring_lets_other_protocols_pass_and_looks_again_afterwards() {
    let Some(mut site) = site() else { return };
    let rig = Rig::enforcing(&mut site, PORT, &[Protocol::Dtls]);
    let flow = rig.flow(&mut site);
    site.monitor(true);
    assert_eq!(flow.ask(&mut site, b"hello"), Fate::Forwarded);
    assert_eq!(rig.spoken(&site), [("opaque".to_owned(), Verdict::Audit, Reason::ProtoChanged)]);
    site.monitor(false);
    assert_eq!(flow.ask(&mut site, b"hello"), CHANGED);
    assert_eq!(flow.ask(&mut site, &DTLS), Fate::Forwarded);
}

#[test]
fn the_host_recognises_the_same() {
    let Some(mut site) = site() else { return };
    // Bytes that are nearly something.
    let near = exchanges().into_iter().flat_map(|(_, _, first, answer, _)| [first, answer]);
    let near: Vec<Vec<u8>> = near.chain([COAP_GET.to_vec()]).collect();
    let bytes = (proptest::sample::select(near), vec((any::<proptest::sample::Index>(), any::<u8>()), 0..3))
        .prop_map(|(mut bytes, changes)| {
            for (at, value) in changes {
                let at = at.index(bytes.len());
                bytes[at] = value;
            }
            bytes
        });
    let port = proptest::sample::select(&[PORT, 123, 5353][..]);
    let site = RefCell::new(&mut *site);
    let config = ProptestConfig { cases: 200, failure_persistence: None, ..Default::default() };
    let result = TestRunner::new(config).run(&(bytes, port), |(bytes, port)| {
        let site = &mut **site.borrow_mut();
        let rig = Rig::enforcing(site, port, &[]);
        prop_assert_eq!(rig.says(site, &bytes), Fate::Forwarded);
        let datagram = Datagram { at: 0, length: bytes.len() as u32, port, sender: Sender::Client };
        prop_assert_eq!(&rig.spoken(site)[0].0, datagram.recognise(&&bytes[..]).as_str());
        Ok(())
    });
    result.unwrap();
}
