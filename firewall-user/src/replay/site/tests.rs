use super::*;
use crate::replay::capture::Link;

const DEVICE: [u8; 6] = [0x74, 0xda, 0x38, 0, 0, 1];
const PHONE: [u8; 6] = [0x38, 0x0b, 0x40, 0, 0, 2];
const ROUTER: [u8; 6] = [0x00, 0xb5, 0x6d, 0, 0, 3];
const HERE: [u8; 4] = [192, 168, 1, 20];
const THERE: [u8; 4] = [192, 168, 1, 30];
const BOX: [u8; 4] = [192, 168, 1, 1];
const SYN: u8 = tcp::SYN;
const SEARCH: &[u8] = b"M-SEARCH * HTTP/1.1\r\n\r\n";

/// A capture that is being made.
#[derive(Default)]
struct Tape(Vec<Vec<u8>>);

impl Tape {
    fn ip(&mut self, macs: [[u8; 6]; 2], ends: [[u8; 4]; 2], protocol: u8, payload: &[u8]) {
        let [from, to] = macs;
        let mut frame = [to, from].concat();
        frame.extend([8, 0, 0x45, 0]);
        frame.extend((20 + payload.len() as u16).to_be_bytes());
        frame.extend([0, 0, 0, 0, 64, protocol, 0, 0]);
        frame.extend(ends.concat());
        frame.extend(payload);
        self.0.push(frame);
    }

    fn udp(&mut self, macs: [[u8; 6]; 2], ends: [[u8; 4]; 2], ports: [u16; 2], said: &[u8]) {
        let mut payload = ports.map(u16::to_be_bytes).concat();
        payload.extend((8 + said.len() as u16).to_be_bytes());
        payload.extend([0, 0]);
        payload.extend(said);
        self.ip(macs, ends, proto::UDP, &payload);
    }

    fn tcp(&mut self, macs: [[u8; 6]; 2], ends: [[u8; 4]; 2], ports: [u16; 2], flags: u8) {
        self.says(macs, ends, ports, flags, b"");
    }

    fn says(&mut self, macs: [[u8; 6]; 2], ends: [[u8; 4]; 2], ports: [u16; 2], flags: u8, said: &[u8]) {
        let mut payload = ports.map(u16::to_be_bytes).concat();
        payload.extend([0, 0, 0, 1, 0, 0, 0, 0, 0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
        payload.extend(said);
        self.ip(macs, ends, proto::TCP, &payload);
    }

    /// The device asks its resolver, which answers.
    fn resolve(&mut self, id: [u8; 2], asked: &str, answered: &str, records: &[(&str, [u8; 4])]) {
        let labels = |name: &str| -> Vec<u8> {
            let mut wire: Vec<u8> =
                name.split('.').flat_map(|label| [&[label.len() as u8], label.as_bytes()].concat()).collect();
            wire.push(0);
            wire
        };
        let mut query = vec![0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        query.extend(labels(asked));
        query.extend([0, 1, 0, 1]);
        self.udp([DEVICE, ROUTER], [HERE, BOX], [4_000, 53], &query);
        let mut answer = vec![id[0], id[1], 0x81, 0x80, 0, 1, 0, records.len() as u8, 0, 0, 0, 0];
        answer.extend(labels(answered));
        answer.extend([0, 1, 0, 1]);
        for (owner, addr) in records {
            answer.extend(labels(owner));
            answer.extend([0, 1, 0, 1, 0, 0, 0, 60, 0, 4]);
            answer.extend(addr);
        }
        self.udp([ROUTER, DEVICE], [BOX, HERE], [53, 4_000], &answer);
    }

    fn open(&mut self, addr: [u8; 4], port: u16) {
        self.tcp([DEVICE, ROUTER], [HERE, addr], [50_000, port], SYN);
    }

    fn play(self, site: &mut Site) {
        let mut gateway = Gateway::default();
        for bytes in &self.0 {
            let mut frame = Frame::EMPTY;
            firewall_common::wire::frame::parse(&bytes.as_slice(), &mut frame).unwrap();
            gateway.see(&frame);
        }
        site.begin(1_000_000_000_000, gateway);
        for (number, bytes) in (1..).zip(&self.0) {
            let time = 1_000_000_000_000 + number * 1_000_000;
            let packet = Packet { number, time, link: Link::Ethernet, length: bytes.len() as u32 };
            site.packet(packet, bytes);
        }
        site.end();
    }
}

/// What a site that has learned one tape would ask about another one.
fn questions(learned: Tape, judged: Tape) -> Vec<String> {
    let mut site = Site::new(Settings::default(), None);
    learned.play(&mut site);
    site.finish_learning();
    judged.play(&mut site);
    site.questions().into_iter().map(|question| format!("{} {}", question.to, question.object)).collect()
}

fn tape(write: impl FnOnce(&mut Tape)) -> Tape {
    let mut tape = Tape::default();
    write(&mut tape);
    tape
}

const NAME: &str = "api.example.com";

#[test]
fn a_name_that_moves_asks_nothing_and_another_name_at_its_address_does() {
    let learned = || {
        tape(|tape| {
            tape.resolve([0, 7], NAME, NAME, &[(NAME, [192, 0, 2, 1])]);
            tape.open([192, 0, 2, 1], 443);
        })
    };
    let moved = tape(|tape| {
        tape.resolve([0, 7], NAME, NAME, &[(NAME, [198, 51, 100, 9])]);
        tape.open([198, 51, 100, 9], 443);
    });
    assert!(questions(learned(), moved).is_empty());
    let other = tape(|tape| {
        tape.resolve([0, 7], "api.example.net", "api.example.net", &[("api.example.net", [192, 0, 2, 1])]);
        tape.open([192, 0, 2, 1], 443);
    });
    // The question for the name is refused, so the device does not come to try the address.
    assert_eq!(questions(learned(), other), ["Edgeward *.example.net"]);
}

#[test]
fn another_name_of_a_domain_is_asked_for_and_then_asked_about() {
    let learned = tape(|tape| {
        tape.resolve([0, 7], NAME, NAME, &[(NAME, [192, 0, 2, 1])]);
        tape.open([192, 0, 2, 1], 443);
    });
    let other = "cdn.example.com";
    let judged = tape(|tape| {
        tape.resolve([0, 7], other, other, &[(other, [192, 0, 2, 2])]);
        tape.open([192, 0, 2, 2], 443);
    });
    assert_eq!(questions(learned, judged), ["cdn.example.com tcp/443"]);
}

#[test]
fn lies_of_a_resolver_bind_nothing() {
    let addr = [198, 51, 100, 9];
    for (id, answered, owner) in [
        ([0, 8], NAME, NAME),
        ([0, 7], "evil.example.net", "evil.example.net"),
        ([0, 7], NAME, "evil.example.net"),
    ] {
        let learned = tape(|tape| {
            tape.resolve([0, 7], NAME, NAME, &[(NAME, [192, 0, 2, 1])]);
            tape.open([192, 0, 2, 1], 443);
        });
        let lie = tape(|tape| {
            tape.resolve(id, NAME, answered, &[(owner, addr)]);
            tape.open(addr, 443);
        });
        assert_eq!(questions(learned, lie), ["198.51.100.9 tcp/443"], "{answered} {owner}");
    }
}

#[test]
fn what_a_link_needs_asks_nothing() {
    let judged = tape(|tape| {
        tape.udp([DEVICE, ROUTER], [HERE, BOX], [5_000, 123], &[0x23; 48]);
        tape.udp([DEVICE, [0xff; 6]], [[0; 4], [255; 4]], [68, 67], &[1; 240]);
        tape.resolve([0, 7], NAME, NAME, &[(NAME, [192, 0, 2, 1])]);
        tape.tcp([ROUTER, DEVICE], [[192, 0, 2, 1], HERE], [443, 50_000], tcp::RST);
    });
    let learned = tape(|tape| {
        tape.open([192, 0, 2, 1], 80);
        tape.resolve([0, 7], NAME, NAME, &[]);
    });
    assert!(questions(learned, judged).is_empty());
}

#[test]
fn answers_to_a_search_are_one_habit() {
    let search = |tape: &mut Tape, port: u16| {
        tape.udp(
            [PHONE, [1, 0, 0x5e, 0x7f, 0xff, 0xfa]],
            [THERE, [239, 255, 255, 250]],
            [port, 1900],
            SEARCH,
        );
        tape.udp([DEVICE, PHONE], [HERE, THERE], [1_024, port], b"x");
    };
    let learned = tape(|tape| {
        search(tape, 2_001);
        tape.open([192, 0, 2, 1], 80);
    });
    let judged = tape(|tape| search(tape, 2_002));
    assert!(questions(learned, judged).is_empty());
    // Nobody has asked.
    let learned = tape(|tape| search(tape, 2_001));
    let judged = tape(|tape| tape.udp([DEVICE, PHONE], [HERE, THERE], [1_024, 2_003], b"x"));
    assert_eq!(questions(learned, judged), ["38:0b:40:00:00:02 udp/2003"]);
}

#[test]
fn a_file_is_part_of_the_edge_that_asks_for_it() {
    let transfer = |tape: &mut Tape, from: u16, data: u16| {
        tape.udp([DEVICE, PHONE], [HERE, THERE], [from, 69], b"\0\x01boot.bin\0octet\0");
        tape.udp([PHONE, DEVICE], [THERE, HERE], [data, from], b"\0\x03\0\x01x");
        tape.udp([DEVICE, PHONE], [HERE, THERE], [from, data], b"\0\x04\0\x01");
    };
    let learned = || tape(|tape| transfer(tape, 4_001, 40_001));
    assert!(questions(learned(), tape(|tape| transfer(tape, 4_002, 40_002))).is_empty());
    // Nobody has asked.
    let judged = tape(|tape| tape.udp([PHONE, DEVICE], [THERE, HERE], [40_003, 4_003], b"\0\x03\0\x01x"));
    assert_eq!(questions(learned(), judged), ["74:da:38:00:00:01 udp/4003"]);
}

#[test]
fn a_medium_is_part_of_the_edge_that_names_its_ports() {
    let play = |tape: &mut Tape, port: u16, own: u16| {
        let (there, back) = ([DEVICE, PHONE], [PHONE, DEVICE]);
        tape.tcp(there, [HERE, THERE], [50_000 + port, 554], SYN);
        let asks = format!("SETUP rtsp://c/ RTSP/1.0\r\nTransport: RTP/AVP;client_port={port}\r\n\r\n");
        tape.says(there, [HERE, THERE], [50_000 + port, 554], tcp::ACK, asks.as_bytes());
        let agrees =
            format!("RTSP/1.0 200 OK\r\nTransport: RTP/AVP;client_port={port};server_port={own}\r\n\r\n");
        tape.says(back, [THERE, HERE], [554, 50_000 + port], tcp::ACK, agrees.as_bytes());
        tape.udp(back, [THERE, HERE], [own, port], b"\x80\x60");
        tape.udp(there, [HERE, THERE], [port, own], b"\x80\xc9");
    };
    let learned = || tape(|tape| play(tape, 6_000, 9_000));
    assert!(questions(learned(), tape(|tape| play(tape, 6_002, 9_002))).is_empty());
    let judged = tape(|tape| {
        play(tape, 6_004, 9_004);
        tape.udp([PHONE, DEVICE], [THERE, HERE], [9_004, 6_006], b"\x80\x60");
    });
    assert_eq!(questions(learned(), judged), ["74:da:38:00:00:01 udp/6006"]);
}

#[test]
fn devices_on_one_switch_have_edges() {
    let learned = tape(|tape| tape.tcp([PHONE, DEVICE], [THERE, HERE], [50_001, 80], SYN));
    let judged = tape(|tape| tape.tcp([PHONE, DEVICE], [THERE, HERE], [50_002, 22], SYN));
    assert_eq!(questions(learned, judged), ["74:da:38:00:00:01 tcp/22"]);
}
