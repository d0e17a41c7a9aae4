//! Names before addresses: what a device was told by its resolver decides whom it reaches.

use firewall_common::{
    abi::{Addr, Kind, PrincipalId, Protocol, RESOLVED_EACH, server},
    precedence::{Mode, RuleState},
    reason::{Reason, Verdict},
    wire::{dns::kind, frame::proto},
};

use crate::{
    connection::{
        Connection,
        Side::{Client, Server},
    },
    dns::{ASKED, ID, address, answer, ask, name, question, record},
    frame::{self, ACK, Segment, TRANSPORT},
    site::{BOX, Fate, Host, Site, TC_REDIRECT, TC_SHOT, site, transport_edge},
};

const UNKNOWN: Fate = Fate::Dropped(Reason::EdgeUnknown);

/// A device that may ask for names of `maker.example`, and a service by name that it may reach.
struct Rig {
    device: Host,
    /// The principal of `api.maker.example`, at whatever address.
    service: Host,
}

const SERVICE: &str = "api.maker.example";
const PORT: u16 = 443;

impl Rig {
    fn new(site: &mut Site) -> Self {
        let device = site.settled(Mode::Learning);
        site.may_ask(&device, "maker.example");
        // What it asked for while it learned is not counted.
        for asked in ["api", "www", "second", "denied"] {
            let asked = format!("{asked}.maker.example");
            assert_eq!(exchange(site, &device, &ask(&asked), &answer(&asked, &[])), Fate::Forwarded);
        }
        site.set_mode(device.id, Mode::Enforcing, false);
        let service = site.named(SERVICE);
        site.edge(&device, &service, PORT, RuleState::Allowed);
        Self { device, service }
    }

    /// The device asks the box and is told these addresses.
    fn resolves(&self, site: &mut Site, asked: &str, addrs: &[Addr]) {
        let records: Vec<Vec<u8>> = addrs.iter().map(|addr| address(ASKED, *addr)).collect();
        assert_eq!(exchange(site, &self.device, &ask(asked), &answer(asked, &records)), Fate::Forwarded);
    }

    fn connects(&self, site: &mut Site, to: &Host) -> Fate {
        connects(site, &self.device, to)
    }
}

/// A question and its answer, both over one flow; what became of the answer.
fn exchange(site: &mut Site, device: &Host, question: &[u8], answer: &[u8]) -> Fate {
    let port = site.fresh_port();
    let judged = site.device_sends(&frame::udp(device, &BOX, port, 53, question));
    assert!(judged.is_delivered(), "{:?}", judged.fate);
    site.device_gets(&frame::udp(&BOX, device, 53, port, answer)).fate
}

fn connects(site: &mut Site, device: &Host, to: &Host) -> Fate {
    let port = site.fresh_port();
    site.device_sends(&frame::tcp(device, to, Segment::syn(port, PORT), &[])).fate
}

#[test]
fn the_first_frame_to_a_new_address_of_a_known_name_passes() {
    let Some(mut site) = site() else { return };
    let rig = Rig::new(&mut site);
    let (first, second) = (site.outside(false), site.outside(false));
    assert_eq!(rig.connects(&mut site, &first), UNKNOWN);
    rig.resolves(&mut site, SERVICE, &[first.v4(), first.v6()]);
    assert_eq!(rig.connects(&mut site, &first), Fate::Forwarded);
    // The service moves, and is reached at once; the device may use what it has until then.
    assert_eq!(rig.connects(&mut site, &second), UNKNOWN);
    rig.resolves(&mut site, "API.Maker.example", &[second.v4()]);
    assert_eq!(rig.connects(&mut site, &second), Fate::Forwarded);
    assert_eq!(rig.connects(&mut site, &first), Fate::Forwarded);
    // Both versions of IP are one edge.
    let port = site.fresh_port();
    let syn = frame::tcp6(&rig.device, &first, Segment::syn(port, PORT), &[]);
    assert!(site.device_sends(&syn).is_delivered());
    // Its answers come back, and other ports are other edges.
    let connection = Connection::open(&mut site, rig.device, second, PORT);
    assert_eq!(Connection { ..connection }.answer(&mut site, b"data"), Fate::Forwarded);
    let port = site.fresh_port();
    let other = frame::tcp(&rig.device, &first, Segment::syn(port, 8883), &[]);
    assert_eq!(site.device_sends(&other).fate, UNKNOWN);
    let noted = site.observed(rig.device.id);
    assert!(
        noted.iter().any(|noted| noted.edge.dst == rig.service.id && noted.edge.port == 8883),
        "{noted:?}"
    );
}

#[test]
fn one_devices_name_is_no_other_devices_right() {
    let Some(mut site) = site() else { return };
    let rig = Rig::new(&mut site);
    let host = site.outside(false);
    let other = site.settled(Mode::Enforcing);
    site.edge(&other, &rig.service, PORT, RuleState::Allowed);
    rig.resolves(&mut site, SERVICE, &[host.v4()]);
    assert_eq!(rig.connects(&mut site, &host), Fate::Forwarded);
    assert_eq!(connects(&mut site, &other, &host), UNKNOWN);
    // Nor is the answer one to a device that has not asked.
    let port = site.fresh_port();
    site.may_ask(&other, "maker.example");
    let asks = frame::udp(&other, &BOX, port, 53, &ask("www.maker.example"));
    assert!(site.device_sends(&asks).is_delivered());
    let told = answer(SERVICE, &[address(ASKED, host.v4())]);
    let fate = site.device_gets(&frame::udp(&BOX, &other, 53, port, &told)).fate;
    assert_eq!(fate, Fate::Dropped(Reason::EssentialShape));
    assert_eq!(connects(&mut site, &other, &host), UNKNOWN);
}

#[test]
fn a_second_site_on_the_same_address_is_another_one() {
    let Some(mut site) = site() else { return };
    let rig = Rig::new(&mut site);
    let host = site.outside(false);
    rig.resolves(&mut site, SERVICE, &[host.v4()]);
    assert_eq!(rig.connects(&mut site, &host), Fate::Forwarded);
    let mut connection = Connection::open(&mut site, rig.device, host, PORT);
    rig.resolves(&mut site, "www.maker.example", &[host.v4()]);
    assert_eq!(rig.connects(&mut site, &host), UNKNOWN);
    // What is open stays what it was opened as.
    assert_eq!(connection.say(&mut site, b"more"), Fate::Forwarded);
    assert_eq!(connection.answer(&mut site, b"more"), Fate::Forwarded);
    rig.resolves(&mut site, SERVICE, &[host.v4()]);
    assert_eq!(rig.connects(&mut site, &host), Fate::Forwarded);
}

#[test]
fn a_domain_stands_for_all_names_below_it() {
    let Some(mut site) = site() else { return };
    let device = site.settled(Mode::Enforcing);
    site.may_ask(&device, "cloud.example");
    let domain = site.named("*.cloud.example");
    let own = site.named("own.cloud.example");
    site.edge(&device, &domain, PORT, RuleState::Allowed);
    let rig = Rig { device, service: domain };
    for (asked, fate) in [
        ("a.cloud.example", Fate::Forwarded),
        ("b.a.cloud.example", Fate::Forwarded),
        ("cloud.example", Fate::Forwarded),
        // Who has a number of its own is somebody else.
        ("own.cloud.example", UNKNOWN),
    ] {
        let host = site.outside(false);
        rig.resolves(&mut site, asked, &[host.v4()]);
        assert_eq!(rig.connects(&mut site, &host), fate, "{asked}");
    }
    site.edge(&rig.device, &own, PORT, RuleState::Allowed);
    let host = site.outside(false);
    rig.resolves(&mut site, "own.cloud.example", &[host.v4()]);
    assert_eq!(rig.connects(&mut site, &host), Fate::Forwarded);
    site.may_ask(&rig.device, "example");
    rig.resolves(&mut site, "acloud.example", &[host.v4()]);
    assert_eq!(rig.connects(&mut site, &host), UNKNOWN);
}

#[test]
fn the_chain_of_aliases_belongs_to_the_name() {
    let Some(mut site) = site() else { return };
    let rig = Rig::new(&mut site);
    let (host, other) = (site.outside(false), site.outside(false));
    let records = [
        record(ASKED, kind::CNAME, &name("edge.cdn.example")),
        record(&name("edge.cdn.example"), kind::CNAME, &name("pop-7.cdn.example")),
        address(&name("pop-7.cdn.example"), host.v4()),
        // Not asked for.
        address(&name("bank.example"), other.v4()),
    ];
    assert_eq!(exchange(&mut site, &rig.device, &ask(SERVICE), &answer(SERVICE, &records)), Fate::Forwarded);
    assert_eq!(rig.connects(&mut site, &host), Fate::Forwarded);
    assert_eq!(rig.connects(&mut site, &other), UNKNOWN);
}

#[test]
fn lies_bind_nothing() {
    let Some(mut site) = site() else { return };
    let rig = Rig::new(&mut site);
    let host = site.outside(false);
    let told = answer(SERVICE, &[address(ASKED, host.v4())]);
    let with = |at: usize, byte: u8| {
        let mut changed = told.clone();
        changed[at] = byte;
        changed
    };
    let strange = Fate::Dropped(Reason::EssentialShape);
    let malformed = Fate::Dropped(Reason::Malformed);
    let at = (told.len() - 16) as u8;
    let records = |record: Vec<u8>, count: usize| answer(SERVICE, &vec![record; count]);
    for (lie, fate, what) in [
        (with(0, 0), strange, "another number"),
        (answer("www.maker.example", &[address(ASKED, host.v4())]), strange, "another question"),
        (with(2, 0x83), Fate::Forwarded, "cut off"),
        (with(3, 0x83), Fate::Forwarded, "no such name"),
        (with(2, 0x01), malformed, "a question"),
        (records(address(&name("bank.example"), host.v4()), 3), Fate::Forwarded, "out of bailiwick"),
        (records(address(&name("maker.example"), host.v4()), 1), Fate::Forwarded, "the parent"),
        (records(address(&[0xc0, at], host.v4()), 1), malformed, "points at itself"),
        (records(address(&[0xff, 0xff], host.v4()), 1), malformed, "points forward"),
        (records(address(&[1, b'x', 0xc0, at], host.v4()), 1), malformed, "a loop"),
        (records(address(ASKED, host.v4()), 129), Fate::Dropped(Reason::WorkCap), "too many"),
        (
            records(address(&name("x.example"), host.v4()), 129),
            Fate::Dropped(Reason::WorkCap),
            "far too many",
        ),
        (told[..told.len() - 1].to_vec(), malformed, "cut in the middle"),
        (told[..20].to_vec(), malformed, "cut in the name"),
        (told[..5].to_vec(), malformed, "cut in the header"),
    ] {
        assert_eq!(exchange(&mut site, &rig.device, &ask(SERVICE), &lie), fate, "{what}");
        assert_eq!(rig.connects(&mut site, &host), UNKNOWN, "{what}");
    }
    // One answer for each question, and none before it.
    let port = site.fresh_port();
    let before = site.device_gets(&frame::udp(&BOX, &rig.device, 53, port, &told)).fate;
    assert_eq!(before, UNKNOWN);
    assert_eq!(rig.connects(&mut site, &host), UNKNOWN);
    assert_eq!(exchange(&mut site, &rig.device, &ask(SERVICE), &told), Fate::Forwarded);
    assert_eq!(rig.connects(&mut site, &host), Fate::Forwarded);
}

#[test]
fn long_names_and_many_records_are_read_to_their_end() {
    let Some(mut site) = site() else { return };
    let rig = Rig::new(&mut site);
    let host = site.outside(false);
    let long = format!("{}.{}.{}.example", "a".repeat(63), "b".repeat(60), "c".repeat(60));
    let mut records = vec![record(ASKED, kind::CNAME, &name(&long))];
    // Where the long name is written, and a name below it.
    let at = ask(SERVICE).len() as u8 + 12;
    let below = [1, b'x', 0xc0, at];
    records.extend(vec![address(&below, host.v6()); 8]);
    records.push(address(&name(&long), host.v4()));
    assert_eq!(exchange(&mut site, &rig.device, &ask(SERVICE), &answer(SERVICE, &records)), Fate::Forwarded);
    assert_eq!(rig.connects(&mut site, &host), Fate::Forwarded);
    records.extend(vec![address(&below, host.v4()); 20]);
    let fate = exchange(&mut site, &rig.device, &ask(SERVICE), &answer(SERVICE, &records));
    assert_eq!(fate, Fate::Dropped(Reason::WorkCap));
}

#[test]
fn an_address_of_the_site_is_whose_it_is() {
    let Some(mut site) = site() else { return };
    let rig = Rig::new(&mut site);
    let other = site.settled(Mode::Enforcing);
    rig.resolves(&mut site, SERVICE, &[other.v4(), BOX.v4(), other.v6()]);
    assert_eq!(rig.connects(&mut site, &other), UNKNOWN);
    assert_eq!(rig.connects(&mut site, &BOX), UNKNOWN);
}

#[test]
fn an_edge_by_address_stays_one() {
    let Some(mut site) = site() else { return };
    let rig = Rig::new(&mut site);
    let host = site.outside(true);
    site.edge(&rig.device, &host, PORT, RuleState::Learned);
    assert_eq!(rig.connects(&mut site, &host), Fate::Forwarded);
    rig.resolves(&mut site, "www.maker.example", &[host.v4()]);
    assert_eq!(rig.connects(&mut site, &host), Fate::Forwarded);
    // Another port of the address is none of it: there the name decides.
    let port = site.fresh_port();
    let other = frame::tcp(&rig.device, &host, Segment::syn(port, 8883), &[]);
    assert_eq!(site.device_sends(&other).fate, UNKNOWN);
    let noted = site.observed(rig.device.id);
    let seen = noted.iter().find(|noted| noted.edge.port == 8883).expect("it is noted");
    assert_eq!((seen.edge.dst, seen.addr), (PrincipalId::UNKNOWN, host.v4()));
    // A name with a number comes before it.
    let denied = site.named("denied.maker.example");
    site.edge(&rig.device, &denied, PORT, RuleState::Denied);
    rig.resolves(&mut site, "denied.maker.example", &[host.v4()]);
    assert_eq!(rig.connects(&mut site, &host), Fate::Dropped(Reason::EdgeDenied));
}

#[test]
fn a_device_remembers_its_latest_addresses() {
    let Some(mut site) = site() else { return };
    let rig = Rig::new(&mut site);
    let at = |number: u64| {
        let [.., high, low] = number.to_be_bytes();
        Host { id: PrincipalId::UNKNOWN, v4: [198, 51, high, low], is_device: false, mac: BOX.mac, ..BOX }
    };
    let neighbour = Rig::new(&mut site);
    neighbour.resolves(&mut site, SERVICE, &[at(0).v4()]);
    let all: Vec<Addr> = (0..RESOLVED_EACH + 8).map(|number| at(number).v4()).collect();
    for some in all.chunks(66) {
        rig.resolves(&mut site, SERVICE, some);
    }
    assert_eq!(rig.connects(&mut site, &at(0)), UNKNOWN);
    assert_eq!(rig.connects(&mut site, &at(8)), Fate::Forwarded);
    assert_eq!(rig.connects(&mut site, &at(RESOLVED_EACH + 7)), Fate::Forwarded);
    assert_eq!(neighbour.connects(&mut site, &at(0)), Fate::Forwarded);
    // What is asked for again and again takes no place from the others.
    for _ in 0..RESOLVED_EACH {
        rig.resolves(&mut site, SERVICE, &[at(RESOLVED_EACH + 7).v4()]);
    }
    assert_eq!(rig.connects(&mut site, &at(9)), Fate::Forwarded);
}

#[test]
fn a_full_table_makes_room_of_what_holds_no_more() {
    let Some(mut site) = site() else { return };
    let at = |device: u64, number: u64| {
        let [.., high, low] = number.to_be_bytes();
        let mut v6 = BOX.v6;
        v6[..8].copy_from_slice(&[0x20, 1, 0xd, 0xb8, device as u8, 0, high, low]);
        Addr(v6)
    };
    for device in 0..20 {
        let rig = Rig::new(&mut site);
        let all: Vec<Addr> = (0..2 * RESOLVED_EACH).map(|number| at(device, number)).collect();
        for some in all.chunks(64) {
            rig.resolves(&mut site, SERVICE, some);
        }
    }
    let held = site.maps.resolved.keys().unwrap().len();
    assert!(held <= firewall_common::abi::capacity::RESOLVED as usize, "{held}");
    site.forget_names();
    let rig = Rig::new(&mut site);
    let host = site.outside(false);
    rig.resolves(&mut site, SERVICE, &[host.v4()]);
    assert_eq!(rig.connects(&mut site, &host), Fate::Forwarded);
}

#[test]
fn a_name_outside_the_model_is_refused_by_the_box() {
    let Some(mut site) = site() else { return };
    let device = site.settled(Mode::Enforcing);
    site.may_ask(&device, "maker.example");
    let cookie = [0, 0, 41, 16, 0, 0, 0, 0, 0, 0, 12, 0, 10, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8];
    let asked = question("x.tunnel.example", kind::AAAA, 1, &cookie);
    let port = site.fresh_port();
    let frames = [frame::udp(&device, &BOX, port, 53, &asked), frame::udp6(&device, &BOX, port, 53, &asked)];
    for frame in frames {
        let judged = site.device_sends(&frame);
        assert_eq!((judged.fate, judged.action), (UNKNOWN, TC_REDIRECT));
        let heard = judged.frame;
        let fields = frame::read(&heard);
        assert_eq!((fields.src_port, fields.dst_port), (53, port));
        assert_eq!((fields.src_mac, fields.dst_mac), (BOX.mac, device.mac));
        let told = &heard[fields.payload as usize..];
        assert_eq!((&told[..2], &told[2..4]), (&ID[..], &[0x81, 0x85][..]), "REFUSED");
        assert_eq!(told[4..], asked[4..], "everything else is as it was asked");
    }
    // A checksum that is not used stays so.
    let mut bare = frame::udp(&device, &BOX, port, 53, &asked);
    bare[TRANSPORT + 6..TRANSPORT + 8].fill(0);
    let judged = site.device_sends(&bare);
    assert_eq!((judged.fate, judged.action), (UNKNOWN, TC_REDIRECT));
    assert_eq!(judged.frame[TRANSPORT + 6..TRANSPORT + 8], [0, 0]);
    let noted = site.only_observed(device.id);
    assert_eq!((noted.kind, noted.object.as_str(), noted.count), (Kind::Resolve, "x.tunnel.example", 3));
    assert_eq!((noted.verdict, noted.reason), (Verdict::Dropped, Reason::EdgeUnknown));
    assert_eq!(noted.edge.dst, PrincipalId::SELF);
    site.may_ask_for(&device, "com");
    for (asked, passes) in [
        ("com", true),
        ("maker.com", false),
        ("xcom", false),
        ("maker.example", true),
        ("a.b.maker.example", true),
        ("amaker.example", false),
        ("maker.example.evil", false),
        ("example", false),
        ("", false),
    ] {
        let port = site.fresh_port();
        let fate = site.device_sends(&frame::udp(&device, &BOX, port, 53, &ask(asked))).fate;
        assert_eq!(fate, if passes { Fate::Forwarded } else { UNKNOWN }, "{asked}");
    }
}

#[test]
fn the_right_to_ask_belongs_to_a_device_and_ends() {
    let Some(mut site) = site() else { return };
    let (device, other) = (site.settled(Mode::Enforcing), site.settled(Mode::Enforcing));
    let asks = |site: &mut Site, device: &Host| {
        let port = site.fresh_port();
        site.device_sends(&frame::udp(device, &BOX, port, 53, &ask(SERVICE))).fate
    };
    site.may_ask(&device, "maker.example");
    assert_eq!((asks(&mut site, &device), asks(&mut site, &other)), (Fate::Forwarded, UNKNOWN));
    site.may_ask_until(&device, "maker.example", 1);
    assert_eq!(asks(&mut site, &device), UNKNOWN);
    site.monitor(true);
    assert_eq!(asks(&mut site, &device), Fate::Forwarded);
    assert!(site.observed(device.id).iter().any(|noted| noted.verdict == Verdict::Audit));
    site.monitor(false);
    // Who learns asks for anything, and it is noted; who may reach the Internet asks for anything.
    let learning = site.settled(Mode::Learning);
    assert_eq!(asks(&mut site, &learning), Fate::Forwarded);
    let noted = site.only_observed(learning.id);
    assert_eq!((noted.kind, noted.object.as_str()), (Kind::Resolve, SERVICE));
    assert_eq!((noted.verdict, noted.reason), (Verdict::Forwarded, Reason::Learned));
    let guest = site.settled(Mode::Guest);
    assert_eq!(asks(&mut site, &guest), Fate::Forwarded);
    // A named server is asked by the same rule, and is answered for.
    let resolver = site.outside(false);
    site.name_server(&resolver, server::DNS);
    let port = site.fresh_port();
    let judged = site.device_sends(&frame::udp(&device, &resolver, port, 53, &ask("tunnel.example")));
    assert_eq!((judged.fate, frame::read(&judged.frame).src), (UNKNOWN, resolver.v4()));
    // Where nobody is answered, nor is this.
    site.silent(true);
    let judged = site.device_sends(&frame::udp(&device, &resolver, port, 53, &ask("tunnel.example")));
    assert_eq!((judged.fate, judged.action), (UNKNOWN, TC_SHOT));
}

/// A `ClientHello` that asks for this server.
fn hello(server: &str) -> Vec<u8> {
    let vector = |width: usize, bytes: &[u8]| [&bytes.len().to_be_bytes()[8 - width..], bytes].concat();
    let entry = [&[0][..], &vector(2, server.as_bytes())].concat();
    let extension = [&[0, 0][..], &vector(2, &vector(2, &entry))].concat();
    let body =
        [&[3, 3][..], &[7; 32], &[0], &vector(2, &[0x13, 1]), &vector(1, &[0]), &vector(2, &extension)]
            .concat();
    let message = [&[1][..], &vector(3, &body)].concat();
    [&[22, 3, 1][..], &vector(2, &message)].concat()
}

/// Makes an edge one that speaks this.
fn speaks(site: &mut Site, device: &Host, server: &Host, port: u16, protocol: Protocol) {
    let key = transport_edge(device, server, port, proto::TCP);
    let mut edge = site.maps.edges.get(&key).unwrap().unwrap();
    edge.speaks = protocol.bit();
    site.maps.edges.put(&key, &edge).unwrap();
}

#[test]
fn a_server_name_must_be_one_that_led_to_the_address() {
    let Some(mut site) = site() else { return };
    let rig = Rig::new(&mut site);
    let (host, elsewhere) = (site.outside(false), site.outside(false));
    let (own, second) = (rig.service, site.named("second.maker.example"));
    site.edge(&rig.device, &second, PORT, RuleState::Allowed);
    for server in [own, second] {
        speaks(&mut site, &rig.device, &server, PORT, Protocol::Tls);
    }
    rig.resolves(&mut site, "second.maker.example", &[elsewhere.v4()]);
    rig.resolves(&mut site, SERVICE, &[host.v4()]);
    let says = |site: &mut Site, name: &str| {
        let mut connection = Connection::open(site, rig.device, host, PORT);
        connection.say(site, &hello(name))
    };
    assert_eq!(says(&mut site, SERVICE), Fate::Forwarded);
    assert_eq!(says(&mut site, "API.maker.example"), Fate::Forwarded);
    let mismatch = Fate::Reset(Reason::NameMismatch);
    for foreign in ["bank.example", "maker.example", "x.api.maker.example", "second.maker.example"] {
        assert_eq!(says(&mut site, foreign), mismatch, "{foreign}");
    }
    let noted = site.observed(rig.device.id);
    let seen = noted.iter().find(|noted| noted.object == "bank.example").expect("it is noted");
    assert_eq!((seen.kind, seen.verdict, seen.reason), (Kind::TlsName, Verdict::Reset, Reason::NameMismatch));

    // Of several names of one address, the one that is shown decides.
    rig.resolves(&mut site, "second.maker.example", &[host.v4()]);
    assert_eq!(says(&mut site, SERVICE), Fate::Forwarded);
    assert_eq!(says(&mut site, "second.maker.example"), Fate::Forwarded);
    let key = transport_edge(&rig.device, &own, PORT, proto::TCP);
    let rule = site.rule(RuleState::Denied);
    site.put_edge(key, rule);
    assert_eq!(says(&mut site, SERVICE), Fate::Reset(Reason::EdgeDenied));
    assert_eq!(says(&mut site, "second.maker.example"), Fate::Forwarded);
    // Whatever the segments, both ends are told.
    let rig = Rig::new(&mut site);
    speaks(&mut site, &rig.device, &rig.service, PORT, Protocol::Tls);
    rig.resolves(&mut site, SERVICE, &[host.v4()]);
    let mut connection = Connection::open(&mut site, rig.device, host, PORT);
    let bytes = hello("bank.example");
    assert_eq!(connection.say(&mut site, &bytes[..60]), Fate::Forwarded);
    let judged = connection.send(&mut site, Client, ACK, &bytes[60..]);
    assert_eq!(judged.fate, mismatch);
    connection.assert_both_reset(&site, &judged, bytes.len() as u32 - 60);
}

#[test]
fn a_connection_that_turns_to_another_name_is_judged_as_that() {
    let Some(mut site) = site() else { return };
    let rig = Rig::new(&mut site);
    let host = site.outside(false);
    let second = site.named("second.maker.example");
    for server in [rig.service, second] {
        site.edge(&rig.device, &server, PORT, RuleState::Allowed);
        speaks(&mut site, &rig.device, &server, PORT, Protocol::Tls);
    }
    rig.resolves(&mut site, SERVICE, &[host.v4()]);
    rig.resolves(&mut site, "second.maker.example", &[host.v4()]);
    let mut connection = Connection::open(&mut site, rig.device, host, PORT);
    assert_eq!(connection.say(&mut site, &hello(SERVICE)), Fate::Forwarded);
    assert_eq!(connection.answer(&mut site, b"\x16\x03\x03\0\x01\x02"), Fate::Forwarded);
    assert_eq!(connection.say(&mut site, b"\x17\x03\x03\0\x01\x02"), Fate::Forwarded);
    // Whom it goes to decides from now on, not as whom it was opened.
    let key = transport_edge(&rig.device, &second, PORT, proto::TCP);
    let rule = site.rule(RuleState::Denied);
    site.put_edge(key, rule);
    assert_eq!(connection.answer(&mut site, b"\x17\x03\x03\0\x01\x02"), Fate::Forwarded);
    let key = transport_edge(&rig.device, &rig.service, PORT, proto::TCP);
    let rule = site.rule(RuleState::Denied);
    site.put_edge(key, rule);
    let judged = connection.send(&mut site, Server, ACK, b"\x17\x03\x03\0\x01\x02");
    assert_eq!(judged.fate, Fate::Reset(Reason::EdgeDenied));
}

#[test]
fn an_address_without_a_name_keeps_the_names_that_it_has_learned() {
    let Some(mut site) = site() else { return };
    let (device, host) = (site.settled(Mode::Enforcing), site.outside(true));
    site.edge(&device, &host, PORT, RuleState::Learned);
    speaks(&mut site, &device, &host, PORT, Protocol::Tls);
    let mut connection = Connection::open(&mut site, device, host, PORT);
    assert_eq!(connection.say(&mut site, &hello("hard.example")), Fate::Reset(Reason::EdgeUnknown));
    // Who learns is told of, and goes on.
    let rig = Rig { device: site.settled(Mode::Learning), service: site.named(SERVICE) };
    let host = site.outside(false);
    rig.resolves(&mut site, SERVICE, &[host.v4()]);
    let mut connection = Connection::open(&mut site, rig.device, host, PORT);
    assert_eq!(connection.say(&mut site, &hello("bank.example")), Fate::Forwarded);
    let noted = site.observed(rig.device.id);
    let seen = noted.iter().find(|noted| noted.kind == Kind::TlsName).expect("it is noted");
    assert_eq!((seen.object.as_str(), seen.reason), ("bank.example", Reason::NameMismatch));
    let mut connection = Connection::open(&mut site, rig.device, host, PORT);
    assert_eq!(connection.say(&mut site, &hello(SERVICE)), Fate::Forwarded);
    assert_eq!(site.observed(rig.device.id).iter().filter(|noted| noted.kind == Kind::TlsName).count(), 1);
}

#[test]
fn the_host_of_a_request_must_be_one_that_led_to_the_address() {
    let Some(mut site) = site() else { return };
    let rig = Rig::new(&mut site);
    let host = site.outside(false);
    site.edge(&rig.device, &rig.service, 80, RuleState::Allowed);
    speaks(&mut site, &rig.device, &rig.service, 80, Protocol::Http);
    rig.resolves(&mut site, SERVICE, &[host.v4()]);
    let says = |site: &mut Site, name: &str| {
        let mut connection = Connection::open(site, rig.device, host, 80);
        connection.say(site, format!("GET /a HTTP/1.1\r\nHost: {name}\r\n\r\n").as_bytes())
    };
    assert_eq!(says(&mut site, "bank.example"), Fate::Reset(Reason::NameMismatch));
    assert_eq!(says(&mut site, "bank.example:80"), Fate::Reset(Reason::NameMismatch));
    // Its own name is right, but nothing is allowed there; an address is no name.
    assert_eq!(says(&mut site, SERVICE), Fate::Reset(Reason::EdgeUnknown));
    assert_eq!(says(&mut site, "203.0.113.7"), Fate::Reset(Reason::EdgeUnknown));
}
