//! Outside hosts by name.

use super::*;
use crate::graph::RESOLVED_CAP;

const WEB: u16 = 443;

fn titles(site: &Site) -> Vec<String> {
    let outside =
        site.graph.principals().filter(|principal| principal.is_outside() && !principal.is_builtin());
    outside.map(crate::principal::Principal::title).collect()
}

#[test]
fn a_name_is_one_edge_whatever_its_address() {
    let mut site = Site::open();
    let tv = site.device(1);
    site.resolve(tv, "API.example.com", [192, 0, 2, 1]);
    assert!(titles(&site).is_empty(), "what is only asked for takes no room");
    assert!(site.reach(tv, [192, 0, 2, 1], WEB));
    assert_eq!(titles(&site), ["api.example.com"]);
    site.finish(tv);
    site.resolve(tv, "api.example.com", [192, 0, 2, 9]);
    let v6 = HostName::parse("api.example.com").unwrap();
    let six = Addr([0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
    assert_eq!(site.graph.handle_resolved(tv, &v6, &[six], site.now), site.graph.named(&v6));
    site.execute();
    assert_eq!(site.kernel.resolved.get(&(tv.0, six.0)).copied(), site.graph.named(&v6));
    assert!(site.reach(tv, [192, 0, 2, 9], WEB), "the first packet to a new address passes");
    assert_eq!(site.graph.edge_counts(Some(tv)).learned, 1);
    site.check();
}

#[test]
fn a_name_is_the_right_of_who_resolved_it() {
    let mut site = Site::open();
    let (tv, cam) = (site.device(1), site.device(2));
    site.resolve(tv, "api.example.com", [192, 0, 2, 1]);
    site.reach(tv, [192, 0, 2, 1], WEB);
    site.finish(tv);
    site.finish(cam);
    // Another site on the same address, and another device at that address.
    site.resolve(tv, "other.example.net", [192, 0, 2, 1]);
    assert!(!site.reach(tv, [192, 0, 2, 1], WEB));
    assert!(!site.reach(cam, [192, 0, 2, 1], WEB));
    assert_eq!(titles(&site), ["api.example.com", "other.example.net", "192.0.2.1"]);
    site.resolve(cam, "api.example.com", [192, 0, 2, 1]);
    assert!(!site.reach(cam, [192, 0, 2, 1], WEB));
    let edge = site.graph.edges().find(|edge| edge.path.src == cam).unwrap();
    assert_eq!(edge.violated, Some(crate::edge::Property::DestNew));
    site.check();
}

#[test]
fn three_names_of_a_domain_become_the_domain() {
    let mut site = Site::open();
    let (tv, cam) = (site.device(1), site.device(2));
    for (at, name) in (1..).zip(["a.example.com", "b.example.com", "c.example.com"]) {
        site.resolve(tv, name, [192, 0, 2, at]);
        assert!(site.reach(tv, [192, 0, 2, at], WEB));
    }
    assert_eq!(titles(&site), ["*.example.com"]);
    // Another device has its own habits: the name, not the domain.
    site.resolve(cam, "d.example.com", [192, 0, 2, 4]);
    assert!(site.reach(cam, [192, 0, 2, 4], WEB));
    assert_eq!(titles(&site), ["*.example.com", "d.example.com"]);
    site.finish(tv);
    site.finish(cam);
    for (at, name) in (4..).zip(["d.example.com", "e.example.com"]) {
        site.resolve(tv, name, [192, 0, 2, at]);
        assert!(site.reach(tv, [192, 0, 2, at], WEB), "{name}");
    }
    site.resolve(cam, "e.example.com", [192, 0, 2, 5]);
    assert!(!site.reach(cam, [192, 0, 2, 5], WEB));
    site.resolve(tv, "a.example.net", [192, 0, 2, 6]);
    assert!(!site.reach(tv, [192, 0, 2, 6], WEB));
    site.check();
    site.restart(2);
    site.check();
    site.resolve(tv, "f.example.com", [192, 0, 2, 7]);
    assert!(site.reach(tv, [192, 0, 2, 7], WEB));
}

#[test]
fn a_name_that_others_use_stays_when_a_domain_comes() {
    let mut site = Site::open();
    let (tv, cam) = (site.device(1), site.device(2));
    site.resolve(cam, "a.example.com", [192, 0, 2, 1]);
    site.reach(cam, [192, 0, 2, 1], WEB);
    for (at, name) in (1..).zip(["a.example.com", "b.example.com", "c.example.com"]) {
        site.resolve(tv, name, [192, 0, 2, at]);
        site.reach(tv, [192, 0, 2, at], WEB);
    }
    assert_eq!(titles(&site), ["a.example.com", "*.example.com"]);
    site.finish(tv);
    site.finish(cam);
    for at in 1..=3 {
        assert!(site.reach(tv, [192, 0, 2, at], WEB));
    }
    assert!(site.reach(cam, [192, 0, 2, 1], WEB));
    assert!(!site.reach(cam, [192, 0, 2, 2], WEB));
    site.check();
}

#[test]
fn a_lock_keeps_each_name() {
    let mut site = Site::open();
    let lock = site.named(1, "Front door", "lock");
    for (at, name) in (1..).zip(["a.example.com", "b.example.com", "c.example.com"]) {
        site.resolve(lock, name, [192, 0, 2, at]);
        site.reach(lock, [192, 0, 2, at], WEB);
    }
    assert_eq!(titles(&site).len(), 3);
}

#[test]
fn a_device_cannot_fill_the_memory_with_names() {
    let mut site = Site::open();
    let tv = site.device(1);
    for at in 0..2 * RESOLVED_CAP as u32 {
        let [_, _, high, low] = at.to_be_bytes();
        site.resolve(tv, &format!("n{at}.example.com"), [198, 51, high, low]);
    }
    assert!(site.graph.name_of(tv, Addr::from_v4([198, 51, 1, 255]), site.now).is_some());
    assert!(site.graph.name_of(tv, Addr::from_v4([198, 51, 0, 0]), site.now).is_none());
    // An address of this site is nobody outside, whatever a resolver says.
    let hub = site.device(2);
    site.graph.handle_bound(hub, Addr::from_v4([192, 0, 2, 77]), site.now);
    site.resolve(tv, "evil.example.com", [192, 0, 2, 77]);
    assert!(site.graph.name_of(tv, Addr::from_v4([192, 0, 2, 77]), site.now).is_none());
}

#[test]
fn a_binding_ends_when_it_is_not_used() {
    let mut site = Site::open();
    let tv = site.device(1);
    let addr = Addr::from_v4([192, 0, 2, 1]);
    site.resolve(tv, "api.example.com", [192, 0, 2, 1]);
    site.wait(23 * 3_600);
    site.reach(tv, [192, 0, 2, 1], WEB);
    site.wait(23 * 3_600);
    assert!(site.graph.name_of(tv, addr, site.now).is_some());
    site.wait(3_600);
    assert!(site.graph.name_of(tv, addr, site.now).is_none());
}

#[test]
fn a_forgotten_name_stands_for_nobody() {
    let mut site = Site::open();
    let tv = site.device(1);
    site.resolve(tv, "api.example.com", [192, 0, 2, 1]);
    site.reach(tv, [192, 0, 2, 1], WEB);
    let host = site.graph.find("api.example.com").unwrap();
    site.graph.forget(host, &owner(), site.now).unwrap();
    site.execute();
    assert!(site.kernel.named.is_empty() && site.kernel.resolved.is_empty());
    site.check();
}

#[test]
fn names_travel_in_a_model() {
    let mut site = Site::open();
    let tv = site.named(1, "TV", "media");
    site.resolve(tv, "api.example.com", [192, 0, 2, 1]);
    site.reach(tv, [192, 0, 2, 1], WEB);
    let text = site.graph.export();
    assert!(text.contains("to = \"name:api.example.com\""), "{text}");

    let mut other = Site::open();
    other.named(1, "TV", "media");
    let dry = other.graph.import(&text, true, &owner(), other.now).unwrap();
    assert_eq!(
        dry.changes,
        ["api.example.com becomes a host", "TV to api.example.com, connect tcp/443: nothing becomes learned"]
    );
    assert!(titles(&other).is_empty());
    other.graph.import(&text, false, &owner(), other.now).unwrap();
    other.execute();
    assert_eq!(other.graph.export(), text);
    other.check();
    let wrong = text.replace("api.example", "api example");
    assert!(other.graph.import(&wrong, false, &owner(), other.now).is_err());
    // A person can name a host before it was seen.
    other.write(["TV", "name:*.example.org", "connect", "tcp/443"], Answer::Allow).unwrap();
    let tv = other.graph.find("TV").unwrap();
    other.finish(tv);
    other.resolve(tv, "x.example.org", [192, 0, 2, 5]);
    assert!(other.reach(tv, [192, 0, 2, 5], WEB));
    other.check();
}

#[test]
fn what_is_allowed_to_one_host_can_be_allowed_to_its_domain() {
    let mut site = Site::open();
    let tv = site.device(1);
    site.finish(tv);
    site.resolve(tv, "a.example.com", [192, 0, 2, 1]);
    assert!(!site.reach(tv, [192, 0, 2, 1], WEB));
    let edge = site.id(tv, "connect", "tcp/443");
    let widen = |site: &mut Site, edge| {
        let decided = site.graph.widen(edge, &owner(), site.now);
        site.execute();
        decided
    };
    assert!(widen(&mut site, edge).is_err(), "nobody has allowed it");
    site.say(edge, Answer::Allow, Lifetime::For(60));
    assert!(widen(&mut site, edge).is_err(), "it ends");
    site.say(edge, Answer::Allow, Lifetime::Always);
    let (decision, wide) = widen(&mut site, edge).unwrap();
    assert_eq!(titles(&site), ["a.example.com", "*.example.com"]);
    site.resolve(tv, "b.example.com", [192, 0, 2, 2]);
    assert!(site.reach(tv, [192, 0, 2, 2], WEB));
    assert!(!site.reach(tv, [192, 0, 2, 2], 80), "nothing else of it");
    site.resolve(tv, "b.example.net", [192, 0, 2, 3]);
    assert!(!site.reach(tv, [192, 0, 2, 3], WEB));
    assert!(widen(&mut site, wide).is_err(), "it is the domain already");
    site.graph.undo(decision, &owner(), site.now).unwrap();
    site.execute();
    assert!(!site.reach(tv, [192, 0, 2, 2], WEB));
    site.check();
}
