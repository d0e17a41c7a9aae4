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
