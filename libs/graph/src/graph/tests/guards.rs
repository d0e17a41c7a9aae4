use super::*;
use crate::edge::Property;
use crate::explain::{Evidence, Risk};

/// A hub with a lock that listens.
fn with_lock() -> (Site, PrincipalId, PrincipalId, PrincipalId) {
    let mut site = Site::open();
    let (hub, lock, washer) =
        (site.named(1, "Hub", "hub"), site.named(2, "Lock", "lock"), site.named(3, "Washer", "washer"));
    site.connect(lock, hub);
    site.client(lock, hub, "lock-1");
    site.connect(washer, hub);
    site.client(washer, hub, "washer");
    (site, hub, lock, washer)
}

#[test]
fn a_message_to_a_lock_is_asked_about_while_its_source_learns() {
    let (mut site, hub, lock, washer) = with_lock();
    assert!(site.subscribe(lock, hub, "lock/front/#"));
    assert!(!site.publish(washer, hub, "lock/front/set"));
    assert!(site.publish(washer, hub, "washer/state"));
    let edge = site.edge(washer, "publish", "lock/front/set").unwrap();
    assert_eq!((edge.state.as_str(), edge.violated), ("pending", Some(Property::ClassForbidden)));
    let explanation = site.graph.explain(edge.id, site.now).unwrap();
    assert_eq!((explanation.risk, explanation.beneficiaries), (Risk::High, vec![lock]));
    let subscribed = Evidence::Subscribed { who: lock };
    assert!(explanation.evidence.contains(&subscribed), "{:?}", explanation.evidence);
    assert_eq!(site.graph.evidence_in_words(&subscribed), ["Lock has subscribed to it"]);
    let habits = explanation.habits.iter().filter_map(|id| site.graph.edge(*id));
    let habits: Vec<String> = habits.map(|habit| site.graph.habit_in_words(habit)).collect();
    assert!(habits.contains(&"publish washer/state at Hub".to_owned()), "{habits:?}");
    let id = edge.id;
    let allow = site.say(id, Answer::Allow, Lifetime::Always);
    assert!(site.publish(washer, hub, "lock/front/set"));
    assert!(!site.publish(washer, hub, "lock/front/unlock"));
    site.graph.undo(allow, &owner(), site.now).unwrap();
    site.execute();
    assert!(!site.publish(washer, hub, "lock/front/set"));
    assert!(!site.kernel.rules.contains_key(&id.0) || site.kernel.rules[&id.0].state != RuleState::Allowed);
}

#[test]
fn the_lock_itself_may_publish_what_it_listens_to() {
    let (mut site, hub, lock, _) = with_lock();
    site.subscribe(lock, hub, "lock/front/#");
    assert!(site.publish(lock, hub, "lock/front/state"));
    assert_eq!(site.state(lock, "publish", "lock/front/state"), "learned");
}

#[test]
fn what_was_learned_before_the_lock_was_known_is_asked_about_again() {
    let mut site = Site::open();
    let (hub, lock, washer) = (site.named(1, "Hub", "hub"), site.device(2), site.device(3));
    site.connect(lock, hub);
    site.connect(washer, hub);
    assert!(site.publish(washer, hub, "lock/front/open"));
    assert!(site.subscribe(lock, hub, "lock/#"));
    assert_eq!(site.state(washer, "publish", "lock/front/open"), "learned");
    let patch = Patch { kind: Some("lock".into()), ..Patch::default() };
    site.graph.set_principal(lock, &patch, &owner(), site.now).unwrap();
    site.execute();
    assert_eq!(site.state(washer, "publish", "lock/front/open"), "pending");
    assert!(!site.publish(washer, hub, "lock/front/open"));
}

#[test]
fn what_was_learned_before_the_lock_subscribed_is_asked_about_again() {
    let (mut site, hub, lock, washer) = with_lock();
    assert!(site.publish(washer, hub, "lock/front/open"));
    site.subscribe(lock, hub, "lock/front/open");
    assert_eq!(site.state(washer, "publish", "lock/front/open"), "pending");
    site.finish(washer);
    assert!(!site.publish(washer, hub, "lock/front/open"), "also if it was not tried in between");
}

#[test]
fn what_a_reviewed_model_holds_is_asked_about_when_it_learns_again() {
    let mut site = Site::open();
    let (hub, lock, washer) = (site.named(1, "Hub", "hub"), site.named(2, "Lock", "other"), site.device(3));
    site.connect(lock, hub);
    site.connect(washer, hub);
    site.publish(washer, hub, "lock/front/open");
    site.subscribe(lock, hub, "lock/#");
    site.finish(washer);
    let patch = Patch { kind: Some("lock".into()), ..Patch::default() };
    site.graph.set_principal(lock, &patch, &owner(), site.now).unwrap();
    site.execute();
    assert!(site.publish(washer, hub, "lock/front/open"), "the owner has seen it at the end of learning");
    site.graph.learn_start(Some(washer), None, &owner(), site.now).unwrap();
    site.execute();
    assert!(!site.publish(washer, hub, "lock/front/open"));
    assert_eq!(site.state(washer, "publish", "lock/front/open"), "pending");
}

#[test]
fn an_unknown_subscriber_is_dangerous_for_what_sets_something() {
    let mut site = Site::open();
    let (hub, thing, washer) = (site.named(1, "Hub", "hub"), site.device(2), site.device(3));
    site.connect(thing, hub);
    site.connect(washer, hub);
    site.subscribe(thing, hub, "thing/#");
    assert!(site.publish(washer, hub, "thing/hello"));
    assert!(!site.publish(washer, hub, "thing/set"));
    assert!(!site.publish(washer, hub, "thing/1/cmnd"));
    let patch = Patch { kind: Some("light".into()), ..Patch::default() };
    site.graph.set_principal(thing, &patch, &owner(), site.now).unwrap();
    site.execute();
    assert_eq!(site.state(washer, "publish", "thing/set"), "none");
    assert!(site.publish(washer, hub, "thing/set"));
    assert_eq!(site.state(washer, "publish", "thing/set"), "learned");
}

#[test]
fn a_connection_to_a_camera_is_asked_about_while_its_source_learns() {
    let mut site = Site::open();
    let (camera, tv) = (site.named(1, "Camera", "camera"), site.device(2));
    assert!(!site.connect(tv, camera));
    let edge = site.edge(tv, "connect", "tcp/1883").unwrap();
    assert_eq!((edge.state.as_str(), edge.violated), ("pending", Some(Property::ClassForbidden)));
    assert_eq!(site.graph.risk(edge, site.now), Risk::High);
}

#[test]
fn a_client_id_of_another_device_is_not_learned() {
    let (mut site, hub, _, washer) = with_lock();
    assert!(!site.client(washer, hub, "lock-1"));
    let edge = site.edge(washer, "connect", "client:lock-1").unwrap();
    assert_eq!((edge.state.as_str(), edge.violated), ("pending", Some(Property::ClientTaken)));
    assert_eq!(site.graph.risk(edge, site.now), Risk::High);
    for id in ["mosq-1a2b3c", "mosq-4d5e6f", "mosq-7g8h9i"] {
        assert!(site.client(washer, hub, id));
    }
    assert_eq!(site.state(washer, "connect", "client:+"), "learned");
    site.finish(washer);
    assert!(site.client(washer, hub, "mosq-0j1k2l"));
    assert!(!site.client(washer, hub, "lock-1"), "also when any id was learned");
}

#[test]
fn nothing_is_generalised_into_something_dangerous() {
    let (mut site, hub, lock, washer) = with_lock();
    site.subscribe(lock, hub, "door/7");
    for topic in ["door/1", "door/2", "door/3"] {
        assert!(site.publish(washer, hub, topic));
    }
    assert_eq!(site.state(washer, "publish", "door/+"), "none");
    assert_eq!(site.state(washer, "publish", "door/3"), "learned");
    for topic in ["lock/1", "lock/2", "lock/3"] {
        site.publish(lock, hub, topic);
    }
    assert_eq!(site.state(lock, "publish", "lock/+"), "none", "a lock's own edges stay exact");
}

#[test]
fn a_denied_filter_wins_over_a_request_that_overlaps_it() {
    let (mut site, hub, _, washer) = with_lock();
    site.write(["Washer", "Hub", "subscribe", "lock/#"], Answer::Deny).unwrap();
    assert!(!site.subscribe(washer, hub, "#"));
    assert!(!site.subscribe(washer, hub, "$share/x/lock/front"));
    assert!(!site.subscribe(washer, hub, "+/front"));
    assert!(site.subscribe(washer, hub, "light/#"));
    let denied = site.edge(washer, "subscribe", "lock/#").unwrap();
    assert_eq!(denied.tries, 3, "tries that it stopped count on it");
}

#[test]
fn watching_a_lock_is_high_risk() {
    let (mut site, hub, lock, washer) = with_lock();
    site.publish(lock, hub, "lock/front/state");
    site.finish(washer);
    assert!(!site.subscribe(washer, hub, "lock/+/state"));
    let edge = site.edge(washer, "subscribe", "lock/+/state").unwrap();
    assert_eq!(site.graph.risk(edge, site.now), Risk::High);
}

#[test]
fn something_like_a_habit_is_low_risk_and_something_else_medium() {
    let mut site = Site::open();
    let (hub, washer) = (site.named(1, "Hub", "hub"), site.named(2, "Washer", "washer"));
    site.connect(washer, hub);
    site.finish(washer);
    assert!(!site.attempt(&Try {
        src: washer,
        dst: Ok(hub),
        kind: Kind::Transport,
        port: 80,
        object: String::new()
    }));
    assert!(!site.reach(washer, [192, 0, 2, 1], 443));
    let risk = |site: &Site, object| site.graph.risk(site.edge(washer, "connect", object).unwrap(), site.now);
    assert_eq!(risk(&site, "tcp/80"), Risk::Low);
    assert_eq!(risk(&site, "tcp/443"), Risk::Medium);
    assert!(!site.publish(washer, hub, "washer/firmware/url"));
    let edge = site.edge(washer, "publish", "washer/firmware/url").unwrap();
    assert_eq!(site.graph.risk(edge, site.now), Risk::High);
}

#[test]
fn many_unknown_devices_do_not_keep_each_other_from_learning() {
    let mut site = Site::open();
    let hub = site.named(1, "Hub", "hub");
    let devices: Vec<PrincipalId> = (2..40).map(|number| site.device(number)).collect();
    for (number, device) in devices.iter().enumerate() {
        site.kernel.observed.clear();
        assert!(site.connect(*device, hub));
        assert!(site.client(*device, hub, &format!("device {number}")));
        assert!(site.subscribe(*device, hub, &format!("device{number}/#")));
    }
    for (number, device) in devices.iter().enumerate() {
        site.kernel.observed.clear();
        assert!(site.publish(*device, hub, &format!("device{number}/state")));
        let other = (number + 1) % devices.len();
        assert!(!site.publish(*device, hub, &format!("device{other}/relay/set")));
        // More client ids than the kernel is told of are found out here: one passes, the next does not.
        site.client(*device, hub, &format!("device {other}"));
        assert!(!site.client(*device, hub, &format!("device {other}")));
        assert_eq!(site.state(*device, "connect", &format!("client:device {other}")), "pending");
    }
    let states: usize = site.kernel.topics.values().map(|topics| topics.publish.states.len()).sum();
    assert!(states <= 10 * devices.len(), "{states} states");
    site.check();
}

#[test]
fn the_latest_tries_are_told_and_who_else_was_there() {
    let (mut site, hub, _, washer) = with_lock();
    let sensor = site.named(4, "Sensor", "sensor");
    site.connect(sensor, hub);
    site.client(sensor, hub, "sensor");
    site.graph.set_mode(washer, Mode::Enforcing, &owner(), site.now).unwrap();
    site.execute();
    for _ in 0..7 {
        site.wait(10);
        assert!(!site.publish(washer, hub, "debug"));
    }
    // It learns, so it is seen.
    assert!(site.publish(sensor, hub, "climate"));
    let edge = site.edge(washer, "publish", "debug").unwrap();
    let (id, last) = (edge.id, edge.last_seen.unwrap());
    let evidence = site.graph.explain(id, site.now).unwrap().evidence;
    let at = [40, 30, 20, 10, 0].map(|before| last - before).to_vec();
    assert!(evidence.contains(&Evidence::Times { at }), "{evidence:?}");
    assert!(evidence.contains(&Evidence::Encrypted { yes: false }), "{evidence:?}");
    let meanwhile = |evidence: &[Evidence]| {
        evidence.iter().find_map(|one| match one {
            Evidence::Meanwhile { who, target, .. } => Some((*who, *target)),
            _ => None,
        })
    };
    assert_eq!(meanwhile(&evidence), Some((sensor, hub)));
    site.wait(100);
    assert!(!site.publish(washer, hub, "debug"));
    let evidence = site.graph.explain(id, site.now).unwrap().evidence;
    assert_eq!(meanwhile(&evidence), None, "that was long before");
}
