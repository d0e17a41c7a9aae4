use std::{fs, time::Duration};

use firewall_common::{
    abi::{self, EdgeKey, Moved, Observed, ObservedKey},
    precedence::Mode,
    reason::{Reason, Verdict},
};
use graph::{Fact, Settings, principal::Place, usual::Metered};

use super::*;

const AT: [&str; 1] = ["192.168.1.1:8443"];

fn at(seconds: u64) -> Now {
    Now {
        boot_ns: (1_000 + seconds) * 1_000_000_000,
        unix: 1_900_000_000 + seconds.cast_signed(),
        synchronised: true,
        ..Now::default()
    }
}

/// A box that has just started, with a display and a boot partition that are a file and a folder.
struct Started {
    folder: tempfile::TempDir,
    people: People,
    graph: Graph,
}

impl Started {
    fn new(note: Option<&str>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("display"), "").unwrap();
        if let Some(note) = note {
            fs::write(folder.path().join("edgeward-pair"), note).unwrap();
        }
        let graph = Graph::new(Settings::default(), at(0));
        let (pairing, pin, household) = (Pairing::default(), Pin::default(), Household::default());
        let people = People::new(pairing, pin, household, None, folder.path().to_owned());
        let mut started = Self { folder, people, graph };
        started.prepare();
        started
    }

    fn prepare(&mut self) {
        let display = Some(self.folder.path().join("display"));
        let config = config::Pairing { display, folders: vec![self.folder.path().to_owned()] };
        self.people.prepare(config, &self.graph, at(0));
    }

    fn serve(&mut self) {
        let listening = AT.map(|address| address.parse().unwrap()).to_vec();
        self.people.certificate(listening, &mut self.graph, at(0)).map_err(|refusal| refusal.code).unwrap();
    }

    /// What was written to the display meanwhile.
    fn look(&mut self, seconds: u64) -> String {
        let path = self.folder.path().join("display");
        fs::write(&path, "").unwrap();
        self.people.keep_display(&self.graph, at(seconds));
        fs::read_to_string(path).unwrap()
    }

    fn pair(&mut self, code: &str) -> Option<String> {
        let outcome = self.people.redeem(code, "phone", None, &mut self.graph, at(1)).ok()?;
        let Outcome::Stored(session, _) = outcome else { panic!("a session is stored") };
        Some(session["role"].as_str().unwrap().to_owned())
    }
}

#[test]
fn a_box_without_a_command_shows_the_first_code_as_soon_as_its_page_is_there() {
    let mut started = Started::new(None);
    assert_eq!(started.look(0), "", "there is nothing to scan yet");
    started.serve();
    let shown = started.look(0);
    let is_code = |line: &&str| line.len() == 9 && line.as_bytes()[4] == b'-';
    let code = shown.lines().map(str::trim).find(is_code).expect("a code is shown").to_owned();
    assert_eq!(started.look(1), "", "it stands there");
    assert_eq!(started.pair(&code).as_deref(), Some("owner"));
    assert!(started.look(2).starts_with("\u{1b}[H\u{1b}[2J"), "it is taken away");
    assert_eq!(started.look(1_000), "", "someone is paired");
}

#[test]
fn a_note_on_the_boot_partition_lets_one_phone_in_once() {
    let mut started = Started::new(Some("sesame-open-7\n"));
    assert!(!started.folder.path().join("edgeward-pair").exists());
    assert_eq!(started.pair("sesame-open-8"), None);
    assert_eq!(started.pair("sesame-open-7").as_deref(), Some("owner"));
    assert_eq!(started.pair("sesame-open-7"), None);
    started.prepare();
    assert_eq!(started.pair("sesame-open-7"), None, "the next start finds none");
}

#[test]
fn an_empty_note_shows_a_code_although_someone_is_paired() {
    let mut started = Started::new(Some("sesame-open-7"));
    started.pair("sesame-open-7").unwrap();
    started.serve();
    assert_eq!(started.look(2), "");
    fs::write(started.folder.path().join("edgeward-pair"), "").unwrap();
    started.prepare();
    assert_ne!(started.look(3), "");
}

/// A device has tried to reach the box, and nobody has decided about that.
fn question(graph: &mut Graph) -> EdgeId {
    let place = Place { port: "lan0".to_owned(), ifindex: 3, vlan: 0, mac: [2, 0, 0, 0, 0, 1] };
    graph.handle_stranger(place, at(1));
    let src = graph.principals().find(|principal| principal.is_device()).unwrap().id;
    let owner = Author::person("owner");
    graph.set_mode(src, Mode::Enforcing, &owner, at(1)).unwrap();
    let spec = Spec {
        from: src.0.to_string(),
        to: PrincipalId::SELF.0.to_string(),
        plane: Plane::Packet.as_str().to_owned(),
        verb: "connect".to_owned(),
        object: "tcp/80".to_owned(),
        terms: Terms::NONE,
    };
    let (_, edge) =
        graph.decide_spec(&spec, decision::Answer::Allow, Lifetime::For(60), &owner, at(1)).unwrap();
    graph.handle_timeout(at(100));
    let key = EdgeKey { src, dst: PrincipalId::SELF, port: 80, proto: 6, kind: abi::Kind::Transport as u8 };
    let value = Observed {
        count: 1,
        first: at(101).boot_ns,
        last: at(101).boot_ns,
        verdict: Verdict::Dropped as u8,
        reason: Reason::EdgeUnknown as u8,
        object_len: 0,
        ifindex: 3,
        object: [0; 256],
    };
    let key = ObservedKey { addr: abi::Addr::default(), object: 0, edge: key, _pad: 0 };
    graph.handle_observed(&Fact { key, value }, at(101));
    edge
}

#[test]
fn what_members_ask_of_owners_lives_over_a_restart() {
    let mut started = Started::new(None);
    let edge = question(&mut started.graph);
    let graph = &mut started.graph;
    assert!(waits(graph, edge.0));
    let Ok(Outcome::Told(event, changes)) = started.people.wish(edge.0, "Ben", graph, at(102)) else {
        panic!("owners are told")
    };
    let wish = Wish { edge: edge.0, by: "Ben".to_owned(), at: at(102).unix };
    assert_eq!(*event, view::Event::EdgeWished(wish.clone()));
    let [Change::PutSetting { name: WISHES_SETTING, value: Some(stored) }] = changes.as_slice() else {
        panic!("{changes:?}")
    };
    let again = |stored: &[u8]| {
        let (pairing, pin, household) = (Pairing::default(), Pin::default(), Household::default());
        People::new(pairing, pin, household, Some(stored), started.folder.path().to_owned())
    };
    assert_eq!(again(stored).wishes(graph), [wish]);
    assert_eq!(again(b"damaged").wishes(graph), []);
    let deny = decision::Answer::Deny;
    graph.decide(edge, deny, Lifetime::Always, &Author::person("owner"), None, at(103)).unwrap();
    assert_eq!(again(stored).wishes(graph), [], "it was answered");
    let late = started.people.wish(edge.0, "Ben", graph, at(104)).map(|_| ());
    assert_eq!(late.unwrap_err().code, "not_found");
}

#[test]
fn the_box_may_tell_everyone_its_name_unless_someone_says_no() {
    let mut started = Started::new(None);
    let ways = |graph: &Graph| -> Vec<(EdgeId, &'static str)> {
        let to_all = graph.edges().filter(|edge| edge.path.dst == PrincipalId::EVERYONE);
        to_all.map(|edge| (edge.id, edge.state.as_str())).collect()
    };
    assert_eq!(ways(&started.graph), [], "where phones do not come there is nothing to tell");
    started.serve();
    started.serve();
    let [(way, "allowed")] = ways(&started.graph)[..] else { panic!("{:?}", ways(&started.graph)) };
    let owner = Author::person("owner");
    started.graph.decide(way, decision::Answer::Deny, Lifetime::Always, &owner, None, at(1)).unwrap();
    started.serve();
    assert_eq!(ways(&started.graph), [(way, "denied")]);
}

#[test]
fn something_unusual_that_goes_on_waits_too_but_cannot_be_kept_blocked() {
    let mut started = Started::new(None);
    let (graph, people) = (&mut started.graph, &mut started.people);
    for last in 1..=2 {
        let place = Place { port: "lan0".to_owned(), ifindex: 3, vlan: 0, mac: [2, 0, 0, 0, 0, last] };
        graph.handle_stranger(place, at(0));
    }
    let sensor = graph.find("02:00:00:00:00:01").unwrap();
    graph.set_mode(sensor, Mode::Enforcing, &Author::person("Anna"), at(0)).unwrap();
    let spec = Spec {
        from: "02:00:00:00:00:01".to_owned(),
        to: "02:00:00:00:00:02".to_owned(),
        plane: Plane::Packet.as_str().to_owned(),
        verb: "connect".to_owned(),
        object: "tcp/80".to_owned(),
        terms: Terms::NONE,
    };
    let author = Author::person("Anna");
    graph.decide_spec(&spec, decision::Answer::Allow, Lifetime::Always, &author, at(0)).unwrap();
    let edge = graph.edges().next().unwrap().id;
    let carry = |graph: &mut Graph, bytes, over, seconds| {
        let moved = [Moved { messages: 1, bytes }, Moved::default()];
        let metered = Metered { moved, over, ..Metered::default() };
        graph.handle_metered(edge, &metered, Duration::from_secs(10), at(seconds));
    };
    for window in 0..100 {
        carry(graph, 1_000, 0, window * 20_000);
    }
    assert_eq!(waiting(graph), Waiting::default());
    assert_eq!(
        people.wish(edge.0, "Eve", graph, at(0)).map_err(|refusal| refusal.code).err().unwrap(),
        "not_found"
    );
    carry(graph, 900_000, 40, 2_100_000);
    let Waiting { count, newest, sentence } = waiting(graph);
    assert_eq!((count, newest, sentence.is_some()), (1, None, true));
    assert!(!is_stopped(graph, edge.0));
    assert!(people.wish(edge.0, "Eve", graph, at(1)).is_ok());
    assert_eq!(people.wishes(graph).len(), 1);
}
