//! Signs of attacks, as the kernel's facts tell them.

use super::*;
use crate::edge::Stream;
use crate::watch::FLOOD_FLOOR;

/// The kernel has seen so many refused logins of a source, ever.
pub(super) fn refuse(site: &mut Site, src: PrincipalId, dst: PrincipalId, count: u64) {
    refuse_client(site, src, dst, EdgeId(0), count);
}

/// As [`refuse`], of one of its client ids.
pub(super) fn refuse_client(site: &mut Site, src: PrincipalId, dst: PrincipalId, client: EdgeId, count: u64) {
    let edge = EdgeKey { src, dst, port: MQTT, proto: 6, kind: Kind::LoginFailed as u8 };
    let key = ObservedKey { addr: Addr([0; 16]), object: client.0.into(), edge, _pad: 0 };
    let value = Observed {
        count,
        first: 0,
        last: site.now.boot_ns,
        verdict: Verdict::Forwarded as u8,
        reason: Reason::LoginFailed as u8,
        object_len: 0,
        ifindex: 7,
        object: [0; OBJECT_CAP],
    };
    site.graph.handle_observed(&Fact { key, value }, site.now);
    site.execute();
}

#[test]
fn refused_logins_are_an_alarm_about_their_principal() {
    let mut site = Site::open();
    let (hub, lock) = (site.device(1), site.device(2));
    site.connect(lock, hub);
    for (count, expected) in [(9, vec![]), (9, vec![]), (10, vec![Alarm::Bruteforce])] {
        refuse(&mut site, lock, hub, count);
        assert_eq!(site.alarms(), expected, "{count}");
    }
}

#[test]
fn a_scan_is_noticed_whatever_the_mode() {
    let mut site = Site::open();
    let (hub, lock) = (site.device(1), site.device(2));
    site.finish(lock);
    for port in 0..19 {
        site.open_port(lock, hub, 2_000 + port);
    }
    assert!(site.alarms().is_empty());
    site.open_port(lock, hub, 2_019);
    assert_eq!(site.alarms(), [Alarm::Scan]);
}

#[test]
fn a_flood_is_not_learned() {
    let mut site = Site::open();
    let (hub, sensor) = (site.device(1), site.device(2));
    site.connect(sensor, hub);
    let stream = Stream { src: sensor, dst: hub, proto: 6, port: MQTT };
    let send = |site: &mut Site, messages: u64| {
        site.graph.handle_messages(stream, messages, site.now);
        site.wait(10);
        site.execute();
        site.alarms().len()
    };
    assert_eq!(send(&mut site, 400), 0);
    assert_eq!(send(&mut site, 1_600), 0, "four times as much as before");
    assert_eq!(send(&mut site, 50 * FLOOD_FLOOR), 1);
    assert_eq!(site.alarms(), [Alarm::Flood]);
    send(&mut site, 1);
    let busiest = site.graph.edges().map(|edge| edge.busiest).max();
    assert_eq!(busiest, Some(1_600));
}
