use super::*;

fn busy() -> Site {
    let mut site = Site::open();
    let (hub, washer, lock) =
        (site.named(1, "Hub", "hub"), site.named(2, "Washer", "washer"), site.named(3, "Lock", "lock"));
    for id in [washer, lock] {
        site.connect(id, hub);
    }
    site.subscribe(lock, hub, "lock/#");
    site.publish(washer, hub, "washer/state");
    site.publish(washer, hub, "lock/front/set");
    site.finish(washer);
    site.publish(washer, hub, "washer/other");
    let other = site.id(washer, "publish", "washer/other");
    site.say(other, Answer::Allow, Lifetime::Uses(3));
    site.reach(washer, [192, 0, 2, 1], 443);
    site.resolve(lock, "api.example.com", [192, 0, 2, 2]);
    site.reach(lock, [192, 0, 2, 2], 443);
    site
}

/// What the kernel holds, without numbers that only order things.
fn held(site: &Site) -> String {
    let Kernel { principals, macs, hosts, named, edges, speaks, topics, rules, uses, monitor, .. } =
        &site.kernel;
    let who = format!("{principals:?} {macs:?} {hosts:?} {named:?}");
    format!("{who} {edges:?} {speaks:?} {topics:?} {rules:?} {uses:?} {monitor}")
}

#[test]
fn after_a_restart_of_the_daemon_graph_and_kernel_are_as_before() {
    let mut site = busy();
    site.graph.handle_shutdown(site.now);
    site.execute();
    let (before, edges) = (held(&site), site.graph.edges.clone());
    let (principals, decisions) = (site.graph.principals.clone(), site.graph.decisions.clone());
    site.restart(1);
    assert_eq!(held(&site), before);
    assert_eq!((&site.graph.edges, &site.graph.principals), (&edges, &principals));
    assert_eq!(site.graph.decisions, decisions);
}

#[test]
fn after_a_restart_of_the_box_an_empty_kernel_gets_everything() {
    let mut site = busy();
    let before = held(&site);
    site.restart(2);
    assert_eq!(held(&site), before);
}

#[test]
fn uses_that_the_kernel_has_given_do_not_come_back() {
    let mut site = busy();
    let (hub, washer) = (site.graph.find("Hub").unwrap(), site.graph.find("Washer").unwrap());
    let attempt =
        Try { src: washer, dst: Ok(hub), kind: Kind::MqttPublish, port: MQTT, object: "washer/other".into() };
    for _ in 0..2 {
        assert_eq!(site.kernel.judge(&attempt, site.now), Verdict::Forwarded);
    }
    // The daemon dies before it has read the uses.
    site.restart(1);
    assert!(site.publish(washer, hub, "washer/other"));
    assert!(!site.publish(washer, hub, "washer/other"));
}

#[test]
fn tries_are_not_counted_again() {
    let mut site = Site::open();
    let (hub, washer) = (site.device(1), site.device(2));
    site.finish(washer);
    site.connect(washer, hub);
    site.connect(washer, hub);
    site.restart(1);
    site.scan();
    assert_eq!(site.edge(washer, "connect", "tcp/1883").unwrap().tries, 2);
}

#[test]
fn a_duration_goes_on_after_a_restart_of_the_box_once_the_clock_is_known() {
    let mut site = Site::open();
    let (hub, washer) = (site.device(1), site.device(2));
    site.finish(washer);
    site.connect(washer, hub);
    let id = site.id(washer, "connect", "tcp/1883");
    site.say(id, Answer::Allow, Lifetime::For(600));
    site.now.unix += 100;
    site.now.synchronised = false;
    site.restart(2);
    assert!(!site.connect(washer, hub), "nobody knows how long the box was off");
    site.now.synchronised = true;
    site.graph.handle_timeout(site.now);
    site.execute();
    assert!(site.connect(washer, hub));
    site.pass(501);
    assert!(!site.connect(washer, hub));
}

#[test]
fn an_unconfirmed_enforce_reverts_after_a_restart_of_the_box() {
    use crate::decision::SiteMode;
    let mut site = Site::new(Settings::default());
    site.graph.site_mode(SiteMode::Enforce, &owner(), site.now).unwrap();
    site.now.synchronised = false;
    site.restart(2);
    assert_eq!(site.graph.site().mode, SiteMode::Monitor);
    assert!(site.kernel.monitor);
}

#[test]
fn the_phone_of_a_decision_is_stored_and_a_record_of_before_is_read() {
    use crate::decision::Phone;
    let mut site = busy();
    let washer = site.graph.find("Washer").unwrap();
    let other = site.id(washer, "publish", "washer/other");
    let phone = Phone { id: "ab12".to_owned(), role: "member".to_owned() };
    let ben = Author::with_phone("Ben", phone.clone());
    let decision = site.graph.decide(other, Answer::Deny, Lifetime::Always, &ben, None, site.now).unwrap();
    site.graph.ban(washer, None, 600, "loud", &ben, site.now).unwrap();
    site.execute();
    let entry = site.ledger.iter().rev().nth(1).unwrap();
    let entry = String::from_utf8_lossy(crate::ledger::body(entry).unwrap()).into_owned();
    assert!(entry.contains(r#""by":"Ben","phone":{"id":"ab12","role":"member"}"#), "{entry}");
    site.restart(2);
    let by = &site.graph.decision(decision).unwrap().by;
    assert_eq!((by.as_str(), by.phone()), ("Ben", Some(&phone)));
    assert_eq!(&site.graph.edge(other).unwrap().state.ruling().unwrap().by, by);
    assert_eq!(&site.graph.bans().next().unwrap().by, by);

    let record = serde_json::to_string(&site.disk[&RecordKey::Decision(decision.0)]).unwrap();
    let before = record.replace(r#","phone":{"id":"ab12","role":"member"}"#, "");
    assert_ne!(before, record);
    let Record::Decision(before) = serde_json::from_str(&before).unwrap() else { panic!("{before}") };
    assert_eq!(before.by, Author::person("Ben"));
}

#[test]
fn records_that_do_not_fit_are_refused() {
    use crate::record::RestoreError;
    let site = busy();
    let records: Vec<Record> = site.disk.values().cloned().collect();
    let restore = |records: Vec<Record>| Graph::restore(Settings::default(), records, site.now).map(|_| ());
    assert_eq!(restore(records.clone()), Ok(()));
    assert_eq!(restore(Vec::new()), Err(RestoreError::NoSite));
    let doubled = [records.clone(), vec![records[0].clone()]].concat();
    assert!(matches!(restore(doubled), Err(RestoreError::Twice(_))));
    let orphaned = records.iter().filter(|record| !matches!(record.key(), RecordKey::Principal(_))).cloned();
    assert!(matches!(restore(orphaned.collect()), Err(RestoreError::NoPrincipal { .. })));
}
