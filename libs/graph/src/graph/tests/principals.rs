use super::*;
use crate::inventory::Proof;
use firewall_common::abi::Kind;

fn hear(site: &mut Site, src: PrincipalId, name: &[u8]) {
    let mut object = [0; OBJECT_CAP];
    object[..name.len()].copy_from_slice(name);
    let edge = EdgeKey { src, dst: PrincipalId::UNKNOWN, port: 0, proto: 0, kind: Kind::DhcpName as u8 };
    let key = ObservedKey { addr: Addr::default(), object: 1, edge, _pad: 0 };
    let value = Observed {
        count: 1,
        first: site.now.boot_ns,
        last: site.now.boot_ns,
        verdict: Verdict::Forwarded as u8,
        reason: Reason::InModel as u8,
        object_len: name.len() as u16,
        ifindex: 7,
        object,
    };
    site.graph.handle_observed(&Fact { key, value }, site.now);
    site.execute();
}

#[test]
fn a_name_that_a_device_gives_itself_is_a_hint_and_never_found() {
    let mut site = Site::open();
    let (lock, evil) = (site.named(1, "Front door", "lock"), site.device(2));
    hear(&mut site, evil, b"front\x1b door");
    assert_eq!(
        site.graph.principal(evil).unwrap().hint.as_ref().map(|hint| hint.0.as_str()),
        Some("front door")
    );
    assert_eq!(site.graph.find("front door"), Ok(lock));
    assert_eq!(site.alarms(), [Alarm::NameAlike]);
    hear(&mut site, evil, b"Heater");
    assert!(
        matches!(site.graph.find("Heater"), Err(Refused::NotFound(message)) if message.contains("calls itself"))
    );
    assert_eq!(site.graph.find("02:00:00:00:00:02"), Ok(evil));
    assert_eq!(site.graph.find(&evil.0.to_string()), Ok(evil));
    assert_eq!(site.graph.find("self"), Ok(PrincipalId::SELF));
}

#[test]
fn names_are_unique_and_mean_nothing_else() {
    let mut site = Site::open();
    let (_, other) = (site.named(1, "Hub", "hub"), site.device(2));
    for name in ["hub", "17", "02:00:00:00:00:01", "10.0.0.1", "Internet", "self"] {
        let patch = Patch { name: Some(name.into()), ..Patch::default() };
        assert!(site.graph.set_principal(other, &patch, &owner(), site.now).is_err(), "{name}");
    }
    let patch = Patch { kind: Some("lokc".into()), ..Patch::default() };
    assert_eq!(
        site.graph.set_principal(other, &patch, &owner(), site.now).unwrap_err().code(),
        "kind_unknown"
    );
    let patch = Patch { room: Some("Cellar\u{202e}".into()), ..Patch::default() };
    site.graph.set_principal(other, &patch, &owner(), site.now).unwrap();
    assert_eq!(site.graph.principal(other).unwrap().room.as_deref(), Some("Cellar"));
}

#[test]
fn a_mac_on_another_port_gains_nothing() {
    let mut site = Site::open();
    let lock = site.device(1);
    let place = Place { port: "lan1".into(), ifindex: 8, vlan: 0, mac: [2, 0, 0, 0, 0, 1] };
    site.graph.handle_stranger(place, site.now);
    site.execute();
    assert_eq!(site.alarms(), [Alarm::SpoofMac]);
    assert_eq!(site.kernel.macs.get(&([2, 0, 0, 0, 0, 1], 0)), Some(&(7, lock)));
}

#[test]
fn the_same_mac_in_another_vlan_is_another_principal() {
    let mut site = Site::open();
    let first = site.device(1);
    let place = Place { port: "lan0".into(), ifindex: 7, vlan: 5, mac: [2, 0, 0, 0, 0, 1] };
    site.graph.handle_stranger(place, site.now);
    site.execute();
    assert_ne!(site.kernel.macs.get(&([2, 0, 0, 0, 0, 1], 5)), Some(&(7, first)));
    assert!(matches!(site.graph.find("02:00:00:00:00:01"), Err(Refused::Invalid(_))));
}

#[test]
fn an_interface_that_comes_back_gets_its_devices_again() {
    let mut site = Site::open();
    let lock = site.device(1);
    site.graph.handle_port("lan0", 23, site.now);
    site.execute();
    assert_eq!(site.kernel.macs.get(&([2, 0, 0, 0, 0, 1], 0)), Some(&(23, lock)));
}

#[test]
fn quarantine_reaches_the_kernel_before_the_disk_and_release_after() {
    let mut site = Site::open();
    let (hub, washer) = (site.device(1), site.device(2));
    site.connect(washer, hub);
    site.order.clear();
    let quarantine = site.graph.set_mode(washer, Mode::Quarantine, &owner(), site.now).unwrap();
    site.execute();
    assert_eq!(site.order.first(), Some(&"kernel"));
    assert!(!site.connect(washer, hub));
    assert!(!site.connect(hub, washer));
    assert_eq!(site.graph.trouble(washer, 1, site.now).len(), 1, "no card, but it can be looked up");
    site.order.clear();
    site.graph.undo(quarantine, &owner(), site.now).unwrap();
    site.execute();
    assert_eq!(site.order.first(), Some(&"save"));
    assert_eq!(site.mode(washer), Mode::Learning);
    assert!(site.connect(washer, hub));
}

#[test]
fn who_is_released_is_what_it_was_before() {
    let mut site = Site::open();
    let (lamp, phone, tv) = (site.device(1), site.device(2), site.device(3));
    site.finish(lamp);
    site.graph.set_mode(phone, Mode::Guest, &owner(), site.now).unwrap();
    for (id, mode) in [(lamp, Mode::Enforcing), (phone, Mode::Guest), (tv, Mode::Learning)] {
        site.graph.set_mode(id, Mode::Quarantine, &owner(), site.now).unwrap();
        site.execute();
        site.order.clear();
        site.graph.let_back(id, &owner(), site.now).unwrap();
        site.execute();
        assert_eq!((site.mode(id), site.order.first()), (mode, Some(&"save")));
        let again = site.graph.let_back(id, &owner(), site.now);
        assert!(matches!(again, Err(Refused::Conflict(_))), "{again:?}");
    }
}

#[test]
fn a_guest_reaches_the_internet_only_and_asks_nothing() {
    let mut site = Site::open();
    let (hub, phone) = (site.device(1), site.device(2));
    site.graph.set_mode(phone, Mode::Guest, &owner(), site.now).unwrap();
    site.execute();
    assert!(site.reach(phone, [192, 0, 2, 1], 443));
    assert!(!site.connect(phone, hub));
    assert_eq!(site.graph.edges().count(), 0);
    assert_eq!(site.graph.trouble(phone, 1, site.now).len(), 1);
}

#[test]
fn the_answer_about_a_device_settles_what_waited_for_it() {
    let mut site = Site::new(Settings {
        site_mode: crate::decision::SiteMode::Enforce,
        first_run: 0,
        ..Settings::default()
    });
    let (hub, phone) = (site.device(1), site.device(2));
    assert!(!site.connect(phone, hub));
    assert!(!site.reach(phone, [192, 0, 2, 1], 443));
    assert_eq!(site.graph.edge_counts(None).pending, 2);
    site.graph.set_mode(phone, Mode::Guest, &owner(), site.now).unwrap();
    site.execute();
    assert_eq!(site.graph.edge_counts(None).pending, 0);
    assert!(site.kernel.hosts.is_empty(), "a host that nothing leads to is forgotten");
    assert!(site.reach(phone, [192, 0, 2, 1], 443) && !site.connect(phone, hub));
}

#[test]
fn a_pause_ends_itself() {
    let mut site = Site::open();
    let washer = site.device(1);
    site.graph.pause(Some(washer), 60, &owner(), site.now).unwrap();
    site.graph.pause(None, 120, &owner(), site.now).unwrap();
    site.execute();
    assert!(site.graph.principal(washer).unwrap().pause.is_some() && site.graph.site().pause.is_some());
    site.pass(61);
    assert!(site.graph.principal(washer).unwrap().pause.is_none() && site.graph.site().pause.is_some());
    site.pass(61);
    assert!(site.graph.site().pause.is_none());
    assert_eq!(site.graph.pause(None, 43_201, &owner(), site.now).unwrap_err().code(), "duration_range");
}

#[test]
fn merged_devices_have_one_model() {
    let mut site = Site::open();
    let (hub, wired, radio) = (site.device(1), site.named(2, "Washer", "washer"), site.device(3));
    site.connect(wired, hub);
    site.connect(radio, hub);
    site.publish(radio, hub, "x");
    let denied = site.id(radio, "connect", "tcp/1883");
    site.say(denied, Answer::Deny, Lifetime::Always);
    site.graph.merge(radio, wired, &owner(), site.now).unwrap();
    site.execute();
    assert!(site.graph.principal(radio).is_none());
    assert_eq!(site.kernel.macs.get(&([2, 0, 0, 0, 0, 3], 0)), Some(&(7, wired)));
    assert_eq!(site.state(wired, "connect", "tcp/1883"), "denied", "the stricter of the two");
    assert_eq!(site.state(wired, "publish", "x"), "learned");
    assert!(!site.connect(wired, hub));
    assert_eq!(site.kernel.edges.len(), 1);
    assert!(site.graph.merge(wired, PrincipalId::SELF, &owner(), site.now).is_err());
}

#[test]
fn what_is_forgotten_is_gone_everywhere() {
    let mut site = Site::open();
    let (hub, washer) = (site.device(1), site.device(2));
    site.connect(washer, hub);
    site.client(washer, hub, "washer");
    site.publish(washer, hub, "x");
    site.graph.forget(washer, &owner(), site.now).unwrap();
    site.execute();
    assert_eq!((site.kernel.edges.len(), site.kernel.rules.len(), site.kernel.macs.len()), (0, 1, 1));
    assert!(!site.disk.keys().any(|key| matches!(key, RecordKey::Edge(_))));
    site.scan();
    assert_eq!(site.graph.edges().count(), 0, "old entries of the kernel bring nothing back");
    let again = site.device(2);
    assert_ne!(again, washer, "a number is not used again at once");
}

#[test]
fn a_port_has_room_for_so_many_and_silent_strangers_make_room() {
    let mut site = Site::new(Settings { principals_per_port: 3, first_run: 0, ..Settings::default() });
    for number in 1..=3 {
        site.device(number);
    }
    let stranger = |number| Place { port: "lan0".into(), ifindex: 7, vlan: 0, mac: [2, 0, 0, 0, 0, number] };
    site.graph.handle_stranger(stranger(4), site.now);
    site.execute();
    assert_eq!(site.kernel.macs.len(), 3);
    assert_eq!(site.alarms(), [Alarm::Overflow]);
    let first = site.graph.find("02:00:00:00:00:01").unwrap();
    let patch = Patch { name: Some("Mine".into()), ..Patch::default() };
    site.graph.set_principal(first, &patch, &owner(), site.now).unwrap();
    site.wait(601);
    site.device(4);
    assert_eq!(site.kernel.macs.len(), 3);
    assert_eq!(site.graph.find("Mine"), Ok(first), "what a person has named stays");
}

#[test]
fn facts_that_make_no_sense_change_nothing() {
    let mut site = Site::open();
    let washer = site.device(1);
    let value = Observed {
        count: u64::MAX,
        first: u64::MAX,
        last: 0,
        verdict: 99,
        reason: 99,
        object_len: u16::MAX,
        ifindex: 0,
        object: [0xff; OBJECT_CAP],
    };
    for kind in 0..=255 {
        for (src, dst) in [(washer.0, 4_095), (4_095, washer.0), (0, 0), (washer.0, 0), (u32::MAX, u32::MAX)]
        {
            let edge = EdgeKey { src: PrincipalId(src), dst: PrincipalId(dst), port: 0, proto: 0, kind };
            let key = ObservedKey { addr: Addr([0xab; 16]), object: 0, edge, _pad: 0 };
            site.graph.handle_observed(&Fact { key, value }, site.now);
        }
    }
    site.execute();
    assert_eq!(site.graph.edges().count(), 0);
    assert_eq!(site.graph.principals().count(), 4);
}

#[test]
fn a_guess_is_shown_and_opens_nothing() {
    use crate::explain::Risk;
    use crate::inventory::Clue;
    use crate::principal::Kind;
    let mut site = Site::open();
    let (hub, cam) = (site.device(1), site.device(2));
    let say = |site: &mut Site, id, clue| {
        site.graph.handle_clue(id, clue, site.now);
        site.execute();
    };
    say(&mut site, cam, Clue::Service("_axis-video._tcp".into()));
    let guess = site.graph.guess(cam).unwrap();
    assert_eq!(
        (guess.kind, guess.evidence),
        (Kind::Camera, vec![Proof::Offers("_axis-video._tcp".to_owned())])
    );
    let principal = site.graph.principal(cam).unwrap();
    assert_eq!((principal.kind, principal.shown_kind().0.as_str()), (Kind::Unknown, "camera"));
    // The kernel holds what the owner said, which is nothing.
    assert_eq!(site.kernel.principals[&cam.0], (Mode::Learning, false));
    assert!(site.connect(hub, cam));
    site.finish(hub);
    site.publish(hub, cam, "x");
    // But a question says how bad it may be.
    let edge = site.graph.edges().find(|edge| edge.path.dst == cam).unwrap();
    assert_eq!(site.graph.risk(edge, site.now), Risk::High);
    // What the owner says counts more, and a guess is made again from what was stored.
    let patch = Patch { kind: Some("sensor".into()), ..Patch::default() };
    site.graph.set_principal(cam, &patch, &owner(), site.now).unwrap();
    site.execute();
    assert_eq!(site.graph.principal(cam).unwrap().shown_kind().0, Kind::Sensor);
    let before = site.graph.guess(cam);
    site.restart(2);
    assert_eq!(site.graph.guess(cam), before);
    assert_eq!(site.graph.principal(cam).unwrap().guessed, Some(Kind::Camera));
    site.check();
}

#[test]
fn who_takes_the_name_or_the_id_of_another_raises_an_alarm() {
    use crate::inventory::Clue;
    use crate::principal::Hint;
    let mut site = Site::open();
    let (lock, thief) = (site.named(1, "Door", "lock"), site.device(2));
    let id = Clue::ClientId(vec![1, 2, 3]);
    for (who, clue, alarm) in [
        (lock, id.clone(), None),
        (lock, id.clone(), None),
        (thief, id.clone(), Some(Alarm::ClientTaken)),
        (thief, id, None),
        (thief, Clue::HostName(Hint("DOOR".into())), Some(Alarm::NameAlike)),
    ] {
        site.events.clear();
        site.graph.handle_clue(who, clue.clone(), site.now);
        site.execute();
        assert_eq!(site.alarms(), alarm.into_iter().collect::<Vec<_>>(), "{clue:?}");
    }
    assert_eq!(site.graph.find("Door"), Ok(lock));
    // The same at a broker.
    let (hub, other) = (site.device(3), site.device(4));
    site.connect(lock, hub);
    site.client(lock, hub, "door-1");
    site.connect(other, hub);
    site.events.clear();
    assert!(!site.client(other, hub, "door-1"));
    assert_eq!(site.alarms(), [Alarm::ClientTaken]);
    site.check();
}

#[test]
fn who_answers_for_the_name_of_the_box_raises_an_alarm() {
    use crate::inventory::Clue;
    use crate::principal::Hint;
    let mut site = Site::open();
    let thief = site.device(1);
    site.graph.handle_clue(thief, Clue::HostName(Hint("edgeward".into())), site.now);
    site.execute();
    assert_eq!(site.alarms(), [Alarm::NameAlike]);
}

#[test]
fn who_shares_a_segment_is_not_covered() {
    let mut site = Site::open();
    let place = |port: &str, vlan, number| Place {
        port: port.into(),
        ifindex: 7,
        vlan,
        mac: [2, 0, 0, 0, vlan as u8, number],
    };
    let mut add = |port: &str, vlan, number| {
        site.graph.handle_stranger(place(port, vlan, number), site.now);
        site.graph.find_mac(&crate::principal::show_mac([2, 0, 0, 0, vlan as u8, number]), vlan).unwrap()
    };
    let (first, second, third) = (add("lan0", 0, 1), add("lan0", 0, 2), add("lan1", 0, 3));
    let (tagged, fifth) = (add("lan0", 5, 4), add("lan1", 0, 5));
    site.execute();
    let coverage = site.graph.coverage();
    assert_eq!((coverage.uncovered, coverage.pairs), (2, 10));
    let of: Vec<_> =
        coverage.segments.iter().map(|found| (found.port.as_str(), found.vlan, &found.devices[..])).collect();
    assert_eq!(of, [("lan0", 0, &[first, second][..]), ("lan1", 0, &[third, fifth][..])]);
    // Two that are at both ports are still one pair.
    for (from, into) in [(third, first), (fifth, second)] {
        site.graph.merge(from, into, &owner(), site.now).unwrap();
    }
    site.execute();
    let coverage = site.graph.coverage();
    assert_eq!((coverage.uncovered, coverage.pairs, coverage.segments.len()), (1, 3, 2));
    assert!(coverage.segments.iter().all(|segment| !segment.devices.contains(&tagged)));
}
