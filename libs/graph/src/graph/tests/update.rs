//! What a device that enforces learns: of an update, and after an upgrade of this program. And what stays when the site
//! moves.

use super::*;

const WEB: u16 = 443;

/// A lamp that uses one host of its maker.
fn lamp(site: &mut Site) -> PrincipalId {
    let lamp = site.device(1);
    site.ask(lamp, "api.maker.com");
    site.resolve(lamp, "api.maker.com", [192, 0, 2, 1]);
    site.reach(lamp, [192, 0, 2, 1], WEB);
    site.finish(lamp);
    lamp
}

#[test]
fn an_update_teaches_names_of_the_same_domain_and_nothing_else() {
    let mut site = Site::open();
    let (lamp, hub) = (lamp(&mut site), site.device(2));
    site.graph.await_update(lamp, 1_800, &owner(), site.now).unwrap();
    site.execute();
    site.resolve(lamp, "ota.maker.com", [192, 0, 2, 2]);
    assert!(!site.reach(lamp, [192, 0, 2, 2], WEB), "the first try is looked at");
    assert!(site.reach(lamp, [192, 0, 2, 2], WEB), "and then it is part of the model");
    site.resolve(lamp, "api.maker.net", [192, 0, 2, 3]);
    for _ in 0..2 {
        assert!(!site.reach(lamp, [192, 0, 2, 3], WEB), "another domain is asked about");
        assert!(!site.ask(lamp, "api.other.com"));
        assert!(!site.reach(lamp, [192, 0, 2, 9], WEB), "and so is an address");
        assert!(!site.connect(lamp, hub), "and another device");
    }
    site.check();
    site.pass(1_900);
    let update = site.graph.principal(lamp).unwrap().update.clone().unwrap();
    assert!(update.over);
    let learned = site.graph.edge(update.learned[0]).unwrap();
    assert_eq!((update.learned.len(), learned.path.operation.object_text().as_str()), (1, "tcp/443"));
    let said = site.graph.decisions().last().unwrap();
    assert_eq!(said.what.detail(), "after the update: 1 learned, 4 asked about");
    site.resolve(lamp, "late.maker.com", [192, 0, 2, 4]);
    for _ in 0..2 {
        assert!(!site.reach(lamp, [192, 0, 2, 4], WEB), "the time is over");
    }
    site.restart(2);
    assert_eq!(site.graph.principal(lamp).unwrap().update.as_ref(), Some(&update));
    site.check();
}

#[test]
fn a_denied_host_stays_denied_in_an_update() {
    let mut site = Site::open();
    let lamp = lamp(&mut site);
    site.resolve(lamp, "ads.maker.com", [192, 0, 2, 2]);
    assert!(!site.reach(lamp, [192, 0, 2, 2], WEB));
    let pending = site.graph.edges().find(|edge| edge.state == State::Pending).unwrap().id;
    site.say(pending, Answer::Deny, Lifetime::Always);
    site.graph.await_update(lamp, 1_800, &owner(), site.now).unwrap();
    site.execute();
    for _ in 0..2 {
        assert!(!site.reach(lamp, [192, 0, 2, 2], WEB));
    }
    assert_eq!(site.graph.edge(pending).unwrap().state.as_str(), "denied");
    let hub = site.device(2);
    let refused = site.graph.await_update(hub, 60, &owner(), site.now);
    assert!(matches!(refused, Err(Refused::Conflict(_))), "{refused:?}");
}

#[test]
fn a_state_of_before_names_goes_on_resolving() {
    let mut site = Site::open();
    let lamp = site.device(1);
    site.reach(lamp, [192, 0, 2, 1], WEB);
    site.finish(lamp);
    // As a version without names has written it.
    let record = site.disk.get_mut(&RecordKey::Site).unwrap();
    let mut text: serde_json::Value = serde_json::to_value(&*record).unwrap();
    text["site"].as_object_mut().unwrap().remove("knows_names").unwrap();
    *record = serde_json::from_value(text).unwrap();
    site.restart(2);
    assert!(!site.ask(lamp, "api.maker.com"), "the first question is looked at");
    assert!(site.ask(lamp, "api.maker.com"), "and then it is part of the model");
    assert!(!site.reach(lamp, [192, 0, 2, 9], WEB), "nothing else is");
    site.wait(1);
    let new = site.device(2);
    site.finish(new);
    for _ in 0..2 {
        assert!(!site.ask(new, "api.maker.com"), "who enforces since knows its names");
    }
    site.restart(3);
    site.pass(site.settings.learn_quiet);
    for _ in 0..2 {
        assert!(!site.ask(lamp, "late.other.com"), "it does not last");
    }
    // A state of this version without names was made so.
    let mut site = Site::open();
    let lamp = site.device(1);
    site.finish(lamp);
    site.restart(2);
    for _ in 0..2 {
        assert!(!site.ask(lamp, "api.maker.com"));
    }
    site.check();
}

#[test]
fn a_site_that_moves_is_told_of_once_and_keeps_its_models() {
    use crate::graph::Network;
    let mut site = Site::open();
    let lamp = lamp(&mut site);
    let network = |octets: [u8; 4], bits: u8| Network { addr: Addr::from_v4(octets), prefix: 96 + bits };
    let go = |site: &mut Site, networks: &[Network]| {
        site.events.clear();
        site.graph.handle_networks(networks.to_vec(), site.now);
        site.execute();
        site.alarms()
    };
    let (home, garden) = (network([192, 168, 1, 0], 24), network([192, 168, 2, 0], 24));
    let (anywhere, new) = (network([192, 168, 0, 0], 16), network([10, 20, 0, 0], 24));
    for (networks, alarms) in [
        (&[anywhere][..], &[][..]),
        (&[home], &[]),
        (&[home, garden], &[]),
        (&[garden], &[]),
        (&[anywhere], &[]),
        (&[], &[]),
        (&[new], &[Alarm::Moved]),
        (&[new], &[]),
    ] {
        assert_eq!(go(&mut site, networks), alarms, "{networks:?}");
    }
    site.restart(2);
    assert_eq!(go(&mut site, &[new]), []);
    site.resolve(lamp, "api.maker.com", [192, 0, 2, 1]);
    assert!(site.reach(lamp, [192, 0, 2, 1], WEB), "what was learned passes");
    site.check();
}

#[test]
fn another_router_is_asked_about_until_somebody_says_what_it_means() {
    let mut site = Site::open();
    let lamp = site.device(1);
    site.finish(lamp);
    let settle = |site: &mut Site, learn| {
        let settled = site.graph.settle(learn, &owner(), site.now);
        site.execute();
        settled
    };
    site.graph.handle_router([2, 0, 0, 0, 9, 1], site.now);
    assert_eq!(site.graph.site().moved, None, "the first one");
    assert!(matches!(settle(&mut site, false), Err(Refused::Conflict(_))));
    site.graph.handle_router([2, 0, 0, 0, 9, 2], site.now);
    site.execute();
    let stored = site.graph.site().clone();
    for last in 3..100 {
        site.graph.handle_router([2, 0, 0, 0, 9, last], site.now);
    }
    site.execute();
    assert_eq!(site.alarms(), [Alarm::Moved], "asked once");
    assert_eq!(*site.graph.site(), stored, "and nothing is written for those that came then");
    site.restart(2);
    assert!(site.graph.site().moved.is_some(), "it is still asked");
    settle(&mut site, false).unwrap();
    assert_eq!((site.graph.site().moved, site.mode(lamp)), (None, Mode::Enforcing));
    site.graph.handle_router([2, 0, 0, 0, 9, 1], site.now);
    assert_eq!(site.graph.site().moved, None, "it was here before");
    site.graph.handle_router([2, 0, 0, 0, 9, 4], site.now);
    settle(&mut site, true).unwrap();
    assert_eq!(site.mode(lamp), Mode::Learning);
    site.check();
}
