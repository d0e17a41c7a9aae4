//! What is unusual on edges that pass.

use std::time::Duration;

use firewall_common::abi::Moved;

use super::*;
use crate::edge::Property;
use crate::usual::{Metered, RATE_FLOOR, Response, WINDOWS};

const WINDOW: Duration = Duration::from_secs(10);

/// A sensor that has sent so many bytes every ten seconds while it learned, and enforces now.
fn sensor(bytes: u64) -> (Site, PrincipalId, EdgeId) {
    let mut site = Site::new(Settings { learn_min: 60, first_run: 3_600, ..Settings::default() });
    let (hub, sensor) = (site.device(1), site.device(2));
    site.connect(sensor, hub);
    let edge = site.id(sensor, "connect", "tcp/1883");
    for _ in 0..=WINDOWS {
        carry(&mut site, edge, bytes, 0);
    }
    assert!(site.kernel.limits.is_empty(), "nothing is held back while it learns");
    site.finish(sensor);
    (site, sensor, edge)
}

fn carry(site: &mut Site, edge: EdgeId, bytes: u64, over: u32) {
    let moved = [Moved { messages: 1, bytes }, Moved::default()];
    site.graph.handle_metered(edge, &Metered { moved, over, ..Metered::default() }, WINDOW, site.now);
    site.wait(10);
    site.execute();
    site.check();
}

fn limit(site: &Site, edge: EdgeId) -> Option<u64> {
    let key = site.graph.edge(edge).unwrap().path.transport();
    site.kernel.limits.get(&edge_key(key)).copied()
}

fn flagged(site: &Site, edge: EdgeId) -> Option<Property> {
    site.graph.edge(edge).unwrap().flag.as_ref().map(|flag| flag.property)
}

#[test]
fn four_times_what_was_learned_may_pass_and_at_least_the_floor() {
    let (site, _, edge) = sensor(500_000);
    assert_eq!(limit(&site, edge), Some(200_000));
    let (site, _, edge) = sensor(10);
    assert_eq!(limit(&site, edge), Some(RATE_FLOOR));
}

#[test]
fn what_is_not_known_is_not_held_back() {
    let mut site = Site::new(Settings { learn_min: 60, first_run: 3_600, ..Settings::default() });
    let (hub, sensor) = (site.device(1), site.device(2));
    site.connect(sensor, hub);
    let edge = site.id(sensor, "connect", "tcp/1883");
    carry(&mut site, edge, 1_000, 0);
    site.finish(sensor);
    assert_eq!(limit(&site, edge), None, "a single window");
    for _ in 0..WINDOWS {
        carry(&mut site, edge, 1_000, 0);
    }
    assert_eq!(limit(&site, edge), Some(RATE_FLOOR), "it goes on being measured");
    site.graph.learn_start(Some(sensor), None, &owner(), site.now).unwrap();
    site.execute();
    assert_eq!(limit(&site, edge), None, "a device that learns is not held back");
}

#[test]
fn a_flood_is_asked_about_and_flows_on() {
    let (mut site, _, edge) = sensor(1_000);
    carry(&mut site, edge, 90_000, 40);
    assert_eq!(flagged(&site, edge), Some(Property::RateExceeded));
    let before = site.graph.edge(edge).unwrap();
    assert_eq!((&before.state, before.waits()), (&State::Learned, true));
    assert!(site.events.contains(&Event::EdgePending(edge)));
    let questions =
        |site: &Site| site.events.iter().filter(|event| **event == Event::EdgePending(edge)).count();
    carry(&mut site, edge, 90_000, 40);
    assert_eq!((questions(&site), site.graph.edge(edge).unwrap().flag.as_ref().unwrap().times), (1, 80));
    site.say(edge, Answer::Allow, Lifetime::Always);
    assert_eq!((flagged(&site, edge), site.graph.edge(edge).unwrap().waits()), (None, false));
    assert_eq!(limit(&site, edge), Some(4 * RATE_FLOOR), "an answer makes it usual");
}

#[test]
fn a_no_stops_what_is_unusual() {
    let (mut site, _, edge) = sensor(1_000);
    carry(&mut site, edge, 90_000, 40);
    site.say(edge, Answer::Deny, Lifetime::Always);
    assert_eq!((flagged(&site, edge), site.graph.edge(edge).unwrap().state.as_str()), (None, "denied"));
}

#[test]
fn where_the_owner_wants_it_nothing_passes_until_someone_has_answered() {
    let (mut site, sensor, edge) = sensor(1_000);
    site.graph.set_response(sensor, Response::Block, &owner(), site.now).unwrap();
    carry(&mut site, edge, 3_000_000, 0);
    let asked = site.graph.edge(edge).unwrap();
    assert_eq!((&asked.state, asked.violated), (&State::Pending, Some(Property::SizeExceeded)));
    site.say(edge, Answer::Allow, Lifetime::Always);
    carry(&mut site, edge, 3_000_000, 0);
    assert_eq!(site.graph.edge(edge).unwrap().state.as_str(), "allowed");
    site.graph.set_edge_response(edge, Some(Response::Ask), &owner(), site.now).unwrap();
    carry(&mut site, edge, 90_000, 40);
    assert_eq!(flagged(&site, edge), Some(Property::RateExceeded));
    assert!(site.graph.edge(edge).unwrap().passes(site.now), "the edge's own setting wins");
}

#[test]
fn what_is_usual_is_kept_and_seldom_written() {
    let (mut site, _, edge) = sensor(500_000);
    let usual = |site: &Site| site.graph.edge(edge).unwrap().usual.clone().unwrap();
    let before = usual(&site);
    site.restart(2);
    assert_eq!(usual(&site), before);
    assert_eq!(limit(&site, edge), Some(200_000), "an empty kernel gets the limit");
    site.graph.learn_start(None, None, &owner(), site.now).unwrap();
    site.execute();
    site.order.clear();
    for _ in 0..60 {
        carry(&mut site, edge, 1_000, 0);
    }
    let saves = site.order.iter().filter(|name| **name == "save").count();
    assert!((1..=2).contains(&saves), "{saves} in ten minutes");
}

#[test]
fn connections_that_were_always_encrypted_are_missed_as_such() {
    let mut site = Site::open();
    let (hub, sensor) = (site.device(1), site.device(2));
    site.open_port(sensor, hub, 8883);
    site.speak(sensor, hub, 8883, "tls");
    site.finish(sensor);
    site.speak(sensor, hub, 8883, "opaque");
    let asked = site.edge(sensor, "connect", "tcp/8883 opaque").unwrap();
    assert_eq!((asked.state.as_str(), asked.violated), ("pending", Some(Property::EncMissing)));
}
