//! What devices may ask the site's resolver for.

use super::*;

const WEB: u16 = 443;

#[test]
fn a_domain_that_was_learned_may_be_asked_for() {
    let mut site = Site::open();
    let tv = site.device(1);
    assert!(site.ask(tv, "a.example.com"));
    assert!(site.ask(tv, "hub.lan"));
    assert_eq!(site.state(tv, "resolve", "*.example.com"), "learned");
    assert_eq!(site.state(tv, "resolve", "hub.lan"), "learned");
    site.check();
    site.finish(tv);
    for (name, passes) in [
        ("a.example.com", true),
        ("new.b.example.com", true),
        ("example.com", true),
        ("hub.lan", true),
        // Nobody knows who owns its neighbours.
        ("x.hub.lan", false),
        ("other.lan", false),
        ("example.org", false),
        ("anexample.com", false),
        ("com", false),
    ] {
        assert_eq!(site.ask(tv, name), passes, "{name}");
    }
    // Another device learned nothing of it.
    let cam = site.device(2);
    site.finish(cam);
    assert!(!site.ask(cam, "a.example.com"));
    site.check();
}

#[test]
fn a_name_outside_the_model_is_asked_about_once() {
    let mut site = Site::open();
    let tv = site.device(1);
    site.finish(tv);
    for number in 0..50 {
        assert!(!site.ask(tv, &format!("x{number}.tunnel.org")));
    }
    let pending: Vec<&Edge> = site.graph.edges().filter(|edge| edge.state == State::Pending).collect();
    assert_eq!(pending.len(), 1, "one card for one domain");
    assert_eq!(pending[0].path.operation.object_text(), "*.tunnel.org");
    assert_eq!(pending[0].violated, Some(crate::edge::Property::DestNew));
    let id = pending[0].id;
    site.say(id, Answer::Allow, Lifetime::For(60));
    assert!(site.ask(tv, "y.tunnel.org"));
    site.pass(61);
    assert!(!site.ask(tv, "y.tunnel.org"));
    site.say(id, Answer::Allow, Lifetime::Always);
    assert!(site.ask(tv, "y.tunnel.org"));
    site.say(id, Answer::Deny, Lifetime::Always);
    assert!(!site.ask(tv, "y.tunnel.org"));
    site.check();
    let refused = site.try_say(id, Answer::Allow, Lifetime::Uses(2));
    assert!(matches!(refused, Err(Refused::Invalid(_))), "{refused:?}");
}

#[test]
fn who_may_reach_a_host_may_ask_for_it() {
    let mut site = Site::open();
    let tv = site.named(1, "TV", "tv");
    site.finish(tv);
    let edge = site.write(["TV", "name:api.example.com", "connect", "tcp/443"], Answer::Allow).unwrap();
    assert!(site.ask(tv, "api.example.com"));
    assert!(site.ask(tv, "cdn.example.com"), "the registrable domain is in the model");
    assert!(!site.ask(tv, "api.example.org"));
    site.check();
    site.write(["TV", "Edgeward", "resolve", "*.example.com"], Answer::Deny).unwrap();
    assert!(!site.ask(tv, "api.example.com"), "the more specific answer");
    site.graph.remove_edge(edge, &owner(), site.now).unwrap();
    site.execute();
    site.check();
    let wrong = site.write(["TV", "name:api.example.com", "resolve", "*.example.com"], Answer::Allow);
    assert!(matches!(wrong, Err(Refused::Invalid(_))), "{wrong:?}");
}

#[test]
fn what_may_be_asked_for_survives() {
    let mut site = Site::open();
    let tv = site.device(1);
    site.ask(tv, "a.example.com");
    site.resolve(tv, "api.example.net", [192, 0, 2, 1]);
    site.reach(tv, [192, 0, 2, 1], WEB);
    site.finish(tv);
    for boot in [0, 1] {
        site.restart(boot);
        assert!(site.ask(tv, "a.example.com") && site.ask(tv, "b.example.net"));
        assert!(!site.ask(tv, "example.org"));
        site.check();
    }
}

#[test]
fn no_name_is_no_question() {
    let mut site = Site::open();
    let tv = site.device(1);
    for object in ["", "a b.example", "\u{202e}.example", "x..y"] {
        let (mut text, bytes) = ([0; OBJECT_CAP], object.as_bytes());
        text[..bytes.len()].copy_from_slice(bytes);
        let edge =
            EdgeKey { src: tv, dst: PrincipalId::SELF, port: 53, proto: 17, kind: Kind::Resolve as u8 };
        let key = ObservedKey { addr: Addr::default(), object: 1, edge, _pad: 0 };
        let value = Observed {
            count: 1,
            first: 0,
            last: 0,
            verdict: Verdict::Forwarded as u8,
            reason: Reason::Learned as u8,
            object_len: bytes.len() as u16,
            ifindex: 7,
            object: text,
        };
        site.graph.handle_observed(&Fact { key, value }, site.now);
        site.execute();
    }
    assert_eq!(site.graph.edges_from(tv).count(), 0);
    site.check();
}
