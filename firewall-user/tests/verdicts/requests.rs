//! What is asked for in an inspected connection: HTTP, CoAP and Modbus, request by request.

use firewall_common::{
    abi::{EdgeKey, Kind, Protocol},
    precedence::{Mode, RuleState},
    reason::{Reason, Verdict},
    wire::frame::proto,
};
use graph::{
    automaton::{Pattern, TopicRule},
    command::Topics,
    operation::{Registers, Route, Verb},
};

use crate::{
    connection::{
        Connection,
        Side::{Client, Server},
    },
    frame::{self, ACK},
    site::{Fate, Host, Judged, Site, site, transport_edge},
};

const HTTP_PORT: u16 = 8080;
const MODBUS_PORT: u16 = 502;
const COAP_PORT: u16 = 5683;
const UNKNOWN: Fate = Fate::Reset(Reason::EdgeUnknown);
const DENIED: Fate = Fate::Reset(Reason::EdgeDenied);
const MALFORMED: Fate = Fate::Reset(Reason::Malformed);
const CHANGED: Fate = Fate::Reset(Reason::ProtoChanged);

/// A device and a server, and the rules for what the device may ask for.
struct Rig {
    device: Host,
    server: Host,
    edge: EdgeKey,
    speaks: u16,
    rules: Topics,
}

impl Rig {
    /// The device may connect, and ask for nothing.
    fn new(site: &mut Site, port: u16, ip: u8, protocols: &[Protocol]) -> Self {
        let (device, server) = (site.settled(Mode::Enforcing), site.settled(Mode::Enforcing));
        let rule = site.rule(RuleState::Allowed);
        let edge = site.put_edge(transport_edge(&device, &server, port, ip), rule);
        let speaks = protocols.iter().fold(0, |bits, protocol| bits | protocol.bit());
        Self { device, server, edge, speaks, rules: Topics::default() }
    }

    fn http(site: &mut Site) -> Self {
        Self::new(site, HTTP_PORT, proto::TCP, &[Protocol::Http])
    }

    fn coap(site: &mut Site) -> Self {
        Self::new(site, COAP_PORT, proto::UDP, &[Protocol::Coap])
    }

    fn modbus(site: &mut Site) -> Self {
        Self::new(site, MODBUS_PORT, proto::TCP, &[Protocol::Modbus])
    }

    fn rule(mut self, site: &mut Site, pattern: Pattern, state: RuleState) -> Self {
        let rule = site.rule(state);
        site.maps.rules.put(&rule.id, &rule).unwrap();
        self.rules.requests.push(TopicRule { pattern, rule: rule.id, state });
        site.inspect(self.edge, &self.rules);
        let mut edge = site.maps.edges.get(&self.edge).unwrap().unwrap();
        edge.speaks = self.speaks;
        site.maps.edges.put(&self.edge, &edge).unwrap();
        self
    }

    fn request(self, site: &mut Site, verb: Verb, route: &str, state: RuleState) -> Self {
        let route = Route::parse(route).unwrap();
        self.rule(site, Pattern::Request { verb, route }, state)
    }

    fn allow(self, site: &mut Site, verb: Verb, route: &str) -> Self {
        self.request(site, verb, route, RuleState::Allowed)
    }

    fn deny(self, site: &mut Site, verb: Verb, route: &str) -> Self {
        self.request(site, verb, route, RuleState::Denied)
    }

    fn registers(self, site: &mut Site, verb: Verb, registers: &str, state: RuleState) -> Self {
        let registers = Registers::parse(registers).unwrap();
        self.rule(site, Pattern::Registers { verb, registers }, state)
    }

    fn open(&self, site: &mut Site) -> Connection {
        Connection::open(site, self.device, self.server, self.edge.port)
    }

    /// What becomes of this on a connection of its own.
    fn says(&self, site: &mut Site, bytes: &[u8]) -> Fate {
        self.open(site).say(site, bytes)
    }

    /// What was noted, without the connection itself.
    fn noted(&self, site: &Site) -> Vec<(Kind, String, Verdict, Reason)> {
        let noted = site.observed(self.device.id).into_iter();
        let noted = noted.filter(|entry| entry.kind != Kind::Transport);
        noted.map(|entry| (entry.kind, entry.object, entry.verdict, entry.reason)).collect()
    }
}

fn get(target: &str) -> Vec<u8> {
    format!("GET {target} HTTP/1.1\r\nHost: Hub.local:8080\r\nAccept: */*\r\n\r\n").into_bytes()
}

fn post(target: &str, fields: &str, body: &str) -> Vec<u8> {
    format!("POST {target} HTTP/1.1\r\nHost: hub.local\r\n{fields}\r\n{body}").into_bytes()
}

#[test]
fn a_request_needs_a_rule_for_its_verb_and_path() {
    let Some(mut site) = site() else { return };
    let rig = Rig::http(&mut site)
        .allow(&mut site, Verb::Get, "/api/+/state")
        .allow(&mut site, Verb::Set, "/log/#")
        .deny(&mut site, Verb::Set, "/log/wipe");
    assert_eq!(rig.says(&mut site, &get("/api/light/state?x=/lock")), Fate::Forwarded);
    for target in ["/", "/api", "/api/light", "/api/light/state/x", "/api/light/set", "/lock"] {
        assert_eq!(rig.says(&mut site, &get(target)), UNKNOWN, "{target}");
    }
    for target in ["/log", "/log/a/b"] {
        assert_eq!(rig.says(&mut site, &post(target, "", "")), Fate::Forwarded, "{target}");
        assert_eq!(rig.says(&mut site, &get(target)), UNKNOWN, "{target}");
    }
    assert_eq!(rig.says(&mut site, &post("/log/wipe", "", "")), DENIED);
    let noted = rig.noted(&site);
    let lock = (Kind::HttpGet, "/lock hub.local".to_owned(), Verdict::Reset, Reason::EdgeUnknown);
    let wipe = (Kind::HttpSet, "/log/wipe hub.local".to_owned(), Verdict::Reset, Reason::EdgeDenied);
    assert!(noted.contains(&lock) && noted.contains(&wipe), "{noted:?}");
}

#[test]
fn a_rule_may_name_a_host() {
    let Some(mut site) = site() else { return };
    let rig = Rig::http(&mut site).allow(&mut site, Verb::Get, "//hub.local/#");
    assert_eq!(rig.says(&mut site, &get("/any/thing")), Fate::Forwarded);
    let other = b"GET /any/thing HTTP/1.1\r\nHost: hub.locale\r\n\r\n";
    assert_eq!(rig.says(&mut site, other), UNKNOWN);
    assert_eq!(rig.says(&mut site, b"GET /any/thing HTTP/1.0\r\n\r\n"), UNKNOWN);
}

#[test]
fn a_denied_request_ends_the_connection_at_both_ends() {
    let Some(mut site) = site() else { return };
    let rig = Rig::http(&mut site).allow(&mut site, Verb::Get, "/a");
    let mut connection = rig.open(&mut site);
    let bytes = get("/b");
    let judged = connection.send(&mut site, Client, ACK, &bytes);
    assert_eq!(judged.fate, UNKNOWN);
    connection.assert_both_reset(&site, &judged, bytes.len() as u32);
}

#[test]
fn every_request_of_a_connection_is_judged() {
    let Some(mut site) = site() else { return };
    let rig = Rig::http(&mut site).allow(&mut site, Verb::Get, "/a").allow(&mut site, Verb::Set, "/a");
    let long = "x".repeat(1000);
    let chunked = format!("3e8\r\n{long}\r\n0\r\n\r\n");
    let ahead = [
        get("/a"),
        post("/a", "Content-Length: 1000\r\n", &long),
        post("/a", "Transfer-Encoding: chunked\r\n", &chunked),
        // What looks like a request in a body is none.
        post("/a", "Content-Length: 21\r\n", "GET /b HTTP/1.1\r\n\r\nxx"),
    ];
    for ahead in &ahead {
        let mut connection = rig.open(&mut site);
        assert_eq!(connection.say(&mut site, &[&ahead[..], &get("/a")].concat()), Fate::Forwarded);
        assert_eq!(
            connection.answer(&mut site, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
            Fate::Forwarded
        );
        assert_eq!(connection.say(&mut site, ahead), Fate::Forwarded);
        assert_eq!(connection.say(&mut site, &[&ahead[..], &get("/b")].concat()), UNKNOWN);
    }
}

/// Only so many pieces may be on their way.
fn say_and_acknowledge(connection: &mut Connection, site: &mut Site, byte: u8) -> Fate {
    let fate = connection.say(site, &[byte]);
    connection.answer(site, &[]);
    fate
}

#[test]
fn a_request_may_be_cut_at_every_byte() {
    let Some(mut site) = site() else { return };
    let rig = Rig::http(&mut site).allow(&mut site, Verb::Get, "/a").allow(&mut site, Verb::Set, "/a");
    let allowed = [get("/a"), post("/a", "Transfer-Encoding: chunked\r\n", "2\r\nxy\r\n0\r\n\r\n")].concat();
    let mut connection = rig.open(&mut site);
    for byte in &allowed {
        assert_eq!(say_and_acknowledge(&mut connection, &mut site, *byte), Fate::Forwarded);
    }
    let denied = get("/b");
    let fates: Vec<Fate> =
        denied.iter().map(|byte| say_and_acknowledge(&mut connection, &mut site, *byte)).collect();
    // Judged with the last byte but one: the server never has the whole head.
    assert_eq!(fates.iter().position(|fate| *fate != Fate::Forwarded), Some(denied.len() - 2));
    assert_eq!(fates[denied.len() - 2], UNKNOWN);
}

#[test]
fn what_could_be_read_in_two_ways_does_not_pass() {
    let Some(mut site) = site() else { return };
    let rig = Rig::http(&mut site).allow(&mut site, Verb::Get, "/#").allow(&mut site, Verb::Set, "/#");
    assert_eq!(rig.says(&mut site, &get("/a")), Fate::Forwarded);
    let cases = [
        post("/a", "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"),
        post("/a", "Content-Length: 5\r\nContent-Length: 6\r\n", "xxxxxx"),
        post("/a", "Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n"),
        post("/a", "Transfer-Encoding : chunked\r\n", "0\r\n\r\n"),
        post("/a", "X: y\r\n z\r\n", ""),
        post("/a", "Host: other\r\n", ""),
        b"GET /a HTTP/1.1\nHost: hub\n\n".to_vec(),
        b"GET /a HTTP/1.1\r\n\r\n".to_vec(),
        b"GET http://other/a HTTP/1.1\r\nHost: hub\r\n\r\n".to_vec(),
        b"GET /a HTTP/1.1\r\nHost: hub\r\nContent-Length: 4\r\n\r\nGET ".to_vec(),
        get("/a/../b"),
        get("/a/%2e%2e/b"),
        get("/%61"),
        get("/a%2fb"),
        get("//a"),
        get("/a\\b"),
    ];
    for case in &cases {
        assert_eq!(rig.says(&mut site, case), MALFORMED, "{}", String::from_utf8_lossy(case));
    }
    assert_eq!(rig.says(&mut site, &get(&"/a".repeat(200))), Fate::Reset(Reason::ObjectCap));
    assert!(rig.noted(&site).is_empty());
}

#[test]
fn another_protocol_on_an_http_edge_is_no_http() {
    let Some(mut site) = site() else { return };
    let rig = Rig::http(&mut site).allow(&mut site, Verb::Get, "/#");
    for words in [
        &b"\x16\x03\x01\x00\xa5\x01"[..],
        b"\x10\x0c\0\x04MQTT\x04\x02\0\0\0\0",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"CONNECT lock:22 HTTP/1.1\r\n",
        b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n",
        b"\r\n",
    ] {
        assert_eq!(rig.says(&mut site, words), CHANGED, "{words:?}");
        assert_eq!(rig.says(&mut site, &[&get("/a"), words].concat()), CHANGED, "{words:?}");
    }
    let mut connection = rig.open(&mut site);
    assert_eq!(connection.say(&mut site, &get("/a")), Fate::Forwarded);
    assert_eq!(connection.answer(&mut site, b"SSH-2.0-x\r\n"), CHANGED);
}

const UPGRADE: &[u8] =
    b"GET /live HTTP/1.1\r\nHost: hub\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
const SWITCHING: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n";

#[test]
fn an_upgrade_is_another_protocol() {
    let Some(mut site) = site() else { return };
    let rig = Rig::http(&mut site).allow(&mut site, Verb::Get, "/#");
    assert_eq!(rig.says(&mut site, UPGRADE), CHANGED);
    let mut connection = rig.open(&mut site);
    assert_eq!(connection.say(&mut site, &get("/a")), Fate::Forwarded);
    assert_eq!(connection.answer(&mut site, SWITCHING), CHANGED, "nobody asked");

    let both = [Protocol::Http, Protocol::Websocket];
    let rig = Rig::new(&mut site, HTTP_PORT, proto::TCP, &both).allow(&mut site, Verb::Get, "/live");
    let mut connection = rig.open(&mut site);
    assert_eq!(connection.say(&mut site, UPGRADE), Fate::Forwarded);
    assert_eq!(connection.answer(&mut site, SWITCHING), Fate::Forwarded);
    for _ in 0..2 {
        assert_eq!(connection.say(&mut site, b"\x82\x05frame"), Fate::Forwarded);
        assert_eq!(connection.answer(&mut site, b"\x81\x02ok"), Fate::Forwarded);
    }
    // Before the server has agreed, or after it has not, these would be requests.
    let mut connection = rig.open(&mut site);
    assert_eq!(connection.say(&mut site, &[UPGRADE, &get("/lock")].concat()), MALFORMED);
    let mut connection = rig.open(&mut site);
    assert_eq!(connection.say(&mut site, UPGRADE), Fate::Forwarded);
    assert_eq!(connection.answer(&mut site, b"HTTP/1.1 400 No\r\n\r\n"), Fate::Forwarded);
    assert_eq!(connection.say(&mut site, &get("/lock")), MALFORMED);
}

#[test]
fn a_refused_login_is_noted() {
    let Some(mut site) = site() else { return };
    let rig = Rig::http(&mut site).allow(&mut site, Verb::Get, "/#");
    let mut connection = rig.open(&mut site);
    assert_eq!(connection.say(&mut site, &get("/a")), Fate::Forwarded);
    assert_eq!(connection.answer(&mut site, b"HTTP/1.1 401 No\r\n\r\n"), Fate::Forwarded);
    let noted = (Kind::LoginFailed, String::new(), Verdict::Forwarded, Reason::LoginFailed);
    assert_eq!(rig.noted(&site), [noted]);
}

#[test]
fn a_refused_login_is_noted_in_datagrams_too() {
    let Some(mut site) = site() else { return };
    let rig = Rig::coap(&mut site).allow(&mut site, Verb::Get, "/#");
    let flow = Datagrams::new(&mut site, &rig, 4);
    assert!(flow.ask(&mut site, &coap(1, &[(11, b"a")])).is_delivered());
    assert_eq!(flow.answer(&mut site, &coap(0x84, &[])), Fate::Forwarded, "4.04");
    assert_eq!(rig.noted(&site), []);
    assert_eq!(flow.answer(&mut site, &coap(0x81, &[])), Fate::Forwarded, "4.01");
    let noted = (Kind::LoginFailed, String::new(), Verdict::Forwarded, Reason::LoginFailed);
    assert_eq!(rig.noted(&site), [noted]);
}

#[test]
fn a_server_asks_nothing() {
    let Some(mut site) = site() else { return };
    let rig = Rig::http(&mut site).allow(&mut site, Verb::Get, "/#");
    for request in [&get("/a")[..], b"DELETE /a HTTP/1.1\r\n", b"PRI * HTTP/2.0\r\n", b"\x10\x0c\0\x04MQTT"] {
        let mut connection = rig.open(&mut site);
        assert_eq!(connection.answer(&mut site, request), CHANGED, "before it was asked: {request:?}");
        let mut connection = rig.open(&mut site);
        assert_eq!(connection.say(&mut site, &get("/a")), Fate::Forwarded);
        assert_eq!(connection.answer(&mut site, request), CHANGED, "{request:?}");
    }
    let rig = Rig::coap(&mut site).allow(&mut site, Verb::Get, "/#");
    let flow = Datagrams::new(&mut site, &rig, 4);
    assert!(flow.ask(&mut site, &coap(1, &[(11, b"a")])).is_delivered());
    for code in [1, 2, 3, 4, 5, 7] {
        let request = coap(code, &[(11, b"a")]);
        assert_eq!(flow.answer(&mut site, &request), Fate::Dropped(Reason::ProtoChanged), "{code}");
    }
    // Nor does a client answer.
    assert_eq!(flow.ask(&mut site, &coap(0x45, &[])).fate, Fate::Dropped(Reason::ProtoChanged));
}

#[test]
fn modbus_is_judged_on_any_port_that_speaks_it() {
    let Some(mut site) = site() else { return };
    let (read, write) = (adu(3, &[0, 1, 0, 1]), adu(6, &[0, 1, 0, 1]));
    let rig = Rig::new(&mut site, 5_020, proto::TCP, &[Protocol::Modbus]).registers(
        &mut site,
        Verb::Read,
        "1/holding/#",
        RuleState::Allowed,
    );
    assert_eq!(rig.says(&mut site, &read), Fate::Forwarded);
    assert_eq!(rig.says(&mut site, &write), UNKNOWN);
    assert_eq!(rig.says(&mut site, &get("/a")), CHANGED);
    // Without a word about it, any bytes may begin so: it is opaque, which is an edge of its own.
    let rig = Rig::new(&mut site, 5_020, proto::TCP, &[]).allow(&mut site, Verb::Get, "/#");
    assert_eq!(rig.says(&mut site, &write), Fate::Forwarded);
    let noted = (Kind::Speaks, "opaque".to_owned(), Verdict::Forwarded, Reason::Learned);
    assert_eq!(rig.noted(&site), [noted]);
    let rig = Rig::http(&mut site).allow(&mut site, Verb::Get, "/#");
    assert_eq!(rig.says(&mut site, &write), CHANGED);
}

#[test]
fn what_a_learning_device_asks_for_is_noted() {
    let Some(mut site) = site() else { return };
    let (device, server) = (site.settled(Mode::Learning), site.settled(Mode::Learning));
    let learned = |site: &Site| {
        let mut learned: Vec<(Kind, String)> = site
            .observed(device.id)
            .into_iter()
            .filter(|noted| noted.reason == Reason::Learned && noted.kind != Kind::Transport)
            .map(|noted| (noted.kind, noted.object))
            .collect();
        learned.sort_by_key(|(kind, object)| (*kind as u8, object.clone()));
        learned
    };
    let mut http = Connection::open(&mut site, device, server, HTTP_PORT);
    assert_eq!(http.say(&mut site, &[get("/a?b"), post("/c", "", "")].concat()), Fate::Forwarded);
    let mut modbus = Connection::open(&mut site, device, server, MODBUS_PORT);
    assert_eq!(modbus.say(&mut site, &adu(3, &[0, 100, 0, 10])), Fate::Forwarded);
    let coap = frame::udp(&device, &server, 40_000, COAP_PORT, &coap(1, &[(11, b"a")]));
    assert_eq!(site.host_sends(&device, &coap).fate, Fate::Forwarded);
    let expected = [
        (Kind::Speaks, "coap"),
        (Kind::Speaks, "http"),
        (Kind::Speaks, "modbus"),
        (Kind::HttpGet, "/a hub.local"),
        (Kind::HttpSet, "/c hub.local"),
        (Kind::CoapGet, "/a"),
        (Kind::ModbusRead, "1/holding/100-109"),
    ];
    let expected: Vec<(Kind, String)> = expected.map(|(kind, object)| (kind, object.to_owned())).to_vec();
    assert_eq!(learned(&site), expected);
}

#[test]
fn monitoring_lets_requests_pass_and_notes_them() {
    let Some(mut site) = site() else { return };
    let rig = Rig::http(&mut site).allow(&mut site, Verb::Get, "/a");
    site.monitor(true);
    assert_eq!(rig.says(&mut site, &get("/b")), Fate::Forwarded);
    let noted = (Kind::HttpGet, "/b hub.local".to_owned(), Verdict::Audit, Reason::EdgeUnknown);
    assert_eq!(rig.noted(&site), [noted]);
    site.monitor(false);
    assert_eq!(rig.says(&mut site, &get("/b")), UNKNOWN);
}

/// A confirmable message with these options, in ascending order, none longer than twelve bytes.
fn coap(code: u8, options: &[(u8, &[u8])]) -> Vec<u8> {
    let mut bytes = vec![0x41, code, 0x12, 0x34, 0xaa];
    let mut last = 0;
    for (number, value) in options {
        let delta = number - last;
        let length = value.len() as u8;
        if delta < 13 {
            bytes.push(delta << 4 | length);
        } else {
            bytes.extend([13 << 4 | length, delta - 13]);
        }
        bytes.extend(*value);
        last = *number;
    }
    bytes
}

/// A client that sends datagrams from a port of its own, over one version of IP.
struct Datagrams {
    client: Host,
    server: Host,
    port: u16,
    version: u8,
}

impl Datagrams {
    fn new(site: &mut Site, rig: &Rig, version: u8) -> Self {
        Self { client: rig.device, server: rig.server, port: site.fresh_port(), version }
    }

    fn frame(&self, by_client: bool, payload: &[u8]) -> Vec<u8> {
        let (from, to, ports) = if by_client {
            (&self.client, &self.server, (self.port, COAP_PORT))
        } else {
            (&self.server, &self.client, (COAP_PORT, self.port))
        };
        let make = if self.version == 4 { frame::udp } else { frame::udp6 };
        make(from, to, ports.0, ports.1, payload)
    }

    fn ask(&self, site: &mut Site, payload: &[u8]) -> Judged {
        site.host_sends(&self.client, &self.frame(true, payload))
    }

    fn answer(&self, site: &mut Site, payload: &[u8]) -> Fate {
        site.host_sends(&self.server, &self.frame(false, payload)).fate
    }
}

#[test]
fn each_datagram_of_coap_is_judged() {
    let Some(mut site) = site() else { return };
    for version in [4, 6] {
        let rig = Rig::coap(&mut site)
            .allow(&mut site, Verb::Get, "/sensors/+")
            .allow(&mut site, Verb::Subscribe, "/sensors/temp")
            .deny(&mut site, Verb::Get, "/sensors/key");
        let flow = Datagrams::new(&mut site, &rig, version);
        let sensor = |name: &'static [u8]| coap(1, &[(11, b"sensors"), (11, name)]);
        let unknown = Fate::Dropped(Reason::EdgeUnknown);
        for _ in 0..2 {
            assert!(flow.ask(&mut site, &sensor(b"temp")).is_delivered());
            assert_eq!(flow.answer(&mut site, &[0x61, 0x45, 0x12, 0x34, 0xaa, 0xff, b'2']), Fate::Forwarded);
            assert_eq!(flow.ask(&mut site, &sensor(b"key")).fate, Fate::Dropped(Reason::EdgeDenied));
            assert_eq!(flow.ask(&mut site, &coap(1, &[(11, b"lock")])).fate, unknown);
            assert_eq!(flow.ask(&mut site, &coap(3, &[(11, b"sensors"), (11, b"temp")])).fate, unknown);
        }
        let observe = |name: &'static [u8]| coap(1, &[(6, b""), (11, b"sensors"), (11, name)]);
        assert!(flow.ask(&mut site, &observe(b"temp")).is_delivered());
        assert_eq!(flow.ask(&mut site, &observe(b"hall")).fate, unknown);
        let noted = rig.noted(&site);
        for (kind, object, reason) in [
            (Kind::CoapGet, "/sensors/key", Reason::EdgeDenied),
            (Kind::CoapGet, "/lock", Reason::EdgeUnknown),
            (Kind::CoapSet, "/sensors/temp", Reason::EdgeUnknown),
            (Kind::CoapObserve, "/sensors/hall", Reason::EdgeUnknown),
        ] {
            let entry = noted.iter().find(|entry| (entry.0, &entry.1[..], entry.3) == (kind, object, reason));
            assert!(entry.is_some(), "{kind:?} {object}: {noted:?}");
        }
    }
}

#[test]
fn a_datagram_that_is_no_coap_does_not_pass_as_coap() {
    let Some(mut site) = site() else { return };
    let rig = Rig::coap(&mut site).allow(&mut site, Verb::Get, "/#");
    let flow = Datagrams::new(&mut site, &rig, 4);
    assert!(flow.ask(&mut site, &coap(1, &[(3, b"hub.local"), (11, b"a")])).is_delivered());
    let changed = Fate::Dropped(Reason::ProtoChanged);
    let malformed = Fate::Dropped(Reason::Malformed);
    for (payload, fate) in [
        (b"\x16\xfe\xfd\0\0".to_vec(), changed),
        (b"hello".to_vec(), changed),
        (vec![], changed),
        (coap(1, &[(35, b"coap://x")]), changed),
        (coap(0x45, &[]), changed),
        (coap(1, &[(11, b"..")]), malformed),
        (coap(1, &[(11, b"a/b")]), malformed),
        (coap(1, &[(11, b"a"), (13, b"")]), malformed),
        ([coap(1, &[(11, b"a")]), vec![0xff]].concat(), malformed),
        (coap(1, &[(11, b"a")])[..6].to_vec(), malformed),
    ] {
        assert_eq!(flow.ask(&mut site, &payload).fate, fate, "{payload:?}");
    }
    assert_eq!(flow.answer(&mut site, &coap(0x45, &[])), Fate::Forwarded);
    assert_eq!(flow.answer(&mut site, &coap(1, &[(11, b"a")])), changed, "the server asks");
    // Of a longer packet the receiver reads what the datagram says.
    let mut longer = flow.frame(true, &[coap(1, &[(11, b"a")]), b"\x01b".to_vec()].concat());
    let at = frame::NETWORK + 20 + 4;
    longer[at + 1] -= 2;
    longer[at + 2..at + 4].fill(0);
    assert!(site.host_sends(&rig.device, &longer).is_delivered());
}

/// A Modbus message to unit 1.
fn adu(function: u8, data: &[u8]) -> Vec<u8> {
    let length = (data.len() + 2) as u8;
    [&[0x12, 0x34, 0, 0, 0, length, 1, function], data].concat()
}

#[test]
fn registers_are_read_and_written_by_rule() {
    let Some(mut site) = site() else { return };
    let rig = Rig::modbus(&mut site)
        .registers(&mut site, Verb::Read, "1/holding/100-199", RuleState::Allowed)
        .registers(&mut site, Verb::Read, "1/holding/200-299", RuleState::Allowed)
        .registers(&mut site, Verb::Read, "1/holding/250", RuleState::Denied)
        .registers(&mut site, Verb::Write, "+/coils/#", RuleState::Allowed);
    let read = |start: u16, quantity: u8| {
        let [high, low] = start.to_be_bytes();
        adu(3, &[high, low, 0, quantity])
    };
    for (start, quantity) in [(100, 1), (100, 125), (190, 20), (199, 1), (251, 49)] {
        assert_eq!(rig.says(&mut site, &read(start, quantity)), Fate::Forwarded, "{start} {quantity}");
    }
    for (start, quantity) in [(99, 1), (99, 2), (299, 2), (0, 1), (65_535, 1)] {
        assert_eq!(rig.says(&mut site, &read(start, quantity)), UNKNOWN, "{start} {quantity}");
    }
    for (start, quantity) in [(250, 1), (249, 2), (250, 10)] {
        assert_eq!(rig.says(&mut site, &read(start, quantity)), DENIED, "{start} {quantity}");
    }
    // All between the ends counts.
    assert_ne!(rig.says(&mut site, &read(249, 3)), Fate::Forwarded);
    assert_eq!(rig.says(&mut site, &adu(5, &[0, 7, 0xff, 0])), Fate::Forwarded);
    assert_eq!(rig.says(&mut site, &adu(6, &[0, 100, 0, 1])), UNKNOWN);
    assert_eq!(rig.says(&mut site, &adu(90, &[1, 2, 3])), UNKNOWN);
    assert_eq!(rig.says(&mut site, &adu(1, &[0, 7, 0, 1])), UNKNOWN);
    let noted = rig.noted(&site);
    for (kind, object) in [
        (Kind::ModbusRead, "1/holding/99-100"),
        (Kind::ModbusWrite, "1/holding/100-100"),
        (Kind::ModbusWrite, "1/fn90/0-0"),
        (Kind::ModbusRead, "1/coils/7-7"),
    ] {
        let wanted = (kind, object.to_owned(), Verdict::Reset, Reason::EdgeUnknown);
        assert!(noted.contains(&wanted), "{wanted:?} in {noted:?}");
    }
}

#[test]
fn every_message_of_a_modbus_segment_is_judged() {
    let Some(mut site) = site() else { return };
    let rig = Rig::modbus(&mut site)
        .registers(&mut site, Verb::Read, "1/holding/#", RuleState::Allowed)
        .registers(&mut site, Verb::Write, "1/holding/0-9", RuleState::Allowed);
    let read = adu(3, &[0, 0, 0, 1]);
    let write = |start: u8| adu(16, &[0, start, 0, 1, 2, 0, 1]);
    let both = |start: u8| adu(23, &[0, 0, 0, 1, 0, start, 0, 1, 2, 0, 1]);
    let mut connection = rig.open(&mut site);
    assert_eq!(connection.say(&mut site, &[&read[..], &write(9), &both(9), &read].concat()), Fate::Forwarded);
    assert_eq!(connection.answer(&mut site, &adu(3, &[2, 0, 1])), Fate::Forwarded);
    for byte in [&read[..], &write(3)].concat() {
        assert_eq!(connection.say(&mut site, &[byte]), Fate::Forwarded);
    }
    assert_eq!(connection.say(&mut site, &[&read[..], &both(10)].concat()), UNKNOWN);
    assert_eq!(rig.says(&mut site, &[&read[..], &write(10), &read].concat()), UNKNOWN);
    assert_eq!(rig.says(&mut site, &adu(3, &[0, 0, 0, 126])), MALFORMED);
    assert_eq!(rig.says(&mut site, &adu(3, &[0xff, 0xff, 0, 2])), MALFORMED);
    assert_eq!(rig.says(&mut site, b"GET / HTTP/1.1\r\n\r\n"), CHANGED);
    assert_eq!(rig.says(&mut site, &[&read[..], b"GET / "].concat()), MALFORMED);
    let mut connection = rig.open(&mut site);
    assert_eq!(connection.say(&mut site, &read), Fate::Forwarded);
    assert_eq!(connection.send(&mut site, Server, ACK, b"HTTP/1.1 200 OK").fate, CHANGED);
}
