use firewall_common::{
    abi::{Addr, EdgeKey, Kind, Observed, ObservedKey},
    precedence::Mode,
    reason::{Reason, Verdict},
};
use graph::{
    Settings,
    decision::{Answer, Author, Lifetime},
    graph::{Fact, Patch},
    principal::Place,
};

use super::*;

const WASHER: [u8; 6] = [2, 0, 0, 0, 0, 0x10];
const LOCK: [u8; 6] = [2, 0, 0, 0, 0, 0x20];

fn now() -> Now {
    Now { boot_ns: 1_000_000_000_000, unix: 1_900_000_000, synchronised: true, ..Now::default() }
}

/// A site with a washing machine and a lock that the owner has named.
fn site() -> (Graph, PrincipalId, PrincipalId) {
    let mut graph = Graph::new(Settings { mqtt_ports: vec![1883], ..Settings::default() }, now());
    for mac in [WASHER, LOCK] {
        graph.handle_stranger(Place { port: "lan0".to_owned(), ifindex: 3, vlan: 0, mac }, now());
    }
    let by_mac = |mac: [u8; 6]| graph.find(&show_mac(mac)).expect("it was registered");
    let (washer, lock) = (by_mac(WASHER), by_mac(LOCK));
    let patch =
        Patch { name: Some("Front door".to_owned()), kind: Some("lock".to_owned()), ..Patch::default() };
    graph.set_principal(lock, &patch, &Author::person("owner"), now()).unwrap();
    (graph, washer, lock)
}

/// The washer was stopped when it wanted to reach the lock's web server.
fn stopped(graph: &mut Graph, src: PrincipalId, dst: PrincipalId) {
    let edge = EdgeKey { src, dst, port: 80, proto: 6, kind: Kind::Transport as u8 };
    let key = ObservedKey { addr: Addr::default(), object: 0, edge, _pad: 0 };
    let value = Observed {
        count: 3,
        first: now().boot_ns - 2_000_000_000,
        last: now().boot_ns,
        verdict: Verdict::Dropped as u8,
        reason: Reason::EdgeUnknown as u8,
        object_len: 0,
        ifindex: 3,
        object: [0; 256],
    };
    graph.handle_observed(&Fact { key, value }, now());
}

#[test]
fn a_question_names_both_ends_and_why_it_is_asked() {
    let (mut graph, washer, lock) = site();
    graph.set_mode(washer, Mode::Enforcing, &Author::person("owner"), now()).unwrap();
    stopped(&mut graph, washer, lock);
    let views = Views { graph: &graph, now: now() };
    let [edge] = &views.pending()[..] else { panic!("{:?}", views.pending()) };
    assert_eq!(
        (edge.plane.as_str(), edge.verb.as_str(), edge.object.as_str()),
        ("packet", "connect", "tcp/80")
    );
    assert_eq!((edge.from.id, edge.from.confirmed), (washer.0, false));
    assert_eq!(
        (edge.to.name.as_str(), edge.to.confirmed, edge.to.kind.as_str()),
        ("Front door", true, "lock")
    );
    assert_eq!((edge.state.as_str(), edge.risk.as_str()), ("pending", "high"));
    assert_eq!(edge.reason.as_deref(), Some("edge.unknown"));
    assert!(edge.violated.is_some());
    assert_eq!(edge.tries, 3);
    assert_eq!((&edge.by, &edge.until, &edge.lifetime), (&None, &None, &None));
    let explanation = views.explanation(EdgeId(edge.id)).unwrap();
    assert_eq!(&explanation.edge, edge);
    assert!(!explanation.because.is_empty());
}

#[test]
fn a_decision_shows_who_and_how_long() {
    let (mut graph, washer, lock) = site();
    graph.set_mode(washer, Mode::Enforcing, &Author::person("owner"), now()).unwrap();
    stopped(&mut graph, washer, lock);
    let id = Views { graph: &graph, now: now() }.pending()[0].id;
    let author = Author::person("kitchen phone");
    let decision =
        graph.decide(EdgeId(id), Answer::Allow, Lifetime::For(3_600), &author, None, now()).unwrap();
    let views = Views { graph: &graph, now: now() };
    let edge = views.edge_by_id(EdgeId(id)).unwrap();
    assert_eq!(edge.state, "allowed");
    assert_eq!(edge.by.as_deref(), Some("kitchen phone"));
    assert_eq!((edge.lifetime.as_deref(), edge.until), (Some("for"), Some(now().unix + 3_600)));
    assert_eq!(edge.violated, None);
    assert_eq!(views.pending(), []);
    let newest = &views.decisions(&Wanted::default(), 1)[0];
    assert_eq!((newest.id, newest.what.as_str(), newest.undone), (decision.0, "allow", false));
    assert_eq!(newest.hash.len(), 64);
    let found = |wanted: Wanted| views.decisions(&wanted, 9).iter().map(|one| one.id).collect::<Vec<_>>();
    let by = |name: &str| Wanted { by: Some(name.to_owned()), ..Wanted::default() };
    assert_eq!(found(by("kitchen phone")), [decision.0]);
    assert_eq!(found(by("nobody")), [0; 0]);
    let about = |id| Wanted { principal: Some(id), ..Wanted::default() };
    assert!(found(about(lock)).contains(&decision.0) && found(about(washer)).contains(&decision.0));
    assert!(!found(about(PrincipalId(9_999))).contains(&decision.0));
    let older = Wanted { before: Some(decision.0), ..Wanted::default() };
    assert!(!found(older.clone()).is_empty() && !found(older).contains(&decision.0));
    assert_eq!(found(Wanted { what: Some("allow".to_owned()), ..Wanted::default() }), [decision.0]);
}

#[test]
fn a_principal_shows_where_it_lives_and_what_its_owner_said() {
    let (graph, washer, lock) = site();
    let views = Views { graph: &graph, now: now() };
    let lock = views.principal_by_id(lock).unwrap();
    assert_eq!(
        (lock.name.as_str(), lock.kind.as_str(), lock.kind_source.as_str()),
        ("Front door", "lock", "owner")
    );
    assert_eq!(lock.mac.as_deref(), Some("02:00:00:00:00:20"));
    assert_eq!((lock.port.as_deref(), lock.vlan), (Some("lan0"), Some(0)));
    let washer = views.principal_by_id(washer).unwrap();
    assert_eq!((washer.mode.as_str(), washer.confirmed), ("learning", false));
    assert_eq!(washer.learning.unwrap().percent, 0);
    let listed = views.principals();
    assert!(listed.iter().any(|principal| principal.id == washer.id));
}

#[test]
fn who_learns_shows_what_it_rests_on() {
    let (graph, washer, _) = site();
    let learners = Views { graph: &graph, now: now() }.learners();
    let learner = learners.iter().find(|one| one.principal.id == washer.0).unwrap();
    assert_eq!((learner.mode.as_str(), learner.days, learner.min_days), ("learning", 0, 5));
    assert_eq!(learner.confidence, "low");
    assert!(learner.missing.iter().any(|gap| gap == "day"), "{:?}", learner.missing);
}

#[test]
fn counts_of_the_list_are_those_of_each_principal() {
    let (mut graph, washer, lock) = site();
    graph.set_mode(washer, Mode::Enforcing, &Author::person("owner"), now()).unwrap();
    stopped(&mut graph, washer, lock);
    let views = Views { graph: &graph, now: now() };
    for principal in views.principals() {
        assert_eq!(views.principal_by_id(PrincipalId(principal.id)), Some(principal));
    }
}
