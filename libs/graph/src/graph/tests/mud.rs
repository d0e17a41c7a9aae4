//! What was learned as a profile, and beside one.

use super::*;
use crate::mud::{Comparison, Profile};

#[test]
fn what_was_learned_comes_back_as_a_profile() {
    let mut site = Site::open();
    let (hub, tv) = (site.device(1), site.device(2));
    site.resolve(tv, "api.example.com", [192, 0, 2, 1]);
    site.reach(tv, [192, 0, 2, 1], 443);
    site.reach(tv, [198, 51, 100, 1], 8443);
    site.connect(tv, hub);
    site.open_port(tv, PrincipalId::EVERYONE, 1_900);
    let text = site.graph.export_mud(tv, site.now);
    let profile = Profile::parse(&text).unwrap();
    let Comparison { agreed, undeclared, unseen } = site.graph.compare(tv, &profile, site.now);
    assert_eq!(
        (agreed.len(), undeclared.len(), unseen.len()),
        (4, 0, 0),
        "{agreed:?} {undeclared:?} {unseen:?}"
    );
    // The maker's other name, and a port that it does not know.
    let other = text.replace("api.example.com", "eu.example.com").replace("8443", "9443");
    let profile = Profile::parse(&other).unwrap();
    let Comparison { undeclared, unseen, .. } = site.graph.compare(tv, &profile, site.now);
    assert_eq!(undeclared, ["tcp/443 to api.example.com", "tcp/8443 to 198.51.100.1"]);
    assert_eq!(unseen, ["tcp/443 to eu.example.com", "tcp/9443 to 198.51.100.1/32"]);
}

const LAMP: &str = r#"{"ietf-mud:mud": {"mud-version": 1, "mud-url": "https://maker.example/lamp",
    "from-device-policy": {"access-lists": {"access-list": [{"name": "out"}]}}},
  "ietf-access-control-list:acls": {"acl": [{"name": "out", "aces": {"ace": [
    {"name": "a", "matches": {"ipv4": {"protocol": 6, "ietf-acldns:dst-dnsname": "cloud.maker.example"},
        "tcp": {"destination-port": {"operator": "eq", "port": 443}}}, "actions": {"forwarding": "accept"}},
    {"name": "b", "matches": {"ipv4": {"protocol": 17, "destination-ipv4-network": "192.0.2.7/32"},
        "udp": {"destination-port": {"operator": "range", "lower-port": 8, "upper-port": 9}}},
        "actions": {"forwarding": "accept"}},
    {"name": "c", "matches": {"ietf-mud:mud": {"local-networks": [null]}}, "actions": {"forwarding": "accept"}}
  ]}}]}}"#;

#[test]
fn what_a_maker_declares_waits_for_a_person() {
    let mut site = Site::open();
    let lamp = site.device(1);
    site.finish(lamp);
    let profile = Profile::parse(LAMP).unwrap();
    let proposed = site.graph.propose(lamp, &profile, site.now).unwrap();
    site.execute();
    assert_eq!((proposed.asked.len(), proposed.known.len()), (3, 0), "{proposed:?}");
    assert_eq!(proposed.open, ["anything to local networks"]);
    site.check();
    // Nothing of it passes.
    site.resolve(lamp, "cloud.maker.example", [192, 0, 2, 1]);
    assert!(!site.reach(lamp, [192, 0, 2, 1], 443));
    assert!(!site.ask(lamp, "cloud.maker.example"));
    // It is one question, also once the device has tried, and survives what makes other questions superfluous.
    let again = site.graph.propose(lamp, &profile, site.now).unwrap();
    assert_eq!(again.asked, proposed.asked);
    let cloud = site.graph.edge(proposed.asked[0]).unwrap();
    assert_eq!(cloud.violated, Some(crate::edge::Property::Declared));
    site.graph.set_mode(lamp, Mode::Learning, &owner(), site.now).unwrap();
    site.execute();
    assert!(site.graph.edge(proposed.asked[1]).is_some_and(Edge::is_proposal));
    site.finish(lamp);
    site.say(proposed.asked[1], Answer::Allow, Lifetime::Always);
    let again = site.graph.propose(lamp, &profile, site.now).unwrap();
    site.execute();
    assert_eq!(again.known, ["udp/8 to 192.0.2.7"]);
    site.check();
}

#[test]
fn a_profile_has_no_more_questions_than_a_device() {
    let mut site = Site::open();
    let lamp = site.device(1);
    site.finish(lamp);
    let entries: Vec<String> = (0..200)
        .map(|number| {
            format!(
                r#"{{"name": "{number}", "matches": {{"ipv4": {{"protocol": 6, "ietf-acldns:dst-dnsname":
                "h{number}.maker.example"}}, "tcp": {{"destination-port": {{"operator": "eq", "port": 443}}}}}},
                "actions": {{"forwarding": "accept"}}}}"#
            )
        })
        .collect();
    let (before, _) = LAMP.split_once(r#"{"name": "a""#).unwrap();
    let profile = Profile::parse(&format!("{before}{}]}}}}]}}}}", entries.join(","))).unwrap();
    let proposed = site.graph.propose(lamp, &profile, site.now).unwrap();
    site.execute();
    let cap = site.settings.pending_per_source;
    assert_eq!((proposed.asked.len(), proposed.open.len()), (cap, 200 - cap));
    let outside = site.graph.principals().filter(|principal| principal.host.is_some()).count();
    assert_eq!(outside, cap, "hosts of what found no room are gone");
    site.check();
}

#[test]
fn rows_say_who_declares_does_and_allows() {
    let mut site = Site::open();
    let (lamp, hub) = (site.device(1), site.device(2));
    site.resolve(lamp, "cloud.maker.example", [192, 0, 2, 1]);
    site.reach(lamp, [192, 0, 2, 1], 443);
    site.connect(lamp, hub);
    let profile = Profile::parse(LAMP).unwrap();
    let rows = site.graph.mud_rows(lamp, &profile);
    let told: Vec<_> = rows.iter().map(|row| (row.what.as_str(), row.declared, row.does)).collect();
    assert_eq!(
        told,
        [
            ("tcp/443 to cloud.maker.example", true, true),
            ("tcp/1883 to 02:00:00:00:00:02", true, true),
            ("udp/8-9 to 192.0.2.7/32", true, false)
        ]
    );
}

#[test]
fn names_cannot_break_out_of_the_picture() {
    let mut site = Site::open();
    let (lamp, hub) = (site.device(1), site.device(2));
    let patch =
        Patch { name: Some(r#"Lamp" [URL="x"]; \N"#.into()), room: Some("Hall".into()), ..Patch::default() };
    site.graph.set_principal(lamp, &patch, &owner(), site.now).unwrap();
    site.execute();
    site.connect(lamp, hub);
    let text = site.graph.export_dot();
    let (l, h) = (lamp.0, hub.0);
    assert!(text.contains(&format!(r#"p{l} [label="Lamp\" [URL=\"x\"]; \\N"];"#)), "{text}");
    assert!(text.contains("label=\"Hall\";"), "{text}");
    assert!(text.contains(&format!(r#"p{l} -> p{h} [label="connect tcp/1883", style=solid];"#)), "{text}");
}
