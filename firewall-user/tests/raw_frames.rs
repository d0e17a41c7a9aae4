//! Verdicts of the kernel programs on raw frames (`BPF_PROG_TEST_RUN`): no interface, no daemon, no time to wait for.
//!
//! Every frame that the bench runs is also checked against the hook's balance: counted once, as what became of it.

#[path = "raw_frames/bench.rs"]
mod bench;
#[path = "raw_frames/frames.rs"]
mod frames;

use std::sync::atomic::{AtomicU16, Ordering};

use edgeward::kernel::Hook;
use firewall_common::{
    abi::{Kind, LinkKey, PrincipalId, Rule, RuleId},
    precedence::{Mode, RuleState},
    reason::{Reason, Verdict},
};
use graph::{
    automaton::{Pattern, TopicRule},
    command::Topics,
    filter::Filter,
};

use bench::{Bench, DEVICE, GATED, JUDGED, LAN, OTHER, Outcome, Turn, rule_of, tcp_edge};
use frames::{ACK, End, PSH, RST, SYN, mqtt};

/// What becomes of a message that is not in the model.
const REFUSED: Outcome = Outcome::Reset(Reason::EdgeUnknown);
const PASSED: Outcome = Outcome::Passed { mark: JUDGED };

fn device(port: u16) -> End {
    End { mac: frames::DEVICE, ip: frames::DEVICE_IP, port }
}

fn other(port: u16) -> End {
    End { mac: frames::OTHER, ip: frames::OTHER_IP, port }
}

fn outside(port: u16) -> End {
    End { mac: frames::BOX, ip: frames::OUTSIDE_IP, port }
}

fn syn(from: End, to: End) -> Vec<u8> {
    frames::segment(from, to, 1_000, 0, SYN, &[])
}

#[test]
fn a_stranger_is_noted_and_only_essentials_of_it_pass() {
    let Some(mut bench) = Bench::empty() else { return };
    assert_eq!(bench.device_sends(&frames::arp(frames::DEVICE, [0; 4], frames::DEVICE_IP)), PASSED);
    let blocked = bench.device_sends(&syn(device(4000), outside(443)));
    assert_eq!(blocked, Outcome::Dropped(Reason::PrincipalNew));
    let key = LinkKey { ifindex: LAN, mac: frames::DEVICE, vlan: 0 };
    assert_eq!(bench.maps.strangers.get(&key).unwrap().map(|stranger| stranger.frames), Some(2));
}

#[test]
fn a_learning_device_passes_and_tells_what_it_does() {
    let Some(mut bench) = Bench::with_devices(Mode::Learning, Mode::Learning) else { return };
    assert_eq!(bench.device_sends(&syn(device(4000), outside(443))), PASSED);
    assert_eq!(bench.device_sends(&syn(device(4001), other(80))), PASSED);
    let seen = bench.observed(Kind::Transport);
    assert_eq!(seen.len(), 2, "{seen:?}");
    for (_, verdict, reason, _) in seen {
        assert_eq!((verdict, reason), (Some(Verdict::Forwarded), Some(Reason::Learned)));
    }
}

#[test]
fn an_enforcing_device_has_what_is_in_its_model_and_nothing_else() {
    let Some(mut bench) = Bench::with_devices(Mode::Enforcing, Mode::Enforcing) else { return };
    bench.edge(tcp_edge(DEVICE, OTHER, 80), rule_of(16, RuleState::Learned));
    bench.edge(tcp_edge(DEVICE, OTHER, 81), rule_of(17, RuleState::Denied));
    assert_eq!(bench.device_sends(&syn(device(4000), other(80))), PASSED);
    for (port, reason) in [(81, Reason::EdgeDenied), (82, Reason::EdgeUnknown)] {
        let blocked = bench.device_sends(&syn(device(4000), other(port)));
        assert_eq!(blocked, Outcome::Dropped(reason), "port {port}");
    }
    let udp = frames::datagram(device(4000), other(80), b"x");
    assert_eq!(
        bench.device_sends(&udp),
        Outcome::Dropped(Reason::EdgeUnknown),
        "the protocol is part of the edge"
    );
    let back = bench.device_sends(&syn(other(4000), device(80)));
    assert_eq!(back, Outcome::Dropped(Reason::EdgeUnknown), "an edge has a direction");
}

#[test]
fn quarantine_comes_before_everything() {
    let Some(mut bench) = Bench::with_devices(Mode::Enforcing, Mode::Enforcing) else { return };
    bench.edge(tcp_edge(DEVICE, OTHER, 80), rule_of(16, RuleState::Allowed));
    bench.principal(OTHER, Mode::Quarantine);
    let reset = bench.device_sends(&syn(device(4000), other(80)));
    assert_eq!(reset, Outcome::Reset(Reason::Quarantine));
    let arp = frames::arp(frames::OTHER, frames::OTHER_IP, frames::DEVICE_IP);
    assert_eq!(bench.device_sends(&arp), Outcome::Dropped(Reason::Quarantine));
}

#[test]
fn an_address_or_mac_of_another_gains_nothing() {
    let Some(mut bench) = Bench::with_devices(Mode::Learning, Mode::Learning) else { return };
    let borrowed = End { ip: frames::OTHER_IP, ..device(4000) };
    assert_eq!(bench.device_sends(&syn(borrowed, outside(443))), Outcome::Dropped(Reason::SpoofIp));
    let elsewhere = End { ip: [172, 30, 0, 1], ..device(4000) };
    assert_eq!(bench.device_sends(&syn(elsewhere, outside(443))), Outcome::Dropped(Reason::SpoofIp));
    let the_box = End { ip: [10, 9, 0, 1], ..device(4000) };
    assert_eq!(bench.device_sends(&syn(the_box, outside(443))), Outcome::Dropped(Reason::SpoofIp));
    let arp = frames::arp(frames::DEVICE, frames::OTHER_IP, [10, 9, 0, 1]);
    assert_eq!(bench.device_sends(&arp), Outcome::Dropped(Reason::SpoofIp));
    let port = bench.other_port;
    let moved = bench.run(Hook::LanIngress, port, &syn(device(4000), outside(443)));
    assert_eq!(moved, Outcome::Dropped(Reason::SpoofMac));
    let renamed = End { mac: [2, 0, 0, 0, 0, 0x99], ..device(4000) };
    assert!(matches!(bench.device_sends(&syn(renamed, outside(443))), Outcome::Dropped(_)));
    let delivered = frames::segment(End { mac: frames::BOX, ..other(4000) }, device(80), 1, 0, SYN, &[]);
    assert_eq!(bench.device_gets(&delivered), Outcome::Dropped(Reason::SpoofIp));
    let uplink = bench.uplink;
    assert_eq!(bench.run(Hook::Uplink, uplink, &delivered), Outcome::Dropped(Reason::SpoofIp));
}

#[test]
fn a_rule_ends_with_its_time_and_with_its_uses() {
    let Some(mut bench) = Bench::with_devices(Mode::Enforcing, Mode::Enforcing) else { return };
    let over = Rule { deadline: 1, ..rule_of(16, RuleState::Allowed) };
    bench.edge(tcp_edge(DEVICE, OTHER, 80), over);
    assert_eq!(bench.device_sends(&syn(device(4000), other(80))), Outcome::Dropped(Reason::EdgeUnknown));

    let counted = Rule { counted: 1, ..rule_of(17, RuleState::Allowed) };
    bench.edge(tcp_edge(DEVICE, OTHER, 81), counted);
    bench.maps.uses.put(&RuleId(17), &2).unwrap();
    assert_eq!(bench.device_sends(&syn(device(4000), other(81))), PASSED);
    assert_eq!(bench.device_sends(&syn(device(4000), other(81))), PASSED, "a repeated SYN is the same use");
    assert_eq!(bench.device_sends(&syn(device(4001), other(81))), PASSED);
    assert_eq!(bench.device_sends(&syn(device(4002), other(81))), Outcome::Dropped(Reason::EdgeUnknown));
    assert_eq!(bench.maps.uses.get(&RuleId(17)).unwrap(), Some(0));
}

#[test]
fn monitor_drops_nothing_and_says_what_it_would() {
    let Some(mut bench) = Bench::with_devices(Mode::Enforcing, Mode::Enforcing) else { return };
    bench.set_monitor(true);
    assert_eq!(bench.device_sends(&syn(device(4000), other(80))), PASSED);
    let [(_, verdict, reason, _)] = &bench.observed(Kind::Transport)[..] else { panic!("one edge") };
    assert_eq!((*verdict, *reason), (Some(Verdict::Audit), Some(Reason::EdgeUnknown)));
    bench.set_monitor(false);
    assert!(matches!(bench.device_sends(&syn(device(4001), other(80))), Outcome::Dropped(_)));
}

#[test]
fn what_no_parser_understands_has_a_name_and_does_not_pass() {
    let Some(mut bench) = Bench::with_devices(Mode::Learning, Mode::Learning) else { return };
    let eth = |ethertype, payload: &[u8]| frames::ethernet(frames::BOX, frames::DEVICE, ethertype, payload);
    let packet = |fragment, payload: &[u8]| {
        eth(0x0800, &frames::ipv4_with(frames::DEVICE_IP, frames::OUTSIDE_IP, 17, fragment, payload))
    };
    let whole = frames::ipv4(frames::DEVICE_IP, frames::OUTSIDE_IP, 17, &[0; 8]);
    let three_tags = frames::tag(1, 0x8100, &frames::tag(2, 0x8100, &frames::tag(3, 0x0800, &whole)));
    let mut ip6 = vec![0x60, 0, 0, 0, 0, 8, 44, 64];
    ip6.extend([0xfd; 32]);
    ip6.extend([17, 0, 0, 1, 0, 0, 0, 1]);
    let cases = [
        ("a version that does not exist", eth(0x0800, &[0x75; 40]), Reason::Malformed),
        ("the first fragment", packet(0x2000, &[0; 8]), Reason::Fragment),
        ("a later fragment", packet(0x0010, &[0; 8]), Reason::Fragment),
        ("an IPv6 fragment", eth(0x86dd, &ip6), Reason::Fragment),
        ("half a UDP header", packet(0, &[0; 4]), Reason::Malformed),
        ("three VLAN tags", eth(0x8100, &three_tags), Reason::VlanDepth),
    ];
    for (what, frame, reason) in cases {
        assert_eq!(bench.device_sends(&frame), Outcome::Dropped(reason), "{what}");
        assert_eq!(bench.run_xdp(&frame), Outcome::Dropped(reason), "{what}, XDP");
    }
    // A test run at TC takes no frame that ends within its IP header; XDP does.
    for length in 0..20 {
        let cut = bench.run_xdp(&eth(0x0800, &whole[..length]));
        assert_eq!(cut, Outcome::Dropped(Reason::Malformed), "{length} bytes of a header");
    }
    let lldp = eth(0x88cc, &[0; 46]);
    bench.principal(DEVICE, Mode::Enforcing);
    assert_eq!(bench.device_sends(&lldp), Outcome::Dropped(Reason::Ethertype));
}

#[test]
fn noise_never_passes() {
    let Some(mut bench) = Bench::with_devices(Mode::Enforcing, Mode::Enforcing) else { return };
    // xorshift64 (Marsaglia, 2003): the same noise in every run.
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut byte = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    for round in 0..2_000 {
        let ethertype = [0x0800, 0x86dd, 0x8100, 0x0806][round % 4];
        let length = 40 + usize::from(byte());
        let noise: Vec<u8> = (0..length).map(|_| byte()).collect();
        let frame = frames::ethernet(frames::BOX, frames::DEVICE, ethertype, &noise);
        assert!(matches!(bench.device_sends(&frame), Outcome::Dropped(_)), "{frame:02x?}");
        let xdp = bench.run_xdp(&frame);
        assert!(matches!(xdp, Outcome::Dropped(_) | Outcome::Passed { .. }));
    }
}

#[test]
fn the_gate_marks_what_is_in_order_and_delivery_is_judged() {
    let Some(mut bench) = Bench::with_devices(Mode::Enforcing, Mode::Enforcing) else { return };
    let uplink = bench.uplink;
    let incoming = syn(End { mac: frames::BOX, ..outside(5000) }, device(80));
    assert_eq!(bench.run(Hook::Uplink, uplink, &incoming), Outcome::Passed { mark: GATED });
    assert_eq!(bench.device_gets(&incoming), Outcome::Dropped(Reason::EdgeUnknown));
    let lan = bench.run(Hook::LanIngress, uplink, &incoming);
    assert_eq!(lan, Outcome::Dropped(Reason::PortUnknown), "a program at a port of another role");
}

/// A TCP connection between two devices, in order.
struct Connection {
    client: End,
    server: End,
    /// Next sequence number of the client, of the server.
    next: [u32; 2],
}

impl Connection {
    /// Opens one from a port that no other connection has had: the bench clears connections, not their streams.
    fn to_broker(bench: &mut Bench) -> Self {
        static PORT: AtomicU16 = AtomicU16::new(20_000);
        let (client, server) = (device(PORT.fetch_add(1, Ordering::Relaxed)), other(1883));
        let step = |bench: &mut Bench, frame: Vec<u8>| assert_eq!(bench.device_sends(&frame), PASSED);
        step(bench, frames::segment(client, server, 1_000, 0, SYN, &[]));
        step(bench, frames::segment(server, client, 9_000, 1_001, SYN | ACK, &[]));
        step(bench, frames::segment(client, server, 1_001, 9_001, ACK, &[]));
        Self { client, server, next: [1_001, 9_001] }
    }

    fn say(&mut self, bench: &mut Bench, data: &[u8]) -> Outcome {
        let frame = frames::segment(self.client, self.server, self.next[0], self.next[1], PSH | ACK, data);
        let outcome = bench.device_sends(&frame);
        if outcome == PASSED {
            self.next[0] += data.len() as u32;
        }
        outcome
    }

    fn answer(&mut self, bench: &mut Bench, data: &[u8]) -> Outcome {
        let frame = frames::segment(self.server, self.client, self.next[1], self.next[0], PSH | ACK, data);
        self.next[1] += data.len() as u32;
        bench.device_sends(&frame)
    }
}

fn topic(text: &str, rule: u32, state: RuleState) -> TopicRule {
    TopicRule { pattern: Pattern::Filter(Filter::try_from(text).unwrap()), rule: RuleId(rule), state }
}

fn broker_bench() -> Option<Turn> {
    let mut bench = Bench::with_devices(Mode::Enforcing, Mode::Enforcing)?;
    let topics = Topics {
        connect: vec![TopicRule {
            pattern: Pattern::Client("washer".to_owned()),
            rule: RuleId(20),
            state: RuleState::Learned,
        }],
        publish: vec![
            topic("site/washer/#", 21, RuleState::Learned),
            topic("site/washer/door", 22, RuleState::Denied),
        ],
        subscribe: vec![topic("site/+/cmd", 23, RuleState::Learned)],
    };
    bench.broker(tcp_edge(DEVICE, OTHER, 1883), rule_of(16, RuleState::Learned), &topics);
    Some(bench)
}

fn connected(bench: &mut Bench) -> Connection {
    let mut connection = Connection::to_broker(bench);
    assert_eq!(connection.say(bench, &mqtt::connect("washer")), PASSED);
    assert_eq!(connection.answer(bench, &mqtt::CONNACK), PASSED);
    connection
}

#[test]
fn a_topic_of_the_model_passes_and_another_ends_the_connection() {
    let Some(mut bench) = broker_bench() else { return };
    let mut connection = connected(&mut bench);
    assert_eq!(connection.say(&mut bench, &mqtt::publish("site/washer/temp", b"21")), PASSED);
    assert_eq!(connection.say(&mut bench, &mqtt::publish("lock/front/set", b"open")), REFUSED);
    let [(edge, verdict, reason, object)] = &bench.observed(Kind::MqttPublish)[..] else {
        panic!("one message")
    };
    assert_eq!((edge.src, edge.dst, edge.port), (DEVICE, OTHER, 1883));
    assert_eq!((*verdict, *reason), (Some(Verdict::Reset), Some(Reason::EdgeUnknown)));
    assert_eq!(object, "lock/front/set");
}

#[test]
fn the_more_specific_filter_wins() {
    let Some(mut bench) = broker_bench() else { return };
    let mut connection = connected(&mut bench);
    assert_eq!(
        connection.say(&mut bench, &mqtt::publish("site/washer/door", b"open")),
        Outcome::Reset(Reason::EdgeDenied)
    );
    let [(_, _, reason, _)] = &bench.observed(Kind::MqttPublish)[..] else { panic!("one message") };
    assert_eq!(*reason, Some(Reason::EdgeDenied));
}

#[test]
fn splitting_and_packing_change_nothing() {
    let Some(mut bench) = broker_bench() else { return };
    let good = mqtt::publish("site/washer/temp", b"21");
    let bad = mqtt::publish("lock/front/set", b"open");

    let mut packed = connected(&mut bench);
    assert_eq!(
        packed.say(&mut bench, &[good.clone(), mqtt::PINGREQ.to_vec(), good.clone()].concat()),
        PASSED
    );
    let hidden = [good.clone(), mqtt::PINGREQ.to_vec(), bad.clone()].concat();
    assert_eq!(packed.say(&mut bench, &hidden), REFUSED, "one segment");

    let mut split = connected(&mut bench);
    for byte in &good {
        assert_eq!(split.say(&mut bench, &[*byte]), PASSED);
    }
    let outcomes: Vec<Outcome> = bad.iter().map(|byte| split.say(&mut bench, &[*byte])).collect();
    let reset = outcomes.iter().position(|outcome| *outcome == REFUSED).expect("the topic ends it");
    let end_of_topic = 2 + 2 + "lock/front/set".len();
    assert!(reset < end_of_topic, "byte {reset} of a topic that ends before byte {end_of_topic}");
}

#[test]
fn another_client_id_and_another_filter_are_refused() {
    let Some(mut bench) = broker_bench() else { return };
    let mut posing = Connection::to_broker(&mut bench);
    assert_eq!(posing.say(&mut bench, &mqtt::connect("lock")), REFUSED);
    assert_eq!(bench.observed(Kind::MqttConnect)[0].3, "lock");

    let mut listening = connected(&mut bench);
    assert_eq!(listening.say(&mut bench, &mqtt::subscribe("site/washer/cmd")), PASSED);
    assert_eq!(listening.say(&mut bench, &mqtt::subscribe("site/#")), REFUSED);
    assert_eq!(bench.observed(Kind::MqttSubscribe)[0].3, "site/#");
}

#[test]
fn what_is_not_mqtt_does_not_pass_as_mqtt() {
    let Some(mut bench) = broker_bench() else { return };
    let mut connection = Connection::to_broker(&mut bench);
    let outcome = connection.say(&mut bench, b"GET / HTTP/1.1\r\n\r\n");
    assert!(!matches!(outcome, Outcome::Passed { .. }), "{outcome:?}");
}

#[test]
fn only_the_next_bytes_of_an_inspected_stream_pass() {
    let Some(mut bench) = broker_bench() else { return };
    let connection = connected(&mut bench);
    let data = mqtt::publish("site/washer/temp", b"21");
    let ahead = frames::segment(
        connection.client,
        connection.server,
        connection.next[0] + 5,
        connection.next[1],
        PSH | ACK,
        &data,
    );
    assert_eq!(bench.device_sends(&ahead), Outcome::Dropped(Reason::StreamOrder));
    let joined = frames::segment(device(4444), other(1883), 77, 88, PSH | ACK, &data);
    assert_eq!(bench.device_sends(&joined), Outcome::Dropped(Reason::Midstream));
    let reset = frames::segment(device(4445), other(1883), 77, 88, RST, &[]);
    assert!(matches!(bench.device_sends(&reset), Outcome::Dropped(_)));
}

#[test]
fn everyone_is_a_destination_like_any_other() {
    let Some(mut bench) = Bench::with_devices(Mode::Enforcing, Mode::Enforcing) else { return };
    let everyone = End { mac: [0xff; 6], ip: [255; 4], port: 9 };
    let shout = frames::datagram(device(4000), everyone, b"hello");
    assert_eq!(bench.device_sends(&shout), Outcome::Dropped(Reason::EdgeUnknown));
    let [(edge, ..)] = &bench.observed(Kind::Transport)[..] else { panic!("one edge") };
    assert_eq!(edge.dst, PrincipalId::EVERYONE);
}
