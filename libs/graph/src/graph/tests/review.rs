//! What people look at before a device enforces.

use super::*;

const WEB: u16 = 443;

#[test]
fn habits_come_in_groups() {
    let mut site = Site::open();
    let (tv, hub) = (site.device(1), site.named(2, "Hub", "hub"));
    for (at, name) in (1..).zip(["a.example.com", "b.example.com"]) {
        site.ask(tv, name);
        site.resolve(tv, name, [192, 0, 2, at]);
        site.reach(tv, [192, 0, 2, at], WEB);
    }
    site.connect(tv, hub);
    let review = site.graph.review(tv, site.now);
    let groups: Vec<_> =
        review.groups.iter().map(|group| (group.with.as_str(), group.habits.len())).collect();
    assert_eq!((review.habits, groups), (4, vec![("example.com", 3), ("Hub", 1)]));
    let evidence = review.evidence.unwrap();
    assert_eq!((evidence.days, evidence.confidence), (0, crate::review::Confidence::Low));
    site.finish(tv);
    assert_eq!(site.graph.review(tv, site.now).evidence, None);
}

#[test]
fn jobs_of_its_kind_are_missed_until_they_are_seen() {
    let mut site = Site::open();
    let (printer, hub, laptop) = (site.device(1), site.device(2), site.device(3));
    let kind = |site: &mut Site, id, kind: &str| {
        let patch = Patch { kind: Some(kind.into()), ..Patch::default() };
        site.graph.set_principal(id, &patch, &owner(), site.now).unwrap();
        site.execute();
    };
    let missed = |site: &Site, id| {
        let evidence = site.graph.review(id, site.now).evidence.unwrap();
        evidence.not_seen.iter().map(|job| job.as_str()).collect::<Vec<_>>()
    };
    assert_eq!(missed(&site, printer), [""; 0], "nobody knows what it is");
    kind(&mut site, printer, "printer");
    assert_eq!(missed(&site, printer), ["software", "print"]);
    site.open_port(laptop, printer, 631);
    assert_eq!(missed(&site, printer), ["software"]);
    site.ask(printer, "ota.example.com");
    site.resolve(printer, "ota.example.com", [192, 0, 2, 1]);
    site.reach(printer, [192, 0, 2, 1], WEB);
    assert_eq!(missed(&site, printer), [""; 0]);

    // A light is told what to do by way of the broker.
    let light = site.device(4);
    kind(&mut site, light, "light");
    site.connect(light, hub);
    site.connect(laptop, hub);
    site.subscribe(light, hub, "light/1/set");
    site.publish(laptop, hub, "light/1/state");
    assert_eq!(missed(&site, light), ["software", "set"]);
    site.publish(laptop, hub, "light/1/set");
    assert_eq!(missed(&site, light), ["software"]);
}

#[test]
fn what_would_break_is_told_before() {
    let mut site = Site::open();
    let (tv, hub, lock) = (site.device(1), site.device(2), site.named(3, "Door", "lock"));
    site.connect(tv, hub);
    // Asked about although it learns, because it leads to a lock.
    site.connect(tv, lock);
    let told = |site: &Site, id| {
        let broken = site.graph.would_break(id, site.now);
        broken.into_iter().map(|broken| broken.sentence).collect::<Vec<_>>()
    };
    let all = told(&site, Some(tv));
    assert_eq!(all.len(), 1, "{all:?}");
    assert!(all[0].starts_with("“02:00:00:00:00:01” could not connect to Door (tcp/1883): "), "{all:?}");
    assert_eq!(told(&site, None), all);
    assert_eq!(told(&site, Some(hub)), [""; 0]);
    // Told is what happens then.
    site.finish(tv);
    assert!(site.connect(tv, hub));
    assert!(!site.connect(tv, lock));
    // What is denied breaks on purpose, and is told all the same.
    let edge = site.graph.edges().find(|edge| edge.path.dst == hub).unwrap().id;
    site.say(edge, Answer::Deny, Lifetime::Always);
    assert_eq!(told(&site, Some(tv)).len(), 2);
}
