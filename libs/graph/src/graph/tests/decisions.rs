use super::*;

/// A device that enforces, and a pending edge of it to a hub.
fn asked() -> (Site, PrincipalId, PrincipalId, EdgeId) {
    let mut site = Site::open();
    let (hub, washer) = (site.named(1, "Hub", "hub"), site.named(2, "Washer", "washer"));
    site.finish(washer);
    assert!(!site.connect(washer, hub));
    let id = site.id(washer, "connect", "tcp/1883");
    site.order.clear();
    (site, hub, washer, id)
}

#[test]
fn to_allow_the_disk_comes_first_and_to_deny_the_kernel() {
    let (mut site, _, _, id) = asked();
    site.say(id, Answer::Allow, Lifetime::Always);
    let kernel = site.order.iter().position(|name| *name == "kernel").unwrap();
    assert!(site.order[..kernel].contains(&"ledger") && !site.order[kernel..].contains(&"save"));
    site.order.clear();
    site.say(id, Answer::Deny, Lifetime::Always);
    let save = site.order.iter().position(|name| *name == "save").unwrap();
    assert!(site.order[..save].contains(&"kernel") && !site.order[save..].contains(&"kernel"));
    site.order.clear();
    site.graph.remove_edge(id, &owner(), site.now).unwrap();
    site.execute();
    assert_eq!(site.order.first(), Some(&"kernel"));
}

#[test]
fn an_allow_for_a_time_ends_and_the_edge_is_asked_about_at_its_next_try() {
    let (mut site, hub, washer, id) = asked();
    site.say(id, Answer::Allow, Lifetime::For(60));
    assert!(site.connect(washer, hub));
    site.wait(60);
    assert!(!site.connect(washer, hub), "the kernel knows the deadline");
    assert_eq!(site.state(washer, "connect", "tcp/1883"), "pending");
    assert_eq!(site.id(washer, "connect", "tcp/1883"), id);
    assert!(site.events.contains(&Event::EdgeExpired(id)));
}

#[test]
fn what_is_over_does_not_wait_before_it_is_tried() {
    let (mut site, _, washer, id) = asked();
    site.say(id, Answer::Allow, Lifetime::For(60));
    site.pass(61);
    assert_eq!(site.state(washer, "connect", "tcp/1883"), "none");
    assert_eq!(site.graph.edge_counts(None).pending, 0);
    assert!(site.kernel.edges.is_empty());
    assert_eq!(site.graph.poll_timeout(site.now).filter(|at| *at <= site.now.boot_ns), None);
}

#[test]
fn uses_are_counted_by_the_kernel() {
    let (mut site, hub, washer, id) = asked();
    site.say(id, Answer::Allow, Lifetime::Uses(2));
    site.wait(5);
    assert!(site.connect(washer, hub));
    assert!(site.connect(washer, hub));
    assert_eq!(site.state(washer, "connect", "tcp/1883"), "none", "used up, and not tried since");
    assert!(!site.connect(washer, hub));
    assert_eq!(site.state(washer, "connect", "tcp/1883"), "pending");
    assert!(site.kernel.uses.is_empty());
}

#[test]
fn a_try_that_was_stopped_before_the_daemon_knew_makes_it_pending() {
    let (mut site, hub, washer, id) = asked();
    site.say(id, Answer::Allow, Lifetime::Uses(1));
    site.wait(5);
    let attempt = Try { src: washer, dst: Ok(hub), kind: Kind::Transport, port: MQTT, object: String::new() };
    assert_eq!(site.kernel.judge(&attempt, site.now), Verdict::Forwarded);
    assert_eq!(site.kernel.judge(&attempt, site.now), Verdict::Dropped);
    site.scan();
    assert_eq!(site.state(washer, "connect", "tcp/1883"), "pending");
}

#[test]
fn once_is_one_use_within_ten_minutes() {
    let (mut site, hub, washer, id) = asked();
    site.say(id, Answer::Allow, Lifetime::Once);
    let rule = *site.kernel.edges.values().next().unwrap();
    assert_eq!((rule.counted, rule.deadline), (true, site.now.boot_ns + 600 * SECOND));
    assert!(site.connect(washer, hub));
    assert!(!site.connect(washer, hub));
    site.say(id, Answer::Allow, Lifetime::Once);
    site.wait(600);
    assert!(!site.connect(washer, hub));
}

#[test]
fn a_message_can_be_allowed_once() {
    let (mut site, hub, washer, id) = asked();
    site.say(id, Answer::Allow, Lifetime::Always);
    assert!(!site.publish(washer, hub, "x"));
    let message = site.id(washer, "publish", "x");
    site.say(message, Answer::Allow, Lifetime::Once);
    assert!(site.publish(washer, hub, "x"));
    assert!(!site.publish(washer, hub, "x"));
    assert!(!site.kernel.rules.contains_key(&message.0), "a rule that is used up is removed");
}

#[test]
fn a_date_waits_for_the_clock() {
    let (mut site, hub, washer, id) = asked();
    site.now.synchronised = false;
    let until = site.now.unix + 1_000;
    site.say(id, Answer::Allow, Lifetime::Until(until));
    assert!(!site.connect(washer, hub));
    assert_eq!(site.state(washer, "connect", "tcp/1883"), "allowed");
    site.now.synchronised = true;
    site.graph.handle_timeout(site.now);
    site.execute();
    assert!(site.connect(washer, hub));
    site.pass(1_001);
    assert!(!site.connect(washer, hub));
}

#[test]
fn a_denial_until_a_date_holds_while_the_clock_is_unknown() {
    let (mut site, hub, washer, id) = asked();
    let until = site.now.unix + 100;
    site.say(id, Answer::Deny, Lifetime::Until(until));
    site.now.synchronised = false;
    site.graph.handle_timeout(site.now);
    site.execute();
    site.pass(1_000);
    assert!(!site.connect(washer, hub));
    assert_eq!(site.state(washer, "connect", "tcp/1883"), "denied");
}

#[test]
fn until_restart_ends_with_the_box_not_with_the_daemon() {
    let (mut site, hub, washer, id) = asked();
    site.say(id, Answer::Allow, Lifetime::UntilRestart);
    site.restart(1);
    assert!(site.connect(washer, hub));
    site.restart(2);
    assert!(!site.connect(washer, hub));
}

#[test]
fn undo_brings_back_what_was_before_and_stands_in_the_ledger() {
    let (mut site, hub, washer, id) = asked();
    let allow = site.say(id, Answer::Allow, Lifetime::Always);
    let undo = site.graph.undo(allow, &owner(), site.now).unwrap();
    site.execute();
    assert!(site.kernel.edges.is_empty());
    assert!(!site.connect(washer, hub));
    assert_eq!(site.state(washer, "connect", "tcp/1883"), "pending");
    assert!(site.graph.decision(allow).is_some_and(|decision| decision.undone));
    assert!(site.graph.decision(undo).is_some_and(|decision| !decision.undone));
    assert!(matches!(site.graph.undo(allow, &owner(), site.now), Err(Refused::Conflict(_))));
    assert_eq!(crate::ledger::verify(site.ledger.iter(), Some(site.graph.site().ledger)).unwrap().entries, 5);
}

#[test]
fn undo_of_a_denial_lets_pass_again_what_was_learned() {
    let mut site = Site::open();
    let (hub, washer) = (site.device(1), site.device(2));
    site.connect(washer, hub);
    site.finish(washer);
    let id = site.id(washer, "connect", "tcp/1883");
    let deny = site.say(id, Answer::Deny, Lifetime::Always);
    assert!(!site.connect(washer, hub));
    site.graph.undo(deny, &owner(), site.now).unwrap();
    site.execute();
    assert_eq!(site.state(washer, "connect", "tcp/1883"), "learned");
    assert!(site.connect(washer, hub));
}

#[test]
fn only_the_last_decision_about_an_edge_can_be_undone() {
    let (mut site, _, washer, id) = asked();
    let first = site.say(id, Answer::Allow, Lifetime::Always);
    site.say(id, Answer::Deny, Lifetime::Always);
    assert!(matches!(site.graph.undo(first, &owner(), site.now), Err(Refused::Conflict(_))));
    assert_eq!(site.state(washer, "connect", "tcp/1883"), "denied");
}

#[test]
fn an_edge_that_only_a_decision_made_goes_with_it() {
    let (mut site, ..) = asked();
    let id = site.write(["Washer", "Hub", "connect", "tcp/80"], Answer::Deny).unwrap();
    let decision = site.graph.decisions().next_back().unwrap().id;
    site.graph.undo(decision, &owner(), site.now).unwrap();
    site.execute();
    assert!(site.graph.edge(id).is_none() && !site.disk.contains_key(&RecordKey::Edge(id.0)));
    assert_eq!(site.kernel.edges.len(), 0);
}

#[test]
fn what_was_shown_before_a_change_is_refused() {
    let (mut site, hub, washer, id) = asked();
    let rev = site.graph.edge(id).unwrap().rev;
    site.connect(washer, hub);
    site.graph
        .decide(id, Answer::Deny, Lifetime::Always, &Author::person("Phone"), Some(rev), site.now)
        .unwrap();
    let late = site.graph.decide(id, Answer::Allow, Lifetime::Always, &owner(), Some(rev), site.now);
    assert!(matches!(late, Err(Refused::Conflict(message)) if message.contains("Phone")));
    let unseen = Some(site.graph.edge(id).unwrap().rev + 1);
    let of_another_state = site.graph.decide(id, Answer::Allow, Lifetime::Always, &owner(), unseen, site.now);
    assert!(matches!(of_another_state, Err(Refused::Conflict(_))));
    site.execute();
    assert!(!site.connect(washer, hub));
    assert_eq!(site.state(washer, "connect", "tcp/1883"), "denied");
}

#[test]
fn of_two_answers_about_a_device_the_second_is_refused() {
    let mut site = Site::open();
    let new = site.device(1);
    site.graph.set_mode(new, Mode::New, &owner(), site.now).unwrap();
    let shown = site.graph.principal(new).unwrap().rev;
    let name = Patch { name: Some("Lamp".to_owned()), ..Patch::default() };
    site.graph.set_principal(new, &name, &owner(), site.now).unwrap();
    assert_ne!(site.graph.principal(new).unwrap().rev, shown);
    let mut choose = |mode, rev| site.graph.set_mode_seen(new, mode, rev, &owner(), site.now);
    assert!(choose(Mode::Guest, shown).is_ok(), "a new name is not another mode");
    assert!(matches!(choose(Mode::Quarantine, shown), Err(Refused::Conflict(_))));
    let now = site.graph.principal(new).unwrap().rev;
    let mut choose = |mode, rev| site.graph.set_mode_seen(new, mode, rev, &owner(), site.now);
    assert!(matches!(choose(Mode::Quarantine, now + 1), Err(Refused::Conflict(_))));
    assert!(choose(Mode::Quarantine, now).is_ok());
}

#[test]
fn tries_of_a_denied_edge_are_counted() {
    let (mut site, hub, washer, id) = asked();
    site.say(id, Answer::Deny, Lifetime::Always);
    site.connect(washer, hub);
    site.connect(washer, hub);
    assert_eq!(site.graph.edge(id).unwrap().tries, 3);
    assert_eq!(site.graph.trouble(washer, 15, site.now).len(), 1);
    site.pass(1_000);
    assert_eq!(site.graph.trouble(washer, 15, site.now), []);
}

#[test]
fn a_removed_edge_is_asked_about_at_its_next_try_even_while_learning() {
    let mut site = Site::open();
    let (hub, washer) = (site.device(1), site.device(2));
    site.connect(washer, hub);
    let id = site.id(washer, "connect", "tcp/1883");
    site.graph.remove_edge(id, &owner(), site.now).unwrap();
    site.execute();
    assert_eq!(site.state(washer, "connect", "tcp/1883"), "none");
    assert!(!site.connect(washer, hub));
    assert_eq!(site.state(washer, "connect", "tcp/1883"), "pending");
    let remove = site.graph.decisions().next_back().unwrap().id;
    site.graph.undo(remove, &owner(), site.now).unwrap();
    site.execute();
    assert!(site.connect(washer, hub));
}

#[test]
fn numbers_that_make_no_sense_are_refused() {
    let (mut site, _, washer, id) = asked();
    let past = Lifetime::Until(site.now.unix);
    for lifetime in
        [Lifetime::For(59), Lifetime::For(43_201), Lifetime::Uses(0), Lifetime::Uses(u32::MAX), past]
    {
        assert!(
            matches!(
                site.try_say(id, Answer::Allow, lifetime),
                Err(Refused::Invalid(_) | Refused::Wrong { .. })
            ),
            "{lifetime:?}"
        );
    }
    assert_eq!(site.state(washer, "connect", "tcp/1883"), "pending");
    assert!(matches!(
        site.try_say(EdgeId(9_999), Answer::Allow, Lifetime::Always),
        Err(Refused::NotFound(_))
    ));
    for wrong in [
        ["Washer", "Nobody", "connect", "tcp/1"],
        ["Washer", "Washer", "connect", "tcp/1"],
        ["Washer", "Hub", "knock", "tcp/1"],
        ["Washer", "Hub", "publish", "a/#/b"],
    ] {
        assert!(site.write(wrong, Answer::Allow).is_err(), "{wrong:?}");
    }
}

#[test]
fn enforce_reverts_unless_confirmed() {
    use crate::decision::SiteMode;
    let mut site = Site::new(Settings::default());
    assert!(site.kernel.monitor);
    site.graph.site_mode(SiteMode::Enforce, &owner(), site.now).unwrap();
    site.execute();
    assert!(!site.kernel.monitor);
    site.pass(301);
    assert!(site.kernel.monitor);
    assert_eq!(site.graph.site().mode, SiteMode::Monitor);
    site.graph.site_mode(SiteMode::Enforce, &owner(), site.now).unwrap();
    site.graph.confirm(&owner(), site.now).unwrap();
    site.execute();
    site.pass(10_000);
    assert!(!site.kernel.monitor);
    assert!(matches!(site.graph.confirm(&owner(), site.now), Err(Refused::Conflict(_))));
}

#[test]
fn an_outside_host_can_be_named_before_it_was_seen() {
    let (mut site, _, washer, _) = asked();
    site.write(["Washer", "192.0.2.7", "connect", "tcp/443"], Answer::Allow).unwrap();
    assert!(site.reach(washer, [192, 0, 2, 7], 443));
    assert!(!site.reach(washer, [192, 0, 2, 7], 80));
    for wrong in ["255.255.255.255", "0.0.0.0", "ff02::1", "fe80::1", "Internet"] {
        assert!(site.write(["Washer", wrong, "connect", "tcp/443"], Answer::Allow).is_err(), "{wrong}");
    }
    let hosts = site.kernel.hosts.len();
    assert!(site.write(["192.0.2.8", "192.0.2.9", "publish", "a/#/b"], Answer::Allow).is_err());
    assert!(site.write(["192.0.2.8", "192.0.2.8", "connect", "tcp/1"], Answer::Allow).is_err());
    assert!(site.write(["192.0.2.8", "Nobody", "connect", "tcp/1"], Answer::Allow).is_err());
    assert_eq!(site.kernel.hosts.len(), hosts, "what was refused leaves nothing behind");
    site.check();
}

#[test]
fn a_decision_soon_after_another_has_its_own_end() {
    let (mut site, _, _, id) = asked();
    site.say(id, Answer::Allow, Lifetime::For(60));
    site.wait(1);
    site.say(id, Answer::Allow, Lifetime::For(60));
    let deadlines: Vec<u64> = site.kernel.edges.values().map(|rule| rule.deadline).collect();
    assert_eq!(deadlines, [site.now.boot_ns + 60 * SECOND]);
}

#[test]
fn an_undone_decision_leaves_no_trace_on_the_edge() {
    let mut site = Site::new(Settings {
        site_mode: crate::decision::SiteMode::Enforce,
        first_run: 0,
        ..Settings::default()
    });
    let (hub, battery) = (site.device(1), site.device(2));
    site.connect(battery, hub);
    let id = site.id(battery, "connect", "tcp/1883");
    let allow = site.say(id, Answer::Allow, Lifetime::Always);
    site.graph.undo(allow, &owner(), site.now).unwrap();
    for device in [hub, battery] {
        site.graph.set_mode(device, Mode::Learning, &owner(), site.now).unwrap();
    }
    site.execute();
    assert!(site.connect(battery, hub));
    assert_eq!(site.state(battery, "connect", "tcp/1883"), "learned");
}
