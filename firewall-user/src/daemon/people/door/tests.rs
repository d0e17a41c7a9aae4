use firewall_common::{
    abi::{Addr, EdgeKey, Kind as ObjectKind, Observed, ObservedKey},
    precedence::Outcome,
    reason::{Reason, Verdict},
};
use graph::{
    Fact, Settings,
    edge::Path,
    graph::{Network, Patch},
    operation::Operation,
    principal::{Place, parse_address, show_mac},
};

use super::*;

const PORT: u16 = 8443;
const PHONE: &str = "192.168.1.20";
const CAMERA: &str = "192.168.1.30";

struct Site {
    graph: Graph,
    door: Door,
    now: Now,
}

impl Site {
    /// A phone and a camera that learn, and a page on the LAN.
    fn new() -> Self {
        let now =
            Now { boot_ns: 1_000_000_000_000, unix: 1_900_000_000, synchronised: true, ..Now::default() };
        let mut graph = Graph::new(Settings::default(), now);
        let network = Network { addr: parse_address("192.168.1.0").unwrap(), prefix: 120 };
        graph.handle_networks(vec![network], now);
        let mut site = Self { graph, door: Door::default(), now };
        for (number, address, kind) in [(0x20, PHONE, "phone"), (0x30, CAMERA, "camera")] {
            let id = site.arrives(number, address);
            let patch = Patch { kind: Some(kind.to_owned()), ..Patch::default() };
            site.graph.set_principal(id, &patch, &Author::person("owner"), now).unwrap();
        }
        site.door.serve_at(&["192.168.1.1:8443".parse().unwrap()], &site.graph);
        site
    }

    fn arrives(&mut self, number: u8, address: &str) -> PrincipalId {
        let mac = [2, 0, 0, 0, 0, number];
        self.graph.handle_stranger(Place { port: "lan0".to_owned(), ifindex: 3, vlan: 0, mac }, self.now);
        let id = self.graph.find(&show_mac(mac)).unwrap();
        self.graph.handle_bound(id, parse_address(address).unwrap(), self.now);
        id
    }

    fn id(&self, address: &str) -> PrincipalId {
        device_at(&self.graph, address.parse().unwrap()).unwrap()
    }

    /// A device tries to open the page, and the kernel says so.
    fn tries(&mut self, address: &str) {
        let src = self.id(address);
        let edge =
            EdgeKey { src, dst: PrincipalId::SELF, port: PORT, proto: 6, kind: ObjectKind::Transport as u8 };
        let key = ObservedKey { addr: Addr::default(), object: 0, edge, _pad: 0 };
        let (verdict, reason) = match self.outcome(address) {
            Outcome::Pass => return,
            Outcome::Learn => (Verdict::Forwarded, Reason::Learned),
            Outcome::Stop(reason) => (Verdict::Dropped, reason),
        };
        self.now.boot_ns += 1_000_000_000;
        let value = Observed {
            count: 1,
            first: self.now.boot_ns,
            last: self.now.boot_ns,
            verdict: verdict as u8,
            reason: reason as u8,
            object_len: 0,
            ifindex: 3,
            object: [0; 256],
        };
        self.graph.handle_observed(&Fact { key, value }, self.now);
        self.notes();
    }

    fn notes(&mut self) {
        while let Some(command) = self.graph.next_command() {
            if let graph::Command::Notify(event) = command {
                self.door.note(&event, &self.graph);
            }
        }
    }

    fn keeps(&mut self, open: Option<u32>) {
        self.door.keep(&mut self.graph, open, self.now);
    }

    fn outcome(&self, address: &str) -> Outcome {
        let operation = Operation::connect(6, PORT);
        let path = Path { plane: Plane::Packet, src: self.id(address), dst: PrincipalId::SELF, operation };
        self.graph.outcome(&path, self.now)
    }

    fn passes(&self, address: &str) -> bool {
        self.outcome(address) == Outcome::Pass
    }

    fn admits(&self, address: &str, is_open: bool) -> bool {
        admits(&self.graph, address.parse().unwrap(), PORT, is_open, self.now)
    }
}

#[test]
fn a_code_may_be_older_than_the_page() {
    let mut site = Site::new();
    site.door = Door::default();
    site.door.open(&site.graph);
    site.keeps(Some(600));
    assert!(!site.passes(PHONE), "there is nothing to reach");
    site.door.serve_at(&["192.168.1.1:8443".parse().unwrap()], &site.graph);
    site.keeps(Some(599));
    assert!(site.passes(PHONE) && !site.passes(CAMERA));
}

#[test]
fn nobody_learns_the_way_in() {
    let mut site = Site::new();
    for address in [PHONE, CAMERA] {
        assert_eq!(site.outcome(address), Outcome::Learn, "the first try, which only the page refuses");
        assert!(!site.admits(address, false));
        site.tries(address);
        site.keeps(None);
        assert!(matches!(site.outcome(address), Outcome::Stop(_)), "{address}");
        site.tries(address);
        site.keeps(None);
        assert!(!site.passes(address) && !site.admits(address, false), "{address} asks again");
    }
}

#[test]
fn while_a_code_is_open_a_phone_comes_in_and_a_camera_does_not() {
    let mut site = Site::new();
    site.door.open(&site.graph);
    site.keeps(Some(600));
    assert!(site.passes(PHONE) && site.admits(PHONE, true), "a known phone is expected");
    site.tries(CAMERA);
    site.keeps(Some(600));
    assert!(!site.passes(CAMERA) && !site.admits(CAMERA, true));

    site.now.boot_ns += 600_000_000_000;
    site.now.unix += 600;
    site.graph.handle_timeout(site.now);
    assert!(!site.passes(PHONE) && !site.admits(PHONE, false), "the time is over");
}

#[test]
fn a_phone_that_is_new_here_comes_in_while_a_code_is_open() {
    let mut site = Site::new();
    site.now.boot_ns += 30 * 86_400_000_000_000;
    site.now.unix += 30 * 86_400;
    site.arrives(0x40, "192.168.1.40");
    site.notes();
    site.keeps(None);
    assert!(!site.passes("192.168.1.40"));
    site.door.open(&site.graph);
    site.keeps(Some(600));
    assert!(site.passes("192.168.1.40"));
    site.arrives(0x41, "192.168.1.41");
    site.notes();
    site.keeps(Some(600));
    assert!(site.passes("192.168.1.41"), "it came while the code was open");
}

#[test]
fn a_paired_phone_stays_until_it_is_logged_out() {
    let mut site = Site::new();
    let (phone, anna) = (site.id(PHONE), Author::person("Anna"));
    assert!(site.door.let_in(&mut site.graph, phone, Lifetime::Always, &anna, site.now));
    assert!(!site.door.let_in(&mut site.graph, phone, Lifetime::Always, &anna, site.now), "once is enough");
    assert!(site.passes(PHONE) && site.admits(PHONE, false));
    site.door.shut(&mut site.graph, phone, &anna, site.now);
    assert!(!site.passes(PHONE) && !site.admits(PHONE, false));
}

#[test]
fn what_someone_denied_stays_denied() {
    let mut site = Site::new();
    site.tries(PHONE);
    site.keeps(None);
    site.tries(PHONE);
    let edge = site.door.ways_in(&site.graph).next().unwrap().id;
    site.graph.decide(edge, Answer::Deny, Lifetime::Always, &Author::person("Anna"), None, site.now).unwrap();
    site.door.open(&site.graph);
    site.keeps(Some(600));
    assert!(!site.passes(PHONE));
}

#[test]
fn a_thing_gets_no_answer_even_if_someone_allowed_it() {
    let mut site = Site::new();
    let camera = site.id(CAMERA);
    assert!(!site.door.let_in(&mut site.graph, camera, Lifetime::Always, &Author::person("Anna"), site.now));
    site.tries(CAMERA);
    let edge = site.door.ways_in(&site.graph).next().unwrap().id;
    site.graph
        .decide(edge, Answer::Allow, Lifetime::Always, &Author::person("Anna"), None, site.now)
        .unwrap();
    assert!(!site.admits(CAMERA, true));
    assert!(site.admits("192.168.99.9", false), "an address of no device came another way");
}
