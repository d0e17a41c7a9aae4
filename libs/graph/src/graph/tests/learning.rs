use super::*;

#[test]
fn what_a_learning_device_does_becomes_its_model_and_nothing_else_passes_later() {
    let mut site = Site::open();
    let (hub, washer) = (site.device(1), site.device(2));
    assert_eq!(site.mode(washer), Mode::Learning);
    assert!(site.connect(washer, hub));
    assert!(site.client(washer, hub, "washer"));
    assert!(site.publish(washer, hub, "washer/state"));
    assert_eq!(site.state(washer, "connect", "tcp/1883"), "learned");
    assert_eq!(site.state(washer, "connect", "client:washer"), "learned");
    assert_eq!(site.state(washer, "publish", "washer/state"), "learned");
    site.finish(washer);
    assert!(site.connect(washer, hub));
    assert!(site.publish(washer, hub, "washer/state"));
    assert!(!site.publish(washer, hub, "lock/front/set"));
    let edge = site.edge(washer, "publish", "lock/front/set").unwrap();
    assert_eq!((edge.state.as_str(), edge.tries), ("pending", 1));
    assert_eq!(edge.violated.map(crate::edge::Property::as_str), Some("op.not_in_model"));
    assert!(!site.client(washer, hub, "hub"));
}

#[test]
fn a_device_seen_after_the_first_run_is_new_and_asked_about() {
    let mut site = Site::open();
    let hub = site.device(1);
    site.pass(3_600);
    let battery = site.device(2);
    assert_eq!(site.mode(battery), Mode::New);
    assert!(!site.connect(battery, hub));
    let edge = site.edge(battery, "connect", "tcp/1883").unwrap();
    assert_eq!(edge.violated.map(crate::edge::Property::as_str), Some("principal.new"));
    site.graph.set_mode(battery, Mode::Learning, &owner(), site.now).unwrap();
    site.execute();
    assert_eq!(
        site.state(battery, "connect", "tcp/1883"),
        "none",
        "what can be learned now needs no decision"
    );
    assert!(site.connect(battery, hub));
    assert_eq!(site.state(battery, "connect", "tcp/1883"), "learned");
}

#[test]
fn a_transport_that_a_person_allows_does_not_allow_messages() {
    let mut site = Site::open();
    let hub = site.device(1);
    site.pass(3_600);
    let battery = site.device(2);
    assert!(!site.connect(battery, hub));
    let transport = site.id(battery, "connect", "tcp/1883");
    site.say(transport, Answer::Allow, Lifetime::Always);
    assert!(site.connect(battery, hub));
    assert!(!site.client(battery, hub, "battery"));
    assert!(!site.publish(battery, hub, "battery/level"));
    for (verb, object) in [("connect", "client:battery"), ("publish", "battery/level")] {
        let id = site.id(battery, verb, object);
        site.say(id, Answer::Allow, Lifetime::Always);
    }
    assert!(site.client(battery, hub, "battery"));
    assert!(site.publish(battery, hub, "battery/level"));
    assert!(!site.publish(battery, hub, "battery/other"));
}

#[test]
fn a_message_without_its_connection_says_so() {
    let mut site = Site::open();
    let (hub, washer) = (site.named(1, "Hub", "hub"), site.named(2, "Washer", "washer"));
    site.finish(washer);
    let edge = site.write(["Washer", "Hub", "publish", "x/y"], Answer::Allow).unwrap();
    let explanation = site.graph.explain(edge, site.now).unwrap();
    assert!(explanation.because().contains("tcp/1883"), "{}", explanation.because());
    assert!(!site.publish(washer, hub, "x/y"), "there is no connection that carries it");
    site.write(["Washer", "Hub", "connect", "tcp/1883"], Answer::Allow).unwrap();
    assert!(site.publish(washer, hub, "x/y"));
    let explanation = site.graph.explain(edge, site.now).unwrap();
    assert_eq!(explanation.because(), "someone allowed it");
}

#[test]
fn the_same_entry_counts_once() {
    let mut site = Site::open();
    let (hub, washer) = (site.device(1), site.device(2));
    site.finish(washer);
    site.connect(washer, hub);
    site.scan();
    site.scan();
    site.connect(washer, hub);
    assert_eq!(site.edge(washer, "connect", "tcp/1883").unwrap().tries, 2);
    // The daemon has removed the entry, the kernel makes a new one.
    site.kernel.observed.clear();
    site.wait(1);
    site.connect(washer, hub);
    assert_eq!(site.edge(washer, "connect", "tcp/1883").unwrap().tries, 3);
}

#[test]
fn too_many_edges_stop_the_learning_with_an_alarm() {
    let mut site = Site::new(Settings {
        site_mode: crate::decision::SiteMode::Enforce,
        learn_edges: 5,
        pending_per_source: 4,
        ..Settings::default()
    });
    let (hub, scanner) = (site.device(1), site.device(2));
    for port in 1..=20 {
        site.attempt(&Try { src: scanner, dst: Ok(hub), kind: Kind::Transport, port, object: String::new() });
    }
    assert_eq!(site.mode(scanner), Mode::Enforcing);
    let principal = site.graph.principal(scanner).unwrap();
    assert!(principal.learning.as_ref().is_some_and(|learning| learning.capped));
    assert_eq!(site.alarms(), [Alarm::Scan, Alarm::Overflow]);
    let counts = site.graph.edge_counts(Some(scanner));
    assert_eq!((counts.learned, counts.pending), (5, 4));
    assert!(principal.overflow > 0, "what found no room is counted");
}

#[test]
fn outside_hosts_become_principals_up_to_a_cap() {
    let mut site = Site::new(Settings {
        site_mode: crate::decision::SiteMode::Enforce,
        learn_destinations: 3,
        ..Settings::default()
    });
    let camera = site.device(1);
    for last in 1..=3 {
        assert!(site.reach(camera, [192, 0, 2, last], 443));
    }
    assert_eq!(site.kernel.hosts.len(), 3);
    assert_eq!(site.graph.principals().filter(|principal| principal.mode == Mode::Outside).count(), 4);
    site.reach(camera, [192, 0, 2, 4], 443);
    assert_eq!((site.mode(camera), site.alarms()), (Mode::Enforcing, vec![Alarm::Scan]));
    assert!(site.reach(camera, [192, 0, 2, 1], 443));
    assert!(!site.reach(camera, [192, 0, 2, 5], 443));
    let edge = site.graph.edges().find(|edge| edge.state == crate::edge::State::Pending).unwrap();
    assert_eq!(edge.violated.map(crate::edge::Property::as_str), Some("dest.new"));
}

#[test]
fn an_address_of_the_site_never_becomes_an_outside_host() {
    let mut site = Site::open();
    let evil = site.device(1);
    let lan = super::super::Network { addr: Addr::from_v4([10, 0, 0, 0]), prefix: 96 + 24 };
    assert!(site.reach(evil, [10, 0, 0, 50], 80), "the kernel does not know better yet");
    assert_eq!(site.kernel.hosts.len(), 1);
    site.graph.handle_networks(vec![lan], site.now);
    site.execute();
    assert_eq!(site.kernel.hosts.len(), 0);
    site.reach(evil, [10, 0, 0, 51], 80);
    assert_eq!(site.kernel.hosts.len(), 0);
    assert_eq!(site.graph.edges().count(), 0);
    let lock = site.device(2);
    site.graph.handle_bound(lock, Addr::from_v4([10, 0, 0, 51]), site.now);
    assert_eq!(site.graph.find("10.0.0.51"), Ok(lock));
}

#[test]
fn numbers_in_topics_become_one_edge_after_three() {
    let mut site = Site::open();
    let (hub, meter) = (site.device(1), site.device(2));
    site.connect(meter, hub);
    for topic in ["m/1/w", "m/2/w", "m/3/w"] {
        assert!(site.publish(meter, hub, topic));
    }
    assert_eq!(site.state(meter, "publish", "m/+/w"), "learned");
    assert_eq!(site.graph.edges().count(), 2);
    assert_eq!(site.kernel.rules.len(), 2, "the guard and the one rule");
    site.finish(meter);
    assert!(site.publish(meter, hub, "m/77/w"));
    assert!(!site.publish(meter, hub, "m/77/set"));
}

#[test]
fn learning_ends_in_ready_and_then_enforces_unless_a_person_must_say_so() {
    let settings = Settings {
        site_mode: crate::decision::SiteMode::Enforce,
        learn_min: 100,
        learn_quiet: 40,
        learn_max: 1_000,
        ready_notice: 50,
        ..Settings::default()
    };
    let mut site = Site::new(settings);
    let (washer, heating) = (site.named(1, "Washer", "washer"), site.named(2, "Heating", "heating"));
    site.pass(99);
    assert_eq!(site.mode(washer), Mode::Learning);
    site.pass(2);
    assert_eq!((site.mode(washer), site.mode(heating)), (Mode::Ready, Mode::Ready));
    site.pass(52);
    assert_eq!((site.mode(washer), site.mode(heating)), (Mode::Enforcing, Mode::Ready));
    site.finish(heating);
    assert_eq!(site.mode(heating), Mode::Enforcing);
    let modes = site.graph.decisions().filter(|decision| decision.by.as_str() == "edgeward").count();
    assert_eq!(modes, 3, "each change of mode is in the ledger");
}

#[test]
fn a_person_may_wait_longer_before_a_device_that_is_ready_enforces() {
    let settings = Settings {
        learn_min: 100,
        learn_quiet: 40,
        learn_max: 1_000,
        ready_notice: 50,
        ..Settings::default()
    };
    let mut site = Site::new(settings);
    let (washer, heating) = (site.named(1, "Washer", "washer"), site.named(2, "Heating", "heating"));
    let early = site.graph.postpone(washer, 100, &owner(), site.now);
    assert!(matches!(early, Err(Refused::Conflict(_))), "it still learns: {early:?}");
    site.pass(101);
    assert_eq!(site.mode(washer), Mode::Ready);
    let waits = site.graph.postpone(washer, 100, &owner(), site.now).unwrap();
    let anyway = site.graph.postpone(heating, 100, &owner(), site.now);
    assert!(matches!(anyway, Err(Refused::Conflict(_))), "it waits for a person: {anyway:?}");
    for seconds in [0, 90 * 86_400] {
        let refused = site.graph.postpone(washer, seconds, &owner(), site.now);
        assert!(matches!(refused, Err(Refused::Invalid(_))), "{seconds}: {refused:?}");
    }
    site.execute();
    site.pass(60);
    assert_eq!(site.mode(washer), Mode::Ready, "50 seconds were too few");
    assert!(matches!(site.graph.undo(waits, &owner(), site.now), Err(Refused::Invalid(_))));
    site.pass(100);
    assert_eq!(site.mode(washer), Mode::Enforcing);
}

#[test]
fn something_new_while_ready_goes_back_to_learning() {
    let settings = Settings {
        learn_min: 100,
        learn_quiet: 40,
        learn_max: 1_000,
        ready_notice: 50,
        ..Settings::default()
    };
    let mut site = Site::new(settings);
    let (washer, hub) = (site.device(1), site.device(2));
    site.pass(101);
    assert_eq!(site.mode(washer), Mode::Ready);
    site.connect(washer, hub);
    assert_eq!(site.mode(washer), Mode::Learning);
    site.pass(39);
    assert_eq!(site.mode(washer), Mode::Learning);
    site.pass(2);
    assert_eq!(site.mode(washer), Mode::Ready);
}

#[test]
fn a_person_says_how_long() {
    let mut site = Site::open();
    let washer = site.device(1);
    site.finish(washer);
    site.graph.learn_start(Some(washer), Some(30), &owner(), site.now).unwrap();
    site.execute();
    site.pass(29);
    assert_eq!(site.mode(washer), Mode::Learning);
    site.pass(2);
    assert_eq!(site.mode(washer), Mode::Enforcing);
}

#[test]
fn an_enforcing_partner_is_never_learned_into() {
    let mut site = Site::open();
    let (hub, washer) = (site.device(1), site.device(2));
    site.finish(hub);
    assert!(!site.connect(washer, hub));
    assert_eq!(site.state(washer, "connect", "tcp/1883"), "pending");
    site.graph.learn_start(Some(hub), None, &owner(), site.now).unwrap();
    site.execute();
    assert!(site.connect(washer, hub));
    assert_eq!(site.state(washer, "connect", "tcp/1883"), "learned");
}

#[test]
fn in_mode_monitor_what_would_be_stopped_is_asked_about_and_passes() {
    let mut site = Site::new(Settings::default());
    let (hub, washer) = (site.device(1), site.device(2));
    site.finish(washer);
    assert!(site.connect(washer, hub));
    let edge = site.edge(washer, "connect", "tcp/1883").unwrap();
    assert_eq!((edge.state.as_str(), edge.verdict), ("pending", Some(Verdict::Audit)));
    let explanation = site.graph.explain(edge.id, site.now).unwrap();
    assert!(explanation.because().contains("monitor"), "{}", explanation.because());
}

#[test]
fn who_learns_anew_forgets_its_habits_and_nothing_that_people_decided() {
    let mut site = Site::open();
    let (hub, washer) = (site.device(1), site.device(2));
    assert!(site.connect(washer, hub) && site.client(washer, hub, "washer"));
    assert!(site.publish(washer, hub, "washer/state"));
    site.finish(washer);
    assert!(!site.publish(washer, hub, "lock/front/set"));
    let asked = site.id(washer, "publish", "lock/front/set");
    site.say(asked, Answer::Deny, Lifetime::Always);

    site.graph.learn_anew(washer, None, &owner(), site.now).unwrap();
    site.execute();
    assert_eq!(site.mode(washer), Mode::Learning);
    for (verb, object) in [("connect", "tcp/1883"), ("connect", "client:washer"), ("publish", "washer/state")]
    {
        assert_eq!(site.state(washer, verb, object), "none", "{verb} {object}");
    }
    assert_eq!(site.state(washer, "publish", "lock/front/set"), "denied");
    assert!(site.connect(washer, hub), "it learns it again");
    assert_eq!(site.state(washer, "connect", "tcp/1883"), "learned");
    let unknown = site.graph.learn_anew(PrincipalId(9_999), None, &owner(), site.now);
    assert_eq!(unknown.unwrap_err().code(), "not_found");
}
