//! Bans of principals, and of pairs of a principal and a client id.

use super::signs::{refuse, refuse_client};
use super::*;
use crate::ban::{BAN_SECONDS, BANS_CAP, BanId};

/// A hub with two devices that connect with client ids of their own, and enforce.
fn hub() -> (Site, PrincipalId, PrincipalId, PrincipalId) {
    let mut site = Site::open();
    let (hub, thief, lock) = (site.named(1, "Hub", "hub"), site.device(2), site.device(3));
    for (id, client) in [(thief, "thief"), (lock, "lock")] {
        site.connect(id, hub);
        site.client(id, hub, client);
    }
    site.client(thief, hub, "thief-2");
    for id in [thief, lock] {
        site.finish(id);
    }
    (site, hub, thief, lock)
}

fn ban(site: &mut Site, id: PrincipalId, client: Option<&str>, seconds: u32) -> Result<BanId, Refused> {
    let banned = site.graph.ban(id, client, seconds, "because", &owner(), site.now);
    site.execute();
    site.check();
    banned
}

#[test]
fn a_banned_pair_cannot_connect_and_nobody_else_is_hit() {
    let (mut site, hub, thief, lock) = hub();
    // A client id that somebody else holds, too.
    let id = ban(&mut site, thief, Some("thief"), 600).unwrap();
    assert!(!site.client(thief, hub, "thief"));
    assert!(site.client(thief, hub, "thief-2"), "its other client id");
    assert!(site.connect(thief, hub) && site.client(lock, hub, "lock"));
    assert!(site.graph.edges().all(|edge| edge.state != State::Pending), "nobody is asked about it");
    site.graph.lift_ban(id, &owner(), site.now).unwrap();
    site.execute();
    assert!(site.client(thief, hub, "thief"));
    assert!(matches!(site.graph.lift_ban(id, &owner(), site.now), Err(Refused::NotFound(_))));
}

#[test]
fn a_client_id_that_was_never_seen_can_be_banned() {
    let (mut site, hub, thief, _) = hub();
    site.graph.learn_start(Some(thief), None, &owner(), site.now).unwrap();
    site.execute();
    ban(&mut site, thief, Some("stolen"), 600).unwrap();
    assert!(!site.client(thief, hub, "stolen"), "also while it learns");
    assert!(site.client(thief, hub, "own"));
}

#[test]
fn a_banned_principal_is_told_to_the_kernel_with_its_end_and_the_ban_ends() {
    let (mut site, _, thief, lock) = hub();
    let begun = site.now.boot_ns / SECOND;
    ban(&mut site, thief, None, 600).unwrap();
    assert_eq!(site.kernel.banned.get(&thief.0), Some(&(begun as u32 + 600)));
    assert_eq!(site.kernel.banned.get(&lock.0), Some(&0));
    site.pass(599);
    assert_eq!(site.graph.bans().count(), 1);
    site.pass(2);
    assert_eq!(site.graph.bans().count(), 0);
    assert_eq!(site.kernel.banned.get(&thief.0), Some(&0));
}

#[test]
fn bans_are_kept_over_restarts_and_go_with_their_principal() {
    let (mut site, hub, thief, _) = hub();
    ban(&mut site, thief, Some("thief"), 3_600).unwrap();
    ban(&mut site, thief, None, 3_600).unwrap();
    site.restart(2);
    assert_eq!(site.graph.bans().count(), 2);
    assert_eq!(
        site.kernel.banned.get(&thief.0),
        Some(&3_620),
        "an hour of the new clock, as far as it is known"
    );
    assert!(!site.client(thief, hub, "thief"));
    site.graph.forget(thief, &owner(), site.now).unwrap();
    site.execute();
    assert_eq!(site.graph.bans().count(), 0);
    assert!(!site.disk.keys().any(|key| matches!(key, RecordKey::Ban(_))));
}

#[test]
fn what_cannot_be_banned_is_refused() {
    let (mut site, _, thief, _) = hub();
    assert!(ban(&mut site, PrincipalId::SELF, None, 600).is_err());
    assert!(ban(&mut site, PrincipalId::UNKNOWN, None, 600).is_err());
    assert!(ban(&mut site, thief, Some(""), 600).is_err());
    assert!(ban(&mut site, thief, None, BAN_SECONDS.end() + 1).is_err());
    for at in 0..BANS_CAP {
        ban(&mut site, thief, Some(&format!("c{at}")), 600).unwrap();
    }
    assert!(matches!(ban(&mut site, thief, Some("one more"), 600), Err(Refused::TooMany(_))));
    assert_eq!(ban(&mut site, thief, Some("c0"), 600).unwrap(), BanId(1), "the same ban, for longer");
}

#[test]
fn refused_logins_ban_the_pair_and_nobody_else() {
    let (mut site, hub, thief, lock) = hub();
    refuse(&mut site, thief, hub, 10);
    site.check();
    assert_eq!(site.alarms(), [Alarm::Bruteforce]);
    assert!(!site.client(thief, hub, "thief") && !site.client(thief, hub, "thief-2"));
    assert!(site.connect(thief, hub), "its connections are not what was wrong");
    assert!(site.client(lock, hub, "lock"));
    site.pass(u64::from(site.settings.ban) + 1);
    assert!(site.client(thief, hub, "thief"), "it ends");
}

#[test]
fn the_client_id_that_failed_is_banned_and_not_the_others_of_its_device() {
    let (mut site, hub, thief, _) = hub();
    let [guilty, other] = ["client:thief", "client:thief-2"].map(|object| {
        let is_it = |edge: &&Edge| edge.path.operation.object_text() == object;
        site.graph.edges_from(thief).find(is_it).unwrap().id
    });
    refuse_client(&mut site, thief, hub, guilty, 9);
    refuse_client(&mut site, thief, hub, other, 1);
    assert_eq!(site.alarms(), [Alarm::Bruteforce]);
    assert!(!site.client(thief, hub, "thief") && site.client(thief, hub, "thief-2"));
}
